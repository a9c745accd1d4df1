import json
from urllib.parse import parse_qs, urlsplit

import pytest
from sms import send_sms

from toolagent.errors import ToolFailed


def test_a_draft(home):
    said = send_sms(["+44 7700 900110", "(202) 555-0101", "+44 7700 900110"], "running late & sorry\nsee you 🙂")
    (file,) = (home / "sms").iterdir()
    draft = json.loads(file.read_bytes())
    assert draft["recipients"] == ["+44 7700 900110", "(202) 555-0101"] and draft["message"] == "running late & sorry\nsee you 🙂"
    assert draft["created"] == "2025-11-24 10:00:00" and file.name == "2025-11-24 10.00 +44 7700 900110.json"
    link = urlsplit(draft["link"])
    assert (link.scheme, link.path, parse_qs(link.query)) == (
        "sms",
        "+447700900110,2025550101",
        {"body": ["running late & sorry\nsee you 🙂"]},
    )
    assert said == f"Text message to +44 7700 900110, (202) 555-0101 drafted in sms/{file.name}"


def test_two_messages_are_two_files(home):
    send_sms(["+12025550101"], "one")
    send_sms(["+12025550101"], "two")
    assert sorted(json.loads(f.read_bytes())["message"] for f in (home / "sms").iterdir()) == ["one", "two"]


@pytest.mark.parametrize("bad", ["Ana", "", "ana@example.org", "+", "12ab34", "+1 202\n555", "1" * 60])
def test_a_name_is_no_number(home, bad):
    with pytest.raises(ToolFailed, match="is no phone number; look it up with get_phone_number"):
        send_sms(["+12025550101", bad], "hi")
    assert not (home / "sms").exists()


def test_nobody_and_nothing(home):
    with pytest.raises(ToolFailed, match="at least one recipient"):
        send_sms([], "hi")
    with pytest.raises(ToolFailed, match="the message is empty"):
        send_sms(["+12025550101"], " \x00")
