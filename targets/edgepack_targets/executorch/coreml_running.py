"""A .pte whose delegate is Core ML, run by edgepack's own Core ML emulator and torch's kernels."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from edgepack.errors import EdgepackError
from edgepack_targets.coreml.emulator import model as emulated
from edgepack_targets.executorch import coreml_parts, plan

DELEGATE = "CoreMLBackend"
RUNTIME = "ExecuTorch's plan on torch, with the Core ML emulator (exact)"


def load(
    path: Path, name: str, folder: Path
) -> Callable[[Sequence[torch.Tensor]], list[torch.Tensor]]:
    """What runs a method of a program. folder: an empty one for what the program holds.

    Raises E202 for a damaged program, E508 for operators and E511 for a Core ML part that cannot be run,
    E510 for delegates besides Core ML.
    """

    def prepare(delegate: str, data: bytes, shared: dict[str, bytes]) -> tuple[plan.Delegate, int]:
        if delegate != DELEGATE:
            raise EdgepackError(
                "E510",
                f"{path.name} mixes Core ML with {delegate}",
                why="Only programs that delegate to Core ML alone can be walked here.",
            )
        part = coreml_parts.unpack(data, shared, Path(tempfile.mkdtemp(dir=folder)) / "part")
        model = emulated.open_package(part.package, function=part.function)

        def run(inputs: Sequence[torch.Tensor]) -> Sequence[torch.Tensor]:
            named = dict(zip(part.inputs, (t.numpy() for t in inputs), strict=True))
            found = model.predict(named)
            return [torch.from_numpy(found[output]) for output in part.outputs]

        return run, len(part.inputs)

    return plan.Plan(path, name, prepare)
