"""Preference tuning (DPO and its kin) on pairs that share their prompts, and on the steps of trajectories that share their histories.

    toolagent train dpo --model runs/sft/model --data data/pairs/train.jsonl --valid data/pairs/valid.jsonl --out runs/dpo --epochs 1

The reference is the model as it is before the first step: its log-probabilities of all answers are taken once and kept in out/reference.json,
by content, so that no second model stands in memory and a resumed run does not ask again. Prompt and shared history are computed once a tree
(train/trie.py); models with sliding windows, recurrence or dropout run each answer by itself, and the run says so.
Left out: several references, references that move, lists of more than two answers.
"""

from __future__ import annotations

import json
import pathlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from toolagent import model as models
from toolagent.errors import UsageError
from toolagent.files import whole_file
from toolagent.train import pairs as data
from toolagent.train import preferences, processes, trie
from toolagent.train.loop import finish, fit, settled
from toolagent.train.losses import sequence_log_probs
from toolagent.train.pairs import Family, PairArgs, rows_of, trees_of
from toolagent.train.rows import shown

LOSSES = ("sigmoid", "ipo", "hinge", "robust")


@dataclass
class Args(PairArgs):
    out: str = "runs/dpo"
    loss: str = "sigmoid"
    """sigmoid (DPO), ipo, hinge or robust (labels flipped at random at --flip-rate)"""
    beta: float = 0.1
    """how dear it is to leave the reference; larger with --by-length"""
    by_length: bool = False
    """mean log-ratio of an answer's tokens instead of their sum"""
    label_smoothing: float = 0.0
    """sigmoid: share of labels thought wrong"""
    flip_rate: float = 0.1
    """robust: share of labels flipped"""
    sft: float = 0.0
    """weight of the chosen answers' own likelihood"""


def answers(model: Any, some: Sequence[Family], share: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Summed log-probabilities and lengths of the answers: (2N,), (2N,), chosen and rejected in turn."""
    batch = trie.batch_of(model, trees_of(some, share), (1,), share)
    return sequence_log_probs(trie.log_probs(model, batch)[batch.pick], batch.owners, len(batch.lasts))


def referred(model: Any, some: Sequence[Sequence[Family]], share: bool, path: pathlib.Path, say: Callable[[str], None]) -> dict[str, float]:
    """The model's summed log-probability of each answer, by its key; from the file where the same weights have been asked before."""
    weights = models.fingerprint(model)
    known: dict[str, float] = {}
    if path.exists():
        found = json.loads(path.read_text("utf-8"))
        known = found["log_probs"] if found["weights"] == weights else {}
    missing = [batch for batch in some if any(row.key not in known for row in rows_of(batch))]
    model.eval()
    with torch.no_grad():
        for batch in missing:
            known |= zip((row.key for row in rows_of(batch)), answers(model, batch, share)[0].tolist(), strict=True)
    if missing:
        say(f"reference: log-probabilities of {sum(len(rows_of(batch)) for batch in missing)} answers taken")
        with whole_file(path) as file:
            file.write(json.dumps({"weights": weights, "log_probs": known}))
    return known


def make_losses(args: Args) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """Log-ratios of the chosen and of the rejected (N,), (N,) -> losses (N,). Raises UsageError."""
    kinds: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
        "sigmoid": lambda c, r: preferences.dpo(c, r, args.beta, args.label_smoothing),
        "ipo": lambda c, r: preferences.ipo(c, r, args.beta),
        "hinge": lambda c, r: preferences.hinge(c, r, args.beta),
        "robust": lambda c, r: preferences.robust_dpo(c, r, args.beta, args.flip_rate),
    }
    if args.loss not in kinds or args.beta <= 0:
        raise UsageError(f"loss {args.loss!r} with beta {args.beta:g}: use one of {', '.join(LOSSES)}, and a beta above 0")
    return kinds[args.loss]


def measured(model: Any, some: Sequence[Family], args: Args, share: bool, reference: dict[str, float]) -> tuple[torch.Tensor, torch.Tensor]:
    """(losses (N,), beta times the margin of log-ratios (N,)) of the families' pairs."""
    policy, lengths = answers(model, some, share)
    known = torch.tensor([reference[row.key] for row in rows_of(some)], device=policy.device)
    ratios = preferences.log_ratio(policy, known, lengths if args.by_length else None)
    chosen, rejected = ratios[0::2], ratios[1::2]
    losses = make_losses(args)(chosen, rejected)
    if args.sft:
        losses = losses + args.sft * preferences.sft(policy[0::2], lengths[0::2])
    return losses, args.beta * (chosen - rejected)


def main(args: Args, say: Callable[[str], None] = print) -> dict[str, Any]:
    """Run it; returns the summary that is also written to out/run.json."""
    with processes.started(args.processes, work, args, processes.quiet):
        return work(args, say)


def work(args: Args, say: Callable[[str], None]) -> dict[str, Any]:
    make_losses(args)
    args = settled(args, False, args.lora > 0)
    out = pathlib.Path(args.out)
    found = data.prepare(args, out, say)
    model, share = found.model, found.share
    train, held = data.families(found.train, args.batch_tokens), data.families(found.held, args.batch_tokens)
    say(f"{len(found.train)} pairs in {len(train)} families; {sum(len(f.tree.ids) for f in train)} tokens where each is computed once")
    say(shown(found.train[0].chosen, found.tokenizer))
    if torch.cuda.is_available():
        model = model.cuda()

    def batched(some: Sequence[Family], rng: random.Random) -> list[list[Family]]:
        return data.batches(some, args.batch_tokens, args.batch_rows, rng)

    groups = batched(held, random.Random(0))
    asked = [*batched(train, random.Random(0)), *groups]
    if processes.number() == 0:
        referred(model, asked, share, out / "reference.json", say)
    processes.wait()
    reference = referred(model, asked, share, out / "reference.json", say)

    def loss(model: Any, some: Sequence[Family]) -> tuple[torch.Tensor, torch.Tensor]:
        losses, _ = measured(model, some, args, share, reference)
        return losses.sum(), torch.tensor(len(losses))

    def validate(model: Any) -> dict[str, float]:
        each = [measured(model, some, args, share, reference) for some in groups]
        losses, margins = torch.cat([one for one, _ in each]), torch.cat([two for _, two in each])
        return {"loss": losses.mean().item(), "accuracy": (margins > 0).float().mean().item(), "margin": margins.mean().item()}

    state = fit(model, lambda rng: batched(train, rng), loss, args, out, validate=validate if groups else None, say=say, resume=args.resume)
    parameters = sum(p.numel() for p in model.parameters())
    return finish(args, state, parameters, lambda to: models.save(model, found.tokenizer, to, found.dialect), pairs=len(found.train))
