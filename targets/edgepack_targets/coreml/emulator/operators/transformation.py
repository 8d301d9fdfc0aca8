"""Shapes and places of values (coremltools, mil/ops/defs/iOS15/tensor_transformation.py)."""

from __future__ import annotations

from torch.nn import functional

from edgepack_targets.coreml.emulator.operators.registry import Ints, Tensor, operator


@operator("squeeze", moves=True)
def squeeze(x: Tensor, axes: Ints | None = None) -> Tensor:
    """x without its axes of size 1, or without those named."""
    return x.squeeze() if axes is None else x.squeeze(axes)


@operator("reshape", moves=True)
def reshape(x: Tensor, shape: Ints) -> Tensor:
    """x in another shape; 0 keeps a size, -1 is what remains."""
    return x.reshape(tuple(x.shape[i] if n == 0 else n for i, n in enumerate(shape)))


@operator("pad", moves=True)
def pad(x: Tensor, pad: Ints, mode: str = "constant", constant_val: float = 0.0) -> Tensor:
    """x with its last axes made longer; `pad` names them in order, before and after each."""
    sides = list(zip(pad[::2], pad[1::2], strict=True))
    flat = [n for side in reversed(sides) for n in side]
    if mode == "constant":
        return functional.pad(x, flat, value=constant_val)
    return functional.pad(x, flat, mode={"reflect": "reflect", "replicate": "replicate"}[mode])
