"""Sampling against a loop without cache, padding or batches; log-probabilities against rows by themselves; prompts and answers as text."""

import json
import random

import pytest
from small import family, model_of

torch = pytest.importorskip("torch")

from toolagent import model as models  # noqa: E402
from toolagent.dialects import compact  # noqa: E402
from toolagent.errors import DataError  # noqa: E402
from toolagent.train import rollouts, trie  # noqa: E402
from toolagent.train.encode import encoder_for  # noqa: E402
from toolagent.train.rollouts import Prompt, Sampling, drawn, measured, pieces, reader, sample, stops_of  # noqa: E402
from toolagent.types import Conversation, Message, ToolCall, ToolResult, ToolSpec  # noqa: E402

HOW = Sampling(temperature=0.7, max_tokens=9)
STOPS = frozenset(range(2, 6))
PLAIN = Sampling()
KINDS = ["llama", "qwen3", "gpt_neox", "gemma2"]


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def toy(kind):
    """40 words, so that an answer often ends early; Gemma 2 sees 4 tokens back."""
    return model_of(kind, size=40, **({"sliding_window": 4} if kind == "gemma2" else {})).eval()


def asked(lengths=(3, 8, 5, 5, 1), seed=0):
    rng = random.Random(seed)
    return [tuple(rng.randrange(12, 40) for _ in range(n)) for n in lengths]


def prompts_of(some):
    return [Prompt(f"prompt {k}", Conversation(()), ids) for k, ids in enumerate(some)]


def slowly(model, prompt, uniforms, how):
    """One answer, all of it through the model again for each token."""
    answer = []
    while len(answer) < how.max_tokens and not (answer and answer[-1] in STOPS):
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([prompt + tuple(answer)])).logits[0, -1]
        answer.append(int(drawn(logits[None], uniforms[len(answer)][None], how)))
    return tuple(answer)


def alone(model, prompt, answer, temperature):
    log_p = torch.log_softmax(model(input_ids=torch.tensor([prompt + answer])).logits[0].float() / temperature, -1)
    return [log_p[len(prompt) + t - 1, token] for t, token in enumerate(answer)]


# --- sampling -----------------------------------------------------------------------------------------------------------------------------


def test_a_word_by_hand():
    """Probabilities 0.5, 0.2, 0.3. Running sums 0.5, 0.7, 1; of the likeliest words that make 0.6, 0.5 and 0.3, sums 0.5 and 0.8 of 0.8."""
    logits = torch.tensor([[0.5, 0.2, 0.3]]).log()

    def words(uniforms, how=PLAIN):
        return drawn(logits.expand(len(uniforms), -1), torch.tensor(uniforms, dtype=torch.float64), how).tolist()

    assert words([0.0, 0.49, 0.51, 0.69, 0.71, 0.999999]) == [0, 0, 1, 1, 2, 2]
    assert words([0.0, 0.62, 0.63, 0.999999], Sampling(top_p=0.6)) == [0, 0, 2, 2]
    assert words([0.0, 0.999999], Sampling(top_p=0.5)) == [0, 0]
    cold = [p**2 / 0.38 for p in (0.5, 0.2, 0.3)]  # temperature 1/2: squares
    assert words([cold[0] - 0.01, cold[0] + 0.01, cold[0] + cold[1] + 0.01], Sampling(temperature=0.5)) == [0, 1, 2]


def test_words_come_as_often_as_they_are_likely():
    logits = torch.tensor([1.0, -1.0, 0.3, 2.0, -9.0])
    uniforms = (torch.arange(10_000, dtype=torch.float64) + 0.5) / 10_000
    counts = torch.bincount(drawn(logits.expand(10_000, -1), uniforms, Sampling(temperature=1.5)), minlength=5)
    assert torch.allclose(counts / 10_000, torch.softmax(logits / 1.5, -1), atol=2e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("top_p", [1.0, 0.8])
def test_answers_are_those_of_a_loop_without_a_cache(kind, top_p):
    model, some = toy(kind), asked()
    how = Sampling(0.7, top_p, 9)
    found = sample(model, some, 3, how, STOPS, seeded(), models.full_attention(model))
    uniforms = torch.rand(5, 3, 9, generator=seeded(), dtype=torch.float64)
    assert found == [slowly(model, some[k], uniforms[k, g], how) for k in range(5) for g in range(3)]
    assert len({len(answer) for answer in found}) > 2 and all(set(answer[:-1]).isdisjoint(STOPS) for answer in found)


def test_what_is_sampled_beside_an_answer_does_not_matter():
    model, some = toy("llama"), asked()
    every = [sample(model, some, 4, HOW, STOPS, seeded(), share, at_once) for share in (True, False) for at_once in (1, 8, 64)]
    assert all(one == every[0] for one in every)


def test_a_seed_and_a_state_say_what_comes():
    model, some, generator = toy("llama"), asked(), seeded(3)
    first = sample(model, some, 2, HOW, STOPS, generator)
    state = generator.get_state()
    second = sample(model, some, 2, HOW, STOPS, generator)
    assert first == sample(model, some, 2, HOW, STOPS, seeded(3)) and first != second
    generator.set_state(state)
    assert sample(model, some, 2, HOW, STOPS, generator) == second


def test_which_prompts_go_together():
    some = asked((3, 8, 5, 5, 1))
    assert list(rollouts.together(some, 3, True)) == [[4, 0, 2], [3, 1]]
    assert list(rollouts.together(some, 3, False)) == [[4], [0], [2, 3], [1]]


# --- log-probabilities --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("budget", "most"), [(4096, 64), (40, 64), (4096, 2)])
def test_log_probabilities_are_those_of_rows_by_themselves(kind, budget, most):
    """Trees, pieces and padding change nothing; every answer is in one piece."""
    model, some = toy(kind), asked()
    share = models.full_attention(model)
    answers = sample(model, some, 3, HOW, STOPS, seeded(), share)
    seen = []
    for piece in pieces(prompts_of(some), answers, share, budget, most):
        found, values = measured(model, piece, 0.7, lambda states: states.sum(-1))
        assert len(piece.rows) <= max(most, 1)
        for row, k in enumerate(piece.rows.tolist()):
            prompt, answer = some[k // 3], answers[k]
            want = [x.item() for x in alone(model, prompt, answer, 0.7)]
            assert found[row][piece.mask[row]].tolist() == pytest.approx(want, abs=2e-5)
            states = trie.unwrapped(model).base_model(input_ids=torch.tensor([prompt + answer])).last_hidden_state[0]
            assert values[row][piece.mask[row]].tolist() == pytest.approx(states.sum(-1)[len(prompt) - 1 : -1].tolist(), abs=1e-3)
            assert found[row][~piece.mask[row]].eq(0).all() and values[row][~piece.mask[row]].eq(0).all()
            seen.append(k)
    assert sorted(seen) == list(range(15))


def test_pieces_hold_to_their_budget():
    some, answers = asked((4, 4, 4)), [(13,) * 4] * 6
    assert [len(p.rows) for p in pieces(prompts_of(some), answers, True, budget=4096)] == [6]
    assert sorted(len(p.rows) for p in pieces(prompts_of(some), answers, True, budget=8)) == [1] * 6
    assert sorted(len(p.rows) for p in pieces(prompts_of(some), answers, True, most=4)) == [2, 4]


def test_in_parts_the_gradient_is_the_same(monkeypatch):
    model, some = toy("llama"), asked()
    (piece,) = pieces(prompts_of(some), sample(model, some, 3, HOW, STOPS, seeded()), True)

    def gradients():
        model.zero_grad()
        measured(model, piece, 0.7)[0].sum().backward()
        return [p.grad.clone() for p in model.parameters()]

    whole = gradients()
    monkeypatch.setattr(trie, "AT_ONCE", 7)
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(whole, gradients(), strict=True))


# --- text ---------------------------------------------------------------------------------------------------------------------------------

WEATHER = ToolSpec("weather", "The weather.", {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]})
CALL = Message("assistant", "", (ToolCall("weather", {"city": "Rome"}, "1"),))


def compact_tokenizer():
    return models.train_tokenizer(["weather in Rome? Hello. It is sunny."], 300)


def lines_of(path, *conversations):
    path.write_text("".join(json.dumps(c.to_json() if isinstance(c, Conversation) else c) + "\n" for c in conversations))
    return [path]


@pytest.mark.parametrize("dialect", ["compact", "template"])
def test_prompts_are_what_the_model_reads_before_its_last_turn(dialect, tmp_path):
    tokenizer = compact_tokenizer() if dialect == "compact" else family("chatml")
    said = (Message("user", "weather in Rome?"), CALL, Message("tool", result=ToolResult("1", "sunny")), Message("assistant", "Sun."))
    whole = Conversation(said, (WEATHER,))
    first = Conversation(whole.messages[:2], (WEATHER,))
    bare = Conversation(whole.messages[:1], (WEATHER,))
    (late, early, same), told = rollouts.read(lines_of(tmp_path / "a.jsonl", whole, first, bare), tokenizer, dialect, 999)
    assert late.conversation.messages == whole.messages[:3] and early.conversation == same.conversation == bare and early.ids == same.ids
    encode = encoder_for(tokenizer, dialect)
    for prompt, full in ((late, whole), (early, first)):
        row = encode(full, "")
        assert row.ids[: len(prompt.ids)] == prompt.ids and 0 not in row.learned[len(prompt.ids) :]
    assert told == f"3 prompts, the longest of {len(late.ids)} tokens" and late.name == "a.jsonl:1"


def test_lines_that_are_no_prompts(tmp_path):
    tokenizer = family("chatml")
    hello, long = Conversation((Message("user", "hi"),)), Conversation((Message("user", "hi" * 99),))
    nothing = Conversation((Message("system", "Be of help."), Message("assistant", "Hello.")))
    found, told = rollouts.read(lines_of(tmp_path / "a.jsonl", nothing, long, hello), tokenizer, "template", 100)
    assert [p.conversation for p in found] == [hello] and "1 dropped: nothing is asked; 1 dropped: longer than 100 tokens" in told
    with pytest.raises(DataError, match="no prompt to answer; 1 dropped: nothing is asked"):
        rollouts.read(lines_of(tmp_path / "a.jsonl", nothing), tokenizer, "template", 100)
    with pytest.raises(DataError, match=r"a\.jsonl:2: a conversation needs"):
        rollouts.read(lines_of(tmp_path / "a.jsonl", hello, {"messages": []}), tokenizer, "template", 100)


def test_what_ends_a_turn():
    for name, mark in (("chatml", "<|im_end|>"), ("llama3", "<|eot_id|>"), ("gemma", "<end_of_turn>")):
        tokenizer = family(name)
        assert stops_of(tokenizer, "template") == {tokenizer.convert_tokens_to_ids(mark)}
        tokenizer.eos_token = "<bos>"  # a foreign end of text beside the end of turn
        assert stops_of(tokenizer, "template") == {tokenizer.convert_tokens_to_ids(t) for t in (mark, "<bos>")}
    tokenizer = compact_tokenizer()
    assert stops_of(tokenizer, "compact") == {tokenizer.convert_tokens_to_ids(compact.END)}


@pytest.mark.parametrize("dialect", ["compact", "template"])
def test_answers_are_read_by_the_dialect(dialect):
    tokenizer = compact_tokenizer() if dialect == "compact" else family("chatml")
    encode, stops = encoder_for(tokenizer, dialect), stops_of(tokenizer, dialect)
    read = reader(tokenizer, dialect, stops)
    for said in (CALL, Message("assistant", "It is sunny.")):
        row = encode(Conversation((Message("user", "weather in Rome?"), said), (WEATHER,)), "")
        answer = tuple(t for t, kind in zip(row.ids, row.learned, strict=True) if kind == 1)
        assert answer[-1] in stops and read(answer) == said and read(answer[:-1]) == said
    broken = f"{compact.PLAN}\n1 weather(" if dialect == "compact" else "<tool_call>{"
    assert read(tuple(tokenizer(broken, add_special_tokens=False)["input_ids"])) == Message("assistant", broken)
