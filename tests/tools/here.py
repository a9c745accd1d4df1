"""Where and when the tests of the pack happen."""

import sys
from datetime import datetime
from pathlib import Path

import pytest

PACK = Path(__file__).parents[2] / "tools"
NOW = datetime(2025, 11, 24, 10, 0)  # a Monday

if str(PACK) not in sys.path:
    sys.path.insert(0, str(PACK))  # as the toolbox does while it loads a pack


def link(path, target):
    try:
        path.symlink_to(target)
    except OSError:
        pytest.skip("this system (or user) makes no symbolic links")
