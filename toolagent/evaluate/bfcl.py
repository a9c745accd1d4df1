"""BFCL's single-turn table: entries and a model's answers -> accuracy a category and a group, with intervals, and why each one failed.

    non-live      mean of simple (itself the mean of Python, Java, JavaScript), multiple, parallel, parallel_multiple
    live          its four categories weighted by their counts
    irrelevance   mean of irrelevance and live_irrelevance
    relevance     shown, and in no group

These are the official groups. The official table counts a category that was not run as 0; here its group is left out. Its "overall" takes in
several turns and agents (70%), so there is none here.

Strict abstention: officially whatever cannot be decoded abstains, so a model that writes broken calls only is perfect on irrelevance. Strictly
an answer abstains when it is empty, decodes to no call, or is prose; a text that starts like a call, carries a call's marks or calls an offered
function by name tried to call. Garbage without any such sign passes as prose.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolagent.errors import InvalidOutput
from toolagent.evaluate.bfcl_data import CATEGORIES, IRRELEVANCE, LIVE, PYTHON, RELEVANCE, SIMPLE, Entry, Function
from toolagent.evaluate.bfcl_decode import decode, decode_source
from toolagent.evaluate.calls import Fault, check, shown_name
from toolagent.evaluate.statistics import LEVEL, RESAMPLES, Interval, bootstrap, table
from toolagent.types import Message, ToolCall

UNDECODABLE = "ast_decoder:decoder_failed"
CALLED = "irrelevance_error:decoder_success"
NOT_CALLED = "relevance_error:decoder_failed"
TRIED = "irrelevance_error:undecodable_call"  # ours, of strict abstention

MARKS = re.compile(r"<\W?(?:tool_?call|function|invoke|python_tag)|\[TOOL_?CALLS?\]|[\"'](?:name|arguments|parameters)[\"']\s*:", re.I)
OPENING = ("[", "{", "<")

NON_LIVE_WEIGHTS = {**dict.fromkeys(SIMPLE, 1 / 12), **dict.fromkeys(("multiple", "parallel", "parallel_multiple"), 1 / 4)}
IRRELEVANCE_WEIGHTS = dict.fromkeys(IRRELEVANCE, 1 / 2)


@dataclass(frozen=True)
class Answer:
    calls: tuple[ToolCall, ...] | None  # None: what was written is no list of calls
    text: str = ""


@dataclass(frozen=True)
class Outcome:
    id: str
    category: str
    fault: Fault | None  # by the official rules
    strict_fault: Fault | None  # the same, except for abstention


def prompted(text: str, entry: Entry) -> Answer:
    """The answer of a model that was asked for text."""
    try:
        return Answer(decode(text) if entry.language == PYTHON else decode_source(text), text)
    except InvalidOutput:
        return Answer(None, text)


def native(message: Message) -> Answer:
    """The answer of a model that was given the functions as tools. Words instead of calls are no list of calls."""
    return Answer(message.tool_calls or (None if message.content.strip() else ()), message.content)


def judge(entry: Entry, answer: Answer, dots: bool = False) -> Outcome:
    """`dots`: the model was shown "a_b" where a function's name is "a.b"."""
    if entry.category in IRRELEVANCE:
        fault = Fault(CALLED, "calls", answer.calls) if answer.calls else None
        tried = answer.calls is None and tries_to_call(answer.text, entry.functions)
        return Outcome(entry.id, entry.category, fault, Fault(TRIED, "text", answer.text) if tried else fault)
    if entry.category in RELEVANCE:
        fault = None if answer.calls else Fault(NOT_CALLED, "text", answer.text)
    elif answer.calls is None:
        fault = Fault(UNDECODABLE, "text", answer.text)
    else:
        fault = check(answer.calls, entry, dots)
    return Outcome(entry.id, entry.category, fault, fault)


def tries_to_call(text: str, functions: Iterable[Function]) -> bool:
    """Whether a text that cannot be decoded was meant as a call."""
    if text.strip("`\n ").startswith(OPENING) or MARKS.search(text):
        return True
    names = {form for function in functions for form in (shown_name(function, False), shown_name(function, True))}
    return any(re.search(rf"(?<![\w.]){re.escape(name)}\s*\(", text) for name in names)


# --- figures ----------------------------------------------------------------------------------------------------------------------------


def accuracies(outcomes: Iterable[Outcome], strict: bool = False) -> dict[str, Interval]:
    """category -> share that is right, in the order of CATEGORIES, those without outcomes left out."""
    right: dict[str, list[int]] = defaultdict(list)
    for outcome in outcomes:
        right[outcome.category].append((outcome.strict_fault if strict else outcome.fault) is None)
    return {category: bootstrap(right[category]) for category in CATEGORIES if right[category]}


def groups(categories: Mapping[str, Interval]) -> dict[str, Interval]:
    """The official groups of accuracies(...), those left out of which a category is missing."""
    live = {category: categories[category].n for category in LIVE if category in categories}
    weights = {
        "non_live": NON_LIVE_WEIGHTS,
        "live": {category: live.get(category, 0) / sum(live.values()) for category in LIVE} if live else dict.fromkeys(LIVE, 0.0),
        "irrelevance": IRRELEVANCE_WEIGHTS,
    }
    return {name: weighted(categories, shares) for name, shares in weights.items() if shares.keys() <= categories.keys()}


def weighted(categories: Mapping[str, Interval], weights: Mapping[str, float], seed: int = 0) -> Interval:
    """A weighted mean of shares; cases are drawn again within each category, where the share of n drawn is binomial."""
    random = np.random.default_rng(seed)
    drawn = np.zeros(RESAMPLES)
    for category, weight in weights.items():
        share = categories[category]
        drawn += weight * random.binomial(share.n, share.value, RESAMPLES) / share.n
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    value = sum(weight * categories[category].value for category, weight in weights.items())
    return Interval(value, float(low), float(high), sum(categories[category].n for category in weights))


def reasons(outcomes: Iterable[Outcome]) -> dict[str, Counter[str]]:
    """category -> how often each error class was the reason of a failure."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for outcome in outcomes:
        if outcome.fault:
            found[outcome.category][outcome.fault.kind] += 1
    return dict(found)


def report(outcomes: Sequence[Outcome]) -> str:
    """The table: categories, groups, n, accuracy by the official rules and with strict abstention, in percent, with 95% intervals."""
    official, strict = accuracies(outcomes), accuracies(outcomes, strict=True)
    rows: list[Sequence[Any]] = [("category", "n", "official", "strict")]
    rows += [(name, share.n, share, strict[name]) for name, share in official.items()]
    strict_groups = groups(strict)
    rows += [(f"= {name}", share.n, share, strict_groups[name]) for name, share in groups(official).items()]
    return table(rows)
