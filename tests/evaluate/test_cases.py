import json
from datetime import datetime

import pytest

from toolagent.errors import DataError
from toolagent.evaluate.cases import (
    Case,
    Prediction,
    case_from_json,
    dump_cases,
    dump_predictions,
    facts_of,
    lacking,
    load_cases,
    load_predictions,
)
from toolagent.types import ToolCall, ToolSpec


def spec(name, required=(), /, **properties):
    return ToolSpec(name, "", {"type": "object", "properties": properties, "required": list(required)})


TEXT = {"type": "string"}
PHONE = spec("get_phone_number", ["name"], name=TEXT)
SMS = spec("send_sms", ["recipients", "message"], recipients={"type": "array", "items": {**TEXT, "format": "phone"}}, message=TEXT)
TOOLS = (PHONE, SMS)


def row(**changes):
    plan = [
        {"id": 1, "tool": "get_phone_number", "args": {"name": "Ana"}},
        {"id": 2, "tool": "send_sms", "args": {"recipients": ["$1"], "message": "I am late, see you at 3:30"}},
    ]
    base = {"id": "a", "now": "2025-03-03 09:00:00", "request": "text Ana that I'm late, 3:30 it is", "plan": plan}
    return {**base, "free": ["send_sms.message"], "must_mention": {"2.message": ["late|delayed", "3:30"]}, "tags": ["sms"], **changes}


def written(path, *rows):
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows), encoding="utf-8")
    return path


# --- facts


def test_a_fact_is_whole_words_whatever_their_case_and_punctuation():
    assert lacking("I’m LATE -- sorry!", ["i'm late", "Sorry."]) == []
    assert lacking("chocolate", ["late"]) == ["late"]


def test_either_of_the_alternatives_will_do():
    assert lacking("held up in traffic", ["late|held up", "Ana|traffic"]) == []
    assert lacking("held up", ["late|delayed"]) == ["late|delayed"]


def test_a_number_is_not_found_inside_another():
    assert lacking("at 3:30, room 12", ["3:30", "12"]) == []
    assert lacking("at 3:30, room 12", ["3", "30", "1"]) == ["3", "30", "1"]


def test_full_width_letters_and_spaces_fold():
    assert lacking("ＢＵＤＧＥＴ\u00a0 draft", ["budget draft"]) == []


def test_facts_follow_the_rank_of_the_call_into_an_alternative():
    swapped = [row()["plan"][0], {"id": 2, "tool": "get_phone_number", "args": {"name": "Ben"}}, {**row()["plan"][1], "id": 3}]
    case = case_from_json(row(alternatives=[swapped]))
    assert facts_of(case, case.plan) == {(2, "message"): ("late|delayed", "3:30")}
    assert facts_of(case, case.alternatives[0]) == {(3, "message"): ("late|delayed", "3:30")}


# --- cases


def test_a_case_is_read(tmp_path):
    (case,) = load_cases(written(tmp_path / "c.jsonl", "", row()), TOOLS)
    assert case == Case(
        "a",
        datetime(2025, 3, 3, 9),
        row()["request"],
        (
            ToolCall("get_phone_number", {"name": "Ana"}, "1"),
            ToolCall("send_sms", {"recipients": ["$1"], "message": "I am late, see you at 3:30"}, "2"),
        ),
        TOOLS,
        frozenset({"send_sms.message"}),
        {"2.message": ("late|delayed", "3:30")},
        (),
        ("sms",),
    )


def test_cases_come_back_as_they_were_written(tmp_path):
    own = [s.to_json() for s in TOOLS]
    rows = [row(alternatives=[row()["plan"]]), row(id="b", tools=own), {"id": "c", "request": "hm", "plan": []}]
    cases = load_cases(written(tmp_path / "c.jsonl", *rows))
    dump_cases(tmp_path / "d.jsonl", cases)
    assert load_cases(tmp_path / "d.jsonl") == cases
    cases = load_cases(tmp_path / "c.jsonl", TOOLS)
    dump_cases(tmp_path / "d.jsonl", cases, TOOLS)
    assert load_cases(tmp_path / "d.jsonl", TOOLS) == cases
    assert "tools" not in (tmp_path / "d.jsonl").read_text()
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        ("{", "no JSON"),
        ("[1]", "must be an object, not list"),
        (row(tag=["x"]), "unknown key 'tag'; the nearest is 'tags'"),
        ({"id": "a", "request": "x"}, "the case has no 'plan'"),
        (row(id=7), "'id' must be a text"),
        (row(request=" "), "'request' must be a text"),
        (row(now="tomorrow"), "'now' must be 'YYYY-MM-DD HH:MM:SS', not 'tomorrow'"),
        (row(now=5), "'now' must be"),
        (row(tools="all"), "'tools' must be a list"),
        (row(tools=[{"name": ""}]), "a tool needs a name"),
        (row(plan={}), "a plan is a list"),
        (row(plan=[{"id": 1, "tool": "send_sms", "args": {"message": "$2"}}, {"id": 2, "tool": "send_sms"}]), "comes later"),
        (row(plan=[{"id": 2, "tool": "send_sms"}], must_mention={}), "the ids 1, 2, 3"),
        (row(plan=[{"tool": "send_smss", "args": {}}], must_mention={}), "unknown tool 'send_smss'; the nearest is 'send_sms'"),
        (row(alternatives=[[{"tool": "sms", "args": {}}]]), "unknown tool 'sms'"),
        (row(plan=[{"tool": "get_phone_number", "args": {"nam": "A"}}], must_mention={}), "'nam'; the nearest is 'name'"),
        (row(plan=[{"tool": "get_phone_number", "args": {}}], must_mention={}), "lacks the required argument 'name'"),
        (row(free="send_sms.message"), "'free' must be a list of texts"),
        (row(free=["send_sms.message", "send_sms.massage"]), "'send_sms.massage'; the nearest is 'send_sms.message'"),
        (row(free=[]), "add it to 'free'"),
        (row(must_mention=["late"]), "must be an object"),
        (row(must_mention={"2.message": "late"}), "must be a list of texts"),
        (row(must_mention={"3.message": ["late"]}), "names no argument of the plan"),
        (row(must_mention={"message": ["late"]}), "names no argument of the plan"),
        (row(must_mention={"2.message": ["late|"]}), "an empty fact"),
        (row(must_mention={"2.message": ["early"]}), "step 2.message does not mention 'early'"),
        (row(alternatives={}), "'alternatives' must be a list of plans"),
        (row(tags=[1]), "'tags' must be a list of texts"),
        (row(id="first"), "the id 'first' was used before"),
    ],
)
def test_a_wrong_row_is_an_error_with_its_line(tmp_path, bad, complaint):
    path = written(tmp_path / "c.jsonl", row(id="first"), bad)
    with pytest.raises(DataError) as error:
        load_cases(path, TOOLS)
    assert str(error.value).startswith(f"{path}:2: ") and complaint in str(error.value)


def test_a_file_that_cannot_be_read_is_an_error(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        load_cases(tmp_path / "none.jsonl")
    (tmp_path / "latin.jsonl").write_bytes(b'{"id": "\xe9"}')
    with pytest.raises(DataError, match="no UTF-8"):
        load_cases(tmp_path / "latin.jsonl")


# --- predictions


def test_predictions_come_back_as_they_were_written(tmp_path):
    predictions = [Prediction("a", (ToolCall("send_sms", {"message": "é"}, "1"),), 0.5), Prediction("b", ()), Prediction("c", None)]
    dump_predictions(tmp_path / "p.jsonl", predictions)
    assert load_predictions(tmp_path / "p.jsonl") == predictions


def test_a_plan_that_cannot_be_run_is_no_plan(tmp_path):
    path = written(tmp_path / "p.jsonl", {"id": "a", "plan": [{"id": 1, "tool": "x", "args": {"y": "$1"}}], "raw": "..."})
    assert load_predictions(path) == [Prediction("a", None)]


@pytest.mark.parametrize("bad", [{"plan": []}, {"id": "a"}, {"id": "a", "plan": [1]}, {"id": "a", "plan": [], "seconds": "1"}])
def test_a_wrong_prediction_is_an_error_with_its_line(tmp_path, bad):
    path = written(tmp_path / "p.jsonl", bad)
    with pytest.raises(DataError, match=r"p\.jsonl:1: "):
        load_predictions(path)


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    dump_predictions(tmp_path / "p.jsonl", [Prediction("a", ())])
    with pytest.raises(TypeError):
        dump_predictions(tmp_path / "p.jsonl", [Prediction("b", (ToolCall("x", {"y": {1, 2}}),))])
    assert load_predictions(tmp_path / "p.jsonl") == [Prediction("a", ())]
    assert [p.name for p in tmp_path.iterdir()] == ["p.jsonl"]
