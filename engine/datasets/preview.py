"""What an import would make of an archive under a plan, for a look before anything is stored.

Everything here is told by the functions of the import itself, so that a preview does not promise
what the import does not keep.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.datasets.archive import Source
from engine.datasets.decode import PictureHeader, image_turns
from engine.datasets.masks import MaskReader, class_entries
from engine.datasets.pairing import Pair
from engine.datasets.plan import ImportPlan
from engine.datasets.sample_writer import fitted, is_close, mask_colors, pair_image, pair_mask
from engine.errors import BadInput
from engine.notes import Note
from engine.pictures.thumbnails import mask_thumbnail_png, thumbnail_webp

MAX_PICTURE_PIXELS = 40_000_000
"""A larger picture is not decoded for a look at it."""
MAX_PIXELS_TOGETHER = 160_000_000
"""The same, for an image with all the masks of its instances."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Preview:
    """One sample as the import would store it, small."""

    image_webp: bytes | None
    """None: it cannot be shown, and the note says why."""
    mask_png: bytes | None
    """Index PNG to lay over the image. None: there would be no such sample."""
    note: Note | None
    """What would have to be changed, or why the sample would be left out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SizeMismatch:
    """An image and its mask that are not equally large. Sizes are (width, height) in pixels."""

    pair: Pair
    image_size: tuple[int, int]
    mask_size: tuple[int, int]
    is_close: bool
    """Whether cropping accepts it."""


def preview(
    source: Source,
    pair: Pair,
    headers: Mapping[str, PictureHeader],
    plan: ImportPlan,
    *,
    longest_side_px: int = 384,
) -> Preview:
    """Make of a pair what the import would make of it.

    What cannot be read or used is told in the preview's note.

    Args:
        headers: of the pair's files.
        plan: with its masks.
    """
    assert plan.masks is not None, "a plan to look at says what the masks mean"
    too_large = _too_large(pair, headers)
    if too_large is not None:
        return Preview(image_webp=None, mask_png=None, note=too_large)
    image_webp = None
    try:
        image = pair_image(source.read(pair.image), pair, headers, plan.images)
        image_webp = thumbnail_webp(image.pixels, longest_side_px)
        mask = pair_mask(source, pair, MaskReader(plan.masks))
        pixels, coded, remark = fitted(pair, image.pixels, mask.coded, plan.images)
    except BadInput as error:
        return Preview(image_webp=image_webp, mask_png=None, note=Note(error.message, error.facts))
    if pixels.shape != image.pixels.shape:
        image_webp = thumbnail_webp(pixels, longest_side_px)
    colors, background = mask_colors(class_entries(plan.masks))
    mask_png = mask_thumbnail_png(coded, colors, background, longest_side_px)
    return Preview(image_webp=image_webp, mask_png=mask_png, note=remark)


def size_mismatches(
    pairs: Sequence[Pair], headers: Mapping[str, PictureHeader]
) -> list[SizeMismatch]:
    """The pairs whose image and first mask are not equally large, after both were turned upright.

    Pairs with a file that has no header are left out.
    """
    found = []
    for pair in pairs:
        if pair.image not in headers or pair.masks[0] not in headers:
            continue
        image, mask = headers[pair.image], headers[pair.masks[0]]
        image_size = image.upright_size if image_turns(image, mask) else (image.width, image.height)
        mask_size = mask.upright_size
        if image_size != mask_size:
            found.append(
                SizeMismatch(
                    pair=pair,
                    image_size=image_size,
                    mask_size=mask_size,
                    is_close=is_close(image_size, mask_size),
                )
            )
    return found


def _too_large(pair: Pair, headers: Mapping[str, PictureHeader]) -> Note | None:
    names = (pair.image, *pair.masks)
    pixels = {name: headers[name].width * headers[name].height for name in names}
    together = sum(pixels[name] for name in names)
    largest = max(pixels, key=pixels.__getitem__)
    if pixels[largest] > MAX_PICTURE_PIXELS:
        return Note(
            "“{name}” has {megapixels:.0f} million pixels; pictures above {limit:.0f} million are "
            "imported, but not shown here.",
            {
                "name": largest,
                "megapixels": pixels[largest] / 1e6,
                "limit": MAX_PICTURE_PIXELS / 1e6,
            },
        )
    if together > MAX_PIXELS_TOGETHER:
        return Note(
            "“{name}” has {num} masks with {megapixels:.0f} million pixels together; above "
            "{limit:.0f} million they are imported, but not shown here.",
            {
                "name": pair.image,
                "num": len(pair.masks),
                "megapixels": together / 1e6,
                "limit": MAX_PIXELS_TOGETHER / 1e6,
            },
        )
    return None
