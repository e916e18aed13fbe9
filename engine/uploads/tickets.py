"""Tickets: the permission to upload as a user for a while, signed with the home's secret."""

import base64
import hmac
import json
import os
import secrets
import time
from contextlib import suppress

from engine.errors import Refused
from engine.uploads.errors import BadTicket
from engine.workbench import Workbench

_SECRET_BYTES = 32


def ticket(workbench: Workbench, actor: str, seconds: float) -> str:
    """The permission to upload as a user for so long, to be handed to that user's browser."""
    content = base64.urlsafe_b64encode(json.dumps([actor, time.time() + seconds]).encode())
    return f"{content.decode()}.{_signature(workbench, content)}"


def actor_of(workbench: Workbench, given: str) -> str:
    """The user whom a ticket was made for.

    Raises:
        BadTicket: this workbench made no such ticket, or it has run out.
    """
    content, _, signature = given.encode(errors="replace").rpartition(b".")
    if hmac.compare_digest(signature, _signature(workbench, content).encode()):
        actor, until = json.loads(base64.urlsafe_b64decode(content))
        if time.time() < until:
            return str(actor)
    raise BadTicket("The permission to upload has run out. Reload the page and go on.")


def _signature(workbench: Workbench, content: bytes) -> str:
    return hmac.digest(_secret(workbench), b"upload ticket\0" + content, "sha256").hex()


def _secret(workbench: Workbench) -> bytes:
    """The home's secret, made when it is first needed."""
    path = workbench.files.path("secret.key")
    if not path.exists():
        temporary = path.with_name(f".secret.{secrets.token_hex(8)}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with open(descriptor, "wb") as file:
                file.write(secrets.token_bytes(_SECRET_BYTES))
            # A link and not a renaming: of two processes, the second must take the first's.
            with suppress(FileExistsError):
                os.link(temporary, path)
        finally:
            temporary.unlink()
    secret = path.read_bytes()
    if len(secret) < _SECRET_BYTES:
        raise Refused(
            "The file {path} has {num_bytes} bytes instead of {expected}, so nobody may upload. "
            "Delete it; a new one is made.",
            path=str(path),
            num_bytes=len(secret),
            expected=_SECRET_BYTES,
        )
    return secret
