"""The openai runtime against a real server on loopback."""

from __future__ import annotations

import pytest

from toolagent.errors import ContextOverflow, InvalidOutput, NoModel, UsageError
from toolagent.runtimes.openai import OpenAI
from toolagent.types import Conversation, Message, ToolSpec

pytest_plugins = ("stage",)
NAME = {"type": "object", "properties": {"name": {"type": "string"}}}
TOOLS = (ToolSpec("get_phone_number", "Find a number.", NAME, {"type": "string"}),)
ASK = Conversation((Message("system", "Rules."), Message("user", "Ana's number?")), TOOLS)


def test_tools_go_in_and_calls_come_out(server):
    server.plans = [[("get_phone_number", {"name": "Ana"}), ("get_phone_number", {"name": "$1"})]]
    (message,) = OpenAI(server.url).generate(ASK, temperature=0.5, seed=7)
    assert [(c.id, c.name, c.arguments) for c in message.tool_calls] == [
        ("1", "get_phone_number", {"name": "Ana"}),
        ("2", "get_phone_number", {"name": "$1"}),
    ]
    (body,) = server.asked
    assert body["model"] == "scripted" and body["seed"] == 7 and body["temperature"] == 0.5  # the first model that the server lists
    assert body["tools"][0]["function"]["name"] == "get_phone_number"
    assert [m["role"] for m in body["messages"]] == ["system", "user"]


def test_several_answers_have_seeds_of_their_own(server):
    server.plans = ["one", "two"]
    assert [m.content for m in OpenAI(server.url, "m").generate(ASK, n=2)] == ["one", "two"]
    assert [body["seed"] for body in server.asked] == [0, 1]


def test_calls_left_in_the_text_are_found(server):
    server.plans = ['<tool_call>{"name": "get_phone_number", "arguments": {"name": "Ana"}}</tool_call>']
    assert OpenAI(server.url, "m").generate(ASK)[0].tool_calls[0].arguments == {"name": "Ana"}


def test_a_key_is_sent_here_or_over_https_only(server):
    server.plans = ["ok"]
    OpenAI(server.url, "m", "secret").generate(ASK)
    assert server.headers[-1]["Authorization"] == "Bearer secret"
    OpenAI(server.url, "m").generate(ASK)
    assert "Authorization" not in server.headers[-1]
    with pytest.raises(UsageError, match="use https"):
        OpenAI("http://example.org/v1", "m", "secret")
    OpenAI("https://example.org/v1", "m", "secret")  # nothing is asked yet


@pytest.mark.parametrize("url", ["", "localhost:8080", "ftp://x/v1", "http://"])
def test_addresses_that_are_none(url):
    with pytest.raises(UsageError, match="is no address of a server"):
        OpenAI(url, "m")


@pytest.mark.parametrize(
    "status, text, error, says",
    [
        (401, "bad key", NoModel, "--api-key-env"),
        (404, "no such model", NoModel, "--model"),
        (500, "on fire", NoModel, "answered 500: .*on fire"),
        (307, "", NoModel, "answered 307"),  # what was meant for one server goes to no other
        (400, "the request exceeds the available context size", ContextOverflow, "does not fit"),
        (400, "This model's maximum context length is 4096 tokens", ContextOverflow, "does not fit"),
    ],
)
def test_refusals(server, status, text, error, says):
    server.status, server.plans = status, [text]
    with pytest.raises(error, match=says):
        OpenAI(server.url, "m", "key").generate(ASK)
    assert len(server.headers) == 1


@pytest.mark.parametrize(
    "raw",
    [b"<html>", b"[]", b"{}", b'{"choices": []}',
     b'{"choices": [{"message": {"tool_calls": [{"function": {"name": "a", "arguments": "{"}}]}}]}',
     b'{"choices": [{"finish_reason": "length", "message": {"content": "<tool"}}]}', b"\xff\xfe"],
)  # fmt: skip
def test_answers_that_are_none(server, raw):
    server.raw, server.plans = raw, ["x"]
    with pytest.raises(InvalidOutput):
        OpenAI(server.url, "m").generate(ASK)


def test_a_server_without_models(server):
    server.raw = b'{"data": []}'
    with pytest.raises(NoModel, match="--model"):
        OpenAI(server.url)


def test_nobody_listens():
    with pytest.raises(NoModel, match="is the server running"):
        OpenAI("http://127.0.0.1:9/v1", "m").generate(ASK)
