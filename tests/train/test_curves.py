"""The log as curves: what is a point, and that the picture holds every one of them."""

from __future__ import annotations

import json
import math
import re
import xml.etree.ElementTree as ElementTree

import pytest

from toolagent.train import curves

LOG = [
    {"step": 20, "loss": 4.0, "rows": 960, "seconds": 30.0},
    {"step": 30, "loss": 3.0, "seconds": 45.0, "valid": {"loss": 3.5, "exact": 0.25}, "gap": 0.5},
    {"step": 40, "loss": 2.0, "rows": 1920, "seconds": 60.0},
    {"step": 60, "loss": math.nan, "rows": 2880, "seconds": 90.0},
    {"step": 60, "seconds": 90.0, "valid": {"loss": 1.5, "exact": 0.75}},
]
WANT = {
    "training loss": [(20, 0.5, 4.0), (30, 0.75, 3.0), (40, 1.0, 2.0)],
    "validation loss": [(30, 0.75, 3.5), (60, 1.5, 1.5)],
    "exact": [(30, 0.75, 0.25), (60, 1.5, 0.75)],
}


def write(folder, lines):
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return folder / "log.jsonl"


def test_points_are_step_minutes_and_value(tmp_path):
    assert curves.series(curves.lines_of(write(tmp_path, LOG))) == WANT


def test_a_step_that_was_taken_again_counts_once_and_a_torn_line_not_at_all(tmp_path):
    torn = [{"step": 20, "loss": 9.0, "rows": 960, "seconds": 31.0}, {"step": 40, "loss": 9.0, "rows": 1920, "seconds": 61.0}]
    path = write(tmp_path, torn + LOG)  # killed behind step 40, resumed from a checkpoint before step 20
    path.write_text(path.read_text("utf-8") + '{"step": 80, "lo', "utf-8")
    assert curves.series(curves.lines_of(path)) == WANT


def test_a_log_of_old_has_no_minutes_at_its_validations(tmp_path):
    ((step, minutes, value),) = curves.series(curves.lines_of(write(tmp_path, [{"step": 5, "valid": {"loss": 2.0}}])))["validation loss"]
    assert (step, value) == (5, 2.0) and math.isnan(minutes)


def points(svg):
    """{"exact over steps": number of corners of its line}"""
    found = {}
    for group in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}g"):
        if " over " in group.get("id", ""):
            path = next(group.iter("{http://www.w3.org/2000/svg}path"))
            found[group.get("id")] = len(re.findall("[ML]", path.get("d")))
    return found


def test_the_picture_holds_every_point(tmp_path):
    pytest.importorskip("matplotlib")
    write(tmp_path, LOG)
    assert curves.draw(tmp_path)
    svg = (tmp_path / "curves.svg").read_text("utf-8")
    assert points(svg) == {f"{name} over {unit}": len(WANT[name]) for name in WANT for unit in ("steps", "minutes")}
    assert all(f">{word}<" in svg for word in ("training loss", "validation loss", "exact", "steps", "minutes"))
    curves.draw(tmp_path)
    assert (tmp_path / "curves.svg").read_text("utf-8") == svg  # the same log, the same file
    assert sorted(p.name for p in tmp_path.iterdir()) == ["curves.svg", "log.jsonl"]


def test_without_validation_there_is_one_band_and_without_a_line_no_picture(tmp_path):
    pytest.importorskip("matplotlib")
    write(tmp_path, [])
    assert not curves.draw(tmp_path) and not (tmp_path / "curves.svg").exists()
    write(tmp_path, [{"step": 20, "loss": -1.0, "rows": 1, "seconds": 3.0}])  # a policy's loss may be below 0: no logarithm
    assert curves.draw(tmp_path)
    assert points((tmp_path / "curves.svg").read_text("utf-8")) == {"training loss over steps": 1, "training loss over minutes": 1}
