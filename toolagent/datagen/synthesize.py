"""Conversations for any pack, by multiplying hand-written requests: fill, compose, add noise, show tools, filter.

    toolagent data synthesize --out data/desktop --n 40000 --seed 1

Writes train.jsonl, valid.jsonl (skeletons that training never saw) and report.json. Rows come in groups of 32 that show the same tools, so
that training computes their common prefix once. Same seed, same bytes, whatever the number of workers.
Left out: tool results inside a conversation (the planner's replanning is trained by `data teach` rows), other languages than the seeds'.
"""

from __future__ import annotations

import functools
import json
import multiprocessing
import os
import pathlib
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from toolagent.datagen import compose, generic
from toolagent.datagen.compose import Example
from toolagent.datagen.execute import running
from toolagent.datagen.fillers import Filler
from toolagent.datagen.filters import fault, fingerprint
from toolagent.datagen.grounding import copied
from toolagent.datagen.seeds import Skeleton, desktop_skeletons, load_banks, load_packs, pack_skeletons, split
from toolagent.dialects.compact import NOTHING
from toolagent.errors import DataError
from toolagent.files import whole_file
from toolagent.plan import REFERENCE, Plan, map_strings
from toolagent.toolbox import default_pack_path, load_pack
from toolagent.types import Conversation, Message, ToolCall, ToolSpec

GROUP = 32
COMPOSED = 0.42  # share of requests made of several
NOTHING_TO_CALL = 0.05  # share of requests that no tool can do, beside those that come up by themselves
HELD_OUT_PACKS = ("telescope", "hotel_front_desk")  # measured as "tools that training never saw"


@dataclass(frozen=True)
class Mixture:
    """Shares of the groups by what tools they show; they sum to 1."""

    whole: float = 0.45  # the pack as it is at run time
    few: float = 0.20  # three to eight of its tools, half the time under other names: short to read, so read early
    part: float = 0.05  # some of its tools, others beside them: what is not shown cannot be called
    renamed: float = 0.08  # the pack under other names: read the signature, do not recite it
    invented_packs: float = 0.15  # packs of other walks of life, written by hand
    invented_tools: float = 0.07  # tools that exist nowhere


@dataclass(frozen=True)
class World:
    """All that a group is made of."""

    specs: tuple[ToolSpec, ...]
    rules: str
    skeletons: tuple[Skeleton, ...]
    pack_skeletons: Mapping[str, tuple[Skeleton, ...]]
    packs: Mapping[str, tuple[ToolSpec, ...]]
    filler: Filler
    aliases: Mapping[str, Mapping[str, Sequence[str]]]
    mixture: Mixture = Mixture()


def load_world(specs: Sequence[ToolSpec], rules: str = "", *, held_out: bool = False, extra: Sequence[Skeleton] = ()) -> World:
    """The seeds of one side of the split. `extra`: skeletons of a user's own pack."""
    packs = {n: t for n, t in load_packs().items() if (n in HELD_OUT_PACKS) == held_out}
    desktop = split([*desktop_skeletons(), *extra])[held_out]
    by_pack: dict[str, list[Skeleton]] = {}
    for s in pack_skeletons(load_packs()):
        if s.pack in packs and (held_out or not s.held_out):
            by_pack.setdefault(s.pack, []).append(s)
    aliases = json.loads((pathlib.Path(__file__).parent / "aliases.json").read_text("utf-8"))
    return World(tuple(specs), rules, tuple(desktop), {k: tuple(v) for k, v in by_pack.items()}, packs, Filler(load_banks()), aliases)


def spoken(skeletons: Sequence[Skeleton], filler: Filler, rng: random.Random) -> Example:
    """One fresh request: a filled skeleton, or two to five of them in one breath, in some manner of speech."""
    roll = rng.random()
    if roll < COMPOSED:
        parts = []
        budget = 10
        for _ in range(rng.choice((2, 2, 2, 3, 3, 4, 5))):
            s = pick(skeletons, rng, functools.partial(joinable, min(4, budget)))
            if s:
                parts.append(grown(compose.fill(s, filler, rng), filler, rng))
                budget -= len(s.plan)
        if not parts:  # a few long seeds of a user's own
            parts.append(compose.fill(rng.choice(skeletons), filler, rng))
        if rng.random() < 0.3 and len(parts) > 1:
            parts = same_person(parts, rng)
        example = compose.join(parts, rng)
    else:
        s = pick(skeletons, rng, lambda s: not s.plan) if roll < COMPOSED + NOTHING_TO_CALL else None
        example = grown(compose.fill(s or rng.choice(skeletons), filler, rng), filler, rng)
        if rng.random() < 0.04:
            example = compose.corrected(example, rng)
    return compose.noisy(example, rng)


def joinable(most: int, skeleton: Skeleton) -> bool:
    """Short enough to be said in one breath with others."""
    return 1 <= len(skeleton.plan) <= most and len(skeleton.request) < 160 and "\n" not in skeleton.request


def pick(skeletons: Sequence[Skeleton], rng: random.Random, fits: Callable[[Skeleton], bool]) -> Skeleton | None:
    """One that fits, or None after 30 tries."""
    return next((s for s in (rng.choice(skeletons) for _ in range(30)) if fits(s)), None)


def grown(example: Example, filler: Filler, rng: random.Random) -> Example:
    roll = rng.random()
    if roll < 0.12:
        return compose.literal_instead(example, filler, rng)
    if roll < 0.26:
        return compose.more_people(example, filler, rng)
    return example


def same_person(parts: Sequence[Example], rng: random.Random) -> list[Example]:
    """The second part speaks of a person of the first: one look-up serves both when the kind is the same."""
    first, second = parts[0], parts[1]
    people = [[str(c.arguments["name"]) for c in p.plan if c.name.startswith("get_") and "name" in c.arguments] for p in (first, second)]
    if people[0] and people[1] and people[0][0] not in second.request:
        pattern = compose.spans([people[1][0]])
        new = rng.choice(people[0])

        def change(text: str) -> str:
            return text if REFERENCE.fullmatch(text) else pattern.sub(lambda m: new, text)

        calls = tuple(ToolCall(c.name, map_strings(c.arguments, change), c.id) for c in second.plan)
        return [first, replace(second, request=pattern.sub(lambda m: new, second.request), plan=calls), *parts[2:]]
    return list(parts)


def finish(example: Example, specs: Sequence[ToolSpec]) -> Example | None:
    """Arguments in the order of their schema, in the request's letters, steps in the order of use; None when it may not be trained on:
    the plan says words that the request does not hold, be it that its writer reworded them or that a replacement broke the tie."""
    example = compose.in_order(example, specs)
    plan = copied(example.request, example.plan, specs)
    return None if plan is None else replace(example, plan=plan)


def few(world: World, rng: random.Random) -> tuple[list[ToolSpec], Sequence[Skeleton]]:
    """Three to eight tools, those that some requests need and others, and the requests that they can do."""
    called: set[str] = set()
    while len(called) < min(rng.randint(2, 5), len(world.specs)):
        called |= {c.name for c in rng.choice(world.skeletons).plan}
    others = [s for s in world.specs if s.name not in called]
    shown = [s for s in world.specs if s.name in called] + rng.sample(others, min(rng.randint(0, 2), len(others)))
    shown += generic.invented_tools(rng, 1) if rng.random() < 0.4 else ()
    rng.shuffle(shown)
    names = {s.name for s in shown}
    fitting = [s for s in world.skeletons if s.plan and all(c.name in names for c in s.plan)]
    none = [s for s in world.skeletons if not s.plan]
    return shown, [*fitting, *rng.sample(none, min(len(none), 1 + len(fitting) // 12))]


def group(world: World, seed: int, index: int) -> list[tuple[Example, tuple[ToolSpec, ...]]]:
    """32 examples that show the same tools."""
    rng = random.Random(f"{seed}:{index}")
    mixture = world.mixture
    kinds = tuple(field.name for field in fields(mixture))
    kind = rng.choices(kinds, [getattr(mixture, k) for k in kinds])[0]
    if kind == "invented_packs" and not world.pack_skeletons:
        kind = "whole"
    out: list[tuple[Example, tuple[ToolSpec, ...]]] = []
    if kind in ("whole", "few", "part", "renamed"):
        shown, skeletons = few(world, rng) if kind == "few" else (list(world.specs), world.skeletons)
        to_name = {s.name: s.name for s in shown}
        to_arguments = {s.name: {k: k for k in s.properties} for s in shown}
        if kind in ("part", "renamed"):
            if rng.random() < 0.6:
                rng.shuffle(shown)
            if kind == "part":
                shown = shown[: rng.randint(min(5, len(shown)), len(shown))]
            if rng.random() < 0.5:
                shown += generic.invented_tools(rng, rng.randint(1, 5))
        if kind == "renamed" or (kind == "few" and rng.random() < 0.5):
            tools, to_name, to_arguments = generic.rename_tools(shown, world.aliases["tools"], world.aliases["arguments"], rng)
        else:
            tools = tuple(shown)
        names = {t.name for t in tools}
        while len(out) < GROUP:
            example = finish(spoken(skeletons if rng.random() < 0.96 else world.skeletons, world.filler, rng), world.specs)
            if example is None:
                continue
            calls = generic.renamed(example.plan, to_name, to_arguments)
            if any(c.name not in names for c in calls):
                if rng.random() > 0.15:
                    continue
                calls = ()
            out.append((replace(example, plan=calls), tools))
        return out
    if kind == "invented_packs":
        pack = rng.choice(sorted(world.pack_skeletons))
        shown = list(world.packs[pack])
        if rng.random() < 0.4:
            shown += rng.sample(world.specs, min(rng.randint(1, 5), len(world.specs)))
        if rng.random() < 0.5:
            rng.shuffle(shown)
        skeletons = list(world.pack_skeletons[pack])
        tools, to_name, to_arguments = generic.rename_tools(shown, {}, {}, rng) if rng.random() < 0.5 else (tuple(shown), {}, {})
        while len(out) < GROUP:
            if rng.random() < 0.35:
                made = generic.request_for(rng.choice(world.packs[pack]), world.filler, rng)
                if made is None:
                    continue
                example = compose.noisy(made, rng)
            else:
                example = spoken(skeletons, world.filler, rng)
            done = finish(example, shown)
            if done is not None:
                out.append((replace(done, plan=generic.renamed(done.plan, to_name, to_arguments)), tools))
        return out
    tools = generic.invented_tools(rng, rng.randint(3, 10))
    tries = 0
    while len(out) < GROUP and tries < GROUP * 20:
        tries += 1
        parts = [p for p in (generic.request_for(rng.choice(tools), world.filler, rng) for _ in range(rng.choice((1, 1, 1, 2, 2, 3)))) if p]
        if not parts:
            continue
        example = compose.noisy(compose.join(parts, rng) if len(parts) > 1 else parts[0], rng)
        if rng.random() < 0.06:
            stranger = spoken([s for s in world.skeletons if s.plan] or world.skeletons, world.filler, rng)
            example = replace(stranger, plan=())
        done = finish(example, tools)
        if done is not None:
            out.append((done, tools))
    return out


def conversation(example: Example, tools: Sequence[ToolSpec], rules: str) -> Conversation:
    system = (Message("system", rules),) if rules else ()
    answer = Message("assistant", "" if example.plan else NOTHING, example.plan)
    return Conversation((*system, Message("user", example.request), answer), tuple(tools))


def row_text(example: Example, tools_text: str, rules: str, name: str) -> str:
    messages = [m.to_json() for m in conversation(example, (), rules).messages]
    meta = {"id": name, "tags": list(example.tags), "frames": [fingerprint(f) for f in example.frames]}
    head = json.dumps({"messages": messages}, ensure_ascii=False)[:-1]
    return f'{head}, "tools": {tools_text}, "meta": {json.dumps(meta, ensure_ascii=False)}}}\n'


Group = list[tuple[Example, tuple[ToolSpec, ...]]]
MakeGroup = Callable[[Any, int, int], Group]  # (world, seed, index): group() for the desktop, pack.py's for any pack
Fault = Callable[[str, Plan, Sequence[ToolSpec]], str | None]
_world: World | None = None
_make: MakeGroup = group
_fault: Fault = fault


def _start(world: World, make: MakeGroup, wrong: Fault) -> None:
    global _world, _make, _fault
    _world, _make, _fault = world, make, wrong


def _group_rows(job: tuple[int, int]) -> tuple[list[tuple[str, str]], Counter[str]]:
    """[(fingerprint, line)] of one group and why others were dropped. Runs in a worker."""
    assert _world is not None
    seed, index = job
    rows, dropped = [], Counter[str]()
    text_of: dict[int, str] = {}
    for k, (example, tools) in enumerate(_make(_world, seed, index)):
        why = _fault(example.request, example.plan, tools)
        if why:
            dropped[why] += 1
            continue
        if id(tools) not in text_of:
            text_of[id(tools)] = json.dumps([t.to_json() for t in tools], ensure_ascii=False)
        rows.append((fingerprint(example.request), row_text(example, text_of[id(tools)], _world.rules, f"{seed}-{index}-{k}")))
    return rows, dropped


def rows(
    world: World, n: int, seed: int, workers: int = 2, make: MakeGroup = group, wrong: Fault = fault, seen: set[str] | None = None
) -> Iterator[tuple[str, Counter[str]]]:
    """n different JSONL lines (or fewer, where no more can be made), in order, with the running count of what was dropped.

    `seen`: fingerprints of requests that may not come again; the new ones are added to it.
    """
    seen = set() if seen is None else seen
    made = 0
    dropped: Counter[str] = Counter()
    jobs = ((seed, i) for i in range(n * 4 // GROUP + 65))  # enough, with room for what is dropped
    if workers > 1:
        pool = multiprocessing.get_context("fork" if hasattr(os, "fork") else "spawn").Pool(workers, _start, (world, make, wrong))
        results: Iterator[tuple[list[tuple[str, str]], Counter[str]]] = pool.imap(_group_rows, jobs, chunksize=8)
    else:
        _start(world, make, wrong)
        pool, results = None, map(_group_rows, jobs)
    try:
        for found, why in results:
            dropped += why
            for print_, line in found:
                if print_ in seen:
                    dropped["duplicate"] += 1
                    continue
                seen.add(print_)
                made += 1
                yield line, dropped
                if made >= n:
                    return
    finally:
        if pool is not None:
            pool.terminate()


def write_whole(path: pathlib.Path, lines: Iterator[tuple[str, Counter[str]]]) -> tuple[int, Counter[str]]:
    """The lines in a file that appears whole or not at all -> (how many, what was dropped)."""
    written, last = 0, Counter[str]()
    with whole_file(path) as file:
        for line, dropped in lines:
            file.write(line)
            written, last = written + 1, dropped
    return written, last


MakeWorld = Callable[..., World]  # (specs, rules, held_out=...) -> World


def synthesize(
    specs: Sequence[ToolSpec], rules: str, out: pathlib.Path, n: int = 40_000, valid: int = 2_000, seed: int = 1, workers: int = 2,
    make_world: MakeWorld = load_world, execute: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Write out/train.jsonl, out/valid.jsonl, out/report.json; returns the report. Each file appears whole or not at all.

    No request stands in both. `execute`: leave out the seeds whose plan does not run with the default pack in a throw-away home
    (execute.py); 30 ms each, two minutes for all of the desktop's, of which tests/datagen/test_execute.py runs a sample anyway.
    """
    out.mkdir(parents=True, exist_ok=True)
    report: dict[str, Any] = {"seed": seed}
    seen: set[str] = set()
    reasons: dict[str, str | None] = {}
    for name, held_out, count in (("train", False, n), ("valid", True, valid)):
        world = make_world(specs, rules, held_out=held_out)
        if not world.skeletons:
            raise DataError("no seed requests found")
        failing: list[tuple[Skeleton, str]] = []
        if execute:
            good, failing = running(world.skeletons, load_pack(default_pack_path()), reasons)
            world = replace(world, skeletons=tuple(good))
        written, last = write_whole(out / f"{name}.jsonl", rows(world, count, seed + held_out * 1_000_003, workers, seen=seen))
        report[name] = {"rows": written, "skeletons": len(world.skeletons), "dropped": dict(last)}
        if failing:
            report[name]["not running"] = [f"{s.request[:80]!r}: {reason}" for s, reason in failing]
    with whole_file(out / "report.json") as file:
        file.write(json.dumps(report, indent=1) + "\n")
    return report

