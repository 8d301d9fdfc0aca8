"""Generated files beside people's own: what is written, brought up to date, kept, and left by a kill."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from app_bench import Bench
from edgepack import generated
from edgepack.errors import EdgepackError
from edgepack.verifying import rendered
from edgepack.verifying.project import recognize

PAYLOAD = "Model"
FIRST = {
    "README.md": "one", "src/a.swift": "a", "src/gone.swift": "gone", "run": "#!/bin/sh",
    "Model/edgepack.json": "1", "Model/model.pte": "weights", "Model/old/x.bin": "x",
}  # fmt: skip
SECOND = {
    "README.md": "two", "src/a.swift": "a", "src/new.swift": "new", "run": "#!/bin/sh -e",
    "Model/edgepack.json": "2", "Model/model.pte": "better weights", "Model/größe 花.bin": "y",
}  # fmt: skip


def made(folder: Path, files: dict[str, str]) -> Path:
    """A generated project of those files."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    (folder / "run").chmod(0o755)
    generated.write_listing(folder)
    return folder


def contents(project: Path) -> dict[str, str]:
    """Every file but the listing."""
    files = {
        p.relative_to(project).as_posix(): p.read_text("utf-8")
        for p in project.rglob("*") if p.is_file()
    }  # fmt: skip
    del files[generated.LISTING]
    return files


@pytest.fixture
def first(tmp_path: Path) -> Path:
    return made(tmp_path / "first", FIRST)


@pytest.fixture
def second(tmp_path: Path) -> Path:
    return made(tmp_path / "second", SECOND)


@pytest.fixture
def project(tmp_path: Path, first: Path) -> Path:
    """A project that people got from `first`, in a folder of a strange name."""
    folder = tmp_path / "größe 花 'x' $y" / "app"
    generated.put(first, folder)
    return folder


def refusal(code: str, call: object) -> EdgepackError:
    with pytest.raises(EdgepackError) as caught:
        call()  # type: ignore[operator]
    assert caught.value.code == code
    assert caught.value.help
    return caught.value


# --- the first time ------------------------------------------------------------------------------


def test_a_project_is_put_where_nothing_was(tmp_path: Path, first: Path) -> None:
    out = tmp_path / "a" / "b" / "app"
    change = generated.put(first, out)
    assert contents(out) == FIRST
    assert (change.written, change.removed, change.kept) == (tuple(sorted(FIRST)), (), ())
    assert (out / "run").stat().st_mode & 0o777 == 0o755
    assert out.stat().st_mode & 0o777 == 0o755
    assert [p.name for p in out.parent.iterdir()] == ["app"]
    assert (out / generated.LISTING).read_bytes() == (first / generated.LISTING).read_bytes()


@pytest.mark.parametrize("out", [".", "empty", "link"])
def test_an_empty_folder_is_filled_and_stays_the_same_folder(
    tmp_path: Path, first: Path, monkeypatch: pytest.MonkeyPatch, out: str
) -> None:
    home = tmp_path / "home"
    (home / "empty").mkdir(parents=True)
    (home / "link").symlink_to(home / "empty")
    inside = home / "empty"
    monkeypatch.chdir(inside if out == "." else home)
    before = inside.stat().st_ino
    generated.put(first, Path(out))
    assert contents(inside) == FIRST
    assert inside.stat().st_ino == before
    assert (inside / "run").stat().st_mode & 0o777 == 0o755


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path, first: Path) -> None:
    out = tmp_path / "mine"
    out.mkdir()
    (out / ".hidden").write_text("mine")
    file = tmp_path / "file"
    file.write_text("mine")
    for place in (out, file):
        for call in (
            lambda p=place: generated.refuse_full(p),
            lambda p=place: generated.put(first, p),
        ):
            assert "--update" in refusal("E608", call).help
    assert [p.name for p in out.iterdir()] == [".hidden"]
    assert file.read_text() == "mine"


def test_a_new_folder_is_not_left_half_full(
    tmp_path: Path, first: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "no space left on device")

    monkeypatch.setattr(generated.shutil, "copytree", full)
    out = tmp_path / "new" / "app"
    with pytest.raises(OSError, match="no space"):
        generated.put(first, out)
    assert list(out.parent.iterdir()) == []


# --- up to date ----------------------------------------------------------------------------------


def test_a_project_that_nobody_changed_becomes_the_new_one(project: Path, second: Path) -> None:
    change = generated.update(second, project, PAYLOAD)
    assert contents(project) == SECOND
    assert set(change.written) == {n for n in SECOND if FIRST.get(n) != SECOND[n]}
    assert change.removed == ("Model/old/x.bin", "src/gone.swift")
    assert change.kept == ()
    assert (project / generated.LISTING).read_bytes() == (second / generated.LISTING).read_bytes()
    assert generated.update(second, project, PAYLOAD) == generated.Updated((), (), ())


def test_what_people_changed_stays_and_is_named(project: Path, second: Path) -> None:
    mine = {"README.md": "mine", "src/gone.swift": "my own now", "src/new.swift": "was first"}
    for name, content in {**mine, "notes.txt": "mine", "Model/mine.bin": "mine"}.items():
        (project / name).write_text(content, encoding="utf-8")
    (project / "run").unlink()
    change = generated.update(second, project, PAYLOAD)
    assert change.kept == ("README.md", "src/new.swift", "src/gone.swift")
    assert contents(project) == {
        **SECOND, **mine, "notes.txt": "mine", "Model/mine.bin": "mine",
    }  # fmt: skip
    again = generated.update(second, project, PAYLOAD)
    assert again == generated.Updated((), (), ("README.md", "src/new.swift"))


def test_models_are_replaced_whatever_became_of_them(project: Path, second: Path) -> None:
    (project / "Model/model.pte").write_text("broken")
    (project / "Model/edgepack.json").unlink()
    change = generated.update(second, project, PAYLOAD)
    assert {"Model/model.pte", "Model/edgepack.json"} <= set(change.written)
    assert contents(project) == SECOND


def test_a_file_that_people_changed_to_the_new_form_is_theirs_no_longer(
    project: Path, second: Path
) -> None:
    (project / "README.md").write_text("two")
    assert "README.md" not in generated.update(second, project, PAYLOAD).kept
    assert generated.update(second, project, PAYLOAD) == generated.Updated((), (), ())


@pytest.mark.parametrize(
    ("put", "way"),
    [
        (lambda p: (p / "Model" / "größe 花.bin").write_text("mine"), "Model/größe 花.bin"),
        (lambda p: (p / "src" / "new.swift").mkdir(), "src/new.swift"),
        (lambda p: (shutil.rmtree(p / "src"), (p / "src").write_text("mine")), "src"),
    ],
)
def test_what_is_in_the_way_is_named_before_anything_is_written(
    project: Path, second: Path, put: Callable[[Path], object], way: str
) -> None:
    put(project)
    before = {p: p.read_bytes() for p in project.rglob("*") if p.is_file()}
    error = refusal("E608", lambda: generated.update(second, project, PAYLOAD))
    assert error.message == f"{way} in {project} is in the way"
    assert {p: p.read_bytes() for p in project.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize("name", ["../secret.txt", "/etc/secret.txt", "src/../../secret.txt", ""])
def test_a_listing_that_names_files_elsewhere_is_refused(
    project: Path, second: Path, name: str
) -> None:
    secret = project.parent / "secret.txt"
    secret.write_text("mine")
    listing = json.loads((project / generated.LISTING).read_text("utf-8"))
    listing["files"][name] = hashlib.sha256(b"mine").hexdigest()
    (project / generated.LISTING).write_text(json.dumps(listing))
    error = refusal("E611", lambda: generated.update(second, project, PAYLOAD))
    assert "no file of the project" in error.why
    assert secret.read_text() == "mine"


def test_modes_are_those_of_the_new_form(project: Path, second: Path) -> None:
    generated.update(second, project, PAYLOAD)
    assert (project / "run").stat().st_mode & 0o777 == 0o755
    assert (project / "README.md").stat().st_mode & 0o111 == 0


@pytest.mark.parametrize(
    "listing",
    [None, "", "{", "[]", "{}", '{"files": []}', '{"files": {"a": 3}}', '{"files": {"README.md": "x"}}'],
)  # fmt: skip
def test_a_folder_without_a_listing_of_this_kind_is_left_alone(
    project: Path, second: Path, listing: str | None
) -> None:
    (project / generated.LISTING).unlink()
    if listing is not None:
        (project / generated.LISTING).write_text(listing)
    before = {p: p.read_bytes() for p in project.rglob("*") if p.is_file()}
    for call in (
        lambda: generated.update(second, project, PAYLOAD),
        lambda: generated.refuse_foreign(project, PAYLOAD),
    ):
        refusal("E611", call)
    assert {p: p.read_bytes() for p in project.rglob("*") if p.is_file()} == before


def test_an_app_of_the_other_platform_is_left_alone(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    android, ios = bench.render("android", "litert"), bench.render("ios", "coreml")
    project = tmp_path / "app"
    generated.put(android, project)
    before = {p: p.read_bytes() for p in project.rglob("*") if p.is_file()}
    error = refusal("E611", lambda: generated.update(ios, project, "Model"))
    assert "another platform" in error.why
    assert {p: p.read_bytes() for p in project.rglob("*") if p.is_file()} == before


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path, second: Path) -> None:
    refusal("E611", lambda: generated.update(second, tmp_path / "gone", PAYLOAD))
    assert not (tmp_path / "gone").exists()


# --- kills ---------------------------------------------------------------------------------------

KILLED = """
import os, signal, sys
from pathlib import Path
from edgepack import generated

left = int(sys.argv[4])
real = Path.replace

def counted(self, target):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    return real(self, target)

Path.replace = counted
call = {"put": generated.put, "update": lambda f, p: generated.update(f, p, "Model")}[sys.argv[1]]
call(Path(sys.argv[2]), Path(sys.argv[3]))
"""


def killed(what: str, fresh: Path, project: Path, after: int) -> bool:
    """Whether a call was killed before its rename number `after`, from 0."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED, what, fresh, project, str(after)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, check=False, capture_output=True,
    )  # fmt: skip
    assert done.returncode in (0, -signal.SIGKILL), done.stderr.decode()
    return done.returncode != 0


def without_asides(project: Path) -> dict[str, str]:
    """The files of a project, without what a kill left beside them."""
    return {n: c for n, c in contents(project).items() if not n.endswith(".edgepack")}


def test_whenever_an_update_is_killed_nothing_is_lost_and_the_next_completes(
    tmp_path: Path, first: Path, second: Path
) -> None:
    third = made(tmp_path / "third", {**SECOND, "README.md": "three", "src/new.swift": "newer"})
    after, killings = 0, 0
    while True:
        project = tmp_path / f"p{after}"
        generated.put(first, project)
        (project / "src/a.swift").write_text("mine")
        if not killed("update", second, project, after):
            break
        killings += 1
        halfway = without_asides(project)
        assert halfway["src/a.swift"] == "mine"
        for name, content in halfway.items():
            assert content in (FIRST.get(name), SECOND.get(name), "mine")
        for name in FIRST.keys() & SECOND.keys():
            assert name in halfway
        # The next update may be to the same form or to a later one.
        fresh, files = (second, SECOND) if after % 2 else (third, contents(third))
        change = generated.update(fresh, project, PAYLOAD)
        assert change.kept == ("src/a.swift",)
        assert without_asides(project) == {**files, "src/a.swift": "mine"}
        after += 1
    # The first listing, each file, the last listing.
    assert killings == 2 + len([n for n in SECOND if FIRST.get(n) != SECOND[n]])


def test_what_a_kill_leaves_beside_a_file_goes_with_the_next_update(
    project: Path, second: Path
) -> None:
    assert killed("update", second, project, 1)
    assert len(contents(project)) == len(without_asides(project)) + 1
    generated.update(second, project, PAYLOAD)
    assert contents(project) == SECOND


def test_an_empty_folder_that_a_kill_left_half_full_is_completed(
    tmp_path: Path, first: Path
) -> None:
    for after in range(1, 4):
        project = tmp_path / f"e{after}"
        project.mkdir()
        assert killed("put", first, project, after)
        assert generated.update(first, project, PAYLOAD).kept == ()
        assert without_asides(project) == FIRST


# --- real projects -------------------------------------------------------------------------------


@pytest.mark.parametrize(("platform", "target"), [("android", "executorch"), ("ios", "coreml")])
def test_a_real_project_is_whole_after_an_update(
    tmp_path: Path, platform: str, target: str
) -> None:
    bench = Bench(tmp_path)
    older = bench.render(platform, target, name="Älter")
    newer = bench.render(platform, target, name="Newer")
    project = tmp_path / "mine"
    generated.put(older, project)
    payload = recognize(project).payload
    change = generated.update(newer, project, payload)
    assert change.written
    assert rendered.check(recognize(project))
    listed = json.loads((project / generated.LISTING).read_text("utf-8"))
    files = {p.relative_to(project).as_posix() for p in project.rglob("*") if p.is_file()}
    assert set(listed["files"]) == files - {generated.LISTING}
    same = {p.relative_to(newer): p.read_bytes() for p in newer.rglob("*") if p.is_file()}
    assert same == {
        p.relative_to(project): p.read_bytes() for p in project.rglob("*") if p.is_file()
    }
