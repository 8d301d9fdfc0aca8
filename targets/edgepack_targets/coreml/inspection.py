"""What a .mlpackage says of itself, whoever made it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from edgepack.wire.types import Inspection, InspectJob
from edgepack_targets.coreml import interface, package

_IOS_OF_SPECIFICATION = {6: "15", 7: "16", 8: "17", 9: "18", 10: "26"}
_HALF = 0.5


def inspect(job: InspectJob) -> Inspection:
    """Signature, closest precision, operators and metadata of a package.

    Raises E201 if it is not there, E202 if it is damaged, E203 if it holds no ML Program.
    """
    spec = package.read(Path(job.artifact)).spec
    counts = Counter(o.type for o in package.operations(spec) if o.type != "const")
    return Inspection(
        format=f"ML Program, specification version {spec.specificationVersion}",
        precision=_precision(spec),
        signature=interface.signature_of(spec),
        operators=dict(sorted(counts.items())),
        metadata=dict(_metadata(spec)),
    )


def _precision(spec: Any) -> str:
    """The precision most of the weights have; of the operations' results when there are none."""
    weights: Counter[str] = Counter()
    for operation, _, value in package.values(spec):
        if value.WhichOneof("value") != "blobFileValue":
            continue
        kind = package.dtype(value.type)
        packed = operation.type.startswith("constexpr_") and kind not in package.FLOATS
        weights["int8-weights" if packed else kind] += package.elements(value)
    if not weights:
        weights = Counter(
            package.dtype(o.type) for op in package.operations(spec) for o in op.outputs
        )
    total = weights["int8-weights"] + weights["float16"] + weights["float32"]
    if total and weights["int8-weights"] >= _HALF * total:
        return "int8-weights"
    return "fp16" if weights["float16"] > weights["float32"] else "fp32"


def _metadata(spec: Any) -> list[tuple[str, str]]:
    """What the model's author wrote down, the iOS it needs, and what a signature cannot say."""
    stored = spec.description.metadata
    pairs = [
        ("author", stored.author),
        ("license", stored.license),
        ("short description", stored.shortDescription),
        ("version", stored.versionString),
        ("minimum iOS", _IOS_OF_SPECIFICATION.get(spec.specificationVersion, "")),
    ]
    pairs += sorted(stored.userDefined.items())
    pairs += [(f"feature {name}", kind) for name, kind in interface.feature_kinds(spec)]
    pairs += [
        (f"range of {name} axis {axis}", f"{low} to {high if high >= 0 else 'any'}")
        for name, axis, low, high in interface.ranges_of(spec)
    ]
    functions = sorted(spec.mlProgram.functions)
    if len(functions) > 1:
        pairs.append(("functions", ", ".join(functions)))
    return [(key, value) for key, value in pairs if value]
