"""From an archive to a dataset: read, check, bring into one form, store.

Two passes over the archive keep memory low whatever its size. The first reads the masks and learns
what their values mean; the second reads images and masks together and writes, below
`datasets/<id>/`:

    images/000000.png|.jpg   what was imported, as it is where a browser shows it, else as PNG
    masks/000000.png         class indices as palette PNG; see `engine.pictures.masks`
    thumbs/000000.webp       the image, small

The dataset's row is written last, so whatever fails before leaves nothing behind.
"""

import hashlib
import io
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engine.datasets.archive import Source, open_source
from engine.datasets.decode import Mask, count_pixels, decode_mask, read_image
from engine.datasets.disk import disk_errors
from engine.datasets.masks import (
    LearnedClasses,
    count_classes,
    count_values,
    learn_classes,
    majority_warnings,
)
from engine.datasets.pairing import Pair, Pairing, pair
from engine.datasets.parallel import PixelBudget, for_each
from engine.datasets.report import (
    ImportReport,
    ReportWarning,
    build_report,
    class_share,
    pairing_warnings,
    sample_warnings,
)
from engine.errors import BadData, BadInput, Stopped
from engine.pictures.masks import index_png
from engine.pictures.thumbnails import thumbnail_webp
from engine.store import datasets
from engine.store.database import Database, new_id
from engine.store.datasets import Dataset, Sample
from engine.workbench import Workbench

MAX_NAME_CHARS = 200
"""Length of a dataset's name."""
MAX_PROBLEMS_SHOWN = 5
"""Files that cannot be used and are described one by one; the others are counted."""

_READING_SHARE = 0.2
"""Share of the progress bar that the first pass takes."""

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class _Written:
    """What the second pass found out about a sample."""

    sample: Sample
    num_channels: int
    digest: bytes


def import_dataset(
    workbench: Workbench,
    source_path: Path,
    *,
    name: str,
    actor: str,
    progress: Callable[[str, float], None] = lambda phase, share: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Dataset:
    """Import a zip or a folder of images and masks.

    Args:
        name: what people call the dataset; need not be unique.
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
    _check_name(name)
    with open_source(source_path) as source:
        pairing = pair(source.names())
        work = _Import(source, pairing.pairs, progress, should_stop)
        learned = work.learn()
        dataset_id = new_id()
        folder_key = f"datasets/{dataset_id}"
        with disk_errors(), workbench.files.staging(folder_key) as folder:
            written = work.write(folder, learned)
    try:
        _record(workbench.database, dataset_id, name.strip(), actor, pairing, learned, written)
    except BaseException:
        workbench.files.remove(folder_key)
        raise
    return datasets.get(workbench.database, dataset_id)


def _record(
    database: Database,
    dataset_id: str,
    name: str,
    actor: str,
    pairing: Pairing,
    learned: LearnedClasses,
    written: Sequence[_Written],
) -> None:
    samples = [found.sample for found in written]
    content_hash = _content_hash(written, learned)
    same_content = datasets.with_content(database, content_hash)
    datasets.add(
        database,
        dataset_id=dataset_id,
        name=name,
        content_hash=content_hash,
        num_channels=max(found.num_channels for found in written),
        classes=learned.classes,
        samples=samples,
        report=_report(pairing, samples, learned, same_content).to_dict(),
        actor=actor,
    )


class _Import:
    """The two passes over one archive."""

    def __init__(
        self,
        source: Source,
        pairs: tuple[Pair, ...],
        progress: Callable[[str, float], None],
        should_stop: Callable[[], bool],
    ) -> None:
        self._source = source
        self._pairs = pairs
        self._progress = progress
        self._should_stop = should_stop
        self._budget = PixelBudget()

    def learn(self) -> LearnedClasses:
        """First pass: decode every mask and decide what the values mean."""
        pixels_by_value: Counter[int] = Counter()
        richest_mask, most_values = "", 0

        def count(item: tuple[int, Pair]) -> tuple[str, dict[int, int]]:
            name = item[1].mask
            data = self._source.read(name)
            with self._budget.holding(count_pixels(data)):
                return name, count_values(decode_mask(data, name))

        def take(counted: tuple[str, dict[int, int]]) -> None:
            nonlocal richest_mask, most_values
            pixels_by_value.update(counted[1])
            if len(counted[1]) > most_values:
                richest_mask, most_values = counted[0], len(counted[1])

        self._pass_over("reading", (0.0, _READING_SHARE), count, take)
        return learn_classes(pixels_by_value, richest_mask)

    def write(self, folder: Path, learned: LearnedClasses) -> list[_Written]:
        """Second pass: decode images and masks and write them below the folder, by position."""
        for name in ("images", "masks", "thumbs"):
            (folder / name).mkdir()
        written: list[_Written] = []

        def write(item: tuple[int, Pair]) -> _Written:
            return self._write_sample(folder, learned, *item)

        self._pass_over("writing", (_READING_SHARE, 1.0), write, written.append)
        return written

    def _pass_over(
        self,
        phase: str,
        shares: tuple[float, float],
        work: Callable[[tuple[int, Pair]], _Result],
        take: Callable[[_Result], None],
    ) -> None:
        """Work on all pairs in threads; files that cannot be used are reported together."""
        problems: list[BadData] = []
        num_done = 0

        def guarded(item: tuple[int, Pair]) -> _Result | BadData:
            try:
                return work(item)
            except BadData as error:
                return error

        def take_or_note(result: _Result | BadData) -> None:
            nonlocal num_done
            if self._should_stop():
                raise Stopped("The import was stopped; nothing was stored.")
            if isinstance(result, BadData):
                problems.append(result)
            else:
                take(result)
            num_done += 1
            share_done = num_done / len(self._pairs)
            self._progress(phase, shares[0] + (shares[1] - shares[0]) * share_done)

        for_each(guarded, enumerate(self._pairs), take_or_note)
        if problems:
            raise _together(problems)

    def _write_sample(
        self, folder: Path, learned: LearnedClasses, position: int, found: Pair
    ) -> _Written:
        image_data, mask_data = self._source.read(found.image), self._source.read(found.mask)
        with self._budget.holding(count_pixels(image_data) + count_pixels(mask_data)):
            image = read_image(image_data, found.image)
            mask = decode_mask(mask_data, found.mask)
            _check_same_size(found, image.pixels, mask)
            coded = learned.value_map.apply(mask, found.mask)
            stem = f"{position:06d}"
            height, width = coded.shape
            sample = Sample(
                position=position,
                name=found.sample,
                image_file=stem + (image.browser_suffix or ".png"),
                mask_file=stem + ".png",
                width=width,
                height=height,
                class_pixels=count_classes(coded, len(learned.classes)),
            )
            viewable = image_data if image.browser_suffix else _png(image.pixels)
            (folder / "images" / sample.image_file).write_bytes(viewable)
            (folder / "masks" / sample.mask_file).write_bytes(_mask_png(coded, learned))
            (folder / "thumbs" / f"{stem}.webp").write_bytes(thumbnail_webp(image.pixels))
            num_channels = 1 if image.pixels.ndim == 2 else 3
            return _Written(sample, num_channels, _digest(sample, image_data, coded))


def _check_name(name: str) -> None:
    if not 0 < len(name.strip()) <= MAX_NAME_CHARS:
        raise BadInput(
            "The name of the dataset has {num} characters; it needs 1 to {limit}. Give another.",
            num=len(name.strip()),
            limit=MAX_NAME_CHARS,
        )


def _check_same_size(found: Pair, image: NDArray[np.uint8], mask: Mask) -> None:
    if image.shape[:2] != mask.shape:
        raise BadData(
            "The image “{image}” has {image_size} pixels (width×height), but its mask “{mask}” "
            "has {mask_size}. Both must have the same size: crop or resize one of them, or check "
            "that they belong together.",
            image=found.image,
            image_size=f"{image.shape[1]}×{image.shape[0]}",
            mask=found.mask,
            mask_size=f"{mask.shape[1]}×{mask.shape[0]}",
        )


def _together(problems: Sequence[BadData]) -> BadData:
    if len(problems) == 1:
        return problems[0]
    return BadData(
        "{num} files cannot be used, so nothing was imported. {first}",
        num=len(problems),
        first=" ".join(map(str, problems[:MAX_PROBLEMS_SHOWN]))
        + (" …" if len(problems) > MAX_PROBLEMS_SHOWN else ""),
    )


def _png(pixels: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    # The lowest level: four times as fast as the default for a tenth more bytes.
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()


def _mask_png(coded: NDArray[np.uint8], learned: LearnedClasses) -> bytes:
    colors = [entry.color for entry in learned.classes]
    background = [entry.index for entry in learned.classes if entry.background]
    return index_png(coded, colors, background)


def _digest(sample: Sample, image_data: bytes, coded: NDArray[np.uint8]) -> bytes:
    """Fingerprint of what a sample was imported from."""
    image_digest = hashlib.sha256(image_data).hexdigest()
    header = json.dumps([sample.name, image_digest, sample.width, sample.height])
    digest = hashlib.sha256(header.encode())
    digest.update(coded.data)
    return digest.digest()


def _content_hash(written: Sequence[_Written], learned: LearnedClasses) -> str:
    """Fingerprint of a whole dataset, 64 hexadecimal digits."""
    classes = json.dumps([asdict(entry) for entry in learned.classes], sort_keys=True)
    digest = hashlib.sha256(classes.encode())
    for found in written:
        digest.update(found.digest)
    return digest.hexdigest()


def _report(
    pairing: Pairing,
    samples: Sequence[Sample],
    learned: LearnedClasses,
    same_content: Sequence[Dataset],
) -> ImportReport:
    shares = class_share(samples)
    warnings = [
        *pairing_warnings(pairing),
        *learned.warnings,
        *sample_warnings(samples, learned.classes),
        *majority_warnings(learned.classes, shares),
    ]
    if same_content:
        warnings.append(
            ReportWarning(
                "The dataset “{name}” holds exactly the same samples.",
                {"name": same_content[0].name},
            )
        )
    return build_report(pairing, samples, shares, warnings)
