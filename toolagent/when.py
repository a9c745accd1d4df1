"""Dates as people say them: a phrase, now, and now's time zone -> one moment or one range.

    resolve("next Thursday at half past four", now)      -> Moment(start)
    resolve("June 7, 2-3:30pm", now)                     -> Moment(start, end)
    resolve("March 3-7", now)                            -> Moment(start, end, all_day=True), end = the last day
    resolve_end("for two hours", start, now)             -> the Moment of the end
    duration("an hour and a half")                       -> timedelta

A phrase is cut into words, spellings are made one, and a few rules fill in what was said of the day and of the time;
only then is it placed against now. Every word must be understood: an unknown one is a WhenError, never skipped. What
two careful people would read differently resolves with a warning; what names no time ('soon', 'next spring', 'every
Friday') is refused.

House rules. 'friday' is the next Friday strictly after today; 'this friday' and 'next friday' lie in this and in the
next week, Monday to Sunday. An hour without am or pm: 1-6 afternoon, 7-11 morning, 12 noon, unless a part of the day
says otherwise ('3 in the morning'). A time without a day is the next such time. 7/6 is month/day; with dots (7.6.)
day.month. 'in two days' is a day, 'in two hours' an instant. The end of a range is the first such time after its start.
Results have now's zone (none if now has none) and whole seconds.

Why not a parser alone: of the 1042 times in tests/when_phrases.tsv dateparser 1.5 gets 396; 454 it does not know, and
192 it gets wrong without a word (dateutil: 174, 747, 121). It knows no range, no 'half past four', takes 'next friday'
for 'friday', drops what it does not know ('mañana a las 5' is tomorrow at this minute) and makes dates of 'a' and 'ok'.
So it is asked last and about foreign words only; its answer must show every number of the phrase, and comes with a
warning. Easter is dateutil's.

Left out: repetition, seasons, 'the week of', sunrise by place, several times in one phrase, languages beyond a few
words.

    python -c "import datetime as d, toolagent.when as w; print(w.resolve('friday at 3 for 2 hours', d.datetime.now()))"
"""

from __future__ import annotations

import calendar
import difflib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, available_timezones

from toolagent.errors import WhenError

__all__ = ["Moment", "WhenError", "duration", "resolve", "resolve_end"]

LONGEST = 200  # characters; a longer text is no date, and is to be refused at once
MINUTE, HOUR, DAY = 60, 3600, 86400  # seconds
RECENT = timedelta(days=31)  # 'June 4' said on June 5 may mean yesterday: next year's comes with a warning


@dataclass(frozen=True)
class Moment:
    """A time, a day, or a range of either.

    start, end: with the time zone of the `now` it was resolved against. all_day: a day without a time of day; start is
    its 00:00, and end, if any, the 00:00 of the last day. warnings: sentences about what might have been meant instead.
    """

    start: datetime
    end: datetime | None = None
    all_day: bool = False
    warnings: tuple[str, ...] = ()

    def text(self) -> str:
        """The start: 'YYYY-MM-DD HH:MM:SS', or 'YYYY-MM-DD' for a whole day. It resolves to this start again."""
        return written(self.start, self.all_day)

    def end_text(self) -> str:
        """The end, written as the start is; '' without one."""
        return written(self.end, self.all_day) if self.end else ""

    def span(self) -> str:
        """'START to END', or the start alone. It resolves to this moment again, without its warnings."""
        return f"{self.text()} to {self.end_text()}" if self.end else self.text()


def written(moment: datetime, all_day: bool) -> str:
    # not strftime: it writes the year 5 as '5' on some platforms
    return moment.date().isoformat() if all_day else moment.replace(tzinfo=None).isoformat(" ", "seconds")


# ---- words -----------------------------------------------------------------------------------------------------------


def table(text: str) -> dict[str, str]:
    """'a, b = x; c = y' -> {'a': 'x', 'b': 'x', 'c': 'y'}."""
    pairs = (entry.split("=") for entry in " ".join(text.split()).split(";") if entry.strip())
    return {name.strip(): value.strip() for names, value in pairs for name in names.split(",")}


def names(text: str) -> set[str]:
    return set(text.split())


def numbered(text: str, first: int) -> dict[str, int]:
    """'mon|monday tue' from 0 on -> {'mon': 0, 'monday': 0, 'tue': 1}."""
    return {name: n for n, names in enumerate(text.split(), first) for name in names.split("|")}


WEEKDAYS = numbered(
    """monday|mon tuesday|tue|tues wednesday|wed|weds|wednsday|wensday thursday|thu|thur|thurs friday|fri saturday|sat
    sunday|sun""",
    0,
)
MONTHS = numbered(
    """january|jan february|feb|febuary|febr march|mar april|apr may june|jun july|jul august|aug september|sep|sept
    october|oct november|nov december|dec""",
    1,
)
NUMBERS = numbered(
    """one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen""",
    1,
)
TENS = {word: 10 * n for word, n in numbered("twenty thirty forty|fourty fifty sixty seventy eighty ninety", 2).items()}
ORDINALS = numbered(
    """first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth
    sixteenth seventeenth eighteenth nineteenth twentieth""",
    1,
) | {"thirtieth": 30}
UNITS = table("""
    seconds, second, sec, secs, s = second; minutes, minute, min, mins, m = minute; hours, hour, hr, hrs, h = hour;
    days, day = day; weeks, week, wk, wks = week; fortnights, fortnight = fortnight; months, month = month;
    years, year, yr, yrs = year
""")
SECONDS = {"second": 1, "minute": MINUTE, "hour": HOUR, "day": DAY, "week": 7 * DAY, "fortnight": 14 * DAY}
PERIODS = {"day", "week", "weekend", "month", "quarter", "year"}
RELATIVE = {"ereyesterday": -2, "yesterday": -1, "today": 0, "tomorrow": 1, "overmorrow": 2}


@dataclass(frozen=True)
class Part:
    """A part of the day: the time it stands for alone, and the hours that a bare hour falls in ('night at 1': 25)."""

    minutes: int
    first: int
    last: int
    habit: bool = False  # depends on the person or the season: a warning


PARTS = {
    "morning": Part(9 * 60, 0, 12),
    "midmorning": Part(10 * 60 + 30, 8, 12, habit=True),
    "afternoon": Part(15 * 60, 12, 19),
    "evening": Part(19 * 60, 16, 24),
    "night": Part(20 * 60, 17, 29),
    "dawn": Part(6 * 60, 3, 9, habit=True),
    "dusk": Part(18 * 60, 15, 22, habit=True),
    "breakfast": Part(8 * 60, 4, 12, habit=True),
    "brunch": Part(11 * 60, 9, 15, habit=True),
    "lunch": Part(12 * 60, 11, 16),
    "tea": Part(17 * 60, 14, 20, habit=True),
    "dinner": Part(19 * 60, 16, 24, habit=True),
    "bed": Part(22 * 60, 18, 28, habit=True),
    "work": Part(17 * 60, 12, 24, habit=True),
    "school": Part(15 * 60 + 30, 12, 20, habit=True),
}
COARSE = {"morning", "afternoon", "evening", "night"}
MEALS = {"breakfast", "brunch", "lunch", "tea", "dinner"}  # 'after lunch' is an hour after its start
WHOLE = {"morning": (9, 12), "afternoon": (12, 18), "evening": (18, 22), "night": (20, 24)}  # 'all afternoon', in hours
EDGES = {"start": 9, "end": 17}  # of a working day, in hours
EARLY = {"": 8, "morning": 7, "afternoon": 13, "evening": 18, "night": 20}
LATE = {"": 17, "morning": 11, "afternoon": 17, "evening": 22, "night": 22}

# month and day; (month, weekday, which one, days after it); or days after Easter Sunday
HOLIDAYS: dict[str, tuple[int, ...]] = {
    "new years day": (1, 1), "new year": (1, 1), "new years": (1, 1), "epiphany": (1, 6), "burns night": (1, 25),
    "groundhog day": (2, 2), "valentines day": (2, 14), "valentines": (2, 14), "leap day": (2, 29),
    "ides of march": (3, 15), "st patricks day": (3, 17), "saint patricks day": (3, 17), "st paddys day": (3, 17),
    "april fools": (4, 1), "april fools day": (4, 1), "earth day": (4, 22), "may day": (5, 1), "cinco de mayo": (5, 5),
    "juneteenth": (6, 19), "independence day": (7, 4), "bastille day": (7, 14), "halloween": (10, 31),
    "all saints day": (11, 1), "guy fawkes night": (11, 5), "bonfire night": (11, 5), "armistice day": (11, 11),
    "veterans day": (11, 11), "christmas eve": (12, 24), "christmas": (12, 25), "christmas day": (12, 25),
    "boxing day": (12, 26), "new years eve": (12, 31), "nye": (12, 31),
    "mlk day": (1, 0, 3, 0), "presidents day": (2, 0, 3, 0), "mothers day": (5, 6, 2, 0), "memorial day": (5, 0, -1, 0),
    "fathers day": (6, 6, 3, 0), "labor day": (9, 0, 1, 0), "columbus day": (10, 0, 2, 0),
    "thanksgiving": (11, 3, 4, 0), "thanksgiving day": (11, 3, 4, 0), "black friday": (11, 3, 4, 1),
    "cyber monday": (11, 3, 4, 4),
    "mardi gras": (-47,), "shrove tuesday": (-47,), "pancake day": (-47,), "ash wednesday": (-46,),
    "palm sunday": (-7,), "maundy thursday": (-3,), "good friday": (-2,), "easter": (0,), "easter sunday": (0,),
    "easter monday": (1,), "ascension day": (39,), "pentecost": (49,), "whit sunday": (49,), "whit monday": (50,),
}  # fmt: skip
ELSEWHERE = {"thanksgiving", "thanksgiving day", "mothers day", "fathers day"}  # other countries keep another day

# one spelling for many; also misspellings that are too common to warn of
ALIASES = table("""
    tmrw, tmr, tmw, tomoz, 2moro, 2morrow, tomorow, tommorow, tommorrow = tomorrow; 2day = today; yday = yesterday;
    tonight, tonite, 2nite, 2night, this night = today night; last night = yesterday night; overnight = night;
    this morning = today morning; this afternoon, this arvo = today afternoon; this evening = today evening;
    arvo = afternoon; day after tomorrow = overmorrow; day before yesterday = ereyesterday;
    right now, just now, immediately, straight away = now; o clock = oclock;
    midday, mid day, 12 noon, twelve noon, noontime = noon; 12 midnight, twelve midnight = midnight;
    first thing = morning; mid morning = midmorning; mid afternoon = afternoon; mid evening = evening;
    lunchtime, lunch time = lunch; teatime, tea time = tea; breakfast time = breakfast; bedtime, bed time = bed;
    dinnertime, dinner time, supper, suppertime, supper time = dinner;
    sunrise, sunup, daybreak = dawn; sunset, sundown = dusk;
    eod, cob, close of business, close of play, end of business = end of day;
    eow = end of week; eom = end of month; eoy = end of year;
    all day long, all day, allday, the whole of, whole of, all of, whole day, entire, all = whole;
    couple of = couple; no later than, not later than = by; xmas = christmas; xmas eve = christmas eve;
    as soon as possible = asap; some time, at some point = sometime; later on = later;
    nite = night; the entire day of, the entire day, entire day = whole; till, til, thru, through = until;
    following = next; beginning = start; mid week, midweek = wednesday this week;
    around, round, approximately, approx, roughly, circa = about; this coming, upcoming = coming
""")

# a few words of the neighbours; AT is 'to' after a 'from' (de 14h à 16h), else 'at' (demain à 14h)
FOREIGN = table("""
    por la mañana, de la mañana, am morgen, früh, matin, le matin, mattina, de manhã, vormittag = in the morning;
    por la tarde, de la tarde, nachmittag, après - midi, pomeriggio, da tarde = in the afternoon;
    por la noche, de la noche, abend, soir, le soir, sera, da noite = in the evening;
    esta noche, esta noite = tonight; ce soir, stasera = this evening; cet après - midi = this afternoon;
    mediodía, mittag, midi, mezzogiorno = noon; minuit, mitternacht = midnight;
    mañana, demain, morgen, domani, amanhã = tomorrow; hoy, heute, aujourdhui, oggi, hoje = today;
    pasado mañana, après - demain, übermorgen, dopodomani, depois de amanhã = overmorrow;
    ayer, gestern, hier, ieri, ontem = yesterday;
    lunes, lundi, montag, lunedì = monday; martes, mardi, dienstag, martedì = tuesday;
    miércoles, mercredi, mittwoch, mercoledì = wednesday; jueves, jeudi, donnerstag, giovedì = thursday;
    viernes, vendredi, freitag, venerdì = friday; sábado, samedi, samstag, sabato = saturday;
    domingo, dimanche, sonntag, domenica = sunday;
    nächsten, nächste, próximo, próxima, prossimo, prossima = next; woche, semana, settimana = week;
    semaine prochaine = next week; a las, a la, um, alle, às = at; à, a = AT; uhr = oclock; gegen = about;
    el, le, la, il = the; de, von, dalle, das = from; bis = until; und, y, et, e = and
""")

CONNECTORS = {"-", "/", "to", "until", "and"}
FILLERS = names("""
    at on the of by in for from about sharp exactly precisely promptly dot due please between say just starting
    latest
""")
VAGUE = names("""
    soon whenever asap eventually someday bit while few several some other tbd tba never anytime spring summer autumn
    winter fall when moment future shortly recently awhile
""")
REPEATED = names("every each daily weekly monthly yearly weekdays weeknights weekends hourly annually")
SPELLABLE = names("tomorrow yesterday afternoon evening morning midnight weekend fortnight christmas halloween minutes")
SPELLABLE |= {word for word in (*WEEKDAYS, *MONTHS) if len(word) > 5}
CLOCK_WORDS = ("hours", "hrs", "h", "hour", "oclock")

# hours from UTC, and a place that keeps this time in its season, to notice a 'CET' said of a summer's day
ABBREVIATIONS: dict[str, tuple[float, str]] = {
    "utc": (0, ""), "gmt": (0, ""), "z": (0, ""), "msk": (3, ""), "ist": (5.5, ""), "jst": (9, ""), "kst": (9, ""),
    "wet": (0, "Europe/Lisbon"), "bst": (1, "Europe/London"), "cet": (1, "Europe/Paris"), "cest": (2, "Europe/Paris"),
    "eet": (2, "Europe/Helsinki"), "eest": (3, "Europe/Helsinki"), "aest": (10, "Australia/Sydney"),
    "aedt": (11, "Australia/Sydney"), "est": (-5, "America/New_York"), "edt": (-4, "America/New_York"),
    "cst": (-6, "America/Chicago"), "cdt": (-5, "America/Chicago"), "mst": (-7, "America/Denver"),
    "mdt": (-6, "America/Denver"), "pst": (-8, "America/Los_Angeles"), "pdt": (-7, "America/Los_Angeles"),
}  # fmt: skip
REGIONS = table("""
    eastern, et = America/New_York; central, ct = America/Chicago; mountain, mt = America/Denver;
    pacific, pt = America/Los_Angeles
""")

TOKEN = re.compile(
    r"""
      \d{4} (?P<bar>[-/.]) \d{1,2} (?P=bar) \d{1,2} t?(?!\d)?     # 2026-01-20, also before T08:30
    | (?:19|20)\d{6}(?!\d) t?                                               # 20260120
    | \d{1,2}/\d{1,2}(?:/\d{4}|/\d\d)?(?!\d) | \d{1,2}-\d{1,2}-\d{4}        # 7/6, 7/6/26, 7-6-2026
    | \d{1,2}\.(?:1[0-2]|0?[1-9])\.(?:\d{4}|\d\d)?(?!\d)                    # 22.12., 22.12.2025
    | \d{1,2}[:.]\d\d(?::\d\d(?:\.\d+)?)?(?!\d)                             # 8:30, 8.30, 08:30:15
    | \d{1,2}h(?:\d\d)?(?![^\W_])(?=\W|m\b|$) | \d{1,2}h\d\d(?=m)           # 14h, 8h30, 1h30m
    | 2moro | 2morrow | 2nite | 2night | 2day
    | (?:utc|gmt)[+-]\d{1,2}(?::?\d\d)?(?!\d) | \+\d\d:?\d\d(?!\d)          # UTC+2, +05:30
    | \d{1,2}(?:st|nd|rd|th)\b | \d+(?:\.\d+)?
    | [^\W\d_]+(?:/[^\W\d]+)*                                               # a word, or Europe/Berlin
    | \S
    """,
    re.VERBOSE,
)


def words_of(text: str) -> list[str]:
    """Lower-case words, numbers and signs, in one spelling."""
    text = re.sub("['‘’]", "", text.lower())
    for sign, word in (("½", "1/2"), ("¼", "1/4"), ("¾", "3/4"), ("@", "at"), ("~", "about"), ("&", "and")):
        text = text.replace(sign, f" {word} ")
    text = re.sub(r"[‐-―−→]", "-", text)
    text = re.sub(r"(\d)\s?h\b(?:\s?(\d\d)\b)?", r"\1h\2", text)  # 9 h 15
    text = re.sub(
        r"(?<=\w)-(?=(?:sec|min|hour|day|week|month|year|off))|(?<=\ball)-(?=day)", " ", text
    )  # one-hour, all-day
    text = re.sub(
        r"(?<![^\W\d])([ap])\.\s?m\b\.?|(?<=\d)\s?([ap])\sm\b|(?<=\d)([ap])\b", r" \1\2\3m ", text
    )  # a.m., 5p
    text = re.sub(r"(?<=\d)-?ish\b", " oclock", text)  # 10ish
    text = re.sub(r"(?<=[^\W\d_])-?ish\b", "", text)  # noonish
    text = re.sub(r"\b(mid|twenty|thirty|forty|fifty)-(?=[a-z])", r"\1 ", text)
    text = re.sub(r"(t\d\d:?\d\d(?::\d\d)?(?:\.\d+)?)-(\d\d:?\d\d)\b", r"\1 utc-\2", text)  # T08:30-05:00 is no range
    words = [match[0] for match in TOKEN.finditer(re.sub(r"\.{2,}", " ", text))]
    return rewrite([word for word in words if word not in '.,;()!?"[]'], ALIASES)


def rewrite(words: list[str], spellings: dict[str, str]) -> list[str]:
    """Each run of words that has another spelling replaced by it, the longest runs first."""
    out: list[str] = []
    i = 0
    while i < len(words):
        run = next((n for n in range(min(4, len(words) - i), 0, -1) if " ".join(words[i : i + n]) in spellings), 0)
        if run:
            out += rewrite(spellings[" ".join(words[i : i + run])].split(), spellings)
        else:
            out.append(words[i])
        i += run or 1
    return out


# ---- what was said ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Clock:
    """A time of day as said. kind: bare (am or pm unsaid), am, pm, 24, midnight. number: it may be a day as well."""

    hour: int
    minute: int = 0
    second: int = 0
    kind: str = "bare"
    number: bool = False


@dataclass(frozen=True)
class Length:
    """Months vary, days have 23 to 25 hours, so the three are kept apart."""

    months: int = 0
    days: int = 0
    seconds: int = 0
    doubt: bool = False  # 'a couple of'

    def plus(self, other: Length) -> Length:
        return Length(
            self.months + other.months, self.days + other.days, self.seconds + other.seconds, self.doubt or other.doubt
        )

    def times(self, sign: int) -> Length:
        return replace(self, months=sign * self.months, days=sign * self.days, seconds=sign * self.seconds)


@dataclass
class Said:
    """What one side of a range (or the only side) said; the rules fill it in. None or '' was not said."""

    year: int | None = None
    month: int | None = None
    day: int | None = None  # of the month
    weekday: int | None = None  # 0 Monday
    which: str = ""  # this, next, last, coming, after next: of the weekday
    nth: int = 0  # the nth weekday (or day) of a month, -1 the last
    relative: int | None = None  # days from today
    toward: tuple[int, int] | None = None  # (weekday, -1 before or 1 after) the day said
    ahead: bool = False  # the offset counts from today: in two weeks
    counts: bool = False  # the offset counts from a day that must be said
    holiday: str = ""
    period: str = ""  # day week weekend month quarter year
    period_which: str = ""
    edge: str = ""  # start, end: of the period, month or day
    offset: Length | None = None  # days and months from the day said
    clock: Clock | None = None
    part: str = ""
    shade: str = ""  # early, mid, late
    shift: int | None = None  # seconds from the clock said, or from now
    from_now: bool = False
    same_time: bool = False
    length: Length | None = None
    whole: bool = False
    vague: str = ""  # sometime, later
    relation: str = ""  # by, before, after, until
    zone: tuple[tzinfo, str, str] | None = None  # zone, as said, the place to check its season against
    notes: list[str] = field(default_factory=list)
    left: Said | None = None  # the side before this one

    def names_day(self) -> bool:
        fields = (self.year, self.month, self.day, self.weekday, self.relative, self.offset)
        return any(x is not None for x in fields) or bool(self.holiday or (self.period and self.period != "day"))

    def names_time(self) -> bool:
        return bool(self.clock or self.part or self.from_now or self.same_time or self.edge or self.shade)

    def empty(self) -> bool:
        return not (self.names_day() or self.names_time() or self.length or self.shift is not None)


class Unknown(Exception):
    """A word that no rule knows."""


SILENCE = Said()


def put(said: Said, **fields: object) -> None:
    """Fill in what was said; the same thing said twice, differently, is two times in one phrase."""
    for name, value in fields.items():
        if getattr(said, name) not in (getattr(SILENCE, name), value):
            raise WhenError("it names two times")
        setattr(said, name, value)


# ---- rules -----------------------------------------------------------------------------------------------------------
#
# A rule reads the words w from i on, fills in `said`, and returns how many words it understood (0: not its business).
# Beyond its ends w holds blanks (see padded), so that a rule may look ahead and back without asking where w ends.


def whole_number(w: list[str], i: int) -> tuple[int, int]:
    """(words used, value) of '12', 'five', 'twenty five'."""
    word = w[i]
    if word.isdecimal():
        return 1, int(word)
    if word in NUMBERS:
        return 1, NUMBERS[word]
    if word in TENS:
        unit = NUMBERS.get(w[i + 1], 10)
        return (2, TENS[word] + unit) if unit < 10 else (1, TENS[word])
    return 0, 0


def ordinal(w: list[str], i: int) -> tuple[int, int]:
    """(words used, value) of '3rd', 'third', 'twenty first'."""
    word = w[i]
    if m := re.fullmatch(r"(\d+)(st|nd|rd|th)", word):
        return 1, int(m[1])
    if word in ORDINALS:
        return 1, ORDINALS[word]
    if word in ("twenty", "thirty") and 0 < ORDINALS.get(w[i + 1], 0) < 10:
        return 2, TENS[word] + ORDINALS[w[i + 1]]
    return 0, 0


def day_number(w: list[str], i: int) -> tuple[int, int]:
    """(words used, value) of a day of the month: '3', '3rd', 'third'."""
    n, value = ordinal(w, i)
    if not n and w[i].isdecimal() and len(w[i]) < 3:
        n, value = 1, int(w[i])
    return n, value


def quantity(w: list[str], i: int) -> tuple[int, float, bool]:
    """(words used, value, doubt) of 'a', '1.5', '2 1/2', 'two and a half', 'a couple'."""
    word = w[i]
    if word in ("a", "an", "the") and w[i + 1] in ("couple", "full", "half"):
        n, value, doubt = quantity(w, i + 1)
        return (n + 1, value, doubt) if n else (0, 0, False)
    if word == "couple":
        return 1, 2, True
    if word == "half":
        return 2 if w[i + 1] in ("a", "an") else 1, 0.5, False
    if word in ("a", "an", "full"):
        return 1, 1, False
    if re.fullmatch(r"\d+\.\d+", word):
        return 1, float(word), False
    n, value = whole_number(w, i)
    if n and (m := re.fullmatch(r"([123])/([24])", w[i + n])):
        return n + 1, value + int(m[1]) / int(m[2]), False
    if n and w[i + n] == "and" and w[i + n + 1] in ("a", "one") and w[i + n + 2] in ("half", "quarter"):
        return n + 3, value + (0.5 if w[i + n + 2] == "half" else 0.25), False
    return n, value, False


def length_of(w: list[str], i: int) -> tuple[int, Length]:
    """(words used, length) of '90 min', 'three quarters of an hour', 'an hour and a half', '1h30', '2 h 5 min'."""
    if m := re.fullmatch(r"(\d+)h(\d\d)?", w[i]):
        n, length = 1, Length(seconds=int(m[1]) * HOUR + int(m[2] or 0) * MINUTE)
        n += bool(m[2]) and UNITS.get(w[i + 1]) == "minute"
    else:
        n, value, doubt = quantity(w, i)
        if w[i] == "quarter" and w[i + 1] == "of":
            n, value = 1, 0.25
        elif w[i + n] in ("quarter", "quarters") and w[i + n + 1] == "of" and n:
            n, value = n + 1, value / 4
        if w[i + n] == "of" and w[i + n + 1] in ("a", "an"):
            n += 2
        unit = UNITS.get(w[i + n])
        if not n or not unit or (unit == "hour" and re.fullmatch(r"\d{4}", w[i])):  # 1530 hours is a time
            return 0, Length()
        if unit == "hour" and re.fullmatch(r"\d\.[1-5]0", w[i]):
            raise WhenError(f"{w[i]} hours may be a decimal, or hours and minutes")
        n += 1
        for tail, part in ((["and", "a", "half"], 0.5), (["and", "half"], 0.5), (["and", "a", "quarter"], 0.25)):
            if w[i + n : i + n + len(tail)] == tail and w[i + n + len(tail)] not in UNITS:
                n, value = n + len(tail), value + part
                break
        length = measured(value, unit, doubt)
    joined = n + (w[i + n] == "and")
    more, rest = length_of(w, i + joined)
    return (joined + more, length.plus(rest)) if more else (n, length)


def measured(value: float, unit: str, doubt: bool) -> Length:
    if unit in ("month", "year"):
        months = value * (12 if unit == "year" else 1)
        if months != int(months):
            raise WhenError("a part of a month has no fixed length; say how many days")
        return Length(months=int(months), doubt=doubt)
    seconds = round(value * SECONDS[unit])
    if SECONDS[unit] >= DAY and seconds % DAY == 0:
        return Length(days=seconds // DAY, doubt=doubt)
    return Length(seconds=seconds, doubt=doubt)


def length_rule(w: list[str], i: int, said: Said) -> int:
    """in LENGTH; LENGTH ago; LENGTH from now; LENGTH before or after X; a week on Friday; for LENGTH; a bare LENGTH."""
    lead = w[i] if w[i] in ("in", "within", "for", "lasting", "after") else ""
    if w[i - 1] in ("at", "about") and re.fullmatch(r"\d+h(\d\d)?", w[i]):
        return 0
    if not lead and (m := re.fullmatch(r"(\d+)h(\d\d)?", w[i])) and (m[2] or int(m[1]) > 6) and w[i + 1] != "m":
        return 0  # 8h30 and 14h are times, 2h is a length
    start = i + bool(lead)
    n, length = length_of(w, start)
    if not n and w[i] == "fortnight" and w[i + 1] == "from":
        n, length = 1, measured(1, "fortnight", False)
    after_next = w[i + 1 : i + 3] == ["after", "next"] and w[i + 3] not in WEEKDAYS
    if not n and w[i] in ("day", "week", "month", "year") and w[i + 1] in ("before", "after") and not after_next:
        n, length = 1, measured(1, w[i], False)  # the day before Christmas
    if not n:
        return 0
    end = start + n
    follows, beyond = w[end], w[end + 1]
    if length.doubt:
        said.notes.append("'a couple' is read as two")
    by_days = length.seconds == 0
    if lead in ("for", "lasting"):
        put(said, length=length)
    elif lead or (follows == "from" and beyond in ("now", "today")) or follows in ("ago", "hence"):
        ahead(said, length.times(-1 if follows == "ago" else 1))
        end += follows == "time" if lead else 1 if follows in ("ago", "hence") else 2  # in three days' time
    elif by_days and follows in ("from", "after", "before"):
        put(said, offset=length.times(-1 if follows == "before" else 1), counts=True)
        end += 1
    elif (
        by_days
        and length.months == 0
        and length.days % 7 == 0
        and (follows == "on" or follows in WEEKDAYS | {"today": 0, "tomorrow": 0})
    ):
        put(said, offset=length)  # a week on Friday, a week tomorrow
        end += follows == "on"
    elif follows in ("before", "after") and not length.months:
        put(said, shift=(length.seconds + length.days * DAY) * (-1 if follows == "before" else 1))
        end += 1
    else:
        put(said, length=length)
    return end - i


def ahead(said: Said, length: Length) -> None:
    """From now on: days and months keep to days, anything finer is an instant."""
    if length.seconds and length.months:
        raise WhenError("months and hours do not add up to a time")
    if length.seconds or length == Length():
        put(said, from_now=True, shift=length.seconds + length.days * DAY)
    else:
        put(said, offset=length, ahead=True)


def numeric_date_rule(w: list[str], i: int, said: Said) -> int:
    """2026-01-20, 20260120, 7/6, 7/6/2026, 22.12., 22.12.2025."""
    word = w[i]
    if w[i - 1] == "at" and re.fullmatch(r"\d+\.\d\d\.", word):
        return 0  # at 9.10.
    if m := re.fullmatch(r"(\d{4})[-/.](\d+)[-/.](\d+)t?", word) or re.fullmatch(r"(\d{4})(\d\d)(\d\d)t?", word):
        put(said, year=int(m[1]), month=int(m[2]), day=int(m[3]))
    elif m := re.fullmatch(r"(\d+)\.(\d+)\.(\d*)", word):
        put(said, month=int(m[2]), day=int(m[1]), **year_field(m[3]))
    elif m := re.fullmatch(r"(\d+)[/-](\d+)(?:[/-](\d+))?", word):
        first, second = int(m[1]), int(m[2])
        month, day = (second, first) if first > 12 else (first, second)
        put(said, month=month, day=day, **year_field(m[3]))
        if first <= 12 and second <= 12 and first != second:
            said.notes.append(f"{word!r} is read as month/day: {calendar.month_name[month]} {day}")
    else:
        return 0
    return 1


def year_field(digits: str | None) -> dict[str, int]:
    return {"year": int(digits) + (2000 if len(digits) == 2 else 0)} if digits else {}


def calendar_rule(w: list[str], i: int, said: Said) -> int:
    """December 3rd; 3 December; the 3rd of December; the 3rd; December; a year after one of these."""
    word = w[i]
    if word in MONTHS:
        j = i + 1 + (w[i + 1] == "the")
        n, day = day_number(w, j) if not said.nth else (0, 0)
        if n and w[j + n] not in ("am", "pm", "oclock", "past", "minutes") and day <= 31 and said.day is None:
            put(said, month=MONTHS[word], day=day)
            return j + n - i
        put(said, month=MONTHS[word])
        return 1
    dated = said if said.month or said.holiday else said.left or said
    if re.fullmatch(r"(19|20)\d\d", word) and (dated.month or dated.holiday) and dated.year is None:
        put(said, year=int(word))
        return 1
    n, day = day_number(w, i)
    if not n:
        return 0
    follows = w[i + n]
    of_month = follows in MONTHS or (follows == "of" and w[i + n + 1] in MONTHS)
    if w[i] in ORDINALS or not w[i].isdecimal():  # an ordinal is a day of the month, but for 'first Monday'
        if follows in WEEKDAYS or follows in UNITS or follows in REPEATED:
            return 0
    elif of_month:
        if w[i - 1] == "at" or (said.clock is None and said.left and said.left.clock and not said.left.names_day()):
            return 0
    else:  # 1-5 December: the month comes with the other side
        j = i + n + 1
        m, _ = day_number(w, j)
        if w[i + n] not in CONNECTORS or not m or not (w[j + m] in MONTHS or w[j + m : j + m + 1] == ["of"]):
            return 0
        if said.month:
            return 0
    if day < 1 or day > 31:
        raise WhenError(f"no month has a day {day}")
    put(said, day=day)
    return n


def nth_rule(w: list[str], i: int, said: Said) -> int:
    """The first Monday of December, the last day of January: what follows 'of' is read by the other rules."""
    n, nth = (1, -1) if w[i] == "last" else ordinal(w, i)
    if not n or w[i + n + 1] not in ("of", "in"):
        return 0
    name = w[i + n]
    if name in WEEKDAYS:
        put(said, nth=nth, weekday=WEEKDAYS[name])
    elif name == "day":
        put(said, nth=nth)
    else:
        return 0
    return n + 2


def hour_of(w: list[str], i: int) -> tuple[int, int]:
    """(words used, value) of the hour in 'half past four', 'ten to noon'."""
    if w[i] in ("noon", "midnight"):
        return 1, 12 if w[i] == "noon" else 24
    n, hour = whole_number(w, i)
    return (n, hour) if n and 1 <= hour <= 24 and UNITS.get(w[i + n]) != "minute" else (0, 0)


def spoken_rule(w: list[str], i: int, said: Said) -> int:
    """Noon; half past four, half four; a quarter to six; ten past four, five minutes to twelve."""
    if w[i] in ("noon", "midnight"):
        put(said, clock=Clock(12, kind="24") if w[i] == "noon" else Clock(24, kind="midnight"))
        return 1
    j = i + (w[i] == "a" and w[i + 1] == "quarter")
    if w[j] == "half":
        j, minutes, sign = j + 1 + (w[j + 1] == "past"), 30, 1
    else:
        n, minutes = (1, 15) if w[j] == "quarter" else whole_number(w, j)
        spoken = not w[j].isdecimal()
        named = w[j + n] in ("minutes", "minute", "mins", "min")
        n += named
        turn = w[j + n]
        sign = {"past": 1, "after": 1, "to": -1, "until": -1, "before": -1}.get(turn, 0)
        if turn == "of" and minutes == 15:
            sign = -1  # a quarter of three
        if not n or not sign or not 0 < minutes < 30 or not (spoken or named or turn == "past"):
            return 0
        if turn in ("before", "after") and not named and minutes % 5:
            return 0
        if (
            turn in ("to", "until")
            and not named
            and (minutes not in (5, 10, 15, 20, 25) or w[i - 1] in ("from", "between"))
        ):
            return 0  # nine to five is a range
        unsure = sign < 0 and minutes < 15 and not named and w[i - 1] != "at" and w[j] != w[j + n + 1]
        if unsure and turn in ("to", "until"):
            said.notes.append(f"'{' '.join(w[j : j + n + 2])}' is read as a time of day, not as a range")
        j += n + 1
    used, hour = hour_of(w, j)
    if not used:
        return 0
    minutes = hour * 60 + sign * minutes
    kind = "24" if w[j] in ("noon", "midnight") or hour > 12 else "bare"
    hour, minute = divmod(minutes if minutes >= 60 else minutes + 720, 60)  # five to one: 12:55
    used += w[j + used] == "oclock"
    if w[j + used] in ("am", "pm"):
        kind, used = w[j + used], used + 1
    put(said, clock=Clock(hour, minute, kind=kind))
    return j + used - i


def clock_rule(w: list[str], i: int, said: Said) -> int:
    """9, 9am, 10:30, 8.30, 8h30, 0900, 1530 hours, nine thirty, oh nine hundred, five o'clock."""
    word, second, kind, lone = w[i], 0, "bare", False
    if m := re.fullmatch(r"(\d+)[:.](\d\d)(?::(\d\d)(?:\.\d+)?)?\.?", word):
        n, hour, minute, second = 1, int(m[1]), int(m[2]), int(m[3] or 0)
        kind = "24" if word.startswith("0") else kind
    elif m := re.fullmatch(r"(\d+)h(\d\d)?", word):
        n, hour, minute, kind = 1, int(m[1]), int(m[2] or 0), "24"
        if hour < 7 and w[i - 1] != "at":
            said.notes.append(f"{word} is read as a time of day, not as a length")
    elif re.fullmatch(r"\d{4}", word):
        n, hour, minute = 1, int(word[:2]), int(word[2:])
        if "1900" < word < "2060" and w[i + 1] not in CLOCK_WORDS and w[i - 1] != "at":
            said.notes.append(f"{word} is read as a time of day, not as a year")
            if w[i - 1] == "in":
                raise WhenError("a year names no day")
        kind = "24" if word.startswith("0") or w[i + 1] in CLOCK_WORDS[:-1] else kind
    elif re.fullmatch(r"[1-9][0-5]\d", word):
        n, hour, minute = 1, int(word[0]), int(word[1:])
        if w[i + 1] not in ("am", "pm"):
            said.notes.append(f"{word} is read as {hour}:{minute:02}")
    else:
        zero = word in ("oh", "zero")
        if w[i - 1] == "in" and w[i + 1] == "":
            raise WhenError(f"say in {word} of what")
        n, hour = whole_number(w, i + zero)
        n, minute, lone = n + zero, 0, True
        if n == zero or len(word) > 2 and word.isdecimal():
            return 0
        if w[i + n] == "hundred":
            n, kind, lone = n + 1, "24", False
        elif not word.isdecimal():
            oh = w[i + n] in ("oh", "o")
            more, minute = whole_number(w, i + n + oh)
            if more and not w[i + n + oh].isdecimal() and 10 * (not oh) <= minute < 60 and hour <= 24:
                n, lone = n + oh + more, False
            else:
                minute = 0
    if w[i + n] in CLOCK_WORDS:
        n, lone = n + 1, False
    if w[i + n] in ("am", "pm"):
        if w[i + n] == "am" and hour > 12:
            raise WhenError(f"there is no time {hour} am")
        kind, n, lone = w[i + n] if hour <= 12 and hour > 0 else "24", n + 1, False
    if hour > 24 or minute > 59 or second > 59 or (hour == 24 and minute + second):
        raise WhenError(f"there is no time {' '.join(w[i : i + n])!r}")
    if hour == 24:
        kind = "24"
    put(said, clock=Clock(hour, minute, second, "24" if kind == "bare" and (hour > 12 or hour == 0) else kind, lone))
    return n


def weekday_rule(w: list[str], i: int, said: Said) -> int:
    """Friday; this, next, last, coming Friday; Friday after next; Friday week."""
    which = w[i] if w[i] in ("this", "next", "last", "coming") else ""
    j = i + bool(which)
    if w[j] not in WEEKDAYS:
        return 0
    weekday, j = WEEKDAYS[w[j]], j + 1
    if w[j] == "next" and not which and w[j + 1] not in PERIODS:  # Wednesday next
        which, j = "next", j + 1
    elif w[j : j + 2] == ["after", "next"]:
        which, j = "after next", j + 2
    elif w[j] in ("week", "fortnight"):
        put(said, offset=measured(1, w[j], False))
        j += 1
    if w[j] in ("before", "after") and not which:
        k = j + 1 + (w[j + 1] == "the")
        if holiday_at(w, k)[0] or w[k] in MONTHS or (ordinal(w, k)[0] and not w[k].isdecimal()):
            put(said, toward=(weekday, -1 if w[j] == "before" else 1))  # the Monday before Christmas
            return j + 1 - i
    if said.nth and said.weekday is not None:
        raise WhenError("it names two times")
    put(said, weekday=weekday, which=which)
    return j - i


def period_rule(w: list[str], i: int, said: Said) -> int:
    """Next week; the week after next; the weekend; end of the month; the month, in 'the first of the month'."""
    if w[i] in ("end", "start") and w[i + 1] in ("of", *PERIODS):
        put(said, edge=w[i])
        n = 1 + (w[i + 1] == "of")
        n += w[i + n] == "the"
        if w[i + n] in PERIODS:
            put(said, period=w[i + n])
            n += 1
        return n
    which = w[i] if w[i] in ("this", "next", "last", "coming") else ""
    name = w[i + bool(which)]
    if name in MONTHS or (which and holiday_at(w, i + 1)[0]):  # next June, this Christmas
        if which in ("next", "coming", "this"):
            said.notes.append(f"'{which} {name}' is read as the next one to come")
            return 1
        return 0
    if name not in PERIODS or (name == "day" and which):
        return 0
    if w[i + 1 : i + 3] == ["after", "next"] and not which:
        put(said, period=name, period_which="after next")
        return 3
    if name == "weekend" and w[i + bool(which) + 1] in ("before", "after"):
        raise WhenError("say which day of that weekend")
    if not which and name != "weekend" and w[i - 1] not in ("of", "the", "whole"):
        return 0
    if not which and name == "day":
        return 0
    put(said, period=name, period_which="next" if which == "coming" else which)
    return 1 + bool(which)


def holiday_at(w: list[str], i: int) -> tuple[int, str]:
    for n in (3, 2, 1):
        name = " ".join(w[i : i + n])
        if name in HOLIDAYS:
            return n, name
    return 0, ""


def holiday_rule(w: list[str], i: int, said: Said) -> int:
    n, name = holiday_at(w, i)
    if n:
        put(said, holiday=name)
    return n


def day_rule(w: list[str], i: int, said: Said) -> int:
    """Today, tomorrow; now; this time (tomorrow); parts of the day; early, late, mid; all day."""
    word = w[i]
    if word in RELATIVE:
        put(said, relative=RELATIVE[word])
    elif word == "now":
        put(said, from_now=True, shift=0)
    elif word in ("this", "same") and w[i + 1] == "time":
        put(said, same_time=True)
        return 2
    elif word in PARTS:
        if said.part in COARSE and word not in COARSE and PARTS[said.part].first < PARTS[word].last:
            said.part = word  # tonight after dinner
        else:
            put(said, part=word)
    elif word in ("early", "late", "mid"):
        put(said, shade=word)
    elif word == "whole":
        put(said, whole=True)
    elif word in ("sometime", "later"):
        put(said, vague=word)
    elif word in ("by", "before", "after"):
        if word != "by" and w[i + 1] in ("", "at", "on"):
            raise WhenError(f"{word!r} says not of what")
        put(said, relation=word)
    else:
        return 0
    return 1


def zone_rule(w: list[str], i: int, said: Said) -> int:
    """CET, UTC+2, +05:30, Pacific (time), Europe/Berlin, New York time."""
    word = w[i]
    if m := re.fullmatch(r"(?:utc|gmt)?([+-])(\d\d?):?(\d\d)?", word):
        offset = timedelta(hours=int(m[2]), minutes=int(m[3] or 0))
        if offset >= timedelta(hours=24):
            raise WhenError(f"there is no time zone {word!r}")
        put(said, zone=(timezone(-offset if m[1] == "-" else offset), word.upper(), ""))
        return 1
    if word in ABBREVIATIONS and not (word == "z" and i == 0):
        hours, place = ABBREVIATIONS[word]
        put(said, zone=(timezone(timedelta(hours=hours)), word.upper(), place))
        if word == "ist":
            said.notes.append("IST is read as India's time")
        return 1
    if word in REGIONS:
        n = 1 + (w[i + 1] in ("standard", "daylight"))
        put(said, zone=(ZoneInfo(REGIONS[word]), word, ""))
        return n + (w[i + n] == "time")
    n = next((n for n in (1, 2, 3) if w[i + n] == "time"), 0)
    if "/" in word or n:
        city = "/" + "_".join(w[i : i + n])
        for key in sorted(available_timezones()):
            if key.lower() == word or (n and key.lower().endswith(city)):
                put(said, zone=(ZoneInfo(key), key, ""))
                return n + 1 if n else 1
    return 0


Rule = Callable[[list[str], int, Said], int]
RULES: tuple[Rule, ...] = (
    numeric_date_rule, holiday_rule, nth_rule, spoken_rule, length_rule, calendar_rule, weekday_rule, period_rule,
    day_rule, zone_rule, clock_rule,
)  # fmt: skip


def padded(words: list[str]) -> list[str]:
    return words + [""] * 8  # no rule looks further ahead; w[-1], before the first word, is a blank as well


def read(words: list[str]) -> tuple[list[Said], list[str]]:
    """Words -> the sides of a range (or the only one), and the connectors between them. Raises Unknown, WhenError."""
    w, sides, i = padded(words), [Said()], 0
    connectors: list[str] = []
    while i < len(words):
        word, said = w[i], sides[-1]
        if word in REPEATED:
            raise WhenError(f"{word!r} repeats; say the first time")
        if word in VAGUE:
            raise WhenError(f"{word!r} names no time")
        if used := next((n for rule in RULES if (n := rule(w, i, said))), 0):
            i += used
            continue
        if word in CONNECTORS and not said.empty():
            sides.append(Said(left=said))
            connectors.append("and" if word == "and" and "between" not in words else "to")
        elif word in ("to", "until"):
            put(said, relation="until")
        elif word in ("this", "next", "last", "coming"):
            raise WhenError(f"{word!r} does not go with what follows it")
        elif word not in FILLERS:
            raise Unknown(word)
        i += 1
    return sides, connectors


# ---- placing it against now ------------------------------------------------------------------------------------------


def stamp(moment: datetime) -> datetime:
    """Comparable across a change of the clocks: in UTC if it has a zone."""
    return moment.astimezone(UTC) if moment.tzinfo else moment


def later(moment: datetime, seconds: float) -> datetime:
    """So many seconds of real time later."""
    zone = moment.tzinfo
    return (
        (stamp(moment) + timedelta(seconds=seconds)).astimezone(zone) if zone else moment + timedelta(seconds=seconds)
    )


def put_off(day: date, length: Length, notes: list[str]) -> date:
    """A day, months and days later; the 31st of a month that has none becomes its last day."""
    months = day.year * 12 + day.month - 1 + length.months
    year, month = months // 12, months % 12 + 1
    if not 1 <= year <= 9999:
        raise WhenError("that is out of the calendar's range")
    last = calendar.monthrange(year, month)[1]
    if day.day > last:
        notes.append(f"{calendar.month_name[month]} has no day {day.day}; its last day is taken")
    return date(year, month, min(day.day, last)) + timedelta(days=length.days)


def first_of(day: date, months: int) -> date:
    return put_off(day.replace(day=1), Length(months=months), [])


def nth_weekday(year: int, month: int, weekday: int, nth: int) -> date | None:
    days = [d for d in calendar.Calendar().itermonthdates(year, month) if d.month == month and d.weekday() == weekday]
    return days[nth - 1 if nth > 0 else nth] if -len(days) <= nth <= len(days) else None


def day_in(first: date, day: int) -> date | None:
    """That day of the month whose first day this is, if the month has it."""
    return first.replace(day=day) if 1 <= day <= last_of(first).day else None


def last_of(first: date) -> date:
    return first.replace(day=calendar.monthrange(first.year, first.month)[1])


def holiday(name: str, year: int) -> date | None:
    rule = HOLIDAYS[name]
    if len(rule) == 1:
        from dateutil.easter import easter

        sunday: date = easter(year)
        return sunday + timedelta(days=rule[0])
    if len(rule) == 2:
        return day_in(date(year, rule[0], 1), rule[1])
    day = nth_weekday(year, *rule[:3])
    return day + timedelta(days=rule[3]) if day else None


def apart(said: Said, notes: list[str]) -> None:
    """Words of the day that do not go together are two times in one phrase."""
    dated = bool(said.month or said.day or said.holiday or said.nth)
    if (said.holiday and (said.month or said.day or said.nth)) or (said.nth and said.day):
        raise WhenError("it names two times")
    if said.edge and (said.clock or said.part or said.day or said.holiday or said.nth):
        raise WhenError("it names an end or a beginning and another time")
    other = dated or said.relative is not None or said.weekday is not None
    if said.period in ("week", "weekend") and (dated or said.relative is not None):
        notes.append(f"the {said.period} is left aside")
    twice = {
        "month": said.month or said.relative is not None or (said.weekday is not None and not dated),
        "quarter": other,
        "year": other and not (said.month or said.holiday),
    }
    if twice.get(said.period):
        raise WhenError("it names two times")


STEPS = {"this": 0, "": 0, "next": 1, "coming": 1, "last": -1, "after next": 2}


def days_of(said: Said, today: date, anchor: date, notes: list[str], future: bool) -> tuple[list[date], str]:
    """The days that the words may mean, in order, and how often they come round: yearly, monthly, weekly, daily or ''.

    today: for 'tomorrow', 'next week'. anchor: the day from which on 'Friday' or 'the 3rd' is looked for (today, or the
    start of a range). Raises WhenError where there is no such day.
    """
    apart(said, notes)
    if said.holiday or said.month:
        days, round_ = days_of_year(said, today, anchor, notes)
    elif said.period == "month" and (said.day or said.nth):
        step = STEPS[said.period_which]
        firsts = [first_of(today, k) for k in ((step,) if said.period_which else range(-1, 26))]
        days, round_ = days_of_month(said, firsts, notes), "" if said.period_which else "monthly"
    elif said.day:
        days, round_ = next_dates(said.day, said.weekday, anchor, notes), "monthly"
    elif said.relative is not None:
        days, round_ = [today + timedelta(days=said.relative)], ""
    elif said.weekday is not None:
        days, round_ = [weekday_of(said, said.weekday, today, anchor, notes, future)], ""
    elif said.period and said.period != "day":
        days, round_ = period_days(said, today, notes)
    elif said.offset:
        days, round_ = [today], ""
    else:
        days, round_ = [today + timedelta(days=k) for k in (-1, 0, 1, 2)], "daily"

    if said.toward:
        weekday, sign = said.toward
        days = [day + sign * timedelta(days=(sign * (weekday - day.weekday()) - 1) % 7 + 1) for day in days]
    if said.offset:
        days = [put_off(day, said.offset, notes) for day in days]
    return days, round_


def days_of_year(said: Said, today: date, anchor: date, notes: list[str]) -> tuple[list[date], str]:
    """A holiday, December 3rd, the first Monday of December: of the year said, or of the years around anchor."""
    if said.year is not None and not 1 <= said.year <= 9999:
        raise WhenError(f"there is no year {said.year}")
    if said.year is not None:
        years, round_ = [said.year], ""
    elif said.period == "year" and said.period_which:
        years, round_ = [today.year + STEPS[said.period_which]], ""
    else:  # eight years may pass between two leap days
        years, round_ = [y for y in range(anchor.year - 1, anchor.year + 10) if 1 <= y <= 9999], "yearly"
    if not said.holiday:
        if not 1 <= (month := said.month or 0) <= 12:
            raise WhenError(f"there is no month {month}")
        return days_of_month(said, [date(year, month, 1) for year in years], notes), round_
    if said.holiday in ELSEWHERE:
        notes.append(f"{said.holiday} is the United States' day")
    days = [day for year in years if (day := holiday(said.holiday, year))]
    if not days:
        raise WhenError("that year has no such day")
    return days, round_


def days_of_month(said: Said, firsts: list[date], notes: list[str]) -> list[date]:
    """The day said, in each of the months; a month that has no such day is left out."""
    days: list[date | None]
    if said.nth and said.weekday is not None:
        days = [nth_weekday(first.year, first.month, said.weekday, said.nth) for first in firsts]
    elif said.nth or said.edge == "end":
        days = [last_of(first) if said.nth <= 0 else day_in(first, said.nth) for first in firsts]
    elif said.day is not None:
        days = [day_in(first, said.day) for first in firsts]
    else:
        day = 15 if said.shade == "mid" else 1
        days = [first.replace(day=day) for first in firsts]
        if said.shade in ("early", "late"):
            raise WhenError(f"{said.shade!r} in a month names no day")
        if said.edge != "start" and not said.whole:
            notes.append(f"no day of the month was said: day {day} is taken")
    found = [day for day in days if day]
    if not found:
        raise WhenError("there is no such day")
    return found


def next_dates(number: int, weekday: int | None, anchor: date, notes: list[str]) -> list[date]:
    """The 3rd, Friday the 13th: in the months around anchor."""
    days = [day for k in range(-1, 26) if (day := day_in(first_of(anchor, k), number))]
    coming = [day for day in days if day >= anchor]
    if weekday is not None:
        days = [day for day in days if day.weekday() == weekday]
        if not days:
            raise WhenError("there is no such day within two years")
        if coming and coming[0] not in days:
            notes.append(f"the next day {number} is no {calendar.day_name[weekday]}; the next that is one is taken")
    elif coming and (coming[0] - anchor).days > 31:
        notes.append(f"a month without a day {number} is passed over")
    return days


def weekday_of(said: Said, weekday: int, today: date, anchor: date, notes: list[str], future: bool) -> date:
    """Friday, this, next, last Friday, Friday after next, Friday of next week."""
    monday, name = today - timedelta(days=today.weekday()), calendar.day_name[weekday]
    if said.period in ("week", "weekend"):
        return monday + timedelta(days=7 * STEPS[said.period_which] + weekday)
    if said.which in ("this", "next", "after next"):
        return monday + timedelta(days=7 * STEPS[said.which] + weekday)
    if said.which == "last" or not future:
        day = anchor - timedelta(days=(anchor.weekday() - weekday - 1) % 7 + 1)
        if said.which and day >= monday:
            notes.append(f"'last {name}' is read as the {name} of this week")
        return day
    if not said.which and weekday == anchor.weekday() and anchor == today:
        notes.append(f"today is a {name}; the one after today is taken")
    return anchor + timedelta(days=(weekday - anchor.weekday() - 1) % 7 + 1)


def period_days(said: Said, today: date, notes: list[str]) -> tuple[list[date], str]:
    """Weeks begin on Monday, 'the end of the week' is Friday; a month, quarter or year begins on its first day."""
    step = STEPS[said.period_which]
    name = f"{said.period_which} {said.period}".strip()
    if said.same_time:
        unit = {"week": Length(days=7), "month": Length(months=1), "year": Length(months=12)}.get(said.period)
        if not unit:
            raise WhenError(f"'this time {name}' names no day")
        return [put_off(today, Length(unit.months * step, unit.days * step), notes)], ""
    monday = today - timedelta(days=today.weekday())
    if said.period == "weekend":
        saturday = monday + timedelta(days=7 * step + 5)
        if not said.whole:
            notes.append("the weekend is read as its Saturday")
        return [max(saturday, today) if step == 0 and not said.whole else saturday], ""
    if not said.edge and not said.period_which and not said.whole:
        raise WhenError(f"'the {name}' names no day")
    if not said.edge and step == 0 and not said.whole:
        raise WhenError(f"'{name}' names no day")
    if not said.edge and said.shade not in ("", "early"):
        raise WhenError(f"'{said.shade} {name}' names no day")
    if said.edge and step < 0:
        notes.append(f"'{name}' is over")
    steps = [step] if said.period_which or said.whole else [0, 1]
    if said.period == "week":
        days = [monday + timedelta(days=7 * k + (4 if said.edge == "end" else 0)) for k in steps]
    else:
        months, into = {"month": (1, 0), "quarter": (3, (today.month - 1) % 3), "year": (12, today.month - 1)}[
            said.period
        ]
        days = [first_of(today, months * k - into) for k in steps]
        if said.edge == "end":
            days = [first_of(day, months) - timedelta(days=1) for day in days]
    if not said.edge and not said.whole:
        notes.append(f"'{name}' is read as its first day")
    return days, "" if said.period_which else "weekly"


def seconds_of(said: Said, now: datetime, notes: list[str]) -> int | None:
    """Seconds after the day's midnight (beyond 86400 in its night), or None for a day without a time."""
    clock, part = said.clock, PARTS.get(said.part)
    if said.same_time:
        return now.hour * HOUR + now.minute * MINUTE + now.second
    if said.whole and (clock or (said.part and said.part not in WHOLE)):
        raise WhenError("it is a whole day and a time at once")
    if said.whole and part:
        notes.append(f"the whole {said.part} is read as {WHOLE[said.part][0]:02}:00-{WHOLE[said.part][1]:02}:00")
        return WHOLE[said.part][0] * HOUR
    if said.whole:
        return None
    if clock is None and part is None:
        if said.edge and (said.period in ("day", "week") or not (said.period or said.month)):
            return None if (said.period, said.edge) == ("week", "start") else EDGES[said.edge] * HOUR
        if said.shade in ("", "mid") or (said.period and said.period != "day") or (said.month and not said.day):
            return None  # early next week, early June: a day
    if clock is None:
        seconds = (part.minutes if part else 0) * MINUTE
        if said.shade in ("early", "late"):
            hours = EARLY if said.shade == "early" else LATE
            seconds = hours.get(said.part, seconds // HOUR) * HOUR
        if said.relation == "after" and said.part in MEALS:
            seconds += HOUR
        if said.shade in ("early", "late") or (part and part.habit):
            notes.append(f"{said.shade or said.part!r} is read as {seconds // HOUR:02}:{seconds // MINUTE % 60:02}")
        return seconds + (said.shift or 0)
    minutes = clock.hour % 12 * 60 + clock.minute
    if clock.kind in ("am", "pm"):
        minutes += 720 * (clock.kind == "pm")
    elif clock.kind != "bare":
        minutes = clock.hour * 60 + clock.minute
    elif part is None:
        minutes += 720 * (clock.hour % 12 < 7)
    if part:
        shifts = (0, 720, 1440) if clock.kind == "bare" else (0, 1440)
        fitting = [minutes + k for k in shifts if part.first * 60 <= minutes + k < part.last * 60]
        if not fitting or (said.part == "morning" and clock.hour == 12 and not clock.minute):
            notes.append(f"{minutes // 60 % 24:02}:{minutes % 60:02} does not go with {said.part!r}")
        minutes = fitting[0] if fitting else minutes + (720 if clock.kind == "bare" and part.first >= 12 else 0)
        if minutes > 1440 and said.relative != 0:
            notes.append(f"after midnight: {minutes // 60 % 24:02}:{minutes % 60:02} is taken on the day after")
    elif said.names_day() and said.relative != 0:
        if clock.kind == "midnight" or (clock.hour == 24 and clock.minute):
            notes.append("midnight of a day is read as its end")
        elif (clock.kind, clock.hour, clock.minute) == ("am", 12, 0):
            notes.append("midnight of a day is read as its beginning")
    return minutes * MINUTE + clock.second + (said.shift or 0)


def on(day: date, seconds: int, said: Said, now: datetime, notes: list[str]) -> datetime:
    """A wall-clock time, in the zone said or now's. A time that the clocks leave out or show twice is noted."""
    wall = datetime.combine(day, time()) + timedelta(seconds=seconds)
    if now.tzinfo is None:
        if said.zone:
            notes.append(f"now has no time zone: {said.zone[1]} is left aside")
        return wall
    zone = said.zone[0] if said.zone else now.tzinfo
    moment = wall.replace(tzinfo=zone)
    back = moment.astimezone(UTC).astimezone(zone)
    if back.replace(tzinfo=None) != wall:
        notes.append(f"{wall:%H:%M} does not exist that day, for the clocks go forward; it is taken as {back:%H:%M}")
    elif moment.utcoffset() != moment.replace(fold=1).utcoffset():
        notes.append(f"{wall:%H:%M} comes twice that day, for the clocks go back; the first is taken")
    if said.zone and said.zone[2] and moment.replace(tzinfo=ZoneInfo(said.zone[2])).utcoffset() != moment.utcoffset():
        notes.append(f"{said.zone[1]} is not what {said.zone[2]} keeps that day; it is taken literally")
    return back.astimezone(now.tzinfo)


def place(said: Said, now: datetime, floor: datetime, future: bool, notes: list[str]) -> tuple[datetime, bool]:
    """(start, all_day) of one side. floor: now, or the start when this is the end of a range. Raises WhenError."""
    today = now.date()
    if said.from_now:
        if said.clock or said.part or said.names_day() or said.same_time:
            raise WhenError("it counts from now and names another time as well")
        return later(now, said.shift or 0), False
    if said.shift is not None and not (said.clock or said.part):
        raise WhenError("it counts from a time that it does not name")
    if abs(said.shift or 0) > DAY:
        raise WhenError("it counts more than a day from a time of day; name the day")
    if said.counts and not replace(said, offset=None).names_day():
        raise WhenError("it counts from a day that it does not name")
    days, round_ = days_of(said, today, floor.date(), notes, future)
    seconds = seconds_of(said, now, notes)
    if seconds is None:
        if not said.names_day():
            raise WhenError("it names no day and no time")
        if said.zone:
            notes.append(f"a day has no time zone: {said.zone[1]} is left aside")
        fitting = [day for day in days if (day >= floor.date() if future else day <= today)]
    else:
        times = [(day, stamp(on(day, seconds, said, now, []))) for day in days]
        fitting = [day for day, at_ in times if (at_ >= stamp(floor) if future else at_ <= stamp(now))]
    chosen = (fitting or days)[0 if future and fitting else -1]
    if future and floor is now:
        passed_over(said, days, chosen, round_, today, notes)
        if seconds is not None:
            seconds = other_half(said, seconds, chosen, round_, now, notes)
    if future and round_ == "yearly" and chosen > floor.date() + timedelta(days=366):
        notes.append(f"the next one is only in {chosen.year}")
    check(said, chosen, today, notes)
    if seconds is None:
        return datetime.combine(chosen, time(), now.tzinfo), True
    return on(chosen, seconds, said, now, notes), False


def other_half(said: Said, seconds: int, chosen: date, round_: str, now: datetime, notes: list[str]) -> int:
    """'9' at ten o'clock: tomorrow at 9:00 but for a note that 21:00 is still to come; 'today at 9' is 21:00."""
    if not said.clock or said.clock.kind != "bare" or said.part or seconds >= DAY // 2:
        return seconds
    first = on(now.date(), seconds, said, now, [])
    other = on(now.date(), seconds + DAY // 2, said, now, [])
    if said.relative == 0 and stamp(first) < stamp(now) < stamp(other):
        notes.append(f"{first:%H:%M} is past: {other:%H:%M} is taken")
        return seconds + DAY // 2
    if round_ == "daily" and chosen > now.date() and stamp(other) > stamp(now):
        notes.append(f"read as {first:%H:%M} tomorrow, not {other:%H:%M} today")
    return seconds


def passed_over(said: Said, days: list[date], chosen: date, round_: str, today: date, notes: list[str]) -> None:
    """A note when the day before the chosen one may be meant: 'June 4' said on June 5, 'the 5th at 9' said at ten."""
    before = max((day for day in days if day < chosen), default=None)
    if before is None or not round_:
        return
    late = round_ == "daily" and said.edge and chosen > today  # the end of the day, late in the evening
    recent = round_ != "daily" and (before == today or (round_ != "monthly" and today - before <= RECENT))
    if late or recent:
        notes.append(f"{before} is past: {chosen} is taken")


def check(said: Said, chosen: date, today: date, notes: list[str]) -> None:
    """A day said in two ways should be one day."""
    if said.ahead and (said.weekday is not None or said.day or said.relative):
        notes.append(f"a length of time and a day are both named: {chosen} is taken")
    fixed = bool(said.day or said.holiday) and not said.nth
    if fixed and said.weekday is not None and chosen.weekday() != said.weekday:
        notes.append(f"{chosen} is a {calendar.day_name[chosen.weekday()]}, not a {calendar.day_name[said.weekday]}")
    if said.relative is not None and (fixed or said.weekday is not None):
        meant = today + timedelta(days=said.relative)
        if (chosen != meant) if fixed else (meant.weekday() != said.weekday):
            notes.append(f"{meant} and {chosen} are both named")


def with_half(left: Said, right: Said, now: datetime) -> Said:
    """The left side with its half of the day told by the right one: 2-3:30pm, 11-1pm, 10 until noon, 7 to 9 tonight."""
    clock, other = left.clock, right.clock
    if clock is None or other is None or clock.kind != "bare" or left.part:
        return left
    alone, end = seconds_of(left, now, []), seconds_of(replace(right, relative=0), now, [])
    noon = (other.kind, other.hour, other.minute) == ("24", 12, 0)
    tells = bool(right.part) or noon or other.kind in ("am", "pm", "midnight")
    if alone is None or end is None or not (tells or (other.kind == "24" and alone >= end)):
        return left
    minutes = clock.hour % 12 * 60 + clock.minute
    latest = max((m for m in (minutes, minutes + 720, minutes + 1440) if m * MINUTE < end), default=minutes + 720)
    return replace(left, clock=replace(clock, hour=latest // 60 % 24, minute=latest % 60, kind="24"))


def end_of(said: Said, start: datetime, now: datetime, notes: list[str]) -> tuple[datetime, bool]:
    """(end, all_day) of a range whose start is known: the first such time after it."""
    if said.from_now or said.names_day():
        return place(said, now, start, True, notes)
    if not (said.clock or said.part or said.edge or said.shade):
        raise WhenError("it names no end")
    seconds = seconds_of(replace(said, relative=0), now, notes)
    if seconds is None:
        raise WhenError("it names no end")
    seconds %= DAY
    bare = bool(said.clock and said.clock.kind == "bare" and not said.part)
    readings = sorted((seconds, (seconds + DAY // 2) % DAY)) if bare else [seconds]
    zone = said.zone[0] if said.zone and start.tzinfo else start.tzinfo
    day = (start.astimezone(zone) if zone else start).date()
    for later_day in (day - timedelta(days=1), day, day + timedelta(days=1), day + timedelta(days=2)):
        for reading in readings:
            if stamp(on(later_day, reading, said, now, [])) > stamp(start):
                return on(later_day, reading, said, now, notes), False
    raise WhenError("its end is before its start")


DAY_FIELDS = (
    "year", "month", "day", "weekday", "which", "nth", "relative", "toward", "holiday", "period", "period_which",
    "offset", "counts",
)  # fmt: skip


def range_of(left: Said, right: Said, connector: str, now: datetime, future: bool, notes: list[str]) -> Moment:
    """Two sides made one range. What only one side says of the day, the month, the year and the zone holds for both."""
    if right.empty():
        raise WhenError("it names no end")
    lone = right.clock and right.clock.number and not replace(right, year=None).names_day() and not right.part
    if right.clock and lone and left.day and not left.names_time():  # December 1-5
        if right.clock.hour <= left.day:
            raise WhenError("its end is before its start")
        right = replace(right, clock=None, day=right.clock.hour)
    timed = bool(right.clock or right.part)
    if (left.clock or left.part) and timed and not left.names_day() and right.names_day():  # from 3 until 5 tomorrow
        left = replace(left, **{name: getattr(right, name) for name in DAY_FIELDS})
        right = replace(right, **{name: getattr(Said(), name) for name in DAY_FIELDS})
    if left.day and not left.month and right.month and left.day <= (right.day or 0):  # 1-5 December
        left = replace(left, month=right.month)
    if right.year and not left.year and left.month:
        left = replace(left, year=right.year - bool(right.month and left.month > right.month))
    if right.zone and not left.zone:
        left = replace(left, zone=right.zone)
    if left.zone and not right.zone:
        right = replace(right, zone=left.zone)
    if not right.names_day():
        left = with_half(left, right, now)
    start, all_day = place(left, now, now, future, notes)
    end, whole = end_of(right, start, now, notes)
    if left.from_now and whole:
        notes.append("from now until a day is read as whole days")
        start, all_day = datetime.combine(now.date(), time(), now.tzinfo), True
    if all_day != whole:
        raise WhenError("one side names a day and the other a time of day")
    if connector == "and" and not (all_day and end.date() - start.date() == timedelta(days=1)):
        raise WhenError("it names two times")
    if stamp(end) <= stamp(start) and not (all_day and end == start):
        raise WhenError("its end is before its start")
    if not all_day and not right.names_day():
        if stamp(end) >= stamp(later(start, 12 * HOUR)):
            notes.append("the range is half a day or longer")
        minutes = left.clock.hour if left.clock and left.clock.number and right.clock and right.clock.number else 0
        if minutes in (5, 10, 20, 25) and stamp(end) > stamp(later(start, 6 * HOUR)):
            notes.append(f"it is read as a range, not as {minutes} minutes to an hour")
        under_way = stamp(later(start, -DAY)) <= stamp(now) < stamp(later(end, -DAY))
        if under_way and future and not (left.names_day() or left.from_now):
            notes.append("today's is under way; tomorrow's is taken")
    return Moment(start, end, all_day)


def moment_of(sides: list[Said], connectors: list[str], now: datetime, future: bool) -> Moment:
    """One side is a moment (with a length, a range), two are a range. Raises WhenError."""
    said, notes = sides[0], [note for side in sides for note in side.notes]
    if len(sides) > 2:
        raise WhenError("it names more than two times")
    for side in sides:
        if side.shade and not (side.names_day() or side.part or side.clock):
            raise WhenError(f"{side.shade!r} names no time")
        if side.vague and side.relative is None and not (side.names_day() or side.names_time()):
            raise WhenError(f"{side.vague!r} names no time")
        if side.vague and not (side.clock or side.part):
            notes.append(f"{side.vague!r} says no time of day")
    if all(side.empty() for side in sides) or (said.same_time and not said.names_day()):
        raise WhenError("it names no time")
    if len(sides) == 1 and said.length and not (said.names_day() or said.names_time() or said.shift is not None):
        length, said = said.length, replace(said, length=None)
        ahead(said, length)
        notes.append("a length alone is counted from now")
    if said.relation in ("after", "until") or (said.relation == "before" and not (said.clock or said.part)):
        notes.append(f"{said.relation!r}: the time named is given")
    if len(sides) == 2:
        if said.length or sides[1].length:
            raise WhenError("it names an end and a length")
        moment = range_of(said, sides[1], connectors[0], now, future, notes)
    else:
        start, all_day = place(said, now, now, future, notes)
        moment = Moment(start, end_by_length(said, start, all_day), all_day)
    if moment.end and moment.end.date() - moment.start.date() > timedelta(days=180) and not sides[-1].year:
        notes.append("the range is longer than half a year")
    over = moment.start.date() < now.date() if moment.all_day else stamp(moment.start) < stamp(now)
    if future and over and not meant_past(said):
        notes.append(f"{moment.text()} is past")
    return replace(moment, warnings=tuple(dict.fromkeys(notes)))


def meant_past(said: Said) -> bool:
    """A full date, 'yesterday', 'last Friday', 'two days ago'."""
    offset = said.offset or Length()
    shift = said.shift if said.from_now and said.shift else 0
    backwards = min(said.relative or 0, shift, offset.days, offset.months) < 0
    return backwards or "last" in (said.which, said.period_which) or bool(said.year and said.month and said.day)


def end_by_length(said: Said, start: datetime, all_day: bool) -> datetime | None:
    """The end that a length gives: 'for two hours', 'for three days' (the last of them), 'the whole weekend'."""
    length = said.length
    if said.whole and said.part:
        first, last = WHOLE[said.part]
        length = Length(seconds=(last - first) * HOUR)
    elif said.whole and said.period == "weekend":
        length = Length(days=2)
    elif said.whole and (said.month or said.period) and not (said.day or said.nth or said.weekday is not None):
        length = {"week": Length(days=7), "quarter": Length(months=3), "year": Length(months=12)}.get(
            said.period, Length(months=1)
        )
    if length is None:
        return None
    if all_day and length.seconds:
        raise WhenError("it names a length but no time of day to start at")
    if length.times(-1) == length:
        raise WhenError("its length is nothing")
    day = put_off(start.date(), length, [])
    end = start.replace(year=day.year, month=day.month, day=day.day)
    return end - timedelta(days=1) if all_day else later(end, length.seconds)


# ---- phrases ---------------------------------------------------------------------------------------------------------


@contextmanager
def naming(phrase: str, instead: str) -> Iterator[None]:
    """Every refusal names the phrase and says what could be said instead."""
    shown = " ".join(phrase[:60].split()) + ("..." if len(phrase) > 60 else "")
    try:
        if len(phrase) > LONGEST:
            raise WhenError(f"it has more than {LONGEST} characters")
        yield
    except Unknown as unknown:
        raise WhenError(
            f"{shown!r} is not understood: the word {str(unknown)!r} is not known here; say {instead}"
        ) from None
    except WhenError as error:
        raise WhenError(f"{shown!r} is not understood: {error}; say {instead}") from None
    except OverflowError:
        raise WhenError(f"{shown!r} is not understood: that is out of the calendar's range; say {instead}") from None


def sides_of(words: list[str]) -> tuple[list[Said], list[str]]:
    """read(); an unknown word has its spelling mended or is taken from a neighbour's language, with a note."""
    try:
        return read(words)
    except Unknown as unknown:
        word = str(unknown)
        close = difflib.get_close_matches(word, sorted(SPELLABLE), 1, 0.85) if len(word) > 4 else []
        if close and word not in SPELLABLE:
            sides, connectors = sides_of([close[0] if w == word else w for w in words])
            sides[0].notes.append(f"{word!r} is read as {close[0]!r}")
            return sides, connectors
        english = rewrite(words, FOREIGN)
        if english == words:
            raise
        english = ["to" if w == "AT" and "from" in english[:k] else w for k, w in enumerate(english)]
        sides, connectors = read(rewrite([w.replace("AT", "at") for w in english], ALIASES))
        sides[0].notes.append(f"foreign words are read as {' '.join(english)!r}")
        return sides, connectors


def foreign_date(phrase: str, now: datetime) -> Moment | None:
    """What dateparser makes of it in other languages than English, if every number of the phrase is in the answer."""
    if len(phrase.split()) > 6:
        return None
    import dateparser

    settings = {"RELATIVE_BASE": now.replace(tzinfo=None), "PREFER_DATES_FROM": "future"}
    try:
        found = dateparser.parse(phrase, languages=["es", "fr", "de", "it", "pt", "nl"], settings=settings)
    except Exception:  # whatever it stumbles over, it does not know the phrase
        return None
    if found is None or found.tzinfo is not None:
        return None
    spoken = {int(n) for n in re.findall(r"\d+", phrase)}
    if not spoken <= {found.year, found.month, found.day, found.hour, found.minute}:
        return None
    warning = f"foreign words are read as {found:%Y-%m-%d %H:%M}"
    found = found.replace(tzinfo=now.tzinfo, microsecond=0)
    all_day = found.time() in (time(), now.time())
    return Moment(found.replace(hour=0, minute=0, second=0) if all_day else found, None, all_day, (warning,))


def resolve(phrase: str, now: datetime, *, prefer_future: bool = True) -> Moment:
    """A phrase -> its moment or range, with now's time zone (none if now has none).

    prefer_future: a weekday, date or time that comes round again is the next one; else the last one. Raises WhenError.
    """
    now = now.replace(microsecond=0)
    with naming(phrase, "a day and a time, as in 'friday at 15:00' or '2026-01-20 13:00'"):
        words = words_of(phrase)
        try:
            sides, connectors = sides_of(words)
        except Unknown as unknown:
            moment = foreign_date(phrase, now) if str(unknown).isalpha() else None
            if moment is None:
                raise
            return moment
        moment = moment_of(sides, connectors, now, prefer_future)
        if len(words) == 1 and sides[0].clock and sides[0].clock.number:
            return replace(moment, warnings=(*moment.warnings, f"{phrase.strip()!r} alone is read as a time of day"))
        return moment


def resolve_end(phrase: str, start: datetime, now: datetime) -> Moment:
    """An end said apart from its start: 'until four', '5pm', 'two hours', 'the 6th' -> a Moment that starts then.

    A length counts from start; a time is the first such time after start, a day the first such day after it; 'tomorrow'
    and 'in an hour' count from now; of a range, its end is taken. start and now both have a time zone, or neither has.
    Raises WhenError.
    """
    start, now = start.replace(microsecond=0), now.replace(microsecond=0)
    with naming(phrase, "an end, as in 'until 16:00', 'two hours' or '2026-01-20 13:00'"):
        words = words_of(phrase)
        if len(words) == 1 and re.fullmatch(r"[0-6]h\d\d", words[0]):
            words = ["for", *words]  # as an end, 1h30 is a length
        sides, connectors = sides_of(words)
        said, notes = sides[0], list(sides[0].notes)
        if len(sides) > 1:
            moment = moment_of(sides, connectors, now, True)
            end, all_day = moment.end or moment.start, moment.all_day
            notes = list(moment.warnings)
        elif said.length and not (said.names_day() or said.names_time()):
            day = put_off(start.date(), said.length, notes)
            end = later(start.replace(year=day.year, month=day.month, day=day.day), said.length.seconds)
            all_day = False
        else:
            end, all_day = end_of(said, start, now, notes)
        if (end.date() < start.date()) if all_day else (stamp(end) <= stamp(start)):
            raise WhenError("it is not after the start")
        if not all_day and not said.names_day() and not said.length and stamp(end) > stamp(later(start, 12 * HOUR)):
            notes.append("the end is more than half a day after the start")
        return Moment(end, None, all_day, tuple(dict.fromkeys(notes)))


def duration(phrase: str) -> timedelta:
    """A length of fixed size: 'half an hour', '90 min', 'an hour and a half', '1h30'. A couple is two, a day 24 hours.

    Raises WhenError: for months and years, for nothing, and for what is vague ('a few hours').
    """
    with naming(phrase, "a length, as in '45 minutes' or 'an hour and a half'"):
        words = words_of(phrase)
        i = int(words[:1] in (["for"], ["lasting"], ["about"]))
        n, length = length_of(padded(words), i)
        if not n or i + n != len(words):
            raise WhenError("it is no length of time")
        if length.months:
            raise WhenError("a month has no fixed length")
        if length == replace(length, days=0, seconds=0):
            raise WhenError("it is no time at all")
        return timedelta(days=length.days, seconds=length.seconds)
