"""A .pte file read without ExecuTorch: its methods, their inputs and outputs, operators and delegates.

The runtime's Python face tells shapes and dtypes but neither names the delegates nor says what a
damaged file lacks, and exir's own reader costs seconds of imports. Tables and field numbers are those
of schema/program.fbs, identifier ET12, which ExecuTorch keeps readable for old files, and of
backends/xnnpack/serialization/runtime_schema.fbs for what XNNPACK holds.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from edgepack.errors import EdgepackError
from edgepack_targets.executorch.flatbuffer import Table, u32

_T = TypeVar("_T")

IDENTIFIER = b"ET12"
XNNPACK = "XnnpackBackend"

DTYPES = {
    0: "uint8", 1: "int8", 2: "int16", 3: "int32", 4: "int64", 5: "float16", 6: "float32",
    7: "float64", 11: "bool", 15: "bfloat16", 27: "uint16", 28: "uint32", 29: "uint64",
}  # fmt: skip
"""ScalarType of the schema, in numpy's words where numpy has one."""

_XNNPACK_DTYPES = {
    1: "float32", 2: "float16", 3: "int8", 4: "uint8", 5: "int32", 6: "int8", 7: "int32", 8: "int4",
    10: "int4", 12: "int32", 13: "float32", 14: "bfloat16",
}  # fmt: skip

_HEADER, _HEADER_AT, _HEADER_BYTES = b"eh00", 8, 24
_XNNPACK_HEADER, _XNNPACK_HEADER_BYTES = b"XH00", 30
_TENSOR, _STRING = 5, 6
_KERNEL_CALL, _DELEGATE_CALL = 1, 2
_IN_SEGMENT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """An input or output. sizes: upper bounds where `dynamic`. dtype: "" for one without a name."""

    dtype: str
    sizes: tuple[int, ...]
    dynamic: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One entry of a program.

    inputs, outputs: a string for a constant one, None where the value is neither that nor a tensor.
    operators: number of calls by name, such as "aten::add.out". delegates: calls by id, such as
    "XnnpackBackend". weights: number of constant elements by dtype, those that XNNPACK holds included.
    """

    name: str
    inputs: tuple[Tensor | str | None, ...]
    outputs: tuple[Tensor | str | None, ...]
    operators: dict[str, int] = field(default_factory=dict)
    delegates: dict[str, int] = field(default_factory=dict)
    weights: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What a .pte holds. version: of the schema."""

    version: int
    methods: tuple[Method, ...]


def read(path: Path) -> Program:
    """The program in a file.

    Raises E202 for an empty, truncated or damaged one, E203 for one that is no .pte, OSError.
    """
    if not path.stat().st_size:
        raise EdgepackError("E202", f"{path.name} is empty", help="Write or copy it again.")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data[4:8] != IDENTIFIER:
            raise EdgepackError(
                "E203",
                f"{path.name} is no ExecuTorch program that edgepack can read",
                why=f"Bytes 4 to 8 are {data[4:8]!r}, not {IDENTIFIER!r}.",
            )
        try:
            return _program(data)
        except struct.error as error:
            raise EdgepackError(
                "E202",
                f"{path.name} is truncated or damaged",
                why=f"Reading it failed: {error}.",
                help="Write or copy it again.",
            ) from error


def _program(data: mmap.mmap) -> Program:
    base, due = 0, len(data)
    if data[_HEADER_AT : _HEADER_AT + 4] == _HEADER:
        length, program_bytes, base = struct.unpack_from("<IQQ", data, _HEADER_AT + 4)
        behind = struct.unpack_from("<Q", data, _HEADER_AT + 24)[0] if length > _HEADER_BYTES else 0
        due = max(program_bytes, base + behind)
    if len(data) < due:
        raise struct.error(f"it has {len(data)} bytes, its header promises {due}")
    root = Table(data, u32(data, 0))
    segments = [(base + s.number(0, "<Q"), s.number(1, "<Q")) for s in root.tables(4)]
    blobs = [entry.vector(0) for entry in root.tables(3)]
    methods = tuple(_method(plan, segments, blobs) for plan in root.tables(1))
    if not methods:
        raise struct.error("it holds no method")
    return Program(version=root.number(0, "<I"), methods=methods)


def _method(plan: Table, segments: list[tuple[int, int]], blobs: list[tuple[int, int]]) -> Method:
    values, delegates = plan.tables(2), plan.tables(7)
    names = [".".join(filter(None, (entry.text(0), entry.text(1)))) for entry in plan.tables(6)]
    operators: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    for instruction in (i for chain in plan.tables(5) for i in chain.tables(2)):
        kind, arguments = instruction.number(0, "<B"), instruction.table(1)
        index = arguments.number(0) if arguments is not None else -1
        if kind == _KERNEL_CALL:
            operators[_entry(names, index)] += 1
        elif kind == _DELEGATE_CALL:
            calls[_entry(delegates, index).text(0)] += 1
    weights = _constants(values)
    for delegate in delegates:
        weights.update(_weights_of_delegate(delegate, segments, blobs))
    return Method(
        name=plan.text(0),
        inputs=tuple(_value(values, index) for index in plan.ints(3)),
        outputs=tuple(_value(values, index) for index in plan.ints(4)),
        operators=dict(sorted(operators.items())),
        delegates=dict(sorted(calls.items())),
        weights=dict(sorted(weights.items())),
    )


def _entry(entries: list[_T], index: int) -> _T:
    if not 0 <= index < len(entries):
        raise struct.error(f"entry {index} of {len(entries)} is asked for")
    return entries[index]


def _value(values: list[Table], index: int) -> Tensor | str | None:
    kind, table = _entry(values, index).number(0, "<B"), values[index].table(1)
    if kind == _STRING and table is not None:
        return table.text(0)
    if kind != _TENSOR or table is None:
        return None
    dtype = DTYPES.get(table.number(0, "<b"), "")
    return Tensor(dtype=dtype, sizes=table.ints(2), dynamic=table.number(8, "<b") != 0)


def _constants(values: list[Table]) -> Counter[str]:
    """Elements of a method's own constant tensors, by dtype."""
    counts: Counter[str] = Counter()
    for value in values:
        table = value.table(1)
        if value.number(0, "<B") == _TENSOR and table is not None and table.number(5, "<I"):
            counts[DTYPES.get(table.number(0, "<b"), "")] += math.prod(table.ints(2))
    return counts


def _weights_of_delegate(
    delegate: Table, segments: list[tuple[int, int]], blobs: list[tuple[int, int]]
) -> Counter[str]:
    """Elements of the constants an XNNPACK delegate holds, by dtype; none of any other."""
    counts: Counter[str] = Counter()
    place = delegate.table(1)
    if delegate.text(0) != XNNPACK or place is None:
        return counts
    index = place.number(1, "<I")
    start, size = _entry(segments if place.number(0, "<b") == _IN_SEGMENT else blobs, index)
    blob = delegate.data[start : start + size]
    if blob[4:8] == _XNNPACK_HEADER and len(blob) >= _XNNPACK_HEADER_BYTES:
        offset = u32(blob, 10)
        blob = blob[offset : offset + u32(blob, 14)]
    for value in Table(blob, u32(blob, 0)).tables(2):
        tensor = value.table(1)
        if tensor is not None and value.number(0, "<B") == 2:  # noqa: PLR2004 a quantized one wraps it
            tensor = tensor.table(0)
        if tensor is not None and tensor.number(3, "<I"):
            dtype = _XNNPACK_DTYPES.get(tensor.number(0, "<h"), "")
            counts[dtype] += math.prod(tensor.ints(2))
    return counts
