"""The tables of the storage page, as pure functions of what lies in the home."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pandas as pd
import streamlit as st

from engine.jobs.storage import CacheStorage, DatasetStorage, RunStorage
from pages.common.tables import status_text
from pages.common.texts import _


def kind_words() -> dict[str, str]:
    """What takes room, by the names of `engine.jobs.storage.Storage.by_kind`."""
    return {
        "weights": _("Best weights"),
        "states": _("Training states"),
        "pictures": _("Pictures of runs"),
        "datasets": _("Datasets"),
        "caches": _("Prepared images"),
        "imports": _("Uploads and imports"),
        "logs": _("Logs"),
        "database": _("Database"),
        "other": _("Other"),
    }


def runs_table(found: Sequence[RunStorage]) -> pd.DataFrame:
    """One row per run."""
    return pd.DataFrame(
        [
            {
                "name": each.run.name,
                "dataset": each.run.dataset_name,
                "status": status_text(each.run.job),
                "used": _local(each.run.job.ended_at),
                "weights": each.weights_bytes or None,
                "state": each.state_bytes or None,
                "pictures": each.pictures_bytes or None,
                "log": each.log_bytes or None,
                "total": each.total_bytes,
                "expires": _local(each.state_expires_at),
            }
            for each in found
        ]
    )


def run_columns() -> dict[str, Any]:
    """How the table of runs looks."""
    return {
        "name": st.column_config.TextColumn(_("Run"), width="medium"),
        "dataset": st.column_config.TextColumn(_("Dataset")),
        "status": st.column_config.TextColumn(_("Status"), width="small"),
        "used": _moment(_("Ended")),
        "weights": _size(_("Best weights")),
        "state": _size(
            _("Training state"),
            help_text=_("What the run needs to be resumed or trained further."),
        ),
        "pictures": _size(_("Pictures")),
        "log": _size(_("Log")),
        "total": _size(_("All")),
        "expires": st.column_config.DateColumn(
            _("State kept until"),
            format="YYYY-MM-DD",
            width="small",
            help=_("On this day the training state is removed by itself."),
        ),
    }


def datasets_table(found: Sequence[DatasetStorage]) -> pd.DataFrame:
    """One row per dataset."""
    return pd.DataFrame(
        [
            {
                "name": each.dataset.name,
                "samples": each.dataset.num_samples,
                "files": each.files_bytes,
                "cache": each.cache_bytes or None,
                "sizes": ", ".join(map(_size_word, each.caches)),
                "used": _local(max((cache.used_at for cache in each.caches), default=None)),
                "expires": _local(
                    max(
                        (cache.expires_at for cache in each.caches if cache.expires_at),
                        default=None,
                    )
                ),
            }
            for each in found
        ]
    )


def dataset_columns() -> dict[str, Any]:
    """How the table of datasets looks."""
    return {
        "name": st.column_config.TextColumn(_("Dataset"), width="medium"),
        "samples": st.column_config.NumberColumn(_("Samples"), format="localized", width="small"),
        "files": _size(_("Images and masks")),
        "cache": _size(
            _("Prepared images"),
            help_text=_("Decoded once at the sizes that trainings want; they can be made anew."),
        ),
        "sizes": st.column_config.TextColumn(_("Prepared at")),
        "used": _moment(_("Last used")),
        "expires": st.column_config.DateColumn(
            _("Kept until"),
            format="YYYY-MM-DD",
            width="small",
            help=_("On this day the last of them are removed by themselves, unless used again."),
        ),
    }


def _size_word(cache: CacheStorage) -> str:
    word = _("own sizes") if cache.name == "native" else _("{size} px").format(size=cache.name)
    return _("{size} (in use)").format(size=word) if cache.is_in_use else word


def _local(moment: float | None) -> datetime | None:
    return None if moment is None else datetime.fromtimestamp(moment)


def _moment(label: str) -> Any:
    return st.column_config.DatetimeColumn(label, format="YYYY-MM-DD HH:mm", width="small")


def _size(label: str, *, help_text: str | None = None) -> Any:
    return st.column_config.NumberColumn(label, format="bytes", width="small", help=help_text)
