"""`python -m engine doctor`: of a run, and of this installation."""

import json
import platform
import shutil
import sqlite3
from types import SimpleNamespace

import pytest

from engine.__main__ import main
from engine.commands import doctor
from engine.config import RECIPES, Machine, with_changes
from engine.datasets.toy import write_toy_zip
from engine.errors import Diverged
from engine.jobs.daemon import stamp_of
from engine.jobs.queue import submit_training
from engine.store import attempts, datasets, jobs, workers


@pytest.fixture
def toy(workbench, tmp_path, capsys):
    """A home with a toy dataset, and the id of that."""
    write_toy_zip(tmp_path / "toy.zip", num_samples=12, size_px=16)
    assert main(["import", str(tmp_path / "toy.zip")]) == 0
    capsys.readouterr()
    return datasets.all_newest_first(workbench.database)[0].id


def checks(capsys, status=0):
    """The checks of this installation, by name."""
    assert main(["doctor", "--json"]) == status
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["ok"] == (status == 0)
    return {check["name"]: (check["state"], check["text"]) for check in found["checks"]}


def test_run_is_diagnosed_with_what_may_help(workbench, toy, capsys):
    run_id = submit_training(workbench, toy, RECIPES["quick"], name="hot", actor="ann")
    job = attempts.claim(workbench.database, ["train"], "cpu")
    error = Diverged("No number ({loss}).", loss="nan", precision="fp32").to_record()
    attempts.finish(workbench.database, job, "failed", error=error)
    assert main(["doctor", "hot", "--json"]) == 0
    *told, last = capsys.readouterr().out.splitlines()
    assert told[0] == f"Run {run_id} “hot” is failed."
    assert "error (diverged): No number (nan)." in told
    found = json.loads(last)
    assert found["run"] == run_id
    assert found["diagnoses"][0]["key"] == "diverged"
    assert found["diagnoses"][0]["remedies"][0] == {
        "label": "learning rate 0.0004", "changes": {"learning_rate": 0.0004}, "more": 0,
    }  # fmt: skip


def test_run_that_is_well_has_nothing_to_report(workbench, toy, capsys):
    halves = with_changes(RECIPES["quick"], {"split_method": "random", "val_share": 0.5})
    submit_training(workbench, toy, halves, name="new", actor="ann")
    assert main(["doctor", "new"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["Nothing to report."]


def test_run_that_is_not_there_is_a_sentence(workbench, capsys):
    assert main(["doctor", "nobody"]) == 1
    said = capsys.readouterr()
    assert "no run with the id or name “nobody”" in said.err
    assert not said.out


def test_installation_is_looked_at_thing_by_thing(workbench, capsys):
    found = checks(capsys)
    assert list(found) == [
        "python", "torch", "streamlit", "device", "weights", "home", "disk", "database", "worker",
    ]  # fmt: skip
    assert all(state != "error" for state, _text in found.values())
    assert platform.python_version() in found["python"][1]
    assert "revision 0004" in found["database"][1]


def test_plain_lines_say_the_same(workbench, capsys):
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 9
    assert all(line.split()[0] in ("ok", "warn") for line in lines)


def test_home_that_is_not_there_is_not_made(home, capsys):
    found = checks(capsys)
    assert found["home"][0] == "warn"
    assert "database" not in found
    assert not home.exists()


def test_database_that_cannot_be_opened_is_an_error_and_the_status(home, capsys):
    home.mkdir()
    (home / "workbench.db").write_bytes(b"this is no database, and long enough not to be empty")
    found = checks(capsys, status=1)
    assert found["database"][0] == "error"
    assert "WORKBENCH_HOME" in found["database"][1]
    assert "worker" not in found


def test_database_of_a_newer_version_is_an_error(workbench, home, capsys):
    workbench.close()
    with sqlite3.connect(home / "workbench.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    assert "newer version" in checks(capsys, status=1)["database"][1]


@pytest.mark.parametrize(
    "free_gib, state, status", [(0.1, "error", 1), (1.0, "warn", 0), (50.0, "ok", 0)]
)
def test_little_free_disk_is_told_by_how_little_it_is(
    workbench, capsys, monkeypatch, free_gib, state, status
):
    usage = SimpleNamespace(free=int(free_gib * 2**30))
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    assert checks(capsys, status)["disk"][0] == state


def test_home_that_cannot_be_written_is_an_error(workbench, capsys, monkeypatch):
    monkeypatch.setattr(doctor.os, "access", lambda path, mode: False)
    found = checks(capsys, status=1)
    assert found["home"][0] == "error" and "mode" in found["home"][1]


@pytest.mark.parametrize(
    "versions, wrong",
    [
        ({"torch": "2.10.0"}, "torch"),
        ({"torch": None}, "torch"),
        ({"streamlit": "1.9"}, "streamlit"),
    ],
)
def test_library_that_is_too_old_or_missing_is_an_error(
    workbench, capsys, monkeypatch, versions, wrong
):
    now = {"python": "3.11.9", "commit": "unknown", "torch": "2.11.0+cu128", "streamlit": "1.67"}
    monkeypatch.setattr(doctor, "environment", lambda: now | versions)
    found = checks(capsys, status=1)
    assert [name for name, (state, _text) in found.items() if state == "error"] == [wrong]
    assert "requirements.txt" in found[wrong][1]


@pytest.mark.parametrize("torch, state", [("2.11.0+cpu", "error"), ("2.11.0+cu128", "ok")])
def test_gpu_that_torch_cannot_use_is_an_error(workbench, capsys, monkeypatch, torch, state):
    gpu = Machine(
        device="cuda", num_cores=2, memory_bytes=2**34, device_name="A GPU", weights={}
    )  # fmt: skip
    now = {"python": "3.11.9", "commit": "unknown", "torch": torch, "streamlit": "1.67"}
    monkeypatch.setattr(doctor, "this_machine", lambda weights: gpu)
    monkeypatch.setattr(doctor, "environment", lambda: now | {"driver": "550"})
    found = checks(capsys, status=int(state == "error"))
    assert found["device"][0] == state and "A GPU" in found["device"][1]


def test_pretrained_weights_are_named(workbench, capsys):
    folder = workbench.settings.weights
    folder.mkdir()
    (folder / "resnet34.pth").touch()
    assert checks(capsys)["weights"][1] == f"{folder} has resnet34."


def test_jobs_without_a_worker_are_told_by_whose_task_it_is(workbench, capsys, monkeypatch):
    assert checks(capsys)["worker"][0] == "warn"
    jobs.add(workbench.database, "import", {"draft": "x"}, actor="ann")
    state, text = checks(capsys, status=1)["worker"]
    assert (state, "jobs waiting: 1" in text, "external" in text) == ("error", True, True)
    monkeypatch.setenv("WORKBENCH_WORKER", "local")
    state, text = checks(capsys)["worker"]
    assert (state, "worker --detach" in text) == ("warn", True)


def test_worker_that_lives_is_well_unless_it_is_silent(workbench, capsys, monkeypatch):
    pid = doctor.os.getpid()
    workers.announce(workbench.database, platform.node(), pid, stamp_of(pid))
    assert checks(capsys)["worker"][0] == "ok"
    monkeypatch.setattr(doctor, "_SILENT_SECONDS", -1.0)
    state, text = checks(capsys)["worker"]
    assert (state, "said nothing" in text) == ("warn", True)
