"""Weights as torch tensors."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch

from edgepack_targets.coreml.emulator import blobs, errors
from edgepack_targets.coreml.emulator.kinds import Kind

_SAME = frozenset({"uint8", "bool"})
"""Booleans are stored as bytes."""

_CARRIED_AS = {"uint16": np.int32, "uint32": np.int64, "uint64": np.int64, "fp16": np.float32}


class Storage:
    """The weights files beside one model."""

    def __init__(self, folder: Path) -> None:
        """folder: what "@model_path" stands for."""
        self._weights = blobs.Weights(folder)

    def tensor(self, name: str, offset: int, kind: Kind, shape: tuple[int, ...]) -> torch.Tensor:
        """The blob whose record lies at `offset` of file `name`, as values of `kind`.

        Raises E202 if there is none such, whole and of that kind and size.
        """
        blob = self._weights.blob(name, offset)
        if blob.name != kind.name and not {blob.name, kind.name} <= _SAME:
            raise errors.malformed(
                f"weights at {offset} of {name} are {blob.name}, not {kind.name}"
            )
        if blob.bits // kind.bits != math.prod(shape):
            raise errors.malformed(
                f"weights at {offset} of {name} have another size",
                why=f"{blob.bits} bits are not {math.prod(shape)} values of {kind.name}",
            )
        values = decoded(blob.data, kind, shape)
        if kind.name != "fp32":  # which may lie in the file itself
            blob.release()
        return values


def decoded(data: memoryview | bytes, kind: Kind, shape: tuple[int, ...]) -> torch.Tensor:
    """Packed little-endian values as a tensor in the kind's carrier; float32 in a file is not copied.

    Raises E202 if the bytes are too few.
    """
    array = blobs.array(data, kind.name, math.prod(shape))
    if kind.name == "fp32" and array.size and array.flags.writeable and array.flags.aligned:
        return torch.from_numpy(array).reshape(shape)
    return carried(array, kind).reshape(shape)


def carried(array: blobs.Array, kind: Kind) -> torch.Tensor:
    """An array of a kind's values as a new tensor in its carrier."""
    if kind.name == "bf16" and array.dtype == np.uint16:
        array = (array.astype(np.uint32) << 16).view(np.float32)
    wide = _CARRIED_AS.get(kind.name, array.dtype)
    return torch.from_numpy(array.astype(wide, copy=True)).to(kind.carrier)
