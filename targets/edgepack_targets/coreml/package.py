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
import struct
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgepack.errors import EdgepackError

if TYPE_CHECKING:
    import numpy as np

FLOATS = ("float16", "float32", "float64")
_DTYPES = {
    1: "bool", 10: "float16", 11: "float32", 12: "float64", 21: "int8", 22: "int16", 23: "int32",
    24: "int64", 31: "uint8", 32: "uint16",
}  # fmt: skip
_AUTHOR = "com.apple.CoreML"
_MODEL = "model.mlmodel"
_WEIGHTS = "weight.bin"
_NAMESPACE = uuid.UUID("6f0f6c5e-4f0e-5d0b-9a4b-0d6a7c3f2b11")
_BLOB_PREFIX = "@model_path/"

# Blob storage: a file header and, before each blob, a record of this many bytes that the model's
# offsets point at: sentinel, type, size in bytes, position of the data, padding in bits, reserved.
_RECORD = struct.Struct("<IIQQQ32x")
_SENTINEL = 0xDEADBEEF
_STORAGE_VERSION = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A package that was read: its parsed model and the folder that holds model and weights."""

    spec: Any
    folder: Path


def read(path: Path) -> Package:
    """The model of a .mlpackage, or of a bare .mlmodel file beside its weights.

    Raises E201 if it is not there, E202 if it is damaged, E203 if it holds no ML Program.
    """
    file = _model_file(path)
    spec = _parse(file, path)
    kind = spec.WhichOneof("Type")
    if kind != "mlProgram":
        raise EdgepackError(
            "E203",
            f"{path.name} holds a Core ML model of type {kind or 'unknown'}",
            why="edgepack reads ML Programs, the type that coremltools has made since iOS 15.",
            help='convert the model again with convert_to="mlprogram"',
        )
    package = Package(spec=spec, folder=file.parent)
    _check_blobs(package, path.name)
    return package


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
    if wanted != {f"{_BLOB_PREFIX}weights/{_WEIGHTS}"} or [p.name for p in found] != [_WEIGHTS]:
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
        for block in function.block_specializations.values():
            yield from _operations_of(block)


def _operations_of(block: Any) -> Iterator[Any]:
    """Operations of one block and of the blocks inside them."""
    for operation in block.operations:
        yield operation
        for inner in operation.blocks:
            yield from _operations_of(inner)


def dtype(of_type: Any) -> str:
    """The dtype of a MIL tensor type as in signatures, "other" for one they do not have."""
    return _DTYPES.get(of_type.tensorType.dataType, "other")


def shape(of_type: Any) -> tuple[int, ...]:
    """The sizes of a MIL tensor type; an unknown one is 0."""
    return tuple(int(d.constant.size) for d in of_type.tensorType.dimensions)


def elements(value: Any) -> int:
    """The number of elements of a constant."""
    return math.prod(shape(value.type))


def array(package: Package, value: Any) -> np.ndarray[Any, Any]:
    """A constant of the package as an array; one in the weights file is mapped, not read.

    Raises E202 for a dtype that numpy does not have.
    """
    import numpy as np

    kind = dtype(value.type)
    if kind == "other":
        raise _damaged(package.folder, "a constant is of a type edgepack cannot read")
    if value.WhichOneof("value") == "blobFileValue":
        file = package.folder / value.blobFileValue.fileName.removeprefix(_BLOB_PREFIX)
        with file.open("rb") as stream:
            stream.seek(value.blobFileValue.offset)
            _, _, _, start, _ = _RECORD.unpack(stream.read(_RECORD.size))
        return np.memmap(file, np.dtype(kind), "r", start, shape(value.type))
    tensor = value.immediateValue.tensor
    field = tensor.WhichOneof("value")
    if field == "bytes":
        flat = np.frombuffer(tensor.bytes.values, np.dtype(kind))
    else:
        flat = np.array(getattr(tensor, field).values, np.dtype(kind))
    return flat.reshape(shape(value.type))


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
    if path.is_file() and path.suffix == ".mlmodel":
        return path
    if not path.exists():
        raise EdgepackError("E201", f"{path.name} does not exist", why=f"{path}")
    if not path.is_dir():
        raise _damaged(path, "a package is a folder, this is a file")
    manifest = path / "Manifest.json"
    try:
        content = json.loads(manifest.read_text(encoding="utf-8"))
        item = content["itemInfoEntries"][content["rootModelIdentifier"]]["path"]
    except OSError as error:
        raise _damaged(path, f"Manifest.json: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path, f"Manifest.json does not name a model ({error!r})") from error
    if not isinstance(item, str):
        raise _damaged(path, "Manifest.json does not name a model")
    return _inside(path / "Data", item, path)


def _inside(folder: Path, name: str, package: Path) -> Path:
    """The file `name` in `folder`, which must not lead out of it. Raises E202."""
    file = (folder / name).resolve()
    if not file.is_relative_to(folder.resolve()):
        raise _damaged(package, f"it refers to {name!r}, outside the package")
    if not file.is_file():
        raise _damaged(package, f"{name} is missing")
    return file


def _parse(file: Path, package: Path) -> Any:
    """The protobuf Model in a file of a package. Raises E202."""
    from coremltools.proto import Model_pb2
    from google.protobuf.message import DecodeError

    spec = Model_pb2.Model()
    try:
        spec.ParseFromString(file.read_bytes())
    except DecodeError as error:
        raise _damaged(package, f"its protobuf is truncated or damaged ({error})") from error
    except OSError as error:
        raise _damaged(package, f"{error.strerror}") from error
    if not spec.specificationVersion:
        raise _damaged(package, "it is empty, or not a Core ML model")
    return spec


def _check_blobs(package: Package, name: str) -> None:
    """Check that every weight the model refers to lies whole in its file. Raises E202."""
    for operation, _, value in values(package.spec):
        if value.WhichOneof("value") != "blobFileValue":
            continue
        blob = value.blobFileValue
        relative = blob.fileName.removeprefix(_BLOB_PREFIX)
        file = _inside(package.folder, relative, Path(name))
        size = file.stat().st_size
        with file.open("rb") as stream:
            header = stream.read(8)
            stream.seek(blob.offset)
            record = stream.read(_RECORD.size)
        if header[4:] != struct.pack("<I", _STORAGE_VERSION) or len(record) < _RECORD.size:
            raise _damaged(Path(name), f"{relative} is truncated or not a weights file")
        sentinel, _, length, start, _ = _RECORD.unpack(record)
        if sentinel != _SENTINEL or start + length > size:
            raise _damaged(
                Path(name),
                f"{relative} ends before the weights of {operation.type} {_title(value)}",
            )


def _title(value: Any) -> str:
    """The shape of a constant as text, to name it in a message."""
    return "x".join(str(d.constant.size) for d in value.type.tensorType.dimensions)
