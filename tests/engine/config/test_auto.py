"""`auto` fits itself to what it is shown, says why, and leaves alone what a person decided."""

import dataclasses
import itertools

import pytest

from engine.config import (
    AUGMENT_PRESETS,
    RECIPES,
    Machine,
    leaf_fields,
    parse_config,
    propose,
    recipe,
    steps_per_epoch,
)
from engine.errors import BadSetting
from tests.engine.config.conftest import PROFILE

CPU = Machine(
    device="cpu", num_cores=2, memory_bytes=8 * 2**30, device_name="a processor", weights={}
)
GPU = Machine(device="cuda", num_cores=16, memory_bytes=80 * 2**30, device_name="a GPU", weights={})

SIDES = [(16.0, 16.0, 16.0), (100.0, 200.0, 300.0), (700.0, 1000.0, 4000.0)]


def value_of(config, leaf):
    return getattr(getattr(config, leaf_fields()[leaf][0]), leaf)


@pytest.mark.parametrize("machine", [CPU, GPU], ids=["cpu", "gpu"])
@pytest.mark.parametrize(
    ("num_train", "sides", "object_px"),
    list(itertools.product([1, 20, 200, 100_000], SIDES, [None, 2.0, 500.0])),
)
def test_every_dataset_gets_settings_that_can_be_used(machine, num_train, sides, object_px):
    profile = dataclasses.replace(
        PROFILE,
        num_train=num_train,
        sides_px=sides,
        object_px=object_px,
    )
    proposed = propose("auto", profile, machine)
    assert parse_config(proposed.config.to_dict()) == proposed.config
    assert proposed.config.recipe == "auto"


@pytest.mark.parametrize("machine", [CPU, GPU], ids=["cpu", "gpu"])
def test_every_value_that_was_fitted_has_a_reason_in_whole_sentences(machine):
    standard = recipe("auto")
    for sides in SIDES:
        proposed = propose("auto", dataclasses.replace(PROFILE, sides_px=sides), machine)
        changed = {
            leaf
            for leaf in leaf_fields()
            if value_of(proposed.config, leaf) != value_of(standard, leaf)
        }
        assert changed <= proposed.reasons.keys()
        for note in proposed.reasons.values():
            assert "{" not in str(note)
            assert str(note).endswith(".")


@pytest.mark.parametrize("name", [name for name in RECIPES if name != "auto"])
def test_other_recipes_are_the_same_for_all_datasets(name):
    proposed = propose(name, PROFILE, GPU, {"epochs": 3})
    assert proposed.config.model == recipe(name).model
    assert proposed.config.schedule.epochs == 3
    assert proposed.reasons == {}


@pytest.mark.parametrize("name", ["width", "model.width"])
def test_what_a_person_decided_is_kept_and_needs_no_reason(name):
    proposed = propose("auto", PROFILE, CPU, {name: "7"})
    assert proposed.config.model.width == 7
    # The reason for levels tells of sixteen channels, which are not there.
    assert not {"width", "num_levels"} & proposed.reasons.keys()
    assert "batch_size" in proposed.reasons


def test_preset_that_a_person_decided_is_kept_whole():
    proposed = propose("auto", PROFILE, CPU, {"augment": "none"})
    assert proposed.config.augment == AUGMENT_PRESETS["none"]
    assert not proposed.reasons.keys() & set(type(proposed.config.augment).model_fields)


def test_batch_is_halved_until_the_memory_holds_it():
    def needed(config):
        return config.schedule.batch_size * 10 * 2**30

    small = dataclasses.replace(GPU, memory_bytes=50 * 2**30)
    proposed = propose("auto", PROFILE, small, None, needed)
    assert proposed.config.schedule.batch_size == 4
    assert "MiB" in str(proposed.reasons["batch_size"])
    # Half the batch makes twice the steps of an epoch.
    assert propose("auto", PROFILE, GPU).config.schedule.batch_size == 16


def test_pretrained_encoder_is_taken_where_its_weights_are_at_hand():
    colour = dataclasses.replace(PROFILE, num_channels=3)
    equipped = dataclasses.replace(GPU, weights={"resnet34": "resnet34.safetensors"})
    chosen = propose("auto", colour, equipped)
    assert (chosen.config.model.architecture, chosen.config.model.encoder) == (
        "encoder_unet",
        "resnet34",
    )
    assert "encoder" in chosen.reasons
    grey = dataclasses.replace(PROFILE, num_channels=1)
    assert propose("auto", grey, equipped).config.model.architecture == "unet"
    assert propose("auto", colour, GPU).config.model.architecture == "unet"


def test_wish_that_cannot_be_granted_is_refused():
    with pytest.raises(BadSetting, match=r"\(width\) is '1'"):
        propose("auto", PROFILE, CPU, {"width": "1"})
    with pytest.raises(BadSetting, match="no setting “speed”"):
        propose("auto", PROFILE, CPU, {"speed": "1"})
    with pytest.raises(BadSetting, match="no recipe “best”"):
        propose("best", PROFILE, CPU)


def test_large_images_of_small_things_are_shown_in_patches_and_others_whole():
    large = dataclasses.replace(PROFILE, sides_px=(900.0, 1024.0, 1100.0))
    assert propose("auto", large, CPU).config.images.view == "patches"
    of_large_things = dataclasses.replace(large, object_px=600.0)
    assert propose("auto", of_large_things, CPU).config.images.view == "resized"
    assert propose("auto", PROFILE, CPU).config.images.view == "resized"


def test_rare_class_is_looked_for_in_patches():
    large = dataclasses.replace(PROFILE, sides_px=(900.0, 1024.0, 1100.0))
    rare = dataclasses.replace(large, class_share=(0.99, 0.01))
    assert propose("auto", rare, CPU).config.images.foreground_share > 0
    assert propose("auto", large, CPU).config.images.foreground_share == 0
    # Whole images hold whatever they hold.
    assert "foreground_share" not in propose("auto", PROFILE, CPU).reasons


def test_images_that_are_shown_more_often_are_changed_more():
    strengths = [
        propose("auto", dataclasses.replace(PROFILE, num_train=num), CPU).config.augment
        for num in (1, 15, 20_000)
    ]
    assert strengths == [AUGMENT_PRESETS[name] for name in ("strong", "medium", "light")]


@pytest.mark.parametrize("machine", [CPU, GPU], ids=["cpu", "gpu"])
def test_few_images_are_passed_often_so_that_validation_does_not_take_the_time(machine):
    steps = []
    for num_train in (2, 24, 200, 20_000):
        profile = dataclasses.replace(PROFILE, num_train=num_train)
        config = propose("auto", profile, machine).config
        steps.append(steps_per_epoch(config, num_train))
    assert min(steps) >= 10
    assert max(steps) > 1000


def test_epoch_of_patches_is_longer_as_more_windows_validate():
    large = dataclasses.replace(PROFILE, num_train=24, num_val=6, sides_px=(1000.0, 1024.0, 1100.0))
    patches = propose("auto", large, CPU).config
    whole = propose("auto", dataclasses.replace(large, object_px=900.0), CPU).config
    assert (patches.images.view, whole.images.view) == ("patches", "resized")
    # Six images of 4 × 4 windows validate, five times as many are trained on.
    assert patches.images.passes_per_epoch == 20
    assert whole.images.passes_per_epoch == 2


def test_gpu_gets_a_wider_network_and_larger_batches():
    on_cpu, on_gpu = (propose("auto", PROFILE, machine).config for machine in (CPU, GPU))
    assert on_gpu.model.width > on_cpu.model.width
    assert on_gpu.schedule.batch_size > on_cpu.schedule.batch_size
