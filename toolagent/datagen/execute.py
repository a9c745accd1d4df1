"""Does a plan run? A throw-away home that holds exactly what the plan mentions, everything approved, every step for real.

    runs_in_home(skeleton.plan, load_pack(default_pack_path()))  ->  None, or "step 2 (create_reminder): no date in 'someday'"

For plans of the default pack: each looked-up person has a card, each file that is opened or attached is a PDF with text, each note that is
read stands there unless the plan writes it first, and an e-mail is selected. A path outside the home is moved below files/. Nothing reaches
the network or a viewer: the home is offline and the user's TOOLAGENT_* settings do not count.
Left out: whether the result is what the request meant; other packs.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import tempfile
from collections.abc import Iterator, Sequence
from datetime import datetime

from toolagent import toolbox
from toolagent.datagen.seeds import Skeleton
from toolagent.errors import PlanError
from toolagent.plan import Plan, check, references
from toolagent.tool import Place, at, write_file
from toolagent.toolbox import Pack, Toolbox, pack_module
from toolagent.types import ToolCall, ToolSpec

NOW = datetime(2026, 3, 2, 10, 0)  # a Monday, in the year that the seeds speak of
PAGE = ("The report", "", "The budget is 48,000 euros, six percent more than last year.", "Rent stays the largest part of it.")
MAIL = """From: Zoë Müller <zoe@example.net>
To: Sam Taylor <sam@example.org>
Subject: Dinner on Saturday?
Date: Sun, 01 Mar 2026 18:00:00 +0000
Message-ID: <dinner-1@example.net>
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

Hello! Dinner at our place on Saturday, at 7?
"""
PEOPLE = ("get_phone_number", "get_email_address")
NOTES = ("open_note", "append_note_content")


def runs_in_home(plan: Plan, pack: Pack, now: datetime = NOW) -> str | None:
    """None when every step runs, else the first that does not and why."""
    try:
        check(plan)
    except PlanError as error:
        return str(error)
    with tempfile.TemporaryDirectory(prefix="toolagent-execute-") as folder, no_settings():
        home = pathlib.Path(folder) / "home"
        tools = {tool.name: tool for tool in pack.tools if any(call.name == tool.name for call in plan)}
        plan = tuple(at_home(call, tools[call.name].spec) if call.name in tools else call for call in plan)
        with at(Place(home, now)):
            furnish(plan, pack)
        hands = Toolbox(tools.values(), home=home, now=now, approve=lambda request: True)
        results: dict[int, str] = {}
        for k, call in enumerate(plan, 1):
            result = hands.call(call, results)
            if result.error is not None:
                return f"step {k} ({call.name}): {result.error}"
            results[k] = result.output
    return None


@contextlib.contextmanager
def no_settings() -> Iterator[None]:
    """The user's TOOLAGENT_* variables are away meanwhile."""
    kept = {name: os.environ.pop(name) for name in [n for n in os.environ if n.startswith("TOOLAGENT_")]}
    try:
        yield
    finally:
        os.environ.update(kept)


def at_home(call: ToolCall, spec: ToolSpec) -> ToolCall:
    """The call with each stated path below files/: '~/Papers/x.pdf' -> 'files/Papers/x.pdf'."""
    stated = set(toolbox.of_format(spec.parameters, call.arguments, "path"))
    name = call.arguments.get("file_name")
    if isinstance(name, str) and re.search(r"[/\\]", name):
        stated.add(name)

    def moved(value: object) -> object:
        if isinstance(value, list):
            return [moved(item) for item in value]
        return below_files(value) if isinstance(value, str) and value in stated and not references(value) else value

    return ToolCall(call.name, {key: moved(value) for key, value in call.arguments.items()}, call.id)


def below_files(path: str) -> str:
    parts = [part for part in re.split(r"[/\\:]", path) if part not in ("", "~", ".", "..")]
    return "/".join(["files", *parts])


def furnish(plan: Plan, pack: Pack) -> None:
    """Write what the plan mentions into the home in force."""
    fold, text_pdf = pack_module(pack, "_store").fold, pack_module(pack, "_pdf").text_pdf
    write_file(".toolagent/offline", "")
    write_file("mail/identity", "Sam Taylor <sam@example.org>\n")
    write_file("mail/inbox/dinner.eml", MAIL)
    write_file("mail/selected", "dinner.eml\n")
    people = {fold(name): name for call in plan if call.name in PEOPLE for name in texts(call, "name")}
    if people:
        write_file("contacts/people.vcf", "".join(card(number, name) for number, name in enumerate(people.values(), 1)))
    for call in plan:
        if call.name == "open_and_get_file_path":
            for name in texts(call, "file_name"):
                path = name if name.startswith("files/") else f"files/{name}"
                write_file(path if re.search(r"\.\w{1,5}$", path) else f"{path}.pdf", text_pdf([PAGE]))
        for argument in ("pdf_path", "attachments"):
            for path in texts(call, argument):
                write_file(path, text_pdf([PAGE]))
    written: set[tuple[str, str]] = set()
    note = next((tool for tool in pack.tools if tool.name == "create_note"), None)
    for call in plan:
        for name in texts(call, "name"):
            title, where = fold(name), fold(str(call.arguments.get("folder") or ""))
            there = (title, where) in written or not where and title in {title for title, _ in written}
            if call.name in NOTES and not there and note is not None:
                note.fn(name, "- the first line", call.arguments.get("folder"))
            if call.name in (*NOTES, "create_note"):
                written.add((title, where))


def texts(call: ToolCall, argument: str) -> list[str]:
    """The strings of this argument that stand in the plan itself."""
    value = call.arguments.get(argument)
    found = value if isinstance(value, list) else [value]
    return [text for text in found if isinstance(text, str) and text.strip() and not references(text)]


def card(number: int, name: str) -> str:
    """A vCard 3.0; numbers and addresses are reserved for fiction."""
    said = re.sub(r"([\\,;])", r"\\\1", " ".join(name.split()))
    rows = ["BEGIN:VCARD", "VERSION:3.0", f"FN:{said}", f"N:;{said};;;", f"TEL:+1 202 555 {number:04}", f"EMAIL:p{number}@example.org"]
    return "\r\n".join([*rows, "END:VCARD", ""])


def running(
    skeletons: Sequence[Skeleton], pack: Pack, reasons: dict[str, str | None] | None = None
) -> tuple[list[Skeleton], list[tuple[Skeleton, str]]]:
    """(those whose plan runs, the others with the reason). Plans with tools of other packs are not run, and count as running.

    A frame is run once: `reasons` holds what is known by frame, and learns the rest.
    """
    names = {tool.name for tool in pack.tools}
    reasons = {} if reasons is None else reasons
    good, bad = [], []
    for skeleton in skeletons:
        if skeleton.frame not in reasons:
            ours = skeleton.tools is None and all(call.name in names for call in skeleton.plan)
            reasons[skeleton.frame] = runs_in_home(skeleton.plan, pack) if ours else None
        reason = reasons[skeleton.frame]
        if reason is None:
            good.append(skeleton)
        else:
            bad.append((skeleton, reason))
    return good, bad
