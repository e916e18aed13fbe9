"""From archive to dataset, and nothing left of what fails on the way."""

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from engine.datasets import importer, sample_writer
from engine.datasets.importer import import_dataset
from engine.datasets.plan import ImagePlan, ImportPlan, parse_plan
from engine.datasets.quality.findings import Finding
from engine.errors import BadArchive, BadData, BadInput, Refused, Stopped, WorkbenchError
from engine.notes import Note
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


def report_of(workbench: Workbench, dataset: Dataset) -> dict[str, Any]:
    return datasets.report(workbench.database, dataset.id)


def sentences(records: list[dict[str, Any]]) -> list[str]:
    return [str(Note.from_record(record)) for record in records]


def findings(report: dict[str, Any], key: str) -> list[Finding]:
    return [Finding.from_record(each) for each in report["findings"] if each["key"] == key]


def skipped(report: dict[str, Any]) -> dict[str, str]:
    """Why files were skipped, by name."""
    return {each["name"]: str(Note.from_record(each["reason"])) for each in report["skipped"]}


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
    report = report_of(workbench, dataset)
    assert report["pairs"] == 11
    assert report["sizes"] == {"8×6": 11}
    assert report["class_share"] == [0.5, 0.5]
    assert report["skipped"] == []
    assert {sample.split for sample in samples} == {"train", "val", "test"}
    assert sum(report["split_sizes"].values()) == 11


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
    same = "The dataset “cells” holds exactly the same samples."
    assert same in sentences(report_of(workbench, second)["warnings"])
    assert same not in sentences(report_of(workbench, first)["warnings"])


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
    assert any("255" in text for text in sentences(report_of(workbench, dataset)["notes"]))


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
    with Image.open(stored(workbench, dataset, "thumbs/000001.mask.png")) as mask:
        assert mask.mode == "P" and mask.size == (192, 48)


def test_what_was_left_out_is_reported(
    workbench: Workbench, make_zip: MakeZip, pairs: Pairs
) -> None:
    members = pairs(2)
    members |= {"images/9.png": members["images/0.png"], "notes.txt": b"hello"}
    members |= {"__MACOSX/images/._0.png": b"x"}
    report = report_of(workbench, import_zip(workbench, make_zip(members)))
    assert report["unmatched"] == ["images/9.png"]
    assert report["ignored"] == 1
    assert list(skipped(report)) == ["__MACOSX/images/._0.png"]
    assert any("only 2 samples" in text for text in sentences(report["warnings"]))


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


@pytest.mark.parametrize("name", ["masks/1.png", "images/1.png"])
def test_file_that_is_damaged_in_the_archive_is_skipped_and_named(
    workbench: Workbench, make_zip: MakeZip, pairs: Pairs, tmp_path: Path, name: str
) -> None:
    # A damaged byte inside a mask is met by the first pass, inside an image by the second.
    data = bytearray(make_zip(pairs(4)).read_bytes())
    data[data.index(name.encode()) + len(name) + 20] ^= 0xFF
    (tmp_path / "damaged.zip").write_bytes(data)
    dataset = import_zip(workbench, tmp_path / "damaged.zip")
    samples = datasets.samples(workbench.database, dataset.id)
    assert [sample.name for sample in samples] == ["images/0", "images/2", "images/3"]
    assert list(skipped(report_of(workbench, dataset))) == [name]


def off_by_one_row(pairs: Pairs, encode: Encode) -> dict[str, bytes]:
    """Four pairs; the mask of the second is one row taller than its image."""
    members = pairs(4, shape=(60, 80))
    mask = (np.indices((61, 80)).sum(0) % 2 * 255).astype(np.uint8)
    return members | {"masks/1.png": encode(mask)}


@pytest.mark.parametrize(("choice", "size"), [("crop", (60, 80)), ("resize", (60, 80))])
def test_mask_one_row_off_is_cropped_or_resized_and_named(
    workbench: Workbench,
    make_zip: MakeZip,
    pairs: Pairs,
    encode: Encode,
    choice: Any,
    size: tuple[int, int],
) -> None:
    plan = ImportPlan(images=ImagePlan(on_size_mismatch=choice))
    dataset = import_zip(workbench, make_zip(off_by_one_row(pairs, encode)), plan=plan)
    sample = datasets.samples(workbench.database, dataset.id)[1]
    assert (sample.height, sample.width) == size
    mask = read_index_png(stored(workbench, dataset, f"masks/{sample.mask_file}"))
    assert mask.shape == size
    [finding] = findings(report_of(workbench, dataset), "changed")
    said = str(finding.note)
    assert finding.samples == (1,)
    assert "masks/1.png" in said and "80×61" in said
    assert ("resized" in said) == (choice == "resize")


def test_mask_one_row_off_is_left_out_when_the_plan_says_so(
    workbench: Workbench, make_zip: MakeZip, pairs: Pairs, encode: Encode
) -> None:
    plan = ImportPlan(images=ImagePlan(on_size_mismatch="skip"))
    dataset = import_zip(workbench, make_zip(off_by_one_row(pairs, encode)), plan=plan)
    assert dataset.num_samples == 3
    [(name, reason)] = skipped(report_of(workbench, dataset)).items()
    assert name == "images/1.png" and "80×60" in reason and "80×61" in reason


def test_mask_that_is_much_larger_than_its_image_is_never_cropped(
    workbench: Workbench, make_zip: MakeZip, pairs: Pairs, encode: Encode
) -> None:
    members = pairs(3) | {"masks/1.png": encode(np.eye(40, dtype=np.uint8))}
    dataset = import_zip(workbench, make_zip(members))
    assert dataset.num_samples == 2
    message = skipped(report_of(workbench, dataset))["images/1.png"]
    assert "“images/1.png” has 8×6 pixels" in message
    assert "“masks/1.png” has 40×40" in message


@pytest.mark.parametrize("folder", ["images", "masks"])
def test_gaps_of_skipped_samples_are_closed(
    workbench: Workbench, make_zip: MakeZip, pairs: Pairs, folder: str
) -> None:
    members = pairs(9)
    for number in range(1, 7):
        members[f"{folder}/{number}.png"] = members[f"{folder}/{number}.png"][:50]
    dataset = import_zip(workbench, make_zip(members))
    samples = datasets.samples(workbench.database, dataset.id)
    assert [sample.name for sample in samples] == ["images/0", "images/7", "images/8"]
    assert [sample.mask_file for sample in samples] == ["000000.png", "000001.png", "000002.png"]
    for kind, num_each in (("images", 1), ("masks", 1), ("thumbs", 2)):
        assert len(list(stored(workbench, dataset, kind).iterdir())) == 3 * num_each
    kept = stored(workbench, dataset, f"images/{samples[1].image_file}").read_bytes()
    assert kept == members["images/7.png"]
    assert len(skipped(report_of(workbench, dataset))) == 6


def test_nothing_is_imported_when_no_pair_can_be_read(
    workbench: Workbench, make_zip: MakeZip, pairs: Pairs
) -> None:
    members = {name: data[:50] for name, data in pairs(7).items()}
    message = str(failure(workbench, make_zip(members)))
    assert message.startswith("None of the 7 pairs can be")


def test_masks_without_classes_leave_nothing(
    workbench: Workbench, make_zip: MakeZip, pairs: Pairs
) -> None:
    assert "only the value 0" in str(failure(workbench, make_zip(pairs(3, values=(0,)))))


def test_pages_of_a_stack_are_samples(
    workbench: Workbench, make_zip: MakeZip, encode: Encode
) -> None:
    def stack(values: np.ndarray) -> bytes:
        pages = [Image.fromarray(page) for page in values]
        return encode(pages[0], "TIFF", save_all=True, append_images=pages[1:])

    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (12, 16, 20), np.uint8)
    masks = (images > 128).astype(np.uint8)
    dataset = import_zip(
        workbench, make_zip({"images/s.tif": stack(images), "masks/s.tif": stack(masks)})
    )
    samples = datasets.samples(workbench.database, dataset.id)
    assert [sample.name for sample in samples[:2]] == ["images/s#01", "images/s#02"]
    assert len(samples) == 12
    mask = read_index_png(stored(workbench, dataset, "masks/000011.png"))
    assert (mask == masks[11]).all()


def tiff(values: np.ndarray, **options: Any) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, values, **options)
    return file.getvalue()


def test_stacks_with_a_single_mask_are_refused_with_the_numbers_of_pages(
    workbench: Workbench, make_zip: MakeZip, encode: Encode
) -> None:
    generator = np.random.default_rng(0)
    members = {}
    for number in range(3):
        stack = generator.integers(0, 256, (5, 16, 20), np.uint8)
        members[f"images/{number}.tif"] = tiff(stack, photometric="minisblack")
        members[f"masks/{number}.png"] = encode((stack[0] > 128).astype(np.uint8))
    message = str(failure(workbench, make_zip(members)))
    assert message.startswith("None of the 3 pairs can be used")
    assert "has 5 pages, but its mask “masks/0.png” has 1" in message


def test_channels_that_are_left_out_are_named_and_others_can_be_chosen(
    workbench: Workbench, make_zip: MakeZip, encode: Encode
) -> None:
    generator = np.random.default_rng(0)
    members = {}
    for number in range(4):
        channels = generator.integers(0, 256, (16, 20, 5), np.uint8)
        members[f"images/{number}.tif"] = tiff(
            channels, photometric="minisblack", planarconfig="contig"
        )
        members[f"masks/{number}.png"] = encode((channels[..., 0] > 128).astype(np.uint8))
    path = make_zip(members)
    first_three = import_zip(workbench, path)
    [finding] = findings(report_of(workbench, first_three), "changed")
    assert "5 channels; the first three were kept" in str(finding.note)
    assert finding.samples == (0, 1, 2, 3)
    chosen = import_zip(workbench, path, plan=ImportPlan(images=ImagePlan(channels=(4,))))
    assert findings(report_of(workbench, chosen), "changed") == []
    assert (first_three.num_channels, chosen.num_channels) == (3, 1)
    assert first_three.content_hash != chosen.content_hash


def test_what_was_proposed_is_not_reported_of_masks_that_were_read_in_another_way(
    workbench: Workbench, make_zip: MakeZip, encode: Encode
) -> None:
    members = {}
    for number in range(6):
        image = np.random.default_rng(number).integers(0, 256, (64, 64), np.uint8)
        y, x = np.ogrid[:64, :64]
        mask = (237 * ((y - 32) ** 2 + (x - 20 - number) ** 2 < 200)).astype(np.uint8)
        members[f"images/{number}.png"] = encode(image)
        members[f"masks/{number}.jpg"] = encode(mask, "JPEG")
    path = make_zip(members)
    proposed = import_zip(workbench, path)
    assert proposed.plan is not None and proposed.plan["masks"]["meaning"] == "threshold"
    notes = sentences(report_of(workbench, proposed)["notes"])
    assert any("taken as foreground" in note for note in notes)
    masks = dict(proposed.plan["masks"]) | {"threshold": 33}
    other = import_zip(workbench, path, plan=parse_plan(proposed.plan | {"masks": masks}))
    assert report_of(workbench, other)["notes"] == []


def test_masks_of_instances_are_merged_and_counted(
    workbench: Workbench, make_zip: MakeZip, encode: Encode
) -> None:
    members = {}
    for number in range(3):
        image = np.full((16, 16), 10 * number, np.uint8)
        image[2:4, 2:4] = 200
        members[f"all/s{number}/images/s{number}.png"] = encode(image)
        for instance in range(number + 1):
            mask = np.zeros((16, 16), np.uint8)
            mask[4 * instance : 4 * instance + 2, 1:5] = 255
            members[f"all/s{number}/masks/{instance}abc.png"] = encode(mask)
    dataset = import_zip(workbench, make_zip(members))
    samples = datasets.samples(workbench.database, dataset.id)
    assert [sample.facts["num_instances"] for sample in samples] == [1, 2, 3]
    assert [sample.class_pixels for sample in samples] == [(248, 8), (240, 16), (232, 24)]


def test_folders_of_a_split_are_kept_as_the_split(
    workbench: Workbench, make_zip: MakeZip, pairs: Pairs
) -> None:
    members = {}
    for name, data in pairs(9).items():
        part = ("train", "val", "test")[int(name.split("/")[1][0]) % 3]
        members[f"{part}/{name}"] = data
    dataset = import_zip(workbench, make_zip(members))
    for sample in datasets.samples(workbench.database, dataset.id):
        assert sample.split == sample.name.split("/")[0]


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

    monkeypatch.setattr(sample_writer, "thumbnail_webp", fail)
    error = failure(workbench, make_zip(pairs(2)))
    assert isinstance(error, Refused) and "No space left on device" in str(error)


def test_mask_that_changes_during_the_import_is_skipped_and_named(
    workbench: Workbench, pairs: Pairs, tmp_path: Path, encode: Encode
) -> None:
    for name, data in pairs(3).items():
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).write_bytes(data)

    def change_between_the_passes(phase: str, share: float) -> None:
        if phase == "writing":
            return
        if share >= importer.READING_SHARE:
            mask = tmp_path / "set" / "masks" / "2.png"
            mask.write_bytes(encode(np.full((6, 8), 77, np.uint8)))

    changed = tmp_path / "set"
    dataset = import_zip(workbench, changed, progress=change_between_the_passes)
    assert dataset.num_samples == 2
    assert "77" in skipped(report_of(workbench, dataset))["images/2.png"]


def test_the_archive_itself_is_not_touched(
    workbench: Workbench, make_zip: MakeZip, pairs: Pairs
) -> None:
    path = make_zip(pairs(2))
    before = hashlib.sha256(path.read_bytes()).digest()
    import_zip(workbench, path)
    assert hashlib.sha256(path.read_bytes()).digest() == before
