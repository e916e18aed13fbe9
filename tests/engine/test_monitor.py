"""What a machine is said to be doing, with a stand-in for the GPU's driver."""

from types import SimpleNamespace

import psutil
import pytest

from engine import machine, monitor
from engine.monitor import GpuState, read_state

GIB = 2**30


class Driver:
    """Two GPUs in the words of pynvml; what is named in `silent` the second does not say."""

    NVML_TEMPERATURE_GPU = 0

    class NVMLError(Exception):
        """What the driver raises."""

    def __init__(self) -> None:
        self.num_open = 0
        self.silent: set[str] = set()
        self.is_there = True
        self.has_lost_one = False

    def nvmlInit(self) -> None:
        if not self.is_there:
            raise self.NVMLError
        self.num_open += 1

    def nvmlShutdown(self) -> None:
        self.num_open -= 1

    def nvmlDeviceGetCount(self) -> int:
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        if self.has_lost_one and index == 1:
            raise self.NVMLError
        return index

    def nvmlDeviceGetName(self, gpu: int) -> str:
        return ["NVIDIA H100", "NVIDIA H200"][gpu]

    def nvmlDeviceGetMemoryInfo(self, gpu: int) -> SimpleNamespace:
        self._say("memory", gpu)
        return SimpleNamespace(total=[80, 141][gpu] * GIB, used=[20, 7][gpu] * GIB)

    def nvmlDeviceGetUtilizationRates(self, gpu: int) -> SimpleNamespace:
        self._say("utilization", gpu)
        return SimpleNamespace(gpu=[93, 4][gpu])

    def nvmlDeviceGetTemperature(self, gpu: int, sensor: int) -> int:
        assert sensor == self.NVML_TEMPERATURE_GPU
        self._say("temperature", gpu)
        return [61, 35][gpu]

    def nvmlDeviceGetPowerUsage(self, gpu: int) -> int:
        self._say("power", gpu)
        return [345_600, 71_000][gpu]

    def _say(self, what: str, gpu: int) -> None:
        if gpu == 1 and what in self.silent:
            raise self.NVMLError


@pytest.fixture
def driver(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    driver = Driver()
    monkeypatch.setattr(machine, "pynvml", driver)
    monkeypatch.setattr(monitor, "pynvml", driver)
    return driver


def test_every_gpu_says_what_it_does(driver, tmp_path):
    first, second = read_state(tmp_path).gpus
    assert first == GpuState(
        name="NVIDIA H100",
        utilization=0.93,
        memory_used_bytes=20 * GIB,
        memory_total_bytes=80 * GIB,
        temperature_c=61.0,
        power_w=345.6,
    )
    assert (second.name, second.utilization, second.power_w) == ("NVIDIA H200", 0.04, 71.0)
    assert driver.num_open == 0, "the driver is let go"


def test_gpu_that_does_not_say_leaves_that_out_and_nothing_else(driver, tmp_path):
    driver.silent = {"utilization", "memory", "power"}
    first, second = read_state(tmp_path).gpus
    assert first.utilization is not None and first.memory_used_bytes is not None
    assert (second.utilization, second.power_w) == (None, None)
    assert (second.memory_used_bytes, second.memory_total_bytes) == (None, None)
    assert second.temperature_c == 35.0


def test_hidden_gpu_is_not_looked_at(driver, tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert [gpu.name for gpu in read_state(tmp_path).gpus] == ["NVIDIA H200"]


@pytest.mark.parametrize("trouble", ["no driver", "a lost GPU"])
def test_machine_without_an_answer_of_the_driver_tells_the_rest(driver, tmp_path, trouble):
    driver.is_there = trouble != "no driver"
    driver.has_lost_one = trouble == "a lost GPU"
    state = read_state(tmp_path)
    assert state.gpus == ()
    assert state.memory_total_bytes > 0
    assert driver.num_open == 0


def test_shares_and_sizes_are_possible(driver, tmp_path):
    read_state(tmp_path)
    state = read_state(tmp_path)
    assert 0 <= state.cpu_share <= 1
    assert 0 < state.memory_used_bytes < state.memory_total_bytes
    assert 0 < state.disk_free_bytes < state.disk_total_bytes


def test_processor_is_measured_since_the_last_reading(driver, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(psutil, "cpu_percent", lambda interval: asked.append(interval) or 25.0)
    assert read_state(tmp_path).cpu_share == 0.25
    assert asked == [None], "it does not wait"


def test_memory_is_that_of_the_control_group(driver, tmp_path, monkeypatch):
    group = tmp_path / "cgroup" / "lab"
    group.mkdir(parents=True)
    (tmp_path / "membership").write_text("0::/lab\n")
    for name, text in {
        "memory.max": str(8 * GIB),
        "memory.current": str(6 * GIB),
        "memory.stat": f"anon 5\ninactive_file {GIB}",
    }.items():
        (group / name).write_text(text)
    monkeypatch.setattr(machine, "_CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(machine, "_MEMBERSHIP", tmp_path / "membership")
    whole = SimpleNamespace(available=90 * GIB, total=100 * GIB)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: whole)
    state = read_state(tmp_path)
    assert state.memory_total_bytes == 8 * GIB
    assert state.memory_used_bytes == 5 * GIB, "pages that can be given up are free"
    (group / "memory.max").write_text("max")
    assert read_state(tmp_path).memory_total_bytes == 100 * GIB


def test_home_that_is_gone_is_measured_by_the_disk_it_was_on(driver, tmp_path):
    there, gone = read_state(tmp_path), read_state(tmp_path / "gone" / "home")
    assert gone.disk_total_bytes == there.disk_total_bytes > 0


def test_disk_that_does_not_answer_is_no_full_disk(driver, tmp_path, monkeypatch):
    def refuse(path):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(monitor.shutil, "disk_usage", refuse)
    assert read_state(tmp_path).disk_total_bytes == 0
