"""Chat templates that do strange things: each turn is learned once, behind the prompt that asks for it when the model is served.

The real ones are read from TOOLAGENT_TEMPLATES, a folder of NAME.jinja such as vendor/llama.cpp/models/templates of llama-cpp-python's sdist:

    TOOLAGENT_TEMPLATES=... pytest tests/train/test_encode_templates.py
"""

from __future__ import annotations

import os
import pathlib
import re

import pytest
from small import CHATML, DATED, REFUSED, TRAPS, chatml, tokenizer_of

from toolagent.dialects import template
from toolagent.errors import DataError
from toolagent.train.encode import template_encoder
from toolagent.types import Conversation, Message, ToolCall, ToolResult, ToolSpec

pytest.importorskip("transformers")

WORD = {"type": "string", "description": "what it says"}
PHONE = ToolSpec("get_phone_number", "Find a number.", {"type": "object", "properties": {"name": WORD}, "required": ["name"]})
SMS = ToolSpec("send_sms", "Send a text.", {"type": "object", "properties": {"to": WORD, "text": WORD}, "required": ["to"]})
CALLS = (ToolCall("get_phone_number", {"name": "Ana Lima"}, "1"), ToolCall("send_sms", {"to": "$1", "text": "lunch moved"}, "2"))
MARKS = ("<think>", "</think>", "<|return|>", "[CALLS]", "[/INST]", "[/RESULT]", "<|im_start|>", "</s>", "<|im_end|>")
FOLDER = os.environ.get("TOOLAGENT_TEMPLATES", "")


def talk(calls=CALLS):
    results = [Message("tool", result=ToolResult(c.id, "done " + c.id)) for c in calls]
    said = (Message("system", "Be brief."), Message("user", "text Ana that lunch moved"), Message("assistant", "", calls), *results)
    return Conversation((*said, Message("assistant", "I told her."), Message("user", "thanks"), Message("assistant", "Gladly.")), (PHONE, SMS))


def rows_of(conversation, tokenizer):
    row = template_encoder(tokenizer)(conversation, "talk")
    return (row, *row.more)


def served(conversation, tokenizer):
    """The tokens of each prompt, as a runtime sends them."""
    render = template.renderer(tokenizer)
    turns = [i for i, m in enumerate(conversation.messages) if m.role == "assistant"]
    texts = [render(Conversation(conversation.messages[:i], conversation.tools), True) for i in turns]
    return [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]


def stretches(rows):
    """(what stands before it, what is learned) of each learned stretch."""
    pieces = [(row.ids, piece.span()) for row in rows for piece in re.finditer(b"\1+", row.learned)]
    return [(list(ids[:start]), ids[start:end]) for ids, (start, end) in pieces]


def holds(conversation, tokenizer):
    """The law: as many stretches as turns, each behind its prompt as served, each the whole turn and nothing but it."""
    rows = rows_of(conversation, tokenizer)
    found = stretches(rows)
    assert [before for before, _ in found] == served(conversation, tokenizer)
    answers = [tokenizer.decode(ids) for _, ids in found]
    for answer, message in zip(answers, [m for m in conversation.messages if m.role == "assistant"], strict=True):
        assert message.content in answer and all(c.name in answer and "Ana Lima" in answer for c in message.tool_calls)
        others = [m.content or m.result.output for m in conversation.messages if m.role != "assistant"]
        assert not any(words in answer for words in (*others, "Find a number", "Send a text"))
    return rows, answers


@pytest.mark.parametrize("name", TRAPS)
def test_each_turn_is_learned_once_behind_the_prompt_as_served(name):
    text, count = TRAPS[name]
    rows, answers = holds(talk(), tokenizer_of(text, MARKS))
    assert len(rows) == count
    assert all(answer.endswith(("<|im_end|>", "<|return|>", "</s>")) for answer in answers)


def test_what_the_template_writes_of_its_own_is_learned_where_the_prompt_does_not_hold_it():
    shown = {name.partition(" (")[2]: holds(talk(), tokenizer_of(text, MARKS))[1][1] for name, (text, _) in TRAPS.items()}
    assert shown["Qwen 3)"] == "<think>\n\n</think>\n\nI told her.<|im_end|>"
    assert shown["Qwen 3.5)"] == "\n</think>\n\nI told her.<|im_end|>"
    assert shown["gpt-oss)"] == "I told her.<|return|>"
    assert shown["QwQ, Gemma 4)"] == "I told her.<|im_end|>"
    assert shown["GLM 4.7)"] == shown["Nemotron 3)"] == "</think>I told her.<|im_end|>"


def test_a_thought_of_the_data_is_learned():
    said = Conversation((Message("user", "good day"), Message("assistant", "<think>\na greeting\n</think>\n\nHello.")))
    _, (answer,) = holds(said, tokenizer_of(CHATML, MARKS))
    assert answer == "<think>\na greeting\n</think>\n\nHello.<|im_end|>"


def test_ids_and_arguments_are_given_as_the_template_wants_them():
    _, (calls, *_) = holds(talk(), tokenizer_of(TRAPS["tools and system move (Mistral)"][0], (*MARKS[:6], "<|im_end|>", "</s>")))
    assert calls.startswith('[CALLS]000000001{"name": "get_phone_number"') and ', 000000002{"name": "send_sms"' in calls
    for name in ("arguments as text (functionary)", "arguments as Python's words"):
        _, (calls, *_) = holds(talk(), tokenizer_of(TRAPS[name][0], MARKS))
        assert 'get_phone_number{"name": "Ana Lima"}' in calls
    assert template.nine_letters("call_8f") == template.nine_letters("call_8f") != template.nine_letters("call_9a")
    assert template.nine_letters("call_8f").isalnum() and len(template.nine_letters("call_8f")) == 9


def test_a_newline_that_joins_the_next_is_no_token_of_the_prompt():
    """The prompt ends with "\\n" and the calls begin with two: the history has a token across, which no prompt that is served has."""
    tokenizer = tokenizer_of(chatml("{{ '\n' }}"), MARKS, merges=(("\u010a", "\u010a"),))
    rows, answers = holds(talk(), tokenizer)
    assert len(rows) == 2 and answers[0].startswith("\n\n<tool_call>")
    assert len(rows_of(talk(), tokenizer_of(chatml("{{ '\n' }}"), MARKS))) == 1


def test_the_date_stands_still():
    tokenizer = tokenizer_of(DATED, MARKS)
    (row,) = rows_of(talk(), tokenizer)
    assert tokenizer.decode(row.ids).startswith("<|im_start|>system\nIt is 26 July 2024, 26 Jul 2024.\nBe brief.")


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_learned_is_refused(name):
    text, why = REFUSED[name]
    with pytest.raises(DataError, match=why):
        rows_of(talk(), tokenizer_of(text, MARKS))


def test_a_prompt_that_comes_unasked_is_refused_where_no_mark_ends_the_answer():
    tokenizer = tokenizer_of(TRAPS["a prompt that comes unasked (Command R7B)"][0].replace("assistant\n", "<|assistant|>"), (*MARKS, "<|assistant|>"))
    with pytest.raises(DataError, match="goes on behind the answer"):
        rows_of(talk(), tokenizer)


def test_one_call_a_turn_is_learned():
    for name in ("one call a turn", "the first call alone"):
        rows, _ = holds(talk(CALLS[:1]), tokenizer_of(REFUSED[name][0], MARKS))
        assert len(rows) == 1


def test_the_template_that_is_saved_is_the_one_that_was_trained(tmp_path):
    from toolagent import model as models

    class Weights:
        def save_pretrained(self, path):
            pass

    tokenizer = tokenizer_of(DATED, MARKS)
    rows = rows_of(talk(), tokenizer)
    models.save(Weights(), tokenizer, tmp_path / "model", "template")
    again = models.load_tokenizer(tmp_path / "model")
    assert again.chat_template == DATED and models.dialect_of(tmp_path / "model") == "template"
    assert rows_of(talk(), again) == rows


ENDS = ("<|im_end|>", "<|eot_id|>", "<｜end▁of▁sentence｜>", "<|END_OF_TURN_TOKEN|>", "<|end_of_text|>", "<turn|>", "<|return|>", "<|message_sep|>")
LEARNED = {  # rows of a conversation with one call, with two (0: one call a turn)
    (1, 1): """Qwen-Qwen2.5-7B-Instruct Qwen3-Coder mistralai-Ministral-3-14B-Reasoning-2512 unsloth-mistral-Devstral-Small-2507 MiMo-VL
        ibm-granite-granite-4.0 ibm-granite-granite-4.1 LFM2.5-8B-A1B deepseek-ai-DeepSeek-V4 meetkai-functionary-medium-v3.1
        meetkai-functionary-medium-v3.2 openbmb-MiniCPM5-1B moonshotai-Kimi-K2""",
    (1, 0): "meta-llama-Llama-3.1-8B-Instruct meta-llama-Llama-3.2-3B-Instruct meta-llama-Llama-3.3-70B-Instruct GigaChat3.1-10B-A1.8B",
    (2, 0): "openai-gpt-oss-120b",
    (2, 2): """Qwen3.5-4B NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use NousResearch-Hermes-3-Llama-3.1-8B-tool_use google-gemma-4-31B-it
        Mistral-Small-3.2-24B-Instruct-2506 Bielik-11B-v3.0-Instruct CohereForAI-c4ai-command-r7b-12-2024-tool_use""",
    (3, 3): """Qwen-Qwen3-0.6B Qwen-QwQ-32B mistralai-Mistral-Nemo-Instruct-2407 google-gemma-4-31B-it-interleaved deepseek-ai-DeepSeek-V3.2
        NVIDIA-Nemotron-3-Nano-30B-A3B-BF16""",
}
REFUSED_FOR = {
    "does not show the tools": """HuggingFaceTB-SmolLM3-3B deepseek-ai-DeepSeek-V3.1 deepseek-ai-DeepSeek-R1-Distill-Llama-8B
        microsoft-Phi-3.5-mini-instruct""",
    "leaves out the tool calls": "LFM2-8B-A1B LFM2.5-Instruct ibm-granite-granite-3.3-2B-Instruct",
    "refuses the conversation": "google-gemma-2-2b-it fireworks-ai-llama-3-firefunction-v2 Kimi-K2-Instruct",
    "opens a thought, and its answers do not close it": "NVIDIA-Nemotron-Nano-v2 MiniMax-M2",
    "does not end the assistant's turn with a mark": "GLM-4.6 tencent-Hy3",
    "goes on behind the answer": "CohereForAI-c4ai-command-r-plus-tool_use",
    "rewrites earlier turns": "Apertus-8B-Instruct Apriel-1.6-15b-Thinker-fixed",
}


def real(name):
    path = pathlib.Path(FOLDER, name + ".jinja")
    if not FOLDER or not path.exists():
        pytest.skip("TOOLAGENT_TEMPLATES names no folder with this template")
    text = path.read_text("utf-8")
    end = next((mark for mark in ENDS if mark in text), "</s>")
    marks = set(re.findall(r"<[^<>\s'\"{}]*>|\[/?[A-Z_]{3,}\]", text)) - {end}
    return tokenizer_of(text, (*sorted(marks), end))


@pytest.mark.parametrize(("name", "counts"), [(name, counts) for counts, names in LEARNED.items() for name in names.split()])
def test_a_real_template_is_learned(name, counts):
    tokenizer = real(name)
    for count, calls in zip(counts, (CALLS[:1], CALLS), strict=True):
        if count:
            assert len(holds(talk(calls), tokenizer)[0]) == count
        else:
            with pytest.raises(DataError, match="one call a turn"):
                rows_of(talk(calls), tokenizer)


@pytest.mark.parametrize(("name", "why"), [(name, why) for why, names in REFUSED_FOR.items() for name in names.split()])
def test_a_real_template_is_refused(name, why):
    with pytest.raises(DataError, match=why):
        rows_of(talk(CALLS[:1]), real(name))
