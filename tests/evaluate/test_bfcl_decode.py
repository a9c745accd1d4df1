"""Texts and the calls in them. That they are the official ones: test_calls_agreement.py."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolagent.errors import InvalidOutput
from toolagent.evaluate.bfcl_decode import decode, decode_source
from toolagent.types import ToolCall


def decoded(text):
    return [(call.name, call.arguments) for call in decode(text)]


@pytest.mark.parametrize("text", ["[f(a=1)]", "f(a=1)", "`[f(a=1)]`", "```\n[f(a=1)]\n```", "[f(a=1)", "f(7, a=1)"])
def test_one_call_in_several_dresses(text):
    assert decoded(text) == [("f", {"a": 1})]


@pytest.mark.parametrize("text", ["", " \n", "[]"])
def test_no_call(text):
    assert decode(text) == ()


@pytest.mark.parametrize(
    "source, value",
    [
        ("-1.5", -1.5),
        ("+1", -1),  # as the official decoder has it
        ("not True", -1),
        ("[1, (2, 'x'), {'k': None}]", [1, (2, "x"), {"k": None}]),
        ("true", "true"),
        ("x[0]", "x[0]"),
        ("g(1)", "g(1)"),
        ("g.h(b=1)", {"g.h": {"b": 1}}),
        ("10 * 60 + -2", 598),
        ("'a' + 'b'", "ab"),
        ("...", "..."),
    ],
)
def test_values(source, value):
    assert decoded(f"[m.f(a={source})]") == [("m.f", {"a": value})]


@pytest.mark.parametrize(
    "text",
    ["I cannot do that.", "```python\n[f()]\n```", "[f]", "[[f()]]", "f(); g()", "f(a=x.y)", "f(a={1})", "f(a=1/0)", "f(a=x + 1)", "f(a=[1)",
     "f(a=9**9**9)", "f(a='x' * 10**9)", "f(a=[[[1] * 999] * 999] * 999)",
     "f(a='%999999d' % 1)", "f(a=len('abc') + 1)", "f(a=f'{x}')", "f(a=-'x')", "(" * 3000, "f(a='\0')"],
)  # fmt: skip
def test_what_is_no_list_of_calls(text):
    with pytest.raises(InvalidOutput):
        decode(text)


@given(st.text(max_size=30))
def test_any_text_is_calls_or_is_refused(text):
    for read in (decode, decode_source):
        with suppress(InvalidOutput):
            assert all(isinstance(call, ToolCall) for call in read(text))


def test_source_text_stays_as_it_is_but_for_the_quotes_around_it():
    (call,) = decode_source('[a.B.f(x=new int[]{1, 2}, y="p, q)", z=new HashMap<>() {{ put("k", 1); }}, w==1)]')
    assert (call.name, call.arguments) == ("a.B.f", {"x": "new int[]{1, 2}", "y": "p, q)", "z": 'new HashMap<>() {{ put("k", 1); }}'})
    assert decode_source("f(a='x' + 'y', b=\"it's\", c='')")[0].arguments == {"a": "'x' + 'y'", "b": "it's", "c": ""}
    assert [call.name for call in decode_source("f(a={k: [1, 2]}), g()")] == ["f", "g"]
    for broken in ("f(a=[1)", "f(a='x)", "f", "Sorry, no."):
        with pytest.raises(InvalidOutput):
            decode_source(broken)
