"""A form that begins with the settings of a run instead of a recipe's."""

import streamlit as st

from engine.config import TrainConfig, leaf_fields
from engine.errors import NotFound
from engine.store.runs import Run
from pages.common import formats, links, reads
from pages.common.tables import setting_text
from pages.common.texts import _
from pages.common.train.fields import setting_title
from pages.common.train.form import ABOVE, Form


def cloned_run() -> Run | None:
    """The run in the URL whose settings are taken over; None without one that is there."""
    try:
        return reads.run(links.asked_for("clone") or "")
    except NotFound:
        return None


def settings_of(run: Run) -> TrainConfig:
    """What a clone begins with: the settings that worked, and no start that is gone."""
    config = run.effective_config
    start = config.model.start_from
    if start is None or any(each.id == start and each.best_epoch for each in reads.all_runs()):
        return config
    model = config.model.model_copy(update={"start_from": None})
    return config.model_copy(update={"model": model})


def banner(run: Run, form: Form) -> None:
    """Whose settings these are, and in what they differ from the recipe."""
    with st.container(horizontal=True, vertical_alignment="center", key="train_clone"):
        st.page_link(
            links.RUN,
            label=_("Settings of {run}").format(run=formats.plain(run.name)),
            icon=":material/content_copy:",
            query_params={"run": run.id},
        )
        st.button(
            _("Begin with the recipe instead"),
            type="tertiary",
            icon=":material/close:",
            on_click=links.clear,
            args=("clone",),
            key="train_clone_away",
        )
    if form.cloned is None:
        st.caption(
            _("They are taken over with the recipe {recipe}, which it was made with.").format(
                recipe=run.config.recipe
            )
        )
        return
    differing = differences(run, form)
    if run.adjustments:
        st.caption(_("With what was changed in it when memory ran out."))
    if not differing:
        st.caption(_("They are as in the recipe."))
        return
    label = _("Differs from the recipe in {num} settings").format(num=len(differing))
    with st.expander(label, key="train_clone_differences"):
        st.markdown("\n".join(f"- {each}" for each in differing))


def differences(run: Run, form: Form) -> list[str]:
    """The settings of a run that are not as its recipe proposes them for this dataset."""
    recipe, config = form.recipe_config, settings_of(run)
    found = []
    for name, (part, _field) in leaf_fields().items():
        value = getattr(getattr(config, part), name)
        usual = getattr(getattr(recipe, part), name)
        if value != usual and name != ABOVE:
            found.append(
                _("{setting}: **{value}** (recipe: {usual})").format(
                    setting=setting_title(name),
                    value=formats.plain(_text(value)),
                    usual=formats.plain(_text(usual)),
                )
            )
    return found


def _text(value: object) -> str:
    return setting_text(list(value) if isinstance(value, tuple) else value)
