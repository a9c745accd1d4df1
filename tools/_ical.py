"""One .ics file an event or task, in a vdir (home/calendar/<calendar>/<uid>.ics): what khal, todoman and vdirsyncer read.

Times carry TOOLAGENT_TZ with its VTIMEZONE when that is set, else they float (15:00 wherever the reader is).
"""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime
from typing import Any

from _net import put
from _store import aware, folder, line, plain, shown, zone

from toolagent.tool import ToolFailed, now, write_file


def moment(text: str) -> date | datetime:
    """'YYYY-MM-DD HH:MM:SS' -> datetime (in TOOLAGENT_TZ, if set), 'YYYY-MM-DD' -> date. Raises ToolFailed."""
    try:
        if len(text.strip()) == 10:
            return date.fromisoformat(text.strip())
        found = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise ToolFailed(f"{text[:100]!r} is no date; write YYYY-MM-DD HH:MM:SS, or YYYY-MM-DD for a whole day") from error
    if found.tzinfo is not None:
        raise ToolFailed(f"{text[:100]!r} has a zone of its own; write local time, YYYY-MM-DD HH:MM:SS")
    local = found.replace(tzinfo=zone())
    if zone() and local.astimezone(UTC).astimezone(zone()).replace(tzinfo=None) != found:
        raise ToolFailed(f"{text} does not exist in {zone()}: the clocks skip it")
    return local


def spoken(when: date | datetime) -> str:
    """'Fri 2025-11-28 15:00', as a result tells it."""
    return when.strftime("%a %Y-%m-%d %H:%M" if isinstance(when, datetime) else "%a %Y-%m-%d")


def describe(entry: Any, title: str, notes: str | None) -> Any:
    """Give a new VEVENT or VTODO its UID, times of making, title and notes. Returns it."""
    if not line(title):
        raise ToolFailed("the title is empty")
    made = aware(now()).astimezone(UTC)
    entry.add("uid", str(uuid.uuid4()))
    entry.add("dtstamp", made)
    entry.add("created", made)
    entry.add("summary", line(title))
    if notes:
        entry.add("description", plain(notes))
    return entry


def save(entry: Any, base: str, name: str) -> str:
    """Write the entry into home/base/name, and to the CalDAV server when there is one. Returns where it is now."""
    import icalendar

    calendar = icalendar.Calendar()
    calendar.add("prodid", "-//toolagent//EN")
    calendar.add("version", "2.0")
    calendar.add_component(entry)
    calendar.add_missing_timezones()
    data, uid = calendar.to_ical(), str(entry["uid"])
    where = folder(base, name)
    path = write_file(f"{where}/{uid}.ics", data)
    return f"in {shown(path)}{put(data, uid, where.rpartition('/')[2])}"
