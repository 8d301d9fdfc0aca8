"""Core ML artifacts get verdicts: what ran, how uncertain it is, where numbers break, and every step of it."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgepack.wire import tensors

pytestmark = pytest.mark.slow

MODEL = """
import torch


class Net(torch.nn.Module):
    def __init__(self, gain):
        super().__init__()
        torch.manual_seed(0)
        self.gain, self.first, self.last = gain, torch.nn.Linear(16, 64), torch.nn.Linear(64, 5)

    def forward(self, x):
        return self.last(torch.relu((self.first(x) * self.gain) ** 2 / self.gain**2))


def fits():
    return Net(1.0).eval()


def overflows():
    return Net(1000.0).eval()


def other():
    net = Net(1.0).eval()
    net.last.bias.data += 0.01
    return net


def samples():
    made = torch.Generator().manual_seed(3)
    for _ in range(12):
        yield {"x": torch.randn(1, 16, generator=made).numpy()}
"""
BUILD = ("--target", "coreml", "--input", "x:float32[1,16]", "--validation", "net.py:samples")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "net.py").write_text(MODEL)
    return folder


@pytest.fixture
def built(edgepack: Callable[..., Any], project: Path) -> Path:
    """The dist of a build in both precisions."""
    precisions = ("--precision", "coreml=fp32", "--precision", "coreml=fp16")
    done = edgepack("build", "net.py:fits", *BUILD, *precisions, "--json", cwd=project)
    assert done.code == 0, done.err
    for artifact in done.json["manifest"]["artifacts"]:
        assert artifact["parity"]["verdict"] == "pass"
        assert artifact["parity"]["fidelity"] == "simulated"
        assert artifact["parity"]["runtime"] == "Core ML emulator (exact)"
    return Path(done.json["folder"])


def test_half_precision_comes_with_its_uncertainty_and_a_trace(
    edgepack: Callable[..., Any], project: Path, built: Path
) -> None:
    reports = {r["variant"]: r for r in json.loads((built / "report.json").read_text())["parity"]}
    assert reports["coreml-fp32"].get("readings", []) == []
    readings = reports["coreml-fp16"]["readings"]
    assert {r["way"] for r in readings} == {"fp32", "fp16-accumulate"}
    for reading in readings:
        assert 0 < reading["max_abs"] < 0.01
        assert reading["sqnr_db"] > 40

    trace = project / "steps"
    against = ("--against", "net.py:fits", *BUILD[2:], "--trace", trace)
    done = edgepack("validate", built / "net-fp16.mlpackage", *against, cwd=project)
    assert done.code == 0, done.err
    assert "noisiest result" in done.out
    rows = json.loads((trace / "operations.json").read_text())
    kinds = [row["operator"] for row in rows]
    assert kinds.count("linear") == 2
    assert all(row["not_finite"] == 0 for row in rows)
    assert min(row.get("sqnr_db", 999) for row in rows) < 100
    with zipfile.ZipFile(trace / "values.npz") as archive:
        assert {n.removesuffix(".npy") for n in archive.namelist()} == {r["name"] for r in rows}
    again = edgepack("validate", built / "net-fp16.mlpackage", *against, cwd=project)
    assert again.code == 4, "what is there already is not written over"


def test_another_models_artifact_fails(
    edgepack: Callable[..., Any], project: Path, built: Path
) -> None:
    against = ("--against", "net.py:other", *BUILD[2:], "--json")
    done = edgepack("validate", built / "net-fp32.mlpackage", *against, cwd=project)
    assert done.code == 1
    assert done.json["misses"][0]["metric"] == "max_abs"


def test_an_overflow_is_traced_to_its_operation(
    edgepack: Callable[..., Any], project: Path
) -> None:
    precision = ("--precision", "coreml=fp16")
    done = edgepack("build", "net.py:overflows", *BUILD, *precision, cwd=project)
    assert done.code == 1, done.err
    assert "NaN or Inf in sample 0 come from" in done.err
    report = json.loads((project / "dist" / "net-failed" / "report.json").read_text())
    (note,) = report["parity"][0]["notes"]
    assert "'pow" in note or "'mul" in note or "square" in note


def test_only_a_core_ml_package_can_be_traced(edgepack: Callable[..., Any], project: Path) -> None:
    (project / "a.tflite").write_bytes(b"\0\0\0\0TFL3")
    asked = ("--against", "net.py:fits", *BUILD[2:], "--trace", "steps")
    done = edgepack("validate", "a.tflite", *asked, cwd=project)
    assert done.code == 2
    assert "error[E117]" in done.err


def test_on_a_mac_core_ml_runs_and_the_emulator_is_measured_by_it(
    run_python: Callable[..., str], tmp_path: Path, built: Path
) -> None:
    """coremltools' own Python, with the emulator in Core ML's place: all but Core ML is the real way."""
    script = Path(__file__).parents[1] / "conformance" / "on_a_mac.py"
    samples, out = tmp_path / "samples.npz", tmp_path / "out.npz"
    tensors.save(samples, [[np.ones((1, 16), np.float32)], [np.zeros((1, 16), np.float32)]])
    manifest = json.loads((built / "manifest.json").read_text())
    (artifact,) = [a for a in manifest["artifacts"] if a["variant"] == "coreml-fp16"]
    job = {
        "artifact": str(built / artifact["file"]), "signature": artifact["signature"],
        "samples": str(samples), "out": str(out), "options": [["runtime", "both"]], "trace": "",
    }  # fmt: skip
    (tmp_path / "job.json").write_text(json.dumps(job))
    result = json.loads(run_python("coreml", script, tmp_path / "job.json"))
    assert result["runtime"].startswith("Core ML (macOS")
    assert result["fidelity"] in ("host", "device-isa")
    assert [(r["way"], r["max_abs"], r["cases"]) for r in result["readings"]] == [
        ("emulator, exact", 0.0, 2)
    ]
    assert len(list(tensors.load(out))) == 2
