"""The reading of names that say what they are: which pictures are masks, and of which images."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from engine.datasets.pairing import words
from engine.datasets.pairing.edges import ANY, NUMBER, Edge, Level, split_extra
from engine.datasets.pairing.names import Folder, Picture, Tokens
from engine.datasets.pairing.search import Images, without_zeros

_MIN_SHARE_CALLED_ALIKE = 0.5
"""Of images whose masks have names of their own: when this share has a `liver.png`, those are a
set; rarer names are instances."""
_MIN_LETTERS = 3


@dataclass(frozen=True, slots=True)
class MarkedReading:
    """Pictures told apart, and which may belong together."""

    images: list[Picture]
    edges: list[Edge]


def read_marks(pictures: Sequence[Picture]) -> MarkedReading:
    """Tell masks from images by words in their names, and find each mask's images.

    The names of folders come first: in `annot/img_1.png` the folder is right. A word in a file's
    name counts when it leads to an image, as in `1_mask.png` beside `1.png`; otherwise it is just
    a word, as in `label_free_cells_1.png`.
    """
    in_mask_folders = [picture for picture in pictures if picture.folder.role == "mask"]
    others = [picture for picture in pictures if picture.folder.role != "mask"]
    edges = _edges_by_file_names(others, in_mask_folders)
    marked = {edge.mask for edge in edges}
    images = [picture for picture in others if picture not in marked]
    edges = _name_sets(edges + _edges_by_folders(images, in_mask_folders))
    return MarkedReading(images, edges)


def _edges_by_file_names(
    pictures: Sequence[Picture], in_mask_folders: Iterable[Picture]
) -> list[Edge]:
    with_mask = {(mask.folder.near_place, mask.plain_stem) for mask in in_mask_folders}
    marked = [
        picture
        for picture in pictures
        if picture.is_marked and (picture.folder.near_place, picture.plain_stem) not in with_mask
    ]
    if not marked:
        return []
    edges = _look_up(Images(pictures), marked, pictures)
    by_mask: dict[Picture, list[Edge]] = defaultdict(list)
    for edge in edges:
        by_mask[edge.mask].append(edge)
    return [followed for edge in edges for followed in _follow(edge, by_mask.get(edge.image, ()))]


def _follow(edge: Edge, further: Sequence[Edge]) -> list[Edge]:
    """A mask of a mask, such as `label_viz.png` beside `label.png`, is one of the latter's image.

    Args:
        further: edges from what the edge takes for an image, if that is a mask itself.
    """
    if not further:
        return [edge]
    return [
        replace(
            edge,
            image=next_one.image,
            level=max(edge.level, next_one.level),
            key=next_one.key,
            extra=next_one.extra + edge.extra,
            image_extra=next_one.image_extra,
        )
        for next_one in further
        if not next_one.image.is_marked and next_one.image is not edge.mask
    ]


def _edges_by_folders(images: Sequence[Picture], masks: Sequence[Picture]) -> list[Edge]:
    if not masks:
        return []
    index = Images(images)
    found = {mask: index.beside(mask) for mask in masks}
    # Where some names in a folder say which image is meant, the others are no instances.
    named = {mask.folder for mask, edges in found.items() if edges}
    found |= {mask: index.at_home(mask) for mask in masks if mask.folder not in named}
    found |= _edges_to_lone_images(images, found)
    waiting = [mask for mask, edges in found.items() if not edges]
    edges = [edge for edges in found.values() for edge in edges]
    return edges + _look_up(index, waiting, images)


def _look_up(index: Images, masks: Iterable[Picture], images: Sequence[Picture]) -> list[Edge]:
    found = {mask: index.beside(mask) or index.anywhere(mask) for mask in masks}
    waiting = [mask for mask, edges in found.items() if not edges]
    if waiting and not _zeros_tell_apart(images):
        index = Images(images, with_zeros=False)
        found |= {mask: index.beside(mask) or index.anywhere(mask) for mask in waiting}
    return [edge for edges in found.values() for edge in edges]


def _zeros_tell_apart(images: Iterable[Picture]) -> bool:
    """Whether there are images such as 1 and 01."""
    names = {(image.folder, image.tokens) for image in images}
    return len({(folder, without_zeros(tokens)) for folder, tokens in names}) < len(names)


def _edges_to_lone_images(
    images: Iterable[Picture], found: dict[Picture, list[Edge]]
) -> dict[Picture, list[Edge]]:
    """Edges of masks whose names say nothing, as those of a nucleus each, in a folder per sample.

    They are taken where most folders of masks need it, and then for all masks that lie so; else
    the nameless ones are strays.
    """
    by_place: dict[Tokens, list[Picture]] = defaultdict(list)
    for image in images:
        by_place[image.folder.place].append(image)
    folders: dict[Folder, Picture] = {}
    waiting: set[Folder] = set()
    all_folders: set[Folder] = set()
    for mask, edges in found.items():
        all_folders.add(mask.folder)
        beside = by_place.get(mask.folder.place, ())
        if mask.folder.place and len(beside) == 1:
            folders[mask.folder] = beside[0]
            if not edges:
                waiting.add(mask.folder)
    if 2 * len(waiting) < len(all_folders) or not waiting:
        return {}
    return {
        mask: [_edge_to_lone_image(folders[mask.folder], mask)]
        for mask in found
        if mask.folder in folders
    }


def _edge_to_lone_image(image: Picture, mask: Picture) -> Edge:
    extra, is_instance = split_extra((), mask.tokens)
    return Edge(
        image=image,
        mask=mask,
        level=Level.ALONE,
        is_near=True,
        key=(),
        extra=extra,
        image_extra=(),
        is_instance=is_instance,
    )


def _name_sets(edges: Sequence[Edge]) -> list[Edge]:
    """The edges, with what the masks are called beside their images settled.

    A name that recurs is that of a set: `1_left_mask.png` for several images, or `liver.png` in the
    folders of most. One that does not is an instance's, or where it merely begins like an image
    that has a mask of its own, a stray.
    """
    loose = [edge for edge in edges if _is_loosely_named(edge)]
    num_images = len({edge.image for edge in loose})
    times = Counter(name for _, name in {(edge.image, _called(edge)) for edge in loose})

    def is_set(edge: Edge) -> bool:
        share = _MIN_SHARE_CALLED_ALIKE if edge.level in _NAMELESS else 0
        return bool(_called(edge)) and times[_called(edge)] >= max(2, share * num_images)

    sure = {edge.image for edge in edges if not _is_loosely_named(edge) or is_set(edge)}
    named = []
    for edge in edges:
        if not _is_loosely_named(edge):
            named.append(edge)
        elif is_set(edge):
            named.append(replace(edge, extra=_called(edge)))
        elif edge.level not in _NAMELESS and edge.image in sure:
            continue
        elif words.MASK_WORDS.isdisjoint(_called(edge)):
            named.append(replace(edge, extra=(ANY,), is_instance=True))
        else:
            named.append(edge)
    return named


_NAMELESS = (Level.HOME, Level.ALONE)


def _is_loosely_named(edge: Edge) -> bool:
    return edge.level in _NAMELESS or not all(map(words.is_known, edge.extra))


def _called(edge: Edge) -> Tokens:
    """What a mask is called besides its image; nothing where it looks like a number or a hash."""
    if edge.level not in _NAMELESS:
        return edge.extra
    if any(map(words.is_number, edge.mask.tokens[:-1])) or len("".join(edge.extra)) < _MIN_LETTERS:
        return ()
    return tuple(word for word in edge.extra if word != NUMBER)
