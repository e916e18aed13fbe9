"""What a split and its groups give before anything is stored."""

import pytest

from engine.config import SplitConfig
from engine.datasets.pairing import Pair
from engine.datasets.plan import GroupPlan
from engine.errors import BadSetting
from pages.common.review import split


def pairs(*names, part=None):
    return [Pair(name, f"{name}.png", (f"{name}_mask.png",), part) for name in names]


AUTO = SplitConfig(val_share=0.2, test_share=0.2)


def test_every_pair_is_in_one_part():
    found = split.outcome(pairs(*map(str, range(10))), AUTO, GroupPlan())
    assert list(found.sizes) == ["train", "val", "test"]
    assert sum(found.sizes.values()) == 10
    assert all(found.sizes.values())
    assert found.num_alone == 10 and not found.group_sizes
    assert split.groups_sentence(found) == "No groups: every sample stands alone."


def test_folders_are_kept():
    named = pairs("a", "b", "c", part="train") + pairs("d", part="val") + pairs("e", part="test")
    found = split.outcome(named, AUTO, GroupPlan(by="none"))
    assert found.sizes == {"train": 3, "val": 1, "test": 1}


def test_groups_are_counted_the_largest_first():
    names = [f"p{patient}_{number}" for patient in range(4) for number in range(1 + patient)]
    found = split.outcome(pairs(*names, "other"), AUTO, GroupPlan(by="pattern", pattern=r"(p\d)_"))
    assert list(found.group_sizes) == ["p3", "p2", "p1", "p0"]
    assert found.num_alone == 1
    assert split.groups_sentence(found) == (
        "4 groups, the largest with 4 samples. Samples without a group: 1."
    )
    table = split.groups_table(found)
    assert list(table["samples"]) == [4, 3, 2, 1]


def test_broken_pattern_is_refused():
    with pytest.raises(BadSetting):
        split.check_groups(pairs("a"), GroupPlan(by="pattern", pattern="("))


@pytest.mark.parametrize(
    "names, example",
    [
        ([f"vid{v}_frame_{n:04d}" for v in range(3) for n in range(9)], "vid0_frame_0000"),
        ([f"img{i}_tile{n}" for i in range(4) for n in range(4)], "img0_tile0"),
        ([f"img{i}_r{r}_c{c}" for i in range(4) for r in range(2) for c in range(2)], "img0_r0_c0"),
        ([f"im{i}_{y}_{x}" for i in range(4) for y in (0, 512) for x in (0, 512)], "im0_0_0"),
    ],
)
def test_suggestion_of_the_names_can_be_followed(names, example):
    assert example in names
    found = split.suggestion(pairs(*names))
    assert found is not None and found.plan is not None
    groups = split.outcome(pairs(*names), AUTO, found.plan).group_sizes
    assert len(groups) == len({name.split("_")[0] for name in names})
    assert sum(groups.values()) == len(names)


@pytest.mark.parametrize(
    "names",
    [
        [f"cell_{number}" for number in range(20)],
        ["oak", "elm", "ash"],
        [f"patient{p}_{n}" for p in range(4) for n in range(3)],
    ],
)
def test_nothing_is_suggested_where_there_is_nothing_to_decide(names):
    assert split.suggestion(pairs(*names)) is None


def test_every_method_and_grouping_has_its_words():
    for words in (split.method_word, split.method_meaning):
        assert len({words(method) for method in split.METHODS}) == len(split.METHODS)
    by = ("auto", "none", "folder", "pattern")
    for words in (split.grouping_word, split.grouping_meaning):
        assert len({words(each) for each in by}) == len(by)
