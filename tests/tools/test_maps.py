from urllib.parse import parse_qsl, urlsplit

import maps
import pytest
from maps import maps_open_location, maps_show_directions

from toolagent.errors import ToolFailed


def parts(url):
    split = urlsplit(url)
    assert split.scheme == "https" and url.isascii() and " " not in url
    return split.netloc + split.path, dict(parse_qsl(split.query, strict_parsing=True))


@pytest.mark.parametrize("where", ["Café Sperl, Wien", "1600 Amphitheatre Pkwy & more #5?x=1", "東京駅", "52.5,13.4", '100% "here"'])
def test_a_place_survives_the_encoding(home, where):
    assert parts(maps_open_location(where)) == ("www.openstreetmap.org/search", {"query": where})


@pytest.mark.parametrize(
    "service, where, query",
    [
        ("osm", "www.openstreetmap.org/directions", {"engine": "fossgis_osrm_foot", "from": "A & B", "to": "C"}),
        ("google", "www.google.com/maps/dir/", {"api": "1", "origin": "A & B", "destination": "C", "travelmode": "walking"}),
        ("apple", "maps.apple.com/", {"saddr": "A & B", "daddr": "C", "dirflg": "w"}),
    ],
)
def test_directions(home, monkeypatch, service, where, query):
    monkeypatch.setenv("TOOLAGENT_MAPS", service)
    assert parts(maps_show_directions("C", "A & B", "w")) == (where, query)


def test_only_an_end(home):
    assert parts(maps_show_directions("Home")) == ("www.openstreetmap.org/directions", {"to": "Home"})


def test_public_transport_is_unknown_to_openstreetmap(home):
    assert parts(maps_show_directions("Home", transport="r")) == (
        "www.google.com/maps/dir/",
        {"api": "1", "destination": "Home", "travelmode": "transit"},
    )


def test_places_on_the_other_services(home, monkeypatch):
    monkeypatch.setenv("TOOLAGENT_MAPS", "Google")
    assert parts(maps_open_location("X"))[1] == {"api": "1", "query": "X"}
    monkeypatch.setenv("TOOLAGENT_MAPS", "apple")
    assert parts(maps_open_location("X")) == ("maps.apple.com/", {"q": "X"})


def test_a_browser_opens_only_when_asked(home, monkeypatch):
    opened = []
    monkeypatch.setattr(maps.webbrowser, "open", opened.append)
    maps_open_location("X")
    assert opened == []
    monkeypatch.setenv("TOOLAGENT_OPEN", "1")
    assert opened == [maps_open_location("X")]


def test_no_place_and_no_service(home, monkeypatch):
    with pytest.raises(ToolFailed, match="the place is empty"):
        maps_open_location(" ")
    with pytest.raises(ToolFailed, match="the place is empty"):
        maps_show_directions("\n")
    monkeypatch.setenv("TOOLAGENT_MAPS", "bing")
    with pytest.raises(ToolFailed, match="choose osm, google, apple"):
        maps_open_location("X")
