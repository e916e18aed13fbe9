"""The toy dataset: repeatable, importable, and not too easy to tell."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.datasets.importer import import_dataset
from engine.datasets.toy import write_toy_zip
from engine.store import datasets
from engine.workbench import Workbench


def pixels(path: Path, name: str) -> np.ndarray:
    with zipfile.ZipFile(path) as archive, Image.open(io.BytesIO(archive.read(name))) as image:
        return np.array(image)


def test_equal_arguments_give_equal_bytes(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        write_toy_zip(tmp_path / name, num_samples=3, size_px=32, seed=seed)
    contents = [(tmp_path / name).read_bytes() for name in "abc"]
    assert contents[0] == contents[1] != contents[2]


@pytest.mark.parametrize(
    ("rectangles", "names"),
    [(True, ["background", "class 1", "class 2"]), (False, ["background", "foreground"])],
)
def test_it_imports_without_a_remark(
    workbench: Workbench, tmp_path: Path, rectangles: bool, names: list[str]
) -> None:
    write_toy_zip(tmp_path / "toy.zip", rectangles=rectangles)
    dataset = import_dataset(workbench, tmp_path / "toy.zip", name="toy", actor="ada")
    assert (dataset.num_samples, dataset.num_channels) == (40, 1)
    assert [entry.name for entry in dataset.classes] == names
    report = datasets.report(workbench.database, dataset.id)
    assert report["warnings"] == []
    assert min(report["class_share"]) > 0.03


def test_without_noise_every_class_has_its_own_grey_levels(tmp_path: Path) -> None:
    write_toy_zip(tmp_path / "toy.zip", num_samples=5, noise_sigma=0)
    image = np.concatenate([pixels(tmp_path / "toy.zip", f"images/00{n}.png") for n in range(5)])
    mask = np.concatenate([pixels(tmp_path / "toy.zip", f"masks/00{n}.png") for n in range(5)])
    assert (image[mask == 0] == 60).all()
    assert (image[mask == 1] >= 100).all() and (image[mask == 1] <= 150).all()
    assert (image[mask == 2] >= 170).all()


def test_noise_has_the_given_strength_in_every_channel(tmp_path: Path) -> None:
    write_toy_zip(tmp_path / "toy.zip", num_samples=1, color=True, noise_sigma=10)
    image, mask = (pixels(tmp_path / "toy.zip", f"{kind}/000.png") for kind in ("images", "masks"))
    background = image[mask == 0].astype(float)
    assert background.shape[1] == 3
    assert background.std(axis=0) == pytest.approx([10, 10, 10], rel=0.05)
    assert abs(np.corrcoef(background.T)[0, 1]) < 0.05
