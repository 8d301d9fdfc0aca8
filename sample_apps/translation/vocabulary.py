"""The tokenizer: one SentencePiece unigram vocabulary for English, Spanish, French and German.

It is chosen so that another language can repeat it exactly: no normalization beyond reading white
space as spaces and taking those together, one leading space, no byte fallback, and scores that are multiples of 1/1024, whose sums
are exact in float32. Where two segmentations score the same, the piece that starts first wins: a
later candidate replaces the best path to its end only if it is strictly better.
Source: Kudo, Subword Regularization, ACL 2018, arXiv:1804.10959.

    python vocabulary.py WORK        reads WORK/train.tsv, writes tokenizer.model beside this file
"""

from __future__ import annotations

import argparse
import contextlib
import io
import string
import struct
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import sentencepiece
from pairs import PLACEHOLDER, load
from tokens import END, LANGUAGES, PAD, START, TOKENIZER, UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZE = 6000
STEP = 1 / 1024
REQUIRED = "".join(
    (
        string.ascii_letters + string.digits + string.punctuation,
        "áéíóúüñÁÉÍÓÚÜÑ¿¡àâæçèêëîïôœùûÿÀÂÆÇÈÊËÎÏÔŒÙÛäöüßÄÖÜ",
        "–—…“”„«»°€’‘",  # noqa: RUF001
    )
)
"""Characters that have a piece of their own whether training has them or not."""
SPACES = [c for c in map(chr, range(sys.maxunicode + 1)) if c.isspace() and c != " "]
"""White space that is read as a space: tabs, ends of lines, spaces of other widths."""


def train(texts: Iterator[str]) -> bytes:
    """A SentencePiece model of SIZE pieces; the same on every machine."""
    model, rules = io.BytesIO(), Path("spaces.tsv")
    # The model holds the path of its rules, as it was given: another folder must not show.
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        rules.write_text("".join(f"{ord(space):X}\t20\n" for space in SPACES))
        _train(texts, model, rules)
    return model.getvalue()


def _train(texts: Iterator[str], model: io.BytesIO, rules: Path) -> None:
    """Writes the model. rules: file of characters, in hexadecimal, and what each is read as."""
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=texts, model_writer=model, model_type="unigram", vocab_size=SIZE,
        normalization_rule_tsv=str(rules), add_dummy_prefix=True, remove_extra_whitespaces=True,
        character_coverage=1.0, required_chars=REQUIRED, byte_fallback=False, split_digits=True,
        max_sentencepiece_length=16, num_threads=1, shuffle_input_sentence=False,
        pad_id=PAD, unk_id=UNKNOWN, bos_id=START, eos_id=END,
        control_symbols=[f"<{language}>" for language in LANGUAGES], minloglevel=2,
    )  # fmt: skip


def rounded(model: bytes) -> bytes:
    """The model with each score as a multiple of STEP, patched in place.

    A model is a protobuf: its field 1 repeats the pieces, and field 2 of a piece is the score.
    """
    patched = bytearray(model)
    for number, start, end in fields(model, 0, len(model)):
        if number != 1:
            continue
        for inner, at, _ in fields(model, start, end):
            if inner == 2:  # noqa: PLR2004
                (score,) = struct.unpack_from("<f", model, at)
                struct.pack_into("<f", patched, at, round(score / STEP) * STEP)
    return bytes(patched)


def fields(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Number, start and end of the content of every field of a protobuf message.

    Raises ValueError for the two wire types that no message has used since 2008.
    """
    while at < end:
        key, at = varint(data, at)
        kind = key & 7
        if kind == 0:
            _, stop = varint(data, at)
        elif kind in {1, 5}:
            stop = at + (8 if kind == 1 else 4)
        elif kind == 2:  # noqa: PLR2004
            size, at = varint(data, at)
            stop = at + size
        else:
            raise ValueError(f"wire type {kind} at byte {at}")
        yield key >> 3, at, stop
        at = stop


def varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of protobuf's variable length, and where the next thing starts."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:  # noqa: PLR2004
            return value, at


def main() -> None:
    """Trains on every string of the training set, English ones once."""
    parser = argparse.ArgumentParser(description="Makes tokenizer.model.")
    parser.add_argument("work", type=Path)
    pairs = load(parser.parse_args().work / "train.tsv")
    texts = list(dict.fromkeys([pair.english for pair in pairs] + [pair.text for pair in pairs]))
    without = (" ".join(PLACEHOLDER.sub(" ", text).split()) for text in texts)
    TOKENIZER.write_bytes(rounded(train(without)))


if __name__ == "__main__":
    main()
