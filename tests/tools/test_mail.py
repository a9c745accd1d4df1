import contextlib
import email.parser
import email.policy
import os
import random
from email.message import EmailMessage

import pytest
from here import link
from mail import compose_new_email, forward_email, reply_to_email

from toolagent.errors import ToolFailed


def draft(home):
    """The one draft, by Python's parser of 3.2 (which did not write it), and its raw text."""
    (file,) = (home / "mail" / "drafts").glob("*.eml")
    raw = file.read_bytes()
    assert raw.isascii() and b"\n" not in raw.replace(b"\r\n", b"") and max(map(len, raw.split(b"\r\n"))) <= 998
    return email.parser.BytesParser(policy=email.policy.compat32).parsebytes(raw), raw.decode()


def text(message):
    part = message.get_payload()[0] if message.is_multipart() else message
    return part.get_payload(decode=True).decode(part.get_content_charset()).replace("\r\n", "\n")


def decoded(message, name):
    return str(email.header.make_header(email.header.decode_header(message[name])))


def receive(home, name="m.eml", selected=True, **headers):
    """Put a message into the inbox, written by hand."""
    rows = {"From": "Ana Souza <ana@example.org>", "To": "sam@example.org", "Subject": "Lunch", "Message-ID": "<1@example.org>", **headers}
    body = rows.pop("body", "Hello\r\n\r\nsee you")
    (home / "mail" / "inbox").mkdir(parents=True, exist_ok=True)
    head = "".join(f"{k.replace('_', '-')}: {v}\r\n" for k, v in rows.items() if v is not None)
    (home / "mail" / "inbox" / name).write_bytes((head + "\r\n" + body).encode())
    if selected:
        (home / "mail" / "selected").write_text(name + "\n")


def test_a_draft(demo):
    said = compose_new_email(
        ["ana@example.org", "Sid <sid@example.org>"], "Budget, 2026", "Hi,\nthe numbers.\n", ["li@example.com", "ana@example.org"]
    )
    message, raw = draft(demo)
    assert message["From"] == "Sam Taylor <sam@example.org>" and message["To"] == "ana@example.org, Sid <sid@example.org>"
    assert message["Cc"] == "li@example.com" and message["Subject"] == "Budget, 2026" and message["X-Unsent"] == "1"
    assert message["Date"].startswith("Mon, 24 Nov 2025 10:00:00 ") and message["Message-ID"].endswith("@example.org>")
    assert text(message) == "Hi,\nthe numbers.\n" and raw.endswith("\r\n\r\nHi,\r\nthe numbers.\r\n")
    assert said.startswith(
        "Draft to ana@example.org, Sid <sid@example.org>, li@example.com, subject 'Budget, 2026', saved as mail/drafts/2025-11-24 10.00"
    )


def test_without_an_identity_there_is_no_sender(home):
    compose_new_email(["ana@example.org"], "x", "y")
    assert draft(home)[0]["From"] is None


def test_unicode(home):
    compose_new_email(["Zoë Müller <zoe@example.net>"], "Prüfung 予算 🙂", "Grüße aus Łódź\n" + "lang " * 400)
    message, _ = draft(home)
    assert decoded(message, "Subject") == "Prüfung 予算 🙂" and decoded(message, "To") == "Zoë Müller <zoe@example.net>"
    assert text(message) == "Grüße aus Łódź\n" + ("lang " * 400).rstrip() + "\n"


def test_attachments(demo):
    (demo / "files" / "tabla ñ.csv").write_text("a,b\n1,2\n")
    (demo / "files" / "x.tar.gz").write_bytes(b"\x1f\x8b")
    paths = [
        "files/Documents/budget.pdf",
        str(demo / "files" / "tabla ñ.csv"),
        "files/x.tar.gz",
        "mail/inbox/dinner.eml",
        "files/Documents/budget.pdf",
    ]
    said = compose_new_email(["ana@example.org"], "Files", "here", attachments=paths)
    message, _ = draft(demo)
    body, *parts = message.get_payload()
    assert [p.get_content_type() for p in parts] == ["application/pdf", "text/csv", "application/octet-stream", "application/octet-stream"]
    assert [p.get_filename() for p in parts][::2] == ["budget.pdf", "x.tar.gz"]
    assert email.utils.collapse_rfc2231_value(parts[1].get_param("filename", header="content-disposition")) == "tabla ñ.csv"
    assert parts[0].get_payload(decode=True) == (demo / "files/Documents/budget.pdf").read_bytes()
    assert parts[1].get_payload(decode=True) == b"a,b\n1,2\n"
    assert "with budget.pdf, tabla ñ.csv, x.tar.gz, dinner.eml, saved" in said


@pytest.mark.parametrize(
    "path",
    ["../outside/secret.txt", "{outside}/secret.txt", "/etc/hostname", "files/link.txt", "files/folder/secret.txt", "~/.profile", "a\0b"],
)
def test_nothing_outside_the_home_is_attached(home, path):
    (home / "files").mkdir()
    link(home / "files" / "link.txt", home.parent / "outside" / "secret.txt")
    link(home / "files" / "folder", home.parent / "outside")
    with pytest.raises(ToolFailed, match="lies outside the home|is no path"):
        compose_new_email(["ana@example.org"], "x", "y", attachments=[path.replace("{outside}", str(home.parent / "outside"))])
    assert not (home / "mail").exists()


def test_attachments_that_are_not_there_or_too_large(demo):
    with pytest.raises(ToolFailed, match="there is no file 'budget.pdf'; find its path with open_and_get_file_path"):
        compose_new_email(["ana@example.org"], "x", "y", attachments=["budget.pdf"])
    with open(demo / "files" / "big.bin", "wb") as file:
        os.truncate(file.fileno(), 26 * 2**20)
    with pytest.raises(ToolFailed, match="the attachments have 26 MB; at most 25 MB"):
        compose_new_email(["ana@example.org"], "x", "y", attachments=["files/big.bin"])


@pytest.mark.parametrize(
    "bad", ["Ana", "ana@", "@x.org", "a b@x.org", "ana@example.org\nBcc: eve@x.org", "ana@x.org, eve@x.org", "a@x.org>b@y.org", "é@x.org"]
)
def test_recipients_are_addresses(home, bad):
    for call in (lambda: compose_new_email([bad], "x", "y"), lambda: compose_new_email(["a@x.org"], "x", "y", cc=[bad])):
        with pytest.raises(ToolFailed, match="is no e-mail address; look it up"):
            call()
    with pytest.raises(ToolFailed, match="at least one recipient"):
        compose_new_email([], "x", "y")


def test_no_header_comes_in_by_the_subject_or_the_text(home):
    compose_new_email(["ana@example.org"], "x\r\nBcc: eve@x.org", "\r\n\r\nBcc: eve@x.org\x00")
    message, _ = draft(home)
    assert message["Bcc"] is None and message["Subject"] == "x Bcc: eve@x.org"


def test_two_drafts_of_one_minute(home):
    for _ in range(2):
        compose_new_email(["ana@example.org"], "a/b: c", "y")
    assert sorted(f.name for f in (home / "mail/drafts").iterdir()) == ["2025-11-24 10.00 a-b- c 2.eml", "2025-11-24 10.00 a-b- c.eml"]


def test_a_reply(demo):
    said = reply_to_email("I'll bring it.", cc=["ana@example.org"], attachments=["files/Documents/budget.pdf"])
    message, _ = draft(demo)
    assert message["To"] == "Sid Sharma <sid@example.org>" and message["Cc"] == "ana@example.org" and message["Subject"] == "Re: Agenda"
    assert message["In-Reply-To"] == message["References"] == "<agenda-1@example.org>"
    assert [p.get_filename() for p in message.get_payload()[1:]] == ["budget.pdf"], "a reply does not send the attachment back"
    assert text(message) == (
        "I'll bring it.\n\nOn Mon, 24 Nov 2025 at 08:00, Sid Sharma <sid@example.org> wrote:\n"
        "> Hi Sam,\n>\n> here is the agenda. Please bring the budget.\n>\n> Sid\n"
    )
    assert said.startswith("Draft to Sid Sharma <sid@example.org>, ana@example.org, subject 'Re: Agenda', with budget.pdf, saved")


@pytest.mark.parametrize("subject, reply, forward", [
    ("Lunch", "Re: Lunch", "Fwd: Lunch"),
    ("Re: Lunch", "Re: Lunch", "Fwd: Re: Lunch"),
    ("RE: Re[2]: AW: Lunch", "Re: Lunch", "Fwd: RE: Re[2]: AW: Lunch"),
    ("Fwd: FW: Lunch", "Re: Fwd: FW: Lunch", "Fwd: Lunch"),
    ("Regarding: lunch", "Re: Regarding: lunch", "Fwd: Regarding: lunch"),
    (None, "Re: ", "Fwd: "),
])  # fmt: skip
def test_prefixes_stand_once(home, subject, reply, forward):
    receive(home, Subject=subject)
    reply_to_email("ok")
    assert draft(home)[0]["Subject"].strip() == reply.strip()
    next((home / "mail/drafts").iterdir()).unlink()
    forward_email(["sid@example.org"])
    assert draft(home)[0]["Subject"].strip() == forward.strip()


def test_a_thread_keeps_its_references(home):
    ids = " ".join(f"<{i}{'x' * 60}@example.org>" for i in range(6))
    receive(home, References=ids, **{"Message-ID": "<last@example.org>"})
    reply_to_email()
    message, raw = draft(home)
    assert message["References"].split() == [*ids.split(), "<last@example.org>"] and "=?" not in raw
    assert message["In-Reply-To"] == "<last@example.org>"


def test_reply_to_wins_and_a_message_without_id(home):
    receive(home, Reply_To="list@example.org", **{"Message-ID": None})
    reply_to_email("ok")
    message, _ = draft(home)
    assert message["To"] == "list@example.org" and message["In-Reply-To"] is None and message["References"] is None


def test_a_forward_keeps_text_and_attachments(demo):
    said = forward_email(["zoe@example.net"], cc=["ana@example.org"], context="FYI", attachments=["files/Documents/budget.pdf"])
    message, raw = draft(demo)
    assert message["Subject"] == "Fwd: Agenda" and message["To"] == "zoe@example.net" and message["Cc"] == "ana@example.org"
    parts = message.get_payload()[1:]
    assert [(p.get_filename(), p.get_content_type()) for p in parts] == [
        ("agenda.pdf", "application/pdf"),
        ("budget.pdf", "application/pdf"),
    ]
    original = email.parser.BytesParser(policy=email.policy.compat32).parsebytes((demo / "mail/inbox/agenda.eml").read_bytes())
    assert parts[0].get_payload(decode=True) == original.get_payload()[1].get_payload(decode=True)
    body = text(message)
    assert body.startswith(
        "FYI\n\n---------- Forwarded message ----------\nFrom: Sid Sharma <sid@example.org>\nDate: Mon, 24 Nov 2025 08:00:00 "
    )
    assert "Subject: Agenda\nTo: Sam Taylor <sam@example.org>\n\nHi Sam,\n\nhere is the agenda." in body
    assert "with agenda.pdf, budget.pdf" in said


def test_a_forward_without_words_of_ones_own(demo):
    forward_email(["zoe@example.net"])
    assert text(draft(demo)[0]).startswith("---------- Forwarded")


def test_html_and_foreign_charsets(home):
    receive(
        home, Content_Type="text/html; charset=x-unknown", body="<html><head><style>a{}</style></head><p>Hi &amp; <b>hello</b></p><br>Ana"
    )
    reply_to_email("ok")
    assert text(draft(home)[0]).endswith("wrote:\n> Hi & hello\n>\n> Ana\n")


def test_malformed_messages(home):
    receive(
        home,
        From='"',
        Date="never",
        Subject="=?utf-8?q?=ff",
        **{"Message-ID": "<"},
        Content_Type="multipart/mixed; boundary=x",
        body="no parts",
    )
    with pytest.raises(ToolFailed, match="at least one recipient|no e-mail address"):
        reply_to_email("ok")
    forward_email(["sid@example.org"])
    assert draft(home)[0]["To"] == "sid@example.org"


def test_nothing_selected(home):
    for call in (lambda: reply_to_email("x"), lambda: forward_email(["a@x.org"])):
        with pytest.raises(ToolFailed, match="no e-mail is selected"):
            call()
    receive(home)
    (home / "mail/selected").write_text("gone.eml")
    with pytest.raises(ToolFailed, match="'gone.eml' is not in mail/inbox"):
        reply_to_email("x")
    (home / "mail/selected").write_text("../../../outside/secret.txt")
    with pytest.raises(ToolFailed, match="outside the home"):
        reply_to_email("x")


def test_eight_bit_attachments_are_forwarded_whole(home):
    message = EmailMessage()
    message["From"], message["Subject"] = "ana@example.org", "x"
    message.set_content("body")
    message.add_attachment("naïve\n", filename="n.txt", cte="8bit")
    (home / "mail" / "inbox").mkdir(parents=True)
    (home / "mail/inbox/m.eml").write_bytes(message.as_bytes())
    (home / "mail/selected").write_text("inbox/m.eml")
    forward_email(["sid@example.org"])
    part = draft(home)[0].get_payload()[1]
    assert part.get_payload(decode=True).decode("utf-8").strip() == "naïve" and part.get_filename() == "n.txt"


def test_a_forwarded_message_inside_a_message(home):
    inner, outer = EmailMessage(), EmailMessage()
    inner["Subject"] = "inner"
    inner.set_content("deep")
    outer["From"], outer["Subject"] = "ana@example.org", "outer"
    outer.set_content("body")
    outer.add_attachment(inner)
    (home / "mail" / "inbox").mkdir(parents=True)
    (home / "mail/inbox/m.eml").write_bytes(outer.as_bytes())
    (home / "mail/selected").write_text("m.eml")
    forward_email(["sid@example.org"])
    part = draft(home)[0].get_payload()[1]
    assert part.get_filename() == "message.eml" and email.message_from_bytes(part.get_payload(decode=True))["Subject"] == "inner"


def test_no_malformed_message_breaks_a_tool(demo):
    rng, good = random.Random(7), (demo / "mail/inbox/agenda.eml").read_bytes()
    pieces = [b"\r\n", b"=?", b'"', b"<", b";", b"\x00", b"\xff", b"(", b"charset=x", b"boundary=", b"--"]
    for _ in range(150):
        data = bytearray(good)
        for _ in range(rng.randint(1, 8)):
            i = rng.randrange(len(data))
            data[i : i + rng.choice([0, 0, 1, 20])] = rng.choice(pieces)
        (demo / "mail/inbox/agenda.eml").write_bytes(data)
        for call in (lambda: reply_to_email("ok"), lambda: forward_email(["sid@example.org"])):
            with contextlib.suppress(ToolFailed):
                call()
    for file in (demo / "mail/drafts").iterdir():
        assert file.read_bytes().isascii()
