"""The plots of a dataset: what its classes, objects and images are like."""

import math
from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from engine.store.datasets import Dataset, Sample
from pages.common.charts import class_color, lay_out, plotly_text
from pages.common.dataset_numbers import Part, histogram
from pages.common.texts import _, class_word, split_word

PART_COLORS: Mapping[str, str] = {
    "train": "#0b6e75",
    "val": "#58a6ab",
    "test": "#a9d3d5",
}
"""Shades of one colour, as the others are the classes'."""

_HEIGHT_PX = 260
_BAR_COLOR = "#0072b2"
_MAX_IN_LEGEND = 5
_WIDE = 20
"""Ratio of the largest to the smallest value from which on an axis is logarithmic."""


def class_shares(dataset: Dataset, parts: Mapping[str, Part]) -> go.Figure:
    """Share of the pixels of each class, as one bar per part of the split."""
    figure = go.Figure()
    labels = {"all": _("all"), **{name: split_word(name) for name in parts if name != "all"}}
    for entry in dataset.classes:
        name = plotly_text(class_word(entry))
        shares = [part.class_share[entry.index] for part in parts.values()]
        figure.add_trace(
            go.Bar(
                name=name,
                y=[labels[part] for part in parts],
                x=shares,
                orientation="h",
                marker={"color": class_color(dataset, entry.index)},
                text=[f"{share:.1%}" if share > 0.06 else "" for share in shares],
                textposition="inside",
                insidetextanchor="middle",
                hovertemplate=name + ", %{y}: %{x:.2%}<extra></extra>",
            )
        )
    _lay_out_bars(figure, _("Share of the pixels"), dataset)
    # Of many classes the names would lie over the title; the table below the plot has them too.
    figure.update_layout(barmode="stack", showlegend=len(dataset.classes) <= _MAX_IN_LEGEND)
    return figure


def images_showing(dataset: Dataset, parts: Mapping[str, Part]) -> go.Figure:
    """Share of each part's images that show each class, as one bar per part."""
    figure = go.Figure()
    classes = [plotly_text(class_word(entry)) for entry in dataset.classes]
    for name, part in parts.items():
        if name == "all":
            continue
        label = split_word(name)
        figure.add_trace(
            go.Bar(
                name=label,
                y=classes,
                x=[number / part.num_samples for number in part.images_showing],
                customdata=part.images_showing,
                orientation="h",
                marker={"color": PART_COLORS[name]},
                hovertemplate=f"%{{y}}, {label}: %{{x:.1%}} (%{{customdata}})<extra></extra>",
            )
        )
    _lay_out_bars(figure, _("Share of the images that show it"), dataset)
    figure.update_layout(barmode="group")
    return figure


def distribution(
    values: Sequence[float], title: str, unit: str, *, as_share: bool = False, log: bool = False
) -> go.Figure:
    """How many samples have which value.

    Args:
        log: whether orders of magnitude may be told apart; only where there are several.
    """
    log = log and min(values) > 0 and max(values) / min(values) >= _WIDE
    left, right, counts = histogram(values, logarithmic=log)
    number = ".0%" if as_share else ",.4~g"
    figure = go.Figure(
        go.Bar(
            x=[(low + high) / 2 for low, high in zip(left, right, strict=True)],
            width=[high - low for low, high in zip(left, right, strict=True)],
            y=counts,
            marker={"color": _BAR_COLOR, "line": {"width": 0.5, "color": "#ffffff"}},
            customdata=list(zip(left, right, strict=True)),
            hovertemplate=f"%{{customdata[0]:{number}}} … %{{customdata[1]:{number}}}: "
            f"%{{y}}<extra></extra>",
        )
    )
    lay_out(figure, title, _HEIGHT_PX)
    figure.update_xaxes(title_text=unit, tickformat=".0%" if as_share else None)
    if log:
        figure.update_xaxes(type="log", tickvals=_round_numbers(left[0], right[-1]))
    figure.update_yaxes(title_text=_("images"), rangemode="tozero")
    return figure


def _round_numbers(low: float, high: float) -> list[float]:
    """1, 2 and 5 times the powers of ten, as far as they lie between; the fewer the wider."""
    steps = (1, 2, 5) if high / low < 1000 else (1,)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [step * 10.0**power for power in powers for step in steps]


def image_sizes(samples: Sequence[Sample]) -> go.Figure:
    """Width and height of the images; a larger mark is more images."""
    counts: dict[tuple[int, int], int] = {}
    for sample in samples:
        size = sample.width, sample.height
        counts[size] = counts.get(size, 0) + 1
    most = max(counts.values())
    figure = go.Figure(
        go.Scatter(
            x=[width for width, _height in counts],
            y=[height for _width, height in counts],
            mode="markers",
            marker={
                "size": [7 + 21 * (number / most) ** 0.5 for number in counts.values()],
                "color": _BAR_COLOR,
                "opacity": 0.65,
            },
            customdata=list(counts.values()),
            hovertemplate="%{x}×%{y}: %{customdata}<extra></extra>",
        )
    )
    lay_out(figure, _("Image sizes"), _HEIGHT_PX)
    figure.update_xaxes(title_text=_("width in pixels"), rangemode="tozero")
    figure.update_yaxes(title_text=_("height in pixels"), rangemode="tozero")
    return figure


def _lay_out_bars(figure: go.Figure, title: str, dataset: Dataset) -> None:
    """Shares from left to right; as high as its neighbour, whatever stands in the rows."""
    lay_out(figure, title, max(250, 110 + 46 * len(dataset.classes)))
    figure.update_layout(
        legend={"traceorder": "normal", "y": 1.02, "itemwidth": 30},
        hovermode="closest",
        margin={"r": 24},
    )
    figure.update_xaxes(range=[0, 1.001], tickformat=".0%", tickvals=[0, 0.25, 0.5, 0.75, 1])
    figure.update_yaxes(autorange="reversed")
