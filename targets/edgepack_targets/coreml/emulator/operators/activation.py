"""Activations (coremltools, mil/ops/defs/iOS15/activation.py; iOS17 lets parameters have another dtype)."""

from __future__ import annotations

import torch
from torch.nn import functional

from edgepack_targets.coreml.emulator import errors
from edgepack_targets.coreml.emulator.operators.registry import Tensor, operator


@operator("clamped_relu")
def clamped_relu(x: Tensor, alpha: float, beta: float) -> Tensor:
    """min(x, beta) where x ≥ 0, min(alpha · x, beta) elsewhere."""
    return functional.leaky_relu(x, alpha).clamp_(max=beta)


@operator("elu")
def elu(x: Tensor, alpha: float) -> Tensor:
    """x where x > 0, alpha · (exp(x) − 1) elsewhere."""
    return functional.elu(x, alpha)


@operator("gelu")
def gelu(x: Tensor, mode: str = "EXACT") -> Tensor:
    """x · Φ(x), or one of two approximations of it: by a hyperbolic tangent, by sigmoid(1.702 x)."""
    if mode == "EXACT":
        return functional.gelu(x)
    if mode == "TANH_APPROXIMATION":
        return functional.gelu(x, approximate="tanh")
    if mode == "SIGMOID_APPROXIMATION":
        return torch.mul(x, 1.702).sigmoid_().mul_(x)
    raise errors.unsupported(f"gelu mode {mode!r}")


@operator("leaky_relu")
def leaky_relu(x: Tensor, alpha: float) -> Tensor:
    """x where x ≥ 0, alpha · x elsewhere."""
    return functional.leaky_relu(x, alpha)


@operator("linear_activation")
def linear_activation(x: Tensor, alpha: float, beta: float) -> Tensor:
    """alpha · x + beta."""
    return torch.mul(x, alpha).add_(beta)


@operator("prelu")
def prelu(x: Tensor, alpha: Tensor) -> Tensor:
    """x where x > 0, alpha · x elsewhere. x: (n, c, …); alpha: (c,)."""
    return torch.prelu(x, alpha)


@operator("relu", moves=True)
def relu(x: Tensor) -> Tensor:
    """max(x, 0)."""
    return torch.relu(x)


@operator("relu6", moves=True)
def relu6(x: Tensor) -> Tensor:
    """x held between 0 and 6."""
    return functional.relu6(x)


@operator("scaled_tanh")
def scaled_tanh(x: Tensor, alpha: float, beta: float) -> Tensor:
    """alpha · tanh(beta · x)."""
    return torch.mul(x, beta).tanh_().mul_(alpha)


@operator("sigmoid")
def sigmoid(x: Tensor) -> Tensor:
    """1 / (1 + exp(−x))."""
    return torch.sigmoid(x)


@operator("sigmoid_hard")
def sigmoid_hard(x: Tensor, alpha: float, beta: float) -> Tensor:
    """alpha · x + beta, held between 0 and 1."""
    return torch.mul(x, alpha).add_(beta).clamp_(0, 1)


@operator("silu")
def silu(x: Tensor) -> Tensor:
    """x · sigmoid(x)."""
    return functional.silu(x)


@operator("softmax")
def softmax(x: Tensor, axis: int = -1) -> Tensor:
    """exp(x) over the sum of exp(x) along one axis."""
    return torch.softmax(x, axis)


@operator("softplus")
def softplus(x: Tensor) -> Tensor:
    """log(1 + exp(x)). From 20 on it is x, from which it differs by less than single precision can say."""
    return functional.softplus(x)


@operator("softplus_parametric")
def softplus_parametric(x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    """alpha · log(1 + exp(beta · x)). x: (n, c, …); alpha, beta: (c,)."""
    along = (-1,) + (1,) * (x.dim() - 2)
    return functional.softplus(x * beta.reshape(along)).mul_(alpha.reshape(along))


@operator("softsign")
def softsign(x: Tensor) -> Tensor:
    """x / (1 + |x|)."""
    return functional.softsign(x)


@operator("thresholded_relu", moves=True)
def thresholded_relu(x: Tensor, alpha: float) -> Tensor:
    """x where x ≥ alpha, 0 elsewhere."""
    return torch.where(x >= alpha, x, 0.0)
