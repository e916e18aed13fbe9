"""A dataset at the network's size, decoded once and then memory-mapped.

Derived data: deleting `datasets/<id>/cache/` costs time, not results.

Shapes: N samples, S the network's image size, H and W a sample's own size, C channels (1 or 3).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engine.config import ImageConfig
from engine.datasets.decode import decode_image
from engine.datasets.disk import disk_errors
from engine.datasets.parallel import PixelBudget, for_each
from engine.errors import BadData
from engine.files import Files
from engine.pictures.masks import read_index_png
from engine.store.datasets import Dataset, Sample

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Arrays:
    """All samples of a dataset at one size, by position; read-only."""

    images: Pixels
    """(N, S, S, C), memory-mapped."""
    masks: Pixels
    """(N, S, S) class indices, 255 = ignored; memory-mapped."""


def training_arrays(
    files: Files,
    dataset: Dataset,
    samples: Sequence[Sample],
    images: ImageConfig,
    progress: Callable[[float], None] = lambda share: None,
) -> Arrays:
    """A dataset's images and masks, resized; built at the first use of a size.

    Images are resized with anti-aliased bilinear interpolation, masks to the nearest pixel.

    Args:
        samples: all samples of the dataset, by position.
        progress: called in this thread with the share that is built, 0 to 1.

    Raises:
        BadData: a stored file is missing or damaged.
        Refused: the files cannot be written.
    """
    num_channels = _num_channels(dataset, images)
    size = images.image_size_px
    key = f"datasets/{dataset.id}/cache/{size}-{num_channels}"
    images_shape = (len(samples), size, size, num_channels)
    cached = _open_arrays(files, key, images_shape)
    if cached is None:
        with disk_errors():
            _build(files, key, dataset, samples, images_shape, progress)
        cached = _open_arrays(files, key, images_shape)
        if cached is None:
            raise BadData(
                "The prepared images in “{key}” are damaged though they were just written. Check "
                "the disk of the home folder.",
                key=key,
            )
    return cached


def load_pair(files: Files, dataset: Dataset, sample: Sample) -> tuple[Pixels, Pixels]:
    """One sample at its own size: the image (H, W, C) with the dataset's channels, and the mask
    (H, W) of class indices.

    Raises:
        BadData: a stored file is missing or damaged.
    """
    image, mask = _stored(files, dataset, sample)
    return _with_channels(image, dataset.num_channels), mask


def _num_channels(dataset: Dataset, images: ImageConfig) -> int:
    return {"dataset": dataset.num_channels, "rgb": 3, "grey": 1}[images.color]


def _open_arrays(files: Files, key: str, images_shape: tuple[int, ...]) -> Arrays | None:
    """The arrays if they are there and whole."""
    images = _open_array(files, f"{key}/images.npy", images_shape)
    masks = _open_array(files, f"{key}/masks.npy", images_shape[:3])
    return None if images is None or masks is None else Arrays(images, masks)


def _open_array(files: Files, key: str, shape: tuple[int, ...]) -> Pixels | None:
    try:
        array: Pixels = np.load(files.path(key), mmap_mode="r")
    except (OSError, ValueError, EOFError):
        return None
    return array if array.shape == shape and array.dtype == np.uint8 else None


def _build(
    files: Files,
    key: str,
    dataset: Dataset,
    samples: Sequence[Sample],
    images_shape: tuple[int, ...],
    progress: Callable[[float], None],
) -> None:
    budget = PixelBudget()
    _, size, _, num_channels = images_shape
    num_done = 0

    def load(sample: Sample) -> tuple[bytes, bytes]:
        with budget.holding(2 * sample.width * sample.height):
            image, mask = _stored(files, dataset, sample)
            return _resized_image(image, size, num_channels), _resized_mask(mask, size)

    # Written in order and not through a memory map, which a full disk would end with a signal.
    with (
        files.writing(f"{key}/images.npy") as images_path,
        files.writing(f"{key}/masks.npy") as masks_path,
        open(images_path, "wb") as images_file,
        open(masks_path, "wb") as masks_file,
    ):
        _write_header(images_file, images_shape)
        _write_header(masks_file, images_shape[:3])

        def write(loaded: tuple[bytes, bytes]) -> None:
            nonlocal num_done
            images_file.write(loaded[0])
            masks_file.write(loaded[1])
            num_done += 1
            progress(num_done / len(samples))

        for_each(load, samples, write)


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    np.lib.format.write_array_header_2_0(
        file, {"descr": "|u1", "fortran_order": False, "shape": shape}
    )


def stored_image(files: Files, dataset: Dataset, sample: Sample) -> Pixels:
    """A sample's image as the import wrote it, (H, W) or (H, W, 3).

    Raises:
        BadData: the file is missing or damaged.
    """
    try:
        data = files.path(f"datasets/{dataset.id}/images/{sample.image_file}").read_bytes()
    except OSError as error:
        raise BadData(
            "The image {file} of the dataset “{dataset}” is missing or unreadable. Restore the "
            "file, or import the dataset again.",
            file=sample.image_file,
            dataset=dataset.name,
        ) from error
    return decode_image(data, sample.image_file)


def _stored(files: Files, dataset: Dataset, sample: Sample) -> tuple[Pixels, Pixels]:
    """Image (H, W) or (H, W, 3) and mask (H, W) as the import wrote them."""
    image = stored_image(files, dataset, sample)
    mask_path = files.path(f"datasets/{dataset.id}/masks/{sample.mask_file}")
    return image, read_index_png(mask_path)


def _resized_image(image: Pixels, size: int, num_channels: int) -> bytes:
    picture = Image.fromarray(image)
    if num_channels == 1:
        picture = picture.convert("L")
    picture = picture.resize((size, size), Image.Resampling.BILINEAR)
    return _with_channels(np.asarray(picture), num_channels).tobytes()


def _resized_mask(mask: Pixels, size: int) -> bytes:
    return Image.fromarray(mask).resize((size, size), Image.Resampling.NEAREST).tobytes()


def _with_channels(image: Pixels, num_channels: int) -> Pixels:
    """The image as (height, width, num_channels)."""
    if image.ndim == 3 and num_channels == 1:
        image = np.asarray(Image.fromarray(image).convert("L"))
    if image.ndim == 2:
        image = np.repeat(image[..., np.newaxis], num_channels, axis=2)
    return image
