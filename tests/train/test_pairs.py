"""Preferences as rows: the answer alone is learned, what a prompt shares is one tree, what cannot teach is counted."""

import json
import random

import pytest
from small import family

torch = pytest.importorskip("torch")

from toolagent.errors import DataError  # noqa: E402
from toolagent.train import pairs  # noqa: E402
from toolagent.train.encode import Row, encoder_for  # noqa: E402
from toolagent.train.pairs import Pair, families, last_turns  # noqa: E402
from toolagent.types import PreferencePair  # noqa: E402


def said(role, content):
    return {"role": role, "content": content}


PROMPT = [said("user", "one?"), said("assistant", "1"), said("user", "two?")]
ROW = {"prompt": PROMPT, "chosen": [said("assistant", "2")], "rejected": [said("assistant", "two of them")], "margin": 1}


@pytest.fixture
def encode():
    return encoder_for(family("chatml"), "template")


def written(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return [path]


def test_the_last_answer_alone_is_learned(tmp_path, encode):
    (pair,), report = pairs.read(written(tmp_path / "p.jsonl", ROW), encode, 512)
    tokenizer = family("chatml")
    told = [tokenizer.decode([i for i, kind in zip(row.ids, row.learned, strict=True) if kind]) for row in (pair.chosen, pair.rejected)]
    assert told == ["2<|im_end|>", "two of them<|im_end|>"]
    assert tokenizer.decode(pair.prompt).endswith("two?<|im_end|>\n<|im_start|>assistant\n")
    assert pair.margin == 1.0 and pair.name == "p.jsonl:1" and report.kept == 2


def test_stretches_before_the_answer_are_not_learned():
    row = Row(tuple(range(9)), bytes([0, 2, 0, 1, 1, 0, 1, 0, 1]))
    assert last_turns(row, 1).learned == bytes([0, 0, 0, 0, 0, 0, 1, 0, 1])
    assert last_turns(row, 0).learned == bytes([0, 0, 0, 1, 1, 0, 1, 0, 1])


def test_an_answer_in_a_later_row():
    later = Row((7, 8, 9), bytes([0, 0, 1]))
    row = Row((7, 8), bytes([0, 1]), more=(later,))
    assert last_turns(row, 1) == later
    with pytest.raises(DataError, match="one turn of the assistant each"):
        last_turns(row, 0)


def test_a_preference_is_written_as_it_is_read():
    assert PreferencePair.from_json(ROW).to_json() == ROW | {"tools": [], "margin": 1.0}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"margin": -1}, "from 0"),
        ({"margin": True}, "from 0"),
        ({"chosen": []}, "chosen must be a non-empty list"),
        ({"rejected": "no"}, "rejected must be a non-empty list"),
        ({"prompt": []}, "non-empty list of messages"),
        ({"chosen": [said("parrot", "2")]}, "role"),
        ({"rejected": [said("assistant", "") | {"tool_calls": [{"function": {"name": "add", "arguments": {}}}]}]}, "calls 'add'"),
    ],
)
def test_a_malformed_preference_is_named(tmp_path, encode, change, says):
    with pytest.raises(DataError, match=rf"p.jsonl:2: .*{says}"):
        pairs.read(written(tmp_path / "p.jsonl", ROW, ROW | change), encode, 512)


def test_what_cannot_teach_is_counted(tmp_path, encode):
    same = ROW | {"rejected": ROW["chosen"]}
    long = ROW | {"rejected": [said("assistant", "x" * 600)]}
    found, report = pairs.read(written(tmp_path / "p.jsonl", same, long, ROW), encode, 512)
    assert len(found) == 1 and dict(report.dropped) == {"chosen and rejected are the same": 1, "longer than 512 tokens": 1}
    with pytest.raises(DataError, match="no pair to train on .1 dropped: chosen and rejected are the same"):
        pairs.read(written(tmp_path / "p.jsonl", same), encode, 512)


def pair(prompt, chosen, rejected):
    rows = [Row((*prompt, *answer), bytes(len(prompt)) + bytes([1]) * len(answer)) for answer in (chosen, rejected)]
    return Pair(rows[0], rows[1], 0.0, str(len(prompt)))


STEPS = [pair((1, 2), (3, 4), (5,)), pair((1, 2, 3, 4, 9), (6, 7), (8, 8)), pair((1, 2, 3, 4, 9, 6, 7, 9), (4,), (7,))]


def test_steps_of_a_trajectory_are_one_tree():
    other = pair((1, 7), (3,), (4,))
    some = families([STEPS[1], other, STEPS[2], STEPS[0]], 100)
    assert [[p.name for p in family.pairs] for family in some] == [["2", "5", "8"], ["2"]]
    assert len(some[0].tree.ids) == 9 + 4  # the trajectory to its end, and what was not chosen


def test_a_tree_has_a_budget():
    assert [len(family.pairs) for family in families(STEPS, 9)] == [1, 1, 1]
    assert [len(family.pairs) for family in families(STEPS, 10)] == [2, 1]


def test_batches_keep_families_whole():
    some = families([pair((1, k), (3,) * (k % 5 + 1), (4,)) for k in range(40)], 100)
    made = pairs.batches(some, 24, 5, random.Random(0))
    assert sorted(p.name + str(p.prompt) for b in made for f in b for p in f.pairs) == sorted(p.name + str(p.prompt) for f in some for p in f.pairs)
    assert all(len(b) <= 5 and len(b) * max(len(f.tree.ids) - 1 for f in b) <= 24 for b in made)
