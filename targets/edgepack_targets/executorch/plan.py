"""The execution plan of a .pte, run instruction by instruction, with delegates of the caller's.

ExecuTorch's runtime cannot be given a delegate from Python. So a program for a delegate that does not run
on this machine is walked here: operators go to torch's own kernels of the same name, delegates to a
function. Tables and field numbers are those of schema/program.fbs (1.5.1).
"""

from __future__ import annotations

import math
import mmap
import operator
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from edgepack.errors import EdgepackError
from edgepack_targets.executorch.flatbuffer import Table, u32

Delegate = Callable[[Sequence[torch.Tensor]], Sequence[torch.Tensor]]
Prepare = Callable[[str, bytes, dict[str, bytes]], tuple[Delegate, int]]
"""Delegate of an id, its data, and the program's named data: what runs it, and how many inputs it has."""

_INT, _BOOL, _DOUBLE, _TENSOR, _STRING, _INTS, _DOUBLES, _BOOLS, _TENSORS, _SOME_TENSORS = range(
    2, 12
)
_KERNEL, _DELEGATE, _MOVE, _JUMP_IF_FALSE, _FREE = range(1, 6)
_IN_SEGMENT = 1
_MOST_STEPS = 10_000_000
_DTYPES = {
    0: torch.uint8, 1: torch.int8, 2: torch.int16, 3: torch.int32, 4: torch.int64, 5: torch.float16,
    6: torch.float32, 7: torch.float64, 11: torch.bool, 15: torch.bfloat16,
}  # fmt: skip

# What the runtime itself brings beside torch's operators: arithmetic on sizes, and orders of axes.
_SIZES: dict[str, Callable[..., Any]] = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "floordiv": operator.floordiv,
    "mod": operator.mod, "eq": operator.eq, "gt": operator.gt, "lt": operator.lt, "ge": operator.ge,
    "le": operator.le, "neg": operator.neg, "truediv": operator.truediv, "sym_max": max, "sym_min": min,
    "ceil": math.ceil, "round": round, "trunc": math.trunc, "sym_float": float, "sym_not": operator.not_,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ends:
    """A list of values by their place; it is looked up when an instruction takes it."""

    places: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction: its kind, its two numbers, and the places of its arguments."""

    kind: int
    first: int
    second: int
    places: tuple[int, ...]


class Plan:
    """One method of a program, ready to be run."""

    def __init__(self, path: Path, name: str, prepare: Prepare) -> None:
        """Raises E202 for a damaged file, E508 for what cannot be walked, and what `prepare` raises."""
        self._file = path.name
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            try:
                self._read(data, name, prepare)
            except struct.error as error:
                raise EdgepackError(
                    "E202", f"{path.name} is truncated or damaged", why=str(error)
                ) from error

    def __call__(self, inputs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """The method's outputs. Raises E509."""
        values = list(self._values)
        for place, given in zip(self._inputs, inputs, strict=True):
            values[place] = given
        counter = 0
        with torch.inference_mode():
            for _ in range(_MOST_STEPS):
                if counter >= len(self._instructions):
                    return [values[place] for place in self._outputs]
                counter = self._step(values, counter)
        raise EdgepackError("E509", f"{self._file} does not end")

    def _read(self, data: mmap.mmap, name: str, prepare: Prepare) -> None:
        root = Table(data, u32(data, 0))
        base = struct.unpack_from("<Q", data, 24)[0] if data[8:12] == b"eh00" else 0
        segments = [(base + s.number(0, "<Q"), s.number(1, "<Q")) for s in root.tables(4)]
        named = {
            entry.text(0): _piece(data, segments, entry.number(1, "<I")) for entry in root.tables(7)
        }
        (plan,) = [p for p in root.tables(1) if p.text(0) == name]
        constants = _constants(root, data, segments)
        self._values = [_value(entry, constants, self._file) for entry in plan.tables(2)]
        self._inputs, self._outputs = plan.ints(3), plan.ints(4)
        self._delegates = []
        for delegate in plan.tables(7):
            place = delegate.table(1)
            if place is None:
                raise struct.error("a delegate has no data")
            index = place.number(1, "<I")
            if place.number(0, "<b") == _IN_SEGMENT:
                blob = _piece(data, segments, index)
            else:
                start, size = root.tables(3)[index].vector(0)
                blob = data[start : start + size]
            self._delegates.append(prepare(delegate.text(0), blob, named))
        operators = [(entry.text(0), entry.text(1)) for entry in plan.tables(6)]
        self._operators = [_kernel(*pair, self._file) for pair in operators]
        self._instructions = [
            _instruction(entry) for chain in plan.tables(5) for entry in chain.tables(2)
        ]

    def _step(self, values: list[Any], counter: int) -> int:
        """Do one instruction; the number of the next."""
        step = self._instructions[counter]
        kind, first, places = step.kind, step.first, step.places
        if kind == _KERNEL:
            name, function, count = self._operators[first]
            arguments = [_looked_up(values[place], values) for place in places[:count]]
            try:
                results = function(arguments)
            except (RuntimeError, TypeError, ValueError, IndexError, ArithmeticError) as error:
                raise EdgepackError(
                    "E509", f"{self._file}: {name} fails", why=f"{type(error).__name__}: {error}"
                ) from error
            for place, result in zip(places[-len(results) :], results, strict=True):
                values[place] = result
        elif kind == _DELEGATE:
            run, inputs = self._delegates[first]
            results = run([values[place] for place in places[:inputs]])
            for place, result in zip(places[inputs:], results, strict=False):
                values[place] = result.to(self._values[place].dtype)
        elif kind == _MOVE:
            values[step.second] = values[first]
        elif kind == _JUMP_IF_FALSE and not bool(values[first]):
            return step.second
        elif kind == _FREE:
            values[first] = None
        return counter + 1


def _piece(data: mmap.mmap, segments: list[tuple[int, int]], index: int) -> bytes:
    if not 0 <= index < len(segments):
        raise struct.error(f"segment {index} of {len(segments)} is asked for")
    start, size = segments[index]
    if start + size > len(data):
        raise struct.error(f"segment {index} ends beyond the file")
    return data[start : start + size]


def _constants(
    root: Table, data: mmap.mmap, segments: list[tuple[int, int]]
) -> Callable[[int], bytes]:
    """Where the data of constant tensors begins, by number."""
    table = root.table(5)
    buffers = root.tables(2)
    offsets: tuple[int, ...] = ()
    segment = b""
    if table is not None:
        start, length = table.vector(1)
        offsets = struct.unpack_from(f"<{length}Q", data, start) if length else ()
        segment = _piece(data, segments, table.number(0, "<I")) if length else b""

    def find(index: int) -> bytes:
        if offsets:
            if index >= len(offsets):
                raise struct.error(f"constant {index} of {len(offsets)} is asked for")
            return segment[offsets[index] :]
        start, size = buffers[index].vector(0)
        return data[start : start + size]

    return find


def _instruction(entry: Table) -> Instruction:
    kind, table = entry.number(0, "<B"), entry.table(1)
    if table is None:
        raise struct.error("an instruction has no arguments")
    calls = kind in (_KERNEL, _DELEGATE)
    return Instruction(
        kind, table.number(0), 0 if calls else table.number(1), table.ints(1) if calls else ()
    )


def _value(entry: Table, constants: Callable[[int], bytes], file: str) -> Any:
    """A value as it is before the first instruction."""
    kind, table = entry.number(0, "<B"), entry.table(1)
    if table is None:
        return None
    if kind == _TENSOR:
        return _tensor(table, constants, file)
    if kind in (_INTS, _TENSORS, _SOME_TENSORS):
        return Ends(tuple(_numbers(table, "q" if kind == _INTS else "i")))
    if kind in (_DOUBLES, _BOOLS):
        return _numbers(table, "d" if kind == _DOUBLES else "?")
    if kind == _STRING:
        return table.text(0)
    at = table.slot(0)
    code, absent = {_INT: ("<q", 0), _BOOL: ("<?", False), _DOUBLE: ("<d", 0.0)}.get(
        kind, ("", None)
    )
    return struct.unpack_from(code, table.data, at)[0] if code and at else absent


def _numbers(table: Table, code: str) -> list[Any]:
    """The only vector of a table."""
    start, length = table.vector(0)
    return list(struct.unpack_from(f"<{length}{code}", table.data, start)) if length else []


def _tensor(table: Table, constants: Callable[[int], bytes], file: str) -> torch.Tensor:
    dtype = _DTYPES.get(table.number(0, "<b"))
    if dtype is None:
        raise EdgepackError("E508", f"{file} holds tensors of type {table.number(0, '<b')}")
    sizes, index = table.ints(2), table.number(5, "<I")
    if not index:
        return (
            torch.empty(sizes, dtype=dtype)
            if not table.number(8, "<b")
            else torch.empty(0, dtype=dtype)
        )
    extra = table.table(9)
    if table.slot(6) or (extra is not None and extra.number(2, "<b")):
        raise EdgepackError(
            "E508", f"{file} keeps state, or weights outside it", why="Neither can be walked here."
        )
    count = math.prod(sizes)
    data = constants(index)
    if len(data) < count * dtype.itemsize:
        raise struct.error("a constant ends beyond its segment")
    start, length = table.vector(3)
    order = tuple(table.data[start : start + length])
    stored = torch.frombuffer(bytearray(data[: count * dtype.itemsize]), dtype=dtype, count=count)
    if not order or sorted(order) != list(range(len(sizes))):
        return stored.reshape(sizes)
    back = sorted(range(len(order)), key=order.__getitem__)
    return stored.reshape([sizes[axis] for axis in order]).permute(back)


def _looked_up(value: Any, values: list[Any]) -> Any:
    return [values[place] for place in value.places] if isinstance(value, Ends) else value


def _kernel(
    name: str, overload: str, file: str
) -> tuple[str, Callable[[list[Any]], Sequence[Any]], int]:
    """An operator by its name in the program: what runs it, and how many arguments it takes.

    Raises E508 for one that torch does not have.
    """
    full = f"{name}.{overload}" if overload else name
    namespace, _, bare = name.partition("::")
    if namespace == "executorch_prim" and bare in _SIZES:
        function = _SIZES[bare]
        arity = 1 if bare in ("neg", "ceil", "round", "trunc", "sym_float", "sym_not") else 2
        return full, lambda given: (function(*given),), arity
    if namespace == "dim_order_ops":
        return full, *_ordered(bare)
    packet = getattr(getattr(torch.ops, namespace), bare, None)
    found = getattr(packet, overload or "default", None) if packet is not None else None
    if found is None:
        raise EdgepackError("E508", f"{file} needs an operator that torch lacks: {full}")
    schema = found._schema  # noqa: SLF001 there is no other way to its arguments
    written = [
        a.name for a in schema.arguments if a.alias_info is not None and a.alias_info.is_write
    ]
    names = [a.name for a in schema.arguments]
    keyword = {a.name for a in schema.arguments if a.kwarg_only}

    def call(given: list[Any]) -> Sequence[Any]:
        by_name = dict(zip(names, given, strict=True))
        for out in written:
            by_name[out] = torch.empty(0, dtype=by_name[out].dtype)
        result = found(
            *(value for key, value in by_name.items() if key not in keyword),
            **{key: value for key, value in by_name.items() if key in keyword},
        )
        return result if isinstance(result, tuple) else (result,)

    return full, call, len(names)


def _ordered(bare: str) -> tuple[Callable[[list[Any]], Sequence[Any]], int]:
    """Operators that copy into an order of axes, which torch's tensors keep by themselves."""
    if bare == "_empty_dim_order":
        return lambda given: (torch.empty(given[0], dtype=given[-1].dtype),), 3
    if bare == "_clone_dim_order":
        return lambda given: (given[0].clone(),), 4
    return lambda given: (given[0].to(given[-1].dtype),), 4
