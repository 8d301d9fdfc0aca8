"""A Core ML model that can be asked for predictions, off macOS.

Not Core ML: another engine, torch, evaluates the program of the package operation by operation.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from edgepack_targets.coreml import package
from edgepack_targets.coreml.emulator import errors, features, operators, program
from edgepack_targets.coreml.emulator.precision import Mode
from edgepack_targets.coreml.emulator.program import Cell, Program, Watch
from edgepack_targets.coreml.emulator.storage import Storage

__all__ = ["Model", "State", "load", "open_package"]

assert operators.__all__, "importing the operators registers them"

State = dict[str, Cell]
_FLOAT16 = 10  # MIL.proto, DataType


class Model:
    """One function of a model, compiled.

    function: its name. inputs, outputs: the descriptions (FeatureDescription) of what it takes and gives.
    has_half: whether it computes in half precision anywhere, so that the modes may differ.
    """

    def __init__(self, function: str, description: Any, compiled: Program) -> None:
        """Raises E202 if description and program do not agree, E511 for features there is no way to feed."""
        self.function = function
        self.description = description
        self.inputs = tuple(description.input)
        self.outputs = tuple(description.output)
        self.has_half = any(t.tensorType.dataType == _FLOAT16 for t in compiled.declared.values())
        self._program = compiled
        tensors = {
            name: of_type
            for name, of_type in compiled.types.items()
            if of_type.WhichOneof("type") != "stateType"
        }
        self._states = {n: t for n, t in compiled.types.items() if n not in tensors}
        self._taken = features.inputs_of(description, tensors)
        declared = {**compiled.types, **compiled.declared}
        self._given = features.outputs_of(description, compiled.outputs, declared)
        for of_type in self._states.values():
            features.check_state(of_type)

    def new_state(self) -> State:
        """The model's states, all zero: what `predict` reads and changes when it is given them."""
        return {name: Cell(features.zeros(of_type)) for name, of_type in self._states.items()}

    def predict(
        self, inputs: Mapping[str, Any], state: State | None = None, watch: Watch | None = None
    ) -> dict[str, Any]:
        """What the model makes of one set of inputs.

        inputs: by name; arrays or tensors of the declared shape, for image inputs PIL images or arrays
        (height, width, channels) of bytes. state: from `new_state`, a fresh one if the model has states and
        none is given. watch: called with name and value of every operation's result.
        Arrays come back in their described dtype, scalars with one axis, images as arrays of rows.
        Raises E507 for inputs that do not fit, E509 if an operation fails.
        """
        compiled = self._program
        slots: list[Any] = [None] * compiled.size
        cells = self.new_state() if state is None else state
        if not self._states.keys() <= cells.keys():
            raise errors.misfit("the state is another model's", why="Take one from `new_state`.")
        given = features.given(self._taken, inputs)
        for name, index in compiled.inputs.items():
            slots[index] = cells[name] if name in self._states else given[name]
        with torch.inference_mode():
            results = program.run(compiled.block, slots, watch)
        return features.shown(self._given, dict(zip(compiled.outputs, results, strict=True)))


def open_package(path: Path, function: str = "", mode: Mode = "exact") -> Model:
    """The model of a .mlpackage, or of an ML Program's .mlmodel beside its weights.

    Raises what `package.read` and `load` raise.
    """
    opened = package.read(path)
    return load(opened.spec, opened.folder, function, mode)


def load(spec: Any, folder: Path, function: str = "", mode: Mode = "exact") -> Model:
    """The model of a parsed specification.

    spec: the protobuf `Model`. folder: where it lies, beside its weights. function: one of a model with
    several, its default if empty.
    Raises E202 for a malformed program, E511 for one that needs what the emulator lacks, E508 for a
    function it does not have.
    """
    description, functions = spec.description, spec.mlProgram.functions
    names = [d.name for d in description.functions]
    if names:
        function = function or description.defaultFunctionName or names[0]
        if function not in names:
            raise errors.no_function(function, names)
        description = description.functions[names.index(function)]
    elif not function:
        function = next(iter(functions)) if len(functions) == 1 else "main"
    if function not in functions:
        raise errors.no_function(function, sorted(functions))
    compiled = program.compile_function(functions[function], Storage(folder), mode)
    return Model(function, description, compiled)
