"""How models with a template or a server of their own write calls, and how they are asked."""

from __future__ import annotations

import json

import pytest

from toolagent.dialects import template
from toolagent.errors import InvalidOutput
from toolagent.types import Conversation, Message, ToolCall, ToolResult, ToolSpec

SMS = ToolSpec("send_sms", "Text.", {"type": "object", "properties": {"message": {"type": "string"}}}, {"type": "string"}, writes=True)


@pytest.mark.parametrize(
    "text, calls",
    [
        ('<tool_call>\n{"name": "a", "arguments": {"x": 1}}\n</tool_call>', [("a", {"x": 1})]),
        ('<think>first $1?</think>ok\n<tool_call>{"name": "a", "arguments": {}}</tool_call>'
         '<tool_call>{"name": "b", "arguments": {"y": "$1"}}</tool_call>', [("a", {}), ("b", {"y": "$1"})]),
        ('<tool_call>{"name": "a", "arguments": "{\\"x\\": 2}"}', [("a", {"x": 2})]),  # cut off after the call; arguments as text
        ('<|python_tag|>{"name": "a", "parameters": {"x": 1}}', [("a", {"x": 1})]),
        ('```json\n[{"name": "a", "arguments": {}}, {"name": "b", "arguments": {}}]\n```', [("a", {}), ("b", {})]),
        ('{"type": "function", "function": {"name": "a", "arguments": {}}, "name": ""}', [("a", {})]),
    ],
)  # fmt: skip
def test_calls_are_read(text, calls):
    found = template.parse(text).tool_calls
    assert [(c.name, c.arguments) for c in found] == calls
    assert [c.id for c in found] == [str(k) for k in range(1, len(calls) + 1)]


@pytest.mark.parametrize("text", ["I cannot do that.", "The set {1, 2} is small.", "", "[see above]"])
def test_words_stay_words(text):
    assert template.parse(text) == Message("assistant", text)


@pytest.mark.parametrize(
    "text",
    ['<tool_call>{"name": "a", </tool_call>', "<tool_call>{}</tool_call>", '<tool_call>{"name": "a", "arguments": [1]}</tool_call>',
     '<tool_call>{"name": "a", "arguments": "{"}</tool_call>', '{"name": "a", "arguments": {}', "<tool_call>" + "[" * 100_000],
)  # fmt: skip
def test_what_is_no_call_is_said(text):
    with pytest.raises(InvalidOutput):
        template.parse(text)


def test_messages_for_a_server_and_for_a_template():
    call = ToolCall("send_sms", {"message": "hi"}, "1")
    messages = (
        Message("system", "Be brief."),
        Message("user", "text Ana"),
        Message("assistant", "", (call,)),
        Message("tool", result=ToolResult("1", error="no signal")),
    )
    conversation = Conversation(messages, (SMS,))
    system, user, assistant, tool = template.messages(conversation, arguments_as_text=True)
    assert system["content"].startswith("Be brief.\n") and template.RULE in system["content"] and user["content"] == "text Ana"
    assert json.loads(assistant["tool_calls"][0]["function"]["arguments"]) == {"message": "hi"}
    assert tool == {"role": "tool", "tool_call_id": "1", "content": "error: no signal"}
    assert template.messages(conversation)[2]["tool_calls"][0]["function"]["arguments"] == {"message": "hi"}
    assert call.arguments == {"message": "hi"}  # the conversation itself is as it was
    assert template.messages(Conversation((Message("user", "hi"),))) == [{"role": "user", "content": "hi"}]


def test_tools_carry_no_key_that_a_server_might_refuse():
    (tool,) = template.tools(Conversation((Message("user", "x"),), (SMS,)))
    assert tool["function"].keys() == {"name", "description", "parameters"}
