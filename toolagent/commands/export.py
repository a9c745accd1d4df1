"""export: from a model directory to what runs elsewhere.

toolagent export bundle --model runs/sft/model --out runs/sft/bundle
"""

from __future__ import annotations

import pathlib
from dataclasses import asdict

import click

from toolagent.commands.options import answer, common, load_packs, pack_option, quiet, read_json, say
from toolagent.errors import DataError, UsageError
from toolagent.types import Conversation, Message, ToolSpec

REQUESTS = (
    "text Ana that lunch moved to 1pm",
    "Email Sid the budget PDF and put a review with him on Friday at 3pm, then text Ana the address",
    "what is the capital of Peru?",
    "remind me to water the plants tomorrow at 9, high priority",
)
model_directory = click.option("--model", required=True, metavar="DIR", help="a directory that `toolagent train` wrote")
kind_option = click.option(
    "--type", "kind", type=click.Choice(["q8_0", "f16", "f32"]), default="q8_0", show_default=True, help="how weights are stored"
)


@click.command()
@model_directory
@click.option("--out", required=True, metavar="FILE", help="the GGUF")
@kind_option
@common
def gguf(model: str, out: str, kind: str, as_json: bool) -> int:
    """Write one GGUF, load it with llama.cpp and compare it with torch; a file that differs is not kept.

    Example: toolagent export gguf --model runs/sft/model --out model.gguf
    """
    load_export()
    from toolagent.export.gguf import export
    from toolagent.model import dialect_of

    tools, rules = load_packs(())
    folder, file = existing(model), pathlib.Path(out)
    check = export(folder, file, kind, prompts(dialect_of(folder), [tool.spec for tool in tools], rules))
    size = file.stat().st_size
    text = f"{file}: {size / 1e6:.1f} MB. Over {check.positions} tokens the first choice is torch's in {check.top1:.1%}, "
    text += f"and no logit differs by more than {check.difference:.3g}"
    answer(as_json, {"out": str(file), "bytes": size, **asdict(check)}, text)
    return 0


@click.command()
@model_directory
@click.option("--out", required=True, metavar="DIR", help="the bundle; an old one is replaced")
@click.option("--note", metavar="FILE.json", help='more for bundle.json, such as {"training": "the command", "scores": {...}}')
@kind_option
@pack_option
@common
def bundle(model: str, out: str, note: str | None, kind: str, packs: tuple[str, ...], as_json: bool) -> int:
    """Write a bundle: the model, the tools and rules of a pack, and the hash of each file.

    Example: toolagent export bundle --model runs/sft/model --out bundle --pack ./mytools
    """
    load_export()
    from toolagent.export import bundle as page
    from toolagent.model import dialect_of

    extra = read_json(note) if note else {}
    if not isinstance(extra, dict):
        raise DataError(f'{note}: must be an object, such as {{"scores": {{...}}}}')
    tools, rules = load_packs(packs)
    specs = [tool.spec for tool in tools]
    folder = existing(model)
    say(f"exporting {folder}")
    card = page.write(folder, pathlib.Path(out), specs, rules, extra, kind, prompts(dialect_of(folder), specs, rules))
    size = sum(file["bytes"] for file in card["files"].values())
    answer(as_json, card, f"{out}: {size / 1e6:.1f} MB in {len(card['files']) + 1} files. Try it: toolagent try --model {out}")
    return 0


def load_export() -> None:
    try:
        import gguf  # noqa: F401
        import torch  # noqa: F401
    except ImportError as error:
        raise UsageError(f"export needs more packages ({error}): pip install 'toolagent[train]'") from error
    quiet()


def existing(model: str) -> pathlib.Path:
    folder = pathlib.Path(model)
    if not folder.is_dir():
        raise UsageError(f"--model {model}: there is no such directory")
    return folder


def prompts(dialect: str, specs: list[ToolSpec], rules: str) -> list[str]:
    """What torch and llama.cpp are compared on: requests as the model reads them."""
    from toolagent.dialects import compact

    if dialect != "compact":
        return list(REQUESTS)
    system = (Message("system", rules),) if rules else ()
    return [compact.render(Conversation((*system, Message("user", request)), tuple(specs))) for request in REQUESTS]
