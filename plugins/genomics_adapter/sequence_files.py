"""Sequences of files as Lightning's command line takes them."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from torch.utils.data import DataLoader

from dasha.errors import InvalidArgumentError
from dasha.tasks import Kind, TaskSpec
from genomics_adapter._lightning import LightningDataModule
from genomics_adapter.datamodules import SequenceDataModule
from genomics_adapter.dataset import Inputs, SequenceDataset
from genomics_adapter.encoding import Ambiguous, Crop
from genomics_adapter.row_hashes import row_hashes
from genomics_adapter.sequences import SequenceData, SequenceSplits, read_file, read_splits
from genomics_adapter.sequences.data import concatenated
from genomics_adapter.splits import chromosome_split, random_split, similarity_split

Rule = Literal["auto", "files", "random", "chromosome", "similarity"]
_OF_FILES = ("sequence", "chromosome", "genome", "table", "label_pattern")
_CHROMOSOMES = ("validation_chromosomes", "test_chromosomes")
_SHOWN = {"crop": "center", "ambiguous": "zeros"}
_log = logging.getLogger(__name__)


class SequenceFiles(LightningDataModule):
    """A `SequenceDataModule` of files, made when they are needed.

    Args:
        path: Folder with the files of the parts, as `genomics_adapter.sequences.read_splits` takes it, or one file with
            everything: a table, a FASTA file or a BED file. ``predict`` takes all of a file, which needs no labels, or
            the test part of a folder; ``test`` likewise, with labels, where it is not the data of the training.
        kind: As of the task.
        num_outputs: As of the task.
        loss: As of the task.
        split: ``"files"`` for the parts as the files have them; ``"random"``, ``"chromosome"`` or ``"similarity"`` to
            put everything together and split it anew; ``"auto"`` for the parts of a folder, and at random for a file.
        validation_chromosomes: For ``split="chromosome"``, names or numbers.
        test_chromosomes: Likewise; none for no test data.
        label: Where labels are, see `genomics_adapter.sequences.read_file`: a column, or several; by default the column
            ``label`` of a table, ``score`` of a BED file, and ``label=…`` in headers of a FASTA file.
        sequence: Column of the sequences of a table; by default ``sequence``.
        chromosome: Column of the chromosomes of a table.
        genome: FASTA file of the genome of a BED file.
        table: Table with the labels of a FASTA file, by its column ``name``.
        label_pattern: Regular expression that finds labels in headers of a FASTA file.
        class_names: Names of the classes, where labels are words.
        length: Bases of every sequence; by default those of the training, and in training those of the longest.
        crop: What keeps its place where sequences are cropped or padded, ``"center"``, ``"start"`` or ``"end"``; by
            default as in the training, and in training the centre.
        ambiguous: How bases that are not certain are shown, ``"zeros"`` or ``"fractions"``; by default as in the
            training, and in training zeros.
        batch_size: Sequences per batch.
        shift: Training sequences move by up to so many bases.
        reverse_complement: Whether the strand of training sequences is random; by default as the task says.
        num_workers: Processes that make batches.
        seed: Of random splits.
        fail_on_leak: Whether a sequence in two parts is an error, before anything is searched or trained. On the
            command line --fail-on-leak says so, too.
    """

    def __init__(
        self,
        path: str,
        kind: Kind = "binary",
        num_outputs: int = 1,
        *,
        loss: str = "",
        split: Rule = "auto",
        validation_chromosomes: Sequence[str | int] = (),
        test_chromosomes: Sequence[str | int] = (),
        label: int | list[int | str] | str | None = None,
        sequence: str | None = None,
        chromosome: str | None = None,
        genome: str | None = None,
        table: str | None = None,
        label_pattern: str | None = None,
        class_names: Sequence[str] = (),
        length: int | None = None,
        crop: Crop | None = None,
        ambiguous: Ambiguous | None = None,
        batch_size: int = 128,
        shift: int = 0,
        reverse_complement: bool | None = None,
        num_workers: int = 0,
        seed: int = 0,
        fail_on_leak: bool = False,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.inner: Any = None
        self.tested: SequenceData | None = None
        self.predicted: SequenceData | None = None
        self.trained: dict[str, Any] = {}
        self._own: dict[str, Any] = {}

    @property
    def is_of_training(self) -> bool:
        """Whether the parts are those that the checkpoint was trained on."""
        return bool(self._own) and self.trained.get("data") == self._own["data"]

    @property
    def shown(self) -> dict[str, Any]:
        """How sequences are cropped and uncertain bases shown: as given, or else as in the training."""
        given = {name: self.hparams[name] for name in _SHOWN if self.hparams[name] is not None}
        return {**_SHOWN, **{name: self.trained[name] for name in _SHOWN if name in self.trained}, **given}

    def setup(self, stage: str) -> None:
        """Read the files for a fit, once; anything else is read when it is known what was trained on."""
        if stage == "fit" and self.inner is None:
            self._splitting()
            self._take(self._read())

    def state_dict(self) -> dict[str, Any]:
        """How sequences are read, names of classes or labels, and what tells the parts from others, for checkpoints."""
        return self._own

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take what a checkpoint says of the data that it was trained on."""
        self.trained = state_dict

    def train_dataloader(self) -> Any:
        """Augmented batches in random order."""
        self.inner.trainer = self.trainer
        return self.inner.train_dataloader()

    def val_dataloader(self) -> Any:
        """Batches as they are."""
        if self.inner is None:
            self._take(self._read())
        return self.inner.val_dataloader()

    def test_dataloader(self) -> Any:
        """Batches as they are: of the test data, or of all of a file that is not the data of the training."""
        if self.inner is None and self.tested is None:
            self._read_tested()
        if self.tested is None:
            return self.inner.test_dataloader()
        return self._loader(SequenceDataset(self.tested, self._task(), ambiguous=self.shown["ambiguous"]))

    def predict_dataloader(self) -> Any:
        """Batches of inputs without targets."""
        if self.predicted is None:
            self.predicted = self._unlabelled(self.hparams["length"] or self.trained.get("length"))
            _log.info("predicted: %s", self.predicted.describe())
        return self._loader(Inputs(self.predicted, ambiguous=self.shown["ambiguous"]))

    def _loader(self, data: Any) -> DataLoader[Any]:
        return DataLoader(data, batch_size=self.hparams["batch_size"], num_workers=self.hparams["num_workers"])

    def _task(self) -> TaskSpec:
        return TaskSpec(self.hparams["kind"], 4, self.hparams["num_outputs"], loss=self.hparams["loss"])

    def _take(self, parts: SequenceSplits) -> None:
        """Split what was read as the options say."""
        own = ("batch_size", "shift", "reverse_complement", "num_workers", "seed", "fail_on_leak")
        options = {"ambiguous": self.shown["ambiguous"], **{name: self.hparams[name] for name in own}}
        self.inner = SequenceDataModule(self._split(parts), self._task(), **options)
        names = parts.train.class_names or parts.train.label_names
        about = {"length": parts.train.length, "class_names": list(names)}
        place = str(Path(self.hparams["path"]).absolute())
        self._own = {**about, **self.shown, "path": place, "data": self._identity(parts), "split": self._splitting()}

    def _read_tested(self) -> None:
        """Take the test part of the data of the training, all of another file, or the test part of another folder."""
        trained, path = self.trained, self.hparams["path"]
        parts = self._read(**{name: self.hparams[name] or trained.get(name) for name in ("length", "class_names")})
        if trained.get("data", "") in ("", self._identity(parts)):
            own = self._splitting()
            if trained.get("split", own) != own:
                raise InvalidArgumentError(
                    f"path={path!r} holds the data of the training, where the options were {trained['split']}, but now "
                    f"they are {own}, by which training sequences come into the test part; leave them as they were"
                )
            self._take(parts)
            return
        if trained["path"] == str(Path(path).absolute()):
            raise InvalidArgumentError(
                f"path={path!r} was trained on, but has other sequences or labels now, or is read otherwise; leave "
                "file and options as they were, or put what is new into a file of its own"
            )
        self.tested = parts.train if Path(path).is_file() else parts.test
        if self.tested is None:
            raise InvalidArgumentError(f"path={path!r} has no test file; give a file of sequences with labels")
        _log.info("tested, and not the data of the training: %s", self.tested.describe())

    def _identity(self, parts: SequenceSplits) -> str:
        """A hash of the sequences and labels that are trained on or split, not of a test file that stays one."""
        digest = hashlib.sha256()
        for part in parts[:2] if self._splitting()["split"] == "files" else parts:
            if part is not None:
                digest.update(row_hashes(part.codes).tobytes())
                digest.update(b"" if part.labels is None else part.labels.tobytes())
        return digest.hexdigest()

    def _splitting(self) -> dict[str, Any]:
        """The rule of the split, with what decides its parts, as plain values."""
        options, is_file = self.hparams, Path(self.hparams["path"]).is_file()
        rule = options["split"]
        if rule == "auto":
            rule = "random" if is_file else "files"
        if rule == "files" and is_file:
            raise InvalidArgumentError(
                f"split='files' needs a folder with the files of the parts, but path={options['path']!r} is one file; "
                "split it by 'random', 'chromosome' or 'similarity'"
            )
        if rule == "chromosome":
            return {"split": rule, **{name: list(map(str, options[name])) for name in _CHROMOSOMES}}
        return {"split": rule} if rule == "files" else {"split": rule, "seed": options["seed"]}

    def _read(self, **more: Any) -> SequenceSplits:
        """What the files hold; of one file, everything as training data."""
        place, given = Path(self.hparams["path"]), {**self.hparams, **more}
        read = {**self._reading(), "label": "" if given["label"] is None else given["label"], "length": given["length"]}
        read["class_names"] = tuple(given["class_names"] or ())
        return SequenceSplits(read_file(place, **read)) if place.is_file() else read_splits(place, **read)

    def _split(self, parts: SequenceSplits) -> SequenceSplits:
        own = self._splitting()
        rule = own["split"]
        if rule == "files":
            return parts
        data = concatenated([part for part in parts if part is not None])
        if rule == "chromosome":
            validation, test = (own[name] for name in _CHROMOSOMES)
            return chromosome_split(data, validation=validation, test=test)
        return (random_split if rule == "random" else similarity_split)(data, seed=self.hparams["seed"])

    def _unlabelled(self, length: int | None) -> SequenceData:
        place = Path(self.hparams["path"])
        read = {**self._reading(), "length": length}
        if place.is_file():
            return read_file(place, label=None, **read)
        test = read_splits(place, label=None, **read).test
        if test is None:
            raise InvalidArgumentError(f"path={str(place)!r} has no test file to predict; give a file of sequences")
        return test

    def _reading(self) -> dict[str, Any]:
        """Options of the readers."""
        return {"crop": self.shown["crop"], **{name: self.hparams[name] for name in _OF_FILES}}
