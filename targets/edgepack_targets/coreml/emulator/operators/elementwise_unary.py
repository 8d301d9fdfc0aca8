"""Operators on one tensor (coremltools, mil/ops/defs/iOS15/elementwise_unary.py)."""

from __future__ import annotations

import torch

from edgepack_targets.coreml.emulator.kinds import BY_NAME
from edgepack_targets.coreml.emulator.operators.registry import Tensor, operator


@operator("cast")
def cast(x: Tensor, dtype: str) -> Tensor:
    """x in another data type; fractions are cut off, integers beyond the type's ends stay at the ends."""
    kind = BY_NAME[dtype]
    if kind.name == "bool":
        return x != 0
    if kind.is_float:
        return x.to(kind.carrier)
    if x.dtype.is_floating_point:
        x = torch.nan_to_num(x.double(), nan=0.0).trunc().clamp(kind.low, kind.high)
    elif x.dtype is not torch.bool:
        x = x.clamp(max(kind.low, torch.iinfo(x.dtype).min), min(kind.high, torch.iinfo(x.dtype).max))
    return x.to(kind.carrier)


@operator("clip")
def clip(x: Tensor, alpha: float, beta: float) -> Tensor:
    """x held between alpha and beta."""
    return torch.clamp(x, alpha, beta)
