"""What belongs together by its name."""

import time
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.datasets.plan import GroupPlan
from engine.datasets.splits.groups import (
    MAX_NAME_CHARS,
    GroupProposal,
    group_names,
    one_sequence,
    propose_groups,
)
from engine.errors import BadSetting

AUTO = GroupPlan()


def divided(groups: Iterable[str | None]) -> list[list[int]]:
    """Positions by group, in order of first member; those that stand alone on their own."""
    found: dict[object, list[int]] = {}
    for position, group in enumerate(groups):
        found.setdefault(position if group is None else group, []).append(position)
    return list(found.values())


def in_runs(num_groups: int, size: int) -> list[list[int]]:
    return [list(range(g * size, (g + 1) * size)) for g in range(num_groups)]


def proposal_of(names: Sequence[str]) -> GroupProposal:
    found = propose_groups(names)
    assert found is not None
    assert found.note.message.format(**found.note.facts)
    return found


SURE = {
    "BIDS": [f"sub-{s:02d}/anat/sub-{s:02d}_slice-{n}" for s in range(4) for n in range(3)],
    "BIDS below a folder": [f"data/sub-rat{s}/x_{n}" for s in range(4) for n in range(3)],
    "patient folders": [f"data/patient{s}/img{n}" for s in range(4) for n in range(3)],
    "patients and slides": [f"Patient-{s}_slide-{n}_a" for s in range(4) for n in range(3)],
    "cases and slices": [f"case_{s}_slice_{n:02d}" for s in range(4) for n in range(3)],
    "subjects": [f"subject {s}/{n}" for s in range(4) for n in range(3)],
    "slides": [f"slide{s}_{n}" for s in range(4) for n in range(3)],
    "mice": [f"mouse-A{s}_{n}" for s in range(4) for n in range(3)],
}


@pytest.mark.parametrize("kind", SURE)
def test_subjects_are_sure(kind: str) -> None:
    found = proposal_of(SURE[kind])
    assert found.sure and found.num_groups == 4
    assert divided(found.groups) == in_runs(4, 3)
    assert divided(group_names(SURE[kind], AUTO)) == in_runs(4, 3)


EYES = {
    "words": [f"{s}_{side}" for s in range(1, 8) for side in ("left", "right")],
    "letters after a number": [f"Image_{s:02d}{side}" for s in range(7) for side in "LR"],
    "letters": [f"img/{s:04d}_{side}" for s in range(7) for side in ("l", "r")],
    "Latin": [f"{s:04d}_{side}" for s in range(7) for side in ("OD", "OS")],
    "in the middle": [f"{s:04d}-{side}-photo" for s in range(7) for side in ("OD", "OS")],
}


@pytest.mark.parametrize("kind", EYES)
def test_both_eyes_are_sure_to_stay_together(kind: str) -> None:
    found = proposal_of(EYES[kind])
    assert found.sure
    assert divided(found.groups) == in_runs(7, 2)


def test_eyes_in_two_folders_stay_together() -> None:
    names = [f"{side}/{s:03d}" for side in ("left", "right") for s in range(5)]
    assert divided(group_names(names, AUTO)) == [[s, s + 5] for s in range(5)]


SUGGESTED = {
    "videos": [f"vid{v}_frame_{n:04d}" for v in range(4) for n in range(9)],
    "numbers before a word": [f"fine_{v}_{n}_fram" for v in range(4) for n in range(1, 10)],
    "tiles": [f"img{v:02d}_tile{n}" for v in range(4) for n in range(9)],
    "rows and columns": [f"a{v}_r{r}_c{c}" for v in range(4) for r in range(3) for c in range(3)],
    "offsets": [f"{v}_{y * 256}_{x * 256}" for v in "abcd" for y in range(3) for x in range(3)],
    "folders": [f"{v}/{n * n * 7}" for v in ("anna", "ben", "cem", "dora") for n in range(9)],
}


@pytest.mark.parametrize("kind", SUGGESTED)
def test_what_only_looks_like_a_group_is_suggested_and_not_taken(kind: str) -> None:
    found = proposal_of(SUGGESTED[kind])
    assert not found.sure
    assert divided(found.groups) == in_runs(4, 9)
    assert group_names(SUGGESTED[kind], AUTO) == [None] * 36


ENOUGH = {
    "videos": [f"vid{v}_frame_{n:04d}" for v in range(6) for n in range(9)],
    "tiles": [f"img{v:02d}_tile{n}" for v in range(6) for n in range(9)],
    "a folder for each patient": [
        f"TCGA_CS_49{v}/TCGA_CS_49{v}_{n}" for v in range(6) for n in range(9)
    ],
}


@pytest.mark.parametrize("kind", ENOUGH)
def test_likely_groups_are_kept_together_where_there_are_enough_of_them(kind: str) -> None:
    assert divided(group_names(ENOUGH[kind], AUTO)) == in_runs(6, 9)


def test_folders_alone_are_never_taken_as_they_may_be_classes() -> None:
    names = [
        f"{kind}/{n * n * 7}" for kind in ("crack", "hole", "fray", "a", "b", "c") for n in range(9)
    ]
    assert proposal_of(names).only_folders
    assert group_names(names, AUTO) == [None] * 54


def test_pages_of_one_file_stay_together_unless_there_are_few_files() -> None:
    pages = [f"images/scan{s}#{n:02d}" for s in range(4) for n in range(1, 8)]
    assert divided(group_names(pages, AUTO)) == in_runs(4, 7)
    one_stack = [f"train-volume#{n:02d}" for n in range(1, 31)]
    assert group_names(one_stack, AUTO) == [None] * 30


@pytest.mark.parametrize(
    "names",
    [
        [f"images/{n}" for n in range(30)],
        [f"case_{n:03d}" for n in range(30)],
        [f"{n}_training" for n in range(21, 41)],
        [f"fine_3_{n}_fram" for n in range(20)],
        [f"sub-01/x_{n}" for n in range(20)],
        [f"img_r{r}_c{c}" for r in range(3) for c in range(3)],
        [f"{n:02d}_{kind}" for n in range(1, 16) for kind in ("dr", "g", "h")],
        [f"frame_{n}_r" for n in range(9)],
        [f"a/{n:02x}{n * 7919 % 256:02x}/images/{n}" for n in range(20)],
        ["a", "b"],
        ["left", "right"],
        [],
    ],
)
def test_names_that_divide_nothing_propose_nothing(names: list[str]) -> None:
    assert propose_groups(names) is None
    assert group_names(names, AUTO) == [None] * len(names)


def test_names_beside_the_rule_stand_alone() -> None:
    names = [*SURE["patient folders"], "data/other"]
    assert divided(group_names(names, AUTO)) == [*in_runs(4, 3), [12]]
    strangers = [f"data/other{chr(97 + n)}" for n in range(9)]
    assert group_names([*SURE["patient folders"], *strangers], AUTO) == [None] * 21


def test_upper_and_lower_case_name_the_same_patient() -> None:
    names = ["Patient1_a", "patient1_b", "patient2_a", "PATIENT2_b"]
    assert divided(group_names(names, AUTO)) == [[0, 1], [2, 3]]


def test_one_numbered_sequence_is_recognised() -> None:
    assert one_sequence([f"a/fine_3_{n}_fram" for n in range(1, 20)]) == "a/fine_3_"
    assert one_sequence([f"{n}" for n in range(30)]) == ""
    assert one_sequence([f"a_{n * n}" for n in range(30)]) is None
    assert one_sequence([f"vid{v}_{n}" for v in range(2) for n in range(9)]) is None
    assert one_sequence(["a_1", "a_2"]) is None
    assert one_sequence(["a", "b", "c"]) is None
    assert one_sequence([]) is None


def test_groups_by_folder_are_the_images_folders() -> None:
    names = ["a/1", "a/2", "a/b/1", "3"]
    assert group_names(names, GroupPlan(by="folder")) == ["a", "a", "a/b", None]
    assert group_names(names, GroupPlan(by="none")) == [None] * 4


@pytest.mark.parametrize(
    ("pattern", "groups"),
    [
        (r"^(\w)", ["a", "b", "a"]),
        (r"\d+", ["12", "7", None]),
        (r"(\d)?_x", [None, "7", None]),
        (r"(.*[^0-9])[0-9]+[^0-9]*$", ["a_", "b", None]),
        (r"(.+?)[ _.-]?(?:tile|patch|r|x)[ _.-]?[0-9]+", [None, None, None]),
        (r"(?P<who>a)(_)", ["a", None, "a"]),
        (r"a{1,3}_", ["a_", None, "a_"]),
        (r"[(a+)+]_", ["a_", None, "a_"]),
        (r"\(+\)+", [None, None, None]),
    ],
)
def test_a_pattern_names_the_group(pattern: str, groups: list[str | None]) -> None:
    plan = GroupPlan(by="pattern", pattern=pattern)
    assert group_names(["a_12", "b7_x", "a_"], plan) == groups


@pytest.mark.parametrize("pattern", ["(", "[", "*", "(?P<a>x)(?P<a>y)", "a{99999999999}", "\\"])
def test_a_broken_pattern_is_refused_with_a_reason(pattern: str) -> None:
    with pytest.raises(BadSetting, match="is no regular expression"):
        group_names(["a"], GroupPlan(by="pattern", pattern=pattern))


EXPLODING = ["(a+)+$", "(a|aa)*$", "(a*){2,}b", "((a+)b?)*c", "(?:x(?:y)*)+", "(.*)*", "a*a*a*a*b"]


@pytest.mark.parametrize("pattern", [*EXPLODING, r"(\w{1,30}x?){1,30}$"])
def test_a_pattern_that_could_take_forever_is_refused_at_once(pattern: str) -> None:
    with pytest.raises(BadSetting, match="could take forever"):
        group_names(["a" * 60 + "!"], GroupPlan(by="pattern", pattern=pattern))


def test_a_pattern_that_takes_too_long_in_all_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 1.0, 20.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(times))
    with pytest.raises(BadSetting, match="takes more than 10 seconds"):
        group_names(["a", "b", "c"], GroupPlan(by="pattern", pattern="a"))


def test_of_very_long_names_a_pattern_sees_the_end() -> None:
    name = "patient1_" + "x" * MAX_NAME_CHARS + "_7"
    assert group_names([name], GroupPlan(by="pattern", pattern=r"_(\d)$")) == ["7"]
    assert group_names([name], GroupPlan(by="pattern", pattern="patient")) == [None]


@given(st.lists(st.text("ab01_-/ LRslice", max_size=12), max_size=30))
def test_any_names_are_answered(names: list[str]) -> None:
    proposal = propose_groups(names)
    assert len(group_names(names, AUTO)) == len(names)
    if proposal is not None:
        assert len(proposal.groups) == len(names)
        assert proposal.num_groups >= 2
    one_sequence(names)
