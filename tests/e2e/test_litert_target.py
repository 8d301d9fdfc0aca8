"""The LiteRT target on real converters: what an artifact shows, how exact it is, what is refused.

All small models are converted in one process and run in one other, since importing litert-torch takes
longer than all of them.
"""

from __future__ import annotations

import dataclasses
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgepack.errors import EdgepackError
from edgepack.wire import codec, tensors
from edgepack.wire.types import (
    Artifact,
    ConvertJob,
    Inspection,
    InspectJob,
    Recipe,
    RunJob,
    RunResult,
    Signature,
    TensorSpec,
)
from edgepack_targets import litert

pytestmark = pytest.mark.slow

CONVERT = "edgepack_targets.litert:convert"
RUN = "edgepack_targets.litert:run"
INSPECT = "edgepack_targets.litert:inspect"
SCRIPTS = Path(__file__).with_name("litert_models")

Worker = Callable[[str, Any, str], Any]
RunPython = Callable[..., str]


@dataclasses.dataclass(frozen=True)
class Made:
    """What came of all the small models."""

    folder: Path
    converted: dict[str, dict[str, Any]]
    results: dict[str, dict[str, Any]]

    def artifact(self, name: str) -> Artifact:
        assert "artifact" in self.converted[name], self.converted[name]
        return codec.decode(Artifact, self.converted[name]["artifact"])

    def run(self, name: str) -> RunResult:
        return codec.decode(RunResult, self.results[name]["run"])

    def inspection(self, name: str) -> Inspection:
        return codec.decode(Inspection, self.results[name]["inspection"])

    def outputs(self, name: str) -> list[tuple[np.ndarray[Any, Any], ...]]:
        return list(tensors.load(self.folder / f"{name}.out.npz"))

    def reference(self, name: str) -> list[tuple[np.ndarray[Any, Any], ...]]:
        return list(tensors.load(self.folder / f"{name}.ref.npz"))


@pytest.fixture
def made(run_python: RunPython, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Every model converted and run, once in a session."""
    folder = tmp_path_factory.getbasetemp() / "litert-models"
    if not (folder / "run.json").exists():
        folder.mkdir(exist_ok=True)
        run_python("litert", SCRIPTS / "convert_all.py", folder)
        run_python("litert-runtime", SCRIPTS / "run_all.py", folder)
    converted, results = (
        json.loads((folder / name).read_text(encoding="utf-8"))
        for name in ("converted.json", "run.json")
    )
    return Made(folder, converted, results)


def sqnr_db(reference: np.ndarray[Any, Any], actual: np.ndarray[Any, Any]) -> float:
    noise = np.square(reference.astype(np.float64) - actual).sum()
    return float(10 * np.log10(np.square(reference.astype(np.float64)).sum() / max(noise, 1e-30)))


@pytest.mark.parametrize(
    "name",
    ["order", "int64", "int64-out", "bool", "uint8", "float64", "unused", "shared", "constant", "one-hot",
     "convolutions", "attention"],
)  # fmt: skip
def test_fp32_gives_what_torch_gives_under_the_same_names(made: Made, name: str) -> None:
    artifact = made.artifact(name)
    wanted = made.reference(name)
    assert made.run(name).cases == len(wanted)
    for expected, got in zip(wanted, made.outputs(name), strict=True):
        assert [g.dtype for g in got] == [e.dtype for e in expected]
        for one, other in zip(expected, got, strict=True):
            np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-5)
    assert artifact.signature == made.inspection(name).signature
    assert artifact.versions["litert-torch"] == "0.10.0"


def test_any_name_is_kept_in_the_users_order(made: Made) -> None:
    signature = made.artifact("order").signature
    assert signature.name == "forward"
    assert [t.name for t in signature.inputs] == ["z", "имя 图", "a/b:0"]
    assert [t.name for t in signature.outputs] == ["out z", "B", 'a "quoted"']


def test_integers_of_64_bits_stay_what_they_are(made: Made) -> None:
    assert [t.dtype for t in made.artifact("int64").signature.inputs] == ["int64"]
    assert [t.dtype for t in made.artifact("int64").signature.outputs] == ["int64", "float32"]
    assert [t.dtype for t in made.artifact("int64-out").signature.outputs] == ["int64"]


def test_an_unused_input_stays_in_the_signature(made: Made) -> None:
    shown = [(t.name, t.dtype, t.shape) for t in made.artifact("unused").signature.inputs]
    assert shown == [("ids", "int64", (2, 4)), ("x", "float32", (2, 4)), ("scale", "float32", ())]


def test_outputs_that_share_a_tensor_get_one_each(made: Made) -> None:
    assert made.inspection("shared").operators["BITCAST"] == 6
    assert made.inspection("shared-int8").operators["BITCAST"] == 6


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("state", "E217", "calls"),
        ("embedding-bag", "E401", "aten._embedding_bag"),
        ("stft", "E401", "fft"),
        ("sort", "E401", "STABLEHLO_SORT"),
        ("matmul64", "E402", "tfl."),
        ("misnamed", "E409", "1 inputs, not 2"),
        ("no-weights-fp16", "E407", "fp16"),
        ("no-weights-int8", "E407", "int8"),
    ],
)
def test_what_cannot_be_made_is_refused_by_name(
    made: Made, name: str, code: str, said: str
) -> None:
    result = made.converted[name]
    assert result.get("code") == code, result
    assert said in result["message"]


def test_fp16_halves_the_weights_and_keeps_the_signature(made: Made) -> None:
    artifact = made.artifact("convolutions-fp16")
    assert artifact.signature == made.artifact("convolutions").signature
    assert made.inspection("convolutions-fp16").precision == "fp16"
    assert any("% of the weights" in n for n in artifact.notes)
    for (one,), (other,) in zip(
        made.reference("convolutions"), made.outputs("convolutions-fp16"), strict=True
    ):
        assert sqnr_db(one, other) > 50


def test_int8_keeps_the_signature_and_says_how_much_it_covers(made: Made) -> None:
    artifact = made.artifact("convolutions-int8")
    assert artifact.signature == made.artifact("convolutions").signature
    assert artifact.bytes < made.artifact("convolutions").bytes
    assert made.inspection("convolutions-int8").precision == "int8"
    assert artifact.notes[0].startswith("int8: ")
    assert artifact.notes[0] == "int8: 7 of 7 operators, 100.0 % of the weights"
    assert artifact.versions["ai-edge-quantizer"] == "0.10.0"


def test_int8_keeps_a_channel_whose_weights_are_gone(made: Made) -> None:
    for (one,), (other,) in zip(
        made.reference("convolutions"), made.outputs("convolutions-int8"), strict=True
    ):
        assert sqnr_db(one, other) > 25


def test_int8_leaves_masked_attention_in_float32(made: Made) -> None:
    assert "SOFTMAX" in made.artifact("attention-int8").notes[0].partition("in float32")[2]
    for expected, got in zip(
        made.reference("attention"), made.outputs("attention-int8"), strict=True
    ):
        assert sqnr_db(expected[0], got[0]) > 20
        np.testing.assert_array_equal(got[1], expected[1])


def test_int8_passes_an_input_through_unchanged(made: Made) -> None:
    for expected, got in zip(made.reference("shared"), made.outputs("shared-int8"), strict=True):
        np.testing.assert_array_equal(got[1], expected[1])
        np.testing.assert_array_equal(got[3], expected[3])


def test_the_runtime_says_whether_xnnpack_ran(made: Made) -> None:
    result = made.run("convolutions")
    assert result.runtime.startswith("LiteRT 2.")
    assert result.runtime.endswith("(XNNPACK)")
    assert result.fidelity == "host"
    assert any("XNNPACK runs" in n for n in result.notes)
    assert (
        not made.run("float64").runtime.endswith("(XNNPACK)")
        or "XNNPACK runs" in made.run("float64").notes[-1]
    )


def test_two_conversions_give_the_same_bytes(made: Made, worker: Worker, tmp_path: Path) -> None:
    first = made.artifact("convolutions")
    job = _job(made, "convolutions", tmp_path)
    assert worker(CONVERT, job, "litert").sha256 == first.sha256
    quantized = dataclasses.replace(
        job,
        recipe=Recipe(target="litert", precision="int8", options=(("float_operators", "auto"),)),
        base=str(made.folder / "convolutions.tflite"),
        calibration=str(made.folder / "convolutions.in.npz"),
    )
    assert worker(CONVERT, quantized, "litert").sha256 == made.artifact("convolutions-int8").sha256


def test_a_damaged_program_is_an_error(made: Made, worker: Worker, tmp_path: Path) -> None:
    cut = tmp_path / "cut.pt2"
    cut.write_bytes((made.folder / "order.pt2").read_bytes()[:2000])
    job = dataclasses.replace(_job(made, "order", tmp_path), model=str(cut))
    with pytest.raises(EdgepackError) as caught:
        worker(CONVERT, job, "litert")
    assert caught.value.code == "E402"


def _job(made: Made, name: str, out: Path) -> ConvertJob:
    return ConvertJob(
        model=str(made.folder / f"{name}.pt2"),
        signature=made.artifact(name).signature,
        dimensions=(),
        recipe=Recipe(target="litert", precision="fp32"),
        base="",
        calibration="",
        stem=name,
        out=str(out),
    )


def _truncated_weights(made: Made) -> bytes:
    """A quantized file whose weights lie behind its structure, cut within them."""
    data = (made.folder / "convolutions-int8.tflite").read_bytes()
    return data[: len(data) // 2]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "E202"),
        (b"\x1c\0", "E202"),
        (b"PK\x03\x04 no flatbuffer at all", "E203"),
        (struct.pack("<I", 0xFFFFFFFF) + b"TFL3" + b"\xff" * 64, "E202"),
        ("cut", "E202"),
    ],
    ids=["empty", "short", "other-format", "huge-claim", "truncated"],
)
@pytest.mark.parametrize("entry", [INSPECT, RUN])
def test_a_file_that_is_no_usable_artifact_is_an_error(
    made: Made, worker: Worker, tmp_path: Path, content: bytes | str, code: str, entry: str
) -> None:
    path = tmp_path / "модель x.tflite"
    path.write_bytes(_truncated_weights(made) if isinstance(content, str) else content)
    with pytest.raises(EdgepackError) as caught:
        _use(worker, entry, path, made)
    assert caught.value.code == code


def test_a_missing_artifact_is_an_error(made: Made, worker: Worker, tmp_path: Path) -> None:
    with pytest.raises(EdgepackError) as caught:
        _use(worker, INSPECT, tmp_path / "none.tflite", made)
    assert caught.value.code == "E201"


def _use(worker: Worker, entry: str, path: Path, made: Made) -> Any:
    if entry == INSPECT:
        return worker(entry, InspectJob(artifact=str(path)), "litert-runtime")
    return worker(entry, _run_job(made, "convolutions", path), "litert-runtime")


def _run_job(made: Made, name: str, path: Path, **changes: Any) -> RunJob:
    job = RunJob(
        artifact=str(path),
        signature=made.artifact(name).signature,
        samples=str(made.folder / f"{name}.in.npz"),
        out=str(path.with_suffix(".out.npz")),
    )
    return dataclasses.replace(job, **changes)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.zeros((1, 3, 16, 16), np.float64), "'image' is float64, the artifact takes float32"),
        (np.zeros((1, 3, 16, 8), np.float32), "'image' has shape [1, 3, 16, 8]"),
    ],
    ids=["dtype", "shape"],
)
def test_a_sample_that_does_not_fit_is_refused_by_name(
    made: Made, worker: Worker, tmp_path: Path, values: np.ndarray[Any, Any], said: str
) -> None:
    samples = tmp_path / "samples.npz"
    tensors.save(samples, [[values]])
    artifact = made.folder / "convolutions.tflite"
    job = _run_job(
        made, "convolutions", artifact, samples=str(samples), out=str(tmp_path / "o.npz")
    )
    with pytest.raises(EdgepackError) as caught:
        worker(RUN, job, "litert-runtime")
    assert caught.value.code == "E507"
    assert said in caught.value.message


def test_other_names_are_matched_by_place_only_when_one_way_is_possible(
    made: Made, worker: Worker, tmp_path: Path
) -> None:
    signature = made.artifact("order").signature
    renamed = Signature(
        name="other",
        inputs=tuple(dataclasses.replace(t, name=f"in{i}") for i, t in enumerate(signature.inputs)),
        outputs=tuple(
            dataclasses.replace(t, name=f"out{i}") for i, t in enumerate(signature.outputs)
        ),
    )
    path, out = made.folder / "order.tflite", tmp_path / "o.npz"
    job = _run_job(made, "order", path, signature=renamed, out=str(out))
    result = worker(RUN, job, "litert-runtime")
    assert any("matched by their place" in n for n in result.notes)
    for one, other in zip(next(tensors.load(out)), made.outputs("order")[0], strict=True):
        np.testing.assert_array_equal(one, other)

    alike = dataclasses.replace(made.artifact("shared").signature, outputs=tuple(
        TensorSpec(name=f"o{i}", dtype=t.dtype, shape=t.shape)
        for i, t in enumerate(made.artifact("shared").signature.outputs)
    ))  # fmt: skip
    path = made.folder / "shared.tflite"
    with pytest.raises(EdgepackError) as caught:
        worker(RUN, _run_job(made, "shared", path, signature=alike, out=str(out)), "litert-runtime")
    assert caught.value.code == "E506"


def test_integers_at_the_interface_of_a_foreign_artifact_stand_for_real_numbers(
    made: Made, worker: Worker, tmp_path: Path
) -> None:
    path, out = made.folder / "foreign.tflite", tmp_path / "o.npz"
    seen = worker(INSPECT, InspectJob(artifact=str(path)), "litert-runtime")
    assert seen.precision == "int8"
    assert [t.dtype for t in (*seen.signature.inputs, *seen.signature.outputs)] == ["int8", "int8"]
    assert all(t.quantization for t in (*seen.signature.inputs, *seen.signature.outputs))
    worker(RUN, _run_job(made, "convolutions", path, out=str(out)), "litert-runtime")
    for (one,), (other,) in zip(made.reference("convolutions"), tensors.load(out), strict=True):
        assert other.dtype == np.float32
        assert sqnr_db(one, other) > 15


def test_a_free_axis_takes_any_size(made: Made, worker: Worker, tmp_path: Path) -> None:
    path, out = made.folder / "dynamic.tflite", tmp_path / "o.npz"
    seen = worker(INSPECT, InspectJob(artifact=str(path)), "litert-runtime")
    assert seen.signature.inputs[0].shape == ("dim_0", 3, 8, 8)
    job = RunJob(
        artifact=str(path),
        signature=seen.signature,
        samples=str(made.folder / "dynamic.in.npz"),
        out=str(out),
    )
    worker(RUN, job, "litert-runtime")
    for (one,), (other,) in zip(made.reference("dynamic"), tensors.load(out), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-5)


def test_the_target_is_data_and_imports_nothing_heavy() -> None:
    assert litert.TARGET.name == "litert"
    assert [p.name for p in litert.TARGET.precisions] == ["fp32", "fp16", "int8"]
    assert "torch" not in " ".join(litert.TARGET.run_in.requirements)
