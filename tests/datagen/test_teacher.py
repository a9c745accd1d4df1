"""A teacher on the loopback plays good, bad, busy and slow; every request that it gets is counted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from toolagent.datagen.ledger import alone
from toolagent.datagen.seeds import load_skeletons
from toolagent.datagen.teacher import Args, teach, told
from toolagent.errors import DataError, InvalidOutput, NoModel, UsageError
from toolagent.types import ToolSpec


def spec(name: str, **properties: Any) -> ToolSpec:
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    return ToolSpec(name, name.replace("_", " ").capitalize() + ".", parameters)


PACK = (spec("water_bed", bed={"type": "string"}, litres={"type": "number"}), spec("plant", crop={"type": "string"}))


def water(bed: str, litres: Any = 5) -> dict[str, Any]:
    plan = [{"id": 1, "tool": "water_bed", "args": {"bed": bed, "litres": litres}}]
    return {"request": f"give {bed} 5 litres", "plan": plan, "swap": {bed: "place"}}


class Teacher:
    """`answer(k, prompt)` gives what request k (from 1) gets: a list of rows, a text, a status, or anything with (status, headers)."""

    def __init__(self, answer: Callable[[int, str], Any]) -> None:
        self.answer = answer
        self.prompts: list[str] = []
        self.keys: list[str | None] = []
        self.lock = threading.Lock()
        teacher = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                prompt = body["messages"][-1]["content"]
                with teacher.lock:
                    teacher.prompts.append(prompt)
                    teacher.keys.append(self.headers.get("Authorization"))
                    k = len(teacher.prompts)
                said = teacher.answer(k, prompt)
                status, headers = (said if isinstance(said, tuple) else (said, {})) if not isinstance(said, (list, str)) else (200, {})
                if isinstance(said, list):
                    said = "\n".join(json.dumps(row) for row in said)
                usage = {"prompt_tokens": 100, "completion_tokens": 40}
                data = {"choices": [{"message": {"content": said}}], "usage": usage} if status == 200 else {"error": f"status {status}"}
                raw = json.dumps(data).encode()
                try:
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(raw)))
                    self.end_headers()
                    self.wfile.write(raw)
                except OSError:
                    pass  # the asker has given up

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def serve():
    started: list[Teacher] = []

    def start(answer: Callable[[int, str], Any]) -> Teacher:
        started.append(Teacher(answer))
        return started[-1]

    yield start
    for teacher in started:
        teacher.close()


def args(teacher: Teacher, **changed: Any) -> Args:
    return Args(**{"url": teacher.url, "model": "toy", "n": 4, "rows": 2, "concurrency": 1, "pause": 0.001, "timeout": 5.0} | changed)


def good(k: int, prompt: str) -> list[dict[str, Any]]:
    """Two rows that nobody wrote before."""
    return [water(f"bed {2 * k}"), water(f"bed {2 * k + 1}")]


def rows_in(path: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_good_rows_are_seeds(serve, tmp_path):
    teacher = serve(good)
    report = teach(PACK, tmp_path / "seeds.jsonl", args(teacher, price_in=2.0, price_out=10.0), rules="Litres, never gallons.", key="k-1")
    assert len(teacher.prompts) == 2 and set(teacher.keys) == {"Bearer k-1"}
    assert "water_bed" in teacher.prompts[0] + teacher.prompts[1] and "Litres, never gallons." in teacher.prompts[0]
    assert (report["rows"], report["requests"], report["retries"], report["dropped"]) == (4, 2, 0, {})
    assert (report["tokens_in"], report["tokens_out"]) == (200, 80)
    assert report["cost"] == (200 * 2 + 80 * 10) / 1e6
    first = load_skeletons([tmp_path / "seeds.jsonl"])[0]
    assert (first.request, first.swap) == ("give bed 2 5 litres", {"bed 2": "place"})
    assert (first.tags, first.writer) == (("teacher", "single"), "toy")
    assert first.plan[0].arguments == {"bed": "bed 2", "litres": 5}
    assert "4 rows in" in told(report) and "200 tokens of prompts, 80 of answers" in told(report)


def test_the_same_command_again_asks_nothing(serve, tmp_path):
    teacher = serve(good)
    out = tmp_path / "seeds.jsonl"
    teach(PACK, out, args(teacher))
    before = out.read_bytes()
    report = teach(PACK, out, args(teacher))
    assert len(teacher.prompts) == 2 and out.read_bytes() == before and report["new_rows"] == 0 and report["tokens_in"] == 200
    teach(PACK, out, args(teacher, n=6))
    assert len(teacher.prompts) == len(set(teacher.prompts)) == 3


def test_what_is_wrong_is_left_out_by_reason(serve, tmp_path):
    bad = [
        water("bed 1", "five"),
        water("bed 1") | {"plan": [{"tool": "fly", "args": {}}]},
        water("bed 1") | {"plan": [{"id": 1, "tool": "plant", "args": {"crop": "$1"}}]},
        water("bed 1") | {"request": "water the first one"},
        water("bed 1") | {"plan": []},
        water("bed 1") | {"plan": "none"},
        {"request": "", "plan": []},
        water("bed 1"),
        water("bed  1") | {"request": "Give bed 1 5 litres!"},
    ]
    broken = '{"request": "give bed 3 5 litres", "plan": [{"id": 1, "tool": "plant"'
    teacher = serve(lambda k, prompt: "Here you are:\n```json\n" + json.dumps(bad) + "\n```\n" + broken)
    report = teach(PACK, tmp_path / "seeds.jsonl", args(teacher, n=1))
    assert report["rows"] == 1 and report["requests"] == 1
    assert report["dropped"] == {
        "arguments do not fit": 1, "unknown tool": 1, "no plan that can be run": 2, "words that are not in the request": 1,
        "no step where tools were to be used": 1, "no request": 1, "repeat": 1, "broken JSON": 1,
    }  # fmt: skip


def test_busy_then_well(serve, tmp_path):
    said = iter([(429, {"Retry-After": "0.01"}), 500, 503, good(1, ""), good(2, "")])
    teacher = serve(lambda k, prompt: next(said))
    report = teach(PACK, tmp_path / "seeds.jsonl", args(teacher))
    assert (report["rows"], report["requests"], report["retries"], report["failed"]) == (4, 5, 3, 0)
    assert len(set(teacher.prompts)) == 2  # the first job four times


def test_a_job_that_fails_is_left_for_the_next_run(serve, tmp_path):
    teacher = serve(lambda k, prompt: 500 if k in (2, 3) else good(k, prompt))
    out = tmp_path / "seeds.jsonl"
    report = teach(PACK, out, args(teacher, attempts=2, n=6))
    assert (report["rows"], report["requests"], report["failed"]) == (6, 5, 1)
    failed = teacher.prompts[1]
    teach(PACK, out, args(teacher, attempts=2, n=8))
    assert teacher.prompts[5] == failed and len(teacher.prompts) == 6


def test_a_server_that_only_fails_ends_it(serve, tmp_path):
    teacher = serve(lambda k, prompt: 500)
    with pytest.raises(NoModel, match=f"{teacher.url} answered 500: .*status 500"):
        teach(PACK, tmp_path / "seeds.jsonl", args(teacher, attempts=3))
    assert len(teacher.prompts) == 3


def test_slow_is_a_time_out_and_tried_again(serve, tmp_path):
    teacher = serve(lambda k, prompt: (time.sleep(0.4) if k == 1 else None) or good(k, prompt))
    report = teach(PACK, tmp_path / "seeds.jsonl", args(teacher, n=2, timeout=0.1))
    assert (report["rows"], report["requests"], report["retries"]) == (2, 2, 1)


@pytest.mark.parametrize(("status", "says"), [(401, "give a key with --api-key-env"), (404, "does it end in /v1")])
def test_a_refusal_ends_it_at_once(serve, tmp_path, status, says):
    teacher = serve(lambda k, prompt: status)
    with pytest.raises(NoModel, match=says):
        teach(PACK, tmp_path / "seeds.jsonl", args(teacher))
    assert len(teacher.prompts) == 1


def test_nobody_listens(serve, tmp_path):
    teacher = serve(good)
    teacher.close()
    with pytest.raises(NoModel, match="refused; is the server running"):
        teach(PACK, tmp_path / "seeds.jsonl", args(teacher, pause=60.0))  # and it does not wait a minute to say so


def test_a_teacher_that_cannot_is_told_so(serve, tmp_path):
    teacher = serve(lambda k, prompt: "I am only a small model.")
    with pytest.raises(InvalidOutput, match=r"toy wrote nothing usable in 4 answers \(4 x an answer without a row\); it begins 'I am only"):
        teach(PACK, tmp_path / "seeds.jsonl", args(teacher))
    assert len(teacher.prompts) == 4


def test_a_teacher_that_repeats_itself_is_stopped(serve, tmp_path):
    teacher = serve(lambda k, prompt: good(1, prompt))
    report = teach(PACK, tmp_path / "seeds.jsonl", args(teacher))
    assert report["rows"] == 2 and report["short"] == "the last 12 answers brought nothing new"
    assert len(teacher.prompts) == 13 and report["dropped"] == {"repeat": 24}


def test_every_tenth_job_asks_for_what_nothing_can_do(serve, tmp_path):
    none = {"request": "book me a flight", "plan": [], "swap": {}}
    teacher = serve(lambda k, prompt: [none] if "none of the tools can do" in prompt else good(k, prompt)[:1])
    report = teach(PACK, tmp_path / "seeds.jsonl", args(teacher, n=11, rows=1))
    assert [k for k, prompt in enumerate(teacher.prompts, 1) if "none of the tools can do" in prompt] == [10]
    assert report["rows"] == 11 and [row["tags"][1] for row in rows_in(tmp_path / "seeds.jsonl")].count("empty") == 1


def test_several_at_a_time_ask_no_more_than_needed(serve, tmp_path):
    teacher = serve(good)
    report = teach(PACK, tmp_path / "seeds.jsonl", args(teacher, n=16, concurrency=4))
    assert report["rows"] == 16 and len(teacher.prompts) == len(set(teacher.prompts)) == 8


def test_other_settings_need_another_file(serve, tmp_path):
    teacher = serve(good)
    out = tmp_path / "seeds.jsonl"
    teach(PACK, out, args(teacher))
    with pytest.raises(UsageError, match="seed 1 instead of 2; give another --out"):
        teach(PACK, out, args(teacher, seed=2))
    with pytest.raises(UsageError, match="made with tools"):
        teach(PACK[:1], out, args(teacher, n=9))


def test_two_runs_do_not_share_a_file(serve, tmp_path):
    pytest.importorskip("fcntl")
    with alone(tmp_path / "seeds.jsonl.state"), pytest.raises(UsageError, match="another run writes to it"):
        teach(PACK, tmp_path / "seeds.jsonl", args(serve(good)))


def test_rows_of_a_users_own_are_kept_and_not_repeated(serve, tmp_path):
    out = tmp_path / "seeds.jsonl"
    out.write_text(json.dumps(water("bed 2")))  # no newline at its end
    report = teach(PACK, out, args(serve(good)))
    assert report["rows"] == 5 and len(rows_in(out)) == 6 and report["dropped"] == {"repeat": 1}
    out.write_text('{"request": 1\n{}\n')
    with pytest.raises(DataError, match=r"seeds.jsonl:1: no JSON"):
        teach(PACK, out, args(serve(good), n=9))


def test_rows_that_a_user_took_out_stay_out(serve, tmp_path):
    teacher, out = serve(good), tmp_path / "seeds.jsonl"
    teach(PACK, out, args(teacher))
    out.write_text("".join(out.read_text().splitlines(keepends=True)[1:]))
    report = teach(PACK, out, args(teacher, n=6))
    assert (report["rows"], len(rows_in(out)), report["requests"]) == (6, 5, 1)
    out.unlink()  # all of them: what was answered is judged again, and nothing is asked
    assert teach(PACK, out, args(teacher, n=6))["requests"] == 0 and len(rows_in(out)) == 6


CHILD = """
import pathlib, sys
from toolagent.datagen.teacher import Args, teach
from toolagent.types import ToolSpec
import json
specs = tuple(ToolSpec.from_json(t) for t in json.loads(sys.argv[3]))
teach(specs, pathlib.Path(sys.argv[1]), Args(url=sys.argv[2], model="toy", n=10, rows=2, concurrency=2, pause=0.001))
"""


def test_killed_and_resumed(serve, tmp_path):
    held, reached = threading.Event(), threading.Event()

    def answer(k: int, prompt: str) -> Any:
        if k == 4:
            reached.set()
            held.wait(10)
        return good(k, prompt)

    teacher = serve(answer)
    out, state = tmp_path / "seeds.jsonl", tmp_path / "seeds.jsonl.state"
    tools = json.dumps([s.to_json() for s in PACK])
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(out), teacher.url, tools])
    try:
        assert reached.wait(30)
        while len(rows_in(out)) < 8:  # jobs 1, 2, 3 and 5 are answered; the fourth hangs
            time.sleep(0.01)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
        held.set()
    asked = list(teacher.prompts)
    assert len(asked) == 5
    lines = state.read_text().splitlines(keepends=True)
    state.write_text("".join(lines[:-1]) + lines[-1][:9])  # the kill came in the middle of a line,
    kept = out.read_text().splitlines(keepends=True)
    out.write_text("".join(kept[:7]) + kept[7][:20])  # and another between an answer and its rows
    report = teach(PACK, out, args(teacher, n=10))
    assert report["requests"] == 1 and teacher.prompts[5] == asked[3]  # only what was never answered
    assert report["rows"] == 10 == len(rows_in(out)) and len({row["request"] for row in rows_in(out)}) == 10
    assert report["tokens_in"] == 500


def test_ctrl_c_keeps_what_is_under_way(serve, tmp_path):
    def answer(k: int, prompt: str) -> Any:
        if k == 2:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.05)
        return good(k, prompt)

    teacher = serve(answer)
    out = tmp_path / "seeds.jsonl"
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    try:
        with pytest.raises(KeyboardInterrupt):
            teach(PACK, out, args(teacher, n=100))
    finally:
        signal.signal(signal.SIGINT, usual)
    assert len(teacher.prompts) == 2 and len(rows_in(out)) == 4
    assert teach(PACK, out, args(teacher, n=6))["requests"] == 1
