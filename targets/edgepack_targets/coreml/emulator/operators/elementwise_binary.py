"""Operators on two tensors, broadcast (coremltools, mil/ops/defs/iOS15/elementwise_binary.py)."""

from __future__ import annotations

import torch

from edgepack_targets.coreml.emulator.operators.registry import Tensor, operator


@operator("add")
def add(x: Tensor, y: Tensor) -> Tensor:
    """x + y."""
    return torch.add(x, y)


@operator("mul")
def mul(x: Tensor, y: Tensor) -> Tensor:
    """x · y."""
    return torch.mul(x, y)
