"""What lies in the home, and what is removed from it: nothing that is needed."""

import os
import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from engine.config import recipe, with_changes
from engine.errors import NotFound, Refused
from engine.jobs import storage
from engine.jobs.logs import log_key
from engine.jobs.queue import submit_training
from engine.jobs.storage import (
    cache_name,
    has_training_state,
    remove_cache,
    remove_expired,
    remove_log,
    remove_training_state,
    survey,
)
from engine.store import attempts, jobs, runs
from engine.workbench import Workbench

CONFIG = with_changes(recipe("quick"), {"width": 4, "num_levels": 2, "image_size_px": 16})
PATCHES = with_changes(CONFIG, {"view": "patches"})
DAY = 86_400.0


@pytest.fixture
def dataset_id(add_dataset):
    return add_dataset()


@pytest.fixture
def later(monkeypatch):
    """`later(days)`: so much time passes."""
    now = storage.time.time

    def pass_time(days: float) -> None:
        monkeypatch.setattr(storage.time, "time", lambda: now() + days * DAY)

    return pass_time


def write(workbench: Workbench, key: str, num_bytes: int) -> Path:
    path = workbench.files.path(key)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * num_bytes)
    return path


def live_run(workbench: Workbench, dataset_id: str, config=CONFIG) -> str:
    """A run at work, with all that a process writes."""
    run_id = submit_training(workbench, dataset_id, config, name="cells 1", actor="ann")
    assert attempts.claim(workbench.database, ("train",), "cpu")
    for key, num_bytes in {
        f"runs/{run_id}/checkpoints/best.safetensors": 1000,
        f"runs/{run_id}/checkpoints/last.pt": 300,
        f"runs/{run_id}/checkpoints/previous.pt": 200,
        f"runs/{run_id}/predictions/000000.png": 40,
        f"runs/{run_id}/errors/000000.png": 30,
        f"runs/{run_id}/thumbs/000000.webp": 20,
        log_key(job_id(workbench, run_id)): 7,
        f"datasets/{dataset_id}/cache/{cache_name(config)}/images-1.npy": 60,
        f"datasets/{dataset_id}/cache/{cache_name(config)}/masks.npy": 50,
    }.items():
        write(workbench, key, num_bytes)
    return run_id


def ended_run(workbench: Workbench, dataset_id: str, status="completed", config=CONFIG) -> str:
    run_id = live_run(workbench, dataset_id, config)
    job = jobs.get(workbench.database, job_id(workbench, run_id))
    assert attempts.finish(workbench.database, job, status)
    return run_id


def job_id(workbench: Workbench, run_id: str) -> str:
    return runs.get(workbench.database, run_id).job.id


def checkpoints(workbench: Workbench, run_id: str) -> set[str]:
    folder = workbench.files.path(f"runs/{run_id}/checkpoints")
    return {path.name for path in folder.iterdir()}


def with_days(workbench: Workbench, days: float) -> Workbench:
    return replace(workbench, settings=replace(workbench.settings, keep_states_days=days))


def bytes_on_disk(workbench: Workbench) -> int:
    files = (path for path in workbench.files.root.rglob("*") if path.is_file())
    return sum(path.stat().st_size for path in files)


def test_all_that_a_run_takes_is_told_apart(workbench, dataset_id):
    run_id = ended_run(workbench, dataset_id)
    (found,) = survey(workbench).runs
    assert found.run.id == run_id
    assert (found.weights_bytes, found.state_bytes) == (1000, 500)
    assert (found.pictures_bytes, found.log_bytes) == (90, 7)
    assert found.total_bytes == 1597


def test_dataset_is_told_from_its_prepared_images(workbench, dataset_id):
    ended_run(workbench, dataset_id)
    live_run(workbench, dataset_id, PATCHES)
    (found,) = survey(workbench).datasets
    caches = {cache.name: cache for cache in found.caches}
    assert caches.keys() == {"16", "native"}
    assert {cache.num_bytes for cache in found.caches} == {110}
    assert (caches["16"].is_in_use, caches["native"].is_in_use) == (False, True)
    folder = workbench.files.path(f"datasets/{dataset_id}")
    files = [path for path in folder.rglob("*.png") if path.is_file()]
    assert found.files_bytes == sum(path.stat().st_size for path in files) > 0


def test_kinds_add_up_to_all_that_lies_in_the_home(workbench, dataset_id):
    ended_run(workbench, dataset_id)
    write(workbench, "uploads/0a1b2c3d/cells.zip", 11)
    write(workbench, "drafts/0a1b2c3d/names.json", 12)
    write(workbench, "logs/worker.txt", 13)
    write(workbench, "weights/resnet18.pth", 14)
    write(workbench, "preflights/0a1b2c3d/pictures/1.png", 15)
    write(workbench, "runs/0a1b2c3d/checkpoints/last.pt", 16)
    found = survey(workbench)
    kinds = found.by_kind()
    assert (kinds["imports"], kinds["logs"], kinds["other"]) == (23, 20, 45)
    assert sum(kinds.values()) == bytes_on_disk(workbench)
    assert kinds["database"] > 0
    assert 0 < found.disk_free_bytes < found.disk_total_bytes


def test_rescored_pictures_are_counted_anew(workbench, dataset_id):
    run_id = ended_run(workbench, dataset_id)
    assert survey(workbench).runs[0].pictures_bytes == 90
    with workbench.files.writing(f"runs/{run_id}/errors/000000.png") as path:
        path.write_bytes(b"x" * 100)
    assert survey(workbench).runs[0].pictures_bytes == 160


def test_home_is_looked_at_while_others_remove_from_it(workbench, dataset_id):
    run_id = ended_run(workbench, dataset_id)
    shutil.rmtree(workbench.files.path(f"runs/{run_id}"))
    shutil.rmtree(workbench.files.path("logs"))
    assert survey(workbench).runs[0].total_bytes == 0
    stop = threading.Event()

    def come_and_go() -> None:
        while not stop.is_set():
            write(workbench, "runs/0a1b2c3d/errors/1.png", 5)
            shutil.rmtree(workbench.files.path("runs/0a1b2c3d"))

    thread = threading.Thread(target=come_and_go)
    thread.start()
    for _ in range(100):
        assert survey(workbench).runs[0].total_bytes == 0
    stop.set()
    thread.join()


def test_removed_training_state_leaves_everything_else(workbench, dataset_id):
    run_id = ended_run(workbench, dataset_id)
    other = ended_run(workbench, dataset_id)
    write(workbench, f"runs/{run_id}/checkpoints/older_best.safetensors", 25)
    assert has_training_state(workbench, run_id)
    assert remove_training_state(workbench, run_id, actor="ann") == 525
    assert not has_training_state(workbench, run_id)
    assert checkpoints(workbench, run_id) == {"best.safetensors"}
    found = {each.run.id: each for each in survey(workbench).runs}
    assert (found[run_id].state_bytes, found[run_id].pictures_bytes) == (0, 90)
    assert has_training_state(workbench, other)
    assert remove_training_state(workbench, run_id, actor="ann") == 0, "asked again, all is well"


@pytest.mark.parametrize("file_name", ["last.pt", "previous.pt"])
def test_one_of_the_two_states_is_enough_to_go_on(workbench, dataset_id, file_name):
    run_id = ended_run(workbench, dataset_id)
    workbench.files.remove(f"runs/{run_id}/checkpoints/{file_name}")
    assert has_training_state(workbench, run_id)
    assert not has_training_state(workbench, "0a1b2c3d")


def test_killed_removal_leaves_the_newest_state(workbench, dataset_id, monkeypatch):
    run_id = ended_run(workbench, dataset_id)
    unlink = storage.unlink

    def die_at_the_last(path: Path) -> int:
        return unlink(path if path.name != "last.pt" else Path("/nowhere").resolve(strict=True))

    monkeypatch.setattr(storage, "unlink", die_at_the_last)
    with pytest.raises(FileNotFoundError):
        remove_training_state(workbench, run_id, actor="ann")
    assert checkpoints(workbench, run_id) == {"best.safetensors", "last.pt"}


def test_live_run_keeps_its_state_and_its_log(workbench, dataset_id):
    run_id = live_run(workbench, dataset_id)
    with pytest.raises(Refused, match=r"“cells 1” is running"):
        remove_training_state(workbench, run_id, actor="ann")
    with pytest.raises(Refused, match="running"):
        remove_log(workbench, job_id(workbench, run_id), actor="ann")
    assert has_training_state(workbench, run_id)
    assert workbench.files.path(log_key(job_id(workbench, run_id))).exists()


def test_nobody_resumes_a_run_while_its_state_is_removed(workbench, dataset_id, monkeypatch):
    run_id = ended_run(workbench, dataset_id)
    unlink, resumed = storage.unlink, threading.Event()

    def resume() -> None:
        runs.resume(workbench.database, run_id)
        resumed.set()

    thread = threading.Thread(target=resume)

    def remove(path: Path) -> int:
        if not thread.is_alive():
            thread.start()
        assert not resumed.wait(0.1)
        return unlink(path)

    monkeypatch.setattr(storage, "unlink", remove)
    remove_training_state(workbench, run_id, actor="ann")
    assert resumed.wait(10)
    thread.join()


def test_prepared_images_go_at_one_size_and_stay_at_others(workbench, dataset_id):
    ended_run(workbench, dataset_id)
    ended_run(workbench, dataset_id, config=PATCHES)
    assert remove_cache(workbench, dataset_id, "16", actor="ann") == 110
    folder = workbench.files.path(f"datasets/{dataset_id}")
    assert [path.name for path in (folder / "cache").iterdir()] == ["native"]
    assert (folder / "images").exists()
    assert remove_cache(workbench, dataset_id, "16", actor="ann") == 0


def test_prepared_images_stay_while_a_training_needs_them(workbench, dataset_id):
    queued = submit_training(workbench, dataset_id, CONFIG, actor="ann")
    path = write(workbench, f"datasets/{dataset_id}/cache/16/masks.npy", 5)
    with pytest.raises(Refused, match=r"prepared images of “odd sizes” \(16\)"):
        remove_cache(workbench, dataset_id, "16", actor="ann")
    assert path.exists()
    assert remove_cache(workbench, dataset_id, "native", actor="ann") == 0, "it needs no others"
    jobs.request_stop(workbench.database, job_id(workbench, queued), actor="ann")
    assert remove_cache(workbench, dataset_id, "16", actor="ann") == 5


def test_prepared_images_stay_while_a_trial_needs_them(workbench, dataset_id):
    payload = {"dataset": dataset_id, "config": PATCHES.to_dict(), "want": ["speed"]}
    jobs.add(workbench.database, "preflight", payload, actor="ann")
    write(workbench, f"datasets/{dataset_id}/cache/native/masks.npy", 5)
    with pytest.raises(Refused):
        remove_cache(workbench, dataset_id, "native", actor="ann")
    assert survey(workbench).datasets[0].caches[0].is_in_use


@pytest.mark.parametrize("name", ["..", "../images", "", "16/..", "/", "x"])
def test_only_prepared_images_are_removed_as_such(workbench, dataset_id, name):
    before = bytes_on_disk(workbench)
    with pytest.raises(NotFound):
        remove_cache(workbench, dataset_id, name, actor="ann")
    assert bytes_on_disk(workbench) == before


def test_what_is_not_there_is_not_removed(workbench):
    for remove in (
        lambda: remove_training_state(workbench, "0a1b2c3d", actor="ann"),
        lambda: remove_cache(workbench, "0a1b2c3d", "16", actor="ann"),
        lambda: remove_log(workbench, "0a1b2c3d", actor="ann"),
    ):
        with pytest.raises(NotFound):
            remove()


def test_log_of_an_ended_job_goes_alone(workbench, dataset_id):
    run_id = ended_run(workbench, dataset_id)
    assert remove_log(workbench, job_id(workbench, run_id), actor="ann") == 7
    assert survey(workbench).runs[0].total_bytes == 1590


def test_states_go_some_days_after_the_end_and_weights_stay(workbench, dataset_id, later):
    workbench = with_days(workbench, 30)
    run_id = ended_run(workbench, dataset_id)
    (found,) = survey(workbench).runs
    assert found.state_expires_at == pytest.approx(time.time() + 30 * DAY, abs=60)
    later(29.9)
    remove_expired(workbench, actor="server")
    assert has_training_state(workbench, run_id)
    later(30.1)
    remove_expired(workbench, actor="server")
    assert checkpoints(workbench, run_id) == {"best.safetensors"}
    assert survey(workbench).runs[0].state_expires_at is None


def test_paused_and_live_runs_keep_their_states(workbench, dataset_id, later):
    workbench = with_days(workbench, 30)
    paused = live_run(workbench, dataset_id)
    job = jobs.get(workbench.database, job_id(workbench, paused))
    jobs.request_stop(workbench.database, job.id, wish="pause", actor="ann")
    attempts.finish(workbench.database, job, "stopped")
    live = live_run(workbench, dataset_id)
    assert {each.state_expires_at for each in survey(workbench).runs} == {None}
    later(1000)
    remove_expired(workbench, actor="server")
    assert has_training_state(workbench, paused) and has_training_state(workbench, live)


def test_no_days_keep_everything_for_ever(workbench, dataset_id, later):
    workbench = with_days(workbench, 0)
    run_id = ended_run(workbench, dataset_id)
    later(10_000)
    remove_expired(workbench, actor="server")
    assert has_training_state(workbench, run_id)
    assert [cache.name for cache in survey(workbench).datasets[0].caches] == ["16"]
    assert survey(workbench).datasets[0].caches[0].expires_at is None


def test_prepared_images_go_when_no_run_has_used_them_for_as_long(workbench, dataset_id, later):
    workbench = with_days(workbench, 30)
    ended_run(workbench, dataset_id)
    live_run(workbench, dataset_id, PATCHES)
    unused = write(workbench, f"datasets/{dataset_id}/cache/64/masks.npy", 5).parent
    used = unused.with_name("16")
    for folder in (unused, used):
        os.utime(folder, (0, time.time() - 40 * DAY))
    remove_expired(workbench, actor="server")
    assert not unused.exists()
    assert used.exists(), "a run used it today"
    later(31)
    remove_expired(workbench, actor="server")
    assert not used.exists()
    assert unused.with_name("native").exists(), "a training needs it"
