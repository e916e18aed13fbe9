"""The gallery: any number of samples as a grid of pictures with their masks, without a rerun.

Only the cells in view exist in the browser. Masks, opacity, cell size and the scroll position
live there too and survive a rerun with other samples; only choosing a sample reaches Python.
"""

import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile
from typing import Any, Literal

from pages.common import formats
from pages.common.components import component

TEXT_KEYS = (
    "gallery",  # name of the whole for a screen reader: “Samples”
    "count",  # “{count} samples” or, filtered, “{count} of 1,234 samples”
    "empty",  # the sentence in place of the grid when there is no item
    "masks",  # the switch “Masks”
    "opacity",  # “Opacity”
    "size",  # name of the group of size buttons: “Picture size”
    "small",  # “Small pictures”
    "medium",
    "large",
    "broken",  # “The picture could not be loaded.”
    "mask_broken",  # “The mask could not be loaded.”
)
"""Every word the gallery shows; `texts` must have them all, translated."""

BadgeKind = Literal["gray", "blue", "green", "orange", "red"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One cell."""

    position: int
    """What a click returns; no two items share it."""
    title: str
    """Its end stays visible in a cell that is too narrow for it."""
    thumb_url: str
    mask_url: str | None
    """A transparent picture that covers exactly what the thumbnail shows; its size may differ."""
    width_px: int
    """Native width of the image."""
    height_px: int
    """Native height of the image."""
    badges: tuple[tuple[str, BadgeKind], ...] = ()
    """(short word, kind of colour), such as the split and the findings."""


_mount = component("gallery")


def gallery(
    items: Sequence[Item],
    *,
    key: str,
    texts: Mapping[str, str],
    selected: int | None,
    height_px: int = 620,
    overlay: bool = True,
) -> int | None:
    """Show samples as a scrolling grid and return the position that was chosen in this rerun.

    Args:
        items: what to show, in this order.
        key: a person's choices and the scroll position are kept under it while the tab is open.
        texts: the words on screen by `TEXT_KEYS`.
        selected: position of the outlined item; it is scrolled into view when it changes.
        height_px: the most the grid may take of the page's height.
        overlay: whether masks are visible until the person chooses otherwise.
    """
    words = {name: texts[name] for name in TEXT_KEYS}
    words["count"] = words["count"].format(count=formats.count(len(items)))
    data = {
        "key": key,
        "texts": words,
        "selected": selected,
        "height_px": height_px,
        "overlay": overlay,
        "items": _columns(items),
    }
    # As bytes: Streamlit's own JSON spends a blank after every comma, six bytes on an “é”.
    encoded = json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()
    chosen = _mount(key=key, data=encoded, on_selected_change=lambda: None).selected
    # What a browser sends may be about items of an earlier rerun, or made up.
    is_shown = type(chosen) is int and any(item.position == chosen for item in items)
    return chosen if is_shown else None


def _columns(items: Sequence[Item]) -> dict[str, Any]:
    """The items by column, what they share said once; gallery.js (`itemsOf`) reads it back."""
    thumbs = _shared([item.thumb_url for item in items])
    masks = _shared([item.mask_url for item in items])
    sizes, size_of = _distinct([(item.width_px, item.height_px) for item in items])
    badges, badges_of = _distinct([item.badges for item in items])
    return {
        "steps": _steps([item.position for item in items]),
        "titles": _shared([item.title for item in items]),
        "thumbs": thumbs,
        # Both files of a sample usually bear its number: then the middles are the same.
        "masks": masks if masks["middles"] != thumbs["middles"] else masks | {"middles": None},
        "sizes": sizes,
        "size_of": size_of,
        "badges": badges,
        "badges_of": badges_of,
    }


def _steps(numbers: Sequence[int]) -> list[int]:
    """The first number and the differences from one to the next, which are short to write."""
    return [*numbers[:1], *(after - before for before, after in pairwise(numbers))]


def _shared(texts: Sequence[str | None]) -> dict[str, Any]:
    """What all of the texts begin and end with, and what stands between."""
    present = [text for text in texts if text is not None]
    head = _common_beginning(present)
    tail = _common_beginning([text[len(head) :][::-1] for text in present])[::-1]
    middles = [None if text is None else text[len(head) : len(text) - len(tail)] for text in texts]
    return {"head": head, "tail": tail, "middles": middles}


def _common_beginning(texts: Sequence[str]) -> str:
    """The characters that all of the texts begin with."""
    # All others lie between the first and the last in order, and so share it too.
    first, last = min(texts, default=""), max(texts, default="")
    same = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return "".join(character for character, _ in same)


def _distinct(values: Sequence[Hashable]) -> tuple[list[Hashable], list[int]]:
    """The values without repetition, and for each value its index among them."""
    index_of = {value: index for index, value in enumerate(dict.fromkeys(values))}
    return list(index_of), [index_of[value] for value in values]
