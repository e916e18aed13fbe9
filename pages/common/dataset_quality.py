"""What is wrong with a dataset, with a fix where there is one, and how it was imported."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from engine.datasets.plan import MaskPlan, parse_plan
from engine.datasets.quality.findings import Finding
from engine.store.datasets import Dataset
from pages.common import dataset_findings, dataset_samples, dataset_versions, formats, reads
from pages.common.review.classes import role_word, values_text
from pages.common.texts import _, record_text

_ROW = (5, 2)
"""Widths of a finding's sentence and of what can be done."""


def view(dataset: Dataset) -> None:
    """The findings, the gravest first, and the story of the import."""
    report = reads.report(dataset.id)
    findings = reads.findings(dataset.id)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(_summary(findings), width="stretch")
        st.download_button(
            _("Report as JSON"),
            lambda: dataset_findings.report_json(dataset, report),
            file_name=f"{dataset.name} report.json",
            mime="application/json",
            icon=":material/download:",
            on_click="ignore",
            key="dataset_report",
        )
    if findings:
        with st.container(border=True, gap="xsmall"):
            for name, finding in dataset_findings.identified(findings).items():
                _finding(dataset, name, finding)
    _import(dataset, report)


def errors(dataset: Dataset) -> None:
    """The gravest findings, for the other views, and the way to all of them."""
    for name, finding in dataset_findings.identified(reads.findings(dataset.id)).items():
        if finding.severity == "error":
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                st.markdown(_words(finding), width="content")
                st.button(
                    _("See and fix"),
                    key=f"dataset_error_{name}",
                    type="tertiary",
                    icon=":material/build:",
                    on_click=dataset_samples.switch_view,
                    args=(dataset, "quality"),
                )


def _summary(findings: tuple[Finding, ...]) -> str:
    counts = {name: dataset_findings.count_of(findings, name) for name in dataset_findings.ICONS}
    if not any(counts.values()):
        return _(":green[:material/check_circle:] **Nothing to report.** No problem was found.")
    plural = {"error": _("errors"), "warning": _("warnings"), "note": _("notes")}
    return " · ".join(
        f"{dataset_findings.ICONS[name]} **{num}** "
        + (dataset_findings.severity_word(name) if num == 1 else plural[name])
        for name, num in counts.items()
        if num
    )


def _finding(dataset: Dataset, name: str, finding: Finding) -> None:
    change = dataset_findings.change_for(finding, dataset)
    text, actions = st.columns(_ROW, vertical_alignment="center")
    text.markdown(_words(finding))
    with actions, st.container(horizontal=True, horizontal_alignment="right", gap="small"):
        if finding.samples:
            st.button(
                _("Show {num}").format(num=formats.count(len(finding.samples))),
                key=f"dataset_show_{name}",
                icon=":material/visibility:",
                type="tertiary",
                on_click=dataset_samples.show,
                args=(dataset,),
                kwargs={"finding": name},
            )
        if change is not None:
            dataset_versions.fix_button(
                dataset,
                change,
                dataset_findings.fix_word(finding),
                key=f"dataset_fix_{name}",
                is_urgent=finding.severity == "error",
            )


def _words(finding: Finding) -> str:
    return f"{dataset_findings.ICONS[finding.severity]} {dataset_findings.sentence(finding.note)}"


def _import(dataset: Dataset, report: Mapping[str, Any]) -> None:
    st.subheader(_("How it was imported"))
    facts, left_out = st.columns(2, gap="large")
    with facts:
        st.markdown(_pairing_words(dataset, report))
        masks = None if dataset.plan is None else parse_plan(dataset.plan).masks
        if masks is not None:
            st.markdown(_meaning_words(masks))
            st.dataframe(_rules(masks), hide_index=True)
    with left_out:
        _left_out(dataset, report)


def _pairing_words(dataset: Dataset, report: Mapping[str, Any]) -> str:
    rule = report.get("rule") or ""
    text = rule if isinstance(rule, str) else record_text(rule)
    words = _("**{pairs} pairs.** {rule}").format(
        pairs=formats.count(report.get("pairs", dataset.num_samples)), rule=formats.plain(text)
    )
    if report.get("confidence") is not None:
        words += " " + _("Confidence {share:.0%}.").format(share=report["confidence"])
    return words


def _meaning_words(masks: MaskPlan) -> str:
    words = {
        "values": _("**Masks:** every grey value or palette index is a class."),
        "colors": _("**Masks:** every colour is a class."),
        "threshold": _("**Masks:** values from {threshold} on are foreground.").format(
            threshold=masks.threshold
        ),
        "instances": _("**Masks:** every object has a number; all objects are one class."),
    }[masks.meaning]
    if masks.nearest:
        words += " " + _("Values between those of the classes count as the nearest one.")
    return words


def _rules(masks: MaskPlan) -> dict[str, list[str]]:
    return {
        _("Value in the files"): [values_text(masks, rule) for rule in masks.classes],
        _("Class"): [rule.name for rule in masks.classes],
        _("Role"): [role_word(rule.role) for rule in masks.classes],
    }


def _left_out(dataset: Dataset, report: Mapping[str, Any]) -> None:
    num = dataset_findings.num_left_out(report)
    if not num:
        st.markdown(_(":green[:material/check:] Every picture was used."))
        return
    table = dataset_findings.left_out_table(report)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(
            _("**{num} files** were left out.").format(num=formats.count(num)), width="stretch"
        )
        st.download_button(
            _("Left out as CSV"),
            table.to_csv(index=False),
            file_name=f"{dataset.name}-left-out.csv",
            mime="text/csv",
            icon=":material/download:",
            on_click="ignore",
            key="dataset_left_out",
        )
    st.dataframe(
        table,
        hide_index=True,
        height=300 if len(table) > 8 else "content",
        column_config={"file": _("File"), "why": _("Why")},
    )
