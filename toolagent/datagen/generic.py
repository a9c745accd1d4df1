"""Requests for any tools, from their names, descriptions and schemas alone.

    request_for(spec, filler, rng) -> Example("water the Roses bed with 5 litres tomorrow", (water_bed(...),))

A request says what the tool does (its description, or its name as words) and its arguments in one of several manners. Plain, but it teaches
a model to read a signature that it never saw. Every string of a plan is a run of its request (of an enum's value: its words), every number
stands there in digits. Requests that need the result of one tool for another: chains.py. Left out: numbers in words, questions.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from typing import Any

from toolagent.datagen.compose import Example
from toolagent.datagen.fillers import Filler
from toolagent.datagen.grounding import grounded
from toolagent.datagen.invented import VERB_FORMS, VERBS, invented_tools, is_verb
from toolagent.datagen.phrases import Clause, clause_for
from toolagent.datagen.values import KIND_OF, bank_of, readable, simple, value_for
from toolagent.plan import Plan
from toolagent.types import ToolCall, ToolSpec

__all__ = ["invented_tools", "readable", "rename_tools", "request_for", "value_for"]

PEOPLE = "(?:" + "|".join(sorted(word for word, bank in KIND_OF.items() if bank == "person")) + ")"
ASKS = (
    "{a}", "{a}", "{a}", "please {a}", "can you {a}", "could you {a}", "I need to {a}", "I want to {a}", "go ahead and {a}", "let's {a}",
    "{a} for me", "{a} please",
)  # fmt: skip
PLAIN_ASKS = ("{a}", "{a}", "{a} please", "{a}, please", "next: {a}")  # around what begins with no verb: "soil moisture of a field"
RETURNS = re.compile(r"(?<=[.!?;])\s|\n|,? (?:and|which|that) (?:returns?|gives?|gets?)\b|, (?:returns?|gives?)\b")
PREAMBLE = re.compile(r"^(?:this )?(?:function|tool|method)?\s*(?:is )?(?:used |allows you |lets you |can be used )to ", re.I)
AFTER_VERBS = ("a", "an", "the", "all", "up", "out", "one", "whether", "if", "your")
MOST_WORDS = 12  # of a description; a longer one is no way to ask


def action_of(spec: ToolSpec, rng: random.Random) -> str:
    """What the tool does, as an order: "Returns the level of a tank." -> "get the level of a tank"; keg.fill -> "fill keg"."""
    text = RETURNS.split(spec.description.strip(), maxsplit=1)[0]
    text = PREAMBLE.sub("", " ".join(re.sub(r"\([^)]*\)|`", "", text).rstrip(".!;").split()))
    first, _, rest = text.partition(" ")
    base = VERB_FORMS.get(first.lower(), first.lower())
    if base.endswith("s") and base[:-1] in VERBS and rest.split(" ")[0] in AFTER_VERBS:
        base = base[:-1]
    named = readable(spec.name).split() or [spec.name]
    if is_verb(named[-1]) and (not is_verb(named[0]) or "." in spec.name):
        named = [named[-1], *named[:-1]]
    short = not text or len(text.split()) > MOST_WORDS
    if short or rng.random() < (0.25 if is_verb(base) or not is_verb(named[0]) else 0.7):
        return " ".join(named)
    action = f"{first if first.isupper() and len(first) > 1 else base} {rest}".strip()
    return re.sub(r"\b(a|an|the) ", "", action) if rng.random() < 0.3 else action


def woven(action: str, name: str, schema: Any, clause: Clause, rng: random.Random) -> str | None:
    """The action with the argument in place of the thing that it names: "water a bed" + bed "Roses" -> "water the Roses bed"."""
    schema = simple(schema)
    label, bank = readable(name), bank_of(name, schema)
    if not isinstance(clause.value, (str, int)) or isinstance(clause.value, bool) or "enum" in schema or bank in ("message", "when"):
        return None
    nouns = PEOPLE if bank == "person" else re.escape(label)
    found = re.search(rf"\b(?:a|an|the|one|any) (?:{nouns}|\w+ {nouns})\b(?!-)", action)
    if not found:
        return None
    words = str(clause.value)
    number = isinstance(clause.value, int) or bank == "code"
    if bank == "person" or action[found.end() :][:1] in ("'", "’"):
        return action[: found.start()] + words + action[found.end() :]
    manners = ("{n} {w}", "{n} {w}", "the {n} {w}") if number else ("{n} {w}", "{w}", "the {w} {n}", "the {n} {w}")
    return action[: found.start()] + rng.choice(manners).format(n=label, w=words) + action[found.end() :]


Parts = tuple[str, list[Clause], dict[str, Any]]


def parts_of(spec: ToolSpec, filler: Filler, rng: random.Random, given: Mapping[str, Clause] | None = None) -> Parts | None:
    """(action, clauses, arguments) with every required and some optional arguments; `given` are said as they are. None: it has no words."""
    action = action_of(spec, rng)
    arguments: dict[str, Any] = {}
    clauses: list[Clause] = []
    for name, schema in spec.properties.items():
        needed = name in spec.required
        clause = (given or {}).get(name)
        if clause is None:
            if not needed and rng.random() < 0.55:
                continue
            clause = clause_for(name, schema, needed, filler, rng)
            if clause is None:
                if needed:
                    return None
                continue
            if rng.random() < 0.5 and (changed := woven(action, name, schema, clause, rng)):
                action, arguments[name] = changed, clause.value
                continue
        arguments[name] = clause.value
        clauses.append(clause)
    return action, clauses, arguments


def sentence(action: str, clauses: Sequence[Clause], rng: random.Random) -> str:
    """The action and its clauses; free text comes last."""
    said, last = [c for c in clauses if not c.last], [c for c in clauses if c.last]
    front = ""
    if said and said[-1].start and rng.random() < 0.15:
        front = said.pop().text + ", "
    if len(said) > 1 and rng.random() < 0.2:
        rng.shuffle(said)
    body = action
    if said:
        apart = sum(c.bare for c in said) > 1
        between = rng.choice((", ", ", ", ", ", " and " if len(said) == 2 else ", ")) if apart or rng.random() < 0.6 else " "
        lead = rng.choice((" ", " ", ", ")) if said[0].text[:1].islower() and not said[0].bare else rng.choice((", ", " ", ": ", " - "))
        body += lead + between.join(c.text for c in said)
    for clause in last:
        body += rng.choice((" ", ", ")) + clause.text
    return front + body


def asked(text: str, clauses: Sequence[Clause], rng: random.Random) -> str:
    """The order as people give orders. What follows it would be heard as part of a free text at its end."""
    first, second = [*re.split(r"\W+", text), ""][:2]
    asks = ASKS if is_verb(first) and second not in ("of", "is", "are") else PLAIN_ASKS
    ask = rng.choice([a for a in asks if a.endswith("{a}") or not any(c.last for c in clauses)])
    text = ask.format(a=text)
    starts_with_value = any(c.start and text.startswith(c.text) for c in clauses)
    return text[:1].upper() + text[1:] if rng.random() < 0.4 and not starts_with_value else text


def request_for(spec: ToolSpec, filler: Filler, rng: random.Random) -> Example | None:
    """One request for this tool with every required and some optional arguments, or None where a required one has no words."""
    for _ in range(4):  # a value may happen to hide another's words
        parts = parts_of(spec, filler, rng)
        if parts is None:
            continue
        action, clauses, arguments = parts
        request = asked(sentence(action, clauses, rng), clauses, rng)
        plan = (ToolCall(spec.name, arguments, "1"),)
        if not grounded(request, plan, (spec,), free=())[1]:
            return Example(request, plan, ("generic",), (f"generic {spec.name}",))
    return None


def rename_tools(
    specs: Sequence[ToolSpec], aliases: Mapping[str, Sequence[str]], names: Mapping[str, Sequence[str]], rng: random.Random
) -> tuple[tuple[ToolSpec, ...], dict[str, str], dict[str, dict[str, str]]]:
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


def renamed(plan: Plan, to_name: Mapping[str, str], to_arguments: Mapping[str, Mapping[str, str]]) -> Plan:
    """The plan in the names that rename_tools gave; what it did not rename keeps its own."""
    return tuple(
        ToolCall(to_name.get(c.name, c.name), {to_arguments.get(c.name, {}).get(k, k): v for k, v in c.arguments.items()}, c.id) for c in plan
    )
