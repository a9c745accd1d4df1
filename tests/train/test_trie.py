"""Prefix trees by hand; and for four families of models: losses and gradients are those of each sequence alone."""

import random

import pytest
from small import alone, distance, gradients, model_of, rows_of

torch = pytest.importorskip("torch")

from toolagent import model as models  # noqa: E402
from toolagent.train import trie  # noqa: E402
from toolagent.train.encode import Row  # noqa: E402
from toolagent.train.losses import sequence_log_probs  # noqa: E402
from toolagent.train.trie import Learned, collate, common_stem, flat  # noqa: E402


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def row(ids, learned):
    return Row(tuple(ids), bytes(learned))


A = row((5, 6, 7, 8), (0, 0, 1, 1))
B = row((5, 6, 9), (0, 0, 1))
C = row((5, 6, 7, 4), (0, 0, 1, 1))


def test_a_tree_by_hand():
    """5 6 - 7 - 4    at  0 1 - 2 - 3
               - 8                - 4
           - 9                - 5"""
    tree = flat([A, B, C])
    assert (tree.ids, tree.depths, tree.ends) == ((5, 6, 7, 4, 8, 9), (0, 1, 2, 3, 3, 2), (6, 6, 5, 4, 5, 6))
    assert set(tree.learned) == {Learned(1, 7, 1, 0), Learned(2, 8, 1, 0), Learned(1, 9, 1, 1), Learned(1, 7, 1, 2), Learned(2, 4, 1, 2)}
    assert tree.lasts == (4, 5, 3) and tree.stem == 1  # place 1 predicts already


def test_what_a_token_sees():
    batch = collate([flat([A, B, C])])
    want = ["x     ", "xx    ", "xxx   ", "xxxx  ", "xxx x ", "xx   x"]
    assert ["".join("x" if cell else " " for cell in line) for line in batch.mask[0, 0].tolist()] == want
    assert batch.positions.tolist() == [[0, 1, 2, 3, 3, 2]]
    pairs = list(zip(batch.places.tolist(), batch.targets.tolist(), strict=True))
    assert sorted(pairs) == [(1, 7), (1, 9), (2, 4), (2, 8)]  # the 7 that A and C share is predicted once
    told = sorted((owner, pairs[pick]) for owner, pick in zip(batch.owners.tolist(), batch.pick.tolist(), strict=True))
    assert told == [(0, (1, 7)), (0, (2, 8)), (1, (1, 9)), (2, (1, 7)), (2, (2, 4))]


def test_one_sequence_is_a_plain_causal_row():
    batch = collate([flat([A]), flat([B])], share=False)
    assert batch.mask is None and not len(batch.stem) and batch.ids.tolist() == [[5, 6, 7, 8], [5, 6, 9, 0]]


def test_a_sequence_that_begins_another():
    tree = flat([row((1, 2, 3), (0, 1, 1)), row((1, 2), (0, 1))])
    assert tree.ids == (1, 2, 3) and tree.ends == (3, 3, 3) and tree.lasts == (2, 1)
    assert sorted(tree.learned) == [Learned(0, 2, 1, 0), Learned(0, 2, 1, 1), Learned(1, 3, 1, 0)]


def test_the_same_sequence_twice():
    tree = flat([A, A])
    assert tree.ids == A.ids and len(tree.learned) == 4 and tree.lasts == (3, 3)


def test_the_stem_leaves_the_token_that_predicts_the_first_learned_one():
    assert common_stem([flat([r]) for r in rows_of(17, (5, 9), asked=3)]) == 16
    assert common_stem([flat([r]) for r in rows_of(17, (4, 8), asked=0)]) == 17  # the mark behind them predicts
    assert common_stem([flat([row((5, 6, 7), (0, 0, 1))])] * 2) == 1
    assert common_stem([flat([row((5, 6, 7), (1, 1, 1))])] * 2) == 0
    assert common_stem([flat([A, B]), flat([row((5, 6, 7, 1), (0, 0, 0, 1)), row((5, 2, 2, 3), (0, 0, 0, 1))])]) == 1


def test_some_kinds_of_tokens_only():
    asked = row((5, 6, 7, 8), (0, 2, 0, 1))
    assert collate([flat([asked])], kinds=(1,)).targets.tolist() == [8]
    assert sorted(collate([flat([asked])]).targets.tolist()) == [6, 8]
    nothing = collate([flat([row((5, 6), (0, 0))])])
    assert len(nothing.targets) == len(nothing.pick) == 0 and nothing.lasts.tolist() == [1]


def forest(seed: int = 0):
    """Two trees of answers and of answers to answers, all behind one stem."""
    rng = random.Random(seed)

    def tokens(n):
        return tuple(rng.randrange(3, 300) for _ in range(n))

    stem = tokens(9)
    trees = []
    for _ in range(2):
        asked, rows = stem + tokens(4), []
        for _ in range(2):
            first = asked + tokens(3)
            more = first + tokens(2)
            rows += [row(first, [0] * 13 + [1] * 3), row(more + tokens(5), [0] * 18 + [1] * 5), row(more + tokens(1), [0] * 16 + [1] * 3)]
        trees.append(rows)
    return trees


@pytest.mark.parametrize("at_once", [4096, 3])
@pytest.mark.parametrize("checkpointing", [False, True], ids=["", "recomputed"])
@pytest.mark.parametrize(
    ("kind", "tied", "lora"),
    [
        ("llama", True, False),
        ("llama", False, True),
        ("qwen3", False, False),
        ("qwen3", True, True),
        ("gemma", True, False),
        ("gpt_neox", False, False),
    ],
)
def test_a_forest_is_its_sequences(kind, tied, lora, checkpointing, at_once):
    model = model_of(kind, tie_word_embeddings=tied)
    if lora:
        model = models.with_lora(model, 4, 8)
        for name, p in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(p, std=0.2)
    model.train()
    trees = forest()
    rows = [r for tree in trees for r in tree]
    weights = torch.linspace(-1, 1, len(rows))  # as a preference weighs them: some up, some down
    want = torch.stack([alone(model, r) for r in rows])
    want_gradients = gradients(model, (want * weights).sum())
    if checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    ways = {"one tree": [flat(rows)], "a tree each": [flat([r]) for r in rows], "two trees": [flat(tree) for tree in trees]}
    for name, made in ways.items():
        batch = collate(made, share=not checkpointing)
        assert bool(len(batch.stem)) == (len(made) > 1 and not checkpointing), name
        sums, lengths = sequence_log_probs(trie.log_probs(model, batch, at_once)[batch.pick], batch.owners, len(batch.lasts))
        assert lengths.tolist() == [r.learned.count(1) for r in rows]
        assert sums.tolist() == pytest.approx(want.tolist(), rel=1e-5), name
        found = gradients(model, (sums * weights).sum())
        assert found.keys() == want_gradients.keys()
        assert max(distance(found[n], want_gradients[n]) for n in found) < 1e-5, name


def test_a_tree_holds_each_token_once():
    rows = [r for tree in forest() for r in tree]
    assert len(flat(rows).ids) == 9 + 2 * (4 + 2 * (3 + 2 + 5 + 1)) < sum(len(r.ids) for r in rows) / 3
