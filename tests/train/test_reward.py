"""Reward models: scores are those of answers by themselves, each objective has its own, and a taught taste is learned."""

import json
import math

import pytest
from small import family, model_of
from test_dpo import steps

torch = pytest.importorskip("torch")

from toolagent import model as models  # noqa: E402
from toolagent.errors import NoModel, UsageError  # noqa: E402
from toolagent.train import reward  # noqa: E402
from toolagent.train.encode import encoder_for  # noqa: E402
from toolagent.train.pairs import families  # noqa: E402


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def by_hand(scorer, row):
    states = scorer.policy.base_model(input_ids=torch.tensor([row.ids])).last_hidden_state[0]
    return scorer.score(states[-1])


@pytest.mark.parametrize("kind", ["llama", "gpt_neox", "gemma2"])
def test_scores_and_gradients_are_those_of_answers_by_themselves(kind):
    scorer = reward.Scorer(model_of(kind, **({"sliding_window": 8} if kind == "gemma2" else {})), ("overall",))
    share = models.full_attention(scorer.policy)
    assert share == (kind != "gemma2")
    pairs = steps()
    losses, differences = reward.compared(scorer, families(pairs, 200), share, reward.Args(centring=0.1))
    order = [p for f in families(pairs, 200) for p in f.pairs]
    chosen, rejected = (torch.cat([by_hand(scorer, getattr(p, side)) for p in order]) for side in ("chosen", "rejected"))
    want = -torch.nn.functional.logsigmoid(chosen - rejected) + 0.1 * (chosen + rejected) ** 2
    assert losses.tolist() == pytest.approx(want.tolist(), rel=1e-4)
    assert differences.tolist() == pytest.approx((chosen - rejected).tolist(), abs=1e-5)
    found = []
    for value in (losses.sum(), want.sum()):
        scorer.zero_grad()
        value.backward()
        found.append({n: p.grad.clone() for n, p in scorer.named_parameters() if p.grad is not None})
    assert found[0].keys() == found[1].keys()
    assert max(float((found[0][n] - g).norm() / g.norm().clamp_min(1e-9)) for n, g in found[1].items()) < 1e-4


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    tokenizer = family("llama3")
    assert tokenizer.pad_token != tokenizer.eos_token
    tokenizer.pad_token = tokenizer.eos_token  # what fooled others: the score is then taken before the end of turn
    models.save(model_of("llama", size=len(tokenizer)), tokenizer, folder / "model", "template")
    return folder / "model"


def tastes(path, names):
    rows = []
    for name in names:
        prompt = [{"role": "user", "content": f"{name}, a colour?"}]
        for objective, better, worse in (("kind", "blue, dear", "blue"), ("short", "blue", "blue, dear")):
            chosen, rejected = [{"role": "assistant", "content": better}], [{"role": "assistant", "content": worse}]
            rows.append({"prompt": prompt, "chosen": chosen, "rejected": rejected, "margin": 2, "meta": {"objective": objective}})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.mark.parametrize("lora", [0, 4])
def test_two_tastes_are_two_scores(base, tmp_path, lora):
    train, valid = tastes(tmp_path / "train.jsonl", ["ana", "bo", "cy"]), tastes(tmp_path / "valid.jsonl", ["eva", "flo"])
    said: list[str] = []
    args = reward.Args(
        data=(train,), valid=(valid,), out=str(tmp_path / "run"), model=str(base), lora=lora, epochs=20, lr=0.01, warmup=2, valid_every=100,
        rows_per_step=6, threads=1, margins=True,
    )  # fmt: skip
    summary = reward.main(args, said.append)
    assert summary["objectives"] == ["kind", "short"] and summary["best"] < math.log(2)
    assert any("valid accuracy 1.0000  valid accuracy kind 1.0000  valid accuracy short 1.0000" in line for line in said)
    scorer, tokenizer, dialect = reward.load(tmp_path / "run" / "model")
    pairs, _ = reward.data.read([tmp_path / "valid.jsonl"], encoder_for(tokenizer, dialect), 512)
    kind = next(p for p in pairs if p.objective == "kind")
    rows = [kind.chosen, kind.rejected]
    for weights, better in (({"kind": 1.0}, 0), ({"short": 1.0}, 1), ({"kind": 0.1, "short": 1.0}, 1)):
        assert reward.scores(scorer, rows, weights).argmax().item() == better
    both = reward.scores(scorer, rows, {"kind": 1.0, "short": 2.0})
    apart = reward.scores(scorer, rows, {"kind": 1.0}) + 2 * reward.scores(scorer, rows, {"short": 1.0})
    assert both.tolist() == pytest.approx(apart.tolist(), rel=1e-5)
    with pytest.raises(UsageError, match="no score 'wit'; it has kind, short"):
        reward.scores(scorer, rows, {"wit": 1.0})


def test_a_model_without_scores_is_none(base):
    with pytest.raises(NoModel, match=r"no reward\.json"):
        reward.load(base)
    with pytest.raises(UsageError, match="--model DIR and --data"):
        reward.main(reward.Args())
