"""Distillation: a student learns, for each of the assistant's tokens, what a teacher would have said there, word by word.

    toolagent train distill --model runs/small/model --teacher runs/large/model --data data/desktop/train.jsonl --out runs/distill

JSONL conversations, as train/sft.py reads them -> the teacher's distribution at each learned token, taken once and kept on disk
(train/teacher_cache.py) -> the student's divergence from it. The teacher is dropped before the student is loaded, and not loaded at all where
nothing is left to ask. Heads may be padded to a round number: words that both have and the tokenizer knows are compared, what a student says
beyond them is for --sft to push down. Left out: on-policy distillation (answers that the student writes, judged by the teacher), teachers
with another tokenizer or behind a server, hidden states, the request's own words.
"""

from __future__ import annotations

import pathlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from toolagent import model as models
from toolagent.errors import UsageError
from toolagent.train import processes, trie
from toolagent.train import rows as data
from toolagent.train.encode import Row, encoder_for
from toolagent.train.loop import FitArgs, finish, fit, settled
from toolagent.train.losses import Divergence, distillation_top_k, forward_kl, generalised_jsd, reverse_kl, tempered, token_log_probs
from toolagent.train.teacher_cache import Answers, Question, fill, fingerprint, outline, predicting, same_words

Piece = Callable[..., torch.Tensor]  # logits (N, V), targets (N,), the teacher's tensors (N, K) -> figures (N, ...)


@dataclass
class Args(FitArgs):
    data: tuple[str, ...] = ()
    """training conversations (JSONL)"""
    valid: tuple[str, ...] = ()
    """validation conversations"""
    out: str = "runs/distill"
    model: str = ""
    """the student: a model directory to start from"""
    teacher: str = ""
    """a model directory with the student's tokenizer"""
    teacher_dtype: str = "float32"
    """numbers that the teacher computes with: float32, or bfloat16 (half the memory)"""
    cache: str = ""
    """folder of the teacher's answers, for several runs (empty: OUT/teacher)"""
    lora: int = 0
    """rank of a LoRA on every linear layer (0: all weights)"""
    context: int = 2048
    divergence: str = "forward"
    """forward (all that the teacher may say), reverse (give up what cannot be followed) or jsd (between them)"""
    beta: float = 0.5
    """jsd: the teacher's share of the mixture; near 0 it pulls like forward, near 1 like reverse"""
    temperature: float = 1.0
    """divides the logits of both; above 1 the unlikely words count for more"""
    top_k: int = 64
    """words kept of the teacher a token, all others counted as one (0: all words, for small vocabularies)"""
    sft: float = 0.0
    """weight of the token loss on the data's own words beside the divergence"""
    batch_tokens: int = 4096
    batch_rows: int = 48
    limit: int = 0
    """at most so many training rows (0: all)"""
    resume: bool = False


def make_divergence(args: Args) -> Divergence:
    """Raises UsageError."""
    kinds: dict[str, Divergence] = {"forward": forward_kl, "reverse": reverse_kl, "jsd": partial(generalised_jsd, beta=args.beta)}
    if args.divergence not in kinds or (args.divergence == "jsd" and not 0 < args.beta < 1):
        raise UsageError(f"divergence {args.divergence!r}, beta {args.beta:g}: use one of {', '.join(kinds)}, beta between 0 and 1")
    if args.temperature <= 0 or args.top_k < 0 or args.sft < 0 or args.teacher_dtype not in ("float32", "bfloat16"):
        raise UsageError("give a --temperature above 0, --top-k and --sft of at least 0, a --teacher-dtype of float32 or bfloat16")
    return kinds[args.divergence]


def make_loss(args: Args, words: int) -> Piece:
    """(logits (N, V), targets (N,), teacher's log-probabilities (N, K) and, unless they are of all words, words (N, K)) -> losses (N,)."""
    divergence = make_divergence(args)

    def loss(logits: torch.Tensor, targets: torch.Tensor, teacher: torch.Tensor, kept: torch.Tensor | None = None) -> torch.Tensor:
        student = logits[:, :words]
        if kept is None:
            found = args.temperature**2 * divergence(teacher, tempered(student, args.temperature))
        else:
            found = distillation_top_k(student, teacher, kept.long(), divergence, args.temperature)
        return found - args.sft * token_log_probs(logits, targets) if args.sft else found

    return loss


def measured(model: Any, rows: Sequence[Row], answers: Answers, share: bool, piece: Piece, at_once: int = trie.AT_ONCE) -> torch.Tensor:
    """`piece` at the learned tokens of the rows, (U, ...). Beyond `at_once` of them its logits are computed again in the backward pass."""
    batch, states = predicting(model, rows, share)
    tensors = (states, batch.targets, *(tensor.to(states.device) for tensor in answers.of(rows)))

    def computed(states: torch.Tensor, *more: torch.Tensor) -> torch.Tensor:
        return piece(trie.logits(model, states), *more)

    if len(states) <= at_once:
        return computed(*tensors)
    pieces = zip(*(tensor.split(at_once) for tensor in tensors), strict=True)
    return torch.cat([checkpoint(computed, *some, use_reentrant=False) for some in pieces])


def make_validate(
    groups: Sequence[Sequence[Row]], answers: Answers, share: bool, loss: Piece, words: int
) -> Callable[[Any], dict[str, float]]:  # fmt: skip
    """Means over the learned tokens: of the loss, of the token loss (nats), and how often student and teacher have the same first choice."""

    def figures(logits: torch.Tensor, targets: torch.Tensor, *teacher: torch.Tensor) -> torch.Tensor:
        first = teacher[1][:, 0] if len(teacher) > 1 else teacher[0].argmax(-1)
        agree = logits[:, :words].argmax(-1) == first
        return torch.stack([loss(logits, targets, *teacher), -token_log_probs(logits, targets), agree.float()], dim=-1)  # (N, 3)

    def validate(model: Any) -> dict[str, float]:
        found = torch.cat([measured(model, rows, answers, share, figures) for rows in groups]).mean(0)
        return dict(zip(("loss", "nll", "agreement"), found.tolist(), strict=True))

    return validate


@dataclass(frozen=True)
class Prepared:
    train: list[Row]
    held: list[Row]
    answers: pathlib.Path  # the folder
    words: int  # of the vocabulary that are compared


def prepare(args: Args, say: Callable[[str], None]) -> Prepared:
    """Read the rows and ask the teacher. One process does it, before the others start. Raises UsageError, NoModel."""
    if not args.model or not args.teacher or not args.data:
        raise UsageError("give --model DIR, --teacher DIR and --data FILE.jsonl")
    make_divergence(args)
    (tokenizer, width), (theirs, their_width) = outline(args.model), outline(args.teacher)
    encode = encoder_for(tokenizer, models.dialect_of(args.model))
    train, report = data.read([pathlib.Path(p) for p in args.data], encode, args.context, args.limit)
    say("training data: " + report.text())
    say(data.shown(train[0], tokenizer, colour=False))
    held: list[Row] = []
    if args.valid:
        held, held_report = data.read([pathlib.Path(p) for p in args.valid], encode, args.context)
        say("validation data: " + held_report.text())
    same_words(tokenizer, theirs, train[:64])
    words = min(width, their_width, max(tokenizer.get_vocab().values()) + 1)
    question = Question(fingerprint(pathlib.Path(args.teacher)), args.teacher_dtype, args.temperature, words, min(args.top_k or words, words))
    folder = question.folder(pathlib.Path(args.cache or f"{args.out}/teacher"))
    rows = [*train, *held]
    fill(folder, question, rows, lambda: models.load(args.teacher, args.teacher_dtype)[0], say, budget=args.batch_tokens, most=args.batch_rows)
    return Prepared(train, held, folder, words)


def main(args: Args, say: Callable[[str], None] = print) -> dict[str, Any]:
    """Run it; returns the summary that is also written to out/run.json."""
    prepared = prepare(args, say)
    with processes.started(args.processes, work, args, prepared, processes.quiet):
        return work(args, prepared, say)


def work(args: Args, prepared: Prepared, say: Callable[[str], None]) -> dict[str, Any]:
    """What each process does; the first one alone validates and writes."""
    args = settled(args, False, args.lora > 0)
    out = pathlib.Path(args.out)
    model, tokenizer, dialect = models.to_train(args.model, args.lora, out / "base", args.seed)
    if torch.cuda.is_available():
        model = model.cuda()
    share = models.full_attention(model)
    if not share:
        say("this model has sliding windows, recurrence or dropout: prefixes are not shared, rows run padded")
    answers = Answers(prepared.answers)
    each = make_loss(args, prepared.words)
    most = min(args.batch_rows, max(args.rows_per_step // args.processes, 1))  # a step is made of whole batches, as many for each process

    def batches(rng: random.Random) -> list[list[Row]]:
        return data.batches(prepared.train, args.batch_tokens, most, rng)

    def loss(model: Any, rows: Sequence[Row]) -> tuple[torch.Tensor, torch.Tensor]:
        losses = measured(model, rows, answers, share, each)
        return losses.sum(), torch.tensor(len(losses))

    groups = data.batches(prepared.held, args.batch_tokens, args.batch_rows, random.Random(0))
    validate = make_validate(groups, answers, share, each, prepared.words) if groups else None
    state = fit(model, batches, loss, args, out, validate=validate, say=say, resume=args.resume)
    parameters = sum(p.numel() for p in model.parameters())
    more = {"rows": state.rows, "answers": str(prepared.answers)}
    return finish(args, state, parameters, lambda to: models.save(model, tokenizer, to, dialect), **more)
