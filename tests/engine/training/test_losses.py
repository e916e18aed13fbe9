"""Losses that judge pixel by pixel, and what holds of every loss."""

import math

import pytest
import torch
from torch.nn import functional

from engine.config import LossConfig
from engine.datasets.weight_maps import border_map
from engine.errors import BadSetting
from engine.scores.counts import IGNORED_INDEX
from engine.training.losses import balanced_weights, deep_loss, make_loss
from engine.training.losses.pixelwise import cross_entropy, focal_loss

LOSSES = {
    "cross_entropy": LossConfig(),
    "weighted": LossConfig(class_weighting="balanced", border_weight=10.0),
    "dice": LossConfig(loss="dice"),
    "dice_cross_entropy": LossConfig(loss="dice_cross_entropy", dice_share=0.3),
    "focal": LossConfig(loss="focal", focal_gamma=2.0, border_weight=3.0),
    "slightly_focal": LossConfig(loss="focal", focal_gamma=0.5),
    "tversky": LossConfig(loss="tversky", tversky_beta=0.8),
    "lovasz": LossConfig(loss="lovasz"),
}

every_loss = pytest.mark.parametrize("config", LOSSES.values(), ids=LOSSES)
one_or_many_logits = pytest.mark.parametrize("num_logits", [1, 3])


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def num_classes(num_logits):
    return max(2, num_logits)


def batch(generator, num_logits, shape=(2, 5, 7)):
    """Logits, masks with ignored pixels, borders."""
    logits = torch.randn(shape[0], num_logits, *shape[1:], generator=generator)
    masks = torch.randint(0, num_classes(num_logits), shape, generator=generator)
    masks[0, 0] = IGNORED_INDEX
    return logits, masks, torch.rand(shape, generator=generator)


def loss_of(config, num_logits):
    weights = torch.arange(1, num_classes(num_logits) + 1).float()
    return make_loss(config, None if config.class_weighting == "none" else weights)


def sure(masks, num_logits, logit=50.0):
    """Logits that leave no doubt about these masks."""
    if num_logits == 1:
        return logit * (2.0 * (masks == 1) - 1).unsqueeze(1)
    known = masks.clamp(max=num_logits - 1)
    return logit * functional.one_hot(known, num_logits).permute(0, 3, 1, 2).float()


# --- every loss


@one_or_many_logits
@every_loss
def test_ignored_pixels_have_no_influence(config, num_logits, generator):
    logits, masks, borders = batch(generator, num_logits)
    logits.requires_grad_()
    loss = loss_of(config, num_logits)
    value = loss(logits, masks, borders)
    value.backward()
    assert torch.all(logits.grad[0, :, 0] == 0)
    assert torch.any(logits.grad[0, :, 1:] != 0)
    changed, changed_borders = logits.detach().clone(), borders.clone()
    changed[0, :, 0], changed_borders[0, 0] = 20 * changed[0, :, 0] + 3, 1.0
    assert loss(changed, masks, changed_borders).item() == pytest.approx(value.item(), rel=1e-6)


@one_or_many_logits
@every_loss
def test_batch_with_every_pixel_ignored_is_0_with_no_gradient(config, num_logits, generator):
    logits, masks, borders = batch(generator, num_logits)
    logits.requires_grad_()
    value = loss_of(config, num_logits)(logits, torch.full_like(masks, IGNORED_INDEX), borders)
    value.backward()
    assert value.item() == 0
    assert torch.all(logits.grad == 0)


@one_or_many_logits
@every_loss
def test_perfect_prediction_costs_nothing_and_its_opposite_does(config, num_logits, generator):
    _, masks, borders = batch(generator, num_logits)
    loss = loss_of(config, num_logits)
    logits = sure(masks, num_logits).requires_grad_()
    value = loss(logits, masks, borders)
    value.backward()
    assert value.item() == pytest.approx(0, abs=1e-5)
    assert torch.isfinite(logits.grad).all()
    assert loss(-logits, masks, borders).item() > 0.5


@one_or_many_logits
@every_loss
def test_order_of_pixels_is_irrelevant(config, num_logits, generator):
    logits, masks, borders = batch(generator, num_logits)
    loss = loss_of(config, num_logits)
    turned = [each.flip(-1).transpose(-1, -2) for each in (logits, masks, borders)]
    expected = loss(logits, masks, borders).item()
    assert loss(*turned).item() == pytest.approx(expected, rel=1e-5)


@one_or_many_logits
@every_loss
def test_gradient_is_that_of_the_value(config, num_logits, generator):
    logits, masks, borders = batch(generator, num_logits, (1, 3, 4))
    weights = torch.arange(1, num_classes(num_logits) + 1).double()
    loss = make_loss(config, None if config.class_weighting == "none" else weights)
    assert torch.autograd.gradcheck(
        lambda logits: loss(logits, masks, borders.double()), logits.double().requires_grad_()
    )


@one_or_many_logits
@every_loss
def test_bytes_do_as_masks_and_half_precision_is_computed_in_single(config, num_logits, generator):
    logits, masks, borders = batch(generator, num_logits)
    loss = loss_of(config, num_logits)
    rounded = logits.bfloat16()
    value = loss(rounded, masks.to(torch.uint8), borders)
    assert value.dtype == torch.float32
    assert torch.equal(value, loss(rounded.float(), masks, borders))


@one_or_many_logits
@every_loss
def test_host_never_waits_for_the_device(config, num_logits, generator):
    """Tensors without values refuse whatever would need one on the host."""
    logits, masks, borders = (each.to("meta") for each in batch(generator, num_logits))
    weights = torch.ones(num_classes(num_logits), device="meta")
    loss = make_loss(config, weights)
    assert loss(logits, masks, borders).is_meta
    levels = [logits, logits[..., ::2, ::2]]
    assert deep_loss(loss, levels, masks, borders).is_meta
    with pytest.raises((RuntimeError, NotImplementedError)):
        logits[logits > 0]


@one_or_many_logits
@every_loss
def test_undefined_logits_are_not_hidden(config, num_logits, generator):
    logits, masks, borders = batch(generator, num_logits)
    logits[1, 0, 2, 2] = math.nan
    assert loss_of(config, num_logits)(logits, masks, borders).isnan()


# --- cross-entropy


def test_one_logit_cross_entropy_is_bce_with_logits(generator):
    logits = torch.randn(2, 1, 5, 7, generator=generator)
    masks = torch.randint(0, 2, (2, 5, 7), generator=generator)
    expected = torch.nn.BCEWithLogitsLoss()(logits[:, 0], masks.float())
    assert torch.allclose(make_loss(LossConfig())(logits, masks, None), expected)


def test_many_logits_cross_entropy_is_torchs(generator):
    logits, masks, _ = batch(generator, 4)
    expected = torch.nn.CrossEntropyLoss(ignore_index=IGNORED_INDEX)(logits, masks)
    assert torch.allclose(make_loss(LossConfig())(logits, masks, None), expected)


def test_weighted_cross_entropy_is_torchs_sum_over_the_number_of_pixels(generator):
    logits, masks, _ = batch(generator, 3)
    weights = torch.tensor([0.5, 2.0, 7.0])
    summed = functional.cross_entropy(
        logits, masks, weights, ignore_index=IGNORED_INDEX, reduction="sum"
    )
    config = LossConfig(class_weighting="given", class_weights=(0.5, 2.0, 7.0))
    value = make_loss(config, weights)(logits, masks, None)
    assert torch.allclose(value, summed / (masks != IGNORED_INDEX).sum())


def test_weighted_cross_entropy_of_hand_computed_pixels():
    # Cross-entropy is ln 2 at logit 0. Weights: 2 + 10·0.5 = 7, 3, 2; the last pixel is ignored.
    masks = torch.tensor([[[0, 1], [0, IGNORED_INDEX]]])
    borders = torch.tensor([[[0.5, 0.0], [0.0, 1.0]]])
    config = LossConfig(class_weighting="given", class_weights=(2, 3), border_weight=10.0)
    loss = make_loss(config, torch.tensor([2.0, 3.0]))
    value = loss(torch.zeros(1, 1, 2, 2), masks, borders).item()
    assert value == pytest.approx((7 + 3 + 2) / 3 * math.log(2))


@one_or_many_logits
@pytest.mark.parametrize("name", ["cross_entropy", "focal"])
def test_weights_of_1_change_nothing(name, num_logits, generator):
    logits, masks, borders = batch(generator, num_logits)
    plain = make_loss(LossConfig(loss=name))(logits, masks, None)
    ones = torch.ones(num_classes(num_logits))
    assert torch.equal(make_loss(LossConfig(loss=name), ones)(logits, masks, borders), plain)


def test_weights_in_the_loss_are_those_of_the_paper(generator):
    """w(x) = w_c(x) + w0 · border(x), equation 2 of arXiv 1505.04597; ignored pixels have none."""
    masks = (torch.rand(1, 24, 24, generator=generator) < 0.05).to(torch.uint8)
    masks[0, :3] = IGNORED_INDEX
    logits = torch.randn(1, 1, 24, 24, generator=generator)
    weights, background = [0.5, 4.0], frozenset({0})
    config = LossConfig(
        class_weighting="given", class_weights=(0.5, 4.0), border_weight=10, border_sigma_px=3
    )
    borders = torch.tensor(border_map(masks[0].numpy(), background, 3.0)).float()[None] / 255
    of_class = torch.tensor(weights)[masks.long().clamp(max=1)]
    wanted = (of_class + 10 * borders) * (masks != IGNORED_INDEX)
    assert wanted.max() > 4.5
    value = make_loss(config, torch.tensor(weights))(logits, masks, borders)
    assert torch.allclose(value, cross_entropy(logits, masks, wanted))


@pytest.mark.parametrize("num_logits", [1, 4])
def test_weights_for_another_number_of_classes_are_refused(num_logits):
    loss = make_loss(LossConfig(), torch.ones(3))
    with pytest.raises(BadSetting, match=r"has 3 numbers and the dataset has (2|4) classes\. Give"):
        loss(torch.zeros(1, num_logits, 2, 2), torch.zeros(1, 2, 2, dtype=torch.long), None)


# --- focal


@one_or_many_logits
def test_focal_loss_with_gamma_0_is_cross_entropy(num_logits, generator):
    logits, masks, borders = batch(generator, num_logits)
    focal = loss_of(LossConfig(loss="focal", focal_gamma=0, border_weight=10), num_logits)
    plain = loss_of(LossConfig(border_weight=10), num_logits)
    assert torch.allclose(focal(logits, masks, borders), plain(logits, masks, borders))


@pytest.mark.parametrize("logits", [[[[math.log(3)]]], [[[0.0]], [[math.log(3)]]]])
def test_focal_loss_of_a_hand_computed_pixel(logits):
    # p = 3/4: (1/4)² · ln(4/3).
    value = focal_loss(torch.tensor([logits]), torch.ones(1, 1, 1, dtype=torch.long), 2.0)
    assert value.item() == pytest.approx(math.log(4 / 3) / 16)


@pytest.mark.parametrize("gamma", [0.0, 0.1, 1.0, 5.0])
@one_or_many_logits
def test_focal_gradient_is_finite_where_nothing_is_in_doubt(num_logits, gamma):
    masks = torch.tensor([[[0, 1]]])
    logits = sure(masks, num_logits, logit=1000.0).requires_grad_()
    focal_loss(logits, masks, gamma).backward()
    assert torch.isfinite(logits.grad).all()


# --- mixture


@one_or_many_logits
def test_mixture_lies_between_cross_entropy_and_dice_by_its_share(num_logits, generator):
    given = batch(generator, num_logits)

    def value(name, **settings):
        return loss_of(LossConfig(loss=name, **settings), num_logits)(*given).item()

    entropy, dice = value("cross_entropy"), value("dice")
    mixed = value("dice_cross_entropy", dice_share=0.25)
    assert mixed == pytest.approx(0.75 * entropy + 0.25 * dice)
    assert value("dice_cross_entropy", dice_share=0) == pytest.approx(entropy)
    assert value("dice_cross_entropy", dice_share=1) == pytest.approx(dice)


# --- balanced weights


def test_balanced_weights_of_hand_computed_counts():
    # 100 / (2 · 80) and 100 / (2 · 20)
    assert balanced_weights([80, 20]) == [0.625, 2.5]


def test_balanced_classes_count_the_same_and_pixels_weigh_1_on_average():
    counts = [1_000_003, 17, 0, 4_711]
    weights = balanced_weights(counts)
    shares = [weight * count for weight, count in zip(weights, counts, strict=True)]
    assert sum(shares) == pytest.approx(sum(counts))
    assert shares[0] == pytest.approx(shares[1]) == pytest.approx(shares[3])
    assert weights[2] == 0


@pytest.mark.parametrize(
    ("counts", "weights"), [([5, 0], [1, 0]), ([0, 0, 0], [0, 0, 0]), ([7, 7], [1, 1])]
)
def test_balanced_weights_where_there_is_nothing_to_balance(counts, weights):
    assert balanced_weights(counts) == weights


# --- deep supervision


def test_deep_loss_of_one_level_is_the_loss(generator):
    logits, masks, borders = batch(generator, 3)
    loss = make_loss(LossConfig(border_weight=10))
    deep = deep_loss(loss, [logits], masks, borders)
    assert torch.allclose(deep, loss(logits, masks, borders))


def test_levels_weigh_half_as_much_as_the_next_finer_one(generator):
    masks = torch.zeros(1, 8, 8, dtype=torch.long)
    # Cross-entropy of class 0 at logit x is ln(1 + eˣ).
    levels = [torch.full((1, 1, size, size), x) for size, x in ((8, -1.0), (4, 0.0), (2, 2.0))]
    expected = sum(
        share / 7 * math.log1p(math.exp(x)) for share, x in zip((4, 2, 1), (-1, 0, 2), strict=True)
    )
    deep = deep_loss(make_loss(LossConfig()), levels, masks, None)
    assert deep.item() == pytest.approx(expected)


@pytest.mark.parametrize(("size", "level"), [(12, 6), (12, 3), (11, 5), (9, 1)])
def test_coarse_levels_see_the_pixel_nearest_to_the_middle_of_their_cells(size, level, generator):
    masks = torch.randint(0, 5, (2, size, size), generator=generator)
    masks[0, :2] = IGNORED_INDEX
    seen = []

    def spy(logits, masks, borders):
        seen.append((masks, borders))
        return logits.sum()

    deep_loss(spy, [torch.zeros(2, 1, level, level)], masks, masks.float())
    expected = functional.interpolate(
        masks[None].float(), size=(level, level), mode="nearest-exact"
    )
    assert torch.equal(seen[0][0], expected[0].long())
    assert torch.equal(seen[0][1], expected[0])


def test_masks_keep_their_pixels_at_the_finest_level(generator):
    masks = torch.randint(0, 2, (2, 8, 8), generator=generator)
    deep_loss(
        lambda logits, seen, _: logits.sum() if torch.equal(seen, masks) else pytest.fail(),
        [torch.zeros(2, 1, 8, 8)],
        masks,
        None,
    )
