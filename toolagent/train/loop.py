"""fit: the loop that trainers share. Takes a loss as a function; keeps time, validation, the best weights and a checkpoint to resume from.

With `minutes` 0 a run depends on its seed and data alone: stopped at any step and resumed, it ends with the same weights, every bit (CPU).
Left out: several processes, mixed precision, the random state of a GPU (of use to dropout only).
"""

from __future__ import annotations

import json
import math
import pathlib
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

import torch

from toolagent.errors import ToolagentError, UsageError
from toolagent.files import whole_file
from toolagent.train import memory, processes, record
from toolagent.train.checkpoint import Progress, put, restored, trained
from toolagent.train.muon import Muon
from toolagent.train.watch import Watch, needs_tensorboard

Batches = Callable[[random.Random], list[Any]]


@dataclass
class FitArgs:
    """Settings that every trainer has."""

    optimizer: str = ""
    """muon (about half the steps of AdamW) or adamw. Left empty: muon from scratch, adamw for a given model"""
    lr: float = 0.0
    """peak learning rate of the hidden matrices (muon) or of all weights (adamw). 0: muon 0.01; adamw 2e-4 for a LoRA, else 2e-5"""
    lr_adam: float = 2e-3
    """peak learning rate of embeddings and norms beside muon"""
    weight_decay: float = 0.02
    warmup: int = 60
    """optimiser steps"""
    cooldown: float = 0.35
    """last share of the run in which the rate falls linearly to a hundredth"""
    rows_per_step: int = 48
    minutes: float = 0.0
    """stop after this long (0: by epochs alone); the cooldown is fitted to it"""
    epochs: float = 3.0
    """stop after so many (0: by minutes alone)"""
    valid_every: int = 200
    """optimiser steps between validations"""
    checkpoint_every: int = 100
    """optimiser steps between checkpoints; one is written after each validation as well"""
    patience: int = 0
    """stop after so many validations without a better one (0: never)"""
    seed: int = 1
    threads: int = 0
    """CPU threads of a process (0: the cores, shared by the processes)"""
    processes: int = 1
    """processes that share the work of each step, on CPU; one a core is fastest for a small model"""
    tensorboard: bool = False
    """write events for TensorBoard to OUT/tensorboard"""


Settings = TypeVar("Settings", bound=FitArgs)


def settled(args: Settings, from_scratch: bool, lora: bool) -> Settings:
    """The settings with optimizer and rate filled in where they were left open."""
    optimizer = args.optimizer or ("muon" if from_scratch else "adamw")
    return replace(args, optimizer=optimizer, lr=args.lr or (0.01 if optimizer == "muon" else 2e-4 if lora else 2e-5))


def optimizers(model: Any, args: FitArgs) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the transformer, AdamW for the rest, or AdamW for all."""
    if args.optimizer not in ("muon", "adamw") or args.lr <= 0:
        raise UsageError(f"optimizer {args.optimizer!r} at rate {args.lr:g}: use muon or adamw, and a rate above 0")
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    if args.optimizer == "adamw":
        return [torch.optim.AdamW([p for _, p in named], lr=args.lr, betas=(0.9, 0.95), weight_decay=args.weight_decay, eps=1e-8)]
    hidden = [p for n, p in named if p.ndim == 2 and "embed" not in n and "lm_head" not in n]
    rest = [p for n, p in named if p.ndim != 2 or "embed" in n or "lm_head" in n]
    found: list[torch.optim.Optimizer] = []
    if hidden:
        found.append(Muon(hidden, lr=args.lr, momentum=0.95, weight_decay=args.weight_decay))
    if rest:  # a LoRA has none
        found.append(torch.optim.AdamW(rest, lr=args.lr_adam, betas=(0.9, 0.95), weight_decay=0.0, eps=1e-8))
    return found


def rate(step: int, done: float, args: FitArgs) -> float:
    """Share of the peak learning rate: up over the first `warmup` steps, down over the last `cooldown` of the run; `done` is 0 to 1."""
    return max(min(1.0, (step + 1) / max(args.warmup, 1)) * min(1.0, (1.0 - done) / max(args.cooldown, 1e-9)), 0.01)


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
    run: FitArgs | None = None,
) -> Progress:
    """Train in place; `loss(model, batch)` gives (summed loss, number of learned tokens). Leaves the best weights, by validate()["loss"].

    An optimiser step sums token losses over its batches and divides by their tokens, so that its gradient does not depend on how rows
    fell into batches. Checkpoints go to out/checkpoint.pt (whole or not at all); Ctrl-C saves one of the last whole step and re-raises. A
    loss or gradient that is no number raises with the rows' names; where memory runs out, the error says which setting to change. Without
    `resume`, what an older run left in `out` is removed. `out` gets record.json before the first step, and what watch.py writes.
    `run`: the settings of the whole run, where `args` are those of a stretch of it.
    """
    if args.epochs <= 0 and args.minutes <= 0:
        raise UsageError("give --epochs or --minutes: nothing else ends the run")
    if args.tensorboard:
        needs_tensorboard()
    if args.threads:
        torch.set_num_threads(args.threads)
    first = processes.number() == 0
    out.mkdir(parents=True, exist_ok=True)
    opts = optimizers(model, args)
    peaks = [g["lr"] for o in opts for g in o.param_groups]
    checkpoint, best = out / "checkpoint.pt", out / "best.pt"
    resume = resume and checkpoint.exists()
    if resume:
        state = restored(checkpoint, model, opts)
        say(f"resumed at step {state.step}")
    else:
        state = Progress()
        torch.manual_seed(args.seed)
        if first:
            checkpoint.unlink(missing_ok=True)
            best.unlink(missing_ok=True)
    processes.same_weights(model)
    generator = torch.get_rng_state()
    device = next(model.parameters()).device
    if first:
        record.write(out, args, device, resume, run)
    watch = Watch(out, args, say, state, resume, first)
    started = time.monotonic() - state.seconds
    model.train()
    plan = batches(random.Random(f"{args.seed}:{state.epoch}"))
    total_rows = sum(len(b) for b in plan) * args.epochs

    def share(rows: int) -> float:
        by_rows = rows / total_rows if total_rows > 0 else 0.0
        by_time = (time.monotonic() - started) / (args.minutes * 60) if args.minutes > 0 else 0.0
        return max(by_rows, by_time)

    def save() -> None:
        if not first:
            return
        state.seconds = time.monotonic() - started
        optimisers = [o.state_dict() for o in opts]
        put({"model": trained(model), "optimizers": optimisers, "progress": vars(state), "random": generator}, checkpoint)

    def check() -> bool:
        """Validate, once a step; True when it is time to stop."""
        if validate is None or state.checked == state.step or not first:
            return False
        model.eval()
        with torch.no_grad():
            found = validate(model)
        model.train()
        better = found["loss"] < state.best - 1e-4
        if better:
            put(trained(model), best)
        state.best, state.worse = (found["loss"], 0) if better else (state.best, state.worse + 1)
        state.checked = state.step
        watch.validated(state, found, better, time.monotonic() - started)
        return bool(args.patience and state.worse >= args.patience)

    tokens_seen, since = 0, time.monotonic()
    whole = True  # no optimiser is in the middle of its step
    torch.set_flush_denormal(True)  # softmax tails underflow, and a CPU is slow on denormal numbers
    try:
        done = share(state.rows)
        while done < 1.0:
            taken: list[Any] = []
            epoch, at = state.epoch, state.batch
            while sum(len(b) for b in taken) < args.rows_per_step or len(taken) % processes.count():  # as many for each process
                if at >= len(plan):
                    epoch, at = epoch + 1, 0
                    plan = batches(random.Random(f"{args.seed}:{epoch}"))
                taken.append(plan[at])
                at += 1
            scale = rate(state.step, done, args)
            for group, peak in zip((g for o in opts for g in o.param_groups), peaks, strict=True):
                group["lr"] = peak * scale
            sums, counts = 0.0, 0
            for batch in taken[processes.number() :: processes.count()]:
                value, count = loss(model, batch)
                if not torch.isfinite(value):
                    raise ToolagentError(f"the loss is {value.item()} at step {state.step}; rows of the batch: {names(batch)}. Lower --lr")
                value.backward()
                watch.batch(batch, value.item())
                sums, counts = sums + value.item(), counts + int(count)
            seen = state.rows + sum(len(b) for b in taken)
            sums, tokens, done = processes.summed(model, (sums, counts, share(seen) if first else 0.0))
            counts = round(tokens)
            for p in model.parameters():
                if p.grad is not None:
                    p.grad /= max(counts, 1)
            if not torch.isfinite(torch.nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], 1.0)):
                every = names([row for batch in taken for row in batch])
                raise ToolagentError(f"the gradient is no number at step {state.step}; rows of the step: {every}. Lower --lr")
            whole = False
            for o in opts:
                o.step()
                o.zero_grad(set_to_none=True)
            state.step, state.rows, state.epoch, state.batch = state.step + 1, seen, epoch, at
            generator = torch.get_rng_state()
            whole = True
            state.running = 0.95 * state.running + 0.05 * sums / max(counts, 1) if state.running else sums / max(counts, 1)
            tokens_seen += counts
            if state.step % 20 == 0:
                seconds = time.monotonic() - started
                speed = tokens_seen / (time.monotonic() - since)
                left = max(seconds / max(done, 1e-6) * (1 - done), 0.0)
                watch.trained(state, speed, seconds, left, device)
            stop = state.step % args.valid_every == 0 and bool(processes.from_first(check()))
            if stop or state.checked == state.step or state.step % args.checkpoint_every == 0:
                save()
            if stop:
                say("the validation loss has stopped falling")
                break
        check()
        save()
    except KeyboardInterrupt:
        if whole:
            save()
        say("interrupted" + ("; the checkpoint is whole: go on with --resume" if checkpoint.exists() else " before its first step"))
        raise
    except (RuntimeError, MemoryError) as error:
        if memory.ran_out(error):
            saved = checkpoint if checkpoint.exists() else None
            raise ToolagentError(memory.advice(error, args, state.step, saved)) from error
        raise
    finally:
        watch.close()
        torch.set_flush_denormal(False)  # it is the processor's state, not the run's
    if validate is not None and best.exists():
        model.load_state_dict(torch.load(best, weights_only=True), strict=False)
    return state


def finish(args: Any, state: Progress, parameters: int, save: Callable[[pathlib.Path], None], **more: Any) -> dict[str, Any]:
    """The first process saves the model and writes run.json below args.out; the summary that it holds."""
    out = pathlib.Path(args.out)
    best = state.best if math.isfinite(state.best) else None
    summary = {"args": asdict(args), "parameters": parameters, "steps": state.step, "minutes": state.seconds / 60, "best": best, **more}
    if processes.number() == 0:
        save(out / "model")
        with whole_file(out / "run.json") as file:
            file.write(json.dumps(summary, indent=1) + "\n")
    return summary


def names(batch: Sequence[Any]) -> str:
    return ", ".join(getattr(row, "name", "?") for row in batch[:8]) + (f" and {len(batch) - 8} more" if len(batch) > 8 else "")
