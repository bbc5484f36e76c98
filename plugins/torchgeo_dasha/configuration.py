"""Files of ``torchgeo fit`` as ``dasha search --config`` takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dasha._optional import require


class TorchGeoFiles:
    """Searches as files of ``torchgeo fit`` say; see `dasha.types.ConfigurationSearch`."""

    form = "a file of 'torchgeo fit', with a class_path below model and below data"

    def reads(self, content: Mapping[str, Any]) -> bool:
        """Whether model and data are named by their classes."""
        return all(_has_class(content.get(name)) for name in ("model", "data"))

    def search(self, path: Path, *, changes: Sequence[tuple[str, str]], run_dir: Path | None) -> Path:
        """Search without training; see `torchgeo_dasha.lightning_cli.search_file`."""
        require("torchgeo", extra="torchgeo")
        require("jsonargparse", extra="torchgeo")
        from torchgeo_dasha.lightning_cli import search_file

        return search_file(path, changes=changes, run_dir=run_dir)

    def fit_command(self, path: Path, *, changes: Sequence[tuple[str, str]], run_dir: Path) -> Sequence[str]:
        """Words that train what was found."""
        given = [f"--{name}={text}" for name, text in changes]
        return ["torchgeo", "fit", "--config", str(path), *given, f"--model.init_args.architecture={run_dir}"]


def _has_class(part: object) -> bool:
    return isinstance(part, str) or (isinstance(part, Mapping) and isinstance(part.get("class_path"), str))
