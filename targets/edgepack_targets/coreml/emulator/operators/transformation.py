"""Shapes and places of values (coremltools, mil/ops/defs/iOS15/tensor_transformation.py).

iOS 16 adds `pixel_unshuffle` and `reshape_like`, iOS 18 `slice_update`; iOS 17 changes what a 0 in the
shape of `reshape` means.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from edgepack_targets.coreml.emulator import errors
from edgepack_targets.coreml.emulator.operators.registry import (
    Ints,
    Site,
    Tensor,
    Tensors,
    operator,
)

_Place = tuple[slice | int, ...]


@operator("squeeze", moves=True)
def squeeze(x: Tensor, axes: Ints | None = None) -> Tensor:
    """`x` without its axes of size 1, or without those named; named ones of another size stay."""
    return x.squeeze() if axes is None else x.squeeze(axes)


@operator("expand_dims", moves=True)
def expand_dims(x: Tensor, axes: Ints) -> Tensor:
    """`x` with new axes of size 1, counted in the result."""
    rank = x.dim() + len(axes)
    sizes = list(x.shape)
    for axis in sorted(axis % rank for axis in axes):
        sizes.insert(axis, 1)
    return x.reshape(sizes)


@operator("reshape", moves=True)
def reshape(site: Site, x: Tensor, shape: Ints) -> Tensor:
    """`x` in another shape: -1 is what remains, 0 the size of x at that place.

    Places are counted from the first axis up to iOS 16 and from the last since iOS 17, where one that x
    does not have is 1.
    """
    shift = len(shape) - x.dim() if site.ios >= 17 else 0  # noqa: PLR2004 iOS 17
    return x.reshape([_kept(x, at - shift) if n == 0 else n for at, n in enumerate(shape)])


def _kept(x: Tensor, axis: int) -> int:
    return x.shape[axis] if 0 <= axis < x.dim() else 1


@operator("reshape_like", moves=True)
def reshape_like(
    x: Tensor, ref_tensors: Tensors, begins: Tensors, ends: Tensors, end_masks: Tensors
) -> Tensor:
    """`x` in a shape put together from the sizes begin to end of others; a mask ignores the end."""
    sizes: list[int] = []
    for ref, begin, end, mask in zip(ref_tensors, begins, ends, end_masks, strict=True):
        sizes += ref.shape[int(begin) : None if bool(mask) else int(end)]
    return x.reshape(sizes)


@operator("transpose", moves=True)
def transpose(x: Tensor, perm: Ints) -> Tensor:
    """`x` with axis i of the result its axis perm[i]."""
    return x.permute(perm)


@operator("reverse", moves=True)
def reverse(x: Tensor, axes: Ints | None = None) -> Tensor:
    """`x` backwards along some axes, all if none are named."""
    return x.flip(tuple(range(x.dim())) if axes is None else axes)


@operator("reverse_sequence", moves=True)
def reverse_sequence(x: Tensor, lengths: Tensor, seq_axis: int = 0, batch_axis: int = 0) -> Tensor:
    """`x` with the first lengths[i] values along seq_axis backwards, for each i of batch_axis."""
    seq_axis, batch_axis = seq_axis % x.dim(), batch_axis % x.dim()
    steps = torch.arange(x.shape[seq_axis])
    ends = lengths.reshape(-1, 1).long()
    places = torch.where(steps < ends, ends - 1 - steps, steps)
    sizes = [1] * x.dim()
    sizes[batch_axis], sizes[seq_axis] = x.shape[batch_axis], x.shape[seq_axis]
    if seq_axis < batch_axis:
        places = places.T
    return x.gather(seq_axis, places.reshape(sizes).expand(x.shape))


@operator("slice_by_index", moves=True)
def slice_by_index(
    x: Tensor, begin: Ints, end: Ints, stride: Ints | None = None, begin_mask: Ints | None = None,
    end_mask: Ints | None = None, squeeze_mask: Ints | None = None,
) -> Tensor:  # fmt: skip
    """`x[begin:end:stride]` on each axis, as NumPy reads it, backwards if the stride is negative.

    A mask ignores begin or end; squeeze_mask takes the one value at begin and drops the axis. Raises
    E509 if there is no such value.
    """
    place, turned = _place(x, begin, end, stride, begin_mask, end_mask, squeeze_mask)
    found = x[place]
    if turned:
        left = [axis for axis, part in enumerate(place) if isinstance(part, slice)]
        found = found.flip([left.index(axis) for axis in turned])
    return found


@operator("slice_update", moves=True)
def slice_update(
    x: Tensor, update: Tensor, begin: Ints, end: Ints, stride: Ints | None = None,
    begin_mask: Ints | None = None, end_mask: Ints | None = None, squeeze_mask: Ints | None = None,
) -> Tensor:  # fmt: skip
    """`x` with what `slice_by_index` would take replaced by `update`."""
    place, turned = _place(x, begin, end, stride, begin_mask, end_mask, squeeze_mask)
    result = x.clone()
    target = result[place]
    if turned:
        left = [axis for axis, part in enumerate(place) if isinstance(part, slice)]
        update = update.reshape(target.shape).flip([left.index(axis) for axis in turned])
    target.copy_(update.reshape(target.shape))
    return result


def _place(
    x: Tensor, begin: Ints, end: Ints, stride: Ints | None, begin_mask: Ints | None,
    end_mask: Ints | None, squeeze_mask: Ints | None,
) -> tuple[_Place, list[int]]:  # fmt: skip
    """Slices with positive steps and indices, one per axis, and the axes to turn round afterwards."""
    none = (0,) * x.dim()
    steps, singles = stride or (1,) * x.dim(), squeeze_mask or none
    firsts, lasts = begin_mask or none, end_mask or none
    place: list[slice | int] = []
    turned: list[int] = []
    axes = zip(begin, end, steps, firsts, lasts, singles, strict=True)
    for axis, (first, last, step, from_start, to_end, single) in enumerate(axes):
        if single:
            place.append(0 if from_start else first)
            continue
        taken = slice(None if from_start else first, None if to_end else last, step)
        reach = range(*taken.indices(x.shape[axis]))
        if step < 0:
            reach = reach[::-1]
            turned.append(axis)
        place.append(slice(reach.start, reach.stop, reach.step) if len(reach) else slice(0, 0))
    return tuple(place), turned


@operator("slice_by_size", moves=True)
def slice_by_size(x: Tensor, begin: Ints, size: Ints) -> Tensor:
    """`size` values from `begin` on each axis; -1 takes all that follow. Raises E509 beyond the end."""
    for axis, (first, count) in enumerate(zip(begin, size, strict=True)):
        start = first + x.shape[axis] if first < 0 else first
        x = x.narrow(axis, start, x.shape[axis] - start if count == -1 else count)
    return x


@operator("sliding_windows", moves=True)
def sliding_windows(x: Tensor, axis: int, size: int, stride: int = 1) -> Tensor:
    """Windows of `size` values, `stride` apart, on a new axis after `axis`."""
    axis %= x.dim()
    return x.unfold(axis, size, stride).movedim(-1, axis + 1)


@operator("pixel_shuffle", moves=True)
def pixel_shuffle(x: Tensor, upscale_factor: int) -> Tensor:
    """(n, c·f², h, w) as (n, c, h·f, w·f): channel c·f² + i·f + j goes to row i, column j of a block."""
    return functional.pixel_shuffle(x, upscale_factor)


@operator("pixel_unshuffle", moves=True)
def pixel_unshuffle(x: Tensor, downscale_factor: int) -> Tensor:
    """(n, c, h·f, w·f) as (n, c·f², h, w), the inverse of `pixel_shuffle`."""
    return functional.pixel_unshuffle(x, downscale_factor)


@operator("depth_to_space", moves=True)
def depth_to_space(x: Tensor, block_size: int) -> Tensor:
    """(n, b²·c, h, w) as (n, c, h·b, w·b): the place in the block is the slow part of the channel."""
    n, channels, h, w = x.shape
    c = channels // block_size**2
    blocks = x.reshape(n, block_size, block_size, c, h, w).permute(0, 3, 4, 1, 5, 2)
    return blocks.reshape(n, c, h * block_size, w * block_size)


@operator("space_to_depth", moves=True)
def space_to_depth(x: Tensor, block_size: int) -> Tensor:
    """(n, c, h·b, w·b) as (n, b²·c, h, w), the inverse of `depth_to_space`."""
    n, c, height, width = x.shape
    h, w = height // block_size, width // block_size
    blocks = x.reshape(n, c, h, block_size, w, block_size).permute(0, 3, 5, 1, 2, 4)
    return blocks.reshape(n, c * block_size**2, h, w)


@operator("space_to_batch", moves=True)
def space_to_batch(x: Tensor, block_shape: Ints, paddings: Ints) -> Tensor:
    """(n, c, h, w), padded, as (a·b·n, c, h / a, w / b) for blocks of a times b."""
    a, b = block_shape
    top, bottom, left, right = paddings
    x = functional.pad(x, (left, right, top, bottom))
    n, c, height, width = x.shape
    h, w = height // a, width // b
    return x.reshape(n, c, h, a, w, b).permute(3, 5, 0, 1, 2, 4).reshape(n * a * b, c, h, w)


@operator("batch_to_space", moves=True)
def batch_to_space(x: Tensor, block_shape: Ints, crops: Ints) -> Tensor:
    """(a·b·n, c, h, w) as (n, c, h·a, w·b), cropped: the inverse of `space_to_batch`."""
    a, b = block_shape
    top, bottom, left, right = crops
    batch, c, h, w = x.shape
    n = batch // (a * b)
    if n * a * b != batch:
        raise errors.failed(f"a batch of {batch} does not divide into blocks of {a} times {b}")
    whole = x.reshape(a, b, n, c, h, w).permute(2, 3, 4, 0, 5, 1).reshape(n, c, h * a, w * b)
    return whole[:, :, top : h * a - bottom, left : w * b - right]
