"""How an operator of MIL is written here, and how a program finds it.

An operator is a function whose parameters have MIL's names. Their annotations say what the function wants:
a `Tensor` as it is, `Ints` as a tuple, `int`, `float`, `bool` and `str` as Python's own. What is constant in
a program is converted once, when the program is compiled. A first parameter called `site` gets what the
operation knows of itself: the iOS its program is written for, and the types it declares.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from edgepack_targets.coreml.emulator import errors
from edgepack_targets.coreml.emulator.kinds import Kind

Tensor = torch.Tensor
Ints = tuple[int, ...]
Tensors = tuple[torch.Tensor, ...]


@dataclass(frozen=True, slots=True)
class Output:
    """What an operation declares of one result. shape: None where sizes, or all of it, are open."""

    name: str
    kind: Kind | None
    shape: tuple[int | None, ...] | None


@dataclass(frozen=True, slots=True)
class Site:
    """One operation of a program, as its operator may want to know it.

    operator: MIL's name for what it does. name: operator and first result, for messages.
    ios: 15, 16, 17, 18 or 26, the system its program is written for. in_half: whether sums of products are
    accumulated in half precision.
    """

    operator: str
    name: str
    ios: int
    outputs: tuple[Output, ...]
    in_half: bool = False


@dataclass(frozen=True, slots=True)
class Parameter:
    """convert: from the value in a program to what the function wants; None takes it as it is."""

    convert: Callable[[Any], Any] | None
    variadic: bool
    required: bool


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator. moves: results are values of its inputs, which rounding would not change.

    fixed: whether equal inputs give equal results, so that constants may be computed ahead.
    """

    name: str
    function: Callable[..., Any]
    parameters: dict[str, Parameter]
    moves: bool
    fixed: bool
    wants_site: bool


OPERATORS: dict[str, Operator] = {}


def operator(*names: str, moves: bool = False, fixed: bool = True) -> Callable[..., Any]:
    """Register a function under MIL's names for it."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        hints = typing.get_type_hints(function)
        declared = list(inspect.signature(function).parameters.values())
        wants_site = bool(declared) and declared[0].name == "site"
        parameters = {
            p.name: Parameter(
                convert=_CONVERSIONS[_bare(hints[p.name])],
                variadic=_bare(hints[p.name]) == Tensors,
                required=p.default is inspect.Parameter.empty,
            )
            for p in declared[wants_site:]
        }
        for name in names:
            OPERATORS[name] = Operator(name, function, parameters, moves, fixed, wants_site)
        return function

    return register


def find(name: str) -> Operator:
    """The operator of that name. Raises E511."""
    if name not in OPERATORS:
        raise errors.unsupported(f"operator {name!r}")
    return OPERATORS[name]


def _bare(hint: Any) -> Any:
    """An annotation without "or None"."""
    if isinstance(hint, types.UnionType):
        (hint,) = (part for part in typing.get_args(hint) if part is not types.NoneType)
    return hint


def ints(value: Any) -> Ints:
    """All values of an integer tensor."""
    if isinstance(value, torch.Tensor):
        return tuple(int(v) for v in value.reshape(-1).tolist())
    return tuple(int(v) for v in value)


def _scalar(value: Any) -> Any:
    """The only value of a tensor. Raises E509 if there are several."""
    if isinstance(value, torch.Tensor):
        if value.numel() != 1:
            raise errors.failed(f"one number is wanted, {value.numel()} are given")
        return value.item()
    return value


_CONVERSIONS: dict[Any, Callable[[Any], Any] | None] = {
    Tensor: None,
    Any: None,
    Tensors: None,
    list: None,
    Ints: ints,
    int: lambda value: int(_scalar(value)),
    float: lambda value: float(_scalar(value)),
    bool: lambda value: bool(_scalar(value)),
    str: str,
}
