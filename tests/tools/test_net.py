"""The optional network, against real servers on this machine: aiosmtpd for mail, Radicale for CalDAV."""

import base64
import http.client
import socket
import subprocess
import sys
import time

import pytest
from events import create_calendar_event
from lines import one, values
from mail import compose_new_email, reply_to_email
from reminders import create_reminder

SECRET = "s3cret-pa55"


def free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


@pytest.fixture
def smtp():
    controller_module = pytest.importorskip("aiosmtpd.controller")
    from aiosmtpd.smtp import AuthResult

    class Handler:
        received: list = []

        async def handle_RCPT(self, server, session, envelope, address, options):
            if address.startswith("nobody@"):
                return "550 no such user"
            envelope.rcpt_tos.append(address)
            return "250 OK"

        async def handle_DATA(self, server, session, envelope):
            self.received.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
            return "250 OK"

    def authenticate(server, session, envelope, mechanism, data):
        return AuthResult(success=data.password == SECRET.encode(), handled=False)

    handler = Handler()
    handler.received = []
    controller = controller_module.Controller(
        handler, hostname="127.0.0.1", port=free_port(), authenticator=authenticate, auth_require_tls=False
    )
    controller.start()
    yield controller, handler
    controller.stop()


def identity(home):
    (home / "mail").mkdir(exist_ok=True)
    (home / "mail" / "identity").write_text("Sam Taylor <sam@example.org>\n")


def test_mail_is_sent_and_kept(home, smtp, monkeypatch):
    controller, handler = smtp
    identity(home)
    monkeypatch.setenv("TOOLAGENT_SMTP", f"127.0.0.1:{controller.port}")
    said = compose_new_email(["ana@example.org"], "Grüße", "hällo", cc=["sid@example.org"])
    ((sender, recipients, content),) = handler.received
    assert (sender, recipients) == ("sam@example.org", ["ana@example.org", "sid@example.org"]) and b"X-Unsent" not in content
    (kept,) = (home / "mail" / "sent").iterdir()
    assert list((home / "mail" / "drafts").iterdir()) == []
    assert kept.read_bytes().split(b"\r\n\r\n", 1)[1].strip() == content.split(b"\r\n\r\n", 1)[1].strip()
    assert said == f"Mail sent to ana@example.org, sid@example.org, subject 'Grüße', saved as mail/sent/{kept.name}"


def test_a_login_with_the_password_of_a_file(home, smtp, monkeypatch, tmp_path):
    controller, handler = smtp
    identity(home)
    (tmp_path / "key").write_text(SECRET + "\n")
    monkeypatch.setenv("TOOLAGENT_SMTP", f"smtp://sam%40example.org@127.0.0.1:{controller.port}")
    monkeypatch.setenv("TOOLAGENT_SMTP_PASSWORD_FILE", str(tmp_path / "key"))
    assert compose_new_email(["ana@example.org"], "x", "y").startswith("Mail sent")
    assert len(handler.received) == 1


def test_a_wrong_password_leaves_a_draft_and_no_trace_of_itself(home, smtp, monkeypatch, caplog, capfd):
    controller, handler = smtp
    identity(home)
    monkeypatch.setenv("TOOLAGENT_SMTP", f"smtp://sam@127.0.0.1:{controller.port}")
    monkeypatch.setenv("TOOLAGENT_SMTP_PASSWORD", "wr0ng-pa55")
    said = compose_new_email(["ana@example.org"], "x", "y")
    (kept,) = (home / "mail" / "drafts").iterdir()
    assert said.startswith("Draft to ana@example.org") and "not sent: SMTPAuthenticationError" in said and handler.received == []
    encoded = base64.b64encode(b"\0sam\0wr0ng-pa55").decode()
    for place in (said, kept.read_text(), caplog.text, *capfd.readouterr()):
        assert "wr0ng-pa55" not in place and encoded not in place


@pytest.mark.parametrize(
    "server, why",
    [
        ("127.0.0.1:{closed}", "not sent: ConnectionRefusedError"),
        ("smtp://127.0.0.1:a-secret", "not sent: the address of the server cannot be read"),
        ("smtps://127.0.0.1:{port}", "not sent: "),
    ],
)
def test_a_server_that_is_none(home, smtp, monkeypatch, server, why):
    identity(home)
    monkeypatch.setenv("TOOLAGENT_SMTP", server.format(closed=free_port(), port=smtp[0].port))
    said = compose_new_email(["ana@example.org"], "x", "y")
    assert said.startswith("Draft to") and why in said and "a-secret" not in said and len(list((home / "mail/drafts").iterdir())) == 1


def test_one_recipient_of_two_is_refused(home, smtp, monkeypatch):
    identity(home)
    monkeypatch.setenv("TOOLAGENT_SMTP", f"127.0.0.1:{smtp[0].port}")
    assert compose_new_email(["ana@example.org", "nobody@example.org"], "x", "y").endswith("(refused for nobody@example.org)")


def test_without_a_sender_nothing_is_sent(home, smtp, monkeypatch):
    monkeypatch.setenv("TOOLAGENT_SMTP", f"127.0.0.1:{smtp[0].port}")
    assert "not sent: no sender" in compose_new_email(["ana@example.org"], "x", "y")
    monkeypatch.setenv("TOOLAGENT_FROM", "sam@example.org")
    assert compose_new_email(["ana@example.org"], "x", "y").startswith("Mail sent")


def test_a_demonstration_home_never_reaches_the_network(demo, smtp, monkeypatch):
    controller, handler = smtp
    monkeypatch.setenv("TOOLAGENT_SMTP", f"127.0.0.1:{controller.port}")
    monkeypatch.setenv("TOOLAGENT_CALDAV", f"http://127.0.0.1:{controller.port}/")
    assert reply_to_email("ok").startswith("Draft to") and handler.received == []
    assert "CalDAV" not in create_calendar_event("x", "2025-11-28")


@pytest.fixture(scope="module")
def radicale(tmp_path_factory):
    pytest.importorskip("radicale")
    root, port = tmp_path_factory.mktemp("radicale"), free_port()
    (root / "users").write_text(f"sam:{SECRET}\n")
    options = ["--server-hosts", f"127.0.0.1:{port}", "--storage-filesystem-folder", str(root / "store"), "--auth-type", "htpasswd"]
    options += ["--auth-htpasswd-filename", str(root / "users"), "--auth-htpasswd-encryption", "plain", "--auth-delay", "0"]
    with open(root / "log", "w") as log:
        process = subprocess.Popen([sys.executable, "-m", "radicale", "--config", "", *options], stdout=log, stderr=log)
    try:
        for _ in range(200):
            try:
                assert request(port, "MKCALENDAR", "/sam/work/") == (201, b"")
                break
            except OSError:
                assert process.poll() is None, (root / "log").read_text()
                time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def request(port, method, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    login = base64.b64encode(f"sam:{SECRET}".encode()).decode()
    connection.request(method, path, headers={"Authorization": f"Basic {login}"})
    response = connection.getresponse()
    return response.status, response.read()


def stored(port, file, tmp_path):
    """What the server has under the name of this file, saved where the line parser can read it."""
    status, body = request(port, "GET", f"/sam/work/{file.name}")
    assert status == 200
    (tmp_path / "got.ics").write_bytes(body)
    return tmp_path / "got.ics"


def test_an_event_is_on_the_server_too(home, radicale, monkeypatch, tmp_path):
    monkeypatch.setenv("TOOLAGENT_CALDAV", f"http://sam@127.0.0.1:{radicale}/sam/{{calendar}}/")
    monkeypatch.setenv("TOOLAGENT_CALDAV_PASSWORD", SECRET)
    monkeypatch.setenv("TOOLAGENT_TZ", "Europe/Berlin")
    said = create_calendar_event("Grüße, Ana", "2025-11-28 15:00:00", location="Café Sperl", invitees=["ana@example.org"], calendar="work")
    (file,) = (home / "calendar" / "work").iterdir()
    assert said.endswith(f"saved in calendar/work/{file.name}; also on the CalDAV server")
    got = stored(radicale, file, tmp_path)
    for name in ("UID", "SUMMARY", "DTSTART", "DTEND", "LOCATION", "DTSTAMP", "ATTENDEE"):
        assert values(got, name)[-1] == values(file, name)[-1]
    assert one(got, "SUMMARY") == "Grüße, Ana"


def test_a_reminder_is_on_the_server_too(home, radicale, monkeypatch, tmp_path):
    monkeypatch.setenv("TOOLAGENT_CALDAV", f"http://sam@127.0.0.1:{radicale}/sam/work")
    monkeypatch.setenv("TOOLAGENT_CALDAV_PASSWORD", SECRET)
    assert create_reminder("Pay the rent", "2025-11-28 10:00:00").endswith("; also on the CalDAV server")
    (file,) = (home / "reminders" / "reminders").iterdir()
    assert one(stored(radicale, file, tmp_path), "DUE") == "20251128T100000"


def test_what_the_server_refuses_is_still_here(home, radicale, monkeypatch):
    monkeypatch.setenv("TOOLAGENT_CALDAV", f"http://sam@127.0.0.1:{radicale}/sam/work/")
    monkeypatch.setenv("TOOLAGENT_CALDAV_PASSWORD", "wr0ng-pa55")
    said = create_calendar_event("x", "2025-11-28")
    assert said.endswith("; not on the CalDAV server: 401 Unauthorized") and len(list((home / "calendar/personal").iterdir())) == 1
    monkeypatch.setenv("TOOLAGENT_CALDAV", f"http://sam@127.0.0.1:{free_port()}/")
    assert "; not on the CalDAV server: URLError" in create_calendar_event("x", "2025-11-28")


def test_a_password_needs_tls_beyond_this_machine(home, monkeypatch):
    monkeypatch.setenv("TOOLAGENT_CALDAV", "http://sam@dav.example.org/sam/")
    monkeypatch.setenv("TOOLAGENT_CALDAV_PASSWORD", SECRET)
    assert create_calendar_event("x", "2025-11-28").endswith("; not on the CalDAV server: its address must start with https://")
