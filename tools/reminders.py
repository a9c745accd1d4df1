"""Reminders: tasks (VTODO) as .ics files in home/reminders/<list>/, with an alarm at the due time.

Left out: repeating reminders, ticking them off.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from _ical import describe, moment, save, spoken
from _store import line

from toolagent.tool import Name, Text, When, now, tool


@tool(writes=True)
def create_reminder(
    name: Name,
    due_date: When | None = None,
    notes: Text | None = None,
    list_name: Name | None = None,
    priority: Literal[0, 1, 5, 9] = 0,
    all_day: bool = False,
) -> str:
    """Create a reminder.

    Args:
        name: what to be reminded of
        due_date: when it is due
        notes: text to keep with it
        list_name: list it belongs to
        priority: 1 high, 5 medium, 9 low, 0 none
        all_day: for the whole day, without a time
    """
    import icalendar

    due = moment(due_date) if due_date else now().date() if all_day else None
    if all_day and isinstance(due, datetime):
        due = due.date()
    todo = describe(icalendar.Todo(), name, notes)
    todo.add("status", "NEEDS-ACTION")
    if priority:
        todo.add("priority", priority)
    if due is not None:
        todo.add("due", due)
    if isinstance(due, datetime):
        alarm = icalendar.Alarm()
        alarm.add("action", "DISPLAY")
        alarm.add("description", line(name))
        alarm.add("trigger", timedelta(0), parameters={"RELATED": "END"})  # END is what a task calls its due time
        todo.add_component(alarm)
    return f"Reminder {line(name)!r}{f' for {spoken(due)}' if due else ''} saved {save(todo, 'reminders', list_name or 'reminders')}"
