"""What is replayed: coremltools' own tests by suite, the environment they run in, and how they are sampled."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from edgepack.wire.types import EnvironmentSpec

ENVIRONMENT = EnvironmentSpec(
    name="conformance",
    python=">=3.11,<3.14",
    requirements=(
        "torch==2.13.0", "coremltools==9.0", "numpy>=2.0,<2.4", "pillow>=11", "pytest>=8.3",
        "pytest-timeout>=2.3", "pyyaml>=6", "scikit-learn>=1.5,<1.6", "scipy>=1.13", "filelock>=3.16",
    ),
    lock="lock.txt",
    probe=("torch", "coremltools", "pytest"),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """Tests that are judged together.

    paths: files and folders inside coremltools. keep, drop: what a test's id must hold and what it must
    not, regular expressions. settings: environment variables that coremltools' tests read. sample: how
    many are run unless others are asked for, 0 for all. fixed: how many are in the sample that every run
    of our own tests replays. bar: the share of those that predict that must pass; None for a suite that
    is only reported.
    """

    name: str
    title: str
    paths: tuple[str, ...]
    keep: str = ""
    drop: str = ""
    settings: dict[str, str] = field(default_factory=dict)
    sample: int = 0
    fixed: int = 0
    bar: float | None = None


_OPERATORS = ("converters/mil/mil/ops/tests",)
_TORCH = ("converters/mil/frontend/torch/test",)
_SINGLE = {"INCLUDE_MIL_FP32_UNIT_TESTS": "1"}
_ALL_OPSETS = {"RUN_BACKWARD_COMPATIBILITY": "1"}

SUITES: dict[str, Suite] = {
    suite.name: suite
    for suite in (
        Suite(
            name="ops",
            title="operators, fp16, each at the opset it changed in",
            paths=_OPERATORS,
            fixed=320,
            bar=0.995,
        ),
        Suite(
            name="ops-fp32",
            title="operators, fp32 at 1e-4 and 1e-5, all opsets",
            paths=_OPERATORS,
            keep="fp32",
            drop="fp16|float16",  # results of half precision, held to tolerances of single precision
            settings=_SINGLE | _ALL_OPSETS,
            sample=6000,
            fixed=140,
            bar=0.995,
        ),
        Suite(
            name="torch",
            title="PyTorch front end, fp16",
            paths=_TORCH,
            sample=4000,
            fixed=180,
            bar=0.99,
        ),
        Suite(
            name="torch-fp32",
            title="PyTorch front end, fp32 at 1e-4 and 1e-5",
            paths=_TORCH,
            keep="fp32",
            settings=_SINGLE,
            sample=1500,
            bar=0.99,
        ),
        Suite(
            name="torch-export",
            title="PyTorch front end by torch.export, fp16",
            paths=_TORCH,
            keep="TORCHEXPORT",
            settings={"TORCH_FRONTENDS": "TORCHEXPORT"},
            sample=1500,
            bar=0.99,
        ),
        Suite(
            name="optimize",
            title="compression",
            paths=(
                "test/optimize/api",
                "test/optimize/coreml",
                "test/optimize/torch/conversion",
                "test/optimize/torch/smoke_test.py",
            ),
            fixed=60,
            bar=0.99,
        ),
    )
}


def sampled(tests: Sequence[str], number: int) -> list[str]:
    """`number` of the tests in their order, as evenly from all test functions as their sizes allow.

    Which parametrizations of a function are taken depends on their ids alone.
    """
    if not number or number >= len(tests):
        return list(tests)
    functions: dict[str, list[str]] = defaultdict(list)
    for test in tests:
        functions[function_of(test)].append(test)
    for parametrizations in functions.values():
        parametrizations.sort(key=_lot)
    chosen: set[str] = set()
    rank = 0
    while len(chosen) < number:
        layer = sorted((f[rank] for f in functions.values() if rank < len(f)), key=_lot)
        chosen.update(layer[: number - len(chosen)])
        rank += 1
    return [test for test in tests if test in chosen]


def function_of(test: str) -> str:
    """The test function of a parametrization's id."""
    return test.partition("[")[0]


def file_of(test: str) -> str:
    """The file of a test's id."""
    return test.partition("::")[0]


def _lot(test: str) -> str:
    return hashlib.sha256(test.encode()).hexdigest()
