"""Local models of a comparison on the workers of a Ray cluster.

What runs on a worker is pure, so that Ray may run it again when a worker dies.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import groupby
from typing import Any

from darts_autoar.baselines import Baseline
from darts_autoar.local_models import Fit, FitAll, Piece, Tick, fit, load_libraries
from darts_autoar.quiet import quiet
from darts_autoar.tasks import Task
from dasha._ray import connected
from dasha.errors import DashaError

# The work of a batch: far more than it takes Ray to pass it on, and little to do again if a worker dies.
_SECONDS = 2.0
# However short the pieces are: their data waits for workers in memory.
_MOST_PIECES = 200
# So that a worker that is done finds the next batch.
_BATCHES_PER_CPU = 2

# A column of a series up to the last window wanted, and the windows of each piece.
_Column = tuple[Task, list[tuple[int, ...]]]


@contextmanager
def workers() -> Iterator[FitAll]:
    """Connect to Ray as `dasha._ray.connected` does, and make sure that workers have what they need.

    Yields:
        What fits models there.

    Raises:
        OptionalDependencyError: If Ray is not installed.
        InvalidArgumentError: If there is no cluster at the address that is asked for.
        DashaError: If a worker cannot import this package, Darts or statsforecast.
    """
    with connected() as ray:
        _result(ray, ray.remote(load_libraries).remote(), "importing Darts")
        yield partial(fit_on_workers, ray)


def fit_on_workers(
    ray: Any, tasks: Sequence[Task], pieces: Sequence[Piece], baseline: Baseline, *, tick: Tick
) -> list[Fit]:
    """Fit on the workers of a cluster, each model on one CPU; see `FitAll`.

    Neighbouring pieces go out together, so many that a batch takes some seconds, and no more batches than keep the CPUs
    of the cluster busy. Where a piece fails, those before it are waited for and those after it are dropped.

    Args:
        ray: The module, connected.
        tasks: All series.
        pieces: The work, in the order in which results are wanted.
        baseline: The model.
        tick: Is called when a batch has come back.

    Raises:
        DashaError: If a batch dies with its workers, more often than Ray repeats it.
    """
    remote = ray.remote(fit_columns)
    fits: dict[int, Fit] = {}
    running: dict[Any, range] = {}
    begun, end, seconds = 0, len(pieces), 0.0
    try:
        while begun < end or running:
            room = _BATCHES_PER_CPU * max(1, int(ray.cluster_resources().get("CPU", 1)))  # clusters grow and shrink
            while begun < end and len(running) < room:
                count = _pieces_of_a_batch(end - begun, room, seconds / len(fits) if fits else math.inf)
                places = range(begun, begun + count)
                running[remote.remote(_columns(tasks, pieces[begun : begun + count]), baseline)] = places
                begun += count
            ready = ray.wait(list(running))[0][0]
            places = running.pop(ready)
            what = f"fitting {baseline.label} on {_names(tasks, pieces, places)}"
            for place, one in zip(places, _result(ray, ready, what), strict=False):  # a failure ends it early
                fits[place] = one
                seconds += one.seconds
                if one.error:
                    end = min(end, place)
                else:
                    tick(len(pieces[place].origins))
            for late in [batch for batch, places in running.items() if places.start > end]:
                running.pop(late)
                ray.cancel(late)
    finally:
        for batch in running:
            ray.cancel(batch)
    return [fits[place] for place in range(min(end + 1, len(pieces)))]


def fit_columns(columns: Sequence[_Column], baseline: Baseline) -> list[Fit]:
    """Fit the pieces of a batch, on a worker; see `FitAll`."""
    fits = []
    with quiet():
        load_libraries()
        for task, cuts in columns:
            own = replace(task, values=task.values.copy())  # arrays that Ray hands over cannot be written to
            for origins in cuts:
                fits.append(fit(own, 0, origins, baseline))
                if fits[-1].error:
                    return fits
    return fits


def _columns(tasks: Sequence[Task], pieces: Sequence[Piece]) -> list[_Column]:
    """Return what workers need for some pieces, and no more; every column once."""
    columns = []
    for (number, column), own in groupby(pieces, key=lambda piece: (piece.series, piece.column)):
        cuts, task = [piece.origins for piece in own], tasks[number]
        rows = max(max(origins) for origins in cuts)
        columns.append((replace(task, values=task.values[:rows, [column]], index=task.index[:rows]), cuts))
    return columns


def _pieces_of_a_batch(left: int, room: int, pace: float) -> int:
    """Return how many pieces the next batch has.

    Args:
        left: Pieces that wait.
        room: Batches that may be under way.
        pace: Seconds that a piece took so far; infinite while that is not known, which the first batches tell.
    """
    fair = math.ceil(left / room)
    return max(1, min(fair, _MOST_PIECES, int(_SECONDS / max(pace, 1e-6))))


def _names(tasks: Sequence[Task], pieces: Sequence[Piece], places: range) -> str:
    """Name the series of some pieces."""
    if len(tasks) == 1:
        return "the series"
    first, last = (tasks[pieces[place].series].name for place in (places[0], places[-1]))
    return f"series {first!r}" if first == last else f"series {first!r} to {last!r}"


def _result(ray: Any, reference: Any, what: str) -> Any:
    try:
        return ray.get(reference)
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        # An exception that was raised there comes with a traceback, what Ray says of its workers with advice below.
        is_raised = isinstance(error, ray.exceptions.RayTaskError)
        reason = lines[-1].strip() if is_raised else lines[0]
        mend = "; dasha-plugins[darts,ray] must be installed on every machine of the cluster, the same version as here"
        raise DashaError(f"{what} failed on a worker of Ray: {reason}{mend if is_raised else ''}") from error
