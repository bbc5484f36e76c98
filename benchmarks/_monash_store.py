"""Results of one method on one data set, kept in a folder, so that a run that was killed goes on where it stopped.

A folder holds ``settings.json``, what was asked for, and ``part-*.npz``, the predictions of some series each. Every
file appears complete or not at all.
"""

from __future__ import annotations

import json
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from _monash_methods import Prediction

# A run that is killed loses this much, or one series if that takes longer.
_SECONDS_BETWEEN_PARTS = 20.0


class OtherSettingsError(Exception):
    """A folder holds results of other settings than those asked for."""


class Results:
    """Predictions by number of the series, on disk and in memory.

    Args:
        folder: Where they are kept; made if it is not there.
        settings: What they depend on; compared with that of the folder.
        environment: Versions and machine, kept beside what is measured from now on.

    Raises:
        OtherSettingsError: If the folder holds results of other settings.
    """

    def __init__(self, folder: Path, settings: dict[str, Any], environment: dict[str, Any]) -> None:
        self.folder = folder
        self.predictions: dict[int, Prediction] = {}
        self.measured: list[str] = []
        self.environment = environment
        self._environment = environment
        self._pending: dict[int, Prediction] = {}
        self._written = time.monotonic()
        self._open(settings)

    def add(self, number: int, prediction: Prediction) -> None:
        """Keep the prediction of a series; it is on disk after some seconds, or after `flush`."""
        self.predictions[number] = self._pending[number] = prediction
        if time.monotonic() - self._written > _SECONDS_BETWEEN_PARTS:
            self.flush()

    def flush(self) -> None:
        """Write what is not on disk yet."""
        self._written = time.monotonic()
        if not self._pending:
            return
        numbers = sorted(self._pending)
        predictions = [self._pending[number] for number in numbers]
        now = datetime.now(UTC).isoformat(timespec="seconds")
        # Quantiles of a failed series stand in for its own, but a method that has none has none.
        with_quantiles = all(prediction.quantiles is not None for prediction in predictions)
        content: dict[str, Any] = {
            "number": np.array(numbers),
            "mean": np.stack([prediction.mean for prediction in predictions]),
            "fit_seconds": np.array([prediction.fit_seconds for prediction in predictions]),
            "predict_seconds": np.array([prediction.predict_seconds for prediction in predictions]),
            "wall_seconds": np.array([prediction.wall_seconds for prediction in predictions]),
            "error": np.array([prediction.error for prediction in predictions]),
            "measured": np.array(now),
            "environment": np.array(json.dumps(self._environment)),
        }
        if with_quantiles:
            content["quantiles"] = np.stack([p.quantiles for p in predictions if p.quantiles is not None])
        target = self.folder / f"part-{numbers[0]:06d}-{numbers[-1]:06d}.npz"
        working = target.with_suffix(".writing")
        with working.open("wb") as file:
            np.savez_compressed(file, **content)
        working.replace(target)
        self.measured.append(now)
        self.environment = self._environment
        self._pending.clear()

    def _open(self, settings: dict[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        path, text = self.folder / "settings.json", json.dumps(settings, indent=2, sort_keys=True)
        if path.exists() and json.loads(path.read_text(encoding="utf-8")) != json.loads(text):
            raise OtherSettingsError(
                f"{self.folder} holds results of other settings (see settings.json there); pass --rerun with the name "
                "of the method to measure it again, or another folder with --results"
            )
        for part in sorted(self.folder.glob("part-*.npz")):
            self._read(part)
        if not path.exists():
            working = path.with_suffix(".writing")
            working.write_text(text + "\n", encoding="utf-8")
            working.replace(path)

    def _read(self, path: Path) -> None:
        with np.load(path, allow_pickle=False) as part:
            quantiles = part["quantiles"] if "quantiles" in part.files else None
            mean, error = part["mean"], part["error"]
            seconds = zip(part["fit_seconds"], part["predict_seconds"], part["wall_seconds"], strict=True)
            for place, (number, times) in enumerate(zip(part["number"].tolist(), seconds, strict=True)):
                self.predictions[number] = Prediction(
                    mean[place],
                    None if quantiles is None else quantiles[place],
                    *map(float, times),
                    error=str(error[place]),
                )
            self.measured.append(str(part["measured"]))
            self.environment = json.loads(str(part["environment"]))


def forget(folder: Path) -> None:
    """Delete the results of one method on one data set."""
    if folder.is_dir():
        shutil.rmtree(folder)
