"""Files that the settings of tasks name: labels, vocabularies and tokenizers, as apps carry them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from edgepack.contract import bytelevel, classes, sentencepiece, text, unigram
from edgepack.contract.settings import ByteLevel, Unigram
from edgepack.errors import EdgepackError
from edgepack.task_settings import ImageClassification, Translation, Voice

MOST_PIECES = 1 << 20
"""No vocabulary comes near this; an id beyond it is a mistake."""


def _read(folder: Path, name: str) -> bytes:
    """A file that the settings name. Raises E201."""
    try:
        return (folder / name).read_bytes()
    except (OSError, ValueError) as error:
        raise EdgepackError(
            "E201", f"{folder / name} cannot be read", why=str(error),
            help="Paths under [tasks] start from the folder of edgepack.toml.",
        ) from error  # fmt: skip


def tokenizer(folder: Path, settings: Translation) -> tuple[Unigram, dict[str, bytes]]:
    """A SentencePiece model as settings and files. Raises E201, E625, E627."""
    found, files = sentencepiece.convert(_read(folder, settings.tokenizer))
    unigram.load(found, files)
    return found, files


def labels(folder: Path, settings: ImageClassification) -> list[str]:
    """Names of the classes. Raises E201, E629."""
    found = classes.read_labels(_read(folder, settings.labels), settings.labels)
    for number, label in enumerate(found, start=1):
        if odd := text.UNSHOWN.search(label):
            why = f"line {number} holds U+{ord(odd.group()):04X}, which no screen shows"
            raise classes.unfit(settings.labels, why)
    return found


def vocabulary(folder: Path, settings: Voice) -> bytes:
    """The file of the decoder's byte-level pieces. Raises E201, E624, E625."""
    name = settings.vocabulary
    data = _read(folder, name)
    try:
        words = data.decode("utf-8-sig")
        pieces = _pieces(json.loads(words)) if name.endswith(".json") else _lines(words)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise EdgepackError(
            "E624", f"{name} holds no byte-level vocabulary", why=f"{type(error).__name__}: {error}",
            help="Give tokenizer.json, vocab.json, or a file with one token a line.",
        ) from error  # fmt: skip
    written = text.write_pieces(pieces)
    bytelevel.load(ByteLevel(pieces=name), {name: written})
    return written


def _lines(words: str) -> list[text.Piece]:
    """Pieces of a file with one a line."""
    lines = words.replace("\r\n", "\n").removesuffix("\n").split("\n")
    return bytelevel.pieces_of(lines)


def _pieces(found: Any) -> list[text.Piece]:
    """Pieces of a tokenizer.json or vocab.json. ValueError, KeyError, TypeError, AttributeError for others.

    Ids that nothing has, and special tokens, control the model and are never shown.
    """
    whole = isinstance(found.get("model"), dict)
    ids: dict[str, int] = found["model"]["vocab"] if whole else found
    added = found.get("added_tokens", []) if whole else []
    by_id = {number: piece for piece, number in ids.items()}
    by_id |= {extra["id"]: extra["content"] for extra in added}
    special = {extra["id"] for extra in added if extra.get("special")}
    last = max(by_id)
    if not all(type(number) is int and 0 <= number < MOST_PIECES for number in by_id):
        raise ValueError("its ids are no numbers of pieces")
    pieces = bytelevel.pieces_of(by_id.get(n, f"<|{n}|>") for n in range(last + 1))
    return [
        dataclasses.replace(piece, kind="control") if number in special else piece
        for number, piece in enumerate(pieces)
    ]
