"""Toys for the tests of training: tokenizers of bytes with the chat templates of three families, models of a few thousand weights, rows."""

from __future__ import annotations

from typing import Any

from toolagent.train.encode import Row

TOOLS = "{% for tool in tools or [] %}{{ tool | tojson }}\n{% endfor %}"
CHATML = (  # as Qwen 2.5 and Hermes write: calls between <tool_call> marks, results in the user's turn
    "<|im_start|>system\n{{ messages[0].content if messages[0].role == 'system' else 'Be of help.' }}\n" + TOOLS + "<|im_end|>\n"
    "{% for m in messages %}{% if m.role == 'tool' %}<|im_start|>user\n<tool_response>\n{{ m.content }}\n</tool_response><|im_end|>\n"
    "{% elif m.role == 'user' %}<|im_start|>user\n{{ m.content }}<|im_end|>\n"
    "{% elif m.role == 'assistant' %}<|im_start|>assistant\n{{ m.content }}"
    "{% for c in m.tool_calls or [] %}{{ '\n<tool_call>\n' }}{{ c.function | tojson }}\n</tool_call>{% endfor %}<|im_end|>\n{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA3 = (  # no newline behind the end of turn; bos_token in the template; one bare call a turn
    "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ 'ipython' if m.role == 'tool' else m.role }}<|end_header_id|>\n\n"
    "{% if loop.first %}" + TOOLS + "{% endif %}{{ m.content }}"
    "{% for c in m.tool_calls or [] %}{{ {'name': c.function.name, 'parameters': c.function.arguments} | tojson }}{% endfor %}<|eot_id|>"
    "{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
GEMMA = (  # the assistant is "model"; a system turn is part of the first user turn
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}<start_of_turn>user\n{{ m.content }}\n" + TOOLS + "<end_of_turn>\n"
    "{% elif m.role == 'assistant' %}<start_of_turn>model\n{{ m.content }}{% for c in m.tool_calls or [] %}<call>{{ c.function | tojson }}"
    "{% endfor %}<end_of_turn>\n{% else %}<start_of_turn>user\n{{ m.content }}<end_of_turn>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
FAMILIES = {  # template, its marks, the mark that ends a turn, what stands behind it
    "chatml": (CHATML, ("<|im_start|>", "<|im_end|>"), "<|im_end|>", "\n"),
    "llama3": (LLAMA3, ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"), "<|eot_id|>", ""),
    "gemma": (GEMMA, ("<start_of_turn>", "<end_of_turn>"), "<end_of_turn>", "\n"),
}


def tokenizer_of(template: str, marks: tuple[str, ...]) -> Any:
    """Every byte is a token, and each mark; <bos> is put before plain text, as Llama and Gemma do."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    letters = {c: i for i, c in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    made = Tokenizer(models.BPE(vocab=letters, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(t, special=True) for t in ("<bos>", "<pad>", *marks)])
    made.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", made.token_to_id("<bos>"))])
    return PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<bos>", eos_token=marks[-1], pad_token="<pad>", chat_template=template)


def family(name: str) -> Any:
    return tokenizer_of(*FAMILIES[name][:2])


def model_of(kind: str, size: int = 300, seed: int = 0, **more: Any) -> Any:
    """2 layers, 32 wide, random weights: "llama", "qwen3", "gemma", "gpt_neox" (full attention), "gemma2" (sliding windows, capped logits)."""
    import torch
    import transformers

    torch.manual_seed(seed)
    shape = {
        "vocab_size": size, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
        "intermediate_size": 64, "max_position_embeddings": 2048, "initializer_range": 0.2,
        "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
    }  # fmt: skip
    name = {"llama": "Llama", "qwen3": "Qwen3", "gemma": "Gemma", "gemma2": "Gemma2", "gpt_neox": "GPTNeoX"}[kind]
    return getattr(transformers, f"{name}ForCausalLM")(getattr(transformers, f"{name}Config")(**(shape | more)))


def rows_of(prefix: int, lengths: tuple[int, ...], asked: int = 3, size: int = 300, seed: int = 0) -> list[Row]:
    """Rows that share `prefix` tokens; then `asked` tokens of a request (kind 2), an unlearned mark, and the rest learned."""
    import random

    rng = random.Random(seed)
    head = tuple(rng.randrange(3, size) for _ in range(prefix))
    rows = []
    for i, n in enumerate(lengths):
        tail = tuple(rng.randrange(3, size) for _ in range(asked + 1 + n))
        rows.append(Row(head + tail, bytes(prefix) + bytes([2] * asked + [0] + [1] * n), f"row {i}", "g"))
    return rows
