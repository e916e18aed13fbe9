"""What is noticed about a dataset, and what must not be."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.datasets.quality import Finding, Fix, SampleFacts, find_problems
from engine.datasets.quality.alignment import Alignment
from engine.datasets.quality.findings import SEVERITIES
from engine.notes import Note
from engine.store.datasets import ClassEntry, Sample

NAMES = ("background", "cell", "nucleus")

GOOD = SampleFacts(
    brightness=0.5,
    contrast=0.2,
    darkest=0.1,
    brightest=0.9,
    black_share=0,
    white_share=0,
    is_constant=False,
    num_objects=3,
    smallest_object_px=40,
    num_specks=0,
    num_instances=None,
    border_share=0.1,
    alignment=Alignment(as_it_is=20, shifted=20, right_px=0, down_px=0, turned=2),
    is_copy_of_mask=False,
    mask_hash="",
    fingerprint="",
)


def class_table(num: int = 2, background: bool = True) -> list[ClassEntry]:
    return [
        ClassEntry(
            index=index,
            name=NAMES[index],
            color="#000000",
            background=background and index == 0,
            source_value=index,
        )
        for index in range(num)
    ]


def facts_of(position: int, **changed: Any) -> dict[str, Any]:
    own = {"mask_hash": f"{position:016x}", "fingerprint": f"{position:032x}00"}
    return replace(GOOD, **(own | changed)).to_dict()


def dataset(num: int = 20, **columns: Callable[[int], Any]) -> list[Sample]:
    """Good samples, the last two for the test, the two before to validate; `columns` by position.

    A column that is no field of a sample is one of its facts.
    """
    samples = []
    for position in range(num):
        facts = {name: make(position) for name, make in columns.items() if name in GOOD.to_dict()}
        sample = Sample(
            position=position,
            name=f"images/{position * 37 % 100:03d}",
            image_file="",
            mask_file="",
            width=100,
            height=100,
            class_pixels=(7000, 3000),
            split="test" if position >= num - 2 else "val" if position >= num - 4 else "train",
            facts=facts_of(position, **facts),
        )
        own = {name: make(position) for name, make in columns.items() if name not in facts}
        samples.append(replace(sample, **own))
    return samples


def only(samples: Sequence[Sample], classes: Sequence[ClassEntry] | None = None) -> Finding:
    """The one finding; more are a failure."""
    (found,) = find_problems(samples, classes or class_table())
    return found


def test_a_good_dataset_has_no_findings() -> None:
    assert find_problems(dataset(), class_table()) == []


def test_samples_without_facts_are_judged_by_the_rest() -> None:
    assert find_problems(dataset(facts=lambda _: {}), class_table()) == []
    found = only(dataset(facts=lambda _: {}, class_pixels=lambda n: (100, 0) if n == 3 else (7, 3)))
    assert (found.key, found.samples) == ("empty_masks", (3,))


def test_few_samples_and_many_sizes() -> None:
    assert only(dataset(9)).key == "few_samples"
    found = only(dataset(width=lambda n: 100 + (n == 3)))
    assert (found.key, found.severity, found.note.facts) == ("many_sizes", "note", {"num": 2})


@pytest.mark.parametrize(
    ("key", "severity", "changed"),
    [
        ("constant_images", "warning", {"is_constant": True, "brightest": 0.0}),
        ("dark_images", "warning", {"brightest": 0.03}),
        ("bright_images", "warning", {"darkest": 0.97}),
        ("tiny_objects", "note", {"num_specks": 2}),
        ("image_is_mask", "error", {"is_copy_of_mask": True}),
    ],
)
def test_each_fact_has_its_finding(key: str, severity: str, changed: dict[str, Any]) -> None:
    samples = dataset()
    for position in (2, 5):
        samples[position] = replace(samples[position], facts=facts_of(position, **changed))
    found = only(samples)
    assert (found.key, found.severity, found.samples) == (key, severity, (2, 5))
    assert samples[2].name in str(found.note)
    assert found.fix == (None if key == "tiny_objects" else Fix("leave_out", (2, 5)))


def test_what_would_leave_nothing_to_validate_on_cannot_be_left_out() -> None:
    found = only(dataset(is_constant=lambda n: n in (16, 17)))
    assert found.samples == (16, 17) and found.fix is None


def test_empty_masks_are_a_note_and_a_part_of_only_empty_ones_a_warning() -> None:
    found = only(dataset(class_pixels=lambda n: (100, 0) if n in (1, 16) else (70, 30)))
    assert (found.key, found.severity, found.fix) == ("empty_masks", "note", None)
    part, empty = find_problems(
        dataset(class_pixels=lambda n: (100, 0) if n in (16, 17) else (70, 30)), class_table()
    )
    assert (part.key, part.severity, part.samples) == ("all_empty_in_split", "warning", (16, 17))
    assert "“val”" in str(part.note)
    assert empty.key == "empty_masks"


def test_full_masks_are_found_by_the_pixels_that_count() -> None:
    found = only(dataset(class_pixels=lambda n: (0, 10) if n == 3 else (7000, 3000)))
    assert (found.key, found.samples) == ("full_masks", (3,))
    almost = dataset(class_pixels=lambda n: (2, 98) if n == 3 else (7000, 3000))
    assert find_problems(almost, class_table()) == []


def test_a_moved_or_turned_mask_is_suspected() -> None:
    shifted = Alignment(as_it_is=3, shifted=15, right_px=-7, down_px=4, turned=2)
    found = only(dataset(alignment=lambda n: shifted if n == 4 else GOOD.alignment))
    assert (found.key, found.severity, found.samples) == ("misaligned_masks", "warning", (4,))
    assert "by -7 pixels to the right and 4 down" in str(found.note)
    turned = replace(shifted, shifted=4, turned=15)
    found = only(dataset(alignment=lambda n: turned if n == 4 else None))
    assert (found.key, found.samples) == ("misaligned_masks", (4,))
    assert "mirrored or turned" in str(found.note)
    weak = replace(shifted, as_it_is=13)
    assert find_problems(dataset(alignment=lambda _: weak), class_table()) == []


@pytest.mark.parametrize("usual", [(7000, 3000), (3000, 7000)])
def test_a_mask_unlike_all_others_looks_inverted(usual: tuple[int, int]) -> None:
    is_minority = usual[1] < usual[0]
    border = 0.1 if is_minority else 0.9

    def inverted_at(*positions: int) -> set[str]:
        samples = dataset(
            class_pixels=lambda n: usual[::-1] if n in positions else usual,
            border_share=lambda n: 1 - border if n in positions else border,
        )
        found = find_problems(samples, class_table())
        assert all(f.samples == positions for f in found if f.key == "inverted_masks")
        return {finding.key for finding in found} - {"majority_class"}

    assert inverted_at(4, 9) == {"inverted_masks"}
    assert inverted_at() == set()
    # When every second mask is unlike the others, there are two kinds of images.
    assert inverted_at(*range(0, 20, 2)) == set()


def test_a_large_object_within_the_image_is_not_inverted() -> None:
    samples = dataset(class_pixels=lambda n: (2000, 8000) if n == 4 else (7000, 3000))
    assert find_problems(samples, class_table()) == []


def test_a_majority_of_foreground_is_told_with_the_dice_of_predicting_it_everywhere() -> None:
    found = only(dataset(class_pixels=lambda _: (22, 78), border_share=lambda _: 0.8))
    assert (found.key, found.severity, found.fix) == (
        "majority_class",
        "warning",
        Fix("swap_background"),
    )
    assert "78 %" in str(found.note) and "Dice 0.876" in str(found.note)
    assert "look inverted" in str(found.note) and "80 % of the borders" in str(found.note)
    within = only(dataset(class_pixels=lambda _: (22, 78), border_share=lambda _: 0.1))
    assert within.key == "majority_class" and "inverted" not in str(within.note)
    swapped = dataset(class_pixels=lambda _: (78, 22), border_share=lambda _: 0.2)
    assert find_problems(swapped, class_table()) == []
    three = dataset(class_pixels=lambda _: (22, 39, 39))
    assert find_problems(three, class_table(3)) == []


def test_a_dataset_without_background_says_so() -> None:
    found = only(dataset(), class_table(background=False))
    assert (found.key, found.severity) == ("no_background", "note")


def test_a_rare_class_is_told_by_pixels_or_by_samples() -> None:
    by_pixels = dataset(class_pixels=lambda _: (6997, 3000, 3))
    found = only(by_pixels, class_table(3))
    assert (found.key, len(found.samples)) == ("rare_class", 20)
    assert "“nucleus”" in str(found.note) and "0.03 %" in str(found.note)
    by_samples = dataset(class_pixels=lambda n: (5000, 3000, 2000 if n in (3, 16, 17) else 0))
    assert {each.key for each in find_problems(by_samples, class_table(3))} == {
        "missing_class_in_split"
    }


def test_a_class_that_a_part_lacks_is_told_by_part() -> None:
    samples = dataset(class_pixels=lambda n: (5000, 3000, 2000 if n < 16 else 0))
    found = only(samples, class_table(3))
    assert (found.key, found.severity) == ("missing_class_in_split", "warning")
    assert str(found.note).startswith("The class “nucleus” does not occur in: val, test.")
    one_fold = [
        replace(each, split="train" if each.split == "test" else each.split) for each in samples
    ]
    assert "in: val." in str(only(one_fold, class_table(3)).note)


def many_classes(num: int) -> list[ClassEntry]:
    return [
        ClassEntry(index=n, name=f"c{n}", color="#000000", background=n == 0, source_value=n)
        for n in range(num)
    ]


def test_many_rare_or_missing_classes_are_one_finding() -> None:
    samples = dataset(class_pixels=lambda n: (7000, 2990, 2, 2, 2, 2 if n != 3 else 0))
    found = only(samples, many_classes(6))
    assert (found.key, len(found.samples)) == ("rare_class", 20)
    assert str(found.note).startswith("4 classes are rare") and "c2, c3, c4, c5" in str(found.note)
    assert "c1" not in str(found.note)
    three = find_problems(dataset(class_pixels=lambda _: (7000, 2990, 2, 2, 2)), many_classes(5))
    assert [finding.key for finding in three] == ["rare_class"] * 3
    late = dataset(class_pixels=lambda n: (500, 300, *(4 * [200 if n < 16 else 0])))
    found = only(late, many_classes(6))
    assert (found.key, found.samples) == ("missing_class_in_split", tuple(range(16)))
    assert str(found.note).startswith("4 classes do not occur in every part")


def test_the_same_image_with_the_same_mask_can_be_left_out_once() -> None:
    same = {2: "a" * 32, 5: "a" * 32, 17: "b" * 32, 8: "b" * 32}
    samples = dataset(
        fingerprint=lambda n: same.get(n, f"{n:032x}") + "00",
        mask_hash=lambda n: same.get(n, f"{n:016x}")[:16],
        twins=lambda n: {"a": 0, "b": 1}.get(same.get(n, "")[:1]),
    )
    leak, duplicates = find_problems(samples, class_table())
    assert (leak.key, leak.severity, leak.clusters) == ("leaks", "error", ((8, 17),))
    assert leak.fix == Fix("regroup", (17,))
    assert (duplicates.key, duplicates.severity) == ("exact_duplicates", "warning")
    assert duplicates.clusters == ((2, 5), (8, 17))
    assert duplicates.samples == (2, 5, 8, 17)
    # Of the copies in two parts, the one in training stays.
    assert duplicates.fix == Fix("leave_out", (5, 17))


def test_the_same_image_with_another_mask_is_an_error() -> None:
    samples = dataset(
        fingerprint=lambda n: ("a" * 32 if n in (2, 5) else f"{n:032x}") + "00",
        twins=lambda n: 0 if n in (2, 5) else None,
    )
    found = only(samples)
    assert (found.key, found.severity) == ("conflicting_duplicates", "error")
    assert (found.clusters, found.fix) == (((2, 5),), None)


def test_near_duplicates_are_a_note_while_a_split_keeps_them_together() -> None:
    found = only(dataset(twins=lambda n: 7 if n in (2, 3) else None))
    assert (found.key, found.severity, found.clusters) == ("near_duplicates", "note", ((2, 3),))


def test_copies_in_two_parts_go_to_training_unless_that_empties_a_part() -> None:
    samples = dataset(twins=lambda n: {0: 1, 16: 1, 1: 2, 18: 2}.get(n))
    leak, _ = find_problems(samples, class_table())
    assert (leak.key, leak.clusters) == ("leaks", ((0, 16), (1, 18)))
    assert leak.fix == Fix("regroup", (16, 18))
    everything = dataset(twins=lambda n: {0: 1, 16: 1, 17: 1}.get(n))
    leak, _ = find_problems(everything, class_table())
    assert leak.key == "leaks" and leak.fix is None


def test_a_group_that_folders_divided_is_a_warning() -> None:
    found = only(dataset(group=lambda n: "anna" if n in (3, 19) else f"patient {n}"))
    assert (found.key, found.severity, found.clusters) == ("group_leaks", "warning", ((3, 19),))
    assert "“anna”" in str(found.note)
    assert found.fix == Fix("regroup", (19,))


def look(angle: float) -> str:
    """A fingerprint that turns with the angle: near angles look alike."""
    numbers = np.zeros(143)
    numbers[:2] = np.cos(angle), np.sin(angle)
    return np.round(127 * numbers).astype(np.int8).tobytes().hex()


def test_one_video_is_told_by_its_names_and_by_neighbours_that_look_alike() -> None:
    video = dataset(
        30,
        name=lambda n: f"vid1_frame_{n:03d}",
        fingerprint=lambda n: f"{n:032x}00" + look(n / 5),
    )
    found = only(video)
    assert (found.key, found.severity, found.samples) == ("one_group", "warning", ())
    assert "“vid1_frame_…”" in str(found.note)
    unlike = [
        replace(each, facts=facts_of(n, fingerprint=f"{n:032x}00" + look(n * n * 1.7)))
        for n, each in enumerate(video)
    ]
    assert find_problems(unlike, class_table()) == []
    elsewhere = [replace(each, name=f"{n % 7}/{n * n}") for n, each in enumerate(video)]
    assert find_problems(elsewhere, class_table()) == []


def test_findings_come_gravest_first_and_survive_json() -> None:
    samples = dataset(
        9,
        twins=lambda n: 0 if n in (0, 8) else None,
        num_specks=lambda n: n,
        width=lambda n: n + 1,
    )
    found = find_problems(samples, class_table())
    ranks = [SEVERITIES.index(finding.severity) for finding in found]
    assert ranks == sorted(ranks) and set(ranks) == {0, 1, 2}
    records = json.loads(json.dumps([finding.to_record() for finding in found], allow_nan=False))
    assert [Finding.from_record(record) for record in records] == found


@given(
    st.builds(
        Finding,
        key=st.text(),
        severity=st.sampled_from(SEVERITIES),
        note=st.builds(Note, st.text(), st.dictionaries(st.text(), st.integers())),
        samples=st.lists(st.integers()).map(tuple),
        clusters=st.lists(st.lists(st.integers()).map(tuple)).map(tuple),
        fix=st.none() | st.builds(Fix, st.just("leave_out"), st.lists(st.integers()).map(tuple)),
    )
)
def test_every_finding_survives_json(finding: Finding) -> None:
    assert Finding.from_record(json.loads(json.dumps(finding.to_record()))) == finding
