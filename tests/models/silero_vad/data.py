"""Steps of the detector over recorded speech, each with the state the steps before it left behind.

No recording is in both sets. The state comes from running the source model itself.
"""

from __future__ import annotations

import wave
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from model import make_model

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Array = np.ndarray[Any, np.dtype[np.float32]]

HERE = Path(__file__).parent
CALIBRATION = ("reader-1", "reader-2", "cards-1", "cards-2", "cards-3", "forever-1")
VALIDATION = ("reader-3", "reader-4", "reader-5", "cards-4", "cards-5", "forever-2")
CONTEXT = 64
STEP = 512


def calibration() -> Iterator[dict[str, Array]]:
    """64 steps, evenly spaced over all steps of six recordings."""
    yield from spread(CALIBRATION, 64)


def validation() -> Iterator[dict[str, Array]]:
    """60 steps, evenly spaced over all steps of six others."""
    yield from spread(VALIDATION, 60)


def spread(names: Sequence[str], count: int) -> list[dict[str, Array]]:
    """`count` of all steps over the recordings, in order; each recording starts from no state."""
    model = make_model([HERE / "weights" / "silero_vad.jit"])
    every = [step for name in names for step in steps(model, read(name))]
    return [every[i * len(every) // count] for i in range(count)]


def steps(model: torch.nn.Module, samples: Array) -> Iterator[dict[str, Array]]:
    """Each step of the detector: x float32 [1, 576], h and c float32 [1, 128]."""
    h = c = torch.zeros(1, 128)
    padded = np.pad(samples, (CONTEXT, 0))
    for start in range(0, len(samples) - STEP + 1, STEP):
        x = padded[None, start : start + CONTEXT + STEP]
        yield {"x": x, "h": h.numpy(), "c": c.numpy()}
        with torch.no_grad():
            _, h, c = model(torch.from_numpy(x), h, c)


def read(name: str) -> Array:
    """A recording of speech/: 16 kHz, float32 in -1 to 1."""
    with wave.open(str(HERE / "speech" / f"{name}.wav")) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    return samples.astype(np.float32) / 32768
