"""Recordings as Whisper hears them.

The front end is Whisper's: 16 kHz, windows of 400 samples every 160, 80 mel bands after Slaney, log10,
no more than 8 below the loudest, (x + 4) / 4, and 30 seconds filled up with silence.
"""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

RATE, WINDOW, HOP, MELS, SECONDS = 16000, 400, 160, 80, 30

BEND_HERTZ, BEND_MEL = 1000, 15
"""Up to here Slaney's scale is linear."""


def samples_of(path: Path) -> Array:
    """A 16 kHz recording as float32 between -1 and 1."""
    with wave.open(str(path)) as file:
        data = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    return data.astype(np.float32) / 32768


def log_mel(samples: Array) -> Array:
    """float32 [1, 80, 3000] of 30 seconds that begin with `samples`."""
    filled = np.zeros(RATE * SECONDS, np.float32)
    filled[: min(len(samples), len(filled))] = samples[: len(filled)]
    around = np.pad(filled, WINDOW // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(around, WINDOW)[::HOP][:-1]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    power = np.abs(np.fft.rfft(frames * hann, axis=1)) ** 2
    level = np.log10(np.maximum(mel_bands() @ power.T, 1e-10))
    level = np.maximum(level, level.max() - 8.0)
    return ((level + 4.0) / 4.0).astype(np.float32)[None]


def mel_bands() -> Array:
    """float64 [80, 201]: triangles of equal area, linear to 1 kHz, logarithmic above (Slaney 1998)."""
    hertz = np.linspace(0, RATE / 2, WINDOW // 2 + 1)
    edges = mel_to_hertz(np.linspace(0, hertz_to_mel(RATE / 2), MELS + 2))
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    up, down = (hertz - low) / (middle - low), (high - hertz) / (high - middle)
    return np.maximum(0, np.minimum(up, down)) * 2 / (high - low)


def hertz_to_mel(hertz: float) -> float:
    """Slaney's scale: 15 mel per kHz below 1 kHz, 27 steps per factor of 6.4 above."""
    if hertz < BEND_HERTZ:
        return hertz * 3 / 200
    return BEND_MEL + 27 * float(np.log(hertz / BEND_HERTZ) / np.log(6.4))


def mel_to_hertz(mel: Array) -> Array:
    """The reverse of `hertz_to_mel`."""
    steep = BEND_HERTZ * np.exp((mel - BEND_MEL) * np.log(6.4) / 27)
    return np.where(mel < BEND_MEL, mel * 200 / 3, steep)
