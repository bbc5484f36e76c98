"""What a fitted engine learned, under the same names in every host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dasha.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from dasha.autoar import AutoAR, Selection


class Learned:
    """Mixin for host models that keep their engine as ``_engine``."""

    _engine: AutoAR

    @property
    def engine(self) -> AutoAR:
        """The core model, free of any host."""
        return self._engine

    @property
    def lookback_(self) -> int:
        """Order of the fitted auto-regression."""
        return self._engine.lookback_

    @property
    def diff_order_(self) -> int:
        """Differencing order of the fitted model."""
        return self._engine.diff_order_

    @property
    def context_length_(self) -> int:
        """Past values that a forecast uses; in zero-shot mode at most that many, and any number will do."""
        return self._engine.context_length_

    @property
    def criterion_path_(self) -> FloatArray:
        """Criterion of every lookback searched, shape ``(P+1,)``; empty when the lookback was given."""
        return self._engine.criterion_path_

    @property
    def coefficients_(self) -> FloatArray:
        """Lag coefficients on differenced standardised data, shape ``(lookback_,)``, lag 1 first."""
        return self._engine.coefficients_

    @property
    def intercept_(self) -> float:
        """Intercept of the same regression."""
        return self._engine.intercept_

    @property
    def selection_(self) -> Selection | None:
        """How the candidates of the strategy were weighed; None for the paper's strategy, and in zero-shot mode."""
        return self._engine.selection_

    def plot_criterion(self, ax: Axes | None = None) -> Axes:
        """Draw the criterion over the lookbacks and mark the one chosen."""
        from darts_autoar.plots import plot_criterion

        return plot_criterion(self._engine, ax)

    def plot_coefficients(self, ax: Axes | None = None) -> Axes:
        """Draw the lag coefficients."""
        from darts_autoar.plots import plot_coefficients

        return plot_coefficients(self._engine, ax)

    def plot_selection(self, ax: Axes | None = None) -> Axes:
        """Draw the validation errors and the weights of the candidates of the strategy."""
        from darts_autoar.plots import plot_selection

        return plot_selection(self._engine, ax)
