"""Models with a chat template or a server of their own: how they are asked for a whole plan in one turn, and how their calls are read.

Their tool calls know nothing of one another, so RULE tells them to write "$1" for the result of the first call. Reads OpenAI's tool_calls,
<tool_call>{"name", "arguments"}</tool_call> (Hermes, Qwen) and bare JSON (Llama 3: "parameters" for "arguments").
Left out: pythonic calls, models whose template has no place for tools.
"""

from __future__ import annotations

import json
import re
from typing import Any

from toolagent.errors import InvalidOutput
from toolagent.types import Conversation, Message, ToolCall

RULE = (
    "Make all the tool calls that the request needs in one answer, in the order of their use. "
    'Where an argument is the result of an earlier call, write "$1" for the result of the first call, "$2" for that of the second. '
    'Give dates and times in the words of the request, such as "Friday at 3pm". When no tool fits, call none and say so.'
)
BLOCK = re.compile(r"<tool_call>\s*(.*?)\s*(?:</tool_call>|\Z)", re.S)
THOUGHT = re.compile(r"<think>.*?(?:</think>|\Z)", re.S)
FENCE = re.compile(r"\A```(?:json)?\s*(.*?)\s*```\Z", re.S)


def messages(conversation: Conversation, arguments_as_text: bool = False) -> list[dict[str, Any]]:
    """OpenAI's messages, RULE among the system's words. A server wants arguments as text, a template as an object."""
    system = "\n".join([m.content for m in conversation.messages if m.role == "system"] + ([RULE] if conversation.tools else []))
    found: list[dict[str, Any]] = [{"role": "system", "content": system}] if system else []
    for message in conversation.messages:
        if message.role == "system":
            continue
        row = message.to_json()
        if message.result is not None and message.result.error is not None:
            row["content"] = f"error: {row.pop('error')}"
        for call in row.get("tool_calls", ()) if arguments_as_text else ():
            call["function"]["arguments"] = json.dumps(call["function"]["arguments"], ensure_ascii=False)
        found.append(row)
    return found


def tools(conversation: Conversation) -> list[dict[str, Any]]:
    """OpenAI's tools, without the keys that only we know."""
    functions = [{"name": t.name, "description": t.description, "parameters": t.parameters} for t in conversation.tools]
    return [{"type": "function", "function": function} for function in functions]


def calls(rows: Any) -> tuple[ToolCall, ...]:
    """[{"name", "arguments"}] or OpenAI's tool_calls -> calls "1".."n". Raises InvalidOutput."""
    found = []
    for k, row in enumerate(rows if isinstance(rows, list) else [rows], 1):
        function = row.get("function", row) if isinstance(row, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise InvalidOutput(f"call {k} has no name: {str(row)[:120]!r}")
        arguments = function.get("arguments", function.get("parameters")) or {}
        if isinstance(arguments, str):
            arguments = value(arguments, f"the arguments of call {k} ({function['name']})")
        if not isinstance(arguments, dict):
            raise InvalidOutput(f"the arguments of call {k} ({function['name']}) are no object: {str(arguments)[:120]!r}")
        found.append(ToolCall(function["name"], arguments, str(k)))
    return tuple(found)


def value(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidOutput(f"{what}: no JSON: {text[:120]!r}") from error


def parse(text: str) -> Message:
    """The model's turn -> calls, or its words. Raises InvalidOutput for a call that cannot be read."""
    text = THOUGHT.sub("", text).strip()
    if blocks := BLOCK.findall(text):
        return Message("assistant", "", calls([value(block, "a tool call") for block in blocks]))
    bare = (found[1] if (found := FENCE.match(text)) else text).removeprefix("<|python_tag|>").strip()
    if re.match(r'[\[{]\s*[\[{"]', bare) and '"name"' in bare:
        return Message("assistant", "", calls(value(bare, "a tool call")))
    return Message("assistant", text)
