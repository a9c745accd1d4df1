"""What a run leaves on disk to go on from: trained weights, optimisers, how far it came and how well, torch's random state.

A file appears whole or not at all (temporary sibling + rename). Left out: weights that are not trained.
"""

from __future__ import annotations

import math
import os
import pathlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from toolagent.errors import ToolagentError, UsageError
from toolagent.train import memory


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
    checked: int = -1  # the step of the last validation
    running: float = 0.0  # mean training loss of about the last 20 steps, nats a learned token
    gap: float = math.nan  # validation loss less that, at the last validation
    checks: list[list[float]] = field(default_factory=list)  # [training loss, validation loss] of the last validations
    warned: bool = False  # that the training rows are learned by heart


def trained(model: Any) -> dict[str, torch.Tensor]:
    return {n: p.detach() for n, p in model.named_parameters() if p.requires_grad}


def put(value: Any, path: pathlib.Path) -> None:
    """Save it whole or not at all. Raises ToolagentError, OSError."""
    temporary = path.with_suffix(".tmp")
    try:
        torch.save(value, temporary)
        os.replace(temporary, path)
    except RuntimeError as error:  # so torch tells of a full disk
        if memory.ran_out(error):
            raise
        raise ToolagentError(f"{path} cannot be written: {str(error).splitlines()[0]}; is the disk full?") from error
    finally:
        temporary.unlink(missing_ok=True)


def restored(path: pathlib.Path, model: Any, opts: Sequence[torch.optim.Optimizer]) -> Progress:
    """Put a checkpoint into model, optimisers and torch's random state. Raises UsageError for one of another model."""
    try:
        saved = torch.load(path, weights_only=True)
        if saved["model"].keys() != trained(model).keys():
            raise ValueError("it holds other weights")
        model.load_state_dict(saved["model"], strict=False)
        for o, s in zip(opts, saved["optimizers"], strict=True):
            o.load_state_dict(s)
        torch.set_rng_state(saved.get("random", torch.get_rng_state()))
        return Progress(**saved["progress"])
    except (RuntimeError, ValueError, KeyError, TypeError, EOFError) as error:
        why = str(error).splitlines()[0]
        raise UsageError(f"{path} does not fit this run ({why}); resume with the settings that it was made with") from error
