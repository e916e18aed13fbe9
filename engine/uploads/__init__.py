"""Large files on their way in, in chunks and resumable, and import from folders of the server.

An upload is a row and a file `uploads/<id>/<name>.part`, which becomes `uploads/<id>/<name>` when
all has arrived. It counts against its owner's quota until its import discards it.
"""

from engine.store.uploads import Upload
from engine.uploads.errors import BadTicket, Damaged, NoRoom, OverQuota, WrongOffset
from engine.uploads.life import (
    CHUNK_BYTES,
    append,
    discard,
    find,
    finish,
    harmless_name,
    is_finished,
    key_of,
    of_actor,
    open_upload,
)
from engine.uploads.server_folders import ServerEntry, server_entries, server_path
from engine.uploads.sweep import STALE_SECONDS, sweep_stale
from engine.uploads.tickets import actor_of, ticket

__all__ = [
    "CHUNK_BYTES",
    "STALE_SECONDS",
    "BadTicket",
    "Damaged",
    "NoRoom",
    "OverQuota",
    "ServerEntry",
    "Upload",
    "WrongOffset",
    "actor_of",
    "append",
    "discard",
    "find",
    "finish",
    "harmless_name",
    "is_finished",
    "key_of",
    "of_actor",
    "open_upload",
    "server_entries",
    "server_path",
    "sweep_stale",
    "ticket",
]
