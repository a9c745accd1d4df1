"""A throw-away home for the demonstration, the tests and the desktop environment: make_demo_home(folder) fills an empty folder.

Twelve contacts (two of them called Maria; addresses and numbers are reserved for fiction), four events, three reminders, four notes, files
with two real PDFs, and a mailbox whose selected message has an attachment. Its calendar follows `now`. What happens there stays there:
.toolagent/offline keeps the tools from the network, whatever is configured.
"""

from __future__ import annotations

import pathlib
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime

import events
import notes
import reminders
from _net import OFFLINE
from _pdf import text_pdf
from _store import aware

from toolagent.tool import Place, ToolFailed, at, now, write_file

ME = "Sam Taylor <sam@example.org>"
PEOPLE = (  # given, family, nickname, mobile, address, title
    ("Sid", "Sharma", "", "+1 202 555 0101", "sid@example.org", ""),
    ("Ana", "Souza", "", "+1 202 555 0102", "ana.souza@example.org", ""),
    ("Lutfi", "Yılmaz", "", "+1 202 555 0103", "lutfi@example.net", ""),
    ("Maria", "Rossi", "", "+44 7700 900104", "maria.rossi@example.org", ""),
    ("Maria", "Kowalska", "Marysia", "+44 7700 900105", "m.kowalska@example.com", ""),
    ("Lan", "Nguyễn Thị", "", "+1 202 555 0106", "lan@example.org", ""),
    ("伟", "李", "Li Wei,Wei", "+1 202 555 0107", "li.wei@example.com", ""),
    ("Zoë", "Müller", "", "+44 7700 900108", "zoe@example.net", "Dr."),
    ("Fatima", "al-Zahra", "", "+1 202 555 0109", "fatima@example.org", ""),
    ("Chidi", "Okafor", "", "+44 7700 900110", "chidi@example.com", ""),
    ("Олена", "Шевченко", "Olena", "+1 202 555 0111", "olena@example.net", ""),
    ("Siobhán", "O'Brien", "Shiv", "+44 7700 900112", "siobhan@example.org", ""),
)
BUDGET = (
    ("Budget for next year", "", "The budget for next year is 48,000 euros, six percent more than this year.",
     "Rent takes 18,000 euros and stays the largest part of the budget.",
     "Travel is cut by a third, because most meetings are held online.", "The new laptops cost 6,500 euros and are bought in January."),
    ("Open questions", "", "The budget for training is not decided yet.", "Ana will ask the bank about the fees by the end of the month."),
)  # fmt: skip
HANDBOOK = (
    ("Travel handbook", "", "Book trains at least two weeks before the trip.", "The office pays for hotels up to 120 euros a night.",
     "Keep every receipt: without a receipt a trip is not paid back.", "Send the receipts to Zoë Müller within ten days of the trip."),
)  # fmt: skip
AGENDA = (("Agenda", "", "The meeting starts with the numbers of the last quarter.", "Then Sid presents the plan for the new office."),)


def make_demo_home(path: str | pathlib.Path, now: datetime | None = None) -> pathlib.Path:
    """Fill an empty or new folder. Returns it. Raises ToolFailed when something is in it."""
    root = pathlib.Path(path).resolve()
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise ToolFailed(f"{root} is not empty; the demonstration home needs a folder of its own")
    root.mkdir(parents=True, exist_ok=True)
    with at(Place(root, now or datetime.now())):
        write_file(OFFLINE, "")
        for person in PEOPLE:
            write_file(f"contacts/{person[4].partition('@')[0]}.vcf", vcard(*person))
        fill_calendar()
        fill_notes()
        write_file("files/Documents/budget.pdf", text_pdf(BUDGET))
        write_file("files/Documents/travel-handbook.pdf", text_pdf(HANDBOOK))
        write_file("files/Documents/guest list.csv", "name,comes\nAna,yes\nChidi,no\n")
        write_file("files/packing list.txt", "passport\ncharger\nrain coat\n")
        fill_mail()
    return root


def vcard(given: str, family: str, nickname: str, phone: str, address: str, title: str) -> str:
    """vCard 3.0. A name in Chinese signs has the family name first."""
    full = f"{family}{given}" if "\u4e00" <= given[0] <= "\u9fff" else f"{given} {family}"
    rows = ["BEGIN:VCARD", "VERSION:3.0", f"UID:{address}", f"FN:{full}", f"N:{family};{given};;{title};"]
    rows += [f"NICKNAME:{nickname}"] if nickname else []
    rows += [f"TEL;TYPE=CELL:{phone}", f"EMAIL;TYPE=INTERNET:{address}", "END:VCARD", ""]
    return "\r\n".join(rows)


def on(days: int, clock: str = "") -> str:
    """The day so many days from now, at a time: what a resolved date looks like."""
    return f"{now() + timedelta(days=days):%Y-%m-%d}" + (f" {clock}:00" if clock else "")


def fill_calendar() -> None:
    events.create_calendar_event("Team stand-up", on(1, "09:30"), on(1, "09:45"), calendar="work")
    events.create_calendar_event("Dentist", on(2, "16:00"), location="12 Harbour Street")
    events.create_calendar_event("Lunch with Ana", on(3, "12:30"), location="Café Sperl", invitees=["ana.souza@example.org"])
    events.create_calendar_event("Office move", on(10), on(11), calendar="work")
    reminders.create_reminder("Water the plants", on(1))
    reminders.create_reminder("Pay the rent", on(5, "10:00"), priority=1)
    reminders.create_reminder("Oat milk", list_name="Groceries")


def fill_notes() -> None:
    notes.create_note("Shopping list", "- bread\n- oranges")
    notes.create_note("Trip ideas", "- ask about the ferry\n- a weekend in Kraków")
    notes.create_note("Project plan", "1. draft by Friday\n2. review with Sid", folder="Work")
    notes.create_note("Wi-Fi", "Guests use the network 'Garden'.", folder="Home")


def fill_mail() -> None:
    write_file("mail/identity", ME + "\n")
    for name, writer, subject, body, hours in (
        ("agenda", "Sid Sharma <sid@example.org>", "Agenda", "Hi Sam,\n\nhere is the agenda. Please bring the budget.\n\nSid", 2),
        ("dinner", "Zoë Müller <zoe@example.net>", "Dinner on Saturday?", "Hello! Dinner at our place on Saturday, at 7?\n\nZoë", 20),
        ("invoice", "Chidi Okafor <chidi@example.com>", "Re: Invoice 1042", "The invoice is paid. Thank you.\n\nChidi", 44),
    ):
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = writer, ME, subject
        message["Date"] = format_datetime(aware(now() - timedelta(hours=hours)))
        message["Message-ID"] = f"<{name}-1@example.org>"
        message.set_content(body + "\n")
        if name == "agenda":
            message.add_attachment(text_pdf(AGENDA), maintype="application", subtype="pdf", filename="agenda.pdf")
        write_file(f"mail/inbox/{name}.eml", message.as_bytes())
    write_file("mail/selected", "agenda.eml\n")
