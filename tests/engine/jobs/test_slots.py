"""Slots: how many jobs a machine runs at once, where, and with how many threads."""

import dataclasses
import uuid
from collections import Counter
from pathlib import Path
from typing import get_args

import pytest

from engine.jobs.slots import KINDS, free_slots, gpu_for, machine_slots
from engine.settings import Settings
from engine.store import jobs, schema
from engine.store.jobs import Job, JobKind


def slots_of(gpus=(), num_cores=8, **settings):
    defaults = Settings.for_home(Path("x"))
    return machine_slots(dataclasses.replace(defaults, **settings), gpus, num_cores)


def named(slots):
    return [slot.name for slot in slots]


def training(slots):
    return [slot for slot in slots if slot.lane == "training"]


@pytest.fixture
def job(workbench):
    """`job("train", "gpu0", gpu="0")`: a job at work in a slot; without a GPU it has no process."""

    def job(kind, slot, **handle) -> Job:
        job_id = jobs.add(workbench.database, kind, {}, actor="ann")
        known = {"host": "lab"} | handle if handle else None
        queued = jobs.get(workbench.database, job_id)
        return dataclasses.replace(queued, status="running", slot=slot, handle=known)

    return job


def test_every_kind_of_job_takes_a_slot_of_one_lane():
    kinds = [kind for each in KINDS.values() for kind in each]
    assert Counter(kinds) == Counter(get_args(JobKind))


def test_machine_without_a_gpu_trains_one_at_a_time_beside_a_trial_and_light_jobs():
    slots = slots_of()
    assert named(slots) == ["cpu", "trial", "light", "light.2"]
    assert [slot.lane for slot in slots] == ["training", "trial", "light", "light"]
    assert {slot.gpu for slot in slots} == {None}
    assert [slot.threads for slot in slots] == [8, 8, 1, 1]


def test_every_gpu_has_a_slot_and_the_cores_are_shared():
    slots = slots_of(["0", "GPU-1f"])
    assert named(training(slots)) == ["gpu0", "gpuGPU-1f"]
    assert [slot.gpu for slot in training(slots)] == ["0", "GPU-1f"]
    assert [slot.threads for slot in training(slots)] == [4, 4]
    assert "cpu" not in named(slots)


def test_several_trainings_share_a_gpu_when_it_is_set_up_so():
    slots = training(slots_of(["0", "3"], num_cores=16, gpu_jobs=3))
    assert named(slots) == ["gpu0", "gpu0.2", "gpu0.3", "gpu3", "gpu3.2", "gpu3.3"]
    assert [slot.gpu for slot in slots] == ["0"] * 3 + ["3"] * 3
    assert {slot.threads for slot in slots} == {2}


def test_several_trainings_share_the_cores_when_it_is_set_up_so():
    slots = training(slots_of(num_cores=7, cpu_jobs=3))
    assert named(slots) == ["cpu", "cpu.2", "cpu.3"]
    assert {slot.threads for slot in slots} == {2}


@pytest.mark.parametrize("options", [{"cpu_jobs": 8}, {"gpus": ["0", "1"], "gpu_jobs": 4}])
def test_no_job_has_no_thread_to_compute_with(options):
    slots = slots_of(num_cores=1, **options)
    assert {slot.threads for slot in slots} == {1}


def test_settings_of_the_other_device_change_nothing():
    assert slots_of(cpu_jobs=5, gpus=["0"]) == slots_of(gpus=["0"])
    assert slots_of(gpu_jobs=5) == slots_of()


def test_light_jobs_are_as_many_as_are_set_up():
    light = [slot for slot in slots_of(light_jobs=4) if slot.lane == "light"]
    assert named(light) == ["light", "light.2", "light.3", "light.4"]


def test_names_tell_slots_apart_and_fit_their_column():
    gpus = [f"MIG-{uuid.UUID(int=number)}" for number in range(8)]
    names = named(slots_of(gpus, gpu_jobs=12))
    assert len(set(names)) == len(names) == 8 * 12 + 3
    assert max(map(len, names)) <= schema.jobs.c.slot.type.length


def test_slot_that_a_job_has_is_not_free(job):
    slots = slots_of(["0", "1"], light_jobs=1)
    assert free_slots(slots, []) == list(slots)
    running = [job("train", "gpu1", gpu="1"), job("import", "light", gpu=None)]
    assert named(free_slots(slots, running)) == ["gpu0", "trial"]
    # One that has no process yet has its slot all the same.
    assert named(free_slots(slots, [job("evaluate", "gpu0")])) == ["gpu1", "trial", "light"]


@pytest.mark.parametrize(("kind", "slot"), [("train", "cpu"), ("preflight", "trial")])
def test_training_and_trial_do_not_wait_for_each_other_without_a_gpu(job, kind, slot):
    slots = slots_of()
    free = named(free_slots(slots, [job(kind, slot, gpu=None)]))
    assert free == [name for name in named(slots) if name != slot]
    assert len(free) == 3


def test_training_waits_for_the_trial_on_its_gpu_and_only_for_that(job):
    trial = job("preflight", "trial", gpu="1")
    slots = slots_of(["0", "1"], gpu_jobs=2)
    assert named(free_slots(slots, [trial])) == ["gpu0", "gpu0.2", "light", "light.2"]


def test_training_waits_a_moment_for_a_trial_that_has_no_process_yet(job):
    free = named(free_slots(slots_of(["0", "1"]), [job("preflight", "trial")]))
    assert free == ["light", "light.2"]


def test_trial_does_not_wait_for_trainings(job):
    slots = slots_of(["0"])
    assert "trial" in named(free_slots(slots, [job("train", "gpu0", gpu="0")]))


def test_slot_of_a_setting_that_has_changed_takes_nothing(job):
    # Started when three shared the GPU; now one may.
    slots = slots_of(["0"])
    assert "gpu0" in named(free_slots(slots, [job("train", "gpu0.3", gpu="0")]))


def test_training_is_on_the_gpu_of_its_slot_and_a_light_job_on_none(job):
    slots = slots_of(["2", "GPU-1f"])
    running = [job("preflight", "trial", gpu="2")]
    assert [gpu_for(slot, slots, running) for slot in slots if slot.lane != "trial"] == [
        "2", "GPU-1f", None, None,
    ]  # fmt: skip


def test_trial_gets_the_first_free_gpu_or_shares_the_first_of_all(job):
    slots = slots_of(["0", "1"])
    trial = next(slot for slot in slots if slot.lane == "trial")
    first, second = job("train", "gpu0", gpu="0"), job("train", "gpu1", gpu="1")
    assert gpu_for(trial, slots, []) == "0"
    assert gpu_for(trial, slots, [first]) == "1"
    assert gpu_for(trial, slots, [second]) == "0"
    assert gpu_for(trial, slots, [second, first]) == "0"


def test_trial_has_no_gpu_where_there_is_none(job):
    slots = slots_of()
    trial = next(slot for slot in slots if slot.lane == "trial")
    assert gpu_for(trial, slots, [job("train", "cpu", gpu=None)]) is None
