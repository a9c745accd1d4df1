"""Requests that need the result of one tool for another, from signatures alone.

    find the e-mail address of a contact, Ana, then draft a message saying "late", use that e-mail address for recipients
    1 get_email_address(name="Ana")   2 compose_email(recipients=["$1"], text="late")

A result of one kind ("format") fits an argument of the same kind; names and plain strings must agree in words, too: find_bed(crop) gives
the bed of water_bed(bed), and not the crop of plant(crop). Left out: chains of three tools.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from toolagent.datagen.compose import Example
from toolagent.datagen.fillers import Filler
from toolagent.datagen.generic import asked, parts_of, sentence
from toolagent.datagen.grounding import grounded
from toolagent.datagen.phrases import PREPOSITIONS, TO, Clause
from toolagent.datagen.values import VAGUE, listed, readable, simple, singular
from toolagent.types import ToolCall, ToolSpec

NOUNS_OF_KINDS = {"email": "e-mail address", "phone": "phone number", "path": "file", "uri": "link", "date-time": "time", "text": "text"}

THEN = (", then ", " and then ", " and ", ", and ", ". Then ", "; then ")
FROM_THERE = (
    "for {label} use the result of: {first}", "use the {label} from this: {first}", "you get the {label} this way: {first}",
    "as {label} use what you get from: {first}",
)  # fmt: skip


@dataclass(frozen=True)
class Link:
    """The result of `producer` fits `argument` of `consumer`; `many`: as an item of its list. `noun`: what the result is."""

    producer: ToolSpec
    consumer: ToolSpec
    argument: str
    many: bool
    noun: str


def links(specs: Sequence[ToolSpec]) -> tuple[Link, ...]:
    """Every pair of tools, and the argument, where the result of the first fits the second."""
    found = []
    for producer in specs:
        if not producer.returns or producer.returns.get("type") not in ("string", "integer", "number"):
            continue
        for consumer in specs:
            for name, schema in consumer.properties.items():
                outer = simple(schema)
                many = outer.get("type") == "array"
                if consumer.name != producer.name and fits(producer, name, simple(outer.get("items")) if many else outer):
                    kind = str(producer.returns.get("format", ""))
                    found.append(Link(producer, consumer, name, many, NOUNS_OF_KINDS.get(kind) or readable(name)))
    return tuple(found)


def fits(producer: ToolSpec, name: str, schema: dict[str, Any]) -> bool:
    """The producer's result is of the argument's type and kind; a mere name or string is of its words, too."""
    result = producer.returns or {}
    kind = result.get("format", "")
    if schema.get("type") != result.get("type") or "enum" in schema or schema.get("format", "") != kind:
        return False
    if kind not in ("", "name"):
        return True
    text = f"{readable(producer.name)} {result.get('description', '')}".lower()
    told = {singular(w) for w in re.findall(r"[a-z]+", text)}
    own = {singular(w) for w in readable(name).split()} - {*VAGUE}
    return bool(own) and own <= told and name not in producer.properties and (not producer.writes or "description" in result)


def chain_for(link: Link, filler: Filler, rng: random.Random) -> Example | None:
    """One request for both tools, or None where one has no words for a required argument."""
    for _ in range(4):
        count = rng.choice((1, 1, 2)) if link.many and link.producer.properties else 1
        made = [parts for _ in range(count) if (parts := parts_of(link.producer, filler, rng)) is not None]
        value: Any = [f"${k}" for k in range(1, count + 1)] if link.many else "$1"
        back = Clause(value, rng.choice(backward(link, count)))
        second = parts_of(link.consumer, filler, rng, {link.argument: back})
        if second is None or len(made) < count or made[0][2] == made[-1][2] and count > 1:
            continue
        action, own = second[0], [clause for clause in second[1] if clause is not back]
        calls = [ToolCall(link.producer.name, arguments, str(k)) for k, (_, _, arguments) in enumerate(made, 1)]
        plan = (*calls, ToolCall(link.consumer.name, second[2], str(count + 1)))
        first = listed([sentence(action, quoted_last(clauses), rng) for action, clauses, _ in made], rng)
        place = re.search(rf"\b(?:a|an|the) {re.escape(readable(link.argument))}\b(?![-'’])", action)
        if place and count == 1 and rng.random() < 0.6:  # "water a bed" -> "water that bed"
            there = action[: place.start()] + rng.choice((f"that {link.noun}", f"the {link.noun} it gives")) + action[place.end() :]
            text = first + rng.choice(THEN) + sentence(there, own, rng)
        elif rng.random() < 0.7:
            text = first + rng.choice(THEN) + sentence(action, [*own, back], rng)
        else:
            after = rng.choice(FROM_THERE).format(label=label_of(link), first=first)
            text = sentence(action, quoted_last(own), rng) + rng.choice((" - ", "; ", ", ")) + after
            own = [clause for _, clauses, _ in made for clause in clauses]
        request = asked(text, own, rng)
        if not grounded(request, plan, (link.producer, link.consumer), free=())[1]:
            return Example(request, plan, ("generic", "chain"), (f"generic {link.producer.name} {link.consumer.name}",))
    return None


def backward(link: Link, count: int) -> tuple[str, ...]:
    """How the second half speaks of the result of the first."""
    label, noun = readable(link.argument), link.noun
    that = f"that {noun}" if count == 1 else f"those {noun}{'es' if noun.endswith('s') else 's'}"
    result = "the result" if count == 1 else "the results"
    if label in PREPOSITIONS:
        return (f"{label} {that}", f"{label} {that}", f"use {that}", f"use {result}")
    manners = ("with {that} as {label}", "use {that} for {label}", "use {result} for {label}", "{label}: {that}", "using {that} as {label}")
    said = tuple(manner.format(that=that, result=result, label=label) for manner in manners)
    return (*said, f"to {that}", f"to {that}") if label in TO else said


def label_of(link: Link) -> str:
    """The argument in words; "to" and its like say nothing without the word that follows."""
    label = readable(link.argument)
    return link.noun if label in PREPOSITIONS else label


def quoted_last(clauses: Sequence[Clause]) -> list[Clause]:
    """The same, with a free text that ends the sentence in quotes, because words will follow."""

    def quoted(clause: Clause) -> Clause:
        if not clause.last or '"' in clause.text:
            return clause
        return replace(clause, text=clause.text.replace(clause.value, f'"{clause.value}"'), last=False)

    return [quoted(clause) for clause in clauses]
