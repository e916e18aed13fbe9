"""What a network costs, computed from its settings alone. No torch: the server uses this too."""

from itertools import pairwise

from engine.config import ModelConfig


def level_widths(config: ModelConfig) -> list[int]:
    """Channels of each level, finest first: 64, 128, 256, 512 for the tutorial's network."""
    return [config.width * 2**level for level in range(config.num_levels)]


def num_outputs(num_classes: int) -> int:
    """Output channels for a class table: one logit for two classes, else one per class."""
    return 1 if num_classes == 2 else num_classes


def num_parameters(config: ModelConfig, in_channels: int, out_channels: int) -> int:
    """Trainable parameters of `engine.models.unet.UNet` with these settings.

    The tutorial's network has 7,697,345 for 3 input channels and 1 output.
    """
    widths = level_widths(config)
    total = sum(
        _block(config, before, width)
        for before, width in zip([in_channels, *widths[:-1]], widths, strict=True)
    )
    for width, below in pairwise(widths):
        # Bilinear upsampling is followed by a 1×1 convolution that halves the channels.
        kernel_size = 2 if config.upsampling == "transposed" else 1
        total += _convolution(below, width, kernel_size) + _block(config, 2 * width, width)
    return total + _convolution(widths[0], out_channels, 1)


def _convolution(in_channels: int, out_channels: int, kernel_size: int) -> int:
    return in_channels * out_channels * kernel_size**2 + out_channels


def _block(config: ModelConfig, in_channels: int, out_channels: int) -> int:
    """Two 3×3 convolutions; a normalisation adds a scale and a shift per channel to each."""
    affine = 0 if config.normalization == "none" else 4 * out_channels
    convolutions = _convolution(in_channels, out_channels, 3) + _convolution(
        out_channels, out_channels, 3
    )
    return convolutions + affine
