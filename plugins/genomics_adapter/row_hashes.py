"""Whole sequences as numbers of 64 bits, so that equal ones are found by sorting numbers."""

from __future__ import annotations

import numpy as np

from genomics_adapter.encoding import PAD, reverse_complement

_SEED = 1_859
_FACTOR = np.uint64(0xD6E8FEB86659FD93)  # of a mixer of 64 bits ("rrmxmx", Evensen)
_AT_ONCE = 1 << 20  # bases that are worked on together


def row_hashes(codes: np.ndarray) -> np.ndarray:
    """A number for every sequence ``(N, L)``, uint64, the same for equal ones; padding at their ends does not count."""
    result = np.empty(len(codes), np.uint64)
    words = -(-codes.shape[1] // 8)
    # The first factors are the same whatever L is, so that data of unequal lengths can be compared.
    factors = np.random.default_rng(_SEED).integers(0, 2**63, words, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    step = max(1, _AT_ONCE // max(codes.shape[1], 1))
    for start in range(0, len(codes), step):
        part = left_aligned(codes[start : start + step])
        bases = np.zeros((len(part), 8 * words), np.uint8)
        np.bitwise_xor(part, np.uint8(PAD), out=bases[:, : part.shape[1]])  # padding counts as 0
        mixed = bases.view(np.dtype("<u8"))
        for shift in (32, 29):
            mixed ^= mixed >> np.uint64(shift)
            mixed *= _FACTOR
        result[start : start + step] = (mixed ^ mixed >> np.uint64(32)) @ factors  # modulo 2**64
    return result


def strand_free_hashes(codes: np.ndarray) -> np.ndarray:
    """A number for every sequence ``(N, L)`` that its reverse complement has, too."""
    smaller: np.ndarray = np.minimum(row_hashes(codes), row_hashes(reverse_complement(codes)))
    return smaller


def left_aligned(codes: np.ndarray) -> np.ndarray:
    """Codes ``(N, L)`` with the padding at the start of rows moved to their end."""
    if codes.shape[1] == 0 or not (codes[:, 0] == PAD).any():
        return codes
    is_base = codes != PAD
    before = np.where(is_base.any(1), is_base.argmax(1), 0)
    columns = (np.arange(codes.shape[1]) + before[:, None]) % codes.shape[1]
    return np.take_along_axis(codes, columns, axis=1)
