"""JSONL files of conversations -> encoded rows -> batches, and a report of what was kept and why the rest was not.

Batches hold rows of one group (the same tools shown) and of like length, up to a budget of tokens; their common prefix is computed once.
"""

from __future__ import annotations

import json
import pathlib
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from toolagent.errors import DataError, ToolagentError
from toolagent.train.encode import Encoder, Row
from toolagent.train.trie import chains, common_stem
from toolagent.types import Conversation, Message, ToolSpec


@dataclass
class Report:
    """What became of the rows of some files."""

    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    tokens: int = 0
    learned: int = 0
    longest: int = 0

    def text(self) -> str:
        share = self.learned / max(self.tokens, 1)
        lines = [f"{self.kept} rows kept, {self.tokens} tokens, {share:.1%} of them learned, longest row {self.longest} tokens"]
        lines += [f"  dropped {n}: {why}" for why, n in self.dropped.most_common()]
        return "\n".join(lines)

    def count(self, row: Row) -> None:
        self.kept += 1
        self.tokens += len(row.ids)
        self.learned += row.learned.count(1)
        self.longest = max(self.longest, len(row.ids))

    def reasons(self) -> str:
        why = "; ".join(f"{n} dropped: {reason}" for reason, n in self.dropped.most_common())
        return f" ({why})" if why else ""


FAULTS = (KeyError, TypeError, ValueError, AttributeError, RecursionError, ToolagentError)  # what a malformed line raises somewhere


def lines(paths: Sequence[pathlib.Path]) -> Iterator[tuple[str, str, bytes]]:
    """("path:line", "name:line", line) of each line that holds something. Raises DataError."""
    for path in paths:
        try:
            file = open(path, "rb")  # noqa: SIM115 (an OSError while reading is not about opening)
        except OSError as error:
            raise DataError(f"{path}: {error.strerror}") from error
        with file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield f"{path}:{number}", f"{path.name}:{number}", line


def conversations(paths: Sequence[pathlib.Path]) -> Iterator[tuple[str, str, Conversation]]:
    """("path:line", name, conversation) of each line. Raises DataError with path and line."""
    tools_of: dict[str, tuple[ToolSpec, ...]] = {}
    for place, number, line in lines(paths):
        try:
            data = json.loads(line.decode("utf-8"))
            if not isinstance(data, dict) or not isinstance(data.get("messages"), list) or not data["messages"]:
                raise DataError("a conversation needs a non-empty list of messages")
            key = json.dumps(data.get("tools") or [])
            if key not in tools_of:
                tools_of[key] = tuple(ToolSpec.from_json(t) for t in data.get("tools") or [])
            conversation = Conversation(tuple(Message.from_json(m) for m in data["messages"]), tools_of[key])
            name = str((data.get("meta") or {}).get("id") or number)
            check_calls(conversation)
        except FAULTS as error:
            raise DataError(f"{place}: {error}") from error
        yield place, name, conversation


def read(paths: Sequence[pathlib.Path], encode: Encoder, context: int, limit: int = 0) -> tuple[list[Row], Report]:
    """Encoded rows. A malformed line raises DataError with path and line; a row too long or without an answer is dropped and counted."""
    rows: list[Row] = []
    report = Report()
    for place, name, conversation in conversations(paths):
        try:
            row = encode(conversation, name)
        except FAULTS as error:
            raise DataError(f"{place}: {error}") from error
        for part in (row, *row.more):
            if len(part.ids) > context:
                report.dropped[f"longer than {context} tokens"] += 1
            elif 1 not in part.learned:
                report.dropped["no assistant turn to learn"] += 1
            else:
                rows.append(replace(part, more=()))
                report.count(part)
        if limit and report.kept >= limit:
            break
    if not rows:
        raise DataError(f"{', '.join(map(str, paths))}: no row to train on{report.reasons()}")
    return rows, report


def check_calls(conversation: Conversation) -> None:
    names = {t.name for t in conversation.tools}
    for message in conversation.messages:
        for call in message.tool_calls:
            if call.name not in names:
                raise DataError(f"the assistant calls {call.name!r}, which is not among the tools offered")


Item = TypeVar("Item")


def batches(
    items: Sequence[Item], budget: int, most: int, rng: random.Random,
    row: Callable[[Any], Row] = lambda item: item, size: Callable[[Any], int] = lambda item: len(item.ids),
) -> list[list[Item]]:  # fmt: skip
    """Shuffled batches: one group each, like sizes together (random order within a size), at most `most` items and `budget` tokens.

    An item is a row, or what has a `row` (that begins as all of its rows do) and a `size` in tokens. What all of a group begin with counts
    once: it is computed once a batch.
    """
    groups: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        groups[row(item).group].append(item)
    out: list[list[Item]] = []
    for members in groups.values():
        shared = common_stem(chains([row(item) for item in members[:64]])) if len(members) > 1 else 0
        batch: list[Item] = []
        longest = 0
        for item in sorted(members, key=lambda item: size(item) + rng.random() * 12):
            longest = max(longest, size(item) - shared)
            if batch and (len(batch) >= most or (len(batch) + 1) * longest > budget):
                out.append(batch)
                batch, longest = [], size(item) - shared
            batch.append(item)
        if batch:
            out.append(batch)
    rng.shuffle(out)
    return out


def shown(row: Row, tokenizer: Any, colour: bool = True) -> str:
    """One row as text, what is learned in green (or between [ ] without colour)."""
    out, open_ = [], False
    for token, flag in zip(row.ids, row.learned, strict=True):
        if (flag == 1) != open_:
            open_ = flag == 1
            out.append(("\x1b[32m" if open_ else "\x1b[0m") if colour else ("[" if open_ else "]"))
        out.append(tokenizer.decode([token]))
    return "".join(out) + (("\x1b[0m" if colour else "]") if open_ else "")
