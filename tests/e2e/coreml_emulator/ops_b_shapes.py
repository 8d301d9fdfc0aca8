"""Cases of the categories tensor_transformation and tensor_operation, with formulas from their texts."""

from __future__ import annotations

from typing import Any

import numpy as np
from coremltools.converters.mil import Builder as mb  # noqa: N813
from ops_b_case import Case, floats, random, whole

X = floats(2, 3, 4, 5)
TIED = random.integers(0, 4, (3, 7)).astype(np.float32)


def blocks(x: np.ndarray, b: int, order: str) -> np.ndarray:
    """Depth to space by its definition. order: whether the channel is b·b·c ("deep") or c·b·b."""
    n, depth, h, w = x.shape
    c = depth // b**2
    y = np.zeros((n, c, h * b, w * b), x.dtype)
    for k in range(c):
        for i in range(b):
            for j in range(b):
                channel = (i * b + j) * c + k if order == "deep" else k * b * b + i * b + j
                y[:, k, i::b, j::b] = x[:, channel]
    return y


def unblocks(x: np.ndarray, b: int, order: str) -> np.ndarray:
    n, c, height, width = x.shape
    y = np.zeros((n, c * b * b, height // b, width // b), x.dtype)
    for k in range(c):
        for i in range(b):
            for j in range(b):
                channel = (i * b + j) * c + k if order == "deep" else k * b * b + i * b + j
                y[:, channel] = x[:, k, i::b, j::b]
    return y


def to_batch(x: np.ndarray) -> np.ndarray:
    padded = np.pad(x, [(0, 0), (0, 0), (1, 1), (0, 1)])
    return np.concatenate([padded[:, :, i::2, j::3] for i in range(2) for j in range(3)])


def from_batch(x: np.ndarray) -> np.ndarray:
    n = len(x) // 6
    y = np.zeros((n, x.shape[1], x.shape[2] * 2, x.shape[3] * 3), x.dtype)
    for at, (i, j) in enumerate([(i, j) for i in range(2) for j in range(3)]):
        y[:, :, i::2, j::3] = x[at * n : (at + 1) * n]
    return y[:, :, 1:-1, 0:-1]


def turned(x: np.ndarray, lengths: np.ndarray, seq: int, batch: int) -> np.ndarray:
    y = x.copy()
    for b, n in enumerate(lengths):
        place: list[Any] = [slice(None)] * x.ndim
        place[batch], place[seq] = slice(b, b + 1), slice(0, n)
        y[tuple(place)] = np.flip(x[tuple(place)], seq)
    return y


def windows(x: np.ndarray, axis: int, size: int, stride: int) -> np.ndarray:
    starts = range(0, x.shape[axis] - size + 1, stride)
    parts = [np.take(x, range(s, s + size), axis) for s in starts]
    return np.stack(parts, axis)


def updated(x: np.ndarray, place: Any, update: np.ndarray) -> np.ndarray:
    y = x.copy()
    y[place] = update
    return y


def band(x: np.ndarray, lower: int, upper: int) -> np.ndarray:
    m, n = np.indices(x.shape[-2:])
    kept = ((lower < 0) | (m - n <= lower)) & ((upper < 0) | (n - m <= upper))
    return np.where(kept, x, 0)


def best(x: np.ndarray, k: int, axis: int, ascending: bool) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(x if ascending else -x, axis, kind="stable")
    order = np.take(order, range(k), axis)
    return np.take_along_axis(x, order, axis), order


def sums(x: np.ndarray, axis: int, exclusive: bool, reverse: bool) -> np.ndarray:
    x = np.flip(x, axis) if reverse else x
    y = np.cumsum(x.astype(np.float64), axis) - (x if exclusive else 0)
    return np.flip(y, axis) if reverse else y


TRANSFORMATION = [
    Case("squeeze all", lambda x: mb.squeeze(x=x), (floats(1, 3, 1, 2),), np.squeeze),
    Case("squeeze some", lambda x: mb.squeeze(x=x, axes=[-2]), (floats(1, 3, 1, 2),),
         lambda x: x[:, :, 0]),
    Case("squeeze what is no 1", lambda x: mb.squeeze(x=x, axes=[0, 1]), (floats(1, 3, 2),),
         lambda x: x[0], peer=False),
    Case("expand_dims", lambda x: mb.expand_dims(x=x, axes=[0, -1, 2]), (floats(3, 4),),
         lambda x: x[None, :, None, :, None]),
    Case("reshape", lambda x: mb.reshape(x=x, shape=[4, -1, 3]), (floats(2, 3, 4),),
         lambda x: x.reshape(4, 2, 3)),
    Case("reshape 0", lambda x: mb.reshape(x=x, shape=[0, -1, 2]), (floats(2, 3, 4),),
         lambda x: x.reshape(2, 6, 2)),
    Case("reshape 0 from the right", lambda x: mb.reshape(x=x, shape=[1, 0, -1, 0]),
         (floats(2, 50),),
         lambda x: x.reshape(1, 1, 2, 50), since=17),
    Case("reshape_like",
         lambda x, a, b: mb.reshape_like(
             x=x, ref_tensors=(a, b), begins=(0, 1), ends=(2, 0), end_masks=(False, True)),
         (floats(6, 10), floats(2, 3, 4), floats(1, 2, 5)),
         lambda x, a, b: x.reshape(2, 3, 2, 5), since=16),
    Case("transpose", lambda x: mb.transpose(x=x, perm=[-1, 0, 2, 1]), (X,),
         lambda x: x.transpose(3, 0, 2, 1)),
    Case("reverse all", lambda x: mb.reverse(x=x), (X,), np.flip),
    Case("reverse some", lambda x: mb.reverse(x=x, axes=[1, -1]), (X,),
         lambda x: np.flip(x, (1, 3))),
    Case("reverse_sequence",
         lambda x: mb.reverse_sequence(x=x, lengths=[7, 2, 3, 5], seq_axis=3, batch_axis=0),
         (floats(4, 2, 3, 8),), lambda x: turned(x, np.array([7, 2, 3, 5]), 3, 0), peer=False),
    Case("reverse_sequence across",
         lambda x, n: mb.reverse_sequence(x=x, lengths=n, seq_axis=0, batch_axis=2),
         (floats(4, 2, 3), whole(0, 3, 4)), lambda x, n: turned(x, n, 0, 2), peer=False),
    Case("slice_by_index",
         lambda x: mb.slice_by_index(
             x=x, begin=[0, 1, -3, 1], end=[2, 3, 4, 5], stride=[1, 1, 2, 3]),
         (X,), lambda x: x[0:2, 1:3, -3:4:2, 1:5:3]),
    Case("slice_by_index backwards",
         lambda x: mb.slice_by_index(
             x=x, begin=[1, 2, 0, -1], end=[0, 0, 0, -4], stride=[-1, -2, -1, -2],
             begin_mask=[False, False, True, False], end_mask=[True, True, True, False]),
         (X,), lambda x: x[1::-1, 2::-2, ::-1, -1:-4:-2]),
    Case("slice_by_index masks",
         lambda x: mb.slice_by_index(
             x=x, begin=[1, 1, -2, 0], end=[2, 3, 0, 4], begin_mask=[True, False, False, False],
             end_mask=[False, True, False, False], squeeze_mask=[False, False, True, False]),
         (X,), lambda x: x[:2, 1:, -2, 0:4]),
    Case("slice_by_index backwards after an index",
         lambda x: mb.slice_by_index(
             x=x, begin=[1, 0, 3, 4], end=[0, 3, 0, 1], stride=[1, 1, -1, -2],
             squeeze_mask=[True, False, False, False]),
         (X,), lambda x: x[1, 0:3, 3:0:-1, 4:1:-2]),
    Case("slice_by_index where it is said", lambda x, b, e: mb.slice_by_index(x=x, begin=b, end=e),
         (floats(4, 5), whole(1, 2), whole(3, -1)), lambda x, b, e: x[1:3, 2:-1]),
    Case("slice_by_size", lambda x: mb.slice_by_size(x=x, begin=[0, 1, 2, -3], size=[2, -1, 1, 2]),
         (X,), lambda x: x[0:2, 1:, 2:3, -3:-1]),
    Case("slice_by_size where it is said", lambda x, b: mb.slice_by_size(x=x, begin=b, size=[2, 3]),
         (floats(4, 5), whole(1, 2)), lambda x, b: x[1:3, 2:5]),
    Case("slice_update",
         lambda x, u: mb.slice_update(
             x=x, update=u, begin=[0, 1, 0, 1], end=[1, 3, 4, 4], stride=[1, 1, 2, 2]),
         (X, floats(1, 2, 2, 2)),
         lambda x, u: updated(x, np.s_[0:1, 1:3, 0:4:2, 1:4:2], u), since=18),
    Case("slice_update backwards",
         lambda x, u: mb.slice_update(
             x=x, update=u, begin=[1, 0, 3, 0], end=[0, 0, 0, 0], stride=[1, 1, -1, 1],
             begin_mask=[False, True, False, True], end_mask=[False, True, False, True],
             squeeze_mask=[True, False, False, False]),
         (X, floats(3, 3, 5)), lambda x, u: updated(x, np.s_[1, :, 3:0:-1, :], u), since=18),
    Case("sliding_windows", lambda x: mb.sliding_windows(x=x, axis=-2, size=3), (X,),
         lambda x: windows(x, 2, 3, 1)),
    Case("sliding_windows apart", lambda x: mb.sliding_windows(x=x, axis=1, size=2, stride=3),
         (floats(2, 9, 2),), lambda x: windows(x, 1, 2, 3)),
    Case("pixel_shuffle", lambda x: mb.pixel_shuffle(x=x, upscale_factor=2), (floats(2, 8, 3, 4),),
         lambda x: blocks(x, 2, "")),
    Case("pixel_unshuffle", lambda x: mb.pixel_unshuffle(x=x, downscale_factor=np.uint32(2)),
         (floats(2, 3, 4, 6),),
         lambda x: unblocks(x, 2, ""), since=16),
    Case("depth_to_space", lambda x: mb.depth_to_space(x=x, block_size=2), (floats(2, 8, 3, 4),),
         lambda x: blocks(x, 2, "deep")),
    Case("space_to_depth", lambda x: mb.space_to_depth(x=x, block_size=2), (floats(2, 3, 4, 6),),
         lambda x: unblocks(x, 2, "deep")),
    Case("space_to_batch", lambda x: mb.space_to_batch(x=x, block_shape=[2, 3],
         paddings=[[1, 1], [0, 1]]), (floats(2, 2, 4, 5),), to_batch),
    Case("batch_to_space", lambda x: mb.batch_to_space(x=x, block_shape=[2, 3],
         crops=[[1, 1], [0, 1]]), (floats(12, 2, 4, 5),), from_batch),
]  # fmt: skip

OPERATION = [
    Case("identity", lambda x: mb.identity(x=x), (X,), lambda x: x),
    Case("shape", lambda x: mb.shape(x=x), (X,), lambda x: [2, 3, 4, 5]),
    Case("concat", lambda a, b: mb.concat(values=(a, b), axis=-2),
         (floats(2, 3, 4), floats(2, 1, 4)),
         lambda a, b: np.concatenate([a, b], 1)),
    Case("concat one", lambda a: mb.concat(values=(a,), axis=0), (floats(2, 3),), lambda a: a),
    Case("concat of numbers",
         lambda a: mb.concat(values=(mb.reduce_max(x=a), mb.reduce_min(x=a)), axis=0), (X,),
         lambda a: [a.max(), a.min()]),
    Case("concat interleaved", lambda a, b: mb.concat(values=(a, b), axis=0, interleave=True),
         (floats(3, 2), floats(3, 2)),
         lambda a, b: np.stack([a, b], 1).reshape(6, 2), peer=False),
    Case("stack", lambda a, b: mb.stack(values=(a, b), axis=-1), (floats(2, 3), floats(2, 3)),
         lambda a, b: np.stack([a, b], -1)),
    Case("split", lambda x: mb.split(x=x, num_splits=2, axis=2), (X,),
         lambda x: tuple(np.split(x, 2, 2))),
    Case("split uneven", lambda x: mb.split(x=x, split_sizes=[1, 3, 1], axis=-1), (X,),
         lambda x: tuple(np.split(x, [1, 4], 3))),
    Case("tile", lambda x: mb.tile(x=x, reps=[1, 2, 1, 3]), (X,),
         lambda x: np.tile(x, (1, 2, 1, 3))),
    Case("flatten2d", lambda x: mb.flatten2d(x=x, axis=-1), (X,), lambda x: x.reshape(24, 5),
         peer=False),
    Case("flatten2d default", lambda x: mb.flatten2d(x=x), (X,), lambda x: x.reshape(2, 60),
         peer=False),
    Case("pad", lambda x: mb.pad(x=x, pad=[1, 2, 0, 3], constant_val=-1.5), (X,),
         lambda x: np.pad(x, [(0, 0), (0, 0), (1, 2), (0, 3)], constant_values=-1.5)),
    Case("pad reflect", lambda x: mb.pad(x=x, pad=[1, 2, 3, 0], mode="reflect"), (X,),
         lambda x: np.pad(x, [(0, 0), (0, 0), (1, 2), (3, 0)], "reflect")),
    Case("pad reflect in front",
         lambda x: mb.pad(x=x, pad=[1, 0, 0, 0, 0, 0, 1, 2], mode="reflect"), (X,),
         lambda x: np.pad(x, [(1, 0), (0, 0), (0, 0), (1, 2)], "reflect")),
    Case("pad replicate", lambda x: mb.pad(x=x, pad=[0, 4, 5, 1], mode="replicate"), (X,),
         lambda x: np.pad(x, [(0, 0), (0, 0), (0, 4), (5, 1)], "edge")),
    Case("pad as is said", lambda x, p: mb.pad(x=x, pad=p), (floats(2, 3), whole(0, 1, 2, 0)),
         lambda x, p: np.pad(x, [(0, 1), (2, 0)])),
    *[Case(f"band_part {lower} {upper}",
           lambda x, a=lower, b=upper: mb.band_part(x=x, lower=a, upper=b), (floats(2, 4, 5),),
           lambda x, a=lower, b=upper: band(x, a, b)) for lower,
           upper in ((-1, -1), (0, -1), (1, 2), (-1, 0), (5, 0))],
    *[Case(f"cumsum {axis} {exclusive} {reverse}",
           lambda x, a=axis, e=exclusive, r=reverse: mb.cumsum(x=x, axis=a, exclusive=e, reverse=r),
           (X,),
           lambda x, a=axis, e=exclusive, r=reverse: sums(x, a, e, r), peer=not exclusive)
      for axis in (0, -1) for exclusive in (False, True) for reverse in (False, True)],
    Case("fill", lambda s: mb.fill(shape=s, value=-2.5), (whole(2, 3),),
         lambda s: np.full((2, 3), -2.5)),
    Case("fill whole", lambda s: mb.fill(shape=s, value=7), (whole(3),), lambda s: np.full(3, 7)),
    Case("fill_like", lambda x: mb.fill_like(ref_tensor=x, value=3.0), (X,),
         lambda x: np.full_like(x, 3), since=16),
    Case("range_1d", lambda e: mb.range_1d(start=2, end=mb.squeeze(x=e), step=3), (whole(12),),
         lambda e: np.arange(2, 12, 3)),
    Case("range_1d of parts", lambda e: mb.range_1d(start=0.0, end=mb.squeeze(x=e), step=0.1),
         (np.float32([1.0]),),
         lambda e: np.arange(10) * np.float32(0.1)),
    Case("range_1d down", lambda e: mb.range_1d(start=5, end=mb.squeeze(x=e), step=-2),
         (whole(-1),), lambda e: [5, 3, 1]),
    Case("non_zero", lambda x: mb.non_zero(x=x), (TIED,), np.argwhere),
    Case("one_hot", lambda i: mb.one_hot(indices=i, one_hot_vector_size=4), (whole(2, 0, 3),),
         lambda i: np.eye(4)[i]),
    Case("one_hot inside", lambda i: mb.one_hot(indices=i, one_hot_vector_size=3, axis=1,
         on_value=2.5, off_value=-1.0),
         (whole([2, 0], [1, 2]),),
         lambda i: np.where(np.eye(3)[i].transpose(0, 2, 1) > 0, 2.5, -1.0)),
    Case("argsort", lambda x: mb.argsort(x=x), (TIED,), lambda x: np.argsort(-x, -1, kind="stable"),
         peer=False),
    Case("argsort ascending", lambda x: mb.argsort(x=x, axis=0, ascending=True), (TIED,),
         lambda x: np.argsort(x, 0, kind="stable"), peer=False),
    *[Case(f"topk {k} {axis} {ascending}",
           lambda x, k=k, a=axis, o=ascending: mb.topk(x=x, k=k, axis=a, ascending=o), (TIED,),
           lambda x, k=k, a=axis, o=ascending: best(x, k, a, o), peer=False)
      for k in (1, 3) for axis in (0, -1) for ascending in (False, True)],
    Case("topk values", lambda x: mb.topk(x=x, k=2, return_indices=False, sort=False), (TIED,),
         lambda x: best(x, 2, -1, False)[0], since=16, peer=False),
    Case("topk narrow", lambda x: tuple(mb.cast(x=v, dtype="int32") for v in mb.topk(
            x=mb.cast(x=x, dtype="int16"), k=np.int8(2), output_indices_dtype="uint16")), (TIED,),
         lambda x: best(x, 2, -1, False), since=17, peer=False),
]  # fmt: skip
