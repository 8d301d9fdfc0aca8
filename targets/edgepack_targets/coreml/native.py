"""Core ML itself, through coremltools, on a Mac."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from edgepack.errors import EdgepackError
from edgepack.wire.types import Fidelity


class Model:
    """A compiled package that Core ML predicts with, on whatever of CPU, GPU and Neural Engine it takes."""

    def __init__(self, loaded: Any) -> None:
        self._loaded = loaded
        self._state = bool(loaded.get_spec().description.state)

    def predict(self, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        """Outputs by name; a model with states starts from zeros. Raises E509."""
        state = self._loaded.make_state() if self._state else None
        try:
            return cast("Mapping[str, Any]", self._loaded.predict(dict(inputs), state=state))
        except (RuntimeError, ValueError, TypeError) as error:
            raise EdgepackError("E509", "Core ML cannot predict", why=str(error)) from error


def load(path: Path) -> Model:
    """The model of a package. Raises E508 if Core ML refuses it."""
    import coremltools as ct

    try:
        return Model(ct.models.MLModel(str(path)))
    except (RuntimeError, ValueError) as error:
        raise EdgepackError("E508", f"Core ML cannot load {path.name}", why=str(error)) from error


def version() -> str:
    """What ran, such as "Core ML (macOS 26.1, arm64)"."""
    return f"Core ML (macOS {platform.mac_ver()[0]}, {platform.machine()})"


def fidelity() -> Fidelity:
    """A Mac with Apple silicon has the phone's instruction set and its accelerators."""
    return "device-isa" if platform.machine() == "arm64" else "host"
