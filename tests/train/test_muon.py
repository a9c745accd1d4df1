"""Muon: the update is made orthogonal, roughly; one step by hand."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from toolagent.train.muon import Muon, orthogonal  # noqa: E402


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 16, 4), (2, 4, 16), (1, 1, 7)])
def test_singular_values_come_near_1(shape):
    """Jordan et al. aim at [0.7, 1.2]; a value that was nearly nothing may stay lower."""
    torch.manual_seed(0)
    found = torch.linalg.svdvals(orthogonal(torch.randn(*shape)))
    assert found.max() < 1.25 and found.median() > 0.65


def test_the_sides_stay_as_they_were():
    """U S V' -> U f(S) V': the singular vectors are those of the update."""
    torch.manual_seed(0)
    a = torch.randn(1, 5, 5)
    u, _, v = torch.linalg.svd(a)
    inside = u.mT @ orthogonal(a) @ v.mT
    assert torch.allclose(inside, torch.diag_embed(inside.diagonal(dim1=-2, dim2=-1)), atol=1e-4)


def quintic(s):
    for _ in range(5):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    return s


def test_one_step_by_hand():
    """Gradient diag(3, 4): its momentum is 0.05 of it and its Nesterov push 0.0975, so of norm 0.4875; over that norm diag(0.6, 0.8).
    Each goes through the quintic five times; the weights first shrink by lr * decay = 0.1 * 0.5."""
    w = torch.nn.Parameter(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    w.grad = torch.diag(torch.tensor([3.0, 4.0]))
    optimiser = Muon([w], lr=0.1, momentum=0.95, weight_decay=0.5)
    optimiser.step()
    assert torch.allclose(optimiser.state[w]["momentum"], torch.diag(torch.tensor([0.15, 0.20])))
    want = torch.tensor([[0.95 - 0.1 * quintic(0.6), 1.9], [2.85, 3.8 - 0.1 * quintic(0.8)]])
    assert torch.allclose(w.detach(), want, atol=1e-5)


def test_a_tall_matrix_moves_by_more():
    """sqrt(rows / columns): (4, 1) moves by 2 for each 1 that (1, 4) moves by."""
    tall, wide = torch.nn.Parameter(torch.zeros(4, 1)), torch.nn.Parameter(torch.zeros(1, 4))
    tall.grad, wide.grad = torch.ones(4, 1), torch.ones(1, 4)
    Muon([tall, wide], lr=0.1).step()
    assert torch.allclose(tall.detach().mT, 2 * wide.detach())


def test_against_torch():
    """torch's runs its iteration in bfloat16: three digits."""
    if not hasattr(torch.optim, "Muon"):
        pytest.skip("this torch has no Muon")
    torch.manual_seed(0)
    ours, theirs = (torch.nn.Parameter(torch.ones(6, 3)) for _ in range(2))
    a = Muon([ours], lr=0.02, momentum=0.95, weight_decay=0.1)
    b = torch.optim.Muon([theirs], lr=0.02, momentum=0.95, weight_decay=0.1)
    for _ in range(3):
        ours.grad = torch.randn(6, 3)
        theirs.grad = ours.grad.clone()
        a.step()
        b.step()
    assert (ours - theirs).abs().max() < 2e-3
