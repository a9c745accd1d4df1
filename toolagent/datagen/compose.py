"""From skeletons to fresh requests: fill the spans, grow or replace recipients, join several requests into one, speak it with noise.

An Example is a request with its plan and nothing else. Every function here keeps the two true to each other: what is changed in the
request is changed in the plan by the same rule. Pure functions of a random.Random.
"""

from __future__ import annotations

import functools
import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from toolagent.datagen.fillers import Filler, clock
from toolagent.datagen.seeds import FOLDER, Skeleton
from toolagent.plan import REFERENCE, Plan, canonical, in_order_of_use, map_strings, number, references, rename, strings
from toolagent.types import ToolCall, ToolSpec

LOOKS_UP = {"get_email_address": "email", "get_phone_number": "phone", "open_and_get_file_path": "path"}
IMPLIED = {  # arguments whose words may be swapped although the writer did not mark them: (argument -> bank)
    "message": "message", "context": "message", "content": "message", "notes": "message", "subject": "subject", "title": "event",
    "topic": "topic",
}  # fmt: skip


@dataclass(frozen=True)
class Example:
    request: str
    plan: Plan
    tags: tuple[str, ...] = ()
    frames: tuple[str, ...] = ()  # the skeletons it was made of


def spans(texts: Sequence[str]) -> re.Pattern[str]:
    """A pattern for any of the texts as whole words, the longest first."""
    body = "|".join(re.escape(t) for t in sorted(texts, key=len, reverse=True))
    return re.compile(rf"(?<!\w)(?:{body})(?!\w)")


def fill(skeleton: Skeleton, filler: Filler, rng: random.Random, share: float = 0.9) -> Example:
    """The skeleton with (a share of) its spans replaced, in the request and in the plan alike."""
    kinds = dict(skeleton.swap)
    for name, value in ((name, value) for call in skeleton.plan for name, value in call.arguments.items()):
        bank = IMPLIED.get(name)
        if not bank or not isinstance(value, str) or len(value) < 3 or value not in skeleton.request or REFERENCE.search(value):
            continue
        if not any(k in value or value in k for k in kinds) and rng.random() < 0.4:
            kinds[value] = bank
    new: dict[str, str] = {}
    minutes: dict[str, tuple[int, int]] = {}
    for span, kind in kinds.items():
        if rng.random() > share:
            continue
        if kind == "duration":
            old_minutes, value = minutes_of(span), rng.choice(filler.banks["duration"])
            new_minutes = minutes_of(value)
            if old_minutes and new_minutes:
                minutes[span] = old_minutes, new_minutes
                new[span] = value
            continue
        is_path = kind in ("file", "pdf") and re.match(r"[~/\\.]|[A-Za-z]:", span)
        value = path_of(filler(kind, "x.pdf", rng), rng) if is_path else filler(kind, span, rng)
        if value not in new.values() and value.lower() not in (k.lower() for k in kinds):
            new[span] = value
    return swapped(skeleton, new, minutes)


def swapped(skeleton: Skeleton, new: Mapping[str, str], minutes: Mapping[str, tuple[int, int]]) -> Example:
    """The skeleton with these spans replaced; `minutes` says what a span of time was and is as a number. A span that would take a word of
    the plan with it ("lunch with Dana", where Dana is invited) stays as it is."""
    if not new:
        return Example(skeleton.request, skeleton.plan, skeleton.tags, (skeleton.frame,))
    pattern = spans(list(new))
    numbers = {old: value for old, value in new.items() if re.fullmatch(r"\d+(\.\d+)?", old)}
    lasting = dict(pair for span, pair in minutes.items() if span in new)

    def change(text: str) -> str:
        return text if REFERENCE.fullmatch(text) else pattern.sub(lambda m: new[m[0]], text)

    request = change(skeleton.request)
    lost = [t for c in skeleton.plan for t in strings(c.arguments) if t in skeleton.request and change(t) not in request]
    if taken := {span for span in new for text in lost if text != span and spans([text]).search(span)}:
        return swapped(skeleton, {span: value for span, value in new.items() if span not in taken}, minutes)

    def change_numbers(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: change_numbers(v) for k, v in value.items()}
        if isinstance(value, list):
            return [change_numbers(v) for v in value]
        if isinstance(value, int) and not isinstance(value, bool):
            return int(numbers[str(value)]) if str(value) in numbers else lasting.get(value, value)
        if isinstance(value, float):
            text = numbers.get(str(value)) or numbers.get(f"{value:g}")
            return float(text) if text else value
        return value

    plan = tuple(ToolCall(c.name, change_numbers(map_strings(c.arguments, change)), c.id) for c in skeleton.plan)
    return Example(request, plan, skeleton.tags, (skeleton.frame,))


def minutes_of(text: str) -> int | None:
    """Whole minutes of a duration phrase, or None: "two and a half hours" -> 150."""
    from toolagent.errors import WhenError
    from toolagent.when import duration

    try:
        return round(duration(text).total_seconds() / 60) or None
    except WhenError:
        return None


def literal_instead(example: Example, filler: Filler, rng: random.Random) -> Example:
    """One look-up of a person or file turned into a stated address, number or path: then nothing is to be looked up."""
    plan = example.plan
    for k, call in enumerate(plan, 1):
        kind = LOOKS_UP.get(call.name)
        name = str(next(iter(call.arguments.values()), ""))
        uses = [c for c in plan if k in references(c.arguments)]
        if not kind or not uses or example.request.count(name) != 1 or rng.random() < 0.3:
            continue
        if any(name in text for c in plan if c is not call for text in strings(c.arguments)):
            continue
        if re.search(re.escape(name) + r"['’]s?\b|['’]s\s+" + re.escape(name), example.request):
            continue
        if sum(c.arguments == call.arguments for c in plan) > 1 or not all(alone(c.arguments, k) for c in uses):
            continue
        value = path_of(name, rng) if kind == "path" else filler(kind, "", rng)
        left = [c for c in plan if c is not call]
        numbers = {old: new for new, old in enumerate((i for i in range(1, len(plan) + 1) if i != k), 1)}
        calls = [ToolCall(c.name, rename(map_strings(c.arguments, stated_in(f"${k}", value)), numbers)) for c in left]
        return replace(example, request=example.request.replace(name, value), plan=number(calls))
    return example


def stated_in(reference: str, value: str) -> Callable[[str], str]:
    return lambda text: value if text == reference else text


def alone(arguments: Any, k: int) -> bool:
    """True when every "$k" of this k is a whole string."""
    return all(text == f"${k}" or k not in references(text) for text in strings(arguments))


def path_of(name: str, rng: random.Random) -> str:
    file = name.replace(" ", "_")  # outside quotes a path ends at a space
    folder = rng.choice(("Documents", "Downloads", "Desktop", "work", "shared/team", "invoices/2026", "scans", "notes"))
    user = rng.choice(("ana", "marek", "jo", "sunil", "kofi", "mei", "lars", "dana"))
    return rng.choice((f"/home/{user}/{folder}/{file}", f"~/{folder}/{file}", f"/Users/{user}/{folder}/{file}", f"/srv/{folder}/{file}"))


def more_people(example: Example, filler: Filler, rng: random.Random) -> Example:
    """One looked-up recipient becomes two or three, with a look-up each and one message to all."""
    for k, call in enumerate(example.plan, 1):
        if call.name not in ("get_email_address", "get_phone_number"):
            continue
        name = str(call.arguments.get("name", ""))
        users = [c for c in example.plan if k in references(c.arguments)]
        alone_in_text = [v for c in users for v in c.arguments.values() if not isinstance(v, list) and k in references(v)]
        pattern = spans([name])
        owns = f"{name}'" in example.request or f"{name}’" in example.request
        if not users or alone_in_text or owns or len(pattern.findall(example.request)) != 1:
            continue
        if any(name in text for c in example.plan if c is not call for text in strings(c.arguments)):
            continue
        extra = [filler("person", name, rng) for _ in range(rng.choice((1, 1, 1, 2, 2, 3)))]
        if len({*extra, name}) != len(extra) + 1 or any(spans([e]).search(example.request) for e in extra):
            return example
        people = [name, *extra]
        joined = ", ".join(people[:-1]) + rng.choice((" and ", " and ", " & ", ", and ", " plus ")) + people[-1]
        calls: list[ToolCall] = []
        numbers: dict[int, int] = {}
        added: list[int] = []
        for old, c in enumerate(example.plan, 1):
            numbers[old] = len(calls) + 1
            calls.append(ToolCall(c.name, c.arguments))
            if old == k:
                for person in extra:
                    calls.append(ToolCall(c.name, {"name": person}))
                    added.append(len(calls))

        def grow(value: Any, k: int = k, numbers: dict[int, int] = numbers, added: list[int] = added) -> Any:
            if isinstance(value, dict):
                return {key: grow(v) for key, v in value.items()}
            if isinstance(value, list):
                out: list[Any] = []
                for item in value:
                    out.append(rename(item, numbers))
                    if item == f"${k}":
                        out.extend(f"${n}" for n in added)
                return out
            return rename(value, numbers)

        grown = number(ToolCall(c.name, grow(c.arguments) if i not in added else c.arguments) for i, c in enumerate(calls, 1))
        return replace(example, request=pattern.sub(joined.replace("\\", r"\\"), example.request), plan=grown)
    return example


JOINS = (
    ", and ", ", and ", " and ", ", then ", ", then ", " then ", "; ", "; also ", ". ", ". ", ". ", ". Then ", ". Then ",
    ". After that, ", ". Also ", ". Also, ", ", also ", ". Plus ", ", plus ", ". Oh and ", ". And ", ". Next, ", ", and then ",
    ", and also ", ". Finally, ", "\n", "\n- ", ". Additionally, ", ", after that ", " and also ", ". Once that's done, ", ", next ",
    " & ", ". Afterwards, ", ". In addition, ", ". Second, ", " and finally ",
)  # fmt: skip
PROPER = re.compile(r"I\b|I'|[A-Z]\w*[A-Z0-9]|[A-Z]$")


def join(parts: Sequence[Example], rng: random.Random) -> Example:
    """Several requests said in one breath: their plans one after the other, a look-up that both make made once."""
    text = ""
    numbered = rng.random() < 0.06
    for i, part in enumerate(parts):
        piece = part.request.strip()
        names = {w for c in part.plan for s in strings(c.arguments) for w in re.findall(r"\w+", s)[:1]}
        if i < len(parts) - 1 and (not piece.endswith(("?", "?!")) or rng.random() < 0.5):
            piece = unended(part).strip()
        if numbered:
            text += f"{' ' if text else ''}{i + 1}{rng.choice(').')} {piece}"
            continue
        if i:
            link = rng.choice(JOINS)
            if text.endswith(("?", ".", "!")):
                link = rng.choice((" ", " And ", " Then ", " Also, "))
            first = re.match(r"\w+", piece)
            if link not in (". ", " ", "\n", "\n- ") and not (first and first[0] in names) and not PROPER.match(piece):
                piece = piece[:1].lower() + piece[1:]
            text += link + piece
        else:
            text = piece
    calls: list[ToolCall] = []
    seen: dict[str, int] = {}
    for part in parts:
        numbers: dict[int, int] = {}
        for k, call in enumerate(part.plan, 1):
            arguments = rename(call.arguments, numbers)
            key = call.name + canonical(arguments)
            if key in seen and (call.name in LOOKS_UP or call.name.startswith(("open_", "maps_", "summarize"))):
                numbers[k] = seen[key]
                continue
            calls.append(ToolCall(call.name, arguments))
            numbers[k] = seen[key] = len(calls)
    return Example(text, number(calls), ("composed", *parts[0].tags), tuple(f for p in parts for f in p.frames))


# --- manners of speech -------------------------------------------------------------------------------------------------------------

BEFORE = (
    "please ", "Please ", "can you ", "could you ", "hey ", "hi, ", "ok ", "ok so ", "would you ", "quick one: ", "I need you to ",
    "hey can you ", "Could you please ", "can u ", "pls ", "so ", "um ", "right, ", "kindly ", "when you get a sec ", "help me ",
    "I'd like you to ", "need to ",
)  # fmt: skip
AFTER = (
    " please", " pls", " thanks", ", thanks", " thx", ", please", " ta", ". Thanks!", " for me", " asap", " please and thank you", " ok?",
    " cheers",
)  # fmt: skip
NEIGHBOURS = {
    "a": "sq", "b": "vn", "c": "xv", "d": "sf", "e": "wr", "f": "dg", "g": "fh", "h": "gj", "i": "uo", "k": "jl", "l": "k", "m": "n",
    "n": "bm", "o": "ip", "p": "o", "r": "et", "s": "ad", "t": "ry", "u": "yi", "v": "cb", "w": "qe", "y": "tu",
}  # fmt: skip
IMPERATIVE = re.compile(
    r"(?:get|give|send|email|mail|text|sms|set|make|create|open|find|look|show|add|put|book|schedule|remind|reply|forward|fwd|write|draft|summari[sz]e|"
    r"compose|pull|tell|ping|attach|invite|drop|shoot|start|note|jot|append|block|pencil|message|fetch|grab|answer|respond|pop|stick|save)\b",
    re.I,
)


def fixed(example: Example) -> list[tuple[int, int]]:
    """Places of the request that stand in the plan word by word: noise must not touch them."""
    out = []
    for text in {s for c in example.plan for s in strings(c.arguments) if not REFERENCE.fullmatch(s)}:
        out += [m.span() for m in re.finditer(re.escape(text), example.request)]
        for piece in text.split():
            if len(piece) > 2 or not piece.isalpha():
                out += [m.span() for m in re.finditer(rf"(?<!\w){re.escape(piece)}(?!\w)", example.request)]
    return out


def free_places(example: Example, found: Iterable[re.Match[str]]) -> list[re.Match[str]]:
    """Those of the matches that touch no word of the plan."""
    taken = fixed(example)
    return [m for m in found if not any(a < m.end() and m.start() < b for a, b in taken)]


def typos(example: Example, rng: random.Random) -> Example:
    """A slip or two in words that no argument holds."""
    text = example.request
    words = free_places(example, re.finditer(r"[a-zA-Z]{4,}", text))
    for m in sorted(rng.sample(words, min(len(words), rng.choice((1, 1, 2)))), key=lambda m: -m.start()):
        word, i = m[0], rng.randrange(1, len(m[0]) - 1)
        new = rng.choice(
            (word[:i] + word[i + 1 :], word[:i] + word[i + 1] + word[i] + word[i + 2 :], word[:i] + word[i] + word[i:],
             word[:i] + rng.choice(NEIGHBOURS.get(word[i].lower(), word[i])) + word[i + 1 :])
        )  # fmt: skip
        text = text[: m.start()] + new + text[m.end() :]
    return replace(example, request=text)


def read_lines(name: str) -> list[str]:
    return [line for line in (FOLDER / name).read_text("utf-8").splitlines() if line.strip()]


@functools.cache
def synonyms() -> tuple[re.Pattern[str], Mapping[str, tuple[str, ...]]]:
    """(a pattern for every word or phrase of seeds/synonyms.txt, what may stand in place of each)."""
    others: dict[str, tuple[str, ...]] = {}
    for line in read_lines("synonyms.txt"):
        first, *rest = line.split("|")
        others[first.lower()] = (*others.get(first.lower(), ()), *rest)
    return re.compile(spans(list(others)).pattern, re.IGNORECASE), others


@functools.cache
def asides() -> tuple[str, ...]:
    return tuple(read_lines("asides.txt"))


def reworded(example: Example, rng: random.Random, share: float = 0.4) -> Example:
    """Other words for some of those that no argument holds: of few sentence frames a model learns the frames, of many what they say."""
    pattern, others = synonyms()
    text = example.request
    for m in reversed(free_places(example, pattern.finditer(text))):
        if rng.random() < share:
            new = rng.choice(others[m[0].lower()])
            new = new.upper() if m[0].isupper() and len(m[0]) > 1 else new[:1].upper() + new[1:] if m[0][0].isupper() else new
            text = text[: m.start()] + new + text[m.end() :]
    return replace(example, request=text)


SMALL = re.compile(r"\b(?:the|a|an|my|me|to|of|is|for|just|please|it|that|this|in|on|with|from|and|can|you|will)\b ?", re.I)


def clipped(example: Example, rng: random.Random) -> Example:
    """Some of the small words left out, as in a telegram."""
    text = example.request
    for m in reversed(free_places(example, SMALL.finditer(text))):
        if rng.random() < 0.35:
            text = text[: m.start()] + text[m.end() :]
    return replace(example, request=text.strip())


def with_aside(example: Example, rng: random.Random) -> Example:
    """Something said beside the request that asks for nothing: before it, behind it or behind one of its sentences."""
    aside = rng.choice(asides())
    text = example.request
    ends = free_places(example, re.finditer(r"(?<=\w)\. (?=[A-Z])", text))
    roll = rng.random()
    if ends and roll < 0.35:
        at = rng.choice(ends).end()
        return replace(example, request=f"{text[:at]}{aside[:1].upper() + aside[1:]}. {text[at:]}")
    if roll < 0.7:
        lead = aside[:1].upper() + aside[1:] if rng.random() < 0.6 else aside
        return replace(example, request=lead + rng.choice((". ", ", so ", " - ", ", ", "... ", "\n")) + text)
    return example if holds_end(example) else replace(example, request=unended(example) + rng.choice((". ", ", ", " - ", "... ")) + aside)


def in_case(example: Example, case: Callable[[str], str]) -> Example:
    """The example in lower or upper case, and so the words of its plan, also where they are put together anew; codes and enums stay."""

    def change(text: str) -> str:
        return case(text) if len(text) > 1 and (text in example.request or " " in text) else text

    plan = tuple(ToolCall(c.name, map_strings(c.arguments, change), c.id) for c in example.plan)
    return replace(example, request=case(example.request), plan=plan)


def dictated(example: Example, rng: random.Random) -> Example:
    """Without commas and full stops, as a microphone hears it."""
    if any(re.search(r"[.,;:!?] |[.,;:!?]$", s) for c in example.plan for s in strings(c.arguments)):
        return example
    text = re.sub(r"[,;:!?](?= |$)|(?<=\w)\.(?= |$)", "", example.request)
    return replace(example, request=re.sub(r"\s+", " ", text).strip())


def noisy(example: Example, rng: random.Random) -> Example:
    """Other words, something said beside, and one or two manners of speech; a third of the requests stays as it is."""
    if rng.random() < 0.5:
        example = reworded(example, rng)
    if rng.random() < 0.10 and example.plan:
        example = with_aside(example, rng)
    if rng.random() < 0.06:
        example = clipped(example, rng)
    if rng.random() < 0.18 and IMPERATIVE.match(example.request):
        lead = rng.choice(BEFORE)
        text = example.request
        example = replace(example, request=lead + text[:1].lower() + text[1:])
    if rng.random() < 0.10 and example.plan:
        example = replace(example, request=unended(example) + rng.choice(AFTER))
    roll = rng.random()
    if roll < 0.12:
        example = in_case(example, str.lower)
    elif roll < 0.17:
        example = in_case(dictated(example, rng), str.lower)
    elif roll < 0.19:
        example = dictated(example, rng)
    elif roll < 0.20:
        example = in_case(example, str.upper)
    elif roll < 0.24:
        text = example.request
        example = replace(example, request=text[:1].upper() + text[1:]) if not holds_start(example) else example
    if rng.random() < 0.12:
        example = typos(example, rng)
    if rng.random() < 0.08 and not holds_end(example):
        example = replace(example, request=unended(example) + rng.choice((".", "!", "", "")))
    return example


def unended(example: Example) -> str:
    """The request without the full stop of its sentence. One that ends a value of the plan ("4 p.m.", "happy birthday!") stays."""
    text = example.request.rstrip()
    held = {s for c in example.plan for s in strings(c.arguments) if s}
    while text and text[-1] in " .!" and not any(text.endswith(s) for s in held):
        text = text[:-1]
    return text


def holds_start(example: Example) -> bool:
    return any(example.request.startswith(s[:3]) for c in example.plan for s in strings(c.arguments) if s)


def holds_end(example: Example) -> bool:
    return any(s and example.request.endswith(s) for c in example.plan for s in strings(c.arguments))


CORRECTIONS = (" no sorry ", ", no, ", " actually ", " wait no ", "... I mean ", " or rather ")


def corrected(example: Example, rng: random.Random) -> Example:
    """A date said wrong first: "at 4 no sorry 5"; the plan keeps the second."""
    for call in example.plan:
        for name, value in call.arguments.items():
            told = [text for c in example.plan for text in strings(c.arguments) if isinstance(value, str) and value in text]
            if name in ("due_date", "start_date", "start_time") and len(told) == 1 and example.request.count(value) == 1:
                wrong = clock(rng)
                if wrong == value:
                    continue
                return replace(example, request=example.request.replace(value, f"{wrong}{rng.choice(CORRECTIONS)}{value}"))
    return example


DATES = ("start_date", "end_date", "due_date", "start_time")
LEAD = re.compile(r"(?:on|at|by|for|starting|from)\s+(?=\S)", re.I)


def bare_dates(plan: Plan) -> Plan:
    """The plan with its dates without a leading "on", "at", "by": writers differ in it, and a model should see one manner."""

    def bare(name: str, value: Any) -> Any:
        if name in DATES and isinstance(value, str) and not re.match(r"from\b.*\b(?:to|til|till|until|-)\b|by (?:car|bus)", value, re.I):
            return LEAD.sub("", value, count=1) if LEAD.match(value) else value
        return value

    return tuple(ToolCall(c.name, {k: bare(k, v) for k, v in c.arguments.items()}, c.id) for c in plan)


def coded(plan: Plan, specs: Sequence[ToolSpec]) -> Plan:
    """The plan with each value of an enum as its schema writes it, whatever letter case the request was turned into."""
    properties = {spec.name: spec.properties for spec in specs}

    def written(schema: Any, value: Any) -> Any:
        if isinstance(value, list):
            return [written(schema.get("items", {}), item) for item in value] if isinstance(schema, Mapping) else value
        choices = schema.get("enum", ()) if isinstance(schema, Mapping) and isinstance(value, str) else ()
        return next((c for c in choices if isinstance(c, str) and c.casefold() == value.casefold()), value)

    return tuple(ToolCall(c.name, {k: written(properties.get(c.name, {}).get(k), v) for k, v in c.arguments.items()}, c.id) for c in plan)


def canonical_plan(example: Example) -> Example:
    return replace(example, plan=in_order_of_use(number(example.plan)))


def argument_order(plan: Plan, order: Mapping[str, Sequence[str]]) -> Plan:
    """The plan with each call's arguments in the order of its schema (a grammar writes them in that order)."""

    def sorted_(call: ToolCall) -> dict[str, Any]:
        known = [name for name in order.get(call.name, ()) if name in call.arguments]
        return {name: call.arguments[name] for name in [*known, *(name for name in call.arguments if name not in known)]}

    return tuple(ToolCall(c.name, sorted_(c), c.id) for c in plan)


def in_order(example: Example, specs: Sequence[ToolSpec]) -> Example:
    """Dates bare, enums as written, arguments in the order of their schema, and then the steps in the order of use: which of two results an
    argument reads first decides which look-up stands first."""
    plan = argument_order(coded(bare_dates(example.plan), specs), {spec.name: tuple(spec.properties) for spec in specs})
    return canonical_plan(replace(example, plan=plan))
