"""fit: the loop that trainers share. Takes a loss as a function; keeps time, validation, the best weights and a checkpoint to resume from.

Left out: several processes (issue of the accelerate page), mixed precision on GPUs other than bf16 autocast.
"""

from __future__ import annotations

import json
import math
import os
import pathlib
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from toolagent.errors import ToolagentError
from toolagent.train.muon import Muon

Batches = Callable[[random.Random], list[Any]]


@dataclass
class FitArgs:
    """Settings that every trainer has."""

    lr: float = 0.02
    """peak learning rate of the hidden matrices (Muon) or, with optimizer=adamw, of all weights"""
    lr_adam: float = 3e-3
    """peak learning rate of embeddings and norms beside Muon"""
    optimizer: str = "muon"
    """muon (from scratch: about half the steps of AdamW) or adamw"""
    weight_decay: float = 0.02
    warmup: int = 60
    """optimiser steps"""
    cooldown: float = 0.35
    """last share of the run in which the rate falls linearly to zero"""
    rows_per_step: int = 48
    minutes: float = 0.0
    """stop after this long (0: by epochs alone); the cooldown is fitted to it"""
    epochs: float = 3.0
    valid_every: int = 200
    """optimiser steps between validations"""
    patience: int = 0
    """stop after so many validations without a better one (0: never)"""
    seed: int = 1
    threads: int = 0
    """CPU threads (0: torch's own choice)"""


def optimizers(model: Any, args: FitArgs) -> list[torch.optim.Optimizer]:
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    if args.optimizer == "adamw":
        return [torch.optim.AdamW([p for _, p in named], lr=args.lr, betas=(0.9, 0.95), weight_decay=args.weight_decay, eps=1e-8)]
    hidden = [p for n, p in named if p.ndim == 2 and "embed" not in n and "lm_head" not in n]
    rest = [p for n, p in named if not (p.ndim == 2 and "embed" not in n and "lm_head" not in n)]
    return [
        Muon(hidden, lr=args.lr, momentum=0.95, weight_decay=args.weight_decay),
        torch.optim.AdamW(rest, lr=args.lr_adam, betas=(0.9, 0.95), weight_decay=0.0, eps=1e-8),
    ]


@dataclass
class Progress:
    """What a resumed run must know. Saved beside weights and optimisers."""

    step: int = 0
    rows: int = 0
    epoch: int = 0
    batch: int = 0
    seconds: float = 0.0
    best: float = math.inf
    worse: int = 0


def fit(
    model: Any,
    batches: Batches,
    loss: Callable[[Any, Any], tuple[torch.Tensor, torch.Tensor]],
    args: FitArgs,
    out: pathlib.Path,
    *,
    validate: Callable[[Any], dict[str, float]] | None = None,
    say: Callable[[str], None] = print,
    resume: bool = False,
) -> Progress:
    """Train in place; `loss(model, batch)` gives (summed loss, number of learned tokens). Leaves the best weights (by validate()["loss"]) in the model.

    An optimiser step sums token losses over its batches and divides by their tokens, so that its gradient does not depend on how rows fell into
    batches. Checkpoints go to out/checkpoint (whole or not at all); Ctrl-C saves one and re-raises. NaN raises with the batch's row names.
    """
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)  # softmax tails underflow, and a CPU is slow on denormal numbers
    out.mkdir(parents=True, exist_ok=True)
    opts = optimizers(model, args)
    peaks = [g["lr"] for o in opts for g in o.param_groups]
    state = Progress()
    checkpoint = out / "checkpoint.pt"
    if resume and checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(saved["model"], strict=False)
        for o, s in zip(opts, saved["optimizers"], strict=True):
            o.load_state_dict(s)
        state = Progress(**saved["progress"])
        say(f"resumed at step {state.step}")
    best = out / "best.pt"
    log = open(out / "log.jsonl", "a", encoding="utf-8")
    started = time.monotonic() - state.seconds
    model.train()
    plan = batches(random.Random(f"{args.seed}:{state.epoch}"))
    per_epoch = sum(len(b) for b in plan)
    total_rows = per_epoch * args.epochs

    def share() -> float:
        by_rows = state.rows / total_rows if total_rows else 0.0
        by_time = (time.monotonic() - started) / (args.minutes * 60) if args.minutes else 0.0
        return max(by_rows, by_time)

    def save() -> None:
        state.seconds = time.monotonic() - started
        trainable = {n: p.detach() for n, p in model.named_parameters() if p.requires_grad}
        temporary = checkpoint.with_suffix(".tmp")
        torch.save({"model": trainable, "optimizers": [o.state_dict() for o in opts], "progress": vars(state)}, temporary)
        os.replace(temporary, checkpoint)

    def check() -> bool:
        """Validate; True when it is time to stop."""
        if validate is None:
            return False
        model.eval()
        with torch.no_grad():
            found = validate(model)
        model.train()
        better = found["loss"] < state.best - 1e-4
        state.best, state.worse = (found["loss"], 0) if better else (state.best, state.worse + 1)
        if better:
            trainable = {n: p.detach() for n, p in model.named_parameters() if p.requires_grad}
            torch.save(trainable, best.with_suffix(".tmp"))
            os.replace(best.with_suffix(".tmp"), best)
        log.write(json.dumps({"step": state.step, "valid": found}) + "\n")
        log.flush()
        say(f"step {state.step}: " + "  ".join(f"valid {k} {v:.4f}" for k, v in found.items()) + ("  (best)" if better else ""))
        return bool(args.patience and state.worse >= args.patience)

    running, tokens_seen, since = 0.0, 0, time.monotonic()
    try:
        while share() < 1.0:
            taken: list[Any] = []
            while sum(len(b) for b in taken) < args.rows_per_step:
                if state.batch >= len(plan):
                    state.epoch, state.batch = state.epoch + 1, 0
                    plan = batches(random.Random(f"{args.seed}:{state.epoch}"))
                taken.append(plan[state.batch])
                state.batch += 1
            done = share()
            scale = min(1.0, (state.step + 1) / max(args.warmup, 1)) * min(1.0, (1.0 - done) / max(args.cooldown, 1e-9))
            for o in opts:
                for g in o.param_groups:
                    g["lr"] = 0.0
            for g, peak in zip((g for o in opts for g in o.param_groups), peaks, strict=True):
                g["lr"] = peak * max(scale, 0.01)
            sums, counts = 0.0, 0
            for batch in taken:
                value, count = loss(model, batch)
                if not torch.isfinite(value):
                    names = ", ".join(getattr(r, "name", "?") for r in batch[:8])
                    raise ToolagentError(f"the loss is {value.item()} at step {state.step}; rows of the batch: {names}. Lower --lr")
                value.backward()
                sums, counts = sums + value.item(), counts + int(count)
            for p in model.parameters():
                if p.grad is not None:
                    p.grad /= max(counts, 1)
            torch.nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], 1.0)
            for o in opts:
                o.step()
                o.zero_grad(set_to_none=True)
            state.step += 1
            state.rows += sum(len(b) for b in taken)
            running = sums / max(counts, 1) if not running else 0.95 * running + 0.05 * sums / max(counts, 1)
            tokens_seen += counts
            if state.step % 20 == 0:
                seconds = time.monotonic() - started
                left = seconds / max(share(), 1e-6) * (1 - share())
                rate = tokens_seen / (time.monotonic() - since)
                log.write(json.dumps({"step": state.step, "loss": running, "rows": state.rows, "seconds": round(seconds, 1)}) + "\n")
                log.flush()
                say(f"step {state.step}  loss {running:.4f}  rows {state.rows}  {rate:.0f} learned tokens/s  {seconds / 60:.1f} min, {left / 60:.1f} left")
            if state.step % args.valid_every == 0:
                stop = check()
                save()
                if stop:
                    say("the validation loss has stopped falling")
                    break
        check()
        save()
    except KeyboardInterrupt:
        save()
        say(f"interrupted; the checkpoint is whole: go on with --resume (step {state.step})")
        raise
    finally:
        log.close()
    if validate is not None and best.exists():
        model.load_state_dict(torch.load(best, weights_only=True), strict=False)
    return state
