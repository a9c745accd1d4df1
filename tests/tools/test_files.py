import os
import sqlite3
import subprocess
import time
import unicodedata
from pathlib import Path

import files
import pypdf
import pytest
from _pdf import text_pdf
from files import open_and_get_file_path, summarize_pdf
from here import link

from toolagent.errors import ToolFailed


def make(home, *names, age=0.0):
    for name in names:
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
        for folder in path.parents:
            if age and folder.is_relative_to(home):
                os.utime(folder, (time.time() - age, time.time() - age))


def found(home, name):
    return Path(open_and_get_file_path(name)).relative_to(home.resolve()).as_posix()


HOUSE = (
    "files/budget.pdf",
    "files/Work/Progress Report_v2.docx",
    "files/Work/Wound-Chart_2025.xlsx",
    "files/Work/wound chart scan.pdf",
    "files/Privé/Facture n°7 – été.pdf",
    "files/予算案2025.pdf",
    "files/a/plan.md",
    "files/b/plan.md",
    "files/IMG_2041.JPG",
    "notes/packing.md",
)


@pytest.mark.parametrize(
    "name, path",
    [
        ("budget.pdf", "files/budget.pdf"),
        ("BUDGET.PDF", "files/budget.pdf"),
        ("budget", "files/budget.pdf"),
        ("the budget pdf", "files/budget.pdf"),
        ("ProgressReport_v2.docx", "files/Work/Progress Report_v2.docx"),
        ("progressreportv2", "files/Work/Progress Report_v2.docx"),
        ("progress report", "files/Work/Progress Report_v2.docx"),
        ("wound chart spreadsheet", "files/Work/Wound-Chart_2025.xlsx"),
        ("facture ete", "files/Privé/Facture n°7 – été.pdf"),
        ("予算", "files/予算案2025.pdf"),
        ("IMG_2041", "files/IMG_2041.JPG"),
        ("packing", "notes/packing.md"),
        ("a/plan.md", "files/a/plan.md"),
        ("files/b/plan.md", "files/b/plan.md"),
    ],
)
def test_a_name_means_a_file(home, name, path):
    make(home, *HOUSE)
    assert found(home, name) == path


def test_an_exact_name_wins_and_files_come_before_the_rest(home):
    make(home, "files/report.pdf", "files/Report.pdf", "files/report final.pdf", "notes/budget.md", "files/x/budget.txt")
    assert found(home, "report.pdf") == "files/report.pdf"
    assert found(home, "budget") == "files/x/budget.txt"
    assert found(home, "budget.md") == "notes/budget.md"


def test_two_are_a_question(home):
    make(home, *HOUSE)
    with pytest.raises(ToolFailed, match=r"2 files fit 'plan.md': files/a/plan.md, files/b/plan.md. Ask which one is meant"):
        open_and_get_file_path("plan.md")
    with pytest.raises(ToolFailed, match=r"2 files fit 'wound chart'"):
        open_and_get_file_path("wound chart")
    make(home, *(f"files/many/invoice {i}.pdf" for i in range(9)))
    with pytest.raises(ToolFailed, match=r"9 files fit 'invoice': .* \.\.\. Ask|9 files fit 'invoice': .*\.\.\.\. Ask"):
        open_and_get_file_path("invoice")


@pytest.mark.parametrize("name", ["budgte.pdf", "bu", "x", "", "???", "the file", "report budget", '"', "budget OR plan", "NEAR(a b)", "*"])
def test_nothing_similar_is_opened(home, name):
    make(home, *HOUSE)
    with pytest.raises(ToolFailed, match="no file is called"):
        open_and_get_file_path(name)


def test_the_nearest_are_told(home):
    make(home, *HOUSE)
    with pytest.raises(ToolFailed, match="no file is called 'budgte.pdf'; the nearest: budget.pdf"):
        open_and_get_file_path("budgte.pdf")


def test_the_index_follows_the_disk(home):
    make(home, "files/deep/er/old.txt", age=3600)
    assert found(home, "old.txt") == "files/deep/er/old.txt"
    make(home, "files/deep/er/new.txt")
    assert found(home, "new.txt") == "files/deep/er/new.txt"
    os.rename(home / "files/deep", home / "files/moved")
    assert found(home, "old.txt") == "files/moved/er/old.txt"
    (home / "files/moved/er/old.txt").unlink()
    with pytest.raises(ToolFailed, match="no file is called"):
        open_and_get_file_path("old.txt")


def test_folders_that_did_not_change_are_not_read_again(home, monkeypatch):
    make(home, "files/deep/old.txt", age=3600)
    open_and_get_file_path("old.txt")  # makes .toolagent, which touches the home itself
    os.utime(home, (time.time() - 3600,) * 2)
    open_and_get_file_path("old.txt")
    read = []
    monkeypatch.setattr("_index.os.scandir", lambda path: read.append(path) or [])
    assert found(home, "old.txt") == "files/deep/old.txt" and read == []


def test_what_two_files_made_within_one_tick_of_the_clock(home):
    make(home, "files/one.txt")
    assert found(home, "one.txt")
    stamp = (home / "files").stat().st_mtime_ns
    make(home, "files/two.txt")
    os.utime(home / "files", ns=(stamp, stamp))  # as if the clock had not moved
    assert found(home, "two.txt") == "files/two.txt"


def test_hidden_files_and_the_index_itself_are_no_files(home):
    make(home, ".toolagent/secret.txt", "files/.hidden/secret.txt", "files/.secret.txt")
    for name in ("secret.txt", "index.sqlite", ".secret.txt"):
        with pytest.raises(ToolFailed, match="no file is called"):
            open_and_get_file_path(name)


def test_a_broken_index_is_made_anew(home):
    make(home, "files/budget.pdf", ".toolagent/index.sqlite")
    (home / ".toolagent/index.sqlite").write_bytes(b"this is no database, it is just text" * 50)
    assert found(home, "budget.pdf") == "files/budget.pdf"
    assert found(home, "budget.pdf") == "files/budget.pdf"
    with sqlite3.connect(home / ".toolagent/index.sqlite") as db:
        assert ("budget.pdf",) in db.execute("select name from files").fetchall()


def test_a_home_that_cannot_hold_an_index(home):
    make(home, "files/budget.pdf")
    (home / ".toolagent").write_text("a file is in the way")
    assert found(home, "budget.pdf") == "files/budget.pdf"


@pytest.mark.parametrize(
    "name", ["../outside/secret.txt", "files/../../outside/secret.txt", "{outside}/secret.txt", "/etc/hostname", "~/.bashrc", "a\0b/c"]
)
def test_no_path_leads_out_of_the_home(home, name):
    make(home, "files/budget.pdf")
    name = name.replace("{outside}", str(home.parent / "outside"))
    for tool in (open_and_get_file_path, summarize_pdf):
        with pytest.raises(ToolFailed, match="outside the home|is no path"):
            tool(name)


def test_no_link_leads_out_of_the_home(home):
    make(home, "files/budget.pdf")
    link(home / "files" / "secret.txt", home.parent / "outside" / "secret.txt")
    link(home / "files" / "folder", home.parent / "outside")
    with pytest.raises(ToolFailed, match="no file is called 'secret.txt'"):
        open_and_get_file_path("secret.txt")
    with pytest.raises(ToolFailed, match="outside the home"):
        open_and_get_file_path("files/folder/secret.txt")


def test_a_sibling_with_the_same_beginning_is_outside(home):
    make(home.parent / "home-evil", "x.pdf")
    with pytest.raises(ToolFailed, match="outside the home"):
        summarize_pdf(str(home.parent / "home-evil" / "x.pdf"))


def test_full_paths_are_used_as_they_are(home):
    make(home, "files/budget.pdf")
    assert open_and_get_file_path(str(home / "files/budget.pdf")) == str((home / "files/budget.pdf").resolve())
    with pytest.raises(ToolFailed, match="there is no file"):
        summarize_pdf("C:\\Users\\sam\\budget.pdf")


def test_a_decomposed_name_on_disk(home):
    make(home, "files/" + unicodedata.normalize("NFD", "Übersicht.pdf"))
    assert unicodedata.normalize("NFC", found(home, "Übersicht.pdf")) == "files/Übersicht.pdf"


def test_a_viewer_opens_documents_only_and_only_when_asked(home, monkeypatch):
    started = []
    monkeypatch.setattr(files.subprocess, "Popen", lambda command, **_: started.append(command[-1]))
    monkeypatch.setattr(files.sys, "platform", "linux")
    make(home, "files/budget.pdf", "files/setup.exe", "files/run.sh", "files/page.html", "files/x.desktop")
    open_and_get_file_path("budget.pdf")
    assert started == []
    monkeypatch.setenv("TOOLAGENT_OPEN", "1")
    for name in ("budget.pdf", "setup.exe", "run.sh", "page.html", "x.desktop"):
        open_and_get_file_path(name)
    assert started == [str((home / "files/budget.pdf").resolve())]


def test_without_a_desktop_the_path_still_comes(home, monkeypatch):
    monkeypatch.setenv("TOOLAGENT_OPEN", "1")
    monkeypatch.setenv("PATH", "")
    make(home, "files/budget.pdf")
    assert found(home, "budget.pdf") == "files/budget.pdf"


def test_a_summary_is_made_of_the_pdfs_own_sentences(demo):
    said = summarize_pdf(open_and_get_file_path("budget.pdf"))
    text = " ".join(" ".join(page.extract_text() for page in pypdf.PdfReader(demo / "files/Documents/budget.pdf").pages).split())
    assert "The budget for next year is 48,000 euros" in said and said == summarize_pdf("files/Documents/budget.pdf")
    assert all(" ".join(s.split()) in text for s in said.split(". ")) and len(said) < len(text)


def test_a_pdf_is_read_by_a_second_program(demo):
    try:
        out = subprocess.run(["pdftotext", demo / "files/Documents/budget.pdf", "-"], capture_output=True, text=True, check=True).stdout
    except FileNotFoundError:
        pytest.skip("pdftotext is not installed")
    assert "Rent takes 18,000 euros" in out


def test_brackets_and_accents_in_a_pdf(home):
    make(home, "files/x.pdf")
    (home / "files/x.pdf").write_bytes(text_pdf([["A (very) small \\ file.", "Zoë paid 5 €."]]))
    assert summarize_pdf("files/x.pdf") == "A (very) small \\ file. Zoë paid 5 €."


@pytest.mark.parametrize(
    "data, says",
    [
        (b"", "cannot be read as a PDF"),
        (b"%PDF-1.4\n" + b"\x00garbage" * 100, "cannot be read as a PDF"),
        (text_pdf([["x"]])[:200], "cannot be read as a PDF|has no text"),
        (text_pdf([[]]), "has no text; it may be a scan"),
    ],
)
def test_broken_pdfs(home, data, says):
    make(home, "files/x.pdf")
    (home / "files/x.pdf").write_bytes(data)
    with pytest.raises(ToolFailed, match=says):
        summarize_pdf("files/x.pdf")


def test_an_encrypted_pdf(home):
    writer = pypdf.PdfWriter(clone_from=pypdf.PdfReader(__import__("io").BytesIO(text_pdf([["secret"]]))))
    writer.encrypt("password", algorithm="RC4-128")
    make(home, "files/x.pdf")
    writer.write(home / "files/x.pdf")
    with pytest.raises(ToolFailed, match="x.pdf is encrypted: it needs a password"):
        summarize_pdf("files/x.pdf")


def test_a_pdf_that_is_too_large(home, monkeypatch):
    monkeypatch.setattr(files, "PDF_BYTES", 10)
    make(home, "files/x.pdf")
    (home / "files/x.pdf").write_bytes(text_pdf([["x"]]))
    with pytest.raises(ToolFailed, match="is larger than"):
        summarize_pdf("files/x.pdf")


def test_only_the_first_pages_are_read(home, monkeypatch):
    monkeypatch.setattr(files, "PDF_PAGES", 1)
    make(home, "files/x.pdf")
    (home / "files/x.pdf").write_bytes(text_pdf([["First page."], ["Second page."]]))
    assert summarize_pdf("files/x.pdf") == "First page."
