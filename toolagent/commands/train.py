"""train: one command a trainer; each field of its Args is a flag, --config FILE.yaml says the same.

toolagent train sft --config sft.yaml --minutes 30
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from typing import Any

import click

from toolagent.commands.options import answer, common, quiet, say
from toolagent.commands.settings import flags, gathered
from toolagent.errors import UsageError


def run(page: str, config: str | None, given: dict[str, Any], as_json: bool, then: str) -> int:
    """Run a page of toolagent.train with what the file and the flags say; `then` is what to do with the model, "{out}" its run."""
    path = f"toolagent.train.{page}"
    settings = gathered(path, config, given)
    try:
        from toolagent import model as models

        trainer: Any = importlib.import_module(path)
    except ImportError as error:
        raise UsageError(f"training needs more packages ({error}): pip install 'toolagent[train]'") from error
    if shape := settings.pop("shape", {}):
        settings["shape"] = models.Shape(**shape)
    quiet()
    summary = trainer.main(trainer.Args(**settings), say)
    best = summary.get("best")
    text = f"{summary['parameters'] / 1e6:.1f}M parameters, {summary['steps']} steps, {summary['minutes']:.1f} minutes"
    text += f", best validation loss {best:.4f}" if best is not None else ""
    answer(as_json, json.loads(json.dumps(summary)), text + "\n" + then.format(out=summary["args"]["out"]))
    return 0


def trainer(page: str) -> Callable[[Any], Any]:
    """A command with a page's settings as flags, and a file that says the same."""

    def dressed(function: Any) -> Any:
        config = click.option("--config", metavar="FILE", help="settings as YAML; unknown keys are errors")
        return click.command()(config(flags(f"toolagent.train.{page}")(common(function))))

    return dressed


BUNDLE = "The model is in {out}/model. Next: toolagent export bundle --model {out}/model --out {out}/bundle"


@trainer("sft")
def sft(config: str | None, as_json: bool, **given: Any) -> int:
    """Train on conversations. Ctrl-C saves a checkpoint; --resume goes on from it.

    Example: toolagent train sft --from-scratch --data data/desktop/train.jsonl --valid data/desktop/valid.jsonl --out runs/sft --minutes 60
    """
    return run("sft", config, given, as_json, BUNDLE)


@trainer("distill")
def distill(config: str | None, as_json: bool, **given: Any) -> int:
    """Train a model to say what a larger one would. The teacher's answers are kept on disk; --resume goes on from a checkpoint.

    Example: toolagent train distill --model runs/small/model --teacher runs/large/model --data data/desktop/train.jsonl --out runs/distill
    """
    return run("distill", config, given, as_json, BUNDLE)


@trainer("reward")
def reward(config: str | None, as_json: bool, **given: Any) -> int:
    """Train a reward model on preferences. Ctrl-C saves a checkpoint; --resume goes on from it.

    Example: toolagent train reward --model runs/sft/model --data data/pairs/train.jsonl --valid data/pairs/valid.jsonl --out runs/reward
    """
    return run("reward", config, given, as_json, "The reward model is in {out}/model.")


@trainer("dpo")
def dpo(config: str | None, as_json: bool, **given: Any) -> int:
    """Tune a model on preferences. Ctrl-C saves a checkpoint; --resume goes on from it.

    Example: toolagent train dpo --model runs/sft/model --data data/pairs/train.jsonl --valid data/pairs/valid.jsonl --out runs/dpo --epochs 1
    """
    return run("dpo", config, given, as_json, BUNDLE)


@trainer("ppo")
def ppo(config: str | None, as_json: bool, **given: Any) -> int:
    """Train against a reward that is a Python function: PPO, GRPO or RLOO. Ctrl-C keeps the last whole step; --resume goes on from it.

    Example: toolagent train ppo --model runs/sft/model --data data/desktop/train.jsonl --reward judge.py:score --out runs/ppo --steps 100
    """
    return run("ppo", config, given, as_json, BUNDLE)
