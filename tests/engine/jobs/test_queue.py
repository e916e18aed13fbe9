"""What is asked for is checked, and then it is a row."""

import pytest

from engine.config import recipe, with_changes
from engine.datasets.splits import split_of_run
from engine.errors import BadData, BadInput, NotFound, Refused
from engine.jobs import queue
from engine.jobs.queue import (
    config_parameters,
    stop_run,
    submit_training,
)
from engine.store import datasets, jobs, runs

CONFIG = with_changes(recipe("quick"), {"width": 4, "num_levels": 2, "image_size_px": 16})


def test_training_is_queued_with_its_split_and_its_parameter_count(workbench, add_dataset):
    dataset_id = add_dataset()
    config = with_changes(CONFIG, {"split_method": "random", "val_share": 0.3, "split_seed": 7})
    run = runs.get(
        workbench.database,
        submit_training(workbench, dataset_id, config, name="mine", actor="ann"),
    )
    split = runs.split_of(workbench.database, run.id)
    assert split == split_of_run(datasets.samples(workbench.database, dataset_id), config.split)
    assert sorted(position for part in split.values() for position in part) == list(range(6))
    # 1→4→4 and 4→8→8 down, 8→4 up, 8→4→4 merged, 4→1: 3·3 kernels, biases, scale and shift twice.
    down = (36 + 4) + (144 + 4) + 16 + (288 + 8) + (576 + 8) + 32
    assert run.num_parameters == down + (128 + 4) + (288 + 4) + (144 + 4) + 16 + (4 + 1)
    assert (run.name, run.actor, run.status, run.config) == ("mine", "ann", "queued", config)


def test_runs_share_the_split_that_is_stored_with_the_dataset(workbench, add_dataset):
    dataset_id = add_dataset()
    ids = [submit_training(workbench, dataset_id, CONFIG, actor="ann") for _ in range(2)]
    for run_id in ids:
        split = runs.split_of(workbench.database, run_id)
        assert split == {"train": [0, 3, 4, 5], "val": [1], "test": [2]}


def test_training_that_would_score_copies_of_its_images_is_refused_unless_accepted(
    workbench, add_dataset
):
    dataset_id = add_dataset(twins={0: 0, 2: 0, 3: 1, 4: 1})
    with pytest.raises(Refused, match=r"2 samples have copies in another part.*“s0” and “s2”"):
        submit_training(workbench, dataset_id, CONFIG, actor="ann")
    assert runs.all_newest_first(workbench.database) == []
    accepting = with_changes(CONFIG, {"accept_leaks": True})
    run_id = submit_training(workbench, dataset_id, accepting, actor="ann")
    assert runs.get(workbench.database, run_id).config.split.accept_leaks
    # A split that a run makes for itself keeps copies together, so nothing leaks.
    own = with_changes(CONFIG, {"split_method": "random"})
    split = runs.split_of(
        workbench.database, submit_training(workbench, dataset_id, own, actor="ann")
    )
    parts = [{0, 2} & set(part) for part in split.values()]
    assert {0, 2} in parts


def test_parameters_follow_the_channels_and_the_classes(workbench, add_dataset):
    dataset = datasets.get(workbench.database, add_dataset(num_classes=3))
    tutorial = recipe("tutorial")
    # Three classes need three logits: two more than the tutorial's one, 64 weights and a bias each.
    assert config_parameters(tutorial, dataset) == 7_697_345 + 2 * 65
    grey = with_changes(tutorial, {"color": "dataset"})
    assert config_parameters(grey, dataset) == 7_697_345 + 2 * 65 - 2 * 64 * 9


def test_name_of_a_run_defaults_to_dataset_recipe_and_number(workbench, add_dataset):
    dataset_id = add_dataset(name="cells")
    ids = [
        submit_training(workbench, dataset_id, CONFIG, name=name, actor="ann")
        for name in (None, "  ", "mine", None)
    ]
    names = [runs.get(workbench.database, run_id).name for run_id in ids]
    assert names == ["cells quick 1", "cells quick 2", "mine", "cells quick 4"]


def test_default_name_of_a_run_on_a_dataset_with_a_long_name_fits(workbench, add_dataset):
    dataset_id = add_dataset(name="x" * 200)
    run_id = submit_training(workbench, dataset_id, CONFIG, actor="ann")
    name = runs.get(workbench.database, run_id).name
    assert len(name) == 200
    assert name.endswith("xx quick 1")


def test_run_with_too_long_a_name_is_refused(workbench, add_dataset):
    dataset_id = add_dataset()
    with pytest.raises(BadInput, match="201 characters; it may have 200"):
        submit_training(workbench, dataset_id, CONFIG, name="x" * 201, actor="ann")
    assert runs.all_newest_first(workbench.database) == []


def test_training_on_an_unknown_dataset_is_refused(workbench):
    with pytest.raises(NotFound, match="no dataset “none”"):
        submit_training(workbench, "none", CONFIG, actor="ann")
    assert jobs.with_status(workbench.database, *jobs.LIVE) == []


def test_training_on_a_single_sample_is_refused_and_nothing_queued(workbench, add_dataset):
    dataset_id = add_dataset(sizes=[(20, 20)])
    with pytest.raises(BadData, match="no validation samples"):
        submit_training(workbench, dataset_id, CONFIG, actor="ann")
    assert jobs.with_status(workbench.database, *jobs.LIVE) == []


def test_queued_run_is_stopped_at_once_and_an_ended_one_not_again(workbench, add_dataset):
    run_id = submit_training(workbench, add_dataset(), CONFIG, actor="ann")
    stop_run(workbench, run_id, actor="bob")
    assert runs.get(workbench.database, run_id).status == "stopped"
    with pytest.raises(Refused, match="already stopped"):
        stop_run(workbench, run_id, actor="bob")
    with pytest.raises(NotFound):
        stop_run(workbench, "none", actor="bob")


def test_everything_that_needs_a_worker_makes_sure_of_one(workbench, add_dataset, monkeypatch):
    dataset_id = add_dataset()
    asked = []
    monkeypatch.setattr(queue, "ensure_worker", lambda home: asked.append(home))
    run_id = submit_training(workbench, dataset_id, CONFIG, actor="ann")
    assert asked == [workbench]
    # A run whose process died unseen would otherwise be “stopping” for ever.
    jobs.claim(workbench.database, "train")
    stop_run(workbench, run_id, actor="ann")
    assert asked == [workbench] * 2
