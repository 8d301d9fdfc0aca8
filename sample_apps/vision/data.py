"""Real photos for calibration and validation, out of the scikit-image wheel; nothing is downloaded.

No photo is in both sets; the two motorcycle pictures show one scene and stay together. Every case
is a crop of a photo, mirrored in every second case, the same on every machine and in every run.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Array = np.ndarray[Any, np.dtype[np.float32]]

SIZE = 224
MEAN = 0.498
SCALE = 0.502
"""As the weights were trained: (value / 255 - MEAN) / SCALE."""

CALIBRATION = (
    "astronaut.png",
    "rocket.jpg",
    "retina.jpg",
    "hubble_deep_field.jpg",
    "ihc.png",
    "coins.png",
    "grass.png",
    "brick.png",
)
VALIDATION = (
    "chelsea.png",
    "coffee.png",
    "camera.png",
    "motorcycle_left.png",
    "motorcycle_right.png",
)


def calibration() -> Iterator[dict[str, Array]]:
    """64 cases from 8 photos: crops over 35 % to 100 % of the shorter side."""
    yield from cases(CALIBRATION, crops=8, smallest=0.35, seed=1)


def validation() -> Iterator[dict[str, Array]]:
    """50 cases from 5 photos: crops over 60 % to 100 % of the shorter side."""
    yield from cases(VALIDATION, crops=10, smallest=0.6, seed=2)


def cases(
    names: Sequence[str], *, crops: int, smallest: float, seed: int
) -> Iterator[dict[str, Array]]:
    """`crops` square crops of each photo in turn, as {"image": float32 [1, 3, 224, 224]}.

    The first crop of a photo is its centre, the rest lie at random; the seed fixes them.
    """
    random = np.random.default_rng(seed)
    photos = [load(name) for name in names]
    for number in range(crops):
        for photo in photos:
            part, across, down = random.uniform((smallest, 0, 0), (1, 1, 1))
            if number == 0:
                part, across, down = 0.875, 0.5, 0.5
            yield {"image": crop(photo, part, across, down, mirror=number % 2 == 1)}


def crop(photo: Image.Image, part: float, across: float, down: float, *, mirror: bool) -> Array:
    """A square of the photo as the model takes it: RGB, float32 [1, 3, 224, 224], about -1 to 1.

    part: side of the square as a share of the shorter side. across, down: where it lies, 0 to 1.
    """
    side = part * min(photo.size)
    left, top = across * (photo.width - side), down * (photo.height - side)
    square = photo.resize(
        (SIZE, SIZE), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side)
    )
    pixels = np.asarray(square, dtype=np.float32)
    if mirror:
        pixels = pixels[:, ::-1]
    scaled = (pixels / 255 - MEAN) / SCALE
    return np.ascontiguousarray(scaled.transpose(2, 0, 1)[None], dtype=np.float32)


def load(name: str) -> Image.Image:
    """A photo that lies inside the scikit-image package, in RGB.

    scikit-image itself is not imported: its loaders would fetch what a wheel lacks.
    Raises FileNotFoundError if the package or the photo is missing.
    """
    package = find_spec("skimage")
    if package is None or package.origin is None:
        raise FileNotFoundError("scikit-image is not installed")
    with Image.open(Path(package.origin).parent / "data" / name) as photo:
        return photo.convert("RGB")
