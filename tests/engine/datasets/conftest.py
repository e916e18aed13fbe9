"""Pictures and archives made on the spot."""

import io
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def encode() -> Callable[..., bytes]:
    """`encode(array_or_image, format="PNG", **options)`: the bytes of a picture file."""

    def encode(picture: Any, format: str = "PNG", **options: Any) -> bytes:
        image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
        file = io.BytesIO()
        image.save(file, format, **options)
        return file.getvalue()

    return encode


@pytest.fixture
def make_zip(tmp_path: Path) -> Callable[..., Path]:
    """`make_zip({name: bytes})`: the path of a zip file with these members."""

    def make_zip(
        members: Mapping[str, bytes], name: str = "data.zip", method: int = zipfile.ZIP_DEFLATED
    ) -> Path:
        path = tmp_path / name
        with zipfile.ZipFile(path, "w", method) as archive:
            for member, data in members.items():
                archive.writestr(member, data)
        return path

    return make_zip


@pytest.fixture
def pairs(encode: Callable[..., bytes]) -> Callable[..., dict[str, bytes]]:
    """`pairs(3)`: members of an archive with so many grey images and binary masks, 8×6 pixels."""

    def pairs(num: int, values: tuple[int, ...] = (0, 255), shape: tuple[int, ...] = (6, 8)):
        members = {}
        for number in range(num):
            generator = np.random.default_rng(number)
            mask = np.array(values, np.uint8)[np.indices(shape[:2]).sum(0) % len(values)]
            members[f"images/{number}.png"] = encode(generator.integers(0, 256, shape, np.uint8))
            members[f"masks/{number}.png"] = encode(mask)
        return members

    return pairs
