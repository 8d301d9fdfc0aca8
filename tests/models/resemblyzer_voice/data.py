"""Mel spectrograms of recorded speech, as Resemblyzer makes them. No recording is in both sets.

Its removal of long pauses is left out: it needs a voice detector, and the recordings have few.
"""

from __future__ import annotations

import wave
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Array = np.ndarray[Any, np.dtype[np.float32]]

SPEECH = Path(__file__).parent / "speech"
CALIBRATION = (
    ("reader-1", "reader-2"),
    ("cards-1", "cards-2", "cards-3"),
    ("forever-1",),
)
VALIDATION = (
    ("reader-3", "reader-4", "reader-5"),
    ("cards-4", "cards-5"),
    ("forever-2",),
)
"""Recordings of one speaker after another; those of a speaker are joined."""

RATE = 16000
WINDOW = 400
STEP = 160
MELS = 40
FRAMES = 160
"""Frames of one case: 1.6 s."""
STRIDE = 75
"""Frames from one case to the next."""
LEVEL = 10 ** (-30 / 20)
"""Root mean square that quieter recordings are raised to."""


def calibration() -> Iterator[dict[str, Array]]:
    """20 windows of three speakers, {"mel": float32 [1, 160, 40]}."""
    yield from windows(CALIBRATION)


def validation() -> Iterator[dict[str, Array]]:
    """29 windows of three speakers, {"mel": float32 [1, 160, 40]}."""
    yield from windows(VALIDATION)


def windows(speakers: Sequence[Sequence[str]]) -> Iterator[dict[str, Array]]:
    """Overlapping windows of each speaker's recordings in turn."""
    for names in speakers:
        spectrogram = mel_spectrogram(raise_level(np.concatenate([read(n) for n in names])))
        for start in range(0, len(spectrogram) - FRAMES + 1, STRIDE):
            yield {"mel": spectrogram[None, start : start + FRAMES]}


def mel_spectrogram(samples: Array) -> Array:
    """Mel power of 16 kHz audio, float32 [frames, 40]: windows of 25 ms every 10 ms, not in decibels.

    As librosa.feature.melspectrogram(n_fft=400, hop_length=160, n_mels=40): centred frames, padded
    with zeros, a periodic Hann window.
    """
    padded = np.pad(samples.astype(np.float64), WINDOW // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::STEP]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    power = np.abs(np.fft.rfft(frames * hann)) ** 2
    return (power @ mel_filters().T).astype(np.float32)


def mel_filters() -> np.ndarray[Any, np.dtype[np.float64]]:
    """Triangles over the 201 frequencies of a window, float64 [40, 201], each of area 1 in hertz.

    Their corners are evenly spaced on Slaney's mel scale: linear below 1 kHz, logarithmic above.
    """
    knee, spacing, growth = 1000.0, 200 / 3, np.log(6.4) / 27
    highest = knee / spacing + np.log(RATE / 2 / knee) / growth
    mels = np.linspace(0, highest, MELS + 2)
    above = knee * np.exp(growth * (mels - knee / spacing))
    corners = np.where(mels < knee / spacing, mels * spacing, above)
    frequencies = np.fft.rfftfreq(WINDOW, 1 / RATE)
    low, middle, high = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    rising = (frequencies - low) / (middle - low)
    falling = (high - frequencies) / (high - middle)
    return np.maximum(0, np.minimum(rising, falling)) * (2 / (high - low))


def raise_level(samples: Array) -> Array:
    """The recording at -30 dBFS if it is quieter, else as it is."""
    level = float(np.sqrt(np.mean(samples.astype(np.float64) ** 2)))
    return samples * np.float32(max(1.0, LEVEL / level))


def read(name: str) -> Array:
    """A recording of speech/: 16 kHz, float32 in -1 to 1."""
    with wave.open(str(SPEECH / f"{name}.wav")) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    return samples.astype(np.float32) / 32768
