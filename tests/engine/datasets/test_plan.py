"""Import plans: complete, checked as a whole, and changed by name."""

import pytest

from engine.datasets.plan import (
    ClassRule,
    GroupPlan,
    ImportPlan,
    MaskPlan,
    PairingPlan,
    parse_plan,
    with_plan_changes,
)
from engine.errors import BadSetting

BACKGROUND = ClassRule(name="background", color="#000000", role="background", values=(0,))
CELL = ClassRule(name="cell", color="#e69f00", values=(255,))


def masks(*rules, **values):
    return {"meaning": "values"} | values | {"classes": [rule.model_dump() for rule in rules]}


def test_plan_survives_json():
    plan = ImportPlan(
        pairing=PairingPlan(image_pattern="a/{id}.png", mask_pattern="b/{id}.png"),
        masks=MaskPlan(classes=(BACKGROUND, CELL)),
        groups=GroupPlan(by="pattern", pattern=r"(p\d+)_"),
    )
    assert parse_plan(plan.to_dict()) == plan
    assert parse_plan({}) == ImportPlan()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"pairing": {"image_pattern": "{id}.png"}}, "needed together"),
        ({"groups": {"by": "pattern"}}, "needed there"),
        ({"groups": {"by": "folder", "pattern": "x"}}, "“pattern” only"),
        ({"masks": masks(BACKGROUND)}, "No class is left to learn"),
        ({"masks": masks(CELL, CELL)}, "belongs to two classes"),
        (
            {"masks": masks(CELL, CELL.model_copy(update={"values": (1,), "color": "#ffffff"}))},
            "differ in colour or role",
        ),
        (
            {
                "masks": masks(
                    BACKGROUND, CELL, BACKGROUND.model_copy(update={"name": "b", "values": (7,)})
                )
            },
            "two backgrounds",
        ),
        ({"masks": masks(CELL, meaning="threshold")}, "exactly two classes"),
        ({"masks": masks(CELL, threshold=0)}, "masks.threshold"),
        ({"version": 2}, "version"),
        ({"colour": 1}, "colour"),
    ],
)
def test_plan_that_contradicts_itself_is_refused_and_says_why(values, message):
    with pytest.raises(BadSetting, match=message):
        parse_plan(values)


def test_rules_of_one_name_are_merged_and_allowed():
    merged = MaskPlan(classes=(BACKGROUND, CELL, CELL.model_copy(update={"values": (128,)})))
    assert len(merged.classes) == 3


def test_settings_are_changed_by_their_names():
    plan = with_plan_changes(
        ImportPlan(),
        {
            "on_size_mismatch": "skip",
            "split.val_share": "0.2",
            "split_method": "interleaved",
            "channels": "0,2,1",
            "by": "folder",
        },
    )
    assert plan.images.on_size_mismatch == "skip"
    assert plan.images.channels == (0, 2, 1)
    assert (plan.split.val_share, plan.split.split_method) == (0.2, "interleaved")
    assert plan.groups.by == "folder"
    assert plan.pairing == PairingPlan()


@pytest.mark.parametrize("name", ["epochs", "images.val_share", "classes", "version", "threshold"])
def test_name_that_is_no_setting_of_the_plan_is_answered_with_those_that_are(name):
    with pytest.raises(BadSetting, match=f"no setting “{name}”.*on_size_mismatch"):
        with_plan_changes(ImportPlan(), {name: "1"})


def test_threshold_can_be_changed_once_the_masks_are_understood():
    rules = (BACKGROUND, CELL.model_copy(update={"values": (1,)}))
    plan = ImportPlan(masks=MaskPlan(meaning="threshold", classes=rules))
    changed = with_plan_changes(plan, {"threshold": "77"})
    assert changed.masks is not None and changed.masks.threshold == 77
