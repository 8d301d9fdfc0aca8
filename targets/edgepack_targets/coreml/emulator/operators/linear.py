"""Products of matrices (coremltools, mil/ops/defs/iOS15/linear.py and iOS17's)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional

from edgepack_targets.coreml.emulator import errors
from edgepack_targets.coreml.emulator.operators.registry import Site, Tensor, Tensors, operator
from edgepack_targets.coreml.emulator.precision import BLOCK, to_half


@operator("linear")
def linear(site: Site, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x (…, in) times weight (out, in) transposed, plus bias (out,). From iOS 17 on dtypes may differ."""
    x, weight = _alike(x, weight)
    if site.in_half:
        product = multiplied(x, weight.t())
        return product if bias is None else product.add_(bias)
    return functional.linear(x, weight, bias if bias is None else bias.to(x.dtype))


@operator("matmul")
def matmul(
    site: Site, x: Tensor, y: Tensor, transpose_x: bool = False, transpose_y: bool = False
) -> Tensor:
    """x (…, m, k) times y (…, k, n), leading axes broadcast; one axis alone is k, and vanishes.

    From iOS 17 on dtypes may differ if one side is constant. Vectors are not transposed.
    """
    if transpose_x and x.dim() > 1:
        x = x.transpose(-1, -2)
    if transpose_y and y.dim() > 1:
        y = y.transpose(-1, -2)
    x, y = _alike(x, y)
    return multiplied(x, y) if site.in_half else torch.matmul(x, y)


@operator("einsum")
def einsum(site: Site, values: Tensors, equation: str) -> Tensor:
    """The product of two tensors that an equation names; axes of size 1 are broadcast.

    Core ML has "nchw,nwhu->nchu" and "chw,whr->chr", in any letters.
    """
    if site.in_half:
        return _einsum_in_half(values, equation)
    return torch.einsum(equation, *values)


def accumulated(partial: Callable[[int, int], Tensor], count: int) -> Tensor:
    """A sum of `count` products that is held in half precision between blocks of products.

    partial: the sum, in single precision, of the products from the first number up to the second.
    """
    total = to_half(partial(0, min(BLOCK, count)))
    for first in range(BLOCK, count, BLOCK):
        part = to_half(partial(first, min(first + BLOCK, count)))
        total = to_half(total.add_(part))
    return total


def multiplied(x: Tensor, y: Tensor) -> Tensor:
    """The matrix product of x (…, m, k) and y (…, k, n), accumulated in half precision."""
    down = y.dim() - 2 if y.dim() > 1 else 0
    return accumulated(
        lambda first, last: torch.matmul(
            x.narrow(-1, first, last - first), y.narrow(down, first, last - first)
        ),
        x.shape[-1],
    )


def _einsum_in_half(values: Tensors, equation: str) -> Tensor:
    sides, _, result = equation.replace(" ", "").partition("->")
    letters = sides.split(",")
    summed = [a for a in letters[0] if a not in result and all(a in side for side in letters)]
    if len(summed) != 1 or len(values) != len(letters):
        raise errors.unsupported(f"einsum equation {equation!r} in half precision")
    at = [side.index(summed[0]) for side in letters]
    return accumulated(
        lambda first, last: torch.einsum(
            equation, *(v.narrow(a, first, last - first) for v, a in zip(values, at, strict=True))
        ),
        max(v.shape[a] for v, a in zip(values, at, strict=True)),
    )


def _alike(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Both in a dtype that holds either."""
    if x.dtype is y.dtype:
        return x, y
    common = torch.promote_types(x.dtype, y.dtype)
    return x.to(common), y.to(common)
