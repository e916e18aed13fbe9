"""What a training would cost, before it is queued: from its settings, without a network.

Here and not on a page, because pages stay out of the rooms where networks live.
"""

from dataclasses import dataclass

from engine.config import TrainConfig
from engine.models.arithmetic import describe
from engine.store.datasets import Dataset

_HALF_BYTES, _SINGLE_BYTES = 2, 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """The size of a network, and what a step of its training takes."""

    num_parameters: int
    receptive_field_px: int | None
    """Width of what one output pixel sees of the image; None for networks with an encoder."""
    forward_flops: int
    """For one image of the training's size; two for each multiplication with its addition."""
    memory_bytes: int
    """Estimated; in single precision unless another one is set."""


def forecast(config: TrainConfig, dataset: Dataset) -> Forecast:
    """What these settings cost on this dataset.

    Raises:
        BadSetting: the encoder does not go with the architecture or the number of levels.
    """
    in_channels = config.images.num_channels(dataset.num_channels)
    facts = describe(config, in_channels, len(dataset.classes))
    is_half = config.compute.precision in ("bf16", "fp16")
    return Forecast(
        num_parameters=facts.num_parameters,
        receptive_field_px=facts.receptive_field_px,
        forward_flops=facts.forward_flops,
        memory_bytes=facts.training_bytes(
            config.schedule.batch_size, _HALF_BYTES if is_half else _SINGLE_BYTES
        ),
    )
