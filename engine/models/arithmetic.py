"""What a network costs, computed from its settings alone. No torch: the server uses this too."""

from dataclasses import dataclass

from engine.config import ModelConfig, OptimizerConfig, TrainConfig
from engine.models.encoder_costs import area_share, encoder_costs
from engine.models.unet_costs import lost_px, receptive_field_px, unet_costs

_FLOAT_BYTES = 4
_LOSS_COPIES = 4
"""Logits, probabilities, what they are compared with, and the gradient, in single precision."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkFacts:
    """A network's size, and what it takes to train it."""

    num_parameters: int
    """Trainable ones."""
    receptive_field_px: int | None
    """Width of what one output pixel sees of the image; None for networks with an encoder."""
    forward_flops: int
    """For one image, two for a multiplication with its addition; a training step takes thrice."""
    kept_values: int
    """Values of one image that the backward pass needs."""
    kept_index_bytes: int
    """Bytes of one image's indices that it needs besides."""
    live_values: int
    """Values of one image in memory at the most while predicting."""
    logits: int
    """Values of one image that the network gives."""
    copies: int
    """Numbers kept for each parameter in training: weight, gradient, optimiser, average."""

    def activation_bytes(self, batch_size: int, bytes_per_value: int) -> int:
        """What a batch leaves in memory for the backward pass."""
        return batch_size * (self.kept_values * bytes_per_value + self.kept_index_bytes)

    def training_bytes(self, batch_size: int, bytes_per_value: int) -> int:
        """Estimated memory of a training step, without what the libraries take for themselves.

        Args:
            bytes_per_value: 4 in single precision, 2 in half.
        """
        loss = batch_size * self.logits * _LOSS_COPIES * _FLOAT_BYTES
        # The gradients on their way are as large as what the finest level has in memory.
        passing = batch_size * self.live_values * bytes_per_value
        return (
            self._weight_bytes(self.copies, bytes_per_value)
            + self.activation_bytes(batch_size, bytes_per_value)
            + passing
            + loss
        )

    def inference_bytes(self, batch_size: int, bytes_per_value: int) -> int:
        """Estimated memory while predicting a batch of images of the training's size."""
        logits = batch_size * self.logits * _FLOAT_BYTES
        live = batch_size * self.live_values * bytes_per_value
        return self._weight_bytes(1, bytes_per_value) + live + logits

    def _weight_bytes(self, copies: int, bytes_per_value: int) -> int:
        # Convolutions in half precision work with a copy of the weights.
        half = bytes_per_value if bytes_per_value < _FLOAT_BYTES else 0
        return self.num_parameters * (copies * _FLOAT_BYTES + half)


def num_outputs(num_classes: int) -> int:
    """Output channels for a class table: one logit for two classes, else one per class."""
    return 1 if num_classes == 2 else num_classes


def num_parameters(model: ModelConfig, in_channels: int, out_channels: int) -> int:
    """Trainable parameters of the network, the heads of deep supervision apart.

    The tutorial's network has 7,697,345 for 3 input channels and 1 output.

    Raises:
        BadSetting: the encoder does not go with the architecture or the number of levels.
    """
    if model.architecture == "unet":
        return unet_costs(model, in_channels, out_channels, 0).parameters
    return encoder_costs(model).parameters(in_channels, out_channels)


def describe(config: TrainConfig, in_channels: int, num_classes: int) -> NetworkFacts:
    """What a training's network costs, for images of its size.

    Raises:
        BadSetting: the encoder does not go with the architecture or the number of levels.
    """
    model, size_px = config.model, config.images.image_size_px
    out_channels, copies = num_outputs(num_classes), _copies(config.optimizer)
    logits = out_channels * (size_px - 2 * lost_px(model)) ** 2
    if model.architecture == "unet":
        costs = unet_costs(model, in_channels, out_channels, size_px, config.loss.deep_supervision)
        return NetworkFacts(
            num_parameters=costs.parameters,
            receptive_field_px=receptive_field_px(model),
            forward_flops=costs.flops,
            kept_values=costs.kept_values,
            kept_index_bytes=costs.kept_index_bytes,
            live_values=costs.live_values,
            logits=logits,
            copies=copies,
        )
    measured = encoder_costs(model)
    area = area_share(model, size_px)
    return NetworkFacts(
        num_parameters=measured.parameters(in_channels, out_channels),
        receptive_field_px=None,
        forward_flops=round(measured.flops * area),
        kept_values=round(measured.kept_values * area),
        kept_index_bytes=round(measured.kept_index_bytes * area),
        live_values=round(measured.live_values * area),
        logits=logits,
        copies=copies,
    )


def _copies(config: OptimizerConfig) -> int:
    """Numbers kept for each parameter: weight, gradient, optimiser's state, running average."""
    moments = {
        "adam": 2,
        "adamw": 2,
        "sgd": int(config.momentum > 0),
        "rmsprop": 1 + int(config.momentum > 0),
    }
    return 2 + moments[config.optimizer] + int(config.ema_decay > 0)
