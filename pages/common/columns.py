"""How the columns of the tables look: the same thing looks the same on every page."""

from typing import Any

import streamlit as st

from engine.store.datasets import Dataset
from pages.common.texts import _, class_word, score_rules

SCORE_FORMAT = "%.3f"


def thumbnail(label: str) -> Any:
    """A small picture."""
    return st.column_config.ImageColumn(label, width="small")


def score(label: str, *, help_text: str | None = None) -> Any:
    """A Dice or IoU."""
    return st.column_config.NumberColumn(
        label, format=SCORE_FORMAT, help=help_text or score_rules(), width="small"
    )


def share(label: str, *, num_digits: int = 1) -> Any:
    """A share of something, in per cent from 0 to 100."""
    return st.column_config.NumberColumn(label, format=f"%.{num_digits}f %%")


def class_columns(dataset: Dataset, *, as_share: bool = False) -> dict[str, Any]:
    """One column per class, background marked."""
    found = {}
    for entry in dataset.classes:
        label = class_word(entry)
        found[f"class_{entry.index}"] = share(label) if as_share else score(label)
    return found


def summary_columns(dataset: Dataset, label: str) -> dict[str, Any]:
    """The headline scores."""
    return {
        "label": st.column_config.TextColumn(label),
        "mean_image_dice": score(_("Mean image Dice")),
        "pooled_dice": score(_("Pooled Dice")),
        "mean_image_iou": score(_("Mean image IoU")),
        **class_columns(dataset),
        "images": st.column_config.NumberColumn(_("Images"), width="small"),
    }
