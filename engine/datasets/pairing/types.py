"""What pairing gives: pairs of image and masks, as proposals that a person can choose from."""

from dataclasses import dataclass

from engine.notes import Note
from engine.store.datasets import SplitName

PICTURE_SUFFIXES = frozenset(
    {
        ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".tif", ".tiff", ".bmp", ".gif", ".webp",
    }
)  # fmt: skip
"""Files with another suffix are ignored. Upper or lower case does not matter; `.ome.tif` is one."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One image with its masks."""

    sample: str
    """The image's path inside the archive without the suffix; unique within a proposal."""
    image: str
    masks: tuple[str, ...]
    """One mask, or one for each instance, in natural order; these are merged."""
    split: SplitName | None
    """What the image's folders say, where they divide the pairs at all."""
    page: int | None = None
    """Page of a multi-page file, set when such a file is expanded."""


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """An image that has several masks of one set without being told which, or shares its mask."""

    image: str
    candidates: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Proposal:
    """One way to read the names: images, and one set of masks for them."""

    key: str
    """Names the proposal; the same names give the same keys, in whatever order they come."""
    title: Note
    """Which masks these are, in short."""
    reason: Note
    """How images and masks were told apart."""
    confidence: float
    """0 to 1; see `engine.datasets.pairing.confidence`."""
    pairs: tuple[Pair, ...]
    """In natural order of the samples: 0, 1, 2, … 10."""
    unmatched: tuple[str, ...]
    """Pictures that this reading leaves without a partner. Masks of other sets are none."""
    ambiguous: tuple[Ambiguous, ...]
    """Images that were not taken because their mask is not certain."""
    doubts: tuple[Note, ...]
    """What a person should look at before taking the proposal."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pairing:
    """Everything a list of names may mean."""

    proposals: tuple[Proposal, ...]
    """At least one; likeliest first."""
    ignored: tuple[str, ...]
    """Files that are not pictures, in natural order."""
