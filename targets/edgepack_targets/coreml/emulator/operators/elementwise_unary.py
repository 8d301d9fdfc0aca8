"""Operators on one tensor (coremltools, mil/ops/defs/iOS15/elementwise_unary.py and iOS17's).

abs, exp2, sign and square take int32 besides fp16 and fp32.
"""

from __future__ import annotations

import torch

from edgepack_targets.coreml.emulator import errors
from edgepack_targets.coreml.emulator.kinds import BY_NAME
from edgepack_targets.coreml.emulator.operators.registry import Site, Tensor, operator
from edgepack_targets.coreml.emulator.precision import to_half

_EXACT_IN_SINGLE = 24
"""Bits of the widest integers that float32 holds all of."""


@operator("abs", moves=True)
def absolute(x: Tensor) -> Tensor:
    """|x|."""
    return torch.abs(x)


@operator("acos")
def acos(x: Tensor) -> Tensor:
    """The angle whose cosine is x."""
    return torch.acos(x)


@operator("asin")
def asin(x: Tensor) -> Tensor:
    """The angle whose sine is x."""
    return torch.asin(x)


@operator("atan")
def atan(x: Tensor) -> Tensor:
    """The angle whose tangent is x."""
    return torch.atan(x)


@operator("atanh")
def atanh(x: Tensor) -> Tensor:
    """The number whose hyperbolic tangent is x."""
    return torch.atanh(x)


@operator("cast")
def cast(x: Tensor, dtype: str) -> Tensor:
    """x in another data type.

    Fractions are cut off, integers beyond the type's ends stay at its ends, what is no number becomes 0.
    """
    kind = BY_NAME.get(dtype)
    if kind is None:
        raise errors.unsupported(f"cast to {dtype!r}")
    if kind.name == "bool":
        return x != 0
    if kind.is_float or x.dtype is torch.bool:
        return x.to(kind.carrier)
    if x.dtype.is_floating_point:
        wide = x if kind.bits <= _EXACT_IN_SINGLE else x.double()
        return torch.nan_to_num(wide, nan=0.0).clamp_(kind.low, kind.high).to(kind.carrier)
    ends = torch.iinfo(x.dtype)
    return x.clamp(max(kind.low, ends.min), min(kind.high, ends.max)).to(kind.carrier)


@operator("ceil", moves=True)
def ceil(x: Tensor) -> Tensor:
    """The least whole number from x up."""
    return torch.ceil(x)


@operator("clip")
def clip(x: Tensor, alpha: float, beta: float) -> Tensor:
    """x held between alpha and beta."""
    return torch.clamp(x, alpha, beta)


@operator("cos")
def cos(x: Tensor) -> Tensor:
    """The cosine of x."""
    return torch.cos(x)


@operator("cosh")
def cosh(x: Tensor) -> Tensor:
    """The hyperbolic cosine of x."""
    return torch.cosh(x)


@operator("erf")
def erf(x: Tensor) -> Tensor:
    """The Gauss error function of x."""
    return torch.erf(x)


@operator("exp")
def exp(x: Tensor) -> Tensor:
    """e to the power of x."""
    return torch.exp(x)


@operator("exp2")
def exp2(x: Tensor) -> Tensor:
    """2 to the power of x."""
    return torch.exp2(x)


@operator("floor", moves=True)
def floor(x: Tensor) -> Tensor:
    """The greatest whole number from x down."""
    return torch.floor(x)


@operator("inverse")
def inverse(site: Site, x: Tensor, epsilon: float | None = None) -> Tensor:
    """1 / (x + epsilon); epsilon is 1e-4 if it is not said otherwise."""
    return torch.add(x, _epsilon(site, epsilon, 1e-4)).reciprocal_()


@operator("log")
def log(site: Site, x: Tensor, epsilon: float | None = None) -> Tensor:
    """The natural logarithm of x + epsilon; epsilon is 1e-45 if it is not said otherwise.

    So log(0) is −103.28, but −∞ in half precision, which has no 1e-45.
    """
    return torch.add(x, _epsilon(site, epsilon, 1e-45)).log_()


@operator("logical_not")
def logical_not(x: Tensor) -> Tensor:
    """Whether x is false."""
    return torch.logical_not(x)


@operator("round", moves=True)
def nearest(x: Tensor) -> Tensor:
    """The nearest whole number, the even one of two."""
    return torch.round(x)


@operator("rsqrt")
def rsqrt(site: Site, x: Tensor, epsilon: float | None = None) -> Tensor:
    """1 / √(x + epsilon); epsilon is 1e-12 if it is not said otherwise."""
    return torch.add(x, _epsilon(site, epsilon, 1e-12)).rsqrt_()


@operator("sign", moves=True)
def sign(x: Tensor) -> Tensor:
    """−1, 0 or 1."""
    return torch.sign(x)


@operator("sin")
def sin(x: Tensor) -> Tensor:
    """The sine of x."""
    return torch.sin(x)


@operator("sinh")
def sinh(x: Tensor) -> Tensor:
    """The hyperbolic sine of x."""
    return torch.sinh(x)


@operator("sqrt")
def sqrt(x: Tensor) -> Tensor:
    """√x."""
    return torch.sqrt(x)


@operator("square")
def square(x: Tensor) -> Tensor:
    """x²."""
    return torch.square(x)


@operator("tan")
def tan(x: Tensor) -> Tensor:
    """The tangent of x."""
    return torch.tan(x)


@operator("tanh")
def tanh(x: Tensor) -> Tensor:
    """The hyperbolic tangent of x."""
    return torch.tanh(x)


@operator("threshold")
def threshold(x: Tensor, alpha: float) -> Tensor:
    """max(x, alpha)."""
    return torch.clamp(x, min=alpha)


def _epsilon(site: Site, given: float | None, default: float) -> float:
    """The epsilon named, or the default in the dtype of the operation."""
    if given is not None:
        return given
    kind = site.outputs[0].kind
    if kind is not None and kind.name == "fp16":
        return float(to_half(torch.tensor(default)))
    return default
