"""run: request -> plan -> approval -> results, on the user's own home.

    toolagent run "text Ana that lunch moved to 1pm" --dry-run

What only looks things up runs unasked; what changes something is shown with its values filled in and waits for y/n, --yes or a policy file.
Where no terminal is, no answer means no: exit code 3, and nothing has run.
"""

from __future__ import annotations

import pathlib
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import click

from toolagent.commands.options import (
    answer,
    common,
    home_of,
    home_option,
    load_packs,
    load_runtime,
    model_options,
    moment,
    now_option,
    pack_option,
    say,
)
from toolagent.errors import Denied, InvalidOutput, ToolFailed
from toolagent.plan import to_rows
from toolagent.runtimes import Runtime
from toolagent.tool import Tool
from toolagent.types import Conversation, Message

MOST = 1 << 20  # characters that are read of a request on stdin


@dataclass(frozen=True)
class Done:
    """What came of a request: for --json, for the eye, and its exit code."""

    data: dict[str, Any]
    text: str
    code: int
    files: dict[str, str]
    seconds: dict[str, float]


@click.command()
@click.argument("request")
@model_options
@pack_option
@home_option
@now_option
@click.option("--dry-run", is_flag=True, help="plan, check and resolve; change nothing")
@click.option("--yes", is_flag=True, help="approve everything")
@click.option("--policy", metavar="FILE", help="TOML: [allow] tools = [...] run unasked, [deny] tools = [...] never run")
@common
def run(
    request: str, model: str | None, runtime: str, url: str, api_key_env: str, context: int, unconstrained: bool, packs: tuple[str, ...],
    home: str | None, now: str | None, dry_run: bool, yes: bool, policy: str | None, as_json: bool,
) -> int:  # fmt: skip
    """Do what REQUEST says ("-" reads it from stdin).

    Example: toolagent run "email Sid the budget PDF" --dry-run
    """
    from toolagent.agents.planner import check_request
    from toolagent.commands.screen import Approval, files_text, timings
    from toolagent.toolbox import Policy

    request = sys.stdin.read(MOST) if request == "-" else request
    check_request(request)
    place, at = home_of(home), moment(now)
    rules_of_approval = Policy.load(policy) if policy else Policy()
    tools, rules = load_packs(packs)
    started = time.perf_counter()
    engine = load_runtime(runtime, model, url, api_key_env, context, unconstrained)
    loading = time.perf_counter() - started
    done = carry_out(request, engine, tools, rules, place, at, Approval(yes, rules_of_approval), dry_run, as_json)
    seconds = {"load": round(loading, 3), **done.seconds}
    text = done.text
    if done.files:
        text += "\n\n" + files_text(done.files, place, "toolagent undo" + (f" --home {place}" if home else ""))
    answer(as_json, done.data | {"seconds": seconds}, text)
    say(timings(seconds))
    return done.code


def carry_out(
    request: str, engine: Runtime, tools: Sequence[Tool], rules: str, home: pathlib.Path, now: datetime | None, approval: Any,
    dry_run: bool, as_json: bool,
) -> Done:  # fmt: skip
    """Plan, show, ask, do. The plan is printed at once: to stderr where stdout holds JSON."""
    from toolagent.agents.planner import Outcome, Planner, Proposal
    from toolagent.commands import screen
    from toolagent.retrieval.toolrag import retrieve
    from toolagent.toolbox import Toolbox, visible

    toolbox = Toolbox(tools, home=home, now=now or datetime.now(), approve=approval.approve, policy=approval.policy, dry_run=dry_run)
    approval.toolbox = toolbox
    specs = {spec.name: spec for spec in toolbox.specs}
    stream = sys.stderr if as_json else sys.stdout
    marks = screen.glyphs(stream)
    proposals: list[Proposal] = []
    before = screen.journals(home)

    def show(proposal: Proposal) -> None:
        proposals.append(proposal)
        if not proposal.plan:
            return
        if len(proposals) > 1:
            print("\nA step failed, so the model planned again.", file=stream)
        print("\n" + screen.drawing(proposal, specs, marks) + "\n", file=stream, flush=True)
        if not dry_run:
            approval.check(proposal)

    started = time.perf_counter()
    refusal = ""
    timed = Timed(engine)
    try:
        outcome = Planner(timed, toolbox, rules, retrieve).run(request, show, None if dry_run else approval.ask)
    except Denied as error:
        refusal = str(error)
        outcome = Outcome(proposals[-1], replanned=len(proposals) > 1)
    except KeyboardInterrupt:
        if files := screen.files_made(home, before):
            say("\n" + screen.files_text(files, home, "toolagent undo"))
        raise
    total = time.perf_counter() - started
    seconds = {"plan": timed.seconds, "answer": approval.seconds, "do": total - timed.seconds - approval.seconds}
    seconds = {name: round(max(value, 0.0), 3) for name, value in seconds.items()}
    files = screen.files_made(home, before)
    code, text = verdict(outcome, dry_run), screen.results_text(outcome, marks)
    if refusal:
        code, text = Denied.exit_code, refusal[:1].upper() + refusal[1:] + "."
    elif not outcome.proposal.plan:
        text = f"{visible(outcome.proposal.text) or 'The model found no tool for this.'} {screen.NOTHING}"
    elif dry_run and code == 0:
        text = "A dry run: the plan is valid, and nothing was changed."
    data: dict[str, Any] = {
        "request": request,
        "now": str(toolbox.now)[:19],
        "home": str(home),
        "plan": to_rows(outcome.proposal.plan),
        "resolved": to_rows(outcome.proposal.resolved),
        "waves": screen.waves_of(outcome.proposal.resolved),
        "notes": outcome.proposal.notes,
        "faults": outcome.proposal.faults,
        "text": outcome.proposal.text,
        "results": [
            {"id": k, "tool": outcome.proposal.resolved[k - 1].name, **({"output": r.output} if r.error is None else {"error": r.error})}
            for k, r in sorted(outcome.results.items())
        ],
        "files": files,
        "dry_run": dry_run,
        "replanned": outcome.replanned,
        "warnings": list(outcome.warnings),
        **({"error": refusal} if refusal else {}),
        "exit_code": code,
    }
    return Done(data, text, code, files, seconds)


class Timed:
    """A runtime that keeps the time of its answers."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime, self.dialect, self.seconds = runtime, runtime.dialect, 0.0

    def generate(self, conversation: Conversation, *, n: int = 1, temperature: float = 0.0, seed: int = 0) -> list[Message]:
        started = time.perf_counter()
        try:
            return self.runtime.generate(conversation, n=n, temperature=temperature, seed=seed)
        finally:
            self.seconds += time.perf_counter() - started


def verdict(outcome: Any, dry_run: bool) -> int:
    """The exit code: a plan that is not valid before a tool that failed before a step that was denied."""
    if outcome.proposal.faults:
        return InvalidOutput.exit_code
    errors = [r.error for r in outcome.results.values() if r.error is not None and not r.error.startswith("not run")]
    if any(not error.startswith("not approved") for error in errors):
        return InvalidOutput.exit_code if dry_run else ToolFailed.exit_code
    return Denied.exit_code if errors else 0
