"""The plots. One look, one colour per run or class on every page."""

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from engine.events import EpochRecord
from engine.store.datasets import Dataset
from pages.common.texts import _, class_word

RUN_COLORS = (
    "#0072b2",
    "#e69f00",
    "#009e73",
    "#cc79a7",
    "#56b4e9",
    "#d55e00",
    "#8a63d2",
    "#7f8c3a",
)
"""Okabe & Ito's colours, apart for colour-blind eyes, and two more."""

_HEIGHT_PX = 300


def loss_curves(records: Sequence[EpochRecord], num_planned: int) -> go.Figure:
    """Training and validation loss of one run."""
    epochs = [record.epoch for record in records]
    figure = _epoch_figure(_("Loss"), max(num_planned, len(records)))
    for name, values, color in (
        (_("training"), [record.train_loss for record in records], RUN_COLORS[0]),
        (_("validation"), [record.val_loss for record in records], RUN_COLORS[1]),
    ):
        figure.add_trace(_line(epochs, values, name, color))
    return figure


def dice_curves(records: Sequence[EpochRecord], dataset: Dataset, num_planned: int) -> go.Figure:
    """Validation Dice of one run: the mean over images, and each class."""
    epochs = [record.epoch for record in records]
    figure = _epoch_figure(_("Validation Dice"), max(num_planned, len(records)))
    figure.update_yaxes(range=[0, 1.02])
    if sum(not entry.background for entry in dataset.classes) > 1:
        mean = [record.val_dice for record in records]
        figure.add_trace(_line(epochs, mean, _("mean image Dice"), RUN_COLORS[0]))
    for entry in dataset.classes:
        values = [record.val_class_dice[entry.index] for record in records]
        name = class_word(entry)
        line = _line(epochs, values, plotly_text(name), class_color(dataset, entry.index))
        if entry.background:
            line.line.dash = "dot"
        figure.add_trace(line)
    best = [record for record in records if record.is_best]
    if best:
        figure.add_vline(
            x=best[-1].epoch,
            line={"dash": "dash", "width": 1, "color": "#888888"},
            annotation_text=_("best"),
            annotation={"xanchor": "right", "yanchor": "bottom", "y": 0},
        )
    return figure


def run_curves(
    title: str,
    curves: Mapping[str, tuple[Sequence[int], Sequence[float]]],
    *,
    is_share: bool,
) -> go.Figure:
    """One line per run, in the order of `curves`, by epoch."""
    num_epochs = max((epochs[-1] for epochs, _values in curves.values() if epochs), default=1)
    figure = _epoch_figure(title, num_epochs)
    if is_share:
        figure.update_yaxes(range=[0, 1.02])
    for position, (name, (epochs, values)) in enumerate(curves.items()):
        figure.add_trace(_line(epochs, values, plotly_text(name), run_color(position)))
    return figure


def run_color(position: int) -> str:
    """The colour of the n-th run of a comparison."""
    return RUN_COLORS[position % len(RUN_COLORS)]


def class_color(dataset: Dataset, index: int) -> str:
    """A class's colour in a plot: its own, but grey for background, which is black in masks."""
    entry = dataset.classes[index]
    return "#8c8c8c" if entry.background else entry.color


def _epoch_figure(title: str, num_epochs: int) -> go.Figure:
    """An empty plot over the epochs, as wide as the training will be, so that no tick moves."""
    figure = go.Figure()
    lay_out(figure, title, height_px=_HEIGHT_PX)
    figure.update_xaxes(
        title_text=_("epoch"),
        range=[0, num_epochs * 1.02],
        tickformat="d",
        dtick=1 if num_epochs <= 10 else None,
    )
    return figure


def lay_out(figure: go.Figure, title: str, height_px: int) -> None:
    """Title, size and legend as on every plot."""
    figure.update_layout(
        title={"text": title, "font": {"size": 15}},
        height=height_px,
        margin={"l": 8, "r": 8, "t": 44, "b": 8},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "xanchor": "right", "x": 1.0},
        hovermode="x unified" if not figure.data else "closest",
    )


def _line(x: Sequence[int], y: Sequence[float | None], name: str, color: str) -> go.Scatter:
    return go.Scatter(
        x=list(x),
        y=list(y),
        name=name,
        mode="lines+markers" if len(x) < 40 else "lines",
        line={"color": color, "width": 2},
        marker={"size": 5},
        hovertemplate="%{y:.4f}",
    )


def plotly_text(text: str) -> str:
    """A person's text for Plotly, which reads some HTML."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
