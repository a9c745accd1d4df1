"""The words that every room speaks, as frozen dataclasses, and their JSON.

A Conversation is stored in OpenAI's shape (roles, tool_calls, tool_call_id), except that arguments are an object, never a string.
ToolSpec is data: what a model reads and a training row carries. The function behind it lives in toolagent.tool.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal, cast, get_args

from toolagent.errors import DataError

Role = Literal["system", "user", "assistant", "tool"]
ROLES: tuple[str, ...] = get_args(Role)


@dataclass(frozen=True)
class ToolSpec:
    """What a model is told of a tool. `parameters` and `returns` are JSON Schemas; their "format" names a kind (email, date-time ...)."""

    name: str
    description: str = ""
    parameters: dict[str, Any] = field(default_factory=lambda: {"type": "object", "properties": {}})
    returns: dict[str, Any] | None = None
    writes: bool = False

    @property
    def properties(self) -> dict[str, Any]:
        return cast(dict[str, Any], self.parameters.get("properties", {}))

    @property
    def required(self) -> tuple[str, ...]:
        return tuple(self.parameters.get("required", ()))

    def to_json(self) -> dict[str, Any]:
        function: dict[str, Any] = {"name": self.name, "description": self.description, "parameters": self.parameters}
        if self.returns is not None:
            function["return"] = self.returns
        if self.writes:
            function["writes"] = True
        return {"type": "function", "function": function}

    @classmethod
    def from_json(cls, data: Any) -> ToolSpec:
        function = data.get("function", data) if isinstance(data, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not function["name"]:
            raise DataError(f"a tool needs a name: {str(data)[:120]}")
        description = function.get("description") or ""
        if not isinstance(description, str):
            raise DataError(f"tool {function['name']!r}: the description must be a string, not {type(description).__name__}")
        parameters = function.get("parameters") or {"type": "object", "properties": {}}
        if not isinstance(parameters, dict) or not isinstance(parameters.get("properties", {}), dict):
            raise DataError(f"tool {function['name']!r}: parameters must be a JSON Schema of type object")
        required = parameters.get("required", [])
        if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
            raise DataError(f"tool {function['name']!r}: required must be a list of names")
        returns = function.get("return", function.get("returns"))
        if returns is not None and not isinstance(returns, dict):
            raise DataError(f"tool {function['name']!r}: return must be a JSON Schema, not {type(returns).__name__}")
        return cls(function["name"], description, parameters, returns, bool(function.get("writes", False)))


@dataclass(frozen=True)
class ToolCall:
    """A wish of the model. A string "$1" in the arguments (alone or inside a longer string) stands for the result of call 1."""

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)
    id: str = ""

    def to_json(self) -> dict[str, Any]:
        return {"type": "function", "id": self.id, "function": {"name": self.name, "arguments": self.arguments}}

    @classmethod
    def from_json(cls, data: Any) -> ToolCall:
        function = data.get("function", data) if isinstance(data, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise DataError(f"a tool call needs a function name: {str(data)[:120]}")
        arguments = function.get("arguments", {})
        if not isinstance(arguments, dict):
            raise DataError(f"call of {function['name']!r}: arguments must be an object, not {type(arguments).__name__}")
        return cls(function["name"], arguments, str(data.get("id") or ""))


@dataclass(frozen=True)
class ToolResult:
    """What came of a call. The model reads `error` and may try again."""

    call_id: str
    output: str = ""
    error: str | None = None


@dataclass(frozen=True)
class Message:
    role: Role
    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    result: ToolResult | None = None

    def to_json(self) -> dict[str, Any]:
        data: dict[str, Any] = {"role": self.role, "content": self.content}
        if self.tool_calls:
            data["tool_calls"] = [call.to_json() for call in self.tool_calls]
        if self.result is not None:
            data["tool_call_id"] = self.result.call_id
            data["content"] = self.result.output
            if self.result.error is not None:
                data["error"] = self.result.error
        return data

    @classmethod
    def from_json(cls, data: Any) -> Message:
        if not isinstance(data, dict) or data.get("role") not in ROLES:
            raise DataError(f"a message needs a role of {', '.join(ROLES)}: {str(data)[:120]}")
        content = data.get("content") or ""
        if not isinstance(content, str):
            raise DataError(f"message content must be a string, not {type(content).__name__}")
        calls = data.get("tool_calls") or ()
        if not isinstance(calls, (list, tuple)):
            raise DataError(f"tool_calls must be a list, not {type(calls).__name__}")
        if data["role"] == "tool":
            error = data.get("error")
            if error is not None and not isinstance(error, str):
                raise DataError(f"the error of a tool message must be a string, not {type(error).__name__}")
            return cls("tool", "", (), ToolResult(str(data.get("tool_call_id") or ""), content, error))
        return cls(data["role"], content, tuple(ToolCall.from_json(call) for call in calls))


@dataclass(frozen=True)
class Conversation:
    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {"messages": [m.to_json() for m in self.messages], "tools": [t.to_json() for t in self.tools]}

    @classmethod
    def from_json(cls, data: Any) -> Conversation:
        if not isinstance(data, dict) or not isinstance(data.get("messages"), list) or not data["messages"]:
            raise DataError("a conversation needs a non-empty list of messages")
        tools = data.get("tools") or []
        if not isinstance(tools, list):
            raise DataError(f"the tools of a conversation must be a list, not {type(tools).__name__}")
        return cls(tuple(Message.from_json(m) for m in data["messages"]), tuple(ToolSpec.from_json(t) for t in tools))


@dataclass(frozen=True)
class Step:
    """One turn of a trajectory: what the agent said, what came back, and what it was worth."""

    message: Message
    results: tuple[ToolResult, ...] = ()
    reward: float = 0.0
    value: float | None = None


@dataclass(frozen=True)
class Trajectory:
    task: str
    steps: tuple[Step, ...] = ()
    score: float = 0.0


@dataclass(frozen=True)
class PreferencePair:
    """Two continuations of one prompt. `margin` is how much better the chosen one is (0: unknown)."""

    prompt: Conversation
    chosen: tuple[Message, ...]
    rejected: tuple[Message, ...]
    margin: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """{"prompt", "chosen", "rejected", "tools", "margin"}, as TRL reads it."""
        data: dict[str, Any] = {key: [m.to_json() for m in getattr(self, key)] for key in ("chosen", "rejected")}
        prompt = self.prompt.to_json()
        return {"prompt": prompt["messages"], **data, "tools": prompt["tools"], "margin": self.margin}

    @classmethod
    def from_json(cls, data: Any) -> PreferencePair:
        if not isinstance(data, dict):
            raise DataError("a preference is an object with prompt, chosen and rejected")
        turns = {}
        for key in ("chosen", "rejected"):
            if not isinstance(data.get(key), list) or not data[key]:
                raise DataError(f"{key} must be a non-empty list of messages")
            turns[key] = tuple(Message.from_json(m) for m in data[key])
        margin = data.get("margin", 0.0)
        if isinstance(margin, bool) or not isinstance(margin, (int, float)) or not math.isfinite(margin) or margin < 0:
            raise DataError(f"the margin of a preference must be a number from 0, not {margin!r}")
        prompt = Conversation.from_json({"messages": data.get("prompt"), "tools": data.get("tools")})
        return cls(prompt, turns["chosen"], turns["rejected"], float(margin))
