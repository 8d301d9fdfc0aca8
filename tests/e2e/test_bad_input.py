"""Bad input gets an error of ours and loses nothing: the last good dist stays, the next build works."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgepack.wire import digest

PROJECT = Path(__file__).parent / "projects"
IMAGE = ("--input", "image:float32[1,3,8,8]")
LITERT = ("--target", "litert")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the factories and a dist that must survive."""
    folder = tmp_path / "project"
    shutil.copytree(PROJECT, folder)
    dist = folder / "dist" / "factories"
    dist.mkdir(parents=True)
    (dist / "manifest.json").write_text("the last good one")
    return folder


def assert_refused(done: Any, project: Path, code: str, exit_code: int, *words: str) -> None:
    assert done.code == exit_code, done.err
    assert f"error[{code}]" in done.err
    assert "Traceback" not in done.err
    for word in words:
        assert word in done.err
    assert (project / "dist" / "factories" / "manifest.json").read_text() == "the last good one"
    leftovers = [p.name for p in (project / "dist").iterdir() if p.name.startswith(".edgepack-")]
    assert leftovers == []


def archive(*names: str) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as made:
        for name in names:
            made.writestr(name, b"x")
    return data.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("missing.pt2", None, "E201"),
        ("empty.pt2", b"", "E202"),
        ("empty.pt", b"", "E202"),
        ("text.pt2", b"hello", "E203"),
        ("truncated.pt2", archive("m/archive_format", "m/models/model.json")[:-30], "E202"),
        ("script.pt2", archive("m/constants.pkl", "m/code/a.py"), "E203"),
        ("exported.pt", archive("m/archive_format", "m/models/model.json"), "E203"),
        ("weights.pt", archive("m/data.pkl", "m/data/0"), "E205"),
        ("pickle.pt", pickle.dumps({"a": 1}), "E203"),
        ("hollow.pt2", archive("m/archive_format", "m/models/model.json"), "E202"),
        ("hollow.pt", archive("m/constants.pkl", "m/code/a.py"), "E202"),
        ("model.onnx", b"\x08\x07", "E204"),
        ("model.keras", b"PK", "E204"),
        ("model.bin", b"x", "E204"),
    ],
)
def test_model_files_that_are_no_models(
    edgepack: Callable[..., Any], project: Path, name: str, content: bytes | None, code: str
) -> None:
    if content is not None:
        (project / name).write_bytes(content)
    done = edgepack("build", name, *LITERT, *IMAGE, cwd=project)
    assert_refused(done, project, code, 3)


@pytest.mark.parametrize(
    ("factory", "code", "words"),
    [
        ("no_such", "E206", ("It defines", "small")),
        ("raises", "E207", ("the checkpoint server is down", "factories.py")),
        ("misses_a_package", "E207", ("package_that_nobody_has", "requirements")),
        ("returns_weights", "E208", ("OrderedDict",)),
        ("trains", "E209", ("Train once",)),
        ("trains_with_gradients_on", "E209", ("Train once",)),
        ("in_training_mode", "E210", ("Dropout", "eval()")),
        ("nan_weights", "E212", ("'0.weight'", "1 of 108")),
        ("nan_outputs", "E220", ("'output'",)),
        ("keeps_state", "E217", ("'calls'",)),
        ("returns_text", "E219", ("str",)),
        ("branches", "E216", ("torch.where",)),
    ],
)
def test_factories_that_cannot_be_built(
    edgepack: Callable[..., Any], project: Path, factory: str, code: str, words: tuple[str, ...]
) -> None:
    done = edgepack("build", f"factories.py:{factory}", *LITERT, *IMAGE, cwd=project)
    assert_refused(done, project, code, 3, *words)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), "E213", ("--input",)),
        (("--input", "image:float32[1,3,9,9]"), "E214", ("float32[1, 3, 9, 9]",)),
        (("--input", "a:float32[1]", "--input", "b:float32[1]"), "E214", ()),
        ((*IMAGE, "--validation", "factories.py:wrong_names"), "E221", ("'image'", "picture")),
        ((*IMAGE, "--validation", "factories.py:wrong_shapes"), "E226", ("[1, 3, 9, 9]",)),
        ((*IMAGE, "--validation", "factories.py:infinite_values"), "E225", ()),
        ((*IMAGE, "--validation", "factories.py:nothing"), "E221", ()),
        ((*IMAGE, "--validation", "factories.py:no_such"), "E206", ()),
        ((*IMAGE, "--validation", "nowhere/"), "E229", ()),
    ],
)
def test_shapes_and_samples_that_do_not_fit(
    edgepack: Callable[..., Any],
    project: Path,
    arguments: tuple[str, ...],
    code: str,
    words: tuple[str, ...],
) -> None:
    done = edgepack("build", "factories.py:small", *LITERT, *arguments, cwd=project)
    assert_refused(done, project, code, 3, *words)


def test_calibration_is_demanded_and_random_calibration_refused(
    edgepack: Callable[..., Any], project: Path
) -> None:
    build = ("build", "factories.py:small", *LITERT, *IMAGE, "--precision", "int8")
    assert_refused(edgepack(*build, cwd=project), project, "E108", 2, "--calibration")
    done = edgepack(*build, "--calibration", "random", cwd=project)
    assert_refused(done, project, "E109", 2)


@pytest.mark.parametrize("target", ["litert", "executorch", "coreml"])
def test_an_operator_that_no_converter_knows(
    edgepack: Callable[..., Any], project: Path, target: str
) -> None:
    matrix = ("--input", "matrix:float32[3,3]")
    build = ("build", "factories.py:unknown_operator", "--target", target, *matrix)
    done = edgepack(*build, cwd=project)
    assert_refused(done, project, "E401", 5, "linalg_eigh")


def test_a_checkpoint_with_a_program_in_it_is_not_executed(
    edgepack: Callable[..., Any],
    project: Path,
    run_python: Callable[..., str],
    tmp_path: Path,
) -> None:
    script = tmp_path / "write.py"
    trace = tmp_path / "executed"
    script.write_text(
        "import os, sys, torch\n"
        "class Program:\n"
        "    def __reduce__(self):\n"
        "        return (os.system, (f'touch {sys.argv[2]!r}',))\n"
        "torch.save({'state_dict': {'w': torch.ones(1)}, 'extra': Program()}, sys.argv[1])\n"
    )
    run_python("torch", script, project / "weights.pth", trace)
    (project / "edgepack.toml").write_text(
        'schema = 1\n[model]\nsource = "factories.py:small"\nfiles = ["weights.pth"]\n'
        '[[model.inputs]]\nname = "image"\nshape = [1, 3, 8, 8]\n[targets.litert]\n'
    )
    done = edgepack("build", cwd=project)
    assert_refused(done, project, "E205", 3, "--allow-pickle")
    assert not trace.exists()
    assert edgepack("build", "--allow-pickle", cwd=project).code == 3
    assert trace.exists()


def test_weights_of_another_model_are_refused(
    edgepack: Callable[..., Any],
    project: Path,
    run_python: Callable[..., str],
    tmp_path: Path,
) -> None:
    script = tmp_path / "write.py"
    script.write_text(
        "import sys, torch\n"
        "torch.save({'0.weight': torch.ones(4, 3, 5, 5), 'other': torch.ones(1)}, sys.argv[1])\n"
    )
    run_python("torch", script, project / "weights.pth")
    (project / "edgepack.toml").write_text(
        'schema = 1\n[model]\nsource = "factories.py:small"\nfiles = ["weights.pth"]\n'
        '[[model.inputs]]\nname = "image"\nshape = [1, 3, 8, 8]\n[targets.litert]\n'
    )
    done = edgepack("build", cwd=project)
    words = ("missing in the file", "0.weight: the file has", "other")
    assert_refused(done, project, "E211", 3, *words)


def test_a_lock_that_cannot_be_installed(edgepack: Callable[..., Any], project: Path) -> None:
    (project / "requirements.txt").write_text("package-that-nobody-has-made==1.0\n")
    (project / "edgepack.toml").write_text(
        'schema = 1\n[model]\nsource = "factories.py:small"\nrequirements = "requirements.txt"\n'
        '[[model.inputs]]\nname = "image"\nshape = [1, 3, 8, 8]\n[targets.litert]\n'
    )
    done = edgepack("build", cwd=project)
    assert_refused(done, project, "E301", 4, "package-that-nobody-has-made")


def test_folders_with_spaces_and_letters_of_other_scripts_work(
    edgepack: Callable[..., Any], tmp_path: Path
) -> None:
    folder = tmp_path / "my prøject 日本 'quoted'"
    shutil.copytree(PROJECT, folder)
    source = "factories.py:small"
    done = edgepack("build", source, *LITERT, *IMAGE, "--dist", "d i s t/é", cwd=folder)
    assert done.code == 0, done.err
    assert (folder / "d i s t" / "é" / "factories" / "manifest.json").exists()


def test_a_user_project_with_modules_named_like_ours_and_pythons_builds(
    edgepack: Callable[..., Any], project: Path
) -> None:
    for name in ("targets", "templates", "packager", "types", "json", "torch_helpers", "edgepack"):
        (project / f"{name}.py").write_text("MARK = 'mine'\n")
    (project / "net.py").write_text(
        "import targets, torch_helpers\nfrom factories import small\n"
        "assert targets.MARK == torch_helpers.MARK == 'mine'\n"
    )
    done = edgepack("build", "net.py:small", *LITERT, *IMAGE, cwd=project)
    assert done.code == 0, done.err


def test_after_a_failure_the_next_good_build_succeeds(
    edgepack: Callable[..., Any], project: Path
) -> None:
    assert edgepack("build", "factories.py:nan_weights", *LITERT, *IMAGE, cwd=project).code == 3
    done = edgepack("build", "factories.py:small", *LITERT, *IMAGE, "--json", cwd=project)
    assert done.code == 0, done.err
    artifact = done.json["manifest"]["artifacts"][0]
    path = project / "dist" / "factories" / artifact["file"]
    assert digest.of_tree(path) == artifact["sha256"]


def test_a_full_disk_is_an_error_of_ours_and_loses_nothing(
    edgepack: Callable[..., Any], project: Path, disk: Callable[[str], Path]
) -> None:
    small_disk = disk("1m")
    build = ("build", "factories.py:small", *LITERT, *IMAGE)
    kept = small_disk / "factories"
    kept.mkdir()
    (kept / "manifest.json").write_text("the last good one")
    (small_disk / "ballast").write_bytes(os.urandom(1 << 16))
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"\0" * 4096):
            pass
    assert shutil.disk_usage(small_disk).free == 0
    done = edgepack(*build, "--dist", small_disk, cwd=project)
    assert done.code == 4, done.err
    assert "error[E303]" in done.err
    assert (kept / "manifest.json").read_text() == "the last good one"
    filler.unlink()
    assert edgepack(*build, "--dist", small_disk, cwd=project).code == 0


def test_a_read_only_disk_is_an_error_of_ours(
    edgepack: Callable[..., Any],
    project: Path,
    disk: Callable[[str], Path],
    read_only: Callable[[Path], None],
) -> None:
    read_only_disk = disk("1m")
    read_only(read_only_disk)
    build = ("build", "factories.py:small", *LITERT, *IMAGE)
    done = edgepack(*build, "--dist", read_only_disk / "dist", cwd=project)
    assert done.code == 4, done.err
    assert "error[E304]" in done.err


@pytest.mark.parametrize(
    ("way", "code", "words"),
    [
        ("segfault", "E403", ("SIGSEGV",)),
        ("abort", "E403", ("SIGABRT",)),
        ("exit", "E403", ("3",)),
        ("hang", "E404", ("job_seconds",)),
        ("killed", "E405", ("memory",)),
        ("hungry", "E405", ("memory",)),
    ],
)
def test_a_converter_that_dies_takes_nothing_with_it(
    edgepack: Callable[..., Any],
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
    code: str,
    words: tuple[str, ...],
) -> None:
    """A target of another package, found by its entry point, in a worker that really dies."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent / "foreign_target"))
    (project / "edgepack.toml").write_text(
        'schema = 1\n[model]\nname = "factories"\nsource = "factories.py:small"\n'
        '[[model.inputs]]\nname = "image"\ndtype = "float32"\nshape = [1, 3, 8, 8]\n'
        f'[targets.broken]\nprecisions = ["{way}"]\n'
        "[limits]\njob_seconds = 20\nmemory_bytes = 3_000_000_000\n"
    )
    done = edgepack("build", cwd=project)
    assert_refused(done, project, code, 5, *words)
    assert not list((project / "dist").rglob("*.broken"))
