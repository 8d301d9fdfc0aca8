"""A SentencePiece .model file as settings and files of ours.

The file is a protocol buffer; only what the unigram model needs is read.
Source: sentencepiece 0.2.3, sentencepiece_model.proto; Darts-clone 0.32, for the table of rules.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.contract.settings import Unigram
from edgepack.contract.text import Piece, write_pieces, write_rules
from edgepack.errors import EdgepackError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from edgepack.contract.text import Kind

    Numbers = npt.NDArray[np.int64]

KINDS: dict[int, Kind] = {
    1: "normal",
    2: "unknown",
    3: "control",
    4: "user",
    5: "unused",
    6: "byte",
}
UNIGRAM = 1

LONGEST_KEY, MOST_PLACES = 1024, 1 << 20
"""Bytes of a key in a table of characters, and places that all keys come to: beyond SentencePiece's own."""
PARENTS_AT_ONCE = 4096


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
    unit of the array holds a label, the place of its children, and whether a key ends there. Keys share
    their ends, so places are come to more than once. All keys of one length are found at once: the
    default rules are 225,277.
    """
    if not table:
        return
    size = struct.unpack_from("<I", table)[0]
    units = np.frombuffer(table, "<u4", size // 4, 4).astype(np.int64)
    replacements = table[4 + size :]
    keys, bases, found = [b""], _children(np.zeros(1, np.int64), units[:1]), 0
    while keys:
        parents, places = _below(units, bases)
        found += len(places)
        if len(keys[0]) > LONGEST_KEY or found > MOST_PLACES:
            raise ValueError("its table of characters goes in circles")
        keys = [
            keys[parent] + bytes([byte])
            for parent, byte in zip(parents.tolist(), (units[places] & 0xFF).tolist(), strict=True)
        ]
        bases = _children(places, units[places])
        for leaf in np.flatnonzero(units[places] >> 8 & 1).tolist():
            start = int(units[bases[leaf]]) & 0x7FFFFFFF
            end = replacements.index(b"\0", start)
            yield keys[leaf].decode(), replacements[start:end].decode()


def _below(units: Numbers, bases: Numbers) -> tuple[Numbers, Numbers]:
    """The units below others, whose children lie at `bases`: for each its parent's number, and its place."""
    labels = np.arange(1, 256)
    parents, places = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for first in range(0, len(bases), PARENTS_AT_ONCE):
        near = bases[first : first + PARENTS_AT_ONCE, None] ^ labels
        inside = np.minimum(near, len(units) - 1)
        there = (near < len(units)) & (units[inside] & 0x800000FF == labels)
        parents.append(np.nonzero(there)[0] + first)
        places.append(near[there])
        if sum(map(len, places)) > MOST_PLACES:
            break
    return np.concatenate(parents), np.concatenate(places)


def _children(places: Numbers, units: Numbers) -> Numbers:
    """Where the children of units of a double array lie, each at this place xor its label."""
    return places ^ (units >> 10 << ((units & 0x200) >> 6))


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
