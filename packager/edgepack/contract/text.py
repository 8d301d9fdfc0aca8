"""Text as token ids and back: the settings, the files they name, and UTF-8 as each family reads it.

Vocabularies and tables of characters are plain files of ours, so that no language's own idea of
Unicode, of lines or of equal strings counts. They are UTF-8, lines end in a line feed, the first line
says what the file is. In a field a backslash, tab, line feed and carriage return are written \\\\, \\t,
\\n and \\r.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from edgepack.errors import EdgepackError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

Kind = Literal["normal", "unknown", "control", "user", "unused", "byte"]

PIECES, RULES, CHARACTERS = (
    "edgepack pieces 1",
    "edgepack rules 1",
    "edgepack characters 1",
)
"""First lines of the three kinds of files."""

UNSHOWN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
"""Characters that neither XML nor a screen shows."""

_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
_UNESCAPES = {"\\": "\\", "t": "\t", "n": "\n", "r": "\r"}


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a vocabulary, whose id is its place. score: of unigram models, a float32."""

    text: str
    score: float = 0.0
    kind: Kind = "normal"


def write_pieces(pieces: Iterable[Piece]) -> bytes:
    """A vocabulary's file: `score TAB kind TAB piece` in the order of the ids."""
    lines = (f"{piece.score!r}\t{piece.kind}\t{escape(piece.text)}\n" for piece in pieces)
    return "".join([f"{PIECES}\n", *lines]).encode()


def read_pieces(data: bytes, name: str) -> list[Piece]:
    """The vocabulary in a file. name: for the message. Raises E624."""
    kinds: dict[str, Kind] = {kind: kind for kind in get_args(Kind)}
    pieces = []
    for number, line in lines_of(data, PIECES, name):
        score, kind, text = (*line.split("\t", 2), "", "")[:3]
        if kind not in kinds:
            raise broken(name, number, "it is not score, kind and piece")
        try:
            pieces.append(Piece(unescape(text), _finite(score), kinds[kind]))
        except ValueError as error:
            raise broken(name, number, str(error)) from error
    return pieces


def _finite(score: str) -> float:
    """The number that is written there. ValueError if it is none or not finite."""
    if not math.isfinite(float(score)):
        raise ValueError(f"a score of {score} orders nothing")
    return float(score)


def write_rules(rules: Iterable[tuple[str, str]]) -> bytes:
    """A file of replacements: `from TAB to`, sorted."""
    lines = (f"{escape(source)}\t{escape(to)}\n" for source, to in sorted(rules))
    return "".join([f"{RULES}\n", *lines]).encode()


def read_rules(data: bytes, name: str) -> dict[str, str]:
    """Replacements in a file. Raises E624."""
    rules = {}
    for number, line in lines_of(data, RULES, name):
        source, tab, to = line.partition("\t")
        if not source or not tab:
            raise broken(name, number, "it is not two fields")
        try:
            rules[unescape(source)] = unescape(to)
        except ValueError as error:
            raise broken(name, number, str(error)) from error
    return rules


def lines_of(data: bytes, first: str, name: str) -> Iterator[tuple[int, str]]:
    """Number from 1 and content of each line after the first, which must be `first`. Raises E624."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise broken(name, data.count(b"\n", 0, error.start) + 1, str(error)) from error
    lines = text.split("\n")
    if lines[0] != first:
        raise broken(name, 1, f"it should read {first!r}")
    if lines[-1]:
        raise broken(name, len(lines), "it has no end")
    yield from enumerate(lines[1:-1], start=2)


def broken(name: str, line: int, why: str) -> EdgepackError:
    """E624 about a line of a vocabulary or table."""
    return EdgepackError(
        "E624",
        f"line {line} of {name} cannot be read",
        why=why,
        help="Make the file again from the model's own tokenizer.",
    )


def escape(text: str) -> str:
    """Text without tabs and ends of lines."""
    return "".join(_ESCAPES.get(character, character) for character in text)


def unescape(text: str) -> str:
    """The text that `escape` was given. ValueError for an escape that it does not make."""
    parts = text.split("\\")
    found = [parts[0]]
    rest = iter(parts[1:])
    for part in rest:
        if part == "":
            found += ["\\", next(rest, "")]
        elif part[0] in _UNESCAPES:
            found += [_UNESCAPES[part[0]], part[1:]]
        else:
            raise ValueError(f"there is no escape \\{part[0]}")
    return "".join(found)


# --- UTF-8 ---------------------------------------------------------------------------------------


def scalars(text: str) -> str:
    """The text with U+FFFD for surrogates that have no partner, which no file can hold."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def decode_utf8(data: Sequence[int], *, bytewise: bool = False) -> str:
    """Text of bytes, U+FFFD where they are no UTF-8.

    One of them stands for the longest beginning of a character that breaks off, as in Python and the
    Unicode standard, section 3.9; bytewise: for each byte of it, as in SentencePiece.
    """
    out, start = [], 0
    while start < len(data):
        character, length = next_character(data, start)
        out.append("\ufffd" if character < 0 else chr(character))
        start += 1 if bytewise and character < 0 else length
    return "".join(out)


def next_character(data: Sequence[int], start: int) -> tuple[int, int]:
    """The character that begins at a byte and how many bytes it has; -1 for one that breaks off."""
    lead = data[start]
    row = next((row for row in LEADS if row[0] <= lead <= row[1]), None)
    if row is None:
        return -1, 1
    following, low, high = row[2:]
    value = lead & (0x7F >> (following + (following > 0)))
    for step in range(1, following + 1):
        byte = data[start + step] if start + step < len(data) else -1
        if not low <= byte <= high:
            return -1, step
        value, low, high = value << 6 | byte & 0x3F, 0x80, 0xBF
    return value, following + 1


LEADS = (
    (0x00, 0x7F, 0, 0x00, 0x00),
    (0xC2, 0xDF, 1, 0x80, 0xBF),
    (0xE0, 0xE0, 2, 0xA0, 0xBF),
    (0xE1, 0xEC, 2, 0x80, 0xBF),
    (0xED, 0xED, 2, 0x80, 0x9F),
    (0xEE, 0xEF, 2, 0x80, 0xBF),
    (0xF0, 0xF0, 3, 0x90, 0xBF),
    (0xF1, 0xF3, 3, 0x80, 0xBF),
    (0xF4, 0xF4, 3, 0x80, 0x8F),
)
"""First and last leading byte, how many bytes follow, lowest and highest first one of these.

Source: The Unicode Standard, table 3-7.
"""
