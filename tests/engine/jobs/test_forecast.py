"""What a training would cost, told without a network."""

from types import SimpleNamespace

import pytest

from engine.config import RECIPES, with_changes
from engine.errors import BadSetting
from engine.jobs.forecast import forecast
from engine.jobs.queue import config_parameters

BINARY = SimpleNamespace(num_channels=1, classes=[None, None])


@pytest.mark.parametrize("recipe", RECIPES)
def test_promised_parameters_are_those_a_run_is_stored_with(recipe):
    config = RECIPES[recipe]
    assert forecast(config, BINARY).num_parameters == config_parameters(config, BINARY)


def test_tutorial_costs_what_its_arithmetic_says():
    found = forecast(RECIPES["tutorial"], BINARY)
    assert found.num_parameters == 7_697_345
    # A third of the 220.3 GFLOP of forward and backward.
    assert found.forward_flops == pytest.approx(220.3e9 / 3, rel=0.01)


def test_half_precision_and_smaller_batches_need_less_memory():
    config = RECIPES["tutorial"]
    single = forecast(config, BINARY).memory_bytes
    assert forecast(with_changes(config, {"precision": "bf16"}), BINARY).memory_bytes < single
    assert forecast(with_changes(config, {"batch_size": 1}), BINARY).memory_bytes < single / 2
    assert forecast(with_changes(config, {"precision": "fp32"}), BINARY).memory_bytes == single


def test_encoder_that_does_not_go_with_its_architecture_is_refused():
    config = with_changes(
        RECIPES["tutorial"], {"architecture": "unet_plus_plus", "encoder": "mit_b0"}
    )
    with pytest.raises(BadSetting):
        forecast(config, BINARY)
