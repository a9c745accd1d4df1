"""Dates as people say them: a phrase, now, and now's time zone -> one moment or one range.

    resolve("next Thursday at half past four", now)      -> Moment(start)
    resolve("June 7, 2-3:30pm", now)                     -> Moment(start, end)
    resolve("March 3-7", now)                            -> Moment(start, end, all_day=True), end = the last day
    resolve_end("for two hours", start, now)             -> the Moment of the end
    duration("an hour and a half")                       -> timedelta

A phrase is cut into words, spellings are made one, and a few rules fill in what was said of the day and of the time; only then is it placed
against now. Every word must be understood: an unknown one is a WhenError, never skipped. What two careful people would read differently
resolves with a warning; what names no time ('soon', 'next spring', 'every Friday') is refused.

House rules. 'friday' is the next Friday strictly after today; 'this' and 'next friday' lie in this and in the next week, Monday to Sunday.
An hour without am or pm: 1-6 afternoon, 7-11 morning, 12 noon, unless a part of the day says otherwise ('3 in the morning'). A time without
a day is the next such time. 7/6 is month/day; with dots (7.6.) day.month. 'in two days' is a day, 'in two hours' an instant. Of a range, the
end is the first such time after its start. Results have now's zone, and whole seconds; a naive now gives naive results.

Why not a parser alone: of the 972 phrases in tests/when_phrases.tsv that are not lengths, dateparser 1.5 gets DP_RIGHT; it knows no range, no
'half past four', drops what it does not know ('mañana a las 5' is mañana at this minute) and makes a date of 'a' and 'ok'. So it is asked
only last, about foreign words, for a result that shows every number of the phrase, and always with a warning. Easter is dateutil's.

Left out: repetition, seasons, BC, sunrise by place, lists of times, languages beyond the few words below.

    python -c "import datetime, toolagent.when as w; print(w.resolve('friday at 3 for two hours', datetime.datetime.now()))"
"""

from __future__ import annotations

import calendar
import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, available_timezones

from toolagent.errors import WhenError

__all__ = ["Moment", "WhenError", "duration", "resolve", "resolve_end"]

LONGEST = 200  # characters; a longer text is no date, and must be refused at once
MINUTE, HOUR, DAY = 60, 3600, 86400
RECENT = timedelta(days=31)  # 'June 4' said on June 5 may mean yesterday: next year's comes with a warning


@dataclass(frozen=True)
class Moment:
    """A time, a day, or a range of either.

    start, end: with the zone of the `now` it was resolved against. all_day: a day without a time of day; its start is at 00:00, and its
    end, if any, is the last day (also at 00:00, inclusive). warnings: sentences about what might have been meant otherwise.
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
    # isoformat, not strftime: it pads the year 5 to 0005 on every platform
    return moment.date().isoformat() if all_day else moment.replace(tzinfo=None).isoformat(" ", "seconds")


# ---- words ----------------------------------------------------------------------------------------------------------------------------


def table(text: str) -> dict[str, str]:
    """'a, b = x; c = y' -> {'a': 'x', 'b': 'x', 'c': 'y'}."""
    pairs = (entry.split("=") for entry in text.replace("\n", " ").split(";") if entry.strip())
    return {name.strip(): value.strip() for names, value in pairs for name in names.split(",")}


def numbered(text: str, start: int) -> dict[str, int]:
    return {name: n for n, names in enumerate(text.split(), start) for name in names.split("|")}


WEEKDAYS = numbered("monday|mon tuesday|tue|tues wednesday|wed|weds|wednsday|wensday thursday|thu|thur|thurs friday|fri saturday|sat sunday|sun", 0)
MONTHS = numbered(
    "january|jan february|feb|febuary|febr march|mar april|apr may june|jun july|jul august|aug september|sep|sept october|oct "
    "november|nov december|dec", 1
)  # fmt: skip
NUMBERS = numbered(
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen", 1
)
TENS = {"twenty": 20, "thirty": 30, "forty": 40, "fourty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90}
ORDINALS = numbered(
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth "
    "seventeenth eighteenth nineteenth twentieth", 1
) | {"thirtieth": 30}  # fmt: skip
UNITS = {
    name: unit
    for unit, names in {
        "second": "second seconds sec secs s",
        "minute": "minute minutes min mins m",
        "hour": "hour hours hr hrs h",
        "day": "day days",
        "week": "week weeks wk wks",
        "fortnight": "fortnight fortnights",
        "month": "month months",
        "year": "year years yr yrs",
    }.items()
    for name in names.split()
}
SECONDS = {"second": 1, "minute": MINUTE, "hour": HOUR, "day": DAY, "week": 7 * DAY, "fortnight": 14 * DAY}


@dataclass(frozen=True)
class Part:
    """A part of the day: the time it stands for alone, and the span of hours in which it reads a bare hour ('night at 1': hour 25)."""

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
MEALS = {"breakfast", "brunch", "lunch", "tea", "dinner"}  # 'after lunch' is an hour after its start
WHOLE = {"morning": (9, 12), "afternoon": (12, 18), "evening": (18, 22), "night": (20, 24)}  # 'all of Tuesday afternoon', in hours
SHADES = {
    ("early", "morning"): 7, ("late", "morning"): 11, ("early", "afternoon"): 13, ("late", "afternoon"): 17, ("early", "evening"): 18,
    ("late", "evening"): 22, ("early", "night"): 20, ("late", "night"): 22, ("early", ""): 8, ("late", ""): 17,
}  # fmt: skip

# month and day; (month, weekday, which one, days after it); or days after Easter Sunday
HOLIDAYS: dict[str, tuple[int, ...]] = {
    "new years day": (1, 1), "new year": (1, 1), "new years": (1, 1), "epiphany": (1, 6), "burns night": (1, 25),
    "groundhog day": (2, 2), "valentines day": (2, 14), "valentines": (2, 14), "leap day": (2, 29), "ides of march": (3, 15),
    "st patricks day": (3, 17), "saint patricks day": (3, 17), "st paddys day": (3, 17), "april fools": (4, 1), "april fools day": (4, 1),
    "earth day": (4, 22), "may day": (5, 1), "cinco de mayo": (5, 5), "juneteenth": (6, 19), "independence day": (7, 4),
    "bastille day": (7, 14), "halloween": (10, 31), "all saints day": (11, 1), "guy fawkes night": (11, 5), "bonfire night": (11, 5),
    "armistice day": (11, 11), "veterans day": (11, 11), "christmas eve": (12, 24), "christmas": (12, 25), "christmas day": (12, 25),
    "boxing day": (12, 26), "new years eve": (12, 31), "nye": (12, 31),
    "mlk day": (1, 0, 3, 0), "presidents day": (2, 0, 3, 0), "mothers day": (5, 6, 2, 0), "memorial day": (5, 0, -1, 0),
    "fathers day": (6, 6, 3, 0), "labor day": (9, 0, 1, 0), "columbus day": (10, 0, 2, 0), "thanksgiving": (11, 3, 4, 0),
    "thanksgiving day": (11, 3, 4, 0), "black friday": (11, 3, 4, 1), "cyber monday": (11, 3, 4, 4),
    "mardi gras": (-47,), "shrove tuesday": (-47,), "pancake day": (-47,), "ash wednesday": (-46,), "palm sunday": (-7,),
    "maundy thursday": (-3,), "good friday": (-2,), "easter": (0,), "easter sunday": (0,), "easter monday": (1,),
    "ascension day": (39,), "pentecost": (49,), "whit sunday": (49,), "whit monday": (50,),
}  # fmt: skip
ELSEWHERE = {"thanksgiving", "thanksgiving day", "mothers day", "fathers day"}  # other countries keep them on another day

# one spelling for many; also misspellings that are too common to warn of
ALIASES = table("""
    tmrw, tmr, tmw, tomoz, 2moro, 2morrow, tomorow, tommorow, tommorrow = tomorrow; 2day = today; yday = yesterday;
    tonight, tonite, 2nite, 2night, this night = today night; last night = yesterday night; overnight = night;
    this morning = today morning; this afternoon, this arvo = today afternoon; this evening = today evening; arvo = afternoon;
    day after tomorrow = overmorrow; day before yesterday = ereyesterday;
    right now, just now, immediately, straight away = now; o clock = oclock;
    midday, mid day, 12 noon, twelve noon, noontime = noon; 12 midnight, twelve midnight = midnight;
    first thing = morning; mid morning = midmorning; mid afternoon = afternoon; mid evening = evening;
    lunchtime, lunch time = lunch; teatime, tea time = tea; breakfast time = breakfast; bedtime, bed time = bed;
    dinnertime, dinner time, supper, suppertime, supper time = dinner; sunrise, sunup, daybreak = dawn; sunset, sundown = dusk;
    eod, cob, close of business, close of play, end of business = end of day; eow = end of week; eom = end of month; eoy = end of year;
    all day long, all day, allday, the whole of, whole of, all of, whole day, entire, full day = whole;
    couple of = couple; per cent = percent; no later than, not later than = by; xmas = christmas; xmas eve = christmas eve;
    as soon as possible = asap; some time, at some point = sometime; later on = later; the other = other;
    till, til, thru, through = until; following = next; beginning = start; mid week, midweek = wednesday this week;
    round, approximately, approx, roughly, circa = about; this coming, upcoming = coming; noon time = noon
""")

# a few words of the neighbours; AT is 'to' after a 'from' (de 14h à 16h), else 'at' (demain à 14h)
FOREIGN = table("""
    por la mañana, de la mañana, am morgen, früh, matin, le matin, mattina, de manhã, vormittag = in the morning;
    por la tarde, de la tarde, nachmittag, après - midi, pomeriggio, da tarde = in the afternoon; cet après - midi = this afternoon;
    por la noche, de la noche, abend, soir, le soir, sera, da noite = in the evening; esta noche, esta noite = tonight;
    ce soir, stasera, esta tarde noche = this evening; mediodía, mittag, midi, mezzogiorno = noon; minuit, mitternacht = midnight;
    mañana, demain, morgen, domani, amanhã = tomorrow; hoy, heute, aujourdhui, oggi, hoje = today;
    pasado mañana, après - demain, übermorgen, dopodomani, depois de amanhã = overmorrow; ayer, gestern, hier, ieri, ontem = yesterday;
    lunes, lundi, montag, lunedì = monday; martes, mardi, dienstag, martedì = tuesday; miércoles, mercredi, mittwoch, mercoledì = wednesday;
    jueves, jeudi, donnerstag, giovedì = thursday; viernes, vendredi, freitag, venerdì = friday; sábado, samedi, samstag, sabato = saturday;
    domingo, dimanche, sonntag, domenica = sunday; nächsten, nächste = next; woche = week;
    a las, a la, um, alle, às = at; à, a = AT; uhr = oclock; gegen = about; el, le, la, il = the; de, von, dalle, das = from; bis = until;
    und, y, et, e = and
""")

CONNECTORS = {"-", "to", "until", "and"}
FILLERS = {
    "at", "on", "the", "of", "by", "in", "for", "from", "about", "sharp", "exactly", "precisely", "promptly", "dot", "due", "please", "between",
    "say", "starting", "day", "time",
}  # fmt: skip
VAGUE = {
    "soon", "whenever", "asap", "eventually", "someday", "bit", "while", "few", "several", "some", "other", "tbd", "tba", "never", "anytime",
    "spring", "summer", "autumn", "winter", "fall", "when", "moment", "future", "shortly", "recently", "awhile",
}  # fmt: skip
REPEATED = {"every", "each", "daily", "weekly", "monthly", "yearly", "weekdays", "weeknights", "weekends", "hourly", "annually"}
SPELLABLE = [w for w in (*WEEKDAYS, *MONTHS) if len(w) > 5] + [
    "tomorrow", "yesterday", "afternoon", "evening", "morning", "midnight", "weekend", "fortnight", "christmas", "halloween", "minutes",
]  # fmt: skip

# hours from UTC, and a place that keeps this time in its season, to notice a 'CET' said of a summer's day
ABBREVIATIONS: dict[str, tuple[float, str]] = {
    "utc": (0, ""), "gmt": (0, ""), "z": (0, ""), "wet": (0, "Europe/Lisbon"), "bst": (1, "Europe/London"), "cet": (1, "Europe/Paris"),
    "cest": (2, "Europe/Paris"), "eet": (2, "Europe/Helsinki"), "eest": (3, "Europe/Helsinki"), "msk": (3, ""), "ist": (5.5, ""),
    "jst": (9, ""), "kst": (9, ""), "aest": (10, "Australia/Sydney"), "aedt": (11, "Australia/Sydney"),
    "est": (-5, "America/New_York"), "edt": (-4, "America/New_York"), "cst": (-6, "America/Chicago"), "cdt": (-5, "America/Chicago"),
    "mst": (-7, "America/Denver"), "mdt": (-6, "America/Denver"), "pst": (-8, "America/Los_Angeles"), "pdt": (-7, "America/Los_Angeles"),
}  # fmt: skip
REGIONS = {
    "eastern": "America/New_York", "et": "America/New_York", "central": "America/Chicago", "ct": "America/Chicago",
    "mountain": "America/Denver", "mt": "America/Denver", "pacific": "America/Los_Angeles", "pt": "America/Los_Angeles",
}  # fmt: skip

TOKEN = re.compile(
    r"""
      (?:19|20)\d\d (?P<bar>[-/.]) \d{1,2} (?P=bar) \d{1,2} t?(?!\d)?     # 2026-01-20, also before T08:30
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
    text = text.lower().translate({0x2018: "'", 0x2019: "'", 0xBD: " 1/2 ", 0xBC: " 1/4 ", 0xBE: " 3/4 ", ord("@"): " at ", ord("~"): " about "})
    text = re.sub(r"[‐-―−]", "-", text).replace("'", "")
    text = re.sub(r"(?<![^\W\d])([ap])\.\s?m\b\.?|(?<=\d)([ap])\b(?!\.)", lambda m: f" {m[1] or m[2]}m ", text)  # a.m., 5p
    text = re.sub(r"(?<=[^\W_])-?ish\b", "", text)  # noonish, 10ish
    text = re.sub(r"\b(mid|twenty|thirty|forty|fifty)-(?=[a-z])", r"\1 ", text)
    text = re.sub(r"(t\d\d:?\d\d(?::\d\d)?(?:\.\d+)?)-(\d\d:?\d\d)\b", r"\1 utc-\2", text)  # T08:30-05:00 is no range
    words = [m[0] for m in TOKEN.finditer(re.sub(r"\.{2,}", " ", text))]
    return rewrite([w for w in words if w not in ".,;()!?\"[]"], ALIASES)


def rewrite(words: list[str], spellings: dict[str, str]) -> list[str]:
    """Each run of words that has another spelling replaced by it, the longest runs first."""
    out: list[str] = []
    i = 0
    while i < len(words):
        for n in range(min(4, len(words) - i), 0, -1):
            if (other := spellings.get(" ".join(words[i : i + n]))) is not None:
                out += rewrite(other.split(), spellings) if other.split() != words[i : i + n] else other.split()
                i += n
                break
        else:
            out.append(words[i])
            i += 1
    return out


# ---- what was said --------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Clock:
    """A time of day as said. kind: 'bare' (am or pm unsaid), 'am', 'pm', '24', 'midnight'. number: a lone number, which may be a day."""

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


def put(said: Said, **fields: object) -> None:
    """Fill in what was said; the same thing said twice, differently, is two times in one phrase."""
    for name, value in fields.items():
        old = getattr(said, name)
        if old not in (None, "", 0, False) and old != value:
            raise WhenError("it names two times")
        setattr(said, name, value)


# ---- rules: words from i on -> how many words were understood (0: none), with `said` filled in --------------------------------------------


def at(words: list[str], i: int) -> str:
    return words[i] if 0 <= i < len(words) else ""


def whole_number(words: list[str], i: int) -> tuple[int, int]:
    """(words used, value) of '12', 'five', 'twenty five'."""
    word = at(words, i)
    if word.isascii() and word.isdigit():
        return 1, int(word)
    if word in NUMBERS:
        return 1, NUMBERS[word]
    if word in TENS:
        unit = NUMBERS.get(at(words, i + 1), 10)
        return (2, TENS[word] + unit) if unit < 10 else (1, TENS[word])
    return 0, 0


def ordinal(words: list[str], i: int) -> tuple[int, int]:
    """(words used, value) of '3rd', 'third', 'twenty first'."""
    word = at(words, i)
    if m := re.fullmatch(r"(\d+)(st|nd|rd|th)", word):
        return 1, int(m[1])
    if word in ORDINALS:
        return 1, ORDINALS[word]
    if word in ("twenty", "thirty") and 0 < ORDINALS.get(at(words, i + 1), 0) < 10:
        return 2, TENS[word] + ORDINALS[words[i + 1]]
    return 0, 0


def day_number(words: list[str], i: int) -> tuple[int, int]:
    """(words used, value) of a day of the month: '3', '3rd', 'third'."""
    n, value = ordinal(words, i)
    if not n and at(words, i).isdigit() and len(words[i]) < 3:
        n, value = 1, int(words[i])
    return n, value


def quantity(words: list[str], i: int) -> tuple[int, float, bool]:
    """(words used, value, doubt) of 'a', '1.5', '2 1/2', 'two and a half', 'a couple'."""
    word = at(words, i)
    if word in ("a", "an", "the") and at(words, i + 1) in ("couple", "full", "half"):
        n, value, doubt = quantity(words, i + 1)
        return (n + 1, value, doubt) if n else (0, 0, False)
    if word == "couple":
        return 1, 2, True
    if word == "half":
        return 2 if at(words, i + 1) in ("a", "an") else 1, 0.5, False
    if word in ("a", "an", "full"):
        return 1, 1, False
    if re.fullmatch(r"\d+\.\d+", word):
        return 1, float(word), False
    n, value = whole_number(words, i)
    if n and (m := re.fullmatch(r"([123])/([24])", at(words, i + n))):
        return n + 1, value + int(m[1]) / int(m[2]), False
    if n and at(words, i + n) == "and" and at(words, i + n + 1) in ("a", "one") and at(words, i + n + 2) in ("half", "quarter"):
        return n + 3, value + (0.5 if words[i + n + 2] == "half" else 0.25), False
    return n, value, False


def length_of(words: list[str], i: int) -> tuple[int, Length]:
    """(words used, length) of '90 min', 'three quarters of an hour', 'an hour and a half', '1h30', '2 hours and 15 minutes'."""
    if m := re.fullmatch(r"(\d+)h(\d\d)?", at(words, i)):
        n, length = 1, Length(seconds=int(m[1]) * HOUR + int(m[2] or 0) * MINUTE)
        n += bool(m[2]) and UNITS.get(at(words, i + 1)) == "minute"
    else:
        n, value, doubt = quantity(words, i)
        if at(words, i) == "quarter" and at(words, i + 1) == "of":
            n, value = 1, 0.25
        elif at(words, i + n) in ("quarter", "quarters") and at(words, i + n + 1) == "of" and n:
            n, value = n + 1, value / 4
        if at(words, i + n) == "of" and at(words, i + n + 1) in ("a", "an"):
            n += 2
        unit = UNITS.get(at(words, i + n))
        if not n or not unit or (unit == "hour" and re.fullmatch(r"\d{4}", at(words, i))):  # 1530 hours is a time
            return 0, Length()
        n += 1
        if at(words, i + n) == "and" and at(words, i + n + 1) in ("a", "half") and "half" in words[i + n + 1 : i + n + 3]:
            n, value = i_after(words, i + n, "half") - i, value + 0.5
        elif words[i + n : i + n + 3] == ["and", "a", "quarter"]:
            n, value = n + 3, value + 0.25
        length = measured(value, unit, doubt)
    joined = n + (at(words, i + n) == "and")
    more, rest = length_of(words, i + joined)
    return (joined + more, length.plus(rest)) if more else (n, length)


def i_after(words: list[str], i: int, word: str) -> int:
    return words.index(word, i) + 1


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


def length_rule(words: list[str], i: int, said: Said) -> int:
    """in LENGTH; LENGTH ago; LENGTH from now; LENGTH before or after X; a week on Friday; for LENGTH; a bare LENGTH."""
    lead = at(words, i) if at(words, i) in ("in", "within", "for", "lasting", "after") else ""
    if at(words, i - 1) in ("at", "about") and re.fullmatch(r"\d+h(\d\d)?", at(words, i)):
        return 0
    if not lead and (m := re.fullmatch(r"(\d+)h(\d\d)?", at(words, i))) and (m[2] or int(m[1]) > 6) and at(words, i + 1) != "m":
        return 0  # 8h30 and 14h are times, 2h is a length
    start = i + bool(lead)
    n, length = length_of(words, start)
    if not n and at(words, i) in ("day", "week", "month", "year") and at(words, i + 1) in ("before", "after"):
        n, length = 1, measured(1, words[i], False)  # the day before Christmas
    if not n:
        return 0
    end = start + n
    follows, beyond = at(words, end), at(words, end + 1)
    if length.doubt:
        said.notes.append("'a couple' is read as two")
    by_days = length.seconds == 0
    if lead in ("for", "lasting"):
        put(said, length=length)
    elif lead or (follows == "from" and beyond in ("now", "today")) or follows in ("ago", "hence"):
        ahead(said, length.times(-1 if follows == "ago" else 1))
        end += 0 if lead else 1 if follows in ("ago", "hence") else 2
    elif by_days and follows in ("from", "after", "before"):
        put(said, offset=length.times(-1 if follows == "before" else 1))
        end += 1
    elif by_days and length.months == 0 and length.days % 7 == 0 and (follows == "on" or follows in WEEKDAYS | {"today": 0, "tomorrow": 0}):
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
        put(said, offset=length)


def numeric_date_rule(words: list[str], i: int, said: Said) -> int:
    """2026-01-20, 20260120, 7/6, 7/6/2026, 22.12., 22.12.2025."""
    word = at(words, i)
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


def calendar_rule(words: list[str], i: int, said: Said) -> int:
    """December 3rd; 3 December; the 3rd of December; the 3rd; December; a year after one of these."""
    word = at(words, i)
    if word in MONTHS:
        j = i + 1 + (at(words, i + 1) == "the")
        n, day = day_number(words, j)
        if n and at(words, j + n) not in ("am", "pm", "oclock", "past", "minutes") and day <= 31 and said.day is None:
            put(said, month=MONTHS[word], day=day)
            return j + n - i
        put(said, month=MONTHS[word])
        return 1
    if re.fullmatch(r"(19|20)\d\d", word) and (s := said if said.month else said.left) and s.month and s.year is None:
        put(said, year=int(word))
        return 1
    n, day = day_number(words, i)
    if not n:
        return 0
    follows = at(words, i + n)
    of_month = follows in MONTHS or (follows == "of" and at(words, i + n + 1) in MONTHS)
    if at(words, i) in ORDINALS or not words[i].isdigit():  # an ordinal is a day of the month, but for 'first Monday'
        if follows in WEEKDAYS or follows in UNITS or follows in REPEATED:
            return 0
    elif of_month:
        if at(words, i - 1) == "at" or (said.clock is None and said.left and said.left.clock and not said.left.names_day()):
            return 0
    else:  # 1-5 December: the month comes with the other side
        j = i + n + 1
        m, _ = day_number(words, j)
        if at(words, i + n) not in CONNECTORS or not m or not (at(words, j + m) in MONTHS or words[j + m : j + m + 1] == ["of"]):
            return 0
        if said.month:
            return 0
    if day < 1 or day > 31:
        raise WhenError(f"no month has a day {day}")
    put(said, day=day)
    return n


def nth_rule(words: list[str], i: int, said: Said) -> int:
    """The first Monday of December, the last day of January: what follows 'of' is read by the other rules."""
    n, nth = (1, -1) if at(words, i) == "last" else ordinal(words, i)
    if not n or at(words, i + n + 1) not in ("of", "in"):
        return 0
    name = at(words, i + n)
    if name in WEEKDAYS:
        put(said, nth=nth, weekday=WEEKDAYS[name])
    elif name == "day":
        put(said, nth=nth)
    else:
        return 0
    return n + 2


def hour_of(words: list[str], i: int) -> tuple[int, int, int]:
    """(words used, hour, minute) of the hour in 'half past four', 'ten to noon'."""
    if at(words, i) in ("noon", "midnight"):
        return 1, 12 if words[i] == "noon" else 24, 0
    n, hour = whole_number(words, i)
    return (n, hour, 0) if n and 1 <= hour <= 24 and not UNITS.get(at(words, i + n), "").startswith("minute") else (0, 0, 0)


def spoken_rule(words: list[str], i: int, said: Said) -> int:
    """Noon; half past four, half four; a quarter to six; ten past four, five minutes to twelve."""
    if at(words, i) in ("noon", "midnight"):
        put(said, clock=Clock(12, kind="24") if words[i] == "noon" else Clock(24, kind="midnight"))
        return 1
    j = i + (at(words, i) == "a" and at(words, i + 1) == "quarter")
    if at(words, j) == "half":
        j, minutes, sign = j + 1 + (at(words, j + 1) == "past"), 30, 1
    else:
        n, minutes = (1, 15) if at(words, j) == "quarter" else whole_number(words, j)
        spoken = not at(words, j).isdigit()
        named = at(words, j + n) in ("minutes", "minute", "mins", "min")
        n += named
        turn = at(words, j + n)
        sign = {"past": 1, "after": 1, "to": -1, "until": -1, "before": -1}.get(turn, 0)
        if not n or not sign or not 0 < minutes < 30 or not (spoken or named or turn == "past"):
            return 0
        if turn in ("to", "until") and not named and (minutes not in (5, 10, 15, 20, 25) or at(words, i - 1) in ("from", "between")):
            return 0  # nine to five is a range
        unsure = sign < 0 and minutes < 15 and not named and at(words, i - 1) != "at" and words[j] != at(words, j + n + 1)
        if unsure and turn in ("to", "until"):
            said.notes.append(f"'{' '.join(words[j : j + n + 2])}' is read as a time of day, not as a range")
        j += n + 1
    used, hour, _ = hour_of(words, j)
    if not used:
        return 0
    past_midnight = hour * 60 + sign * minutes
    kind = "24" if at(words, j) in ("noon", "midnight") or hour > 12 else "bare"
    hour, minute = divmod(past_midnight if hour != 1 or sign > 0 else past_midnight + 720, 60)  # five to one: 12:55
    used += at(words, j + used) == "oclock"
    if at(words, j + used) in ("am", "pm"):
        kind, used = words[j + used], used + 1
    put(said, clock=Clock(hour, minute, kind=kind))
    return j + used - i


def clock_rule(words: list[str], i: int, said: Said) -> int:
    """9, 9am, 10:30, 8.30, 8h30, 0900, 1530 hours, nine thirty, oh nine hundred, five o'clock."""
    word, second, kind, lone = at(words, i), 0, "bare", False
    if m := re.fullmatch(r"(\d+)[:.](\d\d)(?::(\d\d)(?:\.\d+)?)?", word):
        n, hour, minute, second = 1, int(m[1]), int(m[2]), int(m[3] or 0)
        kind = "24" if word.startswith("0") else kind
        if "." in word and ":" not in word and word[-2] == "0" and at(words, i - 1) == "on":
            said.notes.append(f"{word!r} is read as a time of day")
    elif m := re.fullmatch(r"(\d+)h(\d\d)?", word):
        n, hour, minute, kind = 1, int(m[1]), int(m[2] or 0), "24"
    elif re.fullmatch(r"\d{4}", word):
        n, hour, minute = 1, int(word[:2]), int(word[2:])
        kind = "24" if word.startswith("0") or at(words, i + 1) in ("hours", "hrs", "h", "hour") else kind
    else:
        zero = word in ("oh", "zero")
        n, hour = whole_number(words, i + zero)
        n, minute, lone = n + zero, 0, True
        if n == zero or len(word) > 2 and word.isdigit():
            return 0
        if at(words, i + n) == "hundred":
            n, kind, lone = n + 1, "24", False
        elif not word.isdigit():
            oh = at(words, i + n) in ("oh", "o")
            more, minute = whole_number(words, i + n + oh)
            if more and not at(words, i + n + oh).isdigit() and 10 * (not oh) <= minute < 60 and hour <= 24:
                n, lone = n + oh + more, False
            else:
                minute = 0
    if at(words, i + n) in ("hours", "hrs", "h", "hour", "oclock"):
        n, lone = n + 1, False
    if at(words, i + n) in ("am", "pm"):
        kind, n, lone = words[i + n] if hour <= 12 and hour > 0 else "24", n + 1, False
    if hour > 24 or minute > 59 or second > 59 or (hour == 24 and minute + second):
        raise WhenError(f"there is no time {' '.join(words[i : i + n])!r}")
    if hour == 24:
        kind = "24"
    put(said, clock=Clock(hour, minute, second, "24" if kind == "bare" and (hour > 12 or hour == 0) else kind, lone))
    return n


def weekday_rule(words: list[str], i: int, said: Said) -> int:
    """Friday; this, next, last, coming Friday; Friday after next; Friday week."""
    which = at(words, i) if at(words, i) in ("this", "next", "last", "coming") else ""
    j = i + bool(which)
    if at(words, j) not in WEEKDAYS:
        return 0
    weekday, j = WEEKDAYS[words[j]], j + 1
    if words[j : j + 2] == ["after", "next"]:
        which, j = "after next", j + 2
    elif at(words, j) in ("week", "fortnight"):
        put(said, offset=measured(1, words[j], False))
        j += 1
    if said.nth and said.weekday is not None:
        raise WhenError("it names two times")
    put(said, weekday=weekday, which=which)
    return j - i


PERIODS = {"day", "week", "weekend", "month", "quarter", "year"}


def period_rule(words: list[str], i: int, said: Said) -> int:
    """Next week; the week after next; the weekend; end of the month; start of next week; in 'the first of the month', the month."""
    if at(words, i) in ("end", "start") and at(words, i + 1) in ("of", *PERIODS):
        put(said, edge=words[i])
        n = 1 + (at(words, i + 1) == "of")
        n += at(words, i + n) == "the"
        if at(words, i + n) in PERIODS:
            put(said, period=words[i + n])
            n += 1
        return n
    which = at(words, i) if at(words, i) in ("this", "next", "last", "coming") else ""
    name = at(words, i + bool(which))
    if name in MONTHS or any(holiday_at(words, i + 1)[0] for _ in which[:1]):  # next June, this Christmas
        if which in ("next", "coming", "this"):
            said.notes.append(f"'{which} {name}' is read as the next one to come")
            return 1
        return 0
    if name not in PERIODS or (name == "day" and which):
        return 0
    if words[i + 1 : i + 3] == ["after", "next"] and not which:
        put(said, period=name, period_which="after next")
        return 3
    if not which and name != "weekend" and at(words, i - 1) not in ("of", "the"):
        return 0
    if not which and name == "day":
        return 0
    put(said, period=name, period_which="next" if which == "coming" else which)
    return 1 + bool(which)


def holiday_at(words: list[str], i: int) -> tuple[int, str]:
    for n in (3, 2, 1):
        name = " ".join(words[i : i + n])
        if name in HOLIDAYS and len(words) >= i + n:
            return n, name
    return 0, ""


def holiday_rule(words: list[str], i: int, said: Said) -> int:
    n, name = holiday_at(words, i)
    if n:
        put(said, holiday=name)
    return n


RELATIVE = {"ereyesterday": -2, "yesterday": -1, "today": 0, "tomorrow": 1, "overmorrow": 2}


def day_rule(words: list[str], i: int, said: Said) -> int:
    """Today, tomorrow; now; this time (tomorrow); parts of the day; early, late, mid; all day."""
    word = at(words, i)
    if word in RELATIVE:
        put(said, relative=RELATIVE[word])
    elif word == "now":
        put(said, from_now=True, shift=0)
    elif word in ("this", "same") and at(words, i + 1) == "time":
        put(said, same_time=True)
        return 2
    elif word in PARTS:
        put(said, part=word)
    elif word in ("early", "late", "mid"):
        put(said, shade=word)
    elif word == "whole":
        put(said, whole=True)
    elif word in ("sometime", "later"):
        put(said, vague=word)
    elif word in ("by", "before", "after"):
        put(said, relation=word)
    else:
        return 0
    return 1


def zone_rule(words: list[str], i: int, said: Said) -> int:
    """CET, UTC+2, +05:30, Pacific (time), Europe/Berlin, New York time."""
    word = at(words, i)
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
        n = 1 + (at(words, i + 1) in ("standard", "daylight"))
        put(said, zone=(ZoneInfo(REGIONS[word]), word, ""))
        return n + (at(words, i + n) == "time")
    n = next((n for n in (1, 2, 3) if at(words, i + n) == "time"), 0)
    if "/" in word or n:
        city = "/" + "_".join(words[i : i + n])
        for key in sorted(available_timezones()):
            if key.lower() == word or (n and key.lower().endswith(city)):
                put(said, zone=(ZoneInfo(key), key, ""))
                return n + 1 if n else 1
    return 0


Rule = Callable[[list[str], int, Said], int]
RULES: tuple[Rule, ...] = (
    numeric_date_rule, holiday_rule, nth_rule, spoken_rule, length_rule, calendar_rule, weekday_rule, period_rule, day_rule, zone_rule,
    clock_rule,
)  # fmt: skip


def read(words: list[str]) -> tuple[list[Said], list[str]]:
    """Words -> the sides of a range (one, if it is none), and the connectors between them. Raises Unknown, WhenError."""
    sides, connectors, between, i = [Said()], [""][:0], "between" in words, 0
    while i < len(words):
        word, said = words[i], sides[-1]
        if word in REPEATED:
            raise WhenError(f"{word!r} repeats; say the first time")
        if word in VAGUE:
            raise WhenError(f"{word!r} names no time")
        if used := next((n for rule in RULES if (n := rule(words, i, said))), 0):
            i += used
            continue
        if word in CONNECTORS and not said.empty():
            sides.append(Said(left=said))
            connectors.append("to" if word != "and" or (between and not connectors) else "and")
        elif word in ("to", "until"):
            put(said, relation="until")
        elif word not in FILLERS:
            raise Unknown(word)
        i += 1
    return sides, connectors


# ---- placing it against now ---------------------------------------------------------------------------------------------------------------


def stamp(moment: datetime) -> datetime:
    """Comparable across a change of the clocks: in UTC if it has a zone."""
    return moment.astimezone(UTC) if moment.tzinfo else moment


def later(moment: datetime, seconds: float) -> datetime:
    """So many seconds of real time later."""
    zone = moment.tzinfo
    return (stamp(moment) + timedelta(seconds=seconds)).astimezone(zone) if zone else moment + timedelta(seconds=seconds)


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


def calendar_day(year: int, month: int, day: int) -> date | None:
    return date(year, month, day) if 1 <= day <= calendar.monthrange(year, month)[1] else None


def holiday(name: str, year: int) -> date | None:
    rule = HOLIDAYS[name]
    if len(rule) == 1:
        from dateutil.easter import easter

        return easter(year) + timedelta(days=rule[0])
    if len(rule) == 2:
        return calendar_day(year, *rule)
    day = nth_weekday(year, *rule[:3])
    return day + timedelta(days=rule[3]) if day else None


def known(days: Iterable[date | None]) -> list[date]:
    return [day for day in days if day]


STEPS = {"this": 0, "": 0, "next": 1, "coming": 1, "last": -1, "after next": 2}


def days_of(said: Said, today: date, anchor: date, notes: list[str], future: bool) -> tuple[list[date], str]:
    """The days that the words may mean, in order, and how often they come round: 'yearly', 'monthly', 'weekly', 'daily', or '' (once).

    today: for 'tomorrow', 'next week'. anchor: the day after which 'Friday' or 'the 3rd' is looked for (today, or the start of a range).
    Raises WhenError where there is no such day.
    """
    step = STEPS[said.period_which]
    years = range(max(1, anchor.year - 1), min(9999, anchor.year + 9) + 1)
    months = [m for k in range(-1, 26) if 1 <= (m := anchor.year * 12 + anchor.month - 1 + k) // 12 <= 9999]
    if said.period == "year" and said.period_which and not said.year:
        years = range(today.year + step, today.year + step + 1)
    if said.year:
        if not 1 <= said.year <= 9999:
            raise WhenError(f"there is no year {said.year}")
        years = range(said.year, said.year + 1)
    if said.month and not 1 <= said.month <= 12:
        raise WhenError(f"there is no month {said.month}")
    once = len(years) == 1
    monday = today - timedelta(days=today.weekday())

    if said.holiday:
        if said.holiday in ELSEWHERE:
            notes.append(f"{said.holiday} is the United States' day")
        days, round_ = known(holiday(said.holiday, y) for y in years), "" if once else "yearly"
    elif said.month or (said.period == "month" and (said.day or said.nth)):
        if not said.month:
            month = first_of(today, step)
            pairs = [(month.year, month.month)] if said.period_which else [(m // 12, m % 12 + 1) for m in months]
            round_ = "" if said.period_which else "monthly"
        else:
            pairs, round_ = [(y, said.month) for y in years], "" if once else "yearly"
        if said.nth:
            days = known(
                nth_weekday(y, m, said.weekday, said.nth) if said.weekday is not None
                else calendar_day(y, m, said.nth if said.nth > 0 else calendar.monthrange(y, m)[1])
                for y, m in pairs
            )  # fmt: skip
        elif said.edge == "end":
            days = [date(y, m, calendar.monthrange(y, m)[1]) for y, m in pairs]
        elif said.day:
            days = known(calendar_day(y, m, said.day) for y, m in pairs)
            if not days:
                raise WhenError(f"there is no such day: {said.day} {calendar.month_name[said.month or 1]} {said.year or ''}".rstrip())
        else:
            days = [date(y, m, 15 if said.shade == "mid" else 1) for y, m in pairs]
            if said.shade in ("early", "late"):
                raise WhenError(f"'{said.shade} {calendar.month_name[said.month or 1]}' names no day")
            if said.edge != "start":
                notes.append(f"no day of the month was said: {'the 15th' if said.shade == 'mid' else 'the 1st'} is taken")
        if not days:
            raise WhenError("there is no such day")
    elif said.day:
        pairs = [(m // 12, m % 12 + 1) for m in months]
        days, round_ = known(calendar_day(y, m, said.day) for y, m in pairs), "monthly"
        ahead_days = [d for d in days if d >= anchor]
        if said.weekday is not None:
            days = [d for d in days if d.weekday() == said.weekday]
            if not days:
                raise WhenError("there is no such day within two years")
            if next((d for d in days if d >= anchor), None) != next(iter(ahead_days), None):
                notes.append(f"the next day {said.day} is no {calendar.day_name[said.weekday]}; the first that is one is taken")
        elif ahead_days and (ahead_days[0] - anchor).days > 31:
            notes.append(f"a month without a day {said.day} is passed over")
    elif said.weekday is not None:
        name = calendar.day_name[said.weekday]
        if said.period == "week":
            days = [monday + timedelta(days=7 * step + said.weekday)]
        elif said.which in ("this", "next", "after next"):
            days = [monday + timedelta(days=7 * STEPS[said.which] + said.weekday)]
        elif said.which == "last" or not future:
            days = [anchor - timedelta(days=(anchor.weekday() - said.weekday - 1) % 7 + 1)]
            if said.which and days[0] >= monday:
                notes.append(f"'last {name}' is read as the {name} of this week")
        else:
            days = [anchor + timedelta(days=(said.weekday - anchor.weekday() - 1) % 7 + 1)]
            if not said.which and said.weekday == anchor.weekday() and anchor == today:
                notes.append(f"today is a {name}; the one after today is taken")
        round_ = ""
    elif said.relative is not None:
        days, round_ = [today + timedelta(days=said.relative)], ""
    elif said.period and said.period != "day":
        days, round_ = period_days(said, today, step, notes)
    elif said.offset:
        days, round_ = [today], ""
    else:
        days, round_ = [today + timedelta(days=k) for k in (-1, 0, 1, 2) if 1 <= today.toordinal() + k <= date.max.toordinal()], "daily"

    if said.offset:
        days = [put_off(day, said.offset, notes) for day in days]
    return days, round_


def period_days(said: Said, today: date, step: int, notes: list[str]) -> tuple[list[date], str]:
    """Weeks begin on Monday, 'the end of the week' is Friday; a month, quarter or year begins on its first day."""
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
    if not said.edge and not said.period_which:
        raise WhenError(f"'the {name}' names no day")
    if not said.edge and step == 0:
        raise WhenError(f"'{name}' names no day")
    if not said.edge and said.shade not in ("", "early"):
        raise WhenError(f"'{said.shade} {name}' names no day")
    if said.edge and step < 0:
        notes.append(f"'{name}' is over")
    steps = [step] if said.period_which else [0, 1]
    if said.period == "week":
        days = [monday + timedelta(days=7 * k + (4 if said.edge == "end" else 0)) for k in steps]
    else:
        months, into = {"month": (1, 0), "quarter": (3, (today.month - 1) % 3), "year": (12, today.month - 1)}[said.period]
        days = [first_of(today, months * k - into) for k in steps]
        if said.edge == "end":
            days = [first_of(day, months) - timedelta(days=1) for day in days]
    if not said.edge:
        notes.append(f"'{name}' is read as its first day")
    return days, "" if said.period_which else "weekly"


def seconds_of(said: Said, now: datetime, notes: list[str]) -> int | None:
    """Seconds after the day's midnight (beyond 86400 in its night), or None for a day without a time."""
    clock, part = said.clock, PARTS.get(said.part)
    if said.same_time:
        return now.hour * HOUR + now.minute * MINUTE + now.second
    if said.whole:
        if clock:
            raise WhenError("it is a whole day and a time at once")
        return None
    if clock is None and part is None and not (said.shade in ("early", "late") and not (said.month and not said.day)):
        if said.edge and (said.period in ("day", "week") or not (said.period or said.month)):
            on_edge = {"end": 17, "start": 9}[said.edge]
            return None if said.period == "week" and said.edge == "start" else on_edge * HOUR
        return None
    if clock is None and part is None and said.period and said.period != "day":
        return None  # early next week
    if clock is None:
        seconds = (part.minutes if part else 0) * MINUTE
        if said.shade in ("early", "late"):
            seconds = SHADES.get((said.shade, said.part), seconds // HOUR) * HOUR
            notes.append(f"{said.shade!r} is read as {seconds // HOUR:02}:00")
        elif part and part.habit:
            notes.append(f"{said.part!r} is read as {part.minutes // 60:02}:{part.minutes % 60:02}")
        if said.relation == "after" and said.part in MEALS:
            seconds += HOUR
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
        if not fitting or (said.part == "morning" and clock.hour == 12):
            notes.append(f"{minutes // 60 % 24:02}:{minutes % 60:02} does not go with {said.part!r}")
        minutes = fitting[0] if fitting else minutes + (720 if clock.kind == "bare" and part.first >= 12 else 0)
        if minutes > 1440 and said.relative != 0:
            notes.append(f"after midnight: {minutes // 60 % 24:02}:{minutes % 60:02} is taken on the day after")
    elif said.names_day() and said.relative != 0 and (clock.kind == "midnight" or (clock.kind, clock.hour, clock.minute) == ("am", 12, 0)):
        notes.append("midnight of a day is read as its " + ("end" if clock.kind == "midnight" else "beginning"))
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
    named = said.names_day()
    days, round_ = days_of(said, today, floor.date(), notes, future)
    own: list[str] = []
    seconds = seconds_of(said, now, own)
    notes += own
    if seconds is None:
        if not named:
            raise WhenError("it names no day and no time")
        if said.zone:
            notes.append(f"a day has no time zone: {said.zone[1]} is left aside")
        fits = [d for d in days if (d >= floor.date() if future else d <= today)] or days[-1:]
        chosen = fits[0 if future else -1]
        start = datetime.combine(chosen, time(), now.tzinfo)
    else:
        timed = [(d, on(d, seconds, said, now, [])) for d in days]
        same = timed if len(timed) == 1 else [(d, t) for d, t in timed if (stamp(t) >= stamp(floor) if future else stamp(t) <= stamp(now))]
        chosen = (same or timed[-1:])[0 if future else -1][0]
        bare = bool(said.clock and said.clock.kind == "bare" and not said.part)
        if bare and future and seconds < DAY // 2 and floor is now:
            other = on(today, seconds + DAY // 2, said, now, [])
            if said.relative == 0 and stamp(timed[0][1]) < stamp(now) < stamp(other):
                seconds += DAY // 2
                notes.append(f"{timed[0][1]:%H:%M} is past: {other:%H:%M} is taken")
            elif round_ == "daily" and chosen > today and stamp(other) > stamp(now):
                notes.append(f"read as {seconds // HOUR:02}:{seconds // 60 % 60:02} tomorrow, not {other:%H:%M} today")
        start = on(chosen, seconds, said, now, notes)
    if future and floor is now and round_ in ("yearly", "monthly", "weekly", "daily"):
        before = [d for d in days if d < chosen]
        due = round_ == "daily" and said.edge and chosen > today
        if before and (before[-1] == today or due or (round_ != "monthly" and today - before[-1] <= RECENT and named)) and (due or named):
            notes.append(f"{before[-1]} is past: {chosen} is taken")
    check(said, chosen, today, notes)
    return start, seconds is None


def check(said: Said, chosen: date, today: date, notes: list[str]) -> None:
    """A day said in two ways should be one day."""
    fixed = bool(said.day or said.holiday) and not said.nth
    if fixed and said.weekday is not None and chosen.weekday() != said.weekday:
        notes.append(f"{chosen} is a {calendar.day_name[chosen.weekday()]}, not a {calendar.day_name[said.weekday]}")
    if said.relative is not None and (fixed or said.weekday is not None) and not said.offset:
        meant = today + timedelta(days=said.relative)
        agrees = chosen == meant if fixed else meant.weekday() == said.weekday
        if not agrees:
            notes.append(f"{meant} and {chosen} are both named")


def span_seconds(left: Said, right: Said, now: datetime) -> Said:
    """The left side with its am or pm borrowed from the right one: 2-3:30pm, 11-1pm, 10 until noon, 7 to 9 tonight."""
    clock, other = left.clock, right.clock
    if not clock or not other or clock.kind != "bare" or left.part:
        return left
    if right.part or other.kind in ("am", "pm", "midnight") or (other.kind == "24" and (other.hour, other.minute) == (12, 0)):
        end = seconds_of(replace(right, relative=0), now, []) or 0
    elif other.kind == "24" and seconds_of(left, now, []) >= (end := other.hour * HOUR + other.minute * MINUTE):  # type: ignore[operator]
        pass
    else:
        return left
    minutes = clock.hour % 12 * 60 + clock.minute
    choices = [m for m in (minutes, minutes + 720, minutes + 1440) if m * MINUTE < end] or [minutes + 720]
    hour, minute = divmod(choices[-1], 60)
    if hour >= 24:
        hour -= 24
    return replace(left, clock=replace(clock, hour=hour, minute=minute, kind="24"))


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


def range_of(left: Said, right: Said, connector: str, now: datetime, future: bool, notes: list[str]) -> Moment:
    """Two sides made one range. What only one side says of the day, the month, the year and the zone holds for both."""
    if right.empty():
        raise WhenError("it names no end")
    lone = right.clock and right.clock.number and not right.names_day() and not left.names_time()
    if lone and right.clock and left.day and not right.part:  # December 1-5
        right = replace(right, clock=None, day=right.clock.hour)
    timed = bool(right.clock or right.part)
    if (left.clock or left.part) and timed and not left.names_day() and right.names_day():  # from 3 until 5 tomorrow
        days = ("year", "month", "day", "weekday", "which", "nth", "relative", "holiday", "period", "period_which", "offset")
        left = replace(left, **{name: getattr(right, name) for name in days})
        right = replace(right, **{name: getattr(Said(), name) for name in days})
    if left.day and not left.month and right.month:  # 1-5 December
        left = replace(left, month=right.month)
    if right.year and not left.year and left.month:
        left = replace(left, year=right.year - bool(right.month and left.month > right.month))
    if right.zone and not left.zone:
        left = replace(left, zone=right.zone)
    if left.zone and not right.zone:
        right = replace(right, zone=left.zone)
    if not right.names_day():
        left = span_seconds(left, right, now)
    start, all_day = place(left, now, now, future, notes)
    if left.year and right.month and not right.year and right.day:  # 3 March 2026 to 7 March
        pass
    whole_end: list[str] = []
    end, whole = end_of(right, start, now, whole_end)
    notes += whole_end
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
        if stamp(end) > stamp(later(start, 12 * HOUR)):
            notes.append("the range is longer than half a day")
        if not left.names_day() and not left.from_now and future and stamp(later(start, -DAY)) <= stamp(now) < stamp(later(end, -DAY)):
            notes.append("today's is under way; tomorrow's is taken")
    return Moment(start, end, all_day)


def moment_of(sides: list[Said], connectors: list[str], now: datetime, future: bool) -> Moment:
    said, notes = sides[0], [note for side in sides for note in side.notes]
    if len(sides) > 2:
        raise WhenError("it names more than two times")
    bare_length = said.length is not None and not (said.names_day() or said.names_time() or said.shift is not None)
    if bare_length and len(sides) == 1 and said.length:
        said = Said(zone=said.zone, relation=said.relation)
        ahead(said, sides[0].length or Length())
        notes.append("a length alone is counted from now")
    if all(side.empty() for side in sides) or (said.same_time and not said.names_day()):
        vague = next((side.vague for side in sides if side.vague), "")
        raise WhenError(f"{vague!r} names no time" if vague else "it names no time")
    if said.shade and not (said.names_day() or said.part or said.clock):
        raise WhenError(f"{said.shade!r} names no time")
    for side in sides[1:]:
        if side.shade and not (side.names_day() or side.part or side.clock):
            raise WhenError(f"{side.shade!r} names no time")
    if said.vague and not said.names_time():
        notes.append(f"{said.vague!r} says no time of day")
    if said.relation in ("after", "until") or (said.relation == "before" and not (said.clock or said.part)):
        notes.append(f"{said.relation!r}: the time named is given")
    if len(sides) == 2:
        length = sides[1].length
        if length and (said.length or sides[1].empty()):
            raise WhenError("it names an end and a length")
        moment = range_of(said, sides[1], connectors[0], now, future, notes)
    else:
        start, all_day = place(said, now, now, future, notes)
        moment = Moment(start, end_by_length(said, start, all_day, notes), all_day)
        if said.clock == Clock(said.clock.hour if said.clock else 0, number=True) and not (said.names_day() or said.part or said.relation):
            pass
    past_meant = bool(
        (said.year and said.month and said.day) or said.which == "last" or said.period_which == "last" or (said.relative or 0) < 0
        or (said.shift or 0) < 0 or (said.offset and (said.offset.days < 0 or said.offset.months < 0))
    )  # fmt: skip
    over = moment.start.date() < now.date() if moment.all_day else stamp(moment.start) < stamp(now)
    if future and over and not past_meant:
        notes.append(f"{moment.text()} is past")
    return replace(moment, warnings=tuple(dict.fromkeys(notes)))


def end_by_length(said: Said, start: datetime, all_day: bool, notes: list[str]) -> datetime | None:
    length = said.length
    if said.whole and said.part:
        raise AssertionError("placed by moment_of")
    if said.whole and said.period == "weekend":
        return start + timedelta(days=1)
    if not length:
        return None
    if all_day and (length.seconds or length == Length()):
        raise WhenError("it names a length but no time of day to start at")
    if length.months < 0 or length.days < 0 or length.seconds < 0:
        raise WhenError("its end is before its start")
    day = put_off(start.date(), length, notes)
    end = start.replace(year=day.year, month=day.month, day=day.day)
    return end - timedelta(days=1) if all_day else later(end, length.seconds)
