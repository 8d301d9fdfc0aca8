"""Images as an app has them, rows of pixels, and as a program has them, planes of numbers.

A program takes (1, channels, height, width), values from 0 to 255, in the order of its color space; the
scale and the bias that a converter was told are operations of the program. An app hands over rows of RGB
or gray pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgepack_targets.coreml.emulator import errors

Array = np.ndarray[Any, Any]
Range = tuple[int, int]

# FeatureTypes.proto, ImageFeatureType.ColorSpace.
_GRAY, _RGB, _BGR, _GRAY_HALF = 10, 20, 30, 40
_MODES = {_GRAY: ("L",), _RGB: ("RGB", "RGBA"), _BGR: ("RGB", "RGBA"), _GRAY_HALF: ("F", "L")}
_COLORS = 3
_ALPHA = 4
_ROWS = 2
_PLANES = 4
_WHITE = 255


@dataclass(frozen=True, slots=True)
class Image:
    """An image feature. space: its color space."""

    name: str
    space: int

    @classmethod
    def of(cls, feature: Any) -> Image:
        """The image of a feature description. Raises E202 for a color space there is not."""
        space = feature.type.imageType.colorSpace
        if space not in _MODES:
            raise errors.malformed(f"image {feature.name!r} is of color space {space}")
        return cls(feature.name, space)

    @property
    def channels(self) -> int:
        """Values of a pixel."""
        return _COLORS if self.space in (_RGB, _BGR) else 1

    def sizes(self, image: Any) -> tuple[tuple[Range, ...], frozenset[tuple[int, ...]]]:
        """The least and largest sizes of the planes, or the list of their shapes, of an image type."""
        flexible = image.WhichOneof("SizeFlexibility")
        if flexible == "enumeratedSizes":
            given = image.enumeratedSizes.sizes
            return (), frozenset((1, self.channels, int(s.height), int(s.width)) for s in given)
        fixed = ((1, 1), (self.channels, self.channels))
        if flexible == "imageSizeRange":
            sides = (image.imageSizeRange.heightRange, image.imageSizeRange.widthRange)
            return (*fixed, *((int(r.lowerBound), int(r.upperBound)) for r in sides)), frozenset()
        sides = (int(image.height), int(image.width))
        return (*fixed, *((n, n) for n in sides)), frozenset()

    def planes(self, value: Any) -> Array:
        """A PIL image, or an array (height, width) or (height, width, channels), as planes.

        Raises E507 for an image of another kind or values that are no pixels.
        """
        mode = getattr(value, "mode", None)
        if isinstance(mode, str) and mode not in _MODES[self.space]:
            raise errors.misfit(
                f"image {self.name!r} is of mode {mode!r}",
                why=f"The model takes images of mode {_MODES[self.space][0]!r}.",
            )
        try:
            array = np.asarray(value)
        except (TypeError, ValueError, RuntimeError, OSError) as error:
            raise errors.misfit(f"input {self.name!r} is no image", why=str(error)) from error
        if array.dtype.kind not in "fiu":
            raise errors.misfit(f"image {self.name!r} does not hold numbers, but {array.dtype}")
        if array.ndim == _ROWS:
            array = array[:, :, None]
        if array.ndim == _COLORS and array.shape[2] == _ALPHA and self.channels == _COLORS:
            array = array[:, :, :_COLORS]
        if array.ndim != _COLORS or array.shape[2] != self.channels:
            raise errors.misfit(
                f"image {self.name!r} has the shape {list(np.shape(value))}",
                why=f"The model takes height, width and {self.channels} channels.",
            )
        if self.space == _GRAY_HALF:
            with np.errstate(over="ignore"):
                array = array.astype(np.float16)
        elif array.dtype != np.uint8 and not np.array_equal(
            array, np.clip(np.round(array), 0, _WHITE)
        ):
            raise errors.misfit(
                f"pixels of image {self.name!r} are not whole numbers from 0 to 255"
            )
        if self.space == _BGR:
            array = array[:, :, ::-1]
        return array.transpose(2, 0, 1)[None].astype(np.float32)

    def pixels(self, planes: Array) -> Array:
        """Planes as rows: uint8, rounded and held between 0 and 255, RGB or gray; float16 for that space.

        Raises E509 for what are no planes of this image.
        """
        if planes.ndim != _PLANES or planes.shape[:2] != (1, self.channels):
            raise errors.failed(f"image {self.name!r} has the shape {list(planes.shape)}")
        rows = planes[0].transpose(1, 2, 0)
        if self.space == _GRAY_HALF:
            with np.errstate(over="ignore"):
                return rows[:, :, 0].astype(np.float16)
        whole = np.clip(np.round(np.nan_to_num(rows.astype(np.float32))), 0, _WHITE).astype(
            np.uint8
        )
        if self.channels == 1:
            return whole[:, :, 0]
        return np.ascontiguousarray(whole[:, :, ::-1]) if self.space == _BGR else whole
