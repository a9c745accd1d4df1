"""A data folder of three made-up questions, and what is wrong with it."""

import json

import pytest

from toolagent.errors import DataError
from toolagent.evaluate.bfcl_data import IRRELEVANCE, JAVA, PYTHON, RELEVANCE, VARIABLE, find_data, load_entries

ADD = {
    "name": "math.add",
    "description": "Add two numbers.",
    "parameters": {
        "type": "dict",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}, "notes": {"type": "array", "items": {"type": "string"}}},
        "required": ["a", "b"],
    },
}


def question(id, *functions, text="What is 1 and 2?"):
    return {"id": id, "question": [[{"role": "user", "content": text}]], "function": list(functions)}


def answer(id, *calls):
    return {"id": id, "ground_truth": list(calls)}


SUM = {"math.add": {"a": [1], "b": [2], "notes": [["x"], ""]}}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "possible_answer").mkdir()

    def write(category, questions, answers=None):
        lines = {"": questions, "possible_answer": answers}
        for under, rows in lines.items():
            if rows is not None:
                text = "".join(json.dumps(row) + "\n" for row in rows)
                (tmp_path / under / f"BFCL_v4_{category}.json").write_text(text, "utf-8")
        return tmp_path

    write("simple_python", [question("a", ADD)], [answer("a", SUM)])
    return write


def test_an_entry_has_a_turn_functions_and_gold(folder):
    (entry,) = load_entries("simple_python", folder("irrelevance", []))
    assert (entry.id, entry.category, entry.language) == ("a", "simple_python", PYTHON)
    assert entry.messages[0].content == "What is 1 and 2?"
    assert entry.functions[0].name == "math.add" and entry.functions[0].required == ("a", "b")
    assert entry.functions[0].properties["notes"] == {"type": "array", "items": {"type": "string"}}
    assert entry.gold[0].name == "math.add" and entry.gold[0].options == {"a": [1], "b": [2], "notes": [["x"], ""]}


@pytest.mark.parametrize("category", [*IRRELEVANCE, *RELEVANCE])
def test_what_asks_for_no_particular_call_has_no_gold(folder, category):
    (entry,) = load_entries(category, folder(category, [question("i", ADD)]))
    assert entry.gold == ()


def test_java_is_java(folder):
    function = {"name": "F.f", "parameters": {"type": "dict", "properties": {"n": {"type": "long"}}, "required": []}}
    (entry,) = load_entries("simple_java", folder("simple_java", [question("j", function)], [answer("j", {"F.f": {"n": [1]}})]))
    assert entry.language == JAVA


def test_the_folder_is_found_where_it_is_named(folder, tmp_path, monkeypatch):
    data = folder("irrelevance", [])
    installed = tmp_path / "site" / "bfcl_eval"
    installed.mkdir(parents=True)
    (installed / "data").symlink_to(data)
    assert find_data(data) == data
    assert find_data(tmp_path / "site") == installed / "data"
    monkeypatch.setenv(VARIABLE, str(tmp_path / "site"))
    assert find_data() == installed / "data"


def test_a_folder_without_data_is_said(tmp_path):
    with pytest.raises(DataError, match="there is no BFCL_v4_simple_python.json in it"):
        find_data(tmp_path)
    with pytest.raises(DataError, match="unknown category 'simple'"):
        load_entries("simple", tmp_path)


TEXTLESS = {**ADD, "parameters": {"type": "dict", "properties": {"a": {"type": "number"}}, "required": []}}
UNLISTED = {**ADD, "parameters": {"type": "dict", "properties": {"a": {"type": "array"}}, "required": []}}


@pytest.mark.parametrize(
    "questions, answers, said",
    [
        ([question("a", ADD)], [answer("b", SUM)], "possible_answer/BFCL_v4_multiple.json:1: an answer to 'b' stands where 'a' is asked"),
        ([question("a", ADD)], [], "0 answers to 1 questions"),
        ([question("a", ADD)] * 2, [answer("a", SUM)] * 2, "BFCL_v4_multiple.json:2: the id 'a' was used before"),
        ([{"id": "a"}], [answer("a", SUM)], "BFCL_v4_multiple.json:1: an entry needs an id and a list of functions"),
        ([{**question("a", ADD), "question": [[], []]}], [answer("a", SUM)], "a list of one turn"),
        ([question("a", TEXTLESS)], [answer("a", SUM)], "argument 'a': 'number' is none of python's types"),
        ([question("a", UNLISTED)], [answer("a", SUM)], "argument 'a', its items: None is none of python's types"),
        ([question("a", ADD)], [answer("a", {"sub": {}})], "the gold calls 'sub', which is not among the functions"),
        ([question("a", ADD)], [answer("a", {"math.add": {"a": 1}})], "every argument needs a list of values"),
        ([question("a", ADD)], [answer("a")], "'ground_truth' must be a list of calls"),
    ],
)
def test_a_wrong_row_is_named_by_its_place(folder, questions, answers, said):
    with pytest.raises(DataError) as error:
        load_entries("multiple", folder("multiple", questions, answers))
    assert said in str(error.value)
