"""The support bundle: all that helps, and nothing that is secret."""

import csv
import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from engine.config import RECIPES, with_changes
from engine.errors import Diverged, NotFound, ProcessDied
from engine.events import EpochRecord
from engine.jobs.bundle import BLOT, masked_settings, support_bundle
from engine.jobs.daemon import LOG_KEY
from engine.jobs.logs import log_key
from engine.jobs.queue import submit_training
from engine.settings import Settings
from engine.store import attempts, epochs, jobs, machine_samples, runs, scores
from engine.store.machine_samples import MachineSample
from engine.store.scores import SampleScore

SECRETS = {
    "database_url": "postgresql+psycopg://lab:hunter22@db.example/bench?sslpassword=s3same",
    "smtp_url": "smtp://post:p%40ss-word@mail.example:587",
    "webhook_url": "https://hooks.example/services/T0/B1/XyZzY",
}


@pytest.fixture
def run(workbench, add_dataset):
    """A run of two epochs in its second attempt."""
    dataset_id = add_dataset()
    config = with_changes(RECIPES["quick"], {"epochs": 2})
    run_id = submit_training(workbench, dataset_id, config, name="cells, §1", actor="ann")
    database = workbench.database
    job = attempts.claim(database, ["train"], "cpu")
    died = ProcessDied("It ended: {cause}.", cause="killed by SIGKILL").to_record()
    attempts.give_back(database, job, died, is_retry=True)
    job = attempts.claim(database, ["train"], "cpu")
    attempts.set_handle(database, job, {"host": "lab", "pid": 1})
    runs.set_environment(database, run_id, {"python": "3.0", "host": "lab"})
    for epoch in (1, 2):
        epochs.add(database, run_id, record(epoch))
    return runs.get(database, run_id)


def record(epoch):
    return EpochRecord(
        epoch=epoch, train_loss=0.5, val_loss=0.6, val_dice=0.7, val_iou=0.6,
        val_class_dice=(0.9, None), learning_rate=0.004, seconds=2.0, images_per_second=5.0,
        is_best=True,
    )  # fmt: skip


def write(workbench, key, text):
    with workbench.files.writing(key) as path:
        path.write_text(text, encoding="utf-8")


def bundle_of(workbench, run):
    with zipfile.ZipFile(io.BytesIO(support_bundle(workbench, run.id))) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name).decode() for name in archive.namelist()}


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_bundle_tells_the_settings_the_state_and_what_befell_the_run(workbench, run):
    error = Diverged("No number ({loss}).", loss="nan", precision="fp32").to_record()
    attempts.finish(workbench.database, run.job, "failed", error=error)
    found = bundle_of(workbench, run)
    told = json.loads(found["run.json"])
    assert (told["run"], told["name"], told["status"]) == (run.id, "cells, §1", "failed")
    assert told["config"]["schedule"]["epochs"] == 2
    assert told["effective_config"] == told["config"]
    assert told["error"]["facts"]["loss"] == "nan"
    assert told["incidents"][0]["facts"]["cause"] == "killed by SIGKILL"
    assert told["job"]["attempts"] == 2 and told["job"]["retries"] == 1
    assert sum(told["split"].values()) == told["dataset"]["num_samples"] == 6
    assert "diverged" in found["diagnoses.txt"] and "learning_rate=0.0004" in found["diagnoses.txt"]


def test_bundle_has_the_numbers_of_every_epoch(workbench, run):
    lines = rows(bundle_of(workbench, run)["epochs.csv"])
    assert [line["epoch"] for line in lines] == ["1", "2"]
    assert lines[0]["train_loss"] == "0.5"
    assert lines[0]["val_class_dice c0"] == "0.9" and lines[0]["val_class_dice c1"] == ""
    assert lines[0]["val_class_iou c0"] == ""


def test_bundle_has_both_logs_the_environment_and_the_machine(workbench, run):
    write(workbench, log_key(run.job.id), "epoch 1\nepoch 2\n")
    write(workbench, LOG_KEY, "started\n")
    for host, at in (("lab", run.created_at), ("lab", 5.0), ("other", run.created_at)):
        machine_samples.add(workbench.database, sample(host, at))
    runs.set_preflight(workbench.database, run.id, {"speed": {"device": "cpu"}})
    found = bundle_of(workbench, run)
    assert found["log.txt"] == "epoch 1\nepoch 2\n"
    assert found["worker.txt"] == "started\n"
    assert json.loads(found["environment.json"])["at_start"]["python"] == "3.0"
    assert json.loads(found["environment.json"])["now"]["commit"]
    assert json.loads(found["preflight.json"])["speed"] == {"device": "cpu"}
    (line,) = rows(found["machine.csv"])
    assert line["host"] == "lab" and line["cpu_share"] == "0.5"
    assert line["gpu 0 utilization"] == "0.9" and line["gpu 1 utilization"] == ""


def sample(host, at):
    return MachineSample(
        host=host, at=at, cpu_share=0.5, memory_used_bytes=1, memory_total_bytes=2,
        disk_free_bytes=3, disk_total_bytes=4,
        gpus=[{"name": "a", "utilization": 0.9}, {"name": "b", "utilization": None}],
    )  # fmt: skip


def test_bundle_says_what_is_in_it_and_leaves_out_what_is_not_there(workbench, run):
    found = bundle_of(workbench, run)
    assert run.id in found["README.txt"] and "cells, §1" in found["README.txt"]
    for name in found.keys() - {"README.txt"}:
        assert name in found["README.txt"]
    for name in ("log.txt", "worker.txt", "machine.csv", "preflight.json", "scoring.txt"):
        assert name not in found and name not in found["README.txt"]


def test_bundle_of_a_run_that_never_started_can_be_made(workbench, add_dataset):
    run_id = submit_training(workbench, add_dataset(), RECIPES["quick"], actor="ann")
    found = bundle_of(workbench, runs.get(workbench.database, run_id))
    assert json.loads(found["run.json"])["status"] == "queued"
    assert json.loads(found["environment.json"])["at_start"] is None
    assert "epochs.csv" not in found


def test_bundle_has_the_log_of_a_later_scoring(workbench, run):
    job_id = jobs.add(workbench.database, "evaluate", {"run": run.id}, actor="ann")
    write(workbench, log_key(job_id), "scored\n")
    assert bundle_of(workbench, run)["scoring.txt"] == "scored\n"


def test_long_log_is_cut_to_its_last_whole_lines(workbench, run, monkeypatch):
    monkeypatch.setattr("engine.jobs.bundle._LOG_BYTES", 2048)
    write(workbench, log_key(run.job.id), "".join(f"line {n:>5} ä\n" for n in range(1000)))
    first, *lines = bundle_of(workbench, run)["log.txt"].splitlines()
    assert first == "(the last 2 of 13 KiB)"
    assert lines[-1] == "line   999 ä"
    assert all(line.startswith("line ") and line.endswith("ä") for line in lines)


def test_bundle_holds_no_image_and_no_name_of_one(workbench, run):
    score = SampleScore(position=1, split="val", tp=(9, 1), fp=(0, 0), fn=(0, 0))
    empty = np.zeros((2, 2, 256), dtype=np.int64)
    scores.add(workbench.database, run.id, [score], [empty])
    found = bundle_of(workbench, run)
    assert all(name.rpartition(".")[2] in ("txt", "json", "csv") for name in found)
    assert not any("000001.png" in text or "datasets/" in text for text in found.values())


def test_secrets_of_the_settings_are_blotted_out_of_every_text(workbench, run, monkeypatch):
    monkeypatch.setenv("WORKBENCH_COOKIE_SECRET", "crumbly biscuit")
    leaky = "hunter22 s3same p@ss-word p%40ss-word services/T0/B1/XyZzY crumbly biscuit, epoch 7"
    write(workbench, log_key(run.job.id), leaky)
    error = ProcessDied("No connection with {url}.", url=SECRETS["database_url"]).to_record()
    attempts.finish(workbench.database, run.job, "failed", error=error)
    told = replace(workbench, settings=replace(workbench.settings, **SECRETS))
    found = bundle_of(told, run)
    assert found["log.txt"] == f"{BLOT} {BLOT} {BLOT} {BLOT} {BLOT} {BLOT}, epoch 7"
    everything = "".join(found.values())
    for secret in ("hunter22", "s3same", "ss-word", "XyZzY", "crumbly"):
        assert secret not in everything
    assert "db.example/bench" in everything and "mail.example" in everything


@pytest.mark.parametrize(
    "name, url, masked",
    [
        ("database_url", "sqlite:////srv/lab/workbench.db", "sqlite:////srv/lab/workbench.db"),
        ("database_url", "postgresql://lab@db/bench", "postgresql://lab@db/bench"),
        ("database_url", "postgresql://lab:a@b/c[d@db/bench", f"postgresql://lab:{BLOT}@db/bench"),
        ("database_url", "postgresql://db/x?password=abc", f"postgresql://db/x?{BLOT}"),
        ("smtp_url", "smtps://mail.example:465", "smtps://mail.example:465"),
        ("smtp_url", "", ""),
        ("webhook_url", "https://hooks.example", f"https://hooks.example/{BLOT}"),
        ("webhook_url", "https://u:p@h.example/a?k=v", f"https://u:{BLOT}@h.example/{BLOT}"),
    ],
)
def test_address_keeps_its_place_and_loses_its_password(tmp_path, name, url, masked):
    settings = replace(Settings.for_home(tmp_path), **{name: url})
    assert masked_settings(settings)[f"WORKBENCH_{name.upper()}"] == masked


def test_run_that_is_not_there_has_no_bundle(workbench):
    with pytest.raises(NotFound):
        support_bundle(workbench, "deadbeef")
