"""What is noticed about a dataset once all of its samples are known.

Keys of the findings, which stay the same for good:

* here: `few_samples`, `many_sizes`, `one_group`, `groups`, `likely_groups`, `constant_images`,
  `dark_images`, `bright_images`, `image_is_mask`, `tiny_objects`, `misaligned_masks`,
  `inverted_masks`;
* in `class_findings`: `no_background`, `majority_class`, `rare_class`, `missing_class_in_split`,
  `empty_masks`, `all_empty_in_split`, `full_masks`;
* in `copy_findings`: `conflicting_duplicates`, `exact_duplicates`, `near_duplicates`, `leaks`,
  `group_leaks`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from engine.datasets.quality.class_findings import class_findings
from engine.datasets.quality.copy_findings import copy_findings
from engine.datasets.quality.facts import SPECK_PX, SampleFacts, measure
from engine.datasets.quality.findings import SEVERITIES, Finding, Fix, Severity
from engine.datasets.quality.fingerprints import find_twins, likeness
from engine.datasets.splits.groups import one_sequence, propose_groups
from engine.notes import Note
from engine.store.datasets import ClassEntry, Sample

__all__ = ["Finding", "Fix", "SampleFacts", "Severity", "find_problems", "find_twins", "measure"]

FEW_SAMPLES = 10
"""With fewer samples than this, scores say little."""
MIN_NEIGHBOUR_LIKENESS, MIN_NEIGHBOUR_GAIN = 0.3, 0.2
"""Neighbours in a sequence look alike: so much, and so much more than samples far apart."""

_DARK, _BRIGHT = 12 / 255, 243 / 255
"""Grey levels that no pixel but one in a thousand exceeds, or falls below."""
_MIN_TO_COMPARE = 8
"""Masks from which on it can be told that one is unlike the others."""
_MAX_UNLIKE_SHARE = 0.25
"""When more masks are unlike the rest, the masks are of two kinds, and none is inverted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Known:
    """What the checks look at."""

    samples: Sequence[Sample]
    classes: Sequence[ClassEntry]
    facts: tuple[SampleFacts | None, ...]

    def measured(self) -> list[tuple[Sample, SampleFacts]]:
        return [
            (sample, facts)
            for sample, facts in zip(self.samples, self.facts, strict=True)
            if facts is not None
        ]


def find_problems(samples: Sequence[Sample], classes: Sequence[ClassEntry]) -> list[Finding]:
    """Everything that is noticed about a dataset, the gravest first.

    Args:
        samples: complete, with split, group, twins and facts; those without facts are skipped by
            the checks that need them.
        classes: of the dataset.
    """
    known = _Known(
        samples=samples,
        classes=classes,
        facts=tuple(SampleFacts.from_dict(sample.facts) for sample in samples),
    )
    found: list[Finding] = []
    for check in _CHECKS:
        found += check(known)
    found += class_findings(samples, classes)
    found += copy_findings(samples, known.facts)
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))


def _few_samples(known: _Known) -> Iterable[Finding]:
    if len(known.samples) < FEW_SAMPLES:
        note = Note(
            "There are only {num} samples; scores on so few say little.",
            {"num": len(known.samples)},
        )
        yield Finding(key="few_samples", severity="warning", note=note)


def _many_sizes(known: _Known) -> Iterable[Finding]:
    num = len({(sample.width, sample.height) for sample in known.samples})
    if num > 1:
        note = Note(
            "The images have {num} different sizes; training resizes them all to one.",
            {"num": num},
        )
        yield Finding(key="many_sizes", severity="note", note=note)


def _tiny_objects(known: _Known) -> Iterable[Finding]:
    with_specks = [(s, facts.num_specks) for s, facts in known.measured() if facts.num_specks]
    if with_specks:
        yield _of_samples(
            known,
            "tiny_objects",
            "note",
            "{num_specks} objects in {num} of {total} masks have {limit} pixels or fewer, as in "
            "“{example}”: likely slips of the pen.",
            [sample for sample, _ in with_specks],
            num_specks=sum(num for _, num in with_specks),
            limit=SPECK_PX,
        )


def _blank_images(known: _Known) -> Iterable[Finding]:
    kinds: tuple[tuple[str, str, Callable[[SampleFacts], bool]], ...] = (
        (
            "constant_images",
            "{num} of {total} images are of a single colour, such as “{example}”: there is "
            "nothing to learn from them.",
            lambda facts: facts.is_constant,
        ),
        (
            "dark_images",
            "{num} of {total} images are almost black, such as “{example}”. Check how they were "
            "exported.",
            lambda facts: not facts.is_constant and facts.brightest <= _DARK,
        ),
        (
            "bright_images",
            "{num} of {total} images are almost white, such as “{example}”. Check how they were "
            "exported.",
            lambda facts: not facts.is_constant and facts.darkest >= _BRIGHT,
        ),
    )
    for key, message, applies in kinds:
        found = [sample for sample, facts in known.measured() if applies(facts)]
        if found:
            yield _of_samples(known, key, "warning", message, found, can_leave_out=True)


def _image_is_mask(known: _Known) -> Iterable[Finding]:
    copies = [sample for sample, facts in known.measured() if facts.is_copy_of_mask]
    if copies:
        yield _of_samples(
            known,
            "image_is_mask",
            "error",
            "{num} of {total} images show nothing but their own mask, such as “{example}”. "
            "Check that image and mask are not the same file.",
            copies,
            can_leave_out=True,
        )


def _misaligned_masks(known: _Known) -> Iterable[Finding]:
    shifted, turned = [], []
    for sample, facts in known.measured():
        if facts.alignment and facts.alignment.is_shifted:
            shifted.append((sample, facts.alignment))
        elif facts.alignment and facts.alignment.is_turned:
            turned.append(sample)
    if shifted:
        first = shifted[0][1]
        yield _of_samples(
            known,
            "misaligned_masks",
            "warning",
            "{num} of {total} masks fit their image better when moved, “{example}” by {right} "
            "pixels to the right and {down} down. Look at them.",
            [sample for sample, _ in shifted],
            can_leave_out=True,
            right=first.right_px,
            down=first.down_px,
        )
    if turned:
        yield _of_samples(
            known,
            "misaligned_masks",
            "warning",
            "{num} of {total} masks fit their image better when mirrored or turned, such as "
            "“{example}”. Look at them.",
            turned,
            can_leave_out=True,
        )


def _inverted_masks(known: _Known) -> Iterable[Finding]:
    """Masks whose share and border are on the other side than those of nearly all others."""
    foreground = [entry.index for entry in known.classes if not entry.background]
    with_both = []
    for sample, facts in known.measured():
        num_px = sum(sample.class_pixels[index] for index in foreground)
        share = num_px / max(1, sum(sample.class_pixels))
        if 0 < share < 1 and facts.border_share is not None:
            with_both.append((sample, share, facts.border_share))
    if len(with_both) < _MIN_TO_COMPARE or len(foreground) == len(known.classes):
        return
    shares = np.array([share for _, share, _ in with_both])
    borders = np.array([border for _, _, border in with_both])
    if np.median(shares) > 0.5:
        shares, borders = 1 - shares, 1 - borders
    unlike = (shares > 0.5) & (borders >= 0.75) & (np.median(borders) <= 0.25)
    if unlike.any() and unlike.mean() <= _MAX_UNLIKE_SHARE:
        yield _of_samples(
            known,
            "inverted_masks",
            "warning",
            "{num} of {total} masks look inverted, such as “{example}”: what is foreground in "
            "the others is background there. Look at them.",
            [with_both[place][0] for place in np.flatnonzero(unlike).tolist()],
            can_leave_out=True,
        )


def _one_group(known: _Known) -> Iterable[Finding]:
    prefix = one_sequence([sample.name for sample in known.samples])
    if prefix is None:
        return
    fingerprints = [facts.fingerprint for facts in known.facts if facts is not None]
    near = likeness(fingerprints, 1)
    far = likeness(fingerprints, max(2, len(fingerprints) // 2))
    if near >= MIN_NEIGHBOUR_LIKENESS and near - far >= MIN_NEIGHBOUR_GAIN:
        note = Note(
            "All samples look like one video or stack, “{prefix}…”: neighbours are alike "
            "(correlation {near:.2f}, far apart {far:.2f}). No split of it is quite honest; scores "
            "on other recordings will be lower.",
            {"prefix": prefix, "near": near, "far": far},
        )
        yield Finding(key="one_group", severity="warning", note=note)


def _named_groups(known: _Known) -> Iterable[Finding]:
    proposal = propose_groups([sample.name for sample in known.samples])
    if proposal is None or proposal.only_folders:
        return
    if any(sample.group is not None for sample in known.samples):
        note = Note(proposal.note.message + " They do in the split.", proposal.note.facts)
        yield Finding(key="groups", severity="note", note=note)
    else:
        note = Note(
            proposal.note.message + " They do not: make a version with groups if so.",
            proposal.note.facts,
        )
        yield Finding(key="likely_groups", severity="warning", note=note)


_CHECKS: tuple[Callable[[_Known], Iterable[Finding]], ...] = (
    _few_samples,
    _many_sizes,
    _tiny_objects,
    _blank_images,
    _image_is_mask,
    _misaligned_masks,
    _inverted_masks,
    _one_group,
    _named_groups,
)


def _of_samples(
    known: _Known,
    key: str,
    severity: Severity,
    message: str,
    samples: Sequence[Sample],
    *,
    can_leave_out: bool = False,
    **facts: float,
) -> Finding:
    """A finding about some samples, with their number and an example among its facts."""
    about = {"num": len(samples), "total": len(known.samples), "example": samples[0].name}
    return Finding(
        key=key,
        severity=severity,
        note=Note(message, about | facts),
        samples=_positions(samples),
        fix=_leave_out(known, samples) if can_leave_out else None,
    )


def _leave_out(known: _Known, samples: Sequence[Sample]) -> Fix | None:
    """The fix that leaves samples out, if enough remain to train and validate on."""
    positions = set(_positions(samples))
    remaining = {sample.split for sample in known.samples if sample.position not in positions}
    return Fix("leave_out", _positions(samples)) if remaining >= {"train", "val"} else None


def _positions(samples: Iterable[Sample]) -> tuple[int, ...]:
    return tuple(sample.position for sample in samples)
