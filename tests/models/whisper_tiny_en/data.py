"""Recorded English as Whisper hears it, and the steps of transcribing it.

The front end is Whisper's: 16 kHz, windows of 400 samples every 160, 80 mel bands after Slaney, log10,
no more than 8 below the loudest, (x + 4) / 4, and 30 seconds filled up with silence.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from speech import log_mel, samples_of

if TYPE_CHECKING:
    from collections.abc import Iterator

Array = np.ndarray[Any, Any]

HERE = Path(__file__).parent
START, NO_TIMES, END = 50257, 50362, 50256


def heard() -> Iterator[dict[str, Array]]:
    """The log-mel of each recording, {"mel": float32 [1, 80, 3000]}."""
    for path in sorted((HERE / "speech").glob("*.wav")):
        yield {"mel": log_mel(samples_of(path))}


def steps() -> Iterator[dict[str, Array]]:
    """Steps 1, 2, 4, 8 … of transcribing two recordings, with the tokens the model itself chooses."""
    from whisper import HEADS, LAYERS, LONGEST, WIDTH, make_decoder, make_encoder

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
