"""A model directory -> one GGUF with tokenizer, template and dialect, checked against torch before anyone may use it.

    toolagent export gguf --model runs/sft/model --out model.gguf --type q8_0

Writes Llama and Qwen3 architectures (grouped queries, tied or untied head) with the `gguf` package: F32, F16 or Q8_0. Then loads the file
with llama.cpp and compares tokens and logits with torch on the given prompts; a file that fails is not kept.
Left out: other architectures, rope scaling, sliding windows, k-quants and importance matrices, adapters without merging. llama.cpp does not
normalise text: for a tokenizer that does (Qwen: NFC), tokens are equal on normalised text only.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from toolagent.dialects import compact
from toolagent.errors import NoModel, ToolagentError, UsageError

ARCHITECTURES = {"LlamaForCausalLM": "llama", "Qwen3ForCausalLM": "qwen3"}
PRETOKENIZERS = {  # name in llama.cpp -> what stands in the splitting regex of tokenizer.json
    "gpt-2": None,
    "llama-bpe": r"\p{N}{1,3}",
    "qwen2": r"\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*",
}
FORMS = ("NFC", "NFD", "NFKC", "NFKD")
HARD = (  # strings on which tokenizers differ
    "plain words", "  two  spaces ", "tabs\tand\nlines\n\n", "emoji 😀👩‍👩‍👧", "e\u0301 combining", "ﬁ ligature", "日本語 中文",
    "a1b22c333 4444", "$1 $22", '"quoted"', "it's I'LL don't", "x@y.co /home/a_b/c.pdf", "ÄÖÜ ß ñ Ł", "<|end|>", "< |end|>", "«»“”", "…",
    "\u200b zero", "ALL CAPS", "https://a.b/c?d=e&f#g",
)  # fmt: skip


@dataclass(frozen=True)
class Check:
    """How near the file is to torch: largest difference of a logit, share of equal first choices, over so many positions."""

    positions: int
    difference: float
    top1: float
    tokens_equal: bool


def pretokenizer(tokenizer: Any) -> str:
    """The name by which llama.cpp knows this tokenizer's splitting. Raises UsageError for an unknown one."""
    spec = json.loads(tokenizer.backend_tokenizer.to_str())
    pre = spec.get("pre_tokenizer") or {}
    parts = pre.get("pretokenizers", [pre])
    pattern = next((p["pattern"].get("Regex", "") for p in parts if p.get("type") == "Split"), None)
    if pattern is None and any(p.get("type") == "ByteLevel" and p.get("use_regex", True) for p in parts):
        return "gpt-2"
    for name, part in PRETOKENIZERS.items():
        if part is not None and pattern is not None and part in pattern:
            return name
    raise UsageError("llama.cpp has no name for this tokenizer's splitting; export needs a GPT-2, Llama-3 or Qwen2 byte-level BPE")


def permuted(weight: Any, heads: int) -> Any:
    """Rows of a query or key matrix in the order of llama.cpp's interleaved rotary positions."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def write(model: Any, tokenizer: Any, path: pathlib.Path, kind: str = "q8_0", dialect: str = "template", name: str = "toolagent") -> None:
    """Write the GGUF (whole or not at all); a LoRA is merged. `kind`: f32, f16 or q8_0; norms stay f32. Raises UsageError, ToolagentError."""
    import gguf
    import numpy

    if hasattr(model, "merge_and_unload"):
        model = model.merge_and_unload()
    config = model.config
    arch, rope = known(model)
    types = {"f32": gguf.GGMLQuantizationType.F32, "f16": gguf.GGMLQuantizationType.F16, "q8_0": gguf.GGMLQuantizationType.Q8_0}
    if kind not in types:
        raise UsageError(f"unknown type {kind!r}; use {', '.join(types)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    out = gguf.GGUFWriter(temporary, arch)
    try:
        head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        out.add_name(name)
        out.add_context_length(config.max_position_embeddings)
        out.add_embedding_length(config.hidden_size)
        out.add_block_count(config.num_hidden_layers)
        out.add_feed_forward_length(config.intermediate_size)
        out.add_head_count(config.num_attention_heads)
        out.add_head_count_kv(config.num_key_value_heads)
        out.add_key_length(head)
        out.add_value_length(head)
        out.add_rope_dimension_count(head)
        out.add_rope_freq_base(rope)
        out.add_layer_norm_rms_eps(config.rms_norm_eps)
        out.add_vocab_size(config.vocab_size)
        out.add_file_type({"f32": 0, "f16": 1, "q8_0": 7}[kind])
        out.add_string("toolagent.dialect", dialect)
        add_tokenizer(out, tokenizer, config.vocab_size)
        template = getattr(tokenizer, "chat_template", None)
        if dialect == "compact":
            template = compact.TEMPLATE.read_text("utf-8")  # whatever was known of it when the tokenizer was made
        if isinstance(template, str):
            out.add_chat_template(template)
        names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA if arch == "llama" else gguf.MODEL_ARCH.QWEN3, config.num_hidden_layers)
        state = model.state_dict()
        for key, tensor in state.items():
            if key == "lm_head.weight" and config.tie_word_embeddings:
                continue
            target = names.get_name(key, try_suffixes=(".weight", ".bias"))
            if target is None:
                raise UsageError(f"tensor {key} has no place in a {arch} GGUF")
            array = tensor.detach().cpu().float().numpy()
            if arch == "llama" and (found := re.search(r"\.(q|k)_proj\.(weight|bias)$", key)):
                heads = config.num_attention_heads if found[1] == "q" else config.num_key_value_heads
                array = permuted(array.reshape(len(array), -1), heads).reshape(array.shape)
            array = numpy.ascontiguousarray(array)
            if array.ndim == 1 or kind == "f32" or array.shape[-1] % 32:
                out.add_tensor(target, array.astype(numpy.float32))
            else:
                out.add_tensor(target, gguf.quants.quantize(array, types[kind]), raw_dtype=types[kind])
        out.write_header_to_file()
        out.write_kv_data_to_file()
        out.write_tensors_to_file()
        out.close()
        os.replace(temporary, path)
    except OSError as error:
        raise ToolagentError(f"{path} cannot be written: {error.strerror or error}; is the disk full?") from error
    finally:
        with contextlib.suppress(OSError):  # what a full disk did not take
            out.close()
        temporary.unlink(missing_ok=True)


def known(model: Any) -> tuple[str, float]:
    """(architecture in llama.cpp, base of the rotary positions). Raises UsageError for what would be computed otherwise there."""
    config, name = model.config, type(model).__name__
    if name not in ARCHITECTURES:
        raise UsageError(f"{name} cannot be exported; {', '.join(ARCHITECTURES)} can")
    rope = getattr(config, "rope_parameters", None) or {}
    odd = {
        f"rope scaling {rope.get('rope_type')!r}": rope.get("rope_type", "default") != "default",
        "rotary positions on a part of the head": rope.get("partial_rotary_factor", 1.0) != 1.0,
        "sliding windows": "sliding_attention" in (getattr(config, "layer_types", None) or ()),
        f"the activation {config.hidden_act!r}": config.hidden_act != "silu",
    }
    if found := [what for what, is_so in odd.items() if is_so]:
        raise UsageError(f"{' and '.join(found)} cannot be exported")
    return ARCHITECTURES[name], float(rope.get("rope_theta", 10000.0))


def add_tokenizer(out: Any, tokenizer: Any, size: int) -> None:
    import gguf

    spec = json.loads(tokenizer.backend_tokenizer.to_str())
    if spec["model"].get("type") != "BPE":
        raise UsageError(f"a {spec['model'].get('type')} tokenizer cannot be exported; byte-level BPE can")
    added = {t["id"]: t for t in spec.get("added_tokens", ())}
    entries = [*spec["model"]["vocab"].items(), *((t["content"], i) for i, t in added.items())]
    if (largest := max(i for _, i in entries)) >= size:
        raise UsageError(f"the tokenizer has a token {largest}, but the model's vocabulary only {size}: they do not belong together")
    tokens: list[str] = [f"[PAD{i}]" for i in range(size)]
    kinds = [int(gguf.TokenType.UNUSED)] * size
    for text, index in entries:
        tokens[index] = text
        kinds[index] = int(gguf.TokenType.NORMAL)
        if index in added:
            kinds[index] = int(gguf.TokenType.CONTROL if added[index].get("special") else gguf.TokenType.USER_DEFINED)
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre(pretokenizer(tokenizer))
    out.add_token_list(tokens)
    out.add_token_types(kinds)
    out.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in spec["model"]["merges"]])
    for name, value in (("eos", tokenizer.eos_token_id), ("bos", tokenizer.bos_token_id), ("pad", tokenizer.pad_token_id)):
        if value is not None:
            getattr(out, f"add_{name}_token_id")(value)
    with_bos = tokenizer("a")["input_ids"][:1] == [tokenizer.bos_token_id] and tokenizer.bos_token_id is not None
    out.add_add_bos_token(bool(with_bos))


def compare(model: Any, tokenizer: Any, path: pathlib.Path, prompts: Sequence[str]) -> Check:
    """Torch and llama.cpp on the same prompts (F32 cache, no flash attention). Raises NoModel when the file does not load."""
    import numpy
    import torch

    from toolagent.runtimes.llamacpp import Weights

    normal = (json.loads(tokenizer.backend_tokenizer.to_str()).get("normalizer") or {}).get("type")
    texts = [unicodedata.normalize(normal, t) if normal in FORMS else t for t in (*prompts, *HARD)]
    ids_of = [tokenizer(t, add_special_tokens=False)["input_ids"] for t in texts]
    weights = Weights(path, context=max(map(len, ids_of)) + 8, exact=True)
    try:
        equal = all(weights.tokens(text, special=True) == ids for text, ids in zip(texts, ids_of, strict=True))
        worst, same, count = 0.0, 0, 0
        model.eval()
        for ids in ids_of[: len(prompts)]:
            with torch.no_grad():
                device = next(model.parameters()).device
                want = model(torch.tensor([ids], device=device)).logits[0].float().cpu().numpy()  # (T, V)
            got = weights.all_logits(ids)
            worst = max(worst, float(numpy.abs(want - got).max()))
            same += int((want.argmax(-1) == got.argmax(-1)).sum())
            count += len(ids)
        return Check(count, worst, same / max(count, 1), equal)
    finally:
        weights.close()


LIMITS = {"f32": (1e-3, 1.0), "f16": (5e-2, 0.999), "q8_0": (3.0, 0.97)}  # most difference of a logit, least share of equal first choices


def export(folder: pathlib.Path, path: pathlib.Path, kind: str, prompts: Sequence[str]) -> Check:
    """Write and check; only a file that passes takes its place. Raises UsageError (no prompts), NoModel with the figures."""
    from toolagent import model as models

    if not prompts:
        raise UsageError("an export is checked on prompts; give some")
    model, tokenizer = models.load(folder)
    if hasattr(model, "merge_and_unload"):
        model = model.merge_and_unload()
    unchecked = path.with_name(f".{path.name}.unchecked")
    try:
        write(model, tokenizer, unchecked, kind, models.dialect_of(folder))
        check = compare(model, tokenizer, unchecked, prompts)
        most, least = LIMITS[kind]
        if not (check.tokens_equal and check.difference <= most and check.top1 >= least):  # a difference that is no number fails as well
            raise NoModel(f"the exported file differs from torch and was removed: {check}")
        os.replace(unchecked, path)
    finally:
        unchecked.unlink(missing_ok=True)
    return check
