"""Core ML's protobuf classes, without importing coremltools.

They lie in coremltools' wheel, whose own import takes many seconds; the generated modules need protobuf
alone. Loading them here as a package of another name leaves a later import of coremltools alone.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

_PACKAGE = "edgepack_coreml_proto"


@functools.cache
def messages() -> Any:
    """The module of Model.proto, with the class `Model`."""
    return _module("Model_pb2")


@functools.cache
def features() -> Any:
    """The module of FeatureTypes.proto: what inputs and outputs are."""
    return _module("FeatureTypes_pb2")


@functools.cache
def mil() -> Any:
    """The module of MIL.proto: programs, functions, blocks, operations, values."""
    return _module("MIL_pb2")


def _module(name: str) -> Any:
    if _PACKAGE not in sys.modules:
        found = importlib.util.find_spec("coremltools")
        assert found is not None, "coremltools is in this target's lock"
        assert found.origin is not None
        package = ModuleType(_PACKAGE)
        package.__path__ = [str(Path(found.origin).parent / "proto")]
        sys.modules[_PACKAGE] = package
    return importlib.import_module(f"{_PACKAGE}.{name}")
