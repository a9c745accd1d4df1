"""A runtime without a model: it answers from a list of Messages, or by a function of the conversation. For tests and examples.

    Planner(Scripted([Message("assistant", "", (ToolCall("now"),))]), toolbox).run("what time is it")

`seen` holds the conversations that it was asked about, in order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from toolagent.errors import UsageError
from toolagent.types import Conversation, Message, ToolCall

Answer = Callable[[Conversation], Message]


class Scripted:
    """Each answer of a list is given once; a function is asked every time."""

    dialect = "compact"

    def __init__(self, answers: Iterable[Message] | Answer) -> None:
        self.answer: Answer = answers if callable(answers) else self.next_answer
        self.left = [] if callable(answers) else list(answers)
        self.seen: list[Conversation] = []

    def generate(self, conversation: Conversation, *, n: int = 1, temperature: float = 0.0, seed: int = 0) -> list[Message]:
        """n answers. Raises UsageError when the script is at its end."""
        self.seen.append(conversation)
        return [self.answer(conversation) for _ in range(n)]

    def next_answer(self, conversation: Conversation) -> Message:
        if not self.left:
            raise UsageError(f"the script has no answer left; this is question {len(self.seen)}")
        return self.left.pop(0)


def calling(*calls: tuple[str, dict[str, object]]) -> Message:
    """The turn of an assistant that makes these calls: calling(("open_note", {"name": "tea"}))."""
    return Message("assistant", "", tuple(ToolCall(name, arguments, str(k)) for k, (name, arguments) in enumerate(calls, 1)))
