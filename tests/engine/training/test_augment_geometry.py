"""Geometry: images and masks stay together, against slow references in NumPy and SciPy."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from engine.config import AugmentConfig
from engine.training.augment import Batch
from engine.training.augment.elastic import bicubic_weights, displacements, gaussian_weights
from engine.training.augment.geometry import change_geometry

CPU = torch.device("cpu")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def discs(count=16, size=64):
    """Masks of smooth shapes, far larger than a pixel, and images that are the masks."""
    y, x = np.mgrid[:size, :size] / size
    mask = ((x - 0.4) ** 2 + (y - 0.6) ** 2 < 0.09) | ((x > 0.6) & (y < 0.3))
    masks = torch.from_numpy(mask.astype(np.int64)).expand(count, -1, -1)
    return Batch(masks[:, None].float(), masks, masks.float())


def ramps(count=16, size=64):
    """Images whose two channels are the x and y of each pixel's middle, as a share of the size."""
    steps = (torch.arange(size) + 0.5) / size
    images = torch.stack([steps.expand(size, -1), steps[:, None].expand(-1, size)])
    return Batch(images.expand(count, -1, -1, -1), torch.zeros(count, size, size).long())


def fetched_from(config, count=256, size=64, seed=0):
    """Where the pixels of the result come from: pixels from the middle, (N, 2, S, S); NaN where
    that is not inside the image."""
    ignoring = config.model_copy(update={"border": "ignore"})
    changed = change_geometry(ramps(count, size), ignoring, size, seeded(seed))
    places = changed.images_NCHW * size - size / 2
    # Interpolation has no neighbour beyond the outermost pixel's middle.
    is_edge = (places.abs() > size / 2 - 0.6).any(dim=1)
    return places.masked_fill((is_edge | (changed.masks_NHW == 255))[:, None], float("nan"))


def middle_of(places):
    """The 2x2 pixels around the middle, averaged."""
    half = places.shape[-1] // 2
    return places[..., half - 1 : half + 1, half - 1 : half + 1].mean(dim=(-2, -1))


def slopes(places):
    """Change of the place per pixel to the right and per pixel down, at the middle: (N, 2, 2)."""
    half = places.shape[-1] // 2
    right = places[..., half, half] - places[..., half, half - 1]
    down = places[..., half, half] - places[..., half - 1, half]
    return torch.stack([right, down], dim=-1)


GEOMETRY = {
    "flips": {"flips": "both"},
    "turns": {"rotate_90": True},
    "rotation": {"rotation_degrees": 180},
    "scale": {"scale": 0.5},
    "shift": {"shift": 0.3},
    "shear": {"shear_degrees": 30},
    "crop": {"crop": 0.5},
    "elastic grid": {"elastic": "grid", "elastic_px": 4},
    "elastic dense": {"elastic": "dense", "elastic_px": 3, "elastic_smoothing_px": 10},
    "all": {
        "flips": "both", "rotate_90": True, "rotation_degrees": 45, "scale": 0.3, "shift": 0.1,
        "shear_degrees": 10, "crop": 0.3, "elastic": "grid", "elastic_px": 3,
    },
}  # fmt: skip


@pytest.mark.parametrize("border", ["mirror", "ignore"])
@pytest.mark.parametrize("changes", GEOMETRY.values(), ids=GEOMETRY)
def test_an_image_that_is_its_mask_stays_it(changes, border):
    config = AugmentConfig(**changes, border=border)
    changed = change_geometry(discs(), config, 64, seeded())
    counts = changed.masks_NHW != 255
    for values in (changed.images_NCHW[:, 0], changed.borders_NHW):
        # Interpolated halfway or more towards what the nearest pixel is.
        differs = ((values - changed.masks_NHW).abs() > 0.75 + 1e-3) & counts
        assert not differs.any()
        # Away from the shapes' edges they agree to the last bit that interpolation leaves.
        assert ((values - changed.masks_NHW).abs() < 1e-5)[counts].float().mean() > 0.9
    assert not torch.equal(changed.masks_NHW, discs().masks_NHW)


@pytest.mark.parametrize("changes", [GEOMETRY["flips"], GEOMETRY["turns"]], ids=str)
def test_flips_and_turns_keep_every_pixel_to_the_last_bit(changes):
    images = torch.rand(8, 3, 9, 9, generator=seeded(1))
    batch = Batch(images, (images[:, 0] * 100).long(), images[:, 1])
    changed = change_geometry(batch, AugmentConfig(**changes), 9, seeded())
    for image, mask, border, before in zip(
        changed.images_NCHW, changed.masks_NHW, changed.borders_NHW, images, strict=True
    ):
        assert torch.equal(image.flatten(1).sort().values, before.flatten(1).sort().values)
        assert torch.equal((image[0] * 100).long(), mask)
        assert torch.equal(image[1], border)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"flips": "horizontal"}, {"abcd", "badc"}),
        ({"flips": "both"}, {"abcd", "badc", "cdab", "dcba"}),
        ({"rotate_90": True}, {"abcd", "cadb", "dcba", "bdac"}),
        (
            {"rotate_90": True, "flips": "horizontal"},
            {"abcd", "cadb", "dcba", "bdac", "badc", "cdab", "acbd", "dbca"},
        ),
    ],
    ids=str,
)
def test_flips_and_turns_reach_what_they_say_equally_often_and_nothing_else(changes, expected):
    image = torch.tensor([[0.1, 0.2], [0.3, 0.4]])
    batch = Batch(image.expand(800, 1, 2, 2), torch.zeros(800, 2, 2).long())
    changed = change_geometry(batch, AugmentConfig(**changes), 2, seeded()).images_NCHW
    seen = ["".join("abcd"[round(v * 10) - 1] for v in each.flatten().tolist()) for each in changed]
    assert set(seen) == expected
    assert min(map(seen.count, expected)) > 0.7 * 800 / len(expected)


@pytest.mark.parametrize("changes", [GEOMETRY["flips"], GEOMETRY["turns"]], ids=str)
@pytest.mark.parametrize("size", [64, 65])
def test_resampling_turns_images_as_the_exact_way_does(changes, size):
    batch = Batch(
        torch.rand(16, 3, 70, 70, generator=seeded(1)),
        torch.randint(0, 9, (16, 70, 70), generator=seeded(2)),
    )
    exact = change_geometry(batch, AugmentConfig(**changes), size, seeded())
    hardly = AugmentConfig(**changes, shift=1e-9)
    sampled = change_geometry(batch, hardly, size, seeded())
    torch.testing.assert_close(sampled.images_NCHW, exact.images_NCHW, atol=1e-4, rtol=0)
    assert torch.equal(sampled.masks_NHW, exact.masks_NHW)


def test_rotations_keep_the_middle_and_lengths_and_reach_their_angle_both_ways():
    places = fetched_from(AugmentConfig(rotation_degrees=30))
    assert middle_of(places).abs().max() < 1e-3
    matrix = slopes(places)
    identity = torch.eye(2).expand(256, 2, 2)
    torch.testing.assert_close(matrix @ matrix.mT, identity, atol=1e-3, rtol=0)
    degrees = torch.atan2(matrix[:, 1, 0], matrix[:, 0, 0]).rad2deg()
    assert -30.01 < degrees.min() < -28
    assert 28 < degrees.max() < 30.01


def test_scales_reach_their_factor_and_its_inverse_equally_often():
    matrix = slopes(fetched_from(AugmentConfig(scale=0.5)))
    assert matrix[:, 0, 1].abs().max() < 1e-4
    factors = 1 / matrix[:, 0, 0]
    torch.testing.assert_close(factors, 1 / matrix[:, 1, 1], atol=1e-3, rtol=0)
    assert 1 / 1.501 < factors.min() < 1 / 1.45
    assert 1.45 < factors.max() < 1.501
    assert 0.4 < (factors > 1).float().mean() < 0.6


def test_shifts_reach_their_share_of_the_size_along_each_side():
    offsets = middle_of(fetched_from(AugmentConfig(shift=0.25)))
    for along in offsets.unbind(1):
        assert -16.01 < along.min() < -15
        assert 15 < along.max() < 16.01
    assert torch.corrcoef(offsets.T)[0, 1].abs() < 0.2


def test_a_shear_slants_one_side_and_keeps_the_area():
    matrix = slopes(fetched_from(AugmentConfig(shear_degrees=20)))
    torch.testing.assert_close(torch.linalg.det(matrix), torch.ones(256), atol=1e-3, rtol=0)
    right, down = matrix[:, 0, 1], matrix[:, 1, 0]
    assert ((right.abs() < 1e-4) | (down.abs() < 1e-4)).all()
    limit = math.tan(math.radians(20))
    for slant in (right, down):
        assert 0.9 * limit < slant.max() < 1.001 * limit
        assert -1.001 * limit < slant.min() < -0.9 * limit


def test_a_crop_shows_a_piece_of_the_image_and_nothing_from_beyond_it():
    config = AugmentConfig(crop=0.5)
    matrix = slopes(fetched_from(config))
    kept = matrix[:, 0, 0]
    assert 0.499 < kept.min() < 0.52
    assert 0.98 < kept.max() < 1.001
    torch.testing.assert_close(kept, matrix[:, 1, 1], atol=1e-3, rtol=0)
    ignoring = config.model_copy(update={"border": "ignore"})
    changed = change_geometry(ramps(256), ignoring, 64, seeded())
    assert not (changed.masks_NHW == 255).any()
    # The piece may lie at either end of the image.
    assert changed.images_NCHW[:, 0, :, 0].max() > 0.4
    assert changed.images_NCHW[:, 0, :, -1].min() < 0.6


def rotated_by_scipy(image_HW, matrix, order, size):
    """One image through the same map, by SciPy; the border mirrored as (d c b a | a b c d)."""
    height, width = image_HW.shape
    to_rows = matrix.flip(0).flip(1).double().numpy()
    middle = np.array([(height - 1) / 2, (width - 1) / 2])
    offset = middle - to_rows @ np.full(2, (size - 1) / 2)
    return ndimage.affine_transform(
        image_HW.double().numpy(), to_rows, offset, (size, size), order=order, mode="reflect"
    )


def test_images_and_masks_are_resampled_as_scipy_does_it():
    config = AugmentConfig(rotation_degrees=45, scale=0.5, shear_degrees=15)
    matrix = slopes(fetched_from(config, count=6))
    images = torch.rand(6, 1, 80, 80, generator=seeded(1))
    masks = torch.randint(0, 9, (6, 80, 80), generator=seeded(2))
    changed = change_geometry(Batch(images, masks), config, 64, seeded())
    for index in range(6):
        image = rotated_by_scipy(images[index, 0], matrix[index], 1, 64)
        mask = rotated_by_scipy(masks[index], matrix[index], 0, 64)
        assert np.abs(changed.images_NCHW[index, 0].numpy() - image).max() < 0.02
        assert (changed.masks_NHW[index].numpy() == mask).mean() > 0.998


def test_a_mirrored_border_shows_no_black_and_ignores_nothing():
    bright = Batch(torch.full((32, 1, 32, 32), 0.5), torch.ones(32, 32, 32).long())
    config = AugmentConfig(rotation_degrees=180, shift=0.5, scale=0.9)
    changed = change_geometry(bright, config, 32, seeded())
    torch.testing.assert_close(changed.images_NCHW, bright.images_NCHW)
    assert torch.equal(changed.masks_NHW, bright.masks_NHW)


def test_an_ignored_border_is_black_and_not_compared_and_stops_at_the_image():
    bright = Batch(torch.full((32, 1, 32, 32), 0.5), torch.ones(32, 32, 32).long())
    config = AugmentConfig(rotation_degrees=180, shift=0.5, scale=0.9, border="ignore")
    changed = change_geometry(bright, config, 32, seeded())
    outside = changed.masks_NHW == 255
    assert 0.1 < outside.float().mean() < 0.9
    assert (changed.images_NCHW[:, 0][outside] == 0).all()
    torch.testing.assert_close(
        changed.images_NCHW[:, 0][~outside], torch.full((int((~outside).sum()),), 0.5)
    )


@pytest.mark.parametrize("kind", ["grid", "dense"])
def test_an_elastic_image_is_fetched_from_where_the_field_says(kind):
    config = AugmentConfig(elastic=kind, elastic_px=2, elastic_smoothing_px=8)
    generator = seeded()
    torch.rand(12, 4, generator=generator)  # what the other changes would have drawn
    field = displacements(config, 4, 64, CPU, generator)
    places = fetched_from(config, count=4)
    steps = torch.arange(64) - 31.5
    expected = torch.stack([steps + field[..., 0], steps[:, None] + field[..., 1]], dim=1)
    inside = ~places.isnan()
    assert inside.float().mean() > 0.7
    torch.testing.assert_close(places[inside], expected[inside], atol=1e-3, rtol=0)


def keys(distance, a=-0.75):
    """The kernel of cubic convolution, from Keys (1981), equation 4."""
    d = abs(distance)
    if d <= 1:
        return (a + 2) * d**3 - (a + 3) * d**2 + 1
    return a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a if d < 2 else 0.0


def test_the_elastic_grid_is_bicubic_interpolation_between_its_nodes():
    size, num_nodes = 17, 3
    generator = seeded(3)
    config = AugmentConfig(elastic="grid", elastic_px=10, elastic_grid=num_nodes)
    field = displacements(config, 1, size, CPU, generator)[0].numpy()
    nodes = 10 * torch.randn(1, num_nodes, num_nodes, 2, generator=seeded(3))[0].numpy()
    slow = np.zeros((size, size, 2))
    for row in range(size):
        for column in range(size):
            y, x = (place * (num_nodes - 1) / (size - 1) for place in (row, column))
            for i in range(-1, num_nodes + 1):
                for j in range(-1, num_nodes + 1):
                    node = nodes[min(max(i, 0), num_nodes - 1), min(max(j, 0), num_nodes - 1)]
                    slow[row, column] += keys(y - i) * keys(x - j) * node
    np.testing.assert_allclose(field, slow, atol=1e-4)
    # The nodes themselves are kept: corners and middle.
    np.testing.assert_allclose(field[::8, ::8], nodes, atol=1e-4)


def test_bicubic_weights_leave_an_even_displacement_even():
    weights = bicubic_weights(50, 5, CPU)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(50))
    assert weights.min() < 0  # what makes the interpolation smoother than a linear one


@pytest.mark.parametrize("sigma_px", [1.0, 3.0, 16.0])
def test_smoothed_noise_varies_as_that_of_scipy_does(sigma_px):
    config = AugmentConfig(elastic="dense", elastic_px=5, elastic_smoothing_px=sigma_px)
    field = displacements(config, 200, 48, CPU, seeded())
    noise = np.random.default_rng(0).normal(size=(60, 300, 300))
    slow = ndimage.gaussian_filter(noise, (0, sigma_px, sigma_px), mode="wrap")
    slow *= 5 / slow.std()
    for lag in (0, round(sigma_px), round(2 * sigma_px)):
        expected = (slow[:, :, : 300 - lag] * slow[:, :, lag:]).mean()
        for fast in (field, field.transpose(1, 2)):
            found = (fast[:, :, : 48 - lag] * fast[:, :, lag:]).mean().item()
            assert abs(found - expected) < 0.12 * 25, lag
    assert abs(field.mean()) < 0.5


@pytest.mark.parametrize("sigma_px", [1.0, 5.0, 16.0, 200.0])
def test_smoothed_noise_varies_equally_everywhere_and_fades_as_a_gaussian(sigma_px):
    weights = gaussian_weights(64, sigma_px, CPU).double()
    covariance = weights @ weights.T
    distance = (torch.arange(64)[:, None] - torch.arange(64)).double()
    # What is smoothed by σ is correlated over √2 σ.
    expected = torch.exp(-(distance**2) / (4 * sigma_px**2))
    torch.testing.assert_close(covariance, expected, atol=1e-3, rtol=0)
    torch.testing.assert_close(covariance.diagonal(), torch.ones(64).double(), atol=1e-6, rtol=0)
    assert weights.shape[1] <= 64 + 8 * sigma_px  # no more nodes than the noise has pixels
