"""Recorded English as Whisper hears it, and the steps of transcribing it.

The front end is Whisper's: 16 kHz, windows of 400 samples every 160, 80 mel bands after Slaney, log10,
no more than 8 below the loudest, (x + 4) / 4, and 30 seconds filled up with silence.
"""

from __future__ import annotations

import wave
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

Array = np.ndarray[Any, Any]

HERE = Path(__file__).parent
RATE, WINDOW, HOP, MELS, SECONDS = 16000, 400, 160, 80, 30
START, NO_TIMES, END = 50257, 50362, 50256


def heard() -> Iterator[dict[str, Array]]:
    """The log-mel of each recording, {"mel": float32 [1, 80, 3000]}."""
    for path in sorted((HERE / "speech").glob("*.wav")):
        yield {"mel": log_mel(samples_of(path))}


def steps() -> Iterator[dict[str, Array]]:
    """Steps 1, 2, 4, 8 … of transcribing two recordings, with the tokens the model itself chooses."""
    from model import HEADS, LAYERS, LONGEST, WIDTH, make_decoder, make_encoder

    weights = [HERE / "weights" / "model.bin"]
    encoder, decoder = make_encoder(weights), make_decoder(weights)
    for path in sorted((HERE / "speech").glob("*.wav"))[::6]:
        with torch.inference_mode():
            cross = encoder(torch.from_numpy(log_mel(samples_of(path))))
            keys = values = torch.zeros(LAYERS, HEADS, LONGEST, WIDTH // HEADS)
            token = START
            for position in range(12):
                given = {
                    "token": torch.tensor([token]), "position": torch.tensor([position]),
                    "keys": keys, "values": values,
                    "cross_keys": cross.cross_keys, "cross_values": cross.cross_values,
                }  # fmt: skip
                if (position & (position - 1)) == 0:
                    yield {name: tensor.numpy() for name, tensor in given.items()}
                logits, keys, values = decoder(**given)
                token = NO_TIMES if position == 0 else int(logits.argmax())
                if token == END:
                    break


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
    if hertz < 1000:
        return hertz * 3 / 200
    return 15 + 27 * float(np.log(hertz / 1000) / np.log(6.4))


def mel_to_hertz(mel: Array) -> Array:
    """The reverse of `hertz_to_mel`."""
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))
