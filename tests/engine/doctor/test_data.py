"""Few images that validate, and images that are waited for."""

import pytest

from engine.doctor import diagnose
from tests.engine.doctor.curves import case, learned

CURVES = learned(20, pace=4)


def split(train, val, test):
    return {"train": train, "val": val, "test": test}


@pytest.mark.parametrize(
    "sizes, changes",
    [
        (split(20, 3, 3), {"split_method": "random", "val_share": 0.2}),
        (split(14, 1, 0), {"split_method": "random", "val_share": 0.35}),
    ],
)
def test_few_images_that_validate_are_a_note_with_a_larger_share(sizes, changes):
    (found,) = diagnose(case(*CURVES, split_sizes=sizes))
    assert (found.key, found.severity) == ("tiny_validation", "note")
    assert f"validate: {sizes['val']}." in str(found.saw)
    assert [dict(remedy.changes) for remedy in found.remedies] == [changes]


def test_dataset_that_has_no_more_images_gets_no_advice_to_take_them():
    (found,) = diagnose(case(*CURVES, split_sizes=split(4, 1, 1)))
    assert found.remedies == ()


def test_folds_are_made_fewer():
    options = {"split_method": "k_fold", "num_folds": 10, "fold": 9}
    (found,) = diagnose(case(*CURVES, changes=options, split_sizes=split(27, 3, 0)))
    assert dict(found.remedies[0].changes) == {"num_folds": 6, "fold": 6}


def test_five_images_are_enough_to_be_quiet_about():
    assert diagnose(case(*CURVES, split_sizes=split(20, 5, 5))) == []


@pytest.mark.parametrize(
    "share, severity", [(0.05, None), (0.2, None), (0.3, "note"), (0.7, "warning")]
)
def test_waiting_for_images_is_told_by_how_long_it_was(share, severity):
    found = diagnose(case(*CURVES, wait_share=share))
    assert [(each.key, each.severity) for each in found] == (
        [("data_bound", severity)] if severity else []
    )
    if severity:
        assert f"{share:.0%}" in str(found[0].saw)


def test_first_epoch_may_wait_and_unmeasured_ones_are_left_out():
    assert diagnose(case(CURVES[0][:3], CURVES[1][:3], wait_share=0.9)) == []
    assert diagnose(case(*CURVES, wait_share=None)) == []


def test_patches_are_not_made_smaller_because_a_disk_is_slow():
    (found,) = diagnose(case(*CURVES, changes={"view": "patches"}, wait_share=0.7))
    assert found.remedies == ()
