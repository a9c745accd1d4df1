"""What may not go into a training file, and why; which requests belong to evaluation sets."""

import json
import re
from pathlib import Path

import pytest

from toolagent.datagen import filters
from toolagent.datagen.filters import HASHES, conversation_fault, evaluation_hashes, fault, fingerprint, requests_of, write_hashes
from toolagent.errors import DataError
from toolagent.plan import number
from toolagent.types import Conversation, Message, ToolCall, ToolSpec

ROOT = Path(__file__).parents[2]
STRING = {"type": "string"}


def spec(name, required=(), **properties):
    return ToolSpec(name, "", {"type": "object", "properties": properties, "required": list(required)})


LOOK_UP = spec("get_email_address", ["person"], person=STRING)
MAIL = spec("mail", ["to"], to={"type": "array", "items": {"type": "string", "format": "email"}}, urgent={"type": "boolean"})
TOOLS = (LOOK_UP, MAIL)


def plan(*calls):
    return number(ToolCall(name, arguments) for name, arguments in calls)


GOOD = plan(("get_email_address", {"person": "Ana"}), ("mail", {"to": ["$1", "bo@example.org"]}))


def test_a_good_row_has_no_fault():
    assert fault("mail Ana", GOOD, TOOLS) is None
    assert fault("hello", (), ()) is None


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        (plan(("dance", {})), "unknown tool"),
        (plan(("get_email_address", {})), "arguments do not fit"),
        (plan(("get_email_address", {"person": "Ana", "age": 5})), "arguments do not fit"),
        (plan(("get_email_address", {"person": 5})), "arguments do not fit"),
        (plan(("mail", {"to": "ana@example.org"})), "arguments do not fit"),
        (plan(("mail", {"to": ["Ana"]})), "arguments do not fit"),
        (plan(("mail", {"to": [], "urgent": "yes"})), "arguments do not fit"),
        (plan(("mail", {"to": ["$2"]}), ("get_email_address", {"person": "Ana"})), "forward reference"),
        (plan(("mail", {"to": ["$1"]})), "forward reference"),
    ],
)
def test_a_fault_has_a_reason(steps, reason):
    assert fault("mail Ana", steps, TOOLS) == reason


def test_an_empty_request_and_a_tool_that_cannot_be_checked():
    assert fault("  \n", (), ()) == "empty request"
    broken = ToolSpec("pour", "", {"type": "object", "properties": {"x": {"type": "strin"}}})
    assert fault("pour it", plan(("pour", {"x": 1})), (broken,)) == "parameters are no JSON Schema"
    assert fault("mail Ana", GOOD, (*TOOLS, broken)) is None  # nobody calls it


def test_punctuation_case_and_spaces_do_not_tell_requests_apart():
    assert fingerprint("Text Ana:  on my WAY!") == fingerprint("text ana on my way")
    assert fingerprint("text ana on my ways") != fingerprint("text ana on my way")
    assert fingerprint("Straße") == fingerprint("STRASSE")
    assert re.fullmatch("[0-9a-f]{16}", fingerprint("")) and fingerprint("") == "e3b0c44298fc1c14"  # sha256 of nothing


def test_every_turn_of_a_conversation_is_judged():
    good = (Message("user", "mail Ana"), Message("assistant", "", GOOD))
    assert conversation_fault(Conversation((*good, Message("user", "thanks"), Message("assistant", "You are welcome.")), TOOLS)) is None
    assert (
        conversation_fault(Conversation((*good, Message("user", "dance"), Message("assistant", "", plan(("dance", {})))), TOOLS))
        == "unknown tool"
    )
    assert conversation_fault(Conversation((Message("user", " "), Message("assistant", "hm")), TOOLS)) == "empty request"


# --- evaluation sets ----------------------------------------------------------------------------------------------------------------


def test_an_evaluation_request_is_refused_however_it_is_written(monkeypatch, tmp_path):
    path = tmp_path / "hashes.txt"
    write_hashes(["Text Ana: on my way!"], path)
    monkeypatch.setattr(filters, "evaluation_hashes", lambda: evaluation_hashes(path))
    assert fault("text ana on my way", (), ()) == "in an evaluation set"
    assert fault("text ana", (), ()) is None


def test_hashes_add_up_in_one_process(tmp_path):
    path = tmp_path / "hashes.txt"
    assert evaluation_hashes(path) == frozenset()
    assert write_hashes(["a", "b", "A!"], path) == 2
    assert write_hashes(["b", "c"], path) == 1
    assert evaluation_hashes(path) == {fingerprint(text) for text in "abc"}
    lines = path.read_text().splitlines()
    assert lines[0].startswith("#") and lines[1:] == sorted(fingerprint(text) for text in "abc")


def test_requests_of_a_file(tmp_path):
    path = tmp_path / "set.jsonl"
    path.write_text('{"query": "a"}\n{"query": "b"}\n', "utf-8")
    assert list(requests_of(path, "query")) == ["a", "b"]
    with pytest.raises(DataError, match=r"set\.jsonl:1: no JSON object with 'request'"):
        list(requests_of(path, "request"))
    path.write_text('{"query": "a"}\n{"query": 5}\n', "utf-8")
    with pytest.raises(DataError, match=r"set\.jsonl:2: 'query' must be a string"):
        list(requests_of(path, "query"))
    path.write_text('{"query": "a"}\nquery\n', "utf-8")
    with pytest.raises(DataError, match=r"set\.jsonl:2: no JSON object"):
        list(requests_of(path, "query"))


def test_the_shipped_list_holds_hashes_only():
    head, *lines = HASHES.read_text("utf-8").splitlines()
    assert head.startswith("#") and all(re.fullmatch("[0-9a-f]{16}", line) for line in lines)
    assert lines == sorted(set(lines)) and len(lines) > 20_000 and HASHES.stat().st_size < 600_000


def test_the_development_set_is_in_the_list():
    cases = [json.loads(line) for line in (ROOT / "benchmarks/cases/desktop_dev.jsonl").read_text("utf-8").splitlines()]
    assert len(cases) >= 100 and {fingerprint(case["request"]) for case in cases} <= evaluation_hashes()


OUTSIDE = ROOT.parent / "shared/data"


@pytest.mark.skipif(not OUTSIDE.exists(), reason="these sets lie outside the project")
@pytest.mark.parametrize("name", ["tinyagent_dev.jsonl", "retrieval/metatool/queries.jsonl", "retrieval/sealtools/queries.jsonl"])
def test_the_sets_outside_the_project_are_in_the_list(name):
    assert {fingerprint(query) for query in requests_of(OUTSIDE / name, "query")} <= evaluation_hashes()
