"""Sums of squares under a root or logarithm, which half precision ruins.

A value of 1e-4 squared is 1e-8, less than half precision can hold, and 300 squared is more; the root would
bring both back into range. Magnitudes of spectra and norms by hand are made so: silero's voice activity
detector loses 20 dB there. These operations stay in single precision, and so do the few between.
"""

from __future__ import annotations

from typing import Any

_CARRIERS = frozenset(
    {
        "add", "clip", "concat", "expand_dims", "maximum", "mul", "real_div", "reduce_mean", "reduce_sum",
        "reshape", "slice_by_index", "squeeze", "stack", "transpose",
    }
)  # fmt: skip
_ROOTS = frozenset({"log", "reduce_log_sum", "rsqrt", "sqrt"})
_MOST_STEPS = 6


def is_energy(operation: Any) -> bool:
    """Whether a MIL operation squares for a root, takes the root of squares, or stands between."""
    if _is_square(operation):
        return _leads_to_root(operation, _MOST_STEPS)
    if _is_root(operation):
        return _comes_from_square(operation, _MOST_STEPS)
    return (
        operation.op_type in _CARRIERS
        and _leads_to_root(operation, _MOST_STEPS)
        and _comes_from_square(operation, _MOST_STEPS)
    )


def _is_square(operation: Any) -> bool:
    if operation.op_type in ("square", "reduce_sum_square"):
        return True
    if operation.op_type == "pow":
        return _constant(operation.y) == 2  # noqa: PLR2004 the square
    return operation.op_type == "mul" and operation.x is operation.y


def _is_root(operation: Any) -> bool:
    if operation.op_type == "pow":
        return _constant(operation.y) in (0.5, -0.5)
    return operation.op_type in _ROOTS


def _constant(variable: Any) -> float | None:
    """The value of a constant with one element."""
    value = variable.val
    return float(value.reshape(-1)[0]) if value is not None and value.size == 1 else None


def _leads_to_root(operation: Any, steps: int) -> bool:
    """Whether a root takes an operation's result, with nothing but carriers between."""
    users = [user for variable in operation.outputs for user in variable.child_ops]
    return any(
        _is_root(user)
        or (steps > 0 and user.op_type in _CARRIERS and _leads_to_root(user, steps - 1))
        for user in users
    )


def _comes_from_square(operation: Any, steps: int) -> bool:
    """Whether an operation takes a square, with nothing but carriers between."""
    makers = [
        variable.op
        for given in operation.inputs.values()
        for variable in (given if isinstance(given, (list, tuple)) else (given,))
        if getattr(variable, "op", None) is not None
    ]
    return any(
        _is_square(maker)
        or (steps > 0 and maker.op_type in _CARRIERS and _comes_from_square(maker, steps - 1))
        for maker in makers
    )
