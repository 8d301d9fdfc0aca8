"""Kotlin's compiler: many compilations in one process, warnings as errors, a phone's classes in sight."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgepack.verifying import tools

# Kotlin 2.2 is what AGP 9.2 brings; Android 8 has the java.* of Java 8, as far as signatures go.
_OPTIONS = (
    "-no-stdlib", "-no-reflect", "-Xjdk-release=8", "-jvm-target", "1.8", "-Werror", "-Wextra",
    "-language-version", "2.2", "-api-version", "2.2",
)  # fmt: skip
_COMPILER = (
    "kotlin-compiler", "kotlin-stdlib", "kotlin-script-runtime", "kotlin-reflect",
    "kotlinx-coroutines-core-jvm", "annotations-13.0",
)  # fmt: skip
_BATCH = Path(__file__).with_name("KotlinBatch.java")
_OF_JSON = ("org/json/", "android/annotation/N")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One compilation; paths are relative to the batch's folder unless absolute.

    output: its classes are below out/. friend: output of another whose internal names it sees.
    """

    output: str
    sources: tuple[str, ...]
    classpath: tuple[Path | str, ...]
    friend: str = ""


def run(calls: Sequence[Call], batch: Path) -> dict[str, str]:
    """Run the compilations in their order; output to message of those that failed. Raises E616."""
    lines: list[str] = []
    for call in calls:
        seen = os.pathsep.join(str(p) for p in [*call.classpath, library()])
        friend = [f"-Xfriend-paths=out/{call.friend}"] if call.friend else []
        lines += [*_OPTIONS, *friend, "-cp", seen, "-d", f"out/{call.output}", *call.sources, ""]
    (batch / "calls").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    jars = [tools.part("kotlin") / f"lib/{name}.jar" for name in _COMPILER]
    alive = "-Dkotlin.environment.keepalive=true"
    done = tools.java(alive, _BATCH, "calls", classpath=jars, cwd=batch)
    answers = batch / "calls.codes"
    codes = [int(line) for line in answers.read_text("utf-8").split()] if answers.exists() else []
    if done.code or len(codes) != len(calls):
        raise tools.missing("kotlinc", f"it ended with code {done.code}: {done.text[-2000:]}")
    return {
        call.output: (batch / f"calls.{number}.log").read_text("utf-8")
        for number, (call, code) in enumerate(zip(calls, codes, strict=True))
        if code
    }


def library() -> Path:
    """Kotlin's standard library. Raises E616."""
    return tools.part("kotlin") / "lib/kotlin-stdlib.jar"


def android() -> tuple[Path, ...]:
    """The classes of Android 14; those that its core lacks are of Android 6. Raises E616."""
    place = tools.part("android")
    return place / "android-34.jar", place / "android-23.jar"


def json_of_android(batch: Path) -> Path:
    """A jar of Android's org.json and of nothing else. Raises E616."""
    path = batch / "json.jar"
    with zipfile.ZipFile(path, "w") as own:
        for source in android():
            with zipfile.ZipFile(source) as jar:
                for name in jar.namelist():
                    if name.startswith(_OF_JSON):
                        own.writestr(name, jar.read(name))
    return path
