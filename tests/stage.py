"""Two actors for tests of the command line: a tiny model that calls tools at random, and a server that answers as it is told.

from stage import chatty, server  # noqa: F401  (fixtures)
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class Chatty:
    """A model of two small layers with random weights that always wants to call a tool, as a directory and as a bundle."""

    model: Path
    bundle: Path


@pytest.fixture(scope="session")
def chatty(tmp_path_factory) -> Chatty:
    torch = pytest.importorskip("torch")

    from toolagent import model as models
    from toolagent.commands.export import prompts
    from toolagent.commands.options import load_packs
    from toolagent.dialects import compact
    from toolagent.export import bundle

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("chatty")
    tools, rules = load_packs(())
    specs = [tool.spec for tool in tools]
    texts = prompts("compact", specs, rules)
    tokenizer = models.train_tokenizer(texts * 3, 400)
    shape = models.Shape(width=32, layers=2, heads=2, kv_heads=1, hidden=64, vocabulary=400, context=4096)
    model = models.make(shape, tokenizer, seed=3)
    with torch.no_grad():  # the mark of a plan lies where the model looks at the end of a prompt
        rows = [torch.tensor([tokenizer(text, add_special_tokens=False)["input_ids"]]) for text in texts]
        towards = torch.stack([model.model(row).last_hidden_state[0, -1] for row in rows]).mean(0)
        model.get_input_embeddings().weight[tokenizer.convert_tokens_to_ids(compact.PLAN)] = 30 * towards / towards.norm()
    models.save(model, tokenizer, folder / "model", "compact")
    note = {"training": "none: random weights"}
    bundle.write(folder / "model", folder / "bundle", specs, rules, note, "f32", texts[:1])
    return Chatty(folder / "model", folder / "bundle")


@dataclass
class Server:
    """An OpenAI-compatible server on loopback. `plans`: what it answers, one after the other, the last one again and again."""

    url: str = ""
    plans: list[Any] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    status: int = 200
    raw: bytes | None = None  # answered as it is

    def answer(self) -> dict[str, Any]:
        plan = self.plans.pop(0) if len(self.plans) > 1 else self.plans[0]
        if isinstance(plan, str):
            return {"choices": [{"message": {"role": "assistant", "content": plan}, "finish_reason": "stop"}]}
        functions = [{"name": name, "arguments": json.dumps(arguments)} for name, arguments in plan]
        calls = [{"id": f"c{k}", "type": "function", "function": function} for k, function in enumerate(functions, 1)]
        return {"choices": [{"message": {"role": "assistant", "content": None, "tool_calls": calls}, "finish_reason": "tool_calls"}]}


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def reply(self, data: Any) -> None:
            body = json.dumps(data).encode() if state.raw is None else state.raw
            self.send_response(state.status)
            if state.status in (301, 302, 307):
                self.send_header("Location", state.url + "/elsewhere")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            state.headers.append(dict(self.headers))
            self.reply({"data": [{"id": "scripted"}]})

        def do_POST(self) -> None:
            state.headers.append(dict(self.headers))
            state.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.reply(state.answer() if state.status == 200 else {"error": {"message": state.plans[0]}})

        def log_message(self, *args: Any) -> None:
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{listening.server_port}/v1"
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    yield state
    listening.shutdown()
    listening.server_close()
