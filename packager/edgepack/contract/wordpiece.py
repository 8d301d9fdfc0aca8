"""BERT's word pieces: characters folded and split by a table, words cut from the front.

Source: Devlin et al., arXiv:1810.04805; google-research/bert, tokenization.py.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from edgepack.contract import text
from edgepack.contract.settings import WordPiece
from edgepack.errors import EdgepackError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

ASCII_PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
CHINESE = (
    range(0x4E00, 0xA000),
    range(0x3400, 0x4DC0),
    range(0x20000, 0x2A6E0),
    range(0x2A700, 0x2B740),
    range(0x2B740, 0x2B820),
    range(0x2B820, 0x2CEB0),
    range(0xF900, 0xFB00),
    range(0x2F800, 0x2FA20),
)
"""Blocks whose characters are words of their own."""

HANGUL = range(0xAC00, 0xD7A4)
VOWELS, TAILS = 21, 28
"""Syllables and how many of their vowels and endings there are; the Unicode Standard, 3.12."""


@dataclass(frozen=True, slots=True)
class Characters:
    """How each character is read; those of no set stand for themselves and are part of a word.

    drop: is left out. space: ends a word. apart: is a word of its own, after folding. fold: what
    stands for a character. jamo: whether Hangul syllables are taken apart.
    """

    drop: frozenset[int]
    space: frozenset[int]
    apart: frozenset[int]
    fold: Mapping[int, str]
    jamo: bool = False


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """Word pieces ready to use. ids: by piece. longest: piece, in characters."""

    settings: WordPiece
    characters: Characters
    ids: Mapping[str, int]
    unknown: int
    longest: int


def load(settings: WordPiece, files: Mapping[str, bytes]) -> Tokenizer:
    """The tokenizer that settings and files make; files: content by name.

    Raises E624 for a broken file, E625 for a vocabulary without the unknown piece.
    """
    pieces = text.read_pieces(files[settings.pieces], settings.pieces)
    ids = {piece.text: number for number, piece in enumerate(pieces)}
    if settings.unknown not in ids:
        raise EdgepackError(
            "E625",
            f"{settings.pieces} lacks pieces that the tokenizer needs",
            why=f"It has no {settings.unknown!r}.",
        )
    characters = read_characters(files[settings.characters], settings.characters)
    return Tokenizer(settings, characters, ids, ids[settings.unknown], max(map(len, ids)))


def encode(tokenizer: Tokenizer, given: str) -> list[int]:
    """Ids of a text, with the settings' ids before and after. Special pieces in it are plain text."""
    settings = tokenizer.settings
    ids = [i for word in words(tokenizer.characters, given) for i in pieces_of(tokenizer, word)]
    return [*settings.before, *ids, *settings.after]


def words(characters: Characters, given: str) -> Iterator[str]:
    """Folded words of a text, and punctuation and Chinese characters each alone."""
    word = ""
    for character in text.scalars(given):
        code = ord(character)
        if code in characters.drop:
            continue
        for part in " " if code in characters.space else _folded(characters, character):
            apart = ord(part) in characters.apart
            if (apart or part == " ") and word:
                yield word
                word = ""
            if apart:
                yield part
            elif part != " ":
                word += part
    if word:
        yield word


def pieces_of(tokenizer: Tokenizer, word: str) -> list[int]:
    """The longest piece that begins the word, and so on; unknown as a whole if any part is."""
    settings, ids, start = tokenizer.settings, [], 0
    if len(word) > settings.longest_word:
        return [tokenizer.unknown]
    while start < len(word):
        mark = settings.continuing if start else ""
        for end in range(min(len(word), start + tokenizer.longest), start, -1):
            found = tokenizer.ids.get(mark + word[start:end])
            if found is not None:
                break
        else:
            return [tokenizer.unknown]
        ids.append(found)
        start = end
    return ids


def _folded(characters: Characters, character: str) -> str:
    """What stands for a character that is neither dropped nor a space."""
    place = ord(character) - HANGUL.start
    if not characters.jamo or ord(character) not in HANGUL:
        return characters.fold.get(ord(character), character)
    lead, vowel = divmod(place // TAILS, VOWELS)
    tail = chr(0x11A7 + place % TAILS) if place % TAILS else ""
    return chr(0x1100 + lead) + chr(0x1161 + vowel) + tail


# --- the table -----------------------------------------------------------------------------------


def characters_of_bert(
    *, lower_case: bool, strip_accents: bool, chinese: bool = True
) -> Characters:
    """The table that BERT's three switches stand for, by the Unicode version of this Python.

    Differs from the tokenizers package in characters younger than its own tables (Unicode 8), and in
    U+2B820 to U+2B91F, which are Chinese here as in BERT's own code.
    """
    drop, space, apart, fold = {0, 0xFFFD}, set(), set(), {}
    for code in range(0x110000):
        character, category = chr(code), unicodedata.category(chr(code))
        if category in ("Cn", "Cs"):
            continue
        if category in ("Cc", "Cf", "Co") and character not in "\t\n\r":
            drop.add(code)
        elif category[0] == "Z" or character in "\t\n\r":
            space.add(code)
        elif (
            category[0] == "P"
            or character in ASCII_PUNCTUATION
            or (chinese and any(code in block for block in CHINESE))
        ):
            apart.add(code)
        if code in drop or code in space or code in HANGUL:
            continue
        folded = character
        if strip_accents:
            parts = unicodedata.normalize("NFD", character)
            folded = "".join(part for part in parts if unicodedata.category(part) != "Mn")
        if lower_case:
            folded = "".join(part.lower() for part in folded)
        if folded != character:
            fold[code] = folded
    return Characters(frozenset(drop), frozenset(space), frozenset(apart), fold, strip_accents)


def write_characters(characters: Characters) -> bytes:
    """The table's file: `drop`, `space` and `apart` with first and last, `fold` with from and to.

    Numbers are hexadecimal; `jamo` alone stands for the Hangul rule.
    """
    lines = [text.CHARACTERS, *(["jamo"] if characters.jamo else [])]
    for word in ("drop", "space", "apart"):
        lines += [f"{word} {first:x} {last:x}" for first, last in _runs(getattr(characters, word))]
    for code, to in sorted(characters.fold.items()):
        lines.append(" ".join(["fold", f"{code:x}", *(f"{ord(part):x}" for part in to)]))
    return "".join(f"{line}\n" for line in lines).encode()


def read_characters(data: bytes, name: str) -> Characters:
    """The table in a file. Raises E624."""
    sets: dict[str, set[int]] = {"drop": set(), "space": set(), "apart": set()}
    fold, jamo = {}, False
    for number, line in text.lines_of(data, text.CHARACTERS, name):
        word, *rest = line.split(" ")
        try:
            numbers = [int(part, 16) for part in rest]
            if word == "fold":
                fold[numbers[0]] = "".join(map(chr, numbers[1:]))
            elif word in sets:
                sets[word].update(range(numbers[0], numbers[1] + 1))
            elif line == "jamo":
                jamo = True
            else:
                raise ValueError(f"there is no {word!r}")
        except (ValueError, IndexError) as error:
            raise text.broken(name, number, str(error)) from error
    drop, space, apart = (frozenset(numbers) for numbers in sets.values())
    return Characters(drop, space, apart, fold, jamo)


def _runs(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """First and last of each run of neighbours."""
    for _, run in groupby(enumerate(sorted(numbers)), key=lambda pair: pair[1] - pair[0]):
        run_numbers = [number for _, number in run]
        yield run_numbers[0], run_numbers[-1]
