"""The samples' apps are kept as sources; they are what the templates give for their edgepack.json."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import edgepack_templates as templates
from edgepack import apps, config, plan
from edgepack.wire.types import Variant

SAMPLES = Path(__file__).parents[2] / "sample_apps"
KEPT = sorted(p for p in SAMPLES.glob("*/apps/*") if p.is_dir())


def test_every_sample_keeps_an_app_for_each_platform() -> None:
    names = [f"{p.parts[-3]} {p.name}" for p in KEPT]
    assert names == [
        f"{name} {platform}"
        for name in ("translation", "vision", "voice")
        for platform in ("android", "ios")
    ]


@pytest.mark.parametrize("kept", KEPT, ids=lambda p: f"{p.parts[-3]}-{p.name}")
def test_the_sources_of_a_samples_app_are_the_templates(kept: Path, tmp_path: Path) -> None:
    loaded = config.load(kept.parents[1] / "edgepack.toml")
    made = plan.resolve(loaded, tmp_path)
    (wanted,) = [app for app in made.apps if app.platform == kept.name]
    payload = templates.read(kept.name).payload
    manifest = json.loads((kept / payload / "edgepack.json").read_text("utf-8"))
    variants: dict[str, Variant] = {v.id: v for m in made.models for v in m.variants}
    recipe = variants[wanted.variants[0]].recipe
    assert [model["variant"] for model in manifest["models"]] == list(wanted.variants)
    assert manifest["task"]["kind"] == wanted.task
    app = apps.App(platform=wanted.platform, id=wanted.id, name=wanted.name)
    apps.write_sources(app, manifest, recipe, tmp_path / "app")

    def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
        files = (p for p in folder.rglob("*") if p.is_file())
        found = {p.relative_to(folder).as_posix(): p for p in files}
        return {
            name: (path.read_bytes(), path.stat().st_mode & 0o100)
            for name, path in found.items()
            if not name.startswith(f"{payload}/")
        }

    fresh, old = contents(tmp_path / "app"), contents(kept)
    changed = sorted(n for n in fresh.keys() | old.keys() if fresh.get(n) != old.get(n))
    assert not changed, f"run `make sample-apps`: {changed}"
