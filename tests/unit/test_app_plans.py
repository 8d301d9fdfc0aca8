"""The apps of a config: tasks and their models, variants, ids and names, and how mistakes are shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edgepack import config, plan
from edgepack.app_plans import AppPlan
from edgepack.cli import flags as from_flags
from edgepack.errors import EdgepackError

ONE = """\
schema = 1
[model]
name = "flowers"
source = "model.pt2"
[targets.litert]
precisions = ["fp32", "fp16"]
[targets.executorch]
[targets.coreml]
"""

SEVERAL = """\
schema = 1
name = "talk"

[[model]]
name = "vad"
source = "a.py:vad"

[[model]]
name = "encoder"
source = "a.py:encoder"

[[model]]
name = "decoder"
source = "a.py:decoder"
precisions = { litert = ["fp16"] }

[targets.litert]
precisions = ["fp32", "fp16"]
[targets.executorch]
[targets.coreml]
"""

VOICE = """\
[tasks.voice]
encoder = "encoder"
vocabulary = "vocabulary.txt"
detector = { model = "vad" }
decoder = { model = "decoder" }
generation = { start = [1], end = 2, longest = 3 }
"""

TRANSLATION = """\
[tasks.translation]
encoder = "encoder"
decoder = { model = "decoder" }
tokenizer = "tokenizer.model"
generation = { start = [1], end = 2, longest = 3 }
languages = { "Español" = 4 }
"""

FLOWERS = '[tasks.image-classification]\nlabels = "labels.txt"\n'


def planned(folder: Path, text: str) -> tuple[AppPlan, ...]:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "edgepack.toml").write_text(text, encoding="utf-8")
    return plan.resolve(config.load(folder / "edgepack.toml"), folder / "dist").apps


def refusal(folder: Path, text: str) -> EdgepackError:
    with pytest.raises(EdgepackError) as caught:
        planned(folder, text)
    assert caught.value.help
    return caught.value


def shown(error: EdgepackError) -> str:
    """What the caret stands under."""
    place = re.search(r"\n\d+ \| (.*)\n *\| ( *)(\^+)", error.why)
    assert place is not None, error.why
    return place[1][len(place[2]) :][: len(place[3])]


def app(platform: str = "android", **settings: str) -> str:
    """A table of apps whose values are TOML."""
    lines = "".join(f"{key} = {value}\n" for key, value in settings.items())
    return f"[apps.{platform}]\n{lines}"


# --- what an app carries -------------------------------------------------------------------------


def test_a_generic_app_carries_every_model(tmp_path: Path) -> None:
    (made,) = planned(tmp_path, SEVERAL + app())
    assert made.variants == ("vad.litert-fp16", "encoder.litert-fp16", "decoder.litert-fp16")
    assert (made.task, made.settings, made.folder) == ("generic", None, "")
    assert (made.id, made.name) == ("com.example.talk", "Talk")


def test_an_app_carries_the_models_of_its_task_each_once(tmp_path: Path) -> None:
    strange = tmp_path / "größe 花 $x"
    tables = app(task='"voice"') + app("ios", task='"translation"') + VOICE + TRANSLATION
    android, ios = planned(strange, SEVERAL + tables)
    assert android.variants == ("vad.litert-fp16", "encoder.litert-fp16", "decoder.litert-fp16")
    assert ios.variants == ("encoder.coreml-fp16", "decoder.coreml-fp16")
    assert android.folder == ios.folder == str(strange)
    assert android.settings is not None
    same = VOICE.replace('{ model = "decoder" }', '{ model = "encoder" }')
    (made,) = planned(tmp_path, SEVERAL + app(task='"voice"') + same)
    assert made.variants == ("vad.litert-fp16", "encoder.litert-fp16")


def test_settings_of_a_task_that_no_app_has_are_not_used(tmp_path: Path) -> None:
    (made,) = planned(tmp_path, SEVERAL + app() + VOICE.replace('"vad"', '"nobody"'))
    assert made.settings is None


def test_the_only_model_need_not_be_named_for_pictures(tmp_path: Path) -> None:
    task = app(task='"image-classification"')
    (made,) = planned(tmp_path, ONE + task + FLOWERS)
    assert made.variants == ("litert-fp16",)
    (made,) = planned(tmp_path, ONE + task + FLOWERS + 'model = "flowers"\n')
    assert made.variants == ("litert-fp16",)
    (made,) = planned(tmp_path, SEVERAL + task + FLOWERS + 'model = "vad"\n')
    assert made.variants == ("vad.litert-fp16",)
    error = refusal(tmp_path, SEVERAL + task + FLOWERS)
    assert (error.code, error.message) == (
        "E103", "wrong value for tasks.image-classification.model",
    )  # fmt: skip
    assert shown(error) == "tasks.image-classification"
    assert error.help == "Models: vad, encoder, decoder."


@pytest.mark.parametrize(
    ("asked", "variants"),
    [
        ('"litert-fp16"', ("vad.litert-fp16", "encoder.litert-fp16", "decoder.litert-fp16")),
        ('{ vad = "litert-fp32" }', ("vad.litert-fp32", "encoder.litert-fp16", "decoder.litert-fp16")),
        (
            '{ vad = "vad.litert-fp32", encoder = "litert-fp32" }',
            ("vad.litert-fp32", "encoder.litert-fp32", "decoder.litert-fp16"),
        ),
        (
            '"executorch-fp32"',
            ("vad.executorch-fp32", "encoder.executorch-fp32", "decoder.executorch-fp32"),
        ),
    ],
)  # fmt: skip
def test_a_variant_is_chosen_for_all_models_or_for_each(
    tmp_path: Path, asked: str, variants: tuple[str, ...]
) -> None:
    (made,) = planned(tmp_path, SEVERAL + app(variant=asked))
    assert made.variants == variants


@pytest.mark.parametrize(
    ("asked", "code", "message", "at", "helps"),
    [
        ('"litert-fp32"', "E110", "the android app's variant 'litert-fp32' of the model 'decoder' is not built",
         '"litert-fp32"', "Did you mean 'decoder.litert-fp16'?"),
        ('"coreml-fp16"', "E110", "the android app's variant 'coreml-fp16' of the model 'vad' is not built",
         '"coreml-fp16"', ""),
        ('{ decodr = "litert-fp16" }', "E103", "wrong value for apps.android.variant",
         '"litert-fp16"', "Did you mean 'decoder'?"),
        ('{ vad = "executorch-fp32" }', "E110",
         "the android app's variants are of executorch and litert", "variant", "Choose variants of one target."),
        ("{ vad = 3 }", "E103", "wrong value for apps.android.variant.vad", "3", ""),
        ("3", "E103", "wrong value for apps.android.variant", "3", ""),
    ],
)  # fmt: skip
def test_a_variant_that_an_app_cannot_carry_is_refused(
    tmp_path: Path, asked: str, code: str, message: str, at: str, helps: str
) -> None:
    text = SEVERAL + app(variant=asked)
    with pytest.raises(EdgepackError) as caught:
        planned(tmp_path, text)
    error = caught.value
    assert (error.code, error.message) == (code, message)
    assert shown(error).startswith(at)
    if helps:
        assert error.help == helps


# --- tasks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["image-classification", "voice", "translation"])
def test_a_task_without_its_table_is_refused_with_a_caret(tmp_path: Path, task: str) -> None:
    error = refusal(tmp_path, SEVERAL + app(task=f'"{task}"'))
    assert (error.code, error.message) == ("E104", f"the file lacks the table [tasks.{task}]")
    assert shown(error) == f'"{task}"'
    assert error.help == f'Add [tasks.{task}], or make the app with task = "generic".'


def test_a_task_that_does_not_exist_is_refused_with_a_caret(tmp_path: Path) -> None:
    error = refusal(tmp_path, ONE + app(task='"vioce"'))
    assert (error.code, shown(error)) == ("E103", '"vioce"')
    assert error.help == "Did you mean 'voice'?"
    error = refusal(tmp_path, ONE + VOICE.replace("tasks.voice", "tasks.vioce"))
    assert (error.code, shown(error)) == ("E102", "tasks.vioce")
    assert error.help == "Did you mean 'voice'?"


@pytest.mark.parametrize(
    ("old", "new", "place", "helps"),
    [
        ('{ model = "vad" }', '{ model = "vat" }', "tasks.voice.detector.model", "Did you mean 'vad'?"),
        ('encoder = "encoder"', 'encoder = "encodr"', "tasks.voice.encoder", "Did you mean 'encoder'?"),
        ('{ model = "decoder" }', '{ model = "x" }', "tasks.voice.decoder.model",
         "Models: vad, encoder, decoder."),
    ],
)  # fmt: skip
def test_a_model_that_nobody_has_is_refused_with_a_caret(
    tmp_path: Path, old: str, new: str, place: str, helps: str
) -> None:
    error = refusal(tmp_path, SEVERAL + app(task='"voice"') + VOICE.replace(old, new))
    assert (error.code, error.message) == ("E103", f"wrong value for {place}")
    name = re.findall('"[^"]*"', new)[0]
    assert shown(error) == name
    assert error.help == helps


@pytest.mark.parametrize(
    ("old", "new", "code", "at", "helps"),
    [
        ("vocabulary =", "vocabluary =", "E102", "vocabluary", "Did you mean 'vocabulary'?"),
        ('{ model = "vad" }', '{ modl = "vad" }', "E102", "modl", "Did you mean 'model'?"),
        ('vocabulary = "vocabulary.txt"', "", "E104", "tasks.voice", "Add `vocabulary = ...`."),
        ("start = [1]", "start = []", "E103", "[]", ""),
        ("end = 2", "end = -2", "E103", "-2", ""),
        ('"vad" }', '"vad" }\nspeech = { longest_ms = 1.5 }', "E103", "1.5", ""),
        ('"vad" }', '"vad" }\nfeatures = { log = "log2" }', "E103", '"log2"', "Did you mean 'log10'?"),
        ('"vad" }', '"vad" }\nspeech = { threshold = nan }', "E103", "nan", ""),
    ],
)  # fmt: skip
def test_a_mistake_in_a_task_is_shown_where_it_is(
    tmp_path: Path, old: str, new: str, code: str, at: str, helps: str
) -> None:
    assert VOICE.count(old) == 1
    with pytest.raises(EdgepackError) as caught:
        planned(tmp_path, SEVERAL + app(task='"voice"') + VOICE.replace(old, new))
    assert (caught.value.code, shown(caught.value)) == (code, at)
    if helps:
        assert caught.value.help == helps


def test_a_language_without_a_name_is_refused(tmp_path: Path) -> None:
    text = SEVERAL + app(task='"translation"') + TRANSLATION
    error = refusal(tmp_path, text.replace('"Español" = 4', '"Español" = 4, "" = 5'))
    assert (error.code, error.message) == ("E102", "unknown key '' in tasks.translation.languages")
    assert error.help == "Give it a name."


@pytest.mark.parametrize(
    ("old", "new", "under"),
    [
        ('{ "Español" = 4 }', '{ "Español" = 4, "Français" = -5 }', "-5"),
        ('{ "Español" = 4 }', '{ "Español" = 4, "Français" = "x" }', '"x"'),
        ('precisions = { litert = ["fp16"] }', 'precisions = { litert = ["fp16"], coreml = 3 }', "3"),
    ],
)  # fmt: skip
def test_of_several_entries_the_wrong_one_is_shown(
    tmp_path: Path, old: str, new: str, under: str
) -> None:
    text = SEVERAL + app(task='"translation"') + TRANSLATION
    assert text.count(old) == 1
    with pytest.raises(EdgepackError) as caught:
        planned(tmp_path, text.replace(old, new))
    assert (caught.value.code, shown(caught.value)) == ("E103", under)


# --- ids and names -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("platform", "key", "value", "code"),
    [
        ("android", "id", '"flowers"', "E601"),
        ("android", "id", '"com.my-app"', "E601"),
        ("ios", "id", '"com.my_app"', "E601"),
        ("ios", "id", '"größe.x"', "E601"),
        ("android", "name", '" "', "E602"),
        ("ios", "name", '"a\\u0007b"', "E602"),
        ("ios", "name", f'"{"x" * 101}"', "E602"),
    ],
)
def test_an_id_or_name_that_a_platform_refuses_is_shown(
    tmp_path: Path, platform: str, key: str, value: str, code: str
) -> None:
    error = refusal(tmp_path, ONE + app(platform, **{key: value}))
    assert error.code == code
    assert shown(error) == value


@pytest.mark.parametrize("name", ["花", "it's", "---", "1x"])
def test_a_default_id_and_name_are_always_accepted(tmp_path: Path, name: str) -> None:
    text = ONE.replace('"flowers"', f'"{name}"') + app() + app("ios")
    assert len({made.id for made in planned(tmp_path, text)}) == 1


# --- flags ---------------------------------------------------------------------------------------

FLAGS = {
    "model": None, "platform": "android", "task": "as-configured", "variant": None, "app_id": None,
    "name": None, "allow": (), "allow_pickle": False, "inputs": (),
}  # fmt: skip


def from_command(folder: Path, text: str, **flags: object) -> tuple[AppPlan, ...]:
    """The apps of `edgepack app` with those flags in the place of their defaults."""
    path = folder / "edgepack.toml"
    path.write_text(text, encoding="utf-8")
    loaded = from_flags.app_config_of({**FLAGS, "model": str(path), **flags})
    return plan.resolve(loaded, folder / "dist").apps


def test_the_command_makes_the_app_of_the_file(tmp_path: Path) -> None:
    tables = app(id='"org.example.x"', task='"voice"', variant='"executorch-fp32"')
    (made,) = from_command(tmp_path, SEVERAL + tables + VOICE)
    assert (made.platform, made.id, made.task) == ("android", "org.example.x", "voice")
    assert made.variants[0] == "vad.executorch-fp32"
    (made,) = from_command(tmp_path, SEVERAL + tables + VOICE, platform="ios")
    assert (made.platform, made.id, made.task) == ("ios", "com.example.talk", "voice")
    assert made.variants[0] == "vad.coreml-fp16"


def test_flags_of_the_command_go_before_the_file(tmp_path: Path) -> None:
    tables = app(id='"org.example.x"', task='"voice"', variant='"executorch-fp32"')
    (made,) = from_command(
        tmp_path, SEVERAL + tables + VOICE + TRANSLATION, task="translation", name="N",
        app_id="a.b", variant="litert-fp16",
    )  # fmt: skip
    assert (made.task, made.name, made.id) == ("translation", "N", "a.b")
    assert made.variants == ("encoder.litert-fp16", "decoder.litert-fp16")


@pytest.mark.parametrize(
    ("flags", "code"),
    [
        ({"task": "image-classification"}, "E104"),
        ({"variant": "litert-int8"}, "E110"),
        ({"app_id": "x"}, "E601"),
        ({"name": "\x07"}, "E602"),
        ({"inputs": ("x:float32[1]",)}, "E103"),
    ],
)
def test_flags_that_do_not_fit_are_refused(
    tmp_path: Path, flags: dict[str, object], code: str
) -> None:
    with pytest.raises(EdgepackError) as caught:
        from_command(tmp_path, SEVERAL + app(), **flags)
    assert caught.value.code == code
    assert caught.value.help


@pytest.mark.parametrize(
    ("asked", "target", "left"),
    [
        ('{ decoder = "decoder.litert-fp16" }', "litert", {"decoder": "decoder.litert-fp16"}),
        ('"executorch-fp32"', "executorch", "executorch-fp32"),
        ('"executorch-fp32"', "litert", None),
        ('{ vad = "litert-fp32", decoder = "executorch-fp32" }', "litert", None),
    ],
)
def test_a_build_of_some_targets_keeps_the_apps_variants_that_it_makes(
    tmp_path: Path, asked: str, target: str, left: object
) -> None:
    path = tmp_path / "edgepack.toml"
    path.write_text(SEVERAL.replace('["fp32", "fp16"]', '["fp32"]') + app(variant=asked), "utf-8")
    flags = {"model": str(path), "targets": (target,), "precisions": ()}
    assert from_flags.config_of(flags).config.apps["android"].variant == left
