"""Data sets of Hugging Face and of genomic-benchmarks, where these packages are installed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dasha._optional import Requirement
from dasha.errors import InvalidArgumentError
from genomics_adapter.encoding import Crop
from genomics_adapter.sequences.data import SequenceData, Source
from genomics_adapter.sequences.folders import read_class_folder
from genomics_adapter.sequences.table import data_of_table

_DATASETS = Requirement("datasets", install="datasets>=4")  # 4: data sets can no longer bring code that is run
_BENCHMARKS = "genomic-benchmarks>=1.0"  # 1.0: data of the current release


def read_hugging_face(
    name: str | Path,
    *,
    split: str = "train",
    config: str | None = None,
    sequence: str = "sequence",
    label: str | Sequence[str] | None = "label",
    chromosome: str | None = None,
    class_names: Sequence[str] = (),
    length: int | None = None,
    crop: Crop = "center",
) -> SequenceData:
    """Read a data set of Hugging Face ``datasets``.

    Args:
        name: Name on the hub, or a local folder that ``save_to_disk`` wrote or that holds data files.
        split: Which part of it.
        config: Which configuration of it, if it has several.
        sequence: Column of the sequences.
        label: Column of the labels, or several; None if there are none. Names of a ``ClassLabel`` are kept.
        chromosome: Column of chromosomes.
        class_names: Names of the classes, where labels are words or a ``ClassLabel``; by default those of the
            ``ClassLabel``, or else the words that occur.
        length: Bases of every sequence; by default those of the longest.
        crop: Which part of a sequence of another length keeps its place; see `genomics_adapter.encode`.

    Raises:
        InvalidArgumentError: If the data cannot be had, there is no such split or column, or something in it is not
            allowed.
        OptionalDependencyError: If ``datasets`` is not installed.
    """
    datasets: Any = _DATASETS.load()
    place = Path(name)
    try:
        if (place / "dataset_dict.json").is_file() or (place / "state.json").is_file():
            data = datasets.load_from_disk(str(place))
        else:
            data = datasets.load_dataset(str(name), config, split=split)
    except Exception as error:  # of the network, the hub, the cache or the files, in classes of several packages
        part = f"split {split!r}" + ("" if config is None else f" of configuration {config!r}")
        raise InvalidArgumentError(
            f"datasets cannot read {str(name)!r}, {part} ({type(error).__name__}: {error}); check name and network, or "
            "give a folder that holds the files"
        ) from error
    if hasattr(data, "keys"):
        if split not in data:
            raise InvalidArgumentError(f"split is {split!r}, but {name} has {', '.join(data.keys())}")
        data = data[split]
    labels = [] if label is None else [label] if isinstance(label, str) else list(label)
    for column in (sequence, *labels, *([chromosome] if chromosome else [])):
        if column not in data.column_names:
            raise InvalidArgumentError(
                f"{name} has no column {column!r}; its columns are {', '.join(data.column_names)}"
            )
    table = data.with_format("arrow")[:]
    source = Source(f"{name} ({split})", np.arange(len(table)), "row")
    read = data_of_table(
        table,
        source,
        sequence=sequence,
        labels=labels,
        chromosome=chromosome,
        class_names=class_names,
        length=length,
        crop=crop,
    )
    names = getattr(data.features[labels[0]], "names", None) if len(labels) == 1 else None
    if names and not read.class_names:
        read = replace(read, class_names=tuple(names))
    return read.with_class_names(class_names) if class_names else read


def read_genomic_benchmark(
    name: str,
    *,
    split: str = "train",
    version: int = 0,
    folder: str | Path | None = None,
    length: int | None = None,
    crop: Crop = "center",
) -> SequenceData:
    """Read a data set of the package genomic-benchmarks; it is downloaded if it is not there yet.

    Args:
        name: Of the data set, such as ``"human_nontata_promoters"``.
        split: ``"train"`` or ``"test"``.
        version: Of the data set.
        folder: Where data sets are kept; by default where the package keeps them. Not asked for if the data is there.
        length: Bases of every sequence; by default those of the longest.
        crop: Which part of a sequence of another length keeps its place; see `genomics_adapter.encode`.

    Raises:
        InvalidArgumentError: If there is no such data set or split.
        OptionalDependencyError: If the package is needed and not installed.
    """
    if split not in ("train", "test"):
        raise InvalidArgumentError(f"split is {split!r}, but must be 'train' or 'test'")
    if folder is None:
        paths: Any = Requirement("genomic_benchmarks.utils.paths", install=_BENCHMARKS).load()
        folder = paths.CACHE_PATH
    place = Path(folder) / name
    if not (place / split).is_dir():
        loader: Any = Requirement("genomic_benchmarks.loc2seq", install=_BENCHMARKS).load()
        try:
            loader.download_dataset(name, version=version, dest_path=Path(folder))
        except (OSError, ValueError, AssertionError) as error:
            raise InvalidArgumentError(f"data set {name!r} cannot be had from genomic-benchmarks: {error}") from error
    return read_class_folder(place / split, length=length, crop=crop)
