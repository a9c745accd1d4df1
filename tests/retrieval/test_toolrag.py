"""BM25 over a few tools, its scores worked out by hand."""

import math

import pytest

from toolagent.retrieval.toolrag import SHOW_ALL, TOP, document, kinds, rank, retrieve, terms
from toolagent.types import ToolSpec


def spec(name, description="", returns=None, /, **formats):
    properties = {key: {"type": "string", **({"format": form} if form else {})} for key, form in formats.items()}
    return ToolSpec(
        name, description, {"type": "object", "properties": properties}, {"type": "string", "format": returns} if returns else None
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Send the E-mails!", ["send", "the", "e", "mail"]),
        ("send_smsMessage", ["send", "sms", "message"]),  # three letters keep their s
        ("getPhoneNumber2Name", ["get", "phone", "number2", "name"]),
        ("bus class glasses is", ["bus", "class", "glasse", "is"]),
        ("Größe ändern", ["größe", "ändern"]),
        ("", []),
    ],
)
def test_words(text, found):
    assert terms(text) == found


def test_a_tool_is_its_name_twice_its_description_and_its_arguments():
    water = ToolSpec(
        "water_bed", "Water a bed.", {"type": "object", "properties": {"litres": {"type": "number", "description": "how much"}, "x": True}}
    )
    assert document(water) == ["water", "bed", "water", "bed", "water", "a", "bed", "litre", "x", "how", "much"]


def test_scores_are_those_of_bm25():
    lamp, door, other = spec("lamp", "light"), spec("door", "light"), spec("gate", "iron")
    # each document has 3 words, so lengths do not count: a word that stands n times is worth idf * n * 2.2 / (n + 1.2)
    lamp_idf, light_idf = math.log(1 + (3 - 1 + 0.5) / 1.5), math.log(1 + (3 - 2 + 0.5) / 2.5)
    scores = rank("light the lamp", [lamp, door, other])
    assert [tool.name for _, tool in scores] == ["lamp", "door", "gate"]
    assert [score for score, _ in scores] == pytest.approx([lamp_idf * 2 * 2.2 / 3.2 + light_idf, light_idf, 0])


def test_equal_scores_stand_in_the_order_of_the_tools():
    assert [tool.name for _, tool in rank("nothing", [spec("b"), spec("a")])] == ["b", "a"]
    assert rank("anything", []) == []


def test_kinds_of_arguments():
    mixed = ToolSpec(
        "f", "", {"properties": {"to": {"type": "array", "items": {"format": "email"}}, "at": {"format": "date-time"}, "x": True, "y": {}}}
    )
    assert kinds(mixed) == {"email", "date-time"}


def test_a_small_pack_is_shown_whole():
    tools = [spec(f"tool_{k}") for k in range(SHOW_ALL)]
    assert retrieve("anything", tools) == tuple(tools)
    assert retrieve("anything", [*tools, spec("one_more")]) == ()


CONTACTS = spec("find_address", "Where somebody can be reached", "email", person="")
PHONES = spec("dial_code", "Number of somebody", "phone", person="")
READER = spec("read_aloud", "Say a text", "text", text="text")
LETTER = spec("send_letter", "Write to people", None, to="email", body="text", day="date-time")
FILLING = [spec(f"unrelated_{k}", "nothing of the kind") for k in range(30)]


def test_what_an_argument_needs_is_shown_as_well():
    tools = [CONTACTS, *FILLING, PHONES, READER, LETTER]
    assert retrieve("send letter", tools) == (CONTACTS, LETTER)  # in the pack's order; any tool makes texts, so none is added for one
    assert retrieve("letter", [LETTER, *FILLING, CONTACTS]) == (LETTER, CONTACTS)


def test_at_most_so_many_are_shown():
    tools = [
        spec(f"paint_{colour}", "paint it")
        for colour in ["red", "green", "blue", "black", "white", "pink", "grey", "brown", "lime", "navy", "teal", "gold"]
    ]
    found = retrieve("paint it gold", [*tools, *FILLING])
    assert len(found) == TOP and "paint_gold" in {tool.name for tool in found}
    assert retrieve("paint it gold", tools, show_all=3, top=1) == (tools[-1],)


def test_tools_without_a_common_word_are_not_shown():
    assert retrieve("sing", [*FILLING, LETTER]) == ()
