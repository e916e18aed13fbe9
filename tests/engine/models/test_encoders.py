"""Networks with an encoder: any size in and out, what does not go together, pretrained weights."""

import json
import subprocess
import sys

import huggingface_hub
import pytest
import torch
from safetensors.torch import save_file

from benchmarks.networks import measure
from engine.config import ENCODERS, TrainConfig, parse_config
from engine.errors import BadSetting
from engine.files import Files
from engine.models.arithmetic import describe, num_parameters
from engine.models.encoder_costs import EncoderCosts, encoder_costs
from engine.models.encoders import ARCHITECTURES
from engine.models.registry import build_model
from engine.models.weights import CheckpointInfo, load_weights, save_weights


def config_of(architecture, encoder="resnet18", num_levels=6, **model) -> TrainConfig:
    settings = {"architecture": architecture, "encoder": encoder, "num_levels": num_levels}
    return parse_config({"model": settings | model, "images": {"image_size_px": 64}})


def parameters_of(model):
    return sum(parameter.numel() for parameter in model.parameters())


# One each, and the encoders that need something of their own.
BUILT = [
    ("encoder_unet", "efficientnet-b0", 5),
    ("encoder_unet", "mit_b0", 4),
    ("unet_plus_plus", "mobilenet_v2", 4),
    ("manet", "resnet18", 6),
    ("linknet", "resnet18", 4),
    ("fpn", "resnet18", 5),
    ("pspnet", "mobilenet_v2", 4),
    ("pan", "resnet18", 6),
    ("deeplab_v3_plus", "mobilenet_v2", 5),
    ("upernet", "resnet18", 5),
    ("segformer", "mit_b0", 6),
]


@pytest.mark.parametrize(("architecture", "encoder", "num_levels"), BUILT)
def test_network_takes_any_size_and_learns_from_a_single_image(architecture, encoder, num_levels):
    config = config_of(architecture, encoder, num_levels)
    torch.manual_seed(0)
    network = build_model(config, 1, 3)
    assert parameters_of(network) == num_parameters(config.model, 1, 3)
    # A batch of one, as the last of an epoch may be.
    logits = network.train()(torch.rand(1, 1, 33, 70))
    assert logits.shape == (1, 3, 33, 70)
    logits.square().mean().backward()
    assert [name for name, each in network.named_parameters() if each.grad is None] == []
    with torch.inference_mode():
        assert network.eval()(torch.rand(2, 1, 5, 3)).shape == (2, 3, 5, 3)
        assert len(network.levels(torch.rand(1, 1, 64, 64))) == 1
    assert network.context_px == 0


def test_every_architecture_was_built():
    assert {architecture for architecture, _, _ in BUILT} == set(ARCHITECTURES)


@pytest.mark.parametrize(
    ("architecture", "encoder", "num_levels"), [BUILT[0], BUILT[5], BUILT[7], BUILT[10]]
)
def test_table_says_what_is_measured(architecture, encoder, num_levels):
    measured = EncoderCosts(*measure(architecture, encoder, num_levels - 1))
    assert encoder_costs(config_of(architecture, encoder, num_levels).model) == measured


def test_whole_resnet34_unet_has_the_parameters_it_is_known_for():
    # 24.44 million: “Unet, resnet34” of smp with one class.
    config = config_of("encoder_unet", "resnet34")
    assert num_parameters(config.model, 3, 1) == 24_436_369
    # A shallower one carries no stage along that it does not use: 13 million in the deepest.
    assert num_parameters(config_of("encoder_unet", "resnet34", 5).model, 3, 1) < 11_000_000


def test_costs_grow_with_the_area_of_the_padded_image():
    small = describe(config_of("encoder_unet"), 3, 2)
    large = parse_config(config_of("encoder_unet").to_dict() | {"images": {"image_size_px": 128}})
    assert describe(large, 3, 2).forward_flops == pytest.approx(4 * small.forward_flops)
    assert small.receptive_field_px is None
    assert small.training_bytes(4, 4) > small.inference_bytes(4, 4) > 0


@pytest.mark.parametrize(
    ("architecture", "encoder", "num_levels", "message"),
    [
        ("unet_plus_plus", "mit_b0", 6, "unet_plus_plus does not go with the encoder mit_b0; it "),
        ("linknet", "mit_b2", 6, "linknet does not go with the encoder mit_b2"),
        ("deeplab_v3_plus", "vgg16_bn", 6, "does not go with the encoder vgg16_bn"),
        ("pan", "densenet121", 5, "does not go with the encoder densenet121"),
        ("fpn", "mit_b0", 5, r"\(num_levels\) is 5; the architecture fpn with the encoder mit_b0 "
         "takes 6"),
        ("encoder_unet", "resnet18", 3, r"\(num_levels\) is 3; the architecture encoder_unet "
         "takes 4 to 6"),
        ("encoder_unet", "resnet18", 7, r"\(num_levels\) is 7"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_refused_before_anything_is_built(
    architecture, encoder, num_levels, message
):
    config = config_of(architecture, encoder, num_levels)
    for refused in (
        lambda: num_parameters(config.model, 3, 1),
        lambda: describe(config, 3, 2),
        lambda: build_model(config, 3, 2),
    ):
        with pytest.raises(BadSetting, match=message):
            refused()


def test_transformer_sees_a_grey_image_thrice_and_refuses_other_channels():
    config = config_of("segformer", "mit_b0")
    torch.manual_seed(0)
    grey = build_model(config, 1, 2).eval()
    colour = build_model(config, 3, 2).eval()
    colour.load_state_dict(grey.state_dict())
    image = torch.rand(1, 1, 64, 64)
    with torch.inference_mode():
        assert torch.equal(grey(image), colour(image.expand(-1, 3, -1, -1)))
    with pytest.raises(BadSetting, match="takes images of 1 or 3 channels, and these have 4"):
        build_model(config, 4, 2)


def test_checkpoint_comes_back_without_asking_for_pretrained_weights(tmp_path, no_hub):
    config = config_of("encoder_unet", "mobilenet_v2", 4, encoder_weights="imagenet")
    plain = config_of("encoder_unet", "mobilenet_v2", 4)
    model, files = build_model(plain, 3, 2).eval(), Files(tmp_path)
    info = CheckpointInfo(config=config, in_channels=3, num_classes=2, epoch=1, val_dice=0.5)
    save_weights(files, "best.safetensors", model, info)
    loaded, seen = load_weights(files.path("best.safetensors"), torch.device("cpu"))
    images = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(loaded(images), model(images))
    assert seen.config == config


@pytest.fixture
def no_hub(tmp_path, monkeypatch):
    """A hub that refuses connections, and nothing downloaded before."""
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


def whole_encoder(name):
    import segmentation_models_pytorch as smp

    torch.manual_seed(7)
    return smp.encoders.get_encoder(name, weights=None)


PRETRAINED = config_of("encoder_unet", "resnet18", 5, encoder_weights="imagenet")


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_encoder_starts_from_the_file_in_the_folder(tmp_path, no_hub, suffix):
    weights = whole_encoder("resnet18").state_dict()
    path = tmp_path / f"resnet18{suffix}"
    save_file(weights, path) if suffix == ".safetensors" else torch.save(weights, path)
    network = build_model(PRETRAINED, 3, 2, tmp_path)
    own = network.network.encoder.state_dict()
    assert own and all(torch.equal(each, weights[name]) for name, each in own.items())
    assert "layer3.0.conv1.weight" in own
    # Four halvings leave out the last stage.
    assert not any(name.startswith("layer4") for name in own)


def test_grey_image_gives_what_it_gives_as_three_equal_channels(tmp_path, no_hub):
    save_file(whole_encoder("resnet18").state_dict(), tmp_path / "resnet18.safetensors")
    grey = build_model(PRETRAINED, 1, 2, tmp_path).eval().network.encoder
    colour = build_model(PRETRAINED, 3, 2, tmp_path).eval().network.encoder
    image = torch.rand(1, 1, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(grey(image)[-1], colour(image.expand(-1, 3, -1, -1))[-1])


def test_weights_that_are_not_to_be_had_are_named_with_what_to_do(tmp_path, no_hub):
    with pytest.raises(BadSetting) as refused:
        build_model(PRETRAINED, 3, 2, tmp_path)
    sentence = str(refused.value)
    for part in (
        str(tmp_path), "resnet18.safetensors nor resnet18.pth", "smp-hub/resnet18.imagenet",
        "WORKBENCH_WEIGHTS", "choose Encoder weights none",
    ):  # fmt: skip
        assert part in sentence


class Malicious:
    def __reduce__(self):
        return (print, ("executed",))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("resnet18.safetensors", b"damaged", "it cannot be read"),
        ("resnet18.pth", b"damaged", "it cannot be read"),
        ("resnet18.pth", b"", "it cannot be read"),
        ("resnet18.pth", Malicious(), "it cannot be read"),
        ("resnet18.pth", [1, 2], "it holds no table of weights"),
        ("resnet18.pth", {"conv1.weight": torch.zeros(3)}, "names or shapes of its weights differ"),
    ],
)
def test_file_that_is_no_encoder_is_refused_and_not_executed(
    tmp_path, no_hub, capfd, name, content, message
):
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    else:
        torch.save(content, tmp_path / name)
    with pytest.raises(BadSetting, match=message):
        build_model(PRETRAINED, 3, 2, tmp_path)
    assert "executed" not in capfd.readouterr().out


def test_plain_unet_loads_no_library_of_encoders():
    code = (
        "import sys, json; from engine.config import recipe; "
        "from engine.models.registry import build_model; "
        "from engine.models.arithmetic import describe; build_model(recipe('quick'), 3, 2); "
        "heavy = {'segmentation_models_pytorch', 'timm'}; "
        "print(json.dumps(sorted(heavy & set(sys.modules))))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(ended.stdout) == []


def test_table_holds_every_encoder_and_architecture():
    for encoder in ENCODERS:
        assert encoder_costs(config_of("encoder_unet", encoder).model).num_parameters > 1_000_000
    for architecture in ARCHITECTURES:
        assert encoder_costs(config_of(architecture, "resnet34").model).flops > 0
