"""The class editor: what a person changes, and what that brings along."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.datasets.decode import RawMask
from engine.datasets.masks import MaskReader, MaskStatistics, class_entries, survey_mask
from engine.datasets.masks.colors import BACKGROUND_COLOR
from engine.datasets.plan import ClassRule, MaskPlan
from pages.common.review import classes
from pages.common.review.classes import edited, is_only_what_was_edited


def rule(name, *values, role="class", color=None):
    shown = BACKGROUND_COLOR if role == "background" else f"#0000{10 + max(values) % 90}"
    return ClassRule(name=name, color=color or shown, role=role, values=values)


RULES = (
    rule("background", 0, role="background"),
    rule("cell", 1),
    rule("wall", 2),
    rule("dirt", 3),
)


def kinds(rules):
    return [(each.name, each.role) for each in rules]


def test_renaming_changes_one_rule():
    after = edited(RULES, {1: {"name": "  nucleus  "}})
    assert kinds(after) == [
        ("background", "background"), ("nucleus", "class"), ("wall", "class"), ("dirt", "class"),
    ]  # fmt: skip
    assert is_only_what_was_edited(RULES, after, {1: {"name": "nucleus"}})


@pytest.mark.parametrize("name", ["", "   ", None])
def test_class_keeps_its_name_when_it_is_emptied(name):
    assert edited(RULES, {1: {"name": name}}) == RULES


def test_same_name_merges_and_takes_over_colour_and_role():
    after = edited(RULES, {3: {"name": "wall"}})
    assert (after[3].color, after[3].role, after[3].values) == (RULES[2].color, "class", (3,))
    after = edited(RULES, {3: {"name": "background"}})
    assert (after[3].color, after[3].role) == (RULES[0].color, "background")
    assert not is_only_what_was_edited(RULES, after, {3: {"name": "background"}})
    MaskPlan(classes=after)


def test_rule_that_leaves_a_class_gets_a_colour_of_its_own():
    merged = edited(RULES, {3: {"name": "wall"}})
    after = edited(merged, {3: {"name": "dirt"}})
    assert len({each.color.lower() for each in after}) == 4
    MaskPlan(classes=after)


def test_rule_that_leaves_the_background_is_a_class():
    merged = edited(RULES, {3: {"name": "background"}})
    after = edited(merged, {0: {"name": "paper"}})
    assert kinds(after)[0] == ("paper", "class")
    assert kinds(after)[3] == ("background", "background")
    MaskPlan(classes=after)


def test_role_is_that_of_the_whole_class():
    merged = edited(RULES, {3: {"name": "wall"}})
    after = edited(merged, {2: {"role": "ignore"}})
    assert kinds(after)[2:] == [("wall", "ignore"), ("wall", "ignore")]
    assert not is_only_what_was_edited(merged, after, {2: {"role": "ignore"}})


def test_second_background_makes_the_first_a_class_that_can_be_seen():
    after = edited(RULES, {1: {"role": "background"}})
    assert kinds(after)[:2] == [("background", "class"), ("cell", "background")]
    assert after[0].color.lower() != BACKGROUND_COLOR.lower()
    MaskPlan(classes=after)


def test_unknown_roles_and_rows_change_nothing():
    assert edited(RULES, {1: {"role": "king"}, 9: {"name": "x"}, -1: {"name": "y"}}) == RULES


@settings(max_examples=500)
@given(
    st.dictionaries(
        st.integers(0, 3),
        st.fixed_dictionaries(
            {},
            optional={
                "name": st.sampled_from(["background", "cell", "wall", "new", "", None]),
                "role": st.sampled_from(["class", "background", "ignore", "king"]),
            },
        ),
    )
)
def test_whatever_is_edited_gives_a_plan_or_leaves_no_class(edits):
    after = edited(RULES, edits)
    assert [each.values for each in after] == [each.values for each in RULES]
    if any(each.role == "class" for each in after):
        MaskPlan(classes=after)
    assert edited(after, {}) == after


def test_values_are_shown_as_a_person_knows_them():
    plan = MaskPlan(classes=(rule("a", 0, role="background"), rule("b", *range(1, 21))))
    assert classes.values_text(plan, plan.classes[1]) == "1, 2, 3, 4, 5, 6 … (20)"
    colored = MaskPlan(meaning="colors", classes=(rule("a", 0), rule("b", 0xFF0010)))
    assert classes.values_text(colored, colored.classes[1]) == "#ff0010"
    soft = MaskPlan(
        meaning="threshold", threshold=90, classes=(rule("a", 0, role="background"), rule("b", 1))
    )
    assert [classes.values_text(soft, each) for each in soft.classes] == ["< 90", "≥ 90"]


def test_swapping_exchanges_what_the_classes_mean_and_nothing_else():
    plan = MaskPlan(classes=(rule("background", 0, role="background"), rule("cell", 255)))
    assert classes.can_swap(plan)
    after = classes.swapped(plan)
    assert {each.name: each.values for each in after} == {"background": (255,), "cell": (0,)}
    assert {each.name: each.role for each in after} == {"background": "background", "cell": "class"}
    again = classes.swapped(plan.model_copy(update={"classes": after}))
    assert again == plan.classes


def test_swapped_threshold_takes_the_dark_for_the_foreground():
    rules = (rule("background", 0, role="background"), rule("cell", 1))
    plan = MaskPlan(meaning="threshold", threshold=100, classes=rules)
    after = plan.model_copy(update={"classes": classes.swapped(plan)})
    raw = RawMask(
        values=np.array([[0, 99, 100, 255]], np.uint8), is_color=False, palette=None, lossy=False
    )
    coded = MaskReader(after).read([raw], "a.png").coded[0].tolist()
    names = [entry.name for entry in class_entries(after)]
    assert [names[index] for index in coded] == ["cell", "cell", "background", "background"]
    assert [classes.values_text(after, each) for each in after.classes] == ["< 100", "≥ 100"]


def test_more_than_two_classes_cannot_be_swapped():
    assert not classes.can_swap(MaskPlan(classes=RULES))


def test_ignored_values_do_not_hinder_swapping():
    rules = (
        rule("background", 0, role="background"),
        rule("cell", 1),
        rule("void", 255, role="ignore"),
    )
    plan = MaskPlan(classes=rules)
    assert classes.can_swap(plan)
    after = {each.name: each.values for each in classes.swapped(plan)}
    assert after == {"background": (1,), "cell": (0,), "void": (255,)}


def test_legend_has_what_masks_show():
    rules = (*RULES, rule("void", 255, role="ignore"))
    assert list(classes.legend(MaskPlan(classes=rules))) == ["cell", "wall", "dirt"]
    assert classes.num_classes(MaskPlan(classes=rules)) == 4


def statistics_of(*pixels):
    found = MaskStatistics()
    for number, each in enumerate(pixels):
        is_color = each.dtype == np.uint32
        found.add(
            f"{number}.png",
            survey_mask(RawMask(values=each, is_color=is_color, palette=None, lossy=False)),
        )
    return found


def test_shares_are_those_of_all_masks():
    statistics = statistics_of(np.array([[0, 0, 0, 1]] * 4, np.uint8), np.full((4, 4), 2, np.uint8))
    plan = MaskPlan(classes=RULES)
    assert classes.shares(plan, statistics) == [12 / 32, 4 / 32, 16 / 32, 0]


def test_share_of_a_class_that_is_snapped_to_counts_what_is_nearest():
    statistics = statistics_of(np.array([[0, 4, 250, 255]], np.uint8))
    rules = (rule("background", 0, role="background"), rule("cell", 255))
    assert classes.shares(MaskPlan(classes=rules, nearest=True), statistics) == [0.5, 0.5]
    assert classes.shares(MaskPlan(classes=rules), statistics) == [0.25, 0.25]
    colors = statistics_of(np.array([[0xFF0000, 0xEE1111, 0x0000FF, 0x00FF00]], np.uint32))
    rules = (rule("red", 0xFF0000), rule("blue", 0x0000FF))
    plan = MaskPlan(meaning="colors", classes=rules, nearest=True)
    assert sum(classes.shares(plan, colors)) == 1
    assert classes.shares(plan, colors)[0] >= 0.5


@pytest.mark.parametrize("threshold, above", [(1, 0.75), (4, 0.75), (5, 0.5), (256, 0.0)])
def test_shares_follow_the_threshold(threshold, above):
    statistics = statistics_of(np.array([[0, 4, 250, 255]], np.uint8))
    rules = (rule("background", 0, role="background"), rule("cell", 1))
    plan = MaskPlan(meaning="threshold", threshold=threshold, classes=rules)
    assert classes.shares(plan, statistics) == [1 - above, above]
    assert classes.highest_value(statistics) == 255


def test_all_numbered_objects_are_one_share():
    statistics = statistics_of(np.array([[0, 1, 2, 300]], np.uint16))
    rules = (rule("background", 0, role="background"), rule("cell", 1))
    plan = MaskPlan(meaning="instances", classes=rules)
    assert classes.shares(plan, statistics) == [0.25, 0.75]


def test_swatch_cannot_break_out_of_its_address():
    picture = classes.swatch("#ff0000", "class")
    assert picture.startswith("data:image/svg+xml,")
    assert not set('<>"#') & set(picture)
