"""Where the real data is."""

import os
from pathlib import Path

import pytest


@pytest.fixture
def gue():
    """A folder of the benchmark GUE in ``$DASHA_DATA``, by its name."""

    def find(name):
        folder = os.environ.get("DASHA_DATA")
        found = sorted(Path(folder).rglob(name)) if folder else []
        if not found:
            pytest.skip(f"set DASHA_DATA to a folder that holds {name}")
        return found[0]

    return find
