"""A scripted model, real tools, a home of their own: in which order things happen, and what happens when one of them fails."""

import threading
from datetime import datetime

import pytest

from toolagent.agents.planner import LONGEST, Outcome, Planner, Proposal
from toolagent.errors import ContextOverflow, Denied, InvalidOutput, UsageError
from toolagent.runtimes.scripted import Scripted, calling
from toolagent.tool import Email, Name, Text, ToolFailed, When, home, tool, write_file
from toolagent.toolbox import Policy, Toolbox
from toolagent.types import Message, ToolResult

NOW = datetime(2025, 11, 24, 10, 0)  # a Monday
ADDRESSES = {"Ana": "ana@example.org", "Bo": "bo@example.org", "Ana Souza": "souza@example.org"}


@tool
def get_email(name: Name) -> Email:
    """Find an address.

    Args:
        name: of the person
    """
    if name not in ADDRESSES:
        raise ToolFailed(f"no contact is called {name!r}; the nearest: Ana Souza")
    return ADDRESSES[name]


@tool(writes=True)
def mail(to: list[Email], text: Text, when: When | None = None) -> str:
    """Write a mail.

    Args:
        to: addresses
        text: what it says
        when: when it goes out
    """
    number = len(list(home().glob("mail*"))) + 1
    write_file(f"mail{number}.txt", f"{', '.join(to)}: {text}{f' ({when})' if when else ''}")
    return f"mail {number}"


@tool(writes=True)
def make_note(name: Name, text: Text) -> str:
    """Make a note.

    Args:
        name: its title
        text: what it says
    """
    if (home() / f"{name}.txt").exists():
        raise ToolFailed(f"there is a note {name!r} already")
    write_file(f"{name}.txt", text)
    return f"made {name}"


@tool(writes=True)
def add_to_note(name: Name, text: Text) -> str:
    """Add to a note.

    Args:
        name: its title
        text: what to add
    """
    write_file(f"{name}.txt", read_note(name) + " " + text)
    return f"added to {name}"


@tool
def read_note(name: Name) -> Text:
    """Read a note.

    Args:
        name: its title
    """
    try:
        return (home() / f"{name}.txt").read_text()
    except FileNotFoundError as error:
        raise ToolFailed(f"there is no note {name!r}") from error


TOOLS = (get_email, mail, make_note, add_to_note, read_note)


def yes(request):
    return True


@pytest.fixture
def act(tmp_path):
    """act(answers, tools) runs a request with a model that answers so; act.home is where, act.model who."""

    class Act:
        home = tmp_path / "home"

        def __call__(self, *answers, tools=TOOLS, show=None, ask=None, **options) -> Outcome:
            self.model = Scripted(answers)
            self.box = Toolbox(tools, home=self.home, now=NOW, **{"approve": yes, **options})
            return Planner(self.model, self.box, "Be brief.").run("do it", show, ask)

        @property
        def files(self):
            return {path.name: path.read_text() for path in self.home.glob("*.txt")}

    Act.home.mkdir()
    return Act()


# --- a plan that works --------------------------------------------------------------------------------------------------------------


def test_results_go_where_the_plan_says(act):
    outcome = act(calling(("get_email", {"name": "Ana"}), ("get_email", {"name": "Bo"}), ("mail", {"to": ["$1", "$2"], "text": "hi"})))
    assert act.files == {"mail1.txt": "ana@example.org, bo@example.org: hi"}
    assert outcome.results == {1: ToolResult("1", "ana@example.org"), 2: ToolResult("2", "bo@example.org"), 3: ToolResult("3", "mail 1")}
    assert not outcome.failed and not outcome.replanned and outcome.warnings == ()


def test_the_model_is_asked_with_rules_request_and_tools(act):
    act(calling())
    (asked,) = act.model.seen
    assert asked.messages == (Message("system", "Be brief."), Message("user", "do it"))
    assert asked.tools == tuple(t.spec for t in TOOLS)


def test_only_the_tools_that_were_found_are_shown(tmp_path):
    model = Scripted([calling()])
    box = Toolbox(TOOLS, home=tmp_path)
    Planner(model, box, retrieve=lambda request, tools: [spec for spec in tools if spec.name.startswith(request)]).run("mail")
    assert [spec.name for spec in model.seen[0].tools] == ["mail"] and model.seen[0].messages == (Message("user", "mail"),)


def test_an_answer_without_calls_is_a_text(act):
    outcome = act(Message("assistant", "None of these tools can do that."))
    assert (outcome.proposal.text, outcome.results, outcome.failed) == ("None of these tools can do that.", {}, False)


def test_dates_are_resolved_before_anything_runs(act):
    shown = []
    outcome = act(calling(("mail", {"to": ["a@x.org"], "text": "hi", "when": "friday at 3pm"})), show=shown.append)
    assert shown == [outcome.proposal]
    assert outcome.proposal.plan[0].arguments["when"] == "friday at 3pm"
    assert outcome.proposal.resolved[0].arguments["when"] == "2025-11-28 15:00:00"
    assert act.files == {"mail1.txt": "a@x.org: hi (2025-11-28 15:00:00)"}


# --- order --------------------------------------------------------------------------------------------------------------------------


def meeting(guests, log):
    """Tools that wait until so many of them run at once."""
    barrier = threading.Barrier(guests, timeout=20)

    @tool
    def meet(who: str) -> str:
        """Wait for the others.

        Args:
            who: comes
        """
        barrier.wait()
        log.append(who)
        return who

    return meet


def test_a_wave_runs_side_by_side(act):
    # each of the three waits for the other two: one after the other, none would ever end
    log = []
    outcome = act(calling(*(("meet", {"who": who}) for who in "abc")), tools=(meeting(3, log),))
    assert [outcome.results[k].output for k in (1, 2, 3)] == ["a", "b", "c"] and sorted(log) == ["a", "b", "c"]


def test_the_next_wave_waits_for_the_whole_one_before(act):
    log = []
    answer = calling(*(("meet", {"who": who}) for who in ("a", "b", "$1c", "$2d")))
    outcome = act(answer, tools=(meeting(2, log),))
    assert outcome.results[4].output == "bd" and [sorted(log[:2]), sorted(log[2:])] == [["a", "b"], ["ac", "bd"]]


def test_no_more_than_so_many_run_at_once(tmp_path):
    running, most = [], []

    @tool
    def count(who: str) -> str:
        """Count.

        Args:
            who: runs
        """
        running.append(who)
        most.append(len(running))
        running.remove(who)
        return who

    box = Toolbox([count], home=tmp_path)
    Planner(Scripted([calling(*(("count", {"who": str(k)}) for k in range(20)))]), box, parallel=1).run("count")
    assert most == [1] * 20


def test_what_writes_goes_in_the_order_of_the_plan(act):
    # nothing in the data says that the second step needs the first
    notes = [("make_note", {"name": "log", "text": "0"}), *(("add_to_note", {"name": "log", "text": str(k)}) for k in range(1, 9))]
    outcome = act(calling(*notes))
    assert not outcome.failed and act.files == {"log.txt": "0 1 2 3 4 5 6 7 8"}


def test_a_note_is_made_before_it_is_added_to(act):
    # making it waits for an address, adding to it for nothing: by data flow alone it would be added to first
    outcome = act(
        calling(("get_email", {"name": "Ana"}), ("make_note", {"name": "log", "text": "$1"}), ("add_to_note", {"name": "log", "text": "x"}))
    )
    assert not outcome.failed and act.files == {"log.txt": "ana@example.org x"}


def test_a_note_is_read_as_the_plan_left_it(act):
    (act.home / "list.txt").write_text("bread")
    steps = [
        ("add_to_note", {"name": "list", "text": "milk"}),
        ("read_note", {"name": "list"}),
        ("mail", {"to": ["a@x.org"], "text": "$2"}),
    ]
    act(calling(*steps))
    assert act.files["mail1.txt"] == "a@x.org: bread milk"
    act(calling(steps[1], ("mail", {"to": ["a@x.org"], "text": "$1"}), steps[0]))
    assert act.files["mail2.txt"] == "a@x.org: bread milk" and act.files["list.txt"] == "bread milk milk"


def test_a_person_is_asked_when_all_is_looked_up_and_nothing_is_done(act):
    asked = []

    def ask(proposal, results):
        asked.append((len(proposal.plan), {k: r.output for k, r in results.items()}, act.files))

    steps = [("make_note", {"name": "a", "text": "x"}), ("get_email", {"name": "Ana"}), ("mail", {"to": ["$2"], "text": "hi"})]
    act(calling(*steps), ask=ask)
    assert asked == [(3, {2: "ana@example.org"}, {})] and set(act.files) == {"a.txt", "mail1.txt"}


def test_nobody_is_asked_about_what_only_looks(act):
    act(calling(("get_email", {"name": "Ana"})), ask=lambda *_: pytest.fail("asked"))


def test_a_no_while_asking_ends_it(act):
    def ask(proposal, results):
        raise Denied("no")

    with pytest.raises(Denied):
        act(calling(("mail", {"to": ["a@x.org"], "text": "hi"})), ask=ask)
    assert act.files == {}


# --- when something fails -----------------------------------------------------------------------------------------------------------

UNKNOWN = ("get_email", {"name": "Anna"})
KNOWN = ("get_email", {"name": "Ana Souza"})
HELLO = ("mail", {"to": ["$1"], "text": "hi"})


def test_a_failed_step_is_planned_anew_once(act):
    outcome = act(calling(UNKNOWN, HELLO), calling(KNOWN, HELLO))
    assert outcome.replanned and not outcome.failed and act.files == {"mail1.txt": "souza@example.org: hi"}
    first, again = act.model.seen
    assert again.messages[: len(first.messages)] == first.messages
    assert again.messages[len(first.messages) :] == (
        calling(UNKNOWN, HELLO),
        Message("tool", result=ToolResult("1", "", "no contact is called 'Anna'; the nearest: Ana Souza")),
        Message("tool", result=ToolResult("2", "", "not run: step 1 has no result")),
    )


def test_it_is_not_planned_a_third_time(act):
    outcome = act(calling(UNKNOWN), calling(("get_email", {"name": "Anne"})))
    assert len(act.model.seen) == 2 and outcome.replanned and outcome.failed
    assert outcome.proposal.plan[0].arguments == {"name": "Anne"}


@pytest.mark.parametrize("again", [calling(UNKNOWN, HELLO), calling(UNKNOWN), calling(), Message("assistant", "Sorry.")])
def test_the_same_plan_again_is_told_not_run(act, again):
    outcome = act(calling(UNKNOWN, HELLO), again)
    assert not outcome.replanned and outcome.failed and act.files == {}
    assert outcome.results[1].error == "no contact is called 'Anna'; the nearest: Ana Souza"
    assert outcome.proposal.plan == calling(UNKNOWN, HELLO).tool_calls


@pytest.mark.parametrize("error", [InvalidOutput("no plan"), ContextOverflow("too long")])
def test_a_model_that_cannot_plan_anew_does_not_hide_what_happened(tmp_path, error):
    answers = [calling(("make_note", {"name": "a", "text": "x"}), UNKNOWN)]

    def answer(conversation):
        if not answers:
            raise error
        return answers.pop()

    outcome = Planner(Scripted(answer), Toolbox(TOOLS, home=tmp_path, now=NOW, approve=yes)).run("do it")
    assert outcome.results[1].output == "made a" and outcome.failed and not outcome.replanned


def test_what_was_written_is_not_written_again(act):
    note = ("make_note", {"name": "a", "text": "x"})
    outcome = act(calling(note, UNKNOWN), calling(note, KNOWN, ("mail", {"to": ["$2"], "text": "$1"})))
    assert outcome.results[1] == ToolResult("1", "made a") and not outcome.failed  # making it twice would have failed
    assert act.files == {"a.txt": "x", "mail1.txt": "souza@example.org: made a"}


def test_no_is_no_reason_to_plan_anew(act):
    outcome = act(calling(("mail", {"to": ["a@x.org"], "text": "hi"})), approve=lambda request: "not now")
    assert outcome.results[1].error == "not approved: not now" and not outcome.replanned and act.files == {}
    outcome = act(calling(("mail", {"to": ["a@x.org"], "text": "hi"})), policy=Policy(deny=frozenset(["mail"])))
    assert outcome.results[1].error == "not approved: the policy denies mail" and len(act.model.seen) == 1


def test_a_fault_stops_the_whole_plan(act):
    steps = [
        ("make_note", {"name": "a", "text": "x"}),
        ("mail", {"to": ["Ana"], "text": "hi"}),
        ("mail", {"to": ["a@x.org"], "text": "x", "when": "whenever"}),
    ]
    outcome = act(calling(*steps), calling())
    assert act.files == {} and set(outcome.proposal.faults) == {2, 3}
    assert outcome.results[1].error == "not run: another step of the plan is not valid"
    assert "must be an e-mail address" in outcome.results[2].error and "whenever" in outcome.results[3].error


@pytest.mark.parametrize(
    ("steps", "fault"),
    [
        ([("get_mail", {"name": "Ana"})], 'no tool "get_mail"; nearest: "get_email"'),
        ([("get_email", {"nam": "Ana"})], "get_email: missing argument name: of the person; unknown argument nam"),
        ([("get_email", {"name": "$1"})], "step 1 (get_email) refers to its own result $1"),
        ([("mail", {"to": ["$2"], "text": "x"}), ("get_email", {"name": "Ana"})], "step 1 (mail) refers to $2, which comes later"),
    ],
)
def test_the_model_is_told_of_its_faults_and_may_mend_them(act, steps, fault):
    outcome = act(calling(*steps), calling(KNOWN, HELLO))
    assert outcome.replanned and not outcome.failed and act.files == {"mail1.txt": "souza@example.org: hi"}
    told = next(m.result for m in act.model.seen[1].messages if m.result)
    assert told.error.startswith(fault)


# --- loops --------------------------------------------------------------------------------------------------------------------------


def test_the_third_time_is_warned_of_and_the_fifth_is_not_run(act):
    outcome = act(calling(*[("get_email", {"name": "Ana"})] * 4))
    assert outcome.warnings == ("get_email was asked for 3 times with the same arguments",)
    assert [r.output for r in outcome.results.values()] == ["ana@example.org"] * 4
    outcome = act(calling(*[("get_email", {"name": "Ana"})] * 6), calling())
    assert [r.error for r in outcome.results.values()][:4] == [None] * 4
    assert [outcome.results[k].error for k in (5, 6)] == [
        f"not run: get_email was asked for {k} times with the same arguments" for k in (5, 6)
    ]


def test_calls_count_by_what_they_are_filled_with(act):
    # both look-ups give one address, so the same mail is asked for three times
    same = ("mail", {"to": ["$1"], "text": "hi"})
    other = ("mail", {"to": ["$2"], "text": "hi"})
    look_up = ("get_email", {"name": "Ana"})
    assert act(calling(look_up, look_up, same, other, same)).warnings == ("mail was asked for 3 times with the same arguments",)


def test_both_plans_of_a_request_count_together(act):
    ana = ("get_email", {"name": "Ana"})
    outcome = act(calling(ana, ana, UNKNOWN), calling(ana, ana, ana, KNOWN))
    assert outcome.replanned and len(outcome.warnings) == 1
    assert [outcome.results[k].error is None for k in (1, 2, 3, 4)] == [True, True, False, True]  # the fifth of them is step 3


# --- a dry run, a request that is none ----------------------------------------------------------------------------------------------


def test_a_dry_run_changes_nothing(act):
    steps = [("make_note", {"name": "a", "text": "x"}), KNOWN, ("mail", {"to": ["$2"], "text": "hi", "when": "tomorrow"})]
    outcome = act(calling(*steps), dry_run=True)
    assert list(act.home.iterdir()) == []
    assert [r.output for r in outcome.results.values()] == ["(dry run)"] * 3 and not outcome.failed
    assert outcome.proposal.resolved[2].arguments["when"] == "2025-11-25"


@pytest.mark.parametrize(
    ("request_", "complaint"),
    [
        ("", "the request is empty; say what is to be done"),
        (" \n\t", "the request is empty"),
        ("x" * (LONGEST + 1), "the request has 20001 characters; at most 20000 are read. Put long texts in a file or note"),
        ("call \ud800", "the request is no UTF-8 text"),
    ],
)
def test_a_request_that_is_none(tmp_path, request_, complaint):
    model = Scripted([])
    with pytest.raises(UsageError, match=complaint):
        Planner(model, Toolbox(TOOLS, home=tmp_path)).run(request_)
    assert model.seen == []


def test_the_longest_request_is_read(tmp_path):
    model = Scripted([calling()])
    assert Planner(model, Toolbox(TOOLS, home=tmp_path)).run("x" * LONGEST).proposal == Proposal((), seconds=pytest.approx(0, abs=60))


# --- the model that is none ---------------------------------------------------------------------------------------------------------


def test_a_script_has_an_end(tmp_path):
    model = Scripted([calling(), Message("assistant", "two")])
    planner = Planner(model, Toolbox(TOOLS, home=tmp_path))
    assert [planner.run(text).proposal.text for text in "ab"] == ["", "two"]
    with pytest.raises(UsageError, match="the script has no answer left; this is question 3"):
        planner.run("c")


def test_a_function_answers_every_time():
    model = Scripted(lambda conversation: Message("assistant", conversation.messages[-1].content.upper()))
    conversation = Planner(model, Toolbox(TOOLS, home="/nowhere")).conversation("hi")
    assert [m.content for m in model.generate(conversation, n=2)] == ["HI", "HI"] and model.seen == [conversation]
