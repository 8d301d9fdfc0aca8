"""Makes tests/golden/contract: what the Python, Kotlin and Swift cores must all give.

    python tests/golden/make_contract.py

Expected values come from other people's programs where there are any: Pillow for pixels, sentencepiece
and tokenizers for ids, numpy's FFT and Python's own UTF-8. The reference in edgepack.contract makes the
rest. Needs what edgepack needs, and sentencepiece==0.2.3 and tokenizers==0.23.1.

Inputs are not stored but made: byte k of noise(seed) is the highest of the k-th number of the generator
x → 1664525 x + 1013904223 modulo 2**32 that starts from 2654435761 times the seed.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import random
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT / "packager"))

from edgepack.contract import (  # noqa: E402
    bytelevel,
    classes,
    decoding,
    images,
    sentencepiece,
    sound,
    text,
    unigram,
    wav,
    wordpiece,
)
from edgepack.contract.settings import (  # noqa: E402
    ByteLevel,
    Frames,
    Generation,
    ImageInput,
    LogMel,
    Speech,
    WordPiece,
)

FOLDER = Path(__file__).parent / "contract"
TEMPLATES = ROOT / "templates" / "edgepack_templates"
COPIES = (
    TEMPLATES / "android/app/src/test/resources/contract",
    TEMPLATES / "ios/EdgeCore/Tests/EdgeCoreTests/Contract",
)
"""Where the apps' own tests find them."""

GIVEN = json.loads(Path(__file__).with_name("contract_corpus.json").read_text(encoding="utf-8"))
"""Sentences of our own, rules for characters, texts that tokenizers disagree about, Unicode blocks."""

CORPUS: list[str] = GIVEN["corpus"]

Array = np.ndarray[Any, np.dtype[Any]]


def main() -> None:
    """Write every file, and the copies for the apps."""
    FOLDER.mkdir(exist_ok=True)
    for make in (of_images, of_sound, of_unigram, of_wordpiece, of_bytelevel, of_decoding):
        name = f"{make.__name__.removeprefix('of_')}.json"
        (FOLDER / name).write_text(f"{spread(make())}\n", encoding="utf-8")
    for copy in COPIES:
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(FOLDER, copy)


def spread(value: Any, depth: int = 3) -> str:
    """JSON with a line for each entry of the outer tables and lists."""
    plain = json.dumps(value, ensure_ascii=False, allow_nan=False)
    if not depth or not value or not isinstance(value, (dict, list)) or len(plain) < 100:
        return plain
    if isinstance(value, dict):
        entries = [f"{json.dumps(key)}: {spread(part, depth - 1)}" for key, part in value.items()]
        return "{" + ",".join(f"\n{entry}" for entry in entries) + "\n}"
    return "[" + ",".join(f"\n{spread(part, depth - 1)}" for part in value) + "\n]"


def noise(seed: int, count: int) -> Array:
    """uint8 [count]."""
    seed, out = 2654435761 * seed, bytearray()
    for _ in range(count):
        seed = (1664525 * seed + 1013904223) & 0xFFFFFFFF
        out.append(seed >> 24)
    return np.frombuffer(bytes(out), np.uint8)


def wave(seed: int, count: int) -> Array:
    """float32 [count], multiples of 1/128 from -1."""
    return ((noise(seed, count).astype(np.float32) - 128) / 128).astype(np.float32)


def sha256(array: Array) -> str:
    """Of the little-endian bytes."""
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def packed(array: Array) -> str:
    """Little-endian float32 in base64."""
    return base64.b64encode(array.astype("<f4").tobytes()).decode()


# --- images --------------------------------------------------------------------------------------


def of_images() -> dict[str, Any]:
    """Resizes by Pillow, and whole preparations of its pixels by plain arithmetic."""
    dice = random.Random(1)
    sizes = [(1, 1), (1, 7), (9, 1), (3, 200), (200, 3), (40, 30), (33, 77), (128, 96), (61, 61)]
    resizes = []
    for number, (width, height) in enumerate(sizes * 3):
        to = (dice.randint(1, 90), dice.randint(1, 90))
        to = (width, to[1]) if number % 7 == 3 else (to[0], height) if number % 7 == 5 else to
        kinds = ("nearest", *images.KERNELS)
        resizes += [resized(number, (width, height), to, kind) for kind in kinds]
    return {
        "resizes": resizes,
        "upright": [
            {"orientation": o, "sha256": sha256(images.upright(picture(5, 4, 3, 3), o))}
            for o in range(10)
        ],
        "prepared": [prepared(number, case) for number, case in enumerate(image_settings())],
    }


def picture(seed: int, width: int, height: int, channels: int) -> Array:
    """uint8 [height, width, channels]."""
    return noise(seed, width * height * channels).reshape(height, width, channels)


def resized(
    seed: int, size: tuple[int, int], to: tuple[int, int], interpolation: str
) -> dict[str, Any]:
    """A resize by Pillow, which the reference must equal."""
    from PIL import Image

    channels = (1, 3, 4)[seed % 3]
    pixels = picture(seed, *size, channels)
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[channels]
    image = Image.frombytes(mode, size, pixels.tobytes())
    done = np.asarray(image.resize(to, Image.Resampling[interpolation.upper()]))
    assert np.array_equal(done.reshape(to[1], to[0], channels),
                          images.resize(pixels, *to, interpolation)), (size, to, interpolation)  # type: ignore[arg-type]  # fmt: skip
    return {
        "seed": seed, "from": [*size, channels], "to": to, "interpolation": interpolation,
        "sha256": sha256(done),
    }  # fmt: skip


def image_settings() -> list[tuple[tuple[int, int, int], ImageInput]]:
    """Pictures' width, height and channels, and what becomes of them."""
    make = ImageInput
    imagenet = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    return [
        ((160, 120, 3), make(width=32, height=32, resize=36, **imagenet)),  # type: ignore[arg-type]
        ((50, 90, 3), make(width=24, height=16, resize=24, interpolation="bicubic", color="bgr")),
        ((50, 90, 4), make(width=20, height=20, layout="channels-last", scale=1 / 127.5, mean=(1.0,))),
        ((64, 48, 4), make(width=10, height=12, channels=4, color="bgr", interpolation="lanczos")),
        ((64, 48, 3), make(width=10, height=12, channels=1, dtype="uint8", resize=13)),
        ((31, 31, 1), make(width=12, height=12, dtype="int32", layout="channels-last")),
        ((31, 33, 3), make(width=8, height=8, color="gray", dtype="float16", interpolation="nearest")),
        ((31, 33, 3), make(width=31, height=33, dtype="float64", scale=0.1, std=(3.0, 7.0, 0.3))),
        ((10, 10, 1), make(width=7, height=5, channels=4, dtype="int64", resize=6)),
        ((299, 5, 3), make(width=5, height=5, resize=5, dtype="int16")),
    ]  # fmt: skip


def prepared(seed: int, case: tuple[tuple[int, int, int], ImageInput]) -> dict[str, Any]:
    """An input of a made picture."""
    (width, height, channels), settings = case
    done = images.prepare(picture(seed, width, height, channels), settings)
    return {
        "seed": seed, "from": [width, height, channels], "settings": msgspec.to_builtins(settings),
        "shape": done.shape, "sha256": sha256(done), "first": done.astype(float).ravel()[:4].tolist(),
    }  # fmt: skip


# --- sound ---------------------------------------------------------------------------------------


def of_sound() -> dict[str, Any]:
    """Resampling, frames and spectrograms by the reference."""
    rates = [(48000, 16000), (44100, 16000), (8000, 16000), (22050, 16000), (16000, 44100),
             (11025, 8000), (16000, 16000)]  # fmt: skip
    return {
        "resampled": [
            {"seed": n, "samples": 200 + n, "from": rate, "to": to,
             "values": packed(sound.resample(wave(n, 200 + n), rate, to))}
            for n, (rate, to) in enumerate(rates)
        ],
        "mono": {"seed": 3, "channels": 3, "samples": 20,
                 "values": packed(sound.mono(wave(3, 60).reshape(20, 3)))},
        "pcm16": {"values": (given := [-1.5, -1.0, -0.5 / 32768, 1.5 / 32768, 2.5 / 32768, 0.99999, 1.0]),
                  "samples": sound.to_pcm16(np.array(given, np.float32)).tolist()},
        "frames": [
            framed(n, count, Frames(size=size, hop=hop, before=before, tail=tail))  # type: ignore[arg-type]
            for n, (count, size, hop, before, tail) in enumerate(
                [(1600, 576, 512, 64, "pad"), (1536, 576, 512, 64, "pad"), (5, 8, 4, 0, "pad"),
                 (5, 8, 4, 0, "drop"), (16, 8, 3, 0, "drop"), (0, 4, 2, 1, "pad"), (9, 2, 5, 0, "drop")]
            )
        ],
        "spectrograms": [spectrogram(n, count, s) for n, (count, s) in enumerate(sound_settings())],
        "whisper": whisper(),
        "wav": waves(),
    }  # fmt: skip


def framed(seed: int, count: int, settings: Frames) -> dict[str, Any]:
    """Windows of made sound."""
    done = sound.frames(wave(seed, count), settings)
    return {
        "seed": seed, "samples": count, "settings": msgspec.to_builtins(settings),
        "count": len(done), "sha256": sha256(done),
    }  # fmt: skip


def sound_settings() -> list[tuple[int, LogMel]]:
    """Lengths of made sound, and what becomes of it."""
    make = LogMel
    return [
        (1500, make(length=1920)),
        (3000, make(length=1920, layout="frames-first")),
        (900, make(length=0, window=512, hop=200, mel_scale="htk", mel_norm="peak", bands=20, log="ln",
                   floor=1e-6, range=0.0, offset=0.0, scale=1.0, low_hz=60.0, high_hz=7600.0,
                   center="none", drop_last=False)),
        (500, make(length=0, window=401, hop=97, bands=0, power=1, log="none", offset=0.0, scale=1.0,
                   center="zeros", drop_last=False)),
        (700, make(length=0, sample_rate=22050, window=441, hop=220, bands=16, log="log10", range=5.0,
                   high_hz=11025.0, layout="frames-first")),
        (60, make(length=0, window=210, hop=30, bands=4, power=1, drop_last=False)),
        (1, make(length=0, window=16, hop=4, bands=0, drop_last=False)),
    ]  # fmt: skip


def spectrogram(seed: int, count: int, settings: LogMel) -> dict[str, Any]:
    """A spectrogram of made sound."""
    done = sound.log_mel(wave(seed, count), settings)
    return {
        "seed": seed, "samples": count, "settings": msgspec.to_builtins(settings),
        "shape": done.shape, "values": packed(done),
    }  # fmt: skip


def whisper() -> dict[str, Any]:
    """Whisper's input of 12 seconds of made sound: a few frames of it, and the mean of all."""
    settings = LogMel()
    done = sound.log_mel(wave(7, 192000), settings)
    places = [0, 1, 599, 1198, 1199, 1200, 1201, 2999]
    return {
        "seed": 7, "samples": 192000, "settings": msgspec.to_builtins(settings), "frames": places,
        "values": packed(done[:, places]), "mean": float(done.astype(np.float64).mean()),
    }  # fmt: skip


def waves() -> dict[str, Any]:
    """A recording that Python's own wave module wrote, files that are read, files that are refused."""
    import struct
    import wave as other

    samples = (wave(9, 21) * 32768).astype(np.int16)
    plain = io.BytesIO()
    with other.open(plain, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(samples.tobytes())
    assert wav.write(samples, 16000) == plain.getvalue()

    def made(*chunks: tuple[bytes, bytes]) -> bytes:
        parts = (
            name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)
            for name, body in chunks
        )
        return b"RIFF\xff\xff\xff\xffWAVE" + b"".join(parts)

    def form(tag: int, channels: int, rate: int, bits: int = 16) -> tuple[bytes, bytes]:
        return b"fmt ", struct.pack("<HHIIHH", tag, channels, rate, 0, 0, bits)

    wide = form(0xFFFE, 2, 48000)[1] + struct.pack("<HHIH14s", 22, 16, 3, 1, bytes(14))
    data = (b"data", samples.tobytes())
    endless = made(form(1, 1, 8000), data).replace(b"data*\0\0\0", b"data\xff\xff\xff\xff")
    whole = [
        plain.getvalue(),
        made((b"LIST", b"odd"), (b"fmt ", wide), (b"fact", bytes(4)), data, (b"LIST", b"more")),
        made(form(1, 3, 44100), data)[:-5],
        endless,
        made(form(1, 1, 8000), (b"data", b"")),
    ]
    broken = [
        b"", b"RIFF", b"RIFX" + plain.getvalue()[4:], plain.getvalue()[:40], made(data), made(form(1, 1, 8000)),
        made(form(3, 1, 8000), data), made(form(1, 1, 8000, 8), data), made(form(1, 0, 8000), data),
        made(form(1, 1, 0), data), made(form(1, 1, 1 << 31), data), made((b"fmt ", bytes(14)), data),
    ]  # fmt: skip
    readings = [wav.read(file, "a file") for file in whole]
    return {
        "rate": 16000,
        "samples": samples.tolist(),
        "file": base64.b64encode(plain.getvalue()).decode(),
        "read": [
            {"file": base64.b64encode(file).decode(), "rate": done.rate,
             "channels": done.samples.shape[1], "samples": done.samples.ravel().tolist()}
            for file, done in zip(whole, readings, strict=True)
        ],
        "refused": [base64.b64encode(file).decode() for file in broken],
    }  # fmt: skip


# --- text ----------------------------------------------------------------------------------------


def probes() -> list[str]:
    """Texts to encode: the odd ones, the corpus, and words and characters of it stirred."""
    dice = random.Random(0)
    words = " ".join(CORPUS).split(" ")
    blocks = [(int(first, 16), int(last, 16)) for first, last in GIVEN["blocks"]]
    stirred = []
    for _ in range(120):
        parts = []
        for _ in range(dice.randint(1, 6)):
            block = dice.choice(blocks)
            made = "".join(chr(dice.randint(*block)) for _ in range(dice.randint(1, 4)))
            parts.append(dice.choice(words) if dice.random() < 0.6 else made)
        stirred.append(dice.choice((" ", " ", "", "  ")).join(parts))
    return [*GIVEN["odd"], *CORPUS, *stirred]


PROBES = probes()


def of_unigram() -> list[dict[str, Any]]:
    """Models trained by sentencepiece on our corpus, and its ids."""
    identity = {"normalization_rule_name": "identity"}
    rules = Path(__file__).with_name("rules.tsv.tmp")
    rules.write_text(
        "".join(f"{codes(a)}\t{codes(b)}\n" for a, b in sorted(GIVEN["rules"].items())),
        encoding="utf-8",
    )
    try:
        return [
            sentencepiece_model("plain", vocab_size=420, **identity),
            sentencepiece_model("bytes", vocab_size=640, byte_fallback=True, add_dummy_prefix=False,
                                remove_extra_whitespaces=False, user_defined_symbols=["<b>", "x  y"],
                                **identity),
            sentencepiece_model("rules", vocab_size=440, normalization_rule_tsv=str(rules),
                                user_defined_symbols=["ﬁn"]),
        ]  # fmt: skip
    finally:
        rules.unlink()


def codes(given: str) -> str:
    """Characters as sentencepiece's rules write them."""
    return " ".join(f"{ord(character):X}" for character in given)


def sentencepiece_model(name: str, **options: Any) -> dict[str, Any]:
    """A model, its files and what it makes of the probes."""
    import sentencepiece as other

    written = io.BytesIO()
    other.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS), model_writer=written, model_type="unigram", num_threads=1,
        character_coverage=0.995, minloglevel=2, pad_id=0, unk_id=1, bos_id=2, eos_id=3,
        control_symbols=["<es>"], hard_vocab_limit=False, **options,
    )  # fmt: skip
    model = written.getvalue()
    theirs = other.SentencePieceProcessor(model_proto=model)
    settings, files = sentencepiece.convert(model, name)
    ours = unigram.load(settings, files)
    dice = random.Random(name)
    decoded = []
    for _ in range(60):
        ids = [
            dice.randrange(dice.choice((8, 300, len(ours.pieces))))
            for _ in range(dice.randint(0, 9))
        ]
        decoded.append({"ids": ids, "text": theirs.decode(ids)})
        assert unigram.decode(ours, ids) == decoded[-1]["text"], ids
    for probe in PROBES:
        assert unigram.encode(ours, probe) == theirs.encode(probe), probe
    return {
        "name": name,
        "model": base64.b64encode(model).decode() if name == "rules" else "",
        "settings": msgspec.to_builtins(settings),
        "files": {file: content.decode() for file, content in files.items()},
        "encoded": [{"text": probe, "ids": theirs.encode(probe)} for probe in PROBES],
        "decoded": decoded,
    }


def of_wordpiece() -> list[dict[str, Any]]:
    """Vocabularies of our corpus, and the ids of tokenizers."""
    return [word_pieces("uncased", lower=True), word_pieces("cased", lower=False)]


def word_pieces(name: str, *, lower: bool) -> dict[str, Any]:
    """A vocabulary, a table of just the characters that occur, and what they make of the probes."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    table = wordpiece.characters_of_bert(lower_case=lower, strip_accents=lower)
    found = Counter(word for line in CORPUS for word in wordpiece.words(table, line))
    parts = {part for word in found for part in (word[0], *(f"##{c}" for c in word[1:]))}
    parts |= {word for word, count in found.items() if count > 1}
    parts |= {part for word in found if len(word) > 5 for part in (word[:3], f"##{word[3:6]}")}
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *sorted(parts)]
    ids = {piece: number for number, piece in enumerate(pieces)}
    theirs = Tokenizer(models.WordPiece(ids, unk_token="[UNK]", max_input_chars_per_word=20))  # noqa: S106
    theirs.normalizer = normalizers.BertNormalizer(strip_accents=lower, lowercase=lower)
    theirs.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    used = {ord(c) for c in "".join([*PROBES, *pieces])}
    used |= {ord(part) for code in used for part in table.fold.get(code, "")}
    table = wordpiece.Characters(
        table.drop & used, table.space & used, table.apart & used,
        {code: to for code, to in table.fold.items() if code in used}, table.jamo,
    )  # fmt: skip
    settings = WordPiece(
        pieces="words.pieces",
        characters="words.characters",
        longest_word=20,
        before=(2,),
        after=(3,),
    )
    files = {
        settings.pieces: text.write_pieces([text.Piece(piece) for piece in pieces]),
        settings.characters: wordpiece.write_characters(table),
    }
    ours = wordpiece.load(settings, files)
    encoded = []
    for probe in PROBES:
        known = theirs.encode(probe, add_special_tokens=False).ids
        encoded.append({"text": probe, "ids": [2, *known, 3]})
        assert wordpiece.encode(ours, probe) == encoded[-1]["ids"], probe
    return {
        "name": name,
        "settings": msgspec.to_builtins(settings),
        "files": {file: content.decode() for file, content in files.items()},
        "encoded": encoded,
    }


def of_bytelevel() -> dict[str, Any]:
    """Pieces of bytes, and their texts by Python's own UTF-8."""
    spelled = {byte: character for character, byte in bytelevel.BYTES.items()}
    words = ["the", " cat", "é", " naïve", "日本", "😀", "\n", "  "]
    whole = [bytes([byte]) for byte in range(256)] + [word.encode() for word in words]
    vocabulary = ["".join(spelled[byte] for byte in piece) for piece in whole]
    settings = ByteLevel(pieces="bytes.pieces")
    pieces = bytelevel.pieces_of([*vocabulary, "<|endoftext|>", "<|0.00|>"])
    files = {settings.pieces: text.write_pieces(pieces)}
    ours = bytelevel.load(settings, files)
    dice = random.Random(4)
    decoded = []
    leads = [
        0xC1,
        0xC2,
        0xE0,
        0xE2,
        0xED,
        0xEF,
        0xF0,
        0xF4,
        0xF5,
        0x80,
        0x8F,
        0x90,
        0x9F,
        0xA0,
        0xBF,
        0x41,
    ]
    for number in range(150):
        some = [dice.choice(leads) if number % 2 else dice.randrange(len(pieces)) for _ in range(8)]
        expected = b"".join(whole[i] for i in some if i < len(whole)).decode(errors="replace")
        assert bytelevel.decode(ours, some) == expected
        decoded.append({"ids": some, "text": expected})
    return {
        "settings": msgspec.to_builtins(settings),
        "files": {file: content.decode() for file, content in files.items()},
        "decoded": decoded,
    }


# --- decoding ------------------------------------------------------------------------------------


def of_decoding() -> dict[str, Any]:
    """Answers of the reference; the logits are made of noise."""
    rough = [wave(seed, 9).tolist() for seed in range(4)]
    return {
        "softmax": [
            {"logits": row, "values": decoding.softmax(np.array(row)).tolist()}
            for row in [*rough, [1000.0, 999.0, -1000.0], [0.0]]
        ],
        "sigmoid": {"logits": (row := [-1000.0, -3.0, 0.0, 0.5, 800.0]),
                    "values": classes.sigmoid(np.array(row)).tolist()},
        "top": [
            {"values": row, "count": count, "places": decoding.top(np.array(row), count)}
            for row, count in [([1.0, 3.0, 3.0, -0.0, 0.0, 3.0], 6), (rough[1], 3), ([0.0, 0.0], 5)]
        ],
        "ctc": [transcribed(seed) for seed in range(6)],
        "generated": [generated(seed, s) for seed, s in enumerate(generations())],
        "stretches": [spoken(seed, s) for seed, s in enumerate(speeches())],
        "labels": labelled(),
    }  # fmt: skip


def transcribed(seed: int) -> dict[str, Any]:
    """CTC of made logits [24, 5], four times noise from -1 to 1."""
    logits = 4 * wave(seed, 24 * 5).reshape(24, 5).astype(np.float64)
    texts = decoding.ctc_beam(logits, 4, beams=6, candidates=4)
    return {
        "seed": seed, "frames": 24, "tokens": 5, "blank": 4, "beams": 6, "candidates": 4,
        "greedy": decoding.ctc_greedy(logits, 4),
        "texts": [{"tokens": tokens, "chance": chance} for tokens, chance in texts],
    }  # fmt: skip


def step(state: int, token: int, place: int) -> tuple[Array, int]:
    """A made decoder: its state is a number that all tokens so far have stirred."""
    after = (state * 31 + token * 17 + place + 1) & 0xFFFFFFFF
    return 3 * wave(after, 14), after


def generations() -> list[Generation]:
    """Ways to choose tokens."""
    make = Generation
    return [
        make(start=(1,), end=0, longest=20),
        make(start=(1, 5, 2), end=3, longest=12, suppressed=(4, 7), suppressed_first=(3,)),
        make(start=(1,), end=0, longest=25, beams=4),
        make(start=(2, 1), end=0, longest=25, beams=3, length_penalty=1.0),
        make(start=(2, 1), end=6, longest=8, beams=5, length_penalty=0.0, suppressed=(0, 1, 99)),
        make(start=(1,), end=13, longest=40, beams=2, suppressed_first=(13,)),
        make(start=(1, 2, 3), end=0, longest=3, beams=2),
        *[make(start=(seed,), end=0, longest=16, beams=2 + seed % 4) for seed in range(8)],
    ]


def generated(seed: int, settings: Generation) -> dict[str, Any]:
    """Tokens of the made decoder."""
    return {
        "seed": seed, "settings": msgspec.to_builtins(settings),
        "tokens": decoding.generate(step, seed, settings),
    }  # fmt: skip


def speeches() -> list[Speech]:
    """Ways to find speech."""
    make = Speech
    return [
        make(), make(), make(min_speech_ms=0, min_silence_ms=0, pad_ms=0), make(pad_ms=400),
        make(longest_ms=1000), make(longest_ms=500, min_silence_ms=2000, pad_ms=0),
        make(threshold=0.9, release=0.1, frame=256, sample_rate=8000), make(min_silence_ms=300, pad_ms=100),
    ]  # fmt: skip


def spoken(seed: int, settings: Speech) -> dict[str, Any]:
    """Stretches of made probabilities, each of which lasts for a few frames."""
    rough = noise(seed, 240) / 255
    probabilities = [float(np.float32(rough[n // (1 + n % 7)])) for n in range(240)]
    samples = 240 * settings.frame - 100
    return {
        "settings": msgspec.to_builtins(settings), "probabilities": probabilities, "samples": samples,
        "stretches": decoding.stretches(probabilities, samples, settings),
    }  # fmt: skip


def labelled() -> list[dict[str, Any]]:
    """Files of labels, and what they hold; null for those that are refused."""
    files = [
        "cat\ndog\n",
        "\ufeffcat\r\ndog\r\n\r\n",
        "  crème brûlée\t\nline\u2028two\rthree",
        "",
        "a\n\nb\n",
    ]
    return [
        {
            "file": file,
            "labels": None if "\n\nb" in file else classes.read_labels(file.encode(), "l"),
        }
        for file in files
    ]


if __name__ == "__main__":
    main()
