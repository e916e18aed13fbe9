"""A home with a dataset of odd sizes, on which every job can work."""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import pytest
import torch
from PIL import Image

from engine.pictures.masks import index_png
from engine.store import datasets
from engine.store.database import new_id
from engine.store.datasets import ClassEntry, Sample
from engine.workbench import Workbench

COLORS = ("#000000", "#e69f00", "#0072b2", "#009e73")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small are slowed down by more threads than one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def add_dataset(workbench: Workbench) -> Callable[..., str]:
    """`add_dataset([(33, 47), (20, 30)], num_classes=2)`: a dataset with images of these sizes.

    Sizes are (height, width); a corner of every mask is ignored.
    """

    def add(
        sizes: Sequence[tuple[int, int]] = ((33, 47),) * 6,
        num_classes: int = 2,
        name: str = "odd sizes",
        twins: Mapping[int, int] | None = None,
    ) -> str:
        dataset_id = new_id()
        generator = np.random.default_rng(0)
        samples = []
        for position, (height, width) in enumerate(sizes):
            mask = np.zeros((height, width), np.uint8)
            for index in range(1, num_classes):
                top, left = generator.integers(0, (height // 2, width // 2))
                mask[top : top + height // 2, left : left + width // 3] = index
            image = (60 + 50 * mask + generator.integers(0, 40, mask.shape)).astype(np.uint8)
            mask[:3, :5] = 255
            stem = f"{position:06d}.png"
            folder = f"datasets/{dataset_id}"
            with workbench.files.writing(f"{folder}/images/{stem}") as path:
                path.write_bytes(png(image))
            with workbench.files.writing(f"{folder}/masks/{stem}") as path:
                path.write_bytes(index_png(mask, COLORS[:num_classes], [0]))
            samples.append(
                Sample(
                    position=position,
                    name=f"s{position}",
                    image_file=stem,
                    mask_file=stem,
                    width=width,
                    height=height,
                    class_pixels=tuple(int((mask == k).sum()) for k in range(num_classes)),
                    twins=(twins or {}).get(position),
                    split="val" if position == 1 else "test" if position == 2 else "train",
                )
            )
        datasets.add(
            workbench.database,
            dataset_id=dataset_id,
            name=name,
            content_hash="0" * 64,
            num_channels=1,
            classes=[
                ClassEntry(
                    index=k, name=f"c{k}", color=COLORS[k], background=k == 0, source_value=k
                )
                for k in range(num_classes)
            ],
            samples=samples,
            report={"warnings": []},
            actor="ann",
        )
        return dataset_id

    return add


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
