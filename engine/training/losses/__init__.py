"""What is minimised.

Shapes: N images, C logits per pixel (1 with two classes, else K), K classes, H height, W width.
Masks hold class indices 0…K-1, or 255 for pixels that no loss looks at. All losses are computed
in float32 or better, whatever the precision of the logits; they are 0, with a gradient of 0, where
there is no pixel to look at; and none makes the host wait for the device.
"""

from torch import Tensor

from engine.config import LossConfig
from engine.training.losses.overlap import lovasz_loss, soft_dice_loss, tversky_loss
from engine.training.losses.pixelwise import cross_entropy, focal_loss
from engine.training.losses.supervision import Loss, deep_loss
from engine.training.losses.weighting import PixelWeights, balanced_weights

__all__ = ["Loss", "balanced_weights", "deep_loss", "make_loss"]


def make_loss(config: LossConfig, class_weights_K: Tensor | None = None) -> Loss:
    """The loss these settings name: `(logits_NCHW, masks_NHW, borders_NHW) -> scalar`.

    Borders are the exponential of the border weight map, 0 to 1. Cross-entropy and focal loss
    need them where a border weight is set; else None will do.

    Args:
        class_weights_K: weights of the classes in cross-entropy and focal loss, on the device
            where the loss will be computed. None: all weigh 1.

    Returns:
        The loss; it raises BadSetting where there are not as many weights as classes.
    """
    weights = PixelWeights(class_weights_K, config.border_weight)

    def entropy(logits_NCHW: Tensor, masks_NHW: Tensor, borders_NHW: Tensor | None) -> Tensor:
        weights_NHW = weights.of(logits_NCHW, masks_NHW, borders_NHW)
        return cross_entropy(logits_NCHW, masks_NHW, weights_NHW)

    def focal(logits_NCHW: Tensor, masks_NHW: Tensor, borders_NHW: Tensor | None) -> Tensor:
        weights_NHW = weights.of(logits_NCHW, masks_NHW, borders_NHW)
        return focal_loss(logits_NCHW, masks_NHW, config.focal_gamma, weights_NHW)

    def mixture(logits_NCHW: Tensor, masks_NHW: Tensor, borders_NHW: Tensor | None) -> Tensor:
        dice = soft_dice_loss(logits_NCHW, masks_NHW)
        rest = entropy(logits_NCHW, masks_NHW, borders_NHW)
        return config.dice_share * dice + (1 - config.dice_share) * rest

    losses: dict[str, Loss] = {
        "cross_entropy": entropy,
        "focal": focal,
        "dice_cross_entropy": mixture,
        "dice": lambda logits, masks, _: soft_dice_loss(logits, masks),
        "tversky": lambda logits, masks, _: tversky_loss(logits, masks, config.tversky_beta),
        "lovasz": lambda logits, masks, _: lovasz_loss(logits, masks),
    }
    return losses[config.loss]
