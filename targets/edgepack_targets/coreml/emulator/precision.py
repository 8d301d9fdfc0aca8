"""What "the values a phone computes" means where Core ML leaves it open.

Core ML treats a program's types as the least precision an operation may use: what is typed fp16 may run in
half precision on the Neural Engine or in single precision on the CPU. Three readings bracket that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

import torch

from edgepack_targets.coreml.emulator.kinds import Kind

Mode = Literal["exact", "fp16-accumulate", "fp32"]
"""exact: every result has its declared type, each operation computes in single precision inside.
fp16-accumulate: besides, sums of products are held in half precision between blocks of products.
fp32: fp16 results keep single precision, as on the CPU; only stored values are half.
"""

MODES: tuple[Mode, ...] = ("exact", "fp16-accumulate", "fp32")
BLOCK = 32
"""Products summed in single precision before a partial sum is rounded, in fp16-accumulate."""

Rounding = Callable[[torch.Tensor], torch.Tensor]
_AT_ONCE = 2**18
"""Values rounded in place at a time, so few that they stay in the processor's cache."""


def rounding(kind: Kind, mode: Mode, *, moved: bool) -> Rounding | None:
    """What brings an operation's result to its declared kind; None if its dtype is all there is to it.

    moved: whether the values come unchanged from others of the kind.
    """
    if kind.name == "fp16" and mode != "fp32" and not moved:
        return to_half
    if kind.name == "bf16" and not moved:
        return to_bfloat
    if kind.is_integer and kind.high < torch.iinfo(kind.carrier).max:
        return _wrapping(kind)
    return None


def to_half(values: torch.Tensor) -> torch.Tensor:
    """Values rounded to half precision, as float32; beyond 65504 they are infinite."""
    return values.half().float()


def rounded(result: torch.Tensor, how: Rounding, made_from: Iterable[Any]) -> torch.Tensor:
    """A result brought to its kind; a large one in place, if none of what it was made from lies there."""
    if how is not to_half or result.numel() <= _AT_ONCE or not result.is_floating_point():
        return how(result)
    if not result.is_contiguous() or _lies_in(result.untyped_storage().data_ptr(), made_from):
        return how(result)
    return halve(result)


def halve(values: torch.Tensor) -> torch.Tensor:
    """The same contiguous tensor, its values rounded to half precision."""
    for some in values.view(-1).split(_AT_ONCE):
        some.copy_(some.half())
    return values


def _lies_in(place: int, values: Iterable[Any]) -> bool:
    """Whether a tensor among values, or in tuples and lists of them, has its storage at `place`."""
    return any(
        value.untyped_storage().data_ptr() == place
        if isinstance(value, torch.Tensor)
        else isinstance(value, tuple | list) and _lies_in(place, value)
        for value in values
    )


def to_bfloat(values: torch.Tensor) -> torch.Tensor:
    """Values rounded to bfloat16, as float32."""
    return values.bfloat16().float()


def _wrapping(kind: Kind) -> Rounding:
    """Two's complement of fewer bits than the carrier's."""
    span = kind.high - kind.low + 1

    def wrap(values: torch.Tensor) -> torch.Tensor:
        if values.dtype.is_floating_point:
            values = values.to(torch.int64)
        return (values - kind.low).remainder(span) + kind.low

    return wrap
