"""Notes: Markdown files with a front matter (title, created) in home/notes/ and folders below it; plain .md files are read as well.

A note is found by its title or its file name, folded, in the folder given or in all of them. Left out: renaming, deleting, search in texts.
"""

from __future__ import annotations

import json
import pathlib
import re

from _store import LOCK, files_in, fold, folder, line, plain, unknown, write_new

from toolagent.tool import Name, Path, Text, ToolFailed, home, now, tool, write_file

FRONT = re.compile(r"\A\ufeff?---[ \t]*\r?\n((?:(?:\w[\w-]*[ \t]*:[^\r\n]*|[ \t#-][^\r\n]*)?\r?\n)*?)---[ \t]*(?:\r?\n|\Z)")
TITLE = re.compile(r"^title:[ \t]*(.+?)[ \t]*\r?$", re.M)


@tool(writes=True)
def create_note(name: Name, content: Text, folder: Name | None = None) -> Path:
    """Create a new note.

    Args:
        name: title of the note
        content: what it says
        folder: folder to put it in
    """
    title, where = line(name), place(folder)
    if not title:
        raise ToolFailed("the note needs a name")
    with LOCK:
        if any(fold(title) in names(path) for path in files_in(where, ".md") if path.parent == home().resolve() / where):
            raise ToolFailed(f"a note called {title!r} exists already; add to it with append_note_content")
        front = f"---\ntitle: {json.dumps(title, ensure_ascii=False)}\ncreated: {now():%Y-%m-%d %H:%M:%S}\n---\n\n"  # JSON strings are YAML
        return str(write_new(where, title, ".md", f"{front}{plain(content).rstrip()}\n"))


@tool
def open_note(name: Name, folder: Name | None = None) -> Text:
    """Open a note and read its content.

    Args:
        name: title of the note
        folder: folder it is in
    """
    return FRONT.sub("", text_of(find(name, folder)), count=1).strip()


@tool(writes=True)
def append_note_content(name: Name, content: Text, folder: Name | None = None) -> Path:
    """Add text to the end of an existing note.

    Args:
        name: title of the note
        content: what to add
        folder: folder it is in
    """
    with LOCK:
        path = find(name, folder)
        return str(write_file(path, f"{text_of(path).rstrip()}\n{plain(content).rstrip()}\n"))


def place(name: str | None) -> str:
    return folder("notes", name) if name else "notes"


def find(name: str, folder_name: str | None) -> pathlib.Path:
    """The one note of this name. Raises ToolFailed: none (with the nearest), or several (with their folders)."""
    notes = files_in(place(folder_name), ".md")
    found = [path for path in notes if fold(name) in names(path)]
    if not found:
        raise unknown(f"note in folder {folder_name!r}" if folder_name else "note", name, [title(path) for path in notes])
    if len(found) > 1:
        root = home().resolve() / "notes"
        folders = sorted(path.parent.relative_to(root).as_posix() for path in found)
        raise ToolFailed(f"{len(found)} notes are called {name!r}, in the folders {', '.join(folders)}. Ask which one is meant")
    return found[0]


def text_of(path: pathlib.Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ToolFailed(f"the note {path.name} cannot be read as UTF-8 text") from error


def title(path: pathlib.Path) -> str:
    """The title of the front matter, else the file's name."""
    with open(path, encoding="utf-8", errors="replace") as file:
        front = FRONT.match(file.read(4096))  # front matter stands at the start
    found = TITLE.search(front[1] or "") if front else None
    if not found:
        return path.stem
    text = found[1]
    if len(text) > 1 and text[0] == text[-1] == '"':
        try:
            return str(json.loads(text))
        except ValueError:
            return text[1:-1]
    return text[1:-1].replace("''", "'") if len(text) > 1 and text[0] == text[-1] == "'" else text


def names(path: pathlib.Path) -> set[str]:
    return {fold(title(path)), fold(path.stem)}
