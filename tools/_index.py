"""Which files of the home can a name mean? An SQLite index (FTS5) of file names, kept in home/.toolagent/index.sqlite.

Only folders whose modification time changed are read again, so a look-up costs one stat a folder. Hidden files and folders are left out,
links to folders are not followed. The index is a cache: one that cannot be written or read is replaced by one in memory.
Left out: the contents of files.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import sqlite3
import time
import unicodedata
from collections.abc import Iterator

from _store import LOCK, fold

from toolagent.tool import ToolFailed, home, inside_home

SCHEMA = """
create table if not exists folders(path text primary key, parent text, stamp integer);
create table if not exists files(id integer primary key, folder text, name text);
create index if not exists files_folder on files(folder);
create virtual table if not exists words using fts5(text, prefix='2 3');
"""
FIND = """
select folder, name from words join files on files.id = words.rowid where words match ? order by length(name), folder, name limit ?
"""
SETTLED = 2 * 10**9  # nanoseconds: a folder touched later than this may change again within one tick of its clock
MOST = 200  # candidates that are compared


def candidates(name: str) -> list[pathlib.Path]:
    """Files of the home whose names have all words of `name` (as beginnings of words); absolute paths, sorted."""
    parts = words(name)
    if not parts:
        return []
    # a beginning of one or two letters says nothing, unless a letter is a word (Chinese)
    begins = [f'"{w}"' + ("*" if len(w) > 2 or not w.isascii() else "") for w in (*parts, "".join(parts))]
    query = f"({' AND '.join(begins[:-1])}) OR {begins[-1]}"
    with LOCK, opened() as db:
        rows = db.execute(FIND, (query, MOST)).fetchall()
    return [path for folder, file in rows if (path := inside(pathlib.Path(folder, file))) is not None]


def all_names() -> list[str]:
    """The names of all files, for an error that tells the nearest."""
    with LOCK, opened() as db:
        return [row[0] for row in db.execute("select distinct name from files order by name limit 20000")]


def words(name: str) -> list[str]:
    """'ProgressReport_v2.pdf' -> progress report v2 pdf."""
    name = unicodedata.normalize("NFC", name)
    split = re.sub(r"(?<=[^\W\d_A-Z])(?=[A-Z])", " ", name)  # a capital inside a word starts a word
    return [w for part in fold(split).split() if (w := "".join(c for c in part if unicodedata.category(c)[0] in "LMN"))]


def inside(path: pathlib.Path) -> pathlib.Path | None:
    """The file, or None: gone, or a link out of the home."""
    with contextlib.suppress(ToolFailed):
        full = inside_home(path)
        return full if os.path.isfile(full) else None
    return None


@contextlib.contextmanager
def opened() -> Iterator[sqlite3.Connection]:
    """The index, up to date."""
    base = home().resolve()
    try:
        file = inside_home(".toolagent/index.sqlite")
        file.parent.mkdir(parents=True, exist_ok=True)
        db = connect(str(file), base)
    except (sqlite3.Error, OSError, ToolFailed) as error:
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
            file.unlink(missing_ok=True)  # no database at all: the next look-up makes a new one
        db = connect(":memory:", base)
    with contextlib.closing(db):
        yield db


def connect(file: str, base: pathlib.Path) -> sqlite3.Connection:
    db = sqlite3.connect(file, timeout=10)
    try:
        with db:
            db.executescript(SCHEMA)
            db.execute("begin immediate")
            refresh(db, base)
    except BaseException:
        db.close()
        raise
    return db


def refresh(db: sqlite3.Connection, base: pathlib.Path) -> None:
    """Read again what changed since the last time."""
    known = dict(db.execute("select path, stamp from folders"))
    seen: set[str] = set()
    todo = [""]
    while todo:
        folder = todo.pop()
        try:
            stamp = os.stat(base / folder).st_mtime_ns
            entries = None if known.get(folder) == stamp else sorted(os.scandir(base / folder), key=lambda e: e.name)
        except OSError:
            continue  # gone or locked meanwhile: forgotten below
        seen.add(folder)
        if entries is None:
            todo += [row[0] for row in db.execute("select path from folders where parent = ? and path != ''", (folder,))]
            continue
        forget(db, folder)
        visible = [e for e in entries if not e.name.startswith(".")]
        todo += [f"{folder}/{e.name}".lstrip("/") for e in visible if e.is_dir(follow_symlinks=False)]
        for entry in visible:
            if not entry.is_dir(follow_symlinks=False):
                row = db.execute("insert into files(folder, name) values (?, ?)", (folder, entry.name))
                parts = words(entry.name)
                text = " ".join([*parts, "".join(parts)])  # joined as well: "progressreport" finds ProgressReport.pdf
                db.execute("insert into words(rowid, text) values (?, ?)", (row.lastrowid, text))
        settled = time.time_ns() - stamp > SETTLED
        db.execute("insert into folders values (?, ?, ?)", (folder, folder.rpartition("/")[0], stamp if settled else 0))
    for folder in known.keys() - seen:
        forget(db, folder)


def forget(db: sqlite3.Connection, folder: str) -> None:
    db.execute("delete from words where rowid in (select id from files where folder = ?)", (folder,))
    db.execute("delete from files where folder = ?", (folder,))
    db.execute("delete from folders where path = ?", (folder,))
