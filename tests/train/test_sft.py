"""Supervised fine-tuning: a shared prefix changes nothing but the time; runs from scratch and with a LoRA, on models of three families."""

from __future__ import annotations

import json
import random

import pytest
from small import distance, family, gradients, model_of, rows_of

torch = pytest.importorskip("torch")

from toolagent import model as models  # noqa: E402
from toolagent.errors import DataError, UsageError  # noqa: E402
from toolagent.train import sft  # noqa: E402
from toolagent.train.encode import Row  # noqa: E402
from toolagent.train.rows import batches  # noqa: E402


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def by_hand(model, rows, request_weight):
    """The loss of each row alone, from the model's own logits: no prefix, no padding, no code of ours."""
    total = 0.0
    for row in rows:
        logits = model(input_ids=torch.tensor([row.ids])).logits[0].float()
        for t in range(1, len(row.ids)):
            weight = (0.0, 1.0, request_weight)[row.learned[t]]
            total = total - weight * torch.log_softmax(logits[t - 1], -1)[row.ids[t]]
    return total


PROMPTS = {  # (tokens in common, lengths of the answers, tokens of the request)
    "requests differ": rows_of(17, (5, 9, 1, 7), asked=3),
    "one prompt, several answers": rows_of(17, (4, 8, 2), asked=0),
    "one row": rows_of(12, (5,)),
    "nothing in common": rows_of(0, (3, 6)),
    "the same row twice": rows_of(9, (4,)) * 2,
}


@pytest.mark.parametrize("prompts", PROMPTS)
@pytest.mark.parametrize(
    ("kind", "tied", "lora"),
    [
        ("llama", True, False),
        ("llama", False, True),
        ("qwen3", False, False),
        ("qwen3", True, True),
        ("gemma", True, False),
        ("gemma", True, True),
    ],
)
def test_a_shared_prefix_is_the_same_loss_and_gradient(prompts, kind, tied, lora):
    model = model_of(kind, tie_word_embeddings=tied)
    if lora:
        model = models.with_lora(model, 4, 8)
        for name, p in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(p, std=0.2)  # zero as it is made, it would hide what reaches A
    assert models.full_attention(model)
    rows = PROMPTS[prompts]
    found = {}
    for share in (True, False):
        value, count = sft.make_loss(share, 0.1)(model, rows)
        assert int(count) == sum(r.learned.count(1) for r in rows)
        found[share] = value.item(), gradients(model, value)
    want = by_hand(model, rows, 0.1)
    want_gradients = gradients(model, want)
    for value, grads in found.values():
        assert value == pytest.approx(want.item(), rel=1e-5)
        assert grads.keys() == want_gradients.keys()
        assert max(distance(grads[n], want_gradients[n]) for n in grads) < 1e-5


def test_windows_fall_back_to_padded_rows_with_capped_logits():
    model = model_of("gemma2", sliding_window=8, final_logit_softcapping=5.0)
    assert not models.full_attention(model)
    rows = rows_of(17, (5, 9, 1))
    value, _ = sft.make_loss(False, 0.1)(model, rows)
    assert value.item() == pytest.approx(by_hand(model, rows, 0.1).item(), rel=1e-5)


def test_dropout_falls_back_too():
    assert not models.full_attention(model_of("llama", attention_dropout=0.1))
    assert models.full_attention(model_of("llama"))


def test_validation_counts_each_row_once():
    """A model that always says token 7 has the rows right whose answer is 7 throughout."""
    model = model_of("llama", tie_word_embeddings=False)
    with torch.no_grad():
        model.lm_head.weight.zero_()
        model.model.norm.weight.zero_()
        model.lm_head.weight[7] = 1.0
        model.model.norm.weight[0] = 1e-3
    head = (11, 12, 13)
    rows = [Row((*head, 7, 7), bytes([0, 0, 0, 1, 1])), Row((*head, 7, 8), bytes([0, 0, 0, 1, 1])), Row((*head, 7), bytes([0, 0, 0, 1]))]
    bias = torch.zeros(300)
    bias[7] = 100.0
    model.lm_head.register_forward_hook(lambda module, inputs, output: output + bias)
    for share in (True, False):
        found = sft.make_validate([rows[:2], rows[2:]], share)(model)
        assert found["exact"] == pytest.approx(2 / 3)
        assert found["loss"] == pytest.approx(100 / 5, rel=0.05)  # one token of five at 100 nats


def test_batches_hold_one_group_and_stay_within_the_budget():
    import random

    rows = [Row((1, 2, 3) + (9,) * n, bytes(3) + bytes([1]) * n, f"{g}{n}", g) for g in "ab" for n in range(1, 40)]
    made = batches(rows, budget=64, most=16, rng=random.Random(1))
    assert sorted(r.name for b in made for r in b) == sorted(r.name for r in rows)
    assert all(len({r.group for r in b}) == 1 and len(b) <= 16 for b in made)
    assert all(len(b) * (max(len(r.ids) for r in b) - 2) <= 64 for b in made if len(b) > 1)
    assert [[r.name for r in b] for b in made] == [[r.name for r in b] for b in batches(rows, 64, 16, random.Random(1))]


# --- whole runs -------------------------------------------------------------------------------------------------------------------------

QUICK = {"threads": 1, "epochs": 1.0, "rows_per_step": 8, "warmup": 2, "valid_every": 2, "batch_tokens": 2048}
SMALL = models.Shape(width=32, layers=2, heads=4, kv_heads=2, hidden=64, vocabulary=700)


@pytest.fixture(scope="module")
def rows(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rows")
    lines = (tiny / "rows.jsonl").read_text("utf-8").splitlines(keepends=True)
    (folder / "train.jsonl").write_text("".join(lines[:24]), "utf-8")
    (folder / "valid.jsonl").write_text("".join(lines[40:48]), "utf-8")
    return folder


def args(rows, out, **more):
    return sft.Args(data=(str(rows / "train.jsonl"),), valid=(str(rows / "valid.jsonl"),), out=str(out), **(QUICK | more))


def test_from_scratch(rows, tmp_path):
    said: list[str] = []
    summary = sft.main(args(rows, tmp_path / "run", from_scratch=True, shape=SMALL, epochs=2.0), said.append)
    assert summary["steps"] >= 3 and summary["args"]["optimizer"] == "muon" and summary["args"]["lr"] == 0.01
    assert json.loads((tmp_path / "run" / "run.json").read_text()) == json.loads(json.dumps(summary))
    model, tokenizer = models.load(tmp_path / "run" / "model")
    assert (
        type(model).__name__ == "LlamaForCausalLM"
        and tokenizer.chat_template
        and (tmp_path / "run/model/dialect").read_text() == "compact\n"
    )
    report = next(s for s in said if s.startswith("training data: "))
    assert report.startswith("training data: 24 rows kept, ") and "% of them learned, longest row " in report
    assert any("[<|plan|>" in s or "[ None" in s for s in said)  # the first row, what is learned between brackets
    assert (tmp_path / "run" / "model" / "model.safetensors").stat().st_mode & 0o777 == 0o644


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """Few and short, for tokenizers of bytes."""
    from toolagent.types import Conversation, Message, ToolCall, ToolSpec

    folder = tmp_path_factory.mktemp("short")
    spec = ToolSpec("ring", "Ring someone.", {"type": "object", "properties": {"who": {"type": "string"}}})
    for name, people in (("train", ["Ana", "Bo", "Cy", "Di", "Ed", "Flo", "Gus", "Hal"]), ("valid", ["Ida", "Joe"])):
        talks = [
            Conversation((Message("user", f"ring {p}"), Message("assistant", "", (ToolCall("ring", {"who": p}, "1"),))), (spec,))
            for p in people
        ]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(t.to_json()) + "\n" for t in talks), "utf-8")
    return folder


def base_of(kind, tmp_path):
    """A model directory as if it came from elsewhere: a chat template, no dialect."""
    tokenizer = family("chatml")
    model_of(kind, size=len(tokenizer)).save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    return tmp_path / "base"


@pytest.mark.parametrize("kind", ["llama", "qwen3", "gemma"])
def test_a_lora_is_trained_saved_and_loaded(short, tmp_path, kind, monkeypatch):
    base = base_of(kind, tmp_path)
    monkeypatch.chdir(tmp_path)
    summary = sft.main(args(short, tmp_path / "run", model="base", lora=4), lambda s: None)
    assert (summary["args"]["optimizer"], summary["args"]["lr"]) == ("adamw", 2e-4)
    monkeypatch.chdir("/")  # the adapter finds its base wherever it is loaded from
    model, tokenizer = models.load(tmp_path / "run" / "model")
    trained = {n: p for n, p in model.named_parameters() if "lora_B" in n}
    assert len(trained) == 2 * 7 and all(p.abs().max() > 0 for p in trained.values())  # 7 linear layers a block, the head is not among them
    assert not any("lm_head" in n for n in trained) and tokenizer.chat_template
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad(), model.disable_adapter():
        plain = model(ids).logits
    reference, _ = models.load(base)
    assert torch.equal(plain, reference(ids).logits)  # the reference is the same weights with the adapter off
    with torch.no_grad():
        adapted = model(ids).logits
        assert not torch.equal(adapted, plain)
        assert torch.allclose(model.merge_and_unload()(ids).logits, adapted, atol=1e-5)


@pytest.mark.parametrize("lora", [0, 4])
def test_a_run_that_was_interrupted_ends_as_if_it_had_not_been(rows, short, tmp_path, monkeypatch, lora):
    how = {"model": str(base_of("qwen3", tmp_path)), "lora": 4} if lora else {"from_scratch": True, "shape": SMALL}
    data = short if lora else rows
    sft.main(args(data, tmp_path / "whole", epochs=3.0, **how), lambda s: None)
    calls, plain = 0, sft.trie.log_probs

    def interrupted(*given):
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        return plain(*given)

    monkeypatch.setattr(sft.trie, "log_probs", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sft.main(args(data, tmp_path / "cut", epochs=3.0, **how), lambda s: None)
    said: list[str] = []
    sft.main(args(data, tmp_path / "cut", epochs=3.0, resume=True, **how), said.append)
    assert any(s.startswith("resumed at step ") for s in said)
    whole, cut = (dict(models.load(tmp_path / name / "model")[0].named_parameters()) for name in ("whole", "cut"))
    assert all(torch.equal(whole[n], cut[n]) for n in whole)


def test_from_scratch_the_tools_come_last(rows, tmp_path):
    seen: list[tuple[str, int, int, float, int]] = []
    real = sft.fit

    def fit(model, batches, loss, args, out, **more):
        made = [row for batch in batches(random.Random(0)) for row in batch]
        longest, heads = max(len(row.ids) for row in made), len({row.group for row in made})
        seen.append((out.name, len(made), longest, args.epochs, heads))
        assert (more["validate"] is None) == (out.name != "run")
        return real(model, batches, loss, args, out, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sft, "fit", fit)
        summary = sft.main(args(rows, tmp_path / "run", from_scratch=True, shape=SMALL, epochs=2.0, curriculum=0.4), lambda s: None)
    (a, short, short_longest, first, _), (b, bare, bare_longest, second, bare_heads), (c, whole, whole_longest, third, _) = seen
    assert (a, b, c) == ("short", "bare", "run") and bare_heads == 1
    assert first + second + third == pytest.approx(2.0) and third == pytest.approx(1.2)
    assert short < bare <= whole == 24 and short_longest < bare_longest < whole_longest
    assert summary["rows"] > 24 and (tmp_path / "run" / "short" / "log.jsonl").exists()


def test_prompts_of_few_tools_come_before_those_of_many():
    def row(group, head, asked):
        return Row(tuple(range(head + asked)), bytes(head) + bytes([2]) * (asked - 2) + bytes([1, 1]), "", group, head)

    many = [row("many", 60, 10 + k) for k in range(20)]
    few = [row("few", 30, 12), row("few too", 25, 12), row("few too", 25, 14)]
    nearly = [row("most of them", 31, 12)]
    parts = sft.schedule(sft.Args(from_scratch=True), [*many, *few, *nearly])
    assert [part.name for part in parts] == ["short", "few", ""]
    assert {len(r.ids) for r in parts[0].rows} == set(range(10, 20)) and not any(r.head for r in parts[0].rows)
    assert parts[1].rows == few and parts[2].rows == [*many, *few, *nearly]
    parts = sft.schedule(sft.Args(from_scratch=True), [*many, few[0]])  # too few to learn from: any request without its tools
    assert [part.name for part in parts] == ["short", "bare", ""] and len(parts[1].rows) == 20
    assert [part.name for part in sft.schedule(sft.Args(), many)] == [""]


def test_two_processes_do_what_one_does(rows, tmp_path, monkeypatch):
    # a step is an epoch, of an even number of batches: so one process takes the same ones
    how = {"from_scratch": True, "shape": SMALL, "rows_per_step": 24, "batch_rows": 6, "epochs": 4.0, "valid_every": 1, "curriculum": 0.0}
    how["batch_tokens"] = 1 << 14  # rows alone fill a batch, whatever their length
    made: list[int] = []
    real = sft.data.batches
    monkeypatch.setattr(sft.data, "batches", lambda *a: [made.append(len(found := real(*a))), found][1])
    one, two = tmp_path / "one", tmp_path / "two"
    summaries = [sft.main(args(rows, out, processes=n, **how), lambda s: None) for out, n in ((one, 1), (two, 2))]
    assert not any(n % 2 for n in made[1:]), made
    assert summaries[0]["rows"] == summaries[1]["rows"] and summaries[0]["steps"] == summaries[1]["steps"] == 4
    assert summaries[0]["best"] == pytest.approx(summaries[1]["best"], rel=1e-4)
    first, second = (dict(models.load(out / "model")[0].named_parameters()) for out in (one, two))
    assert max(distance(first[n], second[n]) for n in first) < 1e-3


def test_processes_stop_together(rows, tmp_path):
    how = {"from_scratch": True, "shape": SMALL, "rows_per_step": 8, "epochs": 50.0, "valid_every": 1, "patience": 1, "lr": 3.0, "lr_adam": 1.0}
    how["curriculum"] = 0.0
    said: list[str] = []
    sft.main(args(rows, tmp_path / "run", processes=2, **how), said.append)
    assert "the validation loss has stopped falling" in said and (tmp_path / "run" / "model" / "config.json").exists()
    with pytest.raises(UsageError, match="at least one"):
        sft.main(args(rows, tmp_path / "run", processes=0, from_scratch=True, shape=SMALL), said.append)


def test_muon_takes_a_lora_too(short, tmp_path):
    base = base_of("llama", tmp_path)
    sft.main(args(short, tmp_path / "run", model=str(base), lora=4, optimizer="muon"), lambda s: None)
    assert (tmp_path / "run" / "model" / "adapter_model.safetensors").exists()


def test_an_adapter_is_merged_before_it_is_trained_on(short, tmp_path):
    base = base_of("llama", tmp_path)
    adapter = tmp_path / "adapter"
    models.save(models.with_lora(models.load(base)[0], 4, 8), family("chatml"), adapter, "template")
    sft.main(args(short, tmp_path / "two", model=str(adapter), lora=4), lambda s: None)
    assert json.loads((tmp_path / "two" / "model" / "adapter_config.json").read_text())["base_model_name_or_path"] == str(tmp_path / "two" / "base")
    assert (tmp_path / "two" / "base" / "config.json").exists() and models.load(tmp_path / "two" / "model")
    sft.main(args(short, tmp_path / "run", model=str(adapter)), lambda s: None)
    assert type(models.load(tmp_path / "run" / "model")[0]).__name__ == "LlamaForCausalLM"


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({}, "give either --from-scratch or --model DIR"),
        ({"from_scratch": True, "model": "x"}, "give either --from-scratch or --model DIR"),
        ({"from_scratch": True, "optimizer": "sgd"}, "use muon or adamw"),
        ({"from_scratch": True, "epochs": 0.0}, "nothing else ends the run"),
        ({"from_scratch": True, "data": ()}, "give --data"),
        ({"from_scratch": True, "data": ("nowhere.jsonl",)}, "nowhere.jsonl: No such file"),
        ({"from_scratch": True, "context": 20}, "no row to train on .*longer than 20 tokens"),
    ],
)
def test_what_the_user_got_wrong_is_said(rows, tmp_path, more, why):
    with pytest.raises(UsageError, match=why):
        sft.main(
            sft.Args(**({"data": (str(rows / "train.jsonl"),), "out": str(tmp_path / "run"), "shape": SMALL} | QUICK | more)),
            lambda s: None,
        )


def test_a_bad_line_is_named_before_a_tokenizer_is_trained(rows, tmp_path):
    bad = tmp_path / "bad.jsonl"
    bad.write_text((rows / "train.jsonl").read_text().splitlines()[0] + '\n\n{"messages": []}\n')
    with pytest.raises(DataError, match=r"bad\.jsonl:3: a conversation needs a non-empty list of messages"):
        sft.main(sft.Args(data=(str(bad),), out=str(tmp_path / "run"), from_scratch=True, shape=SMALL), lambda s: None)
