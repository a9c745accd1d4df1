"""An argument in the words of a request: "5 litres", "for Ana", "by friday", "not urgent", "street Elm 4, city Oslo", 'saying "late"'.

Two manners: as people say such a value, or with its label ("weight: 3.5", "with stage dry hop"). A string stands there letter for letter.
Left out: pronouns, numbers in words.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from toolagent.datagen.fillers import Filler
from toolagent.datagen.invented import is_verb
from toolagent.datagen.values import UNITS, bank_of, readable, simple, singular, value_for


@dataclass(frozen=True)
class Clause:
    """An argument's value and how a request says it. `bare`: without a label, so a comma must keep it apart; `last`: free text."""

    value: Any
    text: str
    bare: bool = False
    last: bool = False
    start: bool = False  # may stand at the start: "tomorrow, water a bed"


LENGTHS = ("duration", "length", "time", "timeout", "delay")  # before a unit such a word says nothing
TO = ("to", "destination", "recipient", "receiver", "recipients", "target", "whom")
FROM = ("from", "origin", "source", "sender", "start location")
DAY = re.compile(r"(?:mon|tue|wed|thu|fri|sat|sun|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|the \d)\w*\b", re.I)
HOUR = re.compile(r"(?:\d{1,2}(?::\d\d)?\s?(?:[ap]m)?|noon|midnight|midday)\b(?! \w+day)")
RELATIVE = re.compile(r"(?:in|at|by|on|for|from|after|before|until|since|every|around)\b", re.I)
PREPOSITIONS = ("to", "from", "at", "by", "for", "in", "on", "with", "until", "after", "before")  # names that need no "="
WITH = ("attendees", "invitees", "guests", "people", "participants", "members", "players", "with")


def clause_for(name: str, schema: Any, needed: bool, filler: Filler, rng: random.Random) -> Clause | None:
    """One argument in words; None where it has none (or an optional truth that goes without saying)."""
    schema = simple(schema)
    if schema.get("type") == "boolean" and "enum" not in schema and "const" not in schema:
        return flag_for(name, schema, needed, rng)
    found = value_for(name, schema, filler, rng)
    if found is None:
        return None
    value, words = found
    label, natural = readable(name), rng.random() < 0.6
    if schema.get("type") in ("integer", "number") and "enum" not in schema:
        measured = number_clause(name, schema, value, words, rng)
        label = re.sub(r" (?:c|m|g|ms)$", "", label)
        return Clause(value, measured) if measured and natural else labelled(label, value, words, rng)
    if schema.get("type") == "object":
        manners = ("{} {}",) if label in PREPOSITIONS else ("{}: {}", "with {} {}", "{} {}", "{} with {}")
        return Clause(value, rng.choice(manners).format(label, words))
    if "enum" in schema:
        within = f"in {words}" if label in ("colour", "color", "size", "language", "format") else words
        said = rng.choice((f"{words} {label}", words, words, within))
        return Clause(value, said, bare=said == words) if natural else labelled(label, value, words, rng)
    bank = bank_of(singular(name) if schema.get("type") == "array" else name, schema)
    if schema.get("type") == "array":
        inner = simple(schema.get("items"))
        bank = bank_of(singular(name), inner) if inner.get("type") == "string" and "enum" not in inner else ""
        if natural and (label in WITH or label.split()[-1] in (*TO, *FROM)):
            return Clause(value, f"{'with' if label in WITH else 'to' if label.split()[-1] in TO else 'from'} {words}")
        return labelled(label, value, words, rng)
    if bank == "when":
        said = when_clause(label, words, rng) if natural or rng.random() < 0.5 else f"{label} {words}"
        return Clause(value, said, bare=said == words, start=said == words)
    if bank == "message":
        return text_clause(label, value, words, rng)
    plain = string_clause(label, bank, words, rng) if natural else None
    return Clause(value, plain, bare=plain == words) if plain else labelled(label, value, words, rng)


def labelled(label: str, value: Any, words: str, rng: random.Random) -> Clause:
    """The plain manners, which fit any argument."""
    if label in PREPOSITIONS:
        return Clause(value, f"{label} {words}")
    if isinstance(value, str) and '"' not in words and rng.random() < 0.2:
        return Clause(value, f'{label} "{words}"')
    return Clause(value, rng.choice(("{} {}", "{} {}", "{}: {}", "with {} {}", "{} = {}", "the {} is {}")).format(label, words))


def number_clause(name: str, schema: Mapping[str, Any], value: Any, words: str, rng: random.Random) -> str | None:
    """"5 litres", "at most 3 changes", "for 20 minutes"; None where the name holds neither a unit nor a thing that is counted."""
    said = readable(name).split()
    units = [k for k, w in enumerate(said) if w in UNITS and (len(w) > 2 or w in ("kg", "km") or 0 < k == len(said) - 1)]  # nozzle_c
    place = units[0] if units else None
    bound = {"min": "at least", "minimum": "at least", "max": "at most", "maximum": "at most"}.get(said[0], "") if len(said) > 1 else ""
    head = said[1:] if bound else said
    bound = f"{rng.choice((bound, said[0]))} " if bound else ""
    if place is not None:
        unit, before, after = said[place], said[(1 if bound else 0) : place], said[place + 1 :]
        if after[:1] == ["per"]:
            return f"{bound}{words} {' '.join(said[place:])}"
        return " ".join([*(w for w in before if w not in LENGTHS), with_unit(bound + words, unit, value, rng, plain=bool(after)), *after])
    found = re.search(r"\b(?:in|of) ([a-z]+)\b|\(([a-z%]+)\)", str(schema.get("description", "")))
    for told in found.groups() if found else ():
        if told in UNITS and len(told) > 1:
            return " ".join([*head, with_unit(bound + words, told, value, rng)])
    if said[0] in ("num", "number", "count") and len(said) > 1:
        head = [w for w in said[1:] if w != "of"]
        return f"{words} {' '.join(head)}" if head else None
    if said[-1] in ("count", "quantity") and len(said) > 1:
        return f"{words} {' '.join(said[:-1])}" + ("" if value == 1 or said[-2].endswith("s") else "s")
    plural = head[-1] == "people" or (singular(head[-1]) != head[-1] and schema["type"] == "integer")
    if plural:
        return f"{bound}{words} {' '.join([*head[:-1], singular(head[-1]) if value == 1 else head[-1]])}"
    return f"{' '.join(head)} {bound}{words}" if bound else None


def with_unit(words: str, unit: str, value: Any, rng: random.Random, plain: bool = False) -> str:
    """The number and its unit; `plain`: the unit in full, because words follow."""
    spoken = f" {unit}" if plain and len(unit) > 2 else rng.choice(UNITS[unit].split("|"))
    one = value == 1 and spoken.startswith(" ") and len(spoken) > 5 and spoken.endswith("s") and unit != "celsius"
    return words + (spoken[:-1] if one else spoken)


def flag_for(name: str, schema: Mapping[str, Any], needed: bool, rng: random.Random) -> Clause | None:
    """A truth value: "urgent", "not urgent", "don't close dome". One that is optional is said where it differs from its default."""
    words = [w for w in readable(name).split() if w not in ("is", "has", "was", "should", "flag")] or readable(name).split()
    default = bool(schema.get("default", False))
    value = (rng.random() < 0.6) if needed else (not default) if rng.random() < 0.85 else default
    label = " ".join(words)
    verbal = is_verb(words[0]) or words[0] in ("include", "use", "overwrite", "force")
    if rng.random() < 0.25:
        answer = rng.choice(("yes", "true", "on") if value else ("no", "false", "off"))
        return Clause(value, f"{readable(name)}{rng.choice((' ', ': '))}{answer}")
    if value:
        return Clause(value, label if verbal or words[0] in ("with", "without") or rng.random() < 0.8 else f"make it {label}")
    return Clause(value, rng.choice((f"don't {label}", f"do not {label}") if verbal else (f"not {label}", f"not {label}", f"no {label}")))


def when_clause(label: str, words: str, rng: random.Random) -> str:
    last = label.split()[-1] if label else ""
    relative = RELATIVE.match(words)
    if "due" in label or "deadline" in label or label.endswith(" by"):
        return words if relative else f"{rng.choice(('by', 'due'))} {words}"
    if last in ("from", "start", "begin", "starts", "begins", "since") or label.startswith("start"):
        return words if relative else rng.choice((f"from {words}", f"starting {words}", words))
    if last in ("to", "until", "end", "ends", "till") or label.startswith("end"):
        return words if relative else rng.choice((f"until {words}", f"till {words}"))
    if DAY.match(words) and rng.random() < 0.5:
        return f"on {words}"
    return f"at {words}" if HOUR.match(words) and "-" not in words else words


def text_clause(label: str, value: Any, words: str, rng: random.Random) -> Clause:
    quoted = '"' not in words and rng.random() < 0.5
    text = f'"{words}"' if quoted else words
    lead = rng.choice(("saying {}", f"{label}: {{}}", f"{label} {{}}", f"with the {label} {{}}", "that says {}"))
    return Clause(value, lead.format(text), last=not quoted)


def string_clause(label: str, bank: str, words: str, rng: random.Random) -> str | None:
    """How people say it without its label, or with a preposition; None: it needs its label."""
    last = label.split()[-1] if label else ""
    if last in TO or label in TO:
        return f"to {words}"
    if last in FROM or label in FROM:
        return f"from {words}"
    if bank == "person":
        return f"by {words}" if last in ("author", "by") else rng.choice((f"for {words}", f"for {words}", words))
    if bank == "place" and last in ("city", "town", "place", "location", "venue", "country"):
        return rng.choice((f"in {words}", f"at {words}", words))
    if last in ("title", "name") and bank not in ("person", "file", "pdf", "code"):
        return rng.choice((f"called {words}", f"named {words}", words))
    if bank in ("email", "phone", "url", "address"):
        return rng.choice((words, f"at {words}" if bank == "address" else f"for {words}"))
    if bank in ("file", "pdf"):
        return rng.choice((words, words, f"from {words}"))
    if bank in ("topic", "subject"):
        return f"about {words}" if last in ("topic", "subject", "query") else None
    return None
