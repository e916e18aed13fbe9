"""The one image viewer: layers over an image, several images side by side, without a rerun.

Layers, opacity, zoom and pan live in the browser. What a person chose there survives a rerun
with other pictures; only the zoom starts anew with a new image.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from pages.common.components import component

TEXT_KEYS = (
    "viewer",  # name of the whole for a screen reader: “Image viewer”
    "layers",  # name of the group of layer buttons: “Layers”
    "opacity",  # “Opacity”
    "zoom",  # name of the group of zoom buttons: “Zoom”
    "zoom_in",
    "zoom_out",
    "fit",  # button that shows the whole image: “Fit”
    "help",  # name of the help button: “Keys and gestures”
    "help_text",  # what it shows: wheel, drag, double-click, keys
    "broken",  # “{layer} could not be loaded.”
)
"""Every word the viewer shows; `texts` must have them all, translated."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """A picture as large as its pane's image. A pane's first layer is the image itself."""

    name: str
    """Stable key, such as `image` or `truth`; the panes share one button for it."""
    title: str
    """The button's words, translated."""
    url: str
    legend: tuple[tuple[str, str], ...] = ()
    """(colour `#rrggbb`, words) of what is to be seen in it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pane:
    """One image with its layers."""

    title: str
    note: str = ""
    """Shown at the right of the title, such as “Dice 0.912”."""
    layers: tuple[Layer, ...]
    width_px: int
    """Native width of the image."""
    height_px: int
    """Native height of the image."""


_mount = component("viewer")


def viewer(
    panes: Sequence[Pane],
    *,
    key: str,
    texts: Mapping[str, str],
    shown: Sequence[str] = ("image", "errors"),
    opacity: float = 0.6,
    height_px: int = 520,
) -> None:
    """Show images with their layers; as many side by side as fit.

    Args:
        panes: what to show; they zoom and pan together.
        key: a person's choice of layers and opacity is kept under it while the tab is open.
        texts: the words on screen by `TEXT_KEYS`.
        shown: names of the layers that are visible until the person chooses otherwise.
        opacity: of the layers over the image, 0 to 1, until the person chooses otherwise.
        height_px: the most an image area may take of the page's height.
    """
    _mount(
        key=key,
        data={
            "key": key,
            "panes": [asdict(pane) for pane in panes],
            "texts": {name: texts[name] for name in TEXT_KEYS},
            "shown": list(shown),
            "opacity": opacity,
            "height_px": height_px,
        },
    )
