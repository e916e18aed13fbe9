"""One run: watch it learn, then look at every image."""

import time

import streamlit as st

from engine.errors import NotFound, WorkbenchError
from engine.jobs.queue import stop_run
from engine.store.runs import SPLIT_NAMES
from pages.common import charts, columns, formats, links, reads, tables
from pages.common.parts import failure, run_pane, selected_position, status_badge
from pages.common.progress import elapsed_seconds, epochs_text, remaining_seconds
from pages.common.texts import (
    _,
    error_text,
    phase_word,
    score_rules,
    split_word,
    training_size_note,
    viewer_texts,
)
from pages.common.viewer import viewer

_LIVE_SECONDS = 1.5
_LOG_LINES = 400

try:
    run = reads.run(links.asked_for("run") or "")
except NotFound as error:
    st.title(_("Run"))
    st.warning(error_text(error))
    st.page_link(links.RUNS, label=_("All runs"), icon=":material/stacked_line_chart:")
    st.stop()

dataset = reads.dataset(run.dataset_id)
was_live = run.job.is_live


def stop() -> None:
    """Ask the run to stop; a run that has just ended is left as it is."""
    try:
        stop_run(reads.workbench(), run.id, actor=reads.actor())
    except WorkbenchError as error:
        st.toast(error_text(error))


@st.fragment(run_every=_LIVE_SECONDS if was_live else None)
def head() -> None:
    """Status, progress and headline numbers."""
    now_run = reads.run(run.id)
    if was_live and not now_run.job.is_live:
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center"):
        status_badge(now_run.status)
        sizes = reads.split_sizes(run.id)
        st.caption(
            _("{dataset} · recipe {recipe} · {parameters} parameters · {split} · id {id}").format(
                dataset=formats.plain(run.dataset_name),
                recipe=run.config.recipe,
                parameters=formats.count(run.num_parameters),
                split=" / ".join(f"{sizes[name]} {split_word(name)}" for name in SPLIT_NAMES),
                id=run.id,
            )
        )
    if now_run.job.is_live:
        st.progress(now_run.job.progress, text=phase_word(now_run.job.phase))
    if now_run.job.error:
        failure(now_run.job.error)
    headline(now_run)


def headline(now_run) -> None:
    """The numbers that matter now: pace while it learns, scores when it has ended."""
    summaries = reads.summaries(now_run)
    split = next((name for name in ("test", "val", "train") if name in summaries), None)
    with st.container(horizontal=True):
        if split is None:
            st.metric(_("Best validation Dice"), formats.score(now_run.best_val_dice), border=True)
            best = now_run.best_epoch or formats.MISSING
            st.metric(_("Best epoch"), best, border=True)
        else:
            summary = summaries[split]
            st.metric(
                _("Mean image Dice, {split}").format(split=split_word(split)),
                formats.score(summary.mean_image_dice),
                border=True,
                help=score_rules(),
            )
            for entry in dataset.classes:
                label = _("{name} (background)") if entry.background else _("{name}")
                st.metric(
                    _("Dice of {name}").format(name=label.format(name=formats.plain(entry.name))),
                    formats.score(summary.by_class[entry.index].dice),
                    border=True,
                    help=score_rules(),
                )
        st.metric(_("Epochs"), epochs_text(now_run), border=True)
        now = time.time()
        st.metric(_("Run time"), formats.duration(elapsed_seconds(now_run, now)), border=True)
        if now_run.job.is_live:
            st.metric(
                _("Time left"), formats.duration(remaining_seconds(now_run, now)), border=True
            )


@st.fragment(run_every=_LIVE_SECONDS if was_live else None)
def curves() -> None:
    """Loss and Dice over the epochs so far."""
    records = reads.epoch_records(run.id)
    if not records:
        st.caption(_("The curves begin when the first epoch has ended."))
        return
    left, right = st.columns(2)
    left.plotly_chart(charts.loss_curves(records), key="run_loss", alt=_("Loss over the epochs"))
    right.plotly_chart(
        charts.dice_curves(records, dataset), key="run_dice", alt=_("Dice over the epochs")
    )
    last = records[-1]
    st.caption(
        _("Epoch {epoch}: {speed:.1f} images/s, {seconds:.1f} s, learning rate {rate:.2g}.").format(
            epoch=last.epoch,
            speed=last.images_per_second,
            seconds=last.seconds,
            rate=last.learning_rate,
        )
        + " "
        + training_size_note(run.config.images.image_size_px)
    )


def images() -> None:
    """Every scored image, worst first, beside the viewer."""
    scored = reads.scored_samples(run)
    if not scored:
        st.caption(
            _("Every image is scored when the training has ended.")
            if was_live
            else _("This run has no scores: it ended before its first epoch did.")
        )
        return
    st.dataframe(
        tables.summary_table(dataset, {split_word(k): v for k, v in reads.summaries(run).items()}),
        hide_index=True,
        column_config=columns.summary_columns(dataset, _("Split")),
    )
    present = [
        name for name in ("test", "val", "train") if any(s.score.split == name for s in scored)
    ]
    chosen = st.pills(
        _("Splits shown"),
        present,
        selection_mode="multi",
        default=[name for name in present if name != "train"],
        format_func=split_word,
        key="run_splits",
        bind="query-params",
    )
    shown = [each for each in scored if each.score.split in (chosen or present)]
    table_column, viewer_column = st.columns([2, 3], gap="medium")
    with table_column:
        event = st.dataframe(
            tables.scored_table(dataset, run.id, shown),
            key="run_images",
            height=600,
            hide_index=True,
            row_height=56,
            on_select="rerun",
            selection_mode="single-row",
            column_config={
                "thumb": columns.thumbnail(_("Errors")),
                "sample": st.column_config.TextColumn(_("Sample")),
                "split": st.column_config.TextColumn(_("Split"), width="small"),
                "dice": columns.score(_("Image Dice")),
                "iou": columns.score(_("Image IoU")),
                **columns.class_columns(dataset),
            },
        )
    position = selected_position(event, [each.sample.position for each in shown])
    with viewer_column:
        look_at(next(each for each in shown if each.sample.position == position))


def look_at(each: reads.ScoredSample) -> None:
    """One image in the viewer."""
    note = _("{split} · Dice {dice}").format(
        split=split_word(each.score.split), dice=formats.score(each.dice)
    )
    viewer(
        [run_pane(run, dataset, each.sample, title=each.sample.name, note=note)],
        key="run_viewer",
        texts=viewer_texts(),
        shown=("image", "errors"),
    )


@st.fragment(run_every=_LIVE_SECONDS if was_live else None)
def log() -> None:
    """What the run's process printed."""
    text = reads.log_tail(run.job.id, _LOG_LINES)
    st.code(text or _("Nothing yet."), language=None, height=480)


with st.container(horizontal=True, vertical_alignment="center"):
    st.title(formats.plain(run.name), width="stretch")
    if was_live:
        st.button(
            _("Stopping…") if run.job.stop_requested else _("Stop"),
            icon=":material/stop:",
            on_click=stop,
            disabled=run.job.stop_requested,
            help=_("Ends after the current step, keeps the model, and scores its best epoch."),
            key="run_stop",
        )
    if st.button(_("Compare"), icon=":material/compare:", key="run_compare"):
        links.open_comparison([run.id])

head()
VIEWS = {
    "images": _("Images"),
    "curves": _("Curves"),
    "settings": _("Settings"),
    "log": _("Log"),
}
view = st.segmented_control(
    _("View"),
    list(VIEWS),
    default="curves" if was_live or not reads.scored_samples(run) else "images",
    required=True,
    format_func=VIEWS.__getitem__,
    key="run_view",
    bind="query-params",
    label_visibility="collapsed",
)
if view == "curves":
    curves()
elif view == "images":
    images()
elif view == "settings":
    st.dataframe(
        tables.settings_table(run),
        hide_index=True,
        height="content",
        column_config={
            "setting": st.column_config.TextColumn(_("Setting")),
            "value": st.column_config.TextColumn(_("Value")),
            "key": st.column_config.TextColumn(_("Key")),
            "meaning": st.column_config.TextColumn(_("Meaning"), width="large"),
        },
    )
    if run.environment:
        st.json(run.environment, expanded=True)
else:
    log()
