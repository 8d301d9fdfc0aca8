"""Frames of recorded speech. No recording is in both sets."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Array = np.ndarray[Any, np.dtype[np.float32]]

SPEECH = Path(__file__).parent / "speech"
CALIBRATION = ("reader-1", "reader-2", "cards-1", "cards-2", "cards-3", "forever-1")
VALIDATION = ("reader-3", "reader-4", "reader-5", "cards-4", "cards-5", "forever-2")
FRAME = 1024
LOUD = 0.02
"""Root mean square above which a frame counts as speech; full scale is 1."""


def calibration() -> Iterator[Array]:
    """64 frames, float32 [1, 1024]."""
    yield from spread(CALIBRATION, 64)


def validation() -> Iterator[Array]:
    """60 frames, float32 [1, 1024]."""
    yield from spread(VALIDATION, 60)


def spread(names: Sequence[str], count: int) -> list[Array]:
    """`count` frames evenly spaced over all loud frames of the recordings, normalised."""
    frames = [
        samples[start : start + FRAME]
        for samples in map(read, names)
        for start in range(0, len(samples) - FRAME, FRAME // 2)
    ]
    loud = [f for f in frames if np.sqrt(np.mean(f**2)) > LOUD]
    return [normalise(loud[i * len(loud) // count])[None] for i in range(count)]


def normalise(frame: Array) -> Array:
    """The frame with mean 0 and deviation 1, as torchcrepe does it."""
    centred = frame - frame.mean()
    return (centred / max(float(centred.std(ddof=1)), 1e-10)).astype(np.float32)


def read(name: str) -> Array:
    """A recording of speech/: 16 kHz, float32 in -1 to 1."""
    with wave.open(str(SPEECH / f"{name}.wav")) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    return samples.astype(np.float32) / 32768
