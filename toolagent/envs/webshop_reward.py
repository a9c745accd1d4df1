"""What a purchase is worth, as WebShop pays for it: product, chosen options, goal -> 0 to 1.

    r = r_type * (attributes met + options met + [price <= limit]) / (attributes + options + 1)

r_type compares kinds of things: 1; .5 where neither the query, nor two parts of the category path, nor more than a fifth of the goal's title nouns
agree; whatever else agrees, .1 where less than a tenth of those nouns do and 0 where none does. Upstream's quirks are kept, since figures are
compared with its figures: the first colour word inside an option stands for the whole option ("red" is in "powdered"), the options of a goal made
from a catalogue are compared as the text of a Python pair, and words are compared by difflib, as thefuzz 0.19 does without its fast half.

Which words of a title are nouns upstream asks of spaCy's en_core_web_sm; `title_nouns` is a guess from spelling that needs no model, and
`spacy_nouns()` asks spaCy itself, where that is installed.

Source: Yao et al. 2022, WebShop (arXiv 2207.01206), section 3 and appendix, and the behaviour of its program.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Any

from toolagent.envs.webshop_catalogue import Goal, Product

ALIKE = 85  # token_set_ratio above which two phrases are one

Nouns = Callable[[str], list[str]]

COLOUR_NAMES = (  # upstream's list, in its order: of several colours in one text the first one here counts
    "alabaster apricot aqua ash asphalt azure banana beige black blue blush bordeaux bronze brown burgundy camel camo caramel champagne charcoal "
    "cheetah chestnut chocolate christmas coffee cognac copper coral cranberry cream crystal dark denim eggplant elephant espresso fuchsia gold "
    "granite grape graphite grass gray green grey heather indigo ivory ivy khaki lavender lemon leopard light lilac lime magenta maroon mauve merlot "
    "midnight mint mocha multicolor mushroom mustard natural navy nude olive orange peach pewter pink plum purple rainbow red rose royal rust sand "
    "sapphire seashell silver skull slate steel stone stonewash sunflower tan taupe teal tiger turquoise violet walnut wheat white wine yellow"
)
COLOURS = tuple(COLOUR_NAMES.split())


@dataclass(frozen=True)
class Verdict:
    """The reward and what it is made of."""

    reward: float
    kind: float  # r_type
    title: float  # share of the goal's title nouns that the bought title has
    attributes: int  # how many of the goal's are met
    options: int
    price: bool


def judge(product: Product, chosen: Iterable[str], goal: Goal, nouns: Nouns | None = None) -> Verdict:
    """What buying this product with these option values is worth for this goal."""
    kind, title = type_reward(product, goal, nouns or title_nouns)
    attributes = sum(has_attribute(product, wanted) for wanted in goal.attributes)
    options = options_met(chosen, goal.options)
    price = product.price <= goal.price_limit
    share = (attributes + options + price) / (len(goal.attributes) + len(goal.options) + 1)
    return Verdict(kind * share, kind, title, attributes, options, price)


# --- is it the right kind of thing? ----------------------------------------------------------------------------------------------------


def type_reward(product: Product, goal: Goal, nouns: Nouns) -> tuple[float, float]:
    """r_type and the title score. A title without nouns scores .2."""
    wanted = nouns(goal.title)
    title = len(set(wanted) & set(nouns(product.title))) / len(wanted) if wanted else 0.2
    if title == 0:
        return 0.0, title
    if title < 0.1:
        return 0.1, title
    same = product.query == goal.query or len(parts(product.product_category) & parts(goal.product_category)) >= 2 or title > 0.2
    return (1.0 if same else 0.5), title


def parts(path: str) -> set[str]:
    return {part.strip() for part in path.split("›")}


FUNCTION_WORDS = (  # of a title: words that name no thing, in any spelling
    "a an the this that these those my your our his her its their all any both each every no some and or but nor so if than as at by for from in "
    "into of on onto over per to under up with within without via i you he she it we they who what when where how is are was be been has have do "
    "does can will may not only also too very more most less least just ever never now then there here mens womens other such same own"
)
PLAIN_WORDS = (  # and in lower case only: with a capital they are read as part of a name
    "black white red blue green yellow brown grey gray dark light bright big small large mini long short wide thin thick deep high low new old "
    "good great best better fine soft hard warm cool cold hot dry wet clean fresh pure raw natural organic wireless portable adjustable removable "
    "washable reusable durable comfortable breathable stretchy cute sexy cozy fancy modern classic casual formal rustic round square flat full "
    "free safe easy quick fast slow strong heavy lightweight slim loose tight plus extra super ultra multi double single dual triple original "
    "perfect suitable compatible available ideal special different make makes made use used using keep keeps get gets give gives fit fits help "
    "helps hold holds let lets include includes included come comes provide provides protect protects prevent prevents add adds bring brings "
    "remove removes"
)
NOT_NOUNS, NOT_NOUNS_SMALL = frozenset(FUNCTION_WORDS.split()), frozenset(PLAIN_WORDS.split())
ENDINGS = ("ly", "ed", "ful", "less", "ous", "able", "ible", "ish", "ive")  # of words in lower case that are no nouns
PIECE = re.compile(r"[^\W_]+(?:[.'’][^\W_]+)*")


@lru_cache(maxsize=1 << 14)
def cached_nouns(title: str) -> tuple[str, ...]:
    found = []
    for word in PIECE.findall(title):
        lower = word.lower().removesuffix("'s").removesuffix("’s")
        if word[0].isdigit() or lower in NOT_NOUNS:
            continue
        if word == word.lower() and (len(lower) == 1 or lower in NOT_NOUNS_SMALL or lower.endswith(ENDINGS)):
            continue
        found.append(lower)
    return tuple(found)


def title_nouns(title: str) -> list[str]:
    """The nouns and names of a title, in lower case, as often as they stand there, guessed from spelling: in titles nearly every word with a
    capital is tagged as a name, in lower case common adjectives, verbs and their endings are left out."""
    return list(cached_nouns(title))


def spacy_nouns(model: str = "en_core_web_sm") -> Nouns:
    """Upstream's own way, for figures that are to be compared with others'. Needs spacy and that model."""
    import spacy

    tag = spacy.load(model)

    @lru_cache(maxsize=1 << 14)
    def nouns(title: str) -> tuple[str, ...]:
        return tuple(token.text.lower() for token in tag(title) if token.pos_ in ("NOUN", "PROPN"))

    return lambda title: list(nouns(title))


# --- attributes and options ------------------------------------------------------------------------------------------------------------


def has_attribute(product: Product, wanted: str) -> bool:
    """Among the attributes by likeness, or word for word in the title, the bullet points or the description."""
    if any(token_set_ratio(attribute, wanted) > ALIKE for attribute in product.attributes):
        return True
    return any(wanted in text.lower() for text in (product.title, " ".join(product.bullets), product.description))


def options_met(chosen: Iterable[str], wanted: Collection[tuple[str, str]] | Collection[str]) -> int:
    """How many of the wanted options one of the chosen values is like."""
    values = [normal_colour(value) for value in chosen]
    return sum(any(token_set_ratio(value, str(normal_colour(option))) > ALIKE for value in values) for option in wanted)


def normal_colour(option: Any) -> Any:
    """The first colour that is in the option, else the option. In a (name, value) pair only a member that is a colour and nothing else counts."""
    return next((colour for colour in COLOURS if colour in option), option)


@lru_cache(maxsize=1 << 16)
def token_set_ratio(a: str, b: str) -> int:
    """thefuzz 0.19 without python-Levenshtein: 0 to 100; 100 where one phrase has all words of the other.

    The common words, alone and followed by what either phrase has besides, are compared pairwise, and the best of the three figures counts.
    """
    first, second = set(plain(a).split()), set(plain(b).split())
    if not first or not second:
        return 0
    common = " ".join(sorted(first & second))
    one = f"{common} {' '.join(sorted(first - second))}".strip()
    other = f"{common} {' '.join(sorted(second - first))}".strip()
    return max(ratio(common, one), ratio(common, other), ratio(one, other))


def ratio(a: str, b: str) -> int:
    return 100 if a == b else round(100 * SequenceMatcher(None, a, b).ratio())


def plain(text: str) -> str:
    """Lower case, Latin-1's letters beyond ASCII dropped, whatever else is no letter or digit turned into a space."""
    kept = "".join(c for c in text if not "\x80" <= c <= "\xff")
    return re.sub(r"\W", " ", kept).lower().strip()
