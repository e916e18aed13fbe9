"""Augmentation: image and mask stay together, seeds decide, nothing happens unasked."""

import torch

from engine.config import AugmentConfig
from engine.training.augment import augment


def batch(count=64, size=8):
    masks = torch.randint(0, 5, (count, size, size), generator=torch.Generator().manual_seed(1))
    return masks[:, None].float() / 5, masks


def test_mask_moves_with_its_image():
    images, masks = batch()
    config = AugmentConfig(flips=True, rotate_90=True)
    moved_images, moved_masks = augment(images, masks, config, torch.Generator().manual_seed(0))
    assert torch.equal((moved_images[:, 0] * 5).round().long(), moved_masks)
    assert not torch.equal(moved_masks, masks)


def test_quarter_turns_reach_all_four_directions():
    image = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    images, masks = image.expand(256, 1, 2, 2), torch.zeros(256, 2, 2, dtype=torch.long)
    config = AugmentConfig(rotate_90=True)
    turned, _ = augment(images, masks, config, torch.Generator().manual_seed(0))
    corners = turned[:, 0, 0, 0].tolist()
    assert set(corners) == {1.0, 2.0, 3.0, 4.0}
    assert min(corners.count(value) for value in set(corners)) > 40


def test_same_seed_gives_the_same_changes():
    config = AugmentConfig(flips=True, rotate_90=True, brightness_contrast=0.3)
    first = augment(*batch(), config, torch.Generator().manual_seed(7))
    second = augment(*batch(), config, torch.Generator().manual_seed(7))
    other = augment(*batch(), config, torch.Generator().manual_seed(8))
    assert torch.equal(first[0], second[0])
    assert not torch.equal(first[0], other[0])


def test_brightness_and_contrast_leave_masks_alone_and_stay_in_range():
    images, masks = batch()
    config = AugmentConfig(brightness_contrast=0.9)
    changed, unchanged = augment(images, masks, config, torch.Generator().manual_seed(0))
    assert torch.equal(unchanged, masks)
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert not torch.equal(changed, images)


def test_nothing_changes_unasked():
    images, masks = batch()
    same_images, same_masks = augment(images, masks, AugmentConfig(), torch.Generator())
    assert same_images is images
    assert same_masks is masks
