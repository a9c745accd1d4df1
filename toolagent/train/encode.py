"""Conversation -> (token ids, which of them are learned), for every trainer.

`compact` is encoded by its own rendering; any other model by its chat template, whose assistant turns are found by rendering growing
prefixes. Learned: the assistant's words and its end of turn; the prompt, the tools and their results are not. A template that rewrites
earlier turns (some drop the thoughts of all turns but the last) cannot be masked that way and is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from toolagent.dialects import compact, template
from toolagent.errors import DataError
from toolagent.types import Conversation


@dataclass(frozen=True)
class Row:
    """`ids` (T,), `learned` (T,) of 0, 1 or 2: 1 the assistant's tokens, 2 the request's own words (learned with a weight, if at all)."""

    ids: tuple[int, ...]
    learned: bytes
    name: str = ""
    group: str = ""  # rows of one group begin with the same tokens (their tools)
    head: int = 0  # how many of them a request and its answer can do without

    @property
    def bare(self) -> Row:
        """The request and its answer alone."""
        return Row(self.ids[self.head :], self.learned[self.head :], self.name)


Encoder = Callable[[Conversation, str], Row]


def compact_encoder(tokenizer: Any) -> Encoder:
    prefixes: dict[str, tuple[int, ...]] = {}

    def ids_of(text: str) -> tuple[int, ...]:
        return tuple(tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids)

    def encode(conversation: Conversation, name: str) -> Row:
        head = compact.head(conversation)
        if head not in prefixes:
            prefixes[head] = ids_of(head)
        ids, learned = list(prefixes[head]), bytearray(len(prefixes[head]))
        for piece, kind in turns(compact.body(conversation)):
            found = ids_of(piece)
            ids += found
            learned += bytes([kind]) * len(found)
        return Row(tuple(ids), bytes(learned), name, str(hash(head)), len(prefixes[head]))

    return encode


def turns(text: str) -> list[tuple[str, int]]:
    """The text after the tools, cut into (piece, learned). A piece begins with a mark, so cutting does not change the tokens."""
    pieces: list[tuple[str, int]] = []
    at = 0
    while at < len(text):
        ends = [p for m in (compact.USER, compact.ASSISTANT, compact.TOOL) if (p := text.find(m, at + 1)) > 0]
        end = min(ends, default=len(text))
        piece = text[at:end]
        if piece.startswith(compact.ASSISTANT):
            pieces += [(compact.ASSISTANT, 0), (piece[len(compact.ASSISTANT) :], 1)]
        elif piece.startswith(compact.USER):
            pieces += [(compact.USER, 0), (piece[len(compact.USER) :], 2)]
        else:
            pieces.append((piece, 0))
        at = end
    return [p for p in pieces if p[0]]


def template_encoder(tokenizer: Any) -> Encoder:
    """For a model with a chat template, asked as dialects/template.py asks it. Raises DataError for a template that cannot be learned from:
    one that rewrites earlier turns, leaves out the tools or the calls, or does not end an answer with a mark."""
    from jinja2 import TemplateError

    marks = {*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder}

    def rendered(messages: Sequence[dict[str, Any]], tools: Sequence[dict[str, Any]] | None, generate: bool) -> str:
        try:
            return str(tokenizer.apply_chat_template(list(messages), tools=tools, tokenize=False, add_generation_prompt=generate))
        except (TemplateError, ValueError, TypeError) as error:
            raise DataError(f"the chat template refuses the conversation: {error}") from error

    def encode(conversation: Conversation, name: str) -> Row:
        messages = template.messages(conversation)
        tools = template.tools(conversation) or None
        ids: list[int] = []
        learned = bytearray()
        done = ""

        def add(text: str, kind: int) -> str:
            nonlocal done, ids, learned
            if not text.startswith(done):
                raise DataError("the chat template rewrites earlier turns, so its answers cannot be told from its prompt")
            piece, done = text[len(done) :], text
            found = tokenizer(piece, add_special_tokens=False)["input_ids"]
            ids += found
            learned += bytes([kind]) * len(found)
            return piece

        for i, message in enumerate(messages):
            if message["role"] != "assistant":
                continue
            prompt = add(rendered(messages[:i], tools, True), 0)
            if tools and not learned.count(1) and any(t["function"]["name"] not in prompt for t in tools):
                raise DataError("the chat template does not show the tools")
            answer = add(rendered(messages[: i + 1], tools, False).rstrip("\n"), 1)  # a "\n" behind the end of turn is the next prompt's
            if any(call["function"]["name"] not in answer for call in message.get("tool_calls", ())):
                raise DataError("the chat template leaves out the tool calls")
            if not ids or ids[-1] not in marks:
                raise DataError("the chat template does not end the assistant's turn with a mark, so when to stop cannot be learned")
        shown = json.dumps([tools, [m["content"] for m in messages if m["role"] == "system"]])
        return Row(tuple(ids), bytes(learned), name, str(hash(shown)))

    return encode


def encoder_for(tokenizer: Any, dialect: str) -> Encoder:
    return compact_encoder(tokenizer) if dialect == "compact" else template_encoder(tokenizer)
