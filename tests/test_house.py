"""The house says its own plan aloud: who may import whom, what is never imported, and that every command in the README works."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "toolagent"

pytest_plugins = ("stage",)

FLOORS = (  # imports go down
    ("types", "errors", "files", "tool", "plan"),
    ("dialects", "when", "toolbox", "model"),
    ("runtimes", "decoding", "retrieval", "envs"),
    ("agents", "train", "export"),
    ("datagen", "evaluate"),
    ("commands", "cli", "serve", "__main__"),
)
SIDEWAYS = {  # on one floor, with the reason
    ("tool", "types"): "a tool is a spec with hands",
    ("tool", "errors"): "",
    ("types", "errors"): "",
    ("plan", "types"): "a plan is a tuple of calls",
    ("plan", "errors"): "",
    ("toolbox", "when"): "dates are resolved before anyone is asked",
    ("model", "dialects"): "the marks of compact are tokens of a model made here",
    ("runtimes", "decoding"): "the grammar of the next step",
    ("datagen", "evaluate"): "imported cases are cases",
    ("cli", "commands"): "the table",
    ("__main__", "cli"): "",
}
NEVER = {  # room or page -> what no line of it imports
    "dialects": ("torch", "transformers", "tokenizers", "toolagent.runtimes"),
    "toolbox": ("toolagent.runtimes", "toolagent.dialects", "toolagent.model"),
    "runtimes": ("toolagent.toolbox", "toolagent.agents", "toolagent.train"),
    "retrieval": ("toolagent.toolbox", "toolagent.runtimes"),
    "envs": ("toolagent.runtimes", "toolagent.agents", "toolagent.train"),
    "agents": ("torch", "toolagent.model", "toolagent.train", *(f"toolagent.runtimes.{p.stem}" for p in PACKAGE.glob("runtimes/[!_]*.py"))),
    "train": ("toolagent.agents", "toolagent.datagen", "toolagent.evaluate", "toolagent.toolbox"),
    "datagen": ("torch", "toolagent.train"),
    "evaluate": ("torch", "toolagent.train"),
}
ON_TOP = {  # foreign packages that a page may import outside its functions; everything else waits until it is needed
    "click": ("cli", "commands"),
    "torch": ("train",),
    "numpy": ("evaluate",),
}
HEAVY = ("torch", "transformers", "llama_cpp", "llguidance", "numpy", "jsonschema", "icalendar", "rapidfuzz", "yaml")


def pages() -> Iterator[tuple[str, Path]]:
    """("toolagent.train.sft", its file) of every page."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if "default_pack" not in path.parts:
            yield ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"), path


def imports(path: Path) -> set[str]:
    """Every module that a file imports, in functions too; `from toolagent import plan` is toolagent.plan."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
            found.add(str(node.module))
    return found


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def rooms_of(path: Path) -> set[str]:
    known = {name for floor in FLOORS for name in floor}
    return {room(m) for m in imports(path) if m.startswith("toolagent.") and room(m) in known}


FLOOR = {name: height for height, floor in enumerate(FLOORS) for name in floor}
PAGES = dict(pages())


@pytest.mark.parametrize("module", [m for m in PAGES if m != "toolagent"])
def test_imports_go_down(module):
    own = room(module)
    assert own in FLOOR, f"{module} stands on no floor: add its room to FLOORS here and to docs/ARCHITECTURE.md"
    for other in rooms_of(PAGES[module]) - {own}:
        assert FLOOR[other] < FLOOR[own] or (own, other) in SIDEWAYS, f"{module} imports {other}, which is not below it"


def test_the_front_door_opens_on_the_ground_floor():
    assert rooms_of(PACKAGE / "__init__.py") <= set(FLOORS[0])


def test_sideways_steps_do_not_go_in_circles():
    assert not [pair for pair in SIDEWAYS if pair[::-1] in SIDEWAYS]
    assert all(FLOOR[a] == FLOOR[b] for a, b in SIDEWAYS)


@pytest.mark.parametrize("module", [m for m in PAGES if room(m) in NEVER])
def test_never(module):
    found = imports(PAGES[module])
    for banned in NEVER[room(module)]:
        assert not [m for m in found if m == banned or m.startswith(banned + ".")], f"{module} imports {banned}"


@pytest.mark.parametrize("name", FLOORS[0])
def test_words_need_the_standard_library_only(name):
    foreign = {m.split(".")[0] for m in imports(PACKAGE / f"{name}.py")} - sys.stdlib_module_names
    assert foreign <= {"toolagent"}


@pytest.mark.parametrize("page", ["losses", "preferences", "policy"])
def test_losses_are_functions_of_tensors(page):
    foreign = {m for m in imports(PACKAGE / "train" / f"{page}.py") if m.split(".")[0] not in {*sys.stdlib_module_names, "torch"}}
    assert foreign <= ({"toolagent.train.losses", "toolagent.train.losses.exact"} if page != "losses" else set())


@pytest.mark.parametrize("module", [m for m in PAGES if room(m) != "commands"])
def test_nobody_imports_the_roof(module):
    roof = {m for m in imports(PAGES[module]) if m.split(".")[0] == "benchmarks" or room(m) in ("cli", "serve", "commands")}
    if module == "toolagent.cli":  # by name, one page at a time
        return
    assert not {m for m in roof if m.startswith(("toolagent.", "benchmarks"))} - (
        {"toolagent.cli", "toolagent.cli.main"} if "__main__" in module else set()
    )


def test_tools_know_only_the_tool_page():
    for path in (ROOT / "tools").glob("*.py"):
        known = {m for m in imports(path) if m.split(".")[0] == "toolagent"}
        assert {m for m in known if not m.startswith("toolagent.tool.")} <= {"toolagent.tool"}, path.name


@pytest.mark.parametrize("module", PAGES)
def test_heavy_libraries_wait_until_they_are_needed(module):
    for node in ast.parse(PAGES[module].read_text("utf-8")).body:
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module] if isinstance(node, ast.ImportFrom) else []
        for foreign in {str(name).split(".")[0] for name in names} - sys.stdlib_module_names - {"toolagent"}:
            assert room(module) in ON_TOP.get(foreign, ()), f"{module} imports {foreign} at its top"


def test_every_room_stands_in_the_plan_and_in_the_wheel():
    text = (ROOT / "docs" / "ARCHITECTURE.md").read_text("utf-8")
    rooms = {room(m) for m in PAGES} - {"", "__main__"}
    assert not [r for r in rooms if not re.search(rf"^\s*{r}(\.py|/)", text, re.M)]
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"]
    folders = {".".join(p.parent.relative_to(ROOT).parts) for p in PACKAGE.rglob("*.py")} - {"toolagent.default_pack"}
    assert set(listed) == folders | {"toolagent.default_pack"}


@pytest.mark.parametrize(
    "words", ["", "--help", "try --help", "run --help", "undo --help", "data --help", "data synthesize --help", "train sft --help",
              "export bundle --help", "bench plans --help", "doctor --help", "--version"],
)  # fmt: skip
def test_help_and_import_load_nothing_heavy(words):
    code = "import sys, toolagent\n"
    code += f"from toolagent.cli import main\nmain({words.split()!r})\n" if words else ""
    code += f"print('loaded', [m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stderr.strip().endswith("loaded []")


# --- the README -----------------------------------------------------------------------------------------------------------------------

README = (ROOT / "README.md").read_text("utf-8")
QUICK = {  # what a slow command is shortened by when it is run here
    "data synthesize": ["--n", "64", "--valid", "32", "--workers", "1"],
    "train sft": ["--minutes", "0", "--epochs", "1", "--limit", "48", "--width", "32", "--layers", "1", "--heads", "2",
                  "--kv-heads", "1", "--hidden", "64", "--vocabulary", "400", "--threads", "1"],
    "train distill": ["--threads", "1", "--limit", "16"],
    "train dpo": ["--threads", "1"],
    "train ppo": ["--threads", "1", "--steps", "1", "--prompts", "2", "--answers", "2", "--max-tokens", "8", "--limit", "4"],
    "train reward": ["--threads", "1"],
    "bench plans": ["--limit", "1"],
    "export bundle": ["--type", "f32"],
}  # fmt: skip
MAY_FAIL = {  # the tiny model writes nonsense, and nobody is there to approve it
    "try": {0, 3, 6, 7}, "run": {0, 3, 6, 7}, "bench plans": {0}, "doctor": {0}, "undo": {0},
}  # fmt: skip


def commands(text: str) -> list[list[str]]:
    """The words of every `toolagent ...` in the shell blocks of a Markdown text, pipes and comments cut off."""
    found = []
    for block in re.findall(r"^```(?:bash|sh|console|shell)\n(.*?)^```", text, re.M | re.S):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.shlex(line.removeprefix("$ "), posix=True, punctuation_chars=True)
            words.commenters = "#"
            words.whitespace_split = True
            part: list[str] = []
            for word in [*words, "|"]:
                if word in ("|", "&&", ";", ">"):
                    if part[:1] == ["toolagent"]:
                        found.append(part)
                    part = []
                else:
                    part.append(word)
    return found


COMMANDS = commands(README)


def leaf(words: list[str]) -> tuple[str, click.Command, list[str], click.Context]:
    from toolagent.cli import Table, cli

    command: click.Command = cli
    rest, path = words[1:], []
    parent: click.Context | None = None
    while isinstance(command, Table) and rest and not rest[0].startswith("-"):
        parent = click.Context(command, info_name=command.name, parent=parent)
        found = command.get_command(parent, rest[0])
        assert found is not None, f"no command {' '.join(words)}"
        path, rest, command = [*path, rest[0]], rest[1:], found
    assert parent is not None
    return " ".join(path), command, rest, parent


def test_the_readme_shows_commands():
    names = {leaf(words)[0] for words in COMMANDS}
    assert {"try", "run", "undo", "doctor", "data synthesize", "train sft", "export bundle", "bench plans"} <= names


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_of_the_readme_is_understood(words):
    _, command, rest, parent = leaf(words)
    command.make_context(command.name, list(rest), parent=parent)


def test_every_command_of_the_readme_runs(chatty, tmp_path):
    """In the order of the README, in one folder, the slow ones shortened, on a tiny model with random weights."""
    for name, code in re.findall(r"^```python\n# (\S+\.py)\n(.*?)^```", README, re.M | re.S):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(code, "utf-8")
    for form, file in (("toml", "policy.toml"), ("json", "mytools/seeds.jsonl"), ("jsonl", "pairs.jsonl")):
        (block,) = re.findall(rf"^```{form}\n(.*?)^```", README, re.M | re.S)
        (tmp_path / file).write_text(block, "utf-8")
    for folder in ("benchmarks", "examples"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    env = os.environ | {
        "TOOLAGENT_MODEL": str(chatty.bundle),
        "TOOLAGENT_HOME": str(tmp_path / "home"),
        "HOME": str(tmp_path),
        "TOOLAGENT_THREADS": "1",
    }
    for words in COMMANDS:
        path, _, rest, _ = leaf(words)
        if "openai" in rest:  # needs a server
            continue
        line = [sys.executable, "-m", "toolagent", *words[1:], *QUICK.get(path, ())]
        done = subprocess.run(line, cwd=tmp_path, env=env, input="text Ana\n", capture_output=True, text=True)
        said = f"{' '.join(words)} -> {done.returncode}\n{done.stdout[-800:]}\n{done.stderr[-2000:]}"
        assert done.returncode in MAY_FAIL.get(path, {0}), said
        assert "Traceback" not in done.stderr and "a fault of toolagent" not in done.stderr, said
