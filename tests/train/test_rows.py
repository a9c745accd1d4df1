"""What becomes of the rows of a file: kept, dropped with a reason, or refused with path and line."""

from __future__ import annotations

import json

import pytest

from toolagent.errors import DataError
from toolagent.train.encode import Row
from toolagent.train.rows import Report, read, shown

USER = {"role": "user", "content": "hi"}
CALL = {"role": "assistant", "tool_calls": [{"function": {"name": "ring", "arguments": {}}}]}
RING = {"type": "function", "function": {"name": "ring"}}


def encode(conversation, name):
    """A toy: a token a letter; the assistant's are learned."""
    ids, learned = [], []
    for m in conversation.messages:
        text = m.content + "".join(c.name for c in m.tool_calls)
        ids += map(ord, text)
        learned += [m.role == "assistant"] * len(text)
    return Row(tuple(ids), bytes(learned), name)


def file(tmp_path, *lines):
    path = tmp_path / "data.jsonl"
    path.write_bytes(b"".join((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines))
    return path


def test_the_report_counts(tmp_path):
    path = file(
        tmp_path,
        {"messages": [USER, CALL], "tools": [RING], "meta": {"id": "first"}},  # 2 + 4 tokens, 4 learned
        b"",
        {"messages": [{"role": "user", "content": "x" * 50}, CALL], "tools": [RING]},
        {"messages": [USER]},
        {"messages": [USER, {"role": "assistant", "content": "bye"}]},  # 2 + 3 tokens, 3 learned
    )
    rows, report = read([path], encode, context=20)
    assert [r.name for r in rows] == ["first", "data.jsonl:5"]
    assert report == Report(2, {"longer than 20 tokens": 1, "no assistant turn to learn": 1}, tokens=11, learned=7, longest=6)
    assert report.text().splitlines() == [
        "2 rows kept, 11 tokens, 63.6% of them learned, longest row 6 tokens",
        "  dropped 1: longer than 20 tokens",
        "  dropped 1: no assistant turn to learn",
    ]
    assert len(read([path], encode, context=20, limit=1)[0]) == 1


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"{", "Expecting property name"),
        (b"\xff{}", "can't decode byte 0xff"),
        (b"[]", "a conversation needs a non-empty list of messages"),
        ({"messages": []}, "a conversation needs a non-empty list of messages"),
        ({"messages": "hi"}, "a conversation needs a non-empty list of messages"),
        ({"messages": [{"role": "robot"}]}, "a message needs a role of"),
        ({"messages": [USER, CALL]}, "the assistant calls 'ring', which is not among the tools offered"),
        ({"messages": [USER, CALL], "tools": [{"function": {}}]}, "a tool needs a name"),
        ({"messages": [USER, CALL], "tools": 3}, "not iterable"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "ring", "arguments": "{}"}}]}]},
            "must be an object, not str",
        ),
        (b"[" * 100_000, "recursion"),
    ],
)
def test_a_bad_line_is_named(tmp_path, line, why):
    path = file(tmp_path, {"messages": [USER, CALL], "tools": [RING]}, line)
    with pytest.raises(DataError, match=why) as caught:
        read([path], encode, 100)
    assert str(caught.value).startswith(f"{path}:2: ")


def test_what_the_encoder_refuses_is_named_too(tmp_path):
    def strict(conversation, name):
        raise DataError("the chat template does not show the tools")

    path = file(tmp_path, {"messages": [USER, CALL], "tools": [RING]})
    with pytest.raises(DataError, match=r"data\.jsonl:1: the chat template does not show the tools"):
        read([path], strict, 100)


def test_a_missing_file_and_an_empty_one(tmp_path):
    with pytest.raises(DataError, match="none.jsonl: No such file"):
        read([tmp_path / "none.jsonl"], encode, 100)
    with pytest.raises(DataError, match="data.jsonl: no row to train on$"):
        read([file(tmp_path)], encode, 100)
    with pytest.raises(DataError, match=r"no row to train on \(1 dropped: longer than 3 tokens\)"):
        read([file(tmp_path, {"messages": [USER, CALL], "tools": [RING]})], encode, 3)


class Letters:
    @staticmethod
    def decode(ids):
        return "".join(map(chr, ids))


def test_a_row_is_shown_with_what_is_learned_marked():
    row = Row(tuple(map(ord, "ask: yes. ok")), bytes([0] * 5 + [1] * 4 + [2] + [1] * 2))
    assert shown(row, Letters, colour=False) == "ask: [yes.] [ok]"
    assert shown(row, Letters) == "ask: \x1b[32myes.\x1b[0m \x1b[32mok\x1b[0m"
