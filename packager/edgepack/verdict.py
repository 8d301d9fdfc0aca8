"""Parity reports as values, apart from how they are computed: reading one needs no numpy."""

from __future__ import annotations

from msgspec import Struct

from edgepack.config import ParityLimits
from edgepack.wire.types import Evidence, Fidelity, Reading, Verdict

GOLDEN_CASES = 3
"""Cases that an app carries to repeat the comparison on the phone."""

EQUAL_DB = 999.0
"""Stands for +inf where outputs are equal; JSON has no infinity."""


class Spread(Struct, frozen=True, kw_only=True):
    """A metric over all cases: its worst value, the case that has it, and the quartiles."""

    worst: float
    worst_case: int
    lower_quartile: float
    median: float
    upper_quartile: float


class TensorParity(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One output compared. peak: largest absolute reference value over all cases.

    argmax_agreement: over all cases, the fraction of positions where the largest element along the
    last axis is the same; for integer and bool outputs the fraction of equal elements; absent for
    float outputs whose last axis has one element.
    nonfinite: cases in which the artifact gave NaN or Inf.
    """

    name: str
    dtype: str
    peak: float
    max_abs: Spread
    max_rel: Spread
    sqnr_db: Spread
    psnr_db: Spread
    cosine: Spread
    argmax_agreement: float | None = None
    nonfinite: int = 0


class Miss(Struct, frozen=True, kw_only=True):
    """A limit that was not reached. case: where it is worst, None for a metric over all cases."""

    output: str
    metric: str
    value: float
    limit: float
    case: int | None = None


class ParityReport(Struct, frozen=True, kw_only=True):
    """The comparison of one variant. reason: one sentence for a person.

    golden: the first cases that pass the limits each alone; an app carries them.
    readings: how far the outputs move when the artifact is run in other ways that its format allows.
    notes: what else the runtime had to say.
    """

    variant: str
    runtime: str
    fidelity: Fidelity
    evidence: Evidence
    cases: int
    tensors: list[TensorParity]
    limits: ParityLimits
    verdict: Verdict
    reason: str
    misses: list[Miss] = []
    golden: list[int] = []
    readings: list[Reading] = []
    notes: list[str] = []


def uncertainty(report: ParityReport) -> list[str]:
    """A sentence for each other way of running the artifact, of the output that moves most in it."""
    sentences = []
    for way in dict.fromkeys(reading.way for reading in report.readings):
        worst = min((r for r in report.readings if r.way == way), key=lambda r: r.sqnr_db)
        moved = (
            "changes nothing"
            if worst.sqnr_db >= EQUAL_DB
            else f"moves {worst.output!r} by up to {worst.max_abs:.3g} (SQNR {worst.sqnr_db:.1f} dB)"
        )
        sentences.append(f"Read as {way}, it {moved} on {worst.cases} samples.")
    return sentences


def not_run(variant: str, reason: str, limits: ParityLimits, evidence: Evidence) -> ParityReport:
    """The report of an artifact that nothing here can run. Never a pass."""
    return ParityReport(
        variant=variant, runtime="none", fidelity="none", evidence=evidence, cases=0, tensors=[],
        limits=limits, verdict="not-run", reason=reason,
    )  # fmt: skip
