"""Calibration and validation samples: read from files, made from the signature, fitted to the model.

A case is one call of the model: a tuple of arrays in the order of its inputs.
"""

from __future__ import annotations

import glob
import re
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack import media
from edgepack.config import Input
from edgepack.errors import EdgepackError
from edgepack.plan import SamplesPlan
from edgepack.wire import tensors
from edgepack.wire.types import Dimension, Signature, TensorSpec

if TYPE_CHECKING:
    pass

Array = np.ndarray[Any, np.dtype[Any]]
Case = tuple[Array, ...]

ARRAYS = (".npz", ".npy")


_ARRAY_ERRORS = (
    EOFError, KeyError, MemoryError, OSError, SyntaxError, ValueError, tokenize.TokenError,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What numpy was seen to raise on damaged files."""

_OWN_KEY = re.compile(r"c\d{5,}_i\d+")
"""Names of arrays in files that wire.tensors wrote."""


def files_of(plan: SamplesPlan) -> list[Path]:
    """The sample files that a folder, a glob or a file name stands for, sorted. Raises E229 if none.

    Hidden files are left out: systems keep thumbnails and metadata in them.
    """
    place = Path(plan.location)
    if place.is_dir():
        found = [
            p
            for p in place.rglob("*")
            if p.suffix.lower() in (*media.IMAGES, *media.AUDIO, *ARRAYS)
            and not any(part.startswith(".") for part in p.relative_to(place).parts)
        ]
    elif place.is_file():
        found = [place]
    else:
        # Only what follows the part that exists is a pattern: a folder may be called "run [2]".
        root = next(p for p in place.parents if p.is_dir())
        pattern = str(place.relative_to(root))
        names = glob.glob(pattern, root_dir=root, recursive=True)  # noqa: PTH207 Path.glob sees hidden files
        found = [root / name for name in names]
    found = sorted(p for p in found if p.is_file())
    if not found:
        raise EdgepackError(
            "E229",
            f"{plan.location} holds no samples",
            why=f"Samples are images ({' '.join(media.IMAGES[:4])}), audio ({' '.join(media.AUDIO[:3])}), .npz or .npy.",
            help="Give a folder, a glob such as data/*.npz, or file.py:function.",
        )
    return found


def read(plan: SamplesPlan, inputs: Sequence[Input], signature: Signature | None) -> list[Case]:
    """At most plan.cases cases from files, spread evenly over them.

    inputs: as configured, () when nothing was. signature: of the model, None before it is known; images
    and audio need it. Raises E226-E229.
    """
    names = [t.name for t in signature.inputs] if signature else [i.name for i in inputs]
    cases: list[Case] = []
    files = spread(files_of(plan), plan.cases)
    for path in files:
        kind = path.suffix.lower()
        if kind in ARRAYS:
            cases += _arrays(path, names)
        elif signature is None:
            raise EdgepackError(
                "E213",
                "the shapes of the model's inputs are unknown",
                why=f"{path.name} must be brought to the input's shape first.",
                help="Declare [[model.inputs]] with shapes.",
            )
        elif kind in media.IMAGES:
            cases.append(media.image_case(path, inputs, signature))
        elif kind in media.AUDIO:
            cases += media.audio_cases(path, inputs, signature)
        else:
            raise EdgepackError("E228", f"{path} is no sample edgepack can read")
    return spread(cases, plan.cases)


def fit(
    cases: Sequence[Case],
    signature: Signature,
    inputs: Sequence[Input],
    dimensions: Sequence[Dimension],
) -> list[Case]:
    """The cases with exactly the dtypes and shapes of the signature.

    A missing batch axis is added, a larger batch is cut into cases, smaller samples are padded where
    the input has a `pad` value. Raises E221 count, E225 NaN or Inf, E226 shape, E227 dtype.
    """
    pads = {i.name: i.pad for i in inputs}
    ranges = {d.name: d for d in dimensions}
    fitted = []
    for number, case in enumerate(cases):
        if len(case) != len(signature.inputs):
            raise EdgepackError(
                "E221",
                f"sample {number} has {len(case)} arrays, the model has {len(signature.inputs)} inputs",
                help="Give one array per input, in order or by name.",
            )
        for single in _split(case, signature):
            sizes: dict[str, int] = {}
            fitted.append(
                tuple(
                    _fit_one(array, spec, pads.get(spec.name), ranges, sizes, number)
                    for array, spec in zip(single, signature.inputs, strict=True)
                )
            )
    return fitted


def synthetic(
    signature: Signature,
    inputs: Sequence[Input],
    found_ranges: Sequence[tuple[str, int, int]],
    dimensions: Sequence[Dimension],
    cases: int,
) -> list[Case]:
    """Cases made from the signature alone: weak evidence, the same on every machine.

    Values stay in the input's range: the configured one, else the rows of the embedding table an
    integer input indexes, else standard normal floats, 0 or 1 for bool and int.
    """
    generator = np.random.default_rng(0)
    bounds: dict[str, tuple[float, float]] = {name: (low, high) for name, low, high in found_ranges}
    bounds |= {i.name: i.range for i in inputs if i.range is not None}
    ranges = {d.name: d for d in dimensions}
    made = []
    for number in range(cases):
        sizes = {d.name: (d.minimum, d.fixed, d.maximum)[number % 3] for d in ranges.values()}
        made.append(
            tuple(
                _random(generator, spec, bounds.get(spec.name), sizes) for spec in signature.inputs
            )
        )
    return made


def _random(
    generator: np.random.Generator,
    spec: TensorSpec,
    bounds: tuple[float, float] | None,
    sizes: dict[str, int],
) -> Array:
    shape = [a if isinstance(a, int) else sizes[a] for a in spec.shape]
    dtype = np.dtype(spec.dtype)
    if dtype.kind == "f":
        floats = generator.uniform(*bounds, shape) if bounds else generator.standard_normal(shape)
        return np.asarray(floats).astype(dtype)
    low, high = bounds or (0, 1)
    return np.asarray(generator.integers(int(low), int(high), shape, endpoint=True)).astype(dtype)


def spread(items: list[Any], most: int) -> list[Any]:
    """At most `most` of the items, evenly spaced."""
    if len(items) <= most:
        return items
    return [items[i * len(items) // most] for i in range(most)]


def _arrays(path: Path, names: Sequence[str]) -> list[Case]:
    """The cases of a .npy or .npz: arrays by input name, or a file of cases that edgepack wrote."""
    try:
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return [(loaded,)]
            if loaded.files and all(_OWN_KEY.fullmatch(k) for k in loaded.files):
                return list(tensors.load(path))
            return [_named_arrays(path, loaded, names)]
    except _ARRAY_ERRORS as error:
        raise media.unreadable(path, error) from error


def _named_arrays(path: Path, archive: np.lib.npyio.NpzFile, names: Sequence[str]) -> Case:
    """The arrays called `names`, or all; a single one needs no name. Raises E221."""
    keys = list(archive.files)
    wanted = list(names) or keys
    if len(keys) == len(wanted) == 1:
        wanted = keys
    missing = [n for n in wanted if n not in keys]
    if missing:
        raise EdgepackError(
            "E221",
            f"{path.name} has no array {missing[0]!r}",
            why=f"It has: {', '.join(keys)}. The model's inputs: {', '.join(wanted)}.",
            help="Save one array per input under the input's name: np.savez(path, image=...).",
        )
    return tuple(archive[n] for n in wanted)


def _split(case: Case, signature: Signature) -> Iterator[Case]:
    """Cases of the signature's own batch from one with another: no batch axis, or a larger one."""
    specs = signature.inputs
    if all(
        a.ndim == len(s.shape) - 1 and s.shape[:1] == (1,) for a, s in zip(case, specs, strict=True)
    ):
        yield tuple(a[None] for a in case)
        return
    batched = all(
        a.ndim == len(s.shape) and s.shape[:1] == (1,) and a.ndim > 0 and a.shape[0] > 1
        for a, s in zip(case, specs, strict=True)
    )
    if batched and len({a.shape[0] for a in case}) == 1:
        for row in range(case[0].shape[0]):
            yield tuple(a[row : row + 1] for a in case)
        return
    yield case


def _fit_one(
    array: Array,
    spec: TensorSpec,
    pad: float | None,
    ranges: dict[str, Dimension],
    sizes: dict[str, int],
    number: int,
) -> Array:
    array = _cast(array, spec, number)
    if array.ndim != len(spec.shape):
        raise _misfit(array, spec, number)
    wanted = []
    for axis, size in zip(spec.shape, array.shape, strict=True):
        if isinstance(axis, int):
            wanted.append(axis)
            continue
        bounds = ranges.get(axis)
        if sizes.setdefault(axis, size) != size or (
            bounds and not bounds.minimum <= size <= bounds.maximum
        ):
            raise _misfit(array, spec, number)
        wanted.append(size)
    if list(array.shape) != wanted:
        smaller = all(have <= want for have, want in zip(array.shape, wanted, strict=True))
        if pad is None or not smaller:
            raise _misfit(array, spec, number)
        widths = [(0, want - have) for have, want in zip(array.shape, wanted, strict=True)]
        array = np.pad(array, widths, constant_values=pad)
    return np.ascontiguousarray(array)


def _cast(array: Array, spec: TensorSpec, number: int) -> Array:
    wanted = np.dtype(spec.dtype)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise EdgepackError(
            "E225",
            f"sample {number} holds NaN or Inf in {spec.name!r}",
            help="Check how the samples are made.",
        )
    if not np.can_cast(array.dtype, wanted, "same_kind"):
        raise EdgepackError(
            "E227",
            f"sample {number} is {array.dtype} where {spec.name!r} is {spec.dtype}",
            help=f"Convert it: array.astype({spec.dtype!r}).",
        )
    with np.errstate(over="ignore"):
        cast = array.astype(wanted)
    kept = np.isfinite(cast).all() if wanted.kind == "f" else np.array_equal(cast, array)
    if not kept:
        raise EdgepackError(
            "E227",
            f"sample {number} has values that {spec.dtype} cannot hold in {spec.name!r}",
            help="Check the dtype of the samples.",
        )
    return cast


def _misfit(array: Array, spec: TensorSpec, number: int) -> EdgepackError:
    return EdgepackError(
        "E226",
        f"sample {number} has shape {list(array.shape)} where {spec.name!r} takes {list(spec.shape)}",
        help="Bring samples to the input's shape. Where a target needs a fixed size and samples are "
        "smaller, give [[model.inputs]] a `pad` value.",
    )
