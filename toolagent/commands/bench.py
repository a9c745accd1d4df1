"""bench: measure. Figures on stdout with their intervals, progress on stderr.

toolagent bench plans --cases cases.jsonl --predictions predictions.jsonl
"""

from __future__ import annotations

import json
import pathlib
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import click

from toolagent.commands.data import first_row
from toolagent.commands.options import answer, common, load_packs, load_runtime, model_options, pack_option, say
from toolagent.errors import BelowThreshold, ContextOverflow, InvalidOutput, ToolFailed, UsageError
from toolagent.plan import Plan
from toolagent.tool import Tool
from toolagent.types import ToolSpec

EVERY = 10.0  # seconds between two lines of progress where stderr is no terminal


@click.command()
@click.option("--cases", required=True, metavar="FILE", help="cases (JSONL), or a file of TinyAgent's data")
@click.option("--tools", metavar="FILE", help="tools.json for cases that name none. Default: those of the pack")
@click.option("--predictions", metavar="OUT.jsonl", help="write each plan there, with its seconds")
@click.option("--limit", type=click.IntRange(1), help="only the first so many cases")
@click.option("--min-strict", type=click.FloatRange(0, 100), metavar="PERCENT", help="exit code 8 where strict is below")
@model_options
@pack_option
@common
def plans(
    cases: str, tools: str | None, predictions: str | None, limit: int | None, min_strict: float | None, model: str | None, runtime: str,
    url: str, api_key_env: str, context: int, unconstrained: bool, packs: tuple[str, ...], as_json: bool,
) -> int:  # fmt: skip
    """Ask for the plan of every case and compare it with the gold plan. Nothing is run.

    Example: toolagent bench plans --cases benchmarks/cases/desktop_dev.jsonl --limit 20
    """
    from toolagent.datagen.importers import tinyagent_cases
    from toolagent.evaluate.cases import dump_predictions, load_cases
    from toolagent.evaluate.plans import bench
    from toolagent.toolbox import load_tools_json

    pack, rules = load_packs(packs)
    specs = load_tools_json(tools) if tools else tuple(tool.spec for tool in pack)
    foreign = "query" in first_row(cases)
    found = (tinyagent_cases(cases) if foreign else load_cases(cases, specs))[:limit]
    if not found:
        raise UsageError(f"{cases}: no case in it")
    if predictions:
        pathlib.Path(predictions).parent.mkdir(parents=True, exist_ok=True)
    engine = load_runtime(runtime, model, url, api_key_env, context, unconstrained)
    pairs = list(planned(found, specs, rules, engine))
    answers = [answer_ for _, answer_ in pairs]
    if predictions:
        dump_predictions(predictions, answers)
    report = bench([case for case, _ in pairs], answers)
    strict = report.overall.micro.get("strict")
    data = report.json() | {"cases_file": cases, "model": model}
    answer(as_json, data, report.text())
    if min_strict is not None and (strict is None or 100 * strict.value < min_strict):
        say(f"strict is {100 * strict.value:.1f}, below {min_strict:g}" if strict else "these cases have no strict figure")
        return BelowThreshold.exit_code
    return 0


def planned(cases: Sequence[Any], specs: Sequence[ToolSpec], rules: str, engine: Any) -> Iterator[tuple[Any, Any]]:
    """(the case with its gold dates resolved, the prediction) of each."""
    from toolagent.agents.planner import Planner
    from toolagent.evaluate.cases import Prediction
    from toolagent.retrieval.toolrag import retrieve
    from toolagent.toolbox import Toolbox

    boxes: dict[tuple[str, ...], Toolbox] = {}
    progress = Progress(len(cases))
    for case in cases:
        offered = tuple(specs if case.tools is None else case.tools)
        key = tuple(json.dumps(spec.to_json(), sort_keys=True) for spec in offered)
        if key not in boxes:
            boxes[key] = Toolbox([handless(spec) for spec in offered], home="/")  # "/": a path may be anywhere, nothing is opened
        toolbox = boxes[key]
        toolbox.now = case.now or datetime.now()
        started = time.perf_counter()
        plan: Plan | None = None
        try:
            planner = Planner(engine, toolbox, rules, retrieve)
            plan = planner.propose(planner.conversation(case.request)).resolved
        except (InvalidOutput, ContextOverflow) as error:
            say(f"{case.id}: {error}")
        seconds = time.perf_counter() - started
        if case.now is not None:
            case = replace(case, plan=resolved(toolbox, case.plan), alternatives=tuple(resolved(toolbox, p) for p in case.alternatives))
        progress.step()
        yield case, Prediction(case.id, plan, round(seconds, 4))


def handless(spec: ToolSpec) -> Tool:
    def refuse(**arguments: Any) -> str:
        raise ToolFailed(f"{spec.name} is measured, not run")

    return Tool(spec, refuse)


def resolved(toolbox: Any, plan: Plan) -> Plan:
    """The plan with its date phrases resolved as a prediction's are; a step that does not validate stays as it is."""
    from toolagent.toolbox import Prepared

    return tuple(made.call if isinstance(made := toolbox.prepare(call, references=True), Prepared) else call for call in plan)


class Progress:
    """ "12/150, 1.3 s a plan, 3.0 min left" on stderr: in place on a terminal, else a line now and then."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.started, self.told = total, 0, time.monotonic(), time.monotonic()

    def step(self) -> None:
        self.done += 1
        now, last = time.monotonic(), self.done == self.total
        each = (now - self.started) / self.done
        text = f"{self.done}/{self.total}, {each:.2f} s a plan, {each * (self.total - self.done) / 60:.1f} min left"
        if sys.stderr.isatty():
            print(f"\r{text}   ", end="\n" if last else "", file=sys.stderr, flush=True)
        elif last or now - self.told > EVERY:
            self.told = now
            say(text)
