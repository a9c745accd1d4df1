"""The toolbox: what a model may do wrong, what a person is asked, what is on disk afterwards. Real tools, real files, no mocks."""

from __future__ import annotations

import contextvars
import hashlib
import json
import pathlib
import random
import shutil
import subprocess
import sys
import textwrap
import threading
from datetime import datetime
from typing import Literal

import pytest

from toolagent import toolbox
from toolagent.errors import DataError, ToolDefinitionError, ToolFailed, UsageError
from toolagent.tool import Email, Name, Path, Text, Tool, When, here, move_file, now, tool, write_file
from toolagent.toolbox import (
    Policy,
    Prepared,
    Request,
    Toolbox,
    check,
    check_schema,
    default_pack_path,
    load_pack,
    load_tools_json,
    pack_module,
    resolve,
    show,
    undo,
    visible,
)
from toolagent.types import ToolCall, ToolResult, ToolSpec

ROOT = pathlib.Path(__file__).parents[1]
NOW = datetime(2025, 11, 26, 10, 20)  # a Wednesday


@tool(writes=True)
def create_note(name: Name, content: Text, folder: str = "") -> Path:
    """Write a note.

    Args:
        name: title
        content: what it says
        folder: where it goes
    """
    return str(write_file(pathlib.Path(folder, f"{name}.txt"), content))


@tool(writes=True)
def append_note(name: Name, content: Text) -> Path:
    """Add to a note.

    Args:
        name: title
        content: what to add
    """
    file = here().home / f"{name}.txt"
    return str(write_file(file, file.read_text() + content))


@tool(writes=True)
def move_note(path: Path, to: Path) -> Path:
    """Move a file.

    Args:
        path: the file
        to: its new path
    """
    return str(move_file(path, to))


@tool
def read_note(path: Path) -> Text:
    """Read a file.

    Args:
        path: the file
    """
    return (here().home / path).read_text()


@tool(writes=True)
def invite(
    title: Name,
    people: list[Email] | None = None,
    start_date: When | None = None,
    end_date: When | None = None,
    priority: int = 0,
    color: Literal["red", "blue"] = "red",
    all_day: bool = False,
) -> str:
    """Invite people.

    Args:
        title: what it is
        people: whom
        start_date: from
        end_date: until
        priority: 0 none, 1 high
        color: of the event
        all_day: whole days
    """
    return json.dumps([title, people, start_date, end_date, priority, color, all_day])


def plain(fn, writes=False, timeout=30.0, parameters=None) -> Tool:
    return Tool(ToolSpec(fn.__name__, "", parameters or {"type": "object", "properties": {}}, None, writes), fn, timeout)


TOOLS = (create_note, append_note, move_note, read_note, invite)


def yes(request):
    return True


def box(home, *tools, **options) -> Toolbox:
    return Toolbox(tools or TOOLS, home=home, **{"now": NOW, "approve": yes, **options})


def call(tool_name, /, **arguments) -> ToolCall:
    return ToolCall(tool_name, arguments, "1")


def contents(home) -> dict[str, bytes]:
    """Every file of the home but those of the journal."""
    files = [p for p in pathlib.Path(home).rglob("*") if ".toolagent" not in p.parts]
    return {str(p.relative_to(home)): p.read_bytes() if p.is_file() else b"folder" for p in files}


def fingerprint(folder) -> str:
    total = hashlib.sha256()
    for path in sorted(pathlib.Path(folder).rglob("*")):
        total.update(f"{path}{path.stat().st_mtime_ns}".encode() + (path.read_bytes() if path.is_file() else b""))
    return total.hexdigest()


@pytest.fixture
def home(tmp_path):
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


# --- packs ----------------------------------------------------------------------------------------------------------------------------

HELLO = '''
from toolagent.tool import tool

@tool
def {name}(who: str) -> str:
    """Say hello.

    Args:
        who: whom
    """
    return "hello " + who
'''


def pack(folder, **files):
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(textwrap.dedent(text))
    return folder


def test_a_pack_is_a_directory(tmp_path):
    found = load_pack(pack(tmp_path / "mine", b__py=HELLO.format(name="bye"), a__py=HELLO.format(name="hello"), rules__md="\nBe kind.\n"))
    assert (found.name, [t.name for t in found.tools], found.rules) == ("mine", ["hello", "bye"], "Be kind.")
    assert found.tools[0](who="Ana") == "hello Ana"
    assert load_pack(pack(tmp_path / "mine")).path == tmp_path / "mine"


def test_siblings_are_one_module_however_they_are_imported(tmp_path):
    uses = "from {} import seen, hello\nseen.append('{}')\n"
    one = load_pack(
        pack(
            tmp_path / "one",
            store__py="seen = []\n" + HELLO.format(name="hello"),
            a__py=uses.format("store", "a"),
            b__py=uses.format(".store", "b") + "import calendar\nassert calendar.isleap(2024)\n",  # the standard library keeps its name
            calendar__py="isleap = None\n",
            c__py="from . import calendar\nassert calendar.isleap is None\n",
        )
    )
    two = load_pack(pack(tmp_path / "two", store__py="seen = ['two']\n", a__py="from store import seen\n" + HELLO.format(name="hi")))
    assert [t.name for t in one.tools] == ["hello"] and pack_module(one, "store").seen == ["a", "b"]
    assert pack_module(two, "store").seen == ["two"] and "store" not in sys.modules
    assert pack_module(one, "store").__spec__.name == f"{one.package}.store"


def test_helpers_are_no_tools_but_can_be_asked_for(tmp_path):
    helper = "import a\nVALUE = a.hello\n" + HELLO.format(name="no")
    found = load_pack(pack(tmp_path / "p", _help__py=helper, a__py=HELLO.format(name="hello")))
    assert [t.name for t in found.tools] == ["hello"] and pack_module(found, "_help").VALUE is found.tools[0]


def test_a_module_of_that_name_elsewhere_is_untouched(tmp_path, monkeypatch):
    mine = type(sys)("store")
    monkeypatch.setitem(sys.modules, "store", mine)
    load_pack(pack(tmp_path / "p", store__py="x = 1", a__py="from store import x\n" + HELLO.format(name="hello")))
    assert sys.modules["store"] is mine


@pytest.mark.parametrize(
    "files, error",
    [
        ({"a__py": "x = 1\ndef (\n"}, r"a\.py:2: the file cannot be read as Python: "),
        ({"a__py": "x = 1\nimport not_there\n"}, r"a\.py:2: the file cannot be imported: ModuleNotFoundError: No module named '"),
        ({"a__py": "import b", "b__py": "\n\n1 / 0"}, r"b\.py:3: the file cannot be imported: ZeroDivisionError: division by zero$"),
        ({"a__py": "raise SystemExit(3)"}, r"a\.py:1: the file cannot be imported: SystemExit: 3$"),
        ({"a__py": HELLO.format(name="hello").replace("who: whom", "")}, r"a\.py:4: hello: parameter 'who' has no description"),
        ({"a__py": HELLO.format(name="x"), "b__py": HELLO.format(name="x")}, r"b\.py:4: x: 'x' is defined already at .*a\.py:4: x$"),
        (
            {"a__py": HELLO.format(name="x") + "x.spec.parameters['properties']['who']['type'] = 'text'"},
            r"a\.py:4: x: the parameters of 'x' are no JSON Schema: 'text' is not valid",
        ),
    ],
)
def test_a_broken_pack_says_where(tmp_path, files, error):
    with pytest.raises(ToolDefinitionError, match=error) as caught:
        load_pack(pack(tmp_path / "p", **files))
    assert "\n" not in str(caught.value)


def test_no_pack(tmp_path):
    with pytest.raises(UsageError, match="no such directory; a pack is a directory of Python files"):
        load_pack(tmp_path / "nothing")
    with pytest.raises(UsageError, match="no tools in it"):
        load_pack(pack(tmp_path / "p", a__py="x = 1"))
    pack(tmp_path / "p", a__py=HELLO.format(name="hello"))
    (tmp_path / "p" / "rules.md").write_bytes(b"\xff")
    with pytest.raises(UsageError, match=r"rules\.md: cannot be read"):
        load_pack(tmp_path / "p")


def test_the_default_pack_loads():
    found = load_pack(default_pack_path())
    assert {"create_note", "get_email_address", "create_calendar_event"} <= {t.name for t in found.tools} and found.rules


def test_the_default_pack_of_a_wheel_lies_inside_the_package(tmp_path, monkeypatch):
    monkeypatch.setattr(toolbox, "__file__", str(tmp_path / "site" / "toolagent" / "toolbox.py"))
    with pytest.raises(UsageError, match="the default pack is missing"):
        default_pack_path()
    (tmp_path / "site" / "toolagent").mkdir(parents=True)
    beside = pack(tmp_path / "site" / "tools", a__py="")
    assert default_pack_path() == beside
    inside = pack(tmp_path / "site" / "toolagent" / "default_pack", a__py="")
    assert default_pack_path() == inside


def test_specs_without_hands(tmp_path):
    file = tmp_path / "tools.json"
    row = create_note.spec.to_json()
    for data in ([row], {"tools": [row]}):
        file.write_text(json.dumps(data))
        assert load_tools_json(file)[0].parameters == create_note.spec.parameters
    for data, error in [
        ("{", "Expecting property name"),
        ("3", "must be a list of tools"),
        ('[{"name": ""}]', "a tool needs a name"),
        (json.dumps([row, row]), "two tools are named 'create_note'"),
        ('[{"name": "f", "parameters": {"properties": {"a": {"type": "text"}}}}]', "the parameters of 'f' are no JSON Schema"),
        ('[{"name": "f", "parameters": {"properties": {"a": {"$ref": "http://x.example/y"}}}}]', "refer to 'http://x.example/y'"),
        ('[{"name": "f", "parameters": {"properties": {"a": {"pattern": "("}}}}]', "is not a 'regex'"),
    ]:
        file.write_text(data)
        with pytest.raises(DataError, match=error) as caught:
            load_tools_json(file)
        assert str(caught.value).startswith(f"{file}: ")
    with pytest.raises(DataError, match="No such file"):
        load_tools_json(tmp_path / "none.json")


# --- validate -------------------------------------------------------------------------------------------------------------------------

NESTED = ToolSpec(
    "order",
    parameters={
        "type": "object",
        "properties": {
            "items": {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}},
            "either": {"anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "integer"}}], "nullable": True},
            "code": {"type": "string", "pattern": "^[A-Z]+$", "maxLength": 5},
        },
    },
)


@pytest.mark.parametrize(
    "arguments, wrong",
    [
        ({"title": "x"}, []),
        ({"title": "x", "people": None, "start_date": None}, []),  # "nullable": true
        ({}, ["missing argument title: what it is"]),
        ({"titel": "x", "title": "x"}, ['unknown argument titel; nearest: "title"']),
        (
            {"title": "x", "zzz": 1},
            ['unknown argument zzz; known: "title", "people", "start_date", "end_date", "priority", "color", "all_day"'],
        ),
        ({"title": 3}, ["argument title must be string, not 3"]),
        ({"title": None}, ["argument title must be string, not null"]),
        ({"title": "x", "priority": True}, ["argument priority must be integer, not true"]),
        ({"title": "x", "priority": 2.5}, ["argument priority must be integer, not 2.5"]),
        ({"title": "x", "priority": float("nan")}, ["argument priority is nan, which is no number"]),
        ({"title": "x", "people": ["a@b.co", [float("-inf")]]}, ["argument people[1][0] is -inf, which is no number"]),
        ({"title": "x", "color": "green"}, ['argument color must be one of "red", "blue", not "green"']),
        ({"title": "x", "people": "a@b.co"}, ['argument people must be array, not "a@b.co"']),
        (
            {"title": "x", "people": ["a@b.co", "Bob"]},
            ['argument people[1] must be an e-mail address such as name@example.com, not "Bob"'],
        ),
        ({"title": "x", "priority": "\x1b[2J"}, ['argument priority must be integer, not "\\u001b[2J"']),
    ],
)
def test_each_fault_is_a_sentence(arguments, wrong):
    assert check(invite.spec, arguments) == wrong


@pytest.mark.parametrize(
    "arguments, wrong",
    [
        ({"items": [{"n": 1}, {}]}, ["missing argument items[1].n"]),
        ({"items": [{"n": "1"}]}, ['argument items[0].n must be integer, not "1"']),
        ({"either": None}, []),
        ({"either": "x"}, ['argument either must be integer or array, not "x"']),
        ({"either": ["x"]}, ['argument either[0] must be integer, not "x"']),
        ({"code": "abc"}, ["argument code: 'abc' does not match '^[A-Z]+$'"]),
        ([], ["the arguments of order must be an object, not []"]),
    ],
)
def test_nested_arguments(arguments, wrong):
    assert check(NESTED, arguments) == wrong


def test_a_reference_passes_where_its_result_may_be_right():
    assert check(invite.spec, {"title": "$1", "people": "$2", "priority": "${3}", "color": "$1"}, references=True) == []
    assert check(invite.spec, {"title": "x", "people": ["$1", "$2@example.com"]}, references=True) == []
    inside = {"title": "x", "priority": "about $1"}
    assert check(invite.spec, inside, references=True) == ['argument priority must be integer, not "about $1"']
    assert check(NESTED, {"code": "A$1", "either": "$2", "items": [{"n": "$1"}]}, references=True) == []
    assert len(check(invite.spec, {"title": "$1", "people": "$2", "priority": "${3}", "color": "$1"})) == 3


@pytest.mark.parametrize("text", ["a@b.co", "first.last+tag@mail.example.org", "o'brien@example.com", "x_1@a-b.example", "jörg@müller.de"])
def test_addresses(text):
    assert toolbox.is_email(text)


@pytest.mark.parametrize(
    "text",
    ["", "a", "a@", "@b.co", "a@b", "a@@b.co", "a b@c.de", "a@b.co\n", ".a@b.co", "a.@b.co", "a..b@c.de", "a@-b.co", "a@b-.co", "a@b..co"]
    + ["Bob <a@b.co>", "a@b.co, c@d.ef", "a\x00@b.co", "a\u202e@b.co", "a" * 255 + "@b.co"],
)
def test_no_addresses(text):
    assert not toolbox.is_email(text)


def test_a_schema_that_is_none_is_refused_with_the_tool():
    with pytest.raises(UsageError, match=r"the parameters of 'f' refer to '#/\$defs/x', which is not in them"):
        check_schema(ToolSpec("f", parameters={"type": "object", "properties": {"a": {"$ref": "#/$defs/x"}}}))
    with pytest.raises(UsageError, match="two tools are named 'create_note'"):
        Toolbox([create_note, Tool(create_note.spec, print)], home=".")


# --- resolve --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given, settled",
    [
        ({"start_date": "tomorrow"}, {"start_date": "2025-11-27"}),
        ({"start_date": "tomorrow at 3pm"}, {"start_date": "2025-11-27 15:00:00"}),
        ({"start_date": "2025-12-24"}, {"start_date": "2025-12-24"}),
        ({"start_date": "2025-12-24 08:30:00"}, {"start_date": "2025-12-24 08:30:00"}),
        ({"start_date": "from 2pm to 4pm"}, {"start_date": "2025-11-26 14:00:00", "end_date": "2025-11-26 16:00:00"}),
        ({"start_date": "from 2pm to 4pm", "end_date": None}, {"start_date": "2025-11-26 14:00:00", "end_date": "2025-11-26 16:00:00"}),
        ({"start_date": "Monday to Wednesday"}, {"start_date": "2025-12-01", "end_date": "2025-12-03"}),  # all_day is left alone
        ({"end_date": "5pm", "start_date": "tomorrow at 3pm"}, {"end_date": "2025-11-27 17:00:00", "start_date": "2025-11-27 15:00:00"}),
        ({"start_date": None}, {"start_date": None}),
        ({"priority": 2.0}, {"priority": 2}),
    ],
)
def test_dates_become_text(given, settled):
    arguments, notes, error = resolve(invite.spec, given, NOW)
    assert (arguments, notes, error) == (settled, [], None)
    assert list(arguments)[: len(given)] == list(given) and all(type(arguments[k]) is type(settled[k]) for k in settled)
    assert resolve(invite.spec, arguments, NOW)[0] == settled  # what is resolved stays


def test_dates_at_any_depth():
    when = {"type": "string", "format": "date-time"}
    visit = {"type": "object", "properties": {"start": when, "end": when, "note": {"type": "string"}}}
    spec = ToolSpec("trip", parameters={"type": "object", "properties": {"days": {"type": "array", "items": when}, "visits": {"anyOf": [
        {"type": "array", "items": visit}, {"type": "null"}]}}})  # fmt: skip
    given = {"days": ["tomorrow", "2025-12-24"], "visits": [{"note": "tomorrow", "start": "from 2pm to 4pm"}]}
    assert resolve(spec, given, NOW)[0] == {
        "days": ["2025-11-27", "2025-12-24"],
        "visits": [{"note": "tomorrow", "start": "2025-11-26 14:00:00", "end": "2025-11-26 16:00:00"}],
    }
    assert given["days"] == ["tomorrow", "2025-12-24"]


def test_a_warning_is_a_note_and_a_riddle_is_an_error():
    _, notes, error = resolve(invite.spec, {"title": "x", "start_date": "from 9 to 5"}, NOW)  # nine has passed: tomorrow
    assert error is None and notes and all(note.startswith("start_date: ") for note in notes)
    arguments, notes, error = resolve(invite.spec, {"title": "x", "start_date": "the day of the dog"}, NOW)
    assert error is not None and error.startswith("argument start_date: ") and arguments["start_date"] == "the day of the dog"
    assert resolve(invite.spec, {"start_date": "2025-02-30"}, NOW)[2] is not None
    assert resolve(invite.spec, {"start_date": "$1"}, NOW)[2] == "argument start_date: $1 refers to a step that has no result"
    assert resolve(invite.spec, {"start_date": "$1", "end_date": "tomorrow"}, NOW, references=True)[0]["start_date"] == "$1"


# --- what a person sees -----------------------------------------------------------------------------------------------------------------


def test_nothing_hides_in_what_is_shown():
    assert visible("a\x1b[2J\r\n\t\x07\x9b\u202e\u200b\u2028\ud800\U000e0041é漢🙂") == (
        "a\\x1b[2J\\r\\n\\t\\x07\\x9b\\u202e\\u200b\\u2028\\ud800\\U000e0041é漢🙂"
    )
    evil = call("invite", title="x\x1b[1A\x1b[2K\n  people: a@b.co", people=["a@b.co", "\u202e"], priority=3)
    assert show(evil, invite.spec, ["late\x1b"]) == (
        "invite (changes things)\n"
        "  title: x\\x1b[1A\\x1b[2K\\n  people: a@b.co\n"
        '  people: ["a@b.co", "\\u202e"]\n'
        "  priority: 3\n"
        "  note: late\\x1b"
    )


def test_a_long_value_is_cut_and_counted():
    assert show(call("read_note", path="é" * 1_000_000), read_note.spec) == f"read_note\n  path: {'é' * 400}... (999,600 more characters)"


# --- the toolbox ----------------------------------------------------------------------------------------------------------------------


def test_a_call_runs_and_its_result_feeds_the_next(home):
    tools = box(home)
    one = tools.call(call("create_note", name="a", content="milk", folder="x/y"))
    assert one == ToolResult("1", str(home / "x/y/a.txt")) and (home / "x/y/a.txt").read_text() == "milk"
    assert tools.call(call("read_note", path="$1"), {1: one.output}).output == "milk"
    told = tools.call(call("invite", title="for $1: $$1, $9", people="$2", priority="$3"), {1: "Bob", 2: '["a@b.co"]', 3: "7"})
    assert json.loads(told.output) == ["for Bob: $1, $9", ["a@b.co"], None, None, 7, "red", False]
    assert tools.specs[0] == create_note.spec


def test_the_answer_is_text(home):
    def answers(value):
        def answer():
            return value

        return box(home, plain(answer)).call(call("answer"))

    assert [answers(v).output for v in ("x", None, 3, [1, "é"], {"a": None}, NOW)] == [
        "x",
        "done",
        "3",
        '[1, "é"]',
        '{"a": null}',
        '"2025-11-26 10:20:00"',
    ]
    assert answers({(1, 2): 3}).error.startswith("answer: TypeError: ")


def test_defaults_are_the_functions(home):
    assert json.loads(box(home).call(call("invite", title="x")).output) == ["x", None, None, None, 0, "red", False]


@pytest.mark.parametrize(
    "wish, error",
    [
        (call("creat_note", name="a"), 'no tool "creat_note"; nearest: "create_note", "read_note", "move_note"'),
        (ToolCall("create_note", ["a"], "1"), 'create_note: the arguments of create_note must be an object, not ["a"]'),
        (ToolCall(None, {}, "1"), "no tool null"),
        (call("create_note", name="a"), "create_note: missing argument content: what it says"),
        (call("invite", title="x", priority=float("nan")), "invite: argument priority is nan, which is no number"),
        (call("read_note", path="../x"), "read_note: '../x' lies outside the home "),
        (call("move_note", path="a", to="/etc/passwd"), "move_note: '/etc/passwd' lies outside the home "),
        (call("read_note", path="a\0b"), "read_note: 'a\\x00b' is no path: "),
        (call("create_note", name="a", content="x", folder="../.."), "'../../a.txt' lies outside the home "),
        (call("create_note", name="a\0", content="x"), "'a\\x00.txt' is no path: "),
        (call("create_note", name="a" * 300, content="x"), "cannot write "),
        (call("create_note", name="a", content="\ud800"), "create_note: UnicodeEncodeError: "),
        (call("read_note", path="none"), "read_note: FileNotFoundError: "),
        (call("move_note", path="none", to="b"), "there is no "),
        (call("invite", title="x", start_date="the day of the dog"), "invite: argument start_date: "),
    ],
)
def test_the_models_faults_are_results(home, wish, error):
    answer = box(home).call(wish)
    assert answer.error.startswith(error) and answer.call_id == "1" and answer.output == "" and contents(home) == {}


def test_many_faults_are_told_in_one_breath(home):
    answer = box(home).call(call("read_note", path="a", **{f"p{k}": k for k in range(9)}))
    assert answer.error.count("unknown argument") == 5 and answer.error.endswith("; and 4 more")


def test_deep_nesting_and_a_megabyte(home):
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    assert box(home).call(call("invite", title="x", people=deep)).error == "invite: the arguments are nested too deeply"
    big = "x" * 1_000_000
    for name in ("title", "people", "priority", "color", "start_date", big):
        answer = box(home).call(ToolCall("invite", {"title": "x", name: big} if name != "title" else {name: [big]}, "1"))
        assert answer.error and len(answer.error) < 1000
    assert len(box(home).call(ToolCall(big, {}, "1")).error) < 1000
    assert box(home).call(call("create_note", name="big", content=big)).error is None and (home / "big.txt").read_text() == big


def test_a_link_does_not_lead_out(home, tmp_path):
    (tmp_path / "secret").mkdir()
    (home / "out").symlink_to(tmp_path / "secret")
    written = call("create_note", name="a", content="x", folder="out")
    for wish in (written, call("move_note", path="out", to="b"), call("read_note", path="out/a")):
        assert "lies outside the home" in box(home).call(wish).error
    assert list((tmp_path / "secret").iterdir()) == []


def test_a_tool_that_raises(home):
    def fail():
        raise ToolFailed("the printer is on fire")

    def bug():
        raise KeyError("x")

    def leave():
        sys.exit(3)

    tools = box(home, *map(plain, (fail, bug, leave)))
    assert [tools.call(call(name)).error for name in ("fail", "bug", "leave")] == [
        "the printer is on fire",
        "bug: KeyError: 'x'",
        "leave: SystemExit: 3",
    ]


def test_a_tool_that_reads_cannot_write(home):
    def peek():
        write_file("a.txt", "x")

    assert box(home, plain(peek)).call(call("peek")).error == "peek may not write: it is not declared with @tool(writes=True)"
    assert fingerprint(home) == hashlib.sha256().hexdigest()


def test_time_runs_out_and_nothing_is_written_afterwards(home):
    go, gone, told = threading.Event(), threading.Event(), []

    def slow():
        write_file("before.txt", "x")
        go.wait(60)
        for change in (lambda: write_file("after.txt", "x"), lambda: move_file("before.txt", "after.txt")):
            try:
                change()
            except ToolFailed as error:
                told.append(str(error))
        gone.set()

    tools = box(home, plain(slow, writes=True, timeout=1), create_note)
    assert tools.call(call("slow")).error == "slow did not finish within 1 seconds"
    assert tools.call(call("create_note", name="a", content="x")).error is None  # the next one may
    go.set()
    assert gone.wait(60) and told == ["slow is over; it may write no more"] * 2
    assert sorted(contents(home)) == ["a.txt", "before.txt"]
    assert undo(home) == ["removed a.txt", "removed before.txt"]


def test_calls_run_side_by_side_unless_they_write(home):
    both = threading.Barrier(2, timeout=60)

    def meet():
        return both.wait() >= 0

    (home / "log.txt").write_text("")
    tools = box(home, plain(meet), append_note)
    answers = []
    wishes = [call("meet"), call("meet")] + [call("append_note", name="log", content=f"{k}\n") for k in range(8)]
    threads = [threading.Thread(target=lambda w=w: answers.append(tools.call(w))) for w in wishes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [a.error for a in answers] == [None] * 10
    assert sorted((home / "log.txt").read_text().split()) == [str(k) for k in range(8)]  # no appended line is lost
    assert undo(home) == ["restored log.txt"] and (home / "log.txt").read_text() == ""


def test_context_and_place_reach_the_tool(home):
    colour = contextvars.ContextVar("colour", default="grey")
    colour.set("green")

    def look():
        here().state["seen"] = True
        return f"{colour.get()} {now()} {here().home == home}"

    tools = box(home, plain(look))
    assert tools.call(call("look")).output == "green 2025-11-26 10:20:00 True" and tools.state == {"seen": True}
    assert Toolbox([plain(look)], home=home).call(call("look")).output != ""  # the clock


def test_a_dry_run_checks_and_stops(home):
    asked = []
    tools = box(home, dry_run=True, approve=asked.append)
    before = fingerprint(home)
    assert tools.call(call("create_note", name="$1", content="x")) == ToolResult("1", "(dry run)")
    assert tools.call(call("invite", title="x", priority="$1", start_date="$2")).output == "(dry run)"
    assert tools.call(call("read_note", path="none")).output == "(dry run)"  # nothing runs, reading included
    wrong = tools.call(call("invite", title="x", priority="$1"), {1: "high"})
    assert wrong.error == 'invite: argument priority must be integer, not "high"'
    assert tools.call(call("invite", title="x", start_date="the day of the dog")).error.startswith("invite: argument start_date: ")
    assert asked == [] and fingerprint(home) == before


def test_prepare_says_what_would_run(home):
    ready = box(home).prepare(call("invite", title="x", start_date="tomorrow"))
    assert ready == Prepared(call("invite", title="x", start_date="2025-11-27"))
    assert isinstance(box(home).prepare(call("invite", title="$1", priority="$2"), references=True), Prepared)
    assert isinstance(box(home).prepare(call("invite", title="$1", priority="$2")), ToolResult)
    assert contents(home) == {}


# --- approve --------------------------------------------------------------------------------------------------------------------------


def test_the_person_decides(home):
    asked: list[Request] = []

    def answers(answer):
        def approve(request):
            asked.append(request)
            return answer

        return box(home, approve=approve).call(call("create_note", name="a", content="x\x1b"))

    assert answers(False).error == "not approved: the user said no"
    assert answers("write it in French").error == "not approved: write it in French"
    assert answers("").error == answers(1).error == answers(None).error == "not approved: the user said no"  # only True is a yes
    assert box(home, approve=None).call(call("create_note", name="a", content="x")).error == "not approved: nobody is there to approve it"
    assert contents(home) == {} and not (home / ".toolagent").exists()
    assert answers(True).error is None
    assert asked[0].text == "create_note (changes things)\n  name: a\n  content: x\\x1b" and asked[0].spec is create_note.spec
    assert box(home, approve=None).call(call("read_note", path="a.txt")).error is None  # reading needs no one


def test_the_person_sees_what_runs(home):
    asked = []
    box(home, approve=lambda r: asked.append(r) or True).call(call("invite", title="for $1", start_date="from 9 to 5"), {1: "Ana"})
    assert asked[0].call.arguments == {"title": "for Ana", "start_date": "2025-11-27 09:00:00", "end_date": "2025-11-27 17:00:00"}
    assert "  title: for Ana\n" in asked[0].text and "\n  note: start_date: " in asked[0].text


def test_what_the_approver_raises_is_raised(home):
    def approve(request):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        box(home, approve=approve).call(call("create_note", name="a", content="x"))
    assert contents(home) == {}


def test_an_invalid_call_asks_no_one(home):
    asked = []
    tools = box(home, approve=asked.append)
    never = call("invite", title="x", end_date="never ever")
    for wish in (call("create_note"), call("nothing"), never, call("move_note", path="..", to="a")):
        assert tools.call(wish).error
    assert asked == []


def test_deny_wins_over_everything(home):
    tools = box(home, policy=Policy(frozenset({"create_note", "read_note"}), frozenset({"read_note", "append_note"})), approve=None)
    assert tools.call(call("create_note", name="a", content="x")).error is None  # allowed: no one is asked
    assert tools.call(call("read_note", path="a.txt")).error == "not approved: the policy denies read_note"
    tools.approve = yes
    assert tools.call(call("append_note", name="a", content="x")).error == "not approved: the policy denies append_note"


def test_a_policy_is_a_strict_file(tmp_path):
    file = tmp_path / "policy.toml"
    file.write_text('[allow]\ntools = ["create_note"]\n[deny]\ntools = ["send_sms"]\n')
    assert Policy.load(file) == Policy(frozenset({"create_note"}), frozenset({"send_sms"}))
    file.write_text("")
    assert Policy.load(file) == Policy()
    for text, error in [
        ("[alow]\n", "unknown key 'alow'; nearest: \"allow\""),
        ("[deny]\ntool = []\n", "unknown key 'deny.tool'; nearest: \"tools\""),
        ('[deny]\ntools = "send_sms"\n', "deny.tools must be a list of names"),
        ("allow = []\n", r"'allow' must be a table: \[allow\]"),
        ("[allow\n", "line 1"),
    ]:
        file.write_text(text)
        with pytest.raises(UsageError, match=error) as caught:
            Policy.load(file)
        assert str(caught.value).startswith(f"{file}: ")
    with pytest.raises(UsageError, match="No such file"):
        Policy.load(tmp_path / "none.toml")


# --- a thousand faults ----------------------------------------------------------------------------------------------------------------


def nonsense(rng: random.Random, depth: int = 0):
    leaves = ["", "a", "\0", "../../etc/passwd", "/etc/passwd", "$1", "\x1b]0;x\x07", "\u202e", "\ud800", "x" * 5000, "tomorrow"]
    leaves += [None, True, -1, float("nan"), float("inf"), 10**40, 2.5, "out/a", ".toolagent/journal/x", "a@b.co"]
    roll = rng.random()
    if depth > 2 or roll < 0.7:
        return rng.choice(leaves)
    if roll < 0.85:
        return [nonsense(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {rng.choice(["a", "", "name", "\x1b"]): nonsense(rng, depth + 1) for _ in range(rng.randrange(4))}


def test_a_thousand_malformed_or_unapproved_calls_change_nothing(home, tmp_path):
    rng = random.Random(7)
    (home / "a.txt").write_text("precious")
    (home / "out").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").mkdir()
    before = fingerprint(tmp_path)
    refused = box(home, approve=lambda request: "no, thank you")
    alone = box(home, approve=None)
    errors = []
    for _ in range(1000):
        chosen = rng.choice(TOOLS)
        names = [n for n in chosen.spec.properties if rng.random() < 0.8] + [rng.choice(["x", "", "nam", "\x1b"])] * (rng.random() < 0.3)
        arguments = {name: nonsense(rng) for name in names} if rng.random() < 0.95 else nonsense(rng)
        name = chosen.name if rng.random() < 0.95 else rng.choice(["", "creat_note", "\x1b", "x" * 9999, None])
        answer = rng.choice([refused, alone]).call(ToolCall(name, arguments, "7"), rng.choice([None, {1: "a"}, {1: "\0"}]))
        assert isinstance(answer, ToolResult) and answer.call_id == "7"
        assert answer.error or name == "read_note"  # reading is allowed; all else must fail
        errors.append(answer.error or "")
        assert "\x1b" not in errors[-1] and len(errors[-1]) < 3000
    assert fingerprint(tmp_path) == before
    ways = ("not approved", "no tool", "create_note: ", "move_note: ", "invite: ")
    told = {start: sum(error.startswith(start) for error in errors) for start in ways}
    assert min(told.values()) > 20, told  # each way to fail was tried


# --- undo -----------------------------------------------------------------------------------------------------------------------------


def test_undo_takes_back_the_last_run(home):
    tools = box(home)
    assert undo(home) == ["there is nothing to undo"]
    tools.call(call("create_note", name="a", content="one", folder="x/y"))
    tools.call(call("create_note", name="b", content="bee"))
    first = contents(home)
    tools.begin()
    tools.call(call("append_note", name="b", content=" two"))
    tools.call(call("append_note", name="b", content=" three"))
    tools.call(call("create_note", name="b", content="new"))
    tools.call(call("move_note", path="x/y/a.txt", to="z/w/c.txt"))
    assert contents(home) == {"x": b"folder", "x/y": b"folder", "z": b"folder", "z/w": b"folder", "z/w/c.txt": b"one", "b.txt": b"new"}
    assert undo(home) == ["moved z/w/c.txt back to x/y/a.txt", "restored b.txt"]
    assert contents(home) == first
    assert undo(home) == ["removed b.txt", "removed x/y/a.txt"] and contents(home) == {}
    assert undo(home) == ["there is nothing to undo"]
    tools.call(call("create_note", name="d", content="x"))  # the box was not told: its next change is a new run all the same
    assert undo(home) == ["removed d.txt"]


def test_undo_keeps_what_was_there_before(home):
    (home / "x").mkdir()
    (home / "b.txt").write_bytes(b"\xff\x00old")
    (home / "b.txt").chmod(0o600)
    before = contents(home)
    tools = box(home)
    tools.call(call("create_note", name="b", content="new"))
    tools.call(call("create_note", name="a", content="one", folder="x"))
    assert undo(home) == ["removed x/a.txt", "restored b.txt"]
    assert contents(home) == before and (home / "b.txt").stat().st_mode & 0o777 == 0o600


def test_undo_leaves_what_was_changed_since(home):
    tools = box(home)
    for name in ("a", "b", "m"):
        tools.call(call("create_note", name=name, content=name, folder="x"))
    tools.call(call("move_note", path="x/m.txt", to="x/n.txt"))
    (home / "x/a.txt").write_text("mine now")
    (home / "x/n.txt").write_text("mine, too")
    assert undo(home) == [
        "left x/n.txt where it is: it was changed since, or x/m.txt is there again",
        "removed x/b.txt",
        "left x/a.txt as it is: it was changed since",
    ]
    assert contents(home) == {"x": b"folder", "x/a.txt": b"mine now", "x/n.txt": b"mine, too"}
    assert undo(home) == ["there is nothing to undo"]


def test_undo_does_not_follow_a_link_out(home, tmp_path):
    tools = box(home)
    tools.call(call("create_note", name="a", content="one", folder="x"))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.txt").write_text("one")
    shutil.rmtree(home / "x")
    (home / "x").symlink_to(tmp_path / "elsewhere")
    assert undo(home) == ["left x/a.txt as it is: a link stands in its place"]
    assert (tmp_path / "elsewhere" / "a.txt").read_text() == "one"


def test_undo_follows_the_home_when_it_moves(home, tmp_path):
    box(home).call(call("create_note", name="a", content="one"))
    home.rename(tmp_path / "new")
    assert undo(tmp_path / "new") == ["removed a.txt"]


def test_the_journal_may_lie_elsewhere_and_no_tool_writes_in_it(home, tmp_path):
    box(home, journal_dir=tmp_path / "log").call(call("create_note", name="a", content="one"))
    assert undo(home) == ["there is nothing to undo"] and undo(home, tmp_path / "log") == ["removed a.txt"]
    tools = box(home)
    tools.call(call("create_note", name="a", content="one"))
    assert "belongs to the journal" in tools.call(call("create_note", name="000009", content="x", folder=".toolagent/journal")).error
    assert "belongs to the journal" in tools.call(call("move_note", path=".toolagent/journal", to="b")).error
    assert undo(home) == ["removed a.txt"]


def test_a_page_is_for_people(home):
    box(home).call(call("create_note", name="a", content="one", folder="x"))
    (run,) = (home / ".toolagent" / "journal").iterdir()
    assert run.name.startswith("000001-2") and [p.name for p in run.iterdir()] == ["0001.json"]
    one = hashlib.sha256(b"one").hexdigest()
    assert json.loads((run / "0001.json").read_text()) == {
        "tool": "create_note", "op": "write", "path": "x/a.txt", "before": None, "after": one, "folders": ["x"]}  # fmt: skip


KILLED = """
import os, pathlib, sys
from toolagent.tool import tool, write_file, move_file
from toolagent.toolbox import Toolbox
from toolagent.types import ToolCall

home, when = pathlib.Path(sys.argv[1]), sys.argv[2]
real_replace = os.replace

def replace(source, target):
    if pathlib.Path(target).name == "b.txt":
        if when == "after":
            real_replace(source, target)
        os._exit(9)
    if when == "journal" and str(target).endswith(".json"):
        os._exit(9)
    real_replace(source, target)

os.replace = replace

@tool(writes=True)
def change() -> str:
    '''Change b.'''
    return str(write_file("x/b.txt", "new"))

Toolbox([change], home=home, approve=lambda r: True).call(ToolCall("change"))
"""


@pytest.mark.parametrize(
    "when, old, told",
    [
        ("journal", None, ["there is nothing to undo"]),
        ("before", None, ["nothing was left to undo"]),
        ("after", None, ["removed x/b.txt"]),
        ("journal", "old", ["there is nothing to undo"]),
        ("before", "old", ["nothing was left to undo"]),
        ("after", "old", ["restored x/b.txt"]),
    ],
)
def test_killed_at_any_point_nothing_is_lost(home, when, old, told):
    if old:
        (home / "x").mkdir()
        (home / "x" / "b.txt").write_text(old)
    run = subprocess.run([sys.executable, "-c", KILLED, str(home), when], cwd=ROOT)
    assert run.returncode == 9
    assert undo(home) == told
    for stray in home.rglob(".toolagent-*"):
        stray.unlink()
    assert {k: v for k, v in contents(home).items() if v != b"folder"} == ({"x/b.txt": old.encode()} if old else {})


# --- disks that refuse ------------------------------------------------------------------------------------------------------------------


def test_a_file_where_a_folder_should_be(home, tmp_path):
    (home / "file").write_text("x")
    answer = box(home).call(call("create_note", name="a", content="x", folder="file"))
    assert answer.error == f"cannot write {home / 'file' / 'a.txt'}: Not a directory"
    (home / "a.txt").mkdir()
    assert box(home).call(call("create_note", name="a", content="x")).error == f"cannot write {home / 'a.txt'}: Is a directory"
    assert box(home).call(call("move_note", path="file", to="file/x")).error.startswith("cannot move ")
    assert (home / "file").read_text() == "x" and undo(home) in (["nothing was left to undo"], ["there is nothing to undo"])
    (tmp_path / "flat").write_text("x")
    assert box(tmp_path / "flat").call(call("create_note", name="a", content="x")).error.startswith("cannot write ")


def test_a_journal_that_cannot_be_written_stops_the_change(home):
    (home / ".toolagent").write_text("a file")
    assert box(home).call(call("create_note", name="a", content="x")).error.startswith("cannot write ")
    assert contents(home) == {}


SMALL_DISK = """
import pathlib, resource, sys
sys.path.insert(0, "tests")
from test_toolbox import box, call
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
home = pathlib.Path(sys.argv[1])
print(box(home).call(call("create_note", name="a", content="x" * 5000)).error)
print(box(home).call(call("append_note", name="old", content="x")).error)
print(sorted(p.name for p in home.iterdir()))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no RLIMIT_FSIZE")
def test_a_full_disk_leaves_every_file_whole(home):
    (home / "old.txt").write_text("y" * 3000)  # larger than the limit: its copy for undo cannot be written either
    run = subprocess.run(
        [sys.executable, "-c", SMALL_DISK, str(home)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.splitlines() == [
        f"cannot write {home / 'a.txt'}: File too large",
        f"cannot write {home / 'old.txt'}: File too large",
        "['.toolagent', 'old.txt']",
    ]
    assert contents(home) == {"old.txt": b"y" * 3000}
    assert undo(home) == ["nothing was left to undo"] and contents(home) == {"old.txt": b"y" * 3000}


@pytest.mark.skipif(sys.platform == "win32", reason="no RLIMIT_FSIZE")
def test_undo_on_a_full_disk_can_be_tried_again(home):
    (home / "a.txt").write_text("y" * 3000)
    box(home).call(call("create_note", name="a", content="new"))
    script = (
        "import resource, sys; from toolagent.toolbox import undo\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)); print(undo(sys.argv[1])[0])"
    )
    run = subprocess.run([sys.executable, "-c", script, str(home)], capture_output=True, text=True, check=True, cwd=ROOT)
    assert "0001.json is not undone, undo again: cannot write " in run.stdout and (home / "a.txt").read_text() == "new"
    assert undo(home) == ["restored a.txt"] and (home / "a.txt").read_text() == "y" * 3000


def test_the_page_opens_without_its_libraries():
    heavy = "import sys, toolagent.toolbox; print([m for m in ('jsonschema', 'rapidfuzz', 'toolagent.when', 'torch') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True, cwd=ROOT)
    assert run.stdout == "[]\n"
