"""The command line, from a zip to scores, as a script would use it."""

import csv
import io
import json
import zipfile

import pytest

from engine.datasets.toy import write_toy_zip
from tests.integration.support import TINY, TINY_OPTIONS

SUMMARY_KEYS = {"mean_image_dice", "pooled_dice", "mean_image_iou", "per_class", "images"}
SHARES = ["--set=split_method=random", "--set=val_share=0.25", "--set=test_share=0.25"]


@pytest.fixture(scope="module")
def lab(make_home, tmp_path_factory):
    """A home in which one dataset was imported and one run trained, by commands alone."""
    folder = tmp_path_factory.mktemp("lab")
    home = make_home(folder / "home", "local")
    write_toy_zip(folder / "cells.zip", num_samples=12, size_px=40)
    home.imported = home.result("import", folder / "cells.zip", "--json")
    home.trained = home.result("train", "cells", *TINY_OPTIONS, *SHARES, "--wait", "--json")
    return home


@pytest.fixture(scope="module")
def shown(lab):
    return lab.result("show", lab.trained["run"], "--json")


@pytest.fixture(scope="module")
def scored(lab):
    ended = lab.command("scores", lab.trained["run"], "--format", "json")
    return json.loads(ended.stdout)


def test_import_says_what_was_found(lab):
    imported = lab.imported
    assert set(imported) == {"dataset", "samples", "classes", "unmatched", "warnings", "report"}
    assert imported["report"]["split_sizes"] == {"train": 8, "val": 2, "test": 2}
    assert imported["samples"] == 12
    assert len(imported["classes"]) == 3
    assert (imported["unmatched"], imported["warnings"]) == ([], [])


def test_folder_is_imported_like_a_zip_and_what_is_left_over_is_named(lab, tmp_path):
    write_toy_zip(tmp_path / "toy.zip", num_samples=3, size_px=20)
    with zipfile.ZipFile(tmp_path / "toy.zip") as archive:
        archive.extractall(tmp_path / "slides")
    (tmp_path / "slides" / "masks" / "001.png").unlink()
    ended = lab.command("import", tmp_path / "slides", "--name", "my slides", "--json")
    imported = json.loads(ended.stdout.splitlines()[-1])
    assert imported["samples"] == 2
    assert imported["unmatched"] == ["images/001.png"]
    assert len(imported["warnings"]) >= 1
    assert "“my slides”: 2 samples" in ended.stdout
    assert ended.stderr == ""


def test_waited_for_training_says_how_it_ended_and_what_it_scores(lab):
    trained = lab.trained
    assert set(trained) == {"run", "status", "best_epoch", "scores"}
    assert trained["status"] == "completed"
    assert trained["best_epoch"] in (1, 2)
    assert {"val", "test"} <= set(trained["scores"])


def test_runs_are_listed_newest_first(lab):
    ended = lab.command("runs", "--json")
    listed = json.loads(ended.stdout.splitlines()[-1])["runs"]
    assert listed[-1]["run"] == lab.trained["run"]
    assert listed[-1]["status"] == "completed"
    created = [run["created_at"] for run in listed]
    assert created == sorted(created, reverse=True)
    assert lab.trained["run"] in ended.stdout.splitlines()[len(listed) - 1]


def test_shown_run_has_its_config_its_epochs_and_its_scores(lab, shown):
    assert {"config", "status", "epochs", "scores", "images_per_second"} <= set(shown)
    assert shown["status"] == "completed"
    flat = {leaf: value for part in shown["config"].values() if isinstance(part, dict)
            for leaf, value in part.items()}  # fmt: skip
    assert TINY.items() <= flat.items()
    assert [epoch["epoch"] for epoch in shown["epochs"]] == [1, 2]
    assert set(shown["epochs"][0]["val_class_dice"]) == set(lab.imported["classes"])
    assert shown["images_per_second"] > 0
    assert shown["split"] == {"train": 6, "val": 3, "test": 3}
    assert shown["scores"] == lab.trained["scores"]
    assert shown["error"] is None
    for summary in (shown["scores"]["val"], shown["scores"]["test"]):
        assert set(summary) == SUMMARY_KEYS
        assert summary["images"] == 3
        assert list(summary["per_class"]) == lab.imported["classes"]
        assert all({"dice", "iou", "background"} <= set(c) for c in summary["per_class"].values())
        roles = [each["background"] for each in summary["per_class"].values()]
        assert sorted(roles) == [False, False, True]


def test_shown_means_follow_from_the_scores_of_the_images(shown, scored):
    for split in ("val", "test"):
        lines = [line for line in scored if line["split"] == split]
        summary = shown["scores"][split]
        assert summary["mean_image_dice"] == pytest.approx(mean(line["dice"] for line in lines))
        assert summary["mean_image_iou"] == pytest.approx(mean(line["iou"] for line in lines))


def test_background_is_left_out_of_the_dice_of_an_image(scored):
    for line in scored:
        counted = [c["dice"] for c in line["per_class"].values() if not c["background"]]
        present = [dice for dice in counted if dice is not None]
        assert line["dice"] == pytest.approx(mean(present) if present else 1.0)


def test_show_without_json_is_for_people(lab):
    said = lab.command("show", "cells auto 1").stdout
    assert "completed" in said
    assert "test: mean image Dice" in said
    assert "(background)" in said
    assert "{" not in said


def test_scores_are_listed_worst_first(scored):
    assert len(scored) == 12
    assert all({"sample", "dice", "iou", "per_class"} <= set(line) for line in scored)
    dices = [line["dice"] for line in scored]
    assert dices == sorted(dices)
    assert min(line["sample"] for line in scored).endswith("000")


def test_scores_as_csv_hold_the_same_numbers(lab, scored):
    ended = lab.command("scores", lab.trained["run"], "--format", "csv", "--split", "test")
    rows = list(csv.DictReader(io.StringIO(ended.stdout)))
    expected = [line for line in scored if line["split"] == "test"]
    assert [row["sample"] for row in rows] == [line["sample"] for line in expected]
    assert [float(row["dice"]) for row in rows] == [line["dice"] for line in expected]
    for name in lab.imported["classes"]:
        dices = [line["per_class"][name]["dice"] for line in expected]
        assert [row[f"dice {name}"] for row in rows] == ["" if d is None else str(d) for d in dices]


def test_scores_as_a_table_have_one_line_each(lab):
    ended = lab.command("scores", "cells auto 1", "--split", "val")
    header, *lines = ended.stdout.splitlines()
    assert header.split()[:4] == ["sample", "split", "dice", "iou"]
    assert len(lines) == 3
    assert all(" val " in line for line in lines)


def test_toy_zip_can_be_imported(lab, tmp_path):
    said = lab.command("toy", "--out", tmp_path / "toy.zip")
    assert (said.returncode, said.stderr) == (0, "")
    assert lab.result("import", tmp_path / "toy.zip", "--json")["samples"] == 40


def test_same_settings_give_the_same_run_in_every_number(lab, shown, scored):
    options = [*TINY_OPTIONS, *SHARES, "--name", "again"]
    again = lab.result("train", lab.imported["dataset"], *options, "--wait", "--json")
    assert again["scores"] == lab.trained["scores"]
    clocks = {"seconds", "images_per_second", "data_wait_share", "peak_memory_bytes"}
    epochs = lab.result("show", "again", "--json")["epochs"]
    assert [without(epoch, clocks) for epoch in epochs] == [
        without(epoch, clocks) for epoch in shown["epochs"]
    ]
    lines = json.loads(lab.command("scores", "again", "--format", "json").stdout)
    assert lines == scored


def test_worker_started_by_a_command_is_the_child_of_nobody_here(lab):
    log = lab.path / "logs" / "worker.txt"
    # One for all runs of this home, and nothing that went wrong.
    assert log.read_text().count(" started for ") == 1
    assert "Traceback" not in log.read_text()


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def without(record, names):
    return {name: value for name, value in record.items() if name not in names}
