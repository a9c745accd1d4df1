"""The shop's pages and actions on a shop of two products, and that copies of an episode cannot see each other."""

from __future__ import annotations

import pickle
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolagent.envs import SPLITS, Environment
from toolagent.envs.webshop import Webshop, hits
from toolagent.envs.webshop_catalogue import make
from toolagent.errors import UsageError
from toolagent.types import Message, ToolCall

LAMP = {
    "asin": "T000000001", "name": "Norvia Desk Lamp", "full_description": "A lamp for late study.", "pricing": "$20.50 to $34.00",
    "small_description": ["Swing arm ", "", "Warm glow"],
    "customization_options": {"Color": [{"value": "Black/Brass"}, {"value": " Ivory "}], "Size": [{"value": "Ivory"}]},
    "category": "garden", "query": "Desk Lamps ", "product_category": "Home › Lighting › Desk Lamps",
}  # fmt: skip
MUG = {
    "asin": "T000000002", "name": "Brasden Tea Mug", "full_description": "", "small_description": "For lamp light", "pricing": "",
    "customization_options": "", "category": "grocery", "query": "mugs", "product_category": "Home › Table › Mugs",
}  # fmt: skip
SAID = {"T000000001": {"attributes": ["warm glow", "swing arm"], "instruction": "Find me desk lamps", "instruction_attributes": ["warm glow"]}}
SHOP = make([LAMP, MUG], SAID, seed=0)
WANTED = SHOP.by_id["T000000001-0"]
ASKED = WANTED.instruction


def shop(**settings) -> Webshop:
    environment = Webshop(SHOP, **settings)
    environment.reset(WANTED.id)
    return environment


def act(environment: Webshop, *actions: str):
    for action in actions:
        outcome = environment.step(Message("assistant", action))
    return outcome


def test_it_is_an_environment():
    environment: Environment = shop()
    assert {tool.name for tool in environment.tools} == {"search", "click"} and "10 at most" in environment.rules


def test_the_goal_says_what_is_wanted():
    assert ASKED.startswith("Find me desk lamps with color: black | brass, and size: ivory, and price lower than ")
    assert ASKED.endswith(f"{WANTED.price_limit:.2f} dollars")
    assert 20.5 <= SHOP.products["T000000001"].price <= 34 < WANTED.price_limit + 10


def test_the_texts_of_every_page():
    environment = Webshop(SHOP, steps=99, show_attributes=True)
    assert environment.reset(WANTED.id) == f"WebShop [SEP] Instruction: [SEP] {ASKED} [SEP] Search"
    head = f"Instruction: [SEP] {ASKED} [SEP] Back to Search"
    results = act(environment, "search[Lamp]").observation
    assert results == (
        f"{head} [SEP] Page 1 (Total results: 2) [SEP] Next > [SEP] T000000001 [SEP] Norvia Desk Lamp [SEP] $20.5 to $34.0"
        " [SEP] T000000002 [SEP] Brasden Tea Mug [SEP] $100.0"
    )
    assert act(environment, "click[next >]").observation == f"{head} [SEP] Page 2 (Total results: 2) [SEP] < Prev [SEP] Next >"
    assert act(environment, "click[Next >]").observation == f"{head} [SEP] Page 3 (Total results: 2) [SEP] < Prev [SEP] Next >"
    assert act(environment, "click[< Prev]", "click[< prev]").observation == results
    item = act(environment, "click[t000000001]").observation
    assert item == (
        f"{head} [SEP] < Prev [SEP] color [SEP] black | brass [SEP] ivory [SEP] size [SEP] ivory [SEP] Norvia Desk Lamp [SEP] Price: $20.5 to $34.0"
        " [SEP] Rating: N.A. [SEP] Description [SEP] Features [SEP] Reviews [SEP] Attributes [SEP] Buy Now"
    )
    assert act(environment, "click[black | brass]").observation == item  # nothing shows what is chosen
    assert act(environment, "click[description]").observation == f"{head} [SEP] < Prev [SEP] A lamp for late study."
    features = f"{head} [SEP] < Prev [SEP] Swing arm [SEP]  [SEP] Warm glow"  # an empty bullet point is an empty text
    assert act(environment, "click[< prev]", "click[features]").observation == features
    assert act(environment, "click[< prev]", "click[reviews]").observation == f"{head} [SEP] < Prev"
    assert act(environment, "click[< prev]", "click[attributes]").observation == (
        f"{head} [SEP] < Prev [SEP] warm glow [SEP] swing arm [SEP] garden [SEP] desk lamps [SEP] Home › Lighting › Desk Lamps"
    )
    assert act(environment, "click[< prev]").observation == item
    assert act(environment, "click[ivory]", "click[buy now]").observation == (
        "Thank you for shopping with us! [SEP] Your score (min 0.0, max 1.0) [SEP] 1.0"
    )


def test_what_can_be_clicked():
    environment = shop()
    assert environment.clickables == ("search",)
    act(environment, "search[lamp]")
    assert environment.clickables == ("back to search", "next >", "t000000001", "t000000002")
    act(environment, "click[next >]")
    assert environment.clickables == ("back to search", "< prev", "next >")
    act(environment, "click[< prev]", "click[t000000001]")
    assert environment.clickables == ("back to search", "< prev", "description", "features", "reviews", "buy now", "black | brass", "ivory")
    act(environment, "click[features]")
    assert environment.clickables == ("back to search", "< prev")
    act(environment, "click[< prev]", "click[buy now]")
    assert environment.clickables == ()


def test_what_is_chosen_lasts_until_the_item_is_left():
    environment = shop(steps=99)
    act(environment, "search[lamp]", "click[t000000001]", "click[black | brass]", "click[ivory]", "click[description]", "click[< prev]")
    assert environment.state.chosen == (("color", "black | brass"), ("size", "ivory"))  # a value of two options is the later one's
    act(environment, "click[< prev]")
    assert environment.state.chosen == () and environment.state.page == "results"
    act(environment, "click[t000000001]", "click[black | brass]", "search[mug]")
    assert environment.state.chosen == () and environment.observation.count("T00000000") == 1
    act(environment, "click[back to search]")
    assert environment.state.page == "start" and environment.state.query == ""


def test_a_purchase_pays_for_what_was_chosen():
    """Of one attribute, two options and the price, each is a quarter."""
    environment = shop()
    assert act(environment, "search[lamp]", "click[t000000001]", "click[black | brass]", "click[buy now]")[1:] == (0.75, True)
    assert environment.score == 0.75
    assert act(environment, "search[mug]")[1:] == (0, True) and environment.score == 0.75
    environment.reset(WANTED.id)
    assert environment.score == 0
    assert act(environment, "search[mug]", "click[t000000002]", "click[buy now]")[1:] == (0, True)  # no noun in common


@pytest.mark.parametrize(
    "said, action",
    [
        ("search[Red Lamp]", "search[red lamp]"),
        ("Thought: it is [the] one.\nAction: search[lamp]\nObservation: ...", "search[lamp]"),
        ("search[a[b]", None),  # the last bracket opens the argument, as upstream's pattern has it
        ("search[]", None),
        ("Search[lamp]", None),
        ("search lamp", None),
        ("click[search]", None),
        ("click[buy now]", None),
        ("", None),
    ],
)
def test_what_a_message_would_do(said, action):
    environment = shop()
    assert environment.action(Message("assistant", said)) == action
    before = environment.observation
    observation, reward, done = environment.step(Message("assistant", said))
    assert (reward, done, environment.state.steps) == (0, False, 1)
    assert (observation == before) == (action is None)


def test_calls_are_actions():
    environment = shop()
    call = Message("assistant", "I look for it", (ToolCall("search", {"query": "Lamp [x]"}),))
    assert environment.action(call) == "search[lamp [x]]"
    environment.step(call)
    assert environment.action(Message("assistant", "", (ToolCall("click", {"value": "T000000001"}),))) == "click[t000000001]"
    for calls in (
        (ToolCall("buy", {"value": "next >"}),),
        (ToolCall("click", {"query": "next >"}),),
        (ToolCall("click", {"value": 3}),),
        (ToolCall("click", {"value": "next >"}),) * 2,
    ):
        assert environment.action(Message("assistant", "click[next >]", calls)) is None


def test_the_last_step_ends_an_episode_without_pay():
    environment = shop()
    for _ in range(9):
        assert not environment.step(Message("assistant", "hm"))[2]
    assert environment.step(Message("assistant", "search[lamp]"))[1:] == (0, True)
    assert act(environment, "click[t000000001]", "click[buy now]")[1:] == (0, True) and environment.score == 0
    environment = shop(steps=3)
    assert act(environment, "search[lamp]", "click[t000000001]", "click[buy now]")[1:] == (0.5, True)


def test_special_searches():
    assert hits(SHOP, "<a> warm glow") == hits(SHOP, "<c> garden") == hits(SHOP, "<q> desk lamps") == ("T000000001",)
    assert hits(SHOP, "<c>") == hits(SHOP, "<q> lamps") == hits(SHOP, "<a>") == hits(SHOP, " ") == ()
    assert sorted(hits(SHOP, "<r>")) == ["T000000001", "T000000002"]


def test_tasks_and_their_splits():
    environment = Webshop()
    tasks = {split: environment.tasks(split) for split in SPLITS}
    assert sum(map(len, tasks.values())) == len(environment.catalogue.goals)
    products = {split: {task.partition("-")[0] for task in names} for split, names in tasks.items()}
    assert (
        not products["train"] & products["test"] and not products["train"] & products["validation"] and not products["test"] & products["validation"]
    )
    for split, names in tasks.items():
        first = [task.partition("-")[0] for task in names[: len(products[split])]]
        assert len(set(first)) == len(first)  # the first round has one goal of every product
    assert Webshop().tasks("test") == tasks["test"]


def test_user_errors_say_what_to_change():
    with pytest.raises(UsageError, match="train, validation, test"):
        Webshop(SHOP).tasks("dev")
    with pytest.raises(UsageError, match="no task 'x'"):
        Webshop(SHOP).reset("x")
    with pytest.raises(UsageError, match=r"reset\(task\)"):
        Webshop(SHOP).step(Message("assistant", "search[lamp]"))


# --- copies ----------------------------------------------------------------------------------------------------------------------------


def test_one_siblings_purchase_pays_no_other():
    """The leak of the published HotPotQA search: once a sibling had answered right, all the others' steps were paid too."""
    parent = shop()
    act(parent, "search[lamp]", "click[t000000001]", "click[ivory]")
    seen = parent.state
    siblings = [parent.fork() for _ in range(5)]
    assert act(siblings[0], "click[black | brass]", "click[buy now]")[1:] == (1.0, True)
    for sibling, action in zip(siblings[1:], ("search[mug]", "click[< prev]", "click[description]", "nonsense"), strict=True):
        assert act(sibling, action)[1:] == (0, False)
        assert sibling.score == 0
    assert parent.state == seen and parent.score == 0 and siblings[0].score == 1
    parent.reset(WANTED.id)
    assert siblings[1].state.query == "mug" and siblings[0].score == 1


def wander(environment: Webshop, dice: random.Random) -> str:
    """Something that the page offers, or now and then something else."""
    words = dice.choice(["lamp", "mug", "tea lamp", "<r>", "zzz", "size", "cream for dry skin", "boots 9.5"])
    choices = [f"click[{value}]" for value in environment.clickables] + [f"search[{words}]", "click[nowhere]", "hm"]
    return dice.choice(choices)


def test_copies_do_the_same_alone_and_side_by_side():
    environment = Webshop()
    environment.reset(environment.tasks("train")[0])
    act(environment, "search[cream for dry skin]")

    def walk(at: Webshop, seed: int):
        dice = random.Random(seed)
        while True:
            yield at.step(Message("assistant", wander(at, dice)))

    alone = []
    for seed in range(4):
        walker = walk(environment.fork(), seed)
        alone.append([next(walker) for _ in range(12)])
    together = [walk(environment.fork(), seed) for seed in range(4)]
    rounds = [[next(walker) for walker in together] for _ in range(12)]
    assert [list(one) for one in zip(*rounds, strict=True)] == alone
    assert environment.state.steps == 1


def test_a_random_walk_never_raises():
    dice = random.Random(1)
    environment = Webshop(show_attributes=True)
    names = environment.tasks("validation")
    ends = []
    for task in names[:60]:
        environment.reset(task)
        done, paid = False, 0.0
        while not done:
            action = wander(environment, dice)
            before = environment.observation
            known = environment.action(Message("assistant", action))
            observation, reward, done = environment.step(Message("assistant", action))
            assert known or observation == before
            paid += reward
        assert environment.state.steps <= 10 and environment.score == paid and 0 <= paid <= 1
        ends.append(environment.state.page)
    assert {"end", "results", "start"} <= set(ends)


@settings(max_examples=200)
@given(
    st.lists(
        st.one_of(
            st.text(max_size=30),
            st.text(max_size=20).map(lambda t: f"search[{t}]"),
            st.sampled_from(["click[t000000001]", "click[ivory]", "click[< prev]", "click[features]", "search[lamp]", "click[next >]"]),
        ),
        max_size=12,
    )
)
def test_any_words_are_taken(said):
    environment = shop()
    for text in said:
        twin = environment.fork()
        outcome = environment.step(Message("assistant", text))
        assert twin.step(Message("assistant", text)) == outcome
    assert pickle.loads(pickle.dumps(environment.state)) == environment.state
