"""What a plan may say of a request: its words, in its letters."""

from __future__ import annotations

import pytest

from toolagent.datagen.grounding import copied, nearest, pieced
from toolagent.types import ToolCall, ToolSpec


@pytest.mark.parametrize(
    ("request_", "value", "most", "found"),
    [
        ("text Ana all good, really", "all good", 1, "all good"),
        ("text Ana all good, really", "All good", 1, "all good"),
        ("friday, if you can, at 3", "friday at 3", 3, "friday at 3"),
        ("friday, if you can, at 3", "friday at 3", 1, None),
        ("ask: who's in?", "Who's in?", 6, "who's in?"),
        ("ask who's in.", "Who's in?", 6, "who's in"),
        ("tell Ana six not five", "six, not five", 6, "six not five"),
        ("send the link to Ana", "Here is the link: $2", 6, None),
        ("text Ana the link, say see you there", "see you there: $2", 6, "see you there $2"),
        ("save both", "$1\n$2", 6, "$1 $2"),
        ("save both", "both", 6, "both"),
        ("bothering", "both", 6, None),
        ("anything", " ", 6, None),
    ],
)
def test_pieces_of_the_request(request_, value, most, found):
    assert pieced(request_, value, most) == found


@pytest.mark.parametrize(
    ("request_", "value", "found"),
    [
        ("ask if she's bringing the kids on Sunday", "are you bringing the kids on Sunday?", "bringing the kids on Sunday"),
        ("mail Jo report.pdf", "Please find report.pdf attached.", None),
        ("ask which cover they prefer", "which cover do you prefer?", "which cover they prefer"),
        ("the lamp, and if you are so kind then also buy for me at the market one new bulb", "the lamp and one new bulb", None),
        ("nothing of it", "something else", None),
    ],
)
def test_the_run_that_says_about_the_same(request_, value, found):
    assert nearest(request_, value) == found


def test_a_plan_is_copied_or_not_trained_on():
    text, mail = {"type": "string", "format": "text"}, {"type": "string", "format": "email"}
    by = {"type": "string", "enum": ["d", "w"]}
    spec = ToolSpec("send", "", {"type": "object", "properties": {"to": {"type": "array", "items": mail}, "words": text, "by": by}})

    def asked(request, **args):
        made = copied(request, (ToolCall("look", {}), ToolCall("send", args)), [spec])
        return made and dict(made[1].arguments)

    request = "write to jo@mail.org: all good."
    assert asked(request, to=["jo@mail.org"], words="All good", by="w") == {"to": ["jo@mail.org"], "words": "all good", "by": "w"}
    assert asked(request, to=["$1"], words="$1") == {"to": ["$1"], "words": "$1"}
    assert asked(request, to=["mail.org"]) is None and asked(request, words="see you") is None
