"""Preferences as rows: JSONL of {"prompt", "chosen", "rejected", "tools", "margin"} -> pairs that share their prompt, steps that share a history.

A pair's prompt is one beginning of two sequences; of a trajectory, the prompt of a later step holds that of an earlier one. `families` finds
both by the tokens alone: a family is one tree (train/trie.py), whose every token goes through the model once.
"""

from __future__ import annotations

import json
import pathlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from toolagent import model as models
from toolagent.errors import DataError, UsageError
from toolagent.train import rows as data
from toolagent.train.encode import Encoder, Row, encoder_for
from toolagent.train.loop import FitArgs
from toolagent.train.trie import Tree, chains, common, flat
from toolagent.types import Conversation, PreferencePair


@dataclass(frozen=True)
class Pair:
    """Two answers to one prompt; `learned` of each row is 1 on the answer's own tokens alone."""

    chosen: Row
    rejected: Row
    margin: float = 0.0
    name: str = ""
    objective: str = "overall"  # in what respect the chosen one is better: meta.objective

    @property
    def prompt(self) -> tuple[int, ...]:
        return self.chosen.ids[: self.chosen.learned.index(1)]


@dataclass(frozen=True)
class Family:
    """Pairs of which each prompt begins with the one before: the steps of a trajectory, or a pair by itself."""

    pairs: tuple[Pair, ...]

    @cached_property
    def tree(self) -> Tree:
        return flat([row for pair in self.pairs for row in (pair.chosen, pair.rejected)])


def rows_of(some: Sequence[Family]) -> list[Row]:
    """Chosen and rejected in turn."""
    return [row for family in some for pair in family.pairs for row in (pair.chosen, pair.rejected)]


def trees_of(some: Sequence[Family], share: bool) -> list[Tree]:
    """A tree a family; not to share, one an answer. Their sequences stand in the order of `rows_of` either way."""
    return [family.tree for family in some] if share else chains(rows_of(some))


def last_turns(row: Row, before: int) -> Row:
    """The row with the first `before` stretches of assistant's tokens, and the requests, not learned. Raises DataError where the answer does not
    stand in one row with what comes before it (encode.template_encoder)."""
    parts = (row, *row.more)
    stretch, learned = 0, bytearray()
    for part in parts:
        learned = bytearray(part.learned)
        for t, kind in enumerate(part.learned):
            stretch += kind == 1 and (t == 0 or part.learned[t - 1] != 1)
            if kind != 1 or stretch <= before:
                learned[t] = 0
        if part is not parts[-1] and any(learned):
            raise DataError("this model's chat template rewrites earlier turns: chosen and rejected must be one turn of the assistant each")
    return replace(parts[-1], learned=bytes(learned), more=())


def pair_of(preference: PreferencePair, encode: Encoder, name: str) -> Pair:
    said = preference.prompt.messages
    before = sum(m.role == "assistant" for m in said)
    rows = []
    for turns in (preference.chosen, preference.rejected):
        conversation = Conversation((*said, *turns), preference.prompt.tools)
        data.check_calls(conversation)
        rows.append(last_turns(encode(conversation, name), before))
    return Pair(rows[0], rows[1], preference.margin, name)


def read(paths: Sequence[pathlib.Path], encode: Encoder, context: int, limit: int = 0) -> tuple[list[Pair], data.Report]:
    """Pairs that fit the context and differ; the others are counted. Raises DataError with path and line for a malformed one."""
    pairs: list[Pair] = []
    report = data.Report()
    for place, number, line in data.lines(paths):
        try:
            found = json.loads(line)
            meta = found.get("meta") or {}
            pair = pair_of(PreferencePair.from_json(found), encode, str(meta.get("id") or number))
            pair = replace(pair, objective=str(meta.get("objective") or pair.objective))
        except data.FAULTS as error:
            raise DataError(f"{place}: {error}") from error
        if max(len(pair.chosen.ids), len(pair.rejected.ids)) > context:
            report.dropped[f"longer than {context} tokens"] += 1
        elif pair.chosen.ids == pair.rejected.ids:
            report.dropped["chosen and rejected are the same"] += 1
        elif 1 not in pair.chosen.learned or 1 not in pair.rejected.learned:
            report.dropped["no assistant turn to learn"] += 1
        else:
            pairs.append(pair)
            for row in (pair.chosen, pair.rejected):
                report.count(row)
        if limit and len(pairs) >= limit:
            break
    if not pairs:
        raise DataError(f"{', '.join(map(str, paths))}: no pair to train on{report.reasons()}")
    return pairs, report


def families(pairs: Sequence[Pair], budget: int) -> list[Family]:
    """The pairs, those together whose prompts grow out of each other, up to a budget of tokens a tree."""
    found: list[list[Pair]] = []
    tokens = 0
    for pair in sorted(pairs, key=lambda pair: pair.prompt):
        last = found[-1][-1] if found else None
        grown = last is not None and pair.prompt[: len(last.prompt)] == last.prompt
        new = len(pair.chosen.ids) + len(pair.rejected.ids) - len(pair.prompt)
        if last is not None and grown and tokens + new - (had := common(pair.prompt, last.chosen.ids)) <= budget:
            found[-1].append(pair)
            tokens += new - had
        else:
            found.append([pair])
            tokens = new
    return [Family(tuple(some)) for some in found]


def batches(some: Sequence[Family], budget: int, most: int, rng: random.Random) -> list[list[Family]]:
    return data.batches(some, budget, most, rng, lambda family: family.pairs[0].chosen, lambda family: len(family.tree.ids))


# --- what trainers on preferences share -----------------------------------------------------------------------------------------------


@dataclass
class PairArgs(FitArgs):
    data: tuple[str, ...] = ()
    """training preferences (JSONL)"""
    valid: tuple[str, ...] = ()
    """validation preferences, of prompts that training does not hold"""
    model: str = ""
    """a model directory to start from; as it is, it is the reference of dpo"""
    lora: int = 0
    """rank of a LoRA on every linear layer (0: all weights)"""
    context: int = 2048
    rows_per_step: int = 16
    """families of pairs a step"""
    batch_tokens: int = 4096
    batch_rows: int = 16
    limit: int = 0
    """at most so many training pairs (0: all)"""
    resume: bool = False


@dataclass(frozen=True)
class Prepared:
    model: Any
    tokenizer: Any
    dialect: str
    share: bool
    train: list[Pair]
    held: list[Pair]


def prepare(args: PairArgs, out: pathlib.Path, say: Callable[[str], None]) -> Prepared:
    """The model and the pairs that the settings name, and what a run says of them. Raises UsageError, NoModel, DataError."""
    if not args.model or not args.data:
        raise UsageError("give --model DIR and --data FILE.jsonl")
    model, tokenizer, dialect = models.to_train(args.model, args.lora, out / "base", args.seed)
    encode = encoder_for(tokenizer, dialect)
    train, report = read([pathlib.Path(p) for p in args.data], encode, args.context, args.limit)
    say("training preferences: " + report.text())
    share = models.full_attention(model)
    if not share:
        say("this model has sliding windows, recurrence or dropout: nothing is shared, answers run by themselves")
    held: list[Pair] = []
    if args.valid:
        held, held_report = read([pathlib.Path(p) for p in args.valid], encode, args.context)
        say("validation preferences: " + held_report.text())
    out.mkdir(parents=True, exist_ok=True)
    return Prepared(model, tokenizer, dialect, share, train, held)
