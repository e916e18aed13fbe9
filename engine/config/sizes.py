"""Which image sizes a U-Net can take, and how much smaller its output is.

A convolution without padding loses `kernel_size - 1` pixels, a pooling divides by the pool size,
an upsampling multiplies by it: 572 px become 388 px in the paper's network (arXiv 1505.04597,
figure 1).
"""

from collections.abc import Iterator

from engine.config.parts import ModelConfig


def output_size(model: ModelConfig, input_px: int) -> int | None:
    """Width of the output for an input of that width; None where some level does not divide.

    With padding every size goes in and comes out again.
    """
    if not is_unpadded(model):
        return input_px
    lost = model.convs_per_level * (model.kernel_size - 1)
    size = input_px
    for _level in range(model.num_levels - 1):
        size -= lost
        if size <= 0 or size % model.pool_size:
            return None
        size //= model.pool_size
    size -= lost
    for _level in range(model.num_levels - 1):
        size = size * model.pool_size - lost
    return size if size > 0 else None


def is_unpadded(model: ModelConfig) -> bool:
    """Whether the output is smaller than the input."""
    return model.architecture == "unet" and model.padding == "none"


def nearest_sizes(model: ModelConfig, input_px: int) -> tuple[int, ...]:
    """The sizes next to one that cannot be used, the smaller first; () where there are none."""
    limit = 4096
    below = next(_usable(model, range(min(input_px, limit), 0, -1)), None)
    above = next(_usable(model, range(input_px, limit)), None)
    return tuple(size for size in (below, above) if size is not None)


def _usable(model: ModelConfig, sizes: range) -> Iterator[int]:
    return (size for size in sizes if output_size(model, size) is not None)
