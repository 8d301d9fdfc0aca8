"""Reductions (coremltools, mil/ops/defs/iOS15/reduction.py)."""

from __future__ import annotations

from edgepack_targets.coreml.emulator.operators.registry import Ints, Tensor, operator


@operator("reduce_mean")
def reduce_mean(x: Tensor, axes: Ints | None = None, keep_dims: bool = False) -> Tensor:
    """The mean over some axes, all if none are named."""
    return x.mean(axes or None, keepdim=keep_dims)
