"""The samples of a dataset as a training reads them: one after the other in flat arrays.

Knows no store and no files, so that networks can be trained and used without either.

Shapes: N samples, H and W a sample's own size, C channels (1 or 3).
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrays:
    """All samples of a dataset, one after the other, by position; read-only."""

    images: Pixels
    """Pixels row by row, each with its channels; memory-mapped."""
    masks: Pixels
    """Class index of each pixel, 255 = ignored; memory-mapped."""
    borders: Pixels | None = None
    """How near each pixel is to two objects, 0 to 255 (see `engine.datasets.weight_maps`);
    memory-mapped. None where no loss wants it."""
    heights_N: NDArray[np.int64]
    widths_N: NDArray[np.int64]
    num_channels: int
    starts_N: NDArray[np.int64] = field(init=False)
    """Where in the masks each sample begins."""

    def __post_init__(self) -> None:
        ends_N = np.cumsum(self.heights_N * self.widths_N)
        object.__setattr__(self, "starts_N", np.concatenate([[0], ends_N[:-1]]))

    def image(self, position: int) -> Pixels:
        """(H, W, C)"""
        return self._cut(self.images, position, self.num_channels).reshape(
            self.heights_N[position], self.widths_N[position], self.num_channels
        )

    def mask(self, position: int) -> Pixels:
        """(H, W) class indices, 255 = ignored."""
        return self._map(self.masks, position)

    def border(self, position: int) -> Pixels | None:
        """(H, W), or None where no loss wants it."""
        return None if self.borders is None else self._map(self.borders, position)

    def _map(self, pixels: Pixels, position: int) -> Pixels:
        return self._cut(pixels, position, 1).reshape(
            self.heights_N[position], self.widths_N[position]
        )

    def _cut(self, pixels: Pixels, position: int, num_channels: int) -> Pixels:
        start = self.starts_N[position]
        end = start + self.heights_N[position] * self.widths_N[position]
        return pixels[start * num_channels : end * num_channels]


def resized_image(image: Pixels, size_px: int | None, num_channels: int) -> Pixels:
    """The image (H, W) or (H, W, 3) as a square, shrunk with anti-aliasing; None keeps its size.

    Colours are mixed to grey before they are resized where one channel is wanted.
    """
    if size_px is None:
        return image
    picture = Image.fromarray(image)
    if num_channels == 1:
        picture = picture.convert("L")
    return np.asarray(picture.resize((size_px, size_px), Image.Resampling.BILINEAR))


def resized_mask(mask: Pixels, size_px: int | None) -> Pixels:
    """The mask (H, W) as a square of its nearest pixels; None keeps its size."""
    if size_px is None:
        return mask
    return np.asarray(Image.fromarray(mask).resize((size_px, size_px), Image.Resampling.NEAREST))


def with_channels(image: Pixels, num_channels: int) -> Pixels:
    """The image as (height, width, num_channels)."""
    if image.ndim == 3 and num_channels == 1:
        image = np.asarray(Image.fromarray(image).convert("L"))
    if image.ndim == 2:
        image = np.repeat(image[..., np.newaxis], num_channels, axis=2)
    return image
