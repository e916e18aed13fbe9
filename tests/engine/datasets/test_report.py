"""What the report says of an import."""

import json

from engine.datasets import report
from engine.datasets.masks import learn_classes
from engine.datasets.pairing import Pairing
from engine.datasets.report import (
    ReportWarning,
    build_report,
    class_share,
    pairing_warnings,
    render_warning,
    sample_warnings,
)
from engine.store.datasets import Sample

BINARY = learn_classes({0: 1, 1: 1}).classes


def sample(position: int, width: int = 10, class_pixels: tuple[int, ...] = (60, 40)) -> Sample:
    return Sample(
        position=position,
        name=str(position),
        image_file="",
        mask_file="",
        width=width,
        height=10,
        class_pixels=class_pixels,
    )


def pairing(unmatched: tuple[str, ...] = (), ambiguous: tuple[str, ...] = ()) -> Pairing:
    return Pairing(
        pairs=(), unmatched=unmatched, ambiguous=ambiguous, ignored=("a.txt",), rule="By name."
    )


def sentences(warnings: list[ReportWarning]) -> list[str]:
    return [render_warning(warning) for warning in warnings]


def test_a_report_is_json_and_its_warnings_can_be_read_back() -> None:
    warnings = [ReportWarning("{num} of {total}.", {"num": 1, "total": 2})]
    samples = [sample(0, width=20), sample(1), sample(2)]
    found = build_report(pairing(("a.png",), ("b.png",)), samples, [0.6, 0.4], warnings)
    stored = json.loads(json.dumps(found.to_dict()))
    assert stored == {
        "pairs": 3,
        "unmatched": ["a.png"],
        "num_unmatched": 1,
        "ambiguous": ["b.png"],
        "num_ambiguous": 1,
        "ignored": 1,
        "rule": "By name.",
        "warnings": [{"message": "{num} of {total}.", "facts": {"num": 1, "total": 2}}],
        "sizes": {"10×10": 2, "20×10": 1},
        "class_share": [0.6, 0.4],
    }
    assert render_warning(stored["warnings"][0]) == "1 of 2."


def test_long_lists_are_cut_and_their_lengths_kept() -> None:
    found = build_report(pairing(tuple(map(str, range(1500)))), [], [], [])
    assert len(found.unmatched) == report.MAX_LISTED == 1000
    assert found.num_unmatched == 1500


def test_class_shares_are_of_the_pixels_that_count() -> None:
    samples = [sample(0, class_pixels=(10, 30)), sample(1, class_pixels=(50, 10))]
    assert class_share(samples) == [0.6, 0.4]


def test_ten_alike_samples_with_foreground_need_no_remark() -> None:
    assert sample_warnings([sample(n) for n in range(10)], BINARY) == []


def test_few_samples_several_sizes_and_empty_masks_are_remarked() -> None:
    samples = [*(sample(n) for n in range(7)), sample(7, width=20), sample(8, 10, (100, 0))]
    few, sizes, empty = sentences(sample_warnings(samples, BINARY))
    assert "only 9 samples" in few
    assert "2 different sizes" in sizes
    assert "1 of 9 masks are empty" in empty


def test_names_without_partner_are_remarked_with_an_example() -> None:
    unmatched, ambiguous = sentences(pairing_warnings(pairing(("a.png", "{b}.png"), ("c.png",))))
    assert "2 pictures have no partner" in unmatched and "“a.png”" in unmatched
    assert "1 images have several possible masks" in ambiguous and "“c.png”" in ambiguous
    assert "“{b}.png”" in sentences(pairing_warnings(pairing(("{b}.png",))))[0]
