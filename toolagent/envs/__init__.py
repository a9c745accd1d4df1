"""Places where an agent acts in steps and is told in the end how well it did.

    environment = Webshop()
    task = environment.tasks("train")[0]
    print(environment.reset(task))
    observation, reward, done = environment.step(Message("assistant", "search[walnut desk lamp]"))

An environment is one file with the names below. `fork()` is what a search tree lives on: whatever happens to one copy, its siblings do not
notice. The simplest way to be sure of that is to keep the whole state in one frozen value, as envs/webshop.py does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from toolagent.types import Message, ToolSpec

SPLITS = ("train", "validation", "test")


class Outcome(NamedTuple):
    """What came of a step. `reward` is what this step brought, `done` says that no step after it changes anything."""

    observation: str
    reward: float
    done: bool


class Environment(Protocol):
    """What a search, a trainer or a benchmark is handed."""

    tools: tuple[ToolSpec, ...]  # what an agent may call here
    rules: str  # what it is told of them, for the system message

    def tasks(self, split: str) -> Sequence[str]:
        """The names of the tasks of a split, always in the same order; no task is in two. Raises UsageError where there is no such split."""
        ...

    def reset(self, task: str) -> str:
        """Begin a task; the first observation. Raises UsageError where there is no such task."""
        ...

    def action(self, message: Message) -> str | None:
        """What this message would do now, in one short text: equal texts do the same. None: nothing, except to use up a step."""
        ...

    def step(self, message: Message) -> Outcome:
        """Act. Never raises for what the message says: whatever cannot be done changes nothing and brings 0."""
        ...

    def fork(self) -> Environment:
        """A copy in the same state. What either does afterwards is unknown to the other."""
        ...

    @property
    def score(self) -> float:
        """How well the task was done, 0 to 1; 0 as long as it is not done."""
        ...
