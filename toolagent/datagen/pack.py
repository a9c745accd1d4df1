"""Conversations for any pack of tools: its seeds multiplied, where it has some, and requests made from its signatures alone.

    toolagent data synthesize --pack ./mytools --out data/mine --n 20000 [--seeds FILE ...]

Writes train.jsonl, valid.jsonl and report.json as synthesize.py does: rows in groups that show the same tools, the same seed gives the
same bytes whatever the number of workers, no request twice (nor in both files), none from an evaluation set, every call valid.
Requests that no tool of the pack can do come from other packs, the desktop and small talk, if they share no word with the pack.

Thirty hand-written seeds teach more than all that signatures say: only people know how they ask. Left out: several languages, tool results.
"""

from __future__ import annotations

import functools
import json
import pathlib
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from toolagent import toolbox
from toolagent.datagen import chains, compose, generic
from toolagent.datagen.chains import Link
from toolagent.datagen.compose import Example
from toolagent.datagen.fillers import Filler
from toolagent.datagen.filters import fault
from toolagent.datagen.grounding import dangling, grounded
from toolagent.datagen.invented import words
from toolagent.datagen.seeds import Skeleton, desktop_skeletons, load_banks, load_packs, load_skeletons, pack_skeletons, split
from toolagent.datagen.synthesize import GROUP, HELD_OUT_PACKS, Group, World, rows, spoken, write_whole
from toolagent.errors import DataError
from toolagent.files import whole_file
from toolagent.plan import Plan
from toolagent.retrieval.toolrag import SHOW_ALL, terms
from toolagent.types import ToolSpec

SHOWN = (("whole", 0.55), ("part", 0.15), ("beside", 0.15), ("renamed", 0.05), ("invented", 0.10))  # shares of the groups by what they show
NOTHING_FITS = 0.10  # share of requests that no tool of the pack can do
HIDDEN = 0.15  # of the requests for a tool that is not shown, how many are kept, as ones that nothing can do
CHAINED = 0.3  # share of the requests from signatures that need the result of one tool for another, where tools fit
TRUST = 20  # so many seeds make half of the rows; more make up to MOST_SEEDED
MOST_SEEDED = 0.8
TRIES = 20  # for a row
COMMON = words(  # such a word in a request says nothing of what it is about
    "a an the of to in on at for from by with and or not no is are be it its this that one all any each new me my your you i we our us get "
    "set add show list give make put take find look up out how what when where who which name value text kind type number date time day id "
    "word use used can could will do please need want so if as has have had there than then into over about per also only some more most"
)


@dataclass(frozen=True)
class PackWorld(World):
    """`skeletons` are the pack's own seeds; `strangers` are requests of other people, by where they come from."""

    strangers: tuple[tuple[Skeleton, ...], ...] = ()
    own: frozenset[str] = frozenset()  # the words that the pack is about
    links: tuple[Link, ...] = ()
    loose: frozenset[str] = frozenset()  # frames of seeds with words in their plan that their request does not hold
    seeded: float = 0.0
    wanted: tuple[ToolSpec, ...] = ()  # the tools, those that no seed calls three times


def load_seeds(files: Iterable[pathlib.Path], specs: Sequence[ToolSpec]) -> list[Skeleton]:
    """The rows of seed files (see seeds.py). Raises DataError "path:line: what to change"; a row of an evaluation set is passed over."""
    found: list[Skeleton] = []
    for path in files:
        try:
            lines = [k for k, line in enumerate(path.read_text("utf-8").splitlines(), 1) if line.strip()]
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
        for line, skeleton in zip(lines, load_skeletons([path]), strict=True):
            why = fault(skeleton.request, skeleton.plan, specs)
            if why == "in an evaluation set":
                continue
            if wrong := faults(skeleton.plan, specs):
                raise DataError(f"{path}:{line}: {wrong[0]}")
            if why:
                raise DataError(f"{path}:{line}: {why}")
            found.append(skeleton)
    return found


def faults(plan: Plan, specs: Sequence[ToolSpec]) -> list[str]:
    """What is wrong with a plan, a sentence each, for a person who writes seeds."""
    known = {spec.name: spec for spec in specs}
    told = [f"there is no step {text}" for text in dangling(plan)]
    for call in plan:
        if call.name in known:
            told += [f"{call.name}: {text}" for text in toolbox.check(known[call.name], call.arguments, references=True)]
        else:
            told.append(f"no tool {toolbox.quoted(call.name)}{toolbox.nearest(call.name, known)}")
    return told


def vocabulary(specs: Sequence[ToolSpec]) -> frozenset[str]:
    """The words that the pack is about: a stranger's request that holds one may well be a request for it."""
    text = " ".join(f"{spec.name} {spec.description} {' '.join(spec.properties)}" for spec in specs)
    return frozenset(word for word in terms(text) if len(word) > 2 and word not in COMMON)


def strange(request: str, plan: Plan, own: frozenset[str]) -> bool:
    """True when neither the request nor the tools that it is for share a word with the pack."""
    return own.isdisjoint(terms(f"{request} {' '.join(call.name for call in plan)}"))


@functools.cache
def corpus() -> tuple[tuple[list[Skeleton], list[Skeleton]], dict[str, tuple[ToolSpec, ...]], list[Skeleton]]:
    """Other people's requests and packs: (the desktop's, split), packs, their requests. Read once a process."""
    packs = load_packs()
    return split(desktop_skeletons()), packs, pack_skeletons(packs)


def load_world(specs: Sequence[ToolSpec], rules: str, seeds: Sequence[Skeleton], held_out: bool) -> PackWorld:
    """What the rows of one side of the split are made of. Too few seeds to be split stand on both sides."""
    mine = split(seeds)[held_out] if all(split(seeds)) else list(seeds)
    own, names = vocabulary(specs), {spec.name for spec in specs}
    desktop_seeds, all_packs, pack_seeds = corpus()
    packs = {
        name: tools
        for name, tools in all_packs.items()
        if (name in HELD_OUT_PACKS) == held_out and names.isdisjoint(tool.name for tool in tools) and own.isdisjoint(terms(name))
    }
    desktop = [s for s in desktop_seeds[held_out] if strange(s.request, s.plan, own)]
    others = [s for s in pack_seeds if s.pack in packs and s.plan and strange(s.request, s.plan, own)]
    others = [s for s in others if held_out or not s.held_out]
    strangers = ([s for s in desktop if not s.plan], [s for s in desktop if s.plan and names.isdisjoint(c.name for c in s.plan)], others)
    calls = [call.name for s in mine for call in s.plan]
    return PackWorld(
        specs=tuple(specs), rules=rules, skeletons=tuple(mine), pack_skeletons={}, packs=packs, filler=Filler(load_banks()), aliases={},
        strangers=tuple(tuple(s) for s in strangers if s), own=own, links=chains.links(specs),
        loose=frozenset(s.frame for s in mine if grounded(s.request, s.plan, specs)[1]),
        seeded=min(MOST_SEEDED, len(mine) / (len(mine) + TRUST)),
        wanted=tuple(s for s in specs for _ in range(1 if s.name in calls else 3)),
    )  # fmt: skip


def signed(wanted: Sequence[ToolSpec], links: Sequence[Link], filler: Filler, rng: random.Random) -> Example | None:
    """One to three requests from signatures in one breath."""
    parts = []
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3))):
        if links and rng.random() < CHAINED:
            part = chains.chain_for(rng.choice(links), filler, rng)
        else:
            part = generic.request_for(rng.choice(wanted), filler, rng) if wanted else None
        if part is not None:
            parts.append(part)
    if not parts:
        return None
    return compose.noisy(compose.join(parts, rng) if len(parts) > 1 else parts[0], rng)


def stranger(world: PackWorld, rng: random.Random) -> Example | None:
    """A request that nothing in the pack can do."""
    if world.packs and rng.random() < 0.25:
        example = generic.request_for(rng.choice(world.packs[rng.choice(sorted(world.packs))]), world.filler, rng)
    elif world.strangers:
        example = compose.fill(rng.choice(rng.choice(world.strangers)), world.filler, rng)
    else:
        return None
    if example is None or not strange(example.request, example.plan, world.own):
        return None
    return replace(compose.noisy(example, rng), plan=(), tags=("nothing fits",))


def some_tools(world: PackWorld, rng: random.Random) -> list[ToolSpec]:
    """The pack, or as much of a large one as retrieval would show: the tools of some seeds and others beside them."""
    if len(world.specs) <= SHOW_ALL:
        return list(world.specs)
    size, chosen = rng.randint(6, 14), set[str]()
    called = [s for s in world.skeletons if s.plan]
    while called and len(chosen) < size // 2 and rng.random() < 0.9:
        chosen |= {call.name for call in rng.choice(called).plan}
    others = [spec.name for spec in world.specs if spec.name not in chosen]
    chosen |= set(rng.sample(others, max(0, size - len(chosen))))
    return [spec for spec in world.specs if spec.name in chosen]


def beside(world: PackWorld, rng: random.Random) -> list[ToolSpec]:
    """A few tools that have nothing to do with the pack."""
    if world.packs and rng.random() < 0.6:
        pack = world.packs[rng.choice(sorted(world.packs))]
        return rng.sample(pack, min(rng.randint(1, 5), len(pack)))
    names = {spec.name for spec in world.specs}
    return [spec for spec in generic.invented_tools(rng, rng.randint(1, 5)) if spec.name not in names]


def settled(example: Example, specs: Sequence[ToolSpec], loose: frozenset[str]) -> Example | None:
    """Arguments in the order of their schema, steps in the order of use; None where words of the plan have left the request."""
    example = compose.in_order(example, specs)
    if loose.intersection(example.frames):
        return example
    plan, missing = grounded(example.request, example.plan, specs, () if "generic" in example.tags else ("text",))
    return None if missing else replace(example, plan=plan)


def pack_group(world: PackWorld, seed: int, index: int) -> Group:
    """Up to 32 examples that show the same tools."""
    rng = random.Random(f"pack:{seed}:{index}")
    kind = rng.choices([name for name, _ in SHOWN], [share for _, share in SHOWN])[0]
    if kind == "invented":
        pack: list[ToolSpec] = list(generic.invented_tools(rng, rng.randint(3, 10)))
        shown = list(pack)
    else:
        pack = some_tools(world, rng)
        shown = rng.sample(pack, rng.randint(max(1, len(pack) // 3), len(pack))) if kind == "part" else list(pack)
        if kind == "beside" or kind == "part" and rng.random() < 0.5:
            shown += beside(world, rng)
        if rng.random() < (0.6 if kind in ("beside", "renamed") else 0.1):
            rng.shuffle(shown)
    tools, to_name, to_arguments = generic.rename_tools(shown, {}, {}, rng) if kind == "renamed" else (tuple(shown), {}, {})
    names, here = {spec.name for spec in shown}, {spec.name for spec in pack}
    links = [link for link in world.links if {link.producer.name, link.consumer.name} <= here]  # invented tools return nothing
    wanted = pack if kind == "invented" else [spec for spec in world.wanted if spec.name in here]
    skeletons = [s for s in world.skeletons if here.issuperset(call.name for call in s.plan)] if kind != "invented" else []
    out: Group = []
    for _ in range(GROUP * TRIES):
        if len(out) == GROUP:
            break
        if rng.random() < NOTHING_FITS:
            example = stranger(world, rng)
        elif skeletons and rng.random() < world.seeded:
            example = spoken(skeletons, world.filler, rng)
        else:
            example = signed(wanted, links, world.filler, rng)
        example = example and settled(example, pack, world.loose)
        if example is None:
            continue
        if any(call.name not in names for call in example.plan):
            if rng.random() > HIDDEN or any(call.name in names for call in example.plan):  # what can be done in part is no "nothing"
                continue
            example = replace(example, plan=(), tags=("not shown",))
        out.append((replace(example, plan=generic.renamed(example.plan, to_name, to_arguments)), tools))
    return out


def wrong(request: str, plan: Plan, tools: Sequence[ToolSpec]) -> str | None:
    """Why this example may not be trained on, or None."""
    return fault(request, plan, tools) or ("a result of no step" if dangling(plan) else None)


def silent(specs: Sequence[ToolSpec], seeds: Sequence[Skeleton], filler: Filler) -> list[str]:
    """The tools that no seed calls and that no request can be made for from their signatures."""
    called, rng = {call.name for s in seeds for call in s.plan}, random.Random(0)
    return [s.name for s in specs if s.name not in called and not any(generic.request_for(s, filler, rng) for _ in range(10))]


def synthesize_pack(
    specs: Sequence[ToolSpec], rules: str, out: pathlib.Path, seeds_files: Sequence[pathlib.Path] = (), n: int = 20_000, valid: int = 1_000,
    seed: int = 1, workers: int = 2,
) -> dict[str, Any]:  # fmt: skip
    """Write out/train.jsonl, out/valid.jsonl, out/report.json; returns the report. Each file appears whole or not at all.

    The report: "seeds", "silent" (tools that nothing can be asked of), and per file "rows", "asked", "skeletons", "dropped" (by reason).
    Fewer rows than asked: no more different requests could be made. Raises DataError (a seed row; tools without words).
    """
    seeds = load_seeds(seeds_files, specs)
    mute = silent(specs, seeds, Filler(load_banks()))
    if not specs or len(mute) == len(specs):
        raise DataError(f"no request can be made for {', '.join(mute) or 'a pack without tools'}; write seeds: requests with their plans")
    out.mkdir(parents=True, exist_ok=True)
    report: dict[str, Any] = {"seed": seed, "tools": len(specs), "seeds": len(seeds), "silent": mute}
    seen: set[str] = set()
    for name, held_out, count in (("valid", True, valid), ("train", False, n)):  # what is measured must not be trained on
        world = load_world(specs, rules, seeds, held_out)
        world = replace(world, wanted=tuple(spec for spec in world.wanted if spec.name not in mute))
        lines = rows(world, count, seed + held_out * 1_000_003, workers, pack_group, wrong, seen)
        written, dropped = write_whole(out / f"{name}.jsonl", lines)
        report[name] = {"rows": written, "asked": count, "skeletons": len(world.skeletons), "dropped": dict(dropped)}
    with whole_file(out / "report.json") as file:
        file.write(json.dumps(report, indent=1) + "\n")
    return report
