"""What a JSONL file holds: conversations, or cases and seeds (rows with "request" and "plan").

    toolagent data report data/desktop/train.jsonl

Rows, different requests, lengths of plans, calls of each tool, tools shown, words, tags. Each assistant turn counts as a plan. One pass,
one row in memory at a time, no torch. Left out: near duplicates, tokens.
"""

from __future__ import annotations

import pathlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from toolagent.datagen.filters import evaluation_hashes, fingerprint
from toolagent.errors import DataError, ToolagentError
from toolagent.evaluate.cases import read_rows
from toolagent.plan import Plan, check, from_rows, needs, waves
from toolagent.types import Conversation, ToolSpec

MOST = 20  # tools and tags in the text; the JSON has all
BAR = 30  # characters of the longest bar


@dataclass(frozen=True)
class Seen:
    """What a row says: its request, its plans, the tools that it shows (None: it does not say)."""

    request: str
    plans: tuple[Plan, ...]
    shown: tuple[str, ...] | None
    tags: tuple[str, ...]


def seen_in(row: Mapping[str, Any]) -> Seen:
    """Raises DataError, PlanError."""
    if "messages" in row:
        conversation = Conversation.from_json(row)
        asked = " ".join(m.content for m in conversation.messages if m.role == "user")
        plans = tuple(check(m.tool_calls) for m in conversation.messages if m.role == "assistant")
        meta = row.get("meta")
        return Seen(asked, plans, tuple(t.name for t in conversation.tools), tags_of(meta if isinstance(meta, dict) else {}))
    if not isinstance(row.get("request"), str) or "plan" not in row:
        raise DataError('a row is a conversation ("messages") or a case ("request" and "plan")')
    shown = tuple(ToolSpec.from_json(t).name for t in row["tools"]) if isinstance(row.get("tools"), list) else None
    return Seen(row["request"], (from_rows(row["plan"]),), shown, tags_of(row))


def tags_of(row: Mapping[str, Any]) -> tuple[str, ...]:
    tags = row.get("tags") or ()
    if not isinstance(tags, (list, tuple)) or not all(isinstance(tag, str) for tag in tags):
        raise DataError("'tags' must be a list of texts")
    return tuple(tags)


def rows_of(path: str | pathlib.Path) -> Iterator[Seen]:
    """Every row of the file. Raises DataError "path:line: what is wrong"."""
    for where, row in read_rows(path):
        try:
            yield seen_in(row)
        except ToolagentError as error:
            raise DataError(f"{where}: {error}") from error


def report(path: str | pathlib.Path) -> dict[str, Any]:
    """The figures of a file. Raises DataError (with path and line; a file without rows)."""
    requests: set[str] = set()
    lengths: Counter[int] = Counter()
    calls: Counter[str] = Counter()
    offered: Counter[str] = Counter()
    tags: Counter[str] = Counter()
    rows = words = longest = linked = parallel = measured = telling = 0
    for row in rows_of(path):
        rows += 1
        print_, said = fingerprint(row.request), len(row.request.split())
        measured += print_ in evaluation_hashes()
        requests.add(print_)
        words, longest = words + said, max(longest, said)
        tags.update(row.tags)
        if row.shown is not None:
            telling += 1
            offered.update(row.shown)
        for plan in row.plans:
            lengths[len(plan)] += 1
            calls.update(call.name for call in plan)
            linked += any(needs(plan, k) for k in range(1, len(plan) + 1))
            parallel += any(len(wave) > 1 for wave in waves(plan))
    if not rows:
        raise DataError(f"{path}: no row in it")
    plans = lengths.total()
    return {
        "file": str(path),
        "rows": rows,
        "unique_requests": len(requests),
        "in_evaluation_sets": measured,
        "mean_words": round(words / rows, 2),
        "longest_words": longest,
        "plans": plans,
        "plan_lengths": {str(length): count for length, count in sorted(lengths.items())},
        "mean_length": round(sum(length * count for length, count in lengths.items()) / plans, 2) if plans else 0.0,
        "share_empty": share(lengths[0], plans),
        "share_linked": share(linked, plans),  # a step reads the result of another
        "share_parallel": share(parallel, plans),  # two steps may run side by side
        "tools_shown_mean": round(offered.total() / telling, 2) if telling else None,
        "tools_offered": len(offered),
        "never_called": sorted(offered.keys() - calls.keys()),
        "calls": dict(calls.most_common()),
        "tags": dict(tags.most_common()),
    }


def share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0


def text(found: Mapping[str, Any]) -> str:
    """The figures for the eye."""
    shown = found["tools_shown_mean"]
    lines = [
        f"{found['rows']:,} rows, {found['unique_requests']:,} different requests of {found['mean_words']:g} words on average "
        f"(the longest {found['longest_words']})",
        f"{found['plans']:,} plans of {found['mean_length']:g} steps on average; {percent(found['share_empty'])} empty, "
        f"{percent(found['share_linked'])} where a step reads another's result, {percent(found['share_parallel'])} with steps side by side",
    ]
    if shown is not None:
        never = len(found["never_called"])
        lines.append(f"{shown:g} tools shown on average, {found['tools_offered']} in all, {never} of them never called")
    if found["in_evaluation_sets"]:
        lines.append(f"{found['in_evaluation_sets']} requests stand in an evaluation set: run `toolagent data filter`")
    lines += ["", " steps    plans"]
    most = max(found["plan_lengths"].values(), default=1)
    for length, count in found["plan_lengths"].items():
        lines.append(f"{length:>6} {count:>8,}  {percent(count / found['plans']):>6}  {'#' * round(BAR * count / most)}".rstrip())
    for name in ("calls", "tags"):
        if counted := found[name]:
            lines += ["", f"{name}", *(f"{count:>8,}  {what}" for what, count in list(counted.items())[:MOST])]
            lines += [f"          ... and {len(counted) - MOST} more"] if len(counted) > MOST else []
    return "\n".join(lines)


def percent(part: float) -> str:
    return f"{100 * part:.1f}%"
