"""What the settings may depend on: the numbers of a dataset, and those of a machine."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class DatasetProfile:
    """What is known of a dataset without opening an image."""

    num_train: int
    num_val: int
    num_test: int
    num_channels: int
    """1 grey, 3 colour."""
    class_names: tuple[str, ...]
    background: tuple[bool, ...]
    """By class index."""
    class_share: tuple[float, ...]
    """Share of the pixels that count, by class index; sums to 1."""
    sides_px: tuple[float, float, float]
    """Side of the smallest, the middle and the largest sample: the root of width times height."""
    object_px: float | None
    """Diameter of the middle sample's mean object, as the root of its area; None without any."""

    @property
    def num_classes(self) -> int:
        """Classes, background included."""
        return len(self.class_names)

    @property
    def foreground_share(self) -> float:
        """Share of the pixels that belong to a class that is not background."""
        shares = zip(self.class_share, self.background, strict=True)
        return sum(share for share, is_background in shares if not is_background)

    @property
    def rarest(self) -> int:
        """Index of the class with the fewest pixels, of those that occur."""
        present = [index for index, share in enumerate(self.class_share) if share > 0]
        return min(present, key=lambda index: self.class_share[index], default=0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """Where a training will run."""

    device: Literal["cpu", "cuda"]
    num_cores: int
    memory_bytes: int
    """Of the device: GPU memory, or what the main memory has available."""
    device_name: str
    weights: Mapping[str, str]
    """Files of pretrained weights at hand, by encoder."""
