"""Any server that speaks OpenAI's chat completions: llama-server, Ollama, vLLM, LM Studio, or one far away.

    toolagent run "text Ana that lunch moved" --runtime openai --url http://127.0.0.1:8080/v1 --model qwen3

One request an answer, over urllib: tools in, tool_calls out. A key is sent to this machine or over https only, and never along a redirect.
Left out: streaming, retries.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from toolagent.dialects import template
from toolagent.errors import ContextOverflow, InvalidOutput, NoModel, UsageError
from toolagent.types import Conversation, Message

MOST = 16 * 2**20  # bytes of an answer
LOCAL = ("localhost", "127.0.0.1", "::1")


class Still(urllib.request.HTTPRedirectHandler):
    """A redirect is an error: what was meant for one server does not go to another."""

    def redirect_request(self, *args: Any, **named: Any) -> None:
        return None


class OpenAI:
    """`model`: its name on the server ("": the first that /models lists). `key`: for the Authorization header."""

    dialect = "template"

    def __init__(self, url: str, model: str = "", key: str = "", timeout: float = 120.0) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"{url!r} is no address of a server; write one like http://127.0.0.1:8080/v1")
        local = parts.hostname in LOCAL
        if key and parts.scheme == "http" and not local:
            raise UsageError(f"a key would travel to {parts.hostname} in the open; use https")
        self.url, self.key, self.timeout = url.rstrip("/"), key, timeout
        self.opener = urllib.request.build_opener(Still, *([urllib.request.ProxyHandler({})] if local else []))
        self.model = model or self.first_model()

    def first_model(self) -> str:
        data = self.ask("/models").get("data")
        if not isinstance(data, list) or not data or not isinstance(data[0], dict) or not isinstance(data[0].get("id"), str):
            raise NoModel(f"{self.url}/models lists no model; give its name with --model")
        return str(data[0]["id"])

    def generate(self, conversation: Conversation, *, n: int = 1, temperature: float = 0.0, seed: int = 0) -> list[Message]:
        """n answers. Raises NoModel (no server, refused), ContextOverflow, InvalidOutput."""
        body: dict[str, Any] = {
            "model": self.model,
            "messages": template.messages(conversation, arguments_as_text=True),
            "temperature": temperature,
        }
        if conversation.tools:
            body["tools"] = template.tools(conversation)
        return [self.answer(body | {"seed": seed + i}) for i in range(n)]

    def answer(self, body: dict[str, Any]) -> Message:
        choices = self.ask("/chat/completions", body).get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        message = choice.get("message") if isinstance(choice, dict) else None
        if not isinstance(choice, dict) or not isinstance(message, dict):
            raise InvalidOutput(f"{self.url} answered without a message")
        if message.get("tool_calls"):
            return Message("assistant", "", template.calls(message["tool_calls"]))
        if choice.get("finish_reason") == "length":
            raise InvalidOutput(f"{self.model} was cut off in the middle of its answer; give the server a longer context")
        return template.parse(str(message.get("content") or ""))  # some servers leave calls in the text

    def ask(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        request = urllib.request.Request(self.url + path, None if body is None else json.dumps(body).encode(), headers)
        try:
            with self.opener.open(request, timeout=self.timeout) as reply:
                raw = reply.read(MOST + 1)
        except urllib.error.HTTPError as error:
            raise refusal(self.url, error) from error
        except (OSError, ValueError) as error:  # URLError is an OSError
            raise NoModel(f"no answer from {self.url}: {getattr(error, 'reason', error)}; is the server running?") from error
        try:
            data = json.loads(raw)
        except ValueError as error:
            raise InvalidOutput(f"{self.url} did not answer in JSON: {raw[:80]!r}") from error
        if len(raw) > MOST or not isinstance(data, dict):
            raise InvalidOutput(f"{self.url} did not answer with an object of at most {MOST // 2**20} MB")
        return data


def refusal(url: str, error: urllib.error.HTTPError) -> NoModel | ContextOverflow:
    """A status that is no success -> what to change."""
    try:
        text = " ".join(error.read(2000).decode("utf-8", "replace").split())
    except OSError:
        text = ""
    about_length = "context" in text.lower() and any(word in text.lower() for word in ("exceed", "length", "window", "size"))
    if error.code in (400, 413, 422, 500) and about_length:
        return ContextOverflow(f"the prompt does not fit the context of {url}: {text[:300]}")
    key = "; give a key with --api-key-env"
    hint = {401: key, 403: key, 404: "; check --url (does it end in /v1?) and --model"}
    return NoModel(f"{url} answered {error.code}{f': {text[:300]}' if text else ''}{hint.get(error.code, '')}")
