"""Tokens that artifacts of the voice sample write: `transcribing.py KIND ENCODER DECODER MELS.npz OUT.json [RECORD]`.

KIND: litert, coreml or torch, whose environment this runs in; with torch the paths are "-". MELS.npz holds a
log-mel for each name. RECORD: a folder for the logits of every step, raw float32, one file for each name.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

SAMPLE = Path(__file__).parents[2] / "sample_apps" / "voice"
sys.path.insert(0, str(SAMPLE))

import decoding  # noqa: E402
import opening  # noqa: E402

Array = np.ndarray[Any, Any]


def main(kind: str, encoder: str, decoder: str, mels: str, out: str, record: str = "") -> None:
    """Write {name: tokens} for each log-mel."""
    if kind == "torch":
        import transcribe

        encode, step = transcribe.models()
    else:
        open_model = {"litert": opening.litert, "coreml": opening.core_ml}[kind]
        encode, step = of_artifacts(open_model(encoder), open_model(decoder))
    with np.load(mels) as found:
        tokens = {name: told(found[name], encode, step, record, name) for name in found.files}
    Path(out).write_text(json.dumps(tokens))


def told(mel: Array, encode: Any, step: Any, record: str, name: str) -> list[int]:
    """Tokens of a log-mel. The logits of every step go to the file of that name."""
    logits: list[Array] = []

    def recorded(*given: Any) -> Any:
        made, state = step(*given)
        logits.append(np.array(made, np.float32).reshape(-1))
        return made, state

    tokens = decoding.transcribe(mel, encode, recorded)
    if record:
        np.concatenate(logits).astype("<f4").tofile(Path(record) / f"{name}.logits")
    return tokens


def of_artifacts(encoder: opening.Call, decoder: opening.Call) -> tuple[Any, Any]:
    """An encoder and a decoder by the names of their tensors, as `decoding` takes them."""

    def encode(mel: Array) -> tuple[Array, Array]:
        made = encoder({"mel": mel})
        return made["cross_keys"], made["cross_values"]

    def step(token: int, position: int, state: Any, cross: Any) -> tuple[Array, Any]:
        made = decoder(
            {
                "token": np.array([token]), "position": np.array([position]), "keys": state[0],
                "values": state[1], "cross_keys": cross[0], "cross_values": cross[1],
            }
        )  # fmt: skip
        return np.array(made["logits"], np.float32), (made["new_keys"], made["new_values"])

    return encode, step


if __name__ == "__main__":
    main(*sys.argv[1:])
