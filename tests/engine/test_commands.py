"""Commands in this process: what they hand on, what they print where, and their exit status."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.__main__ import main
from engine.commands import runs as run_commands
from engine.datasets.toy import write_toy_zip
from engine.errors import ProcessDied
from engine.store import jobs, runs

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def toy(workbench, tmp_path, capsys):
    """A home with a toy dataset and an external worker that never comes."""
    write_toy_zip(tmp_path / "toy.zip", num_samples=4, size_px=16)
    assert main(["import", str(tmp_path / "toy.zip")]) == 0
    capsys.readouterr()
    return workbench


def newest_run(workbench):
    return runs.all_newest_first(workbench.database)[0]


def test_settings_reach_the_run_by_leaf_and_by_dotted_name(toy, capsys):
    settings = ["--set", "epochs=3", "--set", "model.width = 8", "--set=flips=no"]
    assert main(["train", "toy", "--recipe", "quick", *settings, "--json"]) == 0
    run = newest_run(toy)
    assert (run.config.schedule.epochs, run.config.model.width) == (3, 8)
    assert run.config.augment.flips is False
    assert run.config.recipe == "quick"
    said = capsys.readouterr()
    assert json.loads(said.out.splitlines()[-1]) == {"run": run.id, "status": "queued"}
    assert said.err == ""


def test_none_takes_away_what_need_not_be_there_and_is_a_word_elsewhere(toy):
    chosen = ["--set", "normalization=none", "--set", "max_minutes=None"]
    assert main(["train", "toy", "--recipe", "quick", *chosen]) == 0
    config = newest_run(toy).config
    assert config.model.normalization == "none"
    assert config.schedule.max_minutes is None


def test_setting_that_another_one_disables_is_warned_about_beside_the_result(toy, capsys):
    assert main(["train", "toy", "--set", "max_minutes=5"]) == 0
    said = capsys.readouterr()
    assert said.err == "A time budget is set, so the number of epochs is not used.\n"
    assert "is queued" in said.out


def test_waiting_makes_sure_of_a_worker_and_a_failed_run_is_a_failed_command(
    toy, capsys, monkeypatch
):
    def work_badly(workbench):
        job = jobs.claim(workbench.database, "train")
        error = ProcessDied("It ended: {cause}.", cause="killed", log="Epoch 1\nout of memory")
        jobs.finish(workbench.database, job.id, "failed", error=error.to_record())

    monkeypatch.setattr(run_commands, "_WAIT_SECONDS", 0.0)
    monkeypatch.setattr(run_commands, "ensure_worker", work_badly)
    assert main(["train", "toy", "--wait", "--json"]) == 1
    said = capsys.readouterr()
    assert said.err.splitlines() == ["queued", "failed", "It ended: killed."]
    result = json.loads(said.out.splitlines()[-1])
    assert result["status"] == "failed"
    assert (result["best_epoch"], result["scores"]) == (None, {})

    assert main(["show", result["run"], "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["error"] == "It ended: killed."
    assert shown["log"] == "Epoch 1\nout of memory"
    assert (shown["epochs"], shown["images_per_second"]) == ([], None)

    assert main(["show", result["run"]]) == 0
    said = capsys.readouterr()
    assert "It ended: killed.\n  | Epoch 1\n  | out of memory\n" in said.out


def test_home_without_runs_lists_none(workbench, capsys):
    assert main(["runs"]) == 0
    assert capsys.readouterr().out == ""
    assert main(["runs", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"runs": []}


@pytest.mark.parametrize("arguments", [[], ["dance"], ["import"], ["scores", "x", "--format", "x"]])
def test_command_that_does_not_exist_shows_how_commands_are_given(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "usage: python -m engine" in said.err


def test_reader_that_leaves_early_is_no_error(toy):
    for number in range(3):
        main(["train", "toy", "--name", f"run {number}"])
    command = f"{sys.executable} -m engine runs --json | true"
    ended = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=PROJECT,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
