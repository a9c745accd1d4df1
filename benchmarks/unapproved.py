"""What nobody approved, and what is no valid call, changes no file.

    python benchmarks/unapproved.py --n 1000

Calls of every tool of the default pack that writes, against the demonstration's home in a temporary folder: malformed ones (unknown tools and
arguments, missing and mistyped ones, dates that are none, paths out of the home, "$9" of no step, deep and endless values), with somebody who
approves whatever is asked; and valid ones that are denied, left without an answer, denied by a policy, or only tried (dry run). Every file
inside and beside the home is hashed before and after. Each call must be answered with an error (a dry run: with nothing done), and no file may
have changed; exit code 1 otherwise. Left out: what an approved call does.
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import os
import pathlib
import random
import sys
import tempfile
from collections.abc import Callable
from datetime import datetime
from typing import Any

from toolagent.tool import Tool
from toolagent.toolbox import Policy, Prepared, Toolbox, default_pack_path, load_pack, pack_module
from toolagent.types import ToolCall

NOW = datetime(2026, 3, 2, 9, 30)
WORDS = {
    "email": ("ana@example.org", "bo.b@mail.example.com"),
    "phone": ("+44 20 7946 0999", "555 0142"),
    "path": ("Documents/new.txt", "a.pdf"),
    "uri": ("https://example.org/a",),
    "date-time": ("tomorrow at 5pm", "2026-03-09 10:00", "next Friday"),
    "": ("Ana", "Plan B", "lunch \u202e moved"),
}
OUTSIDE = (
    "../outside/secret.txt",
    "/etc/passwd",
    "~/../../outside/secret.txt",
    "Notes/../../outside/secret.txt",
    "/dev/null",
    "a\x00b",
    "link/secret.txt",
)
NO_DATES = ("the day it rains", "32 March 2026", "2026-13-01", "", "$9 o'clock", "banana")


def value(schema: dict[str, Any], rng: random.Random) -> Any:
    """A valid value, for the schemas of the default pack."""
    if "enum" in schema:
        return rng.choice(schema["enum"])
    match schema.get("type"):
        case "integer":
            return rng.randint(schema.get("minimum", 1), schema.get("maximum", 90))
        case "number":
            return round(rng.uniform(0, 9), 1)
        case "boolean":
            return rng.random() < 0.5
        case "array":
            return [value(schema.get("items", {}), rng) for _ in range(rng.randint(1, 3))]
    return rng.choice(WORDS.get(schema.get("format", ""), WORDS[""]))


def valid(tool: Tool, rng: random.Random) -> dict[str, Any]:
    return {k: value(s, rng) for k, s in tool.spec.properties.items() if k in tool.spec.required or rng.random() < 0.4}


def deep(n: int) -> Any:
    made: Any = "x"
    for _ in range(n):
        made = [made]
    return made


def spoiled(tool: Tool, rng: random.Random) -> tuple[str, ToolCall]:
    """(how, a call that is not valid)."""
    arguments, spec = valid(tool, rng), tool.spec
    name: Any = tool.name
    dates = [k for k, s in spec.properties.items() if s.get("format") == "date-time"]
    paths = [k for k, s in spec.properties.items() if "path" in (s.get("format"), s.get("items", {}).get("format"))]
    how = rng.choice(
        ["unknown tool", "unknown argument", "mistyped", "no object", "odd number", "too deep"]
        + ["missing argument"] * bool(spec.required) + ["no date"] * bool(dates) + ["outside"] * bool(paths)
    )  # fmt: skip
    key = rng.choice(list(spec.properties))
    match how:
        case "unknown tool":
            name = rng.choice((name + "s", name.upper(), "", "rm -rf", None, 3, f" {name}", "__import__"))
        case "unknown argument":
            arguments |= {rng.choice(("force", key + "_", key.upper(), "", "home", "journal")): rng.choice((True, "x", None))}
        case "mistyped":
            wrong = {"x": [1]} if spec.properties[key].get("type") != "object" else 5
            arguments[key] = rng.choice((wrong, {"deep": {"er": None}}))
        case "no object":
            arguments = rng.choice((None, [], "text", 5, ["a"], [["name", "x"]]))  # type: ignore[assignment]
        case "odd number":
            arguments[key] = rng.choice((float("nan"), float("inf"), -float("inf")))
        case "too deep":
            arguments[key] = deep(rng.choice((3, 50, 5_000, 100_000)))
        case "missing argument":
            del arguments[rng.choice(spec.required)]
        case "no date":
            arguments[rng.choice(dates)] = rng.choice(NO_DATES)
        case "outside":
            key = rng.choice(paths)
            bad = rng.choice(OUTSIDE)
            arguments[key] = [bad] if spec.properties[key].get("type") == "array" else bad
    return how, ToolCall(name, arguments, "1")


def state_of(folder: pathlib.Path) -> dict[str, str]:
    """path -> what is there: hash and mode of a file, target of a link, "folder"."""
    found = {}
    for path in sorted(folder.rglob("*")):
        what = os.readlink(path) if path.is_symlink() else "folder" if path.is_dir() else hashlib.sha256(path.read_bytes()).hexdigest()
        found[str(path.relative_to(folder))] = f"{what} {path.lstat().st_mode:o}"
    return found


def home_in(folder: pathlib.Path, pack: Any) -> pathlib.Path:
    """The demonstration's home, with a link that leads out of it to a folder with a secret."""
    (folder / "outside").mkdir()
    (folder / "outside" / "secret.txt").write_text("secret")
    home: pathlib.Path = pack_module(pack, "_demo_home").make_demo_home(folder / "home", NOW)
    (home / "link").symlink_to(folder / "outside")
    return home


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    for name in [n for n in os.environ if n.startswith("TOOLAGENT_")]:
        del os.environ[name]
    rng = random.Random(args.seed)
    pack = load_pack(default_pack_path())
    writers = [t for t in pack.tools if t.spec.writes]
    counts: collections.Counter[str] = collections.Counter()
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        home = home_in(folder, pack)
        before = state_of(folder)
        everyone: Callable[[Any], bool | str] = lambda request: True  # noqa: E731
        agreeable = Toolbox(pack.tools, home=home, now=NOW, approve=everyone)
        ways = {
            "denied": Toolbox(pack.tools, home=home, now=NOW, approve=lambda request: rng.choice((False, "", "not now", 1, None, "yes"))),
            "nobody there": Toolbox(pack.tools, home=home, now=NOW),
            "denied by policy": Toolbox(pack.tools, home=home, now=NOW, approve=everyone, policy=Policy(deny=frozenset(t.name for t in writers))),
            "dry run": Toolbox(pack.tools, home=home, now=NOW, approve=everyone, dry_run=True),
        }
        for k in range(args.n):
            tool = writers[k % len(writers)]
            if rng.random() < 0.6:
                how, call = spoiled(tool, rng)
                result = agreeable.call(call)
            else:
                how, call = rng.choice(list(ways)), ToolCall(tool.name, valid(tool, rng), "1")
                while not isinstance(agreeable.prepare(call), Prepared):  # an end before its start, say
                    call = ToolCall(tool.name, valid(tool, rng), "1")
                result = ways[how].call(call)
            counts[how] += 1
            if (result.error is None) != (how == "dry run") or (how == "dry run" and result.output != "(dry run)"):
                wrong.append(f"{how}: {str(call)[:300]} -> {result}")
        after = state_of(folder)
    changed = sorted(k for k in before.keys() | after.keys() if before.get(k) != after.get(k))
    for line in (*wrong[:20], *(f"changed: {k}" for k in changed[:20])):
        print(line, file=sys.stderr)
    print(f"unapproved: {args.n} calls of {len(writers)} tools, {len(wrong)} answered wrongly, files changed: {len(changed)} of {len(before)}")
    print("  " + ", ".join(f"{count} {how}" for how, count in counts.most_common()))
    return 1 if wrong or changed else 0


if __name__ == "__main__":
    sys.exit(main())
