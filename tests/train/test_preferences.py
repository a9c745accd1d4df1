"""Preferences: numbers by hand, the same in plain floats, gradients by finite differences, limits, extremes."""

from __future__ import annotations

import math
from functools import partial

import pytest

torch = pytest.importorskip("torch")

from torch.autograd import gradcheck  # noqa: E402

from toolagent.train.preferences import bradley_terry, dpo, hinge, ipo, kto, kto_baseline, log_ratio, robust_dpo, sft  # noqa: E402

PAIRS = [dpo, partial(dpo, label_smoothing=0.2), partial(robust_dpo, flip_rate=0.2), ipo, hinge]


def doubles(*values, grad=False):
    return torch.tensor(values, dtype=torch.float64, requires_grad=grad)


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


# --- reward models --------------------------------------------------------------------------------------------------------------------


def test_bradley_terry_by_hand():
    """Scores ln 3 apart: the better one wins with 3/4. A margin of ln 3 takes that back to 1/2. Both 1 and -1 sum to 0, 2 and 1 to 3."""
    chosen, rejected = doubles(math.log(3), 0.0), doubles(0.0, math.log(3))
    assert bradley_terry(chosen, rejected).tolist() == pytest.approx([-math.log(3 / 4), -math.log(1 / 4)])
    assert bradley_terry(chosen, rejected, doubles(math.log(3), 0.0)).tolist() == pytest.approx([math.log(2), -math.log(1 / 4)])
    centred = bradley_terry(doubles(1.0, 2.0), doubles(-1.0, 1.0), centring=0.01) - bradley_terry(doubles(1.0, 2.0), doubles(-1.0, 1.0))
    assert centred.tolist() == pytest.approx([0.0, 0.09])


def test_only_the_centring_term_knows_where_zero_is():
    chosen, rejected = doubles(0.3, -1.0, grad=True), doubles(0.1, 2.0, grad=True)
    assert torch.allclose(bradley_terry(chosen, rejected), bradley_terry(chosen + 7, rejected + 7))
    (c, r) = torch.autograd.grad(bradley_terry(chosen, rejected, doubles(0.5, 0.0)).sum(), (chosen, rejected))
    assert torch.allclose(c, -r)
    (c, r) = torch.autograd.grad(bradley_terry(chosen, rejected, centring=0.1).sum(), (chosen, rejected))
    assert torch.allclose(c + r, 4 * 0.1 * (chosen + rejected))


def test_gradients_of_bradley_terry():
    inputs = doubles(0.3, -1.0, 4.0, grad=True), doubles(0.1, 2.0, -3.0, grad=True), doubles(0.0, 1.0, 0.5, grad=True)
    assert gradcheck(partial(bradley_terry, centring=0.1), inputs)


# --- DPO and its kin ------------------------------------------------------------------------------------------------------------------


def test_log_ratio_by_hand():
    """-12 against -10, and -3 against -9, of 4 and 3 tokens."""
    policy, reference = doubles(-12.0, -3.0), doubles(-10.0, -9.0)
    assert log_ratio(policy, reference).tolist() == [-2, 6]
    assert log_ratio(policy, reference, torch.tensor([4, 3])).tolist() == [-0.5, 2]
    assert log_ratio(doubles(0.0), doubles(0.0), torch.tensor([0])).tolist() == [0]


def test_by_hand():
    """Margins of 2, 0 and -4 with beta 0.5 are 1, 0 and -2."""
    chosen, rejected = doubles(3.0, 1.0, -5.0), doubles(1.0, 1.0, -1.0)
    margins = [1, 0, -2]
    right, wrong = [-math.log(sigmoid(m)) for m in margins], [-math.log(sigmoid(-m)) for m in margins]
    pairs = list(zip(right, wrong, strict=True))
    assert dpo(chosen, rejected, 0.5).tolist() == pytest.approx(right)
    assert dpo(chosen, rejected, 0.5, 0.1).tolist() == pytest.approx([0.9 * r + 0.1 * w for r, w in pairs])
    assert robust_dpo(chosen, rejected, 0.5, 0.1).tolist() == pytest.approx([(0.9 * r - 0.1 * w) / 0.8 for r, w in pairs])
    assert hinge(chosen, rejected, 0.5).tolist() == [0, 1, 3]
    assert ipo(chosen, rejected, 0.5).tolist() == [1, 1, 25]  # (2 - 1)^2, (0 - 1)^2, (-4 - 1)^2
    assert sft(doubles(-12.0, -3.0), torch.tensor([4, 3])).tolist() == [3, 1]


def test_at_the_start_policy_is_reference():
    """DPO begins at ln 2 and pushes by -beta / 2 on the chosen answer, + beta / 2 on the rejected one."""
    chosen, rejected = doubles(-20.0, -3.0, grad=True), doubles(-10.0, -400.0, grad=True)
    losses = dpo(log_ratio(chosen, chosen.detach()), log_ratio(rejected, rejected.detach()), 0.1)
    assert torch.equal(losses, torch.full((2,), math.log(2), dtype=torch.float64))
    losses.sum().backward()
    assert torch.allclose(chosen.grad, doubles(-0.05, -0.05)) and torch.allclose(rejected.grad, doubles(0.05, 0.05))


def test_the_gradient_of_the_paper():
    """Rafailov et al. 2023, below eq. 7: -beta sigmoid(rejected reward - chosen reward) times the gradient of the log-probabilities."""
    chosen, rejected = doubles(2.0, -1.0, 7.0, grad=True), doubles(1.0, 3.0, -2.0)
    dpo(chosen, rejected, 0.3).sum().backward()
    assert chosen.grad.tolist() == pytest.approx([-0.3 * sigmoid(-0.3 * m) for m in (1, -4, 9)])


@pytest.mark.parametrize("loss", PAIRS)
def test_gradients_of_pairs(loss):
    policy = doubles(-7.0, -31.0, -2.0, grad=True), doubles(-9.0, -12.0, -3.3, grad=True)
    lengths = torch.tensor([5, 9, 2]), torch.tensor([4, 8, 1])
    reference = doubles(-8.0, -30.0, -2.5), doubles(-8.5, -14.0, -3.0)

    def both(chosen, rejected, normalised):
        ratios = [log_ratio(p, r, n if normalised else None) for p, r, n in zip((chosen, rejected), reference, lengths, strict=True)]
        return loss(*ratios, 0.4) + 0.3 * sft(chosen, lengths[0])

    for normalised in (False, True):
        assert gradcheck(partial(both, normalised=normalised), policy)


@pytest.mark.parametrize("loss", PAIRS)
def test_only_the_difference_counts(loss):
    chosen, rejected = doubles(3.0, 1.0, -5.0), doubles(1.0, 1.5, -1.0)
    assert torch.allclose(loss(chosen, rejected, 0.5), loss(chosen - 40, rejected - 40, 0.5))
    assert torch.allclose(loss(chosen, rejected, 0.5)[1:], loss(chosen[1:], rejected[1:], 0.5))  # nor do the other pairs


@pytest.mark.parametrize("loss", PAIRS)
def test_a_mean_over_tokens_does_not_mind_a_text_said_twice(loss):
    policy, reference, lengths = doubles(-12.0), doubles(-10.0), torch.tensor([4])
    once, twice = log_ratio(policy, reference, lengths), log_ratio(2 * policy, 2 * reference, 2 * lengths)
    assert torch.equal(loss(once, -once, 0.5), loss(twice, -twice, 0.5))


def test_label_smoothing():
    """At 0 it is DPO; at 1/2 the two answers may change places; between, the best margin is log((1 - s) / s) / beta."""
    chosen, rejected = doubles(3.0, -2.0), doubles(1.0, 1.0)
    assert torch.equal(dpo(chosen, rejected, 0.5, 0.0), dpo(chosen, rejected, 0.5))
    assert torch.allclose(dpo(chosen, rejected, 0.5, 0.5), dpo(rejected, chosen, 0.5, 0.5))
    best = doubles(math.log(0.8 / 0.2) / 0.5, grad=True)
    dpo(best, doubles(0.0), 0.5, 0.2).sum().backward()
    assert abs(best.grad.item()) < 1e-12
    for wrong in (-0.1, 0.6):
        with pytest.raises(ValueError, match="label_smoothing"):
            dpo(chosen, rejected, 0.5, wrong)


def test_robust_dpo_sees_through_flipped_labels():
    """Chowdhury et al. 2024: averaged over labels of which a share e is flipped, the loss is DPO's on the right labels."""
    chosen, rejected, e = doubles(3.0, -2.0, 0.0), doubles(1.0, 1.0, 9.0), 0.3
    seen = (1 - e) * robust_dpo(chosen, rejected, 0.5, e) + e * robust_dpo(rejected, chosen, 0.5, e)
    assert torch.allclose(seen, dpo(chosen, rejected, 0.5))
    assert torch.allclose(robust_dpo(chosen, rejected, 0.5, 0.0), dpo(chosen, rejected, 0.5))
    far = doubles(1000.0, grad=True)
    robust_dpo(far, doubles(0.0), 0.5, e).sum().backward()
    assert far.grad.item() == pytest.approx(-0.5 * e / (1 - 2 * e))
    with pytest.raises(ValueError, match="flip_rate"):
        robust_dpo(chosen, rejected, 0.5, 0.5)


def test_where_hinge_and_ipo_rest():
    """The hinge from a margin of 1 / beta on; IPO at 1 / (2 beta), pushing back beyond it."""
    margin = doubles(1.9, 2.1, grad=True)
    hinge(margin, doubles(0.0, 0.0), 0.5).sum().backward()
    assert margin.grad.tolist() == [-0.5, 0]
    margin = doubles(0.9, 1.0, 1.1, grad=True)
    ipo(margin, doubles(0.0, 0.0, 0.0), 0.5).sum().backward()
    assert margin.grad.tolist() == pytest.approx([-0.2, 0, 0.2])


# --- KTO ------------------------------------------------------------------------------------------------------------------------------

GOOD_BAD = torch.tensor([True, False])


def test_kto_by_hand():
    """Log-ratios of 5 above a baseline of 1, beta 0.5: both are at 2. The good one loses 1 - sigmoid(2), the bad one 1 - sigmoid(-2)."""
    found = kto(doubles(5.0, 5.0), GOOD_BAD, doubles(1.0)[0], 0.5, desirable_weight=0.8, undesirable_weight=1.5)
    assert found.tolist() == pytest.approx([0.8 * (1 - sigmoid(2)), 1.5 * (1 - sigmoid(-2))])


def test_the_baseline_of_kto():
    """Mismatched pairs: log-ratios of 1 and 4 average to 2.5; of -4 and 1 to below 0, which a KL cannot be. No gradient goes through it."""
    policy = doubles(-10.0, -20.0, grad=True)
    assert kto_baseline(policy, doubles(-11.0, -24.0)).item() == 2.5
    assert kto_baseline(policy, doubles(-6.0, -21.0)).item() == 0
    assert not kto_baseline(policy, doubles(-11.0, -24.0)).requires_grad


def test_kto_at_the_start_and_turned_round():
    """Policy = reference: half of the weight. A good answer above the baseline is as a bad one below."""
    zero = doubles(0.0)[0]
    assert kto(doubles(0.0, 0.0), GOOD_BAD, zero, 0.1, 1.0, 2.0).tolist() == [0.5, 1.0]
    ratios = doubles(3.0, -1.5)
    assert torch.allclose(kto(ratios, GOOD_BAD, doubles(2.0)[0], 0.7), kto(-ratios, ~GOOD_BAD, doubles(-2.0)[0], 0.7))


def test_gradients_of_kto():
    ratios = doubles(3.0, -1.5, 0.2, -7.0, grad=True)
    assert gradcheck(lambda r: kto(r, torch.tensor([True, False, False, True]), doubles(0.4)[0], 0.7, 1.3, 0.6), ratios)


# --- extremes -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("loss", [*PAIRS, lambda c, r, beta: bradley_terry(c, r, centring=0.01)])
def test_extreme_pairs_give_numbers(loss, dtype):
    """Log-probabilities of -1e4 on either side, or both."""
    chosen = torch.tensor([-1e4, 0.0, -1e4], dtype=dtype, requires_grad=True)
    rejected = torch.tensor([0.0, -1e4, -1e4], dtype=dtype)
    losses = loss(log_ratio(chosen, torch.zeros_like(rejected)), log_ratio(rejected, torch.zeros_like(rejected)), 0.5)
    losses.sum().backward()
    assert losses.dtype == torch.float32 and losses.isfinite().all() and chosen.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_extreme_answers_give_numbers(dtype):
    ratios = torch.tensor([-1e4, 1e4, 1e4, -1e4], dtype=dtype, requires_grad=True)
    losses = kto(ratios, torch.tensor([True, True, False, False]), torch.tensor(0.0), 0.5)
    losses.sum().backward()
    assert losses.tolist() == [1, 0, 1, 0] and losses.dtype == torch.float32 and ratios.grad.isfinite().all()


def test_differences_are_taken_in_float32():
    """In float16 -2000 and -1999 are neighbours, and their quarter-length mean would be rounded."""
    policy, reference = torch.tensor([-1999.0], dtype=torch.float16), torch.tensor([-2000.0], dtype=torch.float16)
    assert log_ratio(policy, reference, torch.tensor([3])).item() == pytest.approx(1 / 3, abs=1e-7)
    assert dpo(torch.tensor([1000.0]).half(), torch.tensor([999.0]).half(), 0.1).item() == pytest.approx(-math.log(sigmoid(0.1)), abs=1e-6)


def test_a_tiny_probability_of_error_is_not_rounded_to_none():
    """1 - sigmoid(30) is 9.4e-14 and not 0, so that its gradient is there, too."""
    found = kto(torch.tensor([60.0]), torch.tensor([True]), torch.tensor(0.0), 0.5)
    assert found.item() == pytest.approx(math.exp(-30), rel=1e-4, abs=0)
    assert dpo(torch.tensor([60.0]), torch.tensor([0.0]), 0.5).item() == pytest.approx(math.exp(-30), rel=1e-4, abs=0)
