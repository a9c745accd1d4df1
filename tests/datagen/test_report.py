"""What a file holds, counted by hand."""

from __future__ import annotations

import json
import re

import pytest

from toolagent.datagen.report import report, text
from toolagent.errors import DataError

TOOLS = [{"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for name in ("find", "send", "idle")]


def conversation(request, *calls, tools=TOOLS, tags=()):
    wishes = [{"type": "function", "id": str(k), "function": {"name": n, "arguments": a}} for k, (n, a) in enumerate(calls, 1)]
    answer = {"role": "assistant", "content": "", "tool_calls": wishes} if calls else {"role": "assistant", "content": "No."}
    return {"messages": [{"role": "user", "content": request}, answer], "tools": tools, "meta": {"tags": list(tags)}}


ROWS = [
    conversation(
        "find Ana and Sid, then write to both",
        ("find", {"n": "Ana"}), ("find", {"n": "Sid"}), ("send", {"to": ["$1", "$2"]}), tags=("chain", "mail"),
    ),
    conversation("Find Ana!", ("find", {"n": "Ana"}), tools=TOOLS[:1], tags=("mail",)),
    conversation("find ana", ("find", {"n": "ana"})),
    conversation("good morning"),
]  # fmt: skip


def written(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_figures_counted_by_hand(tmp_path):
    path = written(tmp_path / "train.jsonl", ROWS)
    assert report(path) == {
        "file": str(path), "rows": 4, "unique_requests": 3, "in_evaluation_sets": 0, "mean_words": 3.5, "longest_words": 8,
        "plans": 4, "plan_lengths": {"0": 1, "1": 2, "3": 1}, "mean_length": 1.25,
        "share_empty": 0.25, "share_linked": 0.25, "share_parallel": 0.25,
        "tools_shown_mean": 2.5, "tools_offered": 3, "never_called": ["idle"],
        "calls": {"find": 4, "send": 1}, "tags": {"mail": 2, "chain": 1},
    }  # fmt: skip


def test_the_text_says_the_same(tmp_path):
    lines = text(report(written(tmp_path / "train.jsonl", ROWS))).splitlines()
    assert lines[:3] == [
        "4 rows, 3 different requests of 3.5 words on average (the longest 8)",
        "4 plans of 1.25 steps on average; 25.0% empty, 25.0% where a step reads another's result, 25.0% with steps side by side",
        "2.5 tools shown on average, 3 in all, 1 of them never called",
    ]
    assert "     1        2   50.0%  ##############################" in lines and "       4  find" in lines and "       2  mail" in lines


def test_seeds_and_cases_are_counted_too(tmp_path):
    seed = {"request": "find Ana", "plan": [{"id": 1, "tool": "find", "args": {"n": "Ana"}}], "tags": ["single"]}
    found = report(written(tmp_path / "seeds.jsonl", [seed, {"request": "hello there", "plan": []}]))
    assert (found["rows"], found["tools_shown_mean"], found["never_called"], found["calls"]) == (2, None, [], {"find": 1})
    assert "tools shown" not in text(found)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("{", "no JSON"),
        ("[]", "every line must be an object"),
        ('{"rows": 1}', 'a row is a conversation ("messages") or a case ("request" and "plan")'),
        ('{"messages": []}', "a conversation needs a non-empty list of messages"),
        (json.dumps(conversation("x", ("find", {"n": "$1"}))), "step 1 (find) refers to its own result"),
        ('{"request": "x", "plan": [], "tags": "mail"}', "'tags' must be a list of texts"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(tmp_path, row, why):
    path = tmp_path / "train.jsonl"
    path.write_text(json.dumps(ROWS[0]) + "\n\n" + row + "\n")
    with pytest.raises(DataError, match=re.escape(f"{path}:3: {why}")):
        report(path)


def test_an_empty_file_is_no_report(tmp_path):
    with pytest.raises(DataError, match=r"train\.jsonl: no row in it"):
        report(written(tmp_path / "train.jsonl", []))
