"""out/log.jsonl -> out/curves.svg: training loss, validation loss and the other figures of validation, over steps and over minutes.

    draw(out)                           # at each validation and at the end; needs matplotlib, the extra [plots]
"""

from __future__ import annotations

import importlib.util
import json
import math
import pathlib
from collections.abc import Iterable
from typing import Any

from toolagent.files import whole_file

Points = list[tuple[int, float, float]]  # (step, minutes, value); minutes are nan where the log does not tell them


def available() -> bool:
    """Whether curves can be drawn here."""
    return importlib.util.find_spec("matplotlib") is not None


def lines_of(path: pathlib.Path) -> list[dict[str, Any]]:
    """The lines of a log, one a step, in order. Of a step that was taken again after a resume the later line counts; a torn line does not."""
    steps: dict[int, dict[str, Any]] = {}
    for text in path.read_text("utf-8").splitlines():
        try:
            line = json.loads(text)
            steps.setdefault(int(line["step"]), {}).update(line)
        except (ValueError, KeyError, TypeError):
            continue
    return [steps[step] for step in sorted(steps)]


def series(lines: Iterable[dict[str, Any]]) -> dict[str, Points]:
    """{"training loss": points, "validation loss": ..., "exact": ...}; what is no number is left out, and a curve without a point, too."""
    found: dict[str, Points] = {}
    for line in lines:
        values = {"training loss": line.get("loss")}
        values |= {"validation loss" if name == "loss" else name: value for name, value in line.get("valid", {}).items()}
        for name, value in values.items():
            if value is not None and math.isfinite(value):
                found.setdefault(name, []).append((line["step"], line.get("seconds", math.nan) / 60, value))
    return found


def draw(out: pathlib.Path) -> bool:
    """Write out/curves.svg, whole or not at all; False where the log holds nothing to draw yet. Raises ImportError, OSError."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    found = series(lines_of(out / "log.jsonl"))
    if not found:
        return False
    losses = {name: points for name, points in found.items() if name.endswith(" loss")}
    figures = {name: points for name, points in found.items() if name not in losses}
    bands = [("loss", losses), ("validation", figures)] if figures else [("loss", losses)]
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "toolagent"}):  # words stay words; the same log is the same file
        page = Figure(figsize=(11, 3.6 * len(bands)))
        grid = page.subplots(len(bands), 2, squeeze=False, sharey="row")
        for (label, curves), axes in zip(bands, grid, strict=True):
            for column, (axis, unit) in enumerate(zip(axes, ("steps", "minutes"), strict=True)):
                for name, points in curves.items():
                    axis.plot([p[column] for p in points], [p[2] for p in points], marker=".", label=name, gid=f"{name} over {unit}")
                axis.set_xlabel(unit)
                axis.grid(alpha=0.3)
            axes[0].set_ylabel(label)
            axes[0].legend()
            if label == "loss" and all(p[2] > 0 for points in curves.values() for p in points):
                axes[0].set_yscale("log")  # it falls from 9 to 0.1, and what counts is at the end
        with whole_file(out / "curves.svg") as file:
            page.savefig(file, format="svg", metadata={"Date": None})
    return True
