"""Golden cases: which an app carries, how they are written, and which are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app_bench import (
    CASE,
    SIGNATURE,
    Bench,
    payload,
    read_json,
    refused,
)
from edgepack import appcheck, golden_cases
from edgepack.wire.types import Quantization, Signature, TensorSpec


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def one(spec: TensorSpec, given: Any) -> dict[str, Any]:
    """Arguments of a model with one input, and one golden case of it."""
    case = golden_cases.GoldenCase(inputs=(given,), outputs=CASE.outputs)
    signature = Signature(name="f", inputs=(spec,), outputs=SIGNATURE.outputs)
    return {"signature": signature, "golden": [case]}


def first_input(project: Path) -> bytes:
    return (payload(project) / "golden/model/case0_input0.bin").read_bytes()


def test_numbers_are_little_endian_whatever_they_were(bench: Bench) -> None:
    spec = TensorSpec(name="x", dtype="float32", shape=(2, 1))
    given = np.array([[1.0, 9.0], [-2.5, 9.0]], ">f4")[:, :1]
    project = bench.render("android", "litert", **one(spec, given))
    assert first_input(project) == bytes.fromhex("0000803f000020c0")


def test_integers_that_became_narrower_keep_their_values(bench: Bench) -> None:
    spec = TensorSpec(name="ids", dtype="int32", shape=(2,))
    project = bench.render("ios", "coreml", **one(spec, np.array([7, -1], np.int64)))
    assert first_input(project) == bytes.fromhex("07000000ffffffff")
    refused("E606", bench, "ios", "coreml", **one(spec, np.array([2**31, 0], np.int64)))


def test_numbers_become_halves_unless_they_overflow(bench: Bench) -> None:
    spec = TensorSpec(name="x", dtype="float16", shape=(1,))
    project = bench.render("ios", "coreml", **one(spec, np.array([1.0], np.float32)))
    assert first_input(project) == bytes.fromhex("003c")
    refused("E606", bench, "ios", "coreml", **one(spec, np.array([1e6], np.float32)))


def test_an_input_of_a_quantized_model_is_quantized(bench: Bench) -> None:
    quantization = Quantization(scales=(0.5,), zero_points=(-3,))
    spec = TensorSpec(name="x", dtype="int8", shape=(4,), quantization=quantization)
    given = np.array([0.0, 1.0, 0.3, 1000.0], np.float32)
    project = bench.render("android", "litert", **one(spec, given))
    assert np.frombuffer(first_input(project), np.int8).tolist() == [-3, -1, -2, 127]
    described = read_json(payload(project) / "edgepack.json")["models"][0]["artifact"]["signature"][
        "inputs"
    ][0]
    assert described["quantization"] == {"scale": 0.5, "zero_point": -3}


def test_an_output_is_stored_as_the_source_model_gave_it(bench: Bench) -> None:
    spec = TensorSpec(name="y", dtype="float32", shape=(1,))
    signature = Signature(name="f", inputs=(), outputs=(spec,))
    case = golden_cases.GoldenCase(inputs=(), outputs=(np.float64(0.1),))
    project = bench.render("ios", "coreml", signature=signature, golden=[case])
    entry = read_json(payload(project) / "golden/model/golden.json")["cases"][0]["outputs"][0]
    assert entry["dtype"] == "float64"
    assert entry["shape"] == []
    assert (payload(project) / "golden/model" / entry["file"]).read_bytes() == np.float64(
        0.1
    ).tobytes()


@pytest.mark.parametrize(
    ("case", "why"),
    [
        (replace(CASE, inputs=CASE.inputs[:1]), "it has 1 inputs, the model 2"),
        (replace(CASE, outputs=()), "it has 0 outputs, the model 1"),
        (replace(CASE, outputs=(np.zeros((1, 5), np.float32),)), "'logits' is (1, 5)"),
        (replace(CASE, inputs=(np.zeros((1, 4), np.float32), CASE.inputs[1])), "'image' is (1, 4)"),
        (replace(CASE, outputs=(np.zeros((1, 4), np.complex64),)), "'logits' is complex64"),
        (replace(CASE, outputs=(np.full((1, 4), np.inf),)), "not finite"),
        (replace(CASE, inputs=(CASE.inputs[0], np.array([0.5, 1, 2]))), "int32 cannot hold it"),
    ],
)
def test_a_golden_case_that_does_not_fit_is_refused(
    bench: Bench, case: golden_cases.GoldenCase, why: str
) -> None:
    assert why in refused("E606", bench, "android", "litert", golden=[CASE, case]).why


def test_limits_are_scaled_by_the_largest_reference(bench: Bench) -> None:
    larger = replace(CASE, outputs=(np.array([[1.0, -7.5, 2.0, 0.0]], np.float32),))
    for changes, peak in (
        ({"golden": [CASE, larger]}, 7.5),
        ({"peaks": [99.0]}, 99.0),
        ({"golden": []}, 0.0),
    ):
        project = bench.render("android", "litert", **changes)
        signature = read_json(payload(project) / "edgepack.json")["models"][0]["artifact"][
            "signature"
        ]
        assert signature["outputs"][0]["peak"] == peak
        assert "peak" not in signature["inputs"][0]


def test_at_most_three_cases_are_taken(bench: Bench) -> None:
    project = bench.render("android", "litert", golden=[CASE] * 5)
    golden = read_json(payload(project) / "golden/model/golden.json")
    assert len(golden["cases"]) == 3
    assert golden["byte_order"] == "little"
    assert len(list((payload(project) / "golden/model").glob("*.bin"))) == 9


def test_a_large_case_is_left_out_with_a_note(bench: Bench) -> None:
    side = 2900
    spec = TensorSpec(name="x", dtype="float32", shape=(side, side))
    arguments = one(spec, np.zeros((side, side), np.float32))
    project = bench.render("ios", "coreml", **arguments)
    size = side * side * 4 + 16
    golden = read_json(payload(project) / "golden/model/golden.json")
    assert golden["cases"] == []
    assert golden["skipped"][0]["bytes"] == size
    notes = read_json(payload(project) / "edgepack.json")["models"][0]["notes"]
    assert notes[0] == "a note"
    assert str(size) in notes[1]
    readme = (project / "README.md").read_text("utf-8")
    assert "NOT RUN" in readme
    assert str(size) in readme
    appcheck.check(project)


def test_of_large_cases_one_is_taken_so_that_the_app_can_check_something(bench: Bench) -> None:
    side = 1024
    spec = TensorSpec(name="x", dtype="float32", shape=(side, side))
    (case,) = one(spec, np.zeros((side, side), np.float32))["golden"]
    signature = Signature(name="f", inputs=(spec,), outputs=SIGNATURE.outputs)
    project = bench.render("ios", "coreml", signature=signature, golden=[case] * 3)
    golden = read_json(payload(project) / "golden/model/golden.json")
    assert (len(golden["cases"]), golden["skipped"]) == (1, [])
    assert read_json(payload(project) / "edgepack.json")["models"][0]["notes"] == ["a note"]
    assert "1 golden case\n" in (project / "README.md").read_text("utf-8")
