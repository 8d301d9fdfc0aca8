"""A bench that renders app projects: tiny models, golden cases, names that would break a careless template."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgepack import apps, golden_cases, tasks
from edgepack.errors import EdgepackError
from edgepack.wire.types import Artifact, Recipe, Signature, TensorSpec

PAIRS = [("android", "litert"), ("android", "executorch"), ("ios", "coreml"), ("ios", "executorch")]
SUFFIX = {"litert": ".tflite", "executorch": ".pte", "coreml": ".mlpackage"}
SIGNATURE = Signature(
    name="serving_default",
    inputs=(
        TensorSpec(name="image", dtype="float32", shape=(1, 2, 2), layout="NHW"),
        TensorSpec(name="ids", dtype="int32", shape=(3,)),
    ),
    outputs=(TensorSpec(name="logits", dtype="float32", shape=(1, 4)),),
)
CASE = golden_cases.GoldenCase(
    inputs=(np.arange(4, dtype=np.float32).reshape(1, 2, 2), np.array([1, 2, 3], np.int32)),
    outputs=(np.array([[0.5, -1.0, 2.0, 0.0]], np.float32),),
)
LIMITS = {"min_cosine": 0.999999, "max_abs": 1e-5}
HOSTILE = [
    "it's",
    'say "hi"',
    "$HOME ${x} $(y) $z",
    "line\nbreak",
    "tab\there",
    "100% %s %1$s",
    "<b>&amp;</b> ]]>",
    "@string/app_name",
    "?attr/color",
    "back\\slash \\n \\u0041",
    "  two  spaces  ",
    "花 🌸 مرحبا e\u0301 🏳️‍🌈",
    "{{ jinja }} {% if %} {# x #}",
    "'",
    '"',
    "`code` | table # *bold* [link](x)",
    "class",
    "// comment /* too */",
    "$",
]


def model(folder: Path, target: str) -> Path:
    """A tiny file or folder in place of a model."""
    path = folder / f"made{SUFFIX[target]}"
    if target != "coreml":
        path.write_bytes(b"not a model, but bytes\n")
        return path
    weights = path / "Data" / "com.apple.CoreML" / "weights"
    weights.mkdir(parents=True)
    (path / "Manifest.json").write_text("{}\n")
    (weights.parent / "model.mlmodel").write_bytes(b"\x08\x08")
    (weights / "weight.bin").write_bytes(bytes(64))
    return path


def tree_digest(path: Path) -> str:
    """The digest that edgepack gives a file or a folder, worked out anew."""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    files = sorted(p for p in path.rglob("*") if p.is_file())
    listing = [
        [p.relative_to(path).as_posix(), hashlib.sha256(p.read_bytes()).hexdigest()] for p in files
    ]
    text = json.dumps(listing, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


class Bench:
    """Renders apps below one folder; every argument of `render` can be replaced."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0

    def render(self, platform: str, target: str, **changes: Any) -> Path:
        self.count += 1
        place = self.folder / str(self.count)
        place.mkdir()
        path = model(place, target)
        artifact = Artifact(
            file=path.name,
            sha256=tree_digest(path),
            bytes=sum(p.stat().st_size for p in [path, *path.rglob("*")] if p.is_file()),
            format=target,
            signature=changes.pop("signature", SIGNATURE),
            versions={"torch": "2.13.0", "a": "1"},
            notes=("a note",),
        )
        chosen = {
            "id": changes.pop("id", "com.example.flowers"),
            "name": changes.pop("name", "Flowers"),
        }
        app = apps.App(platform=platform, **chosen)
        fields = {
            "name": changes.pop("model_name", "flowers"),
            "variant": f"{target}-fp32",
            "artifact": replace(artifact, **changes.pop("artifact", {})),
            "path": changes.pop("artifact_path", path),
            "recipe": changes.pop(
                "recipe",
                Recipe(target=target, precision="fp32", options=changes.pop("options", ())),
            ),
            "golden": changes.pop("golden", [CASE]),
            "limits": changes.pop("limits", LIMITS),
            "peaks": changes.pop("peaks", ()),
        }
        fields |= changes.pop("packed", {})
        others = [apps.Packed(**{**fields, **other}) for other in changes.pop("others", [])]
        task = changes.pop("task", tasks.Task({"kind": "generic"}, {}))
        out = changes.pop("out", place / "app")
        assert not changes
        apps.render(app, [apps.Packed(**fields), *others], task, out)
        return place / "app"


def payload(project: Path) -> Path:
    """Folder of edgepack.json in a project."""
    return next(p.parent for p in project.rglob("edgepack.json"))


def read_json(path: Path) -> Any:
    """A decoded JSON file."""
    return json.loads(path.read_text("utf-8"))


def refused(code: str, bench: Bench, platform: str, target: str, **changes: Any) -> EdgepackError:
    """The error that rendering ends with; it has all its words and leaves nothing behind."""
    with pytest.raises(EdgepackError) as caught:
        bench.render(platform, target, **changes)
    assert caught.value.code == code
    assert caught.value.exit_code == 7
    assert caught.value.help
    assert not (bench.folder / str(bench.count) / "app" / "README.md").exists()
    return caught.value
