"""States (coremltools, mil/ops/defs/iOS18/states.py and coreml_dialect/ops.py).

A state is a cell whose tensor is replaced, never changed. `coreml_update_state` is written to a package
as `write_state` and `read_state`.
"""

from __future__ import annotations

from typing import Any

from edgepack_targets.coreml.emulator.operators.registry import Tensor, operator


@operator("read_state", moves=True, fixed=False)
def read_state(input: Any) -> Tensor:  # noqa: A002 MIL's name
    """What the state holds."""
    value: Tensor = input.value
    return value


@operator("write_state", moves=True, fixed=False)
def write_state(input: Any, data: Tensor) -> tuple[()]:  # noqa: A002 MIL's name
    """Put a value in the state, of its own: the tensor may share the memory of what an app fed."""
    input.value = data.clone()
    return ()


@operator("coreml_update_state", moves=True, fixed=False)
def coreml_update_state(state: Any, value: Tensor) -> Tensor:
    """Put a value in the state, and give it."""
    write_state(state, value)
    return value
