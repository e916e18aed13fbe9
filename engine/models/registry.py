"""Networks by name: from the settings of a training to a network."""

from pathlib import Path

from engine.config import TrainConfig
from engine.models.arithmetic import num_outputs
from engine.models.network import SegmentationNet
from engine.models.unet import UNet

__all__ = ["SegmentationNet", "build_model", "empty_model"]


def build_model(
    config: TrainConfig, in_channels: int, num_classes: int, weights_folder: Path | None = None
) -> SegmentationNet:
    """The network of a training, with the weights it begins with.

    Args:
        weights_folder: where pretrained encoders are looked for before the hub.

    Raises:
        BadSetting: the encoder does not go with the architecture or the number of levels, or its
            pretrained weights are not to be had.
    """
    network = empty_model(config, in_channels, num_classes)
    if config.model.architecture != "unet" and config.model.encoder_weights == "imagenet":
        from engine.models.encoders import EncoderNet
        from engine.models.pretrained import load_encoder

        assert isinstance(network, EncoderNet)
        load_encoder(network, config.model, weights_folder)
    return network


def empty_model(config: TrainConfig, in_channels: int, num_classes: int) -> SegmentationNet:
    """The network of a training before it is given any pretrained weights; looks for none.

    Raises:
        BadSetting: the encoder does not go with the architecture or the number of levels.
    """
    out_channels = num_outputs(num_classes)
    if config.model.architecture == "unet":
        return UNet(config.model, in_channels, out_channels, config.loss.deep_supervision)
    # The library takes seconds to load, and the U-Net does not need it.
    from engine.models.encoders import EncoderNet

    return EncoderNet(config.model, in_channels, out_channels)
