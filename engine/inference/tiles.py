"""Predicting an image of any size in tiles that join without a seam.

A network with padding knows less at the border of a tile than inside it. Its tiles overlap and
are blended: each weighs sin² of its distance to its border over the overlap, 0 at the border and
1 from the overlap on, and the weights of all tiles over a pixel are scaled to add up to 1.

A network without padding needs surroundings and predicts the tile between them with nothing
missing. Its tiles abut, as in figure 2 of arXiv 1505.04597, and each is what one pass over the
whole image says there, up to rounding.

For both, tiles begin at multiples of the network's stride, as pooling groups pixels from the
first one on: a tile that began between would be pooled otherwise than the whole image is. Where
there is no image, there is its mirror image, without the border's pixels twice.

Shapes: N tiles, C channels, K classes, H height, W width; S a tile's own height or width, P the
same with its surroundings.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Network = Callable[[Tensor], Tensor]
"""From windows (N, C, P, P) to the probabilities (N, K, S, S) of the tiles in their middle."""

RESIDENT_BYTES = 2**30
"""Probabilities that may wait on the device until all tiles are predicted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Axis:
    """The tiles along one side of an image."""

    length_px: int
    """Of the image."""
    tile_px: int
    overlap_px: int
    """Over which tiles are blended."""
    starts: tuple[int, ...]
    """First pixel of each tile; the outer tiles may reach beyond the image."""

    def weights(self) -> NDArray[np.float32]:
        """What each tile counts at its pixels: (tiles, S); sums to 1 over each pixel inside."""
        profile_S = _profile(self.tile_px, self.overlap_px)
        first, last = self.starts[0], self.starts[-1] + self.tile_px
        total = np.zeros(last - first)
        for start in self.starts:
            total[start - first : start - first + self.tile_px] += profile_S
        shares = [
            profile_S / total[start - first : start - first + self.tile_px] for start in self.starts
        ]
        return np.stack(shares).astype(np.float32)

    def pixels(self, margin_px: int) -> NDArray[np.int64]:
        """Which of the image's pixels each window is made of: (tiles, P)."""
        offsets_P = np.arange(-margin_px, self.tile_px + margin_px)
        return mirrored(np.array(self.starts)[:, np.newaxis] + offsets_P, self.length_px)

    def inside(self, tile: int) -> tuple[slice, slice]:
        """Where the image is in a tile, and where the tile is in the image."""
        start = self.starts[tile]
        begin, end = max(start, 0), min(start + self.tile_px, self.length_px)
        return slice(begin - start, end - start), slice(begin, end)


def place_tiles(length_px: int, tile_px: int, overlap_px: int = 0, stride: int = 1) -> Axis:
    """Tiles that cover one side of an image, evenly spaced.

    Args:
        length_px: the image's side.
        tile_px: a tile's side. One that is longer than the image has the image in its middle.
        overlap_px: what neighbours have in common at least; less than a tile.
        stride: tiles begin at its multiples, unless tiles must lie closer than that.
    """
    longest_step = tile_px - overlap_px
    unit = stride if stride <= longest_step else 1
    surplus = tile_px - length_px
    if surplus >= 0:
        starts = [-(surplus // 2 // unit * unit)]
    else:
        num_units = -(surplus // unit)
        num_steps = -(-num_units // (longest_step // unit))
        starts = [step * num_units // num_steps * unit for step in range(num_steps + 1)]
    return Axis(length_px=length_px, tile_px=tile_px, overlap_px=overlap_px, starts=tuple(starts))


def mirrored(positions: NDArray[np.int64], length_px: int) -> NDArray[np.int64]:
    """The pixel that stands at each position of an endlessly mirrored side.

    The border's pixel is not repeated: -1 is pixel 1. A single pixel is everywhere.
    """
    if length_px == 1:
        return np.zeros_like(positions)
    period = 2 * (length_px - 1)
    within = positions % period
    return np.minimum(within, period - within)


@torch.inference_mode()
def predict_tiles(
    network: Network,
    image_HWC: Tensor,
    rows: Axis,
    columns: Axis,
    *,
    num_classes: int,
    margin_px: int,
    batch: int,
    resident_bytes: int = RESIDENT_BYTES,
) -> Tensor:
    """Predict an image tile by tile.

    Args:
        network: gives probabilities; called on the image's device with channels-last windows.
        image_HWC: scaled as the network takes it, on the device to compute on.
        rows, columns: the tiles.
        margin_px: surroundings on each side of a tile that the network takes.
        batch: tiles that go through the network together, of whatever rows.
        resident_bytes: with more probabilities than this, the image is predicted in strips, each
            fetched from the device when it is done.

    Returns:
        Probabilities (K, H, W), float32: on the device, or on the CPU if there were strips.
        Nothing waits for the device but the end of a strip.
    """
    windows = _Windows(image_HWC, rows, columns, margin_px)
    row_bytes = 4 * num_classes * columns.length_px
    strips = _strips(rows, max(1, resident_bytes // row_bytes))
    if len(strips) == 1:
        return _predict_strip(network, windows, strips[0], num_classes, batch)
    probabilities_KHW = torch.zeros(num_classes, rows.length_px, columns.length_px)
    for strip in strips:
        covered = _rows_of(rows, strip)
        found_KHW = _predict_strip(network, windows, strip, num_classes, batch)
        # Strips overlap as tiles do; the weights are those of all tiles, so they add up.
        probabilities_KHW[:, covered] += found_KHW.cpu()
    return probabilities_KHW


class _Windows:
    """The windows around all tiles of an image, cut when wanted."""

    def __init__(self, image_HWC: Tensor, rows: Axis, columns: Axis, margin_px: int) -> None:
        device = image_HWC.device
        self.image_HWC, self.rows, self.columns = image_HWC, rows, columns
        # All of the numbers at once: a copy to the device for each batch would wait for it.
        self._rows, self._columns = (
            torch.from_numpy(axis.pixels(margin_px)).to(device) for axis in (rows, columns)
        )
        self._row_weights, self._column_weights = (
            torch.from_numpy(axis.weights()).to(device) for axis in (rows, columns)
        )

    def tiles(self, strip: range) -> Tensor:
        """Row and column of each tile of some rows of tiles, in reading order: int64 (N, 2)."""
        columns = torch.arange(len(self.columns.starts))
        pairs_N2 = torch.cartesian_prod(torch.arange(strip.start, strip.stop), columns)
        return pairs_N2.to(self.image_HWC.device)

    def cut(self, tiles_N2: Tensor) -> Tensor:
        """The windows (N, C, P, P), channels-last."""
        rows_NP1 = self._rows[tiles_N2[:, 0]].unsqueeze(2)
        columns_N1P = self._columns[tiles_N2[:, 1]].unsqueeze(1)
        return self.image_HWC[rows_NP1, columns_N1P].permute(0, 3, 1, 2)

    def weighted(self, tiles_N2: Tensor, probabilities_NKSS: Tensor) -> Tensor:
        """Probabilities by what each pixel of each tile counts."""
        rows_N1S1 = self._row_weights[tiles_N2[:, 0]][:, None, :, None]
        columns_N11S = self._column_weights[tiles_N2[:, 1]][:, None, None, :]
        return probabilities_NKSS * (rows_N1S1 * columns_N11S)


def _predict_strip(
    network: Network, windows: _Windows, strip: range, num_classes: int, batch: int
) -> Tensor:
    """What the tiles of some rows of tiles add to the image rows they lie in."""
    rows, columns = windows.rows, windows.columns
    covered = _rows_of(rows, strip)
    sums_KHW = torch.zeros(
        (num_classes, covered.stop - covered.start, columns.length_px),
        device=windows.image_HWC.device,
    )
    tiles_N2 = windows.tiles(strip)
    num_columns = len(columns.starts)
    for first in range(0, len(tiles_N2), batch):
        chosen_N2 = tiles_N2[first : first + batch]
        found_NKSS = windows.weighted(chosen_N2, network(windows.cut(chosen_N2)))
        for number, found_KSS in enumerate(found_NKSS, first):
            row, column = divmod(number, num_columns)
            in_tile, in_image = rows.inside(strip.start + row)
            across_tile, across_image = columns.inside(column)
            down = slice(in_image.start - covered.start, in_image.stop - covered.start)
            sums_KHW[:, down, across_image] += found_KSS[:, in_tile, across_tile]
    return sums_KHW


def _strips(rows: Axis, max_height_px: int) -> list[range]:
    """Rows of tiles in groups that are no higher than this, or single."""
    strips: list[range] = []
    first = 0
    for row in range(1, len(rows.starts) + 1):
        is_end = row == len(rows.starts)
        if is_end or rows.starts[row] + rows.tile_px - rows.starts[first] > max_height_px:
            strips.append(range(first, row))
            first = row
    return strips


def _rows_of(rows: Axis, strip: range) -> slice:
    """The image rows that some rows of tiles lie in."""
    return slice(rows.inside(strip.start)[1].start, rows.inside(strip.stop - 1)[1].stop)


def _profile(tile_px: int, overlap_px: int) -> NDArray[np.float64]:
    """What a tile counts along one side, before all tiles are scaled to 1 together."""
    ramp_px = min(overlap_px, tile_px // 2)
    if ramp_px < 1:
        return np.ones(tile_px)
    inward = np.arange(tile_px) + 0.5
    distance = np.minimum(inward, inward[::-1])
    ramp: NDArray[np.float64] = np.sin(np.pi / 2 * np.minimum(distance / ramp_px, 1)) ** 2
    return ramp
