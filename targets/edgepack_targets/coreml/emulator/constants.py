"""Constants of a program: MIL values as tensors, strings, lists and dictionaries."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from edgepack_targets.coreml.emulator import errors, limits
from edgepack_targets.coreml.emulator.kinds import KINDS, STRING, Kind
from edgepack_targets.coreml.emulator.storage import Storage, decoded

_MOST_IMMEDIATE = 2**28
"""Values an immediate constant may claim to hold; whatever is larger stands in the weights file."""


def kind_of(tensor_type: Any) -> Kind:
    """The data type of a tensor type. Raises E511 for one there is no arithmetic for."""
    kind = KINDS.get(tensor_type.dataType)
    if kind is None:
        raise errors.unsupported(f"data type number {tensor_type.dataType}")
    return kind


def shape_of(tensor_type: Any) -> tuple[int | None, ...] | None:
    """Sizes of a tensor type, None for one that varies; None if even the rank is open."""
    sizes: list[int | None] = []
    for dimension in tensor_type.dimensions:
        if dimension.WhichOneof("dimension") == "constant":
            sizes.append(int(dimension.constant.size))
        elif dimension.unknown.variadic:
            return None
        else:
            sizes.append(None)
    return tuple(sizes)


def fixed_shape(tensor_type: Any) -> tuple[int, ...]:
    """Sizes of a constant's type. Raises E202 if one is missing, E511 for too many values."""
    shape = shape_of(tensor_type)
    if shape is None or None in shape:
        raise errors.malformed("a constant's type has axes of unknown size")
    limits.check(shape, "a constant")
    return tuple(size for size in shape if size is not None)


def decode(value: Any, storage: Storage) -> Any:
    """A MIL value: a tensor in its carrier, a string, a list (of lists, for strings) or a dictionary.

    Raises E202 for one that is not what its type says, E511 for data types there is no arithmetic for.
    """
    of_type = value.type.WhichOneof("type")
    if of_type in ("listType", "tupleType"):
        held = value.immediateValue
        items = held.list if of_type == "listType" else held.tuple
        return [decode(item, storage) for item in items.values]
    if of_type == "dictionaryType":
        pairs = value.immediateValue.dictionary.values
        return {_key(decode(p.key, storage)): decode(p.value, storage) for p in pairs}
    if of_type != "tensorType":
        raise errors.malformed(f"a constant is of type {of_type}")
    tensor_type = value.type.tensorType
    shape = fixed_shape(tensor_type)
    if tensor_type.dataType == STRING:
        return _strings(value.immediateValue.tensor.strings.values, shape)
    kind = kind_of(tensor_type)
    if value.WhichOneof("value") == "blobFileValue":
        blob = value.blobFileValue
        return storage.tensor(blob.fileName, blob.offset, kind, shape)
    return _immediate(value.immediateValue.tensor, kind, shape)


def _key(value: Any) -> Any:
    """A text, or the number of a tensor that is one."""
    if isinstance(value, torch.Tensor) and value.numel() == 1:
        return value.item()
    if not isinstance(value, str):
        raise errors.malformed("a dictionary has a key that is neither a text nor a number")
    return value


def _immediate(tensor: Any, kind: Kind, shape: tuple[int, ...]) -> torch.Tensor:
    count = math.prod(shape)
    if count > _MOST_IMMEDIATE:
        raise errors.malformed(f"a constant claims {count} values")
    field = tensor.WhichOneof("value")
    if field == "bytes":
        return decoded(tensor.bytes.values, kind, shape)
    given = getattr(tensor, field).values if field else ()
    if len(given) != count:
        raise errors.malformed(f"a constant of {count} values holds {len(given)}")
    if field == "strings":
        raise errors.malformed(f"a constant of {kind.name} holds text")
    wide = np.float64 if field in ("floats", "doubles") else np.int64
    values = torch.from_numpy(np.fromiter(given, wide, count))
    if kind.name == "fp16":
        values = values.half()
    return values.to(kind.carrier).reshape(shape)


def _strings(given: Any, shape: tuple[int, ...]) -> Any:
    if len(given) != math.prod(shape):
        raise errors.malformed(f"a constant of {math.prod(shape)} texts holds {len(given)}")
    return np.array(list(given), dtype=object).reshape(shape).tolist() if shape else given[0]
