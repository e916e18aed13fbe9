"""Whatever is offered can be had, and is not there already."""

from itertools import product

import pytest

from engine.config import RECIPES, leaf_fields, with_changes
from engine.doctor import SEVERITIES, diagnose
from engine.doctor.remedies import setting
from engine.errors import Diverged, OutOfMemory, ProcessDied
from tests.engine.doctor.curves import case, counts, falling, learned

CURVES = {
    "rising": ([0.7, 0.9, 1.3, 1.2, 1.5, 1.4, 1.6, 1.5], [0.1] * 8),
    "slow": (falling(0.72, 0.70, 12), [0.21] * 12),
    "flat": ([0.69, 0.7] * 6, [0.2, 0.21] * 6),
    "collapsed": ([0.4] * 12, [0.0] * 12),
    "by heart": (falling(0.9, 0.01, 20), [0.2, 0.21] * 10),
    "short": learned(10, pace=15, dice_noise=0.004),
}
ERRORS = [
    None,
    Diverged("No number.", precision="bf16").to_record(),
    OutOfMemory("Too much.").to_record(),
    ProcessDied("{cause}", cause="killed by SIGKILL").to_record(),
    ProcessDied("{cause}", cause="killed by SIGSEGV").to_record(),
]
SMALL = {"batch_size": 1, "image_size_px": 64, "width": 4, "num_levels": 2, "clip_norm": 0.5}
SPLITS = [
    {"train": 40, "val": 8, "test": 8},
    {"train": 14, "val": 3, "test": 3},
    {"train": 2, "val": 1, "test": 0},
]


@pytest.mark.parametrize(
    "recipe, changes", list(product(RECIPES, [{}, SMALL, {"view": "patches"}]))
)
def test_every_remedy_is_a_change_that_the_settings_take(recipe, changes):
    if recipe in ("paper", "tf_unet") and changes is SMALL:
        changes = {"batch_size": 1, "clip_norm": 0.5}
    seen = set()
    for (losses, dices), error, sizes in product(CURVES.values(), ERRORS, SPLITS):
        a_case = case(
            losses, dices, recipe=recipe, changes=changes, split_sizes=sizes, wait_share=0.6,
            error=error, status="failed" if error else "completed",
        )  # fmt: skip
        found = diagnose(a_case)
        seen |= {each.key for each in found}
        assert len({each.key for each in found}) == len(found)
        grades = [SEVERITIES.index(each.severity) for each in found]
        assert grades == sorted(grades)
        for remedy in (remedy for each in found for remedy in each.remedies):
            assert bool(remedy.changes) != bool(remedy.more)
            assert str(remedy.label)
            changed = with_changes(a_case.config, remedy.changes)
            for leaf, value in remedy.changes.items():
                assert leaf in leaf_fields()
                assert setting(changed, leaf) == value != setting(a_case.config, leaf)
    assert {"rate_too_high", "no_improvement", "collapsed", "diverged"} <= seen
    assert {"out_of_memory", "killed", "tiny_validation", "data_bound"} <= seen


def test_every_sentence_can_be_written_out_and_stored():
    for (losses, dices), error in product(CURVES.values(), ERRORS):
        for each in diagnose(case(losses, dices, error=error, split_sizes=SPLITS[2])):
            for note in (each.saw, each.cause, *(remedy.label for remedy in each.remedies)):
                assert "{" not in str(note)
                assert note.to_record()["message"]


def test_remedy_that_has_no_effect_beside_other_settings_is_not_offered():
    """The Dice loss has no weights, and an encoder's U-Net no width."""
    options = {"loss": "dice", "architecture": "encoder_unet"}
    (found,) = diagnose(case([0.4] * 12, [0.0] * 12, changes=options))
    offered = {leaf for remedy in found.remedies for leaf in remedy.changes}
    assert not offered & {"class_weighting", "normalization", "foreground_share"}


def test_no_more_than_three_remedies_are_offered():
    options = {"threshold": 0.9, "view": "patches"}
    (found,) = diagnose(
        case(
            [0.4] * 12, [0.0] * 12, recipe="tutorial", changes=options,
            counts=counts((9, 1, 0), (0, 0, 1)),
        )
    )  # fmt: skip
    assert len(found.remedies) == 3
