"""Between an app's arrays and images and a program's tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from edgepack_targets.coreml.emulator import constants, errors
from edgepack_targets.coreml.emulator.precision import to_half

_NUMPY = {"fp16": np.float16, "uint16": np.uint16, "uint32": np.uint32}


def zeros(state_type: Any) -> torch.Tensor:
    """The first value of a state."""
    tensor_type = state_type.stateType.wrappedType.tensorType
    return torch.zeros(constants.fixed_shape(tensor_type), dtype=constants.kind_of(tensor_type).carrier)


def given(
    described: Sequence[Any], types: Mapping[str, Any], inputs: Mapping[str, Any]
) -> dict[str, torch.Tensor]:
    """Inputs as the program's tensors. Raises E507 for what does not fit."""
    unknown = sorted(inputs.keys() - {feature.name for feature in described})
    if unknown:
        raise errors.misfit(f"the model has no input {unknown[0]!r}")
    tensors = {}
    for feature in described:
        if feature.name not in inputs:
            raise errors.misfit(f"the model's input {feature.name!r} is missing")
        tensor_type = types[feature.name].tensorType
        kind = constants.kind_of(tensor_type)
        value = torch.as_tensor(np.asarray(inputs[feature.name])).to(kind.carrier)
        tensors[feature.name] = to_half(value) if kind.name == "fp16" else value
    return tensors


def shown(
    described: Sequence[Any], found: Mapping[str, Any], declared: Mapping[str, Any]
) -> dict[str, Any]:
    """A program's results as an app sees them."""
    answers = {}
    for feature in described:
        value = found[feature.name]
        kind = constants.kind_of(declared[feature.name].tensorType)
        array = value.numpy()
        answers[feature.name] = array.astype(_NUMPY.get(kind.name, array.dtype), copy=False)
    return answers
