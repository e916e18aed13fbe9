"""What the report says of an import."""

import json
from typing import Any

import pytest

from engine.datasets import report
from engine.datasets.quality.findings import Finding
from engine.datasets.report import ARCHIVE_KEYS, build_report, class_share, listed
from engine.notes import Note
from engine.store.datasets import ClassEntry, Sample

CLASSES = [
    ClassEntry(index=0, name="background", color="#000000", background=True, source_value=0),
    ClassEntry(index=1, name="cell", color="#ff0000", background=False, source_value=255),
]
ARCHIVE: dict[str, Any] = {
    "rule": Note("By name.").to_record(),
    "confidence": 0.9,
    "proposal": "masks",
    "doubts": [],
    "unmatched": [],
    "num_unmatched": 0,
    "ambiguous": [],
    "num_ambiguous": 0,
    "skipped": [],
    "num_skipped": 0,
    "ignored": 2,
    "channels": {"1": 3},
    "modes": {"L": 3},
}


def sample(position: int, **changed: Any) -> Sample:
    values: dict[str, Any] = {
        "position": position,
        "name": str(position),
        "image_file": "",
        "mask_file": "",
        "width": 10,
        "height": 10,
        "class_pixels": (60, 40),
        "split": "train",
    }
    return Sample(**(values | changed))


def finding(key: str, severity: Any) -> Finding:
    return Finding(key=key, severity=severity, note=Note("{key}!", {"key": key}))


def stored(**parts: Any) -> dict[str, Any]:
    """A report as it comes back from the database."""
    given = {"findings": [], "notes": [], "archive": ARCHIVE, "samples": [sample(0)]} | parts
    built = build_report(
        given["samples"], CLASSES, given["findings"], given["notes"], given["archive"]
    )
    record: dict[str, Any] = json.loads(json.dumps(built.to_dict(), allow_nan=False))
    return record


def sentences(records: list[dict[str, Any]]) -> list[str]:
    return [str(Note.from_record(record)) for record in records]


def test_a_report_counts_samples_by_size_class_and_part() -> None:
    samples = [
        sample(0, width=20),
        sample(1, split="val", class_pixels=(100, 0)),
        sample(2, class_pixels=(50, 50)),
    ]
    found = stored(samples=samples)
    assert found["pairs"] == 3
    assert found["sizes"] == {"10×10": 2, "20×10": 1}
    assert found["class_share"] == [0.7, 0.3]
    assert found["class_share_by_split"] == {"train": [0.55, 0.45], "val": [1, 0], "test": [0, 0]}
    assert found["class_samples_by_split"] == {"train": [2, 2], "val": [1, 0], "test": [0, 0]}
    assert found["split_sizes"] == {"train": 2, "val": 1, "test": 0}


def test_what_the_archive_gave_stands_in_the_report_and_can_be_taken_over() -> None:
    found = stored()
    assert {key: found[key] for key in ARCHIVE_KEYS} == ARCHIVE
    assert stored(archive={key: found[key] for key in ARCHIVE_KEYS}) == found
    assert not stored(archive={}).keys() & set(ARCHIVE_KEYS)


def test_an_inconspicuous_import_has_neither_findings_nor_warnings() -> None:
    found = stored()
    assert (found["findings"], found["warnings"], found["notes"]) == ([], [], [])


def test_warnings_are_the_errors_and_warnings_then_the_notes() -> None:
    findings = [finding("a", "note"), finding("b", "error"), finding("c", "warning")]
    found = stored(findings=findings, notes=[Note("A remark on {n}.", {"n": 5})])
    assert [each["key"] for each in found["findings"]] == ["b", "c", "a", "remark"]
    assert sentences(found["warnings"]) == ["b!", "c!", "A remark on 5."]
    assert sentences(found["notes"]) == ["A remark on 5."]
    again = [Finding.from_record(each) for each in found["findings"]]
    assert again[:3] == [findings[1], findings[2], findings[0]]


def test_what_was_left_out_is_a_warning_with_an_example() -> None:
    archive = ARCHIVE | {
        "unmatched": ["a.png", "{b}.png"],
        "num_unmatched": 2000,
        "ambiguous": ["c.png"],
        "num_ambiguous": 1,
        "skipped": [
            {"name": "__MACOSX/._a.png", "reason": Note("junk").to_record()},
            {"name": "broken.png", "reason": Note("broken").to_record()},
        ],
        "num_skipped": 2,
        "doubts": [Note("Is {x} a mask?", {"x": "{b}"}).to_record()],
    }
    found = stored(archive=archive)
    unmatched, ambiguous, skipped, doubt = sentences(found["warnings"])
    assert "without a partner, left out: 2000" in unmatched and "“a.png”" in unmatched
    assert "several possible masks, left out: 1" in ambiguous and "“c.png”" in ambiguous
    assert "Files skipped: 2" in skipped and "“broken.png”" in skipped
    assert doubt == "Is {b} a mask?"
    keys = [each["key"] for each in found["findings"]]
    assert keys == ["unmatched", "ambiguous", "skipped", "pairing"]


def test_what_systems_leave_in_archives_is_no_warning() -> None:
    junk = {"name": "__MACOSX/._a.png", "reason": Note("junk").to_record()}
    found = stored(archive=ARCHIVE | {"skipped": [junk], "num_skipped": 1})
    assert found["warnings"] == []
    assert [(each["key"], each["severity"]) for each in found["findings"]] == [("skipped", "note")]


@pytest.mark.parametrize("listed_as", ["c.png", {"image": "c.png", "candidates": ["d", "e"]}])
def test_ambiguous_images_may_be_listed_with_their_candidates(listed_as: Any) -> None:
    found = stored(archive=ARCHIVE | {"ambiguous": [listed_as], "num_ambiguous": 1})
    assert "“c.png”" in sentences(found["warnings"])[0]


def test_long_lists_are_cut() -> None:
    assert len(listed(range(1500))) == report.MAX_LISTED == 1000
    assert listed(("a",)) == ["a"]
    many = [sample(n, width=n + 1) for n in range(1500)]
    assert len(stored(samples=many)["sizes"]) == 1000


def test_class_shares_are_of_the_pixels_that_count() -> None:
    samples = [sample(0, class_pixels=(10, 30)), sample(1, class_pixels=(50, 10))]
    assert class_share(samples, 2) == [0.6, 0.4]
    assert class_share([], 2) == [0, 0]
