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

Worker = Callable[[str, Any, str], Any]
RunPython = Callable[..., str]

CONVERT_ALL = '''
import dataclasses, json, os, sys
from pathlib import Path

out = Path(sys.argv[1])
import torch
from torch import nn
from torch.nn import functional as F
from edgepack.errors import EdgepackError
from edgepack.wire import codec, tensors
from edgepack.wire.types import ConvertJob, Recipe, Signature, TensorSpec
from edgepack_targets import litert

torch.manual_seed(7)
x, ids = torch.randn(2, 4), torch.tensor([[1, 2, 7, 0], [3, 0, 5, 9]])
flags, pixels = torch.tensor([[True, False, True, False]] * 2), torch.arange(8, dtype=torch.uint8)


class Model(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function
        self.w = nn.Parameter(torch.randn(4, 4))
        self.table = nn.Embedding(10, 4)
        self.register_buffer("c", torch.arange(3.0))

    def forward(self, *args):
        return self.function(self, *args)


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x):
        self.calls.add_(1)
        return (x + self.calls,)


class Convolutions(nn.Module):
    """Batch normalization has left channel 1 of the first layer without weights: it is constant."""

    def __init__(self):
        super().__init__()
        self.first, self.deep = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.point, self.last = nn.Conv2d(8, 64, 1), nn.Linear(64, 50)
        with torch.no_grad():
            self.first.weight[1] = 1e-9
            self.first.bias[1] = 0.7

    def forward(self, image):
        h = F.relu6(self.first(image))
        h = F.relu6(self.deep(h))
        return (self.last(self.point(h).mean((2, 3))),)


class Attention(nn.Module):
    """Padding is masked with -inf, which no range of 8 bits can hold."""

    def __init__(self):
        super().__init__()
        self.table, self.q, self.k, self.v = (
            nn.Embedding(10, 16), nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 16),
        )

    def forward(self, ids, mask):
        h = self.table(ids)
        scores = self.q(h) @ self.k(h).transpose(1, 2) / 4
        scores = scores.masked_fill(~mask[:, None, :].bool(), float("-inf"))
        return (scores.softmax(-1) @ self.v(h), ids.reshape(-1) + 1)


one = lambda f: Model(f).eval()
CASES = {
    "order": (one(lambda m, a, b, c: (c * 2, a + 1, b - 1)), (torch.randn(1), torch.randn(2), torch.randn(3)),
              ["z", "имя 图", "a/b:0"], ["out z", "B", "a \\"quoted\\""]),
    "int64": (one(lambda m, i: (i + 1, m.table(i))), (ids,), ["ids"], ["next", "rows"]),
    "int64-out": (one(lambda m, x: ((x @ m.w).argmax(-1),)), (x,), ["x"], ["index"]),
    "bool": (one(lambda m, x, b: (x.masked_fill(b, 0.0), ~b)), (x, flags), ["x", "mask"], ["y", "not_mask"]),
    "uint8": (one(lambda m, p: (p.float() / 255,)), (pixels,), ["pixels"], ["y"]),
    "float64": (one(lambda m, x: (x * 2,)), (x.double(),), ["x"], ["y"]),
    "unused": (one(lambda m, i, x, s: (x @ m.w,)), (ids, x, torch.tensor(2.0)), ["ids", "x", "scale"], ["y"]),
    "shared": (
        one(lambda m, x, i, b, s: (lambda y: (y, x, y, i, b, s, s))(x @ m.w)),
        (x, ids, flags, torch.tensor(2.0)), ["x", "ids", "flags", "s"], ["y", "x", "y2", "ids", "b", "s1", "s2"],
    ),
    "constant": (one(lambda m, x: (x @ m.w, m.c, torch.ones(2))), (x,), ["x"], ["y", "c", "ones"]),
    "one-hot": (one(lambda m, i: (F.one_hot(i, 10).float(),)), (ids,), ["ids"], ["y"]),
    "state": (Counting().eval(), (x,), ["x"], ["y"]),
    "embedding-bag": (
        one(lambda m, i: (F.embedding_bag(i, m.w, torch.tensor([0])),)), (torch.tensor([1, 2, 3]),), ["i"], ["y"],
    ),
    "stft": (one(lambda m, a: (torch.stft(a, 16, return_complex=True).abs(),)), (torch.randn(64),), ["a"], ["y"]),
    "sort": (one(lambda m, x: (torch.sort(x)[0],)), (x,), ["x"], ["y"]),
    "matmul64": (one(lambda m, x: (x @ x.t(),)), (x.double(),), ["x"], ["y"]),
    "misnamed": (one(lambda m, x: (x + 1,)), (x,), ["x", "other"], ["y"]),
    "convolutions": (Convolutions().eval(), (torch.randn(1, 3, 16, 16),), ["image"], ["scores"]),
    "attention": (
        Attention().eval(), (torch.tensor([[1, 2, 3, 0]]), torch.tensor([[1, 1, 1, 0]])),
        ["ids", "mask"], ["h", "ids"],
    ),
    "no-weights": (one(lambda m, x: (x.abs().cos(),)), (x,), ["x"], ["y"]),
}
QUANTIZED = {"convolutions", "attention", "shared", "no-weights"}


def specs(names, values):
    return tuple(
        TensorSpec(name=n, dtype=str(v.dtype).removeprefix("torch."), shape=tuple(v.shape))
        for n, v in zip(names, values, strict=False)
    )


def inputs(args, seed):
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(a.shape, generator=generator, dtype=a.dtype) if a.is_floating_point() else a for a in args)


def attempt(job):
    try:
        return {"artifact": codec.encode(litert.convert(job))}
    except EdgepackError as error:
        return {"code": error.code, "message": error.message, "why": error.why}


results = {}
os.chdir(out)
for name, (model, args, names, outputs) in CASES.items():
    with torch.no_grad():
        program = torch.export.export(model, args, strict=False)
        torch.export.save(program, out / f"{name}.pt2")
        cases = [inputs(args, seed) for seed in range(24)]
        made = [model(*case) for case in cases]
        tensors.save(out / f"{name}.in.npz", [[t.numpy() for t in c] for c in cases])
        tensors.save(out / f"{name}.ref.npz", [[t.numpy() for t in c] for c in made])
        signature = Signature(name="forward", inputs=specs(names, args), outputs=specs(outputs, made[0]))
    if name == "misnamed":
        signature = dataclasses.replace(signature, inputs=signature.inputs * 2)
    job = ConvertJob(
        model=str(out / f"{name}.pt2"), signature=signature, dimensions=(),
        recipe=Recipe(target="litert", precision="fp32"), base="", calibration="", stem=name, out=str(out),
    )
    results[name] = attempt(job)
    for precision in ("fp16", "int8") if name in QUANTIZED else ():
        recipe = Recipe(target="litert", precision=precision, options=(("float_operators", "auto"),))
        derived = dataclasses.replace(
            job, recipe=recipe, base=str(out / f"{name}.tflite"), calibration=str(out / f"{name}.in.npz"),
            stem=f"{name}-{precision}",
        )
        results[f"{name}-{precision}"] = attempt(derived)
(out / "converted.json").write_text(json.dumps(results))

# Artifacts that edgepack did not make: int8 inputs and outputs without a signature, and a free axis.
import litert_torch
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils
from ai_edge_quantizer import quantizer, recipe

maker = quantizer.Quantizer(str(out / "convolutions.tflite"), recipe.static_wi8_ai8())
cases = [{"image": case[0]} for case in tensors.load(out / "convolutions.in.npz")]
packed = maker.quantize(maker.calibrate({"forward": cases})).quantized_model
foreign = schema.ModelT.InitFromPackedBuf(packed, 0)
foreign.signatureDefs = []
(out / "foreign.tflite").write_bytes(flatbuffer_utils.convert_object_to_bytearray(foreign))

model = nn.Conv2d(3, 4, 3).eval()
batch = torch.export.Dim("batch", min=1, max=8)
made = litert_torch.convert(model, (torch.randn(2, 3, 8, 8),), dynamic_shapes=({0: batch},))
made.export(str(out / "dynamic.tflite"))
cases = [torch.randn(n, 3, 8, 8) for n in (1, 5, 2)]
with torch.no_grad():
    tensors.save(out / "dynamic.ref.npz", [[model(c).numpy()] for c in cases])
tensors.save(out / "dynamic.in.npz", [[c.numpy()] for c in cases])
'''

RUN_ALL = """
import json, sys
from pathlib import Path

out = Path(sys.argv[1])
from edgepack.errors import EdgepackError
from edgepack.wire import codec
from edgepack.wire.types import Artifact, InspectJob, RunJob
from edgepack_targets import litert

results = {}
for name, result in json.loads((out / "converted.json").read_text()).items():
    if "artifact" not in result:
        continue
    artifact = codec.decode(Artifact, result["artifact"])
    base = name.removesuffix("-fp16").removesuffix("-int8")
    job = RunJob(
        artifact=str(out / artifact.file), signature=artifact.signature,
        samples=str(out / f"{base}.in.npz"), out=str(out / f"{name}.out.npz"),
    )
    results[name] = {
        "run": codec.encode(litert.run(job)),
        "inspection": codec.encode(litert.inspect(InspectJob(artifact=job.artifact))),
    }
(out / "run.json").write_text(json.dumps(results))
"""


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
        for name, text, environment in (
            ("convert_all.py", CONVERT_ALL, "litert"),
            ("run_all.py", RUN_ALL, "litert-runtime"),
        ):
            (folder / name).write_text(text, encoding="utf-8")
            run_python(environment, folder / name, folder)
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
