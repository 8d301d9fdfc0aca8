"""The ExecuTorch target on the real converter and runtime: what an artifact shows, how exact it is, what
is refused.

All small models are converted in one process and run in one other, since importing exir takes longer
than most of them.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
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
from edgepack_targets.executorch import program

pytestmark = pytest.mark.slow

CONVERT = "edgepack_targets.executorch:convert"
RUN = "edgepack_targets.executorch:run"
INSPECT = "edgepack_targets.executorch:inspect"
ENVIRONMENT = "executorch"
SCRIPTS = Path(__file__).with_name("executorch_models")


Worker = Callable[[str, Any, str], Any]
RunPython = Callable[..., str]


@dataclass(frozen=True)
class Made:
    """Everything the two processes made."""

    folder: Path
    made: dict[str, dict[str, Any]]
    ran: dict[str, RunResult]

    def artifact(self, label: str) -> Artifact:
        assert "artifact" in self.made[label], self.made[label]
        return codec.decode(Artifact, self.made[label]["artifact"])

    def refusal(self, label: str) -> tuple[str, str]:
        return self.made[label].get("code", "made"), self.made[label].get("said", "")

    def bytes(self, label: str) -> bytes:
        return (self.folder / f"{label}.pte").read_bytes()

    def outputs(self, label: str) -> list[tuple[np.ndarray, ...]]:
        return list(tensors.load(self.folder / f"{label}.out.npz"))

    def references(self, label: str) -> list[tuple[np.ndarray, ...]]:
        return list(tensors.load(self.folder / f"{self.made[label]['model']}.ref.npz"))

    def job(self, label: str, out: Path, **changes: Any) -> ConvertJob:
        """The job a label was made by, into another folder."""
        signatures = json.loads((self.folder / "signatures.json").read_text())
        precision = label.rpartition("-")[2] if "-" in label else "fp32"
        values: dict[str, Any] = {
            "model": str(self.folder / f"{self.made[label]['model']}.pt2"),
            "signature": codec.decode(Signature, signatures[self.made[label]["model"]]),
            "dimensions": (),
            "recipe": Recipe(
                target="executorch", precision=precision, options=(("delegate", "xnnpack"),)
            ),
            "base": "",
            "calibration": str(self.folder / f"{self.made[label]['model']}.in.npz"),
            "stem": label,
            "out": str(out),
        }
        return ConvertJob(**{**values, **changes})


@pytest.fixture(scope="module")
def cache_of_made() -> dict[str, Made]:
    return {}


@pytest.fixture
def made(
    cache_of_made: dict[str, Made],
    tmp_path_factory: pytest.TempPathFactory,
    run_python: RunPython,
) -> Made:
    """All small models, converted and run once for all tests of this module."""
    if not cache_of_made:
        folder = tmp_path_factory.mktemp("executorch")
        run_python(ENVIRONMENT, SCRIPTS / "convert_all.py", folder)
        run_python(ENVIRONMENT, SCRIPTS / "run_all.py", folder)
        ran = json.loads((folder / "ran.json").read_text())
        cache_of_made["made"] = Made(
            folder=folder,
            made=json.loads((folder / "made.json").read_text()),
            ran={label: codec.decode(RunResult, value) for label, value in ran.items()},
        )
    return cache_of_made["made"]


def noise_db(references: list[Any], outputs: list[Any], output: int, *, peak: bool) -> float:
    """Worst case's ratio of peak or signal to noise in decibels."""
    highest = max(np.abs(case[output]).max() for case in references)
    worst = np.inf
    for reference, actual in zip(references, outputs, strict=True):
        wanted, got = reference[output].astype(np.float64), actual[output].astype(np.float64)
        assert np.isfinite(got).all()
        noise = np.square(wanted - got).mean()
        signal = highest**2 if peak else np.square(wanted).mean()
        worst = min(worst, 10 * np.log10(signal / noise) if noise else np.inf)
    return float(worst)


FLOATS = [
    "dynamic", "lstm", "gru", "rnn", "step", "cell", "net", "loud", "attention", "by-hand", "branch",
    "portable",
]  # fmt: skip


@pytest.mark.parametrize("label", FLOATS)
def test_fp32_gives_the_models_own_numbers(made: Made, label: str) -> None:
    outputs, references = made.outputs(label), made.references(label)
    for got, wanted in zip(outputs, references, strict=True):
        for one, other in zip(got, wanted, strict=True):
            assert one.shape == other.shape
            assert np.abs(one - other).max() <= 1e-5 * max(1, np.abs(other).max())


@pytest.mark.parametrize("label", ["dtypes", "dtypes-fp16"])
def test_names_order_and_dtypes_are_the_users_own(made: Made, label: str) -> None:
    signature = made.artifact(label).signature
    assert [(t.name, t.dtype) for t in signature.inputs] == [
        ("in 0", "float32"), ("in 1", "int64"), ("in 2", "bool"),
    ]  # fmt: skip
    assert [(t.name, t.dtype) for t in signature.outputs] == [
        ("out 0", "int64"), ("out 1", "float32"), ("out 2", "bool"),
    ]  # fmt: skip
    for got, wanted in zip(made.outputs(label), made.references(label), strict=True):
        assert [t.dtype for t in got] == [t.dtype for t in wanted]
        np.testing.assert_array_equal(got[0], wanted[0])
        np.testing.assert_array_equal(got[2], wanted[2])
        np.testing.assert_allclose(got[1], wanted[1], atol=1e-2 if "fp16" in label else 1e-6)


def test_symbolic_axes_stay_symbolic(made: Made) -> None:
    signature = made.artifact("dynamic").signature
    assert signature.inputs[0].shape == (1, "length")
    assert signature.outputs[0].shape == (1, "length", 16)
    assert [case[0].shape[1] for case in made.outputs("dynamic")] == [5, 40, 2]


def test_a_recurrent_layer_is_a_loop_and_not_one_block_per_step(made: Made) -> None:
    assert len(made.bytes("lstm")) < 60_000
    described = program.read(made.folder / "lstm.pte").methods[-1]
    assert sum(described.operators.values()) < 150


@pytest.mark.parametrize(
    "label", ["dynamic", "lstm", "gru", "cell", "net", "loud", "attention", "by-hand"]
)
def test_fp16_keeps_50_db_and_float_inputs(made: Made, label: str) -> None:
    label = f"{label}-fp16"
    references, outputs = made.references(label), made.outputs(label)
    for output in range(len(references[0])):
        assert outputs[0][output].dtype == np.float32
        assert noise_db(references, outputs, output, peak=True) >= 50


def test_fp16_halves_the_weights(made: Made) -> None:
    for name in ("dynamic", "net"):
        assert made.artifact(f"{name}-fp16").bytes < 0.6 * made.artifact(name).bytes
    assert any("5 of 5" in note for note in made.artifact("net-fp16").notes)
    assert any("ARMv8.2" in note for note in made.artifact("net-fp16").notes)


def test_int8_keeps_20_db_and_says_what_it_covers(made: Made) -> None:
    artifact = made.artifact("net-int8")
    references, outputs = made.references("net-int8"), made.outputs("net-int8")
    assert noise_db(references, outputs, 0, peak=False) >= 20
    assert outputs[0][0].dtype == np.float32
    assert any("are int8, calibrated on 8 samples" in note for note in artifact.notes)
    assert artifact.bytes < 0.75 * made.artifact("net").bytes


@pytest.mark.parametrize("label", ["plain-int8", "plain-fp16", "portable-int8"])
def test_a_precision_that_would_change_nothing_is_refused(made: Made, label: str) -> None:
    assert made.refusal(label)[0] == "E407"


@pytest.mark.parametrize(
    ("label", "code", "said"),
    [
        ("nonzero", "E401", "aten.nonzero"),
        ("sorting", "E401", "aten::sort.values"),
        ("bag", "E401", "aten::_embedding_bag"),
        ("state", "E217", "calls"),
    ],
)
def test_what_would_fail_or_lie_on_the_phone_is_refused(
    made: Made, label: str, code: str, said: str
) -> None:
    assert made.refusal(label)[0] == code
    assert said in made.refusal(label)[1]
    assert not (made.folder / f"{label}.pte").exists()


def test_the_artifact_says_what_made_it_and_who_runs_it(made: Made) -> None:
    artifact = made.artifact("net")
    assert artifact.versions["executorch"] == "1.5.1"
    assert set(artifact.versions) == {"executorch", "torch", "torchao"}
    assert any("XNNPACK runs 12 of 13 operators" in note for note in artifact.notes)
    assert made.ran["net"].runtime == "ExecuTorch 1.5.1 (XNNPACK)"
    assert made.ran["portable"].runtime == "ExecuTorch 1.5.1 (portable kernels)"
    assert made.ran["net"].fidelity == "host"
    assert made.ran["net"].cases == 8
    assert made.ran["net"].seconds_per_case > 0


@pytest.mark.parametrize("label", ["net", "gru-fp16", "net-int8"])
def test_two_processes_make_the_same_bytes(
    made: Made, worker: Worker, tmp_path: Path, label: str
) -> None:
    again = worker(CONVERT, made.job(label, tmp_path), ENVIRONMENT)
    assert again.sha256 == made.artifact(label).sha256
    assert (tmp_path / again.file).read_bytes() == made.bytes(label)


def test_a_program_of_another_signature_and_a_file_that_is_none(
    made: Made, worker: Worker, tmp_path: Path
) -> None:
    job = made.job("net", tmp_path)
    swapped = Signature(
        name="forward",
        inputs=(TensorSpec(name="ids", dtype="int64", shape=(1, 3, 32, 32)),),
        outputs=job.signature.outputs,
    )
    with pytest.raises(EdgepackError, match="'ids' of the exported program is float32") as caught:
        worker(CONVERT, made.job("net", tmp_path, signature=swapped), ENVIRONMENT)
    assert caught.value.code == "E409"
    broken = tmp_path / "broken.pt2"
    broken.write_bytes((made.folder / "net.pt2").read_bytes()[:5000])
    with pytest.raises(EdgepackError) as caught:
        worker(CONVERT, made.job("net", tmp_path, model=str(broken)), ENVIRONMENT)
    assert caught.value.code == "E402"


class TestRunning:
    """What can be wrong between an artifact, its samples and this machine."""

    @pytest.fixture
    def run(self, made: Made, worker: Worker, tmp_path: Path) -> Callable[..., RunResult]:
        def run(
            artifact: Path, cases: list[Any] | None = None, label: str = "dynamic"
        ) -> RunResult:
            samples = made.folder / f"{made.made[label]['model']}.in.npz"
            if cases is not None:
                samples = tmp_path / "samples.npz"
                tensors.save(samples, cases)
            job = RunJob(
                artifact=str(artifact),
                signature=made.artifact(label).signature,
                samples=str(samples),
                out=str(tmp_path / "out.npz"),
            )
            return worker(RUN, job, ENVIRONMENT)

        return run

    @pytest.mark.parametrize(
        ("case", "said"),
        [
            (np.zeros((1, 5), np.int32), r"'in 0'.*int32 \[1, 5\].*int64 up to \[1, 40\]"),
            (np.zeros((1, 41), np.int64), r"'in 0'.*int64 \[1, 41\]"),
            (np.zeros(5, np.int64), r"'in 0'.*int64 \[5\]"),
        ],
    )
    def test_samples_that_do_not_fit(
        self, run: Callable[..., RunResult], made: Made, case: Any, said: str
    ) -> None:
        with pytest.raises(EdgepackError) as caught:
            run(made.folder / "dynamic.pte", [[case]])
        assert caught.value.code == "E507"
        assert re.search(said, f"{caught.value.message} {caught.value.why}")

    def test_an_index_beyond_the_table_fails_with_the_operators_name(
        self, run: Callable[..., RunResult], made: Made
    ) -> None:
        with pytest.raises(EdgepackError) as caught:
            run(made.folder / "dynamic.pte", [[np.full((1, 5), 500)]])
        assert caught.value.code == "E509"
        assert "embedding" in caught.value.why

    @pytest.mark.parametrize(
        ("label", "old", "new", "code", "said"),
        [
            ("dynamic", b"XnnpackBackend", b"NobodysBackend", "E510", "NobodysBackend"),
            ("dynamic", b"aten::cumsum", b"aten::nonsum", "E508", "aten::nonsum.out"),
        ],
    )
    def test_what_this_machine_lacks_is_named(
        self, run: Callable[..., RunResult], made: Made, tmp_path: Path,
        label: str, old: bytes, new: bytes, code: str, said: str,
    ) -> None:  # fmt: skip
        foreign = tmp_path / "foreign.pte"
        assert old in made.bytes(label)
        foreign.write_bytes(made.bytes(label).replace(old, new))
        with pytest.raises(EdgepackError) as caught:
            run(foreign, label=label)
        assert caught.value.code == code
        assert said in f"{caught.value.message} {caught.value.why}"

    def test_another_models_artifact_does_not_pass_for_this_one(
        self, run: Callable[..., RunResult], made: Made
    ) -> None:
        with pytest.raises(EdgepackError, match="is float32, not int64") as caught:
            run(made.folder / "net.pte")
        assert caught.value.code == "E506"


class TestInspecting:
    """Any .pte, whole or not."""

    @pytest.fixture
    def inspect(self, worker: Worker) -> Callable[[Path], Inspection]:
        return lambda path: worker(INSPECT, InspectJob(artifact=str(path)), ENVIRONMENT)

    def test_our_own_keeps_its_names(
        self, inspect: Callable[[Path], Inspection], made: Made
    ) -> None:
        found = inspect(made.folder / "dynamic.pte")
        assert found.signature == made.artifact("dynamic").signature
        assert found.precision == "fp32"
        assert found.operators["delegate XnnpackBackend"] >= 1
        assert found.operators["aten::cumsum.out"] == 1
        assert found.metadata["methods"] == "forward, edgepack_interface"

    @pytest.mark.parametrize("precision", ["fp16", "int8"])
    def test_precision_is_that_of_the_weights(
        self, inspect: Callable[[Path], Inspection], made: Made, precision: str
    ) -> None:
        assert inspect(made.folder / f"net-{precision}.pte").precision == precision

    def test_a_foreign_one_is_told_by_position(
        self, inspect: Callable[[Path], Inspection], run_python: RunPython, tmp_path: Path
    ) -> None:
        run_python(ENVIRONMENT, SCRIPTS / "foreign.py", tmp_path / "foreign.pte")
        found = inspect(tmp_path / "foreign.pte")
        assert [(t.name, t.dtype, t.shape) for t in found.signature.inputs] == [
            ("input_0", "float32", (2, 3)), ("input_1", "float32", (3, 4)),
        ]  # fmt: skip
        assert [(t.name, t.dtype) for t in found.signature.outputs] == [
            ("output_0", "float32"), ("output_1", "bool"),
        ]  # fmt: skip
        assert found.operators == {"aten::gt.Scalar_out": 1, "aten::mm.out": 1}

    @pytest.mark.parametrize(
        ("damage", "code"),
        [
            (lambda data: b"", "E202"),
            (lambda data: data[:200], "E202"),
            (lambda data: data[:-1000], "E202"),
            (lambda data: data[:64] + b"\xff" * 400 + data[464:], "E202"),
            (lambda data: b"PK\x03\x04" + data, "E203"),
            (lambda data: b"no program at all", "E203"),
        ],
    )
    def test_a_damaged_one_is_refused(
        self, inspect: Callable[[Path], Inspection], made: Made, tmp_path: Path,
        damage: Callable[[bytes], bytes], code: str,
    ) -> None:  # fmt: skip
        path = tmp_path / "damaged.pte"
        path.write_bytes(damage(made.bytes("net")))
        with pytest.raises(EdgepackError) as caught:
            inspect(path)
        assert caught.value.code == code


def test_no_flipped_byte_makes_the_reader_fail_unkindly(made: Made, tmp_path: Path) -> None:
    """The reader is plain Python, so this needs no worker."""
    data = made.bytes("dynamic")
    path = tmp_path / "flipped.pte"
    codes: set[str] = set()
    for place in range(0, min(len(data), 8000), 3):
        path.write_bytes(data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :])
        with contextlib.suppress(EdgepackError):
            program.read(path)
            continue
        codes.add("refused")
    assert codes == {"refused"}
