"""What a network with an encoder costs, from a table of measurements. No torch.

`python -m benchmarks.networks` measures all of them and writes the table. What is not in it cannot
be built.
"""

import json
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from engine.config import ModelConfig
from engine.errors import BadSetting

TABLE = Path(__file__).with_name("encoder_costs.json")
TABLE_SIZE_PX = 256
"""Width and height of the images the table was measured with."""
TABLE_CHANNELS, TABLE_OUTPUTS = 3, 1

DEPTHS = (3, 4, 5)
"""How often an encoder can halve an image; its own resolution is a level too."""


@dataclass(frozen=True, slots=True)
class EncoderCosts:
    """A row of the table: numbers for one image of 256² px with three channels and one logit."""

    num_parameters: int
    by_channel: int
    """Parameters for one more channel of the images."""
    by_output: int
    """Parameters for one more logit."""
    flops: int
    kept_values: int
    """Values that the backward pass needs."""
    kept_index_bytes: int
    live_values: int
    """Values in memory at the most while predicting."""

    def parameters(self, in_channels: int, out_channels: int) -> int:
        """Trainable parameters for images of so many channels, and so many logits."""
        return (
            self.num_parameters
            + (in_channels - TABLE_CHANNELS) * self.by_channel
            + (out_channels - TABLE_OUTPUTS) * self.by_output
        )


def encoder_depth(model: ModelConfig) -> int:
    """How often the encoder halves the image.

    Raises:
        BadSetting: the levels are too few or too many for an encoder.
    """
    depth = model.num_levels - 1
    if depth not in DEPTHS:
        raise BadSetting(
            "Levels (num_levels) is {seen}; the architecture {architecture} takes {least} to "
            "{most}, the image’s own resolution included. Choose {most} for a whole encoder.",
            seen=model.num_levels,
            architecture=model.architecture,
            least=DEPTHS[0] + 1,
            most=DEPTHS[-1] + 1,
        )
    return depth


def encoder_costs(model: ModelConfig) -> EncoderCosts:
    """What was measured of a network.

    Raises:
        BadSetting: the encoder does not go with the architecture or the number of levels.
    """
    depth, rows = encoder_depth(model), _rows()
    row = rows.get((model.architecture, model.encoder, depth))
    if row is not None:
        return row
    architecture = model.architecture
    depths = [each for each in DEPTHS if (architecture, model.encoder, each) in rows]
    if depths:
        raise BadSetting(
            "Levels (num_levels) is {seen}; the architecture {architecture} with the encoder "
            "{encoder} takes {expected}. Choose that, or another encoder.",
            seen=model.num_levels,
            architecture=architecture,
            encoder=model.encoder,
            expected=" or ".join(str(each + 1) for each in depths),
        )
    encoders = list(dict.fromkeys(key[1] for key in rows if key[0] == architecture))
    raise BadSetting(
        "The architecture {architecture} does not go with the encoder {encoder}; it takes "
        "{expected}. Choose one of those, or another architecture.",
        architecture=architecture,
        encoder=model.encoder,
        expected=", ".join(encoders),
    )


def area_share(model: ModelConfig, size_px: int) -> float:
    """Pixels of an image of that size, once padded, over those of the table's images."""
    multiple: int = 2 ** encoder_depth(model)
    side_px = max(smallest_px(model.architecture), math.ceil(size_px / multiple) * multiple)
    return (side_px / TABLE_SIZE_PX) ** 2


def smallest_px(architecture: str) -> int:
    """Width and height that an image is padded to at least."""
    # Two pixels at the deepest level: 1/32, and with “pan”, whose decoder goes on, 1/128.
    return 256 if architecture == "pan" else 64


@cache
def _rows() -> dict[tuple[str, str, int], EncoderCosts]:
    table = json.loads(TABLE.read_text(encoding="utf-8"))
    return {
        (architecture, encoder, int(depth)): EncoderCosts(*numbers)
        for key, numbers in table.items()
        for architecture, encoder, depth in [key.split("/")]
    }
