"""Compressed weights (coremltools, mil/ops/defs/iOS16/constexpr_ops.py and iOS18/compression.py).

All arguments are constants, so these run once, when a program is compiled. Results are stored values:
what is declared fp16 is rounded to it in every mode. Arithmetic follows coremltools' own decompression
step by step, so that results are equal to it to the bit. Indices stay in a byte each; what has to be
wider is made for some rows at a time.
"""

from __future__ import annotations

import math

import torch

from edgepack_targets.coreml.emulator import blobs, errors
from edgepack_targets.coreml.emulator.kinds import Kind
from edgepack_targets.coreml.emulator.operators.quantization import along
from edgepack_targets.coreml.emulator.operators.registry import Ints, Site, Tensor, operator
from edgepack_targets.coreml.emulator.precision import halve

_AT_ONCE = 2**20
"""Weights for which wide indices are made at a time."""
_BITS = (1, 2, 3, 4, 6, 8)


@operator("constexpr_cast", moves=True)
def constexpr_cast(source_val: Tensor, output_dtype: str) -> Tensor:
    """fp16 values as fp32."""
    if output_dtype != "fp32":
        raise errors.unsupported(f"constexpr_cast to {output_dtype!r}")
    return source_val


@operator("constexpr_affine_dequantize", moves=True)
def constexpr_affine_dequantize(
    site: Site, quantized_data: Tensor, zero_point: Tensor, scale: Tensor, axis: int
) -> Tensor:
    """(quantized_data - zero_point) · scale, both single or along an axis."""
    values = quantized_data.float()
    values -= along(zero_point, values, axis)
    values *= along(scale, values, axis)
    return _stored(values, site.outputs[0].kind)


@operator("constexpr_blockwise_shift_scale", moves=True)
def constexpr_blockwise_shift_scale(
    site: Site, data: Tensor, scale: Tensor, offset: Tensor | None = None
) -> Tensor:
    """(data - offset) · scale, each for a block of weights.

    scale, offset: of data's rank; a block is what data has more values along an axis.
    """
    return _shifted_and_scaled(data, scale, offset, site.outputs[0].kind)


@operator("constexpr_lut_to_dense", moves=True)
def constexpr_lut_to_dense(
    indices: Tensor, lut: Tensor, shape: Ints | None = None, vector_axis: int | None = None
) -> Tensor:
    """For each index, the value or vector of a palette.

    iOS 16: indices are packed bytes, the palette is one vector, shape is the result's.
    iOS 18: indices have the result's rank, lut two axes more: a palette (count, vector) for each block
    of indices. Vectors lie along vector_axis.
    """
    if shape is not None:
        bits = int(math.log2(lut.numel()))
        indices = _unpacked(indices, bits, shape)
        lut = lut.reshape((1,) * len(shape) + (-1, 1))
    return _looked_up(indices, lut, vector_axis)


@operator("constexpr_sparse_to_dense", moves=True)
def constexpr_sparse_to_dense(
    nonzero_data: Tensor, mask: Tensor, shape: Ints | None = None
) -> Tensor:
    """Weights where the mask is 1, in order, and 0 elsewhere.

    iOS 16: the mask is packed bytes, shape the result's. iOS 18: the mask has the result's shape.
    """
    return _dense(nonzero_data, mask if shape is None else _unpacked(mask, 1, shape))


@operator("constexpr_lut_to_sparse", moves=True)
def constexpr_lut_to_sparse(
    indices_mask: Tensor,
    indices_nonzero_data: Tensor,
    lut: Tensor,
    vector_axis: int | None = None,
) -> tuple[Tensor, Tensor]:
    """The mask, grown by the vectors of the palette, and the weights where it is 1."""
    weights = _looked_up(_dense(indices_nonzero_data, indices_mask), lut, vector_axis)
    size = lut.shape[-1]
    mask = indices_mask
    if size > 1:
        if vector_axis is None:
            raise errors.failed("a palette of vectors lacks its vector_axis")
        mask = mask.repeat_interleave(size, vector_axis)
    return mask, weights[mask.bool()]


@operator("constexpr_sparse_blockwise_shift_scale", moves=True)
def constexpr_sparse_blockwise_shift_scale(
    site: Site,
    data_mask: Tensor,
    nonzero_data: Tensor,
    scale: Tensor,
    offset: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The mask, and where it is 1 what `constexpr_blockwise_shift_scale` makes of the weights."""
    data = _dense(nonzero_data, data_mask)
    weights = _shifted_and_scaled(data, scale, offset, site.outputs[1].kind)
    return data_mask, weights[data_mask.bool()]


def _shifted_and_scaled(
    data: Tensor, scale: Tensor, offset: Tensor | None, kind: Kind | None
) -> Tensor:
    """Block by block; the difference is rounded too, as it is where scales are fp16."""
    blocks: list[int] = []
    ones: list[int] = []
    for size, count in zip(data.shape, scale.shape, strict=True):
        if count == 0 or size % count:
            raise errors.failed(f"{size} weights do not divide into {count} blocks")
        blocks += [count, size // count]
        ones += [count, 1]
    values = data.to(scale.dtype, copy=True).reshape(blocks)
    if offset is not None:
        values -= offset.reshape(ones)
        if offset.dtype.is_floating_point:
            _stored(values, kind)
    values *= scale.reshape(ones)
    return _stored(values, kind).reshape(data.shape)


def _stored(values: Tensor, kind: Kind | None) -> Tensor:
    """Rounded in place, if they are declared fp16."""
    return halve(values) if kind is not None and kind.name == "fp16" else values


def _unpacked(packed: Tensor, bits: int, shape: Ints) -> Tensor:
    """Numbers of a few bits, lowest first, out of bytes."""
    count = math.prod(shape)
    if bits not in _BITS or min(shape, default=1) < 0:
        raise errors.failed(f"a palette cannot have {list(shape)} indices of {bits} bits")
    data = memoryview(packed.contiguous().reshape(-1).numpy())
    return torch.from_numpy(blobs.array(data, f"uint{bits}", count)).reshape(shape)


def _dense(values: Tensor, mask: Tensor) -> Tensor:
    where = mask.bool()
    if int(where.sum()) != values.numel():
        raise errors.failed(
            f"{values.numel()} weights are not {int(where.sum())}, as the mask says"
        )
    return torch.zeros(mask.shape, dtype=values.dtype).masked_scatter_(where, values)


def _looked_up(indices: Tensor, lut: Tensor, vector_axis: int | None) -> Tensor:
    """Values of palettes (…, count, vector), one palette for each block of indices."""
    *groups, count, size = lut.shape
    axis = 0 if vector_axis is None else vector_axis % indices.dim()
    if size > 1 and vector_axis is None:
        raise errors.failed("a palette of vectors lacks its vector_axis")
    if any(group == 0 or n % group for n, group in zip(indices.shape, groups, strict=True)):
        raise errors.failed(f"indices {list(indices.shape)} do not divide into {groups}")
    result = torch.empty(
        [n * size if at == axis else n for at, n in enumerate(indices.shape)], dtype=lut.dtype
    )
    vectors = result.unflatten(axis, (indices.shape[axis], size)).movedim(axis + 1, -1)
    palettes = lut.reshape(-1, size)
    firsts = torch.arange(math.prod(groups), dtype=torch.int32).mul_(count).reshape(groups)
    rows = max(1, _AT_ONCE // max(1, math.prod(indices.shape[1:])))
    for start in range(0, indices.shape[0], rows):
        some = indices[start : start + rows]
        places = _placed(some, firsts, start, indices.shape[0])
        found = palettes.index_select(0, places.reshape(-1))
        vectors[start : start + rows] = found.reshape(*some.shape, size)
    return result


def _placed(indices: Tensor, firsts: Tensor, start: int, height: int) -> Tensor:
    """Where all palettes stand in one list: the place in it of rows of indices that begin at `start`."""
    if firsts.numel() == 1:
        return indices.int()
    block = height // firsts.shape[0]
    of_rows = firsts[torch.arange(start, start + len(indices)) // block]
    split, ones = [len(indices)], [len(indices)]
    for size, count in zip(indices.shape[1:], firsts.shape[1:], strict=True):
        split += [count, size // count]
        ones += [count, 1]
    return indices.reshape(split) + of_rows.reshape(ones)
