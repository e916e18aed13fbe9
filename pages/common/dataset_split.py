"""The split of a dataset: its parts, groups and leaks, and how another one would look."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, get_args

import pandas as pd
import streamlit as st

from engine.config import RECIPES, SplitConfig, with_changes
from engine.datasets.plan import GroupPlan
from engine.datasets.splits import Assignment, Member, leaks, make_split
from engine.datasets.splits.groups import group_names
from engine.datasets.versions import Change
from engine.errors import WorkbenchError
from engine.store.datasets import Dataset, Sample
from engine.store.runs import SPLIT_NAMES, Split
from pages.common import columns, dataset_findings, dataset_versions, formats, reads
from pages.common.dataset_numbers import Group, fold_sizes, groups_of, parts_of
from pages.common.review.changes import validated
from pages.common.review.split import grouping_meaning, grouping_word, method_meaning, method_word
from pages.common.texts import _, error_text, split_word

METHODS = ("random", "stratified", "interleaved", "k_fold")
"""Without the archive, what its folders said is no longer known."""
KEEP = "keep"
"""The groups stay as they are."""
_NUMBERS = {
    "interleaved": ("val_share", "test_share"),
    "k_fold": ("test_share", "num_folds", "split_seed"),
}
_ROWS_SHOWN = 100
_TABLE_HEIGHT_PX = 260


def view(dataset: Dataset) -> None:
    """The split as it is at the left, another one at the right."""
    samples, names = reads.samples(dataset.id), reads.sample_names(dataset.id)
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader(_("The split"))
        _parts_table(dataset, samples, key="dataset_parts")
        st.caption(
            _("Stored with the dataset and the same for all its runs. Groups and copies of the ")
            + _("same image are never divided, unless the archive's own folders do so.")
        )
        _folds(samples)
        _leaks(dataset, samples, names)
        _groups(groups_of(samples), samples)
    with right, st.container(border=True):
        st.subheader(_("Another split"))
        _another(dataset, samples, names)


def _parts_table(dataset: Dataset, samples: Sequence[Sample], key: str) -> None:
    parts = parts_of(dataset, samples)
    table = pd.DataFrame(
        [
            {
                "part": _("all") if name == "all" else split_word(name),
                "samples": part.num_samples,
                "share": 100 * part.num_samples / len(samples),
            }
            | {
                f"class_{entry.index}": 100 * part.class_share[entry.index]
                for entry in dataset.classes
            }
            for name, part in parts.items()
        ]
    )
    st.dataframe(
        table,
        hide_index=True,
        key=key,
        alt=_("The parts of the split and their share of each class"),
        column_config={
            "part": st.column_config.TextColumn(_("Part")),
            "samples": st.column_config.NumberColumn(_("Samples"), format="localized"),
            "share": columns.share(_("Share")),
            **columns.class_columns(dataset, as_share=True),
        },
    )


def _folds(samples: Sequence[Sample]) -> None:
    sizes = fold_sizes(samples)
    if not sizes:
        return
    st.markdown(
        _("**{num} folds** that each validate once, with {sizes} samples.").format(
            num=len(sizes), sizes=", ".join(str(size) for size in sizes.values())
        )
    )
    st.caption(_("A run trains on one of them: choose it by “Fold” in the settings of a training."))


def _leaks(dataset: Dataset, samples: Sequence[Sample], names: Sequence[str]) -> None:
    found = leaks(samples, split_of(samples))
    if not found:
        st.markdown(
            _(":green[:material/check_circle:] No image has a copy in another part.")
            if any(sample.twins is not None for sample in samples) or samples[0].facts
            else _(":gray[:material/info:] Copies were not looked for when this was imported.")
        )
        return
    num = sum(map(len, found))
    st.markdown(
        f"{dataset_findings.ICONS['error']} "
        + _("**{num} samples** have copies in another part, so scores would be too good.").format(
            num=formats.count(num)
        )
    )
    rows = [
        {"copy": number, "sample": names[p], "part": split_word(samples[p].split)}
        for number, cluster in enumerate(found, start=1)
        for p in cluster
    ]
    st.dataframe(
        pd.DataFrame(rows[:_ROWS_SHOWN]),
        hide_index=True,
        height="content" if len(rows) <= 6 else _TABLE_HEIGHT_PX,
        key="dataset_leaks",
        alt=_("Samples with copies in another part"),
        column_config={
            "copy": st.column_config.NumberColumn(_("Cluster"), width="small"),
            "sample": _("Sample"),
            "part": _("Part"),
        },
    )
    held_out = [p for cluster in found for p in cluster if samples[p].split != "train"]
    change = Change(to_train=tuple(held_out))
    dataset_versions.fix_button(
        dataset, change, _("Keep copies together"), key="dataset_fix_split", is_urgent=True
    )


def _groups(groups: Sequence[Group], samples: Sequence[Sample]) -> None:
    st.markdown(groups_sentence([len(group.positions) for group in groups], len(samples)))
    if groups:
        st.dataframe(
            {
                "group": [group.name for group in groups[:_ROWS_SHOWN]],
                "samples": [len(group.positions) for group in groups[:_ROWS_SHOWN]],
                "parts": [
                    ", ".join(map(split_word, group.splits)) for group in groups[:_ROWS_SHOWN]
                ],
            },
            hide_index=True,
            height="content" if len(groups) <= 6 else _TABLE_HEIGHT_PX,
            key="dataset_groups",
            alt=_("The largest groups"),
            column_config={
                "group": _("Group"),
                "samples": st.column_config.NumberColumn(_("Samples"), width="small"),
                "parts": _("Parts"),
            },
        )


def _another(dataset: Dataset, samples: Sequence[Sample], names: Sequence[str]) -> None:
    try:
        config, groups, is_complete = _wishes(dataset)
        if not is_complete:
            st.caption(_("Type a pattern to see what it gives."))
            return
        assignment, group_of = outcome(samples, config, groups)
    except WorkbenchError as error:
        st.error(formats.plain(error_text(error)), icon=":material/error:")
        return
    new = [
        replace(sample, split=part)  # type: ignore[arg-type]
        for sample, part in zip(samples, assignment.split, strict=True)
    ]
    _parts_table(dataset, new, key="dataset_new_parts")
    sizes = list(Counter(group for group in group_of if group is not None).values())
    st.caption(groups_sentence(sizes, len(samples)))
    if st.button(_("Make a version with it"), icon=":material/library_add:"):
        change = Change(split=config, groups=groups)
        sentences = [_("A new split: {method}.").format(method=method_word(config.split_method))]
        if groups is not None:
            sentences.append(_("Kept together: {by}.").format(by=grouping_word(groups.by)))
        dataset_versions.ask(dataset, change, sentences, assignment.split)


def _wishes(dataset: Dataset) -> tuple[SplitConfig, GroupPlan | None, bool]:
    """What a person asks for, and whether that is all there. Raises `BadSetting`."""
    method = st.segmented_control(
        _("Method"), METHODS, default="random", required=True, format_func=method_word,
        key=f"dataset_method_{dataset.id}",
    ) or "random"  # fmt: skip
    st.caption(method_meaning(method))
    values: dict[str, Any] = {"split_method": method}
    with st.container(horizontal=True):
        for name in _NUMBERS.get(method, ("val_share", "test_share", "split_seed")):
            values[name] = _number(dataset, name)
    by = st.segmented_control(
        _("Keep together"),
        (KEEP, *get_args(GroupPlan.model_fields["by"].annotation)),
        default=KEEP,
        required=True,
        format_func=lambda each: _("As now") if each == KEEP else grouping_word(each),
        key=f"dataset_by_{dataset.id}",
    ) or KEEP  # fmt: skip
    st.caption(_("The groups stay as they are.") if by == KEEP else grouping_meaning(by))
    pattern = ""
    if by == "pattern":
        pattern = st.text_input(
            _("Group pattern"),
            max_chars=200,
            help=_(GroupPlan.model_fields["pattern"].description or ""),
            key=f"dataset_pattern_{dataset.id}",
        )
    config = with_changes(RECIPES["tutorial"], values).split
    if by == KEEP:
        return config, None, True
    if by == "pattern" and not pattern:
        return config, None, False
    return config, validated(GroupPlan, {"by": by, "pattern": pattern}), True


def _number(dataset: Dataset, name: str) -> float | int | None:
    field = SplitConfig.model_fields[name]
    is_share = field.annotation is float
    return st.number_input(
        _(field.title or name),
        value=field.default,
        step=0.05 if is_share else 1,
        format="%.2f" if is_share else "%d",
        help=_(field.description or ""),
        key=f"dataset_{name}_{dataset.id}",
        width=150,
    )


def outcome(
    samples: Sequence[Sample], config: SplitConfig, groups: GroupPlan | None
) -> tuple[Assignment, list[str | None]]:
    """The split that a new version would have, and the group of each sample.

    Args:
        groups: None to keep those that are stored.

    Raises:
        BadData: there is too little that can be told apart.
        BadSetting: the pattern of the groups cannot be used.
    """
    if groups is None:
        named = [sample.group for sample in samples]
    else:
        named = list(group_names([sample.name for sample in samples], groups))
    members = [
        Member(
            folder_split=None,
            group=group,
            twins=sample.twins,
            classes=frozenset(i for i, pixels in enumerate(sample.class_pixels) if pixels),
        )
        for sample, group in zip(samples, named, strict=True)
    ]
    return make_split(members, config), named


def split_of(samples: Sequence[Sample]) -> Split:
    """The stored split as positions by part."""
    return {
        name: [sample.position for sample in samples if sample.split == name]
        for name in SPLIT_NAMES
    }


def groups_sentence(sizes: Sequence[int], num_samples: int) -> str:
    """How many groups there are, how large, and how many samples have none."""
    if not sizes:
        return _("No groups: every sample stands alone.")
    return _("{groups} groups, the largest with {largest} samples; {alone} samples alone.").format(
        groups=formats.count(len(sizes)),
        largest=formats.count(max(sizes)),
        alone=formats.count(num_samples - sum(sizes)),
    )
