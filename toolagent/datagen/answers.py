"""What a teacher wrote -> seed rows: read leniently, then judged strictly.

    candidates('Sure! ```json\n{"request": "water the roses", "plan": [...]}\n```') -> ([{"request": ...}], 0)
    seed_row(candidate, tools, True) -> ({"request", "plan", "swap", "tags"}, "")  or  (None, "words that are not in the request")

Read: JSON lines, a JSON list, either of them in a code fence or among prose; a broken object is counted and passed over. A step may be
{"id", "tool", "args"} or OpenAI's {"name", "arguments"}. Left out: repairing broken JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from toolagent import toolbox
from toolagent.datagen.compose import LEAD, minutes_of
from toolagent.datagen.filters import fault
from toolagent.datagen.grounding import dangling, grounded, held
from toolagent.datagen.invented import words
from toolagent.errors import ToolagentError
from toolagent.plan import Plan, from_rows, references, strings, to_rows
from toolagent.types import ToolCall, ToolSpec

KINDS = words(
    "person email phone place address file pdf folder note list event topic message subject when when_range duration number url calendar"
)
FORMATS = {"email": "email", "phone": "phone", "uri": "url", "date-time": "when", "path": "file"}  # these spans may be swapped unmarked
RANGE = re.compile(r"\b(?:to|until|till|from|between)\b|\d\s?[-–]\s?\d")
BROKEN = re.compile(r'\{\s*"request"')
LONGEST = 600  # characters of a request


def candidates(text: str) -> tuple[list[dict[str, Any]], int]:
    """(every object with a "request" in the text, how many begin like one and cannot be read)."""
    text = re.sub(r"<think>.*?</think>", "", text, flags=re.S)
    found: list[dict[str, Any]] = []
    broken, end = 0, 0
    decoder = json.JSONDecoder()
    for brace in re.finditer(r"\{", text):
        if brace.start() < end:
            continue
        try:
            data, after = decoder.raw_decode(text, brace.start())
        except (ValueError, RecursionError):
            broken += BROKEN.match(text, brace.start()) is not None
            continue
        if "request" in data:
            found.append(data)
            end = after
    return found, broken


def seed_row(candidate: Mapping[str, Any], specs: Sequence[ToolSpec], fits: bool) -> tuple[dict[str, Any] | None, str]:
    """(the row as a seed file holds it, "") or (None, why not). `fits`: the teacher was asked for something that the tools can do."""
    request = candidate.get("request")
    if not isinstance(request, str) or not request.strip():
        return None, "no request"
    request = " ".join(request.split())
    if len(request) > LONGEST:
        return None, "a request too long"
    try:
        plan = from_rows([step(row) for row in candidate["plan"]])
    except (AttributeError, KeyError, TypeError, ValueError, ToolagentError):
        return None, "no plan that can be run"
    if fits and not plan:
        return None, "no step where tools were to be used"
    if why := fault(request, plan, specs):
        return None, why
    if dangling(plan):
        return None, "a result of no step"
    plan = bare_dates(plan, specs)
    plan, missing = grounded(request, plan, specs)
    if missing:
        return None, "words that are not in the request"
    linked = any(references(call.arguments) for call in plan)
    tags = ["teacher", "chain" if linked else ("empty", "single", "several")[min(len(plan), 2)]]
    return {"request": request, "plan": to_rows(plan), "swap": swaps(request, plan, specs, candidate.get("swap")), "tags": tags}, ""


def step(row: Any) -> dict[str, Any]:
    """A step in one of the ways that models write it -> {"id"?, "tool", "args"}. Raises AttributeError, KeyError, TypeError, ValueError."""
    inner = row.get("function", row) if "tool" not in row else row
    tool = inner["tool"] if "tool" in inner else inner["name"]
    args: Any = next((inner[key] for key in ("args", "arguments", "parameters") if key in inner), {})
    args = json.loads(args) if isinstance(args, str) else args
    args = {key: value for key, value in args.items() if value is not None}  # "nothing" is said by leaving an argument out
    return {"tool": tool, "args": args} | ({"id": int(row["id"])} if "id" in row else {})


def bare_dates(plan: Plan, specs: Sequence[ToolSpec]) -> Plan:
    """Dates without a leading "on", "at", "by", as everywhere in the data."""
    properties = {spec.name: spec.properties for spec in specs}

    def bare(schema: Any, value: Any) -> Any:
        return LEAD.sub("", value, count=1) if isinstance(value, str) and toolbox.is_date(schema) and not RANGE.search(value) else value

    return tuple(ToolCall(c.name, {k: bare(properties[c.name].get(k), v) for k, v in c.arguments.items()}, c.id) for c in plan)


def swaps(request: str, plan: Plan, specs: Sequence[ToolSpec], marked: Any) -> dict[str, str]:
    """Span -> kind: those marked that stand in the request and in the plan alike, and unmarked addresses, dates and files.

    Two dates in one call belong together (a start and its end), so neither is swapped.
    """
    properties = {spec.name: spec.properties for spec in specs}
    enums: set[str] = set()
    free: list[str] = []
    kept: dict[str, str] = {}
    for call in plan:
        dates = [t for k, v in call.arguments.items() for t in toolbox.of_format(properties[call.name].get(k), v, "date-time")]
        if len(dates) > 1:
            enums.update(dates)
        for name, value in call.arguments.items():
            schema = properties[call.name].get(name)
            inner = toolbox.flat(schema)
            texts = [text for text in strings(value) if not toolbox.is_reference(text)]
            (enums.update if "enum" in inner or "enum" in toolbox.flat(inner.get("items")) else free.extend)(texts)
            for form, kind in FORMATS.items():
                found = [t for t in toolbox.of_format(schema, value, form) if held(request, t) == t]
                kept |= {t: kind for t in found if kind != "when" or not RANGE.search(t)}
    numbers = numbers_of([call.arguments for call in plan])
    for span, kind in marked.items() if isinstance(marked, dict) else ():
        if kind not in KINDS or held(request, span) != span:
            continue
        counted = (kind == "number" and span in map(str, numbers)) or (kind == "duration" and minutes_of(span) in numbers)
        if counted or any(held(text, span) == span for text in free):
            kept[span] = kind
    return {span: kind for span, kind in kept.items() if span not in enums}


def numbers_of(value: Any) -> list[int | float]:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return [value]
    return [number for _, member in toolbox.members(value) for number in numbers_of(member)]
