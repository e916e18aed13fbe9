"""Which mask belongs to which image, told from the names alone.

Each strategy reads the names in one way and proposes edges between images and masks. An edge is
taken as a pair when neither end has another; an image with several is ambiguous and left out. The
strategy with the most pairs wins, then the one that leaves the fewest pictures without a partner.
To understand another layout, write another strategy and add it to `_STRATEGIES`.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass
from pathlib import PurePosixPath

from engine.datasets import name_words
from engine.errors import BadData

PICTURE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff"})
"""Files with another suffix are ignored. Upper or lower case does not matter."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One image with its mask."""

    sample: str
    """The image's path inside the archive without the suffix; unique."""
    image: str
    mask: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Pairing:
    """How a list of names was read."""

    pairs: tuple[Pair, ...]
    """In natural order of the samples: 0, 1, 2, … 10."""
    unmatched: tuple[str, ...]
    """Pictures without a partner."""
    ambiguous: tuple[str, ...]
    """Images with several masks, or sharing a mask; not taken."""
    ignored: tuple[str, ...]
    """Files that are not pictures."""
    rule: str
    """A sentence that says how images and masks were told apart."""


@dataclass(frozen=True, slots=True)
class _Picture:
    name: str
    folders: tuple[str, ...]
    stem: str
    suffix: str

    @classmethod
    def of(cls, name: str) -> "_Picture":
        path = PurePosixPath(name)
        return cls(name, path.parts[:-1], path.stem, path.suffix.lower())


_Pictures = Sequence[_Picture]
_Edge = tuple[_Picture, _Picture]
"""An image and a mask that may belong together."""
_Keys = Sequence[Set[object]]
"""For each picture of a list, what it and its partner have in common."""
_Reading = Callable[[_Pictures, _Pictures], tuple[_Keys, _Keys]]
"""How the names of images and masks are read, as keys of each."""


@dataclass(frozen=True, slots=True)
class _Proposal:
    pairs: list[_Edge]
    unmatched: tuple[str, ...]
    ambiguous: tuple[str, ...]
    rule: str

    @property
    def rank(self) -> tuple[int, int]:
        return len(self.pairs), -len(self.unmatched) - len(self.ambiguous)


def pair(names: Sequence[str]) -> Pairing:
    """Pair images and masks.

    Args:
        names: relative POSIX paths, each once.

    Raises:
        BadData: there are no pictures, or none of them can be paired.
    """
    in_order = [_Picture.of(name) for name in sorted(names, key=natural_key)]
    pictures = [picture for picture in in_order if picture.suffix in PICTURE_SUFFIXES]
    ignored = [picture.name for picture in in_order if picture.suffix not in PICTURE_SUFFIXES]
    if not pictures:
        raise _no_pictures(ignored)
    proposals = [_resolve(propose(pictures), pictures, rule) for propose, rule in _STRATEGIES]
    best = max(proposals, key=lambda proposal: proposal.rank)
    if not best.pairs:
        raise _no_pairs(pictures, max(len(proposal.ambiguous) for proposal in proposals))
    pairs = [
        Pair(sample, image.name, mask.name)
        for sample, (image, mask) in zip(_sample_names(best.pairs), best.pairs, strict=True)
    ]
    return Pairing(
        pairs=tuple(sorted(pairs, key=lambda found: natural_key(found.sample))),
        unmatched=best.unmatched,
        ambiguous=best.ambiguous,
        ignored=tuple(ignored),
        rule=best.rule,
    )


def natural_key(name: str) -> tuple[tuple[tuple[tuple[int, str], ...], ...], str]:
    """A sort key that orders numbers by size and keeps folders together."""
    return tuple(_natural_part(part) for part in name.split("/")), name


def _natural_part(part: str) -> tuple[tuple[int, str], ...]:
    pieces = re.split(r"([0-9]+)", part.casefold())
    # Digits compare by their number, then as text, which orders numbers of any length.
    pieces[1::2] = [digits.lstrip("0") for digits in pieces[1::2]]
    return tuple((len(piece) if place % 2 else 0, piece) for place, piece in enumerate(pieces))


def _parallel_folders(pictures: _Pictures) -> Iterable[_Edge]:
    """`…/images/…/1.png` and `…/masks/…/1.png`: one folder of the path differs."""
    return _in_parallel_folders(pictures, (_stem_keys, _word_keys))


def _parallel_folders_other_names(pictures: _Pictures) -> Iterable[_Edge]:
    """`…/images/…/cell_1.png` and `…/masks/…/nuc_1.png`: what all names share differs too."""
    return _in_parallel_folders(pictures, (_stem_keys, _word_keys, _learned_keys))


def _in_parallel_folders(pictures: _Pictures, readings: Sequence[_Reading]) -> Iterable[_Edge]:
    by_folder = defaultdict(list)
    for picture in pictures:
        by_folder[picture.folders].append(picture)
    image_folders, mask_folders = defaultdict(list), defaultdict(list)
    for folders in by_folder:
        for place, folder in enumerate(folders):
            around = (folders[:place], folders[place + 1 :])
            mask_key = name_words.mask_folder_key(folder)
            if mask_key is not None:
                mask_folders[around, mask_key].append(folders)
            for image_key in name_words.image_folder_keys(folder):
                image_folders[around, image_key].append(folders)
    for key, paths in mask_folders.items():
        for image_path in image_folders.get(key, ()):
            for mask_path in paths:
                yield from _same_names(by_folder[image_path], by_folder[mask_path], readings)


def _marked_masks(pictures: _Pictures) -> Iterable[_Edge]:
    """`1.png` and `1_mask.png`, or `img_1.png` and `mask_1.png`, in one folder or else nearby."""
    beside, below = defaultdict(list), defaultdict(list)
    masks = []
    for picture in pictures:
        mask_core = name_words.mask_core(picture.stem)
        if mask_core is not None:
            masks.append((picture, mask_core))
            continue
        for core in name_words.image_cores(picture.stem):
            beside[picture.folders, core].append(picture)
            for depth in range(len(picture.folders) + 1):
                below[picture.folders[:depth], core].append(picture)
    for mask, core in masks:
        images = beside.get((mask.folders, core), [])
        depth = len(mask.folders)
        # A bare `mask.png` says nothing outside its own folder.
        while core and not images and depth >= 0:
            images = below.get((mask.folders[:depth], core), [])
            depth -= 1
        for image in images:
            yield image, mask


def _same_stem(pictures: _Pictures) -> Iterable[_Edge]:
    """`1.jpg` and `1.png` in one folder: the mask is the one whose format loses nothing."""
    order = {".jpg": 0, ".jpeg": 0, ".tif": 1, ".tiff": 1, ".png": 2}
    groups = defaultdict(list)
    for picture in pictures:
        groups[picture.folders, picture.stem.casefold()].append(picture)
    for group in groups.values():
        image, *others = sorted(group, key=lambda picture: order[picture.suffix])
        for other in others:
            if order[other.suffix] > order[image.suffix]:
                yield image, other


_STRATEGIES: tuple[tuple[Callable[[_Pictures], Iterable[_Edge]], str], ...] = (
    (
        _parallel_folders,
        "Images and masks lie in folders beside each other, under matching file names.",
    ),
    # After the surer reading, so that it is taken only when it finds more pairs.
    (
        _parallel_folders_other_names,
        "Images and masks lie in folders beside each other; their file names differ in a part "
        "that all files of a folder share. Check that they belong together.",
    ),
    (
        _marked_masks,
        "Masks have the file name of their image with a word such as “mask” added.",
    ),
    (
        _same_stem,
        "Image and mask have the same file name and differ in format.",
    ),
)


def _same_names(
    images: _Pictures, masks: _Pictures, readings: Sequence[_Reading]
) -> Iterable[_Edge]:
    """Edges between two folders, the surest reading of the names first."""
    for keys_of in readings:
        image_keys, mask_keys = keys_of(images, masks)
        by_key = defaultdict(list)
        for image, keys in zip(images, image_keys, strict=True):
            for key in keys:
                by_key[key].append(image)
        edges = {
            (image, mask)
            for mask, keys in zip(masks, mask_keys, strict=True)
            for key in keys
            for image in by_key.get(key, ())
        }
        yield from edges
        matched = {picture for edge in edges for picture in edge}
        images = [image for image in images if image not in matched]
        masks = [mask for mask in masks if mask not in matched]


def _stem_keys(images: _Pictures, masks: _Pictures) -> tuple[_Keys, _Keys]:
    """Equal but for upper and lower case."""
    return (
        [{image.stem.casefold()} for image in images],
        [{mask.stem.casefold()} for mask in masks],
    )


def _word_keys(images: _Pictures, masks: _Pictures) -> tuple[_Keys, _Keys]:
    """Equal but for a word that says image or mask."""
    cores = [name_words.mask_core(mask.stem) for mask in masks]
    return (
        [name_words.image_cores(image.stem) - {()} for image in images],
        [
            {name_words.tokens(mask.stem) if core is None else core} - {()}
            for mask, core in zip(masks, cores, strict=True)
        ],
    )


def _learned_keys(images: _Pictures, masks: _Pictures) -> tuple[_Keys, _Keys]:
    """Equal but for what all names of a folder begin or end with."""
    nothing: tuple[_Keys, _Keys] = [set() for _ in images], [set() for _ in masks]
    # A single name has nothing in common with others.
    if min(len(images), len(masks)) < 2:
        return nothing
    image_affixes = name_words.common_affixes([image.stem.casefold() for image in images])
    mask_affixes = name_words.common_affixes([mask.stem.casefold() for mask in masks])
    # `p1_…` and `p2_…` are two patients, not an image and its mask: only letters may differ.
    if name_words.numbers(image_affixes) != name_words.numbers(mask_affixes):
        return nothing
    return (
        [{name_words.between(image.stem.casefold(), image_affixes)} - {""} for image in images],
        [{name_words.between(mask.stem.casefold(), mask_affixes)} - {""} for mask in masks],
    )


def _resolve(proposed: Iterable[_Edge], pictures: _Pictures, rule: str) -> _Proposal:
    """Take the edges whose two ends have no other."""
    edges = set(proposed)
    partners = defaultdict(set)
    for image, mask in edges:
        partners[image].add(mask)
        partners[mask].add(image)
    sure = {
        (image, mask)
        for image, mask in edges
        if len(partners[image]) == len(partners[mask]) == 1 and (mask, image) not in edges
    }
    unsure = {image.name for image, _ in edges - sure}
    return _Proposal(
        pairs=list(sure),
        unmatched=tuple(picture.name for picture in pictures if picture not in partners),
        ambiguous=tuple(picture.name for picture in pictures if picture.name in unsure),
        rule=rule,
    )


def _sample_names(edges: Sequence[_Edge]) -> list[str]:
    """The images' paths without their suffix, or with it where that alone tells them apart."""
    names = [str(PurePosixPath(image.name).with_suffix("")) for image, _ in edges]
    times = Counter(name.casefold() for name in names)
    return [
        name if times[name.casefold()] == 1 else image.name
        for name, (image, _) in zip(names, edges, strict=True)
    ]


def _no_pictures(ignored: Sequence[str]) -> BadData:
    return BadData(
        "There are no pictures among the {num_files} files, such as “{example}”. Expected images "
        "and masks as PNG, JPEG or TIFF files.",
        num_files=len(ignored),
        example=ignored[0] if ignored else "",
    )


def _no_pairs(pictures: _Pictures, num_ambiguous: int) -> BadData:
    num_masks = sum(map(_looks_like_mask, pictures))
    folders = list(dict.fromkeys("/".join(picture.folders) or "(top)" for picture in pictures))
    return BadData(
        "None of the {num_pictures} pictures could be paired with a mask. {num_masks} look like "
        "masks by their names, {num_images} like images; {num_ambiguous} images have several "
        "possible masks. Folders: {folders}. Expected: a folder “images” and a folder “masks” "
        "with the same file names in both, or masks beside their images, such as “1.png” and "
        "“1_mask.png”. Rename them and import again.",
        num_pictures=len(pictures),
        num_masks=num_masks,
        num_images=len(pictures) - num_masks,
        num_ambiguous=num_ambiguous,
        folders=", ".join(folders[:5]) + (", …" if len(folders) > 5 else ""),
    )


def _looks_like_mask(picture: _Picture) -> bool:
    return name_words.mask_core(picture.stem) is not None or any(
        name_words.mask_folder_key(folder) is not None for folder in picture.folders
    )
