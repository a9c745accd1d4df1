"""BFCL's golds as answers: an entry -> the calls that its gold asks for, and which golds no answer can reach.

Each argument takes the first of its acceptable values that the checker lets pass; it is left out where none does and it may be. Java and
JavaScript values are written as source text that compiles. A gold is unsatisfiable when these calls fail: an argument with no acceptable
value, one that the function does not know, a required one that the gold lacks, a value that no source text is read as.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from toolagent.evaluate.bfcl_data import JAVA, PYTHON, Entry, Function, GoldCall, Schema
from toolagent.evaluate.calls import Fault, argument_fault, check, function_of, shown_name
from toolagent.types import ToolCall


def unsatisfiable(entries: Iterable[Entry]) -> dict[str, Fault]:
    """id -> why the gold's own answer is wrong, of every entry where it is."""
    faults = {entry.id: check(gold_calls(entry), entry) for entry in entries if entry.gold}
    return {id: fault for id, fault in faults.items() if fault}


def gold_calls(entry: Entry, dots: bool = False) -> tuple[ToolCall, ...]:
    """The answer to an entry; none where it has no gold. `dots` as in check."""
    calls = []
    for gold in entry.gold:
        function = function_of(entry, gold)
        calls.append(ToolCall(shown_name(function, dots), dict(arguments(function, gold, entry.language))))
    return tuple(calls)


def arguments(function: Function, gold: GoldCall, language: str) -> Iterator[tuple[str, Any]]:
    for name, options in gold.options.items():
        stated = [option for option in options if option != ""]
        optional = "" in options and name not in function.required
        schema = function.properties.get(name)
        if schema is None:
            values, right = stated, []  # wrong whatever it says
        else:
            values = [answer(option, schema, language) for option in stated] + [""] * ("" in options and not optional)
            right = [value for value in values if argument_fault(name, value, options, schema, language) is None]
        if values and (right or not optional):
            yield name, (right or values)[0]


def answer(option: Any, schema: Schema, language: str) -> Any:
    """An acceptable value as a model would write it: one value for each key of a dict; source text for Java and JavaScript."""
    value = plain(option)
    if language == PYTHON:
        return value
    return java_source(value, schema) if language == JAVA else javascript_source(value)


def plain(option: Any) -> Any:
    """The first value of every list under a dict's keys, those left out whose first value is ""; lists of dicts item by item."""
    if isinstance(option, Mapping):
        firsts = {key: values[0] if isinstance(values, list) and values else values for key, values in option.items()}
        return {key: value for key, value in firsts.items() if value != ""}
    if isinstance(option, list) and any(isinstance(item, Mapping) for item in option):
        return [plain(item) for item in option]
    return option


# --- source text ------------------------------------------------------------------------------------------------------------------------


def java_source(value: Any, schema: Schema) -> str:
    """A Java expression. Text of its own (a String, a name, a constructor) stands bare, as BFCL's golds write it."""
    if isinstance(value, str):
        return value
    kind, items = schema["type"], schema.get("items", {}).get("type")
    if isinstance(value, list) and kind == "Array":
        return f"new {'String' if items == 'String' else 'Object'}[]{{{', '.join(java_item(item, items) for item in value)}}}"
    if isinstance(value, list):
        return f"new ArrayList<>(Arrays.asList({', '.join(java_item(item, items) for item in value)}))"
    if isinstance(value, dict):
        puts = "".join(f"put({json.dumps(key)}, {java_item(item, None)}); " for key, item in value.items())
        return f"new HashMap<>() {{{{ {puts}}}}}" if puts else "new HashMap<>()"
    return java_item(value, kind)


def java_item(value: Any, kind: str | None) -> str:
    if isinstance(value, (bool, str)):
        return json.dumps(value, ensure_ascii=False)
    return str(value) + {"long": "L", "float": "f"}.get(kind or "", "")


def javascript_source(value: Any) -> str:
    """A JavaScript expression; text stands bare at the top, as BFCL's golds write it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
