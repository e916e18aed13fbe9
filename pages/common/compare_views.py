"""The views of the comparison: scores, the same image under each run, curves, settings.

`runs` maps the label that stands for a run on the page to the run.
"""

from collections.abc import Mapping, Sequence

import streamlit as st

from engine.store.datasets import Dataset
from engine.store.runs import Run
from pages.common import charts, columns, formats, links, reads, tables
from pages.common.parts import run_pane
from pages.common.reads import ScoredSample
from pages.common.texts import (
    MOST_WANTED_SPLITS,
    _,
    score_rules,
    split_word,
    training_size_note,
    viewer_texts,
)
from pages.common.viewer import viewer

ByPosition = dict[int, ScoredSample]


def headline_scores(runs: Mapping[str, Run], datasets: Mapping[str, Dataset]) -> None:
    """The scores of each run on one split, one table per dataset."""
    summaries = {label: reads.summaries(run) for label, run in runs.items()}
    present = [
        split for split in MOST_WANTED_SPLITS if any(split in each for each in summaries.values())
    ]
    if not present:
        st.caption(_("No run has been scored yet; scores come when a training has ended."))
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        split = _split_switch(present)
        with st.popover(_("How these numbers are computed"), icon=":material/info:"):
            st.markdown(score_rules())
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
                placeholder=formats.MISSING,
                column_config=columns.summary_columns(dataset, _("Run")),
            )
    _warn_of_unequal_footing(runs, datasets, split)


def _split_switch(present: list[str]) -> str:
    chosen = st.segmented_control(
        _("Split"),
        present,
        default=links.asked_choice("split", present, present[0]),
        required=True,
        format_func=split_word,
        key="compare_split",
        on_change=links.remember,
        args=("split", "compare_split", present[0]),
        label_visibility="collapsed",
    )
    return chosen or present[0]


def _warn_of_unequal_footing(
    runs: Mapping[str, Run], datasets: Mapping[str, Dataset], split: str
) -> None:
    if len(datasets) > 1:
        st.warning(
            _("These runs are on different datasets: their scores cannot be compared."),
            icon=":material/warning:",
        )
        return
    scored = [_positions(run, split) for run in runs.values()]
    if len({positions for positions in scored if positions}) > 1:
        st.warning(
            _(
                "These runs were scored on different images of this split, so the averages above "
                "are not on equal footing. Look at single images below."
            ),
            icon=":material/warning:",
        )


def _positions(run: Run, split: str) -> frozenset[int]:
    return frozenset(
        each.sample.position for each in reads.scored_samples(run) if each.score.split == split
    )


def same_image(runs: Mapping[str, Run], datasets: Mapping[str, Dataset]) -> None:
    """One image under each run, zoomed and moved together."""
    if len(datasets) > 1:
        st.caption(_("Runs on different datasets have no image in common."))
        return
    scored: dict[str, ByPosition] = {
        label: {each.sample.position: each for each in reads.scored_samples(run)}
        for label, run in runs.items()
        if reads.scored_samples(run)
    }
    common = set.intersection(*(set(found) for found in scored.values())) if scored else set()
    if not common:
        st.caption(_("No image has been scored by these runs yet."))
        return
    dataset = next(iter(datasets.values()))
    position = _image_choice(scored, common, reads.sample_names(dataset.id))
    viewer(
        [
            run_pane(
                runs[label],
                dataset,
                found[position].sample,
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


def _image_choice(scored: Mapping[str, ByPosition], common: set[int], names: Sequence[str]) -> int:
    """Which image: those no run was trained on first, then by how much the runs differ."""

    def spread(position: int) -> float:
        values = [found[position].dice for found in scored.values()]
        return max(values) - min(values)

    def splits(position: int) -> list[str]:
        return [found[position].score.split for found in scored.values()]

    def label(position: int) -> str:
        words = " / ".join(split_word(split) for split in dict.fromkeys(splits(position)))
        return _("{name} · {split} · difference {spread}").format(
            name=names[position],
            split=words,
            spread=formats.score(spread(position)),
        )

    ordered = sorted(common, key=lambda at: (splits(at).count("train"), -spread(at), at))
    asked = links.asked_image()
    return st.selectbox(
        _("Image; largest difference first, training images last"),
        ordered,
        ordered.index(asked) if asked in common else 0,
        format_func=label,
        key="compare_image",
        on_change=links.remember,
        args=("image", "compare_image"),
    )


def curves(runs: Mapping[str, Run]) -> None:
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


def differing_settings(runs: Mapping[str, Run]) -> None:
    """The settings that are not the same."""
    differing = tables.differing_settings(runs)
    if differing.empty:
        st.caption(_("All settings agree."))
    else:
        st.dataframe(differing, hide_index=True, height="content")
