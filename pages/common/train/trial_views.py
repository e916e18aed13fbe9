"""What came out of a trial, drawn."""

import html
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from engine.store.jobs import Job
from pages.common import charts, formats, links
from pages.common.texts import _, speed_text
from pages.common.train.form import Form

View = Callable[[Form, Job, Mapping[str, Any]], None]

_NO_BAR = {"displayModeBar": False}


def pictures(form: Form, job: Job, found: Mapping[str, Any]) -> None:
    """One row for each sample: as it is, as it is changed, and its weights."""
    weights: Sequence[str | None] = found["weights"] or [None] * len(found["files"])
    rows = []
    for files, weight in zip(found["files"], weights, strict=True):
        cells = [_picture(job, files[0], _("as it is"))]
        cells += [_picture(job, file, _("changed")) for file in files[1:]]
        cells += [_picture(job, weight, _("weights in the loss"))] if weight else []
        rows.append("".join(cells))
    columns = max(len(files) for files in found["files"]) + bool(found["weights"])
    st.html(
        f'<div style="display:grid;grid-template-columns:repeat({columns},minmax(0,1fr));'
        f'gap:6px;max-width:{150 * columns}px">{"".join(rows)}</div>'
    )
    st.caption(
        _("Left as it is, then as the network may be shown it; no two epochs show the same.")
    )


def speed(form: Form, job: Job, found: Mapping[str, Any]) -> None:
    """How long it will take, and whether it fits."""
    with st.container(horizontal=True):
        st.metric(
            _("Whole training"),
            formats.duration(found["total_seconds"]),
            help=_("The time budget or, without one, the training steps alone."),
        )
        st.metric(
            _("An epoch"),
            formats.duration(found["seconds_per_epoch"]),
            help=_("The training steps alone: without augmentation and validation."),
        )
        st.metric(_("Images per second"), f"{found['images_per_second']:.3g}")
        st.metric(_("Memory"), formats.file_size(found["memory_bytes"]), help=_("Estimated."))
    facts = [
        speed_text(found),
        _("compiled") if found["compiled"] else "",
        _("{seconds:.3g} s per step").format(seconds=found["seconds_per_step"]),
        _("{size} of memory free").format(size=formats.file_size(found["free_bytes"])),
    ]
    st.caption(" · ".join(fact for fact in facts if fact))
    if not found["fits"]:
        st.warning(
            _("This may end for want of memory. Choose a smaller batch, or smaller images."),
            icon=":material/warning:",
        )


def overfit(form: Form, job: Job, found: Mapping[str, Any]) -> None:
    """Whether the network can learn at all."""
    if found["passed"]:
        st.markdown(
            _(":green[:material/check_circle:] The network learned the batch by heart: it can ")
            + _("learn these masks.")
        )
    elif found["passed"] is None:
        st.info(
            _(
                "Only {num} steps fit into the time of the trial, too few to tell. Try a smaller "
                "batch or smaller images."
            ).format(num=len(found["losses"])),
            icon=":material/info:",
        )
    else:
        st.warning(
            _(
                "The loss on a single batch hardly fell. Try another learning rate, look at the "
                "preview pictures, and see whether the masks fit the images."
            ),
            icon=":material/warning:",
        )
    st.plotly_chart(
        charts.overfit_curve(found["losses"]),
        key="train_overfit",
        alt=_("Loss while one batch is learned by heart"),
        config=_NO_BAR,
    )


def rates(form: Form, job: Job, found: Mapping[str, Any]) -> None:
    """Where the loss falls fastest, with a button that takes that rate."""
    suggestion = found["suggestion"]
    st.plotly_chart(
        charts.rate_curve(found["rates"], found["losses"], suggestion),
        key="train_rate_curve",
        alt=_("Loss by learning rate"),
        config=_NO_BAR,
    )
    if suggestion is None:
        st.caption(_("The loss fell at no rate, so none can be suggested."))
        return
    # Two digits are all that such a curve can tell.
    rate = float(f"{suggestion:.2g}")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(
            _("Suggested: **{rate:g}**").format(rate=rate),
            width="content",
            help=_("A tenth of the rate at which the loss was lowest."),
        )
        st.button(
            _("Use it"),
            icon=":material/check:",
            on_click=use_rate,
            args=(form, rate),
            disabled=form.values["learning_rate"] == rate,
            key="train_use_rate",
        )


def use_rate(form: Form, rate: float) -> None:
    """Callback: put a learning rate into the form."""
    st.session_state[form.key("learning_rate")] = rate


def _picture(job: Job, file: str, label: str) -> str:
    url, text = html.escape(links.preflight_file(job.id, file)), html.escape(label)
    return (
        f'<figure style="margin:0"><img src="{url}" alt="{text}" '
        'style="width:100%;border-radius:4px;display:block">'
        f'<figcaption style="font-size:0.75rem;opacity:0.65">{text}</figcaption></figure>'
    )
