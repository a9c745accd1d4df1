"""Requests from signatures alone: ten of them read by a person, and the law that they all keep."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from typing import Any

import pytest

from toolagent.datagen import chains, generic
from toolagent.datagen.compose import Example
from toolagent.datagen.fillers import Filler
from toolagent.datagen.filters import fault
from toolagent.datagen.grounding import dangling, grounded, held
from toolagent.datagen.seeds import Banks, load_packs
from toolagent.datagen.values import bank_of, value_for
from toolagent.plan import number
from toolagent.types import ToolCall, ToolSpec

BANKS = {
    "person": ("Ana", "Kwame", "Mei-Ling", "Sid", "Ana Novak"), "when": ("tomorrow", "next friday", "friday at 3pm", "noon"),
    "when_range": ("2-3pm",), "email": ("ana@tidewater.example",), "phone": ("555-0114",), "address": ("14 Elm Street",),
    "place": ("the allotment", "Porto", "Gate B22"),
    "event": ("lunch", "site visit", "choir"), "topic": ("roof quote", "payroll"), "message": ("running late", "the door's open"),
    "note": ("Trip ideas", "Recipes"), "list": ("Groceries", "Errands"), "file": ("budget.pdf", "q3-report.docx"), "pdf": ("lease.pdf",),
    "subject": ("Signed contract",), "folder": ("Taxes",), "url": ("https://example.org/a",),
}  # fmt: skip
FILLER = Filler(Banks(BANKS))  # small, so that what is read here does not change with the real banks
WORDS: dict[str, Any] = {"type": "string"}
WHEN = {"type": "string", "format": "date-time"}
EMAIL = {"type": "string", "format": "email"}
TEXT = {"type": "string", "format": "text"}


def tool(name: str, description: str, properties: dict[str, Any], required: list[str] | None = None, **more: Any) -> ToolSpec:
    needed = list(properties) if required is None else required
    return ToolSpec(name, description, {"type": "object", "properties": properties, "required": needed}, **more)


STAGES = {"type": "string", "enum": ["first_wort", "dry_hop"]}
HOPS = tool("add_hops", "Log a hop addition.", {"grams": {"type": "number"}, "stage": STAGES})
DOME = tool("close_dome", "Close the dome.", {"mirror_cover": {"type": "boolean"}, "notify_all": {"type": "boolean"}})
INVITE = tool("invite", "Invite people to a meeting.", {"people": {"type": "array", "items": WORDS}, "title": WORDS})
TANK = tool(
    "set_tank", "Set a tank.",
    {"tank": {"type": "integer"}, "temperature_celsius": {"type": "number"}, "ramp_hours": {"type": "integer"}},
)  # fmt: skip
ADDRESS = {"type": "object", "properties": {"street": WORDS, "city": WORDS, "floor": {"type": "integer"}}, "required": ["street", "city"]}
PARCEL = tool("send_parcel", "Registers a parcel. Returns its number.", {"to": ADDRESS, "weight_kg": {"type": "number"}})
ROOM = tool("book_room", "Book a room.", {"room": WORDS, "start": WHEN, "end": WHEN})
SHOP = {"type": "string", "description": "one of the shops, e.g. Dam, Centraal or Zuid"}
SALES = tool("sales", "Returns the sales of a day.", {"day": {"type": "string", "description": "YYYY-MM-DD"}, "shop": SHOP})
REMARK = tool("remark", "Write a remark about a patient.", {"patient": WORDS, "remark": TEXT})
CANCEL = tool("order.cancel", "Cancels an order.", {"order_id": WORDS, "max_fee_percent": {"type": "integer"}})
FIND = tool("find_email", "Find a contact's e-mail address.", {"name": WORDS}, returns=EMAIL)
WRITE = tool("write_mail", "Write an e-mail.", {"to": {"type": "array", "items": EMAIL}, "text": TEXT}, writes=True)


def of(spec: ToolSpec, seed: int) -> Example:
    found = generic.request_for(spec, FILLER, random.Random(seed))
    assert found is not None
    return found


READ = (
    (HOPS, 0, "go ahead and log a hop addition: 3.39g dry hop", {"grams": 3.39, "stage": "dry_hop"}),
    (DOME, 0, "close the dome mirror cover, do not notify all", {"mirror_cover": True, "notify_all": False}),
    (INVITE, 8, "Invite with Drurt, Sid & Kwame, named lunch", {"people": ["Drurt", "Sid", "Kwame"], "title": "lunch"}),
    (TANK, 8, "can you set tank, tank 65, temperature 77.8°C, ramp 25 hours", {"tank": 65, "temperature_celsius": 77.8, "ramp_hours": 25}),
    (PARCEL, 7, "let's register parcel to street 92 Elm Street and city Porto weight 2.93 kilos",
     {"to": {"street": "92 Elm Street", "city": "Porto"}, "weight_kg": 2.93}),
    (ROOM, 5, "Book a room from today till friday at 3pm room Gate B22", {"room": "Gate B22", "start": "today", "end": "friday at 3pm"}),
    (SALES, 2, 'go ahead and get the sales of a day, day 2026-01-03 shop "Zuid"', {"day": "2026-01-03", "shop": "Zuid"}),
    (REMARK, 6, 'go ahead and write a remark about a patient for Mei-Ling saying "the door\'s open"',
     {"patient": "Mei-Ling", "remark": "the door's open"}),
    (CANCEL, 3, "I want to cancel order order id #8873, fee at most 95%", {"order_id": "#8873", "max_fee_percent": 95}),
)  # fmt: skip


@pytest.mark.parametrize(("spec", "seed", "request_", "arguments"), READ)
def test_a_request_as_a_person_reads_it(spec, seed, request_, arguments):
    made = of(spec, seed)
    assert (made.request, made.plan) == (request_, (ToolCall(spec.name, arguments, "1"),))


def chain(link: chains.Link, seed: int) -> Example:
    found = chains.chain_for(link, FILLER, random.Random(seed))
    assert found is not None
    return found


def test_a_chain_as_a_person_reads_it():
    (link,) = chains.links((FIND, WRITE))
    made = chain(link, 2)
    assert made.request == "could you find email, name: Kwame, then write an e-mail to that e-mail address, that says running late"
    assert made.plan == number([ToolCall("find_email", {"name": "Kwame"}), ToolCall("write_mail", {"to": ["$1"], "text": "running late"})])
    made = chain(link, 5)
    assert made.request == (
        'please write an e-mail saying "running late"; use the e-mail address from this: '
        "find a contact's e-mail address name Ana and find contact's e-mail address for Kwame"
    )
    assert made.plan[2].arguments == {"to": ["$1", "$2"], "text": "running late"}


def test_kinds_make_links_and_words_make_links_of_names():
    name, number_ = {"type": "string", "format": "name"}, {"type": "string"}
    specs = (
        FIND,
        WRITE,
        tool("find_bed", "Find the bed of a crop.", {"crop": name}, returns=name),
        tool("water_bed", "Water a bed.", {"bed": name}),
        tool("plant", "Plant a crop.", {"crop": name}),
        tool("order_food", "Order food.", {"dish": WORDS}, returns=number_ | {"description": "the order number"}, writes=True),
        tool("cancel_order", "Cancel an order.", {"order_number": WORDS}),
        tool("rate", "Rate a dish.", {"dish": WORDS, "stars": {"type": "integer"}}),
    )
    found = {(link.producer.name, link.consumer.name, link.argument, link.many) for link in chains.links(specs)}
    assert found == {
        ("find_email", "write_mail", "to", True), ("find_bed", "water_bed", "bed", False),
        ("order_food", "cancel_order", "order_number", False),
    }  # fmt: skip


def numbers(value: Any) -> Iterator[int | float]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for member in value:
            yield from numbers(member)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield value


def lawful(made: Example, specs: tuple[ToolSpec, ...]) -> None:
    """Valid, and said: every free string a run of the request, every number in digits."""
    assert fault(made.request, made.plan, specs) is None and not dangling(made.plan), made
    assert grounded(made.request, made.plan, specs, free=()) == (made.plan, []), made
    for value in numbers([call.arguments for call in made.plan]):
        assert re.search(rf"(?<![\d.]){re.escape(json.dumps(value))}(?!\d)", made.request), (value, made)


def test_every_tool_of_every_pack_keeps_the_law():
    rng = random.Random(3)
    for specs in [*load_packs().values(), generic.invented_tools(rng, 12)]:
        for spec in specs:
            made = generic.request_for(spec, FILLER, rng)
            assert made is not None, spec
            lawful(made, (spec,))


THREE = {"type": "array", "items": {"type": "integer"}, "minItems": 3, "maxItems": 3, "uniqueItems": True}
DISH = {"type": "object", "properties": {"dish": WORDS, "extra_hot": {"type": "boolean"}}, "required": ["dish"]}
HARD = tool(
    "hard", "This tool is used to do everything at once (slowly).",
    {
        "level": {"type": "integer", "minimum": 1000, "exclusiveMaximum": 1003},
        "step": {"type": "number", "multipleOf": 0.25, "maximum": 1, "minimum": 0},
        "size": {"enum": [1, 2, "x_large"]},
        "fixed": {"const": "on"},
        "code": {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
        "short": {"type": "string", "maxLength": 12},
        "either": {"anyOf": [{"type": "null"}, THREE]},
        "pair": {"type": "array", "prefixItems": [{"type": "string"}, {"type": "number"}]},
        "settings": {"type": "object", "additionalProperties": {"type": "integer"}},
        "lines": {"type": "array", "items": DISH},
        "anything": {},
    },
)  # fmt: skip


def test_bounds_patterns_and_nesting_are_kept():
    for seed in range(12):
        lawful(of(HARD, seed), (HARD,))


def test_what_has_no_words_is_none():
    rng = random.Random(1)
    assert value_for("code", {"type": "string", "pattern": "^Ω{40}$"}, FILLER, rng) is None
    assert value_for("n", {"type": "integer", "minimum": 3, "maximum": 2}, FILLER, rng) is None
    assert generic.request_for(tool("f", "F.", {"nothing": {"enum": []}}), FILLER, rng) is None
    assert generic.request_for(tool("f", "Do it.", {"nothing": {"enum": []}}, required=[]), FILLER, rng) is not None


@pytest.mark.parametrize(
    ("name", "schema", "bank"),
    [
        ("file_name", {}, "file"), ("user_name", {}, "person"), ("name", {}, "person"),
        ("name", {"description": "Name of the field"}, "topic"),
        ("videoId", {}, "code"), ("width", {}, ""), ("start", {}, "when"), ("timeControl", {}, ""), ("who", {"format": "email"}, "email"),
        ("destination_city", {}, "place"), ("bookTitle", {}, "event"), ("name", {"description": "title of the note"}, "event"),
    ],
)  # fmt: skip
def test_the_kind_of_a_string_is_read_off_its_name(name, schema, bank):
    assert bank_of(name, schema | {"type": "string"}) == bank


def test_a_value_is_held_as_whole_words_in_the_requests_letters():
    assert held("text ana  novak the bananas", "Ana Novak") == "ana  novak"
    assert held("text banana", "ana") is None
    assert held("order #44!", "#44") == "#44" and held("order #441", "#44") is None and held("", "x") is None
