"""A package's outputs on samples: by Core ML itself on a Mac, by the emulator elsewhere.

Core ML's types are the least precision an operation may use, so one package has more than one right
answer. What is reported is the emulator's "exact" reading; how far the other readings lie from it, on a
few of the cases, is reported beside it as the uncertainty.
"""

from __future__ import annotations

import math
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgepack.errors import EdgepackError
from edgepack.wire import progress, tensors
from edgepack.wire.types import Reading, RunJob, RunResult, Signature
from edgepack_targets.coreml import tracing
from edgepack_targets.coreml.emulator import model as emulated
from edgepack_targets.coreml.emulator.precision import MODES, Mode

Array = np.ndarray[Any, Any]
Predict = Callable[[Mapping[str, Array]], Mapping[str, Any]]

_FEW = 4
_EQUAL_DB = 999.0


def run(job: RunJob) -> RunResult:
    """Outputs of every case of a job's samples, saved in the order of its signature.

    Raises E202 and E203 for a file that is no package, E506 if its interface is another, E507 for samples
    that do not fit, E509 if it fails, E511 for what the emulator lacks.
    """
    path, wanted = Path(job.artifact), dict(job.options).get("runtime", "auto")
    on_mac = sys.platform == "darwin"
    if wanted in ("core-ml", "both") and not on_mac:
        raise EdgepackError(
            "E510",
            "Core ML itself runs on macOS alone",
            help='Leave `runtime` at "auto", which takes the emulator here.',
        )
    if on_mac and wanted != "emulator":
        return _by_core_ml(path, job, compare=wanted == "both")
    return _by_emulator(path, job)


def _by_emulator(path: Path, job: RunJob) -> RunResult:
    model = _emulator(path, "exact", job.signature)
    outputs, seconds = _outputs(model.predict, job)
    tensors.save(Path(job.out), outputs)
    ways: list[tuple[str, Mode]] = [(mode, mode) for mode in MODES if mode != "exact"]
    return RunResult(
        runtime="Core ML emulator (exact)",
        fidelity="simulated",
        cases=len(outputs),
        seconds_per_case=seconds,
        notes=_remarks(path, job, outputs),
        readings=_readings(path, job, outputs, ways if model.has_half else []),
    )


def _by_core_ml(path: Path, job: RunJob, *, compare: bool) -> RunResult:
    from edgepack_targets.coreml import native

    outputs, seconds = _outputs(native.load(path).predict, job)
    tensors.save(Path(job.out), outputs)
    ways: list[tuple[str, Mode]] = [("emulator, exact", "exact")] if compare else []
    return RunResult(
        runtime=native.version(),
        fidelity=native.fidelity(),
        cases=len(outputs),
        seconds_per_case=seconds,
        readings=_readings(path, job, outputs, ways),
    )


def _emulator(path: Path, mode: Mode, signature: Signature) -> emulated.Model:
    """The function of a signature's name, or the package's default. Raises E506 if it is another's."""
    model = emulated.open_package(path, mode=mode)
    for word, features, specs in (
        ("input", model.inputs, signature.inputs),
        ("output", model.outputs, signature.outputs),
    ):
        names = [feature.name for feature in features]
        lacking = [spec.name for spec in specs if spec.name not in names]
        if lacking:
            raise EdgepackError(
                "E506",
                f"{path.name} has no {word} {lacking[0]!r}",
                why=f"It has {', '.join(names)}.",
            )
    return model


def _outputs(predict: Predict, job: RunJob) -> tuple[list[list[Array]], float]:
    """Outputs of all cases in the signature's order, and the median seconds of a case."""
    inputs = [spec.name for spec in job.signature.inputs]
    outputs: list[list[Array]] = []
    seconds: list[float] = []
    total = tensors.count(Path(job.samples))
    for number, case in enumerate(tensors.load(Path(job.samples))):
        progress.report("run", number, total)
        started = time.perf_counter()
        found = predict(dict(zip(inputs, case, strict=True)))
        seconds.append(time.perf_counter() - started)
        outputs.append(
            [
                np.asarray(found[spec.name]).reshape(_shape(found[spec.name], len(spec.shape)))
                for spec in job.signature.outputs
            ]
        )
    return outputs, statistics.median(seconds) if seconds else 0.0


def _remarks(path: Path, job: RunJob, outputs: Sequence[Sequence[Array]]) -> tuple[str, ...]:
    """What a trace shows, and where NaN or Inf come from if outputs hold any."""
    inputs = [spec.name for spec in job.signature.inputs]
    broken = next((n for n, o in enumerate(outputs) if not _all_finite(o)), None)
    remarks = []
    for number, case in enumerate(tensors.load(Path(job.samples))):
        named = dict(zip(inputs, case, strict=True))
        if number == 0 and job.trace:
            remarks.append(tracing.write(path, named, Path(job.trace)))
        if number == broken:
            origin = tracing.first_not_finite(path, named)
            remarks.append(f"NaN or Inf in sample {number} come from {origin}.")
            break
        if broken is None:
            break
    return tuple(remarks)


def _all_finite(tensors: Sequence[Array]) -> bool:
    return all(bool(np.isfinite(t).all()) for t in tensors if t.dtype.kind == "f")


def _shape(value: Any, axes: int) -> tuple[int, ...]:
    """Core ML gives what has no axes as one of size 1."""
    shape = np.shape(value)
    return () if axes == 0 and shape == (1,) else shape


def _readings(
    path: Path, job: RunJob, outputs: Sequence[Sequence[Array]], ways: Sequence[tuple[str, Mode]]
) -> tuple[Reading, ...]:
    """How far a few cases' outputs lie from what was reported when the emulator runs in other modes."""
    chosen = _spread(len(outputs), _FEW)
    readings = []
    for way, mode in ways:
        progress.report(f"run as {way}")
        model = _emulator(path, mode, job.signature)
        found = {}
        inputs = [spec.name for spec in job.signature.inputs]
        for number, case in enumerate(tensors.load(Path(job.samples))):
            if number in chosen:
                found[number] = model.predict(dict(zip(inputs, case, strict=True)))
        for index, spec in enumerate(job.signature.outputs):
            pairs = [(outputs[n][index], np.asarray(found[n][spec.name])) for n in sorted(chosen)]
            largest, worst_db = _difference(pairs)
            readings.append(
                Reading(
                    way=way, output=spec.name, max_abs=largest, sqnr_db=worst_db, cases=len(pairs)
                )
            )
    return tuple(readings)


def _spread(count: int, most: int) -> frozenset[int]:
    """At most `most` numbers below `count`, evenly spread."""
    return (
        frozenset(round(i * (count - 1) / max(1, most - 1)) for i in range(most))
        if count
        else frozenset()
    )


def _difference(pairs: Sequence[tuple[Array, Array]]) -> tuple[float, float]:
    """The largest difference, and the worst case's ratio of signal to noise in decibels.

    A value that is finite in one and not in the other makes them infinite and -999.
    """
    largest, worst_db = 0.0, _EQUAL_DB
    for one, other in pairs:
        signal, noise = one.astype(np.float64), other.astype(np.float64).reshape(one.shape)
        if not np.array_equal(np.isfinite(signal), np.isfinite(noise)):
            return 1e308, -_EQUAL_DB
        finite = np.isfinite(signal)
        difference = (signal - noise)[finite]
        power = float(np.square(difference).sum())
        if power:
            largest = max(largest, float(np.abs(difference).max()))
            level = float(np.square(signal[finite]).sum())
            worst_db = min(worst_db, 10 * math.log10(max(level, 1e-300) / power))
    return largest, max(worst_db, -_EQUAL_DB)
