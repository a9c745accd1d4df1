"""A teacher's answer, as models write them, read leniently and judged strictly."""

from __future__ import annotations

import json

import pytest

from toolagent.datagen.answers import candidates, seed_row
from toolagent.types import ToolSpec

WORDS, PHONE = {"type": "string"}, {"type": "string", "format": "phone"}
SPECS = (
    ToolSpec("find_number", "", {"type": "object", "properties": {"name": WORDS}, "required": ["name"]}, PHONE),
    ToolSpec(
        "text", "",
        {
            "type": "object",
            "properties": {
                "to": {"type": "array", "items": PHONE},
                "words": {"type": "string", "format": "text"},
                "when": {"type": "string", "format": "date-time"},
                "minutes": {"type": "integer"},
                "tone": {"type": "string", "enum": ["plain", "warm"]},
            },
            "required": ["to"],
        },
    ),
    ToolSpec("book", "", {"type": "object", "properties": {k: {"type": "string", "format": "date-time"} for k in ("start", "end")}}),
)  # fmt: skip
A, B = {"request": "a", "plan": []}, {"request": "b {c}", "plan": [{"tool": "f", "args": {"x": "}"}}]}


@pytest.mark.parametrize(
    ("text", "rows", "broken"),
    [
        (f"{json.dumps(A)}\n{json.dumps(B)}\n", [A, B], 0),
        (f"Here you are:\n```json\n{json.dumps([A, B], indent=2)}\n```\nMore?", [A, B], 0),
        (f"1. {json.dumps(A)}\n2. {json.dumps(B)},", [A, B], 0),
        (json.dumps({"rows": [A, B], "note": {"n": 2}}), [A, B], 0),
        (f'<think>{json.dumps(A)}</think>{json.dumps(B)}', [B], 0),
        (f'{{"request": "x", "plan": [{{"id": 1\n{json.dumps(A)}', [A], 1),
        ('{"request": "cut off in the mid', [], 1),
        ("I would rather not { talk } about it.", [], 0),
        ("", [], 0),
    ],
)
def test_rows_are_found_wherever_they_stand(text, rows, broken):
    assert candidates(text) == (rows, broken)


def row(request, plan, fits=True, swap=None):
    return seed_row({"request": request, "plan": plan, "swap": swap}, SPECS, fits)


def test_a_row_becomes_a_seed():
    plan = [
        {"id": 2, "name": "find_number", "arguments": '{"name": "ana"}'},
        {"id": 9, "function": {"name": "text", "arguments": {"to": ["$2"], "words": "Lunch moved.", "when": "at 1pm", "minutes": None}}},
    ]
    found, why = row("text  Ana at 1pm that lunch moved", plan, swap={"Ana": "person", "lunch": "meal", "moved": "topic", "1pm": "when"})
    assert why == "" and found == {
        "request": "text Ana at 1pm that lunch moved",
        "plan": [
            {"id": 1, "tool": "find_number", "args": {"name": "Ana"}},
            {"id": 2, "tool": "text", "args": {"to": ["$1"], "words": "Lunch moved.", "when": "1pm"}},
        ],
        "swap": {"1pm": "when", "Ana": "person", "moved": "topic"},
        "tags": ["teacher", "chain"],
    }


def text(**args):
    return [{"id": 1, "tool": "text", "args": {"to": ["555-0114"]} | args}]


def test_only_spans_that_request_and_plan_share_may_be_swapped():
    found, _ = row("a warm text to 555-0114 in 90 minutes, half an hour", text(tone="warm", minutes=90), swap={
        "warm": "topic", "90": "number", "half an hour": "duration", "text": "message", "Ana": "person",
    })  # fmt: skip
    assert found["swap"] == {"555-0114": "phone", "90": "number"}
    found, _ = row("text 555-0114 for half an hour", text(minutes=30), swap={"half an hour": "duration"})
    assert found["swap"] == {"555-0114": "phone", "half an hour": "duration"}
    found, _ = row("book it from 2pm to 4pm", [{"tool": "book", "args": {"start": "2pm", "end": "4pm"}}], swap={"2pm": "when"})
    assert found["swap"] == {}


@pytest.mark.parametrize(
    ("request_", "plan", "fits", "why"),
    [
        ("", [], False, "no request"),
        ("x" * 601, [], False, "a request too long"),
        ("hello", None, False, "no plan that can be run"),
        ("hello", [{"id": 1, "tool": "find_number", "args": []}], True, "no plan that can be run"),
        ("hello", [{"id": 1, "tool": "find_number", "args": {"name": "$2"}}, {"id": 2, "tool": "book"}], True, "no plan that can be run"),
        ("hello", [], True, "no step where tools were to be used"),
        ("hello", [{"tool": "fly", "args": {}}], True, "unknown tool"),
        ("hello", [{"tool": "find_number", "args": {}}], True, "arguments do not fit"),
        ("hello $4", [{"tool": "find_number", "args": {"name": "$4"}}], True, "a result of no step"),
        ("text 555-0114", text(tone="rude"), True, "arguments do not fit"),
        ("text 555-0115", text(), True, "words that are not in the request"),
        ("text 555-0114 on friday", text(when="2026-03-06"), True, "words that are not in the request"),
    ],
)
def test_what_may_not_be_trained_on(request_, plan, fits, why):
    assert row(request_, plan, fits) == (None, why)


def test_a_request_that_nothing_can_do():
    found, _ = row("book me a flight", [], fits=False)
    assert found == {"request": "book me a flight", "plan": [], "swap": {}, "tags": ["teacher", "empty"]}
