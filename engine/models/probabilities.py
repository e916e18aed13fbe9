"""Pixels in, probabilities out: the two ends of every network, in training and in prediction.

Shapes: N images, C channels or logits, K classes, H height, W width.
"""

from statistics import fmean

import torch
from torch import Tensor

from engine.config import ImageConfig

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_DEVIATION = (0.229, 0.224, 0.225)
"""Of the red, green and blue channel over the photographs that encoders were pretrained on."""
_FLAT = 1e-6
"""Images that vary less, by rounding alone, are constant; one grey value of 255 is 4e-3."""


def to_input(images_NHWC: Tensor) -> Tensor:
    """What a network takes: uint8 (N, H, W, C) as float (N, C, H, W), 0 to 1, channels-last."""
    return images_NHWC.permute(0, 3, 1, 2).float().div(255)


def normalize(images_NCHW: Tensor, images: ImageConfig) -> Tensor:
    """Images with the grey values that a network is trained on.

    Each image is looked at by itself, all its channels together, so that colours stay what they
    are. An image of a single value becomes 0 where its range or deviation is divided by.

    Args:
        images_NCHW: float, 0 to 1; after augmentation, so that training and prediction agree.
        images: which values, and the share of them that is clipped first.
    """
    if images.intensity == "unit":
        return images_NCHW
    if images.intensity == "imagenet":
        return _as_photographs(images_NCHW)
    low_N, high_N = _limits(images_NCHW.flatten(1), images.clip_share)
    low_N111, high_N111 = low_N[:, None, None, None], high_N[:, None, None, None]
    if images.intensity == "min_max":
        scale_N111, offset_N111 = high_N111 - low_N111, low_N111
        clipped_NCHW = images_NCHW.clamp(low_N111, high_N111)
    else:
        clipped_NCHW = images_NCHW.clamp(low_N111, high_N111) if images.clip_share else images_NCHW
        offset_N111 = clipped_NCHW.mean(dim=(1, 2, 3), keepdim=True)
        # Many times faster than torch's own deviation.
        squares_NCHW = (clipped_NCHW - offset_N111).square()
        scale_N111 = squares_NCHW.mean(dim=(1, 2, 3), keepdim=True).sqrt()
    is_flat_N111 = scale_N111 < _FLAT
    scaled_NCHW = (clipped_NCHW - offset_N111) / scale_N111.masked_fill(is_flat_N111, 1)
    return scaled_NCHW.masked_fill(is_flat_N111, 0)


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


def _limits(values_NP: Tensor, clip_share: float) -> tuple[Tensor, Tensor]:
    """The values that a share of each image's values lies below, or above."""
    if not clip_share:
        return values_NP.amin(dim=1), values_NP.amax(dim=1)
    # The extreme values and no quantile: that sorts all of them, and refuses large batches.
    num = int(clip_share * values_NP.shape[1]) + 1
    low_NP = values_NP.topk(num, dim=1, largest=False, sorted=False).values
    return low_NP.amax(dim=1), values_NP.topk(num, dim=1, sorted=False).values.amin(dim=1)


def _as_photographs(images_NCHW: Tensor) -> Tensor:
    """Scaled as photographs were; channels that are not three are scaled by the mean of theirs."""
    num_channels = images_NCHW.shape[1]
    if num_channels != len(_IMAGENET_MEAN):
        mean, deviation = fmean(_IMAGENET_MEAN), fmean(_IMAGENET_DEVIATION)
        return (images_NCHW - mean) / deviation
    # By channel, as moving a tensor of the means to the device would wait for it.
    scaled = [
        (images_NCHW[:, channel : channel + 1] - mean) / deviation
        for channel, (mean, deviation) in enumerate(
            zip(_IMAGENET_MEAN, _IMAGENET_DEVIATION, strict=True)
        )
    ]
    return torch.cat(scaled, dim=1)
