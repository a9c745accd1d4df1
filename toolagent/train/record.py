"""What made a run: its settings, data, code, versions and machine, written to out/record.json before the first step.

    write(out, args, device)            # fit does it, for every trainer

    {"started", "command", "stretch", "config", "data": {"data": [{"path", "rows", "bytes", "sha256"}]}, "git", "versions", "machine", "resumed"}

`config` holds every setting of the trainer, defaults too; as a file it is a --config for the same run. A run in stretches (sft's short and few
parts) has a record in each one's folder, with that one's settings; that in the run's own folder is of the stretch it is in, with the settings of
the whole run where `fit` is told them (run=args). A resumed run keeps the record of its first start; each later start is added under `resumed`.
Left out: hashes of the model that a run starts from.
"""

from __future__ import annotations

import datetime
import hashlib
import importlib.metadata
import json
import os
import pathlib
import platform
import subprocess
import sys
from dataclasses import asdict
from typing import Any

import toolagent
from toolagent.errors import DataError
from toolagent.files import whole_file

PACKAGES = ("torch", "transformers", "tokenizers", "peft", "numpy")


def write(out: pathlib.Path, args: Any, device: Any = "cpu", resumed: bool = False, run: Any = None) -> dict[str, Any]:
    """Write out/record.json, whole or not at all, and the same in the folder args.out above it -> what it holds. `run`: the settings of the
    whole run, of which `args` may be a stretch's. Raises DataError, OSError."""
    found = {
        "started": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "command": sys.argv,
        "stretch": "" if folder(out, args) == out else out.name,
        "config": asdict(args),
        "data": data(args),
        "git": {"toolagent": revision(pathlib.Path(toolagent.__file__).parent, ours=True), "working_directory": revision(pathlib.Path.cwd())},
        "versions": versions(),
        "machine": machine(device),
    }
    whole_run = folder(out, args)
    for place in {out, whole_run}:
        path = place / "record.json"
        goes_on = resumed or (place == whole_run and getattr(args, "resume", False))  # into a stretch that has no checkpoint yet
        before = earlier(path) if goes_on else None
        start = {**found, "config": asdict(run)} if run is not None and place == whole_run else found
        whole: dict[str, Any] = {**before, "resumed": [*before.get("resumed", ()), start]} if before else {**start, "resumed": []}
        with whole_file(path) as file:
            file.write(json.dumps(whole, indent=1) + "\n")
    return found


def folder(out: pathlib.Path, args: Any) -> pathlib.Path:
    """The folder of the whole run, of which `out` may hold a stretch."""
    whole = pathlib.Path(getattr(args, "out", None) or out)
    return whole if whole in out.parents else out


def earlier(path: pathlib.Path) -> dict[str, Any] | None:
    """The record of the first start, None where there is none that can be read."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def data(args: Any) -> dict[str, list[dict[str, Any]]]:
    """The files that a trainer's settings name, by setting: every tuple of texts is one of files. Raises DataError for one that is not there."""
    named = {k: v for k, v in vars(args).items() if isinstance(v, tuple) and v and all(isinstance(p, str) for p in v)}
    return {setting: [of_file(pathlib.Path(p)) for p in paths] for setting, paths in named.items()}


def of_file(path: pathlib.Path) -> dict[str, Any]:
    """Its whole path, rows (lines that are not blank), bytes and sha256."""
    digest, rows, size = hashlib.sha256(), 0, 0
    try:
        with open(path, "rb") as file:
            for line in file:
                digest.update(line)
                rows += bool(line.strip())
                size += len(line)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error
    return {"path": str(path.absolute()), "rows": rows, "bytes": size, "sha256": digest.hexdigest()}


def revision(place: pathlib.Path, ours: bool = False) -> dict[str, Any] | None:
    """The commit that a folder is checked out at, and whether files that git knows differ from it; None outside a repository, or without git.

    `ours`: only where git knows the folder's own files; a package that was installed somewhere inside another repository is not of it.
    """
    try:
        if ours and not git(place, "ls-files", "--", "__init__.py"):
            return None
        changed = git(place, "status", "--porcelain", "--untracked-files=no")
        return {"folder": git(place, "rev-parse", "--show-toplevel"), "commit": git(place, "rev-parse", "HEAD"), "changed": bool(changed)}
    except (OSError, subprocess.SubprocessError):
        return None


def git(place: pathlib.Path, *words: str) -> str:
    """What git says; it takes no lock and changes nothing. Raises OSError, subprocess.SubprocessError."""
    line = ["git", "--no-optional-locks", "-C", str(place), *words]
    return subprocess.run(line, capture_output=True, text=True, check=True, timeout=20).stdout.strip()


def versions() -> dict[str, str | None]:
    """Of Python, of this package, and of the packages that a run depends on; None for one that is not installed."""
    found: dict[str, str | None] = {"python": platform.python_version(), "toolagent": toolagent.__version__}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def machine(device: Any) -> dict[str, Any]:
    """System, processor, cores, memory in bytes (None where the system does not tell), and the device that the model is on."""
    import torch

    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        memory = None
    name = torch.cuda.get_device_name(device) if str(device).startswith("cuda") else ""
    return {
        "system": platform.platform(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "memory": memory,
        "device": f"{device} ({name})" if name else str(device),
    }


def processor() -> str:
    """Its name as the system gives it; the kind alone (x86_64) where it does not."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor() or platform.machine())
