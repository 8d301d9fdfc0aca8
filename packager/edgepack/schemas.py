"""JSON Schemas of what users and their tools read and write: edgepack.toml, manifest.json, report.json.

`python -m edgepack.schemas` writes them into the folder beside this file; a test keeps them current.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from edgepack.bundle import Manifest, Report
from edgepack.config import Config

FOLDER = Path(__file__).parent / "schemas"

DOCUMENTS: dict[str, tuple[type[Any], str]] = {
    "edgepack.toml.schema.json": (Config, "edgepack.toml"),
    "manifest.schema.json": (Manifest, "manifest.json of edgepack"),
    "report.schema.json": (Report, "report.json of edgepack"),
}


def texts() -> dict[str, str]:
    """The text of every schema file by name."""
    found = {}
    for name, (kind, title) in DOCUMENTS.items():
        schema = {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": title,
            **msgspec.json.schema(kind),
        }
        text = msgspec.json.format(msgspec.json.encode(schema, order="deterministic"), indent=2)
        found[name] = text.decode() + "\n"
    return found


def main() -> None:
    """Write the files."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in texts().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
