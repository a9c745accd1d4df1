"""Losses of preferences as pure functions of tensors: reward models (Bradley-Terry), DPO and its kin, KTO.

Shapes in brackets: B pairs or answers, each with one loss; the caller averages. Differences are taken in float32 (float64 stays): the
log-probability of a long answer is in the thousands, where bfloat16 counts in eights and sixteens.

    chosen, rejected = log_ratio(policy_chosen, reference_chosen), log_ratio(policy_rejected, reference_rejected)
    losses = dpo(chosen, rejected, beta=0.1) + 0.2 * sft(policy_chosen, lengths)

Left out: ties, lists of more than two, losses without a reference (CPO, ORPO, SimPO), other divergences than the reverse KL.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from toolagent.train.losses import exact

# --- reward models --------------------------------------------------------------------------------------------------------------------


def bradley_terry(chosen: torch.Tensor, rejected: torch.Tensor, margins: torch.Tensor | None = None, centring: float = 0.0) -> torch.Tensor:
    """-log sigmoid(chosen - rejected - margin) + centring (chosen + rejected)^2. Scores (B,), margins (B,) -> (B,).

    Ouyang et al. 2022, eq. 1 for a pair; the margin (how much better: 0 or more) from Touvron et al. 2023 (Llama 2), eq. 2. Differences
    leave the scores' zero free; the last term holds a pair's sum near it (Eisenstein et al. 2023, who add it with a small weight).
    """
    chosen, rejected = exact(chosen), exact(rejected)
    difference = chosen - rejected if margins is None else chosen - rejected - exact(margins)
    losses = -F.logsigmoid(difference)
    return losses + centring * (chosen + rejected).square() if centring else losses


# --- pairs: DPO -----------------------------------------------------------------------------------------------------------------------


def log_ratio(policy: torch.Tensor, reference: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:
    """log policy(y|x) / reference(y|x) of answers, from their summed log-probabilities (B,) and (B,) -> (B,).

    beta times it is the implicit reward (Rafailov et al. 2023, eq. 5, but for a term of x alone). With lengths (B,) in tokens it is the
    mean over the tokens (length-normalised DPO: Lambert et al. 2024, Tulu 3, section 5); beta is then larger by about a length.
    """
    ratio = exact(policy) - exact(reference)
    return ratio if lengths is None else ratio / lengths.clamp(min=1)


def dpo(chosen: torch.Tensor, rejected: torch.Tensor, beta: float, label_smoothing: float = 0.0) -> torch.Tensor:
    """-log sigmoid(beta (chosen - rejected)) of log-ratios (B,), (B,) -> (B,) (Rafailov et al. 2023, eq. 7).

    label_smoothing: the share of labels thought wrong, 0 to 0.5; cross-entropy against 1 - it (Mitchell 2023, conservative DPO). The margin
    then stops growing at log((1 - s) / s) / beta; at 0.5 neither answer is preferred.
    """
    if not 0 <= label_smoothing <= 0.5:
        raise ValueError(f"label_smoothing is {label_smoothing}, must lie between 0 and 0.5")
    margin = beta * (exact(chosen) - exact(rejected))  # (B,)
    return -(1 - label_smoothing) * F.logsigmoid(margin) - label_smoothing * F.logsigmoid(-margin)


def robust_dpo(chosen: torch.Tensor, rejected: torch.Tensor, beta: float, flip_rate: float) -> torch.Tensor:
    """((1 - e) L(margin) - e L(-margin)) / (1 - 2e), L being `dpo`, of log-ratios (B,), (B,) -> (B,) (Chowdhury et al. 2024, rDPO).

    Where a share e of the labels is flipped at random, its mean is that of `dpo` on the right labels. It has no lower bound: the push on
    the margin never falls below beta e / (1 - 2e). Raises ValueError unless 0 <= e < 0.5.
    """
    if not 0 <= flip_rate < 0.5:
        raise ValueError(f"flip_rate is {flip_rate}, must be at least 0 and below 0.5")
    margin = beta * (exact(chosen) - exact(rejected))  # (B,)
    return (flip_rate * F.logsigmoid(-margin) - (1 - flip_rate) * F.logsigmoid(margin)) / (1 - 2 * flip_rate)


def ipo(chosen: torch.Tensor, rejected: torch.Tensor, beta: float) -> torch.Tensor:
    """(chosen - rejected - 1 / (2 beta))^2 of log-ratios (B,), (B,) -> (B,) (Azar et al. 2023, eq. 17; beta is their tau).

    The equation has sums over the tokens; TRL takes means and says that the authors' experiments did: log_ratio's `lengths` gives those.
    """
    return (exact(chosen) - exact(rejected) - 1 / (2 * beta)).square()


def hinge(chosen: torch.Tensor, rejected: torch.Tensor, beta: float) -> torch.Tensor:
    """max(0, 1 - beta (chosen - rejected)) of log-ratios (B,), (B,) -> (B,).

    Liu et al. 2023 (RSO), hinge-norm: the SLiC loss (Zhao et al. 2023) on log-ratios in place of log-probabilities.
    """
    return (1 - beta * (exact(chosen) - exact(rejected))).relu()


def sft(policy: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Mean negative log-likelihood of the chosen answers' tokens: summed log-probabilities (B,), lengths (B,) -> (B,).

    Added with a weight it keeps the chosen answers likely, which the margin alone does not (Pang et al. 2024, eq. 1).
    """
    return -exact(policy) / lengths.clamp(min=1)


# --- single answers: KTO --------------------------------------------------------------------------------------------------------------


def kto_baseline(policy: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """KTO's z0, an estimate of KL(policy || reference): max(0, mean log-ratio) over mismatched pairs, (M,), (M,) -> (), no gradient.

    Summed log-probabilities of other requests' answers: y of the row i + 1 after x of the row i (Ethayarajh et al. 2024, section 4). Its
    mean is over the batch, so it needs more than one row, and on several devices the mean of all before the maximum.
    """
    return log_ratio(policy, reference).detach().mean().clamp(min=0)


def kto(
    ratios: torch.Tensor,
    desirable: torch.Tensor,
    baseline: torch.Tensor,
    beta: float,
    desirable_weight: float = 1.0,
    undesirable_weight: float = 1.0,
) -> torch.Tensor:
    """w (1 - sigmoid(+-beta (log-ratio - z0))), + where the answer is desirable. ratios (B,), desirable (B,) bool, baseline () -> (B,).

    Ethayarajh et al. 2024, eq. 7 (lambda_y - v). Keep desirable_weight n_desirable / (undesirable_weight n_undesirable) within 1 and 4/3
    (eq. 8).
    """
    gain = beta * (exact(ratios) - baseline)  # (B,)
    return torch.where(desirable, desirable_weight * torch.sigmoid(-gain), undesirable_weight * torch.sigmoid(gain))
