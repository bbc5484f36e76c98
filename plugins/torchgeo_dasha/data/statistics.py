"""Mean and spread of every band, file by file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from dasha.data.moments import ChannelMoments
from dasha.errors import InvalidArgumentError
from torchgeo_dasha.data.rasters import read_image, refuse_broken


class _FileMoments(Dataset[Tensor]):
    """Count, mean and variance of every band of every file, ``(3, C)`` each."""

    def __init__(self, paths: Sequence[Path], bands: Sequence[int] | None) -> None:
        self.paths, self.bands = list(paths), bands

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        values = read_image(self.paths[index], self.bands).astype(np.float64)
        values = values.reshape(len(values), -1)
        is_valid = ~np.isnan(values)
        count = is_valid.sum(1)
        mean = np.where(is_valid, values, 0.0).sum(1) / np.maximum(count, 1)
        apart = np.where(is_valid, values - mean[:, None], 0.0)
        return torch.from_numpy(np.stack([count, mean, (apart**2).sum(1) / np.maximum(count, 1)]))


class _FilesRead(Dataset[bool]):
    """Whether every file can be read to its end."""

    def __init__(self, paths: Sequence[Path], bands: Sequence[int] | None) -> None:
        self.paths, self.bands = list(paths), bands

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> bool:
        try:
            read_image(self.paths[index], self.bands)
        except InvalidArgumentError:
            return False
        return True


def check_pixels(paths: Sequence[Path], bands: Sequence[int] | None, *, num_workers: int = 0) -> None:
    """Read every file to its end, so that damage is not found hours later.

    Args:
        paths: Images with the same bands.
        bands: Numbers of bands, from 1; by default all.
        num_workers: Processes that read.

    Raises:
        InvalidArgumentError: If files cannot be read.
    """
    loader = DataLoader(_FilesRead(paths, bands), batch_size=None, num_workers=num_workers)
    refuse_broken([path for path, is_read in zip(paths, loader, strict=True) if not is_read])


def band_moments(paths: Sequence[Path], bands: Sequence[int] | None, *, num_workers: int = 0) -> ChannelMoments:
    """Measure every band over all pixels with data; no more than a file per worker is in memory.

    Args:
        paths: Images with the same bands.
        bands: Numbers of bands, from 1; by default all.
        num_workers: Processes that read.

    Raises:
        InvalidArgumentError: If a file cannot be read, or a band has no data at all.
    """
    loader = DataLoader(_FileMoments(paths, bands), batch_size=None, num_workers=num_workers)
    moments: ChannelMoments | None = None
    for count, mean, variance in loader:
        moments = moments or ChannelMoments(len(count))
        moments.merge(count, mean, variance)
    assert moments is not None, "there are files to train on"
    empty = [str(bands[place] if bands else place + 1) for place in torch.nonzero(moments.count == 0).flatten()]
    if empty:
        raise InvalidArgumentError(f"bands {', '.join(empty)} have no data in any image for training; leave them out")
    return moments
