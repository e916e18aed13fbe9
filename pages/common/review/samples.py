"""Which samples are looked at, and how they are handed to the gallery."""

import base64
import random
from collections.abc import Mapping
from html import escape

from engine.datasets.preview import Preview

NUM_SHOWN = 6


def positions(num_samples: int, draw: int) -> list[int]:
    """The samples to look at: the first, the last and some between; other ones at each draw."""
    num_shown = min(NUM_SHOWN, num_samples)
    if num_shown < 2 or draw == 0:
        return [
            position * (num_samples - 1) // max(num_shown - 1, 1) for position in range(num_shown)
        ]
    return sorted(random.Random(draw).sample(range(num_samples), num_shown))


def image_url(preview: Preview) -> str:
    """The image as a data URL; "" where there is none to show."""
    return _data_url("image/webp", preview.image_webp)


def mask_url(preview: Preview) -> str | None:
    """The mask as a data URL, if the sample would be imported."""
    return _data_url("image/png", preview.mask_png) if preview.mask_png else None


def legend_html(colors: Mapping[str, str]) -> str:
    """The classes that masks show, each with its colour."""
    entries = "".join(
        '<span style="display:inline-flex;align-items:center;gap:6px">'
        f'<span style="width:12px;height:12px;border-radius:3px;background:{escape(color)}"></span>'
        f"{escape(name)}</span>"
        for name, color in colors.items()
    )
    return (
        f'<div style="display:flex;flex-wrap:wrap;gap:4px 16px;font-size:0.875rem">{entries}</div>'
    )


def _data_url(media_type: str, content: bytes | None) -> str:
    if content is None:
        return ""
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"
