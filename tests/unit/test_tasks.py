"""What an app does with its models: settings and signatures become the data that both cores read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from core_readers import kotlin_flaws, swift_flaws
from edgepack import config, tasks
from edgepack.contract import text
from edgepack.contract.settings import LogMel, Speech
from edgepack.task_settings import Tasks
from edgepack.wire.types import TensorSpec
from task_bench import (
    SETTINGS,
    TASKS,
    Models,
    changed,
    fitted,
    refusal,
    signature,
    spec,
    strange_folder,
    swift_task,
    through_json,
    write_files,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return strange_folder(tmp_path)


# --- the data is what the cores read -------------------------------------------------------------


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
