"""Settings in vain and settings without hope are said, and nothing else is."""

import dataclasses

import pytest

from engine.config import (
    doubtful_settings,
    ignored_settings,
    leaf_fields,
    recipe,
    steps_per_epoch,
    with_changes,
)
from tests.engine.config.conftest import PROFILE


def ignored(num_classes=2, recipe_name="quick", **changes):
    return [
        str(note)
        for note in ignored_settings(with_changes(recipe(recipe_name), changes), num_classes)
    ]


def doubts(profile=PROFILE, recipe_name="quick", **changes):
    return [
        str(note) for note in doubtful_settings(with_changes(recipe(recipe_name), changes), profile)
    ]


IN_VAIN = [
    ("foreground_share", 0.5, {"view": "patches"}),
    ("clip_share", 0.01, {"intensity": "min_max"}),
    ("encoder", "resnet50", {"architecture": "fpn"}),
    ("encoder_weights", "imagenet", {"architecture": "fpn"}),
    ("dropout_at", "every_convolution", {"dropout": 0.1}),
    ("dice_share", 0.9, {"loss": "dice_cross_entropy"}),
    ("focal_gamma", 3, {"loss": "focal"}),
    ("tversky_beta", 0.9, {"loss": "tversky"}),
    ("class_weights", [1, 2], {"class_weighting": "given"}),
    ("border_sigma_px", 3, {"border_weight": 10}),
    ("momentum", 0.5, {"optimizer": "sgd"}),
    ("momentum", 0.5, {"optimizer": "rmsprop"}),
    ("warmup_share", 0.2, {"lr_schedule": "cosine"}),
    ("lr_decay", 0.9, {"lr_schedule": "step"}),
    ("lr_decay_epochs", 3, {"lr_schedule": "plateau"}),
    ("elastic_px", 5, {"elastic": "dense"}),
    ("elastic_grid", 5, {"elastic": "grid"}),
    ("elastic_smoothing_px", 5, {"elastic": "dense"}),
    ("border", "ignore", {"rotation_degrees": 10}),
    ("border", "ignore", {"elastic": "grid"}),
]


@pytest.mark.parametrize(("leaf", "value", "enabling"), IN_VAIN)
def test_setting_that_another_one_disables_is_named_until_it_has_an_effect(leaf, value, enabling):
    [warning] = ignored(recipe_name="tutorial", **{leaf: value})
    assert warning.startswith(f"{leaf_fields()[leaf][1].title} ({leaf}) has no effect: ")
    assert ignored(recipe_name="tutorial", **{leaf: value}, **enabling) == []


@pytest.mark.parametrize("loss", ["dice", "tversky", "lovasz"])
def test_weights_by_pixel_are_named_where_the_loss_has_none(loss):
    found = ignored(loss=loss, class_weighting="balanced", border_weight=5)
    assert [warning.split(" has no effect")[0] for warning in found] == [
        "Class weights (class_weighting)",
        "Border weight w0 (border_weight)",
    ]
    assert ignored(loss="focal", class_weighting="balanced", border_weight=5) == []


def test_threshold_decides_between_two_classes_only():
    assert ignored(2, threshold=0.9) == []
    [warning] = ignored(3, threshold=0.9)
    assert warning == (
        "Threshold (threshold) has no effect: with more than two classes the likeliest wins."
    )


def test_settings_of_the_u_net_are_named_for_another_architecture():
    [warning] = ignored(architecture="fpn", attention=True)
    assert warning == (
        "Attention gates (attention) has no effect: it belongs to the architecture unet."
    )
    # What the recipe itself chose was nobody's wish.
    assert ignored(architecture="fpn") == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"split_method": "interleaved", "split_seed": 1}, "its seed is not used"),
        ({"val_share": 0.3}, "The split stored with the dataset is used; shares"),
        ({"num_folds": 4}, "number of folds are not"),
        ({"split_method": "random", "fold": 2}, "The split has no folds"),
        ({"split_method": "stratified", "num_folds": 4}, "The split has no folds"),
        ({"split_method": "k_fold", "val_share": 0.3}, "the validation share is not used"),
    ],
)
def test_setting_of_the_split_that_is_not_used_is_named(changes, words):
    [warning] = ignored(**changes)
    assert words in warning


@pytest.mark.parametrize(
    "changes",
    [
        {"fold": 2},
        {"accept_leaks": True},
        {"split_method": "random", "val_share": 0.3, "split_seed": 1},
        {"split_method": "k_fold", "num_folds": 4, "fold": 2, "split_seed": 1},
        {"split_method": "interleaved", "test_share": 0.2},
    ],
)
def test_setting_of_the_split_that_is_used_is_not_named(changes):
    assert ignored(**changes) == []


def test_sound_settings_raise_no_doubt():
    for name in ("auto", "quick", "tutorial", "paper", "tf_unet"):
        assert doubts(recipe_name=name) == []


@pytest.mark.parametrize(
    ("facts", "changes", "words"),
    [
        ({"num_val": 1}, {}, "With 1 validation samples the best epoch is chosen almost by"),
        ({"num_train": 3}, {}, "A batch of 4 is never full: an epoch has 3 images"),
        ({}, {"batch_size": 1}, "Batch normalisation of single images is unsteady"),
        (
            {"class_share": (0.99, 0.01)},
            {"view": "patches"},
            "Foreground is 1.00% of the pixels, so most patches hold none",
        ),
        ({"class_share": (1.0, 0.0)}, {}, "The class “cell” has no pixel in the dataset"),
    ],
)
def test_setting_that_will_disappoint_on_this_dataset_is_doubted(facts, changes, words):
    [doubt] = doubts(dataclasses.replace(PROFILE, **facts), **changes)
    assert words in doubt


def test_doubts_go_when_the_remedy_is_taken():
    few = dataclasses.replace(PROFILE, num_train=3)
    assert doubts(few, batch_size=3) == []
    assert doubts(few, passes_per_epoch=2) == []
    rare = dataclasses.replace(PROFILE, class_share=(0.99, 0.01))
    assert doubts(rare, view="patches", foreground_share=0.5) == []
    assert doubts(rare, view="resized") == []
    assert doubts(batch_size=1, normalization="group") == []


def test_twenty_epochs_of_the_tutorial_on_twenty_four_images_are_doubted():
    few = dataclasses.replace(PROFILE, num_train=24)
    [doubt] = doubts(few, "tutorial")
    # 24 images in batches of 4, twenty times.
    assert doubt.startswith("120 steps at a learning rate of 0.0001 without normalisation")
    assert doubts(few, "tutorial", normalization="batch") == []
    assert doubts(few, "tutorial", epochs=100) == []
    assert doubts(few, "tutorial", learning_rate=1e-3) == []


@pytest.mark.parametrize(
    ("num_train", "passes", "batch_size", "accumulation", "steps"),
    [(24, 1, 4, 1, 6), (25, 1, 4, 1, 7), (1, 1, 4, 1, 1), (10, 3, 4, 2, 4), (8, 1, 4, 2, 1)],
)
def test_steps_of_an_epoch_count_a_batch_that_is_not_full(
    num_train, passes, batch_size, accumulation, steps
):
    config = with_changes(
        recipe("quick"),
        {"passes_per_epoch": passes, "batch_size": batch_size, "accumulation": accumulation},
    )
    assert steps_per_epoch(config, num_train) == steps
