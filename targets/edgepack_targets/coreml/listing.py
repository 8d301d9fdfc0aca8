"""A program as text, one line for each operation: `name: type = operator(arguments)`.

Constants stand where they are used: short ones as they are, longer ones as their type, with "weights" in
front if they lie in the weights file. Blocks inside operations are indented.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from edgepack.errors import EdgepackError
from edgepack_targets.coreml import package
from edgepack_targets.coreml.emulator import blobs

_SHORT = 8
_LONG = 60
_INDENT = "  "


def lines(spec: Any) -> Iterator[str]:
    """The functions of a model, sorted by name; what cannot be printed is "?"."""
    for line in _functions(spec):
        yield "".join(c if c.isprintable() else "?" for c in line)


def _functions(spec: Any) -> Iterator[str]:
    for name in sorted(spec.mlProgram.functions):
        function = spec.mlProgram.functions[name]
        taken = ", ".join(f"{i.name}: {type_text(i.type)}" for i in function.inputs)
        yield f"{name}({taken})  # {function.opset}"
        for opset, block in sorted(function.block_specializations.items()):
            if opset == function.opset:
                yield from _block(block, _INDENT, {})


def type_text(of_type: Any) -> str:
    """A MIL type, such as "float16[1, 3, ?]", "state float16[4]" or "list of string"."""
    kind = of_type.WhichOneof("type")
    if kind == "tensorType":
        sizes = [
            str(d.constant.size) if d.WhichOneof("dimension") == "constant" else "?"
            for d in of_type.tensorType.dimensions
        ]
        return package.dtype(of_type) + (f"[{', '.join(sizes)}]" if sizes else "")
    if kind == "stateType":
        return f"state {type_text(of_type.stateType.wrappedType)}"
    if kind == "listType":
        return f"list of {type_text(of_type.listType.type)}"
    if kind == "dictionaryType":
        of_key, of_value = of_type.dictionaryType.keyType, of_type.dictionaryType.valueType
        return f"dictionary of {type_text(of_key)} to {type_text(of_value)}"
    return kind.removesuffix("Type") if kind else "unknown"


def _block(block: Any, indent: str, outer: dict[str, str]) -> Iterator[str]:
    known = dict(outer)
    for operation in block.operations:
        if operation.type == "const" and "val" in operation.attributes and operation.outputs:
            known[operation.outputs[0].name] = _constant(operation.attributes["val"])
            continue
        made = ", ".join(f"{o.name}: {type_text(o.type)}" for o in operation.outputs)
        call = f"{operation.type}({', '.join(_arguments(operation, known))})"
        yield f"{indent}{made} = {call}" if made else f"{indent}{call}"
        for number, inner in enumerate(operation.blocks):
            given = ", ".join(f"{i.name}: {type_text(i.type)}" for i in inner.inputs)
            yield f"{indent}{_INDENT}block {number}({given})"
            yield from _block(inner, indent + 2 * _INDENT, known)
    yield f"{indent}return {', '.join(known.get(name, name) for name in block.outputs)}"


def _arguments(operation: Any, known: dict[str, str]) -> Iterator[str]:
    """Parameters in the order of their names, after those bound to values the program computes."""
    texts = []
    for name, argument in operation.inputs.items():
        bound = [
            known.get(b.name, b.name) if b.WhichOneof("binding") == "name" else _constant(b.value)
            for b in argument.arguments
        ]
        computed = any(b.name and b.name not in known for b in argument.arguments)
        text = bound[0] if len(bound) == 1 else f"({', '.join(bound)})"
        texts.append((not computed, name, text))
    texts += [(True, n, _constant(v)) for n, v in operation.attributes.items() if n != "name"]
    for _, name, text in sorted(texts):
        yield f"{name}={text}"


def _constant(value: Any) -> str:
    """A constant: itself if it is short, else its type."""
    if value.WhichOneof("value") == "blobFileValue":
        return f"weights {type_text(value.type)}"
    held = value.immediateValue
    form = held.WhichOneof("value")
    if form in ("list", "tuple"):
        items = getattr(held, form).values
        if len(items) <= _SHORT:
            return f"[{', '.join(_constant(item) for item in items)}]"
    if form == "tensor":
        flat = _flat(held.tensor, value.type)
        if flat is not None:
            texts = [_scalar(v) for v in flat]
            return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    return type_text(value.type)


def _flat(tensor: Any, of_type: Any) -> list[Any] | None:
    """The values of a short tensor, None for any other."""
    field = tensor.WhichOneof("value")
    if field == "bytes":
        count = math.prod(package.shape(of_type))
        if not 0 < count <= _SHORT or package.dtype(of_type) == "bfloat16":
            return None
        try:
            return blobs.array(tensor.bytes.values, package.stored_as(of_type), count).tolist()
        except EdgepackError:
            return None
    values = getattr(tensor, field).values if field else ()
    if not 0 < len(values) <= _SHORT:
        return None
    return list(values)


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"' if len(value) <= _LONG else f'"{value[:_LONG]}…"'
    return f"{value:.6g}" if isinstance(value, float) else str(value)
