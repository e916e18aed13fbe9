r"""Samples that must stay together in a split, told from their names.

Two eyes of a patient, slices of a scan or frames of a video look alike: divided between training
and test, they make scores too good. What names say is followed where keeping apart what belongs
together would be the graver error; else it is told, and a person decides.

Followed by “auto”:

* pages of one file, of three files at least: `scan_7#012`;
* BIDS subjects: `sub-01`;
* a word and an identity, in a folder or in the name: `patient12`, `case_3_slice_07`, `mouse-A4`;
* left and right of the same: `21_left`, `Image_01R`, `0007_OD`;
* tiles of one picture, and numbered sequences, where there are enough of them to be divided:
  `a_r0_c1`, `a_tile3`, `a_0_512`; `vid3_frame_0012`.

Only told:

* few tiled pictures or sequences;
* folders, several of them with several samples each.
"""

import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine.datasets.plan import GroupPlan
from engine.errors import BadSetting
from engine.notes import Note

MAX_NAME_CHARS = 200
"""Of a longer name a pattern sees the end: the time it takes grows with the length."""
MAX_PATTERN_SECONDS = 10.0
"""Time that a pattern may take on all names."""
MAX_REPEATS = 3
"""Repeats without a small limit in a pattern; each may multiply the time by a name's length."""

_SURE_SHARE = 0.8
"""Share of the names that a sure rule has to understand."""
_MAX_SHARE = 0.8
"""A suggested group with a larger share of the samples leaves too little to validate on."""
_MIN_STACKS = 3
_MIN_LIKELY_GROUPS, _MAX_LIKELY_SHARE = 5, 0.5
"""So many suggested groups, none of them larger, can be divided about as well as samples can."""
_SUBJECT_WORDS = (
    "patient|pat|pt|subject|subj|sub|person|donor|volunteer",
    "mouse|mice|rat|animal|fly|embryo",
    "case|specimen|biopsy|slide|wsi",
)
"""Words before an identity, the widest first: a patient has several slides."""
_BIDS = re.compile(r"(?:^|[/_])(sub-[a-z0-9]+)(?=$|[/_])", re.IGNORECASE)
_EYE = re.compile(
    r"(?:(?<=[0-9])|(?<=[0-9a-z][ _.-])|(?<=/)|^)(left|right|od|os|l|r)(?=$|[/ _.-])", re.IGNORECASE
)
_LEFT = frozenset({"left", "os", "l"})
_TILE = re.compile(
    r"(?P<picture>.*?[^/ _.-])[ _.-]*(?:"
    r"(?:tile|patch|crop)[ _.-]?[0-9]+(?:[ _.-][0-9]+)?"
    r"|(?:r|row|y)[ _.-]?[0-9]+[ _.-]?(?:c|col|column|x)[ _.-]?[0-9]+"
    r"|(?:x)[ _.-]?[0-9]+[ _.-]?(?:y)[ _.-]?[0-9]+"
    r")",
    re.IGNORECASE,
)
_PAGE = re.compile(r"(?P<file>.+)#[0-9]+")
_OFFSETS = re.compile(r"(?P<picture>.*?[^/ _.-])[ _.-]+(?P<y>[0-9]+)[ _.-]+(?P<x>[0-9]+)")
_MIN_OFFSET_STEP = 16
"""Offsets of tiles are multiples of their size."""
_NUMBERED = re.compile(r"(?P<before>.*?)(?P<number>[0-9]+)(?P<after>[^0-9]*)")
_UNLIMITED = re.compile(r"[*+]|\{[0-9]*,(?:[0-9]{2,})?\}")


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupProposal:
    """Which samples belong together, and what says so."""

    groups: tuple[str | None, ...]
    """For each name, the group's; None for one that stands alone."""
    note: Note
    sure: bool
    """Whether “auto” follows it; otherwise a person decides."""
    only_folders: bool = False
    """Whether nothing but folders says so, which may stand for anything."""

    @property
    def num_groups(self) -> int:
        """How many groups there are."""
        return len(set(self.groups) - {None})


def group_names(names: Sequence[str], plan: GroupPlan) -> list[str | None]:
    """The group of each sample under a plan; None for one that stands alone.

    Args:
        names: of the samples: paths without suffix.

    Raises:
        BadSetting: the plan's pattern is no regular expression, or one that takes too long.
    """
    if plan.by == "folder":
        return [name.rpartition("/")[0] or None for name in names]
    if plan.by == "pattern":
        return _by_pattern(names, plan.pattern)
    proposal = propose_groups(names) if plan.by == "auto" else None
    return list(proposal.groups) if proposal and proposal.sure else [None] * len(names)


def propose_groups(names: Sequence[str]) -> GroupProposal | None:
    """What belongs together by the names: the first sure rule that applies, else a suggestion.

    None when nothing does, or when all samples would be one group.

    Args:
        names: of the samples: paths without suffix, in natural order.
    """
    for propose in _RULES:
        proposal = propose(names)
        if proposal is not None:
            return proposal
    return None


def one_sequence(names: Sequence[str]) -> str | None:
    """What all names begin with when they are one numbered sequence, else None."""
    sequences = _sequences(names)
    if len(names) < 3 or len(set(sequences)) != 1 or sequences[0] is None:
        return None
    before = sequences[0][0]
    return before if _is_dense([_number(name) for name in names]) else None


def _by_pattern(names: Sequence[str], text: str) -> list[str | None]:
    pattern = _checked_pattern(text)
    found: list[str | None] = []
    deadline = time.monotonic() + MAX_PATTERN_SECONDS
    for name in names:
        match = pattern.search(name[-MAX_NAME_CHARS:])
        found.append((match[1 if pattern.groups else 0] or None) if match else None)
        if time.monotonic() > deadline:
            raise BadSetting(
                "The group pattern “{pattern}” takes more than {seconds:.0f} seconds. Write a "
                "simpler one, with fewer * and +.",
                pattern=text,
                seconds=MAX_PATTERN_SECONDS,
            )
    return found


def _checked_pattern(text: str) -> re.Pattern[str]:
    """A compiled pattern whose time does not explode.

    A repeat within a repeat, as in `(a+)+`, or a repeated choice, as in `(a|a)*`, may take longer
    than the universe on a single name; Python cannot interrupt it, so they are refused.
    """
    try:
        pattern = re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise BadSetting(
            "The group pattern “{pattern}” is no regular expression: {reason}. Correct it, for "
            r"example to “(patient\d+)_”.",
            pattern=text,
            reason=str(error),
        ) from error
    # Within brackets and after a backslash these characters repeat nothing.
    plain = re.sub(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", "x", text)
    if _has_nested_repeat(plain) or len(_UNLIMITED.findall(plain)) > MAX_REPEATS:
        raise BadSetting(
            "The group pattern “{pattern}” could take forever: it repeats a group that repeats or "
            "chooses, or has more than {num} of * and +. Write a simpler one, for example "
            r"“(patient\d+)_”.",
            pattern=text,
            num=MAX_REPEATS,
        )
    return pattern


def _has_nested_repeat(plain: str) -> bool:
    """Whether a group in which something repeats, or is chosen, is itself repeated."""
    open_groups: list[bool] = []
    is_risky = False
    for place, character in enumerate(plain):
        if character == "(":
            open_groups.append(is_risky)
            is_risky = False
        elif character == ")":
            repeats = re.match(r"[*+]|\{", plain[place + 1 :])
            if is_risky and repeats:
                return True
            is_risky = is_risky or (open_groups.pop() if open_groups else False)
        elif character in "*+{|":
            is_risky = True
    return False


def _stacks(names: Sequence[str]) -> GroupProposal | None:
    """Pages of one file, which an import numbers behind a “#”."""
    matches = [_PAGE.fullmatch(name) for name in names]
    groups = tuple(match["file"] if match else None for match in matches)
    sizes = Counter(group for group in groups if group is not None)
    if len(sizes) < _MIN_STACKS or max(sizes.values()) > _MAX_SHARE * len(names):
        return None
    return GroupProposal(
        groups=groups,
        note=Note(
            "The samples are pages of {num} files, such as “{example}”. Pages of one file should "
            "stay together.",
            {"num": len(sizes), "example": next(iter(sizes))},
        ),
        sure=True,
    )


def _subjects(names: Sequence[str]) -> GroupProposal | None:
    """BIDS subjects, or a word with an identity."""
    for words in (None, *_SUBJECT_WORDS):
        pattern = _BIDS if words is None else _word_pattern(words)
        groups = tuple(_last_match(pattern, name) for name in names)
        if _explains(groups):
            example = next(group for group in groups if group is not None)
            return GroupProposal(
                groups=groups,
                note=Note(
                    "Names tell {num} subjects, such as “{example}”. Samples of one should stay "
                    "together.",
                    {"num": len(set(groups) - {None}), "example": example},
                ),
                sure=True,
            )
    return None


def _word_pattern(words: str) -> re.Pattern[str]:
    return re.compile(
        rf"(?:^|[/ _.-])((?:{words})[ _.-]?(?:[a-z]{{0,3}}[0-9]+[a-z]?))(?=$|[/ _.-])",
        re.IGNORECASE,
    )


def _last_match(pattern: re.Pattern[str], name: str) -> str | None:
    match = pattern.search(name)
    return match[1].lower() if match else None


def _explains(groups: Sequence[str | None]) -> bool:
    """Whether there are two groups, one with two samples, and most names have one."""
    sizes = Counter(group for group in groups if group is not None)
    return (
        len(sizes) >= 2 and max(sizes.values()) >= 2 and sizes.total() >= _SURE_SHARE * len(groups)
    )


def _sides(names: Sequence[str]) -> GroupProposal | None:
    """Left and right of the same."""
    groups: list[str | None] = []
    sides: defaultdict[str, set[bool]] = defaultdict(set)
    for name in names:
        matches = list(_EYE.finditer(name))
        if not matches:
            groups.append(None)
            continue
        found = matches[-1]
        rest = (name[: found.start()] + name[found.end() :]).strip(" /_.-")
        groups.append(rest or None)
        sides[rest].add(found[1].lower() in _LEFT)
    both = sum(len(found) == 2 for found in sides.values())
    if both < 2 or 2 * both < len(sides) or not _explains(groups):
        return None
    return GroupProposal(
        groups=tuple(groups),
        note=Note(
            "Names tell left and right of {num}, such as “{example}”. Both should stay together.",
            {"num": len(sides), "example": next(iter(sides))},
        ),
        sure=True,
    )


def _tiles(names: Sequence[str]) -> GroupProposal | None:
    """Tiles of one picture."""
    matches = [_TILE.fullmatch(name) for name in names]
    groups = tuple(match["picture"] if match else None for match in matches)
    if not _explains(groups):
        groups = _tiles_by_offset(names)
    return _suggested(
        groups,
        "Names look like tiles of {num} pictures, such as “{example}”. Tiles of one picture "
        "should stay together.",
    )


def _tiles_by_offset(names: Sequence[str]) -> tuple[str | None, ...]:
    matches = [_OFFSETS.fullmatch(name) for name in names]
    offsets = {int(match[part]) for match in matches if match for part in ("y", "x")} - {0}
    step = min(offsets, default=0)
    if step < _MIN_OFFSET_STEP or any(offset % step for offset in offsets):
        return (None,) * len(names)
    return tuple(match["picture"] if match else None for match in matches)


def _videos(names: Sequence[str]) -> GroupProposal | None:
    """Numbered sequences: names that differ in their last number only, and have another."""
    if sum(_TILE.fullmatch(name) is not None for name in names) > len(names) / 2:
        # Rows of tiles are no videos.
        return None
    sequences = _sequences(names)
    numbers: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for name, sequence in zip(names, sequences, strict=True):
        if sequence is not None:
            numbers[sequence].append(_number(name))
    dense = {
        sequence
        for sequence, found in numbers.items()
        if len(found) >= 3 and _is_dense(found) and re.search("[0-9]", sequence[0])
    }
    groups = tuple(
        sequence[0].rstrip(" _.-") if sequence in dense and sequence is not None else None
        for sequence in sequences
    )
    return _suggested(
        groups,
        "Names look like {num} videos or stacks, such as “{example}”. Frames of one video should "
        "stay together.",
    )


def _folders(names: Sequence[str]) -> GroupProposal | None:
    """A folder for each group of samples."""
    return _suggested(
        tuple(name.rpartition("/")[0] or None for name in names),
        "The samples lie in {num} folders, such as “{example}”. If a folder is a patient or a "
        "video, its samples should stay together.",
        min_groups=3,
        only_folders=True,
    )


def _suggested(
    groups: tuple[str | None, ...],
    message: str,
    *,
    min_groups: int = 2,
    only_folders: bool = False,
) -> GroupProposal | None:
    sizes = Counter(group for group in groups if group is not None)
    if len(sizes) < min_groups or not _explains(groups):
        return None
    if max(sizes.values()) > _MAX_SHARE * len(groups):
        return None
    can_be_divided = len(sizes) >= _MIN_LIKELY_GROUPS and max(
        sizes.values()
    ) <= _MAX_LIKELY_SHARE * len(groups)
    return GroupProposal(
        groups=groups,
        note=Note(message, {"num": len(sizes), "example": next(iter(sizes))}),
        sure=can_be_divided and not only_folders,
        only_folders=only_folders,
    )


def _sequences(names: Sequence[str]) -> list[tuple[str, str] | None]:
    """What stands before and after the last number of each name."""
    matches = [_NUMBERED.fullmatch(name) for name in names]
    return [(match["before"], match["after"]) if match else None for match in matches]


def _number(name: str) -> int:
    match = _NUMBERED.fullmatch(name)
    assert match, "only names with a number are in a sequence"
    # The numbers of a longer name say nothing of an order.
    return int(match["number"][-18:])


def _is_dense(numbers: Sequence[int]) -> bool:
    """Whether at least half of the numbers from the first to the last occur."""
    return max(numbers) - min(numbers) < 2 * len(numbers)


_RULES: tuple[Callable[[Sequence[str]], GroupProposal | None], ...] = (
    _stacks,
    _subjects,
    _sides,
    _tiles,
    _videos,
    _folders,
)
