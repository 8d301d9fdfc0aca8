"""A .tflite's face to an app: every output a tensor of its own, and the check that names are kept."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

from edgepack.errors import EdgepackError
from edgepack.wire.types import Signature
from edgepack_targets.litert import model_file
from edgepack_targets.litert.model_file import ModelFile

_TENSOR_INDEX = 6
"""Offset of `tensor_index` in the table of a TensorMap, of the schema."""


def verify(path: Path, wanted: Signature) -> Signature:
    """The signature that the file shows, which has the names, the order and the dtypes of `wanted`.

    Raises E408 where it has not: converter and quantizer are not documented to keep them.
    """
    model = model_file.read(path)
    shown = model_file.signature_of(model, model.entries[0])
    differences = []
    if len(model.entries) != 1 or shown.name != wanted.name:
        differences.append(f"signatures {[e.key for e in model.entries]}, not {wanted.name!r}")
    for kind, have, want in (
        ("inputs", shown.inputs, wanted.inputs),
        ("outputs", shown.outputs, wanted.outputs),
    ):
        told = [(t.name, t.dtype, t.shape) for t in have]
        expected = [(t.name, t.dtype, t.shape) for t in want]
        if told != expected:
            differences.append(f"{kind} {told}, not {expected}")
    if differences:
        raise EdgepackError(
            "E408",
            f"{path.name} does not show what it was made to show",
            why="\n".join(differences),
        )
    return shown


def separate_outputs(path: Path, signature: Signature) -> bool:
    """Give every output its own tensor, in place; False if the file had that already.

    A model may return an input, or one tensor twice. LiteRT's CompiledModel (2.3.0) then leaves
    buffers unwritten, with no error, so such an output becomes a copy.
    """
    model = model_file.read(path)
    graph = model.subgraphs[0]
    if not _shared(graph.inputs, graph.outputs):
        return False
    path.write_bytes(_with_copies(path.read_bytes(), model, signature))
    return True


def bind_again(data: bytes, signature: Signature) -> bytearray:
    """The file with every name of `signature` on the tensor at its place in the first subgraph.

    AI Edge Quantizer 0.10.0 leaves an output's name on the integers before its DEQUANTIZE when another
    operator reads that output too. Raises E408 for a name that is not there.
    """
    from ai_edge_litert import schema_py_generated as schema

    bound = bytearray(data)
    model = schema.Model.GetRootAs(bound, 0)
    graph, entry = model.Subgraphs(0), model.SignatureDefs(0)
    for maps, indices, specs in (
        (
            [entry.Inputs(i) for i in range(entry.InputsLength())],
            graph.InputsAsNumpy(),
            signature.inputs,
        ),
        (
            [entry.Outputs(i) for i in range(entry.OutputsLength())],
            graph.OutputsAsNumpy(),
            signature.outputs,
        ),
    ):
        places = {spec.name: int(i) for spec, i in zip(specs, indices, strict=True)}
        for pair in maps:
            name = pair.Name().decode("utf-8")
            table = pair._tab  # noqa: SLF001 the generated class has no setter
            slot = table.Offset(_TENSOR_INDEX)
            if name not in places or (not slot and places[name]):
                raise EdgepackError("E408", f"the quantizer lost the name {name!r}")
            if slot:
                struct.pack_into("<I", bound, table.Pos + slot, places[name])
    return bound


def _shared(inputs: tuple[int, ...], outputs: tuple[int, ...]) -> bool:
    return len({*inputs, *outputs}) < len(set(inputs)) + len(outputs)


def _with_copies(data: bytes, model: ModelFile, signature: Signature) -> bytearray:
    """The file with a BITCAST to the same dtype, which copies, before each output that is shared.

    The quantizer does not know this operator, so a copied input stays as exact as it came.
    Raises E402 for a file whose weights lie behind its structure (more than 2 GB).
    """
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    packed = schema.ModelT.InitFromPackedBuf(data, 0)
    if any(buffer.offset > 1 for buffer in packed.buffers):
        raise EdgepackError(
            "E402",
            "the model returns an input or one tensor twice, and is too large to add a copy",
            help="Return each tensor once, and no inputs.",
        )
    packed.operatorCodes.append(_code(schema))
    graph = packed.subgraphs[0]
    graph.operators = list(graph.operators or [])
    taken = {int(i) for i in graph.inputs}
    outputs: list[int] = []
    for number, source in enumerate(model.subgraphs[0].outputs):
        if source in taken:
            operator = schema.OperatorT()
            operator.opcodeIndex = len(packed.operatorCodes) - 1
            operator.inputs, operator.outputs = [source], [len(graph.tensors)]
            graph.operators.append(operator)
            graph.tensors.append(_copy(schema, graph.tensors[source], number))
            source = len(graph.tensors) - 1  # noqa: PLW2901 from here on the copy stands for it
        taken.add(source)
        outputs.append(source)
    graph.outputs = outputs
    places = {spec.name: index for spec, index in zip(signature.outputs, outputs, strict=True)}
    for pair in packed.signatureDefs[0].outputs:
        pair.tensorIndex = places[pair.name.decode("utf-8")]
    return bytearray(flatbuffer_utils.convert_object_to_bytearray(packed))


def _code(schema: Any) -> Any:
    code = schema.OperatorCodeT()
    code.builtinCode = schema.BuiltinOperator.BITCAST
    code.deprecatedBuiltinCode = schema.BuiltinOperator.PLACEHOLDER_FOR_GREATER_OP_CODES
    code.version = 1
    return code


def _copy(schema: Any, tensor: Any, number: int) -> Any:
    """A tensor like `tensor`, without data, under a name that no other has."""
    copy = schema.TensorT()
    copy.name = b"%s/output_%d" % (tensor.name, number)
    copy.shape, copy.shapeSignature = tensor.shape, tensor.shapeSignature
    copy.hasRank, copy.type, copy.buffer = tensor.hasRank, tensor.type, 0
    return copy
