"""600 rows of the default pack: valid, different, held apart from validation and evaluation, and the same whoever makes them."""

import json
import os
import random
import subprocess
import sys
from collections import Counter
from dataclasses import fields, replace

import pytest

from toolagent.datagen import filters
from toolagent.datagen.compose import Example
from toolagent.datagen.filters import conversation_fault, evaluation_hashes, fingerprint
from toolagent.datagen.seeds import Skeleton, load_packs
from toolagent.datagen.synthesize import (
    GROUP,
    HELD_OUT_PACKS,
    NOTHING,
    Mixture,
    finish,
    group,
    load_world,
    rows,
    same_person,
    spoken,
    synthesize,
    write_whole,
)
from toolagent.dialects import compact
from toolagent.errors import DataError
from toolagent.plan import in_order_of_use, number
from toolagent.types import Conversation, ToolCall, ToolSpec

N = 600


def plan(*calls):
    return number(ToolCall(name, arguments) for name, arguments in calls)


@pytest.fixture(scope="module")
def world(pack, specs):
    return load_world(specs, pack.rules)


@pytest.fixture(scope="module")
def lines(world):
    return [line for line, _ in rows(world, N, seed=3, workers=1)]


@pytest.fixture(scope="module")
def talks(lines):
    return [Conversation.from_json(json.loads(line)) for line in lines]


def request_of(talk):
    return next(message.content for message in talk.messages if message.role == "user")


# --- rows ---------------------------------------------------------------------------------------------------------------------------


def test_one_worker_or_two_give_the_same_bytes(world, lines):
    assert [line for line, _ in rows(world, N, seed=3, workers=2)] == lines
    assert [line for line, _ in rows(world, 40, seed=3, workers=1)] == lines[:40]
    assert [line for line, _ in rows(world, 40, seed=4, workers=1)] != lines[:40]


def test_another_process_gives_the_same_bytes(lines):
    """Python gives words another hash in each process, and sets another order."""
    code = """
from toolagent.datagen.synthesize import load_world, rows
from toolagent.toolbox import default_pack_path, load_pack
pack = load_pack(default_pack_path())
world = load_world([tool.spec for tool in pack.tools], pack.rules)
import sys
sys.stdout.buffer.write("".join(line for line, _ in rows(world, 200, seed=3, workers=1)).encode())
"""
    env = {**os.environ, "PYTHONHASHSEED": "12345", "PYTHONIOENCODING": "utf-8"}
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env=env).stdout
    assert made.decode() == "".join(lines[:200])


def test_every_row_may_be_trained_on(talks):
    assert len(talks) == N
    assert [found for talk in talks if (found := conversation_fault(talk))] == []
    for talk in talks:
        answer = talk.messages[-1]
        assert compact.parse(compact.answer(answer)) == answer and answer.content == ("" if answer.tool_calls else NOTHING)
        assert in_order_of_use(answer.tool_calls) == answer.tool_calls
        order = {spec.name: list(spec.properties) for spec in talk.tools}
        for call in answer.tool_calls:
            assert list(call.arguments) == [name for name in order[call.name] if name in call.arguments]


def test_no_request_comes_twice_or_from_an_evaluation_set(talks):
    prints = [fingerprint(request_of(talk)) for talk in talks]
    assert len(set(prints)) == N and not set(prints) & evaluation_hashes()


def test_rows_that_stand_together_show_the_same_tools(lines):
    groups = {}
    for line in lines:
        row = json.loads(line)
        seed, index, _ = row["meta"]["id"].split("-")
        groups.setdefault((seed, index), []).append(json.dumps(row["tools"]))
    assert [set(map(len, map(set, groups.values())))] == [{1}]
    assert max(map(len, groups.values())) <= GROUP and list(groups) == sorted(groups, key=lambda key: int(key[1]))


def test_all_kinds_of_rows_are_there(talks, specs):
    names = {spec.name for spec in specs}
    shown = [tuple(tool.name for tool in talk.tools) for talk in talks]
    assert sum(tools == tuple(spec.name for spec in specs) for tools in shown) > N / 3  # the pack as it is
    assert sum(1 < len(tools) < 10 and bool(names & set(tools)) for tools in shown) > N / 20  # few of its tools
    assert any(not set(tools) & names for tools in shown)  # tools of nowhere
    steps = Counter(len(talk.messages[-1].tool_calls) for talk in talks)
    assert steps[0] > 30 and steps[1] > 80 and sum(n for k, n in steps.items() if k >= 4) > 60


def test_an_evaluation_request_is_left_out(world, lines, monkeypatch):
    banned = fingerprint(request_of(Conversation.from_json(json.loads(lines[0]))))
    monkeypatch.setattr(filters, "evaluation_hashes", lambda: frozenset([banned]))
    made = list(rows(world, 20, seed=3, workers=1))
    assert [line for line, _ in made] == lines[1:21] and made[-1][1]["in an evaluation set"] == 1


def test_a_request_that_was_seen_does_not_come_again(world, lines):
    seen = {fingerprint(request_of(Conversation.from_json(json.loads(line)))) for line in lines[:5]}
    assert [line for line, _ in rows(world, 10, seed=3, workers=1, seen=seen)] == lines[5:15]
    assert len(seen) == 15


# --- worlds -------------------------------------------------------------------------------------------------------------------------


def test_validation_is_made_of_sentences_that_training_never_sees(world, pack, specs):
    other = load_world(specs, pack.rules, held_out=True)
    assert {s.frame for s in world.skeletons} & {s.frame for s in other.skeletons} == set()
    assert set(other.packs) == set(HELD_OUT_PACKS) and set(world.packs) == set(load_packs()) - set(HELD_OUT_PACKS)
    assert not {s.pack for some in world.pack_skeletons.values() for s in some} & set(HELD_OUT_PACKS)
    frames = {s.frame for some in world.pack_skeletons.values() for s in some}
    assert not frames & {s.frame for some in other.pack_skeletons.values() for s in some}


def test_a_users_seeds_are_split_as_well(specs):
    mine = [Skeleton(f"do number {k}", ()) for k in range(50)]
    training, validation = (load_world(specs, extra=mine, held_out=held).skeletons for held in (False, True))
    assert {s.request for s in training if s in mine} == {s.request for s in mine if not s.held_out}
    assert {s.request for s in validation if s in mine} == {s.request for s in mine if s.held_out}


def test_the_shares_of_a_mixture_sum_to_one():
    assert sum(getattr(Mixture(), field.name) for field in fields(Mixture)) == pytest.approx(1)


@pytest.mark.parametrize("kind", [field.name for field in fields(Mixture)])
def test_every_kind_of_group_calls_only_what_it_shows(world, kind):
    only = replace(world, mixture=Mixture(**{field.name: float(field.name == kind) for field in fields(Mixture)}))
    made = group(only, 1, 0)
    assert made and len({id(tools) for _, tools in made}) == 1
    assert all(call.name in {tool.name for tool in tools} for example, tools in made for call in example.plan)
    assert any(example.plan for example, _ in made)
    assert (tuple(made[0][1]) == world.specs) == (kind == "whole")


def test_a_request_may_be_several_in_one_breath(world):
    rng = random.Random(7)
    made = [spoken(world.skeletons, world.filler, rng) for _ in range(60)]
    assert 12 < sum(len(example.frames) > 1 for example in made) < 38  # 42 in a hundred
    assert max(len(example.frames) for example in made) <= 5 and max(len(example.plan) for example in made) < 20


def test_requests_that_no_tool_can_do_come_up_often_enough(world):
    rng = random.Random(3)
    made = [spoken(world.skeletons, world.filler, rng) for _ in range(400)]
    assert 0.04 < sum(not example.plan for example in made) / 400 < 0.2


# --- by hand ------------------------------------------------------------------------------------------------------------------------


def test_a_second_request_may_speak_of_the_same_person():
    first = Example("mail Ana hi", plan(("get_email_address", {"name": "Ana"})))
    second = Example(
        "text Bo: Bob is here", plan(("get_phone_number", {"name": "Bo"}), ("send_sms", {"recipients": ["$1"], "message": "Bob is here"}))
    )
    third = Example("stop", ())
    kept, made, last = same_person([first, second, third], random.Random(0))
    assert (kept, last) == (first, third) and made.request == "text Ana: Bob is here"
    assert made.plan == plan(("get_phone_number", {"name": "Ana"}), ("send_sms", {"recipients": ["$1"], "message": "Bob is here"}))
    assert same_person([first, third], random.Random(0)) == [first, third]


def test_a_plan_whose_words_the_request_does_not_hold_is_not_finished():
    name = {"type": "string", "format": "name"}
    text = {"type": "string", "format": "text"}
    spec = ToolSpec("note", "", {"type": "object", "properties": {"name": name, "content": text}})
    done = finish(Example("note for ana: all good", plan(("note", {"name": "Ana", "content": "All good."}))), [spec])
    assert done and done.plan == plan(("note", {"name": "ana", "content": "all good"}))
    assert finish(Example("note for Ana", plan(("note", {"name": "Bo"}))), [spec]) is None
    assert finish(Example("note for Ana", plan(("note", {"name": "Ana", "content": "good night"}))), [spec]) is None


def test_a_finished_example_is_written_in_one_way():
    walk = {"type": "string", "enum": ["Walk", "Ride"]}
    spec = ToolSpec("go", "", {"type": "object", "properties": {"name": {"type": "string"}, "by": walk, "due_date": {"type": "string"}}})
    example = Example("go to OSLO on friday, WALK", plan(("go", {"due_date": "on friday", "by": "WALK", "name": "OSLO"})))
    made = finish(example, [spec])
    assert made is not None and list(made.plan[0].arguments.items()) == [("name", "OSLO"), ("by", "Walk"), ("due_date", "friday")]
    assert finish(replace(example, request="go there"), [spec]) is None


# --- files --------------------------------------------------------------------------------------------------------------------------


def test_two_files_and_a_report(pack, specs, tmp_path):
    report = synthesize(specs, pack.rules, tmp_path, n=60, valid=30, seed=5, workers=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.json", "train.jsonl", "valid.jsonl"]
    assert json.loads((tmp_path / "report.json").read_text()) == report
    assert (report["train"]["rows"], report["valid"]["rows"], report["seed"]) == (60, 30, 5)
    requests = [
        request_of(Conversation.from_json(json.loads(line)))
        for name in ("train", "valid")
        for line in (tmp_path / f"{name}.jsonl").open("rb")
    ]
    assert len(set(map(fingerprint, requests))) == 90


def test_a_file_is_whole_or_not_at_all(tmp_path):
    path = tmp_path / "train.jsonl"
    path.write_text("old\n")

    def lines():
        yield "new\n", Counter()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole(path, lines())
    assert path.read_text() == "old\n" and list(tmp_path.iterdir()) == [path]
    assert write_whole(path, iter([("new\n", Counter(x=1)), ("er\n", Counter(x=2))])) == (2, Counter(x=2))
    assert path.read_text() == "new\ner\n"


def test_without_seeds_there_is_nothing_to_make(world, specs, tmp_path):
    with pytest.raises(DataError, match="no seed requests found"):
        synthesize(specs, "", tmp_path, n=5, valid=5, make_world=lambda *args, **kwargs: replace(world, skeletons=()))
    assert list(tmp_path.iterdir()) == []


def test_seeds_that_do_not_run_are_left_out_when_asked(world, specs, tmp_path):
    good = [s for s in world.skeletons if len(s.plan) == 1][:3]
    bad = Skeleton("remind me when pigs fly to look up", plan(("create_reminder", {"name": "look up", "due_date": "when pigs fly"})))
    whole = Mixture(1, 0, 0, 0, 0, 0)

    def make_world(*args, **kwargs):
        return replace(world, skeletons=(*good, bad), mixture=whole)

    report = synthesize(specs, "", tmp_path, n=5, valid=5, workers=1, make_world=make_world, execute=True)
    assert report["train"]["skeletons"] == 3
    (told,) = report["train"]["not running"]
    assert told.startswith("'remind me when pigs fly to look up': step 1 (create_reminder): ")
    assert "pigs" not in (tmp_path / "train.jsonl").read_text()
