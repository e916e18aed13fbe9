"""Losses that judge whole areas, against hand-computed values and their definitions."""

import itertools

import pytest
import torch

from engine.scores.counts import IGNORED_INDEX
from engine.training.losses.overlap import lovasz_loss, soft_dice_loss, tversky_loss


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


# --- soft Dice


def test_soft_dice_of_a_hand_computed_batch():
    # sigmoid(0) = 0.5 on four pixels, two of them foreground: (2·1 + 1) / (2 + 2 + 1) = 3/5.
    logits = torch.zeros(1, 1, 2, 2)
    masks = torch.tensor([[[1, 1], [0, 0]]])
    assert soft_dice_loss(logits, masks).item() == pytest.approx(1 - 3 / 5)


def test_soft_dice_is_the_mean_over_all_classes():
    # Sure of class 0 everywhere; truth is 0, 0, 0, 1. Class 0: (2·3 + 1) / (4 + 3 + 1) = 7/8,
    # class 1: 1 / (0 + 1 + 1) = 1/2, class 2 neither is nor is predicted: 1.
    logits = torch.zeros(1, 3, 1, 4)
    logits[:, 0] = 60.0
    value = soft_dice_loss(logits, torch.tensor([[[0, 0, 0, 1]]]))
    assert value.item() == pytest.approx(1 - (7 / 8 + 1 / 2 + 1) / 3)


def test_soft_dice_of_two_classes_is_the_same_with_one_logit_and_with_two(generator):
    logits = torch.randn(2, 2, 5, 7, generator=generator)
    masks = torch.randint(0, 2, (2, 5, 7), generator=generator)
    difference = logits[:, 1:] - logits[:, :1]
    assert torch.allclose(soft_dice_loss(difference, masks), soft_dice_loss(logits, masks))
    # Not so Tversky, for which it matters which of the two is missed.
    one, two = (tversky_loss(each, masks, 0.9) for each in (difference, logits))
    assert not torch.allclose(one, two)


def test_class_that_is_nowhere_asks_to_be_predicted_nowhere():
    masks = torch.zeros(1, 4, 4, dtype=torch.long)
    unsure, sure = torch.zeros(1, 1, 4, 4), torch.full((1, 1, 4, 4), -60.0)
    # Class 1: 1 - 1 / (8 + 0 + 1); class 0: 1 - (2·8 + 1) / (8 + 16 + 1).
    assert soft_dice_loss(unsure, masks).item() == pytest.approx((8 / 9 + 8 / 25) / 2)
    assert soft_dice_loss(sure, masks).item() == pytest.approx(0)


def test_soft_dice_is_of_the_batch_and_not_of_its_images():
    logits = torch.zeros(2, 1, 1, 2)
    masks = torch.tensor([[[1, 1]], [[0, 0]]])
    joined = soft_dice_loss(logits.view(1, 1, 2, 2), masks.view(1, 2, 2))
    assert torch.equal(soft_dice_loss(logits, masks), joined)
    apart = [soft_dice_loss(logits[i : i + 1], masks[i : i + 1]).item() for i in (0, 1)]
    assert joined.item() != pytest.approx(sum(apart) / 2, abs=0.01)


# --- Tversky


@pytest.mark.parametrize("num_logits", [1, 3])
def test_tversky_with_beta_one_half_is_dice(num_logits, generator):
    logits = torch.randn(2, num_logits, 5, 7, generator=generator)
    masks = torch.randint(0, max(2, num_logits), (2, 5, 7), generator=generator)
    masks[0, 0] = IGNORED_INDEX
    looked_at = masks != IGNORED_INDEX
    if num_logits == 1:
        probabilities, classes = logits.sigmoid(), [1]
    else:
        probabilities, classes = logits.softmax(dim=1), [0, 1, 2]
    dice = []
    for channel, index in enumerate(classes):
        predicted, truth = probabilities[:, channel][looked_at], masks[looked_at] == index
        both = (predicted * truth).sum()
        dice.append((2 * both + 1) / (predicted.sum() + truth.sum() + 1))
    value = tversky_loss(logits, masks, beta=0.5)
    assert torch.allclose(value, 1 - torch.stack(dice).mean())
    if num_logits == 3:
        assert torch.equal(value, soft_dice_loss(logits, masks))


def test_tversky_of_a_hand_computed_batch():
    # tp = 1, fn = 1, fp = 2: (1 + ½) / (1 + 0.7·1 + 0.3·2 + ½) = 1.5 / 2.8.
    masks = torch.tensor([[[1, 1, 0, 0, 0]]])
    logits = 60.0 * torch.tensor([[[[1.0, -1, 1, 1, -1]]]])
    assert tversky_loss(logits, masks, beta=0.7).item() == pytest.approx(1 - 1.5 / 2.8)


def test_larger_beta_punishes_misses_more_and_false_alarms_less():
    masks = torch.tensor([[[1, 1, 0, 0]]])
    misses = 60.0 * torch.tensor([[[[1.0, -1, -1, -1]]]])
    alarms = 60.0 * torch.tensor([[[[1.0, 1, 1, -1]]]])
    assert tversky_loss(misses, masks, 0.9) > tversky_loss(misses, masks, 0.1)
    assert tversky_loss(alarms, masks, 0.9) < tversky_loss(alarms, masks, 0.1)


# --- Lovász


def jaccard_loss(wrong, truth):
    """1 - IoU of a class when exactly the pixels `wrong` are wrong; 0 of nothing and nothing.

    A wrong pixel of the truth is missed; any other is a false alarm.
    """
    union = truth | wrong
    return len(wrong) / len(union) if union else 0.0


def lovasz_extension(errors, truth):
    """The definition (arXiv 1705.08790, equation 8), step by step."""
    order = sorted(range(len(errors)), key=lambda pixel: -errors[pixel])
    value, wrong = 0.0, set()
    for pixel in order:
        before = jaccard_loss(wrong, truth)
        wrong = wrong | {pixel}
        value += errors[pixel] * (jaccard_loss(wrong, truth) - before)
    return value


def test_lovasz_hinge_is_its_definition_for_every_small_mask(generator):
    for truth in itertools.product([0, 1, IGNORED_INDEX], repeat=4):
        logits = 2 * torch.randn(4, generator=generator, dtype=torch.float64)
        kept = [pixel for pixel in range(4) if truth[pixel] != IGNORED_INDEX]
        errors = [
            max(0.0, 1 - logits[pixel].item() * (1 if truth[pixel] else -1)) for pixel in kept
        ]
        expected = lovasz_extension(errors, {i for i, pixel in enumerate(kept) if truth[pixel]})
        value = lovasz_loss(logits.view(1, 1, 2, 2), torch.tensor(truth).view(1, 2, 2))
        assert value.item() == pytest.approx(expected), truth


def test_lovasz_softmax_is_its_definition_for_every_small_mask(generator):
    for truth in itertools.product([0, 1, 2, IGNORED_INDEX], repeat=4):
        logits = 2 * torch.randn(1, 3, 1, 4, generator=generator, dtype=torch.float64)
        probabilities = logits.softmax(dim=1)[0, :, 0].tolist()
        kept = [pixel for pixel in range(4) if truth[pixel] != IGNORED_INDEX]
        values = []
        for index in {truth[pixel] for pixel in kept}:
            errors = [abs((truth[p] == index) - probabilities[index][p]) for p in kept]
            of_class = {i for i, pixel in enumerate(kept) if truth[pixel] == index}
            values.append(lovasz_extension(errors, of_class))
        value = lovasz_loss(logits, torch.tensor([[truth]]))
        assert value.item() == pytest.approx(sum(values) / max(1, len(values))), truth


def test_lovasz_softmax_of_sure_predictions_is_one_minus_iou():
    # Class 0: truth 0 0 0 1, predicted 0 0 1 1: 2 of 3. Class 1: 1 of 2.
    masks = torch.tensor([[[0, 0, 0, 1]]])
    logits = torch.zeros(1, 3, 1, 4)
    logits[0, 0, 0, :2] = logits[0, 1, 0, 2:] = 60.0
    # Class 2 does not occur and does not count.
    assert lovasz_loss(logits, masks).item() == pytest.approx(1 - (2 / 3 + 1 / 2) / 2)


def test_lovasz_hinge_vanishes_once_the_margin_is_1_everywhere():
    masks = torch.tensor([[[0, 1, 1]]])
    logits = torch.tensor([[[[-1.0, 1.0, 2.0]]]])
    assert lovasz_loss(logits, masks).item() == 0
    assert lovasz_loss(0.9 * logits, masks).item() > 0


def test_lovasz_keeps_its_digits_in_a_large_batch(generator):
    """Single precision agrees with double, where neighbouring IoUs differ by a millionth."""
    logits = torch.randn(1, 3, 1024, 1024, generator=generator)
    masks = torch.randint(0, 3, (1, 1024, 1024), generator=generator)
    exact = lovasz_loss(logits.double(), masks).item()
    assert lovasz_loss(logits, masks).item() == pytest.approx(exact, rel=1e-5)
