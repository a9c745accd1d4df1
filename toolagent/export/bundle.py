"""A bundle: the directory that everything on a device reads. Written whole or not at all.

    model.gguf    tools.json    rules    dialect    bundle.json (format, files with sha256 and bytes, training, scores ...)

    toolagent export bundle --model runs/sft/model --out bundle --note scores.json

Left out: signatures. The hashes find damage, not malice.
"""

from __future__ import annotations

import hashlib
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from toolagent.errors import NoModel, UsageError
from toolagent.files import whole_directory
from toolagent.types import ToolSpec

FORMAT = 1
CARD = "bundle.json"


def write(
    folder: pathlib.Path,
    out: pathlib.Path,
    tools: Sequence[ToolSpec],
    rules: str,
    note: Mapping[str, Any],
    kind: str,
    prompts: Sequence[str],
) -> dict[str, Any]:
    """The model directory `folder` as the bundle `out`; returns its card. An old bundle is replaced, anything else there is left alone.

    Raises UsageError (something else is at `out`), NoModel (the export differs from torch).
    """
    from toolagent.export import gguf
    from toolagent.model import dialect_of

    if out.exists() and not (out / CARD).exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} exists and is no bundle; give another --out")
    with whole_directory(out) as temporary:
        check = gguf.export(folder, temporary / "model.gguf", kind, prompts)
        (temporary / "tools.json").write_text(json.dumps([t.to_json() for t in tools], ensure_ascii=False, indent=1) + "\n", "utf-8")
        (temporary / "rules").write_text(rules + "\n", "utf-8")
        (temporary / "dialect").write_text(dialect_of(folder) + "\n", "utf-8")
        card = {
            "format": FORMAT,
            "type": kind,
            "largest_logit_difference": check.difference,
            "same_first_choice": check.top1,
            **note,
            "files": {path.name: entry(path) for path in sorted(temporary.iterdir())},
        }
        (temporary / CARD).write_text(json.dumps(card, ensure_ascii=False, indent=1) + "\n", "utf-8")
    return card


def entry(path: pathlib.Path) -> dict[str, Any]:
    with open(path, "rb") as file:
        return {"sha256": hashlib.file_digest(file, "sha256").hexdigest(), "bytes": path.stat().st_size}


def check(folder: pathlib.Path) -> dict[str, Any]:
    """The card of a bundle whose every file is there with its size and hash. Raises NoModel with the first that is not."""
    try:
        card = json.loads((folder / CARD).read_text("utf-8"))
        files = card["files"]
        for name, wanted in files.items():
            found = entry(folder / name)
            if found != {"sha256": wanted["sha256"], "bytes": wanted["bytes"]}:
                raise NoModel(f"{folder / name} is damaged: its hash is not the one in {CARD}; install or export it again")
        if "model.gguf" not in files:
            raise NoModel(f"{folder / CARD} lists no model.gguf")
    except OSError as error:
        raise NoModel(f"{error.filename or folder}: {error.strerror}; a bundle is what `toolagent export bundle` wrote") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NoModel(f"{folder / CARD} cannot be read: {error}") from error
    return dict(card)
