"""Which mask belongs to which image, told from the names alone; no picture is opened.

    propose       every reading of the names, likeliest first
    by_patterns   the reading that a person types
    choose        the one that an import plan asks for

How it works: `names` takes paths apart by the `words` that mean something. `marked` finds the
images that each mask's name points to (`search`), `sets` sorts what it found into sets of masks by
what differs between image and mask (`labels`), `confidence` weighs them. `unmarked` guesses where
names say nothing, `unread` says what files of other kinds may be. A word that is missing belongs
into `words`; a habit of naming into `search`.
"""

from engine.datasets.pairing.names import is_picture
from engine.datasets.pairing.order import natural_key
from engine.datasets.pairing.patterns import by_patterns
from engine.datasets.pairing.propose import choose, propose
from engine.datasets.pairing.suggest import folder_patterns, suggest_patterns
from engine.datasets.pairing.types import (
    PICTURE_SUFFIXES,
    Ambiguous,
    Pair,
    Pairing,
    Proposal,
)

__all__ = [
    "PICTURE_SUFFIXES",
    "Ambiguous",
    "Pair",
    "Pairing",
    "Proposal",
    "by_patterns",
    "choose",
    "folder_patterns",
    "is_picture",
    "natural_key",
    "propose",
    "suggest_patterns",
]
