"""Tiles: any size, without a seam, as one pass over the whole image."""

from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from engine.inference.tiles import mirrored, place_tiles, predict_tiles

SIZES = [(1, 1), (7, 300), (300, 7), (16, 16), (15, 17), (40, 33), (100, 130)]


def pointwise(windows):
    """Two classes by the grey value alone."""
    return torch.cat([1 - windows[:, :1], windows[:, :1]], dim=1)


class Pooled(nn.Module):
    """Two levels: convolution, pooling by 4, convolution, upsampling, skip, convolution.

    No output pixel depends on what is 13 pixels away.
    """

    REACH_PX = 13
    CONTEXT_PX = 6
    STRIDE = 4

    def __init__(self, padding):
        super().__init__()
        torch.manual_seed(3)
        self.padding = padding
        self.above = nn.Conv2d(1, 4, 3, padding=padding)
        self.below = nn.Conv2d(4, 4, 3, padding=padding)
        self.up = nn.ConvTranspose2d(4, 4, 4, stride=4)
        self.merge = nn.Conv2d(8, 3, 3, padding=padding)

    def forward(self, images):
        skip = self.above(images).relu()
        below = self.up(self.below(functional.max_pool2d(skip, 4)).relu())
        if not self.padding:
            skip = skip[..., 4:-4, 4:-4]
        return (4 * self.merge(torch.cat([skip, below], dim=1))).softmax(dim=1)


def noise(height, width, channels=1):
    return torch.from_numpy(
        np.random.default_rng(height * width).random((height, width, channels), np.float32)
    )


def tiled(network, image, tile, overlap=0, stride=1, *, classes=2, margin=0, batch=3, **options):
    rows, columns = (place_tiles(side, tile, overlap, stride) for side in image.shape[:2])
    return predict_tiles(
        network, image, rows, columns,
        num_classes=classes, margin_px=margin, batch=batch, **options,
    )  # fmt: skip


@given(
    length=st.integers(1, 500),
    tile=st.integers(1, 100),
    overlap_share=st.floats(0, 0.75),
    stride=st.sampled_from([1, 2, 8, 16, 27]),
)
def test_tiles_cover_a_side_and_overlap_as_much_as_asked(length, tile, overlap_share, stride):
    overlap = int(overlap_share * tile)
    axis = place_tiles(length, tile, overlap, stride)
    starts = np.array(axis.starts)
    assert starts[0] <= 0 and starts[-1] + tile >= length
    assert (np.diff(starts) > 0).all()
    assert (np.diff(starts) <= tile - overlap).all()
    if stride <= tile - overlap:
        assert (starts % stride == 0).all()
    if length <= tile:
        assert len(starts) == 1
    else:
        # No tile is wasted: without the last one, something would be missing.
        assert starts[0] == 0 and starts[-2] + tile < length


@given(
    length=st.integers(1, 300), tile=st.integers(1, 60), overlap_share=st.floats(0, 0.75)
)  # fmt: skip
def test_weights_sum_to_one_at_every_pixel(length, tile, overlap_share):
    axis = place_tiles(length, tile, int(overlap_share * tile), 4)
    total = np.zeros(length)
    for number, weights in enumerate(axis.weights()):
        in_tile, in_image = axis.inside(number)
        total[in_image] += weights[in_tile]
        assert (weights > 0).all()
    assert np.allclose(total, 1, atol=1e-6)


def test_weight_fades_towards_the_border_of_a_tile_but_not_of_the_image():
    first, middle, last = place_tiles(32 + 2 * 24, 32, 8).weights()
    expected = np.sin(np.pi / 2 * (np.arange(8) + 0.5) / 8) ** 2
    assert np.allclose(middle[:8], expected) and np.allclose(middle[-8:], expected[::-1])
    assert (middle[8:-8] == 1).all()
    assert (first[:8] == 1).all() and (last[-8:] == 1).all()


@pytest.mark.parametrize("length", [2, 3, 10])
def test_mirrored_positions_are_those_of_numpys_reflection(length):
    expected = np.pad(np.arange(length), 25, mode="reflect")
    assert np.array_equal(mirrored(np.arange(-25, length + 25), length), expected)


def test_a_single_pixel_is_its_own_surroundings():
    assert not mirrored(np.arange(-5, 6), 1).any()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("tile", "overlap"), [(16, 0), (16, 4), (16, 12), (50, 25)])
def test_pointwise_network_gives_the_same_in_tiles_of_any_size(size, tile, overlap):
    image = noise(*size)
    found = tiled(pointwise, image, tile, overlap)
    assert found.shape == (2, *size)
    assert torch.allclose(found[1], image[..., 0], atol=1e-6)
    assert torch.allclose(found.sum(0), torch.ones(size), atol=1e-6)


@pytest.mark.parametrize("size", SIZES)
def test_window_is_the_tile_with_its_mirrored_surroundings(size):
    image = noise(*size, 3)
    padded = np.pad(image.numpy(), [(70, 70), (70, 70), (0, 0)], mode="symmetric")
    if min(size) > 1:
        padded = np.pad(image.numpy(), [(70, 70), (70, 70), (0, 0)], mode="reflect")
    seen = []

    def network(windows):
        seen.append(windows)
        return torch.zeros(len(windows), 2, 16, 16)

    rows, columns = (place_tiles(side, 16) for side in size)
    predict_tiles(network, image, rows, columns, num_classes=2, margin_px=9, batch=4)
    starts = [(row, column) for row in rows.starts for column in columns.starts]
    for window, (row, column) in zip(torch.cat(seen), starts, strict=True):
        row, column = row + 70 - 9, column + 70 - 9
        expected = padded[row : row + 34, column : column + 34].transpose(2, 0, 1)
        assert np.array_equal(window.numpy(), expected)


@pytest.mark.parametrize("size", [(64, 64), (61, 130), (30, 200)])
def test_unpadded_network_says_in_tiles_what_it_says_of_the_whole_image(size):
    model = Pooled(padding=0)
    image = noise(*size)
    # Of 22 px, and of the whole image: sides that the network can predict are 2 beyond 4·n.
    sides = [side + (22 - side) % model.STRIDE for side in size]
    rows, columns = (
        place_tiles(length, side, 0, model.STRIDE) for length, side in zip(size, sides, strict=True)
    )
    assert len(rows.starts) == len(columns.starts) == 1
    margin = model.CONTEXT_PX
    whole = predict_tiles(
        model, image, rows, columns, num_classes=3, margin_px=margin, batch=1
    )  # fmt: skip
    found = tiled(model, image, 22, 0, model.STRIDE, classes=3, margin=margin)
    assert torch.allclose(found, whole, atol=1e-5)
    # Tiles that begin between the pooled groups do not agree: the alignment is needed.
    unaligned = tiled(model, image, 22, 0, 1, classes=3, margin=margin)
    assert (unaligned - whole).abs().max() > 1e-2


def test_padded_network_says_in_tiles_what_it_says_of_the_whole_image():
    """Exactly where no tile's border is near; elsewhere by at most the weight of the tiles whose
    border is, as probabilities differ by at most 1, and on average by far less."""
    model = Pooled(padding=1)
    sides = (148, 216)
    image = noise(*sides)
    whole = model(image.permute(2, 0, 1)[None])[0]
    found = tiled(model, image, 64, 32, model.STRIDE, classes=3)
    down, across = (doubted_weight(place_tiles(side, 64, 32, 4), model.REACH_PX) for side in sides)
    limit = torch.from_numpy(down[:, None] + across)
    difference = (found - whole).abs().amax(0)
    assert (difference <= limit + 1e-5).all()
    assert (difference[limit == 0] < 1e-5).all() and (limit == 0).float().mean() > 0.05
    assert difference.mean() < 2e-3


def doubted_weight(axis, reach):
    """Weight, at each pixel, of the tiles that have an inner border within reach."""
    total = np.zeros(axis.length_px)
    for number, weights in enumerate(axis.weights()):
        near = np.zeros(axis.tile_px)
        near[: reach if number else 0] = 1
        near[axis.tile_px - reach if number < len(axis.starts) - 1 else axis.tile_px :] = 1
        in_tile, in_image = axis.inside(number)
        total[in_image] += (near * weights)[in_tile]
    return total


def test_no_seam_is_left_where_tiles_meet():
    model = Pooled(padding=1)
    image = torch.full((120, 120, 1), 0.7)
    inner = (slice(None), slice(20, 100), slice(20, 100))

    def largest_step(overlap):
        found = tiled(model, image, 40, overlap, model.STRIDE, classes=3)[inner]
        return max(found.diff(dim=1).abs().max(), found.diff(dim=2).abs().max())

    seam, blended = largest_step(0), largest_step(20)
    assert seam > 0.03
    assert blended < seam / 4


@pytest.mark.parametrize("rows_of_tiles", [1, 2])
def test_strips_change_nothing(rows_of_tiles):
    model = Pooled(padding=1)
    image = noise(150, 90)
    whole = tiled(model, image, 32, 12, 4, classes=3)
    strip_bytes = 4 * 3 * 90 * 32 * rows_of_tiles
    found = tiled(model, image, 32, 12, 4, classes=3, resident_bytes=strip_bytes)
    assert torch.allclose(found, whole, atol=1e-6)
    assert found.isfinite().all()


def test_tiles_of_all_rows_go_through_the_network_together():
    batches = []

    def network(windows):
        batches.append(len(windows))
        return pointwise(windows)

    tiled(network, noise(50, 34), 16, batch=7)
    assert batches == [7, 5]  # 4 rows of 3


def test_prediction_leaves_the_image_alone():
    image = noise(40, 50)
    before = image.clone()
    tiled(pointwise, image, 16, 4)
    assert torch.equal(image, before)


def test_memory_for_a_huge_image_is_that_of_the_image_and_its_probabilities():
    side = 8192
    resettable = Path("/proc/self/clear_refs")
    if not resettable.exists():
        pytest.skip("the system does not measure peaks")
    image = torch.zeros(side, side, 1)
    image[-1, -1] = 1
    resettable.write_text("5")  # the peak starts anew
    before = psutil.Process().memory_info().rss
    found = tiled(pointwise, image, 512, 64, 16, batch=2)
    peak = _peak_bytes()
    assert found.shape == (2, side, side)
    assert found[1, -1, -1] == 1 and found[1].sum() == 1
    needed = 2 * 4 * side**2
    assert peak - before < 1.25 * needed


def _peak_bytes():
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
