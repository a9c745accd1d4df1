"""data: make, filter, count and import what models are trained and measured on. JSONL in, JSONL out, whole or not at all.

toolagent data synthesize --out data/desktop --n 40000
toolagent data report data/desktop/train.jsonl
"""

from __future__ import annotations

import json
import pathlib
from collections import Counter
from collections.abc import Iterable, Iterator
from statistics import median
from typing import Any

import click

from toolagent.commands.options import answer, common, load_packs, pack_option, say
from toolagent.errors import DataError, ToolagentError
from toolagent.types import Conversation

SHOWN = 20  # most frequent tools and tags of a report


@click.command()
@click.option("--out", required=True, metavar="DIR", help="where train.jsonl, valid.jsonl and report.json go")
@click.option("--n", "rows", type=click.IntRange(1), default=40_000, show_default=True, help="rows to train on")
@click.option("--valid", type=click.IntRange(1), default=2_000, show_default=True, help="rows to validate on, from other seeds")
@click.option("--seed", default=1, show_default=True, help="same seed, same rows")
@click.option("--workers", type=click.IntRange(1, 64), default=2, show_default=True, help="processes")
@pack_option
@common
def synthesize(out: str, rows: int, valid: int, seed: int, workers: int, packs: tuple[str, ...], as_json: bool) -> int:
    """Training conversations from hand-written seeds. A pack of your own may hold seeds.jsonl: requests with their plans.

    Example: toolagent data synthesize --out data/mine --n 20000 --pack ./mytools
    """
    from toolagent.datagen import own_pack
    from toolagent.datagen.synthesize import synthesize as write

    tools, rules = load_packs(packs)
    specs = [tool.spec for tool in tools]
    say(f"writing {rows} + {valid} rows to {out}")
    if packs and set(packs) != {"default"}:
        mine = own_pack.seeds_of([pathlib.Path(pack) for pack in packs if pack != "default"], specs, seed)
        say(f"{len(mine)} seeds for the tools of {', '.join(packs)}")
        report = write(specs, rules, pathlib.Path(out), rows, valid, seed, workers, own_pack.worlds(mine, "default" in packs))
    else:
        report = write(specs, rules, pathlib.Path(out), rows, valid, seed, workers)
    answer(as_json, report, "\n".join(told(report)))
    return 0


def told(report: dict[str, Any]) -> Iterator[str]:
    for name in ("train", "valid"):
        yield f"{name}.jsonl: {report[name]['rows']} rows from {report[name]['skeletons']} seeds"
        yield from (f"  left out {n}: {why}" for why, n in sorted(report[name]["dropped"].items(), key=lambda item: -item[1]))


@click.command("filter")
@click.option("--data", required=True, metavar="FILE", help="conversations (JSONL)")
@click.option("--out", required=True, metavar="FILE", help="those that may be trained on")
@common
def filter_(data: str, out: str, as_json: bool) -> int:
    """Leave out rows that are not valid, that repeat another, or that stand in an evaluation set.

    Example: toolagent data filter --data mine.jsonl --out clean.jsonl
    """
    from toolagent.datagen.filters import conversation_fault, fingerprint
    from toolagent.evaluate.cases import write_rows

    dropped: Counter[str] = Counter()
    seen: set[tuple[str, tuple[str, ...]]] = set()
    kept = 0

    def rows() -> Iterator[dict[str, Any]]:
        nonlocal kept
        for row, conversation in conversations(data):
            said = " ".join(message.content for message in conversation.messages if message.role == "user")
            key = (fingerprint(said), tuple(tool.name for tool in conversation.tools))
            why = conversation_fault(conversation) or ("duplicate" if key in seen else None)
            if why:
                dropped[why] += 1
                continue
            seen.add(key)
            kept += 1
            yield row

    write_rows(out, rows())
    text = "\n".join([f"{kept} rows kept in {out}", *(f"  left out {n}: {why}" for why, n in dropped.most_common())])
    answer(as_json, {"kept": kept, "dropped": dict(dropped)}, text)
    return 0


def conversations(path: str) -> Iterator[tuple[dict[str, Any], Conversation]]:
    """(row, conversation) of every line. Raises DataError with path and line."""
    from toolagent.evaluate.cases import read_rows

    for where, row in read_rows(path):
        try:
            yield row, Conversation.from_json(row)
        except ToolagentError as error:
            raise DataError(f"{where}: {error}") from error


@click.command()
@click.argument("file")
@common
def report(file: str, as_json: bool) -> int:
    """Count what a file of conversations or cases holds: rows, tools, lengths of plans, words, tags.

    Example: toolagent data report data/desktop/valid.jsonl
    """
    steps: Counter[int] = Counter()
    tools: Counter[str] = Counter()
    tags: Counter[str] = Counter()
    offered: set[str] = set()
    words: list[int] = []
    for request, names, shown, labels in rows_of(file):
        steps[len(names)] += 1
        tools.update(names)
        tags.update(labels)
        offered.update(shown)
        words.append(len(request.split()))
    if not words:
        raise DataError(f"{file}: no row in it")
    found = {
        "rows": len(words),
        "steps": {str(k): n for k, n in sorted(steps.items())},
        "median_words": median(words),
        "longest_words": max(words),
        "tools_offered": len(offered),
        "calls": dict(tools.most_common()),
        "tags": dict(tags.most_common()),
    }
    lines = [f"{len(words)} rows, requests of {median(words):g} words (median; the longest {max(words)}), {len(offered)} tools offered"]
    lines += ["", "steps   rows", *(f"{k:>5} {n:>6}  {100 * n / len(words):4.1f}%" for k, n in sorted(steps.items()))]
    for title, counts in (("calls", tools), ("tags", tags)):
        more = [f"        ... and {len(counts) - SHOWN} more"] if len(counts) > SHOWN else []
        lines += ["", title, *(f"{n:>6}  {name}" for name, n in counts.most_common(SHOWN)), *more]
    answer(as_json, found, "\n".join(lines))
    return 0


def rows_of(path: str) -> Iterator[tuple[str, list[str], list[str], Iterable[str]]]:
    """(request, tools called, tools offered, tags) of each conversation or case."""
    from toolagent.evaluate.cases import case_from_json, read_rows

    for where, row in read_rows(path):
        try:
            if "messages" in row:
                made = Conversation.from_json(row)
                request = " ".join(m.content for m in made.messages if m.role == "user")
                names = [c.name for m in made.messages for c in m.tool_calls]
                yield request, names, [t.name for t in made.tools], (row.get("meta") or {}).get("tags", ())
            else:
                case = case_from_json(row)
                yield case.request, [c.name for c in case.plan], [t.name for t in case.tools or ()], case.tags
        except ToolagentError as error:
            raise DataError(f"{where}: {error}") from error


@click.command("import")
@click.argument("kind", type=click.Choice(["tinyagent"]))
@click.argument("source")
@click.argument("out")
@common
def import_(kind: str, source: str, out: str, as_json: bool) -> int:
    """Read SOURCE in somebody else's form and write OUT as cases for `bench plans`.

    Example: toolagent data import tinyagent testing_data.jsonl cases.jsonl
    """
    from toolagent.datagen.importers import tinyagent_cases
    from toolagent.evaluate.cases import dump_cases

    cases = tinyagent_cases(source)
    dump_cases(out, cases)
    answer(as_json, {"kind": kind, "cases": len(cases), "out": out}, f"{len(cases)} cases written to {out}")
    return 0


def first_row(path: str) -> dict[str, Any]:
    """The first object of a JSONL file; {} when there is none. For telling formats apart."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            row = json.loads(next((line for line in file if line.strip()), "{}"))
    except (OSError, ValueError):
        return {}  # whoever reads the whole file says what is wrong with it
    return row if isinstance(row, dict) else {}
