"""Findings about copies: the same image twice, with other masks, or on both sides of a split."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from engine.datasets.quality.facts import SampleFacts
from engine.datasets.quality.findings import Finding, Fix, Severity
from engine.datasets.quality.fingerprints import pixel_hash
from engine.notes import Note
from engine.store.datasets import Sample

Key = TypeVar("Key")
Member = TypeVar("Member")
_Facts = Sequence[SampleFacts | None]


def copy_findings(samples: Sequence[Sample], facts: _Facts) -> Iterator[Finding]:
    """What is noticed about copies.

    Args:
        facts: of each sample; those without are compared by their twins alone.
    """
    yield from _conflicting_duplicates(samples, facts)
    yield from _exact_duplicates(samples, facts)
    yield from _near_duplicates(samples, facts)
    yield from _leaking_twins(samples)
    yield from _group_leaks(samples)


def _conflicting_duplicates(samples: Sequence[Sample], facts: _Facts) -> Iterator[Finding]:
    """The same image with different masks."""
    clusters = [c for c in _exact(samples, facts) if len({each.mask_hash for _, each in c}) > 1]
    if clusters:
        first, second = clusters[0][:2]
        note = Note(
            "Images that occur several times with different masks: {num}, such as “{first}” and "
            "“{second}”. Keep the right one.",
            {"num": len(clusters), "first": first[0].name, "second": second[0].name},
        )
        yield _of_clusters(
            "conflicting_duplicates", "error", note, [[s for s, _ in c] for c in clusters]
        )


def _exact_duplicates(samples: Sequence[Sample], facts: _Facts) -> Iterator[Finding]:
    """The same image with the same mask. The fix keeps one of each, in training if possible."""
    clusters: list[list[Sample]] = []
    surplus: list[int] = []
    for cluster in _exact(samples, facts):
        same = list(_by_key((each.mask_hash, sample) for sample, each in cluster))
        clusters += same
        for copies in same:
            in_order = sorted(copies, key=lambda sample: sample.split != "train")
            surplus += [sample.position for sample in in_order[1:]]
    if clusters:
        note = Note(
            "Images that occur several times with the same mask: {num}, such as “{first}” and "
            "“{second}”; each counts several times.",
            {
                "num": len(clusters),
                "first": clusters[0][0].name,
                "second": clusters[0][1].name,
            },
        )
        left = {sample.split for sample in samples if sample.position not in set(surplus)}
        fix = Fix("leave_out", tuple(sorted(surplus))) if left >= {"train", "val"} else None
        yield _of_clusters("exact_duplicates", "warning", note, clusters, fix)


def _near_duplicates(samples: Sequence[Sample], facts: _Facts) -> Iterator[Finding]:
    """Different images that look the same. They stay together in splits, so it is only a note."""
    hashes = {
        sample.position: pixel_hash(each.fingerprint)
        for sample, each in zip(samples, facts, strict=True)
        if each is not None
    }
    clusters = [
        cluster
        for cluster in _by_key((sample.twins, sample) for sample in samples)
        if len({hashes.get(sample.position) for sample in cluster}) > 1
    ]
    if clusters:
        note = Note(
            "{num} samples look almost the same as another, such as “{first}” and “{second}”. "
            "A split keeps them together.",
            {
                "num": sum(map(len, clusters)),
                "first": clusters[0][0].name,
                "second": clusters[0][1].name,
            },
        )
        yield _of_clusters("near_duplicates", "note", note, clusters)


def _leaking_twins(samples: Sequence[Sample]) -> Iterator[Finding]:
    """Copies of an image in several parts of the split."""
    clusters = _across_parts(_by_key((sample.twins, sample) for sample in samples))
    if clusters:
        note = Note(
            "{num} samples have copies in another part of the split, such as “{first}” ({part}) "
            "and “{second}” ({other_part}): their scores would be too good.",
            _example_of(clusters),
        )
        yield _of_clusters("leaks", "error", note, clusters, _to_train(samples, clusters))


def _group_leaks(samples: Sequence[Sample]) -> Iterator[Finding]:
    """Groups that folders have divided."""
    clusters = _across_parts(_by_key((sample.group, sample) for sample in samples))
    if clusters:
        note = Note(
            "{num_groups} groups lie in several parts of the split, such as “{group}” with "
            "“{first}” ({part}) and “{second}” ({other_part}): scores may be too good.",
            {
                "num_groups": len(clusters),
                "group": clusters[0][0].group,
                **_example_of(clusters),
            },
        )
        yield _of_clusters("group_leaks", "warning", note, clusters, _to_train(samples, clusters))


def _exact(samples: Sequence[Sample], facts: _Facts) -> Iterator[list[tuple[Sample, SampleFacts]]]:
    """Samples with the very same image, two or more."""
    return _by_key(
        (pixel_hash(each.fingerprint), (sample, each))
        for sample, each in zip(samples, facts, strict=True)
        if each is not None
    )


def _by_key(pairs: Iterable[tuple[Key | None, Member]]) -> Iterator[list[Member]]:
    """Members with the same key, two or more, by first member; those without a key are left out."""
    clusters: dict[Key, list[Member]] = {}
    for key, member in pairs:
        if key is not None:
            clusters.setdefault(key, []).append(member)
    return (cluster for cluster in clusters.values() if len(cluster) > 1)


def _across_parts(clusters: Iterable[list[Sample]]) -> list[list[Sample]]:
    return [cluster for cluster in clusters if len({sample.split for sample in cluster}) > 1]


def _example_of(clusters: Sequence[Sequence[Sample]]) -> dict[str, object]:
    first = clusters[0][0]
    second = next(sample for sample in clusters[0] if sample.split != first.split)
    return {
        "num": sum(map(len, clusters)),
        "first": first.name,
        "part": first.split,
        "second": second.name,
        "other_part": second.split,
    }


def _to_train(samples: Sequence[Sample], clusters: Iterable[Sequence[Sample]]) -> Fix | None:
    """The fix that moves clusters to training, unless too little would be left to validate on."""
    moved = sorted(s.position for cluster in clusters for s in cluster if s.split != "train")
    before = {sample.split for sample in samples}
    left = {s.split for s in samples if s.position not in set(moved)} | {"train"}
    return Fix("regroup", tuple(moved)) if left >= before else None


def _of_clusters(
    key: str,
    severity: Severity,
    note: Note,
    clusters: Sequence[Sequence[Sample]],
    fix: Fix | None = None,
) -> Finding:
    positions = tuple(tuple(sample.position for sample in cluster) for cluster in clusters)
    return Finding(
        key=key,
        severity=severity,
        note=note,
        samples=tuple(sorted(position for cluster in positions for position in cluster)),
        clusters=positions,
        fix=fix,
    )
