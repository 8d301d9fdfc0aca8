"""Speech to text with the source models: `python transcribe.py RECORDING.wav ...`.

What the apps do, in PyTorch and numpy, for one stretch of speech of up to 30 seconds.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from decoding import text_of, transcribe
from speech import log_mel, samples_of
from whisper import make_decoder, make_encoder

if TYPE_CHECKING:
    from collections.abc import Callable

    from decoding import Array, State


def main(paths: list[str]) -> None:
    """Print what is said in each recording."""
    encode, step = models()
    for path in paths:
        tokens = transcribe(log_mel(samples_of(Path(path))), encode, step)
        sys.stdout.write(f"{text_of(tokens)}\n")


def models() -> tuple[Callable[[Array], State], Callable[..., tuple[Array, State]]]:
    """The source models as functions of numpy arrays, for `transcribe`."""
    encoder, decoder = make_encoder([]), make_decoder([])

    def encode(mel: Array) -> State:
        with torch.inference_mode():
            keys, values = encoder(torch.from_numpy(mel))
        return keys.numpy(), values.numpy()

    def step(token: int, position: int, state: State, cross: State) -> tuple[Array, State]:
        given = (torch.tensor([token]), torch.tensor([position]))
        with torch.inference_mode():
            logits, keys, values = decoder(*given, *(torch.from_numpy(a) for a in (*state, *cross)))
        return logits.numpy(), (keys.numpy(), values.numpy())

    return encode, step


if __name__ == "__main__":
    main(sys.argv[1:])
