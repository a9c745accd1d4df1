"""The products of a web shop and the goals that people come with, from files as WebShop has them.

    catalogue = load("items_shuffle_1000.json", "items_ins_v2_1000.json")                        # 6,910 goals made from attributes and options
    catalogue = load("items_shuffle.json", "items_ins_v2.json", "items_human_ins.json")          # what people wrote

A product with two prices has one drawn between them, and a goal's price limit is one of the next four marks of ten dollars: drawn from the seed
and the product's id alone, so that neither the order nor the size of a catalogue changes them (WebShop draws them before it sets its seed, and
its price texts cannot be had again). Goals stand in WebShop's order: by product and combination of options, then shuffled with seed 233.
Left out: images, reviews, ratings (upstream's pages show none either), the weights by which upstream draws random goals.

Source: Yao et al. 2022, WebShop (arXiv 2207.01206), and the behaviour of its program.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import random
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from toolagent.envs.bm25 import Index
from toolagent.errors import DataError

SHUFFLE = 233  # upstream's seed for the order of the goals
PRICE_MARKS = tuple(10.0 * i for i in range(1, 100))
NO_LIMIT = 1_000_000.0  # the limit of a goal whose product costs more than the last marks
NO_PRICE = 100.0  # upstream's price of a product without one


@dataclass(frozen=True)
class Product:
    """A product as its pages show it. `options`: (name, values) in lower case; `price` is what it costs, `price_text` what is written."""

    asin: str
    title: str
    description: str
    bullets: tuple[str, ...]
    price: float
    price_text: str
    category: str
    query: str
    product_category: str
    options: tuple[tuple[str, tuple[str, ...]], ...] = ()
    attributes: tuple[str, ...] = ()

    @property
    def document(self) -> str:
        """The text that search looks through: no attributes, no category, of the bullet points only the first."""
        options = ", and ".join(f"{name}: {', '.join(values)}" for name, values in self.options)
        return f"{self.title} {self.description} {''.join(self.bullets[:1])} {options}".lower()


@dataclass(frozen=True)
class Goal:
    """What is to be bought. `options` are (name, value) pairs in goals made here, and plain values in those that people wrote."""

    id: str
    asin: str
    title: str
    query: str
    product_category: str
    attributes: tuple[str, ...]
    options: tuple[tuple[str, str], ...] | tuple[str, ...]
    price_limit: float
    instruction: str

    @property
    def split(self) -> str:
        """All goals of a product are in one split: by the last hexadecimal digit of the sha1 of its id, 0-3 test, 4-5 validation, the rest train."""
        digit = int(hashlib.sha1(self.asin.encode()).hexdigest()[-1], 16)
        return "test" if digit < 4 else "validation" if digit < 6 else "train"


@dataclass(frozen=True, eq=False)
class Catalogue:
    """Shared by any number of episodes: nothing in it changes. Two are equal where they are one, so that searches can be kept by catalogue."""

    products: Mapping[str, Product]  # by id, in the order of the file
    goals: tuple[Goal, ...]
    seed: int = 0

    @cached_property
    def index(self) -> Index:
        return Index(list(self.products), [p.document for p in self.products.values()])

    @cached_property
    def by_id(self) -> Mapping[str, Goal]:
        return {goal.id: goal for goal in self.goals}


def load(products: str | Path, attributes: str | Path, human: str | Path | None = None, *, first: int | None = None, seed: int = 0) -> Catalogue:
    """A catalogue from WebShop's files: items_shuffle*.json, items_ins_v2*.json and, for goals that people wrote, items_human_ins.json.
    `first`: only so many items of the products file. Raises DataError."""
    items, described, written = read(products, list), read(attributes, dict), read(human, dict) if human else None
    try:
        return make(items[:first], described, written, seed=seed)
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as e:
        raise DataError(f"{products}: not a list of WebShop products with attributes in {attributes}: {type(e).__name__}: {e}") from e


def read(path: str | Path, form: type) -> Any:
    try:
        data = json.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError) as e:
        raise DataError(f"{path}: {e}") from e
    if not isinstance(data, form):
        raise DataError(f"{path}: expected a JSON {'array' if form is list else 'object'}")
    return data


def make(
    items: Iterable[Mapping[str, Any]],
    described: Mapping[str, Mapping[str, Any]],
    written: Mapping[str, list[Mapping[str, Any]]] | None = None,
    *,
    seed: int = 0,
) -> Catalogue:
    """Raw items, their attributes by id and, where given, what people wrote -> the catalogue. The first of several items with one id counts."""
    products: dict[str, Product] = {}
    goals: list[Goal] = []
    for item in items:
        asin = item["asin"]
        if asin == "nan" or len(asin) > 10 or asin in products:
            continue
        about = described.get(asin, {})
        dice = random.Random(f"{seed} {asin}")
        products[asin] = made = product(item, about.get("attributes", ("DUMMY_ATTR",)), dice)
        limit = price_limit(made.price, dice)
        if written is not None:
            goals += human_goals(made, written.get(asin, ()), seed)
        elif about.get("instruction"):
            goals += synthetic_goals(made, about["instruction"], tuple(about["instruction_attributes"]), limit)
    random.Random(SHUFFLE).shuffle(goals)
    return Catalogue(products, tuple(goals), seed)


def product(item: Mapping[str, Any], attributes: Iterable[str], dice: random.Random) -> Product:
    bullets = item["small_description"]
    options: dict[str, tuple[str, ...]] = {}
    for name, values in (item["customization_options"] or {}).items():
        if values is not None:
            options[name.lower()] = tuple(value["value"].strip().replace("/", " | ").lower() for value in values)
    prices = [float(re.sub(r"[^\d.]", "", part)) for part in (item.get("pricing") or "").split("$")[1:]][:2] or [NO_PRICE]
    return Product(
        asin=item["asin"],
        title=item["name"],
        description=item["full_description"],
        bullets=tuple(bullets) if isinstance(bullets, list) else (bullets,),
        price=dice.uniform(*prices) if len(prices) == 2 else prices[0],
        price_text=" to ".join(f"${price}" for price in prices),
        category=item["category"],
        query=item["query"].lower().strip(),
        product_category=item["product_category"],
        options=tuple(options.items()),
        attributes=tuple(attributes),
    )


def price_limit(price: float, dice: random.Random) -> float:
    """The higher of two different marks of ten dollars out of the next four above the price; NO_LIMIT where fewer than two are left."""
    above = [mark for mark in PRICE_MARKS if mark > price][:4]
    return max(dice.sample(above, 2)) if len(above) >= 2 else NO_LIMIT


def with_limit(text: str, limit: float) -> str:
    return text if limit == NO_LIMIT else f"{text}, and price lower than {limit:.2f} dollars"


def synthetic_goals(product: Product, instruction: str, attributes: tuple[str, ...], limit: float) -> list[Goal]:
    """One goal for every combination of the product's options, the names of the options in their alphabet."""
    options = sorted(product.options)
    goals = []
    for number, values in enumerate(itertools.product(*(values for _, values in options))):
        wanted = tuple((name, value) for (name, _), value in zip(options, values, strict=True))
        text = ", and ".join(f"{name}: {value}" for name, value in wanted)
        said = with_limit(f"{instruction} with {text}" if text else instruction, limit)
        goals.append(goal(product, f"{product.asin}-{number}", attributes, wanted, limit, said))
    return goals


def human_goals(product: Product, written: Iterable[Mapping[str, Any]], seed: int) -> list[Goal]:
    """One goal for every text that names attributes, each with a price limit of its own."""
    goals = []
    for number, text in enumerate(written):
        limit = price_limit(product.price, random.Random(f"{seed} {product.asin} {number}"))
        attributes, options = tuple(text["instruction_attributes"]), tuple(text["instruction_options"])
        if attributes:
            said = with_limit(text["instruction"].strip("."), limit)
            goals.append(goal(product, f"{product.asin}-{number}", attributes, options, limit, said))
    return goals


def goal(
    product: Product,
    name: str,
    attributes: tuple[str, ...],
    options: tuple[tuple[str, str], ...] | tuple[str, ...],
    limit: float,
    instruction: str,
) -> Goal:
    return Goal(name, product.asin, product.title, product.query, product.product_category, attributes, options, limit, instruction)
