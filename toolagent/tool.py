"""@tool: a typed function with a docstring becomes a tool: its JSON Schema for the model, its hands for the toolbox.

    @tool(writes=True)
    def create_note(name: Name, content: Text, folder: str = "") -> Path:
        '''Write a new note.

        Args:
            name: title of the note
            content: what it says
            folder: folder of the note
        '''

The schema equals transformers.utils.get_json_schema's for Google-style docstrings, except that other sections (Examples, Note) do not get
into its texts; NumPy and Sphinx styles and Annotated[T, "description"] are read as well. A parameter without a description or a type is an
error with file and line. The kinds below (Email, When ...) are strings with a "format": code checks and resolves them, and a result of one
kind fits an argument of the same kind. An argument typed as an Enum reaches the function as the plain value.

A tool that writes calls write_file / move_file: atomic, inside the home only, and noted in the journal that `toolagent undo` reads.
Left out: *args/**kwargs, positional-only parameters, methods.
"""

from __future__ import annotations

import contextlib
import contextvars
import enum
import inspect
import json
import os
import pathlib
import re
import tempfile
import threading
import types
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from toolagent.errors import ToolDefinitionError, ToolFailed
from toolagent.types import ToolSpec


@dataclass(frozen=True)
class Kind:
    """Marks a string type with the "format" of its JSON Schema."""

    format: str


Email = Annotated[str, Kind("email")]
Phone = Annotated[str, Kind("phone")]
Path = Annotated[str, Kind("path")]
Link = Annotated[str, Kind("uri")]
When = Annotated[str, Kind("date-time")]  # reaches the function resolved: 'YYYY-MM-DD HH:MM:SS', or 'YYYY-MM-DD' for a whole day
Name = Annotated[str, Kind("name")]  # words of the request: a person, a title, a place
Text = Annotated[str, Kind("text")]  # free text, written or passed on

SCALARS: dict[Any, dict[str, Any]] = {
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
    list: {"type": "array"},
    tuple: {"type": "array"},
    dict: {"type": "object"},
    Any: {},
}
JSON_TYPE = {int: "integer", float: "number", str: "string", bool: "boolean", type(None): "null"}


@dataclass(frozen=True)
class Tool:
    """A spec and the function behind it. `timeout` in seconds."""

    spec: ToolSpec
    fn: Callable[..., Any]
    timeout: float = 30.0

    @property
    def name(self) -> str:
        return self.spec.name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.fn(*args, **kwargs)


@typing.overload
def tool(fn: Callable[..., Any]) -> Tool: ...
@typing.overload
def tool(*, name: str = ..., writes: bool = ..., timeout: float = ...) -> Callable[[Callable[..., Any]], Tool]: ...
def tool(fn: Any = None, *, name: str = "", writes: bool = False, timeout: float = 30.0) -> Any:
    """Make a Tool of a function. `writes`: it changes something, so it needs approval. `timeout`: seconds it may take.

    Raises ToolDefinitionError (file, line, what to change).
    """

    def make(function: Callable[..., Any]) -> Tool:
        return Tool(spec_of(function, name=name, writes=writes), function, timeout)

    return make(fn) if fn is not None else make


def spec_of(fn: Callable[..., Any], name: str = "", writes: bool = False) -> ToolSpec:
    """Signature + docstring -> ToolSpec. Raises ToolDefinitionError."""
    where = place_of(fn)
    doc = inspect.getdoc(fn)
    if not doc:
        raise ToolDefinitionError(f"{where}: the function needs a docstring: the model reads it")
    description, described, returns_text = parse_docstring(doc)
    try:
        hints = typing.get_type_hints(fn, include_extras=True)
    except (NameError, AttributeError, TypeError, SyntaxError) as error:
        raise ToolDefinitionError(f"{where}: a type hint cannot be read: {error}") from error
    properties: dict[str, Any] = {}
    required: list[str] = []
    for parameter in inspect.signature(fn).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise ToolDefinitionError(f"{where}: parameter {parameter.name!r} must be a plain named parameter")
        if parameter.name not in hints:
            raise ToolDefinitionError(f"{where}: parameter {parameter.name!r} needs a type hint")
        hint = hints[parameter.name]
        try:
            schema = schema_of(hint)
        except TypeError as error:
            raise ToolDefinitionError(f"{where}: parameter {parameter.name!r}: {error}") from error
        text = described.get(parameter.name) or annotated_text(hint)
        if not text:
            raise ToolDefinitionError(f"{where}: parameter {parameter.name!r} has no description; add it under 'Args:' in the docstring")
        if choices := re.search(r"\(choices:\s*(.*?)\)\s*$", text, flags=re.IGNORECASE):
            try:
                values = json.loads(choices[1])
            except ValueError as error:
                raise ToolDefinitionError(f"{where}: the choices of {parameter.name!r} are no JSON list: {choices[1]}") from error
            schema["enum"] = [c.strip() if isinstance(c, str) else c for c in values]
            text = text[: choices.start()].strip()
        schema["description"] = text
        properties[parameter.name] = schema
        if parameter.default is parameter.empty:
            required.append(parameter.name)
    parameters: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        parameters["required"] = required
    returns = None
    if "return" in hints:
        with contextlib.suppress(TypeError):
            returns = schema_of(hints["return"])
            if returns_text is not None:
                returns["description"] = returns_text
    return ToolSpec(name or fn.__name__, description, parameters, returns, writes)


def place_of(fn: Callable[..., Any]) -> str:
    try:
        return f"{inspect.getsourcefile(fn)}:{inspect.getsourcelines(fn)[1]}: {fn.__name__}"
    except (TypeError, OSError):
        return getattr(fn, "__name__", repr(fn))


def annotated_text(hint: Any) -> str:
    """The description in Annotated[T, "text"] or Annotated[T, Field(description="text")], alone or in a union."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        for extra in args[1:]:
            if isinstance(extra, str):
                return extra
            if isinstance(getattr(extra, "description", None), str):
                return str(extra.description)
    if origin is Union or origin is types.UnionType:
        return next(filter(None, map(annotated_text, args)), "")
    return ""


def enum_schema(values: list[Any]) -> dict[str, Any]:
    """The types stand in the order in which the values name them. Raises TypeError for a value that JSON cannot hold."""
    if strange := [v for v in values if type(v) not in JSON_TYPE]:
        raise TypeError(f"the choice {strange[0]!r} is no JSON value; use str, int, float, bool or None")
    if not values:
        raise TypeError("an Enum needs a member")
    names = list(dict.fromkeys(JSON_TYPE[type(v)] for v in values))
    return {"type": names[0] if len(names) == 1 else names, "enum": values}


def schema_of(hint: Any) -> dict[str, Any]:
    """Type hint -> JSON Schema, as get_json_schema writes it, plus "format" for a Kind. Raises TypeError with the reason."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        schema = schema_of(args[0])
        for extra in args[1:]:
            if isinstance(extra, Kind):
                schema["format"] = extra.format
        return schema
    if origin is None and isinstance(hint, type) and issubclass(hint, enum.Enum):
        return enum_schema([member.value for member in hint])
    if origin in SCALARS and not args:
        return dict(SCALARS[origin])  # typing.List, typing.Dict, typing.Tuple
    if origin is None:
        if hint not in SCALARS:
            raise TypeError(
                f"type {hint!r} has no JSON Schema; use str, int, float, bool, list, dict, tuple, Literal, an Enum or a union of them"
            )
        return dict(SCALARS[hint])
    if origin is Union or origin is types.UnionType:
        options = [schema_of(a) for a in args if a is not type(None)]
        if len(options) == 1:
            schema = options[0]
        elif all(o.keys() == {"type"} and isinstance(o["type"], str) for o in options):
            names = sorted({o["type"] for o in options})
            schema = {"type": names[0] if len(names) == 1 else names}
        else:
            schema = {"anyOf": options}
        if type(None) in args:
            schema["nullable"] = True
        return schema
    if origin is Literal:
        return enum_schema(list(args))
    if origin is list:
        return {"type": "array", "items": schema_of(args[0])}
    if origin is tuple:
        if len(args) == 1 or ... in args:
            raise TypeError("use list[T] instead of a tuple of one or of any length")
        return {"type": "array", "prefixItems": [schema_of(a) for a in args]}
    if origin is dict:
        return {"type": "object", "additionalProperties": schema_of(args[1])}
    raise TypeError(f"type {hint!r} has no JSON Schema")


SECTION = re.compile(
    r"^(Args|Arguments|Parameters|Params|Returns|Return|Yields|Raises|Examples?|Notes?|See Also|References|Attributes):?\s*$"
)


def parse_docstring(doc: str) -> tuple[str, dict[str, str], str | None]:
    """(description, parameter -> text, returns text) of a Google, NumPy or Sphinx docstring."""
    if re.search(r"^:(param|parameter|arg|argument)\b", doc, re.M):
        return parse_sphinx(doc)
    if re.search(r"^(Parameters|Returns)\n-{3,}\s*$", doc, re.M):
        return parse_numpy(doc)
    return parse_google(doc)


def sections(doc: str) -> tuple[str, dict[str, list[str]]]:
    """The text before the first section, and each section's lines by its first name."""
    head: list[str] = []
    found: dict[str, list[str]] = {}
    into = head
    for line in doc.expandtabs().splitlines():
        if match := SECTION.match(line):
            into = found.setdefault({"Arguments": "Args", "Return": "Returns"}.get(match[1], match[1]), [])
        else:
            into.append(line)
    return "\n".join(head).strip(), found


def parse_google(doc: str) -> tuple[str, dict[str, str], str | None]:
    head, found = sections(doc)
    described: dict[str, str] = {}
    lines = [line for line in found.get("Args", []) if line.strip()]
    margin = len(lines[0]) - len(lines[0].lstrip()) if lines else 0
    name = ""
    for line in lines:
        entry = re.match(r"(\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)$", line.strip())
        if entry and len(line) - len(line.lstrip()) <= margin:
            name = entry[1]
            described[name] = entry[2].strip()
        elif name:
            described[name] = f"{described[name]} {line.strip()}".strip()
    returns = "\n".join(found["Returns"]).strip() if "Returns" in found else None
    return head, described, returns


def parse_numpy(doc: str) -> tuple[str, dict[str, str], str | None]:
    head, found = sections(re.sub(r"^(\w[\w ]*)\n-{3,}\s*$", r"\1", doc, flags=re.M))
    described: dict[str, str] = {}
    names: list[str] = []
    for line in found.get("Parameters", []):
        if line.strip() and not line.startswith(" "):
            names = [name.strip() for name in line.split(":")[0].split(",")]  # "x, y : float" describes both
            described |= dict.fromkeys(names, "")
        elif line.strip():
            described |= {name: f"{described[name]} {line.strip()}".strip() for name in names}
    body = [line.strip() for line in found.get("Returns", []) if line.startswith(" ") and line.strip()]
    return head, described, " ".join(body) if body else None


def parse_sphinx(doc: str) -> tuple[str, dict[str, str], str | None]:
    head, *fields = re.split(r"^:", doc, flags=re.M)
    described: dict[str, str] = {}
    returns = None
    for text in fields:
        label, _, body = text.partition(":")
        words = label.split()
        clean = " ".join(body.split())
        if words and words[0] in ("param", "parameter", "arg", "argument") and len(words) > 1:
            described[words[-1]] = clean
        elif words and words[0] in ("return", "returns"):
            returns = clean
    return head.strip(), described, returns


# --- where a tool works: its home, its clock, its journal ---------------------------------------------------------------------------


@dataclass
class Journal:
    """What the tools of one call do to files, noted BEFORE it is done, so that it can be taken back (toolagent.toolbox.undo).

    An entry: {"op": "write", "path", "before": bytes | None, "after": bytes, "folders"} or {"op": "move", "path", "to", "folders"}.
    `keep` is told each entry first (the toolbox puts it on disk). A journal that was closed refuses every later change with that reason.
    """

    entries: list[dict[str, Any]] = field(default_factory=list)
    keep: Callable[[dict[str, Any]], None] | None = None
    closed: str = ""
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    @contextlib.contextmanager
    def change(self, entry: dict[str, Any]) -> Iterator[None]:
        """Note the entry, then let the caller make the change; close() waits for it. Raises ToolFailed when closed."""
        with self.lock:
            if self.closed:
                raise ToolFailed(self.closed)
            if self.keep is not None:
                self.keep(entry)
            self.entries.append(entry)
            yield

    def close(self, reason: str) -> None:
        with self.lock:
            self.closed = self.closed or reason


@dataclass(frozen=True)
class Place:
    """Where and when a tool runs. `env` holds settings (TOOLAGENT_*)."""

    home: pathlib.Path
    now: datetime
    journal: Journal | None = None
    state: dict[str, Any] = field(default_factory=dict)


_place: contextvars.ContextVar[Place | None] = contextvars.ContextVar("toolagent_place", default=None)


@contextlib.contextmanager
def at(place: Place) -> Iterator[Place]:
    """Tools called inside work at this place."""
    token = _place.set(place)
    try:
        yield place
    finally:
        _place.reset(token)


def here() -> Place:
    """The place in force; outside a toolbox: TOOLAGENT_HOME (or ~/toolagent) and the clock."""
    place = _place.get()
    if place is None:
        place = Place(pathlib.Path(os.environ.get("TOOLAGENT_HOME") or pathlib.Path.home() / "toolagent"), datetime.now())
    return place


def home() -> pathlib.Path:
    """The folder that holds the user's calendar, contacts, notes, mail and files."""
    return here().home


def now() -> datetime:
    """The time of the request."""
    return here().now


def inside_home(path: str | os.PathLike[str]) -> pathlib.Path:
    """The absolute path, or ToolFailed when it (or what a link in it points to) lies outside the home."""
    base = home().resolve()
    try:
        full = (base / path).resolve()
    except (ValueError, OSError, RuntimeError) as error:
        raise ToolFailed(f"{str(path)[:200]!r} is no path: {error}") from error
    if not full.is_relative_to(base):
        raise ToolFailed(f"{str(path)[:200]!r} lies outside the home {base}")
    return full


def write_file(path: str | os.PathLike[str], data: str | bytes) -> pathlib.Path:
    """Write a file inside the home: whole or not at all (temporary file + rename), and noted in the journal for undo.

    Returns the absolute path. Raises ToolFailed: outside the home, not writable, disk full.
    """
    full = inside_home(path)
    raw = data.encode("utf-8") if isinstance(data, str) else data
    try:
        before = full.read_bytes() if full.exists() else None
        folders = absent(full)
        with changing({"op": "write", "path": str(full), "before": before, "after": raw, "folders": folders}):
            make(folders)
            handle, temporary = tempfile.mkstemp(dir=full.parent, prefix=".toolagent-")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(raw)
                os.chmod(temporary, full.stat().st_mode & 0o777 if before is not None else 0o644)
                os.replace(temporary, full)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(temporary)
                raise
    except OSError as error:
        raise ToolFailed(f"cannot write {full}: {error.strerror or error}") from error
    return full


def move_file(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> pathlib.Path:
    """Move a file inside the home; noted in the journal. Refuses to overwrite. Raises ToolFailed."""
    old, new = inside_home(source), inside_home(target)
    try:
        if new.exists():
            raise ToolFailed(f"{new} exists already")
        if not old.exists():
            raise ToolFailed(f"there is no {old}")
        folders = absent(new)
        with changing({"op": "move", "path": str(old), "to": str(new), "folders": folders}):
            make(folders)
            os.rename(old, new)
    except OSError as error:
        raise ToolFailed(f"cannot move {old} to {new}: {error.strerror or error}") from error
    return new


def absent(path: pathlib.Path) -> list[str]:
    """The folders above the path that do not exist yet, outermost first."""
    return [str(folder) for folder in reversed(path.parents) if not folder.exists()]


def make(folders: list[str]) -> None:
    for folder in folders:
        os.makedirs(folder, exist_ok=True)  # the journal may have made one of them, or another call


def changing(entry: dict[str, Any]) -> contextlib.AbstractContextManager[None]:
    """Around a change of files: noted in the journal in force, if there is one, before it is made."""
    journal = here().journal
    return contextlib.nullcontext() if journal is None else journal.change(entry)
