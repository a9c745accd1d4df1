from _summary import content, sentences, summary


def test_sentences_are_mended_and_counted_once():
    text = "The long hyphen-\nation is\nmended. The long hyphenation is mended.\n\nA heading\n\nDr. Ono came at 3.5 p.m. Then she left!"
    assert sentences(text) == ["The long hyphenation is mended.", "A heading", "Dr.", "Ono came at 3.5 p.m.", "Then she left!"]


def test_frequent_words_win_and_the_order_stays():
    text = (
        "The tiger lives in the forest. Coffee was cold. A tiger hunts in the forest at night. Someone laughed. "
        "The forest hides the tiger well. It rained. Trees grow."
    )
    assert summary(text, 3) == "The tiger lives in the forest. A tiger hunts in the forest at night. The forest hides the tiger well."


def test_a_short_text_is_its_own_summary():
    assert summary("One. Two. Three.") == "One. Two. Three."


def test_a_sentence_without_end_is_cut():
    assert len(summary("word " * 1000)) == 300


def test_chinese():
    assert content("预算报告") == ["预算", "算报", "报告"]
    assert summary("预算是一万。天气很好。预算增加了。他笑了。", 2) == "预算是一万。 预算增加了。"


def test_a_heading_is_no_sentence_but_a_wrapped_line_is():
    text = "The plan\nOn Monday we met\nAna and took the\ntrain. Then we met\n27 others in Wien."
    assert sentences(text) == ["The plan", "On Monday we met Ana and took the train.", "Then we met 27 others in Wien."]
    assert summary(text, 2) == "On Monday we met Ana and took the train. Then we met 27 others in Wien."
