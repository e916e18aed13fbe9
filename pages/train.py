"""Train: choose a dataset and a recipe, change what you like, queue it."""

import streamlit as st

from engine.config import RECIPES, config_warnings, with_changes
from engine.datasets.splits import leaks
from engine.errors import Refused, WorkbenchError
from engine.jobs.queue import checked_split, config_parameters, submit_training
from pages.common import formats, links, reads
from pages.common.parts import empty_state
from pages.common.settings_form import changed_settings, settings_form
from pages.common.texts import _, error_text

RECIPE_NOTES = {
    "tutorial": _(
        "The plain U-Net of the PyTorch tutorial: 256×256, four levels from 64 to 512 channels, "
        "binary cross-entropy, Adam. The baseline to beat; slow on a CPU."
    ),
    "quick": _(
        "A small U-Net with batch normalisation, Dice + cross-entropy and flips: useful overlays "
        "within minutes, on a CPU too."
    ),
}

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

form, aside = st.columns([3, 1], gap="large")
with form:
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
        chosen_recipe = st.segmented_control(
            _("Recipe"),
            list(RECIPES),
            default="quick",
            required=True,
            key="recipe",
            bind="query-params",
        )
        name = st.text_input(
            _("Name of the run"),
            placeholder=_("made from dataset and recipe"),
            max_chars=100,
            key="train_name",
        )
    recipe_name = chosen_recipe or "quick"  # `?recipe=` in the address chooses none
    st.caption(RECIPE_NOTES[recipe_name])
    values = settings_form(recipe_name, num_columns=3)

dataset = datasets[dataset_id]
with aside:
    st.subheader(_("This run"))
    try:
        config = with_changes(RECIPES[recipe_name], values)
        split = checked_split(reads.samples(dataset.id), config.split)
    except Refused as error:
        st.error(formats.plain(error_text(error)), icon=":material/error:")
        st.page_link(
            links.DATASET,
            label=_("See the leak and fix it"),
            icon=":material/build:",
            query_params={"dataset": dataset.id, "view": "quality"},
        )
        st.stop()
    except WorkbenchError as error:
        st.error(formats.plain(error_text(error)), icon=":material/error:")
        st.stop()
    left, right = st.columns(2)
    left.metric(_("Training"), len(split["train"]), help=_("Samples the network learns from."))
    right.metric(_("Validation"), len(split["val"]), help=_("Samples that choose the best epoch."))
    left.metric(
        _("Test"), len(split["test"]), help=_("Samples that no epoch looks at: the honest score.")
    )
    steps = -(-len(split["train"]) // config.schedule.batch_size)
    right.metric(_("Steps per epoch"), steps)
    st.metric(_("Parameters"), formats.count(config_parameters(config, dataset)))
    changed = changed_settings(recipe_name, values)
    st.caption(
        _("Changed from the recipe: {settings}").format(settings=", ".join(changed))
        if changed
        else _("Settings as in the recipe.")
    )
    leaking = leaks(reads.samples(dataset.id), split)
    if leaking:
        st.warning(
            _(
                "{count} samples have copies in another part of the split; the scores will be "
                "too good."
            ).format(count=formats.count(sum(map(len, leaking)))),
            icon=":material/warning:",
        )
    for warning in config_warnings(config, len(dataset.classes)):
        st.warning(_(warning), icon=":material/info:")
    if len(split["val"]) < 3:
        st.warning(
            _("With {count} validation samples the best epoch is chosen almost by chance.").format(
                count=len(split["val"])
            ),
            icon=":material/info:",
        )
    if st.button(
        _("Start training"), type="primary", icon=":material/play_arrow:", width="stretch"
    ):
        run_id = submit_training(
            reads.workbench(), dataset.id, config, name=name.strip() or None, actor=reads.actor()
        )
        links.open_run(run_id)
