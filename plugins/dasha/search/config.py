"""Everything that decides what a run gives, and whether two runs are the same."""

from __future__ import annotations

import platform
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from importlib import metadata
from typing import Any, Literal, get_args

import dasha
from dasha._ray import Engine
from dasha.arguments import make_plain
from dasha.errors import DashaWarning, InvalidArgumentError
from dasha.search.run_folder import CONFIG_FILE, RunFolder
from dasha.search.settings import Precision, one_of, whole

SearchMode = Literal["auto", "on", "off", "random"]
# Where trials run, which changes nothing about what is tried.
_PLACE = ("engine", "cpus_per_trial", "gpus_per_trial")
# Settings, and a part of the budget, that only the final training looks at.
_FINAL = ("n_seeds", "is_ensemble", "include_validation", "retrain")


def search_mode(given: object) -> object:
    """How kernels are found, in a word: YAML reads ``on`` and ``off`` as truth values."""
    return ("off", "on")[given] if isinstance(given, bool) else given


@dataclass(frozen=True)
class RunConfig:
    """Settings of a run besides its task and data.

    Attributes:
        backbone: Name of a registered backbone, of a factory or of a module; ``"auto"`` to choose by validation score.
        budget: Name of the budget.
        overrides: Values of the budget that are replaced, such as ``{"tune.trials": 8}``.
        search: Kernels: ``"on"`` for searched ones, ``"off"`` for the backbone's own, ``"random"`` for drawn ones;
            ``"auto"`` searches and lets trials choose between searched and own by validation score.
        seed: Of everything that is random.
        n_seeds: Final trainings with different seeds.
        is_ensemble: Whether the model is the mean of them; otherwise it is the first.
        normalize: Whether channels are brought to mean 0 and standard deviation 1, as measured on train.
        include_validation: Whether the final training sees the validation data, too.
        is_deterministic: Whether only deterministic algorithms run, at the price of time on a GPU.
        engine: Where trials run: ``"local"``, one after the other in this process, or ``"ray"``, on a Ray cluster.

    Raises:
        InvalidArgumentError: If a value is not allowed.
    """

    backbone: str = "auto"
    budget: str = "quick"
    overrides: Mapping[str, Any] = field(default_factory=dict)
    search: SearchMode = "auto"
    seed: int = 0
    n_seeds: int = 1
    is_ensemble: bool = False
    normalize: bool = True
    include_validation: bool = False
    is_deterministic: bool = False
    engine: Engine = "local"

    def __post_init__(self) -> None:
        """Check every value."""
        make_plain(self)
        one_of(self, "", "search", get_args(SearchMode))
        one_of(self, "", "engine", get_args(Engine))
        whole(self, "", seed=0, n_seeds=1)
        for name in ("is_ensemble", "normalize", "include_validation", "is_deterministic"):
            if not isinstance(getattr(self, name), bool):
                raise InvalidArgumentError(f"{name}={getattr(self, name)!r} must be True or False")
        if self.is_ensemble and self.n_seeds == 1:
            raise InvalidArgumentError("is_ensemble=True needs n_seeds of at least 2, for a mean of several networks")
        object.__setattr__(self, "overrides", dict(self.overrides))


def stored_precision(folder: RunFolder) -> Precision | None:
    """Precision of the run that a folder was claimed for; None if it was not, or does not tell.

    Raises:
        StateFileError: If the file is damaged.
    """
    if not folder.has(CONFIG_FILE):
        return None
    with folder.reading(CONFIG_FILE):
        precision: Precision | None = folder.read_json(CONFIG_FILE).get("budget", {}).get("precision")
        if precision not in (None, *get_args(Precision)):
            raise ValueError(f"there is no precision {precision!r}")
    return precision


def claim(folder: RunFolder, about: Mapping[str, Any]) -> None:
    """Write what a run is about into its folder, or refuse a folder that is about something else.

    What concerns the final training alone may change until that begins, and where trials run at any time.

    Args:
        folder: Of the run, locked.
        about: Task, settings, budget, data, and the user's own modules and functions.

    Raises:
        InvalidArgumentError: If the folder is about something else, with the differences.
        StateFileError: If what the folder is about cannot be read.
    """
    about = as_stored(about)
    if not folder.has(CONFIG_FILE):
        folder.write_json(CONFIG_FILE, {**about, "versions": versions()})
        return
    stored = folder.read_json(CONFIG_FILE)
    with folder.reading(CONFIG_FILE):
        before = _told(stored, about)
    may_change = _PLACE if folder.has_any("retrain") else (*_PLACE, *_FINAL)
    different = differences(_without(before, may_change), _without(about, may_change))
    if different:
        raise InvalidArgumentError(
            f"the run in {folder.path} is another one ({'; '.join(different[:5])}); choose another run_dir"
        )
    if {**stored, **about} != stored:
        folder.write_json(CONFIG_FILE, {**stored, **about})
    changed = differences(stored.get("versions", {}), versions())
    if changed:
        warnings.warn(
            f"the run in {folder.path} was begun with other versions ({'; '.join(changed)}); results may differ",
            DashaWarning,
            stacklevel=3,
        )


def _told(stored: Mapping[str, Any], about: Mapping[str, Any]) -> dict[str, Any]:
    """What a folder is about; of what folders of earlier versions do not tell, nothing is held against them."""
    forms = {name: {"batches": part["batches"]} for name, part in about["data"].items()}
    data = {name: {**forms.get(name, {}), **part} for name, part in stored.get("data", {}).items()}
    return {name: {"own": about.get("own"), **stored, "data": data}.get(name) for name in about}


def _without(about: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """What a run is about but for some settings and parts of the budget, on which no other stage depends."""

    def kept(part: Any) -> Any:
        if not isinstance(part, Mapping):
            return part
        return {name: value for name, value in part.items() if not set(name.split(".")) & set(names)}

    settings, budget = kept(about.get("settings")), kept(about.get("budget"))
    for owner, part in ((settings, "overrides"), (budget, "tune")):
        if isinstance(owner, dict):
            owner[part] = kept(owner.get(part))
    return {**about, "settings": settings, "budget": budget}


def versions() -> dict[str, str]:
    """Versions of what computes."""
    packages = ("torch", "numpy", "optuna", "torchmetrics")
    return {
        "python": platform.python_version(),
        "dasha": dasha.__version__,
        **{name: metadata.version(name) for name in packages},
    }


def differences(stored: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    """What differs between two configurations, as ``name: stored value, now value``."""
    return [
        f"{path}: {_short(before)} there, {_short(now)} now"
        for path, before, now in _compared(stored, given, "")
        if before != now
    ]


def as_stored(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration as it comes back from JSON: lists for tuples."""

    def plain(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {str(key): plain(entry) for key, entry in value.items()}
        return [plain(entry) for entry in value] if isinstance(value, (list, tuple)) else value

    return {name: plain(value) for name, value in config.items()}


def _compared(stored: Any, given: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(stored, Mapping) and isinstance(given, Mapping):
        for name in sorted({*stored, *given}):
            yield from _compared(stored.get(name), given.get(name), f"{path}.{name}" if path else name)
    else:
        yield path, stored, given


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "…"


def config_dict(config: RunConfig) -> dict[str, Any]:
    """All settings, for JSON."""
    return asdict(config)
