"""What an app sees of a model: names, dtypes and shapes of its inputs and outputs.

coremltools names outputs after operators, renames what is not an identifier, and gives two outputs
that are one tensor a single name. So models are converted under whatever names come, and the names the
user chose are written into the finished protobuf, where every collision can be seen and resolved.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from typing import Any

from edgepack.errors import EdgepackError
from edgepack.wire.types import Dimension, Signature, TensorSpec

SHAPES_KEY = "edgepack.shapes"
"""Metadata of our own packages: {feature: shape}, since Core ML has no names for flexible axes."""

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Words of the language that Core ML compiles models from; a tensor of such a name does not compile
# (https://github.com/apple/coremltools/issues/1634).
_RESERVED = frozenset(
    [
        "any",
        "bool",
        "program",
        "func",
        "tensor",
        "list",
        "dict",
        "tuple",
        "true",
        "false",
        "string",
        "bf16",
        "fp16",
        "fp32",
        "fp64",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
        "state",
    ]
)
_MAX_RANK = 5
_IOS16 = 16

# What a multi-array of a Core ML model can hold instead of what a torch model has.
_SHOWN_AS = {
    "float64": "float32",
    "int64": "int32",
    "int16": "int32",
    "int8": "int32",
    "uint8": "int32",
    "bool": "float32",
}
_ARRAY_DTYPES = {
    65568: "float32",
    65600: "float64",
    65552: "float16",
    131104: "int32",
    131080: "int8",
}


def shown(signature: Signature, minimum_ios: int) -> tuple[Signature, tuple[str, ...]]:
    """The signature as a Core ML model can show it, and a sentence for each tensor that differs.

    Raises E410 for a name that Core ML cannot keep, E411 for a dtype or rank it does not have.
    """
    _check_names(signature)
    notes: list[str] = []
    sides = []
    for word, specs in (("input", signature.inputs), ("output", signature.outputs)):
        sides.append(tuple(_shown(spec, word, minimum_ios, notes) for spec in specs))
    return dataclasses.replace(signature, inputs=sides[0], outputs=sides[1]), tuple(notes)


def rename(spec: Any, signature: Signature) -> None:
    """Write the signature's names into a converted model, in place, by position.

    An output that is an input, a constant or another output becomes a copy of it of its own.
    """
    (function,) = spec.mlProgram.functions.values()
    (block,) = function.block_specializations.values()
    wanted = [t.name for t in (*signature.inputs, *signature.outputs)]
    names = _fresh_names(function, set(wanted))
    for has, tensor in zip(function.inputs, signature.inputs, strict=True):
        names[has.name] = tensor.name
    constants = {o.name for op in block.operations if op.type == "const" for o in op.outputs}
    taken = {i.name for i in function.inputs} | constants
    copies = []
    for index, (has, tensor) in enumerate(zip(block.outputs, signature.outputs, strict=True)):
        if has in taken:
            copies.append((index, has, tensor.name))
        else:
            taken.add(has)
            names[has] = tensor.name
    types = {o.name: o.type for op in block.operations for o in op.outputs}
    types.update({i.name: i.type for i in function.inputs})
    _rename_block(block, names)
    for value in function.inputs:
        value.name = names[value.name]
    for index, source, name in copies:
        _copy(block, names.get(source, source), types[source], name)
        block.outputs[index] = name
    _describe(spec, signature)


def verify(spec: Any, signature: Signature, dimensions: tuple[Dimension, ...]) -> None:
    """Check that a finished model shows exactly `signature`. Raises E408."""
    actual = signature_of(spec)
    ranges = {d.name: (d.minimum, d.maximum) for d in dimensions}
    for word, has, want in (
        ("input", actual.inputs, signature.inputs),
        ("output", actual.outputs, signature.outputs),
    ):
        if has != tuple(dataclasses.replace(t, layout=None, quantization=None) for t in want):
            raise _not_as_asked(f"its {word}s are {_listed(has)} instead of {_listed(want)}")
    for feature, tensor in zip(spec.description.input, signature.inputs, strict=True):
        bounds = _bounds(feature.type.multiArrayType)
        for axis, size in enumerate(tensor.shape):
            if isinstance(size, str) and bounds.get(axis) != ranges[size]:
                raise _not_as_asked(f"axis {axis} of {tensor.name!r} has another range")
    _check_single_assignment(spec)


def signature_of(spec: Any) -> Signature:
    """The inputs and outputs that a model declares, multi-arrays and images.

    A flexible axis has the name our own metadata gives it, else "FEATURE_AXIS"; an output's axes come
    from the program's types. Features of other kinds are left out.
    """
    name, description, function = _entry(spec)
    axes = _axes(spec)
    inputs = tuple(_input_spec(f, axes) for f in description.input if _is_tensor(f))
    types = _output_types(function)
    outputs = tuple(
        _output_spec(f, types.get(f.name), axes) for f in description.output if _is_tensor(f)
    )
    return Signature(name=name, inputs=inputs, outputs=outputs)


def ranges_of(spec: Any) -> Iterator[tuple[str, int, int, int]]:
    """(input, axis, smallest, largest size) of each flexible axis; largest -1 for no limit."""
    _, description, _ = _entry(spec)
    for feature in description.input:
        if feature.type.WhichOneof("Type") == "multiArrayType":
            for axis, (low, high) in sorted(_bounds(feature.type.multiArrayType).items()):
                yield feature.name, axis, low, high


def feature_kinds(spec: Any) -> Iterator[tuple[str, str]]:
    """(name, kind) of each input, output and state that is not a multi-array."""
    _, description, _ = _entry(spec)
    for feature in (*description.input, *description.output, *description.state):
        kind = feature.type.WhichOneof("Type") or "unknown"
        if kind != "multiArrayType":
            yield feature.name, kind.removesuffix("Type")


def _check_names(signature: Signature) -> None:
    """Raises E410 for a name that is no identifier, is reserved, or stands twice."""
    seen: set[str] = set()
    for tensor in (*signature.inputs, *signature.outputs):
        why = ""
        if not _IDENTIFIER.fullmatch(tensor.name):
            why = "Core ML takes letters, digits and underscores, and no digit first."
        elif tensor.name in _RESERVED:
            why = f"{tensor.name!r} is a word of the language Core ML compiles models from."
        elif tensor.name in seen:
            why = "Core ML needs a different name for every input and output."
        if why:
            raise EdgepackError(
                "E410",
                f"Core ML cannot name a tensor {tensor.name!r}",
                why=why,
                help="give that input or output another name",
            )
        seen.add(tensor.name)


def _shown(spec: TensorSpec, word: str, minimum_ios: int, notes: list[str]) -> TensorSpec:
    """One tensor as Core ML shows it; adds to `notes` where it differs. Raises E411."""
    if spec.dtype == "float16" and minimum_ios < _IOS16:
        raise EdgepackError(
            "E411",
            f"Core ML on iOS {minimum_ios} has no float16 {word}s such as {spec.name!r}",
            help='set minimum_ios = "16.0" or later, or make the model take float32',
        )
    if len(spec.shape) > _MAX_RANK or 0 in spec.shape:
        raise EdgepackError(
            "E411",
            f"Core ML cannot pass {word} {spec.name!r} of shape {spec.shape}",
            why=f"Its arrays have at most {_MAX_RANK} axes, and none of size 0.",
            help="reshape the tensor inside the model",
        )
    dtype = _SHOWN_AS.get(spec.dtype, spec.dtype)
    if dtype != spec.dtype:
        notes.append(f"{spec.dtype} {word} {spec.name!r} became {dtype}, as Core ML has it")
    if not spec.shape:
        notes.append(f"{word} {spec.name!r} without axes became an array of one element")
    return dataclasses.replace(spec, dtype=dtype, shape=spec.shape or (1,))


def _fresh_names(function: Any, wanted: set[str]) -> dict[str, str]:
    """New names for the program's own tensors that would collide with wanted ones."""
    (block,) = function.block_specializations.values()
    existing = {i.name for i in function.inputs} | set(_defined(block))
    names: dict[str, str] = {}
    for name in sorted(existing & wanted):
        count = 0
        while f"{name}_{count}" in existing | wanted:
            count += 1
        names[name] = f"{name}_{count}"
        existing.add(names[name])
    return names


def _defined(block: Any) -> Iterator[str]:
    """Names that a block and its inner blocks give to tensors."""
    for value in block.inputs:
        yield value.name
    for operation in block.operations:
        for value in operation.outputs:
            yield value.name
        for inner in operation.blocks:
            yield from _defined(inner)


def _rename_block(block: Any, names: dict[str, str]) -> None:
    """Replace tensor names in a block and its inner blocks."""
    for value in block.inputs:
        value.name = names.get(value.name, value.name)
    for operation in block.operations:
        for argument in operation.inputs.values():
            for binding in argument.arguments:
                if binding.WhichOneof("binding") == "name":
                    binding.name = names.get(binding.name, binding.name)
        for value in operation.outputs:
            value.name = names.get(value.name, value.name)
        for inner in operation.blocks:
            _rename_block(inner, names)
    for index, name in enumerate(block.outputs):
        block.outputs[index] = names.get(name, name)


def _copy(block: Any, source: str, of_type: Any, name: str) -> None:
    """Append an operation that hands `source` out under another name."""
    operation = block.operations.add(type="identity")
    operation.inputs["x"].arguments.add(name=source)
    output = operation.outputs.add(name=name)
    output.type.CopyFrom(of_type)
    title = operation.attributes["name"]
    title.type.tensorType.dataType = 2  # MIL's STRING
    title.immediateValue.tensor.strings.values.append(name)


def _describe(spec: Any, signature: Signature) -> None:
    """Put the names into the model's description, and the shapes with their axes into its metadata."""
    for features, tensors in (
        (spec.description.input, signature.inputs),
        (spec.description.output, signature.outputs),
    ):
        for feature, tensor in zip(features, tensors, strict=True):
            feature.name = tensor.name
    shapes = {t.name: t.shape for t in (*signature.inputs, *signature.outputs)}
    text = json.dumps(shapes, sort_keys=True, separators=(",", ":"))
    spec.description.metadata.userDefined[SHAPES_KEY] = text


def _check_single_assignment(spec: Any) -> None:
    """Check that no name is given twice in the whole program. Raises E408."""
    for function in spec.mlProgram.functions.values():
        for block in function.block_specializations.values():
            names = [i.name for i in function.inputs] + list(_defined(block))
            twice = {n for n in names if names.count(n) > 1} if len(set(names)) < len(names) else ()
            if twice:
                raise _not_as_asked(f"its program defines {', '.join(sorted(twice))} twice")


def _entry(spec: Any) -> tuple[str, Any, Any]:
    """(name, description, function) of the function a call without a name runs."""
    description = spec.description
    name = description.defaultFunctionName or "main"
    functions = spec.mlProgram.functions
    if name not in functions:
        name = next(iter(sorted(functions)), "")
    for candidate in description.functions:
        if candidate.name == name:
            description = candidate
    return name, description, functions[name] if name else None


def _axes(spec: Any) -> dict[str, tuple[int | str, ...]]:
    """Shapes with axis names, as `rename` wrote them; empty for packages of others."""
    try:
        found = json.loads(spec.description.metadata.userDefined.get(SHAPES_KEY, "{}"))
        return {
            str(k): tuple(v) for k, v in found.items() if all(isinstance(n, int | str) for n in v)
        }
    except (ValueError, AttributeError, TypeError, RecursionError):
        return {}


def _is_tensor(feature: Any) -> bool:
    """Whether a feature is an array or an image."""
    return feature.type.WhichOneof("Type") in ("multiArrayType", "imageType")


def _bounds(array: Any) -> dict[int, tuple[int, int]]:
    """Smallest and largest size of each flexible axis of a multi-array."""
    if array.WhichOneof("ShapeFlexibility") == "shapeRange":
        sizes = [(int(r.lowerBound), int(r.upperBound)) for r in array.shapeRange.sizeRanges]
    else:
        shapes = [tuple(s.shape) for s in array.enumeratedShapes.shapes]
        sizes = [(min(axis), max(axis)) for axis in zip(*shapes, strict=False)]
    return {axis: bound for axis, bound in enumerate(sizes) if bound[0] != bound[1]}


def _input_spec(feature: Any, axes: dict[str, tuple[int | str, ...]]) -> TensorSpec:
    """An input as declared."""
    if feature.type.WhichOneof("Type") == "imageType":
        return _image_spec(feature)
    array = feature.type.multiArrayType
    shape = [int(s) for s in array.shape]
    flexible = _bounds(array)
    named = _named(feature.name, axes, len(shape), shape, set(flexible))
    dtype = _ARRAY_DTYPES.get(array.dataType, "float32")
    return TensorSpec(name=feature.name, dtype=dtype, shape=named)


def _output_spec(feature: Any, of_type: Any, axes: dict[str, tuple[int | str, ...]]) -> TensorSpec:
    """An output as declared, its shape from the program's type where that knows it."""
    if feature.type.WhichOneof("Type") == "imageType":
        return _image_spec(feature)
    array = feature.type.multiArrayType
    shape = [int(s) for s in array.shape]
    flexible: set[int] = set()
    if of_type is not None:
        dimensions = of_type.tensorType.dimensions
        flexible = {i for i, d in enumerate(dimensions) if d.WhichOneof("dimension") != "constant"}
        shape = [int(d.constant.size) for d in dimensions]
    named = _named(feature.name, axes, len(shape), shape, flexible)
    dtype = _ARRAY_DTYPES.get(array.dataType, "float32")
    return TensorSpec(name=feature.name, dtype=dtype, shape=named)


def _image_spec(feature: Any) -> TensorSpec:
    """An image as height, width and channels of bytes."""
    image = feature.type.imageType
    channels = 1 if image.colorSpace in (10, 40) else 3
    shape = (int(image.height), int(image.width), channels)
    return TensorSpec(name=feature.name, dtype="uint8", shape=shape, layout="HWC")


def _named(
    name: str,
    axes: dict[str, tuple[int | str, ...]],
    rank: int,
    shape: list[int],
    flexible: set[int],
) -> tuple[int | str, ...]:
    """A shape whose flexible axes have names."""
    known = axes.get(name, ())
    if len(known) != rank:
        known = tuple(f"{name}_{axis}" for axis in range(rank))
    return tuple(known[axis] if axis in flexible else size for axis, size in enumerate(shape))


def _output_types(function: Any) -> dict[str, Any]:
    """The program's type of each output of a function, by name."""
    if function is None or not function.block_specializations:
        return {}
    block = function.block_specializations.get(function.opset)
    if block is None:
        block = next(iter(function.block_specializations.values()))
    types = {o.name: o.type for op in block.operations for o in op.outputs}
    return {name: types[name] for name in block.outputs if name in types}


def _not_as_asked(why: str) -> EdgepackError:
    """E408: the conversion ended, its result is not what was asked for."""
    return EdgepackError("E408", "coremltools made something else than it was asked for", why=why)


def _listed(specs: tuple[TensorSpec, ...]) -> str:
    """Tensors as text."""
    return ", ".join(f"{s.name} {s.dtype} {list(s.shape)}" for s in specs) or "none"
