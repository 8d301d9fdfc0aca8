"""What operators of MIL compute, in numpy and double precision, written from Apple's reference.

Arrays of floats come in as float64 and leave so; what an operation is not told it takes from its signature,
as the reference states the default. Windows are gone through one by one: slow, and plain to read.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def _erf(x: Array) -> Array:
    return np.vectorize(math.erf, otypes=[np.float64])(x)


def _gelu(x: Array, mode: str = "EXACT") -> Array:
    if mode == "TANH_APPROXIMATION":
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    if mode == "SIGMOID_APPROXIMATION":
        return x / (1 + np.exp(-1.702 * x))
    return 0.5 * x * (1 + _erf(x / math.sqrt(2)))


def _softmax(x: Array, axis: int = -1) -> Array:
    raised = np.exp(x - x.max(axis=axis, keepdims=True))
    return raised / raised.sum(axis=axis, keepdims=True)


def _channels(values: Array, rank: int) -> Array:
    return values.reshape((-1,) + (1,) * (rank - 2))


def _cast(x: Array, dtype: str) -> Array:
    wanted = {"fp16": np.float16, "fp32": np.float32, "bool": np.bool_}.get(dtype)
    if wanted is not None:
        return x.astype(wanted)
    ends = np.iinfo(dtype)
    return np.clip(np.trunc(x), ends.min, ends.max).astype(np.int64)


def _cut(values: Array, like: Array) -> Array:
    return np.trunc(values).astype(np.int64) if like.dtype.kind == "i" else values


def _axes(x: Array, axes: Any) -> tuple[int, ...]:
    return tuple(range(x.ndim)) if axes is None else tuple(axes)


def _reduction(of: Callable[..., Array]) -> Callable[..., Array]:
    def reduced(x: Array, axes: Any = None, keep_dims: bool = False) -> Array:
        return _cut(of(x.astype(np.float64), axis=_axes(x, axes), keepdims=keep_dims), x)

    return reduced


def _first(of: Callable[..., Array]) -> Callable[..., Array]:
    def found(x: Array, axis: int = -1, keep_dims: bool = False, output_dtype: str = "") -> Array:
        return of(x, axis=axis, keepdims=keep_dims)

    return found


def _linear(x: Array, weight: Array, bias: Array | None = None) -> Array:
    return x @ weight.T + (0 if bias is None else bias)


def _matmul(x: Array, y: Array, transpose_x: bool = False, transpose_y: bool = False) -> Array:
    return (x.swapaxes(-1, -2) if transpose_x else x) @ (y.swapaxes(-1, -2) if transpose_y else y)


def _einsum(values: list[Array], equation: str) -> Array:
    return np.einsum(equation, *values)


def _attention(query: Array, key: Array, value: Array, attn_mask: Array | None = None) -> Array:
    scores = query @ key.swapaxes(-1, -2) / math.sqrt(query.shape[-1])
    if attn_mask is not None and attn_mask.dtype == bool:
        scores = np.where(attn_mask, scores, -np.inf)
    elif attn_mask is not None:
        scores = scores + attn_mask
    return _softmax(scores) @ value


def sides(
    sizes: Any, window: Any, strides: Any, dilations: Any, pad_type: str, pad: Any
) -> list[tuple[int, int]]:
    """Padding before and after each axis: "same" gives ceil(size / stride) places, more of it after."""
    if pad_type == "valid":
        return [(0, 0) for _ in window]
    if pad_type == "custom":
        return [(pad[2 * i], pad[2 * i + 1]) for i in range(len(window))]
    found = []
    for size, taps, stride, dilation in zip(sizes, window, strides, dilations, strict=True):
        total = max(0, (-(-size // stride) - 1) * stride + (taps - 1) * dilation + 1 - size)
        half = (total // 2, total - total // 2)
        found.append(half[::-1] if pad_type == "same_lower" else half)
    return found


def _conv(
    x: Array, weight: Array, bias: Array | None = None, strides: Any = None, pad_type: str = "valid",
    pad: Any = None, dilations: Any = None, groups: int = 1,
) -> Array:  # fmt: skip
    rank = x.ndim - 2
    strides, dilations = strides or [1] * rank, dilations or [1] * rank
    around = sides(x.shape[2:], weight.shape[2:], strides, dilations, pad_type, pad)
    x = np.pad(x, [(0, 0), (0, 0), *around])
    reach = [(taps - 1) * d + 1 for taps, d in zip(weight.shape[2:], dilations, strict=True)]
    out = [(n - r) // s + 1 for n, r, s in zip(x.shape[2:], reach, strides, strict=True)]
    result = np.zeros((x.shape[0], weight.shape[0], *out))
    each_in, each_out = weight.shape[1], weight.shape[0] // groups
    for place in np.ndindex(*out):
        window = tuple(
            slice(p * s, p * s + r, d)
            for p, s, r, d in zip(place, strides, reach, dilations, strict=True)
        )
        for channel in range(weight.shape[0]):
            first = channel // each_out * each_in
            seen = x[(slice(None), slice(first, first + each_in), *window)]
            result[(slice(None), channel, *place)] = (seen * weight[channel]).sum(
                axis=tuple(range(1, rank + 2))
            )
    return result if bias is None else result + _channels(bias, x.ndim)


def _conv_transpose(
    x: Array, weight: Array, bias: Array | None = None, pad: Any = None, output_shape: Any = None,
    pad_type: str = "valid", strides: Any = None, dilations: Any = None, groups: int = 1,
) -> Array:  # fmt: skip
    rank = x.ndim - 2
    strides, dilations = strides or [1] * rank, dilations or [1] * rank
    reach = [(taps - 1) * d + 1 for taps, d in zip(weight.shape[2:], dilations, strict=True)]
    full = [(n - 1) * s + r for n, s, r in zip(x.shape[2:], strides, reach, strict=True)]
    each_in, each_out = weight.shape[0] // groups, weight.shape[1]
    # Room at the end for what an output shape asks for beyond the products.
    result = np.zeros(
        (x.shape[0], each_out * groups, *(n + 2 * s for n, s in zip(full, strides, strict=True)))
    )
    for place in np.ndindex(*x.shape[2:]):
        window = tuple(
            slice(p * s, p * s + r, d)
            for p, s, r, d in zip(place, strides, reach, dilations, strict=True)
        )
        for channel in range(weight.shape[0]):
            first = channel // each_in * each_out
            value = x[(slice(None), channel, *place)].reshape((-1,) + (1,) * (rank + 1))
            result[(slice(None), slice(first, first + each_out), *window)] += (
                value * weight[channel]
            )
    wanted = None if output_shape is None else list(output_shape[-rank:])
    if pad_type == "same":
        kept = wanted or [n * s for n, s in zip(x.shape[2:], strides, strict=True)]
        before = [max(0, have - size) // 2 for have, size in zip(full, kept, strict=True)]
    else:
        ends = (
            [(0, 0)] * rank if pad_type == "valid" else list(zip(pad[::2], pad[1::2], strict=True))
        )
        before = [a for a, _ in ends]
        kept = wanted or [n - a - b for n, (a, b) in zip(full, ends, strict=True)]
    window = tuple(slice(a, a + size) for a, size in zip(before, kept, strict=True))
    result = result[(slice(None), slice(None), *window)]
    return result if bias is None else result + _channels(bias, x.ndim)


def _windows(
    x: Array, kernel_sizes: Any, strides: Any, pad_type: str, pad: Any, ceil_mode: bool
) -> tuple[list[int], Iterator[tuple[Any, Array, int]]]:
    """Sizes of a pool's result, and each place with what its window sees and how much of that is padded.

    What it sees is what the program has, without padding; the count is of values and padding it covers.
    """
    rank = x.ndim - 2
    strides = strides or [1] * rank
    around = sides(x.shape[2:], kernel_sizes, strides, [1] * rank, pad_type, pad)
    out = []
    for size, taps, stride, (a, b) in zip(x.shape[2:], kernel_sizes, strides, around, strict=True):
        over = stride - 1 if ceil_mode else 0
        count = (size + a + b - taps + over) // stride + 1
        if ceil_mode and a + b > 0 and (count - 1) * stride >= size + a:
            count -= 1
        out.append(count)

    def each() -> Iterator[tuple[Any, Array, int]]:
        for place in np.ndindex(*out):
            seen, covered = [], 1
            for p, s, taps, size, (a, b) in zip(
                place, strides, kernel_sizes, x.shape[2:], around, strict=True
            ):
                first = p * s - a
                seen.append(slice(max(0, first), max(0, min(size, first + taps))))
                covered *= min(size + b, first + taps) - first
            yield place, x[(slice(None), slice(None), *seen)].reshape((*x.shape[:2], -1)), covered

    return out, each()


def _pool(of: Callable[[Array, int], Array]) -> Callable[..., Array]:
    def pooled(
        x: Array, kernel_sizes: Any, strides: Any = None, pad_type: str = "valid", pad: Any = None,
        ceil_mode: bool = False, exclude_padding_from_average: bool = False,
    ) -> Array:  # fmt: skip
        out, windows = _windows(x, kernel_sizes, strides, pad_type, pad, ceil_mode)
        result = np.zeros((*x.shape[:2], *out))
        for place, seen, covered in windows:
            count = seen.shape[-1] if exclude_padding_from_average else covered
            result[(slice(None), slice(None), *place)] = of(seen, count)
        return result

    return pooled


def _normal(x: Array, axes: Any, epsilon: float) -> Array:
    mean = x.mean(axis=tuple(axes), keepdims=True)
    variance = ((x - mean) ** 2).mean(axis=tuple(axes), keepdims=True)
    return (x - mean) / np.sqrt(variance + epsilon)


def _batch_norm(
    x: Array, mean: Array, variance: Array, gamma: Array | None = None, beta: Array | None = None,
    epsilon: float = 1e-5,
) -> Array:  # fmt: skip
    y = (x - _channels(mean, x.ndim)) / np.sqrt(_channels(variance, x.ndim) + epsilon)
    y = y if gamma is None else y * _channels(gamma, x.ndim)
    return y if beta is None else y + _channels(beta, x.ndim)


def _instance_norm(
    x: Array, gamma: Array | None = None, beta: Array | None = None, epsilon: float = 1e-5
) -> Array:
    y = _normal(x, range(2, x.ndim), epsilon)
    y = y if gamma is None else y * _channels(gamma, x.ndim)
    return y if beta is None else y + _channels(beta, x.ndim)


def _layer_norm(
    x: Array, axes: Any = None, gamma: Array | None = None, beta: Array | None = None,
    epsilon: float = 1e-5,
) -> Array:  # fmt: skip
    over = sorted(a % x.ndim for a in _axes(x, axes))
    shape = [n if i in over else 1 for i, n in enumerate(x.shape)]
    y = _normal(x, over, epsilon)
    y = y if gamma is None else y * gamma.reshape(shape)
    return y if beta is None else y + beta.reshape(shape)


def _local_response_norm(
    x: Array, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Array:
    axis = 0 if x.ndim == 3 else 1
    squares, total = np.moveaxis(x**2, axis, 0), np.zeros(np.moveaxis(x, axis, 0).shape)
    for i, j in itertools.product(range(len(total)), repeat=2):
        if i - size // 2 <= j <= i + (size - 1) // 2:
            total[i] += squares[j]
    return x / (k + alpha / size * np.moveaxis(total, 0, axis)) ** beta


def _log_sum_exp(x: Array, axis: Any, keepdims: bool) -> Array:
    return np.log(np.exp(x).sum(axis=axis, keepdims=keepdims))


def _real_div(x: Array, y: Array) -> Array:
    return _cut(x / y, x)


def _pow(x: Array, y: Array) -> Array:
    return _cut(x.astype(np.float64) ** y, x)


FORMULAS: dict[str, Callable[..., Any]] = {
    "clamped_relu": lambda x, alpha, beta: np.minimum(np.where(x >= 0, x, alpha * x), beta),
    "elu": lambda x, alpha: np.where(x > 0, x, alpha * (np.exp(x) - 1)),
    "gelu": _gelu,
    "leaky_relu": lambda x, alpha: np.where(x >= 0, x, alpha * x),
    "linear_activation": lambda x, alpha, beta: alpha * x + beta,
    "prelu": lambda x, alpha: np.where(x > 0, x, _channels(alpha, x.ndim) * x),
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "scaled_tanh": lambda x, alpha, beta: alpha * np.tanh(beta * x),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "sigmoid_hard": lambda x, alpha, beta: np.clip(alpha * x + beta, 0, 1),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "softmax": _softmax,
    "softplus": lambda x: np.log1p(np.exp(x)),
    "softplus_parametric": lambda x, alpha, beta: (
        _channels(alpha, x.ndim) * np.log1p(np.exp(_channels(beta, x.ndim) * x))
    ),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "thresholded_relu": lambda x, alpha: np.where(x >= alpha, x, 0),
    "abs": np.abs, "acos": np.arccos, "asin": np.arcsin, "atan": np.arctan, "atanh": np.arctanh,
    "cast": _cast, "ceil": np.ceil, "clip": lambda x, alpha, beta: np.minimum(np.maximum(x, alpha), beta),
    "cos": np.cos, "cosh": np.cosh, "erf": _erf, "exp": np.exp,
    "exp2": lambda x: _cut(2.0**x, x), "floor": np.floor,
    "inverse": lambda x, epsilon=1e-4: 1 / (x + epsilon),
    "log": lambda x, epsilon=1e-45: np.log(x + epsilon),
    "logical_not": np.logical_not, "round": np.rint,
    "rsqrt": lambda x, epsilon=1e-12: 1 / np.sqrt(x + epsilon),
    "sign": np.sign, "sin": np.sin, "sinh": np.sinh, "sqrt": np.sqrt, "square": np.square,
    "tan": np.tan, "tanh": np.tanh, "threshold": np.maximum,
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "real_div": _real_div,
    "floor_div": lambda x, y: np.floor(x / y), "mod": lambda x, y: x - y * np.floor(x / y),
    "pow": _pow, "maximum": np.maximum, "minimum": np.minimum,
    "equal": np.equal, "not_equal": np.not_equal, "greater": np.greater,
    "greater_equal": np.greater_equal, "less": np.less, "less_equal": np.less_equal,
    "logical_and": np.logical_and, "logical_or": np.logical_or, "logical_xor": np.logical_xor,
    "reduce_argmax": _first(np.argmax), "reduce_argmin": _first(np.argmin),
    "reduce_l1_norm": _reduction(lambda x, **over: np.sum(np.abs(x), **over)),
    "reduce_l2_norm": _reduction(lambda x, **over: np.sqrt(np.sum(x * x, **over))),
    "reduce_log_sum": _reduction(lambda x, **over: np.log(np.sum(x, **over))),
    "reduce_log_sum_exp": _reduction(_log_sum_exp),
    "reduce_max": _reduction(np.max), "reduce_mean": _reduction(np.mean),
    "reduce_min": _reduction(np.min), "reduce_prod": _reduction(np.prod),
    "reduce_sum": _reduction(np.sum),
    "reduce_sum_square": _reduction(lambda x, **over: np.sum(x * x, **over)),
    "linear": _linear, "matmul": _matmul, "einsum": _einsum,
    "scaled_dot_product_attention": _attention,
    "conv": _conv, "conv_transpose": _conv_transpose,
    "max_pool": _pool(lambda seen, count: seen.max(axis=-1)),
    "avg_pool": _pool(lambda seen, count: seen.sum(axis=-1) / count),
    "l2_pool": _pool(lambda seen, count: np.sqrt((seen**2).sum(axis=-1))),
    "batch_norm": _batch_norm, "instance_norm": _instance_norm, "layer_norm": _layer_norm,
    "l2_norm": lambda x, epsilon=1e-6: (
        x / np.sqrt((x**2).sum(axis=(-3, -2, -1), keepdims=True) + epsilon)
    ),
    "local_response_norm": _local_response_norm,
}  # fmt: skip
