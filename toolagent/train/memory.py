"""Memory of a run: the most that it held, and what to change where it ran out.

    peak(device);  if ran_out(error): raise ToolagentError(advice(error, args, step, checkpoint))
"""

from __future__ import annotations

import pathlib
import re
import sys
from typing import Any

import torch

SIGNS = (  # what a RuntimeError says, where torch has no class of its own for it
    "can't allocate memory",  # DefaultCPUAllocator on Linux
    "not enough memory",  # on Windows and macOS
    "out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
)


def peak(device: Any = "cpu") -> int:
    """The most bytes that this process has held so far: tensors on a GPU, all memory on a CPU (0 where the system does not tell)."""
    if str(device).startswith("cuda"):
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:  # Windows
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def ran_out(error: BaseException) -> bool:
    """Whether it tells of memory, of the machine's or of a GPU's."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in SIGNS)


def advice(error: BaseException, args: Any, step: int, checkpoint: pathlib.Path | None) -> str:
    """What to change, with the values that these settings have; a trainer has not all of them. `checkpoint`: one to go on from."""

    def now(name: str) -> str:
        return f"--{name.replace('_', '-')} (now {getattr(args, name)})"

    ways = [f"lower {now(name)}" for name in ("batch_tokens", "batch_rows", "context") if getattr(args, name, 0)]
    if getattr(args, "from_scratch", False):
        ways.append("make a smaller model (--width, --layers)")
    elif getattr(args, "lora", None) == 0:
        ways.append("train a LoRA (--lora 16) instead of all weights")
    if getattr(args, "processes", 1) > 1:
        ways.append(f"lower {now('processes')}: each holds the model")
    wanted = re.search(r"ried to allocate ([\d.]+) (\w+)", str(error))
    units = {"bytes": 1.0, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30}
    more = f", for {size(float(wanted[1]) * units[wanted[2]])} more" if wanted and wanted[2] in units else ""
    text = f"out of memory at step {step}{more}. Any of these helps: {', '.join(ways or ['smaller batches', 'a smaller model'])}"
    return text + (f". {checkpoint} is whole: go on with --resume" if checkpoint else "")


def size(count: float) -> str:
    """Bytes as people say them, in thousands: 1.7 GB."""
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}" if count < 100 * scale else f"{count / scale:.0f} {unit}"
    return f"{count / 1e3:.0f} kB"
