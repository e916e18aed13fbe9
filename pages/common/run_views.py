"""The views of the run page that show numbers and images: headline, curves, images, settings."""

import time
from collections.abc import Sequence

import streamlit as st

from engine.events import EpochRecord
from engine.jobs.status import queue_seconds, state_of
from engine.scores.rules import Summary
from engine.store.datasets import Dataset
from engine.store.jobs import Job
from engine.store.runs import SPLIT_NAMES, Run
from pages.common import charts, columns, formats, links, reads, run_actions, run_doctor, tables
from pages.common.notifier import notifier, watched
from pages.common.parts import (
    THUMBNAIL_ROW_PX,
    failure,
    run_pane,
    selected_position,
    status_badge,
    table_height,
)
from pages.common.progress import (
    elapsed_seconds,
    epochs_text,
    expected_seconds,
    remaining_seconds,
)
from pages.common.run_story import story
from pages.common.texts import (
    MOST_WANTED_SPLITS,
    _,
    class_word,
    phase_word,
    score_rules,
    speed_text,
    split_word,
    training_size_note,
    viewer_texts,
)
from pages.common.viewer import viewer

_NO_BAR = {"displayModeBar": False}
_MAX_CLASS_METRICS = 5
_MAX_STORY_LINES = 6


def head(run: Run, dataset: Dataset, scoring: Job | None) -> None:
    """What the run is, how it is doing, what befell it, and its headline numbers.

    Args:
        scoring: the newest job that was to score its images.
    """
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="run_status"):
        status_badge(state_of(run.job))
        for tag in run.tags:
            st.badge(formats.plain(tag), color="gray")
        if run.archived:
            st.badge(_("archived"), icon=":material/archive:", color="gray")
        st.page_link(
            links.DATASET,
            label=formats.plain(dataset.name),
            icon=":material/photo_library:",
            query_params={"dataset": dataset.id},
        )
        sizes = reads.split_sizes(run.id)
        st.caption(
            _("recipe {recipe} · {parameters} parameters · {split} · id {id}").format(
                recipe=run.config.recipe,
                parameters=formats.count(run.num_parameters),
                split=" / ".join(f"{sizes[name]} {split_word(name)}" for name in SPLIT_NAMES),
                id=run.id,
            )
        )
        # Also of a run that has just ended: that is when it rings.
        notifier([watched(run)], key="run_notifier")
    if run.notes:
        st.caption(formats.plain(run.notes))
    _expectation(run)
    _story(run)
    if run.job.is_live:
        st.progress(run.job.progress, text=phase_word(run.job.phase))
    if scoring is not None and scoring.is_live:
        run_actions.scoring_progress(scoring)
    if run.job.error:
        failure(run.job.error)
    hint = run_doctor.hint(run)
    if hint is not None:
        st.caption(f":material/stethoscope: {hint}")
    _metrics(run, dataset)


def _story(run: Run) -> None:
    """What befell the run, the latest in sight; the rest is a click away."""
    told = story(run, reads.workbench().settings.retries)
    if not told:
        return
    *earlier, last = [f":material/history: {formats.plain(sentence)}" for sentence in told]
    if len(earlier) >= _MAX_STORY_LINES:
        with st.expander(_("What befell it: {num} events").format(num=len(told)), key="run_story"):
            st.caption("  \n".join(earlier))
        earlier = []
    st.caption("  \n".join([*earlier, last]))


def _metrics(run: Run, dataset: Dataset) -> None:
    summaries = reads.summaries(run)
    split = next((name for name in MOST_WANTED_SPLITS if name in summaries), None)
    with st.container(horizontal=True):
        if split is None or run.job.is_live:
            _learning_metrics(run)
        else:
            _score_metrics(dataset, split, summaries[split])
        _pace_metrics(run)


def _expectation(run: Run) -> None:
    """What was measured before the first step, beside what became of it."""
    expected = expected_seconds(run)
    if expected is None:
        return
    speed = run.preflight["speed"]  # type: ignore[index]
    facts = [
        _("Measured before the start: about {duration} on {device}").format(
            duration=formats.duration(expected), device=speed_text(speed)
        )
    ]
    if run.status == "completed":
        taken = sum(record.seconds for record in reads.epoch_records(run.id))
        facts.append(_("the epochs took {duration}").format(duration=formats.duration(taken)))
    st.caption(" · ".join(facts))


def _learning_metrics(run: Run) -> None:
    st.metric(
        _("Best validation Dice"),
        formats.score(run.best_val_dice),
        border=True,
        help=_size_note(run),
    )
    st.metric(_("Best epoch"), run.best_epoch or formats.MISSING, border=True)


def _score_metrics(dataset: Dataset, split: str, summary: Summary) -> None:
    st.metric(
        _("Mean image Dice, {split}").format(split=split_word(split)),
        formats.score(summary.mean_image_dice),
        border=True,
        help=score_rules(),
    )
    # Of many classes the table below shows the scores; boxes would push it off the screen.
    for entry in dataset.classes if len(dataset.classes) <= _MAX_CLASS_METRICS else ():
        st.metric(
            _("Dice of {name}").format(name=formats.plain(class_word(entry))),
            formats.score(summary.by_class[entry.index].dice),
            border=True,
            help=score_rules(),
        )


def _pace_metrics(run: Run) -> None:
    now = time.time()
    st.metric(_("Epochs"), epochs_text(run), border=True)
    st.metric(
        _("Run time"),
        formats.duration(elapsed_seconds(run.job, now)),
        border=True,
        help=_("At work, in all attempts together; the time in the queue is not in it."),
    )
    st.metric(_("Queue time"), formats.duration(queue_seconds(run.job, now)), border=True)
    if run.job.is_live:
        st.metric(_("Time left"), formats.duration(remaining_seconds(run.job, now)), border=True)


def curves(run: Run, dataset: Dataset) -> None:
    """The numbers of the epochs so far, of those planned while it is live."""
    records = reads.epoch_records(run.id)
    if not records:
        st.caption(
            _("The curves begin when the first epoch has ended.")
            if run.job.is_live
            else _("There are no curves: the run ended before its first epoch did.")
        )
        return
    schedule = run.config.schedule
    num_planned = schedule.epochs if run.job.is_live and schedule.max_minutes is None else 0
    large = {
        "run_loss": (charts.loss_curves(records, num_planned), _("Loss over the epochs")),
        "run_dice": (charts.dice_curves(records, dataset, num_planned), _("Dice over the epochs")),
        "run_iou": (charts.iou_curves(records, dataset, num_planned), _("IoU over the epochs")),
    }
    for column, (key, (figure, alt)) in zip(st.columns(3), large.items(), strict=True):
        column.plotly_chart(figure, key=key, alt=alt, config=_NO_BAR)
    small = [
        (key, title, values, is_share)
        for key, title, values, is_share in _measurements(records)
        if any(value is not None for value in values)
    ]
    for column, (key, title, values, is_share) in zip(
        st.columns(max(len(small), 3)), small, strict=False
    ):
        figure = charts.epoch_curve(records, title, values, num_planned, is_share=is_share)
        column.plotly_chart(figure, key=key, alt=title, config=_NO_BAR)
    last = records[-1]
    pace = _("Epoch {epoch}: {speed:.1f} images/s, {seconds:.1f} s, learning rate {rate:.2g}.")
    st.caption(
        pace.format(
            epoch=last.epoch,
            speed=last.images_per_second,
            seconds=last.seconds,
            rate=last.learning_rate,
        )
        + " "
        + _size_note(run)
    )


def _size_note(run: Run) -> str:
    images = run.config.images
    return training_size_note(images.image_size_px, is_patches=images.view == "patches")


def _measurements(
    records: Sequence[EpochRecord],
) -> list[tuple[str, str, list[float | None], bool]]:
    """Key, title, values by epoch and whether they are shares, of what stands in small plots."""
    memory = [record.peak_memory_bytes for record in records]
    return [
        ("run_rate", _("Learning rate"), [record.learning_rate for record in records], False),
        ("run_pace", _("Images per second"), [each.images_per_second for each in records], False),
        ("run_wait", _("Waiting for images"), [each.data_wait_share for each in records], True),
        (
            "run_memory",
            _("Peak memory (GB)"),
            [None if each is None else each / 1e9 for each in memory],
            False,
        ),
        ("run_gpu", _("GPU busy"), [each.gpu_utilization for each in records], True),
    ]


def images(run: Run, dataset: Dataset, scoring: Job | None) -> None:
    """Every scored image, worst first, beside the viewer; below them each split's scores.

    Args:
        scoring: the newest job that was to score them.
    """
    scored = reads.scored_samples(run)
    if not scored:
        _why_no_scores(run, scoring)
        return
    if run.job.is_live:
        st.caption(_("As it was before it was trained further; scored anew when it ends."))
    present = [name for name in MOST_WANTED_SPLITS if name in reads.summaries(run)]
    with st.container(horizontal=True, vertical_alignment="center"):
        held_out = [name for name in present if name != "train"]
        chosen = st.pills(
            _("Splits shown"),
            present,
            selection_mode="multi",
            default=links.asked_choices("split", present) or held_out,
            format_func=split_word,
            key="run_splits",
            on_change=links.remember,
            args=("split", "run_splits", held_out),
            label_visibility="collapsed",
        )
        st.caption(_("Worst first. Choose a row to look at it."))
    shown = [each for each in scored if each.score.split in (chosen or present)]
    table_column, viewer_column = st.columns([5, 8], gap="medium")
    with table_column:
        position = _image_table(run, dataset, shown)
    with viewer_column:
        _look_at(run, dataset, next(each for each in shown if each.sample.position == position))
    st.subheader(_("Scores of each split"))
    st.dataframe(
        tables.summary_table(
            dataset, {split_word(name): reads.summaries(run)[name] for name in present}
        ),
        hide_index=True,
        placeholder=formats.MISSING,
        column_config=columns.summary_columns(dataset, _("Split")),
    )
    with st.popover(_("How these numbers are computed"), icon=":material/info:"):
        st.markdown(score_rules())


def _why_no_scores(run: Run, scoring: Job | None) -> None:
    if run.job.is_live:
        st.caption(_("Every image is scored when the training has ended."))
    elif scoring is not None and scoring.is_live:
        st.caption(_("The images appear here when they are scored."))
    elif not run.num_epochs_done:
        st.caption(_("This run has no scores: it ended before its first epoch did."))
    else:
        st.caption(
            _(
                "This run has no scores: it ended before its images were scored. “Score images” "
                "does it now."
            )
        )
    if scoring is not None and scoring.error:
        failure(scoring.error)


def _image_table(run: Run, dataset: Dataset, shown: Sequence[reads.ScoredSample]) -> int | None:
    event = st.dataframe(
        tables.scored_table(dataset, run, shown, reads.sample_names(dataset.id)),
        # Rows are selected by number: with other images shown, the numbers mean other images.
        key=f"run_images_{run.id}_{len(shown)}",
        height=table_height(len(shown)),
        hide_index=True,
        row_height=THUMBNAIL_ROW_PX,
        placeholder=formats.MISSING,
        on_select="rerun",
        selection_mode="single-row",
        column_config={
            "thumb": columns.thumbnail(_("Errors")),
            "sample": st.column_config.TextColumn(_("Sample")),
            "dice": columns.score(_("Image Dice")),
            "split": st.column_config.TextColumn(_("Split"), width="small"),
            **columns.class_columns(dataset),
            "iou": columns.score(_("Image IoU")),
        },
    )
    return selected_position(event, [each.sample.position for each in shown])


def _look_at(run: Run, dataset: Dataset, each: reads.ScoredSample) -> None:
    note = _("{split} · Dice {dice}").format(
        split=split_word(each.score.split), dice=formats.score(each.dice)
    )
    title = reads.sample_names(dataset.id)[each.sample.position]
    viewer(
        [run_pane(run, dataset, each.sample, title=title, note=note)],
        key="run_viewer",
        texts=viewer_texts(),
        shown=("image", "errors"),
    )


def settings(run: Run) -> None:
    """Every setting, why it was chosen, and what the run was trained with."""
    st.dataframe(
        tables.settings_table(run),
        hide_index=True,
        height="content",
        column_config={
            "setting": st.column_config.TextColumn(_("Setting")),
            "value": st.column_config.TextColumn(_("Value")),
            "why": st.column_config.TextColumn(_("Why"), width="large")
            if run.reasons or run.adjustments
            else None,
            "key": st.column_config.TextColumn(_("Key")),
            "meaning": st.column_config.TextColumn(_("Meaning"), width="large"),
        },
    )
    if run.environment:
        st.subheader(_("Environment"))
        st.dataframe(
            {
                _("What"): list(run.environment),
                _("Value"): [tables.setting_text(value) for value in run.environment.values()],
            },
            hide_index=True,
            width="content",
        )
