"""Networks with an encoder, from `segmentation-models-pytorch` (“smp”).

The library takes seconds to load: only `engine.models.registry` imports this, when it is needed.

Shapes: N images, C channels or logits, H height, W width.
"""

from typing import Any, cast

import segmentation_models_pytorch as smp  # type: ignore[import-untyped]
import torch
from torch import Tensor, nn

from engine.config import ModelConfig
from engine.errors import BadSetting
from engine.models.encoder_costs import encoder_costs, encoder_depth, smallest_px
from engine.models.network import SegmentationNet, pad_to_multiple

ARCHITECTURES = {
    "encoder_unet": smp.Unet,
    "unet_plus_plus": smp.UnetPlusPlus,
    "manet": smp.MAnet,
    "linknet": smp.Linknet,
    "fpn": smp.FPN,
    "pspnet": smp.PSPNet,
    "pan": smp.PAN,
    "deeplab_v3_plus": smp.DeepLabV3Plus,
    "upernet": smp.UPerNet,
    "segformer": smp.Segformer,
}
"""Classes of smp by the names of the setting."""

_DECODER_CHANNELS = (256, 128, 64, 32, 16)
"""Of the decoders that upsample step by step, the coarsest first."""
_PHOTOGRAPH_CHANNELS = 3


class EncoderNet(SegmentationNet):
    """An encoder and a decoder of smp. Any image size goes in, and comes out again.

    Args:
        model: architecture, encoder, and levels: the resolutions, the image's own included.
        in_channels: channels of the images. A transformer takes 3; it sees a grey image thrice.
        out_channels: logits per pixel.

    Raises:
        BadSetting: the encoder does not go with the architecture, the levels or the channels.
    """

    def __init__(self, model: ModelConfig, in_channels: int, out_channels: int) -> None:
        super().__init__()
        encoder_costs(model)  # refuses what does not go together
        self.repeats = 1
        if model.encoder.startswith("mit_") and in_channels != _PHOTOGRAPH_CHANNELS:
            if in_channels != 1:
                raise BadSetting(
                    "The encoder {encoder} takes images of 1 or 3 channels, and these have {seen}. "
                    "Choose another encoder, or convert the images (color).",
                    encoder=model.encoder,
                    seen=in_channels,
                )
            self.repeats = in_channels = _PHOTOGRAPH_CHANNELS
        depth = encoder_depth(model)
        self.network = smp_network(
            model.architecture, model.encoder, depth, in_channels, out_channels
        )
        self.multiple = 2**depth
        self.smallest_px = smallest_px(model.architecture)

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Logits for a batch of images."""
        height, width = images_NCHW.shape[-2:]
        if self.repeats > 1:
            images_NCHW = images_NCHW.expand(-1, self.repeats, -1, -1)
        padded_NCHW = pad_to_multiple(images_NCHW, self.multiple, self.smallest_px)
        return cast(Tensor, self.network(padded_NCHW)[..., :height, :width])


def smp_network(
    architecture: str, encoder: str, depth: int, in_channels: int, out_channels: int
) -> nn.Module:
    """The bare network of smp, with random weights.

    Args:
        depth: how often the encoder halves the image.

    Raises:
        ValueError: smp does not build this.
    """
    # Some decoders end at a resolution of their own, and have to be told how far that is.
    special: dict[str, Any] = {
        "encoder_unet": {"decoder_channels": _DECODER_CHANNELS[-depth:]},
        "unet_plus_plus": {"decoder_channels": _DECODER_CHANNELS[-depth:]},
        "manet": {"decoder_channels": _DECODER_CHANNELS[-depth:]},
        "fpn": {"upsampling": 2 ** (depth - 3)},
        "pspnet": {"upsampling": 2**depth},
    }
    network: nn.Module = ARCHITECTURES[architecture](
        encoder_name=encoder,
        encoder_depth=depth,
        encoder_weights=None,
        in_channels=in_channels,
        classes=out_channels,
        **special.get(architecture, {}),
    )
    _stop_in_time(network.encoder, encoder, depth)
    _drop_normalization_of_means(network)
    side_px = smallest_px(architecture)
    _drop_unused_weights(network, torch.zeros(1, in_channels, side_px, side_px))
    return network


def _stop_in_time(encoder: Any, name: str, depth: int) -> None:
    """Two encoders go through a stage more than their depth asks for: cut it off."""
    if name.startswith("efficientnet"):
        # The first halving is done before the blocks.
        encoder._blocks = encoder._blocks[: encoder._out_indexes[depth - 2] + 1]
    elif name == "mobilenet_v2":
        encoder.features = encoder.features[: encoder._out_indexes[depth - 1] + 1]


def _drop_unused_weights(network: nn.Module, images_NCHW: Tensor) -> None:
    """Replace layers that no image goes through.

    Encoders keep the stages that lie below their depth, and some a layer for classification.
    """
    used: set[nn.Module] = set()
    hooks = [
        layer.register_forward_hook(lambda layer, _inputs, _output: used.add(layer))
        for layer in network.modules()
    ]
    network.eval()
    with torch.inference_mode():
        network(images_NCHW)
    network.train()
    for hook in hooks:
        hook.remove()
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if child.state_dict() and used.isdisjoint(child.modules()):
                setattr(parent, name, nn.Identity())


def _drop_normalization_of_means(network: nn.Module) -> None:
    """Replace batch normalisation of what has been averaged over the whole image.

    With a single image in a batch it has one value per channel, which has no deviation; smp
    leaves it out in some decoders for the same reason.
    """
    for pooled in network.modules():
        if not (isinstance(pooled, nn.Sequential) and len(pooled)):
            continue
        first = pooled[0]
        if not (isinstance(first, nn.AdaptiveAvgPool2d) and first.output_size in (1, (1, 1))):
            continue
        for layer in pooled.modules():
            for name, child in list(layer.named_children()):
                if isinstance(child, nn.BatchNorm2d):
                    setattr(layer, name, nn.Identity())
