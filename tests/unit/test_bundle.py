"""What the user holds is put in place whole, at once, and never lost."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from edgepack import bundle, config, plan
from edgepack.bundle import Manifest, Report, StageRecord
from edgepack.config import ParityLimits
from edgepack.errors import EdgepackError
from edgepack.verdict import ParityReport, Spread, TensorParity, not_run
from edgepack.wire.types import Quantization, Signature, TensorSpec


def folder(path: Path, **files: str) -> Path:
    path.mkdir(parents=True)
    for name, text in files.items():
        (path / name).write_text(text)
    return path


def content(path: Path) -> dict[str, str]:
    return {p.name: p.read_text() for p in sorted(path.iterdir())}


def process(program: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def refusal(action: Callable[[], object]) -> EdgepackError:
    with pytest.raises(EdgepackError) as caught:
        action()
    return caught.value


# Putting in place


def test_a_first_and_a_second_result_are_put_in_place(tmp_path: Path) -> None:
    dist = tmp_path / "dist ü 日本" / "out"
    final = dist / "my flowers"
    for text in ("one", "two"):
        with bundle.locked(dist):
            staged = bundle.staging(dist)
            assert staged.parent == dist
            (staged / "a").write_text(text)
            if text == "one":
                (staged / "only in the first").touch()
            bundle.put_in_place(staged, final)
        assert content(final)["a"] == text
    assert list(content(final)) == ["a"]
    assert sorted(p.name for p in dist.iterdir()) == [".edgepack.lock", "my flowers"]


READER = """
    import sys
    from pathlib import Path

    final, seen, reads = Path(sys.argv[1]), set(), 0
    print("ready", flush=True)
    while not final.with_name("stop").exists():
        manifest = (final / "manifest.json").read_text()
        assert len(manifest) == 50_000 and len(set(manifest)) == 1, len(manifest)
        seen.add(manifest[0])
        reads += 1
    print(reads, len(seen), flush=True)
"""


def test_a_reader_sees_the_old_or_the_new_and_never_neither(tmp_path: Path) -> None:
    dist = tmp_path / "dist"
    final = folder(dist / "flowers", **{"manifest.json": "a" * 50_000})
    reader = process(READER, final)
    assert reader.stdout is not None
    assert reader.stdout.readline() == "ready\n"
    for number in range(300):
        staged = folder(dist / f".edgepack-{number}")
        (staged / "manifest.json").write_text("abc"[number % 3] * 50_000)
        bundle.put_in_place(staged, final)
    (dist / "stop").touch()
    said = reader.communicate(timeout=10)[0].split()
    assert reader.returncode == 0
    assert int(said[0]) > 100
    assert int(said[1]) == 3


def test_the_slow_exchange_swaps_too(tmp_path: Path) -> None:
    one, other = folder(tmp_path / "one", a="1"), folder(tmp_path / "other", a="2")
    bundle._exchange_slowly(one, other)
    assert (content(one), content(other)) == ({"a": "2"}, {"a": "1"})
    assert len(list(tmp_path.iterdir())) == 2


def test_what_a_killed_build_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    dist = tmp_path / "dist"
    folder(dist / ".edgepack-1234abcd", half="x")
    folder(dist / "flowers", a="1")
    folder(dist / ".edgepack-old-flowers", a="0")
    folder(dist / ".hidden of the user", a="1")
    (dist / ".edgepack-note").write_text("a file of someone")
    with bundle.locked(dist):
        names = sorted(p.name for p in dist.iterdir())
    assert names == [".edgepack-note", ".edgepack.lock", ".hidden of the user", "flowers"]
    assert content(dist / "flowers") == {"a": "1"}


def test_a_folder_that_a_kill_left_under_another_name_is_put_back(tmp_path: Path) -> None:
    dist = tmp_path / "dist"
    folder(dist / ".edgepack-old-flowers", a="last good")
    folder(dist / ".edgepack-1234abcd", a="new")
    with bundle.locked(dist):
        assert content(dist / "flowers") == {"a": "last good"}
    assert sorted(p.name for p in dist.iterdir()) == [".edgepack.lock", "flowers"]


KILLED = """
    import sys
    from pathlib import Path
    from edgepack import bundle

    dist, number = Path(sys.argv[1]), 0
    print("ready", flush=True)
    while True:
        with bundle.locked(dist):
            staged = bundle.staging(dist)
            for name in "abcdefgh":
                (staged / name).write_text(str(number) * 1000)
            bundle.put_in_place(staged, dist / "flowers")
        number = (number + 1) % 10
"""


@pytest.mark.parametrize("milliseconds", [3, 7, 12, 20, 33, 54])
def test_a_build_killed_at_any_moment_leaves_a_whole_result(
    tmp_path: Path, milliseconds: int
) -> None:
    dist = tmp_path / "dist"
    folder(dist / "flowers", **dict.fromkeys("abcdefgh", "x" * 1000))
    killed = process(KILLED, dist)
    assert killed.stdout is not None
    assert killed.stdout.readline() == "ready\n"
    time.sleep(milliseconds / 1000)
    killed.kill()
    killed.communicate()
    found = content(dist / "flowers")
    assert sorted(found) == list("abcdefgh")
    assert len(set(found.values())) == 1
    with bundle.locked(dist):
        assert sorted(p.name for p in dist.iterdir()) == [".edgepack.lock", "flowers"]


def test_two_processes_put_their_results_in_place_one_after_the_other(tmp_path: Path) -> None:
    program = KILLED.replace("while True:", "for _ in range(30):")
    both = [process(program, tmp_path / "dist") for _ in range(2)]
    assert [one.communicate(timeout=30) and one.returncode for one in both] == [0, 0]
    assert len(set(content(tmp_path / "dist" / "flowers").values())) == 1


def test_one_file_is_replaced_at_once(tmp_path: Path) -> None:
    path = tmp_path / "größe report.json"
    bundle.write_aside(path, b"1")
    bundle.write_aside(path, b"2")
    assert path.read_bytes() == b"2"
    assert list(tmp_path.iterdir()) == [path]


def test_files_and_folders_are_copied_and_removed(tmp_path: Path) -> None:
    source = folder(tmp_path / "model.mlpackage", a="1")
    folder(source / "deep" / "er", b="2")
    (source / "a").chmod(0o755)
    bundle.copy(source, tmp_path / "copy")
    bundle.copy(source / "a", tmp_path / "b")
    assert (tmp_path / "copy" / "a").read_text() == "1"
    assert os.access(tmp_path / "copy" / "a", os.X_OK)
    assert content(tmp_path / "copy" / "deep" / "er") == {"b": "2"}
    assert (tmp_path / "b").read_text() == "1"
    bundle.remove(tmp_path / "copy")
    bundle.remove(tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


# Disks


def test_a_full_disk_is_e303_and_the_last_result_stays(disk: Callable[[str], Path]) -> None:
    dist = disk("256k") / "dist"
    final = folder(dist / "flowers", a="1")
    big = folder(dist.parent / "big", a="x" * 100_000)
    with bundle.locked(dist):
        staged = bundle.staging(dist)
        bundle.copy(big, staged / "first")
        error = refusal(lambda: bundle.copy(big, staged / "second"))
        assert error.code == "E303"
        assert str(staged / "second") in error.message
        assert refusal(lambda: bundle.write_aside(staged / "b", b"x" * 200_000)).code == "E303"
    assert content(final) == {"a": "1"}
    with bundle.locked(dist):
        assert sorted(p.name for p in dist.iterdir()) == [".edgepack.lock", "flowers"]


def test_a_read_only_disk_is_e304_and_the_last_result_stays(
    disk: Callable[[str], Path], read_only: Callable[[Path], None]
) -> None:
    root = disk("256k")
    final = folder(root / "dist" / "flowers", a="1")
    staged = folder(root / "dist" / ".edgepack-1", a="2")
    read_only(root)

    def lock() -> None:
        with bundle.locked(root / "dist"):
            raise AssertionError

    for action in (
        lock,
        lambda: bundle.staging(root / "dist"),
        lambda: bundle.put_in_place(staged, final),
        lambda: bundle.write_aside(final / "a", b"3"),
        lambda: bundle.copy(staged, root / "dist" / "copy"),
        lambda: bundle.remove(final),
    ):
        error = refusal(action)
        assert error.code == "E304"
        assert "--dist" in error.help
    assert content(final) == {"a": "1"}


def test_a_dist_that_is_a_file_is_e304(tmp_path: Path) -> None:
    (tmp_path / "dist").write_text("x")

    def lock(place: Path) -> None:
        with bundle.locked(place):
            raise AssertionError

    for place in (tmp_path / "dist", tmp_path / "dist" / "below"):
        assert refusal(lambda place=place: lock(place)).code == "E304"


# Manifest and report


SPREAD = Spread(worst=1.23456789, worst_case=2, lower_quartile=0.1, median=0.2, upper_quartile=0.3)
PARITY = ParityReport(
    variant="litert-int8", runtime="LiteRT 2.3.0", fidelity="host", evidence="real", cases=3,
    limits=ParityLimits(min_sqnr_db=20.0), verdict="pass", reason="fine",
    tensors=[
        TensorParity(
            name="scores", dtype="float32", peak=1.0, max_abs=SPREAD, max_rel=SPREAD, sqnr_db=SPREAD,
            psnr_db=SPREAD, cosine=SPREAD, argmax_agreement=0.987654321,
        ),
        TensorParity(
            name="boxes", dtype="float32", peak=1.0, max_abs=SPREAD, max_rel=SPREAD, sqnr_db=SPREAD,
            psnr_db=SPREAD, cosine=SPREAD,
        ),
    ],
)  # fmt: skip
SIGNATURE = Signature(
    name="forward",
    inputs=(TensorSpec(name="größe", dtype="float32", shape=("batch", 3)),),
    outputs=(
        TensorSpec(
            name="scores", dtype="int8", shape=(1,),
            quantization=Quantization(scales=(0.5,), zero_points=(3,)),
        ),
    ),
)  # fmt: skip


def manifest() -> Manifest:
    return Manifest(
        schema=bundle.SCHEMA, edgepack="0.1.0", name="flowers",
        models=[bundle.ManifestModel(
            name="flowers", source="a.py:make", sha256="0" * 64, signatures=[SIGNATURE],
            feeds=[bundle.Feed(name="größe", image=config.Image(resize=256), range=(0.0, 1.0))],
        )],
        artifacts=[
            bundle.ManifestArtifact(
                model="flowers", variant="litert-int8", target="litert", precision="int8", options={"b": 1, "a": True},
                calibration="1" * 64, file="flowers-int8.tflite", sha256="2" * 64, bytes=3,
                signature=SIGNATURE, versions={"torch": "2.13.0", "ai-edge-litert": "2.3.0"},
                environment="3" * 64, notes=["a note"], parity=bundle.parity_of(PARITY),
            )
        ],
        apps=[bundle.ManifestApp(platform="android", task="generic", variants=["litert-int8"], path="apps/android", sha256="4" * 64)],
    )  # fmt: skip


def report(folder: Path, stages: list[StageRecord]) -> Report:
    text = (
        'schema = 1\n[model]\nsource = "a.py:make"\n[[model.inputs]]\nname = "x"\n'
        'shape = [1, "n"]\nrange = [0, 1]\n[model.dimensions]\nn = 4\n[apps.android]\n'
    )
    (folder / "edgepack.toml").write_text(text)
    made = plan.resolve(config.load(folder / "edgepack.toml"), folder / "dist")
    parity = [PARITY, not_run("coreml-fp16", "no runtime", ParityLimits(), "synthetic")]
    return Report(schema=bundle.SCHEMA, plan=made, stages=stages, parity=parity, warnings=["w"])


def record(**changes: object) -> StageRecord:
    return msgspec.structs.replace(
        StageRecord(stage="convert", variant="litert-int8", seconds=1.5, peak_rss_bytes=1, cached=False,
                    key="k", parts={"seed": 0}),
        **changes,
    )  # fmt: skip


def test_manifest_and_report_survive_the_disk(tmp_path: Path) -> None:
    written = report(tmp_path, [record()])
    (tmp_path / bundle.MANIFEST).write_bytes(bundle.encode(manifest()))
    (tmp_path / bundle.REPORT).write_bytes(bundle.encode(written))
    assert bundle.read_manifest(tmp_path) == manifest()
    assert bundle.read_report(tmp_path) == written


def test_a_manifest_is_readable_sorted_and_says_no_more_than_six_digits() -> None:
    data = bundle.encode(manifest())
    assert data == bundle.encode(manifest())
    assert data.endswith(b"}\n")
    assert data.index(b'"a": true') < data.index(b'"b": 1')
    assert data.index(b'"ai-edge-litert"') < data.index(b'"torch"')
    assert b"1.23457" in data
    assert b"1.234568" not in data
    assert b"0.987654" in data
    assert "größe".encode() in data
    assert data.count(b"argmax_agreement") == 1


@pytest.mark.parametrize("text", [b"", b"{", b"\xff\xfe", b"{}", b"[]", b'{"schema": "x"}'])
def test_a_manifest_or_report_that_cannot_be_read_is_none(tmp_path: Path, text: bytes) -> None:
    assert bundle.read_manifest(tmp_path) is None
    assert bundle.read_report(tmp_path / "missing") is None
    (tmp_path / bundle.MANIFEST).write_bytes(text)
    (tmp_path / bundle.REPORT).write_bytes(text)
    assert bundle.read_manifest(tmp_path) is None
    assert bundle.read_report(tmp_path) is None


def test_changed_names_the_parts_that_differ_from_the_build_before(tmp_path: Path) -> None:
    parts = {
        "same": {"shape": (1, 2), "deep": [("a", 1.0)]},
        "model": "old",
        "gone": 1,
    }
    before = report(tmp_path, [record(parts=parts), record(stage="run", parts={"x": (1, 2)})])
    (tmp_path / bundle.REPORT).write_bytes(bundle.encode(before))
    now = [
        record(parts={**parts, "model": "new", "more": 2} | {"gone": None}),
        record(stage="run", parts={"x": (1, 2)}),
        record(stage="run", variant="other", parts={"x": 1}),
    ]
    changed = bundle.with_changes(now, bundle.read_report(tmp_path))
    assert [s.changed for s in changed] == [["gone", "model", "more"], [], []]
    assert bundle.with_changes(now, None) == now


def test_a_report_holds_a_whole_plan(tmp_path: Path) -> None:
    written = report(tmp_path, [])
    again = msgspec.json.decode(bundle.encode(written), type=Report)
    assert dataclasses.asdict(again.plan) == dataclasses.asdict(written.plan)
    assert os.fspath(tmp_path) in again.plan.dist
