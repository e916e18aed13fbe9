"""What can go wrong with an upload, told apart because a browser must react differently."""

from engine.errors import BadInput, Refused


class BadTicket(Refused):
    """The permission to upload is missing, forged or has run out."""


class OverQuota(Refused):
    """The uploads of a user would be larger than the quota."""


class NoRoom(Refused):
    """The disk is full, or would be fuller than the settings allow."""


class WrongOffset(Refused):
    """The bytes are not those that come next; `facts["offset"]` is where to go on."""


class Damaged(BadInput):
    """What arrived is not what its digest says."""
