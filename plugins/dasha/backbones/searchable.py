"""Which layers of a network a kernel search may change."""

from __future__ import annotations

from torch import nn


def searchable_layers(network: nn.Module) -> dict[str, nn.Conv1d | nn.Conv2d]:
    """Find the ordinary convolutions of a network, by module name, in the order of the network's modules.

    Ordinary are the convolutions whose kernel is odd and larger than 1, the same along every axis, and centred:
    their zero padding is ``dilation * (kernel_size - 1) // 2``. Shortcuts, projections and heads are 1×1 and stay as
    they are. A factory gives these layers the same names for every ``width``, so that kernels found on a narrow
    network can be put into a wide one.

    Args:
        network: A network as its factory makes it; a layer that was given a kernel of size 1 is found no more.

    Returns:
        Layers by the names of ``network.named_modules()``.
    """
    return {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv1d | nn.Conv2d) and _is_ordinary(module)
    }


def _is_ordinary(layer: nn.Conv1d | nn.Conv2d) -> bool:
    if isinstance(layer.padding, str) or layer.padding_mode != "zeros" or layer.groups != 1:
        return False
    centred = tuple(d * (k - 1) // 2 for d, k in zip(layer.dilation, layer.kernel_size, strict=True))
    size, *others = layer.kernel_size
    return size > 1 and size % 2 == 1 and all(other == size for other in others) and layer.padding == centred
