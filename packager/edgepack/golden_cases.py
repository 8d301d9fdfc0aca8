"""Golden cases: the samples and reference outputs that an app carries to repeat the comparison."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from edgepack.errors import EdgepackError
from edgepack.verdict import GOLDEN_CASES

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from edgepack.wire.types import Signature, TensorSpec

    Array = np.ndarray[Any, Any]

MAX_CASE_BYTES = 4 * 1024 * 1024

MAX_ONLY_CASE_BYTES = 32 * 1024 * 1024
"""For the one case of a model whose cases are all larger: an app that checks nothing proves nothing."""

_STORED = frozenset(
    ("float32", "float16", "float64", "int64", "int32", "int16", "int8", "uint8", "bool")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenCase:
    """One call of the source model: its inputs and outputs in the order of the signature."""

    inputs: tuple[Array, ...]
    outputs: tuple[Array, ...]


def stored(
    golden: Sequence[GoldenCase], signature: Signature
) -> tuple[list[dict[str, Any]], dict[str, bytes], list[dict[str, Any]]]:
    """Cases as golden.json lists them, the content of their files, a note for each one left out.

    The first GOLDEN_CASES that are small enough are taken, or else the first one that is not too large.
    Raises E606.
    """
    found = _taken(golden, signature, GOLDEN_CASES, MAX_CASE_BYTES)
    return found if found[0] else _taken(golden, signature, 1, MAX_ONLY_CASE_BYTES)


def _taken(
    golden: Sequence[GoldenCase], signature: Signature, most: int, most_bytes: int
) -> tuple[list[dict[str, Any]], dict[str, bytes], list[dict[str, Any]]]:
    """As `stored`: the first `most` cases of no more than so many bytes each. Raises E606."""
    cases: list[dict[str, Any]] = []
    files: dict[str, bytes] = {}
    skipped: list[dict[str, Any]] = []
    for number, case in enumerate(golden):
        if len(cases) == most:
            break
        inputs = _encoded(number, "input", case.inputs, signature.inputs)
        outputs = _encoded(number, "output", case.outputs, signature.outputs)
        size = sum(len(data) for _, data in inputs + outputs)
        if size > most_bytes:
            why = f"golden case {number} was left out: {size} bytes, an app takes {most_bytes}"
            skipped.append({"case": number, "bytes": size, "why": why})
            continue
        cases.append({"inputs": [e for e, _ in inputs], "outputs": [e for e, _ in outputs]})
        files.update({entry["file"]: data for entry, data in inputs + outputs})
    return cases, files, skipped


def notes(cases: list[dict[str, Any]], skipped: list[dict[str, Any]]) -> list[str]:
    """What a person should know of the golden cases that are not there."""
    notes = [str(entry["why"]) for entry in skipped]
    return notes if cases else [*notes, "there are no golden cases: the app can check nothing"]


def _encoded(
    number: int, kind: Literal["input", "output"], arrays: Sequence[Array],
    specs: Sequence[TensorSpec],
) -> list[tuple[dict[str, Any], bytes]]:  # fmt: skip
    """Description and little-endian bytes of each array of a case.

    Inputs are stored as the model takes them, outputs as the source model gave them. Raises E606.
    """
    import numpy as np

    if len(arrays) != len(specs):
        raise _misfit(number, f"it has {len(arrays)} {kind}s, the model {len(specs)}")
    encoded = []
    for index, (given, spec) in enumerate(zip(arrays, specs, strict=True)):
        array = np.asarray(given)
        if not _fits(array.shape, spec.shape, exactly=kind == "input"):
            raise _misfit(number, f"{kind} {spec.name!r} is {array.shape}, it must be {spec.shape}")
        stored = _fed(number, array, spec) if kind == "input" else array
        dtype = stored.dtype.name
        if dtype not in _STORED:
            raise _misfit(number, f"{kind} {spec.name!r} is {dtype}")
        if kind == "output" and not np.all(np.isfinite(stored)):
            raise _misfit(number, f"output {spec.name!r} holds a number that is not finite")
        data = np.ascontiguousarray(stored.astype(stored.dtype.newbyteorder("<"))).tobytes()
        entry = {
            "name": spec.name,
            "file": f"case{number}_{kind}{index}.bin",
            "dtype": dtype,
            "shape": [int(size) for size in array.shape],
        }
        encoded.append((entry, data))
    return encoded


def _fits(shape: tuple[int, ...], wanted: tuple[int | str, ...], *, exactly: bool) -> bool:
    """Whether a shape is the wanted one; with exactly=False, whether it has as many numbers.

    A target may give a scalar as one number in one axis.
    """
    fixed = [axis for axis in wanted if isinstance(axis, int)]
    if not exactly and len(fixed) == len(wanted):
        return math.prod(shape) == math.prod(fixed)
    return len(shape) == len(wanted) and all(
        isinstance(axis, str) or axis == size for size, axis in zip(shape, wanted, strict=True)
    )


def _fed(number: int, array: Array, spec: TensorSpec) -> Array:
    """The input as the model takes it: quantized, or its values unchanged. Raises E606."""
    import numpy as np

    wanted = np.dtype(spec.dtype)
    if array.dtype == wanted:
        return array
    if spec.quantization and array.dtype.kind == "f" and wanted.kind in "iu":
        levels = np.rint(array / spec.quantization.scales[0]) + spec.quantization.zero_points[0]
        whole = np.iinfo(wanted)
        return np.asarray(np.clip(levels, whole.min, whole.max).astype(wanted))
    with np.errstate(over="ignore", invalid="ignore"):
        fed = array.astype(wanted)
        rounds = array.dtype.kind == "f" and wanted.kind == "f"
        same = (
            np.isfinite(fed) == np.isfinite(array) if rounds else fed.astype(array.dtype) == array
        )
    if not np.all(same):
        raise _misfit(number, f"input {spec.name!r} is {array.dtype}, {spec.dtype} cannot hold it")
    return fed


def _misfit(number: int, why: str) -> EdgepackError:
    """The error for a golden case that does not fit the model."""
    return EdgepackError(
        "E606",
        f"golden case {number} does not fit the model",
        why=why,
        help="take golden cases from the samples that the model was validated with",
    )


def peaks(golden: Sequence[GoldenCase], outputs: int) -> list[float]:
    """For each output the largest absolute number over all cases."""
    import numpy as np

    return [
        max(
            (
                float(np.abs(np.asarray(case.outputs[i], np.float64)).max(initial=0.0))
                for case in golden
            ),
            default=0.0,
        )
        for i in range(outputs)
    ]
