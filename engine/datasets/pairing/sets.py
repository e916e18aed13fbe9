"""Edges sorted into sets of masks: what a person would call one set of annotations."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from engine.datasets.pairing.edges import Edge
from engine.datasets.pairing.labels import Label, labels_of
from engine.datasets.pairing.names import Folder, Picture, Tokens

_MIN_TWIN_SHARE = 0.5
"""When this share of a set's images has the same mask in two formats, those are two sets."""
_MAX_VARIANTS = 50


@dataclass(frozen=True, slots=True)
class Match:
    """An image with its mask, or with all its instance masks."""

    image: Picture
    masks: tuple[Picture, ...]
    edge: Edge
    """The surest of those that led to it."""


@dataclass(frozen=True, slots=True)
class MaskSet:
    """One set of masks, with the images they belong to."""

    words: Tokens
    """What its masks are called by, besides their images' names."""
    variant: Tokens
    """What its folders are called besides, where that tells it from other sets."""
    image_words: Tokens
    """What its images are called by, where the same masks could belong to others."""
    suffix: str
    """The format, where the same masks exist in another."""
    matches: list[Match]
    """In natural order of the images."""
    ambiguous: list[tuple[Picture, list[Picture]]]
    """Images that were not taken, with their candidates."""

    @property
    def key(self) -> str:
        """Tells it from all other sets of the same names; tokens have no such signs within."""
        key = "-".join(self.words) or "-"
        for sign, part in (("@", self.variant), ("<", self.image_words)):
            key += sign + "-".join(part) if part else ""
        return key + self.suffix

    def pictures(self) -> set[Picture]:
        """The images and masks that it uses."""
        return {picture for match in self.matches for picture in (match.image, *match.masks)}


@dataclass(slots=True)
class _Draft:
    words: Tokens
    variant: Tokens = ()
    image_words: Tokens = ()
    suffix: str = ""
    edges: list[tuple[Edge, Label]] = field(default_factory=list)


def mask_sets(edges: Sequence[Edge]) -> list[MaskSet]:
    """The sets of masks that edges lead to; none is without a match."""
    by_words: dict[Tokens, list[tuple[Edge, Label]]] = defaultdict(list)
    for edge, label in zip(edges, labels_of(edges), strict=True):
        by_words[label.mask].append((edge, label))
    drafts = [
        formed
        for words, group in by_words.items()
        for variants in _join_variants(words, group)
        for images in _split_by_images(variants)
        for formed in _split_by_suffix(images)
    ]
    resolved = [_resolve(draft) for draft in drafts]
    return [found for found in resolved if found.matches]


def _join_variants(words: Tokens, group: Iterable[tuple[Edge, Label]]) -> list[_Draft]:
    """One draft for all variants, unless an image has a mask in several.

    `cells/ann/1.png` and `cells/bob/2.png` are one set by two people; with the same images in
    both, they are two opinions. A great many are instances.
    """
    by_variant: dict[Tokens, list[tuple[Edge, Label]]] = defaultdict(list)
    for edge, label in group:
        by_variant[label.variant].append((edge, label))
    joined: list[tuple[_Draft, set[Picture]]] = []
    largest_first = sorted(by_variant.items(), key=lambda each: (-len(each[1]), each[0]))
    for variant, found in largest_first:
        images = {edge.image for edge, _ in found}
        draft, taken = next(
            ((draft, taken) for draft, taken in joined if taken.isdisjoint(images)), (None, None)
        )
        if draft is None or taken is None:
            draft, taken = _Draft(words, variant), set()
            joined.append((draft, taken))
        draft.edges += found
        taken |= images
        if len(joined) > _MAX_VARIANTS:
            every = [
                (replace(edge, is_instance=True), label)
                for found in by_variant.values()
                for edge, label in found
            ]
            return [_Draft(words, edges=every)]
    if len(joined) == 1:
        joined[0][0].variant = ()
    return [draft for draft, _ in joined]


def _split_by_images(draft: _Draft) -> list[_Draft]:
    """A draft for each kind of image, where the masks fit several: `t1/1.png` and `t2/1.png`."""
    kinds_by_mask: dict[Picture, set[Tokens]] = defaultdict(set)
    for edge, label in draft.edges:
        kinds_by_mask[edge.mask].add(label.image)
    rivals = Counter(kind for kinds in kinds_by_mask.values() if len(kinds) > 1 for kind in kinds)
    if not rivals:
        return [draft]
    first = min(rivals, key=lambda kind: (-rivals[kind], kind))
    drafts = {kind: _Draft(draft.words, draft.variant, kind) for kind in sorted(rivals)}
    for edge, label in draft.edges:
        drafts.get(label.image, drafts[first]).edges.append((edge, label))
    return list(drafts.values())


def _split_by_suffix(draft: _Draft) -> list[_Draft]:
    """A draft for each format, where most masks exist in several."""
    suffixes: dict[tuple[Picture, Folder, str], set[str]] = defaultdict(set)
    for edge, _ in draft.edges:
        suffixes[edge.image, edge.mask.folder, edge.mask.plain_stem].add(edge.mask.suffix)
    num_twins = sum(len(found) > 1 for found in suffixes.values())
    if num_twins < _MIN_TWIN_SHARE * len(suffixes) or not num_twins:
        return [draft]
    drafts: dict[str, _Draft] = {}
    for edge, label in draft.edges:
        suffix = edge.mask.suffix
        one = drafts.setdefault(
            suffix, _Draft(draft.words, draft.variant, draft.image_words, suffix)
        )
        one.edges.append((edge, label))
    return list(drafts.values())


def _resolve(draft: _Draft) -> MaskSet:
    """Give every image its masks, or say that they are not certain."""
    by_mask: dict[Picture, list[Edge]] = defaultdict(list)
    for edge, _ in draft.edges:
        by_mask[edge.mask].append(edge)
    by_image: dict[Picture, list[Edge]] = defaultdict(list)
    shared: set[Picture] = set()
    for mask, found in by_mask.items():
        best = _surest(found)
        for edge in best:
            by_image[edge.image].append(edge)
        if len(best) > 1:
            shared.add(mask)
    matches: list[Match] = []
    ambiguous: list[tuple[Picture, list[Picture]]] = []
    for image in sorted(by_image, key=lambda picture: picture.position):
        best = _surest(by_image[image])
        if not _belong_together(best):
            least = min(edge.misfit for edge in best)
            best = [edge for edge in best if edge.misfit == least]
        masks = sorted((edge.mask for edge in best), key=lambda picture: picture.position)
        if shared.isdisjoint(masks) and _belong_together(best):
            matches.append(Match(image, tuple(masks), min(best, key=lambda edge: edge.level)))
        else:
            ambiguous.append((image, masks))
    return MaskSet(draft.words, draft.variant, draft.image_words, draft.suffix, matches, ambiguous)


def _surest(edges: list[Edge]) -> list[Edge]:
    if len(edges) == 1:
        return edges
    ranks = [edge.rank for edge in edges]
    best = min(ranks)
    return [edge for edge, rank in zip(edges, ranks, strict=True) if rank == best]


def _belong_together(edges: Sequence[Edge]) -> bool:
    """Whether an image's masks are its only one, or instances that are to be merged."""
    if len(edges) == 1:
        return True
    files = {(edge.mask.folder, edge.mask.plain_stem) for edge in edges}
    return len(files) == len(edges) and sum(not edge.is_instance for edge in edges) <= 1
