"""A SentencePiece .model file as settings and files of ours.

The file is a protocol buffer; only what the unigram model needs is read.
Source: sentencepiece 0.2.3, sentencepiece_model.proto; Darts-clone 0.32, for the table of rules.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from edgepack.contract.settings import Unigram
from edgepack.contract.text import Piece, write_pieces, write_rules
from edgepack.errors import EdgepackError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgepack.contract.text import Kind

KINDS: dict[int, Kind] = {
    1: "normal",
    2: "unknown",
    3: "control",
    4: "user",
    5: "unused",
    6: "byte",
}
UNIGRAM = 1


def convert(model: bytes, stem: str = "tokens") -> tuple[Unigram, dict[str, bytes]]:
    """Settings, and the content of the files they name: STEM.pieces, and STEM.rules if there are any.

    Raises E627 for a file that is no such model or asks for what the contract does not have.
    """
    try:
        return _converted(model, stem)
    except (AttributeError, LookupError, TypeError, ValueError, struct.error) as error:
        raise _refused(f"{type(error).__name__}: {error}") from error


def _converted(model: bytes, stem: str) -> tuple[Unigram, dict[str, bytes]]:
    """As `convert`, with the errors of a broken file."""
    fields = list(_fields(model))
    pieces = [_piece(value) for field, value in fields if field == 1]
    trainer, normalizer, denormalizer = (
        {key: value for field, part in fields if field == wanted for key, value in _fields(part)}
        for wanted in (2, 3, 5)
    )
    if not pieces or trainer.get(3, UNIGRAM) != UNIGRAM:
        raise _refused("it holds no unigram model")
    if trainer.get(24) or not normalizer.get(5, 1) or denormalizer.get(2):
        raise _refused(
            "it puts spaces behind words, keeps them as they are, or changes what it decodes"
        )
    rules = dict(rules_of(normalizer.get(2, b"")))
    settings = Unigram(
        pieces=f"{stem}.pieces",
        rules=f"{stem}.rules" if rules else "",
        add_dummy_prefix=bool(normalizer.get(3, 1)),
        remove_extra_whitespaces=bool(normalizer.get(4, 1)),
        byte_fallback=bool(trainer.get(35, 0)),
        unknown_surface=trainer.get(44, " ⁇ ".encode()).decode(),
    )
    files = {settings.pieces: write_pieces(pieces)}
    return settings, {**files, settings.rules: write_rules(rules.items())} if rules else files


def rules_of(table: bytes) -> Iterator[tuple[str, str]]:
    """What a precompiled table of characters replaces, and by what.

    The table is the size of a double array, the array, and the replacements, each ended by a zero. A
    unit of the array holds a label, the place of its children, and whether a key ends there.
    """
    if not table:
        return
    size = struct.unpack_from("<I", table)[0]
    units = struct.unpack_from(f"<{size // 4}I", table, 4)
    replacements = table[4 + size :]
    waiting, seen = [(b"", _children(0, units[0]))], set()
    while waiting:
        key, base = waiting.pop()
        for byte in range(1, 256):
            place = base ^ byte
            if place >= len(units) or units[place] & 0x800000FF != byte:
                continue
            if place in seen:
                raise ValueError("its table of characters goes in circles")
            seen.add(place)
            below = _children(place, units[place])
            waiting.append((key + bytes([byte]), below))
            if units[place] >> 8 & 1:
                start = units[below] & 0x7FFFFFFF
                end = replacements.index(b"\0", start)
                yield (key + bytes([byte])).decode(), replacements[start:end].decode()


def _children(place: int, unit: int) -> int:
    """Where the children of a unit of a double array lie, each at this place xor its label."""
    return place ^ (unit >> 10 << ((unit & 0x200) >> 6))


def _piece(message: bytes) -> Piece:
    """A piece of the vocabulary, its score widened from float32."""
    fields = dict(_fields(message))
    score = struct.unpack("<f", fields.get(2, b"\0\0\0\0"))[0]
    return Piece(fields.get(1, b"").decode(), score, KINDS[fields.get(3, 1)])


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Number and value of each field of a protocol buffer: an int, or bytes."""
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        field, wire = tag >> 3, tag & 7
        if wire == 0:
            value, place = _varint(message, place)
            yield field, value
            continue
        length, place = (
            _varint(message, place) if wire == 2 else ({1: 8, 5: 4}[wire], place)  # noqa: PLR2004
        )
        if place + length > len(message):
            raise IndexError("a field is cut off")
        yield field, message[place : place + length]
        place += length


def _varint(message: bytes, place: int) -> tuple[int, int]:
    """A number of seven bits a byte, and the place behind it."""
    value = shift = 0
    while message[place] & 0x80:
        value |= (message[place] & 0x7F) << shift
        shift += 7
        place += 1
    return value | message[place] << shift, place + 1


def _refused(why: str) -> EdgepackError:
    """E627 about the model file."""
    return EdgepackError(
        "E627",
        "the SentencePiece model cannot be taken over",
        why=why,
        help="Unigram models with spaces in front of words can; others need their own tokenizer.",
    )
