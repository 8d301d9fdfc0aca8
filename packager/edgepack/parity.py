"""How far an artifact's outputs are from the source model's: metrics, limits, verdicts.

Metrics are computed case by case in float64; a report holds the worst case and the quartiles.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from edgepack.config import ParityLimits
from edgepack.errors import EdgepackError
from edgepack.verdict import EQUAL_DB, Miss, ParityReport, Spread, TensorParity
from edgepack.wire.types import Evidence, Fidelity

Array = np.ndarray[Any, np.dtype[Any]]

HIGHER_IS_BETTER = {
    "max_abs": False,
    "max_rel": False,
    "sqnr_db": True,
    "psnr_db": True,
    "cosine": True,
    "argmax_agreement": True,
}


def compare(
    names: Sequence[str], reference: Iterable[Sequence[Array]], actual: Iterable[Sequence[Array]]
) -> list[TensorParity]:
    """Compare outputs by position, case by case.

    names: of the outputs. reference, actual: per case, one array per output.
    Raises E501 when counts or shapes differ, or the reference holds NaN or Inf.
    """
    pairs: list[list[tuple[Array, Array]]] = [[] for _ in names]
    for number, (wanted, got) in enumerate(zip(reference, actual, strict=True)):
        if len(wanted) != len(names) or len(got) != len(names):
            raise EdgepackError(
                "E501", f"case {number}: {len(got)} outputs where {len(names)} are due"
            )
        for index, (one, other) in enumerate(zip(wanted, got, strict=True)):
            if one.shape != other.shape:
                raise EdgepackError(
                    "E501",
                    f"output {names[index]!r} has shape {list(other.shape)}, the source model's "
                    f"{list(one.shape)}",
                    help="The artifact is of another model, or its outputs are swapped.",
                )
            pairs[index].append((one, other))
    return [_tensor(name, cases) for name, cases in zip(names, pairs, strict=True)]


def judge(
    variant: str,
    tensors: list[TensorParity],
    limits: ParityLimits,
    *,
    runtime: str,
    fidelity: Fidelity,
    evidence: Evidence,
    cases: int,
) -> ParityReport:
    """The verdict: pass when every output reaches every limit; `fail` names output and metric."""
    misses = [miss for tensor in tensors for miss in _misses(tensor, limits)]
    if misses:
        first = misses[0]
        reason = (
            f"output {first.output!r}: {first.metric} {first.value:.6g}, limit {first.limit:.6g}"
        )
        if len(misses) > 1:
            reason += f" (and {len(misses) - 1} more)"
    else:
        reason = f"{len(tensors)} outputs within limits on {cases} {evidence} samples"
    return ParityReport(
        variant=variant, runtime=runtime, fidelity=fidelity, evidence=evidence, cases=cases,
        tensors=tensors, limits=limits, verdict="fail" if misses else "pass", reason=reason,
        misses=misses,
    )  # fmt: skip


def passing(
    names: Sequence[str],
    reference: Iterable[Sequence[Array]],
    actual: Iterable[Sequence[Array]],
    limits: ParityLimits,
    most: int,
) -> list[int]:
    """Numbers of the first `most` cases that pass every limit each alone."""
    found: list[int] = []
    for number, (one, other) in enumerate(zip(reference, actual, strict=True)):
        if not any(_misses(t, limits) for t in compare(names, [one], [other])):
            found.append(number)
        if len(found) == most:
            break
    return found


def _misses(tensor: TensorParity, limits: ParityLimits) -> list[Miss]:
    """The limits that one output does not reach."""
    found = []
    if tensor.nonfinite:
        found.append(
            Miss(output=tensor.name, metric="nonfinite cases", value=tensor.nonfinite, limit=0)
        )
    exact = not tensor.dtype.startswith("float")
    if exact:
        # A count, an index or a flag is right or wrong; distances between them mean nothing.
        least = limits.min_argmax_agreement
        least = least if least is not None else (1.0 if limits.max_abs is not None else 0.99)
        checks: list[tuple[str, float | None, float | None, int | None]] = [
            ("agreement", tensor.argmax_agreement, least, None)
        ]
    else:
        if limits.max_abs is not None:
            limit = limits.max_abs * max(1.0, tensor.peak)
            if not tensor.max_abs.worst <= limit:
                found.append(
                    Miss(output=tensor.name, metric="max_abs", value=tensor.max_abs.worst, limit=limit,
                         case=tensor.max_abs.worst_case)
                )  # fmt: skip
        checks = [
            ("cosine", tensor.cosine.worst, limits.min_cosine, tensor.cosine.worst_case),
            ("psnr_db", tensor.psnr_db.worst, limits.min_psnr_db, tensor.psnr_db.worst_case),
            ("sqnr_db", tensor.sqnr_db.worst, limits.min_sqnr_db, tensor.sqnr_db.worst_case),
            ("argmax_agreement", tensor.argmax_agreement, limits.min_argmax_agreement, None),
        ]
    for metric, value, least, case in checks:
        if value is not None and least is not None and not value >= least:
            found.append(
                Miss(output=tensor.name, metric=metric, value=value, limit=least, case=case)
            )
    return found


def _tensor(name: str, pairs: list[tuple[Array, Array]]) -> TensorParity:
    """All metrics of one output over its cases."""
    dtype = str(pairs[0][0].dtype)
    # np.max, unlike max, lets no NaN slip through behind a number.
    peak = float(np.max([np.abs(r.astype(np.float64)).max(initial=0.0) for r, _ in pairs]))
    if not np.isfinite(peak):
        raise EdgepackError("E501", f"the reference of output {name!r} holds NaN or Inf")
    values: dict[str, list[float]] = {m: [] for m in HIGHER_IS_BETTER if m != "argmax_agreement"}
    agreements = []
    nonfinite = 0
    for one, other in pairs:
        reference, actual = one.astype(np.float64).ravel(), other.astype(np.float64).ravel()
        if not np.isfinite(actual).all():
            nonfinite += 1
            actual = np.nan_to_num(actual, nan=0.0, posinf=0.0, neginf=0.0)
        error = np.abs(reference - actual)
        values["max_abs"].append(float(error.max(initial=0.0)))
        floor = max(1e-3 * peak, 1e-12)
        values["max_rel"].append(
            float((error / np.maximum(np.abs(reference), floor)).max(initial=0.0))
        )
        values["sqnr_db"].append(sqnr_db(reference, actual))
        values["psnr_db"].append(psnr_db(reference, actual, peak))
        values["cosine"].append(cosine(reference, actual))
        agreements.append(agreement(one, other))
    known = [a for a in agreements if a is not None]
    return TensorParity(
        name=name,
        dtype=dtype,
        peak=peak,
        argmax_agreement=float(np.mean(known)) if known else None,
        nonfinite=nonfinite,
        **{
            metric: _spread(numbers, higher=HIGHER_IS_BETTER[metric])
            for metric, numbers in values.items()
        },
    )


def _spread(values: list[float], *, higher: bool) -> Spread:
    numbers = np.array(values)
    worst = int(numbers.argmin() if higher else numbers.argmax())
    lower, median, upper = np.quantile(numbers, [0.25, 0.5, 0.75])
    return Spread(
        worst=float(numbers[worst]), worst_case=worst, lower_quartile=float(lower),
        median=float(median), upper_quartile=float(upper),
    )  # fmt: skip


def sqnr_db(reference: Array, actual: Array) -> float:
    """Signal-to-quantization-noise ratio in decibels, EQUAL_DB when equal.

    reference, actual: float64 of one shape. 10·log10(Σ reference² / Σ (reference − actual)²);
    −EQUAL_DB where the reference is all zero and the other is not.
    Source: Lin, Talathi and Annapureddy, ICML 2016, arXiv:1511.06393.
    """
    return _ratio_db(float(np.square(reference).sum()), float(np.square(reference - actual).sum()))


def psnr_db(reference: Array, actual: Array, peak: float) -> float:
    """Peak signal-to-noise ratio in decibels, EQUAL_DB when equal.

    reference, actual: float64 of one shape. peak: largest absolute reference value of the output over
    all cases, so that a near-silent case is not judged against its own silence.
    10·log10(peak² / mean((reference − actual)²)).
    """
    noise = float(np.square(reference - actual).mean()) if reference.size else 0.0
    return _ratio_db(peak * peak, noise)


def _ratio_db(signal: float, noise: float) -> float:
    if noise == 0.0:
        return EQUAL_DB
    if signal == 0.0:
        return -EQUAL_DB
    return float(np.clip(10.0 * np.log10(signal / noise), -EQUAL_DB, EQUAL_DB))


def cosine(reference: Array, actual: Array) -> float:
    """Cosine of the angle between two tensors; 1 when both are all zero, 0 when only one is."""
    lengths = float(np.linalg.norm(reference)), float(np.linalg.norm(actual))
    if lengths == (0.0, 0.0):
        return 1.0
    if 0.0 in lengths:
        return 0.0
    return float(np.clip(reference @ actual / (lengths[0] * lengths[1]), -1.0, 1.0))


def agreement(reference: Array, actual: Array) -> float | None:
    """Fraction of positions where the largest element along the last axis is the same.

    Integer and bool tensors: fraction of equal elements. None for empty tensors, and for float tensors
    whose last axis has fewer than two elements.
    """
    if reference.size == 0:
        return None
    if reference.dtype.kind != "f":
        return float((reference == actual).mean())
    if reference.ndim == 0 or reference.shape[-1] < 2:  # noqa: PLR2004 one element is always the largest
        return None
    return float((reference.argmax(-1) == actual.argmax(-1)).mean())
