"""Do the words of a plan's arguments stand in its request? A model that copies never invents an address.

    grounded("text ana  lunch moved", plan, tools) -> (the plan with "ana" where it said "Ana", [])

Held to the request: every string of a tool's arguments except an enum or const, a "$k", and free text (format "text", which a writer may
reword). Case and spacing may differ: the plan then takes the request's own letters. Left out: numbers ("half a dozen" is 6), truth values.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from toolagent import toolbox
from toolagent.plan import Plan, references, strings
from toolagent.types import ToolCall, ToolSpec

FREE = ("text",)


def held(request: str, value: str) -> str | None:
    """The run of whole words of the request that says this value, in the request's letters; None: it holds no such run."""
    at = request.find(value) if value.strip() else -1
    while at >= 0:  # as it is written: no pattern needed
        before, after = request[max(at - 1, 0) : at], request[at + len(value) :][:1]
        if not (is_word(before) and is_word(value[0])) and not (is_word(after) and is_word(value[-1])):
            return value
        at = request.find(value, at + 1)
    body = r"\s+".join(re.escape(word) for word in value.split())
    found = re.search(rf"(?<!\w){body}(?!\w)", request, re.IGNORECASE) if body else None
    return found[0] if found else None


def is_word(character: str) -> bool:
    return character.isalnum() or character == "_"


def grounded(request: str, plan: Plan, tools: Sequence[ToolSpec], free: Sequence[str] = FREE) -> tuple[Plan, list[str]]:
    """(the plan in the request's own letters, the "tool.argument"s whose words the request does not hold)."""
    specs = {spec.name: spec for spec in tools}
    missing: list[str] = []

    def settle(schema: Any, value: Any, where: str) -> Any:
        kind = toolbox.flat(schema)
        if isinstance(value, str):
            if "enum" in kind or "const" in kind or kind.get("format") in free or references(value):
                return value
            run = held(request, value)
            if run is None:
                missing.append(where)
            return value if run is None else run
        if isinstance(value, dict):
            return {key: settle(toolbox.below(schema, key), member, f"{where}.{key}") for key, member in value.items()}
        if isinstance(value, (list, tuple)):
            return [settle(toolbox.below(schema, k), member, where) for k, member in enumerate(value)]
        return value

    calls = []
    for call in plan:
        spec = specs.get(call.name)
        properties = spec.properties if spec else {}
        arguments = {name: settle(properties.get(name, {}), value, f"{call.name}.{name}") for name, value in call.arguments.items()}
        calls.append(ToolCall(call.name, arguments, call.id))
    return tuple(calls), missing


def dangling(plan: Plan) -> list[str]:
    """Each "$k" that is a whole argument and names no step of the plan. (Inside a longer text "$20" is money.)"""
    whole = [text for call in plan for text in strings(call.arguments) if toolbox.is_reference(text)]
    return [text for text in whole for k in references(text) if not 1 <= k <= len(plan)]
