"""Training data for a user's own pack: its hand-written seeds.jsonl, where there is one, and requests made from its signatures.

    mytools/seeds.jsonl     {"request": "...", "plan": [{"id": 1, "tool": "...", "args": {...}}], "swap": {"Ana": "person"}, "tags": []}

Thirty hand-written rows teach more than all that is made from signatures: only people know how they ask. seeds.py tells of "swap".
"""

from __future__ import annotations

import pathlib
import random
from collections.abc import Sequence
from dataclasses import replace

from toolagent.datagen.fillers import Filler
from toolagent.datagen.generic import request_for
from toolagent.datagen.seeds import Skeleton, load_banks, load_skeletons
from toolagent.datagen.synthesize import MakeWorld, World, load_world
from toolagent.errors import DataError
from toolagent.types import ToolSpec

EACH = 80  # requests from the signature of a tool
NOTHING = 8  # one seed in so many asks for what no tool does, so that a model learns to say so


def seeds_of(packs: Sequence[pathlib.Path], specs: Sequence[ToolSpec], seed: int) -> list[Skeleton]:
    """The seeds of these packs. Raises DataError for a row that is wrong, or a tool that no request can be made for and no seed calls."""
    written = load_skeletons([path for pack in packs if (path := pack / "seeds.jsonl").exists()])
    known = {spec.name for spec in specs}
    for skeleton in written:
        if strangers := [call.name for call in skeleton.plan if call.name not in known]:
            raise DataError(f"seeds.jsonl: the request {skeleton.request[:60]!r} calls {strangers[0]!r}, which is no tool of these packs")
    called = {call.name for skeleton in written for call in skeleton.plan}
    filler, made = Filler(load_banks()), []
    for spec in specs:
        rng = random.Random(f"{seed}:{spec.name}")
        found = [example for _ in range(EACH) if (example := request_for(spec, filler, rng)) is not None]
        if not found and spec.name not in called:
            raise DataError(f"no request can be made for {spec.name!r} from its signature; write some into seeds.jsonl of its pack")
        made += [Skeleton(example.request, example.plan, {}, example.tags, "generic") for example in found]
    return [*written, *made]


def worlds(mine: Sequence[Skeleton], beside_default: bool = False) -> MakeWorld:
    """What synthesize() draws from: these seeds alone, or together with those of the default pack."""

    def world(specs: Sequence[ToolSpec], rules: str = "", *, held_out: bool = False) -> World:
        base = load_world(specs, rules, held_out=held_out, extra=mine)
        if beside_default:
            return base
        own = [s for s in mine if s.held_out == held_out]
        strange = [s for s in base.skeletons if not s.plan and s not in own]
        return replace(base, skeletons=(*own, *random.Random(0).sample(strange, min(len(strange), len(own) // NOTHING))))

    return world
