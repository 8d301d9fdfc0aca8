"""Weights files: blob storage version 2, read without Apple's libraries or torch.

A header of 64 bytes (count, version), then blobs. What a program refers to is the offset of a record of
64 bytes: sentinel, data type, size in bytes, position of the data, padding in bits (coremltools,
mlmodel/src/MILBlob/Blob/StorageFormat.hpp). Values of less than a byte are packed from the lowest bit on
and may straddle bytes. Nothing is trusted: sizes are checked against the file before anything is read.
"""

from __future__ import annotations

import math
import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgepack_targets.coreml.emulator import errors

Array = np.ndarray[Any, Any]

PREFIX = "@model_path/"
"""What file names in a program start with: the folder of the model."""

_HEADER = struct.Struct("<II56x")
_RECORD = struct.Struct("<IIQQQ32x")
_SENTINEL = 0xDEADBEEF
_VERSION = 2
_BYTE = 8
_NAMES = {
    1: "fp16", 2: "fp32", 3: "uint8", 4: "int8", 5: "bf16", 6: "int16", 7: "uint16", 8: "int4", 9: "uint1",
    10: "uint2", 11: "uint4", 12: "uint3", 13: "uint6", 14: "int32", 15: "uint32", 16: "fp8e4m3fn",
    17: "fp8e5m2",
}  # fmt: skip
_WHOLE = {
    "bool": np.uint8, "fp16": np.float16, "fp32": np.float32, "fp64": np.float64, "bf16": np.uint16,
    "int8": np.int8, "int16": np.int16, "int32": np.int32, "int64": np.int64, "uint8": np.uint8,
    "uint16": np.uint16, "uint32": np.uint32, "uint64": np.uint64,
}  # fmt: skip
_PARTS = {"int4": 4, "uint1": 1, "uint2": 2, "uint3": 3, "uint4": 4, "uint6": 6}


@dataclass(frozen=True, slots=True)
class Blob:
    """Values in a weights file. name: their data type; bits: how many of the data's are values.

    file, start: what maps the data, and where in it they begin.
    """

    name: str
    data: memoryview
    bits: int
    file: mmap.mmap
    start: int

    def release(self) -> None:
        """Give back the memory of what was read; whoever asks again reads the file again."""
        if len(self.data) and hasattr(mmap, "MADV_DONTNEED"):
            first = self.start // mmap.PAGESIZE * mmap.PAGESIZE
            self.file.madvise(mmap.MADV_DONTNEED, first, self.start - first + len(self.data))


class Weights:
    """The weights files beside one model, each mapped when first asked for."""

    def __init__(self, folder: Path) -> None:
        """folder: what "@model_path" stands for."""
        self._folder = folder
        self._mapped: dict[str, mmap.mmap] = {}

    def blob(self, name: str, offset: int) -> Blob:
        """The blob whose record lies at `offset` of file `name`. Raises E202 if none lies there whole."""
        data = self._file(name)
        short = name.removeprefix(PREFIX)
        if offset + _RECORD.size > len(data):
            raise errors.malformed(f"{short} ends before the weights at {offset}")
        sentinel, code, size, start, padding = _RECORD.unpack_from(data, offset)
        if sentinel != _SENTINEL:
            raise errors.malformed(f"{short} has no weights at {offset}")
        stored = _NAMES.get(code, f"of type {code}")
        # Files for iOS 17 and before hold anything where the padding is.
        unused = padding if stored in _PARTS else 0
        if start + size > len(data) or unused > size * _BYTE:
            raise errors.malformed(f"{short} ends before the end of the weights at {offset}")
        found = memoryview(data)[start : start + size]
        return Blob(stored, found, size * _BYTE - unused, data, start)

    def _file(self, name: str) -> mmap.mmap:
        if name not in self._mapped:
            path = inside(self._folder, name.removeprefix(PREFIX))
            try:
                with path.open("rb") as file:
                    data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
            except (OSError, ValueError) as error:
                raise errors.malformed(f"{path.name} cannot be read", why=str(error)) from error
            if len(data) < _HEADER.size or _HEADER.unpack_from(data)[1] != _VERSION:
                raise errors.malformed(f"{path.name} is truncated or not a weights file")
            self._mapped[name] = data
        return self._mapped[name]


def inside(folder: Path, name: str) -> Path:
    """The file `name` in `folder`, with links followed. Raises E202 if it is not there, or not in there."""
    try:
        root = folder.resolve()
        file = (root / name).resolve()
        within, present = file.is_relative_to(root), file.is_file()
    except (OSError, RuntimeError, ValueError) as error:
        raise errors.malformed(f"it refers to a file of an impossible name ({error})") from error
    if not within:
        raise errors.malformed(
            f"it refers to {name!r}, outside the package",
            why="What a package refers to must lie in it. Copy one made of links with `cp -RL`.",
        )
    if not present:
        raise errors.malformed(f"{name} is missing")
    return file


def bits_of(name: str) -> int:
    """The bits that a value of a data type takes in a file."""
    return _PARTS[name] if name in _PARTS else np.dtype(_WHOLE[name]).itemsize * _BYTE


def array(data: memoryview | bytes, name: str, count: int) -> Array:
    """`count` packed little-endian values of a data type; those of a byte and more are not copied.

    Values of less than a byte come as int8 or uint8, bf16 as uint16. Raises E202 if the bytes are too few.
    """
    if len(data) * _BYTE < count * bits_of(name):
        raise errors.malformed(f"{len(data)} bytes are too few for {count} values of {name}")
    if name in _PARTS:
        return _unpacked(np.frombuffer(data, np.uint8), _PARTS[name], count, signed=name == "int4")
    found = np.frombuffer(data, np.dtype(_WHOLE[name]).newbyteorder("<"), count)
    return found != 0 if name == "bool" else found


def _unpacked(packed: Array, bits: int, count: int, *, signed: bool) -> Array:
    """`count` integers out of the bits of bytes, lowest first."""
    group = math.lcm(bits, _BYTE) // _BYTE  # bytes after which a value starts on a byte again
    per_group = group * _BYTE // bits
    words = np.zeros(math.ceil(count / per_group) * group, np.uint8)
    length = math.ceil(count * bits / _BYTE)
    words[:length] = packed[:length]
    parts = words.reshape(-1, group)
    whole: Array = parts[:, 0]
    for place in range(1, group):
        whole = whole | parts[:, place].astype(np.uint32) << np.uint32(_BYTE * place)
    values = np.empty((len(parts), per_group), np.uint8)
    for place in range(per_group):
        values[:, place] = whole >> whole.dtype.type(place * bits) & ((1 << bits) - 1)
    flat = values.reshape(-1)[:count]
    if not signed:
        return flat
    edge = 1 << (bits - 1)
    return (flat ^ edge).view(np.int8) - np.int8(edge)
