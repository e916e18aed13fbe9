"""Losses that judge areas as a whole: soft Dice, Tversky, Lovász. All look at the whole batch.

Shapes: N images, C logits per pixel (1 with two classes, else K), H height, W width; P all pixels
of the batch in a row.
"""

import torch
from torch import Tensor

from engine.training.losses.pixels import looked_at, probabilities_and_targets, upcast

_SMOOTHING_PX = 0.5
"""Added to both sides of the fraction: Tversky is then defined, and 1, where a class neither is
nor is predicted, and its gradient is small where a class has hardly a pixel. In Dice, written as
2·tp / (2·tp + fp + fn), it is 1."""


def soft_dice_loss(logits_NCHW: Tensor, masks_NHW: Tensor) -> Tensor:
    """1 - soft Dice (arXiv 1606.04797), mean over all classes, background included; 0 when all
    pixels are ignored.

    With one logit per pixel class 0 counts as class 1 does: where class 1 is nearly everything, as
    the cells are in images of membranes, its own Dice says little. A class that is nowhere in the
    batch asks to be predicted nowhere.

    Shape:
        - logits_NCHW: float (N, C, H, W)
        - masks_NHW: any integer (N, H, W)
    """
    if logits_NCHW.shape[1] == 1:
        # The softmax of (0, x) is (1 - sigmoid(x), sigmoid(x)).
        logits_NCHW = torch.cat([torch.zeros_like(logits_NCHW), logits_NCHW], dim=1)
    return tversky_loss(logits_NCHW, masks_NHW, beta=0.5)


def tversky_loss(logits_NCHW: Tensor, masks_NHW: Tensor, beta: float) -> Tensor:
    """1 - tp / (tp + β·fn + (1 - β)·fp) (arXiv 1706.05721), class mean; β = 0.5 is Dice.

    With one logit per pixel only class 1 counts, whose misses β weighs; else all classes do,
    background included. A class that is nowhere in the batch asks to be predicted nowhere.

    Shape:
        - logits_NCHW: float (N, C, H, W)
        - masks_NHW: any integer (N, H, W)

    Args:
        beta: weight of missed pixels, 0 to 1; false alarms have the rest.
    """
    probabilities, targets = probabilities_and_targets(upcast(logits_NCHW), masks_NHW)
    probabilities = probabilities * looked_at(masks_NHW).unsqueeze(1)
    over_batch = (0, 2, 3)
    hits_C = (probabilities * targets).sum(over_batch)
    # tp + β·fn + (1-β)·fp = tp + β·(truth - tp) + (1-β)·(predicted - tp)
    #                      = β·truth + (1-β)·predicted
    areas_C = beta * targets.sum(over_batch) + (1 - beta) * probabilities.sum(over_batch)
    return 1 - ((hits_C + _SMOOTHING_PX) / (areas_C + _SMOOTHING_PX)).mean()


def lovasz_loss(logits_NCHW: Tensor, masks_NHW: Tensor) -> Tensor:
    """Lovász extension of 1 - IoU (arXiv 1705.08790); 0 when all pixels are ignored.

    With one logit per pixel it is the Lovász hinge, of the margins by which class 1 is told from
    class 0; else Lovász-softmax, the mean over the classes that occur in the batch.

    Shape:
        - logits_NCHW: float (N, C, H, W)
        - masks_NHW: any integer (N, H, W)
    """
    logits_NCHW = upcast(logits_NCHW)
    looked_at_P = looked_at(masks_NHW).flatten()
    if logits_NCHW.shape[1] == 1:
        targets_P = (masks_NHW == 1).flatten()
        signed_P = torch.where(targets_P, logits_NCHW.flatten(), -logits_NCHW.flatten())
        return _lovasz_extension((1 - signed_P).relu(), targets_P, looked_at_P)
    probabilities, targets = probabilities_and_targets(logits_NCHW, masks_NHW)
    errors_CP = (targets.to(probabilities.dtype) - probabilities).abs().movedim(1, 0).flatten(1)
    targets_CP = targets.movedim(1, 0).flatten(1)
    losses_C = torch.stack(
        [
            _lovasz_extension(errors_P, targets_P, looked_at_P)
            for errors_P, targets_P in zip(errors_CP, targets_CP, strict=True)
        ]
    )
    occurs_C = targets_CP.any(dim=1)
    return (losses_C * occurs_C).sum() / occurs_C.sum().clamp(min=1)


def _lovasz_extension(errors_P: Tensor, targets_P: Tensor, looked_at_P: Tensor) -> Tensor:
    """Σ errors · steps: how much 1 - IoU rises as one pixel after the other, worst first, is wrong.

    The libraries' versions pick the pixels that count by a mask, which waits for the device, and
    find the steps as differences of nearly equal IoUs, which in float32 loses most of their digits
    in a large batch; here they are closed forms of exact counts.

    Args:
        errors_P: at least 0.
    """
    # Ignored pixels go last, where they change no other pixel's step.
    order_P = errors_P.detach().masked_fill(~looked_at_P, -1).argsort(descending=True, stable=True)
    is_target_P = targets_P[order_P]
    num_targets = is_target_P.sum()
    # Once the pixels up to here are wrong, so many are left in the intersection and in the union:
    intersection_P = num_targets - is_target_P.cumsum(0)
    union_P = num_targets + (~is_target_P).cumsum(0)
    # A miss takes one from the intersection: (I + 1)/U - I/U = 1/U.
    # A false alarm adds one to the union:    I/(U - 1) - I/U = I/(U·(U - 1)),
    # and the first where there is no target spoils all.
    false_alarms_P = intersection_P / (union_P * (union_P - 1))
    steps_P = torch.where(
        is_target_P, 1 / union_P, torch.where(union_P > 1, false_alarms_P, 1.0)
    ).to(errors_P.dtype)
    steps_of_pixels_P = torch.zeros_like(errors_P).scatter(0, order_P, steps_P)
    return (errors_P * steps_of_pixels_P * looked_at_P).sum()
