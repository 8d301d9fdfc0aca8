"""What a .tflite file holds, as plain values: tensors, operators, signatures, where constants lie.

The vendor's interpreter checks a file's structure before anything reads it, so that a damaged one
ends in an error. Numbers stay in the file; `Constant` says where.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgepack.errors import EdgepackError
from edgepack.wire.types import Quantization, Signature, TensorSpec

IDENTIFIER = b"TFL3"
_HEADER = 8

# Where these differ from the schema's own names in lower case.
_DTYPES = {"BOOL": "bool"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """Bytes of a tensor's numbers within the file, little-endian."""

    buffer: int
    start: int
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """shape: -1 where it may vary. constant: None for what is computed."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    quantization: Quantization | None
    constant: Constant | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """name: as in the schema, "CONV_2D"; a custom operator's own name. -1 stands for a missing tensor."""

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subgraph:
    """inputs, outputs: indices of tensors, in the order a caller sees."""

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A signature: (name, tensor index) pairs in the order of its subgraph.

    key: "" for a file without signatures, whose first subgraph is then described by tensor names.
    """

    key: str
    subgraph: int
    inputs: tuple[tuple[str, int], ...]
    outputs: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """entries: at least one."""

    subgraphs: tuple[Subgraph, ...]
    entries: tuple[Entry, ...]
    description: str
    version: int
    metadata: tuple[str, ...]
    size: int


def read(path: Path) -> ModelFile:
    """What the file holds.

    Raises E201 if it is missing, E202 if it is empty, cut short or damaged, E203 if it is no .tflite.
    """
    with _open(path) as data:
        _check_structure(path)
        return parse(data, path.name)


def parse(data: Any, name: str) -> ModelFile:
    """What the bytes of a .tflite hold; `name` is for errors. They must have passed the vendor's check.

    Raises E202 if a constant lies outside of the file, or a text is not UTF-8.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(data, 0)
    size = len(data)
    try:
        constants = [_constant(model.Buffers(i), i) for i in range(model.BuffersLength())]
        outside = [c for c in constants if c is not None and c.start + c.length > size]
        if outside:
            raise _damaged(name, f"Its weights would end at byte {outside[-1].start + outside[-1].length}, "
                                 f"the file has {size}.")  # fmt: skip
        names = _operator_names(model, schema)
        subgraphs = tuple(
            _subgraph(model.Subgraphs(i), names, constants, _tensor_types(schema))
            for i in range(model.SubgraphsLength())
        )
        entries = _entries(model, subgraphs)
        _check_indices(subgraphs, entries, name)
        return ModelFile(
            subgraphs=subgraphs,
            entries=entries,
            description=_text(model.Description()),
            version=int(model.Version()),
            metadata=tuple(_text(model.Metadata(i).Name()) for i in range(model.MetadataLength())),
            size=size,
        )
    except (UnicodeDecodeError, IndexError) as error:
        raise _damaged(name, f"{type(error).__name__}: {error}") from error


def find(model: ModelFile, key: str) -> Entry:
    """The signature called `key`; the only one if there is just one. Raises E506 for none of that name."""
    for entry in model.entries:
        if entry.key == key:
            return entry
    if len(model.entries) == 1:
        return model.entries[0]
    raise EdgepackError(
        "E506",
        f"the artifact has no signature {key!r}",
        why=f"It has: {', '.join(repr(e.key) for e in model.entries)}.",
    )


def signature_of(model: ModelFile, entry: Entry) -> Signature:
    """The signature as an app meets it; axes that may vary are called dim_0, dim_1 and so on."""
    tensors = model.subgraphs[entry.subgraph].tensors
    count = 0

    def spec(pair: tuple[str, int]) -> TensorSpec:
        nonlocal count
        tensor = tensors[pair[1]]
        shape: list[int | str] = []
        for size in tensor.shape:
            shape.append(size if size >= 0 else f"dim_{count}")
            count += size < 0
        return TensorSpec(
            name=pair[0], dtype=tensor.dtype, shape=tuple(shape), quantization=tensor.quantization
        )

    return Signature(
        name=entry.key,
        inputs=tuple(spec(pair) for pair in entry.inputs),
        outputs=tuple(spec(pair) for pair in entry.outputs),
    )


def _open(path: Path) -> mmap.mmap:
    """The file's bytes, not yet in memory. Raises E201, E202 and E203 by its first bytes and size."""
    if not path.is_file():
        raise EdgepackError("E201", f"{path} does not exist")
    with path.open("rb") as file:
        head = file.read(_HEADER)
        if len(head) < _HEADER:
            what = "is empty" if not head else "is cut short"
            raise EdgepackError("E202", f"{path.name} {what}", help="Write or copy it again.")
        if head[4:] != IDENTIFIER:
            raise EdgepackError(
                "E203",
                f"{path.name} is no .tflite file",
                why=f"Bytes 5 to 8 are {head[4:]!r}, not {IDENTIFIER!r}.",
            )
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _check_structure(path: Path) -> None:
    """Raises E202 if the vendor's verifier refuses the file."""
    from ai_edge_litert.interpreter import Interpreter

    try:
        Interpreter(model_path=str(path))
    except ValueError as error:
        # Other errors are about operators and sizes; reading does not need them to be right.
        if "not a valid Flatbuffer" in str(error):
            raise _damaged(path.name, "Its structure does not hold together.") from error
    except (RuntimeError, UnicodeDecodeError):
        pass


def _constant(buffer: Any, index: int) -> Constant | None:
    """Where a buffer's bytes lie: within the structure, or behind it for what a quantizer wrote."""
    length = int(buffer.DataLength())
    if length:
        table = buffer._tab  # noqa: SLF001 the generated class tells no position
        return Constant(buffer=index, start=int(table.Vector(table.Offset(4))), length=length)
    if buffer.Offset() > 1:
        return Constant(buffer=index, start=int(buffer.Offset()), length=int(buffer.Size()))
    return None


def _operator_names(model: Any, schema: Any) -> list[str]:
    """Names by operator code. Codes above 127 do not fit the older of the two fields."""
    known = {v: k for k, v in vars(schema.BuiltinOperator).items() if isinstance(v, int)}
    names = []
    for index in range(model.OperatorCodesLength()):
        code = model.OperatorCodes(index)
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        custom = _text(code.CustomCode())
        names.append(custom if custom and number == schema.BuiltinOperator.CUSTOM
                     else known.get(number, f"BUILTIN_{number}"))  # fmt: skip
    return names


def _tensor_types(schema: Any) -> dict[int, str]:
    numbers = {k: v for k, v in vars(schema.TensorType).items() if isinstance(v, int)}
    return {number: _DTYPES.get(name, name.lower()) for name, number in numbers.items()}


def _subgraph(
    graph: Any, names: list[str], constants: list[Constant | None], types: dict[int, str]
) -> Subgraph:
    operators = []
    for index in range(graph.OperatorsLength()):
        operator = graph.Operators(index)
        operators.append(
            Operator(
                name=names[operator.OpcodeIndex()],
                inputs=_integers(operator.InputsAsNumpy()),
                outputs=_integers(operator.OutputsAsNumpy()),
            )
        )
    return Subgraph(
        tensors=tuple(
            _tensor(graph.Tensors(i), constants, types) for i in range(graph.TensorsLength())
        ),
        operators=tuple(operators),
        inputs=_integers(graph.InputsAsNumpy()),
        outputs=_integers(graph.OutputsAsNumpy()),
    )


def _tensor(tensor: Any, constants: list[Constant | None], types: dict[int, str]) -> Tensor:
    return Tensor(
        name=_text(tensor.Name()),
        dtype=types.get(tensor.Type(), f"type_{tensor.Type()}"),
        shape=_integers(tensor.ShapeSignatureAsNumpy()) or _integers(tensor.ShapeAsNumpy()),
        quantization=_quantization(tensor.Quantization()),
        # Buffer 0 is the schema's word for "no buffer".
        constant=constants[tensor.Buffer()] if tensor.Buffer() else None,
    )


def _quantization(parameters: Any) -> Quantization | None:
    if parameters is None or not parameters.ScaleLength():
        return None
    scales = tuple(float(s) for s in parameters.ScaleAsNumpy())
    zero_points = _integers(parameters.ZeroPointAsNumpy()) or (0,) * len(scales)
    axis = int(parameters.QuantizedDimension()) if len(scales) > 1 else None
    return Quantization(scales=scales, zero_points=zero_points, axis=axis)


def _entries(model: Any, subgraphs: tuple[Subgraph, ...]) -> tuple[Entry, ...]:
    """The signatures; where there are none, the first subgraph by the names of its tensors."""
    found = []
    for index in range(model.SignatureDefsLength()):
        entry = model.SignatureDefs(index)
        graph = subgraphs[entry.SubgraphIndex()]
        inputs = [entry.Inputs(i) for i in range(entry.InputsLength())]
        outputs = [entry.Outputs(i) for i in range(entry.OutputsLength())]
        found.append(
            Entry(
                key=_text(entry.SignatureKey()),
                subgraph=int(entry.SubgraphIndex()),
                inputs=_in_order(inputs, graph.inputs),
                outputs=_in_order(outputs, graph.outputs),
            )
        )
    if found:
        return tuple(found)
    first = subgraphs[0]
    return (
        Entry(
            key="",
            subgraph=0,
            inputs=tuple((first.tensors[i].name, i) for i in first.inputs),
            outputs=tuple((first.tensors[i].name, i) for i in first.outputs),
        ),
    )


def _in_order(maps: list[Any], order: tuple[int, ...]) -> tuple[tuple[str, int], ...]:
    """(name, index) pairs by the place of the tensor in `order`; the file keeps them sorted by name."""
    pairs = [(_text(m.Name()), int(m.TensorIndex())) for m in maps]
    return tuple(
        sorted(pairs, key=lambda pair: order.index(pair[1]) if pair[1] in order else len(order))
    )


def _check_indices(subgraphs: tuple[Subgraph, ...], entries: tuple[Entry, ...], name: str) -> None:
    """Raises E202 if a graph or a signature refers to a tensor that is not there."""
    for graph in subgraphs:
        within = range(-1, len(graph.tensors))
        used = [i for o in graph.operators for i in (*o.inputs, *o.outputs)]
        if not all(i in within for i in (*used, *graph.inputs, *graph.outputs)):
            raise _damaged(name, "An operator refers to a tensor that is not there.")
    for entry in entries:
        tensors = subgraphs[entry.subgraph].tensors
        if not all(i in range(len(tensors)) for _, i in (*entry.inputs, *entry.outputs)):
            raise _damaged(name, f"Signature {entry.key!r} refers to a tensor that is not there.")


def _integers(array: Any) -> tuple[int, ...]:
    """The generated accessors give the number 0 for an array that is not there."""
    return () if isinstance(array, int) else tuple(int(i) for i in array)


def _text(value: bytes | None) -> str:
    return value.decode("utf-8") if value is not None else ""


def _damaged(name: str, why: str) -> EdgepackError:
    return EdgepackError("E202", f"{name} is damaged", why=why, help="Write or copy it again.")
