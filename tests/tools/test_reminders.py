from lines import one, params, read, values
from reminders import create_reminder


def only(folder):
    (file,) = folder.glob("*.ics")
    return file


def test_a_reminder_with_everything(home):
    said = create_reminder("Pay the rent", "2025-11-28 10:00:00", "IBAN is in the note, as ever", "Haus", 1)
    file = only(home / "reminders" / "Haus")
    assert [v for n, _, v in read(file) if n == "BEGIN"] == ["VCALENDAR", "VTODO", "VALARM"]
    assert values(file, "SUMMARY") == ["Pay the rent"] and one(file, "DUE") == "20251128T100000"
    assert values(file, "DESCRIPTION") == ["IBAN is in the note, as ever", "Pay the rent"]
    assert one(file, "PRIORITY") == "1" and one(file, "STATUS") == "NEEDS-ACTION" and one(file, "UID") == file.stem
    assert params(file, "TRIGGER") == {"RELATED": "END"} and one(file, "TRIGGER") in ("P0D", "PT0S", "P")
    assert said == f"Reminder 'Pay the rent' for Fri 2025-11-28 10:00 saved in reminders/Haus/{file.name}"


def test_only_a_name(home):
    create_reminder("Oat milk")
    file = only(home / "reminders" / "reminders")
    assert not {"DUE", "PRIORITY", "DESCRIPTION", "VALARM"} & {n for n, _, _ in read(file)} and values(file, "BEGIN") == [
        "VCALENDAR",
        "VTODO",
    ]


def test_a_day_without_a_time(home):
    create_reminder("Water the plants", "2025-11-28")
    file = only(home / "reminders" / "reminders")
    assert one(file, "DUE") == "20251128" and params(file, "DUE") == {"VALUE": "DATE"}


def test_all_day_drops_the_time(home):
    create_reminder("Water the plants", "2025-11-28 10:00:00", all_day=True)
    assert one(only(home / "reminders" / "reminders"), "DUE") == "20251128"


def test_all_day_without_a_day_is_today(home):
    create_reminder("Drink water", all_day=True)
    assert one(only(home / "reminders" / "reminders"), "DUE") == "20251124"


def test_a_zone(home, monkeypatch):
    monkeypatch.setenv("TOOLAGENT_TZ", "Asia/Kolkata")
    create_reminder("Call", "2025-11-28 10:00:00")
    assert params(only(home / "reminders" / "reminders"), "DUE") == {"TZID": "Asia/Kolkata"}


def test_unicode(home):
    create_reminder("牛乳を買う 🥛", list_name="買い物")
    assert one(only(home / "reminders" / "買い物"), "SUMMARY") == "牛乳を買う 🥛"
