"""Files: find one by its name, summarise a PDF.

A name means: the file of exactly this name; else of this name but for case, accents and separators; else of this name without its suffix;
else the only one with all these words ("wound chart spreadsheet" -> Wound-Chart_2025.xlsx). Files below home/files come before the rest of
the home. Two that fit equally well are an error that lists them. With TOOLAGENT_OPEN=1 a viewer opens: for documents, never for programs.
Left out: search in file contents; PDFs of scanned pages (there is no text in them).
"""

from __future__ import annotations

import logging
import os
import pathlib
import subprocess
import sys
import unicodedata
from collections.abc import Callable

from _index import all_names, candidates, words
from _store import file_in_home, nearest, setting, shown
from _summary import summary

from toolagent.tool import Name, Path, Text, ToolFailed, inside_home, tool

PICTURES, SHEETS = ".jpg .jpeg .png .heic .webp .gif", ".xlsx .xls .ods .csv .tsv"
SLIDES, WORDS = ".pptx .ppt .odp .key .pdf", ".docx .doc .odt"
SUFFIXES = {  # what people call a kind of file; the last ones say nothing
    "spreadsheet": SHEETS, "sheet": SHEETS, "excel": SHEETS, "presentation": SLIDES, "slide": SLIDES, "deck": SLIDES, "powerpoint": SLIDES,
    "document": WORDS + " .pdf .txt .md .rtf", "doc": WORDS, "word": WORDS, "photo": PICTURES, "picture": PICTURES, "image": PICTURES,
    "pdf": ".pdf", "video": ".mp4 .mov .mkv .webm", "recording": ".mp3 .m4a .wav .mp4", "file": "", "the": "", "my": "", "our": "",
}  # fmt: skip
VIEWABLE = frozenset(f"{PICTURES} {SHEETS} {SLIDES} {WORDS} .txt .md .rtf .epub .mp3 .m4a .wav .mp4".split())
MOST_LISTED = 5
PDF_BYTES, PDF_PAGES, PDF_CHARACTERS = 50 * 2**20, 200, 400_000


@tool
def open_and_get_file_path(file_name: Name) -> Path:
    """Find a file by its name, open it and get its path.

    Args:
        file_name: name of the file
    """
    path = find(file_name)
    if setting("OPEN") == "1" and path.suffix.lower() in VIEWABLE:
        view(path)
    return str(path)


@tool(timeout=60)
def summarize_pdf(pdf_path: Path) -> Text:
    """Summarize a PDF file.

    Args:
        pdf_path: path of the PDF
    """
    return summary(pdf_text(file_in_home(pdf_path)))


def find(name: str) -> pathlib.Path:
    """The one file that the name means. Raises ToolFailed with the candidates."""
    if os.path.isabs(name) or name.startswith("~"):
        return file_in_home(name)
    if "/" in name or "\\" in name:
        for base in ("", "files"):
            if os.path.isfile(full := inside_home(pathlib.PurePath(base, name))):
                return full
    exact, joined = unicodedata.normalize("NFC", name), "".join(words(name))
    kinds = [w for w in words(name) if w.removesuffix("s") in SUFFIXES]
    rest = " ".join(w for w in words(name) if w not in kinds)
    suffixes = " ".join(SUFFIXES[w.removesuffix("s")] for w in kinds).split()
    of_kind = [path for path in candidates(rest) if not suffixes or path.suffix.lower() in suffixes] if kinds else []
    found = candidates(name)
    rules: list[tuple[list[pathlib.Path], Callable[[pathlib.Path], bool]]] = [
        (found, lambda path: unicodedata.normalize("NFC", path.name) == exact),
        (found, lambda path: "".join(words(path.name)) == joined),
        (found, lambda path: "".join(words(path.stem)) == joined),
        (of_kind, lambda path: words(path.stem) == words(rest)),
        (found, lambda path: True),
        (of_kind, lambda path: True),
    ]
    first = inside_home("files")
    for paths, fits in rules:
        fitting = [path for path in paths if fits(path)]
        if chosen := [path for path in fitting if path.is_relative_to(first)] or fitting:
            return only_one(name, chosen)
    similar = nearest(name, all_names())
    raise ToolFailed(f"no file is called {name!r}" + (f"; the nearest: {', '.join(similar)}" if similar else ""))


def only_one(name: str, paths: list[pathlib.Path]) -> pathlib.Path:
    if len(paths) == 1:
        return paths[0]
    listed = ", ".join(shown(path) for path in paths[:MOST_LISTED]) + (" ..." if len(paths) > MOST_LISTED else "")
    raise ToolFailed(f"{len(paths)} files fit {name!r}: {listed}. Ask which one is meant")


def view(path: pathlib.Path) -> None:
    """Open a document in the desktop's viewer; a machine without one goes on without."""
    try:
        if sys.platform == "win32":
            os.startfile(path)
        else:
            opener = "open" if sys.platform == "darwin" else "xdg-open"
            subprocess.Popen([opener, str(path)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except OSError:
        pass


def pdf_text(path: pathlib.Path) -> str:
    """The text of the first pages. Raises ToolFailed: too large, no PDF, encrypted, no text."""
    import pypdf

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # one line for each flaw of a file that can be read all the same
    if path.stat().st_size > PDF_BYTES:
        raise ToolFailed(f"{path.name} is larger than {PDF_BYTES // 2**20} MB")
    text = ""
    try:
        reader = pypdf.PdfReader(path)
        if reader.is_encrypted and not reader.decrypt(""):
            raise ToolFailed(f"{path.name} is encrypted: it needs a password")
        for page in reader.pages[:PDF_PAGES]:
            text += page.extract_text() + "\n\n"
            if len(text) > PDF_CHARACTERS:
                break
    except ToolFailed:
        raise
    except Exception as error:  # pypdf lets any error of its parts rise at a malformed file
        raise ToolFailed(f"{path.name} cannot be read as a PDF: {type(error).__name__}") from error
    if not text.strip():
        raise ToolFailed(f"{path.name} has no text; it may be a scan")
    return text[:PDF_CHARACTERS]
