"""What is asked for is checked, and then it is a row."""

import pytest

from engine.config import recipe, with_changes
from engine.datasets.splits import split_of_run
from engine.errors import BadData, BadInput, BadSetting, NotFound, Refused
from engine.events import EpochRecord
from engine.jobs import queue
from engine.jobs.queue import (
    WANTS,
    config_parameters,
    proposal,
    stop_preflight,
    submit_preflight,
    submit_training,
)
from engine.notes import Note
from engine.store import datasets, epochs, jobs, runs

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


def add_epoch(workbench, run_id):
    """An epoch that left a checkpoint."""
    record = EpochRecord(
        epoch=1, train_loss=1, val_loss=1, val_dice=0.5, val_iou=0.5, val_class_dice=(0.5, 0.5),
        learning_rate=1e-3, seconds=1, images_per_second=1, is_best=True,
    )  # fmt: skip
    epochs.add(workbench.database, run_id, record)


SUBMISSIONS = [
    lambda *arguments: submit_training(*arguments, actor="ann"),
    lambda *arguments: submit_preflight(*arguments, ["speed"], actor="ann"),
]


@pytest.mark.parametrize("submit", SUBMISSIONS, ids=["training", "preflight"])
def test_class_weights_are_one_for_each_class(workbench, add_dataset, submit):
    dataset_id = add_dataset(num_classes=3)
    for weights in ([1, 2], [1, 2, 3, 4]):
        config = with_changes(CONFIG, {"class_weighting": "given", "class_weights": weights})
        with pytest.raises(BadSetting) as raised:
            submit(workbench, dataset_id, config)
        assert str(raised.value) == (
            f"Given class weights (class_weights) are {len(weights)} and the dataset has 3 classes "
            "(c0, c1, c2). Give one number for each, in this order."
        )
    assert jobs.with_status(workbench.database, *jobs.LIVE) == []
    three = with_changes(CONFIG, {"class_weighting": "given", "class_weights": [1, 2, 3]})
    submit(workbench, dataset_id, three)
    assert len(jobs.with_status(workbench.database, "queued")) == 1


@pytest.mark.parametrize("submit", SUBMISSIONS, ids=["training", "preflight"])
def test_run_to_start_from_has_to_be_there_and_to_have_weights(workbench, add_dataset, submit):
    dataset_id = add_dataset()
    first = submit_training(workbench, dataset_id, CONFIG, name="first", actor="ann")
    absent, present = (
        with_changes(CONFIG, {"start_from": name}) for name in ("none such", "first")
    )
    with pytest.raises(BadSetting, match=r"Start from run \(start_from\) is “none such”"):
        submit(workbench, dataset_id, absent)
    with pytest.raises(Refused, match=r"Run “first” .* is queued and has no weights yet"):
        submit(workbench, dataset_id, present)
    assert len(jobs.with_status(workbench.database, *jobs.LIVE)) == 1
    add_epoch(workbench, first)
    submit(workbench, dataset_id, present)
    assert len(jobs.with_status(workbench.database, *jobs.LIVE)) == 2


def test_run_that_is_started_from_is_remembered_by_its_id(workbench, add_dataset):
    dataset_id = add_dataset()
    first = submit_training(workbench, dataset_id, CONFIG, name="first", actor="ann")
    add_epoch(workbench, first)
    config = with_changes(CONFIG, {"start_from": "first"})
    second = submit_training(workbench, dataset_id, config, actor="ann")
    # A later run of the same name changes nothing.
    submit_training(workbench, dataset_id, CONFIG, name="first", actor="ann")
    assert runs.get(workbench.database, second).config.model.start_from == first


def test_reasons_stay_with_the_run(workbench, add_dataset):
    reasons = {"width": Note("{cores} cores.", {"cores": 2})}
    run_id = submit_training(workbench, add_dataset(), CONFIG, reasons=reasons, actor="ann")
    assert runs.get(workbench.database, run_id).reasons == reasons


def test_preflight_is_queued_with_its_settings_and_leaves_no_run(workbench, add_dataset):
    dataset_id = add_dataset()
    job_id = submit_preflight(workbench, dataset_id, CONFIG, ["rates", "pictures"], actor="ann")
    job = jobs.get(workbench.database, job_id)
    assert (job.kind, job.status, job.actor) == ("preflight", "queued", "ann")
    assert job.payload == {
        "dataset": dataset_id,
        "config": CONFIG.to_dict(),
        # What is seen at once comes first, in whatever order it was wanted.
        "want": ["pictures", "rates"],
    }
    assert runs.all_newest_first(workbench.database) == []


@pytest.mark.parametrize(
    ("want", "seen"), [([], "nothing"), (["speed", "luck"], "“luck”"), (["a", "b"], "“a”, “b”")]
)
def test_preflight_for_what_it_cannot_find_out_is_refused(workbench, add_dataset, want, seen):
    with pytest.raises(BadInput) as raised:
        submit_preflight(workbench, add_dataset(), CONFIG, want, actor="ann")
    assert str(raised.value) == (
        f"A preflight was asked for {seen}; it can find out: {', '.join(WANTS)}."
    )
    assert jobs.with_status(workbench.database, *jobs.LIVE) == []


def test_preflight_that_no_training_could_follow_is_refused(workbench, add_dataset):
    with pytest.raises(NotFound, match="no dataset “none”"):
        submit_preflight(workbench, "none", CONFIG, WANTS, actor="ann")
    with pytest.raises(BadData, match="no validation samples"):
        submit_preflight(workbench, add_dataset(sizes=[(20, 20)]), CONFIG, WANTS, actor="ann")
    with pytest.raises(Refused, match="2 samples have copies"):
        submit_preflight(workbench, add_dataset(twins={0: 0, 2: 0}), CONFIG, WANTS, actor="ann")
    assert jobs.with_status(workbench.database, *jobs.LIVE) == []


def test_queued_preflight_is_stopped_at_once_and_nothing_else_by_its_id(workbench, add_dataset):
    dataset_id = add_dataset()
    job_id = submit_preflight(workbench, dataset_id, CONFIG, WANTS, actor="ann")
    stop_preflight(workbench, job_id, actor="ann")
    assert jobs.get(workbench.database, job_id).status == "stopped"
    with pytest.raises(Refused, match="already stopped"):
        stop_preflight(workbench, job_id, actor="ann")
    run = runs.get(workbench.database, submit_training(workbench, dataset_id, CONFIG, actor="ann"))
    for other in (run.job.id, "none"):
        with pytest.raises(NotFound):
            stop_preflight(workbench, other, actor="ann")
    assert runs.get(workbench.database, run.id).status == "queued"


@pytest.fixture
def propose_for(workbench, add_dataset):
    """`propose_for(dataset_id, recipe, **wishes)`"""

    def propose_for(dataset_id, recipe_name, **wishes):
        dataset = datasets.get(workbench.database, dataset_id)
        samples = datasets.samples(workbench.database, dataset_id)
        return proposal(workbench, dataset, samples, recipe_name, wishes)

    return propose_for


def test_proposal_is_fitted_to_the_samples_that_the_wished_split_trains_on(
    add_dataset, propose_for
):
    dataset_id = add_dataset()
    proposed = propose_for(dataset_id, "auto", epochs="3")
    # 33×47 px are 39 a side; the nearest size that auto takes is its smallest.
    assert proposed.config.images.image_size_px == 64
    assert "39 px" in str(proposed.reasons["image_size_px"])
    assert proposed.config.schedule.epochs == 3
    assert "4 training samples" in str(proposed.reasons["rotation_degrees"])
    own_split = propose_for(dataset_id, "auto", split_method="random", val_share="0.5")
    assert "2 training samples" in str(own_split.reasons["rotation_degrees"])


def test_proposal_can_be_trained_with(workbench, add_dataset, propose_for):
    dataset_id = add_dataset()
    for name in ("auto", "quick", "tutorial", "paper", "tf_unet"):
        proposed = propose_for(dataset_id, name)
        assert bool(proposed.reasons) == (name == "auto")
        run_id = submit_training(
            workbench, dataset_id, proposed.config, reasons=proposed.reasons, actor="ann"
        )
        run = runs.get(workbench.database, run_id)
        assert (run.config, run.reasons) == (proposed.config, proposed.reasons)


def test_proposal_with_a_wish_that_cannot_be_granted_is_refused(add_dataset, propose_for):
    dataset_id = add_dataset()
    with pytest.raises(BadSetting, match=r"\(epochs\) is 'many'"):
        propose_for(dataset_id, "auto", epochs="many")
    with pytest.raises(BadSetting, match="no recipe “best”"):
        propose_for(dataset_id, "best")
    with pytest.raises(BadData, match="no validation samples"):
        propose_for(add_dataset(sizes=[(20, 20)]), "auto")


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


def test_everything_that_needs_a_worker_makes_sure_of_one(workbench, add_dataset, monkeypatch):
    dataset_id = add_dataset()
    asked = []
    monkeypatch.setattr(queue, "ensure_worker", lambda home: asked.append(home))
    submit_training(workbench, dataset_id, CONFIG, actor="ann")
    assert asked == [workbench]
    submit_preflight(workbench, dataset_id, CONFIG, WANTS, actor="ann")
    assert asked == [workbench] * 2
