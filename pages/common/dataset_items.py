"""One sample in a few words and marks: its cell in the gallery, and its facts."""

from collections.abc import Mapping, Sequence

from engine.datasets.quality.findings import Finding
from engine.store.datasets import Dataset, Sample
from pages.common import formats, links
from pages.common.dataset_findings import finding_word
from pages.common.dataset_numbers import num_objects
from pages.common.gallery import BadgeKind, Item
from pages.common.texts import _, split_word

_MAX_BADGES = 2
_SPLIT_COLORS: Mapping[str, BadgeKind] = {"train": "gray", "val": "blue", "test": "green"}
_SEVERITY_COLORS: Mapping[str, BadgeKind] = {"error": "red", "warning": "orange", "note": "gray"}


def gallery_items(
    dataset: Dataset,
    samples: Sequence[Sample],
    names: Sequence[str],
    found: Mapping[int, Sequence[Finding]],
) -> tuple[Item, ...]:
    """The cells of the gallery, by position."""
    return tuple(
        Item(
            position=sample.position,
            title=names[sample.position],
            thumb_url=links.dataset_file(dataset.id, "thumbs", f"{sample.stem}.webp"),
            mask_url=_mask_url(dataset, sample),
            width_px=sample.width,
            height_px=sample.height,
            badges=_badges(sample, found.get(sample.position, ())),
        )
        for sample in samples
    )


def _mask_url(dataset: Dataset, sample: Sample) -> str:
    """The small mask; samples of early versions were not measured and have only the large one."""
    if not sample.facts:
        return links.dataset_file(dataset.id, "masks", sample.mask_file)
    return links.dataset_file(dataset.id, "thumbs", f"{sample.stem}.mask.png")


def _badges(sample: Sample, found: Sequence[Finding]) -> tuple[tuple[str, BadgeKind], ...]:
    """The part, and what is wrong with it; notes would only make it noisy."""
    grave = [each for each in found if each.severity != "note"]
    return (
        (split_word(sample.split), _SPLIT_COLORS[sample.split]),
        *(
            (finding_word(each.key), _SEVERITY_COLORS[each.severity])
            for each in grave[:_MAX_BADGES]
        ),
    )


def facts_words(sample: Sample) -> list[str]:
    """What is known of a sample, each fact a few words of markdown."""
    found = [f"**{sample.width}×{sample.height} px**", split_word(sample.split)]
    if sample.fold is not None:
        found.append(_("fold {fold}").format(fold=sample.fold))
    if sample.group is not None:
        found.append(_("group {group}").format(group=formats.plain(sample.group)))
    if sample.twins is not None:
        found.append(_("has copies"))
    objects = num_objects(sample)
    if objects is not None:
        found.append(
            _("1 object") if objects == 1 else _("{num} objects").format(num=formats.count(objects))
        )
    if "brightness" in sample.facts:
        found.append(_("brightness {share:.0%}").format(share=sample.facts["brightness"]))
    if "contrast" in sample.facts:
        found.append(_("contrast {share:.0%}").format(share=sample.facts["contrast"]))
    return found
