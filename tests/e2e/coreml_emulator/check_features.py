"""Feeds the packages of `packages.py` what fits and what does not. Argument: the folder they are in.

Prints as JSON {check: "" or what was wrong}. Expected values are worked out here in numpy.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgepack.errors import EdgepackError
from edgepack_targets.coreml.emulator import model

RANDOM = np.random.default_rng(3)
PIXELS = RANDOM.integers(0, 256, (4, 6, 3), dtype=np.uint8)


class Picture:
    """What PIL's image is to the emulator: a mode, and numbers."""

    def __init__(self, mode: str, pixels: Any) -> None:
        self.mode = mode
        self._pixels = pixels

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.array(self._pixels, dtype)


class Checks:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def open(self, name: str, **given: Any) -> model.Model:
        return model.open_package(self.folder / f"{name}.mlpackage", **given)

    def ranges(self) -> None:
        opened = self.open("ranged")
        for rows in (1, 2, 6):
            x = RANDOM.normal(size=(rows, 4)).astype(np.float32)
            assert np.array_equal(opened.predict({"x": x})["scores"], 2 * x + 1)
        refused(opened, {"x": np.zeros((7, 4))}, "[1 to 6, 4]")
        refused(opened, {"x": np.zeros((0, 4))}, "[1 to 6, 4]")
        refused(opened, {"x": np.zeros((2, 5))}, "[2, 5]")
        refused(opened, {"x": np.zeros(4)}, "[4]")

    def lists(self) -> None:
        opened = self.open("listed")
        for rows in (1, 2, 6):
            x = RANDOM.normal(size=(rows, 4)).astype(np.float32)
            assert np.array_equal(opened.predict({"x": x})["scores"], 2 * x)
        refused(opened, {"x": np.zeros((3, 4))}, "[1, 4] or [2, 4] or [6, 4]")

    def names_and_values(self) -> None:
        opened = self.open("ranged")
        refused(opened, {}, "'x' is missing")
        refused(opened, {"x": np.zeros((2, 4)), "y": 1}, "no input 'y'")
        refused(opened, {"z": np.zeros((2, 4))}, "no input 'z'")
        refused(opened, {"x": [["a", "b", "c", "d"]]}, "numbers")
        refused(opened, {"x": np.zeros((2, 4), complex)}, "numbers")
        refused(opened, {"x": [[1, 2], [3]]}, "no array")
        refused(opened, {"x": None}, "numbers")

    def other_dtypes_are_cast(self) -> None:
        opened = self.open("ranged")
        x = np.arange(8).reshape(2, 4)
        frozen = x.astype(np.float32)
        frozen.flags.writeable = False
        ways = (x, x.astype(np.float64), x.astype(">f4"), x.tolist(), torch.from_numpy(x), frozen,
                frozen[::-1, ::-1][::-1, ::-1], x.astype(np.float16))  # fmt: skip
        for way in ways:
            found = opened.predict({"x": way})["scores"]
            assert found.dtype == np.float32
            assert np.array_equal(found, 2 * x + 1)

    def optional_inputs(self) -> None:
        opened = self.open("optional")
        x = np.array([1, 2], np.float32)
        assert np.array_equal(opened.predict({"x": x})["total"], x + 5)
        assert np.array_equal(opened.predict({"x": x, "shift": x})["total"], 2 * x)
        refused(opened, {"shift": x}, "'x' is missing")

    def dtypes(self) -> None:
        opened = self.open("dtypes")
        h = np.array([[0.1, 2.5, -7.3]], np.float16)
        ways = ((h, np.array([4], np.int32)), (h.astype(np.float32), 4.0), (h, np.float64(4.7)))
        for half, whole in ways:
            found = opened.predict({"h": half, "n": whole})
            assert found["half"].dtype == np.float16
            assert np.array_equal(found["half"], (h.astype(np.float32) * 3).astype(np.float16))
            assert found["whole"].dtype == np.int32
            assert found["whole"].tolist() == [5]
            assert found["least"].dtype == np.float16
            assert found["least"].shape == (1,)
            assert found["least"][0] == h.min()
        assert opened.has_half
        assert not self.open("ranged").has_half

    def results_are_the_apps_own(self) -> None:
        opened = self.open("images")
        deep = np.zeros((4, 6), np.float32)
        fed = {"rgb": PIXELS, "bgr": PIXELS, "gray": PIXELS[:, :, 0], "deep": deep}
        first = opened.predict(fed)
        kept = {name: value.copy() for name, value in first.items()}
        for value in first.values():
            value[:] = 0
        again = opened.predict(fed)
        assert all(np.array_equal(again[name], value) for name, value in kept.items())
        assert not deep.any()

    def images(self) -> None:
        opened = self.open("images")
        deep = RANDOM.normal(size=(4, 6)).astype(np.float16)
        gray = PIXELS[:, :, 1]
        alpha = np.concatenate([PIXELS, np.zeros((4, 6, 1), np.uint8)], 2)
        ways = (
            {"rgb": PIXELS, "bgr": PIXELS, "gray": gray, "deep": deep},
            {"rgb": PIXELS.astype(float), "bgr": alpha, "gray": gray[:, :, None], "deep": deep},
            {
                "rgb": Picture("RGB", PIXELS), "bgr": Picture("RGBA", alpha), "gray": Picture("L", gray),
                "deep": Picture("F", deep.astype(np.float32)),
            },
        )  # fmt: skip
        for fed in ways:
            found = opened.predict(fed)
            scaled = np.clip(np.round(PIXELS * np.float32(0.5) + 10), 0, 255).astype(np.uint8)
            assert np.array_equal(found["rgb_out"], scaled)
            assert np.array_equal(found["bgr_out"], PIXELS)
            assert np.array_equal(found["gray_out"], gray)
            assert found["deep_out"].dtype == np.float16
            assert np.array_equal(found["deep_out"], deep * np.float16(2))
            assert np.array_equal(found["first"], PIXELS[None, None, :, :, 2].astype(np.float32))

    def wrong_images(self) -> None:
        opened = self.open("images")
        fed = {"rgb": PIXELS, "bgr": PIXELS, "gray": PIXELS[:, :, 0], "deep": np.zeros((4, 6))}
        for name, value, told in (
            ("rgb", PIXELS[:3], "[1, 3, 3, 6]"), ("rgb", PIXELS[:, :, 0], "3 channels"),
            ("rgb", Picture("L", PIXELS[:, :, 0]), "mode 'L'"), ("gray", PIXELS, "1 channels"),
            ("gray", Picture("RGB", PIXELS), "mode 'RGB'"), ("rgb", PIXELS / 255, "whole numbers"),
            ("rgb", PIXELS.astype(np.int32) + 1000, "whole numbers"),
            ("rgb", PIXELS.transpose(2, 0, 1), "3 channels"),
            ("rgb", np.full((4, 6, 3), np.nan), "whole numbers"), ("rgb", "photo.png", "not hold numbers"),
            ("bgr", b"\xff\xd8", "not hold numbers"),
        ):  # fmt: skip
            refused(opened, {**fed, name: value}, told)

    def image_sizes(self) -> None:
        opened = self.open("sized_images")
        for shape in ((2, 2), (4, 8)):
            found = opened.predict({"picture": np.full(shape, 7, np.uint8)})["bright"]
            assert np.array_equal(np.ravel(found), np.full(shape, 14).ravel())
        refused(opened, {"picture": np.zeros((8, 4), np.uint8)}, "or [1, 1, 4, 8]")
        opened = self.open("ranged_images")
        opened.predict({"picture": np.zeros((3, 9, 3), np.uint8)})
        refused(opened, {"picture": np.zeros((5, 9, 3), np.uint8)}, "[1, 3, 2 to 4, 3 to 9]")

    def classifiers(self) -> None:
        x = np.array([[0.5, 2.0, -1.0]], np.float32)
        chances = np.exp(x[0]) / np.exp(x[0]).sum()
        for name, labels in (("classifier", ["cat", "dog", "bird"]), ("numbered", [7, 8, 9])):
            found = self.open(name).predict({"x": x})
            assert found.pop("classLabel") == labels[1]
            ((_, by_label),) = found.items()
            assert list(by_label) == labels
            assert np.allclose(list(by_label.values()), chances, rtol=1e-6)

    def states(self) -> None:
        opened = self.open("stateful")
        x = np.array([[1.0, -2.0]], np.float16)
        state = opened.new_state()
        other = opened.new_state()
        for times in (1, 2, 3):
            assert np.array_equal(opened.predict({"x": x}, state)["total"], times * x)
        assert np.array_equal(opened.predict({"x": x})["total"], x)
        assert np.array_equal(opened.predict({"x": x}, other)["total"], x)
        code, text = outcome(lambda: opened.predict({"x": x}, {}))
        assert (code, "another model's" in text) == ("E507", True)

    def control_flow(self) -> None:
        opened = self.open("looping")
        for x in ([[1.0, 2.0, 3.0]], [[0.1, 0.2, 0.3]], [[200.0, 0.0, 0.0]]):
            want = np.array(x, np.float32)
            while want.sum() < 100:
                want = want * 2
            want = -want if np.sum(x) < 1 else want
            assert np.array_equal(opened.predict({"x": x})["result"], want)

    def functions(self) -> None:
        x = np.array([3.0, -4.0], np.float32)
        assert self.open("functions").function == "square"
        assert np.array_equal(self.open("functions").predict({"x": x})["y"], x * x)
        assert np.array_equal(
            self.open("functions", function="double").predict({"x": x})["y"], 2 * x
        )
        code, text = outcome(lambda: self.open("functions", function="third"))
        assert code == "E508"
        assert "double, square" in text

    def recurrent_layers_in_three_ways(self) -> None:
        """Half precision from step to step is another thing than one rounding of the result."""
        x = RANDOM.normal(size=(40, 1, 48)).astype(np.float16).astype(np.float32)
        with np.load(self.folder / "recurrent.npz") as found:
            weights = {name: found[name].astype(np.float64) for name in found.files}
        h = c = np.zeros((1, 24))
        states = []
        for step in x:
            gates = step @ weights["weight_ih"].T + h @ weights["weight_hh"].T + weights["bias"]
            i, f, o, z = np.split(gates, 4, axis=-1)
            c = c / (1 + np.exp(-f)) + np.tanh(z) / (1 + np.exp(-i))
            h = np.tanh(c) / (1 + np.exp(-o))
            states.append(h)
        modes = ("fp32", "exact", "fp16-accumulate")
        found = {m: self.open("recurrent", mode=m).predict({"x": x}) for m in modes}
        wrong = {
            m: float(np.abs(next(iter(made.values())) - np.array(states)).max())
            for m, made in found.items()
        }
        once = 2**-12 + 1e-5  # the one rounding of a result below 1
        assert wrong["fp32"] < once, wrong
        assert wrong["exact"] < once, wrong
        assert 1.5 * once < wrong["fp16-accumulate"] < 2**-6, wrong

    def other_types(self) -> None:
        for name, told in (
            ("network", "type neuralNetwork"), ("trees", "type treeEnsembleRegressor"),
            ("pipeline", "pipeline of 2 models (mlProgram, mlProgram)"),
        ):  # fmt: skip
            path = self.folder / f"{name}.mlmodel"
            code, text = outcome(lambda path=path: model.open_package(path))
            assert code == "E203", text
            assert told in text

    def bare_files(self) -> None:
        """A .mlmodel beside its weights is what a package holds."""
        inner = self.folder / "compressed.mlpackage" / "Data" / "com.apple.CoreML" / "model.mlmodel"
        x = RANDOM.normal(size=(1, 3, 8, 8)).astype(np.float32)
        one = model.open_package(inner).predict({"x": x})["scores"]
        assert np.array_equal(one, self.open("compressed").predict({"x": x})["scores"])
        assert one.shape == (1, 5)


def outcome(call: Callable[[], Any]) -> tuple[str, str]:
    """The code and the words of the error that a call ends in."""
    try:
        call()
    except EdgepackError as error:
        return error.code, f"{error.message}. {error.why}"
    return "", ""


def refused(opened: model.Model, fed: dict[str, Any], told: str) -> None:
    code, text = outcome(lambda: opened.predict(fed))
    assert code == "E507", f"{code} {text}"
    assert told in text, text


def main(folder: Path) -> None:
    checks = Checks(folder)
    answers = {}
    for name, check in vars(Checks).items():
        if name.startswith("_") or name == "open":
            continue
        try:
            check(checks)
            answers[name] = ""
        except (AssertionError, EdgepackError):
            answers[name] = traceback.format_exc()
    sys.stdout.write(json.dumps(answers))


if __name__ == "__main__":
    assert "coremltools" not in sys.modules
    main(Path(sys.argv[1]))
    assert "coremltools" not in sys.modules
