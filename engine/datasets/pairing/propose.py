"""Which mask belongs to which image, told from the names alone.

    names → pictures → readings: edges between images and masks → sets of masks → proposals

Pictures whose names say image or mask are read first (`marked`). Where that explains too little,
the rest is paired by what names have in common, and which is the mask is a guess (`unmarked`).
"""

import gc
import hashlib
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import replace

from engine.datasets.pairing.confidence import Judged, judge
from engine.datasets.pairing.describe import reason_of, title_of
from engine.datasets.pairing.marked import read_marks
from engine.datasets.pairing.names import (
    Picture,
    in_natural_order,
    is_picture,
    num_shared,
    read_pictures,
    says_mask,
)
from engine.datasets.pairing.pairs import Matches, make_ambiguous, make_pairs
from engine.datasets.pairing.patterns import by_patterns
from engine.datasets.pairing.refusals import no_pairs, no_pictures, unread_pictures
from engine.datasets.pairing.sets import mask_sets
from engine.datasets.pairing.types import Pairing, Proposal
from engine.datasets.pairing.unmarked import Guess, read_unmarked
from engine.datasets.plan import PairingPlan
from engine.errors import BadSetting

_ENOUGH = 0.5
"""Confidence of masks that say so, from which it is not guessed that others may be some too."""
_SURE = 0.75
"""Confidence from which no more of the outermost folders are read as saying nothing."""
_MAX_FOLDERS_ABOVE = 2
"""Folders below the outermost that may be called “segmentation” although they hold images too."""
_LEAST_CONFIDENCE = 0.02
"""Below this, a proposal is a stray file and is left out, unless there is no better one."""
_MAX_SETS = 40
_MAX_KEY_CHARS = 100


def propose(names: Sequence[str]) -> Pairing:
    """Everything that names may mean, likeliest first.

    Args:
        names: relative POSIX paths, each once, in any order.

    Raises:
        BadData: there are no pictures, or none of them can be paired.
    """
    with _collector_paused():
        return _propose(names)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Without Python's search for reference cycles, of which there are none here: looking through
    what 200,000 names become, over and over, takes as long as all the rest."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _propose(names: Sequence[str]) -> Pairing:
    in_order = in_natural_order(names)
    pictures: list[str] = []
    ignored: list[str] = []
    for name in in_order:
        (pictures if is_picture(name) else ignored).append(name)
    if not pictures:
        raise no_pictures(ignored)
    proposals: list[Proposal] = []
    num_ambiguous = 0
    for num_above in _depths(pictures):
        found, num = _proposals(read_pictures(pictures, num_above))
        num_ambiguous = max(num_ambiguous, num)
        if found and (not proposals or found[0].confidence > proposals[0].confidence):
            proposals = found
        if proposals and proposals[0].confidence >= _SURE:
            break
    if not proposals:
        raise no_pairs(pictures, ignored, num_ambiguous)
    doubt = unread_pictures(ignored)
    if doubt is not None:
        proposals = [
            replace(one, doubts=(*one.doubts, doubt)) if one.unmatched else one for one in proposals
        ]
    return Pairing(proposals=tuple(proposals), ignored=tuple(ignored))


def choose(names: Sequence[str], plan: PairingPlan, known: Pairing | None = None) -> Proposal:
    """The reading that a plan asks for.

    Args:
        known: what `propose` gave for the names, where that is at hand.

    Raises:
        BadData: there are no pictures, or none of them can be paired.
        BadSetting: there is no such proposal, or the patterns cannot be used.
    """
    if plan.image_pattern:
        return by_patterns(names, plan.image_pattern, plan.mask_pattern)
    proposals = (known or propose(names)).proposals
    if plan.proposal is None:
        return proposals[0]
    for proposal in proposals:
        if proposal.key == plan.proposal:
            return proposal
    raise BadSetting(
        "There is no pairing “{key}” for these files. There are: {keys}. Choose one of them, or "
        "give patterns.",
        key=plan.proposal,
        keys=", ".join(proposal.key for proposal in proposals),
    )


def _depths(names: Sequence[str]) -> Iterator[int]:
    """How many outermost folders to read as saying nothing: those that all pictures share, then
    more while those say mask and yet leave it to inner ones, as in `segmentation_a/labels/1.png`
    and `segmentation_b/labels/1.png`, or leave no image."""
    folders = {name.rpartition("/")[0] for name in names}
    paths = [tuple(folder.split("/")) for folder in folders if folder]
    depth = num_shared(paths) if len(paths) == len(folders) else 0
    yield depth
    for _ in range(_MAX_FOLDERS_ABOVE):
        marked = [path for path in paths if depth < len(path) and says_mask(path[depth])]
        is_telling = len(marked) < len(folders) and not any(
            says_mask(folder) for path in marked for folder in path[depth + 1 :]
        )
        if is_telling or not marked:
            return
        depth += 1
        yield depth


def _proposals(pictures: Sequence[Picture]) -> tuple[list[Proposal], int]:
    """Proposals, likeliest first, and the number of images whose mask is not certain."""
    reading = read_marks(pictures)
    sets = mask_sets(reading.edges)
    num_ambiguous = sum(len(found.ambiguous) for found in sets)
    sets = [found for found in sets if found.matches]
    sets = sorted(sets, key=lambda found: (-len(found.matches), found.key))[:_MAX_SETS]
    judged = judge(sets, reading.images)
    kept = [one for one in judged if one.confidence >= _LEAST_CONFIDENCE] or judged[:1]
    used = {picture for one in kept for picture in one.masks.pictures()}
    masks = used.difference(reading.images)
    proposals = [_of_set(one, pictures, masks) for one in kept]
    if not proposals or proposals[0].confidence < _ENOUGH:
        rest = [picture for picture in pictures if picture not in used]
        guesses = [_of_guess(guess, pictures, masks) for guess in read_unmarked(rest)]
        proposals += [one for one in guesses if one.confidence >= _LEAST_CONFIDENCE] or (
            guesses[: not proposals]
        )
        proposals.sort(key=lambda one: (-one.confidence, -len(one.pairs), one.key))
    return proposals, num_ambiguous


def _of_set(one: Judged, pictures: Sequence[Picture], masks: Set[Picture]) -> Proposal:
    found = one.masks
    matches = [(match.image, match.masks) for match in found.matches]
    return Proposal(
        key=_short(found.key),
        title=title_of(found),
        reason=reason_of(found),
        confidence=one.confidence,
        pairs=make_pairs(matches),
        unmatched=_unmatched(pictures, masks, [*matches, *found.ambiguous]),
        ambiguous=make_ambiguous(found.ambiguous),
        doubts=one.doubts,
    )


def _of_guess(guess: Guess, pictures: Sequence[Picture], masks: Set[Picture]) -> Proposal:
    matches = [(image, (mask,)) for image, mask in guess.matches]
    num_images = len(pictures) - len(masks) - len(matches)
    return Proposal(
        key=_short(guess.key),
        title=guess.title,
        reason=guess.reason,
        confidence=round(len(matches) / num_images * guess.sureness, 4),
        pairs=make_pairs(matches),
        unmatched=_unmatched(pictures, masks, [*matches, *guess.ambiguous]),
        ambiguous=make_ambiguous(guess.ambiguous),
        doubts=guess.doubts,
    )


def _unmatched(
    pictures: Sequence[Picture], masks: Set[Picture], matches: Matches
) -> tuple[str, ...]:
    """Pictures that are in none of the matches, and no masks of any set."""
    used = {picture for image, own in matches for picture in (image, *own)} | masks
    return tuple(picture.name for picture in pictures if picture not in used)


def _short(key: str) -> str:
    """A key that fits an address."""
    if len(key) <= _MAX_KEY_CHARS:
        return key
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{key[:_MAX_KEY_CHARS]}~{digest[:8]}"
