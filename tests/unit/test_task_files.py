"""Files that the settings of tasks name: labels, vocabularies, tokenizers, and what is none of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edgepack import tasks
from edgepack.contract import bytelevel, text
from edgepack.contract.settings import ByteLevel as ByteLevelSettings
from edgepack.errors import EdgepackError
from task_bench import (
    SETTINGS,
    TASKS,
    TRANSLATION,
    fitted,
    refusal,
    strange_folder,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return strange_folder(tmp_path)


NAMED = {"image-classification": "labels", "voice": "vocabulary", "translation": "tokenizer"}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", ["gone.txt", ".", "a\0b"])
def test_a_file_that_cannot_be_read_is_refused_before_anything_is_built(
    folder: Path, task: str, name: str
) -> None:
    settings = msgspec.structs.replace(SETTINGS[task], **{NAMED[task]: name})
    for check in (
        lambda: tasks.prepare(settings, folder, fitted(task)),
        lambda: tasks.check_files(settings, folder),
    ):
        with pytest.raises(EdgepackError, match="E201"):
            check()


def test_files_that_are_well_pass_without_any_model(folder: Path) -> None:
    for settings in (*SETTINGS.values(), None):
        tasks.check_files(settings, folder)


def test_a_tokenizer_without_a_piece_for_the_unknown_is_refused(folder: Path) -> None:
    """Before anything is built, as on a phone it would end the app."""
    (folder / "t.model").write_bytes(b"\x0a\x08\x0a\x01a\x15\0\0\x80\xbf")
    settings = msgspec.structs.replace(SETTINGS["translation"], tokenizer="t.model")
    with pytest.raises(EdgepackError, match="E625"):
        tasks.check_files(settings, folder)
    refusal("E625", "translation", folder, fitted("translation"), tokenizer="t.model")


@pytest.mark.parametrize("data", [b"", b"no model", b"\x0a\x05ab", b"edgepack pieces 1\n"])
def test_a_tokenizer_that_is_no_sentencepiece_model_is_refused(folder: Path, data: bytes) -> None:
    (folder / "tokenizer.model").write_bytes(data)
    refusal("E627", "translation", folder, fitted("translation"), tokenizer="tokenizer.model")


def test_a_tokenizer_below_the_folder_is_found(folder: Path) -> None:
    (folder / "ö").mkdir()
    shutil.copyfile(TRANSLATION / "tokenizer.model", folder / "ö" / "t.model")
    settings = msgspec.structs.replace(SETTINGS["translation"], tokenizer="ö/t.model")
    assert tasks.prepare(settings, folder, fitted("translation")) == tasks.prepare(
        SETTINGS["translation"], folder, fitted("translation")
    )


WORDS = ["<|end|>", "Ġyes", "Ġno", "!", "a", "b", "c", "<|start|>"]
IDS = {word: number for number, word in enumerate(WORDS)}


def pieces(folder: Path, name: str, content: str | bytes | Any) -> list[tuple[str, str]]:
    """The vocabulary that an app gets of a file: text and kind of each piece."""
    data = content if isinstance(content, (str, bytes)) else json.dumps(content)
    (folder / name).write_bytes(data.encode() if isinstance(data, str) else data)
    settings = msgspec.structs.replace(SETTINGS["voice"], vocabulary=name)
    files = tasks.prepare(settings, folder, fitted("voice")).files
    return [(p.text, p.kind) for p in text.read_pieces(files[tasks.VOCABULARY], name)]


PLAIN = [(word, "control" if word.startswith("<|") else "normal") for word in WORDS]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("v.txt", "\n".join(WORDS)),
        ("v.txt", "\n".join(WORDS) + "\n"),
        ("v.txt", "\ufeff" + "\r\n".join(WORDS) + "\r\n"),
        ("vocab.json", IDS),
        ("vocab.json", dict(reversed(IDS.items()))),
        ("tokenizer.json", {"model": {"vocab": IDS}}),
        ("tokenizer.json", {"model": {"vocab": {w: n for w, n in IDS.items() if n < 7}},
                            "added_tokens": [{"id": 7, "content": "<|start|>", "special": True}]}),
    ],
)  # fmt: skip
def test_a_vocabulary_may_have_three_forms(folder: Path, name: str, content: Any) -> None:
    assert pieces(folder, name, content) == PLAIN


def test_a_token_called_model_makes_no_tokenizer_of_a_vocabulary(folder: Path) -> None:
    """GPT-2's vocabulary has one."""
    assert pieces(folder, "vocab.json", {**IDS, "model": 8})[8] == ("model", "normal")


def test_special_tokens_and_ids_that_nothing_has_are_never_shown(folder: Path) -> None:
    added = [
        {"id": 9, "content": "</s>", "special": True},
        {"id": 10, "content": "word", "special": False},
    ]
    found = pieces(folder, "t.json", {"model": {"vocab": IDS}, "added_tokens": added})
    assert found[8:] == [("<|8|>", "control"), ("</s>", "control"), ("word", "normal")]
    loaded = bytelevel.load(
        ByteLevelSettings(pieces="p"),
        {"p": text.write_pieces(text.Piece(t, 0.0, k) for t, k in found)},
    )
    assert bytelevel.decode(loaded, [1, 8, 9, 10, 2]) == " yesword no"


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("v.json", "{", "E624"),
        ("v.json", "[]", "E624"),
        ("v.json", "3", "E624"),
        ("v.json", "{}", "E624"),
        ("v.json", '{"model": {}}', "E624"),
        ("v.json", '{"a": "b"}', "E624"),
        ("v.json", '{"a": 0.5}', "E624"),
        ("v.json", '{"a": true}', "E624"),
        ("v.json", '{"a": -1}', "E624"),
        ("v.json", '{"a": 0, "b": -1}', "E624"),
        ("v.json", "[" * 100_000, "E624"),
        ("v.json", '{"a": 1000000000000}', "E624"),
        ("v.json", '{"model": {"type": "Unigram", "vocab": [["\u2581a", -1.5]]}}', "E624"),
        ("v.json", '{"model": {"vocab": {"a": 0}}, "added_tokens": [{"id": 1}]}', "E624"),
        (
            "v.json",
            '{"model": {"vocab": {"a": 0}}, "added_tokens": [{"id": 1, "content": 2}]}',
            "E624",
        ),
        ("v.json", '{"\u2581the": 0}', "E625"),
        ("v.txt", b"a\n\xff\n", "E624"),
        ("v.txt", "a b\n", "E625"),
        ("v.txt", "a\tb\n", "E625"),
    ],
)
def test_a_vocabulary_that_is_none_is_refused(
    folder: Path, name: str, content: str | bytes, code: str
) -> None:
    data = content if isinstance(content, bytes) else content.encode()
    (folder / name).write_bytes(data)
    refusal(code, "voice", folder, fitted("voice"), vocabulary=name)
