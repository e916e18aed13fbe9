"""What the bell is given: who is live, what is said of the ended, and every word translated."""

from types import SimpleNamespace

import pytest

from pages.common import notifier as notifier_module
from pages.common.notifier import Watched, notifier, watched


@pytest.fixture
def given(monkeypatch):
    """What the component in the browser was given, by key."""
    found = {}
    monkeypatch.setattr(
        notifier_module, "_mount", lambda *, key, data, **_: found.update({key: data})
    )
    return found


@pytest.mark.parametrize(
    ("status", "is_live"),
    [("queued", True), ("running", True), ("completed", False), ("stopped", False),
     ("failed", False)],
)  # fmt: skip
def test_run_is_waited_for_until_it_has_ended(given, status, is_live):
    notifier([("0a", "<b>cells</b> :smile:", status, "Well")], key="bell")
    (run,) = given["bell"]["runs"]
    # A name goes to the browser as it is: there it is text and nothing else.
    expected = {"name": "<b>cells</b> :smile:", "isLive": is_live, "sentence": "Well"}
    assert run == expected | {"id": "0a"}


def test_every_word_is_handed_over_translated(given, monkeypatch):
    monkeypatch.setattr(notifier_module, "_", lambda words: words.upper())
    notifier([], key="bell")
    words = given["bell"]["texts"]
    assert words.keys() == {"one", "many", "insecure", "denied", "unanswered", "silent"}
    assert all(text.isupper() for text in words.values())
    assert given["bell"]["runs"] == []


@pytest.mark.parametrize(
    ("status", "best_val_dice", "sentence"),
    [
        ("completed", 0.8712, "Completed, best validation Dice 0.871"),
        ("stopped", 0.0, "Stopped, best validation Dice 0.000"),
        ("failed", None, "Failed"),
    ],
)
def test_sentence_says_how_the_run_ended_and_its_dice_where_it_has_one(
    status, best_val_dice, sentence
):
    run = SimpleNamespace(id="0a", name="cells", status=status, best_val_dice=best_val_dice)
    assert watched(run) == Watched("0a", "cells", status, sentence)
