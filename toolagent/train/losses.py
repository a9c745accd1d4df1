"""Losses as pure functions of tensors. Shapes in brackets; log-softmax in float32 whatever the model computes in."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def token_nll(logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
    """Summed (weighted) negative log-likelihood of the targets, in nats. logits (N, V), targets (N,), weights (N,) -> ()."""
    losses = F.cross_entropy(logits.float(), targets, reduction="none")
    return (losses if weights is None else losses * weights).sum()
