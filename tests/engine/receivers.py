"""Servers that receive what the workbench sends: a webhook, and a small mail server."""

import base64
import datetime
import ipaddress
import json
import socketserver
import ssl
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


@dataclass
class Webhook:
    """A running webhook."""

    url: str = ""
    requests: list[tuple[str, Any]] = field(default_factory=list)
    """Method and JSON body of each request."""
    content_types: list[str] = field(default_factory=list)


@contextmanager
def webhook(statuses: Sequence[int] = (), delay_seconds: float = 0.0) -> Iterator[Webhook]:
    """A webhook that answers the first requests with these statuses, and 204 afterwards."""
    received, answers = Webhook(), list(statuses)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            received.requests.append((self.command, json.loads(body) if body else None))
            received.content_types.append(self.headers.get("Content-Type", ""))
            time.sleep(delay_seconds)
            self.send_response(answers.pop(0) if answers else 204)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST

        def log_message(self, *_args: Any) -> None:
            pass

    with _serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        received.url = f"http://127.0.0.1:{port}/hook?key=secret"
        yield received


@dataclass
class MailServer:
    """A running mail server and what it received."""

    host: str = "localhost"
    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    envelopes: list[tuple[str, list[str]]] = field(default_factory=list)
    """Sender and recipients, as the server was told them."""
    logins: list[tuple[str, str]] = field(default_factory=list)
    """User and password."""
    num_encrypted: int = 0


class _MailHandler(socketserver.StreamRequestHandler):
    received: ClassVar[MailServer]
    tls: ClassVar[ssl.SSLContext | None]
    refused: ClassVar[Collection[str]]
    encrypts_at_once: ClassVar[bool]
    is_encrypted = False

    def handle(self) -> None:
        if self.tls and self.encrypts_at_once:
            self._encrypt()
        self._say("220 ready")
        sender, recipients = "", []
        while line := self.rfile.readline():
            word, _, rest = line.decode().strip().partition(" ")
            match word.upper():
                case "EHLO":
                    self._greet()
                case "STARTTLS":
                    self._say("220 go on")
                    self._encrypt()
                case "AUTH":
                    _, user, password = base64.b64decode(rest.split()[1]).decode().split("\0")
                    self.received.logins.append((user, password))
                    self._say("235 welcome" if password == "p@ss" else "535 wrong password")
                case "MAIL":
                    sender = rest.partition("<")[2].partition(">")[0]
                    self._say("250 ok")
                case "RCPT":
                    address = rest.partition("<")[2].partition(">")[0]
                    if address in self.refused:
                        self._say("550 nobody here")
                    else:
                        recipients.append(address)
                        self._say("250 ok")
                case "DATA":
                    self._say("354 go on")
                    self._receive()
                    self.received.envelopes.append((sender, recipients))
                    self._say("250 taken")
                case "QUIT":
                    self._say("221 bye")
                    return
                case _:
                    self._say("250 ok")

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())

    def _greet(self) -> None:
        self._say("250-localhost")
        if self.tls and not self.is_encrypted:
            self._say("250-STARTTLS")
        self._say("250 AUTH PLAIN")

    def _encrypt(self) -> None:
        assert self.tls is not None
        self.connection = self.tls.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
        self.is_encrypted = True
        self.received.num_encrypted += 1

    def _receive(self) -> None:
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            # A full stop at a line's beginning was doubled, so that it does not end the mail.
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        mail = message_from_bytes(b"".join(lines), policy=policy.default)
        self.received.mails.append(mail)

    def finish(self) -> None:
        super().finish()
        self.connection.close()


@contextmanager
def mail_server(
    tls: ssl.SSLContext | None = None,
    *,
    encrypts_at_once: bool = False,
    refused: Collection[str] = (),
) -> Iterator[MailServer]:
    """A mail server.

    Args:
        tls: with it the server offers STARTTLS.
        encrypts_at_once: it does not wait to be asked to.
        refused: addresses that it takes no mail for.
    """
    received = MailServer()
    values = {
        "received": received,
        "tls": tls,
        "encrypts_at_once": encrypts_at_once,
        "refused": refused,
    }
    handler = type("Handler", (_MailHandler,), values)
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler)
    with _serving(server) as received.port:
        yield received


@contextmanager
def _serving(server: socketserver.TCPServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A file with a certificate of this machine, and what a server needs to show it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    own_names = [
        x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    ]  # fmt: skip
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(own_names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path, key_path = folder / "certificate.pem", folder / "key.pem"
    path.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, key_path)
    return path, context
