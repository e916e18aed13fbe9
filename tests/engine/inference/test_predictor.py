"""Prediction: at the original size, by the threshold or the likeliest class."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from engine.config import recipe, with_changes
from engine.errors import BadData, OutOfMemory
from engine.files import Files
from engine.inference import predictor as module
from engine.inference.predictor import Predictor
from engine.models.compute import Compute
from engine.models.probabilities import normalize
from engine.models.registry import build_model
from engine.models.weights import CheckpointInfo, save_weights

CPU = Compute(torch.device("cpu"), torch.float32)
SIZE_PX = 16
UNPADDED = {"padding": "none", "num_levels": 3, "image_size_px": 52}
"""A network that says something of the 12 px in the middle of 52."""


def undecided_model(config, in_channels, num_classes):
    """An untrained network that predicts every class somewhere."""
    torch.manual_seed(1)
    model = build_model(config, in_channels, num_classes).eval()
    size = config.images.image_size_px
    with torch.no_grad():
        images_NCHW = normalize(torch.rand(4, in_channels, size, size), config.images)
        logits_NCHW = model(images_NCHW)
        scale = 2 / logits_NCHW.std((0, 2, 3))
        model.head.weight *= scale.view(-1, 1, 1, 1)
        model.head.bias.copy_(scale * (model.head.bias - logits_NCHW.mean((0, 2, 3))))
    return model


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def in_tiles(monkeypatch):
    """No image is small enough for one pass."""
    monkeypatch.setattr(module, "_WHOLE_PIXELS", 0)


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
    return noise(40, 30, 1)


@pytest.mark.parametrize("size", [(16, 16), (47, 33), (5, 7), (7, 300), (1, 1)])
@pytest.mark.parametrize("num_classes", [2, 3])
@pytest.mark.parametrize("padding", [{}, UNPADDED], ids=["padded", "unpadded"])
@pytest.mark.parametrize("view", ["resized", "patches", "tiles"])
def test_prediction_has_the_original_size(
    predictor, monkeypatch, size, num_classes, padding, view
):  # fmt: skip
    if view == "tiles":
        in_tiles(monkeypatch)
    view = "patches" if view == "tiles" else view
    prediction = predictor(num_classes, view=view, **padding).predict(noise(*size, 1))
    assert prediction.mask_HW.shape == size
    assert prediction.mask_HW.dtype == np.uint8
    assert prediction.probabilities_KHW.shape == (num_classes, *size)
    assert prediction.probabilities_KHW.dtype == np.float32
    assert np.allclose(prediction.probabilities_KHW.sum(axis=0), 1, atol=1e-5)
    assert set(np.unique(prediction.mask_HW)) <= set(range(num_classes))


@pytest.mark.parametrize("averaging", ["flips", "flips_turns", "seven_rotations"])
@pytest.mark.parametrize("view", ["resized", "patches"])
@pytest.mark.parametrize("padding", [{}, UNPADDED], ids=["padded", "unpadded"])
def test_averaging_goes_with_every_view_and_size(predictor, averaging, view, padding):
    plain, mean = (
        predictor(view=view, averaging=each, **padding).predict(noise(21, 34, 1))
        for each in ("none", averaging)
    )
    assert mean.probabilities_KHW.shape == (2, 21, 34)
    assert np.allclose(mean.probabilities_KHW.sum(axis=0), 1, atol=1e-5)
    assert not np.allclose(mean.probabilities_KHW, plain.probabilities_KHW, atol=1e-2)


@pytest.mark.parametrize("threshold", [0.05, 0.5, 0.95])
def test_with_two_classes_the_threshold_decides(predictor, image, threshold):
    prediction = predictor(threshold=threshold).predict(image)
    foreground = prediction.probabilities_KHW[1]
    assert np.array_equal(
        prediction.mask_HW, (foreground >= np.float32(threshold)).astype(np.uint8)
    )


def test_lower_threshold_finds_more(predictor, image):
    found = [predictor(threshold=t).predict(image).mask_HW.sum() for t in (0.05, 0.5, 0.95)]
    assert found[0] > found[1] > found[2] > 0


def test_with_more_classes_the_likeliest_wins_whatever_the_threshold(predictor):
    for threshold in (0.05, 0.95):
        prediction = predictor(4, threshold=threshold).predict(noise(16, 16, 1))
        assert np.array_equal(prediction.mask_HW, prediction.probabilities_KHW.argmax(axis=0))
        assert len(np.unique(prediction.mask_HW)) == 4


@pytest.mark.parametrize("view", ["resized", "patches"])
@pytest.mark.parametrize("intensity", ["unit", "standardized", "min_max"])
def test_at_the_networks_own_size_nothing_is_interpolated(predictor, view, intensity):
    made = predictor(view=view, intensity=intensity)
    pixels = noise(SIZE_PX, SIZE_PX, 1)
    images = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        expected = made.model(normalize(images, made.config.images)).sigmoid()[0, 0].numpy()
    probabilities = made.predict(pixels).probabilities_KHW
    assert np.allclose(probabilities[1], expected, atol=1e-5)
    assert np.allclose(probabilities[0], 1 - expected, atol=1e-5)


@pytest.mark.parametrize("intensity", ["unit", "standardized"])
def test_resized_image_reaches_an_unpadded_network_with_its_mirrored_border(predictor, intensity):
    made = predictor(intensity=intensity, **UNPADDED)
    pixels = noise(12, 12, 1)
    context = made.model.context_px
    assert context == 20
    # numpy reflects beyond the far side as often as it takes.
    window = np.pad(pixels[..., 0], context, mode="reflect")
    images = torch.from_numpy(window)[None, None].float() / 255
    with torch.inference_mode():
        expected = made.model(normalize(images, made.config.images)).sigmoid()[0, 0].numpy()
    assert np.allclose(made.predict(pixels).probabilities_KHW[1], expected, atol=1e-5)


def test_resized_image_is_that_of_training(predictor):
    """Anti-aliased bilinear, by the same library."""
    made = predictor()
    pixels = noise(50, 90, 1)
    resized = Image.fromarray(pixels[..., 0]).resize((SIZE_PX, SIZE_PX), Image.Resampling.BILINEAR)
    small = made.predict(np.asarray(resized)[..., None]).probabilities_KHW
    large = made.predict(pixels).probabilities_KHW
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(small)[None], (50, 90), mode="bilinear", align_corners=False
    )
    assert np.allclose(large, expected[0].numpy(), atol=1e-6)


def test_probabilities_and_not_the_mask_are_enlarged(predictor):
    prediction = predictor().predict(noise(4 * SIZE_PX, 4 * SIZE_PX, 1))
    blocks = prediction.mask_HW.reshape(SIZE_PX, 4, SIZE_PX, 4)
    # An enlarged mask would be made of uniform blocks.
    assert (blocks != blocks[:, :1, :, :1]).any()


def test_patches_are_predicted_in_the_images_own_pixels(predictor):
    """What lies far away, and how large the image is, makes no difference to a pixel."""
    made = predictor(view="patches")
    large = noise(96, 96, 1)
    found = made.predict(large).probabilities_KHW
    part = made.predict(large[:48, :64]).probabilities_KHW
    assert np.allclose(found[:, :24, :40], part[:, :24, :40], atol=1e-5)
    assert not np.allclose(found[:, :48, :64], part, atol=1e-3)


@pytest.mark.parametrize("intensity", ["unit", "standardized"])
def test_unpadded_network_says_the_same_in_tiles_and_in_one_pass(
    predictor, monkeypatch, intensity
):  # fmt: skip
    made = predictor(3, view="patches", intensity=intensity, **UNPADDED)
    pixels = noise(61, 90, 1)
    whole = made.predict(pixels).probabilities_KHW
    in_tiles(monkeypatch)
    assert np.allclose(made.predict(pixels).probabilities_KHW, whole, atol=1e-5)


def test_tiles_have_one_scale_of_grey_values(predictor, monkeypatch):
    """A tile that was scaled by itself would not know that it is the dim part of an image."""
    made = predictor(view="patches", intensity="standardized", overlap=0.5)
    pixels = noise(64, 64, 1)
    pixels[:, :32] //= 8
    whole = made.predict(pixels).probabilities_KHW
    in_tiles(monkeypatch)
    found = made.predict(pixels).probabilities_KHW
    corner = made.predict(pixels[:16, :16]).probabilities_KHW
    assert abs(found - whole)[1, :12, :12].max() < 0.05
    assert abs(corner - whole[:, :16, :16])[1, :12, :12].max() > 0.2


def test_prediction_is_the_same_every_time(predictor, image):
    made = predictor(normalization="batch")
    first, again = (made.predict(image).probabilities_KHW for _ in range(2))
    assert np.array_equal(first, again)


@pytest.mark.parametrize("view", ["resized", "patches"])
def test_read_only_images_are_left_alone(predictor, image, view):
    before = image.copy()
    image.flags.writeable = False
    predictor(view=view).predict(image)
    assert np.array_equal(image, before)


@pytest.mark.parametrize("view", ["resized", "patches"])
def test_images_have_the_channels_that_the_network_takes(predictor, view):
    color = noise(20, 30, 3)
    grey = np.asarray(Image.fromarray(color).convert("L"))[..., None]
    takes_grey, takes_color = predictor(view=view), predictor(in_channels=3, view=view)
    assert np.allclose(
        takes_grey.predict(color).probabilities_KHW,
        takes_grey.predict(grey).probabilities_KHW,
        atol=1e-6,
    )
    repeated = np.repeat(grey, 3, axis=2)
    assert np.allclose(
        takes_color.predict(grey).probabilities_KHW,
        takes_color.predict(repeated).probabilities_KHW,
        atol=1e-6,
    )
    of_color = takes_color.predict(color).probabilities_KHW
    assert not np.allclose(of_color, takes_color.predict(grey).probabilities_KHW, atol=1e-2)


def test_predictor_knows_the_settings_it_was_trained_with(predictor):
    made = predictor(threshold=0.25)
    assert made.config.predict.threshold == 0.25
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


@pytest.fixture
def scarce(monkeypatch):
    """`scarce(made, pixels)`: a network that runs out of memory when it is shown more at once."""

    def scarce(made, most_pixels):
        shown = []
        forward = made.model.forward

        def limited(images_NCHW):
            num_pixels = images_NCHW[:, 0].numel()
            if num_pixels > most_pixels:
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
            shown.append(num_pixels)
            return forward(images_NCHW)

        monkeypatch.setattr(made.model, "forward", limited)
        return shown

    return scarce


def test_image_too_large_for_the_memory_is_predicted_in_tiles_and_that_is_said(
    predictor, scarce, caplog
):
    made = predictor(3, view="patches", **UNPADDED)
    pixels = noise(61, 90, 1)
    whole = made.predict(pixels).probabilities_KHW
    shown = scarce(made, 52 * 52)
    found = made.predict(pixels).probabilities_KHW
    assert np.allclose(found, whole, atol=1e-5)
    assert set(shown) == {52 * 52}
    assert "Memory ran out" in caplog.text and "in tiles" in caplog.text


def test_what_fits_is_remembered_for_the_images_that_follow(predictor, scarce, caplog):
    made = predictor(view="patches")
    scarce(made, SIZE_PX * SIZE_PX)
    made.predict(noise(40, 40, 1))
    said = caplog.text
    made.predict(noise(40, 40, 1))
    assert caplog.text == said


def test_views_go_through_the_network_one_by_one_where_memory_is_scarce(predictor, scarce):
    made = predictor(averaging="flips_turns")
    pixels = noise(40, 30, 1)
    together = made.predict(pixels).probabilities_KHW
    shown = scarce(made, SIZE_PX * SIZE_PX)
    assert np.allclose(made.predict(pixels).probabilities_KHW, together, atol=1e-5)
    assert shown == [SIZE_PX * SIZE_PX] * 8


@pytest.mark.parametrize("view", ["resized", "patches"])
def test_prediction_that_fits_in_no_way_ends_with_a_sentence(predictor, scarce, view):
    made = predictor(view=view)
    shown = scarce(made, 0)
    with pytest.raises(OutOfMemory, match="memory of the processor ran out"):
        made.predict(noise(40, 30, 1))
    assert shown == []
