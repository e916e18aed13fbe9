"""What is in a draft's archive: the cached access of the review, as `pages.common.reads` elsewhere.

Keys of the caches begin with the database's URL, and hold when the file that was read was written,
so that another look into an archive is seen at once.
"""

import json
from collections.abc import Sequence

import streamlit as st

from engine.datasets.archive import Source, open_source
from engine.datasets.importer import expand_pages
from engine.datasets.inspection import Inspection
from engine.datasets.pairing import Pair, Proposal, by_patterns, propose
from engine.datasets.plan import ImagePlan, ImportPlan, MaskPlan, PairingPlan
from engine.datasets.preview import Preview, SizeMismatch, preview
from engine.datasets.preview import size_mismatches as size_mismatches_of
from engine.errors import BadData
from engine.jobs import imports
from pages.common.reads import draft, workbench
from pages.common.review import split


def is_readable(draft_id: str) -> bool:
    """Whether a draft's archive could be opened."""
    return _written_at(imports.names_key(draft_id)) > 0


def archive_names(draft_id: str) -> Sequence[str]:
    """The files in a draft's archive; empty while it could not be opened."""
    key = imports.names_key(draft_id)
    return _archive_names(workbench().database.url, key, _written_at(key))


def proposals(draft_id: str) -> Sequence[Proposal]:
    """How the names in a draft's archive can be paired, likeliest first; empty if not at all."""
    key = imports.names_key(draft_id)
    return _proposals(workbench().database.url, key, _written_at(key))


def proposal(draft_id: str, pairing: PairingPlan) -> Proposal | None:
    """What a pairing plan pairs; None when there is no such proposal. Raises `BadSetting`."""
    if pairing.image_pattern:
        key = imports.names_key(draft_id)
        patterns = pairing.image_pattern, pairing.mask_pattern
        return _by_patterns(workbench().database.url, key, _written_at(key), *patterns)
    known = {each.key: each for each in proposals(draft_id)}
    if pairing.proposal is None:
        return next(iter(known.values()), None)
    return known.get(pairing.proposal)


def inspection(draft_id: str) -> Inspection | None:
    """What the last look into a draft's archive found; None before there was one."""
    key = imports.inspection_key(draft_id)
    written_at = _written_at(key)
    return _inspection(workbench().database.url, key, written_at) if written_at else None


def inspected_pairs(draft_id: str) -> Sequence[Pair]:
    """The pairs that the last look was at, each page of a multi-page file as one of its own."""
    key = imports.inspection_key(draft_id)
    return _inspected_pairs(workbench().database.url, draft_id, _written_at(key))


def num_inspected(draft_id: str) -> int:
    """How many pairs the last look was at."""
    key = imports.inspection_key(draft_id)
    return _num_inspected(workbench().database.url, draft_id, _written_at(key))


def size_mismatches(draft_id: str) -> Sequence[SizeMismatch]:
    """The pairs of the last look whose image and mask are not equally large."""
    key = imports.inspection_key(draft_id)
    return _size_mismatches(workbench().database.url, draft_id, _written_at(key))


def sample_preview(draft_id: str, pair: Pair, plan: ImportPlan, longest_side_px: int) -> Preview:
    """One sample of a draft as the import would store it. Raises `BadArchive`, `Refused`."""
    assert plan.masks is not None
    return _preview(
        workbench().database.url,
        draft_id,
        _written_at(imports.inspection_key(draft_id)),
        repr(pair),
        plan.images.model_dump_json(),
        plan.masks.model_dump_json(),
        longest_side_px,
        pair,
    )


def split_outcome(draft_id: str, pairs: Sequence[Pair], plan: ImportPlan) -> split.Outcome:
    """What a plan's split gives for its pairs. Raises `BadData`, `BadSetting`."""
    return _split_outcome(
        workbench().database.url,
        draft_id,
        _written_at(imports.inspection_key(draft_id)),
        plan.pairing.model_dump_json(),
        plan.groups.model_dump_json(),
        plan.split.model_dump_json(),
        pairs,
        plan,
    )


def split_suggestion(
    draft_id: str, pairs: Sequence[Pair], plan: ImportPlan
) -> split.Suggestion | None:
    """What the names of a plan's pairs suggest to keep together."""
    return _split_suggestion(
        workbench().database.url,
        draft_id,
        _written_at(imports.inspection_key(draft_id)),
        plan.pairing.model_dump_json(),
        pairs,
    )


def close_archive(draft_id: str) -> None:
    """Let go of a draft's archive, so that its file can be removed."""
    _archive.clear(workbench().database.url, draft_id)


def _written_at(key: str) -> int:
    """When a file of the home was last written, in nanoseconds; 0 when it is not there."""
    try:
        return workbench().files.path(key).stat().st_mtime_ns
    except FileNotFoundError:
        return 0


@st.cache_resource(max_entries=4, show_spinner=False)
def _archive_names(database_url: str, key: str, written_at: int) -> tuple[str, ...]:
    if not written_at:
        return ()
    return tuple(json.loads(workbench().files.path(key).read_text(encoding="utf-8")))


@st.cache_resource(max_entries=4, show_spinner=False)
def _proposals(database_url: str, key: str, written_at: int) -> tuple[Proposal, ...]:
    try:
        return propose(_archive_names(database_url, key, written_at)).proposals
    except BadData:
        return ()


@st.cache_resource(max_entries=8, show_spinner=False)
def _by_patterns(
    database_url: str, key: str, written_at: int, image_pattern: str, mask_pattern: str
) -> Proposal:
    return by_patterns(_archive_names(database_url, key, written_at), image_pattern, mask_pattern)


@st.cache_resource(max_entries=4, show_spinner=False)
def _inspection(database_url: str, key: str, written_at: int) -> Inspection | None:
    try:
        return Inspection.load(workbench().files.path(key))
    except (LookupError, TypeError, ValueError):
        # Written by another version: the archive is to be looked into again.
        return None


@st.cache_resource(max_entries=4, show_spinner=False)
def _inspected_pairs(database_url: str, draft_id: str, written_at: int) -> tuple[Pair, ...]:
    found = inspection(draft_id)
    looked_at = proposal(draft_id, found.plan.pairing) if found else None
    if found is None or looked_at is None:
        return ()
    return tuple(expand_pages(looked_at.pairs, found.headers)[0])


@st.cache_resource(max_entries=256, show_spinner=False)
def _num_inspected(database_url: str, draft_id: str, written_at: int) -> int:
    # A number of its own, because a list of drafts must not load what was found in each of them.
    found = inspection(draft_id)
    looked_at = proposal(draft_id, found.plan.pairing) if found else None
    return len(looked_at.pairs) if looked_at else 0


@st.cache_resource(max_entries=4, show_spinner=False)
def _size_mismatches(database_url: str, draft_id: str, written_at: int) -> tuple[SizeMismatch, ...]:
    found = inspection(draft_id)
    pairs = inspected_pairs(draft_id)
    return tuple(size_mismatches_of(pairs, found.headers)) if found else ()


@st.cache_resource(max_entries=8, show_spinner=False)
def _split_outcome(
    database_url: str,
    draft_id: str,
    written_at: int,
    pairing: str,
    groups: str,
    config: str,
    _pairs: Sequence[Pair],
    _plan: ImportPlan,
) -> split.Outcome:
    return split.outcome(_pairs, _plan.split, _plan.groups)


@st.cache_resource(max_entries=8, show_spinner=False)
def _split_suggestion(
    database_url: str, draft_id: str, written_at: int, pairing: str, _pairs: Sequence[Pair]
) -> split.Suggestion | None:
    return split.suggestion(_pairs)


@st.cache_resource(max_entries=4, show_spinner=False, on_release=lambda source: source.close())
def _archive(database_url: str, draft_id: str) -> Source:
    folder = workbench().files.path(imports.draft_folder(draft_id))
    return open_source(imports.source_path(workbench(), draft(draft_id)), scratch=folder)


@st.cache_resource(max_entries=128, show_spinner=False)
def _preview(
    database_url: str,
    draft_id: str,
    written_at: int,
    pair_key: str,
    images: str,
    masks: str,
    longest_side_px: int,
    _pair: Pair,
) -> Preview:
    found = inspection(draft_id)
    assert found is not None
    plan = ImportPlan(
        images=ImagePlan.model_validate_json(images), masks=MaskPlan.model_validate_json(masks)
    )
    try:
        source = _archive(database_url, draft_id)
        return preview(source, _pair, found.headers, plan, longest_side_px=longest_side_px)
    except ValueError:
        # Another session closed it, because it discards or imports the draft.
        close_archive(draft_id)
        source = _archive(database_url, draft_id)
        return preview(source, _pair, found.headers, plan, longest_side_px=longest_side_px)
