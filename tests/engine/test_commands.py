"""Commands in this process: what they hand on, what they print where, and their exit status."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from engine.__main__ import main
from engine.commands import preflight as preflight_commands
from engine.commands import runs as run_commands
from engine.config import AUGMENT_PRESETS
from engine.datasets.toy import write_toy_zip
from engine.errors import ProcessDied
from engine.events import EpochRecord
from engine.jobs.queue import WANTS
from engine.store import attempts, epochs, jobs, runs

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
    settings = ["--set", "epochs=3", "--set", "model.width = 8", "--set=flips=none"]
    assert main(["train", "toy", "--recipe", "quick", *settings, "--json"]) == 0
    run = newest_run(toy)
    assert (run.config.schedule.epochs, run.config.model.width) == (3, 8)
    assert run.config.augment.flips == "none"
    assert run.config.recipe == "quick"
    said = capsys.readouterr()
    assert json.loads(said.out.splitlines()[-1]) == {"run": run.id, "status": "queued"}
    assert "has no effect" not in said.err


def test_none_takes_away_what_need_not_be_there_and_is_a_word_elsewhere(toy):
    chosen = ["--set", "normalization=none", "--set", "max_minutes=None"]
    assert main(["train", "toy", "--recipe", "quick", *chosen]) == 0
    config = newest_run(toy).config
    assert config.model.normalization == "none"
    assert config.schedule.max_minutes is None


def test_settings_in_vain_and_without_hope_are_warned_about_beside_the_result(toy, capsys):
    assert main(["train", "toy", "--recipe", "tutorial", "--set", "focal_gamma=3"]) == 0
    said = capsys.readouterr()
    assert said.err.splitlines() == [
        "Focal γ (focal_gamma) has no effect: the loss is not focal.",
        "With 1 validation samples the best epoch is chosen almost by chance. Hold out more for "
        "validation.",
        "20 steps at a learning rate of 0.0001 without normalisation seldom leave the first guess. "
        "Train for more epochs, choose batch normalisation, or the recipe auto.",
        "A batch of 4 is never full: an epoch has 2 images. Choose a smaller batch, or more passes "
        "per epoch.",
    ]
    assert "is queued" in said.out
    assert newest_run(toy).reasons == {}


def test_recipe_that_nobody_chose_is_auto_and_says_why_it_chose_what(toy, capsys):
    assert main(["train", "toy", "--set", "width=8"]) == 0
    run = newest_run(toy)
    assert run.config.recipe == "auto"
    assert run.config.model.width == 8
    said = capsys.readouterr().err.splitlines()
    # Toy images of 16 px are enlarged to the smallest size that auto takes.
    [line] = [line for line in said if "image_size_px=" in line]
    settings, reason = line.split(": ")
    assert {"view=resized", "image_size_px=64"} <= set(settings.split(", "))
    assert reason == str(run.reasons["image_size_px"])
    [line] = [line for line in said if "augment" in line]
    assert line == (
        "augment=medium: Each of the 2 training samples is shown 3000 times: medium augmentation."
    )
    assert not any("width=" in line for line in said)
    assert "width" not in run.reasons


def test_preset_a_list_and_a_run_to_start_from_are_settings_like_others(toy):
    main(["train", "toy", "--recipe", "quick", "--name", "first"])
    first = newest_run(toy)
    epochs.add(toy.database, first.id, EPOCH)
    chosen = ["augment=medium", "class_weighting=given", "class_weights=1,2,3", "start_from=first"]
    arguments = [f"--set={each}" for each in chosen]
    assert main(["train", "toy", "--recipe", "quick", *arguments]) == 0
    config = newest_run(toy).config
    assert config.augment == AUGMENT_PRESETS["medium"]
    assert config.loss.class_weights == (1.0, 2.0, 3.0)
    assert config.model.start_from == first.id


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("class_weights=1,x", "Given class weights (class_weights) holds 'x'; it must be numbers"),
        ("class_weights=1,2", "Given class weights (class_weights) are 2 and the dataset has 3"),
        ("start_from=none such", "Start from run (start_from) is “none such”, and there is no run"),
        ("augment=huge", "There is no augmentation “huge”. Presets: none, light, medium, strong."),
        ("epochs", "--set epochs has no “=”; write it as --set epochs=5."),
    ],
)
@pytest.mark.parametrize("command", ["train", "preflight"])
def test_setting_that_cannot_be_used_queues_nothing_and_is_one_sentence(
    toy, capsys, monkeypatch, command, change, sentence
):
    # Were anything queued, it would be waited for in vain.
    monkeypatch.setattr(preflight_commands, "ensure_worker", lambda workbench: 1 / 0)
    assert main([command, "toy", "--recipe", "quick", "--set", change]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines()[-1].startswith(sentence)
    assert jobs.with_status(toy.database, *jobs.LIVE) == []


EPOCH = EpochRecord(
    epoch=1, train_loss=0.5, val_loss=0.25, val_dice=0.75, val_iou=0.5,
    val_class_dice=(0.9, 0.75, None), learning_rate=0.001, seconds=2.0,
    images_per_second=12.0, is_best=True,
)  # fmt: skip


def test_run_is_shown_with_its_reasons_its_preflight_and_all_numbers_of_its_epochs(toy, capsys):
    main(["train", "toy"])
    run = newest_run(toy)
    runs.set_preflight(toy.database, run.id, {"seconds_per_step": 0.25, "notes": []})
    measured = EpochRecord(
        **{name: getattr(EPOCH, name) for name in EpochRecord.__dataclass_fields__}
        | {
            "epoch": 2, "val_class_iou": (0.8, None, 0.5), "num_steps": 7, "data_wait_share": 0.125,
            "peak_memory_bytes": 5_000_000_000, "gpu_utilization": 0.5,
        }
    )  # fmt: skip
    for record in (EPOCH, measured):
        epochs.add(toy.database, run.id, record)
    capsys.readouterr()
    assert main(["show", run.id, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert shown["preflight"] == {"seconds_per_step": 0.25, "notes": []}
    assert shown["reasons"] == {leaf: str(note) for leaf, note in run.reasons.items()}
    assert shown["reasons"]["width"].startswith("On a")
    old, new = shown["epochs"]
    assert list(old["val_class_dice"].values()) == [0.9, 0.75, None]
    assert list(new["val_class_iou"].values()) == [0.8, None, 0.5]
    assert old["val_class_dice"].keys() == new["val_class_iou"].keys()
    assert (old["val_class_iou"], old["num_steps"], old["peak_memory_bytes"]) == (None, None, None)
    assert (new["num_steps"], new["data_wait_share"]) == (7, 0.125)
    assert (new["peak_memory_bytes"], new["gpu_utilization"]) == (5_000_000_000, 0.5)
    # What scripts read since the first version is still there.
    assert {
        "run", "name", "dataset", "recipe", "status", "config", "num_parameters", "split",
        "environment", "epochs", "scores", "images_per_second", "best_epoch", "error", "log",
    } <= shown.keys()  # fmt: skip
    assert main(["show", run.id]) == 0
    assert "peak_memory" not in capsys.readouterr().out


REPORT = {
    "speed": {
        "device": "CPU", "precision": "bfloat16", "compiled": False, "seconds_per_step": 0.25,
        "images_per_second": 16.0, "steps_per_epoch": 40, "seconds_per_epoch": 10.0,
        "total_seconds": 300.0, "memory_bytes": 512 << 20, "free_bytes": 4 << 30, "fits": True,
    },
    "overfit": {"losses": [0.75, 0.5, 0.0625], "passed": True},
    "rates": {"rates": [1e-6, 1e-3], "losses": [0.7, 0.5], "suggestion": 0.0025},
    "pictures": {"files": [["000000.webp", "000000.a.webp"]], "weights": []},
}  # fmt: skip


@pytest.fixture
def worked(monkeypatch):
    """`worked(ending)`: a worker comes and ends the next preflight like this."""

    def worked(ending):
        def work(workbench):
            job = attempts.claim(workbench.database, ["preflight"], "trial")
            ending(workbench, job)

        monkeypatch.setattr(preflight_commands, "_WAIT_SECONDS", 0.0)
        monkeypatch.setattr(preflight_commands, "ensure_worker", work)

    return worked


def complete(workbench, job):
    result = {name: REPORT[name] for name in job.payload["want"]}
    if "pictures" in result:
        for name in ("000000.webp", "000000.a.webp"):
            with workbench.files.writing(f"preflights/{job.id}/pictures/{name}") as path:
                path.write_bytes(name.encode())
    attempts.finish(workbench.database, job, "completed", result=result)


def test_preflight_waits_and_prints_what_was_found_out(toy, capsys, tmp_path, worked):
    worked(complete)
    out = tmp_path / "seen" / "here"
    wishes = ["--overfit", "--rates", "--out", str(out)]
    assert main(["preflight", "toy", "--recipe", "quick", *wishes, "--json"]) == 0
    said = capsys.readouterr()
    *lines, last = said.out.splitlines()
    pictures = [str(out / "000000.a.webp"), str(out / "000000.webp")]
    assert lines == [
        "CPU, bfloat16: 16.0 images/s, 0.250 s a step",
        "An epoch: 40 steps, 10.0 s; the training: about 5.0 minutes",
        "Memory: about 512 MiB needed, 4,096 MiB free",
        "The network learns one batch by heart: loss 0.7500 at first, 0.0625 after 3 steps",
        "Learning rate: 0.004; suggested by the trial: 0.0025",
        *pictures,
    ]
    assert (out / "000000.webp").read_bytes() == b"000000.webp"
    [job] = jobs.newest(toy.database, "preflight", 9)
    assert job.payload["want"] == list(WANTS)
    expected = {"preflight": job.id, "status": "completed"} | REPORT | {"pictures": pictures}
    assert json.loads(last) == expected
    assert said.err.splitlines()[-1] == "queued"
    # Nothing is trained because somebody tried it.
    assert runs.all_newest_first(toy.database) == []


def test_preflight_finds_out_only_what_is_wanted(toy, capsys, worked):
    worked(complete)
    assert main(["preflight", "toy", "--json"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert json.loads(out[-1]).keys() == {"preflight", "status", "speed"}
    [job] = jobs.newest(toy.database, "preflight", 9)
    assert job.payload["want"] == ["speed"]
    assert job.payload["config"]["recipe"] == "auto"
    assert not any("Learning rate" in line for line in out)


def test_preflight_that_fails_is_a_failed_command(toy, capsys, tmp_path, worked):
    def fail(workbench, job):
        error = ProcessDied("It ended: {cause}.", cause="killed")
        attempts.finish(workbench.database, job, "failed", error=error.to_record())

    worked(fail)
    out = tmp_path / "pictures"
    assert main(["preflight", "toy", "--out", str(out), "--json"]) == 1
    said = capsys.readouterr()
    assert said.err.splitlines()[-1] == "It ended: killed."
    assert json.loads(said.out.splitlines()[-1])["status"] == "failed"
    assert not out.exists()


def test_preflight_that_nobody_waits_for_is_stopped(toy, monkeypatch):
    def interrupt(workbench):
        raise KeyboardInterrupt

    monkeypatch.setattr(preflight_commands, "ensure_worker", interrupt)
    assert main(["preflight", "toy"]) == 130
    [job] = jobs.newest(toy.database, "preflight", 9)
    assert job.status == "stopped"


def test_what_the_trial_did_not_like_is_said(toy, capsys, worked):
    def complete_badly(workbench, job):
        found = {
            "speed": REPORT["speed"] | {"fits": False, "compiled": True},
            "overfit": {"losses": [0.7, 0.69], "passed": False},
            "rates": REPORT["rates"] | {"suggestion": None},
        }
        attempts.finish(workbench.database, job, "completed", result=found)

    worked(complete_badly)
    assert main(["preflight", "toy", "--overfit", "--rates"]) == 0
    out = capsys.readouterr().out
    assert "CPU, bfloat16, compiled: " in out
    assert "4,096 MiB free: it does not fit\n" in out
    assert "The network fails to learn one batch by heart: loss 0.7000 at first" in out
    assert "suggested by the trial: none\n" in out


def test_waiting_makes_sure_of_a_worker_and_a_failed_run_is_a_failed_command(
    toy, capsys, monkeypatch
):
    def work_badly(workbench):
        job = attempts.claim(workbench.database, ["train"], "cpu")
        error = ProcessDied("It ended: {cause}.", cause="killed", log="Epoch 1\nout of memory")
        attempts.finish(workbench.database, job, "failed", error=error.to_record())

    monkeypatch.setattr(run_commands, "_WAIT_SECONDS", 0.0)
    monkeypatch.setattr(run_commands, "ensure_worker", work_badly)
    assert main(["train", "toy", "--wait", "--json"]) == 1
    said = capsys.readouterr()
    assert said.err.splitlines()[-3:] == ["queued", "failed", "It ended: killed."]
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


KILLED = ProcessDied("It ended: {cause}.", cause="killed by SIGKILL", log="x").to_record()


def ended_run(toy, status="completed", *, arguments=(), with_files=True):
    """A run of two epochs that has ended."""
    main(["train", "toy", "--recipe", "quick", "--name", "mine", *arguments])
    run = newest_run(toy)
    job = attempts.claim(toy.database, ["train"], "cpu")
    for number in (1, 2):
        epochs.add(toy.database, run.id, replace(EPOCH, epoch=number))
    for name in ("last.pt", "best.safetensors") if with_files else ():
        with toy.files.writing(f"runs/{run.id}/checkpoints/{name}") as path:
            path.write_bytes(b"content")
    attempts.finish(toy.database, job, status)
    return run.id


def last_json(capsys):
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_run_is_paused_and_listed_so(toy, capsys):
    main(["train", "toy", "--recipe", "quick", "--name", "mine"])
    attempts.claim(toy.database, ["train"], "cpu")
    capsys.readouterr()
    assert main(["stop", "mine", "--pause", "--json"]) == 0
    run = newest_run(toy)
    assert last_json(capsys) == {"run": run.id, "status": "running", "wish": "pause"}
    assert main(["runs", "--json"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert f"{run.id}  pausing " in out[0]
    (line,) = json.loads(out[-1])["runs"]
    assert (line["status"], line["wish"], line["paused"]) == ("running", "pause", False)
    attempts.finish(toy.database, run.job, "stopped")
    assert main(["runs"]) == 0
    assert f"{run.id}  paused " in capsys.readouterr().out
    assert main(["stop", "mine"]) == 1
    assert capsys.readouterr().err == "It has already stopped; there is nothing to stop.\n"


def test_run_is_resumed_for_as_many_epochs_as_are_wanted(toy, capsys):
    run_id = ended_run(toy, arguments=["--set", "epochs=2"])
    capsys.readouterr()
    assert main(["resume", "mine"]) == 1
    assert "Say how many more epochs" in capsys.readouterr().err
    assert main(["resume", "mine", "--more", "3", "--json"]) == 0
    assert last_json(capsys) == {
        "run": run_id, "status": "queued", "epochs_done": 2, "epochs": 5, "max_minutes": None,
    }  # fmt: skip
    assert newest_run(toy).config.schedule.epochs == 5
    assert main(["resume", "mine"]) == 1
    assert "is queued already" in capsys.readouterr().err


def test_images_are_scored_on_request(toy, capsys):
    run_id = ended_run(toy, "stopped")
    capsys.readouterr()
    assert main(["evaluate", "mine", "--json"]) == 0
    (job,) = jobs.with_status(toy.database, "queued")
    assert (job.kind, job.payload) == ("evaluate", {"run": run_id})
    assert last_json(capsys) == {"run": run_id, "job": job.id, "status": "queued"}
    assert main(["evaluate", "mine"]) == 1
    said = capsys.readouterr()
    assert "are being scored" in said.err
    assert said.out == ""


def test_queue_lists_what_runs_and_then_what_waits_in_its_order(toy, capsys):
    for name in ("first", "second", "third"):
        main(["train", "toy", "--recipe", "quick", "--name", name])
    job = attempts.claim(toy.database, ["train"], "gpu0")
    attempts.set_progress(toy.database, job, "training", 0.5)
    third = newest_run(toy)
    jobs.run_next(toy.database, third.job.id, actor="ann")
    capsys.readouterr()
    assert main(["queue", "--json"]) == 0
    out = capsys.readouterr().out.splitlines()
    lines = json.loads(out[-1])["jobs"]
    assert [(line["name"], line["position"], line["slot"]) for line in lines] == [
        ("first", None, "gpu0"), ("third", 1, None), ("second", 2, None),
    ]  # fmt: skip
    assert lines[1]["run"] == third.id
    assert [line.split()[1] for line in out[:-1]] == ["gpu0", "#1", "#2"]
    assert " 50% " in out[0]


def test_empty_queue_is_an_empty_list(workbench, capsys):
    assert main(["queue", "--json"]) == 0
    assert capsys.readouterr().out == '{"jobs": []}\n'


def test_what_befell_a_run_is_shown(toy, capsys):
    run_id = ended_run(toy, "failed")
    run = runs.get(toy.database, run_id)
    runs.resume(toy.database, run_id)
    job = attempts.claim(toy.database, ["train"], "cpu")
    attempts.give_back(toy.database, job, KILLED, is_retry=True)
    runs.set_adjustments(toy.database, run_id, {"batch_size": 1})
    capsys.readouterr()
    assert main(["show", "mine", "--json"]) == 0
    shown = last_json(capsys)
    assert shown["attempts"] == 2
    assert shown["adjustments"] == {"batch_size": 1}
    (incident,) = shown["incidents"]
    assert (incident["attempt"], incident["type"], incident["text"]) == (
        2, "ProcessDied", "It ended: killed by SIGKILL.",
    )  # fmt: skip
    assert shown["run_seconds"] >= run.job.ran_seconds
    assert shown["queue_seconds"] >= 0
    assert main(["show", "mine"]) == 0
    out = capsys.readouterr().out
    assert "Attempt 2: It ended: killed by SIGKILL.\n" in out
    assert "Memory ran out: batch_size=1\n" in out


def test_who_waits_follows_a_run_over_its_attempts(toy, capsys, monkeypatch):
    turns = []

    def work(workbench):
        """Dies with an epoch that was not saved; the next attempt trains it again."""
        turns.append(1)
        if len(turns) == 2:
            run_id = newest_run(workbench).id
            epochs.restore(workbench.database, run_id, [EPOCH])
        job = attempts.claim(workbench.database, ["train"], "cpu")
        if job is None:
            return
        run_id = job.payload["run"]
        if len(turns) == 1:
            for number in (1, 2):
                epochs.add(workbench.database, run_id, replace(EPOCH, epoch=number))
            attempts.give_back(workbench.database, job, KILLED, is_retry=True)
        else:
            epochs.add(workbench.database, run_id, replace(EPOCH, epoch=2, train_loss=0.125))
            attempts.finish(workbench.database, job, "completed")

    monkeypatch.setattr(run_commands, "_WAIT_SECONDS", 0.0)
    monkeypatch.setattr(run_commands, "ensure_worker", work)
    assert main(["train", "toy", "--recipe", "quick", "--wait", "--json"]) == 0
    said = capsys.readouterr()
    lines = [line for line in said.err.splitlines() if line.startswith(("epoch", "attempt"))]
    assert lines[0] == "attempt 1: It ended: killed by SIGKILL."
    assert [line.split(":")[0] for line in lines[1:]] == ["epoch 1", "epoch 2"]
    assert said.err.splitlines()[-1] == "completed"
    assert json.loads(said.out.splitlines()[-1])["status"] == "completed"


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
