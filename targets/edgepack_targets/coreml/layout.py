"""Making, cutting and rearranging tensors where coremltools 9.0 lacks the operator or has it wrong.

Functions as in `arithmetic`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

from edgepack_targets.coreml.arithmetic import (
    Aten,
    Scalar,
    Table,
    Tensor,
    constant,
    is_bool,
    of_dtype,
)


def alias(aten: Aten, x: Tensor) -> Tensor:
    """The tensor itself. Missing in coremltools 9.0."""
    return aten.clone(x)


def filled(
    value: Scalar, aten: Aten, x: Tensor, size: Sequence[Any], dtype: Any = None, **_storage: Any
) -> Tensor:
    """A tensor full of one value, of x's dtype unless told. `new_ones` is missing in 9.0."""
    dtype = dtype or x.dtype
    return aten.full(list(size), of_dtype(value, dtype), dtype=dtype)


def filled_with(
    aten: Aten, x: Tensor, size: Sequence[Any], value: Scalar, dtype: Any = None, **_storage: Any
) -> Tensor:
    """A tensor full of `value`, of x's dtype unless told."""
    return filled(value, aten, x, size, dtype)


def filled_like(value: Scalar, aten: Aten, x: Tensor, dtype: Any = None, **_storage: Any) -> Tensor:
    """A tensor of x's shape, full of one value."""
    return filled(value, aten, x, list(x.shape), dtype)


def filled_with_like(
    aten: Aten, x: Tensor, value: Scalar, dtype: Any = None, **_storage: Any
) -> Tensor:
    """A tensor of x's shape, full of `value`."""
    return filled(value, aten, x, list(x.shape), dtype)


def where_scalars(aten: Aten, condition: Tensor, x: Any, y: Any) -> Tensor:
    """Choice between numbers, which coremltools gives a dtype of their own."""
    import torch

    dtype = torch.result_type(x, y)
    x, y = (
        v.to(dtype) if isinstance(v, torch.Tensor) else constant(aten, v, dtype) for v in (x, y)
    )
    return aten.where(condition, x, y)


def triu(aten: Aten, x: Tensor, diagonal: int = 0) -> Tensor:
    """Upper triangle: coremltools subtracts the lower one, which makes NaN of infinities."""
    return _where_distance(aten, x, lambda right: aten.ge(right, diagonal))


def tril(aten: Aten, x: Tensor, diagonal: int = 0) -> Tensor:
    """Lower triangle, as in `triu`."""
    return _where_distance(aten, x, lambda right: aten.le(right, diagonal))


def diff(
    aten: Aten,
    x: Tensor,
    n: int = 1,
    dim: int = -1,
    prepend: Tensor | None = None,
    append: Tensor | None = None,
) -> Tensor:
    """The n-th difference of neighbours along an axis. Missing in coremltools 9.0."""
    parts = [part for part in (prepend, x, append) if part is not None]
    x = aten.cat(parts, dim) if len(parts) > 1 else x
    for _ in range(n):
        length = x.shape[dim]
        later, earlier = aten.slice(x, dim, 1, length), aten.slice(x, dim, 0, length - 1)
        x = aten.ne(later, earlier) if is_bool(x) else later - earlier
    return x


def unfold(aten: Aten, x: Tensor, dim: int, size: int, step: int) -> Tensor:
    """Windows of an axis as a new last axis. Missing in coremltools 9.0."""
    import torch

    dim %= x.dim()
    count = (x.shape[dim] - size) // step + 1
    starts = torch.arange(count, device=x.device) * step
    picks = (starts[:, None] + torch.arange(size, device=x.device)[None]).reshape(-1)
    windows = aten.index_select(x, dim, picks)
    shape = [*x.shape[:dim], count, size, *x.shape[dim + 1 :]]
    return aten.reshape(windows, shape).movedim(dim + 1, -1)


def roll(aten: Aten, x: Tensor, shifts: Sequence[int], dims: Sequence[int] = ()) -> Tensor:
    """Roll of all elements as one row."""
    if dims:
        return NotImplemented
    return aten.roll(aten.reshape(x, [-1]), shifts, [0]).reshape(x.shape)


def bucketize(
    aten: Aten, x: Tensor, boundaries: Tensor, *, out_int32: bool = False, right: bool = False
) -> Tensor:
    """The number of boundaries below each value, or up to it."""
    import torch

    compare = aten.ge if right else aten.gt
    below = aten.sum(compare(x.unsqueeze(-1), boundaries), [-1])
    return below.to(torch.int32 if out_int32 else torch.int64)


def pad(
    aten: Aten, x: Tensor, sizes: Sequence[int], mode: str = "constant", value: float | None = None
) -> Tensor:
    """Circular padding, and negative padding, which cuts."""
    if mode == "circular":
        for axis, (before, after) in _sides(x, sizes):
            length = x.shape[axis]
            parts = [aten.slice(x, axis, length - before, length), x, aten.slice(x, axis, 0, after)]
            x = aten.cat(parts, axis)
        return x
    if mode != "constant" or min(sizes) >= 0:
        return NotImplemented
    return constant_pad(aten, x, sizes, value or 0.0)


def constant_pad(aten: Aten, x: Tensor, sizes: Sequence[int], value: Scalar = 0) -> Tensor:
    """Padding with a value where the size is positive, cutting where it is negative."""
    if min(sizes) >= 0:
        return NotImplemented
    for axis, (before, after) in _sides(x, sizes):
        x = aten.slice(x, axis, max(-before, 0), x.shape[axis] + min(after, 0))
    return aten.constant_pad_nd(x, [max(size, 0) for size in sizes], value)


def nearest(
    aten: Aten, x: Tensor, size: Sequence[Any] | None, scales: Sequence[float] | None = None
) -> Tensor:
    """Nearest neighbours by factors that are no integers: coremltools picks others."""
    import torch

    lengths = x.shape[2:]
    if not all(isinstance(length, int) for length in lengths):
        return NotImplemented
    if size is None:
        size = [math.floor(n * s) for n, s in zip(lengths, scales or (), strict=True)]
    if all(wanted % length == 0 for wanted, length in zip(size, lengths, strict=True)):
        return NotImplemented
    for axis, (length, wanted) in enumerate(zip(lengths, size, strict=True), start=2):
        step = 1.0 / scales[axis - 2] if scales else length / wanted
        source = torch.floor(torch.arange(wanted, dtype=torch.float32) * step)
        x = aten.index_select(x, axis, source.to(torch.int64).clamp(max=length - 1))
    return x


def matmul(aten: Aten, x: Tensor, y: Tensor) -> Tensor:
    """Products with vectors, for which coremltools has no axes."""
    if x.dim() > 1 and y.dim() > 1:
        return NotImplemented
    left = x.unsqueeze(0) if x.dim() == 1 else x
    right = y.unsqueeze(1) if y.dim() == 1 else y
    product = aten.matmul(left, right)
    if y.dim() == 1:
        product = product.squeeze(-1)
    return product.squeeze(-2 if y.dim() > 1 else -1) if x.dim() == 1 else product


def attention(
    aten: Aten,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Attention whose query has more heads than key and value, which coremltools overlooks."""
    if not enable_gqa or query.shape[-3] == key.shape[-3]:
        return NotImplemented
    groups = query.shape[-3] // key.shape[-3]
    key, value = (aten.repeat_interleave(t, groups, -3) for t in (key, value))
    return aten.scaled_dot_product_attention(
        query, key, value, attn_mask, dropout_p, is_causal, scale=scale
    )


def lstm_with_projection(aten: Aten, *arguments: Any) -> Any:
    """An LSTM whose state is projected, which MIL does not have, step by step."""
    from torch._decomp import decomposition_table

    weights, has_biases, layers, bidirectional = (arguments[i] for i in (2, 3, 4, 7))
    plain = layers * (2 if bidirectional else 1) * (4 if has_biases else 2)
    if len(weights) == plain:
        return NotImplemented
    return decomposition_table[aten.lstm.input](*arguments)


def _where_distance(aten: Aten, x: Tensor, keep: Callable[[Tensor], Tensor]) -> Tensor:
    """The tensor where `keep` holds of how far right of the diagonal it is, 0 elsewhere."""
    import torch

    rows, columns = x.shape[-2:]
    right = torch.arange(columns)[None, :] - torch.arange(rows)[:, None]
    return aten.where(keep(right), x, constant(aten, of_dtype(0, x.dtype), x.dtype))


def _sides(x: Tensor, sizes: Sequence[int]) -> list[tuple[int, tuple[int, int]]]:
    """(axis, (before, after)) of a padding, which torch lists from the last axis backwards."""
    pairs = zip(sizes[::2], sizes[1::2], strict=True)
    return [(x.dim() - 1 - index, pair) for index, pair in enumerate(pairs)]


_bind = functools.partial
TABLE: Table = (
    ("alias.default", alias),
    ("new_ones.default", _bind(filled, 1)),
    ("new_zeros.default new_empty.default", _bind(filled, 0)),
    ("new_full.default", filled_with),
    ("ones_like.default", _bind(filled_like, 1)),
    ("zeros_like.default empty_like.default", _bind(filled_like, 0)),
    ("full_like.default", filled_with_like),
    ("where.Scalar where.ScalarOther where.ScalarSelf", where_scalars),
    ("triu.default", triu),
    ("tril.default", tril),
    ("diff.default", diff),
    ("unfold.default", unfold),
    ("roll.default", roll),
    ("bucketize.Tensor", bucketize),
    ("pad.default", pad),
    ("constant_pad_nd.default", constant_pad),
    ("upsample_nearest1d.vec upsample_nearest2d.vec upsample_nearest3d.vec", nearest),
    ("matmul.default", matmul),
    ("scaled_dot_product_attention.default", attention),
    ("lstm.input", lstm_with_projection),
)
