"""What may go into a training file: valid, acyclic, not a repeat, not from an evaluation set. Each refusal has a reason that is counted.

    toolagent data filter --data IN.jsonl --out OUT.jsonl

evaluation_hashes.txt holds a hash of each request (its words, case folded) of the evaluation sets that this project knows, never the words.
One more set: write_hashes(requests_of("benchmarks/cases/desktop_dev.jsonl", "request")).

Left out: near duplicates of evaluation rows (only equal words count); whether a "$20" beyond the plan's steps is money or a mistake.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import pathlib
import re
from collections.abc import Iterable, Iterator, Sequence

from toolagent import toolbox
from toolagent.errors import DataError, UsageError
from toolagent.plan import Plan, canonical, early
from toolagent.types import Conversation, ToolSpec

HASHES = pathlib.Path(__file__).parent / "evaluation_hashes.txt"


def fingerprint(request: str) -> str:
    """16 hex digits of the request's words, case folded: punctuation and spacing do not matter."""
    return hashlib.sha256(" ".join(re.findall(r"\w+", request.casefold())).encode()).hexdigest()[:16]


@functools.cache
def evaluation_hashes(path: pathlib.Path = HASHES) -> frozenset[str]:
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return frozenset(line.split()[0] for line in lines if line.strip() and not line.startswith("#"))


def fault(request: str, plan: Plan, tools: Sequence[ToolSpec]) -> str | None:
    """Why this example may not be trained on, or None."""
    if not request.strip():
        return "empty request"
    if fingerprint(request) in evaluation_hashes():
        return "in an evaluation set"
    known = {t.name: t for t in tools}
    for call in plan:
        spec = known.get(call.name)
        if spec is None:
            return "unknown tool"
        if not is_schema(canonical(spec.parameters)):
            return "parameters are no JSON Schema"
        if toolbox.check(spec, call.arguments, references=True):
            return "arguments do not fit"
    return "forward reference" if early(plan) else None


@functools.lru_cache(maxsize=10_000)
def is_schema(parameters: str) -> bool:
    """Whether this JSON text is a schema that arguments can be held against."""
    try:
        toolbox.check_schema(ToolSpec("tool", "", json.loads(parameters)))
    except UsageError:
        return False
    return True


def conversation_fault(conversation: Conversation) -> str | None:
    """The same for a stored conversation: every assistant turn is checked, every user turn is looked up."""
    request = ""
    for message in conversation.messages:
        if message.role == "user":
            request = message.content
        elif message.role == "assistant" and (why := fault(request or " -", tuple(message.tool_calls), conversation.tools)):
            return why
    return None


def requests_of(path: str | os.PathLike[str], field: str) -> Iterator[str]:
    """That field of each row of a JSONL file. Raises DataError with path and line."""
    for number, line in enumerate(pathlib.Path(path).read_text("utf-8").splitlines(), 1):
        try:
            request = json.loads(line)[field]
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path}:{number}: no JSON object with {field!r}") from error
        if not isinstance(request, str):
            raise DataError(f"{path}:{number}: {field!r} must be a string")
        yield request


def write_hashes(requests: Iterable[str], path: pathlib.Path = HASHES) -> int:
    """Add the hashes of evaluation requests to the list; returns how many are new."""
    old = set(evaluation_hashes(path))
    new = {fingerprint(r) for r in requests} - old
    path.write_text("# sha256[:16] of the words of requests in evaluation sets\n" + "".join(f"{h}\n" for h in sorted(old | new)), "utf-8")
    evaluation_hashes.cache_clear()
    return len(new)
