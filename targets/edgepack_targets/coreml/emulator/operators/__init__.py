"""Every operator of MIL, in modules by Apple's own categories. Importing this registers them."""

from __future__ import annotations

from edgepack_targets.coreml.emulator.operators import (
    activation,
    attention,
    classify,
    constexpr,
    control_flow,
    convolution,
    elementwise_binary,
    elementwise_unary,
    image_resizing,
    linear,
    normalization,
    pooling,
    quantization,
    random,
    recurrent,
    reduction,
    scatter_gather,
    states,
    suppression,
    tensor_operation,
    transformation,
)

__all__ = [
    "activation", "attention", "classify", "constexpr", "control_flow", "convolution",
    "elementwise_binary", "elementwise_unary", "image_resizing", "linear", "normalization",
    "pooling", "quantization", "random", "recurrent", "reduction", "scatter_gather", "states",
    "suppression", "tensor_operation", "transformation",
]  # fmt: skip
