"""Weights on disk: what was saved comes back, old layouts too, and nothing foreign gets in."""

import json
import shutil

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional

from engine.config import ModelConfig, TrainConfig, recipe, with_changes
from engine.errors import BadData, DiskFull
from engine.files import Files
from engine.models.registry import build_model
from engine.models.weights import CheckpointInfo, load_weights, read_info, save_weights, transfer

CPU = torch.device("cpu")
SMALL = with_changes(
    recipe("quick"), {"width": 4, "num_levels": 3, "residual": True, "attention": True}
)


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path)


def saved(files, config=SMALL, in_channels=3, num_classes=2, key="a/best.safetensors"):
    model = build_model(config, in_channels, num_classes).eval()
    info = CheckpointInfo(
        config=config, in_channels=in_channels, num_classes=num_classes, epoch=3, val_dice=0.1 + 0.2
    )
    save_weights(files, key, model, info)
    return model, info, files.path(key)


def test_saved_network_comes_back_with_its_description(files):
    model, info, path = saved(files)
    loaded, seen = load_weights(path, CPU)
    images = torch.rand(2, 3, 30, 41)
    assert torch.equal(loaded(images), model(images))
    assert seen == info
    assert not loaded.training


def write(path, weights, **changes):
    metadata = {
        "format": "1", "in_channels": "1", "num_classes": "2", "epoch": "1", "val_dice": "0.5",
        "config": json.dumps(TrainConfig().to_dict()),
    } | changes  # fmt: skip
    save_file(weights, path, {name: value for name, value in metadata.items() if value is not None})
    return path


CONVOLUTIONS = {
    "none": ["0", "2"],
    "batch": ["0", "3"],
}
"""Names of the convolutions of a block in version 1; a normalisation follows each."""


def version_1_weights(normalization, upsampling):
    """Two levels of 4 and 8 channels; one channel in, one logit out."""
    torch.manual_seed(0)
    weights = {}

    def layer(name, *shape):
        outputs = shape[1] if name == "up.0" else shape[0]
        weights[f"{name}.weight"] = torch.randn(*shape) * 0.2
        weights[f"{name}.bias"] = torch.randn(outputs)

    for block, before, width in (("down.0", 1, 4), ("down.1", 4, 8), ("merge.0", 8, 4)):
        for index, name in enumerate(CONVOLUTIONS[normalization]):
            layer(f"{block}.{name}", width, width if index else before, 3, 3)
            if normalization == "batch":
                norm = f"{block}.{int(name) + 1}"
                weights |= {
                    f"{norm}.weight": torch.rand(width),
                    f"{norm}.bias": torch.randn(width),
                    f"{norm}.running_mean": torch.randn(width),
                    f"{norm}.running_var": torch.rand(width) + 0.5,
                    f"{norm}.num_batches_tracked": torch.tensor(7),
                }
    if upsampling == "transposed":
        layer("up.0", 8, 4, 2, 2)
    else:
        layer("up.0.1", 4, 8, 1, 1)
    layer("head", 1, 4, 1, 1)
    return weights


def version_1_network(weights, x, normalization, upsampling):
    """The network of version 1, written out."""

    def conv(name, x, padding=0):
        return functional.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"],
                                 padding=padding)  # fmt: skip

    def block(name, x):
        for each in CONVOLUTIONS[normalization]:
            x = conv(f"{name}.{each}", x, padding=1)
            if normalization == "batch":
                norm = f"{name}.{int(each) + 1}"
                mean, variance = weights[f"{norm}.running_mean"], weights[f"{norm}.running_var"]
                scale, shift = weights[f"{norm}.weight"], weights[f"{norm}.bias"]
                x = functional.batch_norm(x, mean, variance, scale, shift)
            x = x.relu()
        return x

    skip = block("down.0", x)
    x = block("down.1", functional.max_pool2d(skip, 2))
    if upsampling == "transposed":
        x = functional.conv_transpose2d(x, weights["up.0.weight"], weights["up.0.bias"], stride=2)
    else:
        x = conv("up.0.1", functional.interpolate(x, scale_factor=2, mode="bilinear"))
    return conv("head", block("merge.0", torch.cat([skip, x], dim=1)))


@pytest.mark.parametrize("normalization", ["none", "batch"])
@pytest.mark.parametrize("upsampling", ["transposed", "bilinear"])
def test_checkpoint_of_version_1_predicts_what_it_did(tmp_path, normalization, upsampling):
    weights = version_1_weights(normalization, upsampling)
    config = {
        "version": 1,
        "recipe": "quick",
        "model": {
            "num_levels": 2, "width": 4, "normalization": normalization, "upsampling": upsampling
        },
        "augment": {"flips": True, "rotate_90": True, "brightness_contrast": 0.2},
        "schedule": {"epochs": 3, "threshold": 0.4},
    }  # fmt: skip
    path = write(tmp_path / "old.safetensors", weights, config=json.dumps(config))
    network, info = load_weights(path, CPU)
    images = torch.rand(2, 1, 16, 24)
    with torch.inference_mode():
        expected = version_1_network(weights, images, normalization, upsampling)
        torch.testing.assert_close(network(images), expected)
    assert info.config.predict.threshold == 0.4


@pytest.mark.parametrize("content", [b"", b"no weights", b"PK\x03\x04" + bytes(100)])
def test_damaged_file_is_refused_with_a_sentence(tmp_path, content):
    path = tmp_path / "best.safetensors"
    path.write_bytes(content)
    for read in (lambda: load_weights(path, CPU), lambda: transfer(build_model(SMALL, 3, 2), path)):
        with pytest.raises(BadData, match=r"The checkpoint best\.safetensors cannot be read"):
            read()


def test_missing_file_is_refused_with_a_sentence(tmp_path):
    with pytest.raises(BadData, match=r"none\.safetensors cannot be read"):
        load_weights(tmp_path / "none.safetensors", CPU)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": None}, "has format unknown; this version reads 1"),
        ({"format": "9"}, "has format 9; this version reads 1"),
        ({"config": None}, "does not describe its network"),
        ({"config": "{"}, "does not describe its network"),
        ({"config": "[1]"}, "does not describe its network"),
        ({"config": '{"version": 7}'}, "does not describe its network"),
        ({"in_channels": "many"}, "does not describe its network"),
    ],
)
def test_foreign_file_is_refused_with_a_sentence(tmp_path, changes, message):
    path = write(tmp_path / "best.safetensors", {"x": torch.zeros(2)}, **changes)
    with pytest.raises(BadData, match=message):
        load_weights(path, CPU)


def test_weights_of_another_shape_are_refused_by_name(tmp_path):
    model = build_model(with_changes(recipe("quick"), {"width": 4}), 1, 2)
    config = with_changes(recipe("quick"), {"width": 8})
    path = write(
        tmp_path / "best.safetensors", model.state_dict(), config=json.dumps(config.to_dict())
    )
    with pytest.raises(BadData) as refused:
        load_weights(path, CPU)
    sentence = str(refused.value)
    assert "down.0.0.weight (4×1×3×3, expected 8×1×3×3)" in sentence
    assert "and" in sentence and "more" in sentence and sentence.count("expected") == 3


def test_transfer_takes_everything_between_equal_networks(files):
    model, _info, path = saved(files)
    other = build_model(SMALL, 3, 2).eval()
    report = transfer(other, path)
    images = torch.rand(1, 3, 32, 32)
    assert torch.equal(other(images), model(images))
    assert not report.differing and not report.missing
    assert str(report.note()) == f"All {len(report.taken)} weights were taken from {path.name}."


def test_transfer_leaves_and_names_what_differs(files):
    model, _info, path = saved(files)
    torch.manual_seed(1)
    other = build_model(SMALL, 3, 5)
    head = other.head.weight.detach().clone()
    report = transfer(other, path)
    assert report.differing == {
        "head.weight": ((1, 4, 1, 1), (5, 4, 1, 1)),
        "head.bias": ((1,), (5,)),
    }
    assert torch.equal(other.head.weight, head)
    assert torch.equal(other.down[0].body[0].weight, model.down[0].body[0].weight)
    assert "head.weight (1×4×1×1 there, 5×4×1×1 here)" in str(report.note())


def test_transfer_names_what_the_checkpoint_lacks(files):
    _model, _info, path = saved(files, with_changes(SMALL, {"num_levels": 2}))
    report = transfer(build_model(SMALL, 3, 2), path)
    assert any(name.startswith("down.2") for name in report.missing)
    assert "begin anew" in str(report.note()) and "more" in str(report.note())


def test_transfer_from_which_nothing_fits_is_refused(files):
    plain = TrainConfig(model=ModelConfig(num_levels=2, width=6, convs_per_level=1))
    _model, _info, path = saved(files, plain)
    other = build_model(with_changes(recipe("quick"), {"width": 4, "residual": True}), 1, 3)
    before = {name: each.clone() for name, each in other.state_dict().items()}
    with pytest.raises(BadData, match="No weight of the checkpoint"):
        transfer(other, path)
    assert all(torch.equal(each, before[name]) for name, each in other.state_dict().items())


def test_every_single_bit_of_the_weights_and_of_what_is_said_of_them_counts(files):
    """One bit of every seventh byte, another one each time: refused, or it makes no difference."""
    small = with_changes(recipe("quick"), {"width": 4, "num_levels": 2})
    model, info, path = saved(files, small, in_channels=1)
    whole = path.read_bytes()
    num_refused = 0
    for index in range(0, len(whole), 7):
        damaged = bytearray(whole)
        damaged[index] ^= 1 << index % 8
        path.write_bytes(damaged)
        try:
            loaded, seen = load_weights(path, CPU)
        except BadData as error:
            num_refused += 1
            assert "best.safetensors" in str(error)
            continue
        assert seen == info
        for name, tensor in model.state_dict().items():
            assert torch.equal(loaded.state_dict()[name], tensor)
    # What is left is the name of the sum itself, and blanks at the header's end.
    assert num_refused > len(whole) / 7 - 10


def test_weights_of_before_there_were_sums_are_read(tmp_path):
    weights = version_1_weights("none", "transposed")
    config = with_changes(TrainConfig(), {"num_levels": 2, "width": 4})
    path = write(tmp_path / "a.safetensors", weights, config=json.dumps(config.to_dict()))
    loaded, _info = load_weights(path, CPU)
    assert torch.equal(loaded.state_dict()["head.weight"], weights["head.weight"])
    with_sum = tmp_path / "b.safetensors"
    write(with_sum, weights, config=json.dumps(config.to_dict()), sha256="0" * 64)
    with pytest.raises(BadData, match="check sum differs"):
        load_weights(with_sum, CPU)


def test_description_is_read_without_the_weights_and_is_none_where_there_is_none(files, tmp_path):
    _model, info, path = saved(files)
    assert read_info(path) == info
    assert read_info(tmp_path / "none") is None
    path.write_bytes(b"damaged")
    assert read_info(path) is None


def test_weights_that_do_not_fit_onto_the_disk_leave_the_old_ones(files, monkeypatch):
    model, info, path = saved(files)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 99, 1))
    with pytest.raises(DiskFull):
        save_weights(files, "a/best.safetensors", model, info)
    assert read_info(path) == info
    assert [each.name for each in path.parent.iterdir()] == [path.name]
