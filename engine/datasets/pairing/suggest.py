"""Patterns that say what a proposal does, to begin a correction from."""

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import product

from engine.datasets.pairing.names import num_shared, without_suffix
from engine.datasets.pairing.patterns import by_patterns
from engine.datasets.pairing.types import Pair, Proposal
from engine.errors import BadSetting

_NUM_LOOKED_AT = 30
"""Pairs that patterns are made from; all are used to check them."""
_PIECE = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|[^\W\d_A-Za-z]+|\d+|.", re.DOTALL)
_MEANS_SOMETHING = re.compile(r"[*{}\\]")

_Alignment = list[str]
"""By turns what an image's path and a mask's have in common, and what only one of them has: common,
image's, mask's, common, image's, mask's, …, common."""


def folder_patterns(
    image_folder: str, mask_folder: str, image_suffix: str = "", mask_suffix: str = ""
) -> tuple[str, str]:
    """Patterns for two folders, whose files have the same names but for an ending before the dot.

    Args:
        image_folder: path of a folder; empty for the top.
        image_suffix: what the images' names end with, such as `_image`; may be empty.
    """
    return _folder_pattern(image_folder, image_suffix), _folder_pattern(mask_folder, mask_suffix)


def suggest_patterns(proposal: Proposal) -> tuple[str, str] | None:
    """Patterns for images and masks that give exactly a proposal's pairs.

    They are checked on the files of the proposal, so a set of masks that it does not list could
    still fit them where it has a `*`. None when no patterns of this kind give the pairs.
    """
    pairs = proposal.pairs
    names = [name for pair in pairs for name in (pair.image, *pair.masks)]
    if any(_MEANS_SOMETHING.search(name) for name in names):
        return None
    names += proposal.unmatched
    names += (name for each in proposal.ambiguous for name in (each.image, *each.candidates))
    step = max(1, len(pairs) // _NUM_LOOKED_AT)
    several = [pair for pair in pairs if len(pair.masks) > 1][:_NUM_LOOKED_AT]
    for patterns in dict.fromkeys(_candidates([*pairs[::step], *several])):
        try:
            found = by_patterns(list(dict.fromkeys(names)), *patterns)
        except BadSetting:
            continue
        if found.pairs == pairs:
            return patterns
    return None


def _folder_pattern(folder: str, suffix: str) -> str:
    folder = folder.strip("/")
    return f"{folder}/{{id}}{suffix}.*" if folder else f"{{id}}{suffix}.*"


def _candidates(pairs: Sequence[Pair]) -> Iterator[tuple[str, str]]:
    """Patterns that may give the pairs, the most telling first."""
    image_suffix = _suffix([pair.image for pair in pairs])
    mask_suffix = _suffix([mask for pair in pairs for mask in pair.masks])
    images = [without_suffix(pair.image) for pair in pairs]
    masks = [without_suffix(pair.masks[0]) for pair in pairs]
    loose_images, loose_masks = [list(map(_any_in_folder, paths)) for paths in (images, masks)]
    has_instances = any(len(pair.masks) > 1 for pair in pairs)
    choices = [(images, masks, "")]
    if has_instances:
        choices += [
            (images, masks, "*"),
            (images, loose_masks, ""),
            (loose_images, loose_masks, ""),
        ]
    for is_literal, (one, other, more) in product((False, True), choices):
        patterns = _pattern(one, other, is_literal)
        if patterns is not None:
            image, mask = patterns
            yield image + image_suffix, mask + more + mask_suffix
            if has_instances:
                yield image + image_suffix, re.sub(r"\d+$", "*", mask) + mask_suffix


def _suffix(names: Sequence[str]) -> str:
    suffixes = {name[len(without_suffix(name)) :].casefold() for name in names}
    return suffixes.pop() if len(suffixes) == 1 else ".*"


def _any_in_folder(path: str) -> str:
    return path.rpartition("/")[0] + "/*"


def _pattern(
    images: Sequence[str], masks: Sequence[str], is_literal: bool
) -> tuple[str, str] | None:
    """The patterns of paths that differ from each other in the same places.

    Args:
        is_literal: whether words that all ids begin with stay, as in `{id}_slice{id}`, where
            nothing else would say where the first id ends.
    """
    aligned = [_align(image, mask) for image, mask in zip(images, masks, strict=True)]
    if len({len(alignment) for alignment in aligned}) > 1:
        return None
    image = mask = ""
    for place, parts in enumerate(zip(*aligned, strict=True)):
        if place % 3 == 0:
            common = _common(parts, is_literal)
            image += common
            mask += common
        elif place % 3 == 1:
            image += _own(parts)
        else:
            mask += _own(parts)
    # Nothing differs between the pairs where there is only one.
    return (image, mask) if "{id}" in image else None


def _align(image: str, mask: str) -> _Alignment:
    one, other = _PIECE.findall(image), _PIECE.findall(mask)
    matcher = SequenceMatcher(None, one, other, autojunk=False)
    found = [""]
    for tag, start, end, from_, to in matcher.get_opcodes():
        mine, its = "".join(one[start:end]), "".join(other[from_:to])
        if tag == "equal":
            found[-1] += mine
            continue
        # `train` and `trainannot` have a beginning in common.
        front = mine if its.startswith(mine) else its if mine.startswith(its) else ""
        found[-1] += front
        found += [mine[len(front) :], its[len(front) :], ""]
    return found


def _common(parts: Sequence[str], is_literal: bool) -> str:
    """What is common to image and mask: literally where all pairs have it, else an id."""
    if len(set(parts)) == 1:
        return parts[0]
    front = _beginning(parts)
    front = front.rstrip("0123456789") if is_literal else front[: front.rfind("/") + 1]
    rests = [part[len(front) :] for part in parts]
    back = _beginning([rest[::-1] for rest in rests])[::-1]
    back = back[back.find("/") :] if "/" in back else back[len(back.rstrip("_-. ")) :]
    return f"{front}{{id}}{back}"


def _beginning(texts: Sequence[str]) -> str:
    return texts[0][: num_shared([tuple(text) for text in texts])]


def _own(parts: Sequence[str]) -> str:
    if len(set(parts)) == 1:
        return parts[0]
    front = _beginning(parts)
    return front[: len(front) - len(front.lstrip("_-. "))] + "*"
