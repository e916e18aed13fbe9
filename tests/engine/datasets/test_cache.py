"""Arrays for training: right pixels, built once, rebuilt when broken."""

import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
from PIL import Image

from engine.config import ImageConfig
from engine.datasets import cache
from engine.datasets.arrays import Arrays
from engine.datasets.cache import load_pair, training_arrays
from engine.datasets.importer import import_dataset
from engine.datasets.weight_maps import border_map
from engine.errors import BadData, DiskFull
from engine.store import datasets
from engine.store.datasets import Dataset, Sample
from engine.workbench import Workbench

IMAGE = np.random.default_rng(0).integers(0, 256, (32, 64), np.uint8)
COLOR = np.random.default_rng(1).integers(0, 256, (32, 64, 3), np.uint8)
MASK = np.kron(np.array([[0, 1], [1, 255]], np.uint8), np.ones((16, 32), np.uint8)) * 1
MASK[0, ::4] = 2


@pytest.fixture
def import_images(
    workbench: Workbench, make_zip: Callable[..., Path], encode: Callable[..., bytes]
) -> Callable[..., tuple[Dataset, list[Sample]]]:
    def import_images(*images: np.ndarray, mask: np.ndarray = MASK) -> tuple[Dataset, list[Sample]]:
        members = {}
        for number, image in enumerate(images):
            members[f"images/{number}.png"] = encode(image)
            members[f"masks/{number}.png"] = encode(mask)
        dataset = import_dataset(workbench, make_zip(members), name="d", actor="ada")
        return dataset, datasets.samples(workbench.database, dataset.id)

    return import_images


Import = Callable[..., tuple[Dataset, list[Sample]]]


def arrays(
    workbench: Workbench,
    imported: tuple[Dataset, list[Sample]],
    color: str = "dataset",
    view: str = "resized",
    border_sigma_px: float | None = None,
) -> Arrays:
    # The image size says nothing about the arrays: an unpadded network's output is smaller.
    config = ImageConfig(image_size_px=32, color=color, view=view)
    return training_arrays(
        workbench.files, *imported, config, target_px=16, border_sigma_px=border_sigma_px
    )


def test_images_are_smoothed_and_masks_are_not(workbench: Workbench, import_images: Import) -> None:
    found = arrays(workbench, import_images(IMAGE, IMAGE[::-1].copy()))
    assert found.images.shape == (2 * 16 * 16,) and found.images.dtype == np.uint8
    assert found.masks.shape == (2 * 16 * 16,) and found.masks.dtype == np.uint8
    expected = Image.fromarray(IMAGE).resize((16, 16), Image.Resampling.BILINEAR)
    assert (found.image(0) == np.asarray(expected)[..., np.newaxis]).all()
    # Quarters keep their class; the pixels of class 2 fall between the samples.
    quarter = np.ones((8, 8), np.uint8)
    expected_mask = np.block([[0 * quarter, quarter], [quarter, 255 * quarter]])
    assert (found.mask(1) == expected_mask).all()
    assert found.borders is None and found.border(0) is None


def test_patches_come_from_images_at_their_own_size(
    workbench: Workbench, make_zip: Callable[..., Path], encode: Callable[..., bytes]
) -> None:
    rng = np.random.default_rng(2)
    sizes = [(32, 64), (64, 32), (17, 23)]
    images = [rng.integers(0, 256, (*size, 3), np.uint8) for size in sizes]
    masks = [rng.integers(0, 3, size, np.uint8) for size in sizes]
    members = {}
    for number, (image, mask) in enumerate(zip(images, masks, strict=True)):
        members |= {f"images/{number}.png": encode(image), f"masks/{number}.png": encode(mask)}
    dataset = import_dataset(workbench, make_zip(members), name="d", actor="ada")
    imported = dataset, datasets.samples(workbench.database, dataset.id)
    found = arrays(workbench, imported, view="patches")
    grey = arrays(workbench, imported, view="patches", color="grey")
    assert list(zip(found.heights_N.tolist(), found.widths_N.tolist(), strict=True)) == sizes
    for position, (image, mask) in enumerate(zip(images, masks, strict=True)):
        assert (found.image(position) == image).all()
        assert (found.mask(position) == mask).all()
        assert (
            grey.image(position)[..., 0] == np.asarray(Image.fromarray(image).convert("L"))
        ).all()
    assert found.num_channels == 3 and grey.num_channels == 1


def test_border_maps_belong_to_the_masks_as_they_are_trained_on(
    workbench: Workbench, import_images: Import
) -> None:
    two_objects = np.zeros((32, 64), np.uint8)
    two_objects[8:24, 8:28] = two_objects[8:24, 34:56] = 1
    imported = import_images(IMAGE, COLOR, mask=two_objects)
    background = frozenset(row.index for row in imported[0].classes if row.background)
    for view in ("resized", "patches"):
        for sigma in (2.0, 5.0):
            found = arrays(workbench, imported, view=view, border_sigma_px=sigma)
            border = found.border(1)
            assert border is not None and border.shape == found.mask(1).shape
            assert (border == border_map(np.array(found.mask(1)), background, sigma)).all()
            assert border.any()


@pytest.mark.parametrize(
    ("color", "channels"), [("dataset", (1, 3)), ("rgb", (3, 3)), ("grey", (1, 1))]
)
def test_colours_follow_the_config(
    workbench: Workbench, import_images: Import, color: str, channels: tuple[int, int]
) -> None:
    grey = arrays(workbench, import_images(IMAGE), color)
    mixed = arrays(workbench, import_images(IMAGE, COLOR), color)
    assert (grey.num_channels, mixed.num_channels) == channels
    assert grey.image(0).shape == (16, 16, channels[0])
    assert mixed.image(0).shape == (16, 16, channels[1])
    assert (grey.image(0) == grey.image(0)[..., :1]).all()
    assert (mixed.image(0) == mixed.image(0)[..., :1]).all()
    if channels[1] == 3:
        expected = Image.fromarray(COLOR).resize((16, 16), Image.Resampling.BILINEAR)
        assert (mixed.image(1) == np.asarray(expected)).all()


def test_arrays_are_built_once_and_read_only(workbench: Workbench, import_images: Import) -> None:
    imported = import_images(IMAGE, IMAGE)
    shares: list[float] = []

    def build() -> Arrays:
        return training_arrays(
            workbench.files, *imported, ImageConfig(), target_px=16, progress=shares.append
        )

    first = build()
    assert shares == [0.5, 1.0]
    second = build()
    assert shares == [0.5, 1.0]
    assert (first.images == second.images).all()
    assert isinstance(second.images, np.memmap) and isinstance(second.masks, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        second.images[0] = 0
    assert file_names(workbench, imported) == ["images-1.npy", "masks.npy"]


def file_names(workbench: Workbench, imported: tuple[Dataset, list[Sample]]) -> list[str]:
    folder = workbench.files.path(f"datasets/{imported[0].id}/cache/16")
    return sorted(path.name for path in folder.iterdir())


def test_what_a_setting_does_not_change_is_not_built_again(
    workbench: Workbench, import_images: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported = import_images(IMAGE)
    grey = arrays(workbench, imported)

    def fail(*_: object) -> None:
        raise AssertionError("a mask was read")

    with monkeypatch.context() as patched:
        patched.setattr(cache, "read_index_png", fail)
        colored = arrays(workbench, imported, color="rgb")
    assert (colored.mask(0) == grey.mask(0)).all()
    monkeypatch.setattr(cache, "stored_image", fail)
    with_borders = arrays(workbench, imported, color="rgb", border_sigma_px=5.0)
    assert (with_borders.image(0) == colored.image(0)).all()
    assert file_names(workbench, imported) == [
        "borders-5.0.npy", "images-1.npy", "images-3.npy", "masks.npy",
    ]  # fmt: skip


def test_two_that_build_the_same_cache_at_once_both_succeed(
    workbench: Workbench, import_images: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported = import_images(*[IMAGE] * 4, IMAGE[::-1].copy())
    build, both_found_nothing = cache._build, Barrier(2, timeout=30)

    def build_together(*args: object) -> None:
        both_found_nothing.wait()
        build(*args)

    monkeypatch.setattr(cache, "_build", build_together)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: arrays(workbench, imported), range(2))
    assert (first.images == second.images).all() and (first.masks == second.masks).all()
    assert (first.image(4) != first.image(3)).any()
    assert file_names(workbench, imported) == ["images-1.npy", "masks.npy"]


def test_memory_does_not_grow_with_the_number_of_samples(
    workbench: Workbench, import_images: Import
) -> None:
    dataset, samples = import_images(COLOR)

    def peak_bytes(num_samples: int) -> int:
        many = [replace(samples[0], position=position) for position in range(num_samples)]
        tracemalloc.start()
        arrays(workbench, (dataset, many))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    peak_bytes(1)
    # Beside the pixels, eight bytes for each of height, width and place.
    grown = peak_bytes(600) - peak_bytes(100)
    assert grown < 500 * 16 * 16


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def halved(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def other_shape(path: Path) -> None:
    np.save(path, np.zeros((1, 2), np.uint8))


def other_type(path: Path) -> None:
    array = np.load(path)
    np.save(path, array.astype(np.int16))


def garbage(path: Path) -> None:
    path.write_bytes(b"garbage")


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def removed(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("name", ["images-1.npy", "masks.npy", "borders-5.0.npy"])
@pytest.mark.parametrize("damage", [cut, other_shape, other_type, garbage, emptied, removed])
def test_a_damaged_cache_is_built_again(
    workbench: Workbench, import_images: Import, name: str, damage: Callable[[Path], None]
) -> None:
    imported = import_images(IMAGE)
    good = arrays(workbench, imported, border_sigma_px=5.0)
    assert good.borders is not None
    images, masks, borders = np.array(good.images), np.array(good.masks), np.array(good.borders)
    del good
    damage(workbench.files.path(f"datasets/{imported[0].id}/cache/16/{name}"))
    again = arrays(workbench, imported, border_sigma_px=5.0)
    assert (again.images == images).all() and (again.masks == masks).all()
    assert again.borders is not None and (again.borders == borders).all()


@pytest.mark.parametrize("folder", ["images", "masks"])
@pytest.mark.parametrize("damage", [halved, garbage, removed])
def test_a_damaged_dataset_is_named_and_leaves_no_cache(
    workbench: Workbench, import_images: Import, folder: str, damage: Callable[[Path], None]
) -> None:
    imported = import_images(IMAGE, IMAGE)
    dataset, samples = imported
    damage(workbench.files.path(f"datasets/{dataset.id}/{folder}/000001.png"))
    with pytest.raises(BadData, match=r"000001\.png"):
        arrays(workbench, imported)
    with pytest.raises(BadData, match=r"000001\.png"):
        load_pair(workbench.files, dataset, samples[1])
    assert file_names(workbench, imported) == []


@pytest.mark.parametrize("folder", ["images", "masks"])
@pytest.mark.parametrize("view", ["resized", "patches"])
def test_a_file_of_another_size_is_named_and_leaves_no_cache(
    workbench: Workbench, import_images: Import, folder: str, view: str
) -> None:
    imported = import_images(IMAGE, IMAGE)
    path = workbench.files.path(f"datasets/{imported[0].id}/{folder}/000001.png")
    with Image.open(path) as picture:
        picture.crop((0, 0, 63, 32)).save(path)
    with pytest.raises(BadData, match=r"000001\.png has 63 × 32 pixels.* wrote 64 × 32"):
        arrays(workbench, imported, view=view)
    cache_folder = workbench.files.path(f"datasets/{imported[0].id}/cache")
    assert [path for path in cache_folder.rglob("*") if path.is_file()] == []


def test_a_full_disk_is_said_and_leaves_no_cache(
    workbench: Workbench, import_images: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    imported = import_images(IMAGE)
    monkeypatch.setattr(cache._Store, "write", fail)
    with pytest.raises(DiskFull, match="No space left"):
        arrays(workbench, imported)
    assert file_names(workbench, imported) == []


def test_a_pair_is_loaded_at_its_own_size_with_the_datasets_channels(
    workbench: Workbench, import_images: Import
) -> None:
    dataset, samples = import_images(IMAGE, COLOR)
    image, mask = load_pair(workbench.files, dataset, samples[0])
    assert image.shape == (32, 64, 3) and (image == IMAGE[..., np.newaxis]).all()
    assert (mask == MASK).all() and mask.dtype == np.uint8
    assert (load_pair(workbench.files, dataset, samples[1])[0] == COLOR).all()
    dataset, samples = import_images(IMAGE)
    assert load_pair(workbench.files, dataset, samples[0])[0].shape == (32, 64, 1)
