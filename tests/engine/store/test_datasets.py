"""Datasets: found by id or name, kept while runs use them."""

import dataclasses

import pytest

from engine.errors import NotFound, Refused
from engine.store import datasets, runs


def test_dataset_and_samples_are_read_back_as_they_were_written(database, add_dataset):
    report = {"warnings": [{"message": "{n}", "facts": {"n": 1}}], "sizes": {"8×6": 3}}
    dataset_id = add_dataset("细胞", report=report, num_channels=3, content_hash="f" * 64)
    dataset = datasets.get(database, dataset_id)
    assert (dataset.name, dataset.actor, dataset.num_channels) == ("细胞", "ann", 3)
    assert (dataset.num_samples, dataset.content_hash) == (3, "f" * 64)
    assert datasets.report(database, dataset_id) == report
    assert [(c.index, c.name, c.background, c.source_value) for c in dataset.classes] == [
        (0, "background", True, 0),
        (1, "cell", False, 255),
    ]
    samples = datasets.samples(database, dataset_id)
    assert [sample.name for sample in samples] == ["images/0", "images/1", "images/2"]
    assert samples[0].class_pixels == (40, 8)
    assert (samples[0].width, samples[0].height) == (8, 6)
    assert [sample.split for sample in samples] == ["train", "val", "test"]


def test_dataset_is_found_by_id_or_by_its_name_newest_first(database, add_dataset):
    old, new = add_dataset("cells"), add_dataset("cells")
    assert datasets.find(database, old).id == old
    assert datasets.find(database, "cells").id == new
    assert [each.id for each in datasets.all_newest_first(database)] == [new, old]


def test_id_goes_before_a_name_that_looks_like_it(database, add_dataset):
    wanted = add_dataset("cells")
    add_dataset(wanted)
    assert datasets.find(database, wanted).name == "cells"


def test_unknown_dataset_is_not_found(database):
    for search in (datasets.get, datasets.find, datasets.report):
        with pytest.raises(NotFound, match="“none”"):
            search(database, "none")
    with pytest.raises(NotFound, match="“none”"):
        datasets.delete(database, "none", actor="ann")


def test_datasets_with_the_same_content_are_found(database, add_dataset):
    same = {add_dataset(content_hash="a" * 64) for _ in range(2)}
    add_dataset(content_hash="b" * 64)
    assert {each.id for each in datasets.with_content(database, "a" * 64)} == same


def test_deleted_dataset_is_gone_with_its_samples_and_nothing_else(database, add_dataset):
    gone, kept = add_dataset(), add_dataset()
    datasets.delete(database, gone, actor="ann")
    assert datasets.samples(database, gone) == []
    assert [each.id for each in datasets.all_newest_first(database)] == [kept]
    assert len(datasets.samples(database, kept)) == 3


def test_dataset_that_runs_use_cannot_be_deleted(database, add_dataset, add_run):
    dataset_id = add_dataset()
    add_run(dataset_id)
    with pytest.raises(Refused, match="1 runs use this dataset"):
        datasets.delete(database, dataset_id, actor="ann")
    assert len(datasets.samples(database, dataset_id)) == 3
    assert len(runs.of_dataset(database, dataset_id)) == 1


def test_dataset_that_is_half_written_is_not_there(database, add_dataset):
    sample = datasets.samples(database, add_dataset())[0]
    with pytest.raises(Exception, match="UNIQUE"):
        add_dataset(dataset_id="half", samples=[sample, sample])
    with pytest.raises(NotFound):
        datasets.get(database, "half")


def test_what_people_say_of_a_dataset_changes_and_nothing_else(database, add_dataset):
    dataset_id, other = add_dataset("cells"), add_dataset("other")
    before = datasets.get(database, dataset_id)
    datasets.describe(
        database, dataset_id, name="nuclei", tags=["pilot", "细胞"], notes="Week 3", actor="bob"
    )
    after = datasets.get(database, dataset_id)
    assert (after.name, after.tags, after.notes) == ("nuclei", ("pilot", "细胞"), "Week 3")
    assert dataclasses.replace(after, name="cells", tags=(), notes="") == before
    assert datasets.get(database, other).name == "other"
    with pytest.raises(NotFound, match="“none”"):
        datasets.describe(database, "none", name="x", tags=[], notes="", actor="bob")


def test_corrections_remember_their_parent_also_when_it_is_deleted(database, add_dataset):
    change = [{"message": "{n} left out.", "facts": {"n": 1}}]
    parent = add_dataset("cells")
    child = add_dataset("cells v2", parent_id=parent, change=change)
    assert [each.id for each in datasets.corrections_of(database, parent)] == [child]
    assert datasets.corrections_of(database, child) == []
    assert datasets.get(database, child).change == change
    datasets.delete(database, parent, actor="ann")
    assert datasets.get(database, child).parent_id == parent


def test_group_fold_twins_and_facts_of_samples_are_read_back(database, add_dataset):
    sample = datasets.samples(database, add_dataset())[0]
    rich = dataclasses.replace(
        sample, split="val", fold=2, group="sub-1", twins=0, facts={"brightness": 0.5}
    )
    assert datasets.samples(database, add_dataset(samples=[rich])) == [rich]
