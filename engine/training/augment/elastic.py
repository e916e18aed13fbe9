"""Elastic deformation: fields of random displacements, smooth between random nodes.

Both kinds are a sum over a lattice of nodes, each with a normally distributed displacement, and
differ in how much of a node reaches a pixel. That separates into rows and columns, so a field is
two matrix products.

Shapes: N images, S the side of the field in pixels, M nodes along a side; the last 2 is (x, y).
"""

import math

import torch
from torch import Tensor

from engine.config import AugmentConfig
from engine.training.augment.batch import to_device

_CUBIC_SHARPNESS = -0.75
"""The parameter a of cubic convolution (Keys 1981); torch's and OpenCV's choice."""
_REACH = 4.0
"""Standard deviations after which a Gaussian is cut off."""


def displacements(
    config: AugmentConfig,
    num_images: int,
    size_px: int,
    device: torch.device,
    generator: torch.Generator,
) -> Tensor:
    """Where each pixel is fetched from, relative to its place: (N, S, S, 2), in pixels.

    “grid” follows arXiv 1505.04597, section 3.1: normal displacements on a coarse grid whose
    corners are those of the image, and bicubic interpolation between them. “dense” is white noise
    smoothed by a Gaussian. Either way the standard deviation is `elastic_px`: of a node of the
    grid, and of every pixel of a dense field.
    """
    if config.elastic == "grid":
        weights_SM = bicubic_weights(size_px, config.elastic_grid, device)
    else:
        weights_SM = gaussian_weights(size_px, config.elastic_smoothing_px, device)
    num_nodes = weights_SM.shape[1]
    nodes_NMM2 = torch.randn(num_images, num_nodes, num_nodes, 2, generator=generator)
    nodes_NMM2 = to_device(nodes_NMM2 * config.elastic_px, device)
    across_NMS2 = torch.einsum("sx,nyxd->nysd", weights_SM, nodes_NMM2)
    field = weights_SM @ across_NMS2.reshape(num_images, num_nodes, 2 * size_px)
    return field.view(num_images, size_px, size_px, 2)


def bicubic_weights(size_px: int, num_nodes: int, device: torch.device) -> Tensor:
    """What each of some evenly spaced nodes adds to each pixel: (S, M); rows sum to 1.

    The first and the last node lie on the first and the last pixel. Beyond them the outermost
    displacement goes on.
    """
    pixels = torch.linspace(0, num_nodes - 1, size_px, device=device)
    nodes = torch.arange(-1, num_nodes + 1, device=device)
    distance = (pixels[:, None] - nodes).abs()
    a = _CUBIC_SHARPNESS
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    far = ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a
    weights = torch.where(distance <= 1, near, torch.where(distance < 2, far, 0.0))
    inner = weights[:, 1:-1].clone()
    inner[:, 0] += weights[:, 0]
    inner[:, -1] += weights[:, -1]
    return inner


def gaussian_weights(size_px: int, sigma_px: float, device: torch.device) -> Tensor:
    """What each node of white noise adds to each pixel of the smoothed field: (S, M).

    The squares of a row sum to 1: smoothed noise varies as much as the noise did. Two nodes in
    each σ are as good as one in each pixel, as nothing finer is left of the noise; for a σ of
    16 px on 256 px there are 49² of them in place of 384².
    """
    reach = _REACH * sigma_px
    spacing = max(1.0, sigma_px / 2)
    num_nodes = math.ceil((size_px - 1 + 2 * reach) / spacing) + 1
    nodes = torch.arange(num_nodes, device=device) * spacing - reach
    pixels = torch.arange(size_px, device=device)
    weights = torch.exp(-0.5 * ((pixels[:, None] - nodes) / sigma_px) ** 2)
    return weights / weights.square().sum(dim=1, keepdim=True).sqrt()
