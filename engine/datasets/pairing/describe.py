"""What a set of masks is called, and how it was told from its images, in words."""

from collections import Counter

from engine.datasets.pairing import words
from engine.datasets.pairing.edges import ANY, Edge, Level
from engine.datasets.pairing.names import Folder, Tokens
from engine.datasets.pairing.sets import MaskSet
from engine.notes import Note


def title_of(found: MaskSet) -> Note:
    """Which masks these are."""
    if found.image_words:
        return Note(
            "masks “{masks}” of the images “{images}”",
            {"masks": example_of(found), "images": _images_of(found)},
        )
    return Note("masks “{masks}”", {"masks": example_of(found)})


def example_of(found: MaskSet) -> str:
    """How a set's masks are called, with “…” for what they share with their images:
    `labels/…_seg.png`."""
    edge = found.matches[0].edge
    folder = _folder_words(edge.image.folder, edge.mask.folder, found.variant)
    folder += "/" if folder else ""
    is_called_alike = not edge.key or edge.level == Level.HOME
    if is_called_alike and edge.extra != (ANY,):
        return f"{folder}{edge.mask.stem}{edge.mask.suffix}"
    front, back = _around(edge)
    return f"{folder}{front}…{back}{edge.mask.suffix}"


def _images_of(found: MaskSet) -> str:
    """How a set's images are called, where the masks fit others too: `t1/….png`."""
    edge = found.matches[0].edge
    image, said = edge.image, set(found.image_words)
    parts = [
        part
        for part in image.folder.parts
        if part not in edge.mask.folder.parts and not said.isdisjoint(words.tokens_of(part))
    ]
    common = edge.key if edge.level != Level.HOME else ()
    front, back = _around_key(image.stem, common)
    stem = f"{front}…{back}" if common and (front or back or parts) else image.stem
    return "/".join([*parts, stem + image.suffix])


def reason_of(found: MaskSet) -> Note:
    """How images and masks were told apart, for most of the pairs."""
    level = Counter(match.edge.level for match in found.matches).most_common(1)[0][0]
    edge = next(match.edge for match in found.matches if match.edge.level == level)
    folder = _folder_words(edge.image.folder, edge.mask.folder)
    facts = {"image": edge.image.name, "mask": edge.mask.name, "folder": folder}
    return Note(_REASONS[level][0 if folder else 1], facts)


_IN_FOLDERS = "Masks lie in folders called “{folder}”; "
_EXAMPLE = " “{mask}” belongs to “{image}”."
_BY_WORDS = "Masks have the file name of their image with words added that say mask."
_REASONS = {
    Level.SAME_NAME: (
        _IN_FOLDERS + "each has the file name of its image." + _EXAMPLE,
        "Masks have the file name of their image." + _EXAMPLE,
    ),
    Level.WORDS: (
        _IN_FOLDERS + "their file names differ from their images' in words that say image or mask."
        + _EXAMPLE,
        _BY_WORDS + _EXAMPLE,
    ),
    Level.EXTENDED: (
        _IN_FOLDERS + "their file names are those of their images with something added." + _EXAMPLE,
        _BY_WORDS + _EXAMPLE,
    ),
    Level.LEARNED: (
        _IN_FOLDERS + "their file names and those of their images differ in a part that all names "
        "of a folder share." + _EXAMPLE,
        "Masks and images differ in a part that all their file names share." + _EXAMPLE,
    ),
    Level.HOME: (
        _IN_FOLDERS + "in them, a folder called like an image has the masks of it, which are "
        "merged." + _EXAMPLE,
        "A folder called like an image has the masks of it, which are merged." + _EXAMPLE,
    ),
    Level.ALONE: (
        _IN_FOLDERS + "every image has one of its own, and all masks in it are merged." + _EXAMPLE,
        "Every image has a folder of its own, and all masks in it are merged." + _EXAMPLE,
    ),
    Level.FLAT: (
        _IN_FOLDERS + "file names of one side begin with names of folders of the other." + _EXAMPLE,
        _BY_WORDS + " Those of one side begin with names of folders of the other." + _EXAMPLE,
    ),
    Level.FIXED: (
        _IN_FOLDERS + "the folder of each sample has the same file names." + _EXAMPLE,
        "The folder of each sample has the same file names, and some say mask." + _EXAMPLE,
    ),
    Level.NUMBERS: (
        _IN_FOLDERS + "their numbers are those of their images but for zeros before them."
        + _EXAMPLE,
        "Masks have the numbers of their images but for zeros before them." + _EXAMPLE,
    ),
}  # fmt: skip
"""For each reading: where folders say mask, and where only file names do."""


def _folder_words(image: Folder, mask: Folder, variant: Tokens = ()) -> str:
    """The folders of a mask that say so, or what set it is, and that are not the image's."""
    num_above = len(mask.parts) - len(mask.names)
    below = zip(mask.parts[num_above:], mask.names, mask.marked, strict=True)
    return "/".join(
        part
        for part, said, is_marked in below
        if part not in image.parts and (is_marked or not set(variant).isdisjoint(said))
    )


def _around(edge: Edge) -> tuple[str, str]:
    """What a mask's file name has before and behind what it shares with its image's."""
    mask, image = edge.mask.stem, edge.image.stem
    if edge.level != Level.FLAT:
        if mask.casefold().startswith(image.casefold()):
            return "", mask[len(image) :]
        if mask.casefold().endswith(image.casefold()):
            return mask[: len(mask) - len(image)], ""
    return _around_key(mask, edge.key)


def _around_key(stem: str, key: Tokens) -> tuple[str, str]:
    """What a file name has before and behind some of its words."""
    found = words.tokens_in(stem)
    texts = tuple(token.text for token in found)
    for start in range(len(texts) - len(key) + 1 if key else 0):
        if texts[start : start + len(key)] == key:
            return stem[: found[start].start], stem[found[start + len(key) - 1].end :]
    return "", ""
