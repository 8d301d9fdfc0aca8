"""Speech to text with the source models: `python transcribe.py RECORDING.wav ...`.

What the apps do, in PyTorch and numpy, for one stretch of speech of up to 30 seconds.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from speech import log_mel, samples_of
from whisper import HEADS, LAYERS, LONGEST, WIDTH, make_decoder, make_encoder

if TYPE_CHECKING:
    from collections.abc import Callable

Array = np.ndarray[Any, Any]
State = tuple[Array, Array]

HERE = Path(__file__).parent
GENERATION = tomllib.loads((HERE / "edgepack.toml").read_text())["tasks"]["voice"]["generation"]


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


def transcribe(
    mel: Array, encode: Callable[[Array], State], step: Callable[..., tuple[Array, State]]
) -> list[int]:
    """Tokens of a log-mel [1, 80, 3000], the likeliest each time, without start and end."""
    cross = encode(mel)
    shape = (LAYERS, HEADS, LONGEST, WIDTH // HEADS)
    state = (np.zeros(shape, np.float32), np.zeros(shape, np.float32))
    start, tokens = GENERATION["start"], []
    token = start[0]
    for position in range(GENERATION["longest"] - 1):
        logits, state = step(token, position, state, cross)
        if position + 1 < len(start):
            token = start[position + 1]
            continue
        barred = GENERATION["suppressed"] + ([] if tokens else GENERATION["suppressed_first"])
        logits[..., barred] = -np.inf
        token = int(logits.argmax())
        if token == GENERATION["end"]:
            break
        tokens.append(token)
    return tokens


def text_of(tokens: list[int]) -> str:
    """The text that tokens spell, byte by byte (GPT-2's alphabet of printable bytes)."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [byte for byte in range(256) if byte not in plain]
    alphabet = {chr(byte): byte for byte in plain} | {
        chr(256 + n): byte for n, byte in enumerate(rest)
    }
    pieces = (HERE / "vocabulary.txt").read_text(encoding="utf-8").split("\n")
    spelled = "".join(pieces[token] for token in tokens if not pieces[token].startswith("<|"))
    return bytes(alphabet[character] for character in spelled).decode(errors="replace").strip()


if __name__ == "__main__":
    main(sys.argv[1:])
