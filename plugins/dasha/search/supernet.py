"""Networks with open kernels, made from ordinary ones and turned back into them."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from dasha.arguments import whole_number
from dasha.backbones.searchable import Conv, hindrance, is_centred, is_plain
from dasha.backbones.searchable import is_ordinary as is_ordinary
from dasha.errors import InvalidArgumentError
from dasha.search.copies import copied
from dasha.search.mixed_layers import Choice, MixedConv, same_conv

Architecture = dict[str, Choice]
Rule = Callable[[str, nn.Module], bool]


class Supernet(nn.Module):
    """A network whose searched convolutions are mixtures; made by `to_supernet`.

    Attributes:
        network: The network.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.training = network.training

    def forward(self, *inputs: Any, **options: Any) -> Any:
        """Outputs of the network, which is called with the same arguments."""
        return self.network(*inputs, **options)

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
        """Fix the coefficients to one pair per mixture; None mixes again.

        Raises:
            InvalidArgumentError: If the architecture does not fit.
        """
        chosen = {} if architecture is None else self.checked(architecture)
        for name, mixture in self.mixtures.items():
            mixture.chosen = chosen.get(name)

    def checked(self, architecture: Mapping[str, Choice]) -> Architecture:
        """An architecture of exactly these mixtures, each with one of its candidates.

        Raises:
            InvalidArgumentError: If it is not.
        """
        mixtures = self.mixtures
        different = sorted(set(architecture) ^ set(mixtures))
        if different:
            raise InvalidArgumentError(
                f"architecture must name every mixture and nothing else, but differs in {different[:3]}; it must come "
                "from a network of the same kind and depth"
            )
        chosen = {name: _pair(name, choice) for name, choice in architecture.items()}
        for name, (size, dilation) in chosen.items():
            sizes, dilations = mixtures[name].kernel_sizes, mixtures[name].dilations
            if size not in sizes or dilation not in dilations:
                raise InvalidArgumentError(
                    f"architecture gives {(size, dilation)} for {name!r}, but candidates are kernel sizes {sizes} and "
                    f"dilations {dilations}"
                )
        return chosen


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
        model: Any module with ordinary convolutions. Those of them that are frozen stay as they are, unless
            ``is_searched`` chooses them; then they are trained.
        kernel_sizes: Candidates of every searched convolution, each at least 1.
        dilations: Candidates, each at least 1; every pair of the two takes part.
        is_searched: Tells from name and module which convolutions take part.
        is_depthwise: Whether dense convolutions with as many outputs as inputs become depthwise, to search faster.
        temperature: Of the Gumbel softmax, above 0.

    Returns:
        The supernet; weights and logits of its mixtures are drawn from torch's global generator.

    Raises:
        InvalidArgumentError: If the model is no module, candidates are malformed, no convolution takes part, or one
            that is chosen does more than a searched kernel can: with hooks, padding by other values than zeros, or
            outputs of another size.
    """
    if not isinstance(model, nn.Module):
        raise InvalidArgumentError(f"model is {type(model).__name__}, but must be a torch.nn.Module")
    sizes, dilations = _candidates(kernel_sizes, "kernel_sizes"), _candidates(dilations, "dilations")
    if not temperature > 0:
        raise InvalidArgumentError(f"temperature={temperature!r} must be above 0")

    def open_up(name: str, conv: nn.Module) -> nn.Module:
        if not isinstance(conv, Conv):
            raise InvalidArgumentError(
                f"is_searched chooses {name!r}, a {type(conv).__name__}, but only Conv1d and Conv2d can be searched"
            )
        if why_not := hindrance(conv):
            raise InvalidArgumentError(f"is_searched chooses {name!r}, which {why_not}; leave it out")
        return MixedConv(conv, sizes, dilations, is_depthwise=is_depthwise, temperature=temperature)

    supernet = Supernet(_replaced(model, is_searched, open_up))
    if not supernet.mixtures:
        raise InvalidArgumentError(
            f"{type(model).__name__} has no convolution to search: none is a plain Conv1d or Conv2d with an odd kernel "
            "above 1 and 'same' padding with zeros, without hooks and not frozen; pass is_searched= to choose others"
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
        InvalidArgumentError: If the architecture does not fit, or the network is no supernet.
    """
    if not isinstance(supernet, Supernet):
        raise InvalidArgumentError(
            f"supernet is {type(supernet).__name__}, but must be what to_supernet made; apply_architecture puts "
            "kernels into an ordinary network"
        )
    chosen = supernet.architecture if architecture is None else supernet.checked(architecture)

    def close(name: str, mixture: nn.Module) -> nn.Module:
        assert isinstance(mixture, MixedConv)
        return same_conv(mixture, chosen[name], mixture.weight_of(chosen[name]), mixture.bias)

    return _replaced(supernet.network, lambda name, module: isinstance(module, MixedConv), close)


def apply_architecture(model: nn.Module, architecture: Mapping[str, Choice]) -> nn.Module:
    """A network with the kernels of an architecture, with fresh weights where a kernel changes.

    Channels, groups and stride of the network stay: an architecture found on a narrow network fits a wide one with the
    same names.

    Args:
        model: Is not modified.
        architecture: Kernel size and dilation by the name of a convolution; other layers stay.

    Returns:
        The network; fresh weights are drawn from torch's global generator (He et al. 2015, fan-in), fresh biases are 0.

    Raises:
        InvalidArgumentError: If the network has no convolution of a name, or a choice is malformed.
    """
    chosen = {name: _pair(name, choice) for name, choice in architecture.items()}
    convolutions = {name for name, module in model.named_modules() if isinstance(module, Conv)}
    missing = sorted(set(chosen) - convolutions)
    if missing:
        raise InvalidArgumentError(
            f"architecture does not fit {type(model).__name__}, which has no convolution {missing[0]!r}; it must come "
            "from a network of the same kind and depth"
        )

    def close(name: str, conv: nn.Module) -> nn.Module:
        assert isinstance(conv, Conv)
        size, dilation = chosen[name]
        if is_plain(conv) and is_centred(conv) and (conv.kernel_size[0], conv.dilation[0]) == (size, dilation):
            return copy.deepcopy(conv)
        weight = conv.weight.new_empty(*conv.weight.shape[:2], *(conv.weight.ndim - 2) * (size,))
        nn.init.normal_(weight, std=math.sqrt(2.0 / weight[0].numel()))
        return same_conv(conv, (size, dilation), weight, None if conv.bias is None else torch.zeros_like(conv.bias))

    return _replaced(model, lambda name, module: name in chosen, close)


def _replaced(model: nn.Module, is_replaced: Rule, make: Callable[[str, nn.Module], nn.Module]) -> nn.Module:
    """A copy of the network with other modules in the place of some; one that is used twice stays one."""
    made = {id(module): make(name, module) for name, module in model.named_modules() if is_replaced(name, module)}
    # What is known to a deep copy as copied already, it puts in every place of the old.
    return copied(model, made)


def _candidates(values: Sequence[int], name: str) -> tuple[int, ...]:
    if not isinstance(values, Iterable):
        raise InvalidArgumentError(f"{name}={values!r} must be several whole numbers, such as (3, 5)")
    given = tuple(whole_number(f"{name}[{i}]", value, minimum=1) for i, value in enumerate(values))
    if not given or len(set(given)) < len(given):
        raise InvalidArgumentError(f"{name}={given} must be different whole numbers, at least one of them")
    return given


def _pair(name: str, choice: Sequence[int]) -> Choice:
    """Kernel size and dilation, as they come from a file too."""
    if isinstance(choice, str) or len(choice) != 2:
        raise InvalidArgumentError(f"architecture gives {choice!r} for {name!r}, but must give (kernel size, dilation)")
    size, dilation = (whole_number(f"architecture[{name!r}][{i}]", value, minimum=1) for i, value in enumerate(choice))
    return size, dilation
