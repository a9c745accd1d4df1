"""The command line as a person or a script meets it: real homes, a scripted server for plans that are known, a tiny model for nonsense."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pty
import resource
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from toolagent.cli import COMMANDS, main
from toolagent.toolbox import default_pack_path, load_pack, pack_module

pytest_plugins = ("stage",)
NOW = "2026-03-02 09:30"  # a Monday
STORY = [  # email Sid the budget PDF, a review on Friday at 3pm, text Ana
    ("get_email_address", {"name": "Sid"}),
    ("open_and_get_file_path", {"file_name": "budget PDF"}),
    ("compose_new_email", {"recipients": ["$1"], "subject": "Budget", "context": "Here it is.", "attachments": ["$2"]}),
    ("create_calendar_event", {"title": "review", "start_date": "Friday at 3pm", "invitees": ["$1"]}),
    ("get_phone_number", {"name": "Ana"}),
    ("send_sms", {"recipients": ["$5"], "message": "see you"}),
]
NOTE = [("create_note", {"name": "Agenda", "content": "numbers"})]


@pytest.fixture(autouse=True)
def quiet_environment(monkeypatch, tmp_path):
    for name in [n for n in os.environ if n.startswith("TOOLAGENT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TOOLAGENT_THREADS", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))


@pytest.fixture
def home(tmp_path) -> Path:
    """The demonstration home, as somebody's own."""
    return pack_module(load_pack(default_pack_path()), "_demo_home").make_demo_home(tmp_path / "home")


@pytest.fixture
def toolagent(capsys):
    """Runs a command line in this process -> (exit code, stdout, stderr)."""

    def call(*words: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([str(word) for word in words])
        out = capsys.readouterr()
        return code, out.out, out.err

    return call


def scripted(server, *plans):
    server.plans = list(plans)
    return ["--runtime", "openai", "--url", server.url, "--now", NOW]


def tree(folder: Path) -> dict[str, str]:
    """Every file of a folder with its hash; undo's journal and the index of names are left out."""
    files = (p for p in sorted(folder.rglob("*")) if p.is_file() and ".toolagent" not in p.parts)
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def everything(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*")) if p.is_file()}


def sentence(err: str) -> str:
    """The last line of the log: one sentence, no trace."""
    assert "Traceback" not in err and "a fault of toolagent" not in err, err
    last = err.strip().splitlines()[-1]
    assert last.startswith("toolagent: "), err
    return last


def process(*words: object, **settings) -> subprocess.Popen[str]:
    """The same in a process of its own, with Ctrl-C in force even where the tests run in the background."""

    def prepare() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        if limit := settings.get("limit"):
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | settings.get("streams", {})
    env = os.environ | settings.get("env", {})
    return subprocess.Popen([sys.executable, "-m", "toolagent", *map(str, words)], text=True, env=env, preexec_fn=prepare, **streams)


def dialogue(script: list[tuple[str, str | signal.Signals]], *words: object) -> tuple[int, str]:
    """Run at a terminal; `script`: wait for a text, then type an answer or send a signal. Returns (exit code, all that stood there)."""
    master, slave = pty.openpty()
    child = process(*words, streams={"stdin": slave, "stdout": slave, "stderr": slave})
    os.close(slave)
    seen, waiting = "", list(script)
    while True:
        if not select.select([master], [], [], 180)[0]:
            child.kill()
            raise AssertionError(f"waited in vain for {waiting}: {seen}")
        try:
            data = os.read(master, 65536)
        except OSError:  # the other end is closed
            break
        if not data:
            break
        seen += data.decode("utf-8", "replace")
        while waiting and waiting[0][0] in seen:
            _, reply = waiting.pop(0)
            if isinstance(reply, str):
                os.write(master, reply.encode())
            else:
                child.send_signal(reply)
    os.close(master)
    return child.wait(60), seen


# --- help -----------------------------------------------------------------------------------------------------------------------------


def test_the_table_is_listed(toolagent):
    code, out, _ = toolagent("--help")
    assert code == 0 and all(path.split()[0] in out for path in COMMANDS)


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_has_help_with_an_example_and_json(toolagent, path):
    code, out, _ = toolagent(*path.split(), "--help")
    assert code == 0 and "Example: toolagent " + path in " ".join(out.split()) and "--json" in out and "--debug" in out


@pytest.mark.parametrize(
    "words, says",
    [
        ("runn x", "No such command 'runn'"),
        ("run", "Missing argument 'REQUEST'"),
        ("run x --hoem y", "--home"),
        ("run x --runtime abacus", "'llamacpp', 'openai', 'transformers'"),
        ("run x --now yesterday", "write it like '2026-03-02 09:30'"),
        ("run x --policy nowhere.toml", "nowhere.toml"),
        ("run x --pack nowhere", "no such directory"),
        ("run x --runtime transformers", "needs --model"),
        ("run x --runtime openai --url nonsense", "http://127.0.0.1:8080/v1"),
        ("train sft", "--from-scratch or --model"),
        ("train sft --from-scratch", "--data"),
        ("bench plans --cases nowhere.jsonl", "nowhere.jsonl: No such file"),
        ("bench plans --cases x.jsonl --min-strict 120", "120"),
        ("data report nowhere.jsonl", "nowhere.jsonl: No such file"),
        ("export gguf --model nowhere --out x.gguf", "no such directory"),
        ("try --keep /dev/null/x", "/dev/null is a file"),
    ],
)
def test_usage_errors(toolagent, words, says):
    code, out, err = toolagent(*words.split())
    assert code == 2 and says in sentence(err) and out == ""


@pytest.mark.parametrize("words", [[], ["data"]])
def test_no_command_shows_the_table(toolagent, words):
    code, out, err = toolagent(*words)
    assert code == 2 and out == "" and "Commands:\n" in err


# --- run ------------------------------------------------------------------------------------------------------------------------------


def test_a_request_is_carried_out(toolagent, server, home):
    code, out, err = toolagent("run", "email Sid ...", "--home", home, "--yes", *scripted(server, STORY))
    assert code == 0, err
    assert "Plan: 6 steps in 2 waves" in out and "Fri 2026-03-06 15:00" in out and "Friday at 3pm" in out
    assert "recipients: ← 1" in out or "recipients: <- 1" in out
    event = next(p for p in (home / "calendar" / "personal").glob("*.ics") if "SUMMARY:review" in p.read_text("utf-8")).read_text("utf-8")
    assert "DTSTART:20260306T150000" in event and "sid@example.org" in event.replace("\n ", "")
    draft = next((home / "mail" / "drafts").glob("*.eml")).read_text("utf-8")
    assert "To: sid@example.org" in draft and "budget.pdf" in draft
    assert json.loads(next((home / "sms").glob("*.json")).read_text("utf-8"))["recipients"] == ["+1 202 555 0102"]
    assert "made    mail/drafts/" in out and f"toolagent undo --home {home}" in out


def test_json_holds_everything_and_nothing_else_is_on_stdout(toolagent, server, home):
    code, out, err = toolagent("run", "email Sid", "--home", home, "--yes", "--json", *scripted(server, STORY))
    data = json.loads(out)
    assert code == data["exit_code"] == 0 and "Plan: 6 steps" in err
    assert data["waves"] == [[1, 2, 5], [3, 4, 6]] and data["now"] == "2026-03-02 09:30:00"
    assert data["plan"][3]["args"]["start_date"] == "Friday at 3pm" and data["resolved"][3]["args"]["start_date"] == "2026-03-06 15:00:00"
    assert data["results"][0] == {"id": 1, "tool": "get_email_address", "output": "sid@example.org"}
    assert sorted(data["files"].values()) == ["made", "made", "made"] and data["seconds"].keys() == {"load", "plan", "answer", "do"}


def test_a_dry_run_changes_nothing_and_resolves_the_same(toolagent, server, home):
    before = everything(home)
    code, out, _ = toolagent("run", "email Sid", "--home", home, "--dry-run", "--json", *scripted(server, STORY))
    dry = json.loads(out)
    assert code == 0 and dry["dry_run"] and dry["files"] == {} and everything(home) == before
    _, out, _ = toolagent("run", "email Sid", "--home", home, "--yes", "--json", *scripted(server, STORY))
    assert json.loads(out)["resolved"] == dry["resolved"]


def test_a_dry_run_makes_no_home(toolagent, server, tmp_path):
    code, out, _ = toolagent("run", "note", "--home", tmp_path / "new" / "home", "--dry-run", *scripted(server, NOTE))
    assert code == 0 and "nothing was changed" in out and not (tmp_path / "new").exists()


def test_a_dry_run_says_what_is_not_valid(toolagent, server, home):
    wrong = [("create_calendar_event", {"title": "x", "start_date": "on the forty-fifth of Smarch"})]
    code, out, _ = toolagent("run", "x", "--home", home, "--dry-run", *scripted(server, wrong))
    assert code == 7 and "start_date" in out


def test_the_home_is_made_by_the_first_write(toolagent, server, tmp_path, monkeypatch):
    code, *_ = toolagent("run", "note", "--yes", *scripted(server, NOTE))
    assert code == 0 and (tmp_path / "toolagent" / "notes" / "Agenda.md").exists()
    monkeypatch.setenv("TOOLAGENT_HOME", str(tmp_path / "other"))
    assert toolagent("run", "note", "--yes", *scripted(server, NOTE))[0] == 0 and (tmp_path / "other" / "notes" / "Agenda.md").exists()


def test_nobody_there_means_no(toolagent, server, home):
    before = everything(home)
    code, out, _ = toolagent("run", "email Sid", "--home", home, *scripted(server, STORY))
    assert code == 3 and "nobody is there to approve step 3 (compose_new_email)" in out.lower() and everything(home) == before
    code, out, _ = toolagent("run", "email Sid", "--home", home, "--json", *scripted(server, STORY))
    data = json.loads(out)
    assert code == data["exit_code"] == 3 and data["results"] == [] and len(data["plan"]) == 6 and "nobody" in data["error"]


def test_reading_needs_no_approval(toolagent, server, home):
    code, out, _ = toolagent("run", "Ana's number?", "--home", home, *scripted(server, [("get_phone_number", {"name": "Ana"})]))
    assert code == 0 and "+1 202 555 0102" in out


def test_a_policy_allows_and_denies(toolagent, server, home, tmp_path):
    policy = tmp_path / "policy.toml"
    policy.write_text('[allow]\ntools = ["create_note"]\n')
    assert toolagent("run", "note", "--home", home, "--policy", policy, *scripted(server, NOTE))[0] == 0
    policy.write_text('[deny]\ntools = ["create_note"]\n')
    before = tree(home)
    code, out, _ = toolagent("run", "note", "--home", home, "--yes", "--policy", policy, *scripted(server, NOTE))
    assert code == 3 and "the policy denies create_note" in out and tree(home) == before
    policy.write_text('[alow]\ntools = ["create_note"]\n')
    code, _, err = toolagent("run", "note", "--home", home, "--policy", policy, *scripted(server, NOTE))
    assert code == 2 and "alow" in sentence(err) and "allow" in err


def test_no_tool_is_said_in_plain_words(toolagent, server, home):
    code, out, _ = toolagent("run", "weigh the moon", "--home", home, *scripted(server, "I cannot weigh the moon."))
    assert code == 0 and "I cannot weigh the moon. Nothing was done." in out


def test_a_tool_that_fails(toolagent, server, home):
    plan = [("get_phone_number", {"name": "Nobody"}), ("send_sms", {"recipients": ["$1"], "message": "hi"})]
    code, out, _ = toolagent("run", "text Nobody", "--home", home, "--yes", *scripted(server, plan))
    assert code == 6 and "no contact is called 'Nobody'" in out and "not run: step 1 has no result" in out


def test_after_a_failure_the_model_plans_again_and_nothing_is_written_twice(toolagent, server, home):
    first = [("create_note", {"name": "Log", "content": "x"}), ("get_phone_number", {"name": "Anna"})]
    second = [("create_note", {"name": "Log", "content": "x"}), ("get_phone_number", {"name": "Ana"})]
    code, out, _ = toolagent("run", "note and number", "--home", home, "--yes", "--json", *scripted(server, first, second))
    data = json.loads(out)
    assert code == 0 and data["replanned"] and [r["id"] for r in data["results"] if "output" in r] == [1, 2]
    assert list(data["files"]) == ["notes/Log.md"]  # a second create_note would have failed: there is one of this name
    assert "no contact is called 'Anna'" in json.dumps(server.asked[-1])


@pytest.mark.parametrize(
    "plan, says",
    [
        ([("send_sms", {"recipients": ["$2"], "message": "x"}), ("get_phone_number", {"name": "Ana"})], "later"),
        ([("no_such_tool", {})], "no_such_tool"),
        ([("create_note", {"title": "x"})], "content"),
        ([("create_note", {"name": "x", "content": "y", "colour": "red"})], "colour"),
        ([("summarize_pdf", {"pdf_path": "../../secret.pdf"})], "outside"),
    ],
)
def test_invalid_plans_run_nothing(toolagent, server, home, plan, says):
    before = everything(home)
    code, out, err = toolagent("run", "x", "--home", home, "--yes", *scripted(server, plan))
    assert code == 7 and says in out + err and everything(home) == before
    assert "Traceback" not in err


def test_what_a_model_writes_cannot_move_the_cursor(toolagent, server, home):
    plan = [("create_note", {"name": "a\x1b[2Jb", "content": "\u202egnp.exe"})]
    _, out, _ = toolagent("run", "x", "--home", home, "--yes", *scripted(server, plan))
    assert "\x1b" not in out and "\u202e" not in out and "x1b" in out or "u001b" in out


def test_a_pack_of_ones_own(toolagent, server, tmp_path):
    pack = tmp_path / "mytools"
    pack.mkdir()
    (pack / "garden.py").write_text(
        'from toolagent.tool import Name, tool, write_file\n\n\n@tool(writes=True)\ndef water_bed(bed: Name, minutes: int = 10) -> str:\n'
        '    """Water a bed.\n\n    Args:\n        bed: which one\n        minutes: how long\n    """\n'
        '    write_file(f"{bed}.txt", str(minutes))\n    return f"{bed} gets water for {minutes} minutes"\n'
    )  # fmt: skip
    plan = [("water_bed", {"bed": "roses", "minutes": 20})]
    code, out, _ = toolagent("run", "water", "--pack", pack, "--home", tmp_path / "h", "--yes", *scripted(server, plan))
    assert code == 0 and "roses gets water for 20 minutes" in out and (tmp_path / "h" / "roses.txt").read_text() == "20"
    assert [t["function"]["name"] for t in server.asked[-1]["tools"]] == ["water_bed"]
    code, *_ = toolagent("run", "water", "--pack", pack, "--pack", "default", "--home", tmp_path / "h", "--yes", *scripted(server, plan))
    assert code == 0 and len(server.asked[-1]["tools"]) == 17
    (pack / "garden.py").write_text("def broken(:\n")
    code, _, err = toolagent("run", "water", "--pack", pack, *scripted(server, plan))
    assert code == 2 and "garden.py:1" in sentence(err)


def test_the_request_may_come_from_stdin(toolagent, server, home, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("Ana's number?\n"))
    code, *_ = toolagent("run", "-", "--home", home, *scripted(server, [("get_phone_number", {"name": "Ana"})]))
    assert code == 0 and server.asked[-1]["messages"][-1]["content"].strip() == "Ana's number?"


@pytest.mark.parametrize(
    "text, says", [("", "the request is empty"), (" \n", "the request is empty"), ("x" * 2**20, "has 1048576 characters")]
)
def test_requests_that_are_none(toolagent, monkeypatch, text, says):
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    code, _, err = toolagent("run", "-")
    assert code == 2 and says in sentence(err)


def test_errors_as_json(toolagent):
    code, out, err = toolagent("run", "", "--json")
    assert code == 2 and json.loads(out) == {"error": sentence(err).removeprefix("toolagent: "), "exit_code": 2}
    code, out, _ = toolagent("bench", "plans", "--json")
    assert code == 2 and json.loads(out)["exit_code"] == 2


def test_a_home_that_cannot_be(toolagent, server, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, err = toolagent("run", "note", "--home", tmp_path / "file" / "home", "--yes", *scripted(server, NOTE))
    assert code == 2 and "is a file; give another with --home" in sentence(err)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_home_that_may_not_be_written(toolagent, server, home):
    home.chmod(0o500)
    try:
        code, out, _ = toolagent(
            "run", "x", "--home", home, "--yes", *scripted(server, [("send_sms", {"recipients": ["+1 2025550199"], "message": "x"})])
        )
        assert code == 6 and "Permission denied" in out
    finally:
        home.chmod(0o700)


def test_a_full_disk(server, home):
    before = tree(home)
    plan = [("create_note", {"name": "Long", "content": "word " * 4000})]
    child = process("run", "note", "--home", home, "--yes", *scripted(server, plan), limit=9_000)
    out, err = child.communicate(timeout=180)
    assert child.returncode == 6 and "File too large" in out and "Traceback" not in err
    assert tree(home) == before and not list(home.rglob(".toolagent-*"))


def test_a_reader_that_goes_away(server, home):
    child = process("run", "Ana?", "--home", home, *scripted(server, [("get_phone_number", {"name": "Ana"})]))
    child.stdout.close()
    err = child.stderr.read()
    assert child.wait(120) in (0, 1) and "Traceback" not in err and "BrokenPipe" not in err


def test_a_terminal_without_unicode(server, home):
    child = process("run", "x", "--home", home, "--dry-run", *scripted(server, STORY), env={"PYTHONIOENCODING": "ascii"})
    out, err = child.communicate(timeout=180)
    assert child.returncode == 0 and out.isascii() and "<- 1" in out and "Traceback" not in err


# --- at a terminal --------------------------------------------------------------------------------------------------------------------


def test_one_by_one_with_the_values_filled_in(server, home):
    script = [("Do step 3", "y\n"), ("Do step 4", "what?\n"), ("[q]uit: what", "n\n"), ("Do step 6", "y\n")]
    code, seen = dialogue(script, "run", "email Sid", "--home", home, *scripted(server, STORY))
    assert code == 3  # one step was denied
    assert 'recipients: ["sid@example.org"]' in seen and "budget.pdf" in seen and '["+1 202 555 0102"]' in seen
    assert list((home / "mail" / "drafts").glob("*.eml")) and list((home / "sms").glob("*.json"))
    assert not [p for p in home.glob("calendar/*/*.ics") if "SUMMARY:review" in p.read_text("utf-8")]


def test_all_at_once(server, home):
    code, _ = dialogue([("Do step 3", "a\n")], "run", "email Sid", "--home", home, *scripted(server, STORY))
    assert code == 0 and list((home / "sms").glob("*.json"))


@pytest.mark.parametrize("reply, code", [("q\n", 3), ("\x04", 3), (signal.SIGINT, 130)])
def test_quit_end_of_input_and_interrupt_change_nothing(server, home, reply, code):
    before = tree(home)
    found, seen = dialogue([("Do step 3", reply)], "run", "email Sid", "--home", home, *scripted(server, STORY))
    assert found == code and tree(home) == before and "Traceback" not in seen


def test_an_interrupt_while_a_tool_runs(server, tmp_path):
    pack = tmp_path / "slow"
    pack.mkdir()
    (pack / "slow.py").write_text(
        "import time\nfrom toolagent.tool import tool, write_file\n\n\n@tool(writes=True, timeout=600)\n"
        'def wait() -> str:\n    """Wait."""\n'
        '    write_file("begun.txt", "x")\n    time.sleep(600)\n    write_file("done.txt", "x")\n    return ""\n'
    )  # fmt: skip
    home = tmp_path / "home"
    child = process("run", "wait", "--home", home, "--pack", pack, "--yes", *scripted(server, [("wait", {})]))
    for _ in range(600):
        if (home / "begun.txt").exists():
            break
        time.sleep(0.2)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=60)  # it does not wait for the tool
    assert child.returncode == 130 and "toolagent: interrupted" in err and "undo" in err and not (home / "done.txt").exists()
    assert main(["undo", "--home", str(home)]) == 0 and not (home / "begun.txt").exists()


# --- undo -----------------------------------------------------------------------------------------------------------------------------


def test_undo_takes_back_the_last_run(toolagent, server, home):
    before = tree(home)
    assert toolagent("run", "email Sid", "--home", home, "--yes", *scripted(server, STORY))[0] == 0
    assert tree(home) != before
    code, out, _ = toolagent("undo", "--home", home)
    assert code == 0 and out.count("removed") == 3 and tree(home) == before
    code, out, _ = toolagent("undo", "--home", home, "--json")
    assert code == 0 and "undone" in json.loads(out)


def test_nothing_to_undo(toolagent, tmp_path):
    code, out, _ = toolagent("undo", "--home", tmp_path / "nowhere")
    assert code == 0 and out == "there is nothing to undo\n"


# --- the tiny model, and models that are none ------------------------------------------------------------------------------------------


def test_try_survives_any_plan(toolagent, chatty, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    code, out, err = toolagent("try", "--yes", "--model", chatty.bundle, "--json")
    data = json.loads(out)
    assert code == data["exit_code"] in (0, 3, 6, 7) and data["plan"], err
    assert data["seconds"].keys() == {"home", "load", "plan", "answer", "do"}
    assert not list(tmp_path.glob("toolagent-try-*"))  # it cleans up


def test_try_keeps_its_home_on_request(toolagent, server, tmp_path):
    keep = tmp_path / "demo"
    code, out, _ = toolagent("try", "--yes", "--keep", keep, *scripted(server, STORY))
    assert code == 0 and "Subject: Budget" in out and "SUMMARY:review" in out and "Time: home" in out
    assert list((keep / "mail" / "drafts").glob("*.eml")) and f"toolagent undo --home {keep}" in out
    code, _, err = toolagent("try", "--keep", keep, *scripted(server, STORY))
    assert code == 2 and "is not empty" in sentence(err)


def test_try_with_nobody_there(toolagent, server):
    code, out, _ = toolagent("try", *scripted(server, STORY))
    assert code == 3 and "give --yes" in out and "No file was changed." in out


def test_models_that_are_none(toolagent, chatty, tmp_path):
    good = (chatty.bundle / "model.gguf").read_bytes()
    (tmp_path / "foreign.gguf").write_bytes(b"PK\x03\x04" + bytes(5000))
    (tmp_path / "cut.gguf").write_bytes(good[: len(good) // 2])
    (tmp_path / "empty.gguf").write_bytes(b"")
    (tmp_path / "header.gguf").write_bytes(good[:8] + b"\xff" * 16 + good[24:])
    for name, says in (("missing", "no model at"), ("foreign", "no GGUF"), ("cut", "damaged"), ("empty", "no GGUF"), ("header", "damaged")):
        code, _, err = toolagent("run", "x", "--model", tmp_path / f"{name}.gguf")
        assert code == 5 and says in sentence(err), name
    code, _, err = toolagent("run", "x", "--runtime", "transformers", "--model", tmp_path)
    assert code == 5 and "config.json" in sentence(err)


def test_without_a_bundle(toolagent, monkeypatch, tmp_path):
    monkeypatch.setattr("toolagent.commands.options.BUNDLE", tmp_path)
    code, _, err = toolagent("run", "x")
    assert code == 5 and "give --model" in sentence(err)


def test_no_server(toolagent, tmp_path):
    code, _, err = toolagent("run", "x", "--runtime", "openai", "--url", "http://127.0.0.1:9/v1")
    assert code == 5 and "is the server running?" in sentence(err)
    code, _, err = toolagent("data", "teach", "--out", tmp_path / "seeds.jsonl", "--url", "http://127.0.0.1:9/v1", "--attempts", 1)
    assert code == 5 and sentence(err)


def test_a_prompt_that_does_not_fit(toolagent, chatty):
    code, _, err = toolagent("run", "x", "--model", chatty.bundle, "--context", 256)
    assert code == 4 and "tokens" in sentence(err)


def test_without_a_grammar_nonsense_is_refused(toolagent, chatty, home):
    code, _, err = toolagent("run", "text Ana", "--model", chatty.bundle, "--unconstrained", "--home", home, "--context", 1500)
    assert code in (4, 7) and sentence(err)


def test_the_trace_is_shown_when_asked_for(toolagent, monkeypatch):
    code, _, err = toolagent("run", "", "--debug")
    monkeypatch.delenv("TOOLAGENT_DEBUG", raising=False)
    assert code == 2 and "Traceback" in err


def test_doctor(toolagent, chatty, tmp_path, home):
    code, out, _ = toolagent("doctor", "--model", chatty.bundle, "--home", home, "--json")
    data = json.loads(out)
    assert code == 0 and data["ok"] and {row["name"] for row in data["checks"]} >= {"llama.cpp", "model", "home", "time zone"}
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    for file in chatty.bundle.iterdir():
        (damaged / file.name).write_bytes(file.read_bytes() + (b" " if file.name == "rules" else b""))
    code, out, _ = toolagent("doctor", "--model", damaged, "--home", home)
    assert code == 5 and "BAD model" in out and "rules is damaged" in out
    (tmp_path / "file").write_text("")
    code, out, _ = toolagent("doctor", "--model", chatty.bundle, "--home", tmp_path / "file" / "x")
    assert code == 1 and "BAD home" in out


def test_doctor_knows_time_zones(toolagent, chatty, monkeypatch, home):
    monkeypatch.setenv("TOOLAGENT_TZ", "Europe/Nowhere")
    code, out, _ = toolagent("doctor", "--model", chatty.bundle, "--home", home)
    assert code == 1 and "BAD time zone" in out


# --- data -----------------------------------------------------------------------------------------------------------------------------

TOOL = {
    "type": "function",
    "function": {"name": "water", "description": "Water.", "parameters": {"type": "object", "properties": {"bed": {"type": "string"}}}},
}


def row(call: str = "water", request: str = "water the roses") -> dict:
    said = {"type": "function", "id": "1", "function": {"name": call, "arguments": {"bed": "roses"}}}
    return {"messages": [{"role": "user", "content": request}, {"role": "assistant", "content": "", "tool_calls": [said]}], "tools": [TOOL]}


def lines(path: Path, *rows: object) -> Path:
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows), "utf-8")
    return path


def test_filter_leaves_out_and_counts(toolagent, tmp_path):
    data = lines(tmp_path / "in.jsonl", row(), row(), row(call="feed", request="feed the cat"), row(request="water it all"))
    code, out, _ = toolagent("data", "filter", "--data", data, "--out", tmp_path / "out.jsonl", "--json")
    assert code == 0 and json.loads(out) == {"kept": 2, "dropped": {"duplicate": 1, "unknown tool": 1}}
    assert len((tmp_path / "out.jsonl").read_text("utf-8").splitlines()) == 2


@pytest.mark.parametrize("command", ["data filter --out out.jsonl --data", "data report", "train sft --from-scratch --out sft --data"])
@pytest.mark.parametrize("bad", ['{"messages": [', "[]", '{"messages": [{"role": "king", "content": ""}], "tools": []}'])
def test_malformed_lines_are_named(toolagent, tmp_path, monkeypatch, command, bad):
    monkeypatch.chdir(tmp_path)
    data = lines(tmp_path / "in.jsonl", row(), bad)
    code, _, err = toolagent(*command.split(), data)
    assert code == 2 and f"{data}:2" in sentence(err) and not (tmp_path / "out.jsonl").exists()


def test_an_unknown_tool_in_a_training_row(toolagent, tmp_path):
    data = lines(tmp_path / "in.jsonl", row(), row(call="feed"))
    code, _, err = toolagent("train", "sft", "--from-scratch", "--data", data, "--out", tmp_path / "sft", "--vocabulary", 300)
    assert code == 2 and f"{data}:2" in sentence(err) and "feed" in err


def test_a_schema_that_is_none(toolagent, tmp_path):
    bad = json.loads(json.dumps(TOOL))
    bad["function"]["parameters"]["properties"]["bed"]["type"] = "strnig"
    (tmp_path / "tools.json").write_text(json.dumps([bad]))
    cases = lines(tmp_path / "cases.jsonl", {"id": "1", "request": "x", "plan": []})
    code, _, err = toolagent("bench", "plans", "--cases", cases, "--tools", tmp_path / "tools.json")
    assert code == 2 and "tools.json" in sentence(err) and "no JSON Schema" in err


def test_report_counts(toolagent, tmp_path):
    data = lines(tmp_path / "in.jsonl", row(), row(request="water the beans please"))
    code, out, _ = toolagent("data", "report", data, "--json")
    found = json.loads(out)
    assert code == 0 and found["rows"] == 2 and found["plan_lengths"] == {"1": 2} and found["calls"] == {"water": 2}
    assert toolagent("data", "report", lines(tmp_path / "none.jsonl"))[0] == 2


def test_import_tinyagent(toolagent, tmp_path):
    plan = '1. get_email_address("Sid")\n2. compose_new_email(["$1"], [], "Hello", "", [])\n3. join()\n'
    source = lines(tmp_path / "in.jsonl", {"id": "a", "query": "mail Sid", "functions": ["get_email_address"], "plan": plan})
    code, *_ = toolagent("data", "import", "tinyagent", source, tmp_path / "cases.jsonl")
    case = json.loads((tmp_path / "cases.jsonl").read_text("utf-8"))
    assert code == 0 and case["request"] == "mail Sid" and case["plan"][1]["args"]["recipients"] == ["$1"]


def test_synthesize_is_repeatable(toolagent, tmp_path):
    for name in ("a", "b"):
        code, out, _ = toolagent("data", "synthesize", "--out", tmp_path / name, "--n", 40, "--valid", 20, "--workers", 1, "--json")
        assert code == 0 and json.loads(out)["train"]["rows"] == 40
    assert (tmp_path / "a" / "train.jsonl").read_bytes() == (tmp_path / "b" / "train.jsonl").read_bytes()


@pytest.mark.parametrize(
    "command",
    [
        "data synthesize --n 8 --valid 8 --workers 1 --out {}/x",
        "data filter --data {data} --out {}/x",
        "export gguf --model {model} --out {}/x.gguf --type f32",
        "export bundle --model {model} --out {}/x --type f32",
        "train sft --from-scratch --data {data} --vocabulary 300 --out {}/x",
    ],
)  # fmt: skip
def test_an_output_below_a_file(toolagent, chatty, tmp_path, command):
    (tmp_path / "file").write_text("mine")
    data = lines(tmp_path / "in.jsonl", row())
    code, _, err = toolagent(*command.format(tmp_path / "file", data=data, model=chatty.model).split())
    assert code in (1, 2) and str(tmp_path / "file") in sentence(err) and (tmp_path / "file").read_text() == "mine"


# --- train and export -----------------------------------------------------------------------------------------------------------------

SHAPE = {"width": 32, "layers": 1, "heads": 2, "kv-heads": 1, "hidden": 64, "vocabulary": 300}
SMALL = ["--from-scratch", "--threads", 1, *(word for name, size in SHAPE.items() for word in (f"--{name}", size))]


def test_settings_come_from_flags_then_file_then_defaults(toolagent, tmp_path):
    data = lines(tmp_path / "in.jsonl", *(row(request=f"water bed {k}") for k in range(8)))
    config = tmp_path / "sft.yaml"
    config.write_text(f"data: {data}\nlr: 1e-3\nepochs: 9\nwarmup: 2\nshape: {{width: 32, layers: 1}}\n")
    code, out, err = toolagent("train", "sft", "--config", config, *SMALL, "--epochs", 1, "--out", tmp_path / "sft", "--json")
    args = json.loads(out)["args"]
    assert code == 0, err
    assert (
        args["lr"] == 0.001
        and args["warmup"] == 2
        and args["epochs"] == 1
        and args["shape"]["layers"] == 1
        and args["shape"]["context"] == 2048
    )
    assert (tmp_path / "sft" / "model" / "config.json").exists()


@pytest.mark.parametrize(
    "text, says",
    [
        ("epocs: 3\n", "unknown key 'epocs'; nearest: \"epochs\""),
        ("shape: {widht: 3}\n", "unknown key 'shape.widht'; nearest: \"width\""),
        ("epochs: many\n", "epochs must be a number, not 'many'"),
        ("warmup: 1.5\n", "warmup must be a whole number, not 1.5"),
        ("data: [1]\n", "data must be a list of files"),
        ("- a\n", "must be settings"),
        ("a: [\n", "expected"),
    ],
)
def test_a_configuration_is_strict(toolagent, tmp_path, text, says):
    (tmp_path / "sft.yaml").write_text(text)
    code, _, err = toolagent("train", "sft", "--config", tmp_path / "sft.yaml")
    assert code == 2 and says in sentence(err) and "sft.yaml" in err


@pytest.mark.parametrize("trainer", ["reward", "dpo"])
def test_training_on_preferences(toolagent, chatty, tmp_path, trainer):
    def said(role, content):
        return {"role": role, "content": content}

    rows = [
        {"prompt": [said("user", f"bed {k}?")], "chosen": [said("assistant", "wet")], "rejected": [said("assistant", "dry")]} for k in range(6)
    ]
    train, valid = lines(tmp_path / "train.jsonl", *rows[:4]), lines(tmp_path / "valid.jsonl", *rows[4:])
    words = ["train", trainer, "--model", chatty.model, "--data", train, "--out", tmp_path / "run", "--threads", 1, "--epochs", 1]
    code, out, err = toolagent(*words, "--valid", valid, "--json")
    told = json.loads(out)
    assert code == 0 and told["pairs"] == 4 and told["best"] > 0 and told["parameters"] > 1000, err
    assert "chosen and rejected" not in err and (tmp_path / "run" / "model" / "config.json").exists()
    code, _, err = toolagent(*words[:-2], "--data", lines(tmp_path / "same.jsonl", rows[0] | {"rejected": rows[0]["chosen"]}), "--limit", 1)
    assert code == 0, err
    (tmp_path / "bad.jsonl").write_text('{"prompt": []}\n')
    code, _, err = toolagent("train", trainer, "--model", chatty.model, "--data", tmp_path / "bad.jsonl", "--out", tmp_path / "bad")
    assert code == 2 and "bad.jsonl:1" in sentence(err) and not (tmp_path / "bad").exists()


@pytest.mark.parametrize("processes", [1, 2])
def test_an_interrupt_in_training_leaves_a_whole_checkpoint(tmp_path, processes):
    import torch

    data = lines(tmp_path / "in.jsonl", *(row(request=f"water bed {k} at once") for k in range(200)))
    out = tmp_path / "sft"
    words = ["train", "sft", "--data", data, "--out", out, *SMALL, "--epochs", 10_000, "--rows-per-step", 16, "--processes", processes]
    child = process(*words)
    told = ""
    while "step 20" not in told:
        line = child.stderr.readline()
        assert line, told
        told += line
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=180)
    assert child.returncode == 130 and "Traceback" not in err and "toolagent: interrupted" in err
    assert torch.load(out / "short" / "checkpoint.pt", weights_only=True) and not list(out.glob("**/*.tmp"))
    child = process(*words, "--resume", "--minutes", 0.001)
    _, err = child.communicate(timeout=300)
    assert child.returncode == 0 and "resumed at step" in err and (out / "model" / "config.json").exists()


def test_a_full_disk_in_training(tmp_path):
    data = lines(tmp_path / "in.jsonl", *(row(request=f"water bed {k}") for k in range(8)))
    child = process("train", "sft", "--data", data, "--out", tmp_path / "sft", *SMALL, "--epochs", 1, limit=60_000)
    _, err = child.communicate(timeout=300)
    assert child.returncode == 1 and sentence(err)
    assert not (tmp_path / "sft" / "model").exists() and not list((tmp_path / "sft").glob("*.tmp"))


def test_a_bundle_is_written_whole_or_not_at_all(toolagent, chatty, tmp_path):
    (tmp_path / "note.json").write_text('{"training": "toolagent train sft ...", "scores": {"strict": 0.5}}')
    out = tmp_path / "bundle"
    words = ["export", "bundle", "--model", chatty.model, "--out", out, "--type", "f32", "--note", tmp_path / "note.json"]
    code, said, err = toolagent(*words, "--json")
    card = json.loads(said)
    assert code == 0 and card == json.loads((out / "bundle.json").read_text("utf-8")), err
    assert card["scores"] == {"strict": 0.5} and set(card["files"]) == {"model.gguf", "tools.json", "rules", "dialect"}
    for name, file in card["files"].items():
        raw = (out / name).read_bytes()
        assert file == {"sha256": hashlib.sha256(raw).hexdigest(), "bytes": len(raw)}
    assert len(json.loads((out / "tools.json").read_text("utf-8"))) == 16
    assert toolagent(*words)[0] == 0  # an old bundle is replaced
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("x")
    code, _, err = toolagent("export", "bundle", "--model", chatty.model, "--out", mine, "--type", "f32")
    assert code == 2 and "is no bundle" in sentence(err) and [p.name for p in mine.iterdir()] == ["thesis.txt"]
    (tmp_path / "note.json").write_text("[]")
    assert toolagent(*words)[0] == 2 and (out / "bundle.json").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bundle", "mine", "note.json"]


# --- bench ----------------------------------------------------------------------------------------------------------------------------


def test_bench_resolves_both_sides_and_writes_predictions(toolagent, server, tmp_path):
    gold = [{"id": k, "tool": name, "args": args} for k, (name, args) in enumerate(STORY, 1)]
    cases = lines(tmp_path / "cases.jsonl", {"id": "a", "now": "2026-03-02 09:30:00", "request": "email Sid", "plan": gold})
    words = ["bench", "plans", "--cases", cases, "--predictions", tmp_path / "p.jsonl", *scripted(server, STORY)[:4], "--min-strict", 100]
    code, out, err = toolagent(*words, "--json")
    data = json.loads(out)
    assert code == 0 and data["overall"]["strict"]["value"] == 1.0 and data["overall"]["n"] == 1 and "1/1" in err
    prediction = json.loads((tmp_path / "p.jsonl").read_text("utf-8"))
    assert prediction.keys() == {"id", "plan", "seconds"}
    assert prediction["plan"][3] == {
        "id": 4,
        "tool": "create_calendar_event",
        "args": {"title": "review", "start_date": "2026-03-06 15:00:00", "invitees": ["$1"]},
    }
    scripted(server, NOTE)
    code, out, err = toolagent(*words)
    assert code == 8 and "below 100" in err and "missing tool" in out and "median" in out


def test_bench_counts_what_is_no_plan(toolagent, server, tmp_path):
    cases = lines(tmp_path / "cases.jsonl", {"id": "a", "request": "x", "plan": []}, {"id": "b", "request": "y", "plan": []})
    scripted(server, '<tool_call>{"name": "create_note", "argum', "Nothing fits.")
    code, out, err = toolagent(
        "bench", "plans", "--cases", cases, "--runtime", "openai", "--url", server.url, "--predictions", tmp_path / "p.jsonl"
    )
    assert code == 0 and "no plan" in out and "a: " in err
    assert [json.loads(line)["plan"] for line in (tmp_path / "p.jsonl").read_text("utf-8").splitlines()] == [None, []]


def test_bench_reads_tinyagents_own_form(toolagent, server, tmp_path):
    plan = '1. get_email_address("Sid")\n2. compose_new_email(["$1"], [], "Hello", "x", [])\n3. join()\n'
    cases = lines(tmp_path / "in.jsonl", {"id": "a", "query": "mail Sid", "functions": [], "plan": plan})
    answer = [("get_email_address", {"name": "Sid"}), ("compose_new_email", {"recipients": ["$1"], "subject": "Hi", "context": "y"})]
    code, out, _ = toolagent("bench", "plans", "--cases", cases, "--json", *scripted(server, answer)[:4])
    data = json.loads(out)
    assert code == 0 and data["overall"]["dag"]["value"] == 1.0 and "strict" not in data["overall"]


def test_bench_with_the_tiny_model(toolagent, chatty, tmp_path):
    cases = lines(
        tmp_path / "cases.jsonl", {"id": "a", "now": "2026-03-02 09:30:00", "request": "note the agenda", "plan": [], "tags": ["t"]}
    )
    code, out, _ = toolagent("bench", "plans", "--cases", cases, "--model", chatty.bundle)
    assert code == 0 and "strict" in out and "(gold)" in out and "median" in out
