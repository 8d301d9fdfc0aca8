"""What an app does with its models: settings and signatures become the data that both cores read."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from core_readers import kotlin_flaws, swift_flaws
from edgepack import config, tasks
from edgepack.contract import bytelevel, text
from edgepack.contract.settings import ByteLevel as ByteLevelSettings
from edgepack.contract.settings import Carried, Generation, LogMel, Speech
from edgepack.contract.sound import log_mel
from edgepack.errors import EdgepackError
from edgepack.task_settings import Decoder, Tasks
from edgepack.wire.types import Quantization, TensorSpec
from task_bench import (
    CROSS,
    GENERATION,
    SETTINGS,
    TASKS,
    TRANSLATION,
    fitted,
    signature,
    spec,
    write_files,
)

Models = dict[str, tasks.Fitted]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "größe 花 'x' $y"
    place.mkdir()
    return write_files(place)


def changed(models: Models, name: str, **changes: Any) -> Models:
    """The models, one of which has other inputs, outputs or feeds."""
    one = models[name]
    feeds = changes.pop("feeds", one.feeds)
    found = replace(one.signature, **{k: tuple(v) for k, v in changes.items()})
    return {**models, name: tasks.Fitted(name, found, feeds)}


def swapped(specs: tuple[TensorSpec, ...], old: str, new: TensorSpec | None) -> list[TensorSpec]:
    """Tensors with another one in the place of the one called `old`."""
    return [s for one in specs for s in ([new] if one.name == old else [one]) if s is not None]


def refusal(code: str, task: str, folder: Path, models: Models, **settings: Any) -> EdgepackError:
    """The error that preparing a task ends with."""
    wanted = msgspec.structs.replace(SETTINGS[task], **settings)
    with pytest.raises(EdgepackError) as caught:
        tasks.prepare(wanted, folder, models)
    assert caught.value.code == code, caught.value
    assert caught.value.help
    return caught.value


# --- the data is what the cores read -------------------------------------------------------------


def through_json(task: tasks.Task) -> dict[str, Any]:
    """The task as a core finds it in edgepack.json, without the list of its files."""
    value: dict[str, Any] = json.loads(json.dumps(task.value))
    return value


def swift_task(value: dict[str, Any], kind: str) -> list[str]:
    """What keeps Swift from reading a task; its kind it does not read."""
    return swift_flaws({key: part for key, part in value.items() if key != "kind"}, kind)


def test_a_task_without_settings_is_generic(folder: Path) -> None:
    assert tasks.prepare(None, folder, {}) == tasks.Task({"kind": "generic"}, {})


def test_readers_that_lack_a_key_or_get_another_type_are_seen() -> None:
    """The test of the tests below."""
    speech = msgspec.to_builtins(Speech())
    assert kotlin_flaws(speech, "readSpeech") == swift_flaws(speech, "Speech") == []
    speech = {**speech, "frame": 0.5, "pad": 3}
    del speech["pad_ms"]
    assert kotlin_flaws(speech, "readSpeech") == [
        "frame is read as Int, it is 0.5", "pad_ms is read, and missing", "nothing reads pad",
    ]  # fmt: skip
    assert swift_flaws(speech, "Speech") == [
        "Speech has pad_ms, which is missing", "Speech has no pad", "Speech.frame: 0.5 is no Int",
    ]  # fmt: skip
    mel = {**msgspec.to_builtins(LogMel()), "layout": "bands"}
    assert kotlin_flaws(mel, "readLogMel") == ["readLogMel knows no layout 'bands'"]
    assert swift_flaws(mel, "LogMel") == ["LogMel.layout: Layout has no 'bands'"]


def test_both_cores_read_image_classification(folder: Path) -> None:
    task = tasks.prepare(SETTINGS["image-classification"], folder, fitted("image-classification"))
    value = through_json(task)
    assert kotlin_flaws(value, "Classifier", by="task", also=("kind",)) == []
    assert kotlin_flaws(value["image"], "readImageInput") == []
    assert kotlin_flaws(value["classes"], "readClasses") == []
    assert swift_task(value, "ClassificationTask") == []
    assert (value["kind"], value["model"], value["input"], value["output"]) == (
        "image-classification", "flowers", "image", "logits",
    )  # fmt: skip
    assert (value["image"]["width"], value["image"]["height"]) == (4, 4)
    assert task.files == {tasks.LABELS: 'Rose\nit\'s "q" ${x} <b>\n向日葵 🌻\n'.encode()}


def test_both_cores_read_voice(folder: Path) -> None:
    task = tasks.prepare(SETTINGS["voice"], folder, fitted("voice"))
    value = through_json(task)
    detector, decoder = value["detector"], value["decoder"]
    assert kotlin_flaws(value, "Transcriber", by="task", also=("kind",)) == []
    assert kotlin_flaws(detector, "Transcriber", by="detection") == []
    encoder = r'task\.getJSONObject\("encoder"\)'
    assert kotlin_flaws(value["encoder"], "Transcriber", by=encoder) == []
    assert kotlin_flaws(detector["frames"], "readFrames") == []
    for one in (*detector["carried"], *decoder["carried"]):
        assert kotlin_flaws(one, "readCarried") == []
    assert kotlin_flaws(value["speech"], "readSpeech") == []
    assert kotlin_flaws(value["features"], "readLogMel") == []
    assert kotlin_flaws(decoder, "readDecoderNames") == []
    assert kotlin_flaws(value["generation"], "readGeneration") == []
    assert value["tokenizer"] == {"type": "byte-level", "pieces": tasks.VOCABULARY}
    assert swift_task(value, "VoiceTask") == []
    assert detector["frames"] == {
        "sample_rate": 16000, "size": 576, "hop": 512, "before": 64, "tail": "pad",
    }  # fmt: skip
    assert decoder["given"] == ["cross"]
    (data,) = task.files.values()
    pieces = text.read_pieces(data, tasks.VOCABULARY)
    assert [(p.text, p.kind) for p in pieces[:2]] == [("<|end|>", "control"), ("Ġyes", "normal")]
    assert len(pieces) == 8


def test_both_cores_read_translation(folder: Path) -> None:
    task = tasks.prepare(SETTINGS["translation"], folder, fitted("translation"))
    value = through_json(task)
    assert kotlin_flaws(value, "Translator", "readLanguages", by="task", also=("kind",)) == []
    assert kotlin_flaws(value["encoder"], "Translator", by="encoding") == []
    for one in value["languages"]:
        assert kotlin_flaws(one, "readLanguages", by="it") == []
    assert kotlin_flaws(value["tokenizer"], "readUnigram", also=("type",)) == []
    assert kotlin_flaws(value["decoder"], "readDecoderNames") == []
    assert kotlin_flaws(value["generation"], "readGeneration") == []
    assert swift_task(value, "TranslationTask") == []
    assert value["languages"] == [
        {"name": "Español", "token": 4}, {"name": "it's \"q\" $x", "token": 5},
    ]  # fmt: skip
    assert value["decoder"]["given"] == ["cross", "mask"]
    assert (value["encoder"]["length"], value["encoder"]["end"]) == (6, [3])
    assert set(task.files) == {value["tokenizer"]["pieces"], value["tokenizer"]["rules"]}
    pieces = task.files[value["tokenizer"]["pieces"]]
    assert len(text.read_pieces(pieces, "pieces")) == 6000


@pytest.mark.parametrize("task", TASKS)
def test_a_folder_of_any_name_gives_the_same_data(tmp_path: Path, folder: Path, task: str) -> None:
    (tmp_path / "plain").mkdir()
    plain = write_files(tmp_path / "plain")
    assert tasks.prepare(SETTINGS[task], folder, fitted(task)) == tasks.prepare(
        SETTINGS[task], plain, fitted(task)
    )


def test_models_and_tensors_of_any_name_come_through(folder: Path) -> None:
    name = 'it\'s "q" ${x} 花\n'
    found = signature([spec(name, 1, 3, 4, 4)], [spec("other", 1), spec(name, 1, 3)])
    settings = msgspec.structs.replace(
        SETTINGS["image-classification"], model=name, output=name, activation="none", top=9
    )
    value = through_json(tasks.prepare(settings, folder, {name: tasks.Fitted(name, found)}))
    assert (value["model"], value["input"], value["output"]) == (name, name, name)
    assert value["classes"] == {"labels": tasks.LABELS, "activation": "none", "top": 9}
    assert swift_task(value, "ClassificationTask") == []


# --- image classification ------------------------------------------------------------------------


def flowers(
    inputs: tuple[int | str, ...] = (1, 3, 4, 4),
    outputs: tuple[int | str, ...] = (1, 3),
    **feed: Any,
) -> Models:
    """A classifier of those shapes, and what its config says of its input."""
    dtype = feed.pop("dtype", "float32")
    found = signature(
        [TensorSpec(name="image", dtype=dtype, shape=inputs)],
        [TensorSpec(name="logits", dtype="float32", shape=outputs)],
    )
    feeds = (config.Input(name="image", **feed),) if feed else ()
    return {"flowers": tasks.Fitted("flowers", found, feeds)}


def test_what_the_config_says_of_the_input_counts(folder: Path) -> None:
    image = config.Image(resize=9, color="bgr", mean=(0.1, 0.2, 0.3), std=(1.0, 2.0, 3.0))
    models = flowers((1, 4, 4, 3), image=image, layout="NHWC", dtype="uint8")
    value = tasks.prepare(SETTINGS["image-classification"], folder, models).value["image"]
    assert (value["layout"], value["dtype"], value["color"], value["resize"]) == (
        "channels-last", "uint8", "bgr", 9,
    )  # fmt: skip
    assert value["mean"] == (0.1, 0.2, 0.3)


@pytest.mark.parametrize(
    ("inputs", "outputs"), [((3, 4, 4), (3,)), (("batch", 3, 4, 4), ("batch", 3)), ((1, 1, 4, 4), (1, 1, 3))]
)  # fmt: skip
def test_one_photo_fits_with_a_batch_of_one_or_any_or_none(
    folder: Path, inputs: tuple[int | str, ...], outputs: tuple[int | str, ...]
) -> None:
    assert tasks.prepare(SETTINGS["image-classification"], folder, flowers(inputs, outputs)).files


@pytest.mark.parametrize(
    ("models", "code", "words"),
    [
        (flowers((3, 4)), "E226", "takes no images"),
        (flowers((1, 2, 5, 5)), "E226", "takes no images"),
        (flowers((1, 3, 4, "width")), "E226", "takes no images"),
        (flowers(dtype="int8"), "E227", "cannot hold pixel values"),
        (flowers(image=config.Image(mean=(0.1, 0.2))), "E103", "image.mean"),
        (flowers(image=config.Image(std=(0.0,))), "E103", "image.std"),
        (flowers((8, 3, 4, 4)), "E640", "has 'image' of [8, 3, 4, 4]"),
        (flowers(outputs=(5, 3)), "E640", "has 'logits' of [5, 3]"),
        (flowers(outputs=(1, 4)), "E629", "3 labels, the output [1, 4] has 4 classes"),
        (flowers(outputs=()), "E629", "3 labels, the output [] has 1 classes"),
        (flowers(outputs=("batch", "n")), "E629", "has n classes"),
    ],
)
def test_a_classifier_that_does_not_fit_is_refused(
    folder: Path, models: Models, code: str, words: str
) -> None:
    error = refusal(code, "image-classification", folder, models)
    assert words in f"{error.message} {error.why}"


def test_a_classifier_takes_one_input_and_has_the_output(folder: Path) -> None:
    models = fitted("image-classification")
    more = [spec("image", 1, 3, 4, 4), spec("scale", 1)]
    error = refusal("E640", "image-classification", folder, changed(models, "flowers", inputs=more))
    assert error.message == "model 'flowers' takes 'image', 'scale'"
    error = refusal("E640", "image-classification", folder, changed(models, "flowers", inputs=[]))
    assert error.message == "model 'flowers' takes nothing"
    error = refusal("E640", "image-classification", folder, models, output="logit")
    assert error.help == "Did you mean 'logits'?"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"a\nb\n", "2 labels"),
        (b"a\nb\nc\nd\n", "4 labels"),
        (b"a\n\nc\n", "line 2 is empty"),
        (b"", "0 labels"),
        (b"a\n\xff\nc\n", "not UTF-8"),
        (b"a\nb\x00\nc\n", "line 2 holds U+0000"),
        ("a\nb\nc\u2028\n".encode(), "line 3 holds U+2028"),
    ],
)
def test_labels_that_do_not_fit_are_refused(folder: Path, data: bytes, why: str) -> None:
    (folder / "labels.txt").write_bytes(data)
    models = fitted("image-classification")
    assert why in refusal("E629", "image-classification", folder, models).why


def test_labels_lose_what_only_an_editor_put_there(folder: Path) -> None:
    (folder / "labels.txt").write_bytes("\ufeff a\r\nb\t\r\nc c\r\n\r\n".encode())
    task = tasks.prepare(SETTINGS["image-classification"], folder, fitted("image-classification"))
    assert task.files == {tasks.LABELS: b"a\nb\nc c\n"}


# --- files ---------------------------------------------------------------------------------------

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


# --- voice ---------------------------------------------------------------------------------------


def detector(**tensors: TensorSpec | None) -> Models:
    """The models of the voice task, with other tensors of the detector by their names."""
    models = fitted("voice")
    found = models["vad"].signature
    inputs, outputs = found.inputs, found.outputs
    for name, new in tensors.items():
        inputs = tuple(swapped(inputs, name, new))
        outputs = tuple(swapped(outputs, name, new))
    return changed(models, "vad", inputs=inputs, outputs=outputs)


@pytest.mark.parametrize(
    ("models", "words"),
    [
        (detector(x=spec("x", 1, 576, dtype="float16")), "takes sound as float16 [1, 576]"),
        (detector(x=spec("x", 1, 511)), "takes sound as float32 [1, 511]"),
        (detector(x=spec("x", 2, 576)), "takes sound as float32 [2, 576]"),
        (detector(x=spec("x")), "has 'x' of []"),
        (detector(x=TensorSpec(name="x", dtype="float32", shape=(1, "n"))), "has 'x' of [1, 'n']"),
        (detector(x=None), "takes nothing"),
        (detector(probability=spec("probability", 1, 2)), "gives 'probability' as [1, 2]"),
        (detector(h=None), "has no input 'h'"),
        (detector(hn=None), "has no output 'hn'"),
        (detector(hn=spec("hn", 1, 9)), "cannot carry 'hn' to 'h'"),
        (detector(hn=spec("hn", 1, 8, dtype="float16")), "cannot carry 'hn' to 'h'"),
        (detector(h=TensorSpec(name="h", dtype="float32", shape=("n", 8))), "has 'h' of ['n', 8]"),
        (
            detector(hn=replace(spec("hn", 1, 8), quantization=Quantization(scales=(0.5,), zero_points=(1,)))),
            "cannot carry 'hn' to 'h'",
        ),
    ],
)  # fmt: skip
def test_a_detector_that_does_not_fit_is_refused(folder: Path, models: Models, words: str) -> None:
    assert words in refusal("E640", "voice", folder, models).message


def test_a_state_that_is_not_carried_is_one_input_too_many(folder: Path) -> None:
    wanted = msgspec.structs.replace(SETTINGS["voice"].detector, carried=())
    error = refusal("E640", "voice", folder, fitted("voice"), detector=wanted)
    assert error.message == "model 'vad' takes 'x', 'h'"
    assert "name its state as carried" in error.why
    wanted = msgspec.structs.replace(SETTINGS["voice"].detector, output="probabilty")
    error = refusal("E640", "voice", folder, fitted("voice"), detector=wanted)
    assert error.help == "Did you mean 'probability'?"


def test_a_detector_without_context_is_fed_frame_by_frame(folder: Path) -> None:
    value = tasks.prepare(SETTINGS["voice"], folder, detector(x=spec("x", 512))).value
    assert value["detector"]["frames"]["before"] == 0


def test_sample_rates_that_differ_are_refused(folder: Path) -> None:
    error = refusal(
        "E640", "voice", folder, fitted("voice"), speech=Speech(sample_rate=8000, longest_ms=9000)
    )
    assert error.message == "model 'encoder' hears 16000 Hz and vad 8000 Hz"


@pytest.mark.parametrize(
    ("features", "mel", "fits"),
    [
        (LogMel(), (1, 80, 3000), True),
        (LogMel(), (80, 3000), True),
        (LogMel(), (1, 1, 80, 3000), True),
        (LogMel(), (1, 3000, 80), False),
        (LogMel(), (2, 80, 3000), False),
        (LogMel(), (1, 80, 3001), False),
        (LogMel(drop_last=False), (1, 80, 3001), True),
        (LogMel(layout="frames-first"), (1, 3000, 80), True),
        (LogMel(bands=0), (1, 201, 3000), True),
        (LogMel(center="none", drop_last=False), (1, 80, 2998), True),
        (LogMel(center="none"), (1, 80, 2998), False),
        (LogMel(window=401), (1, 80, 2999), True),
        (LogMel(window=401), (1, 80, 3000), False),
        (LogMel(length=0, drop_last=False), (1, 80, 1), False),
    ],
)
def test_the_spectrogram_is_the_encoders_input(
    folder: Path, features: LogMel, mel: tuple[int, ...], fits: bool
) -> None:
    models = changed(fitted("voice"), "encoder", inputs=[spec("mel", *mel)])
    if not fits:
        error = refusal("E640", "voice", folder, models, features=features)
        assert error.message == f"model 'encoder' takes 'mel' as float32 {list(mel)}"
        return
    settings = msgspec.structs.replace(SETTINGS["voice"], features=features)
    assert tasks.prepare(settings, folder, models).value["encoder"]["input"] == "mel"
    if features.length:
        spectrogram = log_mel(np.zeros(features.length, np.float32), features)
        assert spectrogram.shape == mel[-2:]


@pytest.mark.parametrize(("low", "high"), [(8000.0, 8000.0), (9.0, 8.0), (0.0, 8000.5)])
def test_bands_that_lie_between_no_two_frequencies_are_refused(
    folder: Path, low: float, high: float
) -> None:
    features = LogMel(low_hz=low, high_hz=high)
    error = refusal("E640", "voice", folder, fitted("voice"), features=features)
    assert error.message == f"model 'encoder' hears from {low:g} to {high:g} Hz"
    models = changed(fitted("voice"), "encoder", inputs=[spec("spectrum", 1, 201, 3000)])
    settings = msgspec.structs.replace(
        SETTINGS["voice"], features=LogMel(bands=0, low_hz=low, high_hz=high)
    )
    assert tasks.prepare(settings, folder, models).files


def test_speech_that_would_end_where_it_begins_is_refused(folder: Path) -> None:
    speech = Speech(longest_ms=29000, threshold=0.5, release=0.6)
    error = refusal("E640", "voice", folder, fitted("voice"), speech=speech)
    assert error.message == "model 'vad' begins speech at 0.5 and ends it below 0.6"


def test_a_spectrogram_of_halves_is_refused(folder: Path) -> None:
    models = changed(fitted("voice"), "encoder", inputs=[spec("mel", 1, 80, 3000, dtype="float16")])
    refusal("E640", "voice", folder, models)
    models = changed(fitted("voice"), "encoder", inputs=[spec("mel", 1, 80, 3000), spec("mask", 1)])
    refusal("E640", "voice", folder, models)


@pytest.mark.parametrize(
    ("longest", "pad", "fits"), [(0, 30, False), (29941, 30, False), (29940, 30, True)]
)
def test_speech_that_the_encoder_cannot_hear_at_once_is_cut_before(
    folder: Path, longest: int, pad: int, fits: bool
) -> None:
    speech = Speech(longest_ms=longest, pad_ms=pad)
    if fits:
        settings = msgspec.structs.replace(SETTINGS["voice"], speech=speech)
        tasks.prepare(settings, folder, fitted("voice"))
        return
    error = refusal("E640", "voice", folder, fitted("voice"), speech=speech)
    assert "29940 at most" in error.help


# --- decoders ------------------------------------------------------------------------------------


def decoder(task: str, **tensors: TensorSpec | None) -> Models:
    """The models of a task, with other tensors of the decoder by their names."""
    models = fitted(task)
    found = models["decoder"].signature
    inputs, outputs = found.inputs, found.outputs
    for name, new in tensors.items():
        inputs = tuple(swapped(inputs, name, new))
        outputs = tuple(swapped(outputs, name, new))
    return changed(models, "decoder", inputs=inputs, outputs=outputs)


@pytest.mark.parametrize("task", ["voice", "translation"])
@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({"token": None}, "has no input 'token'"),
        ({"position": None}, "has no input 'position'"),
        ({"token": spec("token", 2, dtype="int32")}, "takes 'token' as int32 [2]"),
        ({"token": spec("token", 1)}, "takes 'token' as float32 [1]"),
        ({"position": spec("position", dtype="int32")}, "has 'position' of []"),
        ({"position": spec("position", 1, dtype="int8")}, "takes 'position' as int8 [1]"),
        ({"logits": None}, "has no output 'logits'"),
        ({"logits": spec("logits", 1, 3)}, "gives 'logits' as float32 [1, 3]"),
        ({"logits": spec("logits", 1, 9000, dtype="int8")}, "gives 'logits' as int8 [1, 9000]"),
        ({"logits": spec("logits", 2, 4)}, "has 'logits' of [2, 4]"),
        ({"keys": None}, "has no input 'keys'"),
        ({"new_keys": None}, "has no output 'new_keys'"),
        ({"keys": spec("keys", 2, 9, 4)}, "cannot carry 'new_keys' to 'keys'"),
        ({"cross": spec("cross", 2, 7, 4)}, "takes 'cross', float32 [2, 7, 4]"),
        ({"cross": spec("crossed", 2, 6, 4)}, "takes 'crossed', float32 [2, 6, 4]"),
        ({"cross": spec("cross", 2, 6, 4, dtype="float16")}, "takes 'cross', float16 [2, 6, 4]"),
    ],
)  # fmt: skip
def test_a_decoder_that_does_not_fit_is_refused(
    folder: Path, task: str, tensors: dict[str, TensorSpec | None], words: str
) -> None:
    assert words in refusal("E640", task, folder, decoder(task, **tensors)).message


def test_a_decoder_may_count_for_itself_and_carry_nothing(folder: Path) -> None:
    found = signature([spec("token", 1, 1, dtype="int64"), CROSS], [spec("logits", 1, 1, 8)])
    models = {**fitted("voice"), "decoder": tasks.Fitted("decoder", found)}
    settings = msgspec.structs.replace(
        SETTINGS["voice"], decoder=Decoder(model="decoder", position="")
    )
    value = through_json(tasks.prepare(settings, folder, models))["decoder"]
    assert (value["position"], value["carried"], value["given"]) == ("", [], ["cross"])


def test_a_cache_that_is_not_named_is_asked_of_the_encoder(folder: Path) -> None:
    wanted = msgspec.structs.replace(SETTINGS["voice"].decoder, carried=())
    error = refusal("E640", "voice", folder, fitted("voice"), decoder=wanted)
    assert "has nothing of that name" in error.why
    assert "is it to be carried" in error.why
    wanted = msgspec.structs.replace(
        SETTINGS["voice"].decoder, carried=(Carried(input="key", output="new_keys"),)
    )
    error = refusal("E640", "voice", folder, fitted("voice"), decoder=wanted)
    assert error.help == "Did you mean 'keys'?"


@pytest.mark.parametrize(
    ("generation", "words"),
    [
        (Generation(start=(8,), end=3, longest=9), "logits"),
        (Generation(start=(2,), end=8, longest=9), "logits"),
        (Generation(start=(2, 2), end=3, longest=2), "may write 2 tokens with the 2 given"),
    ],
)
def test_tokens_that_the_decoder_cannot_write_are_refused(
    folder: Path, generation: Generation, words: str
) -> None:
    error = refusal("E640", "voice", folder, fitted("voice"), generation=generation)
    assert words in error.message


@pytest.mark.parametrize(("task", "pieces"), [("voice", 8), ("translation", 6000)])
def test_a_decoder_writes_nothing_that_the_vocabulary_lacks(
    folder: Path, task: str, pieces: int
) -> None:
    padded = decoder(task, logits=spec("logits", 1, pieces + 2))
    error = refusal("E640", task, folder, padded)
    assert error.message == f"model 'decoder' may write the token {pieces}"
    assert "suppressed" in error.help
    silent = msgspec.structs.replace(GENERATION, suppressed=(pieces + 1, pieces))
    settings = msgspec.structs.replace(SETTINGS[task], generation=silent)
    assert tasks.prepare(settings, folder, padded).files


# --- translation ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ([spec("mask", 1, 6)], "has no input 'tokens'"),
        ([spec("tokens", 1, 6, dtype="int32")], "has no input 'mask'"),
        ([spec("tokens", 1, 6), spec("mask", 1, 6)], "takes tokens as float32"),
        ([spec("tokens", 1, 6, dtype="int32"), spec("mask", 1, 5)], "cannot be fed with tokens"),
        (
            [spec("tokens", 1, 6, dtype="int32"), spec("mask", 1, 6), spec("more", 1)],
            "cannot be fed with tokens",
        ),
        ([spec("tokens", 1, 2, dtype="int32"), spec("mask", 1, 2)], "takes 2 tokens"),
        ([spec("tokens", 2, 3, dtype="int32"), spec("mask", 1, 6)], "has 'tokens' of [2, 3]"),
        ([spec("tokens", 1, 6, dtype="int32"), spec("mask", 2, 3)], "has 'mask' of [2, 3]"),
        (
            [TensorSpec(name="tokens", dtype="int32", shape=(1, "n")), spec("mask", 1, 6)],
            "has 'tokens' of [1, 'n']",
        ),
    ],
)
def test_an_encoder_that_does_not_fit_is_refused(
    folder: Path, inputs: list[TensorSpec], words: str
) -> None:
    models = changed(fitted("translation"), "encoder", inputs=inputs)
    assert words in refusal("E640", "translation", folder, models).message


def test_a_mask_that_is_the_tokens_is_refused(folder: Path) -> None:
    models = changed(fitted("translation"), "encoder", inputs=[spec("tokens", 1, 6, dtype="int32")])
    error = refusal("E640", "translation", folder, models, mask="tokens")
    assert error.message == "model 'encoder' cannot be fed with tokens alone"


@pytest.mark.parametrize(
    "settings", [{"languages": {"a": 4, "b": 6000}}, {"end": (6000,)}, {"filler": 6000}]
)
def test_tokens_that_nothing_knows_are_refused(folder: Path, settings: dict[str, Any]) -> None:
    error = refusal("E640", "translation", folder, fitted("translation"), **settings)
    assert error.message == "model 'encoder' is given the token 6000"
    assert "up to 5999" in error.why


def test_an_encoder_may_have_no_mask(folder: Path) -> None:
    models = changed(
        decoder("translation", mask=None), "encoder", inputs=[spec("tokens", 1, 6, dtype="int64")]
    )
    settings = msgspec.structs.replace(SETTINGS["translation"], mask="", languages={})
    value = through_json(tasks.prepare(settings, folder, models))
    assert (value["encoder"]["mask"], value["languages"]) == ("", [])
    assert value["decoder"]["given"] == ["cross"]
    assert swift_task(value, "TranslationTask") == []


def test_a_mask_of_another_dtype_than_the_decoders_is_refused(folder: Path) -> None:
    models = decoder("translation", mask=spec("mask", 1, 6, dtype="int32"))
    error = refusal("E640", "translation", folder, models)
    assert "the encoder has float32 [1, 6] of that name" in error.why.lower()


# --- edgepack.toml -------------------------------------------------------------------------------


def test_every_task_is_found_by_its_name() -> None:
    every = Tasks(
        image_classification=SETTINGS["image-classification"], voice=SETTINGS["voice"],
        translation=SETTINGS["translation"],
    )  # fmt: skip
    for name in TASKS:
        assert every.named(name) is SETTINGS[name]
        assert Tasks().named(name) is None
    assert every.named("generic") is None
    assert msgspec.convert(msgspec.to_builtins(every), Tasks) == every
