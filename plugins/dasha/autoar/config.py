"""Settings of `AutoAR`, checked once."""

from __future__ import annotations

from dataclasses import dataclass, fields
from numbers import Integral, Real

from dasha.arguments import whole_number as whole_number
from dasha.autoar.device import resolve_device
from dasha.autoar.differencing import MAX_DIFF_ORDER
from dasha.autoar.selection import HORIZON_CRITERIA, INFORMATION_CRITERIA
from dasha.errors import InvalidArgumentError

MODES = ("trained", "zero-shot")
MIXED_STRATEGIES = ("average", "auto")
STRATEGIES = ("recursive", "direct", *MIXED_STRATEGIES)
POOLINGS = ("pooled", "channel", "both")
NOTHING_LEARNED = "zero-shot: nothing is learned from training data"
# What is learned from training data, and how.
_OF_TRAINING = ("lookback", "criterion", "horizon", "validation_fraction", "strategy", "pooling")


@dataclass(frozen=True)
class AutoARConfig:
    """Arguments of `dasha.autoar.AutoAR`, documented there."""

    max_lookback: int = 512
    lookback: int | None = None
    diff_order: str | int = "kpss"
    criterion: str = "bic"
    horizon: int = 1
    validation_fraction: float = 0.2
    strategy: str = "recursive"
    pooling: str | None = None
    device: str = "auto"
    mode: str = "trained"

    def __post_init__(self) -> None:
        """Check every value, and keep plain Python numbers (they are saved as JSON)."""
        self._set("max_lookback", whole_number("max_lookback", self.max_lookback, minimum=1))
        if self.lookback is not None:
            self._set("lookback", whole_number("lookback", self.lookback, minimum=0))
        self._set("horizon", whole_number("horizon", self.horizon, minimum=1))
        if self.diff_order != "kpss":
            order = self.diff_order
            if isinstance(order, bool) or not isinstance(order, Integral) or not 0 <= order <= MAX_DIFF_ORDER:
                raise InvalidArgumentError(f"diff_order is {order!r}, but must be 'kpss', 0, 1 or 2")
            self._set("diff_order", int(order))
        if self.criterion not in INFORMATION_CRITERIA + HORIZON_CRITERIA:
            allowed = ", ".join(map(repr, INFORMATION_CRITERIA + HORIZON_CRITERIA))
            raise InvalidArgumentError(f"criterion is {self.criterion!r}, but must be one of {allowed}")
        if self.strategy not in STRATEGIES:
            raise InvalidArgumentError(
                f"strategy is {self.strategy!r}, but must be one of {', '.join(map(repr, STRATEGIES))}"
            )
        allowed_pooling = POOLINGS if self.strategy in MIXED_STRATEGIES else POOLINGS[:2]
        if self.pooling is not None and self.pooling not in allowed_pooling:
            raise InvalidArgumentError(
                f"pooling is {self.pooling!r}, but with strategy={self.strategy!r} must be one of "
                f"{', '.join(map(repr, allowed_pooling))}"
            )
        if not isinstance(self.validation_fraction, Real) or not 0.0 < self.validation_fraction < 1.0:
            raise InvalidArgumentError(
                f"validation_fraction is {self.validation_fraction!r}, but must lie strictly between 0 and 1"
            )
        self._set("validation_fraction", float(self.validation_fraction))
        resolve_device(self.device)
        if self.mode not in MODES:
            raise InvalidArgumentError(f"mode is {self.mode!r}, but must be one of {', '.join(map(repr, MODES))}")
        if self.is_zero_shot:
            self._refuse_training_arguments()
        elif self.lookback is None and isinstance(self.diff_order, int) and self.diff_order > self.max_lookback:
            raise InvalidArgumentError(
                f"diff_order is {self.diff_order}, but must be at most max_lookback={self.max_lookback}; raise "
                "max_lookback or lower diff_order"
            )

    def _refuse_training_arguments(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in _OF_TRAINING and value != field.default:
                raise InvalidArgumentError(
                    f"{field.name} is {value!r}, but mode='zero-shot' learns nothing from training data; leave "
                    f"{field.name} out, or use mode='trained'"
                )

    @property
    def is_zero_shot(self) -> bool:
        """Whether every context is forecast from itself alone."""
        return self.mode == "zero-shot"

    @property
    def needs_maps(self) -> bool:
        """Whether forecasts come from maps for one horizon instead of the paper's pooled auto-regression."""
        return (self.strategy, self.pooled_over) != ("recursive", "pooled")

    @property
    def pooled_over(self) -> str:
        """The value of ``pooling``, or what it is by default."""
        return self.pooling or ("both" if self.strategy in MIXED_STRATEGIES else "pooled")

    @property
    def one_step_criterion(self) -> str:
        """What chooses a lookback where there is no horizon to score."""
        return self.criterion if self.criterion in INFORMATION_CRITERIA else "bic"

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)
