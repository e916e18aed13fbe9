"""The reading of names that say what they are: which pictures are masks, and of which images."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from engine.datasets.pairing import words
from engine.datasets.pairing.edges import ANY, NUMBER, Edge, Level, split_extra
from engine.datasets.pairing.fixed import fixed_edges
from engine.datasets.pairing.names import Folder, Picture, Tokens
from engine.datasets.pairing.search import Images, without_zeros

_MIN_SHARE_CALLED_ALIKE = 0.5
"""Of images whose masks have names of their own: when this share has a `liver.png`, those are a
set; rarer names are instances."""
_MIN_LETTERS = 3
_MAX_RARE_NAMES = 30
"""More names that recur in a few images only are chance, and no sets."""


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
    edges += _edges_by_folders(images, in_mask_folders)
    edges += _edges_by_fixed_names(images, in_mask_folders, edges)
    marked = {edge.mask for edge in edges}
    images = [picture for picture in images if picture not in marked]
    return MarkedReading(images, _name_sets(edges))


def _edges_by_fixed_names(
    images: Iterable[Picture], in_mask_folders: Iterable[Picture], edges: Iterable[Edge]
) -> list[Edge]:
    """Edges of masks that nothing leads from yet, to images that nothing leads to."""
    used = {picture for edge in edges for picture in (edge.image, edge.mask)}
    free = [picture for picture in images if picture not in used]
    masks = [picture for picture in in_mask_folders if picture not in used]
    masks += (picture for picture in free if picture.is_marked)
    return fixed_edges(masks, [picture for picture in free if not picture.is_marked])


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
    # Beside file names that begin with folders, the same number elsewhere is another's.
    flat = {edge.mask.folder for edges in found.values() for edge in edges[:1] if _is_flat(edge)}
    waiting = [mask for mask, edges in found.items() if not edges and mask.folder not in flat]
    edges = [edge for edges in found.values() for edge in edges]
    return edges + _look_up(index, waiting, images)


def _is_flat(edge: Edge) -> bool:
    return edge.level == Level.FLAT


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
    names_of_sets, is_by_chance = _recurring_names(edges)
    sure = {
        edge.image
        for edge in edges
        if not _is_loosely_named(edge) or _called(edge) in names_of_sets
    }
    named = []
    for edge in edges:
        name = _called(edge)
        if not _is_loosely_named(edge):
            named.append(edge)
        elif name in names_of_sets:
            named.append(replace(edge, extra=name))
        elif edge.level not in _NAMELESS and edge.image in sure:
            continue
        elif words.MASK_WORDS.isdisjoint(name) or is_by_chance:
            marks = tuple(word for word in name if word in words.MASK_WORDS)
            named.append(replace(edge, extra=(*marks, ANY), is_instance=True))
        else:
            named.append(edge)
    return named


def _recurring_names(edges: Iterable[Edge]) -> tuple[set[Tokens], bool]:
    """Names of sets among those that say nothing about the image, and whether the rest recur by
    chance, as short random endings do."""
    loose = [edge for edge in edges if _is_loosely_named(edge)]
    least = max(2, _MIN_SHARE_CALLED_ALIKE * len({edge.image for edge in loose}))
    times = Counter(
        (name, is_cut)
        for _, name, is_cut in {
            (edge.image, _called(edge), edge.level not in _NAMELESS) for edge in loose
        }
        if name
    )
    common = {name for (name, _), num in times.items() if num >= least}
    rare = {name for (name, is_cut), num in times.items() if is_cut and 2 <= num < least}
    is_by_chance = len(rare) > _MAX_RARE_NAMES
    return (common if is_by_chance else common | rare), is_by_chance


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
