"""Extractive summary: the sentences that hold most of a text's frequent words, in their own order (Luhn 1958; the beginning gets a bonus).

The same text gives the same summary. Left out: rewording. Nothing is said that the text does not say.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter

SENTENCES = 4
ENDS = ".!?…。！？"
LONGEST = 300  # characters a sentence; a table or a list without full stops would else be the whole summary
STOP = frozenset(
    re.findall(
        r"\w+",
        """
    a about after all also an and any are as at be been before but by can could did do does for from had has have he her his how i if
    in into is it its just may me more most my no not of on one only or other our out over own she should so some such than that the
    their them then there these they this those to under up was we were what when where which while who will with would you your der
    die das und ist ein eine zu den von mit le la les et des un une de du que el los las y en por para con
    """,
    )
)


def summary(text: str, most: int = SENTENCES) -> str:
    """The best `most` sentences, in the order of the text."""
    rows = sentences(text)
    whole = [row for row in rows if row[-1] in ENDS]
    rows = whole if len(whole) >= most else rows  # headings and scraps of tables only where there is little else
    counts = Counter(word for row in rows for word in content(row))
    chosen = sorted(range(len(rows)), key=lambda i: (-score(rows[i], counts) * (1.5 if i == 0 else 1.2 if i < 3 else 1.0), i))[:most]
    return " ".join(rows[i] for i in sorted(chosen))


def sentences(text: str) -> list[str]:
    """Once each, with white space and hyphens at line ends mended."""
    text = re.sub(r"(?<=[^\W\d_])-\n(?=[a-zà-ÿ])", "", text)
    blocks = [part for block in re.split(r"\n\s*\n", text) for part in paragraphs(block.splitlines())]
    found = (s for block in blocks for s in re.split(r"(?<=[.!?…])\s+(?=[^a-z])|(?<=[。！？])", " ".join(block.split())))
    return list(dict.fromkeys(s.strip()[:LONGEST] for s in found if re.search(r"\w", s)))


def paragraphs(lines: list[str]) -> list[str]:
    """The lines joined, but for headings: lines much shorter than the others, without a full stop, above one that starts with a capital."""
    width = max(map(len, lines), default=0)
    text = ""
    for line, following in itertools.zip_longest(lines, lines[1:], fillvalue=""):
        heading = len(line) < 0.6 * width and line.strip()[-1:].isalnum() and following.strip()[:1].isupper()
        text += line + ("\n" if heading else " ")
    return text.splitlines()


def content(sentence: str) -> list[str]:
    """Its words that carry meaning; runs of Chinese or Japanese as pairs of signs."""
    found: list[str] = []
    for word in re.findall(r"\w+", sentence.lower()):
        if re.match(r"[\u3040-\u30ff\u4e00-\u9fff]", word):
            found += [word[i : i + 2] for i in range(len(word) - 1)]
        elif len(word) > 1 and word not in STOP:
            found.append(word)
    return found


def score(sentence: str, counts: Counter[str]) -> float:
    """How often its words occur in the whole text, by the square root of its length: neither the longest nor the shortest wins."""
    found = set(content(sentence))
    return float(sum(counts[w] - 1 for w in found) + 0.1) / (len(content(sentence)) + 3) ** 0.5
