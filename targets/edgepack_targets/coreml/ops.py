"""Operators registered with coremltools, and a watch over all of its own.

coremltools translates an operator by calling a function it finds under the operator's name. Some names
are missing in 9.0, some functions read only part of their arguments. So ours are added, and every
function, ours and theirs, is wrapped: what it makes must have the dtype and shape that torch computed,
and every argument that is not torch's default must have been looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from edgepack.errors import EdgepackError

TARGET_KEY = "edgepack_target"
"""Key in a graph node's metadata for its torch operator, which coremltools does not pass on."""

# Arguments that say where and how a tensor is stored, never what it holds. `dtype` is seen in the result.
_STORAGE = frozenset(
    [
        "device",
        "dtype",
        "layout",
        "pin_memory",
        "memory_format",
        "non_blocking",
        "copy",
        "generator",
        "out_int32",
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One operator of the program, as a translation takes it.

    build: the MIL builder. arguments: by torch's names, tensors as MIL variables, defaults filled in.
    """

    build: Any
    arguments: dict[str, Any]


Translation = Callable[[Call], Any]


def register() -> None:
    """Add our translations to coremltools' registry, take out wrong ones, and watch all.

    A name that coremltools has already is left to it: 9.1 may know some of these.
    """
    from edgepack_targets.coreml import recurrent

    functions = registered()
    for kind in _WRONG:
        functions.pop(kind, None)
    for kind, translation in (*_TRANSLATIONS.items(), *recurrent.TRANSLATIONS.items()):
        if kind in _CORRECTED or kind not in functions:
            functions[kind] = _adapted(translation)
    for kind, function in list(functions.items()):
        functions[kind] = _watched(function)


def registered() -> dict[str, Any]:
    """Coremltools' registry: functions by operator name."""
    from coremltools.converters.mil.frontend.torch.torch_op_registry import _TORCH_OPS_REGISTRY

    functions: dict[str, Any] = _TORCH_OPS_REGISTRY.name_to_func_mapping
    return functions


def gelu(call: Call) -> Any:
    """Gaussian error linear unit; coremltools overlooks `approximate`."""
    mode = "TANH_APPROXIMATION" if call.arguments["approximate"] == "tanh" else "EXACT"
    return call.build.gelu(x=call.arguments["self"], mode=mode)


def prod(call: Call) -> Any:
    """Product of all elements, or along one axis."""
    axis = call.arguments.get("dim")
    x = _numeric(call)
    if axis is None:
        return call.build.reduce_prod(x=x)
    return call.build.reduce_prod(x=x, axes=[axis], keep_dims=call.arguments["keepdim"])


def index_copy(call: Call) -> Any:
    """X with slices along an axis replaced."""
    return _scattered(call, call.arguments["source"], "update")


def index_add(call: Call) -> Any:
    """X with slices along an axis added, times alpha."""
    updates, alpha = call.arguments["source"], call.arguments["alpha"]
    if alpha != 1:
        updates = call.build.mul(x=updates, y=_scalar_like(updates, alpha))
    return _scattered(call, updates, "add")


def index_fill(call: Call) -> Any:
    """X with slices along an axis filled with one number."""
    import numpy as np
    from coremltools.converters.mil.mil import types

    x, index, axis = (call.arguments[name] for name in ("self", "index", "dim"))
    axis %= x.rank
    shape = [*x.shape[:axis], index.shape[0], *x.shape[axis + 1 :]]
    dtype = types.nptype_from_builtin(x.dtype)
    return _scattered(call, np.full(shape, call.arguments["value"], dtype), "update")


def bitwise_and(call: Call) -> Any:
    """Bitwise and of booleans; coremltools knows the operator by another name."""
    return _logical(call, "logical_and")


def bitwise_or(call: Call) -> Any:
    """Bitwise or of booleans."""
    return _logical(call, "logical_or")


def bitwise_xor(call: Call) -> Any:
    """Bitwise exclusive or of booleans."""
    return _logical(call, "logical_xor")


def _logical(call: Call, operation: str) -> Any:
    """A logical operation of MIL on two booleans. Raises NotImplementedError for integers."""
    from coremltools.converters.mil.mil import types

    x, y = call.arguments["self"], call.arguments["other"]
    if not types.is_bool(x.dtype) or not (isinstance(y, bool) or types.is_bool(y.dtype)):
        raise NotImplementedError("Core ML has bitwise operators on booleans only")
    return getattr(call.build, operation)(x=x, y=y)


def embedding_bag(call: Call) -> tuple[Any, ...]:
    """Sum, mean or maximum over bags of one size. Raises NotImplementedError for other bags."""
    import numpy as np

    indices, offsets = call.arguments["indices"], call.arguments["offsets"].val
    bags = 0 if offsets is None else len(offsets)
    size = indices.shape[0] // bags if bags else 0
    if (
        not size
        or not np.array_equal(offsets, np.arange(bags) * size)
        or call.arguments["per_sample_weights"] is not None
        or call.arguments["padding_idx"] != -1
        or call.arguments["include_last_offset"]
    ):
        raise NotImplementedError("bags of different sizes, weighted or padded")
    rows = call.build.gather(x=call.arguments["weight"], indices=indices, axis=0)
    bagged = call.build.reshape(x=rows, shape=[bags, size, rows.shape[1]])
    reduce = ("reduce_sum", "reduce_mean", "reduce_max")[call.arguments["mode"]]
    return getattr(call.build, reduce)(x=bagged, axes=[1], keep_dims=False), None, None, None


def _scattered(call: Call, updates: Any, mode: str) -> Any:
    """`updates` written into x at `index` along an axis."""
    x, index, axis = (call.arguments[name] for name in ("self", "index", "dim"))
    if not index.shape:
        index = call.build.expand_dims(x=index, axes=[0])
    return call.build.scatter(data=x, indices=index, updates=updates, axis=axis % x.rank, mode=mode)


def _numeric(call: Call) -> Any:
    """The operator's input, booleans as integers."""
    from coremltools.converters.mil.mil import types

    x = call.arguments["self"]
    return call.build.cast(x=x, dtype="int32") if types.is_bool(x.dtype) else x


def _scalar_like(x: Any, value: float) -> Any:
    """A number in the dtype of a MIL variable."""
    from coremltools.converters.mil.mil import types

    return types.nptype_from_builtin(x.dtype)(value)


def _adapted(translation: Translation) -> Callable[[Any, Any], None]:
    """A translation in the form coremltools calls."""

    def convert(context: Any, node: Any) -> None:
        from coremltools.converters.mil import Builder

        call = Call(build=Builder, arguments=dict(_bound(context, node)))
        context.add(translation(call), torch_name=node.name)

    return convert


def _bound(context: Any, node: Any) -> Iterator[tuple[str, Any]]:
    """The operator's arguments by torch's names; absent ones have torch's default."""
    for index, argument in enumerate(node.meta[TARGET_KEY]._schema.arguments):  # noqa: SLF001
        if index < len(node.inputs) and not argument.kwarg_only:
            yield argument.name, _variable(context, node.inputs[index])
        elif given := node.kwinputs and node.kwinputs.get(argument.name):
            yield argument.name, _variable(context, given[0])
        else:
            yield argument.name, argument.default_value


def _variable(context: Any, value: Any) -> Any:
    """A name's MIL variable; anything else as it is, lists item by item."""
    if isinstance(value, str) and value in context:
        return context[value]
    if isinstance(value, (list, tuple)):
        return [_variable(context, item) for item in value]
    return value


@dataclass(slots=True)
class _Reads:
    """Keyword arguments of a node, as coremltools asks for them, and which it asked for."""

    values: dict[str, Any]
    seen: set[str] = field(default_factory=set)

    def get(self, key: str) -> Any:
        """The argument, None if it was not given."""
        self.seen.add(key)
        return self.values.get(key)


def _watched(function: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    """A translation whose result and use of arguments are checked."""

    def convert(context: Any, node: Any) -> None:
        reads = _Reads(node.kwinputs) if node.kwinputs else None
        node.kwinputs = reads
        function(context, node)
        if reads is not None:
            _check_reads(node, reads)
        if node.name in context:
            _check_result(context, node)

    return convert


def _check_reads(node: Any, reads: _Reads) -> None:
    """Refuse a translation that overlooked an argument. Raises E401."""
    target = node.meta.get(TARGET_KEY)
    if target is None:
        return
    for argument in target._schema.arguments:  # noqa: SLF001
        name = argument.name
        if name in _STORAGE or name in reads.seen or name not in reads.values:
            continue
        value = reads.values[name]
        if value not in ((argument.default_value,), ()):
            raise EdgepackError(
                "E401",
                f"coremltools overlooks {name!r} of {target}",
                why=f"The model sets it to {value[0]!r}; the result would be another.",
                help="express that part of the model with other operators, or use another target",
            )


def _check_result(context: Any, node: Any) -> None:
    """Give the result torch's dtype; refuse another shape. Raises E414."""
    import torch

    made, expected = context[node.name], node.meta.get("val")
    if not isinstance(expected, torch.Tensor) or not hasattr(made, "sym_type"):
        return
    _check_shape(node, made, expected)
    cast = _in_dtype_of(made, expected)
    if cast is not made:
        context.add(cast, torch_name=node.name, override=True)


def _check_shape(node: Any, made: Any, expected: Any) -> None:
    """Refuse a shape that torch did not compute; sizes known to one side only may pass."""
    has = tuple(made.shape or ())
    want = tuple(expected.shape)
    fits = len(has) == len(want) and all(
        not isinstance(a, int) or not isinstance(b, int) or a == b
        for a, b in zip((int(s) if _is_size(s) else s for s in has), want, strict=True)
    )
    single = len(has) < 2 and len(want) < 2 and all(s == 1 for s in (*has, *want) if _is_size(s))  # noqa: PLR2004
    if not fits and not single:
        raise EdgepackError(
            "E414",
            f"coremltools gives {node.meta.get(TARGET_KEY, node.kind)} the shape {list(has)}, "
            f"torch {list(want)}",
            help="express that part of the model with other operators, or use another target",
        )


def _in_dtype_of(made: Any, expected: Any) -> Any:
    """The MIL variable in the dtype torch gave it, as far as MIL has it."""
    import torch
    from coremltools.converters.mil import Builder
    from coremltools.converters.mil.mil import types

    if expected.dtype == torch.bool:
        return made if types.is_bool(made.dtype) else Builder.cast(x=made, dtype="bool")
    if expected.dtype.is_floating_point:
        return made if types.is_float(made.dtype) else Builder.cast(x=made, dtype="fp32")
    if expected.dtype.is_complex or types.is_int(made.dtype):
        return made
    return Builder.cast(x=made, dtype="int32")


def _is_size(size: Any) -> bool:
    """Whether an axis has a size and not a symbol."""
    import numpy as np

    return isinstance(size, (int, np.integer))


# Antialiased resizing is translated as plain resizing; affine grids work only beside their sampling.
_WRONG = ("_upsample_bilinear2d_aa", "_upsample_bilinear2d_aa.vec", "affine_grid_generator")
_CORRECTED = ("gelu",)
_TRANSLATIONS: dict[str, Translation] = {
    "gelu": gelu,
    "_embedding_bag": embedding_bag,
    "_embedding_bag_forward_only": embedding_bag,
    "prod": prod,
    "prod.dim_int": prod,
    # Checked under their full names, then looked up without the underscores.
    "__and__": bitwise_and,
    "__or__": bitwise_or,
    "or": bitwise_or,
    "bitwise_or": bitwise_or,
    "__xor__": bitwise_xor,
    "xor": bitwise_xor,
    "bitwise_xor": bitwise_xor,
    "index_copy": index_copy,
    "index_add": index_add,
    "index_fill.int_scalar": index_fill,
}
