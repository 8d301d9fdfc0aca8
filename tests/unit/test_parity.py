"""Metrics against arithmetic done by hand, and what the verdicts say."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from edgepack import parity
from edgepack.config import ParityLimits
from edgepack.errors import EdgepackError
from edgepack.plan import LIMITS
from edgepack.verdict import EQUAL_DB, ParityReport, not_run


def judged(
    reference: list[Any], actual: list[Any], limits: ParityLimits, names: tuple[str, ...] = ("y",)
) -> ParityReport:
    tensors = parity.compare(names, reference, actual)
    return parity.judge(
        "v", tensors, limits, runtime="r", fidelity="host", evidence="real", cases=len(reference)
    )


def test_metrics_equal_hand_arithmetic() -> None:
    one, other = np.array([3.0, 4.0]), np.array([3.0, 3.0])
    assert parity.sqnr_db(one, other) == pytest.approx(10 * math.log10(25 / 1))
    assert parity.psnr_db(one, other, peak=4.0) == pytest.approx(10 * math.log10(16 / 0.5))
    assert parity.cosine(one, other) == pytest.approx(21 / (5 * math.sqrt(18)))


def test_equal_outputs_are_999_db_and_silence_is_not_an_error() -> None:
    zero = np.zeros(3)
    assert parity.sqnr_db(zero, zero) == EQUAL_DB
    assert parity.sqnr_db(zero, zero + 1) == -EQUAL_DB
    assert parity.cosine(zero, zero) == 1.0
    assert parity.cosine(zero, zero + 1) == 0.0


def test_agreement_counts_positions_and_skips_single_values() -> None:
    one = np.array([[1.0, 2.0], [5.0, 4.0]], np.float32)
    assert parity.agreement(one, one[:, ::-1]) == 0.0
    assert parity.agreement(one, np.array([[1.0, 2.0], [4.0, 5.0]], np.float32)) == 0.5
    assert parity.agreement(np.ones((4, 1), np.float32), np.zeros((4, 1), np.float32)) is None
    assert parity.agreement(np.array([1, 2, 3, 4]), np.array([1, 2, 3, 5])) == 0.75


def test_the_worst_case_and_the_quartiles_come_from_all_cases() -> None:
    reference = [(np.array([[10.0, 0.0]], np.float32),) for _ in range(5)]
    actual = [(np.array([[10.0, e]], np.float32),) for e in (0.1, 0.2, 0.3, 0.4, 0.9)]
    (tensor,) = parity.compare(("y",), reference, actual)
    assert tensor.max_abs.worst == pytest.approx(0.9)
    assert tensor.max_abs.worst_case == 4
    assert tensor.max_abs.lower_quartile == pytest.approx(0.2)
    assert tensor.max_abs.median == pytest.approx(0.3)
    assert tensor.sqnr_db.worst == pytest.approx(10 * math.log10(100 / 0.81), rel=1e-5)
    assert tensor.peak == 10.0


def test_fp32_limit_scales_with_the_largest_reference_value() -> None:
    reference = [(np.array([1000.0, 1.0], np.float32),)]
    near = [(np.array([1000.0, 1.009], np.float32),)]
    far = [(np.array([1000.0, 1.011], np.float32),)]
    assert judged(reference, near, LIMITS["fp32"]).verdict == "pass"
    report = judged(reference, far, LIMITS["fp32"])
    assert report.verdict == "fail"
    assert report.misses[0].metric == "max_abs"
    assert report.misses[0].limit == pytest.approx(0.01)


def test_swapped_outputs_fail_and_name_output_and_metric() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.standard_normal((2, 1, 8)).astype(np.float32)
    report = judged([(one, other)], [(other, one)], LIMITS["int8"], ("mean", "scale"))
    assert report.verdict == "fail"
    assert {m.output for m in report.misses} == {"mean", "scale"}
    assert "'mean'" in report.reason
    assert "sqnr_db" in report.reason


@pytest.mark.parametrize("precision", sorted(LIMITS))
def test_nan_never_passes(precision: str) -> None:
    reference = [(np.array([[1.0, 2.0]], np.float32),)]
    report = judged(reference, [(np.array([[1.0, np.nan]], np.float32),)], LIMITS[precision])
    assert report.verdict == "fail"
    assert report.misses[0].metric == "nonfinite cases"


def test_an_integer_output_must_be_equal_at_fp32() -> None:
    reference = [(np.array([7, 8, 9]),)]
    assert judged(reference, [(np.array([7, 8, 9]),)], LIMITS["fp32"]).verdict == "pass"
    report = judged(reference, [(np.array([7, 8, 10]),)], LIMITS["fp32"])
    assert report.verdict == "fail"
    assert report.misses[0].metric == "agreement"


def test_other_shapes_cannot_be_compared() -> None:
    with pytest.raises(EdgepackError) as caught:
        parity.compare(("y",), [(np.zeros((1, 3)),)], [(np.zeros((3, 1)),)])
    assert caught.value.code == "E501"


def test_a_nan_reference_is_refused() -> None:
    with pytest.raises(EdgepackError) as caught:
        parity.compare(("y",), [(np.array([np.nan]),)], [(np.array([1.0]),)])
    assert caught.value.code == "E501"


def test_a_nan_in_a_later_case_of_the_reference_is_refused_too() -> None:
    reference = [(np.array([1.0]),), (np.array([np.nan]),), (np.array([2.0]),)]
    with pytest.raises(EdgepackError) as caught:
        parity.compare(("y",), reference, [(np.array([1.0]),)] * 3)
    assert caught.value.code == "E501"


def test_outputs_without_elements_agree() -> None:
    for dtype in (np.float32, np.int64):
        empty = [(np.zeros((0, 5), dtype),)]
        assert judged(empty, empty, LIMITS["int8"]).verdict == "pass"


def test_not_run_is_no_pass() -> None:
    report = not_run("coreml-fp16", "no runtime", LIMITS["fp16"], "real")
    assert report.verdict == "not-run"
    assert report.fidelity == "none"
    assert report.cases == 0
