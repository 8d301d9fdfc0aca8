"""Model files that are missing, damaged, or something else than their name says."""

from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path
from typing import Literal

import pytest

from edgepack import source_files
from edgepack.errors import EdgepackError
from edgepack.wire import digest
from edgepack.wire.types import SourceModel

Kind = Literal["factory", "exported", "torchscript"]

EXPORTED = ("archive_format", "archive_version", "models/model.json", "data/weights/weight_0")
OLD_EXPORTED = ("version", "serialized_exported_program.json", "serialized_state_dict.pt")
SCRIPT = ("data.pkl", "constants.pkl", "code/__torch__.py", "data/0")
STATE = ("data.pkl", "byteorder", "data/0", "version")


def archive(path: Path, names: tuple[str, ...], folder: str = "model/", text: str = "x") -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name in names:
            file.writestr(f"{folder}{name}", text * 100)
    return path


def check(path: Path, kind: Kind = "exported", *files: Path) -> dict[str, str]:
    return source_files.check(
        SourceModel(kind=kind, location=str(path), files=tuple(map(str, files)))
    )


def refusal(path: Path, kind: Kind = "exported", *files: Path) -> EdgepackError:
    with pytest.raises(EdgepackError) as caught:
        check(path, kind, *files)
    return caught.value


@pytest.mark.parametrize(
    ("name", "kind", "members", "folder"),
    [
        ("model.pt2", "exported", EXPORTED, "model/"),
        ("größe 日本.pt2", "exported", EXPORTED, "größe 日本/"),
        ("old.pt2", "exported", OLD_EXPORTED, ""),
        ("model.pt", "torchscript", SCRIPT, "model/"),
    ],
)
def test_a_file_that_is_what_its_name_says_is_digested(
    tmp_path: Path, name: str, kind: Kind, members: tuple[str, ...], folder: str
) -> None:
    path = archive(tmp_path / name, members, folder)
    assert check(path, kind) == {name: digest.of_file(path)}


def test_a_missing_file_is_e201_and_says_which_it_is(tmp_path: Path) -> None:
    error = refusal(tmp_path / "no.pt2")
    assert error.code == "E201"
    assert error.why == "It is the model."
    model = tmp_path / "model.py"
    model.write_text("x = 1\n")
    error = refusal(model, "factory", tmp_path / "weights.pt")
    assert error.code == "E201"
    assert "weights.pt" in error.message
    assert error.why == "It is listed in [model] files."


def test_an_empty_file_is_e202(tmp_path: Path) -> None:
    for name, kind in (("a.pt2", "exported"), ("a.pt", "torchscript"), ("a.py", "factory")):
        (tmp_path / name).touch()
        assert refusal(tmp_path / name, kind).code == "E202"  # type: ignore[arg-type]


def test_a_truncated_archive_is_e202(tmp_path: Path) -> None:
    path = archive(tmp_path / "model.pt2", EXPORTED)
    size = path.stat().st_size
    for kept in (size - 1, size // 2, 100, 4):
        os.truncate(path, kept)
        error = refusal(path)
        assert error.code == "E202"
        assert "truncated" in error.help


@pytest.mark.parametrize("name", ["notes.pt2", "notes.pt"])
def test_text_with_a_models_name_is_e203(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("just text\n")
    error = refusal(path, "exported" if name.endswith("2") else "torchscript")
    assert error.code == "E203"
    assert error.message == f"{name} is no PyTorch file"
    assert "torch.export.save" in error.help


def test_torchscript_named_pt2_and_the_reverse_are_e203(tmp_path: Path) -> None:
    error = refusal(archive(tmp_path / "a.pt2", SCRIPT))
    assert error.code == "E203"
    assert error.message == "a.pt2 is a TorchScript file"
    assert "Rename" in error.help
    error = refusal(archive(tmp_path / "a.pt", EXPORTED), "torchscript")
    assert error.code == "E203"
    assert error.message == "a.pt is a torch.export file"


def test_any_other_zip_is_e203(tmp_path: Path) -> None:
    error = refusal(archive(tmp_path / "a.pt2", ("word/document.xml",), ""))
    assert error.code == "E203"
    assert "torch.export.save" in error.help
    keras = tmp_path / "keras.pt2"
    with zipfile.ZipFile(keras, "w") as file:
        file.writestr("config.json", '{"class_name": "Sequential"}')
        file.writestr("model.weights.h5", "x")
    assert refusal(keras).message == "keras.pt2 is a Keras Sequential file"


@pytest.mark.parametrize("kind", ["exported", "torchscript"])
def test_a_state_dict_or_pickled_module_is_e205(tmp_path: Path, kind: Kind) -> None:
    suffix = ".pt2" if kind == "exported" else ".pt"
    for path in (archive(tmp_path / f"zip{suffix}", STATE), tmp_path / f"legacy{suffix}"):
        if not path.exists():
            path.write_bytes(pickle.dumps({"weight": [1.0]}, protocol=2))
        error = refusal(path, kind)
        assert error.code == "E205"
        assert "pickled" in error.message
        assert "file.py:factory" in error.help


def test_a_folder_or_a_pipe_is_no_model(tmp_path: Path) -> None:
    folder, pipe = tmp_path / "a.pt2", tmp_path / "b.pt2"
    folder.mkdir()
    os.mkfifo(pipe)
    assert refusal(folder).code == "E203"
    assert refusal(pipe).code == "E203"


def test_every_file_the_model_needs_counts(tmp_path: Path) -> None:
    model, weights = tmp_path / "model.py", tmp_path / "weights"
    model.write_text("x = 1\n")
    weights.mkdir()
    (weights / "part-1").write_text("1")
    found = check(model, "factory", weights)
    assert found == {"model.py": digest.of_file(model), "weights": digest.of_tree(weights)}
    (weights / "part-1").write_text("2")
    assert check(model, "factory", weights)["weights"] != found["weights"]


def test_digests_of_files_with_one_name_are_kept_apart_without_their_paths(tmp_path: Path) -> None:
    found = []
    for home in ("here", "somewhere else"):
        root = tmp_path / home
        for name in ("a", "b"):
            (root / name).mkdir(parents=True)
            (root / name / "best.pt").write_text(name)
        (root / "model.py").write_text("x = 1\n")
        found.append(
            check(root / "model.py", "factory", root / "a" / "best.pt", root / "b" / "best.pt")
        )
    assert found[0] == found[1]
    assert len(found[0]) == 3
    assert str(tmp_path) not in str(found[0])
