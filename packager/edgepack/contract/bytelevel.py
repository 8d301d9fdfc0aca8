"""GPT-2's pieces of bytes: text from ids, as Whisper gives them.

Each byte of a piece is written as one printable character.
Source: Radford et al., 2019; openai/gpt-2, encoder.py, bytes_to_unicode.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgepack.contract import text
from edgepack.contract.settings import ByteLevel
from edgepack.errors import EdgepackError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

PRINTABLE = (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))
"""Bytes that stand for themselves; the others are written as U+0100 and up, in their order."""

OTHERS = tuple(byte for byte in range(256) if byte not in PRINTABLE)

BYTES: dict[str, int] = {
    **{chr(byte): byte for byte in PRINTABLE},
    **{chr(256 + place): byte for place, byte in enumerate(OTHERS)},
}
"""Byte by the character it is written as."""

SPECIAL = re.compile(r"<\|.*\|>")


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """Bytes of each piece, none for a control piece."""

    contents: tuple[bytes, ...]


def load(settings: ByteLevel, files: Mapping[str, bytes]) -> Tokenizer:
    """The tokenizer that settings and files make; files: content by name. Raises E624, E625."""
    contents = []
    for number, piece in enumerate(text.read_pieces(files[settings.pieces], settings.pieces)):
        if piece.kind != "control" and not BYTES.keys() >= set(piece.text):
            raise EdgepackError(
                "E625",
                f"piece {number} of {settings.pieces} is not written in bytes",
                why=f"{piece.text!r} holds a character that stands for none.",
                help="Give a byte-level vocabulary, as GPT-2 and Whisper have one.",
            )
        written = "" if piece.kind == "control" else piece.text
        contents.append(bytes(BYTES[character] for character in written))
    return Tokenizer(tuple(contents))


def decode(tokenizer: Tokenizer, ids: Sequence[int]) -> str:
    """Text of ids; control pieces vanish, a broken character becomes one U+FFFD.

    Raises E626 for an id that the vocabulary does not have.
    """
    for number in ids:
        if not 0 <= number < len(tokenizer.contents):
            size = len(tokenizer.contents)
            raise EdgepackError(
                "E626", f"the vocabulary has {size} pieces, and none of id {number}"
            )
    return text.decode_utf8(b"".join(tokenizer.contents[number] for number in ids))


def pieces_of(vocabulary: Iterable[str]) -> list[text.Piece]:
    """Pieces of a vocabulary in the order of its ids; those written <|so|> control the model."""
    return [
        text.Piece(piece, 0.0, "control" if SPECIAL.fullmatch(piece) else "normal")
        for piece in vocabulary
    ]
