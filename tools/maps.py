"""Maps: links to a place or a way, on OpenStreetMap, Google or Apple Maps (TOOLAGENT_MAPS=osm|google|apple).

A link is made without asking any server; a browser opens it only with TOOLAGENT_OPEN=1. Without a start, the map asks for it or takes
where the user is. OpenStreetMap has no public transport: such directions are a Google link. Left out: coordinates of a place, travel times.
"""

from __future__ import annotations

import webbrowser
from typing import Literal
from urllib.parse import quote, urlencode

from _store import line, setting

from toolagent.tool import Link, Name, ToolFailed, tool

BASES = {
    "osm": ("https://www.openstreetmap.org/search", "https://www.openstreetmap.org/directions"),
    "google": ("https://www.google.com/maps/search/", "https://www.google.com/maps/dir/"),
    "apple": ("https://maps.apple.com/", "https://maps.apple.com/"),
}
WAYS = {
    "osm": {"d": "fossgis_osrm_car", "w": "fossgis_osrm_foot"},
    "google": {"d": "driving", "w": "walking", "r": "transit"},
    "apple": {"d": "d", "w": "w", "r": "r"},
}


@tool
def maps_open_location(location: Name) -> Link:
    """Show a place and get its map link.

    Args:
        location: place or address
    """
    maps = service()
    query = {"osm": {"query": location}, "google": {"api": "1", "query": location}, "apple": {"q": location}}[maps]
    return link(BASES[maps][0], query)


@tool
def maps_show_directions(end_location: Name, start_location: Name | None = None, transport: Literal["d", "w", "r"] | None = None) -> Link:
    """Show the way to a place and get its map link.

    Args:
        end_location: where to go
        start_location: where to start; here if left out
        transport: d drive, w walk, r public transport
    """
    maps = "google" if service() == "osm" and transport == "r" else service()
    way = WAYS[maps][transport] if transport else None
    query = {
        "osm": {"engine": way, "from": start_location, "to": end_location},
        "google": {"api": "1", "origin": start_location, "destination": end_location, "travelmode": way},
        "apple": {"saddr": start_location, "daddr": end_location, "dirflg": way},
    }[maps]
    return link(BASES[maps][1], {k: v for k, v in query.items() if v})


def service() -> str:
    name = setting("MAPS", "osm").lower()
    if name not in BASES:
        raise ToolFailed(f"TOOLAGENT_MAPS={name!r}: choose {', '.join(BASES)}")
    return name


def link(base: str, query: dict[str, str]) -> str:
    if not all(line(v) for v in query.values()):
        raise ToolFailed("the place is empty")
    url = f"{base}?{urlencode({k: line(v) for k, v in query.items()}, quote_via=quote)}"
    if setting("OPEN") == "1":
        webbrowser.open(url)
    return url
