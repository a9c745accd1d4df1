"""The grammar of the next step of a plan, in the compact dialect, for the tools at hand (llguidance's Lark).

    step_grammar(tools, request, done) -> text of a grammar for one line: `3 send_sms(recipients=[$1], message=" on my way")\\n`

It names only tools that exist and gives only arguments of the schema, in its order, the required ones always. What it holds beyond JSON Schema:
  - "$k" only for an earlier step, and where argument and result have a kind, only where the kinds agree;
  - an e-mail address, phone number, path or link is a "$k" or stands in the request: it cannot be made up;
  - other words are runs of whole words of the request (llguidance's substring rule): a pointer inside an ordinary GGUF. Text may join several
    runs and results; a date up to three runs; a name is one run;
  - strings and lists are bounded, so that every plan can end.
A schema feature it cannot express (allOf, patternProperties ...) is refused by name before generation, never loosened in silence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from toolagent.dialects.compact import escaped
from toolagent.errors import UsageError
from toolagent.types import ToolSpec

LITERALS = {  # what a value of this kind looks like where a request states it
    "email": re.compile(r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)+"),
    "phone": re.compile(r"(?<![\w.])\+?\(?\d[\d\s().\-/]{4,}\d(?!\w)"),
    "path": re.compile(r"(?<!\S)[\"'“(]?((?:~|\.{1,2}|[A-Za-z]:)?[/\\][^\s\"'”]+)|(?<=[\"'“])(/[^\"'”]+)"),
    "uri": re.compile(r"(?:https?://|www\.)\S*[\w/=]|(?<![\w@.])[\w-]+(?:\.[\w-]+)+/\S*[\w/=]"),
}
LOOSE = {"text", ""}  # kinds that take any result
RUNS = {"text": 6, "date-time": 3, "name": 1, "": 1}  # how many runs of the request a value may join
ITEMS = 8  # most items of a list
REFUSED = ("allOf", "oneOf", "not", "if", "patternProperties", "$ref", "dependentSchemas", "contains", "uniqueItems", "propertyNames", "prefixItems", "pattern")
PLAIN = {"type", "description", "title", "default", "nullable", "examples"}


@dataclass
class Rules:
    """Grammar text under construction."""

    request: str
    done: Sequence[tuple[int, str, Mapping[str, Any]]]  # (k, tool, its "returns" schema) of the steps before
    hold: bool = True  # words are held to the request
    lines: list[str] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)

    def terminal(self, body: str) -> str:
        """The name of a terminal with this body, made once."""
        if body not in self.names:
            self.names[body] = f"T{len(self.names)}"
            self.lines.append(f"{self.names[body]}: {body}")
        return self.names[body]

    def rule(self, name: str, body: str) -> str:
        self.lines.append(f"{name}: {body}")
        return name


def step_grammar(
    tools: Sequence[ToolSpec], request: str, done: Sequence[tuple[int, str, Mapping[str, Any]]] = (), hold: bool = True
) -> str:
    """Lark text for step len(done) + 1. `done`: (k, tool name, result schema) of each step before. Raises UsageError (a schema it cannot hold)."""
    rules = Rules(request, done, hold)
    number = len(done) + 1
    heads = []
    for i, spec in enumerate(tools):
        made = call_rule(rules, f"c{i}", spec)
        if made:
            heads.append(f"{quoted(f'{number} {spec.name}(')} {made}")
    if not heads:
        raise UsageError("no tool can be called: every one needs what the request does not hold")
    run = f"RUN: %regex {json.dumps({'substring_words': escaped(' '.join(request.split()))}, ensure_ascii=False)}\nWORDS: RUN & /\\S((.|\\n)*\\S)?/\n"
    return "%llguidance {}\nstart: (" + " | ".join(heads) + ') ")\\n"\n' + (run if hold else 'WORDS: /[^"\\\\\\x00-\\x1f]{1,200}/\n') + "\n".join(rules.lines) + "\n"


def quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def call_rule(rules: Rules, name: str, spec: ToolSpec) -> str | None:
    """The rule for the arguments of one tool, or None where a required argument can have no value."""
    values: dict[str, str | None] = {}
    for i, (key, schema) in enumerate(spec.properties.items()):
        values[key] = value_rule(rules, f"{name}v{i}", schema, f"{spec.name}.{key}")
    if any(values.get(key) is None for key in spec.required):
        return None
    keys = [k for k in spec.properties if values[k] is not None]
    # from the last argument back: with (after some argument stands) and without a comma
    later, first = quoted(""), quoted("")
    for i in range(len(keys) - 1, -1, -1):
        key = keys[i]
        tail = later
        with_comma = f"{quoted(', ' + key + '=')} {values[key]} {tail}"
        without = f"{quoted(key + '=')} {values[key]} {tail}"
        if key not in spec.required:
            with_comma += f" | {tail}"
            without += f" | {first}"
        later, first = rules.rule(f"{name}l{i}", with_comma), rules.rule(f"{name}f{i}", without)
    return first


def references(rules: Rules, kind: str) -> list[str]:
    """The "$k" that fit a value of this kind."""
    fit = []
    for k, _, returns in rules.done:
        made = str((returns or {}).get("format", ""))
        if kind in LOOSE or made == kind or (kind == "name" and made == "uri"):
            fit.append(f"${k}")
    return fit


def value_rule(rules: Rules, name: str, schema: Any, where: str) -> str | None:
    """A rule (or terminal) name for a value of this schema; None where no value is possible."""
    if not isinstance(schema, Mapping):
        raise UsageError(f"{where}: the schema is no object")
    if found := [k for k in REFUSED if k in schema]:
        raise UsageError(f"{where}: the grammar cannot hold {', '.join(found)}; simplify the schema or run with --unconstrained")
    if "const" in schema:
        schema = {**schema, "enum": [schema["const"]]}
    if "enum" in schema:
        return rules.terminal(" | ".join(quoted(f'" {escaped(v)}"' if isinstance(v, str) and v else json.dumps(v)) for v in schema["enum"]))
    if "anyOf" in schema:
        options = [o for i, s in enumerate(schema["anyOf"]) if (o := value_rule(rules, f"{name}o{i}", s, where))]
        return rules.rule(name, " | ".join(options)) if options else None
    kind = schema.get("type", "string")
    if isinstance(kind, list):
        options = [o for i, t in enumerate(kind) if (o := value_rule(rules, f"{name}t{i}", {**schema, "type": t}, where))]
        return rules.rule(name, " | ".join(options)) if options else None
    if kind == "string":
        return string_rule(rules, str(schema.get("format", "")), schema)
    if kind == "array":
        item = value_rule(rules, name + "i", schema.get("items", {}), where)
        least, most = int(schema.get("minItems", 1)), min(int(schema.get("maxItems", ITEMS)), ITEMS)
        if item is None or most < 1:
            return rules.terminal(quoted("[]")) if least == 0 or most == 0 else None
        body = f'"[" {item} (", " {item}){{{max(least, 1) - 1},{most - 1}}} "]"'
        return rules.rule(name, body + (' | "[]"' if schema.get("minItems") == 0 else ""))
    if kind == "object":
        return object_rule(rules, name, schema, where)
    if kind in ("integer", "number"):
        refs = references(rules, "") if not schema.get("format") else []
        number = number_rule(rules, name, schema, kind)
        return rules.rule(name, " | ".join([number, *map(quoted, refs)])) if refs else number
    if kind in ("boolean", "null"):
        return rules.terminal('"true" | "false"' if kind == "boolean" else '"null"')
    raise UsageError(f"{where}: the grammar does not know the type {kind!r}")


def number_rule(rules: Rules, name: str, schema: Mapping[str, Any], kind: str) -> str:
    keep = {k: schema[k] for k in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf") if k in schema}
    if keep:
        return rules.rule(name + "n", f"%json {json.dumps({'type': kind, **keep})}")
    return rules.terminal("/-?(0|[1-9][0-9]{0,11})/" if kind == "integer" else "/-?(0|[1-9][0-9]{0,11})(\\.[0-9]{1,6})?/")


def object_rule(rules: Rules, name: str, schema: Mapping[str, Any], where: str) -> str | None:
    properties = schema.get("properties") or {}
    required = set(schema.get("required", ()))
    values = {k: value_rule(rules, f"{name}p{i}", s, f"{where}.{k}") for i, (k, s) in enumerate(properties.items())}
    if any(values.get(k) is None for k in required):
        return None
    later, first = quoted(""), quoted("")
    for i, key in reversed(list(enumerate(k for k in properties if values[k] is not None))):
        head = json.dumps(key, ensure_ascii=False) + ": "
        with_comma, without = f"{quoted(', ' + head)} {values[key]} {later}", f"{quoted(head)} {values[key]} {later}"
        if key not in required:
            with_comma, without = f"{with_comma} | {later}", f"{without} | {first}"
        later, first = rules.rule(f"{name}m{i}", with_comma), rules.rule(f"{name}q{i}", without)
    return rules.rule(name, f'"{{" {first} "}}"')


def string_rule(rules: Rules, kind: str, schema: Mapping[str, Any]) -> str | None:
    """Words of the request, or what a reference stands for."""
    refs = references(rules, kind)
    if kind in LITERALS:
        said = dict.fromkeys(next(g for g in (*m.groups(), m[0]) if g) for m in LITERALS[kind].finditer(rules.request))
        options = [*refs, *(f'" {escaped(t.strip())}"' for t in said)]
        return rules.terminal(" | ".join(map(quoted, options))) if options else None
    if not rules.request.split():
        return rules.terminal(" | ".join(map(quoted, refs))) if refs else None
    most = RUNS.get(kind, 1)
    if kind == "text" and refs:
        piece = rules.terminal("WORDS | " + " | ".join(map(quoted, refs)))
        inside = f'{quoted(chr(34) + " ")} {piece} (" " {piece}){{0,{most - 1}}} {quoted(chr(34))}'
    else:
        inside = f'{quoted(chr(34) + " ")} WORDS' + (f' (" " WORDS){{0,{most - 1}}}' if most > 1 else "") + f" {quoted(chr(34))}"
    return rules.terminal(" | ".join([inside, *map(quoted, refs)]))
