"""Hand-written requests with their plans and the spans that may be swapped; word banks to swap them with.

seeds/desktop/*.jsonl and seeds/packs/*.jsonl (+ *.json, the tools) -> Skeletons; seeds/banks/*.txt -> Banks.
A row: {"request", "plan": [{"id","tool","args"}], "swap": {"Ana": "person"}, "tags": [...], "writer"?, "pack"?}. A date argument holds the
words of the request. The held-out fifth is fixed by a hash of the request's skeleton (its words without the swapped spans), so two rows
that differ only in their spans stand on the same side; a file or writer may be held out whole.
"""

from __future__ import annotations

import hashlib
import json
import pathlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from toolagent.errors import DataError, ToolagentError
from toolagent.plan import Plan, from_rows, in_order_of_use
from toolagent.types import ToolSpec

FOLDER = pathlib.Path(__file__).parent / "seeds"
HELD_OUT = 5  # one skeleton in five is for validation


@dataclass(frozen=True)
class Skeleton:
    """One hand-written request. `tools` is None for the default pack."""

    request: str
    plan: Plan
    swap: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    writer: str = ""
    pack: str = ""
    tools: tuple[ToolSpec, ...] | None = None

    @property
    def frame(self) -> str:
        """The request with its swapped spans replaced by their kinds: what two rows share when they are the same sentence."""
        text = self.request
        for span in sorted(self.swap, key=len, reverse=True):
            text = text.replace(span, f"<{self.swap[span]}>")
        return " ".join(re.findall(r"[\w<>]+", text.lower()))

    @property
    def held_out(self) -> bool:
        return int(hashlib.sha256(self.frame.encode()).hexdigest(), 16) % HELD_OUT == 0


@dataclass(frozen=True)
class Banks:
    """Values by kind, as read from banks/KIND.txt (one a line)."""

    values: Mapping[str, tuple[str, ...]]

    def __getitem__(self, kind: str) -> tuple[str, ...]:
        return self.values[kind]

    def __contains__(self, kind: object) -> bool:
        return kind in self.values


def load_banks(folder: pathlib.Path = FOLDER / "banks") -> Banks:
    values: dict[str, tuple[str, ...]] = {}
    for path in sorted(folder.glob("*.txt")):
        values[path.stem] = tuple(dict.fromkeys(line.strip() for line in path.read_text("utf-8").splitlines() if line.strip()))
    return Banks(values)


def load_skeletons(paths: Iterable[pathlib.Path], packs: Mapping[str, tuple[ToolSpec, ...]] | None = None) -> list[Skeleton]:
    """Rows of the files, their plans in the one order of in_order_of_use. Raises DataError with path and line."""
    found: list[Skeleton] = []
    for path in paths:
        for number, line in enumerate(read(path).splitlines(), 1):
            if not line.strip():
                continue
            try:
                found.append(skeleton(json.loads(line), path.stem, packs or {}))
            except KeyError as error:
                raise DataError(f"{path}:{number}: the row has no {error}") from error
            except (TypeError, ValueError, AttributeError, ToolagentError) as error:
                raise DataError(f"{path}:{number}: {error}") from error
    return found


def read(path: pathlib.Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: {getattr(error, 'strerror', None) or error}") from error


def skeleton(row: Any, writer: str, packs: Mapping[str, tuple[ToolSpec, ...]]) -> Skeleton:
    """One row. Raises DataError, and KeyError, TypeError and their like for a row of another shape."""
    if not isinstance(row, dict):
        raise DataError("the row is no JSON object")
    pack = row.get("pack", "")
    tools = tuple(ToolSpec.from_json(t) for t in row["tools"]) if "tools" in row else packs.get(pack) if pack else None
    if pack and tools is None:
        raise DataError(f"pack {pack!r} is unknown")
    request, swap = row["request"], dict(row.get("swap", {}))
    if not isinstance(request, str):
        raise DataError("the request must be a string")
    if lost := [span for span in swap if not span or span not in request]:
        raise DataError(f"{lost[0]!r} is to be swapped, but does not stand in the request")
    plan = in_order_of_use(from_rows(row["plan"]))
    return Skeleton(request, plan, swap, tuple(row.get("tags", ())), row.get("writer", writer), pack, tools)


def load_packs(folder: pathlib.Path = FOLDER / "packs") -> dict[str, tuple[ToolSpec, ...]]:
    """The invented packs: name -> tools. Raises DataError with the path."""
    packs: dict[str, tuple[ToolSpec, ...]] = {}
    for path in sorted(folder.glob("*.json")):
        try:
            data = json.loads(read(path))
            packs[data["pack"]] = tuple(ToolSpec.from_json(t) for t in data["tools"])
        except (KeyError, TypeError, ValueError, DataError) as error:
            raise DataError(f"{path}: {error}") from error
    return packs


def desktop_skeletons(folder: pathlib.Path = FOLDER / "desktop") -> list[Skeleton]:
    return load_skeletons(sorted(folder.glob("*.jsonl")))


def pack_skeletons(packs: Mapping[str, tuple[ToolSpec, ...]], folder: pathlib.Path = FOLDER / "packs") -> list[Skeleton]:
    return load_skeletons(sorted(folder.glob("*.jsonl")), packs)


def split(skeletons: Sequence[Skeleton]) -> tuple[list[Skeleton], list[Skeleton]]:
    """(training, validation)."""
    return [s for s in skeletons if not s.held_out], [s for s in skeletons if s.held_out]
