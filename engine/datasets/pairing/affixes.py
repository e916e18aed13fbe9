"""What the names of a folder's pictures begin and end with alike."""

from collections.abc import Iterable, Sequence

from engine.datasets.pairing import words
from engine.datasets.pairing.names import Folder, Picture, Tokens, num_shared

MAX_CUT = 12
"""Tokens that a mask's name may have beyond its image's."""


def learned_affixes(images: Iterable[Picture]) -> dict[Folder, list[tuple[int, int]]]:
    """How many tokens the names of a folder's images begin and end with alike, as choices.

    A folder with one image is read like all the others.
    """
    by_folder: dict[Folder, list[Tokens]] = {image.folder: [] for image in images}
    for image in images:
        # A mask that is still among the images would hide what these have in common.
        if not image.is_marked:
            by_folder[image.folder].append(image.tokens)
    everywhere = affixes([tokens for group in by_folder.values() for tokens in group])
    return {
        folder: list(dict.fromkeys([*affixes(group), *everywhere]))
        for folder, group in by_folder.items()
    }


def affixes(group: Sequence[Tokens]) -> list[tuple[int, int]]:
    """How many tokens names begin and end with alike, the most last.

    A single name has nothing in common with others.
    """
    if len(group) < 2:
        return []
    front = num_shared(group)
    back = num_shared([tokens[::-1] for tokens in group])
    # Numbers in front, such as a patient's, tell samples apart.
    while any(map(words.is_number, group[0][:front])):
        front -= 1
    return [
        *((0, num) for num in range(1, min(back, MAX_CUT) + 1)),
        *((num, 0) for num in range(1, min(front, MAX_CUT) + 1)),
        (front, back),
    ]
