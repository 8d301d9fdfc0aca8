"""Pixels come out as Pillow makes them, and as the settings of edgepack.toml have always meant."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import PIL
import pytest
from PIL import Image, ImageOps

from edgepack import config, media
from edgepack.contract import images
from edgepack.contract.images import ImageInput
from edgepack.errors import EdgepackError
from edgepack.wire.types import TensorSpec
from golden.make_contract import COPIES, FOLDER, picture, sha256

VECTORS: dict[str, Any] = json.loads((FOLDER / "images.json").read_text(encoding="utf-8"))
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos")


def opened(pixels: np.ndarray[Any, Any]) -> Image.Image:
    height, width, channels = pixels.shape
    return Image.frombytes(MODES[channels], (width, height), pixels.tobytes())


def test_the_vectors_still_come_out() -> None:
    for case in VECTORS["resizes"]:
        done = images.resize(
            picture(case["seed"], *case["from"]), *case["to"], case["interpolation"]
        )
        assert sha256(done) == case["sha256"], case
    for case in VECTORS["upright"]:
        done = images.upright(picture(5, 4, 3, 3), case["orientation"])
        assert sha256(done) == case["sha256"], case
    for case in VECTORS["prepared"]:
        settings = msgspec.convert(case["settings"], ImageInput)
        done = images.prepare(picture(case["seed"], *case["from"]), settings)
        assert (list(done.shape), sha256(done)) == (case["shape"], case["sha256"]), case


def test_the_apps_carry_the_same_vectors() -> None:
    ours = {path.name: path.read_bytes() for path in FOLDER.iterdir()}
    for copy in COPIES:
        assert {path.name: path.read_bytes() for path in copy.iterdir()} == ours, copy


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_resizing_equals_pillow_to_the_bit(interpolation: images.Interpolation) -> None:
    dice = random.Random(interpolation)
    for seed in range(60):
        width, height, channels = dice.randint(1, 150), dice.randint(1, 150), dice.choice((1, 3, 4))
        to = (dice.randint(1, 80), dice.randint(1, 80))
        fewer = height - to[1]
        if int(PIL.__version__.split(".")[0]) < 13 and fewer > max(0, 2 * (width - to[0])):
            continue  # Pillow 13 changed which direction comes first here.
        pixels = picture(seed, width, height, channels)
        pixels = pixels if seed % 3 else np.where(pixels > 127, 255, 0).astype(np.uint8)
        theirs = opened(pixels).resize(to, Image.Resampling[interpolation.upper()])
        ours = images.resize(pixels, *to, interpolation)
        assert ours.tobytes() == theirs.tobytes(), (width, height, channels, to)


def test_colours_and_orientation_equal_pillow() -> None:
    for channels, wanted, gray in [(a, b, g) for a in MODES for b in MODES for g in (False, True)]:
        pixels = picture(channels, 21, 13, channels)
        theirs = opened(pixels)
        theirs = (theirs.convert("L") if gray else theirs).convert(MODES[wanted])
        assert images.recolored(pixels, wanted, gray=gray).tobytes() == theirs.tobytes()
    for orientation in range(1, 9):
        image = opened(picture(1, 5, 3, 3))
        image.getexif()[0x0112] = orientation
        upright = images.upright(picture(1, 5, 3, 3), orientation)
        assert upright.tobytes() == ImageOps.exif_transpose(image).tobytes(), orientation


def test_the_settings_of_edgepack_toml_keep_their_meaning(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    opened(picture(9, 64, 40, 3)).save(path)
    for seed in range(40):
        dice = random.Random(seed)
        channels, first = dice.choice((1, 3, 4)), dice.random() < 0.5
        width, height, dtype = (
            dice.randint(5, 40),
            dice.randint(5, 40),
            dice.choice(("float32", "uint8")),
        )
        shape = (1, channels, height, width) if first else (1, height, width, channels)
        settings = config.Image(
            resize=dice.choice((0, 24, 40)), interpolation=dice.choice(INTERPOLATIONS),
            color=dice.choice(("rgb", "bgr", "gray")), mean=(0.4,), std=(0.2,) * dice.choice((1, channels)),
        )  # fmt: skip
        layout = "NCHW" if first else "NHWC"
        spec = TensorSpec(name="image", dtype=dtype, shape=shape, layout=layout)
        before = media.image_array(path, settings, spec)
        now = images.prepare(
            np.asarray(Image.open(path)),
            ImageInput(
                width=width, height=height, channels=channels,  # type: ignore[arg-type]
                layout="channels-first" if first else "channels-last", dtype=dtype,  # type: ignore[arg-type]
                **msgspec.structs.asdict(settings),
            ),
        )  # fmt: skip
        assert np.array_equal(before[0], now), (settings, spec)


def test_a_picture_of_another_form_is_refused() -> None:
    for pixels in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((4, 4, 2), np.uint8)):
        with pytest.raises(EdgepackError, match="E620"):
            images.prepare(pixels, ImageInput(width=2, height=2))


@pytest.mark.parametrize("wrong", [{"mean": (0.0, 1.0)}, {"std": ()}, {"std": (1.0, 0.0, 1.0)}])
def test_mean_and_std_must_fit_the_channels(wrong: dict[str, Any]) -> None:
    with pytest.raises(EdgepackError, match="E621"):
        images.check(ImageInput(width=2, height=2, **wrong))
