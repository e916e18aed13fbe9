"""Which samples of a dataset are shown: pure functions over what is stored of each sample."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from engine.store.datasets import Sample


@dataclass(frozen=True, kw_only=True, slots=True)
class Filters:
    """What a sample must be to be shown; None asks for nothing."""

    class_index: int | None = None
    """A class that some of its pixels have."""
    size: str | None = None
    """See `size_key`."""
    split: str | None = None
    positions: Collection[int] | None = None
    """Where a finding was made."""
    text: str = ""
    """In its name, whatever the case; several words must all be there."""

    @property
    def are_set(self) -> bool:
        """Whether anything is asked for."""
        return self != Filters()


def matching(samples: Sequence[Sample], names: Sequence[str], filters: Filters) -> list[int]:
    """Positions of the samples that pass all filters; `names` by position."""
    words = filters.text.casefold().split()
    wanted = None if filters.positions is None else frozenset(filters.positions)
    return [
        sample.position
        for sample in samples
        if (wanted is None or sample.position in wanted)
        and (filters.split is None or sample.split == filters.split)
        and (filters.size is None or size_key(sample) == filters.size)
        and (filters.class_index is None or sample.class_pixels[filters.class_index] > 0)
        and _has_words(names[sample.position], words)
    ]


def size_key(sample: Sample) -> str:
    """A sample's size as it stands in a URL: 640x480."""
    return f"{sample.width}x{sample.height}"


def size_counts(samples: Sequence[Sample]) -> Mapping[str, int]:
    """How many samples have each size, the most frequent first."""
    return dict(Counter(map(size_key, samples)).most_common())


def _has_words(name: str, words: Sequence[str]) -> bool:
    if not words:
        return True
    folded = name.casefold()
    return all(word in folded for word in words)
