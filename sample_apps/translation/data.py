"""Real sentences for calibration and validation, out of sentences.tsv; nothing is downloaded.

Calibration takes strings that the model was trained on, validation takes strings of components that
it has never seen, each in the three languages in turn. A decoder's cases are steps 1, 2, 4, 8 … of
translating them, with the tokens that the model itself chooses.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model import make_translator
from tokens import LANGUAGES, source_tokens
from translate import encoder_inputs, steps

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    Case = dict[str, np.ndarray[Any, Any]]

SENTENCES = Path(__file__).with_name("sentences.tsv")
"""Lines of set, English, Spanish, French, German."""


def sentences(name: str) -> Iterator[tuple[str, str]]:
    """Language and English of each string of a set, train or test."""
    lines = SENTENCES.read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines]
    for number, row in enumerate(row for row in rows if row[0] == name):
        yield LANGUAGES[number % len(LANGUAGES)], row[1]


def encoder_calibration() -> Iterator[Case]:
    """64 sources, {"tokens": int64 [1, 64], "mask": float32 [1, 64]}."""
    yield from sources("train", 64)


def encoder_validation() -> Iterator[Case]:
    """200 sources, as `encoder_calibration`."""
    yield from sources("test", 200)


def decoder_calibration() -> Iterator[Case]:
    """Steps of 16 translations, the inputs of `model.Decoder`."""
    yield from moments("train", 16)


def decoder_validation() -> Iterator[Case]:
    """Steps of 16 translations, as `decoder_calibration`."""
    yield from moments("test", 16)


def sources(name: str, count: int) -> Iterator[Case]:
    """What the encoder takes for the first sentences of a set."""
    for language, english in islice(sentences(name), count):
        tokens, mask = encoder_inputs(source_tokens(english, language))
        yield {"tokens": tokens.numpy(), "mask": mask.numpy()}


def moments(name: str, count: int) -> Iterator[Case]:
    """What the decoder takes at some steps of translating the first sentences of a set."""
    model = make_translator()
    for language, english in islice(sentences(name), count):
        for number, (inputs, _) in enumerate(steps(model, source_tokens(english, language)), 1):
            if number & (number - 1) == 0:
                yield {key: tensor.numpy() for key, tensor in inputs.items()}
