"""What several commands share: their options, where the model, the tools and the clock come from, and how they speak.

Answers are printed by answer() to stdout, everything else by say() to stderr.
"""

from __future__ import annotations

import json
import os
import pathlib
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import click

from toolagent.errors import DataError, NoModel, UsageError
from toolagent.runtimes import Runtime
from toolagent.tool import Tool

BUNDLE = pathlib.Path(__file__).resolve().parent.parent / "bundle"
BUILT_IN = "default"
Command = Callable[..., Any]


def chain(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Several options as one decorator, listed in this order in --help."""

    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def set_debug(ctx: click.Context, parameter: click.Parameter, on: bool) -> None:
    if on:
        os.environ["TOOLAGENT_DEBUG"] = "1"  # llamacpp.py then shows llama.cpp's log; cli.py prints the trace


common = chain(
    click.option("--json", "as_json", is_flag=True, help="one JSON value on stdout"),
    click.option("--debug", is_flag=True, expose_value=False, callback=set_debug, help="the trace of an error, and llama.cpp's log"),
)
model_options = chain(
    click.option("--model", help="a GGUF or bundle; a model directory (transformers); a name on the server (openai). Default: the bundle"),
    click.option(
        "--runtime",
        type=click.Choice(["llamacpp", "openai", "transformers"]),
        default="llamacpp",
        show_default=True,
        help="what runs the model",
    ),
    click.option("--url", default="http://127.0.0.1:8080/v1", show_default=True, help="openai: where the server is"),
    click.option(
        "--api-key-env", metavar="NAME", default="OPENAI_API_KEY", show_default=True, help="openai: the variable that holds the key"
    ),
    click.option("--context", type=click.IntRange(128, 1 << 20), default=4096, show_default=True, help="most tokens of prompt and plan"),
    click.option("--unconstrained", is_flag=True, help="without a grammar: the model may write what is no plan"),
)
pack_option = click.option(
    "--pack",
    "packs",
    multiple=True,
    metavar="DIR",
    help=f"Python files with @tool functions, instead of the built-in pack; several are put together ('{BUILT_IN}': the built-in one)",
)
home_option = click.option("--home", metavar="DIR", help="where the tools work. Default: TOOLAGENT_HOME, else ~/toolagent")
now_option = click.option("--now", metavar="'YYYY-MM-DD HH:MM'", help="the time of the request. Default: the clock")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def answer(as_json: bool, data: Any, text: str) -> None:
    print(json.dumps(data, ensure_ascii=False, indent=1, default=str) if as_json else text, flush=True)


def moment(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError as error:
        raise UsageError(f"--now {text!r} is no time; write it like '2026-03-02 09:30'") from error


def home_of(path: str | None) -> pathlib.Path:
    """The home, made by the first tool that writes into it. Raises UsageError where no folder can be."""
    home = pathlib.Path(path or os.environ.get("TOOLAGENT_HOME") or pathlib.Path.home() / "toolagent").expanduser().absolute()
    standing = next((p for p in (home, *home.parents) if p.exists()), home)
    if not standing.is_dir():
        raise UsageError(f"the home {home} cannot be made: {standing} is a file; give another with --home or TOOLAGENT_HOME")
    return home


def load_runtime(kind: str, model: str | None, url: str, api_key_env: str, context: int, unconstrained: bool) -> Runtime:
    """The model, ready. Raises NoModel."""
    if kind == "openai":
        from toolagent.runtimes.openai import OpenAI

        return OpenAI(url, model or "", os.environ.get(api_key_env, ""))
    if kind == "transformers":
        from toolagent.runtimes.transformers import Transformers

        if not model:
            raise UsageError("--runtime transformers needs --model DIR")
        quiet()
        return Transformers(model, context, constrained=not unconstrained)
    from toolagent.runtimes.llamacpp import LlamaCpp

    return LlamaCpp(model_path(model), context, constrained=not unconstrained)


def model_path(model: str | None) -> pathlib.Path:
    """--model, else TOOLAGENT_MODEL, else the bundled one."""
    if chosen := model or os.environ.get("TOOLAGENT_MODEL"):
        return pathlib.Path(chosen).expanduser()
    if not (BUNDLE / "model.gguf").exists():
        raise NoModel(f"no model is bundled ({BUNDLE / 'model.gguf'} is missing); give --model FILE.gguf or a bundle directory")
    return BUNDLE


def load_packs(packs: Sequence[str]) -> tuple[tuple[Tool, ...], str]:
    """(tools, rules) of the built-in pack, or of those named, one after the other."""
    from toolagent.toolbox import default_pack_path, load_pack

    found = [load_pack(default_pack_path() if pack == BUILT_IN else pack) for pack in packs or (BUILT_IN,)]
    return tuple(tool for pack in found for tool in pack.tools), "\n".join(filter(None, (pack.rules for pack in found)))


def read_json(path: str) -> Any:
    try:
        return json.loads(pathlib.Path(path).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: {getattr(error, 'strerror', None) or error}") from error


def quiet() -> None:
    """transformers' bars and notes to programmers are no log of ours; --debug lets them speak."""
    if os.environ.get("TOOLAGENT_DEBUG") != "1":
        import warnings

        from transformers.utils import logging

        warnings.simplefilter("ignore", FutureWarning)
        logging.set_verbosity_error()
        logging.disable_progress_bar()
