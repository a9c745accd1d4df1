"""New words for old spans: of the same kind, in the same shape, the same for the same seed."""

import random
import re
from datetime import datetime

import pytest

from toolagent import when
from toolagent.datagen.fillers import CLOCK, Filler, cased, clock, day, invented, moment, moments, ordinal
from toolagent.datagen.seeds import Banks, load_banks
from toolagent.toolbox import is_email

NOW = datetime(2026, 3, 2, 10, 0)  # a Monday
TOY = Banks({
    "person": ("Ana", "Bo", "Li Wei"), "when": ("friday", "at noon", "on friday at 4"), "when_range": ("2 to 3",), "file": ("a_plan.docx",),
    "pdf": ("a_report.pdf",), "phone": ("+1 (202) 555-0100",), "email": ("ana@example.org",), "note": ("Tea",),
    "address": ("12 Harbour St",),
})  # fmt: skip


class Never(random.Random):
    """A die that always shows its highest number, and a hand that always takes the first."""

    def random(self):
        return 0.99

    def choice(self, seq):
        return seq[0]

    def randint(self, a, b):
        return b


@pytest.fixture(scope="module")
def filler():
    return Filler(load_banks())


KINDS = (
    "person", "when", "when_range", "place", "note", "event", "message", "subject", "topic", "file", "pdf", "email", "phone", "number",
    "address", "folder", "list", "calendar", "duration", "url",
)  # fmt: skip


def test_the_same_seed_gives_the_same_value(filler):
    def drawn(seed):
        rng = random.Random(seed)
        return [filler(kind, "Old 5pm", rng) for kind in KINDS for _ in range(5)]

    assert drawn(1) == drawn(1) and drawn(1) != drawn(2)
    assert all(value.strip() == value and value and "\n" not in value for value in drawn(3))


def test_a_kind_that_nobody_knows_keeps_the_old_value():
    assert Filler(TOY)("spaceship", "Heart of Gold", Never()) == "Heart of Gold"


def test_values_of_a_toy_bank():
    filler, rng = Filler(TOY), Never()
    assert filler("note", "Old", rng) == "Tea"
    assert filler("person", "Max", rng) == "Ana Wei"  # a high roll asks for a full name
    assert filler("person", "Max Muster", rng) == "Ana Wei"
    assert filler("address", "5 Old Rd", rng) == "99 Harbour St"
    assert filler("phone", "123", rng) == "+9 (999) 999-9999"
    assert filler("number", "42", rng) == "99"
    assert filler("number", "1987.44", rng) == "9999.99"
    assert filler("file", "old.txt", rng) == "a_plan.docx"
    assert filler("file", "old plan", rng) == "a plan"  # said without its suffix
    assert filler("pdf", "old.pdf", rng) == "a_report.pdf"


def test_a_word_before_a_date_is_kept_or_left_out_as_it_was():
    class Bank(Never):  # draws from the bank, its last entry
        def random(self):
            return 0.0

        def choice(self, seq):
            return seq[-1]

    assert Filler(TOY)("when", "monday at 5", Bank()) == "friday at 4"
    assert Filler(TOY)("when", "on monday at 5", Bank()) == "on friday at 4"
    assert Filler(TOY)("when", "on monday", Bank()) == "on friday"


@pytest.mark.parametrize(
    ("value", "old", "kind", "shown"),
    [
        ("Tea Party", "lunch", "event", "tea party"),
        ("Tea Party", "LUNCH BREAK", "event", "TEA PARTY"),
        ("Tea Party", "Lunch", "event", "Tea Party"),
        ("Report.pdf", "old.pdf", "pdf", "Report.pdf"),  # file names are written as they are
        ("Ana@Example.org", "bo@example.org", "email", "Ana@Example.org"),
        ("tea", "NASA", "topic", "tea"),  # four capitals are an abbreviation, not a manner of writing
    ],
)
def test_the_letter_case_is_that_of_the_old_words(value, old, kind, shown):
    assert cased(value, old, kind) == shown


def test_ordinals():
    assert [ordinal(n) for n in (1, 2, 3, 4, 11, 12, 13, 21, 22, 23, 28, 31)] == [
        "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "22nd", "23rd", "28th", "31st",
    ]  # fmt: skip


def test_a_time_stays_a_time_and_a_day_a_day(filler):
    toy, rng = Filler(TOY), random.Random(4)
    rng.random = lambda: 0.0  # always draws from the bank
    assert {toy("when", "Friday at 3pm", rng) for _ in range(30)} == {"noon", "friday at 4"}
    assert {toy("when", "Friday", rng) for _ in range(30)} == {"friday"}
    days = [filler("when", "Friday", random.Random(seed)) for seed in range(100)]
    assert [phrase for phrase in days if CLOCK.search(phrase)] == []


def test_composed_dates_can_be_understood(filler):
    rng = random.Random(5)
    phrases = [made for _ in range(60) for made in (day(rng), moment(rng, True), moments(rng), f"friday at {clock(rng)}")]
    phrases += [value for bank in ("when", "when_range") for value in filler.banks[bank][::4]]
    for phrase in phrases:
        when.resolve(phrase, NOW)  # raises WhenError


def test_addresses_numbers_and_invented_words(filler):
    rng = random.Random(6)
    assert all(is_email(filler("email", "x", rng)) for _ in range(100))
    assert all(re.fullmatch(r"\d{3}", filler("number", "120", rng)) for _ in range(100))
    assert all(re.fullmatch(r"[^\W\d_]+", invented(rng)) for _ in range(100))
    assert len({invented(rng) for _ in range(100)}) > 80
