"""`edgepack verify-app` with its tools: whole apps climb it, hostile names too, no typo gets past its rung.

`make app-tools` makes the tools. Compilations are batched, as starting a compiler takes longest.
"""

from __future__ import annotations

import os
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from app_bench import HOSTILE, Bench
from edgepack.errors import EdgepackError
from edgepack.verifying import (
    android_resources,
    kotlin,
    kotlin_tests,
    ladder,
    packages,
    parsed,
    swift,
    tools,
)
from edgepack.verifying.kotlin import Site
from edgepack.verifying.project import Project, recognize

PARTS = ("kotlin", "executorch", "bundletool", "android", "junit", "dex", "swift")
STRANGE = "größe 花 'x' $y"
IDS = {
    "android": ["com.example.flowers", "a.b", "com.class_.x", "COM.Example.A1_b", "x.fun.in.val.r"],
    "ios": ["com.example.flowers", "1.2", "com.my-app.x", "a.b.c.d.e.f", "com.Example.class"],
}
CODE = "app/src/main/kotlin/dev/edgepack/app"
Edit = tuple[str, str, str]
"""A file of a project, a text in it, and what is put in its place."""


@pytest.fixture(scope="module", autouse=True)
def app_tools() -> None:
    """The tools. Where they are missing, tests fail in continuous integration and skip elsewhere."""
    missing = [p for p in PARTS if not (tools.folder() / p / tools.RECORD).is_file()]
    if missing:
        message = f"`make app-tools` was not run: no {', '.join(missing)} in {tools.folder()}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)


def edited(project: Path, *edits: Edit) -> Path:
    """The project, in which each text stood once and is replaced."""
    for name, old, new in edits:
        text = (project / name).read_text("utf-8")
        assert text.count(old) == 1, f"{name} holds {old!r} {text.count(old)} times"
        (project / name).write_text(text.replace(old, new), encoding="utf-8")
    return project


def contents(project: Path) -> dict[str, bytes]:
    return {str(p.relative_to(project)): p.read_bytes() for p in project.rglob("*") if p.is_file()}


# --- whole climbs, as a user has them ------------------------------------------------------------


@pytest.mark.parametrize(
    ("platform", "target", "level", "proofs"),
    [
        (
            "android",
            "executorch",
            "assemble",
            ["ExecuTorch's own Java classes", "JUnit", "v2 and v3", "pages of 16 KB", "validated"],
        ),
        ("ios", "coreml", "test", ["as Swift 5 and 6", "tests of EdgeCore pass"]),
    ],
)
def test_an_app_climbs_the_ladder(
    tmp_path: Path, edgepack: Callable[..., Any], platform: str, target: str, level: str,
    proofs: list[str],
) -> None:  # fmt: skip
    (tmp_path / STRANGE).mkdir()
    project = Bench(tmp_path / STRANGE).render(platform, target, name=HOSTILE[11])
    before = contents(project)
    done = edgepack("verify-app", project.relative_to(tmp_path), "--level", level, "--json")
    assert done.code == 0, done.out
    answer = done.json
    assert (answer["verdict"], answer["reached"]) == ("pass", level)
    levels = ladder.LEVELS[: ladder.LEVELS.index(level) + 1]
    assert [rung["level"] for rung in answer["rungs"]] == list(levels)
    proved = "\n".join(line for rung in answer["rungs"] for line in rung["proved"])
    for proof in proofs:
        assert proof in proved
    assert re.search(rf"^{level} +pass +\d+\.\d s$", done.err, re.MULTILINE)
    assert contents(project) == before


def test_the_classes_of_android_are_those_that_a_jdk_reads(tmp_path: Path) -> None:
    jars = os.pathsep.join(str(tools.part("android") / f"android-{n}.jar") for n in (34, 23))
    for name, members in (
        (
            "android.media.AudioRecord",
            [
                "public static final int READ_BLOCKING = 0;",
                "public android.media.AudioRecord(int, int, int, int, int) throws",
                "public int read(float[], int, int, int);",
            ],
        ),
        ("android.view.View$OnClickListener", ["public abstract void onClick(android.view.View);"]),
        ("android.util.SparseArray", ["class android.util.SparseArray<E> implements", "E valueAt(int);"]),
        ("android.os.Build$VERSION_CODES", ["TIRAMISU = 33;"]),
        ("android.provider.MediaStore", ["ACTION_IMAGE_CAPTURE"]),
    ):  # fmt: skip
        done = tools.run(tools.program("javap"), "-constants", "-cp", jars, name, cwd=tmp_path)
        assert done.code == 0, done.text
        for member in members:
            assert member in done.out


# --- Android, in one batch -----------------------------------------------------------------------

ANDROID_TYPOS: dict[str, tuple[str, list[Edit], str]] = {
    "a method of Android": (
        "litert",
        [(f"{CODE}/MainActivity.kt", "setTextColor(", "setTextColour(")],
        "unresolved reference 'setTextColour'",
    ),
    "a method that Android deprecates": (
        "litert",
        [(f"{CODE}/MainActivity.kt", "getColor(color)", "resources.getColor(color)")],
        "deprecated",
    ),
    "a constant of a newer Android": (
        "litert",
        [(f"{CODE}/MainActivity.kt", "VERSION_CODES.R)", "VERSION_CODES.BAKLAVA)")],
        "unresolved reference 'BAKLAVA'",
    ),
    "null where Android takes none": (
        "litert",
        [(f"{CODE}/Check.kt", "context.assets.open(path)", "context.assets.open(null)")],
        "null",
    ),
    "a method of a newer Java": (
        "litert",
        [(f"{CODE}/Check.kt", '"$ASSETS/edgepack.json"', "java.util.List.of(ASSETS)[0]")],
        "unresolved reference 'of'",
    ),
    "a view that no layout has": (
        "litert",
        [(f"{CODE}/MainActivity.kt", "findViewById(R.id.root)", "findViewById(R.id.roots)")],
        "unresolved reference 'roots'",
    ),
    "a method of LiteRT": (
        "litert",
        [(f"{CODE}/LiteRtModel.kt", ".writeFloat(", ".writeFloats(")],
        "unresolved reference 'writeFloats'",
    ),
    "a method that ExecuTorch lost": (
        "executorch",
        [(f"{CODE}/ExecuTorchModel.kt", "module.forward(*arguments)", "module.forwards(*arguments)")],
        "unresolved reference 'forwards'",
    ),
    "a method that ExecuTorch got late": (
        "executorch",
        [(f"{CODE}/ExecuTorchModel.kt", "module.destroy()", "module.close()")],
        "unresolved reference 'close'",
    ),
    "a test for devices": (
        "litert",
        [("app/src/androidTest/kotlin/dev/edgepack/app/GoldenTest.kt", "targetContext", "testContext")],
        "unresolved reference 'testContext'",
    ),
    "a name that is not used": (
        "litert",
        [(f"{CODE}/Check.kt", "val start = System", "val begun = 1\n    val start = System")],
        "warning: variable is unused",
    ),
    "Android in the core": (
        "litert",
        [(f"{CODE}/core/Metrics.kt", "import kotlin.math.abs\n", "import android.util.Log\nimport kotlin.math.abs\n")],
        f"{CODE}/core/Metrics.kt:3:",
    ),
}  # fmt: skip
WRONG_CORE = [(f"{CODE}/core/Metrics.kt", "10.0 * log10(", "20.0 * log10(")]


@dataclass
class Batch:
    """Every Android app of these tests, compiled in one process."""

    bench: Bench
    sites: dict[str, Site] = field(default_factory=dict)
    outcomes: dict[str, list[str] | EdgepackError] = field(default_factory=dict)
    linked: dict[str, list[str]] = field(default_factory=dict)

    def add(self, label: str, project: Path) -> None:
        scratch = self.bench.folder / "scratch" / str(len(self.sites))
        scratch.mkdir(parents=True)
        self.sites[label] = Site(project=recognize(project), scratch=scratch)
        self.linked[label] = android_resources.check(self.sites[label].project, scratch)


@pytest.fixture(scope="module")
def android(tmp_path_factory: pytest.TempPathFactory) -> Batch:
    bench = Bench(tmp_path_factory.mktemp(STRANGE))
    batch = Batch(bench)
    for target in ("litert", "executorch"):
        batch.add(target, bench.render("android", target))
        for number, name in enumerate(HOSTILE):
            app_id = IDS["android"][number % len(IDS["android"])]
            batch.add(f"{target} {name}", bench.render("android", target, name=name, id=app_id))
    for label, (target, edits, _) in ANDROID_TYPOS.items():
        batch.add(label, edited(bench.render("android", target), *edits))
    batch.add("wrong core", edited(bench.render("android", "litert"), *WRONG_CORE))
    outcomes = kotlin.check_all(list(batch.sites.values()))
    batch.outcomes = dict(zip(batch.sites, outcomes, strict=True))
    return batch


@pytest.mark.parametrize("target", ["litert", "executorch"])
@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_breaks_an_android_app(android: Batch, target: str, name: str) -> None:
    label = f"{target} {name}"
    assert parsed.check(android.sites[label].project)
    assert android.linked[label]
    assert android.outcomes[label] == android.outcomes[target]
    assert isinstance(android.outcomes[target], list)


def test_an_app_is_named_on_a_phone_as_it_was_given(android: Batch) -> None:
    for name in HOSTILE:
        site = android.sites[f"litert {name}"]
        said = android_resources.badging(site.scratch / android_resources.LINKED)
        shown = re.search(r"^application-label:'(.*?)'$", said, re.MULTILINE | re.DOTALL)
        assert shown
        read = re.sub(r"\\(.)", lambda mark: {"n": "\n"}.get(mark[1], mark[1]), shown.group(1))
        assert read == name


@pytest.mark.parametrize("label", ANDROID_TYPOS)
def test_a_typo_in_kotlin_is_found(android: Batch, label: str) -> None:
    outcome = android.outcomes[label]
    assert isinstance(outcome, EdgepackError)
    assert outcome.code == "E613"
    assert ANDROID_TYPOS[label][2] in outcome.why


def test_the_core_of_an_app_passes_its_tests(android: Batch) -> None:
    assert re.fullmatch(
        r"JUnit: \d\d+ tests .* pass", kotlin_tests.check(android.sites["litert"])[0]
    )


def test_a_wrong_core_fails_its_tests(android: Batch) -> None:
    assert isinstance(android.outcomes["wrong core"], list)
    with pytest.raises(EdgepackError, match="E614") as caught:
        kotlin_tests.check(android.sites["wrong core"])
    assert "MetricsTest" in caught.value.why


def test_an_android_app_is_assembled(android: Batch) -> None:
    site = android.sites[f"litert {HOSTILE[0]}"]
    proved = packages.check(site)
    assert "without the libraries of LiteRT" in proved[-1]
    with zipfile.ZipFile(site.scratch / packages.APK) as apk:
        assert apk.testzip() is None
        assert {"AndroidManifest.xml", "classes.dex", "resources.arsc"} <= set(apk.namelist())
    with zipfile.ZipFile(site.scratch / packages.BUNDLE) as bundle:
        assert "base/manifest/AndroidManifest.xml" in bundle.namelist()


@pytest.mark.parametrize(
    ("label", "edits", "words"),
    [
        (
            "what native code looks up is not kept",
            [
                (
                    "app/proguard-rules.pro",
                    "-keep class com.google.ai.edge.litert.** { *; }\n",
                    "",
                )
            ],
            "R8 drops or renames com.google.ai.edge.litert.",
        ),
        (
            "an activity of another name",
            [("app/src/main/AndroidManifest.xml", "app.MainActivity", "app.Activity")],
            "what a launcher starts is 'dev.edgepack.app.Activity'",
        ),
    ],
)
def test_a_wrong_package_is_found(
    android: Batch, label: str, edits: list[Edit], words: str
) -> None:
    made = android.sites["litert"]
    project = edited(android.bench.render("android", "litert"), *edits)
    scratch = android.bench.folder / label
    scratch.mkdir()
    site = Site(project=recognize(project), scratch=scratch)
    android_resources.check(site.project, site.scratch)
    shutil.copytree(made.scratch / "classes", scratch / "classes")
    with pytest.raises(EdgepackError, match="E615") as caught:
        packages.check(site)
    assert words in caught.value.message


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        ("app/src/main/res/layout/main.xml", "@string/run_again", "@string/run_agin", "run_agin"),
        ("app/src/main/res/layout/main.xml", "android:clipToPadding", "android:clipToPaddings", "clipToPaddings"),
        ("app/src/main/AndroidManifest.xml", "@mipmap/ic_launcher", "@mipmap/launcher", "mipmap/launcher"),
        ("app/src/main/res/values/themes.xml", "style/Theme.Material", "style/Themes.Material", "Themes.Material"),
    ],
)  # fmt: skip
def test_a_typo_in_resources_is_found(
    tmp_path: Path, name: str, old: str, new: str, words: str
) -> None:
    project = edited(Bench(tmp_path).render("android", "executorch"), (name, old, new))
    with pytest.raises(EdgepackError, match="E612") as caught:
        android_resources.check(recognize(project), tmp_path)
    assert words in caught.value.why


# --- iOS, in one batch ---------------------------------------------------------------------------

IOS_TYPOS: dict[str, tuple[str, list[Edit], str, str]] = {
    "a modifier of SwiftUI": (
        "coreml",
        [("EdgepackApp/ContentView.swift", ".foregroundStyle(", ".foregroundStyles(")],
        "EdgepackApp in Swift 5 mode",
        "has no member 'foregroundStyles'",
    ),
    "a property of Core ML": (
        "coreml",
        [("EdgepackApp/CoreMLModel.swift", "array.strides.map", "array.stride.map")],
        "EdgepackApp in Swift 5 mode",
        "has no member 'stride'",
    ),
    "a method of ExecuTorch": (
        "executorch",
        [("EdgepackApp/ExecuTorchModel.swift", "module.forward(", "module.forwards(")],
        "EdgepackApp in Swift 5 mode",
        "has no member 'forwards'",
    ),
    "an argument of Foundation": (
        "coreml",
        [("EdgepackApp/Check.swift", "withExtension: nil", "extension: nil")],
        "EdgepackApp in Swift 5 mode",
        "error: ",
    ),
    "state that all threads share": (
        "coreml",
        [("EdgepackApp/Check.swift", "/// The same,", "var checks = 0\n\n/// The same,")],
        "EdgepackApp in Swift 6 mode",
        "is not concurrency-safe",
    ),
    "a screen's state off its actor": (
        "coreml",
        [("EdgepackApp/ContentView.swift", "{ await checked() }", "{ isRunning = false; return await checked() }")],
        "EdgepackApp in Swift",
        "isRunning",
    ),
    "a name that is not used": (
        "coreml",
        [("EdgepackApp/Check.swift", "    let start = ", "    let begun = 1\n    let start = ")],
        "EdgepackApp in Swift 5 mode",
        "begun",
    ),
    "a name of the core": (
        "executorch",
        [("EdgeCore/Sources/EdgeCore/Metrics.swift", "power.squareRoot()", "power.root()")],
        "EdgeCore in Swift 5 mode",
        "EdgeCore/Sources/EdgeCore/Metrics.swift:",
    ),
    "a test": (
        "executorch",
        [("EdgepackAppTests/GoldenTests.swift", "await faults()", "await fault()")],
        "EdgepackAppTests in Swift 5 mode",
        "GoldenTests.swift:",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def ios(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, list[str] | EdgepackError]]:
    bench = Bench(tmp_path_factory.mktemp(STRANGE))
    projects: dict[str, Project] = {}
    for target in ("coreml", "executorch"):
        projects[target] = recognize(bench.render("ios", target))
        for number, name in enumerate(HOSTILE):
            app_id = IDS["ios"][number % len(IDS["ios"])]
            projects[f"{target} {name}"] = recognize(
                bench.render("ios", target, name=name, id=app_id)
            )
    surface = bench.render("ios", "coreml")
    shutil.copyfile(
        Path(__file__).with_name("ios_surface.swift"), surface / "EdgepackApp/Surface.swift"
    )
    projects["surface"] = recognize(surface)
    for label, (target, edits, _, _) in IOS_TYPOS.items():
        projects[label] = recognize(edited(bench.render("ios", target), *edits))
    outcomes = swift.check_all(list(projects.values()), bench.folder)
    yield dict(zip(projects, outcomes, strict=True))
    for project in projects.values():
        shutil.rmtree(project.folder)


@pytest.mark.parametrize("target", ["coreml", "executorch"])
@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_breaks_an_ios_app(
    ios: dict[str, list[str] | EdgepackError], target: str, name: str
) -> None:
    assert isinstance(ios[target], list)
    assert ios[f"{target} {name}"] == ios[target]


def test_what_apps_do_with_pictures_and_sound_is_declared(
    ios: dict[str, list[str] | EdgepackError],
) -> None:
    outcome = ios["surface"]
    assert isinstance(outcome, list), outcome.why
    for name in ("AVFoundation", "ImageIO", "PhotosUI", "UIKit"):
        assert name in outcome[-1]


@pytest.mark.parametrize("label", IOS_TYPOS)
def test_a_typo_in_swift_is_found(ios: dict[str, list[str] | EdgepackError], label: str) -> None:
    outcome = ios[label]
    assert isinstance(outcome, EdgepackError)
    assert outcome.code == "E613"
    assert IOS_TYPOS[label][2] in outcome.message
    assert IOS_TYPOS[label][3] in outcome.why


def test_a_wrong_edgecore_fails_its_tests(tmp_path: Path) -> None:
    metrics = "EdgeCore/Sources/EdgeCore/Metrics.swift"
    project = edited(
        Bench(tmp_path).render("ios", "executorch"), (metrics, "10 * log10(", "20 * log10(")
    )
    with pytest.raises(EdgepackError, match="E614") as caught:
        swift.check_core(recognize(project), tmp_path)
    assert "MetricsTests" in caught.value.why


# --- which rung finds it -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("platform", "target", "edit", "rung"),
    [
        ("android", "litert", (f"{CODE}/Check.kt", "fun check(", "fun check(("), "parse"),
        ("android", "litert", ("app/src/main/res/layout/main.xml", "</ScrollView>", ""), "parse"),
        ("ios", "coreml", ("EdgepackApp/Check.swift", "func check()", "func check("), "parse"),
        (
            "android",
            "litert",
            ("app/src/main/AndroidManifest.xml", "@string/app_name", "@string/name"),
            "resources",
        ),
    ],
)
def test_what_a_lower_rung_finds_needs_no_higher_one(
    tmp_path: Path, platform: str, target: str, edit: Edit, rung: str
) -> None:
    project = edited(Bench(tmp_path).render(platform, target), edit)
    climb = ladder.climb(project, "resources")
    failed = {entry.level for entry in climb.rungs if entry.verdict == "fail"}
    # A copied file is no longer the template's, which the first rung says of any change.
    assert rung in failed
    assert rung == "parse" or "parse" not in failed
    assert climb.verdict == "fail"
    assert climb.reached in ("", "render", "parse")
