"""Normalizations (coremltools, mil/ops/defs/iOS15/normalization.py and iOS17's).

From iOS 17 on parameters may have another dtype than x. Variances are of all values, not of a sample.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from edgepack_targets.coreml.emulator.operators.registry import Ints, Tensor, operator


@operator("batch_norm")
def batch_norm(
    x: Tensor, mean: Tensor, variance: Tensor, gamma: Tensor | None = None,
    beta: Tensor | None = None, epsilon: float = 1e-5,
) -> Tensor:  # fmt: skip
    """(x − mean) / √(variance + epsilon) · gamma + beta per channel. x: (n, c, …), all else (c,)."""
    return functional.batch_norm(x, mean, variance, gamma, beta, False, 0.0, epsilon)


@operator("instance_norm")
def instance_norm(
    x: Tensor, gamma: Tensor | None = None, beta: Tensor | None = None, epsilon: float = 1e-5
) -> Tensor:
    """x (n, c, …) to mean 0 and variance 1 per example and channel, times gamma (c,) plus beta (c,)."""
    return torch.group_norm(x, x.shape[1], gamma, beta, epsilon)


@operator("l2_norm")
def l2_norm(x: Tensor, epsilon: float = 1e-6) -> Tensor:
    """x / √(Σ x² + epsilon), summed over the last three axes."""
    total = x.square().sum((-3, -2, -1), keepdim=True)
    return x / total.add_(epsilon).sqrt_()


@operator("layer_norm")
def layer_norm(
    x: Tensor, axes: Ints | None = None, gamma: Tensor | None = None, beta: Tensor | None = None,
    epsilon: float = 1e-5,
) -> Tensor:  # fmt: skip
    """x to mean 0 and variance 1 over some axes, all if none are named, times gamma plus beta of their shape."""
    rank = x.dim()
    over = sorted(axis % rank for axis in axes) if axes else list(range(rank))
    sizes = [x.shape[axis] for axis in over]
    if over[0] == rank - len(over):
        return functional.layer_norm(x, sizes, gamma, beta, epsilon)
    variance, mean = torch.var_mean(x, over, correction=0, keepdim=True)
    normal = (x - mean).mul_(variance.add_(epsilon).rsqrt_())
    along = [size if axis in over else 1 for axis, size in enumerate(x.shape)]
    if gamma is not None:
        normal.mul_(gamma.reshape(along))
    return normal if beta is None else normal.add_(beta.reshape(along))


@operator("local_response_norm")
def local_response_norm(
    x: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """x / (k + alpha / size · Σ x²)^beta, summed over `size` neighboring channels, more of them before.

    Channels are the second axis of x (n, c, …); of three axes they are the first, as Apple's own expected
    values have it.
    """
    batched = x.unsqueeze(0) if x.dim() == 3 else x  # noqa: PLR2004 see above
    return functional.local_response_norm(batched, size, alpha, beta, k).reshape(x.shape)
