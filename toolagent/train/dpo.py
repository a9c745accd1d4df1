"""Preference tuning (DPO and its kin) on pairs that share their prompts, and on the steps of trajectories that share their histories.

    toolagent train dpo --model runs/sft/model --data data/pairs/train.jsonl --valid data/pairs/valid.jsonl --out runs/dpo --epochs 1

The reference is the model as it is before the first step: its log-probabilities of all answers are taken once and kept in out/reference.json,
by content, so that no second model stands in memory and a resumed run does not ask again. Prompt and shared history are computed once a tree
(train/trie.py); models with sliding windows, recurrence or dropout run each answer by itself, and the run says so.
Left out: several references, references that move, lists of more than two answers.
"""

from __future__ import annotations

import hashlib
import json
import math
import pathlib
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from toolagent import model as models
from toolagent.errors import UsageError
from toolagent.files import whole_file
from toolagent.train import pairs as data
from toolagent.train import preferences, processes, trie
from toolagent.train.encode import Row, encoder_for
from toolagent.train.loop import FitArgs, fit, settled
from toolagent.train.losses import sequence_log_probs
from toolagent.train.pairs import Family
from toolagent.train.rows import shown

LOSSES = ("sigmoid", "ipo", "hinge", "robust")


@dataclass
class Args(FitArgs):
    data: tuple[str, ...] = ()
    """training preferences (JSONL)"""
    valid: tuple[str, ...] = ()
    """validation preferences, of prompts that training does not hold"""
    out: str = "runs/dpo"
    model: str = ""
    """a model directory to start from; as it is, it is the reference"""
    lora: int = 0
    """rank of a LoRA on every linear layer (0: all weights)"""
    context: int = 2048
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
    rows_per_step: int = 16
    """families of pairs a step"""
    batch_tokens: int = 4096
    batch_rows: int = 16
    limit: int = 0
    """at most so many training pairs (0: all)"""
    resume: bool = False


def answers(model: Any, some: Sequence[Family], share: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Summed log-probabilities and lengths of the answers: (2N,), (2N,), chosen and rejected in turn."""
    trees = [family.tree for family in some] if share else [trie.flat([row]) for row in rows_of(some)]
    batch = trie.collate(trees, (1,), share).to(next(model.parameters()).device)
    return sequence_log_probs(trie.log_probs(model, batch)[batch.pick], batch.owners, len(batch.lasts))


def rows_of(some: Sequence[Family]) -> list[Row]:
    return [row for family in some for pair in family.pairs for row in (pair.chosen, pair.rejected)]


def key_of(row: Row) -> str:
    """What a reference's log-probability belongs to: the tokens and which of them are the answer."""
    return hashlib.sha256(json.dumps([row.ids, row.learned.hex()]).encode()).hexdigest()[:24]


def referred(model: Any, some: Sequence[Sequence[Family]], share: bool, path: pathlib.Path, say: Callable[[str], None]) -> dict[str, float]:
    """The model's summed log-probability of each answer, by its key; from the file where the same weights have been asked before."""
    weights = models.fingerprint(model)
    known: dict[str, float] = {}
    if path.exists():
        found = json.loads(path.read_text("utf-8"))
        known = found["log_probs"] if found["weights"] == weights else {}
    missing = [batch for batch in some if any(key_of(row) not in known for row in rows_of(batch))]
    model.eval()
    with torch.no_grad():
        for batch in missing:
            known |= zip(map(key_of, rows_of(batch)), answers(model, batch, share)[0].tolist(), strict=True)
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
    known = torch.tensor([reference[key_of(row)] for row in rows_of(some)], device=policy.device)
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
    if not args.model or not args.data:
        raise UsageError("give --model DIR and --data FILE.jsonl")
    make_losses(args)
    args = settled(args, False, args.lora > 0)
    out = pathlib.Path(args.out)
    model, tokenizer, dialect = models.to_train(args.model, args.lora, out / "base", args.seed)
    encode = encoder_for(tokenizer, dialect)
    found, report = data.read([pathlib.Path(p) for p in args.data], encode, args.context, args.limit)
    train = data.families(found, args.batch_tokens)
    say("training preferences: " + report.text())
    say(f"{len(found)} pairs in {len(train)} families; {sum(len(f.tree.ids) for f in train)} tokens where each is computed once")
    say(shown(found[0].chosen, tokenizer))
    share = models.full_attention(model)
    if not share:
        say("this model has sliding windows, recurrence or dropout: nothing is shared, answers run by themselves")
    held: list[Family] = []
    if args.valid:
        held_pairs, held_report = data.read([pathlib.Path(p) for p in args.valid], encode, args.context)
        say("validation preferences: " + held_report.text())
        held = data.families(held_pairs, args.batch_tokens)
    out.mkdir(parents=True, exist_ok=True)
    if torch.cuda.is_available():
        model = model.cuda()

    def batched(some: Sequence[Family], rng: random.Random) -> list[list[Family]]:
        return data.batches(some, args.batch_tokens, args.batch_rows, rng)

    groups = batched(held, random.Random(0))
    first = processes.number() == 0
    asked = [*batched(train, random.Random(0)), *groups]
    if first:
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
    summary = {"args": asdict(args), "parameters": sum(p.numel() for p in model.parameters()), "steps": state.step, "pairs": len(found)}
    summary |= {"minutes": state.seconds / 60, "best": state.best if math.isfinite(state.best) else None}
    if first:
        models.save(model, tokenizer, out / "model", dialect)
        with whole_file(out / "run.json") as file:
            file.write(json.dumps(summary, indent=1) + "\n")
    return summary
