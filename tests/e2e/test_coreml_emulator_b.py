"""Operators of the emulator against formulas, coremltools' inference and its own decompression."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parent / "coreml_emulator"

pytestmark = pytest.mark.slow


def test_operators_on_shapes_indices_images_and_sequences_agree_with_their_formulas(
    run_python: Callable[..., str], tmp_path: Path
) -> None:
    said = run_python("coreml", SCRIPTS / "ops_b.py", tmp_path)
    groups = dict(re.findall(r"^(\w+): .*?(\d+)\]? cases", said, re.MULTILINE))
    assert groups.keys() == {
        "tensor_transformation", "tensor_operation", "gather", "scatter", "quantization",
        "image_resizing", "recurrent", "suppression", "control_flow", "states", "classify",
        "constexpr", "compression", "failures",
    }  # fmt: skip


def test_the_table_of_operators_is_that_of_coremltools_and_none_is_missing(
    run_python: Callable[..., str], tmp_path: Path
) -> None:
    said = run_python("coreml", SCRIPTS / "ops_b_coverage.py", tmp_path)
    rows = re.findall(r"^iOS (\d+) +(\d+) +(\d+)  none$", said, re.MULTILINE)
    assert [int(ios) for ios, _, _ in rows] == [15, 16, 17, 18, 26]
    assert all(had == there for _, there, had in rows)
