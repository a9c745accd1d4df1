"""Muon (Jordan et al. 2024): momentum whose update is made orthogonal, for the 2-D weights inside a transformer.

As torch.optim.Muon, but the Newton-Schulz steps run in float32 where the processor has no fast bfloat16 (torch's always run in bfloat16,
which a CPU without it emulates: 20 times slower here), and matrices of one shape go through them together.
Left out: embeddings, heads, norms and convolutions: give those to AdamW.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic iteration: maximal slope at zero (Jordan et al.)


def orthogonal(updates: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """Nearest half-orthogonal matrices, roughly: singular values of about 1. (N, rows, columns) -> the same shape."""
    a, b, c = COEFFICIENTS
    x = updates.bfloat16() if updates.is_cuda else updates
    tall = x.size(-2) > x.size(-1)
    x = x.mT if tall else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return (x.mT if tall else x).to(updates.dtype)


class Muon(torch.optim.Optimizer):
    """Nesterov momentum 0.95, orthogonal update scaled by sqrt(max(1, rows / columns)), decoupled weight decay."""

    def __init__(self, parameters: Iterable[torch.nn.Parameter], lr: float, momentum: float = 0.95, weight_decay: float = 0.0) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            by_shape: dict[tuple[int, ...], list[torch.nn.Parameter]] = defaultdict(list)
            for p in group["params"]:
                if p.grad is not None:
                    by_shape[tuple(p.shape)].append(p)
            for same in by_shape.values():
                pushes = []
                for p in same:
                    assert p.grad is not None
                    state = self.state[p]
                    if "momentum" not in state:
                        state["momentum"] = torch.zeros_like(p)
                    state["momentum"].lerp_(p.grad, 1 - group["momentum"])
                    pushes.append(p.grad.lerp(state["momentum"], group["momentum"]))
                scale = max(1.0, same[0].size(0) / same[0].size(1)) ** 0.5
                for p, update in zip(same, orthogonal(torch.stack(pushes)), strict=True):
                    p.mul_(1 - group["lr"] * group["weight_decay"])
                    p.add_(update, alpha=-group["lr"] * scale)
