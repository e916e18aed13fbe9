"""From an archive to a dataset: read, check, bring into one form, store.

Two passes keep memory low whatever the archive's size. The first, the inspection, reads the masks
and the images' headers; the second reads images and masks together and writes, below
`datasets/<id>/`:

    images/000000.png|.jpg   what was imported, as it is where a browser shows it, else as PNG
    masks/000000.png         class indices as palette PNG; see `engine.pictures.masks`
    thumbs/000000.webp       the image, small
    thumbs/000000.mask.png   the mask, small

The dataset's row is written last, so whatever fails before leaves nothing behind.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from engine.datasets.archive import Skipped, Source, open_source
from engine.datasets.assembly import Assembled, Measured, Origin, assemble
from engine.datasets.decode import PictureHeader
from engine.datasets.disk import disk_errors
from engine.datasets.inspection import Inspection, Progress, ShouldStop, inspect
from engine.datasets.masks import MaskReader, class_entries
from engine.datasets.pairing import Pair, Proposal, choose
from engine.datasets.parallel import for_each
from engine.datasets.plan import ImportPlan
from engine.datasets.sample_writer import SampleWriter, Written
from engine.errors import BadData, BadInput, Stopped
from engine.notes import Note
from engine.store import datasets
from engine.store.database import new_id
from engine.store.datasets import ClassEntry, Dataset
from engine.workbench import Workbench

MAX_NAME_CHARS = 200
"""Length of a dataset's name."""
READING_SHARE = 0.2
"""Share of the progress that the first pass takes."""


def import_dataset(
    workbench: Workbench,
    source_path: Path,
    *,
    name: str,
    actor: str,
    plan: ImportPlan | None = None,
    progress: Callable[[str, float], None] = lambda phase, share: None,
    should_stop: ShouldStop = lambda: False,
) -> Dataset:
    """Import a zip, a tar or a folder of images and masks.

    Args:
        name: what people call the dataset; need not be unique.
        plan: how; by default as the inspection proposes.
        progress: called often, in this thread, with a phase (“reading”, “writing”) and the share
            of the whole import that is done, 0 to 1.
        should_stop: asked after every sample.

    Raises:
        BadArchive: the archive cannot be read, or is unsafe.
        BadData: images and masks cannot be paired, read, or learned from.
        BadInput: the name is empty or too long.
        Stopped: `should_stop` said so.
        Refused: the files cannot be written.
    """
    check_name(name)
    wished = plan or ImportPlan()
    # What must be unpacked goes to the home's disk: the system's own may be small.
    with open_source(source_path, scratch=workbench.settings.home) as source:
        proposal = choose(source.names(), wished.pairing)
        found = inspect(
            source,
            wished.pairing,
            proposal,
            lambda share: progress("reading", READING_SHARE * share),
            should_stop,
        )
        return import_source(
            workbench,
            source,
            found,
            proposal,
            wished,
            name=name,
            actor=actor,
            progress=lambda share: progress("writing", READING_SHARE + (1 - READING_SHARE) * share),
            should_stop=should_stop,
        )


def import_source(
    workbench: Workbench,
    source: Source,
    found: Inspection,
    proposal: Proposal,
    plan: ImportPlan,
    *,
    name: str,
    actor: str,
    progress: Progress = lambda share: None,
    should_stop: ShouldStop = lambda: False,
) -> Dataset:
    """Import what an inspection has looked at, under a plan for the same pairing.

    Args:
        proposal: the reading of the names that was looked at.

    Raises:
        BadData: no pair can be used.
        BadSetting: the plan does not fit the archive.
        Stopped: `should_stop` said so.
        Refused: the files cannot be written.
    """
    plan = _complete(plan, found)
    dataset_id = new_id()
    folder_key = f"datasets/{dataset_id}"
    with disk_errors(), workbench.files.staging(folder_key) as folder:
        written, assembled = _write_dataset(
            source, found, proposal, plan, folder, progress, should_stop
        )
    content_hash = _content_hash(written, assembled.classes)
    same_content = datasets.with_content(workbench.database, content_hash)
    with workbench.files.removed_on_error(folder_key):
        datasets.add(
            workbench.database,
            dataset_id=dataset_id,
            name=name.strip(),
            content_hash=content_hash,
            num_channels=3 if any(each.is_color for each in written) else 1,
            classes=assembled.classes,
            samples=assembled.samples,
            report=assembled.report(same_content),
            actor=actor,
            plan=plan.to_dict(),
        )
    return datasets.get(workbench.database, dataset_id)


def _write_dataset(
    source: Source,
    found: Inspection,
    proposal: Proposal,
    plan: ImportPlan,
    folder: Path,
    progress: Progress,
    should_stop: ShouldStop,
) -> tuple[list[Written], Assembled]:
    """Write the files of all samples that can be used, and judge them together."""
    assert plan.masks is not None
    pairs, skipped = expand_pages(proposal.pairs, found.headers)
    classes = class_entries(plan.masks)
    writer = SampleWriter(
        source,
        folder,
        found.headers,
        plan.images,
        MaskReader(plan.masks),
        classes,
        one_per_object=any(len(pair.masks) > 1 for pair in pairs),
    )
    written, unusable = _write_all(writer, pairs, progress, should_stop)
    skipped += unusable
    if not written:
        raise _nothing_usable(skipped)
    written = _close_gaps(folder, written)
    assembled = assemble(
        [_measured(each) for each in written],
        classes,
        plan,
        Origin.of(found, plan, proposal, skipped, written),
    )
    return written, assembled


def _complete(plan: ImportPlan, found: Inspection) -> ImportPlan:
    """The plan with all that the inspection had to find out."""
    masks = plan.masks or found.plan.masks
    return plan.model_copy(update={"masks": masks, "pairing": found.plan.pairing})


def check_name(name: str) -> None:
    """Refuse a dataset's name that is empty or too long.

    Raises:
        BadInput: it is.
    """
    if not 0 < len(name.strip()) <= MAX_NAME_CHARS:
        raise BadInput(
            "The name of the dataset has {num} characters; it needs 1 to {limit}. Give another.",
            num=len(name.strip()),
            limit=MAX_NAME_CHARS,
        )


def name_of_file(file_name: str) -> str:
    """What a dataset from a file or folder of this name is called at first."""
    return Path(file_name).stem.removesuffix(".tar").strip()[:MAX_NAME_CHARS] or "dataset"


def expand_pages(
    pairs: Sequence[Pair], headers: Mapping[str, PictureHeader]
) -> tuple[list[Pair], list[Skipped]]:
    """The pairs with each page of a multi-page file as one of its own, and those that do not fit.

    Pairs with a file that has no header, as it could not be read, are left out.
    """
    expanded: list[Pair] = []
    skipped: list[Skipped] = []
    for pair in pairs:
        if not {pair.image, *pair.masks} <= headers.keys():
            continue
        num_pages = headers[pair.image].num_pages
        others = {headers[name].num_pages for name in pair.masks} - {num_pages}
        if others:
            note = Note(
                "“{image}” has {num} pages, but its mask “{mask}” has {num_others}. Each page "
                "needs a mask page of its own.",
                {
                    "image": pair.image,
                    "num": num_pages,
                    "mask": pair.masks[0],
                    "num_others": min(others),
                },
            )
            skipped.append(Skipped(pair.image, note))
        elif num_pages == 1:
            expanded.append(pair)
        else:
            digits = len(str(num_pages))
            expanded += [
                replace(pair, sample=f"{pair.sample}#{page + 1:0{digits}d}", page=page)
                for page in range(num_pages)
            ]
    return expanded, skipped


def _write_all(
    writer: SampleWriter,
    pairs: Sequence[Pair],
    progress: Progress,
    should_stop: ShouldStop,
) -> tuple[list[Written], list[Skipped]]:
    """Write every pair that can be used, in threads; what cannot be used, and why."""
    written: list[Written] = []
    skipped: list[Skipped] = []
    num_done = 0

    def write(item: tuple[int, Pair]) -> Written | Skipped:
        try:
            return writer.write(*item)
        except BadInput as error:
            return Skipped(item[1].image, Note(error.message, error.facts))

    def take(result: Written | Skipped) -> None:
        nonlocal num_done
        if should_stop():
            raise Stopped("The import was stopped; nothing was stored.")
        if isinstance(result, Skipped):
            skipped.append(result)
        else:
            written.append(result)
        num_done += 1
        progress(num_done / len(pairs))

    for_each(write, enumerate(pairs), take)
    return written, skipped


def _close_gaps(folder: Path, written: Sequence[Written]) -> list[Written]:
    """Number the samples without gaps, which skipped ones have left, and rename their files."""
    closed = []
    for position, each in enumerate(written):
        if position == each.number:
            closed.append(each)
            continue
        stem = f"{position:06d}"
        old_stem = f"{each.number:06d}"
        image_file = stem + each.image_file.removeprefix(old_stem)
        (folder / "images" / each.image_file).rename(folder / "images" / image_file)
        (folder / "masks" / f"{old_stem}.png").rename(folder / "masks" / f"{stem}.png")
        for ending in (".webp", ".mask.png"):
            (folder / "thumbs" / f"{old_stem}{ending}").rename(
                folder / "thumbs" / f"{stem}{ending}"
            )
        closed.append(replace(each, number=position, image_file=image_file))
    return closed


def _measured(written: Written) -> Measured:
    return Measured(
        name=written.pair.sample,
        image_file=written.image_file,
        width=written.width,
        height=written.height,
        class_pixels=written.class_pixels,
        folder_split=written.pair.split,
        facts=written.facts,
        remarks=written.remarks,
    )


def _nothing_usable(skipped: Sequence[Skipped]) -> BadData:
    # One example of each kind of problem says more than the same sentence over and over.
    by_kind = {each.reason.message: str(each.reason) for each in reversed(skipped)}
    return BadData(
        "None of the {num} pairs can be used, so nothing was imported. {examples}",
        num=len(skipped),
        examples=" ".join(reversed(by_kind.values())),
    )


def _content_hash(written: Sequence[Written], classes: Sequence[ClassEntry]) -> str:
    """Fingerprint of a whole dataset, 64 hexadecimal digits."""
    text = json.dumps([asdict(entry) for entry in classes], sort_keys=True)
    digest = hashlib.sha256(text.encode())
    for each in written:
        digest.update(each.digest)
    return digest.hexdigest()
