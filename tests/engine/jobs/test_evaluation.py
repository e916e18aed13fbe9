"""Scores of a run are counted at the original resolution and agree with its pictures."""

import shutil
from itertools import product

import numpy as np
import pytest
import torch
from PIL import Image

from engine.config import recipe, with_changes
from engine.errors import BadData, DiskFull, NotFound
from engine.jobs import evaluation
from engine.jobs.evaluation import evaluate
from engine.models.compute import Compute
from engine.models.registry import build_model
from engine.models.weights import CheckpointInfo, save_weights
from engine.run_files import best_key
from engine.scores.rules import summarize
from engine.store import datasets, runs, scores

SIZES = [(33, 47), (20, 64), (64, 20), (7, 5), (40, 40)]
SPLIT = {"train": [0, 3], "val": [1], "test": [4, 2]}
SIZE_PX = 16


@pytest.fixture
def evaluated(workbench, add_dataset):
    """`evaluated(num_classes=2)`: a run of an untrained network, scored."""

    def evaluated(num_classes):
        config = with_changes(
            recipe("tutorial"),
            {"width": 4, "num_levels": 2, "image_size_px": SIZE_PX, "color": "dataset"},
        )
        dataset = datasets.get(workbench.database, add_dataset(SIZES, num_classes))
        samples = datasets.samples(workbench.database, dataset.id)
        run_id = runs.add(
            workbench.database,
            name="first",
            dataset_id=dataset.id,
            config=config,
            split=SPLIT,
            num_parameters=0,
            actor="ann",
        )
        model = undecided_model(config, num_classes)
        info = CheckpointInfo(
            config=config, in_channels=1, num_classes=num_classes, epoch=1, val_dice=0.5
        )
        save_weights(workbench.files, best_key(f"runs/{run_id}"), model, info)
        progress = []
        evaluate(
            workbench,
            run_id,
            dataset,
            samples,
            SPLIT,
            Compute(torch.device("cpu"), torch.float32),
            progress.append,
        )
        return run_id, dataset, progress

    return evaluated


def undecided_model(config, num_classes):
    """An untrained network that predicts every class somewhere."""
    torch.manual_seed(1)
    model = build_model(config, 1, num_classes)
    with torch.no_grad():
        logits_NCHW = model(torch.rand(4, 1, SIZE_PX, SIZE_PX))
        scale = 2 / logits_NCHW.std((0, 2, 3))
        model.head.weight *= scale.view(-1, 1, 1, 1)
        model.head.bias.copy_(scale * (model.head.bias - logits_NCHW.mean((0, 2, 3))))
    return model


def read_indices(path):
    with Image.open(path) as image:
        assert image.mode in ("P", "L")
        return np.array(image)


def recomputed(files, run_id, dataset, position, num_classes):
    """Counts by nothing but the two PNGs and a loop over the pixels' values."""
    stem = f"{position:06d}.png"
    truth = read_indices(files.path(f"datasets/{dataset.id}/masks/{stem}"))
    found = read_indices(files.path(f"runs/{run_id}/predictions/{stem}"))
    assert found.shape == truth.shape == SIZES[position]
    counts = np.zeros((3, num_classes), int)
    for true, guess in zip(truth.ravel().tolist(), found.ravel().tolist(), strict=True):
        if true == 255:
            continue
        if true == guess:
            counts[0, true] += 1
        else:
            counts[1, guess] += 1
            counts[2, true] += 1
    return counts.tolist(), truth, found


@pytest.mark.parametrize("num_classes", [2, 4])
def test_stored_counts_equal_those_of_the_pictures_at_original_size(
    workbench, evaluated, num_classes
):
    run_id, dataset, _ = evaluated(num_classes)
    stored = scores.of_run(workbench.database, run_id)
    assert [score.position for score in stored] == list(range(len(SIZES)))
    guessed = set()
    for score in stored:
        counts, _, found = recomputed(workbench.files, run_id, dataset, score.position, num_classes)
        assert [list(score.tp), list(score.fp), list(score.fn)] == counts
        guessed |= set(np.unique(found).tolist())
    # A network that says the same everywhere would prove little.
    assert guessed == set(range(num_classes))


def test_every_sample_is_scored_under_its_split(workbench, evaluated):
    run_id, _, _ = evaluated(2)
    for split, positions in SPLIT.items():
        found = scores.of_run(workbench.database, run_id, split)
        assert sorted(score.position for score in found) == sorted(positions)


@pytest.mark.parametrize("num_classes", [2, 3])
def test_histograms_hold_every_scored_pixel_on_the_right_side(workbench, evaluated, num_classes):
    run_id, dataset, _ = evaluated(num_classes)
    for position, index in product(range(len(SIZES)), range(num_classes)):
        _, truth, _ = recomputed(workbench.files, run_id, dataset, position, num_classes)
        on_truth, elsewhere = scores.histograms_of(workbench.database, run_id, position)[index]
        assert on_truth.sum() == (truth == index).sum()
        assert elsewhere.sum() == ((truth != index) & (truth != 255)).sum()


def test_histograms_of_two_classes_give_the_stored_counts_at_the_threshold(workbench, evaluated):
    run_id, _, _ = evaluated(2)
    for score in scores.of_run(workbench.database, run_id):
        foreground = scores.histograms_of(workbench.database, run_id, score.position)[1]
        assert foreground[0, 128:].sum() == score.tp[1]
        assert foreground[1, 128:].sum() == score.fp[1]


def test_every_sample_has_its_pictures(workbench, evaluated):
    run_id, _, _ = evaluated(3)
    folder = workbench.files.path(f"runs/{run_id}")
    names = [f"{position:06d}" for position in range(len(SIZES))]
    assert sorted(path.stem for path in (folder / "predictions").iterdir()) == names
    for name, (height, width) in zip(names, SIZES, strict=True):
        assert read_indices(folder / "errors" / f"{name}.png").shape == (height, width)
        with Image.open(folder / "thumbs" / f"{name}.webp") as thumbnail:
            assert thumbnail.format == "WEBP"
            # Rounded to whole pixels, the shape stays.
            assert thumbnail.width / thumbnail.height == pytest.approx(width / height, rel=0.2)


def test_error_map_is_blank_exactly_where_nothing_is_wrong_and_nothing_is_found(
    workbench, evaluated
):
    run_id, dataset, _ = evaluated(2)
    for position in range(len(SIZES)):
        _, truth, found = recomputed(workbench.files, run_id, dataset, position, 2)
        stem = f"{position:06d}.png"
        codes = read_indices(workbench.files.path(f"runs/{run_id}/errors/{stem}"))
        scored = truth != 255
        assert np.array_equal((codes == 0)[scored], ((truth == 0) & (found == 0))[scored])
        kinds = [
            (truth == 1) & (found == 1),
            (truth == 0) & (found == 1),
            (truth == 1) & (found == 0),
        ]
        values = [set(codes[kind].tolist()) for kind in kinds if kind.any()]
        assert all(len(each) == 1 for each in values)
        assert len(set.union(*values)) == len(values)


def test_number_of_waiting_pictures_makes_no_difference(workbench, evaluated, monkeypatch):
    usual, _, _ = evaluated(2)
    monkeypatch.setattr(evaluation, "_MAX_PENDING", 1)
    one_by_one, _, progress = evaluated(2)
    assert progress == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert scores.of_run(workbench.database, usual) == scores.of_run(workbench.database, one_by_one)


def test_summary_of_a_split_follows_from_the_stored_counts(workbench, evaluated):
    run_id, dataset, _ = evaluated(2)
    dices = []
    for position in SPLIT["test"]:
        (tp, fp, fn), _, _ = recomputed(workbench.files, run_id, dataset, position, 2)
        dices.append(2 * tp[1] / (2 * tp[1] + fp[1] + fn[1]))
    summary = summarize(scores.of_run(workbench.database, run_id, "test"), dataset.classes)
    assert summary.mean_image_dice == pytest.approx(sum(dices) / 2)


@pytest.fixture
def again(workbench):
    """`again(run_id, dataset)`: score once more."""

    def again(run_id, dataset, progress=lambda share: None):
        evaluate(
            workbench, run_id, dataset, datasets.samples(workbench.database, dataset.id), SPLIT,
            Compute(torch.device("cpu"), torch.float32), progress,
        )  # fmt: skip

    return again


@pytest.mark.parametrize("num_done", [0, 1, 3, 5])
def test_scoring_that_was_cut_off_anywhere_can_be_done_again(workbench, evaluated, again, num_done):
    run_id, dataset, _ = evaluated(2)
    whole = scores.of_run(workbench.database, run_id)

    def die(share):
        if share * len(SIZES) >= num_done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        again(run_id, dataset, die)
    assert len(scores.of_run(workbench.database, run_id)) < len(SIZES)
    again(run_id, dataset)
    assert scores.of_run(workbench.database, run_id) == whole
    assert runs.get(workbench.database, run_id).scored_at is not None
    left = [path for path in workbench.files.path(f"runs/{run_id}").rglob(".*")]
    assert left == []


def test_scores_of_before_stay_when_the_checkpoint_cannot_be_read(workbench, evaluated, again):
    run_id, dataset, _ = evaluated(2)
    before = scores.of_run(workbench.database, run_id)
    workbench.files.path(best_key(f"runs/{run_id}")).write_bytes(b"damaged")
    with pytest.raises(BadData, match="cannot be read"):
        again(run_id, dataset)
    assert scores.of_run(workbench.database, run_id) == before


def test_disk_without_room_for_the_pictures_is_told_before_a_score_is_lost(
    workbench, evaluated, again, monkeypatch
):
    run_id, dataset, _ = evaluated(2)
    before = scores.of_run(workbench.database, run_id)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 99, 1))
    with pytest.raises(DiskFull, match="Free some and try again"):
        again(run_id, dataset)
    assert scores.of_run(workbench.database, run_id) == before


def test_disk_that_fills_up_while_pictures_are_drawn_ends_the_scoring_with_a_sentence(
    workbench, evaluated, again, monkeypatch
):
    run_id, dataset, _ = evaluated(2)

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(evaluation, "index_png", lambda *_: memoryview(b"x"))
    monkeypatch.setattr("pathlib.Path.write_bytes", fail)
    with pytest.raises(DiskFull, match="full"):
        again(run_id, dataset)
    assert scores.of_run(workbench.database, run_id) == []


def test_dataset_whose_files_are_gone_is_named(workbench, evaluated, again):
    run_id, dataset, _ = evaluated(2)
    shutil.rmtree(workbench.files.path(f"datasets/{dataset.id}"))
    with pytest.raises(NotFound, match=r"“odd sizes” are gone.*from a backup"):
        again(run_id, dataset)
