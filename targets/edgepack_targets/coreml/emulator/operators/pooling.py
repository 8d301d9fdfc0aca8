"""Pools (coremltools, mil/ops/defs/iOS15/pool.py).

x: (n, c, …) with one to three axes to slide along. A window that ceil_mode lets reach over the end sees
nothing there; what the program pads it sees: zeros, which an average may leave out of its count.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.nn import functional

from edgepack_targets.coreml.emulator.operators.convolution import padded, padding
from edgepack_targets.coreml.emulator.operators.registry import Ints, Tensor, operator

_MAX = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}
_MEAN = {1: functional.avg_pool1d, 2: functional.avg_pool2d, 3: functional.avg_pool3d}


@dataclass(frozen=True, slots=True)
class _Windows:
    """sides: what the program pads; reached: what windows need, which with ceil_mode may be more at the end."""

    strides: Ints
    sides: list[tuple[int, int]]
    reached: list[tuple[int, int]]

    def even(self, kernel: Ints) -> Ints | None:
        """Padding that torch's pools do themselves; None if they cannot."""
        if self.sides != self.reached or any(a != b for a, b in self.sides):
            return None
        return tuple(a for a, _ in self.sides) if _fits(self.sides, kernel) else None


@operator("max_pool", moves=True)
def max_pool(
    x: Tensor, kernel_sizes: Ints, strides: Ints | None = None, pad_type: str = "valid",
    pad: Ints | None = None, ceil_mode: bool = False,
) -> Tensor:  # fmt: skip
    """The greatest value in each window; padding is never it."""
    windows = _windows(x, kernel_sizes, strides, pad_type, pad, ceil_mode)
    pool, even = _MAX[x.dim() - 2], windows.even(kernel_sizes)
    if even is not None:
        return pool(x, kernel_sizes, windows.strides, even)
    return pool(padded(x, windows.reached, -math.inf), kernel_sizes, windows.strides)


@operator("avg_pool")
def avg_pool(
    x: Tensor, kernel_sizes: Ints, strides: Ints | None = None, pad_type: str = "valid",
    pad: Ints | None = None, ceil_mode: bool = False, exclude_padding_from_average: bool = False,
) -> Tensor:  # fmt: skip
    """The mean of each window; padding counts as zeros unless it is excluded."""
    windows = _windows(x, kernel_sizes, strides, pad_type, pad, ceil_mode)
    pool, even = _MEAN[x.dim() - 2], windows.even(kernel_sizes)
    if even is not None:
        counts = not exclude_padding_from_average
        return pool(x, kernel_sizes, windows.strides, even, False, counts)
    means = pool(padded(x, windows.reached), kernel_sizes, windows.strides)
    ones = torch.ones((1, 1, *x.shape[2:]))
    if exclude_padding_from_average:
        ones = padded(ones, windows.reached)
    else:
        over = [(0, b - a) for (_, a), (_, b) in zip(windows.sides, windows.reached, strict=True)]
        ones = padded(padded(ones, windows.sides, 1.0), over)
    return means.div_(pool(ones, kernel_sizes, windows.strides))


@operator("l2_pool")
def l2_pool(
    x: Tensor, kernel_sizes: Ints, strides: Ints | None = None, pad_type: str = "valid",
    pad: Ints | None = None, ceil_mode: bool = False,
) -> Tensor:  # fmt: skip
    """The square root of the sum of squares in each window."""
    windows = _windows(x, kernel_sizes, strides, pad_type, pad, ceil_mode)
    pool = _MEAN[x.dim() - 2]
    means = pool(padded(x.square(), windows.reached), kernel_sizes, windows.strides)
    return means.mul_(math.prod(kernel_sizes)).sqrt_()


def _windows(
    x: Tensor,
    kernel: Ints,
    strides: Ints | None,
    pad_type: str,
    pad: Ints | None,
    ceil_mode: bool,
) -> _Windows:
    """Where windows lie.

    With ceil_mode there is one more if a stride is left over, unless it began in the padding after the end.
    """
    rank = x.dim() - 2
    strides = strides or (1,) * rank
    sizes = tuple(x.shape[2:])
    sides = padding(sizes, kernel, strides, (1,) * rank, pad_type.lower(), pad)
    if not ceil_mode:
        return _Windows(strides, sides, sides)
    reached = []
    for size, window, stride, (before, after) in zip(sizes, kernel, strides, sides, strict=True):
        count = -(-(size + before + after - window) // stride) + 1
        if before + after > 0 and (count - 1) * stride >= size + before:
            count -= 1
        over = (count - 1) * stride + window - (size + before + after)
        reached.append((before, after + max(0, over)))
    return _Windows(strides, sides, reached)


def _fits(sides: list[tuple[int, int]], kernel: Ints) -> bool:
    """Whether padding is at most half a window, the most torch's pools take."""
    return all(2 * before <= window for (before, _), window in zip(sides, kernel, strict=True))
