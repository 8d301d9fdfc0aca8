"""Choices and lists (coremltools, mil/ops/defs/iOS15/control_flow.py).

`const`, `cond` and `while_loop` are the program's own. A list is a Python list that nobody changes: what
writes to it makes another. Where nothing was written yet and the shape is open, it holds None.
"""

from __future__ import annotations

from typing import Any

import torch

from edgepack_targets.coreml.emulator import errors
from edgepack_targets.coreml.emulator.kinds import BY_NAME
from edgepack_targets.coreml.emulator.operators.registry import Ints, Tensor, Tensors, operator

_MOST_ITEMS = 2**24
"""Items a list may grow to hold."""


@operator("select", moves=True)
def select(cond: Tensor, a: Tensor | None = None, b: Tensor | None = None) -> Tensor:
    """`a` where cond, b elsewhere, broadcast; without a and b, where cond is true (count, rank)."""
    if a is None or b is None:
        return cond.nonzero()
    return torch.where(cond.bool(), a, b)


@operator("make_list", moves=True)
def make_list(
    elem_shape: Tensors = (),
    init_length: int = 1,
    dynamic_length: bool = True,  # noqa: ARG001
    dtype: str = "fp32",
) -> list[Tensor | None]:
    """A list of `init_length` tensors of zeros. elem_shape: sizes, or names of open ones."""
    if not 0 <= init_length <= _MOST_ITEMS:
        raise errors.failed(f"a list cannot have {init_length} items")
    if any(isinstance(size, str) for size in elem_shape):
        return [None] * init_length
    sizes = [n for size in elem_shape for n in size.reshape(-1).tolist()]
    return [torch.zeros(sizes, dtype=BY_NAME[dtype].carrier)] * init_length


@operator("list_length", moves=True)
def list_length(ls: Any) -> Tensor:
    """How many items a list has."""
    return torch.tensor(len(ls), dtype=torch.int32)


@operator("list_read", moves=True)
def list_read(ls: Any, index: int) -> Tensor:
    """An item of a list. Raises E509 if there is none."""
    if not 0 <= index < len(ls) or ls[index] is None:
        raise errors.failed(f"a list of {len(ls)} has no item {index}")
    item: Tensor = ls[index]
    return item


@operator("list_gather", moves=True)
def list_gather(ls: Any, indices: Ints) -> Tensor:
    """Items of a list, stacked on a new first axis."""
    return torch.stack([list_read(ls, index) for index in indices])


@operator("list_write", moves=True)
def list_write(ls: Any, index: int, value: Tensor) -> list[Tensor | None]:
    """The list with another item; it grows if the index is beyond its end."""
    return _written(ls, (index,), (value,))


@operator("list_scatter", moves=True)
def list_scatter(ls: Any, indices: Ints, value: Tensor) -> list[Tensor | None]:
    """The list with the slices of a tensor as items; it grows as need be."""
    return _written(ls, indices, value.unbind(0))


def _written(ls: list[Tensor | None], indices: Ints, values: Tensors) -> list[Tensor | None]:
    longest = max((index + 1 for index in indices), default=0)
    if longest > _MOST_ITEMS or min(indices, default=0) < 0:
        raise errors.failed(f"a list has no items {min(indices)} to {longest - 1}")
    written = ls + [torch.zeros_like(values[0])] * (longest - len(ls))
    for index, value in zip(indices, values, strict=True):
        written[index] = value
    return written
