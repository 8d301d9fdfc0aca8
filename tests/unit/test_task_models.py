"""Models of the voice and translation tasks that fit, and all that does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from edgepack import tasks
from edgepack.contract.settings import Carried, Generation, LogMel, Speech
from edgepack.contract.sound import log_mel
from edgepack.task_settings import Decoder
from edgepack.wire.types import Quantization, TensorSpec
from task_bench import (
    CROSS,
    GENERATION,
    SETTINGS,
    Models,
    changed,
    fitted,
    refusal,
    signature,
    spec,
    strange_folder,
    swapped,
    swift_task,
    through_json,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return strange_folder(tmp_path)


# --- voice ---------------------------------------------------------------------------------------


def other(task: str, model: str, **tensors: TensorSpec | None) -> Models:
    """The models of a task, one of them with other tensors by their names."""
    models = fitted(task)
    inputs, outputs = models[model].signature.inputs, models[model].signature.outputs
    for name, new in tensors.items():
        inputs = tuple(swapped(inputs, name, new))
        outputs = tuple(swapped(outputs, name, new))
    return changed(models, model, inputs=inputs, outputs=outputs)


def detector(**tensors: TensorSpec | None) -> Models:
    """The models of the voice task, with other tensors of the detector."""
    return other("voice", "vad", **tensors)


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
    """The models of a task, with other tensors of the decoder."""
    return other(task, "decoder", **tensors)


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
