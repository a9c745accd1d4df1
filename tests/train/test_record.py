"""The record of a run: written before the first step, and what stands in it is what was there."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
import sys
from dataclasses import dataclass, replace

import pytest

torch = pytest.importorskip("torch")

from toy import ARGS, Toy, batches_of, loss_of, rows_of  # noqa: E402

import toolagent  # noqa: E402
from toolagent.errors import DataError  # noqa: E402
from toolagent.train import record  # noqa: E402
from toolagent.train.loop import FitArgs, fit  # noqa: E402


@dataclass
class Args(FitArgs):
    data: tuple[str, ...] = ()
    valid: tuple[str, ...] = ()
    out: str = "runs/toy"
    resume: bool = False


def args_of(tmp_path, **more):
    text = b'{"a": 1}\n\n{"b": "\xc3\xa9"}\n  \n{"c": 3}'
    (tmp_path / "rows.jsonl").write_bytes(text)
    given = {"data": (str(tmp_path / "rows.jsonl"),), "out": str(tmp_path / "run"), **more}
    return Args(**(vars(ARGS) | given)), text


def read(folder):
    return json.loads((folder / "record.json").read_text("utf-8"))


def run(out, args, loss=loss_of, resume=False, whole=None):
    return fit(Toy(), batches_of(rows_of()), loss, args, out, say=lambda text: None, resume=resume, run=whole)


def test_it_stands_before_the_first_step_and_holds_what_made_the_run(tmp_path, monkeypatch):
    args, text = args_of(tmp_path)
    seen = []

    def loss(model, rows):
        seen.append(read(tmp_path / "run"))
        return loss_of(model, rows)

    monkeypatch.chdir(tmp_path)
    run(tmp_path / "run", args, loss)
    found = seen[0]
    assert found == read(tmp_path / "run") and found["resumed"] == [] and found["stretch"] == "" and found["command"] == sys.argv
    assert found["config"] == json.loads(json.dumps(vars(args))) and found["config"]["weight_decay"] == 0.02  # a default
    file = {"path": str(tmp_path / "rows.jsonl"), "rows": 3, "bytes": len(text), "sha256": hashlib.sha256(text).hexdigest()}
    assert found["data"] == {"data": [file]}
    assert found["versions"]["python"] == platform.python_version() and torch.__version__.startswith(found["versions"]["torch"])
    assert found["versions"]["toolagent"] == toolagent.__version__ and {"transformers", "peft"} <= found["versions"].keys()
    assert found["machine"]["device"] == "cpu" and found["machine"]["cores"] >= 1 and found["machine"]["memory"] > 1e8
    assert found["git"]["working_directory"] is None  # pytest's folder is in no repository
    assert "T" in found["started"] and found["started"][-6] in "+-"


def test_a_resumed_run_keeps_the_record_of_its_first_start(tmp_path):
    args, _ = args_of(tmp_path)
    run(tmp_path / "run", replace(args, epochs=1.0))
    first = read(tmp_path / "run")
    for epochs in (2.0, 3.0):
        run(tmp_path / "run", replace(args, epochs=epochs), resume=True)
    found = read(tmp_path / "run")
    assert [start["config"]["epochs"] for start in found["resumed"]] == [2.0, 3.0]
    assert {**found, "resumed": []} == first
    run(tmp_path / "run", replace(args, epochs=0.5))  # anew
    assert read(tmp_path / "run")["resumed"] == [] and read(tmp_path / "run")["config"]["epochs"] == 0.5


def test_each_stretch_has_a_record_and_the_run_from_its_first_step(tmp_path):
    args, _ = args_of(tmp_path)
    out = tmp_path / "run"
    run(out / "short", replace(args, epochs=0.5))
    assert read(out) == read(out / "short") and read(out)["stretch"] == "short" and read(out)["config"]["epochs"] == 0.5
    run(out, replace(args, epochs=1.0))
    assert (read(out)["stretch"], read(out)["config"]["epochs"], read(out / "short")["config"]["epochs"]) == ("", 1.0, 0.5)
    run(out / "few", replace(args, epochs=1.5, resume=True))  # a resumed run comes into its next stretch, which has no checkpoint
    assert [start["stretch"] for start in read(out)["resumed"]] == ["few"] and read(out / "few")["resumed"] == []
    assert record.folder(tmp_path / "else" / "short", args) == tmp_path / "else" / "short"


def test_the_settings_of_the_whole_run_stand_in_its_own_folder(tmp_path):
    args, _ = args_of(tmp_path)
    out = tmp_path / "run"
    for place, epochs in ((out / "short", 0.5), (out, 1.5)):
        run(place, replace(args, epochs=epochs), whole=args)
        assert read(out)["config"] == json.loads(json.dumps(vars(args))) and read(out)["stretch"] == ("short" if place != out else "")
    assert read(out / "short")["config"]["epochs"] == 0.5


def test_a_record_that_cannot_be_read_is_replaced(tmp_path):
    args, _ = args_of(tmp_path)
    (tmp_path / "run").mkdir()
    for text in ("{", "[]"):
        (tmp_path / "run" / "record.json").write_text(text)
        record.write(tmp_path / "run", args, resumed=True)
        assert read(tmp_path / "run")["resumed"] == []


def test_data_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.jsonl: No such file"):
        record.write(tmp_path, Args(data=("nowhere.jsonl",)))
    assert not (tmp_path / "record.json").exists()


def git(folder, *words):
    name = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    return subprocess.run(["git", *name, *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def test_the_commit_and_whether_files_differ_from_it(tmp_path, monkeypatch):
    repository = tmp_path / "mine"
    (repository / "inner").mkdir(parents=True)
    git(repository, "init")
    assert record.revision(repository) is None  # no commit yet
    (repository / "page.py").write_text("one")
    git(repository, "add", "page.py")
    git(repository, "commit", "-m", "one")
    commit = git(repository, "rev-parse", "HEAD")
    (repository / "new.txt").write_text("git does not know it")
    want = {"folder": str(repository.resolve()), "commit": commit, "changed": False}
    assert record.revision(repository) == want and record.revision(repository / "inner") == want
    (repository / "page.py").write_text("two")
    assert record.revision(repository) == {**want, "changed": True}
    (repository / "inner" / "__init__.py").write_text("")
    assert record.revision(repository / "inner", ours=True) is None  # installed inside someone's repository, and not of it
    git(repository, "add", "inner")
    assert record.revision(repository / "inner", ours=True) == {**want, "changed": True}
    monkeypatch.setenv("PATH", str(tmp_path))  # no git
    assert record.revision(repository) is None
