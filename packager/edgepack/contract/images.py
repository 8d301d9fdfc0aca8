"""Pixels as the array that a model takes, the same to the bit as Pillow's 8-bit resize makes them.

A picture is uint8 [height, width, channels] with 1 (gray), 3 (RGB) or 4 (RGBA, not premultiplied)
channels. Reading files and colour profiles is the business of Pillow, Android and iOS.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.contract.settings import ImageInput, Interpolation
from edgepack.errors import EdgepackError

if TYPE_CHECKING:
    from collections.abc import Callable

Array = np.ndarray[Any, np.dtype[Any]]

GRAY, RGB, RGBA = 1, 3, 4
"""Kinds of pictures, by their number of channels."""

OPAQUE = 255

FRACTION_BITS = 22
"""Weights are whole multiples of 2**-22: 8 bits of pixel and 2 of overshoot fill the rest of 32."""

UPRIGHT = {2: (0, 1), 3: (1, 1), 4: (1, 0)}
"""By EXIF orientation, for those that keep width and height: (flip rows, flip columns)."""


def prepare(pixels: Array, image: ImageInput) -> Array:
    """The input that the settings make of a picture: [channels, height, width] or channels last.

    pixels: uint8 [height, width, channels]. The result has the settings' dtype and no batch axis.
    Raises E620 for pixels of another form, E621 for mean or std that do not fit the channels.
    """
    check(image)
    if pixels.dtype != np.uint8 or pixels.shape[2:] not in ((GRAY,), (RGB,), (RGBA,)):
        raise EdgepackError(
            "E620",
            f"{pixels.dtype} {list(pixels.shape)} is no picture",
            why="A picture is uint8 [height, width, channels] with 1, 3 or 4 channels.",
        )
    colored = recolored(pixels, image.channels, gray=image.color == "gray")
    cut = resized_and_cropped(colored, image)
    if image.color == "bgr" and image.channels != GRAY:
        cut = cut[:, :, [2, 1, 0, *range(RGB, image.channels)]]
    if image.dtype.startswith("float"):
        mean, std = np.array(image.mean, np.float64), np.array(image.std, np.float64)
        cut = (cut.astype(np.float64) * image.scale - mean) / std
    if image.layout == "channels-first":
        cut = cut.transpose(2, 0, 1)
    array: Array = np.ascontiguousarray(cut.astype(image.dtype))
    return array


def check(image: ImageInput) -> None:
    """Raises E621 unless mean and std have one value or one per channel, and no std is 0."""
    for name, values in (("mean", image.mean), ("std", image.std)):
        if len(values) not in (1, image.channels) or (name == "std" and not all(values)):
            raise EdgepackError(
                "E621",
                f"{name} = {list(values)} does not fit an image of {image.channels} channels",
                help=f"Give one value or {image.channels}"
                + (", none of them 0." if name == "std" else "."),
            )


def resized_and_cropped(pixels: Array, image: ImageInput) -> Array:
    """uint8 [image.height, image.width, channels]: the middle of the resized picture."""
    height, width = pixels.shape[:2]
    whole_width, whole_height = image.width, image.height
    if image.resize:
        ratio = image.resize / min(width, height)
        whole_width = max(image.width, round(width * ratio))
        whole_height = max(image.height, round(height * ratio))
    left, top = (whole_width - image.width) // 2, (whole_height - image.height) // 2
    whole = resize(pixels, whole_width, whole_height, image.interpolation)
    return whole[top : top + image.height, left : left + image.width]


def recolored(pixels: Array, channels: int, *, gray: bool) -> Array:
    """The picture with so many channels; gray ones are equal and opaque.

    Gray is (19595 R + 38470 G + 7471 B + 32768) >> 16. Source: Pillow, Convert.c, L24; ITU-R BT.601.
    """
    if (gray or channels == GRAY) and pixels.shape[2] != GRAY:
        red, green, blue = (pixels[:, :, c].astype(np.int32) for c in range(3))
        luma = (19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16
        pixels = luma.astype(np.uint8)[:, :, None]
    if pixels.shape[2] == GRAY and channels != GRAY:
        pixels = np.repeat(pixels, RGB, axis=2)
    if pixels.shape[2] < channels:
        opaque = np.full((*pixels.shape[:2], 1), OPAQUE, np.uint8)
        pixels = np.concatenate([pixels, opaque], axis=2)
    return pixels[:, :, :channels]


def upright(pixels: Array, orientation: int) -> Array:
    """The picture turned as its EXIF orientation asks, 1 to 8; any other leaves it as it is.

    Source: CIPA DC-008 (Exif 2.32), tag 0x0112.
    """
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
        flips = {5: (0, 0), 6: (0, 1), 7: (1, 1), 8: (1, 0)}[orientation]
    else:
        flips = UPRIGHT.get(orientation, (0, 0))
    rows, columns = (-1 if flip else 1 for flip in flips)
    return np.ascontiguousarray(pixels[::rows, ::columns])


# --- resampling ----------------------------------------------------------------------------------


def resize(pixels: Array, width: int, height: int, interpolation: Interpolation) -> Array:
    """uint8 [height, width, channels], every pixel the one that Pillow's Image.resize gives.

    The width changes first and the result is rounded to 8 bits; only where the height loses more than
    twice the pixels that the width loses it changes first, as in Pillow since 13. A direction whose
    size stays is left out. RGBA is premultiplied around it, except for nearest.
    Source: Pillow 13.0, Resample.c and Geometry.c.
    """
    if pixels.shape[:2] == (height, width):
        return pixels
    if interpolation == "nearest":
        rows = nearest_places(pixels.shape[0], height)
        return pixels[rows][:, nearest_places(pixels.shape[1], width)]
    alpha = pixels.shape[2] == RGBA
    resampled = _premultiplied(pixels) if alpha else pixels
    fewer_rows = pixels.shape[0] - height
    rows_first = fewer_rows > 0 and fewer_rows > 2 * (pixels.shape[1] - width)
    for axis in (0, 1) if rows_first else (1, 0):
        wanted = (height, width)[axis]
        if resampled.shape[axis] != wanted:
            turned = _resampled(np.moveaxis(resampled, axis, 0), wanted, interpolation)
            resampled = np.moveaxis(turned, 0, axis)
    return _unmultiplied(resampled) if alpha else resampled


def nearest_places(size: int, wanted: int) -> list[int]:
    """For each of the wanted places the one that is taken of `size`.

    The place is summed up in float64, step by step, as Pillow does; a product would round differently.
    """
    step = size / wanted
    places, place = [], step * 0.5
    for _ in range(wanted):
        places.append(min(int(place), size - 1))
        place += step
    return places


def weights(size: int, wanted: int, interpolation: Interpolation) -> list[tuple[int, list[int]]]:
    """For each of the wanted places the first of `size` that counts, and the weights from there on.

    Weights are whole numbers; they add up to about 2**FRACTION_BITS. Shrinking widens the filter.
    """
    reach, kernel = KERNELS[interpolation]
    scale = size / wanted
    stretch = max(scale, 1.0)
    support = reach * stretch
    inverse = 1.0 / stretch
    found = []
    for place in range(wanted):
        center = (place + 0.5) * scale
        first = max(0, int(center - support + 0.5))
        end = min(size, int(center + support + 0.5))
        steps = [(x + first - center + 0.5) * inverse for x in range(end - first)]
        real = [kernel(step) if -reach <= step < reach else 0.0 for step in steps]
        total = 0.0
        for weight in real:
            total += weight
        if total != 0.0:
            real = [weight / total for weight in real]
        found.append((first, [_fixed(weight) for weight in real]))
    return found


def _resampled(pixels: Array, wanted: int, interpolation: Interpolation) -> Array:
    """uint8 [wanted, …], resampled along the first axis."""
    out = np.empty((wanted, *pixels.shape[1:]), np.uint8)
    half = 1 << (FRACTION_BITS - 1)
    for place, (first, taps) in enumerate(weights(pixels.shape[0], wanted, interpolation)):
        window = pixels[first : first + len(taps)].astype(np.int32)
        total = np.tensordot(np.array(taps, np.int32), window, axes=(0, 0)) + half
        out[place] = np.clip(total >> FRACTION_BITS, 0, 255)
    return out


def _fixed(weight: float) -> int:
    """A weight as a multiple of 2**-FRACTION_BITS, halves rounded away from 0."""
    return int(weight * (1 << FRACTION_BITS) + (-0.5 if weight < 0 else 0.5))


def _premultiplied(pixels: Array) -> Array:
    """RGBA with the colours times alpha, rounded as Pillow's MULDIV255 does."""
    wide = pixels.astype(np.int32)
    product = wide[:, :, :3] * wide[:, :, 3:] + 128
    wide[:, :, :3] = ((product >> 8) + product) >> 8
    return wide.astype(np.uint8)


def _unmultiplied(pixels: Array) -> Array:
    """RGBA with the colours divided by alpha, towards 0; untouched where alpha is 0 or 255."""
    wide = pixels.astype(np.int32)
    alpha = wide[:, :, 3:]
    divided = np.minimum(255, 255 * wide[:, :, :3] // np.maximum(alpha, 1))
    wide[:, :, :3] = np.where((alpha == 0) | (alpha == OPAQUE), wide[:, :, :3], divided)
    return wide.astype(np.uint8)


def _bilinear(x: float) -> float:
    """A triangle from -1 to 1."""
    return 1.0 - abs(x)


def _bicubic(x: float) -> float:
    """Keys's cubic with a = -0.5, from -2 to 2. Source: Keys, IEEE ASSP 29(6), 1981."""
    x = abs(x)
    if x < 1.0:
        return (1.5 * x - 2.5) * x * x + 1
    return (((x - 5) * x + 8) * x - 4) * -0.5


def _lanczos(x: float) -> float:
    """A sinc in the window of a three times wider one, from -3 to 3."""
    return _sinc(x) * _sinc(x / 3)


def _sinc(x: float) -> float:
    """sin(πx) / πx."""
    return math.sin(x * math.pi) / (x * math.pi) if x != 0.0 else 1.0


KERNELS: dict[Interpolation, tuple[float, Callable[[float], float]]] = {
    "bilinear": (1.0, _bilinear),
    "bicubic": (2.0, _bicubic),
    "lanczos": (3.0, _lanczos),
}
"""By interpolation: how far the filter reaches when it enlarges, and the filter within that."""
