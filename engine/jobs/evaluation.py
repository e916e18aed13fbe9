"""Scoring a run: every sample predicted with the best checkpoint, counted at its original size.

Shapes: N samples, S the network's image size, C channels.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from engine.datasets.cache import load_pair
from engine.files import Files
from engine.inference.predictor import Prediction, Predictor
from engine.models.compute import Compute
from engine.pictures.error_maps import error_map, error_png
from engine.pictures.masks import index_png
from engine.pictures.thumbnails import overlay_thumbnail_webp
from engine.scores.counts import count, probability_histograms
from engine.store import scores
from engine.store.datasets import Dataset, Sample
from engine.store.scores import SampleScore
from engine.training.checkpoint import best_key
from engine.workbench import Workbench

_PORTION = 16
"""Samples whose pictures are drawn while others are predicted, and written as one transaction."""

_SPLITS_MOST_WANTED_FIRST = ("test", "val", "train")

Scored = tuple[SampleScore, NDArray[np.int64]]


def evaluate(
    workbench: Workbench,
    run_id: str,
    dataset: Dataset,
    samples: Sequence[Sample],
    split: Mapping[str, Sequence[int]],
    images_NSSC: NDArray[np.uint8],
    compute: Compute,
    progress: Callable[[float], None],
) -> None:
    """Score all splits of a run and draw each sample's pictures, once.

    Writes `predictions/`, `errors/` and `thumbs/` below the run's folder, named by position, and
    the counts and histograms of each sample to the store, after its pictures.
    """
    run_folder = f"runs/{run_id}"
    predictor = Predictor(workbench.files.path(best_key(run_folder)), compute)
    todo = [(name, position) for name in _SPLITS_MOST_WANTED_FIRST for position in split[name]]
    pending = iter(todo)
    num_done = 0
    with ThreadPoolExecutor(2) as pool:
        while portion := list(islice(pending, _PORTION)):
            futures: list[Future[Scored]] = []
            for split_name, position in portion:
                sample = samples[position]
                prediction = predictor.predict(images_NSSC[position], sample.height, sample.width)
                futures.append(
                    pool.submit(
                        _score_sample,
                        workbench.files, run_folder, dataset, sample, split_name, prediction,
                    )
                )  # fmt: skip
            scored = [future.result() for future in futures]
            scores.add(workbench.database, run_id, *zip(*scored, strict=True))
            num_done += len(portion)
            progress(num_done / len(todo))


def picture_name(sample: Sample, suffix: str) -> str:
    """File name of a sample's picture in a run's folders."""
    return f"{sample.position:06d}.{suffix}"


def _score_sample(
    files: Files,
    run_folder: str,
    dataset: Dataset,
    sample: Sample,
    split_name: str,
    prediction: Prediction,
) -> Scored:
    image, truth = load_pair(files, dataset, sample)
    if image.shape[-1] == 1:
        image = image[..., 0]
    background = frozenset(row.index for row in dataset.classes if row.background)
    colors = [row.color for row in dataset.classes]
    errors = error_map(truth, prediction.mask_HW, background)
    pictures = {
        f"predictions/{picture_name(sample, 'png')}": index_png(
            prediction.mask_HW, colors, background
        ),
        f"errors/{picture_name(sample, 'png')}": error_png(errors),
        f"thumbs/{picture_name(sample, 'webp')}": overlay_thumbnail_webp(image, errors),
    }
    for key, data in pictures.items():
        with files.writing(f"{run_folder}/{key}") as path:
            path.write_bytes(data)
    counts = count(truth, prediction.mask_HW, len(dataset.classes))
    score = SampleScore(
        position=sample.position, split=split_name, tp=counts.tp, fp=counts.fp, fn=counts.fn
    )
    return score, probability_histograms(truth, prediction.probabilities_KHW)
