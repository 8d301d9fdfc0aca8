"""What an app does with its models: settings from edgepack.toml and the models' signatures, made into data.

The result is the "task" of the app's edgepack.json and the files it names; the app's own code holds no
names, sizes or tokens of any model.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from edgepack import media, task_files
from edgepack.config import Image, Input, suggestion
from edgepack.contract import classes, text
from edgepack.contract.settings import (
    ByteLevel,
    Carried,
    Classes,
    Frames,
    Generation,
    LogMel,
)
from edgepack.errors import EdgepackError
from edgepack.task_settings import Decoder, ImageClassification, Translation, Voice

if TYPE_CHECKING:
    from edgepack.wire.types import Signature, TensorSpec

LABELS = "labels.txt"
VOCABULARY = "vocabulary.pieces"


@dataclass(frozen=True, slots=True)
class Task:
    """value: for edgepack.json. files: what lies beside it, by name."""

    value: dict[str, Any]
    files: dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Fitted:
    """A model that a task runs. signature: of its artifact. feeds: what the config says of its inputs."""

    name: str
    signature: Signature
    feeds: Sequence[Input] = ()


def prepare(
    settings: ImageClassification | Voice | Translation | None, folder: Path,
    models: Mapping[str, Fitted],
) -> Task:  # fmt: skip
    """The task of an app. folder: where paths in the settings start. models: those the task runs.

    Raises E103 for image settings that do not fit, E201 for a file that is not there, E226 and E227 for
    an input that takes no photo, E624, E625, E627 and E629 for files that do not fit, E640 for a model
    that the task cannot run.
    """
    match settings:
        case ImageClassification():
            return _image_classification(settings, folder, models)
        case Voice():
            return _voice(settings, folder, models)
        case Translation():
            return _translation(settings, folder, models)
    return Task({"kind": "generic"}, {})


def check_files(settings: ImageClassification | Voice | Translation | None, folder: Path) -> None:
    """Raises what `prepare` raises for files alone, which needs no model."""
    match settings:
        case ImageClassification():
            task_files.labels(folder, settings)
        case Voice():
            task_files.vocabulary(folder, settings)
        case Translation():
            task_files.tokenizer(folder, settings)


def _image_classification(
    settings: ImageClassification, folder: Path, models: Mapping[str, Fitted]
) -> Task:
    model = models[settings.model] if settings.model else next(iter(models.values()))
    (source,) = _inputs(model, "a photo")
    feed = next((f for f in model.feeds if f.name == source.name), Input(name=source.name))
    spec = dataclasses.replace(source, layout=feed.layout or source.layout)
    output = _output(model, settings.output)
    for tensor, places in ((spec, spec.shape[:-3]), (output, output.shape[:-1])):
        if any(isinstance(size, int) and size != 1 for size in places):
            raise _misfit(
                model.name, f"has {tensor.name!r} of {list(tensor.shape)}",
                "an app classifies one photo at a time",
            )  # fmt: skip
    labels = task_files.labels(folder, settings)
    classes.check_labels(labels, output.shape, settings.labels)
    shown = Classes(labels=LABELS, activation=settings.activation, top=settings.top)
    value = {
        "kind": "image-classification",
        "model": model.name,
        "input": source.name,
        "image": msgspec.to_builtins(media.image_input(feed.image or Image(), spec)),
        "output": output.name,
        "classes": msgspec.to_builtins(shown),
    }
    return Task(value, {LABELS: classes.write_labels(labels)})


def _voice(settings: Voice, folder: Path, models: Mapping[str, Fitted]) -> Task:
    detector, encoder = models[settings.detector.model], models[settings.encoder]
    speech, features = settings.speech, settings.features
    carried = _carried(detector, settings.detector.carried)
    (heard,) = _inputs(detector, "a frame of sound", carried)
    size = _sizes(detector, heard)[-1]
    if heard.dtype != "float32" or size < speech.frame or _count(detector, heard) != size:
        raise _misfit(
            detector.name, f"takes sound as {heard.dtype} {list(heard.shape)}",
            f"tasks.voice.speech.frame is {speech.frame}: it needs one axis of so many float32, or more",
        )  # fmt: skip
    probability = _output(detector, settings.detector.output)
    if _count(detector, probability) != 1:
        raise _misfit(
            detector.name, f"gives {probability.name!r} as {list(probability.shape)}",
            "the probability of speech is one number for each frame",
        )  # fmt: skip
    if features.sample_rate != speech.sample_rate:
        raise _misfit(
            encoder.name, f"hears {features.sample_rate} Hz and {detector.name} {speech.sample_rate} Hz",
            "an app records at one rate",
        )  # fmt: skip
    (mel,) = _inputs(encoder, "a spectrogram")
    _check_mel(encoder, mel, features)
    if speech.release > speech.threshold:
        raise _misfit(
            detector.name, f"begins speech at {speech.threshold:g} and ends it below {speech.release:g}",
            "speech would end where it begins", "Set release to the threshold at most.",
        )  # fmt: skip
    longest = speech.longest_ms + 2 * speech.pad_ms
    if not speech.longest_ms or longest * features.sample_rate > features.length * 1000:
        most = features.length * 1000 // features.sample_rate - 2 * speech.pad_ms
        raise _misfit(
            encoder.name, f"hears {features.length} samples at once, and speech may be longer",
            "what is beyond them would be left out of the text",
            f"Set longest_ms under [tasks.voice.speech], to {most} at most.",
        )  # fmt: skip
    vocabulary = task_files.vocabulary(folder, settings)
    pieces = len(text.read_pieces(vocabulary, VOCABULARY))
    given = encoder.signature.outputs
    value = {
        "kind": "voice",
        "detector": {
            "model": detector.name, "input": heard.name, "output": probability.name,
            "carried": [msgspec.to_builtins(c) for c in carried],
            "frames": msgspec.to_builtins(
                Frames(
                    sample_rate=speech.sample_rate, size=size, hop=speech.frame,
                    before=size - speech.frame,
                )
            ),
        },
        "speech": msgspec.to_builtins(speech),
        "features": msgspec.to_builtins(features),
        "encoder": {"model": encoder.name, "input": mel.name},
        "decoder": _decoder(settings.decoder, models, given, settings.generation, pieces),
        "tokenizer": msgspec.to_builtins(ByteLevel(pieces=VOCABULARY)),
        "generation": msgspec.to_builtins(settings.generation),
    }  # fmt: skip
    return Task(value, {VOCABULARY: vocabulary})


def _translation(settings: Translation, folder: Path, models: Mapping[str, Fitted]) -> Task:
    encoder = models[settings.encoder]
    names = [settings.tokens, *([settings.mask] if settings.mask else [])]
    tokens, *masks = (_named(encoder, "input", encoder.signature.inputs, name) for name in names)
    others = [t.name for t in encoder.signature.inputs if t.name not in names]
    length = _row(encoder, tokens)
    if others or len(set(names)) < len(names) or any(_row(encoder, m) != length for m in masks):
        why = (
            f"it takes {others[0]!r} as well" if others else "its mask is no row beside the tokens"
        )
        raise _misfit(encoder.name, "cannot be fed with tokens alone", why)
    if tokens.dtype not in ("int32", "int64"):
        raise _misfit(encoder.name, f"takes tokens as {tokens.dtype}", "ids are int32 or int64")
    fixed = len(settings.end) + bool(settings.languages)
    if length <= fixed:
        raise _misfit(
            encoder.name, f"takes {length} tokens", f"{fixed} are there before any of a text"
        )
    tokenizer, files = task_files.tokenizer(folder, settings)
    pieces = len(text.read_pieces(files[tokenizer.pieces], tokenizer.pieces))
    given = (*encoder.signature.outputs, *masks)
    decoder = _decoder(settings.decoder, models, given, settings.generation, pieces)
    largest = max((*settings.languages.values(), *settings.end, settings.filler))
    logits = models[settings.decoder.model].signature.outputs
    known = max(pieces, _row(encoder, _named(encoder, "output", logits, settings.decoder.logits)))
    if largest >= known:
        raise _misfit(
            encoder.name, f"is given the token {largest}",
            f"tokenizer and decoder know those up to {known - 1}",
        )  # fmt: skip
    value = {
        "kind": "translation",
        "tokenizer": msgspec.to_builtins(tokenizer),
        "languages": [{"name": n, "token": t} for n, t in settings.languages.items()],
        "encoder": {
            "model": encoder.name, "tokens": tokens.name, "mask": settings.mask, "length": length,
            "filler": settings.filler, "end": list(settings.end),
        },
        "decoder": decoder,
        "generation": msgspec.to_builtins(settings.generation),
    }  # fmt: skip
    return Task(value, files)


def _decoder(
    settings: Decoder, models: Mapping[str, Fitted], given: Sequence[TensorSpec],
    generation: Generation, pieces: int,
) -> dict[str, Any]:  # fmt: skip
    """The decoder as apps call it. given: what the encoder has for it, by name. pieces: of the vocabulary."""
    model = models[settings.model]
    carried = _carried(model, settings.carried)
    inputs, outputs = model.signature.inputs, model.signature.outputs
    counters = [settings.token, *([settings.position] if settings.position else [])]
    for spec in (_named(model, "input", inputs, name) for name in counters):
        if _count(model, spec) != 1 or spec.dtype not in ("int32", "int64"):
            raise _misfit(
                model.name, f"takes {spec.name!r} as {spec.dtype} {list(spec.shape)}",
                "a token and its place are one int32 or int64 each",
            )  # fmt: skip
    logits = _named(model, "output", outputs, settings.logits)
    largest = max((*generation.start, generation.end))
    size = _row(model, logits)
    if logits.dtype not in ("float32", "float16") or size <= largest:
        raise _misfit(
            model.name, f"gives {logits.name!r} as {logits.dtype} {list(logits.shape)}",
            f"logits are floats, one for each token, up to {largest} at least",
        )  # fmt: skip
    silent = {*generation.suppressed, generation.end}
    nameless = [token for token in range(pieces, size) if token not in silent]
    if nameless:
        raise _misfit(
            model.name, f"may write the token {nameless[0]}", f"the vocabulary has {pieces} pieces",
            "Give the vocabulary of this model. Where its logits are only padded, list those tokens "
            "under generation.suppressed.",
        )  # fmt: skip
    if generation.longest <= len(generation.start):
        raise _misfit(
            model.name, f"may write {generation.longest} tokens with the {len(generation.start)} given",
            "generation.longest counts both, so none would be written",
        )  # fmt: skip
    by_name = {spec.name: spec for spec in given}
    rest = [t for t in inputs if t.name not in (*counters, *(c.input for c in carried))]
    for spec in rest:
        source = by_name.get(spec.name)
        if source is None or _form(source) != _form(spec):
            what = "nothing" if source is None else f"{source.dtype} {list(source.shape)}"
            raise _misfit(
                model.name, f"takes {spec.name!r}, {spec.dtype} {list(spec.shape)}",
                f"the encoder has {what} of that name for it; is it to be carried from call to call?",
            )  # fmt: skip
    return {
        "model": model.name, "token": settings.token, "position": settings.position,
        "logits": logits.name, "carried": [msgspec.to_builtins(c) for c in carried],
        "given": [spec.name for spec in rest],
    }  # fmt: skip


# --- signatures ----------------------------------------------------------------------------------


def _inputs(model: Fitted, what: str, carried: Sequence[Carried] = ()) -> tuple[TensorSpec]:
    """The one input that takes `what`. Raises E640 when there is none or more."""
    states = {c.input for c in carried}
    found = [spec for spec in model.signature.inputs if spec.name not in states]
    if len(found) != 1:
        names = ", ".join(repr(spec.name) for spec in found) or "nothing"
        raise _misfit(
            model.name, f"takes {names}", f"one input takes {what}; name its state as carried"
        )
    return (found[0],)


def _output(model: Fitted, name: str) -> TensorSpec:
    """The output of that name, the first for ""."""
    outputs = model.signature.outputs
    return _named(model, "output", outputs, name) if name else outputs[0]


def _named(model: Fitted, kind: str, specs: Sequence[TensorSpec], name: str) -> TensorSpec:
    """The tensor of that name. Raises E640."""
    for spec in specs:
        if spec.name == name:
            return spec
    names = [spec.name for spec in specs]
    raise _misfit(
        model.name, f"has no {kind} {name!r}",
        f"it has {', '.join(names)}", suggestion(name, names),
    )  # fmt: skip


def _carried(model: Fitted, carried: Sequence[Carried]) -> Sequence[Carried]:
    """The same. Raises E640 for an output that does not fit the input it becomes."""
    for one in carried:
        taken = _named(model, "input", model.signature.inputs, one.input)
        made = _named(model, "output", model.signature.outputs, one.output)
        _sizes(model, taken)
        if _form(taken) != _form(made):
            raise _misfit(
                model.name, f"cannot carry {one.output!r} to {one.input!r}",
                f"they are {made.dtype} {list(made.shape)} and {taken.dtype} {list(taken.shape)}",
            )  # fmt: skip
    return carried


def _sizes(model: Fitted, spec: TensorSpec) -> tuple[int, ...]:
    """The sizes of a tensor. Raises E640 for one that varies or has none."""
    sizes = tuple(size for size in spec.shape if isinstance(size, int))
    if len(sizes) != len(spec.shape) or not sizes:
        raise _misfit(
            model.name,
            f"has {spec.name!r} of {list(spec.shape)}",
            "tasks need tensors of fixed size",
        )
    return sizes


def _count(model: Fitted, spec: TensorSpec) -> int:
    return math.prod(_sizes(model, spec))


def _row(model: Fitted, spec: TensorSpec) -> int:
    """How many numbers a tensor of one row holds. Raises E640 for several rows."""
    if _count(model, spec) != _sizes(model, spec)[-1]:
        raise _misfit(
            model.name,
            f"has {spec.name!r} of {list(spec.shape)}",
            "an app handles one row at a time",
        )
    return _count(model, spec)


def _form(spec: TensorSpec) -> tuple[object, ...]:
    """What two tensors have in common of which one may be fed as the other."""
    return spec.dtype, spec.shape, spec.quantization


def _check_mel(model: Fitted, spec: TensorSpec, features: LogMel) -> None:
    """Raises E640 unless the spectrogram that the settings make is the input."""
    beyond = 0 if features.center == "none" else 2 * (features.window // 2)
    span = features.length + beyond - features.window
    frames = span // features.hop + 1 - features.drop_last
    bands = features.bands or features.window // 2 + 1
    made = (bands, frames) if features.layout == "bands-first" else (frames, bands)
    if features.bands and not features.low_hz < features.high_hz <= features.sample_rate / 2:
        raise _misfit(
            model.name, f"hears from {features.low_hz:g} to {features.high_hz:g} Hz",
            f"bands lie between two frequencies, the higher of {features.sample_rate / 2:g} Hz at most",
        )  # fmt: skip
    sizes = _sizes(model, spec)
    fits = sizes[-2:] == made and math.prod(sizes) == math.prod(made)
    if not features.length or spec.dtype != "float32" or not fits:
        kind = f"a float32 spectrogram of {list(made)}" if features.length else "one of any length"
        raise _misfit(
            model.name, f"takes {spec.name!r} as {spec.dtype} {list(spec.shape)}",
            f"tasks.voice.features make {kind}",
        )  # fmt: skip


def _misfit(model: str, what: str, why: str, help: str = "") -> EdgepackError:  # noqa: A002
    return EdgepackError(
        "E640", f"model {model!r} {what}", why=why[0].upper() + why[1:] + ".",
        help=help or "Change the settings under [tasks], or the model.",
    )  # fmt: skip
