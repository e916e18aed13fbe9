"""What the machine says it has, also in a container, and with a stand-in for the GPU's driver."""

import gc
import threading
import time
from types import SimpleNamespace

import psutil
import pytest

from engine import machine
from engine.machine import (
    GpuMeter,
    available_memory_bytes,
    encoder_weights,
    oom_kills,
    this_machine,
    total_memory_bytes,
    usable_cores,
)

GIB = 2**30


class Driver:
    """Two GPUs and how busy each is, in the words of pynvml."""

    class NVMLError(Exception):
        """What the driver raises."""

    def __init__(self) -> None:
        self.busy_percent = [10, 40]
        self.num_open = 0

    def nvmlInit(self) -> None:
        self.num_open += 1

    def nvmlShutdown(self) -> None:
        self.num_open -= 1

    def nvmlDeviceGetCount(self) -> int:
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        if index >= 2:
            raise self.NVMLError
        return index

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> int:
        if uuid != "GPU-1f":
            raise self.NVMLError
        return 1

    def nvmlDeviceGetName(self, gpu: int) -> str:
        return ["NVIDIA H100", "NVIDIA H200"][gpu]

    def nvmlDeviceGetMemoryInfo(self, gpu: int) -> SimpleNamespace:
        return SimpleNamespace(total=[80, 141][gpu] * GIB)

    def nvmlDeviceGetUtilizationRates(self, gpu: int) -> SimpleNamespace:
        if self.busy_percent[gpu] is None:
            raise self.NVMLError
        return SimpleNamespace(gpu=self.busy_percent[gpu])


@pytest.fixture
def driver(monkeypatch) -> Driver:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    driver = Driver()
    monkeypatch.setattr(machine, "pynvml", driver)
    return driver


@pytest.fixture
def no_driver(driver, monkeypatch):
    def refuse() -> None:
        raise driver.NVMLError

    monkeypatch.setattr(driver, "nvmlInit", refuse)


@pytest.fixture
def cgroup(monkeypatch, tmp_path):
    """Writes the limits of a control group two levels deep; the machine has 16 cores, 100 GiB."""
    monkeypatch.setattr(machine, "_CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(machine, "_MEMBERSHIP", tmp_path / "membership")
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda pid: set(range(16)), raising=False)
    monkeypatch.setattr(machine, "_VM_STATISTICS", tmp_path / "vmstat")
    memory = SimpleNamespace(available=100 * GIB, total=128 * GIB)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    (tmp_path / "membership").write_text("4:memory:/v1\n0::/lab.slice/app.service\n")

    def write(group: str, **files: str) -> None:
        folder = tmp_path / "cgroup" / group
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name.replace("_", ".", 1)).write_text(text + "\n")

    return write


def test_machine_without_a_gpu_offers_cores_and_available_memory(no_driver):
    found = this_machine(None)
    assert found.device == "cpu"
    assert found.num_cores == usable_cores() >= 1
    assert 0 < found.memory_bytes <= psutil.virtual_memory().total
    assert found.device_name
    assert found.weights == {}


@pytest.mark.parametrize(
    ("visible", "name", "memory_gib"),
    [
        (None, "NVIDIA H100", 80),
        ("1", "NVIDIA H200", 141),
        ("GPU-1f,0", "NVIDIA H200", 141),
        (" 0 , 1", "NVIDIA H100", 80),
    ],
)
def test_first_visible_gpu_is_the_device(driver, monkeypatch, visible, name, memory_gib):
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    found = this_machine(None)
    assert (found.device, found.device_name) == ("cuda", name)
    assert found.memory_bytes == memory_gib * GIB
    assert driver.num_open == 0, "the driver is let go"


@pytest.mark.parametrize("visible", ["", "-1", "7", "GPU-unknown"])
def test_hidden_gpus_are_none(driver, monkeypatch, visible):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert this_machine(None).device == "cpu"
    assert GpuMeter().read() is None


def test_files_of_encoder_weights_are_found_and_others_are_not(tmp_path):
    for name in ("resnet34.pth", "resnet34.safetensors", "mit_b0.pth", "resnet18.txt", "own.pth"):
        (tmp_path / name).touch()
    (tmp_path / "vgg16_bn.pth").mkdir()
    expected = {"resnet34": "resnet34.safetensors", "mit_b0": "mit_b0.pth"}
    assert encoder_weights(tmp_path) == expected
    assert this_machine(tmp_path).weights == expected


@pytest.mark.parametrize("folder", ["missing", "file"])
def test_folder_of_weights_need_not_exist(tmp_path, folder):
    (tmp_path / "file").touch()
    assert encoder_weights(tmp_path / folder) == {}


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("max 100000", 16), ("200000 100000", 2), ("150000 100000", 2), ("10000 100000", 1)],
)
def test_cores_are_those_the_control_group_grants(cgroup, quota, expected):
    cgroup("lab.slice/app.service", cpu_max=quota)
    assert usable_cores() == expected


def test_tightest_of_the_control_groups_around_counts(cgroup):
    cgroup("lab.slice", cpu_max="300000 100000", memory_max=str(8 * GIB), memory_current="0")
    cgroup("lab.slice/app.service", cpu_max="max 100000", memory_max="max", memory_current="0")
    assert usable_cores() == 3
    assert available_memory_bytes() == 8 * GIB


def test_memory_is_what_the_control_group_has_left_with_pages_it_can_give_up(cgroup):
    cgroup(
        "lab.slice/app.service",
        memory_max=str(8 * GIB),
        memory_current=str(6 * GIB),
        memory_stat=f"anon 5\ninactive_file {GIB}\nactive_file 7",
    )
    assert available_memory_bytes() == 3 * GIB


def test_group_over_its_limit_has_nothing_left(cgroup):
    cgroup("lab.slice/app.service", memory_max="100", memory_current="200")
    assert available_memory_bytes() == 0


def test_without_control_groups_the_machine_is_the_limit(cgroup):
    assert usable_cores() == 16
    assert available_memory_bytes() == 100 * GIB


def test_memory_in_all_is_what_the_tightest_control_group_grants(cgroup):
    assert total_memory_bytes() == 128 * GIB
    cgroup("lab.slice", memory_max=str(8 * GIB))
    cgroup("lab.slice/app.service", memory_max="max", memory_current=str(GIB))
    assert total_memory_bytes() == 8 * GIB


def test_kills_for_want_of_memory_are_counted_in_the_groups_and_on_the_machine(cgroup, tmp_path):
    assert oom_kills() == 0
    (tmp_path / "vmstat").write_text("nr_free_pages 7\noom_kill 2\npgfault 9\n")
    assert oom_kills() == 2
    cgroup("lab.slice", memory_events="low 0\noom 40\noom_kill 5\noom_group_kill 60")
    cgroup("lab.slice/app.service", memory_events="low 0\noom 70\noom_kill 3")
    assert oom_kills() == 10
    cgroup("lab.slice/app.service", memory_events="low 0\noom 71\noom_kill 4")
    assert oom_kills() == 11


def test_kills_that_this_machine_has_seen_never_get_fewer():
    first = oom_kills()
    assert oom_kills() >= first >= 0


def test_machine_without_affinity_counts_its_cores(cgroup, monkeypatch):
    monkeypatch.delattr(machine.os, "sched_getaffinity")
    monkeypatch.setattr(machine.os, "cpu_count", lambda: 12)
    assert usable_cores() == 12


def meters_running() -> int:
    return sum(thread.name == "gpu-meter" for thread in threading.enumerate())


def wait_until(condition) -> None:
    for _attempt in range(500):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it never became true")


def test_without_a_gpu_there_is_nothing_to_read_and_no_thread(no_driver):
    assert GpuMeter().read() is None
    assert meters_running() == 0


def test_utilisation_is_the_mean_since_the_last_reading(driver):
    meter = GpuMeter(1, period_seconds=0.001)
    wait_until(lambda: len(meter._samples) >= 3)
    assert meter.read() == pytest.approx(0.4)
    driver.busy_percent[1] = 100
    meter.read()
    wait_until(lambda: len(meter._samples) >= 3)
    assert meter.read() == pytest.approx(1.0)
    meter.close()


def test_samples_of_different_moments_are_averaged(driver):
    meter = GpuMeter(period_seconds=60)
    meter._samples.extend([0.2, 0.6])
    assert meter.read() == pytest.approx(0.4)
    assert meter.read() == pytest.approx(0.1), "with nothing gathered, it looks at once"
    meter.close()


def test_meter_counts_the_visible_gpus_as_torch_does(driver, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    meter = GpuMeter(0, period_seconds=60)
    assert meter.read() == pytest.approx(0.4)
    meter.close()
    assert GpuMeter(1).read() is None


def test_gpu_that_does_not_say_gives_no_number(driver):
    driver.busy_percent[0] = None
    meter = GpuMeter(period_seconds=0.001)
    assert meter.read() is None
    meter.close()


@pytest.mark.parametrize("how", ["closed", "forgotten"])
def test_sampling_ends_with_its_meter(driver, how):
    meter = GpuMeter(period_seconds=0.001)
    assert meters_running() == 1
    if how == "closed":
        meter.close()
    del meter
    gc.collect()
    wait_until(lambda: meters_running() == 0)
