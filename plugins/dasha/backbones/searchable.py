"""Which layers of a network a kernel search may change."""

from __future__ import annotations

from typing import TypeGuard

from torch import nn

from dasha.backbones.strided import StridedConv1d

Conv = nn.Conv1d | nn.Conv2d


def is_ordinary(name: str, module: nn.Module) -> bool:
    """The default rule: which convolutions are searched.

    Ordinary are plain ``Conv1d`` and ``Conv2d``, grouped or not, whose kernel is odd, larger than 1, the same along
    every axis, and `is_centred`. Shortcuts and projections have kernels of size 1 and stay as they are, so do
    subclasses, which may have arithmetic of their own, convolutions with hooks or a weight that something else
    computes, which would be lost, and those whose weight is frozen.

    Args:
        name: Of the module in its network; rules of users may look at it.
        module: Any module.
    """
    if not is_plain(module) or hindrance(module) or not module.weight.requires_grad:
        return False
    size = module.kernel_size[0]
    return size > 1 and size % 2 == 1


def is_plain(module: nn.Module) -> TypeGuard[Conv]:
    """Whether a module is a ``Conv1d`` or ``Conv2d`` itself, not one of a user's subclass."""
    return type(module) in (nn.Conv1d, nn.Conv2d, StridedConv1d)


def is_centred(conv: Conv) -> bool:
    """Whether a kernel is the same along every axis and zeros around the input keep its size, up to the stride."""
    if len(set(conv.kernel_size)) > 1 or len(set(conv.dilation)) > 1 or conv.padding_mode != "zeros":
        return False
    if isinstance(conv.padding, str):
        return conv.padding == "same" or conv.kernel_size[0] == 1
    return all(2 * padding == conv.dilation[0] * (conv.kernel_size[0] - 1) for padding in conv.padding)


def hindrance(conv: Conv) -> str:
    """Why another kernel would not do in the place of a convolution what it does beside convolving; empty if it would.

    Of subclasses, which may bring inputs to any size themselves, the size of outputs is not judged.

    Args:
        conv: May be of a subclass.
    """
    hooks = (conv._forward_hooks, conv._forward_pre_hooks, conv._backward_hooks, conv._backward_pre_hooks)
    if "weight" not in conv._parameters:
        return "has a weight that is computed from others, as by weight_norm or spectral_norm, which would be lost"
    if any(hooks):
        return "has hooks, as of torch.nn.utils.spectral_norm or your own, which would be lost"
    if conv.padding_mode != "zeros":
        return f"has padding_mode={conv.padding_mode!r}, where searched kernels pad with zeros"
    if is_plain(conv) and not is_centred(conv):
        return (
            f"has kernel_size={conv.kernel_size}, dilation={conv.dilation} and padding={conv.padding!r}, where "
            "searched kernels are the same along every axis and keep the size of inputs, up to the stride"
        )
    return ""


def searchable_layers(network: nn.Module) -> dict[str, Conv]:
    """Find the ordinary convolutions of a network, by module name, in the order of the network's modules.

    A factory gives these layers the same names for every ``width``, so that kernels found on a narrow network can be
    put into a wide one.

    Args:
        network: A network as its factory makes it; a layer that was given a kernel of size 1 is found no more.

    Returns:
        Layers that fit `is_ordinary`, by the names of ``network.named_modules()``.
    """
    named = network.named_modules()
    return {name: module for name, module in named if isinstance(module, Conv) and is_ordinary(name, module)}
