import pytest
from events import create_calendar_event
from here import link
from lines import one, params, read, values

from toolagent.errors import ToolFailed


def only(folder):
    (file,) = folder.glob("*.ics")
    return file


def test_an_event_with_everything(home):
    (home / "mail").mkdir()
    (home / "mail" / "identity").write_text("Sam Taylor <sam@example.org>\n")
    said = create_calendar_event(
        "Budget; review, part 1",
        "2025-11-28 15:00:00",
        "2025-11-28 16:30:00",
        location="Café Sperl, Wien",
        invitees=["ana@example.org", "sid@example.org", "ANA@example.org"],
        notes="Link: https://meet.example.org/x?a=1,2\nsecond line \\ end",
        calendar="Work",
    )
    file = only(home / "calendar" / "Work")
    assert [v for n, _, v in read(file) if n == "BEGIN"] == ["VCALENDAR", "VEVENT"]
    assert one(file, "SUMMARY") == "Budget; review, part 1"
    assert (one(file, "DTSTART"), one(file, "DTEND")) == ("20251128T150000", "20251128T163000")
    assert one(file, "LOCATION") == "Café Sperl, Wien"
    assert one(file, "DESCRIPTION") == "Link: https://meet.example.org/x?a=1,2\nsecond line \\ end"
    assert values(file, "ATTENDEE") == ["mailto:ana@example.org", "mailto:sid@example.org"]
    assert one(file, "ORGANIZER") == "mailto:sam@example.org"
    assert one(file, "UID") == file.stem
    assert one(file, "DTSTAMP").endswith("Z") and one(file, "VERSION") == "2.0"
    assert said == f"Event 'Budget; review, part 1' from Fri 2025-11-28 15:00 to Fri 2025-11-28 16:30 saved in calendar/Work/{file.name}"


def test_sixty_minutes_and_the_default_calendar(home):
    create_calendar_event("Lunch", "2025-12-31 23:30:00")
    file = only(home / "calendar" / "personal")
    assert (one(file, "DTSTART"), one(file, "DTEND")) == ("20251231T233000", "20260101T003000")
    assert not {"LOCATION", "DESCRIPTION", "ATTENDEE", "ORGANIZER"} & {n for n, _, _ in read(file)}


def test_all_day_ends_the_morning_after_the_last_day(home):
    create_calendar_event("Move", "2025-12-30", "2026-01-01")
    file = only(home / "calendar" / "personal")
    assert (one(file, "DTSTART"), one(file, "DTEND")) == ("20251230", "20260102")
    assert params(file, "DTSTART") == params(file, "DTEND") == {"VALUE": "DATE"}


def test_one_day(home):
    assert "from Fri 2025-11-28 to Fri 2025-11-28 saved" in create_calendar_event("Holiday", "2025-11-28")
    assert one(only(home / "calendar" / "personal"), "DTEND") == "20251129"


def test_a_zone_comes_with_its_rules(home, monkeypatch):
    monkeypatch.setenv("TOOLAGENT_TZ", "Europe/Berlin")
    create_calendar_event("Call", "2025-11-28 15:00:00")
    file = only(home / "calendar" / "personal")
    assert params(file, "DTSTART") == {"TZID": "Europe/Berlin"} and one(file, "DTSTAMP") == "20251124T090000Z"
    assert "VTIMEZONE" in values(file, "BEGIN") and values(file, "TZID") == ["Europe/Berlin"]


def test_an_hour_that_the_clocks_skip(home, monkeypatch):
    monkeypatch.setenv("TOOLAGENT_TZ", "Europe/Berlin")
    with pytest.raises(ToolFailed, match="2026-03-29 02:30:00 does not exist in Europe/Berlin"):
        create_calendar_event("Call", "2026-03-29 02:30:00")


def test_a_zone_that_is_none(home, monkeypatch):
    monkeypatch.setenv("TOOLAGENT_TZ", "Mars/Olympus")
    with pytest.raises(ToolFailed, match="TOOLAGENT_TZ='Mars/Olympus' is no time zone"):
        create_calendar_event("Call", "2025-11-28 15:00:00")


@pytest.mark.parametrize(
    "start, end, says",
    [
        ("2025-11-28 15:00:00", "2025-11-28 14:00:00", "ends .* before it starts"),
        ("2025-11-28 15:00:00", "2025-11-28 15:00:00", "ends .* before it starts"),
        ("2025-11-28", "2025-11-27", "ends .* before it starts"),
        ("2025-11-28 15:00:00", "2025-11-29", "both have a time, or neither"),
        ("2025-11-28", "2025-11-28 16:00:00", "both have a time, or neither"),
        ("next friday", None, "'next friday' is no date"),
        ("2025-02-30", None, "is no date"),
        ("2025-11-28T15:00:00+02:00", None, "zone of its own"),
    ],
)
def test_times_that_cannot_be(home, start, end, says):
    with pytest.raises(ToolFailed, match=says):
        create_calendar_event("Lunch", start, end)
    assert not (home / "calendar").exists()


@pytest.mark.parametrize("bad", ["Ana", "ana@", "a@b@c", "ana@example.org\r\nX: y", "<script>@x.org", "", "ana@exa mple.org"])
def test_invitees_are_addresses(home, bad):
    with pytest.raises(ToolFailed, match="look it up with get_email_address"):
        create_calendar_event("Lunch", "2025-11-28", invitees=[bad])


def test_a_title_of_nothing(home):
    with pytest.raises(ToolFailed, match="the title is empty"):
        create_calendar_event(" \n", "2025-11-28")


def test_no_line_of_a_text_becomes_a_line_of_the_file(home):
    create_calendar_event("Lunch\r\nATTENDEE:mailto:eve@x.org", "2025-11-28", notes="a\r\nEND:VEVENT\x00\x1b[31m")
    file = only(home / "calendar" / "personal")
    assert values(file, "ATTENDEE") == [] and one(file, "SUMMARY") == "Lunch ATTENDEE:mailto:eve@x.org"
    assert one(file, "DESCRIPTION") == "a\nEND:VEVENT[31m"


def test_an_existing_calendar_is_found_folded_or_by_its_display_name(home):
    (home / "calendar" / "work").mkdir(parents=True)
    (home / "calendar" / "7f3a").mkdir()
    (home / "calendar" / "7f3a" / "displayname").write_text("Família")
    create_calendar_event("A", "2025-11-28", calendar="WORK")
    create_calendar_event("B", "2025-11-28", calendar="familia")
    assert one(only(home / "calendar" / "work"), "SUMMARY") == "A" and one(only(home / "calendar" / "7f3a"), "SUMMARY") == "B"


@pytest.mark.parametrize(
    "name, folder", [("../outside", "-outside"), ("/etc", "-etc"), ("CON", "_CON"), ("a/b", "a-b"), ("日本語", "日本語")]
)
def test_a_calendar_name_is_never_a_path(home, name, folder):
    create_calendar_event("A", "2025-11-28", calendar=name)
    assert only(home / "calendar" / folder)
    assert sorted(p.name for p in (home.parent / "outside").iterdir()) == ["secret.txt"]


def test_a_calendar_that_is_a_link_out_of_the_home(home):
    (home / "calendar").mkdir()
    link(home / "calendar" / "work", home.parent / "outside")
    with pytest.raises(ToolFailed, match="outside the home"):
        create_calendar_event("A", "2025-11-28", calendar="work")


def test_a_second_library_reads_it(home):
    vobject = pytest.importorskip("vobject")
    create_calendar_event("Lunch", "2025-11-28 12:00:00", notes="x" * 300)
    event = vobject.readOne(only(home / "calendar" / "personal").read_text(encoding="utf-8")).vevent
    assert event.summary.value == "Lunch" and str(event.dtend.value) == "2025-11-28 13:00:00" and event.description.value == "x" * 300


def test_it_can_be_undone(place):
    create_calendar_event("Lunch", "2025-11-28")
    (entry,) = place.journal.entries
    assert entry["op"] == "write" and entry["before"] is None and len(entry["folders"]) == 2
