"""Every operation's result of one case, in the file's own precision and in single precision.

Where the two part, half precision loses; where values stop being finite, it breaks. Written down, the
results can be laid beside those of any other model with the same operations.
"""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgepack.wire import progress
from edgepack_targets.coreml.emulator import model as emulated

Array = np.ndarray[Any, Any]

LISTING, VALUES = "operations.json", "values.npz"


def write(path: Path, inputs: Mapping[str, Array], folder: Path) -> str:
    """Write `operations.json` and `values.npz` into a folder; a sentence on what stands out.

    operations.json: in order, each result's operator, name, dtype, shape, least and greatest value, number
    of values that are not finite, and, of float results, sqnr_db of "exact" against single precision (999:
    equal). values.npz: the results of the exact reading by name, those of a loop's last round.
    """
    progress.report("trace every operation")
    single = _results(path, inputs, "fp32")
    exact = _results(path, inputs, "exact")
    rows = [
        _row(operator, name, value, single.get(name)) for name, (operator, value) in exact.items()
    ]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / LISTING).write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    with zipfile.ZipFile(folder / VALUES, "w") as archive:
        for name, (_, value) in exact.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, value, allow_pickle=False)
    return _sentence(rows)


def first_not_finite(path: Path, inputs: Mapping[str, Array]) -> str:
    """The first operation with NaN or Inf among its results, "" if there is none."""
    found: list[str] = []

    def watch(operator: str, name: str, value: Any) -> None:
        if not found and isinstance(value, torch.Tensor) and not value.isfinite().all():
            found.append(f"{operator} {name!r}")

    emulated.open_package(path).predict(inputs, watch=watch)
    return found[0] if found else ""


def _results(path: Path, inputs: Mapping[str, Array], mode: Any) -> dict[str, tuple[str, Array]]:
    """Operator and value of every result by name."""
    results: dict[str, tuple[str, Array]] = {}

    def watch(operator: str, name: str, value: Any) -> None:
        if isinstance(value, torch.Tensor):
            results[name] = (operator, value.numpy().copy())

    emulated.open_package(path, mode=mode).predict(inputs, watch=watch)
    return results


def _row(operator: str, name: str, value: Array, other: tuple[str, Array] | None) -> dict[str, Any]:
    numbers = value.astype(np.float64)
    finite = numbers[np.isfinite(numbers)]
    row: dict[str, Any] = {
        "operator": operator,
        "name": name,
        "dtype": str(value.dtype),
        "shape": list(value.shape),
        "least": float(finite.min()) if finite.size else None,
        "greatest": float(finite.max()) if finite.size else None,
        "not_finite": int(numbers.size - finite.size),
    }
    if value.dtype.kind == "f" and other is not None and other[1].shape == value.shape:
        row["sqnr_db"] = _sqnr_db(other[1].astype(np.float64), numbers)
    return row


def _sqnr_db(wanted: Array, got: Array) -> float:
    both = np.isfinite(wanted) & np.isfinite(got)
    noise = float(np.square(wanted[both] - got[both]).sum())
    if not noise:
        return 999.0
    return 10 * math.log10(max(float(np.square(wanted[both]).sum()), 1e-300) / noise)


def _sentence(rows: list[dict[str, Any]]) -> str:
    broken = next((row for row in rows if row["not_finite"]), None)
    if broken is not None:
        return f"The first result that is not finite is that of {broken['operator']} {broken['name']!r}."
    judged = [row for row in rows if row.get("sqnr_db", 999.0) < 999.0]  # noqa: PLR2004 equal
    if not judged:
        return "No result depends on the precision."
    worst = min(judged, key=lambda row: row["sqnr_db"])
    return (
        f"The noisiest result is that of {worst['operator']} {worst['name']!r}: "
        f"{worst['sqnr_db']:.1f} dB against single precision."
    )
