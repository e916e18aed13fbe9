"""What the run will be: its samples, its network, its learning rate, and what to look out for."""

from dataclasses import dataclass

import streamlit as st

from engine.config import TrainConfig, doubtful_settings, ignored_settings, preview, steps_per_epoch
from engine.datasets.splits import leaks
from engine.errors import Refused, WorkbenchError
from engine.jobs import queue
from engine.jobs.forecast import Forecast, forecast
from engine.store.runs import Split
from pages.common import charts, formats, links, reads
from pages.common.texts import _, choice_word, error_text, note_text
from pages.common.train.fields import setting_title
from pages.common.train.form import Form

_NUM_RATES = 120
_MAX_TITLES = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class Outlook:
    """A training that can be started."""

    config: TrainConfig
    split: Split
    forecast: Forecast


def outlook(form: Form) -> Outlook | None:
    """What the training will be made of; None, and the reason on the page, if it cannot be."""
    try:
        if form.problem is not None:
            raise form.problem
        split = queue.checked_split(reads.samples(form.dataset.id), form.config.split)
        costs = forecast(form.config, form.dataset)
    except WorkbenchError as error:
        st.error(formats.plain(error_text(error)), icon=":material/error:")
        if isinstance(error, Refused):
            st.page_link(
                links.DATASET,
                label=_("See the leak and fix it"),
                icon=":material/build:",
                query_params={"dataset": form.dataset.id, "view": "quality"},
            )
        return None
    return Outlook(config=form.config, split=split, forecast=costs)


def numbers(found: Outlook) -> None:
    """Samples, network and cost as big numbers."""
    split, costs, config = found.split, found.forecast, found.config
    left, right = st.columns(2)
    left.metric(_("Training"), len(split["train"]), help=_("Samples the network learns from."))
    right.metric(_("Validation"), len(split["val"]), help=_("Samples that choose the best epoch."))
    left.metric(
        _("Test"), len(split["test"]), help=_("Samples that no epoch looks at: the honest score.")
    )
    right.metric(_("Steps per epoch"), steps_per_epoch(config, len(split["train"])))
    left.metric(_("Parameters"), formats.count(costs.num_parameters))
    right.metric(
        _("Sees around a pixel"),
        formats.MISSING
        if costs.receptive_field_px is None
        else _("{size} px").format(size=costs.receptive_field_px),
        help=_("Width of the part of the image that can change one pixel of the result."),
    )
    left.metric(
        _("Work per image"),
        _("{number:.3g} GFLOP").format(number=costs.forward_flops / 1e9),
        help=_("Arithmetic to predict one image; learning from it takes three times as much."),
    )
    right.metric(
        _("Memory"),
        formats.file_size(costs.memory_bytes),
        help=_("Estimated for one step. {size} are there on this machine ({device}).").format(
            size=formats.file_size(reads.machine().memory_bytes),
            device=formats.plain(reads.machine().device_name),
        ),
    )


def rates(found: Outlook) -> None:
    """How the learning rate will run."""
    points = preview(found.config.optimizer, found.config.schedule, _NUM_RATES)
    st.plotly_chart(
        charts.rate_preview(points),
        key="train_rates",
        alt=_("Learning rate over the epochs"),
        config={"displayModeBar": False},
    )
    if found.config.optimizer.lr_schedule == "plateau":
        st.caption(_("It falls when validation stops improving."))


def changes(form: Form) -> None:
    """Which settings are no longer as proposed."""
    titles = [setting_title(name) for name in form.changed()]
    more = len(titles) - _MAX_TITLES
    if more > 1:
        titles = [*titles[:_MAX_TITLES], _("{num} more").format(num=more)]
    if form.cloned is None:
        changed, unchanged = (
            _("Changed from the recipe: {settings}"),
            _("Settings as in the recipe."),
        )
    else:
        changed = _("Changed from the cloned run: {settings}")
        unchanged = _("Settings as in the cloned run.")
    st.caption(changed.format(settings=", ".join(titles)) if titles else unchanged)


def warnings(form: Form, found: Outlook) -> None:
    """What is likely to disappoint."""
    leaking = leaks(reads.samples(form.dataset.id), found.split)
    if leaking:
        st.warning(
            _(
                "{count} samples have copies in another part of the split; the scores will be "
                "too good."
            ).format(count=formats.count(sum(map(len, leaking)))),
            icon=":material/warning:",
        )
    machine = reads.machine()
    is_here = found.config.compute.device in ("auto", machine.device)
    if is_here and found.forecast.memory_bytes > machine.memory_bytes:
        st.warning(
            _(
                "A step needs about {need}, and there are {size} ({device}). Choose a smaller "
                "batch, or smaller images."
            ).format(
                need=formats.file_size(found.forecast.memory_bytes),
                size=formats.file_size(machine.memory_bytes),
                device=formats.plain(choice_word(machine.device)),
            ),
            icon=":material/warning:",
        )
    profile = reads.profile(form.dataset.id, found.split)
    notes = doubtful_settings(found.config, profile)
    for note in [*ignored_settings(found.config, len(form.dataset.classes)), *notes]:
        st.warning(formats.plain(note_text(note)), icon=":material/info:")
