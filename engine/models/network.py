"""What every network of the workbench is to those who train it or predict with it.

Shapes: N images, C channels or logits, H height, W width.
"""

from typing import cast

from torch import Tensor, nn
from torch.nn import functional


class SegmentationNet(nn.Module):
    """A network that gives every pixel of an image its logits.

    Shape:
        - input: float (N, C, H, W)
        - output: float (N, logits, H - 2·context_px, W - 2·context_px)
    """

    context_px: int = 0
    """Pixels that the output lacks on each side of the input; 0 with padding."""

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Logits for a batch of images."""
        raise NotImplementedError

    def levels(self, images_NCHW: Tensor) -> list[Tensor]:
        """Logits at every resolution that learns, the finest, which is `forward`'s, first.

        A coarser level covers the same image with fewer pixels. Most networks have none.
        """
        return [cast(Tensor, self(images_NCHW))]


def pad_to_multiple(images_NCHW: Tensor, multiple: int, smallest_px: int = 0) -> Tensor:
    """Images whose sides `multiple` divides, at least twice, by repeating the border.

    Twice, as a single pixel at the deepest level has no deviation to normalise by.

    Args:
        smallest_px: sides are at least this long too; a multiple.
    """
    height, width = images_NCHW.shape[-2:]
    bottom, right = (
        max(2 * multiple, smallest_px, -(-side // multiple) * multiple) - side
        for side in (height, width)
    )
    if not (bottom or right):
        return images_NCHW
    return functional.pad(images_NCHW, (0, right, 0, bottom), mode="replicate")
