"""Values for the spans of a request: names, dates, files, messages ... -> a replacement of the same kind and shape.

Half of the work of a small model is copying words that it never saw. So a share of the values is made of invented words (syllables of many
languages), and dates and ranges are composed, not only picked. Pure functions of a random.Random: same seed, same value.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from toolagent.datagen.seeds import Banks

INVENTED = 0.22  # share of names, titles and files with an invented word

ONSETS = [
    "b", "br", "c", "ch", "d", "dr", "f", "fl", "g", "gr", "h", "j", "k", "kl", "l", "m", "n", "p", "pr", "q", "r", "s", "sh", "sl", "st",
    "t", "th", "tr", "v", "w", "y", "z", "zh", "",
]  # fmt: skip
NUCLEI = [
    "a", "e", "i", "o", "u", "ai", "ea", "ee", "ie", "oo", "ou", "á", "é", "ö", "ü", "y",
]  # fmt: skip
CODAS = [
    "b", "d", "ck", "f", "g", "l", "ll", "m", "n", "nd", "ng", "nn", "r", "rd", "rk", "rt", "s", "ss", "st", "t", "th", "v", "x", "z",
    *[""] * 14,
]  # fmt: skip

DAYS = [
    "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday",
]  # fmt: skip
SHORT_DAYS = [
    "mon", "tue", "tues", "wed", "thu", "thurs", "fri", "sat", "sun",
]  # fmt: skip
MONTHS = [
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
]  # fmt: skip
SHORT_MONTHS = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Sept", "Oct", "Nov", "Dec",
]  # fmt: skip
NUMBERS = [
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
]  # fmt: skip
CLOCK = re.compile(
    r"\d\s*(?:[ap]\.?m\b|o.?clock|[:.h]\d\d)|\bat \w|noon|midnight|half past|quarter|morning|afternoon|evening|tonight|lunch|"
    r"\bin \w+ (?:min|h)",
    re.I,
)


def syllables(rng: random.Random, n: int) -> str:
    return "".join(rng.choice(ONSETS) + rng.choice(NUCLEI) + rng.choice(CODAS) for _ in range(n))


def invented(rng: random.Random) -> str:
    """A word that is in no bank: "Drauneck", "pösh"."""
    word = syllables(rng, rng.choice((1, 2, 2, 2, 3)))
    return word.capitalize() if rng.random() < 0.7 else word


def ordinal(day: int) -> str:
    return f"{day}{'th' if 10 <= day % 100 <= 20 else {1: 'st', 2: 'nd', 3: 'rd'}.get(day % 10, 'th')}"


def clock(rng: random.Random) -> str:
    """"3pm", "half past four", "14:15", "10.30 am"."""
    hour, minute = rng.randint(1, 12), rng.choice((0, 0, 0, 15, 30, 30, 45, 5, 10, 20))
    half = rng.choice(("am", "pm", "pm"))
    word = NUMBERS[hour - 1]
    quarters = {0: f"{word} o'clock", 15: f"quarter past {word}", 30: f"half past {word}", 45: f"quarter to {word}"}
    forms: list[Callable[[], str]] = [
        lambda: f"{hour}{rng.choice(('', ' '))}{half}" if minute == 0 else f"{hour}:{minute:02}{rng.choice(('', ' '))}{half}",
        lambda: f"{hour}:{minute:02}",
        lambda: f"{hour + 12 if hour < 12 and half == 'pm' else hour}:{minute:02}",
        lambda: f"{hour}.{minute:02}{rng.choice(('', half))}",
        lambda: quarters.get(minute, f"{hour}:{minute:02}"),
        lambda: f"{word} {half}" if minute == 0 else f"{word} {'thirty' if minute == 30 else 'fifteen'}",
        lambda: str(hour) if minute == 0 else f"{hour}:{minute:02}",
        lambda: rng.choice(("noon", "midday", f"{hour} {half.upper()}")),
    ]
    return forms[min(int(rng.random() * 1.4 * len(forms) / 1.4), len(forms) - 1)]()


def day(rng: random.Random, capital: bool | None = None) -> str:
    """"next tuesday", "June 7th", "the 3rd", "tomorrow"."""
    capital = rng.random() < 0.5 if capital is None else capital
    weekday = rng.choice(DAYS if rng.random() < 0.8 else SHORT_DAYS)
    weekday = weekday.capitalize() if capital else weekday
    month = rng.choice(MONTHS if rng.random() < 0.7 else SHORT_MONTHS)
    month = month if capital else month.lower()
    number = rng.randint(1, 28)
    forms = [
        lambda: weekday, lambda: weekday, lambda: "tomorrow", lambda: "today", lambda: f"next {weekday}", lambda: f"this {weekday}",
        lambda: f"the {ordinal(number)}", lambda: f"{month} {number}", lambda: f"{month} {ordinal(number)}", lambda: f"{number} {month}",
        lambda: f"the {ordinal(number)} of {month}", lambda: f"{weekday} {month} {number}", lambda: f"{weekday} the {ordinal(number)}",
        lambda: f"{weekday}, {month} {ordinal(number)}", lambda: f"2026-{rng.randint(1, 12):02}-{number:02}",
        lambda: f"{month} {number}, 2026",
        lambda: rng.choice(("the day after tomorrow", "day after tomorrow", f"a week on {weekday}", f"coming {weekday}")),
    ]  # fmt: skip
    return rng.choice(forms)()


def moment(rng: random.Random, timed: bool) -> str:
    """A day, or a day with a time in either order."""
    d, t = day(rng), clock(rng)
    if not timed:
        return d
    forms = [
        f"{d} at {t}", f"{d} at {t}", f"{d} {t}", f"{t} {d}", f"{t} on {d}" if not d.startswith(("to", "the day", "next")) else f"{t} {d}",
        f"{d}, {t}", f"at {t} {d}", f"{d} {rng.choice(('morning', 'afternoon', 'evening'))} at {t}",
        f"tonight at {t}", f"in {rng.choice(('10', '20', '45', '90', 'ten', 'twenty'))} minutes",
        f"in {rng.choice(('two', '3', 'four', 'a couple of'))} hours",
        f"{d} {rng.choice(('morning', 'afternoon', 'evening', 'night', 'lunchtime'))}",
    ]  # fmt: skip
    return rng.choice(forms)


def moments(rng: random.Random) -> str:
    """A range: "tuesday 2-3:30pm", "from 9 to 11 on June 4"."""
    a = rng.randint(1, 10)
    b = a + rng.randint(1, 2)
    half = rng.choice(("", "am", "pm", " pm"))
    minute = rng.choice(("", "", ":30", ":15"))
    first = rng.choice((f"{a}{minute}", f"{a}{half}", f"{a:02}:00"))
    last = f"{b}{minute}{half}"
    d = day(rng)
    after = d if d.startswith(("to", "the day", "day", "next", "this", "a week", "coming")) else f"on {d}"  # "7-8 july 4" could be days
    forms = [
        f"{d} {first}-{last}", f"{d} from {first} to {last}", f"from {first} to {last} {after}", f"{d} {first} to {last}",
        f"{first}-{last} {after}", f"between {first} and {last} {after}",
        f"{d} from {first} until {last}", f"{d}, {first}–{last}",
    ]  # fmt: skip
    return rng.choice(forms)


class Filler:
    """Replacements by kind, from banks and by composition. Holds the banks split by shape."""

    def __init__(self, banks: Banks) -> None:
        self.banks = banks
        names = banks["person"]
        self.single = tuple(n for n in names if " " not in n)
        self.full = tuple(n for n in names if " " in n)
        self.surnames = tuple({n.split()[-1] for n in self.full if n.split()[-1][:1].isupper()} or {"Novak"})
        self.surnames = tuple(sorted(self.surnames))
        self.whens = {flag: tuple(w for w in banks["when"] if bool(CLOCK.search(w)) == flag) for flag in (True, False)}

    def __call__(self, kind: str, old: str, rng: random.Random) -> str:
        """A new value of this kind in the shape of the old one. An unknown kind keeps the old value."""
        make = getattr(self, f"make_{kind}", None)
        if make is not None:
            value = make(old, rng)
        elif kind in self.banks:
            value = rng.choice(self.banks[kind])
            if kind not in ("url", "email", "phone", "number", "duration", "address") and rng.random() < INVENTED:
                words = value.split()
                words[rng.randrange(len(words))] = invented(rng)
                value = " ".join(words)
        else:
            return old
        return cased(value, old, kind)

    def make_person(self, old: str, rng: random.Random) -> str:
        roll = rng.random()
        several = len(old.split()) > 1
        if roll < INVENTED:
            return invented(rng).capitalize() + (f" {invented(rng).capitalize()}" if several and rng.random() < 0.7 else "")
        if several or roll > 0.92:
            return rng.choice(self.full) if rng.random() < 0.5 else f"{rng.choice(self.single)} {rng.choice(self.surnames)}"
        return rng.choice(self.single)

    def make_when(self, old: str, rng: random.Random) -> str:
        timed = bool(CLOCK.search(old))
        value = rng.choice(self.whens[timed]) if rng.random() < 0.4 else moment(rng, timed)
        lead = re.match(r"(?:on|at|by|for|in|before) ", old, re.I)
        has = re.match(r"(on|at|by|for|in|before) ", value, re.I)
        if lead and not has:
            if lead[0].lower() in ("on ", "at "):
                value = ("at " if timed and re.match(r"\d|noon|midday|half|quarter", value) else "on ") + value
        elif has and not lead and has[1].lower() in ("on", "at", "by", "for", "before"):
            value = value[has.end() :]
        return value

    def make_when_range(self, old: str, rng: random.Random) -> str:
        return moments(rng) if rng.random() < 0.6 else rng.choice(self.banks["when_range"])

    def make_number(self, old: str, rng: random.Random) -> str:
        if re.fullmatch(r"\d+", old):
            return str(rng.randint(10 ** (len(old) - 1) if len(old) > 1 else 1, 10 ** len(old) - 1))
        return re.sub(r"\d", lambda m: str(rng.randint(1, 9)), old)

    def make_phone(self, old: str, rng: random.Random) -> str:
        return re.sub(r"\d", lambda m: str(rng.randint(0, 9)), rng.choice(self.banks["phone"]))

    def make_email(self, old: str, rng: random.Random) -> str:
        if rng.random() < 0.5:
            return rng.choice(self.banks["email"])
        user = rng.choice((syllables(rng, 2), f"{syllables(rng, 1)}.{syllables(rng, 2)}", f"{syllables(rng, 2)}{rng.randint(1, 99)}"))
        host = rng.choice((syllables(rng, 2), "mail", "studio-" + syllables(rng, 1), "uni"))
        return re.sub(r"[^a-z0-9.@-]", "o", f"{user}@{host}.{rng.choice(('com', 'org', 'de', 'io', 'co.uk', 'net', 'edu'))}")

    def make_file(self, old: str, rng: random.Random) -> str:
        return self.file(old, rng, self.banks["file"])

    def make_pdf(self, old: str, rng: random.Random) -> str:
        return self.file(old, rng, self.banks["pdf"])

    def file(self, old: str, rng: random.Random, bank: tuple[str, ...]) -> str:
        name = rng.choice(bank)
        if rng.random() < INVENTED:
            stem, dot, ending = name.rpartition(".")
            joint, tail = rng.choice(("_", "-", " ", "")), rng.choice((str(rng.randint(1, 2030)), stem.split(" ")[0], syllables(rng, 1)))
            name = f"{invented(rng)}{joint}{tail}{dot}{ending}"
        return name if re.search(r"\.\w{2,5}$", old) else name.rpartition(".")[0].replace("_", " ") or name

    def make_address(self, old: str, rng: random.Random) -> str:
        value = rng.choice(self.banks["address"])
        return re.sub(r"\d", lambda m: str(rng.randint(1, 9)), value)


def cased(value: str, old: str, kind: str) -> str:
    """The value in the letter case of what it replaces, where that case is a manner of writing."""
    if kind in ("email", "url", "phone", "number"):
        return value
    if any(c.isalpha() for c in old) and old == old.lower() and kind not in ("file", "pdf"):
        return value.lower()
    if len(old) > 4 and old == old.upper() and any(c.isalpha() for c in old):
        return value.upper()
    return value
