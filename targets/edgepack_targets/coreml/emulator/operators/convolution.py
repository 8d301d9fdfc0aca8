"""Convolutions (coremltools, mil/ops/defs/iOS15/conv.py)."""

from __future__ import annotations

import math

from torch.nn import functional

from edgepack_targets.coreml.emulator.operators.registry import Ints, Site, Tensor, operator

_CONVOLVE = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}


@operator("conv")
def conv(
    site: Site, x: Tensor, weight: Tensor, bias: Tensor | None = None, strides: Ints | None = None,
    pad_type: str = "valid", pad: Ints | None = None, dilations: Ints | None = None, groups: int = 1,
) -> Tensor:  # fmt: skip
    """x (n, c, …) convolved with weight (out, c / groups, …)."""
    rank = x.dim() - 2
    strides, dilations = strides or (1,) * rank, dilations or (1,) * rank
    sides = padding(tuple(x.shape[2:]), tuple(weight.shape[2:]), strides, dilations, pad_type, pad)
    if all(before == after for before, after in sides):
        even = tuple(before for before, _ in sides)
        return _CONVOLVE[rank](x, weight, bias, strides, even, dilations, groups)
    return _CONVOLVE[rank](padded(x, sides), weight, bias, strides, 0, dilations, groups)


def padding(
    sizes: Ints, window: Ints, strides: Ints, dilations: Ints, pad_type: str, pad: Ints | None
) -> list[tuple[int, int]]:
    """What to put before and after each axis; with "same", what is odd goes after, "same_lower" before."""
    if pad_type == "valid":
        return [(0, 0)] * len(window)
    if pad_type == "custom":
        given = pad or (0,) * (2 * len(window))
        return list(zip(given[::2], given[1::2], strict=True))
    sides = []
    for size, taps, stride, dilation in zip(sizes, window, strides, dilations, strict=True):
        reach = (taps - 1) * dilation + 1
        total = max(0, (math.ceil(size / stride) - 1) * stride + reach - size)
        less, more = total // 2, total - total // 2
        sides.append((more, less) if pad_type == "same_lower" else (less, more))
    return sides


def padded(x: Tensor, sides: list[tuple[int, int]], value: float = 0.0) -> Tensor:
    """x with `value` around its last axes."""
    if not any(before or after for before, after in sides):
        return x
    return functional.pad(x, [n for side in reversed(sides) for n in side], value=value)
