"""What coremltools' own optimizations may do to a program.

A few of them change values: they are switched off or held to the cases where they do not.
"""

from __future__ import annotations

import functools
import math
from typing import Any

from edgepack_targets.coreml import energies, package

_INT16_SIZES = 2**15
_LARGEST_HALF = 65504.0
_NOTHING = 1e38
_TOLERANCE = 1e-5


def restrain() -> None:
    """Hold back the optimizations that change values, for this process.

    fuse_pow2_sqrt makes x of √(x²), which is |x|. The activation fusions take constants within 1e-3
    for the ones of the formula.
    """
    from coremltools.converters.mil.mil.passes.defs import optimize_activation, quantization
    from coremltools.converters.mil.mil.passes.graph_pass import AbstractGraphPass
    from coremltools.converters.mil.mil.passes.pass_registry import register_pass

    def apply(self: Any, prog: Any) -> None:
        """Do nothing."""

    nothing = type("fuse_pow2_sqrt", (AbstractGraphPass,), {"apply": apply})
    register_pass(namespace="mil_backend", override=True)(nothing)
    quantization.add_fp16_cast.fp16_overflow = staticmethod(_overflows_half)
    matches = optimize_activation._check_var_scalar_value  # noqa: SLF001
    optimize_activation._check_var_scalar_value = functools.partial(matches, tol=_TOLERANCE)  # noqa: SLF001


def pipeline(*, half: bool) -> Any:
    """The default pipeline; in half precision integers become 16 bits only where all values fit."""
    import coremltools as ct
    from coremltools.converters.mil.mil.passes.graph_pass import PassOption

    passes = ct.PassPipeline()
    if half:
        option = PassOption(option_name="op_selector", option_val=_fits_int16)
        passes._pass_options["common::add_int16_cast"] = [option]  # noqa: SLF001 the setter takes text
    return passes


def kept_single(spec: Any) -> tuple[str, ...]:
    """A sentence on what computes in single precision in a program of half precision, if anything does."""
    computing = [o for o in package.operations(spec) if o.type not in ("const", "cast")]
    single = [
        o.type for o in computing if any(package.dtype(t.type) == "float32" for t in o.outputs)
    ]
    if not single:
        return ()
    kinds = ", ".join(sorted(set(single)))
    return (f"{len(single)} of {len(computing)} operations compute in float32: {kinds}.",)


def _fits_int16(operation: Any) -> bool:
    """Whether an operation's integers are indices into axes that 16 bits can count.

    coremltools also narrows integer data that happens to pass through such an operation.
    """
    from coremltools.converters.mil.mil import types

    if operation.op_type not in ("gather", "gather_along_axis", "gather_nd", "topk"):
        return False
    shape = operation.x.shape
    return types.is_float(operation.x.dtype) and all(
        isinstance(size, int) and size <= _INT16_SIZES for size in shape
    )


def _overflows_half(operation: Any) -> bool:
    """Whether an operation must stay in single precision: for squares under a root, or a constant.

    coremltools makes infinities of constants of 1e38 and more. That is right where they stand for
    "nothing here", and NaN where they are multiplied by 0. Its own check also builds an index of every
    element of every weight, which is eight times the weights' size.
    """
    from coremltools.converters.mil.mil import Var

    if energies.is_energy(operation):
        return True
    is_product = operation.op_type in ("mul", "real_div")
    for given in operation.inputs.values():
        for variable in given if isinstance(given, (list, tuple)) else (given,):
            if (
                isinstance(variable, Var)
                and variable.op is not None
                and variable.op.op_type == "const"
                and variable.is_tensor_or_scalar_of(dtype="fp32")
                and _has_beyond_half(
                    variable.op.val.val, up_to=math.inf if is_product else _NOTHING
                )
            ):
                return True
    return False


def _has_beyond_half(value: Any, up_to: float) -> bool:
    """Whether an array holds a number larger than half precision can, smaller than `up_to`."""
    import numpy as np

    array = np.asarray(value)
    if not array.size or max(float(array.max()), -float(array.min())) <= _LARGEST_HALF:
        return False
    size = np.abs(array)
    return bool(np.any((size > _LARGEST_HALF) & (size < up_to)))
