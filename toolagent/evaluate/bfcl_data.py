"""The single-turn questions of BFCL v4 (the Berkeley Function Calling Leaderboard): a data folder -> entries with their golds.

The data come with the package bfcl-eval, whose folder is read and whose code is never imported:

    pip install --no-deps bfcl-eval          # or, apart from everything: --target DIR, and TOOLAGENT_BFCL=DIR

Types are BFCL's own ("dict", "float", "tuple", "any", Java's and JavaScript's), not JSON Schema. What is missing, or is not as described
here, is a DataError with path and line. Left out: several turns, memory, web search, format sensitivity.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from toolagent.errors import DataError
from toolagent.evaluate.cases import located, read_rows, unique
from toolagent.types import Message

PYTHON, JAVA, JAVASCRIPT = "python", "java", "javascript"
SIMPLE = ("simple_python", "simple_java", "simple_javascript")
NON_LIVE = (*SIMPLE, "multiple", "parallel", "parallel_multiple")
LIVE = ("live_simple", "live_multiple", "live_parallel", "live_parallel_multiple")
IRRELEVANCE = ("irrelevance", "live_irrelevance")  # no function fits: the right answer calls nothing
RELEVANCE = ("live_relevance",)  # some function fits; which call is right is not recorded
LANGUAGES = {"simple_java": JAVA, "simple_javascript": JAVASCRIPT}  # the other categories: PYTHON
CATEGORIES = (*NON_LIVE, *LIVE, *IRRELEVANCE, *RELEVANCE)

VARIABLE = "TOOLAGENT_BFCL"  # names the data folder, or a folder that bfcl-eval was installed into
PREFIX = "BFCL_v4_"

TYPES: dict[str, dict[str, type]] = {  # BFCL's type names -> what a value is compared as
    PYTHON: {"string": str, "integer": int, "float": float, "boolean": bool, "array": list, "tuple": list, "dict": dict, "any": str},
    JAVA: {
        **dict.fromkeys(("byte", "short", "integer", "long"), int),
        **dict.fromkeys(("float", "double"), float),
        **dict.fromkeys(("String", "char", "any"), str),
        **dict.fromkeys(("Array", "ArrayList"), list),
        "boolean": bool,
        "HashMap": dict,
    },
    JAVASCRIPT: {
        "String": str, "integer": int, "Bigint": int, "float": float, "Boolean": bool, "array": list, "dict": dict, "any": str,
    },
}  # fmt: skip

Schema = Mapping[str, Any]  # {"type", "description", "items"?, "properties"?, "enum"?, "default"?} in BFCL's types


@dataclass(frozen=True)
class Function:
    name: str
    description: str
    properties: Mapping[str, Schema]
    required: tuple[str, ...]


@dataclass(frozen=True)
class GoldCall:
    """A call that is asked for. Each argument has a list of acceptable values; "" among them: it may be left out."""

    name: str
    options: Mapping[str, list[Any]]


@dataclass(frozen=True)
class Entry:
    id: str
    category: str
    messages: tuple[Message, ...]
    functions: tuple[Function, ...]
    gold: tuple[GoldCall, ...] = ()  # empty for IRRELEVANCE and RELEVANCE

    @property
    def language(self) -> str:
        """In which the arguments are written."""
        return LANGUAGES.get(self.category, PYTHON)


def find_data(path: str | Path | None = None) -> Path:
    """The folder with BFCL_v4_*.json: in `path`, else in $TOOLAGENT_BFCL, else in the installed bfcl-eval. Raises DataError."""
    given = path or os.environ.get(VARIABLE)
    if given is None:
        try:
            given = Path(str(metadata.distribution("bfcl-eval").locate_file("")))
        except metadata.PackageNotFoundError:
            raise DataError(f"no BFCL data: pip install --no-deps bfcl-eval, or let {VARIABLE} name its folder") from None
    for folder in (Path(given), Path(given) / "data", Path(given) / "bfcl_eval" / "data"):
        if file_of(folder, SIMPLE[0]).is_file():
            return folder
    raise DataError(f"{given}: there is no {PREFIX}{SIMPLE[0]}.json in it; {VARIABLE} may name the data folder of bfcl-eval")


def file_of(folder: Path, category: str) -> Path:
    return folder / f"{PREFIX}{category}.json"


def load_entries(category: str, path: str | Path | None = None) -> list[Entry]:
    """The entries of one of CATEGORIES, in the order of the file. Raises DataError "path:line: what is wrong"."""
    if category not in CATEGORIES:
        raise DataError(f"unknown category {category!r}; there are {', '.join(CATEGORIES)}")
    folder = find_data(path)
    questions = file_of(folder, category)
    answers = None if category in (*IRRELEVANCE, *RELEVANCE) else file_of(folder / "possible_answer", category)
    return unique(entries(category, questions, answers))


def entries(category: str, questions: Path, answers: Path | None) -> Iterator[tuple[str, Entry]]:
    """("path:line", entry). Line k of the answers belongs to line k of the questions; their ids must say the same."""
    golds = list(read_rows(answers)) if answers else None
    rows = list(read_rows(questions))
    if golds is not None and len(golds) != len(rows):
        raise DataError(f"{answers}: {len(golds)} answers to {len(rows)} questions")
    for k, (where, row) in enumerate(rows):
        place, gold = golds[k] if golds else (where, row)
        if gold.get("id") != row.get("id"):
            raise DataError(f"{place}: an answer to {gold.get('id')!r} stands where {row.get('id')!r} is asked ({where})")
        yield where, located(where, entry_from_json, row, category, gold.get("ground_truth"))


def entry_from_json(row: Mapping[str, Any], category: str, gold: Any) -> Entry:
    """A row of the questions and the "ground_truth" of its answer (None: there is none) -> Entry. Raises DataError."""
    functions, turns = row.get("function"), row.get("question")
    if not isinstance(row.get("id"), str) or not isinstance(functions, list):
        raise DataError("an entry needs an id and a list of functions")
    if not isinstance(turns, list) or len(turns) != 1 or not isinstance(turns[0], list):
        raise DataError("'question' must be a list of one turn, which is a list of messages")
    if gold is not None and (not isinstance(gold, list) or not gold):
        raise DataError("'ground_truth' must be a list of calls")
    language = LANGUAGES.get(category, PYTHON)
    entry = Entry(
        id=row["id"],
        category=category,
        messages=tuple(Message.from_json(message) for message in turns[0]),
        functions=tuple(function_from_json(function, language) for function in functions),
        gold=tuple(gold_from_json(call) for call in gold or ()),
    )
    for call in entry.gold:
        if call.name not in [function.name for function in entry.functions]:
            raise DataError(f"the gold calls {call.name!r}, which is not among the functions")
    return entry


def function_from_json(data: Any, language: str) -> Function:
    if not isinstance(data, dict) or not isinstance(data.get("name"), str):
        raise DataError(f"a function needs a name: {str(data)[:120]}")
    parameters = data.get("parameters")
    properties = parameters.get("properties") if isinstance(parameters, dict) else None
    if not isinstance(parameters, dict) or not isinstance(properties, dict):
        raise DataError(f"function {data['name']!r}: parameters must have properties")
    for name, schema in properties.items():
        check_type(schema, language, f"function {data['name']!r}, argument {name!r}")
    return Function(data["name"], str(data.get("description", "")), properties, tuple(parameters.get("required", ())))


def check_type(schema: Any, language: str, where: str) -> None:
    """The argument has a known type, and where that is a list, so have its items."""
    kind = schema.get("type") if isinstance(schema, dict) else None
    if not isinstance(kind, str) or kind not in TYPES[language]:
        raise DataError(f"{where}: {kind!r} is none of {language}'s types {', '.join(TYPES[language])}")
    if TYPES[language][kind] is list:
        check_type({**(schema.get("items") or {}), "items": {"type": "any"}}, language, f"{where}, its items")


def gold_from_json(data: Any) -> GoldCall:
    if not isinstance(data, dict) or len(data) != 1:
        raise DataError(f"a gold call is {{name: {{argument: [value, ...]}}}}, not {str(data)[:120]}")
    ((name, options),) = data.items()
    if not isinstance(options, dict) or not all(isinstance(values, list) for values in options.values()):
        raise DataError(f"gold call {name!r}: every argument needs a list of values")
    return GoldCall(name, options)
