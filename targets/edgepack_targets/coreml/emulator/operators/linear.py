"""Products of matrices (coremltools, mil/ops/defs/iOS15/linear.py)."""

from __future__ import annotations

from torch.nn import functional

from edgepack_targets.coreml.emulator.operators.registry import Site, Tensor, operator


@operator("linear")
def linear(site: Site, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x (…, in) times weight (out, in) transposed."""
    return functional.linear(x, weight, bias)
