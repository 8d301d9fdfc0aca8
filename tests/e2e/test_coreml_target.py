"""The Core ML target on real conversions: what a package shows, its numbers, and what is refused.

Core ML does not run here; numbers are those of `coreml_ops/evaluator.py`.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgepack.errors import EdgepackError
from edgepack.wire import digest
from edgepack.wire.types import (
    Artifact,
    ConvertJob,
    Dimension,
    Inspection,
    InspectJob,
    Recipe,
    RunJob,
    Signature,
    TensorSpec,
)
from edgepack_targets.coreml import interface

pytestmark = pytest.mark.slow

SCRIPTS = Path(__file__).with_name("coreml_ops")
CONVERT = "edgepack_targets.coreml:convert"
INSPECT = "edgepack_targets.coreml:inspect"
BATCH = Dimension(name="batch", minimum=2, maximum=16, fixed=2)
STEPS = Dimension(name="steps", minimum=2, maximum=64, fixed=5)

Worker = Callable[[str, Any, str], Any]


class Bench:
    """Exported programs, and packages made from them by workers."""

    def __init__(self, worker: Worker, run_python: Callable[..., str], folder: Path) -> None:
        self.worker = worker
        self.run_python = run_python
        self.folder = folder
        self.exported = folder / "exported"

    def signature(self, name: str, inputs: str, outputs: str) -> Signature:
        """The signature of an exported program under names of the test's choice."""
        known = json.loads((self.exported / f"{name}.json").read_text(encoding="utf-8"))
        return Signature(
            name="main",
            inputs=_specs(known["inputs"], inputs.split()),
            outputs=_specs(known["outputs"], outputs.split()),
        )

    def convert(
        self,
        name: str,
        inputs: str = "x",
        outputs: str = "y",
        precision: str = "fp32",
        minimum_ios: str = "17.0",
        dimensions: tuple[Dimension, ...] = (),
        base: Path | None = None,
        out: str = "out",
        signature: Signature | None = None,
    ) -> tuple[Artifact, Path]:
        folder = self.folder / out
        folder.mkdir(exist_ok=True)
        options = (("minimum_ios", minimum_ios),)
        job = ConvertJob(
            model=str(self.exported / f"{name}.pt2"),
            signature=signature or self.signature(name, inputs, outputs),
            dimensions=dimensions,
            recipe=Recipe(target="coreml", precision=precision, options=options),
            base=str(base or ""),
            calibration="",
            stem=f"{name}-{precision}",
            out=str(folder),
        )
        artifact = self.worker(CONVERT, job, "coreml")
        return artifact, folder / artifact.file

    def inspect(self, path: Path) -> Inspection:
        found: Inspection = self.worker(INSPECT, InspectJob(artifact=str(path)), "coreml")
        return found

    def run(self, path: Path, inputs: dict[str, np.ndarray[Any, Any]]) -> dict[str, Any]:
        """The package's outputs for these inputs, after coremltools has opened it."""
        case = self.folder / "case.npz"
        np.savez(case, **inputs)
        answers = json.loads(self.run_python("coreml", SCRIPTS / "load_packages.py", path, case))
        answer = answers[str(path)]
        assert answer["same"]
        assert answer["inputs"] == list(inputs)
        return {name: np.array(values) for name, values in answer["outputs"].items()}

    def case(self, name: str) -> tuple[list[np.ndarray[Any, Any]], list[np.ndarray[Any, Any]]]:
        """Inputs and torch's outputs of an exported program."""
        with np.load(self.exported / f"{name}.npz", allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
        sides = ([k for k in sorted(arrays) if k[0] == letter] for letter in "io")
        inputs, outputs = ([arrays[k] for k in side] for side in sides)
        return inputs, outputs


@pytest.fixture
def bench(worker: Worker, run_python: Callable[..., str], tmp_path: Path, exported: Path) -> Bench:
    made = Bench(worker, run_python, tmp_path)
    made.exported = exported
    return made


@pytest.fixture(scope="module")
def exported_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exported")


@pytest.fixture
def exported(exported_folder: Path, run_python: Callable[..., str]) -> Path:
    """The programs of `export_models.py`, written by the first test that needs one."""
    if not any(exported_folder.iterdir()):
        run_python("coreml", SCRIPTS / "export_models.py", exported_folder)
    return exported_folder


def _specs(known: list[dict[str, Any]], names: list[str]) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(name=name, dtype=tensor["dtype"], shape=tuple(tensor["shape"]))
        for name, tensor in zip(names, known, strict=True)
    )


def _code(call: Callable[..., Any], *args: Any, **kwargs: Any) -> EdgepackError:
    with pytest.raises(EdgepackError) as caught:
        call(*args, **kwargs)
    return caught.value


def test_every_decomposition_computes_what_its_operator_computes(
    run_python: Callable[..., str],
) -> None:
    answer = json.loads(run_python("coreml", SCRIPTS / "check_decompositions.py"))
    assert answer == {"wrong": {}, "never_applied": []}


def test_every_registered_operator_computes_what_torch_computes(
    run_python: Callable[..., str], tmp_path: Path
) -> None:
    answer = json.loads(run_python("coreml", SCRIPTS / "check_packages.py", tmp_path))
    assert answer.pop("overlooked argument").startswith("E401 coremltools overlooks 'alpha'")
    assert answer.pop("another shape").startswith("E414 coremltools gives aten.argmax.default")
    assert {name: error for name, error in answer.items() if isinstance(error, str)} == {}


def test_names_are_kept_where_outputs_are_shared_and_names_collide(bench: Bench) -> None:
    names = "mul zeros arange_start_step const_0 add_1 cast_0 identity sum_1"
    artifact, path = bench.convert("shared", "add add_0 mean", names, precision="fp16")
    assert [(t.name, t.dtype, t.shape) for t in artifact.signature.inputs] == [
        ("add", "float32", (2, 3)), ("add_0", "float32", (3,)), ("mean", "int32", (3,)),
    ]  # fmt: skip
    assert [(t.name, t.dtype) for t in artifact.signature.outputs] == [
        ("mul", "float32"), ("zeros", "float32"), ("arange_start_step", "float32"),
        ("const_0", "float32"), ("add_1", "float32"), ("cast_0", "int32"), ("identity", "float32"),
        ("sum_1", "float32"),
    ]  # fmt: skip
    assert artifact.signature.outputs[6].shape == (1,)
    assert "int64 input 'mean' became int32, as Core ML has it" in artifact.notes
    assert "bool input 'add_0' became float32, as Core ML has it" in artifact.notes
    assert "output 'identity' without axes became an array of one element" in artifact.notes
    inputs, wanted = bench.case("shared")
    dtypes = ("float32", "float32", "int32")
    feed = {
        name: value.astype(dtype)
        for name, value, dtype in zip(("add", "add_0", "mean"), inputs, dtypes, strict=True)
    }
    got = bench.run(path, feed)
    assert list(got) == names.split()
    for made, reference in zip(got.values(), wanted, strict=True):
        assert np.allclose(made, reference.reshape(made.shape), rtol=2e-3, atol=2e-3)
    assert bench.inspect(path).signature == artifact.signature


def test_flexible_axes_keep_their_ranges_and_names(bench: Bench) -> None:
    artifact, path = bench.convert("dynamic", "x mask", "hidden total", dimensions=(BATCH, STEPS))
    assert artifact.signature.inputs[0].shape == ("batch", "steps", 4)
    found = bench.inspect(path)
    assert found.signature == artifact.signature
    assert found.precision == "fp32"
    assert found.metadata["range of x axis 0"] == "2 to 16"
    assert found.metadata["range of mask axis 1"] == "2 to 64"
    assert found.metadata["minimum iOS"] == "17"
    (x, mask), (hidden, total) = bench.case("dynamic")
    got = bench.run(path, {"x": x, "mask": mask})
    assert np.allclose(got["hidden"], hidden, atol=1e-5)
    assert np.allclose(got["total"], total, atol=1e-5)
    twice = bench.run(path, {"x": np.tile(x, (3, 2, 1)), "mask": np.tile(mask, (3, 2))})
    assert np.allclose(twice["total"], np.tile(2 * total, (3, 1)), atol=1e-5)


def test_two_workers_make_the_same_bytes(bench: Bench) -> None:
    made = [
        bench.convert(
            "dynamic", "x mask", "hidden total", "fp16", dimensions=(BATCH, STEPS), out=out
        )
        for out in ("one", "other")
    ]
    assert made[0][0].sha256 == made[1][0].sha256 == digest.of_tree(made[1][1])
    text = (made[0][1] / "Manifest.json").read_text(encoding="utf-8")
    assert text == (made[1][1] / "Manifest.json").read_text(encoding="utf-8")
    assert not any("date" in key for key in bench.inspect(made[0][1]).metadata)


@pytest.mark.parametrize(("minimum_ios", "version"), [("15.0", 6), ("16.0", 7), ("18.0", 9)])
def test_the_oldest_ios_decides_the_specification(
    bench: Bench, minimum_ios: str, version: int
) -> None:
    artifact, path = bench.convert("plain", precision="fp16", minimum_ios=minimum_ios)
    assert artifact.format == f"ML Program, specification version {version}"
    (x,), (y,) = bench.case("plain")
    assert np.allclose(bench.run(path, {"x": x})["y"], y, atol=2e-3)


@pytest.mark.parametrize(
    ("name", "code", "told"),
    [
        ("median", "E401", "aten.median.dim"),
        ("counter", "E217", "count"),
        ("large", "E412", "1099511627776"),
        ("seven_axes", "E411", "at most 5 axes"),
    ],
)
def test_what_core_ml_does_not_have_is_refused(
    bench: Bench, name: str, code: str, told: str
) -> None:
    error = _code(bench.convert, name)
    assert error.code == code
    assert told in f"{error.message} {error.why}"
    assert error.help


@pytest.mark.parametrize(
    ("given", "made"),
    [("state", "y"), ("x.1", "y"), ("x", "2nd"), ("x", "x"), ("x", "größe"), ("x", "tensor")],
)
def test_names_core_ml_cannot_keep_are_refused(given: str, made: str) -> None:
    x, y = (TensorSpec(name=name, dtype="float32", shape=(1, 2)) for name in (given, made))
    signature = Signature(name="main", inputs=(x,), outputs=(y,))
    error = _code(interface.shown, signature, 17)
    assert error.code == "E410"
    assert error.help


def test_half_precision_at_the_edge_needs_ios_16(bench: Bench) -> None:
    assert _code(bench.convert, "half", minimum_ios="15.0").code == "E411"
    artifact, _ = bench.convert("half", minimum_ios="16.0")
    assert artifact.signature.inputs[0].dtype == "float16"
    assert artifact.signature.outputs[0].dtype == "float16"


def test_a_program_of_another_signature_is_refused(bench: Bench) -> None:
    signature = bench.signature("plain", "x", "y")
    laid_out = dataclasses.replace(signature.inputs[0], layout="NC")
    told = dataclasses.replace(signature, inputs=(laid_out,))
    assert bench.convert("plain", signature=told)[0].signature.inputs[0].layout == "NC"
    other = dataclasses.replace(signature.inputs[0], shape=(2, 4))
    wrong = dataclasses.replace(signature, inputs=(other,))
    assert _code(bench.convert, "plain", signature=wrong).code == "E409"
    missing = dataclasses.replace(signature, outputs=())
    assert _code(bench.convert, "plain", signature=missing).code == "E409"


@pytest.mark.parametrize("minimum_ios", ["16.0", "18.0"])
def test_weights_of_8_bits_are_counted_and_compared(bench: Bench, minimum_ios: str) -> None:
    _, base = bench.convert("weights", "tokens", "scores", "fp16", minimum_ios)
    artifact, path = bench.convert(
        "weights", "tokens", "scores", "int8-weights", minimum_ios, base=base
    )
    assert artifact.notes[-1].startswith("8 bits for 3 of ")
    assert artifact.signature.outputs[0].dtype == "float32"
    assert bench.inspect(path).precision == "int8-weights"
    assert bench.inspect(base).precision == "fp16"
    assert digest.size_of_tree(path / "Data" / "com.apple.CoreML" / "weights") < 0.65 * (
        digest.size_of_tree(base / "Data" / "com.apple.CoreML" / "weights")
    )
    (tokens,), (scores,) = bench.case("weights")
    got = bench.run(path, {"tokens": tokens.astype(np.int32)})["scores"]
    noise = float(((got - scores) ** 2).sum())
    assert 10 * np.log10(float((scores**2).sum()) / noise) > 30


def test_a_model_without_weights_is_not_called_quantized(bench: Bench) -> None:
    _, base = bench.convert("plain", precision="fp16")
    assert _code(bench.convert, "plain", precision="int8-weights", base=base).code == "E407"


def test_weights_of_8_bits_need_ios_16(bench: Bench) -> None:
    _, base = bench.convert("weights", "tokens", "scores", "fp16", "15.0")
    error = _code(bench.convert, "weights", "tokens", "scores", "int8-weights", "15.0", base=base)
    assert error.code == "E413"


def test_damaged_packages_are_refused_with_their_reason(bench: Bench) -> None:
    _, whole = bench.convert("weights", "tokens", "scores")
    model = Path("Data") / "com.apple.CoreML" / "model.mlmodel"
    weights = Path("Data") / "com.apple.CoreML" / "weights" / "weight.bin"
    outside = json.loads((whole / "Manifest.json").read_text(encoding="utf-8"))
    for item in outside["itemInfoEntries"].values():
        item["path"] = "../../../secret"
    (bench.folder / "secret").write_text("not yours", encoding="utf-8")
    damages: dict[str, Callable[[Path], object]] = {
        "Manifest.json is missing": lambda p: (p / "Manifest.json").unlink(),
        "does not name a model": lambda p: (p / "Manifest.json").write_text("{}"),
        "outside the package": lambda p: (p / "Manifest.json").write_text(json.dumps(outside)),
        "model.mlmodel is missing": lambda p: (p / model).unlink(),
        "truncated or damaged": lambda p: _truncate(p / model, 2),
        "empty, or not a Core ML model": lambda p: (p / model).write_bytes(b""),
        "weight.bin is missing": lambda p: (p / weights).unlink(),
        "weight.bin ends before": lambda p: _truncate(p / weights, 2),
        "not a weights file": lambda p: (p / weights).write_bytes(b"\0" * 100_000),
    }
    broken = []
    for number, damage in enumerate(damages.values()):
        broken.append(bench.folder / f"broken{number}.mlpackage")
        shutil.copytree(whole, broken[-1])
        damage(broken[-1])
    none = bench.folder / "none.mlpackage"
    answers = json.loads(
        bench.run_python("coreml", SCRIPTS / "inspect_packages.py", whole, none, *broken)
    )
    assert [code for code, _ in answers] == ["", "E201"] + ["E202"] * len(damages)
    for told, (_, why) in zip(damages, answers[2:], strict=True):
        assert told in why


def test_packages_of_others_are_read(bench: Bench) -> None:
    bench.run_python("coreml", SCRIPTS / "foreign_packages.py", bench.folder)
    error = _code(bench.inspect, bench.folder / "network.mlmodel")
    assert error.code == "E203"
    assert "neuralNetwork" in error.message
    found = bench.inspect(bench.folder / "sizes.mlpackage")
    image, vector = found.signature.inputs
    assert (image.dtype, image.shape, image.layout) == ("uint8", (8, 8, 3), "HWC")
    assert vector.shape == ("vector_0", 4)
    assert [t.name for t in found.signature.outputs] == ["sharp", "scores"]
    assert found.operators["linear"] == 1
    assert found.metadata["author"] == "Somebody"
    assert found.metadata["range of vector axis 0"] == "1 to 6"
    assert found.metadata["feature image"] == "image"


def test_core_ml_itself_runs_on_a_mac_alone(worker: Worker, tmp_path: Path) -> None:
    signature = Signature(name="main", inputs=(), outputs=())
    job = RunJob(
        artifact="x.mlpackage", signature=signature, samples="", out=str(tmp_path / "out"),
        options=(("runtime", "core-ml"),),
    )  # fmt: skip
    error = _code(worker, "edgepack_targets.coreml:run", job, "coreml")
    assert error.code == "E510"
    assert "macOS" in error.message


def _truncate(path: Path, by: int) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // by])
