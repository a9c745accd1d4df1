"""Every rule of the metrics, on plans small enough to judge by eye."""

import json
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolagent.errors import DataError
from toolagent.evaluate.cases import Case, Prediction
from toolagent.evaluate.plans import (
    METRICS,
    Reason,
    bench,
    dag,
    dag_all,
    empty_answers,
    gold_answers,
    normal,
    pairing,
    score,
    strict,
)
from toolagent.plan import Plan, needs, number, rename, waves
from toolagent.types import ToolCall, ToolSpec


def plan(*calls: tuple[str, dict]) -> Plan:
    return number(ToolCall(name, arguments) for name, arguments in calls)


def case(*golds: Plan, **fields) -> Case:
    return Case("a", None, "do it", golds[0], alternatives=golds[1:], **fields)


def right(predicted: Plan, gold: Plan, **fields) -> bool:
    return strict(predicted, gold, case(gold, **fields))


def reason(predicted: Plan | None, *golds: Plan, **fields) -> Reason | None:
    return score(case(*golds, **fields), Prediction("a", predicted)).reason


def value(metric: str, predicted: Plan | None, *golds: Plan, **fields) -> float | None:
    return score(case(*golds, **fields), Prediction("a", predicted)).value(metric)


def phone(name):
    return "get_phone_number", {"name": name}


def sms(to, message):
    return "send_sms", {"recipients": to, "message": message}


def listed(format):
    return {"type": "array", "items": {"type": "string", "format": format}}


MAIL = ToolSpec(
    "mail",
    "",
    {
        "type": "object",
        "properties": {
            "to": listed("email"),
            "body": {"type": "string"},
            "cc": listed("email"),
            "steps": listed("text"),
            "priority": {"type": "integer", "default": 0},
            "loud": True,
        },
        "required": ["to", "body"],
    },
)


def mail(**arguments):
    return plan(("mail", {"to": ["ana@x.org"], "body": "hi", **arguments}))


# --- strict: data flow


def test_two_orders_of_one_graph_are_one_plan():
    ana_first = plan(phone("Ana"), phone("Ben"), sms(["$1"], "hi"), sms(["$2"], "bye"))
    ben_first = plan(phone("Ben"), sms(["$1"], "bye"), phone("Ana"), sms(["$3"], "hi"))
    assert right(ben_first, ana_first) and right(ana_first, ben_first)


def test_the_same_tools_in_another_flow_are_another_plan():
    to_both = plan(phone("Ana"), phone("Ben"), sms(["$1"], "hi"), sms(["$2"], "hi"))
    twice_to_ana = plan(phone("Ana"), phone("Ben"), sms(["$1"], "hi"), sms(["$1"], "hi"))
    assert not right(twice_to_ana, to_both)
    assert reason(twice_to_ana, to_both) == Reason("wrong edge", "send_sms.recipients", ["$1"], ["$2"])


def test_swapped_arguments_are_not_equal():
    there = plan(("directions", {"start": "home", "end": "work"}))
    back = plan(("directions", {"start": "work", "end": "home"}))
    assert not right(back, there)
    assert reason(back, there) == Reason("wrong argument", "directions.start", "work", "home")
    assert value("argument_f1", back, there) == 0.0


def test_a_look_up_done_twice_is_an_extra_tool():
    once = plan(phone("Ana"), sms(["$1"], "hi"), sms(["$1"], "bye"))
    twice = plan(phone("Ana"), sms(["$1"], "hi"), phone("Ana"), sms(["$3"], "bye"))
    assert not right(twice, once)
    assert reason(twice, once) == Reason("extra tool", "get_phone_number")
    assert value("tool_f1", twice, once) == 2 * 3 / (4 + 3)
    # gold says 5 arguments, the plan 6; the second message reads a look-up that has no partner: 4 are equal
    assert value("argument_f1", twice, once) == 2 * 4 / (6 + 5)


def test_an_alternative_counts():
    one = plan(phone("Ana"), phone("Ben"), sms(["$1", "$2"], "hi"))
    two = plan(phone("Ana"), phone("Ben"), sms(["$1"], "hi"), sms(["$2"], "hi"))
    found = score(case(one, two), Prediction("a", two))
    assert found.reason is None and [found.value(metric) for metric in METRICS] == [1.0] * 5
    assert not right(two, one)


def test_the_reason_is_told_against_the_closest_alternative():
    one, two = plan(("call", {"who": "Ana"})), plan(sms(["5"], "hi"))
    assert reason(plan(sms(["5"], "ho")), one, two) == Reason("wrong argument", "send_sms.message", "ho", "hi")


# --- strict: arguments


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The Budget", "  the\u00a0budget. "),
        ("Ana’s “plan”", 'ana\'s "plan"'),
        ("ＡＢＣ", "abc"),
        ("see you!", "See you"),
        ("see ${1}", "see $1"),
        ("2025-03-03T09:00", "2025-03-03 09:00:00"),
        (60, 60.0),
        (["$1", "$2"], ["$2", "$1"]),
        ([], []),
        ({"a": 1, "b": ["x"]}, {"b": ["X"], "a": 1.0}),
    ],
)
def test_equal_arguments(one, other):
    assert normal(one) == normal(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("the budget", "budget"),
        ("a-b", "ab"),
        ("?", "!"),
        ("2025-03-03", "2025-03-03 00:00:00"),
        ("2025-03-03 09:00:00", "2025-03-03 09:00:01"),
        (60, 61),
        (60, "60"),
        (["a", "b"], ["b", "a"]),
        (["$1", "b"], ["b", "$1"]),
        (["$1", "$1"], ["$1"]),
    ],
)
def test_different_arguments(one, other):
    assert normal(one) != normal(other)


def test_true_is_not_one():
    assert not right(plan(("remind", {"all_day": 1})), plan(("remind", {"all_day": True})))


def test_addresses_have_no_order_but_steps_have():
    ab, ba = ["a@x.org", "$1"], ["$1", "A@x.org"]
    assert right(mail(cc=ba), mail(cc=ab), tools=(MAIL,))
    assert not right(mail(cc=ba), mail(cc=ab))  # without the schema nothing says that these are addresses
    assert not right(mail(steps=["b", "a"]), mail(steps=["a", "b"]), tools=(MAIL,))
    assert not right(mail(cc=["a@x.org", "a@x.org"]), mail(cc=["a@x.org"]), tools=(MAIL,))


@pytest.mark.parametrize("said", [{"cc": []}, {"cc": None}, {"cc": ""}, {"priority": 0}, {"priority": 0.0}, {"loud": None}, {"loud": " "}])
def test_an_empty_or_default_optional_argument_is_left_out(said):
    assert right(mail(**said), mail(), tools=(MAIL,)) and right(mail(), mail(**said), tools=(MAIL,))
    assert value("argument_f1", mail(**said), mail(), tools=(MAIL,)) == 1.0


def test_other_values_are_not_left_out():
    assert not right(mail(priority=1), mail(), tools=(MAIL,))
    assert not right(mail(loud=False), mail(), tools=(MAIL,))
    assert not right(mail(priority=0), mail())  # no schema, no default
    assert reason(mail(), mail(priority=5), tools=(MAIL,)) == Reason("wrong argument", "mail.priority", None, 5)


def test_an_empty_required_argument_is_said():
    silent, without = mail(body=""), plan(("mail", {"to": ["ana@x.org"]}))
    assert right(silent, silent, tools=(MAIL,)) and not right(without, silent, tools=(MAIL,))


# --- strict: free text

FREE = {"free": frozenset({"send_sms.message"})}
GOLD = plan(phone("Ana"), sms(["$1"], "I am late"))


def test_free_text_is_judged_by_its_facts():
    facts = {**FREE, "must_mention": {"2.message": ("late|delayed",)}}
    assert right(plan(phone("Ana"), sms(["$1"], "Sorry, I'm delayed!")), GOLD, **facts)
    assert reason(plan(phone("Ana"), sms(["$1"], "Sorry")), GOLD, **facts) == Reason(
        "free text lacks fact", "send_sms.message", "Sorry", "late|delayed"
    )


def test_free_text_without_facts_must_say_something():
    assert right(plan(phone("Ana"), sms(["$1"], "running behind")), GOLD, **FREE)
    assert reason(plan(phone("Ana"), sms(["$1"], "  ")), GOLD, **FREE) == Reason("wrong argument", "send_sms.message", None, "I am late")
    assert reason(mail(body=" "), mail(), tools=(MAIL,), free=frozenset({"mail.body"})) == Reason("wrong argument", "mail.body", " ", "hi")
    assert not right(plan(phone("Ana"), ("send_sms", {"recipients": ["$1"]})), GOLD, **FREE)


def test_free_text_must_read_what_gold_reads():
    gold = plan(("find_link", {"to": "x"}), sms(["5"], "the link: $1"))
    assert right(plan(("find_link", {"to": "x"}), sms(["5"], "$1")), gold, **FREE)
    assert reason(plan(("find_link", {"to": "x"}), sms(["5"], "the link")), gold, **FREE).kind == "wrong edge"
    assert reason(plan(phone("Ana"), sms(["$1"], "late, $1")), GOLD, **FREE).kind == "wrong edge"
    assert right(plan(phone("Ana"), sms(["$1"], "late, $1")), GOLD, **FREE, must_mention={"2.message": ("late",)})


def test_the_number_of_a_reference_is_no_fact():
    gold = plan(phone("Ana"), sms(["$1"], "room 1: $1"))
    facts = {**FREE, "must_mention": {"2.message": ("1",)}}
    assert right(gold, gold, **facts)
    assert reason(plan(phone("Ana"), sms(["$1"], "room $1")), gold, **facts).kind == "free text lacks fact"


def test_a_free_argument_that_nobody_asked_for_is_wrong():
    gold, chatty = plan(("event", {"title": "tea"})), plan(("event", {"title": "tea", "notes": "with cake"}))
    assert reason(chatty, gold, free=frozenset({"event.notes"})) == Reason("wrong argument", "event.notes", "with cake", None)


def test_facts_belong_to_their_step_whatever_the_order():
    gold = plan(sms(["5"], "late"), sms(["6"], "early"))
    facts = {**FREE, "must_mention": {"1.message": ("late",), "2.message": ("early",)}}
    assert right(plan(sms(["6"], "so early"), sms(["5"], "so late")), gold, **facts)
    assert not right(plan(sms(["5"], "so early"), sms(["6"], "so late")), gold, **facts)


def test_free_arguments_are_not_in_argument_f1():
    assert value("argument_f1", plan(phone("Ana"), sms(["$1"], "?")), GOLD, **FREE) == 1.0
    assert value("argument_f1", plan(phone("Ben"), sms(["$1"], "?")), GOLD, **FREE) == 0.5


# --- graphs


def test_dag_does_not_look_at_arguments():
    gold = plan(phone("Ana"), sms(["$1"], "hi"))
    assert dag(plan(phone("Ben"), sms([], "$1")), gold) and dag_all(plan(phone("Ben"), sms([], "$1")), gold)
    assert not dag(plan(phone("Ana"), sms(["5"], "hi")), gold)


def test_dag_sees_the_first_reference_of_a_string():
    both, one = plan(phone("Ana"), phone("Ben"), sms(["5"], "$1, $2")), plan(phone("Ana"), phone("Ben"), sms(["5"], "$1"))
    assert dag(one, both) and not dag_all(one, both)


def test_dag_counts_a_dependency_as_often_as_it_is_read():
    once, twice = plan(phone("Ana"), sms(["$1"], "hi")), plan(phone("Ana"), sms(["$1"], "$1"))
    assert not dag(once, twice) and dag_all(once, twice)  # one edge in both, but TinyAgent compares lists of dependencies


def test_dag_tells_which_dependency_is_read():
    def two_files(first, second):
        return plan(("open", {"f": "a"}), ("sum", {"p": "$1"}), ("sum", {"p": "b"}), ("note", {"t": first}), ("mail", {"t": second}))

    assert dag(two_files("$2", "$3"), two_files("$2", "$3"))
    assert not dag(two_files("$3", "$2"), two_files("$2", "$3")) and not dag_all(two_files("$3", "$2"), two_files("$2", "$3"))


def test_money_is_no_edge():
    assert dag(plan(phone("Ana"), sms(["$1"], "you owe me $20")), plan(phone("Ana"), sms(["$1"], "hi")))


def test_many_look_ups_of_one_kind_are_compared_at_once():
    def to(read):
        return plan(*[phone(str(k)) for k in range(12)], sms([f"${k}" for k in read], "hi"), sms(["$1", "$2"], "bye"))

    assert dag_all(to(range(1, 13)), to(range(12, 0, -1)))
    assert not dag_all(to(range(1, 12)), to(range(1, 13)))
    assert not dag_all(to(range(2, 13)), to(range(3, 13)))


# --- F1


def test_tool_f1_by_hand():
    assert value("tool_f1", plan(phone("Ana"), phone("Ben")), GOLD) == 2 * 1 / (2 + 2)
    assert value("tool_f1", (), ()) == 1.0
    assert value("tool_f1", (), GOLD) == value("tool_f1", GOLD, ()) == 0.0


def test_argument_f1_pairs_the_steps_that_agree_most():
    gold = plan(phone("Ana"), phone("Ben"), sms(["$2"], "hi"))
    assert value("argument_f1", plan(phone("Ben"), phone("Cem"), sms(["$1"], "hi")), gold) == 2 * 3 / (4 + 4)
    # pairing by name alone would keep Ana and lose the flow: either way 3 of 4
    assert value("argument_f1", plan(phone("Ana"), phone("Cem"), sms(["$2"], "hi")), gold) == 2 * 3 / (4 + 4)


def test_a_babbling_plan_is_measured_too():
    babble = plan(*[phone(f"n{k % 3}") for k in range(60)], *[sms([f"${k % 60 + 1}", f"${k * 7 % 60 + 1}"], "hi") for k in range(2000)])
    gold = plan(*[phone(f"n{k % 3}") for k in range(6)], *[sms([f"${k + 1}", f"${6 - k}"], "hi") for k in range(6)])
    assert 0 < value("argument_f1", babble, gold) < 1


# --- reasons


@pytest.mark.parametrize(
    ("predicted", "kind"),
    [
        (None, "no plan"),
        ((), "empty instead of plan"),
        (plan(phone("Ana"), phone("Ben")), "missing tool send_sms"),
        (plan(phone("Ana"), sms(["$1"], "I am late"), phone("Ben")), "extra tool get_phone_number"),
        (plan(phone("Ben"), sms(["5"], "I am late")), "wrong edge send_sms.recipients"),
        (plan(phone("Ben"), sms(["$1"], "I am late")), "wrong argument get_phone_number.name"),
        (GOLD, "None"),
    ],
)
def test_the_gravest_reason_names_the_failure(predicted, kind):
    assert str(reason(predicted, GOLD)) == kind


def test_where_nothing_is_to_be_done_only_the_empty_plan_is_right():
    assert score(case(()), Prediction("a", ())).value("strict") == 1.0
    assert reason(GOLD, ()) == Reason("plan instead of empty")
    garbage = score(case(()), Prediction("a", None))
    assert [garbage.value(metric) for metric in METRICS] == [0.0] * 5


def test_a_plan_that_cannot_be_run_is_no_plan():
    assert reason(plan(sms(["$2"], "hi"), phone("Ana")), GOLD) == Reason("no plan")


# --- the report

CASES = [
    replace(case(GOLD), id="sms-1", tags=("sms", "look-up")),
    replace(case(plan(sms(["5"], "hi"))), id="sms-2", tags=("sms",)),
    replace(case(()), id="none-1", tags=("none",)),
]
ANSWERS = [
    Prediction("sms-1", GOLD, 1.0),
    Prediction("sms-2", plan(sms(["5"], "ho")), 3.0),
    Prediction("none-1", GOLD),
    Prediction("somebody else's", None),
]


def test_the_report_by_hand():
    report = bench(CASES, ANSWERS)
    rows = {row.name: row for row in (report.overall, *report.tags, *report.references)}
    assert {name: (row.n, round(row.micro["strict"].value, 3)) for name, row in rows.items()} == {
        "all": (3, 0.333),
        "look-up": (1, 1.0),
        "none": (1, 0.0),
        "sms": (2, 0.5),
        "(gold)": (3, 1.0),
        "(empty)": (3, 0.333),
    }
    # arguments: sms-1 3 of 3, sms-2 1 of 2, none-1 3 said and none wanted
    assert report.overall.micro["argument_f1"].value == pytest.approx(2 * 4 / (3 + 3 + 2 + 2 + 3))
    assert report.overall.mean["argument_f1"].value == pytest.approx((1 + 0.5 + 0) / 3)
    assert report.seconds == 2.0


def test_the_report_as_text():
    text = bench(CASES, ANSWERS).text()
    head, failures, seconds = text.split("\n\n")
    assert [line.split()[:2] for line in head.splitlines()[2:]] == [
        ["all", "3"],
        ["look-up", "1"],
        ["none", "1"],
        ["sms", "2"],
        ["(gold)", "3"],
        ["(empty)", "3"],
    ]
    assert [line.split() for line in failures.splitlines()[2:]] == [
        ["plan", "instead", "of", "empty", "1", "none-1"],
        ["wrong", "argument", "send_sms.message", "1", "sms-2", "ho", "hi"],
    ]
    assert seconds == "median 2.00 s a plan"


def test_the_report_as_json_is_the_same_every_time():
    data = json.loads(json.dumps(bench(CASES, ANSWERS).json()))
    assert data == bench(CASES, reversed(ANSWERS)).json()
    assert data["tags"]["sms"]["strict"] == {"value": 0.5, "low": 0.0, "high": 1.0, "n": 2}
    assert data["cases"][1]["reason"] == {"kind": "wrong argument", "where": "send_sms.message", "predicted": "ho", "gold": "hi"}


def test_every_case_needs_a_prediction():
    with pytest.raises(DataError, match="1 of 3 cases have no prediction, the first is 'none-1'"):
        bench(CASES, ANSWERS[:2])
    with pytest.raises(DataError, match="no cases"):
        bench([], ANSWERS)


# --- laws


@st.composite
def plans(draw, most=6):
    calls = []
    for k in range(draw(st.integers(0, most))):
        value = st.sampled_from(["Ana", "Ben", "a note.", *(f"${j}" for j in range(1, k + 1)), *(f"see $1 and ${k}" for _ in range(k > 0))])
        arguments = draw(st.dictionaries(st.sampled_from("xyz"), st.one_of(value, st.lists(value, max_size=2)), max_size=2))
        calls.append((draw(st.sampled_from(["look", "send", "keep"])), arguments))
    return plan(*calls)


@st.composite
def shuffled(draw, given_plan):
    """The same graph in another order that keeps every result before its use."""
    order, left = [], list(range(1, len(given_plan) + 1))
    while left:
        order.append(draw(st.sampled_from([k for k in left if set(needs(given_plan, k)) <= set(order)])))
        left.remove(order[-1])
    place = {old: new for new, old in enumerate(order, 1)}
    return number(ToolCall(given_plan[k - 1].name, rename(given_plan[k - 1].arguments, place)) for k in order)


fields = st.fixed_dictionaries({"free": st.frozensets(st.sampled_from(["send.x", "keep.y", "look.z"]), max_size=2)})


@given(st.lists(plans(), min_size=1, max_size=4), fields)
@settings(deadline=None)
def test_gold_is_always_right(golds, some):
    cases = [replace(case(gold, *golds[:k], **some), id=str(k)) for k, gold in enumerate(golds)]
    found = [score(c, answer) for c, answer in zip(cases, gold_answers(cases), strict=True)]
    assert all(one.reason is None and one.value(metric) == 1.0 for one in found for metric in METRICS)
    empty = [score(c, answer) for c, answer in zip(cases, empty_answers(cases), strict=True)]
    assert [one.value("strict") for one in empty] == [float(any(p == () for p in c.plans)) for c in cases]


@given(st.data(), plans(), plans(), fields)
@settings(deadline=None)
def test_the_order_of_independent_steps_changes_no_metric(data, predicted, gold, some):
    other, other_gold = data.draw(shuffled(predicted)), data.draw(shuffled(gold))
    counts = score(case(gold, **some), Prediction("a", predicted)).counts
    assert score(case(gold, **some), Prediction("a", other)).counts == counts
    assert score(case(other_gold, **some), Prediction("a", predicted)).counts == counts
    assert score(case(predicted, **some), Prediction("a", other)).reason is None


@given(plans(4), plans(4), fields)
@settings(deadline=None)
def test_strict_and_the_pairing_agree(predicted, gold, some):
    found = pairing(predicted, gold, case(gold, **some))
    same_tools = Counter(c.name for c in predicted) == Counter(c.name for c in gold)
    all_right = not any(fault for verdicts in found.values() for fault in verdicts.values())
    assert strict(predicted, gold, case(gold, **some)) == (same_tools and all_right)
    assert (reason(predicted, gold, **some) is None) == (same_tools and all_right)


@given(plans(5), plans(5))
@settings(deadline=None)
def test_dags_are_networkx_isomorphisms(predicted, gold):
    nx = pytest.importorskip("networkx")

    def graph(one):
        made = nx.DiGraph()
        for k, call in enumerate(one, 1):
            made.add_node(k, tool=call.name)
            made.add_edges_from((j, k) for j in needs(one, k))
        return made

    isomorphic = nx.is_isomorphic(graph(predicted), graph(gold), node_match=lambda a, b: a == b)
    assert dag_all(predicted, gold) == isomorphic
    assert dag_all(predicted, gold) or not strict(predicted, gold, case(gold))
    assert len(waves(predicted)) == len(waves(gold)) or not isomorphic
