"""Rewards, advantages, PPO and GRPO: tables by hand, slow formulas in numpy, gradients by finite differences, limits, masks, extremes."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.autograd import gradcheck  # noqa: E402

from toolagent.train.policy import (  # noqa: E402
    gae,
    group_advantages,
    grpo,
    k1,
    k2,
    k3,
    over_sequences,
    over_tokens,
    ppo_clip,
    rewards_with_kl,
    value_clip,
    whiten,
)

clip = partial(ppo_clip, low=0.2, high=0.2)


def doubles(*values, grad=False):
    return torch.tensor(values, dtype=torch.float64, requires_grad=grad)


def noise(*shape, seed=0, grad=False):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).requires_grad_(grad)


def mask_of(*rows):
    return torch.tensor([[c == "x" for c in row] for row in rows])


# --- KL estimators --------------------------------------------------------------------------------------------------------------------

POLICY, REFERENCE = doubles(0.5, 0.3, 0.2), doubles(0.2, 0.2, 0.6)


def divergence(p, q):
    return (p * (p.log() - q.log())).sum()


def test_estimators_by_hand():
    """A token four times as likely as under the reference: log 4; half its square; 1/4 - 1 + log 4."""
    policy, reference = doubles(0.8).log(), doubles(0.2).log()
    assert k1(policy, reference).item() == pytest.approx(math.log(4))
    assert k2(policy, reference).item() == pytest.approx(math.log(4) ** 2 / 2)
    assert k3(policy, reference).item() == pytest.approx(0.25 - 1 + math.log(4))


def test_k1_and_k3_are_unbiased():
    """The mean over what the policy samples, taken exactly over three words."""
    want = divergence(POLICY, REFERENCE)
    for estimate in (k1, k3):
        assert torch.allclose((POLICY * estimate(POLICY.log(), REFERENCE.log())).sum(), want)
    assert (k3(POLICY.log(), REFERENCE.log()) >= 0).all()
    same = noise(5)
    assert all(estimate(same, same).eq(0).all() for estimate in (k1, k2, k3))


def test_whose_gradient_each_has_as_a_loss():
    """On samples of the policy: k1 none, k2 that of KL(policy || reference), k3 that of KL(reference || policy)."""
    logits = noise(3, seed=3, grad=True)
    log_p = logits.log_softmax(-1)

    def slope(value):
        return torch.autograd.grad(value, logits, retain_graph=True)[0]

    found = {e: slope((log_p.exp().detach() * e(log_p, REFERENCE.log())).sum()) for e in (k1, k2, k3)}
    assert found[k1].abs().max() < 1e-12
    assert torch.allclose(found[k2], slope(divergence(log_p.exp(), REFERENCE)))
    assert torch.allclose(found[k3], slope((REFERENCE * (REFERENCE.log() - log_p)).sum()))


def test_gradients_of_estimators():
    for estimate in (k1, k2, k3):
        assert gradcheck(estimate, (noise(2, 3, seed=1, grad=True), noise(2, 3, seed=2, grad=True)))


def test_k3_of_nearly_equal_models_is_not_lost_to_rounding():
    """Half the square of 1e-4, in float32, where exp(1e-4) - 1 - 1e-4 the short way has one digit."""
    assert k3(torch.tensor([-2.0]), torch.tensor([-2.0 + 2.0**-13])).item() == pytest.approx(2.0**-27, rel=1e-2)


# --- KL in the reward -----------------------------------------------------------------------------------------------------------------


def test_the_score_comes_with_the_last_token():
    """Two of three tokens written, then a gap in the second row, and a row without any."""
    kl = doubles([1.0, 2.0, 9.0], [3.0, 9.0, 4.0], [9.0, 9.0, 9.0])
    found = rewards_with_kl(doubles(10.0, 20.0, 30.0), kl, mask_of("xx-", "x-x", "---"), 0.1)
    assert torch.allclose(found, doubles([-0.1, 9.8, 0.0], [-0.3, 0.0, 19.6], [0.0, 0.0, 0.0]))


def test_rewards_sum_to_zieglers_equation():
    """Score less beta log(policy / reference) of the whole answer; no gradient goes through."""
    policy, reference, mask = noise(3, 5, seed=1, grad=True), noise(3, 5, seed=2), mask_of("xxxxx", "xx---", "-x-xx")
    scores = noise(3, seed=3)
    found = rewards_with_kl(scores, k1(policy, reference), mask, 0.2)
    ratios = (policy - reference).masked_fill(~mask, 0).sum(-1)
    assert torch.allclose(found.sum(-1), scores - 0.2 * ratios) and not found.requires_grad


# --- advantages -----------------------------------------------------------------------------------------------------------------------


def slow_gae(rewards, values, gamma, lam, last):
    """Schulman et al. 2015, eq. 16 as it stands: a sum for each step."""
    following = [*values[1:], last]
    delta = [r + gamma * n - v for r, n, v in zip(rewards, following, values, strict=True)]
    return [sum((gamma * lam) ** (later - t) * delta[later] for later in range(t, len(delta))) for t in range(len(delta))]


def test_gae_by_hand():
    """gamma 0.5, lam 0.5; values 1 2 4, a reward of 8 at the end. delta: 0.5*2 - 1 = 0, 0.5*4 - 2 = 0, 8 - 4 = 4; each a quarter of the next.
    Cut off before a state worth 4, the last delta is 8 + 2 - 4 = 6."""
    rewards, values, mask = doubles([0.0, 0.0, 8.0]), doubles([1.0, 2.0, 4.0]), mask_of("xxx")
    advantages, returns = gae(rewards, values, mask, 0.5, 0.5)
    assert advantages.tolist() == [[0.25, 1, 4]] and returns.tolist() == [[1.25, 3, 8]]
    advantages, returns = gae(rewards, values, mask, 0.5, 0.5, last_values=doubles(4.0))
    assert advantages.tolist() == [[0.375, 1.5, 6]] and returns.tolist() == [[1.375, 3.5, 10]]


def test_gae_against_the_sum():
    rewards, values, last = noise(4, 9, seed=1), noise(4, 9, seed=2), doubles(0.0, 1.5, 0.0, -2.0)  # two ended, two were cut off
    advantages, returns = gae(rewards, values, torch.ones(4, 9, dtype=torch.bool), 0.97, 0.9, last)
    for row in range(4):
        want = slow_gae(rewards[row].tolist(), values[row].tolist(), 0.97, 0.9, last[row].item())
        assert advantages[row].tolist() == pytest.approx(want)
    assert torch.allclose(returns, advantages + values)


def test_gae_passes_over_what_the_policy_did_not_write():
    """Padding at both ends and a tool's result in the middle: as if they were not there, whatever stands in them."""
    mask = mask_of("-xx--x-", "xxx----")
    short_rewards, short_values, last = noise(2, 3, seed=1), noise(2, 3, seed=2), doubles(0.7, 0.0)
    rewards, values = (torch.full((2, 7), math.nan, dtype=torch.float64).masked_scatter(mask, x) for x in (short_rewards, short_values))
    advantages, returns = gae(rewards, values, mask, 0.9, 0.8, last)
    want, want_returns = gae(short_rewards, short_values, torch.ones(2, 3, dtype=torch.bool), 0.9, 0.8, last)
    assert torch.equal(advantages[mask].view(2, 3), want) and torch.equal(returns[mask].view(2, 3), want_returns)
    assert advantages[~mask].eq(0).all() and returns[~mask].eq(0).all()


def test_limits_of_gae():
    """lam 0: the error of one step (eq. 17). lam 1: what came, less what was expected (eq. 18), and the targets do not know the values."""
    rewards, values, mask, last = noise(1, 5, seed=1), noise(1, 5, seed=2), mask_of("xxxxx"), doubles(0.6)
    advantages, _ = gae(rewards, values, mask, 0.9, 0.0, last)
    assert torch.allclose(advantages, rewards + 0.9 * torch.cat([values[:, 1:], last[None]], 1) - values)
    advantages, returns = gae(rewards, values, mask, 0.9, 1.0, last)
    come = [sum(0.9 ** (later - t) * rewards[0, later].item() for later in range(t, 5)) + 0.9 ** (5 - t) * 0.6 for t in range(5)]
    assert returns[0].tolist() == pytest.approx(come) and torch.allclose(advantages, returns - values)


def test_a_perfect_value_function_leaves_no_advantage():
    rewards = noise(1, 6, seed=1)
    values = torch.tensor([[sum(0.9 ** (later - t) * rewards[0, later].item() for later in range(t, 6)) for t in range(6)]], dtype=torch.float64)
    advantages, _ = gae(rewards, values, mask_of("xxxxxx"), 0.9, 0.7)
    assert advantages.abs().max() < 1e-12 and not gae(rewards, values.requires_grad_(), mask_of("xxxxxx"), 0.9, 0.7)[0].requires_grad


def test_whitening_by_hand():
    """1 and 3: mean 2, deviation 1. What the mask leaves out is 0 and does not count, not even as no number."""
    x = doubles([1.0, math.nan], [3.0, math.inf])
    assert torch.allclose(whiten(x, mask_of("x-", "x-")), doubles([-1.0, 0.0], [1.0, 0.0]))
    assert torch.allclose(whiten(x, mask_of("x-", "x-"), shift_mean=False), doubles([1.0, 0.0], [3.0, 0.0]))


def test_whitening_against_numpy():
    x, mask = noise(4, 6) * 5 + 3, mask_of("xxxxxx", "xxx---", "-x-x-x", "------")
    kept = x[mask].numpy()
    assert np.allclose(whiten(x, mask)[mask], (kept - kept.mean()) / kept.std())
    assert np.allclose(whiten(x, mask, shift_mean=False)[mask], (kept - kept.mean()) / kept.std() + kept.mean())
    assert torch.allclose(whiten(x, mask), whiten(7 * x - 100, mask))  # neither scale nor origin
    assert torch.allclose(whiten(x, mask).flip(0), whiten(x.flip(0), mask.flip(0)))  # nor order


def test_whitening_where_there_is_nothing_to_whiten():
    assert whiten(torch.full((2, 3), 5.0), mask_of("xxx", "xx-")).eq(0).all()
    assert whiten(torch.full((2, 3), 5.0), mask_of("x--", "---")).eq(0).all()
    nothing = torch.full((2, 3), 5.0, requires_grad=True)
    white = whiten(nothing, mask_of("---", "---"))
    white.sum().backward()
    assert white.eq(0).all() and nothing.grad.eq(0).all()


def test_group_advantages_by_hand():
    """1 0 0 1: half away from the mean; the deviation is sqrt(4 * 1/4 / 3) = 1 / sqrt 3. All the same: nothing to learn."""
    scores = doubles([1.0, 0.0, 0.0, 1.0], [0.3, 0.3, 0.3, 0.3])
    assert torch.allclose(group_advantages(scores, by_std=False), doubles([0.5, -0.5, -0.5, 0.5], [0.0] * 4), atol=1e-12)
    assert torch.allclose(group_advantages(scores), doubles([0.5, -0.5, -0.5, 0.5], [0.0] * 4) / (3**-0.5 + 1e-4), atol=1e-9)
    with pytest.raises(ValueError, match="two answers"):
        group_advantages(scores[:, :1])


def test_group_advantages_against_numpy_and_leave_one_out():
    scores = noise(3, 5) * 4 + 2
    x = scores.numpy()
    assert np.allclose(group_advantages(scores), (x - x.mean(1, keepdims=True)) / (x.std(1, ddof=1, keepdims=True) + 1e-4))
    without = (scores.sum(-1, keepdim=True) - scores) / 4
    assert torch.allclose(group_advantages(scores, by_std=False) * 5 / 4, scores - without)
    assert torch.allclose(group_advantages(scores + 100), group_advantages(scores))
    assert torch.allclose(group_advantages(scores * 100), group_advantages(scores), rtol=1e-3)
    assert torch.equal(group_advantages(scores[1:2]), group_advantages(scores)[1:2])  # another request's scores do not matter


def test_rounding_is_no_difference_between_answers():
    same = torch.tensor([[0.1 + 0.2, 0.3, 0.3, 0.3]])
    assert group_advantages(same).abs().max() < 1e-2


# --- PPO ------------------------------------------------------------------------------------------------------------------------------


def test_ppo_by_hand():
    """Ratios 1.5, 1.1 and 0.5, advantages 2 and -2, clipped at 0.8 and 1.2: the worse of the two, and no push where that is the clipped one."""
    new = torch.tensor([1.5, 1.1, 0.5] * 2, dtype=torch.float64).log().requires_grad_(True)
    advantages = doubles(2.0, 2.0, 2.0, -2.0, -2.0, -2.0)
    losses = clip(new, torch.zeros(6), advantages)
    assert losses.tolist() == pytest.approx([-2.4, -2.2, -1.0, 3.0, 2.2, 1.6])
    losses.sum().backward()
    assert new.grad.tolist() == pytest.approx([0, -2.2, -1.0, 3.0, 2.2, 0])


def test_each_side_has_its_own_clip():
    new = torch.tensor([1.25, 1.35, 0.85, 0.75], dtype=torch.float64).log()
    assert ppo_clip(new, torch.zeros(4), doubles(1.0, 1.0, -1.0, -1.0), 0.2, 0.3).tolist() == pytest.approx([-1.25, -1.3, 0.85, 0.8])


def test_at_ratio_1_it_is_the_policy_gradient():
    """The first minibatch: the loss is -A, its gradient that of -A log pi, for any clip."""
    logits, advantages, words = noise(4, 6, grad=True), noise(4, seed=1), torch.tensor([0, 3, 5, 1])
    log_p = logits.log_softmax(-1)[torch.arange(4), words]
    losses = clip(log_p, log_p.detach(), advantages)
    assert torch.allclose(losses, -advantages)
    (found,) = torch.autograd.grad(losses.sum(), logits, retain_graph=True)
    assert torch.allclose(found, torch.autograd.grad(-(advantages * log_p).sum(), logits)[0])


def test_gradients_of_ppo():
    """Away from the corners, where there is none."""
    new, old = noise(3, 4, seed=1, grad=True), noise(3, 4, seed=2)
    ratio = (new - old).exp()
    assert ((ratio - 0.8).abs() > 1e-3).all() and ((ratio - 1.2).abs() > 1e-3).all()
    assert gradcheck(lambda new, a: clip(new, old, a), (new, noise(3, 4, seed=3, grad=True)))
    for kl in (k2, k3):
        assert gradcheck(lambda new, kl=kl: grpo(new, old, noise(3, 4, seed=5), noise(3, seed=3), 0.2, 0.3, 0.1, kl), new)


def test_value_clip_by_hand():
    """Old 0, clip 0.5, target 1. A step to 0.4 counts as it is; one to 0.9 as 0.5, without a push; one away from the target in full."""
    new = doubles(0.4, 0.9, -0.9, grad=True)
    losses = value_clip(new, torch.zeros(3), torch.ones(3), 0.5)
    assert losses.tolist() == pytest.approx([0.18, 0.125, 1.805])
    losses.sum().backward()
    assert new.grad.tolist() == pytest.approx([-0.6, 0, -1.9])


def test_value_loss_without_a_clip_and_gradients():
    new, old, returns = noise(3, 4, seed=1, grad=True), noise(3, 4, seed=2), noise(3, 4, seed=3)
    assert torch.allclose(value_clip(new, old, returns, math.inf), (new - returns) ** 2 / 2)
    assert gradcheck(lambda v: value_clip(v, old, returns, 0.3), new)


# --- GRPO and sums --------------------------------------------------------------------------------------------------------------------


def test_grpo_by_hand():
    """One answer of two tokens at ratio 1, advantage 2; the reference is twice and once as likely: k3 = 2 - 1 - log 2 and 0."""
    zero = torch.zeros(1, 2, dtype=torch.float64)
    found = grpo(zero, zero, doubles([2.0, 1.0]).log(), doubles(2.0), 0.2, 0.2, 0.1)
    assert found[0].tolist() == pytest.approx([-2 + 0.1 * (1 - math.log(2)), -2])
    found = grpo(zero, zero, doubles([2.0, 1.0]).log(), doubles(2.0), 0.2, 0.2, 0.1, kl=k2)
    assert found[0].tolist() == pytest.approx([-2 + 0.1 * math.log(2) ** 2 / 2, -2])
    assert torch.equal(grpo(zero, zero, zero + 5, doubles(2.0), 0.2, 0.2, 0.0), clip(zero, zero, doubles([2.0, 2.0])))


def test_tokens_or_answers_weigh_the_same():
    """Answers of 1 and 3 tokens with losses 6 and 1 2 3: sums 6 and 6; over tokens 12 / 4, over answers (6 + 2) / 2, by length 4 (1.5 + 1.5) / 2."""
    losses, mask = doubles([6.0, math.nan, 9.0], [1.0, 2.0, 3.0]), mask_of("x--", "xxx")
    assert [x.item() for x in over_tokens(losses, mask)] == [12, 4]
    assert [x.item() for x in over_sequences(losses, mask)] == [8, 2]
    assert [x.item() for x in over_sequences(losses, mask, length=4)] == [3, 2]
    assert [x.item() for x in over_sequences(losses, mask & False)] == [0, 2]


@pytest.mark.parametrize("over", [over_tokens, over_sequences, partial(over_sequences, length=7)])
def test_a_batch_in_parts_is_the_batch(over):
    losses, mask = noise(5, 4), mask_of("xxxx", "x---", "----", "-xx-", "xxx-")
    whole, count = over(losses, mask)
    parts = [over(losses[rows], mask[rows]) for rows in (slice(0, 1), slice(1, 5))]
    assert torch.allclose(sum(p for p, _ in parts) / sum(n for _, n in parts), whole / count)
    wide = torch.cat([losses, torch.full((5, 2), math.inf, dtype=torch.float64)], 1)
    assert torch.allclose(over(wide, torch.cat([mask, torch.zeros(5, 2, dtype=torch.bool)], 1))[0], whole)  # nor does padding matter


@pytest.mark.parametrize("over", [over_tokens, over_sequences])
def test_the_mask_stops_gradients(over):
    losses, mask = noise(2, 3, grad=True), mask_of("x-x", "---")
    over(losses, mask)[0].backward()
    assert losses.grad[~mask].eq(0).all() and losses.grad[mask].gt(0).all()


# --- extremes -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_extreme_log_probs_give_numbers(dtype):
    """-1e4 under one model, 0 under the other, with advantages of both signs and of 0."""
    new = torch.tensor([[-1e4, 0.0, -1e4]] * 3, dtype=dtype, requires_grad=True)
    old = torch.tensor([[0.0, -1e4, -1e4]] * 3, dtype=dtype)
    for kl in (k1, k2, k3):
        losses = grpo(new, old, old, torch.tensor([1.0, -1.0, 0.0]), 0.2, 0.2, 0.1, kl)
        new.grad = None
        losses.sum().backward()
        assert losses.dtype == torch.float32 and losses.isfinite().all() and new.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    a, b, c = (noise(3, 4, seed=i).to(dtype) for i in range(3))
    wide, mask = (a.float(), b.float(), c.float()), torch.ones(3, 4, dtype=torch.bool)
    for fn in (clip, partial(value_clip, clip=0.2)):
        assert torch.equal(fn(a, b, c), fn(*wide)) and fn(a, b, c).dtype == torch.float32
    for estimate in (k1, k2, k3):
        assert torch.equal(estimate(a, b), estimate(wide[0], wide[1]))
    assert torch.equal(whiten(a, mask), whiten(wide[0], mask)) and torch.equal(group_advantages(a), group_advantages(wide[0]))
    assert torch.equal(gae(a, b, mask, 0.9, 0.8)[0], gae(wide[0], wide[1], mask, 0.9, 0.8)[0])
    assert rewards_with_kl(a[:, 0], b, mask, 0.1).dtype == torch.float32
