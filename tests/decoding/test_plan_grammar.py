"""Each rule of the grammar, by whole lines that llguidance accepts or refuses; and that whatever it accepts can be read and is valid."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("llguidance")

from llguidance import LLMatcher, LLTokenizer  # noqa: E402

from toolagent.decoding.plan_grammar import ITEMS, STEPS, chunks, held, step_grammar  # noqa: E402
from toolagent.dialects import compact  # noqa: E402
from toolagent.errors import UsageError  # noqa: E402
from toolagent.plan import references  # noqa: E402
from toolagent.toolbox import check  # noqa: E402
from toolagent.types import ToolCall, ToolSpec  # noqa: E402

BYTES = LLTokenizer("byte")  # every byte is a token: the grammar alone decides


def matcher(grammar):
    made = LLMatcher(BYTES, grammar, log_level=0)
    assert not made.is_error(), made.get_error()
    return made


def accepted(grammar, line):
    made = matcher(grammar)
    ids = list(line.encode())
    return made.try_consume_tokens(ids) == len(ids) and made.is_accepting()


def spec(name="f", required=None, returns=None, **properties):
    parameters = {"type": "object", "properties": properties, "required": list(properties) if required is None else required}
    return ToolSpec(name, "", parameters, returns)


def allows(request, schema, *values, done=(), hold=True):
    """For one tool f(a) of this schema: which of the values, as text, are accepted."""
    grammar = step_grammar([spec(a=schema)], request, done, hold)
    return [accepted(grammar, f"{len(done) + 1} f(a={value})\n") for value in values]


def kind(name, **more):
    return {"type": "string", **({"format": name} if name else {}), **more}


def result(k, name):
    """An earlier step whose result is of a kind ("": of none)."""
    return (k, "g", kind(name))


EMAIL, PHONE, PATH, LINK, WHEN, NAME, TEXT, PLAIN = map(kind, ("email", "phone", "path", "uri", "date-time", "name", "text", ""))

# --- tools, steps, arguments ------------------------------------------------------------------------------------------------------------


def test_only_tools_at_hand_and_the_step_in_turn():
    grammar = step_grammar([spec("now"), spec("later")], "hi")
    assert accepted(grammar, "1 now()\n") and accepted(grammar, "1 later()\n")
    for line in ("2 now()\n", "1 never()\n", "1 now()", "1 now() \n", "now()\n", " 1 now()\n", "1 now(a=1)\n", "1 now()\n2 later()\n"):
        assert not accepted(grammar, line)
    assert accepted(step_grammar([spec("now")], "hi", [result(1, ""), result(2, "")]), "3 now()\n")


def test_arguments_stand_in_the_order_of_the_schema_the_required_ones_always():
    one = {"type": "boolean"}
    grammar = step_grammar([spec(required=["b"], a=one, b=one, c=one)], "hi")
    for inside in ("b=true", "a=true, b=false", "b=true, c=true", "a=true, b=true, c=false"):
        assert accepted(grammar, f"1 f({inside})\n"), inside
    for inside in (
        "",
        "a=true",
        "c=true",
        "a=true, c=true",
        "b=true, a=true",
        "b=true,c=true",
        "b=true, ",
        ", b=true",
        "b=true, b=true",
        "b=1",
        "d=1",
    ):
        assert not accepted(grammar, f"1 f({inside})\n"), inside


def test_optional_ones_alone():
    one = {"type": "boolean"}
    grammar = step_grammar([spec(required=[], a=one, b=one)], "hi")
    assert [accepted(grammar, f"1 f({inside})\n") for inside in ("", "a=true", "b=true", "a=true, b=true", "b=true, a=true")] == [True] * 4 + [False]


# --- words ------------------------------------------------------------------------------------------------------------------------------


def test_a_name_is_one_run_of_whole_words():
    good = ('" Ana"', '" Ana Lima"', '" Lima"', '" text Ana Lima that lunch moved"', '" lunch moved"')
    bad = (
        '" An"',
        '" na"',
        '" Ana lunch"',
        '" ana"',
        '" Bo"',
        '""',
        '" "',
        '"Ana"',
        '"  Ana"',
        '" Ana "',
        "Ana",
        '" Ana',
        "$1",
        '" Lima Ana"',
    )
    assert all(allows("text Ana Lima that lunch moved", NAME, *good)) and not any(allows("text Ana Lima that lunch moved", NAME, *bad))


def test_text_joins_six_runs_and_a_date_three():
    request = "a b c d e f g h i"
    six, seven = '" a c e g i b"', '" a c e g i b d"'  # no two of them stand side by side in the request
    assert allows(request, TEXT, six, seven, '" a c\\ne"', '" a\\n\\nc"') == [True, False, True, False]
    assert allows(request, WHEN, '" a c e"', '" a c e g"', '" a b c d"') == [True, False, True]
    assert allows(request, PLAIN, '" a b"', '" a c"') == [True, False]
    assert allows(request, kind("currency"), '" b c"', '" a c"') == [True, False]  # a kind that nobody knows is one run


def test_words_that_are_not_held():
    assert allows("hi", TEXT, '" anything at all"', '" it\'s 5 $"', hold=False) == [
        True,
        False,
    ]  # nothing may end in what could become "$1"
    assert allows("hi", TEXT, '" costs $5"', '" ${1}"', '" a $b"', '" tab\there"', '" say "no""', hold=False) == [
        False,
        False,
        True,
        False,
        False,
    ]
    assert allows("hi", TEXT, f'" {"x" * 200}"', f'" {"x" * 1201}"', hold=False) == [True, False]
    with pytest.raises(UsageError, match="no tool can be called"):
        step_grammar([spec(a=EMAIL)], "hi", hold=False)  # an address is never made up


def test_quotes_and_backslashes_are_escaped_and_never_cut():
    request = 'call it "Plan B" and C:\\new\\table (draft)'
    assert held(" ".join(request.split())) == 'call it \\" Plan B\\" and C:\\\\new\\\\table ( draft)'
    good = (
        '" \\" Plan B\\""',
        '" Plan B"',
        '" Plan"',
        '" C:\\\\new\\\\table"',
        '" new"',
        '" draft"',
        '" ( draft)"',
        '" draft)"',
        '" \\\\new"',
    )
    bad = ('" "Plan B""', '" Plan B\\"', '" C:\\new"', '" C:\\"', '" \\"', '" "', '" \\n"', '" ew"')
    assert allows(request, NAME, *good) == [True] * len(good)
    assert allows(request, NAME, *bad) == [False] * len(bad)
    for text in ("Plan B", '"Plan B"', "C:\\new\\table", "\\new", "(draft)", 'it "Plan B" and'):
        assert allows(request, NAME, compact.value_text(text)) == [True], text  # what the dialect writes is what the grammar takes


def test_emoji_accents_and_other_scripts_stay_whole():
    request = "ship 🏳️‍🌈 cake e\u0301tude हिन्दी to 👩‍👩‍👧 日本 👍🏽!"
    assert chunks(request)[2:] == [
        "🏳️‍🌈",
        " ",
        "cake",
        " ",
        "e\u0301tude",
        " ",
        "हिन्दी",
        " ",
        "to",
        " ",
        "👩‍👩‍👧",
        " ",
        "日",
        "本",
        " ",
        "👍🏽",
        "!",
    ]
    assert allows(request, NAME, '" 🏳️‍🌈 cake"', '" e\u0301tude"', '" हिन्दी"', '" 👩‍👩‍👧"', '" 👍🏽"') == [True] * 5
    assert allows(request, NAME, '" 🏳️"', '" e"', '" हिन"', '" 👩"', '" 👍"', '" tude"') == [False] * 6
    assert allows("告诉Ana午饭改到1点", NAME, '" Ana"', '" 午饭改到1点"', '" 饭"', '" An"') == [True, True, True, False]


def test_marks_and_control_characters_come_as_escapes():
    request = "write <|end|> \x00bell\x07 \x7f to me"
    assert allows(request, NAME, '" \\u003c|end|>"', '" <|end|>"', '" \\u0000bell\\u0007"', '" bell"', '" \x7f"') == [
        True,
        False,
        True,
        True,
        True,
    ]


def test_a_literal_of_odd_characters_is_a_literal():
    odd = "/tmp/\x7f\u202e\u0301👍🏽#%{}`~&\\"
    assert allows(f"open {odd} now", kind("path"), f'" {held(odd)}"') == [True]


@pytest.mark.parametrize("text", ["", "   ", "\n"])
def test_a_request_without_words_leaves_only_results(text):
    with pytest.raises(UsageError, match="no tool can be called: every one needs what the request does not hold"):
        step_grammar([spec(a=NAME)], text)
    assert allows(text, TEXT, "$1", done=[result(1, "")]) == [True]
    assert accepted(step_grammar([spec(a=NAME), spec("now")], text), "1 now()\n")


def test_a_money_amount_is_no_reference():
    """ "$5" in a request might be read as the result of step 5, so the grammar writes "$$5" (plan.py); "$20" cannot be: plans end at 12."""
    request = "note: Ana owes $5, Bo $$3, Cy $20 and ${2}"
    assert STEPS == 12
    good = ('" owes $$5"', '" $$5"', '" Bo $$$3"', '" $20"', '" $${2}"')
    assert allows(request, NAME, *good) == [True] * 5
    assert allows(request, NAME, '" owes $5"', "$5", '" $5"', '" $$3"', '" ${2}"', '" 5"') == [False] * 5 + [True]
    for value in good:
        assert references(compact.parse_value(value, 0, 1)[0]) in ((), (20,))


# --- what a kind is held to -------------------------------------------------------------------------------------------------------------

STATED = {
    EMAIL["format"]: (
        "mail ana@x.co, bo.b+c@mail.example.org. not a..b@x.co or c@local",
        ['" ana@x.co"', '" bo.b+c@mail.example.org"'],
        ['" a..b@x.co"', '" b@x.co"', '" c@local"', '" d@x.co"', '" ana"', '" ana@x.co, bo.b+c@mail.example.org"', '" na@x.co"'],
    ),
    PHONE["format"]: ("ring +44 20 7946-0999 or 555 0142 at 9", ['" +44 20 7946-0999"', '" 555 0142"'], ['" 9"', '" 0142"', '" +44 20"']),
    PATH["format"]: (
        """send ~/a/b.pdf, /tmp/x y. and "/home/me/my file.txt" or C:\\docs\\z.doc and '/it's here'""",
        ['" /it"', '" ~/a/b.pdf"', '" ~/a/b.pdf,"', '" /tmp/x"', '" /home/me/my file.txt"', '" C:\\\\docs\\\\z.doc"'],
        ['" b.pdf"', '" /a/b.pdf"', '" /etc/passwd"', '" send"'],
    ),
    LINK["format"]: (
        "post https://a.b/c?d=1, www.x.org and docs.y.net/z/.",
        ['" https://a.b/c?d=1"', '" www.x.org"', '" docs.y.net/z/"'],
        ['" a.b/c"', '" http://a.b/c"', '" post"', '" docs.y.net"'],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STATED)
def test_a_literal_stands_in_the_request_as_it_is(name):
    request, good, bad = STATED[name]
    assert [v for v in good if not allows(request, kind(name), v)[0]] == []
    assert [v for v in bad if allows(request, kind(name), v)[0]] == []
    with pytest.raises(UsageError, match="no tool can be called"):
        step_grammar([spec(a=kind(name))], "nothing of the sort")


# --- references -------------------------------------------------------------------------------------------------------------------------

KINDS = ["email", "phone", "path", "uri", "date-time", "name", "text", ""]
FIT = {"text": set(KINDS), "": set(KINDS), "name": {"name", "uri"}}  # text and plain strings take any result; a link may name a thing


@pytest.mark.parametrize("wanted", KINDS)
@pytest.mark.parametrize("made", KINDS)
def test_kinds_agree(wanted, made):
    fits = made in FIT.get(wanted, {wanted})
    request = "ring 555 0142 about a@b.co in /tmp/x and www.x.org"
    assert allows(request, kind(wanted), "$1", '" $1"' if wanted == "text" else "$1", done=[result(1, made)]) == [fits, fits]
    items = {"type": "array", "items": kind(wanted)}
    assert allows(request, items, "[$1]", done=[result(1, made)]) == [fits]


def test_only_earlier_steps():
    done = [result(1, "email"), result(2, "phone"), result(3, "email")]
    assert allows("hi", EMAIL, "$1", "$2", "$3", "$4", "$5", "$0", "$11", '" $1"', "${1}", done=done) == [True, False, True] + [False] * 6
    assert allows("hi", TEXT, "$4", '" hi $4"', '" hi $3"', '" $1 hi $2\\n$3"', '" $1$2"', done=done) == [False, False, True, True, False]
    assert allows("hi", TEXT, "$1") == [False]
    twelve = [result(k, "email") for k in range(1, 12)]
    assert allows("hi", EMAIL, "$1", "$11", "$12", done=twelve) == [True, True, False]


def test_a_number_takes_a_result_without_a_kind():
    done = [result(1, ""), result(2, "email"), (3, "g", {"type": "integer"}), (4, "g", {})]
    assert allows("hi", {"type": "integer"}, "$1", "$2", "$3", "$4", done=done) == [True, False, True, True]


# --- lists, numbers, choices, objects ---------------------------------------------------------------------------------------------------


def test_lists_are_bounded_and_not_empty_unless_they_may_be():
    def of(**more):
        return {"type": "array", "items": {"type": "boolean"}, **more}

    def lists(*sizes):
        return ["[" + ", ".join(["true"] * n) + "]" for n in sizes]

    assert allows("hi", of(), *lists(0, 1, ITEMS, ITEMS + 1)) == [False, True, True, False]
    assert allows("hi", of(minItems=0), *lists(0, 1)) == [True, True]
    assert allows("hi", of(minItems=2, maxItems=3), *lists(1, 2, 3, 4)) == [False, True, True, False]
    assert allows("hi", of(maxItems=0), *lists(0, 1)) == [True, False]
    assert allows("hi", of(), "[true,true]", "[true, ]", "[,true]", "[true") == [False] * 4
    assert allows("hi", {"type": "array", "items": {"type": "array", "items": NAME}}, '[[" hi"], [" hi", " hi"]]', '[" hi"]') == [
        True,
        False,
    ]
    assert allows("hi", {"type": "array"}, '[" hi"]', "[1]") == [True, False]
    with pytest.raises(UsageError, match="f.a: the grammar cannot hold minItems 9"):
        step_grammar([spec(a=of(minItems=9))], "hi")


def test_numbers_keep_their_bounds():
    whole = {"type": "integer"}
    assert allows("hi", whole, "0", "7", "-3", "999999999999") == [True] * 4
    assert allows("hi", whole, "07", "1.5", "1e3", "--1", "+1", "9999999999999", '" 7"', "-") == [False] * 8
    assert allows("hi", {"type": "number"}, "0.5", "-12.25", "3", "1.1234567", ".5", "1.") == [True, True, True, False, False, False]
    bounded = {**whole, "minimum": 1, "maximum": 12}
    assert allows("hi", bounded, "1", "9", "12", "0", "13", "-1", "120") == [True, True, True, False, False, False, False]
    assert allows("hi", {**whole, "minimum": 1}, "1", "999999999999", "0", "9999999999999") == [True, True, False, False]
    assert allows("hi", {**whole, "exclusiveMaximum": 10}, "9", "-5", "10") == [True, True, False]
    assert allows("hi", {**whole, "multipleOf": 5}, "10", "0", "7") == [True, True, False]
    assert allows("hi", {"type": "number", "minimum": 0, "maximum": 1}, "0.5", "1", "1.5", "-0.5") == [True, True, False, False]
    assert allows("hi", {**whole, "minimum": 10**15}, str(10**15), "5") == [True, False]  # beyond our own bound


def test_choices():
    enum = {"type": "string", "enum": ["low", "très haut", 'say "hi"', ""]}
    assert allows("hi", enum, '" low"', '" très haut"', '" say \\" hi\\""', '""', '" high"', '"low"', '" lo"') == [True] * 4 + [False] * 3
    assert allows("hi", {"enum": [1, 2.5, True, None, [1, 2], {"k": "v"}]}, "1", "2.5", "true", "null", "[1, 2]", '{"k": "v"}', "3") == [True] * 6 + [
        False
    ]
    assert allows("hi", {"const": "yes"}, '" yes"', '" no"') == [True, False]
    assert allows("hi", {"type": ["integer", "boolean"]}, "5", "true", '" hi"') == [True, True, False]
    assert allows("hi", {"anyOf": [{"type": "integer"}, NAME]}, "5", '" hi"', "true") == [True, True, False]
    assert allows("hi", {"anyOf": [EMAIL, {"type": "null"}]}, "null", '" hi"') == [True, False]
    with pytest.raises(UsageError, match="the choice '.3' would be read as the result of a step"):
        step_grammar([spec(a={"enum": ["$3"]})], "hi")
    with pytest.raises(UsageError, match="no tool can be called"):
        step_grammar([spec(a={"enum": []})], "hi")


def test_nested_objects():
    place = {
        "type": "object",
        "properties": {"city": NAME, "zip": {"type": "integer"}, "at": {"type": "object", "properties": {"x": NAME}}},
        "required": ["city"],
    }
    good = (
        '{"city": " Rome"}',
        '{"city": " Rome", "zip": 5}',
        '{"city": " Rome", "at": {}}',
        '{"city": " Rome", "zip": 5, "at": {"x": " Rome"}}',
    )
    bad = (
        "{}",
        '{"zip": 5}',
        '{"zip": 5, "city": " Rome"}',
        '{"city": " Rome",}',
        '{"city": " Paris"}',
        '{"city": " Rome", "more": 1}',
        '{"city":" Rome"}',
    )
    assert allows("go to Rome", place, *good) == [True] * 4
    assert allows("go to Rome", place, *bad) == [False] * 7
    assert allows("hi", {"type": "object"}, "{}", '{"a": 1}') == [True, False]
    assert allows("hi", {"type": "object", "properties": {'a "b"': NAME, "<|x": NAME}}, '{"a \\"b\\"": " hi", "\\u003c|x": " hi"}') == [True]


def test_lengths():
    request = "a bc def ghij"
    assert allows(request, kind("", maxLength=4), '" bc"', '" a bc"', '" ghij"', '" bc def"') == [True, True, True, False]
    assert allows(request, kind("", minLength=4), '" bc"', '" a bc"', '" bc def"') == [False, True, True]
    assert allows(request, kind("", minLength=2, maxLength=3), '" a"', '" bc"', '" def"', '" ghij"') == [False, True, True, False]
    assert allows(request, kind("text", maxLength=3), "$1", '" def"', '" a bc"', done=[result(1, "")]) == [
        True,
        True,
        False,
    ]  # who knows what $1 will be
    quoted = 'x "a" \x01'
    assert allows(quoted, kind("", maxLength=3), '" \\" a\\""', '" \\u0001"') == [
        False,
        True,
    ]  # the space behind the quote counts against it
    assert allows(quoted, kind("", minLength=4), '" \\" a\\""') == [False]  # and not for it: it is 3 letters, "a" in quotes
    assert allows("mail a@b.co or longer@b.co", kind("email", maxLength=7), '" a@b.co"', '" longer@b.co"') == [True, False]


# --- what is refused by name ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "what"),
    [
        ({"allOf": [NAME]}, "allOf"),
        ({"oneOf": [NAME]}, "oneOf"),
        ({"type": "string", "pattern": "^a"}, "pattern"),
        ({"type": "object", "patternProperties": {"^a": NAME}}, "patternProperties"),
        ({"type": "object", "minProperties": 1}, "minProperties"),
        ({"type": "object", "properties": {"x": NAME}, "dependentRequired": {"x": ["y"]}}, "dependentRequired"),
        ({"$ref": "#/$defs/x"}, r"\$ref"),
        ({"type": "array", "prefixItems": [NAME]}, "prefixItems"),
        ({"type": "array", "items": NAME, "uniqueItems": True}, "uniqueItems"),
        ({"type": "array", "contains": NAME}, "contains"),
        ({"if": {}, "then": {}, "not": {}}, "not, if, then"),
    ],
)
def test_a_feature_that_it_cannot_hold_is_named(schema, what):
    with pytest.raises(UsageError, match=f"f.a: the grammar cannot hold {what}; simplify the schema or run with --unconstrained"):
        step_grammar([spec(a=schema)], "hi")
    inner = {"type": "object", "properties": {"deep": {"type": "array", "items": schema}}}
    with pytest.raises(UsageError, match=f"f.a.deep: the grammar cannot hold {what}"):
        step_grammar([spec(a=inner)], "hi")


def test_other_refusals():
    with pytest.raises(UsageError, match="f: the grammar cannot hold anyOf"):
        step_grammar([ToolSpec("f", "", {"type": "object", "properties": {"a": NAME}, "anyOf": [{"required": ["a"]}]})], "hi")
    with pytest.raises(UsageError, match="the grammar does not know the type 'date'"):
        step_grammar([spec(a={"type": "date"})], "hi")
    with pytest.raises(UsageError, match="f.a: the schema is no object"):
        step_grammar([spec(a=3)], "hi")
    for bad in (spec("two words"), spec("f(x)"), spec("<|end|>"), spec(**{"a b": NAME}), spec(**{"a=b": NAME}), spec(**{"": NAME})):
        with pytest.raises(UsageError, match="holds no spaces or parentheses"):
            step_grammar([bad], "hi")
    assert allows("hi", {"type": "array", "items": NAME, "uniqueItems": False}, '[" hi"]') == [True]
    assert allows("hi", True, '" hi"') == [True]


# --- whatever it accepts can be read and is valid ---------------------------------------------------------------------------------------

letters = st.one_of(st.text(max_size=60), st.text(alphabet="ab \"'\\($1<|{}[]\n\u0301\u200d👍é/@.:,5", max_size=60))
TOOLS = (
    spec("make", required=["title"], title=NAME, body=TEXT, when=WHEN, tags={"type": "array", "items": PLAIN, "maxItems": 3}, returns=PATH),
    spec(
        "send",
        required=[],
        to={"type": "array", "items": EMAIL},
        text=kind("text", maxLength=40),
        at=PATH,
        n={"type": "integer", "minimum": 0},
    ),
    spec(
        "put",
        required=["o"],
        o={"type": "object", "properties": {"k": NAME, "x": {"type": "number"}}, "required": ["k"]},
        s=kind("", minLength=3),
    ),
    spec("look", required=["at"], at={"anyOf": [LINK, PHONE, {"enum": ["here", 3]}]}, returns=EMAIL),
    spec("now", returns=WHEN),
)


def walk(grammar, rng, most=400):
    """A line by random steps, with a liking for what ends it."""
    made, out = matcher(grammar), bytearray()
    while not made.is_accepting():
        mask = made.compute_bitmask()
        allowed = [i for i in range(256) if mask[i // 8] >> (i % 8) & 1]
        closing = [i for i in allowed if i in b'")]},\n']
        out.append(rng.choice(closing if closing and (len(out) > most or rng.random() < 0.2) else allowed))
        assert made.consume_token(out[-1])
    return out.decode()


@given(
    request=letters.filter(lambda t: t.isprintable() or not any("\ud800" <= c <= "\udfff" for c in t)),
    seed=st.integers(0, 2**32),
    hold=st.booleans(),
)
def test_what_it_accepts_is_read_back_and_valid(request, seed, hold):
    rng, done = random.Random(seed), []
    for k in range(1, 4):
        call = compact.parse_call(walk(step_grammar(TOOLS, request, done, hold), rng).removesuffix("\n"), k)
        tool = next(t for t in TOOLS if t.name == call.name)
        assert check(tool, call.arguments, references=True) == []
        assert all(r < k or r > STEPS for r in references(call.arguments))
        done.append((k, tool.name, tool.returns or {}))


@given(request=letters, a=st.integers(0, 60), b=st.integers(0, 60))
def test_every_run_of_whole_words_can_be_said(request, a, b):
    """Cut anywhere between two chunks and written by the dialect, it is accepted: recall, beside the safety above."""
    words = request.split()
    run = " ".join(words[min(a, b) % (len(words) + 1) : max(a, b)]) if words else ""
    if not run or any("\ud800" <= c <= "\udfff" for c in run) or "$" in run:
        return
    call = ToolCall("f", {"a": run})
    assert accepted(step_grammar([spec(a=NAME)], request), f"1 {compact.call_text(call)}\n")


def test_a_request_of_5000_words(record_property):
    """It compiles; how long that takes is reported (pytest --junitxml), not judged."""
    import time

    rng = random.Random(0)
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9))) for _ in range(5_000)]
    started = time.perf_counter()
    grammar = step_grammar(TOOLS, " ".join(words))
    assert accepted(grammar, f'1 make(title=" {" ".join(words[4_000:4_900])}")\n')
    assert not accepted(grammar, f'1 make(title=" {words[17]} {words[4_000]}")\n')
    record_property("seconds", round(time.perf_counter() - started, 2))
