"""Tokens that the translation sample writes: `translating.py KIND ENCODER DECODER IN.json OUT.json LIBRARIES`.

KIND: litert, coreml or torch, whose environment this runs in; with torch ENCODER is the file of the weights.
IN.json: {"sources": [[id …] …], "generation": settings}. LIBRARIES: a folder of packages for what the
environment lacks.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

SAMPLE = Path(__file__).parents[2] / "sample_apps" / "translation"
LENGTH = 64
CACHE = (2, 4, 64, 48)
sys.path.insert(0, str(SAMPLE))
sys.path.append(sys.argv[-1])

import msgspec  # noqa: E402
import opening  # noqa: E402

from edgepack.contract import decoding  # noqa: E402
from edgepack.contract.settings import Generation  # noqa: E402


def main(kind: str, encoder: str, decoder: str, given: str, out: str, _: str) -> None:
    """Write the tokens of each source's translation."""
    asked = json.loads(Path(given).read_text())
    settings = msgspec.convert(asked["generation"], Generation)
    if kind == "torch":
        encode, decode = of_torch(encoder)
    else:
        open_model = {"litert": opening.litert, "coreml": opening.core_ml}[kind]
        encode, decode = open_model(encoder), open_model(decoder)
    Path(out).write_text(
        json.dumps([translated(source, encode, decode, settings) for source in asked["sources"]])
    )


def translated(source: list[int], encode: Any, decode: Any, settings: Generation) -> list[int]:
    """Tokens of one translation."""
    tokens = np.array([source + [0] * (LENGTH - len(source))])
    mask = (np.arange(LENGTH) < len(source)).astype(np.float32)[None]
    cross = encode({"tokens": tokens, "mask": mask})

    def step(state: Any, token: int, place: int) -> tuple[Any, Any]:
        made = decode(
            {
                "token": np.array([token]), "position": np.array([place]), "keys": state[0],
                "values": state[1], **cross, "mask": mask,
            }
        )  # fmt: skip
        return made["logits"].reshape(-1), (made["new_keys"], made["new_values"])

    zeros = np.zeros(CACHE, np.float32)
    return [int(token) for token in decoding.generate(step, (zeros, zeros), settings)]


def of_torch(weights: str) -> tuple[Any, Any]:
    """The source model's two parts."""
    import torch
    from model import make_translator

    made = make_translator(Path(weights))

    def of(module: Any, names: tuple[str, ...], outputs: tuple[str, ...]) -> Any:
        def call(given: dict[str, Any]) -> dict[str, Any]:
            with torch.inference_mode():
                found = module(*(torch.from_numpy(given[name]) for name in names))
            return {name: t.numpy() for name, t in zip(outputs, found, strict=True)}

        return call

    caches = ("keys", "values", "cross_keys", "cross_values")
    return (
        of(made.encoder, ("tokens", "mask"), ("cross_keys", "cross_values")),
        of(made.decoder, ("token", "position", *caches, "mask"), ("logits", "new_keys", "new_values")),
    )  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
