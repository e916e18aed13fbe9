"""Where background is squeezed between objects, as the U-Net paper weighs it.

The paper's weight of a pixel x is w(x) = w_c(x) + w0 · exp(-(d1 + d2)² / (2σ²)), d1 and d2 being
the distances to the nearest and the second nearest object (arXiv 1505.04597, equation 2). The
exponential depends on the masks and σ alone, so it is kept beside them as one byte per pixel.

An object is a connected part of one foreground class; touching at a corner is touching. Distances
are Euclidean, between the centres of pixels. Shapes: H height, W width, K classes.
"""

import math
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from engine.scores.counts import IGNORED_INDEX

_LEVELS = 255
_LARGEST_ROUNDED_AWAY = 0.5 / _LEVELS
_COST_OF_WHOLE = 4
"""How much longer a pixel takes in a transform of the whole mask than in one that fits the
processor's cache; measured."""

_EIGHT_NEIGHBOURS = np.ones((3, 3), np.bool_)

Distances = NDArray[np.float32]


def border_map(
    mask_HW: NDArray[np.uint8], background: Collection[int], sigma_px: float
) -> NDArray[np.uint8]:
    """The exponential of the weight map as round(255 · exp(-(d1 + d2)² / (2σ²))).

    It is 0 inside objects, where pixels are ignored, and everywhere with fewer than two objects.

    Args:
        mask_HW: class indices, 255 = ignored.
        background: indices of the classes that are background.
        sigma_px: σ, in pixels of the mask.
    """
    is_background = np.isin(mask_HW, list(background))
    labels, num_objects = _label_objects(mask_HW, background)
    if num_objects < 2 or not is_background.any():
        return np.zeros_like(mask_HW)
    # As d1 ≤ d2, a pixel counts only if both are shorter than this.
    reach_px = math.ceil(sigma_px * math.sqrt(-2 * math.log(_LARGEST_ROUNDED_AWAY)))
    windows = _windows(labels, reach_px)
    cost_by_object = sum(labels[window].size for window in windows)
    if cost_by_object < _COST_OF_WHOLE * 2 * num_objects.bit_length() * labels.size:
        first, second = _distances_by_object(labels, windows)
    else:
        first, second = _distances_by_bit(labels, num_objects)
    exponential = np.exp(-((first + second) ** 2) / (2 * sigma_px**2))
    return np.where(is_background, np.rint(_LEVELS * exponential), 0).astype(np.uint8)


def _label_objects(
    mask_HW: NDArray[np.uint8], background: Collection[int]
) -> tuple[NDArray[np.int32], int]:
    """Number of the object at each pixel, from 1, and how many there are; 0 is none."""
    labels, num_objects = np.zeros(mask_HW.shape, np.int32), 0
    values = np.flatnonzero(np.bincount(mask_HW.ravel()))
    for value in values.tolist():
        if value in background or value == IGNORED_INDEX:
            continue
        found, num_found = ndimage.label(mask_HW == value, _EIGHT_NEIGHBOURS)
        labels += np.where(found, found + np.int32(num_objects), 0)
        num_objects += num_found
    return labels, num_objects


def _windows(labels: NDArray[np.int32], reach_px: int) -> list[tuple[slice, ...]]:
    """The box of each object, wider by the reach on all sides."""
    return [
        tuple(slice(max(0, side.start - reach_px), side.stop + reach_px) for side in box)
        for box in ndimage.find_objects(labels)
    ]


def _distances_by_object(
    labels: NDArray[np.int32], windows: Sequence[tuple[slice, ...]]
) -> tuple[Distances, Distances]:
    """Distances to the two nearest objects that have the pixel in their window; else infinite."""
    first = np.full(labels.shape, np.inf, np.float32)
    second = first.copy()
    for number, window in enumerate(windows, start=1):
        distances = ndimage.distance_transform_edt(labels[window] != number).astype(np.float32)
        nearest = first[window]
        np.minimum(second[window], np.maximum(nearest, distances), out=second[window])
        np.minimum(nearest, distances, out=nearest)
    return first, second


def _distances_by_bit(labels: NDArray[np.int32], num_objects: int) -> tuple[Distances, Distances]:
    """Distances to the two nearest objects, in a time that hardly depends on how many there are.

    Numbers of two objects differ in at least one bit. So the second nearest is the nearest among
    those that differ from the nearest in this bit or in that.
    """
    distances, (rows, columns) = ndimage.distance_transform_edt(labels == 0, return_indices=True)
    nearest = labels[rows, columns]
    second = np.full(labels.shape, np.inf, np.float32)
    for bit in range(num_objects.bit_length()):
        for value in (0, 1):
            others = (labels > 0) & ((labels >> bit) & 1 == value)
            if others.any():
                to_others = ndimage.distance_transform_edt(~others).astype(np.float32)
                differs = (nearest >> bit) & 1 != value
                np.minimum(second, to_others, out=second, where=differs)
    return distances.astype(np.float32), second
