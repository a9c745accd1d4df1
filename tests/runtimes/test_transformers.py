"""A model directory on torch: the same grammar as on llama.cpp, or a chat template."""

from __future__ import annotations

import shutil

import pytest

from toolagent.commands.options import load_packs
from toolagent.errors import ContextOverflow, InvalidOutput, NoModel
from toolagent.runtimes.llamacpp import LlamaCpp
from toolagent.types import Conversation, Message

pytest.importorskip("torch")
pytest_plugins = ("stage",)
REQUEST = "text Ana at ana@example.org that lunch moved"


@pytest.fixture
def conversation():
    tools, rules = load_packs(())
    return Conversation((Message("system", rules), Message("user", REQUEST)), tuple(tool.spec for tool in tools))


def test_one_model_two_runtimes_one_plan(chatty, conversation, monkeypatch):
    from toolagent.runtimes.transformers import Transformers

    monkeypatch.setenv("TOOLAGENT_THREADS", "1")
    here, there = Transformers(chatty.model), LlamaCpp(chatty.bundle)
    plans = [runtime.generate(conversation)[0].tool_calls for runtime in (here, there)]
    names = {tool.name for tool in conversation.tools}
    assert all(plan and {call.name for call in plan} <= names for plan in plans)
    assert plans[0][0].name == plans[1][0].name  # later words of random weights may hang on the last bit
    assert here.generate(conversation)[0].tool_calls == plans[0]  # the cache changes nothing


def test_a_prompt_that_does_not_fit(chatty, conversation):
    from toolagent.runtimes.transformers import Transformers

    with pytest.raises(ContextOverflow, match="tokens"):
        Transformers(chatty.model, context=300).generate(conversation)


def test_a_chat_template(chatty, conversation, tmp_path):
    from transformers import AutoTokenizer

    from toolagent.runtimes.transformers import Transformers

    folder = tmp_path / "model"
    shutil.copytree(chatty.model, folder)
    (folder / "dialect").unlink()
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    with pytest.raises(NoModel, match="neither a dialect nor a chat template"):
        Transformers(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    each = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
    tokenizer.chat_template = each + "{{ tools | length }} tools\nassistant:"
    tokenizer.save_pretrained(folder)
    runtime = Transformers(folder, context=1600)
    assert runtime.dialect == "template"
    try:
        (message,) = runtime.generate(conversation)
        assert message.role == "assistant"
    except InvalidOutput:  # random weights may begin a call and not end it
        pass
    with pytest.raises(ContextOverflow):
        Transformers(folder, context=128).generate(conversation)


def test_no_directory(tmp_path):
    from toolagent.runtimes.transformers import Transformers

    with pytest.raises(NoModel, match="no model directory"):
        Transformers(tmp_path / "nowhere")
