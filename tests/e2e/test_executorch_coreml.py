"""Programs of ExecuTorch that delegate to Core ML, walked here and run by the Core ML emulator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgepack.errors import EdgepackError
from edgepack.wire import tensors
from edgepack.wire.types import RunJob, RunResult, Signature, TensorSpec

pytestmark = pytest.mark.slow

EXPORT = """
import sys
from pathlib import Path

import coremltools as ct
import torch
from edgepack.wire import tensors
from executorch.backends.apple.coreml.compiler import CoreMLBackend
from executorch.backends.apple.coreml.partition import CoreMLPartitioner
from executorch.exir import EdgeCompileConfig, to_edge_transform_and_lower

out = Path(sys.argv[1])
torch.manual_seed(0)


class Net(torch.nn.Module):
    \"\"\"Two parts for Core ML around an operator that it does not get; a list, a constant and sizes.\"\"\"

    def __init__(self, split):
        super().__init__()
        self.split = split
        self.conv, self.last = torch.nn.Conv2d(3, 8, 3), torch.nn.Linear(8, 4)

    def forward(self, x, y):
        z = torch.relu(self.conv(x)).mean((2, 3))
        if self.split:
            z = torch.fmod(z * 10, 0.7)
        return self.last(z) + y, z


for name, split, precision in (("split", True, ct.precision.FLOAT32), ("whole", False, ct.precision.FLOAT32),
                               ("half", False, ct.precision.FLOAT16)):
    net = Net(split).eval()
    cases = [(torch.randn(1, 3, 16, 16), torch.randn(1, 4)) for _ in range(3)]
    specs = CoreMLBackend.generate_compile_specs(
        compute_precision=precision, minimum_deployment_target=ct.target.iOS17
    )
    edge = to_edge_transform_and_lower(
        torch.export.export(net, cases[0]),
        partitioner=[CoreMLPartitioner(compile_specs=specs)],
        compile_config=EdgeCompileConfig(_check_ir_validity=False),
    )
    (out / f"{name}.pte").write_bytes(edge.to_executorch().buffer)
    with torch.no_grad():
        results = [net(*case) for case in cases]
    tensors.save(out / f"{name}.in.npz", [[t.numpy() for t in case] for case in cases])
    tensors.save(out / f"{name}.ref.npz", [[t.numpy() for t in result] for result in results])
"""

SIGNATURE = Signature(
    name="forward",
    inputs=(
        TensorSpec(name="x", dtype="float32", shape=(1, 3, 16, 16)),
        TensorSpec(name="y", dtype="float32", shape=(1, 4)),
    ),
    outputs=(
        TensorSpec(name="sum", dtype="float32", shape=(1, 4)),
        TensorSpec(name="mean", dtype="float32", shape=(1, 8)),
    ),
)


@pytest.fixture(scope="module")
def kept() -> dict[str, Path]:
    return {}


@pytest.fixture
def programs(
    kept: dict[str, Path], tmp_path_factory: pytest.TempPathFactory, run_python: Callable[..., str]
) -> Path:
    """A folder with the three programs, exported once."""
    if "folder" not in kept:
        folder = tmp_path_factory.mktemp("delegated")
        (folder / "export.py").write_text(EXPORT)
        run_python("executorch", folder / "export.py", folder)
        kept["folder"] = folder
    return kept["folder"]


@pytest.fixture
def run(worker: Callable[..., Any], tmp_path: Path) -> Callable[..., tuple[RunResult, list[Any]]]:
    def run(artifact: Path, samples: Path) -> tuple[RunResult, list[Any]]:
        out = tmp_path / "out.npz"
        job = RunJob(
            artifact=str(artifact), signature=SIGNATURE, samples=str(samples), out=str(out)
        )
        result = worker("edgepack_targets.executorch:run", job, "executorch")
        return result, list(tensors.load(out))

    return run


@pytest.mark.parametrize(("name", "limit"), [("split", 1e-5), ("whole", 1e-5), ("half", 5e-3)])
def test_a_program_gives_the_models_numbers(
    programs: Path, run: Callable[..., tuple[RunResult, list[Any]]], name: str, limit: float
) -> None:
    result, outputs = run(programs / f"{name}.pte", programs / f"{name}.in.npz")
    assert result.fidelity == "simulated"
    assert "Core ML emulator" in result.runtime
    assert result.cases == 3
    for got, wanted in zip(outputs, tensors.load(programs / f"{name}.ref.npz"), strict=True):
        for one, other in zip(got, wanted, strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_allclose(one, other, atol=limit)
    moved = np.abs(outputs[0][0] - outputs[1][0]).max()
    assert moved > 100 * limit / 10, "other samples give other outputs"


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (lambda data: data[:-2000], "E202"),
        (lambda data: data.replace(b'"sedon"', b'"sedom"'), "E202"),
        (lambda data: data.replace(b"aten::fmod", b"aten::fmad"), "E508"),
        (lambda data: data.replace(b"CoreMLBackend", b"CoreMLBuckend"), "E510"),
    ],
)
def test_a_damaged_or_foreign_one_is_refused(
    programs: Path, run: Callable[..., tuple[RunResult, list[Any]]], tmp_path: Path,
    damage: Callable[[bytes], bytes], code: str,
) -> None:  # fmt: skip
    path = tmp_path / "damaged.pte"
    data = (programs / "split.pte").read_bytes()
    path.write_bytes(damage(data))
    assert path.read_bytes() != data
    with pytest.raises(EdgepackError) as caught:
        run(path, programs / "split.in.npz")
    assert caught.value.code == code
