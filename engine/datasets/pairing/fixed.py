"""Samples that have a folder each, in which the files have fixed names: `p1/t1.png` and
`p1/lesion_mask.png`, `p2/t1.png` and `p2/lesion_mask.png`."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from engine.datasets.pairing import words
from engine.datasets.pairing.edges import Edge, Level, split_extra
from engine.datasets.pairing.names import Folder, Picture, Tokens

MAX_FIXED = 8
"""Fixed names of the images in a folder. More are samples."""
_MIN_SHARE = 0.5
"""Of the folders, which have a name for it to be fixed."""
_MIN_FIXED_SHARE = 0.8
"""Of the images in these folders, which have fixed names."""

_Place = tuple[Tokens, str | None]


def fixed_edges(masks: Iterable[Picture], images: Iterable[Picture]) -> list[Edge]:
    """Edges from each mask to the images of fixed names in its place."""
    masks_by_place = _by_place(masks)
    if len(masks_by_place) < 2:
        return []
    images_by_place = _by_place(images)
    places = [place for place in masks_by_place if place in images_by_place]
    own = [picture for place in places for picture in images_by_place[place]]
    mask_names = names_in_folders(mask for place in places for mask in masks_by_place[place])
    image_names = names_in_folders(own)
    fixed_masks, fixed = fixed_names(mask_names, len(places)), fixed_names(image_names, len(places))
    if sum(image_names[image] in fixed for image in own) < _MIN_FIXED_SHARE * len(own):
        return []
    if len(fixed) > MAX_FIXED or _are_samples(fixed):
        return []
    return [
        _edge(image, mask, image_names[image], mask_names[mask])
        for place in places
        for mask in masks_by_place[place]
        for image in images_by_place[place]
        if mask_names[mask] in fixed_masks and image_names[image] in fixed
    ]


def names_in_folders(pictures: Iterable[Picture]) -> dict[Picture, Tokens]:
    """The words of each file name, without those of a folder around it that it begins with."""
    around: dict[Folder, list[Tokens]] = {}
    found = {}
    for picture in pictures:
        folder, tokens = picture.folder, picture.tokens
        if folder not in around:
            around[folder] = [words.tokens_of(part) for part in reversed(folder.parts)]
        front = next((part for part in around[folder] if tokens[: len(part)] == part), ())
        found[picture] = tokens[len(front) :]
    return found


def fixed_names(names: Mapping[Picture, Tokens], num_folders: int) -> set[Tokens]:
    """The names that recur in most folders."""
    times = Counter(names.values())
    return {name for name, num in times.items() if num >= max(2, _MIN_SHARE * num_folders)}


def without_numbers(name: Tokens) -> Tokens:
    """The words of a name, or all of it where a number is a part of the word, as in `t1`."""
    if words.is_modality(name):
        return name
    return tuple(word for word in name if not words.is_number(word))


def with_fixed_names(pictures: Sequence[Picture]) -> list[list[Picture]]:
    """Pictures of a folder whose names recur in the folders of most samples."""
    by_folder: dict[Folder, list[Picture]] = defaultdict(list)
    for picture in pictures:
        by_folder[picture.folder].append(picture)
    groups = [group for group in by_folder.values() if len(group) > 1]
    names = names_in_folders(picture for group in groups for picture in group)
    fixed = fixed_names(names, len(groups))
    calls = set(map(words.call_of, fixed))
    is_told = len(calls) > 1 and min(calls) <= words.Call.MODALITY
    if len(fixed) > MAX_FIXED or _are_samples(fixed):
        return []
    if not is_told and len(fixed) >= len(groups):
        return []
    kept = [[picture for picture in group if names[picture] in fixed] for group in groups]
    return [group for group in kept if len(group) > 1]


def fixed_sides(one: Picture, other: Picture) -> tuple[Tokens, Tokens]:
    """The fixed names of two pictures; slices, which differ in numbers only, have none, nor have
    two kinds of image."""
    names = names_in_folders((one, other))
    if words.is_modality(names[one]) and words.is_modality(names[other]):
        return (), ()
    said = [without_numbers(names[picture]) for picture in (one, other)]
    # A single letter counts samples, as numbers do.
    if said[0] == said[1] or any(len("".join(name)) < 2 for name in said):
        return (), ()
    return names[one], names[other]


def _are_samples(fixed: Iterable[Tokens]) -> bool:
    """Whether names differ in numbers only, as slices do."""
    return max(Counter(map(without_numbers, fixed)).values(), default=0) > 1


def _by_place(pictures: Iterable[Picture]) -> dict[_Place, list[Picture]]:
    found: dict[_Place, list[Picture]] = defaultdict(list)
    for picture in pictures:
        if picture.folder.place:
            found[picture.folder.place, picture.folder.split].append(picture)
    return dict(found)


def _edge(image: Picture, mask: Picture, image_name: Tokens, mask_name: Tokens) -> Edge:
    extra, is_instance = split_extra((), mask_name)
    return Edge(
        image=image,
        mask=mask,
        level=Level.FIXED,
        is_near=True,
        key=_shared_front(image, mask, image_name, mask_name),
        extra=extra,
        image_extra=tuple(word for word in image_name if word not in words.IMAGE_WORDS),
        is_instance=is_instance,
    )


def _shared_front(
    image: Picture, mask: Picture, image_name: Sequence[str], mask_name: Sequence[str]
) -> Tokens:
    """The words of the folder that both file names begin with."""
    front = image.tokens[: len(image.tokens) - len(image_name)]
    return front if front == mask.tokens[: len(mask.tokens) - len(mask_name)] else ()
