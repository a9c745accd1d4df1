"""Rewards that are functions: any Python callable of (conversation, answer), named on the command line or handed over.

    score(reward_of("judge.py:score"), prompt, answer)

Left out: scores of many answers at once; those of a reward model (train/reward.py) as such a function.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
import pathlib
from collections.abc import Callable

from toolagent.errors import UsageError
from toolagent.train.rollouts import Prompt
from toolagent.types import Conversation, Message

Reward = Callable[[Conversation, Message], float]


def reward_of(name: str) -> Reward:
    """"module:function" or "file.py:function" -> the function. Raises UsageError."""
    place, _, function = name.rpartition(":")
    try:
        if place.endswith(".py"):
            spec = importlib.util.spec_from_file_location(pathlib.Path(place).stem, place)
            assert spec is not None and spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        else:
            module = importlib.import_module(place)
        found: Reward = getattr(module, function)
    except Exception as error:  # whatever a file of the user raises while it is read
        raise UsageError(f"--reward {name!r}: {type(error).__name__}: {error}; give module:function or file.py:function") from error
    if not callable(found):
        raise UsageError(f"--reward {name!r} is no function")
    return found


def score(reward: Reward, prompt: Prompt, answer: Message) -> float:
    """Raises UsageError with the prompt's name where the reward raises, or gives what is no number."""
    try:
        found = reward(prompt.conversation, answer)
        value = math.nan if isinstance(found, str) else float(found)
    except Exception as error:
        raise UsageError(f"the reward failed at prompt {prompt.name}: {type(error).__name__}: {error}") from error
    if not math.isfinite(value):
        raise UsageError(f"the reward gave {found!r} at prompt {prompt.name}: it must give a finite number")
    return value
