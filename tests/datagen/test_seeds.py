"""The hand-written seeds obey their rules; a wrong one is an error with file and line."""

import json
from collections import Counter

import pytest

from toolagent import toolbox
from toolagent.datagen.fillers import Filler
from toolagent.datagen.filters import evaluation_hashes, fingerprint
from toolagent.datagen.seeds import Skeleton, load_banks, load_packs, load_skeletons, split
from toolagent.errors import DataError
from toolagent.plan import Plan, from_rows, in_order_of_use, references, strings
from toolagent.types import ToolCall, ToolSpec

# --- those that are shipped ---------------------------------------------------------------------------------------------------------


def test_no_request_is_written_twice(desktop, elsewhere):
    found = Counter(fingerprint(s.request) for s in desktop) + Counter((s.pack, fingerprint(s.request)) for s in elsewhere)
    assert [words for words, n in found.items() if n > 1] == []


def test_every_call_fits_its_tool(desktop, elsewhere, specs):
    wrong = []
    for skeleton in (*desktop, *elsewhere):
        known = {spec.name: spec for spec in skeleton.tools or specs}
        for call in skeleton.plan:
            found = toolbox.check(known[call.name], call.arguments, references=True) if call.name in known else ["no such tool"]
            wrong += [(skeleton.request, call.name, sentence) for sentence in found]
    assert wrong == []


def test_every_reference_is_to_a_step(desktop, elsewhere):
    assert [
        s.request for s in (*desktop, *elsewhere) for c in s.plan if not all(1 <= k <= len(s.plan) for k in references(c.arguments))
    ] == []


def test_every_kind_of_span_can_be_swapped(desktop, elsewhere):
    banks = load_banks()
    kinds = {kind for s in (*desktop, *elsewhere) for kind in s.swap.values()}
    assert {kind for kind in kinds if kind not in banks and not hasattr(Filler, f"make_{kind}")} == set()
    assert all(len(banks[kind]) >= 20 for kind in banks.values)


def test_a_name_of_the_plan_stands_in_the_request(desktop):
    looked_up = {"get_email_address": "name", "get_phone_number": "name", "open_and_get_file_path": "file_name"}
    made_up = [
        (s.request, c.arguments) for s in desktop for c in s.plan if c.name in looked_up and c.arguments[looked_up[c.name]] not in s.request
    ]
    assert made_up == []


def test_no_seed_stands_in_an_evaluation_set(desktop, elsewhere):
    assert [s.request for s in (*desktop, *elsewhere) if fingerprint(s.request) in evaluation_hashes()] == []


def test_at_least_120_seeds_a_tool_and_800_with_several(desktop, specs):
    training, _ = split(desktop)
    tools = Counter(name for s in training for name in {call.name for call in s.plan})
    assert {spec.name: tools[spec.name] for spec in specs if tools[spec.name] < 120} == {}
    assert sum(len({call.name for call in s.plan}) > 1 for s in training) >= 800
    assert sum(not s.plan for s in training) >= 200  # requests that no tool can do


def test_the_held_out_fifth_shares_no_sentence_with_training(desktop, elsewhere):
    training, validation = split((*desktop, *elsewhere))
    assert {s.frame for s in training} & {s.frame for s in validation} == set()
    assert 0.18 < len(validation) / (len(training) + len(validation)) < 0.22
    assert len(training) + len(validation) == len(desktop) + len(elsewhere)


def test_plans_stand_in_the_order_of_use(desktop):
    assert all(in_order_of_use(s.plan) == s.plan for s in desktop)


# --- frames, by hand ----------------------------------------------------------------------------------------------------------------


def mail(name: str, time: str) -> Skeleton:
    return Skeleton(f"Email {name} that I come at {time}!", (), {name: "person", time: "when"})


def test_a_frame_is_the_sentence_without_its_spans():
    assert mail("Ana", "5pm").frame == "email <person> that i come at <when>"
    assert mail("Li Wei", "noon").frame == mail("Ana", "5pm").frame
    assert mail("Li Wei", "noon").held_out == mail("Ana", "5pm").held_out


def test_the_longest_span_goes_first():
    assert Skeleton("text Ana Souza, not Ana", (), {"Ana": "person", "Ana Souza": "person"}).frame == "text <person> not <person>"


# --- reading ------------------------------------------------------------------------------------------------------------------------

ROW = {
    "request": "mail Ana the plan",
    "plan": [
        {"id": 5, "tool": "open_note", "args": {"name": "plan"}},
        {"id": 7, "tool": "get_email_address", "args": {"name": "Ana"}},
        {"id": 9, "tool": "compose_new_email", "args": {"recipients": ["$7"], "subject": "plan", "context": "$5"}},
    ],
    "swap": {"Ana": "person"},
    "tags": ["chain"],
}


def written(folder, *rows):
    path = folder / "mine.jsonl"
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows) + "\n", "utf-8")
    return path


def test_a_row_is_read_in_the_order_of_use(tmp_path):
    (skeleton,) = load_skeletons([written(tmp_path, "", ROW, "  ")])
    expected: Plan = (
        ToolCall("get_email_address", {"name": "Ana"}, "1"),
        ToolCall("open_note", {"name": "plan"}, "2"),
        ToolCall("compose_new_email", {"recipients": ["$1"], "subject": "plan", "context": "$2"}, "3"),
    )
    assert skeleton == Skeleton("mail Ana the plan", expected, {"Ana": "person"}, ("chain",), "mine")


def test_tools_come_with_the_row_or_by_the_name_of_a_pack(tmp_path):
    lamp = ToolSpec("lamp", "Light it.")
    rows = ({**ROW, "plan": [], "pack": "house"}, {**ROW, "plan": [], "tools": [lamp.to_json()], "writer": "w9"})
    by_pack, by_row = load_skeletons([written(tmp_path, *rows)], {"house": (lamp,)})
    assert (by_pack.tools, by_pack.pack, by_pack.writer) == ((lamp,), "house", "mine")
    assert (by_row.tools, by_row.pack, by_row.writer) == ((lamp,), "", "w9")


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ({**ROW, "pack": "castle"}, "pack 'castle' is unknown"),
        ('{"request": "mail Ana", ', "Expecting property name"),
        ('["mail Ana"]', "the row is no JSON object"),
        ({"plan": []}, "the row has no 'request'"),
        ({"request": "mail Ana"}, "the row has no 'plan'"),
        ({**ROW, "request": 5}, "the request must be a string"),
        ({**ROW, "swap": {"Bo": "person"}}, "'Bo' is to be swapped, but does not stand in the request"),
        ({**ROW, "swap": {"": "person"}}, "'' is to be swapped"),
        ({**ROW, "swap": ["Ana"]}, "dictionary update sequence"),
        ({**ROW, "plan": {"tool": "open_note"}}, "a plan is a list of"),
        (
            {**ROW, "plan": [{"id": 1, "tool": "a", "args": {"x": "$2"}}, {"id": 2, "tool": "b"}]},
            r"step 1 \(a\) refers to \$2, which comes later",
        ),
        ({**ROW, "plan": [{"id": 1, "tool": "a"}, {"id": 3, "tool": "b", "args": {"x": "$2"}}]}, r"refers to \$2, and there is no step 2"),
        ({**ROW, "tools": [{"description": "x"}]}, "a tool needs a name"),
    ],
)
def test_a_wrong_row_is_an_error_with_file_and_line(tmp_path, row, complaint):
    path = written(tmp_path, ROW, row)
    with pytest.raises(DataError, match=complaint) as error:
        load_skeletons([path])
    assert str(error.value).startswith(f"{path}:2: ")


def test_a_file_that_cannot_be_read_is_an_error_with_its_name(tmp_path):
    with pytest.raises(DataError, match=r"none\.jsonl: No such file"):
        load_skeletons([tmp_path / "none.jsonl"])
    (tmp_path / "latin.jsonl").write_bytes(b'{"request": "\xe9"}')
    with pytest.raises(DataError, match=r"latin\.jsonl: .*utf-8"):
        load_skeletons([tmp_path / "latin.jsonl"])
    (tmp_path / "house.json").write_text('{"pack": "house"}')
    with pytest.raises(DataError, match=r"house\.json: 'tools'"):
        load_packs(tmp_path)


def test_the_words_of_a_bank_stand_once_each(tmp_path):
    (tmp_path / "person.txt").write_text("Ana\n\n Bo \nAna\n", "utf-8")
    banks = load_banks(tmp_path)
    assert banks["person"] == ("Ana", "Bo") and "person" in banks and "place" not in banks


def test_every_seed_can_be_written_and_read_again(desktop):
    for skeleton in desktop[::50]:
        rows = json.loads(json.dumps([{"id": k, "tool": c.name, "args": c.arguments} for k, c in enumerate(skeleton.plan, 1)]))
        assert from_rows(rows) == skeleton.plan and all(isinstance(text, str) for c in skeleton.plan for text in strings(c.arguments))
