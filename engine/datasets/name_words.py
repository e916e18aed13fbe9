"""The words by which names of files and folders tell images from masks.

A *core* is what remains of a name without them, as lower-case tokens: `img_12` and `12-Mask` both
have the core `("12",)`. Numbers stay whole, so 1 and 10 are never confused.
"""

import re
from collections.abc import Sequence

Core = tuple[str, ...]


def _with_plurals(words: str) -> frozenset[str]:
    return frozenset(word + ending for word in words.split() for ending in ("", "s"))


IMAGE_WORDS = _with_plurals(
    "image img im input jpegimage raw photo picture pic original orig scan frame rgb training"
)
MASK_WORDS = _with_plurals(
    "mask label lbl gt groundtruth truth annot annotation anno seg segm segmentation target "
    "manual manual1 matte"
)
# As a whole folder name these mean something; within a name they are too ordinary to.
_IMAGE_FOLDERS = IMAGE_WORDS | {"data", "x", "source"}
_IMAGE_FOLDERS_THAT_ALSO_SPLIT = frozenset({"train"})
_MASK_FOLDERS = MASK_WORDS | {"y", "output", "outputs"}

_CAMEL_CASE = re.compile(r"(?<=[a-z])(?=[A-Z])")
_TWO_WORDS = re.compile(r"(ground)[\W_]*(truths?)|(segmentation)[\W_]*(?:class|masks?|maps?)")
_COMPOUND = re.compile(r"(\w+?)(images?|masks?|labels?|annot|annotations?)")
_LETTERS_FIRST = re.compile(r"([^\W\d_]+)([0-9]\w*)")
_LETTERS_LAST = re.compile(r"(\w*[0-9])([^\W\d_]+)")


def tokens(name: str) -> Core:
    """The words and numbers of a name: `trainMasks_01` → `("train", "masks", "01")`."""
    text = _CAMEL_CASE.sub("_", name).casefold()
    text = _TWO_WORDS.sub(lambda match: "".join(filter(None, match.groups())), text)
    found: list[str] = []
    for token in re.split(r"[\W_]+", text):
        compound = _COMPOUND.fullmatch(token)
        if compound and token not in IMAGE_WORDS | MASK_WORDS:
            found.extend(compound.groups())
        elif token:
            found.append(token)
    return tuple(found)


def mask_folder_key(folder: str) -> Core | None:
    """What a folder of masks is called besides “masks”, or None for any other folder."""
    words = tokens(folder)
    if "".join(words) in _MASK_FOLDERS:
        return ()
    rest = tuple(word for word in words if word not in MASK_WORDS)
    return None if rest == words else rest


def image_folder_keys(folder: str) -> set[Core]:
    """The `mask_folder_key`s of the folders of masks that may belong to this folder."""
    if mask_folder_key(folder) is not None:
        return set()
    words = tokens(folder)
    keys = {words, tuple(word for word in words if word not in IMAGE_WORDS)}
    if "".join(words) in _IMAGE_FOLDERS | _IMAGE_FOLDERS_THAT_ALSO_SPLIT:
        keys.add(())
    return keys


def mask_core(stem: str) -> Core | None:
    """The core of a mask's name, or None when nothing marks it as a mask."""
    words = tokens(stem)
    core = _without(words, MASK_WORDS)
    return None if core == words else core


def image_cores(stem: str) -> set[Core]:
    """The cores of the masks that may belong to an image of this name."""
    words = tokens(stem)
    return {words, _without(words, IMAGE_WORDS)}


def common_affixes(stems: Sequence[str]) -> tuple[str, str]:
    """What all stems begin and end with; a number that is cut in two is given back to the stems."""
    prefix = stems[0][: num_common(stems)].rstrip("0123456789")
    backwards = [stem[len(prefix) :][::-1] for stem in stems]
    return prefix, backwards[0][: num_common(backwards)][::-1].lstrip("0123456789")


def num_common(sequences: Sequence[Sequence[str]]) -> int:
    """How many elements all the sequences, at least one, begin with."""
    places = enumerate(zip(*sequences, strict=False))
    differing = (place for place, elements in places if len(set(elements)) > 1)
    return next(differing, min(map(len, sequences)))


def between(stem: str, affixes: tuple[str, str]) -> str:
    """A stem without its affixes."""
    return stem[len(affixes[0]) : len(stem) - len(affixes[1])]


def numbers(affixes: tuple[str, str]) -> list[list[str]]:
    """The numbers within each affix."""
    return [re.findall(r"[0-9]+", affix) for affix in affixes]


def _without(words: Core, marks: frozenset[str]) -> Core:
    """The words without marks at either end, also where a mark touches a number: `img12`."""
    while words:
        first, last = words[0], words[-1]
        glued_last, glued_first = _LETTERS_LAST.fullmatch(last), _LETTERS_FIRST.fullmatch(first)
        if last in marks:
            words = words[:-1]
        elif first in marks:
            words = words[1:]
        elif glued_last and glued_last[2] in marks:
            words = (*words[:-1], glued_last[1])
        elif glued_first and glued_first[1] in marks:
            words = (glued_first[2], *words[1:])
        else:
            break
    return words
