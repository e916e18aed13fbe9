"""Train: choose a dataset and a recipe, see what will happen, change what you like, queue it."""

import streamlit as st

from engine.config import DEFAULT_RECIPE
from engine.errors import WorkbenchError
from engine.jobs.queue import submit_training
from pages.common import formats, links, reads
from pages.common.parts import empty_state
from pages.common.texts import _, error_text, recipe_notes
from pages.common.train import clones, fields, outlook, trials
from pages.common.train.form import read_form

st.title(_("Train"))
datasets = {dataset.id: dataset for dataset in reads.all_datasets()}
if not datasets:
    with empty_state(
        ":material/model_training:",
        _("Nothing to train on yet"),
        _("A training needs a dataset: drop a zip on the Datasets page, or make the toy one."),
    ):
        st.page_link(links.DATASETS, label=_("Go to Datasets"), icon=":material/photo_library:")
    st.stop()

cloned = clones.cloned_run()
settings, aside = st.columns([11, 4], gap="large")
with settings:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        dataset_id = st.selectbox(
            _("Dataset"),
            list(datasets),
            list(datasets).index(links.asked_choice("dataset", datasets, next(iter(datasets)))),
            # The id tells datasets of the same name and size apart: the browser sends words back.
            format_func=lambda key: _("{name} · {count} samples · {id}").format(
                name=datasets[key].name, count=formats.count(datasets[key].num_samples), id=key
            ),
            key="train_dataset",
            on_change=links.remember,
            args=("dataset", "train_dataset"),
        )
        name = st.text_input(
            _("Name of the run"),
            placeholder=_("made from dataset and recipe"),
            max_chars=100,
            key="train_name",
        )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen_recipe = st.segmented_control(
            _("Recipe"),
            list(recipe_notes()),
            default=DEFAULT_RECIPE,
            required=True,
            key="recipe",
            bind="query-params",
        )
        minutes = st.number_input(
            _("Time budget (minutes)"),
            value=None if cloned is None else cloned.config.schedule.max_minutes,
            step=5.0,
            format="%g",
            placeholder=_("as long as the epochs take"),
            help=_(
                "Train for this long; the whole schedule is stretched or shrunk to it. Runs can "
                "then be compared at equal time."
            ),
            key="train_minutes" if cloned is None else f"train_minutes_{cloned.id}",
            width=260,
        )
    recipe_name = chosen_recipe or DEFAULT_RECIPE  # `?recipe=` in the address chooses none
    st.caption(recipe_notes()[recipe_name])
    taken_over = None
    if cloned is not None and cloned.config.recipe == recipe_name:
        taken_over = cloned, clones.settings_of(cloned)
    form = read_form(datasets[dataset_id], recipe_name, minutes, taken_over)
    if cloned is not None:
        clones.banner(cloned, form)
    with st.container(gap="xsmall"):
        fields.why_these_settings(form)
        fields.settings(form)

with aside:
    st.subheader(_("This run"))
    found = outlook.outlook(form)
    if found is None:
        st.stop()
    start = st.button(
        _("Start training"), type="primary", icon=":material/play_arrow:", width="stretch"
    )
    outlook.changes(form)
    outlook.warnings(form, found)
    outlook.numbers(found)
    outlook.rates(found)

with settings:
    trials.trials(form, found.config)

if start:
    try:
        run_id = submit_training(
            reads.workbench(),
            form.dataset.id,
            found.config,
            reasons=form.reasons_that_hold(),
            name=name.strip() or None,
            actor=reads.actor(),
        )
    except WorkbenchError as error:
        st.toast(formats.plain(error_text(error)), icon=":material/error:")
        st.stop()
    links.open_run(run_id)
