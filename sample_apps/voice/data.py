"""Real speech as each of the three models meets it, made of the recordings in speech/.

What depends on a step before, states and caches, comes from running the source models themselves.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from detector import make_detector
from speech import log_mel, samples_of
from whisper import HEADS, LAYERS, LONGEST, WIDTH, make_decoder, make_encoder

if TYPE_CHECKING:
    from collections.abc import Iterator

Array = np.ndarray[Any, Any]

SPEECH = sorted((Path(__file__).parent / "speech").glob("*.wav"))
CONTEXT, STEP = 64, 512
START, NO_TIMES, END = 50257, 50362, 50256


def frames() -> Iterator[dict[str, Array]]:
    """60 steps of the detector, evenly spaced over all recordings: x [1, 576], h and c [1, 128]."""
    model = make_detector([])
    every = [step for path in SPEECH for step in detector_steps(model, samples_of(path))]
    yield from (every[i * len(every) // 60] for i in range(60))


def detector_steps(model: torch.nn.Module, samples: Array) -> Iterator[dict[str, Array]]:
    """Each step of the detector over a recording, from no state."""
    h = c = torch.zeros(1, 128)
    padded = np.pad(samples, (CONTEXT, 0))
    for start in range(0, len(samples) - STEP + 1, STEP):
        x = padded[None, start : start + CONTEXT + STEP]
        yield {"x": x, "h": h.numpy(), "c": c.numpy()}
        with torch.inference_mode():
            _, h, c = model(torch.from_numpy(x), h, c)


def heard() -> Iterator[dict[str, Array]]:
    """The log-mel of each recording, {"mel": float32 [1, 80, 3000]}."""
    for path in SPEECH:
        yield {"mel": log_mel(samples_of(path))}


def steps() -> Iterator[dict[str, Array]]:
    """Steps 1, 2, 4 and 8 of transcribing three recordings, with the tokens the model itself chooses."""
    encoder, decoder = make_encoder([]), make_decoder([])
    for path in SPEECH[::2]:
        with torch.inference_mode():
            cross = encoder(torch.from_numpy(log_mel(samples_of(path))))
            keys = values = torch.zeros(LAYERS, HEADS, LONGEST, WIDTH // HEADS)
            token = START
            for position in range(9):
                given = {
                    "token": torch.tensor([token]), "position": torch.tensor([position]),
                    "keys": keys, "values": values,
                    "cross_keys": cross.cross_keys, "cross_values": cross.cross_values,
                }  # fmt: skip
                if position and (position & (position - 1)) == 0:
                    yield {name: tensor.numpy() for name, tensor in given.items()}
                logits, keys, values = decoder(**given)
                token = NO_TIMES if position == 0 else int(logits.argmax())
                if token == END:
                    break
