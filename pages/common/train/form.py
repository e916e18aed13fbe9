"""The settings as they are entered: their values, which of them have an effect, and why they are.

The fields are filled in with a proposal. A field's key holds the proposed value, so that another
proposal brings its own values, while what a person changed elsewhere stays.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from engine.config import (
    AUGMENT_PRESETS,
    RECIPES,
    Proposal,
    TrainConfig,
    ignored_settings,
    leaf_fields,
    with_changes,
)
from engine.errors import WorkbenchError
from engine.notes import Note
from engine.store.datasets import Dataset
from engine.store.runs import Run
from pages.common import reads

ABOVE = "max_minutes"
"""The setting that stands above the form, beside the recipe, because `auto` looks at it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """What a person sees and has entered."""

    dataset: Dataset
    recipe_name: str
    proposed: TrainConfig
    """What the fields are filled in with."""
    reasons: Mapping[str, Note]
    """Why a field is filled in so, by leaf name."""
    values: Mapping[str, Any]
    """What counts now, by leaf name."""
    config: TrainConfig
    """The settings; where there is a problem, those that go together."""
    problem: WorkbenchError | None
    """Why no training can be started with these values."""
    idle: Mapping[str, Note]
    """The settings that have no effect beside the others, and why not."""
    recipe_config: TrainConfig
    """What the recipe proposes."""
    cloned: Run | None
    """The run whose settings the fields are filled in with, in place of the recipe's."""

    def default(self, name: str) -> Any:
        """What a setting is filled in with."""
        part, _field = leaf_fields()[name]
        return getattr(getattr(self.proposed, part), name)

    def key(self, name: str) -> str:
        """Key of a setting's field."""
        # What was entered before a run was cloned must not hide that run's values.
        source = self.recipe_name if self.cloned is None else f"clone_{self.cloned.id}"
        return _key(source, name, self.default(name))

    def weight_key(self, index: int) -> str:
        """Key of the field of one class's weight."""
        return f"{self.key('class_weights')}_{self.dataset.id}_{index}"

    def changed(self) -> list[str]:
        """The settings that are not as proposed, by leaf name."""
        names = (name for name in leaf_fields() if name != ABOVE)
        return [name for name in names if self.values[name] != self.default(name)]

    def reasons_that_hold(self) -> dict[str, Note]:
        """The reasons of what is as proposed."""
        changed = self.changed()
        return {name: note for name, note in self.reasons.items() if name not in changed}


def read_form(
    dataset: Dataset,
    recipe_name: str,
    minutes: float | None,
    cloned: tuple[Run, TrainConfig] | None = None,
) -> Form:
    """The form of this rerun, before its fields are shown.

    Args:
        cloned: a run, and the settings that the fields are filled in with in place of the recipe's.
    """
    recipe = RECIPES[recipe_name]  # type: ignore[index]
    proposal = _proposal(dataset, recipe_name, minutes)
    proposed, reasons = proposal.config, proposal.reasons
    if cloned is None:
        # What was asked for of the proposal is not what the fields begin with.
        proposed = proposed.model_copy(update={"split": recipe.split})
    else:
        run, proposed = cloned
        reasons = {name: why for name, why in run.reasons.items() if name not in run.adjustments}
    proposed = proposed.model_copy(update={"schedule": _without_budget(proposed)})
    form = Form(
        dataset=dataset,
        recipe_name=recipe_name,
        proposed=proposed,
        reasons=reasons,
        values={},
        config=proposed,
        problem=None,
        idle={},
        recipe_config=proposal.config,
        cloned=None if cloned is None else cloned[0],
    )
    values = {name: _entered(form, name) for name in leaf_fields()} | {ABOVE: minutes}
    return _with_effects(form, values)


def without_effect(config: TrainConfig, num_classes: int) -> dict[str, Note]:
    """Every setting that does nothing beside the others, changed or not, and why not."""
    # `ignored_settings` speaks of changed settings only. So each is changed in turn, to a value
    # that is no setting's and that all comparisons refuse.
    changed = float("nan")
    found = {}
    for name, (part, _field) in leaf_fields().items():
        other = getattr(config, part).model_copy(update={name: changed})
        notes = ignored_settings(config.model_copy(update={part: other}), num_classes)
        told = [note for note in notes if note.facts.get("name") == name]
        if told:
            found[name] = told[0]
    return found | _idle_split(config, num_classes)


def choose_preset(form: Form, key: str) -> None:
    """Callback: fill in the augmentation from the preset that was chosen."""
    chosen = AUGMENT_PRESETS.get(st.session_state[key])
    for name, value in chosen.model_dump().items() if chosen else ():
        st.session_state[form.key(name)] = value


def preset_of(form: Form) -> str | None:
    """The preset that the augmentation is, if it is one."""
    presets = AUGMENT_PRESETS.items()
    return next((name for name, each in presets if each == form.config.augment), None)


def _proposal(dataset: Dataset, recipe_name: str, minutes: float | None) -> Proposal:
    recipe = RECIPES[recipe_name]  # type: ignore[index]
    split = {
        name: st.session_state.get(_key(recipe_name, name, default), default)
        for name, default in recipe.split.model_dump().items()
    }
    wishes = {name: value for name, value in split.items() if value != getattr(recipe.split, name)}
    if minutes is not None:
        wishes[ABOVE] = minutes
    try:
        return reads.proposal(dataset.id, recipe_name, wishes)
    except WorkbenchError:
        # What cannot be used is told where the whole is put together.
        return Proposal(recipe, {})


def _without_budget(config: TrainConfig) -> Any:
    return config.schedule.model_copy(update={ABOVE: None})


def _entered(form: Form, name: str) -> Any:
    if name == "class_weights":
        return _entered_weights(form)
    return st.session_state.get(form.key(name), form.default(name))


def _entered_weights(form: Form) -> tuple[float, ...] | None:
    """One weight for each class, where they are asked for."""
    if _entered(form, "class_weighting") != "given":
        return form.default("class_weights")
    return tuple(
        st.session_state.get(form.weight_key(entry.index), default_weight(form, entry.index))
        for entry in form.dataset.classes
    )


def default_weight(form: Form, index: int) -> float:
    """What a class's weight is filled in with."""
    proposed = form.default("class_weights") or ()
    return proposed[index] if index < len(proposed) else 1.0


def _with_effects(form: Form, values: Mapping[str, Any]) -> Form:
    """The form with what was entered; settings without an effect are as proposed, and hidden."""
    num_classes, idle = len(form.dataset.classes), dict[str, Note]()
    values = dict(values)
    while True:
        try:
            config = with_changes(form.proposed, values)
        except WorkbenchError as error:
            config = _usable(form, values)
            found = without_effect(config, num_classes)
            return replace(form, values=values, config=config, problem=error, idle=found)
        found = without_effect(config, num_classes)
        if found.keys() <= idle.keys():
            return replace(form, values=values, config=config, idle=found)
        # What is put back may take the effect of others away: a loss without weights has none
        # that could be given.
        idle |= found
        values |= {name: form.default(name) for name in found}


def _usable(form: Form, values: Mapping[str, Any]) -> TrainConfig:
    """What was entered as far as it goes together, so that the other fields stay where they are."""
    config = form.proposed
    for name, value in values.items():
        if value != form.default(name):
            with suppress(WorkbenchError):
                config = with_changes(config, {name: value})
    return config


def _idle_split(config: TrainConfig, num_classes: int) -> dict[str, Note]:
    """The settings of the split without effect; of those, whole sentences are told."""
    usual = type(config.split)(split_method=config.split.split_method)
    found = {}
    for name in type(usual).model_fields:
        other = usual.model_copy(update={name: float("nan")})
        notes = ignored_settings(config.model_copy(update={"split": other}), num_classes)
        told = [note for note in notes if "name" not in note.facts]
        if told and name != "split_method":
            found[name] = told[0]
    return found


def _key(recipe_name: str, name: str, default: Any) -> str:
    return f"train_{recipe_name}_{name}_{default!r}"
