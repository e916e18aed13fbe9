"""Some samples as the import would store them, under the plan as it is now."""

import streamlit as st

from engine.datasets.pairing import Pair
from engine.datasets.plan import ImportPlan
from engine.datasets.preview import Preview
from engine.errors import WorkbenchError
from engine.notes import Note
from pages.common import formats
from pages.common.gallery import Item, gallery
from pages.common.review import archives, classes, samples
from pages.common.review.context import Review
from pages.common.review.pairs_view import look_again
from pages.common.texts import _, gallery_texts, record_text, viewer_texts
from pages.common.viewer import Layer, Pane, viewer

_TILE_PX = 384
_LARGE_PX = 1280


def samples_view(review: Review) -> None:
    """A few samples with their masks, and others on demand."""
    pairs = archives.inspected_pairs(review.draft.id)
    masks = review.masks
    if masks is None or not pairs:
        look_again(review)
        return
    plan = review.plan.model_copy(update={"masks": masks})
    draw_key = review.key("draw")
    shown = samples.positions(len(pairs), st.session_state.get(draw_key, 0))
    previews = {number: preview_of(review, pairs[number], plan, _TILE_PX) for number in shown}
    titles = formats.without_shared_folders([pairs[number].sample for number in shown])
    chosen = gallery(
        [
            item(review, number, title, pairs[number], previews[number])
            for number, title in zip(shown, titles, strict=True)
        ],
        key=review.key("gallery"),
        texts=gallery_texts(_("Preview of {count} samples")),
        selected=None,
        height_px=560,
    )
    with st.container(horizontal=True, wrap=False, vertical_alignment="center"):
        with st.container(key="review_legend"):
            st.html(samples.legend_html(classes.legend(masks)))
        if len(pairs) > samples.NUM_SHOWN:
            st.button(
                _("Others"),
                icon=":material/shuffle:",
                on_click=draw_others,
                args=(draw_key,),
                key=review.key("others"),
            )
    for number, title in zip(shown, titles, strict=True):
        # What is merely cut or resized is told beside the choice.
        if previews[number].mask_png is None:
            st.caption(
                f":material/info: **{formats.plain(title)}**: {note_text(previews[number].note)}"
            )
    if chosen is not None and previews[chosen].image_webp is not None:
        enlarge(review, pairs[chosen], plan)


def preview_of(review: Review, pair: Pair, plan: ImportPlan, longest_side_px: int) -> Preview:
    """A preview; where not even the archive can be read, one that says so."""
    try:
        return archives.sample_preview(review.draft.id, pair, plan, longest_side_px)
    except WorkbenchError as error:
        note = Note(error.message, error.facts)
        return Preview(image_webp=None, mask_png=None, note=note)


def item(review: Review, number: int, title: str, pair: Pair, preview: Preview) -> Item:
    """One tile."""
    assert review.found is not None
    width, height = review.found.headers[pair.image].upright_size
    badges = []
    if preview.mask_png is None and preview.image_webp is not None:
        badges.append((_("left out"), "red"))
    elif preview.note is not None and preview.mask_png is not None:
        is_cut = review.plan.images.on_size_mismatch == "crop"
        badges.append((_("cut") if is_cut else _("resized"), "orange"))
    return Item(
        position=number,
        title=title,
        thumb_url=samples.image_url(preview),
        mask_url=samples.mask_url(preview),
        width_px=width,
        height_px=height,
        badges=tuple(badges),  # type: ignore[arg-type]
    )


@st.dialog(_("Sample"), width="large")
def enlarge(review: Review, pair: Pair, plan: ImportPlan) -> None:
    """One sample, large."""
    assert review.found is not None and plan.masks is not None
    preview = preview_of(review, pair, plan, _LARGE_PX)
    width, height = review.found.headers[pair.image].upright_size
    layers = [Layer(name="image", title=_("Image"), url=samples.image_url(preview))]
    mask_url = samples.mask_url(preview)
    if mask_url is not None:
        legend = tuple((color, name) for name, color in classes.legend(plan.masks).items())
        layers.append(Layer(name="mask", title=_("Mask"), url=mask_url, legend=legend))
    viewer(
        [Pane(title=pair.sample, layers=tuple(layers), width_px=width, height_px=height)],
        key=review.key("viewer"),
        texts=viewer_texts(),
        shown=("image", "mask"),
    )
    if preview.note is not None:
        st.caption(note_text(preview.note))


def draw_others(draw_key: str) -> None:
    """Callback: look at other samples."""
    st.session_state[draw_key] = st.session_state.get(draw_key, 0) + 1


def note_text(note: Note | None) -> str:
    """A note as markdown."""
    return formats.plain(record_text(note.to_record())) if note else ""
