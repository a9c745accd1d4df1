"""BFCL's rules one by one, on answers small enough to judge by eye. That they are the official ones: test_calls_agreement.py."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolagent.evaluate import calls as rules
from toolagent.evaluate.bfcl_data import Entry, Function, GoldCall
from toolagent.evaluate.calls import check, standard
from toolagent.types import ToolCall


def function(name="f", required=(), /, **properties):
    return Function(name, "", properties, tuple(required))


def of(kind, items=None):
    return {"type": kind, **({"items": {"type": items}} if items else {})}


def entry(functions, gold, category="simple_python"):
    return Entry("a", category, (), tuple(functions), tuple(GoldCall(name, options) for name, options in gold))


def kind(calls, asked, dots=False):
    fault = check([ToolCall(name, arguments) for name, arguments in calls], asked, dots)
    return fault and fault.kind


def value_kind(value, schema, *options, category="simple_python"):
    """The verdict on one required argument."""
    return kind([("f", {"a": value})], entry([function("f", ["a"], a=schema)], [("f", {"a": list(options)})], category))


# --- calls ------------------------------------------------------------------------------------------------------------------------------

ADD = entry([function("m.add", ["a"], a=of("integer"), b=of("integer"), c=of("integer"))], [("m.add", {"a": [1], "b": [2], "c": [3, ""]})])


@pytest.mark.parametrize(
    "calls, verdict",
    [
        ([("m.add", {"a": 1, "b": 2})], None),
        ([("m.add", {"b": 2, "c": 3, "a": 1})], None),
        ([], rules.SIMPLE_COUNT),
        ([("m.add", {"a": 1, "b": 2})] * 2, rules.SIMPLE_COUNT),
        ([("add", {"a": 1, "b": 2})], rules.NAME),
        ([("m_add", {"a": 1, "b": 2})], rules.NAME),
        ([("m.add", {"b": 2})], rules.MISSING),
        ([("m.add", {"a": 1})], rules.LEFT_OUT),  # optional by its schema, asked for by the gold
        ([("m.add", {"a": 1, "b": 2, "d": 0})], rules.UNEXPECTED),
        ([("m.add", {"a": 0, "b": 2, "d": 0})], rules.VALUE),  # the first fault in the order of the answer
        ([("m.add", {"d": 0, "a": 0, "b": 2})], rules.UNEXPECTED),
        ([("m.add", {"d": 0, "b": 2})], rules.MISSING),
    ],
)
def test_a_call_has_the_name_and_the_arguments_of_gold(calls, verdict):
    assert kind(calls, ADD) == verdict


def test_an_argument_that_gold_does_not_name_is_wrong():
    asked = entry([function("f", [], a=of("integer"), b={**of("integer"), "default": 0})], [("f", {"a": [1]})])
    assert kind([("f", {"a": 1, "b": 0})], asked) == rules.UNEXPECTED


def test_underscores_for_dots():
    assert kind([("m_add", {"a": 1, "b": 2})], ADD, dots=True) is None
    assert kind([("m.add", {"a": 1, "b": 2})], ADD, dots=True) == rules.NAME


def test_multiple_asks_for_one_of_several_functions():
    asked = entry([function("f"), function("g", ["a"], a=of("string"))], [("g", {"a": ["x"]})], "live_multiple")
    assert kind([("g", {"a": "x"})], asked) is None
    assert kind([("f", {})], asked) == rules.NAME
    assert kind([], asked) == rules.MULTIPLE_COUNT


def test_parallel_calls_come_in_any_order():
    functions = [function("f", ["a"], a=of("integer")), function("g", ["b"], b=of("string"))]
    asked = entry(functions, [("f", {"a": [1]}), ("g", {"b": ["x"]})], "parallel_multiple")
    assert kind([("g", {"b": "x"}), ("f", {"a": 1})], asked) is None
    assert kind([("f", {"a": 1})], asked) == rules.PARALLEL_COUNT
    fault = check([ToolCall("g", {"b": "y"}), ToolCall("f", {"a": 1})], asked)
    assert fault and (fault.kind, fault.where) == (rules.PARALLEL_MATCH, "g")
    assert [inner.kind for inner in fault.inner] == [rules.STRING]  # f is taken, so the wrong g alone is left


def test_parallel_gold_takes_the_first_that_fits_and_keeps_it():
    asked = entry([function("f", ["a"], a=of("integer"))], [("f", {"a": [1, 2]}), ("f", {"a": [1]})], "parallel")
    assert kind([("f", {"a": 2}), ("f", {"a": 1})], asked) is None
    assert kind([("f", {"a": 1}), ("f", {"a": 2})], asked) == rules.PARALLEL_MATCH


# --- types ------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value, schema, gold, verdict",
    [
        (1, of("integer"), 1, None),
        (2, of("integer"), 1, rules.VALUE),
        ("1", of("integer"), 1, rules.TYPE),
        (1.0, of("integer"), 1, rules.TYPE),
        (True, of("integer"), 1, rules.TYPE),
        (None, of("integer"), 1, rules.TYPE),
        (5, of("float"), 5.0, None),
        (True, of("float"), 1.0, rules.TYPE),
        (10**400, of("float"), 1.0, rules.TYPE),
        (1, of("boolean"), True, rules.TYPE),
        (False, of("boolean"), True, rules.VALUE),
        ("a", of("any"), "a", None),
        (1, of("any"), "1", rules.TYPE),  # "any" is a string
        ([1, 2], of("array", "integer"), [1, 2], None),
        ([1, "2"], of("array", "integer"), [1, 2], rules.ITEM_TYPE),
        ([1, 2.0], of("array", "float"), [1.0, 2.0], rules.ITEM_TYPE),  # in a list an int is no float
        ((1, 2), of("array", "integer"), [1, 2], rules.TYPE),
        ((1, 2), of("tuple", "integer"), [1, 2], None),
        ([[1], ["2"]], of("array", "array"), [[1], [2]], rules.LIST),  # types end one level deep
    ],
)
def test_types_are_exact(value, schema, gold, verdict):
    assert value_kind(value, schema, gold) == verdict


def test_a_gold_of_another_type_is_compared_as_it_is():
    assert value_kind("now", of("integer"), "now") is None
    assert value_kind("Now", of("integer"), "now") == rules.VALUE
    assert value_kind(None, of("string"), None, "none") is None
    assert value_kind(None, of("string"), "none", None) == rules.TYPE  # the first gold value decides
    assert value_kind(5, of("string"), 5) is None
    assert value_kind("5", of("string"), 5) == rules.VALUE
    assert value_kind(["a"], of("array", "integer"), ["a"]) is None


def test_what_may_be_left_out_may_be_an_empty_string():
    assert value_kind("", of("string"), "x", "") is None
    assert value_kind("", of("integer"), 1, "") == rules.TYPE


# --- values -----------------------------------------------------------------------------------------------------------------------------


def test_strings_fold_case_spaces_and_some_punctuation():
    assert standard("New-York, N.Y.") == "newyorkny" and standard("it's") == 'it"s' and standard(5) == 5
    assert value_kind("3.14", of("string"), "314") is None
    assert value_kind("a\tb", of("string"), "ab") == rules.STRING
    assert value_kind("a(b", of("string"), "ab") == rules.STRING


@given(st.text(alphabet=" ,./-_*^abcABC'\"", max_size=8))
def test_a_string_is_standard_once(text):
    assert standard(standard(text)) == standard(text) and value_kind(text, of("string"), text.upper()) is None


def test_lists_keep_their_order():
    schema = of("array", "string")
    assert value_kind(["A b", "c"], schema, ["x"], ["ab", "C"]) is None
    assert value_kind(["c", "ab"], schema, ["ab", "c"]) == rules.LIST
    assert value_kind([["A"]], of("array", "array"), [["a"]]) == rules.LIST  # deeper strings are compared as they are


@pytest.mark.parametrize(
    "value, verdict",
    [
        ({"k": "A b", "n": 5}, None),
        ({"k": "ab", "n": 5.0}, None),  # by ==, whatever the type
        ({"k": "ab", "n": 5, "o": 1}, None),
        ({"k": "x", "n": 5}, rules.DICT_VALUE),
        ({"k": "ab", "n": 5, "z": 0}, rules.DICT_KEY),
        ({"k": "ab"}, rules.DICT_KEY),
        ({"k": "x"}, rules.DICT_KEY),  # what lacks outweighs what is wrong
    ],
)
def test_dicts_are_judged_key_by_key(value, verdict):
    assert value_kind(value, of("dict"), {"k": ["ab"], "n": [5], "o": [1, ""]}) == verdict


def test_one_dict_of_several_fits():
    assert value_kind({"k": 2}, of("dict"), {"k": [1]}, {"k": [2]}) is None
    assert value_kind({"k": 3}, of("dict"), {"k": [1]}, {"z": [2]}) == rules.DICT_KEY  # the last one's fault
    assert value_kind({"k": 3}, of("dict"), {"k": [1]}, "") == rules.DICT_VALUE
    assert value_kind({"k": 3}, of("dict"), "") == rules.DICT_NONE
    assert value_kind({"k": {"m": "a"}}, of("dict"), {"k": [{"m": ["a"]}]}) == rules.DICT_VALUE  # one level of lists


def test_lists_of_dicts_keep_number_and_order():
    schema = of("array", "dict")
    assert value_kind([{"k": 1}, {"k": 2}], schema, [{"k": [1]}, {"k": [2]}]) is None
    assert value_kind([{"k": 2}, {"k": 1}], schema, [{"k": [1]}, {"k": [2]}]) == rules.DICT_VALUE
    assert value_kind([{"k": 1}], schema, [{"k": [1]}, {"k": [2]}]) == rules.DICT_COUNT
    assert value_kind([1], schema, [{"k": [1]}]) == rules.ITEM_TYPE


def test_what_the_official_checker_cannot_judge_is_a_fault_here():
    assert value_kind(["x"], of("array", "dict"), ["x"]) == rules.DICT_NONE
    assert value_kind({"k": 1}, of("dict"), {"k": 1}) == rules.DICT_VALUE
    assert value_kind({}, of("dict"), {"k": 1}) == rules.DICT_KEY


def test_java_and_javascript_arguments_are_source_text():
    assert value_kind(1, of("integer"), 1, category="simple_java") == "type_error:java"
    assert value_kind("1", of("integer"), 1, category="simple_java") is None
    assert value_kind("1", of("long"), 1, category="simple_java") == rules.TYPE
    assert value_kind("new int[]{1, 2}", of("Array", "integer"), [1, 2], category="simple_java") is None
    assert value_kind("names", of("Array", "String"), "names", category="simple_java") is None
    assert value_kind(["a"], of("array", "String"), ["a"], category="simple_javascript") == "type_error:js"
    assert value_kind('["a"]', of("array", "String"), ["a"], category="simple_javascript") is None
    assert value_kind("{k: 1}", of("dict"), {"k": [1]}, category="simple_javascript") is None


def test_a_fault_says_what_stood_there():
    fault = check([ToolCall("m.add", {"a": 7, "b": 2})], ADD)
    assert str(fault) == "value_error:others a: 7, not [1]"
