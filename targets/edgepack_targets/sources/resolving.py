"""What a model takes: every dtype and shape known, and an example of each.

Put together from what the user declared, what the file says of itself, and the first sample.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgepack.errors import EdgepackError
from edgepack.wire import tensors
from edgepack.wire.types import Dimension, ExportJob, InputSpec

if TYPE_CHECKING:
    import torch

    from edgepack_targets.sources.loading import Loaded

SMALLEST_DYNAMIC = 2
"""torch.export specialises an axis whose example has size 0 or 1."""


def resolve_inputs(
    job: ExportJob, loaded: Loaded
) -> tuple[tuple[InputSpec, ...], tuple[Dimension, ...]]:
    """The inputs with every dtype and shape known, and every dimension they name.

    What the user declared wins; then the file's own example inputs; then the first sample.
    Raises E213 when a shape stays unknown, E218 when counts or names cannot be matched.
    """
    known, dimensions = _from_program(loaded)
    if not known and job.examples:
        first = next(tensors.load(Path(job.examples)))
        names = (
            loaded.names
            if len(loaded.names) == len(first)
            else [f"input_{i}" for i in range(len(first))]
        )
        known = tuple(
            InputSpec(name=n, dtype=str(a.dtype), shape=tuple(a.shape))
            for n, a in zip(names, first, strict=False)
        )
    declared = job.inputs or known
    if not declared:
        raise EdgepackError(
            "E213",
            "the shapes of the model's inputs are unknown",
            why=f"forward takes {', '.join(loaded.names) or 'unnamed arguments'}; nothing says their shapes.",
            help='Declare [[model.inputs]], or pass --input "name:float32[1,3,224,224]" for each.',
        )
    if known and len(known) != len(declared):
        raise EdgepackError(
            "E218",
            f"{len(declared)} inputs are declared, the model has {len(known)}",
            why=f"The model's: {', '.join(k.name for k in known)}.",
            help="Declare each input once, in the model's order.",
        )
    declared = _in_model_order(declared, loaded.names)
    by_position = dict(enumerate(known))
    resolved = []
    for position, spec in enumerate(declared):
        found = by_position.get(position)
        shape = spec.shape if spec.shape is not None else (found.shape if found else None)
        dtype = spec.dtype or (found.dtype if found else "float32")
        if shape is None:
            raise EdgepackError(
                "E213",
                f"the shape of input {spec.name!r} is unknown",
                help="Give [[model.inputs]] a shape, or give samples.",
            )
        resolved.append(InputSpec(name=spec.name, dtype=dtype, shape=shape, range=spec.range))
    named = {axis for r in resolved for axis in (r.shape or ()) if isinstance(axis, str)}
    merged = {d.name: d for d in (*dimensions, *job.dimensions) if d.name in named}
    return tuple(resolved), tuple(merged.values())


def _in_model_order(
    declared: tuple[InputSpec, ...], names: tuple[str, ...]
) -> tuple[InputSpec, ...]:
    """Inputs whose names are all parameters of forward go in forward's order; else as declared."""
    by_name = {d.name: d for d in declared}
    if by_name.keys() <= set(names):
        return tuple(by_name[n] for n in names if n in by_name)
    return declared


def _from_program(loaded: Loaded) -> tuple[tuple[InputSpec, ...], tuple[Dimension, ...]]:
    """Inputs and dimensions that a loaded .pt2 itself declares; empty for anything else."""
    program = loaded.program
    if program is None:
        return (), ()
    values = {n.name: n.meta["val"] for n in program.graph.nodes if n.op == "placeholder"}
    user = [values[name] for name in program.graph_signature.user_inputs if name in values]
    ranges = {str(symbol): bounds for symbol, bounds in program.range_constraints.items()}
    specs, dimensions = [], {}
    for name, value in zip(program.graph_signature.user_inputs, user, strict=True):
        axes: list[int | str] = []
        for axis in value.shape:
            if isinstance(axis, int):
                axes.append(axis)
                continue
            label = str(axis.node.expr)
            axes.append(label)
            bounds = ranges.get(label)
            hint = int(axis.node.hint) if axis.node.has_hint() else SMALLEST_DYNAMIC
            lower = int(bounds.lower) if bounds is not None else 1
            upper = _finite(bounds.upper) if bounds is not None else None
            dimensions[label] = Dimension(
                name=label, minimum=lower, maximum=upper or max(hint, 1024), fixed=hint
            )
        specs.append(
            InputSpec(name=name, dtype=str(value.dtype).removeprefix("torch."), shape=tuple(axes))
        )
    return tuple(specs), tuple(dimensions.values())


def _finite(bound: Any) -> int | None:
    try:
        number = int(bound)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if number < 2**31 else None


def example_tensors(
    inputs: tuple[InputSpec, ...], dimensions: dict[str, Dimension], *, dynamic: bool
) -> tuple[torch.Tensor, ...]:
    """Zeros (ones for bool) of each input's dtype and shape, symbolic axes at a size that stays symbolic."""
    import torch

    examples = []
    for spec in inputs:
        shape = [
            axis if isinstance(axis, int) else _size(dimensions[axis], dynamic=dynamic)
            for axis in spec.shape or ()
        ]
        dtype = getattr(torch, spec.dtype)
        examples.append(
            torch.ones(shape, dtype=dtype)
            if spec.dtype == "bool"
            else torch.zeros(shape, dtype=dtype)
        )
    return tuple(examples)


def _size(dimension: Dimension, *, dynamic: bool) -> int:
    if not dynamic or dimension.minimum == dimension.maximum:
        return dimension.fixed
    return min(max(SMALLEST_DYNAMIC, dimension.fixed, dimension.minimum), dimension.maximum)


def shape_of(
    spec: InputSpec, dimensions: dict[str, Dimension], *, dynamic: bool
) -> tuple[int | str, ...]:
    """The shape an artifact of this form shows."""
    return tuple(
        axis
        if isinstance(axis, int)
        or (dynamic and dimensions[axis].minimum != dimensions[axis].maximum)
        else dimensions[axis].fixed
        for axis in spec.shape or ()
    )
