"""The reading of names that do not say what they are, such as `photos/1.png` and `painted/1.png`.

Pictures that share a name are put together, and pairs of them that differ in the same way make a
guess. Which of the two is the image is told by what words and formats say; where they say
nothing, the first in alphabetical order is taken, and the guess is given both ways round.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from engine.datasets.pairing import words
from engine.datasets.pairing.affixes import affixes
from engine.datasets.pairing.fixed import fixed_sides, with_fixed_names
from engine.datasets.pairing.names import SPLIT_MARK, Folder, Picture, Tokens
from engine.datasets.pairing.order import natural_key
from engine.datasets.pairing.search import without_zeros
from engine.notes import Note

_MAX_ALIKE = 8
"""Pictures of one name. More are the same name in the folders of many samples."""
_MAX_GUESSES = 8

_SUFFIX_ORDER = {
    ".jpg": 0, ".jpeg": 0, ".jpe": 0, ".jfif": 0, ".webp": 1, ".tif": 2, ".tiff": 2, ".bmp": 3,
    ".png": 4, ".gif": 5,
}  # fmt: skip
"""Images come first: masks are kept in formats that lose nothing and have palettes."""


@dataclass(frozen=True, slots=True)
class Guess:
    """Pictures that belong together, and which of them may be the masks."""

    key: str
    title: Note
    reason: Note
    sureness: float
    matches: list[tuple[Picture, Picture]]
    """Image and mask."""
    ambiguous: list[tuple[Picture, list[Picture]]]
    doubts: tuple[Note, ...]


@dataclass(frozen=True, slots=True)
class _Kind:
    """A way in which two pictures can belong together."""

    groups: Callable[[Sequence[Picture]], Iterable[list[Picture]]]
    sides: Callable[[Picture, Picture], tuple[Tokens, Tokens]]
    """What one has that the other lacks, and the reverse."""
    reason: str
    worth: float
    shown: Callable[[Tokens, Picture, Picture], str]
    """How what one picture has and the other lacks is written."""
    min_pairs: int = 1
    is_beside: bool = False
    """Whether the two are the same but for the format."""


def read_unmarked(pictures: Sequence[Picture]) -> list[Guess]:
    """Guess which pictures are images and masks, likeliest first."""
    guesses: list[Guess] = []
    for kind in _KINDS:
        found = _pairs_by_difference(kind, pictures)
        used: set[Picture] = set()
        for (one, other), pairs in found.items():
            if len(pairs) >= kind.min_pairs:
                guesses += _guess(kind, one, other, pairs)
                used.update(picture for pair in pairs for picture in pair)
        pictures = [picture for picture in pictures if picture not in used]
    guesses = [guess for guess in guesses if guess.matches]
    guesses.sort(key=lambda guess: (-len(guess.matches) * guess.sureness, guess.key))
    return guesses[:_MAX_GUESSES]


_Side = tuple[str, ...]
_Pairs = list[tuple[Picture, Picture]]


def _pairs_by_difference(
    kind: _Kind, pictures: Sequence[Picture]
) -> dict[tuple[_Side, _Side], _Pairs]:
    """Pairs of pictures by how they differ; by numbers or splits alone they are no pair."""
    found: dict[tuple[_Side, _Side], _Pairs] = defaultdict(list)
    for group in kind.groups(pictures):
        if 2 <= len(group) <= _MAX_ALIKE:
            for first, second in combinations(group, 2):
                one, other = kind.sides(first, second)
                if one < other:
                    found[one, other].append((first, second))
                elif other < one:
                    found[other, one].append((second, first))
    return found


def _guess(kind: _Kind, one: _Side, other: _Side, pairs: _Pairs) -> Iterator[Guess]:
    """The guess that pairs make, and the same the other way round where nothing decides."""
    scores = [
        _score(side, [pair[place] for pair in pairs]) for place, side in ((0, one), (1, other))
    ]
    if scores[1] < scores[0]:
        one, other = other, one
        pairs = [(second, first) for first, second in pairs]
        scores.reverse()
    sureness = kind.worth * _sureness_of_roles(kind, scores[0], scores[1])
    yield _make(kind, one, other, pairs, sureness)
    if sureness < _SURE:
        swapped = [(second, first) for first, second in pairs]
        yield _make(kind, other, one, swapped, sureness / 2)


_Score = tuple[int, int, int, object]
_SURE = 0.8


def _score(side: _Side, pictures: Sequence[Picture]) -> _Score:
    """Sorts the side that is likelier the images first."""
    suffix = Counter(picture.suffix for picture in pictures).most_common(1)[0][0]
    return words.call_of(side), _SUFFIX_ORDER[suffix], len(side), natural_key(" ".join(side))


def _sureness_of_roles(kind: _Kind, image: _Score, mask: _Score) -> float:
    if image[0] != mask[0]:
        return 0.9 if image[0] == words.Call.IMAGE else 0.7
    if image[1] != mask[1]:
        # A JPEG beside a PNG of the same name is a habit; in folders it may be by chance.
        return 0.9 if image[1] == 0 and kind.is_beside else 0.7
    return 0.6 if min(image[2], mask[2]) == 0 else 0.4


def _make(kind: _Kind, one: _Side, other: _Side, pairs: _Pairs, sureness: float) -> Guess:
    masks: dict[Picture, list[Picture]] = defaultdict(list)
    images: dict[Picture, list[Picture]] = defaultdict(list)
    for image, mask in pairs:
        masks[image].append(mask)
        images[mask].append(image)
    matches, ambiguous = [], []
    for image in sorted(masks, key=lambda picture: picture.position):
        if len(masks[image]) == 1 and len(images[masks[image][0]]) == 1:
            matches.append((image, masks[image][0]))
        else:
            ambiguous.append((image, masks[image]))
    image, mask = pairs[0]
    facts = {
        "images": kind.shown(one, image, mask) or image.name.rpartition("/")[2],
        "masks": kind.shown(other, mask, image) or mask.name.rpartition("/")[2],
        "image": image.name,
        "mask": mask.name,
    }
    doubts = () if sureness >= _SURE else (Note(_WHICH_IS_WHICH, facts),)
    title = Note("masks “{masks}” of the images “{images}”", facts)
    key = f"{'-'.join(one) or '-'}>{'-'.join(other) or '-'}"
    return Guess(key, title, Note(kind.reason, facts), sureness, matches, ambiguous, doubts)


_WHICH_IS_WHICH = (
    "Nothing in the names says for certain which is the image: “{image}” was taken for the image "
    "and “{mask}” for its mask. If it is the other way round, take the proposal that says so."
)


def _show_words(side: _Side, picture: Picture, other: Picture) -> str:
    """Words of a file name, as they are written."""
    found = [token for token in words.tokens_in(picture.stem) if token.text in side]
    return " ".join(picture.stem[token.start : token.end] for token in found)


def _show_suffix(side: _Side, picture: Picture, other: Picture) -> str:
    return picture.suffix


def _show_folders(side: _Side, picture: Picture, other: Picture) -> str:
    """The folders that have the words."""
    return "/".join(
        part
        for part in picture.folder.parts
        if part not in other.folder.parts and not set(side).isdisjoint(words.tokens_of(part))
    )


def _show_file(side: _Side, picture: Picture, other: Picture) -> str:
    return picture.name.rpartition("/")[2]


def _same_file_but_suffix(pictures: Sequence[Picture]) -> Iterable[list[Picture]]:
    return _grouped((picture, (picture.folder, picture.plain_stem)) for picture in pictures)


def _suffix_sides(one: Picture, other: Picture) -> tuple[_Side, _Side]:
    sides = [(_SUFFIX_NAMES.get(each.suffix, each.suffix),) for each in (one, other)]
    return sides[0], sides[1]


_SUFFIX_NAMES = {".jpeg": ".jpg", ".jpe": ".jpg", ".jfif": ".jpg", ".tiff": ".tif"}


def _in_parallel_folders(
    pictures: Sequence[Picture], name_of: Callable[[Picture], Hashable]
) -> Iterable[list[Picture]]:
    """Pictures of one name whose paths differ in one folder."""

    def keys() -> Iterator[tuple[Picture, Hashable]]:
        around: dict[Folder, list[Hashable]] = {}
        for picture in pictures:
            parts = picture.folder.parts
            if picture.folder not in around:
                around[picture.folder] = [
                    (parts[:place], parts[place + 1 :]) for place in range(len(parts))
                ]
            name = name_of(picture)
            for key in around[picture.folder]:
                yield picture, (key, name)

    return _grouped(keys())


def _stem_of(picture: Picture) -> Hashable:
    return picture.plain_stem


def _tokens_of(picture: Picture) -> Hashable:
    return without_zeros(picture.tokens)


def _with_same_stem_in_parallel(pictures: Sequence[Picture]) -> Iterable[list[Picture]]:
    return _in_parallel_folders(pictures, _stem_of)


def _with_same_tokens_in_parallel(pictures: Sequence[Picture]) -> Iterable[list[Picture]]:
    return _in_parallel_folders(pictures, _tokens_of)


def _with_same_core_in_parallel(pictures: Sequence[Picture]) -> Iterable[list[Picture]]:
    by_folder: dict[Folder, list[Tokens]] = defaultdict(list)
    for picture in pictures:
        by_folder[picture.folder].append(picture.tokens)
    # The last choice leaves out the most: what all names begin with and what they end with.
    shared = {folder: (affixes(group) or [(0, 0)])[-1] for folder, group in by_folder.items()}

    def core_of(picture: Picture) -> Hashable:
        front, back = shared[picture.folder]
        rest = picture.tokens[len(picture.tokens) - back :]
        numbers = tuple(word for word in rest if words.is_number(word))
        core = picture.tokens[front : len(picture.tokens) - back]
        return (core, numbers) if core else picture.name

    return _in_parallel_folders(pictures, core_of)


def _with_same_stem(pictures: Sequence[Picture]) -> Iterable[list[Picture]]:
    return _grouped((picture, picture.plain_stem) for picture in pictures)


def _folder_sides(one: Picture, other: Picture) -> tuple[_Side, _Side]:
    """The words in which the folders of two pictures differ; subjects differ in numbers only."""
    if one.folder is other.folder:
        return (), ()
    sides = [
        tuple(
            word
            for name in folder.names
            for word in name
            if word != SPLIT_MARK and not any(word in each for each in there.names)
        )
        for folder, there in ((one.folder, other.folder), (other.folder, one.folder))
    ]
    said = [tuple(word for word in side if not words.is_number(word)) for side in sides]
    return (sides[0], sides[1]) if said[0] != said[1] else ((), ())


def _folder_sides_without_numbers(one: Picture, other: Picture) -> tuple[_Side, _Side]:
    """The same where folders may be those of subjects, whose numbers differ with each."""
    sides = _folder_sides(one, other)
    first, second = (tuple(w for w in side if not words.is_number(w)) for side in sides)
    return first, second


def _beside_longer_names(pictures: Sequence[Picture]) -> Iterable[list[Picture]]:
    """`1.png` and `1_x.png`, or `1_x.png` and `1_y.png`, in one folder."""

    def keys() -> Iterator[tuple[Picture, Hashable]]:
        for picture in pictures:
            folder, tokens = picture.folder, picture.tokens
            if tokens and not words.is_number(tokens[-1]):
                yield picture, (folder, "end", tokens[:-1])
            if tokens and not words.is_number(tokens[0]):
                yield picture, (folder, "begin", tokens[1:])
            for side in ("end", "begin"):
                yield picture, (folder, side, tokens)

    return _grouped(keys())


def _affix_sides(one: Picture, other: Picture) -> tuple[_Side, _Side]:
    sides = []
    for tokens, there in ((one.tokens, other.tokens), (other.tokens, one.tokens)):
        sides.append(tuple(word for word in tokens if word not in there))
    return sides[0], sides[1]


def _grouped(pictures: Iterable[tuple[Picture, Hashable]]) -> list[list[Picture]]:
    groups: dict[Hashable, list[Picture]] = defaultdict(list)
    for picture, key in pictures:
        groups[key].append(picture)
    return [group for group in groups.values() if len(group) > 1]


_KINDS = (
    _Kind(
        _same_file_but_suffix,
        _suffix_sides,
        "Image and mask have the same file name and differ in format: “{image}” and “{mask}”.",
        1.0,
        _show_suffix,
        is_beside=True,
    ),
    _Kind(
        with_fixed_names,
        fixed_sides,
        "The folder of each sample has the same file names: “{image}” and “{mask}”.",
        0.8,
        _show_file,
        min_pairs=2,
    ),
    _Kind(
        _with_same_stem_in_parallel,
        _folder_sides,
        "Folders “{images}” and “{masks}” lie in parallel and have the same file names.",
        1.0,
        _show_folders,
    ),
    _Kind(
        _with_same_tokens_in_parallel,
        _folder_sides,
        "Folders “{images}” and “{masks}” lie in parallel and have the same file names but for "
        "zeros before numbers.",
        0.8,
        _show_folders,
    ),
    _Kind(
        _with_same_core_in_parallel,
        _folder_sides,
        "Folders “{images}” and “{masks}” lie in parallel; their file names differ in a part that "
        "all names of a folder share.",
        0.8,
        _show_folders,
    ),
    _Kind(
        _beside_longer_names,
        _affix_sides,
        "File names differ in a word: “{image}” and “{mask}”.",
        0.8,
        _show_words,
        min_pairs=2,
    ),
    _Kind(
        _with_same_stem,
        _folder_sides_without_numbers,
        "The same file name occurs twice, in different folders: “{image}” and “{mask}”.",
        0.8,
        _show_folders,
    ),
)
