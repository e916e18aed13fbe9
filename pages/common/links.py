"""Every page and every URL, built and read in one place.

Query parameters: `dataset`, `run`, `import` (a draft), `image` (a sample's position), `view`,
`split`, `recipe`, `clone` (a run whose settings are taken over), `trial` (jobs that tried
settings), and `runs` of the comparison; of a dataset's samples also `class` (an index), `size`
(`640x480`), `finding` (a key), `name` (a part of it) and `layout`; of the list of runs `find` (a
part of a name), `status`, `tag`, `owner` and `archived`. They are permalinks: old ones must go on
working.
"""

from collections.abc import Collection
from pathlib import Path

import streamlit as st

_PAGES = Path(__file__).parents[1]

LOGO = _PAGES / "logo.svg"
ICON = _PAGES / "icon.svg"

DATASETS = "datasets.py"
DATASET = "dataset.py"
REVIEW = "review.py"
TRAIN = "train.py"
RUNS = "runs.py"
RUN = "run.py"
COMPARE = "compare.py"
QUEUE = "queue.py"
STORAGE = "storage.py"

_MAX_TRIALS = 8


def open_dataset(dataset_id: str) -> None:
    """Go to a dataset."""
    st.switch_page(DATASET, query_params={"dataset": dataset_id})


def open_review(draft_id: str) -> None:
    """Go to an import that is looked at before anything is stored."""
    st.switch_page(REVIEW, query_params={"import": draft_id})


def open_run(run_id: str) -> None:
    """Go to a run."""
    st.switch_page(RUN, query_params={"run": run_id})


def open_comparison(run_ids: list[str]) -> None:
    """Go to a comparison of runs."""
    st.switch_page(COMPARE, query_params={"runs": run_ids})


def open_training(dataset_id: str) -> None:
    """Go to the settings of a new run."""
    st.switch_page(TRAIN, query_params={"dataset": dataset_id})


def open_clone(run_id: str, dataset_id: str, recipe: str) -> None:
    """Go to the settings of a new run that begin as those of another."""
    st.switch_page(TRAIN, query_params={"clone": run_id, "dataset": dataset_id, "recipe": recipe})


def asked_for(name: str) -> str | None:
    """A query parameter of the page, if it is there."""
    return st.query_params.get(name)


def asked_choice(name: str, options: Collection[str], default: str) -> str:
    """A query parameter that must be one of some options, else the default."""
    value = st.query_params.get(name)
    return value if value in options else default


def asked_choices(name: str, options: Collection[str]) -> list[str]:
    """The values of a repeated query parameter that are among the options, each once."""
    return [value for value in dict.fromkeys(st.query_params.get_all(name)) if value in options]


def asked_image() -> int | None:
    """The sample position in the URL, if there is a sensible one."""
    value = st.query_params.get("image", "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else None


def remember_image(position: int) -> None:
    """Put the selected sample into the URL."""
    if asked_image() != position:
        st.query_params["image"] = str(position)


def asked_trials() -> list[str]:
    """The ids of the jobs in the URL that tried settings, the newest first."""
    return list(dict.fromkeys(reversed(st.query_params.get_all("trial"))))[:_MAX_TRIALS]


def remember_trial(job_id: str) -> None:
    """Put a job that tries settings into the URL."""
    st.query_params["trial"] = [*reversed(asked_trials()[: _MAX_TRIALS - 1]), job_id]


def clear(*names: str) -> None:
    """Take query parameters out of the URL."""
    for name in names:
        st.query_params.pop(name, None)


def remember(name: str, key: str, default: object = None) -> None:
    """Callback of a widget: put its value into the URL, or take it out when it is the default.

    Widgets are not bound to the URL directly, because that would put their labels there: a link
    must not change with a run's name or the reader's language.
    """
    value = st.session_state[key]
    if value in (None, [], default):
        st.query_params.pop(name, None)
    else:
        st.query_params[name] = value if isinstance(value, list) else str(value)


def dataset_file(dataset_id: str, kind: str, file_name: str) -> str:
    """URL of a dataset's picture; kind is one of `engine.web.routes.DATASET_KINDS`."""
    return _media(f"datasets/{dataset_id}/{kind}/{file_name}")


def run_file(run_id: str, kind: str, file_name: str, scored_at: float | None) -> str:
    """URL of a run's picture; kind is one of `engine.web.routes.RUN_KINDS`.

    Browsers keep pictures for good, and a run that is trained further is scored anew: the time is
    part of the address.
    """
    version = f"?v={scored_at:.3f}" if scored_at is not None else ""
    return _media(f"runs/{run_id}/{kind}/{file_name}") + version


def preflight_file(job_id: str, file_name: str) -> str:
    """URL of a picture that a trial before a training has drawn."""
    return _media(f"preflights/{job_id}/pictures/{file_name}")


def upload_routes() -> str:
    """Path of the routes that take in files."""
    return f"{base_path()}/api/uploads"


def base_path() -> str:
    """Path the server is reached under, such as `/workbench`; "" at the root."""
    base = st.get_option("server.baseUrlPath").strip("/")
    return f"/{base}" if base else ""


def _media(path: str) -> str:
    return f"{base_path()}/api/media/{path}"
