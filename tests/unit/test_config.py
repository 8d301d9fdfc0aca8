"""edgepack.toml: what is accepted, and how mistakes are shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edgepack import config, toml_places
from edgepack.errors import EdgepackError

GOOD = """\
schema = 1
[model]
name = "flowers"
source = "train/export.py:make_model"
files = ["runs/42/best.safetensors"]

[[model.inputs]]
name = "image"
dtype = "float32"
shape = ["batch", 3, 224, 224]
image = { resize = 256, mean = [0.485, 0.456, 0.406], std = [0.229, 0.224, 0.225] }

[data]
calibration = "data/calib/*.npz"

[targets.litert]
precisions = ["fp32", "int8"]

[parity.int8]
min_sqnr_db = 20

[apps.android]
variant = "litert-int8"
id = "com.example.flowers"
"""


def refusal(tmp_path: Path, text: str) -> EdgepackError:
    path = tmp_path / "edgepack.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(EdgepackError) as caught:
        config.load(path)
    return caught.value


def test_a_whole_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "edgepack.toml"
    path.write_text(GOOD, encoding="utf-8")
    loaded = config.load(path)
    assert loaded.folder == tmp_path
    assert loaded.config.model.inputs[0].shape == ["batch", 3, 224, 224]
    assert loaded.config.model.inputs[0].image == config.Image(
        resize=256, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
    )
    assert loaded.config.parity["int8"].min_sqnr_db == 20


@pytest.mark.parametrize(
    ("line", "instead", "code", "at", "helps"),
    [
        ("[data]", "[daat]", "E102", "daat", "Did you mean 'data'?"),
        ("files =", "fiels =", "E102", "fiels", "Did you mean 'files'?"),
        ("resize =", "resiez =", "E102", "resiez", "Did you mean 'resize'?"),
        ('dtype = "float32"', 'dtype = "flaot32"', "E103", '"flaot32"', "Did you mean 'float32'?"),
        ("min_sqnr_db =", "min_snqr_db =", "E102", "min_snqr_db", "Did you mean 'min_sqnr_db'?"),
        ("[apps.android]", "[apps.andriod]", "E102", "apps.andriod", "Did you mean 'android'?"),
        ("calibration =", "calibratoin =", "E102", "calibratoin", "Did you mean 'calibration'?"),
        ("schema = 1", "schema = 2", "E103", "2", "One of: 1."),
        ("min_sqnr_db = 20", 'min_sqnr_db = "20"', "E103", '"20"', ""),
        ("source =", "# source =", "E104", "model", "Add `source = ...`."),
        ('id = "com', "id = com", "E101", "", ""),
    ],
)
def test_a_mistake_at_any_level_gets_a_caret_and_a_suggestion(
    tmp_path: Path, line: str, instead: str, code: str, at: str, helps: str
) -> None:
    assert GOOD.count(line) == 1
    text = GOOD.replace(line, instead)
    error = refusal(tmp_path, text)
    assert error.code == code
    assert error.help == helps
    place = re.search(r"edgepack\.toml:(\d+):(\d+)\n\d+ \| (.*)\n *\| ( *)(\^+)", error.why)
    assert place is not None, error.why
    shown = text.splitlines()[int(place[1]) - 1]
    assert place[3] == shown
    assert len(place[4]) == int(place[2]) - 1
    if at:
        assert shown[int(place[2]) - 1 :].startswith(at)
        assert len(place[5]) == len(at)


def test_a_caret_stands_under_its_key_behind_wide_characters(tmp_path: Path) -> None:
    text = 'schema = 1\n[model]\nsource = "a.pt2"\nname = "日本"\n[targets]\n"ünïcode" = 3\n'
    error = refusal(tmp_path, text)
    assert ":6:13" in error.why


def test_a_missing_file_says_how_to_write_one(tmp_path: Path) -> None:
    with pytest.raises(EdgepackError) as caught:
        config.load(tmp_path / "edgepack.toml")
    assert caught.value.code == "E107"
    assert "edgepack init" in caught.value.help


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "edgepack.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(EdgepackError) as caught:
        config.load(path)
    assert caught.value.code == "E101"


def test_places_are_found_in_arrays_of_tables_and_inline_tables() -> None:
    text = '[[a]]\nx = 1\n[[a]]\nx = 2\ny = { z = [1, "q"] }\n[a.b]\nc.d = true\n'
    assert toml_places.find(text, ("a", 1, "x")) == (4, 5, 1)
    assert toml_places.find(text, ("a", 1, "y", "z", 1)) == (5, 15, 3)
    assert toml_places.find(text, ("a", 1, "b", "c", "d")) == (7, 7, 4)
    assert toml_places.find(text, ("a", 0, "nothing")) == (1, 3, 1)
    assert toml_places.find("", ("a",)) == (1, 1, 1)
