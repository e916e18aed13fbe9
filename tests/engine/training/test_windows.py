"""Windows: the right pixels from everywhere, the same on every path; no thread is left behind."""

import threading
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch

from engine.datasets.arrays import Arrays
from engine.training.windows import (
    DeviceWindows,
    HostWindows,
    Prefetch,
    Region,
    WindowPlace,
    Windows,
    open_windows,
)

CPU = torch.device("cpu")
SIZES = [(9, 14), (1, 1), (5, 1), (1, 7), (2, 3), (30, 20)]


def make_arrays(
    sizes: Sequence[tuple[int, int]] = SIZES, num_channels: int = 3, borders: bool = True
) -> Arrays:
    rng = np.random.default_rng(0)
    num_pixels = sum(height * width for height, width in sizes)
    return Arrays(
        images=rng.integers(0, 256, num_pixels * num_channels, np.uint8),
        masks=rng.integers(0, 4, num_pixels, np.uint8),
        borders=rng.integers(0, 256, num_pixels, np.uint8) if borders else None,
        heights_N=np.array([height for height, _ in sizes]),
        widths_N=np.array([width for _, width in sizes]),
        num_channels=num_channels,
    )


@pytest.mark.parametrize("kind", [HostWindows, DeviceWindows])
@pytest.mark.parametrize("position", range(len(SIZES)))
@pytest.mark.parametrize(("target_px", "margin_px"), [(4, 0), (3, 5), (1, 0), (8, 30)])
def test_window_shows_the_sample_and_beyond_it_its_mirror_image(
    kind: Callable[..., Windows], position: int, target_px: int, margin_px: int
) -> None:
    arrays = make_arrays()
    height, width = SIZES[position]
    # NumPy's own mirror is the reference: wide enough for every window.
    pad = 80
    padding = ((pad, pad), (pad, pad))
    image = np.pad(arrays.image(position), (*padding, (0, 0)), mode="reflect")
    mask = np.pad(arrays.mask(position), padding, mode="reflect")
    border = np.pad(arrays.border(position), padding, mode="reflect")
    places = [
        WindowPlace(position, top, left)
        for top in (-3, 0, height - target_px, height + 2)
        for left in (-20, 0, width // 2, width + 9)
    ]
    cut = kind(arrays, CPU).cut(places, target_px, margin_px)
    size = target_px + 2 * margin_px
    assert cut.images_NHWC.shape == (16, size, size, 3)
    assert cut.images_NHWC.dtype == cut.masks_NHW.dtype == torch.uint8
    assert cut.places == places
    for index, place in enumerate(places):
        rows = slice(place.top - margin_px + pad, place.top - margin_px + pad + size)
        columns = slice(place.left - margin_px + pad, place.left - margin_px + pad + size)
        assert (cut.images_NHWC[index].numpy() == image[rows, columns]).all()
        assert (cut.masks_NHW[index].numpy() == mask[rows, columns]).all()
        assert cut.borders_NHW is not None
        assert (cut.borders_NHW[index].numpy() == border[rows, columns]).all()


@pytest.mark.parametrize("num_channels", [1, 3])
@pytest.mark.parametrize("borders", [True, False])
def test_streamed_and_resident_windows_have_identical_pixels(
    num_channels: int, borders: bool
) -> None:
    arrays = make_arrays(num_channels=num_channels, borders=borders)
    rng = np.random.default_rng(1)
    places = []
    for position in rng.integers(len(SIZES), size=50).tolist():
        top, left = (int(number) for number in rng.integers(-20, 40, 2))
        counted = Region(top + 1, left + 2, top + 5, left + 4) if position % 2 else None
        places.append(WindowPlace(position, top, left, counted))
    host = HostWindows(arrays, CPU).cut(places, 6, 3)
    device = DeviceWindows(arrays, CPU).cut(places, 6, 3)
    assert torch.equal(host.images_NHWC, device.images_NHWC)
    assert torch.equal(host.masks_NHW, device.masks_NHW)
    if borders:
        assert host.borders_NHW is not None and device.borders_NHW is not None
        assert torch.equal(host.borders_NHW, device.borders_NHW)
    else:
        assert host.borders_NHW is None and device.borders_NHW is None


@pytest.mark.parametrize("kind", [HostWindows, DeviceWindows])
def test_pixels_that_do_not_count_are_ignored_and_the_image_stays(
    kind: Callable[..., Windows],
) -> None:
    arrays = make_arrays()
    region = Region(5, 6, 8, 20)
    cut = kind(arrays, CPU).cut([WindowPlace(0, 4, 4, region), WindowPlace(0, 4, 4)], 4, 1)
    # The window's rows are 3 … 8 and its columns 3 … 8.
    counts = np.zeros((6, 6), bool)
    counts[2:5, 3:6] = True
    assert ((cut.masks_NHW[0].numpy() == 255) == ~counts).all()
    assert not (cut.masks_NHW[1] == 255).any()
    assert torch.equal(cut.masks_NHW[0][2:5, 3:6], cut.masks_NHW[1][2:5, 3:6])
    assert torch.equal(cut.images_NHWC[0], cut.images_NHWC[1])


def test_samples_are_not_written_to() -> None:
    arrays = make_arrays()
    before = arrays.masks.copy()
    for kind in (HostWindows, DeviceWindows):
        places = [WindowPlace(0, 0, 0, Region(0, 0, 1, 1))]
        kind(arrays, CPU).cut(places, 4, 0).masks_NHW.fill_(9)
    assert (arrays.masks == before).all()


def test_on_a_cpu_the_memory_map_is_used_where_it_is() -> None:
    assert isinstance(open_windows(make_arrays(), CPU), HostWindows)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_a_gpu_cuts_what_the_cpu_cuts() -> None:
    arrays, device = make_arrays(), torch.device("cuda")
    places = [WindowPlace(position, -2, 3, Region(0, 3, 9, 9)) for position in range(6)]
    expected = HostWindows(arrays, CPU).cut(places, 6, 3)
    assert isinstance(open_windows(arrays, device), DeviceWindows)
    for windows in (HostWindows(arrays, device), DeviceWindows(arrays, device)):
        with Prefetch(windows, [places] * 8, 6, 3) as cuts:
            for cut in cuts:
                assert cut.images_NHWC.device.type == "cuda"
                assert torch.equal(cut.images_NHWC.cpu(), expected.images_NHWC)
                assert torch.equal(cut.masks_NHW.cpu(), expected.masks_NHW)


def batches_of(num: int) -> list[list[WindowPlace]]:
    return [[WindowPlace(5, number, 0), WindowPlace(5, 0, number)] for number in range(num)]


def streamed_windows() -> HostWindows:
    windows = HostWindows(make_arrays(), CPU)
    windows.is_streamed = True
    return windows


def names_of_threads() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


def is_cutting() -> bool:
    return any(name.startswith("windows") for name in names_of_threads())


@pytest.mark.parametrize("windows", [HostWindows(make_arrays(), CPU), streamed_windows()])
@pytest.mark.parametrize("num_batches", [0, 1, 2, 20])
def test_batches_come_in_order_and_all_of_them(windows: HostWindows, num_batches: int) -> None:
    batches = batches_of(num_batches)
    with Prefetch(windows, batches, 4, 1) as cuts:
        found = list(cuts)
    assert [cut.places for cut in found] == batches
    for cut, places in zip(found, batches, strict=True):
        assert torch.equal(cut.images_NHWC, windows.cut(places, 4, 1).images_NHWC)
    assert cuts.waited_seconds >= 0 and not is_cutting()


def test_only_a_few_batches_are_cut_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    windows, num_cut, prepare = streamed_windows(), 0, HostWindows.prepare

    def counting(self: HostWindows, *args: object) -> object:
        nonlocal num_cut
        num_cut += 1
        return prepare(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(HostWindows, "prepare", counting)
    with Prefetch(windows, batches_of(100), 4, 1) as cuts:
        next(iter(cuts))
    assert 1 <= num_cut <= 4


def test_nothing_is_cut_in_a_thread_on_a_cpu() -> None:
    with Prefetch(HostWindows(make_arrays(), CPU), batches_of(3), 4, 1) as cuts:
        for _cut in cuts:
            assert not is_cutting()


def test_an_error_while_cutting_reaches_who_asked_and_ends_the_thread() -> None:
    batches = batches_of(5)
    batches[2] = [WindowPlace(99, 0, 0)]
    found = 0
    with (
        pytest.raises(IndexError),
        Prefetch(streamed_windows(), batches, 4, 1) as cuts,
    ):
        for _cut in cuts:
            found += 1
    assert found == 2 and not is_cutting()


def test_leaving_in_the_middle_ends_the_thread() -> None:
    before = names_of_threads()
    for _ in range(20):
        with pytest.raises(KeyError), Prefetch(streamed_windows(), batches_of(50), 4, 1) as cuts:
            for _cut in cuts:
                assert is_cutting()
                raise KeyError
        cuts.close()
    assert names_of_threads() == before
