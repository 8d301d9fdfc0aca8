"""The .mlpackage folder: read one that anybody made, write one that is the same bytes every time.

A package is `Manifest.json`, the model as a protobuf, and beside it the weights. coremltools writes
random identifiers into the manifest, the order of protobuf maps as memory gives it, and the date;
here identifiers follow from what they name and maps are sorted.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgepack.errors import EdgepackError
from edgepack_targets.coreml.emulator import blobs, errors, proto

FLOATS = ("float16", "float32", "float64")
_DTYPES = {
    1: "bool", 2: "string", 10: "float16", 11: "float32", 12: "float64", 13: "bfloat16", 21: "int8",
    22: "int16", 23: "int32", 24: "int64", 25: "int4", 31: "uint8", 32: "uint16", 33: "uint32", 34: "uint64",
    35: "uint4", 36: "uint2", 37: "uint1", 38: "uint6", 39: "uint3",
}  # fmt: skip
_STORED_AS = {"float16": "fp16", "float32": "fp32", "float64": "fp64", "bfloat16": "bf16"}
_AUTHOR = "com.apple.CoreML"
_MODEL = "model.mlmodel"
_WEIGHTS = "weight.bin"
_NAMESPACE = uuid.UUID("6f0f6c5e-4f0e-5d0b-9a4b-0d6a7c3f2b11")
_MOST_MANIFEST = 2**24
_MOST_MODEL = 2**31
"""Bytes of a manifest, and of a model: protobuf reads no message of 2 GB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A package that was read: its parsed model and the folder that holds model and weights."""

    spec: Any
    folder: Path


def read(path: Path) -> Package:
    """The model of a .mlpackage, or of a bare .mlmodel file beside its weights.

    Raises E201 if it is not there, E202 if it is damaged, E203 if it holds no ML Program.
    """
    if not path.exists():
        raise EdgepackError("E201", f"{path.name} does not exist", why=f"{path}")
    try:
        file = _model_file(path)
        spec = _parse(file)
        _check_type(spec, path)
        _check_blobs(spec, file.parent)
    except EdgepackError as error:
        if error.code != "E202":
            raise
        why = "\n".join(text for text in (error.message, error.why) if text)
        raise _damaged(path, why) from error
    return Package(spec=spec, folder=file.parent)


def write(spec: Any, weights: Path | None, out: Path) -> None:
    """Write a package; the weights file is moved into it, not copied. Replaces `out`.

    spec: the protobuf Model, whose blobs are `@model_path/weights/weight.bin`.
    Raises OSError.
    """
    data = out / "Data" / _AUTHOR
    if out.exists():
        shutil.rmtree(out)
    data.mkdir(parents=True)
    (data / _MODEL).write_bytes(spec.SerializeToString(deterministic=True))
    entries = [(_MODEL, "CoreML Model Specification")]
    if weights is not None:
        (data / "weights").mkdir()
        shutil.move(os.fspath(weights), data / "weights" / _WEIGHTS)
        entries.append(("weights", "CoreML Model Weights"))
    manifest = {
        "fileFormatVersion": "1.0.0",
        "itemInfoEntries": {
            _identifier(name): {
                "author": _AUTHOR,
                "description": description,
                "name": name,
                "path": f"{_AUTHOR}/{name}",
            }
            for name, description in entries
        },
        "rootModelIdentifier": _identifier(_MODEL),
    }
    text = json.dumps(manifest, indent=4, sort_keys=True)
    (out / "Manifest.json").write_text(text + "\n", encoding="utf-8")


def weight_file(spec: Any, folder: Path | None) -> Path | None:
    """The one weights file in `folder`, None when the model has no weights.

    Raises E402 if coremltools wrote other files than its model refers to.
    """
    wanted = {
        value.blobFileValue.fileName
        for _, _, value in values(spec)
        if value.WhichOneof("value") == "blobFileValue"
    }
    found = sorted(p for p in folder.glob("*") if p.is_file()) if folder else []
    if not wanted:
        return None
    if wanted != {f"{blobs.PREFIX}weights/{_WEIGHTS}"} or [p.name for p in found] != [_WEIGHTS]:
        raise EdgepackError(
            "E402",
            "coremltools laid the weights out in an unknown way",
            why=f"the model refers to {sorted(wanted)}, the files are {[p.name for p in found]}",
        )
    return found[0]


def values(spec: Any) -> Iterator[tuple[Any, str, Any]]:
    """Every (operation, parameter or attribute name, constant value) of a model, nested blocks too."""
    for operation in operations(spec):
        for name, value in operation.attributes.items():
            yield operation, name, value
        for name, argument in operation.inputs.items():
            for binding in argument.arguments:
                if binding.WhichOneof("binding") == "value":
                    yield operation, name, binding.value


def operations(spec: Any) -> Iterator[Any]:
    """Every operation of a model in order, a block's operations after the one that holds it."""
    for function in spec.mlProgram.functions.values():
        yield from operations_of(function)


def operations_of(function: Any) -> Iterator[Any]:
    """Every operation of one function."""
    for block in function.block_specializations.values():
        yield from _inside(block)


def _inside(block: Any) -> Iterator[Any]:
    """Operations of one block and of the blocks inside them."""
    for operation in block.operations:
        yield operation
        for inner in operation.blocks:
            yield from _inside(inner)


def dtype(of_type: Any) -> str:
    """The dtype of a MIL tensor type as in signatures, "other" for one they do not have."""
    return _DTYPES.get(of_type.tensorType.dataType, "other")


def shape(of_type: Any) -> tuple[int, ...]:
    """The sizes of a MIL tensor type; an unknown one is 0."""
    return tuple(int(d.constant.size) for d in of_type.tensorType.dimensions)


def elements(value: Any) -> int:
    """The number of elements of a constant."""
    return math.prod(shape(value.type))


def stored_as(of_type: Any) -> str:
    """The name that blob storage has for a tensor type's dtype. Raises E202 for what is no number."""
    kind = dtype(of_type)
    if kind in ("other", "string"):
        raise errors.malformed("a constant is of a type edgepack cannot read")
    return _STORED_AS.get(kind, kind)


def array(package: Package, value: Any) -> blobs.Array:
    """A constant of the package as an array; one in the weights file is mapped, not read.

    Values of less than a byte come as int8 or uint8, bfloat16 as uint16. Raises E202 for what is no number,
    or not as many as its type says.
    """
    stored, count = stored_as(value.type), elements(value)
    if value.WhichOneof("value") == "blobFileValue":
        file = value.blobFileValue
        blob = blobs.Weights(package.folder).blob(file.fileName, file.offset)
        return blobs.array(blob.data, stored, count).reshape(shape(value.type))
    tensor = value.immediateValue.tensor
    field = tensor.WhichOneof("value")
    if field == "bytes":
        return blobs.array(tensor.bytes.values, stored, count).reshape(shape(value.type))
    given = getattr(tensor, field).values if field else ()
    if len(given) != count:
        raise errors.malformed(f"a constant of {count} values holds {len(given)}")
    return np.array(given, np.dtype(dtype(value.type))).reshape(shape(value.type))


def _identifier(name: str) -> str:
    """The manifest's identifier of an item: the same for the same name."""
    return str(uuid.uuid5(_NAMESPACE, name)).upper()


def _damaged(path: Path, why: str) -> EdgepackError:
    """E202 for a package that cannot be read."""
    return EdgepackError(
        "E202",
        f"{path.name} is not a usable Core ML package",
        why=why,
        help="make the package again, or copy it again as a whole folder",
    )


def _model_file(path: Path) -> Path:
    """Where a package keeps its model. Raises E202."""
    if path.is_file():
        if path.suffix == ".mlmodel":
            return path.resolve()
        raise errors.malformed("a package is a folder, this is a file")
    try:
        manifest = blobs.inside(path, "Manifest.json")
        if manifest.stat().st_size > _MOST_MANIFEST:
            raise errors.malformed("Manifest.json is larger than any manifest")
        content = json.loads(manifest.read_text(encoding="utf-8"))
        item = content["itemInfoEntries"][content["rootModelIdentifier"]]["path"]
    except OSError as error:
        raise errors.malformed(f"Manifest.json: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise errors.malformed(f"Manifest.json does not name a model ({error!r})") from error
    if not isinstance(item, str):
        raise errors.malformed("Manifest.json does not name a model")
    return blobs.inside(path / "Data", item)


def _parse(file: Path) -> Any:
    """The protobuf Model in a file of a package. Raises E202."""
    from google.protobuf.message import DecodeError

    spec = proto.messages().Model()
    try:
        if file.stat().st_size >= _MOST_MODEL:
            raise errors.malformed(f"{file.name} is larger than a protobuf can be")
        spec.ParseFromString(file.read_bytes())
    except DecodeError as error:
        raise errors.malformed(f"its protobuf is truncated or damaged ({error})") from error
    except MemoryError as error:
        raise errors.malformed(f"{file.name} does not fit into memory") from error
    except OSError as error:
        raise errors.malformed(f"{file.name}: {error.strerror}") from error
    if not spec.specificationVersion:
        raise errors.malformed("it is empty, or not a Core ML model")
    return spec


def _check_type(spec: Any, path: Path) -> None:
    """Check that a model is an ML Program. Raises E203."""
    kind = spec.WhichOneof("Type") or "unknown"
    if kind == "mlProgram":
        return
    why = "edgepack reads ML Programs, the type that coremltools has made since iOS 15."
    if kind.startswith("pipeline"):
        inner = getattr(spec, kind)
        models = (inner if kind == "pipeline" else inner.pipeline).models
        held = ", ".join(model.WhichOneof("Type") or "unknown" for model in models)
        raise EdgepackError(
            "E203",
            f"{path.name} holds a Core ML pipeline of {len(models)} models ({held})",
            why=why,
            help="Save each ML Program of the pipeline as a package of its own.",
        )
    raise EdgepackError(
        "E203",
        f"{path.name} holds a Core ML model of type {kind}",
        why=why,
        help='Convert the model again with convert_to="mlprogram".'
        if kind.startswith("neuralNetwork")
        else "Only neural networks can be made ML Programs; use Core ML itself for this one.",
    )


def _check_blobs(spec: Any, folder: Path) -> None:
    """Check that every weight the model refers to lies whole in its file. Raises E202."""
    weights = blobs.Weights(folder)
    for operation, name, value in values(spec):
        if value.WhichOneof("value") != "blobFileValue":
            continue
        try:
            weights.blob(value.blobFileValue.fileName, value.blobFileValue.offset)
        except EdgepackError as error:
            used = f"It is {name!r} of an operation {operation.type!r}, {_title(value)}."
            raise errors.malformed(error.message, why=f"{error.why}\n{used}".strip()) from error


def _title(value: Any) -> str:
    """The shape of a constant as text, to name it in a message."""
    return "x".join(str(n) for n in shape(value.type)) or "a single number"
