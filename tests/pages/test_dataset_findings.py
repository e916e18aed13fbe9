"""Findings in words and as corrections; what a report says of files that were left out."""

import json
import re

import pytest

from engine.datasets import quality
from engine.datasets.quality.findings import Finding, Fix
from engine.notes import Note
from pages.common import dataset_findings


def finding(key="dark_images", severity="warning", samples=(), clusters=(), fix=None, **facts):
    note = Note(" ".join(f"{{{name}}}" for name in facts) or "Look.", facts)
    return Finding(
        key=key, severity=severity, note=note, samples=samples, clusters=clusters, fix=fix
    )


def test_findings_are_read_back_the_gravest_first():
    found = [finding(severity=each) for each in ("note", "error", "warning")]
    report = {"findings": [each.to_record() for each in found]}
    assert [each.severity for each in dataset_findings.findings_of(report)] == [
        "error", "warning", "note",
    ]  # fmt: skip


def test_warnings_of_an_early_report_are_findings_without_samples():
    report = {"warnings": [{"message": "{n} masks are empty.", "facts": {"n": 2}}]}
    (found,) = dataset_findings.findings_of(report)
    assert (str(found.note), found.severity, found.samples) == (
        "2 masks are empty.", "warning", (),
    )  # fmt: skip
    assert dataset_findings.findings_of({}) == ()


def test_findings_with_the_same_key_keep_addresses_of_their_own():
    first, second, other = finding(samples=(1,)), finding(samples=(2,)), finding("leaks")
    named = dataset_findings.identified([first, second, other])
    assert named == {"dark_images": first, "dark_images.2": second, "leaks": other}


def test_samples_know_their_findings():
    grave, light = finding(severity="error", samples=(3, 3, 1)), finding("leaks", samples=(3,))
    found = dataset_findings.by_sample([grave, light])
    assert found == {3: (grave, light), 1: (grave,)}


def test_samples_of_a_cluster_stand_side_by_side_and_each_once():
    found = finding(samples=(0, 1, 2, 5), clusters=((0, 5), (1, 5)))
    assert dataset_findings.positions_of(found) == (0, 5, 1, 2)


def test_parts_of_the_split_are_said_in_the_reader_s_words():
    note = Note(
        "{first} ({part}), {parts}", {"first": "train", "part": "val", "parts": "val, test"}
    )
    assert dataset_findings.sentence(note) == r"train \(validation\), validation, test"


def test_words_of_a_fact_that_hold_markup_stay_words():
    note = Note("Look at {name}.", {"name": "**a** [x](y)"})
    assert dataset_findings.sentence(note) == r"Look at \*\*a\*\* \[x\]\(y\)\."


@pytest.mark.parametrize(
    "fix, key, word",
    [
        (Fix("leave_out", (1,)), "dark_images", "Leave it out"),
        (Fix("leave_out", tuple(range(1200))), "dark_images", "Leave 1,200 out"),
        (Fix("regroup", (1,)), "leaks", "Keep copies together"),
        (Fix("regroup", (1,)), "group_leaks", "Keep groups together"),
        (Fix("swap_background"), "majority_class", "Swap background and foreground"),
    ],
)
def test_button_says_what_the_fix_does(fix, key, word):
    assert dataset_findings.fix_word(finding(key, fix=fix)) == word


def test_fixes_become_changes(add_dataset):
    binary = add_dataset(rectangles=False)
    change_for = dataset_findings.change_for
    left_out = change_for(finding(fix=Fix("leave_out", (2, 4))), binary)
    assert (left_out.leave_out, left_out.to_train, left_out.classes) == ((2, 4), (), ())
    moved = change_for(finding(fix=Fix("regroup", (3,))), binary)
    assert (moved.leave_out, moved.to_train) == ((), (3,))
    swapped = change_for(finding(fix=Fix("swap_background")), binary)
    assert [rule.role for rule in swapped.classes] == ["class", "background"]
    assert change_for(finding(), binary) is None


def test_every_kind_of_finding_has_a_word_of_its_own():
    # The engine lists its keys in this docstring.
    keys = [key for key in re.findall(r"`(\w+)`", quality.__doc__) if not key.endswith("_findings")]
    assert {"leaks", "misaligned_masks", "rare_class"} <= set(keys)
    words = [dataset_findings.finding_word(key) for key in keys]
    assert len(set(words)) == len(set(keys))
    # A key without a word is shown as it is, and most keys are in the plural.
    assert not [
        key
        for key, word in zip(keys, words, strict=True)
        if word == key.replace("_", " ")
        and key
        not in (
            "few_samples",
            "many_sizes",
            "tiny_objects",
            "rare_class",
            "majority_class",
            "no_background",
            "one_group",
        )
    ]


def test_label_names_the_class_and_counts():
    rare = finding("rare_class", samples=(1, 2), name="pyrite")
    assert dataset_findings.finding_label(rare) == "rare class “pyrite” · 2"
    assert dataset_findings.finding_label(finding(samples=(1,), name="x")) == "dark image · 1"


def test_report_as_a_file_says_which_dataset_it_is_about(dataset):
    text = dataset_findings.report_json(dataset, {"pairs": 8, "rule": "über"})
    assert json.loads(text) == {
        "dataset": dataset.id,
        "name": "Cells",
        "content_hash": dataset.content_hash,
        "pairs": 8,
        "rule": "über",
    }
    assert "über" in text


def test_files_left_out_are_listed_with_the_reason_and_counted_beyond_the_list():
    report = {
        "skipped": [{"name": "a.png", "reason": {"message": "{n} broken", "facts": {"n": 1}}}],
        "unmatched": ["b.png"],
        "num_unmatched": 5000,
        "ambiguous": ["c.png", {"image": "d.png", "candidates": ["e.png", "f.png"]}],
    }
    table = dataset_findings.left_out_table(report)
    assert table.to_dict("list") == {
        "file": ["a.png", "b.png", "c.png", "d.png"],
        "why": [
            "1 broken",
            "no partner",
            "several possible masks",
            "several possible masks: e.png, f.png",
        ],
    }
    assert dataset_findings.num_left_out(report) == 5003
    assert dataset_findings.num_left_out({}) == 0
