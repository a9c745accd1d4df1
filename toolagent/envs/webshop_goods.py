"""A web shop's catalogue of invented products, in the form of WebShop's files: the same seed gives the same bytes.

    items, described = goods(2400, seed=0)      # what items_shuffle*.json and items_ins_v2*.json hold
    catalogue = default_catalogue()             # those 2,400 as envs/webshop.py opens them

52 kinds of things (envs/webshop_kinds.py) in WebShop's five categories. The products of a kind share most of their words and differ in
attributes, options and price: who searches for a whole instruction finds the product itself first in one case of two. As in the real shop some
attributes stand in the title, some only on a sub-page, some only in the list that the reward reads; one product in eight has two prices and one in
twenty none.
The words are ours; no brand, text or price is anybody's.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from toolagent.envs.webshop_catalogue import Catalogue, make
from toolagent.envs.webshop_kinds import AXES, KINDS

COUNT = 2400
WITH_GOALS = 0.7  # share of the products that someone looks for; the others stand in the way

FIRST, LAST = (
    "Bra Cor Dal Elm Fen Gar Hol Ister Jun Kel Lor Mar Nor Ost Pel Quin Ras Sol Tam Ulm Ver Wen Yar Zel",
    "by den fer lin mont nes ro sted tha via wick zan",
)
STARTS, ENDS = tuple(FIRST.split()), tuple(LAST.split())
LINES = ("Atelier", "Basics", "Daybreak", "Field", "Harbor", "Meadow", "Northway", "Plain", "Studio", "Workshop", "", "", "", "", "")
PRAISE = ("made in small runs", "checked by hand", "built to last for years", "a favorite of our customers", "new this season", "our best seller")
CARE = ("Ships in a recycled box", "Comes with a two year guarantee", "Questions are answered within a day", "Designed in our own workshop")
ASIN_LETTERS = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ"


@dataclass(frozen=True)
class Kind:
    """Two lines of KINDS. `plain`, `comes_with` and `made_for` are attributes."""

    category: str
    path: str
    query: str
    name: str
    low: float
    high: float
    axes: tuple[str, ...]
    plain: tuple[str, ...]
    comes_with: tuple[str, ...]
    made_for: tuple[str, ...]


def kinds() -> list[Kind]:
    found = []
    lines = KINDS.strip().splitlines()
    for row, attributes in zip(lines[::2], lines[1::2], strict=True):
        category, path, query, name, price, axes = (cell.strip() for cell in row.split("|"))
        low, high = map(float, price.split("-"))
        words = [word.strip() for word in attributes.split(",")]
        plain = tuple(word for word in words if word[0] not in "+~")
        comes_with, made_for = (tuple(word[1:] for word in words if word[0] == mark) for mark in "+~")
        found.append(Kind(category, path, query, name, low, high, tuple(axes.split()), plain, comes_with, made_for))
    return found


def goods(count: int = COUNT, seed: int = 0) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """(items, attributes by id), shuffled, in the form of WebShop's two files; every kind has as many products as any other, but for one."""
    dice = random.Random(f"goods {seed}")
    table = kinds()
    items: list[dict[str, Any]] = []
    described: dict[str, dict[str, Any]] = {}
    for number in range(count):
        item, about = one(table[number % len(table)], dice)
        while item["asin"] in described:
            item["asin"] = new_id(dice)
        items.append(item)
        described[item["asin"]] = about
    dice.shuffle(items)
    return items, described


@lru_cache(maxsize=2)
def default_catalogue(seed: int = 0) -> Catalogue:
    return make(*goods(seed=seed), seed=seed)


def new_id(dice: random.Random) -> str:
    """Ten letters and digits, as long as Amazon's and unlike them: theirs begin with B or with a digit."""
    return "T" + "".join(dice.choice(ASIN_LETTERS) for _ in range(9))


def one(kind: Kind, dice: random.Random) -> tuple[dict[str, Any], dict[str, Any]]:
    """A product of a kind and what is said of it."""
    plain = dice.sample(kind.plain, dice.randint(1, min(3, len(kind.plain))))
    comes_with = dice.sample(kind.comes_with, dice.randint(0, min(2, len(kind.comes_with))))
    made_for = dice.sample(kind.made_for, dice.randint(0, min(2, len(kind.made_for))))
    attributes = plain + comes_with + made_for
    options = {}
    for axis in kind.axes:
        name, values, most = AXES[axis]
        if dice.random() < 0.85:
            listed = values.split(", ")
            chosen = dice.sample(range(len(listed)), dice.randint(2, most))
            options[name] = [listed[i] for i in sorted(chosen)]
    item = {
        "asin": new_id(dice),
        "name": title(kind, plain, comes_with, made_for, options, dice),
        "full_description": description(kind, attributes, dice),
        "small_description": bullets(kind, plain, comes_with, made_for, dice),
        "pricing": pricing(kind, dice),
        "images": [""],
        "category": kind.category,
        "query": kind.query,
        "product_category": kind.path,
        "average_rating": "",
        "page": 1,
        "customization_options": {name: [{"value": value, "image": None} for value in values] for name, values in options.items()} or "",
    }
    about: dict[str, Any] = {"attributes": attributes}
    if len(attributes) > 1 and dice.random() < WITH_GOALS:
        wanted = set(dice.sample(attributes, dice.randint(2, min(4, len(attributes)))))
        first, second, third = ([word for word in words if word in wanted] for words in (plain, comes_with, made_for))
        about["instruction"] = " ".join(["Find me", *filter(None, [", ".join(first), kind.query, phrase("with", second), phrase("for", third)])])
        about["instruction_attributes"] = first + second + third
    return item, about


def phrase(word: str, things: list[str]) -> str:
    return f"{word} {', '.join(things)}" if things else ""


def title(kind: Kind, plain: list[str], comes_with: list[str], made_for: list[str], options: dict[str, list[str]], dice: random.Random) -> str:
    """Brand and thing, and some of what is known of it: a title keeps a part of the attributes to itself."""
    brand = dice.choice(STARTS) + dice.choice(ENDS)
    line = dice.choice(LINES)
    start = " ".join(filter(None, [brand, line, plain[0].title() if dice.random() < 0.6 else "", kind.name]))
    more = [word.title() for word in plain[1:] if dice.random() < 0.5]
    more += [f"with {word.title()}" for word in comes_with if dice.random() < 0.6]
    more += [f"for {word.title()}" for word in made_for if dice.random() < 0.6]
    if options and dice.random() < 0.4:
        more.append(dice.choice(dice.choice(list(options.values()))).title())
    return ", ".join([start, *more])


def description(kind: Kind, attributes: list[str], dice: random.Random) -> str:
    """Two or three sentences; one product in six has none, as in the real shop."""
    if dice.random() < 1 / 6:
        return ""
    named = dice.sample(attributes, dice.randint(1, len(attributes)))
    praise = dice.choice(PRAISE)
    says = [f"{kind.name}, {praise}.", f"In short: {', '.join(named)}."]
    return " ".join(says + ([f"{dice.choice(CARE)}."] if dice.random() < 0.5 else []))


def bullets(kind: Kind, plain: list[str], comes_with: list[str], made_for: list[str], dice: random.Random) -> list[str]:
    says = [f"{word.capitalize()}: {dice.choice(PRAISE)}" for word in plain if dice.random() < 0.8]
    says += [f"Comes with {word}" for word in comes_with if dice.random() < 0.8]
    says += [f"{kind.name} for {word}" for word in made_for if dice.random() < 0.8]
    dice.shuffle(says)
    return [*says, dice.choice(CARE)]


def pricing(kind: Kind, dice: random.Random) -> str:
    """One price, a range of two (one in eight) or none (one in twenty); cheap things are more common than dear ones."""
    low = kind.low * (kind.high / kind.low) ** dice.random()
    cents = dice.choice((0.0, 0.49, 0.5, 0.95, 0.99))
    price = int(low) + cents
    draw = dice.random()
    if draw < 0.05:
        return ""
    return f"${price:.2f} to ${price + dice.randint(3, 30):.2f}" if draw < 0.175 else f"${price:.2f}"
