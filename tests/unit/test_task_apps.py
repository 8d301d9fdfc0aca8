"""App projects of every task: several models beside one another, the files and permissions of the task alone."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

import edgepack_templates as templates
import task_bench
from app_bench import CASE, HOSTILE, PAIRS, Bench, payload
from edgepack import appcheck, apps, tasks
from edgepack.errors import EdgepackError
from edgepack.wire.types import Recipe
from task_bench import MODELS, SETTINGS, TASKS, render

SCREENS = {
    "generic": ("CheckActivity", "CheckView"),
    "image-classification": ("ClassifyActivity", "ClassifyView"),
    "voice": ("VoiceActivity", "VoiceView"),
    "translation": ("TranslateActivity", "TranslateView"),
}
PERMISSIONS = {
    "generic": set(), "translation": set(), "image-classification": {"CAMERA"},
    "voice": {"RECORD_AUDIO"},
}  # fmt: skip


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    (tmp_path / "größe 花").mkdir()
    return Bench(tmp_path / "größe 花")


def manifest(project: Path) -> Any:
    return json.loads((payload(project) / "edgepack.json").read_text("utf-8"))


@pytest.mark.parametrize(("platform", "target"), PAIRS)
@pytest.mark.parametrize("task", TASKS)
def test_every_file_of_an_app_is_checked(
    bench: Bench, platform: str, target: str, task: str
) -> None:
    project = render(bench, platform, target, task, name=HOSTILE[11])
    files = sorted(p.relative_to(project).as_posix() for p in project.rglob("*") if p.is_file())
    assert [entry.path for entry in appcheck.check(project)] == files


@pytest.mark.parametrize(("platform", "target"), PAIRS)
@pytest.mark.parametrize("task", TASKS)
def test_every_file_that_a_task_names_is_in_the_app_with_its_digest(
    bench: Bench, platform: str, target: str, task: str
) -> None:
    project = render(bench, platform, target, task)
    found = manifest(project)
    folder = payload(project)
    assert [m["name"] for m in found["models"]] == list(MODELS[task])
    described = [f for m in found["models"] for f in m["artifact"]["files"]]
    for entry in (*found["task"]["files"], *described):
        data = (folder / entry["path"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == entry["sha256"]
        assert len(data) == entry["bytes"]
    names = [f["path"] for f in found["task"]["files"]]
    written = {
        p.name
        for p in folder.iterdir()
        if p.is_file() and p.suffix in (".txt", ".pieces", ".rules")
    }
    assert set(names) == written
    for value in _strings(found["task"]):
        if value.endswith((".txt", ".pieces", ".rules")):
            assert value in names


def _strings(value: Any) -> list[str]:
    """Every text within a value of JSON."""
    if isinstance(value, dict):
        return [text for part in value.values() for text in _strings(part)]
    if isinstance(value, list):
        return [text for part in value for text in _strings(part)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize("task", SCREENS)
def test_an_app_has_the_screens_and_permissions_of_its_task_alone(bench: Bench, task: str) -> None:
    android = render(bench, "android", "litert", task)
    ios = render(bench, "ios", "coreml", task)
    sources = {p.stem for project in (android, ios) for p in project.rglob("*.*")}
    others = {name for other in SCREENS.values() for name in other} - {"CheckActivity", "CheckView"}
    assert sources & others == set(SCREENS[task]) - {"CheckActivity", "CheckView"}
    text = (android / "app/src/main/AndroidManifest.xml").read_text("utf-8")
    asked = set(re.findall(r'<uses-permission android:name="android.permission.(\w+)" />', text))
    assert asked == PERMISSIONS[task]
    assert f'android:name="dev.edgepack.app.{SCREENS[task][0]}"' in text
    assert f"{SCREENS[task][1]}()" in (ios / "EdgepackApp/EntryPoint.swift").read_text("utf-8")
    usage = re.findall(
        r"INFOPLIST_KEY_(NS\w+UsageDescription)", (ios / "Config/App.xcconfig").read_text()
    )
    assert len(usage) == len(PERMISSIONS[task])


def test_every_task_of_the_config_has_an_app_on_both_platforms() -> None:
    for platform in ("android", "ios"):
        assert set(templates.read(platform).tasks) == {"generic", *TASKS}


@pytest.mark.parametrize(("platform", "target"), [("android", "litert"), ("ios", "coreml")])
def test_a_task_that_no_template_has_is_refused(bench: Bench, platform: str, target: str) -> None:
    with pytest.raises(EdgepackError) as caught:
        bench.render(platform, target, task=tasks.Task({"kind": "dance"}, {}))
    assert caught.value.code == "E603"
    assert f"there is no {platform} app for the task dance" in caught.value.message


@pytest.mark.parametrize(
    ("names", "stems"),
    [
        (["only one"], ["model"]),
        (["Encoder", "decoder"], ["encoder", "decoder"]),
        (["a b", "a/b", "a-b"], ["a-b", "a-b-2", "a-b-3"]),
        (["x", "x-3", "X"], ["x", "x-3", "x-3-3"]),
        (["花", "🌸"], ["model", "model-2"]),
        (["../../etc", "C:\\x"], ["etc", "c-x"]),
    ],
)
def test_models_lie_beside_one_another_under_plain_names(
    names: list[str], stems: list[str]
) -> None:
    assert apps._stems(names) == stems


def test_models_whose_names_are_alike_are_all_there(bench: Bench) -> None:
    project = bench.render(
        "android",
        "litert",
        model_name="x",
        others=[{"name": "x-3"}, {"name": "X", "golden": [CASE]}],
    )
    found = manifest(project)["models"]
    assert len({m["artifact"]["file"] for m in found}) == len({m["golden"] for m in found}) == 3
    appcheck.check(project)


def test_models_of_two_targets_are_refused(bench: Bench) -> None:
    with pytest.raises(EdgepackError, match="E603"):
        bench.render(
            "android", "litert",
            others=[{"name": "other", "recipe": Recipe(target="executorch", precision="fp32")}],
        )  # fmt: skip


@pytest.mark.parametrize("task", SCREENS)
def test_the_readme_says_what_people_do_and_what_is_theirs(bench: Bench, task: str) -> None:
    for platform, target in (("android", "litert"), ("ios", "coreml")):
        text = (render(bench, platform, target, task) / "README.md").read_text("utf-8")
        assert ("Press Record" in text) == (task == "voice")
        assert "edgepack-generated.json" in text
        assert f"edgepack app --platform {platform} --out DIR --update" in text
        assert "golden case" in text


@pytest.mark.parametrize("languages", [{}, {"Deutsch": 4}, {"Deutsch": 4, "Español": 5}])
def test_the_readme_of_a_translator_speaks_of_a_choice_only_where_there_is_one(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, languages: dict[str, int]
) -> None:
    wanted = msgspec.structs.replace(SETTINGS["translation"], languages=languages)
    monkeypatch.setattr(task_bench, "settings_of", lambda task, word: wanted)
    choice = ", choose a language" if len(languages) > 1 else ""
    for platform, target in (("android", "litert"), ("ios", "coreml")):
        text = (render(bench, platform, target, "translation") / "README.md").read_text("utf-8")
        assert f"Type a text{choice}: the app translates it line by line." in text
