"""train: one command a trainer; each field of its Args is a flag, --config FILE.yaml says the same.

toolagent train sft --config sft.yaml --minutes 30
"""

from __future__ import annotations

import json
import math
from typing import Any

import click

from toolagent.commands.options import answer, common, quiet, say
from toolagent.commands.settings import flags, gathered
from toolagent.errors import UsageError

PAGE = "toolagent.train.sft"


@click.command()
@click.option("--config", metavar="FILE", help="settings as YAML; unknown keys are errors")
@flags(PAGE)
@common
def sft(config: str | None, as_json: bool, **given: Any) -> int:
    """Train on conversations. Ctrl-C saves a checkpoint; --resume goes on from it.

    Example: toolagent train sft --from-scratch --data data/desktop/train.jsonl --valid data/desktop/valid.jsonl --out runs/sft --minutes 60
    """
    settings = gathered(PAGE, config, given)
    try:
        from toolagent import model as models
        from toolagent.train import sft as page
    except ImportError as error:
        raise UsageError(f"training needs more packages ({error}): pip install 'toolagent[train]'") from error
    if shape := settings.pop("shape", {}):
        settings["shape"] = models.Shape(**shape)
    quiet()
    summary = page.main(page.Args(**settings), say)
    best = summary["best"] if summary["best"] is not None and math.isfinite(summary["best"]) else None
    text = f"{summary['parameters'] / 1e6:.1f}M parameters, {summary['steps']} steps, {summary['minutes']:.1f} minutes"
    text += f", best validation loss {best:.4f}" if best is not None else ""
    out = summary["args"]["out"]
    text += f"\nThe model is in {out}/model. Next: toolagent export bundle --model {out}/model --out {out}/bundle"
    answer(as_json, json.loads(json.dumps(summary | {"best": best})), text)
    return 0
