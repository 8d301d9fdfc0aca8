"""Affine quantization of activations (coremltools, mil/ops/defs/iOS17/quantization_ops.py)."""

from __future__ import annotations

import torch

from edgepack_targets.coreml.emulator.kinds import BY_NAME
from edgepack_targets.coreml.emulator.operators.registry import Tensor, operator


@operator("quantize")
def quantize(
    input: Tensor,  # noqa: A002 MIL's name
    scale: Tensor,
    output_dtype: str,
    zero_point: Tensor | None = None,
    axis: int | None = None,
) -> Tensor:
    """round(input / scale) + zero_point, held within the data type; halves go to the even number."""
    kind = BY_NAME[output_dtype]
    steps = torch.round(input / along(scale, input, axis))
    if zero_point is not None:
        steps += along(zero_point, input, axis)
    return steps.clamp_(kind.low, kind.high).to(kind.carrier)


@operator("dequantize")
def dequantize(
    input: Tensor,  # noqa: A002 MIL's name
    scale: Tensor,
    zero_point: Tensor | None = None,
    axis: int | None = None,
) -> Tensor:
    """(input - zero_point) · scale."""
    values = input.float()
    if zero_point is not None:
        values = values - along(zero_point, input, axis)
    return values * along(scale, input, axis)


def along(parameter: Tensor, values: Tensor, axis: int | None) -> Tensor:
    """A vector in the rank of `values`, along its axis; a single number as it is."""
    if axis is None or parameter.dim() != 1 or parameter.dim() == values.dim():
        return parameter
    sizes = [1] * values.dim()
    sizes[axis] = -1
    return parameter.reshape(sizes)
