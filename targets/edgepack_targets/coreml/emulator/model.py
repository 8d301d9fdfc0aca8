"""A Core ML model that can be asked for predictions, off macOS.

Not Core ML: another engine, torch, evaluates the program of the package operation by operation.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from edgepack_targets.coreml.emulator import errors, features, operators, program
from edgepack_targets.coreml.emulator.precision import Mode
from edgepack_targets.coreml.emulator.program import Cell, Program, Watch
from edgepack_targets.coreml.emulator.storage import Storage

__all__ = ["Model", "State", "load"]

assert operators.__all__, "importing the operators registers them"

State = dict[str, Cell]


class Model:
    """One function of a model, compiled.

    function: its name. inputs, outputs: the descriptions (FeatureDescription) of what it takes and gives.
    has_half: whether anything in it is declared fp16, so that the modes differ.
    """

    def __init__(self, function: str, description: Any, compiled: Program) -> None:
        self.function = function
        self.description = description
        self.inputs = tuple(description.input)
        self.outputs = tuple(description.output)
        self.has_half = compiled.has_half
        self._program = compiled

    def new_state(self) -> State:
        """The model's states, all zero: what `predict` reads and changes when it is given them."""
        return {
            name: Cell(features.zeros(of_type))
            for name, of_type in self._program.types.items()
            if of_type.WhichOneof("type") == "stateType"
        }

    def predict(
        self, inputs: Mapping[str, Any], state: State | None = None, watch: Watch | None = None
    ) -> dict[str, Any]:
        """What the model makes of one set of inputs.

        inputs: by name; arrays or tensors of the declared shape, PIL images for image inputs. state: from
        `new_state`, a fresh one if the model has states and none is given. watch: called with name and
        value of every operation's result. Arrays come back in their declared dtype, scalars with one axis.
        Raises E507 for inputs that do not fit, E509 if an operation fails.
        """
        compiled = self._program
        slots: list[Any] = [None] * compiled.size
        cells = self.new_state() if state is None else state
        given = features.given(self.inputs, compiled.types, inputs)
        for name, index in compiled.inputs.items():
            if name not in given and name not in cells:
                raise errors.misfit(f"the model's input {name!r} is missing")
            slots[index] = cells[name] if name in cells else given[name]
        with torch.inference_mode():
            results = program.run(compiled.block, slots, watch)
        found = dict(zip(compiled.outputs, results, strict=True))
        return features.shown(self.outputs, found, compiled.declared)


def load(spec: Any, folder: Path, function: str = "", mode: Mode = "exact") -> Model:
    """The model of a parsed specification.

    spec: the protobuf `Model`. folder: where it lies, beside its weights. function: one of a model with
    several, its default if empty.
    Raises E202 for a malformed program, E511 for one that needs what the emulator lacks, E508 for a
    function it does not have.
    """
    description = spec.description
    names = [d.name for d in description.functions]
    if names:
        function = function or description.defaultFunctionName
        if function not in names:
            raise errors.no_function(function, names)
        description = description.functions[names.index(function)]
    else:
        function = function or "main"
    functions = spec.mlProgram.functions
    if function not in functions:
        raise errors.no_function(function, sorted(functions))
    compiled = program.compile_function(functions[function], Storage(folder), mode)
    return Model(function, description, compiled)
