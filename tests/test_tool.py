"""@tool: the schema that a model reads, held against transformers; where tools work; files that are whole or not at all."""

import dataclasses
import enum
import inspect
import os
import pathlib
import threading
from datetime import datetime
from typing import Annotated, Any, Dict, List, Literal, Optional, Tuple, Union  # noqa: UP035 (people still write them)

import pytest

from toolagent.errors import ToolDefinitionError, ToolFailed
from toolagent.tool import (
    Email,
    Journal,
    Link,
    Name,
    Path,
    Phone,
    Place,
    Text,
    When,
    at,
    here,
    home,
    inside_home,
    move_file,
    now,
    spec_of,
    tool,
    write_file,
)

NOW = datetime(2025, 11, 24, 10, 0)


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 9


# --- Google style: the schema of transformers.utils.get_json_schema -----------------------------------------------------------------


def nothing():
    """Say the time."""


def scalars(count: int, weight: float, label: str, urgent: bool):
    """Weigh parcels.

    Args:
        count: how many
        weight: in kilograms
        label: what stands on it
        urgent: today
    """


def defaults(count: int, label: str = "", urgent: bool = False) -> str:
    """Weigh parcels.

    Args:
        count: how many
        label: what stands on it
        urgent: today

    Returns:
        What the scale says.
    """


def lists(names: list[str], table: list[list[int]], anything: list, old: List[float], older: List) -> list[str]:  # noqa: UP006
    """Sort.

    Args:
        names: of people
        table: of numbers
        anything: at all
        old: as it was written
        older: without an item
    """


def objects(counts: dict[str, int], free: dict, nested: dict[str, list[bool]], old: Dict[str, Any], older: Dict) -> dict[str, float]:  # noqa: UP006
    """Count.

    Args:
        counts: by name
        free: of any shape
        nested: lists by name
        old: as it was written
        older: without a value
    """


def tuples(point: tuple[int, int], pair: tuple[str, list[int]], some: tuple, old: Tuple[float, float]) -> tuple[int, int]:  # noqa: UP006
    """Draw.

    Args:
        point: x and y
        pair: a name and its numbers
        some: of any length
        old: as it was written
    """


def optional(limit: int | None = None, names: list[str] | None = None, old: Optional[str] = None, needed: Optional[int] = 3):  # noqa: UP045
    """Search.

    Args:
        limit: most results
        names: of people
        old: as it was written
        needed: with another default
    """


def unions(size: int | str, amount: Union[int, float], both: list | tuple, mixed: str | list[str], wide: int | str | None):  # noqa: UP007
    """Measure.

    Args:
        size: a number or a word
        amount: of money
        both: one after the other
        mixed: one or several
        wide: or nothing
    """


def choices(
    mode: Literal["walk", "ride"], level: Literal[1, 2.5, "max", True], maybe: Literal["a", None], free: Literal["x", "y"] | None = None
) -> Literal["ok"]:
    """Travel.

    Args:
        mode: how
        level: how much
        maybe: or nothing
        free: left out or not
    """


def enums(colour: Colour, level: Level, colours: list[Colour] | None = None) -> Colour:
    """Paint.

    Args:
        colour: of the wall
        level: of light
        colours: of the doors
    """


def anything(value: Any, values: list[Any], either: Any | None = None) -> Any:
    """Keep.

    Args:
        value: what
        values: more of it
        either: or nothing
    """


def drinks(drink: str, size: int, kinds: str):
    """Pour a drink.

    Args:
        drink: what to pour (choices: ["tea", " coffee "])
        size: in decilitres (choices: [1, 2, 5])
        kinds: one of (several) kinds
    """


def long_texts(path: str, url: str, note: str = "") -> str:
    """Copy a file, and say so.

    It may take a while: large files
    are copied in pieces.

    Args:
        path (str): where it lies; a path
            that is relative starts at home
        url (str, optional): where it goes, e.g. https://example.org:8080/x

            and on after a blank line
        note: kept with it

    Returns:
        str: two lines: the first
            and the second.

    Raises:
        ValueError: when it is not there
    """


def unusual_indent(a: int, b: int):
    """Add.

    Args:
      a: first
          summand
      b: second: the other one
    """


GOOGLE = [
    nothing, scalars, defaults, lists, objects, tuples, optional, unions, choices, enums, anything, drinks, long_texts, unusual_indent,
]  # fmt: skip


@pytest.mark.parametrize("fn", GOOGLE, ids=lambda fn: fn.__name__)
def test_the_schema_is_that_of_transformers(fn):
    reference = pytest.importorskip("transformers.utils").get_json_schema
    assert spec_of(fn).to_json() == reference(fn)


def described(fn):
    return {name: schema["description"] for name, schema in spec_of(fn).properties.items()}


def test_texts_of_several_lines_stand_on_one():
    assert described(long_texts) == {
        "path": "where it lies; a path that is relative starts at home",
        "url": "where it goes, e.g. https://example.org:8080/x and on after a blank line",
        "note": "kept with it",
    }
    assert spec_of(long_texts).description == "Copy a file, and say so.\n\nIt may take a while: large files\nare copied in pieces."


def test_other_sections_are_not_for_the_model():
    def area(width: float) -> float:
        """Area of a square.

        Note:
            Not of a circle.

        Args:
            width: of a side

        Examples:
            area(2) is 4
        """

    spec = spec_of(area)
    assert (spec.description, described(area)) == ("Area of a square.", {"width": "of a side"})


# --- the other ways to describe -----------------------------------------------------------------------------------------------------

WANTED = {"x": "to the right", "y": "to the top, which may take a second line"}


def test_numpy_style():
    def move(x: float, y: float = 0) -> str:
        """Move the pen.

        It draws.

        Parameters
        ----------
        x : float
            to the right
        y : float, optional
            to the top, which may
            take a second line

        Returns
        -------
        str
            where it is

        Notes
        -----
        Nothing.
        """

    spec = spec_of(move)
    assert (spec.description, described(move), spec.required) == ("Move the pen.\n\nIt draws.", WANTED, ("x",))
    assert spec.returns == {"type": "string", "description": "where it is"}


def test_numpy_style_describes_two_at_once():
    def move(x: float, y: float):
        """Move the pen.

        Parameters
        ----------
        x, y : float
            in millimetres
        """

    assert described(move) == {"x": "in millimetres", "y": "in millimetres"}


def test_sphinx_style():
    def move(x: float, y: float = 0) -> str:
        """Move the pen.

        :param x: to the right
        :param float y: to the top, which may
            take a second line
        :type x: float
        :returns: where it is
        :raises ValueError: when it fell
        """

    spec = spec_of(move)
    assert (spec.description, described(move)) == ("Move the pen.", WANTED)
    assert spec.returns == {"type": "string", "description": "where it is"}


@dataclasses.dataclass(frozen=True)
class Field:
    """As pydantic's, as far as a tool reads it."""

    description: str


def test_annotated_texts_and_fields():
    def move(
        x: Annotated[float, "to the right"],
        y: Annotated[float, Field("to the top")],
        z: Annotated[int, Field("up")] | None = None,
        name: Annotated[str, "not this"] = "",
        to: Annotated[Email, "whom to tell"] = "",
    ):
        """Move the pen.

        Args:
            name: the docstring goes first
        """

    assert described(move) == {"x": "to the right", "y": "to the top", "z": "up", "name": "the docstring goes first", "to": "whom to tell"}
    assert spec_of(move).properties["z"] == {"type": "integer", "nullable": True, "description": "up"}
    assert spec_of(move).properties["to"]["format"] == "email"


def test_pydantics_field():
    pydantic = pytest.importorskip("pydantic")

    def move(x):
        """Move the pen."""

    move.__annotations__ = {"x": Annotated[float, pydantic.Field(description="to the right")]}
    assert described(move) == {"x": "to the right"}


def test_kinds_are_formats():
    def send(
        name: Name,
        to: list[Email],
        number: Phone | None,
        file: Path,
        link: Link,
        at: When,
        text: Text,
        plain: str,
        when: When | None = None,
    ) -> Path:
        """Send.

        Args:
            name: a
            to: b
            number: c
            file: d
            link: e
            at: f
            text: g
            plain: h
            when: i
        """

    properties = spec_of(send).properties
    formats = {name: schema.get("format") or schema.get("items", {}).get("format") for name, schema in properties.items()}
    assert formats == {
        "name": "name", "to": "email", "number": "phone", "file": "path", "link": "uri", "at": "date-time", "text": "text", "plain": None,
        "when": "date-time",
    }  # fmt: skip
    assert properties["when"] == {"type": "string", "format": "date-time", "nullable": True, "description": "i"}
    assert spec_of(send).returns == {"type": "string", "format": "path"}


def test_a_tool_is_still_its_function():
    @tool(name="double", writes=True, timeout=5)
    def twice(n: int) -> int:
        """Double.

        Args:
            n: what
        """
        return 2 * n

    assert (twice(4), twice.name, twice.spec.writes, twice.timeout, twice.spec.required) == (8, "double", True, 5, ("n",))


# --- what cannot be a tool ----------------------------------------------------------------------------------------------------------


def undocumented(x: int):
    pass


def undescribed(x: int, y: int):
    """Add.

    Args:
        x: first
    """


def untyped(x):
    """Add.

    Args:
        x: first
    """


def strange_type(x: pathlib.Path):
    """Add.

    Args:
        x: first
    """


def unknown_type(x: "Missing"):  # noqa: F821
    """Add.

    Args:
        x: first
    """


def no_json(x: Literal[b"a"]):
    """Add.

    Args:
        x: first
    """


class Shape(enum.Enum):
    SQUARE = (1, 1)


def no_scalar(x: Shape):
    """Add.

    Args:
        x: first
    """


def endless(x: tuple[int, ...]):
    """Add.

    Args:
        x: first
    """


def many(*x: int):
    """Add.

    Args:
        x: all
    """


def by_place(x: int, /):
    """Add.

    Args:
        x: first
    """


def broken_choices(x: str):
    """Add.

    Args:
        x: first (choices: [tea, coffee])
    """


@pytest.mark.parametrize(
    ("fn", "complaint"),
    [
        (undocumented, "the function needs a docstring: the model reads it"),
        (undescribed, "parameter 'y' has no description; add it under 'Args:' in the docstring"),
        (untyped, "parameter 'x' needs a type hint"),
        (strange_type, "parameter 'x': type <class 'pathlib.Path'> has no JSON Schema"),
        (unknown_type, "a type hint cannot be read: name 'Missing' is not defined"),
        (no_json, "parameter 'x': the choice b'a' is no JSON value"),
        (no_scalar, "parameter 'x': the choice (1, 1) is no JSON value"),
        (endless, "parameter 'x': use list[T] instead of a tuple of one or of any length"),
        (many, "parameter 'x' must be a plain named parameter"),
        (by_place, "parameter 'x' must be a plain named parameter"),
        (broken_choices, "the choices of 'x' are no JSON list: [tea, coffee]"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_error_names_file_and_line(fn, complaint):
    with pytest.raises(ToolDefinitionError) as error:
        tool(fn)
    line = inspect.getsourcelines(fn)[1]
    assert str(error.value).startswith(f"{__file__}:{line}: {fn.__name__}: {complaint}")


# --- where a tool works -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def place(tmp_path):
    with at(Place(tmp_path / "home", NOW, Journal())) as found:
        yield found


def test_home_and_now_are_those_of_the_place(tmp_path):
    outer, inner = Place(tmp_path / "a", NOW), Place(tmp_path / "b", datetime(2026, 1, 1))
    with at(outer):
        with at(inner):
            assert (home(), now()) == (tmp_path / "b", datetime(2026, 1, 1))
        assert (home(), now(), here()) == (tmp_path / "a", NOW, outer)


def test_a_thread_of_its_own_has_no_place(place, monkeypatch):
    monkeypatch.setenv("TOOLAGENT_HOME", "/elsewhere")
    found = []
    thread = threading.Thread(target=lambda: found.append(home()))
    thread.start()
    thread.join()
    assert found == [pathlib.Path("/elsewhere")]


def test_without_a_place_it_is_the_users_home_and_the_clock(monkeypatch):
    monkeypatch.setenv("TOOLAGENT_HOME", "/srv/ana")
    assert home() == pathlib.Path("/srv/ana")
    monkeypatch.delenv("TOOLAGENT_HOME")
    assert home() == pathlib.Path.home() / "toolagent"
    before = datetime.now()
    assert before <= now() <= datetime.now()


def test_paths_stay_inside_the_home(place, tmp_path):
    assert inside_home("notes/a.md") == tmp_path.resolve() / "home/notes/a.md"
    assert inside_home(place.home / "a" / ".." / "b") == tmp_path.resolve() / "home/b"
    for path in ("../outside", "/etc/passwd", "a/../../outside", place.home.parent):
        with pytest.raises(ToolFailed, match="lies outside the home"):
            inside_home(path)
    with pytest.raises(ToolFailed, match="is no path"):
        inside_home("a\0b")


def test_a_link_is_no_way_out(place, tmp_path):
    place.home.mkdir()
    (tmp_path / "outside").mkdir()
    try:
        (place.home / "door").symlink_to(tmp_path / "outside")
    except OSError:
        pytest.skip("this system (or user) makes no symbolic links")
    for act in (lambda: inside_home("door/x"), lambda: write_file("door/x", "y"), lambda: move_file("door/x", "y")):
        with pytest.raises(ToolFailed, match="lies outside the home"):
            act()
    assert list((tmp_path / "outside").iterdir()) == []


# --- files --------------------------------------------------------------------------------------------------------------------------


def test_a_file_is_written_with_its_folders_and_noted(place):
    path = write_file("notes/Work/plan.md", "1. draft ✓")
    assert path == place.home.resolve() / "notes/Work/plan.md" and path.read_bytes() == "1. draft ✓".encode()
    write_file("notes/Work/plan.md", b"2. review")
    first, second = place.journal.entries
    assert (first["op"], first["path"], first["before"], first["after"]) == ("write", str(path), None, "1. draft ✓".encode())
    assert first["folders"] == [str(place.home.resolve()), str(place.home.resolve() / "notes"), str(place.home.resolve() / "notes/Work")]
    assert (second["before"], second["after"], second["folders"]) == ("1. draft ✓".encode(), b"2. review", [])


@pytest.mark.skipif(os.name == "nt", reason="modes of POSIX")
def test_a_file_keeps_its_mode(place):
    path = write_file("secret", "a")
    assert path.stat().st_mode & 0o777 == 0o644
    path.chmod(0o600)
    assert write_file("secret", "b").stat().st_mode & 0o777 == 0o600


def test_a_file_that_does_not_fit_leaves_the_old_one(place):
    resource = pytest.importorskip("resource")
    path = write_file("list.txt", "bread")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))  # bytes: what a full disk does to a large file
    try:
        with pytest.raises(ToolFailed, match=r"cannot write .*list\.txt: File too large"):
            write_file("list.txt", b"x" * 50_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_text() == "bread" and [p.name for p in place.home.iterdir()] == ["list.txt"]


def test_what_cannot_be_written_is_said(place):
    write_file("a", "x")
    with pytest.raises(ToolFailed, match=r"cannot write .*b: "):
        write_file("a/b", "y")  # a file is no folder
    (place.home / "folder").mkdir()
    with pytest.raises(ToolFailed, match=r"cannot write .*folder: Is a directory"):
        write_file("folder", "y")


def test_a_journal_that_cannot_note_stops_the_change(tmp_path):
    def full(entry):
        raise OSError(28, "No space left on device")

    with at(Place(tmp_path, NOW, Journal(keep=full))), pytest.raises(ToolFailed, match="No space left on device"):
        write_file("a/b", "x")
    assert list(tmp_path.iterdir()) == []


def test_a_closed_journal_refuses(place):
    write_file("a", "x")
    place.journal.close("too late")
    place.journal.close("a second reason")
    for act in (lambda: write_file("b", "y"), lambda: move_file("a", "c")):
        with pytest.raises(ToolFailed, match="^too late$"):
            act()
    assert [p.name for p in place.home.iterdir()] == ["a"]


def test_moving(place):
    write_file("inbox/a.eml", "hello")
    assert move_file("inbox/a.eml", "sent/2025/a.eml").read_text() == "hello"
    assert not (place.home / "inbox/a.eml").exists()
    assert place.journal.entries[-1]["op"] == "move" and len(place.journal.entries[-1]["folders"]) == 2
    write_file("b.eml", "other")
    with pytest.raises(ToolFailed, match="exists already"):
        move_file("b.eml", "sent/2025/a.eml")
    with pytest.raises(ToolFailed, match="there is no"):
        move_file("inbox/a.eml", "c.eml")
    assert (place.home / "b.eml").read_text() == "other"
