"""A small dataset to try everything with: circles and rectangles on noise.

After the data generator of the U-Net implementation by Akeret et al. (arXiv 1609.09077).
"""

import io
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

BACKGROUND_LEVEL = 60
CIRCLE_LEVELS = (100, 150)
RECTANGLE_LEVELS = (170, 220)
"""Grey levels before the noise; those of an object are drawn between the two."""

CIRCLE_VALUE, RECTANGLE_VALUE = 1, 2
"""Values in the masks; the background is 0."""


def write_toy_zip(
    path: Path,
    *,
    num_samples: int = 40,
    size_px: int = 128,
    seed: int = 0,
    rectangles: bool = True,
    color: bool = False,
    noise_sigma: float = 20.0,
) -> None:
    """Write a zip with `images/000.png` and `masks/000.png`, …; equal arguments, equal bytes.

    Args:
        size_px: width and height of the images.
        rectangles: draw rectangles as a second class.
        color: RGB images whose noise differs between the channels; else grey ones.
        noise_sigma: standard deviation of the noise, in grey levels.
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(num_samples):
            levels, mask = _scene(generator, size_px, rectangles)
            shape = (size_px, size_px, 3) if color else (size_px, size_px)
            noise = generator.normal(0, noise_sigma, shape)
            image = np.clip((levels[..., np.newaxis] if color else levels) + noise, 0, 255)
            for folder, pixels in (("images", image.astype(np.uint8)), ("masks", mask)):
                # A ZipInfo of its own has a fixed date, the archive's default is the clock.
                info = zipfile.ZipInfo(f"{folder}/{number:03d}.png")
                archive.writestr(info, _png(pixels))


def _scene(
    generator: np.random.Generator, size_px: int, rectangles: bool
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Grey levels without noise and class values, both of shape (size_px, size_px)."""
    levels = np.full((size_px, size_px), float(BACKGROUND_LEVEL))
    mask = np.zeros((size_px, size_px), dtype=np.uint8)
    y, x = np.mgrid[:size_px, :size_px]
    for _ in range(generator.integers(2, 6)):
        center_y, center_x = generator.uniform(0, size_px, 2)
        radius = generator.uniform(size_px / 20, size_px / 8)
        inside = (y - center_y) ** 2 + (x - center_x) ** 2 <= radius**2
        levels[inside] = generator.uniform(*CIRCLE_LEVELS)
        mask[inside] = CIRCLE_VALUE
    for _ in range(generator.integers(2, 5) if rectangles else 0):
        top, left = generator.uniform(0, size_px * 0.9, 2)
        height, width = generator.uniform(size_px / 12, size_px / 4, 2)
        inside = (y >= top) & (y < top + height) & (x >= left) & (x < left + width)
        levels[inside] = generator.uniform(*RECTANGLE_LEVELS)
        mask[inside] = RECTANGLE_VALUE
    return levels, mask


def _png(pixels: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
