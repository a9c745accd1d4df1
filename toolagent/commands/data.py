"""data: make, have written, filter, count and import what models are trained and measured on. JSONL in, JSONL out, whole or not at all.

toolagent data synthesize --out data/desktop --n 40000
toolagent data report data/desktop/train.jsonl
"""

from __future__ import annotations

import json
import os
import pathlib
from collections import Counter
from collections.abc import Iterator
from typing import Any

import click

from toolagent.commands.options import BUILT_IN, answer, common, load_packs, pack_option, say
from toolagent.commands.settings import flags, gathered
from toolagent.errors import DataError, ToolagentError, UsageError
from toolagent.types import Conversation

TEACHER = "toolagent.datagen.teacher"


@click.command()
@click.option("--out", required=True, metavar="DIR", help="where train.jsonl, valid.jsonl and report.json go")
@click.option("--n", "rows", type=click.IntRange(1), default=40_000, show_default=True, help="rows to train on")
@click.option("--valid", type=click.IntRange(1), default=2_000, show_default=True, help="rows to validate on, from other seeds")
@click.option("--seed", default=1, show_default=True, help="same seed, same rows")
@click.option("--workers", type=click.IntRange(1, 64), default=2, show_default=True, help="processes")
@click.option("--seeds", multiple=True, metavar="FILE", help="requests with their plans, for --pack. DIR/seeds.jsonl is read anyway")
@pack_option
@common
def synthesize(
    out: str, rows: int, valid: int, seed: int, workers: int, seeds: tuple[str, ...], packs: tuple[str, ...], as_json: bool
) -> int:
    """Training conversations from hand-written requests; for a pack of your own, from its signatures too.

    Example: toolagent data synthesize --out data/mine --n 20000 --pack ./mytools
    """
    from toolagent.datagen.pack import synthesize_pack
    from toolagent.datagen.synthesize import synthesize as write

    tools, rules = load_packs(packs)
    specs = [tool.spec for tool in tools]
    own = [pathlib.Path(pack) for pack in packs if pack != BUILT_IN]
    say(f"writing {rows} + {valid} rows to {out}")
    if own:
        files = [*map(pathlib.Path, seeds), *(file for pack in own if (file := pack / "seeds.jsonl").exists())]
        report = synthesize_pack(specs, rules, pathlib.Path(out), files, rows, valid, seed, workers)
    elif seeds:
        raise UsageError("--seeds belongs to a pack of your own; give --pack DIR")
    else:
        report = write(specs, rules, pathlib.Path(out), rows, valid, seed, workers)
    answer(as_json, report, "\n".join(told(report)))
    return 0


def told(report: dict[str, Any]) -> Iterator[str]:
    for name in ("train", "valid"):
        yield f"{name}.jsonl: {report[name]['rows']} rows from {report[name]['skeletons']} seeds"
        yield from (f"  left out {n}: {why}" for why, n in sorted(report[name]["dropped"].items(), key=lambda item: -item[1]))
    if silent := report.get("silent"):
        yield f"no request could be made for {', '.join(silent)}; write some and give them with --seeds"


@click.command()
@click.option("--out", required=True, metavar="FILE", help="the seeds; the same command goes on where it stopped")
@pack_option
@click.option("--api-key-env", metavar="NAME", default="OPENAI_API_KEY", show_default=True, help="the variable that holds the key")
@flags(TEACHER)
@common
def teach(out: str, packs: tuple[str, ...], api_key_env: str, as_json: bool, **given: Any) -> int:
    """Have a large model write seeds for a pack, over any OpenAI-compatible server.

    Example: toolagent data teach --pack ./mytools --out mytools/seeds.jsonl --n 500
    """
    from toolagent.datagen import teacher

    tools, rules = load_packs(packs)
    args = teacher.Args(**gathered(TEACHER, None, given))
    report = teacher.teach([tool.spec for tool in tools], pathlib.Path(out), args, rules, os.environ.get(api_key_env, ""))
    answer(as_json, report, teacher.told(report, bool(args.price_in or args.price_out)))
    return 0


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


@click.command("report")
@click.argument("file")
@common
def report_(file: str, as_json: bool) -> int:
    """Count what a file of conversations, cases or seeds holds: rows, lengths of plans, tools, tags.

    Example: toolagent data report data/desktop/valid.jsonl
    """
    from toolagent.datagen import report

    found = report.report(file)
    answer(as_json, found, report.text(found))
    return 0


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
