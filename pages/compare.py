"""Compare: several runs side by side, and the same image under each of them."""

import streamlit as st

from engine.store.runs import Run
from pages.common import charts, columns, formats, links, reads, tables
from pages.common.parts import empty_state, run_pane
from pages.common.texts import _, score_rules, split_word, training_size_note, viewer_texts
from pages.common.viewer import viewer

_MAX_RUNS = 8

st.title(_("Compare"))
known = {run.id: run for run in reads.all_runs()}
if not known:
    with empty_state(
        ":material/compare:",
        _("Nothing to compare yet"),
        _("Train two runs on the same dataset, then see where they differ."),
    ):
        st.page_link(links.TRAIN, label=_("Start a training"), icon=":material/play_arrow:")
    st.stop()

chosen = st.multiselect(
    _("Runs"),
    list(known),
    format_func=lambda run_id: f"{known[run_id].name} ({run_id})",
    max_selections=_MAX_RUNS,
    placeholder=_("Choose two or more runs"),
    key="runs",
    bind="query-params",
)
if len(chosen) < 2:
    st.info(_("Choose at least two runs."), icon=":material/compare:")
    st.stop()
runs = tables.unique_labels([known[run_id] for run_id in chosen])
datasets = {run.dataset_id: reads.dataset(run.dataset_id) for run in runs.values()}
same_dataset = len(datasets) == 1


def headline_scores() -> None:
    """The scores of each run on one split, dataset by dataset."""
    summaries = {label: reads.summaries(run) for label, run in runs.items()}
    present = [
        s for s in ("test", "val", "train") if any(s in found for found in summaries.values())
    ]
    if not present:
        st.caption(_("No run has been scored yet; scores come when a training has ended."))
        return
    split = st.segmented_control(
        _("Split"),
        present,
        default=present[0],
        required=True,
        format_func=split_word,
        key="compare_split",
        bind="query-params",
    )
    for dataset in datasets.values():
        of_dataset = {
            label: summaries[label][split]
            for label, run in runs.items()
            if run.dataset_id == dataset.id and split in summaries[label]
        }
        if of_dataset:
            st.dataframe(
                tables.summary_table(dataset, of_dataset),
                hide_index=True,
                column_config=columns.summary_columns(dataset, _("Run")),
            )
    if not same_dataset:
        st.warning(_("These runs are on different datasets: their scores cannot be compared."))
    elif len({tuple(positions_of(run, split)) for run in runs.values()}) > 1:
        st.warning(
            _(
                "These runs were scored on different images of this split. Only images that all "
                "of them scored can be compared; see below."
            ),
            icon=":material/warning:",
        )
    with st.popover(_("How these numbers are computed"), icon=":material/info:"):
        st.markdown(score_rules())


def positions_of(run: Run, split: str) -> list[int]:
    """The samples a run scored in a split."""
    scored = reads.scored_samples(run)
    return sorted(each.sample.position for each in scored if each.score.split == split)


def overlaid_curves() -> None:
    """Validation Dice and both losses, one line per run."""
    records = {label: reads.epoch_records(run.id) for label, run in runs.items()}
    figures = (
        ("val_dice", _("Validation mean image Dice"), True),
        ("train_loss", _("Training loss"), False),
        ("val_loss", _("Validation loss"), False),
    )
    for column, (field, title, is_share) in zip(st.columns(3), figures, strict=True):
        lines = {
            label: ([r.epoch for r in found], [getattr(r, field) for r in found])
            for label, found in records.items()
        }
        column.plotly_chart(
            charts.run_curves(title, lines, is_share=is_share), key=f"compare_{field}", alt=title
        )
    sizes = {run.config.images.image_size_px for run in runs.values()}
    if len(sizes) == 1:
        st.caption(training_size_note(sizes.pop()))


def differences() -> None:
    """The settings that are not the same."""
    differing = tables.differing_settings(runs)
    if differing.empty:
        st.caption(_("All settings agree."))
    else:
        st.dataframe(differing, hide_index=True, height="content")


def same_image() -> None:
    """One image under each run, zoomed and moved together."""
    if not same_dataset:
        st.caption(_("Runs on different datasets have no image in common."))
        return
    dataset = next(iter(datasets.values()))
    by_run = {
        label: {each.sample.position: each for each in reads.scored_samples(run)}
        for label, run in runs.items()
    }
    scored = {label: found for label, found in by_run.items() if found}
    common = set.intersection(*(set(found) for found in scored.values())) if scored else set()
    if not common:
        st.caption(_("No image has been scored by these runs yet."))
        return

    def spread(position: int) -> float:
        values = [found[position].dice for found in scored.values()]
        return max(values) - min(values)

    ordered = sorted(common, key=lambda position: (-spread(position), position))
    samples = {sample.position: sample for sample in reads.samples(dataset.id)}
    position = st.selectbox(
        _("Image, largest difference first"),
        ordered,
        format_func=lambda at: _("{name} · difference {spread}").format(
            name=samples[at].name, spread=formats.score(spread(at))
        ),
        key="compare_image",
        bind="query-params",
    )
    viewer(
        [
            run_pane(
                runs[label],
                dataset,
                samples[position],
                title=label,
                note=_("{split} · Dice {dice}").format(
                    split=split_word(found[position].score.split),
                    dice=formats.score(found[position].dice),
                ),
            )
            for label, found in scored.items()
        ],
        key="compare_viewer",
        texts=viewer_texts(),
        shown=("image", "errors"),
    )


st.subheader(_("Scores"))
headline_scores()
st.subheader(_("The same image under each run"))
same_image()
st.subheader(_("Curves"))
overlaid_curves()
st.subheader(_("Settings that differ"))
differences()
