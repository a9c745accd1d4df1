"""A GGUF says what torch says: the same tokens, the same logits within the limits of its type; and one that does not is not kept."""

from __future__ import annotations

import json
import resource

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("gguf")
pytest.importorskip("llama_cpp")

from toolagent import model as models  # noqa: E402
from toolagent.dialects import compact  # noqa: E402
from toolagent.errors import NoModel, ToolagentError, UsageError  # noqa: E402
from toolagent.export import gguf  # noqa: E402
from toolagent.runtimes import gguf_file, llamacpp  # noqa: E402
from toolagent.types import Conversation  # noqa: E402


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    torch.set_num_threads(1)
    monkeypatch.setattr(llamacpp, "threads", lambda: 1)


@pytest.fixture(scope="module")
def tokenizer(tiny):
    return models.load_tokenizer(tiny / "model")


@pytest.fixture(scope="module")
def prompts(tiny):
    lines = (tiny / "rows.jsonl").read_text("utf-8").splitlines()[:60:20]
    return [compact.render(Conversation.from_json(json.loads(line))) for line in lines]


def made(kind, tokenizer, seed=0, **more):
    """2 layers, 64 wide, weights large enough that the logits say something."""
    import transformers

    torch.manual_seed(seed)
    shape = {
        "vocab_size": -(-len(tokenizer) // 32) * 32, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16, "intermediate_size": 96, "max_position_embeddings": 2048, "initializer_range": 0.1, "tie_word_embeddings": True,
        "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id, "bos_token_id": None,
    }  # fmt: skip
    config = getattr(transformers, f"{kind}Config")(**(shape | more))
    model = getattr(transformers, f"{kind}ForCausalLM")(config)
    for name, p in model.named_parameters():
        if name.endswith("bias") or "norm" in name:
            torch.nn.init.normal_(p, 1.0 if "norm" in name else 0.0, 0.3)  # zeros and ones would hide a bias or norm that is left out
    return model


def saved(model, tokenizer, folder):
    models.save(model, tokenizer, folder, "compact")
    return folder


SHAPES = {
    "llama": ("Llama", {}),
    "llama untied": ("Llama", {"tie_word_embeddings": False}),
    "llama, all heads, wide heads, biases": ("Llama", {"num_key_value_heads": 4, "head_dim": 32, "attention_bias": True}),
    "llama, another base of rotation": ("Llama", {"rope_parameters": {"rope_type": "default", "rope_theta": 500_000.0}}),
    "qwen3": ("Qwen3", {}),
    "qwen3 untied, wide heads": ("Qwen3", {"tie_word_embeddings": False, "head_dim": 32}),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_f32_is_torch(tmp_path, tokenizer, prompts, shape):
    kind, more = SHAPES[shape]
    model = made(kind, tokenizer, **more)
    gguf.write(model, tokenizer, tmp_path / "m.gguf", "f32", "compact")
    check = gguf.compare(model, tokenizer, tmp_path / "m.gguf", prompts)
    assert check.tokens_equal and check.difference <= 1e-3 and check.top1 == 1.0 and check.positions > 700


@pytest.mark.parametrize("kind", ["Llama", "Qwen3"])
@pytest.mark.parametrize("type_", ["f16", "q8_0"])
def test_smaller_types_stay_within_their_limits(tmp_path, tokenizer, prompts, kind, type_):
    """Logits of random weights lie close together, so that 1 in 20 first choices changes in Q8_0; a trained model's do not."""
    model = made(kind, tokenizer)
    gguf.write(model, tokenizer, tmp_path / "m.gguf", type_, "compact")
    check = gguf.compare(model, tokenizer, tmp_path / "m.gguf", prompts)
    most, least = {"f16": (0.02, 0.98), "q8_0": (0.5, 0.9)}[type_]
    assert check.tokens_equal and 0 < check.difference <= most <= gguf.LIMITS[type_][0] and check.top1 >= least
    plain = sum(p.numel() for p in model.parameters()) * 4
    assert (tmp_path / "m.gguf").stat().st_size < plain * {"f16": 0.65, "q8_0": 0.45}[type_]


@pytest.mark.parametrize("kind", ["Llama", "Qwen3"])
def test_a_lora_is_merged(tmp_path, tokenizer, prompts, kind):
    base = saved(made(kind, tokenizer), tokenizer, tmp_path / "base")
    model = models.with_lora(models.load(base)[0], 4, 8)
    for name, p in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(p, std=0.1)
    adapter = saved(model, tokenizer, tmp_path / "adapter")
    check = gguf.export(adapter, tmp_path / "m.gguf", "f32", prompts)
    assert check.difference <= 1e-3 and check.top1 == 1.0
    with_adapter, _ = models.load(adapter)
    assert gguf.compare(with_adapter, tokenizer, tmp_path / "m.gguf", prompts[:1]).difference <= 1e-3  # the adapter itself, not merged
    assert gguf.compare(models.load(base)[0], tokenizer, tmp_path / "m.gguf", prompts[:1]).difference > 0.1


# --- the tokenizer ----------------------------------------------------------------------------------------------------------------------


def test_no_token_joins_digits(tokenizer):
    """A number is copied digit by digit, whatever stands around it."""
    whole = {t.content for t in tokenizer.added_tokens_decoder.values()}
    assert not [t for t in tokenizer.get_vocab() if any(c.isdigit() for c in t) and len(t) > 1 and t not in whole]
    assert tokenizer.tokenize("4444 at 10:30") == ["4", "4", "4", "4", *tokenizer.tokenize(" at"), "Ġ", "1", "0", ":", "3", "0"]


def test_tokens_are_equal_on_hard_strings(tiny, tokenizer, prompts):
    weights = llamacpp.Weights(tiny / "bundle" / "model.gguf", context=512, n_threads=1)
    texts = (
        *gguf.HARD,
        *prompts,
        "१२३ ²³ ½ Ⅷ",
        "a\u00a0b\u2028c\u3000d",
        "\x00\x01\x7f\x85",
        "ﷺ אבג ابت",
        "🏳️‍🌈🇩🇪",
        "ZWJ\u200d\u200c",
        "\r\n \r \n\n\n x",
    )
    wrong = [t for t in texts if weights.tokens(t, special=True) != tokenizer(t, add_special_tokens=False)["input_ids"]]
    weights.close()
    assert not wrong


def test_the_file_carries_dialect_template_and_marks(tiny, tokenizer):
    weights = llamacpp.Weights(tiny / "bundle" / "model.gguf", context=512, n_threads=1)
    assert weights.metadata("toolagent.dialect") == "compact"
    assert weights.metadata("tokenizer.chat_template") == compact.TEMPLATE.read_text("utf-8") == tokenizer.chat_template
    assert [weights.mark(m) for m in compact.MARKS] == [tokenizer.convert_tokens_to_ids(m) for m in compact.MARKS]
    assert weights.end == tokenizer.convert_tokens_to_ids(compact.END)
    weights.close()


@pytest.mark.parametrize("dialect", ["compact", "template"])
def test_the_template_is_the_dialects_or_the_tokenizers(tmp_path, tiny, dialect):
    tokenizer = models.load_tokenizer(tiny / "model")
    tokenizer.chat_template = "{{ messages[0].content }}"
    gguf.write(made("Llama", tokenizer), tokenizer, tmp_path / "m.gguf", "f32", dialect)
    weights = llamacpp.Weights(tmp_path / "m.gguf", context=128, n_threads=1)
    want = compact.TEMPLATE.read_text("utf-8") if dialect == "compact" else tokenizer.chat_template
    assert weights.metadata("tokenizer.chat_template") == want
    weights.close()


def other_tokenizer(pattern=None, normalizer=None):
    from tokenizers import Regex, Tokenizer, decoders, pre_tokenizers, trainers
    from tokenizers import models as kinds
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(kinds.BPE())
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=pattern is None)
    made.pre_tokenizer = (
        byte_level if pattern is None else pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"), byte_level])
    )
    made.decoder = decoders.ByteLevel()
    if normalizer:
        made.normalizer = normalizer
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=500, special_tokens=["<|end|>", "<pad>"], initial_alphabet=alphabet, show_progress=False)
    made.train_from_iterator([*gguf.HARD, "text Ana that lunch moved to 1pm and 1234567 e\u0301 é"] * 4, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<|end|>", pad_token="<pad>")


REST = r"|[^\r\n\p{L}\p{N}]?\p{L}+|"
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)" + REST + r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)" + REST + r"\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


@pytest.mark.parametrize(("pattern", "name"), [(None, "gpt-2"), (LLAMA3, "llama-bpe"), (QWEN2, "qwen2")])
def test_three_ways_of_splitting(tmp_path, pattern, name):
    from tokenizers import normalizers

    tokenizer = other_tokenizer(pattern, normalizers.NFC() if name == "qwen2" else None)
    assert gguf.pretokenizer(tokenizer) == name
    model = made("Qwen3", tokenizer)
    gguf.write(model, tokenizer, tmp_path / "m.gguf", "f32")
    assert gguf.compare(model, tokenizer, tmp_path / "m.gguf", ["text Ana e\u0301 that"]).tokens_equal


def test_a_way_of_splitting_that_has_no_name_is_refused(tmp_path):
    tokenizer = other_tokenizer(r"\p{L}+|\p{N}|.")
    with pytest.raises(UsageError, match="no name for this tokenizer's splitting"):
        gguf.write(made("Llama", tokenizer), tokenizer, tmp_path / "m.gguf")
    assert not list(tmp_path.iterdir())


# --- what is refused, what is left behind -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "more", "why"),
    [
        ("Gemma", {}, "GemmaForCausalLM cannot be exported; LlamaForCausalLM, Qwen3ForCausalLM can"),
        (
            "Llama",
            {"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}},
            "rope scaling 'linear' cannot be exported",
        ),
        ("Llama", {"hidden_act": "gelu"}, "the activation 'gelu' cannot be exported"),
        ("Qwen3", {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 0}, "sliding windows cannot be exported"),
        ("Llama", {"vocab_size": 100}, r"the tokenizer has a token \d+, but the model's vocabulary only 100"),
    ],
)
def test_what_llama_cpp_would_compute_otherwise_is_refused(tmp_path, tokenizer, kind, more, why):
    more = {"eos_token_id": 1, "pad_token_id": 0, **more} if "vocab_size" in more else more
    with pytest.raises(UsageError, match=why):
        gguf.write(made(kind, tokenizer, **more), tokenizer, tmp_path / "m.gguf")
    assert not list(tmp_path.iterdir())


def test_an_unknown_type_is_refused(tmp_path, tokenizer):
    with pytest.raises(UsageError, match="unknown type 'q4_k'; use f32, f16, q8_0"):
        gguf.write(made("Llama", tokenizer), tokenizer, tmp_path / "m.gguf", "q4_k")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("spoiled", ["a weight", "a weight that is no number", "the tokens"])
def test_a_file_that_differs_is_not_kept_and_the_old_one_stays(tmp_path, tokenizer, prompts, monkeypatch, spoiled):
    folder = saved(made("Llama", tokenizer), tokenizer, tmp_path / "model")
    (tmp_path / "m.gguf").write_bytes(b"the export of yesterday")
    plain = gguf.write

    def spoil(model, tokenizer, path, kind, dialect):
        model, _ = models.load(folder)
        with torch.no_grad():
            if spoiled != "the tokens":
                model.model.layers[1].mlp.up_proj.weight[3] = torch.nan if "number" in spoiled else 9.0
        plain(model, tokenizer, path, kind, dialect)

    monkeypatch.setattr(gguf, "write", spoil)
    if spoiled == "the tokens":
        monkeypatch.setattr(llamacpp.Weights, "tokens", lambda self, text, special=False: [0])
    with pytest.raises(NoModel, match="differs from torch and was removed: Check"):
        gguf.export(folder, tmp_path / "m.gguf", "f32", prompts[:1])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.gguf", "model"]
    assert (tmp_path / "m.gguf").read_bytes() == b"the export of yesterday"


def test_a_full_disk_leaves_nothing(tmp_path, tokenizer):
    """Files of more than 100 kB cannot be written; the GGUF has 600."""
    model = made("Llama", tokenizer)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(ToolagentError, match=r"m\.gguf cannot be written: .*is the disk full\?"):
            gguf.write(model, tokenizer, tmp_path / "m.gguf", "f32")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.iterdir())


def test_what_is_written_is_whole_to_our_own_reader(tmp_path, tokenizer):
    for kind in ("f32", "f16", "q8_0"):
        gguf.write(made("Qwen3", tokenizer), tokenizer, tmp_path / f"{kind}.gguf", kind)
        gguf_file.check(tmp_path / f"{kind}.gguf")
