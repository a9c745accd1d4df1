"""The grammar of the next step of a plan, in the compact dialect, for the tools at hand (llguidance's Lark).

    step_grammar(tools, request, done) -> text of a grammar for one line: `3 send_sms(recipients=[$1], message=" on my way")\\n`

It names only tools that exist and gives only arguments of the schema, in its order, the required ones always. What it holds beyond:
  - "$k" only for an earlier step, and where argument and result have a kind, only where the kinds agree;
  - an e-mail address, phone number, path or link is a "$k" or stands in the request: it cannot be made up;
  - other words are runs of whole words of the request (llguidance's substring rule): a pointer inside an ordinary GGUF. Text may join
    several runs and results; a date up to three runs; a name is one run. A "$1" of the request itself is written "$$1" (see plan.py);
  - strings, lists and numbers are bounded, so that every plan can end.
A schema feature it cannot express (allOf, pattern ...) is refused by name before generation, never loosened in silence.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from toolagent.dialects.compact import escaped, json_text
from toolagent.errors import UsageError
from toolagent.types import ToolSpec

LITERALS = {  # what a value of this kind looks like where a request states it
    "email": re.compile(r"(?<![\w.+%-])[\w+%-]+(?:\.[\w+%-]+)*@(?:[^\W_](?:[\w-]*[^\W_])?\.)+[^\W_](?:[\w-]*[^\W_])?"),
    "phone": re.compile(r"(?<![\w.])\+?\(?\d[\d\s().\-/]{4,}\d(?!\w)"),
    "path": re.compile(  # in quotes, with spaces in it; or up to the next space
        r"""["“]((?:~|\.{1,2}|[A-Za-z]:)?[/\\][^"”]+)["”]|'((?:~|\.{1,2}|[A-Za-z]:)?[/\\][^']+)'(?!\w)"""
        r"""|(?<!\S)["'“(]?((?:~|\.{1,2}|[A-Za-z]:)?[/\\][^\s"'”]+)"""
    ),
    "uri": re.compile(r"(?:https?://|www\.)\S*[\w/=]|(?<![\w@.])[\w-]+(?:\.[\w-]+)+/\S*[\w/=]"),
}
LONGEST_EMAIL = 254  # RFC 5321, 4.5.3.1.3; what toolbox.py takes for an address
LOOSE = {"text", ""}  # kinds that take any result
RUNS = {"text": 6, "date-time": 3, "name": 1, "": 1}  # how many runs of the request a value may join
ITEMS = 8  # most items of a list
STEPS = 12  # most steps of a plan
LARGEST = 10**12 - 1  # of a number without bounds of its own
REFUSED = (
    "allOf", "oneOf", "not", "if", "then", "else", "pattern", "patternProperties", "propertyNames", "minProperties", "maxProperties",
    "dependentRequired", "dependentSchemas", "dependencies", "contains", "uniqueItems", "prefixItems", "$ref", "$dynamicRef",
)  # fmt: skip
TOOL_NAME = re.compile(r"(?:(?!<\|)[^\s()])+")  # what compact.parse() reads
ARGUMENT_NAME = re.compile(r"(?:(?!<\|)[^\s=(),\"])+")
REFERENCE = re.compile(r"\$(?=(\d+)|\{)")
UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Thai, Han, kana ...
WORD = re.compile(rf"(?:(?![{UNSPACED}])\w)+")
CHUNK = re.compile(rf"\\u[0-9a-f]{{4}}|\\.|\$+(?=\d|\{{)|{WORD.pattern}|.", re.S)  # an escape stays whole
LETTER = r'(\\u[0-9a-f]{4}|\\[^u]|[^\\"])'  # a letter of a JSON string
OPENED = r"""((\\"|['“‘«(\[])+ )"""  # the space is compact's, the reader takes it out


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
    """Lark text for step len(done) + 1. `done`: (k, tool name, result schema) of each step before. Raises UsageError (a schema)."""
    rules = Rules(request, done, hold)
    number = len(done) + 1
    heads = []
    for i, spec in enumerate(tools):
        made = call_rule(rules, f"c{i}", spec)
        if made:
            heads.append(f"{quoted(f'{number} {spec.name}(')} {made}")
    if not heads:
        raise UsageError("no tool can be called: every one needs what the request does not hold")
    if hold:
        run = json.dumps({"substring_chunks": chunks(held(" ".join(request.split())))}, ensure_ascii=False)
        words = f"RUN: %regex {run}\nWORDS: RUN & /\\S((.|\\n)*\\S)?/\n"
    else:
        words = 'WORDS: /([^"\\\\\\x00-\\x1f$]|\\$+[^"\\\\\\x00-\\x1f$0-9{]){1,200}/\n'
    return "%llguidance {}\nstart: (" + " | ".join(heads) + ') ")\\n"\n' + words + "\n".join(rules.lines) + "\n"


def quoted(text: str) -> str:
    """A literal of the grammar, in ASCII: llguidance reads no raw \\x7f."""
    return json.dumps(text)


def held(text: str) -> str:
    """The inside of a JSON string for this text of the request, its "$1" written "$$1" wherever a plan could take it for a reference."""
    return escaped(REFERENCE.sub(lambda m: "$$" if not m[1] or 1 <= int(m[1]) <= STEPS else "$", text))


def chunks(text: str) -> list[str]:
    """Words, escapes, spaces, single marks, single letters of scripts without spaces; accents and joined emoji stay with what they join."""
    found: list[str] = []
    for piece in CHUNK.findall(text):
        joined = bool(found) and not found[-1].isspace()
        if joined and (combines(piece[0]) or found[-1][-1] == "\u200d" or (combines(found[-1][-1]) and WORD.match(piece))):
            found[-1] += piece
        else:
            found.append(piece)
    return found


def combines(letter: str) -> bool:
    return unicodedata.category(letter)[0] == "M" or letter in "\u200c\u200d" or "\U0001f3fb" <= letter <= "\U0001f3ff"  # skin tones


def refuse(schema: Mapping[str, Any], where: str, more: Sequence[str] = ()) -> None:
    if found := [k for k in (*REFUSED, *more) if schema.get(k, False) is not False]:
        raise UsageError(f"{where}: the grammar cannot hold {', '.join(found)}; simplify the schema or run with --unconstrained")


def call_rule(rules: Rules, name: str, spec: ToolSpec) -> str | None:
    """The rule for the arguments of one tool, or None where a required argument can have no value."""
    if not TOOL_NAME.fullmatch(spec.name) or not all(map(ARGUMENT_NAME.fullmatch, spec.properties)):
        raise UsageError(f"{spec.name!r}: the name of a tool holds no spaces or parentheses, that of an argument none of = ( ) , \" either")
    refuse(spec.parameters, spec.name, ("anyOf",))
    values: dict[str, str | None] = {}
    for i, (key, schema) in enumerate(spec.properties.items()):
        values[key] = value_rule(rules, f"{name}v{i}", schema, f"{spec.name}.{key}")
    if any(values.get(key) is None for key in spec.required):
        return None
    return listed(rules, name, [(f"{k}=", v, k in spec.required) for k, v in values.items() if v is not None])


def listed(rules: Rules, name: str, members: Sequence[tuple[str, str, bool]]) -> str:
    """The rule for members (head, value, required) in this order with ", " between those that stand."""
    later, first = quoted(""), quoted("")  # from the last one back: what follows when some member stands before, and when none does
    for i, (head, value, required) in reversed(list(enumerate(members))):
        with_comma, without = f"{quoted(', ' + head)} {value} {later}", f"{quoted(head)} {value} {later}"
        if not required:
            with_comma, without = f"{with_comma} | {later}", f"{without} | {first}"
        later, first = rules.rule(f"{name}l{i}", with_comma), rules.rule(f"{name}f{i}", without)
    return first


def references(rules: Rules, kind: str | None) -> list[str]:
    """The "$k" that fit a value of this kind (None: a number, which no result with a kind is)."""
    fit = []
    for k, _, returns in rules.done:
        made = str((returns or {}).get("format", ""))
        if kind in LOOSE or made == (kind or "") or (kind == "name" and made == "uri"):
            fit.append(f"${k}")
    return fit


def value_rule(rules: Rules, name: str, schema: Any, where: str) -> str | None:
    """A rule (or terminal) name for a value of this schema; None where no value is possible."""
    if schema is True:
        schema = {}
    if not isinstance(schema, Mapping):
        raise UsageError(f"{where}: the schema is no object")
    refuse(schema, where)
    if "const" in schema:
        schema = {**schema, "enum": [schema["const"]]}
    if "enum" in schema:
        return enum_rule(rules, schema["enum"], where)
    if "anyOf" in schema:
        options = [o for i, s in enumerate(schema["anyOf"]) if (o := value_rule(rules, f"{name}o{i}", s, where))]
        return rules.rule(name, " | ".join(options)) if options else None
    kind = schema.get("type", "string")
    if isinstance(kind, list):
        options = [o for i, t in enumerate(kind) if (o := value_rule(rules, f"{name}t{i}", {**schema, "type": t}, where))]
        return rules.rule(name, " | ".join(options)) if options else None
    if kind == "string":
        return string_rule(rules, str(schema.get("format", "")), int(schema.get("minLength", 0)), schema.get("maxLength"))
    if kind == "array":
        return array_rule(rules, name, schema, where)
    if kind == "object":
        return object_rule(rules, name, schema, where)
    if kind in ("integer", "number"):
        refs = references(rules, None) if not schema.get("format") else []
        number = number_rule(rules, name, schema, kind)
        return rules.rule(name, " | ".join([number, *map(quoted, refs)])) if refs else number
    if kind in ("boolean", "null"):
        return rules.terminal('"true" | "false"' if kind == "boolean" else '"null"')
    raise UsageError(f"{where}: the grammar does not know the type {kind!r}")


def enum_rule(rules: Rules, values: Sequence[Any], where: str) -> str | None:
    if found := [v for v in values if isinstance(v, str) and REFERENCE.search(v)]:
        raise UsageError(f"{where}: the choice {found[0]!r} would be read as the result of a step; write it without the dollar sign")
    texts = [f'" {escaped(v)}"' if isinstance(v, str) and v else json.dumps(v) for v in values]
    return rules.terminal(" | ".join(map(quoted, texts))) if texts else None


def array_rule(rules: Rules, name: str, schema: Mapping[str, Any], where: str) -> str | None:
    """A list of one item at least, unless the schema says minItems 0."""
    item = value_rule(rules, name + "i", schema.get("items", {}), where)
    least, most = int(schema.get("minItems", 1)), min(int(schema.get("maxItems", ITEMS)), ITEMS)
    if least > ITEMS:
        raise UsageError(f"{where}: the grammar cannot hold minItems {least}; {ITEMS} are the most")
    options = [quoted("[]")] if least == 0 or schema.get("maxItems") == 0 else []
    if item is not None and max(least, 1) <= most:
        options.append(f'"[" {item} (", " {item}){{{max(least, 1) - 1},{most - 1}}} "]"')
    return rules.rule(name, " | ".join(options)) if options else None


def number_rule(rules: Rules, name: str, schema: Mapping[str, Any], kind: str) -> str:
    keep = {k: schema[k] for k in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf") if k in schema}
    if not keep:
        return rules.terminal("/-?(0|[1-9][0-9]{0,11})/" if kind == "integer" else "/-?(0|[1-9][0-9]{0,11})(\\.[0-9]{1,6})?/")
    if not keep.keys() & {"maximum", "exclusiveMaximum"}:
        keep["maximum"] = max(LARGEST, *(2 * v for k, v in keep.items() if k != "multipleOf"), 0)
    if not keep.keys() & {"minimum", "exclusiveMinimum"}:
        keep["minimum"] = min(-LARGEST, *(2 * v for k, v in keep.items() if k != "multipleOf"), 0)
    return rules.rule(name + "n", f"%json {json.dumps({'type': kind, **keep})}")


def object_rule(rules: Rules, name: str, schema: Mapping[str, Any], where: str) -> str | None:
    """A value for each required property and for some of the others, in the schema's order; nothing beyond them."""
    properties = schema.get("properties") or {}
    required = set(schema.get("required", ()))
    values = {k: value_rule(rules, f"{name}p{i}", s, f"{where}.{k}") for i, (k, s) in enumerate(properties.items())}
    if any(values.get(k) is None for k in required):
        return None
    first = listed(rules, name, [(json_text(k) + ": ", v, k in required) for k, v in values.items() if v is not None])
    return rules.rule(name, f'"{{" {first} "}}"')


def string_rule(rules: Rules, kind: str, least: int, most: int | None) -> str | None:
    """Words of the request, or what a reference stands for; of `least` to `most` letters, where it is no reference."""
    refs = list(map(quoted, references(rules, kind)))
    if kind in LITERALS:
        found = [t for t in literals(rules.request, kind) if least <= len(t) <= (len(t) if most is None else most)]
        options = [*refs, *(quoted(f'" {held(t)}"') for t in found)]
        return rules.terminal(" | ".join(options)) if options else None
    if not rules.request.split():
        return rules.terminal(" | ".join(refs)) if refs else None
    runs = RUNS.get(kind, 1)
    piece = rules.terminal("WORDS | " + " | ".join(refs)) if kind == "text" and refs else "WORDS"
    gap = '(" " | "\\\\n")' if kind == "text" else '" "'  # text may go on in a new line
    more = f" ({gap} {piece}){{0,{runs - 1}}}" if runs > 1 else ""
    inside = rules.terminal(f'"\\" " {piece}{more} "\\""')
    if most is not None:
        inside = rules.terminal(f'{inside} & /" {LETTER}{{0,{most}}}"/')
    if least > 1:
        inside = rules.terminal(f'{inside} & ~/" ({OPENED}|{LETTER}){{0,{least - 1}}}"/')
    return rules.terminal(" | ".join([inside, *refs]))


def literals(request: str, kind: str) -> list[str]:
    """The values of a kind that stand in a request; a path that ends a clause also without the stop behind it."""
    found: list[str] = []
    for match in LITERALS[kind].finditer(request):
        text = next(g for g in (*match.groups(), match[0]) if g).strip()
        if kind == "email" and len(text) > LONGEST_EMAIL:
            continue
        if kind == "path":
            found.append(text.rstrip(".,;:!?)]'’"))
        found.append(text)
    return [text for text in dict.fromkeys(found) if text]
