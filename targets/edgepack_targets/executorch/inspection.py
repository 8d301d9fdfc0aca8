"""What a .pte says of itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edgepack.errors import EdgepackError
from edgepack.wire.types import Inspection, InspectJob, Signature, TensorSpec
from edgepack_targets.executorch import program

INTERFACE = "edgepack_interface"


def inspect(job: InspectJob) -> Inspection:
    """A program's entry, operators, delegates and precision, whoever made it.

    Names are those that edgepack wrote into the file, else "input_0", "output_0" and so on; shapes of a
    tensor that varies are their upper bounds, the format has no more.
    Raises E202 and E203 as `program.read` does.
    """
    path = Path(job.artifact)
    found = program.read(path)
    methods = {method.name: method for method in found.methods}
    named = _names(methods.pop(INTERFACE, None))
    entry = methods.get("forward") or next(iter(methods.values()), None)
    if entry is None:
        raise EdgepackError("E202", f"{path.name} holds no method that computes anything")
    delegates = {f"delegate {name}": count for name, count in entry.delegates.items()}
    return Inspection(
        format="executorch",
        precision=_precision(entry),
        signature=Signature(
            name=entry.name,
            inputs=_specs("input", entry.inputs, named.get("inputs", [])),
            outputs=_specs("output", entry.outputs, named.get("outputs", [])),
        ),
        operators={**delegates, **entry.operators},
        metadata={
            "schema version": str(found.version),
            "methods": ", ".join(method.name for method in found.methods),
            "weights": ", ".join(f"{n} {dtype}" for dtype, n in entry.weights.items()),
        },
    )


def _names(method: program.Method | None) -> dict[str, Any]:
    """What edgepack wrote into a program of its own: inputs and outputs with name and shape."""
    text = method.outputs[0] if method is not None and method.outputs else None
    if not isinstance(text, str):
        return {}
    try:
        named = json.loads(text)
    except ValueError:
        return {}
    return named if isinstance(named, dict) else {}


def _specs(
    word: str, values: tuple[program.Tensor | str | None, ...], named: list[dict[str, Any]]
) -> tuple[TensorSpec, ...]:
    """Specs of a method's values; `named` counts only if it has as many entries, of the same ranks."""
    tensors = [
        value
        if isinstance(value, program.Tensor)
        else program.Tensor(dtype="", sizes=(), dynamic=False)
        for value in values
    ]
    known = len(named) == len(tensors) and all(
        len(entry["shape"]) == len(tensor.sizes)
        for entry, tensor in zip(named, tensors, strict=True)
    )
    return tuple(
        TensorSpec(
            name=named[index]["name"] if known else f"{word}_{index}",
            dtype=tensor.dtype,
            shape=tuple(named[index]["shape"]) if known else tensor.sizes,
        )
        for index, tensor in enumerate(tensors)
    )


def _precision(method: program.Method) -> str:
    """int8 if a tenth of the weights is, else the float that most of them are."""
    counts = method.weights
    if counts.get("int8", 0) * 10 >= sum(counts.values()) > 0:
        return "int8"
    return "fp16" if counts.get("float16", 0) > counts.get("float32", 0) else "fp32"
