"""What sets a mask apart from its image, once split, subject and sample are taken away.

Masks with the same label are one set of masks. `annot_eggs/1.png` beside `image/1.png` has the
label `annot eggs`, and so has every other mask of a folder `annot_eggs`, wherever it lies.
"""

from collections.abc import Sequence
from typing import NamedTuple

from engine.datasets.pairing import words
from engine.datasets.pairing.edges import Edge, Level
from engine.datasets.pairing.names import SPLIT_MARK, Folder, Tokens, num_shared


class Label(NamedTuple):
    """What an edge leads from, and to."""

    mask: Tokens
    """Words of the mask that its image lacks, in folders and file name."""
    variant: Tokens
    """What else differs in the folders of the mask, such as the name of a person."""
    image: Tokens
    """Words of the image that its mask lacks."""


class _Difference(NamedTuple):
    mask: Tokens
    variant: Tokens
    image: Tokens


def labels_of(edges: Sequence[Edge]) -> list[Label]:
    """The label of each edge."""
    known: dict[tuple[Folder, Folder, Tokens, Tokens], _Difference] = {}
    found = []
    for edge in edges:
        of = edge.image.folder, edge.mask.folder, *_told_otherwise(edge)
        if of not in known:
            known[of] = _difference(*of)
        between = known[of]
        found.append(
            Label(between.mask + edge.extra, between.variant, between.image + edge.image_extra)
        )
    return found


def _told_otherwise(edge: Edge) -> tuple[Tokens, Tokens]:
    """Words of the mask's folders, and of the image's, that are a part of the sample's name."""
    if edge.level == Level.HOME:
        return edge.key, ()
    if edge.level != Level.FLAT:
        return (), ()
    image, mask = edge.image, edge.mask
    image_path, mask_path = image.folder.place + image.tokens, mask.folder.place + mask.tokens
    return (
        tuple(word for word in mask.folder.place if word in image_path),
        tuple(word for word in image.folder.place if word in mask_path),
    )


def _difference(image: Folder, mask: Folder, mask_home: Tokens, image_home: Tokens) -> _Difference:
    there = tuple(word for name in image.names for word in name)
    here = [
        (word, is_marked)
        for name, is_marked in zip(mask.names, mask.marked, strict=True)
        for word in name
    ]
    front = num_shared([there, tuple(word for word, _ in here)])
    back = num_shared([there[front:][::-1], tuple(word for word, _ in here[front:])[::-1]])
    said, variant = _sort_words(here[front : len(here) - back], {*there, *mask_home})
    return _Difference(
        mask=tuple(said),
        variant=tuple(variant),
        image=tuple(
            word
            for word in there[front : len(there) - back]
            if word != SPLIT_MARK and word not in image_home
        ),
    )


def _sort_words(here: Sequence[tuple[str, bool]], shared: set[str]) -> tuple[list[str], list[str]]:
    """The words of a mask's folders that its image's lack: those beside a mark, and the others."""
    said: list[str] = []
    variant: list[str] = []
    before, was_shared = "", False
    for word, is_marked in here:
        is_number = words.is_number(word)
        # `p 1` is a subject where the image has both; the 1 of `labels1` is no such thing.
        was_shared = word == SPLIT_MARK or (
            word in shared
            and word not in words.MASK_WORDS
            and (not is_number or was_shared or before == "")
        )
        if not was_shared:
            is_said = is_marked and (not is_number or before in words.RATER_WORDS)
            (said if is_said else variant).append(word)
        before = word
    return said, variant
