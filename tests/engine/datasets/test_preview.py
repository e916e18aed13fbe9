"""A preview shows what the import would store, or says why there would be nothing."""

import io
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.datasets import preview as module
from engine.datasets.archive import open_source
from engine.datasets.importer import import_dataset
from engine.datasets.inspection import inspect
from engine.datasets.pairing import Pair, choose
from engine.datasets.plan import ImagePlan, ImportPlan, PairingPlan
from engine.datasets.preview import preview, size_mismatches
from engine.pictures.masks import read_index_png
from engine.store import datasets
from engine.workbench import Workbench

Encode = Callable[..., bytes]
MakeZip = Callable[..., Path]
Pairs = Callable[..., dict[str, bytes]]


class Looked:
    """An archive that was looked into."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.source = open_source(path)
        proposal = choose(self.source.names(), PairingPlan())
        self.found = inspect(self.source, PairingPlan(), proposal)
        self.pairs = proposal.pairs

    def __enter__(self) -> "Looked":
        return self

    def __exit__(self, *_: object) -> None:
        self.source.close()

    def preview(self, position: int = 0, plan: ImportPlan | None = None, **options):
        return preview(
            self.source,
            self.pairs[position],
            self.found.headers,
            plan or self.found.plan,
            **options,
        )


LookInto = Callable[[Path], Looked]


@pytest.fixture
def look_into() -> Iterator[LookInto]:
    """Looks into an archive, which is closed afterwards."""
    with ExitStack() as opened:
        yield lambda path: opened.enter_context(Looked(path))


def pixels_of(file: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(file)) as image:
        return np.asarray(image)


def test_mask_has_the_classes_that_the_import_stores(
    look_into: LookInto, workbench: Workbench, make_zip: MakeZip, pairs: Pairs
) -> None:
    looked = look_into(make_zip(pairs(3, values=(0, 3, 9))))
    shown = looked.preview(1)
    dataset = import_dataset(workbench, looked.path, name="cells", actor="ada")
    sample = datasets.samples(workbench.database, dataset.id)[1]
    stored = read_index_png(workbench.files.path(f"datasets/{dataset.id}/masks/{sample.mask_file}"))
    assert shown.mask_png is not None and shown.image_webp is not None
    assert pixels_of(shown.mask_png).tolist() == stored.tolist()
    assert pixels_of(shown.image_webp).shape == (*stored.shape, 3)
    assert shown.note is None


def test_plan_as_it_is_edited_is_what_is_shown(
    look_into: LookInto, make_zip: MakeZip, pairs: Pairs
) -> None:
    looked = look_into(make_zip(pairs(2, values=(0, 3, 9))))
    plan = looked.found.plan
    assert plan.masks is not None
    first, second, third = plan.masks.classes
    merged = third.model_copy(update={"name": second.name, "color": second.color})
    masks = plan.masks.model_copy(update={"classes": (first, second, merged)})
    shown = looked.preview(0, plan.model_copy(update={"masks": masks}))
    assert shown.mask_png is not None
    assert set(np.unique(pixels_of(shown.mask_png))) == {0, 1}


def test_large_pictures_are_made_small_and_small_ones_are_not_enlarged(
    look_into: LookInto, make_zip: MakeZip, pairs: Pairs
) -> None:
    looked = look_into(make_zip(pairs(2, shape=(100, 200))))
    shown = looked.preview(longest_side_px=50)
    assert pixels_of(shown.image_webp).shape == (25, 50, 3)
    assert pixels_of(shown.mask_png).shape == (25, 50)
    assert pixels_of(looked.preview().mask_png).shape == (100, 200)


@pytest.fixture
def one_row_off(look_into: LookInto, make_zip: MakeZip, pairs: Pairs, encode: Encode) -> Looked:
    members = pairs(2)
    members["masks/1.png"] = encode(np.array([[0, 255]] * 7, np.uint8).repeat(4, axis=1))
    return look_into(make_zip(members))


@pytest.mark.parametrize("choice, is_shown", [("crop", True), ("resize", True), ("skip", False)])
def test_mask_of_another_size_is_named_and_treated_as_chosen(
    one_row_off: Looked, choice: str, is_shown: bool
) -> None:
    plan = one_row_off.found.plan.model_copy(update={"images": ImagePlan(on_size_mismatch=choice)})
    shown = one_row_off.preview(1, plan)
    assert shown.note is not None and "8×7" in str(shown.note)
    assert shown.image_webp is not None
    assert (shown.mask_png is not None) == is_shown
    if is_shown:
        assert pixels_of(shown.mask_png).shape == (6, 8)
    assert one_row_off.preview(0, plan).note is None


def test_mismatches_name_the_sizes_and_whether_cropping_is_enough(
    look_into: LookInto, make_zip: MakeZip, pairs: Pairs, encode: Encode
) -> None:
    members = pairs(3)
    members["masks/1.png"] = encode(np.array([[0, 255]] * 7, np.uint8).repeat(4, axis=1))
    members["masks/2.png"] = encode(np.array([[0, 255]] * 60, np.uint8).repeat(40, axis=1))
    looked = look_into(make_zip(members))
    found = size_mismatches(looked.pairs, looked.found.headers)
    assert [(each.pair.image, each.image_size, each.mask_size) for each in found] == [
        ("images/1.png", (8, 6), (8, 7)),
        ("images/2.png", (8, 6), (80, 60)),
    ]
    assert [each.is_close for each in found] == [True, False]
    unread = {name: each for name, each in looked.found.headers.items() if name != "masks/2.png"}
    assert len(size_mismatches(looked.pairs, unread)) == 1


def test_turned_image_fits_its_upright_mask(
    look_into: LookInto, make_zip: MakeZip, pairs: Pairs, encode: Encode
) -> None:
    members = pairs(2)
    exif = Image.Exif()
    exif[0x0112] = 6
    members["images/0.jpg"] = encode(np.zeros((8, 6), np.uint8), "JPEG", exif=exif.tobytes())
    del members["images/0.png"]
    looked = look_into(make_zip(members))
    assert size_mismatches(looked.pairs, looked.found.headers) == []
    shown = looked.preview(0)
    assert shown.note is None
    assert pixels_of(shown.image_webp).shape == (6, 8, 3)


def test_huge_picture_is_not_decoded_for_a_look(
    look_into: LookInto, make_zip: MakeZip, pairs: Pairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = look_into(make_zip(pairs(2)))
    name = looked.pairs[0].masks[0]
    huge = replace(looked.found.headers[name], width=10_000, height=5_000)
    monkeypatch.setattr(module, "pair_image", None)
    shown = preview(
        looked.source,
        looked.pairs[0],
        {**looked.found.headers, name: huge},
        looked.found.plan,
    )
    assert shown.image_webp is None and shown.mask_png is None
    assert shown.note is not None and name in str(shown.note) and "50 million" in str(shown.note)


def test_many_instance_masks_are_not_decoded_for_a_look(
    look_into: LookInto, make_zip: MakeZip, pairs: Pairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = look_into(make_zip(pairs(2)))
    monkeypatch.setattr(module, "MAX_PIXELS_TOGETHER", 48 * 3)
    many = replace(looked.pairs[0], masks=looked.pairs[0].masks * 3)
    shown = preview(looked.source, many, looked.found.headers, looked.found.plan)
    assert shown.image_webp is None
    assert shown.note is not None and "3 masks" in str(shown.note)


def test_mask_with_a_value_that_no_class_has_leaves_the_image_and_says_so(
    look_into: LookInto, make_zip: MakeZip, pairs: Pairs
) -> None:
    looked = look_into(make_zip(pairs(2, values=(0, 3, 9))))
    plan = looked.found.plan
    assert plan.masks is not None
    masks = plan.masks.model_copy(update={"classes": plan.masks.classes[:2]})
    shown = looked.preview(0, plan.model_copy(update={"masks": masks}))
    assert shown.image_webp is not None
    assert shown.mask_png is None
    assert shown.note is not None and "9" in str(shown.note)


def test_damaged_picture_is_told_and_raises_nothing(
    look_into: LookInto, make_zip: MakeZip, pairs: Pairs
) -> None:
    looked = look_into(make_zip(pairs(2)))
    broken = Pair("x", looked.pairs[0].image, looked.pairs[0].masks, None, page=7)
    shown = preview(looked.source, broken, looked.found.headers, looked.found.plan)
    assert shown.mask_png is None
    assert shown.note is not None
