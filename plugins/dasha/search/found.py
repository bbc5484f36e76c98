"""What a search left in its folder, for those who train the network themselves."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from dasha.errors import StateFileError
from dasha.search.result import SearchResult
from dasha.search.run_folder import PLAN_FILE
from dasha.search.stages import INITIAL_FILE


def load_search(path: str | Path) -> SearchResult:
    """Read what a search decided; nothing in the file is executed.

    Args:
        path: A run folder, or one of its JSON files.

    Raises:
        StateFileError: If the search is not finished, or the file is damaged.
    """
    file = _folder_of(path) / PLAN_FILE
    if not file.is_file():
        raise StateFileError(f"there is no finished search in {file.parent}: {PLAN_FILE} is missing")
    try:
        return SearchResult.of_dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StateFileError(f"cannot read {file}: {type(error).__name__}: {error}") from error


def initial_weights(path: str | Path) -> dict[str, Tensor]:
    """Weights with which the winning trial began, for the network that ``plan.build_plain`` makes.

    Args:
        path: A run folder, or one of its JSON files.

    Raises:
        StateFileError: If the search is not finished, or the file is damaged.
    """
    file = _folder_of(path) / INITIAL_FILE
    try:
        return load_file(file)
    except Exception as error:
        raise StateFileError(f"cannot read {file}: {type(error).__name__}: {error}") from error


def _folder_of(path: str | Path) -> Path:
    path = Path(path)
    return path.parent if path.suffix == ".json" else path
