"""Pairs: which mask belongs to which image, and what is done with images that are special."""

from typing import get_args

import streamlit as st

from engine.datasets import pairing
from engine.datasets.pairing import Proposal
from engine.datasets.plan import ImagePlan, ImportPlan, PairingPlan
from engine.errors import WorkbenchError
from engine.jobs.imports import submit_inspection
from pages.common import formats, reads
from pages.common.review import archives, changes, pairs
from pages.common.review.context import Review
from pages.common.review.rows import refuse
from pages.common.texts import _

_OWN = "own"
"""The choice of a rule that a person writes."""
_TABLE_HEIGHT_PX = 280


def pairs_view(review: Review) -> None:
    """The proposals, the rule, what it gives, and what is special about the pictures."""
    if proposals_list(review) == _OWN:
        own_rule(review)
    if review.problem:
        st.error(formats.plain(review.problem), icon=":material/error:")
    if review.proposal is not None:
        result(review, review.proposal)
    if review.is_inspected:
        sizes(review)
        channels(review)


def proposals_list(review: Review) -> str:
    """One of the proposals, or a rule of one's own; returns which."""
    proposals = {each.key: each for each in archives.proposals(review.draft.id)}
    options = [*proposals, _OWN]
    plan = review.plan.pairing
    key = review.key("proposal")
    changes.follow(key, _OWN if plan.image_pattern else plan.proposal or options[0])
    if st.session_state[key] not in options:
        st.session_state[key] = options[0]
    chosen = st.radio(
        _("Which masks are the truth?")
        if len(proposals) > 1
        else _("Which mask belongs to which image?"),
        options,
        format_func=lambda option: (
            _("Another rule") if option == _OWN else pairs.proposal_title(proposals[option])
        ),
        captions=[
            *(
                pairs.proposal_caption(each, proposals.get(st.session_state[key]))
                for each in proposals.values()
            ),
            _("Choose the folders, or write what the names look like."),
        ],
        key=key,
        on_change=choose,
        args=(review,),
    )
    return chosen or _OWN


def choose(review: Review) -> None:
    """Callback of the list: put the proposal, or a rule to begin with, into the plan."""
    chosen = st.session_state[review.key("proposal")]
    plan = PairingPlan(proposal=chosen)
    if chosen == _OWN:
        image_pattern, mask_pattern = first_patterns(review)
        plan = PairingPlan(image_pattern=image_pattern, mask_pattern=mask_pattern)
    review.change(lambda now: now.model_copy(update={"pairing": plan}))


def first_patterns(review: Review) -> tuple[str, str]:
    """The patterns that the person starts from: the present rule's where it can be written so."""
    suggested = pairing.suggest_patterns(review.proposal) if review.proposal else None
    if suggested is not None:
        return suggested
    folders = list(pairs.folders(archives.archive_names(review.draft.id))) or [""]
    return pairing.folder_patterns(folders[0], folders[-1], "", "")


def own_rule(review: Review) -> None:
    """Folders and suffixes write the patterns; the patterns are what counts."""
    folders = pairs.folders(archives.archive_names(review.draft.id))
    with st.container(border=True):
        for who, label, suffix_label in (
            ("image", _("Folder of the images"), _("Their names end in")),
            ("mask", _("Folder of the masks"), _("Their names end in")),
        ):
            left, right = st.columns([3, 2])
            left.selectbox(
                label,
                list(folders),
                index=None,
                format_func=lambda folder: _("{folder} · {num} pictures").format(
                    folder=folder or "/", num=formats.count(folders[folder])
                ),
                placeholder=_("Choose a folder"),
                key=changes.key_of_turn(review.key(f"{who}_folder")),
                on_change=folders_chosen,
                args=(review,),
            )
            right.text_input(
                suffix_label,
                placeholder=_("_mask") if who == "mask" else "",
                key=changes.key_of_turn(review.key(f"{who}_suffix")),
                on_change=folders_chosen,
                args=(review,),
                help=_("What follows the part that image and mask have in common."),
            )
        plan = review.plan.pairing
        changes.follow(review.key("image_pattern"), plan.image_pattern)
        changes.follow(review.key("mask_pattern"), plan.mask_pattern)
        meaning = _(
            "`{id}` stands for what image and mask have in common, `*` for anything within a "
            "name, `**` for any folders."
        )
        for name, label in (("image", _("Image pattern")), ("mask", _("Mask pattern"))):
            st.text_input(
                label,
                key=review.key(f"{name}_pattern"),
                on_change=patterns_typed,
                args=(review,),
                help=meaning,
                max_chars=1000,
            )
        problem = st.session_state.get(review.key("pairing_problem"))
        if problem:
            st.error(problem, icon=":material/error:")


def folders_chosen(review: Review) -> None:
    """Callback of folders and suffixes: write the patterns, once both folders are chosen."""
    chosen = {
        name: st.session_state.get(changes.key_of_turn(review.key(name)))
        for name in ("image_folder", "mask_folder", "image_suffix", "mask_suffix")
    }
    if chosen["image_folder"] is None or chosen["mask_folder"] is None:
        return
    image_pattern, mask_pattern = pairing.folder_patterns(
        chosen["image_folder"],
        chosen["mask_folder"],
        chosen["image_suffix"] or "",
        chosen["mask_suffix"] or "",
    )
    set_patterns(review, image_pattern, mask_pattern)


def patterns_typed(review: Review) -> None:
    """Callback of the patterns."""
    set_patterns(
        review,
        st.session_state[review.key("image_pattern")].strip(),
        st.session_state[review.key("mask_pattern")].strip(),
    )


def set_patterns(review: Review, image_pattern: str, mask_pattern: str) -> None:
    """Put patterns that can be used into the plan; say what is wrong with others."""

    def change(plan: ImportPlan) -> ImportPlan:
        wished = changes.validated(
            PairingPlan, {"image_pattern": image_pattern, "mask_pattern": mask_pattern}
        )
        archives.proposal(review.draft.id, wished)
        return plan.model_copy(update={"pairing": wished})

    review.change(change, problem=review.key("pairing_problem"))


def result(review: Review, proposal: Proposal) -> None:
    """How many pairs there are, which, and what is left out."""
    num_left_out = len(proposal.unmatched) + len(proposal.ambiguous)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(
            _("**{pairs} pairs** · {unmatched} unmatched · {ambiguous} ambiguous").format(
                pairs=formats.count(len(proposal.pairs)),
                unmatched=formats.count(len(proposal.unmatched)),
                ambiguous=formats.count(len(proposal.ambiguous)),
            ),
            width="stretch",
        )
        st.download_button(
            _("Pairs"),
            lambda: pairs.pairs_csv(proposal.pairs),
            "pairs.csv",
            "text/csv",
            icon=":material/download:",
            type="tertiary",
            on_click="ignore",
            disabled=not proposal.pairs,
            help=_("All pairs as CSV"),
            key=review.key("pairs_csv"),
        )
        st.download_button(
            _("Left out"),
            lambda: pairs.left_out_csv(proposal),
            "left_out.csv",
            "text/csv",
            icon=":material/download:",
            type="tertiary",
            on_click="ignore",
            disabled=not num_left_out,
            help=_("All unmatched and ambiguous pictures as CSV"),
            key=review.key("left_out_csv"),
        )
    if proposal.pairs:
        st.dataframe(
            pairs.pair_table(proposal.pairs),
            hide_index=True,
            height=_TABLE_HEIGHT_PX if len(proposal.pairs) > 7 else "content",
            column_config={
                "image": st.column_config.TextColumn(_("Image")),
                "masks": st.column_config.TextColumn(_("Mask")),
                "split": st.column_config.TextColumn(_("Part"), width="small"),
            },
            alt=_("The first pairs of image and mask"),
            key=review.key("pairs_table"),
        )


def look_again(review: Review) -> None:
    """Masks that nobody looked at yet may mean something else, so that is learned anew."""
    with st.container(border=True, horizontal_alignment="center"):
        st.markdown(
            _(
                "These masks were not looked at yet. What their values mean is found out, and "
                "samples are shown, before anything is stored."
            ),
            text_alignment="center",
        )
        st.button(
            _("Look at these masks"),
            type="primary",
            icon=":material/visibility:",
            on_click=inspect_again,
            args=(review,),
            disabled=not (review.proposal and review.proposal.pairs),
            key=review.key("look"),
        )


def inspect_again(review: Review) -> None:
    """Queue another look under the plan's pairing."""
    try:
        draft = reads.draft(review.draft.id)
        plan = changes.plan_of(draft).model_copy(update={"masks": None})
        submit_inspection(reads.workbench(), draft.id, plan, actor=reads.actor())
    except WorkbenchError as error:
        refuse(error)


def sizes(review: Review) -> None:
    """What becomes of masks that are not as large as their image."""
    groups = pairs.size_groups(archives.size_mismatches(review.draft.id))
    if not groups:
        return
    st.markdown(f":material/straighten: {formats.plain(pairs.mismatch_words(groups))}")
    choice_key = review.key("size_mismatch")
    changes.follow(choice_key, review.plan.images.on_size_mismatch)
    words = {"crop": _("Crop"), "resize": _("Resize the mask"), "skip": _("Leave out")}
    choice = st.segmented_control(
        _("Masks of another size"),
        list(get_args(ImagePlan.model_fields["on_size_mismatch"].annotation)),
        format_func=words.__getitem__,
        required=True,
        key=choice_key,
        on_change=set_images,
        args=(review, "on_size_mismatch", choice_key),
        label_visibility="collapsed",
    )
    st.caption(pairs.mismatch_effect(groups, choice or "crop"))


def channels(review: Review) -> None:
    """Which channels of images with more, or fewer, than three are kept."""
    assert review.found is not None
    counts = pairs.channel_counts(review.inspected, review.found.headers)
    if not counts:
        return
    text = ", ".join(
        _("{num} images with {channels} channels").format(num=formats.count(num), channels=channels)
        for channels, num in counts.items()
    )
    key = review.key("channels")
    changes.follow(key, list(review.plan.images.channels))
    st.multiselect(
        _("Channels that are kept: one, or three for red, green and blue"),
        list(range(max(counts))),
        format_func=lambda number: _("channel {number}").format(number=number + 1),
        max_selections=3,
        placeholder=_("the first three"),
        key=key,
        on_change=set_images,
        args=(review, "channels", key),
    )
    st.caption(text)


def set_images(review: Review, name: str, key: str) -> None:
    """Callback: put a setting of the images into the plan."""
    value = st.session_state[key]

    def change(plan: ImportPlan) -> ImportPlan:
        images = changes.changed(plan.images, **{name: value})
        if len(images.channels) == 2:
            # On the way from one to three.
            return plan
        return plan.model_copy(update={"images": images})

    review.change(change)
