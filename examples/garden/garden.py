"""A gardener's tools: what was planted, watered and harvested, in one diary that any spreadsheet opens (home/garden/diary.csv).

    toolagent run "log 2 kilos of beans and water the bed where the tomatoes are with 10 litres" --pack examples/garden

What grows where is read off the diary. Left out: what is dug up, and beds with two crops.
"""

from __future__ import annotations

import csv
import io

from toolagent.tool import Name, Text, ToolFailed, When, home, now, tool, write_file

DIARY = "garden/diary.csv"
COLUMNS = ("day", "event", "crop", "bed", "amount")
TENDER = ("tomato", "bean", "courgette", "cucumber", "pepper", "pumpkin", "basil", "aubergine", "sweetcorn")  # die below about 2 degrees
LIMIT = 2.0


@tool(writes=True)
def plant(crop: Name, bed: Name, count: int = 1) -> Text:
    """Plant a crop in a bed.

    Args:
        crop: what is planted
        bed: bed that it goes into
        count: how many plants
    """
    note("planted", crop, bed, count)
    return f"{count} x {crop} in {bed}"


@tool(writes=True)
def water_bed(bed: Name, litres: float) -> Text:
    """Water a bed.

    Args:
        bed: bed to water
        litres: how much water it gets
    """
    note("watered", "", bed, litres)
    return f"{bed}: {litres:g} litres"


@tool(writes=True)
def log_harvest(crop: Name, kilograms: float, day: When | None = None) -> Text:
    """Log a harvest.

    Args:
        crop: what was picked
        kilograms: how much it weighs
        day: day of the harvest; today if left out
    """
    note("harvested", crop, "", kilograms, (day or "")[:10])
    return f"{kilograms:g} kg of {crop}; {total(crop):g} kg so far"


@tool
def find_bed(crop: Name) -> Name:
    """Find the bed that a crop grows in.

    Args:
        crop: what grows there
    """
    for row in reversed(diary()):
        if row["event"] == "planted" and same(row["crop"], crop):
            return row["bed"]
    raise ToolFailed(f"no bed has {crop}; the diary knows {', '.join(sorted({r['crop'] for r in diary() if r['crop']})) or 'nothing'}")


@tool
def harvest_total(crop: Name) -> Text:
    """Tell how much of a crop was harvested.

    Args:
        crop: what was picked
    """
    return f"{total(crop):g} kg of {crop}"


@tool
def frost_warning(celsius: float) -> Text:
    """List the beds to cover before a cold night.

    Args:
        celsius: lowest temperature of the night
    """
    growing = {row["bed"]: row["crop"] for row in diary() if row["event"] == "planted"}
    cover = [f"{bed} ({crop})" for bed, crop in growing.items() if any(same(crop, tender) for tender in TENDER)]
    if celsius > LIMIT or not cover:
        return "nothing to cover"
    return "cover " + ", ".join(cover)


def diary() -> list[dict[str, str]]:
    path = home() / DIARY
    return list(csv.DictReader(io.StringIO(path.read_text("utf-8")))) if path.exists() else []


def note(event: str, crop: str, bed: str, amount: float, day: str = "") -> None:
    """One line more, dated today unless said. write_file() makes it whole or not at all, and `toolagent undo` takes it back."""
    text = io.StringIO()
    rows = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    rows.writeheader()
    rows.writerows(diary())
    rows.writerow({"day": day or f"{now():%Y-%m-%d}", "event": event, "crop": crop, "bed": bed, "amount": f"{amount:g}"})
    write_file(DIARY, text.getvalue())


def total(crop: str) -> float:
    return sum(float(row["amount"]) for row in diary() if row["event"] == "harvested" and same(row["crop"], crop))


def same(a: str, b: str) -> bool:
    """"Tomatoes" are a "tomato"."""
    return stem(a) == stem(b)


def stem(crop: str) -> str:
    word = " ".join(crop.casefold().split())
    return word.removesuffix("es") if word.endswith("oes") else word.removesuffix("s")
