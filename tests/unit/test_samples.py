"""Samples from real files: what becomes of them, what is fitted, what is refused."""

from __future__ import annotations

import os
import wave
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image as Pillow
from PIL import ImageOps

from edgepack import media, samples
from edgepack.config import Audio, Image, Input
from edgepack.errors import EdgepackError
from edgepack.plan import SamplesPlan
from edgepack.wire import tensors
from edgepack.wire.types import Dimension, Signature, TensorSpec

RNG = np.random.default_rng(7)


def tensor(
    name: str, *shape: int | str, dtype: str = "float32", layout: str | None = None
) -> TensorSpec:
    return TensorSpec(name=name, dtype=dtype, shape=shape, layout=layout)


def signature(*inputs: TensorSpec) -> Signature:
    return Signature(name="forward", inputs=inputs, outputs=())


IMAGE = tensor("image", 1, 3, 4, 6)
WAVE = tensor("wave", 1, 1600)


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


# Files


def test_a_folder_a_glob_and_a_file_stand_for_their_samples_in_order(tmp_path: Path) -> None:
    root = tmp_path / "run [2] ü *"
    for name in ("b.PNG", "a.jpg", "deep/er/c.npy", "notes.txt", ".hidden.png", ".cache/d.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")

    def names(location: Path) -> list[str]:
        return [p.relative_to(root).as_posix() for p in samples.files_of(plan(location))]

    assert names(root) == ["a.jpg", "b.PNG", "deep/er/c.npy"]
    assert names(root / "*.jpg") == ["a.jpg"]
    assert names(root / "**" / "*.npy") == ["deep/er/c.npy"]
    assert names(root / "?.*") == ["a.jpg", "b.PNG"]
    assert names(root / "notes.txt") == ["notes.txt"]
    assert names(root / "[ab].*") == ["a.jpg", "b.PNG"]


@pytest.mark.parametrize("place", ["empty", "missing", "empty/*.png", "missing/**/*.png"])
def test_no_samples_are_e229(tmp_path: Path, place: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "read.me").touch()
    error = refusal(lambda: samples.files_of(plan(tmp_path / place)))
    assert error.code == "E229"
    assert str(tmp_path / place) in error.message


def test_cases_are_spread_evenly_over_files_and_within_them(tmp_path: Path) -> None:
    for number in range(10):
        np.save(tmp_path / f"{number}.npy", np.full((1, 2), number, np.float32))
    read = samples.read(plan(tmp_path, 4), (), signature(tensor("x", 1, 2)))
    assert [int(case[0][0, 0]) for case in read] == [0, 2, 5, 7]
    assert samples.spread([1, 2, 3], 5) == [1, 2, 3]
    assert samples.spread(list(range(100)), 1) == [0]


def test_a_file_of_an_unknown_kind_is_e228(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    error = refusal(lambda: samples.read(plan(tmp_path / "notes.txt"), (), signature(IMAGE)))
    assert error.code == "E228"


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


# Arrays


def test_npz_files_hold_arrays_by_input_name(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", tokens=np.arange(3), mask=np.ones(3), more=np.zeros(1))
    takes = signature(tensor("mask", 3), tensor("tokens", 3))
    ((mask, tokens),) = samples.read(plan(tmp_path), (), takes)
    assert tokens.tolist() == [0, 1, 2]
    assert mask.tolist() == [1, 1, 1]


def test_before_the_model_is_known_the_configured_names_count(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", b=np.zeros(1), a=np.ones(1))
    both = (Input(name="a"), Input(name="b"))
    assert [int(x[0]) for x in samples.read(plan(tmp_path), both, None)[0]] == [1, 0]
    assert [int(x[0]) for x in samples.read(plan(tmp_path), (), None)[0]] == [0, 1]


def test_a_single_array_needs_no_name(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", anything=np.ones(3))
    np.savez(tmp_path / "b.npz", char_ids=np.ones(3))
    np.save(tmp_path / "c.npy", np.ones(3))
    cases = samples.read(plan(tmp_path), (), signature(tensor("x", 3)))
    assert [case[0].tolist() for case in cases] == [[1, 1, 1]] * 3


def test_files_that_edgepack_wrote_hold_cases(tmp_path: Path) -> None:
    tensors.save(tmp_path / "a.npz", [(np.full(2, n), np.ones(1)) for n in range(3)])
    cases = samples.read(plan(tmp_path), (), signature(tensor("x", 2), tensor("y", 1)))
    assert [int(case[0][0]) for case in cases] == [0, 1, 2]


def test_an_array_is_known_by_its_content_and_not_its_suffix(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones(3))
    (tmp_path / "a.npy").rename(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", x=np.ones(3))
    (tmp_path / "b.npz").rename(tmp_path / "b.npy")
    cases = samples.read(plan(tmp_path), (), signature(tensor("x", 3)))
    assert [case[0].tolist() for case in cases] == [[1, 1, 1]] * 2


def test_a_missing_input_is_e221_and_says_what_is_there(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", image=np.ones(1), extra=np.ones(1))
    takes = signature(tensor("image", 1), tensor("mask", 1))
    error = refusal(lambda: samples.read(plan(tmp_path), (), takes))
    assert error.code == "E221"
    assert error.message == "a.npz has no array 'mask'"
    assert "image, extra" in error.why


@pytest.mark.parametrize("suffix", [".npz", ".npy"])
@pytest.mark.parametrize("kind", ["empty", "text", "half", "flipped", "objects"])
def test_a_damaged_array_file_is_e228(tmp_path: Path, suffix: str, kind: str) -> None:
    path = tmp_path / f"a{suffix}"
    value = np.array([{}], dtype=object) if kind == "objects" else RNG.standard_normal(2000)
    if suffix == ".npz":
        np.savez_compressed(path, x=value)
    else:
        np.save(path, value)
    whole = bytearray(path.read_bytes())
    if kind == "flipped":
        middle = len(whole) // 2 if suffix == ".npz" else 10
        whole[middle : middle + 8] = b"\xff" * 8
    damaged = {"empty": b"", "text": b"no array", "half": whole[: len(whole) // 2]}
    path.write_bytes(damaged.get(kind, whole))
    error = refusal(lambda: samples.read(plan(tmp_path), (), signature(tensor("x", 2000))))
    assert error.code == "E228"


# Fitting


def fit(case: Any, *specs: TensorSpec, pad: float | None = None, dims: Any = ()) -> list[Any]:
    inputs = [Input(name=s.name, pad=pad) for s in specs]
    return samples.fit([case], signature(*specs), inputs, dims)


def test_a_missing_batch_axis_is_added() -> None:
    (case,) = fit((np.zeros(3), np.zeros((2, 2))), tensor("x", 1, 3), tensor("y", 1, 2, 2))
    assert [a.shape for a in case] == [(1, 3), (1, 2, 2)]


def test_a_larger_batch_is_cut_into_cases() -> None:
    batch = np.arange(12, dtype=np.float32).reshape(4, 3)
    cases = fit((batch, batch[:, :2]), tensor("x", 1, 3), tensor("y", 1, 2))
    assert len(cases) == 4
    for row, (x, y) in enumerate(cases):
        np.testing.assert_array_equal(x, batch[row : row + 1])
        np.testing.assert_array_equal(y, batch[row : row + 1, :2])


def test_unequal_batches_are_e226() -> None:
    specs = tensor("x", 1, 3), tensor("y", 1, 2)
    assert refusal(lambda: fit((np.zeros((4, 3)), np.zeros((5, 2))), *specs)).code == "E226"


def test_smaller_samples_are_padded_where_a_value_is_given() -> None:
    spec = tensor("ids", 1, 5, dtype="int64")
    (case,) = fit((np.array([[7, 8]]),), spec, pad=0)
    assert case[0].tolist() == [[7, 8, 0, 0, 0]]
    (case,) = fit((np.array([7, 8]),), spec, pad=-1)
    assert case[0].tolist() == [[7, 8, -1, -1, -1]]
    error = refusal(lambda: fit((np.array([[7, 8]]),), spec))
    assert error.code == "E226"
    assert "`pad`" in error.help
    assert refusal(lambda: fit((np.zeros((1, 6), int),), spec, pad=0)).code == "E226"


def test_dimensions_keep_to_their_ranges_and_to_one_size_per_case() -> None:
    specs = tensor("x", 1, "n"), tensor("y", 1, "n", 2)
    dims = (Dimension(name="n", minimum=2, maximum=4, fixed=4),)
    (case,) = fit((np.zeros((1, 3)), np.zeros((1, 3, 2))), *specs, dims=dims)
    assert case[1].shape == (1, 3, 2)
    for one, other in ((3, 4), (1, 1), (5, 5)):
        pair = (np.zeros((1, one)), np.zeros((1, other, 2)))
        assert refusal(lambda pair=pair: fit(pair, *specs, dims=dims)).code == "E226"


@pytest.mark.parametrize("shape", [(2, 3), (3, 3, 3), (), (1, 4), (1, 1, 3)])
def test_another_shape_is_e226(shape: tuple[int, ...]) -> None:
    specs = (tensor("x", 2, 2),) if shape == (2, 3) else (tensor("x", 1, 3),)
    error = refusal(lambda: fit((np.zeros(shape),), *specs))
    assert error.code == "E226"
    assert "'x'" in error.message


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (np.array([1.0]), "int64"),
        (np.array([70000]), "int16"),
        (np.array([200], np.uint8), "int8"),
        (np.array([-1]), "uint8"),
        (np.array([1]), "bool"),
        (np.array([1e6]), "float16"),
        (np.array([1e300]), "float32"),
        (np.array([1 + 2j]), "float32"),
        (np.array(["text"]), "float32"),
        (np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f4")]), "float32"),
        (np.array(["2024-01-01"], "datetime64[D]"), "int64"),
    ],
)
def test_values_that_the_dtype_cannot_hold_are_e227(values: Any, dtype: str) -> None:
    assert refusal(lambda: fit((values,), tensor("x", 1, dtype=dtype))).code == "E227"


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (np.array([1.5]), "float16"),
        (np.array([3], np.uint8), "float32"),
        (np.array([True]), "float32"),
        (np.array([7]), "int32"),
        (np.array([True]), "int64"),
        (np.array([2.5], ">f8"), "float32"),
    ],
)
def test_values_that_the_dtype_can_hold_are_cast(values: Any, dtype: str) -> None:
    ((array,),) = fit((values,), tensor("x", 1, dtype=dtype))
    assert array.dtype == np.dtype(dtype)
    assert array.tolist() == values.tolist()
    assert array.flags.c_contiguous


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_inf_in_a_sample_are_e225(value: float) -> None:
    error = refusal(lambda: fit((np.array([1.0, value]),), tensor("x", 2)))
    assert error.code == "E225"
    assert "sample 0" in error.message


def test_another_number_of_arrays_is_e221() -> None:
    specs = tensor("x", 1), tensor("y", 1)
    error = refusal(lambda: fit((np.zeros(1),), *specs))
    assert error.code == "E221"
    assert error.message == "sample 0 has 1 arrays, the model has 2 inputs"


# Synthetic samples


def test_synthetic_samples_are_the_same_every_time_and_stay_in_range() -> None:
    takes = signature(
        tensor("x", 1, 500), tensor("unit", 1, 50), tensor("ids", 1, "n", dtype="int64"),
        tensor("mask", 1, "n", dtype="bool"), tensor("half", 1, 4, dtype="float16"),
    )  # fmt: skip
    dims = (Dimension(name="n", minimum=2, maximum=9, fixed=5),)
    inputs = (Input(name="unit", range=(-0.25, 0.5)),)
    made = [samples.synthetic(takes, inputs, [("ids", 3, 40)], dims, 6) for _ in range(2)]
    for one, other in zip(*made, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)
    assert [case[2].shape for case in made[0]] == [(1, n) for n in (2, 5, 9, 2, 5, 9)]
    assert all(c[3].shape == c[2].shape for c in made[0])
    x, unit, ids, mask = (np.concatenate([c[i].ravel() for c in made[0]]) for i in range(4))
    assert abs(x.mean()) < 0.1
    assert abs(x.std() - 1) < 0.1
    assert -0.25 <= unit.min() < 0 < unit.max() <= 0.5
    assert ids.min() >= 3
    assert ids.max() <= 40
    assert set(mask.tolist()) == {True, False}
    assert [a.dtype.name for a in made[0][0]] == ["float32", "float32", "int64", "bool", "float16"]
    assert made[0][0][0].ravel()[0] == np.float32(np.random.default_rng(0).standard_normal())
    fitted = samples.fit(made[0], takes, inputs, dims)
    assert len(fitted) == 6


def test_reading_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for number in range(3):
        photo(data / f"{number}.jpg", size=(30, 20))
    made = []
    for number in range(2):
        cases = samples.read(plan(data), (), signature(IMAGE))
        tensors.save(tmp_path / f"{number}.npz", samples.fit(cases, signature(IMAGE), (), ()))
        made.append((tmp_path / f"{number}.npz").read_bytes())
        os.utime(data / "1.jpg", (0, 0))
    assert made[0] == made[1]
