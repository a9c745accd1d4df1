"""The catalogue of our own: the same seed gives the same bytes, and all its goals can be met."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections import Counter

from toolagent.envs.webshop_catalogue import NO_LIMIT, load, make
from toolagent.envs.webshop_goods import default_catalogue, goods, kinds
from toolagent.envs.webshop_kinds import AXES
from toolagent.envs.webshop_reward import judge, normal_colour, title_nouns


def digest(made) -> str:
    return hashlib.sha256(json.dumps(made).encode()).hexdigest()


def test_the_same_seed_gives_the_same_bytes():
    code = (
        "import json, hashlib; from toolagent.envs.webshop_goods import goods; print(hashlib.sha256(json.dumps(goods(300, 7)).encode()).hexdigest())"
    )
    elsewhere = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "5"}).stdout
    assert digest(goods(300, 7)) == elsewhere.strip() != digest(goods(300, 8))
    assert digest(goods()) == "13854e9e5fcac6c7e38832163177bd061eaa6da0c505933e867b10de88239efb"  # results are comparable only as long as this stands


def test_the_kinds_are_whole():
    table = kinds()
    assert len(table) == len({kind.query for kind in table}) == 52
    for kind in table:
        assert kind.low < kind.high and len(kind.plain) >= 2 and len(kind.comes_with) >= 1 and len(kind.made_for) >= 1
        assert kind.axes and len({AXES[axis][0] for axis in kind.axes}) == len(kind.axes)
        assert title_nouns(kind.name) == kind.name.lower().split()
    for _, values, most in AXES.values():
        listed = values.split(", ")
        assert len(listed) >= most
        for value in listed:  # a colour inside a word ("rosemary") would cost a point that nobody can get back
            assert normal_colour(value) in (value, *value.split())


def test_what_is_in_the_shop():
    items, described = goods()
    assert len(items) == len(described) == len({item["asin"] for item in items}) == 2400
    assert Counter(item["category"] for item in items).keys() == {"beauty", "electronics", "fashion", "garden", "grocery"}
    assert max(Counter(item["query"] for item in items).values()) == 47
    prices = Counter("none" if not item["pricing"] else "two" if " to " in item["pricing"] else "one" for item in items)
    assert 200 < prices["two"] < 400 and 60 < prices["none"] < 180
    assert all(len(item["asin"]) == 10 for item in items)


def test_files_and_memory_give_the_same_catalogue(tmp_path):
    items, described = goods(80, seed=3)
    (tmp_path / "items.json").write_text(json.dumps(items), "utf-8")
    (tmp_path / "attributes.json").write_text(json.dumps(described), "utf-8")
    loaded = load(tmp_path / "items.json", tmp_path / "attributes.json", seed=3)
    made = make(items, described, seed=3)
    assert loaded.products == made.products and loaded.goals == made.goals
    assert list(load(tmp_path / "items.json", tmp_path / "attributes.json", first=30).products) == list(made.products)[:30]


def test_every_goal_is_worth_one_to_who_buys_its_product():
    catalogue = default_catalogue()
    assert len(catalogue.goals) == 14764
    assert Counter(goal.split for goal in catalogue.goals) == {"train": 9172, "validation": 1714, "test": 3878}
    for goal in catalogue.goals[::5]:
        product = catalogue.products[goal.asin]
        assert judge(product, [value for _, value in goal.options], goal).reward == 1
        assert product.price < goal.price_limit < product.price + 40.01 or goal.price_limit == NO_LIMIT


def test_the_first_hit_is_often_the_wrong_one():
    catalogue = default_catalogue()
    places = []
    for goal in catalogue.goals[:150]:
        found = catalogue.index.search(goal.instruction)
        places.append(found.index(goal.asin) if goal.asin in found else 50)
    assert 0.3 < sum(place == 0 for place in places) / 150 < 0.7
    assert sum(place < 50 for place in places) / 150 > 0.95
