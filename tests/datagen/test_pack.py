"""Training data for a pack that nobody wrote a request for, and for one with a few seeds: examples/garden."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from toolagent.datagen import pack as page
from toolagent.datagen.compose import Example
from toolagent.datagen.filters import conversation_fault, fingerprint
from toolagent.datagen.grounding import dangling, grounded
from toolagent.datagen.pack import load_seeds, strange, synthesize_pack, vocabulary
from toolagent.datagen.synthesize import NOTHING
from toolagent.errors import DataError
from toolagent.plan import number, references
from toolagent.toolbox import load_pack
from toolagent.types import Conversation, ToolCall, ToolSpec

GARDEN = load_pack(Path(__file__).parents[2] / "examples" / "garden")
SPECS = tuple(tool.spec for tool in GARDEN.tools)
SEEDS = (
    {"request": "the tomatoes look thirsty, 10 litres", "swap": {"tomatoes": "topic", "10": "number"}, "tags": ["hint"], "plan": [
        {"id": 1, "tool": "find_bed", "args": {"crop": "tomatoes"}}, {"id": 2, "tool": "water_bed", "args": {"bed": "$1", "litres": 10}}]},
    {"request": "put 3 rows of leeks in by the shed", "plan": []},
)  # fmt: skip


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def request(row: dict[str, Any]) -> str:
    return next(m["content"] for m in row["messages"] if m["role"] == "user")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    out = tmp_path_factory.mktemp("garden")
    return synthesize_pack(SPECS, GARDEN.rules, out, n=400, valid=60, workers=1), out


def test_a_pack_without_seeds(made):
    report, out = made
    assert report["silent"] == [] and report["seeds"] == 0
    assert (report["train"]["rows"], report["valid"]["rows"]) == (400, 60)
    assert json.loads((out / "report.json").read_text()) == report
    train = rows(out / "train.jsonl")
    assert {call["function"]["name"] for row in train for call in row["messages"][-1].get("tool_calls", ())} >= {s.name for s in SPECS}
    assert all(row["messages"][0]["content"] == GARDEN.rules for row in train)


def test_no_request_twice_and_none_in_both_files(made):
    _, out = made
    prints = [fingerprint(request(row)) for name in ("train", "valid") for row in rows(out / f"{name}.jsonl")]
    assert len(set(prints)) == len(prints) == 460


def test_every_row_is_valid_and_in_the_words_of_its_request(made):
    _, out = made
    for row in rows(out / "train.jsonl"):
        conversation = Conversation.from_json(row)
        plan = conversation.messages[-1].tool_calls
        assert conversation_fault(conversation) is None and not dangling(plan)
        assert grounded(request(row), plan, conversation.tools, free=()) == (plan, []), row
        assert plan or row["messages"][-1]["content"] == NOTHING


def test_what_it_is_made_of(made):
    _, out = made
    train = rows(out / "train.jsonl")
    tags = [set(row["meta"]["tags"]) for row in train]
    empty = sum(not row["messages"][-1].get("tool_calls") for row in train)
    assert 20 <= empty <= 100  # a tenth that nothing fits, and some for tools that are not shown
    assert sum("chain" in t for t in tags) > 20 and sum("composed" in t for t in tags) > 80
    assert {"nothing fits", "not shown"} <= set().union(*tags)


def test_strange_tools_stand_beside_the_packs(tmp_path, monkeypatch):
    monkeypatch.setattr(page, "SHOWN", (("beside", 1.0),))
    synthesize_pack(SPECS, "", tmp_path, n=40, valid=1, workers=1)
    own = {spec.name for spec in SPECS}
    for row in rows(tmp_path / "train.jsonl"):
        assert own < {t["function"]["name"] for t in row["tools"]}
        assert {call["function"]["name"] for call in row["messages"][-1].get("tool_calls", ())} <= own


def test_the_same_seed_gives_the_same_bytes_with_two_workers(made, tmp_path):
    _, out = made
    synthesize_pack(SPECS, GARDEN.rules, tmp_path, n=400, valid=60, workers=2)
    for name in ("train.jsonl", "valid.jsonl", "report.json"):
        assert (tmp_path / name).read_bytes() == (out / name).read_bytes()


def test_seeds_are_multiplied(tmp_path):
    seeds = tmp_path / "seeds.jsonl"
    seeds.write_text("\n".join(json.dumps(row) for row in SEEDS))
    report = synthesize_pack(SPECS, "", tmp_path, [seeds], n=240, valid=10, workers=1)
    assert report["seeds"] == 2
    hints = [row for row in rows(tmp_path / "train.jsonl") if "look thirsty" in request(row) and row["messages"][-1].get("tool_calls")]
    assert len({request(row) for row in hints}) > 3
    for row in hints:
        plan = Conversation.from_json(row).messages[-1].tool_calls
        assert any("thirsty" in request(row) and call.name == "water_bed" and references(call.arguments) for call in plan)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"request": "x", "plan": [{"tool": "water", "args": {}}]}, "no tool \"water\"; nearest: \"water_bed\""),
        ({"request": "x", "plan": [{"tool": "water_bed", "args": {"bed": "x"}}]}, "water_bed: missing argument litres: how much"),
        ({"request": "x", "plan": [{"tool": "find_bed", "args": {"crop": "$3"}}]}, "there is no step $3"),
        ({"plan": []}, "the row has no 'request'"),
    ],
)  # fmt: skip
def test_a_wrong_seed_is_named_with_its_line(tmp_path, row, why):
    path = tmp_path / "seeds.jsonl"
    path.write_text(json.dumps(SEEDS[0]) + "\n\n" + json.dumps(row) + "\n")
    with pytest.raises(DataError) as error:
        load_seeds([path], SPECS)
    assert str(error.value).startswith(f"{path}:3: {why}")
    with pytest.raises(DataError, match="nothing.jsonl: No such file"):
        load_seeds([tmp_path / "nothing.jsonl"], SPECS)


def test_a_pack_with_little_to_say_gives_fewer_rows_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(page, "SHOWN", (("whole", 1.0),))
    monkeypatch.setattr(page, "NOTHING_FITS", 0.0)
    monkeypatch.setattr(page, "signed", lambda wanted, links, filler, rng: Example(f"ring {rng.randint(1, 9)}", number([ToolCall("ring")])))
    report = synthesize_pack((ToolSpec("ring", "Ring."),), "", tmp_path, n=30, valid=5, workers=1)
    assert (report["valid"]["rows"], report["train"]["rows"], report["train"]["asked"]) == (5, 4, 30)
    assert len(rows(tmp_path / "train.jsonl")) == 4 and report["train"]["dropped"]["duplicate"] > 100


def test_a_pack_without_words_says_what_to_do(tmp_path):
    mute = ToolSpec("f", "F.", {"type": "object", "properties": {"x": {"enum": []}}, "required": ["x"]})
    with pytest.raises(DataError, match="no request can be made for f; write seeds"):
        synthesize_pack((mute,), "", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    report = synthesize_pack((mute, *SPECS), "", tmp_path, n=40, valid=5, workers=1)
    assert report["silent"] == ["f"]


def test_strangers_share_no_word_with_the_pack():
    own = vocabulary(SPECS)
    assert {"bed", "crop", "harvest", "litre", "frost"} <= own and not {"the", "day", "find"} & own
    assert strange("book me a flight to Porto", (), own) and not strange("is the harvest in?", (), own)
