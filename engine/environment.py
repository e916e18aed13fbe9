"""What a run was computed with: versions, hardware, and the state of this code.

No torch, which would take seconds to load: what has failed before it is loaded is told too.
"""

import importlib.metadata
import platform
from pathlib import Path
from typing import Any

import pynvml

from engine.machine import gpu_handles, processor_name, total_memory_bytes, usable_cores

UNKNOWN = "unknown"

_LIBRARIES = (
    "torch", "torchvision", "numpy", "scipy", "pillow", "pydantic", "safetensors",
    "segmentation-models-pytorch", "sqlalchemy", "streamlit",
)  # fmt: skip
"""Those a result may depend on, and those a failure is likely to come from."""

_PROJECT = Path(__file__).parents[1]


def environment() -> dict[str, Any]:
    """Versions and hardware of this process, as JSON types. Never raises: what cannot be found out
    is “unknown”, and a library that is not installed is None."""
    return {
        "python": platform.python_version(),
        **{name: _version(name) for name in _LIBRARIES},
        "system": platform.platform(),
        "host": platform.node(),
        "processor": processor_name(),
        "cores": usable_cores(),
        "memory_gib": round(total_memory_bytes() / 2**30, 1),
        **_gpus(),
        "commit": commit_of(_PROJECT),
    }


def commit_of(folder: Path) -> str:
    """The commit that a git checkout stands at; “unknown” where there is none.

    Read from git's own files: starting git takes longer than all else here, and it need not be
    installed.
    """
    try:
        git = _git_folder(folder / ".git")
        head = _text(git / "HEAD")
        reference = head.removeprefix("ref: ")
        return head if reference == head else _commit_of_reference(git, reference)
    except (OSError, ValueError):
        return UNKNOWN


def _git_folder(path: Path) -> Path:
    """Of a further working tree, `.git` is a file that names it."""
    return path.parent / _text(path).removeprefix("gitdir: ") if path.is_file() else path


def _commit_of_reference(git: Path, reference: str) -> str:
    # Branches are kept with the first working tree.
    shared = git / _text(git / "commondir") if (git / "commondir").is_file() else git
    for folder in (git, shared):
        if (folder / reference).is_file():
            return _text(folder / reference)
    lines = (line.split(" ") for line in _text(shared / "packed-refs").splitlines())
    return next((line[0] for line in lines if line[1:] == [reference]), UNKNOWN)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip()


def _version(library: str) -> str | None:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return None


def _gpus() -> dict[str, Any]:
    """The GPUs this process may use, and their driver; None without one."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return {"gpus": None, "driver": None}
    try:
        names = [str(pynvml.nvmlDeviceGetName(gpu)) for gpu in gpu_handles()]
        return {"gpus": names or None, "driver": str(pynvml.nvmlSystemGetDriverVersion())}
    except pynvml.NVMLError:
        return {"gpus": UNKNOWN, "driver": UNKNOWN}
    finally:
        pynvml.nvmlShutdown()
