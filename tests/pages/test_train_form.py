"""The settings in a line, and which of them have an effect."""

import pytest

from engine.config import RECIPES, ignored_settings, leaf_fields, parts, with_changes
from pages.common.train.form import without_effect
from pages.common.train.summaries import summary


def changed(recipe="tutorial", **changes):
    return with_changes(RECIPES[recipe], changes)


@pytest.mark.parametrize(
    "part, config, expected",
    [
        ("images", changed(), "whole images at 256×256 px · RGB"),
        ("images", changed("paper"), "patches of 572×572 px · result 388×388 px · grey"),
        (
            "images",
            changed(view="patches", color="dataset", foreground_share=0.5, passes_per_epoch=4),
            "patches of 256×256 px · 4 passes per epoch · 50% on a class",
        ),
        ("split", changed(), "as in the dataset"),
        ("split", changed(split_method="random"), "random · 15% validation · 15% test"),
        (
            "split",
            changed(split_method="k_fold", fold=2, test_share=0),
            "k-fold · fold 2 of 5 · 0% test",
        ),
        ("model", changed("quick"), "U-Net · 4 levels · width 16 · batch normalisation"),
        (
            "model",
            changed(architecture="unet_plus_plus", encoder_weights="imagenet"),
            "U-Net++ · resnet34 · weights from ImageNet",
        ),
        (
            "model",
            changed(start_from="1234abcd"),
            "U-Net · 4 levels · width 64 · starts from a run",
        ),
        ("loss", changed("paper"), "cross-entropy · balanced class weights · border weight 10"),
        ("optimizer", changed(), "Adam · learning rate 0.0001 · constant"),
        ("augment", changed(augment="medium"), "medium"),
        ("augment", changed("quick"), "flips · quarter turns · brightness · contrast"),
        ("schedule", changed(), "20 epochs · batches of 4"),
        ("schedule", changed(max_minutes=5), "5 minutes, in place of 20 epochs · batches of 4"),
        ("predict", changed(), "one view · threshold 0.5"),
        ("compute", changed(precision="bf16"), "device automatic · precision bfloat16"),
    ],
)
def test_part_of_the_settings_is_put_in_a_line(part, config, expected):
    assert summary(config, part) == expected


def test_threshold_is_left_out_where_the_likeliest_class_wins():
    assert summary(changed(), "predict", idle={"threshold"}) == "one view"


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_part_of_every_recipe_has_its_line(recipe):
    lines = {part: summary(RECIPES[recipe], part) for part in parts()}
    assert all(lines.values())
    assert "None" not in "".join(lines.values())


@pytest.mark.parametrize(
    "config, num_classes, idle, effective",
    [
        (changed(), 2, {"encoder", "dropout_at", "momentum", "val_share"}, {"width", "threshold"}),
        (changed(), 3, {"threshold"}, {"learning_rate"}),
        (changed(architecture="fpn"), 2, {"width", "padding", "attention"}, {"encoder"}),
        (changed(loss="dice"), 2, {"class_weighting", "border_weight"}, {"loss"}),
        (changed(split_method="random"), 2, {"fold"}, {"val_share", "split_seed"}),
        (changed(split_method="k_fold"), 2, {"val_share"}, {"fold", "num_folds", "test_share"}),
        (changed(elastic="grid"), 2, {"elastic_smoothing_px"}, {"elastic_px", "elastic_grid"}),
    ],
)
def test_settings_without_effect_are_found_though_nobody_changed_them(
    config, num_classes, idle, effective
):
    found = without_effect(config, num_classes)
    assert idle <= found.keys()
    assert not effective & found.keys()


@pytest.mark.parametrize("recipe", RECIPES)
def test_what_the_engine_calls_ignored_has_no_effect_and_no_more_is_said(recipe):
    config = with_changes(RECIPES[recipe], {"momentum": 0.5, "focal_gamma": 3.0, "fold": 1})
    told = {note.facts["name"] for note in ignored_settings(config, 2) if "name" in note.facts}
    assert told <= without_effect(config, 2).keys()
    assert "split_method" not in without_effect(config, 2)
    assert without_effect(config, 2).keys() <= leaf_fields().keys()
