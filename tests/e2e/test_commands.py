"""The commands on a real small model: what a user types, and what it says."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parent / "projects"
IMAGE = ("--input", "image:float32[1,3,8,8]")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    shutil.copytree(PROJECT, folder)
    return folder


def test_build_inspect_validate_and_the_planted_lie(
    edgepack: Callable[..., Any], project: Path
) -> None:
    build = ("build", "factories.py:small", "--target", "litert", "--target", "executorch", *IMAGE)
    done = edgepack(*build, "--validation", "factories.py:photos", "--json", cwd=project)
    assert done.code == 0, done.err
    artifacts = {a["variant"]: a for a in done.json["manifest"]["artifacts"]}
    assert {a["parity"]["verdict"] for a in artifacts.values()} == {"pass"}
    assert {a["parity"]["evidence"] for a in artifacts.values()} == {"real"}
    assert {a["parity"]["fidelity"] for a in artifacts.values()} == {"host"}
    for artifact in artifacts.values():
        path = project / "dist" / "factories" / artifact["file"]
        shown = edgepack("inspect", path, "--json", cwd=project)
        assert shown.code == 0, shown.err
        assert shown.json["facts"]["sha256"] == artifact["sha256"]
        right = edgepack("validate", path, "--against", "factories.py:small", *IMAGE, cwd=project)
        assert right.code == 0, right.out + right.err
        assert "pass" in right.out
        assert "synthetic" in right.out
        wrong = edgepack(
            "validate",
            path,
            "--against",
            "factories.py:other_weights",
            *IMAGE,
            "--json",
            cwd=project,
        )
        assert wrong.code == 1, wrong.err
        assert wrong.json["verdict"] == "fail"
        assert wrong.json["misses"][0]["output"] == "output"
        assert wrong.json["misses"][0]["metric"] == "max_abs"


def test_an_artifact_that_was_not_run_is_no_success_unless_allowed(
    edgepack: Callable[..., Any], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A target of another package, which has no runtime."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent / "foreign_target"))
    precision = ("--target", "broken", "--precision", "broken=fine")
    build = ("build", "factories.py:small", *precision, *IMAGE, "--json")
    done = edgepack(*build, cwd=project)
    assert done.code == 1, done.err
    parity = done.json["manifest"]["artifacts"][0]["parity"]
    assert (parity["verdict"], parity["fidelity"], parity["cases"]) == ("not-run", "none", 0)
    assert parity["reason"] == "No machine reads such files."
    allowed = edgepack(*build, "--allow", "not-run", cwd=project)
    assert allowed.code == 0
    assert allowed.json["manifest"]["artifacts"][0]["parity"]["verdict"] == "not-run"


def test_a_failed_parity_leaves_the_last_good_dist(
    edgepack: Callable[..., Any], project: Path
) -> None:
    (project / "edgepack.toml").write_text(
        'schema = 1\n[model]\nname = "small"\nsource = "factories.py:small"\n'
        '[[model.inputs]]\nname = "image"\nshape = [1, 3, 8, 8]\n'
        '[data]\nvalidation = "factories.py:photos"\n[targets.litert]\nprecisions = ["fp16"]\n'
    )
    assert edgepack("build", cwd=project).code == 0
    good = (project / "dist" / "small" / "manifest.json").read_bytes()
    with (project / "edgepack.toml").open("a") as file:
        file.write("[parity.fp16]\nmin_psnr_db = 300\n")
    done = edgepack("build", cwd=project)
    assert done.code == 1
    assert "'output': psnr_db" in done.out
    assert (project / "dist" / "small" / "manifest.json").read_bytes() == good
    assert (project / "dist" / "small-failed" / "report.json").exists()


PICTURES = """\
schema = 1

[model]
name = "small"
source = "factories.py:small"

[[model.inputs]]
name = "image"
shape = [1, 3, 8, 8]

[data]
validation = "factories.py:photos"

[targets.litert]
precisions = ["fp32", "fp16"]

[apps.android]
task = "image-classification"
variant = "litert-fp32"

[tasks.image-classification]
labels = "labels größe.txt"
"""


def test_an_app_is_made_of_what_was_built_and_brought_up_to_date(
    edgepack: Callable[..., Any], project: Path
) -> None:
    (project / "edgepack.toml").write_text(PICTURES, encoding="utf-8")
    missing = edgepack("build", "--json", cwd=project)
    assert missing.code == 3
    assert missing.json["error"]["code"] == "E201"
    (project / "labels größe.txt").write_text("a\nb\nc\nd\n花 $x\n", encoding="utf-8")
    built = edgepack("build", "--json", cwd=project)
    assert built.code == 0, built.err
    app = ("app", "--platform", "android", "--out", "mein Ordner")
    first = edgepack(*app, "--json", cwd=project)
    assert first.code == 0, first.err
    assert [report["variant"] for report in first.json["parity"]] == ["litert-fp32"]
    made, mine = project / "dist/small/apps/android", project / "mein Ordner"
    for path in (p for p in made.rglob("*") if p.is_file()):
        assert (mine / path.relative_to(made)).read_bytes() == path.read_bytes()
    stages = {line.split()[0] for line in first.err.splitlines() if "  cached" in line}
    assert {"export", "convert", "run", "compare", "app"} <= stages
    checked = edgepack("verify-app", mine, "--level", "parse", "--json", cwd=project)
    assert checked.code == 0, checked.out

    (mine / "README.md").write_text("mine\n")
    (mine / "notes.txt").write_text("mine\n")
    (project / "labels größe.txt").write_text("A\nB\nC\nD\nE\n", encoding="utf-8")
    second = edgepack(*app, "--variant", "litert-fp16", "--update", "--json", cwd=project)
    assert second.code == 0, second.err
    change = second.json["change"]
    assert change["kept"] == ["README.md"]
    assert change["removed"] == []
    payload = "app/src/main/assets/edgepack"
    written = [f"{payload}/{name}" for name in ("edgepack.json", "labels.txt", "model.tflite")]
    assert set(written) <= set(change["written"])
    assert (mine / payload / "labels.txt").read_text() == "A\nB\nC\nD\nE\n"
    assert (mine / "README.md").read_text() == (mine / "notes.txt").read_text() == "mine\n"

    (project / "labels größe.txt").write_text("A\nB\n", encoding="utf-8")
    before = {p: p.read_bytes() for p in mine.rglob("*") if p.is_file()}
    wrong = edgepack(*app, "--update", "--json", cwd=project)
    assert wrong.code == 7
    assert wrong.json["error"]["code"] == "E629"
    assert edgepack(*app, cwd=project).code == 7
    assert {p: p.read_bytes() for p in mine.rglob("*") if p.is_file()} == before


def test_init_writes_a_file_that_builds(edgepack: Callable[..., Any], project: Path) -> None:
    made = edgepack("init", "factories.py:small", "--target", "executorch", *IMAGE, cwd=project)
    assert made.code == 0, made.err
    data = tomllib.loads((project / "edgepack.toml").read_text())
    assert data["model"]["inputs"] == [{"name": "image", "dtype": "float32", "shape": [1, 3, 8, 8]}]
    again = edgepack("init", "factories.py:small", *IMAGE, cwd=project)
    assert again.code == 2
    assert "error[E116]" in again.err
    done = edgepack("build", "--json", cwd=project)
    assert done.code == 0, done.err
    assert done.json["manifest"]["artifacts"][0]["parity"]["evidence"] == "synthetic"
    why = edgepack("cache", "why", "executorch-fp32", cwd=project)
    assert why.code == 0, why.err
    assert "cached" in why.out or "made in" in why.out


def test_changed_weights_are_seen_through_an_imported_module(
    edgepack: Callable[..., Any], project: Path
) -> None:
    (project / "net.py").write_text(
        "from factories import small\n\n\ndef make():\n    return small()\n"
    )
    build = ("build", "net.py:make", "--target", "litert", *IMAGE, "--json")
    first = edgepack(*build, cwd=project)
    assert first.code == 0, first.err
    path = project / "factories.py"
    path.write_text(path.read_text().replace("manual_seed(0)", "manual_seed(9)", 1))
    second = edgepack(*build, cwd=project)
    assert second.code == 0, second.err
    digests = [d.json["manifest"]["artifacts"][0]["sha256"] for d in (first, second)]
    assert digests[0] != digests[1]
    why = edgepack("cache", "why", "litert-fp32", "net.py:make", "--json", cwd=project)
    changed = {s["stage"]: s["changed"] for s in why.json["stages"]}
    assert changed["convert"] == ["model"]


def test_torchscript_and_exported_programs_build(
    edgepack: Callable[..., Any], project: Path, run_python: Callable[..., str]
) -> None:
    script = project / "write.py"
    script.write_text(
        "import torch, factories\n"
        "model = factories.small()\n"
        "example = torch.zeros(1, 3, 8, 8)\n"
        "torch.jit.script(model).save('scripted.pt')\n"
        "torch.jit.trace(model, (example,)).save('traced.pt')\n"
        "torch.export.save(torch.export.export(model, (example,)), 'exported.pt2')\n"
    )
    script.write_text(f"import os\nos.chdir({str(project)!r})\n" + script.read_text())
    run_python("torch", script)
    for name, flags in (("scripted.pt", IMAGE), ("traced.pt", IMAGE), ("exported.pt2", ())):
        done = edgepack("build", name, "--target", "litert", *flags, "--json", cwd=project)
        assert done.code == 0, done.err
        assert done.json["manifest"]["artifacts"][0]["parity"]["verdict"] == "pass"


def test_images_and_arrays_serve_as_samples(edgepack: Callable[..., Any], project: Path) -> None:
    import numpy as np
    from PIL import Image

    photos = project / "photos"
    photos.mkdir()
    generator = np.random.default_rng(0)
    for number in range(5):
        pixels = generator.integers(0, 255, (20, 30, 3), np.uint8)
        Image.fromarray(pixels).save(photos / f"{number}.png")
        np.savez(project / f"case{number}.npz", image=generator.random((1, 3, 8, 8), np.float32))
    build = ("build", "factories.py:small", "--target", "litert", "--precision", "int8", *IMAGE)
    done = edgepack(
        *build, "--calibration", "photos", "--validation", "case*.npz", "--json", cwd=project
    )
    assert done.code in (0, 1), done.err
    artifact = done.json["manifest"]["artifacts"][0]
    assert artifact["calibration"] is not None
    assert artifact["parity"]["cases"] == 5


def test_doctor_proves_each_environment(edgepack: Callable[..., Any], tmp_path: Path) -> None:
    done = edgepack("doctor", "--json")
    assert done.code == 0, done.out + done.err
    findings = {f["target"]: f for f in done.json["environments"]}
    assert set(findings) == {"litert", "coreml", "executorch"}
    assert all(f["works"] for f in findings.values())
    assert findings["litert"]["versions"]["litert-torch"]
