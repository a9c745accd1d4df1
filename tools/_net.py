"""The two optional ways out of the machine, off unless configured: SMTP for mail drafts, CalDAV for events and reminders.

    TOOLAGENT_SMTP=smtp://ana@mail.example.org:587        (STARTTLS)   or smtps://ana@mail.example.org (TLS from the start)
    TOOLAGENT_CALDAV=https://ana@dav.example.org/ana/{calendar}/       ({calendar}: the name of the calendar or list; may be left out)
    TOOLAGENT_SMTP_PASSWORD, or TOOLAGENT_SMTP_PASSWORD_FILE=/path/of/a/file; the same with CALDAV

What is stored here stays stored when the network fails; the result says which of the two happened. A password goes to a verified TLS
server or to this machine itself, and into no message. A file .toolagent/offline in the home turns both off.
Left out: reading from servers, deleting there (undo takes back the local file only).
"""

from __future__ import annotations

import base64
import email.message
import pathlib
import urllib.parse

from _store import setting

from toolagent.tool import inside_home

OFFLINE = ".toolagent/offline"
TIMEOUT = 10.0  # seconds for each answer of a server
LOOPBACK = ("127.0.0.1", "::1", "localhost")


def server(service: str) -> str:
    """The configured address of SMTP or CALDAV; "" when there is none, or this home stays offline."""
    return "" if inside_home(OFFLINE).exists() else setting(service)


def password(service: str) -> str:
    """The secret of SMTP or CALDAV. Raises OSError when its file cannot be read."""
    file = setting(f"{service}_PASSWORD_FILE")
    return pathlib.Path(file).read_text("utf-8").strip() if file else setting(f"{service}_PASSWORD")


def reason(error: Exception) -> str:
    """An error of a network library in a few words; never the configured address, which may hold a secret."""
    if isinstance(error, ValueError) and not isinstance(error, OSError):
        return "the address of the server cannot be read"
    return f"{type(error).__name__}: {' '.join(str(getattr(error, 'reason', '') or error).split())[:200]}"


def send(message: email.message.EmailMessage) -> tuple[bool, str]:
    """(sent, why not). (False, "") when TOOLAGENT_SMTP is not set."""
    if not (address := server("SMTP")):
        return False, ""
    import smtplib
    import ssl

    url = urllib.parse.urlsplit(address if "://" in address else f"smtp://{address}")
    if message["From"] is None:
        return False, "no sender: write 'Your Name <you@example.org>' into mail/identity"
    try:
        host, secret = url.hostname or "", password("SMTP")
        if url.scheme == "smtps":
            client: smtplib.SMTP = smtplib.SMTP_SSL(host, url.port or 465, timeout=TIMEOUT, context=ssl.create_default_context())
        else:
            client = smtplib.SMTP(host, url.port or 587, timeout=TIMEOUT)
        with client:
            if url.scheme != "smtps" and host not in LOOPBACK:
                client.starttls(context=ssl.create_default_context())  # raises when the server offers none
            if url.username:
                client.login(urllib.parse.unquote(url.username), secret)
            refused = client.send_message(message)
    except (OSError, ValueError, smtplib.SMTPException) as error:
        return False, reason(error)
    return True, f"refused for {', '.join(refused)}" if refused else ""


def put(data: bytes, uid: str, calendar: str) -> str:
    """Store one .ics on the CalDAV server. Returns what to add to the result: "" when TOOLAGENT_CALDAV is not set."""
    if not (address := server("CALDAV")):
        return ""
    import http.client
    import urllib.error
    import urllib.request

    url = urllib.parse.urlsplit(address.replace("{calendar}", urllib.parse.quote(calendar, safe="")))
    headers = {"Content-Type": "text/calendar; charset=utf-8", "If-None-Match": "*"}
    try:
        if url.scheme != "https" and url.hostname not in LOOPBACK:
            return "; not on the CalDAV server: its address must start with https://"
        if url.username:
            login = f"{urllib.parse.unquote(url.username)}:{password('CALDAV')}"
            headers["Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()
        target = urllib.parse.urlunsplit((url.scheme, url.netloc.rpartition("@")[2], f"{url.path.rstrip('/')}/{uid}.ics", "", ""))
        proxies = urllib.request.ProxyHandler({} if url.hostname in LOOPBACK else None)
        request = urllib.request.Request(target, data, headers, method="PUT")
        with urllib.request.build_opener(proxies).open(request, timeout=TIMEOUT):  # follows no redirect: it is a PUT
            return "; also on the CalDAV server"
    except (OSError, ValueError, http.client.HTTPException) as error:  # URLError and HTTPError are OSErrors
        if isinstance(error, urllib.error.HTTPError):
            return f"; not on the CalDAV server: {error.code} {error.reason}"
        return f"; not on the CalDAV server: {reason(error)}"
