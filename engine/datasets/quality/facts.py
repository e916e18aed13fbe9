"""What is measured of each sample while an import holds it in memory.

Shapes: H height, W width in pixels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from hashlib import sha256
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from engine.datasets.quality.alignment import Alignment, measure_alignment
from engine.datasets.quality.fingerprints import fingerprint
from engine.scores.counts import IGNORED_INDEX
from engine.store.datasets import ClassEntry

SPECK_PX = 4
"""An object of so many pixels or fewer is likely a slip of the pen."""

_BLACK, _WHITE = 2, 253
"""Grey levels, of 255, up to and from which a pixel is black or white."""
_STRAY_SHARE = 0.001
"""Share of the darkest and of the brightest pixels that do not decide how dark an image is."""
_COPY_PX = 128
_COPY_SHARE = 0.998
"""Share of an image's variance that its mask explains when it is the mask itself, drawn in grey."""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleFacts:
    """Measurements of one sample; grey levels are shares, 0 black to 1 white."""

    brightness: float
    """Mean grey level."""
    contrast: float
    """Standard deviation of the grey levels."""
    darkest: float
    """Grey level that all but one in a thousand pixels reach."""
    brightest: float
    """Grey level that only one in a thousand pixels exceeds."""
    black_share: float
    white_share: float
    """Share of pixels at either end of the grey levels, where nothing can be told apart."""
    is_constant: bool
    """Every pixel of the image is the same."""
    num_objects: int
    """Connected parts of the foreground; touching at a corner is touching."""
    smallest_object_px: int | None
    """None without objects."""
    num_specks: int
    """Objects of at most `SPECK_PX` pixels."""
    num_instances: int | None
    """Objects that were numbered in the imported masks; None where they were not."""
    border_share: float | None
    """Share of foreground among the outermost pixels that count; None when none does."""
    alignment: Alignment | None
    """None when image or mask has no edges."""
    is_copy_of_mask: bool
    """The image shows nothing but its mask."""
    mask_hash: str
    """Hexadecimal; equal for equal masks."""
    fingerprint: str
    """Of the image; see `engine.datasets.quality.fingerprints`."""

    def to_dict(self) -> dict[str, Any]:
        """The facts as JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Self | None:
        """The facts that `to_dict` gave; None for those of another version, or none at all."""
        if record.keys() != {field.name for field in fields(cls)}:
            return None
        alignment = record["alignment"]
        return cls(
            **{
                **record,
                "alignment": None if alignment is None else Alignment(**alignment),
            }
        )


def measure(
    image: Pixels,
    coded: Pixels,
    classes: Sequence[ClassEntry],
    num_instances: int | None = None,
) -> SampleFacts:
    """Measure a sample.

    Args:
        image: shape (H, W) or (H, W, 3).
        coded: class indices, 255 = ignored, shape (H, W).
        classes: of the dataset.
        num_instances: objects that were numbered in the imported masks.
    """
    grey = Image.fromarray(image).convert("L")
    levels = np.array(grey.histogram(), dtype=np.int64)
    shares = levels / levels.sum()
    brightness = float(shares @ np.arange(256))
    contrast = float(np.sqrt(shares @ (np.arange(256) - brightness) ** 2))
    cumulated = shares.cumsum()
    foreground = _foreground_table(classes)[coded]
    sizes = object_sizes(foreground)
    return SampleFacts(
        brightness=round(brightness / 255, 4),
        contrast=round(contrast / 255, 4),
        darkest=round(int((cumulated > _STRAY_SHARE).argmax()) / 255, 4),
        brightest=round(int((cumulated >= 1 - _STRAY_SHARE).argmax()) / 255, 4),
        black_share=round(float(shares[: _BLACK + 1].sum()), 4),
        white_share=round(float(shares[_WHITE:].sum()), 4),
        is_constant=contrast == 0 and bool((image == image[0, 0]).all()),
        num_objects=len(sizes),
        smallest_object_px=int(sizes.min()) if len(sizes) else None,
        num_specks=int((sizes <= SPECK_PX).sum()),
        num_instances=num_instances,
        border_share=_border_share(coded, foreground),
        alignment=measure_alignment(grey, coded),
        is_copy_of_mask=_is_copy(grey, coded),
        mask_hash=_mask_hash(coded),
        fingerprint=fingerprint(image, grey),
    )


def _foreground_table(classes: Sequence[ClassEntry]) -> NDArray[np.bool_]:
    """Whether a value in a stored mask is foreground, shape (256,)."""
    table = np.zeros(256, np.bool_)
    table[[entry.index for entry in classes if not entry.background]] = True
    return table


def object_sizes(foreground: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Pixels of each connected part of a mask, shape (H, W), in the order of their first rows.

    Runs of pixels in a row are joined with those they touch in the next, which needs no image of
    labels: on masks it is faster than labelling pixels, and needs little memory.
    """
    height, width = foreground.shape
    # A column of background keeps the end of a row apart from the start of the next.
    rows = np.zeros((height, width + 1), np.bool_)
    rows[:, :width] = foreground
    flat = rows.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    if flat[0]:
        changes = np.concatenate([[0], changes])
    starts, ends = changes[::2], changes[1::2]
    # The runs of the next row that touch a run, at corners as well, are consecutive.
    first = np.searchsorted(ends, starts + width + 1)
    num_touched = np.searchsorted(starts, ends + width + 1, side="right") - first
    above = np.repeat(np.arange(len(starts)), num_touched)
    below = np.arange(len(above)) + np.repeat(
        first - num_touched.cumsum() + num_touched, num_touched
    )
    touching = coo_array((np.ones(len(above), np.bool_), (above, below)), shape=(len(starts),) * 2)
    labels = connected_components(touching, directed=False)[1]
    return np.bincount(labels, ends - starts).astype(np.int64)


def _border_share(coded: Pixels, foreground: NDArray[np.bool_]) -> float | None:
    def border(pixels: NDArray[Any]) -> NDArray[Any]:
        return np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])

    counted = border(coded) != IGNORED_INDEX
    if not counted.any():
        return None
    return round(float(border(foreground)[counted].mean()), 4)


def _is_copy(grey: Image.Image, coded: Pixels) -> bool:
    """Whether the grey levels are hardly more than one for each class."""
    step = max(1, max(coded.shape) // _COPY_PX)
    values = coded[::step, ::step].ravel().astype(np.int64)
    levels = np.asarray(grey)[::step, ::step].ravel().astype(np.float64)
    counts = np.bincount(values)
    if np.count_nonzero(counts) < 2 or levels.std() < 1:
        return False
    means = np.bincount(values, levels) / np.maximum(counts, 1)
    unexplained = np.mean((levels - means[values]) ** 2)
    return bool(unexplained <= (1 - _COPY_SHARE) * levels.var())


def _mask_hash(coded: Pixels) -> str:
    digest = sha256(repr(coded.shape).encode())
    digest.update(np.ascontiguousarray(coded).data)
    return digest.hexdigest()[:16]
