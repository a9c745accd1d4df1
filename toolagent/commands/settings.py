"""The settings of a page as flags and as YAML: each field of its Args, its sentence the help. Args is read as text: --help loads no torch.

    options = flags("toolagent.train.sft");  settings = gathered("toolagent.train.sft", "sft.yaml", given)

A flag outweighs the file, the file outweighs the default. The fields of a nested dataclass are flags of their own: --width 192 --layers 8.
"""

from __future__ import annotations

import ast
import importlib.util
import math
import pathlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import click

from toolagent.errors import DataError, UsageError

NESTED = {"models.Shape": "toolagent.model"}  # an annotation that is a dataclass of its own -> the module that defines it


@dataclass(frozen=True)
class Field:
    """A setting as it stands in the source. `path`: ("shape", "width") for a field of a nested dataclass."""

    path: tuple[str, ...]
    kind: str  # the annotation: int, float, str, bool, tuple[str, ...]
    default: Any
    help: str

    @property
    def name(self) -> str:
        return self.path[-1]


def fields_of(module: str, name: str, path: tuple[str, ...] = ()) -> list[Field]:
    """The fields of a dataclass, its bases' first, without importing its module."""
    spec = importlib.util.find_spec(module)
    assert spec is not None and spec.origin is not None
    tree = ast.parse(pathlib.Path(spec.origin).read_text("utf-8"))
    made_in = {a.asname or a.name: n.module for n in tree.body if isinstance(n, ast.ImportFrom) and n.module for a in n.names}
    body = next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == name)
    found: list[Field] = []
    for base in body.bases:
        if isinstance(base, ast.Name):
            found += fields_of(made_in.get(base.id, module), base.id, path)
    for at, node in enumerate(body.body):
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        kind = ast.unparse(node.annotation)
        if kind in NESTED:
            found += fields_of(NESTED[kind], kind.split(".")[-1], (*path, node.target.id))
            continue
        after = body.body[at + 1] if at + 1 < len(body.body) else None
        text = after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else ""
        found.append(Field((*path, node.target.id), kind, ast.literal_eval(node.value) if node.value else None, str(text)))
    return found


def flags(module: str) -> Any:
    """The fields of a page's Args as options. One flag serves fields of one name: --context is the rows' and the shape's."""

    def add(command: Any) -> Any:
        rows: dict[str, Field] = {}
        for field in fields_of(module, "Args"):
            rows.setdefault(field.name, field)
        for name, field in reversed(rows.items()):
            flag = "--" + name.replace("_", "-")
            default = "" if field.default in ("", (), False, None) else f"  [default: {field.default}]"
            settings: dict[str, Any] = {"default": None, "help": (field.help + default).strip() or None}
            if field.kind == "bool":
                command = click.option(f"{flag}/--no-{flag[2:]}" if field.default else flag, is_flag=True, **settings)(command)
            elif field.kind.startswith("tuple"):  # files
                command = click.option(flag, multiple=True, metavar="FILE", **settings)(command)
            else:
                command = click.option(flag, type={"int": int, "float": float}.get(field.kind, str), **settings)(command)
        return command

    return add


def from_file(path: str, fields: list[Field]) -> dict[tuple[str, ...], Any]:
    """The settings of a YAML file, by the path of their field; `context: 512` is for all fields of that name, as a flag is, where none of them
    is said by its path (`shape: {context: 512}`). Raises DataError, with path and line: an unknown key, with the nearest; a key that is said
    twice; a value of another type."""
    try:
        import yaml
    except ImportError as error:
        raise UsageError("--config needs PyYAML: pip install 'toolagent[train]'") from error
    from toolagent.toolbox import nearest

    found: dict[tuple[str, ...], Any] = {}
    by_name: dict[tuple[str, ...], Any] = {}
    lines: dict[tuple[str, ...], int] = {}
    try:
        loader = yaml.SafeLoader(pathlib.Path(path).read_text("utf-8"))
        root = loader.get_single_node()
        if not isinstance(root, yaml.MappingNode):
            raise DataError(f"{path}: must be settings, one 'key: value' a line")
        rooms = {field.path[:-1] for field in fields}
        for key, name, value, line in keys_of(root, rooms):
            place = f"{path}:{line}"
            if name in lines:
                raise DataError(f"{place}: {key!r} is said twice; first in line {lines[name]}")
            lines[name] = line
            same = [field for field in fields if len(name) == 1 and field.name == name[0]]
            wanted = [field for field in fields if field.path == name] or same
            if name in rooms:
                own = ", ".join(field.name for field in fields if field.path[:-1] == name)
                raise DataError(f"{place}: {key} must hold settings of its own ({own})")
            if not wanted:
                raise DataError(f"{place}: unknown key {key!r}{nearest(key, [field.name for field in fields])}")
            found[wanted[0].path] = typed(loader.construct_object(value, deep=True), wanted[0], place)
            by_name |= {field.path: found[wanted[0].path] for field in same}
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise DataError(f"{path}: {' '.join(str(getattr(error, 'strerror', None) or error).split())}") from error
    return {**by_name, **found}


def keys_of(node: Any, rooms: Collection[tuple[str, ...]], room: tuple[str, ...] = ()) -> list[tuple[str, tuple[str, ...], Any, int]]:
    """(key as it is written, its path, YAML node of its value, line); `rooms` are opened (`shape: {width: 3}`), after the keys beside them."""
    rows, inner = [], []
    for key, value in node.value:
        name = (*room, *str(key.value).replace("-", "_").split("."))
        if name in rooms and value.id == "mapping":
            inner += keys_of(value, rooms, name)
        else:
            rows.append((".".join((*room, str(key.value))), name, value, key.start_mark.line + 1))
    return rows + inner


def typed(value: Any, field: Field, place: str) -> Any:
    """The value as its field wants it: 1e-3 is a float although YAML reads a text, a lone file is a list of one. Raises DataError."""
    key = ".".join(field.path)
    names = {"int": "a whole number", "float": "a number", "str": "a text", "bool": "true or false"}
    if field.kind.startswith("tuple"):
        items = value if isinstance(value, list) else [value]
        if all(isinstance(item, str) for item in items):
            return tuple(items)
        raise DataError(f"{place}: {key} must be a list of files, not {value!r}")
    try:
        if field.kind == "float" and not isinstance(value, bool) and math.isfinite(float(value)):
            return float(value)
    except (TypeError, ValueError, OverflowError):
        pass
    if field.kind != "float" and type(value).__name__ == field.kind:
        return value
    raise DataError(f"{place}: {key} must be {names[field.kind]}, not {value!r}")


def settings_of(given: Mapping[tuple[str, ...], Any]) -> dict[str, Any]:
    """{"lr": ..., "shape": {"width": ...}} of what was given; the rest keeps the defaults of the page."""
    found: dict[str, Any] = {}
    for path, value in given.items():
        place = found
        for key in path[:-1]:
            place = place.setdefault(key, {})
        place[path[-1]] = value
    return found


def gathered(module: str, config: str | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """What the file says, and over it what the flags say: the arguments of the page's Args."""
    fields = fields_of(module, "Args")
    said = {name: value for name, value in given.items() if value not in (None, ())}
    flagged = {field.path: said[field.name] for field in fields if field.name in said}
    return settings_of({**(from_file(config, fields) if config else {}), **flagged})
