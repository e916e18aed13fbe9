"""What is in all masks of a dataset, gathered file by file and bounded in size."""

from collections import Counter
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from itertools import combinations
from typing import Any, Literal

from engine.datasets.masks.survey import MaskSurvey, ObjectSigns

MAX_VALUES = 1024
"""Different values of one kind that are remembered; when twice as many are, the rarest go."""
MAX_COMBINATIONS = 256
"""Different combinations of frequent values that are remembered."""
MAX_PAIRS = 2048
"""Different pairs of values that are remembered."""
MAX_SHARE_TOGETHER = 0.05
"""Two values that no larger share of the rarer one's masks holds both may be the same class."""
MAX_SHARE_OF_IMAGES = 0.25
"""When more of the masks look like images, they are what there is to learn from."""
FREQUENT_SHARE = 0.01
"""Share of a mask's pixels that makes a value frequent in it."""

Meaning = Literal["values", "colors"]

_MAX_FREQUENT = 16
_GREY = 0x010101


@dataclass(kw_only=True, slots=True)
class ValueStatistics:
    """One value over all masks."""

    num_pixels: int = 0
    num_files: int = 0
    num_solid: int = 0
    """Pixels with equal neighbours; see `MaskSurvey.num_solid`."""
    num_border: int = 0
    num_alone: int = 0
    """Masks that hold nothing else."""
    max_share: float = 0.0
    """Largest share of one mask's pixels, 0 to 1."""
    max_name: str = ""
    """The mask with that share."""

    @property
    def solid_share(self) -> float:
        """0 for lines and blurred edges, towards 1 for areas."""
        return self.num_solid / self.num_pixels if self.num_pixels else 0.0

    def merge(self, other: "ValueStatistics") -> None:
        """Add what is known of another value in other masks."""
        for name in ("num_pixels", "num_files", "num_solid", "num_border", "num_alone"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        if other.max_share > self.max_share:
            self.max_share, self.max_name = other.max_share, other.max_name


@dataclass(kw_only=True, slots=True)
class ObjectStatistics:
    """Signs of numbered objects over the masks with at least two values beside 0."""

    num_files: int = 0
    num_single: int = 0
    """Masks in which nearly every value is one piece."""
    num_contiguous: int = 0
    """Masks with the values 1, 2, … without a gap."""
    min_values: int = 0
    max_values: int = 0
    """Fewest and most values of one mask, beside 0."""

    def add(self, signs: ObjectSigns) -> None:
        """Add one mask."""
        first = self.num_files == 0
        self.min_values = signs.num_values if first else min(self.min_values, signs.num_values)
        self.max_values = max(self.max_values, signs.num_values)
        self.num_files += 1
        self.num_single += signs.are_single
        self.num_contiguous += signs.are_contiguous


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """The values of all masks, read in one way."""

    meaning: Meaning
    """“values”: grey values and palette indices; “colors”: 0xRRGGBB."""
    values: Mapping[int, ValueStatistics]
    """In ascending order."""
    objects: ObjectStatistics
    palette: Mapping[int, int]
    """0xRRGGBB by index; empty without palettes."""
    num_pixels: int
    """Of all masks that can be read so, also those of values that are not remembered."""


@dataclass(kw_only=True, slots=True)
class MaskStatistics:
    """What is in all masks. `add` each, then `learn_masks`."""

    num_files: int = 0
    num_pixels: int = 0
    num_border: int = 0
    num_color: int = 0
    """Masks of colours."""
    num_color_pixels: int = 0
    num_index: int = 0
    """Masks of palette indices."""
    num_lossy: int = 0
    num_soft: int = 0
    """Masks of shares from 0 to 1, counted here from 0 to 255."""
    max_values: int = 0
    """Most different values in one mask."""
    max_values_name: str = ""
    """The mask that holds them."""
    palette: dict[int, int] = field(default_factory=dict)
    """0xRRGGBB by index, over the indices in use."""
    palettes_differ: bool = False
    """Whether an index has another colour in another mask."""
    greys: dict[int, ValueStatistics] = field(default_factory=dict)
    indices: dict[int, ValueStatistics] = field(default_factory=dict)
    colors: dict[int, ValueStatistics] = field(default_factory=dict)
    index_colors: dict[int, ValueStatistics] = field(default_factory=dict)
    """The colours that palettes give to the indices."""
    value_objects: ObjectStatistics = field(default_factory=ObjectStatistics)
    color_objects: ObjectStatistics = field(default_factory=ObjectStatistics)
    combinations: Counter[tuple[int, ...]] = field(default_factory=Counter)
    """How many masks have these frequent grey values or indices, and no others."""
    pairs: Counter[tuple[int, int]] = field(default_factory=Counter)
    """How many masks hold both of two grey values or indices, however few pixels; the smaller
    value first."""
    num_images: int = 0
    """Masks that look like images."""
    image_name: str = ""
    """The one of them with the most different values."""
    image_values: int = 0
    """How many that has."""
    ordinary: "MaskStatistics | None" = None
    """Of all masks but those that look like images; None while there is no such mask."""

    def add(self, name: str, survey: MaskSurvey) -> None:
        """Add one mask, or one page of it.

        Args:
            name: the file, for messages.
        """
        if survey.is_image:
            if self.ordinary is None:
                self.ordinary = deepcopy(self)
            self.num_images += 1
            if survey.num_values > self.image_values:
                self.image_values, self.image_name = survey.num_values, name
        elif self.ordinary is not None:
            self.ordinary.add(name, survey)
        self.num_files += 1
        self.num_pixels += survey.width * survey.height
        self.num_border += int(survey.num_border.sum())
        self.num_lossy += survey.lossy
        self.num_soft += survey.is_soft
        if survey.num_values > self.max_values:
            self.max_values, self.max_values_name = survey.num_values, name
        found = _of_mask(name, survey)
        if survey.is_color:
            self.num_color += 1
            self.num_color_pixels += survey.width * survey.height
            _merge(self.colors, found.items())
        elif survey.palette is None:
            _merge(self.greys, found.items())
        else:
            self.num_index += 1
            _merge(self.indices, found.items())
            self._add_palette(survey.palette, found)
        if survey.objects is not None:
            objects = self.color_objects if survey.is_color else self.value_objects
            objects.add(survey.objects)
        if not survey.is_color:
            self._add_combination(found)

    def without_images(self) -> "MaskStatistics":
        """What to learn from: all masks but those that look like images, where these are few."""
        few = max(1, int(MAX_SHARE_OF_IMAGES * self.num_files))
        if self.ordinary is None or self.num_images > few or self.ordinary.num_files < 2:
            return self
        return self.ordinary

    def view(self) -> View:
        """The values as they are best read.

        Colours, as soon as one mask has colours or two palettes differ. When palettes and grey
        masks are mixed, whichever reading makes fewer different values. Few masks that look like
        images are left aside.
        """
        if self.without_images() is not self:
            return self.without_images().view()
        by_value, by_color = self.view_as("values"), self.view_as("colors")
        if self.num_color or self.palettes_differ:
            return by_color
        if 0 < self.num_index < self.num_files and len(by_color.values) < len(by_value.values):
            return by_color
        return by_value

    def view_as(self, meaning: Meaning) -> View:
        """The values of the masks that can be read so; few that look like images are left aside."""
        if self.without_images() is not self:
            return self.without_images().view_as(meaning)
        merged: dict[int, ValueStatistics] = {}
        if meaning == "values":
            _merge(merged, self.greys.items())
            _merge(merged, self.indices.items())
            objects = self.value_objects
        else:
            _merge(merged, self.colors.items())
            _merge(merged, self.index_colors.items())
            # A colour mask of which only black is left comes as grey.
            small = ((v * _GREY, found) for v, found in self.greys.items() if v <= 255)
            _merge(merged, small)
            objects = self.color_objects
        palette = {} if self.palettes_differ or meaning == "colors" else self.palette
        return View(
            meaning=meaning,
            values=dict(sorted(merged.items())),
            objects=objects,
            palette=palette,
            num_pixels=self.num_pixels - (self.num_color_pixels if meaning == "values" else 0),
        )

    def occur_together(self, one: int, other: int) -> bool:
        """Whether two grey values or indices are both frequent in some mask."""
        return any(one in key and other in key for key in self.combinations)

    def num_together(self, one: int, other: int) -> int:
        """In how many masks two grey values or indices occur, however few their pixels."""
        return self.pairs[(min(one, other), max(one, other))]

    def are_apart(self, one: int, other: int) -> bool:
        """Whether of two grey values or indices, (nearly) every mask holds at most one."""
        values = self.view_as("values").values
        rarer = min(values[value].num_files for value in (one, other))
        return self.num_together(one, other) <= MAX_SHARE_TOGETHER * rarer

    def to_dict(self) -> dict[str, Any]:
        """As nested JSON types."""
        record = asdict(replace(self, ordinary=None))
        for name in ("greys", "indices", "colors", "index_colors"):
            table: dict[int, ValueStatistics] = getattr(self, name)
            record[name] = [[value, asdict(found)] for value, found in table.items()]
        record["palette"] = list(self.palette.items())
        record["combinations"] = [[list(key), num] for key, num in self.combinations.items()]
        record["pairs"] = [[*pair, num] for pair, num in self.pairs.items()]
        record["ordinary"] = None if self.ordinary is None else self.ordinary.to_dict()
        return record

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> "MaskStatistics":
        """What `to_dict` gave."""
        fields = dict(record)
        for name in ("greys", "indices", "colors", "index_colors"):
            fields[name] = {value: ValueStatistics(**found) for value, found in record[name]}
        for name in ("value_objects", "color_objects"):
            fields[name] = ObjectStatistics(**record[name])
        fields["palette"] = dict(map(tuple, record["palette"]))
        fields["combinations"] = Counter({tuple(key): num for key, num in record["combinations"]})
        fields["pairs"] = Counter({(one, other): num for one, other, num in record["pairs"]})
        if record["ordinary"] is not None:
            fields["ordinary"] = cls.from_dict(record["ordinary"])
        return cls(**fields)

    def _add_palette(self, palette: tuple[int, ...], found: Mapping[int, ValueStatistics]) -> None:
        colored: dict[int, ValueStatistics] = {}
        for index, statistics in found.items():
            # An index beyond the palette's end is black in Pillow as well.
            color = palette[index] if index < len(palette) else 0
            if self.palette.setdefault(index, color) != color:
                self.palettes_differ = True
            colored.setdefault(color, ValueStatistics()).merge(statistics)
        for statistics in colored.values():
            # Two indices of one colour are one value of this one mask.
            statistics.num_files = 1
            statistics.num_alone = int(len(colored) == 1)
        _merge(self.index_colors, colored.items())

    def _add_combination(self, found: Mapping[int, ValueStatistics]) -> None:
        frequent = [value for value, each in found.items() if each.max_share >= FREQUENT_SHARE]
        key = tuple(sorted(frequent[:_MAX_FREQUENT]))
        if key in self.combinations or len(self.combinations) < MAX_COMBINATIONS:
            self.combinations[key] += 1
        for pair in combinations(sorted(list(found)[:_MAX_FREQUENT]), 2):
            if pair in self.pairs or len(self.pairs) < MAX_PAIRS:
                self.pairs[pair] += 1


def _of_mask(name: str, survey: MaskSurvey) -> dict[int, ValueStatistics]:
    num_pixels = survey.width * survey.height
    rows = zip(
        survey.values.tolist(),
        survey.num_pixels.tolist(),
        survey.num_solid.tolist(),
        survey.num_border.tolist(),
        strict=True,
    )
    return {
        value: ValueStatistics(
            num_pixels=pixels,
            num_files=1,
            num_solid=solid,
            num_border=border,
            num_alone=int(survey.num_values == 1),
            max_share=pixels / num_pixels,
            max_name=name,
        )
        for value, pixels, solid, border in rows
    }


def _merge(table: dict[int, ValueStatistics], found: Iterable[tuple[int, ValueStatistics]]) -> None:
    for value, statistics in found:
        table.setdefault(value, ValueStatistics()).merge(statistics)
    if len(table) > 2 * MAX_VALUES:
        rarest = sorted(table, key=lambda value: table[value].num_pixels)[:-MAX_VALUES]
        for value in rarest:
            del table[value]
