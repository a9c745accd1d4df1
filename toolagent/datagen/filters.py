"""What may go into a training file: valid, acyclic, not a repeat, not from an evaluation set. Each refusal has a reason that is counted.

    toolagent data filter --data IN.jsonl --out OUT.jsonl

evaluation_hashes.txt holds a hash of each request (its words, case folded) of the evaluation sets that this project knows; never their words.
Left out: near duplicates of evaluation rows (only equal words count).
"""

from __future__ import annotations

import functools
import hashlib
import pathlib
import re
from collections.abc import Iterable, Sequence

from toolagent.errors import PlanError
from toolagent.plan import Plan, check
from toolagent.types import Conversation, ToolSpec

HASHES = pathlib.Path(__file__).parent / "evaluation_hashes.txt"


def fingerprint(request: str) -> str:
    """16 hex digits of the request's words, case folded: punctuation and spacing do not matter."""
    return hashlib.sha256(" ".join(re.findall(r"\w+", request.casefold())).encode()).hexdigest()[:16]


@functools.cache
def evaluation_hashes(path: pathlib.Path = HASHES) -> frozenset[str]:
    return frozenset(line.split()[0] for line in path.read_text("utf-8").splitlines() if line and not line.startswith("#")) if path.exists() else frozenset()


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
        if any(name not in spec.properties for name in call.arguments) or any(name not in call.arguments for name in spec.required):
            return "arguments do not fit"
    try:
        check(plan)
    except PlanError:
        return "forward reference"
    return None


def conversation_fault(conversation: Conversation) -> str | None:
    """The same for a stored conversation: every assistant turn is checked, every user turn is looked up."""
    request = ""
    for message in conversation.messages:
        if message.role == "user":
            request = message.content
        elif message.role == "assistant" and (why := fault(request or " -", tuple(message.tool_calls), conversation.tools)):
            return why
    return None


def write_hashes(requests: Iterable[str], path: pathlib.Path = HASHES) -> int:
    """Add the hashes of evaluation requests to the list; returns how many are new."""
    old = set(evaluation_hashes(path))
    new = {fingerprint(r) for r in requests} - old
    path.write_text("# sha256[:16] of the words of requests in evaluation sets\n" + "".join(f"{h}\n" for h in sorted(old | new)), "utf-8")
    return len(new)
