"""One mail message as this pack reads and writes it: .eml bytes by Python's email package.

Written: plain text, CRLF, headers of up to 998 characters a line (a folded Message-ID is a broken one), 7-bit safe. Read: what there is;
a header that cannot be parsed counts as missing.
"""

from __future__ import annotations

import email
import html
import mimetypes
import pathlib
import re
from collections.abc import Iterable
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, default
from email.utils import format_datetime, make_msgid
from typing import Any

from _store import addresses, aware, file_in_home, identity, line, plain

from toolagent.tool import ToolFailed, now

POLICY = SMTP.clone(max_line_length=998, cte_type="7bit")
MOST_BYTES = 25 * 2**20  # what most mail servers take


def compose(recipients: Iterable[str], cc: Iterable[str] | None, subject: str, body: str) -> EmailMessage:
    """A new message from the user, dated now. Raises ToolFailed: no recipient, or one that is no address."""
    message = EmailMessage(policy=POLICY)
    to = addresses(recipients)
    if not to:
        raise ToolFailed("the mail needs at least one recipient")
    if me := identity():
        message["From"] = Address(me[0], addr_spec=me[1])
    message["To"] = [Address(name, addr_spec=address) for name, address in to]
    if copies := [pair for pair in addresses(cc or ()) if pair not in to]:
        message["Cc"] = [Address(name, addr_spec=address) for name, address in copies]
    message["Subject"] = line(subject)
    message["Date"] = format_datetime(aware(now()))
    message["Message-ID"] = make_msgid(domain=me[1].partition("@")[2] if me else "localhost")
    message.set_content(plain(body).rstrip() + "\n")
    return message


def attach(message: EmailMessage, paths: Iterable[str]) -> list[str]:
    """Add files of the home. Returns their names. Raises ToolFailed: outside the home, missing, too large."""
    files = list(dict.fromkeys(file_in_home(path) for path in paths))
    if (size := sum(file.stat().st_size for file in files)) > MOST_BYTES:
        raise ToolFailed(f"the attachments have {size / 2**20:.0f} MB; at most {MOST_BYTES // 2**20} MB can be mailed")
    for file in files:
        kind, encoding = mimetypes.guess_type(file.name)
        add(message, file.read_bytes(), "" if encoding else kind or "", file.name)
    return [file.name for file in files]


def pass_on(message: EmailMessage, original: EmailMessage) -> None:
    """Add the attachments of the original, made anew from their bytes: a malformed part must not spoil the message."""
    for part in attachments_of(original):
        data = part.get_payload(decode=True)
        if data is None:  # a message or a nested multipart
            data = b"".join(inner.as_bytes() for inner in part.get_payload() if isinstance(inner, EmailMessage))
        add(message, data, part.get_content_type(), file_name(part), str(part.get_param("charset") or ""))


def add(message: EmailMessage, data: bytes, kind: str, name: str, charset: str = "") -> None:
    if not re.fullmatch(r"[a-z]+/[\w.+-]+", kind, re.A) or kind.startswith(("message/", "multipart/")):
        kind = "application/octet-stream"  # also for a message: it must not be base64 (RFC 2046, 5.2.1)
    main, sub = kind.split("/")
    params = {"charset": charset} if re.fullmatch(r"[\w-]+", charset, re.A) and main == "text" else {}
    message.add_attachment(data, maintype=main, subtype=sub, filename=name, params=params)


def read(path: pathlib.Path) -> EmailMessage:
    return email.message_from_bytes(path.read_bytes(), policy=default)


def header(message: EmailMessage, name: str) -> str:
    try:
        return line(str(message.get(name, "")))
    except Exception:  # the header parser of the standard library raises IndexError and others at malformed headers
        return ""


def ids(message: EmailMessage, name: str) -> list[str]:
    """The message ids in a header."""
    return re.findall(r"<[!-;=?-~]+>", header(message, name))


def people(message: EmailMessage, *names: str) -> list[str]:
    """The addresses in these headers, as 'Ana Souza <ana@example.org>' or plain."""
    found: list[str] = []
    for name in names:
        try:
            found += [f"{a.display_name} <{a.addr_spec}>" if a.display_name else a.addr_spec for a in message[name].addresses]
        except Exception:  # as in header; also: no such header
            continue
    return found


def sent_on(message: EmailMessage) -> str:
    """'Mon, 24 Nov 2025 at 09:12', or the header as it is."""
    try:
        found: datetime | None = email.utils.parsedate_to_datetime(header(message, "Date"))
    except ValueError:
        found = None
    return f"{found:%a, %d %b %Y at %H:%M}" if found else header(message, "Date")


def text_of(message: EmailMessage) -> str:
    """The body as plain text; HTML without its tags."""
    part = message.get_body(("plain", "html")) if message.is_multipart() else message
    if part is None or part.get_content_maintype() != "text":
        return ""
    raw = part.get_payload(decode=True)
    try:
        text = raw.decode(part.get_content_charset() or "utf-8", "replace") if isinstance(raw, bytes) else str(raw)
    except (LookupError, ValueError):  # a charset that Python does not know
        text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else ""
    if part.get_content_subtype() == "html":
        text = re.sub(r"(?is)<(script|style|head)\b.*?</\1>", "", text)
        text = html.unescape(re.sub(r"<[^>]*>", "", re.sub(r"(?i)<(br|/p|/div|/tr|/h\d|/li)\b[^>]*>", "\n", text)))
    return re.sub(r"\n{3,}", "\n\n", plain(text)).strip()


def file_name(part: Any) -> str:
    default_name = "message.eml" if part.get_content_type() == "message/rfc822" else "attachment"
    try:
        return line(str(part.get_filename() or default_name))
    except Exception:  # as in header
        return default_name


def attachments_of(message: EmailMessage) -> list[Any]:
    return list(message.iter_attachments()) if message.is_multipart() else []
