"""Requests for any tools, from their names, descriptions and schemas alone; and invented tools to practise on.

A request says what the tool does (its description or its name as words) and its arguments in one of several manners. Plain, but it teaches a
model to read a signature that it never saw. Left out: chains (compose.join puts several requests together), nested objects in prose.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from typing import Any

from toolagent.datagen.compose import Example
from toolagent.datagen.fillers import Filler, invented
from toolagent.types import ToolCall, ToolSpec

VERBS = (
    "add archive assign approve book cancel check close count convert create delete dispatch export fetch file find fix flag freeze get hide import "
    "issue label list load lock log lookup mark measure merge move mute open order pause pay pick plan play post print publish query queue read "
    "record refill refund register release remove rename renew rent repair report reserve reset restart resume return save scan schedule search "
    "sell set share ship show sign skip sort split start stop store submit swap switch sync tag track transfer translate turn_off turn_on unlock "
    "update upload validate verify view void water weigh"
).split()
NOUNS = (
    "account alarm album animal appliance area article auction badge bag basket battery bed bike bill board boat bottle box branch bus cable camera "
    "card case chair channel cheque class client clip coach coin complaint container contract coupon course crate customer cycle deal delivery "
    "deposit desk device dish document door drill driver engine exam fee ferry field filter flight floor form freezer game garden gate grant group "
    "guest heater hive horse house invoice item job key lamp lane lease lesson letter licence lift light loan lock log machine map meal member menu "
    "meter model motor order oven package page paint pallet parcel part patient payment permit photo piece pipe plan plant plate player playlist "
    "policy pool post price printer product project pump quote rack radio recipe record reel refund rental report request ride road robot roof room "
    "route row sample school score screen seat segment sensor server shelf shift ship shop sign site skill slot song spool stage stand station stock "
    "store story studio subscription supplier survey switch table tag tank task team ticket tile timer tool tour track trailer train tree trip truck "
    "tunnel unit user valve van vehicle vendor video village visit volume voucher wall ward watch well wheel window worker zone"
).split()
PARAMETERS: tuple[tuple[str, dict[str, Any], str], ...] = (  # (name, schema, kind of the value)
    ("name", {"type": "string"}, "person"), ("customer", {"type": "string"}, "person"), ("owner", {"type": "string"}, "person"),
    ("assignee", {"type": "string"}, "person"), ("title", {"type": "string"}, "event"), ("label", {"type": "string"}, "topic"),
    ("place", {"type": "string"}, "place"), ("city", {"type": "string"}, "place"), ("destination", {"type": "string"}, "place"),
    ("address", {"type": "string"}, "address"), ("file", {"type": "string"}, "file"), ("note", {"type": "string", "format": "text"}, "message"),
    ("comment", {"type": "string", "format": "text"}, "message"), ("reason", {"type": "string", "format": "text"}, "message"),
    ("when", {"type": "string", "format": "date-time"}, "when"), ("date", {"type": "string", "format": "date-time"}, "when"),
    ("due", {"type": "string", "format": "date-time"}, "when"), ("email", {"type": "string", "format": "email"}, "email"),
    ("phone", {"type": "string", "format": "phone"}, "phone"), ("url", {"type": "string", "format": "uri"}, "url"),
    ("count", {"type": "integer"}, "integer"), ("quantity", {"type": "integer"}, "integer"), ("minutes", {"type": "integer"}, "integer"),
    ("floor", {"type": "integer"}, "integer"), ("level", {"type": "integer"}, "integer"), ("amount", {"type": "number"}, "decimal"),
    ("price", {"type": "number"}, "decimal"), ("weight", {"type": "number"}, "decimal"), ("temperature", {"type": "number"}, "decimal"),
    ("id", {"type": "string"}, "code"), ("number", {"type": "string"}, "code"), ("code", {"type": "string"}, "code"),
    ("urgent", {"type": "boolean"}, "flag"), ("silent", {"type": "boolean"}, "flag"), ("express", {"type": "boolean"}, "flag"),
    ("colour", {"type": "string", "enum": ["red", "green", "blue", "black", "white"]}, "enum"),
    ("size", {"type": "string", "enum": ["small", "medium", "large"]}, "enum"), ("mode", {"type": "string", "enum": ["auto", "manual", "eco"]}, "enum"),
    ("priority", {"type": "string", "enum": ["low", "normal", "high"]}, "enum"), ("side", {"type": "string", "enum": ["left", "right"]}, "enum"),
    ("unit", {"type": "string", "enum": ["kg", "g", "lb"]}, "enum"), ("people", {"type": "array", "items": {"type": "string"}}, "person"),
    ("tags", {"type": "array", "items": {"type": "string"}}, "topic"), ("items", {"type": "array", "items": {"type": "string"}}, "list"),
)  # fmt: skip
STYLES = (
    lambda verb, noun: f"{verb}_{noun}", lambda verb, noun: f"{noun}.{verb}", lambda verb, noun: verb + noun.capitalize(),
    lambda verb, noun: f"{noun}_{verb}", lambda verb, noun: f"{verb}_{noun}", lambda verb, noun: f"{verb}-{noun}",
)  # fmt: skip


def invented_tools(rng: random.Random, n: int) -> tuple[ToolSpec, ...]:
    """n tools that exist nowhere, around a few nouns, so that neighbours must be told apart."""
    nouns = rng.sample(NOUNS, max(1, n // 2))
    style = rng.choice(STYLES)
    tools: dict[str, ToolSpec] = {}
    while len(tools) < n:
        verb, noun = rng.choice(VERBS), rng.choice(nouns)
        name = style(verb, noun)
        chosen = rng.sample(PARAMETERS, rng.choice((0, 1, 1, 2, 2, 3, 3, 4)))
        noun_name = f"{noun}_{chosen[0][0]}" if chosen and rng.random() < 0.15 else ""
        properties = {(noun_name if i == 0 and noun_name else p[0]): dict(p[1]) for i, p in enumerate(chosen)}
        keys = list(properties)
        required = keys[: rng.randint(min(1, len(keys)), len(keys))] if keys else []
        parameters: dict[str, Any] = {"type": "object", "properties": properties}
        if required:
            parameters["required"] = required
        verb_words = verb.replace("_", " ")
        article = "an" if noun[0] in "aeiou" else "a"
        tools[name] = ToolSpec(name, f"{verb_words.capitalize()} {rng.choice((article, 'the', article))} {noun}.", parameters)
    return tuple(tools.values())


KIND_OF = {
    "name": "person", "person": "person", "customer": "person", "player": "person", "user": "person", "owner": "person", "who": "person",
    "place": "place", "city": "place", "destination": "place", "location": "place", "address": "address", "file": "file", "title": "event",
    "note": "message", "message": "message", "comment": "message", "reason": "message", "text": "message", "subject": "subject", "topic": "topic",
}  # fmt: skip


def value_for(name: str, schema: Mapping[str, Any], filler: Filler, rng: random.Random) -> tuple[Any, str] | None:
    """(value, its words in a request), or None for a schema this generator has no words for."""
    if "enum" in schema:
        value = rng.choice(schema["enum"])
        return value, str(value).replace("_", " ") if isinstance(value, str) else str(value)
    kind, form = schema.get("type"), schema.get("format", "")
    if kind == "integer":
        number = rng.randint(int(schema.get("minimum", 1)), int(schema.get("maximum", rng.choice((9, 60, 500)))))
        return number, str(number)
    if kind == "number":
        decimal = round(rng.uniform(float(schema.get("minimum", 0.5)), float(schema.get("maximum", 200))), rng.choice((0, 1, 1, 2)))
        decimal = int(decimal) if decimal == int(decimal) else decimal
        return decimal, str(decimal)
    if kind == "string":
        bank = {"date-time": "when", "email": "email", "phone": "phone", "uri": "url", "text": "message", "path": "file"}.get(form)
        bank = bank or next((b for word, b in KIND_OF.items() if word in name.lower()), "")
        if not bank:
            if re.search(r"id|code|number|ref|no$", name.lower()):
                text = rng.choice((f"{invented(rng)[:1].upper()}-{rng.randint(1, 999)}", f"#{rng.randint(10, 9999)}", f"{rng.randint(100, 99999)}"))
                return text, text
            bank = rng.choice(("topic", "event", "list", "person", "place"))
        text = filler(bank, "Old", rng)
        return text, text
    if kind == "array" and isinstance(schema.get("items"), Mapping):
        items = [value_for(name, schema["items"], filler, rng) for _ in range(rng.choice((1, 2, 2, 3)))]
        if all(items):
            pairs = [i for i in items if i is not None]
            words = [w for _, w in pairs]
            return [v for v, _ in pairs], words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]
    return None


def readable(name: str) -> str:
    """"batch.start" / "makeMove" -> words."""
    return re.sub(r"[._\-]+", " ", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)).lower()


ASKS = ("{a}", "{a}", "{a}", "please {a}", "can you {a}", "could you {a}", "I need to {a}", "{a} for me", "I want to {a}", "go ahead and {a}", "{a} please", "let's {a}")


def request_for(spec: ToolSpec, filler: Filler, rng: random.Random) -> Example | None:
    """One request for this tool with every required and some optional arguments, or None where a required one has no words."""
    arguments: dict[str, Any] = {}
    said: list[str] = []
    flags: list[str] = []
    for name, schema in spec.properties.items():
        needed = name in spec.required
        if not needed and rng.random() < 0.55:
            continue
        if schema.get("type") == "boolean":
            if needed:
                arguments[name] = rng.random() < 0.6
                flags.append(readable(name) if arguments[name] else f"not {readable(name)}")
            else:
                arguments[name] = True
                flags.append(readable(name))
            continue
        found = value_for(name, schema, filler, rng)
        if found is None:
            if needed:
                return None
            continue
        value, words = found
        arguments[name] = value
        label = readable(name)
        manner = rng.random()
        if schema.get("format") == "date-time" and manner < 0.7:
            said.append(words)
        elif "enum" in schema and manner < 0.4:
            said.append(words)
        elif manner < 0.35:
            said.append(f"{label} {words}")
        elif manner < 0.5:
            said.append(f"{label}: {words}")
        elif manner < 0.62:
            said.append(f"with {label} {words}")
        elif manner < 0.72:
            said.append(f"{label} = {words}")
        elif manner < 0.8 and isinstance(value, str):
            said.append(f'{label} "{words}"')
        elif manner < 0.9 and isinstance(value, str):
            said.append(rng.choice(("for {}", "on {}", "called {}", "{}")).format(words))
        else:
            said.append(f"the {label} is {words}")
    description = re.split(r"(?<=[.!?])\s", spec.description.strip(), maxsplit=1)[0].rstrip(".") if spec.description else ""
    action = readable(spec.name) if not description or rng.random() < 0.3 else description[:1].lower() + description[1:]
    if rng.random() < 0.4:
        action = re.sub(r"\b(a|an|the) ", "", action)
    said += flags
    if said and rng.random() < 0.7:
        text = action + rng.choice((", ", " ", ": ", " - ", ", ")) + rng.choice((", ", ", ", " and ", " ")).join(said)
    else:
        text = ((", ".join(said) + ", ") if said and rng.random() < 0.3 else "") + action + ("" if not said else " " + ", ".join(said))
    if said and text.count(said[0]) > 1 and rng.random() < 0.9:
        text = action + " " + ", ".join(said)
    text = rng.choice(ASKS).format(a=text)
    return Example(text if rng.random() < 0.6 else text[:1].upper() + text[1:], (ToolCall(spec.name, arguments, "1"),), ("generic",), (f"generic {spec.name}",))


def rename_tools(specs: Sequence[ToolSpec], aliases: Mapping[str, Sequence[str]], names: Mapping[str, Sequence[str]], rng: random.Random) -> tuple[tuple[ToolSpec, ...], dict[str, str], dict[str, dict[str, str]]]:
    """The same tools under other names: (specs, tool -> new name, tool -> {argument -> new name})."""
    renamed, to_name, to_arguments = [], {}, {}
    for spec in specs:
        name = rng.choice([spec.name, *aliases.get(spec.name, ())])
        words = readable(name).split()
        name = rng.choice((name, "_".join(words), words[0] + "".join(w.capitalize() for w in words[1:]), name))
        arguments = {k: rng.choice([k, k, *names.get(k, ())]) for k in spec.properties}
        if len(set(arguments.values())) != len(arguments):
            arguments = {k: k for k in spec.properties}
        parameters = {**spec.parameters, "properties": {arguments[k]: v for k, v in spec.properties.items()}}
        if spec.required:
            parameters["required"] = [arguments[k] for k in spec.required]
        renamed.append(ToolSpec(name, spec.description, parameters, spec.returns, spec.writes))
        to_name[spec.name], to_arguments[spec.name] = name, arguments
    if len({s.name for s in renamed}) != len(renamed):
        return tuple(specs), {s.name: s.name for s in specs}, {s.name: {k: k for k in s.properties} for s in specs}
    return tuple(renamed), to_name, to_arguments
