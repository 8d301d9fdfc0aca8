"""Samples from real files: what becomes of them, what is fitted, what is refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgepack import samples
from edgepack.config import Input
from edgepack.wire import tensors
from edgepack.wire.types import Dimension, TensorSpec
from sample_bench import IMAGE, RNG, photo, plan, refusal, signature, tensor

# Files


def test_a_folder_a_glob_and_a_file_stand_for_their_samples_in_order(tmp_path: Path) -> None:
    root = tmp_path / "run [2] ü *"
    for name in ("b.PNG", "a.jpg", "deep/er/c.npy", "notes.txt", ".hidden.png", ".cache/d.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")

    def names(location: Path) -> list[str]:
        return [p.relative_to(root).as_posix() for p in samples.files_of(plan(location))]

    assert names(root) == ["a.jpg", "b.PNG", "deep/er/c.npy"]
    assert names(root / "*.jpg") == ["a.jpg"]
    assert names(root / "**" / "*.npy") == ["deep/er/c.npy"]
    assert names(root / "?.*") == ["a.jpg", "b.PNG"]
    assert names(root / "notes.txt") == ["notes.txt"]
    assert names(root / "[ab].*") == ["a.jpg", "b.PNG"]


@pytest.mark.parametrize("place", ["empty", "missing", "empty/*.png", "missing/**/*.png"])
def test_no_samples_are_e229(tmp_path: Path, place: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "read.me").touch()
    error = refusal(lambda: samples.files_of(plan(tmp_path / place)))
    assert error.code == "E229"
    assert str(tmp_path / place) in error.message


def test_cases_are_spread_evenly_over_files_and_within_them(tmp_path: Path) -> None:
    for number in range(10):
        np.save(tmp_path / f"{number}.npy", np.full((1, 2), number, np.float32))
    read = samples.read(plan(tmp_path, 4), (), signature(tensor("x", 1, 2)))
    assert [int(case[0][0, 0]) for case in read] == [0, 2, 5, 7]
    assert samples.spread([1, 2, 3], 5) == [1, 2, 3]
    assert samples.spread(list(range(100)), 1) == [0]


def test_a_file_of_an_unknown_kind_is_e228(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    error = refusal(lambda: samples.read(plan(tmp_path / "notes.txt"), (), signature(IMAGE)))
    assert error.code == "E228"


# Arrays


def test_npz_files_hold_arrays_by_input_name(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", tokens=np.arange(3), mask=np.ones(3), more=np.zeros(1))
    takes = signature(tensor("mask", 3), tensor("tokens", 3))
    ((mask, tokens),) = samples.read(plan(tmp_path), (), takes)
    assert tokens.tolist() == [0, 1, 2]
    assert mask.tolist() == [1, 1, 1]


def test_before_the_model_is_known_the_configured_names_count(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", b=np.zeros(1), a=np.ones(1))
    both = (Input(name="a"), Input(name="b"))
    assert [int(x[0]) for x in samples.read(plan(tmp_path), both, None)[0]] == [1, 0]
    assert [int(x[0]) for x in samples.read(plan(tmp_path), (), None)[0]] == [0, 1]


def test_a_single_array_needs_no_name(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", anything=np.ones(3))
    np.savez(tmp_path / "b.npz", char_ids=np.ones(3))
    np.save(tmp_path / "c.npy", np.ones(3))
    cases = samples.read(plan(tmp_path), (), signature(tensor("x", 3)))
    assert [case[0].tolist() for case in cases] == [[1, 1, 1]] * 3


def test_files_that_edgepack_wrote_hold_cases(tmp_path: Path) -> None:
    tensors.save(tmp_path / "a.npz", [(np.full(2, n), np.ones(1)) for n in range(3)])
    cases = samples.read(plan(tmp_path), (), signature(tensor("x", 2), tensor("y", 1)))
    assert [int(case[0][0]) for case in cases] == [0, 1, 2]


def test_an_array_is_known_by_its_content_and_not_its_suffix(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones(3))
    (tmp_path / "a.npy").rename(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", x=np.ones(3))
    (tmp_path / "b.npz").rename(tmp_path / "b.npy")
    cases = samples.read(plan(tmp_path), (), signature(tensor("x", 3)))
    assert [case[0].tolist() for case in cases] == [[1, 1, 1]] * 2


def test_a_missing_input_is_e221_and_says_what_is_there(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", image=np.ones(1), extra=np.ones(1))
    takes = signature(tensor("image", 1), tensor("mask", 1))
    error = refusal(lambda: samples.read(plan(tmp_path), (), takes))
    assert error.code == "E221"
    assert error.message == "a.npz has no array 'mask'"
    assert "image, extra" in error.why


@pytest.mark.parametrize("suffix", [".npz", ".npy"])
@pytest.mark.parametrize("kind", ["empty", "text", "half", "flipped", "objects"])
def test_a_damaged_array_file_is_e228(tmp_path: Path, suffix: str, kind: str) -> None:
    path = tmp_path / f"a{suffix}"
    value = np.array([{}], dtype=object) if kind == "objects" else RNG.standard_normal(2000)
    if suffix == ".npz":
        np.savez_compressed(path, x=value)
    else:
        np.save(path, value)
    whole = bytearray(path.read_bytes())
    if kind == "flipped":
        middle = len(whole) // 2 if suffix == ".npz" else 10
        whole[middle : middle + 8] = b"\xff" * 8
    damaged = {"empty": b"", "text": b"no array", "half": whole[: len(whole) // 2]}
    path.write_bytes(damaged.get(kind, whole))
    error = refusal(lambda: samples.read(plan(tmp_path), (), signature(tensor("x", 2000))))
    assert error.code == "E228"


# Fitting


def fit(case: Any, *specs: TensorSpec, pad: float | None = None, dims: Any = ()) -> list[Any]:
    inputs = [Input(name=s.name, pad=pad) for s in specs]
    return samples.fit([case], signature(*specs), inputs, dims)


def test_a_missing_batch_axis_is_added() -> None:
    (case,) = fit((np.zeros(3), np.zeros((2, 2))), tensor("x", 1, 3), tensor("y", 1, 2, 2))
    assert [a.shape for a in case] == [(1, 3), (1, 2, 2)]


def test_a_larger_batch_is_cut_into_cases() -> None:
    batch = np.arange(12, dtype=np.float32).reshape(4, 3)
    cases = fit((batch, batch[:, :2]), tensor("x", 1, 3), tensor("y", 1, 2))
    assert len(cases) == 4
    for row, (x, y) in enumerate(cases):
        np.testing.assert_array_equal(x, batch[row : row + 1])
        np.testing.assert_array_equal(y, batch[row : row + 1, :2])


def test_unequal_batches_are_e226() -> None:
    specs = tensor("x", 1, 3), tensor("y", 1, 2)
    assert refusal(lambda: fit((np.zeros((4, 3)), np.zeros((5, 2))), *specs)).code == "E226"


def test_smaller_samples_are_padded_where_a_value_is_given() -> None:
    spec = tensor("ids", 1, 5, dtype="int64")
    (case,) = fit((np.array([[7, 8]]),), spec, pad=0)
    assert case[0].tolist() == [[7, 8, 0, 0, 0]]
    (case,) = fit((np.array([7, 8]),), spec, pad=-1)
    assert case[0].tolist() == [[7, 8, -1, -1, -1]]
    error = refusal(lambda: fit((np.array([[7, 8]]),), spec))
    assert error.code == "E226"
    assert "`pad`" in error.help
    assert refusal(lambda: fit((np.zeros((1, 6), int),), spec, pad=0)).code == "E226"


def test_dimensions_keep_to_their_ranges_and_to_one_size_per_case() -> None:
    specs = tensor("x", 1, "n"), tensor("y", 1, "n", 2)
    dims = (Dimension(name="n", minimum=2, maximum=4, fixed=4),)
    (case,) = fit((np.zeros((1, 3)), np.zeros((1, 3, 2))), *specs, dims=dims)
    assert case[1].shape == (1, 3, 2)
    for one, other in ((3, 4), (1, 1), (5, 5)):
        pair = (np.zeros((1, one)), np.zeros((1, other, 2)))
        assert refusal(lambda pair=pair: fit(pair, *specs, dims=dims)).code == "E226"


@pytest.mark.parametrize("shape", [(2, 3), (3, 3, 3), (), (1, 4), (1, 1, 3)])
def test_another_shape_is_e226(shape: tuple[int, ...]) -> None:
    specs = (tensor("x", 2, 2),) if shape == (2, 3) else (tensor("x", 1, 3),)
    error = refusal(lambda: fit((np.zeros(shape),), *specs))
    assert error.code == "E226"
    assert "'x'" in error.message


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (np.array([1.0]), "int64"),
        (np.array([70000]), "int16"),
        (np.array([200], np.uint8), "int8"),
        (np.array([-1]), "uint8"),
        (np.array([1]), "bool"),
        (np.array([1e6]), "float16"),
        (np.array([1e300]), "float32"),
        (np.array([1 + 2j]), "float32"),
        (np.array(["text"]), "float32"),
        (np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f4")]), "float32"),
        (np.array(["2024-01-01"], "datetime64[D]"), "int64"),
    ],
)
def test_values_that_the_dtype_cannot_hold_are_e227(values: Any, dtype: str) -> None:
    assert refusal(lambda: fit((values,), tensor("x", 1, dtype=dtype))).code == "E227"


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (np.array([1.5]), "float16"),
        (np.array([3], np.uint8), "float32"),
        (np.array([True]), "float32"),
        (np.array([7]), "int32"),
        (np.array([True]), "int64"),
        (np.array([2.5], ">f8"), "float32"),
    ],
)
def test_values_that_the_dtype_can_hold_are_cast(values: Any, dtype: str) -> None:
    ((array,),) = fit((values,), tensor("x", 1, dtype=dtype))
    assert array.dtype == np.dtype(dtype)
    assert array.tolist() == values.tolist()
    assert array.flags.c_contiguous


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_inf_in_a_sample_are_e225(value: float) -> None:
    error = refusal(lambda: fit((np.array([1.0, value]),), tensor("x", 2)))
    assert error.code == "E225"
    assert "sample 0" in error.message


def test_another_number_of_arrays_is_e221() -> None:
    specs = tensor("x", 1), tensor("y", 1)
    error = refusal(lambda: fit((np.zeros(1),), *specs))
    assert error.code == "E221"
    assert error.message == "sample 0 has 1 arrays, the model has 2 inputs"


# Synthetic samples


def test_synthetic_samples_are_the_same_every_time_and_stay_in_range() -> None:
    takes = signature(
        tensor("x", 1, 500), tensor("unit", 1, 50), tensor("ids", 1, "n", dtype="int64"),
        tensor("mask", 1, "n", dtype="bool"), tensor("half", 1, 4, dtype="float16"),
    )  # fmt: skip
    dims = (Dimension(name="n", minimum=2, maximum=9, fixed=5),)
    inputs = (Input(name="unit", range=(-0.25, 0.5)),)
    made = [samples.synthetic(takes, inputs, [("ids", 3, 40)], dims, 6) for _ in range(2)]
    for one, other in zip(*made, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)
    assert [case[2].shape for case in made[0]] == [(1, n) for n in (2, 5, 9, 2, 5, 9)]
    assert all(c[3].shape == c[2].shape for c in made[0])
    x, unit, ids, mask = (np.concatenate([c[i].ravel() for c in made[0]]) for i in range(4))
    assert abs(x.mean()) < 0.1
    assert abs(x.std() - 1) < 0.1
    assert -0.25 <= unit.min() < 0 < unit.max() <= 0.5
    assert ids.min() >= 3
    assert ids.max() <= 40
    assert set(mask.tolist()) == {True, False}
    assert [a.dtype.name for a in made[0][0]] == ["float32", "float32", "int64", "bool", "float16"]
    assert made[0][0][0].ravel()[0] == np.float32(np.random.default_rng(0).standard_normal())
    fitted = samples.fit(made[0], takes, inputs, dims)
    assert len(fitted) == 6


def test_reading_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for number in range(3):
        photo(data / f"{number}.jpg", size=(30, 20))
    made = []
    for number in range(2):
        cases = samples.read(plan(data), (), signature(IMAGE))
        tensors.save(tmp_path / f"{number}.npz", samples.fit(cases, signature(IMAGE), (), ()))
        made.append((tmp_path / f"{number}.npz").read_bytes())
        os.utime(data / "1.jpg", (0, 0))
    assert made[0] == made[1]
