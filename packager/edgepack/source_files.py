"""The source model's files: that they exist, are what they claim, and their digests."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

from edgepack.errors import EdgepackError
from edgepack.wire import digest
from edgepack.wire.types import SourceModel


def check(model: SourceModel) -> dict[str, str]:
    """sha256 by file name of the model's file and of all files it needs.

    Raises E201 missing, E202 empty or damaged, E203 another kind of file, E205 a pickled module.
    """
    path = Path(model.location)
    _exists(path, "the model")
    if model.kind == "factory":
        pass  # Python's own parser says more than a look at the bytes.
    elif model.kind == "exported":
        _zip_of(path, "exported", model)
    else:
        _zip_of(path, "torchscript", model)
    found = {path.name: digest.of_tree(path)}
    for text in model.files:
        file = Path(text)
        _exists(file, "listed in [model] files,")
        found[file.name if file.name not in found else text] = digest.of_tree(file)
    return found


def _exists(path: Path, what: str) -> None:
    if not path.exists():
        raise EdgepackError("E201", f"{path} does not exist", why=f"It is {what.rstrip(',')}.")
    if path.is_dir() and what == "the model":
        raise EdgepackError("E203", f"{path} is a folder, not a model file")
    if path.is_file() and path.stat().st_size == 0:
        raise EdgepackError("E202", f"{path} is empty", help="Write or copy it again.")


def _zip_of(path: Path, kind: str, model: SourceModel) -> None:
    """Check that the archive is of the kind its name says."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            found = _kind(archive, names)
    except (zipfile.BadZipFile, OSError, ValueError, KeyError) as error:
        raise EdgepackError(
            "E202" if _starts_like_zip(path) else "E203",
            f"{path.name} is {'damaged' if _starts_like_zip(path) else 'no PyTorch file'}",
            why=f"A {path.suffix} file is a zip archive; {str(error).lower()}.",
            help="The file may be truncated; write or copy it again."
            if _starts_like_zip(path)
            else "Write it with torch.export.save (.pt2) or torch.jit.save (.pt).",
        ) from error
    if found == kind:
        return
    if found == "state dict or pickled module":
        raise EdgepackError(
            "E205",
            f"{path.name} holds pickled Python objects, not a program",
            why="A checkpoint has weights but no architecture; a pickled module would have to be executed "
            "to be read.",
            help="Give the architecture as file.py:factory and list this file in [model] files, or save the "
            "model with torch.export.save.",
        )
    raise EdgepackError(
        "E203",
        f"{path.name} is a {found} file",
        why=f"Its name says {kind}.",
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


def _starts_like_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"
