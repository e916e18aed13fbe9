"""Files that are not read: what they may be, and how they become pictures."""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from engine.datasets.archive.entry_names import is_junk

_MAX_LISTED = 8


class Family(NamedTuple):
    """Kinds of files that hold the same."""

    suffixes: frozenset[str]
    advice: str
    """What to do with them."""
    is_picture: bool
    """Whether they hold images or masks, rather than perhaps a list of outlines."""


def _family(suffixes: str, advice: str, *, is_picture: bool = True) -> Family:
    return Family(frozenset(suffixes.split()), advice, is_picture)


FAMILIES = (
    _family(".nii .nii.gz", "NIfTI volumes: save their slices, and the masks, as PNG pictures."),
    _family(".dcm .dicom", "DICOM files: save images and masks as PNG or TIFF pictures."),
    _family(".npy .npz", "NumPy arrays: save the masks as PNG pictures."),
    _family(".jp2 .j2k .jpx .j2c .jpf", "JPEG 2000: save the pictures as PNG or TIFF."),
    _family(".pgm .ppm .pbm .pnm", "PGM and PPM: save the masks as PNG pictures."),
    _family(
        ".json .xml",
        "JSON and XML files may hold outlines: draw them, and save the masks as PNG pictures.",
        is_picture=False,
    ),
    _family(
        ".csv .tsv",
        "CSV tables may hold run lengths: decode them, and save the masks as PNG pictures.",
        is_picture=False,
    ),
)


def suffixes_of(names: Iterable[str]) -> Counter[str]:
    """How many files have which suffix, in lower case; what systems leave behind is left out."""
    return Counter(_suffix(name) for name in names if not is_junk(name))


def listed(suffixes: Counter[str]) -> str:
    """Suffixes with their numbers, the most frequent first: `.npy (8), .txt (1)`."""
    in_order = sorted(suffixes.items(), key=lambda item: (-item[1], item[0]))
    shown = [f"{suffix or 'without suffix'} ({num})" for suffix, num in in_order[:_MAX_LISTED]]
    return ", ".join(shown) + (", …" if len(in_order) > _MAX_LISTED else "")


def families_of(suffixes: Iterable[str]) -> list[Family]:
    """The families that files belong to."""
    found = set(suffixes)
    return [family for family in FAMILIES if not family.suffixes.isdisjoint(found)]


def _suffix(name: str) -> str:
    file = name.rpartition("/")[2].lower()
    if file.endswith(".nii.gz"):
        return ".nii.gz"
    stem, dot, suffix = file.rpartition(".")
    return dot + suffix if stem else ""
