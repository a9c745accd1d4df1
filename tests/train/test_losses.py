"""Likelihood and distillation: numbers by hand, the same sums in plain Python floats, gradients by finite differences, limits, extremes."""

from __future__ import annotations

import math
import random
from functools import partial

import pytest

torch = pytest.importorskip("torch")

from torch.autograd import gradcheck  # noqa: E402

from toolagent.train.losses import (  # noqa: E402
    IGNORED,
    distillation,
    distillation_top_k,
    forward_kl,
    generalised_jsd,
    lumped,
    reverse_kl,
    sequence_log_probs,
    tempered,
    token_log_probs,
    token_nll,
    top_k,
)

half = partial(generalised_jsd, beta=0.5)
DIVERGENCES = pytest.mark.parametrize("divergence", [forward_kl, reverse_kl, half, partial(generalised_jsd, beta=0.1)])


def logits(*shape, seed=0, dtype=torch.float64, grad=False):
    made = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2
    return made.to(dtype).requires_grad_(grad)


def log(*p):
    return torch.tensor([p], dtype=torch.float64).log()


# --- the same in plain floats, the long way -------------------------------------------------------------------------------------------


def softmax(z, temperature=1.0):
    e = [math.exp(x / temperature) for x in z]
    return [x / sum(e) for x in e]


def slow_kl(p, q):
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True) if a > 0)


def slow_jsd(p, q, beta):
    m = [beta * a + (1 - beta) * b for a, b in zip(p, q, strict=True)]
    return beta * slow_kl(p, m) + (1 - beta) * slow_kl(q, m)


# --- likelihood -----------------------------------------------------------------------------------------------------------------------

HALF_QUARTER_QUARTER = torch.tensor([[math.log(2), 0.0, 0.0]]) + 5  # a softmax does not mind the 5


def test_nll_by_hand():
    """1/2 and 1/4: ln 2 + ln 4 = 3 ln 2; weighted by 1 and 0.1: ln 2 + 0.1 ln 4 = 1.2 ln 2."""
    two = HALF_QUARTER_QUARTER.expand(2, 3)
    targets = torch.tensor([0, 2])
    assert token_nll(two, targets).item() == pytest.approx(3 * math.log(2), rel=1e-6)
    assert token_nll(two, targets, torch.tensor([1.0, 0.1])).item() == pytest.approx(1.2 * math.log(2), rel=1e-6)


def test_log_probs_by_hand():
    """A padded batch of two rows; what is not learned is exactly 0 and gets no gradient."""
    batch = HALF_QUARTER_QUARTER.expand(2, 3, 3).clone().requires_grad_(True)
    found = token_log_probs(batch, torch.tensor([[0, 1, IGNORED], [2, IGNORED, IGNORED]]))
    assert torch.allclose(found, -math.log(2) * torch.tensor([[1.0, 2.0, 0.0], [2.0, 0.0, 0.0]]))
    assert torch.allclose(found.sum(-1), -math.log(2) * torch.tensor([3.0, 2.0]))
    found.sum().backward()
    assert batch.grad[0, 2].eq(0).all() and batch.grad[1, 1:].eq(0).all()
    assert torch.allclose(batch.grad[0, 0], torch.tensor([0.5, -0.25, -0.25]))  # one-hot less the probabilities


def test_tokens_in_any_order_make_sequences():
    """Row 1 is empty; the tokens of 0 and 2 are mixed: -1 - 4 and -2 - 8 - 16."""
    values = torch.tensor([-16.0, -1.0, -2.0, -4.0, -8.0])
    sums, lengths = sequence_log_probs(values, torch.tensor([2, 0, 2, 0, 2]), 3)
    assert sums.tolist() == [-5, 0, -26] and lengths.tolist() == [2, 0, 3]


def test_a_shared_token_counts_for_each_sequence():
    """Two answers begin with the same token, as in a tree of prefixes: its gradient is the sum of both."""
    values = torch.tensor([-1.0, -2.0, -4.0], requires_grad=True)
    sums, lengths = sequence_log_probs(values[[0, 0, 1, 2]], torch.tensor([0, 1, 0, 1]), 2)
    assert sums.tolist() == [-3, -5] and lengths.tolist() == [2, 2]
    (sums @ torch.tensor([1.0, 10.0])).backward()
    assert values.grad.tolist() == [11, 1, 10]


def test_flat_equals_padded():
    z = logits(2, 3, 5)
    targets = torch.tensor([[1, 4, 0], [2, IGNORED, IGNORED]])
    learned = targets != IGNORED
    sums, _ = sequence_log_probs(token_log_probs(z[learned], targets[learned]), learned.nonzero()[:, 0], 2)
    assert torch.allclose(sums, token_log_probs(z, targets).sum(-1))


def test_gradients_of_likelihood():
    targets = torch.tensor([3, 0, 4])
    z, weights = logits(3, 5, grad=True), torch.tensor([1.0, 0.1, 2.0], dtype=torch.float64)
    assert gradcheck(lambda z: token_nll(z, targets, weights), z)
    assert gradcheck(lambda z: sequence_log_probs(token_log_probs(z, targets), torch.tensor([0, 1, 0]), 2)[0], z)


# --- divergences ----------------------------------------------------------------------------------------------------------------------


def test_divergences_by_hand():
    """Teacher 1/2 1/2, student 1/4 3/4: forward ln(4/3)/2, reverse ln(1/2)/4 + 3 ln(3/2)/4; their middle is 3/8 5/8."""
    teacher, student = log(0.5, 0.5), log(0.25, 0.75)
    assert forward_kl(teacher, student).item() == pytest.approx(math.log(4 / 3) / 2)
    assert reverse_kl(teacher, student).item() == pytest.approx(math.log(1 / 2) / 4 + 3 * math.log(3 / 2) / 4)
    to_teacher = (math.log(4 / 3) + math.log(4 / 5)) / 2
    to_student = math.log(2 / 3) / 4 + 3 * math.log(6 / 5) / 4
    assert half(teacher, student).item() == pytest.approx((to_teacher + to_student) / 2)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_against_plain_floats(temperature):
    teacher, student = logits(4, 7, seed=1), logits(4, 7, seed=2)
    p = [softmax(z, temperature) for z in teacher.tolist()]
    q = [softmax(z, temperature) for z in student.tolist()]
    pairs = list(zip(p, q, strict=True))

    def ours(divergence):
        return (distillation(student, teacher, divergence, temperature) / temperature**2).tolist()

    assert ours(forward_kl) == pytest.approx([slow_kl(a, b) for a, b in pairs])
    assert ours(reverse_kl) == pytest.approx([slow_kl(b, a) for a, b in pairs])
    for beta in (0.1, 0.5, 0.9):
        assert ours(partial(generalised_jsd, beta=beta)) == pytest.approx([slow_jsd(a, b, beta) for a, b in pairs])


def test_limits_of_the_jsd():
    """Over beta -> the forward KL, over 1 - beta -> the reverse KL; itself -> 0; turned round it is the one of 1 - beta."""
    teacher, student = tempered(logits(5, 9, seed=1)), tempered(logits(5, 9, seed=2))
    near = 1e-8
    assert torch.allclose(generalised_jsd(teacher, student, near) / near, forward_kl(teacher, student), rtol=1e-4)
    assert torch.allclose(generalised_jsd(teacher, student, 1 - near) / near, reverse_kl(teacher, student), rtol=1e-4)
    assert torch.allclose(generalised_jsd(teacher, student, 0.3), generalised_jsd(student, teacher, 0.7))
    assert half(log(1.0, 0.0), log(0.0, 1.0)).item() == pytest.approx(math.log(2))  # nothing in common: the most there is
    for beta in (0.0, 1.0):
        with pytest.raises(ValueError, match="forward_kl"):
            generalised_jsd(teacher, student, beta)


@DIVERGENCES
def test_divergences_are_zero_at_the_teacher_and_flat(divergence):
    teacher = logits(4, 6, seed=1)
    student = (teacher + 3).requires_grad_(True)  # a constant in the logits changes nothing
    losses = distillation(student, teacher, divergence, 2.0)
    losses.sum().backward()
    assert losses.abs().max() < 1e-12 and student.grad.abs().max() < 1e-12


@DIVERGENCES
def test_the_order_of_the_words_does_not_matter(divergence):
    order = torch.randperm(6, generator=torch.Generator().manual_seed(0))
    teacher, student = logits(4, 6, seed=1), logits(4, 6, seed=2)
    assert torch.allclose(distillation(student, teacher, divergence), distillation(student[:, order], teacher[:, order], divergence))


@DIVERGENCES
def test_gradients_of_distillation(divergence):
    student, teacher = logits(3, 5, seed=2, grad=True), logits(3, 5, seed=1, grad=True)
    assert gradcheck(lambda s, t: distillation(s, t, divergence, 2.0), (student, teacher))
    kept, words = top_k(teacher.detach(), 2, 2.0)
    assert gradcheck(lambda s: distillation_top_k(s, kept, words, divergence, 2.0), student)


def test_a_high_temperature_matches_logits():
    """Hinton et al. 2015, eq. 4 times T^2: for logits of mean 0 the gradient tends to (student - teacher) / V."""
    student, teacher = (z - z.mean(-1, keepdim=True) for z in (logits(1, 8, seed=2), logits(1, 8, seed=1)))
    student = student.detach().requires_grad_(True)
    distillation(student, teacher, forward_kl, 1e4).sum().backward()
    assert torch.allclose(student.grad, (student.detach() - teacher) / 8, rtol=1e-2, atol=1e-4)


def test_a_padded_head_is_cut():
    teacher, student = logits(2, 6, seed=1), logits(2, 6, seed=2)
    wider = torch.cat([teacher, torch.full((2, 2), 50.0, dtype=torch.float64)], dim=-1)
    assert torch.equal(distillation(student, wider, forward_kl), distillation(student, teacher, forward_kl))
    assert torch.equal(distillation(wider, student, forward_kl), distillation(teacher, student, forward_kl))


# --- a teacher of which the top is kept -----------------------------------------------------------------------------------------------


def test_lumping_by_hand():
    """0.5 0.1 0.2 0.2, kept the words 2 and 0: 0.2 0.5 and 0.3 for the rest."""
    assert torch.allclose(lumped(log(0.5, 0.1, 0.2, 0.2), torch.tensor([[2, 0]])).exp(), torch.tensor([[0.2, 0.5, 0.3]], dtype=torch.float64))


def test_top_k_by_hand():
    """Teacher 1/2 1/4 1/8 1/8, its first two kept; student 1/4 1/4 1/4 1/4: 1/2 1/4 1/4 against 1/4 1/4 1/2: (ln 2)/2 - (ln 2)/4."""
    kept, words = top_k(log(0.5, 0.25, 0.125, 0.125), 2)
    assert words.tolist() == [[0, 1]]
    assert distillation_top_k(torch.zeros(1, 4), kept, words, forward_kl).item() == pytest.approx(math.log(2) / 4, rel=1e-6)


@DIVERGENCES
@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_more_words_kept_come_nearer_until_all_are(divergence, temperature):
    """Lumping loses something (data processing inequality); with every word kept nothing is lost, gradient included."""
    teacher, student = logits(6, 9, seed=1), logits(6, 9, seed=2, grad=True)
    full = distillation(student, teacher, divergence, temperature)
    (slope,) = torch.autograd.grad(full.sum(), student)
    before = torch.zeros(6, dtype=torch.float64)
    for k in (1, 2, 4, 8, 9):
        found = distillation_top_k(student, *top_k(teacher, k, temperature), divergence, temperature)
        assert (found >= before - 1e-9).all() and (found <= full + 1e-9).all()
        before = found
    assert torch.allclose(before, full)
    assert torch.allclose(torch.autograd.grad(before.sum(), student)[0], slope)


@DIVERGENCES
def test_how_the_student_shares_out_the_rest_is_free(divergence):
    """Two students that differ only among the words not kept: the same loss."""
    teacher = logits(1, 6, seed=1)
    kept, words = top_k(teacher, 2)
    rest = [v for v in range(6) if v not in words[0].tolist()]
    one = tempered(logits(1, 6, seed=2))
    other = one.clone()
    other[:, rest] = one[:, rest[::-1]]
    assert torch.allclose(distillation_top_k(one, kept, words, divergence), distillation_top_k(other, kept, words, divergence))


@DIVERGENCES
def test_a_rounded_teacher_whose_words_sum_to_more_than_one(divergence):
    """Kept in half precision, log 0.9999 is rounded to 0: nothing is left for the rest, and still all is finite."""
    student = logits(1, 5, dtype=torch.float32, grad=True)
    kept, words = torch.tensor([[0.0, -9.25]], dtype=torch.float16), torch.tensor([[3, 1]])
    losses = distillation_top_k(student, kept, words, divergence)
    losses.sum().backward()
    assert losses.dtype == torch.float32 and losses.isfinite().all() and student.grad.isfinite().all()


# --- extremes -------------------------------------------------------------------------------------------------------------------------


@DIVERGENCES
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_extreme_logits_give_numbers(divergence, dtype):
    teacher = torch.tensor([[1e4, -1e4, 0, 3], [-1e4, 1e4, 0, 3], [0, 0, 0, 0]], dtype=dtype)
    student = torch.tensor([[1e4, -1e4, 0, 3], [1e4, -1e4, 0, 3], [-1e4, 1e4, 0, 0]], dtype=dtype, requires_grad=True)
    kept, words = top_k(teacher, 2)
    for losses in (distillation(student, teacher, divergence), distillation_top_k(student, kept, words, divergence)):
        assert losses.dtype == torch.float32 and losses.isfinite().all()
        student.grad = None
        losses.sum().backward()
        assert student.grad.isfinite().all()


@DIVERGENCES
def test_words_that_both_rule_out_count_for_nothing(divergence):
    """-inf in both heads, as a grammar's mask leaves it."""
    teacher, student = logits(2, 5, seed=1), logits(2, 5, seed=2)
    ruled_out = torch.full((2, 3), -math.inf, dtype=torch.float64)
    wide = torch.cat([student, ruled_out], dim=-1).requires_grad_(True)
    found = distillation(wide, torch.cat([teacher, ruled_out], dim=-1), divergence)
    assert torch.allclose(found, distillation(student, teacher, divergence))
    (slope,) = torch.autograd.grad(found.sum(), wide)
    assert slope.isfinite().all() and slope[:, 5:].eq(0).all()
    found = distillation_top_k(wide, *top_k(torch.cat([teacher, ruled_out], dim=-1), 5), divergence)
    assert torch.allclose(found, distillation(student, teacher, divergence), atol=0.03)  # REST is all that is left for the rest
    assert torch.autograd.grad(found.sum(), wide)[0].isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    z, targets = logits(4, 300, dtype=dtype), torch.tensor([5, 0, 299, 7])
    assert torch.equal(token_log_probs(z, targets), token_log_probs(z.float(), targets))
    assert torch.equal(token_nll(z, targets), token_nll(z.float(), targets))
    assert torch.equal(distillation(z, z.flip(-1), half, 2.0), distillation(z.float(), z.float().flip(-1), half, 2.0))
    sums, _ = sequence_log_probs(torch.full((1000,), -1.001, dtype=dtype), torch.zeros(1000, dtype=torch.long), 1)
    assert sums.dtype == torch.float32 and sums.item() == pytest.approx(-1001, rel=1e-2)


def test_an_impossible_target():
    """A log-probability of about -1e4 is a number, and so is its gradient."""
    z = torch.tensor([[1e4, 0.0, 0.0]], requires_grad=True)
    found = token_log_probs(z, torch.tensor([1]))
    found.sum().backward()
    assert found.item() == -1e4 and z.grad.tolist() == [[-1, 1, 0]]


def test_a_random_walk_through_plain_floats():
    """Small vocabularies of probabilities, some of them 0 in both."""
    rng = random.Random(0)
    for _ in range(20):
        n = rng.randint(2, 6)
        p, q = ([rng.random() for _ in range(n)] for _ in range(2))
        p, q = [x / sum(p) for x in p] + [0.0], [x / sum(q) for x in q] + [0.0]
        beta = rng.uniform(0.05, 0.95)
        assert forward_kl(log(*p), log(*q)).item() == pytest.approx(slow_kl(p, q))
        assert reverse_kl(log(*p), log(*q)).item() == pytest.approx(slow_kl(q, p))
        assert generalised_jsd(log(*p), log(*q), beta).item() == pytest.approx(slow_jsd(p, q, beta))
