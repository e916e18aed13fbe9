"""What a picture's path says: its role, its split, and where it belongs.

The *place* of a folder is what remains of its path without the words that say image, mask or
split: `train/images/p1` and `train/masks/p1` are both the place `("p", "1")` of the training split.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from engine.datasets.archive.entry_names import is_junk
from engine.datasets.pairing import words
from engine.datasets.pairing.order import natural_key
from engine.datasets.pairing.types import PICTURE_SUFFIXES
from engine.store.datasets import SplitName

Tokens = tuple[str, ...]
SPLIT_MARK = "<split>"
"""Stands for any word that says a split."""


@dataclass(frozen=True, slots=True, eq=False)
class Folder:
    """A folder with pictures. The same path is the same object."""

    parts: tuple[str, ...]
    """Its path, as it is written."""
    names: tuple[Tokens, ...]
    """The tokens of each part below the folder that all pictures share; splits are marked."""
    marked: tuple[bool, ...]
    """For each of `names`, whether it says mask."""
    role: words.Role | None
    split: SplitName | None
    place: Tokens
    near_place: Tokens
    """The place without whatever else stands in the names that say image or mask:
    `annot_eggs` is beside `image`."""
    home: tuple[Tokens, Tokens] | None
    """The place in two: above the innermost name that says more than image or mask, and that name.
    `masks/001` is the home of what was drawn on `images/001.png`."""

    def __hash__(self) -> int:
        return id(self)


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A picture's name, taken apart."""

    position: int
    """In natural order."""
    name: str
    folder: Folder
    stem: str
    """As it is written; `.ome` and picture suffixes within it are left out."""
    plain_stem: str
    """In lower case."""
    suffix: str
    tokens: Tokens = field(repr=False)

    def __hash__(self) -> int:
        return self.position

    @property
    def is_marked(self) -> bool:
        """Whether the file name itself says mask."""
        return not words.MASK_WORDS.isdisjoint(self.tokens)

    @property
    def says_image(self) -> bool:
        """Whether the file name or a folder says image."""
        return (
            self.folder.role == "image"
            or not words.IMAGE_WORDS.isdisjoint(self.tokens)
            or any(not words.IMAGE_WORDS.isdisjoint(each) for each in self.folder.names)
        )


def is_picture(name: str) -> bool:
    """Whether a name is a picture's, and not a hidden file such as macOS leaves beside each."""
    dot = name.rfind(".")
    return dot >= 0 and name[dot:].lower() in PICTURE_SUFFIXES and not is_junk(name)


def in_natural_order(names: Iterable[str]) -> list[str]:
    """The names in the order of their samples: `1.png` before `1_2.png` before `10.png`."""
    return sorted(names, key=lambda name: (natural_key(without_suffix(name)), name))


def without_suffix(name: str) -> str:
    """A path without the suffix of its file."""
    folder, slash, file = name.rpartition("/")
    return folder + slash + (file.rpartition(".")[0] or file)


def read_pictures(names: Sequence[str], num_above: int | None = None) -> list[Picture]:
    """Take names apart.

    Args:
        names: of pictures, in natural order.
        num_above: how many of the outermost folders say nothing; None for those that all share.
    """
    if num_above is None:
        num_above = num_shared([tuple(name.split("/")[:-1]) for name in names])
    folders: dict[str, Folder] = {}
    pictures = []
    for position, name in enumerate(names):
        path, _, file = name.rpartition("/")
        folder = folders.get(path)
        if folder is None:
            folder = folders[path] = _read_folder(path, num_above)
        stem, _, suffix = file.rpartition(".")
        stem = _composed(_bare(stem))
        found = words.tokens_of(stem)
        pictures.append(
            Picture(position, name, folder, stem, stem.casefold(), "." + suffix.lower(), found)
        )
    return pictures


def num_shared(sequences: Sequence[Tokens]) -> int:
    """How many elements all the sequences, at least one, begin with."""
    first, last = min(sequences), max(sequences)
    places = enumerate(zip(first, last, strict=False))
    return next(
        (place for place, (one, other) in places if one != other), min(len(first), len(last))
    )


def says_mask(folder: str) -> bool:
    """Whether the name of a single folder says mask."""
    return _read_part(folder, False).role == "mask"


def _bare(stem: str) -> str:
    """`x.ome` and `x.jpg`, as the masks of `x.jpg` are called by some tools, are `x`."""
    bare, dot, suffix = stem.rpartition(".")
    if bare and dot and (suffix.lower() == "ome" or f".{suffix.lower()}" in PICTURE_SUFFIXES):
        return bare
    return stem


def _composed(text: str) -> str:
    """One of the two ways in which Unicode writes an accent; archives mix them."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _read_folder(path: str, num_above: int) -> Folder:
    parts = tuple(path.split("/")) if path else ()
    below = parts[num_above:]
    splits = [words.split_of_folder(_tokens_of(part)) for part in below]
    inner_split = max((place for place, split in enumerate(splits) if split), default=None)
    read = [_read_part(part, place == inner_split) for place, part in enumerate(below)]
    inner = max((place for place, part in enumerate(read) if part.rest), default=None)
    return Folder(
        parts=parts,
        names=tuple(part.tokens for part in read),
        marked=tuple(part.role == "mask" for part in read),
        role=next(
            (part.role for part in reversed(read) if part.role == "mask" or part.is_only_image),
            None,
        ),
        split=None if inner_split is None else splits[inner_split],
        place=tuple(word for part in read for word in part.rest),
        near_place=tuple(word for part in read if part.role is None for word in part.rest),
        home=None
        if inner is None
        else (tuple(word for part in read[:inner] for word in part.rest), read[inner].rest),
    )


class _Part(NamedTuple):
    """One folder of a path."""

    tokens: Tokens
    role: words.Role | None
    is_only_image: bool
    """`labelled/images` are images, but `masks/frame_1` are masks."""
    rest: Tokens
    """What it says besides image, mask and split."""


@lru_cache(maxsize=10_000)
def _tokens_of(part: str) -> Tokens:
    return words.tokens_of(_composed(part))


@lru_cache(maxsize=10_000)
def _read_part(part: str, is_split: bool) -> _Part:
    tokens = said = _tokens_of(part)
    if is_split:
        tokens = tuple(SPLIT_MARK if words.is_split(word, said) else word for word in said)
        said = tuple(word for word in tokens if word != SPLIT_MARK)
    role = words.role_of_folder(said)
    is_only_image = role == "image" and words.is_only_image_words(said)
    rest = said
    if role is not None:
        rest = tuple(
            word for word in said if word not in words.IMAGE_WORDS and word not in words.MASK_WORDS
        )
    return _Part(tokens, role, is_only_image, rest)
