import re

import pytest
from meetings import get_zoom_meeting_link

from toolagent.errors import ToolFailed


def test_a_room_of_its_own_each_time(home):
    first, second = (get_zoom_meeting_link("Büdget review: Q1/Q2!", "2025-11-28 15:00:00", 60, ["ana@example.org"]) for _ in range(2))
    assert re.fullmatch(r"https://meet\.jit\.si/budget-review-q1-q2-[0-9a-f]{18}", first) and first != second
    assert not any(home.iterdir()), "a link leaves no trace"


def test_a_topic_without_latin_letters(home):
    assert re.fullmatch(r"https://meet\.jit\.si/meeting-[0-9a-f]{18}", get_zoom_meeting_link("予算会議", "2025-11-28 15:00:00", 30))


def test_a_template_and_a_fixed_room(home, monkeypatch):
    monkeypatch.setenv("TOOLAGENT_MEETING_URL", "https://jitsi.example.org/{slug}/{token}?x={0}")
    assert re.fullmatch(r"https://jitsi\.example\.org/rota/[0-9a-f]{18}\?x=\{0\}", get_zoom_meeting_link("rota", "2025-11-28", 60))
    monkeypatch.setenv("TOOLAGENT_MEETING_URL", "https://zoom.us/j/1234567890")
    assert get_zoom_meeting_link("rota", "2025-11-28", 60) == "https://zoom.us/j/1234567890"


def test_what_cannot_be(home, monkeypatch):
    for minutes in (0, -5, 1441):
        with pytest.raises(ToolFailed, match="the duration must be 1 to 1440"):
            get_zoom_meeting_link("rota", "2025-11-28", minutes)
    with pytest.raises(ToolFailed, match="no e-mail address"):
        get_zoom_meeting_link("rota", "2025-11-28", 60, ["Ana"])
    monkeypatch.setenv("TOOLAGENT_MEETING_URL", "javascript:alert(1)")
    with pytest.raises(ToolFailed, match="must start with https://"):
        get_zoom_meeting_link("rota", "2025-11-28", 60)
