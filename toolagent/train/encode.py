"""Conversation -> (token ids, which of them are learned), for every trainer.

`compact` is encoded by its own rendering; any other model by its chat template, whatever that does to earlier turns (see template_encoder).
Learned: the assistant's words and its end of turn; the prompt, the tools and their results are not.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from toolagent.dialects import compact, template
from toolagent.errors import DataError
from toolagent.types import Conversation, Message


@dataclass(frozen=True)
class Row:
    """`ids` (T,), `learned` (T,) of 0, 1 or 2: 1 the assistant's tokens, 2 the request's own words (learned with a weight, if at all)."""

    ids: tuple[int, ...]
    learned: bytes
    name: str = ""
    group: str = ""  # rows of one group begin with the same tokens (their tools)
    head: int = 0  # how many of them a request and its answer can do without
    more: tuple[Row, ...] = ()  # the later turns of the conversation, where they do not fit into one row (see template_encoder)

    @property
    def key(self) -> str:
        """What an answer about this row is kept by: its tokens and which of them are learned (sha256, 24 hex digits)."""
        return hashlib.sha256(json.dumps([self.ids, self.learned.hex()]).encode()).hexdigest()[:24]

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


THOUGHT = r"(?:(?:<think>|<\|START_THINKING\|>|<\|channel>thought)\s*)"  # DeepSeek, Qwen and many; Command R; Gemma 4
CLOSED = r"(?:</think>|<\|END_THINKING\|>|<channel\|>)"
ASKED = re.compile(rf"{THOUGHT}({CLOSED}\s*)?\Z")  # a prompt that opens a thought, or holds an empty one
EMPTY = re.compile(rf"{THOUGHT}?{CLOSED}")
MARK = r"<[^<>\s]+>"


def template_encoder(tokenizer: Any) -> Encoder:
    """For a model with a chat template, asked as `renderer` in dialects/template.py asks it.

    A turn of the assistant is learned behind the very prompt that asks for it when the model is served, token for token. Turns share a row
    while each prompt begins with the row so far. Many templates rewrite what went before: they drop the thoughts of earlier turns (Qwen 3 an
    empty one, too), show the tools beside the last request (Mistral), end the last turn with a mark of its own (gpt-oss). There a new row
    begins, with the history as it is then served: one row in which each turn looks as it did when it was new (TRL's way) would train on
    histories that no server shows. Each turn is learned once; the later rows are the first one's `more`.

    An empty thought that a template writes into the newest turn is learned where the prompt does not hold it: so the row is right for a model
    that is served with thoughts on and for one with thoughts off, whose prompt holds it.

    Raises DataError for a template that cannot be learned from: one that refuses the conversation, leaves out tools, calls or answers, opens a
    thought that its answers do not close, does not end an answer with a mark, or shows the answer behind something else than the prompt.
    """
    render = template.renderer(tokenizer)
    marks = {*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder}
    headers: dict[str, str] = {}  # role of the last message -> what a prompt adds to it, to open the assistant's turn

    def tokens(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])

    def turn(conversation: Conversation, i: int) -> tuple[list[int], list[int]]:
        """Message i, the assistant's -> the tokens of its prompt and of its answer."""
        before, upto = (replace(conversation, messages=conversation.messages[:n]) for n in (i, i + 1))
        prompt, whole = render(before, True), render(upto, False)
        if any(tool.name not in prompt for tool in conversation.tools):
            raise DataError("the chat template does not show the tools")
        role = "".join(m.role for m in before.messages[-1:])
        if role not in headers:
            plain = render(before, False)
            headers[role] = prompt[len(plain) :] if prompt.startswith(plain) else ""
        found = answer(prompt, whole, headers[role] or prompt[prompt.rfind(last_words(before)) :])
        if tokenizer.eos_token and tokenizer.eos_token in found:  # no model writes on behind it
            found = found[: found.index(tokenizer.eos_token) + len(tokenizer.eos_token)]
        found = found.rstrip("\n")  # behind the end of turn it is the next prompt's
        check(found, conversation.messages[i], prompt, headers[role])
        asked, both = tokens(prompt), tokens(prompt + found)
        said = both[len(asked) :] if both[: len(asked)] == asked else tokens(found)  # no token reaches from the prompt into the answer
        if not said or said[-1] not in marks:
            raise DataError("the chat template does not end the assistant's turn with a mark, so when to stop cannot be learned")
        return asked, said

    def encode(conversation: Conversation, name: str) -> Row:
        shown = json.dumps([template.tools(conversation), [m.content for m in conversation.messages if m.role == "system"]])
        rows: list[tuple[list[int], bytearray]] = []
        for i, message in enumerate(conversation.messages):
            if message.role != "assistant":
                continue
            asked, said = turn(conversation, i)
            if not rows or asked[: len(rows[-1][0])] != rows[-1][0]:
                rows.append(([], bytearray()))
            ids, learned = rows[-1]
            new = asked[len(ids) :]
            ids += new + said
            learned += bytes(len(new)) + b"\1" * len(said)
        found = [Row(tuple(ids), bytes(learned), name, str(hash(shown))) for ids, learned in rows]
        return replace(found[0], more=tuple(found[1:])) if found else Row((), b"", name)

    return encode


def answer(prompt: str, whole: str, header: str) -> str:
    """What the assistant writes behind `prompt`, found in `whole`, which ends with its turn. `header`: with what the prompt ends.

    Where `whole` does not begin with the prompt, the answer stands behind the prompt without its thought (QwQ, Gemma 4), or behind the next
    header, if nothing but marks was put before it (Hermes, at the end of the tools' turn). Raises DataError.
    """
    asked = ASKED.search(prompt)
    opened = asked is not None and asked[1] is None
    if whole.startswith(prompt):
        found = whole[len(prompt) :]
    elif asked and whole.startswith(prompt[: asked.start()]):
        found = whole[asked.start() :]
        if empty := EMPTY.match(found):
            found = re.sub(rf"\A{THOUGHT}", "", found) if opened else found[empty.end() :]
    else:
        same = len(os.path.commonprefix([prompt, whole]))
        at = whole.find(header, max(0, same - len(header))) if header else -1
        if at < 0 or not re.fullmatch(rf"(\s|{MARK})*", whole[same:at]):
            raise DataError("the chat template rewrites earlier turns, so its answers cannot be told from its prompt")
        found = whole[at + len(header) :]
    if opened and not re.search(CLOSED, found):
        raise DataError("the chat template opens a thought, and its answers do not close it")
    return found


def last_words(conversation: Conversation) -> str:
    said = [m.result.error or m.result.output if m.result else m.content for m in conversation.messages[-1:]]
    return "".join(said).strip()


def check(found: str, message: Message, prompt: str, header: str) -> None:
    """Is this text of the template the whole message, and nothing beside it? Raises DataError."""
    names = Counter(call.name for call in message.tool_calls)
    lost = sum(max(n - found.count(name), 0) for name, n in names.items())
    if lost and lost == names.total():
        raise DataError("the chat template leaves out the tool calls")
    if lost:
        raise DataError(f"the chat template writes one call a turn, and the assistant makes {names.total()} at once")
    if not names and message.content.rpartition("</think>")[2].strip() not in found:
        raise DataError("the chat template leaves out the answer")
    same = os.path.commonprefix([found[::-1], prompt.removesuffix(header).rstrip("\n")[::-1]])[::-1]  # with what both end
    opening = re.match(MARK, header)
    if opening and opening[0] in same or not header and len(re.findall(MARK, same)) > 1:
        raise DataError("the chat template goes on behind the answer, with what asks for the next one")


def encoder_for(tokenizer: Any, dialect: str) -> Encoder:
    return compact_encoder(tokenizer) if dialect == "compact" else template_encoder(tokenizer)
