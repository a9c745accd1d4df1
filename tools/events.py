"""Calendar: events as .ics files in home/calendar/<calendar>/ (named events.py: a file calendar.py would hide Python's own module).

An event lasts 60 minutes unless an end is given; a start without a time makes it last all day, up to and with the end day.
Left out: repeating events, changing and deleting events, invitations by mail (invitees are noted in the event).
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

from _ical import describe, moment, save, spoken
from _store import addresses, identity, line

from toolagent.tool import Email, Name, Text, ToolFailed, When, tool

LASTS = timedelta(minutes=60)


@tool(writes=True)
def create_calendar_event(
    title: Name,
    start_date: When,
    end_date: When | None = None,
    location: Name | None = None,
    invitees: list[Email] | None = None,
    notes: Text | None = None,
    calendar: Name | None = None,
) -> str:
    """Create a calendar event.

    Args:
        title: what the event is
        start_date: when it starts
        end_date: when it ends
        location: where it is
        invitees: e-mail addresses of the people to invite
        notes: text or link to keep with it
        calendar: name of the calendar
    """
    import icalendar

    start, end = span(start_date, end_date)
    event = describe(icalendar.Event(), title, notes)
    event.add("dtstart", start)
    event.add("dtend", end)
    if location:
        event.add("location", line(location))
    people = addresses(invitees or ())
    for _, address in people:
        attendee = icalendar.vCalAddress(f"mailto:{address}")
        attendee.params.update({"ROLE": "REQ-PARTICIPANT", "PARTSTAT": "NEEDS-ACTION", "RSVP": "TRUE"})
        event.add("attendee", attendee, encode=False)
    if people and (me := identity()):  # RFC 5545, 3.8.4.3: an event with attendees names its organizer
        event.add("organizer", icalendar.vCalAddress(f"mailto:{me[1]}"), encode=False)
    last = end if isinstance(end, datetime) else end - timedelta(days=1)
    return f"Event {line(title)!r} from {spoken(start)} to {spoken(last)} saved {save(event, 'calendar', calendar or 'personal')}"


def span(start_date: str, end_date: str | None) -> tuple[date, date]:
    """DTSTART and DTEND. DTEND is exclusive: for days, the morning after the last one."""
    start = moment(start_date)
    whole = not isinstance(start, datetime)
    if not end_date:
        return start, start + (timedelta(days=1) if whole else LASTS)
    end = moment(end_date)
    if whole is isinstance(end, datetime):
        raise ToolFailed(f"start {start_date} and end {end_date} must both have a time, or neither")
    if whole:
        end += timedelta(days=1)
    if end <= start:
        raise ToolFailed(f"the event ends ({end_date}) before it starts ({start_date})")
    return start, end
