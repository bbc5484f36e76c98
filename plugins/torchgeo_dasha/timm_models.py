"""Networks of dasha as models of timm, for TorchGeo's own tasks and as encoders of segmentation_models_pytorch.

Importing this module registers ``dasha_wrn`` and ``dasha_unet``; nothing else does. A configuration file imports it by
naming `RegisterNetworks` among the trainer's callbacks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback
from timm.models import FeatureInfo, register_model
from torch import Tensor, nn
from torch.nn import functional

from dasha.backbones import UNet2d, WideResNet2d, check_input
from dasha.backbones.patches import to_patches
from dasha.errors import InvalidArgumentError
from dasha.registry import close_matches
from dasha.search import load_search
from dasha.search.plan import NetworkPlan, with_kernels

_STAGES = 6  # strides 1 to 32, as decoders of depth 5 expect
_CLASSES: dict[str, type[WideResNet2d | UNet2d]] = {"wide_resnet_2d": WideResNet2d, "unet_2d": UNet2d}
# What timm hands to every model and these have no use for.
_OF_TIMM = ("pretrained_cfg", "pretrained_cfg_overlay", "cache_dir")


class TimmNetwork(nn.Module):
    """A network with the methods that timm's users call.

    Args:
        network: Gives one vector per image.
        num_classes: Outputs; 0 for the averages of the last maps, without a classifier.
        global_pool: ``"avg"`` for averages, ``""`` for the map itself, which has no classifier.

    Raises:
        InvalidArgumentError: If there is no such pooling.
    """

    def __init__(self, network: WideResNet2d | UNet2d, num_classes: int, *, global_pool: str = "avg") -> None:
        super().__init__()
        if global_pool not in ("avg", ""):
            raise InvalidArgumentError(f"global_pool={global_pool!r} must be 'avg' or ''")
        if not global_pool and (num_classes or not isinstance(network, WideResNet2d)):
            raise InvalidArgumentError(
                "global_pool='' leaves out averages, which is for dasha_wrn with num_classes=0; set these, or "
                "features_only=True for maps"
            )
        self.network, self.global_pool = network, global_pool
        self.num_features: int = network.head.linear.in_features  # type: ignore[union-attr,assignment]
        self.num_classes = network.num_outputs
        if num_classes != self.num_classes:
            self.reset_classifier(num_classes)

    def forward_features(self, x: Tensor) -> tuple[Tensor, ...]:
        """Maps that the classifier reads."""
        check_input(x, in_channels=self.network.in_channels, ndim=2)
        return self.network.features(to_patches(x, self.network.patch_size))

    def forward_head(self, maps: tuple[Tensor, ...], pre_logits: bool = False) -> Tensor:
        """Outputs ``(N, num_classes)``, or averages ``(N, num_features)`` or the map before the classifier."""
        if not self.global_pool:
            return maps[0]
        if pre_logits:
            return torch.cat([features.flatten(2).mean(-1) for features in maps], dim=1)
        outputs: Tensor = self.network.head(*maps)
        return outputs

    def forward(self, x: Tensor) -> Tensor:
        """Outputs ``(N, num_classes)`` of images ``(N, C, H, W)``."""
        return self.forward_head(self.forward_features(x))

    def get_classifier(self) -> nn.Module:
        """The last layer."""
        return self.network.head.linear  # type: ignore[return-value]

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Put a fresh last layer in; averages are the only pooling.

        Args:
            num_classes: Outputs; 0 for none.
            global_pool: Not used.
        """
        fresh = nn.Linear(self.num_features, num_classes) if num_classes else nn.Identity()
        self.network.head.linear = fresh.to(next(self.network.parameters()).device)
        self.num_classes = num_classes


class TimmFeatures(nn.Module):
    """The maps of a network at strides 1, 2, 4, … 32.

    Those coarser than its own are pooled from its last. A network of patches has none finer than they are: there the
    image itself stands, averaged, as decoders know it from networks that begin at stride 2.

    Args:
        network: Its head, and the decoder of a U-Net, are left out.
        out_indices: Stages that are given, 0 for stride 1.
    """

    output_fmt = "NCHW"

    def __init__(self, network: WideResNet2d | UNet2d, out_indices: tuple[int, ...]) -> None:
        super().__init__()
        self.network = network
        # Patches of 3 positions count as stride 4: the next that stages have.
        self._first = (network.patch_size - 1).bit_length()
        self.feature_info = FeatureInfo([self._described(stage) for stage in range(_STAGES)], out_indices)
        network.head = nn.Identity()
        if isinstance(network, UNet2d):
            network.decoder = nn.ModuleList()

    def forward(self, x: Tensor) -> list[Tensor]:
        """Maps of the stages that were asked for, from fine to coarse."""
        check_input(x, in_channels=self.network.in_channels, ndim=2)
        images = [_averaged(x, 2**stage) for stage in range(self._first)]
        own = self._own(to_patches(x, self.network.patch_size))
        maps = [*images, *(_sized(features, x, 2 ** (self._first + place)) for place, features in enumerate(own))]
        while len(maps) < _STAGES:
            maps.append(functional.max_pool2d(maps[-1], 2, ceil_mode=True))
        return [maps[index] for index in self.feature_info.out_indices]

    def _described(self, stage: int) -> dict[str, Any]:
        """What timm says of a stage."""
        part, own = ("groups", 3) if isinstance(self.network, WideResNet2d) else ("encoder", len(self.network.encoder))
        place = min(stage - self._first, own - 1)
        if place < 0:
            return {"num_chs": self.network.in_channels, "reduction": 2**stage, "module": ""}
        channels = 16 * self.network.width * 2**place
        return {"num_chs": channels, "reduction": 2**stage, "module": f"network.{part}.{place}"}

    def _own(self, x: Tensor) -> list[Tensor]:
        if isinstance(self.network, WideResNet2d):
            return list(self.network.features(x))
        maps = [self.network.encoder[0](x)]
        for pool, block in zip(self.network.pools, self.network.encoder[1:], strict=True):
            maps.append(block(pool(maps[-1])))
        return maps


def _averaged(x: Tensor, stride: int) -> Tensor:
    return functional.avg_pool2d(x, stride, ceil_mode=True) if stride > 1 else x


def _sized(features: Tensor, image: Tensor, stride: int) -> Tensor:
    """A map at exactly that stride of the image, which patches of 3 positions are not."""
    size = [-(-length // stride) for length in image.shape[2:]]
    if list(features.shape[2:]) == size:
        return features
    return functional.interpolate(features, size=size, mode="bilinear", align_corners=False)


def _stages(out_indices: int | Sequence[int] | None) -> tuple[int, ...]:
    """Stages by their numbers, as timm counts them: of one number the last so many, and below 0 from the end.

    Raises:
        InvalidArgumentError: If there is no such stage.
    """
    if out_indices is None:
        return tuple(range(_STAGES))
    wanted = range(-out_indices, 0) if isinstance(out_indices, int) else out_indices
    outside = [index for index in wanted if not -_STAGES <= index < _STAGES]
    if outside or not wanted:
        raise InvalidArgumentError(
            f"out_indices={out_indices!r} has {outside[0] if outside else 'nothing'}, but stages are 0 to "
            f"{_STAGES - 1}, or -{_STAGES} to -1 from the end"
        )
    return tuple(index % _STAGES for index in wanted)


@register_model
def dasha_wrn(pretrained: bool = False, **options: Any) -> nn.Module:
    """Wide residual network, with the kernels of ``architecture`` if there is one; see `make_network`."""
    return make_network("wide_resnet_2d", pretrained=pretrained, **options)


@register_model
def dasha_unet(pretrained: bool = False, **options: Any) -> nn.Module:
    """U-Net, with the kernels of ``architecture`` if there is one; see `make_network`."""
    return make_network("unet_2d", pretrained=pretrained, **options)


def make_network(
    backbone: str,
    *,
    pretrained: bool = False,
    num_classes: int = 1000,
    in_chans: int = 3,
    drop_rate: float | None = None,
    features_only: bool = False,
    out_indices: int | Sequence[int] | None = None,
    global_pool: str | None = None,
    architecture: str | Path | Mapping[str, Any] | None = None,
    **options: Any,
) -> nn.Module:
    """A network in timm's way.

    Args:
        backbone: Name of the network.
        pretrained: Must be False.
        num_classes: Outputs; 0 for features.
        in_chans: Channels of the images.
        drop_rate: Dropout; by default that of the search, or 0.
        features_only: Whether maps of several stages are the output.
        out_indices: Stages of these, from the end if below 0; or how many of the last. By default all.
        global_pool: ``"avg"``, or ``""`` for the map of ``dasha_wrn`` with ``num_classes=0``.
        architecture: A run folder of a finished search, a file in it, or its plan as plain values: kernels, width and
            depth come from there.
        **options: ``width``, ``depth`` and the like of the backbone.

    Raises:
        InvalidArgumentError: If there are no such weights, stages, pooling or options, or the architecture is for
            another backbone.
    """
    if pretrained:
        raise InvalidArgumentError("pretrained=True, but there are no pretrained weights; set pretrained=False")
    given = {name: value for name, value in options.items() if name not in _OF_TIMM}
    if not given.get("drop_path_rate"):  # whole branches are never dropped
        given.pop("drop_path_rate", None)
    _check_options(_CLASSES[backbone], given)
    kernels = {}
    if architecture is not None:
        plan = (
            NetworkPlan.of_dict(architecture) if isinstance(architecture, Mapping) else load_search(architecture).plan
        )
        if plan.backbone != backbone:
            raise InvalidArgumentError(f"architecture is for backbone {plan.backbone!r}, but this is {backbone!r}")
        given = {"width": plan.width, **plan.options, **given}
        drop_rate = plan.dropout if drop_rate is None else drop_rate
        kernels = plan.architecture
    network = _CLASSES[backbone](
        in_channels=in_chans,
        num_outputs=num_classes or 1,
        output="dense" if features_only and backbone == "wide_resnet_2d" else "vector",
        dropout=drop_rate or 0.0,
        **given,
    )
    searched = with_kernels(network, kernels)
    assert isinstance(searched, WideResNet2d | UNet2d)
    if features_only:
        return TimmFeatures(searched, _stages(out_indices))
    return TimmNetwork(searched, num_classes, global_pool="avg" if global_pool is None else global_pool)


def _check_options(cls: type[nn.Module], given: Mapping[str, Any]) -> None:
    """Refuse what the class of a network does not take, as other models of timm may."""
    own = {name for name, entry in signature(cls).parameters.items() if entry.kind is entry.KEYWORD_ONLY}
    known = sorted(own | {"width", "patch_size"})
    for name in given:
        if name not in known:
            raise InvalidArgumentError(
                f"{name}={given[name]!r} is no option of this network; leave it out{close_matches(name, known)}; "
                f"allowed: {', '.join(known)}"
            )


def register_network(name: str, architecture: str | Path) -> None:
    """Register a searched network under a name of its own.

    Args:
        name: A Python name that timm does not know yet.
        architecture: A run folder of a finished search, or a file in it.

    Raises:
        InvalidArgumentError: If the name is not allowed, or the network is not one that is registered here.
        StateFileError: If there is no finished search.
    """
    from timm import is_model

    found = load_search(architecture)
    if not name.isidentifier() or (is_model(name) and name not in _SEARCHED):
        raise InvalidArgumentError(f"name={name!r} must be a Python name that no model of timm has")
    backbone = found.plan.backbone
    if backbone not in _CLASSES:
        guess = close_matches(backbone, list(_CLASSES))
        raise InvalidArgumentError(
            f"{architecture} is for backbone {backbone!r};{guess} allowed: {', '.join(map(repr, _CLASSES))}"
        )
    _SEARCHED[name] = found.plan
    if is_model(name):
        return

    def make(pretrained: bool = False, **options: Any) -> nn.Module:
        plan = _SEARCHED[name]
        return make_network(plan.backbone, pretrained=pretrained, **{"architecture": plan.as_dict(), **options})

    make.__name__ = make.__qualname__ = name
    register_model(make)


_SEARCHED: dict[str, NetworkPlan] = {}


class RegisterNetworks(Callback):  # type: ignore[misc,unused-ignore]
    """Does nothing during training: a configuration file that names it imports this module.

    Args:
        architectures: Searched networks to register besides, as name and run folder.
    """

    def __init__(self, architectures: dict[str, str] | None = None) -> None:
        for name, path in (architectures or {}).items():
            register_network(name, path)
