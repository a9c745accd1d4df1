"""A value for any argument, from its name and schema, and its words in a request.

    value_for("weight_kg", {"type": "number"}, filler, rng) -> (3.5, "3.5")
    value_for("stage", {"enum": ["dry_hop"]}, filler, rng) -> ("dry_hop", "dry hop")

The kind of a string is read off its "format", then off the words of its name, then of its description. Bounds, lengths, patterns and
multiples are kept; a description's "e.g." is taken at its word. Left out: patterns that no date, code, word or number fits ("$ref" too).
"""

from __future__ import annotations

import functools
import json
import math
import random
import re
from collections.abc import Mapping, Sequence
from typing import Any

from toolagent.datagen.fillers import Filler, invented
from toolagent.datagen.invented import words

KIND_OF = {  # a word of an argument's name or description -> bank
    word: bank
    for bank, words in {
        "person": (
            "person customer player owner who whom contact guest patient member employee author sender assignee recipient attendee invitee "
            "people user username student applicant artist driver doctor nurse teacher brewer rider reader buyer seller tenant colleague "
            "friend client speaker host opponent manager trainer candidate caller"
        ),
        "place": "place city town destination origin location venue country room",
        "address": "street address",
        "file": "file filename document attachment photo image",
        "pdf": "pdf",
        "event": "title event meeting",
        "message": "note notes message comment remark reason text content body problem",
        "subject": "subject",
        "topic": "topic query keyword tag",
        "folder": "folder",
        "list": "list item",
        "calendar": "calendar",
        "email": "email mail",
        "phone": "phone telephone mobile",
        "url": "url link website",
        "when": "when date day time deadline due start end until",
    }.items()
    for word in words.split()
}
BY_FORMAT = {"date-time": "when", "email": "email", "phone": "phone", "uri": "url", "url": "url", "text": "message", "path": "file"}
UNKNOWN = ("topic", "event", "list", "person", "place", "note")  # banks for a string that nothing is known of
VAGUE = ("name", "kind", "type", "value", "label")  # such a word says less of an argument than any other beside it
CODES = words(
    "id ids code codes number numbers no ref reference sku isbn iban key pin serial plate zip postcode uuid token ticket"
)
UNITS = {  # the unit that an argument's name or description holds -> how people write it after a number
    "kg": "kg| kg| kilos", "kilograms": " kilograms| kg| kilos", "kilos": " kilos", "g": "g| grams", "grams": " grams|g| g",
    "tonnes": " tonnes", "lb": " lb| pounds", "m": "m| m| metres", "metres": " metres| m", "meters": " meters|m", "km": "km| km",
    "kilometres": " kilometres| km", "kilometers": " kilometers| km", "cm": "cm| cm", "mm": "mm| mm", "millimetres": " millimetres| mm",
    "miles": " miles", "feet": " feet", "inches": " inches", "c": "°C| degrees|C", "celsius": "°C| degrees| celsius",
    "fahrenheit": "°F| fahrenheit", "degrees": " degrees|°", "percent": "%| percent| %", "percentage": "%| percent", "pct": "%| percent",
    "seconds": " seconds| s| sec", "secs": " seconds", "minutes": " minutes| min| mins", "mins": " minutes| min",
    "hours": " hours|h| hrs", "days": " days", "weeks": " weeks", "months": " months", "years": " years", "litres": " litres| l",
    "liters": " liters| l", "ml": "ml| ml", "eur": " euros| EUR|€", "euros": " euros|€", "usd": " dollars| USD", "dollars": " dollars",
    "gbp": " pounds| GBP", "knots": " knots", "kmh": " km/h", "mph": " mph", "ms": " m/s", "watts": " watts|W", "kw": " kW",
    "kwh": " kWh", "volts": " volts|V", "px": " px| pixels", "pixels": " pixels|px", "mb": " MB", "gb": " GB", "bpm": " bpm",
    "rpm": " rpm", "hz": " Hz", "plato": " plato|°P",
}  # fmt: skip
RANGES = {  # what such a number usually is, where its schema sets no bounds
    "percent": (1, 100), "percentage": (1, 100), "pct": (1, 100), "c": (4, 95), "celsius": (4, 95), "fahrenheit": (40, 200),
    "temperature": (4, 40), "minutes": (1, 120), "mins": (1, 120), "hours": (1, 48), "seconds": (1, 300), "days": (1, 60),
    "weeks": (1, 26), "months": (1, 24), "years": (1, 20), "year": (1990, 2030), "month": (1, 12), "hour": (0, 23), "lat": (-90, 90),
    "latitude": (-90, 90), "lon": (-180, 180), "longitude": (-180, 180), "priority": (1, 5), "stars": (1, 5), "rating": (1, 5),
    "floor": (1, 12), "people": (2, 12), "guests": (2, 40), "copies": (1, 20), "rounds": (1, 20),
}  # fmt: skip
NO_PLURAL = ("status", "address", "iso", "pulse", "series", "gps", "success", "class", "access", "process", "progress", "bus")
EXAMPLES = re.compile(r"\b(?:e\.g\.|such as|for example|for instance|like)[:,]?\s+([^.;()]+)", re.I)


@functools.lru_cache(4096)
def readable(name: str) -> str:
    """"batch.start" / "makeMove" -> words."""
    return re.sub(r"[._\-]+", " ", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)).lower().strip()


def singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") and word not in NO_PLURAL else word


def simple(schema: Any) -> dict[str, Any]:
    """The schema that is to be filled in: of several types or options the first that is no null."""
    schema = schema if isinstance(schema, Mapping) else {}
    for key in ("anyOf", "oneOf"):
        if options := [o for o in schema.get(key, ()) if isinstance(o, Mapping) and o.get("type") != "null"]:
            return simple({**{k: v for k, v in schema.items() if k != key}, **options[0]})
    found = dict(schema)
    if isinstance(found.get("type"), (list, tuple)):
        found["type"] = next((t for t in found["type"] if t != "null"), "string")
    if "type" not in found and "enum" not in found and "const" not in found:
        found["type"] = "object" if "properties" in found else "array" if "items" in found else "string"
    return found


def bank_of(name: str, schema: Mapping[str, Any]) -> str:
    """The bank that such a string is drawn from; "code" for an identifier, "" where neither name nor description says."""
    form = str(schema.get("format", ""))
    if form in BY_FORMAT:
        return BY_FORMAT[form]
    own = [singular(w) if w not in KIND_OF else w for w in readable(name).split()]
    described = [singular(w) if w not in KIND_OF else w for w in re.findall(r"[a-z]+", str(schema.get("description", "")).lower())]
    if own and (own[-1] in CODES or readable(name).split()[-1] in CODES):
        return "code"
    found = [KIND_OF[w] for k, w in enumerate(own, 1) if w in KIND_OF and (k in (1, len(own)) or KIND_OF[w] != "when")]
    if found and (found[-1] != "when" or own[-1] in KIND_OF or own[0] in ("start", "end", "due", "until")):
        return found[-1]
    if set(own) <= {*VAGUE, "or"} and (found := [KIND_OF[w] for w in described[:8] if w in KIND_OF]):
        return found[0]
    if "name" in own:
        return "person" if own in (["name"], ["full", "name"], ["first", "name"], ["last", "name"]) and "of" not in described else "topic"
    return "code" if described[:1] == ["id"] else ""


def value_for(name: str, schema: Mapping[str, Any], filler: Filler, rng: random.Random) -> tuple[Any, str] | None:
    """(value, its words in a request), or None for a schema this generator has no words for."""
    schema = simple(schema)
    if "const" in schema or "enum" in schema:
        choices = [schema["const"]] if "const" in schema else [v for v in schema["enum"] if v is not None and v != ""]
        if not choices:
            return None
        value = rng.choice(choices)
        return value, spoken_choice(value)
    kind = schema["type"]
    if kind in ("integer", "number"):
        return number_for(name, schema, rng)
    if kind == "string":
        text = string_for(name, schema, filler, rng)
        return None if text is None else (text, text)
    if kind == "boolean":
        truth = rng.random() < 0.6
        return truth, "yes" if truth else "no"
    if kind == "array":
        return array_for(name, schema, filler, rng)
    return object_for(name, schema, filler, rng) if kind == "object" else None


def spoken_choice(value: Any) -> str:
    """"dry_hop" -> "dry hop"; a value that is no identifier stays as it is."""
    if isinstance(value, str):
        return value.replace("_", " ").strip() or value
    return json.dumps(value)


def number_for(name: str, schema: Mapping[str, Any], rng: random.Random) -> tuple[Any, str] | None:
    words = readable(name).split()
    usual = (1, rng.choice((9, 20, 60, 60 if singular(words[-1]) != words[-1] else 500)))  # things that are counted are rarely hundreds
    low, high = next((RANGES[w] for w in reversed(words) if w in RANGES), usual)
    whole, minimum, maximum = schema["type"] == "integer", schema.get("minimum"), schema.get("maximum")
    step = 1 if whole else 0.5
    if "exclusiveMinimum" in schema:
        minimum = schema["exclusiveMinimum"] + step
    if "exclusiveMaximum" in schema:
        maximum = schema["exclusiveMaximum"] - step
    span = high - low
    low = minimum if minimum is not None else min(low, maximum) if maximum is not None else low
    high = maximum if maximum is not None else max(high, low + span) if minimum is not None else high
    multiple = schema.get("multipleOf")
    if multiple:
        first, last = math.ceil(low / multiple), math.floor(high / multiple)
        if first > last:
            return None
        value: Any = rng.randint(first, last) * multiple
    elif math.ceil(low) > math.floor(high) and whole:
        return None
    else:
        value = rng.randint(math.ceil(low), math.floor(high)) if whole else round(rng.uniform(low, high), rng.choice((0, 1, 1, 2)))
    if isinstance(value, float):
        value = min(max(round(value, 6), low), high)
        value = int(value) if value == int(value) else value
    return value, json.dumps(value)


def string_for(name: str, schema: Mapping[str, Any], filler: Filler, rng: random.Random) -> str | None:
    """A string that keeps to pattern and length, or None."""
    bank = bank_of(name, schema)
    pattern = schema.get("pattern")
    form = f"{schema.get('format', '')} {schema.get('description', '')}"
    for _ in range(30 if pattern or "minLength" in schema or "maxLength" in schema else 1):
        text = one_string(name, schema, bank, form, filler, rng)
        if pattern and not re.search(pattern, text):
            text = rng.choice((iso_date(rng), clock(rng), code(rng), str(rng.randint(1, 99999)), text.lower(), text.upper()))
        if (not pattern or re.search(pattern, text)) and schema.get("minLength", 0) <= len(text) <= schema.get("maxLength", 10**6):
            return text
    return None


def one_string(name: str, schema: Mapping[str, Any], bank: str, form: str, filler: Filler, rng: random.Random) -> str:
    dated, timed = bool(re.search(r"(?:^date )|YYYY-MM-DD", form)), bool(re.search(r"(?:^time )|HH:MM", form))
    if dated or timed:
        return " ".join([iso_date(rng)] * dated + [clock(rng)] * timed)
    shown = [str(e) for e in schema.get("examples", ()) if isinstance(e, str)]
    if found := EXAMPLES.search(str(schema.get("description", ""))):
        shown += [w.strip(" '\"") for w in re.split(r",|\bor\b|\band\b", found[1])]
    shown = [w for w in shown if 1 < len(w) < 30]
    if shown and rng.random() < 0.5:
        return rng.choice(shown)
    if bank == "code":
        return code(rng)
    if bank == "when":
        return filler("when", rng.choice(("Monday", "Monday at 3pm")), rng)
    return filler(bank or rng.choice(UNKNOWN), "Old.pdf" if bank in ("file", "pdf") else "Old", rng)


def iso_date(rng: random.Random) -> str:
    return f"2026-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"


def clock(rng: random.Random) -> str:
    return f"{rng.randint(0, 23):02}:{rng.choice((0, 15, 30, 45)):02}"


def code(rng: random.Random) -> str:
    return rng.choice((f"{invented(rng)[:1].upper()}-{rng.randint(1, 999)}", f"#{rng.randint(10, 9999)}", f"{rng.randint(100, 99999)}"))


def array_for(name: str, schema: Mapping[str, Any], filler: Filler, rng: random.Random) -> tuple[Any, str] | None:
    inner = schema.get("prefixItems") or [schema.get("items", {})]
    low, high = int(schema.get("minItems", 1)), int(schema.get("maxItems", 4))
    size = len(inner) if "prefixItems" in schema else min(max(rng.choice((1, 2, 2, 3)), low), max(high, low))
    made: list[tuple[Any, str]] = []
    for _ in range(size * 8):
        item = value_for(singular(name), inner[min(len(made), len(inner) - 1)], filler, rng)
        if item is None:
            return None
        if "prefixItems" in schema or item[1] not in [text for _, text in made]:
            made.append(item)
        if len(made) == size:
            break
    if not low <= len(made) <= max(high, low):
        return None
    return [value for value, _ in made], listed([text for _, text in made], rng)


def listed(texts: Sequence[str], rng: random.Random) -> str:
    """"a, b and c"."""
    return texts[0] if len(texts) == 1 else ", ".join(texts[:-1]) + rng.choice((" and ", " and ", " and ", " & ")) + texts[-1]


def object_for(name: str, schema: Mapping[str, Any], filler: Filler, rng: random.Random) -> tuple[Any, str] | None:
    """The fields of a nested object, each said with its own name: "street Elm 4, city Oslo"."""
    properties, needed = schema.get("properties") or {}, schema.get("required") or ()
    value: dict[str, Any] = {}
    said: list[str] = []
    for key in [k for k in properties if k in needed or rng.random() < 0.5] or list(properties)[:1]:
        found = value_for(key, properties[key], filler, rng)
        if found is None and key in needed:
            return None
        if found is not None:
            value[key] = found[0]
            said.append(f"{readable(key)} {found[1]}")
    extra = schema.get("additionalProperties")
    if not properties and isinstance(extra, Mapping):
        for _ in range(rng.choice((1, 1, 2))):
            key = invented(rng).lower()
            found = value_for(key, extra, filler, rng)
            if found is not None and key not in value:
                value[key] = found[0]
                said.append(f"{key} {found[1]}")
    return (value, rng.choice((", ", ", ", " and ")).join(said)) if value else None
