"""A plan is a tuple of ToolCalls whose arguments may say "$k": the result of call k. Its edges are read off its arguments.

Written "$k" or "${k}", alone or inside a longer string, at any depth. Call ids are "1", "2", ... in order. A "$20" in a plan of three calls
is money, not a reference; "$$2" is a literal "$2" anywhere. A number of more than nine digits is never a reference.
Left out: conditions and loops. A plan that needs to look before it decides is two plans (see agents/planner.py: replan).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from toolagent.errors import DataError, PlanError
from toolagent.types import ToolCall

Plan = tuple[ToolCall, ...]

NUMBER = r"\d{1,9}(?!\d)"  # Python turns no more than 4,300 digits into a number; nine are plenty
REFERENCE = re.compile(rf"\$\$(?={NUMBER}|\{{{NUMBER}\}})|\$(?:({NUMBER})|\{{({NUMBER})\}})", re.ASCII)
SEARCH = 5_000  # pairs of steps that same_graph tries; an honest plan needs some dozen


def strings(value: Any) -> Iterator[str]:
    """Every string inside a nested argument, keys excepted."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from strings(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from strings(item)


def references(value: Any) -> tuple[int, ...]:
    """The k of every "$k" in a nested argument, in order, with repeats; "$$k" is none."""
    found = (m for text in strings(value) for m in REFERENCE.finditer(text))
    return tuple(int(m[1] or m[2]) for m in found if m[1] or m[2])


def number(calls: Any) -> Plan:
    """The same calls with ids "1".."n"."""
    return tuple(ToolCall(c.name, c.arguments, str(k)) for k, c in enumerate(calls, 1))


def needs(plan: Plan, k: int) -> tuple[int, ...]:
    """The calls (1-based, sorted, once each) whose results call k reads."""
    return tuple(sorted({r for r in references(plan[k - 1].arguments) if 1 <= r <= len(plan)}))


def early(plan: Plan) -> dict[int, str]:
    """The steps that read a result before it is there, each with the reason: their own, or that of a later step."""
    found: dict[int, str] = {}
    for k, call in enumerate(plan, 1):
        late = [r for r in needs(plan, k) if r >= k]
        if late[:1] == [k]:
            found[k] = f"step {k} ({call.name}) refers to its own result ${k}"
        elif late:
            found[k] = f"step {k} ({call.name}) refers to ${late[0]}, which comes later; a step may only use earlier results"
    return found


def check(plan: Plan) -> Plan:
    """The plan itself, or PlanError with the reason: a step that refers to itself or to a later one (so no cycle can stand)."""
    for reason in early(plan).values():
        raise PlanError(reason)
    return plan


def waves(plan: Plan) -> tuple[tuple[int, ...], ...]:
    """Groups of steps (1-based) that may run side by side, in order: a step stands one wave after the last result that it reads."""
    check(plan)
    level: dict[int, int] = {}
    for k in range(1, len(plan) + 1):
        level[k] = 1 + max((level[r] for r in needs(plan, k)), default=-1)
    return tuple(tuple(k for k in level if level[k] == w) for w in range(max(level.values(), default=-1) + 1))


def map_strings(value: Any, change: Callable[[str], Any]) -> Any:
    """The same nested value with every string (keys excepted) replaced by change(string)."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {key: map_strings(item, change) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [map_strings(item, change) for item in value]
    return value


def substitute(value: Any, results: Mapping[int, str]) -> Any:
    """The nested value with each "$k" replaced by results[k] and "$$k" by "$k"; a "$k" that has no result stays."""

    def fill(text: str) -> str:
        return REFERENCE.sub(lambda m: "$" if m[0] == "$$" else results.get(int(m[1] or m[2]), m[0]), text)

    return map_strings(value, fill)


def to_rows(plan: Plan) -> list[dict[str, Any]]:
    """[{"id": 1, "tool": ..., "args": {...}}], as cases and predictions store a plan."""
    return [{"id": k, "tool": call.name, "args": call.arguments} for k, call in enumerate(plan, 1)]


def from_rows(rows: Any) -> Plan:
    """The plan of such rows; ids that are not 1..n are renumbered along with the references to them. DataError, PlanError.

    A "$k" that no row has, but with ids below and above it, refers to a step that is missing: PlanError. Outside the ids it is money, and
    stays so: where the new numbers would make it a step's, it is written "$$k".
    """
    if not isinstance(rows, list) or not all(isinstance(r, dict) and isinstance(r.get("tool"), str) for r in rows):
        raise DataError('a plan is a list of {"id", "tool", "args"}')
    ids = [r.get("id", k) for k, r in enumerate(rows, 1)]
    if not all(isinstance(i, int) and not isinstance(i, bool) and i >= 0 for i in ids) or len(set(ids)) != len(ids):
        raise DataError(f"the ids of a plan must be different whole numbers: {ids}")
    place = {i: k for k, i in enumerate(ids, 1)}

    def renumber(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$$"
        k = int(match[1] or match[2])
        return f"${place[k]}" if k in place else f"${match[0]}" if 1 <= k <= len(ids) else match[0]

    calls = []
    for k, row in enumerate(rows, 1):
        arguments = row.get("args", {})
        if not isinstance(arguments, dict):
            raise DataError(f"step {k}: args must be an object")
        if lost := [r for r in references(arguments) if r not in place and min(ids) < r < max(ids)]:
            raise PlanError(f"step {ids[k - 1]} ({row['tool']}) refers to ${lost[0]}, and there is no step {lost[0]}")
        calls.append(ToolCall(row["tool"], map_strings(arguments, lambda text: REFERENCE.sub(renumber, text)), str(k)))
    return check(tuple(calls))


def same_graph(a: Plan, b: Plan, same: Callable[[ToolCall, ToolCall], bool] | None = None) -> bool:
    """True when one numbering turns plan a into plan b: equal calls after renaming "$k". Order does not count, only data flow.

    `same` compares two calls whose references were already renamed to b's numbers (default: same name and arguments as JSON).
    By backtracking; steps are paired along a's order, so a reference is always to a step that has its partner. Without a `same`, only steps
    of one colour are paired, so that look-ups that are alike do not multiply. After SEARCH pairs the plans count as different.
    """
    if len(a) != len(b) or Counter(c.name for c in a) != Counter(c.name for c in b):
        return False
    colour_a, colour_b = colours(a, b) if same is None else ([c.name for c in a], [c.name for c in b])
    if Counter(colour_a) != Counter(colour_b):
        return False
    compare = same or (lambda x, y: x.name == y.name and canonical(x.arguments) == canonical(y.arguments))
    tries = 0

    def pair(k: int, to_b: dict[int, int]) -> bool:
        nonlocal tries
        if k > len(a):
            return True
        renamed = rename(a[k - 1].arguments, to_b)
        for j in range(1, len(b) + 1):
            if j in to_b.values() or colour_a[k - 1] != colour_b[j - 1]:
                continue
            tries += 1
            if tries > SEARCH:
                return False
            if compare(ToolCall(a[k - 1].name, renamed, str(j)), b[j - 1]) and pair(k + 1, {**to_b, k: j}):
                return True
        return False

    return pair(1, {})


def colours(a: Plan, b: Plan) -> tuple[list[Any], list[Any]]:
    """A number for each step of two plans, by colour refinement (Weisfeiler and Leman 1968): steps get different ones when they, what they
    read or what reads them say different things, however far away. Paired steps of equal plans have equal ones."""
    sides = [(plan, [needs(plan, k) for k in range(1, len(plan) + 1)]) for plan in (a, b)]
    labels: list[list[Any]] = [[call.name for call in plan] for plan, _ in sides]
    for _ in a:
        palette: dict[Any, int] = {}
        refined = []
        for (plan, reads), old in zip(sides, labels, strict=True):
            numbers = dict(enumerate(old, 1))
            users: dict[int, list[str]] = {k: [] for k in numbers}
            for u, some in enumerate(reads, 1):
                for k in some:
                    users[k].append(canonical([numbers[u], rename(plan[u - 1].arguments, {**numbers, k: -1})]))
            views = [(numbers[k], canonical(rename(call.arguments, numbers)), *sorted(users[k])) for k, call in enumerate(plan, 1)]
            refined.append([palette.setdefault(view, len(palette)) for view in views])
        done = len({*refined[0], *refined[1]}) == len({*labels[0], *labels[1]})
        labels = refined
        if done:
            break
    return labels[0], labels[1]


def rename(arguments: Any, numbers: Mapping[int, int]) -> Any:
    """The nested arguments with each "$k" turned into "$numbers[k]"."""

    def change(text: str) -> str:
        return REFERENCE.sub(lambda m: m[0] if m[0] == "$$" else f"${numbers.get(int(m[1] or m[2]), int(m[1] or m[2]))}", text)

    return map_strings(arguments, change)


def canonical(value: Any) -> str:
    """One JSON text for equal values, whatever the order of keys."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def in_order_of_use(plan: Plan) -> Plan:
    """The same graph with each step right before its first use, actions in their given order: the one order that data is written in,
    so that a model reads a request from left to right and never has to see a whole plan before its first step."""
    check(plan)
    order: list[int] = []
    used = {r for k in range(1, len(plan) + 1) for r in needs(plan, k)}

    def visit(k: int) -> None:
        if k not in order:
            for r in references(plan[k - 1].arguments):
                if 1 <= r <= len(plan):
                    visit(r)
            order.append(k)

    for k in range(1, len(plan) + 1):
        if k not in used:
            visit(k)
    place = {old: new for new, old in enumerate(order, 1)}
    return tuple(ToolCall(plan[o - 1].name, rename(plan[o - 1].arguments, place), str(n)) for n, o in enumerate(order, 1))
