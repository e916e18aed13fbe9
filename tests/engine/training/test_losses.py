"""Losses against torch's own, hand-computed values, and ignored pixels."""

import math

import pytest
import torch

from engine.config import LossConfig
from engine.scores.counts import IGNORED_INDEX
from engine.training.losses import cross_entropy, make_loss, soft_dice_loss


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def test_one_logit_cross_entropy_is_bce_with_logits(generator):
    logits = torch.randn(2, 1, 5, 7, generator=generator)
    masks = torch.randint(0, 2, (2, 5, 7), generator=generator)
    expected = torch.nn.BCEWithLogitsLoss()(logits[:, 0], masks.float())
    assert torch.allclose(cross_entropy(logits, masks), expected)


def test_many_logits_cross_entropy_is_torchs(generator):
    logits = torch.randn(2, 4, 5, 7, generator=generator)
    masks = torch.randint(0, 4, (2, 5, 7), generator=generator)
    expected = torch.nn.CrossEntropyLoss()(logits, masks)
    assert torch.allclose(cross_entropy(logits, masks), expected)


@pytest.mark.parametrize("num_logits", [1, 3])
def test_ignored_pixels_have_no_influence(num_logits, generator):
    logits = torch.randn(1, num_logits, 4, 4, generator=generator, requires_grad=True)
    masks = torch.randint(0, 2, (1, 4, 4), generator=generator)
    masks[0, 0] = IGNORED_INDEX
    loss = make_loss(LossConfig(loss="dice_cross_entropy"))(logits, masks)
    loss.backward()
    assert torch.all(logits.grad[0, :, 0] == 0)
    assert torch.any(logits.grad[0, :, 1] != 0)


@pytest.mark.parametrize("num_logits", [1, 3])
def test_batch_with_every_pixel_ignored_gives_a_finite_loss(num_logits):
    masks = torch.full((1, 4, 4), IGNORED_INDEX)
    loss = make_loss(LossConfig(loss="dice_cross_entropy"))(torch.zeros(1, num_logits, 4, 4), masks)
    assert math.isfinite(loss.item())


def test_soft_dice_of_a_hand_computed_batch():
    # sigmoid(0) = 0.5 on four pixels, two of them foreground: (2·1 + 1) / (2 + 2 + 1) = 3/5.
    logits = torch.zeros(1, 1, 2, 2)
    masks = torch.tensor([[[1, 1], [0, 0]]])
    assert soft_dice_loss(logits, masks).item() == pytest.approx(1 - 3 / 5)


def test_perfect_prediction_has_no_dice_loss():
    masks = torch.tensor([[[1, 0], [2, 0]]])
    logits = 50.0 * torch.nn.functional.one_hot(masks, 3).permute(0, 3, 1, 2).float()
    assert soft_dice_loss(logits, masks).item() == pytest.approx(0, abs=1e-5)
