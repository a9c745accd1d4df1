"""The reward, part by part. The cases have the structure and the outcomes of upstream's own tests, in other words."""

from __future__ import annotations

import pytest

from toolagent.envs.webshop_catalogue import Goal, Product
from toolagent.envs.webshop_reward import COLOURS, has_attribute, judge, normal_colour, options_met, title_nouns, token_set_ratio, type_reward


def product(title="Lamp", *, query="lamps", path="a › b › c", attributes=(), bullets=(), description="", price=35.0):
    return Product("P1", title, description, tuple(bullets), price, f"${price}", "garden", query, path, (), tuple(attributes))


def goal(title="Lamp", *, query="lamps", path="a › b › c", attributes=("warm glow",), options=(), limit=40.0):
    return Goal("P1-0", "P1", title, query, path, tuple(attributes), options, limit, "")


def kind(bought: Product, wanted: Goal) -> float:
    return type_reward(bought, wanted, title_nouns)[0]


def test_the_same_thing_is_of_its_kind():
    assert type_reward(product(), goal(), title_nouns) == (1, 1)


@pytest.mark.parametrize(
    "path, same", [("b › c › a", True), ("a › d › b", True), ("a › a › b", True), ("d › e › f", False), ("a › a › d", False), ("", False)]
)
def test_two_parts_of_the_category_path_make_a_kind(path, same):
    wanted = goal("Lamp One Two Three Four Five Six Seven")  # one noun in eight is shared: too few to decide by
    assert kind(product(query="other", path=path), wanted) == (1 if same else 0.5)


def test_the_share_of_nouns_overrides_what_matched():
    ten = "Lamp Ant Bee Cat Dog Elk Fox Gnu Hen Ibis"
    assert kind(product(query="other", path="x"), goal(ten)) == 0.5  # .1 is not less than .1
    assert kind(product(query="lamps"), goal(ten)) == 1
    assert kind(product(query="lamps"), goal(ten + " Jay")) == 0.1  # 1 of 11
    assert kind(product("Chair", query="lamps"), goal(ten)) == 0
    assert kind(product(query="other", path="x"), goal("Lamp Ant Bee Cat")) == 1  # .25 is more than .2
    assert kind(product(query="other", path="x"), goal("Lamp Ant Bee Cat Dog")) == 0.5  # .2 is not


def test_repeated_nouns_of_the_goal_count_each_time():
    assert type_reward(product("Bar Cord"), goal("Bar 3.1 Bar 2.1 Cord Set"), title_nouns)[1] == 2 / 4


def test_a_title_without_nouns_scores_a_fifth():
    assert type_reward(product(query="other", path="x"), goal("for the"), title_nouns) == (0.5, 0.2)


def test_which_words_of_a_title_are_nouns():
    assert title_nouns("Norvia 2 Prong Cord for the Bar 3.1, U.S. Plug (4K) SC-HT8") == ["norvia", "prong", "cord", "bar", "u.s", "plug", "sc", "ht8"]
    assert title_nouns("women's soft washable lamp shade with 12pcs hooks, quickly made") == ["women", "lamp", "shade", "hooks"]


def test_attributes_by_likeness_or_word_for_word():
    assert has_attribute(product(attributes=["essential oil"]), "essential oils")
    assert has_attribute(product(bullets=["Smells of lemon", "This has Essential Oils in it"]), "essential oils")
    assert has_attribute(product(description="made of natural parts"), "natural parts")
    assert has_attribute(product("Tea Tree Soap"), "tea tree")
    assert not has_attribute(product("Tea", attributes=["tea bag", "gray"], bullets=["A calming tree"]), "tea tree")


def test_options_by_likeness():
    assert options_met(["pack of 12", "grey", "XL"], ("grey", "XL", "pack of 12")) == 3
    assert options_met(["pack of 12", "blue", "XL"], ("grey", "XL", "pack of 12")) == 2
    assert options_met(["powder snow"], ("cool powder snow",)) == 1  # all words of one are words of the other
    assert options_met(["a", "b"], ()) == options_met([], ("a", "b")) == 0


def test_the_first_colour_of_the_list_stands_for_the_option():
    assert normal_colour("black forest") == "black"
    assert normal_colour("violet lavender") == "lavender"  # by the order of the list, not of the text
    assert normal_colour("123alabaster") == "alabaster" and normal_colour("powdered") == "red"
    assert normal_colour("plain") == "plain" and normal_colour("") == ""
    assert len(COLOURS) == len(set(COLOURS)) == 102 and list(COLOURS) == sorted(COLOURS)


def test_pairs_are_compared_as_their_text():
    assert normal_colour(("color", "black")) == "black"  # a member that is a colour
    assert normal_colour(("color", "black oak")) == ("color", "black oak")  # "black" is no member
    assert options_met(["black oak"], (("color", "black oak"),)) == 1
    assert options_met(["black metal"], (("color", "black oak"),)) == 1  # both are black
    assert options_met(["navy"], (("color", "black"),)) == 0
    assert options_met(["small"], (("size", "x-small"),)) == 1  # upstream's habit: all words of "small" are there
    assert options_met(["medium"], (("size", "x-small"),)) == 0


@pytest.mark.parametrize(
    "a, b, score",
    [("a b", "b a", 100), ("a", "a b c", 100), ("", "a", 0), ("!?", "!?", 0), ("abcd", "abce", 75), ("Ünit one", "unit one", 93), ("x", "y", 0)],
)
def test_token_set_ratio(a, b, score):
    assert token_set_ratio(a, b) == token_set_ratio(b, a) == score


def test_the_whole_reward():
    attributes = ("tea tree", "essential oils", "natural parts")
    pairs = (("color", "grey"), ("size", "xl"))
    wanted = goal(attributes=attributes, options=pairs)
    bought = product(attributes=attributes)
    assert judge(bought, ["grey", "xl"], wanted).reward == 1
    assert judge(bought, ["grey"], wanted).reward == pytest.approx(5 / 6)
    assert judge(product(bullets=["has essential oils"]), ["grey", "xl"], wanted).reward == pytest.approx(4 / 6)
    assert judge(product(attributes=attributes, price=40.01), ["grey", "xl"], wanted).reward == pytest.approx(5 / 6)
    more = goal(attributes=attributes, options=(*pairs, ("amount", "pack of 12")))
    assert judge(product(bullets=["essential oils, natural parts"]), ["grey", "xl"], more).reward == pytest.approx(5 / 7)
    other = goal("Lamp Ant Bee Cat Dog", query="x", path="y", attributes=attributes, options=pairs)
    verdict = judge(bought, [], other)
    assert (verdict.kind, verdict.attributes, verdict.options, verdict.price) == (0.5, 3, 0, True) and verdict.reward == pytest.approx(0.5 * 4 / 6)
