"""Predicting samples with a trained network, at their original size.

Shapes: K classes, C channels, H height, W width, S the network's image size.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from engine.config import TrainConfig
from engine.models.compute import Compute
from engine.models.probabilities import class_probabilities, decide, to_input
from engine.models.unet import UNet
from engine.models.weights import load_weights


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a network says of one image."""

    mask_HW: NDArray[np.uint8]
    """Class indices at the original size."""
    probabilities_KHW: NDArray[np.float32]
    """Class probabilities at the original size."""


class Predictor:
    """A trained network, ready to predict.

    Args:
        checkpoint: the file of a run's best weights.
        compute: where to run it.
    """

    def __init__(self, checkpoint: Path, compute: Compute) -> None:
        self.compute = compute
        model, self.info = load_weights(checkpoint, compute.device)
        self.model: UNet = model.to(memory_format=torch.channels_last)

    @property
    def config(self) -> TrainConfig:
        """The settings the network was trained with."""
        return self.info.config

    @torch.inference_mode()
    def predict(self, image_SSC: NDArray[np.uint8], height: int, width: int) -> Prediction:
        """Predict one image.

        Args:
            image_SSC: the image at the network's size, as training saw it.
            height, width: the original size; probabilities are interpolated to it linearly.
        """
        # Copied because the cache is mapped read-only, which torch cannot express.
        image_1SSC = torch.from_numpy(image_SSC[np.newaxis].copy()).to(self.compute.device)
        with self.compute.autocast():
            logits_1CSS = self.model(to_input(image_1SSC))
        probabilities_1KHW = functional.interpolate(
            class_probabilities(logits_1CSS.float()),
            size=(height, width),
            mode="bilinear",
            align_corners=False,
            antialias=height < image_SSC.shape[0] or width < image_SSC.shape[1],
        )
        mask_1HW = decide(probabilities_1KHW, self.config.schedule.threshold)
        return Prediction(mask_1HW[0].cpu().numpy(), probabilities_1KHW[0].cpu().numpy())
