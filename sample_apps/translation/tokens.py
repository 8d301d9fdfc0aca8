"""Text to tokens and back: what the apps' cores do, here with the sentencepiece package.

White space of any kind and length is read as one space. Unknown characters become UNKNOWN, which is
left out of a translation.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import sentencepiece

LANGUAGES = ("es", "fr", "de")
PAD, UNKNOWN, START, END = range(4)
LANGUAGE_IDS = {language: 4 + number for number, language in enumerate(LANGUAGES)}
"""The first token of a source says which language is wanted."""
LONGEST = 64
"""Tokens of a source, with its language and its end, and of a translation, with its start."""
TOKENIZER = Path(__file__).with_name("tokenizer.model")


@cache
def pieces() -> sentencepiece.SentencePieceProcessor:
    """The tokenizer that `vocabulary.py` made."""
    return sentencepiece.SentencePieceProcessor(model_file=str(TOKENIZER))


def source_tokens(text: str, language: str) -> list[int]:
    """Language, pieces and end; what is beyond the longest source is cut off before the end."""
    found: list[int] = pieces().encode(text)
    return [LANGUAGE_IDS[language], *found[: LONGEST - 2], END]


def text_of(tokens: list[int]) -> str:
    """The text of a translation's tokens."""
    text: str = pieces().decode([token for token in tokens if token > max(LANGUAGE_IDS.values())])
    return text
