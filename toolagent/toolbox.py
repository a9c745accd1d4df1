"""The hands: packs of tools, and the toolbox that runs a model's calls with them.

In: tools (a pack is a directory of Python files with @tool functions), a ToolCall, the results of earlier calls. Out: a ToolResult.
The order never changes: fill in "$k" -> validate -> resolve dates, check paths -> (a dry run stops) -> approve -> run. The model's faults
are results with an error that it can read; none is raised. Calls that write go one at a time, approval included; others side by side.

The journal is written ahead: what a file was and the hash of what it becomes are on disk BEFORE the file changes. Killed at any point, a
file is either as it was or as the journal says, and undo knows both; at worst a stray '.toolagent-*' temporary file stays behind.

Left out: a Python thread cannot be killed, so a tool that runs out of time lives on, but write_file and move_file refuse it from then on.
What tools do without those two (mail that is sent) is neither stopped nor undone. A date behind a "$ref" is not resolved. A "$k" inside a
list or object is filled in as text, never read as JSON. Old journals stay on disk. Two programs that write to one home are not kept apart.

    toolagent run "make a note of the agenda" --pack tools --dry-run
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import hashlib
import importlib.abc
import importlib.machinery
import importlib.util
import itertools
import json
import math
import os
import pathlib
import re
import sys
import threading
import tomllib
import traceback
import types
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from toolagent import plan
from toolagent.errors import DataError, ToolDefinitionError, ToolFailed, UsageError, WhenError
from toolagent.tool import Journal, Place, Tool, at, inside_home, move_file, place_of, write_file
from toolagent.types import ToolCall, ToolResult, ToolSpec

if TYPE_CHECKING:
    from toolagent.when import Moment

# --- packs ----------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pack:
    """`rules` stand in the prompt. `package` is the private name that the pack's files are imported under."""

    name: str
    tools: tuple[Tool, ...]
    rules: str
    path: pathlib.Path
    package: str = ""


class Siblings(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """While a file of a pack is imported, `import store` means the pack's own store.py: the very module that `from . import store` gives.

    The standard library and toolagent keep their names. So two packs may each have a store.py, and a pack may have a calendar.py
    (reached by `from . import calendar`). Import siblings at the top of a file: later, only the relative form works.
    """

    def __init__(self, package: str, directory: pathlib.Path) -> None:
        self.package = package
        self.names = {file.stem for file in directory.glob("*.py")} - sys.stdlib_module_names - {"toolagent"}

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        return importlib.util.spec_from_loader(fullname, self) if path is None and fullname in self.names else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        module = importlib.import_module(f"{self.package}.{spec.name}")
        spec.loader_state = module.__spec__  # the import system is about to overwrite it
        return module

    def exec_module(self, module: types.ModuleType) -> None:
        module.__spec__ = module.__spec__.loader_state if module.__spec__ else None

    @contextlib.contextmanager
    def found(self) -> Iterator[None]:
        covered = {name: sys.modules.pop(name) for name in self.names if name in sys.modules}
        sys.meta_path.insert(0, self)
        try:
            yield
        finally:
            sys.meta_path.remove(self)
            for name in self.names:
                sys.modules.pop(name, None)
            sys.modules.update(covered)


LOADING = threading.RLock()  # `import store` means one pack at a time
COUNT = itertools.count(1)


def load_pack(directory: str | os.PathLike[str]) -> Pack:
    """Import each *.py of the directory and collect its tools; files that begin with "_" are helpers, imported when another asks for them.

    Raises UsageError (no directory, no tools, unreadable rules.md) and ToolDefinitionError (file:line, what is wrong).
    """
    path = pathlib.Path(directory).expanduser().resolve()
    if not path.is_dir():
        raise UsageError(f"{path}: no such directory; a pack is a directory of Python files")
    package = f"_toolagent_pack_{next(COUNT)}"
    root = types.ModuleType(package)
    root.__path__ = [str(path)]
    sys.modules[package] = root
    tools: dict[str, Tool] = {}
    for file in sorted(path.glob("[!_]*.py")):
        for tool in vars(import_file(package, path, file.stem)).values():
            if not isinstance(tool, Tool):
                continue
            if tools.setdefault(tool.name, tool) is not tool:
                raise ToolDefinitionError(f"{place_of(tool.fn)}: {tool.name!r} is defined already at {place_of(tools[tool.name].fn)}")
            try:
                check_schema(tool.spec)
            except UsageError as error:
                raise ToolDefinitionError(f"{place_of(tool.fn)}: {error}") from error
    if not tools:
        raise UsageError(f"{path}: no tools in it; a tool is a function under @tool in a *.py file")
    try:
        rules = (path / "rules.md").read_text("utf-8").strip()
    except FileNotFoundError:
        rules = ""
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path / 'rules.md'}: cannot be read: {error}") from error
    return Pack(path.name, tuple(tools.values()), rules, path, package)


def pack_module(pack: Pack, name: str) -> types.ModuleType:
    """A file of a loaded pack as a module, for helpers such as the default pack's _demo_home. Raises ToolDefinitionError."""
    return import_file(pack.package, pack.path, name)


def import_file(package: str, path: pathlib.Path, name: str) -> types.ModuleType:
    try:
        with LOADING, Siblings(package, path).found():
            importlib.invalidate_caches()
            return importlib.import_module(f"{package}.{name}")
    except ToolDefinitionError:
        raise
    except SyntaxError as error:
        where = f"{error.filename or path / name}:{error.lineno or 1}"
        raise ToolDefinitionError(f"{where}: the file cannot be read as Python: {error.msg}") from error
    except (Exception, SystemExit) as error:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if pathlib.Path(f.filename).parent == path]
        where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else f"{path / name}.py:1"
        raise ToolDefinitionError(f"{where}: the file cannot be imported: {explained(error)}") from error


def default_pack_path() -> pathlib.Path:
    """Where the default pack lies: inside the package (a wheel) or beside it (a checkout, an editable install). Raises UsageError."""
    package = pathlib.Path(__file__).resolve().parent
    for path in (package / "default_pack", package.parent / "tools"):
        if any(path.glob("*.py")):
            return path
    raise UsageError(f"the default pack is missing: neither {package / 'default_pack'} nor {package.parent / 'tools'} has Python files")


def load_tools_json(path: str | os.PathLike[str]) -> tuple[ToolSpec, ...]:
    """Specs without hands: a JSON list of tools in OpenAI's shape, or {"tools": [...]}. Raises DataError with the path."""
    try:
        data = json.loads(pathlib.Path(path).read_text("utf-8"))
        rows = data.get("tools") if isinstance(data, dict) else data
        if not isinstance(rows, list):
            raise DataError('must be a list of tools, or {"tools": [...]}')
        specs = tuple(ToolSpec.from_json(row) for row in rows)
        for spec in specs:
            check_schema(spec)
        if again := [s.name for k, s in enumerate(specs) if s.name in [t.name for t in specs[:k]]]:
            raise DataError(f"two tools are named {again[0]!r}")
    except (OSError, ValueError, RecursionError, UsageError) as error:
        raise DataError(f"{path}: {error}") from error
    return specs


# --- what a person or a model reads -----------------------------------------------------------------------------------------------------


def visible(text: str) -> str:
    """The text with each control, bidirectional, zero-width or line-breaking character written as its escape: '\\x1b', '\\u202e', '\\n'."""
    hidden = {c for c in set(text) if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")}
    return "".join(c.encode("unicode_escape").decode() if c in hidden else c for c in text) if hidden else text


def brief(value: Any, limit: int = 100) -> str:
    """A value as JSON (an exception's text as it is), visible, and cut after `limit` characters with the count of what is cut."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    cut = f"... ({len(text) - limit:,} more characters)" if len(text) > limit else ""
    return visible(text[:limit]) + cut


def quoted(value: Any) -> str:
    return brief(json.dumps(value, ensure_ascii=False, default=str))


def explained(error: BaseException) -> str:
    return brief(" ".join(f"{type(error).__name__}: {error}".split()), 500)


def nearest(word: Any, choices: Iterable[str]) -> str:
    """'; nearest: ...' with up to three names that resemble the word, else '; known: ...' with the first twenty."""
    from rapidfuzz import process, utils

    names = list(choices)
    found = process.extract(str(word)[:100], names, processor=utils.default_process, limit=3, score_cutoff=60)
    label, shown = ("nearest", [name for name, *_ in found]) if found else ("known", names[:20])
    return f"; {label}: {', '.join(map(quoted, shown))}" if shown else ""


def show(call: ToolCall, spec: ToolSpec, notes: Iterable[str] = ()) -> str:
    """What a person is asked to approve: the tool, every argument on a line of its own, then the notes. Nothing in it can move a cursor."""
    lines = [visible(call.name) + (" (changes things)" if spec.writes else "")]
    lines += [f"  {visible(str(name))}: {brief(value, 400)}" for name, value in call.arguments.items()]
    return "\n".join(lines + [f"  note: {visible(note)}" for note in notes])


# --- validate -------------------------------------------------------------------------------------------------------------------------

ATOM, LABEL = r"[\w!#$%&'*+/=?^`{|}~-]+", r"[^\W_](?:[\w-]*[^\W_])?"
EMAIL = re.compile(rf"{ATOM}(?:\.{ATOM})*@(?:{LABEL}\.)+{LABEL}")  # a bare address; no display name, no quoted local part, no bare host
UNKNOWABLE = {"const", "enum", "format", "maxLength", "minLength", "pattern"}  # of a string with a "$k" in it, until it runs
OPTIONS = ("anyOf", "oneOf", "allOf")


def is_email(text: Any) -> bool:
    return not isinstance(text, str) or (len(text) <= 254 and EMAIL.fullmatch(text) is not None)  # 254: RFC 5321, 4.5.3.1.3


@functools.cache
def validator(lenient: bool) -> Callable[..., Any]:
    """schema -> a Draft 2020-12 validator that knows "nullable"; a lenient one lets "$k" pass where its result may turn out right."""
    import jsonschema
    from referencing import Registry

    def rule(keyword: str, judge: Callable[..., Any]) -> Callable[..., Iterator[Any]]:
        def judged(self: Any, wanted: Any, instance: Any, schema: Mapping[str, Any]) -> Iterator[Any]:
            if instance is None and schema.get("nullable") is True:
                return
            if lenient and isinstance(instance, str) and plan.references(instance) and (is_reference(instance) or keyword in UNKNOWABLE):
                return
            yield from judge(self, wanted, instance, schema) or ()

        return judged

    plain = jsonschema.Draft202012Validator
    formats = jsonschema.FormatChecker(formats=())
    formats.checks("email")(is_email)
    kind = jsonschema.validators.extend(plain, {k: rule(k, judge) for k, judge in plain.VALIDATORS.items()})
    return functools.partial(kind, format_checker=formats, registry=Registry())  # an empty registry: no $ref reaches the network


def is_reference(value: Any) -> bool:
    return isinstance(value, str) and plan.REFERENCE.fullmatch(value) is not None


def options(schema: Any) -> list[dict[str, Any]]:
    found = [o for key in OPTIONS for o in schema.get(key, ())] if isinstance(schema, dict) else []
    return [o for o in found if isinstance(o, dict)]


def flat(schema: Any) -> dict[str, Any]:
    """The schema with the keywords of its options beside its own: where to look for a "format", "items" or "properties"."""
    merged: dict[str, Any] = {}
    for option in options(schema):
        merged |= flat(option)
    return merged | (schema if isinstance(schema, dict) else {})


def below(schema: Any, key: str | int) -> Any:
    """The schema of one member: a property, or an item by its index."""
    schema = flat(schema)
    if isinstance(key, str):
        return schema.get("properties", {}).get(key, schema.get("additionalProperties", {}))
    fixed = schema.get("prefixItems", ())
    return fixed[key] if key < len(fixed) else schema.get("items", {})


def members(value: Any) -> list[tuple[Any, Any]]:
    return list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, (list, tuple)) else []


def kinds(schema: Any) -> list[str]:
    """The JSON types that a schema names, itself or in its options; none: any."""
    own = schema.get("type", []) if isinstance(schema, dict) else []
    own = [own] if isinstance(own, str) else list(own)
    return list(dict.fromkeys(own + [kind for option in options(schema) for kind in kinds(option)]))


def check_schema(spec: ToolSpec) -> None:
    """Raises UsageError when the parameters are no JSON Schema, or point ("$ref") to what they do not hold."""
    import jsonschema
    from referencing import Registry, exceptions
    from referencing.jsonschema import DRAFT202012

    try:
        jsonschema.Draft202012Validator.check_schema(spec.parameters)
        resolver = Registry().with_resource("", DRAFT202012.create_resource(spec.parameters)).resolver()
        for pointer in pointers(spec.parameters):
            resolver.lookup(pointer)
    except jsonschema.SchemaError as error:
        raise UsageError(f"the parameters of {spec.name!r} are no JSON Schema: {brief(error.message, 300)}") from error
    except exceptions.Unresolvable as error:
        raise UsageError(f"the parameters of {spec.name!r} refer to {pointer!r}, which is not in them") from error


def pointers(schema: Any) -> Iterator[str]:
    for key, value in members(schema):
        if key == "$ref" and isinstance(value, str):
            yield value
        yield from pointers(value)


def check(spec: ToolSpec, arguments: Any, references: bool = False) -> list[str]:
    """What is wrong with the arguments, a sentence each, for a model to learn from; [] when nothing is.

    `references`: the call stands in a plan that has not run; a string "$k" passes as anything, one inside a longer string as a string.
    """
    if not isinstance(arguments, dict):
        return [f"the arguments of {spec.name} must be an object, not {quoted(arguments)}"]
    if unreal := [f"argument {where} is {value}, which is no number" for where, value in floats(arguments) if not math.isfinite(value)]:
        return unreal
    schema = spec.parameters
    if not schema.keys() & {"additionalProperties", "unevaluatedProperties", "patternProperties", "$ref", *OPTIONS}:
        schema = schema | {"additionalProperties": False}
    errors = validator(references)(schema).iter_errors(arguments)
    return list(dict.fromkeys(text for error in errors for text in sentences(error)))


def floats(value: Any, where: str = "") -> Iterator[tuple[str, float]]:
    if isinstance(value, float):
        yield where, value
    for key, member in members(value):
        yield from floats(member, joined(where, key))


def joined(where: str, key: Any) -> str:
    return f"{where}[{key}]" if isinstance(key, int) else f"{where}.{brief(key)}".lstrip(".")


def sentences(error: Any) -> list[str]:
    """A jsonschema error in words."""
    import jsonschema

    if error.context:
        error = jsonschema.exceptions.best_match([error])
    where = functools.reduce(joined, error.absolute_path, "")
    wanted, instance, schema = error.validator_value, error.instance, error.schema
    properties = schema.get("properties", {}) if isinstance(schema, dict) else {}
    match error.validator:
        case "required":
            lacking = {name: brief(flat(properties.get(name)).get("description", "")) for name in wanted if name not in instance}
            return [f"missing argument {joined(where, name)}" + (text and f": {text}") for name, text in lacking.items()]
        case "additionalProperties" if wanted is False:
            extra = [n for n in instance if n not in properties and not any(re.search(p, n) for p in schema.get("patternProperties", ()))]
            return [f"unknown argument {joined(where, n)}{nearest(n, properties)}" for n in extra]
        case "type" | "anyOf" | "oneOf" if names := kinds(schema):
            return [f"argument {where} must be {' or '.join(names)}, not {quoted(instance)}"]
        case "enum":
            hint = nearest(instance, [w for w in wanted if isinstance(w, str)]) if len(wanted) > 20 and isinstance(instance, str) else ""
            return [f"argument {where} must be one of {', '.join(map(quoted, wanted[:20]))}, not {quoted(instance)}{hint}"]
        case "format":
            return [f"argument {where} must be an e-mail address such as name@example.com, not {quoted(instance)}"]
    return [f"argument {where}: {brief(error.message, 200)}"]


# --- resolve --------------------------------------------------------------------------------------------------------------------------


def resolve(
    spec: ToolSpec, arguments: dict[str, Any], now: datetime, references: bool = False
) -> tuple[dict[str, Any], list[str], str | None]:
    """(arguments with each "date-time" resolved, notes to show, an error that the model can read).

    A start_* that is a range fills its absent end_*, where the tool has one; an end_* is read from its start_*.
    With `references`, a "$k" stays.
    """
    try:
        settled, notes = settle(spec.parameters, arguments, now, references)
    except WhenError as error:
        return arguments, [], str(error)
    return settled, notes, None


def settle(schema: Any, value: Any, now: datetime, lenient: bool, where: str = "") -> tuple[Any, list[str]]:
    """One value of any depth -> the value as its tool gets it, and the notes."""
    notes: list[str] = []
    if isinstance(value, float) and kinds(schema) == ["integer"]:
        return int(value), notes  # 3.0 is an integer to JSON Schema, but not to Python
    if isinstance(value, str) and is_date(schema):
        found = moment(value, now, where, None, lenient)
        return (value, notes) if found is None else (found.text(), noted(where, found))
    if not isinstance(value, (dict, list, tuple)):
        return value, notes
    done: dict[Any, Any] = {}
    starts: dict[str, Moment] = {}
    properties = flat(schema).get("properties", {}) if isinstance(value, dict) else {}
    for key, member in sorted(members(value), key=lambda pair: not str(pair[0]).startswith("start")):  # an end is read from its start
        place = joined(where, key)
        if isinstance(member, str) and isinstance(key, str) and is_date(below(schema, key)):
            found = moment(member, now, place, starts.get(f"start{key[3:]}") if key.startswith("end") else None, lenient)
            if found is not None:
                starts[key] = found
                notes += noted(place, found)
            done[key] = member if found is None else found.text()
        else:
            done[key], more = settle(below(schema, key), member, now, lenient, place)
            notes += more
    if isinstance(value, (list, tuple)):
        return [done[k] for k in range(len(value))], notes
    done = {key: done[key] for key in value}
    for key, found in starts.items():
        end = f"end{key[5:]}"
        if key.startswith("start") and found.end is not None and is_date(properties.get(end)) and done.get(end) is None:
            done[end] = found.end_text()
    return done, notes


def is_date(schema: Any) -> bool:
    return flat(schema).get("format") == "date-time"


def moment(phrase: str, now: datetime, where: str, start: Moment | None, lenient: bool) -> Moment | None:
    """The moment that a phrase means; None for a "$k" that may stay. Raises WhenError that names the argument."""
    from toolagent import when

    if plan.references(phrase):
        if lenient:
            return None
        raise WhenError(f"argument {where}: {brief(phrase)} refers to a step that has no result")
    try:
        return when.resolve(phrase, now) if start is None else when.resolve_end(phrase, start.start, now)
    except WhenError as error:
        raise WhenError(f"argument {where}: {brief(str(error), 300)}") from error


def noted(where: str, found: Moment) -> list[str]:
    return [f"{where}: {warning}" for warning in found.warnings]


def of_format(schema: Any, value: Any, kind: str) -> Iterator[str]:
    """Every string inside the value whose schema says that format."""
    if isinstance(value, str) and flat(schema).get("format") == kind:
        yield value
    for key, member in members(value):
        yield from of_format(below(schema, key), member, kind)


def fill(spec: ToolSpec, arguments: dict[str, Any], results: Mapping[int, str]) -> dict[str, Any]:
    """The arguments with "$k" replaced. Where an argument takes no string, a whole "$k" is read as JSON: "3" as 3, '["a"]' as a list."""
    filled: dict[str, Any] = plan.substitute(arguments, results)
    for name, value in arguments.items():
        expected = kinds(spec.properties.get(name))
        if is_reference(value) and expected and "string" not in expected:
            with contextlib.suppress(ValueError):
                filled[name] = json.loads(filled[name])
    return filled


# --- approve --------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Request:
    """What a person is asked: the call as it would run. `text` is safe to print."""

    call: ToolCall
    spec: ToolSpec
    notes: tuple[str, ...] = ()
    text: str = ""


Approve = Callable[[Request], bool | str]  # True: yes; False or a reason: no


@dataclass(frozen=True)
class Policy:
    """Tools that need no asking, and tools that may not run at all; deny wins."""

    allow: frozenset[str] = frozenset()
    deny: frozenset[str] = frozenset()

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Policy:
        """A TOML file: [allow] tools = ["create_note"], [deny] tools = [...]. Raises UsageError with the path."""
        try:
            data = tomllib.loads(pathlib.Path(path).read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError(f"{path}: {error}") from error
        for section, table in data.items():
            if section not in ("allow", "deny"):
                raise UsageError(f"{path}: unknown key {section!r}{nearest(section, ('allow', 'deny'))}")
            if not isinstance(table, dict):
                raise UsageError(f"{path}: {section!r} must be a table: [{section}]")
            for key, names in table.items():
                if key != "tools":
                    raise UsageError(f"{path}: unknown key {f'{section}.{key}'!r}{nearest(key, ('tools',))}")
                if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
                    raise UsageError(f"{path}: {section}.tools must be a list of names")
        return cls(*(frozenset(data.get(section, {}).get("tools", ())) for section in ("allow", "deny")))


# --- the toolbox ----------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Prepared:
    """A call that is valid and resolved, ready to be approved and run."""

    call: ToolCall
    notes: tuple[str, ...] = ()


class Toolbox:
    """Tools with a home to work in. What they write until begin() is one run, which undo() takes back as a whole.

    `now`: the time of the request (None: the clock). `approve`: asked before each call that writes, unless the policy allows the tool;
    without it, the answer is no. Raises UsageError: two tools of one name, parameters that are no JSON Schema.
    """

    def __init__(
        self,
        tools: Iterable[Tool],
        *,
        home: str | os.PathLike[str],
        now: datetime | None = None,
        approve: Approve | None = None,
        policy: Policy | None = None,
        dry_run: bool = False,
        journal_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        self.tools: dict[str, Tool] = {}
        for tool in tools:
            check_schema(tool.spec)
            if self.tools.setdefault(tool.name, tool) is not tool:
                raise UsageError(f"two tools are named {tool.name!r}")
        self.home = pathlib.Path(home).expanduser().resolve()
        self.now = now
        self.approve = approve
        self.policy = policy or Policy()
        self.dry_run = dry_run
        self.journal_dir = journal_of(self.home, journal_dir)
        self.state: dict[str, Any] = {}  # every tool sees it as here().state
        self._run: pathlib.Path | None = None
        self._one_writer = threading.RLock()  # an approver may run a call of its own

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        return tuple(tool.spec for tool in self.tools.values())

    def begin(self) -> None:
        """What is written from now on is a new run for undo()."""
        with self._one_writer:
            self._run = None

    def place(self, journal: Journal | None = None) -> Place:
        return Place(self.home, self.now or datetime.now(), journal, self.state)

    def prepare(self, call: ToolCall, results: Mapping[int, str] | None = None, references: bool = False) -> Prepared | ToolResult:
        """The call filled in (with `results`), validated and resolved, or a result with the error; nothing runs.

        With `references`: a step of a plan that has not run yet, see check().
        """
        if not isinstance(call.name, str) or call.name not in self.tools:
            return ToolResult(call.id, error=f"no tool {quoted(call.name)}{nearest(call.name, self.tools)}")
        spec, place, arguments = self.tools[call.name].spec, self.place(), call.arguments
        try:
            if results is not None and isinstance(arguments, dict):
                arguments = fill(spec, arguments, results)
            if wrong := check(spec, arguments, references):
                raise ToolFailed("; ".join(wrong[:5]) + (f"; and {len(wrong) - 5} more" if len(wrong) > 5 else ""))
            arguments, notes, error = resolve(spec, arguments, place.now, references)
            if error:
                raise ToolFailed(error)
            with at(place):
                for path in of_format(spec.parameters, arguments, "path"):
                    inside_home(path)
        except ToolFailed as failure:
            return ToolResult(call.id, error=f"{spec.name}: {failure}")
        except RecursionError:
            return ToolResult(call.id, error=f"{spec.name}: the arguments are nested too deeply")
        return Prepared(replace(call, arguments=arguments), tuple(notes))

    def call(self, call: ToolCall, results: Mapping[int, str] | None = None) -> ToolResult:
        """Run one call; `results` are those of the earlier steps of its plan. Raises only what approve() raises."""
        prepared = self.prepare(call, results or {}, references=self.dry_run)
        if isinstance(prepared, ToolResult):
            return prepared
        if self.dry_run:
            return ToolResult(call.id, "(dry run)")
        tool = self.tools[call.name]
        with self._one_writer if tool.spec.writes else contextlib.nullcontext():
            refused = self._refused(tool.spec, prepared)
            return ToolResult(call.id, error=f"not approved: {refused}") if refused else self._perform(tool, prepared.call)

    def _refused(self, spec: ToolSpec, prepared: Prepared) -> str:
        """Why the call may not run; '' when it may."""
        if spec.name in self.policy.deny:
            return f"the policy denies {spec.name}"
        if not spec.writes or spec.name in self.policy.allow:
            return ""
        if self.approve is None:
            return "nobody is there to approve it"
        answer = self.approve(Request(prepared.call, spec, prepared.notes, show(prepared.call, spec, prepared.notes)))
        return "" if answer is True else answer if isinstance(answer, str) and answer else "the user said no"

    def _perform(self, tool: Tool, call: ToolCall) -> ToolResult:
        journal = Journal(keep=functools.partial(self._keep, call))
        if not tool.spec.writes:
            journal.close(f"{tool.name} may not write: it is not declared with @tool(writes=True)")
        outcome: list[ToolResult] = []

        def work() -> None:
            try:
                with at(self.place(journal)):
                    outcome.append(ToolResult(call.id, as_text(tool.fn(**call.arguments))))
            except ToolFailed as failure:
                outcome.append(ToolResult(call.id, error=str(failure)))
            except BaseException as error:  # sys.exit() in a tool is a failure of the tool
                outcome.append(ToolResult(call.id, error=f"{tool.name}: {explained(error)}"))

        thread = threading.Thread(target=contextvars.copy_context().run, args=(work,), daemon=True, name=tool.name)
        thread.start()
        try:
            thread.join(tool.timeout)
        finally:  # Ctrl-C, too, ends its writing
            journal.close(f"{tool.name} is over; it may write no more")
        return outcome[0] if outcome else ToolResult(call.id, error=f"{tool.name} did not finish within {tool.timeout:g} seconds")

    def _keep(self, call: ToolCall, entry: dict[str, Any]) -> None:
        """Put an entry of a tool's journal on disk. Its paths are stored relative to the home. Raises ToolFailed, OSError."""
        for path in (entry["path"], entry.get("to", self.home)):
            if pathlib.Path(path).is_relative_to(self.journal_dir):
                raise ToolFailed(f"{path} belongs to the journal of undo")
        if self._run is None or (self._run / "undone").exists():
            self._run = new_run(self.journal_dir)
        record(self._run, call.name, entry, self.home)


def as_text(value: Any) -> str:
    return value if isinstance(value, str) else "done" if value is None else json.dumps(value, ensure_ascii=False, default=str)


# --- the journal on disk --------------------------------------------------------------------------------------------------------------
# home/.toolagent/journal/000001-20250131-090000/   one directory a run, made at its first change
#     0001.json      {"tool", "op", "path", "to"?, "before": sha256 | null, "after": sha256, "folders"}, in the order of the changes
#     0001.before    what the file was
#     undone         this run was taken back


def journal_of(home: pathlib.Path, journal_dir: str | os.PathLike[str] | None = None) -> pathlib.Path:
    return pathlib.Path(journal_dir).expanduser().resolve() if journal_dir else home / ".toolagent" / "journal"


def new_run(folder: pathlib.Path) -> pathlib.Path:
    """A new directory, numbered first: a clock that is set back does not change which run is the last."""
    folder.mkdir(parents=True, exist_ok=True)
    number = 1 + max((int(run.name[:6]) for run in runs(folder)), default=0)
    while True:
        try:
            run = folder / f"{number:06d}-{datetime.now():%Y%m%d-%H%M%S}"
            run.mkdir(mode=0o700)
            return run
        except FileExistsError:
            number += 1


def runs(folder: pathlib.Path) -> list[pathlib.Path]:
    return sorted(run for run in folder.glob("[0-9]" * 6 + "-*") if run.is_dir())


def record(run: pathlib.Path, tool: str, entry: dict[str, Any], home: pathlib.Path) -> None:
    """Write one entry, its previous contents first: an entry that can be read is whole."""
    page = run / f"{len(list(run.glob('*.json'))) + 1:04d}"
    row = {"tool": tool, "op": entry["op"], "path": relative(entry["path"], home), "before": None}
    if entry["op"] == "move":
        row |= {"to": relative(entry["to"], home), "after": digest(pathlib.Path(entry["path"]))}
    else:
        row |= {"after": hashlib.sha256(entry["after"]).hexdigest()}
        if entry["before"] is not None:
            row["before"] = hashlib.sha256(entry["before"]).hexdigest()
            put(page.with_suffix(".before"), entry["before"])
    row["folders"] = [relative(f, home) for f in entry["folders"] if pathlib.Path(f).is_relative_to(home) and pathlib.Path(f) != home]
    put(page.with_suffix(".json"), json.dumps(row, indent=1).encode())


def relative(path: str, home: pathlib.Path) -> str:
    return str(pathlib.Path(path).relative_to(home))


def put(path: pathlib.Path, data: bytes) -> None:
    part = path.with_name(path.name + ".part")
    with open(part, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


def digest(path: pathlib.Path) -> str | None:
    """sha256 of a file; None: nothing is there."""
    if path.is_file():
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    return "no file" if path.exists() else None


def undo(home: str | os.PathLike[str], journal_dir: str | os.PathLike[str] | None = None) -> list[str]:
    """Take back the last run that was not taken back yet. Returns a sentence for each file; one that was changed since stays as it is."""
    base = pathlib.Path(home).expanduser().resolve()
    left = [run for run in runs(journal_of(base, journal_dir)) if any(run.glob("*.json")) and not (run / "undone").exists()]
    if not left:
        return ["there is nothing to undo"]
    told: list[str] = []
    again = False
    with at(Place(base, datetime.now())):
        for page in sorted(left[-1].glob("*.json"), reverse=True):
            try:
                told.append(take_back(json.loads(page.read_text("utf-8")), page.with_suffix(".before"), base))
            except (ToolFailed, OSError) as error:  # a full disk may have room later
                told.append(f"{visible(str(page))} is not undone, undo again: {brief(str(error), 300)}")
                again = True
            except (ValueError, KeyError, TypeError, RuntimeError) as error:
                told.append(f"{visible(str(page))} is not undone, the page cannot be read: {explained(error)}")
    if not again:
        put(left[-1] / "undone", b"")
    return list(dict.fromkeys(filter(None, told))) or ["nothing was left to undo"]


def take_back(row: dict[str, Any], before: pathlib.Path, base: pathlib.Path) -> str:
    """Undo one entry; '' when its change never happened, or is undone already. Raises ToolFailed, OSError."""
    path, name = base / row["path"], visible(row["path"])
    if path.resolve() != path:
        return f"left {name} as it is: a link stands in its place"
    now = digest(path)
    if row["op"] == "move":
        target, new = base / row["to"], visible(row["to"])
        if (now, digest(target)) == (None, row["after"]):
            move_file(target, path)
            sentence = f"moved {new} back to {name}"
        elif (now, digest(target)) == (row["after"], None):
            sentence = ""
        else:
            return f"left {new} where it is: it was changed since, or {name} is there again"
    elif now == row["before"]:
        sentence = ""
    elif now != row["after"]:
        return f"left {name} as it is: it was changed since"
    elif row["before"] is None:
        path.unlink()
        sentence = f"removed {name}"
    else:
        write_file(path, before.read_bytes())
        sentence = f"restored {name}"
    for folder in reversed(row["folders"]):
        with contextlib.suppress(OSError, ToolFailed):
            inside_home(folder).rmdir()
    return sentence
