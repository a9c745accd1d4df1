"""Plans that are trained on can be carried out: each in a home of its own, for real."""

import os
import random

import pytest

from toolagent.datagen.execute import NOW, at_home, running, runs_in_home
from toolagent.datagen.seeds import Skeleton, split
from toolagent.plan import number
from toolagent.toolbox import Toolbox
from toolagent.types import ToolCall


def plan(*calls):
    return number(ToolCall(name, arguments) for name, arguments in calls)


def phone(name):
    return "get_phone_number", {"name": name}


def sms(to, text):
    return "send_sms", {"recipients": to, "message": text}


def reminder(name, **more):
    return "create_reminder", {"name": name, **more}


@pytest.mark.parametrize(
    "steps",
    [
        plan(
            phone("Dr. O'Brien, the dentist; really"), phone("李伟"), phone("Ana"), phone("Ana Souza"), sms(["$1", "$2", "$3", "$4"], "hi")
        ),
        plan(("open_and_get_file_path", {"file_name": "budget draft"}), ("summarize_pdf", {"pdf_path": "$1"}), sms(["555 0100"], "$2")),
        plan(
            ("summarize_pdf", {"pdf_path": r"C:\Papers\old\a b.pdf"}),
            ("reply_to_email", {"context": "$1", "attachments": ["~/x/photo.jpg", "/srv/y.docx"]}),
        ),
        plan(
            ("open_and_get_file_path", {"file_name": "~/Downloads/list.m3u"}),
            ("forward_email", {"recipients": ["a@x.org"], "attachments": ["$1"]}),
        ),
        plan(("open_note", {"name": "Tea", "folder": "Home"}), ("append_note_content", {"name": "tea", "folder": "Home", "content": "$1"})),
        plan(
            ("create_note", {"name": "Log", "content": "one", "folder": "Work"}), ("append_note_content", {"name": "Log", "content": "two"})
        ),
        plan(
            ("create_calendar_event", {"title": "x", "start_date": "friday 2-3pm", "location": "y", "invitees": ["b@x.org"], "notes": "z"})
        ),
        plan(reminder("water the plants", due_date="in 20 minutes", list_name="Home", priority=1)),
        plan(("maps_show_directions", {"end_location": "Oslo", "transport": "r"}), ("maps_open_location", {"location": "Bergen"})),
        (),
    ],
    ids=lambda steps: ",".join(call.name for call in steps) or "nothing",
)
def test_what_a_plan_mentions_is_there(pack, steps):
    assert runs_in_home(steps, pack) is None


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        (
            plan(phone("Ana"), reminder("x", due_date="when pigs fly")),
            "step 2 (create_reminder): create_reminder: argument due_date: 'when pigs fly'",
        ),
        (plan(reminder("x", priority=3)), "step 1 (create_reminder): create_reminder: argument priority must be one of 0, 1, 5, 9, not 3"),
        (plan(sms(["$2"], "hi"), phone("Ana")), "step 1 (send_sms) refers to $2, which comes later"),
        (plan(phone("Ana"), sms(["$1", "a friend"], "hi")), "step 2 (send_sms): 'a friend' is no phone number"),
        (
            plan(("create_note", {"name": "a", "content": "b"}), ("create_note", {"name": "A", "content": "c"})),
            "step 2 (create_note): a note called",
        ),
        (plan(("dance", {})), "step 1 (dance): no tool"),
    ],
)
def test_a_plan_that_cannot_run_says_where_and_why(pack, steps, reason):
    assert (runs_in_home(steps, pack) or "").startswith(reason)


def test_paths_move_below_the_home(pack):
    tool = next(tool for tool in pack.tools if tool.name == "compose_new_email")
    call = ToolCall("compose_new_email", {"context": "see ~/a.pdf", "attachments": ["~/a.pdf", "../b.pdf", r"D:\c\d.pdf", "$1"]})
    assert at_home(call, tool.spec).arguments == {
        "context": "see ~/a.pdf",
        "attachments": ["files/a.pdf", "files/b.pdf", "files/D/c/d.pdf", "$1"],
    }


def test_nothing_of_the_user_is_used_or_left_behind(pack, tmp_path, monkeypatch):
    monkeypatch.setenv("TOOLAGENT_HOME", str(tmp_path))
    monkeypatch.setenv("TOOLAGENT_MEETING_URL", "ftp://not-a-web-address")  # a tool that read it would fail
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    zoom = ("get_zoom_meeting_link", {"topic": "x", "start_time": "friday", "duration": 30})
    assert runs_in_home(plan(zoom, reminder("x")), pack) is None
    assert list(tmp_path.iterdir()) == [] and os.environ["TOOLAGENT_HOME"] == str(tmp_path)


def test_a_sentence_is_run_once(pack, monkeypatch):
    ran = []
    call = Toolbox.call
    monkeypatch.setattr(Toolbox, "call", lambda self, *args: ran.append(args[0].name) or call(self, *args))
    good = [Skeleton(f"what is {name}'s number", plan(phone(name)), {name: "person"}) for name in ("Ana", "Bo")]
    bad = Skeleton("remind me later", plan(reminder("x", due_date="later, maybe")))
    foreign = Skeleton("pour it", plan(("pour", {})), pack="bar", tools=())
    known = {"never run me": "it failed before"}
    running_, failing = running([*good, bad, bad, foreign, Skeleton("never run me", ())], pack, known)
    assert running_ == [*good, foreign] and [s for s, _ in failing] == [bad, bad, Skeleton("never run me", ())]
    assert ran == ["get_phone_number", "create_reminder"]
    assert known[good[0].frame] is None and "later, maybe" in str(known[bad.frame])


def test_a_sample_of_the_training_seeds_runs(pack, desktop):
    training, _ = split([s for s in desktop if s.plan])
    sample = random.Random(0).sample(training, 120)
    _, failing = running(sample, pack)
    assert [(s.request, reason) for s, reason in failing] == []
    assert len({call.name for s in sample for call in s.plan}) == len(pack.tools)  # each tool is among them
    assert NOW.year == 2026  # the year that the seeds speak of
