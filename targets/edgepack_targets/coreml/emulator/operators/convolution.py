"""Convolutions (coremltools, mil/ops/defs/iOS15/conv.py; from iOS 17 on weights may have another dtype)."""

from __future__ import annotations

import math

import torch
from torch.nn import functional

from edgepack_targets.coreml.emulator import errors
from edgepack_targets.coreml.emulator.operators.linear import accumulated
from edgepack_targets.coreml.emulator.operators.registry import Ints, Site, Tensor, operator

_CONVOLVE = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
_TRANSPOSED = {
    1: functional.conv_transpose1d, 2: functional.conv_transpose2d, 3: functional.conv_transpose3d,
}  # fmt: skip
_BITS_OF_A_BYTE = 8


@operator("conv")
def conv(
    site: Site, x: Tensor, weight: Tensor, bias: Tensor | None = None, strides: Ints | None = None,
    pad_type: str = "valid", pad: Ints | None = None, dilations: Ints | None = None, groups: int = 1,
) -> Tensor:  # fmt: skip
    """x (n, c, …) convolved with weight (out, c / groups, …), plus bias (out,)."""
    rank = x.dim() - 2
    strides, dilations = strides or (1,) * rank, dilations or (1,) * rank
    sides = padding(tuple(x.shape[2:]), tuple(weight.shape[2:]), strides, dilations, pad_type, pad)
    if any(before != after for before, after in sides):
        x, sides = padded(x, sides), [(0, 0)] * rank
    even = tuple(before for before, _ in sides)
    convolve = _CONVOLVE[rank]
    if not site.in_half:
        return convolve(x, weight, bias, strides, even, dilations, groups)
    taps = math.prod(weight.shape[2:])

    def partial(first: int, last: int) -> Tensor:
        channels, part = _part(weight, taps, first, last)
        return convolve(
            _of_groups(x, channels, groups), part, None, strides, even, dilations, groups
        )

    return biased(accumulated(partial, taps * weight.shape[1]), bias)


@operator("conv_quantized")
def conv_quantized(
    site: Site, x: Tensor, weight: Tensor, quantization_type: str, quant_scale: Tensor,
    quant_bias: Tensor, nbits: int = 8, bias: Tensor | None = None, strides: Ints | None = None,
    pad_type: str = "valid", pad: Ints | None = None, dilations: Ints | None = None, groups: int = 1,
) -> Tensor:  # fmt: skip
    """conv with weights weight · quant_scale + quant_bias, of 8 bits each; scale and bias per output channel.

    What "lut" and fewer bits mean, its definition does not say.
    """
    if quantization_type != "linear" or nbits != _BITS_OF_A_BYTE:
        raise errors.unsupported(f"conv_quantized of type {quantization_type!r} with {nbits} bits")
    along = (-1,) + (1,) * (weight.dim() - 1)
    scaled = weight.to(x.dtype).mul_(quant_scale.reshape(along)).add_(quant_bias.reshape(along))
    offset = None if bias is None else bias.to(x.dtype)
    return conv(site, x, scaled, offset, strides, pad_type, pad, dilations, groups)


@operator("conv_transpose")
def conv_transpose(
    site: Site, x: Tensor, weight: Tensor, bias: Tensor | None = None, pad: Ints | None = None,
    output_shape: Ints | None = None, pad_type: str = "valid", strides: Ints | None = None,
    dilations: Ints | None = None, groups: int = 1,
) -> Tensor:  # fmt: skip
    """The transpose of conv: x (n, c, …) and weight (c, out / groups, …), plus bias (out,).

    The whole result has (size − 1) · stride + reach of the kernel along an axis. "custom" takes `pad` off its
    ends, "same" leaves size · stride, and output_shape names what is left; the cut before is then half of
    what is too much, rounded down. What is missing at the end is zero before the bias.
    """
    rank = x.dim() - 2
    strides, dilations = strides or (1,) * rank, dilations or (1,) * rank
    kernel = tuple(weight.shape[2:])
    full = tuple(
        (size - 1) * stride + (taps - 1) * dilation + 1
        for size, stride, taps, dilation in zip(
            x.shape[2:], strides, kernel, dilations, strict=True
        )
    )
    wanted = None if output_shape is None else output_shape[-rank:]
    windows = _windows(full, pad_type, pad, wanted, tuple(x.shape[2:]), strides)
    if site.in_half:
        whole = _transposed_in_half(x, weight, strides, dilations, groups)
        return biased(_cut(whole, windows), bias)
    before = tuple(first for first, _ in windows)
    extra = tuple(
        size - (have - 2 * first) for (first, size), have in zip(windows, full, strict=True)
    )
    convolve = _TRANSPOSED[rank]
    steps = zip(extra, strides, dilations, strict=True)
    if all(0 <= more < max(stride, dilation) or more == 0 for more, stride, dilation in steps):
        return convolve(x, weight, bias, strides, before, extra, groups, dilations)
    whole = convolve(x, weight, None, strides, 0, 0, groups, dilations)
    return biased(_cut(whole, windows), bias)


def padding(
    sizes: Ints, window: Ints, strides: Ints, dilations: Ints, pad_type: str, pad: Ints | None
) -> list[tuple[int, int]]:
    """What to put before and after each axis; with "same", what is odd goes after, "same_lower" before."""
    if pad_type == "valid":
        return [(0, 0)] * len(window)
    if pad_type == "custom":
        given = pad or (0,) * (2 * len(window))
        return list(zip(given[::2], given[1::2], strict=True))
    if pad_type not in ("same", "same_lower"):
        raise errors.unsupported(f"pad_type {pad_type!r}")
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


def biased(x: Tensor, bias: Tensor | None) -> Tensor:
    """x (n, c, …) plus bias (c,), in place."""
    return x if bias is None else x.add_(bias.reshape((-1,) + (1,) * (x.dim() - 2)))


def _windows(
    full: Ints, pad_type: str, pad: Ints | None, wanted: Ints | None, sizes: Ints, strides: Ints
) -> list[tuple[int, int]]:
    """Along each axis of a transposed convolution's whole result, where what is kept begins and its size."""
    if pad_type == "same":
        left = wanted or tuple(size * stride for size, stride in zip(sizes, strides, strict=True))
        return [(max(0, have - size) // 2, size) for have, size in zip(full, left, strict=True)]
    if pad_type not in ("valid", "custom"):
        raise errors.unsupported(f"pad_type {pad_type!r} of conv_transpose")
    sides = padding(full, full, strides, strides, pad_type, pad)
    left = wanted or tuple(n - a - b for n, (a, b) in zip(full, sides, strict=True))
    return [(before, size) for (before, _), size in zip(sides, left, strict=True)]


def _cut(whole: Tensor, windows: list[tuple[int, int]]) -> Tensor:
    """What the windows keep of the whole, with zeros for what it lacks."""
    short = [
        (0, max(0, first + size - have))
        for (first, size), have in zip(windows, whole.shape[2:], strict=True)
    ]
    whole = padded(whole, short)
    for axis, (first, size) in enumerate(windows, start=2):
        whole = whole.narrow(axis, first, size)
    return whole


def _transposed_in_half(
    x: Tensor, weight: Tensor, strides: Ints, dilations: Ints, groups: int
) -> Tensor:
    """The whole transposed convolution; its products are ordered by channel, then by place in the kernel."""
    taps = math.prod(weight.shape[2:])
    each = weight.shape[0] // groups
    by_output = weight.unflatten(0, (groups, each)).transpose(1, 2).flatten(0, 1)

    def partial(first: int, last: int) -> Tensor:
        channels, part = _part(by_output, taps, first, last)
        part = part.unflatten(0, (groups, -1)).transpose(1, 2).flatten(0, 1)
        convolve = _TRANSPOSED[x.dim() - 2]
        chosen = _of_groups(x, channels, groups)
        return convolve(chosen, part, None, strides, 0, 0, groups, dilations)

    return accumulated(partial, taps * each)


def _part(weight: Tensor, taps: int, first: int, last: int) -> tuple[slice, Tensor]:
    """The channels of weight (out, c, …) that some of each output's products need, zeros for its others."""
    begin, end = first // taps, -(-last // taps)
    part = weight[:, begin:end].clone(memory_format=torch.contiguous_format)
    flat = part.view(len(part), -1)
    flat[:, : first - begin * taps] = 0
    flat[:, last - begin * taps :] = 0
    return slice(begin, end), part


def _of_groups(x: Tensor, channels: slice, groups: int) -> Tensor:
    """Some of the channels of each group of x (n, c, …)."""
    return x.unflatten(1, (groups, -1))[:, :, channels].flatten(1, 2)
