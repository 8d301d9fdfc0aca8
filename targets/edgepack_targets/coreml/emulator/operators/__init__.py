"""Every operator of MIL, in modules by Apple's own categories. Importing this registers them."""

from __future__ import annotations

from edgepack_targets.coreml.emulator.operators import (
    activation,
    attention,
    convolution,
    elementwise_binary,
    elementwise_unary,
    linear,
    normalization,
    pooling,
    random,
    reduction,
    transformation,
)

__all__ = [
    "activation", "attention", "convolution", "elementwise_binary", "elementwise_unary", "linear", "normalization",
    "pooling", "random", "reduction", "transformation",
]  # fmt: skip
