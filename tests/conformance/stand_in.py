"""A stand-in for Core ML behind coremltools: `coremltools.libcoremlpython`, with the emulator in its place.

coremltools predicts through one native module, which its Linux wheel lacks; without it, its own tests
convert, skip the comparison and pass. Here that module exists. Import this before coremltools.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NoReturn
from unittest import mock

import numpy as np
import torch

from edgepack.errors import EdgepackError
from edgepack_targets.coreml.emulator import model as emulator
from edgepack_targets.coreml.emulator import proto

MACOS = (26, 0)
"""The system the tests are told they run on: the newest that coremltools 9.0 knows anything about."""
_NEWEST_SPECIFICATION = 10
_FAILED = "Unable to compute the prediction using ML Program"
"""How Core ML begins to say that a prediction failed; tests look for it."""
_FACTS: dict[str, Any] = {
    "_IS_MACOS": True,
    "_is_macos": lambda: True,
    "_macos_version": lambda: MACOS,
}


class Seen:
    """What the current test asked of the stand-in.

    predictions: calls that ran, or ended in an error of the emulator's. refusals: models it did not load.
    operators: the types of all operations in the programs that were asked.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget all, before another test."""
        self.predictions = 0
        self.refusals: list[str] = []
        self.operators: set[str] = set()


seen = Seen()


class Proxy:
    """coremltools' `_MLModelProxy`: one loaded function of a model. Errors are RuntimeErrors, as Core ML's."""

    def __init__(
        self, path: str, unit: str, function: str = "", hints: Any = None, asset: Any = None
    ) -> None:
        """path: a package, or an ML Program's .mlmodel. unit, hints, asset: of no use here."""
        self._path = path
        spec, folder = _parsed(Path(path))
        if spec.WhichOneof("Type") != "mlProgram":
            import pytest

            pytest.skip(f"a model of type {spec.WhichOneof('Type')}, not an ML Program")
        try:
            self._operators = operators_of(spec)
            self._model = emulator.load(spec, folder, function)
        except EdgepackError as error:
            seen.refusals.append(error.message)
            raise RuntimeError(_whole(error)) from error

    def predict(self, inputs: Mapping[str, Any], state: State | None = None) -> dict[str, Any]:
        """Results by name."""
        seen.predictions += 1
        seen.operators |= self._operators
        try:
            found = self._model.predict(inputs, None if state is None else state.cells)
        except EdgepackError as error:
            raise RuntimeError(f"{_FAILED}. {_whole(error)}") from error
        for feature in self._model.outputs:
            if feature.type.WhichOneof("Type") == "imageType":
                found[feature.name] = _picture(found[feature.name])
        return found

    def batchPredict(self, batch: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:  # noqa: N802
        """Results of each."""
        return [self.predict(inputs) for inputs in batch]

    def newState(self) -> State:  # noqa: N802
        """All states, zero."""
        return State(self._model.new_state())

    def get_compiled_model_path(self) -> str:
        """Where Core ML would keep what it compiled; here the package itself."""
        return self._path

    @staticmethod
    def maximum_supported_specification_version() -> int:
        """The newest specification that may be loaded."""
        return _NEWEST_SPECIFICATION

    @staticmethod
    def auto_set_specification_version(serialized: bytes) -> bytes:
        """The specification as it is: only neural networks could be written as an older one."""
        return serialized


class State:
    """A model's states between predictions."""

    def __init__(self, cells: emulator.State) -> None:
        self.cells = cells

    def read_state(self, name: str) -> np.ndarray:
        """The value of one."""
        return self._cell(name).value.numpy().copy()

    def write_state(self, name: str, value: Any) -> None:
        """Replace the value of one by another of its shape."""
        cell = self._cell(name)
        given = torch.as_tensor(np.asarray(value)).to(cell.value.dtype)
        if given.shape != cell.value.shape:
            raise RuntimeError(f"state {name!r} has the shape {list(cell.value.shape)}")
        cell.value = given

    def _cell(self, name: str) -> Any:
        if name not in self.cells:
            raise RuntimeError(f"the model has no state {name!r}")
        return self.cells[name]


def operators_of(spec: Any) -> set[str]:
    """The types of a program's operations, those of inner blocks included, constants left out."""
    found: set[str] = set()
    waiting = [
        block
        for function in spec.mlProgram.functions.values()
        for block in function.block_specializations.values()
    ]
    while waiting:
        for operation in waiting.pop().operations:
            found.add(operation.type)
            waiting.extend(operation.blocks)
    return found - {"const"}


def install() -> None:
    """Let coremltools, imported hereby, believe that it runs on macOS beside Core ML."""
    native = ModuleType("coremltools.libcoremlpython")
    native._MLModelProxy = Proxy
    sys.modules[native.__name__] = native
    import coremltools  # noqa: F401

    correct()
    sys.meta_path.append(_Absent())
    if "TORCH_FRONTENDS" in os.environ:
        # The tests leave torch.export out on x86-64 (rdar://135842397), where it has long worked.
        with mock.patch("platform.machine", return_value="arm64"):
            importlib.import_module("coremltools.converters.mil.frontend.torch.test.testing_utils")


def correct() -> None:
    """State the facts of `_FACTS` in every module of coremltools that has its own copy of one.

    The tests of coremltools.optimize.torch look at sys.platform instead.
    """
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "coremltools":
            for fact in _FACTS.keys() & vars(module).keys():
                setattr(module, fact, _FACTS[fact])
            if vars(module).get("_HAS_TORCH_VISION") is False:
                vars(module).setdefault("torchvision", _Missing("torchvision"))
    looking = sys.modules.get("coremltools.test.optimize.torch.conversion.conversion_utils")
    if looking is not None:
        looking.sys = SimpleNamespace(platform="darwin")


class _Missing(ModuleType):
    """A module of a package that is not installed: importable, so that tests beside the ones that need it run."""

    __path__: list[str] = []  # noqa: RUF012 what makes the import system look for submodules

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Missing(f"{self.__name__}.{name}")

    def __call__(self, *_: Any, **__: Any) -> NoReturn:
        import pytest

        pytest.skip(f"{self.__name__} is not installed")


class _Absent(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds torchvision where there is none, after all other finders."""

    def find_spec(
        self, fullname: str, path: Any, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        """A specification for torchvision and what is in it."""
        if fullname.partition(".")[0] != "torchvision":
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """An empty module that answers every question with a skipped test."""
        return _Missing(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """There is nothing to run."""


def _parsed(path: Path) -> tuple[Any, Path]:
    """A model's specification and the folder its weights are relative to."""
    file = path
    if path.is_dir():
        file = next(path.glob("Data/*/*.mlmodel"))
    return proto.messages().Model.FromString(file.read_bytes()), file.parent


def _picture(pixels: np.ndarray) -> Any:
    """The image that Core ML would answer with; of mode "F" if its values are half-precision numbers."""
    from PIL import Image

    return Image.fromarray(pixels if pixels.dtype == np.uint8 else pixels.astype(np.float32))


def _whole(error: EdgepackError) -> str:
    return f"{error.message} {error.why}".strip()
