"""What every registered backbone must do."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable

import torch
from torch import nn

from dasha.backbones import searchable_layers
from dasha.errors import DashaError
from dasha.testing._networks import CHANNELS, Subject
from dasha.testing._randomness import drops_as_told, seeds_nothing
from dasha.testing._training import gradient_reaches_every_parameter, learns_a_tiny_batch


def check_backbone(factory: Callable[..., nn.Module], *, ndim: int | None = None) -> None:
    """Run the suite on a backbone factory, see `dasha.types.BackboneFactory`.

    The suite runs on the CPU, with ``width`` 1 and 2, and leaves torch's random state as it was.

    Args:
        factory: Called with ``in_channels``, ``num_outputs``, ``output``, ``width`` and ``dropout`` for every check.
        ndim: Spatial axes of the input, 1 for sequences or 2 for images; by default ``factory.ndim``.

    Raises:
        AssertionError: With the rule that is broken.
    """
    ndim = getattr(factory, "ndim", None) if ndim is None else ndim
    assert ndim in (1, 2), f"the factory must have an attribute ndim, 1 or 2, or ndim be passed; it is {ndim!r}"
    with torch.random.fork_rng(devices=[]):
        subject = Subject(factory, ndim)
        for check in (
            _makes_modules_with_shapes,
            _takes_small_inputs_or_says_why,
            _leaves_its_input_alone,
            _is_deterministic_in_evaluation,
            drops_as_told,
            seeds_nothing,
            _can_be_copied_and_saved,
            _names_its_layers_alike,
            _computes_in_other_precisions,
            _refuses_what_it_cannot_do,
            gradient_reaches_every_parameter,
            learns_a_tiny_batch,
        ):
            check(subject)


def _makes_modules_with_shapes(subject: Subject) -> None:
    for output in subject.outputs:
        network = subject.make(output=output)
        assert isinstance(network, nn.Module), f"the factory made {type(network).__name__}, not a torch.nn.Module"
        for size in subject.sizes:
            subject.evaluate(network.eval(), subject.draw(size), output=output)


def _takes_small_inputs_or_says_why(subject: Subject) -> None:
    for output in subject.outputs:
        network = subject.make(output=output).eval()
        for size in subject.small_sizes:
            try:
                subject.evaluate(network, subject.draw(size), output=output)
            except DashaError:
                continue
            except (RuntimeError, ValueError, IndexError) as error:
                raise AssertionError(
                    f"an input of size {size} must work or raise a DashaError, not {type(error).__name__}: {error}"
                ) from error


def _leaves_its_input_alone(subject: Subject) -> None:
    for output in subject.outputs:
        network, x = subject.make(output=output), subject.draw()
        before = x.clone()
        for mode in (True, False):
            network.train(mode)(x).sum().backward()
            assert torch.equal(x, before), "the network changed its input"


def _is_deterministic_in_evaluation(subject: Subject) -> None:
    for output in subject.outputs:
        network = subject.make(output=output, dropout=0.5).double()
        x = subject.draw().double()
        network(x)  # running statistics that are not those of the start
        network.eval()
        with torch.no_grad():
            first, second, alone = network(x), network(x), network(x[:1])
        assert torch.equal(first, second), "in evaluation, two passes on the same input must agree"
        assert torch.allclose(first[:1], alone), "in evaluation, an output must not depend on the rest of the batch"


def _can_be_copied_and_saved(subject: Subject) -> None:
    network, x = subject.make(), subject.draw()
    network(x)
    expected = network.eval()(x)
    assert torch.equal(copy.deepcopy(network)(x), expected), "a deep copy must compute the same"
    file = io.BytesIO()
    torch.save(network.state_dict(), file)
    file.seek(0)
    loaded = subject.make()
    loaded.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(loaded.eval()(x), expected), "a network with the loaded state_dict must compute the same"


def _names_its_layers_alike(subject: Subject) -> None:
    for output in subject.outputs:
        narrow, wide = (subject.make(output=output, width=width) for width in (1, 2))
        sizes = [sum(parameter.numel() for parameter in network.parameters()) for network in (narrow, wide)]
        assert sizes[0] < sizes[1], f"width=2 has {sizes[1]} parameters, but must have more than width=1, {sizes[0]}"
        kinds = [
            {name: (layer.kernel_size, layer.dilation, layer.stride) for name, layer in searchable_layers(net).items()}
            for net in (narrow, wide)
        ]
        differing = sorted(name for name, _ in kinds[0].items() ^ kinds[1].items())
        assert not differing, f"searchable layers must be the same for every width, but these differ: {differing}"


def _computes_in_other_precisions(subject: Subject) -> None:
    for output in subject.outputs:
        network = subject.make(output=output).eval()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            subject.evaluate(network, subject.draw(), output=output)
        subject.evaluate(network.double(), subject.draw().double(), output=output)


def _refuses_what_it_cannot_do(subject: Subject) -> None:
    x = subject.draw()
    network = subject.make().eval()
    for call, reason in (
        (lambda: network(torch.cat([x, x], dim=1)), f"{2 * CHANNELS} channels where in_channels={CHANNELS}"),
        (lambda: network(x[0]), "an input without batch axis"),
        (lambda: network(x[..., None]), "an input with an axis too many"),
        (lambda: subject.make(output="nonsense"), "output='nonsense'"),
    ):
        try:
            call()
        except DashaError:
            continue
        except Exception as error:
            raise AssertionError(f"{reason} must raise a DashaError, not {type(error).__name__}: {error}") from error
        raise AssertionError(f"{reason} must raise a DashaError, but nothing was raised")
