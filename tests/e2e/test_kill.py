"""Interrupted and killed builds: the last good dist is whole, and the next build succeeds.

EDGEPACK_KILLS sets how often a build is killed at a random moment: 5 unless it says otherwise; the
measured figure of the README is of 100 (`make kill-test`).
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from edgepack import bundle
from edgepack.wire import digest

PROJECT = Path(__file__).parent / "projects"
KILLS = int(os.environ.get("EDGEPACK_KILLS", "5"))
BUILD = (
    "build", "factories.py:small", "--target", "litert", "--target", "executorch",
    "--input", "image:float32[1,3,8,8]", "--validation", "factories.py:photos", "--app",
)  # fmt: skip


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    shutil.copytree(PROJECT, folder)
    return folder


def start(project: Path, cache: Path, *more: str) -> subprocess.Popen[bytes]:
    """A build that goes on in the background; what it says is in said.txt."""
    with (project / "said.txt").open("wb") as said:
        return subprocess.Popen(
            [Path(sys.executable).with_name("edgepack"), *BUILD, *more],
            cwd=project,
            stdout=said,
            stderr=said,
            env={**os.environ, "EDGEPACK_CACHE": str(cache)},
        )


def wait_until_said(project: Path, process: subprocess.Popen[bytes], stage: str) -> None:
    """Wait for the line that tells the end of a stage."""
    while process.poll() is None:
        lines = (project / "said.txt").read_text(errors="replace").splitlines()
        if any(line.startswith(stage) for line in lines):
            return
        time.sleep(0.02)


def assert_whole(folder: Path) -> bundle.Manifest:
    """Every artifact and app that the manifest names is there, bit for bit."""
    manifest = bundle.read_manifest(folder)
    assert manifest is not None
    assert bundle.read_report(folder) is not None
    for artifact in manifest.artifacts:
        assert digest.of_tree(folder / artifact.file) == artifact.sha256
    for app in manifest.apps:
        assert digest.of_tree(folder / app.path) == app.sha256
    return manifest


def touch(project: Path, number: int) -> None:
    """Change the weights, so that nothing downstream is cached."""
    path = project / "factories.py"
    text = path.read_text().replace("torch.manual_seed(0)", f"torch.manual_seed({number})", 1)
    path.write_text(text)


def test_a_build_killed_at_any_moment_breaks_nothing(project: Path, cache: Path) -> None:
    folder = project / "dist" / "factories"
    started = time.monotonic()
    first = start(project, cache)
    assert first.wait() == 0
    length = time.monotonic() - started
    good = assert_whole(folder)
    random.seed(0)
    original = (project / "factories.py").read_text()
    broken = failed = 0
    for kill in range(KILLS):
        # Every second build has other weights and replaces dist; the others are cached to its end.
        if kill % 2:
            (project / "factories.py").write_text(original)
            touch(project, kill)
        process = start(project, cache)
        time.sleep(random.uniform(0.0, length if kill % 2 else 1.0))
        process.kill()
        process.wait()
        if folder.exists():
            manifest = bundle.read_manifest(folder)
            try:
                assert manifest is not None
                good = assert_whole(folder)
            except AssertionError:
                broken += 1
        else:
            broken += 1
        if kill % 5 == 4 or kill == KILLS - 1:
            failed += start(project, cache).wait() != 0
            assert_whole(folder)
    assert good.artifacts
    assert (broken, failed) == (0, 0)
    assert [p.name for p in (project / "dist").iterdir() if p.name.startswith(".edgepack-")] == []
    assert list((cache / "store" / "scratch").iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("stage", ["start", "samples", "export", "convert", "run"])
def test_an_interrupted_build_exits_130_and_leaves_no_worker(
    project: Path, cache: Path, stage: str, number: signal.Signals
) -> None:
    process = start(project, cache)
    if stage == "start":
        time.sleep(0.5)
    else:
        wait_until_said(project, process, stage)
    workers = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    assert process.wait(timeout=30) == 130
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert alive == []
    assert not (project / "dist" / "factories").exists()
    assert list((cache / "store" / "scratch").iterdir()) == []


def test_workers_end_when_their_host_is_killed(project: Path, cache: Path) -> None:
    process = start(project, cache)
    workers: list[psutil.Process] = []
    while not workers:
        workers = psutil.Process(process.pid).children(recursive=True)
        time.sleep(0.05)
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert alive == []


def test_two_builds_at_once_on_one_cache_both_succeed(project: Path, cache: Path) -> None:
    one, other = start(project, cache), start(project, cache)
    assert (one.wait(), other.wait()) == (0, 0)
    assert_whole(project / "dist" / "factories")


def test_two_clean_builds_give_the_same_bytes(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifests = []
    for name in ("one", "another place"):
        folder = tmp_path / name
        shutil.copytree(PROJECT, folder)
        own = tmp_path / f"cache {name}"
        own.mkdir()
        (own / "environments").symlink_to((cache / "environments").resolve())
        process = start(folder, own, "--target", "coreml")
        assert process.wait() == 0, (folder / "said.txt").read_text()
        assert_whole(folder / "dist" / "factories")
        manifests.append((folder / "dist" / "factories" / "manifest.json").read_bytes())
    assert manifests[0] == manifests[1]


def test_a_warm_rebuild_changes_nothing_but_the_report(
    project: Path, cache: Path, edgepack: Callable[..., Any]
) -> None:
    assert start(project, cache).wait() == 0
    folder = project / "dist" / "factories"
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}
    done = edgepack(*BUILD, "--json", cwd=project)
    assert done.code == 0
    changed = {p.name for p, t in before.items() if p.stat().st_mtime_ns != t}
    assert changed == {"report.json"}
    report = bundle.read_report(folder)
    assert report is not None
    assert all(s.cached for s in report.stages)
