"""What a split and its groups give for the pairs of an archive. Pure functions of the engine's."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from engine.config import SplitConfig
from engine.datasets.pairing import Pair
from engine.datasets.plan import GroupPlan
from engine.datasets.splits import Member, make_split
from engine.datasets.splits.groups import group_names, propose_groups
from engine.notes import Note
from engine.store.datasets import SplitName
from pages.common import formats
from pages.common.texts import _

METHODS = ("dataset", "random", "stratified", "interleaved", "k_fold")
PARTS: tuple[SplitName, ...] = ("train", "val", "test")
GROUPS_SHOWN = 100

_WAYS_TO_SAY_IT = (
    GroupPlan(by="folder"),
    # What stands before the last number: frames of a video, slices of a stack.
    GroupPlan(by="pattern", pattern=r"(.*[^0-9])[0-9]+[^0-9]*$"),
    # Tiles of a picture: a_tile3, a_r0_c1, a_0_512.
    GroupPlan(by="pattern", pattern=r"(.+?)[ _.-]?(?:tile|patch|crop|r|row|x|y)[ _.-]?[0-9]+"),
    GroupPlan(by="pattern", pattern=r"(.+)[ _.-][0-9]+[ _.-][0-9]+$"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What a split gives before duplicates are known, which the import adds to the groups."""

    sizes: dict[str, int]
    """Samples by part."""
    group_sizes: dict[str, int]
    """Samples by group, the largest first."""
    num_alone: int
    """Samples without a group."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Suggestion:
    """What may belong together."""

    note: Note
    plan: GroupPlan | None
    """How to keep it together; None when that needs a pattern that a person writes."""


def method_word(method: str) -> str:
    """A way to split."""
    return {
        "dataset": _("Automatic"),
        "random": _("Random"),
        "stratified": _("Stratified"),
        "interleaved": _("Interleaved"),
        "k_fold": _("k-fold"),
    }[method]


def method_meaning(method: str) -> str:
    """What a way to split does, in a sentence."""
    return {
        "dataset": _("Folders such as train/ and test/ are kept where there are any; else random."),
        "random": _("Shuffled with the seed: the same seed gives the same split."),
        "stratified": _("As random, and every part gets its share of each class."),
        "interleaved": _("Every n-th sample is held out, as one does with slices of a stack."),
        "k_fold": _("What is not test is divided into folds, each of which validates once."),
    }[method]


def number_word(name: str) -> str:
    """A number among the settings of a split."""
    return {
        "val_share": _("Validation share"),
        "test_share": _("Test share"),
        "split_seed": _("Seed"),
        "num_folds": _("Folds"),
    }[name]


def number_meaning(name: str) -> str:
    """What a number does, in a sentence."""
    return {
        "val_share": _("Share of the samples that chooses the best epoch, up to 0.5."),
        "test_share": _("Share of the samples that no epoch looks at, 0 to 0.5."),
        "split_seed": _("The same samples, shares and seed give the same split."),
        "num_folds": _("How many parts there are, 2 to 20."),
    }[name]


def grouping_word(by: str) -> str:
    """A way to find the samples that stay together."""
    return {
        "auto": _("Automatic"),
        "none": _("Only duplicates"),
        "folder": _("By folder"),
        "pattern": _("By a pattern"),
    }[by]


def grouping_meaning(by: str) -> str:
    """What a way to group does, in a sentence."""
    return {
        "auto": _(
            "What the names tell, such as a patient's eyes or a video's frames, stays together."
        ),
        "none": _("Nothing but duplicates stays together."),
        "folder": _("Samples of one folder stay together."),
        "pattern": _("Samples whose names have the same in the first parentheses stay together."),
    }[by]


def outcome(pairs: Sequence[Pair], config: SplitConfig, groups: GroupPlan) -> Outcome:
    """Divide the pairs.

    Raises:
        BadData: there are too few, or all of them belong together.
        BadSetting: the pattern of the groups cannot be used.
    """
    named = group_names([pair.sample for pair in pairs], groups)
    members = [
        Member(folder_split=pair.split, group=group, twins=None, classes=frozenset())
        for pair, group in zip(pairs, named, strict=True)
    ]
    assignment = make_split(members, config)
    sizes = Counter(assignment.split)
    group_sizes = Counter(group for group in named if group is not None)
    return Outcome(
        sizes={part: sizes[part] for part in PARTS},
        group_sizes=dict(group_sizes.most_common()),
        num_alone=named.count(None),
    )


def suggestion(pairs: Sequence[Pair]) -> Suggestion | None:
    """What the names suggest to keep together and do not say for sure."""
    names = [pair.sample for pair in pairs]
    proposal = propose_groups(names)
    if proposal is None or proposal.sure:
        return None
    wanted = _partition(proposal.groups)
    plan = next(
        (each for each in _WAYS_TO_SAY_IT if _partition(group_names(names, each)) == wanted), None
    )
    return Suggestion(note=proposal.note, plan=plan)


def check_groups(pairs: Sequence[Pair], groups: GroupPlan) -> None:
    """Find out whether the groups can be told. Raises `BadSetting`."""
    group_names([pair.sample for pair in pairs], groups)


def groups_table(found: Outcome) -> pd.DataFrame:
    """The largest groups, one row each."""
    shown = list(found.group_sizes.items())[:GROUPS_SHOWN]
    return pd.DataFrame(
        {"group": [name for name, _size in shown], "samples": [size for _name, size in shown]}
    )


def groups_sentence(found: Outcome) -> str:
    """How many groups there are, and how many samples have none."""
    if not found.group_sizes:
        return _("No groups: every sample stands alone.")
    sentence = _("{groups} groups, the largest with {largest} samples.").format(
        groups=len(found.group_sizes), largest=max(found.group_sizes.values())
    )
    if found.num_alone:
        alone = _("Samples without a group: {num}.").format(num=formats.count(found.num_alone))
        sentence = f"{sentence} {alone}"
    return sentence


def _partition(groups: Sequence[str | None]) -> list[int | None]:
    """Which samples have the same group, whatever it is called."""
    numbers: dict[str, int] = {}
    return [None if group is None else numbers.setdefault(group, len(numbers)) for group in groups]
