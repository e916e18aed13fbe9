"""The fields of the form, one for each setting, made from the configuration's own fields.

Title, choices and meaning come from `engine.config`, so a setting that is added there appears
here. `engine.config` validates.
"""

from collections.abc import Sequence

import streamlit as st
from pydantic.fields import FieldInfo

from engine.config import AUGMENT_PRESETS, choices, leaf_fields, parts
from pages.common import formats, reads
from pages.common.texts import _, choice_word, class_word, note_text, part_titles
from pages.common.train import form as forms
from pages.common.train.form import Form
from pages.common.train.summaries import summary

_NUM_COLUMNS = 3
_OWN = "own"
"""The augmentation is no preset."""


def settings(form: Form) -> None:
    """Every part of the settings, closed, with what is set in one line."""
    for part, title in part_titles().items():
        label = _labelled(title, formats.plain(summary(form.config, part, form.idle)))
        # The key keeps it open while its label changes.
        with st.expander(label, key=f"train_part_{part}"):
            _part(form, part)


def why_these_settings(form: Form) -> None:
    """What was fitted to the dataset, in a list; nothing where nothing was."""
    reasons = grouped_reasons(form, list(leaf_fields()))
    if not reasons:
        return
    num_choices = _("{num} choices fitted to this dataset and machine").format(num=len(reasons))
    with st.expander(
        _labelled(_("Why these settings"), num_choices),
        icon=":material/lightbulb:",
        key="train_why",
    ):
        st.markdown(
            "\n".join(f"- **{_and_others(titles)}**: {reason}" for titles, reason in reasons)
        )


def _labelled(title: str, line: str) -> str:
    """The head of an expander: its title, and what is in it."""
    return f"**{title}**\u2002:gray[{line}]"


def grouped_reasons(form: Form, names: Sequence[str]) -> list[tuple[list[str], str]]:
    """The reasons that hold among some settings: titles of the settings, and the sentence."""
    grouped: dict[str, list[str]] = {}
    holding = form.reasons_that_hold()
    for name in names:
        if name in holding:
            sentence = formats.plain(note_text(holding[name]))
            grouped.setdefault(sentence, []).append(setting_title(name))
    return [(titles, sentence) for sentence, titles in grouped.items()]


def setting_title(name: str) -> str:
    """What a setting is called."""
    _part_name, field = leaf_fields()[name]
    return _(field.title or name)


def _and_others(titles: Sequence[str]) -> str:
    """The first titles, and how many more there are."""
    if len(titles) <= 4:
        return ", ".join(titles)
    return _("{titles} and {num} more").format(titles=", ".join(titles[:3]), num=len(titles) - 3)


def _part(form: Form, part: str) -> None:
    if part == "augment":
        _preset(form)
    fields = {
        name: field
        for name, field in parts()[part].model_fields.items()
        if name != forms.ABOVE and name not in form.idle
    }
    switches = [name for name, field in fields.items() if field.annotation is bool]
    with st.grid(_NUM_COLUMNS, gap=("small", "medium"), vertical_alignment="bottom"):
        for name in fields:
            if name == "class_weights":
                _class_weights(form)
            elif name not in switches:
                _field(form, name, fields[name])
    # Lower than the others: among them they would leave holes.
    with st.container(horizontal=True, gap="medium"):
        for name in switches:
            _field(form, name, fields[name])
    for titles, reason in grouped_reasons(form, list(fields)):
        st.caption(
            _(":material/lightbulb: {titles}: {reason}").format(
                titles=_and_others(titles), reason=reason
            )
        )
    hidden = [setting_title(name) for name in parts()[part].model_fields if name in form.idle]
    if hidden:
        st.caption(_("Without effect beside these: {titles}.").format(titles=", ".join(hidden)))


def _field(form: Form, name: str, field: FieldInfo) -> None:
    label, meaning = setting_title(name), _(field.description or "")
    key, value = form.key(name), form.default(name)
    # Not as the widget's default: callbacks fill in fields too.
    st.session_state.setdefault(key, value)
    if name == "start_from":
        _start_from(label, meaning, key)
    elif choices(field):
        st.selectbox(label, choices(field), format_func=choice_word, help=meaning, key=key)
    elif isinstance(value, bool):
        st.toggle(label, help=meaning, key=key)
    # Without limits of its own: the widget would keep its old value and say nothing to the engine.
    elif field.annotation is int:
        st.number_input(label, step=1, help=meaning, key=key)
    else:
        st.number_input(label, step=_step(value), format="%g", help=meaning, key=key)


def _step(value: float) -> float:
    """A step that suits the size of the number: 0.05 for a share, 1e-5 for a rate of 1e-4."""
    return 0.05 if value == 0 or value >= 0.1 else value / 10


def _start_from(label: str, meaning: str, key: str) -> None:
    runs = {run.id: run for run in reads.all_runs() if run.best_epoch is not None}
    st.selectbox(
        label,
        [None, *runs],
        format_func=lambda each: (
            _("a fresh network")
            if each is None
            # The id tells runs of the same name apart: the browser sends words back.
            else _("{name} · Dice {dice} · {id}").format(
                name=runs[each].name, dice=formats.score(runs[each].best_val_dice), id=each
            )
        ),
        help=meaning,
        key=key,
    )


def _class_weights(form: Form) -> None:
    for entry in form.dataset.classes:
        st.number_input(
            _("Weight of {name}").format(name=formats.plain(class_word(entry))),
            value=forms.default_weight(form, entry.index),
            step=0.1,
            format="%g",
            key=form.weight_key(entry.index),
        )


def _preset(form: Form) -> None:
    key = f"train_preset_{form.recipe_name}"
    preset = forms.preset_of(form)
    words = {name: choice_word(name) for name in AUGMENT_PRESETS}
    if preset is None:
        words[_OWN] = _("as set below")
    # Follows the fields, which a person may change one by one.
    st.session_state[key] = preset or _OWN
    st.segmented_control(
        _("Strength"),
        list(words),
        required=True,
        format_func=words.__getitem__,
        help=_("Fills in all fields below."),
        key=key,
        on_change=forms.choose_preset,
        args=(form, key),
    )
