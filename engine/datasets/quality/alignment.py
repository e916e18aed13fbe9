"""Does a mask lie where its image has edges?

The edges of the mask are laid over those of the image, as they are, moved by a few pixels, and
mirrored or turned. Of two edges that meet, direction counts as well as strength. How well all agree
is told in standard deviations over all possible moves, so that a value of 6 is hardly chance,
whatever the image. Everything happens on a small copy.

Shapes: H, W of the small copy.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.fft import irfft2, rfft2

MAX_SHIFT_SHARE = 0.05
"""How far a mask is moved, as a share of the side."""
MIN_AGREEMENT = 6.0
"""A better place counts only when edges agree there beyond chance; see `Alignment`."""
MIN_GAIN = 3.0
"""And when they agree so much better than where the mask is."""

_LONGEST_SIDE_PX = 96
_MIN_SIDE_PX = 24
"""A smaller image shows too little."""
_MASK_PX = 256
"""Pixels of the mask that are looked at, in each direction."""
_MAX_CLASSES = 6
"""The most frequent classes whose edges are looked at."""
_STRONG_PERCENT = 95
"""Edges stronger than this share count no more: a few would drown all others."""

Pixels = NDArray[np.uint8]
_Field = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class Alignment:
    """How well the edges of image and mask agree, in standard deviations over all moves."""

    as_it_is: float
    """The best within one pixel of the small copy."""
    shifted: float
    """The best within `MAX_SHIFT_SHARE`."""
    right_px: int
    down_px: int
    """The move of the mask that gives it, in pixels of the image; negative to the left and up."""
    turned: float
    """The best of the mask mirrored, and for square images turned by quarters."""

    @property
    def is_shifted(self) -> bool:
        """Whether the mask fits clearly better elsewhere, and not better still when turned."""
        gain = self.shifted - self.as_it_is
        return self.shifted >= MIN_AGREEMENT and gain >= MIN_GAIN and not self.is_turned

    @property
    def is_turned(self) -> bool:
        """Whether the mask fits clearly better mirrored or turned than anywhere as it is."""
        best = max(self.as_it_is, self.shifted)
        return self.turned >= MIN_AGREEMENT and self.turned - best >= MIN_GAIN


def measure_alignment(grey: Image.Image, coded: Pixels) -> Alignment | None:
    """Compare the edges of an image and its mask; None when one of them has none.

    Args:
        grey: the image in mode L.
        coded: class indices, of the same size.
    """
    size = _small_size(grey.size)
    if size is None:
        return None
    mask_edges = _mask_edges(coded, size)
    if mask_edges is None:
        return None
    image_edges = _image_edges(grey, size)
    agreement_HW = _agreement(image_edges, mask_edges)
    deviation = float(agreement_HW.std())
    if deviation < 1e-9:
        return None
    agreement_HW /= deviation
    height, width = agreement_HW.shape
    down = _moves(height, MAX_SHIFT_SHARE)
    right = _moves(width, MAX_SHIFT_SHARE)
    window = agreement_HW[np.ix_(down % height, right % width)]
    row, column = np.unravel_index(int(window.argmax()), window.shape)
    turned = max(_overlap(image_edges, other) for other in _in_other_ways(mask_edges))
    return Alignment(
        as_it_is=round(float(agreement_HW[np.ix_([-1, 0, 1], [-1, 0, 1])].max()), 2),
        shifted=round(float(window.max()), 2),
        right_px=round(int(right[column]) * grey.width / width),
        down_px=round(int(down[row]) * grey.height / height),
        turned=round(turned / deviation, 2),
    )


@dataclass(frozen=True, slots=True)
class _Edges:
    """Strength of edges and their direction, doubled so that both sides count as one; (H, W)."""

    strength: _Field
    cosine: _Field
    sine: _Field

    @classmethod
    def of(cls, down: _Field, right: _Field) -> "_Edges":
        strength = np.hypot(down, right)
        safe = np.maximum(strength, np.float32(1e-6))
        cosine = np.divide(right * right - down * down, safe, dtype=np.float32)
        sine = np.divide(2 * right * down, safe, dtype=np.float32)
        return cls(strength, cosine, sine)

    @property
    def parts(self) -> tuple[_Field, _Field, _Field]:
        return self.strength, self.cosine, self.sine

    def centred(self) -> "_Edges":
        """Without the means, so that the agreement over all moves has mean 0."""
        return _Edges(*(part - part.mean() for part in self.parts))


def _small_size(size: tuple[int, int]) -> tuple[int, int] | None:
    """Width and height of the small copy: multiples of 8, which transform fast."""
    factor = min(1.0, _LONGEST_SIDE_PX / max(size))
    width, height = (8 * max(1, round(side * factor / 8)) for side in size)
    return None if min(width, height) < _MIN_SIDE_PX else (width, height)


def _image_edges(grey: Image.Image, size: tuple[int, int]) -> _Edges:
    small = np.asarray(grey.resize(size, Image.Resampling.BOX), dtype=np.float32)
    # The root evens out edges in light and in dark parts.
    down, right = _gradient(np.sqrt(small + 1))
    strength = np.hypot(down, right)
    limit = np.percentile(strength, _STRONG_PERCENT).astype(np.float32)
    tamed = np.minimum(1, limit / np.maximum(strength, np.float32(1e-6)))
    return _Edges.of(down * tamed, right * tamed).centred()


def _mask_edges(coded: Pixels, size: tuple[int, int]) -> _Edges | None:
    """Edges of all classes together; None when there is only one."""
    step = max(1, max(coded.shape) // _MASK_PX)
    sparse = np.ascontiguousarray(coded[step // 2 :: step, step // 2 :: step])
    counts = np.bincount(sparse.ravel())
    values = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)][:_MAX_CLASSES]
    if len(values) < 2:
        return None
    total: _Edges | None = None
    # The edges of two classes are the same ones.
    for value in values[1:] if len(values) == 2 else values:
        share = Image.fromarray((sparse == value).astype(np.uint8) * 255)
        small = np.asarray(share.resize(size, Image.Resampling.BOX), dtype=np.float32)
        edges = _Edges.of(*_gradient(small))
        total = edges if total is None else _Edges(*map(np.add, total.parts, edges.parts))
    return total


def _gradient(pixels_HW: _Field) -> tuple[_Field, _Field]:
    """Differences downwards and to the right; 0 at the border, where one neighbour is missing."""
    down, right = np.zeros_like(pixels_HW), np.zeros_like(pixels_HW)
    down[1:-1] = pixels_HW[2:] - pixels_HW[:-2]
    right[:, 1:-1] = pixels_HW[:, 2:] - pixels_HW[:, :-2]
    return down, right


def _agreement(image: _Edges, mask: _Edges) -> _Field:
    """Agreement with the mask moved by [down, right] pixels around the border, for all moves."""
    spectra = rfft2(np.stack(image.parts)) * np.conj(rfft2(np.stack(mask.parts)))
    agreement: _Field = irfft2(spectra.sum(axis=0), s=image.strength.shape)
    return agreement


def _overlap(image: _Edges, mask: _Edges) -> float:
    """The agreement without a move."""
    return sum(
        float(np.vdot(one, other)) for one, other in zip(image.parts, mask.parts, strict=True)
    )


def _in_other_ways(edges: _Edges) -> Iterator[_Edges]:
    """The edges of a mask mirrored and, if it is square, turned by quarters."""
    strength, cosine, sine = edges.parts
    is_square = strength.shape[0] == strength.shape[1]
    for is_transposed in (False, True) if is_square else (False,):
        if is_transposed:
            strength, cosine, sine = strength.T, -cosine.T, sine.T
        for step_down, step_right in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
            if (is_transposed, step_down, step_right) != (False, 1, 1):
                sign = step_down * step_right
                yield _Edges(
                    strength[::step_down, ::step_right],
                    cosine[::step_down, ::step_right],
                    sign * sine[::step_down, ::step_right],
                )


def _moves(side_px: int, share: float) -> NDArray[np.int64]:
    largest = max(2, int(np.ceil(share * side_px)))
    return np.arange(-largest, largest + 1)
