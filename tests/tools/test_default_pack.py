"""The pack as a model and a toolbox see it."""

import ast
import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from here import PACK

from toolagent.tool import Tool

PAGES = sorted(path for path in PACK.glob("*.py") if not path.name.startswith("_"))
TOOLS = {t.name: t for path in PAGES for t in vars(importlib.import_module(path.stem)).values() if isinstance(t, Tool)}

# name -> (required, optional, writes): CONVENTIONS.md
CONTRACT = {
    "get_phone_number": (["name"], [], False),
    "get_email_address": (["name"], [], False),
    "create_calendar_event": (["title", "start_date"], ["end_date", "location", "invitees", "notes", "calendar"], True),
    "open_and_get_file_path": (["file_name"], [], False),
    "summarize_pdf": (["pdf_path"], [], False),
    "compose_new_email": (["recipients", "subject", "context"], ["cc", "attachments"], True),
    "reply_to_email": ([], ["context", "cc", "attachments"], True),
    "forward_email": (["recipients"], ["cc", "context", "attachments"], True),
    "maps_open_location": (["location"], [], False),
    "maps_show_directions": (["end_location"], ["start_location", "transport"], False),
    "create_note": (["name", "content"], ["folder"], True),
    "open_note": (["name"], ["folder"], False),
    "append_note_content": (["name", "content"], ["folder"], True),
    "create_reminder": (["name"], ["due_date", "notes", "list_name", "priority", "all_day"], True),
    "send_sms": (["recipients", "message"], [], True),
    "get_zoom_meeting_link": (["topic", "start_time", "duration"], ["meeting_invitees"], False),
}
RETURNS = {
    "get_phone_number": "phone", "get_email_address": "email", "open_and_get_file_path": "path", "summarize_pdf": "text",
    "open_note": "text", "create_note": "path", "append_note_content": "path", "maps_open_location": "uri", "maps_show_directions": "uri",
    "get_zoom_meeting_link": "uri",
}  # fmt: skip


def test_the_sixteen_functions_and_no_other():
    assert TOOLS.keys() == CONTRACT.keys()


@pytest.mark.parametrize("name", CONTRACT)
def test_signatures(name):
    spec = TOOLS[name].spec
    required, optional, writes = CONTRACT[name]
    assert (list(spec.required), [p for p in spec.properties if p not in required], spec.writes) == (required, optional, writes)
    assert (spec.returns or {}).get("format") == RETURNS.get(name)
    jsonschema.Draft202012Validator.check_schema(spec.parameters)
    json.dumps(spec.to_json())


@pytest.mark.parametrize("name", CONTRACT)
def test_a_model_reads_few_words(name):
    spec = TOOLS[name].spec
    assert len(spec.description.split()) <= 12 and "\n" not in spec.description
    assert all(1 <= len(p["description"].split()) <= 10 for p in spec.properties.values())


def test_kinds():
    formats = {(n, p): s.get("format") or s.get("items", {}).get("format") for n, t in TOOLS.items() for p, s in t.spec.properties.items()}
    assert {k for k, f in formats.items() if f == "email"} == {
        ("create_calendar_event", "invitees"), ("compose_new_email", "recipients"), ("compose_new_email", "cc"), ("reply_to_email", "cc"),
        ("forward_email", "recipients"), ("forward_email", "cc"), ("get_zoom_meeting_link", "meeting_invitees"),
    }  # fmt: skip
    assert {k for k, f in formats.items() if f == "date-time"} == {
        ("create_calendar_event", "start_date"), ("create_calendar_event", "end_date"), ("create_reminder", "due_date"),
        ("get_zoom_meeting_link", "start_time"),
    }  # fmt: skip
    assert {k for k, f in formats.items() if f == "phone"} == {("send_sms", "recipients")}
    assert {p for (_, p), f in formats.items() if f == "path"} == {"attachments", "pdf_path"}


def test_choices():
    assert TOOLS["create_reminder"].spec.properties["priority"]["enum"] == [0, 1, 5, 9]
    assert TOOLS["maps_show_directions"].spec.properties["transport"]["enum"] == ["d", "w", "r"]


def test_the_rules_are_short_and_plain():
    text = (PACK / "rules.md").read_text(encoding="utf-8")
    assert len(text.split()) <= 120 and text.isascii() and not re.search(r"[#*`]", text)


def imported(path: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    names = {a.name for n in nodes if isinstance(n, ast.Import) for a in n.names}
    return names | {n.module for n in nodes if isinstance(n, ast.ImportFrom) and n.module}


def test_of_the_package_only_the_tool_page_is_imported():
    for path in PACK.glob("*.py"):
        assert {m for m in imported(path) if m.split(".")[0] == "toolagent"} <= {"toolagent.tool"}, path.name


def test_no_page_hides_a_module_of_python():
    assert not {path.stem for path in PACK.glob("*.py")} & sys.stdlib_module_names


def test_loading_the_pack_loads_no_heavy_library():
    code = f"import sys; sys.path.insert(0, {str(PACK)!r})\n" + "".join(f"import {p.stem}\n" for p in PAGES)
    code += "print([m for m in ('icalendar', 'vobject', 'pypdf', 'smtplib', 'http.client', 'numpy') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACK.parent).stdout
    assert out.strip() == "[]"
