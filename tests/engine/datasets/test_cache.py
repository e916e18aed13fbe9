"""Arrays for training: right pixels, built once, rebuilt when broken."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.config import ImageConfig
from engine.datasets import cache
from engine.datasets.cache import Arrays, load_pair, training_arrays
from engine.datasets.importer import import_dataset
from engine.errors import BadData, Refused
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
    def import_images(*images: np.ndarray) -> tuple[Dataset, list[Sample]]:
        members = {}
        for number, image in enumerate(images):
            members[f"images/{number}.png"] = encode(image)
            members[f"masks/{number}.png"] = encode(MASK)
        dataset = import_dataset(workbench, make_zip(members), name="d", actor="ada")
        return dataset, datasets.samples(workbench.database, dataset.id)

    return import_images


Import = Callable[..., tuple[Dataset, list[Sample]]]


def arrays(
    workbench: Workbench, imported: tuple[Dataset, list[Sample]], color: str = "dataset"
) -> Arrays:
    config = ImageConfig(image_size_px=16, color=color)
    return training_arrays(workbench.files, *imported, config)


def test_images_are_smoothed_and_masks_are_not(workbench: Workbench, import_images: Import) -> None:
    found = arrays(workbench, import_images(IMAGE, IMAGE[::-1].copy()))
    assert found.images.shape == (2, 16, 16, 1) and found.images.dtype == np.uint8
    assert found.masks.shape == (2, 16, 16) and found.masks.dtype == np.uint8
    expected = Image.fromarray(IMAGE).resize((16, 16), Image.Resampling.BILINEAR)
    assert (found.images[0, ..., 0] == np.asarray(expected)).all()
    # Quarters keep their class; the pixels of class 2 fall between the samples.
    quarter = np.ones((8, 8), np.uint8)
    expected_mask = np.block([[0 * quarter, quarter], [quarter, 255 * quarter]])
    assert (found.masks[1] == expected_mask).all()


@pytest.mark.parametrize(
    ("color", "channels"), [("dataset", (1, 3)), ("rgb", (3, 3)), ("grey", (1, 1))]
)
def test_colours_follow_the_config(
    workbench: Workbench, import_images: Import, color: str, channels: tuple[int, int]
) -> None:
    grey = arrays(workbench, import_images(IMAGE), color).images
    mixed = arrays(workbench, import_images(IMAGE, COLOR), color).images
    assert (grey.shape[-1], mixed.shape[-1]) == channels
    assert (grey == grey[..., :1]).all() and (mixed[0] == mixed[0, ..., :1]).all()
    if channels[1] == 3:
        expected = Image.fromarray(COLOR).resize((16, 16), Image.Resampling.BILINEAR)
        assert (mixed[1] == np.asarray(expected)).all()


def test_arrays_are_built_once_and_read_only(
    workbench: Workbench, import_images: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported = import_images(IMAGE, IMAGE)
    shares: list[float] = []
    config = ImageConfig(image_size_px=16)
    first = training_arrays(workbench.files, *imported, config, progress=shares.append)
    assert shares == [0.5, 1.0]
    second = training_arrays(workbench.files, *imported, config, progress=shares.append)
    assert shares == [0.5, 1.0]
    assert (first.images == second.images).all()
    assert isinstance(second.images, np.memmap) and isinstance(second.masks, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        second.images[0] = 0
    folder = workbench.files.path(f"datasets/{imported[0].id}/cache/16-1")
    assert sorted(path.name for path in folder.iterdir()) == ["images.npy", "masks.npy"]


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


@pytest.mark.parametrize("name", ["images.npy", "masks.npy"])
@pytest.mark.parametrize("damage", [cut, other_shape, other_type, garbage, emptied, removed])
def test_a_damaged_cache_is_built_again(
    workbench: Workbench, import_images: Import, name: str, damage: Callable[[Path], None]
) -> None:
    imported = import_images(IMAGE)
    good = arrays(workbench, imported)
    images, masks = np.array(good.images), np.array(good.masks)
    damage(workbench.files.path(f"datasets/{imported[0].id}/cache/16-1/{name}"))
    again = arrays(workbench, imported)
    assert (again.images == images).all() and (again.masks == masks).all()


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
    cache_folder = workbench.files.path(f"datasets/{dataset.id}/cache/16-1")
    assert list(cache_folder.iterdir()) == []


def test_a_full_disk_is_said_and_leaves_no_cache(
    workbench: Workbench, import_images: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    imported = import_images(IMAGE)
    monkeypatch.setattr(cache, "_write_header", fail)
    with pytest.raises(Refused, match="No space left"):
        arrays(workbench, imported)
    folder = workbench.files.path(f"datasets/{imported[0].id}/cache/16-1")
    assert list(folder.iterdir()) == []


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
