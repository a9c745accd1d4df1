"""Models with a chat template or a server of their own: how they are asked for a whole plan in one turn, and how their calls are read.

Their tool calls know nothing of one another, so RULE tells them to write "$1" for the result of the first call. Reads OpenAI's tool_calls,
<tool_call>{"name", "arguments"}</tool_call> (Hermes, Qwen) and bare JSON (Llama 3: "parameters" for "arguments").
A tokenizer's own template is asked by `renderer`, in training as when the model runs: what it wants is found out once, and its date stands still.
Left out: pythonic calls, models whose template has no place for tools.
"""

from __future__ import annotations

import datetime
import hashlib
import itertools
import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from toolagent.errors import DataError, InvalidOutput
from toolagent.types import Conversation, Message, ToolCall, ToolResult, ToolSpec

RULE = (
    "Make all the tool calls that the request needs in one answer, in the order of their use. "
    'Where an argument is the result of an earlier call, write "$1" for the result of the first call, "$2" for that of the second. '
    'Give dates and times in the words of the request, such as "Friday at 3pm". When no tool fits, call none and say so.'
)
BLOCK = re.compile(r"<tool_call>\s*(.*?)\s*(?:</tool_call>|\Z)", re.S)
THOUGHT = re.compile(r"<think>.*?(?:</think>|\Z)", re.S)
FENCE = re.compile(r"\A```(?:json)?\s*(.*?)\s*```\Z", re.S)
DAY = datetime.date(2024, 7, 26)  # the date that templates tell (Llama 3.1 says this one by itself): today's would change the rows every day
CODES = "".join(f" | replace('%{c}', '{DAY.strftime('%' + c)}')" for c in "aAbBdmyYjHMSpI")
CLOCK = "{% macro strftime_now(how) %}{{ how" + CODES + " }}{% endmacro %}{{ '' }}"  # transformers hands no function of ours to a template
SAMPLE = Conversation(  # one call: what a template wants is tried on it
    (
        Message("user", "weather in Rome?"),
        Message("assistant", "", (ToolCall("weather", {"city": "Rome"}, "1"),)),
        Message("tool", result=ToolResult("1", "sunny")),
    ),
    (ToolSpec("weather", "The weather.", {"type": "object", "properties": {"city": {"type": "string", "description": "where"}}, "required": []}),),
)


def messages(conversation: Conversation, arguments_as_text: bool = False, nine: bool = False) -> list[dict[str, Any]]:
    """OpenAI's messages, RULE among the system's words. A server wants arguments as text, a template as an object; some want ids of `nine`
    letters (Mistral)."""
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
        if nine:
            row |= {"tool_calls": [call | {"id": nine_letters(call["id"])} for call in row["tool_calls"]]} if message.tool_calls else {}
            row |= {"tool_call_id": nine_letters(row["tool_call_id"])} if message.result is not None else {}
        found.append(row)
    return found


def nine_letters(name: str) -> str:
    """"1" -> "000000001"."""
    return name.zfill(9) if name.isalnum() and name.isascii() and len(name) <= 9 else hashlib.sha256(name.encode()).hexdigest()[:9]


def renderer(tokenizer: Any) -> Callable[[Conversation, bool], str]:
    """The function that renders by this tokenizer's chat template: (conversation, whether the assistant's turn is asked for) -> text.

    It raises DataError where the template refuses. Ids and arguments are given as the template wants them: the first way in which SAMPLE is
    taken, its arguments not written in Python's words. The date is DAY.
    """
    from jinja2 import TemplateError

    def render(conversation: Conversation, ask: bool, nine: bool, as_text: bool) -> str:
        shown = tools(conversation) or None
        try:
            text = tokenizer.get_chat_template(tools=shown)
            how = {"chat_template": CLOCK + text if "strftime_now" in text else text, "date_string": DAY.strftime("%d %b %Y")}
            told = messages(conversation, as_text, nine)
            return str(tokenizer.apply_chat_template(told, tools=shown, tokenize=False, add_generation_prompt=ask, **how))
        except (TemplateError, ValueError, TypeError, AttributeError) as error:
            raise DataError(f"the chat template refuses the conversation: {error}") from error

    def takes(conversation: Conversation, nine: bool, as_text: bool) -> bool:
        try:
            return "{'city': 'Rome'}" not in render(conversation, False, nine, as_text)
        except DataError:
            return False

    ways = itertools.product((False, True), repeat=2)
    nine, as_text = next((way for way in ways if takes(SAMPLE, *way)), (False, False))

    def rendered(conversation: Conversation, ask: bool) -> str:
        try:
            return render(conversation, ask, nine, as_text)
        except DataError as error:
            most = max((len(m.tool_calls) for m in conversation.messages), default=0)
            first = tuple(replace(m, tool_calls=m.tool_calls[:1]) for m in conversation.messages if m.result is None)
            if most > 1 and takes(Conversation(first, conversation.tools), nine, as_text):
                raise DataError(f"the chat template writes one call a turn, and the assistant makes {most} at once") from error
            raise

    return rendered


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
