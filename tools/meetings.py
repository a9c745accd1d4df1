"""Meetings: a link to a video room, made from a template, without an account or a request to anyone.

    TOOLAGENT_MEETING_URL=https://jitsi.example.org/{slug}-{token}     (default: https://meet.jit.si/{slug}-{token})
    TOOLAGENT_MEETING_URL=https://zoom.us/j/1234567890                 (a personal room: the same link each time)

{slug} is the topic in plain letters, {token} is random and new for each link. At meet.jit.si one of the participants has to log in as
moderator before a meeting starts; an instance of your own need not ask. A room has no time: start, duration and invitees belong to the
event or mail that carries the link. Left out: Zoom's API.
"""

from __future__ import annotations

import re
import secrets
from urllib.parse import urlsplit

from _store import addresses, fold, setting

from toolagent.tool import Email, Link, Name, ToolFailed, When, tool

DEFAULT = "https://meet.jit.si/{slug}-{token}"
TOKEN_BYTES = 9  # 72 bits: nobody finds the room by trying
LONGEST = 24 * 60  # minutes


@tool
def get_zoom_meeting_link(topic: Name, start_time: When, duration: int, meeting_invitees: list[Email] | None = None) -> Link:
    """Get a link for an online meeting.

    Args:
        topic: what the meeting is about
        start_time: when it starts
        duration: minutes, 60 if not said
        meeting_invitees: e-mail addresses of the participants
    """
    if not 1 <= duration <= LONGEST:
        raise ToolFailed(f"a meeting of {duration} minutes: the duration must be 1 to {LONGEST}")
    addresses(meeting_invitees or ())
    template = setting("MEETING_URL", DEFAULT)
    if urlsplit(template).scheme not in ("https", "http"):
        raise ToolFailed(f"TOOLAGENT_MEETING_URL={template!r} must start with https://")
    slug = re.sub(r"[^a-z0-9]+", "-", fold(topic)).strip("-")[:40].strip("-") or "meeting"
    return template.replace("{slug}", slug).replace("{token}", secrets.token_hex(TOKEN_BYTES))
