"""SentencePiece's unigram model: the best split of a text by Viterbi, and text from ids.

Scores are added in float32, in SentencePiece's own order, so that ties fall as there.
Source: Kudo, ACL 2018, arXiv:1804.10959; sentencepiece 0.2.3, unigram_model.cc and normalizer.cc.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgepack.contract import text
from edgepack.contract.settings import Unigram
from edgepack.errors import EdgepackError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SPACE = "▁"
UNKNOWN_PENALTY = 10.0
FARTHEST = 100_000.0
"""A sum beyond it is set to 0, and those ahead of it moved with it, before float32 gets coarse."""


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """A unigram model ready to use.

    scored: id and float32 score by piece. users: pieces that are never changed nor split.
    longest, longest_rule: in characters.
    """

    settings: Unigram
    pieces: tuple[text.Piece, ...]
    rules: Mapping[str, str]
    scored: Mapping[str, tuple[int, np.float32]]
    users: frozenset[str]
    byte_ids: Mapping[int, int]
    unknown: int
    unknown_score: np.float32
    longest: int
    longest_rule: int


def load(settings: Unigram, files: Mapping[str, bytes]) -> Tokenizer:
    """The tokenizer that settings and files make; files: content by name.

    Raises E624 for a broken file, E625 for a vocabulary without what the settings need.
    """
    pieces = tuple(text.read_pieces(files[settings.pieces], settings.pieces))
    rules = text.read_rules(files[settings.rules], settings.rules) if settings.rules else {}
    scored = {p.text: (i, _score(p)) for i, p in enumerate(pieces) if p.kind in ("normal", "user")}
    byte_ids = {int(p.text[1:-1], 16): i for i, p in enumerate(pieces) if p.kind == "byte"}
    unknown = next((i for i, p in enumerate(pieces) if p.kind == "unknown"), -1)
    normal = [np.float32(p.score) for p in pieces if p.kind == "normal"]
    if unknown < 0 or not normal or (settings.byte_fallback and len(byte_ids) != 256):  # noqa: PLR2004
        raise EdgepackError(
            "E625",
            f"{settings.pieces} lacks pieces that the tokenizer needs",
            why="It needs one of the kind unknown, a normal one, and for byte fallback all 256 bytes.",
            help="Take the file that the model was trained with.",
        )
    return Tokenizer(
        settings, pieces, rules, scored,
        frozenset(p.text for p in pieces if p.kind == "user"),
        byte_ids, unknown, min(normal) - np.float32(UNKNOWN_PENALTY),
        max(map(len, scored)), max(map(len, rules), default=0),
    )  # fmt: skip


def _score(piece: text.Piece) -> np.float32:
    """The score of a piece; a user's piece has one by its bytes that no split of it reaches."""
    if piece.kind == "user":
        return np.float32(0.1 * (len(piece.text.encode()) - 1))
    return np.float32(piece.score)


def encode(tokenizer: Tokenizer, given: str) -> list[int]:
    """Ids of a text, with the settings' ids before and after."""
    normal = normalize(tokenizer, given)
    ids: list[int] = []
    was_unknown = False
    for piece, number in best_split(tokenizer, normal):
        is_unknown = number == tokenizer.unknown
        if is_unknown and tokenizer.settings.byte_fallback:
            ids += [tokenizer.byte_ids[byte] for byte in piece.encode()]
        elif not (is_unknown and was_unknown):
            ids.append(number)
        was_unknown = is_unknown
    return [*tokenizer.settings.before, *ids, *tokenizer.settings.after]


def normalize(tokenizer: Tokenizer, given: str) -> str:
    """The text as the pieces spell it: rules applied, spaces written ▁, one in front, none left over."""
    settings = tokenizer.settings
    remove = settings.remove_extra_whitespaces
    source = text.scalars(given)
    start, out, after_space = 0, [], remove
    while start < len(source):
        part, length = _next_part(tokenizer, source, start)
        start += length
        if after_space:
            part = part.lstrip(" ")
        if part:
            out.append(part.replace(" ", SPACE))
            after_space = remove and part.endswith(" ")
    if not out:
        # SentencePiece keeps a dummy prefix for what its rules delete, unless it strips spaces.
        return SPACE if source and settings.add_dummy_prefix and not remove else ""
    whole = (SPACE if settings.add_dummy_prefix else "") + "".join(out)
    return whole.rstrip(SPACE) if remove else whole


def _next_part(tokenizer: Tokenizer, source: str, start: int) -> tuple[str, int]:
    """What stands for the beginning of the rest, and how many characters it replaces."""
    for end in range(min(len(source), start + tokenizer.longest), start, -1):
        if tokenizer.users and source[start:end] in tokenizer.users:
            return source[start:end], end - start
    for end in range(min(len(source), start + tokenizer.longest_rule), start, -1):
        if source[start:end] in tokenizer.rules:
            return tokenizer.rules[source[start:end]], end - start
    return source[start], 1


def best_split(tokenizer: Tokenizer, normal: str) -> list[tuple[str, int]]:
    """Pieces and ids whose scores add up to most; the first found wins a tie."""
    size = len(normal)
    best = np.zeros(size + 1, np.float32)
    begin = [-1] * (size + 1)
    number = [-1] * (size + 1)

    def offer(start: int, end: int, candidate: int, score: np.float32) -> None:
        total = score + best[start]
        if begin[end] < 0 or total > best[end]:
            best[end], begin[end], number[end] = total, start, candidate

    for start in range(size):
        if abs(best[start]) > FARTHEST:
            _move_back(best, begin, start)
        single = False
        for end in range(start + 1, min(size, start + tokenizer.longest) + 1):
            known = tokenizer.scored.get(normal[start:end])
            if known is not None:
                offer(start, end, *known)
                single = single or end == start + 1
        if not single:
            offer(start, start + 1, tokenizer.unknown, tokenizer.unknown_score)
    split = []
    end = size
    while end > 0:
        split.append((normal[begin[end] : end], number[end]))
        end = begin[end]
    return split[::-1]


def _move_back(best: np.ndarray[tuple[int], np.dtype[np.float32]], begin: Sequence[int], start: int) -> None:  # fmt: skip
    """Take the sum at `start` from it and all those ahead."""
    offset = best[start]
    for place in range(start, len(best)):
        if place == start or begin[place] >= 0:
            best[place] -= offset


def decode(tokenizer: Tokenizer, ids: Sequence[int]) -> str:
    """Text of ids; control pieces vanish, broken UTF-8 becomes U+FFFD byte by byte.

    Raises E626 for an id that the vocabulary does not have.
    """
    out = ""
    pending: list[int] = []
    at_start, consumed = True, False
    for number in ids:
        if not 0 <= number < len(tokenizer.pieces):
            raise EdgepackError(
                "E626",
                f"the vocabulary has {len(tokenizer.pieces)} pieces, and none of id {number}",
            )
        piece = tokenizer.pieces[number]
        if piece.kind == "byte":
            pending.append(int(piece.text[1:-1], 16))
            continue
        out += text.decode_utf8(pending, bytewise=True)
        pending = []
        at_start = at_start and not consumed and not out
        shown, consumed = _shown(tokenizer.settings, piece, at_start=at_start)
        out += shown
    return out + text.decode_utf8(pending, bytewise=True)


def _shown(settings: Unigram, piece: text.Piece, *, at_start: bool) -> tuple[str, bool]:
    """What a piece adds to a text, and whether it was a text's one dummy space."""
    if piece.kind == "control":
        return "", False
    if piece.kind == "unknown":
        return settings.unknown_surface, False
    strip = at_start and (settings.add_dummy_prefix or settings.remove_extra_whitespaces)
    stripped = piece.text.removeprefix(SPACE) if strip else piece.text
    consumed = stripped != piece.text and not settings.remove_extra_whitespaces
    return stripped.replace(SPACE, " "), consumed
