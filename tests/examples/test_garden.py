"""The README's "write your own tools": examples/garden runs, checks, and can be taken back."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from toolagent.datagen.chains import links
from toolagent.plan import number, waves
from toolagent.toolbox import Policy, Toolbox, load_pack, undo
from toolagent.types import ToolCall

PACK = load_pack(Path(__file__).parents[2] / "examples" / "garden")
WRITERS = frozenset(tool.name for tool in PACK.tools if tool.spec.writes)


@pytest.fixture
def box(tmp_path: Path) -> Toolbox:
    return Toolbox(PACK.tools, home=tmp_path, now=datetime(2026, 5, 4, 9), policy=Policy(allow=WRITERS))


def call(box: Toolbox, name: str, **arguments: object) -> str:
    result = box.call(ToolCall(name, arguments, "1"))
    return result.output if result.error is None else f"error: {result.error}"


def test_six_tools_and_three_of_them_write():
    assert {tool.name for tool in PACK.tools} == {"plant", "water_bed", "log_harvest", "find_bed", "harvest_total", "frost_warning"}
    assert {"plant", "water_bed", "log_harvest"} == WRITERS


def test_a_season(box, tmp_path):
    assert call(box, "plant", crop="Tomatoes", bed="south wall", count=6) == "6 x Tomatoes in south wall"
    assert call(box, "plant", crop="leek", bed="north bed") == "1 x leek in north bed"
    assert call(box, "find_bed", crop="tomato") == "south wall"
    assert call(box, "water_bed", bed="south wall", litres=7.5) == "south wall: 7.5 litres"
    assert call(box, "log_harvest", crop="tomatoes", kilograms=2) == "2 kg of tomatoes; 2 kg so far"
    assert call(box, "log_harvest", crop="tomato", kilograms=0.5, day="last saturday") == "0.5 kg of tomato; 2.5 kg so far"
    assert call(box, "harvest_total", crop="TOMATO") == "2.5 kg of TOMATO"
    assert call(box, "frost_warning", celsius=-1) == "cover south wall (Tomatoes)"
    assert call(box, "frost_warning", celsius=6) == "nothing to cover"
    assert (tmp_path / "garden" / "diary.csv").read_text().splitlines() == [
        "day,event,crop,bed,amount",
        "2026-05-04,planted,Tomatoes,south wall,6",
        "2026-05-04,planted,leek,north bed,1",
        "2026-05-04,watered,,south wall,7.5",
        "2026-05-04,harvested,tomatoes,,2",
        "2026-05-02,harvested,tomato,,0.5",
    ]


def test_a_text_with_commas_and_quotes_stays_one(box):
    call(box, "plant", crop='beans, "Hestia"', bed="pot\n1")
    assert call(box, "find_bed", crop='beans, "hestia"') == "pot\n1"


def test_what_is_not_there_is_said(box):
    assert call(box, "find_bed", crop="kale") == "error: no bed has kale; the diary knows nothing"
    call(box, "plant", crop="leek", bed="north bed")
    assert call(box, "find_bed", crop="kale") == "error: no bed has kale; the diary knows leek"
    assert call(box, "water_bed", bed="north bed").startswith("error: water_bed: missing argument litres")


def test_a_plan_of_two_steps_and_its_undo(box, tmp_path):
    call(box, "plant", crop="beans", bed="fence")
    before = (tmp_path / "garden" / "diary.csv").read_text()
    box.begin()
    plan = number([ToolCall("find_bed", {"crop": "bean"}), ToolCall("water_bed", {"bed": "$1", "litres": 5})])
    assert waves(plan) == ((1,), (2,))
    first = box.call(plan[0])
    assert box.call(plan[1], {1: first.output}).output == "fence: 5 litres"
    assert undo(tmp_path) == ["restored garden/diary.csv"]
    assert (tmp_path / "garden" / "diary.csv").read_text() == before


def test_the_bed_that_is_found_is_the_bed_that_is_watered():
    found = {(link.producer.name, link.consumer.name, link.argument) for link in links([tool.spec for tool in PACK.tools])}
    assert found == {("find_bed", "water_bed", "bed"), ("find_bed", "plant", "bed")}
