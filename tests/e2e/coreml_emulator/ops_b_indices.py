"""Cases of scatter_gather and quantization, with formulas from their texts."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from coremltools.converters.mil import Builder as mb  # noqa: N813
from ops_b_case import Case, floats, random, whole

X = floats(2, 3, 4, 5)
_COMBINE = {
    "update": lambda a, b: b, "add": lambda a, b: a + b, "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b, "div": lambda a, b: a / b, "max": max, "min": min,
}  # fmt: skip
MODES = tuple(_COMBINE)


def gathered(x: np.ndarray, i: np.ndarray, axis: int, batch: int) -> np.ndarray:
    """tf.gather: for every batch place, take along the axis."""
    if batch == 0:
        return np.take(x, i, axis)
    return np.stack([gathered(a, b, axis - 1, batch - 1) for a, b in zip(x, i, strict=True)])


def gathered_nd(x: np.ndarray, i: np.ndarray, batch: int) -> np.ndarray:
    if batch:
        return np.stack([gathered_nd(a, b, batch - 1) for a, b in zip(x, i, strict=True)])
    return x[tuple(np.moveaxis(i, -1, 0))]


def scattered(data: np.ndarray, places: Any, updates: np.ndarray, mode: str) -> np.ndarray:
    """One update after the other; places: for each place of updates, where in data."""
    result = data.astype(np.float64)
    for at, place in places:
        result[place] = _COMBINE[mode](result[place], updates[at])
    return result


def scatter(d: np.ndarray, i: np.ndarray, u: np.ndarray, axis: int, mode: str) -> np.ndarray:
    every = itertools.product(*map(range, u.shape))
    return scattered(d, [(p, (*p[:axis], i[p[axis]], *p[axis + 1 :])) for p in every], u, mode)


def along(d: np.ndarray, i: np.ndarray, u: np.ndarray, axis: int, mode: str) -> np.ndarray:
    every = itertools.product(*map(range, u.shape))
    return scattered(d, [(p, (*p[:axis], i[p], *p[axis + 1 :])) for p in every], u, mode)


def scatter_nd(d: np.ndarray, i: np.ndarray, u: np.ndarray, mode: str) -> np.ndarray:
    lead, depth = i.shape[:-1], i.shape[-1]
    every = itertools.product(*map(range, u.shape))
    return scattered(
        d, [(p, (*i[p[: len(lead)]], *p[len(lead) :])) for p in every if depth], u, mode
    )


GATHER = [
    Case("gather", lambda x, i: mb.gather(x=x, indices=i, axis=-2), (X, whole([3, 0], [1, 1])),
         lambda x, i: np.take(x, i, 2)),
    Case("gather one", lambda x: mb.gather(x=x, indices=np.int32(1)), (X,), lambda x: x[1]),
    Case("gather from the end", lambda x, i: mb.gather(x=x, indices=i, axis=1),
         (X, whole(-1, 0, -3)),
         lambda x, i: np.take(x, i, 1), until=16),
    Case("gather by 16 bits", lambda x, i: mb.gather(x=x, indices=mb.cast(x=i, dtype="uint16")),
         (X, whole(1, 0)),
         lambda x, i: x[i], since=17),
    Case("gather in batches", lambda x, i: mb.gather(x=x, indices=i, axis=2, batch_dims=1),
         (X, whole([3, 0], [1, 2])),
         lambda x, i: gathered(x, i, 2, 1), since=16, peer=False),
    Case("gather in two batches", lambda x, i: mb.gather(x=x, indices=i, axis=2, batch_dims=2),
         (X, random.integers(0, 4, (2, 3, 2, 2)).astype(np.int32)),
         lambda x, i: gathered(x, i, 2, 2), since=16, peer=False),
    Case("gather one of each", lambda x, i: mb.gather(x=x, indices=i, axis=1, batch_dims=1),
         (X, whole(2, 0)),
         lambda x, i: np.stack([x[0, 2], x[1, 0]]), since=16, peer=False),
    Case("gather_along_axis", lambda x, i: mb.gather_along_axis(x=x, indices=i, axis=-1),
         (X, random.integers(0, 5, (2, 3, 4, 7)).astype(np.int32)),
         lambda x, i: np.take_along_axis(x, i, 3)),
    Case("gather_along_axis from the end",
         lambda x, i: mb.gather_along_axis(x=x, indices=i, axis=1),
         (X, random.integers(-3, 3, (2, 2, 4, 5)).astype(np.int32)),
         lambda x, i: np.take_along_axis(x, i, 1), until=16),
    Case("gather_nd", lambda x, i: mb.gather_nd(x=x, indices=i),
         (X, whole([[1, 2], [0, 1]], [[0, 0], [1, 1]])),
         lambda x, i: x[i[..., 0], i[..., 1]]),
    Case("gather_nd whole", lambda x, i: mb.gather_nd(x=x, indices=i),
         (X, whole([1, 2, 3, 4], [0, 1, 0, 1])),
         lambda x, i: x[tuple(i.T)]),
    Case("gather_nd from the end", lambda x, i: mb.gather_nd(x=x, indices=i), (X, whole([-1, -2])),
         lambda x, i: x[tuple(i.T)],
         until=16),
    Case("gather_nd in batches", lambda x, i: mb.gather_nd(x=x, indices=i, batch_dims=1),
         (X, random.integers(0, 3, (2, 6, 2)).astype(np.int32)), lambda x, i: gathered_nd(x, i, 1),
         since=16),
    Case("gather_nd in two batches", lambda x, i: mb.gather_nd(x=x, indices=i, batch_dims=2),
         (X, random.integers(0, 4, (2, 3, 2, 1)).astype(np.int32)),
         lambda x, i: gathered_nd(x, i, 2), since=16),
]  # fmt: skip

SCATTER = [
    *[Case(f"scatter {mode}",
           lambda d, i, u, m=mode: mb.scatter(data=d, indices=i, updates=u, axis=1, mode=m),
           (X, whole(2, 0), floats(2, 2, 4, 5)), lambda d, i, u, m=mode: scatter(d, i, u, 1, m),
           peer=False) for mode in MODES],
    *[Case(f"scatter {mode} twice",
           lambda d, i, u, m=mode: mb.scatter(data=d, indices=i, updates=u, mode=m),
           (floats(3, 4), whole(2, 0, 2), floats(3, 4)),
           lambda d, i, u, m=mode: scatter(d, i, u, 0, m), tolerance=1e-5, peer=False)
      for mode in MODES if mode != "update"],
    Case("scatter from the end",
         lambda d, i, u: mb.scatter(data=d, indices=i, updates=u, axis=-1, mode="update"),
         (floats(3, 4), whole(-1, 0), floats(3, 2)),
         lambda d, i, u: scatter(d, i % 4, u, 1, "update"), until=16, peer=False),
    Case("scatter beyond", lambda d, i, u: mb.scatter(data=d, indices=i, updates=u, mode="add"),
         (floats(3, 4), whole(-1, 1, 3), floats(3, 4)),
         lambda d, i, u: scatter(d, i[1:2], u[1:2], 0, "add"), since=17, peer=False),
    *[Case(f"scatter_along_axis {mode}",
           lambda d, i, u, m=mode: mb.scatter_along_axis(data=d, indices=i, updates=u, axis=1,
           mode=m),
           (floats(2, 5), whole([3, 0, 4], [1, 2, 0]), floats(2, 3)),
           lambda d, i, u, m=mode: along(d, i, u, 1, m), peer=False)
      for mode in MODES],
    Case("scatter_along_axis twice",
         lambda d, i, u: mb.scatter_along_axis(data=d, indices=i, updates=u, axis=0),
         (floats(2, 3), whole([0, 1, 0], [0, 0, 1]), floats(2, 3)),
         lambda d, i, u: along(d, i, u, 0, "add"), peer=False),
    *[Case(f"scatter_nd {mode}",
           lambda d, i, u, m=mode: mb.scatter_nd(data=d, indices=i, updates=u, mode=m),
           (X, whole([1, 2], [0, 0]), floats(2, 4, 5)),
           lambda d, i, u, m=mode: scatter_nd(d, i, u, m), peer=False) for mode in MODES],
    Case("scatter_nd whole", lambda d, i, u: mb.scatter_nd(data=d, indices=i, updates=u),
         (floats(3, 4), whole([[1, 2], [0, 0]], [[1, 2], [2, 3]]), floats(2, 2)),
         lambda d, i, u: scatter_nd(d, i, u, "add"), peer=False),
    Case("scatter_nd beyond",
         lambda d, i, u: mb.scatter_nd(data=d, indices=i, updates=u, mode="update"),
         (floats(3, 4), whole([1, 4], [0, -1], [2, 3]), floats(3)),
         lambda d, i, u: scatter_nd(d, i[2:], u[2:], "update"),
         since=17, peer=False),
    Case("scatter of whole numbers",
         lambda d, i, u: mb.scatter(data=d, indices=i, updates=u, mode="div"),
         (whole(7, -7, 9), whole(0, 1), whole(2, 2)), lambda d, i, u: [3, -3, 9], peer=False),
]  # fmt: skip


def quantized(x: np.ndarray, scale: Any, zero: Any, low: int, high: int) -> np.ndarray:
    return np.clip(np.round(x / scale) + zero, low, high)


STEPS = (np.arange(-13, 14, dtype=np.float32) * 0.25).reshape(1, 3, 9)
SCALES, ZEROS = np.float32([0.5, 0.25, 0.125]), np.int8([1, -3, 120])


def read(q: Any) -> Any:
    return mb.cast(x=q, dtype="int32")


def column(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float64)[:, None]


QUANTIZATION = [
    Case("quantize halves to even",
         lambda x: read(mb.quantize(input=x, scale=np.float32(0.5), output_dtype="int8")), (STEPS,),
         lambda x: quantized(x, 0.5, 0, -128, 127), since=17),
    Case("quantize unsigned",
         lambda x: read(mb.quantize(input=x, scale=np.float32(0.01), zero_point=np.uint8(128),
         output_dtype="uint8")),
         (STEPS,), lambda x: quantized(x, np.float32(0.01), 128, 0, 255), since=17),
    Case("quantize by channel",
         lambda x: read(mb.quantize(input=x, scale=SCALES, zero_point=ZEROS, axis=1,
         output_dtype="int8")), (STEPS,),
         lambda x: quantized(x, column(SCALES), column(ZEROS), -128, 127), since=17),
    Case("dequantize", lambda x: mb.dequantize(input=mb.cast(x=x, dtype="uint8"),
         scale=np.float32(0.5), zero_point=np.uint8(100)),
         (whole(0, 100, 255),), lambda x: (x - 100) * 0.5, since=17),
    Case("dequantize by channel",
         lambda x: mb.dequantize(input=mb.cast(x=x, dtype="int8"), scale=SCALES, zero_point=ZEROS,
         axis=-2),
         (random.integers(-128, 128, (1, 3, 9)).astype(np.int32),),
         lambda x: (x - column(ZEROS)) * column(SCALES), since=17),
]  # fmt: skip
