"""Classifiers (coremltools, mil/ops/defs/iOS15/classify.py)."""

from __future__ import annotations

from typing import Any

import torch

from edgepack_targets.coreml.emulator import errors
from edgepack_targets.coreml.emulator.operators.registry import Tensor, operator


@operator("classify")
def classify(probabilities: Tensor, classes: Any) -> tuple[Any, dict[Any, float]]:
    """The class of the greatest probability, the first of equals, and all probabilities by class.

    classes: texts or whole numbers, one for each probability.
    """
    flat = probabilities.reshape(-1)
    if len(classes) != flat.numel():
        raise errors.failed(f"{len(classes)} classes have {flat.numel()} probabilities")
    names = [name.item() if isinstance(name, torch.Tensor) else name for name in classes]
    return names[int(flat.argmax())], dict(zip(names, flat.tolist(), strict=True))
