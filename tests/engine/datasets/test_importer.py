"""From archive to dataset, and nothing left of what fails on the way."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from engine.datasets import importer
from engine.datasets.importer import import_dataset
from engine.datasets.report import render_warning
from engine.errors import BadArchive, BadData, BadInput, Refused, Stopped, WorkbenchError
from engine.pictures.masks import read_index_png
from engine.store import datasets
from engine.store.datasets import Dataset
from engine.workbench import Workbench

Encode = Callable[..., bytes]
MakeZip = Callable[..., Path]
Pairs = Callable[..., dict[str, bytes]]


def import_zip(workbench: Workbench, path: Path, **options: Any) -> Dataset:
    return import_dataset(workbench, path, name="cells", actor="ada", **options)


def stored(workbench: Workbench, dataset: Dataset, file: str) -> Path:
    return workbench.files.path(f"datasets/{dataset.id}/{file}")


def assert_nothing_is_left(workbench: Workbench) -> None:
    folder = workbench.files.path("datasets")
    assert not folder.exists() or list(folder.iterdir()) == []
    assert datasets.all_newest_first(workbench.database) == []


def failure(workbench: Workbench, path: Path, **options: Any) -> WorkbenchError:
    """What an import fails with, leaving nothing behind."""
    with pytest.raises(WorkbenchError) as caught:
        import_zip(workbench, path, **options)
    assert_nothing_is_left(workbench)
    return caught.value


def test_a_dataset_holds_the_samples_in_natural_order(
    workbench: Workbench, make_zip: MakeZip, pairs: Pairs
) -> None:
    dataset = import_zip(workbench, make_zip(pairs(11)))
    samples = datasets.samples(workbench.database, dataset.id)
    assert [sample.name for sample in samples] == [f"images/{number}" for number in range(11)]
    assert [sample.position for sample in samples] == list(range(11))
    assert {(sample.width, sample.height) for sample in samples} == {(8, 6)}
    assert {sample.class_pixels for sample in samples} == {(24, 24)}
    assert samples[10].image_file == samples[10].mask_file == "000010.png"
    assert (dataset.name, dataset.actor, dataset.num_samples) == ("cells", "ada", 11)
    assert dataset.num_channels == 1
    assert [entry.name for entry in dataset.classes] == ["background", "foreground"]
    assert dataset.report["pairs"] == 11
    assert dataset.report["sizes"] == {"8×6": 11}
    assert dataset.report["class_share"] == [0.5, 0.5]
    assert dataset.report["warnings"] == []


def test_a_folder_and_its_zip_have_the_same_content_hash(
    workbench: Workbench, make_zip: MakeZip, pairs: Pairs, tmp_path: Path
) -> None:
    members = pairs(3)
    for name, data in members.items():
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).write_bytes(data)
    first = import_zip(workbench, make_zip(members))
    second = import_zip(workbench, tmp_path / "set")
    assert first.content_hash == second.content_hash
    assert len(first.content_hash) == 64
    sentences = [render_warning(warning) for warning in second.report["warnings"]]
    assert "The dataset “cells” holds exactly the same samples." in sentences
    assert len(first.report["warnings"]) == len(sentences) - 1


def test_the_content_hash_sees_pixels_names_and_classes(
    workbench: Workbench, make_zip: MakeZip, pairs: Pairs, encode: Encode
) -> None:
    variants = [pairs(2), pairs(2, values=(0, 1)), pairs(2), pairs(2)]
    variants[2]["images/0.png"] = encode(np.zeros((6, 8), np.uint8))
    for folder in ("images", "masks"):
        variants[3][f"{folder}/7.png"] = variants[3].pop(f"{folder}/1.png")
    hashes = [import_zip(workbench, make_zip(members)).content_hash for members in variants]
    assert len(set(hashes)) == 4


def test_masks_are_stored_as_transparent_index_pngs(
    workbench: Workbench, make_zip: MakeZip, pairs: Pairs, encode: Encode
) -> None:
    members = pairs(2, values=(0, 3, 9))
    values = np.array([[0, 3, 9, 255]] * 2, np.uint8)
    members["images/0.png"], members["masks/0.png"] = encode(values), encode(values)
    dataset = import_zip(workbench, make_zip(members))
    path = stored(workbench, dataset, "masks/000000.png")
    assert read_index_png(path).tolist() == [[0, 1, 2, 255]] * 2
    with Image.open(path) as image:
        shown = np.asarray(image.convert("RGBA"))[0].tolist()
    colors = [[*bytes.fromhex(entry.color[1:])] for entry in dataset.classes]
    assert shown[0] == [0, 0, 0, 0]
    assert shown[1] == [*colors[1], 255] and shown[2] == [*colors[2], 255]
    assert shown[3] == [128, 128, 128, 0]
    assert [sample.class_pixels for sample in datasets.samples(workbench.database, dataset.id)] == [
        (2, 2, 2),
        (16, 16, 16),
    ]
    assert "“does not count”" in render_warning(dataset.report["warnings"][0])


def test_viewable_images_are_kept_byte_for_byte_and_others_become_png(
    workbench: Workbench, make_zip: MakeZip, pairs: Pairs, encode: Encode
) -> None:
    members = pairs(2)
    color = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    mask = members["masks/0.png"]
    members |= {"images/2.jpg": encode(color, "JPEG"), "masks/2.png": mask}
    members |= {"images/3.tif": encode(color, "TIFF"), "masks/3.png": mask}
    members |= {"images/4.png": encode(color) + b"hidden", "masks/4.png": mask}
    dataset = import_zip(workbench, make_zip(members))
    assert dataset.num_channels == 3
    files = [sample.image_file for sample in datasets.samples(workbench.database, dataset.id)]
    assert files == ["000000.png", "000001.png", "000002.jpg", "000003.png", "000004.png"]
    for number, name in ((0, "images/0.png"), (2, "images/2.jpg")):
        kept = stored(workbench, dataset, f"images/{files[number]}").read_bytes()
        assert kept == members[name]
    for number in (3, 4):
        with Image.open(stored(workbench, dataset, f"images/{files[number]}")) as image:
            assert image.format == "PNG" and (np.asarray(image) == color).all()
    assert b"hidden" not in stored(workbench, dataset, "images/000004.png").read_bytes()


def test_thumbnails_are_small_webp_pictures(
    workbench: Workbench, make_zip: MakeZip, pairs: Pairs
) -> None:
    dataset = import_zip(workbench, make_zip(pairs(2, shape=(100, 400))))
    with Image.open(stored(workbench, dataset, "thumbs/000001.webp")) as image:
        assert image.format == "WEBP" and image.size == (192, 48)


def test_what_was_left_out_is_reported(
    workbench: Workbench, make_zip: MakeZip, pairs: Pairs
) -> None:
    members = pairs(2)
    members |= {"images/9.png": members["images/0.png"], "notes.txt": b"hello"}
    report = import_zip(workbench, make_zip(members)).report
    assert report["unmatched"] == ["images/9.png"]
    assert report["ignored"] == 1
    sentences = [render_warning(warning) for warning in report["warnings"]]
    assert any("1 pictures have no partner" in sentence for sentence in sentences)
    assert any("only 2 samples" in sentence for sentence in sentences)


def test_progress_only_grows_and_names_the_phases(
    workbench: Workbench, make_zip: MakeZip, pairs: Pairs
) -> None:
    calls: list[tuple[str, float]] = []
    import_zip(workbench, make_zip(pairs(4)), progress=lambda *call: calls.append(call))
    assert [phase for phase, _ in calls] == ["reading"] * 4 + ["writing"] * 4
    shares = [share for _, share in calls]
    assert shares == sorted(shares) and shares[-1] == 1.0


def test_unreadable_archives_leave_nothing(
    workbench: Workbench, make_zip: MakeZip, pairs: Pairs, tmp_path: Path
) -> None:
    assert isinstance(failure(workbench, tmp_path / "nothing.zip"), BadArchive)
    assert isinstance(failure(workbench, make_zip({})), BadArchive)
    assert isinstance(failure(workbench, make_zip({"../a.png": b"x"})), BadArchive)
    assert isinstance(failure(workbench, make_zip({"a.png": b"x"})), BadData)
    whole = make_zip(pairs(3)).read_bytes()
    # A damaged byte inside a mask is met by the first pass, inside an image by the second.
    for name in (b"masks/1.png", b"images/1.png"):
        data = bytearray(whole)
        data[data.index(name) + len(name) + 20] ^= 0xFF
        (tmp_path / "damaged.zip").write_bytes(data)
        error = failure(workbench, tmp_path / "damaged.zip")
        assert isinstance(error, BadArchive) and name.decode() in str(error)


def test_images_and_masks_of_different_sizes_are_named_with_their_sizes(
    workbench: Workbench, make_zip: MakeZip, pairs: Pairs, encode: Encode
) -> None:
    members = pairs(3)
    members["masks/1.png"] = encode(np.eye(8, dtype=np.uint8))
    message = str(failure(workbench, make_zip(members)))
    assert "“images/1.png” has 8×6 pixels" in message
    assert "“masks/1.png” has 8×8" in message


@pytest.mark.parametrize("folder", ["images", "masks"])
def test_files_that_cannot_be_used_are_named_and_counted(
    workbench: Workbench, make_zip: MakeZip, pairs: Pairs, folder: str
) -> None:
    members = pairs(9)
    for number in range(1, 8):
        members[f"{folder}/{number}.png"] = members[f"{folder}/{number}.png"][:50]
    message = str(failure(workbench, make_zip(members)))
    assert message.startswith("7 files cannot be used")
    assert all(f"“{folder}/{number}.png”" in message for number in range(1, 6))
    assert f"“{folder}/6.png”" not in message


def test_masks_without_classes_leave_nothing(
    workbench: Workbench, make_zip: MakeZip, pairs: Pairs, encode: Encode
) -> None:
    assert "only the value 0" in str(failure(workbench, make_zip(pairs(3, values=(0,)))))
    members = pairs(3)
    members["images/1.png"] = encode(np.zeros((6, 6), np.uint8))
    members["masks/1.png"] = encode(np.arange(36, dtype=np.uint8).reshape(6, 6))
    message = str(failure(workbench, make_zip(members)))
    assert "37 different values, most of them in “masks/1.png”" in message


def test_a_name_must_be_there_and_fit(
    workbench: Workbench, make_zip: MakeZip, pairs: Pairs
) -> None:
    path = make_zip(pairs(2))
    for name in ("", "  ", "x" * 201):
        with pytest.raises(BadInput, match="1 to 200"):
            import_dataset(workbench, path, name=name, actor="ada")
    assert_nothing_is_left(workbench)


@pytest.mark.parametrize("num_answers", [0, 2, 5])
def test_a_stopped_import_leaves_nothing(
    workbench: Workbench, make_zip: MakeZip, pairs: Pairs, num_answers: int
) -> None:
    answers = iter([False] * num_answers)
    error = failure(workbench, make_zip(pairs(3)), should_stop=lambda: next(answers, True))
    assert isinstance(error, Stopped)


def test_a_failing_database_leaves_nothing(
    workbench: Workbench, make_zip: MakeZip, pairs: Pairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("no database")

    with monkeypatch.context() as patch:
        patch.setattr(datasets, "add", fail)
        with pytest.raises(RuntimeError, match="no database"):
            import_zip(workbench, make_zip(pairs(2)))
    assert_nothing_is_left(workbench)


def test_a_full_disk_leaves_nothing(
    workbench: Workbench, make_zip: MakeZip, pairs: Pairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(image: object) -> bytes:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(importer, "thumbnail_webp", fail)
    error = failure(workbench, make_zip(pairs(2)))
    assert isinstance(error, Refused) and "No space left on device" in str(error)


def test_a_folder_that_changes_during_the_import_leaves_nothing(
    workbench: Workbench, pairs: Pairs, tmp_path: Path, encode: Encode
) -> None:
    for name, data in pairs(2).items():
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).write_bytes(data)

    calls = iter(range(100))

    def change_between_the_passes(phase: str, share: float) -> None:
        if next(calls) == 1:
            mask = tmp_path / "set" / "masks" / "1.png"
            mask.write_bytes(encode(np.full((6, 8), 77, np.uint8)))

    error = failure(workbench, tmp_path / "set", progress=change_between_the_passes)
    assert "“masks/1.png” changed while it was imported" in str(error)


def test_the_archive_itself_is_not_touched(
    workbench: Workbench, make_zip: MakeZip, pairs: Pairs
) -> None:
    path = make_zip(pairs(2))
    before = hashlib.sha256(path.read_bytes()).digest()
    import_zip(workbench, path)
    assert hashlib.sha256(path.read_bytes()).digest() == before
