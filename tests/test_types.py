"""What is written as JSON comes back; what cannot be read is a sentence that says what to change."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolagent.errors import DataError
from toolagent.types import Conversation, Message, ToolCall, ToolResult, ToolSpec

LOOK_UP = ToolSpec("get_email_address", "Find it.", {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]})
TALK = Conversation(
    (
        Message("system", "Look up an address first."),
        Message("user", "mail Ana"),
        Message("assistant", "", (ToolCall("get_email_address", {"name": "Ana"}, "1"),)),
        Message("tool", result=ToolResult("1", "ana@example.org")),
        Message("tool", result=ToolResult("2", "", "no contact is called 'Bo'")),
        Message("assistant", "Done."),
    ),
    (LOOK_UP,),
)

# --- there and back -----------------------------------------------------------------------------------------------------------------

VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=3), inner, max_size=2)),
    max_leaves=4,
)
OBJECTS = st.dictionaries(st.text(max_size=4), VALUES, max_size=3)
NAMES = st.text(min_size=1, max_size=6)
CALLS = st.builds(ToolCall, NAMES, OBJECTS, st.text(max_size=3))
RESULTS = st.builds(ToolResult, st.text(max_size=3), st.text(max_size=9), st.one_of(st.none(), st.text(max_size=5)))
MESSAGES = st.one_of(
    st.builds(Message, st.sampled_from(["system", "user"]), st.text(max_size=9)),
    st.builds(Message, st.just("assistant"), st.text(max_size=9), st.lists(CALLS, max_size=2).map(tuple)),
    st.builds(Message, st.just("tool"), result=RESULTS),
)
SCHEMAS = st.builds(
    lambda properties, required: {"type": "object", "properties": properties, "required": required},
    st.dictionaries(NAMES, OBJECTS, max_size=2),
    st.lists(NAMES, max_size=2),
)
SPECS = st.builds(ToolSpec, NAMES, st.text(max_size=9), SCHEMAS, st.one_of(st.none(), OBJECTS), st.booleans())


@given(st.builds(Conversation, st.lists(MESSAGES, min_size=1, max_size=3).map(tuple), st.lists(SPECS, max_size=2).map(tuple)))
def test_a_conversation_comes_back(conversation):
    assert Conversation.from_json(json.loads(json.dumps(conversation.to_json()))) == conversation


def test_the_shape_is_openais_but_for_arguments_that_are_objects():
    messages = TALK.to_json()["messages"]
    assert messages[2] == {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"type": "function", "id": "1", "function": {"name": "get_email_address", "arguments": {"name": "Ana"}}}],
    }
    assert messages[3] == {"role": "tool", "content": "ana@example.org", "tool_call_id": "1"}
    assert messages[4] == {"role": "tool", "content": "", "tool_call_id": "2", "error": "no contact is called 'Bo'"}
    assert Conversation.from_json(TALK.to_json()) == TALK


def test_what_a_tool_writes_and_returns_is_kept_only_where_it_is_said():
    assert LOOK_UP.to_json() == {
        "type": "function",
        "function": {"name": "get_email_address", "description": "Find it.", "parameters": LOOK_UP.parameters},
    }
    note = ToolSpec("create_note", "", LOOK_UP.parameters, {"type": "string", "format": "path"}, writes=True)
    function = note.to_json()["function"]
    assert function["return"] == {"type": "string", "format": "path"} and function["writes"] is True
    assert ToolSpec.from_json(note.to_json()) == note


def test_a_tool_without_its_wrapper_and_without_parameters():
    spec = ToolSpec.from_json({"name": "now", "description": None, "returns": {"type": "string"}})
    assert (spec.name, spec.description, spec.properties, spec.required, spec.returns) == ("now", "", {}, (), {"type": "string"})


def test_content_may_be_null_as_servers_send_it():
    assert Message.from_json({"role": "assistant", "content": None, "tool_calls": None}) == Message("assistant")
    assert ToolCall.from_json({"name": "now", "id": None}) == ToolCall("now")


# --- what cannot be read ------------------------------------------------------------------------------------------------------------


def calls(*some):
    return {"role": "assistant", "tool_calls": list(some)}


@pytest.mark.parametrize(
    ("read", "data", "sentence"),
    [
        (ToolSpec, {"function": {"description": "x"}}, "a tool needs a name: {'function': {'description': 'x'}}"),
        (ToolSpec, {"name": ""}, "a tool needs a name: {'name': ''}"),
        (ToolSpec, {"function": "now"}, "a tool needs a name: {'function': 'now'}"),
        (ToolSpec, ["now"], "a tool needs a name: ['now']"),
        (ToolSpec, {"name": "now", "description": ["x"]}, "tool 'now': the description must be a string, not list"),
        (ToolSpec, {"name": "now", "parameters": "none"}, "tool 'now': parameters must be a JSON Schema of type object"),
        (ToolSpec, {"name": "now", "parameters": {"properties": ["a"]}}, "tool 'now': parameters must be a JSON Schema of type object"),
        (ToolSpec, {"name": "now", "parameters": {"required": "zone"}}, "tool 'now': required must be a list of names"),
        (ToolSpec, {"name": "now", "parameters": {"required": [1]}}, "tool 'now': required must be a list of names"),
        (ToolSpec, {"name": "now", "return": "string"}, "tool 'now': return must be a JSON Schema, not str"),
        (ToolCall, {"function": {"arguments": {}}}, "a tool call needs a function name: {'function': {'arguments': {}}}"),
        (ToolCall, 7, "a tool call needs a function name: 7"),
        (ToolCall, {"name": "now", "arguments": '{"zone": "UTC"}'}, "call of 'now': arguments must be an object, not str"),
        (Message, {"content": "hi"}, "a message needs a role of system, user, assistant, tool: {'content': 'hi'}"),
        (Message, {"role": "bot"}, "a message needs a role of system, user, assistant, tool: {'role': 'bot'}"),
        (Message, "hi", "a message needs a role of system, user, assistant, tool: hi"),
        (Message, {"role": "user", "content": [{"type": "text"}]}, "message content must be a string, not list"),
        (Message, {"role": "assistant", "tool_calls": {"name": "now"}}, "tool_calls must be a list, not dict"),
        (Message, calls({"function": {}}), "a tool call needs a function name: {'function': {}}"),
        (Message, {"role": "tool", "error": 404}, "the error of a tool message must be a string, not int"),
        (Conversation, {"messages": []}, "a conversation needs a non-empty list of messages"),
        (Conversation, {"tools": []}, "a conversation needs a non-empty list of messages"),
        (Conversation, [], "a conversation needs a non-empty list of messages"),
        (Conversation, {"messages": [{"role": "user"}], "tools": {"name": "now"}}, "the tools of a conversation must be a list, not dict"),
    ],
)
def test_a_sentence_says_what_is_wrong(read, data, sentence):
    with pytest.raises(DataError, match=f"^{re.escape(sentence)}$"):
        read.from_json(data)


def test_a_long_row_is_not_told_whole():
    with pytest.raises(DataError) as error:
        ToolSpec.from_json({"description": "x" * 10_000})
    assert len(str(error.value)) < 150
