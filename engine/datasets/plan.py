"""What an import will do, as settings: proposed by the inspection, corrected by a person.

A plan is complete and explicit, and is kept with the dataset: the same archive under the same plan
gives the same dataset. Every part is a `Part` as in `engine.config`.
"""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from engine.config import Part, SplitConfig, parse_part
from engine.errors import BadSetting

PLAN_VERSION: Literal[1] = 1

Role = Literal["class", "background", "ignore"]


class PairingPlan(Part):
    """Which mask belongs to which image."""

    proposal: str | None = Field(None, title="Proposal")
    """Key of one of the readings that `pairing.propose` gives for the names; None for the likeliest."""
    image_pattern: str = Field("", max_length=1000, title="Image pattern")
    """With the mask pattern, used instead of a proposal: `images/{id}.jpg`. `{id}` stands for what image and mask have in common, `*` for anything within a name, `**` for any folders."""
    mask_pattern: str = Field("", max_length=1000, title="Mask pattern")
    """The mask of the image with the same `{id}`: `masks/{id}_mask.png`."""

    @model_validator(mode="after")
    def _patterns_come_in_twos(self) -> Self:
        if bool(self.image_pattern) != bool(self.mask_pattern):
            raise ValueError("An image pattern and a mask pattern are needed together. Give both")
        return self


class ImagePlan(Part):
    """How images are read."""

    channels: tuple[int, ...] = Field((), max_length=3, title="Channels")
    """Of images with more than three channels: the one, or the three for red, green and blue, that are kept, counted from 0. Empty: the first three."""
    on_size_mismatch: Literal["crop", "resize", "skip"] = Field("crop", title="Other mask size")
    """What becomes of a mask that is not as large as its image. “crop” cuts both to what they share when they differ by a few pixels; “resize” brings the mask to the image's size; “skip” leaves the sample out."""


class ClassRule(Part):
    """What some values of the masks mean. Rules of the same name are merged into one class."""

    name: str = Field(min_length=1, max_length=100, title="Class")
    color: str = Field(pattern=r"^#[0-9a-fA-F]{6}$", title="Colour")
    """Colour on screen, `#rrggbb`."""
    role: Role = Field("class", title="Role")
    """“background” is never averaged into a score; “ignore” pixels do not count at all."""
    values: tuple[int, ...] = Field(title="Values")
    """Values in the masks that mean it; a colour is 0xRRGGBB. With a threshold or instances: 0 and 1."""


class MaskPlan(Part):
    """What the values in masks mean."""

    meaning: Literal["values", "colors", "threshold", "instances"] = Field(
        "values", title="Values mean"
    )
    """“values”: a grey value or palette index per class. “colors”: a colour per class. “threshold”: bright is foreground. “instances”: every object has a number of its own; all are one class."""
    nearest: bool = Field(False, title="Snap to the nearest")
    """With values or colours: one that no class has counts as the nearest that a class has, as blurred edges need. Without it such a value is an error."""
    threshold: int = Field(128, ge=1, le=65535, title="Threshold")
    """With “threshold”: values from this one on are foreground."""
    classes: tuple[ClassRule, ...] = Field(min_length=1, title="Classes")
    """In the order of their indices. With a threshold or instances: the class of what is below or unnumbered, then the class of the rest."""

    @model_validator(mode="after")
    def _classes_agree(self) -> Self:
        _check_classes(self)
        return self


class GroupPlan(Part):
    """Which samples must stay together in the split."""

    by: Literal["auto", "none", "folder", "pattern"] = Field("auto", title="Keep together")
    """“auto” takes what names say for sure, such as one patient's two eyes; “folder” the images' folder; “pattern” what a pattern finds. Duplicates stay together always."""
    pattern: str = Field("", max_length=200, title="Group pattern")
    """A regular expression on the sample's name; what its first pair of parentheses matches names the group: `(patient\\d+)_`."""

    @model_validator(mode="after")
    def _pattern_is_given(self) -> Self:
        if (self.by == "pattern") != bool(self.pattern):
            raise ValueError("A group pattern is used with “pattern” only, and is needed there")
        return self


class ImportPlan(Part):
    """Everything that decides what an archive becomes."""

    version: Literal[1] = PLAN_VERSION
    pairing: PairingPlan = PairingPlan()
    images: ImagePlan = ImagePlan()
    masks: MaskPlan | None = None
    """None: learned from the masks."""
    groups: GroupPlan = GroupPlan()
    split: SplitConfig = SplitConfig()

    def to_dict(self) -> dict[str, Any]:
        """The plan as nested JSON types."""
        return self.model_dump(mode="json")


def parse_plan(values: Mapping[str, Any]) -> ImportPlan:
    """A validated plan from nested plain values, such as a stored one's.

    Raises:
        BadSetting: a value is out of range, of the wrong kind, or unknown.
    """
    return parse_part(ImportPlan, values, "The import plan cannot be used: {problems}.")


def with_plan_changes(plan: ImportPlan, changes: Mapping[str, str]) -> ImportPlan:
    """The plan with some settings replaced, validated as a whole.

    Args:
        changes: values by name (`val_share`) or with the part in front (`split.val_share`). Of
            the masks, only what is no list can be given; classes need a plan in JSON.

    Raises:
        BadSetting: a name is unknown or a value cannot be used.
    """
    values = plan.to_dict()
    leaves = {
        leaf: part
        for part, model in _PARTS.items()
        for leaf in model.model_fields
        if values[part] is not None
    }
    for name, value in changes.items():
        part, _, leaf = name.rpartition(".")
        if leaf not in leaves or part not in ("", leaves[leaf]) or leaf == "classes":
            raise BadSetting(
                "A plan has no setting “{name}”. Settings: {known}.",
                name=name,
                known=", ".join(sorted(set(leaves) - {"classes"})),
            )
        is_list = isinstance(values[leaves[leaf]][leaf], list)
        values[leaves[leaf]][leaf] = value.split(",") if is_list and value else value
    return parse_plan(values)


_PARTS: Mapping[str, type[Part]] = {
    "pairing": PairingPlan,
    "images": ImagePlan,
    "masks": MaskPlan,
    "groups": GroupPlan,
    "split": SplitConfig,
}


def _check_classes(plan: MaskPlan) -> None:
    values = [value for rule in plan.classes for value in rule.values]
    if len(values) != len(set(values)):
        raise ValueError("A value belongs to two classes. Give each value one class")
    by_name: dict[str, set[tuple[str, Role]]] = {}
    for rule in plan.classes:
        by_name.setdefault(rule.name, set()).add((rule.color, rule.role))
    if any(len(kinds) > 1 for kinds in by_name.values()):
        raise ValueError(
            "Rules of the same name are one class, but differ in colour or role. Make them agree"
        )
    if sum(("background" in {role for _, role in kinds}) for kinds in by_name.values()) > 1:
        raise ValueError("There are two backgrounds. Merge them by giving them the same name")
    if plan.meaning in ("threshold", "instances") and len(plan.classes) != 2:
        raise ValueError("A threshold or instances give exactly two classes")
    if not any(rule.role == "class" for rule in plan.classes):
        raise ValueError("No class is left to learn. Make at least one a class")
