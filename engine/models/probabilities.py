"""Pixels in, probabilities out: the two ends of every network, in training and in prediction.

Shapes: N images, C channels or logits, K classes, H height, W width.
"""

import torch
from torch import Tensor


def to_input(images_NHWC: Tensor) -> Tensor:
    """What a network takes: uint8 (N, H, W, C) as float (N, C, H, W), 0 to 1, channels-last."""
    return images_NHWC.permute(0, 3, 1, 2).float().div(255)


def class_probabilities(logits_NCHW: Tensor) -> Tensor:
    """Probabilities (N, K, H, W) that sum to 1 over the classes.

    One logit per pixel means two classes: class 1 by its sigmoid, class 0 the rest.
    """
    if logits_NCHW.shape[1] == 1:
        foreground_N1HW = logits_NCHW.sigmoid()
        return torch.cat([1 - foreground_N1HW, foreground_N1HW], dim=1)
    return logits_NCHW.softmax(dim=1)


def decide(probabilities_NKHW: Tensor, threshold: float) -> Tensor:
    """The class of each pixel, uint8 (N, H, W).

    With two classes, class 1 where its probability reaches the threshold; else the likeliest.
    """
    if probabilities_NKHW.shape[1] == 2:
        return (probabilities_NKHW[:, 1] >= threshold).to(torch.uint8)
    return probabilities_NKHW.argmax(dim=1).to(torch.uint8)
