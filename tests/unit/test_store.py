"""The cache under every kind of damage, neighbour and disk."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from edgepack.errors import EdgepackError
from edgepack.store import Entry, Meta, Store, disk_errors
from edgepack.wire import digest

KEY = "a" * 64


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "store")
    yield opened
    opened.close()


def made(store: Store, **files: str) -> Path:
    """A folder with files to put; x__y stands for x/y."""
    folder = store.scratch("test")
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def meta(**changes: object) -> Meta:
    return msgspec.structs.replace(
        Meta(stage="convert", parts={"seed": 0}, value={"cases": 3}, files={}, seconds=1.5),
        **changes,
    )


def put(store: Store, key: str = KEY, **files: str) -> Entry:
    return store.put(key, made(store, **(files or {"one": "1", "pkg__two": "22"})), meta())


def process(program: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_what_is_put_is_got_with_its_meta_files_and_size(store: Store) -> None:
    folder = made(store, one="1", pkg__two="22", leer="")
    entry = store.put(KEY, folder, meta())
    found = store.get(KEY)
    assert found == entry
    assert found is not None
    assert found.path("pkg/two").read_text() == "22"
    assert found.meta.value == {"cases": 3}
    assert found.meta.bytes == 3
    assert found.meta.files == {
        "leer": digest.of_bytes(b""),
        "one": digest.of_bytes(b"1"),
        "pkg/two": digest.of_bytes(b"22"),
    }
    assert not folder.exists()
    assert store.get("b" * 64) is None


def test_an_entry_outlives_its_process(store: Store, tmp_path: Path) -> None:
    put(store)
    store.close()
    later = Store(tmp_path / "store")
    assert later.get(KEY) is not None
    later.close()


def flip(entry: Entry) -> None:
    path = entry.path("pkg/two")
    data = bytearray(path.read_bytes())
    data[0] ^= 1
    path.write_bytes(data)


def truncate_file(entry: Entry) -> None:
    os.truncate(entry.path("one"), 0)


def remove_file(entry: Entry) -> None:
    entry.path("one").unlink()


def add_file(entry: Entry) -> None:
    (entry.path("pkg") / ".DS_Store").write_text("x")


def truncate_meta(entry: Entry) -> None:
    path = entry.folder / "meta.json"
    os.truncate(path, path.stat().st_size // 2)


def empty_meta(entry: Entry) -> None:
    os.truncate(entry.folder / "meta.json", 0)


def foreign_meta(entry: Entry) -> None:
    (entry.folder / "meta.json").write_bytes(b"\xff\xfe{}")


def other_schema(entry: Entry) -> None:
    (entry.folder / "meta.json").write_text('{"stage": 3}')


def meta_is_a_folder(entry: Entry) -> None:
    (entry.folder / "meta.json").unlink()
    (entry.folder / "meta.json").mkdir()


@pytest.mark.parametrize(
    "damage",
    [flip, truncate_file, remove_file, add_file, truncate_meta, empty_meta, foreign_meta, other_schema,
     meta_is_a_folder],
)  # fmt: skip
def test_a_corrupt_entry_is_deleted_and_is_a_miss(
    store: Store, damage: Callable[[Entry], None]
) -> None:
    damage(put(store))
    assert store.get(KEY) is None
    assert not (store.root / "entries" / KEY).exists()
    assert put(store, one="again").path("one").read_text() == "again"
    assert store.get(KEY) is not None


def test_an_entry_whose_meta_a_killed_removal_took_is_replaced(store: Store) -> None:
    entry = put(store)
    (entry.folder / "meta.json").unlink()
    assert store.get(KEY) is None
    assert put(store, one="again").path("one").read_text() == "again"


def test_a_guard_that_changes_makes_a_miss_and_keeps_the_entry(
    store: Store, tmp_path: Path
) -> None:
    weights = tmp_path / "weights"
    weights.write_text("old")
    guarded = meta(guards={str(weights): digest.of_file(weights)})
    store.put(KEY, made(store, one="old"), guarded)
    assert store.get(KEY) is not None
    weights.write_text("new")
    assert store.get(KEY) is None
    weights.write_text("old")
    assert store.get(KEY) is not None
    weights.unlink()
    assert store.get(KEY) is None
    weights.write_text("new")
    renewed = store.put(
        KEY, made(store, one="new"), meta(guards={str(weights): digest.of_file(weights)})
    )
    assert renewed.path("one").read_text() == "new"
    assert store.get(KEY) == renewed


def test_the_first_of_two_entries_under_one_key_stays(store: Store) -> None:
    first = put(store, one="first")
    second = put(store, one="second")
    assert second == first
    assert second.path("one").read_text() == "first"


RACE = """
    import sys
    from pathlib import Path
    from edgepack.store import Meta, Store
    from edgepack.wire import digest

    root, me = Path(sys.argv[1]), sys.argv[2]
    store = Store(root)
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(40):
        key = digest.of_value(number)
        entry = store.get(key)
        if entry is None:
            folder = store.scratch("race")
            (folder / "who").write_text(me * 1000)
            entry = store.put(key, folder, Meta(stage="race", parts={}, value=me, files={}))
        for _ in range(3):
            text = entry.path("who").read_text()
            assert text == entry.meta.value * 1000, (text[:1], entry.meta.value)
    store.close()
"""


def test_processes_that_put_the_same_keys_at_once_go_on_with_the_same_files(
    tmp_path: Path,
) -> None:
    racers = [process(RACE, tmp_path / "store", name) for name in "abc"]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        racer.communicate("go\n", timeout=30)
    assert [r.returncode for r in racers] == [0, 0, 0]
    store = Store(tmp_path / "store")
    assert len(list(store.entries())) == 40
    assert all(store.get(entry.key) is not None for entry, _ in store.entries())
    assert [p.name for p in (tmp_path / "store" / "scratch").glob("*.lock")] == [
        store._scratch.with_suffix(".lock").name
    ]
    store.close()


LIVE = """
    import sys, time
    from pathlib import Path
    from edgepack.store import Store

    store = Store(Path(sys.argv[1]))
    folder = store.scratch("convert")
    (folder / "half").write_bytes(b"x" * 100_000)
    print(folder, flush=True)
    time.sleep(60)
"""


def test_the_scratch_of_a_killed_process_is_swept_and_that_of_a_live_one_is_not(
    tmp_path: Path,
) -> None:
    killed, live = process(LIVE, tmp_path), process(LIVE, tmp_path)
    try:
        folders = []
        for started in (killed, live):
            assert started.stdout is not None
            folders.append(Path(started.stdout.readline().strip()))
        killed.kill()
        killed.communicate()
        Store(tmp_path).close()
        assert not folders[0].parent.exists()
        assert not folders[0].parent.with_suffix(".lock").exists()
        assert (folders[1] / "half").exists()
    finally:
        live.kill()
        live.communicate()
    Store(tmp_path).close()
    assert list((tmp_path / "scratch").iterdir()) == []


def test_two_stores_of_one_process_do_not_sweep_each_other(store: Store) -> None:
    folder = store.scratch("one")
    Store(store.root).close()
    assert folder.exists()


def test_prune_removes_what_is_older_and_says_how_much(store: Store) -> None:
    old, new = put(store, "1" * 64, one="12345"), put(store, "2" * 64)
    os.utime(old.folder, (0, time.time() - 7200))
    assert store.prune(3600) == (1, 5)
    assert store.get(old.key) is None
    assert store.get(new.key) == new
    assert store.prune(0) == (1, 3)
    assert list(store.entries()) == []
    assert store.prune(0) == (0, 0)


def test_listing_survives_another_process_that_prunes(store: Store) -> None:
    for number in range(200):
        put(store, digest.of_value(number), one="1")
    failures: list[BaseException] = []

    def remove() -> None:
        other = Store(store.root)
        other.prune(-1)
        other.close()

    thread = threading.Thread(target=remove)
    thread.start()
    try:
        while thread.is_alive():
            list(store.entries())
    except BaseException as error:  # noqa: BLE001
        failures.append(error)
    thread.join()
    assert failures == []


def test_a_stray_file_among_the_entries_is_no_entry(store: Store) -> None:
    (store.root / "entries" / ".DS_Store").write_text("x")
    put(store)
    assert len(list(store.entries())) == 1


def test_paths_with_spaces_and_other_scripts_are_paths(tmp_path: Path) -> None:
    store = Store(tmp_path / "Über uns" / "日本 語")
    folder = store.scratch("größe")
    (folder / "grün 緑").write_text("x")
    store.put(KEY, folder, meta())
    found = store.get(KEY)
    assert found is not None
    assert list(found.meta.files) == ["grün 緑"]
    store.close()


# Disks


def refusal(action: Callable[[], object]) -> EdgepackError:
    with pytest.raises(EdgepackError) as caught:
        action()
    return caught.value


def fill(path: Path) -> None:
    """Write until the disk is full."""
    with path.open("wb", 0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)


def test_a_full_disk_is_e303_and_spares_what_is_stored(disk: Callable[[str], Path]) -> None:
    root = disk("256k")
    store = Store(root)
    put(store, one="x" * 1000)
    folder = made(store, one="y" * 1000)
    fill(root / "fill")
    error = refusal(lambda: store.put("b" * 64, folder, meta(parts={"long": "z" * 200_000})))
    assert error.code == "E303"
    assert str(root) in error.message
    assert "EDGEPACK_CACHE" in error.help
    assert store.get(KEY) is not None
    assert store.get("b" * 64) is None
    (root / "fill").unlink()
    store.close()
    later = Store(root)
    assert put(later, "b" * 64).path("one").exists()
    later.close()


def test_a_disk_that_is_full_from_the_start_is_e303(disk: Callable[[str], Path]) -> None:
    root = disk("16k,nr_inodes=4")
    assert refusal(lambda: Store(root / "store")).code == "E303"


def test_a_read_only_disk_is_e304(
    disk: Callable[[str], Path], read_only: Callable[[Path], None]
) -> None:
    root = disk("256k")
    store = Store(root / "store")
    put(store)
    store.close()
    read_only(root)
    for place in (root / "store", root / "new"):
        error = refusal(lambda place=place: Store(place))
        assert error.code == "E304"
        assert str(root) in error.message
        assert "Read-only" in error.why


def test_a_folder_below_a_file_or_in_place_of_one_is_e304(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        error = refusal(lambda place=place: Store(place))
        assert error.code == "E304"
        assert "file" in error.message


def test_a_write_to_a_full_device_is_e303(tmp_path: Path) -> None:
    def write() -> None:
        with disk_errors(tmp_path), Path("/dev/full").open("wb") as file:
            file.write(b"x")

    assert refusal(write).code == "E303"


def test_other_disk_errors_are_passed_on(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), disk_errors(tmp_path):
        (tmp_path / "missing").read_bytes()
