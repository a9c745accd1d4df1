"""Do the words of a plan's arguments stand in its request? A model that copies never invents an address.

    grounded("text ana  lunch moved", plan, tools) -> (the plan with "ana" where it said "Ana", [])

Held to the request: every string of a tool's arguments except an enum or const, a "$k", and free text (format "text", which a writer may
reword). Case and spacing may differ: the plan then takes the request's own letters. copied() holds a plan to what the grammar of
decoding/plan_grammar.py lets a model write, free text too. Left out: numbers ("half a dozen" is 6), truth values.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from typing import Any

from toolagent import toolbox
from toolagent.decoding.plan_grammar import LITERALS, RUNS, literals
from toolagent.plan import REFERENCE, Plan, references, strings
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

    def run(form: str, value: str) -> str | None:
        return value if form in free or references(value) else held(request, value)

    return said_by(run, plan, tools)


def said_by(run: Callable[[str, str], str | None], plan: Plan, tools: Sequence[ToolSpec]) -> tuple[Plan, list[str]]:
    """(the plan with run(format, value) for every string but an enum or const, the "tool.argument"s where that is None and the value stays)."""
    specs = {spec.name: spec for spec in tools}
    missing: list[str] = []

    def settle(schema: Any, value: Any, where: str) -> Any:
        if isinstance(value, str):
            kind = toolbox.flat(schema)
            if "enum" in kind or "const" in kind:
                return value
            found = run(str(kind.get("format", "")), value)
            if found is None:
                missing.append(where)
            return value if found is None else found
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


def pieced(request: str, value: str, most: int) -> str | None:
    """The value as at most `most` runs of whole words of the request, in its letters, the longest runs first come; "$k" stay as they are.

    "All good, she said: $2" of "tell Ana all good, put what she said below" -> "all good, she said $2". None: some word is not there.
    """
    if (whole := held(request, value)) is not None:
        return whole
    said = [(m.start(), m.end(), m[0].casefold()) for m in re.finditer(r"\w+", request)]
    pieces: list[str] = []
    end = 0
    for part in re.split(r"(\$\d+)", value):
        if REFERENCE.fullmatch(part):
            pieces.append(part)
            continue
        words = [word.casefold() for word in re.findall(r"\w+", part)]
        while words:
            found = max((run_of(said, words, at) for at in range(len(said))), default=(0, 0))
            if not found[0]:
                return None
            first, last = -found[1], -found[1] + found[0] - 1
            end = said[last][1]
            pieces.append(" ".join(request[said[first][0] : end].split()))
            del words[: found[0]]
    mark = value.rstrip()[-1:]
    if pieces and mark in ("?", "!") and end and request[end : end + 1] == mark:
        pieces[-1] += mark
    return " ".join(pieces) if 0 < len(pieces) <= most else None


def run_of(said: Sequence[tuple[int, int, str]], words: Sequence[str], at: int) -> tuple[int, int]:
    """(how many of the words stand in a row from word `at` of the request, -at: of two runs as long the earlier one is the greater)."""
    n = 0
    while n < len(words) and at + n < len(said) and said[at + n][2] == words[n]:
        n += 1
    return n, -at


def nearest(request: str, value: str) -> str | None:
    """The one run of the request that says about the same: "are you bringing the kids?" of "ask if she's bringing the kids" -> "bringing the
    kids". None where less than 0.6 of the value's words stand in it, in their order, or less than 0.6 of its words are the value's."""
    said = list(re.finditer(r"\w+", request))
    words = [word.casefold() for word in re.findall(r"\w+", value)]
    blocks = difflib.SequenceMatcher(None, [m[0].casefold() for m in said], words, autojunk=False).get_matching_blocks()[:-1]
    if not blocks:
        return None
    first, last = blocks[0].a, blocks[-1].a + blocks[-1].size - 1
    if sum(block.size for block in blocks) < 0.6 * max(len(words), last - first + 1):
        return None
    return " ".join(request[said[first].start() : said[last].end()].split())


def copied(request: str, plan: Plan, tools: Sequence[ToolSpec]) -> Plan | None:
    """The plan as a model may write it under the grammar, or None where it holds words that the request does not."""

    def run(form: str, value: str) -> str | None:
        if toolbox.is_reference(value):
            return value
        found = pieced(request, value, RUNS.get(form, 1))
        if found is None and form in FREE and not references(value):
            found = nearest(request, value)
        return None if form in LITERALS and found not in literals(request, form) else found

    copy, missing = said_by(run, plan, tools)
    return None if missing else copy


def dangling(plan: Plan) -> list[str]:
    """Each "$k" that is a whole argument and names no step of the plan. (Inside a longer text "$20" is money.)"""
    whole = [text for call in plan for text in strings(call.arguments) if toolbox.is_reference(text)]
    return [text for text in whole for k in references(text) if not 1 <= k <= len(plan)]
