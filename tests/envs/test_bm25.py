"""Lucene's analyzer and its BM25, on words looked up in Porter's paper and figures worked out by hand."""

from __future__ import annotations

import math
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolagent.envs.bm25 import Index, kept_length, stem, tokens, words


@pytest.mark.parametrize(
    "text, found",
    [
        ("a 3.5 oz. jar, e.g. of jam", ["a", "3.5", "oz", "jar", "e.g", "of", "jam"]),
        ("size:xl / 1,000 m2", ["size:xl", "1,000", "m2"]),
        ("non-slip snake_case can't", ["non", "slip", "snake_case", "can't"]),
        ("e 1:2 a.1 1.a", ["e", "1", "2", "a", "1", "1", "a"]),  # a colon joins letters only, a point letters or digits, never one of each
        ("★ hot🔥 new ✔️", ["★", "hot", "🔥", "new", "✔️"]),
        ("\U0001f468\u200d\U0001f4bc \U0001f1eb\U0001f1f7", ["\U0001f468\u200d\U0001f4bc", "\U0001f1eb\U0001f1f7"]),
        ("小米 カタカナ ひら cafe\u0301", ["小", "米", "カタカナ", "ひ", "ら", "cafe\u0301"]),
        ("½ ² (—)", []),
    ],
)
def test_words_end_where_unicode_says(text, found):
    assert words(text) == found


def test_tokens_lose_possessives_stop_words_and_endings():
    assert tokens("The women's boots for this BOSS' hiking") == ["women", "boot", "boss", "hike"]
    assert tokens("rock’s IT ss's") == ["rock", "ss"]
    assert [len(token) for token in tokens("x" * 600)] == [255, 255, 90]


@pytest.mark.parametrize(
    "word, root",
    [  # Porter 1980, one or two of every step
        ("caresses", "caress"), ("ponies", "poni"), ("caress", "caress"), ("cats", "cat"), ("feed", "feed"), ("agreed", "agre"),
        ("plastered", "plaster"), ("bled", "bled"), ("motoring", "motor"), ("sing", "sing"), ("conflated", "conflat"), ("troubled", "troubl"),
        ("sized", "size"), ("hopping", "hop"), ("falling", "fall"), ("hissing", "hiss"), ("filing", "file"), ("failing", "fail"),
        ("happy", "happi"), ("sky", "sky"), ("relational", "relat"), ("conditional", "condit"), ("rational", "ration"), ("digitizer", "digit"),
        ("radically", "radic"), ("vietnamization", "vietnam"), ("hopefulness", "hope"), ("sensibiliti", "sensibl"), ("triplicate", "triplic"),
        ("electrical", "electr"), ("goodness", "good"), ("revival", "reviv"), ("adjustment", "adjust"), ("dependent", "depend"),
        ("adoption", "adopt"), ("effective", "effect"), ("probate", "probat"), ("rate", "rate"), ("cease", "ceas"), ("controll", "control"),
        ("roll", "roll"), ("apologi", "apolog"), ("replacement", "replac"), ("element", "element"), ("yes", "ye"), ("as", "as"), ("3d", "3d"),
    ],
)  # fmt: skip
def test_stems(word, root):
    assert stem(word) == root


@given(st.text(max_size=80))
def test_any_text_has_tokens(text):
    assert all(tokens(text))


def test_long_lengths_keep_four_bits():
    assert [kept_length(n) for n in (0, 23, 24, 39, 40, 41, 42, 100, 309)] == [0, 23, 24, 39, 40, 40, 42, 96, 280]


def test_a_score_by_hand():
    """Three texts of 2, 1 and 3 tokens, average 2. 'boot' is in two of them: idf = ln(1 + 1.5 / 2.5)."""
    index = Index(["b", "a", "c"], ["red boots", "boots", "blue blue cup"])
    idf = math.log(1.6)
    part = [0.9 * (0.6 + 0.4 * length / 2) for length in (2, 1, 3)]
    assert index.scores("boots") == pytest.approx({"a": idf / (1 + part[1]), "b": idf / (1 + part[0])}, rel=1e-6)
    assert index.scores("boots boot") == pytest.approx({"a": 2 * idf / (1 + part[1]), "b": 2 * idf / (1 + part[0])}, rel=1e-6)
    assert index.scores("blue") == pytest.approx({"c": math.log(1 + 2.5 / 1.5) * 2 / (2 + part[2])}, rel=1e-6)
    assert index.search("red boot", 1) == ("b",)


def test_equal_scores_stand_in_the_order_of_their_ids():
    index = Index(["z", "m", "a"], ["tea", "tea", "tea"])
    assert index.search("tea") == ("a", "m", "z")
    assert index.search("coffee") == index.search("") == index.search("the of") == ()
    assert Index([], []).search("tea") == ()


def test_the_library_of_arrays_waits_for_an_index():
    import subprocess

    code = "import sys, toolagent.envs.webshop; print('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False"
