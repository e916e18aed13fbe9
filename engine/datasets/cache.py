"""A dataset at the size a network works with, decoded once and then memory-mapped.

Derived data: deleting `datasets/<id>/cache/` costs time, not results. What does not depend on a
setting is shared by all its values: masks lie once for all colours, images once for all losses.

Shapes: N samples, H and W a sample's own size, C channels (1 or 3).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from engine.config import ImageConfig
from engine.datasets.arrays import Arrays, Pixels, resized_image, resized_mask, with_channels
from engine.datasets.decode import decode_image
from engine.datasets.disk import disk_errors
from engine.datasets.parallel import PixelBudget, for_each
from engine.errors import BadData
from engine.files import Files
from engine.pictures.masks import read_index_png
from engine.store.datasets import Dataset, Sample

Kind = Literal["images", "masks", "borders"]


def training_arrays(
    files: Files,
    dataset: Dataset,
    samples: Sequence[Sample],
    images: ImageConfig,
    *,
    target_px: int,
    border_sigma_px: float | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> Arrays:
    """A dataset's images and masks as a view wants them; built at the first use of a size.

    The view “resized” makes every sample a square: images with anti-aliased bilinear
    interpolation, masks to the nearest pixel. The view “patches” keeps every sample's own size.

    Args:
        samples: all samples of the dataset, by position.
        target_px: width and height of resized samples, the size of the network's output.
        border_sigma_px: for a weight map of the borders between objects, its width; None for
            none.
        progress: called in this thread with the share that is built, 0 to 1.

    Raises:
        BadData: a stored file is missing or damaged.
        DiskFull: there is no room for the files.
        Refused: the files cannot be written.
    """
    plan = _Plan(
        files, dataset, samples, None if images.view == "patches" else target_px,
        images.num_channels(dataset.num_channels), border_sigma_px,
    )  # fmt: skip
    missing = [kind for kind in plan.kinds() if plan.open(kind) is None]
    if missing:
        with disk_errors():
            _build(plan, missing, progress)
    return plan.arrays()


def load_pair(files: Files, dataset: Dataset, sample: Sample) -> tuple[Pixels, Pixels]:
    """One sample at its own size: the image (H, W, C) with the dataset's channels, and the mask
    (H, W) of class indices.

    Raises:
        BadData: a stored file is missing or damaged.
    """
    image = stored_image(files, dataset, sample)
    return with_channels(image, dataset.num_channels), _stored_mask(files, dataset, sample)


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


@dataclass(frozen=True, slots=True)
class _Plan:
    """Which files hold a dataset as some settings want it, and what is in them."""

    files: Files
    dataset: Dataset
    samples: Sequence[Sample]
    size_px: int | None
    """None keeps every sample's own size."""
    num_channels: int
    border_sigma_px: float | None

    def kinds(self) -> list[Kind]:
        return (
            ["images", "masks"] if self.border_sigma_px is None else ["images", "masks", "borders"]
        )

    def key(self, kind: Kind) -> str:
        folder = f"datasets/{self.dataset.id}/cache/{self.size_px or 'native'}"
        variant = {
            "images": f"-{self.num_channels}",
            "masks": "",
            "borders": f"-{self.border_sigma_px}",
        }[kind]
        return f"{folder}/{kind}{variant}.npy"

    def channels(self, kind: Kind) -> int:
        return self.num_channels if kind == "images" else 1

    def sizes(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Heights and widths (N,)."""
        if self.size_px is not None:
            sizes_N = np.full(len(self.samples), self.size_px, np.int64)
            return sizes_N, sizes_N
        return (
            np.array([sample.height for sample in self.samples], np.int64),
            np.array([sample.width for sample in self.samples], np.int64),
        )

    def num_bytes(self, kind: Kind) -> int:
        heights_N, widths_N = self.sizes()
        return int((heights_N * widths_N).sum()) * self.channels(kind)

    def open(self, kind: Kind) -> Pixels | None:
        """The file's pixels if it is there and whole."""
        try:
            array: Pixels = np.load(self.files.path(self.key(kind)), mmap_mode="r")
        except (OSError, ValueError, EOFError):
            return None
        is_whole = array.shape == (self.num_bytes(kind),) and array.dtype == np.uint8
        return array if is_whole else None

    def arrays(self) -> Arrays:
        """What was built.

        Raises:
            BadData: it is gone or damaged already.
        """
        heights_N, widths_N = self.sizes()
        return Arrays(
            images=self._built("images"),
            masks=self._built("masks"),
            borders=None if self.border_sigma_px is None else self._built("borders"),
            heights_N=heights_N,
            widths_N=widths_N,
            num_channels=self.num_channels,
        )

    def _built(self, kind: Kind) -> Pixels:
        pixels = self.open(kind)
        if pixels is None:
            raise BadData(
                "The prepared images in “{key}” are damaged though they were just written. Check "
                "the disk of the home folder.",
                key=self.key(kind),
            )
        return pixels

    def load(self, sample: Sample, kinds: Sequence[Kind]) -> dict[Kind, Pixels]:
        """A sample's part of some files, decoded.

        Raises:
            BadData: a stored file is missing, damaged or of another size than the import wrote.
        """
        loaded: dict[Kind, Pixels] = {}
        if "images" in kinds:
            image = stored_image(self.files, self.dataset, sample)
            _check_size(image, sample, sample.image_file)
            loaded["images"] = with_channels(
                resized_image(image, self.size_px, self.num_channels), self.num_channels
            )
        if "masks" in kinds or "borders" in kinds:
            mask = _stored_mask(self.files, self.dataset, sample)
            _check_size(mask, sample, sample.mask_file)
            loaded["masks"] = resized_mask(mask, self.size_px)
        if "borders" in kinds:
            loaded["borders"] = self._border(loaded["masks"])
        return {kind: loaded[kind] for kind in kinds}

    def _border(self, mask: Pixels) -> Pixels:
        # Few losses want it, and the distance transform's library takes its time to load.
        from engine.datasets.weight_maps import border_map

        assert self.border_sigma_px is not None
        background = frozenset(row.index for row in self.dataset.classes if row.background)
        return border_map(mask, background, self.border_sigma_px)


def _build(plan: _Plan, kinds: Sequence[Kind], progress: Callable[[float], None]) -> None:
    budget = PixelBudget()
    heights_N, widths_N = plan.sizes()
    sizes_N = heights_N * widths_N
    starts_N = np.concatenate([[0], np.cumsum(sizes_N)])
    num_done = 0

    with _written_together(plan, kinds) as stores:

        def store(sample: Sample) -> None:
            num_pixels = 2 * max(sample.width * sample.height, int(sizes_N[sample.position]))
            with budget.holding(num_pixels):
                for kind, pixels in plan.load(sample, kinds).items():
                    offset = int(starts_N[sample.position]) * plan.channels(kind)
                    stores[kind].write(offset, pixels)

        def count(_: None) -> None:
            nonlocal num_done
            num_done += 1
            progress(num_done / len(plan.samples))

        for_each(store, plan.samples, count)


class _Store:
    """A file that threads fill each at its own place, so that no result waits for another.

    Written, and not through a memory map, which a full disk would end with a signal.
    """

    def __init__(self, file: BinaryIO, num_bytes: int) -> None:
        self._file = file
        self._lock = Lock()
        np.lib.format.write_array_header_2_0(
            file, {"descr": "|u1", "fortran_order": False, "shape": (num_bytes,)}
        )
        self._begin = file.tell()

    def write(self, offset: int, pixels: Pixels) -> None:
        with self._lock:
            self._file.seek(self._begin + offset)
            self._file.write(np.ascontiguousarray(pixels).data)


@contextmanager
def _written_together(plan: _Plan, kinds: Sequence[Kind]) -> Iterator[Mapping[Kind, _Store]]:
    """Files that all become visible when the block ends well, and none when it fails."""
    with ExitStack() as stack:
        paths: dict[Kind, Path] = {
            kind: stack.enter_context(plan.files.writing(plan.key(kind))) for kind in kinds
        }
        # Opened after, hence closed before they are renamed.
        yield {
            kind: _Store(stack.enter_context(open(path, "wb")), plan.num_bytes(kind))
            for kind, path in paths.items()
        }


def _stored_mask(files: Files, dataset: Dataset, sample: Sample) -> Pixels:
    """(H, W) as the import wrote it."""
    return read_index_png(files.path(f"datasets/{dataset.id}/masks/{sample.mask_file}"))


def _check_size(pixels: Pixels, sample: Sample, file: str) -> None:
    height, width = pixels.shape[:2]
    if (height, width) != (sample.height, sample.width):
        raise BadData(
            "The file {file} has {width} × {height} pixels; the import wrote {expected_width} × "
            "{expected_height}. Restore the file, or import the dataset again.",
            file=file,
            width=width,
            height=height,
            expected_width=sample.width,
            expected_height=sample.height,
        )
