"""Making the tools of verify-app: parts that are whole or not there, and class files from a list of an API."""

from __future__ import annotations

import hashlib
import importlib.util
import struct
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from edgepack.verifying import tools

SCRIPT = Path(__file__).parents[1] / "apptools" / "setup.py"
API = """// Signature format: 2.0
package a.b {

  public class Box<T extends a.b.Box.Lid> extends a.b.Base implements java.io.Closeable {
    ctor public Box(int, @NonNull String...) throws java.io.IOException;
    method public void close();
    method @Deprecated @Nullable public <U> java.util.Map<T,U[]> of(java.util.List<? super T>, @NonNull a.b.Box.Lid);
    field public static final String NAME = "a\\"b\\u00e9";
    field public static final long LIMIT = 4294967296L; // 0x100000000L
  }

  public static interface Box.Lid {
    method public default boolean open();
  }

  public abstract class Base {
    method public static char letter();
  }

  public enum Kind {
    enum_constant public static final a.b.Kind ONE;
  }

}
"""


@pytest.fixture
def setup(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The script, whose tools go below the test's folder."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv(tools.VARIABLE, str(tmp_path / "tools"))
    spec = importlib.util.spec_from_file_location("app_tools_setup", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def made_of(text: str) -> Any:
    """A maker that writes a file and refuses an empty text."""

    def make_junit(spec: Any, made: Path, scratch: Path) -> None:
        (made / "file").write_text(text)
        (scratch / "left").write_text("over")
        if not text:
            raise ValueError("nothing came")

    return make_junit


def test_a_part_is_made_once(setup: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    setup.MAKERS["junit"] = made_of("a")
    assert setup.main(["junit"]) == 0
    assert (tools.part("junit") / "file").read_text() == "a"
    assert tools.versions()["junit4"]
    assert setup.main(["junit"]) == 0
    assert [line.split()[-1] for line in capsys.readouterr().out.splitlines()] == ["made", "there"]
    assert sorted(p.name for p in tools.folder().iterdir()) == [".lock", "junit"]


def test_a_part_that_fails_leaves_what_was_there(
    setup: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    setup.MAKERS["junit"] = made_of("a")
    setup.main(["junit"])
    before = setup.ensure
    table = {"junit": {"deb": [{"package": "other", "version": "2"}]}}
    setup.MAKERS["junit"] = made_of("")
    assert not setup.made(tools.folder(), "junit", table)
    assert "failed: nothing came" in capsys.readouterr().out
    assert (tools.part("junit") / "file").read_text() == "a"
    setup.MAKERS["junit"] = made_of("b")
    assert before(tools.folder(), "junit", table) == "made"
    assert tools.versions() == {"other": "2"}


def test_a_part_that_nobody_knows_is_refused(setup: ModuleType) -> None:
    assert setup.main(["kotlinn"]) == 2


def test_a_package_with_another_digest_is_refused(setup: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "package.tgz"
    path.write_bytes(b"x")
    good = hashlib.sha256(b"x").hexdigest()
    assert setup.checked(path, good) == path
    with pytest.raises(ValueError, match="expected 00"):
        setup.checked(path, "00")


def test_every_part_has_a_maker_and_every_package_a_digest(setup: ModuleType) -> None:
    table = setup.tomllib.loads(SCRIPT.with_name("sources.toml").read_text())
    assert sorted(table) == sorted(setup.MAKERS)
    for spec in table.values():
        for value in spec.values():
            for entry in value if isinstance(value, list) else [value]:
                if isinstance(entry, dict):
                    pinned = entry.get("pinned", [entry])
                    assert all(len(package["sha256"]) == 64 for package in pinned)


def constants(data: bytes) -> list[str]:
    """The texts in the constant pool of a class file."""
    assert data[:4] == b"\xca\xfe\xba\xbe"
    (count,) = struct.unpack_from(">H", data, 8)
    at, index, found = 10, 1, []
    sizes = {3: 4, 4: 4, 5: 8, 6: 8, 7: 2, 8: 2}
    while index < count:
        tag = data[at]
        if tag == 1:
            (size,) = struct.unpack_from(">H", data, at + 1)
            found.append(data[at + 3 : at + 3 + size].decode())
            at += 3 + size
        else:
            at += 1 + sizes[tag]
        index += 2 if tag in (5, 6) else 1
    return found


def test_class_files_say_what_the_list_says(setup: ModuleType) -> None:
    files = setup.class_files.write(setup.signature_file.read(API))
    expected = {"a/b/Base", "a/b/Box", "a/b/Box$Lid", "a/b/Kind"}
    nullness = {"android/annotation/NonNull", "android/annotation/Nullable"}
    assert {name.removesuffix(".class") for name in files} == expected | nullness
    box = constants(files["a/b/Box.class"])
    for text in (
        "<T::La/b/Box$Lid;>La/b/Base;Ljava/io/Closeable;",
        "(I[Ljava/lang/String;)V",
        "(Ljava/util/List;La/b/Box$Lid;)Ljava/util/Map;",
        "<U:Ljava/lang/Object;>(Ljava/util/List<-TT;>;La/b/Box$Lid;)Ljava/util/Map<TT;[TU;>;",
        'a"bé',
        "Deprecated",
        "InnerClasses",
        "java/io/IOException",
        "Landroid/annotation/Nullable;",
    ):
        assert text in box
    assert struct.pack(">q", 4294967296) in files["a/b/Box.class"]
    assert "()C" in constants(files["a/b/Base.class"])
    assert "La/b/Kind;" in constants(files["a/b/Kind.class"])
