"""The look into an archive before anything of it is stored: what pairs, and what the masks mean.

It ends in a complete `ImportPlan`, which a person corrects where the look was wrong.

    names → pairing → headers of the images, values of the masks → what the values mean → plan
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine.datasets.archive import Skipped, Source
from engine.datasets.decode import (
    PictureHeader,
    RawMask,
    count_pixels,
    decode_mask,
    read_header,
)
from engine.datasets.masks import MaskStatistics, MaskSurvey, learn_masks, survey_mask
from engine.datasets.pairing import Pair, Proposal, is_picture
from engine.datasets.parallel import PixelBudget, for_each
from engine.datasets.plan import ImportPlan, PairingPlan
from engine.errors import BadData, BadInput, Stopped
from engine.notes import Note

Progress = Callable[[float], None]
"""Called in the caller's thread with the share that is done, 0 to 1."""
ShouldStop = Callable[[], bool]


@dataclass(frozen=True, kw_only=True, slots=True)
class Inspection:
    """What was found in an archive under one pairing."""

    names: tuple[str, ...]
    """Every file of the archive that was not skipped."""
    skipped: tuple[Skipped, ...]
    """What was left out, and why: by the archive's reader, then pictures that cannot be read."""
    headers: Mapping[str, PictureHeader]
    """Of the pairs' images and masks that can be read."""
    statistics: MaskStatistics
    """Of the values in the masks."""
    plan: ImportPlan
    """What is proposed."""
    notes: tuple[Note, ...]
    """What was decided about the masks, and why."""

    @property
    def num_ignored(self) -> int:
        """Files that are no pictures."""
        return sum(not is_picture(name) for name in self.names)

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        record = {
            "names": self.names,
            "skipped": [
                {"name": each.name, "reason": each.reason.to_record()} for each in self.skipped
            ],
            "headers": {name: asdict(header) for name, header in self.headers.items()},
            "statistics": self.statistics.to_dict(),
            "plan": self.plan.to_dict(),
            "notes": [note.to_record() for note in self.notes],
        }
        path.write_text(json.dumps(record), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Inspection":
        """Read what `save` wrote."""
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return cls(
            names=tuple(record["names"]),
            skipped=tuple(
                Skipped(each["name"], Note.from_record(each["reason"]))
                for each in record["skipped"]
            ),
            headers={name: PictureHeader(**header) for name, header in record["headers"].items()},
            statistics=MaskStatistics.from_dict(record["statistics"]),
            plan=ImportPlan.model_validate(record["plan"]),
            notes=tuple(Note.from_record(note) for note in record["notes"]),
        )


@dataclass(frozen=True, slots=True)
class _Looked:
    """What was found in the files of one pair."""

    headers: dict[str, PictureHeader]
    surveys: list[tuple[str, MaskSurvey]]
    problem: Skipped | None


def inspect(
    source: Source,
    pairing: PairingPlan,
    proposal: Proposal,
    progress: Progress = lambda share: None,
    should_stop: ShouldStop = lambda: False,
) -> Inspection:
    """Look into an archive.

    Args:
        pairing: which reading of the names is asked for.
        proposal: that reading, as `pairing.choose` gives it.

    Raises:
        BadData: nothing pairs, no pair can be read, or the masks hold nothing to learn.
        Stopped: `should_stop` said so.
    """
    _check_any(proposal)
    budget = PixelBudget()
    headers: dict[str, PictureHeader] = {}
    statistics = MaskStatistics()
    skipped = list(source.skipped)
    num_done = num_unreadable = 0

    def look(pair: Pair) -> _Looked:
        return _look(source, pair, budget)

    def take(looked: _Looked) -> None:
        nonlocal num_done, num_unreadable
        if should_stop():
            raise Stopped("The import was stopped; nothing was stored.")
        headers.update(looked.headers)
        for name, survey in looked.surveys:
            statistics.add(name, survey)
        if looked.problem is not None:
            num_unreadable += 1
            skipped.append(looked.problem)
        num_done += 1
        progress(num_done / len(proposal.pairs))

    for_each(look, proposal.pairs, take)
    if num_unreadable == len(proposal.pairs):
        raise BadData(
            "None of the {num} pairs can be read. The first: {reason}",
            num=num_unreadable,
            reason=str(skipped[-num_unreadable].reason),
        )
    learned = learn_masks(statistics)
    if not pairing.image_pattern:
        pairing = PairingPlan(proposal=proposal.key)
    return Inspection(
        names=tuple(source.names()),
        skipped=tuple(skipped),
        headers=headers,
        statistics=statistics,
        plan=ImportPlan(pairing=pairing, masks=learned.plan),
        notes=learned.notes,
    )


def _check_any(proposal: Proposal) -> None:
    if not proposal.pairs:
        raise BadData(
            "The patterns match no pair: {num} pictures are left without a partner. Change the "
            "patterns, or take one of the proposals.",
            num=len(proposal.unmatched),
        )


def _look(source: Source, pair: Pair, budget: PixelBudget) -> _Looked:
    headers: dict[str, PictureHeader] = {}
    surveys = []
    name = pair.image
    try:
        headers[name] = read_header(source.read(name), name)
        for name in pair.masks:
            data = source.read(name)
            headers[name] = read_header(data, name)
            with budget.holding(count_pixels(data)):
                for raw in _pages(data, name, headers[name]):
                    surveys.append((name, survey_mask(raw)))
    except BadInput as error:
        return _Looked({}, [], Skipped(name, Note(error.message, error.facts)))
    return _Looked(headers, surveys, None)


def _pages(data: bytes, name: str, header: PictureHeader) -> Iterator[RawMask]:
    if header.num_pages == 1:
        yield decode_mask(data, name)
        return
    for page in range(header.num_pages):
        yield decode_mask(data, name, page=page)
