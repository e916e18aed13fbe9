"""From the samples to batches on the device: windows are cut where they are wanted.

A window is a square around a target, the region that the network's output covers. Beyond the
edge of a sample it shows the sample's mirror image, which does not repeat the edge itself.

Shapes: N windows of a batch, H = W = target + 2 · margin, C channels.
"""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.datasets.arrays import Arrays, Pixels
from engine.scores.counts import IGNORED_INDEX

_RESIDENT_SHARE = 0.3
"""Of a GPU's free memory that the samples may take; the rest is for the network."""
_NUM_AHEAD = 3
"""Batches cut before they are asked for."""
_UPLOAD_BYTES = 64 * 2**20
"""Copied to the device at once, so that a large dataset needs no second copy in memory."""


class Region(NamedTuple):
    """Pixels of a sample: rows top … bottom - 1, columns left … right - 1."""

    top: int
    left: int
    bottom: int
    right: int


@dataclass(frozen=True, slots=True)
class WindowPlace:
    """Where a target lies; it may reach beyond its sample."""

    position: int
    """The sample's."""
    top: int
    left: int
    counted: Region | None = None
    """Pixels that count; elsewhere in the window the mask is 255. None: all."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A batch of windows."""

    places: Sequence[WindowPlace]
    images_NHWC: Tensor
    """uint8"""
    masks_NHW: Tensor
    """uint8 class indices, 255 = ignored."""
    borders_NHW: Tensor | None
    """uint8, 255 stands for 1; None where no loss wants it."""

    def to(self, device: torch.device) -> Self:
        """The batch on a device. A copy to a GPU runs beside what the GPU is doing."""
        borders = self.borders_NHW
        return replace(
            self,
            images_NHWC=self.images_NHWC.to(device, non_blocking=True),
            masks_NHW=self.masks_NHW.to(device, non_blocking=True),
            borders_NHW=None if borders is None else borders.to(device, non_blocking=True),
        )


class Windows(Protocol):
    """Samples that windows can be cut from."""

    device: torch.device

    def cut(self, places: Sequence[WindowPlace], target_px: int, margin_px: int) -> Cut:
        """Windows around some targets, on the device.

        Args:
            places: of the targets.
            target_px: width and height of a target.
            margin_px: what is cut beyond the target on each side, of images and masks alike.
        """
        ...


def open_windows(arrays: Arrays, device: torch.device) -> Windows:
    """Samples in a GPU's memory where they fit beside a network, else streamed to it.

    On a CPU the memory map is as near as can be.
    """
    if device.type == "cuda":
        free, _total = torch.cuda.mem_get_info(device)
        borders = 0 if arrays.borders is None else arrays.borders.nbytes
        if arrays.images.nbytes + arrays.masks.nbytes + borders <= _RESIDENT_SHARE * free:
            return DeviceWindows(arrays, device)
    return HostWindows(arrays, device)


class HostWindows:
    """Windows cut on the CPU from the memory map."""

    def __init__(self, arrays: Arrays, device: torch.device) -> None:
        self.device = device
        self.is_streamed = device.type == "cuda"
        """The CPU cuts while the device computes."""
        # Plain arrays: slicing a memory map costs several times as much.
        self._arrays = replace(
            arrays,
            images=np.asarray(arrays.images),
            masks=np.asarray(arrays.masks),
            borders=None if arrays.borders is None else np.asarray(arrays.borders),
        )

    def cut(self, places: Sequence[WindowPlace], target_px: int, margin_px: int) -> Cut:
        """See `Windows.cut`."""
        return self.prepare(places, target_px, margin_px).to(self.device)

    def prepare(self, places: Sequence[WindowPlace], target_px: int, margin_px: int) -> Cut:
        """The windows in the CPU's memory, ready to be copied to the device."""
        arrays, size = self._arrays, target_px + 2 * margin_px
        images = self._empty(len(places), size, size, arrays.num_channels)
        masks = self._empty(len(places), size, size)
        borders = None if arrays.borders is None else self._empty(len(places), size, size)
        # Numpy views of the same memory: its slices are cheaper than torch's.
        images_NHWC, masks_NHW = images.numpy(), masks.numpy()
        borders_NHW = None if borders is None else borders.numpy()
        for index, place in enumerate(places):
            top, left = place.top - margin_px, place.left - margin_px
            _cut_into(images_NHWC[index], arrays.image(place.position), top, left)
            _cut_into(masks_NHW[index], arrays.mask(place.position), top, left)
            border = arrays.border(place.position)
            if borders_NHW is not None and border is not None:
                _cut_into(borders_NHW[index], border, top, left)
            if place.counted is not None:
                _ignore_outside(masks_NHW[index], place.counted, top, left)
        return Cut(places, images, masks, borders)

    def _empty(self, *shape: int) -> Tensor:
        # The allocator keeps pinned memory and hands it out again when its copy has ended.
        return torch.empty(shape, dtype=torch.uint8, pin_memory=self.device.type == "cuda")


class DeviceWindows:
    """Windows gathered on the device, which holds all samples."""

    def __init__(self, arrays: Arrays, device: torch.device) -> None:
        self.device = device
        self._images = _uploaded(arrays.images, device).view(-1, arrays.num_channels)
        self._masks = _uploaded(arrays.masks, device)
        self._borders = None if arrays.borders is None else _uploaded(arrays.borders, device)
        self._layout_N3 = np.stack([arrays.starts_N, arrays.heights_N, arrays.widths_N], axis=1)

    def cut(self, places: Sequence[WindowPlace], target_px: int, margin_px: int) -> Cut:
        """See `Windows.cut`."""
        size = target_px + 2 * margin_px
        positions = [place.position for place in places]
        corners = np.array([(place.top, place.left) for place in places]) - margin_px
        starts_N, heights_N, widths_N, tops_N, lefts_N = self._sent(
            np.concatenate([self._layout_N3[positions], corners], axis=1)
        )
        steps_H = torch.arange(size, device=self.device)
        rows_NH = _mirrored(tops_N[:, None] + steps_H, heights_N[:, None])
        columns_NW = _mirrored(lefts_N[:, None] + steps_H, widths_N[:, None])
        pixels_NHW = (
            starts_N[:, None, None]
            + rows_NH[:, :, None] * widths_N[:, None, None]
            + columns_NW[:, None, :]
        )
        masks_NHW = self._masks[pixels_NHW]
        if any(place.counted is not None for place in places):
            counts_NHW = self._counted(places, tops_N, lefts_N, steps_H)
            masks_NHW.masked_fill_(~counts_NHW, IGNORED_INDEX)
        borders_NHW = None if self._borders is None else self._borders[pixels_NHW]
        return Cut(places, self._images[pixels_NHW], masks_NHW, borders_NHW)

    def _counted(
        self, places: Sequence[WindowPlace], tops_N: Tensor, lefts_N: Tensor, steps_H: Tensor
    ) -> Tensor:
        """Which pixels of each window count, bool (N, H, W)."""
        everything = Region(-(2**40), -(2**40), 2**40, 2**40)
        top, left, bottom, right = self._sent(
            np.array([place.counted or everything for place in places])
        )[..., None]
        rows_NH, columns_NW = tops_N[:, None] + steps_H, lefts_N[:, None] + steps_H
        rows_count_NH = (rows_NH >= top) & (rows_NH < bottom)
        columns_count_NW = (columns_NW >= left) & (columns_NW < right)
        counts_NHW: Tensor = rows_count_NH[:, :, None] & columns_count_NW[:, None, :]
        return counts_NHW

    def _sent(self, numbers_NM: NDArray[np.int64]) -> Tensor:
        """The numbers on the device, by column: int64 (M, N)."""
        numbers = torch.from_numpy(np.ascontiguousarray(numbers_NM.T))
        if self.device.type == "cuda":
            # From pageable memory the copy would wait for all that the GPU has still to do.
            numbers = numbers.pin_memory()
        return numbers.to(self.device, non_blocking=True)


class Prefetch:
    """Cuts batches of windows in order; those that are streamed to a GPU, ahead in a thread.

    On a CPU, cutting is a small part of even a small network's step, and a thread would only take
    turns with the convolutions. Windows of a resident dataset are gathered by the GPU itself.

    Used as a context, which ends the thread; iterated once.
    """

    def __init__(
        self,
        windows: Windows,
        batches: Sequence[Sequence[WindowPlace]],
        target_px: int,
        margin_px: int,
    ) -> None:
        self._windows, self._batches = windows, batches
        self._target_px, self._margin_px = target_px, margin_px
        self._pool: ThreadPoolExecutor | None = None
        self.waited_seconds = 0.0
        """Time in which who iterates waited for windows."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Cut]:
        windows = self._windows
        if isinstance(windows, HostWindows) and windows.is_streamed:
            return self._ahead(windows)
        return self._in_place()

    def close(self) -> None:
        """End the thread, whatever it is at; a second time does nothing."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def _in_place(self) -> Iterator[Cut]:
        for places in self._batches:
            started_at = time.perf_counter()
            cut = self._windows.cut(places, self._target_px, self._margin_px)
            self.waited_seconds += time.perf_counter() - started_at
            yield cut

    def _ahead(self, windows: HostWindows) -> Iterator[Cut]:
        self._pool = ThreadPoolExecutor(1, "windows")
        waiting = iter(self._batches)
        pending: deque[Future[Cut]] = deque()

        def order() -> None:
            places = next(waiting, None)
            if places is not None and self._pool is not None:
                pending.append(
                    self._pool.submit(windows.prepare, places, self._target_px, self._margin_px)
                )

        for _ in range(_NUM_AHEAD):
            order()
        while pending:
            started_at = time.perf_counter()
            cut = pending.popleft().result()
            order()
            # Copied here and not in the thread, so that it is in order with the steps that use it.
            on_device = cut.to(windows.device)
            self.waited_seconds += time.perf_counter() - started_at
            yield on_device


def _cut_into(window: Pixels, pixels: Pixels, top: int, left: int) -> None:
    """Fill a window (H, W) or (H, W, C) from a sample, whose pixel (top, left) is its first."""
    height, width = pixels.shape[:2]
    columns = _runs(left, left + window.shape[1], width)
    for shown_rows, rows in _runs(top, top + window.shape[0], height):
        for shown_columns, columns_of_sample in columns:
            window[shown_rows, shown_columns] = pixels[rows, columns_of_sample]


def _runs(begin: int, end: int, length: int) -> list[tuple[slice, slice]]:
    """A stretch of a mirrored line, as pieces that go one way: where in the stretch, and where in
    the line. A stretch inside the line is one piece."""
    # A mirrored line repeats after going there and back: 0 1 2 3 2 1 | 0 1 …; a single pixel
    # after itself.
    period = max(2 * (length - 1), 1)
    runs, first = [], begin
    while first < end:
        phase = first % period
        goes_back = phase >= length
        count = min((period if goes_back else length) - phase, end - first)
        source = (
            slice(period - phase, period - phase - count, -1)
            if goes_back
            else slice(phase, phase + count)
        )
        runs.append((slice(first - begin, first - begin + count), source))
        first += count
    return runs


def _mirrored(indices: Tensor, lengths: Tensor) -> Tensor:
    """Places in mirrored lines (see `_runs`) as places in the lines themselves."""
    periods = (2 * (lengths - 1)).clamp(min=1)
    phases = indices.remainder(periods)
    return torch.minimum(phases, periods - phases)


def _ignore_outside(mask: Pixels, counted: Region, top: int, left: int) -> None:
    """Set the mask (H, W) of a window at (top, left) to 255 where its pixels do not count."""
    mask[: max(counted.top - top, 0)] = IGNORED_INDEX
    mask[max(counted.bottom - top, 0) :] = IGNORED_INDEX
    mask[:, : max(counted.left - left, 0)] = IGNORED_INDEX
    mask[:, max(counted.right - left, 0) :] = IGNORED_INDEX


def _uploaded(pixels: Pixels, device: torch.device) -> Tensor:
    uploaded = torch.empty(len(pixels), dtype=torch.uint8, device=device)
    for start in range(0, len(pixels), _UPLOAD_BYTES):
        part = np.array(pixels[start : start + _UPLOAD_BYTES])
        uploaded[start : start + len(part)] = torch.from_numpy(part)
    return uploaded
