"""Operators on two tensors, broadcast (coremltools, mil/ops/defs/iOS15/elementwise_binary.py).

Arithmetic and comparisons take fp16, fp32 and int32, logic takes bool.
"""

from __future__ import annotations

import torch

from edgepack_targets.coreml.emulator.operators.registry import Tensor, operator


@operator("add")
def add(x: Tensor, y: Tensor) -> Tensor:
    """x + y."""
    return torch.add(x, y)


@operator("equal")
def equal(x: Tensor, y: Tensor) -> Tensor:
    """Whether x = y."""
    return torch.eq(x, y)


@operator("floor_div")
def floor_div(x: Tensor, y: Tensor) -> Tensor:
    """x / y, rounded towards −∞."""
    return torch.floor_divide(x, y)


@operator("greater")
def greater(x: Tensor, y: Tensor) -> Tensor:
    """Whether x > y."""
    return torch.gt(x, y)


@operator("greater_equal")
def greater_equal(x: Tensor, y: Tensor) -> Tensor:
    """Whether x ≥ y."""
    return torch.ge(x, y)


@operator("less")
def less(x: Tensor, y: Tensor) -> Tensor:
    """Whether x < y."""
    return torch.lt(x, y)


@operator("less_equal")
def less_equal(x: Tensor, y: Tensor) -> Tensor:
    """Whether x ≤ y."""
    return torch.le(x, y)


@operator("logical_and")
def logical_and(x: Tensor, y: Tensor) -> Tensor:
    """Whether both are true."""
    return torch.logical_and(x, y)


@operator("logical_or")
def logical_or(x: Tensor, y: Tensor) -> Tensor:
    """Whether one is true."""
    return torch.logical_or(x, y)


@operator("logical_xor")
def logical_xor(x: Tensor, y: Tensor) -> Tensor:
    """Whether just one is true."""
    return torch.logical_xor(x, y)


@operator("maximum", moves=True)
def maximum(x: Tensor, y: Tensor) -> Tensor:
    """The greater of both."""
    return torch.maximum(x, y)


@operator("minimum", moves=True)
def minimum(x: Tensor, y: Tensor) -> Tensor:
    """The smaller of both."""
    return torch.minimum(x, y)


@operator("mod")
def mod(x: Tensor, y: Tensor) -> Tensor:
    """x − y · ⌊x / y⌋: what remains has the sign of y."""
    return torch.remainder(x, y)


@operator("mul")
def mul(x: Tensor, y: Tensor) -> Tensor:
    """x · y."""
    return torch.mul(x, y)


@operator("not_equal")
def not_equal(x: Tensor, y: Tensor) -> Tensor:
    """Whether x ≠ y."""
    return torch.ne(x, y)


@operator("pow")
def power(x: Tensor, y: Tensor) -> Tensor:
    """x to the power of y; with integers, the fraction of a negative power is cut off."""
    if not x.dtype.is_floating_point:
        return torch.pow(x.double(), y.double()).to(torch.int64)
    return torch.pow(x, y.item() if y.dim() == 0 else y)


@operator("real_div")
def real_div(x: Tensor, y: Tensor) -> Tensor:
    """x / y; with integers, the fraction is cut off."""
    if not x.dtype.is_floating_point:
        return torch.div(x, y, rounding_mode="trunc")
    return torch.div(x, y)


@operator("sub")
def sub(x: Tensor, y: Tensor) -> Tensor:
    """x − y."""
    return torch.sub(x, y)
