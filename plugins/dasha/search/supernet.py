"""Networks with open kernels, made from ordinary ones and turned back into them."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from dasha.errors import InvalidArgumentError
from dasha.search.mixed_layers import Choice, MixedConv, same_conv

Architecture = dict[str, Choice]
Rule = Callable[[str, nn.Module], bool]


def is_ordinary(name: str, module: nn.Module) -> bool:
    """The default rule: which convolutions are searched.

    Plain ``Conv1d`` and ``Conv2d`` with an odd kernel of equal sides above 1 and zero padding that keeps the size (up to
    the stride). Shortcuts and projections have kernels of size 1 and stay as they are, so do subclasses with arithmetic
    of their own.

    Args:
        name: Of the module in its network.
        module: Any module.
    """
    if type(module) not in (nn.Conv1d, nn.Conv2d) or not isinstance(module, (nn.Conv1d, nn.Conv2d)):
        return False
    sizes, dilations = set(module.kernel_size), set(module.dilation)
    if len(sizes) != 1 or len(dilations) != 1 or min(sizes) < 2 or module.padding_mode != "zeros":
        return False
    if isinstance(module.padding, str):
        return module.padding == "same"
    span = min(dilations) * (min(sizes) - 1)
    return all(2 * padding == span for padding in module.padding)


class Supernet(nn.Module):
    """A network whose searched convolutions are mixtures; made by `to_supernet`.

    Attributes:
        network: The network.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Outputs of the network."""
        outputs: Tensor = self.network(x)
        return outputs

    @property
    def mixtures(self) -> dict[str, MixedConv]:
        """Mixtures by the name of the convolution they stand for."""
        named = self.network.named_modules()
        return {name: module for name, module in named if isinstance(module, MixedConv)}

    @property
    def architecture(self) -> Architecture:
        """Kernel size and dilation with the largest logit of every mixture."""
        return {name: mixture.choice for name, mixture in self.mixtures.items()}

    def alphas(self) -> Iterator[nn.Parameter]:
        """Logits of all mixtures."""
        return (mixture.alpha for mixture in self.mixtures.values())

    def weights(self) -> Iterator[nn.Parameter]:
        """All parameters but the logits."""
        logits = {id(alpha) for alpha in self.alphas()}
        return (parameter for parameter in self.parameters() if id(parameter) not in logits)

    def choose(self, architecture: Mapping[str, Choice] | None) -> None:
        """Fix the coefficients to one pair per mixture; None mixes again."""
        for name, mixture in self.mixtures.items():
            mixture.chosen = None if architecture is None else architecture[name]


def to_supernet(
    model: nn.Module,
    kernel_sizes: Sequence[int],
    dilations: Sequence[int],
    *,
    is_searched: Rule = is_ordinary,
    is_depthwise: bool = False,
    temperature: float = 1.0,
) -> Supernet:
    """Open the kernels of a network; the network handed in is not modified.

    Args:
        model: Any module with ordinary convolutions.
        kernel_sizes: Candidates of every searched convolution, each at least 1.
        dilations: Candidates, each at least 1; every pair of the two takes part.
        is_searched: Tells from name and module which convolutions take part.
        is_depthwise: Whether dense convolutions with as many outputs as inputs become depthwise, to search faster.
        temperature: Of the Gumbel softmax, above 0.

    Returns:
        The supernet; weights and logits of its mixtures are drawn from torch's global generator.

    Raises:
        InvalidArgumentError: If candidates are malformed, or no convolution takes part.
    """
    sizes, dilations = _candidates(kernel_sizes, "kernel_sizes"), _candidates(dilations, "dilations")
    if not temperature > 0:
        raise InvalidArgumentError(f"temperature={temperature!r} must be above 0")

    def open_up(conv: nn.Conv1d | nn.Conv2d) -> nn.Module:
        return MixedConv(conv, sizes, dilations, is_depthwise=is_depthwise, temperature=temperature)

    network = _replaced(model, is_searched, lambda name, conv: open_up(conv))
    supernet = Supernet(network)
    if not supernet.mixtures:
        raise InvalidArgumentError(
            f"{type(model).__name__} has no convolution to search: none is a plain Conv1d or Conv2d with an odd kernel above 1 "
            "and 'same' padding; pass is_searched= to choose others"
        )
    return supernet


def to_fixed(supernet: Supernet, architecture: Mapping[str, Choice] | None = None) -> nn.Module:
    """Close the kernels again, with the weights that the mixtures had for the chosen pairs.

    Args:
        supernet: Is not modified.
        architecture: Kernel size and dilation by name; by default the pairs with the largest logits.

    Returns:
        A network that computes what the supernet computes with these coefficients 1 and the others 0.

    Raises:
        InvalidArgumentError: If the architecture does not fit.
    """
    chosen = dict(supernet.architecture if architecture is None else architecture)
    mixtures = supernet.mixtures
    if set(chosen) != set(mixtures):
        different = sorted(set(chosen) ^ set(mixtures))
        raise InvalidArgumentError(
            f"architecture must name every mixture and nothing else, but differs in {different[:3]}; it must come from a network of "
            "the same kind and depth"
        )
    for name, choice in chosen.items():
        if choice[0] not in mixtures[name].kernel_sizes or choice[1] not in mixtures[name].dilations:
            raise InvalidArgumentError(
                f"architecture gives {choice} for {name!r}, but candidates are kernel sizes {mixtures[name].kernel_sizes} "
                f"and dilations {mixtures[name].dilations}"
            )
    return _replaced(
        supernet.network,
        lambda name, module: isinstance(module, MixedConv),
        lambda name, mixture: _closed(mixture, chosen[name]),
    )


def _closed(mixture: MixedConv, choice: Choice) -> nn.Module:
    """The convolution of one pair of a mixture."""
    weight, has_bias = mixture.weight_of(choice), mixture.bias is not None
    closed = same_conv(mixture, choice, groups=mixture.groups, has_bias=has_bias, ndim=weight.ndim - 2)
    conv = closed[1] if isinstance(closed, nn.Sequential) else closed
    conv.weight = nn.Parameter(weight.detach().clone())
    if has_bias:
        conv.bias = nn.Parameter(mixture.bias.detach().clone())
    return closed.train(mixture.training)


def apply_architecture(model: nn.Module, architecture: Mapping[str, Choice]) -> nn.Module:
    """A network with the kernels of an architecture, with fresh weights where a kernel changes.

    Channels, groups, stride and bias of the network stay: an architecture found on a narrow network fits a wide one with
    the same names.

    Args:
        model: Is not modified.
        architecture: Kernel size and dilation by the name of a convolution; other layers stay.

    Returns:
        The network; fresh weights are drawn from torch's global generator (He et al. 2015, fan-in).

    Raises:
        InvalidArgumentError: If the network has no convolution of a name.
    """
    convolutions = [name for name, module in model.named_modules() if isinstance(module, (nn.Conv1d, nn.Conv2d))]
    missing = sorted(set(architecture) - set(convolutions))
    if missing:
        raise InvalidArgumentError(
            f"architecture does not fit {type(model).__name__}, which has no convolution {missing[0]!r}; it must come from a "
            "network of the same kind and depth"
        )

    def close(name: str, conv: nn.Conv1d | nn.Conv2d) -> nn.Module:
        choice = architecture[name]
        if (conv.kernel_size[0], conv.dilation[0]) == tuple(choice):
            return conv
        ndim, has_bias = conv.weight.ndim - 2, conv.bias is not None
        fresh = same_conv(conv, choice, groups=conv.groups, has_bias=has_bias, ndim=ndim)
        fresh.to(conv.weight)
        inner = fresh[1] if isinstance(fresh, nn.Sequential) else fresh
        nn.init.normal_(inner.weight, std=math.sqrt(2.0 / inner.weight[0].numel()))
        if has_bias:
            nn.init.zeros_(inner.bias)
        return fresh.train(conv.training)

    return _replaced(model, lambda name, module: name in architecture, close)


def _replaced(model: nn.Module, is_replaced: Rule, make: Callable[[str, Any], nn.Module]) -> nn.Module:
    """A copy of the network with other modules in the place of some; one that is used twice stays one."""
    network = copy.deepcopy(model)
    made: dict[int, nn.Module] = {}
    found = [(name, module) for name, module in network.named_modules(remove_duplicate=False)]
    for name, module in found:
        if not is_replaced(name, module):
            continue
        if id(module) not in made:
            made[id(module)] = make(name, module)
        if not name:
            return made[id(module)]
        _set(network, name, made[id(module)])
    return network


def _set(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(network.get_submodule(parent), last, module)


def _candidates(values: Sequence[int], name: str) -> tuple[int, ...]:
    given = tuple(values)
    if not given or len(set(given)) < len(given) or not all(isinstance(value, int) and value >= 1 for value in given):
        raise InvalidArgumentError(f"{name}={given} must be different whole numbers, each at least 1")
    return given
