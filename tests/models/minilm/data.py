"""Sentences as tokens, each as long as it is: 4 to 128 tokens. No sentence is in both sets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tokenizers import Tokenizer

if TYPE_CHECKING:
    from collections.abc import Iterator

Array = np.ndarray[Any, np.dtype[np.int64]]

HERE = Path(__file__).parent


def calibration() -> Iterator[dict[str, Array]]:
    """The sentences of calibration.txt."""
    yield from tokens("calibration.txt")


def validation() -> Iterator[dict[str, Array]]:
    """The sentences of validation.txt."""
    yield from tokens("validation.txt")


def tokens(name: str) -> Iterator[dict[str, Array]]:
    """Each line as {"input_ids", "attention_mask"}, int64 [1, tokens]."""
    tokenizer = Tokenizer.from_file(str(HERE / "weights" / "tokenizer.json"))
    tokenizer.no_padding()
    for line in (HERE / name).read_text(encoding="utf-8").splitlines():
        encoded = tokenizer.encode(line)
        yield {
            "input_ids": np.array([encoded.ids], dtype=np.int64),
            "attention_mask": np.array([encoded.attention_mask], dtype=np.int64),
        }
