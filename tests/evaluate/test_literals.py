"""Java and JavaScript source text, read as BFCL reads it."""

import pytest

from toolagent.evaluate.literals import java, javascript


@pytest.mark.parametrize(
    "text, kind, value",
    [
        ("-2", "integer", -2),
        ("2L", "integer", "2L"),
        ("2L", "long", 2),
        ("2", "long", "2"),  # a long without its L stays text
        ("1.5f", "float", 1.5),
        ("1.5", "float", "1.5"),
        ("1.5", "double", 1.5),
        ("1e3", "double", 1000.0),
        (".5", "double", ".5"),
        ("true", "boolean", True),
        ("True", "boolean", "True"),
        ('"a"', "String", '"a"'),  # quotes stay
        ("new Path('/x')", "any", "new Path('/x')"),
    ],
)
def test_single_java_values(text, kind, value):
    assert java(text, kind) == value and type(java(text, kind)) is type(value)


@pytest.mark.parametrize(
    "text, kind, items, value",
    [
        ("new int[]{1, 2}", "Array", "integer", [1, 2]),
        ("new int[] {}", "Array", "integer", []),
        ('new String[]{"a", "b"}', "Array", "String", ['"a"', '"b"']),  # so a gold of bare strings is never reached
        ("names", "Array", "String", "names"),
        ('new ArrayList<String>(Arrays.asList("a", "b"))', "ArrayList", "String", ["a", "b"]),
        ('new ArrayList<>(Arrays.asList("a, b"))', "ArrayList", "String", ["", ""]),  # cut at the comma, then of each its ends
        ('new ArrayList<>() {{ add("a, b"); add("c"); }}', "ArrayList", "String", ["a, b", "c"]),
        ("new ArrayList<Long>(Arrays.asList(1L, 2L))", "ArrayList", "long", [1, 2]),
        ("new ArrayList<>()", "ArrayList", "any", []),
        ("List.of(1)", "ArrayList", "integer", "List.of(1)"),
        ('new HashMap<String, Object>() {{ put("a", 1); put("b", "x"); put("c", true); put("d", null); }}', "HashMap", None,
         {"a": 1, "b": "x", "c": True, "d": "null"}),
        ("new HashMap<>()", "HashMap", None, {}),
        ('new HashMap<>() {{ put("a", new int[]{1}); }}', "HashMap", None, {}),  # read up to the first closing brace
    ],
)  # fmt: skip
def test_java_collections(text, kind, items, value):
    assert java(text, kind, items) == value


@pytest.mark.parametrize(
    "text, kind, items, value",
    [
        ('"a"', "String", None, "a"),
        ("'a'", "String", None, "a"),
        ("`a`", "String", None, "`a`"),
        ("5", "float", None, 5.0),
        ("5n", "Bigint", None, 5),
        ("5", "Bigint", None, "5"),
        ("[1, 2.5]", "array", "float", [1.0, 2.5]),
        ("['a', \"b\"]", "array", "String", ["a", "b"]),
        ("[a, b]", "array", "String", ["a", "b"]),
        ("[ ]", "array", "String", []),
        ("new Array(1, 2)", "array", "integer", [1, 2]),
        ("[[1, 2], [3]]", "array", "array", [[1, 2], [3]]),
        ("[[1], 2]", "array", "array", ["[1"]),
        ("[{a: 1}, {b: 2}]", "array", "dict", [{"a": 1}, {"b": 2}]),
        ("f()", "array", "String", "f()"),
        ("{a: 1, 'b': [1, \"x\"], \"c\": \"p, q\"}", "dict", None, {"a": 1, "b": [1, "x"], "c": "p, q"}),
        ('{a: "1"}', "dict", None, {"a": 1}),  # quotes go before it is read
        ("{a: {b: 1}}", "dict", None, {"a": "{b: 1"}),
        ("{}", "dict", None, {}),
        ("{a}", "dict", None, {}),
    ],
)
def test_javascript(text, kind, items, value):
    assert javascript(text, kind, items) == value


def test_lists_that_do_not_close_are_no_long_work():
    assert javascript("[" + "[1]," * 2000, "array", "array") == ["[1"]
    assert javascript("[" + "[1]," * 2000 + "[2]]", "array", "array") == [[1]] * 2000 + [[2]]
    assert javascript("new Array([1], [2, 3])", "array", "integer") == [[1], [2, 3]]
