"""Splits: complete, apart, repeatable, and never through the middle of what belongs together."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from engine.config import SplitConfig
from engine.datasets.splits import Assignment, Member, leaks, make_split, split_of_run
from engine.datasets.splits.units import find_units, take_units
from engine.errors import BadData, BadSetting
from engine.store.datasets import Sample

METHODS = ("random", "stratified", "interleaved", "k_fold")


def member(
    group: str | None = None,
    twins: int | None = None,
    folder_split: Any = None,
    classes: Sequence[int] = (0, 1),
) -> Member:
    return Member(folder_split=folder_split, group=group, twins=twins, classes=frozenset(classes))


configs = st.builds(
    SplitConfig,
    split_method=st.sampled_from(METHODS),
    val_share=st.floats(0.001, 0.5),
    test_share=st.one_of(st.just(0.0), st.floats(0.001, 0.5)),
    split_seed=st.integers(0, 2**31 - 1),
    num_folds=st.integers(2, 6),
    fold=st.integers(1, 2),
)
members_alone = st.integers(2, 300).map(lambda num: [member() for _ in range(num)])
members_together = st.lists(
    st.builds(
        member,
        group=st.none() | st.integers(0, 9).map(str),
        twins=st.none() | st.integers(0, 9),
        classes=st.frozensets(st.integers(0, 4)).map(tuple),
    ),
    min_size=2,
    max_size=80,
)


def units_of(members: Sequence[Member]) -> list[list[int]]:
    return find_units([(each.group, each.twins) for each in members])


def split_if_possible(members: Sequence[Member], config: SplitConfig) -> Assignment:
    needed = config.num_folds if config.split_method == "k_fold" else 2
    assume(len(units_of(members)) >= needed)
    return make_split(members, config)


def positions(assignment: Assignment) -> dict[str, list[int]]:
    return {
        part: [place for place, own in enumerate(assignment.split) if own == part]
        for part in ("train", "val", "test")
    }


@given(members_alone | members_together, configs)
def test_every_sample_is_in_one_part_and_no_unit_in_two(
    members: list[Member], config: SplitConfig
) -> None:
    found = split_if_possible(members, config)
    units = units_of(members)
    assert len(found.split) == len(found.fold) == len(members)
    assert {"train", "val"} <= set(found.split) <= {"train", "val", "test"}
    assert all(len({found.split[place] for place in unit}) == 1 for unit in units)
    assert all(len({found.fold[place] for place in unit}) == 1 for unit in units)
    if config.split_method != "k_fold":
        assert set(found.fold) == {None}
        assert ("test" in found.split) == (config.test_share > 0 and len(units) >= 3)


@given(members_alone | members_together, configs)
def test_the_same_input_gives_the_same_split(members: list[Member], config: SplitConfig) -> None:
    assert split_if_possible(members, config) == make_split(list(members), config)


@given(members_together, configs)
def test_folds_divide_all_that_is_not_test(members: list[Member], config: SplitConfig) -> None:
    config = config.model_copy(update={"split_method": "k_fold"})
    found = split_if_possible(members, config)
    for part, fold in zip(found.split, found.fold, strict=True):
        assert (part == "test") == (fold is None)
        assert (part == "val") == (fold == config.fold)
    sizes = Counter(fold for fold in found.fold if fold is not None)
    assert set(sizes) == set(range(1, config.num_folds + 1))
    largest = max(map(len, units_of(members)))
    assert max(sizes.values()) - min(sizes.values()) <= largest


@given(
    st.lists(st.tuples(st.integers(1, 4), st.frozensets(st.integers(0, 3))), min_size=12),
    st.floats(0.001, 0.3),
    st.floats(0, 0.3),
    st.sampled_from(["random", "stratified"]),
)
def test_shares_are_missed_by_less_than_one_unit(
    units: list[tuple[int, frozenset[int]]], val_share: float, test_share: float, method: Any
) -> None:
    members = [
        member(group=str(number), classes=tuple(classes))
        for number, (size, classes) in enumerate(units)
        for _ in range(size)
    ]
    config = SplitConfig(split_method=method, val_share=val_share, test_share=test_share)
    found = positions(make_split(members, config))
    largest = max(size for size, _ in units)
    for part, share in (("val", val_share), ("test", test_share)):
        wanted = max(1, round(len(members) * share)) if share else 0
        assert abs(len(found[part]) - wanted) < largest or len(found[part]) == wanted


@given(st.lists(st.integers(1, 30), min_size=3, max_size=40), st.integers(1, 300))
def test_no_choice_of_units_comes_closer_to_the_wanted_size(sizes: list[int], wanted: int) -> None:
    units = [[0] * size for size in sizes]
    wanted = min(wanted, sum(sizes) // 2)
    taken, rest = take_units(units, max(1, wanted), num_kept=0)
    reachable = {0}
    for size in sizes:
        reachable |= {total + size for total in reachable}
    reached = sum(map(len, taken))
    assert reached + sum(map(len, rest)) == sum(sizes)
    best = min(abs(total - max(1, wanted)) for total in reachable - {0})
    assert abs(reached - max(1, wanted)) == best


@given(st.integers(10, 300), st.integers(0, 1000), st.sampled_from(["random", "stratified"]))
def test_samples_that_stand_alone_give_exactly_the_rounded_shares(
    num: int, seed: int, method: Any
) -> None:
    config = SplitConfig(split_method=method, val_share=0.2, test_share=0.1, split_seed=seed)
    found = positions(make_split([member() for _ in range(num)], config))
    assert len(found["val"]) == round(num * 0.2)
    assert len(found["test"]) == round(num * 0.1)


@pytest.mark.parametrize("method", ["random", "stratified", "k_fold"])
def test_another_seed_gives_another_split(method: Any) -> None:
    members = [member() for _ in range(50)]
    splits = [make_split(members, SplitConfig(split_method=method, split_seed=s)) for s in (0, 1)]
    assert splits[0] != splits[1]


def test_a_seeds_split_stays_what_it_is_for_good() -> None:
    config = SplitConfig(split_method="random", val_share=0.2, test_share=0.2, split_seed=0)
    assert positions(make_split([member() for _ in range(10)], config)) == {
        "train": [0, 1, 3, 5, 8, 9],
        "val": [4, 6],
        "test": [2, 7],
    }


def interleaved(num_samples: int, val_share: float, test_share: float) -> dict[str, list[int]]:
    config = SplitConfig(split_method="interleaved", val_share=val_share, test_share=test_share)
    return positions(make_split([member() for _ in range(num_samples)], config))


def test_every_fifth_slice_of_a_stack_is_held_out() -> None:
    split = interleaved(30, 0.2, 0)
    assert split["val"] == [4, 9, 14, 19, 24, 29]
    assert split["test"] == []


def test_interleaved_validation_and_test_alternate() -> None:
    split = interleaved(30, 0.1, 0.1)
    assert split["val"] == [4, 14, 24]
    assert split["test"] == [9, 19, 29]
    split = interleaved(30, 0.2, 0.1)
    # Every third of 30 makes ten; the 4th, 7th and 10th of them are for the test.
    assert split["val"] == [2, 5, 8, 14, 17, 23, 26]
    assert split["test"] == [11, 20, 29]


def test_tiny_interleaved_datasets_still_train_and_validate() -> None:
    assert interleaved(2, 0.15, 0.15) == {"train": [0], "val": [1], "test": []}
    assert interleaved(3, 0.15, 0.15) == {"train": [0], "val": [1], "test": [2]}
    assert interleaved(4, 0.1, 0) == {"train": [0, 1, 2], "val": [3], "test": []}


def test_a_unit_larger_than_the_validation_share_is_trained_on() -> None:
    members = [member(group="large" if n % 10 >= 4 else None) for n in range(50)]
    for method in ("random", "stratified", "interleaved"):
        config = SplitConfig(split_method=method, val_share=0.2, test_share=0.1)
        split = make_split(members, config).split
        assert {split[n] for n in range(50) if n % 10 >= 4} == {"train"}


def test_a_group_and_a_twin_of_one_of_its_members_are_one_unit() -> None:
    members = [
        member(group="a", twins=1),
        member(group="b"),
        member(twins=1, group="c"),
        member(group="c"),
        member(),
    ]
    assert units_of(members) == [[0, 2, 3], [1], [4]]


def test_stratified_gives_every_part_a_class_that_a_random_split_would_miss() -> None:
    members = [member(classes=(0, 1, 2) if n < 6 else (0, 1)) for n in range(120)]
    for seed in range(20):
        config = SplitConfig(split_method="stratified", split_seed=seed)
        found = positions(make_split(members, config))
        for part, share in (("train", 0.7), ("val", 0.15), ("test", 0.15)):
            holders = [place for place in found[part] if 2 in members[place].classes]
            assert holders, part
            assert abs(len(holders) - 6 * share) < 2


def test_stratified_divides_frequent_classes_by_the_shares() -> None:
    kinds = [(0,), (0, 1), (0, 2), (0, 1, 2)]
    members = [member(classes=kinds[n % 4]) for n in range(400)]
    found = positions(make_split(members, SplitConfig(split_method="stratified")))
    for part, share in (("train", 0.7), ("val", 0.15), ("test", 0.15)):
        counts = Counter(members[place].classes for place in found[part])
        assert all(abs(counts[frozenset(kind)] - 100 * share) <= 2 for kind in kinds)


def test_every_sample_validates_in_exactly_one_fold() -> None:
    members = [member(group=str(n // 2)) for n in range(40)]
    times = Counter[int]()
    tests = set()
    for fold in range(1, 6):
        found = positions(make_split(members, SplitConfig(split_method="k_fold", fold=fold)))
        times.update(found["val"])
        tests.add(tuple(found["test"]))
    assert len(tests) == 1
    assert set(times) == set(range(40)) - set(*tests)
    assert set(times.values()) == {1}


def test_folds_that_do_not_exist_or_would_be_empty_are_refused() -> None:
    members = [member(group=str(n % 3)) for n in range(30)]
    with pytest.raises(BadSetting, match=r"5 folds need .* there are 3"):
        make_split(members, SplitConfig(split_method="k_fold"))
    with pytest.raises(BadSetting, match="ask for fold 4 of 3"):
        make_split(members, SplitConfig(split_method="k_fold", num_folds=3, fold=4))
    assert make_split(members, SplitConfig(split_method="k_fold", num_folds=3)).split.count("val")


def test_folders_are_kept_even_when_they_divide_a_group() -> None:
    folders = ["train", "train", "val", "test", None, "train"]
    members = [member(folder_split=folder, group="a", twins=1) for folder in folders]
    found = make_split(members, SplitConfig())
    assert found.split == ("train", "train", "val", "test", "train", "train")
    assert found.fold == (None,) * 6


def test_without_a_validation_folder_whole_units_of_the_training_folder_validate() -> None:
    members = [
        member(folder_split="test" if n >= 20 else "train", group=str(n % 10)) for n in range(24)
    ]
    for seed in range(10):
        config = SplitConfig(val_share=0.2, split_seed=seed)
        found = positions(make_split(members, config))
        assert found["test"] == [20, 21, 22, 23]
        assert len(found["val"]) == 4
        assert {n % 10 for n in found["val"]}.isdisjoint(n % 10 for n in found["train"])


def test_folders_without_a_test_leave_it_empty() -> None:
    members = [member(folder_split="val" if n < 3 else "train") for n in range(10)]
    assert "test" not in make_split(members, SplitConfig()).split


def test_folders_that_cannot_be_kept_are_refused() -> None:
    with pytest.raises(BadData, match="none to train on"):
        make_split([member(folder_split="test")] * 5, SplitConfig())
    one_unit = [member(folder_split="train", group="a")] * 5 + [member(folder_split="test")]
    with pytest.raises(BadData, match="“a”"):
        make_split(one_unit, SplitConfig())


def test_without_folders_the_split_is_random() -> None:
    members = [member() for _ in range(30)]
    random = make_split(members, SplitConfig(split_method="random"))
    assert make_split(members, SplitConfig()) == random


@pytest.mark.parametrize("num_samples", [0, 1])
@pytest.mark.parametrize("method", [*METHODS, "dataset"])
def test_less_than_two_samples_cannot_be_split(num_samples: int, method: Any) -> None:
    with pytest.raises(BadData, match=f"has {num_samples} sample"):
        make_split([member()] * num_samples, SplitConfig(split_method=method))


@pytest.mark.parametrize("method", METHODS)
def test_samples_that_all_belong_together_cannot_be_split(method: Any) -> None:
    with pytest.raises(BadData, match=r"belong together .group “anna”.*group them differently"):
        make_split([member(group="anna")] * 9, SplitConfig(split_method=method))
    with pytest.raises(BadData, match="9 samples are copies of one image"):
        make_split([member(twins=0)] * 9, SplitConfig(split_method=method))


def sample(position: int, **changed: Any) -> Sample:
    values: dict[str, Any] = {
        "position": position,
        "name": str(position),
        "image_file": "",
        "mask_file": "",
        "width": 1,
        "height": 1,
        "class_pixels": (3, 4),
        "split": "train",
    }
    return Sample(**(values | changed))


PARTS = ["train", "val", "test", "train", "val", "train"]
STORED = [sample(n, split=part) for n, part in enumerate(PARTS)]
FOLDED = [
    sample(n, split="test" if n == 0 else "val" if n % 3 == 1 else "train", fold=fold)
    for n, fold in enumerate([None, 1, 2, 3, 1, 2])
]


def test_a_run_has_the_stored_split() -> None:
    expected = {"train": [0, 3, 5], "val": [1, 4], "test": [2]}
    assert split_of_run(STORED, SplitConfig()) == expected


@pytest.mark.parametrize(("missing", "word"), [("train", "training"), ("val", "validation")])
def test_a_stored_split_that_nothing_can_be_trained_with_is_refused(
    missing: str, word: str
) -> None:
    samples = [each for each in STORED if each.split != missing]
    with pytest.raises(BadData, match=f"has no {word} samples"):
        split_of_run(samples, SplitConfig())


@pytest.mark.parametrize(("fold", "val"), [(1, [1, 4]), (2, [2, 5]), (3, [3])])
def test_a_run_on_stored_folds_validates_on_the_one_it_asks_for(fold: int, val: list[int]) -> None:
    split = split_of_run(FOLDED, SplitConfig(fold=fold))
    assert split["val"] == val and split["test"] == [0]
    assert sorted(split["train"] + val) == [1, 2, 3, 4, 5]


def test_a_fold_that_is_not_stored_is_refused() -> None:
    with pytest.raises(BadSetting, match=r"fold 4, but .* has 3 folds\. Choose fold 1 to 3"):
        split_of_run(FOLDED, SplitConfig(fold=4))
    with pytest.raises(BadSetting, match=r"fold 2, but .* has 0 folds"):
        split_of_run(STORED, SplitConfig(fold=2))


@pytest.mark.parametrize("method", METHODS)
def test_a_run_with_a_split_of_its_own_divides_neither_groups_nor_twins(method: Any) -> None:
    samples = [
        sample(n, group=str(n // 4) if n < 20 else None, twins=n % 5 if n >= 40 else None)
        for n in range(60)
    ]
    split = split_of_run(samples, SplitConfig(split_method=method, num_folds=3))
    assert list(split) == ["train", "val", "test"]
    assert sorted(split["train"] + split["val"] + split["test"]) == list(range(60))
    assert leaks(samples, split) == []
    for group in range(5):
        assert sum(bool({*range(4 * group, 4 * group + 4)} & {*p}) for p in split.values()) == 1
    other_seed = SplitConfig(split_method=method, num_folds=3, split_seed=5)
    assert (split_of_run(samples, other_seed) == split) == (method == "interleaved")


def test_leaks_are_whole_clusters_of_copies_in_several_parts() -> None:
    samples = [sample(n, twins={0: 3, 1: 3, 5: 3, 2: 4, 4: 4}.get(n)) for n in range(6)]
    split = {"train": [0, 1, 3], "val": [2, 4], "test": [5]}
    assert leaks(samples, split) == [(0, 1, 5)]
    assert leaks(samples, {"train": [0, 1, 5, 3], "val": [2, 4], "test": []}) == []
    # Samples outside the split leak nothing.
    assert leaks(samples, {"train": [0, 1], "val": [2], "test": []}) == []
