"""Contacts: vCards (.vcf, one or several people a file) anywhere in home/contacts.

A person is found by the full name, a nickname, the given or the family name, folded. Two people of that name are an error that lists
them, none is an error with the nearest names: a look-alike never gets the mail. Left out: writing contacts, groups, organisations.
"""

from __future__ import annotations

import logging
import pathlib
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from _store import files_in, fold, unknown

from toolagent.tool import Email, Name, Phone, ToolFailed, tool

TITLES = ("mr", "mrs", "ms", "miss", "mx", "dr", "doctor", "prof", "professor", "sir", "sister", "herr", "frau", "senor", "senora")


@dataclass(frozen=True)
class Person:
    """`full` and `short`: folded names. Numbers and addresses: best first."""

    label: str
    full: frozenset[str]
    short: frozenset[str]
    phones: tuple[str, ...]
    emails: tuple[str, ...]


@tool
def get_phone_number(name: Name) -> Phone:
    """Find the phone number of a contact.

    Args:
        name: the person
    """
    return only_one("phone number", "phones", name)


@tool
def get_email_address(name: Name) -> Email:
    """Find the e-mail address of a contact.

    Args:
        name: the person
    """
    return only_one("e-mail address", "emails", name)


def only_one(what: str, field: str, name: str) -> str:
    found = people_called(name)
    values = {getattr(p, field)[:1] for p in found}
    if len(values) > 1:
        raise ToolFailed(f"{len(found)} contacts are called {name!r}: {', '.join(sorted(p.label for p in found))}. Ask which one is meant")
    if values == {()}:
        raise ToolFailed(f"{found[0].label} has no {what}")
    return str(values.pop()[0])


def people_called(name: str) -> list[Person]:
    """Those whose full name it is; else those whose given name, family name or nickname it is. Raises ToolFailed when there are none."""
    people = [p for path in files_in("contacts", ".vcf") for p in read(path, path.stat().st_mtime_ns)]
    wanted = fold(name)
    untitled = " ".join(w for w in wanted.split() if w not in TITLES)
    for key in (wanted, wanted.removesuffix(" s"), untitled):  # as it is; "Sid's"; "Dr. Ono"
        for names in ("full", "short"):
            if key and (found := [p for p in people if key in getattr(p, names)]):
                return found
    raise unknown("contact", name, [p.label for p in people])


@lru_cache(maxsize=4096)
def read(path: pathlib.Path, mtime_ns: int) -> tuple[Person, ...]:
    """The people of a file; nobody when it cannot be read. `mtime_ns` makes a changed file a new one."""
    import vobject

    logging.getLogger("vobject.base").setLevel(logging.CRITICAL)  # its log would show what stands in the cards
    try:
        text = re.sub(r"\r?\n[ \t]", "", path.read_bytes().decode("utf-8-sig"))  # unfolded
        text = re.sub(r"^NICKNAME.*", split_nicknames, text, flags=re.M | re.I)
        cards = list(vobject.readComponents(text, ignoreUnreadable=True))
        return tuple(person(card.contents) for card in cards if card.name == "VCARD")
    except (vobject.base.VObjectError, ValueError, OSError, AttributeError, IndexError):
        return ()  # one broken card must not hide the others


def split_nicknames(row: re.Match[str]) -> str:
    """A line for each nickname: of 'NICKNAME:Li Wei,Wei' vobject keeps the first only."""
    head, _, names = row[0].strip().partition(":")
    return "\n".join(f"{head}:{name}" for name in re.split(r"(?<!\\),", names))


def person(card: dict[str, list[Any]]) -> Person:
    n = card["n"][0].value if "n" in card else None
    given, additional, family = (joined(getattr(n, part, "")) for part in ("given", "additional", "family"))
    label = joined(card["fn"][0].value) if "fn" in card else f"{given} {family}".strip()
    nicknames = [joined(entry.value) for entry in card.get("nickname", [])]
    full = {label, f"{given} {family}", f"{family} {given}", f"{given} {additional} {family}"}
    return Person(
        label,
        frozenset(map(fold, full)) - {""},
        frozenset(map(fold, [given, family, *nicknames])) - {""},
        tuple(re.sub(r"^tel:", "", e.value.strip()) for e in sorted(card.get("tel", []), key=rank) if e.value.strip()),
        tuple(e.value.strip() for e in sorted(card.get("email", []), key=rank) if e.value.strip()),
    )


def joined(value: Any) -> str:
    return " ".join(value) if isinstance(value, list) else str(value or "")


def rank(entry: Any) -> tuple[bool, bool, bool]:
    """Sorts the preferred first, then mobiles, and a fax last."""
    types = {t.lower() for t in (*entry.params.get("TYPE", ()), *entry.singletonparams)}  # version 2.1 writes TEL;CELL
    preferred = "pref" in types or entry.params.get("PREF") == ["1"]
    return not preferred, not types & {"cell", "mobile"}, bool(types & {"fax", "pager"})
