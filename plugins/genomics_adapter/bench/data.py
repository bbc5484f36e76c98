"""The tasks: where their data is, what their metric is, and whether they have a strand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from dasha.bench.files import find_folder, folders_of
from dasha.bench.search import BenchData
from dasha.errors import InvalidArgumentError, InvalidTableError
from dasha.published import PublishedScore, published_scores
from dasha.tasks import TaskSpec
from genomics_adapter.augment import Augmentation
from genomics_adapter.dataset import SequenceDataset
from genomics_adapter.leaks import leak_report
from genomics_adapter.reverse_complement import StrandAverage
from genomics_adapter.sequences.data import SequenceSplits
from genomics_adapter.sequences.files import is_fasta
from genomics_adapter.sequences.folders import read_splits
from genomics_adapter.sequences.hub import read_hugging_face
from genomics_adapter.splits import random_split

GUE, NT = "gue", "nucleotide-transformer-18"
"""Names of the benchmarks, as published figures have them."""
_UCI = {"splice_uci": "accuracy", "promoters_uci": "mcc"}
_PREFIXES = {"gue_": GUE, "nt_": NT}
# Folders of GUE as it is published, GUE/mouse/0, and what comes before their names in those of tasks, gue_mouse_0.
_GROUPS = {"EMP": "", "mouse": "mouse_", "prom": "", "splice": "splice_", "tf": "tf_", "virus": "virus_"}
# In headers of FASTA files: label=1 or class=1, or the last word after |, as in those of the Nucleotide Transformer.
_LABEL = r"(?:(?:^|[\s|;,])(?:label|class)[=:]|\|(?=\w+$))([^\s|;,]+)"
_UNPUBLISHED = {(GUE, "virus_covid"): "f1"}  # arXiv 2306.15006: macro F1 of the variants, MCC of all others
_VALIDATION = 0.1  # of the training data, where none is published
_MEAN = "mean of "


@dataclass(frozen=True)
class TaskInfo:
    """What is known of a task before its data is read.

    Attributes:
        name: Of its folder.
        benchmark: It belongs to; empty if its scores are comparable with none that are published.
        task: Its name there.
        metric: Of the benchmark.
        has_strand: Whether the other strand means something else.
    """

    name: str
    benchmark: str
    task: str
    metric: str
    has_strand: bool

    @property
    def published(self) -> list[PublishedScore]:
        """Figures of the same task and metric, best first."""
        found = published_scores("genomics", benchmark=self.benchmark, task=self.task) if self.benchmark else []
        return [one for one in found if one.metric == self.metric]


def nt_names() -> list[str]:
    """Names of the 18 tasks of the Nucleotide Transformer."""
    found = published_scores("genomics", benchmark=NT)
    return sorted({f"nt_{one.task}" for one in found if not one.task.startswith(_MEAN)})


def means_of(benchmark: str) -> list[PublishedScore]:
    """Published means over all tasks of a benchmark."""
    return [one for one in published_scores("genomics", benchmark=benchmark) if one.task.startswith(_MEAN)]


def info_of(name: str) -> TaskInfo:
    """What is known of a task.

    Args:
        name: ``gue_…``, ``nt_…``, ``splice_uci`` or ``promoters_uci``. What follows ``__`` tells apart data of another
            make, which is compared with nothing published.

    Raises:
        InvalidArgumentError: If it is another name.
    """
    has_strand = "splice" in name
    if name in _UCI:
        return TaskInfo(name, "", name, _UCI[name], has_strand)
    for prefix, benchmark in _PREFIXES.items():
        task = name.removeprefix(prefix)
        if name.startswith(prefix) and (benchmark == GUE or name.partition("__")[0] in nt_names()):
            own, mark, _ = task.partition("__")
            metrics = {one.metric for one in published_scores("genomics", benchmark=benchmark, task=own)}
            metric = metrics.pop() if metrics else _UNPUBLISHED.get((benchmark, own), "mcc")
            return TaskInfo(name, "" if mark else benchmark, own, metric, has_strand)
    raise InvalidArgumentError(
        f"there is no task {name!r}; tasks are gue_… , {', '.join(nt_names())}, {', '.join(_UCI)}"
    )


def names_there(data_dir: Path | None, *, hub: str | None = None) -> list[str]:
    """Names of all tasks whose folders are there, and of those on the hub.

    Raises:
        InvalidTableError: If there is no such folder, or it has none of the tasks.
    """
    found: list[str] = []
    if data_dir is not None or not hub:
        for prefix in _PREFIXES:
            unpacked = (name for name in _as_published(data_dir) if name.startswith(prefix))
            found += sorted({*folders_of(data_dir, f"{prefix}*"), *unpacked})
    found += [name for name in _UCI if data_dir is not None and folders_of(data_dir, name)]
    found += [name for name in nt_names() if hub and name not in found]
    if not found:
        raise InvalidTableError(
            f"--data-dir {str(data_dir)!r} has no folder gue_…, GUE/…, nt_…, NT/…, {' or '.join(_UCI)}; give the "
            "folder that holds them"
        )
    return found


def load(name: str, *, data_dir: Path | None, hub: str | None = None) -> BenchData:
    """Read a task.

    Args:
        name: See `info_of`.
        data_dir: Folder with the task's folder, perhaps further down; those of GUE as it is published, such as
            ``GUE/mouse/0`` for ``gue_mouse_0``, do as well, and ``NT/H3`` for ``nt_H3``.
        hub: Name on Hugging Face of the tasks ``nt_…`` that are not in ``data_dir``; needs ``datasets``.

    Raises:
        InvalidArgumentError: If there is no such task, or its data is not allowed.
        InvalidTableError: If its folder is not there.
    """
    info = info_of(name)
    splits, rule = _splits(info, data_dir, hub)
    parts = splits.train, splits.validation, splits.test
    assert parts[1] is not None
    assert parts[2] is not None
    labels = splits.train.labels
    if labels is None or labels.ndim > 1 or labels.dtype.kind not in "iu":
        raise InvalidArgumentError(
            f"{splits.train.source} must have one class for every sequence, a whole number or a word: a table in its "
            "column label, a FASTA file in its headers, >name|1 or >name label=1; write others with what "
            "genomics_adapter.read_fasta reads by label_pattern="
        )
    classes = int(labels.max()) + 1
    kind, outputs = ("binary", 1) if classes == 2 else ("multiclass", classes)
    task = TaskSpec(kind, 4, outputs, metric=info.metric, class_names=splits.train.class_names)  # type: ignore[arg-type]
    train, validation, test = (SequenceDataset(part, task) for part in parts if part is not None)
    report = leak_report(train=splits.train, validation=splits.validation, test=splits.test)
    leaks = {
        f"{pair.first} and {pair.second}": {"exact": pair.exact, "reverse_complement": pair.reverse_complement}
        for pair in report.pairs
    }
    return BenchData(
        name,
        task,
        train,
        validation,
        test,
        augment=None if info.has_strand else Augmentation(),
        normalize=False,
        predictor=None if info.has_strand else StrandAverage,
        facts={"length": splits.train.length, "split": rule, "leaks": leaks},
    )


def _as_published(data_dir: Path | None) -> dict[str, Path]:
    """Folders as they are published, by the names of their tasks; the first by path if there are several."""
    if data_dir is None:
        return {}
    root = data_dir.resolve()
    gue = [(path, f"gue_{_GROUPS[path.parent.name]}") for path in _inside(root, "GUE", [f"{one}/*" for one in _GROUPS])]
    nt = [(path, "nt_") for path in _inside(root, "NT", ["*"]) if f"nt_{path.name}" in nt_names()]
    return {f"{begin}{path.name}": path for path, begin in sorted([*gue, *nt], reverse=True)}


def _inside(root: Path, archive: str, patterns: Iterable[str]) -> list[Path]:
    """Folders of an archive that was unpacked somewhere below a folder, or is that folder."""
    homes = [root] if root.name == archive else [path for path in root.rglob(archive) if path.is_dir()]
    return [path for home in homes for pattern in patterns for path in home.glob(pattern) if path.is_dir()]


def _folder_of(name: str, data_dir: Path | None) -> Path:
    if name not in folders_of(data_dir, name) and name in (published := _as_published(data_dir)):
        return published[name]
    return find_folder(name, data_dir)


def _splits(info: TaskInfo, data_dir: Path | None, hub: str | None) -> tuple[SequenceSplits, str]:
    is_here = data_dir is not None and info.name in {*folders_of(data_dir, info.name), *_as_published(data_dir)}
    if hub and not is_here and info.name.startswith("nt_"):
        read = partial(read_hugging_face, hub, config=info.task)
        splits = SequenceSplits(read(split="train"), None, read(split="test"))
    else:
        folder = _folder_of(info.name, data_dir)
        options: dict[str, Any] = {"label_pattern": _LABEL} if any(map(is_fasta, folder.glob("train.*"))) else {}
        splits = read_splits(folder, **options)
    if splits.test is None:
        raise InvalidArgumentError(f"{info.name} has no test data; put test.csv, or test.fna, beside the training data")
    if splits.validation is not None:
        return splits, "as in its folder"
    drawn = random_split(splits.train, fractions=(1 - _VALIDATION, _VALIDATION, 0.0), seed=0)
    rule = "test as given; a tenth of every class of the training data is for validation"
    return SequenceSplits(drawn.train, drawn.validation, splits.test), rule


def benchmarks_of(names: Sequence[str]) -> list[str]:
    """Benchmarks that tasks belong to, each once."""
    return list(dict.fromkeys(found for name in names if (found := info_of(name).benchmark)))
