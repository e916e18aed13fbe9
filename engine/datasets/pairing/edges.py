"""An image and a mask that may belong together, and how sure that is."""

from dataclasses import dataclass
from enum import IntEnum

from engine.datasets.pairing import words
from engine.datasets.pairing.names import Picture, Tokens

_UNSAID = (words.IMAGE_WORDS - words.COLOR_WORDS) | set(words.SPLIT_WORDS)

ANY = "*"
"""Stands for names that have nothing to do with the image's, as those of instance masks."""

NUMBER = "#"
"""Stands for a number that counts instances."""


class Level(IntEnum):
    """How a mask's name was found to be its image's; the surest first."""

    SAME_NAME = 0
    WORDS = 1
    """Equal but for words that say image or mask."""
    FLAT = 2
    """Equal with the folders' names before them: `p1/2` and `p1_2`."""
    EXTENDED = 3
    """Equal but for words that say nothing by themselves."""
    LEARNED = 4
    """Equal but for what the names of all images in a folder end or begin with."""
    HOME = 5
    """The mask lies in a folder that is called like the image."""
    ALONE = 6
    """The image is the only one in the place where the mask lies."""
    FIXED = 7
    """Both have names that recur in the folder of each sample: `p1/t1` and `p1/lesion_mask`."""
    NUMBERS = 8
    """Equal but for zeros before numbers: 1 and 001."""


@dataclass(frozen=True, slots=True, eq=False)
class Edge:
    """A mask that may be an image's."""

    image: Picture
    mask: Picture
    level: Level
    is_near: bool
    """Whether they lie in the same place, rather than somewhere."""
    key: Tokens
    """What their names have in common."""
    extra: Tokens
    """What the mask's name has besides, without numbers that count instances."""
    image_extra: Tokens
    """What the image's name has besides, except for words that say image."""
    is_instance: bool
    """Whether more masks of the same name and another number may belong to the image."""

    @property
    def rank(self) -> tuple[bool, int, bool]:
        """Sorts the surest first."""
        is_unlike = self.extra != (ANY,) and self.misfit == _UNLIKE
        return not self.is_near, self.level, is_unlike

    @property
    def misfit(self) -> int:
        """See `misfit`."""
        return misfit(self.image, self.mask, self.key)


def misfit(image: Picture, mask: Picture, key: Tokens) -> int:
    """How far what the names have in common is written differently, as in `a-1` and `a_1`.

    0 for equal names, and the smaller, the less a mask's name has besides that of its image.
    """
    longer, shorter = mask.plain_stem, image.plain_stem
    if longer.startswith(shorter) or longer.endswith(shorter):
        return len(longer) - len(shorter)
    written = _written(image, key)
    return _WRITTEN_ALIKE if written == _written(mask, key) and written else _UNLIKE


_WRITTEN_ALIKE, _UNLIKE = 10_000, 20_000
"""More than any name is long."""


def _written(picture: Picture, key: Tokens) -> str | None:
    """The part of a stem that the tokens were read from."""
    found = words.tokens_in(picture.stem)
    texts = tuple(token.text for token in found)
    for start in range(len(texts) - len(key) + 1 if key else 0):
        if texts[start : start + len(key)] == key:
            return picture.stem[found[start].start : found[start + len(key) - 1].end].casefold()
    return None


def split_extra(front: Tokens, back: Tokens) -> tuple[Tokens, bool]:
    """What a mask's name has besides its image's, without numbers, and whether there were any.

    A number behind a mark counts instances: `_mask` and `_mask_1` belong together. Beside a word
    for a person it stays: `manual1` and `manual2` are two opinions. Elsewhere it leaves `NUMBER`.
    """
    kept: list[str] = []
    is_instance = False
    for part in (front, back):
        before = ""
        for word in part:
            if words.is_number(word) and before not in words.RATER_WORDS:
                is_instance = True
                if before not in words.MASK_WORDS:
                    kept.append(NUMBER)
            elif word not in _UNSAID:
                kept.append(word)
            before = word
    return tuple(kept), is_instance
