"""The data types of MIL, and which torch dtype carries each.

Values of type fp16 travel as float32 tensors that hold only numbers half precision has: operators compute
in single precision and their results are rounded, which is how Core ML's documented "typed execution"
reads and what Apple's own expected values agree with. Small and unsigned integers travel in the nearest
torch dtype that has arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class Kind:
    """A data type. carrier: the torch dtype of its values. bits: its size when packed in a file.

    low, high: the least and the largest integer, 0 and 0 for what is no integer.
    """

    name: str
    carrier: torch.dtype
    bits: int
    low: int = 0
    high: int = 0

    @property
    def is_float(self) -> bool:
        """Whether values have fractions."""
        return self.carrier.is_floating_point

    @property
    def is_integer(self) -> bool:
        """Whether values are integers; booleans are not."""
        return self.high > 0


def _integer(name: str, carrier: torch.dtype, bits: int) -> Kind:
    if name.startswith("u"):
        return Kind(name, carrier, bits, 0, 2**bits - 1)
    return Kind(name, carrier, bits, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


# Numbers of MIL.proto's DataType.
KINDS: dict[int, Kind] = {
    1: Kind("bool", torch.bool, 8),
    10: Kind("fp16", torch.float32, 16),
    11: Kind("fp32", torch.float32, 32),
    12: Kind("fp64", torch.float64, 64),
    13: Kind("bf16", torch.float32, 16),
    21: _integer("int8", torch.int8, 8),
    22: _integer("int16", torch.int16, 16),
    23: _integer("int32", torch.int32, 32),
    24: _integer("int64", torch.int64, 64),
    25: _integer("int4", torch.int8, 4),
    31: _integer("uint8", torch.uint8, 8),
    32: _integer("uint16", torch.int32, 16),
    33: _integer("uint32", torch.int64, 32),
    34: _integer("uint64", torch.int64, 64),
    35: _integer("uint4", torch.uint8, 4),
    36: _integer("uint2", torch.uint8, 2),
    37: _integer("uint1", torch.uint8, 1),
    38: _integer("uint6", torch.uint8, 6),
    39: _integer("uint3", torch.uint8, 3),
}
STRING = 2
BY_NAME = {kind.name: kind for kind in KINDS.values()}
HALF, SINGLE, BOOL, INT32 = (BY_NAME[n] for n in ("fp16", "fp32", "bool", "int32"))
