"""Import speed and memory, each import in a process of its own.

python -m benchmarks.import_ [--pairs 10000] [--gib 5] [--json]

Two archives are made first: one of many 512² PNG pairs, all different, and one of large
uncompressed TIFF images until it is as big as asked for. The command line imports each.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_SIDE_PX = 512
_BIG_SIDE_PX = 1024
_TEXTURE_PX = 4096


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=10_000)
    parser.add_argument("--gib", type=float, default=5.0, help="size of the big archive; 0: none")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "pairs.zip"
        write_pairs(archive, options.pairs)
        seconds, peak_mb = import_(archive, Path(folder) / "home")
        archive.unlink()
        result |= {"pairs_per_second": options.pairs / seconds, "peak_mb": peak_mb}
        print(
            f"{options.pairs} pairs of {_SIDE_PX}² PNG: {result['pairs_per_second']:.0f} pairs/s, "
            f"peak {peak_mb:.0f} MB"
        )
    if options.gib:
        with tempfile.TemporaryDirectory() as folder:
            archive = Path(folder) / "big.zip"
            num_pairs = write_big(archive, options.gib)
            size_gib = archive.stat().st_size / 1024**3
            seconds, peak_mb = import_(archive, Path(folder) / "home")
        result |= {"big_gib": size_gib, "big_seconds": seconds, "big_peak_mb": peak_mb}
        print(
            f"{size_gib:.1f} GiB, {num_pairs} pairs of {_BIG_SIDE_PX}² RGB TIFF: {seconds:.0f} s, "
            f"{num_pairs / seconds:.0f} pairs/s, peak {peak_mb:.0f} MB"
        )
    if options.json:
        print(json.dumps(result))


def import_(archive: Path, home: Path) -> tuple[float, float]:
    """Import by the command line: seconds from start to end, and the peak of its memory in MB."""
    environment = os.environ | {"WORKBENCH_HOME": str(home)}
    started_at = time.perf_counter()
    child = subprocess.Popen(
        [sys.executable, "-m", "engine", "import", str(archive)],
        env=environment,
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"The import of {archive.name} failed.")
    # Linux reports KiB.
    return time.perf_counter() - started_at, usage.ru_maxrss * 1024 / 1e6


def write_pairs(archive: Path, num_pairs: int) -> None:
    """Write a zip of grey PNG images with binary masks, no two alike."""
    with zipfile.ZipFile(archive, "w") as file:
        for number, (image, mask) in enumerate(_scenes(num_pairs, _SIDE_PX)):
            file.writestr(f"images/{number:05d}.png", _encoded(image, "PNG", compress_level=1))
            file.writestr(f"masks/{number:05d}.png", _encoded(mask, "PNG", compress_level=1))


def write_big(archive: Path, gib: float) -> int:
    """Write a zip of at least so many GiB; how many pairs it holds."""
    num_pairs = int(gib * 1024**3 / (3 * _BIG_SIDE_PX**2)) + 1
    with zipfile.ZipFile(archive, "w") as file:
        for number, (image, mask) in enumerate(_scenes(num_pairs, _BIG_SIDE_PX)):
            colored = np.stack([image, 255 - image, image // 2], axis=-1)
            file.writestr(f"images/{number:05d}.tif", _encoded(colored, "TIFF"))
            file.writestr(f"masks/{number:05d}.png", _encoded(mask, "PNG", compress_level=1))
    return num_pairs


def _scenes(num: int, side_px: int) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Images and masks of bright discs over a noisy ground, cut from one large texture."""
    generator = np.random.Generator(np.random.PCG64(0))
    small = generator.integers(0, 80, (_TEXTURE_PX // 32, _TEXTURE_PX // 32), dtype=np.uint8)
    ground = Image.fromarray(small).resize((_TEXTURE_PX, _TEXTURE_PX), Image.Resampling.BICUBIC)
    texture = np.asarray(ground) + generator.integers(
        0, 16, (_TEXTURE_PX, _TEXTURE_PX), dtype=np.uint8
    )
    y, x = np.ogrid[:side_px, :side_px]
    for _ in range(num):
        top, left = generator.integers(0, _TEXTURE_PX - side_px, 2)
        image = texture[top : top + side_px, left : left + side_px].copy()
        mask = np.zeros((side_px, side_px), np.uint8)
        for _ in range(generator.integers(3, 9)):
            center_y, center_x = generator.uniform(0, side_px, 2)
            radius = generator.uniform(side_px / 30, side_px / 8)
            mask[(y - center_y) ** 2 + (x - center_x) ** 2 <= radius**2] = 255
        image[mask > 0] += 120
        yield image, mask


def _encoded(pixels: NDArray[np.uint8], kind: str, **options: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


if __name__ == "__main__":
    main()
