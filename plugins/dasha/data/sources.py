"""Data of a run, from files or of a registered task: where it came from, how it was split, the same again later."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from dasha.errors import InvalidArgumentError, PluginError
from dasha.manager import get_manager
from dasha.registry import close_matches
from dasha.tasks import TaskSpec
from dasha.types import SupervisedTask

Pair = tuple[np.ndarray, np.ndarray]
_ARRAYS = ("x_train", "y_train", "x_val", "y_val")
_TEST = ("x_test", "y_test")


@dataclass(frozen=True)
class SourceData:
    """Data of a run.

    Attributes:
        train: Inputs ``(N, C, …)`` and targets ``(N, …)``; of a registered task also a dataset or a DataLoader.
        validation: Likewise.
        test: Likewise, where there is some.
        path: File or folder it was read from, absolute; the name of a registered task.
        rule: How it was split.
        test_path: Where the test data was read from, if from elsewhere.
        class_names: Of images in folders.
        spec: Of a registered task; None for files, which do not say what is to be learnt.
    """

    train: Any = field(repr=False, compare=False)
    validation: Any = field(repr=False, compare=False)
    test: Any = field(repr=False, compare=False)
    path: str
    rule: str
    test_path: str | None = None
    class_names: tuple[str, ...] = ()
    spec: TaskSpec | None = None

    def as_dict(self) -> dict[str, Any]:
        """What `read_again` needs, and whether there is test data, for JSON."""
        names = {"path": self.path, "test_path": self.test_path, "rule": self.rule}
        return {**names, "is_registered": self.spec is not None, "has_test": self.test is not None}


def read_data(name: str, *, test: str | Path | None = None) -> SourceData:
    """Read the data of a run by the one word that names it: a file or folder that exists, or a registered task.

    Args:
        name: As for `read_source`, or the name of a task that `dasha plugins` lists.
        test: As for `read_source`.

    Raises:
        InvalidArgumentError: If it is neither, or something cannot be read.
        PluginError: If the task's factory gives something else.
    """
    tasks = get_manager().tasks
    if Path(name).exists() or (name not in tasks and _looks_like_a_path(name)):
        return read_source(name, test=test)
    if name not in tasks:
        raise InvalidArgumentError(
            f"{name!r} is no file, folder or registered task;{close_matches(name, tasks)} tasks: "
            f"{', '.join(map(repr, tasks)) or 'none'}{get_manager().advice()}"
        )
    return read_task(name, test=test)


def read_task(name: str, *, test: str | Path | None = None) -> SourceData:
    """Read the data of a registered task.

    Args:
        name: Of the task.
        test: Test data from elsewhere, see `read_source`.

    Raises:
        UnknownNameError: If there is no such task.
        PluginError: If its factory gives something else.
    """
    made = get_manager().tasks[name]()
    if not isinstance(made, SupervisedTask):
        owner = get_manager().tasks.owner(name)
        raise PluginError(
            f"task {name!r} of plugin {owner!r} is {type(made).__name__}, but must be a dasha.types.SupervisedTask"
        )
    rule = made.source or made.description
    data = SourceData(
        made.train, made.validation, made.test, name, rule, class_names=made.spec.class_names, spec=made.spec
    )
    return data if test is None else _with_test(data, Path(test))


def read_source(path: str | Path, *, test: str | Path | None = None) -> SourceData:
    """Read the data of a run.

    Args:
        path: An ``.npz`` file with the arrays ``x_train``, ``y_train``, ``x_val``, ``y_val`` and perhaps ``x_test`` and
            ``y_test``, or a folder of images; see `dasha.data.images.read_images`.
        test: Test data from elsewhere: an ``.npz`` file with ``x_test`` and ``y_test``, or a folder with a folder of
            images for every class.

    Raises:
        InvalidArgumentError: If there is no such data, or something in it cannot be read.
    """
    place = Path(path)
    if place.is_dir():
        from dasha.data.images import read_images

        data = read_images(place.resolve())
    else:
        data = _read_arrays(place)
    return data if test is None else _with_test(data, Path(test))


def read_again(stored: Mapping[str, Any]) -> SourceData:
    """Read data once more, by what `SourceData.as_dict` gave.

    Raises:
        InvalidArgumentError: If it is not there any more, or would be split in another way now.
    """
    if stored.get("is_registered"):
        return read_task(stored["path"], test=stored["test_path"])
    data = read_source(stored["path"], test=stored["test_path"])
    if data.rule != stored["rule"]:
        raise InvalidArgumentError(
            f"{data.path} was split by another rule when the run began ({stored['rule']}) than now ({data.rule}); "
            "bring the files back as they were, or start another run"
        )
    return data


def _read_arrays(path: Path) -> SourceData:
    arrays = read_npz(path, _ARRAYS, _TEST)
    test = (arrays["x_test"], arrays["y_test"]) if "x_test" in arrays else None
    return SourceData(
        (arrays["x_train"], arrays["y_train"]),
        (arrays["x_val"], arrays["y_val"]),
        test,
        str(path.resolve()),
        "as the names of the arrays say",
    )


def _with_test(data: SourceData, path: Path) -> SourceData:
    if path.is_dir():
        from dasha.data.images import read_classes

        test = read_classes(path.resolve(), data.class_names)
    else:
        arrays = read_npz(path, _TEST)
        test = arrays["x_test"], arrays["y_test"]
    return replace(data, test=test, test_path=str(path.resolve()))


def _looks_like_a_path(name: str) -> bool:
    return bool(Path(name).suffix) or any(mark in name for mark in ("/", "\\"))


def read_npz(path: Path, needed: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, np.ndarray]:
    """Read arrays by name; nothing in the file is executed.

    Args:
        path: The file.
        needed: Names that must be there.
        optional: Names that must be there together, or not at all.

    Raises:
        InvalidArgumentError: If the file is none, lacks an array, or holds Python objects.
    """
    if not path.exists():
        raise InvalidArgumentError(f"{path} does not exist; give an .npz file or a folder of images")
    if not zipfile.is_zipfile(path):
        raise InvalidArgumentError(
            f"{path} is no .npz file; save arrays with numpy.savez(path, {', '.join(f'{name}=…' for name in needed)}), "
            "or give a folder of images"
        )
    load: Callable[..., Any] = np.load
    try:
        with load(path, allow_pickle=False) as file:
            names = set(file.files)
            given = [name for name in optional if name in names]
            missing = [name for name in (*needed, *(optional if given else ())) if name not in names]
            if missing:
                raise InvalidArgumentError(
                    f"{path} has no {', '.join(missing)} but {', '.join(sorted(names)) or 'nothing'}; save it with "
                    f"numpy.savez(path, {', '.join(f'{name}=…' for name in (*needed, *given))})"
                )
            arrays = {name: file[name] for name in (*needed, *given)}
    except InvalidArgumentError:
        raise
    except (OSError, ValueError, EOFError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        raise InvalidArgumentError(
            f"{path} cannot be read as .npz of numeric arrays ({error}); save it with numpy.savez, without objects"
        ) from error
    return arrays
