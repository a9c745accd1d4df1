"""A plan's edges, waves and equality, on plans small enough to draw."""

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolagent.errors import DataError, PlanError
from toolagent.plan import (
    canonical,
    check,
    early,
    from_rows,
    in_order_of_use,
    needs,
    number,
    references,
    rename,
    same_graph,
    strings,
    substitute,
    to_rows,
    waves,
)
from toolagent.types import ToolCall


def plan(*calls):
    return number(ToolCall(name, arguments) for name, arguments in calls)


def email(name):
    return "get_email_address", {"name": name}


def mail(to, text="hi"):
    return "compose_new_email", {"recipients": to, "context": text}


SENT = "create_note", {"name": "sent", "content": "$3"}
LUNCH = plan(email("Ana"), email("Bo"), mail(["$1", "$2"], "lunch"), SENT)


# --- references ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("$1", (1,)),
        ("${12}", (12,)),
        ("see $2 and ${1}, then $2", (2, 1, 2)),
        ("$$2", ()),  # a literal "$2"
        ("$$${2}", ()),  # "$" and a literal "${2}"
        ("$${2}", ()),
        ("$$ 2 and $ 3 and ${x} and $", ()),
        ({"$1": "key"}, ()),  # keys are names, not values
        ({"people": [{"mail": "$3"}, ["$1", 5, None, True]], "note": "to $2"}, (3, 1, 2)),
        (("$1", "$2"), (1, 2)),
        (3.5, ()),
        ("$1234567890", ()),  # ten digits
        ("$" + "9" * 5000, ()),  # more digits than int() takes
        ("$٣", ()),  # other scripts' digits are text
    ],
)
def test_references_of_a_nested_value(value, found):
    assert references(value) == found


def test_strings_are_values_not_keys():
    assert list(strings({"a": ["x", {"b": "y"}], "c": 1})) == ["x", "y"]


def test_money_is_no_step():
    lunch = plan(email("Ana"), mail(["$1"], "lunch is $20"), ("create_note", {"name": "$0", "content": "$2 of $15"}))
    assert [needs(lunch, k) for k in (1, 2, 3)] == [(), (1,), (2,)]
    assert substitute(lunch[1].arguments, {1: "ana@x.org"}) == {"recipients": ["ana@x.org"], "context": "lunch is $20"}


def test_substitute_at_any_depth():
    value = {"to": ["$1", "${2}"], "body": {"text": "call $1 or $3, it costs $$2"}, "count": 2, "ok": None}
    assert substitute(value, {1: "Ana", 2: "Bo"}) == {
        "to": ["Ana", "Bo"],
        "body": {"text": "call Ana or $3, it costs $2"},  # there is no result 3
        "count": 2,
        "ok": None,
    }


def test_a_result_is_never_read_again():
    assert substitute("$1 $2", {1: "$2", 2: "$1"}) == "$2 $1"


def test_a_doubled_dollar_that_escapes_nothing_stays():
    assert substitute("$$HOME, $${HOME}, $$", {1: "x"}) == "$$HOME, $${HOME}, $$"


# --- waves --------------------------------------------------------------------------------------------------------------------------


def test_waves():
    assert waves(LUNCH) == ((1, 2), (3,), (4,))
    assert waves(()) == ()
    assert waves(plan(email("Ana"), mail(["a@x.org"]), mail(["$1"]))) == ((1, 2), (3,))


def test_a_step_stands_after_the_last_of_what_it_reads():
    chain = plan(("a", {}), ("b", {"x": "$1"}), ("c", {"x": "$1 $2"}), ("d", {"x": "$1"}))
    assert waves(chain) == ((1,), (2, 4), (3,))


def test_a_step_cannot_wait_for_itself():
    with pytest.raises(PlanError, match=r"step 2 \(compose_new_email\) refers to its own result \$2"):
        check(plan(email("Ana"), mail(["$2"])))


def test_a_step_cannot_wait_for_a_later_one():
    with pytest.raises(PlanError, match=r"step 1 \(compose_new_email\) refers to \$2, which comes later; a step may only use earlier"):
        waves(plan(mail(["$2"]), email("Ana")))


def test_every_early_step_has_its_reason():
    found = early(plan(("a", {"x": "$1"}), ("b", {"x": "$1"}), ("c", {"x": "$4"}), ("d", {})))
    assert list(found) == [1, 3] and "its own" in found[1] and "$4, which comes later" in found[3]


# --- rows ---------------------------------------------------------------------------------------------------------------------------


def test_rows_and_back():
    rows = to_rows(LUNCH)
    assert rows[2] == {"id": 3, "tool": "compose_new_email", "args": {"recipients": ["$1", "$2"], "context": "lunch"}}
    assert from_rows(rows) == LUNCH


def test_ids_close_up_and_references_follow():
    rows = [{"id": 4, "tool": "a", "args": {}}, {"id": 9, "tool": "b"}, {"id": 12, "tool": "c", "args": {"x": ["$9", "${4}!"]}}]
    assert from_rows(rows)[2] == ToolCall("c", {"x": ["$2", "$1!"]}, "3")


def test_without_ids_the_rows_are_numbered():
    assert from_rows([{"tool": "a"}, {"tool": "b", "args": {"x": "$1"}}]) == plan(("a", {}), ("b", {"x": "$1"}))


def test_a_reference_to_a_missing_step_does_not_come_to_mean_another():
    # ids 1, 2, 4: renumbered, "$3" would be the old step 4
    rows = [{"id": 1, "tool": "a"}, {"id": 2, "tool": "b"}, {"id": 4, "tool": "c"}, {"id": 5, "tool": "d", "args": {"x": ["$3"]}}]
    with pytest.raises(PlanError, match=r"step 5 \(d\) refers to \$3, and there is no step 3"):
        from_rows(rows)


def test_money_outside_the_ids_stays_money():
    # "$2" is below the ids, "$40" above them; as steps 1..3 there would be a step 2
    rows = [{"id": 10, "tool": "a"}, {"id": 20, "tool": "b"}, {"id": 30, "tool": "c", "args": {"x": "$2 or $40, not $10, $$3 or $0"}}]
    last = from_rows(rows)[-1]
    assert last.arguments == {"x": "$$2 or $40, not $1, $$3 or $0"}
    assert needs((ToolCall("a"), ToolCall("b"), last), 3) == (1,)
    assert substitute(last.arguments, {1: "A", 2: "B"}) == {"x": "$2 or $40, not A, $3 or $0"}


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ({"id": 1, "tool": "a"}, "a plan is a list of"),
        ([{"id": 1}], "a plan is a list of"),
        (["a"], "a plan is a list of"),
        ([{"id": 1, "tool": "a"}, {"id": 1, "tool": "b"}], r"different whole numbers: \[1, 1\]"),
        ([{"id": "1", "tool": "a"}], "different whole numbers"),
        ([{"id": -1, "tool": "a"}], "different whole numbers"),
        ([{"id": True, "tool": "a"}], "different whole numbers"),
        ([{"tool": "a", "args": ["x"]}], "step 1: args must be an object"),
    ],
)
def test_wrong_rows(rows, complaint):
    with pytest.raises(DataError, match=complaint):
        from_rows(rows)


# --- the same graph -----------------------------------------------------------------------------------------------------------------


def test_order_does_not_count():
    other = plan(email("Bo"), email("Ana"), mail(["$2", "$1"], "lunch"), SENT)
    assert same_graph(LUNCH, other)


def test_keys_have_no_order():
    assert same_graph(plan(("a", {"x": 1, "y": 2})), plan(("a", {"y": 2, "x": 1})))


@pytest.mark.parametrize(
    "other",
    [
        plan(email("Bo"), email("Ana"), mail(["$1", "$2"], "lunch"), SENT),  # swapped arguments
        plan(email("Ana"), email("Bo"), mail(["$1", "$1"], "lunch"), SENT),  # another flow
        plan(email("Ana"), email("Bo"), mail(["$1", "$2"], "lunch"), ("create_note", {"name": "sent", "content": "$2"})),
        plan(email("Ana"), email("Bo"), mail(["$1", "$2"], "Lunch"), SENT),
        LUNCH[:3],
    ],
)
def test_what_differs(other):
    assert not same_graph(LUNCH, other) and not same_graph(other, LUNCH)


def test_one_look_up_for_two_is_not_two_look_ups():
    shared = plan(email("Ana"), email("Ana"), mail(["$1"], "a"), mail(["$1"], "b"))
    apart = plan(email("Ana"), email("Ana"), mail(["$1"], "a"), mail(["$2"], "b"))
    assert not same_graph(shared, apart) and same_graph(apart, plan(email("Ana"), email("Ana"), mail(["$2"], "a"), mail(["$1"], "b")))


def test_a_comparison_of_ones_own():
    def by_name(x, y):
        return x.name == y.name

    assert same_graph(plan(email("Ana"), mail(["$1"])), plan(email("Bo"), mail(["b@x.org"])), by_name)
    assert not same_graph(plan(email("Ana")), plan(mail([])), by_name)


def counting():
    """A comparison as strict as the default, and how often it was asked."""
    asked = itertools.count()

    def compare(x, y):
        next(asked)
        return canonical(x.arguments) == canonical(y.arguments)

    return compare, asked


def test_twelve_look_ups_that_are_alike_do_not_multiply():
    # 12! orders of the twelve would all fail at the thirteenth step
    alike = [email("Ana")] * 12
    assert not same_graph(plan(*alike, email("Bo")), plan(*alike, email("Cy")))
    assert same_graph(plan(*alike, email("Bo")), plan(email("Bo"), *alike))
    everyone = mail([f"${k}" for k in range(1, 13)])
    assert same_graph(plan(*alike, everyone), plan(*alike, everyone))
    assert not same_graph(plan(*alike, everyone), plan(*alike, mail([f"${k}" for k in range(1, 12)] + ["$1"])))
    compare, asked = counting()
    assert not same_graph(plan(*alike, email("Bo")), plan(*alike, email("Cy")), compare)
    assert next(asked) <= 5_000


def test_two_triangles_are_no_hexagon():
    # each mail goes to two of six, each of the six gets two: only who with whom tells the two apart
    def pairs(*edges):
        return plan(*[email("Ana")] * 6, *(mail([f"${a}", f"${b}"]) for a, b in edges))

    hexagon = pairs((1, 2), (2, 3), (3, 4), (4, 5), (5, 6), (6, 1))
    triangles = pairs((1, 2), (2, 3), (3, 1), (4, 5), (5, 6), (6, 4))
    assert same_graph(hexagon, pairs((3, 4), (2, 3), (1, 2), (6, 1), (5, 6), (4, 5))) and not same_graph(hexagon, triangles)


# --- over generated plans -----------------------------------------------------------------------------------------------------------


WORDS = ("Ana", "Bo", "costs $90", "$$1", "$%d", "$%d", "see $%d", "${%d}")
VALUES = st.tuples(st.sampled_from(WORDS), st.integers(0, 11))  # the number chooses one of the steps before
ARGUMENTS = st.dictionaries(st.sampled_from("xyz"), st.one_of(VALUES, st.lists(VALUES, max_size=2)), max_size=2)
STEPS = st.tuples(st.sampled_from("ab"), ARGUMENTS)


def plans(most=7):
    """Steps with few tools and words, so that many are alike; each may read earlier ones."""

    def said(value, k):
        if isinstance(value, list):
            return [said(item, k) for item in value]
        text, n = value
        return text if "%d" not in text else text % (1 + n % k) if k else "none"

    def made(steps):
        return number(ToolCall(name, {key: said(value, k) for key, value in some.items()}) for k, (name, some) in enumerate(steps))

    return st.lists(STEPS, max_size=most).map(made)


def shuffled(steps, seed):
    """The same graph in another order that the data flow allows."""
    rng, order = random.Random(seed), []
    while len(order) < len(steps):
        order.append(rng.choice([k for k in range(1, len(steps) + 1) if k not in order and set(needs(steps, k)) <= set(order)]))
    place = {old: new for new, old in enumerate(order, 1)}
    return number(ToolCall(steps[k - 1].name, rename(steps[k - 1].arguments, place)) for k in order)


@given(plans(), st.integers(0, 5))
def test_every_order_is_the_same_graph(steps, seed):
    assert same_graph(steps, shuffled(steps, seed))


@given(plans(5), plans(5))
def test_the_same_graph_is_what_trying_every_numbering_finds(a, b):
    def equal(order):
        place = {old: new for new, old in enumerate(order, 1)}
        return all(
            a[old - 1].name == b[new - 1].name and canonical(rename(a[old - 1].arguments, place)) == canonical(b[new - 1].arguments)
            for old, new in place.items()
        )

    assert same_graph(a, b) == (len(a) == len(b) and any(equal(order) for order in itertools.permutations(range(1, len(a) + 1))))


@given(plans())
def test_waves_hold_each_step_once_after_all_that_it_reads(steps):
    found = waves(steps)
    assert sorted(k for wave in found for k in wave) == list(range(1, len(steps) + 1))
    level = {k: w for w, wave in enumerate(found) for k in wave}
    assert all(level[k] == 1 + max((level[r] for r in needs(steps, k)), default=-1) for k in level)


@given(plans())
def test_the_order_of_use_is_the_same_graph_in_one_order(steps):
    found = in_order_of_use(steps)
    assert same_graph(steps, found) and not early(found)
    assert in_order_of_use(found) == found


def test_a_step_stands_right_before_its_first_use():
    note = "open_note", {"name": "x"}
    early_birds = plan(email("Ana"), email("Bo"), note, mail(["$2"], "$3"), mail(["$1", "$2"]))
    assert in_order_of_use(early_birds) == plan(email("Bo"), note, mail(["$1"], "$2"), email("Ana"), mail(["$4", "$1"]))


@given(plans())
def test_rows_of_any_plan_come_back(steps):
    assert from_rows(to_rows(steps)) == number(ToolCall(c.name, substituted(c.arguments)) for c in steps)


def substituted(arguments):
    return rename(arguments, {})  # "${k}" is written "$k"
