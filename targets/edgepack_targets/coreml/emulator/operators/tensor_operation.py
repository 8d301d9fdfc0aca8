"""Operators on whole tensors (coremltools, mil/ops/defs/iOS15/tensor_operation.py).

iOS 16 adds `fill_like` and parameters of `topk`, iOS 17 more data types. Of equal values, sorting puts
the first first.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from edgepack_targets.coreml.emulator import errors
from edgepack_targets.coreml.emulator.kinds import SINGLE
from edgepack_targets.coreml.emulator.operators.registry import (
    Ints,
    Site,
    Tensor,
    Tensors,
    operator,
)

_FLOAT: dict[str, Any] = {"fp16": np.float16, "fp32": np.float32}


@operator("identity", moves=True)
def identity(x: Any) -> Any:
    """x, be it a tensor, a list or a dictionary."""
    return x


@operator("shape", moves=True)
def shape(x: Tensor) -> Tensor:
    """The sizes of x, a vector."""
    return torch.tensor(x.shape, dtype=torch.int32)


@operator("concat", moves=True)
def concat(values: Tensors, axis: int, interleave: bool = False) -> Tensor:
    """Tensors one after the other along an axis, numbers as a vector.

    interleave: the first part of each, then the second of each, and so on.
    """
    if values[0].dim() == 0:
        return torch.stack(values)
    if interleave:
        axis %= values[0].dim()
        return torch.stack(values, axis + 1).flatten(axis, axis + 1)
    return torch.cat(values, axis)


@operator("stack", moves=True)
def stack(values: Tensors, axis: int) -> Tensor:
    """Tensors one after the other along a new axis."""
    return torch.stack(values, axis)


@operator("split", moves=True)
def split(
    x: Tensor, axis: int, num_splits: int | None = None, split_sizes: Ints | None = None
) -> Tensors:
    """Parts of x along an axis, of the sizes given or all equal. Raises E509 if they do not add up."""
    if split_sizes is not None:
        return x.split(split_sizes, axis)
    if num_splits is None or x.shape[axis] % num_splits:
        raise errors.failed(f"{x.shape[axis]} values cannot be split into {num_splits} equal parts")
    return x.split(x.shape[axis] // num_splits, axis)


@operator("tile", moves=True)
def tile(x: Tensor, reps: Ints) -> Tensor:
    """`x` repeated reps[i] times along axis i."""
    return x.repeat(reps)


@operator("flatten2d", moves=True)
def flatten2d(x: Tensor, axis: int = 1) -> Tensor:
    """`x` as a matrix: axes before `axis` are rows, the others columns."""
    return x.reshape(math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))


@operator("pad", moves=True)
def pad(
    x: Tensor,
    pad: Ints,
    mode: str = "constant",
    constant_val: float = 0.0,
) -> Tensor:
    """`x` with its last axes made longer; `pad` names them in order, before and after each.

    mode: "constant", "reflect" (the edge itself is not repeated) or "replicate".
    """
    sides = list(zip(pad[::2], pad[1::2], strict=True))
    if mode == "constant":
        return functional.pad(x, [n for side in reversed(sides) for n in side], value=constant_val)
    for axis, (before, after) in enumerate(sides, x.dim() - len(sides)):
        if before or after:
            x = x.index_select(axis, _edges(x.shape[axis], before, after, mode))
    return x


def _edges(size: int, before: int, after: int, mode: str) -> Tensor:
    """Where the values of a longer axis come from."""
    places = torch.arange(-before, size + after)
    if mode == "replicate":
        return places.clamp(0, size - 1)
    if mode != "reflect":
        raise errors.unsupported(f"padding {mode!r}")
    if max(before, after) >= size:
        raise errors.failed(f"{size} values cannot be reflected {max(before, after)} times")
    return (size - 1) - ((size - 1) - places.abs()).abs()


@operator("band_part", moves=True)
def band_part(x: Tensor, lower: int = -1, upper: int = -1) -> Tensor:
    """Matrices with zeros outside a band of diagonals; a negative bound keeps the whole triangle."""
    if lower >= 0:
        x = x.triu(-lower)
    return x.tril(upper) if upper >= 0 else x


@operator("cumsum")
def cumsum(
    x: Tensor,
    axis: int = 0,
    exclusive: bool = False,
    reverse: bool = False,
) -> Tensor:
    """Running sums along an axis, from the end if reversed, without the value itself if exclusive."""
    if reverse:
        x = x.flip(axis)
    sums = x.cumsum(axis, dtype=x.dtype)
    if exclusive and x.shape[axis]:
        none = torch.zeros_like(sums.narrow(axis, 0, 1))
        sums = torch.cat([none, sums.narrow(axis, 0, x.shape[axis] - 1)], axis)
    return sums.flip(axis) if reverse else sums


@operator("fill", moves=True)
def fill(site: Site, shape: Ints, value: float = 0.0) -> Tensor:
    """A tensor of one value, of the value's data type."""
    kind = site.outputs[0].kind or SINGLE
    return torch.full(shape, value, dtype=kind.carrier)


@operator("fill_like", moves=True)
def fill_like(site: Site, ref_tensor: Tensor, value: float = 0.0) -> Tensor:
    """A tensor of one value, of the value's data type and the shape of another."""
    return fill(site, tuple(ref_tensor.shape), value)


@operator("range_1d", moves=True)
def range_1d(site: Site, start: float, end: float, step: float) -> Tensor:
    """start, start + step, … up to and without end.

    How many there are is reckoned in the declared data type, as coremltools infers it.
    """
    kind = site.outputs[0].kind or SINGLE
    number = _FLOAT.get(kind.name, np.float64)
    count = max(0, math.ceil(number(number(end) - number(start)) / number(step)))
    return (torch.arange(count, dtype=torch.float64) * step + start).to(kind.carrier)


@operator("non_zero", moves=True)
def non_zero(x: Tensor) -> Tensor:
    """(count, rank): where x is not 0, in order."""
    return x.nonzero()


@operator("one_hot", moves=True)
def one_hot(
    indices: Tensor,
    one_hot_vector_size: int,
    axis: int = -1,
    on_value: Tensor | None = None,
    off_value: Tensor | None = None,
) -> Tensor:
    """on_value where a new axis has the index, off_value elsewhere; an index out of range has none."""
    axis %= indices.dim() + 1
    numbers = torch.arange(one_hot_vector_size).reshape([-1] + [1] * (indices.dim() - axis))
    on = torch.tensor(1, dtype=torch.int32) if on_value is None else on_value.reshape(())
    off = torch.zeros_like(on) if off_value is None else off_value.reshape(())
    return torch.where(indices.unsqueeze(axis) == numbers, on, off)


@operator("argsort", moves=True)
def argsort(x: Tensor, axis: int = -1, ascending: bool = False) -> Tensor:
    """Where the values of x stand, in order along an axis, the greatest first."""
    return x.sort(dim=axis, descending=not ascending, stable=True).indices


@operator("topk", moves=True)
def topk(
    x: Tensor,
    k: int = 1,
    axis: int = -1,
    ascending: bool = False,
    sort: bool = True,  # noqa: ARG001
    return_indices: bool = True,
    output_indices_dtype: str = "int32",  # noqa: ARG001 the declared type says it
) -> Tensor | tuple[Tensor, Tensor]:
    """The k greatest values along an axis, or the least, and where they stand; -1 is all of them.

    They come in order whether or not that is asked for.
    """
    if k == 1:
        found = x.min(axis, keepdim=True) if ascending else x.max(axis, keepdim=True)
        values, indices = found.values, found.indices
    else:
        count = x.shape[axis] if k == -1 else k
        ordered = x.sort(dim=axis, descending=not ascending, stable=True)
        values, indices = (
            ordered.values.narrow(axis, 0, count),
            ordered.indices.narrow(axis, 0, count),
        )
    return (values, indices) if return_indices else values
