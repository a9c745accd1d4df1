"""compact: the dialect of small models trained from scratch; every token of it is there to be copied or chosen.

    <|system|> Look up an address first ...
    <|tools|>
     get_email_address(name) -> email # Find a contact's e-mail address.
     send_sms(recipients: phone[], message: text) # Draft a text message.
    <|user|> text Ana that lunch moved
    <|assistant|><|plan|>
    1 get_phone_number(name=" Ana")
    2 send_sms(recipients=[$1], message=" lunch moved")
    <|end|>

A string starts with a space, so that a word has the same tokens in a value as in the request (byte-level BPE glues the space to the word);
for the same reason the request's opening quotes and brackets are followed by one. A whole-string "$k" stands bare. Text with the marks of
this dialect ("<|") is broken up, so that no request or result can forge a turn. An answer without calls is plain text.

Left out: free text beside calls, parallel turns of several tools' results in another order than their calls.
"""

from __future__ import annotations

import json
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from toolagent.errors import InvalidOutput
from toolagent.types import Conversation, Message, ToolCall, ToolSpec

SYSTEM, TOOLS, USER, ASSISTANT, PLAN, TOOL, END = (
    "<|system|>", "<|tools|>", "<|user|>", "<|assistant|>", "<|plan|>", "<|tool|>", "<|end|>",
)  # fmt: skip
MARKS = (END, SYSTEM, TOOLS, USER, ASSISTANT, PLAN, TOOL)
TEMPLATE = pathlib.Path(__file__).with_name("compact.jinja")  # render() for those who read chat templates, such as llama-server
KINDS = {"email": "email", "phone": "phone", "path": "path", "uri": "link", "date-time": "when", "text": "text"}
NOTHING = "None of these tools can do that."  # an answer without calls, as it is trained and said
DESCRIPTION_WORDS = 12  # a small model reads a dozen words of a tool's description; the rest costs prompt and teaches nothing

REFERENCE = re.compile(r"\$(\d+)")
OPENING = re.compile(r"""(?<!\S)(["'“‘«(\[]+)(?=\w)""")
OPENED = re.compile(r"""(?<!\S)((?:\\"|["'“‘«(\[])+) (?=\w)""")
ESCAPED_OPENING = re.compile(r"""(?<!\S)((?:\\"|['“‘«(\[])+)(?=\w)""")


def plain(text: str) -> str:
    """Foreign text on one line, marks broken."""
    return " ".join(text.replace("<|", "< |").split())


def words(text: str) -> str:
    """The same with a space after each opening quote or bracket: as the model reads a request."""
    return OPENING.sub(r"\1 ", plain(text))


def signature(spec: ToolSpec) -> str:
    """`name(a, b?: int) -> email # Description.`"""
    parameters = ", ".join(
        f"{name}{'' if name in spec.required else '?'}{': ' + kind if (kind := type_of(schema)) else ''}"
        for name, schema in spec.properties.items()
    )
    returns = f" -> {kind}" if spec.returns and (kind := type_of(spec.returns)) else ""
    first = words(re.split(r"(?<=[.!?])\s", spec.description.strip(), maxsplit=1)[0]).split()
    description = " # " + " ".join(first[:DESCRIPTION_WORDS]) if first else ""
    return plain(f"{spec.name}({parameters}){returns}") + description


def type_of(schema: Any) -> str:
    """A JSON Schema in a word or two; "" is a plain string."""
    if not isinstance(schema, Mapping):
        return "any"
    if "enum" in schema:
        return "|".join(v if isinstance(v, str) and v else json.dumps(v) for v in schema["enum"])
    kind = schema.get("type")
    if kind == "string":
        return KINDS.get(schema.get("format", ""), "")
    if kind == "array":
        return (type_of(schema["items"]) if "items" in schema else "any") + "[]"
    if kind == "object" and schema.get("properties"):
        return "{" + ", ".join(f"{k}{': ' + t if (t := type_of(s)) else ''}" for k, s in schema["properties"].items()) + "}"
    return {"integer": "int", "number": "num", "boolean": "bool", "object": "object"}.get(str(kind), "any")


def prefix(tools: Sequence[ToolSpec], system: str = "") -> str:
    """The stable part of a prompt: rules and tools. What changes from request to request comes after it."""
    head = f"{SYSTEM} {words(system)}\n" if system.strip() else ""
    return head + TOOLS + "\n" + "".join(f" {signature(t)}\n" for t in tools)


def head(conversation: Conversation) -> str:
    """The prefix of this conversation's prompt."""
    return prefix(conversation.tools, " ".join(m.content for m in conversation.messages if m.role == "system"))


def render(conversation: Conversation) -> str:
    """The prompt for the next assistant turn (or the whole conversation, when its last message is the assistant's)."""
    return head(conversation) + body(conversation)


def body(conversation: Conversation) -> str:
    """What a prompt says behind its head."""
    parts = []
    for message in conversation.messages:
        if message.role == "user":
            parts.append(f"{USER} {words(message.content)}\n")
        elif message.role == "tool" and message.result is not None:
            outcome = f"error: {message.result.error}" if message.result.error is not None else message.result.output
            parts.append(f"{TOOL} {plain(message.result.call_id)} {words(outcome)}\n")
        elif message.role == "assistant":
            parts.append(ASSISTANT + answer(message))
    if conversation.messages[-1].role != "assistant":
        parts.append(ASSISTANT)
    return "".join(parts)


def answer(message: Message) -> str:
    """The assistant's turn up to and with its end: what a model is trained to write."""
    if not message.tool_calls:
        return f" {words(message.content)}{END}"
    return PLAN + "\n" + "".join(f"{k} {call_text(c)}\n" for k, c in enumerate(message.tool_calls, 1)) + END


def call_text(call: ToolCall) -> str:
    return f"{call.name}({', '.join(f'{k}={value_text(v)}' for k, v in call.arguments.items())})"


def value_text(value: Any) -> str:
    if isinstance(value, str):
        return value if REFERENCE.fullmatch(value) else string_text(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(value_text(v) for v in value) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json_text(k)}: {value_text(v)}" for k, v in value.items()) + "}"
    return json.dumps(value, allow_nan=False)


def json_text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("<|", "\\u003c|")


def string_text(text: str) -> str:
    """JSON, with a first space, and a space after each opening quote as in the request; one that stood there already is written \\u0020."""
    return f'"{" " if text else ""}{escaped(text)}"'


def escaped(text: str) -> str:
    """The inside of a JSON string for this text, spaced as the request is."""
    inside = json_text(text)[1:-1]
    inside = OPENED.sub(r"\1\\u0020", inside)
    return ESCAPED_OPENING.sub(r"\1 ", inside)


def parse(text: str) -> Message:
    """The model's turn -> Message with calls "1".."n", or with text. Raises InvalidOutput with the place that does not parse."""
    text = text.split(END)[0].removeprefix(ASSISTANT)
    if not text.startswith(PLAN):
        return Message("assistant", OPENED.sub(r"\1", text.strip()))
    calls: list[ToolCall] = []
    for line in text[len(PLAN) :].strip("\n").split("\n"):
        if line:
            calls.append(parse_call(line, len(calls) + 1))
    if not calls:
        raise InvalidOutput("the plan has no steps")
    return Message("assistant", "", tuple(calls))


CALL = re.compile(r"(\d+) ([^\s()]+)\(")
KEY = re.compile(r"([^\s=(),\"]+)=")


def parse_call(line: str, number: int) -> ToolCall:
    head = CALL.match(line)
    if head is None or int(head[1]) != number:
        raise InvalidOutput(f"step {number}: expected '{number} tool(...)', found {line[:80]!r}")
    at, arguments = head.end(), {}
    while at < len(line) and line[at] != ")":
        key = KEY.match(line, at)
        if key is None:
            raise InvalidOutput(f"step {number}: expected name=value at {line[at : at + 40]!r}")
        try:
            value, at = parse_value(line, key.end(), number)
        except RecursionError as error:
            raise InvalidOutput(f"step {number}: the value at {line[at : at + 40]!r} is nested too deeply") from error
        arguments[key[1]] = value
        at = next_item(line, at, ")", number)
    if line[at:] != ")":
        raise InvalidOutput(f"step {number}: the call does not end with ')': {line[-40:]!r}")
    return ToolCall(head[2], arguments, str(number))


def parse_value(line: str, at: int, number: int) -> tuple[Any, int]:
    """(value, place after it)."""
    if found := REFERENCE.match(line, at):
        return found[0], found.end()
    if line.startswith("[", at):
        items: list[Any] = []
        at += 1
        while not line.startswith("]", at):
            item, at = parse_value(line, at, number)
            items.append(item)
            at = next_item(line, at, "]", number)
        return items, at + 1
    if line.startswith("{", at):
        pairs: dict[str, Any] = {}
        at += 1
        while not line.startswith("}", at):
            key, at = decode(line, at, number)
            if not isinstance(key, str) or not line.startswith(": ", at):
                raise InvalidOutput(f'step {number}: expected "key": value at {line[at : at + 40]!r}')
            pairs[key], at = parse_value(line, at + 2, number)
            at = next_item(line, at, "}", number)
        return pairs, at + 1
    if line.startswith('"', at):
        end = re.compile(r'"(?:[^"\\]|\\.)*"').match(line, at)
        if end is None:
            raise InvalidOutput(f"step {number}: a string does not end: {line[at : at + 40]!r}")
        inside = OPENED.sub(r"\1", end[0][2:-1] if end[0].startswith('" ') else end[0][1:-1])
        return decode(f'"{inside}"', 0, number)[0], end.end()
    return decode(line, at, number)


def next_item(line: str, at: int, close: str, number: int) -> int:
    """The place of the next item, or of the closing sign."""
    if line.startswith(close, at):
        return at
    if not line.startswith(", ", at) or line.startswith(close, at + 2):
        raise InvalidOutput(f"step {number}: expected ', ' and more, or {close!r}, at {line[at : at + 40]!r}")
    return at + 2


def decode(text: str, at: int, number: int) -> tuple[Any, int]:
    try:
        return json.JSONDecoder(parse_constant=lambda name: (_ for _ in ()).throw(ValueError(name))).raw_decode(text, at)
    except (ValueError, RecursionError) as error:
        raise InvalidOutput(f"step {number}: no value at {text[at : at + 40]!r}") from error
