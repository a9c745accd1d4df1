"""Supervised fine-tuning on conversations, from scratch or from a given model.

    toolagent train sft --from-scratch --data data/desktop/train.jsonl --valid data/desktop/valid.jsonl --out runs/sft --minutes 60

JSONL conversations -> groups that show the same tools -> token loss on the assistant's words and its end of turn. The tools of a group are
computed once per batch and attended to by all its rows: on full-attention models without dropout; others run padded, and the run says so.
From scratch the prompts grow: copying is learned several times sooner behind a short one (docs/DIARY.md), so a run has three parts.
Left out: preference data (dpo.py), a teacher's distributions (distill.py).
"""

from __future__ import annotations

import itertools
import json
import math
import pathlib
import random
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch

from toolagent import model as models
from toolagent.errors import UsageError
from toolagent.train import processes, trie
from toolagent.train import rows as data
from toolagent.train.encode import Row, encoder_for
from toolagent.train.loop import FitArgs, fit, settled
from toolagent.train.losses import token_nll


@dataclass
class Args(FitArgs):
    data: tuple[str, ...] = ()
    """training conversations (JSONL)"""
    valid: tuple[str, ...] = ()
    """validation conversations; their skeletons must not stand in the training data"""
    out: str = "runs/sft"
    model: str = ""
    """a model directory to start from"""
    from_scratch: bool = False
    lora: int = 0
    """rank of a LoRA on every linear layer (0: all weights)"""
    shape: models.Shape = field(default_factory=models.Shape)
    context: int = 2048
    request_weight: float = 0.1
    """weight of the request's own words in the loss (0: answers only)"""
    curriculum: float = 0.5
    """share of a run from scratch that goes to short requests alone and then to prompts of few tools (0: all rows from the start)"""
    batch_tokens: int = 4096
    batch_rows: int = 48
    limit: int = 0
    """at most so many training rows (0: all)"""
    resume: bool = False


def make_loss(share: bool, request_weight: float) -> Callable[[Any, Sequence[Row]], tuple[torch.Tensor, torch.Tensor]]:
    def loss(model: Any, rows: Sequence[Row]) -> tuple[torch.Tensor, torch.Tensor]:
        batch = trie.batch_of(model, trie.chains(rows), (1, 2) if request_weight > 0 else (1,), share)
        answers = batch.kinds == 1
        weights = torch.where(answers, 1.0, request_weight)
        return -(trie.log_probs(model, batch)[batch.pick] * weights).sum(), answers.sum()

    return loss


def make_validate(groups: Sequence[Sequence[Row]], share: bool) -> Callable[[Any], dict[str, float]]:
    """Mean loss of the answers' tokens (nats), and the share of rows whose every answer token is the model's first choice."""

    def validate(model: Any) -> dict[str, float]:
        total, tokens, right, count = 0.0, 0, 0, 0
        for rows in groups:
            batch = trie.batch_of(model, trie.chains(rows), (1,), share)
            logits = trie.logits(model, trie.states(model, batch)[batch.places])
            total += token_nll(logits, batch.targets).item()
            tokens += len(batch.targets)
            wrong = batch.owners[(logits.argmax(-1) != batch.targets)[batch.pick]]
            right, count = right + len(rows) - len(wrong.unique()), count + len(rows)
        return {"loss": total / max(tokens, 1), "exact": right / max(count, 1)}

    return validate


def main(args: Args, say: Callable[[str], None] = print) -> dict[str, Any]:
    """Run it; returns the summary that is also written to out/run.json."""
    with processes.started(args.processes, work, args, processes.quiet):
        return work(args, say)


def work(args: Args, say: Callable[[str], None]) -> dict[str, Any]:
    """What each process does; the first one alone validates and writes."""
    if args.from_scratch == bool(args.model):
        raise UsageError("give either --from-scratch or --model DIR")
    if not args.data:
        raise UsageError("give --data FILE.jsonl")
    args = settled(args, args.from_scratch, args.lora > 0)
    out = pathlib.Path(args.out)
    files = [pathlib.Path(p) for p in args.data]
    resuming = args.resume and any(out.glob("**/checkpoint.pt"))
    if args.from_scratch:
        if not resuming and processes.number() == 0:
            new_tokenizer(files, args.shape.vocabulary).save_pretrained(out / "tokenizer")
        processes.wait()
        tokenizer = models.load_tokenizer(out / "tokenizer")
        dialect, model = "compact", models.make(args.shape, tokenizer, args.seed)
    else:
        model, tokenizer, dialect = models.to_train(args.model, args.lora, out / "base", args.seed)
    encode = encoder_for(tokenizer, dialect)
    train, report = data.read(files, encode, args.context, args.limit)
    say("training data: " + report.text())
    say(data.shown(train[0], tokenizer, colour=sys.stderr.isatty()))
    share = models.full_attention(model)
    if not share:
        say("this model has sliding windows, recurrence or dropout: prefixes are not shared, rows run padded")
    validate = None
    if args.valid:
        held, held_report = data.read([pathlib.Path(p) for p in args.valid], encode, args.context)
        say("validation data: " + held_report.text())
        validate = make_validate(data.batches(held, args.batch_tokens, args.batch_rows, random.Random(0)), share)
    out.mkdir(parents=True, exist_ok=True)
    if torch.cuda.is_available():
        model = model.cuda()
    parameters = sum(p.numel() for p in model.parameters())
    say(f"{parameters / 1e6:.1f}M parameters, {len(train)} rows, {torch.get_num_threads()} threads")
    parts = schedule(args, train)
    if not args.resume and processes.number() == 0:
        for part in parts:
            (out / part.name / "checkpoint.pt").unlink(missing_ok=True)
    states = []
    most = min(args.batch_rows, max(args.rows_per_step // args.processes, 1))  # a step is made of whole batches, as many for each process
    for part in parts:
        if part.name:
            say(f"{part.name} part: {len(part.rows)} rows")

        def batches(rng: random.Random, rows: Sequence[Row] = part.rows) -> list[list[Row]]:
            return data.batches(rows, args.batch_tokens, most, rng)

        last = part is parts[-1]
        loss = make_loss(share, part.args.request_weight)
        check = validate if last else None
        states.append(fit(model, batches, loss, part.args, out / part.name, validate=check, say=say, resume=args.resume, run=args))
    if processes.number() == 0:
        models.save(model, tokenizer, out / "model", dialect)
    best = states[-1].best if math.isfinite(states[-1].best) else None
    found: dict[str, Any] = {"parameters": parameters, "steps": sum(s.step for s in states), "rows": sum(s.rows for s in states)}
    found |= {"minutes": sum(s.seconds for s in states) / 60, "best": best}
    summary = {"args": asdict(args), **found}
    if processes.number() == 0:
        (out / "run.json").write_text(json.dumps(summary, indent=1) + "\n", "utf-8")
    return summary


@dataclass(frozen=True)
class Part:
    """One stretch of a run. `name` is its folder within the run's; the last part has none."""

    name: str
    rows: Sequence[Row]
    args: Args


def schedule(args: Args, rows: Sequence[Row]) -> list[Part]:
    """From scratch: short requests without tools, of those that show what most show; then the rows whose tools take at most half as many
    tokens as those (where there are some: else requests of any length without tools); then all. Copying is what a model learns last, and
    soonest where there is little to copy from; the request's own words teach it, too."""
    if not args.from_scratch or args.curriculum <= 0:
        return [Part("", rows, args)]
    if args.curriculum >= 1:
        raise UsageError("--curriculum is a share below 1: a model must see all tools")

    def stretch(share: float, **more: Any) -> Args:
        return replace(args, minutes=args.minutes * share, epochs=args.epochs * share, **more)

    most = Counter(row.group for row in rows).most_common(1)[0][0]
    alone = sorted((row.bare for row in rows if row.group == most), key=lambda row: len(row.ids))
    head = max(row.head for row in rows if row.group == most)
    few = [row for row in rows if row.head <= head / 2]
    second = few if len(few) > len(rows) / 10 else alone
    return [
        Part("short", alone[: -(-len(alone) // 2)], stretch(args.curriculum * 0.3, cooldown=0.1, request_weight=0.5)),
        Part("few" if second is few else "bare", second, stretch(args.curriculum * 0.7, cooldown=0.25, request_weight=0.2)),
        Part("", rows, stretch(1 - args.curriculum, cooldown=0.75, lr=args.lr * 0.8, lr_adam=args.lr_adam * 0.75)),
    ]


def new_tokenizer(files: Sequence[pathlib.Path], vocabulary: int, rows: int = 30_000) -> Any:
    """A tokenizer for these conversations: trained on the requests and answers of the first rows and on each list of tools once.

    The heads of calls (" send_sms(") and the argument names with an underscore that half of the rows show become tokens of their own.
    """
    from toolagent.dialects import compact

    texts: list[str] = []
    heads, pieces = Counter[str](), Counter[str]()
    for path in files:
        for _, _, conversation in itertools.islice(data.conversations([path]), rows):
            head = compact.head(conversation)
            if head not in heads:
                texts.append(head)
            heads[head] += 1
            pieces.update(f" {t.name}(" for t in conversation.tools)
            pieces.update({f"{k}=" for t in conversation.tools for k in t.properties if "_" in k})
            texts.append(compact.body(conversation))
    return models.train_tokenizer(texts, vocabulary, sorted(p for p, n in pieces.items() if n * 2 >= heads.total()))
