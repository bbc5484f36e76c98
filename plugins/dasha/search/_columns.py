"""Between images and spectra whose frequencies come first and whose channels come last.

An image becomes *columns* by the transform along its last axis, and columns become spectra by the transform along the
axis before, for some frequencies of the last axis at a time; both are products with a matrix of waves from the left.
A sequence is an image of one row, whose columns are its spectrum.

- Columns have the shape ``(s, length · 2, F · G · n · C)``: phases of the stride along the axis before the last, its
  positions times real and imaginary part, frequencies of the last axis, groups, samples, channels.
- A spectrum of ``f`` of these frequencies has the shape ``(s, 2, M · f · G, n, C)``.
- ``C`` counts the channels of a group times the phases of the stride along the last axis.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from dasha.search import _planar
from dasha.search._waves import Axis, constant


@dataclass(frozen=True)
class Columns:
    """The transforms of one kind of image.

    Attributes:
        axes: One per spatial dimension.
        groups: Groups of channels.
        channels: Of the image, all groups together.
        is_strided: Whether the image is split into the phases of the stride, as the input is and the output is not.
    """

    axes: tuple[Axis, ...]
    groups: int
    channels: int
    is_strided: bool

    @property
    def outer(self) -> Axis | None:
        """The axis before the last, if there is one."""
        return self.axes[0] if len(self.axes) == 2 else None

    @property
    def sizes(self) -> tuple[int, int]:
        """Height and width of the image."""
        height, width = ([1] + [axis.size if self.is_strided else axis.length for axis in self.axes])[-2:]
        return height, width

    @property
    def lengths(self) -> tuple[int, int]:
        """Height and width of one phase."""
        height, width = ([1] + [axis.length for axis in self.axes])[-2:]
        return height, width

    @property
    def strides(self) -> tuple[int, int]:
        """Phases of either axis."""
        of_rows, of_columns = ([1] + [axis.stride if self.is_strided else 1 for axis in self.axes])[-2:]
        return of_rows, of_columns

    @property
    def inputs(self) -> int:
        """``C`` of the spectrum."""
        return self.channels // self.groups * self.strides[1]

    def width(self, samples: int) -> int:
        """Columns per frequency of the last axis."""
        return self.groups * samples * self.inputs

    @property
    def numbers_per_sample(self) -> int:
        """Size of the columns of one sample."""
        return self.strides[0] * 2 * self.lengths[0] * self.axes[-1].frequencies * self.width(1)

    def empty(self, samples: int, like: Tensor) -> Tensor:
        """Columns to put spectra into."""
        return like.new_empty(self.strides[0], 2 * self.lengths[0], self.axes[-1].frequencies * self.width(samples))

    def analyze(self, x: Tensor) -> Tensor:
        """Columns of an image, shape ``(n, channels, *sizes)``."""
        (height, width), (rows, columns), last = self.strides, self.lengths, self.axes[-1]
        margins = [s * n - size for s, n, size in zip(self.strides, self.lengths, self.sizes, strict=True)]
        x = x.reshape(*x.shape[:2], *self.sizes)
        x = pad(x, [0, margins[1], 0, margins[0]]) if any(margins) else x
        x = x.reshape(len(x), self.groups, -1, rows, height, columns, width)
        if last.is_long:
            z = torch.view_as_real(torch.fft.rfft(x.transpose(5, 6), n=last.period))
            return z.permute(4, 3, 7, 6, 1, 0, 5, 2).reshape(height, rows * 2, -1)
        x = x.permute(4, 3, 5, 1, 0, 6, 2).reshape(height * rows, columns, -1)
        return (constant(_planar.last_analysis, last, like=x) @ x).view(height, rows * 2, -1)

    def synthesize(self, z: Tensor, samples: int) -> Tensor:
        """Image of columns, shape ``(n, channels, height, width)``."""
        (height, width), (rows, columns), last = self.strides, self.lengths, self.axes[-1]
        if last.is_long:
            real, imaginary = z.view(height * rows, 2, last.frequencies, -1).unbind(1)
            # PyTorch transposes matrices fast, and tensors of more dimensions slowly.
            parts = [torch.complex(*pair).T.contiguous() for pair in zip(real, imaginary, strict=True)]
            x = torch.stack([torch.fft.irfft(part, n=last.period)[:, :columns] for part in parts])
            x = x.view(height, rows, self.groups, samples, width, -1, columns).permute(3, 2, 5, 1, 0, 6, 4)
        else:
            z = z.view(height * rows, 2 * last.frequencies, -1)
            x = constant(_planar.last_synthesis, last, like=z) @ z
            x = x.view(height, rows, columns, self.groups, samples, width, -1).permute(4, 3, 6, 1, 0, 2, 5)
        x = x.reshape(samples, self.channels, rows * height, columns * width)
        x = x[..., : self.sizes[0], : self.sizes[1]]
        return x if len(self.axes) == 2 else x.squeeze(2)

    def spectrum(self, columns: Tensor, block: slice, samples: int) -> Tensor:
        """Spectrum of a block of frequencies of the last axis."""
        z = columns[..., self._span(block, samples)]
        if self.outer is not None:
            z = constant(_planar.outer_analysis, self.outer, like=z) @ z
        z = z.view(*z.shape[:2], -1, samples, self.inputs)
        return z.view(len(z), 2, -1, samples, self.inputs)

    def put(self, columns: Tensor, block: slice, spectrum: Tensor) -> None:
        """Write the columns of a spectrum."""
        for target, part in zip(columns[..., self._span(block, spectrum.shape[3])], spectrum, strict=True):
            if self.outer is None:
                target.copy_(part.view(2, -1))
            else:
                inverse = constant(_planar.outer_synthesis, self.outer, like=part)
                torch.mm(inverse, part.view(2 * self.outer.period, -1), out=target)

    def _span(self, block: slice, samples: int) -> slice:
        return slice(block.start * self.width(samples), block.stop * self.width(samples))
