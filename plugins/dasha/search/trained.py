"""What a finished run leaves: its trained networks and its record, written and read again."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from dasha.randomness import seeded
from dasha.search.model import load_members, read_plan, save_members, together
from dasha.search.networks import Factory
from dasha.search.result import RunResult
from dasha.search.run import Run
from dasha.search.run_folder import RESULT_FILE, RunFolder
from dasha.search.stages import Finished, Found, plan_of


@dataclass(frozen=True)
class Trained:
    """A finished run.

    Attributes:
        result: For the record.
        members: Networks of all seeds, in evaluation mode, on the CPU.
        model: The first of them, or their ensemble.
        ndim: Spatial dimensions of the inputs.
    """

    result: RunResult
    members: list[nn.Module]
    model: nn.Module
    ndim: int


def keep_trained(run: Run, found: Found, finished: Finished, network: nn.Module | Factory | None) -> Trained:
    """Build the trained networks and write them.

    Args:
        run: What all stages share.
        found: What the search decided.
        finished: What the final trainings came to.
        network: The module or factory that was given as the backbone; None for a registered one.
    """
    plan = plan_of(run, found)
    members = []
    for state in finished.states:
        with seeded(0):
            plain = plan.build_plain(network)
        plain.load_state_dict(state)
        members.append(plan.normalized(plain).eval())
    is_ensemble = run.config.is_ensemble
    save_members(run.folder, members, plan, is_ensemble=is_ensemble)
    run.folder.write_json(RESULT_FILE, finished.result.as_dict())
    return Trained(finished.result, members, together(members, is_ensemble=is_ensemble), run.ndim)


def read_trained(folder: RunFolder, network: nn.Module | Factory | None, *, is_ensemble: bool) -> Trained:
    """Read what `keep_trained` wrote.

    Raises:
        StateFileError: If a file is absent or damaged.
    """
    with folder.reading(RESULT_FILE):
        result = RunResult.of_dict(folder.read_json(RESULT_FILE))
    members = load_members(folder.path, network=network)
    return Trained(result, members, together(members, is_ensemble=is_ensemble), read_plan(folder.path).ndim)
