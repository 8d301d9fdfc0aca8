"""Artifacts as functions of numpy arrays by the names of their tensors, in their targets' environments."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Call = Callable[[dict[str, Array]], dict[str, Array]]


def litert(path: str) -> Call:
    """A .tflite on LiteRT with XNNPACK."""
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_path=path, num_threads=1).get_signature_runner()
    dtypes = {name: detail["dtype"] for name, detail in runner.get_input_details().items()}

    def call(given: dict[str, Array]) -> dict[str, Array]:
        made: dict[str, Array] = runner(**{n: a.astype(dtypes[n]) for n, a in given.items()})
        return made

    return call


def core_ml(path: str) -> Call:
    """An .mlpackage on the emulator."""
    from edgepack_targets.coreml.emulator import model

    opened = model.open_package(Path(path))

    def call(given: dict[str, Array]) -> dict[str, Array]:
        made: dict[str, Array] = opened.predict(
            {n: a.astype(np.int32 if a.dtype.kind == "i" else np.float32) for n, a in given.items()}
        )
        return made

    return call
