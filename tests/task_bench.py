"""Models of the shapes that each task needs, and settings that go with them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from app_bench import SIGNATURE, Bench, model, tree_digest
from core_readers import swift_flaws
from edgepack import golden_cases, tasks
from edgepack.contract.settings import Carried, Generation, Speech
from edgepack.errors import EdgepackError
from edgepack.task_settings import Decoder, Detector, ImageClassification, Translation, Voice
from edgepack.wire.types import Artifact, Signature, TensorSpec

TRANSLATION = Path(__file__).parents[1] / "sample_apps" / "translation"

Models = dict[str, tasks.Fitted]

TASKS = ("image-classification", "voice", "translation")


def spec(name: str, *shape: int, dtype: str = "float32") -> TensorSpec:
    return TensorSpec(name=name, dtype=dtype, shape=shape)


def signature(inputs: list[TensorSpec], outputs: list[TensorSpec]) -> Signature:
    return Signature(name="main", inputs=tuple(inputs), outputs=tuple(outputs))


def _decoder(cache: TensorSpec, cross: list[TensorSpec], tokens: int) -> Signature:
    """A decoder step with a cache and what an encoder made."""
    number = ("token", "position")
    inputs = [spec(name, 1, dtype="int32") for name in number]
    carried = TensorSpec(name=f"new_{cache.name}", dtype=cache.dtype, shape=cache.shape)
    return signature([*inputs, cache, *cross], [spec("logits", 1, tokens), carried])


CACHE = spec("keys", 2, 8, 4)
DECODER = Decoder(model="decoder", carried=(Carried(input="keys", output="new_keys"),))
CROSS = spec("cross", 2, 6, 4)

MODELS: dict[str, dict[str, Signature]] = {
    "image-classification": {
        "flowers": signature([spec("image", 1, 3, 4, 4)], [spec("logits", 1, 3)]),
    },
    "voice": {
        "vad": signature(
            [spec("x", 1, 576), spec("h", 1, 8)], [spec("probability", 1, 1), spec("hn", 1, 8)]
        ),
        "encoder": signature([spec("mel", 1, 80, 3000)], [CROSS]),
        "decoder": _decoder(CACHE, [CROSS], 8),
    },
    "translation": {
        "encoder": signature([spec("tokens", 1, 6, dtype="int32"), spec("mask", 1, 6)], [CROSS]),
        "decoder": _decoder(CACHE, [CROSS, spec("mask", 1, 6)], 6000),
    },
}
GENERATION = Generation(start=(2,), end=3, longest=8)
SETTINGS: dict[str, Any] = {
    "image-classification": ImageClassification(labels="labels.txt"),
    "voice": Voice(
        detector=Detector(model="vad", carried=(Carried(input="h", output="hn"),)),
        encoder="encoder", decoder=DECODER, vocabulary="vocabulary.txt", generation=GENERATION,
        speech=Speech(longest_ms=29000),
    ),
    "translation": Translation(
        encoder="encoder", decoder=DECODER, tokenizer=str(TRANSLATION / "tokenizer.model"),
        generation=GENERATION, languages={"Español": 4, "it's \"q\" $x": 5}, end=(3,),
    ),
}  # fmt: skip


def write_files(folder: Path, word: str = "") -> Path:
    """The files that the settings name. word: a label."""
    label = " ".join(word.split()) or 'it\'s "q" ${x} <b>'
    (folder / "labels.txt").write_text(f"Rose\n{label}\n向日葵 🌻\n", "utf-8")
    words = ["<|end|>", "Ġyes", "Ġno", "!", "a", "b", "c", "<|start|>"]
    (folder / "vocabulary.txt").write_text("\n".join(words) + "\n", "utf-8")
    return folder


def strange_folder(place: Path) -> Path:
    """A folder of a strange name with the files that the settings name."""
    folder = place / "größe 花 'x' $y"
    folder.mkdir()
    return write_files(folder)


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


def through_json(task: tasks.Task) -> dict[str, Any]:
    """The task as a core finds it in edgepack.json, without the list of its files."""
    value: dict[str, Any] = json.loads(json.dumps(task.value))
    return value


def swift_task(value: dict[str, Any], kind: str) -> list[str]:
    """What keeps Swift from reading a task; its kind it does not read."""
    return swift_flaws({key: part for key, part in value.items() if key != "kind"}, kind)


def fitted(task: str) -> dict[str, tasks.Fitted]:
    return {name: tasks.Fitted(name, found) for name, found in MODELS[task].items()}


def settings_of(task: str, word: str) -> Any:
    """The settings of a task whose models are called after a word, and a language too."""
    wanted, change = SETTINGS[task], msgspec.structs.replace
    if task == "image-classification":
        return change(wanted, model=f"flowers{word}")
    decoder = change(wanted.decoder, model=f"decoder{word}")
    wanted = change(wanted, encoder=f"encoder{word}", decoder=decoder)
    if task == "voice":
        return change(wanted, detector=change(wanted.detector, model=f"vad{word}"))
    return change(wanted, languages={word or "Español": 4, "Deutsch": 5})


def render(
    bench: Bench, platform: str, target: str, task: str, *, word: str = "", **changes: Any
) -> Path:
    """An app for a task around tiny files in place of its models, which are called after a word."""
    if task == "generic":
        named = {"signature": _called(word), "model_name": word} if word else {}
        return bench.render(platform, target, **named, **changes)
    place = bench.folder / f"models {bench.count}"
    place.mkdir()
    models = {f"{name}{word}": found for name, found in MODELS[task].items()}
    given = {name: tasks.Fitted(name, found) for name, found in models.items()}
    made = tasks.prepare(settings_of(task, word), write_files(place, word), given)
    packed = []
    for number, (name, found) in enumerate(models.items()):
        (place / str(number)).mkdir()
        path = model(place / str(number), target)
        case = golden_cases.GoldenCase(inputs=_zeros(found.inputs), outputs=_zeros(found.outputs))
        artifact = Artifact(
            file=path.name, sha256=tree_digest(path), bytes=1, format=target, signature=found,
            versions={},
        )  # fmt: skip
        packed.append(
            {"name": name, "variant": f"{name}.{target}-fp32", "path": path, "artifact": artifact, "golden": [case]}
        )  # fmt: skip
    first, *others = packed
    return bench.render(platform, target, task=made, packed=first, others=others, **changes)


def _called(word: str) -> Signature:
    """The bench's signature, its first input called by a word."""
    first, *others = SIGNATURE.inputs
    return replace(SIGNATURE, inputs=(replace(first, name=word), *others))


def _zeros(specs: tuple[TensorSpec, ...]) -> tuple[np.ndarray[Any, Any], ...]:
    return tuple(np.zeros([int(size) for size in s.shape], s.dtype) for s in specs)
