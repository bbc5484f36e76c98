"""What every registered task must do."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from dasha.data import DataSummary, as_split, inspect
from dasha.data.inspection import check_pair
from dasha.errors import DashaError
from dasha.randomness import seeded
from dasha.tasks import TaskSpec
from dasha.testing._randomness import generator_states
from dasha.types import SupervisedTask

LEAKED = 0.01
"""Share of the validation or test samples that may be among the training samples, too."""


def check_task(factory: Callable[[], SupervisedTask]) -> None:
    """Run the suite on a task factory, see `dasha.types.SupervisedTask`; it goes over all data twice.

    Args:
        factory: Called without arguments.

    Raises:
        AssertionError: With the rule that is broken.
    """
    task = factory()
    assert isinstance(task, SupervisedTask), f"the factory made {type(task).__name__}, not a dasha.types.SupervisedTask"
    assert isinstance(task.spec, TaskSpec), f"spec is {type(task.spec).__name__}, but must be a dasha.TaskSpec"
    for name in ("description", "source"):
        text = getattr(task, name)
        assert isinstance(text, str), f"{name} is {type(text).__name__}, but must be text"
        assert text.strip(), f"{name} is empty; say in one line what it is"
        assert "\n" not in text, f"{name} must be one line"
    summaries = _summaries(task)
    _shares_no_samples(task)
    again = _summaries(_drawing_nothing(factory))
    assert {name: summary.fingerprint for name, summary in summaries.items()} == {
        name: summary.fingerprint for name, summary in again.items()
    }, "two calls of the factory must give the same samples in the same order, or no run could be resumed"


def _drawing_nothing(factory: Callable[[], SupervisedTask]) -> SupervisedTask:
    """The task once more; in the first call, imports may have drawn something."""
    with seeded(1):
        before = generator_states()
        task = factory()
        assert generator_states() == before, "a global generator was seeded or drawn from; make a Generator of your own"
    return task


def _parts(task: SupervisedTask) -> dict[str, object]:
    parts = {"train": task.train, "validation": task.validation, "test": task.test}
    return {name: data for name, data in parts.items() if data is not None}


def _summaries(task: SupervisedTask) -> dict[str, DataSummary]:
    """Look at every part as a run does, and turn what it would say into a broken rule."""
    try:
        summaries = {
            name: inspect(task.spec, as_split(data, name, is_dense=task.spec.is_dense), name)
            for name, data in _parts(task).items()
        }
        assert {"train", "validation"} <= set(summaries), "there must be data for training and for validation"
        check_pair(task.spec, summaries["train"], summaries["validation"])
    except DashaError as error:
        raise AssertionError(f"the data must fit the spec, but {error}") from error
    return summaries


def _shares_no_samples(task: SupervisedTask) -> None:
    """Check that validation and test samples are not trained on."""
    samples = {name: _digests(data, name, is_dense=task.spec.is_dense) for name, data in _parts(task).items()}
    train = set(samples["train"])
    for name, digests in samples.items():
        leaked = sum(digest in train for digest in digests)
        assert name == "train" or leaked <= LEAKED * len(digests), (
            f"{leaked} of {len(digests)} samples of {name} are in train, too; leave them out of one"
        )


def _digests(data: object, name: str, *, is_dense: bool) -> list[bytes]:
    """A digest of the inputs of every sample."""
    with seeded(0):
        return [
            hashlib.sha256(sample.cpu().contiguous().numpy().data).digest()
            for inputs, _ in as_split(data, name, is_dense=is_dense).batches(64, shuffle=False)
            for sample in inputs
        ]
