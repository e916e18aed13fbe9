"""What a machine was doing while it worked: present numbers, and small plots over time."""

import time
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any

import streamlit as st

from engine.jobs.monitor import SAMPLE_SECONDS
from engine.store.machine_samples import KEPT_SECONDS, MachineSample
from engine.store.runs import Run
from pages.common import charts, formats, reads
from pages.common.texts import _

_HOUR_SECONDS = 3600.0
_LIVE_SECONDS = 10.0
_FRESH_SECONDS = 60.0
"""A sample that is no older says what the machine does now."""
_MAX_POINTS = 300
_MIN_GAP_SECONDS = 150.0
"""Without a sample for so long, a line is broken; old samples stand a minute apart."""
_CHARTS_A_ROW = 3
_GB = 1e9
_NO_BAR = {"displayModeBar": False}

Points = list[tuple[float, float]]
"""Moments in Unix seconds and values."""
Curve = tuple[list[float], list[float | None]]


@st.fragment(run_every=_LIVE_SECONDS)
def last_hour() -> None:
    """The last hour of a machine with a worker, read anew while the page is open."""
    now = time.time()
    panel(now - _HOUR_SECONDS, now)


def panel_of_run(run: Run) -> None:
    """What the machine of a run was doing from the run's start to its end."""
    job = run.job
    if job.started_at is None:
        st.caption(_("The machine is measured once the run has started."))
        return
    # Only the start of the newest attempt is known.
    start = job.started_at if job.attempts == 1 else run.created_at
    panel(start, job.ended_at or time.time(), (job.handle or {}).get("host"))


def panel(start: float, end: float, host: str | None = None) -> None:
    """What a machine was doing in a time, in Unix seconds.

    Args:
        host: its name; None lets the reader choose when several were measured.
    """
    hosts = reads.machine_hosts(start, end) if host is None else [host]
    shown = _chosen(hosts) if hosts else None
    samples = [] if shown is None else reads.machine_states(shown, start, end)
    if not samples:
        st.caption(_nothing(start, end))
        return
    is_now = time.time() - samples[-1].at < _FRESH_SECONDS
    with st.container(horizontal=True):
        for label, value, meaning in _numbers(samples[-1:] if is_now else samples):
            st.metric(label, value, border=True, help=meaning)
    st.caption(_about(samples, is_now=is_now))
    figures = _figures(samples, (start, end))
    for first in range(0, len(figures), _CHARTS_A_ROW):
        row = figures[first : first + _CHARTS_A_ROW]
        for column, (key, figure) in zip(st.columns(_CHARTS_A_ROW), row, strict=False):
            column.plotly_chart(figure, key=key, alt=figure.layout.title.text, config=_NO_BAR)


def means(points: Sequence[tuple[float, float]], start: float, end: float) -> Curve:
    """Values over time as few enough points to draw: the mean of each of 300 equal parts.

    Where nothing was measured, the line is broken.
    """
    width = max((end - start) / _MAX_POINTS, 1e-9)
    parts: dict[int, Points] = {}
    for moment, value in points:
        parts.setdefault(int((moment - start) / width), []).append((moment, value))
    drawn = [
        (_mean(moment for moment, _value in part), _mean(value for _moment, value in part))
        for _number, part in sorted(parts.items())
    ]
    moments: list[float] = [moment for moment, _value in drawn[:1]]
    values: list[float | None] = [value for _moment, value in drawn[:1]]
    gap_seconds = max(_MIN_GAP_SECONDS, 3 * width)
    for (last, _value), (moment, value) in pairwise(drawn):
        if moment - last > gap_seconds:
            moments.append((last + moment) / 2)
            values.append(None)
        moments.append(moment)
        values.append(value)
    return moments, values


def _chosen(hosts: Sequence[str]) -> str:
    if len(hosts) == 1:
        return hosts[0]
    chosen = st.segmented_control(
        _("Machine"),
        hosts,
        default=hosts[0],
        required=True,
        key="machine_host",
        label_visibility="collapsed",
    )
    return chosen or hosts[0]


def _nothing(start: float, end: float) -> str:
    if end < time.time() - KEPT_SECONDS:
        return _("What the machine did is kept for {days} days, and this is longer ago.").format(
            days=round(KEPT_SECONDS / 86_400)
        )
    if time.time() - end < _FRESH_SECONDS < end - start:
        return _(
            "Nothing was measured in this time, because no worker ran. A worker measures its "
            "machine every {seconds} s; it starts with the next job."
        ).format(seconds=round(SAMPLE_SECONDS))
    return _(
        "Nothing was measured in this time: no worker ran, or it was over within {seconds} s."
    ).format(seconds=round(SAMPLE_SECONDS))


def _about(samples: Sequence[MachineSample], *, is_now: bool) -> str:
    last = samples[-1]
    names = [gpu["name"] for gpu in last.gpus]
    devices = [
        name if names.count(name) == 1 else f"{names.count(name)} × {name}"
        for name in dict.fromkeys(names)
    ] or [_("no GPU")]
    if is_now:
        when = _("now")
    else:
        when = _("mean from {start} to {end}").format(
            start=formats.moment(samples[0].at), end=formats.moment(last.at)
        )
    facts = [last.host, *devices, when]
    return " · ".join(map(formats.plain, facts))


def _numbers(samples: Sequence[MachineSample]) -> list[tuple[str, str, str]]:
    """Label, value and meaning of what stands above the plots: means over the samples."""
    found = []
    gpus = [gpu for sample in samples for gpu in sample.gpus]
    num_gpus = max(len(sample.gpus) for sample in samples)

    def over_gpus(name: str) -> float | None:
        known = [gpu[name] for gpu in gpus if gpu[name] is not None]
        return _mean(known) if known else None

    utilization, temperature_c = over_gpus("utilization"), over_gpus("temperature_c")
    used, total = over_gpus("memory_used_bytes"), over_gpus("memory_total_bytes")
    power_w = over_gpus("power_w")
    if utilization is not None:
        meaning = _("Share of time in which a GPU computed; the mean of all GPUs.")
        found.append((_("GPU busy"), f"{utilization:.0%}", meaning))
    if used is not None and total is not None:
        meaning = _("Used memory of all GPUs together.")
        found.append((_("GPU memory"), _of(used * num_gpus, total * num_gpus), meaning))
    if temperature_c is not None:
        meaning = _("Temperature; the mean of all GPUs.")
        found.append((_("GPU temperature"), f"{temperature_c:.0f} °C", meaning))
    if power_w is not None:
        meaning = _("Power drawn by all GPUs together.")
        found.append((_("GPU power"), f"{power_w * num_gpus:.0f} W", meaning))
    meaning = _("Share of all cores that was busy.")
    found.append((_("Processor"), f"{_mean(each.cpu_share for each in samples):.0%}", meaning))
    used = _mean(each.memory_used_bytes for each in samples)
    meaning = _("Main memory that is used, of the machine or of what its container may use.")
    found.append((_("Memory"), _of(used, samples[-1].memory_total_bytes), meaning))
    if samples[-1].disk_total_bytes:
        meaning = _("Free space on the disk of the workbench, at the end of the time.")
        found.append((_("Free disk"), formats.file_size(samples[-1].disk_free_bytes), meaning))
    return found


def _figures(samples: Sequence[MachineSample], span: tuple[float, float]) -> list[tuple[str, Any]]:
    """Key and figure of each plot for which something was measured."""
    memory_top = max(each.memory_total_bytes for each in samples) / _GB
    gpu_tops = [gpu["memory_total_bytes"] or 0 for each in samples for gpu in each.gpus]
    gpu_top = max(gpu_tops, default=0) / _GB
    main = _("Processor")
    wanted = [
        ("gpu", _("GPU busy"), _gpu_lines(samples, "utilization"), 1.0, ".0%", ""),
        (
            "gpu_memory", _("GPU memory (GB)"), _gpu_lines(samples, "memory_used_bytes", _GB),
            gpu_top, ".3~g", "",
        ),
        ("gpu_heat", _("GPU temperature"), _gpu_lines(samples, "temperature_c"), None, ".0f", "°C"),
        ("cpu", main, _line(samples, lambda each: each.cpu_share), 1.0, ".0%", ""),
        (
            "memory", _("Memory (GB)"), _line(samples, lambda each: each.memory_used_bytes / _GB),
            memory_top, ".3~g", "",
        ),
        (
            "disk", _("Free disk (GB)"), _line(samples, lambda each: each.disk_free_bytes / _GB),
            None, ".4~g", "",
        ),
    ]  # fmt: skip
    figures = []
    for key, title, lines, top, number_format, unit in wanted:
        curves = {name: means(points, *span) for name, points in lines.items() if points}
        if curves:
            figure = charts.machine_curve(
                title, curves, span, top=top, number_format=number_format, unit=unit
            )
            figures.append((f"machine_{key}", figure))
    return figures


def _line(
    samples: Sequence[MachineSample], value: Callable[[MachineSample], float]
) -> dict[str, Points]:
    return {"": [(each.at, value(each)) for each in samples]}


def _gpu_lines(samples: Sequence[MachineSample], name: str, unit: float = 1.0) -> dict[str, Points]:
    """One line for each GPU; a value that a GPU did not say is left out."""
    lines: dict[str, Points] = {}
    for each in samples:
        for index, gpu in enumerate(each.gpus):
            if gpu[name] is not None:
                label = _("GPU {index}").format(index=index)
                lines.setdefault(label, []).append((each.at, gpu[name] / unit))
    return lines


def _of(used_bytes: float, total_bytes: float) -> str:
    used, total = used_bytes / _GB, total_bytes / _GB
    return f"{used:.1f} / {total:.0f} GB" if used < 10 else f"{used:.0f} / {total:.0f} GB"


def _mean(values: Iterable[float]) -> float:
    known = list(values)
    return sum(known) / len(known)
