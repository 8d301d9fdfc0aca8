"""`edgepack verify-app` with its tools: apps of every task climb it, hostile names too, no typo gets past its rung.

`make app-tools` makes the tools. Compilations are batched, as starting a compiler takes longest.
"""

from __future__ import annotations

import os
import plistlib
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pbxproj
import pytest

import app_typos
from app_bench import HOSTILE, Bench
from app_typos import CODE, Edit, Typo
from edgepack.errors import EdgepackError
from edgepack.verifying import (
    android_resources,
    apple_resources,
    kotlin,
    kotlin_tests,
    ladder,
    packages,
    parsed,
    rendered,
    swift,
    tools,
)
from edgepack.verifying.kotlin import Site
from edgepack.verifying.project import Project, recognize
from task_bench import TASKS, render

PARTS = ("kotlin", "executorch", "bundletool", "android", "junit", "dex", "swift")
STRANGE = "größe 花 'x' $y"
IDS = {
    "android": ["com.example.flowers", "a.b", "com.class_.x", "COM.Example.A1_b", "x.fun.in.val.r"],
    "ios": ["com.example.flowers", "1.2", "com.my-app.x", "a.b.c.d.e.f", "com.Example.class"],
}
TARGETS = {"android": ("litert", "executorch"), "ios": ("coreml", "executorch")}
KINDS = ("generic", *TASKS)
PERMISSIONS = {
    "generic": set(), "translation": set(),
    "image-classification": {"android.permission.CAMERA"},
    "voice": {"android.permission.RECORD_AUDIO"},
}  # fmt: skip
USAGE = {
    "image-classification": "NSCameraUsageDescription",
    "voice": "NSMicrophoneUsageDescription",
}
Outcome = list[str] | EdgepackError


@pytest.fixture(scope="module", autouse=True)
def app_tools() -> Iterator[None]:
    """The tools. Where they are missing, tests fail in continuous integration and skip elsewhere."""
    missing = [p for p in PARTS if not (tools.folder() / p / tools.RECORD).is_file()]
    if missing:
        message = f"`make app-tools` was not run: no {', '.join(missing)} in {tools.folder()}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    with pytest.MonkeyPatch.context() as patch:
        # Tests that have a cache of their own use them too.
        patch.setenv(tools.VARIABLE, str(tools.folder()))
        yield


def edited(project: Path, *edits: Edit) -> Path:
    """The project, in which each text stood once and is replaced."""
    for name, old, new in edits:
        text = (project / name).read_text("utf-8")
        assert text.count(old) == 1, f"{name} holds {old!r} {text.count(old)} times"
        (project / name).write_text(text.replace(old, new), encoding="utf-8")
    return project


def hostile(bench: Bench, platform: str, target: str, task: str) -> Iterator[tuple[str, Path]]:
    """Apps whose names, models, tensors, labels, languages and folders are hostile, and odd ids."""
    for number, name in enumerate(HOSTILE):
        app_id = IDS[platform][number % len(IDS[platform])]
        yield name, render(bench, platform, target, task, name=name, word=name, id=app_id)


def contents(project: Path) -> dict[str, bytes]:
    return {str(p.relative_to(project)): p.read_bytes() for p in project.rglob("*") if p.is_file()}


# --- whole climbs, as a user has them ------------------------------------------------------------


@pytest.mark.parametrize(
    ("platform", "target", "task", "level", "proofs"),
    [
        (
            "android", "executorch", "voice", "assemble",
            ["ExecuTorch's own Java classes", "JUnit", "signed by v3", "pages of 16 KB", "validated"],
        ),
        ("ios", "coreml", "image-classification", "test",
         ["as Swift 5 and 6", "tests of EdgeCore pass", "NSCameraUsageDescription"]),
    ],
)  # fmt: skip
def test_an_app_climbs_the_ladder(
    tmp_path: Path, edgepack: Callable[..., Any], platform: str, target: str, task: str, level: str,
    proofs: list[str],
) -> None:  # fmt: skip
    (tmp_path / STRANGE).mkdir()
    project = render(Bench(tmp_path / STRANGE), platform, target, task, name=HOSTILE[11])
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

WRONG_CORE = (f"{CODE}/core/Metrics.kt", "10.0 * log10(", "20.0 * log10(")


@dataclass
class Batch:
    """Every Android app of these tests, compiled in one process."""

    bench: Bench
    sites: dict[str, Site] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
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
    for task in KINDS:
        for target in TARGETS["android"]:
            batch.add(f"{task} {target}", render(bench, "android", target, task))
            for name, project in hostile(bench, "android", target, task):
                batch.add(f"{task} {target} {name}", project)
    for label, typo in app_typos.ANDROID.items():
        batch.add(label, edited(render(bench, "android", typo.target, typo.task), typo.edit))
    batch.add("wrong core", edited(bench.render("android", "litert"), WRONG_CORE))
    outcomes = kotlin.check_all(list(batch.sites.values()))
    batch.outcomes = dict(zip(batch.sites, outcomes, strict=True))
    return batch


@pytest.mark.parametrize("target", TARGETS["android"])
@pytest.mark.parametrize("task", KINDS)
def test_no_name_breaks_an_android_app(android: Batch, task: str, target: str) -> None:
    plain = android.outcomes[f"{task} {target}"]
    assert isinstance(plain, list), plain.why
    for name in HOSTILE:
        label = f"{task} {target} {name}"
        project = android.sites[label].project
        assert rendered.check(project)
        assert parsed.check(project)
        asked = ", ".join(PERMISSIONS[task]) or "none"
        assert android.linked[label][1] == f"permissions are those that the code asks for: {asked}"
        assert android.outcomes[label] == plain


def test_an_app_is_named_on_a_phone_as_it_was_given(android: Batch) -> None:
    for name in HOSTILE:
        site = android.sites[f"generic litert {name}"]
        said = android_resources.badging(site.scratch / android_resources.LINKED)
        shown = re.search(r"^application-label:'(.*?)'$", said, re.MULTILINE | re.DOTALL)
        assert shown
        read = re.sub(r"\\(.)", lambda mark: {"n": "\n"}.get(mark[1], mark[1]), shown.group(1))
        assert read == name


@pytest.mark.parametrize("label", app_typos.ANDROID)
def test_a_typo_in_kotlin_is_found(android: Batch, label: str) -> None:
    outcome = android.outcomes[label]
    assert isinstance(outcome, EdgepackError)
    assert outcome.code == "E613"
    assert app_typos.ANDROID[label].words in outcome.why


def test_the_core_of_an_app_passes_its_tests(android: Batch) -> None:
    assert re.fullmatch(
        r"JUnit: \d\d+ tests .* pass", kotlin_tests.check(android.sites["generic litert"])[0]
    )


def test_a_wrong_core_fails_its_tests(android: Batch) -> None:
    assert isinstance(android.outcomes["wrong core"], list)
    with pytest.raises(EdgepackError, match="E614") as caught:
        kotlin_tests.check(android.sites["wrong core"])
    assert "MetricsTest" in caught.value.why


# The climb above assembles the third of ExecuTorch.
@pytest.mark.parametrize(
    ("task", "target"),
    [*((task, "litert") for task in TASKS), ("image-classification", "executorch"), ("translation", "executorch")],
)  # fmt: skip
def test_an_app_of_every_task_is_assembled(android: Batch, task: str, target: str) -> None:
    site = android.sites[f"{task} {target} {HOSTILE[0]}"]
    proved = "\n".join(packages.check(site))
    assert "signed by v" in proved
    assert "bundletool built and validated" in proved
    assert ("without the libraries of LiteRT" in proved) == (target == "litert")
    assert ("load at pages of 16 KB" in proved) == (target == "executorch")
    models = [m["artifact"]["file"] for m in site.project.manifest["models"]]
    with zipfile.ZipFile(site.scratch / packages.APK) as apk:
        assert apk.testzip() is None
        names = set(apk.namelist())
    assert {"AndroidManifest.xml", "classes.dex", "resources.arsc"} <= names
    assert {f"assets/edgepack/{name}" for name in models} <= names
    with zipfile.ZipFile(site.scratch / packages.BUNDLE) as bundle:
        assert "base/manifest/AndroidManifest.xml" in bundle.namelist()
    said = android_resources.badging(site.scratch / packages.APK)
    assert (
        set(re.findall("^uses-permission: name='(.*?)'", said, re.MULTILINE)) == PERMISSIONS[task]
    )
    # What a permission implies would keep the app from devices on which the rest of it works.
    needed = set(re.findall("^  uses-feature: name='(.*?)'", said, re.MULTILINE))
    assert needed == {"android.hardware.faketouch"}


def test_a_generic_app_asks_for_nothing(android: Batch) -> None:
    for target in TARGETS["android"]:
        site = android.sites[f"generic {target}"]
        said = android_resources.badging(site.scratch / android_resources.LINKED)
        assert "uses-permission" not in said
        assert set(re.findall("uses-feature: name='(.*?)'", said)) == {"android.hardware.faketouch"}


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
            [("app/src/main/AndroidManifest.xml", "app.CheckActivity", "app.Activity")],
            "what a launcher starts is 'dev.edgepack.app.Activity'",
        ),
    ],
)
def test_a_wrong_package_is_found(
    android: Batch, label: str, edits: list[Edit], words: str
) -> None:
    made = android.sites["generic litert"]
    project = edited(android.bench.render("android", "litert"), *edits)
    scratch = android.bench.folder / label
    scratch.mkdir()
    site = Site(project=recognize(project), scratch=scratch)
    android_resources.check(site.project, site.scratch)
    shutil.copytree(made.scratch / "classes", scratch / "classes")
    with pytest.raises(EdgepackError, match="E615") as caught:
        packages.check(site)
    assert words in caught.value.message


# --- resources -----------------------------------------------------------------------------------


@pytest.mark.parametrize("label", app_typos.RESOURCES)
def test_a_typo_in_resources_is_found(tmp_path: Path, label: str) -> None:
    typo = app_typos.RESOURCES[label]
    platform = "ios" if typo.edit[0].startswith("Config") else "android"
    project = recognize(
        edited(render(Bench(tmp_path), platform, typo.target, typo.task), typo.edit)
    )
    checks = {
        "ios": lambda: apple_resources.check(project),
        "android": lambda: android_resources.check(project, tmp_path),
    }
    with pytest.raises(EdgepackError, match="E612") as caught:
        checks[platform]()
    assert typo.words in caught.value.why


# --- iOS, in one batch ---------------------------------------------------------------------------


@dataclass
class Checked:
    """An iOS app of these tests and what came of it."""

    project: Project
    outcome: Outcome


@pytest.fixture(scope="module")
def ios(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Checked]:
    bench = Bench(tmp_path_factory.mktemp(STRANGE))
    projects: dict[str, Project] = {}
    for task in KINDS:
        for target in TARGETS["ios"]:
            projects[f"{task} {target}"] = recognize(render(bench, "ios", target, task))
            for name, project in hostile(bench, "ios", target, task):
                projects[f"{task} {target} {name}"] = recognize(project)
    for label, typo in app_typos.IOS.items():
        project = edited(render(bench, "ios", typo.target, typo.task), typo.edit)
        projects[label] = recognize(project)
    outcomes = swift.check_all(list(projects.values()), bench.folder)
    return {
        label: Checked(projects[label], outcome)
        for label, outcome in zip(projects, outcomes, strict=True)
    }


@pytest.mark.parametrize("target", TARGETS["ios"])
@pytest.mark.parametrize("task", KINDS)
def test_no_name_breaks_an_ios_app(ios: dict[str, Checked], task: str, target: str) -> None:
    plain = ios[f"{task} {target}"].outcome
    assert isinstance(plain, list), plain.why
    assert "as Swift 5 and 6" in plain[0]
    for name in HOSTILE:
        made = ios[f"{task} {target} {name}"]
        assert rendered.check(made.project)
        assert parsed.check(made.project)
        described = apple_resources.check(made.project)[-1]
        assert described.endswith(f": {USAGE.get(task, 'none')}")
        assert made.outcome == plain


def test_what_apps_do_with_pictures_and_sound_is_declared(ios: dict[str, Checked]) -> None:
    for task, names in (
        ("image-classification", ("AVFoundation", "ImageIO", "PhotosUI", "UIKit")),
        ("voice", ("AVFoundation", "SwiftUI")),
    ):
        outcome = ios[f"{task} coreml"].outcome
        assert isinstance(outcome, list)
        for name in names:
            assert name in outcome[-1]


@pytest.mark.parametrize("target", TARGETS["ios"])
@pytest.mark.parametrize("task", KINDS)
def test_a_second_parser_reads_every_project_file_and_finds_all_it_names(
    ios: dict[str, Checked], task: str, target: str
) -> None:
    for name in ("", *(f" {name}" for name in HOSTILE)):
        folder = ios[f"{task} {target}{name}"].project.folder
        read = pbxproj.XcodeProject.load(str(folder / "EdgepackApp.xcodeproj/project.pbxproj"))
        ids = set(read.objects.get_keys())
        named = set(re.findall(r"\b[0-9A-F]{24}\b", repr(read)))
        assert named == ids
        assert {t.name for t in read.objects.get_targets()} == {"EdgepackApp", "EdgepackAppTests"}
        privacy = plistlib.loads((folder / "EdgepackApp/PrivacyInfo.xcprivacy").read_bytes())
        assert privacy["NSPrivacyTracking"] is False


@pytest.mark.parametrize("label", app_typos.IOS)
def test_a_typo_in_swift_is_found(ios: dict[str, Checked], label: str) -> None:
    outcome, typo = ios[label].outcome, app_typos.IOS[label]
    assert isinstance(outcome, EdgepackError)
    assert outcome.code == "E613"
    assert typo.where in outcome.message
    assert typo.words in outcome.why


def test_a_files_name_is_no_part_of_a_command(tmp_path: Path) -> None:
    bench, projects = Bench(tmp_path), []
    for name, text in (
        ('It\'s "$x" `y`.swift', "let number = 1\n"),
        ("a'; exit; '.swift", 'let number: Int = "none"\n'),
    ):
        project = bench.render("ios", "coreml")
        (project / "EdgepackApp" / name).write_text(text)
        projects.append(recognize(project))
    proved, refused = swift.check_all(projects, tmp_path)
    assert isinstance(proved, list)
    assert isinstance(refused, EdgepackError)
    assert refused.code == "E613"


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
    ("platform", "typo", "rung"),
    [
        ("android", Typo("litert", "generic", (f"{CODE}/Check.kt", "fun check(context: Context)", "fun check((context: Context)"), ""), "parse"),
        ("android", Typo("litert", "generic", ("app/src/main/res/layout/check.xml", "</ScrollView>", ""), ""), "parse"),
        ("android", Typo("litert", "voice", (f"{CODE}/Recorder.kt", "fun stop() {", "fun stop( {"), ""), "parse"),
        ("android", Typo("litert", "translation", ("app/src/main/res/layout/translate.xml", "</LinearLayout>", ""), ""), "parse"),
        ("ios", Typo("coreml", "generic", ("EdgepackApp/Check.swift", "func check()", "func check("), ""), "parse"),
        ("ios", Typo("coreml", "image-classification", ("EdgepackApp/Camera.swift", "func stop() {", "func stop( {"), ""), "parse"),
        ("android", Typo("litert", "generic", ("app/src/main/AndroidManifest.xml", "@string/app_name", "@string/name"), ""), "resources"),
    ],
)  # fmt: skip
def test_what_a_lower_rung_finds_needs_no_higher_one(
    tmp_path: Path, platform: str, typo: Typo, rung: str
) -> None:
    project = edited(render(Bench(tmp_path), platform, typo.target, typo.task), typo.edit)
    climb = ladder.climb(project, "resources")
    failed = {entry.level for entry in climb.rungs if entry.verdict == "fail"}
    # A copied file is no longer the template's, which the first rung says of any change.
    assert rung in failed
    assert rung == "parse" or "parse" not in failed
    assert climb.verdict == "fail"
    assert climb.reached in ("", "render", "parse")
