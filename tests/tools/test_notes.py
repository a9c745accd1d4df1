import json
import re
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path

import pytest
from here import link
from notes import append_note_content, create_note, open_note

from toolagent.errors import ToolFailed


def test_a_note_is_a_markdown_file(home):
    path = Path(create_note('He said "hi": #1', "- bread\r\n- œufs\n\n", "Home"))
    assert path.parent == home / "notes" / "Home" and path.name == "He said -hi-- #1.md"
    front, title, created, end, blank, *body = path.read_bytes().decode().split("\n")
    assert (front, end, blank) == ("---", "---", "")
    assert json.loads(title.removeprefix("title: ")) == 'He said "hi": #1' and created == "created: 2025-11-24 10:00:00"
    assert body == ["- bread", "- œufs", ""]


def test_open_gives_the_content_only(home):
    create_note("Trip ideas", "ferry")
    assert open_note("trip  IDEAS") == "ferry"


def test_an_existing_title_is_not_overwritten(home):
    create_note("Trip ideas", "ferry")
    with pytest.raises(ToolFailed, match="a note called 'TRIP ideas' exists already; add to it with append_note_content"):
        create_note("TRIP ideas", "train")
    create_note("Trip ideas", "train", "Work")
    assert open_note("Trip ideas", "work") == "train"


def test_different_titles_of_one_file_name(home):
    first, second = Path(create_note("a|b", "1")), Path(create_note("a<b", "2"))
    assert (first.name, second.name) == ("a-b.md", "a-b 2.md") and open_note("a|b") == "1"


def test_append(home):
    path = Path(create_note("Shopping", "- bread"))
    assert append_note_content("shopping", "- milk\n") == str(path)
    assert path.read_text().endswith("\n\n- bread\n- milk\n") and open_note("Shopping") == "- bread\n- milk"


def test_append_to_a_note_of_another_program(home):
    (home / "notes").mkdir()
    file = home / "notes" / "Ideen.md"
    file.write_bytes(b"# Ideen\r\n\r\nalt")
    append_note_content("ideen", "neu")
    assert file.read_bytes() == b"# Ideen\r\n\r\nalt\nneu\n" and open_note("Ideen").endswith("neu")


@pytest.mark.parametrize(
    "front, title",
    [
        ("title: Plain one", "Plain one"),
        ("title: 'It''s'", "It's"),
        ('tags: [a]\ntitle: "Q\\u00e9"', "Qé"),
        ("tags: [a]", "file"),
        ("", "file"),
    ],
)
def test_front_matter_of_other_programs(home, front, title):
    (home / "notes" / "deep" / "er").mkdir(parents=True)
    (home / "notes" / "deep" / "er" / "file.md").write_text(f"---\n{front}\n---\nbody\n", encoding="utf-8")
    assert open_note(title) == "body"


def test_rules_across_a_text_are_no_front_matter(home):
    (home / "notes").mkdir()
    (home / "notes" / "a.md").write_text("---\nSome text\n---\nmore\n")
    (home / "notes" / "b.md").write_bytes(b"---\r\n" + b"-a: b\r\n" * 5000)
    assert open_note("a") == "---\nSome text\n---\nmore" and len(open_note("b").split("\r\n")) == 5001


def test_two_of_a_name_are_a_question(home):
    create_note("Plan", "a", "Work")
    create_note("Plan", "b", "Home")
    with pytest.raises(ToolFailed, match="2 notes are called 'Plan', in the folders Home, Work. Ask"):
        open_note("Plan")
    assert open_note("Plan", "home") == "b"


def test_none_of_a_name(demo):
    with pytest.raises(ToolFailed, match="no note is called 'Shoping'; the nearest: Shopping list"):
        open_note("Shoping")
    with pytest.raises(ToolFailed, match="no note in folder 'Work' is called 'Shopping list'"):
        append_note_content("Shopping list", "x", "Work")
    with pytest.raises(ToolFailed, match="no note is called"):
        open_note("Shopping")


@pytest.mark.parametrize(
    "name",
    [
        "CON",
        "nul.txt",
        "COM1",
        "lpt9",
        "..",
        ".hidden",
        "a/b\\c",
        "tail. ",
        "x" * 300,
        "日" * 200,
        "🎉",
        "???",
        "../../etc/passwd",
        "C:\\x",
        "f.txt:s",
    ],
)
def test_any_name_becomes_a_file_name_of_every_system(home, name):
    path = Path(create_note(name, "x"))
    assert path.parent == home / "notes" and open_note(name) == "x"
    stem = path.name.removesuffix(".md")
    assert not re.search(r'[<>:"/\\|?*\x00-\x1f]', path.name) and stem == stem.rstrip(". ") and not path.name.startswith(".")
    assert len(path.name.encode()) <= 255 and not re.fullmatch(r"(?i)(con|prn|aux|nul|(com|lpt)\d)", path.name.split(".")[0])
    assert unicodedata.is_normalized("NFC", path.name)


def test_decomposed_names_are_the_same_name(home):
    create_note(unicodedata.normalize("NFD", "Café Münster"), "x")
    assert [p.name for p in (home / "notes").iterdir()] == ["Café Münster.md"] and open_note("cafe munster") == "x"


def test_folders_are_never_paths(home):
    path = Path(create_note("x", "y", "../../outside"))
    assert path.parent.parent == home / "notes"
    link(home / "notes" / "link", home.parent / "outside")
    with pytest.raises(ToolFailed, match="outside the home"):
        create_note("x", "y", "link")


def test_a_link_out_of_the_home_is_no_note(home):
    (home / "notes").mkdir()
    (home.parent / "outside" / "secret.md").write_text("secret")
    link(home / "notes" / "secret.md", home.parent / "outside" / "secret.md")
    with pytest.raises(ToolFailed, match="no note is called"):
        open_note("secret")


def test_a_note_that_is_no_text(home):
    (home / "notes").mkdir()
    (home / "notes" / "bin.md").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ToolFailed, match="bin.md cannot be read as UTF-8"):
        open_note("bin")


def test_a_name_of_nothing(home):
    with pytest.raises(ToolFailed, match="needs a name"):
        create_note(" ", "x")


def test_appends_of_one_wave_are_all_kept(home):
    create_note("Log", "start")
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(copy_context().run, append_note_content, "Log", f"line {i}") for i in range(40)]:
            done.result()
    assert sorted(open_note("Log").split("\n")[1:]) == sorted(f"line {i}" for i in range(40))
