"""Registering a browser component: its script and style, with what all components share."""

from pathlib import Path
from typing import Any

import streamlit as st

_HERE = Path(__file__).parent


def component(name: str) -> Any:
    """The function that shows the component in `pages/common/<name>/`."""
    own = _HERE / name
    # Style: the shared one first, so that a component's own overrides it. Script: its imports, if
    # it had any, would have to come first.
    return st.components.v2.component(
        f"workbench_{name}",
        css=_text(_HERE / "components.css") + _text(own / f"{name}.css"),
        js=_text(own / f"{name}.js") + _text(_HERE / "components.js"),
    )


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
