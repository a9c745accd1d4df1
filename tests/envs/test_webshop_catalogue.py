"""WebShop's own files: how they are read, and, where they lie beside the repository, that everything comes out as upstream has it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from toolagent.envs.bm25 import kept_length, tokens
from toolagent.envs.webshop import Webshop
from toolagent.envs.webshop_catalogue import NO_LIMIT, load, make
from toolagent.envs.webshop_reward import judge
from toolagent.errors import DataError
from toolagent.types import Message

DATA = Path(__file__).parents[3] / "shared" / "data" / "webshop"
real_files = pytest.mark.skipif(not DATA.is_dir(), reason="WebShop's listings are not ours to ship")


def item(asin="T1", **fields):
    plain = {"name": "Lamp", "full_description": "", "small_description": [], "customization_options": "", "query": "lamps", "pricing": "$5.00"}
    return {"asin": asin, "category": "garden", "product_category": "Home", **plain, **fields}


SAID = {"T1": {"attributes": ["a b", "c"], "instruction": "Find me c lamps", "instruction_attributes": ["c"]}}


def only(catalogue):
    (product,) = catalogue.products.values()
    return product


@pytest.mark.parametrize(
    "pricing, low, high, text",
    [
        ("$1,299.50", 1299.5, 1299.5, "$1299.5"),
        ("$5.00 to $9.10", 5, 9.1, "$5.0 to $9.1"),
        ("$1 $2 $3", 1, 2, "$1.0 to $2.0"),
        ("", 100, 100, "$100.0"),
        (None, 100, 100, "$100.0"),
    ],
)
def test_prices(pricing, low, high, text):
    product = only(make([item(pricing=pricing)], {}))
    assert low <= product.price <= high and product.price_text == text


def test_a_price_depends_on_the_seed_and_the_product_alone():
    items = [item(f"T{k}", pricing="$10 to $500") for k in range(30)]
    prices = {asin: p.price for asin, p in make(items, {}, seed=4).products.items()}
    assert prices == {asin: p.price for asin, p in make(items[::-1], {}, seed=4).products.items()}
    assert prices["T7"] == only(make([items[7]], {}, seed=4)).price
    assert len(set(prices.values())) == 30 and prices != {asin: p.price for asin, p in make(items, {}, seed=5).products.items()}


def test_limits_are_among_the_next_four_marks():
    limits = {make([item(pricing="$40")], SAID, seed=seed).goals[0].price_limit for seed in range(60)}
    assert limits == {60, 70, 80}  # the higher of two out of 50, 60, 70, 80
    assert make([item(pricing="$979.99")], SAID).goals[0].price_limit == 990
    dear = make([item(pricing="$980")], SAID).goals[0]
    assert dear.price_limit == NO_LIMIT and dear.instruction == "Find me c lamps"


def test_goals_are_the_combinations_of_the_options():
    options = {"Size": [{"value": "S"}, {"value": "M/L "}], "Color": [{"value": "Red"}], "Empty": None}
    catalogue = make([item(customization_options=options)], SAID)
    product = only(catalogue)
    assert product.options == (("size", ("s", "m | l")), ("color", ("red",)))
    assert product.document == "lamp   size: s, m | l, and color: red"
    goals = sorted(catalogue.goals, key=lambda goal: goal.id)
    assert [goal.options for goal in goals] == [(("color", "red"), ("size", "s")), (("color", "red"), ("size", "m | l"))]
    assert goals[0].instruction.startswith("Find me c lamps with color: red, and size: s, and price lower than ")
    assert not make([item(customization_options={"Size": []})], SAID).goals


def test_which_items_count():
    items = [item("nan"), item("T2345678901"), item("T1", name="First"), item("T1", name="Second"), item("T3", small_description="one")]
    catalogue = make(items, {})
    assert {asin: p.title for asin, p in catalogue.products.items()} == {"T1": "First", "T3": "Lamp"}
    assert catalogue.products["T1"].attributes == ("DUMMY_ATTR",) and catalogue.products["T3"].bullets == ("one",)


def test_goals_that_people_wrote():
    said = [
        {"instruction": "i want a lamp.", "instruction_attributes": ["c"], "instruction_options": ["red"]},
        {"instruction": "anything", "instruction_attributes": [], "instruction_options": []},
    ]
    catalogue = make([item()], SAID, {"T1": said})
    (goal,) = catalogue.goals
    assert goal.options == ("red",) and goal.instruction == f"i want a lamp, and price lower than {goal.price_limit:.2f} dollars"
    assert judge(catalogue.products["T1"], ["dark red"], goal).options == 0  # "dark" comes before "red" in the list of colours
    assert judge(catalogue.products["T1"], ["red"], goal).reward == 1


def test_files_that_are_something_else(tmp_path):
    (tmp_path / "a.json").write_text("{}", "utf-8")
    (tmp_path / "b.json").write_text('[{"asin": "T1"}]', "utf-8")
    (tmp_path / "c.json").write_text("[", "utf-8")
    for products, attributes in (("a", "a"), ("b", "a"), ("b", "b"), ("c", "a"), ("none", "a")):
        with pytest.raises(DataError, match=r"\.json"):
            load(tmp_path / f"{products}.json", tmp_path / f"{attributes}.json")


# --- the real files --------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real():
    return load(DATA / "items_shuffle_1000_rebuilt.json", DATA / "items_ins_v2_1000.json")


@pytest.fixture(scope="module")
def documents():
    return [json.loads(line) for line in (DATA / "documents_1k.jsonl").read_text("utf-8").splitlines()]


@real_files
def test_the_indexed_text_of_all_products(real, documents):
    assert list(real.products) == [document["id"] for document in documents] and len(documents) == 1000
    for document in documents:
        product, theirs = real.products[document["id"]], document["product"]
        assert product.document == document["contents"]
        assert (product.price_text, product.attributes, product.query) == (theirs["Price"], tuple(theirs["Attributes"]), theirs["query"])
        assert dict(product.options) == {name: tuple(values) for name, values in theirs["options"].items()}
        assert product.bullets == tuple(theirs["BulletPoints"]) and min(theirs["pricing"]) <= product.price <= max(theirs["pricing"])


@real_files
def test_the_words_of_the_real_lucene_index(documents):
    """Its statistics (terms, tokens, postings) and all lengths that it keeps, as read from the published index of these documents."""
    found = [tokens(document["contents"]) for document in documents]
    assert len(set().union(*found)) == 12_074
    assert sum(map(len, found)) == 107_608 and sum(len(set(f)) for f in found) == 68_475
    lengths = json.dumps([kept_length(len(f)) for f in found])
    assert hashlib.sha256(lengths.encode()).hexdigest() == "0b3d6cbbf9cfc27b94221edd87d04afae4cf33aa9a148f684bd4d4d753f70f5c"


@real_files
def test_there_are_6910_goals(real):
    assert len(real.goals) == len(real.by_id) == 6910 and len({goal.asin for goal in real.goals}) == 415
    environment = Webshop(real)
    assert {split: len(environment.tasks(split)) for split in ("train", "validation", "test")} == {"train": 4625, "validation": 1070, "test": 1215}


@real_files
def test_the_exact_product_is_worth_one_but_for_colours_inside_words(real):
    """Upstream's habit costs a point in 458 goals: "peppered" is taken for red, the goal's pair is not, and so the two are not alike."""
    less = [goal for goal in real.goals if judge(real.products[goal.asin], [v for _, v in goal.options], goal).reward != 1]
    assert len(less) == 458
    missed = [judge(real.products[goal.asin], [v for _, v in goal.options], goal) for goal in less]
    assert all(v.kind == 1 and v.attributes == len(g.attributes) and v.options < len(g.options) for v, g in zip(missed, less, strict=True))


@real_files
def test_what_people_wrote_of_these_products(documents):
    said = json.loads((DATA / "human_instructions_of_1k.json").read_text("utf-8"))
    attributes = json.loads((DATA / "items_ins_v2_1000.json").read_text("utf-8"))
    items = json.loads((DATA / "items_shuffle_1000_rebuilt.json").read_text("utf-8"))
    written: dict[str, list] = {}
    for text in said:
        written.setdefault(text["asin"], []).append(text)
    goals = make(items, attributes, written).goals
    assert len(goals) == len(said) == 13
    assert {goal.instruction.rpartition(", and price")[0] for goal in goals} == {text["instruction"].strip(".") for text in said}


@real_files
def test_a_real_page_is_made_of_the_template(real):
    environment = Webshop(real)
    goal = real.goals[0]
    start = environment.reset(goal.id)
    assert start == f"WebShop [SEP] Instruction: [SEP] {goal.instruction} [SEP] Search"
    results = environment.step(Message("assistant", f"search[{goal.query}]")).observation.split(" [SEP] ")
    assert results[:5] == ["Instruction:", goal.instruction, "Back to Search", "Page 1 (Total results: 50)", "Next >"]
    found = [real.products[asin] for asin in results[5::3]]
    assert results[5:] == [text for p in found for text in (p.asin, p.title.strip(), p.price_text)] and len(found) == 10
