"""WebShop: find, configure and buy what an instruction asks for, in text pages.

    environment = Webshop()                                                          # a catalogue of our own (envs/webshop_goods.py)
    environment = Webshop(load("items_shuffle_1000.json", "items_ins_v2_1000.json"))  # WebShop's files (envs/webshop_catalogue.py)

A task is the id of a goal. An action is `search[words]` or `click[what a page shows]`, as text (whatever follows the last "Action:" counts) or as
one call of the tools `search` and `click`. Pages, their texts and what a click does are those of WebShop's text environment, with its habits: a
search is heard on every page, there is a next page after the last one, going back from an item to the results forgets its options, the page
does not show which options are chosen. What cannot be done changes nothing. Buying ends the task and pays (envs/webshop_reward.py); so
does the last step, with nothing.

The whole state is one frozen value and the catalogue never changes, so copies cannot see each other's purchases.
Left out: the fields of the last page that were for paid testers, weights of goals, images, reviews (upstream's are empty as well).

Source: Yao et al. 2022, WebShop (arXiv 2207.01206), and the behaviour of its program.
"""

from __future__ import annotations

import copy
import random
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

from toolagent.envs import SPLITS, Outcome
from toolagent.envs.webshop_catalogue import Catalogue, Goal, Product
from toolagent.envs.webshop_goods import default_catalogue
from toolagent.envs.webshop_reward import Nouns, judge, title_nouns
from toolagent.errors import UsageError
from toolagent.types import Message, ToolSpec

STEPS = 10  # as in ETO and the step-level Q-value paper; WebShop itself has no limit
HITS, PAGE = 50, 10
BACK, NEXT, PREVIOUS, BUY = "Back to Search", "Next >", "< Prev", "Buy Now"
DETAILS = ("Description", "Features", "Reviews", "Attributes")
ACTION = re.compile(r"(.+)\[(.+)\]")

ARGUMENT = {"search": "query", "click": "value"}
TOOLS: tuple[ToolSpec, ...] = (
    ToolSpec(
        "search",
        "Look for products; the results show ten a page.",
        {"type": "object", "properties": {"query": {"type": "string", "description": "words to look for"}}, "required": ["query"]},
    ),
    ToolSpec(
        "click",
        "Press a button, open a product or choose an option of the page.",
        {"type": "object", "properties": {"value": {"type": "string", "description": "exactly as the page shows it"}}, "required": ["value"]},
    ),
)
RULES = (
    "You shop for someone. Find the product that the instruction describes, choose the options it names, mind the price, then click Buy Now. "
    "One action at a time, {steps} at most."
)


@dataclass(frozen=True)
class State:
    """Where an episode stands. `chosen`: (option name, value); `number` counts the pages of results from 1."""

    goal: Goal
    page: str = "start"  # start, results, item, detail, end
    query: str = ""
    number: int = 1
    asin: str = ""
    detail: str = ""
    chosen: tuple[tuple[str, str], ...] = ()
    steps: int = 0
    reward: float = 0.0
    done: bool = False


# --- what a page shows -----------------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1 << 12)
def hits(catalogue: Catalogue, query: str) -> tuple[str, ...]:
    """The ids that a query finds. <a> attribute, <c> category, <q> kind of product: all that have it; <r>: some at random, the same every time."""
    products = catalogue.products
    first, *rest = query.split(" ")
    words = " ".join(rest).strip()
    match first:
        case "<r>":
            return tuple(random.Random(f"{catalogue.seed} {query}").sample(list(products), min(HITS, len(products))))
        case "<a>":
            return tuple(asin for asin, p in products.items() if words in p.attributes)
        case "<c>":
            return tuple(asin for asin, p in products.items() if p.category == rest[0].strip()) if rest else ()
        case "<q>":
            return tuple(asin for asin, p in products.items() if p.query == words)
    return catalogue.index.search(query, HITS)


def shown(catalogue: Catalogue, state: State) -> list[Product]:
    """The products of the page of results."""
    start = (state.number - 1) * PAGE
    return [catalogue.products[asin] for asin in hits(catalogue, state.query)[start : start + PAGE]]


def texts(catalogue: Catalogue, state: State, details: tuple[str, ...]) -> list[str]:
    """Every text of the page, from top to bottom."""
    head = ["Instruction:", state.goal.instruction]
    if state.page == "start":
        return ["WebShop", *head, "Search"]
    if state.page == "end":
        return ["Thank you for shopping with us!", "Your score (min 0.0, max 1.0)", str(state.reward)]
    head.append(BACK)
    if state.page == "results":
        found = [f"Page {state.number} (Total results: {len(hits(catalogue, state.query))})", *([PREVIOUS] if state.number > 1 else []), NEXT]
        return head + found + [text for p in shown(catalogue, state) for text in (p.asin, p.title, p.price_text)]
    product = catalogue.products[state.asin]
    head.append(PREVIOUS)
    if state.page == "item":
        options = [text for name, values in product.options for text in (name, *values)]
        return [*head, *options, product.title, f"Price: {product.price_text}", "Rating: N.A.", *details, BUY]
    return head + {
        "Description": [product.description],
        "Features": [f" {bullet}" for bullet in product.bullets],
        "Attributes": [*(f" {a}" for a in product.attributes), product.category, product.query, product.product_category],
    }.get(state.detail, [])


def joined(parts: Iterable[str]) -> str:
    """As upstream reads its HTML: empty texts are none, and neither are blank ones that hold a line break."""
    return " [SEP] ".join(part.strip() for part in parts if part and not (part.isspace() and "\n" in part))


def clickables(catalogue: Catalogue, state: State, details: tuple[str, ...]) -> tuple[str, ...]:
    """What can be clicked, in lower case: buttons, then products or options. ("search" of the first page is listed, but does nothing.)"""
    found: list[str] = []
    if state.page == "start":
        found = ["search"]
    elif state.page == "results":
        found = [BACK, *([PREVIOUS] if state.number > 1 else []), NEXT, *(p.asin for p in shown(catalogue, state))]
    elif state.page == "item":
        found = [BACK, PREVIOUS, *details, BUY]
    elif state.page == "detail":
        found = [BACK, PREVIOUS]
    found = [text.lower() for text in found]
    if state.page == "item":
        found += [value for _, values in catalogue.products[state.asin].options for value in values]
    return tuple(dict.fromkeys(found))


# --- what an action does ---------------------------------------------------------------------------------------------------------------


def wish(message: Message) -> tuple[str, str] | None:
    """(search or click, argument in lower case) of a message, or None. Two calls at once are no action."""
    if message.tool_calls:
        call = message.tool_calls[0]
        argument = call.arguments.get(ARGUMENT.get(call.name, ""))
        return (call.name, argument.lower()) if len(message.tool_calls) == 1 and isinstance(argument, str) and argument else None
    match = ACTION.match(message.content.rpartition("Action:")[2].strip())
    return (match[1], match[2].lower()) if match and match[1] in ARGUMENT else None


def searched(state: State, query: str, number: int = 1) -> State:
    return replace(state, page="results", query=query, number=number, asin="", detail="", chosen=())


def clicked(catalogue: Catalogue, state: State, value: str, nouns: Nouns) -> State:
    """The state after a click on something that the page shows."""
    if value == BUY.lower():
        options = [option for _, option in state.chosen]
        return replace(state, page="end", reward=judge(catalogue.products[state.asin], options, state.goal, nouns).reward, done=True)
    if value == BACK.lower():
        return State(state.goal, steps=state.steps)
    if value == NEXT.lower() and state.page == "results":
        return searched(state, state.query, state.number + 1)
    if value == PREVIOUS.lower():
        if state.page == "detail":
            return replace(state, page="item", detail="")
        return searched(state, state.query, state.number - (state.page == "results"))
    detail = next((name for name in DETAILS if name.lower() == value), "")
    if detail and state.page == "item":
        return replace(state, page="detail", detail=detail)
    if state.page == "results":
        product = next(p for p in shown(catalogue, state) if p.asin.lower() == value)
        return replace(state, page="item", asin=product.asin)
    names = [name for name, values in catalogue.products[state.asin].options if value in values]
    return replace(state, chosen=tuple({**dict(state.chosen), names[-1]: value}.items()))  # a value of two options is the later one's


class Webshop:
    """An Environment. `nouns`: which words of a title are nouns (webshop_reward); `show_attributes`: items have a page with their attributes."""

    tools = TOOLS

    def __init__(self, catalogue: Catalogue | None = None, *, steps: int = STEPS, nouns: Nouns = title_nouns, show_attributes: bool = False) -> None:
        self.catalogue = default_catalogue() if catalogue is None else catalogue
        self.steps, self.nouns = steps, nouns
        self.rules = RULES.format(steps=steps)
        self.details = DETAILS if show_attributes else DETAILS[:-1]
        self.episode: State | None = None

    @property
    def state(self) -> State:
        if self.episode is None:
            raise UsageError("no task has begun: call reset(task) first")
        return self.episode

    def tasks(self, split: str) -> tuple[str, ...]:
        """Ids of goals, in rounds: one goal of every product, then a second of those that have more, so that the first n tell of many products."""
        if split not in SPLITS:
            raise UsageError(f"no split {split!r}; there are {', '.join(SPLITS)}")
        before: Counter[str] = Counter()
        rounds: list[tuple[int, str]] = []
        for goal in self.catalogue.goals:
            if goal.split == split:
                rounds.append((before[goal.asin], goal.id))
                before[goal.asin] += 1
        return tuple(name for _, name in sorted(rounds, key=lambda pair: pair[0]))

    def reset(self, task: str) -> str:
        if task not in self.catalogue.by_id:
            raise UsageError(f"no task {task!r} in this catalogue")
        self.episode = State(self.catalogue.by_id[task])
        return self.observation

    @property
    def observation(self) -> str:
        return joined(texts(self.catalogue, self.state, self.details))

    @property
    def clickables(self) -> tuple[str, ...]:
        return clickables(self.catalogue, self.state, self.details)

    def action(self, message: Message) -> str | None:
        """`search[...]` or `click[...]` in lower case; None for what this page cannot do."""
        found = wish(message)
        if found is None or self.state.done:
            return None
        name, argument = found
        if name == "click" and (argument == "search" or argument not in self.clickables):
            return None
        return f"{name}[{argument}]"

    def step(self, message: Message) -> Outcome:
        state = self.state
        if state.done:
            return Outcome(self.observation, 0.0, True)
        found = wish(message)
        if found is not None and self.action(message) is not None:
            name, argument = found
            state = searched(state, argument) if name == "search" else clicked(self.catalogue, state, argument, self.nouns)
        steps = state.steps + 1
        self.episode = state = replace(state, steps=steps, done=state.done or steps >= self.steps)
        return Outcome(self.observation, state.reward, state.done)

    def fork(self) -> Webshop:
        return copy.copy(self)  # the state is frozen, the catalogue never changes: nothing is left to share

    @property
    def score(self) -> float:
        return self.state.reward
