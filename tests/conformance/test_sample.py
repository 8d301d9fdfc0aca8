"""A fixed sample of coremltools' own tests passes on the emulator; `run.py` replays all of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from conformance import records, suites

HERE = Path(__file__).parent


@pytest.mark.slow
def test_the_emulator_passes_a_fixed_sample_of_apples_tests(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, HERE / "run.py", "--tests", HERE / "sample.txt", "--results", tmp_path],
        capture_output=True, text=True, check=False, timeout=850,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_sample_takes_from_every_function_before_it_takes_twice_from_one() -> None:
    tests = [f"a.py::many[{n}]" for n in range(50)] + ["a.py::one", "a.py::two[0]", "a.py::two[1]"]
    chosen = suites.sampled(tests, 6)
    assert [suites.function_of(test) for test in chosen] == ["a.py::many"] * 3 + [
        "a.py::one", "a.py::two", "a.py::two",
    ]  # fmt: skip
    assert chosen == suites.sampled(list(tests), 6)
    assert suites.sampled(tests, 0) == tests


def test_only_tests_that_asked_for_a_prediction_count() -> None:
    assert record(outcome="passed", predictions=2).counts
    assert not record(outcome="passed", predictions=0).counts
    assert not record(outcome="xfailed", predictions=1).counts
    assert not record(outcome="failed", predictions=0).counts
    assert record(outcome="failed", refusals=("no operator",)).missed


def test_an_expected_failure_may_hold_for_one_suite() -> None:
    everywhere = records.Expected(("a.py::f[*x=[[]1]*]",), "test", "")
    assert everywhere.covers(record("a.py::f[y-x=[[]1]-z]"))
    assert not everywhere.covers(record("a.py::f[y-x=2-z]"))
    single = records.Expected(("a.py::f*#ops-fp32",), "test", "")
    assert single.covers(record("a.py::f", suite="ops-fp32"))
    assert not single.covers(record("a.py::f", suite="ops"))


def test_the_last_record_of_a_test_is_the_one_that_stands(tmp_path: Path) -> None:
    begun = {"id": "f", "outcome": "begun"}
    failed = {**records.killed("f", "", ""), "outcome": "failed"}
    lines = tmp_path / "records.jsonl"
    lines.write_text("\n".join(map(json.dumps, [begun, failed, {**failed, "outcome": "passed"}])))
    assert records.read(lines, "ops")["f"].outcome == "passed"


def record(
    test: str = "a.py::f",
    *,
    suite: str = "ops",
    outcome: str = "failed",
    predictions: int = 0,
    refusals: tuple[str, ...] = (),
) -> records.Record:
    return records.Record(test, suite, "", outcome, predictions, refusals, (), "", "", 0.0)
