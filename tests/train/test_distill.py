"""Distillation: losses and gradients are those of each row by itself; at the teacher there is nothing to learn; a teacher is followed."""

import gc
import json
import math
import weakref
from functools import partial

import pytest
from small import family, model_of, rows_of

torch = pytest.importorskip("torch")

from toolagent import model as models  # noqa: E402
from toolagent.errors import NoModel, UsageError  # noqa: E402
from toolagent.train import distill, losses  # noqa: E402
from toolagent.train.teacher_cache import Answers, Question, fill  # noqa: E402

ROWS = rows_of(6, (3, 5, 2, 4, 6))  # 20 learned tokens
BY_NAME = {"forward": losses.forward_kl, "reverse": losses.reverse_kl, "jsd": partial(losses.generalised_jsd, beta=0.3)}


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def answers_of(teacher, folder, kept=300, temperature=1.0, words=300):
    fill(folder, Question("t", "float32", temperature, words, kept), ROWS, lambda: teacher, lambda s: None)
    return Answers(folder)


def places(model, row):
    """Logits that predict the row's own answer, the row by itself: (U, V), and the answer."""
    logits = model(input_ids=torch.tensor([row.ids])).logits[0].float()
    at = [t for t in range(1, len(row.ids)) if row.learned[t] == 1]
    return logits[[t - 1 for t in at]], torch.tensor([row.ids[t] for t in at])


def by_hand(student, teacher, divergence, temperature):
    """The sums over the words, written out: logits (U, V) -> (U,)."""
    p, q = ((z / temperature).softmax(-1) for z in (teacher, student))
    if divergence == "forward":
        found = (p * (p / q).log()).sum(-1)
    elif divergence == "reverse":
        found = (q * (q / p).log()).sum(-1)
    else:
        m = 0.3 * p + 0.7 * q
        found = 0.3 * (p * (p / m).log()).sum(-1) + 0.7 * (q * (q / m).log()).sum(-1)
    return temperature**2 * found


def gradients(model, value):
    model.zero_grad()
    value.backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def distance(ours, theirs):
    return max(float((ours[n] - theirs[n]).norm() / theirs[n].norm().clamp_min(1e-9)) for n in theirs)


def pair(kind):
    more = {"sliding_window": 8} if kind == "gemma2" else {}
    return model_of(kind, seed=1, num_hidden_layers=1, **more), model_of("llama" if kind == "gemma2" else kind, seed=2)


@pytest.mark.parametrize("kind", ["llama", "gemma2"])
@pytest.mark.parametrize(
    ("divergence", "temperature", "top_k", "sft"),
    [("forward", 1.0, 0, 0.0), ("reverse", 2.0, 0, 0.3), ("jsd", 1.5, 300, 0.0), ("forward", 2.0, 7, 0.5)],
)
def test_losses_and_gradients_are_those_of_rows_by_themselves(kind, divergence, temperature, top_k, sft, tmp_path):
    student, teacher = pair(kind)
    share = models.full_attention(student)
    assert share == (kind == "llama")
    args = distill.Args(divergence=divergence, beta=0.3, temperature=temperature, top_k=top_k, sft=sft)
    answers = answers_of(teacher, tmp_path, top_k or 300, temperature)
    assert len(answers.of(ROWS)) == (2 if top_k == 7 else 1)
    loss = distill.make_loss(args, 300)
    found = distill.measured(student, ROWS, answers, share, loss)
    want = []
    for row in ROWS:
        logits, targets = places(student, row)
        with torch.no_grad():
            taught = places(teacher, row)[0]
        if top_k == 7:
            each = losses.distillation_top_k(logits, *losses.top_k(taught, 7, temperature), BY_NAME[divergence], temperature)
        else:
            each = by_hand(logits, taught, divergence, temperature)
        want.append(each - sft * logits.log_softmax(-1).gather(1, targets[:, None])[:, 0])
    want = torch.cat(want)
    assert len(want) == 20 and found.tolist() == pytest.approx(want.tolist(), rel=1e-4, abs=1e-5)
    ours, theirs = gradients(student, found.sum()), gradients(student, want.sum())
    assert distance(ours, theirs) < 1e-3
    pieces = distill.measured(student, ROWS, answers, share, loss, at_once=6)  # 6 6 6 2
    assert torch.allclose(pieces, found, atol=1e-5) and distance(gradients(student, pieces.sum()), ours) < 1e-4


def test_with_every_word_kept_nothing_is_lost(tmp_path):
    """The same losses whether the teacher is given as a whole or as its V likeliest words; fewer words give less, never more."""
    student, teacher = pair("llama")
    whole = distill.measured(student, ROWS, answers_of(teacher, tmp_path / "all"), True, distill.make_loss(distill.Args(), 300))
    for k in (299, 20):
        some = distill.measured(student, ROWS, answers_of(teacher, tmp_path / str(k), k), True, distill.make_loss(distill.Args(), 300))
        assert (some <= whole + 1e-4).all()
        assert (k == 299) == torch.allclose(some, whole, atol=1e-3)


@pytest.mark.parametrize("divergence", list(BY_NAME))
@pytest.mark.parametrize(("top_k", "slack"), [(300, 1e-6), (7, 1e-5)])
def test_at_the_teacher_there_is_nothing_to_learn(divergence, top_k, slack, tmp_path):
    model = model_of("qwen3")
    loss = distill.make_loss(distill.Args(divergence=divergence, temperature=2.0), 300)
    found = distill.measured(model, ROWS, answers_of(model, tmp_path, top_k, 2.0), True, loss)
    assert found.abs().max() < slack
    assert max(float(g.abs().max()) for g in gradients(model, found.sum()).values()) < 10 * slack


@pytest.mark.parametrize(("student_words", "teacher_words"), [(304, 320), (320, 300), (300, 304)])
@pytest.mark.parametrize("top_k", [0, 7])
def test_padding_of_a_head_is_no_word(student_words, teacher_words, top_k, tmp_path):
    """The tokenizer knows 300 words; what stands behind them in either head says nothing, even where it is likeliest."""
    student, teacher = model_of("llama", size=student_words, seed=1), model_of("llama", size=teacher_words, seed=2)
    with torch.no_grad():
        for model in (student, teacher):
            model.lm_head.weight[300:] *= 50
    args = distill.Args(divergence="reverse", top_k=top_k)
    found = distill.measured(student, ROWS, answers_of(teacher, tmp_path, top_k or 300), True, distill.make_loss(args, 300))
    want = []
    for row in ROWS:
        logits, taught = (places(model, row)[0][:, :300] for model in (student, teacher))
        few = partial(losses.distillation_top_k, logits, *losses.top_k(taught, 7), losses.reverse_kl)
        want += (few() if top_k else by_hand(logits, taught, "reverse", 1.0)).tolist()
    assert found.tolist() == pytest.approx(want, rel=1e-4, abs=1e-5)
    student.zero_grad()
    found.sum().backward()
    assert not student.lm_head.weight.grad[300:].any()


def test_figures_of_validation_by_hand(tmp_path):
    student, teacher = pair("llama")
    args = distill.Args(sft=0.5)
    loss = distill.make_loss(args, 300)
    nll, agree, both = [], [], []
    with torch.no_grad():
        for row in ROWS:
            (logits, targets), (taught, _) = places(student, row), places(teacher, row)
            nll += torch.nn.functional.cross_entropy(logits, targets, reduction="none").tolist()
            agree += (logits.argmax(-1) == taught.argmax(-1)).tolist()
            both += by_hand(logits, taught, "forward", 1.0).tolist()
    for kept in (300, 299):
        answers = answers_of(teacher, tmp_path / str(kept), kept)
        with torch.no_grad():
            found = distill.make_validate([ROWS[:2], ROWS[2:]], answers, True, loss, 300)(student)
        assert found == pytest.approx({"loss": (sum(both) + 0.5 * sum(nll)) / 20, "nll": sum(nll) / 20, "agreement": sum(agree) / 20}, rel=1e-3)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"divergence": "kl"}, "forward, reverse, jsd"),
        ({"divergence": "jsd", "beta": 1.0}, "beta between 0 and 1"),
        ({"temperature": 0.0}, "--temperature above 0"),
        ({"top_k": -1}, "--top-k and --sft of at least 0"),
        ({"sft": -1.0}, "--top-k and --sft of at least 0"),
        ({"teacher_dtype": "float8"}, "float32 or bfloat16"),
        ({"teacher": ""}, "--model DIR, --teacher DIR and --data"),
    ],
)
def test_settings_that_do_not_fit(more, why):
    with pytest.raises(UsageError, match=why):
        distill.main(distill.Args(**({"model": "x", "teacher": "y", "data": ("z",)} | more)))


# --- whole runs -------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A teacher of 2 layers whose head is padded, a student of one, and a teacher that speaks otherwise."""
    folder, tokenizer = tmp_path_factory.mktemp("models"), family("chatml")
    teacher = model_of("llama", size=len(tokenizer) + 20, seed=1)
    with torch.no_grad():
        teacher.lm_head.weight.mul_(3)  # it is sure of what it says, and goes by the last word more than by those before: a habit to learn
        for layer in teacher.model.layers:
            layer.self_attn.o_proj.weight.mul_(0.1)
            layer.mlp.down_proj.weight.mul_(0.1)
    models.save(teacher, tokenizer, folder / "teacher", "template")
    models.save(model_of("llama", size=len(tokenizer), seed=2, num_hidden_layers=1), tokenizer, folder / "student", "template")
    models.save(model_of("llama", size=300), family("llama3"), folder / "foreign", "template")
    return folder


def conversations(path, names):
    rows = []
    for k, name in enumerate(names):
        asked = {"role": "user", "content": f"{name}, a colour?"}
        rows.append({"messages": [asked, {"role": "assistant", "content": ("blue", "red")[k % 2]}]})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def args_of(folders, tmp_path, out="run", **more):
    data, valid = conversations(tmp_path / "train.jsonl", ["ana", "bo", "cy", "dee"]), conversations(tmp_path / "valid.jsonl", ["eva", "flo"])
    how = {
        "data": (data,), "valid": (valid,), "model": str(folders / "student"), "teacher": str(folders / "teacher"), "out": str(tmp_path / out),
        "lr": 0.01, "warmup": 2, "rows_per_step": 4, "batch_rows": 2, "valid_every": 100, "threads": 1,
    }  # fmt: skip
    return distill.Args(**(how | more))


@pytest.mark.parametrize(("top_k", "lora"), [(0, 0), (16, 0), (16, 8)])
def test_a_teacher_is_followed(folders, tmp_path, top_k, lora):
    said: list[str] = []
    args = args_of(folders, tmp_path, epochs=60.0, top_k=top_k, lora=lora)
    summary = distill.main(args, said.append)
    tuned, tokenizer = models.load(tmp_path / "run" / "model")
    teacher, student = models.load(folders / "teacher")[0], models.load(folders / "student")[0]
    rows, _ = distill.data.read([tmp_path / "valid.jsonl"], distill.encoder_for(tokenizer, "template"), 512)

    def against_the_teacher(model):
        """Divergence and agreement on the held rows, over all words."""
        with torch.no_grad():
            both = [[places(one, row)[0][:, : len(tokenizer)] for row in rows] for one in (model, teacher)]
        ours, theirs = map(torch.cat, both)
        return by_hand(ours, theirs, "forward", 1.0).mean().item(), (ours.argmax(-1) == theirs.argmax(-1)).float().mean().item()

    before, _ = against_the_teacher(student)
    after, agreement = against_the_teacher(tuned)
    assert after < (0.5 if lora else 0.2) * before and agreement >= (0.5 if lora else 0.8), (before, after, agreement)
    assert summary["best"] == pytest.approx(after, rel=1e-3) if not top_k else 0 < summary["best"] < after  # lumped words hide some of it
    assert any("valid agreement" in line for line in said)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["steps"] == summary["steps"] == 60
    assert any(line.startswith(f"teacher: 6 rows to ask; {top_k or 260} of 260 words for ") for line in said)


def test_a_run_that_was_cut_ends_as_if_it_had_not_been(folders, tmp_path, monkeypatch):
    how = {"epochs": 4.0, "rows_per_step": 2, "top_k": 16, "divergence": "jsd"}
    distill.main(args_of(folders, tmp_path, "whole", **how), lambda s: None)
    calls, plain = 0, distill.measured

    def cut(*given):
        nonlocal calls
        calls += 1
        if calls == 5:
            raise KeyboardInterrupt
        return plain(*given)

    with monkeypatch.context() as patch:
        patch.setattr(distill, "measured", cut)
        with pytest.raises(KeyboardInterrupt):
            distill.main(args_of(folders, tmp_path, "cut", **how), lambda s: None)
    said: list[str] = []
    loaded, load = [], models.load
    monkeypatch.setattr(models, "load", lambda path, *more: [loaded.append(str(path)), load(path, *more)][1])
    distill.main(args_of(folders, tmp_path, "cut", resume=True, **how), said.append)
    assert "resumed at step 4" in said and any(line.startswith("teacher: all its answers are in ") for line in said)
    assert loaded == [str(folders / "student")]  # the teacher is not even loaded
    whole, again = (dict(load(tmp_path / name / "model")[0].named_parameters()) for name in ("whole", "cut"))
    assert all(torch.equal(whole[n], again[n]) for n in whole)


def test_teacher_and_student_are_not_in_memory_together(folders, tmp_path, monkeypatch):
    there, load, to_train = [], models.load, models.to_train

    def watched(path, *more):
        found = load(path, *more)
        if str(path) == str(folders / "teacher"):
            there.append(weakref.ref(found[0]))
            assert found[0].dtype == torch.bfloat16
        return found

    def student(*given):
        gc.disable()  # it is gone at once, not when the collector comes by
        assert len(there) == 1 and there[0]() is None
        return to_train(*given)

    monkeypatch.setattr(models, "load", watched)
    monkeypatch.setattr(models, "to_train", student)
    try:
        summary = distill.main(args_of(folders, tmp_path, epochs=1.0, teacher_dtype="bfloat16"), lambda s: None)
    finally:
        gc.enable()
    assert len(there) == 1 and math.isfinite(summary["best"])


def test_runs_share_a_cache(folders, tmp_path):
    said: list[str] = []
    for out, more in (("one", {}), ("two", {"sft": 0.5, "divergence": "reverse"}), ("three", {"temperature": 2.0})):
        distill.main(args_of(folders, tmp_path, out, epochs=1.0, cache=str(tmp_path / "cache"), **more), said.append)
    assert [line.split(":")[1].split(";")[0] for line in said if line.startswith("teacher: ") and "asked" not in line][::2] == [" 6 rows to ask"] * 2
    assert len(list((tmp_path / "cache").iterdir())) == 2 and not (tmp_path / "one" / "teacher").exists()


def test_two_processes_do_what_one_does(folders, tmp_path):
    how = {"epochs": 3.0, "valid_every": 1, "cache": str(tmp_path / "cache")}
    summaries = [distill.main(args_of(folders, tmp_path, f"run {n}", processes=n, **how), lambda s: None) for n in (1, 2)]
    assert summaries[0]["steps"] == summaries[1]["steps"] == 3 and summaries[0]["best"] == pytest.approx(summaries[1]["best"], rel=1e-3)


def test_models_that_do_not_fit(folders, tmp_path):
    with pytest.raises(UsageError, match="the teacher has another tokenizer .260 words here, 261 there"):
        distill.main(args_of(folders, tmp_path, teacher=str(folders / "foreign")), lambda s: None)
    with pytest.raises(NoModel, match="nowhere holds no model"):
        distill.main(args_of(folders, tmp_path, teacher=str(tmp_path / "nowhere")), lambda s: None)
