"""Predicting images with a trained network, at their original size.

Shapes: K classes, C channels, H height, W width, S the side of what the network was shown in
training, T the side of what it said of it.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from engine.config import TrainConfig, is_unpadded
from engine.datasets.arrays import resized_image, with_channels
from engine.errors import OutOfMemory
from engine.inference.averaging import Frame, averaged, margin_px
from engine.inference.tiles import RESIDENT_BYTES, mirrored, place_tiles, predict_tiles
from engine.models.compute import Compute, memory_errors, release_memory
from engine.models.probabilities import class_probabilities, decide, normalize, to_input
from engine.models.weights import load_weights

log = logging.getLogger(__name__)

_WHOLE_PIXELS = 2**21
"""An image with no more pixels is predicted in one pass; the tutorial's network then needs 2.4 GB
in single precision. The same on all devices, so that a run's scores do not depend on where they
are computed."""

_BATCH_PIXELS = {"cpu": 2**18, "cuda": 2**21}
"""Pixels of the tiles that go through the network together."""

_ENCODER_STRIDE = 32
"""By how much the architectures with an encoder reduce an image at most."""


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

    Raises:
        BadData: the checkpoint cannot be used.
    """

    def __init__(self, checkpoint: Path, compute: Compute) -> None:
        self.compute = compute
        # Images of many sizes come; searching the fastest convolution for each would cost more.
        torch.backends.cudnn.benchmark = False
        model, self.info = load_weights(checkpoint, compute.device)
        self.model = model.to(memory_format=torch.channels_last)
        self._batch_pixels = _BATCH_PIXELS[compute.device.type]
        self._resident_bytes, self._only_tiles = RESIDENT_BYTES, False

    @property
    def config(self) -> TrainConfig:
        """The settings the network was trained with."""
        return self.info.config

    def predict(self, image_HWC: NDArray[np.uint8]) -> Prediction:
        """Predict one image as these settings say: resized, or in its own pixels.

        A network of resized images is shown the image as training showed it; its probabilities
        are interpolated linearly to the original size. One of patches is shown the whole image
        where that is small enough, else tiles of the size of the patches.

        Grey values are scaled over the whole image, once. Training scales each patch by itself,
        but tiles scaled one by one would show the same pixel differently, and their seams.

        When memory runs out, this image and those that follow are predicted in smaller portions.

        Args:
            image_HWC: at its original size, with 1 or 3 channels, whatever the network takes.

        Raises:
            OutOfMemory: the smallest portions do not fit into the device's memory.
        """
        while True:
            found = self._attempt(image_HWC)
            if isinstance(found, Prediction):
                return found
            # Only here, where no error holds on to what was computed so far.
            release_memory(self.compute.device)
            done = self._save_memory()
            if done is None:
                raise found
            log.warning("Memory ran out while an image was predicted; it goes on %s.", done)

    def _attempt(self, image_HWC: NDArray[np.uint8]) -> Prediction | OutOfMemory:
        try:
            with memory_errors(self.compute.device):
                return self._predicted(image_HWC)
        except OutOfMemory as error:
            return OutOfMemory(error.message, **error.facts)

    def _save_memory(self) -> str | None:
        """Take smaller portions from now on, in the way that changes the results the least; what
        was done, or None when there is nothing left."""
        device = self.compute.device.type
        if self._batch_pixels > self._target_px**2:
            self._batch_pixels //= 4
            return "with fewer tiles and views at a time"
        if self._resident_bytes and device == "cuda":
            self._resident_bytes = 0
            return "with probabilities in the main memory"
        if self.config.images.view == "patches" and not self._only_tiles:
            self._only_tiles = True
            return "in tiles, which may say a little else at their borders"
        if device == "cpu" and torch.get_num_threads() > 1:
            torch.set_num_threads(1)
            return "with one thread"
        return None

    @torch.inference_mode()
    def _predicted(self, image_HWC: NDArray[np.uint8]) -> Prediction:
        image = image_HWC[..., 0] if image_HWC.shape[-1] == 1 else image_HWC
        is_resized = self.config.images.view == "resized"
        found_KHW = self._resized(image) if is_resized else self._native(image)
        mask_HW = decide(found_KHW[None], self.config.predict.threshold)[0]
        return Prediction(mask_HW.cpu().numpy(), found_KHW.cpu().numpy())

    @property
    def _target_px(self) -> int:
        return self.config.images.image_size_px - 2 * self.model.context_px

    @property
    def _stride(self) -> int:
        """By how much the network reduces an image at most."""
        model = self.config.model
        is_unet = model.architecture == "unet"
        return model.pool_size ** (model.num_levels - 1) if is_unet else _ENCODER_STRIDE

    def _fitting(self, side_px: int) -> int:
        """The smallest side no smaller than this one that the network can predict as a whole."""
        rest = self._target_px % self._stride if is_unpadded(self.config.model) else 0
        return side_px + (rest - side_px) % self._stride

    def _resized(self, image: NDArray[np.uint8]) -> Tensor:
        target_px, context_px = self._target_px, self.model.context_px
        num_channels = self.info.in_channels
        seen = with_channels(resized_image(image, target_px, num_channels), num_channels)
        # With the mirrored border of an unpadded network, as the grey values are scaled over it.
        index = mirrored(np.arange(-context_px, target_px + context_px), target_px)
        window_HWC = self._scaled(seen[index[:, None], index])
        middle = slice(context_px, context_px + target_px)
        found_KHW = self._probabilities(window_HWC[middle, middle], target_px, target_px)
        height, width = image.shape[:2]
        if 4 * len(found_KHW) * height * width > self._resident_bytes:
            found_KHW = found_KHW.cpu()
        return functional.interpolate(
            found_KHW[None],
            size=(height, width),
            mode="bilinear",
            align_corners=False,
            antialias=height < target_px or width < target_px,
        )[0]

    def _native(self, image: NDArray[np.uint8]) -> Tensor:
        height, width = image.shape[:2]
        # No window is smaller than those of training: the surroundings are mirrored.
        sides = [self._fitting(max(side, self._target_px)) for side in (height, width)]
        if self._only_tiles or sides[0] * sides[1] > _WHOLE_PIXELS:
            # Tiles that are smaller than the stride could not begin at its multiples.
            sides = [self._fitting(max(self._target_px, self._stride))] * 2
        return self._probabilities(
            self._scaled(with_channels(image, self.info.in_channels)), *sides
        )

    def _scaled(self, image_HWC: NDArray[np.uint8]) -> Tensor:
        """The image on the device, its grey values as the network takes them."""
        # Copied, as what is mapped read-only cannot be expressed in torch.
        pixels_1HWC = torch.from_numpy(image_HWC[np.newaxis].copy()).to(self.compute.device)
        scaled_1CHW = normalize(to_input(pixels_1HWC), self.config.images)
        return scaled_1CHW[0].permute(1, 2, 0)

    def _probabilities(self, image_HWC: Tensor, tile_height_px: int, tile_width_px: int) -> Tensor:
        """Probabilities (K, H, W) from tiles of this size, averaged over views."""
        context_px = self.model.context_px
        frame = Frame(
            height_px=tile_height_px,
            width_px=tile_width_px,
            context_px=context_px,
            fitting=self._fitting,
        )
        window_pixels = (tile_height_px + 2 * context_px) * (tile_width_px + 2 * context_px)
        batch = max(1, self._batch_pixels // window_pixels)
        averaging, config = self.config.predict.averaging, self.config
        # Tiles of an unpadded network agree where they overlap; there is nothing to blend.
        share = 0.0 if is_unpadded(config.model) else config.predict.overlap
        rows, columns = (
            place_tiles(length, tile, round(share * tile), self._stride)
            for length, tile in zip(
                image_HWC.shape[:2], (tile_height_px, tile_width_px), strict=True
            )
        )
        return predict_tiles(
            averaged(self._forward, averaging, frame, batch),
            image_HWC,
            rows,
            columns,
            num_classes=self.info.num_classes,
            margin_px=margin_px(averaging, frame),
            batch=batch,
            resident_bytes=self._resident_bytes,
        )

    def _forward(self, windows_NCHW: Tensor) -> Tensor:
        with self.compute.autocast():
            logits_NCHW = self.model(windows_NCHW.contiguous(memory_format=torch.channels_last))
        return class_probabilities(logits_NCHW.float())
