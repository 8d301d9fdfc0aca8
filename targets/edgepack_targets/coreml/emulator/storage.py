"""Weights files: blob storage version 2, read without Apple's libraries.

A header of 64 bytes (count, version), then blobs. What a program refers to is the offset of a record of
64 bytes: sentinel, data type, size in bytes, position of the data, padding in bits (coremltools,
mlmodel/src/MILBlob/Blob/StorageFormat.hpp). Values of less than a byte are packed from the lowest bit on
and may straddle bytes. Nothing is trusted: sizes are checked against the file before anything is read.
"""

from __future__ import annotations

import math
import mmap
import struct
from pathlib import Path

import numpy as np
import torch

from edgepack_targets.coreml.emulator import errors
from edgepack_targets.coreml.emulator.kinds import BY_NAME, Kind

_HEADER = struct.Struct("<II56x")
_RECORD = struct.Struct("<IIQQQ32x")
_SENTINEL = 0xDEADBEEF
_VERSION = 2
_KIND_OF_CODE = {
    1: "fp16", 2: "fp32", 3: "uint8", 4: "int8", 5: "bf16", 6: "int16", 7: "uint16", 8: "int4", 9: "uint1",
    10: "uint2", 11: "uint4", 12: "uint3", 13: "uint6", 14: "int32", 15: "uint32",
}  # fmt: skip
_NUMPY = {
    "bool": np.bool_, "fp16": np.float16, "fp32": np.float32, "fp64": np.float64, "bf16": np.uint16,
    "int8": np.int8, "int16": np.int16, "int32": np.int32, "int64": np.int64, "uint8": np.uint8,
    "uint16": np.uint16, "uint32": np.uint32, "uint64": np.uint64,
}  # fmt: skip


class Storage:
    """The weights files beside one model, each mapped when first asked for."""

    def __init__(self, folder: Path) -> None:
        """folder: what "@model_path" stands for."""
        self._folder = folder.resolve()
        self._mapped: dict[str, memoryview] = {}

    def tensor(self, name: str, offset: int, kind: Kind, shape: tuple[int, ...]) -> torch.Tensor:
        """The blob whose record lies at `offset` of file `name`, as values of `kind`.

        Raises E202 if there is none such, whole and of that kind and size.
        """
        data = self._file(name)
        if offset + _RECORD.size > len(data):
            raise errors.malformed(f"{name} ends before the weights at {offset}")
        sentinel, code, size, start, padding = _RECORD.unpack_from(data, offset)
        if sentinel != _SENTINEL or start + size > len(data):
            raise errors.malformed(f"{name} holds no whole weights at {offset}")
        stored = _KIND_OF_CODE.get(code, f"type {code}")
        if stored != kind.name and not {stored, kind.name} <= {"uint8", "bool"}:
            raise errors.malformed(f"weights at {offset} of {name} are {stored}, not {kind.name}")
        count = math.prod(shape)
        if (size * 8 - padding) // kind.bits != count:
            raise errors.malformed(
                f"weights at {offset} of {name} have another size",
                why=f"{size} bytes are not {count} values of {kind.name}",
            )
        return decoded(data[start : start + size], kind, shape)

    def _file(self, name: str) -> memoryview:
        if name not in self._mapped:
            path = (self._folder / name.removeprefix("@model_path/")).resolve()
            if not path.is_relative_to(self._folder):
                raise errors.malformed(f"the model refers to {name!r}, outside its package")
            try:
                with path.open("rb") as file:
                    data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
            except (OSError, ValueError) as error:
                raise errors.malformed(f"{name} cannot be read", why=str(error)) from error
            if len(data) < _HEADER.size or _HEADER.unpack_from(data)[1] != _VERSION:
                raise errors.malformed(f"{name} is no weights file of version {_VERSION}")
            self._mapped[name] = data
        return self._mapped[name]


def decoded(data: memoryview | bytes, kind: Kind, shape: tuple[int, ...]) -> torch.Tensor:
    """Packed little-endian values as a tensor in the kind's carrier; float32 is not copied.

    Raises E202 if the bytes are too few.
    """
    count = math.prod(shape)
    if len(data) * 8 < count * kind.bits:
        raise errors.malformed(f"{len(data)} bytes are too few for {count} values of {kind.name}")
    if kind.name == "fp32" and isinstance(data, memoryview) and count:
        return torch.frombuffer(data, dtype=torch.float32, count=count).reshape(shape)
    if kind.bits < 8:  # noqa: PLR2004 bits in a byte
        array = unpacked(np.frombuffer(data, np.uint8), kind, count)
    else:
        array = np.frombuffer(data, _NUMPY[kind.name], count)
    return carried(array, kind).reshape(shape)


def carried(array: np.ndarray, kind: Kind) -> torch.Tensor:
    """An array of a kind's values as a new tensor in its carrier."""
    if kind.name == "bf16":
        array = (array.astype(np.uint32) << 16).view(np.float32)
    wide = {"uint16": np.int32, "uint32": np.int64, "uint64": np.int64, "fp16": np.float32}
    return torch.from_numpy(array.astype(wide.get(kind.name, array.dtype), copy=True)).to(kind.carrier)


def unpacked(packed: np.ndarray, kind: Kind, count: int) -> np.ndarray:
    """`count` integers of less than a byte out of the bits of bytes, lowest first."""
    bits = np.unpackbits(packed, count=count * kind.bits, bitorder="little")
    values = bits.reshape(count, kind.bits) @ (1 << np.arange(kind.bits)).astype(np.int16)
    if kind.low < 0:
        values = np.where(values > kind.high, values - (1 << kind.bits), values)
    return values.astype(np.int8 if kind.low < 0 else np.uint8)


assert set(_NUMPY) <= set(BY_NAME)
