"""Where a training computes, and how exactly."""

import gc
import importlib.util
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from engine.config import ComputeConfig
from engine.errors import BadSetting, OutOfMemory
from engine.machine import available_memory_bytes, usable_cores

_PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

_TENSOR_CORES_SINCE, _BF16_SINCE = (7, 0), (8, 0)
"""CUDA compute capabilities: Volta multiplies fp16 fast, Ampere bf16 too."""

_CPU_INFO = Path("/proc/cpuinfo")

_MEMORY_WORDS = (
    "out of memory",
    "allocate memory",
    "not enough memory",
    "status_alloc_failed",
    "could not create a memory object",
    "could not create a primitive",
    "bad_alloc",
)
"""What torch, CUDA, cuDNN, cuBLAS and oneDNN say when memory ran out, in small letters. oneDNN says
no more than that it could not create something; the networks built here give it no other cause."""

_WORTHWHILE_GAIN = 1.05
"""A lower precision that is not faster by this factor is not worth its rounding."""
_MOST_TIMED_STEPS = 10
_ENOUGH_SECONDS = 2.0

_COMPILE_SECONDS = {"cpu": 50.0, "cuda": 60.0}
_COMPILE_GAIN = {"cpu": 1.0, "cuda": 1.1}
"""What compiling takes, and by which factor the steps are then faster.

Measured on two cores with AVX512-BF16, torch 2.14, bf16, batches of 4 of 256 px: 51 s (29 s for
the tutorial's network) and 1.00 for the quickest of 40 steps, 1.04 for the middle one. Those of
a GPU are cautious guesses.
"""


@dataclass(frozen=True, slots=True)
class Compute:
    """A device with the precision of its convolutions."""

    device: torch.device
    precision: torch.dtype
    """`torch.float32`, `torch.bfloat16` or `torch.float16`"""

    @property
    def precision_name(self) -> str:
        """“float32”, “bfloat16” or “float16”"""
        return str(self.precision).removeprefix("torch.")

    @property
    def precision_setting(self) -> str:
        """As `ComputeConfig.precision` calls it: “fp32”, “bf16” or “fp16”."""
        return next(name for name, each in _PRECISIONS.items() if each == self.precision)

    def autocast(self) -> AbstractContextManager[None]:
        """Context in which convolutions run at the chosen precision."""
        if self.precision == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.precision)

    def scaler(self) -> torch.amp.GradScaler:
        """Keeps the gradients of fp16 within its range; with the others it does nothing."""
        return torch.amp.GradScaler(self.device.type, enabled=self.precision == torch.float16)


def choose_device(config: ComputeConfig) -> torch.device:
    """The device these settings mean on this machine.

    Raises:
        BadSetting: it is not to be had.
    """
    has_gpu = torch.cuda.is_available()
    if config.device == "cuda" and not has_gpu:
        raise BadSetting(
            "Device is “cuda”, but this machine offers no usable NVIDIA GPU. Choose “auto” or "
            "“cpu”."
        )
    return torch.device("cuda" if has_gpu and config.device != "cpu" else "cpu")


def choose_compute(config: ComputeConfig) -> Compute:
    """The device and, quickly chosen, the precision these settings mean on this machine.

    Sets the switches of this process that belong to them: whether fp32 may be rounded to TF32
    inside a GPU, which “fp32” forbids, and see `set_deterministic`.

    Raises:
        BadSetting: the device, or the precision on it, is not to be had.
    """
    device = choose_device(config)
    if config.precision == "auto":
        precision = _likely_fastest(device)
    else:
        _check_precision(config.precision, device)
        precision = _PRECISIONS[config.precision]
    if config.compiled == "on" and not can_compile(device):
        raise BadSetting(
            "Compilation is “on”, but this machine has no {missing}, which it needs. Install it, "
            "or choose “auto” or “off”.",
            missing="Triton" if device.type == "cuda" else "C++ compiler (g++)",
        )
    torch.backends.cuda.matmul.allow_tf32 = config.precision != "fp32"
    torch.backends.cudnn.allow_tf32 = config.precision != "fp32"
    set_deterministic(config.deterministic)
    # In a container torch counts the cores of the whole machine.
    torch.set_num_threads(min(torch.get_num_threads(), usable_cores()))
    return Compute(device, precision)


def compute_as_before(config: ComputeConfig, precision_name: str | None) -> Compute:
    """Like `choose_compute`, but a precision that was measured once is kept where it can be had.

    Args:
        precision_name: see `Compute.precision_name`; None where it is not known.
    """
    compute = choose_compute(config)
    for setting in ("fp32", *half_precisions(compute.device)):
        before = replace(compute, precision=_PRECISIONS[setting])
        if config.precision == "auto" and before.precision_name == precision_name:
            return before
    return compute


def set_deterministic(deterministic: bool) -> None:
    """Make this process compute the same from the same, or as fast as it can.

    On a GPU a few operations have no deterministic form; torch then warns and names them.
    """
    if deterministic:
        # Read by cuBLAS when it starts; without it, it may use its workspaces in any order.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(deterministic, warn_only=True)
    # The search for the fastest convolution may find another one next time.
    torch.backends.cudnn.benchmark = not deterministic


MakeStep = Callable[[Compute], Callable[[], object]]
"""Prepares a training of a precision and gives what makes one step of it."""


def fastest_compute(quick: Compute, make_step: MakeStep) -> Compute:
    """The faster of a quickly chosen precision and fp32, measured.

    Args:
        quick: from `choose_compute`.
    """
    exact = replace(quick, precision=torch.float32)
    if quick == exact:
        return exact
    seconds = measure_precisions(make_step, [quick, exact])
    fastest = min(seconds, key=seconds.__getitem__, default=quick.precision)
    if seconds.get(torch.float32, float("inf")) <= seconds.get(fastest, 0) * _WORTHWHILE_GAIN:
        return exact
    return replace(quick, precision=fastest)


@contextmanager
def memory_errors(device: torch.device) -> Iterator[None]:
    """Say in a sentence that the device's memory ran out.

    Raises:
        OutOfMemory: it did.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_memory_error(error):
            raise
        raise OutOfMemory(
            "The memory of the {device} ran out; {free} MiB were free beforehand. Choose a smaller "
            "batch (batch_size) with more accumulated batches (accumulation), smaller images "
            "(image_size_px), or a smaller network (width).",
            device="GPU" if device.type == "cuda" else "processor",
            free=free_memory(device) >> 20,
        ) from None


def is_memory_error(error: BaseException) -> bool:
    """Whether an error, of whatever library, says that memory ran out."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    # torch's allocator of main memory, the driver, and the libraries of a GPU have no class of
    # their own for it.
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(words in text for words in _MEMORY_WORDS)


def release_memory(device: torch.device) -> None:
    """Give back what nothing refers to any more, after memory ran out."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def half_precisions(device: torch.device) -> list[str]:
    """The precisions of half the size that a device computes in, the better one first, as
    `ComputeConfig.precision` calls them."""
    if device.type == "cpu":
        return ["bf16"]
    has_bf16 = torch.cuda.get_device_capability(device) >= _BF16_SINCE
    return ["bf16", "fp16"] if has_bf16 else ["fp16"]


def measure_precisions(
    make_step: MakeStep, candidates: Sequence[Compute]
) -> dict[torch.dtype, float]:
    """Seconds per step of each precision; one that the device's memory cannot hold is absent."""
    seconds = {}
    for candidate in candidates:
        try:
            seconds[candidate.precision] = _seconds_per_step(make_step(candidate), candidate.device)
        except (MemoryError, RuntimeError) as error:
            if not is_memory_error(error):
                raise
        else:
            continue
        # Here the error, which held on to the tensors, is gone.
        release_memory(candidate.device)
    return seconds


def can_compile(device: torch.device) -> bool:
    """Whether `torch.compile` finds the compiler that it needs."""
    if device.type == "cuda":
        # Triton compiles its launchers with whatever C compiler there is.
        has_triton = importlib.util.find_spec("triton") is not None
        return has_triton and any(map(shutil.which, ("gcc", "cc", "clang")))
    return any(map(shutil.which, ("g++", "c++", "clang++")))


def compile_pays(seconds_per_step: float, num_steps: float, device: torch.device) -> bool:
    """Whether compiling is likely to save more than it takes.

    Args:
        seconds_per_step: without compilation.
        num_steps: of the whole training.
    """
    saved = seconds_per_step * num_steps * (1 - 1 / _COMPILE_GAIN[device.type])
    return saved > _COMPILE_SECONDS[device.type] and can_compile(device)


def free_memory(device: torch.device) -> int:
    """Bytes that a training could still take on a device."""
    if device.type != "cuda":
        return available_memory_bytes()
    unused, _total = torch.cuda.mem_get_info(device)
    # What torch holds without using it, it gives to whoever asks next.
    return unused + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


def environment(compute: Compute) -> dict[str, Any]:
    """Versions and hardware, for the record of a run."""
    on_gpu = compute.device.type == "cuda"
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda if on_gpu else None,
        "device": torch.cuda.get_device_name(compute.device) if on_gpu else "CPU",
        "threads": torch.get_num_threads(),
        "precision": compute.precision_name,
        "system": platform.platform(),
    }


def _likely_fastest(device: torch.device) -> torch.dtype:
    if device.type == "cuda":
        capability = torch.cuda.get_device_capability(device)
        if capability >= _BF16_SINCE:
            return torch.bfloat16
        return torch.float16 if capability >= _TENSOR_CORES_SINCE else torch.float32
    return torch.bfloat16 if _cpu_multiplies_bf16() else torch.float32


def _cpu_multiplies_bf16() -> bool:
    """Whether the processor does it natively; elsewhere it is emulated and slower than fp32."""
    try:
        flags = _CPU_INFO.read_text().split()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def _check_precision(precision: str, device: torch.device) -> None:
    if precision == "fp16" and device.type == "cpu":
        raise BadSetting(
            "Precision is “fp16”, which a processor computes slowly and inexactly, and the "
            "training would run on one. Choose “auto”, “bf16” or “fp32”."
        )
    if precision == "bf16" and device.type == "cuda":
        capability = torch.cuda.get_device_capability(device)
        if capability < _BF16_SINCE:
            raise BadSetting(
                "Precision is “bf16”, but the GPU {name} has compute capability {seen}; bf16 needs "
                "{needed} or more. Choose “auto”, “fp16” or “fp32”.",
                name=torch.cuda.get_device_name(device),
                seen=_dotted(capability),
                needed=_dotted(_BF16_SINCE),
            )


def _dotted(capability: tuple[int, int]) -> str:
    return ".".join(map(str, capability))


def _seconds_per_step(step: Callable[[], object], device: torch.device) -> float:
    """The quickest of some steps: the first ones also prepare, others may be disturbed."""
    durations = list[float]()
    while len(durations) < _MOST_TIMED_STEPS and sum(durations) < _ENOUGH_SECONDS:
        started_at = time.perf_counter()
        step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        durations.append(time.perf_counter() - started_at)
    return min(durations)
