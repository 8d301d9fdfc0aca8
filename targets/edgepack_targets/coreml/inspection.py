"""What a .mlpackage says of itself, whoever made it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgepack.wire.types import Inspection, InspectJob
from edgepack_targets.coreml import interface, listing, package

_IOS_OF_SPECIFICATION = {6: "15", 7: "16", 8: "17", 9: "18", 10: "26"}
_SPACES = {10: "gray", 20: "RGB", 30: "BGR", 40: "gray float16"}
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
        metadata={key: value for key, value in _metadata(spec) if value},
        program=tuple(listing.lines(spec)),
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


def _metadata(spec: Any) -> Iterator[tuple[str, str]]:
    """What the model's author wrote down, the iOS it needs, and what a signature cannot say."""
    stored = spec.description.metadata
    yield "author", stored.author
    yield "license", stored.license
    yield "short description", stored.shortDescription
    yield "version", stored.versionString
    yield "minimum iOS", _IOS_OF_SPECIFICATION.get(spec.specificationVersion, "")
    yield "opset", ", ".join(sorted({f.opset for f in spec.mlProgram.functions.values()}))
    yield from sorted(stored.userDefined.items())
    yield from ((f"feature {name}", kind) for name, kind in interface.feature_kinds(spec))
    for name, axis, low, high in interface.ranges_of(spec):
        yield f"range of {name} axis {axis}", f"{low} to {high if high >= 0 else 'any'}"
    yield from _shapes(spec.description)
    yield from _weights(spec)
    yield from _functions(spec)


def _shapes(description: Any) -> Iterator[tuple[str, str]]:
    """Shapes of each input that only takes some, images' sizes, and inputs that may be left out."""
    for feature in (*description.input, *(i for f in description.functions for i in f.input)):
        kind = feature.type.WhichOneof("Type")
        if kind == "multiArrayType":
            shapes = [list(s.shape) for s in feature.type.multiArrayType.enumeratedShapes.shapes]
            yield f"shapes of {feature.name}", " or ".join(map(str, shapes))
        if kind == "imageType":
            yield f"image {feature.name}", _image(feature.type.imageType)
        if feature.type.isOptional:
            yield f"input {feature.name}", "may be left out"


def _image(image: Any) -> str:
    """A color space, and sizes as height by width."""
    space = _SPACES.get(image.colorSpace, "unknown")
    flexible = image.WhichOneof("SizeFlexibility")
    if flexible == "enumeratedSizes":
        sizes = [f"{s.height}x{s.width}" for s in image.enumeratedSizes.sizes]
    elif flexible == "imageSizeRange":
        sides = (image.imageSizeRange.heightRange, image.imageSizeRange.widthRange)
        sizes = ["x".join(f"({r.lowerBound} to {_end(r.upperBound)})" for r in sides)]
    else:
        sizes = [f"{image.height}x{image.width}"]
    return f"{space} {' or '.join(sizes)}"


def _end(upper: int) -> str:
    return str(upper) if upper >= 0 else "any"


def _weights(spec: Any) -> Iterator[tuple[str, str]]:
    """How many numbers of each dtype lie in the weights file."""
    counts: Counter[str] = Counter()
    for _, _, value in package.values(spec):
        if value.WhichOneof("value") == "blobFileValue":
            counts[package.dtype(value.type)] += package.elements(value)
    for name, count in sorted(counts.items()):
        yield f"weights {name}", f"{count:,}"


def _functions(spec: Any) -> Iterator[tuple[str, str]]:
    """States of each function; names and operators too where there are several functions."""
    functions = spec.mlProgram.functions
    several = len(functions) > 1
    if several:
        yield "functions", ", ".join(sorted(functions))
        yield "default function", spec.description.defaultFunctionName
    for name in sorted(functions):
        for given in functions[name].inputs:
            if given.type.WhichOneof("type") == "stateType":
                where = f" of {name}" if several else ""
                wrapped = given.type.stateType.wrappedType
                yield f"state {given.name}{where}", listing.type_text(wrapped)
        if several:
            counts = Counter(
                o.type for o in package.operations_of(functions[name]) if o.type != "const"
            )
            text = ", ".join(f"{n} {kind}" for kind, n in sorted(counts.items()))
            yield f"function {name}", text
