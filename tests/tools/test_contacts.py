import re

import pytest
from contacts import get_email_address, get_phone_number
from here import link

from toolagent.errors import ToolFailed


def card(home, file, text):
    (home / "contacts").mkdir(exist_ok=True)
    (home / "contacts" / file).write_text("BEGIN:VCARD\nVERSION:3.0\n" + text + "\nEND:VCARD\n", encoding="utf-8")


@pytest.mark.parametrize(
    "name, address",
    [
        ("Sid", "sid@example.org"),
        ("sid sharma", "sid@example.org"),
        ("Sharma", "sid@example.org"),
        ("Sid's", "sid@example.org"),
        ("Maria Rossi", "maria.rossi@example.org"),
        ("Rossi, Maria", "maria.rossi@example.org"),
        ("Marysia", "m.kowalska@example.com"),
        ("Lutfi Yilmaz", "lutfi@example.net"),
        ("Dr. Müller", "zoe@example.net"),
        ("zoe muller", "zoe@example.net"),
        ("nguyen thi lan", "lan@example.org"),
        ("李伟", "li.wei@example.com"),
        ("Wei", "li.wei@example.com"),
        ("Олена", "olena@example.net"),
        ("Olena", "olena@example.net"),
        ("Siobhan O’Brien", "siobhan@example.org"),
        ("Fatima al Zahra", "fatima@example.org"),
    ],
)
def test_a_person_is_found_whatever_the_accents(demo, name, address):
    assert get_email_address(name) == address


def test_the_number_is_the_one_in_the_file(demo):
    raw = (demo / "contacts" / "chidi.vcf").read_text(encoding="utf-8")
    assert get_phone_number("Chidi") == re.search(r"^TEL;TYPE=CELL:(.*)$", raw, re.M)[1] == "+44 7700 900110"


def test_two_of_a_name_are_a_question(demo):
    with pytest.raises(ToolFailed, match="2 contacts are called 'Maria': Maria Kowalska, Maria Rossi. Ask"):
        get_phone_number("Maria")


def test_a_full_name_wins_over_first_names(home):
    card(home, "a.vcf", "FN:Ana\nN:;Ana;;;\nEMAIL:ana@example.org")
    card(home, "b.vcf", "FN:Ana Souza\nN:Souza;Ana;;;\nEMAIL:souza@example.org")
    assert get_email_address("Ana") == "ana@example.org"


def test_the_same_person_twice_is_no_question(home):
    card(home, "a.vcf", "FN:Ana Souza\nN:Souza;Ana;;;\nEMAIL:ana@example.org")
    card(home, "b.vcf", "FN:Ana Souza\nN:Souza;Ana;;;\nEMAIL:ana@example.org")
    assert get_email_address("Ana") == "ana@example.org"


@pytest.mark.parametrize("name", ["Sidd", "Mario", "Ann", "An", "example", "", "???", "Sid Kapoor"])
def test_who_only_looks_similar_gets_nothing(demo, name):
    with pytest.raises(ToolFailed, match="no contact is called"):
        get_email_address(name)


def test_the_nearest_names_are_told(demo):
    with pytest.raises(ToolFailed, match=r"no contact is called .Shivaun O'Brien.; the nearest: Siobhán O'Brien"):
        get_email_address("Shivaun O'Brien")
    with pytest.raises(ToolFailed, match="no contact is called 'Q'$"):
        get_email_address("Q")


def test_preferred_then_mobile_then_the_rest_and_a_fax_last(home):
    card(home, "a.vcf", "FN:Ana\nTEL;TYPE=FAX:1111\nTEL;TYPE=HOME:2222\nTEL;TYPE=CELL:3333\nEMAIL:a@x.org\nEMAIL;TYPE=PREF:b@x.org")
    card(home, "b.vcf", "FN:Bo\nTEL;TYPE=CELL:3333\nTEL;TYPE=WORK,PREF:4444")
    card(home, "c.vcf", "FN:Cy\nTEL;TYPE=FAX:1111\nTEL:2222")
    assert [get_phone_number(n) for n in ("Ana", "Bo", "Cy")] == ["3333", "4444", "2222"]
    assert get_email_address("Ana") == "b@x.org"


def test_version_4_with_tel_uris(home):
    (home / "contacts").mkdir()
    text = (
        "BEGIN:VCARD\nVERSION:4.0\nFN:Ana\nTEL;VALUE=uri;PREF=2:tel:+1-202-555-0100\nTEL;VALUE=uri;PREF=1:tel:+1-202-555-0101\nEND:VCARD\n"
    )
    (home / "contacts" / "a.vcf").write_text(text)
    assert get_phone_number("Ana") == "+1-202-555-0101"


def test_someone_without_a_number(home):
    card(home, "a.vcf", "FN:Ana Souza\nN:Souza;Ana;;;\nEMAIL:ana@example.org")
    with pytest.raises(ToolFailed, match="Ana Souza has no phone number"):
        get_phone_number("Ana")


def test_many_cards_in_one_file_and_a_broken_neighbour(home):
    card(home, "all.vcf", "FN:Ana\nEMAIL:ana@x.org\nEND:VCARD\nBEGIN:VCARD\nVERSION:3.0\nFN:Bo\nEMAIL:bo@x.org")
    (home / "contacts" / "broken.vcf").write_bytes(b"BEGIN:VCARD\nFN:\xff\xfe\n")
    (home / "contacts" / "empty.vcf").write_bytes(b"")
    assert get_email_address("Bo") == "bo@x.org"


def test_a_changed_file_is_read_again(home):
    card(home, "a.vcf", "FN:Ana\nEMAIL:old@x.org")
    assert get_email_address("Ana") == "old@x.org"
    card(home, "a.vcf", "FN:Ana\nEMAIL:new-one@x.org")
    assert get_email_address("Ana") == "new-one@x.org"


def test_a_link_out_of_the_home_is_not_followed(home):
    (home.parent / "outside" / "eve.vcf").write_text("BEGIN:VCARD\nVERSION:3.0\nFN:Eve\nEMAIL:eve@x.org\nEND:VCARD\n")
    (home / "contacts").mkdir()
    link(home / "contacts" / "eve.vcf", home.parent / "outside" / "eve.vcf")
    with pytest.raises(ToolFailed, match="no contact"):
        get_email_address("Eve")


def test_a_card_of_an_old_telephone(home):
    """vCard 2.1: bare types, quoted-printable, CRLF."""
    (home / "contacts").mkdir()
    rows = ["BEGIN:VCARD", "VERSION:2.1", "N;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:M=C3=BCller;Zo=C3=AB;;;"]
    rows += ["FN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:Zo=C3=AB M=C3=BCller", "TEL;HOME:1111", "TEL;CELL:2222", "END:VCARD", ""]
    (home / "contacts" / "z.vcf").write_bytes("\r\n".join(rows).encode())
    assert get_phone_number("Zoe Muller") == "2222"
