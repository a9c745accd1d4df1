"""Preference tuning: at the start the reference is the model; the loss is that of answers run by themselves; a taught preference is learned."""

import json
import math
import random

import pytest
from small import alone, family, gradients, model_of

torch = pytest.importorskip("torch")

from toolagent import model as models  # noqa: E402
from toolagent.errors import UsageError  # noqa: E402
from toolagent.train import dpo, preferences  # noqa: E402
from toolagent.train.encode import Row, encoder_for  # noqa: E402
from toolagent.train.pairs import Pair, families  # noqa: E402


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def steps(seed=0, trajectories=2, depth=3):
    """Pairs along trajectories: a later prompt holds the earlier prompt, its chosen answer and what came back."""
    rng = random.Random(seed)

    def tokens(n):
        return tuple(rng.randrange(3, 300) for _ in range(n))

    found, head = [], tokens(9)
    for t in range(trajectories):
        prompt = head + tokens(4)
        for k in range(depth):
            answers = tokens(3), tokens(rng.randrange(1, 5))
            rows = [Row(prompt + a, bytes(len(prompt)) + bytes([1] * len(a)), "", "g") for a in answers]
            found.append(Pair(rows[0], rows[1], 0.0, f"{t}-{k}"))
            prompt += answers[0] + tokens(2)
    return found


@pytest.mark.parametrize("kind", ["llama", "gemma2"])
@pytest.mark.parametrize(("loss", "by_length", "sft"), [("sigmoid", False, 0.0), ("ipo", True, 0.0), ("hinge", False, 0.3), ("robust", False, 0.0)])
def test_losses_and_gradients_are_those_of_answers_by_themselves(kind, loss, by_length, sft, tmp_path):
    model = model_of(kind, **({"sliding_window": 8} if kind == "gemma2" else {}))
    share = models.full_attention(model)
    assert share == (kind == "llama")
    found = steps()
    args = dpo.Args(loss=loss, by_length=by_length, sft=sft, beta=0.3)
    some = families(found, 200)
    assert len(some) == 2
    reference = dpo.referred(model, [some], share, tmp_path / "reference.json", lambda s: None)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p) * 0.05)
    losses, margins = dpo.measured(model, some, args, share, reference)
    ratios, nll = [], []
    for one in (p for f in some for p in f.pairs):
        both = []
        for row in (one.chosen, one.rejected):
            n = row.learned.count(1)
            both.append((alone(model, row) - reference[row.key]) / (n if by_length else 1))
        ratios.append(both)
        nll.append(-alone(model, one.chosen) / one.chosen.learned.count(1))
    chosen, rejected = torch.stack([c for c, _ in ratios]), torch.stack([r for _, r in ratios])
    want = dpo.make_losses(args)(chosen, rejected) + sft * torch.stack(nll)
    assert losses.tolist() == pytest.approx(want.tolist(), rel=1e-4, abs=1e-5)
    assert margins.tolist() == pytest.approx((0.3 * (chosen - rejected)).tolist(), abs=1e-4)
    ours, theirs = gradients(model, losses.sum()), gradients(model, want.sum())
    assert max(float((ours[n] - theirs[n]).norm() / theirs[n].norm().clamp_min(1e-9)) for n in theirs) < 1e-3


def test_at_the_start_no_answer_is_preferred(tmp_path):
    model = model_of("qwen3")
    some = families(steps(), 200)
    reference = dpo.referred(model, [some], True, tmp_path / "reference.json", lambda s: None)
    losses, margins = dpo.measured(model, some, dpo.Args(), True, reference)
    assert losses.tolist() == pytest.approx([math.log(2)] * 6, abs=1e-5) and margins.tolist() == pytest.approx([0] * 6, abs=1e-4)


def test_the_reference_is_asked_once(tmp_path):
    model, some, said = model_of("llama"), families(steps(), 200), []
    path = tmp_path / "reference.json"
    first = dpo.referred(model, [some], True, path, said.append)
    assert dpo.referred(model, [some], True, path, said.append) == first and len(said) == 1
    more = families(steps(seed=1), 200)
    both = dpo.referred(model, [some, more], True, path, said.append)
    assert len(both) == 24 and {k: both[k] for k in first} == first and "12 answers" in said[1]
    with torch.no_grad():
        model.lm_head.weight.mul_(1.1)
    changed = dpo.referred(model, [some], True, path, said.append)
    assert len(said) == 3 and len(changed) == 12 and changed != first  # of other weights it knows nothing


def test_a_reference_by_hand(tmp_path):
    model = model_of("llama")
    found = dpo.referred(model, [families(steps(), 200)], True, tmp_path / "reference.json", lambda s: None)
    for one in steps():
        for row in (one.chosen, one.rejected):
            assert found[row.key] == pytest.approx(alone(model, row).item(), rel=1e-5)


def test_settings_that_do_not_fit():
    with pytest.raises(UsageError, match="sigmoid, ipo, hinge, robust"):
        dpo.make_losses(dpo.Args(loss="kto"))
    with pytest.raises(UsageError, match="beta above 0"):
        dpo.make_losses(dpo.Args(beta=0.0))
    with pytest.raises(UsageError, match="--model DIR and --data"):
        dpo.main(dpo.Args(model="x"))
    assert dpo.make_losses(dpo.Args(loss="ipo"))(torch.tensor([5.0]), torch.tensor([0.0])).item() == preferences.ipo(
        torch.tensor(5.0), torch.tensor(0.0), 0.1
    )


# --- whole runs -------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    tokenizer = family("chatml")
    models.save(model_of("llama", size=len(tokenizer)), tokenizer, folder / "model", "template")
    return folder / "model"


def preferences_of(path, names):
    """Who is asked for a colour says blue, never red."""
    rows = []
    for name in names:
        prompt = [{"role": "user", "content": f"{name}, a colour?"}]
        rows.append({"prompt": prompt, "chosen": [{"role": "assistant", "content": "blue"}], "rejected": [{"role": "assistant", "content": "red"}]})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.mark.parametrize("lora", [0, 4])
def test_a_preference_is_learned(base, tmp_path, lora):
    data = preferences_of(tmp_path / "train.jsonl", ["ana", "bo", "cy", "dee"])
    valid = preferences_of(tmp_path / "valid.jsonl", ["eva", "flo"])
    said: list[str] = []
    args = dpo.Args(
        data=(data,), valid=(valid,), out=str(tmp_path / "run"), model=str(base), lora=lora, epochs=15, lr=0.01, warmup=2, valid_every=100,
        rows_per_step=4, threads=1,
    )  # fmt: skip
    summary = dpo.main(args, said.append)
    assert summary["best"] < 0.5 * math.log(2) and any("valid accuracy 1.0000" in line for line in said)
    assert any("4 pairs in 4 families" in line for line in said)
    tuned, _ = models.load(tmp_path / "run" / "model")
    assert (tmp_path / "run" / "model" / "adapter_model.safetensors").exists() == bool(lora) and tuned is not None


def test_a_run_that_was_cut_ends_as_if_it_had_not_been(base, tmp_path, monkeypatch):
    data = preferences_of(tmp_path / "train.jsonl", ["ana", "bo", "cy", "dee"])
    how = {"data": (data,), "model": str(base), "epochs": 4.0, "lr": 0.01, "warmup": 2, "rows_per_step": 2, "batch_rows": 2, "threads": 1}
    dpo.main(dpo.Args(out=str(tmp_path / "whole"), **how), lambda s: None)
    calls, plain = 0, dpo.measured

    def cut(*given):
        nonlocal calls
        calls += 1
        if calls == 5:
            raise KeyboardInterrupt
        return plain(*given)

    monkeypatch.setattr(dpo, "measured", cut)
    with pytest.raises(KeyboardInterrupt):
        dpo.main(dpo.Args(out=str(tmp_path / "cut"), **how), lambda s: None)
    said: list[str] = []
    dpo.main(dpo.Args(out=str(tmp_path / "cut"), resume=True, **how), said.append)
    assert "resumed at step 4" in said and not any(line.startswith("reference: ") for line in said)
    whole, again = (dict(models.load(tmp_path / name / "model")[0].named_parameters()) for name in ("whole", "cut"))
    assert all(torch.equal(whole[n], again[n]) for n in whole)


def test_an_adapter_is_merged_and_is_the_reference(base, tmp_path):
    data = preferences_of(tmp_path / "train.jsonl", ["ana", "bo"])
    how = {"data": (data,), "lora": 4, "epochs": 2.0, "lr": 0.01, "warmup": 1, "rows_per_step": 2, "threads": 1}
    dpo.main(dpo.Args(out=str(tmp_path / "one"), model=str(base), **how), lambda s: None)
    said: list[str] = []
    dpo.main(dpo.Args(out=str(tmp_path / "two"), model=str(tmp_path / "one" / "model"), **how), said.append)
    merged = models.load(tmp_path / "one" / "model")[0].merge_and_unload()
    kept = models.load(tmp_path / "two" / "base")[0]
    assert all(torch.equal(a, b) for a, b in zip(merged.state_dict().values(), kept.state_dict().values(), strict=True))
    known = json.loads((tmp_path / "two" / "reference.json").read_text())["log_probs"]
    (first, *_), _ = dpo.data.read([tmp_path / "train.jsonl"], encoder_for(family("chatml"), "template"), 512)
    assert known[first.chosen.key] == pytest.approx(alone(kept, first.chosen).item(), rel=1e-5)
