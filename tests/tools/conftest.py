"""Each tool runs for real in a temporary home; what it wrote is read back by something that did not write it."""

from __future__ import annotations

import os

import pytest
from here import NOW

from toolagent.tool import Journal, Place, at


@pytest.fixture(autouse=True)
def no_settings(monkeypatch):
    for name in [n for n in os.environ if n.startswith("TOOLAGENT_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def place(tmp_path):
    """An empty home in force; `outside` beside it holds a secret that no tool may reach."""
    (tmp_path / "home").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.txt").write_text("secret")
    with at(Place(tmp_path / "home", NOW, Journal())) as found:
        yield found


@pytest.fixture
def home(place):
    return place.home


@pytest.fixture
def demo(tmp_path):
    from _demo_home import make_demo_home

    root = make_demo_home(tmp_path / "demo", NOW)
    with at(Place(root, NOW, Journal())):
        yield root
