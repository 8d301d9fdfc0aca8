"""Some operations of Core ML's language in numpy, to check numbers where no Core ML runs.

Written from Apple's operation reference, not from the code under test. Floats of 16 bits are computed in
32 and rounded after every operation. An operation that is not in the table fails the test that meets it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edgepack_targets.coreml import package

Array = np.ndarray[Any, Any]


def evaluate(path: Path, inputs: dict[str, Array]) -> dict[str, Array]:
    """The outputs of a .mlpackage for these inputs, by name."""
    opened = package.read(path)
    function = opened.spec.mlProgram.functions["main"]
    block = function.block_specializations[function.opset]
    values: dict[str, Any] = dict(inputs)
    assert sorted(inputs) == sorted(i.name for i in function.inputs)
    for operation in block.operations:
        results = _call(opened, operation, values)
        for output, result in zip(operation.outputs, results, strict=True):
            values[output.name] = _typed(result, output.type)
    return {name: values[name] for name in block.outputs}


def _call(opened: package.Package, operation: Any, values: dict[str, Any]) -> tuple[Any, ...]:
    if operation.type == "const":
        return (_constant(opened, operation.attributes["val"]),)
    arguments = {}
    for name, argument in operation.inputs.items():
        bound = [
            values[b.name] if b.WhichOneof("binding") == "name" else _constant(opened, b.value)
            for b in argument.arguments
        ]
        arguments[name] = bound if name == "values" else bound[0]
    for name, value in operation.attributes.items():
        if operation.type.startswith("constexpr_") and name != "name":
            arguments[name] = _constant(opened, value)
    for name, value in arguments.items():
        if isinstance(value, np.ndarray) and value.dtype == np.float16:
            arguments[name] = value.astype(np.float32)
    result = OPERATIONS[operation.type](**arguments)
    return result if isinstance(result, tuple) else (result,)


def _constant(opened: package.Package, value: Any) -> Any:
    if value.type.tensorType.dataType == 2:
        return value.immediateValue.tensor.strings.values[0]
    return np.array(package.array(opened, value))


def _typed(result: Any, of_type: Any) -> Any:
    if isinstance(result, str):
        return result
    made = np.asarray(result).astype(package.dtype(of_type))
    sizes = package.shape(of_type)
    assert made.ndim == len(sizes), (made.shape, sizes)
    assert all(want in (0, has) for has, want in zip(made.shape, sizes, strict=True))
    return made


def _ints(value: Any) -> list[int]:
    return [int(v) for v in np.asarray(value).reshape(-1)]


def _axes(x: Array, axes: Any) -> tuple[int, ...]:
    return tuple(range(x.ndim)) if axes is None else tuple(_ints(axes))


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


_erf = np.vectorize(math.erf, otypes=[np.float32])


def _gelu(x: Array, mode: str = "EXACT") -> Array:
    if mode == "EXACT":
        return x * 0.5 * (1 + _erf(x / math.sqrt(2)))
    assert mode == "TANH_APPROXIMATION"
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def _slice(
    x: Array, begin: Array, end: Array, stride: Any = None, begin_mask: Any = None,
    end_mask: Any = None, squeeze_mask: Any = None,
) -> Array:  # fmt: skip
    index: list[Any] = []
    for axis in range(x.ndim):
        first = None if begin_mask is not None and begin_mask[axis] else int(begin[axis])
        last = None if end_mask is not None and end_mask[axis] else int(end[axis])
        step = 1 if stride is None else int(stride[axis])
        if squeeze_mask is not None and squeeze_mask[axis]:
            index.append(int(begin[axis]))
        else:
            index.append(slice(first, last, step))
    return x[tuple(index)]


def _reshape(x: Array, shape: Array) -> Array:
    return x.reshape([x.shape[i] if n == 0 else n for i, n in enumerate(_ints(shape))])


def _split(
    x: Array, axis: Any, num_splits: Any = None, split_sizes: Any = None
) -> tuple[Array, ...]:
    if split_sizes is None:
        return tuple(np.split(x, int(num_splits), int(axis)))
    return tuple(np.split(x, np.cumsum(_ints(split_sizes))[:-1], int(axis)))


def _gather(x: Array, indices: Array, axis: Any = 0, **_: Any) -> Array:
    assert np.all(np.asarray(indices) >= 0)
    return np.take(x, np.asarray(indices).astype(np.int64), int(axis))


def _scatter(data: Array, indices: Array, updates: Array, axis: Any, mode: str, **_: Any) -> Array:
    made = data.copy()
    moved, pieces = np.moveaxis(made, int(axis), 0), np.moveaxis(updates, int(axis), 0)
    for place, piece in zip(_ints(indices), pieces, strict=True):
        moved[place] = piece if mode == "update" else moved[place] + piece
    return made


def _conv(
    x: Array, weight: Array, pad_type: str, bias: Any = 0.0, strides: Any = (1,),
    pad: Any = (0, 0), dilations: Any = (1,), groups: Any = 1,
) -> Array:  # fmt: skip
    assert x.ndim == 3
    assert (int(groups), _ints(dilations), pad_type in ("valid", "custom")) == (1, [1], True)
    sides = _ints(pad) if pad_type == "custom" else [0, 0]
    padded = np.pad(x, [(0, 0), (0, 0), (sides[0], sides[1])])
    windows = np.lib.stride_tricks.sliding_window_view(padded, weight.shape[2], 2)
    made = np.einsum("bclk,ock->bol", windows[:, :, :: _ints(strides)[0]], weight)
    return made + np.reshape(bias, (1, -1, 1))


def _max_pool(
    x: Array, kernel_sizes: Array, strides: Array, pad: Array, ceil_mode: Any = False, **_: Any
) -> Array:
    """Pools over all axes behind the channels; with ceil_mode the last window may hang over."""
    after = (strides - 1) * bool(ceil_mode)
    edges = [
        (0, 0),
        (0, 0),
        *((int(a), int(b + c)) for (a, b), c in zip(_pairs(pad), after, strict=True)),
    ]
    padded = np.pad(x, edges, constant_values=-np.inf)
    axes = tuple(range(2, x.ndim))
    windows = np.lib.stride_tricks.sliding_window_view(padded, _ints(kernel_sizes), axes)
    steps = tuple(slice(None, None, int(step)) for step in strides)
    return windows[:, :, *steps].max(axis=tuple(range(x.ndim, windows.ndim)))


def _pairs(pad: Array) -> list[tuple[int, int]]:
    flat = _ints(pad)
    return list(zip(flat[::2], flat[1::2], strict=True))


def _lstm(
    x: Array, initial_h: Array, initial_c: Array, weight_ih: Array, weight_hh: Array,
    direction: str, output_sequence: Any, bias: Any = None, **activations: Any,
) -> tuple[Array, Array, Array]:  # fmt: skip
    assert direction == "forward"
    assert output_sequence
    assert activations.get("recurrent_activation", "sigmoid") == "sigmoid"
    hidden, cell, sequence = initial_h, initial_c, []
    for step in x:
        gates = step @ weight_ih.T + hidden @ weight_hh.T + (0 if bias is None else bias)
        i, f, o, z = np.split(gates, 4, axis=1)
        cell = _sigmoid(f) * cell + _sigmoid(i) * np.tanh(z)
        hidden = _sigmoid(o) * np.tanh(cell)
        sequence.append(hidden)
    return np.stack(sequence), hidden, cell


def _rnn(
    x: Array, initial_h: Array, weight_ih: Array, weight_hh: Array, direction: str,
    output_sequence: Any, activation: str, bias: Any = None,
) -> tuple[Array, Array]:  # fmt: skip
    assert direction == "forward"
    assert output_sequence
    function = {"tanh": np.tanh, "relu": lambda v: np.maximum(v, 0)}[activation]
    hidden, sequence = initial_h, []
    for step in x:
        hidden = function(step @ weight_ih.T + hidden @ weight_hh.T + (0 if bias is None else bias))
        sequence.append(hidden)
    return np.stack(sequence), hidden


def _matmul(x: Array, y: Array, transpose_x: Any = False, transpose_y: Any = False) -> Array:
    return (np.swapaxes(x, -1, -2) if transpose_x else x) @ (
        np.swapaxes(y, -1, -2) if transpose_y else y
    )


def _dequantize(quantized_data: Array, zero_point: Array, scale: Array, axis: Any) -> Array:
    sizes = [-1 if i == int(axis) else 1 for i in range(quantized_data.ndim)]
    shift = np.asarray(zero_point, np.float32)
    return (quantized_data - (shift.reshape(sizes) if shift.ndim else shift)) * scale.reshape(sizes)


def _shift_scale(data: Array, scale: Array, offset: Any = None) -> Array:
    assert offset is None
    assert data.ndim == scale.ndim
    return data.astype(np.float32) * scale


def _softmax(x: Array, axis: Any = -1) -> Array:
    powers = np.exp(x - x.max(int(axis), keepdims=True))
    return powers / powers.sum(int(axis), keepdims=True)


def _clip(x: Array, alpha: Any, beta: Any) -> Array:
    return np.minimum(np.maximum(x, alpha), beta)


def _select(cond: Array, a: Array, b: Array) -> Array:
    return np.where(cond, a, b)


def _unary(function: Callable[[Array], Array]) -> Callable[..., Array]:
    return lambda x, **_: function(x)


def _binary(function: Callable[[Array, Array], Array]) -> Callable[..., Array]:
    def call(x: Array, y: Array) -> Array:
        return function(x, y)

    return call


def _reduced(function: Callable[..., Array]) -> Callable[..., Array]:
    return lambda x, axes=None, keep_dims=False: function(
        x, axis=_axes(x, axes), keepdims=bool(keep_dims)
    )


OPERATIONS: dict[str, Callable[..., Any]] = {
    "abs": _unary(np.abs),
    "atan": _unary(np.arctan),
    "erf": _unary(_erf),
    "exp": _unary(np.exp),
    "floor": _unary(np.floor),
    "identity": _unary(lambda x: x),
    "log": lambda x, epsilon=1e-45: np.log(x + np.float32(epsilon)),
    "logical_not": _unary(np.logical_not),
    "relu": _unary(lambda x: np.maximum(x, 0)),
    "sigmoid": _unary(_sigmoid),
    "sign": _unary(np.sign),
    "softplus": _unary(lambda x: np.logaddexp(x, 0)),
    "sqrt": _unary(np.sqrt),
    "square": _unary(np.square),
    "tanh": _unary(np.tanh),
    "add": _binary(np.add),
    "sub": _binary(np.subtract),
    "mul": _binary(np.multiply),
    "real_div": _binary(np.divide),
    "floor_div": _binary(np.floor_divide),
    "mod": _binary(np.mod),
    "pow": _binary(np.power),
    "maximum": _binary(np.maximum),
    "minimum": _binary(np.minimum),
    "equal": _binary(np.equal),
    "not_equal": _binary(np.not_equal),
    "greater": _binary(np.greater),
    "greater_equal": _binary(np.greater_equal),
    "less": _binary(np.less),
    "less_equal": _binary(np.less_equal),
    "logical_and": _binary(np.logical_and),
    "logical_or": _binary(np.logical_or),
    "logical_xor": _binary(np.logical_xor),
    "reduce_max": _reduced(np.max),
    "reduce_min": _reduced(np.min),
    "reduce_mean": _reduced(np.mean),
    "max_pool": _max_pool,
    "reduce_prod": _reduced(np.prod),
    "reduce_sum": _reduced(np.sum),
    "reduce_argmax": lambda x, axis=-1, keep_dims=False, **_: np.argmax(
        x, int(axis), keepdims=bool(keep_dims)
    ),
    "cast": lambda x, dtype: x.astype({"fp16": "float16", "fp32": "float32"}.get(dtype, dtype)),
    "clip": _clip,
    "conv": _conv,
    "concat": lambda values, axis, **_: np.concatenate(values, int(axis)),
    "constexpr_affine_dequantize": _dequantize,
    "constexpr_blockwise_shift_scale": _shift_scale,
    "expand_dims": lambda x, axes: np.expand_dims(x, tuple(_ints(axes))),
    "gather": _gather,
    "gather_along_axis": lambda x, indices, axis=0, **_: np.take_along_axis(
        x, indices.astype(np.int64), int(axis)
    ),
    "gelu": _gelu,
    "linear": lambda x, weight, bias=0: x @ weight.T + bias,
    "lstm": _lstm,
    "matmul": _matmul,
    "reshape": _reshape,
    "reverse": lambda x, axes=None: np.flip(x, _axes(x, axes)),
    "rnn": _rnn,
    "scatter": _scatter,
    "select": _select,
    "slice_by_index": _slice,
    "softmax": _softmax,
    "split": _split,
    "squeeze": lambda x, axes=None: np.squeeze(x, None if axes is None else tuple(_ints(axes))),
    "stack": lambda values, axis: np.stack(values, int(axis)),
    "tile": lambda x, reps: np.tile(x, _ints(reps)),
    "transpose": lambda x, perm: np.transpose(x, _ints(perm)),
}
