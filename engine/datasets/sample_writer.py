"""One pair of an archive becomes one sample on disk: `images/`, `masks/` and `thumbs/`.

Shapes: H height, W width in pixels.
"""

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engine.datasets.archive import Source
from engine.datasets.decode import (
    DecodedImage,
    PictureHeader,
    count_pixels,
    decode_mask,
    image_turns,
    read_image,
)
from engine.datasets.masks import MaskReader, ReadMask, count_classes
from engine.datasets.pairing import Pair
from engine.datasets.parallel import PixelBudget
from engine.datasets.plan import ImagePlan
from engine.datasets.quality import SampleFacts, measure
from engine.errors import BadData
from engine.notes import Note
from engine.pictures.masks import index_png
from engine.pictures.thumbnails import mask_thumbnail_png, thumbnail_webp
from engine.store.datasets import ClassEntry

MAX_CROP_PX, MAX_CROP_SHARE = 1, 0.02
"""Image and mask are cut to what they share when no side differs by more than the larger of
these; beyond that they hardly show the same thing."""

FOLDERS = ("images", "masks", "thumbs")
"""Folders of a dataset that hold a file per sample."""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """A sample whose files are on disk, under a provisional number."""

    pair: Pair
    number: int
    """Its files are called `000007.…`; gaps close when the import is complete."""
    image_file: str
    width: int
    height: int
    class_pixels: tuple[int, ...]
    num_channels: int
    """Of the picture as it was imported."""
    is_color: bool
    mode: str
    facts: SampleFacts
    digest: bytes
    """Fingerprint of its name, its pixels and its mask."""
    remarks: tuple[Note, ...]
    """What had to be changed or left out."""


class SampleWriter:
    """Writes samples below a folder. Thread-safe.

    Args:
        source: where the pictures are read.
        folder: where the files go; made here.
        headers: of the pairs' files.
        images: how images are read, and what becomes of masks of another size.
        reader: what the values in masks mean.
        classes: the classes it gives.
        one_per_object: each mask file shows one object of its image.
    """

    def __init__(
        self,
        source: Source,
        folder: Path,
        headers: Mapping[str, PictureHeader],
        images: ImagePlan,
        reader: MaskReader,
        classes: Sequence[ClassEntry],
        *,
        one_per_object: bool,
    ) -> None:
        self._source, self._folder, self._headers = source, folder, headers
        self._images, self._reader, self._classes = images, reader, classes
        self._one_per_object = one_per_object
        self._budget = PixelBudget()
        for name in FOLDERS:
            (folder / name).mkdir()

    def write(self, number: int, pair: Pair) -> Written:
        """Read a pair and write its sample.

        Raises:
            BadData: it cannot be read, or image and mask do not fit together.
        """
        image_data = self._source.read(pair.image)
        # Masks of single objects are decoded one by one; two are held at the same time.
        with self._budget.holding(3 * count_pixels(image_data)):
            image = pair_image(image_data, pair, self._headers, self._images)
            mask = pair_mask(self._source, pair, self._reader, one_per_object=self._one_per_object)
            pixels, coded, remark = fitted(pair, image.pixels, mask.coded, self._images)
            image_file = self._write_files(number, image, image_data, pixels, coded)
            height, width = coded.shape
            return Written(
                pair=pair,
                number=number,
                image_file=image_file,
                width=width,
                height=height,
                class_pixels=count_classes(coded, len(self._classes)),
                num_channels=image.num_channels,
                is_color=pixels.ndim == 3,
                mode=self._headers[pair.image].mode,
                facts=measure(pixels, coded, self._classes, mask.num_instances),
                digest=_digest(pair, pixels, coded),
                remarks=tuple(filter(None, (remark, self._dropped_channels(pair, image)))),
            )

    def _dropped_channels(self, pair: Pair, image: DecodedImage) -> Note | None:
        """What to say of an image whose channels do not all fit a picture."""
        if image.num_channels <= 3 or self._images.channels:
            return None
        return Note(
            "“{image}” has {num} channels; the first three were kept. Others can be chosen before "
            "the import (channels).",
            {"image": pair.image, "num": image.num_channels},
        )

    def _write_files(
        self, number: int, image: DecodedImage, image_data: bytes, pixels: Pixels, coded: Pixels
    ) -> str:
        as_it_is = image.browser_suffix is not None and pixels is image.pixels
        suffix = (image.browser_suffix if as_it_is else None) or ".png"
        image_file = f"{number:06d}{suffix}"
        viewable = image_data if as_it_is else png(pixels)
        (self._folder / "images" / image_file).write_bytes(viewable)
        (self._folder / "thumbs" / f"{number:06d}.webp").write_bytes(thumbnail_webp(pixels))
        write_mask(self._folder, number, coded, self._classes)
        return image_file


def pair_image(
    image_data: bytes, pair: Pair, headers: Mapping[str, PictureHeader], plan: ImagePlan
) -> DecodedImage:
    """A pair's image, turned as its mask needs it.

    Raises:
        BadData: it cannot be read.
    """
    return read_image(
        image_data,
        pair.image,
        page=pair.page,
        channels=plan.channels,
        upright=image_turns(headers[pair.image], headers[pair.masks[0]]),
    )


def pair_mask(
    source: Source, pair: Pair, reader: MaskReader, *, one_per_object: bool = False
) -> ReadMask:
    """A pair's mask from all its files, which are read one by one; see `MaskReader.read`.

    Raises:
        BadArchive: a file cannot be read.
        BadData: a file is no mask, or they do not fit together.
    """
    raws = (decode_mask(source.read(name), name, page=pair.page) for name in pair.masks)
    return reader.read(raws, pair.masks[0], one_per_object=one_per_object)


def mask_colors(classes: Sequence[ClassEntry]) -> tuple[list[str], list[int]]:
    """Colours by class index, and the indices to see the image through: the background's."""
    colors = [entry.color for entry in classes]
    return colors, [entry.index for entry in classes if entry.background]


def write_mask(folder: Path, number: int, coded: Pixels, classes: Sequence[ClassEntry]) -> None:
    """Write a mask of class indices, shape (H, W), and its thumbnail."""
    colors, background = mask_colors(classes)
    mask_file = folder / "masks" / f"{number:06d}.png"
    mask_file.write_bytes(index_png(coded, colors, background))
    thumbnail = folder / "thumbs" / f"{number:06d}.mask.png"
    thumbnail.write_bytes(mask_thumbnail_png(coded, colors, background))


def fitted(
    pair: Pair, image: Pixels, coded: Pixels, plan: ImagePlan
) -> tuple[Pixels, Pixels, Note | None]:
    """Image and mask at one size, and a remark when one had to be changed for it.

    Raises:
        BadData: their sizes differ and the plan says to skip, or by too much to crop.
    """
    image_height, image_width = image.shape[:2]
    mask_height, mask_width = coded.shape
    if (image_height, image_width) == (mask_height, mask_width):
        return image, coded, None
    facts = {
        "image": pair.image,
        "image_size": f"{image_width}×{image_height}",
        "mask": pair.masks[0],
        "mask_size": f"{mask_width}×{mask_height}",
    }
    if plan.on_size_mismatch == "resize":
        resized = Image.fromarray(coded).resize(
            (image_width, image_height), Image.Resampling.NEAREST
        )
        return (
            image,
            np.asarray(resized),
            Note(
                "The mask “{mask}” has {mask_size} pixels (width×height), its image “{image}” "
                "{image_size}: the mask was resized.",
                facts,
            ),
        )
    height, width = min(image_height, mask_height), min(image_width, mask_width)
    if plan.on_size_mismatch == "skip" or not is_close(image.shape[:2], coded.shape):
        raise BadData(
            "The image “{image}” has {image_size} pixels (width×height), but its mask “{mask}” "
            "has {mask_size}. Both must have the same size. Choose to resize the mask "
            "(on_size_mismatch=resize), or check that they belong together.",
            **facts,
        )
    return (
        image[:height, :width],
        coded[:height, :width],
        Note(
            "The mask “{mask}” has {mask_size} pixels (width×height), its image “{image}” "
            "{image_size}: both were cut to what they share.",
            facts,
        ),
    )


def is_close(first: Sequence[int], second: Sequence[int]) -> bool:
    """Whether two sizes in pixels are near enough to cut both to what they share."""
    return all(
        abs(one - other) <= max(MAX_CROP_PX, MAX_CROP_SHARE * max(one, other))
        for one, other in zip(first, second, strict=True)
    )


def png(pixels: Pixels) -> bytes:
    """A PNG file of an image, shape (H, W) or (H, W, 3)."""
    file = io.BytesIO()
    # The lowest level: four times as fast as the default for a tenth more bytes.
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()


def _digest(pair: Pair, pixels: Pixels, coded: Pixels) -> bytes:
    digest = hashlib.sha256(json.dumps([pair.sample, pixels.shape]).encode())
    digest.update(np.ascontiguousarray(pixels).data)
    digest.update(np.ascontiguousarray(coded).data)
    return digest.digest()
