"""What a check of an app project finds: damage to templates, to what was generated, and to single files."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import edgepack_templates as templates
from app_bench import Bench, payload
from edgepack import appcheck, generated
from edgepack.errors import EdgepackError
from edgepack.verifying import ladder


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


KOTLIN = "android/app/src/main/kotlin/dev/edgepack/app"
XCODE = "ios/EdgepackApp.xcodeproj"
DAMAGES = [
    (f"{KOTLIN}/Check.kt", "fun check(", "fun check((", "Check.kt, line"),
    (f"{KOTLIN}/core/Metrics.kt", "class Metrics(", "class class Metrics(", "Metrics.kt, line"),
    ("android/app/build.gradle.kts.j2", "buildTypes {", "buildTypes (", "build.gradle.kts, line"),
    ("android/app/build.gradle.kts.j2", "libs.junit", "libs.junit5", "no junit5"),
    ("android/build.gradle.kts", "libs.plugins.android", "libs.plugins.ios", "no plugins.ios"),
    ("android/gradle/libs.versions.toml.j2", "[versions]", "[versions", "libs.versions.toml, line 2"),
    ("android/gradle/libs.versions.toml.j2", 'version.ref = "agp"', 'version.ref = "agb"', "no version"),
    ("android/gradle.properties", "android.use", "kotlin.code.style=x\nandroid.use", "occurs twice"),
    ("android/app/src/main/AndroidManifest.xml.j2", "</application>", "", "mismatched tag"),
    ("android/app/src/main/res/values/strings.xml.j2", "Run again", "Run & again", "strings.xml, line 4"),
    ("android/app/proguard-rules.pro.j2", "-keep class ", "keep class ", "not a rule"),
    ("android/settings.gradle.kts", "include", "include {% x", "a leftover"),
    ("ios/EdgepackApp/CheckView.swift", "var body", "var var body", "CheckView.swift, line"),
    ("ios/EdgeCore/Sources/EdgeCore/Digest.swift", "mix(at: start)", "mix(at: start", "Digest.swift"),
    ("ios/Config/App.xcconfig.j2", "MARKETING_VERSION =", "MARKETING VERSION", "App.xcconfig, line 6"),
    ("ios/EdgepackApp/Assets.xcassets/Contents.json", "{", "{,", "Contents.json, line 1"),
    ("ios/EdgepackApp/PrivacyInfo.xcprivacy", "<false/>", "<flase/>", "PrivacyInfo.xcprivacy"),
    ("ios/EdgepackApp/en.lproj/InfoPlist.strings.j2", '";', '"', "InfoPlist.strings"),
    (f"{XCODE}/project.pbxproj.j2", "'folder EdgepackApp'", "'x'", "there is no object"),
    (f"{XCODE}/project.pbxproj.j2", "mainGroup = ", "mainGrop ", "project.pbxproj, line"),
    (f"{XCODE}/project.pbxproj.j2", "path = EdgepackApp;", "path = Elsewhere;", "no Elsewhere"),
    (f"{XCODE}/xcshareddata/xcschemes/EdgepackApp.xcscheme.j2", '"target tests"', '"x"', "no target"),
    (f"{XCODE}/xcshareddata/xcschemes/EdgepackApp.xcscheme.j2", "</Scheme>", "", "no element found"),
    ("ios/README.md.j2", "press Run.", "press {{ '{{' }}", "README.md, line 3"),
    ("ios/EdgepackApp/Check.swift", "import EdgeCore\n", "import EdgeCore\r\n", "line end"),
    ("ios/EdgepackApp/Check.swift", "import EdgeCore", "\ufeffimport EdgeCore", "no text holds"),
]  # fmt: skip


@pytest.fixture
def damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the templates that a test may damage."""
    copy = tmp_path / "templates"
    shutil.copytree(templates.ROOT, copy)
    monkeypatch.setattr(templates, "ROOT", copy)
    return copy


@pytest.mark.parametrize(("name", "good", "bad", "words"), DAMAGES)
def test_damage_to_a_template_is_found(
    bench: Bench, damaged: Path, name: str, good: str, bad: str, words: str
) -> None:
    text = (damaged / name).read_bytes().decode()
    assert good in text
    (damaged / name).write_bytes(text.replace(good, bad, 1).encode())
    platform = name.partition("/")[0]
    project = bench.render(platform, "litert" if platform == "android" else "coreml")
    with pytest.raises(EdgepackError) as caught:
        appcheck.check(project)
    assert caught.value.code == "E610"
    assert words in f"{caught.value.message} {caught.value.why}"


def test_an_object_that_nothing_refers_to_is_found(bench: Bench, damaged: Path) -> None:
    path = damaged / XCODE / "project.pbxproj.j2"
    lines = path.read_text("utf-8").splitlines(keepends=True)
    used = next(i for i, line in enumerate(lines) if line.strip().endswith("/* Config */,"))
    del lines[used]
    path.write_text("".join(lines), "utf-8")
    with pytest.raises(EdgepackError, match="E610") as caught:
        appcheck.check(bench.render("ios", "coreml"))
    assert "nothing refers to the object" in caught.value.why


def spoil_model(project: Path) -> None:
    path = next(project.rglob("model.tflite"))
    path.write_bytes(path.read_bytes()[:-1] + b"!")


def spoil_golden(project: Path) -> None:
    path = next(project.rglob("case0_output0.bin"))
    path.write_bytes(path.read_bytes()[:-1])


def spoil_manifest(project: Path) -> None:
    path = next(project.rglob("edgepack.json"))
    path.write_text(path.read_text("utf-8").replace('"models"', '"model"'), "utf-8")


def spoil_encoding(project: Path) -> None:
    (project / "README.md").write_bytes(b"# a\n\n\xff\n")


def spoil_jar(project: Path) -> None:
    (project / "gradle/wrapper/gradle-wrapper.jar").write_bytes(b"")


def spoil_case(project: Path) -> None:
    path = next(project.rglob("case0_output0.bin"))
    path.write_bytes(bytes(path.stat().st_size))


def refusal(project: Path) -> str:
    """What the check refuses a project for."""
    with pytest.raises(EdgepackError) as caught:
        appcheck.check(project)
    assert caught.value.code == "E610"
    return f"{caught.value.message} {caught.value.why}"


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (spoil_encoding, "README.md, line 3"),
        (lambda project: (project / "more.kt").write_text("val x = 1\n"), "no such file"),
        (lambda project: (project / "gradlew.bat").write_text("\n"), "differs from the template"),
        (spoil_jar, "differs from the template"),
        (lambda project: (project / "gradlew").chmod(0o644), "not executable"),
    ],
)
def test_a_generator_that_makes_something_else_is_found(
    bench: Bench, spoil: Any, words: str
) -> None:
    project = bench.render("android", "litert")
    spoil(project)
    generated.write_listing(project)
    assert words in refusal(project)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (spoil_model, "its sha256 is not that of edgepack.json"),
        (spoil_golden, "says that it holds 16 bytes"),
        (spoil_case, "its sha256 is not that of edgepack-generated.json"),
        (spoil_manifest, "field `models`"),
        (lambda project: (project / "gradlew").chmod(0o644), "not executable"),
        (lambda project: (project / "gradlew").unlink(), "missing"),
        (lambda project: next(project.rglob("golden.json")).write_text("{"), "golden.json, line 1"),
        (lambda project: next(project.rglob("golden.json")).unlink(), "No such file"),
        (lambda project: next(project.rglob("edgepack.json")).write_text("[]"), "got `array`"),
        (lambda project: (project / generated.LISTING).unlink(), "cannot be read"),
        (lambda project: (project / generated.LISTING).write_text("{"), "cannot be read"),
        (lambda project: (payload(project) / "more.bin").write_bytes(b""), "would be part of the app"),
    ],
)  # fmt: skip
def test_damage_to_a_project_is_found(bench: Bench, spoil: Any, words: str) -> None:
    project = bench.render("android", "litert")
    spoil(project)
    assert words in refusal(project)


def test_what_people_changed_and_added_is_named_and_not_compared(bench: Bench) -> None:
    project = bench.render("android", "litert")
    spoil_jar(project)
    (project / "README.md").write_text("mine\n")
    (project / ".git").mkdir()
    (project / ".git" / "HEAD").write_bytes(b"\xff")
    (project / "app" / "notes 花.txt").write_text("mine")
    (render,) = ladder.climb(project, "render").rungs
    assert render.verdict == "pass"
    assert render.proved[1:] == [
        "not compared, since you changed them: README.md, gradle/wrapper/gradle-wrapper.jar",
        "not compared: 2 files of your own",
    ]


def test_a_folder_without_a_project_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EdgepackError, match="E611"):
        appcheck.check(tmp_path)


# --- apps so broken that the rungs above the first cannot read them ----------------------------------


def written(name: str, content: bytes) -> Any:
    """What replaces a file of a project."""
    return lambda project: (project / name).write_bytes(content)


def replaced(name: str, old: str, new: str) -> Any:
    """What changes a text in a file of a project."""

    def change(project: Path) -> None:
        text = (project / name).read_text("utf-8")
        assert old in text
        (project / name).write_text(text.replace(old, new), "utf-8")

    return change


MANIFEST = "app/src/main/assets/edgepack/edgepack.json"
PBXPROJ = "EdgepackApp.xcodeproj/project.pbxproj"


@pytest.mark.parametrize(
    ("platform", "spoil"),
    [
        ("android", written("gradle/libs.versions.toml", b"a = 1\n")),
        ("android", written("app/src/main/AndroidManifest.xml", b"<manifest>")),
        ("android", written("app/src/main/kotlin/dev/edgepack/app/Check.kt", b"\xff")),
        ("android", lambda project: (project / "app/build.gradle.kts").unlink()),
        ("ios", written(PBXPROJ, b"{}\n")),
        ("ios", written(PBXPROJ, b"{objects = 3; rootObject = 4;}\n")),
        ("ios", written("EdgepackApp/Assets.xcassets/Contents.json", b"{\n")),
        ("ios", written("EdgepackApp/Assets.xcassets/Contents.json", b"[]\n")),
        ("ios", written("EdgepackApp/PrivacyInfo.xcprivacy", b"<plist>")),
        ("ios", lambda project: (project / "EdgepackApp/PrivacyInfo.xcprivacy").unlink()),
        ("ios", written("EdgepackApp/Check.swift", b"\xff")),
        ("ios", written("EdgepackApp/a\nb.swift", b"")),
    ],
)
def test_an_app_that_cannot_be_read_fails(bench: Bench, platform: str, spoil: Any) -> None:
    project = bench.render(platform, "litert" if platform == "android" else "coreml")
    spoil(project)
    climb = ladder.climb(project, "resources")
    failed = [rung for rung in climb.rungs if rung.verdict == "fail"]
    assert climb.verdict == "fail"
    assert all(rung.code in ("E610", "E612") and rung.message and rung.why for rung in failed)


@pytest.mark.parametrize(
    "spoil",
    [
        replaced(MANIFEST, '"kind": "generic"', '"kind": "generics"'),
        replaced(MANIFEST, '"kind": "generic"', '"kind": ["generic"]'),
        replaced(MANIFEST, '"target": "litert"', '"target": ["litert"]'),
        replaced(MANIFEST, '"target": "litert"', '"target": "coreml"'),
        replaced(MANIFEST, '"artifact"', '"artefact"'),
        written(MANIFEST, b'{"models": 3}'),
        written(MANIFEST, b"[" * 100_000),
        written(MANIFEST, b"\xff"),
    ],
)
def test_an_app_whose_manifest_cannot_be_read_is_refused(bench: Bench, spoil: Any) -> None:
    project = bench.render("android", "litert")
    spoil(project)
    with pytest.raises(EdgepackError, match="E610"):
        ladder.climb(project, "render")
