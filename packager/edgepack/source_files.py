"""The source model's files: that they exist, are what they claim, and their digests."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

from edgepack.errors import EdgepackError
from edgepack.wire import digest
from edgepack.wire.types import SourceModel

_TITLES = {"exported": "torch.export", "torchscript": "TorchScript"}


def check(model: SourceModel) -> dict[str, str]:
    """sha256 by file name of the model's file and of all files it needs; never by path.

    Raises E201 missing, E202 empty or damaged, E203 another kind of file, E205 a pickled module.
    """
    path = Path(model.location)
    _exists(path, "the model")
    if model.kind != "factory":  # Python's own parser says more than a look at the bytes.
        _zip_of(path, model.kind)
    found = {path.name: digest.of_tree(path)}
    for position, text in enumerate(model.files, 1):
        file = Path(text)
        _exists(file, "listed in [model] files")
        name = file.name if file.name not in found else f"{file.name} ({position})"
        found[name] = digest.of_tree(file)
    return found


def _exists(path: Path, what: str) -> None:
    if not path.exists():
        raise EdgepackError("E201", f"{path} does not exist", why=f"It is {what}.")
    if path.is_dir() and what == "the model":
        raise EdgepackError("E203", f"{path} is a folder, not a model file")
    if not path.is_dir() and not path.is_file():
        raise EdgepackError("E203", f"{path} is a device or pipe, not a file")
    if path.is_file() and path.stat().st_size == 0:
        raise EdgepackError("E202", f"{path} is empty", help="Write or copy it again.")


def _zip_of(path: Path, kind: str) -> None:
    """Check that the archive is of the kind its name says."""
    if _starts_with(path, _PICKLE):
        raise _pickled(path)
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            found = _kind(archive, names)
    except (zipfile.BadZipFile, OSError, ValueError, KeyError) as error:
        damaged = _starts_with(path, _ZIP)
        raise EdgepackError(
            "E202" if damaged else "E203",
            f"{path.name} is {'damaged' if damaged else 'no PyTorch file'}",
            why=f"A {path.suffix} file is a zip archive; {str(error).lower()}.",
            help="The file may be truncated; write or copy it again."
            if damaged
            else "Write it with torch.export.save (.pt2) or torch.jit.save (.pt).",
        ) from error
    if found == kind:
        return
    if found == "state dict or pickled module":
        raise _pickled(path)
    raise EdgepackError(
        "E203",
        f"{path.name} is a {_TITLES.get(found, found)} file",
        why=f"Its name says {_TITLES[kind]}.",
        help="Rename it: .pt2 for torch.export programs, .pt for TorchScript." if found != "zip" else
        "Write it with torch.export.save (.pt2) or torch.jit.save (.pt).",
    )  # fmt: skip


def _kind(archive: zipfile.ZipFile, names: list[str]) -> str:
    ends = {name.split("/", 1)[-1] for name in names}
    if "archive_format" in ends or "serialized_exported_program.json" in {
        n.rsplit("/", 1)[-1] for n in names
    }:
        return "exported"
    if "constants.pkl" in ends:
        return "torchscript"
    if "data.pkl" in ends:
        return "state dict or pickled module"
    if "config.json" in ends and "model.weights.h5" in ends:
        keras = json.loads(archive.read("config.json"))
        return f"Keras {keras.get('class_name', '')}".strip()
    return "zip"


def _pickled(path: Path) -> EdgepackError:
    return EdgepackError(
        "E205",
        f"{path.name} holds pickled Python objects, not a program",
        why="A checkpoint has weights but no architecture; a pickled module would have to be executed "
        "to be read.",
        help="Give the architecture as file.py:factory and list this file in [model] files, or save the "
        "model with torch.export.save.",
    )


_ZIP = b"PK\x03\x04"
_PICKLE = b"\x80\x02"
"""What torch.save wrote before 1.6, or writes without its zip format."""


def _starts_with(path: Path, mark: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(mark)) == mark
