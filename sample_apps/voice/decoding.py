"""Tokens and text out of an encoder and a decoder step, in numpy: what the apps do.

encode takes a log-mel [1, 80, 3000] and gives what the decoder attends to; step takes a token, its
position, the cache of keys and values and what the encoder gave, and gives logits and the next cache.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

Array = np.ndarray[Any, Any]
State = tuple[Array, Array]

HERE = Path(__file__).parent
GENERATION = tomllib.loads((HERE / "edgepack.toml").read_text())["tasks"]["voice"]["generation"]
CACHE = (4, 6, 224, 64)


def transcribe(
    mel: Array, encode: Callable[[Array], State], step: Callable[..., tuple[Array, State]]
) -> list[int]:
    """Tokens of a log-mel [1, 80, 3000], the likeliest each time, without start and end."""
    cross = encode(mel)
    state = (np.zeros(CACHE, np.float32), np.zeros(CACHE, np.float32))
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
