"""What a person sees of a request: the plan as a graph, what is about to be changed, what came of it.

Pure text, except Approval, which asks. Whatever a model or a file wrote is shown with its control characters escaped.
"""

from __future__ import annotations

import json
import pathlib
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from toolagent.agents.planner import Outcome, Proposal
from toolagent.commands.options import say
from toolagent.errors import Denied, PlanError
from toolagent.plan import REFERENCE, Plan, needs, waves
from toolagent.toolbox import Policy, Prepared, Request, Toolbox, brief, journal_of, runs, show, visible
from toolagent.types import ToolResult, ToolSpec

LINES = 12  # most lines of a result
NOTHING = "Nothing was done."


@dataclass(frozen=True)
class Glyphs:
    first: str = "┌"
    middle: str = "├"
    last: str = "└"
    only: str = "─"
    rail: str = "│"
    arrow: str = "←"
    done: str = "✓"
    failed: str = "✗"


PLAIN = Glyphs("+", "+", "+", "-", "|", "<-", "ok", "!!")


def glyphs(stream: Any = None) -> Glyphs:
    """The fine ones, or ASCII where the stream's encoding cannot print them."""
    fine = Glyphs()
    try:
        "".join(vars(fine).values()).encode(getattr(stream or sys.stdout, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return PLAIN
    return fine


# --- the plan -------------------------------------------------------------------------------------------------------------------------


def drawing(proposal: Proposal, specs: Mapping[str, ToolSpec], marks: Glyphs) -> str:
    """The plan as a graph: one bracket a wave, an arrow for each result that is read, dates resolved."""
    plan = proposal.resolved
    groups = waves_of(plan)
    width = max(len(visible(call.name)) for call in plan)
    lines = []
    for group in groups:
        for place, k in enumerate(group):
            call, spec = plan[k - 1], specs.get(plan[k - 1].name)
            edge = marks.first if place == 0 else marks.last if place == len(group) - 1 else marks.middle
            bracket = marks.only if len(group) == 1 else edge
            rail = marks.rail if place < len(group) - 1 else " "
            details = [f"{visible(str(name))}: {value}" for name, value in shown(proposal, k, spec, marks)]
            details += [f"note: {visible(note)}" for note in proposal.notes.get(k, ())]
            details += [f"{marks.failed} {visible(proposal.faults[k])}"] if k in proposal.faults else []
            star = "*" if spec is not None and spec.writes else " "
            head, *rest = details or [""]
            lines.append(f"  {bracket} {k:>2}{star} {visible(call.name):<{width}}  {head}".rstrip())
            lines += [f"  {rail}     {'':<{width}}  {text}" for text in rest]
    what = f"Plan: {len(plan)} step{'s' * (len(plan) != 1)} in {len(groups)} wave{'s' * (len(groups) != 1)}"
    legend = [f"{marks.arrow} k: the result of step k"] * any(needs(plan, k) for k in range(1, len(plan) + 1))
    legend += ["*: changes something"] * any(s.writes for call in plan if (s := specs.get(call.name)))
    return "\n".join([what + (f"   ({', '.join(legend)})" if legend else ""), *lines])


def waves_of(plan: Plan) -> tuple[tuple[int, ...], ...]:
    """The waves; a plan that waits for what comes later has none, and is one group."""
    try:
        return waves(plan)
    except PlanError:
        return (tuple(range(1, len(plan) + 1)),)


def shown(proposal: Proposal, k: int, spec: ToolSpec | None, marks: Glyphs) -> list[tuple[str, str]]:
    """(argument, its value) of a step. Of a date: what it was resolved to, then the words that it was resolved from."""
    rows = []
    said = proposal.plan[k - 1].arguments
    for name, value in proposal.resolved[k - 1].arguments.items():
        schema = spec.properties.get(name) if spec else None
        if isinstance(schema, dict) and schema.get("format") == "date-time" and (date := spoken(value)):
            origin = value_text(said[name], len(proposal.plan), marks) if name in said else "worked out"
            rows.append((name, date if said.get(name) == value else f"{date}  ({origin})"))
        else:
            rows.append((name, value_text(value, len(proposal.plan), marks)))
    return rows


def spoken(value: Any) -> str:
    """'2025-11-28 15:00:00' -> 'Fri 2025-11-28 15:00'; '' for what is no resolved date."""
    try:
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return ""
    return f"{found:%a %Y-%m-%d}" if len(value) == 10 else f"{found:%a %Y-%m-%d %H:%M}"


def value_text(value: Any, steps: int, marks: Glyphs) -> str:
    """A value with its "$k" as arrows."""

    def arrow(text: str, form: str) -> str:
        def one(match: Any) -> str:
            k = int(match[1] or match[2] or 0)
            return "$" if match[0] == "$$" else form.format(f"{marks.arrow} {k}") if 1 <= k <= steps else match[0]

        return REFERENCE.sub(one, text)

    if isinstance(value, (list, tuple)) and value:
        return ", ".join(value_text(item, steps, marks) for item in value)
    if isinstance(value, str):
        whole = REFERENCE.fullmatch(value)
        return arrow(value, "{}") if whole and value != "$$" else arrow(brief(json.dumps(value, ensure_ascii=False), 300), "{{{}}}")
    return arrow(brief(value, 300), "{{{}}}")


# --- approval -------------------------------------------------------------------------------------------------------------------------


class Approval:
    """Who says yes: --yes, a policy, or the person at the terminal, who sees all that is pending and answers one by one."""

    def __init__(self, yes: bool = False, policy: Policy | None = None, attended: bool | None = None) -> None:
        self.yes = yes
        self.policy = policy or Policy()
        self.attended = sys.stdin.isatty() if attended is None else attended
        self.toolbox: Toolbox | None = None
        self.answers: dict[str, bool] = {}
        self.seconds = 0.0  # that the person took

    def asks(self, proposal: Proposal) -> list[int]:
        """The steps that need an answer."""
        tools = self.toolbox.tools if self.toolbox else {}
        writes = {name for name, tool in tools.items() if tool.spec.writes} - self.policy.allow - self.policy.deny
        return [k for k, call in enumerate(proposal.resolved, 1) if call.name in writes]

    def check(self, proposal: Proposal) -> None:
        """Raises Denied before anything runs when an answer is needed and nobody is there to give it."""
        self.answers = {}
        open_ = [] if proposal.faults else self.asks(proposal)
        if open_ and not self.yes and not self.attended:
            names = ", ".join(f"{k} ({visible(proposal.resolved[k - 1].name)})" for k in open_)
            raise Denied(f"nobody is there to approve step {names}; give --yes, a --policy file, or run it at a terminal")

    def ask(self, proposal: Proposal, results: Mapping[int, ToolResult]) -> None:
        """Show what is pending with the results so far filled in, and ask. Raises Denied when the person quits."""
        started = time.perf_counter()
        pending = self.pending(proposal, results)
        self.answers = {str(k): True for k in pending} if self.yes else {}
        if self.yes or not pending:
            return
        say(f"\n{len(pending)} step{'s' * (len(pending) != 1)} to approve:")
        for k, text in pending.items():
            say(f"  {k}. " + text.replace("\n", "\n     "))
        rest = False
        for k in pending:
            reply = "y" if rest else question(f"Do step {k}, {visible(proposal.resolved[k - 1].name)}? [y]es [n]o [a]ll [q]uit: ")
            if reply == "q":
                self.seconds += time.perf_counter() - started
                raise Denied("you quit, and nothing was changed" if not self.answers else "you quit")
            rest = rest or reply == "a"
            self.answers[str(k)] = rest or reply == "y"
        self.seconds += time.perf_counter() - started

    def pending(self, proposal: Proposal, results: Mapping[int, ToolResult]) -> dict[int, str]:
        """Step -> what a person is asked to approve. Steps whose input failed are left out: they will not run."""
        assert self.toolbox is not None
        outputs = {k: r.output for k, r in results.items() if r.error is None}
        lost = {k for k, r in results.items() if r.error is not None}
        for k in range(1, len(proposal.resolved) + 1):
            if lost & set(needs(proposal.resolved, k)):
                lost.add(k)
        found = {}
        for k in self.asks(proposal):
            if k in lost:
                continue
            call = proposal.resolved[k - 1]
            made = self.toolbox.prepare(call, outputs, references=True)
            notes = list(proposal.notes.get(k, ()))
            notes += [f"${r} is the result of step {r}" for r in needs(proposal.resolved, k) if r not in outputs]
            if isinstance(made, ToolResult):
                notes.append(f"this will fail: {made.error}")
            found[k] = show(made.call if isinstance(made, Prepared) else call, self.toolbox.tools[call.name].spec, notes)
        return found

    def approve(self, request: Request) -> bool | str:
        return self.answers.get(request.call.id, False)


def question(text: str) -> str:
    """y, n, a or q; the end of input is q."""
    while True:
        print(text, end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        reply = line.strip().lower()[:1] if line else "q"
        if reply in ("y", "n", "a", "q"):
            return reply


# --- the end --------------------------------------------------------------------------------------------------------------------------


def results_text(outcome: Outcome, marks: Glyphs) -> str:
    """One line a step, more where the result has more."""
    plan = outcome.proposal.resolved
    lines = []
    for k, result in sorted(outcome.results.items()):
        text = result.output if result.error is None else result.error
        rows = [visible(row) for row in str(text).splitlines() if row.strip()] or ["done"]
        if len(rows) > LINES:
            rows = [*rows[:LINES], f"... ({len(rows) - LINES} more lines)"]
        mark = marks.done if result.error is None else marks.failed
        lines.append(f"  {mark} {k} {visible(plan[k - 1].name)}: {rows[0]}")
        lines += [f"      {row}" for row in rows[1:]]
    return "\n".join(lines + [f"  note: {visible(warning)}" for warning in outcome.warnings])


def journals(home: pathlib.Path) -> set[pathlib.Path]:
    return set(runs(journal_of(home.resolve())))


def files_made(home: pathlib.Path, before: set[pathlib.Path]) -> dict[str, str]:
    """File (relative to the home) -> "made" or "changed", for the journals that are new."""
    found: dict[str, str] = {}
    for run in sorted(journals(home) - before):
        for page in sorted(run.glob("*.json")):
            row = json.loads(page.read_text("utf-8"))
            if row["op"] == "move":
                found[row["to"]] = found.pop(row["path"], "changed")
            else:
                found.setdefault(row["path"], "made" if row["before"] is None else "changed")
    return found


def files_text(files: Mapping[str, str], home: pathlib.Path, undo: str) -> str:
    if not files:
        return "No file was changed."
    rows = [f"  {what:<7} {visible(path)}" for path, what in files.items()]
    return "\n".join([f"Files in {visible(str(home))} ({undo} takes them back):", *rows])


HEADERS = (
    "From:", "To:", "Cc:", "Subject:", "Content-Disposition: attachment", "SUMMARY", "DTSTART", "DTEND", "DUE", "LOCATION", "ATTENDEE",
)  # fmt: skip


def excerpt(path: pathlib.Path, most: int = 8) -> list[str]:
    """A few lines that tell what is in a file: the headers of a mail, the fields of an event, else its first lines."""
    try:
        text = path.read_text("utf-8", "replace")
    except OSError:
        return []
    if path.suffix == ".ics":
        text = text.replace("\n ", "")  # long lines are folded
    rows = [row for row in text.splitlines() if row.strip()]
    if path.suffix in (".eml", ".ics"):
        rows = [row for row in rows if row.startswith(HEADERS)]
    return [brief(row, 110) for row in rows[:most]]


def timings(seconds: Mapping[str, float]) -> str:
    return "   ".join(f"{name} {value:.2f} s" for name, value in seconds.items())
