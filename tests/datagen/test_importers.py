import json
from pathlib import Path

import pytest

from toolagent.datagen.importers import tinyagent_cases, tinyagent_plan
from toolagent.errors import DataError, PlanError
from toolagent.evaluate.plans import bench, empty_answers, gold_answers
from toolagent.plan import to_rows
from toolagent.types import ToolCall

DEV = Path(__file__).parents[3] / "shared/data/tinyagent_dev.jsonl"


def test_arguments_go_to_their_names_and_join_is_no_step():
    plan = tinyagent_plan(
        '1. get_email_address("Ola")\n'
        '2. create_calendar_event("Tasting", "2024-05-01 10:00:00", "", "", ["$1"], "", None)\n'
        "3. join()<END_OF_PLAN>\n"
        "Thought: done"
    )
    assert plan == (
        ToolCall("get_email_address", {"name": "Ola"}, "1"),
        ToolCall("create_calendar_event", {"title": "Tasting", "start_date": "2024-05-01 10:00:00", "invitees": ["$1"]}, "2"),
    )


def args(line):
    return tinyagent_plan(line)[-1].arguments


def test_numbers_truths_and_quotes_are_pythons():
    assert args('1. create_reminder("Ola\'s tea", "2024-05-01", \'\', "", 5, True)') == {
        "name": "Ola's tea",
        "due_date": "2024-05-01",
        "priority": 5,
        "all_day": True,
    }


def test_a_comment_and_a_named_argument_are_read():
    assert args('1. summarize_pdf(pdf_path="/a (1).pdf")  # it (probably) fits') == {"pdf_path": "/a (1).pdf"}


def test_a_reference_needs_no_quotes():
    plan = tinyagent_plan('1. get_phone_number("Ola")\n2. get_phone_number("Per")\n3. send_sms([$1, ${2}], "hi")')
    assert plan[2].arguments == {"recipients": ["$1", "$2"], "message": "hi"}


def test_what_is_no_python_is_one_text():
    assert args('1. maps_open_location("the "Blue" (old) house")') == {"location": 'the "Blue" (old) house'}


def test_an_argument_too_many_keeps_its_edge():
    plan = tinyagent_plan('1. open_and_get_file_path("a.pdf")\n2. send_sms(["5"], "hi", ["$1"])')
    assert plan[1].arguments == {"recipients": ["5"], "message": "hi", "argument_3": ["$1"]}


def test_missing_numbers_close_up_and_references_follow():
    plan = tinyagent_plan('4. get_email_address("Ola")\n7. reply_to_email(["${4}"], "see $4", [])\n8. join()')
    assert to_rows(plan)[1] == {"id": 2, "tool": "reply_to_email", "args": {"cc": ["$1"], "context": "see $1"}}


def test_nothing_to_do_is_the_empty_plan():
    assert tinyagent_plan("1. join()") == tinyagent_plan("") == ()


def test_another_table_reads_another_pack():
    assert tinyagent_plan("1. tank.cool(5, 4.5)", {"tank.cool": ("tank", "celsius")})[0].arguments == {"tank": 5, "celsius": 4.5}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('1. get_emial_address("Ola")', "unknown tool 'get_emial_address'; the nearest is 'get_email_address'"),
        ('1. open_note(nam="x")', "unknown argument of open_note: 'nam'; the nearest is 'name'"),
        ("1. get_email_address Ola", "no step can be read from '1. get_email_address Ola'"),
        ("I cannot help with that", "no plan can be read"),
        ('1. open_note("a")\n4. create_note("b", "$2")', r"step 4 \(create_note\) refers to \$2, and there is no step 2"),
        ('1. open_note("a")\n1. open_note("b")', "different whole numbers"),
    ],
)
def test_what_cannot_be_read_is_an_error(text, complaint):
    with pytest.raises(DataError, match=complaint):
        tinyagent_plan(text)


def test_a_forward_reference_is_an_error():
    with pytest.raises(PlanError, match="comes later"):
        tinyagent_plan('1. create_note("b", "$2")\n2. open_note("a")')


def test_a_wrong_row_is_an_error_with_its_line(tmp_path):
    good = {"id": "a", "query": "open my list", "functions": [], "plan": '1. open_note("list", "")\n2. join()'}
    path = tmp_path / "t.jsonl"
    path.write_text(json.dumps(good) + "\n" + json.dumps({**good, "id": "b", "plan": "1. dance()"}) + "\n")
    with pytest.raises(DataError, match=r"t\.jsonl:2: unknown tool 'dance'"):
        tinyagent_cases(path)
    path.write_text(json.dumps(good) + "\n" + json.dumps({**good, "plan": 3}) + "\n")
    with pytest.raises(DataError, match=r"t\.jsonl:2: 'plan' must be a text"):
        tinyagent_cases(path)


def test_only_the_graph_of_an_imported_case_is_measured(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text(json.dumps({"id": "a", "query": "open my list", "plan": '1. open_note("list", "")'}))
    (case,) = tinyagent_cases(path)
    report = bench([case], gold_answers([case]))
    assert (case.request, case.now, case.tags) == ("open my list", None, ("tinyagent",))
    assert set(report.overall.micro) == {"dag", "dag_all", "tool_f1"}


@pytest.mark.skipif(not DEV.exists(), reason="the development set lies outside the project")
def test_the_whole_development_set_is_read():
    cases = tinyagent_cases(DEV)
    assert len(cases) == 300
    assert sum(len(case.plan) for case in cases) / 300 == pytest.approx(5.3, abs=0.05)
    assert bench(cases, gold_answers(cases)).overall.micro["dag"].value == 1.0
    assert bench(cases, empty_answers(cases)).overall.micro["dag"].value == 0.0
