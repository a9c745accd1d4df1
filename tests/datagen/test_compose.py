"""Each way to make a new request of an old one, worked out by hand; and what holds for all: request and plan stay true to each other."""

import itertools
import random
import re

import pytest

from toolagent.datagen import compose
from toolagent.datagen.compose import Example, spans
from toolagent.datagen.fillers import Filler
from toolagent.datagen.seeds import Banks, Skeleton, load_banks
from toolagent.plan import REFERENCE, early, number, strings
from toolagent.types import ToolCall, ToolSpec

TOY = Banks({
    "person": ("Zoe", "Ida Berg"), "when": ("sunday", "noon"), "when_range": ("2 to 3",), "file": ("map.docx",), "pdf": ("bill.pdf",),
    "phone": ("555 0100",), "email": ("zoe@example.net",), "address": ("1 Quay",), "note": ("Tea",), "event": ("picnic",),
    "message": ("all is well",), "subject": ("news",), "topic": ("birds",), "duration": ("two hours",), "place": ("Oslo",),
})  # fmt: skip
FILLER = Filler(TOY)


class First(random.Random):
    """The dice show these numbers, again and again; every hand takes the first."""

    def __init__(self, *rolls):
        super().__init__(0)
        self.rolls = itertools.cycle(rolls)

    def random(self):
        return next(self.rolls)

    def choice(self, seq):
        return seq[0]

    def sample(self, population, k):
        return list(population)[:k]

    def randint(self, a, b):
        return a

    def randrange(self, a, b=None):
        return 0 if b is None else a


def plan(*calls):
    return number(ToolCall(name, arguments) for name, arguments in calls)


def email(name):
    return "get_email_address", {"name": name}


def phone(name):
    return "get_phone_number", {"name": name}


def mail(to, text, **more):
    return "compose_new_email", {"recipients": to, "subject": "hello", "context": text, **more}


def sms(to, text):
    return "send_sms", {"recipients": to, "message": text}


# --- fill ---------------------------------------------------------------------------------------------------------------------------


def test_a_span_is_replaced_in_the_request_and_in_the_plan():
    skeleton = Skeleton(
        "text Ana that Ana's cake is in Anaheim", plan(phone("Ana"), sms(["$1"], "Ana's cake is in Anaheim")), {"Ana": "person"}
    )
    made = compose.fill(skeleton, FILLER, First(0.5))
    assert made.request == "text Zoe that Zoe's cake is in Anaheim"
    assert made.plan == plan(phone("Zoe"), sms(["$1"], "Zoe's cake is in Anaheim"))
    assert made.frames == (skeleton.frame,)


def test_a_share_of_the_spans_stays():
    skeleton = Skeleton("text Ana hi", plan(phone("Ana")), {"Ana": "person"}, ("chain",))
    assert compose.fill(skeleton, FILLER, First(0.95)) == Example("text Ana hi", skeleton.plan, ("chain",), (skeleton.frame,))


def test_words_that_nobody_marked_may_be_replaced():
    skeleton = Skeleton("note Tips: buy milk", plan(("create_note", {"name": "Tips", "content": "buy milk"})))
    assert compose.fill(skeleton, FILLER, First(0.3)).request == "note Tips: all is well"
    assert compose.fill(skeleton, FILLER, First(0.5)).request == "note Tips: buy milk"


def test_numbers_and_durations_are_numbers_in_the_plan():
    pour = Skeleton("pour 25 cl", plan(("pour", {"cl": 25, "more": [25, 250]})), {"25": "number"})
    made = compose.fill(pour, FILLER, First(0.5))
    assert (made.request, made.plan[0].arguments) == ("pour 10 cl", {"cl": 10, "more": [10, 250]})
    call = Skeleton("zoom for half an hour", plan(("get_zoom_meeting_link", {"duration": 30})), {"half an hour": "duration"})
    made = compose.fill(call, FILLER, First(0.5))
    assert (made.request, made.plan[0].arguments) == ("zoom for two hours", {"duration": 120})


def test_a_path_is_replaced_by_a_path():
    skeleton = Skeleton("sum up ~/a/old.pdf", plan(("summarize_pdf", {"pdf_path": "~/a/old.pdf"})), {"~/a/old.pdf": "pdf"})
    made = compose.fill(skeleton, FILLER, First(0.5))
    assert made.request == "sum up /home/ana/Documents/bill.pdf" and made.plan[0].arguments == {"pdf_path": "/home/ana/Documents/bill.pdf"}


def test_a_span_that_would_take_a_name_with_it_stays():
    event = ("create_calendar_event", {"title": "lunch with Dana", "start_date": "friday", "invitees": ["$1"]})
    skeleton = Skeleton(
        "put lunch with Dana down for friday and invite her", plan(email("Dana"), event), {"friday": "when", "lunch with Dana": "event"}
    )
    made = compose.fill(skeleton, FILLER, First(0.5))
    assert made.request == "put lunch with Dana down for monday and invite her"
    assert made.plan[1].arguments == {"title": "lunch with Dana", "start_date": "monday", "invitees": ["$1"]}


def test_spans_are_whole_words_the_longest_first():
    assert compose.spans(["Ana", "Ana B.", "5"]).findall("Ana, Ana B., Anaïs, Banana, 5 and 55") == ["Ana", "Ana B.", "5"]


def test_minutes_of_a_phrase():
    said = {"two and a half hours": 150, "45 min": 45, "an hour": 60, "a while": None}
    assert {text: compose.minutes_of(text) for text in said} == said


def test_a_path_of_a_file():
    assert compose.path_of("my plan.pdf", First(0.5)) == "/home/ana/Documents/my_plan.pdf"


# --- recipients ---------------------------------------------------------------------------------------------------------------------


def test_a_stated_address_needs_no_look_up():
    example = Example("mail Ana hi", plan(email("Ana"), mail(["$1"], "hi")))
    made = compose.literal_instead(example, FILLER, First(0.4))
    assert (made.request, made.plan) == ("mail zoe@example.net hi", number([ToolCall(*mail(["zoe@example.net"], "hi"))]))


def test_later_steps_move_up_when_a_look_up_goes():
    example = Example("mail Ana bill.pdf, text Bo", plan(email("Ana"), ("open_and_get_file_path", {"file_name": "bill.pdf"}), phone("Bo"),
                      mail(["$1"], "hi", attachments=["$2"]), sms(["$3"], "sent")))  # fmt: skip
    made = compose.literal_instead(example, FILLER, First(0.4))
    assert made.plan == plan(("open_and_get_file_path", {"file_name": "bill.pdf"}), phone("Bo"),
                             mail(["zoe@example.net"], "hi", attachments=["$1"]), sms(["$2"], "sent"))  # fmt: skip


@pytest.mark.parametrize(
    ("request_", "steps"),
    [
        ("mail Ana's boss hi", plan(email("Ana"), mail(["$1"], "hi"))),  # whose address would "x@y.org's" be?
        ("mail Ana, and text Ana", plan(email("Ana"), mail(["$1"], "hi"))),
        ("mail Ana hi", plan(email("Ana"), mail(["$1"], "hi Ana"))),  # her name is needed elsewhere
        ("mail Bo Ana's address", plan(email("Ana"), sms(["1"], "it is $1"))),  # told in a text
        ("mail Ana hi", plan(email("Ana"), phone("Ana"), mail(["$1"], "hi"))),
        ("who is Ana", plan(email("Ana"))),
    ],
)
def test_where_a_stated_address_would_say_something_else(request_, steps):
    example = Example(request_, steps)
    assert compose.literal_instead(example, FILLER, First(0.4)) is example


def test_only_whole_references_stand_alone():
    assert compose.alone({"to": ["$1", "$12"], "text": "see $12"}, 1)
    assert not compose.alone({"text": "see $1"}, 1)


def test_one_recipient_becomes_two():
    example = Example("mail Ana hi", plan(email("Ana"), mail(["$1"], "hi")))
    made = compose.more_people(example, FILLER, First(0.5))
    assert (made.request, made.plan) == ("mail Ana and Zoe hi", plan(email("Ana"), email("Zoe"), mail(["$1", "$2"], "hi")))


def test_others_keep_their_place_when_recipients_grow():
    steps = plan(phone("Bo"), email("Ana"), mail(["$2"], "hi", cc=["$2"]), sms(["$1"], "mailed"))
    made = compose.more_people(Example("mail Ana hi, text Bo's", steps), FILLER, First(0.5))
    assert made.plan == plan(phone("Bo"), email("Ana"), email("Zoe"), mail(["$2", "$3"], "hi", cc=["$2", "$3"]), sms(["$1"], "mailed"))


@pytest.mark.parametrize(
    ("request_", "steps"),
    [
        ("give me Ana's address", plan(email("Ana"), mail(["$1"], "hi"))),
        ("note the address of Ana", plan(email("Ana"), ("create_note", {"name": "Ana, address", "content": "$1"}))),
        ("mail Zoe Ana's news", plan(email("Ana"), mail(["$1"], "hi"))),
        ("mail Ana hi and Zoe", plan(email("Ana"), mail(["$1"], "hi"))),  # the one who would be added is there already
        ("who is Ana", plan(email("Ana"))),
    ],
)
def test_where_recipients_do_not_grow(request_, steps):
    example = Example(request_, steps)
    assert compose.more_people(example, FILLER, First(0.5)) is example


# --- several requests in one breath -------------------------------------------------------------------------------------------------


def test_two_requests_become_one():
    first = Example("Text Ana hi.", plan(phone("Ana"), sms(["$1"], "hi")), ("sms",), ("text <person> hi",))
    second = Example(
        "Call it a day: mail Ana and text her too", plan(email("Ana"), phone("Ana"), mail(["$1"], "x"), sms(["$2"], "too")), (), ("b",)
    )
    made = compose.join([first, second], First(0.5))
    assert made.request == "Text Ana hi, and call it a day: mail Ana and text her too"
    assert made.plan == plan(
        phone("Ana"), sms(["$1"], "hi"), email("Ana"), mail(["$3"], "x"), sms(["$1"], "too")
    )  # one look-up of her number
    assert (made.tags, made.frames) == (("composed", "sms"), ("text <person> hi", "b"))


def test_what_writes_is_done_twice():
    twice = compose.join([Example("text 5 hi", plan(sms(["5"], "hi")))] * 2, First(0.5))
    assert (twice.request, len(twice.plan)) == ("text 5 hi, and text 5 hi", 2)


def test_a_request_in_numbers():
    made = compose.join([Example("text 5 hi.", plan(sms(["5"], "hi"))), Example("Stop.", ())], First(0.01))
    assert made.request == "1) text 5 hi 2) Stop."


@pytest.mark.parametrize(
    ("first", "second", "joined"),
    [
        ("Text him 'on my way!'", "Open it", "Text him 'on my way!', and open it"),
        ("text him happy birthday!", "Open it", "text him happy birthday! Open it"),  # "!" belongs to the message
        ("See you at 4 p.m..", "Open it", "See you at 4 p.m. Open it"),
        ("Is it far?", "Open it", "Is it far? Open it"),
        ("Stop!!", "NASA calls", "Stop, and NASA calls"),
        ("Stop", "I am late", "Stop, and I am late"),
        ("Stop", "Okafor's mail, please", "Stop, and Okafor's mail, please"),
    ],
)
def test_how_sentences_meet(first, second, joined):
    steps = plan(sms(["5"], "happy birthday!"), ("create_reminder", {"name": "x", "due_date": "at 4 p.m."}), email("Okafor"))
    assert compose.join([Example(first, steps), Example(second, steps)], First(0.7)).request == joined


# --- manners of speech --------------------------------------------------------------------------------------------------------------

TEXT_ANA = Example("Text Ana that lunch moved.", plan(phone("Ana"), sms(["$1"], "lunch moved")))


def test_typos_leave_the_words_of_the_plan_alone():
    rng = random.Random(0)
    for _ in range(50):
        made = compose.typos(TEXT_ANA, rng)
        assert re.fullmatch(r"\w{3,5} Ana \w{3,5} lunch moved\.", made.request) and made.plan == TEXT_ANA.plan
    assert compose.typos(TEXT_ANA, First(0)).request == "Txt Ana that lunch moved."


def test_what_noise_must_not_touch():
    example = Example("text Ana: Ana, lunch at 5, ok", plan(phone("Ana"), sms(["$1"], "lunch at 5")))
    #                  0    5    10   15    20
    assert sorted(set(compose.fixed(example))) == [(5, 8), (10, 13), (15, 20), (15, 25), (24, 25)]
    assert compose.holds_start(Example("lunch moved, tell Ana", example.plan)) and not compose.holds_start(example)
    assert compose.holds_end(Example("tell Ana", example.plan)) and not compose.holds_end(example)


def test_letter_case_goes_through_request_and_plan():
    code = Example("Text Ana a map, by car", plan(phone("Ana"), sms(["$1"], "a map"), ("go", {"by": "d", "how": "Fast"})))
    assert compose.in_case(code, str.upper) == Example(
        "TEXT ANA A MAP, BY CAR", plan(phone("ANA"), sms(["$1"], "A MAP"), ("go", {"by": "d", "how": "Fast"}))
    )


def test_dictation_has_no_punctuation():
    assert compose.dictated(Example("Well, text Ana: lunch! Now.", plan(phone("Ana"))), First(0)).request == "Well text Ana lunch Now"
    held = Example("Text him: come, now.", plan(sms(["5"], "come, now")))
    assert compose.dictated(held, First(0)) is held


def test_noise_before_and_after():
    assert compose.noisy(TEXT_ANA, First(0.5)) == TEXT_ANA
    as_it_is = (0.5, 0.5, 0.5)  # no other words, nothing said beside, no word left out
    assert compose.noisy(TEXT_ANA, First(*as_it_is, 0.1, 0.5, 0.5, 0.5, 0.5)).request == "please text Ana that lunch moved."
    made = compose.noisy(TEXT_ANA, First(*as_it_is, 0.5, 0.05, 0.11, 0.5, 0.5))  # an ending, in lower case
    assert (made.request, made.plan) == ("text ana that lunch moved please", plan(phone("ana"), sms(["$1"], "lunch moved")))


def test_other_words_for_those_that_no_argument_holds():
    assert compose.reworded(TEXT_ANA, First(0)).request == "Sms Ana that lunch moved."
    asked = Example("PLEASE text Ana: please open it", plan(phone("Ana"), sms(["$1"], "please open it")))
    assert compose.reworded(asked, First(0)).request == "KINDLY sms Ana: please open it"
    assert compose.reworded(asked, First(0.9)) == asked


def test_small_words_left_out():
    asked = Example("text Ana that the map is on the desk, and tell me", plan(phone("Ana"), sms(["$1"], "the map is on the desk")))
    assert compose.clipped(asked, First(0)).request == "text Ana the map is on the desk, tell"


def test_something_said_beside_the_request():
    first = compose.asides()[0]
    two = Example("Text Ana that lunch moved. Thanks", TEXT_ANA.plan)
    assert compose.with_aside(two, First(0)).request == f"Text Ana that lunch moved. {first}. Thanks"
    assert compose.with_aside(TEXT_ANA, First(0.5)).request == f"{first}. Text Ana that lunch moved."
    assert compose.with_aside(Example("text Ana that lunch moved now", TEXT_ANA.plan), First(0.9)).request.endswith(f" now. {first}")
    held = Example("text Ana that lunch moved", TEXT_ANA.plan)  # what follows it would be heard as its end
    assert compose.with_aside(held, First(0.9)) is held


def test_the_end_of_a_sentence_is_not_the_end_of_a_message():
    assert compose.unended(Example("say hi!!", plan(sms(["5"], "hi!")))) == "say hi!"
    assert compose.unended(Example("say hi! .", plan(sms(["5"], "hi")))) == "say hi"
    assert compose.unended(Example("...", ())) == ""


def test_a_time_said_wrong_first():
    example = Example("remind me at 5 to go", plan(("create_reminder", {"name": "go", "due_date": "at 5"})))
    made = compose.corrected(example, First(0))
    assert made.request == "remind me 1am no sorry at 5 to go" and made.plan == example.plan


def test_a_time_that_stands_in_a_message_is_not_corrected():
    both = Example(
        "text 5 see you at 5, note it", plan(sms(["5"], "see you at 5"), ("create_reminder", {"name": "go", "due_date": "at 5"}))
    )
    assert compose.corrected(both, First(0)) is both


# --- one way to write a plan --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "bare"),
    [
        ("on friday", "friday"), ("at 5", "5"), ("by noon", "noon"), ("for the 3rd", "the 3rd"), ("friday", "friday"),
        ("from 2 to 3", "from 2 to 3"), ("from 2 on friday", "2 on friday"), ("in two hours", "in two hours"), ("on", "on"), ("$1", "$1"),
    ],
)  # fmt: skip
def test_dates_without_their_preposition(said, bare):
    found = compose.bare_dates(plan(("create_reminder", {"name": "on fire", "due_date": said})))
    assert found[0].arguments == {"name": "on fire", "due_date": bare}


def test_arguments_in_the_order_of_their_schema():
    found = compose.argument_order(plan(("f", {"z": 1, "b": 2, "a": 3}), ("g", {"y": 1, "x": 2})), {"f": ("a", "b", "c")})
    assert [list(call.arguments) for call in found] == [["a", "b", "z"], ["y", "x"]]


def test_a_choice_is_written_as_the_schema_does():
    van = {"type": "string", "enum": ["Van", "CargoBike"]}
    spec = ToolSpec(
        "ride", "", {"type": "object", "properties": {"by": van, "all": {"type": "array", "items": van}, "note": {"type": "string"}}}
    )
    found = compose.coded(plan(("ride", {"by": "van", "all": ["CARGOBIKE", "foot"], "note": "van"}), ("walk", {"by": "van"})), [spec])
    assert [call.arguments for call in found] == [{"by": "Van", "all": ["CargoBike", "foot"], "note": "van"}, {"by": "van"}]


def test_ids_and_order_of_use():
    made = compose.canonical_plan(Example("x", (ToolCall("a"), ToolCall("b"), ToolCall("c", {"x": ["$2", "$1"]}))))
    assert made.plan == plan(("b", {}), ("a", {}), ("c", {"x": ["$1", "$2"]}))


# --- over the seeds -----------------------------------------------------------------------------------------------------------------


def runs(example):
    """The values of the plan, and whether each is a run of whole words of the request."""
    values = [text for call in example.plan for text in strings(call.arguments) if not REFERENCE.search(text) and len(text) > 1]
    return len(values), sum(bool(spans([text]).search(example.request)) for text in values)


def test_filling_keeps_every_run_of_the_request(desktop, elsewhere):
    filler, rng = Filler(load_banks()), random.Random(1)
    for skeleton in (*desktop[::6], *elsewhere):
        made = compose.fill(skeleton, filler, rng)
        for old, new in zip(skeleton.plan, made.plan, strict=True):
            for before, after in zip(strings(old.arguments), strings(new.arguments), strict=True):
                if not REFERENCE.search(before) and len(before) > 1 and spans([before]).search(skeleton.request):
                    assert after in made.request, (skeleton.request, made.request, before, after)


def test_no_manner_of_speech_loses_a_word_of_the_plan(desktop):
    filler, rng = Filler(load_banks()), random.Random(2)
    ways = {
        "literal": lambda e: compose.literal_instead(e, filler, rng),
        "people": lambda e: compose.more_people(e, filler, rng),
        "corrected": lambda e: compose.corrected(e, rng),
        "noisy": lambda e: compose.noisy(e, rng),
        "typos": lambda e: compose.typos(e, rng),
        "reworded": lambda e: compose.reworded(e, rng),
        "clipped": lambda e: compose.clipped(e, rng),
        "aside": lambda e: compose.with_aside(e, rng),
        "dictated": lambda e: compose.dictated(e, rng),
        "lower": lambda e: compose.in_case(e, str.lower),
        "upper": lambda e: compose.in_case(e, str.upper),
    }
    changed = dict.fromkeys(ways, 0)
    for skeleton in desktop[::8]:
        example = compose.fill(skeleton, filler, rng)
        values, held = runs(example)
        for name, way in ways.items():
            made = way(example)
            changed[name] += made != example
            assert runs(made)[0] - runs(made)[1] <= values - held, (name, example.request, made.request)
            assert not early(number(made.plan))
    assert all(changed.values())


def test_joining_loses_no_word_of_the_plan(desktop):
    filler, rng = Filler(load_banks()), random.Random(3)
    seeds = [s for s in desktop if s.plan and "\n" not in s.request]
    for _ in range(250):
        parts = [compose.fill(rng.choice(seeds), filler, rng) for _ in range(rng.choice((2, 3)))]
        made = compose.join(parts, rng)
        apart = sum(values - held for values, held in map(runs, parts))
        assert runs(made)[0] - runs(made)[1] <= apart, made.request
        assert not early(number(made.plan))
