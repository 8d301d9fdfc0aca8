"""Dataclasses to plain data and back, for processes that have only the standard library.

The host checks and decodes with msgspec; a worker trusts the host, so this decodes without checking
more than it must to build the right classes.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Any, TypeVar

T = TypeVar("T")


def encode(value: Any) -> Any:
    """Plain data (dict, list, str, int, float, bool, None) of a dataclass, tuple, list or dict."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: encode(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(k): encode(v) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return [encode(v) for v in value]
    return value


def decode(cls: type[T], data: Any) -> T:
    """The dataclass `cls` that `data`, plain data from JSON, describes.

    Raises TypeError for a missing or unknown field.
    """
    hints = typing.get_type_hints(cls)
    fields = {k: _as(hints[k], v) if k in hints else v for k, v in data.items()}
    return cls(**fields)


def _as(hint: Any, value: Any) -> Any:
    """`value` turned into what the type hint asks for."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None:
            return None
        inner = [a for a in args if a is not type(None)]
        return _as(inner[0], value) if len(inner) == 1 else value
    if origin is tuple:
        item_hints = [args[0]] * len(value) if args[-1] is Ellipsis else args
        return tuple(_as(h, v) for h, v in zip(item_hints, value, strict=True))
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return decode(hint, value)
    return value
