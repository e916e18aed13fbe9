"""The plots. One look, one colour per run or class on every page."""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import plotly.graph_objects as go

from engine.events import EpochRecord
from engine.store.datasets import ClassEntry, Dataset
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
_SMALL_HEIGHT_PX = 210
_TINY_HEIGHT_PX = 150
_BAR_HEIGHT_PX = 96
_MAX_IN_LEGEND = 6


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
        _add_class(figure, dataset, entry, epochs, [each.val_class_dice for each in records])
    _hide_many_names(figure)
    best = [record for record in records if record.is_best]
    if best:
        figure.add_vline(
            x=best[-1].epoch,
            line={"dash": "dash", "width": 1, "color": "#888888"},
            annotation_text=_("best"),
            annotation={"xanchor": "right", "yanchor": "bottom", "y": 0},
        )
    return figure


def iou_curves(records: Sequence[EpochRecord], dataset: Dataset, num_planned: int) -> go.Figure:
    """Validation IoU of one run: the mean over images and, where it was recorded, each class."""
    epochs = [record.epoch for record in records]
    figure = _epoch_figure(_("Validation IoU"), max(num_planned, len(records)))
    figure.update_yaxes(range=[0, 1.02])
    has_classes = all(record.val_class_iou for record in records)
    if not has_classes or sum(not entry.background for entry in dataset.classes) > 1:
        mean = [record.val_iou for record in records]
        figure.add_trace(_line(epochs, mean, _("mean image IoU"), RUN_COLORS[0]))
    for entry in dataset.classes if has_classes else ():
        _add_class(figure, dataset, entry, epochs, [each.val_class_iou for each in records])
    _hide_many_names(figure)
    return figure


def epoch_curve(
    records: Sequence[EpochRecord],
    title: str,
    values: Sequence[float | None],
    num_planned: int,
    *,
    is_share: bool = False,
) -> go.Figure:
    """One number of each epoch, in a small plot.

    Args:
        is_share: the values are shares, 0 to 1, and shown in per cent.
    """
    figure = _epoch_figure(title, max(num_planned, len(records)))
    line = _line([record.epoch for record in records], values, title, RUN_COLORS[0])
    line.hovertemplate = "%{y:.1%}<extra></extra>" if is_share else "%{y:.4~g}<extra></extra>"
    figure.add_trace(line)
    figure.update_layout(height=_SMALL_HEIGHT_PX, showlegend=False, hovermode="x", margin={"t": 40})
    figure.update_xaxes(title_text="", nticks=5)
    figure.update_yaxes(rangemode="tozero", nticks=4)
    if is_share:
        figure.update_yaxes(range=[0, 1.02], tickformat=".0%")
    return figure


def machine_curve(
    title: str,
    lines: Mapping[str, tuple[Sequence[float], Sequence[float | None]]],
    span: tuple[float, float],
    *,
    top: float | None,
    number_format: str,
    unit: str = "",
) -> go.Figure:
    """What a machine was doing over a time, in a small plot.

    Args:
        lines: by name, the moments in Unix seconds and the values; None breaks a line.
        span: the time, also where nothing was measured, in Unix seconds.
        top: the end of the scale; None for that of the values.
        number_format: of the values, as D3 writes it.
    """
    figure = go.Figure()
    lay_out(figure, title, height_px=_SMALL_HEIGHT_PX)
    ending = f" {unit}" if unit else ""
    for position, (name, (moments, values)) in enumerate(lines.items()):
        times = [datetime.fromtimestamp(moment) for moment in moments]
        line = _line(times, values, plotly_text(name), run_color(position))
        shown_name = plotly_text(name) if len(lines) > 1 else ""
        line.hovertemplate = f"%{{y:{number_format}}}{ending}<extra>{shown_name}</extra>"
        figure.add_trace(line)
    has_legend = 1 < len(lines) <= _MAX_IN_LEGEND
    figure.update_layout(showlegend=has_legend, margin={"t": 62 if has_legend else 40})
    figure.update_xaxes(range=list(map(datetime.fromtimestamp, span)), nticks=5)
    figure.update_yaxes(rangemode="tozero", nticks=4, tickformat=number_format, ticksuffix=ending)
    if top is not None:
        figure.update_yaxes(range=[0, top * 1.02])
    return figure


def parts_bar(parts: Mapping[str, int], size_text: Callable[[int], str]) -> go.Figure:
    """How much of a whole each part takes, as one bar whose legend tells the sizes.

    Args:
        size_text: says a size in words.
    """
    figure = go.Figure()
    lay_out(figure, "", height_px=_BAR_HEIGHT_PX)
    for position, (name, size) in enumerate(parts.items()):
        figure.add_bar(
            x=[size],
            y=[""],
            orientation="h",
            name=f"{plotly_text(name)} {size_text(size)}",
            marker={"color": run_color(position) if position < len(RUN_COLORS) else "#8c8c8c"},
            hovertemplate=f"{size_text(size)}<extra>{plotly_text(name)}</extra>",
        )
    figure.update_layout(
        barmode="stack",
        hovermode="closest",
        margin={"t": 4, "b": 4},
        legend={"yanchor": "top", "y": -0.1, "xanchor": "left", "x": 0, "traceorder": "normal"},
    )
    figure.update_xaxes(visible=False, range=[0, sum(parts.values()) or 1])
    figure.update_yaxes(visible=False)
    return figure


def rate_preview(points: Sequence[tuple[float, float]]) -> go.Figure:
    """The learning rate over a training that has not begun."""
    epochs, rates = [epoch for epoch, _rate in points], [rate for _epoch, rate in points]
    figure = go.Figure()
    lay_out(figure, _("Learning rate"), height_px=_TINY_HEIGHT_PX)
    line = _line(epochs, rates, _("Learning rate"), RUN_COLORS[0])
    line.update(mode="lines", hovertemplate="%{x:.1f}: %{y:.2~g}<extra></extra>")
    figure.add_trace(line)
    figure.update_layout(title={"font": {"size": 13}}, showlegend=False, margin={"t": 30})
    figure.update_xaxes(title_text=_("epoch"), title_font_size=11, nticks=5)
    figure.update_yaxes(rangemode="tozero", nticks=3, tickformat=".2~g")
    return figure


def overfit_curve(losses: Sequence[float]) -> go.Figure:
    """The loss while one batch is learned by heart."""
    steps = list(range(1, len(losses) + 1))
    figure = go.Figure()
    lay_out(figure, _("One batch, again and again"), height_px=_SMALL_HEIGHT_PX)
    figure.add_trace(_line(steps, losses, _("loss"), RUN_COLORS[0]))
    figure.update_xaxes(title_text=_("step"))
    figure.update_yaxes(rangemode="tozero")
    return figure


def rate_curve(
    rates: Sequence[float], losses: Sequence[float], suggestion: float | None
) -> go.Figure:
    """The loss at rising learning rates, and the rate that suggests itself."""
    figure = go.Figure()
    lay_out(figure, _("Loss by learning rate"), height_px=_SMALL_HEIGHT_PX)
    line = _line(rates, losses, _("loss"), RUN_COLORS[0])
    line.update(mode="lines", hovertemplate="%{x:.2~g}: %{y:.4f}<extra></extra>")
    figure.add_trace(line)
    figure.update_layout(showlegend=False, hovermode="closest")
    figure.update_xaxes(title_text=_("learning rate"), type="log", dtick=1, exponentformat="power")
    # What explodes at the end would press all else flat.
    finite = [loss for loss in losses if math.isfinite(loss)]
    if finite:
        low, first = min(finite), finite[0]
        room = 0.15 * max(first - low, 1e-3)
        figure.update_yaxes(range=[low - room, first + 2 * room])
    if suggestion is not None:
        # Plotly places shapes on a logarithmic axis by the value itself, texts by its logarithm.
        figure.add_vline(x=suggestion, line={"dash": "dash", "width": 1, "color": "#888888"})
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


def _hide_many_names(figure: go.Figure) -> None:
    """Of many lines the names would lie over the plot; hovering shows them."""
    figure.update_layout(showlegend=len(figure.data) <= _MAX_IN_LEGEND)


def _add_class(
    figure: go.Figure,
    dataset: Dataset,
    entry: ClassEntry,
    epochs: Sequence[int],
    scores: Sequence[Sequence[float | None]],
) -> None:
    """The line of one class; `scores` by epoch and class."""
    values = [each[entry.index] for each in scores]
    name = plotly_text(class_word(entry))
    line = _line(epochs, values, name, class_color(dataset, entry.index))
    if entry.background:
        line.line.dash = "dot"
    figure.add_trace(line)


def _epoch_figure(title: str, num_epochs: int) -> go.Figure:
    """An empty plot over the epochs, as wide as the training will be, so that no tick moves."""
    figure = go.Figure()
    lay_out(figure, title, height_px=_HEIGHT_PX)
    # The title above the names of the lines, which may be as wide as the plot.
    figure.update_layout(margin={"t": 62})
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


def _line(x: Sequence[Any], y: Sequence[float | None], name: str, color: str) -> go.Scatter:
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
