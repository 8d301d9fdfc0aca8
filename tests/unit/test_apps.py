"""Generated app projects: whole, equal to what was reviewed, parsed, and safe from hostile names."""

from __future__ import annotations

import hashlib
import math
import re
import shutil
from dataclasses import replace
from pathlib import Path

import lxml.etree
import numpy as np
import openstep_plist
import pytest

import edgepack_templates as templates
from app_bench import (
    CASE,
    HOSTILE,
    LIMITS,
    PAIRS,
    SIGNATURE,
    Bench,
    payload,
    read_json,
    refused,
    tree_digest,
)
from edgepack import appcheck, apps, golden_cases
from edgepack.wire.types import Quantization, Signature, TensorSpec
from edgepack_templates import escapes

GOLDEN = Path(__file__).parents[1] / "golden" / "apps"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def listing(project: Path) -> str:
    """A line for each file: digest, mode, path."""
    files = sorted(p for p in project.rglob("*") if p.is_file())
    return "".join(
        f"{hashlib.sha256(p.read_bytes()).hexdigest()[:16]} {p.stat().st_mode & 0o777:o} "
        f"{p.relative_to(project).as_posix()}\n"
        for p in files
    )


# --- whole projects ------------------------------------------------------------------------------


@pytest.mark.parametrize(("platform", "target"), PAIRS)
def test_a_project_is_the_one_that_was_reviewed(
    bench: Bench, platform: str, target: str, request: pytest.FixtureRequest
) -> None:
    found = listing(bench.render(platform, target))
    expected = GOLDEN / f"{platform}-{target}.txt"
    if request.config.getoption("--update-golden", default=False):
        expected.write_text(found)
    assert found == expected.read_text()


@pytest.mark.parametrize(("platform", "target"), PAIRS)
def test_every_file_of_a_project_is_checked(bench: Bench, platform: str, target: str) -> None:
    project = bench.render(platform, target)
    checked = appcheck.check(project)
    files = sorted(p.relative_to(project).as_posix() for p in project.rglob("*") if p.is_file())
    assert [entry.path for entry in checked] == files
    parsers = {entry.parser for entry in checked}
    language = "tree-sitter-kotlin" if platform == "android" else "tree-sitter-swift"
    assert {language, "sha256", "golden.json", "json", "expat"} <= parsers


@pytest.mark.parametrize(("platform", "target"), PAIRS)
def test_the_same_input_gives_the_same_bytes(bench: Bench, platform: str, target: str) -> None:
    assert listing(bench.render(platform, target)) == listing(bench.render(platform, target))


def test_the_order_of_limits_and_versions_does_not_show(bench: Bench) -> None:
    turned = dict(reversed(LIMITS.items()))
    one = bench.render("android", "litert")
    other = bench.render(
        "android", "litert", limits=turned, artifact={"versions": {"a": "1", "torch": "2.13.0"}}
    )
    assert listing(one) == listing(other)


def test_only_the_code_of_the_target_is_there(bench: Bench) -> None:
    names = {p.name for p in bench.render("android", "litert").rglob("*.kt")}
    assert "LiteRtModel.kt" in names
    assert "ExecuTorchModel.kt" not in names
    names = {p.name for p in bench.render("ios", "executorch").rglob("*.swift")}
    assert "ExecuTorchModel.swift" in names
    assert "CoreMLModel.swift" not in names


def test_the_gradle_wrapper_is_the_published_one() -> None:
    jar = templates.ROOT / "android/gradle/wrapper/gradle-wrapper.jar"
    assert hashlib.sha256(jar.read_bytes()).hexdigest() == (
        "55243ef57851f12b070ad14f7f5bb8302daceeebc5bce5ece5fa6edb23e1145c"
    )


def test_the_wrapper_can_be_run(bench: Bench) -> None:
    project = bench.render("android", "litert")
    assert (project / "gradlew").stat().st_mode & 0o111 == 0o111
    assert (project / "README.md").stat().st_mode & 0o111 == 0


def test_the_readme_starts_with_what_to_press(bench: Bench) -> None:
    for platform, target, words in (
        ("android", "litert", "in Android Studio and press Run."),
        ("ios", "coreml", "in Xcode and press Run."),
    ):
        lines = (bench.render(platform, target) / "README.md").read_text("utf-8").splitlines()
        assert lines[0] == "# Flowers"
        assert lines[2].endswith(words)


def test_versions_are_those_of_the_template(bench: Bench) -> None:
    project = bench.render("android", "executorch")
    catalog = (project / "gradle/libs.versions.toml").read_text()
    runtime = templates.read("android").targets["executorch"].runtime
    assert f'runtime = "{runtime.version}"' in catalog
    assert runtime.package in catalog
    manifest = read_json(payload(project) / "edgepack.json")
    assert manifest["runtime"] == {"name": "ExecuTorch", "version": runtime.version}


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        (None, "17.0"),
        ("16.0", "17.0"),
        ("18.0", "18.0"),
        ("iOS18", "18.0"),
        ("26.1", "26.1"),
        ("", "17.0"),
    ],
)
def test_the_oldest_ios_is_the_younger_of_two(bench: Bench, asked: str | None, given: str) -> None:
    options = () if asked is None else (("minimum_ios", asked),)
    project = bench.render("ios", "coreml", options=options)
    text = (project / "Config/Project.xcconfig").read_text()
    assert f"IPHONEOS_DEPLOYMENT_TARGET = {given}\n" in text


def xcconfig(path: Path) -> dict[str, str]:
    """Settings of an .xcconfig file as Xcode reads it: what is included stands where it is included."""
    found: dict[str, str] = {}
    for line in path.read_text("utf-8").splitlines():
        if line.startswith("#include? "):
            other = path.parent / line.split('"')[1]
            found |= xcconfig(other) if other.exists() else {}
        elif " = " in line and not line.startswith("//"):
            key, value = line.split(" = ", 1)
            found[key] = value
    return {k: v.replace("$(APP_ID)", found.get("APP_ID", "")) for k, v in found.items()}


@pytest.mark.parametrize("target", ["coreml", "executorch"])
def test_settings_of_ones_own_count_on_ios(bench: Bench, target: str) -> None:
    config = bench.render("ios", target, id="com.example.x1") / "Config"

    def ids() -> list[str]:
        return [
            xcconfig(config / f"{name}.xcconfig")["PRODUCT_BUNDLE_IDENTIFIER"]
            for name in ("App", "Tests")
        ]

    assert ids() == ["com.example.x1", "com.example.x1.tests"]
    own = {"APP_ID": "org.mine.app", "DEVELOPMENT_TEAM": "ABCDE12345", "MARKETING_VERSION": "2.1"}
    (config / "Local.xcconfig").write_text("".join(f"{k} = {v}\n" for k, v in own.items()))
    assert ids() == ["org.mine.app", "org.mine.app.tests"]
    assert own.items() <= xcconfig(config / "App.xcconfig").items()


def test_an_app_runs_optimized_and_is_tested_for_debugging(bench: Bench) -> None:
    """Without optimization a spectrogram or a large photo takes many times as long."""
    schemes = bench.render("ios", "coreml") / "EdgepackApp.xcodeproj/xcshareddata/xcschemes"
    scheme = lxml.etree.parse(schemes / "EdgepackApp.xcscheme").getroot()
    found = {entry.tag: entry.get("buildConfiguration") for entry in scheme}
    assert (found["LaunchAction"], found["TestAction"]) == ("Release", "Debug")


# --- names ---------------------------------------------------------------------------------------


def as_aapt_reads(text: str) -> str:
    """What Android shows for the text of a <string>, after XML: white space folds, escapes open."""
    folded = re.sub(r"\s+", " ", text).strip()
    table = {"n": "\n", "t": "\t"}
    opened = re.sub(
        r"\\(u[0-9a-fA-F]{4}|.)",
        lambda m: chr(int(m[1][1:], 16)) if len(m[1]) == 5 else table.get(m[1], m[1]),
        folded,
    )
    assert not re.search(r"""(?<!\\)(\\\\)*['"]""", folded), "an unescaped quote would be dropped"
    assert folded[:1] not in ("@", "?"), "it would be a reference"
    return opened


@pytest.mark.parametrize("name", HOSTILE)
def test_any_name_is_shown_on_android_as_it_was_given(bench: Bench, name: str) -> None:
    project = bench.render("android", "executorch", name=name)
    appcheck.check(project)
    strings = lxml.etree.parse(project / "app/src/main/res/values/strings.xml").getroot()
    shown = next(s.text or "" for s in strings if s.get("name") == "app_name")
    assert as_aapt_reads(shown) == name


@pytest.mark.parametrize("name", HOSTILE)
def test_any_name_is_shown_on_ios_as_it_was_given(bench: Bench, name: str) -> None:
    project = bench.render("ios", "coreml", name=name)
    appcheck.check(project)
    strings = (project / "EdgepackApp/en.lproj/InfoPlist.strings").read_text("utf-8")
    assert openstep_plist.loads(strings) == {"CFBundleDisplayName": name}
    text = (project / "EdgepackApp.xcodeproj/project.pbxproj").read_text("utf-8")
    objects = openstep_plist.loads(text)["objects"]
    names = {
        entry["buildSettings"].get("INFOPLIST_KEY_CFBundleDisplayName")
        for entry in objects.values()
        if entry["isa"] == "XCBuildConfiguration"
    } - {None}
    assert len(names) == 1
    plain = names.pop()
    assert plain
    assert not set(plain) & set("$\"'\\{}\n`")


@pytest.mark.parametrize("name", HOSTILE)
def test_any_tensor_and_model_name_goes_through_json(bench: Bench, name: str) -> None:
    signature = replace(
        SIGNATURE, inputs=(replace(SIGNATURE.inputs[0], name=name), SIGNATURE.inputs[1])
    )
    for platform, target in (("android", "litert"), ("ios", "coreml")):
        project = bench.render(platform, target, signature=signature, model_name=name)
        appcheck.check(project)
        manifest = read_json(payload(project) / "edgepack.json")
        assert manifest["models"][0]["name"] == name
        assert manifest["models"][0]["artifact"]["signature"]["inputs"][0]["name"] == name
        golden = read_json(payload(project) / "golden/model/golden.json")
        assert golden["cases"][0]["inputs"][0]["name"] == name
        table = (project / "README.md").read_text("utf-8")
        assert table.count("\n| input |") == 2


def test_markdown_shows_marks_as_they_are() -> None:
    assert escapes.markdown("a|b\n*c* <d> {{e}}") == r"a\|b \*c\* \<d\> \{\{e\}\}"


def test_a_name_of_marks_alone_has_a_plain_form() -> None:
    assert escapes.plain_name("$'\"") == "Edgepack"


def test_object_ids_are_24_hex_digits() -> None:
    assert re.fullmatch("[0-9A-F]{24}", escapes.object_id("target app"))
    assert escapes.object_id("a") != escapes.object_id("b")


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("platform", "bad", "better"),
    [
        ("android", "flowers", "com.example.flowers"),
        ("android", "com.my-app", "com.my_app"),
        ("android", "com.1app.x", "com.a1app.x"),
        ("android", "com..app", "com.app"),
        ("android", "com.größe", "com.gr_e"),
        ("android", "com.app\n", "com.app"),
        ("android", "", "com.example.app"),
        ("ios", "com.my_app", "com.my-app"),
        ("ios", "app", "com.example.app"),
        ("ios", "com.a b", "com.a-b"),
    ],
)
def test_a_bad_id_is_refused_with_a_better_one(
    bench: Bench, platform: str, bad: str, better: str
) -> None:
    target = "litert" if platform == "android" else "coreml"
    error = refused("E601", bench, platform, target, id=bad)
    assert error.help == f"for example {better}"
    bench.render(platform, target, id=better)


@pytest.mark.parametrize(
    "name", ["", "  ", "\n", "x" * 101, "nul\x00", "bell\x07", "\ud800", "\ufeffx", "\uffff", "a\r"]
)
def test_a_name_that_no_screen_shows_is_refused(bench: Bench, name: str) -> None:
    refused("E602", bench, "android", "litert", name=name)


@pytest.mark.parametrize(("platform", "target"), [("android", "coreml"), ("ios", "litert")])
def test_a_target_of_the_other_platform_is_refused(
    bench: Bench, platform: str, target: str
) -> None:
    error = refused("E603", bench, platform, target)
    assert f"an {platform} app cannot run {target} models" in error.message


def test_a_file_of_another_kind_is_refused(bench: Bench) -> None:
    refused("E603", bench, "android", "litert", artifact={"file": "model.onnx"})


@pytest.mark.parametrize(
    ("platform", "target", "dtype", "served"),
    [
        ("android", "litert", "uint8", True),
        ("android", "litert", "bool", True),
        ("android", "litert", "float16", False),
        ("android", "litert", "int16", False),
        ("android", "executorch", "float16", True),
        ("android", "executorch", "bool", False),
        ("ios", "coreml", "float16", True),
        ("ios", "coreml", "int64", False),
        ("ios", "executorch", "bool", True),
        ("ios", "executorch", "complex64", False),
    ],
)
def test_dtypes_are_those_that_the_language_can_feed(
    bench: Bench, platform: str, target: str, dtype: str, served: bool
) -> None:
    spec = TensorSpec(name="x", dtype=dtype, shape=(2,))
    signature = Signature(name="f", inputs=(spec,), outputs=(SIGNATURE.outputs[0],))
    if not served:
        assert dtype in refused("E604", bench, platform, target, signature=signature).why
        return
    case = golden_cases.GoldenCase(inputs=(np.array([0, 1], dtype),), outputs=CASE.outputs)
    project = bench.render(platform, target, signature=signature, golden=[case])
    entry = read_json(payload(project) / "golden/model/golden.json")["cases"][0]["inputs"][0]
    assert entry["dtype"] == dtype


def test_a_size_that_varies_is_refused_where_it_cannot_be_fed(bench: Bench) -> None:
    spec = TensorSpec(name="x", dtype="float32", shape=("batch", 2))
    signature = Signature(name="f", inputs=(spec,), outputs=SIGNATURE.outputs)
    case = golden_cases.GoldenCase(inputs=(np.zeros((5, 2), np.float32),), outputs=CASE.outputs)
    refused("E604", bench, "android", "litert", signature=signature, golden=[case])
    project = bench.render("android", "executorch", signature=signature, golden=[case])
    golden = read_json(payload(project) / "golden/model/golden.json")
    assert golden["cases"][0]["inputs"][0]["shape"] == [5, 2]


@pytest.mark.parametrize(
    "inputs",
    [
        (TensorSpec(name="", dtype="float32", shape=()),),
        (TensorSpec(name="a\x00", dtype="float32", shape=()),),
        (TensorSpec(name="\udc00", dtype="float32", shape=()),),
        (TensorSpec(name="x", dtype="float32", shape=()),) * 2,
        (
            TensorSpec(
                name="x",
                dtype="int8",
                shape=(2,),
                quantization=Quantization(scales=(1.0, 2.0), zero_points=(0, 0), axis=0),
            ),
        ),
    ],
)
def test_tensors_that_an_app_cannot_serve_are_refused(
    bench: Bench, inputs: tuple[TensorSpec, ...]
) -> None:
    signature = Signature(name="f", inputs=inputs, outputs=SIGNATURE.outputs)
    refused("E604", bench, "android", "litert", signature=signature, golden=[])


def test_another_model_than_the_converted_one_is_refused(bench: Bench, tmp_path: Path) -> None:
    refused("E605", bench, "android", "litert", artifact={"sha256": "0" * 64})
    error = refused("E605", bench, "android", "litert", artifact_path=tmp_path / "gone.tflite")
    assert "nothing" in error.why


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        ({}, "there are none"),
        ({"max_surprise": 1.0}, "unknown: max_surprise"),
        ({"max_abs": math.nan}, "not finite: max_abs"),
        ({"min_sqnr_db": math.inf}, "not finite: min_sqnr_db"),
    ],
)
def test_limits_that_an_app_cannot_judge_are_refused(
    bench: Bench, limits: dict[str, float], why: str
) -> None:
    assert refused("E607", bench, "android", "litert", limits=limits).why == why


def test_every_limit_is_known_to_both_languages() -> None:
    for source in (
        "android/app/src/main/kotlin/dev/edgepack/app/core/Metrics.kt",
        "ios/EdgeCore/Sources/EdgeCore/Metrics.swift",
    ):
        text = (templates.ROOT / source).read_text("utf-8")
        for name in apps.LIMITS:
            assert f'"{name}"' in text


def test_a_folder_that_holds_something_is_left_alone(bench: Bench, tmp_path: Path) -> None:
    out = tmp_path / "mine"
    out.mkdir()
    bench.render("android", "litert", out=out)
    shutil.rmtree(out)
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    refused("E608", bench, "android", "litert", out=out)
    assert [p.name for p in out.iterdir()] == ["mine.txt"]


# --- the manifest --------------------------------------------------------------------------------


def test_the_manifest_holds_the_digest_of_every_file_of_a_package(bench: Bench) -> None:
    project = bench.render("ios", "coreml")
    folder = payload(project)
    artifact = read_json(folder / "edgepack.json")["models"][0]["artifact"]
    assert artifact["file"] == "model.mlpackage"
    assert artifact["sha256"] == tree_digest(folder / "model.mlpackage")
    assert len(artifact["files"]) == 3
    for entry in artifact["files"]:
        data = (folder / entry["path"]).read_bytes()
        assert entry["sha256"] == hashlib.sha256(data).hexdigest()
        assert entry["bytes"] == len(data)


def test_the_manifest_says_what_the_app_must_know(bench: Bench) -> None:
    manifest = read_json(payload(bench.render("android", "litert")) / "edgepack.json")
    (described,) = manifest["models"]
    assert described["variant"] == "litert-fp32"
    assert described["precision"] == "fp32"
    assert described["limits"] == LIMITS
    assert described["versions"] == {"a": "1", "torch": "2.13.0"}
    assert manifest["models"][0]["artifact"]["signature"]["inputs"][0] == {
        "name": "image",
        "dtype": "float32",
        "shape": [1, 2, 2],
        "layout": "NHW",
        "quantization": None,
    }
