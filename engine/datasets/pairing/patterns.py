"""Pairing by a rule that a person types: `images/{id}.jpg` and `masks/{id}_mask.png`.

`{id}` stands for what image and mask have in common, and may run across folders; it takes as much
as it can. Where it occurs several times, all its parts together are the id: `{id}/images/{id}.png`
and `{id}/masks/{id}.png` pair by folder and file name. `*` stands for anything within a name, `**`
for any folders. Upper and lower case do not matter, as they do not on the machines that most
archives come from. Masks with the same id are instances, and are merged.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from engine.datasets.pairing.names import Picture, in_natural_order, is_picture, read_pictures
from engine.datasets.pairing.pairs import make_ambiguous, make_pairs
from engine.datasets.pairing.types import Proposal
from engine.errors import BadSetting
from engine.notes import Note

KEY = "patterns"
"""Key of a proposal that was made by patterns."""

_ID, _ANY, _FOLDERS, _DEEP = "{id}", "*", "**/", "**"
_WILD = re.compile(r"(\{id\}|\*\*/|\*\*|\*)")
_PLACEHOLDER = re.compile(r"\{\w*\}")
_MAX_WILD = 10

Id = tuple[str, ...]


def by_patterns(names: Sequence[str], image_pattern: str, mask_pattern: str) -> Proposal:
    """Pair by patterns. Without any pair, the proposal is empty.

    Raises:
        BadSetting: a pattern is empty, lacks `{id}`, has something else in braces or too many
            wildcards, or the two do not fit together.
    """
    find_image, find_mask = Pattern(image_pattern), Pattern(mask_pattern)
    _check_fit(find_image, find_mask)
    pictures = read_pictures(in_natural_order(filter(is_picture, names)))
    images, masks = _by_id(find_image, pictures), _by_id(find_mask, pictures)
    for id in images.keys() & masks.keys():
        # What fits both, as `{id}.*` and `{id}.png` do, is the mask of the other.
        if images[id] != masks[id]:
            images[id] = [image for image in images[id] if image not in masks[id]] or images[id]
    taken = {mask for id in images.keys() & masks.keys() for mask in masks[id]}
    matches, ambiguous = [], []
    num_images = 0
    for id, found in images.items():
        found = [image for image in found if image not in taken]
        num_images += len(found)
        if id in masks and len(found) == 1:
            matches.append((found[0], masks[id]))
        elif id in masks:
            ambiguous += [(image, masks[id]) for image in found]
    used = {picture for image, own in [*matches, *ambiguous] for picture in (image, *own)}
    return Proposal(
        key=KEY,
        title=Note("masks “{masks}”", {"masks": mask_pattern}),
        reason=Note(
            "Images are “{images}”, masks are “{masks}”.",
            {"images": image_pattern, "masks": mask_pattern},
        ),
        confidence=round(len(matches) / num_images, 4) if num_images else 0.0,
        pairs=make_pairs(matches),
        unmatched=tuple(picture.name for picture in pictures if picture not in used),
        ambiguous=make_ambiguous(ambiguous),
        doubts=(),
    )


def _by_id(pattern: "Pattern", pictures: Sequence[Picture]) -> dict[Id, list[Picture]]:
    found: dict[Id, list[Picture]] = defaultdict(list)
    for picture in pictures:
        id = pattern.match(picture.name)
        if id is not None:
            found[id].append(picture)
    return found


class Pattern:
    """A pattern of paths.

    Raises:
        BadSetting: it is none.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        plain = text.strip().replace("\\", "/").removeprefix("./").strip("/").casefold()
        pieces = _WILD.split(plain)
        self._literals, self._wild = pieces[::2], pieces[1::2]
        self._check()

    @property
    def num_ids(self) -> int:
        """How often it has `{id}`."""
        return self._wild.count(_ID)

    def match(self, name: str) -> Id | None:
        """The id in a path, in lower case; None when the path does not fit."""
        path = name.casefold()
        if not (path.startswith(self._literals[0]) and path.endswith(self._literals[-1])):
            return None
        failed: set[tuple[int, int]] = set()
        return self._match_from(path, 0, len(self._literals[0]), failed)

    def _match_from(
        self, path: str, place: int, start: int, failed: set[tuple[int, int]]
    ) -> Id | None:
        """The ids from a wildcard on; what failed once is not tried again, so that no pattern is
        slow."""
        if place == len(self._wild):
            return () if start == len(path) else None
        if (place, start) in failed:
            return None
        wild, literal = self._wild[place], self._literals[place + 1]
        is_last = place == len(self._wild) - 1
        for end in _ends(path, wild, literal, start, is_last):
            rest = self._match_from(path, place + 1, end + len(literal), failed)
            if rest is not None:
                return (path[start:end], *rest) if wild == _ID else rest
        failed.add((place, start))
        return None

    def _check(self) -> None:
        facts = {"pattern": self.text}
        unknown = [found for literal in self._literals for found in _PLACEHOLDER.findall(literal)]
        if unknown:
            raise BadSetting(
                "The pattern “{pattern}” has {unknown}, which means nothing. Use {{id}} for what "
                "image and mask have in common, * for anything within a name, ** for any folders.",
                unknown=unknown[0],
                **facts,
            )
        if not self.num_ids:
            raise BadSetting(
                "The pattern “{pattern}” has no {{id}}. Put {{id}} where image and mask have the "
                "same text, as in images/{{id}}.png and masks/{{id}}_mask.png.",
                **facts,
            )
        if len(self._wild) > _MAX_WILD:
            raise BadSetting(
                "The pattern “{pattern}” has {num} wildcards; at most {limit} are allowed. Use ** "
                "for several folders at once.",
                num=len(self._wild),
                limit=_MAX_WILD,
                **facts,
            )
        between = zip(self._wild, self._literals[1:], self._wild[1:], strict=False)
        if any(one == other == _ID and not literal for one, literal, other in between):
            raise BadSetting(
                "In the pattern “{pattern}” two {{id}} touch, so nothing says where one ends. "
                "Leave one out.",
                **facts,
            )


def _ends(path: str, wild: str, literal: str, start: int, is_last: bool) -> Iterator[int]:
    """Where a wildcard that begins at `start` may end, the preferred first."""
    low = start + 1 if wild == _ID else start
    high = len(path)
    if wild == _ANY:
        slash = path.find("/", start)
        high = len(path) if slash < 0 else slash
    if is_last:
        end = len(path) - len(literal)
        if low <= end <= high and path.endswith(literal):
            ends: Iterator[int] = iter((end,))
        else:
            ends = iter(())
    elif wild == _ID:
        ends = _found_backwards(path, literal, low, high)
    else:
        ends = _found(path, literal, low, high)
    for end in ends:
        if wild != _FOLDERS or end == start or path[end - 1] == "/":
            yield end


def _found(path: str, literal: str, low: int, high: int) -> Iterator[int]:
    end = path.find(literal, low)
    while 0 <= end <= high:
        yield end
        end = path.find(literal, end + 1)


def _found_backwards(path: str, literal: str, low: int, high: int) -> Iterator[int]:
    end = path.rfind(literal, low)
    while end >= low:
        if end <= high:
            yield end
        if end == 0:
            return
        end = path.rfind(literal, low, end + len(literal) - 1)


def _check_fit(image: Pattern, mask: Pattern) -> None:
    facts = {"images": image.text, "masks": mask.text}
    if image.text.casefold() == mask.text.casefold():
        raise BadSetting(
            "The image pattern and the mask pattern are the same, “{images}”, so every picture "
            "would be its own mask. Say what differs: a folder, a suffix or an ending.",
            **facts,
        )
    if image.num_ids != mask.num_ids:
        raise BadSetting(
            "“{images}” has {{id}} {num_images} times and “{masks}” {num_masks} times. Use it as "
            "often in both; what only one of them has is * or **.",
            num_images=image.num_ids,
            num_masks=mask.num_ids,
            **facts,
        )
