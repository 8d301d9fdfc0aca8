"""The ladder of `edgepack verify-app` without its tools: verdicts, missing tools, files that fit together."""

from __future__ import annotations

import json
import plistlib
import re
import struct
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

import edgepack_templates as templates
from app_bench import PAIRS, Bench
from edgepack.cli import edgepack
from edgepack.errors import EdgepackError
from edgepack.verifying import (
    android_resources,
    apple_resources,
    binaries,
    gradle,
    kotlin,
    kotlinc,
    ladder,
    packages,
    swift,
    tools,
)
from edgepack.verifying.binaries import Entry
from edgepack.verifying.project import recognize


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def no_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without any tool for apps."""
    empty = tmp_path / "nothing"
    empty.mkdir()
    monkeypatch.setenv(tools.VARIABLE, str(empty))
    monkeypatch.setenv("PATH", str(empty))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    return empty


# --- the ladder ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("platform", "target"), PAIRS)
@pytest.mark.parametrize("level", ladder.LEVELS)
def test_without_tools_no_rung_that_needs_them_passes(
    bench: Bench, no_tools: Path, platform: str, target: str, level: str
) -> None:
    project = bench.render(platform, target)
    done = CliRunner().invoke(
        edgepack, ["verify-app", str(project), "--level", level, "--json"], standalone_mode=False
    )
    answer = json.loads(done.stdout)
    free = ("render", "parse") if platform == "android" else ("render", "parse", "resources")
    expected = [
        "pass" if name in free else "not-run"
        for name in ladder.LEVELS[: ladder.LEVELS.index(level) + 1]
    ]
    assert [rung["verdict"] for rung in answer["rungs"]] == expected
    assert answer["verdict"] == expected[-1]
    assert done.return_value == (0 if expected[-1] == "pass" else 1)
    assert answer["reached"] == (level if level in free else free[-1])
    assert answer["tools"] == {}
    for rung in answer["rungs"]:
        assert bool(rung["proved"]) == (rung["verdict"] == "pass")
        assert rung["verdict"] == "pass" or rung["message"]
    missing = [rung for rung in answer["rungs"] if rung["code"] == "E616"]
    assert all("make app-tools" in rung["help"] for rung in missing)
    assert bool(missing) == (level not in free)


def test_a_person_reads_what_was_proved_and_what_was_not(bench: Bench, no_tools: Path) -> None:
    project = bench.render("android", "litert")
    done = CliRunner().invoke(edgepack, ["verify-app", str(project), "--level", "typecheck"])
    lines = done.stdout.splitlines()
    assert lines[0].startswith("render      pass")
    assert "typecheck   not-run      0.0 s" in lines
    assert "  the rung resources did not pass" in lines
    assert lines[-1] == "level typecheck: not reached, parse was"
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("codes", "verdict", "reached"),
    [
        ([None, None, None], "pass", "resources"),
        ([None, "E610", None], "fail", "render"),
        (["E616", None, None], "not-run", ""),
        ([None, "E610", "E616"], "fail", "render"),
        ([None, None, "E617"], "not-run", "parse"),
    ],
)
def test_one_rung_that_does_not_pass_is_enough(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, codes: list[str | None], verdict: str,
    reached: str,
) -> None:  # fmt: skip
    def step(code: str | None) -> Callable[[kotlin.Site], list[str]]:
        def check(_: kotlin.Site) -> list[str]:
            if code:
                raise EdgepackError(code, "no")
            return ["yes"]

        return check

    steps = {
        name: ladder._Step(check=step(code))
        for name, code in zip(ladder.LEVELS, codes, strict=False)
    }
    monkeypatch.setattr(ladder, "_STEPS", {"android": steps})
    told: list[str] = []
    climb = ladder.climb(
        bench.render("android", "litert"), "resources", begun=told.append,
        ended=lambda rung: told.append(rung.verdict),
    )  # fmt: skip
    assert (climb.verdict, climb.reached) == (verdict, reached)
    assert told[::2] == ["render", "parse", "resources"]


def test_a_rung_stands_on_those_it_needs(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> list[str]:
        raise EdgepackError("E612", "no")

    steps = {
        "render": ladder._Step(check=lambda _: ["yes"]),
        "parse": ladder._Step(check=lambda _: ["yes"]),
        "resources": ladder._Step(check=refuse),
        "typecheck": ladder._Step(check=lambda _: ["yes"], needs=("resources",)),
    }
    monkeypatch.setattr(ladder, "_STEPS", {"android": steps})
    climb = ladder.climb(bench.render("android", "litert"), "typecheck")
    assert [rung.verdict for rung in climb.rungs] == ["pass", "pass", "fail", "not-run"]


def test_what_cannot_be_made_off_a_mac_is_not_a_pass(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("check_types", "check_core"):
        monkeypatch.setattr(swift, name, lambda *_: ["yes"])
    climb = ladder.climb(bench.render("ios", "coreml"), "assemble")
    assert [rung.verdict for rung in climb.rungs] == ["pass"] * 5 + ["not-run"]
    assert (climb.verdict, climb.reached, climb.rungs[-1].code) == ("not-run", "test", "E617")
    assert msgspec.to_builtins(climb)["rungs"][-1]["help"]


def test_a_folder_without_an_app_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(EdgepackError, match="E611"):
            ladder.climb(folder, "render")


# --- tools ---------------------------------------------------------------------------------------


def test_a_tool_that_is_not_there_is_named(no_tools: Path) -> None:
    for name, ask in (
        ("kotlin", lambda: tools.part("kotlin")),
        ("java", lambda: tools.program("java")),
        ("swift", lambda: tools.swift("swiftc", cwd=no_tools)),
        ("aapt2", lambda: tools.run(no_tools / "aapt2", cwd=no_tools)),
    ):
        with pytest.raises(EdgepackError, match="E616") as caught:
            ask()
        assert caught.value.message == f"{name} is missing"
        assert caught.value.why


def test_a_part_without_its_record_was_not_finished(no_tools: Path) -> None:
    (no_tools / "kotlin").mkdir()
    with pytest.raises(EdgepackError, match="E616"):
        tools.part("kotlin")
    (no_tools / "kotlin" / tools.RECORD).write_text('{"key": "0", "versions": {"a": "1"}}')
    assert tools.part("kotlin") == no_tools / "kotlin"
    assert tools.versions() == {"a": "1"}


@pytest.mark.parametrize("said", ["unshare: unshare failed: no", "mount: /x: permission denied."])
def test_a_root_that_cannot_be_entered_is_a_missing_tool(
    no_tools: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    (no_tools / "swift").mkdir()
    (no_tools / "swift" / tools.RECORD).write_text("{}")
    monkeypatch.setattr(tools.shutil, "which", lambda name: name if name == "unshare" else None)
    monkeypatch.setattr(tools, "run", lambda *_, **__: tools.Output(code=126, out="", err=said))
    with pytest.raises(EdgepackError, match="E616") as caught:
        tools.swift("swiftc", cwd=no_tools)
    assert said in caught.value.why


def test_what_java_itself_says_is_taken_for_no_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It tells of a full code cache on standard output, after some ten seconds of compiling."""

    def java(*_: object, **__: object) -> tools.Output:
        (tmp_path / "calls.codes").write_text("0\n1\n")
        (tmp_path / "calls.1.log").write_text("a.kt:1:1: error")
        said = "[10.058s][warning][codecache] CodeCache is full. Compiler has been disabled."
        return tools.Output(code=0, out=said, err="")

    monkeypatch.setattr(tools, "java", java)
    monkeypatch.setattr(tools, "part", lambda name: tmp_path / name)
    calls = [kotlinc.Call(output=name, sources=("a.kt",), classpath=()) for name in ("x", "y")]
    assert kotlinc.run(calls, tmp_path) == {"y": "a.kt:1:1: error"}


def test_a_tool_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "MINUTES", 0.01)
    with pytest.raises(EdgepackError, match="E616") as caught:
        tools.run(sys.executable, "-c", "import time; time.sleep(60)", cwd=tmp_path)
    assert "did not end" in caught.value.why


def test_a_tool_sees_few_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Dx=y")
    script = "import os; print(sorted(os.environ))"
    done = tools.run(sys.executable, "-c", script, cwd=tmp_path)
    assert "JAVA_TOOL_OPTIONS" not in done.out
    assert "LC_ALL" in done.out


# --- what fits together --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        (
            "AndroidManifest.xml",
            "    <application\n",
            '    <uses-permission android:name="android.permission.CAMERA" />\n    <application\n',
            "declares android.permission.CAMERA, which the code never asks for",
        ),
        (
            "kotlin/dev/edgepack/app/Check.kt",
            "    val start",
            "    val asked = android.Manifest.permission.RECORD_AUDIO\n    val start",
            "asks for android.permission.RECORD_AUDIO, which the manifest does not declare",
        ),
        (
            "AndroidManifest.xml",
            "<manifest ",
            '<manifest package="a.b" ',
            "the manifest names a package",
        ),
    ],
)
def test_permissions_are_those_that_the_code_asks_for(
    bench: Bench, tmp_path: Path, name: str, old: str, new: str, words: str
) -> None:
    folder = bench.render("android", "litert")
    path = folder / "app/src/main" / name
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(EdgepackError, match="E612") as caught:
        android_resources.check(recognize(folder), tmp_path)
    assert words in caught.value.why


def test_what_libraries_bring_and_the_app_drops_is_no_permission(bench: Bench) -> None:
    project = recognize(bench.render("android", "litert"))
    assert "tools:node" in (project.folder / "app/src/main/AndroidManifest.xml").read_text()
    assert android_resources.permissions(project) == set()


def test_settings_are_read_from_the_build_script(bench: Bench) -> None:
    folder = bench.render("android", "litert", id="com.example.x1")
    settings = gradle.settings(folder)
    assert settings.application_id == "com.example.x1"
    assert (settings.namespace, settings.minimum_sdk, settings.target_sdk) == (
        "dev.edgepack.app", 28, 36,
    )  # fmt: skip
    script = folder / "app/build.gradle.kts"
    script.write_text(script.read_text().replace("minSdk", "minSdkk"))
    with pytest.raises(EdgepackError, match="E610"):
        gradle.settings(folder)


def test_a_camera_needs_a_sentence_on_ios(bench: Bench) -> None:
    folder = bench.render("ios", "coreml")
    assert "usage descriptions" in apple_resources.check(recognize(folder))[-1]
    code = folder / "EdgepackApp/Check.swift"
    code.write_text(code.read_text() + "let camera = AVCaptureDevice.self\n")
    with pytest.raises(EdgepackError, match="E612") as caught:
        apple_resources.check(recognize(folder))
    assert "NSCameraUsageDescription" in caught.value.why
    settings = folder / "Config/App.xcconfig"
    said = 'INFOPLIST_KEY_NSCameraUsageDescription = "To see"\n'
    settings.write_text(settings.read_text() + said)
    assert "NSCameraUsageDescription" in apple_resources.check(recognize(folder))[-1]
    code.write_text("")
    with pytest.raises(EdgepackError, match="E612") as caught:
        apple_resources.check(recognize(folder))
    assert "does not need it" in caught.value.why


def test_an_asset_catalog_names_its_files(bench: Bench) -> None:
    folder = bench.render("ios", "coreml")
    icons = folder / "EdgepackApp/Assets.xcassets/AppIcon.appiconset"
    (icons / "extra.png").write_bytes(b"")
    with pytest.raises(EdgepackError, match="E612") as caught:
        apple_resources.check(recognize(folder))
    assert "nothing names extra.png" in caught.value.why


def test_a_privacy_manifest_that_tracks_is_found(bench: Bench) -> None:
    folder = bench.render("ios", "coreml")
    path = folder / "EdgepackApp/PrivacyInfo.xcprivacy"
    declared = plistlib.loads(path.read_bytes())
    for change, words in (({"NSPrivacyTracking": True}, "tracks"), ({"NSx": 1}, "unknown: NSx")):
        path.write_bytes(plistlib.dumps({**declared, **change}))
        with pytest.raises(EdgepackError, match="E612") as caught:
            apple_resources.check(recognize(folder))
        assert words in caught.value.why


# --- our declarations ----------------------------------------------------------------------------


def test_frameworks_come_after_what_they_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in (
        ("A", "import B\nimport Foundation\n"),
        ("B", "@_exported import C\n"),
        ("C", "import struct Foundation.Data\n"),
        ("D", ""),
    ):
        (tmp_path / f"{name}.swift").write_text(text)
    monkeypatch.setattr(swift, "STUBS", tmp_path)
    assert swift._in_order({"A"}) == ["C", "B", "A"]
    assert swift._in_order({"D", "B"}) == ["C", "B", "D"]


def test_nothing_is_declared_that_the_oldest_ios_lacks() -> None:
    oldest = float(templates.read("ios").versions["minimum_ios"])
    for path in swift.STUBS.glob("*.swift"):
        found = re.findall(r"@available\(iOS (\d+\.\d+), \*\)", path.read_text("utf-8"))
        assert path.read_text("utf-8").count("@available(iOS") == len(found)
        assert all(float(since) <= oldest for since in found), path.name


def test_apps_with_the_same_sources_are_compiled_once(bench: Bench, tmp_path: Path) -> None:
    def sources(target: str, **changes: str) -> kotlin._Sources:
        project = recognize(bench.render("android", target, **changes))
        return kotlin._Sources.of(kotlin.Site(project=project, scratch=tmp_path / "none"))

    one, other = sources("litert"), sources("litert", name="$x", id="a.b")
    assert (one.core_key, one.app_key) == (other.core_key, other.app_key)
    third = sources("executorch")
    assert one.core_key == third.core_key
    assert one.app_key != third.app_key
    assert not set(one.core) & set(one.main)


# --- binaries ------------------------------------------------------------------------------------


def test_stored_files_start_where_a_phone_can_map_them(tmp_path: Path) -> None:
    entries = {
        "assets/a": Entry(stored=True, data=b"x"),
        "lib/arm64-v8a/libé.so": Entry(stored=True, data=b"y" * 3),
        "assets/model.pte": Entry(stored=True, data=bytes(7)),
        "classes.dex": Entry(stored=False, data=b"z" * 1000),
        "lib/x86_64/lib1.so": Entry(stored=True, data=b"w"),
    }
    path = tmp_path / "a.apk"
    binaries.write_zip(path, entries)
    assert binaries.read_zip(path) == entries
    raw = path.read_bytes()
    for name, offset in binaries.stored_offsets(path).items():
        data = entries[name].data
        assert raw[offset : offset + len(data)] == data
        assert offset % (16384 if name.startswith("lib/") else 4) == 0
    with zipfile.ZipFile(path) as package:
        assert package.testzip() is None


@pytest.mark.parametrize("size", range(40))
def test_padding_is_a_field_that_readers_can_skip(size: int) -> None:
    field = binaries._padding(size, 4)
    assert len(field) % 4 == size % 4
    if field:
        assert struct.unpack_from("<H", field, 2)[0] == len(field) - 4


def elf(*alignments: int) -> bytes:
    """An ELF file of nothing but a table of segments, the last of which is not loaded."""
    kinds = [(1, alignment) for alignment in alignments] + [(6, 8)]
    head = b"\x7fELF\x02\x01".ljust(32, b"\0") + struct.pack("<Q", 64)
    head = head.ljust(54, b"\0") + struct.pack("<HH", 56, len(kinds))
    rows = (struct.pack("<I", kind).ljust(48, b"\0") + struct.pack("<Q", a) for kind, a in kinds)
    return head.ljust(64, b"\0") + b"".join(rows)


def test_segments_of_an_elf_file_are_read() -> None:
    assert binaries.elf_alignments(elf(16384, 4096)) == [16384, 4096]
    with pytest.raises(ValueError, match="ELF"):
        binaries.elf_alignments(b"\x7fELF\x01\x01" + bytes(64))


def test_libraries_for_small_pages_are_found(tmp_path: Path) -> None:
    name = "lib/arm64-v8a/libx.so"
    for alignments, words in (((16384, 65536), ""), ((16384, 4096), "pages of 4096 bytes")):
        library = elf(*alignments)
        binaries.write_zip(tmp_path / "a.apk", {name: Entry(stored=True, data=library)})
        if not words:
            assert "16 KB" in packages._check_pages(tmp_path / "a.apk", {name: library})
            continue
        with pytest.raises(EdgepackError, match=words):
            packages._check_pages(tmp_path / "a.apk", {name: library})
    with zipfile.ZipFile(tmp_path / "b.apk", "w") as package:
        package.writestr(name, elf(16384))
    with pytest.raises(EdgepackError, match="no multiple of 16384"):
        packages._check_pages(tmp_path / "b.apk", {name: elf(16384)})


def test_classes_of_a_dex_file_are_read() -> None:
    text = b"\x0aLa/B$Cees;\0"
    strings, types, classes, data = 112, 116, 120, 152
    head = bytearray(112)
    head[:4] = b"dex\n"
    struct.pack_into("<I", head, 60, strings)
    struct.pack_into("<I", head, 68, types)
    struct.pack_into("<II", head, 96, 1, classes)
    table = struct.pack("<II", data, 0) + struct.pack("<I", 0).ljust(32, b"\0")
    assert binaries.dex_classes(bytes(head) + table + text) == {"a.B$Cees"}
    with pytest.raises(ValueError, match="DEX"):
        binaries.dex_classes(b"PK")
