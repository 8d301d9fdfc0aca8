"""How much a program may ask for: a file of a kilobyte can claim gigabytes, or never end.

Sizes that a program declares are checked when it is compiled. What an operation makes of the numbers it is
given is known only when it is called: the operators whose results can be far larger than their inputs are
listed here with what tells the size, and are asked before they compute.
"""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Callable, Sequence
from typing import Any

import torch

from edgepack_targets.coreml.emulator import errors

MOST_VALUES = 2**30
"""Values of one tensor: 4 GB in single precision, more than any phone gives an app."""

MOST_ROUNDS = 1_000_000
"""Rounds of all loops of one prediction."""


def check(shape: Sequence[int | None], what: str) -> None:
    """Raises E511 for a tensor of more values than this emulator computes; open sizes count as 1."""
    if max((n or 1 for n in shape), default=1) > MOST_VALUES or _values(shape) > MOST_VALUES:
        sizes = "x".join("?" if n is None else str(n) for n in shape)
        raise errors.unsupported(
            f"memory for {what} of {sizes}",
            why=f"A tensor may have {MOST_VALUES} values.",
            help="Check the sizes the package declares.",
        )


def guarded(name: str, function: Callable[..., Any], *, declared: bool) -> Callable[..., Any]:
    """The operator's function; if it can make much out of little, with a look at the size before.

    declared: whether the program declares the sizes of the results, which bounds what honest ones are.
    """
    grown = _FILLING.get(name) or (None if declared else _COMBINING.get(name))
    if grown is None:
        return function

    @functools.wraps(function)
    def looked(**given: Any) -> Any:
        count = grown(given)
        if count > MOST_VALUES:
            check((int(min(count, sys.maxsize)),), f"a result of {name!r}")
        return function(**given)

    return looked


def _values(shape: Sequence[int | None]) -> int:
    return math.prod(1 if n is None else n for n in shape)


def _filled(given: dict[str, Any]) -> float:
    return math.prod(max(0, n) for n in given["shape"])


def _listed(given: dict[str, Any]) -> float:
    sizes = [n for n in given.get("elem_shape", ()) if isinstance(n, torch.Tensor)]
    return math.prod(max(0, int(n)) for size in sizes for n in size.reshape(-1).tolist())


def _tiled(given: dict[str, Any]) -> float:
    return given["x"].numel() * math.prod(max(0, n) for n in given["reps"])


def _ranged(given: dict[str, Any]) -> float:
    start, end, step = (float(given[name]) for name in ("start", "end", "step"))
    return abs(end - start) / abs(step) if step else 0


def _one_hot(given: dict[str, Any]) -> float:
    return given["indices"].numel() * max(0, given["one_hot_vector_size"])


def _padded(given: dict[str, Any]) -> float:
    pad = [abs(n) for n in given.get("pad") or ()]
    sizes = list(given["x"].shape)
    pairs = list(zip(pad[::2], pad[1::2], strict=False))
    for place, (before, after) in enumerate(reversed(pairs[-len(sizes) :]), 1):
        sizes[-place] += before + after
    return math.prod(sizes)


def _scaled(given: dict[str, Any]) -> float:
    height, width = (abs(given.get(f"scale_factor_{side}", 1)) for side in ("height", "width"))
    return given["x"].numel() * height * width


def _resized(given: dict[str, Any]) -> float:
    names = ("target_size_height", "target_size_width", "target_height", "target_width")
    last = given.get("resized_dims", len(given["x"].shape[-2:]))
    sizes = given.get("shape", ())[-last:] or [given[name] for name in names if name in given]
    spread = max(1, math.prod(given["x"].shape[-last:]))
    return given["x"].numel() // spread * math.prod(max(1, n) for n in sizes)


def _spread(given: dict[str, Any]) -> float:
    steps, weight = given.get("strides") or (), given["weight"]
    reach = math.prod(given.get("dilations") or ()) * weight.numel() // max(1, weight.shape[0])
    return given["x"].numel() * math.prod(max(1, n) for n in steps) + reach


def _together(given: dict[str, Any]) -> float:
    """Tensors broadcast to one shape."""
    tensors = [t for t in given.values() if isinstance(t, torch.Tensor)]
    if math.prod(t.numel() for t in tensors) <= MOST_VALUES:
        return 0
    rank = max(t.dim() for t in tensors)
    shapes = [(1,) * (rank - t.dim()) + tuple(t.shape) for t in tensors]
    return math.prod(max(sizes) for sizes in zip(*shapes, strict=True))


def _matmul(given: dict[str, Any]) -> float:
    x, y = given["x"], given["y"]
    if x.numel() * y.numel() <= MOST_VALUES or min(x.dim(), y.dim()) < _MATRIX:
        return 0
    rows = x.shape[-1 if given.get("transpose_x") else -2]
    columns = y.shape[-2 if given.get("transpose_y") else -1]
    return max(math.prod(x.shape[:-2]), math.prod(y.shape[:-2])) * rows * columns


_MATRIX = 2
_Size = Callable[[dict[str, Any]], float]

# Sizes of results that numbers among the arguments tell.
_FILLING: dict[str, _Size] = {
    "fill": _filled, "make_list": _listed, "tile": _tiled, "range_1d": _ranged, "one_hot": _one_hot,
    "pad": _padded, "conv": _padded, "max_pool": _padded, "avg_pool": _padded, "l2_pool": _padded,
    "random_bernoulli": _filled, "random_categorical": lambda g: g["x"].numel() * max(1, g.get("size", 1)),
    "random_normal": _filled, "random_uniform": _filled, "upsample_nearest_neighbor": _scaled,
    "upsample_bilinear": _scaled, "resize_nearest_neighbor": _resized, "resize_bilinear": _resized,
    "resize": _resized, "crop_resize": _resized, "conv_transpose": _spread,
}  # fmt: skip

# Sizes of results that follow from those of several tensors.
_COMBINING: dict[str, _Size] = {
    **dict.fromkeys(
        (
            "add", "sub", "mul", "real_div", "floor_div", "mod", "pow", "maximum", "minimum", "equal",
            "not_equal", "greater", "greater_equal", "less", "less_equal", "logical_and", "logical_or",
            "logical_xor", "select",
        ),
        _together,
    ),
    "matmul": _matmul,
}  # fmt: skip
