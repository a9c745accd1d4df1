from pathlib import Path

import pypdf
import pytest
from _demo_home import make_demo_home
from contacts import get_email_address
from here import NOW
from lines import one

from toolagent.errors import ToolFailed


def test_what_is_in_it(demo):
    count = {
        name: sum(1 for p in (demo / name).rglob("*") if p.is_file()) for name in ("contacts", "calendar", "reminders", "notes", "files")
    }
    assert count == {"contacts": 12, "calendar": 4, "reminders": 3, "notes": 4, "files": 4}
    assert sorted(p.name for p in (demo / "mail" / "inbox").iterdir()) == ["agenda.eml", "dinner.eml", "invoice.eml"]
    assert (demo / "mail" / "selected").read_text().strip() == "agenda.eml"
    assert get_email_address("Sid") and get_email_address("Ana")


def test_its_pdfs_are_read_strictly(demo):
    pages = [len(pypdf.PdfReader(path, strict=True).pages) for path in sorted((demo / "files").rglob("*.pdf"))]
    assert pages == [2, 1]


def test_its_calendar_follows_the_clock(demo):
    starts = {one(p, "SUMMARY"): one(p, "DTSTART") for p in (demo / "calendar").rglob("*.ics")}
    assert starts == {
        "Team stand-up": "20251125T093000", "Dentist": "20251126T160000", "Lunch with Ana": "20251127T123000", "Office move": "20251204",
    }  # fmt: skip


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ToolFailed, match="is not empty"):
        make_demo_home(tmp_path, NOW)
    with pytest.raises(ToolFailed, match="is not empty"):
        make_demo_home(tmp_path / "mine.txt", NOW)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_a_new_folder_is_made(tmp_path):
    assert make_demo_home(tmp_path / "a" / "b") == Path(tmp_path / "a" / "b").resolve()
