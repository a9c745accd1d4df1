"""What a teacher answered and what came of it, so that a run can stop anywhere: FILE (seeds) and FILE.state, both only ever appended to.

    {"settings": {...}}                                                     the first line of the state
    {"job": 3, "fits": true, "model", "tokens_in", "tokens_out", "answer"}  an answer, before anything is made of it
    {"job": 3, "accepted": 5, "dropped": {"repeat": 1}}                     its rows stand in FILE now

A line that a kill tore is cut off; an answer whose rows are missing is judged again, without asking again. Rows that a user took out of
FILE stay out. Left out: two processes on one file (alone() refuses the second).
"""

from __future__ import annotations

import contextlib
import json
import pathlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from toolagent.datagen.answers import candidates, seed_row
from toolagent.datagen.filters import fingerprint
from toolagent.errors import DataError, UsageError
from toolagent.types import ToolSpec


@dataclass
class Book:
    """FILE and FILE.state. Lines of the state: the settings; {"job", "answer", tokens ...}; {"job", "accepted", "dropped"}."""

    out: pathlib.Path
    specs: Sequence[ToolSpec]
    seen: set[str] = field(default_factory=set)
    written: set[tuple[int, str]] = field(default_factory=set)  # (job, fingerprint) of the rows that stood in FILE at the start
    answered: set[int] = field(default_factory=set)
    accepted: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    tokens_in: int = 0
    tokens_out: int = 0
    unmetered: int = 0

    @property
    def state(self) -> pathlib.Path:
        return self.out.with_name(self.out.name + ".state")

    def load(self, settings: dict[str, Any]) -> None:
        """Read what is there. Raises DataError (a file that cannot be read), UsageError (made with other settings)."""
        self.out.parent.mkdir(parents=True, exist_ok=True)
        kept = self.out.exists()
        for row in whole_lines(self.out):
            if isinstance(row.get("request"), str):
                self.seen.add(fingerprint(row["request"]))
                if isinstance(row.get("job"), int):
                    self.written.add((row["job"], fingerprint(row["request"])))
        lines = whole_lines(self.state)
        if not lines:
            append(self.state, {"settings": settings})
        elif lines[0].get("settings") != settings:
            old = lines[0].get("settings") or {}
            other = [f"{key} {old.get(key)!r} instead of {value!r}" for key, value in settings.items() if old.get(key) != value]
            raise UsageError(f"{self.state} was made with {', '.join(other)}; give another --out, or remove it to begin anew")
        done = {row["job"]: row for row in lines if "accepted" in row} if kept else {}
        for row in lines:
            if "answer" in row:
                self.count(row)
                if row["job"] not in done:  # stopped between the answer and its rows
                    self.judge(row)
        for row in done.values():
            self.accepted += row["accepted"]
            self.dropped.update(row["dropped"])

    def count(self, row: dict[str, Any]) -> None:
        self.answered.add(row["job"])
        self.tokens_in += row["tokens_in"] or 0
        self.tokens_out += row["tokens_out"] or 0
        self.unmetered += row["tokens_in"] is None or row["tokens_out"] is None

    def add(self, job: int, fits: bool, model: str, answer: str, tokens_in: int | None, tokens_out: int | None) -> int:
        """Keep an answer, then its rows; returns how many were accepted. `fits`: it was asked for what the tools can do."""
        row = {"job": job, "fits": fits, "model": model, "tokens_in": tokens_in, "tokens_out": tokens_out, "answer": answer}
        append(self.state, row)
        self.count(row)
        return self.judge(row)

    def judge(self, row: dict[str, Any]) -> int:
        found, broken = candidates(row["answer"])
        dropped = Counter({"broken JSON": broken}) if broken else Counter[str]()
        if not found and not broken:
            dropped["an answer without a row"] += 1
        accepted, there = [], 0
        for candidate in found:
            seed, why = seed_row(candidate, self.specs, row["fits"])
            print_ = fingerprint(seed["request"]) if seed is not None else ""
            if (row["job"], print_) in self.written:  # before a kill
                self.written.discard((row["job"], print_))
                there += 1
            elif seed is None or print_ in self.seen:
                dropped[why or "repeat"] += 1
            else:
                self.seen.add(print_)
                accepted.append(seed | {"writer": row["model"], "job": row["job"]})
        append(self.out, *accepted)
        append(self.state, {"job": row["job"], "accepted": len(accepted) + there, "dropped": dict(dropped)})
        self.accepted += len(accepted) + there
        self.dropped.update(dropped)
        return len(accepted) + there


def append(path: pathlib.Path, *rows: dict[str, Any]) -> None:
    """All of the rows in one write, on disk when it returns."""
    if rows:
        with open(path, "ab") as file:
            file.write("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode())
            file.flush()


def whole_lines(path: pathlib.Path) -> list[dict[str, Any]]:
    """The rows of a file; a last line that was torn by a kill is cut off. Raises DataError."""
    if not path.exists():
        return []
    try:
        raw = path.read_bytes()
        rows = []
        for number, line in enumerate(raw.splitlines(keepends=True), 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                if not isinstance(row, dict):
                    raise DataError(f"{path}:{number}: every line must be an object")
                rows.append(row)
            except ValueError as error:
                if line.endswith(b"\n"):
                    raise DataError(f"{path}:{number}: no JSON: {error}") from error
                with open(path, "r+b") as file:
                    file.truncate(len(raw) - len(line))
                return rows
        if raw and not raw.endswith(b"\n"):
            with open(path, "ab") as file:
                file.write(b"\n")
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error
    return rows


@contextlib.contextmanager
def alone(path: pathlib.Path) -> Iterator[None]:
    """Nobody else teaches into this file meanwhile (where the system has file locks). Raises UsageError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "ab") as file:
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (ImportError, NotImplementedError):
            pass
        except BlockingIOError as error:
            raise UsageError(f"{path}: another run writes to it") from error
        yield
