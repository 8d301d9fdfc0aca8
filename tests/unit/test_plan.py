"""From a config as typed to a plan: defaults, dimensions, variants, apps, environments, refusals."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edgepack import config, plan, registry
from edgepack.cli import flags as from_flags
from edgepack.errors import EdgepackError
from edgepack.plan import BuildPlan, ModelPlan
from edgepack.wire.types import Dimension

FULL = """\
schema = 1
allow = ["not-run"]

[model]
name = "flowers"
source = "train/export.py:make_model"
files = ["runs/best.safetensors"]
python = ".venv"

[[model.inputs]]
name = "image"
dtype = "float32"
shape = ["batch", 3, 224, 224]

[[model.inputs]]
name = "tokens"
shape = [1, "sequence"]
range = [0, 100]

[[model.outputs]]
name = "scores"

[model.dimensions]
sequence = { min = 2, max = 256, fixed = 128 }

[data]
calibration = "data/calib/*.npz"
validation = "train/data.py:validation"
validation_cases = 7

[targets.android]
precisions = ["fp32", "int8"]

[targets.coreml]
minimum_ios = "16.0"

[parity.int8]
min_sqnr_db = 33

[apps.android]
[apps.ios]
id = "org.example.flowers"
name = "Blumen"

[environments]
litert = "envs/litert/bin/python3.11"

[limits]
job_seconds = 60
memory_bytes = 1000000000
"""

SMALL = 'schema = 1\n[model]\nsource = "model.pt2"\n'


def resolved(folder: Path, text: str) -> BuildPlan:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "edgepack.toml"
    path.write_text(text, encoding="utf-8")
    return plan.resolve(config.load(path), folder / "dist")


def only_model(folder: Path, text: str) -> ModelPlan:
    (model,) = resolved(folder, text).models
    return model


def refusal(folder: Path, text: str) -> EdgepackError:
    with pytest.raises(EdgepackError) as caught:
        resolved(folder, text)
    return caught.value


def shown(error: EdgepackError) -> str:
    """What the caret stands under."""
    place = re.search(r"\n\d+ \| (.*)\n *\| ( *)(\^+)", error.why)
    assert place is not None, error.why
    return place[1][len(place[2]) :][: len(place[3])]


def test_every_part_of_a_config_arrives(tmp_path: Path) -> None:
    made = resolved(tmp_path, FULL)
    (model,) = made.models
    assert made.name == "flowers"
    assert model.model.kind == "factory"
    assert model.model.location == str(tmp_path / "train/export.py")
    assert model.model.factory == "make_model"
    assert model.model.project == str(tmp_path)
    assert model.model.files == (str(tmp_path / "runs/best.safetensors"),)
    assert model.outputs == ("scores",)
    assert [v.id for v in model.variants] == ["litert-fp32", "litert-int8", "coreml-fp16"]
    assert dict(model.variants[2].recipe.options) == {"minimum_ios": "16.0"}
    assert model.calibration == plan.SamplesPlan(
        kind="files", location=str(tmp_path / "data/calib/*.npz"), cases=128
    )
    assert model.validation == plan.SamplesPlan(
        kind="function", location=f"{tmp_path / 'train/data.py'}:validation", cases=7
    )
    assert made.allow == ("not-run",)
    assert (made.job_seconds, made.memory_bytes) == (60, 10**9)
    assert made.dist == str(tmp_path / "dist")


def test_defaults_are_filled_in(tmp_path: Path) -> None:
    made = resolved(tmp_path, SMALL)
    (model,) = made.models
    assert made.name == "model"
    assert model.model.kind == "exported"
    assert model.model.project == ""
    defaults = [
        f"{registry.find(p).target.name}-{name}"
        for p in ("android", "ios")
        for name in registry.find(p).target.default_precisions
    ]
    assert [v.id for v in model.variants] == defaults
    for variant in model.variants:
        options = registry.find(variant.recipe.target).target.options
        for stage, given in (("convert", variant.recipe.options), ("run", variant.running)):
            assert dict(given) == {o.name: o.default for o in options if o.stage == stage}
        assert list(variant.recipe.options) == sorted(variant.recipe.options)
        assert variant.recipe.calibration is None
    assert model.calibration is None
    assert model.validation == plan.SamplesPlan(kind="synthetic", location="", cases=8)
    assert made.apps == ()
    assert made.job_seconds == 3600
    assert all(e.python == e.requirements == "" for e in made.environments)


def test_calibration_samples_validate_where_nothing_else_does(tmp_path: Path) -> None:
    made = only_model(tmp_path, SMALL + '[data]\ncalibration = "photos"\n')
    assert made.validation == made.calibration


def test_given_limits_replace_their_defaults_and_no_others(tmp_path: Path) -> None:
    made = only_model(tmp_path, FULL)
    assert set(made.limits) == {"fp32", "int8", "fp16"}
    assert made.limits["fp32"] == plan.LIMITS["fp32"]
    assert made.limits["int8"].min_sqnr_db == 33
    assert made.limits["int8"].min_argmax_agreement == 0.95


def test_dimensions_are_resolved(tmp_path: Path) -> None:
    made = only_model(tmp_path, FULL)
    assert made.dimensions == (
        Dimension(name="batch", minimum=1, maximum=1, fixed=1),
        Dimension(name="sequence", minimum=2, maximum=256, fixed=128),
    )
    whole = FULL.replace(
        "{ min = 2, max = 256, fixed = 128 }", "64\nbatch = { max = 8, fixed = 2 }"
    )
    assert only_model(tmp_path, whole).dimensions == (
        Dimension(name="batch", minimum=1, maximum=8, fixed=2),
        Dimension(name="sequence", minimum=64, maximum=64, fixed=64),
    )


def test_dimensions_of_a_file_that_declares_its_own_inputs_are_kept(tmp_path: Path) -> None:
    made = only_model(tmp_path, SMALL + "[model.dimensions]\ns0 = 64\n")
    assert made.dimensions == (Dimension(name="s0", minimum=64, maximum=64, fixed=64),)


def test_an_app_takes_the_smallest_variant_of_its_platforms_own_target(tmp_path: Path) -> None:
    made = resolved(tmp_path, FULL)
    assert [(a.platform, a.variants, a.id, a.name, a.task) for a in made.apps] == [
        ("android", ("litert-int8",), "com.example.flowers", "Flowers", "generic"),
        ("ios", ("coreml-fp16",), "org.example.flowers", "Blumen", "generic"),
    ]
    other = FULL.replace("targets.android", "targets.executorch")
    made = resolved(tmp_path, other.replace("litert = ", "executorch = "))
    assert [a.variants for a in made.apps] == [("executorch-int8",), ("coreml-fp16",)]


@pytest.mark.parametrize(
    ("name", "app_id", "title"),
    [
        ("my flower-model", "com.example.myflowermodel", "My Flower Model"),
        ("3d", "com.example.m3d", "3d"),
        ("日本", "com.example.model", "Model"),
    ],
)
def test_an_app_is_named_after_the_model(
    tmp_path: Path, name: str, app_id: str, title: str
) -> None:
    (app,) = resolved(tmp_path, f'{SMALL}name = "{name}"\n[apps.ios]\n').apps
    assert (app.id, app.name) == (app_id, title)


def test_environments_are_those_the_variants_need_and_the_models_own(tmp_path: Path) -> None:
    made = resolved(tmp_path, FULL)
    assert [(e.name, e.python) for e in made.environments] == [
        ("torch", str(tmp_path / ".venv/bin/python")),
        ("litert", str(tmp_path / "envs/litert/bin/python3.11")),
        ("litert-runtime", ""),
        ("coreml", ""),
    ]
    more = FULL.replace('python = ".venv"', 'requirements = "requirements.txt"')
    torch = resolved(tmp_path, more).environments[0]
    assert (torch.python, torch.requirements) == ("", str(tmp_path / "requirements.txt"))


@pytest.mark.parametrize(
    ("given", "interpreter"),
    [
        (".venv", ".venv/bin/python"),
        ("python-envs/one", "python-envs/one/bin/python"),
        ("pythonenv", "pythonenv/bin/python"),
        ("bin/python", "bin/python"),
        ("bin/python3.12", "bin/python3.12"),
        ("bin/pypy3", "bin/pypy3"),
    ],
)
def test_a_folder_means_the_python_in_it(tmp_path: Path, given: str, interpreter: str) -> None:
    made = resolved(tmp_path, f'{SMALL}python = "{given}"\n')
    assert made.environments[0].python == str(tmp_path / interpreter)


def test_a_plan_is_the_same_on_every_machine_but_for_its_paths(tmp_path: Path) -> None:
    printed = []
    for home in ("here", "some where ü/else"):
        made = resolved(tmp_path / home, FULL)
        text = msgspec.json.encode(made).decode()
        assert str(tmp_path / home) in text
        printed.append(text.replace(str(tmp_path / home), "HOME"))
        assert msgspec.json.decode(msgspec.json.encode(made), type=BuildPlan) == made
        for variant in made.models[0].variants:
            hash(variant.recipe)
    assert printed[0] == printed[1]
    assert not re.search(r"\d{4}-\d\d-\d\d", printed[0])
    assert json.loads(printed[0])["name"] == "flowers"


@pytest.mark.parametrize(
    ("source", "name"), [("größe 1.pt2", "größe-1"), ("--.pt2", "model"), ("a/b.c.pt2", "b-c")]
)
def test_a_model_without_a_name_is_called_after_its_file(
    tmp_path: Path, source: str, name: str
) -> None:
    assert resolved(tmp_path, SMALL.replace("model.pt2", source)).name == name


# Refusals


@pytest.mark.parametrize(
    ("before", "after", "code", "message", "at", "helps"),
    [
        # unknown keys and wrong values of targets
        ("minimum_ios =", "minimum_oss =", "E102", "unknown key 'minimum_oss' in targets.coreml",
         "minimum_oss", "Did you mean 'minimum_ios'?"),
        ('"16.0"', '"16.1"', "E103", "wrong value for targets.coreml.minimum_ios", '"16.1"',
         "Did you mean '16.0'?"),
        ('"16.0"', "16.0", "E103", "wrong value for targets.coreml.minimum_ios", "16.0",
         "Did you mean '16.0'?"),
        ('["fp32", "int8"]', "[]", "E103", "precisions must be a list", "[]", ""),
        ('["fp32", "int8"]', '"fp32"', "E103", "precisions must be a list", '"fp32"', ""),
        ('["fp32", "int8"]', "[32]", "E103", "precisions must be a list", "[32]", ""),
        ('["fp32", "int8"]', '[["fp32"]]', "E103", "precisions must be a list", '[["fp32"]]', ""),
        # unknown names
        ("targets.coreml", "targets.corelm", "E105", "there is no target 'corelm'",
         "targets.corelm", "Did you mean 'coreml'?"),
        ('"fp32", "int8"', '"fp32", "int4"', "E106", "target litert has no precision 'int4'",
         '"int4"', "Did you mean 'int8'?"),
        ("litert = ", "liteert = ", "E113", "no environment is called 'liteert'", "liteert",
         "Did you mean 'litert'?"),
        ("litert = ", "mine = ", "E113", "no environment is called 'mine'", "mine",
         "This build uses: torch, litert, litert-runtime, coreml."),
        # samples
        ('"data/calib/*.npz"', '"random"', "E109", "random samples are refused", '"random"', ""),
        ('"train/data.py:validation"', '"random"', "E109", "random samples are refused",
         '"random"', ""),
        # apps
        ("[apps.ios]", '[apps.ios]\nvariant = "coreml-fp32"', "E110",
         "the ios app's variant 'coreml-fp32' is not built", '"coreml-fp32"',
         "Did you mean 'coreml-fp16'?"),
        ("[apps.ios]", '[apps.ios]\nvariant = "litert-fp32"', "E110",
         "the ios app's variant 'litert-fp32' is not built", '"litert-fp32"',
         "Built for ios: coreml-fp16."),
        ('[targets.coreml]\nminimum_ios = "16.0"', "", "E110",
         "the ios app has no variant that is built", "apps.ios", "Built for ios: none."),
        # dimensions
        ("sequence = {", "sequenze = {", "E111", "dimension 'sequence' has no size",
         '[1, "sequence"]', ""),
        ("sequence = {", "height = 3\nsequence = {", "E112",
         "no input's shape names the dimension 'height'", "height", ""),
        ("min = 2", "min = 200", "E103", "wrong value for model.dimensions.sequence", "sequence", ""),
        ("fixed = 128", "fixed = 999", "E103", "wrong value for model.dimensions.sequence",
         "sequence", ""),
        # the model
        ('"flowers"', '"../flowers"', "E103", "wrong value for model.name", '"../flowers"', ""),
        ('"flowers"', '".flowers"', "E103", "wrong value for model.name", '".flowers"', ""),
        ('"tokens"', '"image"', "E103", "wrong value for model.inputs.1.name", '"image"', ""),
        ('name = "scores"', 'name = "a"\n[[model.outputs]]\nname = "a"', "E103",
         "wrong value for model.outputs.1.name", '"a"', ""),
        ("job_seconds = 60", "job_seconds = inf", "E103", "wrong value for limits.job_seconds", "inf", ""),
        ("min_sqnr_db = 33", "min_sqnr_db = nan", "E103", "wrong value for parity.int8.min_sqnr_db",
         "nan", ""),
        ("1000000000", "99999999999999999999", "E103", "wrong value for limits.memory_bytes",
         "99999999999999999999", ""),
        ("[0, 100]", "[100, 0]", "E103", "wrong value for model.inputs.1.range", "[100, 0]", ""),
        ("[0, 100]", "[0, inf]", "E103", "wrong value for model.inputs.1.range.1", "inf", ""),
        ('python = ".venv"', 'python = ".venv"\nrequirements = "r.txt"', "E103",
         "wrong value for model.python", '".venv"', ""),
        ("train/export.py:make_model", "train/export.py", "E204",
         "train/export.py is no model edgepack knows", '"train/export.py"',
         "Name the function that makes the model: train/export.py:make_model"),
        ("train/export.py:make_model", "model.onnx", "E204", "ONNX models are not read yet",
         '"model.onnx"', ""),
        ("train/export.py:make_model", "model", "E204", "model is no model edgepack knows",
         '"model"', ""),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_a_caret(
    tmp_path: Path, before: str, after: str, code: str, message: str, at: str, helps: str
) -> None:
    assert FULL.count(before) == 1
    error = refusal(tmp_path, FULL.replace(before, after))
    assert (error.code, error.message) == (code, message)
    assert shown(error) == at
    assert error.help
    if helps:
        assert error.help == helps


def test_a_target_that_is_named_by_an_option_of_another_type_is_refused(tmp_path: Path) -> None:
    error = refusal(tmp_path, SMALL + "[targets.coreml]\nminimum_ios = true\n")
    assert error.code == "E103"


def test_int8_without_calibration_is_refused(tmp_path: Path) -> None:
    error = refusal(tmp_path, SMALL + '[targets.litert]\nprecisions = ["fp32", "int8"]\n')
    assert error.code == "E108"
    assert error.message == "litert-int8 needs calibration samples"
    assert "--calibration" in error.help


def test_a_plan_from_flags_alone_has_no_caret(tmp_path: Path) -> None:
    settings = config.Config(
        schema=1, model=config.Model(source="model.pt2"), targets={"corelm": {}}
    )
    loaded = config.Loaded(config=settings, text="", path=tmp_path / "x", folder=tmp_path)
    with pytest.raises(EdgepackError) as caught:
        plan.resolve(loaded, tmp_path)
    assert caught.value.code == "E105"
    assert "-->" not in caught.value.why


@pytest.mark.parametrize(
    "before",
    [
        "# a\u2028b\n",
        "# a\x85b\n",
        "# crlf\r\n",
        'python = """two\nlines"""\r\n',
        'name = "日本\u2028"\n',
    ],
)
def test_a_caret_stands_in_the_line_that_toml_counts(tmp_path: Path, before: str) -> None:
    text = f'schema = 1\n[model]\nsource = "a.pt2"\n{before}[targets."größe"]\n'
    error = refusal(tmp_path, text)
    assert error.code == "E105"
    assert shown(error) == 'targets."größe"'


SEVERAL = """\
schema = 1
name = "voice"

[[model]]
name = "encoder"
source = "model.py:make_encoder"
validation = "data.py:heard"

[[model.inputs]]
name = "mel"
shape = [1, 80, 3000]

[[model]]
name = "decoder"
source = "model.py:make_decoder"
precisions = { litert = ["fp16"] }

[data]
validation = "data.py:steps"

[targets.litert]
precisions = ["fp32"]
"""


def test_several_models_are_planned_as_one_build(tmp_path: Path) -> None:
    made = resolved(tmp_path, SEVERAL)
    assert made.name == "voice"
    assert [m.name for m in made.models] == ["encoder", "decoder"]
    assert [v.id for m in made.models for v in m.variants] == [
        "encoder.litert-fp32", "decoder.litert-fp16",
    ]  # fmt: skip
    assert [Path(m.validation.location).name for m in made.models] == [
        "data.py:heard", "data.py:steps",
    ]  # fmt: skip
    assert resolved(tmp_path / "a b", SEVERAL.replace('name = "voice"', "")).name == "a-b"


def test_a_models_own_precisions_may_name_the_platform(tmp_path: Path) -> None:
    made = resolved(tmp_path, SEVERAL.replace("{ litert =", '{ ios = ["fp32"], android ='))
    assert [v.id for m in made.models for v in m.variants] == [
        "encoder.litert-fp32", "decoder.litert-fp16",
    ]  # fmt: skip


OWN = """\
schema = 1
[model]
source = "model.pt2"
calibration = "old/*.npz"
precisions = { android = ["fp32"], coreml = ["fp32"] }
[targets.litert]
[targets.coreml]
"""


@pytest.mark.parametrize("several", [False, True])
def test_flags_override_what_a_model_has_of_its_own(tmp_path: Path, several: bool) -> None:
    path = tmp_path / "edgepack.toml"
    path.write_text(OWN.replace("[model]", "[[model]]") if several else OWN)

    def planned(**flags: Any) -> plan.ModelPlan:
        given = {"model": str(path), "targets": (), "precisions": (), **flags}
        return plan.resolve(from_flags.config_of(given), tmp_path / "dist").models[0]

    def variants(*precisions: str) -> list[str]:
        return [v.id.rpartition(".")[2] for v in planned(precisions=precisions).variants]

    assert variants() == ["litert-fp32", "coreml-fp32"]
    assert variants("litert=fp16") == ["litert-fp16", "coreml-fp32"]
    assert variants("fp16") == ["litert-fp16", "coreml-fp16"]
    before, after = planned(), planned(calibration="new", validation="val")
    assert before.calibration
    assert before.calibration.location.endswith("old/*.npz")
    assert after.calibration
    assert after.calibration.location.endswith("/new")
    assert after.validation.location.endswith("/val")


@pytest.mark.parametrize(
    ("old", "new", "code", "under"),
    [
        ('name = "decoder"', 'name = "encoder"', "E103", '"encoder"'),
        ('name = "decoder"', 'name = "Encoder"', "E103", '"Encoder"'),
        ('["fp16"]', '["fp17"]', "E106", '"fp17"'),
        ('{ litert = ["fp16"] }', '{ litertx = ["fp16"] }', "E105", '["fp16"]'),
        ("shape = [1, 80", "shape = [0, 80", "E103", "0"),
        ('source = "model.py:make_decoder"', 'source = "m.onnx"', "E204", '"m.onnx"'),
        ('name = "decoder"', 'name = "decoder"\npython = ".venv"', "E103", '".venv"'),
        ("precisions = {", "precision = {", "E102", "precision"),
        ('name = "voice"', 'name = "a/b"', "E103", '"a/b"'),
        ('name = "voice"', f'name = "{"模" * 67}"', "E103", f'"{"模" * 67}"'),
        ('name = "decoder"', f'name = "{"模" * 67}"', "E103", f'"{"模" * 67}"'),
    ],
)
def test_a_mistake_in_one_of_several_models_is_shown_where_it_is(
    tmp_path: Path, old: str, new: str, code: str, under: str
) -> None:
    error = refusal(tmp_path, SEVERAL.replace(old, new))
    assert error.code == code
    assert shown(error) == under
