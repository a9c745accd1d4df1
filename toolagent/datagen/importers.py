"""Other people's files -> our words. So far: TinyAgent's numbered plans (arXiv 2409.00608), as its model writes and its data hold them.

    1. get_email_address("Sid")
    2. create_calendar_event("Meeting", "2024-05-01 10:00:00", "", "", ["$1"], "", None)
    3. join()

Arguments stand by position (or by name); each tool's order comes in as a table. Empty ones are TinyAgent's way to leave an argument out,
and are left out. One too many is kept as "argument_3", because its "$k" is an edge of the graph. join() ends the plan and is no step.
Steps are numbered anew where numbers are missing, and "$k" follows; other lines ("Thought: ...") are passed over. A numbered line that is
no step is a DataError, and so is an unknown tool.
Left out: steps over several lines; the joiner's answers.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from toolagent.errors import DataError
from toolagent.evaluate.cases import Case, known, located, read_rows, unique
from toolagent.plan import Plan, from_rows, references

TINYAGENT: Mapping[str, tuple[str, ...]] = {  # the published order (tiny_agent_tools.py)
    "get_phone_number": ("name",),
    "get_email_address": ("name",),
    "create_calendar_event": ("title", "start_date", "end_date", "location", "invitees", "notes", "calendar"),
    "open_and_get_file_path": ("file_name",),
    "summarize_pdf": ("pdf_path",),
    "compose_new_email": ("recipients", "cc", "subject", "context", "attachments"),
    "reply_to_email": ("cc", "context", "attachments"),
    "forward_email": ("recipients", "cc", "context", "attachments"),
    "maps_open_location": ("location",),
    "maps_show_directions": ("start_location", "end_location", "transport"),
    "create_note": ("name", "content", "folder"),
    "open_note": ("name", "folder"),
    "append_note_content": ("name", "content", "folder"),
    "create_reminder": ("name", "due_date", "notes", "list_name", "priority", "all_day"),
    "send_sms": ("recipients", "message"),
    "get_zoom_meeting_link": ("topic", "start_time", "duration", "meeting_invitees"),
}
NUMBERED = re.compile(r"\s*(\d+)\.\s")
STEP = re.compile(r"\s*(\d+)\.\s*([A-Za-z_][\w.-]*)\s*(\(.*\).*)$")
BARE_REFERENCE = re.compile(r"(?<=[\s,(\[])(\$(?:\d+|\{\d+\}))(?=[\s,)\]])")


def tinyagent_plan(text: str, parameters: Mapping[str, Sequence[str]] = TINYAGENT) -> Plan:
    """A numbered plan -> Plan. Raises DataError (what cannot be read, an unknown tool), PlanError (a reference that cannot be)."""
    rows: list[dict[str, Any]] = []
    for line in text.splitlines():
        step = STEP.match(line)
        if step and step[2] == "join":
            break
        if step:
            known(step[2], parameters, "tool")
            rows.append({"id": int(step[1]), "tool": step[2], "args": arguments(step[2], step[3], parameters[step[2]])})
        elif NUMBERED.match(line):
            raise DataError(f"no step can be read from {line.strip()[:120]!r}")
    else:
        if text.strip() and not rows:
            raise DataError(f"no plan can be read from {text.strip()[:120]!r}")
    ids = [row["id"] for row in rows]
    for row in rows:
        for k in references(row["args"]):
            if k not in ids and k < max(ids):
                raise DataError(f"step {row['id']} ({row['tool']}) refers to ${k}, and there is no step {k}")
    return from_rows(rows)


def arguments(tool: str, text: str, names: Sequence[str]) -> dict[str, Any]:
    """'("Sid", ["$1"])  # a comment' -> {name: value}, without the empty ones."""
    values, named = literal(text)
    for name in named:
        known(name, names, f"argument of {tool}:")
    surplus = [f"argument_{k}" for k in range(len(names) + 1, len(values) + 1)]
    found = {**dict(zip((*names, *surplus), values, strict=False)), **named}
    return {name: value for name, value in found.items() if value is not None and value not in ("", [])}


def literal(text: str) -> tuple[list[Any], dict[str, Any]]:
    """Positional and named values. References need not be quoted; what is no Python at all is one text, as LLMCompiler takes it."""
    for attempt in (text, BARE_REFERENCE.sub(r'"\1"', text)):
        try:
            call = ast.parse(f"f{attempt}", mode="eval").body
            if isinstance(call, ast.Call):
                values = [ast.literal_eval(value) for value in call.args]
                return values, {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
    return [text[1 : text.rindex(")")].strip().strip("\"'")], {}


def tinyagent_cases(path: str | Path, parameters: Mapping[str, Sequence[str]] = TINYAGENT) -> list[Case]:
    """Rows of {"query", "functions", "plan", "id"} -> Cases with the tag "tinyagent": only their graphs are gold, because the dates in
    them have no stated today and the texts were written by a model. Raises DataError "path:line: ..."."""
    return unique((where, located(where, tinyagent_case, data, parameters)) for where, data in read_rows(path))


def tinyagent_case(data: Mapping[str, Any], parameters: Mapping[str, Sequence[str]] = TINYAGENT) -> Case:
    for key in ("id", "query", "plan"):
        if not isinstance(data.get(key), str):
            raise DataError(f"{key!r} must be a text")
    return Case(data["id"], None, data["query"], tinyagent_plan(data["plan"], parameters), tags=("tinyagent",))
