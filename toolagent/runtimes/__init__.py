"""Models that answer: generate(conversation) -> Messages. A runtime writes a call, it never runs one."""

from __future__ import annotations

from typing import Protocol

from toolagent.types import Conversation, Message


class Runtime(Protocol):
    """What an agent is handed."""

    dialect: str

    def generate(self, conversation: Conversation, *, n: int = 1, temperature: float = 0.0, seed: int = 0) -> list[Message]:
        """n assistant turns for this conversation. Raises ContextOverflow with token counts, never cuts a prompt."""
        ...
