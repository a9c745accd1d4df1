"""The seeds and the default pack, read once for all tests of the workshop."""

import pytest

from toolagent.datagen.seeds import desktop_skeletons, load_packs, pack_skeletons
from toolagent.toolbox import default_pack_path, load_pack


@pytest.fixture(scope="session")
def pack():
    return load_pack(default_pack_path())


@pytest.fixture(scope="session")
def specs(pack):
    return tuple(tool.spec for tool in pack.tools)


@pytest.fixture(scope="session")
def desktop():
    return desktop_skeletons()


@pytest.fixture(scope="session")
def elsewhere():
    """The seeds of the invented packs."""
    return pack_skeletons(load_packs())
