"""Where and how exactly to compute. What only a GPU has, a stand-in for its driver says."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import nn

from engine.config import ComputeConfig
from engine.errors import BadSetting, OutOfMemory
from engine.models import compute as module
from engine.models.compute import (
    Compute,
    can_compile,
    choose_compute,
    compile_pays,
    compute_as_before,
    environment,
    fastest_compute,
    free_memory,
    half_precisions,
    measure_precisions,
    memory_errors,
    set_deterministic,
)

CPU, GPU = torch.device("cpu"), torch.device("cuda")
FP32, BF16 = Compute(CPU, torch.float32), Compute(CPU, torch.bfloat16)


@pytest.fixture(autouse=True)
def switches(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The switches of the process as they were, after each test."""
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    before = (
        torch.backends.cuda.matmul.allow_tf32,
        torch.backends.cudnn.allow_tf32,
        torch.backends.cudnn.benchmark,
    )
    yield
    torch.use_deterministic_algorithms(False)
    (
        torch.backends.cuda.matmul.allow_tf32,
        torch.backends.cudnn.allow_tf32,
        torch.backends.cudnn.benchmark,
    ) = before


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture
def gpu(monkeypatch):
    """Pretends a GPU of a compute capability."""

    def pretend(major: int, minor: int) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (major, minor))
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Tesla T4")

    return pretend


@pytest.mark.parametrize(("name", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_precision_that_is_asked_for_is_the_one_convolutions_have(no_gpu, name, dtype):
    compute = choose_compute(ComputeConfig(precision=name))
    assert compute == Compute(CPU, dtype)
    net = nn.Conv2d(1, 1, 1)
    with compute.autocast():
        assert net(torch.zeros(1, 1, 2, 2)).dtype == dtype
    assert net(torch.zeros(1, 1, 2, 2)).dtype == torch.float32


@pytest.mark.parametrize(
    ("flags", "dtype"),
    [
        ("fpu avx2 avx512f", torch.float32),
        ("fpu avx512_bf16 sse", torch.bfloat16),
        ("amx_bf16 amx_tile", torch.bfloat16),
        ("not_avx512_bf16_at_all", torch.float32),
    ],
)
def test_quick_choice_is_bf16_where_the_processor_multiplies_it(
    no_gpu, monkeypatch, tmp_path, flags, dtype
):
    (tmp_path / "cpuinfo").write_text(f"model name : X\nflags : {flags}\n")
    monkeypatch.setattr(module, "_CPU_INFO", tmp_path / "cpuinfo")
    assert choose_compute(ComputeConfig()).precision == dtype


def test_processor_that_says_nothing_of_itself_computes_in_fp32(no_gpu, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "_CPU_INFO", tmp_path / "missing")
    assert choose_compute(ComputeConfig()).precision == torch.float32


@pytest.mark.parametrize(
    ("capability", "dtype"),
    [((6, 1), torch.float32), ((7, 5), torch.float16), ((8, 0), torch.bfloat16),
     ((9, 0), torch.bfloat16)],
)  # fmt: skip
def test_quick_choice_on_a_gpu_is_what_its_tensor_cores_multiply(gpu, capability, dtype):
    gpu(*capability)
    assert choose_compute(ComputeConfig()) == Compute(GPU, dtype)
    assert choose_compute(ComputeConfig(device="cpu")).device == CPU


def test_gpu_that_is_not_there_is_refused(no_gpu):
    with pytest.raises(BadSetting, match="Device is “cuda”, but this machine offers no usable"):
        choose_compute(ComputeConfig(device="cuda"))


def test_fp16_on_a_processor_is_refused(no_gpu):
    with pytest.raises(BadSetting, match=r"“fp16”, which a processor .* Choose “auto”"):
        choose_compute(ComputeConfig(precision="fp16"))


def test_bf16_on_a_gpu_that_lacks_it_is_refused_with_both_capabilities(gpu):
    gpu(7, 5)
    with pytest.raises(BadSetting, match=r"Tesla T4 has compute capability 7\.5; .* 8\.0 or more"):
        choose_compute(ComputeConfig(precision="bf16"))
    assert choose_compute(ComputeConfig(precision="fp16")).precision == torch.float16


@pytest.mark.parametrize(("precision", "allowed"), [("fp32", False), ("auto", True)])
def test_fp32_that_is_asked_for_is_not_rounded_to_tf32(no_gpu, precision, allowed):
    choose_compute(ComputeConfig(precision=precision))
    assert torch.backends.cuda.matmul.allow_tf32 is allowed
    assert torch.backends.cudnn.allow_tf32 is allowed


def test_deterministic_is_switched_on_and_off_again(no_gpu):
    choose_compute(ComputeConfig(deterministic=True))
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.backends.cudnn.benchmark
    set_deterministic(False)
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.backends.cudnn.benchmark


def test_compilation_without_a_compiler_is_refused_only_when_it_is_asked_for(no_gpu, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert not can_compile(CPU)
    choose_compute(ComputeConfig(compiled="auto"))
    with pytest.raises(BadSetting, match=r"no C\+\+ compiler \(g\+\+\)"):
        choose_compute(ComputeConfig(compiled="on"))


def test_scaler_works_for_fp16_alone():
    assert Compute(GPU, torch.bfloat16).scaler().is_enabled() is False
    scaler = BF16.scaler()
    loss = torch.ones((), requires_grad=True)
    assert scaler.scale(loss) is loss
    scaler.load_state_dict(scaler.state_dict())
    assert torch.amp.GradScaler("cpu").is_enabled(), "or the lines above would say nothing"


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    """What the time is, for those who measure; moved by hand."""
    now = [0.0]
    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])
    return now


def steps_that_take(seconds: dict[torch.dtype, float], clock: list[float]):
    """Steps that only let time pass; one of 0 seconds runs out of memory."""

    def make_step(compute: Compute):
        def step() -> None:
            if not seconds[compute.precision]:
                raise torch.OutOfMemoryError("out of memory")
            clock[0] += seconds[compute.precision]

        return step

    return make_step


@pytest.mark.parametrize(
    ("bf16_seconds", "fp32_seconds", "expected"),
    [
        (0.1, 0.4, BF16),
        (0.4, 0.1, FP32),
        (0.1, 0.1, FP32),
        (0.1, 0.104, FP32),
        (9, 40, BF16),
        (0.2, 0, BF16),
        (0, 0.2, FP32),
        (0, 0, BF16),
    ],
)
def test_faster_precision_is_taken_and_fp32_where_none_gains(
    clock, bf16_seconds, fp32_seconds, expected
):
    make_step = steps_that_take({torch.bfloat16: bf16_seconds, torch.float32: fp32_seconds}, clock)
    assert fastest_compute(BF16, make_step) == expected


def test_nothing_is_measured_where_there_is_no_choice():
    def make_step(compute: Compute):
        raise AssertionError("it was measured")

    assert fastest_compute(FP32, make_step) == FP32


def test_measured_is_the_quickest_step_as_the_first_prepares(clock):
    durations = iter([0.5, 0.1, 0.3, *[0.2] * 100])

    def make_step(compute: Compute):
        def step() -> None:
            clock[0] += next(durations)

        return step

    assert measure_precisions(make_step, [BF16]) == {torch.bfloat16: pytest.approx(0.1)}


def test_slow_steps_are_not_repeated(clock):
    num_steps = []

    def make_step(compute: Compute):
        def step() -> None:
            clock[0] += 20
            num_steps.append(1)

        return step

    assert measure_precisions(make_step, [BF16, FP32]) == {torch.bfloat16: 20, torch.float32: 20}
    assert len(num_steps) == 2


def test_long_training_on_a_gpu_pays_for_compiling_and_a_short_one_does_not(monkeypatch):
    monkeypatch.setattr(module, "can_compile", lambda device: True)
    assert compile_pays(0.1, 100_000, GPU)
    assert not compile_pays(0.1, 100, GPU)
    monkeypatch.setattr(module, "can_compile", lambda device: False)
    assert not compile_pays(0.1, 100_000, GPU)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        MemoryError("Unable to allocate 8 TiB for an array"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"
        ),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("could not create a memory object"),
        RuntimeError("could not create a primitive"),
        RuntimeError("std::bad_alloc"),
    ],
    ids=str,
)
def test_whoever_runs_out_of_memory_is_understood(error):
    with pytest.raises(OutOfMemory, match="batch_size") as raised, memory_errors(CPU):
        raise error
    assert raised.value.facts["device"] == "processor"


@pytest.mark.parametrize(
    "error",
    [RuntimeError("The size of tensor a must match"), ValueError("out of memory"), OSError(12, "")],
    ids=str,
)
def test_other_errors_are_not_taken_for_a_want_of_memory(error):
    with pytest.raises(type(error)) as raised, memory_errors(CPU):
        raise error
    assert raised.value is error


def test_memory_that_really_runs_out_is_understood():
    for allocate in (lambda: torch.empty(2**46), lambda: np.empty(2**46)):
        with pytest.raises(OutOfMemory), memory_errors(CPU):
            allocate()


def test_precision_whose_step_needs_too_much_memory_on_a_processor_is_not_taken(clock):
    def make_step(compute: Compute):
        if compute == FP32:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return lambda: clock.__setitem__(0, clock[0] + 1)

    assert fastest_compute(BF16, make_step) == BF16


def test_precisions_of_half_the_size_are_those_the_device_computes_in(gpu):
    assert half_precisions(CPU) == ["bf16"]
    gpu(8, 0)
    assert half_precisions(GPU) == ["bf16", "fp16"]
    gpu(7, 5)
    assert half_precisions(GPU) == ["fp16"]


@pytest.mark.parametrize(
    ("setting", "before", "expected"),
    [
        ("auto", "bfloat16", BF16),
        ("auto", "float32", FP32),
        ("fp32", "bfloat16", FP32),
        ("bf16", "float32", BF16),
    ],
)
def test_precision_that_was_measured_before_is_kept_where_none_is_prescribed(
    no_gpu, setting, before, expected
):
    assert compute_as_before(ComputeConfig(precision=setting), before) == expected


@pytest.mark.parametrize("before", [None, "float16", "unheard of"])
def test_precision_of_before_that_cannot_be_had_is_chosen_anew(no_gpu, before):
    assert compute_as_before(ComputeConfig(), before) == choose_compute(ComputeConfig())


def test_free_memory_of_a_processor_is_some_of_the_machines():
    assert 0 < free_memory(CPU) < 2**50


def test_environment_names_versions_device_and_precision():
    facts = environment(BF16)
    assert facts["torch"] == torch.__version__
    assert facts["device"] == "CPU"
    assert facts["cuda"] is None
    assert facts["precision"] == "bfloat16"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_gpu_measures_its_precisions_and_tells_its_memory():
    compute = choose_compute(ComputeConfig(device="cuda"))
    net = nn.Conv2d(8, 8, 3).to(compute.device)

    def make_step(candidate: Compute):
        def step() -> None:
            with candidate.autocast():
                net(torch.zeros(1, 8, 64, 64, device=candidate.device)).sum().backward()

        return step

    assert fastest_compute(compute, make_step).device.type == "cuda"
    assert free_memory(compute.device) > 2**20
