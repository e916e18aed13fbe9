"""What an upload may take: its owner's quota and the free space of the disk."""

import shutil

from engine.store import uploads
from engine.uploads.errors import NoRoom, OverQuota
from engine.workbench import Workbench

_GIB = 1 << 30


def quota_bytes(workbench: Workbench) -> float:
    """Most that all uploads of one user may have together."""
    return workbench.settings.upload_quota_gib * _GIB


def check_room(workbench: Workbench, name: str, missing_bytes: int, next_bytes: int) -> None:
    """Make sure that the disk takes the next bytes of a file, of which so many are missing.

    Raises:
        NoRoom: less would remain free than the settings ask for.
    """
    free_bytes = shutil.disk_usage(workbench.files.root).free
    if free_bytes - next_bytes < workbench.settings.min_free_gib * _GIB:
        raise no_room(workbench, name, missing_bytes)


def no_room(workbench: Workbench, name: str, missing_bytes: int) -> NoRoom:
    """The sentence for a disk that is full."""
    return NoRoom(
        "“{name}” needs {missing_gib} GiB more. The workbench's disk has {free_gib} GiB free, of "
        "which {min_free_gib} GiB must stay so. Have space freed there, and go on.",
        name=name,
        missing_gib=_gib(missing_bytes),
        free_gib=_gib(shutil.disk_usage(workbench.files.root).free),
        min_free_gib=_gib(workbench.settings.min_free_gib * _GIB),
    )


def over_quota(workbench: Workbench, name: str, size_bytes: int, actor: str) -> OverQuota:
    """The sentence for a file that is too much together with what its owner has already."""
    used_bytes = sum(each.size_bytes for each in uploads.of_actor(workbench.database, actor))
    return OverQuota(
        "“{name}” has {size_gib} GiB. You may have {quota_gib} GiB of uploads waiting, and have "
        "{used_gib} GiB. Finish or cancel another upload first.",
        name=name,
        size_gib=_gib(size_bytes),
        quota_gib=_gib(quota_bytes(workbench)),
        used_gib=_gib(used_bytes),
    )


def _gib(num_bytes: float) -> str:
    gib = num_bytes / _GIB
    return f"{gib:.1f}" if gib >= 1 else f"{gib:.3f}"
