"""Files and directories that appear whole or not at all: a neighbour is written and then renamed.

    with whole_file(path) as file: file.write(text)
    with whole_directory(path) as folder: (folder / "card.json").write_text(card)

An error or Ctrl-C inside leaves what stood there before, and no neighbour. Left out: what tools write in a home, which is journaled (tool.py,
toolbox.py); writers that take a path of their own (checkpoints, GGUF).
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator
from typing import TextIO


@contextlib.contextmanager
def whole_file(path: pathlib.Path) -> Iterator[TextIO]:
    """A UTF-8 text file to write. Raises OSError."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(part, "w", encoding="utf-8") as file:
            yield file
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_directory(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """An empty directory to fill, which then takes the place of what stood at `path`. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = pathlib.Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}-"))
    try:
        yield temporary
        temporary.chmod(0o755)
        replaced = temporary.with_suffix(".old")
        if path.exists():
            path.rename(replaced)
        temporary.rename(path)
        shutil.rmtree(replaced, ignore_errors=True)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
