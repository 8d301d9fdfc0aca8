"""Reductions (coremltools, mil/ops/defs/iOS15/reduction.py and iOS17's).

All take fp16, fp32 and int32. Axes not named are all axes; an empty list of them names none. With integers
the result is computed in double precision where it may have a fraction, which is cut off.
"""

from __future__ import annotations

import torch

from edgepack_targets.coreml.emulator.operators.registry import Ints, Tensor, operator


@operator("reduce_argmax")
def reduce_argmax(
    x: Tensor, axis: int = -1, keep_dims: bool = False, output_dtype: str = "int32"
) -> Tensor:
    """Where along an axis the first of the greatest values is. The declared type says how it is kept."""
    del output_dtype
    return torch.argmax(x, axis, keepdim=keep_dims)


@operator("reduce_argmin")
def reduce_argmin(
    x: Tensor, axis: int = -1, keep_dims: bool = False, output_dtype: str = "int32"
) -> Tensor:
    """Where along an axis the first of the least values is. The declared type says how it is kept."""
    del output_dtype
    return torch.argmin(x, axis, keepdim=keep_dims)


@operator("reduce_l1_norm")
def reduce_l1_norm(x: Tensor, axes: Ints | None = None, keep_dims: bool = False) -> Tensor:
    """The sum of absolute values."""
    x, over, keep = _along(x, axes, keep_dims)
    return x.abs().sum(over, keepdim=keep)


@operator("reduce_l2_norm")
def reduce_l2_norm(x: Tensor, axes: Ints | None = None, keep_dims: bool = False) -> Tensor:
    """The square root of the sum of squares."""
    x, over, keep = _along(_divisible(x), axes, keep_dims)
    return x.square().sum(over, keepdim=keep).sqrt_()


@operator("reduce_log_sum")
def reduce_log_sum(x: Tensor, axes: Ints | None = None, keep_dims: bool = False) -> Tensor:
    """The natural logarithm of the sum."""
    x, over, keep = _along(_divisible(x), axes, keep_dims)
    return x.sum(over, keepdim=keep).log_()


@operator("reduce_log_sum_exp")
def reduce_log_sum_exp(x: Tensor, axes: Ints | None = None, keep_dims: bool = False) -> Tensor:
    """The natural logarithm of the sum of exponentials, without overflow."""
    x, over, keep = _along(_divisible(x), axes, keep_dims)
    return torch.logsumexp(x, over, keepdim=keep)


@operator("reduce_max", moves=True)
def reduce_max(x: Tensor, axes: Ints | None = None, keep_dims: bool = False) -> Tensor:
    """The greatest value."""
    x, over, keep = _along(x, axes, keep_dims)
    return torch.amax(x, over, keepdim=keep)


@operator("reduce_mean")
def reduce_mean(x: Tensor, axes: Ints | None = None, keep_dims: bool = False) -> Tensor:
    """The mean."""
    x, over, keep = _along(_divisible(x), axes, keep_dims)
    return x.mean(over, keepdim=keep)


@operator("reduce_min", moves=True)
def reduce_min(x: Tensor, axes: Ints | None = None, keep_dims: bool = False) -> Tensor:
    """The least value."""
    x, over, keep = _along(x, axes, keep_dims)
    return torch.amin(x, over, keepdim=keep)


@operator("reduce_prod")
def reduce_prod(x: Tensor, axes: Ints | None = None, keep_dims: bool = False) -> Tensor:
    """The product."""
    x, over, keep = _along(x, axes, keep_dims)
    for axis in sorted((axis % x.dim() for axis in over), reverse=True):
        x = x.prod(axis, keepdim=keep)
    return x


@operator("reduce_sum")
def reduce_sum(x: Tensor, axes: Ints | None = None, keep_dims: bool = False) -> Tensor:
    """The sum."""
    x, over, keep = _along(x, axes, keep_dims)
    return x.sum(over, keepdim=keep)


@operator("reduce_sum_square")
def reduce_sum_square(x: Tensor, axes: Ints | None = None, keep_dims: bool = False) -> Tensor:
    """The sum of squares."""
    x, over, keep = _along(x, axes, keep_dims)
    return x.square().sum(over, keepdim=keep)


def _along(x: Tensor, axes: Ints | None, keep: bool) -> tuple[Tensor, Ints, bool]:
    """The axes to reduce, never none of them, which torch would take for all."""
    over = tuple(range(x.dim())) if axes is None else axes
    return (x, over, keep) if over else (x.unsqueeze(-1), (-1,), False)


def _divisible(x: Tensor) -> Tensor:
    """Integers in a dtype that has fractions."""
    return x if x.dtype.is_floating_point else x.double()
