"""One part of the data: arrays, a dataset or a loader, as batches ``(inputs, targets)``."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, SequentialSampler, Subset

from dasha.data.tensors import as_float, as_tensor
from dasha.errors import DashaWarning, InvalidArgumentError

Batch = tuple[Tensor, Tensor]

_ONE_SHAPE = "resize, pad or crop them to one shape"
# What torch says of samples that do not fit into one batch.
_UNEQUAL = "stack expects each tensor to be equal size"
_UNEQUAL_IN_WORKER = "Trying to resize storage that is not resizable"

_INPUTS = ("image", "input", "x")
_TARGETS = ("label", "mask", "target", "y")


@runtime_checkable
class Split(Protocol):
    """Batches of one part of the data; all randomness comes from torch's, NumPy's and Python's global generators."""

    @property
    def size(self) -> int | None:
        """Number of samples; None if only a pass over the data tells."""

    @property
    def is_partial(self) -> bool:
        """Whether one pass may leave out samples, so that a class it lacks need not be absent."""

    def batches(self, size: int, *, shuffle: bool) -> Iterator[Batch]:
        """One pass over all samples.

        Args:
            size: Samples per batch; a loader that came with a size of its own keeps that.
            shuffle: Whether the order is random.
        """

    def joined(self, other: Split) -> Split:
        """The samples of both."""


class ArraySplit:
    """Arrays in memory.

    Attributes:
        inputs: Shape ``(N, C, …)``; converted to float32 batch by batch, so that bytes stay bytes.
        targets: Shape ``(N, …)``.
    """

    is_partial = False
    form: Mapping[str, Any] = {"kind": "arrays"}

    def __init__(self, inputs: Tensor, targets: Tensor) -> None:
        self.inputs, self.targets = inputs, targets

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as NumPy arrays, which the workers of Ray on one machine share without a copy."""
        return _unpickled, (_as_array(self.inputs), _as_array(self.targets))

    @property
    def size(self) -> int:
        """Number of samples."""
        return len(self.inputs)

    def batches(self, size: int, *, shuffle: bool) -> Iterator[Batch]:
        """One pass over all samples; see `Split`."""
        order = torch.randperm(self.size) if shuffle else torch.arange(self.size)
        for start in range(0, self.size, size):
            chosen = order[start : start + size]
            yield as_float(self.inputs[chosen]), self.targets[chosen]

    def joined(self, other: Split) -> Split:
        """The samples of both."""
        if not isinstance(other, ArraySplit) or _kind(self) != _kind(other):
            return Joined([self, other])
        return ArraySplit(torch.cat([self.inputs, other.inputs]), torch.cat([self.targets, other.targets]))


class DatasetSplit:
    """A map-style dataset of pairs or mappings; those of dense tasks prefer ``mask`` to ``label``."""

    is_partial = False
    form: Mapping[str, Any] = {"kind": "dataset"}

    def __init__(self, dataset: Dataset[Any], *, is_dense: bool = False) -> None:
        self.dataset, self._is_dense = dataset, is_dense

    @property
    def size(self) -> int:
        """Number of samples."""
        assert isinstance(self.dataset, Sized)
        return len(self.dataset)

    def batches(self, size: int, *, shuffle: bool) -> Iterator[Batch]:
        """One pass over all samples; see `Split`."""
        order = torch.randperm(self.size).tolist() if shuffle else list(range(self.size))
        collate = partial(_collate, is_dense=self._is_dense)
        loader = DataLoader(Subset(self.dataset, order), batch_size=size, collate_fn=collate)
        yield from loader

    def joined(self, other: Split) -> Split:
        """The samples of both."""
        return Joined([self, other])


class LoaderSplit:
    """A loader, taken as it is: its batch size, its order, its workers; mappings as in `DatasetSplit`.

    Args:
        loader: Of pairs or mappings.
        is_dense: Whether ``mask`` is preferred to ``label``.
        prepare: What a batch of the loader goes through before inputs and targets are taken from it, such as a host's
            augmentation on the device; it draws from the global generators.
        max_batches: Batches of one pass at most; None for all.
        is_partial: Whether one pass may leave out samples, as random crops do; it does under ``max_batches``.
    """

    def __init__(
        self,
        loader: DataLoader[Any],
        *,
        is_dense: bool = False,
        prepare: Callable[[Any], Any] | None = None,
        max_batches: int | None = None,
        is_partial: bool = False,
    ) -> None:
        self.loader, self._is_dense = loader, is_dense
        self.prepare, self.max_batches = prepare, max_batches
        self.is_partial = is_partial or max_batches is not None

    @property
    def size(self) -> int | None:
        """Number of samples of one pass; None where batches are prepared, which may make several of one."""
        if self.max_batches is not None or self.prepare is not None:
            return None
        data = self.loader.dataset
        source = data if isinstance(data, IterableDataset) else _sampler_of(self.loader)
        return len(source) if isinstance(source, Sized) else None

    @property
    def keeps_order(self) -> bool:
        """Whether every pass has the same order, as it has where the loader does not shuffle, or may over a stream."""
        return isinstance(self.loader.dataset, IterableDataset) or isinstance(
            _sampler_of(self.loader), SequentialSampler
        )

    @property
    def form(self) -> dict[str, Any]:
        """How batches come; see `form_of`."""
        return {
            "kind": "stream" if isinstance(self.loader.dataset, IterableDataset) else "loader",
            "batch_size": _batch_size_of(self.loader),
            "is_shuffled": not self.keeps_order,
            "drop_last": _drops_last(self.loader),
        }

    def batches(self, size: int, *, shuffle: bool) -> Iterator[Batch]:
        """One pass over all samples; see `Split`."""
        with _reseeded(self.loader), _naming_unequal_shapes():
            for batch in islice(self.loader, self.max_batches):
                prepared = batch if self.prepare is None else self.prepare(batch)
                inputs, targets = pair_of(prepared, is_dense=self._is_dense)
                yield as_float(inputs), targets

    def joined(self, other: Split) -> Split:
        """The samples of both."""
        return Joined([self, other])


class Joined:
    """Several splits, one after the other, or their batches in random order."""

    def __init__(self, parts: Sequence[Split]) -> None:
        self.parts = list(parts)

    @property
    def size(self) -> int | None:
        """Number of samples."""
        sizes = [part.size for part in self.parts]
        return None if None in sizes else sum(size for size in sizes if size is not None)

    @property
    def is_partial(self) -> bool:
        """Whether one pass of any part may leave out samples."""
        return any(part.is_partial for part in self.parts)

    @property
    def keeps_order(self) -> bool:
        """Whether any part has the same order in every pass."""
        return any(map(keeps_order, self.parts))

    def batches(self, size: int, *, shuffle: bool) -> Iterator[Batch]:
        """One pass over all samples; see `Split`."""
        waiting = [part.batches(size, shuffle=shuffle) for part in self.parts]
        # Drawn in proportion to what is left, so that no part is used up long before the others.
        left = [float(part.size or 1) for part in self.parts]
        while waiting:
            place = int(torch.multinomial(torch.tensor(left), 1)) if shuffle else 0
            batch = next(waiting[place], None)
            if batch is None:
                del waiting[place], left[place]
            else:
                left[place] = max(left[place] - len(batch[0]), 1.0)
                yield batch

    def joined(self, other: Split) -> Split:
        """The samples of all."""
        return Joined([*self.parts, other])


class Counted:
    """A split whose samples a pass has counted, because nothing else tells how many there are."""

    def __init__(self, split: Split, size: int) -> None:
        self._split, self._size = split, size

    @property
    def size(self) -> int:
        """Number of samples of the pass that counted."""
        return self._size

    @property
    def is_partial(self) -> bool:
        """Whether one pass may leave out samples."""
        return self._split.is_partial

    @property
    def keeps_order(self) -> bool:
        """Whether every pass has the same order."""
        return keeps_order(self._split)

    def batches(self, size: int, *, shuffle: bool) -> Iterator[Batch]:
        """One pass over all samples; see `Split`."""
        return self._split.batches(size, shuffle=shuffle)

    def joined(self, other: Split) -> Split:
        """The samples of both."""
        return Joined([self, other])


def as_split(data: Any, name: str, *, is_dense: bool = False) -> Split:
    """Take data as users have it.

    Args:
        data: A pair of arrays or lists ``(inputs (N, C, …), targets (N, …))``, a map-style dataset or a loader of
            pairs, or of mappings with ``image`` and ``label`` or ``mask``; or a `Split`, which makes its own batches.
        name: Of the argument, for messages; ``"train"`` for data that is trained on.
        is_dense: Whether the task has an output for every position: then ``mask`` is the target of mappings that have
            a ``label``, too.

    Raises:
        InvalidArgumentError: If it is none of these.

    Warns:
        DashaWarning: If a loader leaves samples out of data that scores are measured on, or does not shuffle data that
            is trained on.
    """
    if isinstance(data, DataLoader):
        if name == "train":
            _warn_of_order(data)
        else:
            _warn_of_dropped(data, name)
        return LoaderSplit(data, is_dense=is_dense)
    if isinstance(data, Split):
        return data
    if _is_pair(data):
        inputs, targets = (_array_of(part, f"{name}[{place}]") for place, part in enumerate(data))
        return _array_split(inputs, targets, name)
    is_dataset = hasattr(data, "__getitem__") and hasattr(data, "__len__")
    if is_dataset and not isinstance(data, (tuple, Mapping, str, np.ndarray, Tensor, IterableDataset)):
        return DatasetSplit(data, is_dense=is_dense)
    raise InvalidArgumentError(
        f"{name} is {type(data).__name__}, but must be a pair of arrays (inputs, targets), a dataset with a length, or "
        "a DataLoader"
    )


def keeps_order(split: Split) -> bool:
    """Whether shuffled passes have the same order, too; not so of splits that do not say."""
    return bool(getattr(split, "keeps_order", False))


def form_of(split: Split) -> Mapping[str, Any]:
    """How batches come, on which trained weights depend: of what ``kind`` of data, and what a loader decides.

    Args:
        split: With an attribute ``form``; other splits are of the kind ``"own"``.
    """
    form: Mapping[str, Any] = getattr(split, "form", {"kind": "own"})
    return form


def pair_of(batch: Any, *, is_dense: bool = False) -> Batch:
    """Inputs and targets of a sample or batch; of ``label`` and ``mask``, the one that fits the task.

    Raises:
        InvalidArgumentError: If it is neither a pair nor a mapping with known names, or holds what is not numeric.
    """
    if isinstance(batch, Mapping):
        inputs = next((batch[key] for key in _INPUTS if key in batch), None)
        known = ("mask", *_TARGETS) if is_dense else _TARGETS
        targets = next((batch[key] for key in known if key in batch), None)
        if inputs is None or targets is None:
            raise InvalidArgumentError(
                f"samples are mappings with {', '.join(map(repr, batch))}, but must have one of "
                f"{', '.join(map(repr, _INPUTS))} and one of {', '.join(map(repr, _TARGETS))}"
            )
    elif isinstance(batch, (tuple, list)) and len(batch) >= 2:
        inputs, targets = batch[:2]
    else:
        raise InvalidArgumentError(
            f"samples are {type(batch).__name__}, but must be pairs (input, target) or mappings with 'image' and "
            "'label'"
        )
    return as_tensor(inputs, "an input"), as_tensor(targets, "a target")


def _is_pair(data: Any) -> bool:
    """Whether it is inputs and targets; a list without arrays is taken for a dataset of two samples."""
    if isinstance(data, tuple):
        return len(data) == 2
    return isinstance(data, list) and len(data) == 2 and all(hasattr(part, "shape") for part in data)


def _array_of(part: Any, what: str) -> Tensor:
    if not hasattr(part, "shape") and not isinstance(part, (list, tuple)):
        raise InvalidArgumentError(f"{what} is {type(part).__name__}, but must be an array, or a list of numbers")
    return as_tensor(part, what)


def _array_split(inputs: Tensor, targets: Tensor, name: str) -> ArraySplit:
    if inputs.ndim < 3 or targets.ndim < 1 or len(inputs) != len(targets):
        raise InvalidArgumentError(
            f"{name} has inputs of shape {tuple(inputs.shape)} and targets of shape {tuple(targets.shape)}, but must "
            "have inputs (N, C, L) or (N, C, H, W) and as many targets"
        )
    return ArraySplit(inputs, targets)


def _unpickled(inputs: Any, targets: Any) -> ArraySplit:
    return ArraySplit(as_tensor(inputs, "an input"), as_tensor(targets, "a target"))


def _as_array(tensor: Tensor) -> Any:
    """The memory of a tensor as an array; the tensor itself where NumPy has no such numbers, or does not reach them."""
    try:
        return tensor.numpy()
    except (TypeError, RuntimeError):
        return tensor


def _kind(split: ArraySplit) -> list[tuple[object, ...]]:
    """What two arrays must share to become one."""
    return [(part.shape[1:], part.dtype, part.device) for part in (split.inputs, split.targets)]


@contextmanager
def _reseeded(loader: DataLoader[Any]) -> Iterator[None]:
    """Let torch's global generator rule those that a loader came with; afterwards their states are as before.

    Workers that a loader has kept would go on with random numbers of an earlier pass: they are replaced by new ones.
    """
    if getattr(loader, "_iterator", None) is not None:
        loader._iterator = None
    own = [loader.generator, getattr(loader.sampler, "generator", None)]
    states = [(generator, generator.get_state()) for generator in own if generator is not None]
    for generator, _ in states:
        generator.manual_seed(int(torch.randint(2**31, ())))
    try:
        yield
    finally:
        for generator, state in states:
            generator.set_state(state)


@contextmanager
def _naming_unequal_shapes() -> Iterator[None]:
    """Say in words of our own that samples of a loader do not fit into one batch; its workers' errors are long."""
    try:
        yield
    except RuntimeError as error:
        if not any(said in str(error) for said in (_UNEQUAL, _UNEQUAL_IN_WORKER)):
            raise
        sizes = str(error).partition(_UNEQUAL)[2].partition("\n")[0]
        raise InvalidArgumentError(
            f"samples of a batch have unequal shapes{sizes}; {_ONE_SHAPE}, or give the loader a collate_fn"
        ) from error


def _sampler_of(loader: DataLoader[Any]) -> Any:
    """What draws single samples, or None: beside a batch sampler that draws by itself, torch puts one without use."""
    batches = getattr(loader, "batch_sampler", None)
    return loader.sampler if batches is None else getattr(batches, "sampler", None)


def _batch_size_of(loader: DataLoader[Any]) -> int | None:
    size: int | None = loader.batch_size or getattr(getattr(loader, "batch_sampler", None), "batch_size", None)
    return size


def _drops_last(loader: DataLoader[Any]) -> bool:
    return bool(loader.drop_last or getattr(getattr(loader, "batch_sampler", None), "drop_last", False))


def _warn_of_order(loader: DataLoader[Any]) -> None:
    """Warn of training data that is not shuffled, by which networks learn worse; once, however often it is taken."""
    is_stream = isinstance(loader.dataset, IterableDataset)
    if not is_stream and isinstance(_sampler_of(loader), SequentialSampler) and len(loader) > 1:
        warnings.warn(
            "train is a DataLoader that does not shuffle, which shows the same batches in the same order in every "
            "epoch; make it with shuffle=True",
            DashaWarning,
            stacklevel=1,
        )


def _warn_of_dropped(loader: DataLoader[Any], name: str) -> None:
    """Warn of ``drop_last``, by which scores would miss the end of the data, or a random part of it; likewise once."""
    if not _drops_last(loader):
        return
    split, size = LoaderSplit(loader), _batch_size_of(loader)
    dropped = split.size % size if split.size is not None and size else None
    if dropped != 0:
        what = "samples" if dropped is None else f"{dropped} of {split.size} samples"
        warnings.warn(
            f"{name} is a DataLoader with drop_last=True, which leaves {what} out of every score; make it with "
            "drop_last=False",
            DashaWarning,
            stacklevel=1,
        )


def _collate(samples: list[Any], *, is_dense: bool) -> Batch:
    pairs = [pair_of(sample, is_dense=is_dense) for sample in samples]
    for place, what in enumerate(("inputs", "targets")):
        shapes = [tuple(pair[place].shape) for pair in pairs]
        other = next((number for number, shape in enumerate(shapes) if shape != shapes[0]), None)
        if other is not None:
            raise InvalidArgumentError(
                f"{what} have unequal shapes, {shapes[0]} of the first sample and {shapes[other]} of sample {other} "
                f"after it; {_ONE_SHAPE}"
            )
    return as_float(torch.stack([pair[0] for pair in pairs])), torch.stack([pair[1] for pair in pairs])
