"""The command line: one table. A command's page is imported when it is asked for, so `toolagent --help` is instant and loads no torch.

    toolagent try
    toolagent run "text Ana that lunch moved to 1pm" --dry-run

Answers go to stdout, the log to stderr. With --json, stdout holds one JSON value, in case of an error {"error", "exit_code"}.
Exit codes: 0 ok, 1 failure, 2 usage, 3 denied, 4 context overflow, 5 no model, 6 a tool failed, 7 invalid model output, 8 a benchmark
below its threshold, 130 interrupted. An error is one sentence; --debug adds the trace.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import json
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import click

from toolagent import __version__
from toolagent.errors import ToolagentError

COMMANDS = {  # command: (page, function on it, what it does)
    "try": ("demo", "try_", "the offline demonstration: a throw-away home and one request of several steps"),
    "run": ("run", "run", "plan a request, ask before it changes anything, do it"),
    "undo": ("undo", "undo", "take back what the last run wrote"),
    "doctor": ("doctor", "doctor", "is everything here that a run needs?"),
    "data synthesize": ("data", "synthesize", "training conversations from hand-written seeds, for any pack of tools"),
    "data teach": ("data", "teach", "have a large model write seeds for a pack"),
    "data filter": ("data", "filter_", "leave out rows that may not be trained on, and say why"),
    "data report": ("data", "report_", "what a file of conversations, cases or seeds holds"),
    "data import": ("data", "import_", "other people's files as cases"),
    "train sft": ("train", "sft", "train a model on conversations, from scratch or from a given one"),
    "train distill": ("train", "distill", "train a model to say what a larger one would"),
    "train reward": ("train", "reward", "train a reward model on preferences"),
    "train dpo": ("train", "dpo", "tune a model on preferences"),
    "train ppo": ("train", "ppo", "train against a reward that is a Python function"),
    "export gguf": ("export", "gguf", "a model directory as one GGUF, checked against torch"),
    "export bundle": ("export", "bundle", "a directory that runs on a device: model, tools, rules, hashes"),
    "bench plans": ("bench", "plans", "measure plans against gold plans"),
}
GROUPS = {
    "data": "Make, check and count training data.",
    "train": "Train a model.",
    "export": "Take a model to where it runs.",
    "bench": "Measure.",
}


class Table(click.Group):
    """The commands below a path ("" or "data"), listed from the table, imported one at a time."""

    def __init__(self, path: str = "", **settings: Any) -> None:
        super().__init__(path or "toolagent", **settings)
        self.path = path

    def below(self) -> dict[str, str]:
        """Next word -> its line of help."""
        found: dict[str, str] = {}
        for path, (_, _, text) in COMMANDS.items():
            words = path.split()
            if self.path == "":
                found.setdefault(words[0], text if len(words) == 1 else f"{GROUPS[words[0]]} ({', '.join(names_in(words[0]))})")
            elif words[0] == self.path:
                found[words[1]] = text
        return found

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.below())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        path = f"{self.path} {cmd_name}".strip()
        if path in COMMANDS:
            page, function, _ = COMMANDS[path]
            found: click.Command = getattr(importlib.import_module(f"toolagent.commands.{page}"), function)
            return found
        return Table(path, help=GROUPS[path]) if path in GROUPS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(self.below().items()))


def names_in(group: str) -> list[str]:
    return [path.split()[1] for path in COMMANDS if path.startswith(group + " ")]


cli = Table(help="Small, private tool-calling agents, made and run on your own machine.")
cli = click.version_option(__version__, prog_name="toolagent")(cli)


def told(error: BaseException) -> tuple[str, int]:
    """(one sentence that says what to change, exit code)."""
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        return "interrupted", 130
    if isinstance(error, click.UsageError):
        path = error.ctx.command_path if error.ctx else "toolagent"
        return f"{error.format_message().rstrip('.')}; see {path} --help", error.exit_code
    if isinstance(error, click.ClickException):
        return error.format_message(), error.exit_code
    if isinstance(error, ToolagentError):
        return str(error), error.exit_code
    if isinstance(error, OSError):
        full = error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        return what + ("; make room on the disk and run it again" if full else ""), 1
    if isinstance(error, MemoryError):
        return "there is not enough memory for this", 1
    return f"a fault of toolagent, not of yours: {type(error).__name__}: {error}; --debug shows where", 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal of another encoding gets "?" where it cannot print
    try:
        code = int(cli.main(words, prog_name="toolagent", standalone_mode=False) or 0)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # `toolagent run ... | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message(), file=sys.stderr)
        return error.exit_code
    except (Exception, KeyboardInterrupt) as error:
        from toolagent.toolbox import visible

        if "--debug" in words or os.environ.get("TOOLAGENT_DEBUG") == "1":
            traceback.print_exc()
        sentence, code = told(error)
        sentence = visible(" ".join(sentence.split()))
        if "--json" in words:
            print(json.dumps({"error": sentence, "exit_code": code}, ensure_ascii=False))
        print(f"toolagent: {sentence}", file=sys.stderr)
        if code == 130 and arguments is None:  # a tool that still runs in a thread of its own must not hold the terminal
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(OSError):
                    stream.flush()
            os._exit(code)
        return code


if __name__ == "__main__":
    sys.exit(main())
