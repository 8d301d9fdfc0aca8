"""Photos and recordings as a model takes them."""

from __future__ import annotations

import wave
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image as Pillow
from PIL import ImageOps

from edgepack import media, samples
from edgepack.config import Audio, Image, Input
from edgepack.wire.types import TensorSpec
from sample_bench import IMAGE, RNG, photo, plan, refusal, signature, tensor

WAVE = tensor("wave", 1, 1600)

# Images


def read_image(path: Path, spec: TensorSpec = IMAGE, **settings: Any) -> Any:
    return media.image_array(path, Image(**settings), spec)


def test_a_photo_becomes_scaled_channels_first_floats(tmp_path: Path) -> None:
    pixels = photo(tmp_path / "a.png")
    (case,) = samples.read(plan(tmp_path), (), signature(IMAGE))
    assert case[0].shape == (1, 3, 4, 6)
    assert case[0].dtype == np.float32
    np.testing.assert_allclose(case[0][0], pixels.transpose(2, 0, 1) / 255, rtol=1e-6)


def test_mean_and_std_are_taken_per_channel(tmp_path: Path) -> None:
    pixels = photo(tmp_path / "a.png")
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.25, 2.0)
    made = read_image(tmp_path / "a.png", mean=mean, std=std)
    for channel in range(3):
        wanted = (pixels[:, :, channel] / 255 - mean[channel]) / std[channel]
        np.testing.assert_allclose(made[0, channel], wanted, rtol=1e-5)


def test_integer_inputs_get_the_pixels_themselves(tmp_path: Path) -> None:
    pixels = photo(tmp_path / "a.png")
    for dtype in ("uint8", "int32", "int64"):
        made = read_image(
            tmp_path / "a.png", tensor("x", 1, 4, 6, 3, dtype=dtype, layout="NHWC"), mean=(9.0,)
        )
        assert made.dtype == dtype
        np.testing.assert_array_equal(made[0], pixels)


@pytest.mark.parametrize("dtype", ["int8", "bool"])
def test_an_input_that_cannot_hold_pixels_takes_no_image(tmp_path: Path, dtype: str) -> None:
    photo(tmp_path / "a.png")
    spec = tensor("x", 1, 3, 4, 6, dtype=dtype)
    assert refusal(lambda: read_image(tmp_path / "a.png", spec)).code == "E227"


def test_layouts_are_told_by_the_channels(tmp_path: Path) -> None:
    pixels = photo(tmp_path / "a.png", size=(4, 3))
    spec = tensor("x", 3, 4, 3)
    assert read_image(tmp_path / "a.png", tensor("x", 3, 3, 4)).shape == (3, 3, 4)
    first = samples.read(plan(tmp_path), (Input(name="x"),), signature(spec))[0][0]
    last = samples.read(plan(tmp_path), (Input(name="x", layout="HWC"),), signature(spec))[0][0]
    assert first.shape == last.shape == (3, 4, 3)
    np.testing.assert_allclose(last, pixels / 255, rtol=1e-6)
    assert not np.array_equal(first, last)


def test_the_batch_axis_may_have_a_name(tmp_path: Path) -> None:
    photo(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png", tensor("x", "batch", 3, 4, 6)).shape == (1, 3, 4, 6)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    pixels = np.zeros((4, 6, 3), np.uint8)
    pixels[0, 0] = 255
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "a.png"
    Pillow.fromarray(pixels).save(path, exif=exif)
    upright = np.asarray(ImageOps.exif_transpose(Pillow.open(path)))
    spec = tensor("x", *upright.shape, dtype="uint8", layout="HWC")
    made = read_image(path, spec)
    np.testing.assert_array_equal(made, upright)
    corners = {
        1: (0, 0),
        2: (0, -1),
        3: (-1, -1),
        4: (-1, 0),
        5: (0, 0),
        6: (0, -1),
        7: (-1, -1),
        8: (-1, 0),
    }
    assert made[corners[orientation]].tolist() == [255, 255, 255]


def test_gray_palette_and_transparent_images_are_brought_to_the_inputs_channels(
    tmp_path: Path,
) -> None:
    gray = photo(tmp_path / "gray.png", "L")
    made = read_image(tmp_path / "gray.png", tensor("x", 3, 4, 6, dtype="uint8"))
    np.testing.assert_array_equal(made, np.stack([gray] * 3))

    clear = photo(tmp_path / "rgba.png", "RGBA")
    made = read_image(tmp_path / "rgba.png", tensor("x", 4, 6, 3, dtype="uint8", layout="HWC"))
    np.testing.assert_array_equal(made, clear[:, :, :3])
    made = read_image(tmp_path / "rgba.png", tensor("x", 4, 6, 4, dtype="uint8", layout="HWC"))
    np.testing.assert_array_equal(made, clear)

    colors = np.array([[255, 0, 0], [0, 0, 255]], np.uint8)
    indexes = RNG.integers(0, 2, (4, 6), dtype=np.uint8)
    palette = Pillow.fromarray(indexes, "P")
    palette.putpalette(colors.ravel().tolist())
    palette.save(tmp_path / "palette.png")
    made = read_image(tmp_path / "palette.png", tensor("x", 4, 6, 3, dtype="uint8", layout="HWC"))
    np.testing.assert_array_equal(made, colors[indexes])

    photo(tmp_path / "cmyk.jpg", "CMYK")
    assert read_image(tmp_path / "cmyk.jpg").shape == (1, 3, 4, 6)


def test_one_channel_gets_the_luma_of_a_photo(tmp_path: Path) -> None:
    pixels = photo(tmp_path / "a.png").astype(np.float64)
    luma = pixels @ [0.299, 0.587, 0.114]
    made = read_image(tmp_path / "a.png", tensor("x", 1, 1, 4, 6, dtype="uint8"))
    np.testing.assert_allclose(made[0, 0], luma, atol=1)
    three = read_image(tmp_path / "a.png", tensor("x", 3, 4, 6, dtype="uint8"), color="gray")
    np.testing.assert_allclose(three, np.stack([luma] * 3), atol=1)


def test_bgr_swaps_red_and_blue_and_leaves_alpha(tmp_path: Path) -> None:
    pixels = photo(tmp_path / "a.png", "RGBA")
    three = read_image(
        tmp_path / "a.png", tensor("x", 4, 6, 3, dtype="uint8", layout="HWC"), color="bgr"
    )
    np.testing.assert_array_equal(three, pixels[:, :, [2, 1, 0]])
    spec = tensor("x", 4, 6, 4, dtype="uint8", layout="HWC")
    four = read_image(tmp_path / "a.png", spec, color="bgr")
    np.testing.assert_array_equal(four, pixels[:, :, [2, 1, 0, 3]])


def test_a_photo_is_resized_by_its_shorter_side_and_cropped_in_the_middle(tmp_path: Path) -> None:
    photo(tmp_path / "a.png", size=(40, 20))
    made = read_image(tmp_path / "a.png", tensor("x", 8, 8, 3, dtype="uint8"), resize=10)
    with Pillow.open(tmp_path / "a.png") as opened:
        wanted = opened.resize((20, 10), Pillow.Resampling.BILINEAR).crop((6, 1, 14, 9))
    np.testing.assert_array_equal(made, np.asarray(wanted))
    stretched = read_image(
        tmp_path / "a.png", tensor("x", 8, 8, 3, dtype="uint8"), interpolation="nearest"
    )
    with Pillow.open(tmp_path / "a.png") as opened:
        np.testing.assert_array_equal(
            stretched, np.asarray(opened.resize((8, 8), Pillow.Resampling.NEAREST))
        )


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"mean": (0.5, 0.5)}, "mean"),
        ({"std": (0.5, 0.5, 0.5, 0.5)}, "std"),
        ({"std": (0.5, 0.0, 0.5)}, "std"),
        ({"mean": ()}, "mean"),
    ],
)
def test_normalisation_that_does_not_fit_the_channels_is_e103(
    tmp_path: Path, settings: dict[str, Any], name: str
) -> None:
    photo(tmp_path / "a.png")
    error = refusal(lambda: read_image(tmp_path / "a.png", **settings))
    assert error.code == "E103"
    assert error.message == f"wrong value for image.{name} of input 'image'"


@pytest.mark.parametrize("mode", ["I;16", "I", "F"])
def test_deep_images_are_refused_and_not_clipped_to_white(tmp_path: Path, mode: str) -> None:
    dtype = {"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]
    path = tmp_path / "deep.tiff"
    Pillow.fromarray(np.full((4, 6), 3000, dtype)).save(path)
    error = refusal(lambda: read_image(path))
    assert error.code == "E228"
    assert "more than 8 bits" in error.why


@pytest.mark.filterwarnings("ignore")  # Pillow warns before it gives up
@pytest.mark.parametrize("suffix", media.IMAGES)
def test_a_damaged_image_is_e228(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    photo(path, "RGB", (60, 40))
    whole = path.read_bytes()
    for damaged in (b"", b"no image at all", whole[: len(whole) // 2], whole[:20]):
        path.write_bytes(damaged)
        error = refusal(lambda: read_image(path))
        assert error.code == "E228"
        assert str(path) in error.message


def test_an_image_that_claims_to_be_huge_is_e228(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    photo(path)
    data = bytearray(path.read_bytes())
    data[16:24] = (30_000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    path.write_bytes(data)
    assert refusal(lambda: read_image(path)).code == "E228"


@pytest.mark.parametrize(
    "inputs",
    [
        (tensor("x", 1, 10),),
        (tensor("x", 1, 2, 4, 6),),
        (tensor("x", 1, 3, "h", "w"),),
        (tensor("x", 1, 1, 3, 4, 6),),
        (tensor("x"),),
        (tensor("x", 1, 3, 4, 6), tensor("y", 1, 3, 4, 6)),
        (tensor("x", 1, 3, 4, 6), tensor("y", 1, 10)),
    ],
)
def test_a_model_that_takes_no_image_is_e226(
    tmp_path: Path, inputs: tuple[TensorSpec, ...]
) -> None:
    photo(tmp_path / "a.png")
    error = refusal(lambda: samples.read(plan(tmp_path), (), signature(*inputs)))
    assert error.code == "E226"


def test_an_image_needs_a_shape(tmp_path: Path) -> None:
    photo(tmp_path / "a.png")
    assert refusal(lambda: samples.read(plan(tmp_path), (), None)).code == "E213"


# Audio


def sound(path: Path, seconds: float = 0.25, rate: int = 16000, channels: int = 1) -> Any:
    time = np.arange(int(seconds * rate)) / rate
    tone = (0.5 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)
    soundfile.write(path, np.stack([tone] * channels, 1) if channels > 1 else tone, rate)
    return tone


def test_a_recording_is_cut_into_windows(tmp_path: Path) -> None:
    tone = sound(tmp_path / "a.wav")
    cases = samples.read(plan(tmp_path), (), signature(WAVE))
    assert [case[0].shape for case in cases] == [(1, 1600)] * 2
    np.testing.assert_allclose(cases[1][0][0], tone[1600:3200], atol=1e-4)
    hop = Input(name="wave", audio=Audio(hop=800))
    assert len(samples.read(plan(tmp_path), (hop,), signature(WAVE))) == 4


def test_a_short_recording_is_filled_with_silence(tmp_path: Path) -> None:
    tone = sound(tmp_path / "a.flac", 0.05)
    (case,) = samples.read(plan(tmp_path), (), signature(WAVE))
    np.testing.assert_allclose(case[0][0, :800], tone, atol=1e-4)
    assert not case[0][0, 800:].any()


def test_a_recording_is_mixed_down_and_resampled(tmp_path: Path) -> None:
    sound(tmp_path / "a.wav", 0.2, 44100, channels=2)
    (case, *_) = samples.read(plan(tmp_path), (), signature(WAVE))
    spectrum = np.abs(np.fft.rfft(case[0][0] * np.hanning(1600)))
    assert spectrum.argmax() * 10 == 440
    assert 0.4 < np.abs(case[0]).max() < 0.6


def test_a_window_of_any_length_takes_the_whole_recording(tmp_path: Path) -> None:
    sound(tmp_path / "a.wav", 0.25)
    (case,) = samples.read(plan(tmp_path), (), signature(tensor("wave", 1, 1, "time")))
    assert case[0].shape == (1, 1, 4000)


def test_a_16_bit_input_gets_16_bit_samples(tmp_path: Path) -> None:
    tone = sound(tmp_path / "a.wav", 0.1)
    spec = tensor("wave", 1, 1600, dtype="int16")
    (case,) = samples.read(plan(tmp_path), (), signature(spec))
    with wave.open(str(tmp_path / "a.wav")) as file:
        wanted = np.frombuffer(file.readframes(1600), "<i2")
    assert case[0].dtype == np.int16
    np.testing.assert_array_equal(case[0][0], wanted)
    assert np.abs(wanted).max() > 16000
    assert len(tone) == 1600


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64", "bool"])
def test_an_input_that_holds_no_audio_is_e227(tmp_path: Path, dtype: str) -> None:
    sound(tmp_path / "a.wav")
    spec = tensor("wave", 1, 1600, dtype=dtype)
    assert refusal(lambda: samples.read(plan(tmp_path), (), signature(spec))).code == "E227"


@pytest.mark.parametrize("kind", ["empty", "text", "silent", "header"])
def test_a_damaged_or_empty_recording_is_e228(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.wav"
    if kind == "silent":
        soundfile.write(path, np.zeros(0, np.float32), 16000)
    else:
        path.write_bytes({"empty": b"", "text": b"no sound", "header": b"RIFF\x00\x00"}[kind])
    for spec in (WAVE, tensor("wave", 1, "time")):
        error = refusal(lambda spec=spec: samples.read(plan(tmp_path), (), signature(spec)))
        assert error.code == "E228"


def test_a_model_that_takes_no_audio_is_e226(tmp_path: Path) -> None:
    sound(tmp_path / "a.wav")
    for inputs in ((WAVE, tensor("state", 2, 1, 8)), (tensor("scalar"),)):
        error = refusal(lambda i=inputs: samples.read(plan(tmp_path), (), signature(*i)))
        assert error.code == "E226"
