"""What tests of samples and of media share: signatures, plans, photos, and the error of a refusal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from edgepack.errors import EdgepackError
from edgepack.plan import SamplesPlan
from edgepack.wire.types import Signature, TensorSpec

RNG = np.random.default_rng(7)


def tensor(
    name: str, *shape: int | str, dtype: str = "float32", layout: str | None = None
) -> TensorSpec:
    return TensorSpec(name=name, dtype=dtype, shape=shape, layout=layout)


def signature(*inputs: TensorSpec) -> Signature:
    return Signature(name="forward", inputs=inputs, outputs=())


IMAGE = tensor("image", 1, 3, 4, 6)


def plan(location: Path | str, cases: int = 100) -> SamplesPlan:
    return SamplesPlan(kind="files", location=str(location), cases=cases)


def refusal(action: Callable[[], object]) -> EdgepackError:
    with pytest.raises(EdgepackError) as caught:
        action()
    return caught.value


def photo(path: Path, mode: str = "RGB", size: tuple[int, int] = (6, 4), **options: Any) -> Any:
    channels = {"L": (), "RGB": (3,), "RGBA": (4,), "CMYK": (4,), "LA": (2,)}[mode]
    pixels = RNG.integers(0, 256, (size[1], size[0], *channels), dtype=np.uint8)
    Pillow.fromarray(pixels, "CMYK" if mode == "CMYK" else None).save(path, **options)
    return pixels
