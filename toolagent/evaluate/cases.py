"""What is asked of an agent and what it answered: cases and predictions, as JSONL files hold them.

A case is a request with its gold plan; a prediction is the plan that some system wrote for it. Dates in both are resolved by whoever makes
them (see when.py): nothing here knows the clock. A row that is wrong is a DataError with path and line.

    {"id": "mail-07", "now": "2025-03-03 09:00:00", "request": "...", "plan": [{"id": 1, "tool": "send_sms", "args": {...}}],
     "free": ["send_sms.message"], "must_mention": {"1.message": ["late|delayed", "Ana"]}, "alternatives": [[...]], "tags": ["sms"]}
    {"id": "mail-07", "plan": [...], "seconds": 0.8}          a plan of null: the system wrote nothing that can be read as a plan

"free" names the arguments whose wording is the writer's own; they are judged by the facts of "must_mention" ("<step>.<argument>").
Left out: cases in several turns, the types of gold arguments.
"""

from __future__ import annotations

import difflib
import json
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from toolagent.errors import DataError, PlanError
from toolagent.files import whole_file
from toolagent.plan import REFERENCE, Plan, from_rows, strings, substitute, to_rows
from toolagent.types import ToolSpec

KEYS = ("id", "now", "request", "tools", "plan", "free", "must_mention", "alternatives", "tags")


@dataclass(frozen=True)
class Case:
    id: str
    now: datetime | None  # the moment of the request; None where no date depends on it
    request: str
    plan: Plan
    tools: tuple[ToolSpec, ...] | None = None  # None: not stated, so names, defaults and formats are not known
    free: frozenset[str] = frozenset()  # "tool.argument"
    must_mention: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # "<step>.<argument>": facts
    alternatives: tuple[Plan, ...] = ()  # plans as good as the first
    tags: tuple[str, ...] = ()

    @property
    def plans(self) -> tuple[Plan, ...]:
        return (self.plan, *self.alternatives)


@dataclass(frozen=True)
class Prediction:
    id: str
    plan: Plan | None  # None: no plan could be read from what the system wrote
    seconds: float | None = None


# --- facts --------------------------------------------------------------------------------------------------------------------------


def fold(text: str) -> str:
    """NFKC, no case, single spaces, straight apostrophes and quotes."""
    straight = unicodedata.normalize("NFKC", text).translate(str.maketrans("‘’“”", "''\"\""))
    return " ".join(straight.casefold().split())


def words(text: str) -> str:
    """The folded text without punctuation, except between two digits: "At 3:30, Ana's!" -> "at 3:30 ana s"."""
    return " ".join(re.sub(r"(?<!\d)[^\w\s]|[^\w\s](?!\d)|_", " ", fold(text)).split())


def lacking(text: str, facts: Iterable[str]) -> list[str]:
    """The facts that the text does not mention.

    A fact is a run of words, the last of which may go on ("mark" is in "the marking", "7" in "the 7th"), a number not by digits ("3" is not
    in "3:30"); "late|delayed" is mentioned by either. A fact "$3" says that the result of step 3 goes in: the comparison of references sees
    to that, so it is not looked for in the words.
    """
    said = words(text)

    def mentioned(option: str) -> bool:
        wanted = words(option)
        return bool(re.search(rf"(?<!\S){re.escape(wanted)}" + (r"(?!\W?\d)" if wanted[-1:].isdigit() else ""), said))

    return [fact for fact in facts if not REFERENCE.fullmatch(fact) and not any(mentioned(option) for option in fact.split("|"))]


def facts_of(case: Case, plan: Plan) -> dict[tuple[int, str], tuple[str, ...]]:
    """(step, argument) -> facts, for the case's plan or one of its alternatives.

    must_mention counts steps of the first plan. In an alternative the facts of its second send_sms go with the second send_sms.
    """
    found = {}
    for key, facts in case.must_mention.items():
        step, argument = split_key(key)
        name = case.plan[step - 1].name
        rank = sum(call.name == name for call in case.plan[:step])
        places = [k for k, call in enumerate(plan, 1) if call.name == name]
        if rank <= len(places):
            found[places[rank - 1], argument] = facts
    return found


def split_key(key: str) -> tuple[int, str]:
    step, _, argument = key.partition(".")
    return int(step), argument


def spoken(value: Any, steps: int) -> str:
    """The text of an argument in a plan of so many steps, without its "$k"."""
    return " ".join(strings(substitute(value, dict.fromkeys(range(steps + 1), " "))))


# --- JSON ---------------------------------------------------------------------------------------------------------------------------


def case_from_json(data: Mapping[str, Any], tools: Sequence[ToolSpec] | None = None) -> Case:
    """A row -> Case; `tools` stand in where the row names none. Raises DataError, PlanError with what to change."""
    for key in data:
        known(key, KEYS, "key")
    for key in ("id", "request", "plan"):
        if key not in data:
            raise DataError(f"the case has no {key!r}")
    for key in ("id", "request"):
        if not isinstance(data[key], str) or not data[key].strip():
            raise DataError(f"{key!r} must be a text")
    offered = tools
    if data.get("tools") is not None:
        if not isinstance(data["tools"], list):
            raise DataError("'tools' must be a list of tools in OpenAI's form")
        offered = [ToolSpec.from_json(spec) for spec in data["tools"]]
    alternatives = data.get("alternatives", [])
    if not isinstance(alternatives, list):
        raise DataError("'alternatives' must be a list of plans")
    mention = data.get("must_mention", {})
    if not isinstance(mention, dict):
        raise DataError("'must_mention' must be an object {\"<step>.<argument>\": [fact, ...]}")
    case = Case(
        id=data["id"],
        now=moment(data.get("now")),
        request=data["request"],
        plan=gold(data["plan"]),
        tools=None if offered is None else tuple(offered),
        free=frozenset(texts(data.get("free", []), "free")),
        must_mention={key: texts(facts, f"must_mention {key}") for key, facts in mention.items()},
        alternatives=tuple(gold(rows) for rows in alternatives),
        tags=texts(data.get("tags", []), "tags"),
    )
    check_names(case)
    check_facts(case)
    return case


def known(name: str, names: Collection[str], what: str) -> None:
    if name not in names:
        nearest = difflib.get_close_matches(name, names, n=1, cutoff=0.0)
        raise DataError(f"unknown {what} {name!r}" + (f"; the nearest is {nearest[0]!r}" if nearest else ""))


def texts(value: Any, what: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(text, str) and text for text in value):
        raise DataError(f"{what!r} must be a list of texts")
    return tuple(value)


def moment(value: Any) -> datetime | None:
    try:
        return None if value is None else datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise DataError(f"'now' must be 'YYYY-MM-DD HH:MM:SS', not {value!r}") from None


def gold(rows: Any) -> Plan:
    """A gold plan. Its ids must be 1..n as they stand, because must_mention and people count by them."""
    plan = from_rows(rows)
    if [row.get("id", k) for k, row in enumerate(rows, 1)] != list(range(1, len(plan) + 1)):
        raise DataError("the steps of a plan must have the ids 1, 2, 3 ... in order")
    return plan


def check_names(case: Case) -> None:
    """Every tool and argument that the case names is one that it offers, and no required argument is missing."""
    if case.tools is None:
        return
    specs = {spec.name: spec for spec in case.tools}
    for plan in case.plans:
        for k, call in enumerate(plan, 1):
            known(call.name, specs, "tool")
            for argument in call.arguments:
                known(argument, specs[call.name].properties, f"argument of {call.name} in step {k}:")
            for argument in specs[call.name].required:
                if argument not in call.arguments:
                    raise DataError(f"step {k} ({call.name}) lacks the required argument {argument!r}")
    for entry in sorted(case.free):
        known(entry, [f"{spec.name}.{argument}" for spec in case.tools for argument in spec.properties], "free argument")


def check_facts(case: Case) -> None:
    """Every fact belongs to a free argument of the plan, and the gold plans mention it themselves."""
    for key, facts in case.must_mention.items():
        step, argument = split_key(key) if re.fullmatch(r"\d+\..+", key) else (0, "")
        if not 1 <= step <= len(case.plan) or argument not in case.plan[step - 1].arguments:
            raise DataError(f"must_mention {key!r} names no argument of the plan; write '<step>.<argument>'")
        if (entry := f"{case.plan[step - 1].name}.{argument}") not in case.free:
            raise DataError(f"must_mention {key!r}: {entry} is compared word for word; add it to 'free'")
        if not all(words(option) for fact in facts for option in fact.split("|")):
            raise DataError(f"must_mention {key!r}: an empty fact")
    for plan in case.plans:
        for (step, argument), facts in facts_of(case, plan).items():
            for fact in lacking(spoken(plan[step - 1].arguments.get(argument), len(plan)), facts):
                raise DataError(f"the gold plan's own step {step}.{argument} does not mention {fact!r}")


def case_to_json(case: Case, tools: Sequence[ToolSpec] | None = None) -> dict[str, Any]:
    """The row that case_from_json(row, tools) reads; what is empty is left out."""
    row: dict[str, Any] = {"id": case.id}
    if case.now is not None:
        row["now"] = str(case.now)
    row["request"] = case.request
    if case.tools is not None and (tools is None or case.tools != tuple(tools)):
        row["tools"] = [spec.to_json() for spec in case.tools]
    row["plan"] = to_rows(case.plan)
    optional = {
        "free": sorted(case.free),
        "must_mention": {key: list(facts) for key, facts in case.must_mention.items()},
        "alternatives": [to_rows(plan) for plan in case.alternatives],
        "tags": list(case.tags),
    }
    return row | {key: value for key, value in optional.items() if value}


# --- files --------------------------------------------------------------------------------------------------------------------------


def load_cases(path: str | Path, tools: Sequence[ToolSpec] | None = None) -> list[Case]:
    """The cases of a JSONL file, in order; `tools` stand in where a row names none. Raises DataError "path:line: what is wrong"."""
    return unique((where, located(where, case_from_json, data, tools)) for where, data in read_rows(path))


def dump_cases(path: str | Path, cases: Iterable[Case], tools: Sequence[ToolSpec] | None = None) -> None:
    """Write what load_cases(path, tools) reads back as the same cases."""
    write_rows(path, (case_to_json(case, tools) for case in cases))


def load_predictions(path: str | Path) -> list[Prediction]:
    """The predictions of a JSONL file; keys beside id, plan and seconds are passed over. Raises DataError "path:line: ..."."""
    return unique((where, located(where, prediction_from_json, data)) for where, data in read_rows(path))


def prediction_from_json(data: Mapping[str, Any]) -> Prediction:
    if not isinstance(data.get("id"), str) or "plan" not in data:
        raise DataError('a prediction is {"id": text, "plan": [...] or null, "seconds"?: number}')
    seconds = data.get("seconds")
    if seconds is not None and (isinstance(seconds, bool) or not isinstance(seconds, (int, float))):
        raise DataError(f"'seconds' must be a number, not {seconds!r}")
    try:
        plan = None if data["plan"] is None else from_rows(data["plan"])
    except PlanError:  # the model's fault, not the file's: a plan that cannot be run is none
        plan = None
    return Prediction(data["id"], plan, seconds)


def dump_predictions(path: str | Path, predictions: Iterable[Prediction]) -> None:
    """Write them whole or not at all."""
    write_rows(path, ({"id": p.id, "plan": None if p.plan is None else to_rows(p.plan), "seconds": p.seconds} for p in predictions))


def located(where: str, read: Any, *args: Any) -> Any:
    """read(*args), its complaint preceded by the place."""
    try:
        return read(*args)
    except (DataError, PlanError) as error:
        raise DataError(f"{where}: {error}") from error


def unique(found: Iterable[tuple[str, Any]]) -> list[Any]:
    """The rows, or DataError at the second one with the same id."""
    seen: dict[str, Any] = {}
    for where, row in found:
        if row.id in seen:
            raise DataError(f"{where}: the id {row.id!r} was used before")
        seen[row.id] = row
    return list(seen.values())


def read_rows(path: str | Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """("path:line", object) for every line of a JSONL file that is not blank. Raises DataError."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            for line, text in enumerate(file, 1):
                if not text.strip():
                    continue
                try:
                    data = json.loads(text)
                except ValueError as error:
                    raise DataError(f"{path}:{line}: no JSON: {error}") from error
                if not isinstance(data, dict):
                    raise DataError(f"{path}:{line}: every line must be an object, not {type(data).__name__}")
                yield f"{path}:{line}", data
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: no UTF-8: {error}") from error


def write_rows(path: str | Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """A JSONL file, whole or not at all."""
    with whole_file(Path(path)) as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
