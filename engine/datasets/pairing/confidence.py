"""How far a proposal is to be trusted, and what there is to doubt.

    confidence = coverage × sureness × doubts

* Coverage is the share of the images that get masks. Images of a split that has no masks in any
  set, such as a test set without truth, do not count, nor do images of another kind for the same
  masks.
* Sureness is the mean over the pairs of what their reading is worth (`SURENESS`): 0.98 for equal
  names in a folder “masks”, less where the names agree only in part, ×`AFAR` where image and mask
  do not lie beside each other.
* Doubts is the product of the factors of what speaks against the set, such as 0.3 for a field of
  view; 1 when nothing does.

So one more pair, a surer reading or one doubt less never lowers it.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from math import prod

from engine.datasets.pairing import words
from engine.datasets.pairing.describe import example_of
from engine.datasets.pairing.edges import Level
from engine.datasets.pairing.names import Picture
from engine.datasets.pairing.sets import MaskSet
from engine.notes import Note

SURENESS = {
    Level.SAME_NAME: 0.98,
    Level.WORDS: 0.95,
    Level.FLAT: 0.93,
    Level.EXTENDED: 0.9,
    Level.LEARNED: 0.8,
    Level.HOME: 0.9,
    Level.ALONE: 0.9,
    Level.FIXED: 0.85,
    Level.NUMBERS: 0.7,
}
AFAR = 0.95
_RIVALLED = 0.9
"""Of a set beside another one that is no worse."""

_MIN_SHARED = 0.5
"""Another set is a rival when it has masks for this part of a set's images."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """Something that speaks against a set of masks."""

    factor: float
    note: Note


@dataclass(frozen=True, slots=True)
class Judged:
    """A set with what is to be said of it."""

    masks: MaskSet
    confidence: float
    doubts: tuple[Note, ...]


def coverage(found: MaskSet, images: Collection[Picture]) -> float:
    """Share of the images that have masks in a set."""
    taken = {match.image for match in found.matches}
    return len(taken) / len(taken.union(images))


def sureness(found: MaskSet) -> float:
    """Mean over the pairs of what their reading is worth."""
    worth = [
        SURENESS[match.edge.level] * (1 if match.edge.is_near else AFAR) for match in found.matches
    ]
    return sum(worth) / len(worth)


def judge(sets: Sequence[MaskSet], images: Collection[Picture]) -> list[Judged]:
    """Weigh the sets against each other; likeliest first.

    Args:
        sets: all that were found for the images.
        images: every picture that may be an image.
    """
    taken = [frozenset(match.image for match in found.matches) for found in sets]
    masked_splits = {image.folder.split for own in taken for image in own}
    countable = {image for image in images if image.folder.split in masked_splits | {None}}
    siblings = [[other for other in sets if _is_other_kind(found, other)] for found in sets]
    rivals = [
        [
            other
            for other, its in zip(sets, taken, strict=True)
            if other is not found and len(its & own) >= _MIN_SHARED * len(own)
        ]
        for found, own in zip(sets, taken, strict=True)
    ]
    doubts = [
        [doubt for find in _DOUBTS for doubt in find(found, others)]
        for found, others in zip(sets, rivals, strict=True)
    ]
    weights: dict[int, float] = {}
    for found, others, own in zip(sets, siblings, doubts, strict=True):
        elsewhere = {match.image for other in others for match in other.matches}
        share = coverage(found, countable - elsewhere)
        weights[id(found)] = share * prod(doubt.factor for doubt in own)
    judged = []
    unmasked = _unmasked_splits(image for image in images if image not in countable)
    for place, found in enumerate(sets):
        equals, kinds = [
            [other for other in others if weights[id(other)] >= weights[id(found)]]
            for others in (rivals[place], siblings[place])
        ]
        confidence = sureness(found) * weights[id(found)]
        confidence *= _RIVALLED if equals or kinds else 1
        notes = [
            *(doubt.note for doubt in doubts[place]),
            *([_rivals_note(equals)] if equals else []),
            *map(_kinds_note, kinds[:1]),
            *unmasked,
        ]
        judged.append(Judged(found, round(confidence, 4), tuple(notes)))
    return sorted(judged, key=lambda one: (-one.confidence, -len(one.masks.matches), one.masks.key))


def _is_other_kind(found: MaskSet, other: MaskSet) -> bool:
    """Whether two sets are the same masks for images of two kinds, `t1/1.png` and `t2/1.png`."""
    return found is not other and (found.words, found.variant, found.suffix) == (
        other.words,
        other.variant,
        other.suffix,
    )


def _unmasked_splits(images: Iterable[Picture]) -> list[Note]:
    by_split: dict[str, list[Picture]] = {}
    for image in images:
        by_split.setdefault(str(image.folder.split), []).append(image)
    return [
        Note(
            "The pictures in folders that say {split}, such as “{example}”, have no masks and are "
            "left out: {num}.",
            {"num": len(pictures), "split": split, "example": pictures[0].name},
        )
        for split, pictures in sorted(by_split.items())
    ]


def _rivals_note(others: Sequence[MaskSet]) -> Note:
    return Note(
        "The same images have other sets of masks, too ({num}), such as “{other}”. Choose the set "
        "to learn: only one is taken. If each set is a class, put all classes into one mask for "
        "each image; sets cannot be combined yet.",
        {"num": len(others), "other": example_of(others[0])},
    )


def _kinds_note(other: MaskSet) -> Note:
    return Note(
        "These masks fit images of several kinds, such as “{other}” too. Choose the kind to learn "
        "from; only one is taken, and images of the others count as without a partner.",
        {"other": other.matches[0].image.name},
    )


def _field_of_view(found: MaskSet, rivals: Sequence[MaskSet]) -> list[Doubt]:
    if _says(found, words.FOV_WORDS):
        return [
            Doubt(
                0.3,
                Note(
                    "The name says field of view or region of interest: where to look, not what "
                    "is to be found there."
                ),
            )
        ]
    marks = words.MASK_WORDS.intersection(found.words)
    truth = next((other for other in rivals if _is_truth(other)), None)
    if truth is None or not marks or not marks <= words.SHAPE_WORDS:
        return []
    return [
        Doubt(
            0.3,
            Note(
                "Beside “{other}”, these masks may only show the field of view.",
                {"other": example_of(truth)},
            ),
        )
    ]


def _look_only(found: MaskSet, rivals: Sequence[MaskSet]) -> list[Doubt]:
    """Sets whose names say that they are no target."""
    table = (
        (words.PREVIEW_WORDS, 0.2, "The name says preview or overlay: pictures to look at."),
        (words.INVERSE_WORDS, 0.3, "The name says inverted: the background may be what is marked."),
        (words.SUPERPIXEL_WORDS, 0.2, "The name says superpixels: a division, not a target."),
    )
    return [Doubt(factor, Note(message)) for those, factor, message in table if _says(found, those)]


def _from_a_program(found: MaskSet, rivals: Sequence[MaskSet]) -> list[Doubt]:
    is_result = _says(found, words.PREDICTION_WORDS) or (
        _says(found, words.RESULT_WORDS) and bool(rivals)
    )
    if is_result and not _says(found, words.TRUTH_WORDS):
        return [Doubt(0.3, Note("The name says prediction or result: what a program found."))]
    truth = next((other for other in rivals if _is_truth(other)), None)
    marks = words.MASK_WORDS.intersection(found.words)
    if truth is None or not marks <= words.SEGMENTATION_WORDS or not marks:
        return []
    return [
        Doubt(
            0.7,
            Note(
                "Beside “{other}”, these may be the result of a segmentation.",
                {"other": example_of(truth)},
            ),
        )
    ]


def _other_code(found: MaskSet, rivals: Sequence[MaskSet]) -> list[Doubt]:
    """Sets that show the same as another one in a form that is harder to learn from."""
    doubts = []
    table = (
        (words.COLOR_WORDS, 0.6, 0.9, "The name says colours: such masks are made to look at."),
        (words.INSTANCE_WORDS, 0.85, 1.0, "The name says instances: objects rather than classes."),
        (words.OUTLINE_WORDS, 0.6, 0.9, "The name says outlines or weights, not areas."),
    )
    for those, beside_others, alone, message in table:
        if _says(found, those):
            has_plain = any(not _says(other, those) for other in rivals)
            doubts.append(Doubt(beside_others if has_plain else alone, Note(message)))
    if "human" in found.words and any("machine" in other.words for other in rivals):
        doubts.append(Doubt(0.6, Note("Made for people to look at, beside one for machines.")))
    return doubts


def _loose_names(found: MaskSet, rivals: Sequence[MaskSet]) -> list[Doubt]:
    """Doubts about the pairs rather than the masks; the sureness counts them already."""
    levels = Counter(match.edge.level for match in found.matches)
    doubts = []
    if levels[Level.LEARNED]:
        doubts.append(
            Note(
                "The file names of images and masks differ in a part that all names share. Check "
                "that they belong together."
            )
        )
    if levels[Level.NUMBERS]:
        doubts.append(
            Note("Numbers were taken as equal that differ in zeros before them: 1 and 001.")
        )
    return [Doubt(1.0, note) for note in doubts]


_DOUBTS: tuple[Callable[[MaskSet, Sequence[MaskSet]], list[Doubt]], ...] = (
    _field_of_view,
    _look_only,
    _from_a_program,
    _other_code,
    _loose_names,
)


def _says(found: MaskSet, those: frozenset[str]) -> bool:
    return not those.isdisjoint(found.words)


def _is_truth(found: MaskSet) -> bool:
    return _says(found, words.TRUTH_WORDS) and not _says(
        found, words.FOV_WORDS | words.PREVIEW_WORDS | words.INVERSE_WORDS
    )
