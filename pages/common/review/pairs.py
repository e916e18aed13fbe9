"""What a pairing gives, as tables and words. Pure functions of what the engine says."""

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import pandas as pd

from engine.datasets.decode import PictureHeader
from engine.datasets.pairing import PICTURE_SUFFIXES, Pair, Proposal, natural_key
from engine.datasets.preview import SizeMismatch
from pages.common import formats
from pages.common.texts import _, record_text, split_word

TABLE_ROWS = 200
"""Pairs that the page shows; all of them are in the CSV."""

_HIGH, _FAIR = 0.8, 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class SizeGroup:
    """Pairs whose image and mask differ in size in the same way."""

    image_size: str
    mask_size: str
    num_pairs: int
    example: str
    """Name of the mask of the first."""
    is_close: bool
    """Whether cropping accepts them."""


def confidence_words(confidence: float) -> str:
    """A word and a share: “sure (92 %)”."""
    word = _("doubtful")
    if confidence >= _HIGH:
        word = _("sure")
    elif confidence >= _FAIR:
        word = _("likely")
    return _("{word}, {percent} %").format(word=word, percent=round(100 * confidence))


def proposal_title(proposal: Proposal) -> str:
    """One line for the list of proposals, as markdown."""
    return _("{title} · {pairs} pairs · {confidence}").format(
        title=formats.plain(record_text(proposal.title.to_record())),
        pairs=formats.count(len(proposal.pairs)),
        confidence=confidence_words(proposal.confidence),
    )


def proposal_caption(proposal: Proposal, chosen: Proposal | None) -> str:
    """What speaks against a proposal and, when it is the chosen one, why it is made; as markdown.

    Of the others, only what does not stand below the chosen one already; nothing beside a rule of
    one's own.
    """
    if chosen is None:
        return ""
    notes = [*proposal.doubts]
    if proposal.key == chosen.key:
        notes = [proposal.reason, *notes]
    else:
        said = {note.message for note in chosen.doubts}
        notes = [note for note in notes if note.message not in said]
    return " ".join(formats.plain(record_text(note.to_record())) for note in notes)


def masks_text(masks: Sequence[str]) -> str:
    """A mask, or how many instance masks."""
    if len(masks) == 1:
        return masks[0]
    return _("{num} masks, the first {first}").format(num=len(masks), first=masks[0])


def pair_table(pairs: Sequence[Pair]) -> pd.DataFrame:
    """The first pairs, one row each; the split only where folders give one."""
    shown = pairs[:TABLE_ROWS]
    table = pd.DataFrame(
        {
            "image": formats.without_shared_folders([pair.image for pair in shown]),
            "masks": [
                masks_text((first, *pair.masks[1:]))
                for pair, first in zip(
                    shown,
                    formats.without_shared_folders([pair.masks[0] for pair in shown]),
                    strict=True,
                )
            ],
        }
    )
    if any(pair.split for pair in pairs):
        table["split"] = [split_word(pair.split) if pair.split else "" for pair in shown]
    return table


def pairs_csv(pairs: Sequence[Pair]) -> str:
    """All pairs: image, mask, split; an image with several masks has a line for each."""
    return _csv(
        ("image", "mask", "split"),
        ((pair.image, mask, pair.split or "") for pair in pairs for mask in pair.masks),
    )


def left_out_csv(proposal: Proposal) -> str:
    """All pictures that were not paired, and the candidates of the ambiguous ones."""
    rows = [(name, "unmatched", "") for name in proposal.unmatched]
    rows += [(each.image, "ambiguous", " | ".join(each.candidates)) for each in proposal.ambiguous]
    return _csv(("file", "why", "candidates"), rows)


def folders(names: Sequence[str]) -> dict[str, int]:
    """The folders that directly hold pictures, in natural order, with how many."""
    found: Counter[str] = Counter()
    for name in names:
        path = PurePosixPath(name)
        if path.suffix.lower() in PICTURE_SUFFIXES:
            found["/".join(path.parts[:-1])] += 1
    return {folder: found[folder] for folder in sorted(found, key=natural_key)}


def size_groups(mismatches: Sequence[SizeMismatch]) -> list[SizeGroup]:
    """Mismatches of the same two sizes together, the most frequent first."""
    grouped: dict[tuple[tuple[int, int], tuple[int, int]], list[SizeMismatch]] = {}
    for each in mismatches:
        grouped.setdefault((each.image_size, each.mask_size), []).append(each)
    groups = [
        SizeGroup(
            image_size=_size(found[0].image_size),
            mask_size=_size(found[0].mask_size),
            num_pairs=len(found),
            example=found[0].pair.masks[0],
            is_close=found[0].is_close,
        )
        for found in grouped.values()
    ]
    return sorted(groups, key=lambda group: -group.num_pairs)


def mismatch_words(groups: Sequence[SizeGroup]) -> str:
    """What differs, in one sentence: the most frequent case and how many more there are."""
    first = groups[0]
    template = _(
        "{num} masks are {mask_size} px, their images {image_size} px, such as “{example}”."
    )
    if first.num_pairs == 1:
        template = _("The mask “{example}” is {mask_size} px, its image {image_size} px.")
    sentence = template.format(
        num=first.num_pairs,
        mask_size=first.mask_size,
        image_size=first.image_size,
        example=first.example,
    )
    others = sum(group.num_pairs for group in groups[1:])
    if others:
        more = _("1 more differs in another way.")
        if others > 1:
            more = _("{num} more differ in other ways.").format(num=others)
        sentence = f"{sentence} {more}"
    return sentence


def mismatch_effect(groups: Sequence[SizeGroup], choice: str) -> str:
    """What becomes of the samples under a choice."""
    num_all = sum(group.num_pairs for group in groups)
    num_close = sum(group.num_pairs for group in groups if group.is_close)
    if choice == "skip":
        return _("Left out: {num}.").format(num=num_all)
    if choice == "resize":
        return _("Masks brought to the size of their image: {num}.").format(num=num_all)
    if num_close == num_all:
        return _("Cut to what image and mask share: {num}.").format(num=num_all)
    return _(
        "Cut to what image and mask share: {num_close}. Left out, as they differ by too much: "
        "{num_far}."
    ).format(num_close=num_close, num_far=num_all - num_close)


def channel_counts(pairs: Sequence[Pair], headers: Mapping[str, PictureHeader]) -> dict[int, int]:
    """How many images have so many channels, where there is a choice among them."""
    counts = Counter(headers[pair.image].num_channels for pair in pairs if pair.image in headers)
    return {channels: counts[channels] for channels in sorted(counts) if channels not in (1, 3)}


def image_sizes(pairs: Sequence[Pair], headers: Mapping[str, PictureHeader]) -> dict[str, int]:
    """How many images have which size, upright."""
    return dict(
        Counter(_size(headers[pair.image].upright_size) for pair in pairs if pair.image in headers)
    )


def _size(width_height: tuple[int, int]) -> str:
    return f"{width_height[0]}×{width_height[1]}"


def _csv(header: Sequence[str], rows: object) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows(rows)  # type: ignore[arg-type]
    return text.getvalue()
