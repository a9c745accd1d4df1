"""How good predicted plans are: cases and predictions -> a Report of figures with intervals, by tag, with a reason for every failure.

    strict       one numbering makes the predicted plan a gold plan: the same calls, data flow and arguments (any alternative counts)
    dag          TinyAgent's success rate (arXiv 2409.00608, graph_utils.py): the graphs of tool names are isomorphic and each step's
                 dependencies are, recursively, the same multiset of tools; arguments are not compared; one edge a string: its first "$k"
    dag_all      the graphs of tool names are isomorphic, every "$k" an edge
    tool_f1      tools as a multiset of names
    argument_f1  arguments that are not free, equal ones in the pairing of steps that has most of them

Order of steps never counts. Two arguments are equal when they are after `normal`: texts fold case, spaces and closing punctuation (leading
articles stay), numbers count by value, '2025-03-03T09:00' is '2025-03-03 09:00:00' (a day is not its midnight), a list of addresses, numbers,
paths or bare "$k" has no order. An optional argument that is empty or says its default counts as left out. Free arguments need the
facts of must_mention and gold's references (others besides are let pass); without facts, some text and exactly gold's references.

Both sides come with dates resolved. Where TinyAgent lists dependencies by position, our arguments are named: they are compared as true
multisets. Cases tagged "tinyagent" have gold graphs only: no strict, no argument_f1.

    toolagent bench plans --cases cases.jsonl --predictions predictions.jsonl
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from toolagent.errors import DataError
from toolagent.evaluate.cases import Case, Prediction, facts_of, fold, lacking, spoken
from toolagent.evaluate.statistics import Interval, bootstrap, table
from toolagent.plan import REFERENCE, Plan, canonical, number, references, rename, same_graph, strings
from toolagent.types import ToolCall, ToolSpec

METRICS = ("strict", "dag", "dag_all", "tool_f1", "argument_f1")
REASONS = (  # the gravest first: a failure is named by its first one
    "no plan",
    "empty instead of plan",
    "plan instead of empty",
    "missing tool",
    "extra tool",
    "wrong edge",
    "wrong argument",
    "free text lacks fact",
)
GRAPH_ONLY = "tinyagent"
UNORDERED = ("email", "phone", "path")
MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)[ t](\d\d:\d\d)(:\d\d)?")
EMPTY = ('""', "[]", "{}", "null")
# What a pair of steps is worth: an equal argument outweighs all free texts of a plan, a fitting free text all bare pairs.
EQUAL, FITTING, PAIRED = 10_000, 100, 1
SEARCH = 10_000  # nodes tried for a pairing: honest plans need dozens, and a babbling model must not hold up the bench


@dataclass(frozen=True)
class Reason:
    """Why a prediction failed: one of REASONS, the tool or "tool.argument", what stood there and what should (for a fact: the fact)."""

    kind: str
    where: str = ""
    predicted: Any = None
    gold: Any = None

    def __str__(self) -> str:
        return f"{self.kind} {self.where}".strip()


@dataclass(frozen=True)
class Score:
    """One case: metric -> (numerator, denominator), without the metrics that have no meaning for it; and the reason of a failure."""

    id: str
    tags: tuple[str, ...]
    counts: Mapping[str, tuple[int, int]]
    reason: Reason | None = None
    seconds: float | None = None

    def value(self, metric: str) -> float | None:
        """The case's own figure, 0..1; 0 / 0 is 1; None where the metric has no meaning."""
        if metric not in self.counts:
            return None
        above, below = self.counts[metric]
        return above / below if below else 1.0

    def to_json(self) -> dict[str, Any]:
        figures = {metric: self.value(metric) for metric in METRICS if metric in self.counts}
        return {"id": self.id, "tags": list(self.tags), **figures, "reason": self.reason and asdict(self.reason), "seconds": self.seconds}


# --- one argument -------------------------------------------------------------------------------------------------------------------


def normal(value: Any, schema: Mapping[str, Any] | None = None) -> Any:
    """The one JSON value that all equal arguments share; the schema's formats tell which lists have no order."""
    schema = schema or {}
    if isinstance(value, str):
        text = fold(rename(value, {}))  # renaming nothing writes "${1}" as "$1"
        if moment := MOMENT.fullmatch(text):
            return f"{moment[1]} {moment[2]}{moment[3] or ':00'}"
        return text.rstrip(" .,;:!?") or text
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        properties = schema.get("properties", {})
        return {key: normal(item, properties.get(key)) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        kind = schema.get("items") or {}
        items = [normal(item, kind) for item in value]
        bare = all(isinstance(item, str) and REFERENCE.fullmatch(item) for item in items)
        return sorted(items, key=canonical) if bare or kind.get("format") in UNORDERED else items
    return value


def said(call: ToolCall, spec: ToolSpec | None) -> dict[str, Any]:
    """The arguments without the optional ones that are empty or say their default. Without a spec all are optional, of no default."""
    properties, required = (spec.properties, spec.required) if spec else ({}, ())

    def left_out(name: str, value: Any) -> bool:
        schema = properties.get(name, {})
        text = canonical(normal(value, schema))
        return text in EMPTY or ("default" in schema and text == canonical(normal(schema["default"], schema)))

    return {name: value for name, value in call.arguments.items() if name in required or not left_out(name, value)}


# --- two calls ----------------------------------------------------------------------------------------------------------------------

Verdicts = dict[str, Reason | None]  # argument -> what is wrong with it, None where it is right
Judge = Callable[[ToolCall, ToolCall], Verdicts]  # of a predicted call with gold's numbers, and the gold call with its id


def judge(case: Case, gold: Plan) -> Judge:
    specs = specs_of(case)
    facts = facts_of(case, gold)

    def edges(value: Any) -> set[int]:
        return {k for k in references(value) if 1 <= k <= len(gold)}

    def fault(step: int, name: str, predicted: Any, wanted: Any) -> Reason | None:
        tool = gold[step - 1].name
        schema = specs[tool].properties.get(name) if tool in specs else None
        have, want = edges(predicted), edges(wanted)
        differs = Reason("wrong argument" if have == want else "wrong edge", f"{tool}.{name}", predicted, wanted)
        if f"{tool}.{name}" not in case.free:
            return None if canonical(normal(predicted, schema)) == canonical(normal(wanted, schema)) else differs
        must = facts.get((step, name), ())
        if (predicted is None) != (wanted is None) or not (want <= have if must else want == have):
            return differs
        for fact in lacking(spoken(predicted, len(gold)), must):
            return Reason("free text lacks fact", f"{tool}.{name}", predicted, fact)
        return differs if canonical(normal(predicted)) in EMPTY and canonical(normal(wanted)) not in EMPTY else None

    def verdicts(predicted: ToolCall, wanted: ToolCall) -> Verdicts:
        have, want = (said(call, specs.get(wanted.name)) for call in (predicted, wanted))
        return {name: fault(int(wanted.id), name, have.get(name), want.get(name)) for name in {**want, **have}}

    return verdicts


def specs_of(case: Case) -> dict[str, ToolSpec]:
    return {spec.name: spec for spec in case.tools or ()}


# --- two plans ----------------------------------------------------------------------------------------------------------------------


def strict(predicted: Plan, gold: Plan, case: Case) -> bool:
    """Equal calls and data flow; `case` says what is free and what the tools are."""
    verdicts = judge(case, gold)
    return same_graph(predicted, number(gold), lambda a, b: not any(verdicts(a, b).values()))


def dag(predicted: Plan, gold: Plan) -> bool:
    kinds: dict[Any, int] = {}  # shared, so that equal kinds get equal numbers in both plans
    return same_graph(skeleton(predicted, kinds), skeleton(gold, kinds), same_edges)


def dag_all(predicted: Plan, gold: Plan) -> bool:
    return same_graph(skeleton(predicted), skeleton(gold), same_edges)


def skeleton(plan: Plan, kinds: dict[Any, int] | None = None) -> Plan:
    """The plan with nothing but its edges. With `kinds`: the first edge of each string, and the step's kind, which is a number for
    its tool and the multiset of its dependencies' kinds."""
    calls: list[ToolCall] = []
    for call in plan:
        found = [references(text)[: None if kinds is None else 1] for text in strings(call.arguments)]
        edges = [k for some in found for k in some if 1 <= k <= len(plan)]
        arguments: dict[str, Any] = {"edges": [f"${k}" for k in edges]}
        if kinds is not None:
            needed = tuple(sorted(calls[k - 1].arguments["kind"] for k in edges))
            arguments["kind"] = kinds.setdefault((call.name, needed), len(kinds))
        calls.append(ToolCall(call.name, arguments))
    return tuple(calls)


def same_edges(a: ToolCall, b: ToolCall) -> bool:
    return a.arguments.get("kind") == b.arguments.get("kind") and set(references(a.arguments)) == set(references(b.arguments))


def pairing(predicted: Plan, gold: Plan, case: Case) -> dict[int, Verdicts]:
    """Gold step -> the verdicts on its predicted step, in the pairing of same-named steps that makes most arguments equal.

    Branch and bound, exact within SEARCH nodes. The bound lets every "$k" mean every step, so it never promises too little.
    """
    gold = number(gold)
    compare = judge(case, gold)
    rivals = {k: [j for j, wanted in enumerate(gold, 1) if wanted.name == call.name] for k, call in enumerate(predicted, 1)}

    def verdicts(k: int, j: int, pairs: Mapping[int, int]) -> Verdicts:
        numbers = {i: pairs.get(i, -i) for i in rivals}  # "$-3", the result of a step without a partner, equals nothing
        return compare(renamed(predicted[k - 1], numbers), gold[j - 1])

    def worth(j: int, found: Verdicts) -> int:
        right = [f"{gold[j - 1].name}.{name}" for name, reason in found.items() if reason is None]
        return PAIRED + sum(FITTING if name in case.free else EQUAL for name in right)

    any_step = dict.fromkeys(range(1, max(len(predicted), len(gold)) + 1), 0)
    hopes = {
        (k, j): worth(j, compare(renamed(predicted[k - 1], any_step), renamed(gold[j - 1], any_step))) for k, some in rivals.items() for j in some
    }

    def hope(k: int, taken: Iterable[int]) -> int:
        """What pairing steps k.. with the gold steps that are not taken can be worth at most."""
        room = Counter(wanted.name for j, wanted in enumerate(gold, 1) if j not in taken)
        offers: dict[str, list[int]] = defaultdict(list)
        for i in range(k, len(predicted) + 1):
            offers[predicted[i - 1].name].append(max((hopes[i, j] for j in rivals[i] if j not in taken), default=0))
        return sum(sum(sorted(some, reverse=True)[: room[name]]) for name, some in offers.items())

    best: tuple[int, dict[int, int]] = (-1, {})
    nodes = 0

    def search(k: int, pairs: dict[int, int], total: int) -> None:
        nonlocal best, nodes
        nodes += 1
        if k > len(predicted):
            best = max(best, (total, pairs), key=lambda found: found[0])
            return
        left = [j for j in rivals[k] if j not in pairs.values()]
        options = sorted(((worth(j, verdicts(k, j, pairs)), {**pairs, k: j}) for j in left), key=lambda option: -option[0])
        if len(left) < sum(call.name == predicted[k - 1].name for call in predicted[k - 1 :]):
            options.append((0, pairs))  # more such calls than gold has: this one may stay alone
        for gain, onward in options:
            if best[0] < 0 or (nodes < SEARCH and total + gain + hope(k + 1, onward.values()) > best[0]):
                search(k + 1, onward, total + gain)

    search(1, {}, 0)
    return {j: verdicts(k, j, best[1]) for k, j in sorted(best[1].items(), key=lambda pair: pair[1])}


def renamed(call: ToolCall, numbers: Mapping[int, int]) -> ToolCall:
    return ToolCall(call.name, rename(call.arguments, numbers), call.id)


# --- one case -----------------------------------------------------------------------------------------------------------------------

Counts = dict[str, tuple[int, int]]


def score(case: Case, prediction: Prediction) -> Score:
    """The figures of one prediction. What is no plan is right nowhere, not even where nothing was to be done."""
    predicted = prediction.plan or ()
    counts, reason = closest(predicted, case)
    for metric, same in (("dag", dag), ("dag_all", dag_all)):
        counts[metric] = (int(any(same(predicted, gold) for gold in case.plans)), 1)
    if prediction.plan is None:
        counts, reason = {metric: (0, max(below, 1)) for metric, (_, below) in counts.items()}, Reason("no plan")
    kept = {metric: counts[metric] for metric in METRICS if not (graph_only(case) and metric in ("strict", "argument_f1"))}
    return Score(case.id, case.tags, kept, reason, prediction.seconds)


def graph_only(case: Case) -> bool:
    return GRAPH_ONLY in case.tags


def closest(predicted: Plan, case: Case) -> tuple[Counts, Reason | None]:
    """strict, both F1s and the reason of a failure, against the gold plan or alternative where they are best."""

    def closeness(found: tuple[Counts, Reason | None]) -> list[float]:
        return [above / below if below else 1.0 for above, below in (found[0][metric] for metric in ("strict", "argument_f1", "tool_f1"))]

    return max((against(predicted, gold, case) for gold in case.plans), key=closeness)


def against(predicted: Plan, gold: Plan, case: Case) -> tuple[Counts, Reason | None]:
    specs = specs_of(case)
    pairs = pairing(predicted, gold, case)

    def judged(call: ToolCall, names: Iterable[str]) -> int:
        return sum(f"{call.name}.{name}" not in case.free for name in names)

    equal = sum(judged(gold[j - 1], (name for name, fault in verdicts.items() if fault is None)) for j, verdicts in pairs.items())
    arguments = sum(judged(call, said(call, specs.get(call.name))) for call in (*predicted, *gold))
    tools = sum((Counter(call.name for call in predicted) & Counter(call.name for call in gold)).values())
    whole = strict(predicted, gold, case)
    counts = {"strict": (int(whole), 1), "tool_f1": (2 * tools, len(predicted) + len(gold)), "argument_f1": (2 * equal, arguments)}
    if dag(predicted, gold) if graph_only(case) else whole:
        return counts, None
    faults = [] if graph_only(case) else [fault for verdicts in pairs.values() for fault in verdicts.values() if fault]
    return counts, difference(predicted, gold, faults)


def difference(predicted: Plan, gold: Plan, faults: Sequence[Reason]) -> Reason:
    """The gravest difference, among equals the first in gold's order; `faults` are those of paired steps."""
    if not predicted or not gold:
        return Reason("plan instead of empty" if predicted else "empty instead of plan")
    for kind, these, those in (("missing tool", gold, predicted), ("extra tool", predicted, gold)):
        for name in Counter(call.name for call in these) - Counter(call.name for call in those):
            return Reason(kind, name)
    return min(faults, key=lambda fault: REASONS.index(fault.kind), default=Reason("wrong edge"))


# --- all cases ----------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """The figures of a group of cases: metric -> micro average over them (strict, dag: the share of successes), and the F1s' means."""

    name: str
    n: int
    micro: Mapping[str, Interval]
    mean: Mapping[str, Interval]

    def to_json(self) -> dict[str, Any]:
        figures = {metric: interval.to_json() for metric, interval in self.micro.items()}
        return {"n": self.n, **figures, **{f"{metric}_mean": self.mean[metric].to_json() for metric in self.mean}}


@dataclass(frozen=True)
class Report:
    """What bench found. The reference rows are what the gold plans themselves and an answerer of empty plans would get."""

    overall: Row
    tags: tuple[Row, ...]
    references: tuple[Row, ...]
    scores: tuple[Score, ...]

    @property
    def seconds(self) -> float | None:
        """Median seconds a plan, where predictions tell."""
        told = [found.seconds for found in self.scores if found.seconds is not None]
        return median(told) if told else None

    def text(self) -> str:
        head = ("percent [95%]", "n", *METRICS)
        lines = [(row.name, row.n, *(row.micro.get(metric, "-") for metric in METRICS)) for row in (self.overall, *self.tags, *self.references)]
        parts = [table([head, *lines])]
        failures: dict[str, list[str]] = defaultdict(list)
        for found in self.scores:
            if found.reason:
                failures[str(found.reason)].append(found.id)
        if failures:
            by_count = sorted(failures.items(), key=lambda item: (-len(item[1]), item[0]))
            parts.append(table([("failure", "n", "cases"), *((reason, len(ids), ", ".join(ids[:3])) for reason, ids in by_count)]))
        if self.seconds is not None:
            parts.append(f"median {self.seconds:.2f} s a plan")
        return "\n\n".join(parts)

    def json(self) -> dict[str, Any]:
        return {
            "overall": self.overall.to_json(),
            "tags": {row.name: row.to_json() for row in self.tags},
            "references": {row.name: row.to_json() for row in self.references},
            "seconds": self.seconds,
            "cases": [found.to_json() for found in self.scores],
        }


def bench(cases: Sequence[Case], predictions: Iterable[Prediction]) -> Report:
    """Measure; every case needs its prediction, predictions for other cases are passed over. Raises DataError."""
    answers = {prediction.id: prediction for prediction in predictions}
    if not cases:
        raise DataError("there are no cases to measure")
    if missing := [case.id for case in cases if case.id not in answers]:
        raise DataError(f"{len(missing)} of {len(cases)} cases have no prediction, the first is {missing[0]!r}")
    scores = tuple(score(case, answers[case.id]) for case in cases)
    tags = sorted({tag for case in cases for tag in case.tags})
    by_tag = tuple(summary(tag, [found for found in scores if tag in found.tags]) for tag in tags)
    references = tuple(
        summary(name, [score(case, answer) for case, answer in zip(cases, answered(cases), strict=True)])
        for name, answered in (("(gold)", gold_answers), ("(empty)", empty_answers))
    )
    return Report(summary("all", scores), by_tag, references, scores)


def gold_answers(cases: Iterable[Case]) -> list[Prediction]:
    return [Prediction(case.id, case.plan) for case in cases]


def empty_answers(cases: Iterable[Case]) -> list[Prediction]:
    return [Prediction(case.id, ()) for case in cases]


def summary(name: str, scores: Sequence[Score]) -> Row:
    micro, mean = {}, {}
    for metric in METRICS:
        counts = [found.counts[metric] for found in scores if metric in found.counts]
        if counts:
            micro[metric] = bootstrap([above for above, _ in counts], [below for _, below in counts])
            if metric.endswith("_f1"):
                mean[metric] = bootstrap([above / below if below else 1.0 for above, below in counts])
    return Row(name, len(scores), micro, mean)
