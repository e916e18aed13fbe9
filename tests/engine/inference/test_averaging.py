"""Averaging over views: nothing changes for a network to which all directions are alike."""

from math import cos, pi, sin

import numpy as np
import pytest
import torch
from torch import nn

from engine.inference.averaging import Frame, averaged, margin_px
from engine.inference.tiles import place_tiles, predict_tiles

EVERY = ["none", "flips", "flips_turns", "seven_rotations"]


def frame(height, width, context=0, step=1):
    """Sides that fit are multiples of `step`."""
    return Frame(
        height_px=height,
        width_px=width,
        context_px=context,
        fitting=lambda side: side + -side % step,
    )


def sharpened(windows):
    """Two classes by the grey value alone."""
    return torch.cat([-6 * (windows - 0.5), 6 * (windows - 0.5)], dim=1).softmax(dim=1)


def smooth(height, width):
    """Waves of 40 px or more that go on smoothly in their mirror image."""

    def wave(side):
        crests = side // 40
        return np.cos(np.pi * 2 * crests * np.arange(side) / max(1, side - 1))

    grey = 0.5 + 0.2 * (wave(height)[:, None] + wave(width))
    return torch.from_numpy(grey.astype(np.float32))[..., None]


def predicted(network, image, averaging, context=0, step=1, batch=8):
    """The whole image as one tile."""
    seen = frame(*image.shape[:2], context, step)
    rows, columns = (place_tiles(side, side) for side in image.shape[:2])
    return predict_tiles(
        averaged(network, averaging, seen, batch),
        image,
        rows,
        columns,
        num_classes=2,
        margin_px=margin_px(averaging, seen),
        batch=1,
    )


@pytest.mark.parametrize("size", [(1, 1), (7, 30), (24, 24)])
@pytest.mark.parametrize("averaging", ["flips", "flips_turns"])
def test_mirroring_changes_nothing_for_a_pointwise_network(size, averaging):
    image = torch.rand(*size, 1, generator=torch.Generator().manual_seed(0))
    found = predicted(sharpened, image, averaging)
    assert torch.allclose(found, predicted(sharpened, image, "none"), atol=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (7, 90), (64, 48)])
@pytest.mark.parametrize("context", [0, 5])
def test_rotating_changes_a_smooth_image_only_by_resampling(size, context):
    def network(windows):
        return sharpened(windows[..., context : -context or None, context : -context or None])

    image = smooth(*size)
    plain = predicted(network, image, "none", context)
    found = predicted(network, image, "seven_rotations", context, step=16)
    assert found.shape == plain.shape
    assert torch.allclose(found, plain, atol=0.01)
    assert torch.allclose(found.sum(0), torch.ones(size), atol=1e-5)


@pytest.mark.parametrize("averaging", EVERY)
def test_averaged_probabilities_sum_to_one_whatever_the_network(averaging):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 2, 5, padding=2), nn.Softmax(dim=1))
    found = predicted(network, torch.rand(40, 30, 1), averaging)
    assert torch.allclose(found.sum(0), torch.ones(40, 30), atol=1e-5)
    assert found.min() >= 0


@pytest.mark.parametrize(
    ("averaging", "views"), [("none", 1), ("flips", 4), ("flips_turns", 8)]
)  # fmt: skip
@pytest.mark.parametrize("batch", [1, 2, 100])
def test_flips_are_the_mean_of_the_views_undone(averaging, views, batch):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Softmax(dim=1))
    image = torch.rand(20, 31, 1)
    found = predicted(network, image, averaging, batch=batch)
    window = image.permute(2, 0, 1)[None]
    expected = torch.zeros(1, 2, 20, 31)
    for turns in {1: [0], 4: [0, 2], 8: [0, 1, 2, 3]}[views]:
        for mirror in [False, True][: 2 if views > 1 else 1]:
            view = torch.rot90(window.flip(3) if mirror else window, turns, (2, 3))
            undone = torch.rot90(network(view), -turns, (2, 3))
            expected += undone.flip(3) if mirror else undone
    assert torch.allclose(found, expected[0] / views, atol=1e-6)
    if views > 1:
        assert not torch.allclose(found, network(window)[0], atol=1e-3)


@pytest.mark.parametrize(("averaging", "views"), [("flips", 4), ("flips_turns", 8)])
@pytest.mark.parametrize("batch", [1, 5, 16])
def test_no_more_windows_go_through_the_network_than_fit(averaging, views, batch):
    sizes = []

    def network(windows):
        sizes.append(len(windows))
        return sharpened(windows)

    averaged(network, averaging, frame(8, 8), batch)(torch.rand(1, 1, 8, 8))
    assert sum(sizes) == views
    assert max(sizes) <= batch


def test_the_seven_rotations_turn_the_image_by_sevenths():
    image = torch.zeros(101, 101, 1)
    image[50 - 12 : 50 + 13, 50 + 20 : 50 + 25] = 1  # a bar right of the middle
    seen = []

    def network(windows):
        seen.append(windows[0, 0])
        return sharpened(windows)

    predicted(network, image, "seven_rotations")
    angles = []
    for view in seen:
        weight = view.clamp(min=0)
        middle_y, middle_x = ((side - 1) / 2 for side in view.shape)
        y, x = torch.meshgrid(*map(torch.arange, view.shape), indexing="ij")
        near = ((x - middle_x) ** 2 + (y - middle_y) ** 2) < 45**2
        down = ((y - middle_y) * weight)[near].sum()
        across = ((x - middle_x) * weight)[near].sum()
        angles.append(float(torch.atan2(down, across)) % (2 * pi))
    expected = sorted(2 * pi * k / 7 for k in range(7))
    assert np.allclose(
        [[cos(each), sin(each)] for each in sorted(angles)],
        [[cos(each), sin(each)] for each in expected],
        atol=0.02,
    )


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (64, 64)])
@pytest.mark.parametrize("context", [0, 20])
def test_no_rotated_view_leaves_the_window(size, context):
    """With a window of ones and nothing around it, every view is made of ones."""
    seen = frame(*size, context, step=8)
    margin = margin_px("seven_rotations", seen)
    shapes = []

    def network(windows):
        shapes.append(windows.shape[2:])
        # What lies beyond the window would come from its outermost pixels, which are 0.
        assert windows.min() > 0.999
        middle = [side - 2 * context for side in windows.shape[2:]]
        return torch.full((len(windows), 2, *middle), 0.5)

    window = torch.ones(1, 1, *(side + 2 * margin for side in size))
    window[..., 0, :] = window[..., -1, :] = window[..., 0] = window[..., -1] = 0
    found = averaged(network, "seven_rotations", seen, 1)(window)
    assert found.shape == (1, 2, *size)
    assert torch.allclose(found, torch.full_like(found, 0.5), atol=1e-6)
    assert all((side - 2 * context) % 8 == 0 for shape in shapes[1:] for side in shape)


def test_only_rotations_need_more_surroundings_than_the_network():
    for averaging in ("none", "flips", "flips_turns"):
        assert margin_px(averaging, frame(10, 20, context=7)) == 7
    # Half of the diagonal of a square, and of its surroundings.
    assert margin_px("seven_rotations", frame(100, 100, context=50)) > 50 * 2**0.5
