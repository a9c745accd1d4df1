"""doctor: is everything here that a run needs? One line a finding; exit code 1 when something is wrong, 5 when it is the model.

toolagent doctor --json
"""

from __future__ import annotations

import os
import pathlib
import platform
import sys
import tempfile
from collections.abc import Callable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import click

from toolagent import __version__
from toolagent.commands.options import answer, common, home_of, home_option, load_packs, model_path
from toolagent.errors import NoModel, ToolagentError


@click.command()
@home_option
@click.option("--model", metavar="PATH", help="a GGUF file or bundle. Default: the bundled one")
@common
def doctor(home: str | None, model: str | None, as_json: bool) -> int:
    """Look at what a run needs: Python, llama.cpp, the model and its hash, the home, the time zone.

    Example: toolagent doctor
    """
    looks: dict[str, Callable[[], str]] = {
        "toolagent": lambda: f"{__version__} on Python {platform.python_version()}, {platform.system()} {platform.machine()}",
        "llama.cpp": llama,
        "model": lambda: weights(model),
        "tools": lambda: f"{len(load_packs(())[0])} in the built-in pack",
        "home": lambda: writable(home_of(home)),
        "time zone": zone,
        "terminal": terminal,
    }
    rows: list[dict[str, Any]] = []
    code = 0
    for name, look in looks.items():
        try:
            rows.append({"name": name, "ok": True, "found": look()})
        except (ToolagentError, OSError, ImportError, RuntimeError, KeyError, ValueError) as error:
            rows.append({"name": name, "ok": False, "found": " ".join(str(error).split()) or type(error).__name__})
            code = max(code, NoModel.exit_code if isinstance(error, NoModel) else 1)
    lines = [f"{'ok ' if row['ok'] else 'BAD'} {row['name']:<9}  {row['found']}" for row in rows]
    answer(as_json, {"ok": code == 0, "checks": rows}, "\n".join(lines))
    return code


def llama() -> str:
    import llama_cpp

    features = llama_cpp.llama_print_system_info().decode()
    return f"llama-cpp-python {llama_cpp.__version__}; {features.strip(' |')}"


def weights(model: str | None) -> str:
    """The bundle's hashes, where it is one, and whether llama.cpp opens the file."""
    from toolagent.export.bundle import CARD, check
    from toolagent.runtimes.llamacpp import LlamaCpp

    path = model_path(model)
    known = ""
    if path.is_dir() and (path / CARD).exists():
        check(path)
        known = ", every file has its hash"
    size = (path / "model.gguf" if path.is_dir() else path).stat().st_size if path.exists() else 0
    LlamaCpp(path, context=512).weights.close()
    return f"{path} ({size / 1e6:.1f} MB{known})"


def writable(home: pathlib.Path) -> str:
    """Tries it, in the home or in the folder that it would be made in."""
    standing = next(p for p in (home, *home.parents) if p.exists())
    with tempfile.NamedTemporaryFile(dir=standing, prefix=".toolagent-"):
        pass
    return f"{home} is writable" if standing == home else f"{home} is not there yet and can be made"


def zone() -> str:
    name = os.environ.get("TOOLAGENT_TZ", "")
    if name:
        return f"{datetime.now(ZoneInfo(name)):%Z (UTC%z)} from TOOLAGENT_TZ={name}"
    return f"{datetime.now().astimezone():%Z (UTC%z)} of this machine (TOOLAGENT_TZ sets another)"


def terminal() -> str:
    asked = "you are asked before writes" if sys.stdin.isatty() else "nobody can be asked: writes need --yes or --policy"
    return f"stdout {sys.stdout.encoding}; {asked}"
