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


def chatml(turn: str = "", ask: str = "", **parts: str) -> str:
    """CHATML with something at the head of each answer, something behind the header of a prompt, and `parts` of it by other words."""
    found = CHATML.replace(OPEN + "{{ m.content }}", OPEN + turn + "{{ m.content }}").replace(OPEN + "{% endif %}", OPEN + ask + "{% endif %}")
    for name, text in parts.items():
        found = found.replace(PARTS[name], text)
    return found


OPEN = "<|im_start|>assistant\n"
PARTS = {
    "result": "{{ m.content }}\n</tool_response><|im_end|>\n",
    "call": "{{ c.function | tojson }}",
    "end": "{% endfor %}<|im_end|>\n{% endif %}",
    "start": "<|im_start|>system\n",
    "last": "{% if add_generation_prompt %}",
}
LAST = "{% set n = namespace(q=0) %}{% for m in messages %}{% if m.role == 'user' %}{% set n.q = loop.index0 %}{% endif %}{% endfor %}"
EMPTY = "{{ '<think>\n\n</think>\n\n' }}"
TAG = {"call": "{{ c.function.name + c.function.arguments }}"}
MISTRAL = (  # no header; system and tools beside the last request, the system only where that is the last message; ids of nine letters
    LAST + "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}{% if loop.index0 == n.q %}[TOOLS]" + TOOLS + "[/TOOLS]{% endif %}"
    "[INST]{{ messages[0].content + '\n\n' if loop.last else '' }}{{ m.content }}[/INST]"
    "{% elif m.role == 'assistant' %}{% for c in m.tool_calls or [] %}{{ '[CALLS]' if loop.first else ', ' }}"
    "{{ raise_exception('ids of nine letters!') if c.id | length != 9 else c.id }}{{ c.function | tojson }}{% endfor %}{{ m.content }}</s>"
    "{% elif m.role == 'tool' %}[RESULT]{{ m.tool_call_id }}{{ m.content }}[/RESULT]{% endif %}{% endfor %}"
)
TRAPS = {  # what real templates do to earlier turns -> the template, how many rows a conversation of two requests and three turns takes
    "an empty thought in the newest turn alone (Qwen 3)": (chatml("{% if loop.last %}" + EMPTY + "{% endif %}"), 3),
    "the thoughts of earlier requests go (Qwen 3.5)": (LAST + chatml("{% if loop.index0 > n.q %}" + EMPTY + "{% endif %}", "{{ '<think>\n' }}"), 2),
    "a closed thought in the prompt alone (QwQ, Gemma 4)": (chatml("", "{{ '<think>\n</think>' }}"), 3),
    "a thought that only the prompt opens (GLM 4.7)": (chatml("</think>", "<think>"), 3),
    "a thought that each opens by itself (Nemotron 3)": (chatml("<think></think>", "{{ '<think>\n' }}"), 3),
    "a newline that the last result lacks (Hermes)": (
        chatml(result="{{ m.content }}\n</tool_response>{{ '' if loop.last else '\n' }}<|im_end|>\n"), 2
    ),
    "another mark at the very end (gpt-oss)": (
        chatml(end="{% endfor %}{{ '<|return|>' if loop.last and not m.tool_calls else '<|im_end|>' }}\n{% endif %}"), 2
    ),
    "tools and system move (Mistral)": (MISTRAL, 3),
    "arguments as text (functionary)": (chatml(**TAG), 1),
    "arguments as Python's words": (chatml(call="{{ c.function.name }}{{ c.function.arguments }}"), 1),
    "a prompt that comes unasked (Command R7B)": (chatml(last="{% if true %}"), 1),
}  # fmt: skip
DATED = chatml(start="<|im_start|>system\nIt is {{ strftime_now('%d %B %Y') }}, {{ date_string }}.\n")
REFUSED = {  # template, why
    "one call a turn": (chatml(call="{{ raise_exception('one!') if m.tool_calls | length > 1 }}{{ c.function | tojson }}"), "one call a turn"),
    "the first call alone": (chatml(call="{% if loop.first %}{{ c.function | tojson }}{% endif %}"), "one call a turn, and the assistant makes 2"),
    "a thought that stays open": (chatml("", "{{ '<think>\n' }}"), "opens a thought, and its answers do not close it"),
    "a thought around the answer": (chatml("{{ '<think>\n' if loop.last }}", "{{ '<think>\n' }}"), "opens a thought, and its answers do not"),
    "an answer that is dropped": (chatml().replace("{{ m.content }}{% for c", "{{ m.content if m.tool_calls }}{% for c"), "leaves out the answer"),
    "words for the next turn (Command R+)": (
        chatml(
            end="{% endfor %}{% if not loop.last %}<|im_end|>\n{% endif %}{% endif %}",
            last="<|im_start|>system\nWrite Action:<|im_end|>\n{% if add_generation_prompt %}",
        ),
        "goes on behind the answer",
    ),
    "an end that only the history shows (GLM)": (chatml(end="{% endfor %}{{ '' if loop.last else '<|im_end|>\n' }}{% endif %}"), "with a mark"),
    "a count of the messages": (chatml(start="<|im_start|>system\n{{ messages | length }} messages\n"), "rewrites earlier turns"),
}  # fmt: skip


def tokenizer_of(template: str, marks: tuple[str, ...], merges: tuple[tuple[str, str], ...] = ()) -> Any:
    """Every byte is a token, each mark and each of `merges`; <bos> is put before plain text, as Llama and Gemma do."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    letters = {c: i for i, c in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    letters |= {a + b: len(letters) + i for i, (a, b) in enumerate(merges)}
    made = Tokenizer(models.BPE(vocab=letters, merges=list(merges)))
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


def alone(model: Any, row: Row) -> Any:
    """Summed log-probability of a row's learned tokens, from the model's own logits: no prefix, no padding, no code of ours."""
    import torch

    log_p = torch.log_softmax(model(input_ids=torch.tensor([row.ids])).logits[0].float(), -1)
    return sum(log_p[t - 1, row.ids[t]] for t in range(1, len(row.ids)) if row.learned[t])


def gradients(model: Any, value: Any) -> dict[str, Any]:
    model.zero_grad()
    value.backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def distance(a: Any, b: Any) -> float:
    """Relative to b."""
    return float((a - b).norm() / b.norm().clamp_min(1e-12))
