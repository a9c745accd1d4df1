"""How good predicted plans are: cases and predictions -> a Report of figures with intervals, by tag, with a reason for every failure.

    strict       one numbering makes the predicted plan a gold plan: the same calls, data flow and arguments (any alternative counts)
    dag          TinyAgent's success rate (arXiv 2409.00608, graph_utils.py): the graphs of tool names are isomorphic and each step's
                 dependencies are, recursively, the same multiset of tools; arguments are not compared; one edge a string: its first "$k"
    dag_all      the graphs of tool names are isomorphic, every "$k" an edge
    tool_f1      tools as a multiset of names
    argument_f1  arguments that are not free, equal ones in the pairing of steps that has most of them

Order of steps never counts. Two arguments are equal when they are after `normal`: texts fold case, spaces and closing punctuation (leading
articles stay), numbers count by value, '2025-03-03T09:00' is '2025-03-03 09:00:00' (a day is not its midnight), and a list of addresses,
numbers, paths or bare "$k" has no order. An optional argument that is empty or says its default counts as left out. A free argument needs
the facts of must_mention and gold's references (more of them are let pass); without facts, some text and exactly gold's references.

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
from textwrap import shorten
from typing import Any

from toolagent.errors import DataError, PlanError
from toolagent.evaluate.cases import Case, Prediction, facts_of, fold, lacking, spoken
from toolagent.evaluate.statistics import Interval, bootstrap, table
from toolagent.plan import REFERENCE, Plan, canonical, check, number, references, rename, same_graph, strings
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
# Honest plans need some dozen nodes; a model that babbles must not hold up the bench.
SEARCH = 2_000  # nodes tried for a pairing
LONGEST = 100  # predicted steps that are paired


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


def normal(value: Any, schema: Any = None) -> Any:
    """The one JSON value that all equal arguments share; the schema's formats tell which lists have no order."""
    schema = schema if isinstance(schema, Mapping) else {}  # a JSON Schema may be plain true
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
        kind = schema.get("items")
        items = [normal(item, kind) for item in value]
        bare = all(isinstance(item, str) and REFERENCE.fullmatch(item) for item in items)
        addresses = isinstance(kind, Mapping) and kind.get("format") in UNORDERED
        return sorted(items, key=canonical) if bare or addresses else items
    return value


def said(call: ToolCall, spec: ToolSpec | None) -> dict[str, Any]:
    """The arguments without the optional ones that are empty or say their default. Without a spec all are optional, of no default."""
    properties, required = (spec.properties, spec.required) if spec else ({}, ())

    def left_out(name: str, value: Any) -> bool:
        schema = properties.get(name)
        text = canonical(normal(value, schema))
        default = isinstance(schema, Mapping) and "default" in schema and canonical(normal(schema["default"], schema))
        return text in EMPTY or text == default

    return {name: value for name, value in call.arguments.items() if name in required or not left_out(name, value)}


# --- two calls ----------------------------------------------------------------------------------------------------------------------

Verdicts = dict[str, Reason | None]  # argument -> what is wrong with it, None where it is right
Judge = Callable[[ToolCall, ToolCall], Verdicts]  # of a predicted call with gold's numbers, and the gold call with its id


def judge(case: Case, gold: Plan) -> Judge:
    specs = specs_of(case)
    facts = facts_of(case, gold)

    def steps(value: Any) -> set[int]:
        return {k for k in references(value) if 1 <= k <= len(gold)}

    def fault(step: int, name: str, predicted: Any, wanted: Any) -> Reason | None:
        tool = gold[step - 1].name
        schema = specs[tool].properties.get(name) if tool in specs else None
        have, want = steps(predicted), steps(wanted)
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

Graph = tuple[Sequence[Any], Sequence[Sequence[int]]]


def strict(predicted: Plan, gold: Plan, case: Case) -> bool:
    """Equal calls and data flow; `case` says what is free and what the tools are."""
    verdicts = judge(case, gold)
    return same_graph(predicted, number(gold), lambda a, b: not any(verdicts(a, b).values()))


def dag(predicted: Plan, gold: Plan) -> bool:
    palette: dict[Any, int] = {}

    def kinds(plan: Plan, reads: Sequence[Sequence[int]]) -> list[int]:
        """One number for each tool with the (recursive) multiset of its dependencies."""
        found: list[int] = []
        for call, some in zip(plan, reads, strict=True):
            found.append(palette.setdefault((call.name, *sorted(found[k - 1] for k in some)), len(palette)))
        return found

    sides = [(kinds(plan, reads), reads) for plan, reads in ((plan, edges(plan, first=1)) for plan in (predicted, gold))]
    return isomorphic(*sides)


def dag_all(predicted: Plan, gold: Plan) -> bool:
    return isomorphic(*(([call.name for call in plan], edges(plan)) for plan in (predicted, gold)))


def edges(plan: Plan, first: int | None = None) -> list[list[int]]:
    """For each step the steps that it reads, with repeats: all, or the `first` so many of each string."""
    return [[k for text in strings(call.arguments) for k in references(text)[:first] if 1 <= k <= len(plan)] for call in plan]


def isomorphic(a: Graph, b: Graph) -> bool:
    """Graphs as (a label for each step, the steps that it reads). Labels are first refined by those of the neighbours, round by round
    (Weisfeiler & Leman 1968), so that ten look-ups of one kind need not be tried in all their orders."""
    palette: dict[Any, int] = {}

    def bare(labels: Sequence[Any], reads: Sequence[Sequence[int]]) -> Plan:
        after = [[i for i, some in enumerate(reads) if k in some] for k in range(1, len(reads) + 1)]
        before = [sorted({k - 1 for k in some}) for some in reads]
        for _ in reads:
            views = [(labels[i], *(tuple(sorted(labels[k] for k in some[i])) for some in (before, after))) for i in range(len(reads))]
            labels = [palette.setdefault(view, len(palette)) for view in views]
        return tuple(ToolCall(str(label), {"reads": [f"${k + 1}" for k in some]}) for label, some in zip(labels, before, strict=True))

    def same(x: ToolCall, y: ToolCall) -> bool:
        return sorted(references(x.arguments)) == sorted(references(y.arguments))

    return len(a[0]) == len(b[0]) and same_graph(bare(*a), bare(*b), same)


def pairing(predicted: Plan, gold: Plan, case: Case) -> dict[int, Verdicts]:
    """Gold step -> the verdicts on its predicted step, in the pairing of same-named steps that makes most arguments equal.

    Branch and bound, exact within SEARCH nodes and LONGEST steps. The bound lets every "$k" mean every step, so it never promises too
    little.
    """
    predicted, gold = predicted[:LONGEST], number(gold)
    compare = judge(case, gold)
    rivals = {k: [j for j, wanted in enumerate(gold, 1) if wanted.name == call.name] for k, call in enumerate(predicted, 1)}

    def verdicts(k: int, j: int, pairs: Mapping[int, int]) -> Verdicts:
        numbers = {i: pairs.get(i, -i) for i in rivals}  # "$-3", the result of a step without a partner, equals nothing
        return compare(renamed(predicted[k - 1], numbers), gold[j - 1])

    def worth(j: int, found: Verdicts) -> int:
        right = [f"{gold[j - 1].name}.{name}" for name, reason in found.items() if reason is None]
        return PAIRED + sum(FITTING if name in case.free else EQUAL for name in right)

    any_step = dict.fromkeys(range(1, max(len(predicted), len(gold)) + 1), 0)
    blurred_gold, blurred = ([renamed(call, any_step) for call in plan] for plan in (gold, predicted))
    hopes = {(k, j): worth(j, compare(blurred[k - 1], blurred_gold[j - 1])) for k, some in rivals.items() for j in some}

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
    """The figures of one prediction. No plan, or one that cannot be run, is right nowhere, not even where nothing was to be done."""
    plan = runnable(prediction.plan)
    predicted = plan or ()
    counts, reason = closest(predicted, case)
    for metric, same in (("dag", dag), ("dag_all", dag_all)):
        counts[metric] = (int(any(same(predicted, gold) for gold in case.plans)), 1)
    if plan is None:
        counts, reason = {metric: (0, max(below, 1)) for metric, (_, below) in counts.items()}, Reason("no plan")
    kept = {metric: counts[metric] for metric in METRICS if not (graph_only(case) and metric in ("strict", "argument_f1"))}
    return Score(case.id, case.tags, kept, reason, prediction.seconds)


def runnable(plan: Plan | None) -> Plan | None:
    try:
        return None if plan is None else check(plan)
    except PlanError:
        return None


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
    faults = [fault for verdicts in pairs.values() for fault in verdicts.values() if fault]
    whole = not faults and strict(predicted, gold, case)  # where the best pairing has faults, no numbering can do without
    counts = {"strict": (int(whole), 1), "tool_f1": (2 * tools, len(predicted) + len(gold)), "argument_f1": (2 * equal, arguments)}
    if dag(predicted, gold) if graph_only(case) else whole:
        return counts, None
    return counts, difference(predicted, gold, [] if graph_only(case) else faults)


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
        rows = (self.overall, *self.tags, *self.references)
        lines = [(row.name, row.n, *(row.micro.get(metric, "-") for metric in METRICS)) for row in rows]
        parts = [table([("percent [95%]", "n", *METRICS), *lines])]
        failures: dict[str, list[Score]] = defaultdict(list)
        for found in self.scores:
            if found.reason:
                failures[str(found.reason)].append(found)
        if failures:
            by_count = sorted(failures.items(), key=lambda item: (-len(item[1]), item[0]))
            parts.append(table([("failure", "n", "first case", "predicted", "gold"), *(example(*item) for item in by_count)]))
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


def example(reason: str, failed: Sequence[Score]) -> tuple[Any, ...]:
    first = failed[0].reason
    sides = (first.predicted, first.gold) if first else (None, None)
    return (reason, len(failed), failed[0].id, *("" if side is None else shorten(str(side), 40, placeholder="...") for side in sides))


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
