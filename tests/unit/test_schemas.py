"""The published JSON Schemas are those of the code."""

from __future__ import annotations

import json

import pytest

from edgepack import schemas


@pytest.mark.parametrize("name", sorted(schemas.DOCUMENTS))
def test_the_published_schema_is_current(name: str) -> None:
    published = (schemas.FOLDER / name).read_text(encoding="utf-8")
    assert published == schemas.texts()[name], "run `make schemas` and read the difference"


def test_manifest_keys_that_others_rely_on_are_required() -> None:
    schema = json.loads(schemas.texts()["manifest.schema.json"])
    artifact = schema["$defs"]["ManifestArtifact"]["required"]
    relied_on = [
        "variant",
        "target",
        "precision",
        "file",
        "sha256",
        "bytes",
        "signature",
        "versions",
    ]
    assert set(relied_on) <= set(artifact)
    assert {"schema", "edgepack", "name", "models", "artifacts"} <= set(
        schema["$defs"]["Manifest"]["required"]
    )
