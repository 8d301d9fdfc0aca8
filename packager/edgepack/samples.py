"""Calibration and validation samples: read from files, made from the signature, fitted to the model.

A case is one call of the model: a tuple of arrays in the order of its inputs.
"""

from __future__ import annotations

import dataclasses
import glob
import re
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.config import Audio, Image, Input
from edgepack.errors import EdgepackError
from edgepack.plan import SamplesPlan
from edgepack.wire import tensors
from edgepack.wire.types import Dimension, Signature, TensorSpec

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

Array = np.ndarray[Any, np.dtype[Any]]
Case = tuple[Array, ...]

IMAGES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
AUDIO = (".wav", ".flac", ".ogg", ".mp3", ".aiff", ".aif")
ARRAYS = (".npz", ".npy")

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
"""Pillow's mode by number of channels."""

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
            if p.suffix.lower() in (*IMAGES, *AUDIO, *ARRAYS)
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
            why=f"Samples are images ({' '.join(IMAGES[:4])}), audio ({' '.join(AUDIO[:3])}), .npz or .npy.",
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
        elif kind in IMAGES:
            cases.append(_image_case(path, inputs, signature))
        elif kind in AUDIO:
            cases += _audio_cases(path, inputs, signature)
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
        raise _unreadable(path, error) from error


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


def _image_case(path: Path, inputs: Sequence[Input], signature: Signature) -> Case:
    """A photo as the one image input of the model."""
    settings = next((i for i in inputs if i.image is not None), None)
    candidates = [t for t in signature.inputs if len(t.shape) in (3, 4)]
    name = settings.name if settings else (candidates[0].name if len(candidates) == 1 else "")
    if not name or len(signature.inputs) != 1:
        raise EdgepackError(
            "E226",
            f"{path.name} is an image, but which input takes it is unclear",
            why=f"Inputs: {', '.join(t.name for t in signature.inputs)}.",
            help="Images serve models with one input; give .npz or file.py:function for others.",
        )
    spec = signature.inputs[0]
    layout = next((i.layout for i in inputs if i.name == spec.name), None)
    spec = dataclasses.replace(spec, layout=layout or spec.layout)
    return (image_array(path, settings.image or Image() if settings else Image(), spec),)


def image_array(path: Path, settings: Image, spec: TensorSpec) -> Array:
    """A photo as the array `spec` asks for: resized, cropped, scaled, normalised, batch axis 1.

    float inputs hold (pixel * scale - mean) / std, integer inputs the pixel values 0 to 255.
    Raises E103 for settings that do not fit the channels, E226 when the shape is no image, E227 when
    the dtype cannot hold pixels, E228 for an unreadable file.
    """
    from PIL import Image as Pillow

    height, width, channels, first = _image_layout(spec)
    mean, std = (_per_channel(settings, name, channels, spec) for name in ("mean", "std"))
    resample = Pillow.Resampling[settings.interpolation.upper()]
    image = _picture(path, _MODES[channels], gray=settings.color == "gray")
    if settings.resize:
        ratio = settings.resize / min(image.size)
        size = (max(width, round(image.width * ratio)), max(height, round(image.height * ratio)))
        image = image.resize(size, resample)
        left, top = (image.width - width) // 2, (image.height - height) // 2
        image = image.crop((left, top, left + width, top + height))
    else:
        image = image.resize((width, height), resample)
    pixels = np.asarray(image).reshape(height, width, channels)
    if settings.color == "bgr" and channels > 1:
        pixels = pixels[:, :, [2, 1, 0, *range(3, channels)]]
    if np.dtype(spec.dtype).kind == "f":
        pixels = (pixels.astype(np.float64) * settings.scale - mean) / std
    array: Array = pixels.astype(spec.dtype)
    array = array.transpose(2, 0, 1) if first else array
    return array.reshape((1,) * (len(spec.shape) - array.ndim) + array.shape)


def _picture(path: Path, mode: str, *, gray: bool) -> Picture:
    """An image file turned upright, in one of Pillow's 8-bit modes. Raises E228."""
    from PIL import Image as Pillow
    from PIL import ImageOps

    try:
        with Pillow.open(path) as opened:
            if opened.mode.startswith(("I", "F")):
                # Pillow clips these at 255: all that is brighter would silently turn white.
                raise ValueError(f"its pixels ({opened.mode}) have more than 8 bits per channel")
            upright = ImageOps.exif_transpose(opened)
            return (upright.convert("L") if gray else upright).convert(mode)
    except (
        OSError, EOFError, SyntaxError, ValueError, struct.error, Pillow.DecompressionBombError,
    ) as error:  # fmt: skip
        raise _unreadable(path, error) from error


def _per_channel(settings: Image, name: str, channels: int, spec: TensorSpec) -> Array:
    """The mean or std of an image input, as one value or one per channel. Raises E103."""
    values = np.array(getattr(settings, name), np.float64)
    if len(values) in (1, channels) and (name == "mean" or values.all()):
        return values
    raise EdgepackError(
        "E103",
        f"wrong value for image.{name} of input {spec.name!r}",
        why=f"It is {values.tolist()}; the input has {channels} channels.",
        help=f"Give one value or {channels}" + (", none of them 0." if name == "std" else "."),
    )


def _image_layout(spec: TensorSpec) -> tuple[int, int, int, bool]:
    """(height, width, channels, channels first) of an image input. Raises E226, E227."""
    if spec.dtype in ("int8", "bool"):
        raise EdgepackError(
            "E227",
            f"input {spec.name!r} is {spec.dtype}, which cannot hold pixel values up to 255",
            help="Give .npz files or file.py:function.",
        )
    match spec.shape:
        case (int(one), int(two), int(three)) | (_, int(one), int(two), int(three)):
            if one in _MODES and spec.layout not in ("NHWC", "HWC"):
                return two, three, one, True
            if three in _MODES:
                return one, two, three, False
    raise EdgepackError(
        "E226",
        f"input {spec.name!r} of shape {list(spec.shape)} takes no images",
        help="An image input has 1, 3 or 4 channels and a fixed height and width.",
    )


def _audio_cases(path: Path, inputs: Sequence[Input], signature: Signature) -> list[Case]:
    """A recording as windows of the one input's last axis."""
    import soundfile
    import soxr

    spec = signature.inputs[0]
    if len(signature.inputs) != 1 or not spec.shape:
        raise EdgepackError(
            "E226",
            f"{path.name} is audio, but the model has {len(signature.inputs)} inputs",
            why="Audio serves models with one input whose last axis is time.",
            help="Give .npz or file.py:function.",
        )
    if spec.dtype != "int16" and not spec.dtype.startswith("float"):
        raise EdgepackError(
            "E227",
            f"input {spec.name!r} is {spec.dtype}, which holds no audio",
            why="Audio becomes floats from -1 to 1, or 16-bit integers.",
            help="Give .npz or file.py:function.",
        )
    settings = next((i.audio for i in inputs if i.audio is not None), None) or Audio()
    try:
        wave, rate = soundfile.read(path, dtype="float32", always_2d=True)
        if not len(wave):
            raise ValueError("it holds no sound")
    except (OSError, RuntimeError, ValueError) as error:
        raise _unreadable(path, error) from error
    mono = wave.mean(axis=1)
    if rate != settings.sample_rate:
        mono = soxr.resample(mono, rate, settings.sample_rate)
    length = spec.shape[-1]
    length = length if isinstance(length, int) else len(mono)
    mono = np.pad(mono, (0, max(0, length - len(mono))))
    if spec.dtype == "int16":
        mono = np.clip(np.round(mono * 32768.0), -32768, 32767)
    hop = settings.hop or length
    shape = [1] * (len(spec.shape) - 1) + [length]
    starts = range(0, len(mono) - length + 1, hop)
    return [(mono[s : s + length].reshape(shape).astype(spec.dtype),) for s in starts]


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


def _unreadable(path: Path, error: Exception) -> EdgepackError:
    return EdgepackError(
        "E228",
        f"{path} cannot be read as a sample",
        why=f"{type(error).__name__}: {' '.join(str(error).split())[:200]}",
        help="Remove or replace the file.",
    )
