"""Sequences that begin alike, laid out so that each shared beginning is computed once; and a model's answer at the places that matter.

    tree = flat([chosen, rejected])              # the tokens of a prefix tree in depth-first order: one row of a batch
    batch = collate([tree, ...])                 # padded rows; a beginning that all of them share is taken out and goes first
    sums, lengths = sequence_log_probs(log_probs(model, batch)[batch.pick], batch.owners, len(batch.lasts))

A token sees its ancestors alone, at positions that count its depth: losses and gradients are those of the padded batch (tests/train/test_trie.py).
The head is computed once for each pair of a place and the token it predicts. For decoders whose every layer attends to all of the past, without
dropout (model.full_attention); others get trees of one sequence each, not sharing anything: collate(..., share=False).
Left out: kernels that skip what a mask hides (FlexAttention); the dense mask of one tree is (S, S).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any, NamedTuple

import torch
from torch.utils.checkpoint import checkpoint

from toolagent.train.encode import Row
from toolagent.train.losses import token_log_probs

AT_ONCE = 4096  # places whose logits are kept for the backward pass; more are computed twice, in pieces


class Learned(NamedTuple):
    """One learned token of one sequence: the place in the tree that predicts it, the token, its kind (encode.Row), whose it is."""

    place: int
    token: int
    kind: int
    sequence: int


@dataclass(frozen=True)
class Tree:
    """`ids`, `depths`, `ends` (S,): the subtree of token i is i .. ends[i] - 1, so j sees i where i <= j < ends[i]."""

    ids: tuple[int, ...]
    depths: tuple[int, ...]
    ends: tuple[int, ...]
    learned: tuple[Learned, ...]
    lasts: tuple[int, ...]  # where the last token of each sequence stands

    @property
    def stem(self) -> int:
        """How many first tokens stand before the first fork, the first place that predicts and the first end of a sequence."""
        alone = sum(1 for _ in takewhile(lambda end: end == len(self.ids), self.ends))
        return min([alone, *(entry.place for entry in self.learned), *self.lasts])


def common(a: Sequence[int], b: Sequence[int]) -> int:
    """How many first tokens two sequences share."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False)))


def flat(rows: Sequence[Row]) -> Tree:
    """The rows as one tree. Sorted, each shares with the one before all that it shares with any before: their order is depth-first."""
    ids: list[int] = []
    depths: list[int] = []
    ends: list[int] = []
    learned: list[Learned] = []
    path: list[int] = []  # where the tokens of the last sequence stand
    lasts = [0] * len(rows)
    last: Sequence[int] = ()
    for number in sorted(range(len(rows)), key=lambda k: rows[k].ids):
        row = rows[number]
        n = common(last, row.ids)
        for place in path[n:]:
            ends[place] = len(ids)
        path[n:] = range(len(ids), len(ids) + len(row.ids) - n)
        ids += row.ids[n:]
        depths += range(n, len(row.ids))
        ends += [0] * (len(row.ids) - n)
        learned += [Learned(path[t - 1], row.ids[t], row.learned[t], number) for t in range(1, len(row.ids)) if row.learned[t]]
        lasts[number] = path[-1]
        last = row.ids
    for place in path:
        ends[place] = len(ids)
    return Tree(tuple(ids), tuple(depths), tuple(ends), tuple(learned), tuple(lasts))


@dataclass(frozen=True)
class Batch:
    """B trees of up to S tokens behind a stem of P (0: none). U pairs of a place and a token are learned, M times in N sequences."""

    stem: torch.Tensor  # (P,)
    ids: torch.Tensor  # (B, S)
    positions: torch.Tensor  # (B, S)
    mask: torch.Tensor | None  # (B or 1, 1, S, P + S) of bools; None: plain causal rows
    places: torch.Tensor  # (U,) in the flattened (B * S)
    targets: torch.Tensor  # (U,)
    pick: torch.Tensor  # (M,) in 0 .. U - 1
    kinds: torch.Tensor  # (M,)
    owners: torch.Tensor  # (M,) in 0 .. N - 1: trees in turn, and their sequences in the order that `flat` was given
    lasts: torch.Tensor  # (N,) in the flattened (B * S): where each sequence ends

    def to(self, device: Any) -> Batch:
        moved: dict[str, Any] = {name: value.to(device) for name, value in vars(self).items() if isinstance(value, torch.Tensor)}
        return replace(self, **moved)


def collate(trees: Sequence[Tree], kinds: Sequence[int] = (1, 2), share: bool = True) -> Batch:
    """The trees as one batch, of the learned tokens of these kinds. With `share`, what all trees begin with is taken out as the stem."""
    stem = common_stem(trees) if share and len(trees) > 1 else 0
    width = max(len(tree.ids) for tree in trees) - stem
    ids = torch.zeros(len(trees), width, dtype=torch.long)  # padding stands behind the tokens: none of them sees it
    positions = torch.zeros(len(trees), width, dtype=torch.long)
    ends = torch.full((len(trees), width), width)
    pairs: dict[tuple[int, int], int] = {}
    entries: list[tuple[int, int, int]] = []  # (pair, kind, owner)
    lasts: list[int] = []
    for k, tree in enumerate(trees):
        n = len(tree.ids) - stem
        ids[k, :n] = torch.tensor(tree.ids[stem:], dtype=torch.long)
        positions[k, :n] = torch.tensor(tree.depths[stem:], dtype=torch.long)
        ends[k, :n] = torch.tensor(tree.ends[stem:], dtype=torch.long) - stem
        for place, token, kind, sequence in tree.learned:
            if kind in kinds:
                pair = pairs.setdefault((k * width + place - stem, token), len(pairs))
                entries.append((pair, kind, len(lasts) + sequence))
        lasts += [k * width + place - stem for place in tree.lasts]
    plain = all(tree.ends == (len(tree.ids),) * len(tree.ids) for tree in trees)
    mask = None if plain and not stem else seen(ends[:1].fill_(width) if plain else ends, stem)
    places, targets = torch.tensor(list(pairs), dtype=torch.long).view(-1, 2).unbind(1)
    pick, kind_of, owners = torch.tensor(entries, dtype=torch.long).view(-1, 3).unbind(1)
    shared = torch.tensor(trees[0].ids[:stem], dtype=torch.long)
    return Batch(shared, ids, positions, mask, places, targets, pick, kind_of, owners, torch.tensor(lasts))


def batch_of(model: Any, trees: Sequence[Tree], kinds: Sequence[int], share: bool) -> Batch:
    """`collate`, on the device that the model is on."""
    return collate(trees, kinds, share).to(next(model.parameters()).device)


def chains(rows: Sequence[Row]) -> list[Tree]:
    """Each row a tree by itself."""
    return [flat([row]) for row in rows]


def common_stem(trees: Sequence[Tree]) -> int:
    """How many first tokens all trees share, up to the first fork or place that predicts of any."""
    most = min(min(tree.stem, len(tree.ids) - 1) for tree in trees)
    return sum(1 for _ in takewhile(lambda tokens: len(set(tokens)) == 1, zip(*(tree.ids[:most] for tree in trees), strict=True)))


def seen(ends: torch.Tensor, stem: int) -> torch.Tensor:
    """ends (B, S) -> (B, 1, S, stem + S): token j sees all of the stem, and token i of its row where i <= j < ends[i]."""
    at = torch.arange(ends.size(1), device=ends.device)
    own = (at[:, None] >= at) & (at[:, None] < ends[:, None, :])  # (B, S, S)
    return torch.nn.functional.pad(own, (stem, 0), value=True)[:, None]


def states(model: Any, batch: Batch) -> torch.Tensor:
    """The last layer's states, (B * S, H). The stem goes through the model once; its keys and values are expanded, not copied, to all rows."""
    body = unwrapped(model).base_model
    if batch.mask is None:
        found = body(input_ids=batch.ids, use_cache=False).last_hidden_state  # (B, S, H)
    elif not len(batch.stem):
        found = body(input_ids=batch.ids, attention_mask=batch.mask, position_ids=batch.positions, use_cache=False).last_hidden_state
    else:
        from transformers import DynamicCache

        layers = body(input_ids=batch.stem[None], use_cache=True).past_key_values.layers
        rows = len(batch.ids)
        cache = DynamicCache([(c.keys.expand(rows, -1, -1, -1), c.values.expand(rows, -1, -1, -1)) for c in layers])
        more = {"attention_mask": batch.mask, "position_ids": batch.positions, "past_key_values": cache, "use_cache": True}
        found = body(input_ids=batch.ids, **more).last_hidden_state
    return found.flatten(0, 1)


def unwrapped(model: Any) -> Any:
    """The transformers model, with its adapters in it."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def logits(model: Any, places: torch.Tensor) -> torch.Tensor:
    """States (U, H) -> logits (U, V), with what some families do behind the head (Cohere, Granite: scaled; Gemma 2: capped)."""
    base = unwrapped(model)
    found: torch.Tensor = base.get_output_embeddings()(places)
    scale = getattr(base.config, "logit_scale", 1.0) / getattr(base.config, "logits_scaling", 1.0)
    if scale != 1.0:  # a pass over (U, V), forward and backward, is a tenth of a step of a small model
        found = found * scale
    cap = getattr(base.config, "final_logit_softcapping", None)
    return torch.tanh(found / cap) * cap if cap else found


def log_probs(model: Any, batch: Batch, at_once: int = AT_ONCE) -> torch.Tensor:
    """log p of each learned token after its place: (U,) in float32. Beyond `at_once` places the logits of a piece are computed again in the
    backward pass, so that (U, V) never stands in memory whole."""

    def piece(places: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return token_log_probs(logits(model, places), targets)

    predicting = states(model, batch)[batch.places]
    if len(predicting) <= at_once:
        return piece(predicting, batch.targets)
    pieces = zip(predicting.split(at_once), batch.targets.split(at_once), strict=True)
    return torch.cat([checkpoint(piece, s, t, use_reentrant=False) for s, t in pieces])
