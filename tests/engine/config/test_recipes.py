"""The recipes are what they are named after, whole and without contradictions."""

import itertools
from typing import get_args

import pytest

from engine.config import (
    AUGMENT_PRESETS,
    DEFAULT_RECIPE,
    RECIPES,
    RecipeName,
    ignored_settings,
    output_size,
    parse_config,
    recipe,
)
from engine.errors import BadSetting


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_complete_valid_and_knows_its_name(name):
    config = recipe(name)
    assert config.recipe == name
    assert parse_config(config.to_dict()) == config
    for num_classes in (2, 3):
        assert ignored_settings(config, num_classes) == []


def test_recipes_are_the_names_a_config_may_have():
    assert tuple(RECIPES) == get_args(RecipeName)


def test_recipe_that_nobody_chose_is_auto():
    assert DEFAULT_RECIPE == "auto"


def test_unknown_recipe_is_refused_with_the_known_ones():
    with pytest.raises(BadSetting) as raised:
        recipe("best")
    assert str(raised.value) == (
        "There is no recipe “best”. Recipes: auto, quick, tutorial, paper, tf_unet."
    )


def test_tutorial_recipe_is_the_tutorial():
    config = recipe("tutorial")
    assert (config.images.view, config.images.image_size_px) == ("resized", 256)
    assert (config.images.color, config.images.intensity) == ("rgb", "unit")
    model = config.model
    assert (model.architecture, model.num_levels, model.width) == ("unet", 4, 64)
    assert (model.convs_per_level, model.kernel_size, model.padding) == (2, 3, "same")
    assert (model.normalization, model.activation, model.dropout) == ("none", "relu", 0)
    assert (model.upsampling, model.activate_upsampling) == ("transposed", False)
    assert (model.residual, model.attention, model.initialization) == (False, False, "torch")
    assert (config.loss.loss, config.loss.class_weighting) == ("cross_entropy", "none")
    assert (config.optimizer.optimizer, config.optimizer.learning_rate) == ("adam", 1e-4)
    assert (config.optimizer.weight_decay, config.optimizer.lr_schedule) == (0, "constant")
    assert (config.optimizer.ema_decay, config.optimizer.clip_norm) == (0, 0)
    assert (config.schedule.epochs, config.schedule.batch_size) == (20, 4)
    assert (config.schedule.early_stop_epochs, config.schedule.max_minutes) == (0, None)
    assert config.augment == AUGMENT_PRESETS["none"]
    assert (config.predict.threshold, config.predict.averaging) == (0.5, "none")


def test_paper_recipe_is_the_paper():
    config = recipe("paper")
    # arXiv 1505.04597, figure 1: five levels from 64 channels, 572 → 388 px.
    assert (config.model.num_levels, config.model.width) == (5, 64)
    assert output_size(config.model, config.images.image_size_px) == 388
    assert config.images.view == "patches"
    # Section 3: momentum 0.99, single images, w0 = 10 and σ ≈ 5, He initialisation, dropout.
    assert (config.optimizer.optimizer, config.optimizer.momentum) == ("sgd", 0.99)
    assert config.schedule.batch_size == 1
    assert (config.loss.border_weight, config.loss.border_sigma_px) == (10, 5)
    assert config.loss.class_weighting == "balanced"
    assert (config.model.initialization, config.model.dropout_at) == ("he", "deepest_two")
    # Section 3.1: a 3×3 grid of displacements with a deviation of 10 px.
    augment = config.augment
    assert (augment.elastic, augment.elastic_grid, augment.elastic_px) == ("grid", 3, 10)


def test_tf_unet_recipe_is_tf_unet():
    config = recipe("tf_unet")
    model = config.model
    assert (model.num_levels, model.width, model.kernel_size, model.pool_size) == (3, 16, 3, 2)
    assert (model.padding, model.dropout_at) == ("none", "every_convolution")
    # 300 px lose 40: 2·2 px at each of three levels down and two up, by 1, 2, 4, 2 and 1.
    assert output_size(model, config.images.image_size_px) == 300 - 4 * (1 + 2 + 4 + 2 + 1)
    optimizer = config.optimizer
    assert (optimizer.optimizer, optimizer.learning_rate, optimizer.momentum) == ("sgd", 0.2, 0.2)
    # Its exponential decay is a staircase: at the end of each epoch.
    assert (optimizer.lr_schedule, optimizer.lr_decay, optimizer.lr_decay_epochs) == (
        "step", 0.95, 1,
    )  # fmt: skip
    assert config.schedule.batch_size == 1


def test_presets_go_from_no_change_to_strong_ones():
    assert list(AUGMENT_PRESETS) == ["none", "light", "medium", "strong"]
    changes = [
        {name for name, value in preset if value != type(preset).model_fields[name].default}
        for preset in AUGMENT_PRESETS.values()
    ]
    assert changes[0] == set()
    for weaker, stronger in itertools.pairwise(changes):
        assert weaker < stronger
