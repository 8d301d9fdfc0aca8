"""Activations (coremltools, mil/ops/defs/iOS15/activation.py)."""

from __future__ import annotations

import torch
from torch.nn import functional

from edgepack_targets.coreml.emulator.operators.registry import Tensor, operator


@operator("relu", moves=True)
def relu(x: Tensor) -> Tensor:
    """max(x, 0)."""
    return torch.relu(x)


@operator("relu6", moves=True)
def relu6(x: Tensor) -> Tensor:
    """x held between 0 and 6."""
    return functional.relu6(x)


@operator("sigmoid")
def sigmoid(x: Tensor) -> Tensor:
    """1 / (1 + exp(-x))."""
    return torch.sigmoid(x)


@operator("silu")
def silu(x: Tensor) -> Tensor:
    """x · sigmoid(x)."""
    return functional.silu(x)


@operator("softmax")
def softmax(x: Tensor, axis: int = -1) -> Tensor:
    """Softmax along one axis."""
    return torch.softmax(x, axis)
