"""Ids are those of sentencepiece and tokenizers, which made the vectors; texts survive the way back."""

from __future__ import annotations

import base64
import io
import json
import random
import struct
from contextlib import suppress
from typing import Any

import msgspec
import pytest
import sentencepiece as trainer

from edgepack.contract import bytelevel, sentencepiece, text, unigram, wordpiece
from edgepack.contract.settings import ByteLevel, Unigram, WordPiece
from edgepack.errors import EdgepackError
from golden.make_contract import FOLDER
from task_bench import TRANSLATION


def vectors(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def files_of(case: dict[str, Any]) -> dict[str, bytes]:
    return {name: content.encode() for name, content in case["files"].items()}


UNIGRAM: list[dict[str, Any]] = vectors("unigram")
WORDPIECE: list[dict[str, Any]] = vectors("wordpiece")


@pytest.mark.parametrize("case", UNIGRAM, ids=lambda case: case["name"])
def test_unigram_ids_and_texts_are_sentencepieces(case: dict[str, Any]) -> None:
    tokenizer = unigram.load(msgspec.convert(case["settings"], Unigram), files_of(case))
    for probe in case["encoded"]:
        assert unigram.encode(tokenizer, probe["text"]) == probe["ids"], probe["text"]
    for probe in case["decoded"]:
        assert unigram.decode(tokenizer, probe["ids"]) == probe["text"], probe["ids"]


@pytest.mark.parametrize("case", WORDPIECE, ids=lambda case: case["name"])
def test_word_pieces_are_those_of_tokenizers(case: dict[str, Any]) -> None:
    tokenizer = wordpiece.load(msgspec.convert(case["settings"], WordPiece), files_of(case))
    for probe in case["encoded"]:
        assert wordpiece.encode(tokenizer, probe["text"]) == probe["ids"], probe["text"]


def test_bytes_become_text_as_python_decodes_them() -> None:
    case = vectors("bytelevel")
    tokenizer = bytelevel.load(msgspec.convert(case["settings"], ByteLevel), files_of(case))
    for probe in case["decoded"]:
        assert bytelevel.decode(tokenizer, probe["ids"]) == probe["text"], probe["ids"]


def test_there_are_hundreds_of_texts_in_many_scripts() -> None:
    texts = [probe["text"] for probe in UNIGRAM[0]["encoded"]]
    assert len(texts) > 200
    assert {"한국어 각 갂 힣", "नमस्ते दुनिया", "e\u0301te\u0301 a\u0301 \u0301"} <= set(texts)


# --- SentencePiece -------------------------------------------------------------------------------


def test_a_model_file_becomes_the_files_of_the_vectors() -> None:
    case = next(case for case in UNIGRAM if case["model"])
    settings, files = sentencepiece.convert(base64.b64decode(case["model"]), case["name"])
    assert settings == msgspec.convert(case["settings"], Unigram)
    assert files == files_of(case)


@pytest.mark.parametrize("rules", ["nmt_nfkc", "nfkc_cf"])
@pytest.mark.parametrize("options", [{}, {"byte_fallback": True, "vocab_size": 900}])
def test_models_with_rules_of_sentencepieces_own_are_read_as_it_reads_them(
    rules: str, options: dict[str, Any]
) -> None:
    """nmt_nfkc is what it trains with unless told otherwise: 225,277 replacements."""
    texts = [probe["text"] for probe in UNIGRAM[0]["encoded"]]
    model = io.BytesIO()
    trainer.SentencePieceTrainer.train(
        sentence_iterator=iter(texts * 9), model_writer=model, normalization_rule_name=rules,
        hard_vocab_limit=False, minloglevel=2, num_threads=1, **{"vocab_size": 600, **options},
    )  # fmt: skip
    other = trainer.SentencePieceProcessor(model_proto=model.getvalue())
    tokenizer = unigram.load(*sentencepiece.convert(model.getvalue()))
    assert len(tokenizer.rules) > 225_000
    for probe in [*texts, "\uff21\u200bﬁ①ﾊﾝｶｸ\ttab e\u0301"]:
        ids = unigram.encode(tokenizer, probe)
        assert ids == other.encode(probe), probe
        assert unigram.decode(tokenizer, ids) == other.decode(ids), probe


def test_the_translators_tokenizer_reads_any_white_space_as_one_space() -> None:
    data = (TRANSLATION / "tokenizer.model").read_bytes()
    other = trainer.SentencePieceProcessor(model_proto=data)
    tokenizer = unigram.load(*sentencepiece.convert(data))
    for words in ("The battery is low", "\tThe\u00a0battery \u2009 is\u3000low\n", "a\r\nb\x85c"):
        assert unigram.encode(tokenizer, words) == other.encode(words)
        assert unigram.encode(tokenizer, words) == unigram.encode(
            tokenizer, " ".join(words.split())
        )


@pytest.mark.parametrize("chain", [False, True])
def test_a_table_of_characters_that_goes_in_circles_is_refused(chain: bool) -> None:
    """Below every unit lie all of them, or below the unit of "a" that of "a"."""
    units = [n | n << 10 if not chain or n == ord("a") else 0 for n in range(256)]
    table = struct.pack("<257I", 1024, *units) + b"\0"
    with pytest.raises(ValueError, match="circles"):
        list(sentencepiece.rules_of(table))


def test_broken_models_are_refused() -> None:
    model = base64.b64decode(next(case for case in UNIGRAM if case["model"])["model"])
    dice = random.Random(0)
    for broken in (b"", b"\xff" * 9, model[:100], model[:-30], b"PK\3\4" + model):
        with pytest.raises(EdgepackError, match="E627"):
            sentencepiece.convert(broken)
    for _ in range(400):
        damaged = bytearray(model)
        for _ in range(dice.randint(1, 4)):
            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        with suppress(EdgepackError):
            sentencepiece.convert(bytes(damaged))


@pytest.mark.parametrize(
    ("field", "part"), [(2, b"\x18\x02"), (2, b"\xc0\x01\x01"), (3, b"\x28\x00"), (5, b"\x12\x01a")]
)
def test_models_that_apps_cannot_follow_are_refused(field: int, part: bytes) -> None:
    """Byte-pair models, spaces behind words, spaces as they are, rules for decoding."""
    model = base64.b64decode(next(case for case in UNIGRAM if case["model"])["model"])
    with pytest.raises(EdgepackError, match="E627"):
        sentencepiece.convert(model + bytes([field << 3 | 2, len(part)]) + part)


def small(**settings: Any) -> unigram.Tokenizer:
    pieces = [
        text.Piece("<unk>", 0.0, "unknown"), text.Piece("</s>", 0.0, "control"),
        text.Piece("▁", -2.0), text.Piece("a", -1.0), text.Piece("aa", -2.0), text.Piece("b", -1.5),
        text.Piece("▁ab", -9.0), text.Piece("never", -0.1, "unused"),
    ]  # fmt: skip
    files = {"p": text.write_pieces(pieces)}
    return unigram.load(Unigram(pieces="p", **settings), files)


def test_the_best_split_and_its_ties_by_hand() -> None:
    tokenizer = small(before=(1,), after=(1, 1))
    # ▁ a a: the sum of two a is that of aa, which was found first.
    assert unigram.encode(tokenizer, "aa") == [1, 2, 4, 1, 1]
    # ▁ + a + b = -4.5 beats ▁ab = -9; an unused piece is never taken; x and y are one unknown.
    assert unigram.encode(tokenizer, " ab xy never") == [1, 2, 3, 5, 2, 0, 2, 0, 1, 1]
    assert unigram.decode(tokenizer, [2, 3, 5, 1, 2, 0]) == "ab  ⁇ "


def test_long_texts_keep_their_precision() -> None:
    tokenizer = small()
    ids = unigram.encode(tokenizer, "x" * 9000 + "aab" * 3000)
    assert ids == [2, 0] + [4, 5] * 3000


def test_surrogates_without_partners_are_replaced() -> None:
    tokenizer = small()
    assert unigram.encode(tokenizer, "a\ud800a") == unigram.encode(tokenizer, "a\ufffda")


def test_a_vocabulary_without_what_is_needed_is_refused() -> None:
    with pytest.raises(EdgepackError, match="E625"):
        small(byte_fallback=True)
    files = {"p": text.write_pieces([text.Piece("a")])}
    with pytest.raises(EdgepackError, match="E625"):
        unigram.load(Unigram(pieces="p"), files)
    files["c"] = wordpiece.write_characters(wordpiece.Characters(*[frozenset()] * 3, {}))
    with pytest.raises(EdgepackError, match="E625"):
        wordpiece.load(WordPiece(pieces="p", characters="c"), files)
    with pytest.raises(EdgepackError, match="E625"):
        bytelevel.load(ByteLevel(pieces="p"), {"p": text.write_pieces([text.Piece("日")])})


@pytest.mark.parametrize("number", [-1, 8, 2**40])
def test_an_id_beyond_the_vocabulary_is_refused(number: int) -> None:
    with pytest.raises(EdgepackError, match="E626"):
        unigram.decode(small(), [number])
    tokenizer = bytelevel.load(
        ByteLevel(pieces="p"), {"p": text.write_pieces([text.Piece("a")] * 8)}
    )
    with pytest.raises(EdgepackError, match="E626"):
        bytelevel.decode(tokenizer, [number])


# --- files ---------------------------------------------------------------------------------------


def test_pieces_of_any_characters_survive_their_file() -> None:
    pieces = [
        text.Piece(piece, score, kind)
        for piece in (
            "\n",
            "\r\n",
            "\t",
            "\\",
            "\\n",
            "",
            " ",
            "\u2028",
            "\x85",
            "é",
            "e\u0301",
            "\0",
        )
        for score, kind in ((-1.25, "normal"), (0.1, "user"), (-3.4028234663852886e38, "byte"))
    ]  # type: ignore[misc]
    assert text.read_pieces(text.write_pieces(pieces), "p") == pieces
    rules = {"\t": "", "\n\t": "\\", "a": "\r"}
    assert text.read_rules(text.write_rules(rules.items()), "r") == rules


@pytest.mark.parametrize(
    "data",
    [b"", b"edgepack pieces 2\n", b"edgepack pieces 1\n0.0\tnormal\ta", b"edgepack pieces 1\n\n",
     b"edgepack pieces 1\nx\tnormal\ta\n", b"edgepack pieces 1\n0\tqueer\ta\n", b"edgepack pieces 1\nnan\tnormal\ta\n",
     b"edgepack pieces 1\n0\tnormal\ta\\x\n", b"edgepack pieces 1\n0\tnormal\t\xff\n",
     b"edgepack pieces 1\r\n0\tnormal\ta\r\n"],
)  # fmt: skip
def test_broken_pieces_are_refused(data: bytes) -> None:
    with pytest.raises(EdgepackError, match="E624"):
        text.read_pieces(data, "p")


@pytest.mark.parametrize(
    "line", ["fold", "fold x", "drop 1", "apart 1 2 g", "other 1 2", "fold 1 110000"]
)
def test_a_broken_table_of_characters_is_refused(line: str) -> None:
    with pytest.raises(EdgepackError, match="E624"):
        wordpiece.read_characters(f"{text.CHARACTERS}\n{line}\n".encode(), "c")
    with pytest.raises(EdgepackError, match="E624"):
        text.read_rules(f"{text.RULES}\nno tab\n".encode(), "r")


def test_the_table_of_bert_survives_its_file() -> None:
    table = wordpiece.characters_of_bert(lower_case=True, strip_accents=True)
    assert wordpiece.read_characters(wordpiece.write_characters(table), "c") == table
    assert list(wordpiece.words(table, "ÀéĐ\u0301 世界,İ 각\u00ad")) == [
        "aeđ", "世", "界", ",", "i", "\u1100\u1161\u11a8",
    ]  # fmt: skip


def test_broken_utf8_is_replaced_as_python_does_or_byte_by_byte() -> None:
    dice = random.Random(2)
    some = [
        0x41,
        0x80,
        0x8F,
        0x90,
        0x9F,
        0xA0,
        0xBD,
        0xBF,
        0xC1,
        0xC2,
        0xE0,
        0xE2,
        0xED,
        0xEF,
        0xF0,
        0xF4,
        0xF5,
    ]
    for _ in range(20000):
        data = bytes(dice.choice(some) for _ in range(dice.randint(0, 7)))
        assert text.decode_utf8(data) == data.decode(errors="replace"), data
    assert (
        text.decode_utf8(b"\xf0\x9f\x98a\xe2\x82", bytewise=True)
        == "\ufffd\ufffd\ufffda\ufffd\ufffd"
    )
    assert text.decode_utf8(b"\xef\xbf\xbd\xf0\x90\x80", bytewise=True) == "\ufffd" * 4
