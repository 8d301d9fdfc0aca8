"""Core ML packages inside a .pte, unpacked without Apple's libraries.

A delegate's data is the content of all files, then a JSON directory of them written backwards, so that it
can be read from the end (executorch, backends/apple/coreml/runtime/inmemoryfs). Since 1.1 data that
methods share lies elsewhere, under a key: the delegate then holds "CMJR" and a JSON reference to it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgepack.errors import EdgepackError

_REFERENCE = b"CMJR"
_FILE = 0
_MOST_DEEP = 32
_FIRST_END = 2**16


@dataclass(frozen=True, slots=True)
class Part:
    """One unpacked package: its folder, the function to call, and its inputs and outputs in order."""

    package: Path
    function: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def unpack(data: bytes, shared: Mapping[str, bytes], folder: Path) -> Part:
    """The package in a delegate's data, written below `folder`.

    shared: the program's named data. Raises E202 for data of another form, E510 for a compiled model.
    """
    function = ""
    try:
        if data[:4] == _REFERENCE:
            reference = json.loads(data[4:])
            function = str(reference.get("functionName", ""))
            data = shared[reference["key"]]
        nodes = _directory(data)["nodes"]
        _write(nodes, len(nodes) - 1, data, folder, depth=0)
        described = json.loads((folder / "metadata.json").read_text(encoding="utf-8"))
        inputs, outputs = _names(described, function)
    except (ValueError, KeyError, TypeError, IndexError, OSError, AttributeError) as error:
        raise EdgepackError(
            "E202",
            "the Core ML part of the program is damaged, or of an unknown form",
            why=f"{type(error).__name__}: {error}",
        ) from error
    package = folder / "model.mlpackage"
    if not package.is_dir():
        raise EdgepackError(
            "E510",
            "the program holds a compiled Core ML model",
            why="Only Core ML itself reads .mlmodelc.",
            help="Export it with the model type MODEL instead of COMPILED_MODEL.",
        )
    return Part(package=package, function=function, inputs=inputs, outputs=outputs)


def _directory(data: bytes) -> dict[str, Any]:
    """The JSON at the end, read from ever larger ends of the data. Raises ValueError."""
    size = _FIRST_END
    while True:
        text = data[-size:][::-1].decode("utf-8", "replace")
        try:
            found: dict[str, Any] = json.JSONDecoder().raw_decode(text)[0]
        except ValueError:
            if size >= len(data):
                raise
            size *= 16
            continue
        return found


def _names(described: dict[str, Any], function: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of inputs and outputs in the delegate's order, of one function where there are several."""
    by_method = {m["name"]: m for m in described.get("methods", ())}
    of = by_method.get(function, described)
    return tuple(of["inputNames"]), tuple(of["outputNames"])


def _write(nodes: list[Any], index: int, data: bytes, place: Path, *, depth: int) -> None:
    """Write a node of the directory at `place`: a file, or a folder of others."""
    if depth > _MOST_DEEP:
        raise ValueError("the directory does not end")
    node = nodes[index]
    if node["kind"] == _FILE:
        region = node["dataRegion"]
        start, size = int(region["offset"]), int(region["size"])
        if start < 0 or size < 0 or start + size > len(data):
            raise ValueError(f"{node['name']} ends beyond the data")
        place.write_bytes(data[start : start + size])
        return
    place.mkdir(parents=True, exist_ok=True)
    for name, child in node["children"].items():
        if name in ("", ".", "..") or "/" in name or "\\" in name or "\0" in name:
            raise ValueError(f"a file is called {name!r}")
        _write(nodes, int(child), data, place / name, depth=depth + 1)
