"""Error maps: where a prediction is right, where it is wrong, and in which way."""

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from engine.pictures.masks import index_png
from engine.scores.counts import IGNORED_INDEX

AGREEMENT = 0
"""Background in both."""
TRUE_POSITIVE = 1
"""The same foreground class in both."""
FALSE_POSITIVE = 2
"""Foreground predicted where the truth is background."""
FALSE_NEGATIVE = 3
"""Background predicted where the truth is foreground."""
WRONG_CLASS = 4
"""Foreground in both, of different classes."""

ERROR_COLORS: Mapping[int, str] = {
    TRUE_POSITIVE: "#00b15c",
    FALSE_POSITIVE: "#f5b800",
    FALSE_NEGATIVE: "#b0129a",
    WRONG_CLASS: "#2e4dff",
}
"""`#rrggbb` of each visible code.

Chosen so that, laid over grey tones at 60 %, any two stay apart for people with normal vision,
protanopia, deuteranopia and tritanopia (CIE76 difference of at least 22), and each stays apart
from every grey (at least 13).
"""


def error_map(
    truth: NDArray[np.uint8],
    prediction: NDArray[np.uint8],
    background: Collection[int] | int | None,
    ignored: int = IGNORED_INDEX,
) -> NDArray[np.uint8]:
    """Compare a prediction with the truth, pixel by pixel.

    Args:
        truth: class indices, shape (height, width).
        prediction: class indices of the same shape.
        background: index or indices of the background classes; None when every class is
            foreground. Two different background classes agree.
        ignored: value of `truth` that does not count. What is predicted there does not matter.

    Returns:
        One of the codes of this module per pixel, `IGNORED_INDEX` where `truth` is ignored.

    Raises:
        ValueError: the shapes differ.
    """
    if truth.shape != prediction.shape:
        raise ValueError(f"truth has the shape {truth.shape}, prediction {prediction.shape}")
    is_background = np.zeros(256, dtype=bool)
    is_background[_indices(background)] = True
    truth_is_background = is_background[truth]
    prediction_is_background = is_background[prediction]
    codes = np.where(truth == prediction, TRUE_POSITIVE, WRONG_CLASS).astype(np.uint8)
    codes[prediction_is_background] = FALSE_NEGATIVE
    codes[truth_is_background] = FALSE_POSITIVE
    codes[truth_is_background & prediction_is_background] = AGREEMENT
    codes[truth == ignored] = IGNORED_INDEX
    return codes


def error_png(codes: NDArray[np.uint8]) -> bytes:
    """An error map as an index PNG, transparent where nothing is to be said.

    Args:
        codes: what `error_map` returned; the pixel values of the file.
    """
    colors = ["#808080", *(ERROR_COLORS[code] for code in sorted(ERROR_COLORS))]
    return index_png(codes, colors, transparent=(AGREEMENT,))


def _indices(background: Collection[int] | int | None) -> list[int]:
    if background is None:
        return []
    return [background] if isinstance(background, int) else list(background)
