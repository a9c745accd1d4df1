"""Policy gradients as pure functions of tensors: rewards with a KL term, advantages, the losses of PPO and GRPO.

Shapes in brackets: B answers, T tokens; P requests with G answers each. A mask (B, T) of bools says which tokens the policy wrote: padding
and the results of tools, which may stand between them, are passed over. Log-probabilities under the mask are of any finite value. All is
computed in float32 (float64 stays). Per-token losses go through over_tokens or over_sequences, which give (sum, count) as train/loop.py's
fit wants them, so that a batch in parts has the gradient of the whole.
Left out: sampling, the models, entropy bonuses, sequence-level ratios (GSPO), several episodes in one row.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from toolagent.train.losses import exact

FAR = 20.0  # log-ratios beyond it count as it, without gradient: e^20 is outside of every clip range, and float32 ends at e^88
SMALL = 1e-8  # added to a variance, as in Ziegler et al.'s code
SAME = 1e-4  # added to a group's standard deviation: scores that differ by rounding are not blown up

# --- KL of a policy from its reference, estimated on the policy's own tokens (Schulman 2020, "Approximating KL divergence") ---------------


def k1(policy: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """log policy - log reference of sampled tokens (B, T), (B, T) -> (B, T). Unbiased, noisy; the one for the reward.

    As a loss it is useless: on average its gradient is 0.
    """
    return exact(policy) - exact(reference)


def k2(policy: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """(log policy - log reference)^2 / 2 (B, T), (B, T) -> (B, T). Biased, but as a loss it has, on average, the gradient of
    KL(policy || reference)."""
    return k1(policy, reference).square() / 2


def k3(policy: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """r - 1 - log r, r = reference / policy (B, T), (B, T) -> (B, T). Unbiased, never negative, less noisy.

    GRPO's term (Shao et al. 2024, eq. 4). As a loss its average gradient is that of KL(reference || policy), the other direction.
    """
    log_r = -k1(policy, reference)
    return torch.expm1(log_r.clamp(max=FAR)) - log_r


def rewards_with_kl(scores: torch.Tensor, kl: torch.Tensor, mask: torch.Tensor, beta: float) -> torch.Tensor:
    """-beta kl at each of the policy's tokens, and the answer's score added at the last: (B,), (B, T), (B, T) -> (B, T).

    Ziegler et al. 2019, eq. 2, per token. Without gradient. The score of an answer without tokens goes nowhere.
    """
    last = mask & (mask.long().cumsum(-1) == mask.sum(-1, keepdim=True))  # (B, T): the last True of each row
    rewards = torch.where(mask, -beta * exact(kl), 0.0)
    return (rewards + torch.where(last, exact(scores)[:, None], 0.0)).detach()


# --- advantages -----------------------------------------------------------------------------------------------------------------------


@torch.no_grad()
def gae(
    rewards: torch.Tensor, values: torch.Tensor, mask: torch.Tensor, gamma: float, lam: float, last_values: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Generalised advantage estimates and the value function's targets, advantage + value: (B, T) each, 0 outside of the mask, no gradient.

    Schulman et al. 2015, eq. 16: sum over l of (gamma lam)^l delta, delta = r + gamma V(next) - V. rewards, values, mask (B, T); a row is
    an episode, and the token after one is the next in the mask, over gaps; a reward outside of it is lost. last_values (B,): the value of
    the state behind the last token where an episode was cut off, 0 where it ended (the default).
    """
    rewards, values = exact(rewards), exact(values)
    following = torch.zeros_like(values[:, 0]) if last_values is None else last_values.to(values.dtype)  # (B,): V(next)
    advantage = torch.zeros_like(following)
    advantages = torch.zeros_like(values)
    for t in reversed(range(values.size(1))):
        delta = rewards[:, t] + gamma * following - values[:, t]
        advantage = torch.where(mask[:, t], delta + gamma * lam * advantage, advantage)
        following = torch.where(mask[:, t], values[:, t], following)
        advantages[:, t] = advantage
    return torch.where(mask, advantages, 0.0), torch.where(mask, advantages + values, 0.0)


def whiten(x: torch.Tensor, mask: torch.Tensor, shift_mean: bool = True) -> torch.Tensor:
    """x with mean 0 and variance 1 over the mask; 0 outside of it. (B, T), (B, T) -> (B, T).

    Ziegler et al. 2019, their code: the variance divides by n. shift_mean=False keeps the mean (for rewards, whose sign matters). The
    statistics are those of this tensor: take a whole rollout, not a part of it.
    """
    x = torch.where(mask, exact(x), 0.0)
    count = mask.sum()
    mean = x.sum() / count
    variance = torch.where(mask, (x - mean).square(), 0.0).sum() / count
    white = (x - mean) * torch.rsqrt(variance + SMALL)
    return torch.where(mask, white if shift_mean else white + mean, 0.0)


def group_advantages(scores: torch.Tensor, by_std: bool = True) -> torch.Tensor:
    """Scores less the mean of their group, over its standard deviation. (P, G) -> (P, G); 0 where all of a group score the same.

    Shao et al. 2024 (GRPO), section 4.1.2; the deviation divides by G - 1. by_std=False: Liu et al. 2025 (Dr. GRPO), who found that the
    division favours requests that are nearly always or nearly never solved; that is G / (G - 1) short of the leave-one-out baseline
    (Ahmadian et al. 2024). Raises ValueError for groups of one.
    """
    if scores.size(-1) < 2:
        raise ValueError("a group of one has no advantage over itself: sample two answers or more for each request")
    centred = exact(scores) - exact(scores).mean(-1, keepdim=True)
    return centred / (centred.square().sum(-1, keepdim=True) / (scores.size(-1) - 1)).sqrt().add(SAME) if by_std else centred


# --- losses ---------------------------------------------------------------------------------------------------------------------------


def ppo_clip(new: torch.Tensor, old: torch.Tensor, advantages: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """-min(ratio A, clip(ratio, 1 - low, 1 + high) A), ratio = exp(new - old) of log-probabilities; all (B, T) -> (B, T).

    Schulman et al. 2017, eq. 7 (low = high); Yu et al. 2025 (DAPO), eq. 8 with a wider high. At ratio 1 the gradient is the policy
    gradient, -A grad log pi.
    """
    ratio = (exact(new) - exact(old)).clamp(-FAR, FAR).exp()
    return -torch.minimum(ratio * advantages, ratio.clamp(1 - low, 1 + high) * advantages)


def value_clip(new: torch.Tensor, old: torch.Tensor, returns: torch.Tensor, clip: float) -> torch.Tensor:
    """max((new - R)^2, (old + clip(new - old, +-clip) - R)^2) / 2; all (B, T) -> (B, T). clip = inf: the squared error.

    In no paper of PPO; from its code (Huang et al. 2022, "The 37 implementation details of PPO", detail 9).
    """
    new, old = exact(new), exact(old)
    held = old + (new - old).clamp(-clip, clip)
    return torch.maximum((new - returns).square(), (held - returns).square()) / 2


def grpo(
    new: torch.Tensor,
    old: torch.Tensor,
    reference: torch.Tensor,
    advantages: torch.Tensor,
    low: float,
    high: float,
    beta: float,
    kl: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = k3,
) -> torch.Tensor:
    """ppo_clip + beta kl(new, reference): log-probabilities (B, T), an advantage an answer (B,) -> (B, T).

    Shao et al. 2024, what eq. 3 sums (its sign turned); kl=k2 for the gradient of the KL that k3 estimates.
    """
    return ppo_clip(new, old, advantages[:, None], low, high) + beta * kl(new, reference)


def over_tokens(losses: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(sum, number of tokens): every token weighs the same (Yu et al. 2025, DAPO, eq. 8; PPO). (B, T), (B, T) -> (), ()."""
    return torch.where(mask, losses, 0.0).sum(), mask.sum()


def over_sequences(losses: torch.Tensor, mask: torch.Tensor, length: float | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """(sum of the answers' means, number of answers): every answer weighs the same (Shao et al. 2024, eq. 3). (B, T), (B, T) -> (), ().

    A long wrong answer is then pushed down less per token than a short one. With a `length`, a constant, every answer's sum is divided by
    that instead of by its own length (Liu et al. 2025, Dr. GRPO). An answer without tokens counts, with 0.
    """
    sums = torch.where(mask, losses, 0.0).sum(-1)  # (B,)
    return (sums / (mask.sum(-1).clamp(min=1) if length is None else length)).sum(), torch.tensor(len(sums), device=sums.device)
