"""What the tools of this pack share: how names are compared, which names are safe as file names, folders of the home, settings.

Names are compared folded: case, accents and punctuation do not count. Nothing is guessed: what does not match is a ToolFailed that names
the nearest candidates, so that the model (or the person) chooses. Settings are environment variables, TOOLAGENT_*.
"""

from __future__ import annotations

import os
import pathlib
import re
import threading
import unicodedata
from collections.abc import Iterable
from datetime import datetime
from zoneinfo import ZoneInfo

from toolagent.tool import ToolFailed, home, inside_home, write_file

LOCK = threading.RLock()  # two calls of one wave may write to the same note, or look for the same free file name
ACCENTS = re.compile("[\u0300-\u036f]")  # the combining marks of Latin, Greek and Cyrillic; vowel signs of other scripts are letters
LETTERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i"})
RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])(\..*)?", re.I)  # device names of Windows, with any suffix
ADDRESS = re.compile(
    r"""(?:(?P<name>[^<>@]*?)\s*<)?(?P<address>[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*)(?(name)>)"""
)
NAME_CHARACTERS, NAME_BYTES = 80, 200  # room for a suffix below the 255 bytes of ext4, APFS and NTFS, and below Windows' 260 a path


def fold(text: str) -> str:
    """'Björn  ÅKESSON-Øy' -> 'bjorn akesson oy'. Letters, marks, digits and symbols stay; the rest separates words."""
    bare = ACCENTS.sub("", unicodedata.normalize("NFKD", text.casefold())).translate(LETTERS)
    spaced = "".join(c if unicodedata.category(c)[0] in "LMNS" else " " for c in unicodedata.normalize("NFKC", bare))
    return " ".join(spaced.split()) or " ".join(text.split())  # "???" is a name, too


def plain(text: str) -> str:
    """The text without control characters (line breaks and tabs stay) and lone surrogates, which no file format can hold."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs"))


def line(text: str) -> str:
    """The text on one line."""
    return " ".join(plain(text).split())


def safe_name(name: str) -> str:
    """A file name for Linux, macOS and Windows: 'a/b: c?' -> 'a-b- c-'. Never empty, hidden, reserved, too long or a path."""
    text = re.sub(r'[<>:"/\\|?*]', "-", unicodedata.normalize("NFC", line(name))).lstrip(". ")[:NAME_CHARACTERS]
    text = text.encode("utf-8")[:NAME_BYTES].decode("utf-8", "ignore").rstrip(". ")
    if RESERVED.fullmatch(text):
        text = "_" + text
    return text or "untitled"


def nearest(name: str, known: Iterable[str], n: int = 3) -> list[str]:
    """Up to n of the known names that look like the name, or have a word that does; best first."""
    from rapidfuzz import fuzz

    wanted, scores = fold(name), {}
    for other in known:
        key = fold(other)
        scores[other] = max(fuzz.ratio(wanted, part) for part in (key, *key.split()))
    return sorted((k for k in scores if scores[k] >= 60), key=lambda k: (-scores[k], k))[:n]


def unknown(kind: str, name: str, known: Iterable[str]) -> ToolFailed:
    """The error for a name that nothing has."""
    similar = nearest(name, known)
    return ToolFailed(f"no {kind} is called {name!r}" + (f"; the nearest: {', '.join(similar)}" if similar else ""))


def setting(name: str, default: str = "") -> str:
    return os.environ.get(f"TOOLAGENT_{name}", "").strip() or default


def zone() -> ZoneInfo | None:
    """TOOLAGENT_TZ, e.g. Europe/Berlin; None: times are local to whoever reads the file."""
    name = setting("TZ")
    try:
        return ZoneInfo(name) if name else None
    except (KeyError, ValueError, OSError) as error:
        raise ToolFailed(f"TOOLAGENT_TZ={name!r} is no time zone; write one like Europe/Berlin") from error


def aware(moment: datetime) -> datetime:
    """A local time with its zone: TOOLAGENT_TZ, else the machine's."""
    return moment.replace(tzinfo=zone()) if zone() else moment.astimezone()


def folder(base: str, name: str) -> str:
    """'base/name' of the folder that has this name (or a vdir `displayname` of it), else of a new one; relative to the home."""
    root = inside_home(base)
    for entry in sorted(root.iterdir()) if root.is_dir() else []:
        label = entry / "displayname"
        names = [entry.name] + ([label.read_text("utf-8", "replace")] if label.is_file() else [])
        if entry.is_dir() and fold(name) in map(fold, names):
            return f"{base}/{entry.name}"
    return f"{base}/{safe_name(name)}"


def files_in(base: str, suffix: str) -> list[pathlib.Path]:
    """The files of a folder of the home and its subfolders; hidden ones and links that lead out of the home are left out."""
    top = home().resolve()
    found = (p for p in inside_home(base).rglob("*") if p.suffix.lower() == suffix and not p.name.startswith("."))
    return sorted(p for p in found if os.path.isfile(p) and p.resolve().is_relative_to(top))


def file_in_home(path: str) -> pathlib.Path:
    """An existing file of the home. Raises ToolFailed: outside, or not there."""
    full = inside_home(os.path.expanduser(path))
    if not os.path.isfile(full):
        raise ToolFailed(f"there is no file {path[:200]!r}; find its path with open_and_get_file_path")
    return full


def write_new(base: str, stem: str, suffix: str, data: str | bytes) -> pathlib.Path:
    """Write base/stem+suffix, or 'stem 2', 'stem 3' ... where that is taken."""
    with LOCK:
        name, n = safe_name(stem), 1
        while inside_home(f"{base}/{name}{suffix}").exists():
            n += 1
            name = f"{safe_name(stem)} {n}"
        return write_file(f"{base}/{name}{suffix}", data)


def shown(path: pathlib.Path) -> str:
    """The path as a result tells it: relative to the home, with forward slashes."""
    return path.relative_to(home().resolve()).as_posix()


def addresses(texts: Iterable[str]) -> list[tuple[str, str]]:
    """(display name, address) of each, once each. 'Ana <ana@x.org>' and 'ana@x.org' are read. Raises ToolFailed at what is no address."""
    found: dict[str, tuple[str, str]] = {}
    for text in texts:
        match = ADDRESS.fullmatch(line(text).removeprefix("mailto:"))
        if not match or ".." in match["address"] or match["address"].startswith(".") or ".@" in match["address"]:
            raise ToolFailed(f"{text[:100]!r} is no e-mail address; look it up with get_email_address")
        found.setdefault(match["address"].lower(), ((match["name"] or "").strip(' "'), match["address"]))
    return list(found.values())


def identity() -> tuple[str, str] | None:
    """(name, address) of the user: TOOLAGENT_FROM, else the file mail/identity, e.g. 'Sam Taylor <sam@example.org>'; else None."""
    file = inside_home("mail/identity")
    text = setting("FROM") or (file.read_text("utf-8", "replace").strip() if file.is_file() else "")
    return addresses([text])[0] if text else None
