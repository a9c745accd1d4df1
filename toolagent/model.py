"""Torch: make, load, adapt and save a policy. The reference is the same weights with the adapter off.

A model made here is a plain Llama (RMSNorm, SwiGLU, rotary positions, grouped queries, tied embeddings), so that transformers and llama.cpp
read it as it is, with a byte-level BPE whose merges never join digits: a number is copied digit by digit.
Left out: sequence classification heads (train/reward.py makes its own), quantised training.
"""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from toolagent.dialects import compact
from toolagent.errors import NoModel, UsageError
from toolagent.files import whole_directory

PAD = "<|pad|>"


@dataclass(frozen=True)
class Shape:
    """Sizes of a model made from scratch. Widths are multiples of 32, so that Q8_0 packs them without padding."""

    width: int = 256
    layers: int = 8
    heads: int = 8
    kv_heads: int = 4
    hidden: int = 768  # of the gated feed-forward
    vocabulary: int = 6144
    context: int = 2048

    def __post_init__(self) -> None:
        if min(self.width, self.layers, self.heads, self.kv_heads, self.hidden, self.vocabulary, self.context) < 1:
            raise UsageError("the sizes of a model must be above 0")
        if self.width % 32 or self.hidden % 32 or self.width % (2 * self.heads) or self.heads % self.kv_heads:
            raise UsageError("width and hidden must be multiples of 32, width of 2 * heads (rotary positions go in pairs), heads of kv_heads")


def train_tokenizer(texts: Iterable[str], vocabulary: int, whole: Sequence[str] = ()) -> Any:
    """A byte-level BPE (GPT-2's splitting) on these texts -> PreTrainedTokenizerFast with the marks and chat template of `compact` and <|pad|>.

    Digits are split off while merges are learned, so none joins two digits or a space and a digit. `whole`: strings that are one token
    each, such as the heads of the calls that most rows show: a quarter fewer tokens a plan.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, special_tokens=[PAD, *compact.MARKS], initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.pre_tokenizer = byte_level  # no merge holds a digit: the plain splitting that llama.cpp knows as "gpt-2" gives the same tokens
    tokenizer.add_tokens([AddedToken(text, normalized=False) for text in whole])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=PAD, eos_token=compact.END, clean_up_tokenization_spaces=False,
        chat_template=compact.TEMPLATE.read_text("utf-8"),
    )  # fmt: skip


def make(shape: Shape, tokenizer: Any, seed: int = 0) -> Any:
    """A Llama of this shape with random weights -> LlamaForCausalLM in float32."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    size = -(-len(tokenizer) // 32) * 32
    config = LlamaConfig(
        vocab_size=size, hidden_size=shape.width, num_hidden_layers=shape.layers, num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads, head_dim=shape.width // shape.heads, intermediate_size=shape.hidden,
        max_position_embeddings=shape.context, tie_word_embeddings=True, pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None, eos_token_id=tokenizer.eos_token_id, initializer_range=0.02,
    )  # fmt: skip
    return LlamaForCausalLM(config)


def load(path: str | pathlib.Path, dtype: str = "float32") -> tuple[Any, Any]:
    """(model, tokenizer) of a directory that `train` or transformers wrote (an adapter directory is put on its base). Raises NoModel."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = pathlib.Path(path)
    adapter = folder / "adapter_config.json"
    base = folder
    try:
        if adapter.exists():
            base = pathlib.Path(json.loads(adapter.read_text("utf-8"))["base_model_name_or_path"])
        if not (base / "config.json").exists():
            raise NoModel(f"{base} holds no model (no config.json); give a directory that `toolagent train` wrote")
        model: Any = AutoModelForCausalLM.from_pretrained(base.resolve(), dtype=getattr(torch, dtype))  # an adapter notes where its base lies
        tokenizer = AutoTokenizer.from_pretrained(folder)
        if adapter.exists():
            from peft import PeftModel

            model = PeftModel.from_pretrained(model, folder)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise NoModel(f"{folder} cannot be loaded: {str(error).splitlines()[0]}") from error
    return model, tokenizer


def to_train(path: str | pathlib.Path, lora: int, kept: pathlib.Path, seed: int = 0) -> tuple[Any, Any, str]:
    """(model, tokenizer, dialect) with all weights trained, or a fresh LoRA of this rank (0: none). Raises NoModel.

    An adapter is merged into its base first. A LoRA on top of that needs a base of its own, which is written to `kept`.
    """
    import torch

    model, tokenizer = load(path)
    dialect = dialect_of(path)
    if hasattr(model, "merge_and_unload"):
        model = model.merge_and_unload().requires_grad_(True)
        if lora:
            save(model, tokenizer, kept, dialect)
            model, tokenizer = load(kept)
    if lora:
        torch.manual_seed(seed)
        model = with_lora(model, lora, 2 * lora)
    return model, tokenizer, dialect


def fingerprint(model: Any) -> str:
    """A hash of all weights (sha256, 16 hex digits)."""
    import hashlib

    import torch

    found = hashlib.sha256()
    for name, p in sorted(model.state_dict().items()):
        found.update(name.encode())
        found.update(p.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return found.hexdigest()[:16]


def with_lora(model: Any, rank: int = 16, alpha: int = 32) -> Any:
    """The model with a fresh LoRA on every linear layer but the head. dropout 0: prefixes are shared (see train/sft.py)."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM")
    return get_peft_model(model, config)


def save(model: Any, tokenizer: Any, path: pathlib.Path, dialect: str, also: Callable[[pathlib.Path], None] | None = None) -> None:
    """Weights (or adapter), tokenizer and dialect, and what `also` writes, into a directory that appears whole (temporary sibling + rename)."""
    with whole_directory(path) as temporary:
        model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
        (temporary / "dialect").write_text(dialect + "\n", "utf-8")
        if also:
            also(temporary)
        for file in temporary.iterdir():
            file.chmod(0o644)  # safetensors writes for its owner alone


def full_attention(model: Any) -> bool:
    """True for a decoder whose every layer attends to the whole past and that has no dropout: then a shared prefix may be computed once."""
    config = model.config
    kinds = getattr(config, "layer_types", None)
    if kinds is None:
        windows = getattr(config, "sliding_window", None) and getattr(config, "use_sliding_window", True)
        kinds = ["sliding_attention" if windows else "full_attention"]
    dropout = [getattr(config, name, 0) or 0 for name in ("attention_dropout", "hidden_dropout", "resid_pdrop", "attn_pdrop", "embd_pdrop")]
    return set(kinds) == {"full_attention"} and not any(dropout) and not getattr(config, "is_encoder_decoder", False)


def load_tokenizer(path: str | pathlib.Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(path)


def dialect_of(folder: str | pathlib.Path) -> str:
    """The dialect noted beside a model; a foreign model speaks by its chat template."""
    path = pathlib.Path(folder) / "dialect"
    return path.read_text("utf-8").strip() if path.exists() else "template"
