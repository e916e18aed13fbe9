"""Scoring a run: every sample predicted with the best checkpoint, counted at its original size.

Shapes: C channels, H height, W width.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.datasets.cache import load_pair
from engine.errors import NotFound
from engine.files import Files
from engine.inference.predictor import Prediction, Predictor
from engine.models.compute import Compute
from engine.pictures.error_maps import error_map, error_png
from engine.pictures.masks import index_png
from engine.pictures.thumbnails import overlay_thumbnail_webp
from engine.run_files import best_key, run_folder
from engine.scores.counts import count, probability_histograms
from engine.store import scores
from engine.store.datasets import Dataset, Sample
from engine.store.runs import SPLIT_NAMES
from engine.store.scores import SampleScore
from engine.workbench import Workbench

_MAX_PENDING = 3
"""Predictions at full size that may wait for their pictures: two threads draw, one is next."""

_PICTURE_SHARE, _PICTURE_BYTES = 1 / 8, 16 * 2**10
"""Bytes per pixel of an image, and per image, that its pictures may take on the disk."""

Scored = tuple[SampleScore, NDArray[np.int64]]


def evaluate(
    workbench: Workbench,
    run_id: str,
    dataset: Dataset,
    samples: Sequence[Sample],
    split: Mapping[str, Sequence[int]],
    compute: Compute,
    progress: Callable[[float], None],
) -> None:
    """Score all splits of a run and draw each sample's pictures, in place of those it has.

    Writes `predictions/`, `errors/` and `thumbs/` below the run's folder, named by position. The
    counts and histograms are stored together, after all pictures: a run is scored wholly or not
    at all, whatever happens on the way, and all of it can be done again.

    Args:
        progress: called after each sample with the share done, 0 to 1; what it raises ends the
            scoring.

    Raises:
        BadData: the best checkpoint, an image or a mask cannot be read.
        DiskFull: there is no room for the pictures.
        NotFound: the dataset's files are gone.
        OutOfMemory: an image cannot be predicted with the memory there is.
    """
    folder = run_folder(run_id)
    require_files(workbench, dataset)
    predictor = Predictor(workbench.files.path(best_key(folder)), compute)
    workbench.files.require_free(_picture_bytes(samples))
    # They may be those of another checkpoint, or of a scoring that was cut off.
    scores.clear(workbench.database, run_id)
    num_total, num_done = sum(map(len, split.values())), 0
    progress(0.0)
    scored: list[Scored] = []
    with ThreadPoolExecutor(2) as pool:
        for split_name in SPLIT_NAMES:
            pending: deque[Future[Scored]] = deque()
            for position in split[split_name]:
                sample = samples[position]
                image, truth = load_pair(workbench.files, dataset, sample)
                prediction = predictor.predict(image)
                pair = _Pair(sample, split_name, image, truth, prediction)
                pending.append(pool.submit(_score_sample, workbench.files, folder, dataset, pair))
                if len(pending) == _MAX_PENDING:
                    scored.append(pending.popleft().result())
                num_done += 1
                progress(num_done / num_total)
            scored += [future.result() for future in pending]
    scores.add(workbench.database, run_id, *zip(*scored, strict=True))


def require_files(workbench: Workbench, dataset: Dataset) -> None:
    """Make sure that a dataset's files were not taken away as a whole.

    Raises:
        NotFound: they were.
    """
    key = f"datasets/{dataset.id}"
    if not workbench.files.path(key).is_dir():
        raise NotFound(
            "The files of the dataset “{dataset}” are gone: there is no folder {key} in the home "
            "folder. Put it back from a backup, then resume; or import the dataset again, and "
            "start a new run.",
            dataset=dataset.name,
            key=key,
        )


def _picture_bytes(samples: Sequence[Sample]) -> int:
    num_pixels = sum(sample.width * sample.height for sample in samples)
    return int(num_pixels * _PICTURE_SHARE) + len(samples) * _PICTURE_BYTES


@dataclass(frozen=True, slots=True)
class _Pair:
    """A sample with what the network says of it."""

    sample: Sample
    split_name: str
    image_HWC: NDArray[np.uint8]
    truth_HW: NDArray[np.uint8]
    prediction: Prediction


def _score_sample(files: Files, folder: str, dataset: Dataset, pair: _Pair) -> Scored:
    image = pair.image_HWC[..., 0] if pair.image_HWC.shape[-1] == 1 else pair.image_HWC
    background = frozenset(row.index for row in dataset.classes if row.background)
    colors = [row.color for row in dataset.classes]
    sample, truth, prediction = pair.sample, pair.truth_HW, pair.prediction
    errors = error_map(truth, prediction.mask_HW, background)
    pictures = {
        f"predictions/{sample.stem}.png": index_png(prediction.mask_HW, colors, background),
        f"errors/{sample.stem}.png": error_png(errors),
        f"thumbs/{sample.stem}.webp": overlay_thumbnail_webp(image, errors),
    }
    for key, data in pictures.items():
        with files.writing(f"{folder}/{key}") as path:
            path.write_bytes(data)
    counts = count(truth, prediction.mask_HW, len(dataset.classes))
    score = SampleScore(
        position=sample.position, split=pair.split_name, tp=counts.tp, fp=counts.fp, fn=counts.fn
    )
    return score, probability_histograms(truth, prediction.probabilities_KHW)
