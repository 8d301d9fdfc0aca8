"""Photos and recordings as the arrays a model takes."""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.config import Audio, Image, Input
from edgepack.contract.settings import ImageInput
from edgepack.errors import EdgepackError
from edgepack.wire.types import Signature, TensorSpec

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

Array = np.ndarray[Any, np.dtype[Any]]
Case = tuple[Array, ...]

IMAGES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")

AUDIO = (".wav", ".flac", ".ogg", ".mp3", ".aiff", ".aif")

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
"""Pillow's mode by number of channels."""


def image_case(path: Path, inputs: Sequence[Input], signature: Signature) -> Case:
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

    Apps do the same with contract.images, which Pillow's resize equals to the bit and beats in speed.
    Raises E103 for settings that do not fit the channels, E226 when the shape is no image, E227 when
    the dtype cannot hold pixels, E228 for an unreadable file.
    """
    from PIL import Image as Pillow

    wanted = image_input(settings, spec)
    width, height, channels = wanted.width, wanted.height, wanted.channels
    resample = Pillow.Resampling[wanted.interpolation.upper()]
    image = _picture(path, _MODES[channels], gray=wanted.color == "gray")
    if wanted.resize:
        ratio = wanted.resize / min(image.size)
        size = (max(width, round(image.width * ratio)), max(height, round(image.height * ratio)))
        image = image.resize(size, resample)
        left, top = (image.width - width) // 2, (image.height - height) // 2
        image = image.crop((left, top, left + width, top + height))
    else:
        image = image.resize((width, height), resample)
    pixels = np.asarray(image).reshape(height, width, channels)
    if wanted.color == "bgr" and channels > 1:
        pixels = pixels[:, :, [2, 1, 0, *range(3, channels)]]
    if np.dtype(spec.dtype).kind == "f":
        mean, std = np.array(wanted.mean, np.float64), np.array(wanted.std, np.float64)
        pixels = (pixels.astype(np.float64) * wanted.scale - mean) / std
    array: Array = pixels.astype(spec.dtype)
    array = array.transpose(2, 0, 1) if wanted.layout == "channels-first" else array
    return array.reshape((1,) * (len(spec.shape) - array.ndim) + array.shape)


def image_input(settings: Image, spec: TensorSpec) -> ImageInput:
    """How a photo becomes the input `spec`, as apps need it. Raises E103, E226, E227."""
    height, width, channels, first = _image_layout(spec)
    for name in ("mean", "std"):
        values = getattr(settings, name)
        if len(values) not in (1, channels) or (name == "std" and not all(values)):
            raise EdgepackError(
                "E103",
                f"wrong value for image.{name} of input {spec.name!r}",
                why=f"It is {list(values)}; the input has {channels} channels.",
                help=f"Give one value or {channels}"
                + (", none of them 0." if name == "std" else "."),
            )
    fields = {name: getattr(settings, name) for name in settings.__struct_fields__}
    return ImageInput(
        width=width, height=height, channels=channels, dtype=spec.dtype,  # type: ignore[arg-type]
        layout="channels-first" if first else "channels-last", **fields,
    )  # fmt: skip


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
        raise unreadable(path, error) from error


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


def audio_cases(path: Path, inputs: Sequence[Input], signature: Signature) -> list[Case]:
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
        raise unreadable(path, error) from error
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


def unreadable(path: Path, error: Exception) -> EdgepackError:
    """E228 for a sample file that its reader refused."""
    return EdgepackError(
        "E228",
        f"{path} cannot be read as a sample",
        why=f"{type(error).__name__}: {' '.join(str(error).split())[:200]}",
        help="Remove or replace the file.",
    )
