"""PPO, GRPO and RLOO: wiring by hand, a bandit whose optimum is known, the KL that is asked for, and runs that are cut at any moment."""

import json
import math
import os
import pathlib
import signal
import subprocess
import sys

import pytest
from small import family, model_of

torch = pytest.importorskip("torch")

from toolagent import model as models  # noqa: E402
from toolagent.errors import UsageError  # noqa: E402
from toolagent.train import ppo, rollouts  # noqa: E402
from toolagent.train.rollouts import Prompt  # noqa: E402
from toolagent.types import Conversation, Message  # noqa: E402

HERE = pathlib.Path(__file__).parent
STOP = frozenset({2})


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def quiet(text):
    pass


# --- by hand ------------------------------------------------------------------------------------------------------------------------------


def test_the_price_of_kl_by_hand():
    """Twice the target is an error of 1, held at 0.2: up by a tenth of it. 5% above: half a percent. Below the target it falls."""
    assert ppo.adapted(0.5, 12.0, 6.0) == pytest.approx(0.5 * 1.02)
    assert ppo.adapted(0.5, 6.3, 6.0) == pytest.approx(0.5 * 1.005)
    assert ppo.adapted(0.5, 6.0, 6.0) == 0.5
    assert ppo.adapted(0.5, -1.0, 6.0) == pytest.approx(0.5 * 0.98)
    assert ppo.adapted(0.5, 0.0, 6.0, gain=1.0) == pytest.approx(0.5 * 0.8)
    assert ppo.adapted(0.5, 99.0, 0.0) == 0.5


def rollout_of():
    """Two answers to one prompt, of 3 tokens and 1; log-ratios to the reference 1, 2, -1 and 0.5; scores 10 and 4."""
    mask = torch.tensor([[True, True, True], [True, False, False]])
    old = torch.tensor([[-1.0, -1.0, -2.0], [-1.0, 0.0, 0.0]])
    reference = torch.tensor([[-2.0, -3.0, -1.0], [-1.5, 0.0, 0.0]])
    values = torch.tensor([[1.0, 2.0, 3.0], [5.0, 0.0, 0.0]])
    return ppo.Rollout([], mask, old, reference, values, torch.tensor([10.0, 4.0]), torch.tensor([True, True]))


def test_ppo_pays_kl_at_every_token_and_the_score_at_the_last():
    """beta 0.1: rewards -0.1, -0.2, 0.1 + 10 and -0.05 + 4. With gamma = lam = 1 a target is what still comes: 9.8, 9.9, 10.1 and 3.95;
    advantages are those less the values 1, 2, 3, 5: 8.8, 7.9, 7.1, -1.05, and then whitened over all four tokens."""
    found, returns = ppo.advantages(ppo.Args(algo="ppo", gamma=1.0, lam=1.0, answers=2), rollout_of(), 0.1)
    assert torch.allclose(returns, torch.tensor([[9.8, 9.9, 10.1], [3.95, 0.0, 0.0]]))
    plain = torch.tensor([8.8, 7.9, 7.1, -1.05])
    white = (plain - plain.mean()) / plain.std(correction=0)
    assert torch.allclose(found, torch.tensor([[white[0], white[1], white[2]], [white[3], 0.0, 0.0]]))


def test_rloo_and_grpo_by_hand():
    """rloo: scores less 0.1 * 2 and 0.1 * 0.5 are 9.8 and 3.95; each less the other. grpo: +-3 over the deviation sqrt(18)."""
    found, _ = ppo.advantages(ppo.Args(algo="rloo", answers=2), rollout_of(), 0.1)
    assert torch.allclose(found, torch.tensor([[5.85, 5.85, 5.85], [-5.85, 0.0, 0.0]]))
    found, _ = ppo.advantages(ppo.Args(algo="grpo", answers=2), rollout_of(), 0.1)
    assert torch.allclose(found, torch.tensor([[1.0, 1.0, 1.0], [-1.0, 0.0, 0.0]]) * 3 / (math.sqrt(18) + 1e-4))
    found, _ = ppo.advantages(ppo.Args(algo="grpo", answers=2, unscaled=True), rollout_of(), 0.1)
    assert torch.allclose(found, torch.tensor([[3.0, 3.0, 3.0], [-3.0, 0.0, 0.0]]))


def test_what_each_loss_divides_by():
    """At ratio 1 a token's loss is less its advantage: 4 tokens (ppo, with the head's squared errors), 2 answers of their own lengths (grpo), 2
    answers of one length (rloo)."""
    some, found = rollout_of(), torch.tensor([[1.0, 2.0, 3.0], [4.0, 0.0, 0.0]])
    returns = some.values + 2 * some.mask
    value, count = ppo.objective(ppo.Args(algo="ppo", value_weight=0.5), some.old, some.values, some, found, returns, 0.0)
    assert (value.item(), count) == (pytest.approx(-10 + 0.5 * 4 * 2), 4)
    even = torch.where(some.mask, torch.tensor([[2.0], [4.0]]), 0.0)
    value, count = ppo.objective(ppo.Args(algo="grpo"), some.old, some.values, some, even, returns, 0.0)
    assert (value.item(), count) == (pytest.approx(-2 - 4), 2)
    value, count = ppo.objective(ppo.Args(algo="rloo", max_tokens=8), some.old, some.values, some, even, returns, 0.0)
    assert (value.item(), count) == (pytest.approx((-6 - 4) / 8), 2)


def test_every_prompt_once_an_epoch():
    prompts = [Prompt(str(k), Conversation(()), ()) for k in range(5)]
    args = ppo.Args(prompts=4)
    names = [p.name for step in range(5) for p in ppo.drawn(prompts, args, 4 * step)]
    epochs = [names[k : k + 5] for k in range(0, 20, 5)]
    assert all(sorted(epoch) == list("01234") for epoch in epochs) and len(set(map(tuple, epochs))) > 1
    assert len(ppo.drawn(prompts[:1], args, 0)) == 4


def test_minibatches():
    pieces = [ppo.Piece(torch.arange(n), None, None) for n in (3, 3, 3, 3, 1)]

    def sizes(size, some=pieces):
        return [sum(len(p.rows) for p in batch) for batch in ppo.minibatches(some, size)]

    assert sizes(6) == [6, 7] and sizes(3) == [3, 3, 3, 4] and sizes(4) == [6, 7] and sizes(99) == [13] and sizes(6, pieces[:3]) == [6, 3]


# --- rewards ------------------------------------------------------------------------------------------------------------------------------


def test_where_a_reward_is_found(tmp_path):
    (tmp_path / "judge.py").write_text("def length(conversation, answer):\n    return len(answer.content)\nnumber = 3\n")
    prompt = Prompt("a.jsonl:7", Conversation((Message("user", "hi"),)), ())
    reward = ppo.reward_of(f"{tmp_path}/judge.py:length")
    assert ppo.score(reward, prompt, Message("assistant", "four")) == 4.0
    assert ppo.reward_of("operator:eq") is __import__("operator").eq
    for name in (f"{tmp_path}/judge.py:width", f"{tmp_path}/none.py:f", "no_such_module:f", "operator", "", f"{tmp_path}/judge.py:number"):
        with pytest.raises(UsageError, match="--reward"):
            ppo.reward_of(name)


@pytest.mark.parametrize(
    ("gives", "said"), [(lambda: 1 / 0, "ZeroDivisionError"), (lambda: None, "TypeError"), (lambda: math.nan, "gave nan"), (lambda: "5", "gave '5'")]
)
def test_a_reward_that_fails_names_the_prompt(gives, said):
    prompt = Prompt("a.jsonl:7", Conversation((Message("user", "hi"),)), ())
    with pytest.raises(UsageError, match=f"a.jsonl:7.*{said}|{said}.*a.jsonl:7"):
        ppo.score(lambda conversation, answer: gives(), prompt, Message("assistant", ""))


def test_settings_that_do_not_fit():
    given = {"model": "m", "data": ("d",), "reward": "r:f"}
    for more, said in (
        ({"reward": ""}, "give --model"), ({"algo": "dpo"}, "ppo, grpo or rloo"), ({"algo": "rloo", "answers": 1}, "2 or more"),
        ({"temperature": 0.0}, "--temperature"), ({"max_tokens": 0}, "--max-tokens 0"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=said):
            ppo.main(ppo.Args(**{**given, **more}))
    assert ppo.checked(ppo.Args(**given)).lr == 2e-6 and ppo.checked(ppo.Args(**given, lora=4)).lr == 2e-5


# --- on 12 words --------------------------------------------------------------------------------------------------------------------------


def bandit(tmp_path, reward, kind="llama", **more):
    """Two prompts, answers of at most max_tokens of 12 words; reward(ids) -> (actor, figures of each step)."""
    import copy

    args = ppo.Args(**{"prompts": 4, "answers": 8, "minibatch": 16, "max_tokens": 1, "cut_penalty": 0.0, "steps": 25, "lr": 0.01, "beta": 0.0,
                       "kl_target": 0.0, "checkpoint_every": 99, **more})  # fmt: skip
    model = model_of(kind, size=12).eval()
    frozen = copy.deepcopy(model)
    actor = ppo.Actor(model, args.algo == "ppo")
    prompts = [Prompt(str(k), Conversation(()), (4, 5, 6 + k)) for k in range(2)]
    figures = []

    def roll(some, generator):
        found = ppo.rolled(actor, frozen, some, args, STOP, lambda prompt, ids: reward(ids), generator)
        figures.append(found)
        return found

    ppo.train(actor, roll, prompts, args, tmp_path, quiet)
    return actor, figures


@pytest.mark.parametrize("algo", ["ppo", "grpo", "rloo"])
def test_the_one_word_that_pays_is_found(algo, tmp_path):
    actor, rolls = bandit(tmp_path, lambda ids: float(ids[0] == 7), algo=algo)
    with torch.no_grad():
        p = torch.softmax(actor.model(input_ids=torch.tensor([[4, 5, 6], [4, 5, 7]])).logits[:, -1], -1)[:, 7]
    assert rolls[0].scores.mean() < 0.5 and p.min() > 0.9


def test_the_first_ratio_is_exactly_1(tmp_path, monkeypatch):
    """Bit for bit, not merely nearly: the old log-probabilities are of the same pieces, by the same arithmetic, and sampling's own are not used.
    In the second minibatch the weights have moved."""
    plain, same = ppo.objective, []

    def watched(args, new, values, some, *rest):
        same.append(torch.equal(new.detach(), some.old) and torch.equal(values.detach(), some.values))
        return plain(args, new, values, some, *rest)

    monkeypatch.setattr(ppo, "objective", watched)
    bandit(tmp_path, lambda ids: float(len(ids)), max_tokens=6, steps=1, minibatch=16, batch_rows=8, top_p=0.9, temperature=0.8)
    assert same[:2] == [True, True] and not any(same[2:]) and len(same) == 8


def test_the_kl_that_is_asked_for_is_held(tmp_path):
    """Unpaid, the policy goes to ln(1/p) or so; at the first price, 0.3, it would stay near 1.2 nats. The target is 0.4."""

    def kl(some):
        return torch.cat([(r.old - r.reference).masked_fill(~r.mask, 0).sum(-1) for r in some]).mean().item()

    how = {"answers": 16, "minibatch": 64, "lr": 0.003}
    _, free = bandit(tmp_path, lambda ids: float(ids[0] == 7), **how, steps=30, beta=1e-9)
    _, rolls = bandit(tmp_path, lambda ids: float(ids[0] == 7), **how, steps=60, beta=0.3, kl_target=0.4)
    assert rolls[0].old.equal(rolls[0].reference) and kl(free[-5:]) > 1.5
    assert 0.2 < kl(rolls[-20:]) < 0.8


def test_an_answer_that_was_cut_pays(tmp_path):
    _, (rolled,) = bandit(tmp_path, lambda ids: 5.0, max_tokens=3, steps=1, cut_penalty=2.0, answers=16)
    assert rolled.ended.any() and not rolled.ended.all()
    assert rolled.scores.tolist() == [5.0 if ended else 3.0 for ended in rolled.ended]
    assert all(rolled.mask[~rolled.ended].all(-1))


# --- whole runs ---------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    tokenizer = family("chatml")
    models.save(model_of("llama", size=len(tokenizer)), tokenizer, folder / "model", "template")
    rows = [{"messages": [{"role": "user", "content": f"{n}, a colour?"}, {"role": "assistant", "content": "blue"}]} for n in ("ana", "bo", "cy")]
    (folder / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "judge.py").write_text("def vowels(conversation, answer):\n    return sum(c in 'aeiou' for c in answer.content)\n")
    return folder


def settings(base, out, **more):
    how = {"prompts": 2, "answers": 3, "minibatch": 3, "batch_rows": 3, "max_tokens": 5, "steps": 5, "checkpoint_every": 2, "lr": 0.01, "threads": 1}
    files = {"data": (str(base / "prompts.jsonl"),), "model": str(base / "model"), "reward": f"{base}/judge.py:vowels", "out": str(out)}
    return ppo.Args(**(files | how | more))


def weights_of(folder):
    return dict(models.load(folder / "model")[0].named_parameters())


def same(one, two):
    return one.keys() == two.keys() and all(torch.equal(one[n], two[n]) for n in one)


@pytest.mark.parametrize(("algo", "lora"), [("ppo", 0), ("ppo", 4), ("grpo", 4)])
def test_a_run_that_was_cut_ends_as_if_it_had_not_been(base, tmp_path, monkeypatch, algo, lora):
    """Cut while it samples (a checkpoint is kept), and in the middle of its passes (the step is taken again), several times over."""
    summary = ppo.main(settings(base, tmp_path / "whole", algo=algo, lora=lora), quiet)
    assert summary["steps"] == 5 and json.loads((tmp_path / "whole" / "run.json").read_text())["last"] == summary["last"]
    log = [json.loads(line) for line in (tmp_path / "whole" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == [1, 2, 3, 4, 5] and log[0]["valid"]["kl"] == 0.0 and log[-1]["valid"]["kl"] != 0.0
    calls, where = {"objective": 0, "score": 0}, [("objective", 3), ("score", 8), ("objective", 6), ("objective", 1)]

    def cutting(name, plain):
        def cut(*given):
            calls[name] += 1
            if where and where[0] == (name, calls[name]):
                raise KeyboardInterrupt
            return plain(*given)

        return cut

    for name in calls:
        monkeypatch.setattr(ppo, name, cutting(name, getattr(ppo, name)))
    said = []
    while where:
        with pytest.raises(KeyboardInterrupt):
            ppo.main(settings(base, tmp_path / "cut", algo=algo, lora=lora, resume=True), said.append)
        where.pop(0)
        calls = dict.fromkeys(calls, 0)
    ppo.main(settings(base, tmp_path / "cut", algo=algo, lora=lora, resume=True), said.append)
    assert [line for line in said if line.startswith("resumed")] == ["resumed at step 1", "resumed at step 2", "resumed at step 2"]
    assert same(weights_of(tmp_path / "whole"), weights_of(tmp_path / "cut"))
    assert ppo.main(settings(base, tmp_path / "cut", algo=algo, lora=lora, resume=True), quiet)["last"] == summary["last"]
    if not lora:
        assert not same(weights_of(tmp_path / "whole"), weights_of(base))


KILLED = """
import os, signal, sys, torch
from toolagent.train import ppo, checkpoint
from test_ppo import settings, quiet
import pathlib
base, out, name, at = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
count, plain = 0, {"objective": ppo.objective, "save": torch.save}[name]
def kill(*given):
    global count
    count += 1
    if count == at and name == "save":
        plain(*given)
        os.truncate(given[1], given[1].stat().st_size // 2)
    if count == at:
        os.kill(os.getpid(), signal.SIGKILL)
    return plain(*given)
if name == "save":
    checkpoint.torch.save = kill
else:
    ppo.objective = kill
ppo.main(settings(base, out, resume=True), quiet)
"""


def test_a_run_that_was_killed_ends_as_if_it_had_not_been(base, tmp_path):
    """kill -9 in the middle of the passes, and half-way through the next checkpoint."""
    ppo.main(settings(base, tmp_path / "whole"), quiet)
    path = os.pathsep.join([str(HERE), str(HERE.parents[1])])
    for name, at in (("objective", 11), ("save", 1)):
        line = [sys.executable, "-c", KILLED, str(base), str(tmp_path / "cut"), name, str(at)]
        done = subprocess.run(line, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True)
        assert done.returncode == -signal.SIGKILL, done.stderr
    said = []
    ppo.main(settings(base, tmp_path / "cut", resume=True), said.append)
    assert "resumed at step 2" in said and same(weights_of(tmp_path / "whole"), weights_of(tmp_path / "cut"))


def test_the_reference_of_a_lora_is_its_base(base, tmp_path, monkeypatch):
    """Adapters off while the reference is asked, on and trained afterwards."""
    kept = []
    plain = ppo.advantages
    monkeypatch.setattr(ppo, "advantages", lambda args, rollout, beta: kept.append(rollout) or plain(args, rollout, beta))
    ppo.main(settings(base, tmp_path / "run", lora=4, steps=3), quiet)
    assert kept[0].reference.equal(kept[0].old) and not kept[2].reference.equal(kept[2].old)
    model, _ = models.load(base / "model")
    for piece in kept[2].pieces:
        assert torch.allclose(rollouts.measured(model, piece)[0], kept[2].reference[piece.rows], atol=1e-5)
    adapters = [p for n, p in weights_of(tmp_path / "run").items() if "lora_B" in n]
    assert adapters and all(p.abs().sum() > 0 for p in adapters)


def test_a_checkpoint_of_another_kind_is_refused(base, tmp_path):
    ppo.main(settings(base, tmp_path / "run", steps=1), quiet)
    with pytest.raises(UsageError, match="does not fit this run"):
        ppo.main(settings(base, tmp_path / "run", algo="grpo", steps=2, resume=True), quiet)


def test_a_reward_that_fails_late_costs_no_step(base, tmp_path):
    """6 answers a step: the 16th is in the third, and the checkpoint that is left is of two."""
    asked, said = [], []

    def reward(conversation, answer):
        asked.append(answer)
        return 1.0 if len(asked) != 16 else None

    with pytest.raises(UsageError, match="at prompt prompts.jsonl"):
        ppo.main(settings(base, tmp_path / "run", checkpoint_every=99), quiet, reward)
    ppo.main(settings(base, tmp_path / "run", checkpoint_every=99, resume=True), said.append, reward)
    assert "resumed at step 2" in said and len(asked) == 16 + 18


def test_a_callable_stands_in_for_a_reward(base, tmp_path):
    """The door for a reward model: main(args, say, reward)."""
    asked = []

    def reward(conversation, answer):
        asked.append((conversation.messages[-1].content, answer.role))
        return 1.0

    ppo.main(settings(base, tmp_path / "run", reward="", steps=1), quiet, reward)
    assert len(asked) == 6 and all(text.endswith("a colour?") and role == "assistant" for text, role in asked)
