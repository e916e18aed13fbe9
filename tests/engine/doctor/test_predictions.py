"""Networks that say the same everywhere."""

import pytest

from engine.doctor import diagnose
from tests.engine.doctor.curves import CLASSES, case, counts, falling

NUM = 12
FLAT = [0.4] * NUM


def only(a_case):
    (diagnosis,) = diagnose(a_case)
    return diagnosis


def changes(diagnosis):
    return [dict(remedy.changes) for remedy in diagnosis.remedies]


def test_nothing_but_background_is_a_collapse_and_told_once():
    found = only(case(FLAT, [0.0] * NUM, recipe="tutorial", changes={"learning_rate": 1e-3}))
    assert (found.key, found.severity) == ("collapsed", "warning")
    assert "In the last 3 epochs" in str(found.saw)
    assert "no class but “background” was found" in str(found.saw)
    assert changes(found) == [
        {"normalization": "batch"},
        {"class_weighting": "balanced"},
        {"loss": "dice_cross_entropy"},
    ]


def test_nothing_but_foreground_is_a_collapse_too():
    everything = case(FLAT, [0.88] * NUM, class_dice=lambda dice: (0.0, dice))
    found = only(everything)
    assert found.key == "collapsed"
    assert "everything was taken for “cell”" in str(found.saw)
    assert all("foreground_share" not in each for each in changes(found))


def test_one_class_of_several_is_a_collapse():
    options = {"classes": CLASSES, "class_dice": lambda dice: (0.0, dice, 0.0)}
    found = only(case(FLAT, [0.3] * NUM, **options))
    assert "everything was taken for “cell”" in str(found.saw)


def test_class_that_is_never_found_is_named():
    options = {"classes": CLASSES, "class_dice": lambda dice: (0.95, dice, 0.0)}
    found = only(case(falling(0.9, 0.1, NUM), [0.8] * NUM, **options))
    assert found.key == "missing_class"
    assert "no pixel of “nucleus” was found" in str(found.saw)
    assert "cell" not in str(found.saw)
    assert changes(found)[0] == {"class_weighting": "balanced"}


def test_class_that_does_not_occur_in_the_validation_is_not_missed():
    options = {"classes": CLASSES, "class_dice": lambda dice: (0.95, dice, None)}
    assert diagnose(case(falling(0.9, 0.1, NUM), [0.8] * NUM, **options)) == []


def test_validation_of_empty_images_alone_is_no_collapse():
    options = {"class_dice": lambda dice: (1.0, None)}
    assert diagnose(case(falling(0.9, 0.1, NUM), [1.0] * NUM, **options)) == []


def test_threshold_that_nothing_passes_is_put_back():
    found = only(case(FLAT, [0.0] * NUM, changes={"threshold": 0.99}))
    assert changes(found)[0] == {"threshold": 0.5}


def test_patches_can_be_laid_on_the_foreground():
    options = {"view": "patches", "class_weighting": "balanced", "normalization": "batch"}
    found = only(case(FLAT, [0.0] * NUM, changes=options))
    assert {"foreground_share": 0.5} in changes(found)


@pytest.mark.parametrize("num, is_told", [(7, False), (9, False), (10, True), (12, True)])
def test_live_run_is_given_half_its_time_to_find_something(num, is_told):
    live = case([0.4] * num, [0.0] * num, status="running", changes={"epochs": 20})
    assert [each.key for each in diagnose(live)] == ["collapsed"] * is_told


def test_live_run_of_few_steps_is_given_more_time():
    live = case(FLAT, [0.0] * NUM, status="running", steps=2, changes={"epochs": 20})
    assert diagnose(live) == []


def test_scores_decide_where_there_are_some():
    """The best checkpoint is scored, whatever the last epochs were like."""
    good = counts((900, 10, 10), (90, 10, 10))
    assert diagnose(case(FLAT, [0.5] * 9 + [0.0] * 3, counts=good)) == []
    background = counts((900, 100, 0), (0, 0, 100))
    found = only(case(FLAT, [0.5] * NUM, counts=background))
    assert found.key == "collapsed"
    assert "scored images that it did not learn from" in str(found.saw)


def test_foreground_everywhere_shows_in_the_scores():
    found = only(case(FLAT, [0.5] * NUM, counts=counts((0, 0, 900), (100, 900, 0))))
    assert "everything was taken for “cell”" in str(found.saw)


def test_few_stray_pixels_do_not_hide_a_collapse():
    found = only(case(FLAT, [0.5] * NUM, counts=counts((900_000, 99_990, 5), (10, 5, 99_990))))
    assert found.key == "collapsed"
