"""The options of ``dasha fit`` and ``dasha search``, and commands made of a table of options."""

import ast
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_type_hints

import typer

from dasha.cli._output import JsonOption
from dasha.errors import InvalidArgumentError

if TYPE_CHECKING:
    from dasha.tasks import TaskSpec

Table = TypeVar("Table")

DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
EngineOption = Annotated[
    str,
    typer.Option(
        help="Where hyperparameters are tuned: local (here, one after the other) or ray (on a Ray cluster, see "
        "RAY_ADDRESS)."
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="Replace a value of the budget, such as tune.trials=8; may be repeated.", show_default=False
    ),
]
_DATA = typer.Argument(
    help=".npz file, folder of PNG or JPEG images, or name of a task, see dasha plugins.", show_default=False
)
_OUT_HELP = "Folder of the run; an earlier run of the same in it is continued."
# A command that repeats a run leaves these out, or names them first or last.
_SPECIAL = ("data", "out", "device", "as_json")
# Beside --config; the file says all else.
_WITH_CONFIG = ("config", "out", "changes", "as_json")


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What a run is told besides its data and its folder; the annotations are those of typer."""

    task: Annotated[
        str | None,
        typer.Option(
            help="binary, multiclass, multilabel, regression, segmentation or dense_regression. "
            "[default: multiclass for whole numbers and image folders]",
            show_default=False,
        ),
    ] = None
    in_channels: Annotated[
        int | None,
        typer.Option(
            help="Channels of the inputs, (N, C, L) or (N, C, H, W), for arrays that look as if channels came last. "
            "[default: as the arrays have]",
            show_default=False,
        ),
    ] = None
    metric: Annotated[
        str | None, typer.Option(help="Metric that decides. [default: by the task]", show_default=False)
    ] = None
    loss: Annotated[
        str | None,
        typer.Option(
            help="cross_entropy or focal; mse, mae, huber or poisson for numbers. [default: the first]",
            show_default=False,
        ),
    ] = None
    class_weights: Annotated[
        str | None,
        typer.Option(
            help="Weights in the loss: numbers by comma, one for every class or label, or balanced: by how rare they "
            "are in the training data.",
            show_default=False,
        ),
    ] = None
    label_smoothing: Annotated[
        float | None,
        typer.Option(
            help="Share of the target that is spread over all classes (default: the budget's).", show_default=False
        ),
    ] = None
    ignore_index: Annotated[
        int | None, typer.Option(help="Label of positions that do not count, of segmentation.", show_default=False)
    ] = None
    budget: Annotated[str, typer.Option(help="smoke, quick, standard or paper.")] = "quick"
    changes: SetOption = None
    search: Annotated[
        str, typer.Option(help="Kernels: on (searched), off (the backbone's own), random, or auto (searched or own).")
    ] = "auto"
    backbone: Annotated[
        str, typer.Option(help="Name of a backbone, see dasha plugins, or auto: chosen on validation data.")
    ] = "auto"
    seed: Annotated[int, typer.Option(help="Of everything that is random; the split of the data is not.")] = 0
    n_seeds: Annotated[int, typer.Option(help="Final trainings with different seeds; the report has their spread.")] = 1
    ensemble: Annotated[bool, typer.Option("--ensemble", help="The model is the mean of all final trainings.")] = False
    include_validation: Annotated[
        bool, typer.Option("--include-validation", help="The final training sees the validation data, too.")
    ] = False
    test: Annotated[
        Path | None,
        typer.Option(
            help="Test data from elsewhere: .npz with x_test and y_test, or image folder.", show_default=False
        ),
    ] = None
    engine: EngineOption = "local"
    device: DeviceOption = "auto"
    as_json: JsonOption = False

    def run_options(self) -> dict[str, Any]:
        """Arguments of `dasha.Dasha`."""
        return {
            "budget": self.budget,
            "overrides": parse_changes(self.changes or []),
            "search": self.search,
            "backbone": self.backbone,
            "seed": self.seed,
            "n_seeds": self.n_seeds,
            "is_ensemble": self.ensemble,
            "include_validation": self.include_validation,
            "engine": self.engine,
            "device": self.device,
        }


@dataclass(frozen=True, kw_only=True)
class FitOptions(RunOptions):
    """What ``dasha fit`` is told."""

    data: Annotated[str, _DATA]
    out: Annotated[Path, typer.Option(help=_OUT_HELP)]

    def words(self, command: str, spec: "TaskSpec") -> list[str]:
        """Words that repeat a command, with what was inferred about the task."""
        known = replace(self, task=spec.kind, metric=spec.metric)
        words = ["dasha", command, self.data]
        for entry in fields(known):
            value = getattr(known, entry.name)
            if entry.name in _SPECIAL or value is None or value is False:
                continue
            flag = "--set" if entry.name == "changes" else f"--{entry.name.replace('_', '-')}"
            for part in value if isinstance(value, list) else [value]:
                words += [flag] if part is True else [flag, str(part)]
        return [*words, "--out", str(self.out)]


@dataclass(frozen=True, kw_only=True)
class SearchOptions(RunOptions):
    """What ``dasha search`` is told: the data, or a configuration file."""

    data: Annotated[str | None, _DATA] = None
    out: Annotated[
        Path | None,
        typer.Option(help=f"{_OUT_HELP} [default, with --config: where the host looks for it]", show_default=False),
    ] = None
    config: Annotated[
        Path | None,
        typer.Option(
            help="Configuration file of a host, such as that of torchgeo fit, instead of data and options; --set "
            "replaces its values.",
            show_default=False,
        ),
    ] = None

    def of_data(self) -> FitOptions:
        """The same without a configuration file.

        Raises:
            InvalidArgumentError: If there is no data, or no folder.
        """
        if self.data is None or self.out is None:
            missing = "the data" if self.data is None else "--out"
            raise InvalidArgumentError(f"{missing} is missing: give data and --out FOLDER, or --config FILE")
        shared = {entry.name: getattr(self, entry.name) for entry in fields(RunOptions)}
        return FitOptions(data=self.data, out=self.out, **shared)

    def check_config_alone(self) -> None:
        """Refuse options that the configuration file decides.

        Raises:
            InvalidArgumentError: Naming the first.
        """
        for entry in fields(self):
            if entry.name not in _WITH_CONFIG and getattr(self, entry.name) != entry.default:
                name = "data" if entry.name == "data" else f"--{entry.name.replace('_', '-')}"
                raise InvalidArgumentError(
                    f"{name} is given beside --config, but {self.config} says that; write it there, or replace a value "
                    "of the file with --set, such as --set data.init_args.batch_size=8"
                )


def takes(table: type[Table]) -> Callable[[Callable[[Table], None]], Callable[..., None]]:
    """Make a typer command of a function of one table of options.

    Args:
        table: Dataclass whose fields are annotated as parameters of typer.
    """

    def decorate(work: Callable[[Table], None]) -> Callable[..., None]:
        def command(**values: Any) -> None:
            work(table(**values))

        command.__name__, command.__doc__ = work.__name__, work.__doc__
        command.__annotations__ = get_type_hints(table, include_extras=True)
        listed = inspect.signature(table).parameters.values()
        # Those of the command itself come first, then those that it shares.
        ordered = sorted(listed, key=lambda parameter: parameter.name not in table.__annotations__)
        command.__signature__ = inspect.Signature(ordered)  # type: ignore[attr-defined]
        return command

    return decorate


def parse_changes(given: Sequence[str]) -> dict[str, Any]:
    """Read ``name=value`` pairs; values are numbers, words, or several of them separated by commas.

    Options of the backbone are set one by one: ``backbone_options.depth=10``.

    Raises:
        InvalidArgumentError: If a pair has no equals sign.
    """
    changes: dict[str, Any] = {}
    for name, text in change_pairs(given):
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            value = {"true": True, "false": False}.get(text.lower(), text)
        value = list(value) if isinstance(value, tuple) else value
        owner, _, option = name.partition(".")
        if owner == "backbone_options" and option:
            changes[owner] = {**changes.get(owner, {}), option: value}
        else:
            changes[name] = value
    return changes


def change_pairs(given: Sequence[str]) -> list[tuple[str, str]]:
    """Take ``name=value`` apart.

    Raises:
        InvalidArgumentError: If a pair has no equals sign.
    """
    pairs = [(name.strip(), text.strip()) for name, _, text in (pair.partition("=") for pair in given)]
    for (name, text), pair in zip(pairs, given, strict=True):
        if not name or not text:
            raise InvalidArgumentError(f"--set is {pair!r}, but must be like tune.trials=8")
    return pairs
