"""Arithmetic that coremltools 9.0 lacks or translates wrongly, said in operators it gets right.

Each function takes torch's operator namespace and an operator's own arguments and computes the same
result; torch traces it in place of the operator. NotImplemented leaves the operator as it is. Delete
a function with the first release of coremltools that is right without it; where upstream has mended
the fault after 9.0, the pull request is named.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

Tensor = Any
Aten = Any
Scalar = int | float | bool
Table = tuple[tuple[str, Callable[..., Any]], ...]


def constant(aten: Aten, value: Scalar, dtype: Any = None) -> Tensor:
    """A scalar tensor."""
    return aten.full([], value, dtype=dtype)


def is_bool(x: Any) -> bool:
    """Whether this is a tensor of booleans."""
    import torch

    return isinstance(x, torch.Tensor) and x.dtype == torch.bool


def of_dtype(value: Scalar, dtype: Any) -> Scalar:
    """The number as the kind of number a dtype holds."""
    import torch

    if dtype == torch.bool:
        return bool(value)
    return float(value) if dtype.is_floating_point else int(value)


def add(_aten: Aten, x: Tensor, y: Tensor | Scalar, alpha: Scalar = 1) -> Tensor:
    """The sum x + alpha·y: coremltools does not see `alpha` in exported programs."""
    return NotImplemented if alpha == 1 else x + y * alpha


def sub(_aten: Aten, x: Tensor, y: Tensor | Scalar, alpha: Scalar = 1) -> Tensor:
    """The difference x - alpha·y, as in `add`."""
    return NotImplemented if alpha == 1 else x - y * alpha


def rsub(aten: Aten, x: Tensor, y: Tensor | Scalar, alpha: Scalar = 1) -> Tensor:
    """The difference y - alpha·x, as in `add`."""
    return NotImplemented if alpha == 1 else aten.rsub(x * alpha, y)


def reciprocal(aten: Aten, x: Tensor) -> Tensor:
    """The quotient 1 / x: MIL's `inverse` adds 1e-4 to x. Mended after 9.0 (pull request 2773)."""
    return aten.div(constant(aten, 1.0, x.dtype), x)


def rsqrt(aten: Aten, x: Tensor) -> Tensor:
    """The quotient 1 / √x: MIL's `rsqrt` adds 1e-12 to x, in half precision 6e-8."""
    return aten.div(constant(aten, 1.0, x.dtype), aten.sqrt(x))


def atan2(aten: Aten, y: Tensor, x: Tensor) -> Tensor:
    """The angle of (x, y): coremltools gives 0 for that of (-1, 0). Mended after 9.0 (2769)."""
    zero_x = aten.eq(x, 0)
    slope = aten.div(y, aten.where(zero_x, aten.ones_like(x), x))
    turn = aten.where(aten.lt(y, 0), constant(aten, -math.pi), constant(aten, math.pi))
    angle = aten.atan(slope) + aten.where(aten.lt(x, 0), turn, constant(aten, 0.0))
    return aten.where(zero_x, aten.sign(y) * (math.pi / 2), angle)


def asinh(aten: Aten, x: Tensor) -> Tensor:
    """Inverse hyperbolic sine: coremltools calls an operation that MIL does not have."""
    size = aten.abs(x)
    return aten.sign(x) * aten.log(size + aten.sqrt(size * size + 1))


def acosh(aten: Aten, x: Tensor) -> Tensor:
    """Inverse hyperbolic cosine, as in `asinh`."""
    return aten.log(x + aten.sqrt(x * x - 1))


def erfc(aten: Aten, x: Tensor) -> Tensor:
    """The difference 1 - erf(x)."""
    return aten.rsub(aten.erf(x), 1)


def trunc(aten: Aten, x: Tensor) -> Tensor:
    """Rounding towards 0."""
    return aten.sign(x) * aten.floor(aten.abs(x)) if x.is_floating_point() else x.clone()


def fmod(aten: Aten, x: Tensor, y: Tensor | Scalar) -> Tensor:
    """The remainder of a division that rounds towards 0."""
    return x - aten.div(x, y, rounding_mode="trunc") * y


def isinf(aten: Aten, x: Tensor) -> Tensor:
    """Whether each element is an infinity."""
    return aten.eq(aten.abs(x), math.inf) if x.is_floating_point() else aten.ne(x, x)


def nan_to_num(
    aten: Aten,
    x: Tensor,
    nan: float | None = None,
    posinf: float | None = None,
    neginf: float | None = None,
) -> Tensor:
    """Other values for NaN and infinities: coremltools scatters them by indices it computes."""
    import torch

    if not x.is_floating_point():
        return x.clone()
    limits = torch.finfo(x.dtype)
    high = limits.max if posinf is None else posinf
    low = limits.min if neginf is None else neginf
    replaced = aten.where(aten.ne(x, x), constant(aten, nan or 0.0), x)
    replaced = aten.where(aten.eq(x, math.inf), constant(aten, high), replaced)
    return aten.where(aten.eq(x, -math.inf), constant(aten, low), replaced)


def shift_left(_aten: Aten, x: Tensor, bits: int) -> Tensor:
    """The product x · 2^bits."""
    return x * 2**bits


def shift_right(aten: Aten, x: Tensor, bits: int) -> Tensor:
    """The quotient x / 2^bits, rounded down."""
    return aten.div(x, 2**bits, rounding_mode="floor")


def softplus(aten: Aten, x: Tensor, beta: Scalar = 1, threshold: Scalar = 20) -> Tensor:
    """log(1 + exp(beta·x)) / beta, and x above the threshold, which coremltools overlooks."""
    if beta == 1 and threshold == 20:  # noqa: PLR2004 torch's default: no difference in float32
        return NotImplemented
    scaled = x * beta
    return aten.where(aten.gt(scaled, threshold), x, aten.softplus(scaled) / beta)


def log_softmax(aten: Aten, x: Tensor, dim: int, _half_to_float: bool = False) -> Tensor:
    """Logarithm of softmax: coremltools takes log(softmax(x)), which ends at -103."""
    shifted = x - aten.amax(x, [dim], True)
    return shifted - aten.log(aten.sum(aten.exp(shifted), [dim], True))


def log_softmax_in(aten: Aten, x: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """Logarithm of softmax as models call it, with a dtype to compute in."""
    return log_softmax(aten, x if dtype is None else x.to(dtype), dim)


def any_nonzero(aten: Aten, x: Tensor, *arguments: Any) -> Tensor:
    """Whether any element is not 0: coremltools rounds fractions to 0 first."""
    return NotImplemented if is_bool(x) else aten.any(aten.ne(x, 0), *arguments)


def all_nonzero(aten: Aten, x: Tensor, *arguments: Any) -> Tensor:
    """Whether all elements are not 0, as in `any_nonzero`."""
    return NotImplemented if is_bool(x) else aten.all(aten.ne(x, 0), *arguments)


def extreme_of_all(
    name: str, aten: Aten, x: Tensor, dim: int | None = None, keepdim: bool = False
) -> Tensor:
    """Place of the largest or smallest of all elements: coremltools searches each row."""
    if dim is not None:
        return NotImplemented
    found = getattr(aten, name)(aten.reshape(x, [-1]), 0)
    return aten.reshape(found, [1] * x.dim()) if keepdim else found


def spread(name: str, aten: Aten, x: Tensor, unbiased: bool = True) -> Tensor:
    """Variance or deviation of all elements: coremltools takes the biased one."""
    return getattr(aten, name).correction(x, list(range(x.dim())), correction=int(unbiased))


def spread_corrected(
    name: str,
    aten: Aten,
    x: Tensor,
    dim: Sequence[int] | None = None,
    *,
    correction: Scalar | None = None,
    keepdim: bool = False,
) -> Tensor:
    """Variance or deviation, with what torch leaves out said aloud."""
    if dim and correction is not None:
        return NotImplemented
    axes = list(dim) if dim else list(range(x.dim()))
    correction = 1 if correction is None else correction
    return getattr(aten, name).correction(x, axes, correction=correction, keepdim=keepdim)


def spread_and_mean(
    name: str,
    aten: Aten,
    x: Tensor,
    dim: Sequence[int] | None = None,
    *,
    correction: Scalar | None = None,
    keepdim: bool = False,
) -> tuple[Tensor, Tensor]:
    """Variance or deviation, and the mean."""
    axes = list(dim) if dim else list(range(x.dim()))
    correction = 1 if correction is None else correction
    made = getattr(aten, name).correction(x, axes, correction=correction, keepdim=keepdim)
    return made, aten.mean(x, axes, keepdim)


def cumulative(name: str, aten: Aten, x: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """Running sum or product along an axis counted from the end."""
    if dim >= 0:
        return NotImplemented
    return getattr(aten, name)(x, dim + x.dim(), dtype=dtype)


def cosine_similarity(aten: Aten, x: Tensor, y: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """Cosine of the angle between vectors along an axis, each length at least eps."""
    length_x = aten.clamp_min(aten.sqrt(aten.sum(x * x, [dim], True)), eps)
    length_y = aten.clamp_min(aten.sqrt(aten.sum(y * y, [dim], True)), eps)
    return aten.sum(aten.div(x, length_x) * aten.div(y, length_y), [dim])


def instance_norm(
    aten: Aten,
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor | None,
    variance: Tensor | None,
    use_input_stats: bool,
    momentum: float,
    eps: float,
    _cudnn: bool,
) -> Tensor:
    """Instance norm with tracked statistics, which coremltools overlooks, as a batch norm."""
    if use_input_stats:
        return NotImplemented
    return aten.batch_norm(x, weight, bias, mean, variance, False, momentum, eps, False)


def rms_norm(
    aten: Aten,
    x: Tensor,
    shape: Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    """X / √(mean(x²) + eps) · weight, scaled so that squares stay within half precision.

    coremltools scales too, but not `eps` with it, and makes NaN of a vector of zeros.
    """
    import torch

    axes = [axis - len(shape) for axis in range(len(shape))]
    eps = torch.finfo(x.dtype).eps if eps is None else eps
    scale = aten.clamp_min(aten.amax(aten.abs(x), axes, True), 1.0)
    small = aten.div(x, scale)
    mean = aten.mean(small * small, axes, True) + aten.div(constant(aten, eps), scale * scale)
    normal = aten.div(small, aten.sqrt(mean))
    return normal if weight is None else normal * weight


_bind = functools.partial
TABLE: Table = (
    ("add.Tensor add.Scalar", add),
    ("sub.Tensor sub.Scalar", sub),
    ("rsub.Tensor rsub.Scalar", rsub),
    ("reciprocal.default", reciprocal),
    ("rsqrt.default", rsqrt),
    ("atan2.default", atan2),
    ("asinh.default", asinh),
    ("acosh.default", acosh),
    ("erfc.default special_erfc.default", erfc),
    ("trunc.default", trunc),
    ("fmod.Tensor fmod.Scalar", fmod),
    ("isinf.default", isinf),
    ("nan_to_num.default", nan_to_num),
    ("__lshift__.Scalar bitwise_left_shift.Tensor_Scalar", shift_left),
    ("__rshift__.Scalar bitwise_right_shift.Tensor_Scalar", shift_right),
    ("softplus.default", softplus),
    ("_log_softmax.default", log_softmax),
    ("log_softmax.int", log_softmax_in),
    ("any.default any.dim any.dims", any_nonzero),
    ("all.default all.dim all.dims", all_nonzero),
    ("argmax.default", _bind(extreme_of_all, "argmax")),
    ("argmin.default", _bind(extreme_of_all, "argmin")),
    ("var.default", _bind(spread, "var")),
    ("std.default", _bind(spread, "std")),
    ("var.correction", _bind(spread_corrected, "var")),
    ("std.correction", _bind(spread_corrected, "std")),
    ("var_mean.correction", _bind(spread_and_mean, "var")),
    ("std_mean.correction", _bind(spread_and_mean, "std")),
    ("cumsum.default", _bind(cumulative, "cumsum")),
    ("cumprod.default", _bind(cumulative, "cumprod")),
    ("cosine_similarity.default", cosine_similarity),
    ("instance_norm.default", instance_norm),
    ("rms_norm.default", rms_norm),
)
