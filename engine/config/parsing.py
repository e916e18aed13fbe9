"""From plain values to validated settings, and from what is wrong with them to a sentence."""

from collections.abc import Mapping
from typing import Any, Literal, TypeVar, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from engine.config.parts import AUGMENT_PRESETS, Part
from engine.config.train_config import TrainConfig
from engine.errors import BadSetting

P = TypeVar("P", bound=Part)


def parts() -> dict[str, type[Part]]:
    """The parts of a `TrainConfig` by name, in the order a form shows them."""
    return {
        name: field.annotation
        for name, field in TrainConfig.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, Part)
    }


def leaf_fields() -> dict[str, tuple[str, FieldInfo]]:
    """Every setting by its leaf name: `{"epochs": ("schedule", field)}`."""
    return {
        leaf: (part, field)
        for part, model in parts().items()
        for leaf, field in model.model_fields.items()
    }


def parse_part(kind: type[P], values: Mapping[str, Any], message: str) -> P:
    """A validated part from nested plain values.

    Args:
        message: what to say when it cannot be used; `{problems}` stands for what is wrong.

    Raises:
        BadSetting: a value is out of range, of the wrong kind, or unknown.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(problem_sentence(detail) for detail in error.errors())
        raise BadSetting(message, problems=problems) from None


def parse_config(values: Mapping[str, Any]) -> TrainConfig:
    """A validated config from nested plain values, such as a stored run's.

    Raises:
        BadSetting: a value is out of range, of the wrong kind, or unknown; the message names
            each one, what it was and what is expected.
    """
    try:
        return TrainConfig.model_validate(values)
    except ValidationError as error:
        # Of a list, several numbers may be wrong in the same way.
        problems = "; ".join(dict.fromkeys(_problem(detail) for detail in error.errors()))
        raise BadSetting("{problems}.", problems=problems) from None


def with_changes(config: TrainConfig, changes: Mapping[str, Any]) -> TrainConfig:
    """The config with some settings replaced, validated as a whole.

    Args:
        config: what to start from.
        changes: values by leaf name (`epochs`) or dotted name (`schedule.epochs`); `augment` takes
            the name of a preset. Lists may be written with commas, and “none” takes away a
            setting that need not be there.

    Raises:
        BadSetting: a name is unknown or a value cannot be used.
    """
    values = config.to_dict()
    leaves = leaf_fields()
    # A whole preset first, so that single settings beside it change it.
    for name, value in sorted(changes.items(), key=lambda change: change[0] != "augment"):
        if name == "augment":
            values["augment"] = _preset(value).model_dump(mode="json")
            continue
        part, _, leaf = name.rpartition(".")
        if leaf not in leaves or part not in ("", leaves[leaf][0]):
            raise BadSetting(
                "There is no setting “{name}”. Settings: {known}.",
                name=name,
                known=", ".join(sorted(leaves)),
            )
        values[leaves[leaf][0]][leaf] = _spelled(leaves[leaf][1], value)
    return parse_config(values)


def choices(field: FieldInfo) -> tuple[str, ...]:
    """The allowed words of a setting, or () for a number or a switch."""
    return get_args(field.annotation) if get_origin(field.annotation) is Literal else ()


def is_optional(field: FieldInfo) -> bool:
    """Whether the setting need not be there."""
    return type(None) in get_args(field.annotation)


def is_list(field: FieldInfo) -> bool:
    """Whether the setting is a list of numbers."""
    return any(get_origin(each) is tuple for each in get_args(field.annotation))


def bounds(field: FieldInfo) -> dict[str, float]:
    """The limits of a numeric setting: any of `gt`, `ge`, `lt`, `le`."""
    return {
        name: getattr(constraint, name)
        for constraint in field.metadata
        for name in ("gt", "ge", "lt", "le")
        if hasattr(constraint, name)
    }


def problem_sentence(problem: Mapping[str, Any]) -> str:
    """What pydantic found wrong with one value, as a sentence without its full stop.

    Args:
        problem: one of `ValidationError.errors()`.
    """
    raised = problem.get("ctx", {}).get("error")
    if isinstance(raised, ValueError):
        return str(raised)
    place = ".".join(str(step) for step in problem["loc"])
    seen = problem["input"]
    shown = f" is {seen!r}" if isinstance(seen, str | int | float | bool | None) else ""
    return f"{place}{shown}: {problem['msg'][:1].lower()}{problem['msg'][1:]}"


def _preset(name: Any) -> Part:
    if name not in AUGMENT_PRESETS:
        raise BadSetting(
            "There is no augmentation “{name}”. Presets: {known}.",
            name=str(name),
            known=", ".join(AUGMENT_PRESETS),
        )
    return AUGMENT_PRESETS[name]


def _spelled(field: FieldInfo, value: Any) -> Any:
    """A value as it is stored, from how a person may write it."""
    if not isinstance(value, str):
        return value
    if is_optional(field) and value.strip().lower() in ("", "none"):
        return None
    return [each.strip() for each in value.split(",")] if is_list(field) else value


_BOUND_WORDS = {"gt": "more than {}", "ge": "at least {}", "lt": "less than {}", "le": "at most {}"}


def _problem(detail: Any) -> str:
    """One pydantic finding as the user's sentence: field, what was seen, what is expected."""
    place, seen = detail["loc"], detail["input"]
    if not place:
        return str(detail["ctx"]["error"])
    if detail["type"] == "literal_error" and len(place) == 1:
        # The version or the recipe of a stored config.
        allowed = ", ".join(map(str, get_args(TrainConfig.model_fields[place[0]].annotation)))
        one_of = "one of " if ", " in allowed else ""
        return f"{place[0]} is {seen!r}; it must be {one_of}{allowed}"
    if len(place) == 1 and place[0] in parts():
        return f"{place[0]} is {seen!r}; it must be a group of settings"
    # Behind part and leaf comes the place within a list.
    leaf = str(place[1]) if len(place) > 1 else str(place[0])
    if detail["type"] == "extra_forbidden" or leaf not in leaf_fields():
        return f"“{'.'.join(str(step) for step in place)}” is not a known setting"
    field = leaf_fields()[leaf][1]
    verb = "is" if len(place) == 2 else "holds"
    return f"{field.title} ({leaf}) {verb} {seen!r}; it must be {_expected(field)}"


def _expected(field: FieldInfo) -> str:
    if choices(field):
        return "one of " + ", ".join(choices(field))
    if is_list(field):
        return "numbers, separated by commas"
    if field.annotation is bool:
        return "true or false"
    longest = [each.max_length for each in field.metadata if hasattr(each, "max_length")]
    if longest:
        return f"a text of at most {longest[0]} characters"
    # Twelve digits write the largest seed out in full.
    limits = " and ".join(
        _BOUND_WORDS[name].format(f"{limit:.12g}") for name, limit in bounds(field).items()
    )
    return f"a whole number, {limits}" if field.annotation is int else limits
