"""Prediction: at the original size, by the threshold or the likeliest class."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from engine.config import recipe, with_changes
from engine.errors import BadData
from engine.files import Files
from engine.inference.predictor import Predictor
from engine.models.compute import Compute
from engine.models.weights import CheckpointInfo, build_model, save_weights

CPU = Compute(torch.device("cpu"), torch.float32)
SIZE_PX = 16


def undecided_model(config, in_channels, num_classes):
    """An untrained network that predicts every class somewhere."""
    torch.manual_seed(1)
    model = build_model(config, in_channels, num_classes).eval()
    with torch.no_grad():
        logits_NCHW = model(torch.rand(4, in_channels, SIZE_PX, SIZE_PX))
        scale = 2 / logits_NCHW.std((0, 2, 3))
        model.head.weight *= scale.view(-1, 1, 1, 1)
        model.head.bias.copy_(scale * (model.head.bias - logits_NCHW.mean((0, 2, 3))))
    return model


@pytest.fixture
def predictor(tmp_path):
    """`predictor(num_classes=2, in_channels=1, **changes)`: an untrained network."""

    def make(num_classes=2, in_channels=1, **changes):
        config = with_changes(
            recipe("quick"), {"width": 4, "num_levels": 2, "image_size_px": SIZE_PX} | changes
        )
        model = undecided_model(config, in_channels, num_classes)
        info = CheckpointInfo(
            config=config, in_channels=in_channels, num_classes=num_classes, epoch=3, val_dice=0.5
        )
        files = Files(tmp_path)
        save_weights(files, "best.safetensors", model, info)
        return Predictor(files.path("best.safetensors"), CPU)

    return make


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (SIZE_PX, SIZE_PX, 1), np.uint8)


@pytest.mark.parametrize("size", [(16, 16), (47, 33), (5, 7), (1, 100), (8, 64)])
@pytest.mark.parametrize("num_classes", [2, 3])
def test_prediction_has_the_original_size(predictor, image, size, num_classes):
    prediction = predictor(num_classes).predict(image, *size)
    assert prediction.mask_HW.shape == size
    assert prediction.mask_HW.dtype == np.uint8
    assert prediction.probabilities_KHW.shape == (num_classes, *size)
    assert prediction.probabilities_KHW.dtype == np.float32
    assert np.allclose(prediction.probabilities_KHW.sum(axis=0), 1, atol=1e-5)
    assert set(np.unique(prediction.mask_HW)) <= set(range(num_classes))


@pytest.mark.parametrize("threshold", [0.05, 0.5, 0.95])
def test_with_two_classes_the_threshold_decides(predictor, image, threshold):
    prediction = predictor(threshold=threshold).predict(image, 40, 30)
    foreground = prediction.probabilities_KHW[1]
    assert np.array_equal(
        prediction.mask_HW, (foreground >= np.float32(threshold)).astype(np.uint8)
    )


def test_lower_threshold_finds_more(predictor, image):
    found = [predictor(threshold=t).predict(image, 40, 30).mask_HW.sum() for t in (0.05, 0.5, 0.95)]
    assert found[0] > found[1] > found[2] > 0


def test_with_more_classes_the_likeliest_wins_whatever_the_threshold(predictor, image):
    for threshold in (0.05, 0.95):
        prediction = predictor(4, threshold=threshold).predict(image, 40, 30)
        assert np.array_equal(prediction.mask_HW, prediction.probabilities_KHW.argmax(axis=0))
        assert len(np.unique(prediction.mask_HW)) == 4


def test_at_the_networks_own_size_nothing_is_interpolated(predictor, image):
    made = predictor()
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        expected = made.model(pixels).sigmoid()[0, 0].numpy()
    probabilities = made.predict(image, SIZE_PX, SIZE_PX).probabilities_KHW
    assert np.allclose(probabilities[1], expected, atol=1e-6)
    assert np.allclose(probabilities[0], 1 - expected, atol=1e-6)


def test_probabilities_and_not_the_mask_are_enlarged(predictor, image):
    prediction = predictor().predict(image, 4 * SIZE_PX, 4 * SIZE_PX)
    blocks = prediction.mask_HW.reshape(SIZE_PX, 4, SIZE_PX, 4)
    # An enlarged mask would be made of uniform blocks.
    assert (blocks != blocks[:, :1, :, :1]).any()


def test_prediction_is_the_same_every_time(predictor, image):
    made = predictor(normalization="batch")
    first, again = (made.predict(image, 33, 20).probabilities_KHW for _ in range(2))
    assert np.array_equal(first, again)


def test_read_only_images_are_left_alone(predictor, image):
    before = image.copy()
    image.flags.writeable = False
    predictor().predict(image, 20, 20)
    assert np.array_equal(image, before)


def test_colour_images_go_in_as_they_are_stored(predictor):
    image = np.random.default_rng(0).integers(0, 256, (SIZE_PX, SIZE_PX, 3), np.uint8)
    assert predictor(in_channels=3).predict(image, 9, 11).mask_HW.shape == (9, 11)


def test_predictor_knows_the_settings_it_was_trained_with(predictor):
    made = predictor(threshold=0.25)
    assert made.config.schedule.threshold == 0.25
    assert (made.info.epoch, made.info.num_classes, made.info.val_dice) == (3, 2, 0.5)


@pytest.mark.parametrize("content", [None, b"", b"not weights at all" * 100])
def test_checkpoint_that_cannot_be_read_is_named(tmp_path, content):
    path = tmp_path / "best.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadData, match=r"best\.safetensors cannot be read"):
        Predictor(path, CPU)


def test_checkpoint_cut_short_is_refused(predictor, tmp_path):
    predictor()
    path = tmp_path / "best.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(BadData, match="cannot be read"):
        Predictor(path, CPU)


@pytest.mark.parametrize("metadata", [None, {"format": "2", "config": json.dumps({})}])
def test_checkpoint_of_another_format_is_refused(tmp_path, metadata):
    path = tmp_path / "best.safetensors"
    save_file({"x": torch.zeros(1)}, path, metadata)
    with pytest.raises(BadData, match="this version reads 1"):
        Predictor(path, CPU)
