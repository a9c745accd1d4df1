"""try: the offline demonstration. A throw-away home, one request of several steps, the plan, the files it made, how long it took.

    toolagent try --yes

The home holds a calendar, twelve contacts, notes, PDFs and a mailbox, all invented; nothing outside it is read or written, and nothing is
sent. It is removed at the end unless --keep says where to leave it.
"""

from __future__ import annotations

import contextlib
import pathlib
import sys
import tempfile
import time

import click

from toolagent.commands.options import BUILT_IN, answer, common, home_of, load_packs, load_runtime, model_options, moment, now_option

REQUEST = "Email Sid the budget PDF and put a review with him on Friday at 3pm, then text Ana the address"


@click.command("try")
@click.option("--request", default=REQUEST, metavar="TEXT", help="another request")
@click.option("--yes", is_flag=True, help="approve everything")
@click.option("--keep", metavar="DIR", help="make the home there (empty or new) and leave it")
@now_option
@model_options
@common
def try_(
    request: str, yes: bool, keep: str | None, now: str | None, model: str | None, runtime: str, url: str, api_key_env: str, context: int,
    unconstrained: bool, as_json: bool,
) -> int:  # fmt: skip
    """Show what it does, in a throw-away home, without a key, a server or a network.

    Example: toolagent try --yes --keep demo-home
    """
    from toolagent.agents.planner import check_request
    from toolagent.commands import screen
    from toolagent.commands.run import carry_out
    from toolagent.errors import ToolFailed, UsageError
    from toolagent.toolbox import default_pack_path, load_pack, pack_module, visible

    check_request(request)
    at = moment(now)
    with contextlib.ExitStack() as stack:
        home = home_of(keep) if keep else pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="toolagent-try-"))) / "home"
        print(f"Home: {home}\nRequest: {visible(request)}", file=sys.stderr if as_json else sys.stdout, flush=True)
        started = time.perf_counter()
        try:
            pack_module(load_pack(default_pack_path()), "_demo_home").make_demo_home(home, at)
        except ToolFailed as error:
            raise UsageError(f"--keep {keep}: {error}") from error
        making, started = time.perf_counter() - started, time.perf_counter()
        engine = load_runtime(runtime, model, url, api_key_env, context, unconstrained)
        loading = time.perf_counter() - started
        tools, rules = load_packs([BUILT_IN])
        done = carry_out(request, engine, tools, rules, home, at, screen.Approval(yes), False, as_json)
        seconds = {"home": round(making, 3), "load": round(loading, 3), **done.seconds}
        lines = [done.text, "", "Files it made:" if done.files else "No file was changed."]
        for path, what in done.files.items():
            lines += [f"  {what:<7} {visible(path)}", *(f"            {row}" for row in screen.excerpt(home / path))]
        if done.files:
            lines.append(f"toolagent undo --home {keep} takes them back." if keep else "They go with the home now; --keep DIR leaves it.")
        lines += ["", "Time: " + screen.timings(seconds)]
        answer(as_json, done.data | {"seconds": seconds, "kept": bool(keep)}, "\n".join(lines))
        return done.code
