"""Changes of geometry: every one of them composed into a single resampling.

Images are interpolated once, however many changes are on, and masks and borders follow the same
grid of sampling points. Flips and quarter turns alone need no interpolation and leave every pixel
as it was.

Shapes: N images, C channels, H height, W width, S the side of the result; the last 2 is (x, y).
Coordinates are pixels from the middle of the result, x to the right and y down.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from engine.config import AugmentConfig
from engine.scores.counts import IGNORED_INDEX
from engine.training.augment.batch import Batch, to_device
from engine.training.augment.elastic import displacements

_NUM_DRAWS = 12
"""Random numbers for each image; as many whatever is on, so that settings do not shift others."""

_ELASTIC_REACH = 2.0
"""Standard deviations of the elastic displacement that surroundings are cut for."""


def change_geometry(
    batch: Batch, config: AugmentConfig, size_px: int, generator: torch.Generator
) -> Batch:
    """Move the pixels of a batch at random; returns the middle, of `size_px` by `size_px`.

    Args:
        generator: on the CPU; untouched where no change of geometry is on.
    """
    if not (config.flips != "none" or config.rotate_90 or _resamples(config)):
        return _middle(batch, size_px)
    draws = torch.rand(_NUM_DRAWS, len(batch.images_NCHW), generator=generator)
    turns = _Turns.drawn(draws[:3], config)
    if not _resamples(config):
        return _turned(_middle(batch, size_px), turns)
    grid_NSS2 = _sampling_grid(batch, config, size_px, turns, draws[3:], generator)
    return _resampled(batch, grid_NSS2, config)


def margin_px(config: AugmentConfig, size_px: int) -> int:
    """How many pixels around an image of `size_px` these changes may bring into it.

    At most a quarter of the size, as what is cut around an image costs time; what reaches further
    finds the border. 0 where nothing turns by free angles, shrinks or shifts.
    """
    angle = math.radians(min(config.rotation_degrees, 45))
    reach_px = size_px / 2 * (math.cos(angle) + math.sin(angle))
    reach_px *= (1 + config.scale) * (1 + math.tan(math.radians(config.shear_degrees)))
    reach_px += config.shift * size_px
    if config.elastic != "none":
        reach_px += _ELASTIC_REACH * config.elastic_px
    # Rounded first, or the sine of 0 would be worth a pixel.
    return min(math.ceil(round(reach_px - size_px / 2, 6)), size_px // 4)


@dataclass(frozen=True, slots=True)
class _Turns:
    """Flips and quarter turns, by image, on the CPU: transposed first, then mirrored."""

    transposed_N: Tensor
    mirrored_x_N: Tensor
    mirrored_y_N: Tensor

    @classmethod
    def drawn(cls, draws_3N: Tensor, config: AugmentConfig) -> "_Turns":
        transposed, mirrored_x, mirrored_y = draws_3N < 0.5
        never = torch.zeros_like(transposed)
        if not config.rotate_90:
            mirrored_x = never if config.flips == "none" else mirrored_x
            mirrored_y = mirrored_y if config.flips == "both" else never
            return cls(never, mirrored_x, mirrored_y)
        if config.flips == "none":
            # What is no mirror image has an even number of the three: half a turn mirrors twice,
            # a quarter turn transposes and mirrors.
            mirrored_y = mirrored_x ^ transposed
        return cls(transposed, mirrored_x, mirrored_y)

    def matrices(self) -> Tensor:
        """(N, 2, 2), float64: from a place in the result to the place it is fetched from."""
        signs_N2 = 1 - 2 * torch.stack([self.mirrored_x_N, self.mirrored_y_N], dim=1).double()
        straight_N22 = torch.diag_embed(signs_N2)
        return torch.where(self.transposed_N[:, None, None], straight_N22.flip(1), straight_N22)


def _resamples(config: AugmentConfig) -> bool:
    strengths = (
        config.rotation_degrees, config.scale, config.shift, config.shear_degrees, config.crop,
    )  # fmt: skip
    return any(strengths) or config.elastic != "none"


def _middle(batch: Batch, size_px: int) -> Batch:
    height, width = batch.images_NCHW.shape[-2:]
    if height == width == size_px:
        return batch
    top, left = (height - size_px) // 2, (width - size_px) // 2
    return _each(batch, lambda maps: maps[..., top : top + size_px, left : left + size_px])


def _turned(batch: Batch, turns: _Turns) -> Batch:
    """A square batch mirrored and turned, every pixel fetched from its one place."""
    device = batch.images_NCHW.device
    num_images, _, size_px, _ = batch.images_NCHW.shape
    choices = to_device(
        torch.stack([turns.transposed_N, turns.mirrored_x_N, turns.mirrored_y_N]), device
    )
    transposed, mirrored_x, mirrored_y = choices[:, :, None, None]
    forth = torch.arange(size_px, device=device)
    back = forth.flip(0)
    across = torch.where(mirrored_x, back, forth)
    down = torch.where(mirrored_y, back, forth).transpose(1, 2)
    places = torch.where(transposed, across * size_px + down, down * size_px + across).flatten(1)

    def fetched(maps: Tensor) -> Tensor:
        flat = maps.flatten(-2)
        return flat.gather(-1, places.view(num_images, *[1] * (flat.ndim - 2), -1).expand_as(flat))

    return _each(batch, lambda maps: fetched(maps).view_as(maps))


def _each(batch: Batch, change: Callable[[Tensor], Tensor]) -> Batch:
    borders = batch.borders_NHW
    return Batch(
        change(batch.images_NCHW),
        change(batch.masks_NHW),
        None if borders is None else change(borders),
    )


def _sampling_grid(
    batch: Batch,
    config: AugmentConfig,
    size_px: int,
    turns: _Turns,
    draws: Tensor,
    generator: torch.Generator,
) -> Tensor:
    """Where each pixel of the result lies in its image: (N, S, S, 2), -1 to 1 inside."""
    device = batch.images_NCHW.device
    height, width = batch.images_NCHW.shape[-2:]
    matrix_N22, offset_N2 = _affine(draws, config, size_px)
    matrix_N22, offset_N2 = turns.matrices() @ matrix_N22, _applied(turns.matrices(), offset_N2)
    # Sampling counts in half images: pixels from the middle of the result become shares of those.
    # Where what is around the result is odd, its middle is half a pixel from that of the image.
    half_2 = torch.tensor([width, height]).double() / 2
    middle_2 = (half_2 * 2 - size_px).div(2, rounding_mode="floor") + size_px / 2 - half_2
    parameters_N32 = torch.cat(
        [matrix_N22.transpose(1, 2) / half_2, ((offset_N2 + middle_2) / half_2)[:, None]], dim=1
    )
    per_x_N2, per_y_N2, start_N2 = to_device(parameters_N32.float(), device).unbind(1)
    steps_S1 = torch.arange(size_px, device=device)[:, None] - (size_px - 1) / 2
    columns_N1S2 = (steps_S1 * per_x_N2[:, None] + start_N2[:, None])[:, None]
    rows_NS12 = (steps_S1 * per_y_N2[:, None])[:, :, None]
    grid_NSS2 = rows_NS12 + columns_N1S2
    if config.elastic != "none":
        field_NSS2 = displacements(config, len(grid_NSS2), size_px, device, generator)
        grid_NSS2.addcmul_(field_NSS2, to_device(1 / half_2.float(), device))
    return grid_NSS2


def _affine(draws: Tensor, config: AugmentConfig, size_px: int) -> tuple[Tensor, Tensor]:
    """What turns, scales, slants, shifts and crops, from the result back to the image.

    Args:
        draws: (9, N), 0 to 1.

    Returns:
        Matrices (N, 2, 2) and offsets in pixels (N, 2), float64 on the CPU: they are few.
    """
    shares = draws.double()
    turn, zoom, slant, shift_x, shift_y, crop_x, crop_y = 2 * shares[:7] - 1
    crop, leans_down = shares[7] * config.crop, shares[8] < 0.5
    angle = turn * math.radians(config.rotation_degrees)
    rotation_N22 = _matrices(angle.cos(), -angle.sin(), angle.sin(), angle.cos())
    tangent = torch.tan(slant * math.radians(config.shear_degrees))
    zero = torch.zeros_like(tangent)
    one = torch.ones_like(tangent)
    # Along one side only: slanted along both by 45 degrees, an image would become a line.
    shear_N22 = _matrices(
        one, torch.where(leans_down, zero, tangent), torch.where(leans_down, tangent, zero), one
    )
    # As likely larger as smaller, by the same factor.
    matrix_N22 = rotation_N22 @ shear_N22 / ((1 + config.scale) ** zoom)[:, None, None]
    cropped_N2 = torch.stack([crop_x, crop_y], dim=1) * (crop * size_px / 2)[:, None]
    shifted_N2 = torch.stack([shift_x, shift_y], dim=1) * (config.shift * size_px)
    return matrix_N22 * (1 - crop)[:, None, None], _applied(matrix_N22, cropped_N2) + shifted_N2


def _matrices(xx: Tensor, xy: Tensor, yx: Tensor, yy: Tensor) -> Tensor:
    return torch.stack([xx, xy, yx, yy], dim=1).view(-1, 2, 2)


def _applied(matrix_N22: Tensor, vectors_N2: Tensor) -> Tensor:
    return (matrix_N22 @ vectors_N2[:, :, None])[:, :, 0]


def _resampled(batch: Batch, grid_NSS2: Tensor, config: AugmentConfig) -> Batch:
    """The batch at the points of the grid: images and borders interpolated, masks nearest."""
    ignores = config.border == "ignore"

    def sampled(maps_NCHW: Tensor, mode: str) -> Tensor:
        return functional.grid_sample(
            maps_NCHW,
            grid_NSS2,
            mode=mode,
            padding_mode="border" if ignores else "reflection",
            align_corners=False,
        )

    maps_NCHW = batch.images_NCHW
    if batch.borders_NHW is not None:
        maps_NCHW = torch.cat([maps_NCHW, batch.borders_NHW[:, None]], dim=1)
    # Weights of an interpolation sum to 1 but for the last bit.
    maps_NCHW = sampled(maps_NCHW, "bilinear").clamp_(0, 1)
    # Class indices are small enough to be exact as floats.
    masks_NHW = sampled(batch.masks_NHW[:, None].float(), "nearest")[:, 0].to(batch.masks_NHW.dtype)
    if ignores:
        outside_NHW = grid_NSS2.abs().amax(dim=-1) > 1
        masks_NHW = masks_NHW.masked_fill_(outside_NHW, IGNORED_INDEX)
        maps_NCHW = maps_NCHW.masked_fill_(outside_NHW[:, None], 0)
    if batch.borders_NHW is None:
        return Batch(maps_NCHW, masks_NHW)
    return Batch(maps_NCHW[:, :-1], masks_NHW, maps_NCHW[:, -1])
