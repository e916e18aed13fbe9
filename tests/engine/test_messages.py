"""Messages: what arrives at real local servers, what is refused before, and what is never told."""

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from engine import messages
from engine.errors import BadSetting
from engine.messages import NotSent, check, is_address, post_json, send_mail
from engine.settings import Settings
from tests.engine.receivers import certificate, mail_server, webhook


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def dead_port():
    """A port that nobody listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        yield free.getsockname()[1]


def send(url, **values):
    fields = {
        "sender": "Lab <lab@mail.example>",
        "recipients": ["ann@mail.example", "bob@mail.example"],
        "subject": "“cells” is completed: Dice 0.87",
        "text": "Grüße\n.\nhttps://lab.example/run?run=0a\n",
    }
    return send_mail(url, **(fields | values))


def test_webhook_gets_the_values_as_json_by_post():
    with webhook() as server:
        post_json(server.url, {"name": "“é”\n", "reason": None})
    assert server.requests == [("POST", {"name": "“é”\n", "reason": None})]
    assert server.content_types == ["application/json"]


@pytest.mark.parametrize("status", [301, 302, 307, 404, 500])
def test_other_answer_than_success_is_a_failure_and_no_redirect_is_followed(status):
    with webhook([status]) as server, pytest.raises(NotSent, match=str(status)) as caught:
        post_json(server.url, {})
    assert len(server.requests) == 1
    assert "secret" not in str(caught.value)


def test_dead_and_slow_webhooks_are_failures_in_words(dead_port, monkeypatch):
    with pytest.raises(NotSent, match=r"127\.0\.0\.1 cannot be reached: .*refused\.$") as caught:
        post_json(f"http://127.0.0.1:{dead_port}/hook?key=secret", {})
    assert "secret" not in str(caught.value)
    monkeypatch.setattr(messages, "TIMEOUT_SECONDS", 0.1)
    with webhook(delay_seconds=0.4) as server, pytest.raises(NotSent, match="timed out"):
        post_json(server.url, {})


def test_mail_arrives_whole():
    with mail_server() as server:
        assert send(f"smtp://localhost:{server.port}") == []
    (mail,) = server.mails
    recipients = ["ann@mail.example", "bob@mail.example"]
    assert server.envelopes == [("lab@mail.example", recipients)]
    assert mail["From"] == "Lab <lab@mail.example>"
    assert mail["To"] == ", ".join(recipients)
    assert mail["Subject"] == "“cells” is completed: Dice 0.87"
    assert mail["Message-ID"].endswith("@mail.example>")
    assert mail.get_content_type() == "text/plain"
    lines = mail.get_content().splitlines()
    assert lines == ["Grüße", ".", "https://lab.example/run?run=0a"]
    assert server.logins == []


@pytest.mark.parametrize(
    "name",
    ["a\r\nBcc: eve@mail.example", "a\nBcc: eve@mail.example\n\nbody", "a\x0bBcc: e\x85f\u2028g\0"],
)
def test_name_of_a_run_adds_no_header(name):
    with mail_server() as server:
        send(f"smtp://localhost:{server.port}", subject=f"“{name}” has failed")
    (mail,) = server.mails
    assert mail["Bcc"] is None
    assert "\n" not in mail["Subject"] and "\0" not in mail["Subject"]
    assert server.envelopes[0][1] == ["ann@mail.example", "bob@mail.example"]


def test_password_is_sent_encrypted_and_only_so(tmp_path, monkeypatch):
    path, tls = certificate(tmp_path)
    url = "smtp://ann%40mail.example:p%40ss@localhost:{}"
    with mail_server(tls) as server:
        with pytest.raises(NotSent, match="certificate"):
            send(url.format(server.port))
        monkeypatch.setenv("SSL_CERT_FILE", str(path))
        send(url.format(server.port))
        assert server.logins == [("ann@mail.example", "p@ss")]
        assert (server.num_encrypted, len(server.mails)) == (1, 1)
        with pytest.raises(NotSent, match="535 wrong password") as caught:
            send(f"smtp://ann:other@localhost:{server.port}")
        assert "other" not in str(caught.value)
    with mail_server() as plain:
        with pytest.raises(NotSent, match="no encryption"):
            send(url.format(plain.port))
        assert plain.logins == []


def test_mail_server_may_encrypt_from_the_start(tmp_path, monkeypatch):
    path, tls = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    with mail_server(tls, encrypts_at_once=True) as server:
        send(f"smtps://ann:p%40ss@localhost:{server.port}")
    assert (len(server.mails), server.num_encrypted) == (1, 1)
    assert server.logins == [("ann", "p@ss")]


def test_recipients_that_the_server_refuses_are_named_and_the_others_get_the_mail():
    with mail_server(refused={"bob@mail.example"}) as server:
        assert send(f"smtp://localhost:{server.port}") == ["bob@mail.example"]
    assert [recipients for _, recipients in server.envelopes] == [["ann@mail.example"]]
    with mail_server(refused={"ann@mail.example", "bob@mail.example"}) as server:
        with pytest.raises(NotSent, match="550 nobody here"):
            send(f"smtp://localhost:{server.port}")
        assert server.mails == []


def test_dead_and_silent_mail_servers_are_failures_in_words(dead_port, monkeypatch):
    with pytest.raises(NotSent, match=r"localhost did not take the mail: .*refused"):
        send(f"smtp://ann:secret@localhost:{dead_port}")
    monkeypatch.setattr(messages, "TIMEOUT_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(NotSent, match="timed out"):
            send(f"smtp://127.0.0.1:{port}")


@pytest.mark.parametrize("text", ["ann@mail.example", "a.b+c@x", "o'neil@mail-2.example"])
def test_address_is_known(text):
    assert is_address(text)


@pytest.mark.parametrize(
    "text",
    ["local", "", "a@", "@b", "a b@c", "a@b,c@d", "a@b\nBcc: c@d", "Ann <a@b>", "a@b@c", "a@b\n",
     "é@b", "a@b..c", '"a"@b', "a@[::1]"],
)  # fmt: skip
def test_what_is_no_address_is_told_apart(text):
    assert not is_address(text)


USABLE = {
    "url": "https://lab.example/workbench",
    "webhook_url": "http://127.0.0.1:8000/hook?key=secret",
    "smtp_url": "smtp://user:p%40ss@mail.example:587",
    "mail_from": "Lab <lab@mail.example>",
    "mail_to": ("ann@mail.example",),
}


def test_settings_without_messages_and_with_good_ones_pass():
    settings = Settings.for_home(Path("home"))
    check(settings)
    check(replace(settings, **USABLE))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"url": "lab.example"}, "WORKBENCH_URL"),
        ({"webhook_url": "ftp://lab.example"}, "WORKBENCH_WEBHOOK_URL"),
        ({"webhook_url": "file:///etc/passwd"}, "WORKBENCH_WEBHOOK_URL"),
        ({"webhook_url": "https:///hook"}, "WORKBENCH_WEBHOOK_URL"),
        ({"webhook_url": "https://a:secret@lab.example"}, "WORKBENCH_WEBHOOK_URL"),
        ({"webhook_url": "https://lab.example:port/secret"}, "WORKBENCH_WEBHOOK_URL"),
        ({"webhook_url": "https://lab.example/a\r\nsecret: b"}, "WORKBENCH_WEBHOOK_URL"),
        ({"webhook_url": "https://[secret/"}, "WORKBENCH_WEBHOOK_URL"),
        ({"smtp_url": "http://a:secret@mail.example"}, "WORKBENCH_SMTP_URL"),
        ({"mail_from": ""}, "WORKBENCH_MAIL_FROM"),
        ({"mail_from": "Lab"}, "WORKBENCH_MAIL_FROM"),
        ({"mail_to": ("ann@mail.example", "bob")}, "“bob”"),
        ({"smtp_url": ""}, "WORKBENCH_SMTP_URL"),
    ],
)
def test_setting_that_cannot_be_used_is_refused_without_its_secrets(changes, named):
    settings = replace(Settings.for_home(Path("home")), **(USABLE | changes))
    with pytest.raises(BadSetting) as caught:
        check(settings)
    assert named in str(caught.value)
    assert "secret" not in str(caught.value)
