"""Mail: drafts as .eml files in home/mail/drafts. Any mail program opens them; nothing is sent unless TOOLAGENT_SMTP is set (see _net.py).

    mail/identity    the sender, e.g. Sam Taylor <sam@example.org>
    mail/inbox/      messages received, *.eml
    mail/selected    the file name of the message that reply and forward are about
    mail/sent/       drafts that were sent

Left out: reading a mailbox from a server, HTML bodies, reply to all (the others go into cc).
"""

from __future__ import annotations

import pathlib
import re
from email.message import EmailMessage

from _message import POLICY, attach, attachments_of, compose, file_name, header, ids, pass_on, people, read, sent_on, text_of
from _net import send, server
from _store import shown, write_new

from toolagent.tool import Email, Name, Path, Text, ToolFailed, inside_home, move_file, now, tool

RE = re.compile(r"(?:(?:re|aw|sv|antw)(?:\[\d+\])?:\s*)+", re.I)
FWD = re.compile(r"(?:(?:fwd?|wg|tr)(?:\[\d+\])?:\s*)+", re.I)


@tool(writes=True)
def compose_new_email(
    recipients: list[Email], subject: Name, context: Text, cc: list[Email] | None = None, attachments: list[Path] | None = None
) -> str:
    """Write a new e-mail.

    Args:
        recipients: e-mail addresses
        subject: subject line
        context: what the mail says
        cc: addresses that get a copy
        attachments: paths of files to attach
    """
    return finish(compose(recipients, cc, subject, context), attachments)


@tool(writes=True)
def reply_to_email(context: Text | None = None, cc: list[Email] | None = None, attachments: list[Path] | None = None) -> str:
    """Reply to the selected e-mail.

    Args:
        context: what the reply says
        cc: addresses that get a copy
        attachments: paths of files to attach
    """
    original = selected()
    writers = people(original, "Reply-To") or people(original, "From")
    quoted = "\n".join(f"> {row}".rstrip() for row in text_of(original).splitlines())
    body = f"{context or ''}\n\nOn {sent_on(original)}, {header(original, 'From')} wrote:\n{quoted}"
    message = compose(writers, cc, "Re: " + RE.sub("", header(original, "Subject"), count=1), body)
    if parent := ids(original, "Message-ID")[:1]:  # RFC 5322, 3.6.4
        message["In-Reply-To"] = parent[0]
        message["References"] = " ".join((ids(original, "References") or ids(original, "In-Reply-To")[:1]) + parent)
    return finish(message, attachments)


@tool(writes=True)
def forward_email(
    recipients: list[Email], cc: list[Email] | None = None, context: Text | None = None, attachments: list[Path] | None = None
) -> str:
    """Forward the selected e-mail with its attachments.

    Args:
        recipients: e-mail addresses
        cc: addresses that get a copy
        context: what to say above it
        attachments: paths of more files to attach
    """
    original = selected()
    top = "\n".join(f"{name}: {header(original, name)}" for name in ("From", "Date", "Subject", "To", "Cc") if header(original, name))
    body = f"{context or ''}\n\n---------- Forwarded message ----------\n{top}\n\n{text_of(original)}".lstrip("\n")
    message = compose(recipients, cc, "Fwd: " + FWD.sub("", header(original, "Subject"), count=1), body)
    pass_on(message, original)
    return finish(message, attachments)


def selected() -> EmailMessage:
    """The message that mail/selected names, in mail/inbox or below mail/. Raises ToolFailed."""
    pointer = inside_home("mail/selected")
    name = pointer.read_text("utf-8", "replace").strip() if pointer.is_file() else ""
    if not name:
        raise ToolFailed("no e-mail is selected; write the name of a file of mail/inbox into mail/selected")
    for path in (inside_home(pathlib.PurePath("mail/inbox", name)), inside_home(pathlib.PurePath("mail", name))):
        if path.is_file():
            return read(path)
    raise ToolFailed(f"the selected e-mail {name[:200]!r} is not in mail/inbox")


def finish(message: EmailMessage, paths: list[str] | None) -> str:
    """Attach, store as a draft, send when TOOLAGENT_SMTP says where. Returns what became of it."""
    attach(message, paths or ())
    if not server("SMTP"):
        message["X-Unsent"] = "1"  # Outlook then opens the file for editing
    subject = str(message["Subject"])
    path = write_new("mail/drafts", f"{now():%Y-%m-%d %H.%M} {subject}", ".eml", message.as_bytes(policy=POLICY))
    sent, problem = send(message)
    if sent and not inside_home(f"mail/sent/{path.name}").exists():
        path = move_file(path, f"mail/sent/{path.name}")
    files = [file_name(part) for part in attachments_of(message)]
    what = f"to {', '.join(people(message, 'To', 'Cc'))}, subject {subject!r}" + (f", with {', '.join(files)}" if files else "")
    problem = f" ({problem})" if sent and problem else f"; not sent: {problem}" if problem else ""
    return f"{'Mail sent' if sent else 'Draft'} {what}, saved as {shown(path)}{problem}"
