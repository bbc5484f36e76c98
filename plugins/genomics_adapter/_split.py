"""A share of the training data to choose on."""

from __future__ import annotations

import numpy as np

from dasha.errors import InvalidArgumentError
from genomics_adapter._inputs import identity_of
from genomics_adapter._sklearn import train_test_split


def split_off(
    sequences: np.ndarray, classes: np.ndarray | None, *, fraction: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Divide sequences at random; those that are the same, on either strand, stay together.

    Sequences that are merely alike are not looked for; pass a validation set of your own for that.

    Args:
        sequences: Codes ``(N, L)`` or shares ``(N, 4, L)``.
        classes: Class of every sequence, whose shares are kept; None for none.
        fraction: Share of the second part.
        seed: Of the draw.

    Returns:
        Numbers of the sequences in either part, sorted.

    Raises:
        InvalidArgumentError: If ``fraction`` is not allowed, or there are too few sequences.
    """
    if isinstance(fraction, bool) or not isinstance(fraction, int | float) or not 0 < fraction < 1:
        raise InvalidArgumentError(f"validation_fraction is {fraction!r}, but must be a number between 0 and 1")
    _, first, groups = np.unique(identity_of(sequences), return_index=True, return_inverse=True)
    way_out = "supply more, or validation data as X_val and y_val"
    if len(first) < 2:
        raise InvalidArgumentError(f"X has n_samples=1 different sequence, but needs 2 at least; {way_out}")
    strata = None
    count = max(1, round(fraction * len(first)))
    if classes is not None:
        strata = classes[first]
        members = np.bincount(strata, minlength=int(classes.max()) + 1)
        if members.min() < 2:
            raise InvalidArgumentError(
                f"class number {int(members.argmin())} has {int(members.min())} different sequence, but needs 2 at "
                f"least, one to learn from and one to choose on; {way_out}"
            )
        count = max(count, len(members))
    count = min(count, len(first) - (1 if strata is None else len(members)))
    own, _ = train_test_split(np.arange(len(first)), test_size=count, stratify=strata, random_state=seed)
    is_own = np.isin(groups, own)
    return np.flatnonzero(is_own), np.flatnonzero(~is_own)
