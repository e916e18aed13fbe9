"""Messages to people and their programs outside: a webhook, and mail.

What is sent is decided elsewhere; here is only how, with the standard library alone. Addresses
may hold passwords and keys, so no sentence repeats more of one than its host.
"""

import json
import re
import smtplib
import ssl
from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from email.utils import formataddr, formatdate, make_msgid, parseaddr
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from engine.errors import BadSetting, WorkbenchError
from engine.settings import Settings

TIMEOUT_SECONDS = 10.0
"""How long a server may keep silent."""

_ADDRESS = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*", re.ASCII)
"""An address as people write it (HTML's rule for e-mail fields): no quotes, no comments."""


class NotSent(WorkbenchError):
    """A message could not be handed over."""


class _NoRedirects(HTTPRedirectHandler):
    """A redirect would turn the POST into a GET without its data, and count as a success."""

    def redirect_request(self, *_args: Any, **_kwargs: Any) -> None:
        return None


def check(settings: Settings) -> None:
    """Look at the settings of messages before the first one is to be sent.

    Raises:
        BadSetting: one cannot be used.
    """
    _check_url("WORKBENCH_URL", settings.url, ("http", "https"))
    _check_url("WORKBENCH_WEBHOOK_URL", settings.webhook_url, ("http", "https"))
    _check_url("WORKBENCH_SMTP_URL", settings.smtp_url, ("smtp", "smtps"), may_name_user=True)
    addresses = [("WORKBENCH_MAIL_TO", address) for address in settings.mail_to]
    if settings.smtp_url:
        addresses.append(("WORKBENCH_MAIL_FROM", parseaddr(settings.mail_from)[1]))
    elif settings.mail_to or settings.mail_from:
        raise BadSetting(
            "WORKBENCH_MAIL_TO or WORKBENCH_MAIL_FROM is set, but no mail server is. Set "
            "WORKBENCH_SMTP_URL, such as smtp://mail.example:587, or set none of them."
        )
    for name, address in addresses:
        if not is_address(address):
            raise BadSetting(
                "{name} holds “{value}”; it must be an e-mail address, such as lab@mail.example.",
                name=name,
                value=address,
            )


def is_address(text: str) -> bool:
    """Whether mail can be sent to it."""
    return _ADDRESS.fullmatch(text) is not None


def post_json(url: str, values: Mapping[str, Any]) -> None:
    """Send values to a webhook as JSON by POST; any status from 200 to 299 is a success.

    Raises:
        NotSent: it cannot be reached, or does not accept them.
    """
    request = Request(
        url,
        data=json.dumps(values).encode(),
        headers={"Content-Type": "application/json", "User-Agent": "unet-workbench"},
        method="POST",
    )
    host = urlsplit(url).hostname
    try:
        with build_opener(_NoRedirects).open(request, timeout=TIMEOUT_SECONDS):
            return
    except HTTPError as error:
        error.close()
        raise NotSent(
            "The webhook at {host} answered with the status {status}; 200 to 299 was expected. "
            "Check WORKBENCH_WEBHOOK_URL; redirects are not followed.",
            host=host,
            status=error.code,
        ) from None
    except (OSError, HTTPException, ValueError) as error:
        # URLError wraps what really happened.
        cause = error.reason if isinstance(error, URLError) else error
        raise NotSent(
            "The webhook at {host} cannot be reached: {reason}.", host=host, reason=_reason(cause)
        ) from error


def send_mail(
    smtp_url: str, *, sender: str, recipients: Sequence[str], subject: str, text: str
) -> list[str]:
    """Send one mail to some people; returns those whom the server refused.

    Args:
        smtp_url: see `Settings.smtp_url`. The connection is encrypted when the server offers it.
        sender: an address, with or without a name.
        subject: what cannot stand in one line is made a blank.

    Raises:
        NotSent: nobody was sent it.
    """
    message = EmailMessage()
    message["From"] = formataddr(parseaddr(sender))
    message["To"] = ", ".join(recipients)
    message["Subject"] = _one_line(subject)
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain=parseaddr(sender)[1].rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text)
    server = urlsplit(smtp_url)
    try:
        with _connection(server) as connection:
            _log_in(connection, server)
            return list(connection.send_message(message))
    except (OSError, smtplib.SMTPException, ValueError) as error:
        raise NotSent(
            "The mail server {host} did not take the mail: {reason}. Check WORKBENCH_SMTP_URL.",
            host=server.hostname,
            reason=_reason(error),
        ) from error


def _connection(server: SplitResult) -> smtplib.SMTP:
    host, port = server.hostname or "", server.port or 0
    context = ssl.create_default_context()
    if server.scheme == "smtps":
        return smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_SECONDS, context=context)
    connection = smtplib.SMTP(host, port, timeout=TIMEOUT_SECONDS)
    try:
        connection.ehlo_or_helo_if_needed()
        if connection.has_extn("starttls"):
            connection.starttls(context=context)
    except BaseException:
        connection.close()
        raise
    return connection


def _log_in(connection: smtplib.SMTP, server: SplitResult) -> None:
    if server.username is None:
        return
    if not isinstance(connection.sock, ssl.SSLSocket):
        raise NotSent(
            "The mail server {host} offers no encryption, without which the password in "
            "WORKBENCH_SMTP_URL is not sent. Use smtps://, or a URL without a user.",
            host=server.hostname,
        )
    connection.login(unquote(server.username), unquote(server.password or ""))


def _one_line(text: str) -> str:
    """Without line breaks and what else could end a header."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


def _reason(error: object) -> str:
    """What happened, in the words of the library or the server, without a full stop."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        answers = {answer for answer in error.recipients.values()}
        return "; ".join(sorted(f"{code} {_words(text)}" for code, text in answers))
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{error.smtp_code} {_words(error.smtp_error)}"
    return _one_line(str(error) or type(error).__name__).rstrip(".")


def _words(answer: bytes | str) -> str:
    text = answer.decode(errors="replace") if isinstance(answer, bytes) else answer
    return _one_line(text).rstrip(".")


def _check_url(
    name: str, url: str, schemes: tuple[str, ...], *, may_name_user: bool = False
) -> None:
    if url and not _is_usable(url, schemes, may_name_user=may_name_user):
        raise BadSetting(
            "{name} cannot be used. It must be a URL such as {scheme}://host.example, of printable "
            "ASCII characters{rest}.",
            name=name,
            scheme=schemes[-1],
            rest="" if may_name_user else " and without a user name",
        )


def _is_usable(url: str, schemes: tuple[str, ...], *, may_name_user: bool) -> bool:
    if not (url.isascii() and url.isprintable() and " " not in url):
        return False
    try:
        parts = urlsplit(url)
        is_port = parts.port is None or parts.port > 0
    except ValueError:
        return False
    if parts.username is not None and not may_name_user:
        return False
    return parts.scheme in schemes and bool(parts.hostname) and is_port
