"""Splits: complete, apart, repeatable."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config import SplitConfig
from engine.datasets.splits import assign_split
from engine.errors import BadData

configs = st.builds(
    SplitConfig,
    split_method=st.sampled_from(["random", "interleaved"]),
    val_share=st.floats(0.001, 0.5),
    test_share=st.one_of(st.just(0.0), st.floats(0.001, 0.5)),
    split_seed=st.integers(0, 2**31 - 1),
)


@given(st.integers(2, 400), configs)
def test_every_sample_is_in_exactly_one_part(num_samples: int, config: SplitConfig) -> None:
    split = assign_split(num_samples, config)
    assert list(split) == ["train", "val", "test"]
    assert sorted(split["train"] + split["val"] + split["test"]) == list(range(num_samples))
    assert all(part == sorted(part) for part in split.values())
    assert split["train"] and split["val"]
    assert bool(split["test"]) == (config.test_share > 0 and num_samples >= 3)


@given(st.integers(2, 400), configs)
def test_the_same_input_gives_the_same_split(num_samples: int, config: SplitConfig) -> None:
    assert assign_split(num_samples, config) == assign_split(num_samples, config)


@given(st.integers(10, 400), st.integers(0, 1000))
def test_random_parts_have_the_rounded_shares(num_samples: int, seed: int) -> None:
    split = assign_split(num_samples, SplitConfig(val_share=0.2, test_share=0.1, split_seed=seed))
    assert len(split["val"]) == round(num_samples * 0.2)
    assert len(split["test"]) == round(num_samples * 0.1)


def test_another_seed_gives_another_split() -> None:
    splits = [assign_split(50, SplitConfig(split_seed=seed)) for seed in (0, 1)]
    assert splits[0] != splits[1]


def test_a_seeds_split_stays_what_it_is_for_good() -> None:
    config = SplitConfig(val_share=0.2, test_share=0.2, split_seed=0)
    assert assign_split(10, config) == {
        "train": [0, 1, 3, 5, 8, 9],
        "val": [4, 6],
        "test": [2, 7],
    }


def interleaved(num_samples: int, val_share: float, test_share: float) -> dict[str, list[int]]:
    return assign_split(
        num_samples,
        SplitConfig(split_method="interleaved", val_share=val_share, test_share=test_share),
    )


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


@pytest.mark.parametrize("num_samples", [0, 1])
def test_less_than_two_samples_cannot_be_split(num_samples: int) -> None:
    with pytest.raises(BadData, match=f"has {num_samples} sample"):
        assign_split(num_samples, SplitConfig())
