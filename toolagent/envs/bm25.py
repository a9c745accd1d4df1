"""Search as Lucene's English analyzer and its BM25 do it, over texts that fit in memory.

    index = Index(["a1", "a2"], ["red rubber boots", "blue boots"])
    index.search("boots in blue")  -> ("a2", "a1")

tokens(text): words by Unicode's rules of word boundaries (UAX #29), possessive 's off, lower case, Lucene's 33 stop words out, Porter's stems.
Scores as Lucene 8 and 9 compute them: lengths kept in one byte each, figures in 32 bits, a word that is said twice in the query counts twice,
equal scores in the order of the ids. k1 = 0.9 and b = 0.4 are the defaults of Anserini and Pyserini.
Left out: phrases, fields, scripts that need a dictionary (a run of Thai is one word here), keycap emoji.

Sources: Robertson and Zaragoza 2009, eq. 3.15 (BM25); Porter 1980 (stems), with the two changes of his own program: bli -> ble, logi -> log.
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

K1, B = 0.9, 0.4
LONGEST = 255  # characters of a token; Lucene cuts longer ones into pieces

FUNCTION_WORDS = "a an and are as at be but by for if in into is it no not of on or such that the their then there these they this to was will with"
STOP = frozenset(FUNCTION_WORDS.split())

# --- words -----------------------------------------------------------------------------------------------------------------------------

SPECIAL = {  # UAX #29, table 3: m joins letters, q joins letters or digits, n joins digits, z joins emoji
    **dict.fromkeys("\u003a\u00b7\u0387\u055f\u05f4\u2027\ufe13\ufe55\uff1a", "m"),
    **dict.fromkeys("\u0027\u002e\u2018\u2019\u2024\ufe52\uff07\uff0e", "q"),
    **dict.fromkeys("\u002c\u003b\u037e\u0589\u060c\u060d\u066c\u07f8\u2044\ufe10\ufe14\ufe50\ufe54\uff0c\uff1b", "n"),
    **dict.fromkeys("\uff9e\uff9f\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff", "X"),  # voiced sound marks, tones of skin
    **{"\u202f": "_", "\u200b": " ", "\u200d": "z"},
}
EMOJI = (  # Extended_Pictographic of Unicode's emoji-data: Lucene keeps each as a word
    "a9 ae 203c 2049 2122 2139 2194-2199 21a9-21aa 231a-231b 2328 2388 23cf 23e9-23f3 23f8-23fa 24c2 25aa-25ab 25b6 25c0 25fb-25fe 2600-2605 "
    "2607-2612 2614-2685 2690-2705 2708-2712 2714 2716 271d 2721 2728 2733-2734 2744 2747 274c 274e 2753-2755 2757 2763-2767 2795-2797 27a1 27b0 "
    "27bf 2934-2935 2b05-2b07 2b1b-2b1c 2b50 2b55 3030 303d 3297 3299 1f000-1f0ff 1f10d-1f10f 1f12f 1f16c-1f171 1f17e-1f17f 1f18e 1f191-1f19a "
    "1f1ad-1f1e5 1f201-1f20f 1f21a 1f22f 1f232-1f23a 1f23c-1f23f 1f249-1f3fa 1f400-1f53d 1f546-1f64f 1f680-1f6ff 1f774-1f77f 1f7d5-1f7ff "
    "1f80c-1f80f 1f848-1f84f 1f85a-1f85f 1f888-1f88f 1f8ae-1f8ff 1f90c-1f93a 1f93c-1f945 1f947-1faff"
)


class Kinds(dict[int, str]):
    """Code point -> A letter, N digit, K katakana, I a word by itself, E emoji, R half a flag, X mark that belongs to what is before it,
    a joiner (_ m q n z), or a space."""

    def __missing__(self, point: int) -> str:
        self[point] = found = kind(chr(point))
        return found


def kind(c: str) -> str:
    if c in SPECIAL:
        return SPECIAL[c]
    category = unicodedata.category(c)
    if category[0] == "L" or category == "Nl" or "\u24b6" <= c <= "\u24e9":  # letters in circles are letters
        name = unicodedata.name(c, "")
        if "KATAKANA" in name:
            return "K"
        return "I" if "IDEOGRAPH" in name or name.startswith("HIRAGANA") else "A"
    if category[0] == "M" or category == "Cf":
        return "X"
    if "\U0001f1e6" <= c <= "\U0001f1ff":
        return "R"
    return {"Pc": "_", "Nd": "N"}.get(category, " ")


KINDS = Kinds()
for first, _, last in (part.partition("-") for part in EMOJI.split()):
    KINDS.update(dict.fromkeys(range(int(first, 16), int(last or first, 16) + 1), "E"))

MARKS = "[Xz]*"
JOIN = f"(?:_{MARKS})*"
LETTERS = f"A{MARKS}(?:(?:{JOIN}|[mq]{MARKS})A{MARKS})*"
DIGITS = f"N{MARKS}(?:(?:{JOIN}|[nq]{MARKS})N{MARKS})*"
RUN = f"(?:K{MARKS}(?:{JOIN}K{MARKS})*|(?:{LETTERS}|{DIGITS})+)"
WORD = re.compile(f"{JOIN}{RUN}(?:(?:_{MARKS})+{RUN})*{JOIN}|I{MARKS}|E{MARKS}(?:(?<=z)E{MARKS})*|R{MARKS}R{MARKS}")


def words(text: str) -> list[str]:
    """The words of a text, as they stand."""
    kinds = text.translate(KINDS)  # one character for one character
    found = (text[m.start() : m.end()] for m in WORD.finditer(kinds))
    return [word[at : at + LONGEST] for word in found for at in range(0, len(word), LONGEST)]


def tokens(text: str) -> list[str]:
    """What is indexed of a text, and looked for of a query, in its order."""
    found = []
    for word in words(text):
        if len(word) > 1 and word[-1] in "sS" and word[-2] in "'\u2019\uff07":
            word = word[:-2]
        word = word.lower()
        if word not in STOP:
            found.append(stem(word))
    return found


# --- stems -----------------------------------------------------------------------------------------------------------------------------

STEP2 = {
    "ational": "ate", "tional": "tion", "enci": "ence", "anci": "ance", "izer": "ize", "bli": "ble", "alli": "al", "entli": "ent", "eli": "e",
    "ousli": "ous", "ization": "ize", "ation": "ate", "ator": "ate", "alism": "al", "iveness": "ive", "fulness": "ful", "ousness": "ous",
    "aliti": "al", "iviti": "ive", "biliti": "ble", "logi": "log",
}  # fmt: skip
STEP3 = {"icate": "ic", "ative": "", "alize": "al", "iciti": "ic", "ical": "ic", "ful": "", "ness": ""}
STEP4 = ("al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou", "ism", "ate", "iti", "ous", "ive", "ize")


def shape(word: str) -> str:
    """v for every vowel, c for every consonant; y is a vowel after a consonant."""
    found = ""
    for c in word:
        found += "v" if c in "aeiou" or (c == "y" and found[-1:] == "c") else "c"
    return found


def measure(word: str) -> int:
    """Porter's m: how often a vowel is followed by a consonant."""
    return shape(word).count("vc")


def short(word: str) -> bool:
    """Ends in consonant, vowel, consonant, the last being none of w, x, y."""
    return shape(word)[-3:] == "cvc" and word[-1] not in "wxy"


def double(word: str) -> bool:
    return len(word) > 1 and word[-1] == word[-2] and shape(word)[-1] == "c"


@lru_cache(maxsize=1 << 16)
def stem(word: str) -> str:
    """Porter's stem of a word in lower case; words of two letters stay."""
    if len(word) < 3:
        return word
    if word.endswith(("sses", "ies")):
        word = word[:-2]
    elif word.endswith("s") and not word.endswith("ss"):
        word = word[:-1]

    if word.endswith("eed"):
        word = word[:-1] if measure(word[:-3]) > 0 else word
    else:
        for ending in ("ed", "ing"):
            root = word.removesuffix(ending)
            if root != word:
                if "v" in shape(root):
                    word = regrown(root)
                break

    if word.endswith("y") and "v" in shape(word[:-1]):
        word = word[:-1] + "i"

    for table in (STEP2, STEP3):
        for ending in sorted((e for e in table if word.endswith(e)), key=len, reverse=True)[:1]:
            root = word.removesuffix(ending)
            if measure(root) > 0:
                word = root + table[ending]

    for ending in sorted((e for e in STEP4 if word.endswith(e)), key=len, reverse=True):
        root = word.removesuffix(ending)
        if ending != "ion" or root.endswith(("s", "t")):
            if measure(root) > 1:
                word = root
            break

    if word.endswith("e"):
        root = word[:-1]
        if measure(root) > 1 or (measure(root) == 1 and not short(root)):
            word = root
    if word.endswith("l") and double(word) and measure(word) > 1:
        word = word[:-1]
    return word


def regrown(root: str) -> str:
    """A root that lost -ed or -ing, with the e that English dropped, or without the letter that it doubled."""
    if root.endswith(("at", "bl", "iz")):
        return root + "e"
    if double(root):
        return root if root[-1] in "lsz" else root[:-1]
    return root + "e" if measure(root) == 1 and short(root) else root


# --- scores ----------------------------------------------------------------------------------------------------------------------------

EXACT = 24  # lengths below this have a byte each; longer ones keep four bits of precision


def kept_length(length: int) -> int:
    """What is left of a document's length in tokens once it went through Lucene's one byte (SmallFloat.intToByte4 and back)."""
    if length < EXACT:
        return length
    rest = length - EXACT
    shift = max(rest.bit_length() - 4, 0)
    return EXACT + (rest >> shift << shift)


class Index:
    """Texts by id, ready to be searched; never changes once it is made, so that any number of episodes can share it."""

    def __init__(self, ids: Sequence[str], texts: Sequence[str], k1: float = K1, b: float = B) -> None:
        import numpy as np

        self.ids = tuple(ids)
        documents: dict[str, array[int]] = {}
        counts: dict[str, array[int]] = {}
        lengths = []
        for number, text in enumerate(texts):
            found = Counter(tokens(text))
            lengths.append(found.total())
            for term, count in found.items():
                documents.setdefault(term, array("i")).append(number)
                counts.setdefault(term, array("i")).append(count)
        size = sum(1 for n in lengths if n)  # Lucene counts the documents that have the field
        average = np.float32(sum(lengths) / max(size, 1))
        kept = np.array([kept_length(n) for n in lengths], np.float32)  # (documents,)
        one = np.float32(1)
        inverse = one / (np.float32(k1) * ((one - np.float32(b)) + np.float32(b) * kept / (average or one)))  # (documents,)
        self.postings = {}  # term -> documents (df,), count / (k1 * length part) (df,), idf
        for term, found_in in documents.items():
            where = np.frombuffer(found_in, np.int32)
            often = np.frombuffer(counts[term], np.int32).astype(np.float32) * inverse[where]
            idf = np.float32(np.log(1 + (size - len(where) + 0.5) / (len(where) + 0.5)))
            self.postings[term] = (where, often, idf)
        self.rank = np.argsort(np.argsort(np.array(self.ids))) if self.ids else np.zeros(0, int)  # the place of every id in their order

    def scores(self, query: str) -> dict[str, float]:
        """id -> BM25 of every text that shares a token with the query. Lucene leaves the factor (k1 + 1) out since version 8; so does this."""
        import numpy as np

        total = np.zeros(len(self.ids))
        for term, said in Counter(tokens(query)).items():
            if term in self.postings:
                where, often, idf = self.postings[term]
                weight = np.float32(said) * idf
                total[where] += weight - weight / (np.float32(1) + often)
        hits = np.flatnonzero(total)
        values = total[hits].astype(np.float32)
        best = np.lexsort((self.rank[hits], -values))
        return {self.ids[int(hits[i])]: float(values[i]) for i in best}

    def search(self, query: str, k: int = 50) -> tuple[str, ...]:
        """The ids of the k best texts, best first; fewer where fewer share a token with the query."""
        return tuple(self.scores(query))[:k]
