"""`edgepack app` without its conversions: what it refuses, what it writes, what it says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest
from click.testing import CliRunner, Result

from app_bench import Bench
from edgepack import pipeline
from edgepack.cli import edgepack
from edgepack.config import ParityLimits
from edgepack.errors import EdgepackError
from edgepack.verdict import ParityReport, not_run

CONFIG = """\
schema = 1
[model]
name = "flowers"
source = "model.pt2"
[targets.litert]
[targets.coreml]
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an edgepack.toml, which the command starts in."""
    folder = tmp_path / "größe 花"
    folder.mkdir()
    (folder / "edgepack.toml").write_text(CONFIG)
    monkeypatch.chdir(folder)
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(
        edgepack, ["app", *map(str, arguments)], standalone_mode=False, catch_exceptions=True
    )


def refused(code: str, *arguments: object) -> EdgepackError:
    """The error that a run ends with, before anything is converted."""
    error = run(*arguments).exception
    assert isinstance(error, EdgepackError), error
    assert error.code == code
    assert error.help
    return error


@pytest.fixture(autouse=True)
def no_conversions(monkeypatch: pytest.MonkeyPatch) -> None:
    def converts(*_: Any) -> None:
        raise AssertionError("nothing may be converted")

    monkeypatch.setattr(pipeline, "apps", converts)


def report(verdict: str) -> ParityReport:
    """A report of that verdict."""
    made = not_run("litert-fp32", "Nothing here runs it.", ParityLimits(), "synthetic")
    return msgspec.structs.replace(made, verdict=verdict)


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """made(verdict, **settings): from now on the app that is made is one of the bench's."""
    bench = Bench(tmp_path)

    def make(verdict: str = "pass", platform: str = "android", **settings: Any) -> None:
        target = "litert" if platform == "android" else "coreml"
        fresh = bench.render(platform, target, **settings)

        def apps(
            plan: Any, _: Any, __: Any, put: Callable[[Any, Path], None]
        ) -> list[ParityReport]:
            (wanted,) = plan.apps
            assert wanted.platform == platform
            if verdict != "fail":
                put(wanted, fresh)
            return [report(verdict)]

        monkeypatch.setattr(pipeline, "apps", apps)

    return make


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "--platform"),
        (("--platform", "windows", "--out", "x"), "windows"),
        (("--platform", "ios"), "--out"),
        (("--platform", "ios", "--out", "x", "--task", "vioce"), "vioce"),
        (("--platform", "ios", "--out", "x", "--allow", "fail"), "fail"),
    ],
)
def test_a_mistyped_command_line_is_refused(
    here: Path, arguments: tuple[str, ...], words: str
) -> None:
    error = run(*arguments).exception
    assert isinstance(error, click.ClickException)
    assert error.exit_code == 2
    assert words in error.format_message()
    assert not (here / "x").exists()


@pytest.mark.parametrize(
    ("flags", "code"),
    [
        (("--task", "voice"), "E104"),
        (("--variant", "litert-int8"), "E110"),
        (("--variant", "coreml-fp16"), "E110"),
        (("--id", "flowers"), "E601"),
        (("--id", "com.größe.x"), "E601"),
        (("--name", ""), None),
        (("--name", "\a"), "E602"),
        (("--input", "x"), "E103"),
        (("missing.toml",), "E107"),
        (("model.onnx",), "E204"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_made(
    here: Path, made: Callable[..., None], flags: tuple[str, ...], code: str | None
) -> None:
    if code is None:
        made()
        assert run(*flags, "--platform", "android", "--out", "x").return_value == 0
        return
    refused(code, *flags, "--platform", "android", "--out", "x")
    assert not (here / "x").exists()


def test_without_a_model_and_a_file_the_command_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    refused("E107", "--platform", "ios", "--out", "x")


@pytest.mark.parametrize("update", [(), ("--update",)])
def test_a_folder_of_someone_elses_is_left_alone(here: Path, update: tuple[str, ...]) -> None:
    (here / "mine").mkdir()
    (here / "mine" / "notes.txt").write_text("mine")
    for place in ("mine", ".", "edgepack.toml"):
        refused("E611" if update else "E608", "--platform", "ios", "--out", place, *update)
    assert (here / "mine" / "notes.txt").read_text() == "mine"
    assert (here / "edgepack.toml").read_text() == CONFIG


def test_an_app_of_another_platform_is_left_alone(here: Path, made: Callable[..., None]) -> None:
    made()
    assert run("--platform", "android", "--out", "mine").return_value == 0
    before = {p: p.read_bytes() for p in (here / "mine").rglob("*") if p.is_file()}
    refused("E611", "--platform", "ios", "--out", "mine", "--update")
    refused("E608", "--platform", "android", "--out", "mine")
    assert {p: p.read_bytes() for p in (here / "mine").rglob("*") if p.is_file()} == before


@pytest.mark.parametrize("update", [(), ("--update",)])
@pytest.mark.parametrize("out", ["edgepack.toml/x", "/proc/x", "x" * 300])
def test_where_nothing_can_be_written_nothing_is_converted(
    here: Path, out: str, update: tuple[str, ...]
) -> None:
    refused("E611" if update else "E304", "--platform", "ios", "--out", out, *update)


def test_what_stands_where_a_file_must_be_is_named(here: Path, made: Callable[..., None]) -> None:
    made()
    assert run("--platform", "android", "--out", "x").return_value == 0
    (here / "x" / "gradlew").unlink()
    (here / "x" / "gradlew").mkdir()
    refused("E608", "--platform", "android", "--out", "x", "--update")


@pytest.mark.parametrize("name", ["a\0b", "\u2028"])
def test_an_error_about_a_flag_points_at_no_line_of_the_file(here: Path, name: str) -> None:
    (here / "edgepack.toml").write_text(CONFIG + '[apps.ios]\nname = "Good"\nid = "com.ok.x"\n')
    for flags, code in (
        (("--name", name), "E602"),
        (("--id", "x"), "E601"),
        (("--variant", "x"), "E110"),
    ):
        error = refused(code, *flags, "--platform", "ios", "--out", "x")
        assert "edgepack.toml" not in error.why
    (here / "edgepack.toml").write_text(CONFIG + '[apps.ios]\nid = "x"\n')
    assert "edgepack.toml:8" in refused("E601", "--platform", "ios", "--out", "x").why


# --- what is written -----------------------------------------------------------------------------


@pytest.mark.parametrize("platform", ["android", "ios"])
def test_an_app_is_made_and_brought_up_to_date(
    here: Path, made: Callable[..., None], platform: str
) -> None:
    made(platform=platform)
    done = run("--platform", platform, "--out", "mein Projekt")
    assert done.return_value == 0, done.output
    project = here / "mein Projekt"
    count = sum(1 for p in project.rglob("*") if p.is_file())
    assert f"written  {count - 1} files, removed 0" in done.stdout
    assert "app      mein Projekt" in done.stdout
    (project / "README.md").write_text("mine")
    (project / "notes.txt").write_text("mine")
    made(platform=platform, name="Neu")
    done = run("--platform", platform, "--out", "mein Projekt", "--update")
    assert done.return_value == 0
    assert "kept     README.md, which you changed" in done.stdout
    assert (project / "README.md").read_text() == (project / "notes.txt").read_text() == "mine"
    shown = next(project.rglob("strings.xml" if platform == "android" else "InfoPlist.strings"))
    assert "Neu" in shown.read_text("utf-8")


def test_the_answer_in_json_names_every_file(here: Path, made: Callable[..., None]) -> None:
    made()
    done = run("--platform", "android", "--out", "x", "--json")
    answer = json.loads(done.stdout)
    files = {p.relative_to(here / "x").as_posix() for p in (here / "x").rglob("*") if p.is_file()}
    assert set(answer["change"]["written"]) == files - {"edgepack-generated.json"}
    assert answer["change"]["removed"] == answer["change"]["kept"] == []
    assert answer["folder"] == "x"
    assert [one["verdict"] for one in answer["parity"]] == ["pass"]


def test_what_nothing_here_could_run_is_no_success_unless_allowed(
    here: Path, made: Callable[..., None]
) -> None:
    made("not-run")
    done = run("--platform", "android", "--out", "x")
    assert done.return_value == 1
    assert "not-run  litert-fp32: Nothing here runs it." in done.stdout
    assert (here / "x" / "gradlew").exists()
    assert run("--platform", "android", "--out", "y", "--allow", "not-run").return_value == 0


@pytest.mark.parametrize("json_flag", [(), ("--json",)])
def test_a_model_that_fails_its_limits_goes_into_no_app(
    here: Path, made: Callable[..., None], json_flag: tuple[str, ...]
) -> None:
    made("fail")
    done = run("--platform", "android", "--out", "x", "--allow", "not-run", *json_flag)
    assert done.return_value == 1
    assert not (here / "x").exists()
    if json_flag:
        assert json.loads(done.stdout)["change"] is None
    else:
        assert "No app was written" in done.stdout


def test_the_only_model_on_the_command_line_takes_its_inputs_there(
    here: Path, made: Callable[..., None]
) -> None:
    made()
    typed = ("net.py:make", "--input", "x:float32[1,3]", "--platform", "android", "--out", "x")
    assert run(*typed).return_value == 0
