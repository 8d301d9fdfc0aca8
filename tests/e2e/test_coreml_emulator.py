"""The operators of the Core ML emulator, on programs that coremltools' own builder and converter write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SCRIPTS = Path(__file__).with_name("coreml_emulator")


def test_operators_that_compute_agree_with_their_formulas(
    run_python: Callable[..., str], tmp_path: Path
) -> None:
    said = run_python("coreml", SCRIPTS / "ops_a.py", tmp_path).split()
    assert int(said[said.index("uses") + 1]) >= 6000
    assert int(said[said.index("operators") + 1]) == 93
    assert int(said[said.index("peers") + 1]) >= 1000
