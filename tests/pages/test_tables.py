"""The rows of the tables."""

from dataclasses import replace
from typing import get_args

import pytest

from engine.config import RECIPES, leaf_fields
from engine.store.jobs import JobStatus
from pages.common.tables import (
    STATUS_ICONS,
    differing_settings,
    runs_table,
    setting_text,
    settings_table,
    unique_labels,
)


@pytest.fixture
def run(dataset, make_runs):
    return make_runs.queued(dataset, "Run")


@pytest.mark.parametrize(
    "value, shown",
    [
        (None, "–"),
        (True, "yes"),
        (False, "no"),
        (0, "0"),
        (12, "12"),
        (2**31 - 1, "2147483647"),
        (1e-4, "0.0001"),
        (4e-3, "0.004"),
        (0.5, "0.5"),
        ("batch", "batch"),
        ([1.0, 2.5], "1, 2.5"),
    ],
)
def test_setting_is_written_as_a_person_would(value, shown):
    assert setting_text(value) == shown


def test_setting_that_was_changed_since_memory_ran_out_says_what_it_was(run):
    adjusted = replace(run, adjustments={"batch_size": 1, "accumulation": 4})
    table = settings_table(adjusted).set_index("key")
    before = settings_table(run).set_index("key")
    assert table.loc["schedule.batch_size", "value"] == "1"
    was = before.loc["schedule.batch_size", "value"]
    assert table.loc["schedule.batch_size", "why"] == f"It was {was} until memory ran out."
    assert table.loc["optimizer.accumulation", "value"] == "4"
    assert list(table.drop(["schedule.batch_size", "optimizer.accumulation"])["why"]) == list(
        before.drop(["schedule.batch_size", "optimizer.accumulation"])["why"]
    )


def test_settings_table_has_every_setting_once(run):
    table = settings_table(run)
    assert list(table["key"]) == [f"{part}.{name}" for name, (part, _) in leaf_fields().items()]
    assert table["setting"].is_unique


def test_runs_that_agree_differ_in_nothing(run):
    assert differing_settings({"A": run, "B": run}).empty


def test_only_differing_settings_are_listed_with_dataset_and_recipe_first(dataset, make_runs, run):
    other = make_runs.queued(dataset, recipe="tutorial", learning_rate=4e-3, width=16)
    other = replace(other, dataset_id="other", dataset_name="Other")
    table = differing_settings({"A": run, "B": other}).set_index("Setting")
    assert list(table.index[:2]) == ["Dataset", "Recipe"]
    assert table.loc["Dataset"].tolist() == ["Cells", "Other"]
    assert table.loc["Recipe"].tolist() == ["quick", "tutorial"]
    assert table.loc["Epochs"].tolist() == ["30", "20"]
    assert not {"Learning rate", "Width", "Batch size"} & set(table.index)


def test_datasets_of_the_same_name_differ(run):
    assert not differing_settings({"A": run, "B": replace(run, dataset_id="other")}).empty


def test_run_called_like_the_column_of_settings_hides_no_setting(dataset, make_runs, run):
    other = make_runs.queued(dataset, "Setting", epochs=7)
    table = differing_settings(unique_labels([run, other]))
    assert table.shape == (1, 3)
    assert table.iloc[0].tolist() == ["Epochs", "30", "7"]


def test_names_that_occur_twice_get_their_id(run):
    twin, other = replace(run, id="twin"), replace(run, id="other", name="Other")
    labels = unique_labels([run, other, twin])
    assert list(labels) == [f"Run ({run.id})", "Other", "Run (twin)"]
    assert list(labels.values()) == [run, other, twin]


def test_table_without_runs_keeps_its_columns():
    table = runs_table([])
    assert table.empty
    assert {"status", "name", "created"} <= set(table.columns)


def test_every_status_has_a_sign_of_its_own():
    assert STATUS_ICONS.keys() == set(get_args(JobStatus)) | {"paused", "stopping", "pausing"}
    # What is being stopped still runs.
    assert len(set(STATUS_ICONS.values())) == len(STATUS_ICONS) - 2


def test_recipe_in_the_table_is_that_of_the_run(run):
    table = runs_table([run], now=run.created_at)
    assert list(table["recipe"]) == [RECIPES["quick"].recipe]
