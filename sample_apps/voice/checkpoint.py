"""Weights out of a CTranslate2 file: a flat list of named arrays behind a short header.

Format: version, name and revision of the model's kind, then for each variable its name, sizes, dtype and
bytes, then aliases (CTranslate2, src/models/model.cc). Nothing in it is executed.
"""

from __future__ import annotations

import struct
from typing import IO, TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from pathlib import Path

_DTYPES = (np.float32, np.int8, np.int16, np.int32, np.float16)


def read(path: Path) -> dict[str, torch.Tensor]:
    """Every array by name, floats as float32. Raises ValueError if the file ends too early."""
    with path.open("rb") as file:
        _number(file, "I")
        _text(file)
        _number(file, "I")
        found = dict(_variable(file) for _ in range(_number(file, "I")))
        for _ in range(_number(file, "I")):
            alias, name = _text(file), _text(file)
            found[alias] = found[name]
    return found


def _variable(file: IO[bytes]) -> tuple[str, torch.Tensor]:
    name = _text(file)
    shape = [_number(file, "I") for _ in range(_number(file, "B"))]
    dtype = _DTYPES[_number(file, "B")]
    array = np.frombuffer(_exactly(file, _number(file, "I")), dtype).reshape(shape)
    wide = np.float32 if array.dtype.kind == "f" else array.dtype
    return name, torch.from_numpy(array.astype(wide))


def _number(file: IO[bytes], code: str) -> int:
    layout = struct.Struct(f"<{code}")
    return int(layout.unpack(_exactly(file, layout.size))[0])


def _text(file: IO[bytes]) -> str:
    return _exactly(file, _number(file, "H")).rstrip(b"\0").decode()


def _exactly(file: IO[bytes], count: int) -> bytes:
    data = file.read(count)
    if len(data) != count:
        raise ValueError("the checkpoint ends too early")
    return data
