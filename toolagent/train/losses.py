"""Losses of tokens as pure functions of tensors: likelihood, and divergences between a teacher's and a student's next token.

Shapes in brackets: N tokens, B sequences, V words in the vocabulary, K words kept of a teacher. Log-softmax in float32 whatever the model
computes in (float64 stays). Each function gives one number a token or a sequence, in nats; what to sum and to divide by is the caller's.
Left out: pairs and labels (train/preferences.py), rewards and advantages (train/policy.py), divergences of whole sequences.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F

IGNORED = -100  # the target of a token that is not learned, as torch has it
LOWEST = -2e5  # stands for log 0 (0 times -inf is no number): float16 logits cannot lie further apart
REST = 2.0**-23  # float32 knows a sum of probabilities no better than this

Divergence = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]  # log-probabilities of teacher (N, V), of student (N, V) -> (N,)


def exact(x: torch.Tensor) -> torch.Tensor:
    """At least float32."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


# --- likelihood -----------------------------------------------------------------------------------------------------------------------


def token_nll(logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
    """Summed (weighted) negative log-likelihood of the targets, in nats. logits (N, V), targets (N,), weights (N,) -> ()."""
    losses = F.cross_entropy(exact(logits), targets, reduction="none")
    return (losses if weights is None else losses * weights).sum()


def token_log_probs(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """log p(target) of each token; exactly 0 where the target is IGNORED. logits (..., V), targets (...) -> (...).

    The logits are those that predict the target: shifted by one against the text before they come here. Of a padded batch, (B, T, V) and
    (B, T), `.sum(-1)` gives the log-probabilities of the sequences.
    """
    flat = F.cross_entropy(exact(logits).flatten(0, -2), targets.flatten(), ignore_index=IGNORED, reduction="none")
    return -flat.view(targets.shape)


def sequence_log_probs(log_probs: torch.Tensor, owners: torch.Tensor, sequences: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities of sequences from those of their tokens, which may lie in any order: (sums (B,), lengths (B,)).

    log_probs (N,), owners (N,): which of the B = `sequences` sequences a token belongs to. A token that several sequences share is listed
    once for each: log_probs[[0, 0, 1, 2]], owners [0, 1, 0, 1]. A sequence without tokens has sum 0 and length 0.
    """
    log_probs = exact(log_probs)
    sums = log_probs.new_zeros(sequences).index_add(0, owners, log_probs)
    return sums, owners.new_zeros(sequences).index_add(0, owners, torch.ones_like(owners))


# --- divergences of two distributions, both given as log-probabilities (N, V) -> (N,) ---------------------------------------------------


def kl(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """KL(p || q) = sum over v of p(v) (log p(v) - log q(v)); nothing where p is 0, and about 2e5 p where q is 0 and p is not."""
    return (p.exp() * (p.clamp(min=LOWEST) - q.clamp(min=LOWEST))).sum(-1)


def forward_kl(teacher: torch.Tensor, student: torch.Tensor) -> torch.Tensor:
    """KL(teacher || student) (Hinton et al. 2015, section 2: their cross-entropy with soft targets less the teacher's entropy)."""
    return kl(teacher, student)


def reverse_kl(teacher: torch.Tensor, student: torch.Tensor) -> torch.Tensor:
    """KL(student || teacher) (Gu et al. 2023, MiniLLM, per token): the student gives up what it cannot follow."""
    return kl(student, teacher)


def generalised_jsd(teacher: torch.Tensor, student: torch.Tensor, beta: float) -> torch.Tensor:
    """beta KL(P || M) + (1 - beta) KL(Q || M), M = beta P + (1 - beta) Q, P teacher, Q student (Agarwal et al. 2023, GKD, eq. 1).

    It vanishes towards both ends. Over beta it tends to the forward KL as beta -> 0, over 1 - beta to the reverse KL as beta -> 1; so
    0 and 1 are refused: use forward_kl or reverse_kl. To hand it on: functools.partial(generalised_jsd, beta=0.5).
    """
    if not 0 < beta < 1:
        raise ValueError(f"beta is {beta}, must lie between 0 and 1; forward_kl and reverse_kl are the limits")
    teacher, student = teacher.clamp(min=LOWEST), student.clamp(min=LOWEST)
    mixture = torch.logaddexp(teacher + math.log(beta), student + math.log1p(-beta))
    return beta * kl(teacher, mixture) + (1 - beta) * kl(student, mixture)


# --- distillation ---------------------------------------------------------------------------------------------------------------------


def tempered(logits: torch.Tensor, temperature: float = 1.0) -> torch.Tensor:
    """log softmax(logits / temperature), (..., V) -> (..., V) (Hinton et al. 2015, eq. 1)."""
    return torch.log_softmax(exact(logits) / temperature, dim=-1)


def distillation(student: torch.Tensor, teacher: torch.Tensor, divergence: Divergence, temperature: float = 1.0) -> torch.Tensor:
    """temperature^2 divergence(teacher, student) of logits (N, V) and (N, V) -> (N,).

    Both are divided by the temperature; its square keeps the gradient's size (Hinton et al. 2015, section 2.1). Where one head is wider,
    padded to a round number (Qwen), both are cut to the narrower before the softmax: the words that they share must come first.
    """
    words = min(student.size(-1), teacher.size(-1))
    return temperature**2 * divergence(tempered(teacher[..., :words], temperature), tempered(student[..., :words], temperature))


def top_k(teacher: torch.Tensor, k: int, temperature: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    """What to keep of a teacher's logits (N, V): its k likeliest words' log-probabilities (N, K) at this temperature, and the words (N, K).

    Cut logits to the student's vocabulary first. Keep them in float32: in half precision the rest is known to a few thousandths only.
    """
    log_probs, words = tempered(teacher, temperature).topk(k, dim=-1)
    return log_probs, words


def lumped(log_probs: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
    """Log-probabilities of these words and of all others together: (N, V), words (N, K) -> (N, K + 1); (N, V) if the words are all."""
    kept = log_probs.gather(-1, words)
    if words.size(-1) == log_probs.size(-1):
        return kept
    rest = log_probs.clamp(min=LOWEST).scatter(-1, words, LOWEST).logsumexp(-1, keepdim=True)  # (N, 1)
    return torch.cat([kept, rest], dim=-1)


def distillation_top_k(
    student: torch.Tensor, teacher: torch.Tensor, words: torch.Tensor, divergence: Divergence, temperature: float = 1.0
) -> torch.Tensor:
    """`distillation` where only top_k's log-probabilities (N, K) and words (N, K) are left of the teacher; student: logits (N, V) -> (N,).

    All other words count as one. That never exceeds the divergence over all words (data processing inequality), equals it for K = V, and
    leaves free how the student shares the rest out. The teacher's were taken at the same temperature: the rest cannot be tempered later.
    """
    teacher = exact(teacher)
    if words.size(-1) < student.size(-1):
        rest = (1 - teacher.exp().sum(-1, keepdim=True)).clamp(min=REST).log()  # (N, 1)
        teacher = torch.cat([teacher, rest], dim=-1)
    return temperature**2 * divergence(teacher, lumped(tempered(student, temperature), words))
