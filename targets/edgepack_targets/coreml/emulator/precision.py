"""What "the values a phone computes" means where Core ML leaves it open.

Core ML treats a program's types as the least precision an operation may use: what is typed fp16 may run in
half precision on the Neural Engine or in single precision on the CPU. Three readings bracket that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

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
