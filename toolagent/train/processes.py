"""Several processes of one machine that share every step: each takes its part of the batches, gradients are summed over all (gloo).

On two cores, two processes of one thread train a small model 1.8 times as fast as one process of two threads (docs/DIARY.md): on matrices
this small, threads wait for each other most of the time. The process that was asked is number 0; it alone validates, writes and speaks.
Left out: several machines, GPUs.
"""

from __future__ import annotations

import contextlib
import datetime
import multiprocessing
import os
import pathlib
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
import torch.distributed as dist

from toolagent.errors import ToolagentError, UsageError

PATIENCE = datetime.timedelta(minutes=30)  # of one process for another, that validates


def number() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def count() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


@contextlib.contextmanager
def started(n: int, work: Callable[..., Any], *args: Any) -> Iterator[None]:
    """n - 1 processes beside this one run work(*args); both sides meet in the functions below. They end with the block."""
    if n < 1:
        raise UsageError(f"--processes {n}: at least one is needed")
    if n == 1:
        yield
        return
    with tempfile.TemporaryDirectory() as folder:
        store = str(pathlib.Path(folder) / "store")
        context = multiprocessing.get_context("spawn")
        others = [context.Process(target=beside, args=(k, n, store, work, args), daemon=True) for k in range(1, n)]
        try:
            for other in others:
                other.start()
            join(0, n, store)
            yield
            for other in others:
                other.join(30)
        finally:
            for other in others:
                other.terminate()
                other.join()
            if dist.is_initialized():
                dist.destroy_process_group()


def join(k: int, n: int, store: str) -> None:
    torch.set_num_threads(max((os.cpu_count() or 1) // n, 1))
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=k, world_size=n, timeout=PATIENCE)


def beside(k: int, n: int, store: str, work: Callable[..., Any], args: Sequence[Any]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # number 0 decides what an interrupt means
    join(k, n, store)
    with contextlib.suppress(ToolagentError):  # number 0 meets the same and says it
        work(*args)


def quiet(text: str) -> None:
    """What the processes beside the first one say."""


def wait() -> None:
    """Until all have come here."""
    if dist.is_initialized():
        dist.barrier()


def same_weights(model: Any) -> None:
    """All begin with the weights of number 0."""
    if dist.is_initialized():
        for p in model.parameters():
            dist.broadcast(p.data, 0)


def from_first(figure: float) -> float:
    """What number 0 found, for all."""
    if not dist.is_initialized():
        return figure
    found = torch.tensor(float(figure), dtype=torch.float64)
    dist.broadcast(found, 0)
    return float(found)


def summed(model: Any, figures: Sequence[float]) -> list[float]:
    """Sum the gradients in place and these figures over all processes -> the figures. Raises ToolagentError where another process died."""
    if not dist.is_initialized():
        return list(figures)
    trained = [p for p in model.parameters() if p.requires_grad]
    for p in trained:
        if p.grad is None:
            p.grad = torch.zeros_like(p)
    gradients = [p.grad for p in trained if p.grad is not None]
    exact = torch.tensor(figures, dtype=torch.float64)
    flat = torch.cat([g.reshape(-1) for g in gradients])
    try:
        dist.all_reduce(exact)
        dist.all_reduce(flat)
    except RuntimeError as error:
        raise ToolagentError(f"another process of the training ended ({str(error).splitlines()[0]}); go on with --resume") from error
    for g, piece in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        g.copy_(piece.view_as(g))
    return [float(x) for x in exact]
