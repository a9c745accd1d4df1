"""The table of phrases (answers by hand), ends said apart, lengths, refusals, and laws over generated phrases."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import toolagent
from toolagent import when
from toolagent.errors import ToolagentError
from toolagent.when import Moment, WhenError, duration, resolve, resolve_end

TABLE = Path(__file__).with_name("when_phrases.tsv")
BANKS = Path(toolagent.__file__).parent / "datagen" / "seeds" / "banks"
WEDNESDAY = datetime(2025, 11, 26, 10, 20)
BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")


def rows() -> list[list[str]]:
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines if line and not line.startswith("#")]


def moment_in(now: str) -> datetime:
    """'2026-03-28 22:00 Europe/Berlin' -> an aware datetime; without a zone, a naive one."""
    return datetime.fromisoformat(now[:16]).replace(tzinfo=ZoneInfo(now[17:]) if now[17:] else None)


def answer(now: str, phrase: str) -> tuple[list[str], tuple[str, ...]]:
    """What the code says, in the columns of the table, and its warnings."""
    try:
        if now == "duration":
            return [f"{duration(phrase).total_seconds() / 60:g}", "-", "-"], ()
        moment = resolve(phrase, moment_in(now))
    except WhenError as error:
        return ["ERROR", "-", "-"], (str(error),)
    text = [
        written.removesuffix(":00") if written.count(":") == 2 else written
        for written in (moment.text(), moment.end_text())
    ]
    return ["~" * bool(moment.warnings) + text[0], text[1] or "-", str(int(moment.all_day))], moment.warnings


def test_the_table() -> None:
    table = rows()
    misses, silent = [], []
    for now, phrase, *expected in table:
        found, warnings = answer(now, phrase)
        if found != expected:
            misses.append(f"{now}  {phrase!r}: {found} instead of {expected} {warnings}")
            if not warnings and found[:2] != [expected[0].lstrip("~"), expected[1]]:
                silent.append(misses[-1])
    print(f"{len(table) - len(misses)} of {len(table)} right", *misses, sep="\n")
    assert len(table) >= 330
    assert not silent
    assert len(misses) <= 0.02 * len(table)


def test_the_table_holds_every_phrase_once() -> None:
    keys = [tuple(row[:2]) for row in rows()]
    assert len(keys) == len(set(keys))
    assert all(len(row) == 5 for row in rows())


@pytest.mark.parametrize("bank", ["when.txt", "when_range.txt"])
def test_the_banks_of_phrases_resolve_or_are_refused(bank: str) -> None:
    phrases = [line for line in (BANKS / bank).read_text(encoding="utf-8").splitlines() if line.strip()]
    refused = [phrase for phrase in phrases if answer("2025-11-26 10:20", phrase)[0][0] == "ERROR"]
    assert len(refused) <= 0.02 * len(phrases), refused


START = datetime(2025, 12, 1, 14, 0)  # a Monday


@pytest.mark.parametrize(
    ("phrase", "end"),
    [
        ("until four", "2025-12-01 16:00:00"),
        ("till half past three", "2025-12-01 15:30:00"),
        ("4", "2025-12-01 16:00:00"),
        ("5pm", "2025-12-01 17:00:00"),
        ("to 17:30", "2025-12-01 17:30:00"),
        ("17.30", "2025-12-01 17:30:00"),
        ("at 9", "2025-12-01 21:00:00"),
        ("midnight", "2025-12-02 00:00:00"),
        ("end of day", "2025-12-01 17:00:00"),
        ("evening", "2025-12-01 19:00:00"),
        ("two hours", "2025-12-01 16:00:00"),
        ("for two hours", "2025-12-01 16:00:00"),
        ("90 min", "2025-12-01 15:30:00"),
        ("half an hour", "2025-12-01 14:30:00"),
        ("1h30", "2025-12-01 15:30:00"),
        ("a day", "2025-12-02 14:00:00"),
        ("the 6th", "2025-12-06"),
        ("friday", "2025-12-05"),
        ("until friday at noon", "2025-12-05 12:00:00"),
        ("tomorrow at 3", None),  # counts from now: before the start
        ("dec 2 at 9", "2025-12-02 09:00:00"),
        ("2025-12-03 10:00", "2025-12-03 10:00:00"),
        ("from 2 to 4", None),  # today's 4 o'clock is before the start
        ("monday from 2 to 4", "2025-12-01 16:00:00"),
        ("in an hour", None),
        ("yesterday", None),
        ("soon", None),
        ("later", None),
        ("", None),
        ("🎉", None),
    ],
)
def test_an_end_said_apart_from_its_start(phrase: str, end: str | None) -> None:
    if end is None:
        with pytest.raises(WhenError):
            resolve_end(phrase, START, WEDNESDAY)
    else:
        assert resolve_end(phrase, START, WEDNESDAY).text() == end


def test_an_end_far_from_its_start_is_doubtful() -> None:
    assert resolve_end("until 5pm", START, WEDNESDAY) == Moment(datetime(2025, 12, 1, 17))
    night = resolve_end("until 9am", START, WEDNESDAY)
    assert night.start == datetime(2025, 12, 2, 9) and night.warnings  # 19 hours


def test_a_length_crosses_a_change_of_the_clocks_in_real_time() -> None:
    start = datetime(2026, 3, 29, 1, 0, tzinfo=BERLIN)  # at 2:00 the clocks go to 3:00
    assert resolve_end("for 2 hours", start, start).text() == "2026-03-29 04:00:00"


def test_results_keep_the_zone_of_now() -> None:
    now = datetime(2026, 3, 28, 22, tzinfo=BERLIN)
    assert resolve("tomorrow at 9", now).start == datetime(2026, 3, 29, 9, tzinfo=BERLIN)
    assert resolve("tomorrow at 9", now).start.tzinfo is BERLIN
    assert resolve("noon UTC tomorrow", now).start.tzinfo is BERLIN
    assert resolve("tomorrow at 9", now.replace(tzinfo=None)).start.tzinfo is None


def test_the_last_time_instead_of_the_next() -> None:
    def last(phrase: str) -> str:
        return resolve(phrase, WEDNESDAY, prefer_future=False).text()

    assert last("friday") == "2025-11-21"
    assert last("wednesday") == "2025-11-19"
    assert last("at 9") == "2025-11-26 09:00:00"
    assert last("at 3") == "2025-11-25 15:00:00"
    assert last("december 3") == "2024-12-03"
    assert last("november 3") == "2025-11-03"
    assert last("the 28th") == "2025-10-28"
    assert last("christmas") == "2024-12-25"


@pytest.mark.parametrize(
    "phrase", ["", "   ", "\0", "a\0b", "🎉", "friday " * 150_000, "9" * 1_000_000, "at 9" + "9" * 150, "\n"]
)
def test_what_is_no_phrase_is_refused(phrase: str) -> None:
    for refuse in (
        lambda: resolve(phrase, WEDNESDAY),
        lambda: duration(phrase),
        lambda: resolve_end(phrase, START, WEDNESDAY),
    ):
        with pytest.raises(WhenError) as error:
            refuse()
        assert len(str(error.value)) < 400


def test_a_refusal_names_the_phrase_and_what_to_say_instead() -> None:
    with pytest.raises(
        WhenError, match=r"'whenever' is not understood: 'whenever' names no time; say .*'friday at 15:00'"
    ):
        resolve("whenever", WEDNESDAY)
    with pytest.raises(WhenError, match="the word 'foo' is not known"):
        resolve("friday at 3 foo", WEDNESDAY)
    assert issubclass(WhenError, ValueError) and issubclass(WhenError, ToolagentError)


def test_a_repetition_is_refused_as_one() -> None:
    with pytest.raises(WhenError, match="'every' repeats"):
        resolve("every friday", WEDNESDAY)


def test_the_ends_of_the_calendar() -> None:
    for now in (datetime.min, datetime.max, datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=NEW_YORK)):
        for phrase in (
            "tomorrow",
            "yesterday",
            "at 9",
            "friday",
            "the 31st",
            "christmas",
            "last week",
            "in 5 hours",
            "3pm CET",
            "easter",
        ):
            with contextlib.suppress(WhenError):
                resolve(phrase, now)


def test_importing_loads_no_parser() -> None:
    heavy = "import sys, toolagent.when; print([m for m in ('dateparser', 'dateutil', 'pytz') if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


# ---- laws ------------------------------------------------------------------------------------------------------------

VOCABULARY = when.names("""
    today tomorrow yesterday tonight friday monday sat this next last coming at 3 5 8 9 11 12 10:30 9am 2-3pm 14:00 half
    quarter past to until - and between from for an hour two hours in a minutes days the 3rd 5th 31st of december
    february january 29 christmas easter week weekend weekends month year morning evening night noon midnight after
    before by end start first second early late now time UTC CET pacific 2026 7/6 22.12. 2026-02-28 T09:30 every all
    fortnight whole ago couple 1h30 8h30 0900 130 hrs mid oclock , & / mañana de a las soon later Europe/Berlin ²
""")
NOWS = st.builds(
    lambda naive, zone: naive.replace(tzinfo=zone),
    st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1)),
    st.sampled_from(
        [
            None,
            UTC,
            BERLIN,
            NEW_YORK,
            ZoneInfo("Asia/Kolkata"),
            ZoneInfo("Australia/Lord_Howe"),
            ZoneInfo("Africa/Cairo"),
        ]
    ),
)
RANGES = st.sampled_from(sorted({row[1] for row in rows() if row[3] != "-"}))
SENTENCES = st.lists(st.sampled_from(sorted(VOCABULARY)), min_size=1, max_size=7).map(" ".join)
TABLED = st.sampled_from(sorted({row[1] for row in rows() if row[0] != "duration"}))
LAW = settings(deadline=None, max_examples=200, suppress_health_check=list(HealthCheck))


def resolved(phrase: str, now: datetime) -> Moment:
    try:
        return resolve(phrase, now)
    except WhenError:
        assume(False)
        raise


@LAW
@given(phrase=st.one_of(st.text(max_size=40), SENTENCES, TABLED), now=NOWS, start=NOWS)
def test_nothing_but_a_refusal_is_raised(phrase: str, now: datetime, start: datetime) -> None:
    start = start.replace(tzinfo=now.tzinfo)
    for read in (lambda: resolve(phrase, now), lambda: duration(phrase), lambda: resolve_end(phrase, start, now)):
        with contextlib.suppress(WhenError):
            read()


@LAW
@given(phrase=st.one_of(TABLED, SENTENCES), now=NOWS)
def test_a_moment_written_resolves_to_itself(phrase: str, now: datetime) -> None:
    moment = resolved(phrase, now)
    assert replace(resolve(moment.text(), now), warnings=()) == Moment(moment.start, None, moment.all_day)
    assert replace(resolve(moment.span(), now), warnings=()) == replace(moment, warnings=())


@LAW
@given(phrase=st.one_of(TABLED, SENTENCES), now=NOWS)
def test_what_is_past_says_so(phrase: str, now: datetime) -> None:
    moment = resolved(phrase, now)
    assume(not moment.warnings and not {"last", "ago", "yesterday"} & set(phrase.lower().split()))
    assume(not any(year in phrase for year in ("2024", "2025", "2026")) and "/26" not in phrase and ".26" not in phrase)
    now = now.replace(microsecond=0)
    assert moment.start.date() >= now.date() if moment.all_day else moment.start >= now


@LAW
@given(phrase=RANGES, now=NOWS)
def test_an_end_comes_after_its_start(phrase: str, now: datetime) -> None:
    moment = resolved(phrase, now)
    assert moment.end is not None
    assert moment.start <= moment.end if moment.all_day else moment.start.astimezone(UTC) < moment.end.astimezone(UTC)
    assert moment.start.tzinfo is moment.end.tzinfo is now.tzinfo


@LAW
@given(hours=st.integers(0, 99), minutes=st.integers(1, 59))
def test_a_length_is_its_hours_and_minutes(hours: int, minutes: int) -> None:
    length = timedelta(hours=hours, minutes=minutes)
    assert duration(f"{hours} hours and {minutes} minutes") == length
    assert duration(f"{hours}h{minutes:02}") == length
    assert resolve(f"in {hours} hours {minutes} minutes", WEDNESDAY).start - WEDNESDAY == length


@LAW
@given(day=st.dates(datetime(1990, 1, 1).date(), datetime(2090, 1, 1).date()), now=NOWS)
def test_a_date_in_words_is_that_date(day: datetime, now: datetime) -> None:
    for written in (
        f"{day:%B} {day.day}, {day.year}",
        f"{day.day} {day:%b} {day.year}",
        f"{day:%A}, {day:%B} {day.day} {day.year}",
        f"{day}",
    ):
        assert resolve(written, now) == Moment(datetime(day.year, day.month, day.day, tzinfo=now.tzinfo), None, True)


@LAW
@given(now=NOWS, weekday=st.sampled_from(list(when.WEEKDAYS.items())))
def test_a_weekday_is_within_a_week_and_next_is_in_the_next_one(now: datetime, weekday: tuple[str, int]) -> None:
    name, number = weekday
    coming, following = resolve(name, now).start.date(), resolve(f"next {name}", now).start.date()
    assert coming.weekday() == following.weekday() == number
    assert 1 <= (coming - now.date()).days <= 7
    assert following.isocalendar()[:2] == (now.date() + timedelta(days=7)).isocalendar()[:2]
