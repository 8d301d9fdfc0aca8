"""Sound becomes frames and spectrograms as published filter banks and other resamplers have it."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import numpy as np
import pytest
import soxr

from edgepack.contract import sound, wav
from edgepack.contract.sound import Frames, LogMel
from edgepack.errors import EdgepackError
from golden.make_contract import FOLDER, sha256, wave

VECTORS: dict[str, Any] = json.loads((FOLDER / "sound.json").read_text(encoding="utf-8"))

PUBLISHED = {
    0: (1, [0.02486259]),
    1: (1, [0.00199082, 0.02287177]),
    40: (42, [0.0054111, 0.01473557, 0.00651819]),
    60: (90, [0.00143453, 0.00344122, 0.0054479, 0.00659109, 0.00466001, 0.00272893, 0.00079785]),
}
"""Whisper's mel_filters.npz: by band, the first frequency that counts, and what it and its next give."""


def unpacked(values: str) -> np.ndarray[Any, Any]:
    return np.frombuffer(base64.b64decode(values), "<f4")


def close(ours: np.ndarray[Any, Any], values: str) -> bool:
    return np.allclose(ours.ravel(), unpacked(values), rtol=1e-6, atol=1e-7)


def test_the_vectors_still_come_out() -> None:
    for case in VECTORS["resampled"]:
        given = wave(case["seed"], case["samples"])
        assert close(sound.resample(given, case["from"], case["to"]), case["values"]), case["from"]
    for case in VECTORS["frames"]:
        done = sound.frames(
            wave(case["seed"], case["samples"]), msgspec.convert(case["settings"], Frames)
        )
        assert (len(done), sha256(done)) == (case["count"], case["sha256"]), case
    for case in VECTORS["spectrograms"]:
        settings = msgspec.convert(case["settings"], LogMel)
        done = sound.log_mel(wave(case["seed"], case["samples"]), settings)
        assert list(done.shape) == case["shape"]
        assert close(done, case["values"]), settings
    case = VECTORS["whisper"]
    done = sound.log_mel(wave(7, case["samples"]), msgspec.convert(case["settings"], LogMel))
    assert done.shape == (80, 3000)
    assert close(done[:, case["frames"]], case["values"])
    case = VECTORS["mono"]
    assert close(sound.mono(wave(3, 60).reshape(20, 3)), case["values"])


def test_the_filter_bank_is_the_published_one() -> None:
    bands = sound.mel_bands(LogMel())
    assert bands.shape == (80, 201)
    for band, (first, values) in PUBLISHED.items():
        expected = np.zeros(201)
        expected[first : first + len(values)] = values
        np.testing.assert_allclose(bands[band], expected, atol=1e-8)


def test_htk_bands_are_triangles_of_height_one() -> None:
    settings = LogMel(window=4000, mel_scale="htk", mel_norm="peak", bands=10)
    bands = sound.mel_bands(settings)
    # 2595 log10(1 + 8000 / 700) = 2840.02 mel in 11 steps; the first triangle peaks at 180.2 Hz.
    assert abs(int(bands[0].argmax()) * 4 - 700 * (10 ** (2840.023 / 11 / 2595) - 1)) <= 2
    assert np.all(bands.max(axis=1) > 0.95)
    assert np.all(bands.max(axis=1) <= 1)


def test_a_tone_stands_in_its_frequency_and_energy_is_kept() -> None:
    time = np.arange(400) / 16000
    plain = LogMel(length=0, bands=0, log="none", offset=0, scale=1, center="none", drop_last=False)
    power = sound.log_mel(np.cos(2 * np.pi * 1000 * time).astype(np.float32), plain)
    # A Hann window of 400 spreads half its sum, 100, over the bin and a quarter over its neighbours.
    np.testing.assert_allclose(power[24:27, 0], [2500, 10000, 2500], rtol=1e-5)
    assert power.sum() == pytest.approx(15000, rel=1e-5)


def test_silence_is_whispers_lowest_value_and_nothing_is_lower_than_eight_below() -> None:
    silent = sound.log_mel(np.zeros(10, np.float32), LogMel())
    assert np.all(silent == np.float32((-10 + 4) / 4))
    loud = sound.log_mel(wave(1, 16000), LogMel())
    assert loud.max() - loud.min() == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("rate", "wanted"), [(48000, 16000), (44100, 16000), (8000, 16000), (16000, 22050)]
)
def test_tones_survive_resampling(rate: int, wanted: int) -> None:
    def tones(at: int, count: int) -> np.ndarray[Any, Any]:
        return sum(np.sin(2 * np.pi * f * np.arange(count) / at + f) for f in (100, 997, 3100)) / 3

    given = tones(rate, rate // 2).astype(np.float32)
    done = sound.resample(given, rate, wanted)
    assert len(done) == -(-len(given) * wanted // rate)
    inner = slice(wanted // 20, -wanted // 20)
    np.testing.assert_allclose(done[inner], tones(wanted, len(done))[inner], atol=2e-6)
    theirs = soxr.resample(given, rate, wanted, quality="VHQ")[: len(done)]
    np.testing.assert_allclose(done[: len(theirs)][inner], theirs[inner], atol=2e-6)


def test_what_the_lower_rate_cannot_hold_is_gone() -> None:
    high = np.sin(2 * np.pi * 8500 * np.arange(24000) / 48000).astype(np.float32)
    assert np.abs(sound.resample(high, 48000, 16000)[400:-400]).max() < 1e-5


@pytest.mark.parametrize(("rate", "wanted"), [(0, 16000), (16000, -1), (15991, 16007)])
def test_an_odd_ratio_of_rates_is_refused(rate: int, wanted: int) -> None:
    with pytest.raises(EdgepackError, match="E622"):
        sound.resample(np.zeros(10, np.float32), rate, wanted)


def test_mirrored_places_do_not_repeat_the_edges() -> None:
    assert sound.mirrored(4, 3).tolist() == [3, 2, 1, 0, 1, 2, 3, 2, 1, 0]
    assert sound.mirrored(2, 3).tolist() == np.pad(np.arange(2), 3, mode="reflect").tolist()
    assert sound.mirrored(1, 2).tolist() == [0, 0, 0, 0, 0]


@pytest.mark.parametrize("settings", [LogMel(length=0), LogMel(length=0, center="none"),
                                      LogMel(length=100, center="none")])  # fmt: skip
def test_too_short_a_recording_is_refused(settings: LogMel) -> None:
    with pytest.raises(EdgepackError, match="E623"):
        sound.log_mel(np.zeros(0, np.float32), settings)


def test_frames_hold_the_samples_before_them() -> None:
    settings = Frames(size=5, hop=3, before=2)
    done = sound.frames(np.arange(1, 8, dtype=np.float32), settings)
    assert done.tolist() == [[0, 0, 1, 2, 3], [2, 3, 4, 5, 6], [5, 6, 7, 0, 0]]
    dropped = sound.frames(np.arange(1, 8, dtype=np.float32), Frames(size=5, hop=3, tail="drop"))
    assert dropped.tolist() == [[1, 2, 3, 4, 5]]


def test_sixteen_bits_are_rounded_to_even_and_clipped() -> None:
    case = VECTORS["pcm16"]
    assert sound.to_pcm16(np.array(case["values"], np.float32)).tolist() == case["samples"]
    assert case["samples"] == [-32768, -32768, 0, 2, 2, 32767, 32767]
    whole = np.arange(-32768, 32768, dtype=np.int16)
    assert np.array_equal(sound.to_pcm16(sound.from_pcm16(whole)), whole)


def test_recordings_are_read_and_written() -> None:
    case = VECTORS["wav"]
    samples = np.array(case["samples"], np.int16)
    assert wav.write(samples, case["rate"]) == base64.b64decode(case["file"])
    for each in case["read"]:
        done = wav.read(base64.b64decode(each["file"]), "a file")
        assert (done.rate, done.samples.shape[1]) == (each["rate"], each["channels"])
        assert done.samples.ravel().tolist() == each["samples"]


def test_files_that_are_no_recordings_are_refused() -> None:
    for file in VECTORS["wav"]["refused"]:
        with pytest.raises(EdgepackError) as caught:
            wav.read(base64.b64decode(file), "a file")
        assert caught.value.code == "E630"
