"""What is said of archives that do not pair, or not in full."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from engine.datasets.pairing.names import read_pictures
from engine.datasets.pairing.unread import families_of, listed, suffixes_of
from engine.errors import BadData
from engine.notes import Note

_MAX_FOLDERS_LISTED = 20

_NO_PICTURES = (
    "There are no pictures among the files ({num_files}), such as “{example}”. Expected images and "
    "masks as PNG, JPEG, TIFF, BMP, GIF or WebP files."
)
_NO_PAIRS = (
    "No picture could be paired with a mask. Pictures: {num_pictures}; called like masks: "
    "{num_masks}, like images: {num_images}; images with several possible masks: {num_ambiguous}. "
    "Folders: {folders}. Expected: a folder “images” and a folder “masks” with the same file "
    "names in both, or masks beside their images, such as “1.png” and “1_mask.png”. Rename them, "
    "or give patterns that say how the names belong together."
)
_UNREAD = " Files of other kinds are not read: {unread}."
_ADVICE = " {advice}"


def no_pictures(ignored: Sequence[str]) -> BadData:
    """The refusal of files without any picture."""
    message, facts = _with_unread(_NO_PICTURES, ignored)
    return BadData(message, num_files=len(ignored), example=ignored[0] if ignored else "", **facts)


def no_pairs(names: Sequence[str], ignored: Sequence[str], num_ambiguous: int) -> BadData:
    """The refusal of pictures of which none pair.

    Args:
        names: of all pictures.
        ignored: files that are none.
        num_ambiguous: images whose mask is not certain.
    """
    pictures = read_pictures(names, 0)
    num_masks = sum(picture.is_marked or picture.folder.role == "mask" for picture in pictures)
    folders = list(dict.fromkeys(name.rpartition("/")[0] or "(top)" for name in names))
    message, facts = _with_unread(_NO_PAIRS, ignored)
    return BadData(
        message,
        num_pictures=len(pictures),
        num_masks=num_masks,
        num_images=len(pictures) - num_masks,
        num_ambiguous=num_ambiguous,
        folders=", ".join(folders[:_MAX_FOLDERS_LISTED])
        + (", …" if len(folders) > _MAX_FOLDERS_LISTED else ""),
        **facts,
    )


def unread_pictures(ignored: Sequence[str]) -> Note | None:
    """What to say beside pictures without a partner: theirs may be of a kind that is not read."""
    suffixes = suffixes_of(ignored)
    families = [family for family in families_of(suffixes) if family.is_picture]
    if not families:
        return None
    known = frozenset().union(*(family.suffixes for family in families))
    return Note(
        "Files of kinds that are not read may belong to the pictures without a partner: {unread}. "
        "{advice}",
        {
            "unread": listed(
                Counter({each: num for each, num in suffixes.items() if each in known})
            ),
            "advice": " ".join(family.advice for family in families),
        },
    )


def _with_unread(message: str, ignored: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """A message with what is said of files of other kinds, and the facts for that."""
    suffixes = suffixes_of(ignored)
    if not suffixes:
        return message, {}
    families = families_of(suffixes)
    facts = {"unread": listed(suffixes), "advice": " ".join(each.advice for each in families)}
    return message + _UNREAD + (_ADVICE if families else ""), facts
